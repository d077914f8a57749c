//! The queue of each sender, for what cannot be sent yet.

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    format,
    vec::Vec,
};
use core::fmt;

use bytes::Bytes;

use super::{
    ConnectionId, DeliveryId, InDoubt, SessionId, Tracker,
    entries::{Closing, How, LinkEntry, Notice, Stage},
    retained::{Again, Retained},
    state::Core,
    unresolved::{Kept, Unresolved},
};
use crate::{
    Blocked, LinkId, Misuse, SendError, Sender, Serial,
    arena::Key,
    codec::Encode,
    message::Message,
    types::{DeliveryState, DeliveryTag, Error, condition},
};

/// Data of a message that is kept is shared from this size on: it is not to be copied more often than if it were not kept.
const SHARE_FROM: usize = 256;

/// What a sender holds: messages that wait for credit, for the session's window or for room in the output, and those that
/// were sent and may have to be sent again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Queued>,
    bytes: usize,
    pub(super) retained: Retained,
    /// What is gone on with before anything else is sent.
    pub(super) unresolved: Unresolved,
    /// How many messages were in doubt when the connection was lost, until it is made again.
    pub(super) in_doubt: usize,
    /// The peer asked for its credit back while messages waited that go first.
    owes_drain: bool,
}

#[derive(Debug)]
struct Queued {
    tag: u64,
    message_format: u32,
    payload: Bytes,
    /// It was sent over a connection that is lost: it is in doubt until it is sent again.
    was_sent: bool,
}

impl Queued {
    fn new(tag: u64, message_format: u32, payload: impl Into<Bytes>) -> Self {
        Self { tag, message_format, payload: payload.into(), was_sent: false }
    }
}

impl Queue {
    /// The tags of those messages that are to be sent again.
    pub(super) fn unsent_again(&self) -> impl Iterator<Item = DeliveryTag> + '_ {
        // They are the first.
        self.messages.iter().take_while(|queued| queued.was_sent).map(|queued| queued.tag.into())
    }

    /// How many messages wait to be sent, or may have to be sent again.
    pub(super) fn len(&self) -> usize {
        self.messages.len() + self.unresolved.in_doubt()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.unresolved.is_empty()
    }

    /// Whether the message of this tag waits to be sent.
    pub(super) fn holds(&self, tag: DeliveryTag) -> bool {
        self.messages.iter().any(|queued| tag == queued.tag.into())
    }

    fn pop(&mut self) -> Option<Queued> {
        let next = self.messages.pop_front()?;
        self.bytes -= next.payload.len();
        Some(next)
    }

    fn put_back(&mut self, next: Queued) {
        self.bytes += next.payload.len();
        self.messages.push_front(next);
    }

    /// Has a message sent before all that waits, but behind those that this was said of before.
    pub(super) fn resend(&mut self, kept: Kept) {
        let Kept { tag, message_format, payload } = kept;
        self.bytes += payload.len();
        let at = self.unresolved.resent.min(self.messages.len());
        self.messages.insert(at, Queued::new(tag, message_format, payload));
        self.unresolved.resent = at + 1;
    }

    /// Puts what was sent, and is `in_doubt`, before all that waits. What it had to put there is in doubt no more.
    pub(super) fn send_again(&mut self, in_doubt: &mut Vec<(Serial, DeliveryTag)>) {
        let mut numbers: BTreeSet<u32> = in_doubt.iter().map(|(number, _)| number.get()).collect();
        let again: Vec<_> =
            self.retained.take_all().filter(|sent| numbers.remove(&sent.number.get())).collect();
        in_doubt.retain(|(number, _)| numbers.contains(&number.get()));
        for Again { tag, message_format, payload, .. } in again.into_iter().rev() {
            self.put_back(Queued { tag, message_format, payload, was_sent: true });
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendRefused {
    /// The sender's queue is full: wait for [`on_sendable`](super::Handler::on_sendable).
    QueueFull,
    /// A message sent piece by piece cannot wait in the queue: wait for
    /// [`on_sendable`](super::Handler::on_sendable).
    NotNow,
    /// A message that is sent piece by piece is not finished.
    Unfinished,
    /// The sender is closed, or will be once its queue is empty.
    Closed,
    /// The message is larger than the receiver takes.
    TooLarge {
        /// The receiver's limit in bytes.
        max_message_size: u64,
    },
    /// The link does not take it, and will not later.
    Impossible(SendError),
}

impl fmt::Display for SendRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => f.write_str("the sender's queue is full"),
            Self::NotNow => f.write_str("the link cannot send now"),
            Self::Unfinished => f.write_str("another message is not finished"),
            Self::Closed => f.write_str("the sender is closed"),
            Self::TooLarge { max_message_size } => {
                write!(f, "the receiver takes no message above {max_message_size} bytes")
            }
            Self::Impossible(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SendRefused {}

impl From<SendError> for SendRefused {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Blocked(_) => Self::NotNow,
            SendError::TooLarge { max_message_size } => Self::TooLarge { max_message_size },
            SendError::Misuse(Misuse::Gone | Misuse::LinkNotOpen) => Self::Closed,
            error => Self::Impossible(error),
        }
    }
}

impl From<Misuse> for SendRefused {
    fn from(misuse: Misuse) -> Self {
        Self::Impossible(misuse.into())
    }
}

impl LinkEntry {
    /// The next tag of an open sender.
    #[inline]
    fn take_tag(&mut self) -> Result<u64, SendRefused> {
        if self.is_refusing || self.stage > Stage::Open {
            return Err(SendRefused::Closed);
        }
        if self.is_streaming {
            return Err(SendRefused::Unfinished);
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        Ok(tag)
    }

    /// The protocol's name of an attached sender for which no message waits.
    #[inline]
    fn engine_if_sendable(&self) -> Option<LinkId> {
        let queues = self.queue.as_ref().is_some_and(|queue| !queue.is_empty());
        self.engine.filter(|_| !queues && self.stage == Stage::Open)
    }
}

impl Core {
    /// Sends a message, or queues it until it can be sent.
    pub(super) fn send(&mut self, key: Key, message: &Message) -> Result<DeliveryTag, SendRefused> {
        if self.links.get(key).is_some_and(LinkEntry::retains) {
            return self.send_retained(key, message);
        }
        let (tag, sent) =
            self.try_send(key, |mut sender, tag, settled| sender.send_message(tag, settled, message))?;
        if sent.is_none() {
            let mut payload = Vec::new();
            message.encode(&mut payload);
            self.enqueue(key, Queued::new(tag, 0, payload))?;
        }
        Ok(tag.into())
    }

    /// The same where it may have to be sent again: it is encoded where it is kept, and sent from there.
    fn send_retained(&mut self, key: Key, message: &Message) -> Result<DeliveryTag, SendRefused> {
        let link = self.links.get_mut(key).ok_or(SendRefused::Closed)?;
        let tag = link.take_tag()?;
        let (connection, id) = (link.connection, link.engine_if_sendable());
        self.touch(connection);
        // Side by side: what is kept of the link, and the protocol's side of its connection.
        let Self { links, connections, .. } = self;
        let link = links.get_mut(key).ok_or(SendRefused::Closed)?;
        let retained = &mut link.queue.get_or_insert_default().retained;
        let (front, tail) = retained.write(|out| message.encode_sharing_from(SHARE_FROM, out));
        let engine = connections.get_mut(connection).and_then(|peer| peer.engine.as_deref_mut());
        let sent = match (id, engine) {
            (Some(id), Some(engine)) => engine.sender(id).map_err(SendError::from).and_then(|mut sender| {
                sender.send_parts(tag.into(), false, 0, retained.front(front.clone()), tail.as_ref())
            }),
            _ => Err(SendError::Blocked(Blocked::Attach)),
        };
        match sent {
            Ok(sent) => retained.push(sent.number(), tag, 0, front.len(), tail),
            Err(error) => {
                let payload = [retained.front(front.clone()), tail.as_deref().unwrap_or_default()].concat();
                retained.take_back(&front);
                self.is_blocked(connection, error)?;
                self.enqueue(key, Queued::new(tag, 0, payload))?;
            }
        }
        Ok(tag.into())
    }

    /// Whether a message is to wait in the queue, after this was the answer to the attempt to send it.
    fn is_blocked(&self, connection: Key, error: SendError) -> Result<(), SendRefused> {
        match error {
            SendError::Blocked(_) => Ok(()),
            error if waits(error) && self.comes_back(connection) => Ok(()),
            error => Err(error.into()),
        }
    }

    /// The same for bytes that are encoded already.
    pub(super) fn send_payload(
        &mut self,
        key: Key,
        message_format: u32,
        payload: &Bytes,
    ) -> Result<DeliveryTag, SendRefused> {
        let (tag, sent) = self.try_send(key, |mut sender, tag, settled| {
            sender.send_parts(tag, settled, message_format, &[], Some(payload))
        })?;
        match sent {
            Some(number) => self.retain(key, number, tag, message_format, payload),
            None => self.enqueue(key, Queued::new(tag, message_format, payload.clone()))?,
        }
        Ok(tag.into())
    }

    /// Keeps a message that was sent, if it may have to be sent again.
    fn retain(&mut self, key: Key, number: Serial, tag: u64, message_format: u32, payload: &Bytes) {
        if let Some(link) = self.links.get_mut(key).filter(|link| link.retains()) {
            let retained = &mut link.queue.get_or_insert_default().retained;
            retained.push(number, tag, message_format, 0, Some(payload.clone()));
        }
    }

    /// Forgets a message whose outcome is known.
    #[inline]
    pub(super) fn forget_sent(&mut self, key: Key, number: Serial) {
        if let Some(link) = self.links.get_mut(key).filter(|link| link.in_doubt != InDoubt::Report)
            && let Some(queue) = &mut link.queue
        {
            queue.retained.forget(number);
        }
    }

    /// Takes the next tag of an open sender, and sends at once if the link can and nothing waits: the delivery-id if it did.
    #[inline]
    pub(super) fn try_send(
        &mut self,
        key: Key,
        send: impl FnOnce(Sender<'_>, DeliveryTag, bool) -> Result<crate::DeliveryId, SendError>,
    ) -> Result<(u64, Option<Serial>), SendRefused> {
        let link = self.links.get_mut(key).ok_or(SendRefused::Closed)?;
        let tag = link.take_tag()?;
        let Some(id) = link.engine_if_sendable() else { return Ok((tag, None)) };
        let (connection, settled) = (link.connection, link.sends_settled);
        let sender = self.engine(connection).and_then(|engine| engine.sender(id)).map_err(SendError::from)?;
        match send(sender, tag.into(), settled) {
            Ok(sent) => Ok((tag, Some(sent.number()))),
            Err(error) => self.is_blocked(connection, error).map(|()| (tag, None)),
        }
    }

    fn enqueue(&mut self, key: Key, queued: Queued) -> Result<(), SendRefused> {
        let (max_messages, max_bytes) = (self.options.send_queue_messages, self.options.send_queue_bytes);
        let link = self.links.get_mut(key).ok_or(SendRefused::Closed)?;
        let queue = link.queue.get_or_insert_default();
        let bytes = queue.bytes.saturating_add(queued.payload.len());
        if queue.len() >= max_messages || (bytes > max_bytes && !queue.is_empty()) {
            return Err(SendRefused::QueueFull);
        }
        queue.bytes = bytes;
        queue.messages.push_back(queued);
        let (connection, session) = (link.connection, link.session);
        if let Some(session) = self.sessions.get_mut(session) {
            session.queued += 1;
        }
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.queued += 1;
        }
        Ok(())
    }

    /// Sends from the queue while the link can: whether the user can send now.
    pub(super) fn flush(&mut self, key: Key) -> bool {
        let mut sent = 0;
        self.write_outcomes(key);
        let sendable = self.flush_queue(key, &mut sent);
        if sent > 0 {
            self.note_sent(key, sent);
        }
        sendable
    }

    /// Whether messages wait that go before credit is given back: then [`owes_drain`](Self::owes_drain) tells when they are gone.
    pub(super) fn puts_drain_off(&mut self, key: Key) -> bool {
        let Some(queue) = self.links.get_mut(key).and_then(|link| link.queue.as_mut()) else { return false };
        queue.owes_drain = !queue.is_empty();
        queue.owes_drain
    }

    /// Whether it is time for a drain that was put off, if it was not taken back.
    pub(super) fn owes_drain(&mut self, key: Key) -> bool {
        let Some(queue) = self.links.get_mut(key).and_then(|link| link.queue.as_mut()) else { return false };
        queue.is_empty() && core::mem::take(&mut queue.owes_drain) && self.is_draining(key)
    }

    /// So many messages less wait in a sender's queue: it is closed now if it was to be after them.
    pub(super) fn note_sent(&mut self, key: Key, count: usize) {
        let Some(link) = self.links.get(key) else { return };
        let (session, connection) = (link.session, link.connection);
        let drained =
            link.stage == Stage::Closing && link.queue.as_ref().is_none_or(|queue| queue.is_empty());
        if drained {
            self.closing.push(Closing { object: link.id(key).into(), how: How::Graceful });
        }
        self.forget_queued(connection, session, count);
    }

    fn flush_queue(&mut self, key: Key, sent: &mut usize) -> bool {
        loop {
            let Some(link) = self.links.get_mut(key) else { return false };
            if link.is_streaming {
                return link.stage == Stage::Open;
            }
            let (connection, settled) = (link.connection, link.sends_settled);
            let Some(id) = link.engine else { return false };
            if link.queue.as_ref().is_some_and(|queue| !queue.unresolved.is_empty()) {
                return false;
            }
            let next = link.queue.as_mut().and_then(|queue| queue.pop());
            let Some(next) = next else { return self.sender_credit(key) > 0 };
            let Ok(mut sender) = self.engine(connection).and_then(|engine| engine.sender(id)) else {
                return false;
            };
            let Queued { tag, message_format, payload, .. } = &next;
            match sender.send_parts((*tag).into(), settled, *message_format, &[], Some(payload)) {
                Ok(id) => {
                    *sent += 1;
                    self.retain(key, id.number(), *tag, *message_format, payload);
                }
                Err(error) if waits(error) => {
                    if let Some(queue) = self.links.get_mut(key).and_then(|link| link.queue.as_mut()) {
                        queue.put_back(next);
                    }
                    return false;
                }
                Err(error) => {
                    *sent += 1;
                    self.notices.push_back(Notice::NotSent(not_sent(key, next.tag.into(), error)));
                }
            }
        }
    }

    /// So many messages less wait: what was to be closed after them is closed now.
    pub(super) fn forget_queued(&mut self, connection: Key, session: Key, count: usize) {
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.queued -= count;
            if entry.queued == 0 && entry.stage == Stage::Closing {
                self.closing.push(Closing { object: SessionId(session).into(), how: How::Graceful });
            }
        }
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.queued -= count;
            if peer.queued == 0 && peer.stage == Stage::Closing {
                self.closing.push(Closing { object: ConnectionId(connection).into(), how: How::Graceful });
            }
        }
    }

    /// How many messages can be handed over now without being queued.
    pub(super) fn sender_credit(&mut self, key: Key) -> u32 {
        let Some(link) = self.links.get(key) else { return 0 };
        let queues = link.queue.as_ref().is_some_and(|queue| !queue.is_empty());
        if queues || link.is_refusing || link.stage != Stage::Open {
            return 0;
        }
        self.sender(key).map_or(0, |mut sender| if sender.is_sendable() { sender.credit() } else { 0 })
    }

    pub(super) fn start_message(
        &mut self,
        key: Key,
        message_format: u32,
        piece: Bytes,
    ) -> Result<DeliveryTag, SendRefused> {
        let (tag, sent) =
            self.try_send(key, |mut sender, tag, settled| sender.start(tag, settled, message_format, piece))?;
        if sent.is_none() {
            return Err(SendRefused::NotNow);
        }
        if let Some(link) = self.links.get_mut(key) {
            link.is_streaming = true;
        }
        Ok(tag.into())
    }

    pub(super) fn write_message(&mut self, key: Key, piece: Bytes) -> Result<(), SendRefused> {
        Ok(self.sender(key).map_err(SendError::from)?.write(piece)?)
    }

    pub(super) fn finish_message(&mut self, key: Key) -> Result<(), SendRefused> {
        self.sender(key).map_err(SendError::from)?.finish()?;
        if let Some(link) = self.links.get_mut(key) {
            link.is_streaming = false;
        }
        Ok(())
    }

    pub(super) fn abort_message(&mut self, key: Key) -> Result<(), SendRefused> {
        self.sender(key).map_err(SendError::from)?.abort().map_err(SendError::from)?;
        if let Some(link) = self.links.get_mut(key) {
            link.is_streaming = false;
        }
        Ok(())
    }
}

/// Whether a message that was not sent for this reason may be sent later: it is lost what it was to be sent on, which the
/// program is about to be told, or there is no room.
const fn waits(error: SendError) -> bool {
    use Misuse::{ConnectionClosed, LinkNotOpen, SessionNotOpen};
    matches!(
        error,
        SendError::Blocked(_) | SendError::Misuse(ConnectionClosed | SessionNotOpen | LinkNotOpen)
    )
}

/// Tells of a queued message that the link turned out not to take, as the receiver would have.
fn not_sent(link: Key, tag: DeliveryTag, error: SendError) -> Tracker {
    let condition = match error {
        SendError::TooLarge { .. } => condition::LINK_MESSAGE_SIZE_EXCEEDED,
        _ => condition::ILLEGAL_STATE,
    };
    let error = Error { condition, description: Some(format!("{error}").into()), info: None };
    Tracker {
        id: DeliveryId { link, life: 0, number: None },
        tag,
        state: Some(DeliveryState::Rejected(Some(Box::new(error)))),
        settled: true,
    }
}
