//! The sending end of a link: what its user calls, and how deliveries become transfer frames (§2.6.12, §2.6.14).

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::{
    DeliveryId, LinkEnd, LinkEndpoint, OutgoingDelivery, SenderEnd, insert_tag, link_accessors, settle,
};
use crate::{
    Blocked, Connection, Event, LinkId, LinkState, Misuse, SendError, Serial, SessionState,
    arena::Key,
    codec::hot::{TransferHead, write_transfer},
    message::Message,
    types::{DeliveryState, DeliveryTag, Handle},
};

/// A delivery of which more is to be written.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) number: Serial,
    /// What the peer's window did not take.
    pub(crate) rest: Bytes,
    /// The user has handed everything over.
    pub(crate) finished: bool,
}

/// Why the user of a sender was told, or will find out, that it cannot send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It can, and was told so.
    Nothing,
    /// For credit, or for the answer to the attach.
    Credit,
    /// For the session: its window, or room among the unsettled.
    Session,
    /// For the socket to take output.
    Output,
}

/// A payload up to this size is copied next to its transfer; a larger one rides behind as it is.
const COPY_UP_TO: usize = 1024;
/// Room for everything of a transfer frame but its payload.
const TRANSFER_HEAD: usize = 80;

/// One link of a [`Connection`] on which we send, borrowed for a statement.
///
/// Nothing is queued here: a message is taken and becomes frames at once, or is refused with what to wait for.
/// A delivery that was not sent settled stays until [`settle`](Self::settle), which every one of them needs.
#[derive(Debug)]
pub struct Sender<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) id: LinkId,
}

link_accessors!(Sender);

impl Sender<'_> {
    fn end(&self) -> &SenderEnd {
        match &self.endpoint().end {
            LinkEnd::Sender(end) => end,
            LinkEnd::Receiver(_) => unreachable!("the role was checked when the accessor was made"),
        }
    }

    /// Deliveries that the receiver still takes (§2.6.7).
    #[must_use]
    pub fn credit(&self) -> u32 {
        self.end().credit.link_credit()
    }

    /// Whether [`send`](Self::send) would take a message now.
    #[must_use]
    pub fn is_sendable(&self) -> bool {
        self.blocked().is_none()
    }

    /// What stands in the way of sending now.
    #[must_use]
    pub fn blocked(&self) -> Option<Blocked> {
        self.connection.blocked(self.id.0)
    }

    /// Sends the encoded message `payload` as one delivery of message-format 0 (§2.6.12).
    ///
    /// Up to 1 KiB is copied, more is shared. What the peer's window does not take at once goes out when it opens.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the message was not sent.
    pub fn send(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        self.send_format(tag, settled, 0, payload)
    }

    /// As [`send`](Self::send), with a message-format of the application's (§2.8.11).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_format(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let payload = payload.into();
        self.connection.check_send(self.id.0, settled, payload.len())?;
        self.connection.begin_delivery(self.id.0, &tag, settled, message_format, payload, true)
    }

    /// Encodes `message` straight into the output and sends it as one delivery. Large data at its end is shared.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        self.connection.check_send(self.id.0, settled, 0)?;
        self.connection.send_message(self.id.0, &tag, settled, message)
    }

    /// Starts a delivery that is written in pieces: the first transfer goes out with `piece` (§2.6.14).
    ///
    /// [`write`](Self::write) goes on with it, [`finish`](Self::finish) or [`abort`](Self::abort) ends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn start(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        piece: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let piece = piece.into();
        self.connection.check_send(self.id.0, settled, piece.len())?;
        self.connection.begin_delivery(self.id.0, &tag, settled, message_format, piece, false)
    }

    /// Writes a further piece of the delivery that was started.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started; [`SendError::Blocked`] while the window is closed or too
    /// much output waits: [`Event::Sendable`] tells when to go on.
    pub fn write(&mut self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        self.connection.continue_delivery(self.id.0, piece.into(), false)
    }

    /// Ends the delivery that was started; what the window did not take yet still goes out.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.connection.continue_delivery(self.id.0, Bytes::new(), true)
    }

    /// Gives up the delivery that was started; the receiver drops what it has of it, and it counts as settled.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started.
    pub fn abort(&mut self) -> Result<(), Misuse> {
        self.connection.abort_delivery(self.id.0)
    }

    /// A delivery that is not settled.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is settled, or of another link.
    pub fn delivery(&self, id: DeliveryId) -> Result<&OutgoingDelivery, Misuse> {
        let session = self.connection.sessions.get(self.endpoint().session).ok_or(Misuse::Gone)?;
        session.outgoing.get(id.number()).filter(|delivery| delivery.link == self.id.0).ok_or(Misuse::Gone)
    }

    /// Settles a delivery, with a last state of ours if the receiver should hear one, and forgets it: gives what the
    /// receiver has last told. The receiver is told unless it has settled already.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is settled, or of another link.
    pub fn settle(
        &mut self,
        id: DeliveryId,
        state: Option<DeliveryState>,
    ) -> Result<Option<DeliveryState>, Misuse> {
        if id.link() != self.id {
            return Err(Misuse::Gone);
        }
        self.connection.settle_outgoing(id, state)
    }

    /// Tells the receiver how many messages wait here for credit (§2.6.7 available).
    pub fn offered(&mut self, available: u32) {
        if let Some(end) = self.endpoint_mut().sender_mut() {
            end.available = available;
        }
        self.flow();
    }

    /// Gives all credit back: the answer to [`Event::Drain`] when there is no more to send (§2.6.7).
    pub fn drained(&mut self) {
        let Some(end) = self.endpoint_mut().sender_mut() else { return };
        end.credit.drained();
        end.waiting = Waiting::Credit;
        self.flow();
    }

    fn flow(&mut self) {
        self.endpoint_mut().flow_due = true;
        let id = self.id;
        self.connection.mark_link(id.0);
    }
}

impl Connection {
    /// What keeps a sender from sending now.
    #[inline]
    pub(crate) fn blocked(&self, key: Key) -> Option<Blocked> {
        let link = self.links.get(key)?;
        let LinkEnd::Sender(end) = &link.end else { return Some(Blocked::Attach) };
        let session = self.sessions.get(link.session)?;
        let open = session.state == SessionState::Mapped && session.end_due.is_none();
        if !open || link.state != LinkState::Attached || link.detach_due.is_some() {
            Some(Blocked::Attach)
        } else if end.unfinished.is_some() {
            Some(Blocked::Unfinished)
        } else if end.credit.link_credit() == 0 {
            Some(Blocked::Credit)
        } else if !session.window.can_send() {
            Some(Blocked::Window)
        } else if session.outgoing.len() >= self.config.limits.unsettled {
            Some(Blocked::Unsettled)
        } else if self.outbox.len() >= self.config.limits.output_high_water {
            Some(Blocked::Output)
        } else {
            None
        }
    }

    /// What keeps a sender from going on: with the delivery that its user has started, else with a new one.
    fn obstacle(&self, key: Key) -> Option<Blocked> {
        let link = self.links.get(key)?;
        let started = match &link.end {
            LinkEnd::Sender(end) => end.unfinished.as_ref().filter(|unfinished| !unfinished.finished),
            LinkEnd::Receiver(_) => None,
        };
        let Some(unfinished) = started else { return self.blocked(key) };
        let session = self.sessions.get(link.session)?;
        if !unfinished.rest.is_empty() || !session.window.can_send() {
            Some(Blocked::Window)
        } else if self.outbox.len() >= self.config.limits.output_high_water {
            Some(Blocked::Output)
        } else {
            None
        }
    }

    /// Tells the user of a sender that it can go on, if it can and was not told; else sees to it that it will be.
    pub(crate) fn wake_sender(&mut self, key: Key) {
        let blocked = self.obstacle(key);
        let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::sender_mut) else { return };
        match blocked {
            None if end.waiting != Waiting::Nothing => {
                end.waiting = Waiting::Nothing;
                self.events.push_back(Event::Sendable(LinkId(key)));
            }
            None => {}
            Some(blocked) => self.wait(key, blocked),
        }
    }

    fn wait(&mut self, key: Key, blocked: Blocked) {
        let waiting = match blocked {
            Blocked::Attach | Blocked::Credit => Waiting::Credit,
            Blocked::Window | Blocked::Unsettled | Blocked::Unfinished => Waiting::Session,
            Blocked::Output => Waiting::Output,
        };
        let Some(link) = self.links.get_mut(key) else { return };
        let session = link.session;
        let Some(end) = link.sender_mut() else { return };
        if core::mem::replace(&mut end.waiting, waiting) == waiting {
            return;
        }
        match waiting {
            Waiting::Output => self.waiting_for_output.push(key),
            Waiting::Session => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.waiting.push(key);
                }
            }
            Waiting::Nothing | Waiting::Credit => {}
        }
    }

    /// Whether a message of this size may be sent now; has the attach written if only that is missing.
    #[inline]
    fn check_send(&mut self, key: Key, settled: bool, len: usize) -> Result<(), SendError> {
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        if !link.is_usable() {
            return Err(Misuse::LinkNotOpen.into());
        }
        if !settle::allows(link.snd_settle_mode, settled) {
            return Err(SendError::SettleMode);
        }
        if let Some(max_message_size) = link.remote_max_message_size().filter(|&max| len as u64 > max) {
            return Err(SendError::TooLarge { max_message_size });
        }
        if link.attach_due {
            let session = link.session;
            self.write_session(session);
        }
        if let Some(blocked) = self.blocked(key) {
            self.wait(key, blocked);
            return Err(blocked.into());
        }
        Ok(())
    }

    /// Takes the tag, the delivery-id and the credit of a new delivery.
    #[inline]
    fn register_delivery(&mut self, key: Key, tag: &DeliveryTag, settled: bool) -> Result<Serial, SendError> {
        let link = self.links.get_mut(key).ok_or(Misuse::Gone)?;
        let session = self.sessions.get_mut(link.session).ok_or(Misuse::Gone)?;
        let in_use = || session.outgoing.iter().filter(|(_, d)| d.link == key).map(|(_, d)| d.tag).collect();
        if !insert_tag(&mut link.tags, tag, in_use) {
            return Err(SendError::TagInUse);
        }
        let number = session.next_delivery_id;
        session.next_delivery_id = number.next();
        if settled {
            link.tags.remove(tag);
        } else {
            link.live += 1;
            session.outgoing.push(
                number,
                OutgoingDelivery { link: key, tag: *tag, remote_settled: false, remote_state: None },
            );
        }
        if let Some(end) = link.sender_mut() {
            end.credit.sent();
        }
        Ok(number)
    }

    fn begin_delivery(
        &mut self,
        key: Key,
        tag: &DeliveryTag,
        settled: bool,
        message_format: u32,
        payload: Bytes,
        finished: bool,
    ) -> Result<DeliveryId, SendError> {
        let number = self.register_delivery(key, tag, settled)?;
        let whole = payload.len() + TRANSFER_HEAD <= self.outgoing_frame_size;
        let mut rest = payload;
        let piece = if whole {
            core::mem::take(&mut rest)
        } else {
            rest.split_to(self.outgoing_frame_size - TRANSFER_HEAD)
        };
        let head = TransferHead {
            delivery_id: Some(number),
            delivery_tag: Some(tag),
            message_format: Some(message_format),
            settled: Some(settled),
            more: !(whole && finished),
            ..TransferHead::default()
        };
        self.write_transfer(key, head, piece);
        if !(whole && finished) {
            if let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::sender_mut) {
                end.unfinished = Some(Unfinished { number, rest, finished });
            }
            self.write_unfinished(key);
        }
        self.after_send(key);
        Ok(DeliveryId::new(key, number))
    }

    fn send_message(
        &mut self,
        key: Key,
        tag: &DeliveryTag,
        settled: bool,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        let number = self.register_delivery(key, tag, settled)?;
        let (channel, handle) = self.route(key);
        let head = TransferHead {
            handle,
            delivery_id: Some(number),
            delivery_tag: Some(tag),
            message_format: Some(0),
            settled: Some(settled),
            ..TransferHead::default()
        };
        let mut start = 0;
        let mut tail = None;
        let range = self.outbox.frame(channel, |out| {
            write_transfer(out, &head);
            start = out.len();
            tail = message.encode_sharing(out);
        });
        let shared = tail.as_ref().map_or(0, Bytes::len);
        let size = range.end - start + shared;
        let max = self.links.get(key).and_then(LinkEndpoint::remote_max_message_size);
        let too_large = max.filter(|&max| size as u64 > max);
        if too_large.is_some() || range.len() + shared > self.outgoing_frame_size {
            // Rare: take the frame back, and send the encoded bytes in pieces or not at all.
            let mut payload = Vec::with_capacity(size);
            payload.extend_from_slice(self.outbox.bytes(start..range.end));
            payload.extend_from_slice(tail.as_deref().unwrap_or_default());
            self.outbox.truncate(&range);
            self.unregister_delivery(key, number, tag);
            return match too_large {
                Some(max_message_size) => Err(SendError::TooLarge { max_message_size }),
                None => self.begin_delivery(key, tag, settled, 0, payload.into(), true),
            };
        }
        if let Some(tail) = tail {
            self.outbox.share(&range, tail);
        }
        self.transfer_written(key, range);
        self.after_send(key);
        Ok(DeliveryId::new(key, number))
    }

    /// Takes back what [`register_delivery`](Self::register_delivery) did, before anything else was sent.
    fn unregister_delivery(&mut self, key: Key, number: Serial, tag: &DeliveryTag) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.tags.remove(tag);
        if let Some(end) = link.sender_mut() {
            end.credit.unsent();
        }
        if let Some(session) = self.sessions.get_mut(link.session) {
            session.next_delivery_id = number;
            if session.outgoing.remove(number).is_some() {
                link.live -= 1;
            }
        }
    }

    /// Our channel and handle of an attached link.
    fn route(&self, key: Key) -> (u16, Handle) {
        let Some(link) = self.links.get(key) else { return (0, Handle::default()) };
        let channel = self.sessions.get(link.session).and_then(|session| session.outgoing_channel);
        (channel.unwrap_or(0), Handle(link.handle.unwrap_or(0)))
    }

    /// Writes one transfer: a small payload is copied behind its head, a large one shared.
    fn write_transfer(&mut self, key: Key, mut head: TransferHead<'_>, payload: Bytes) {
        let (channel, handle) = self.route(key);
        head.handle = handle;
        let range = if payload.len() <= COPY_UP_TO {
            self.outbox.frame(channel, |out| {
                write_transfer(out, &head);
                out.extend_from_slice(&payload);
            })
        } else {
            let range = self.outbox.frame(channel, |out| write_transfer(out, &head));
            self.outbox.share(&range, payload);
            range
        };
        self.transfer_written(key, range);
    }

    fn transfer_written(&mut self, key: Key, range: Range<usize>) {
        self.trace_output(range);
        let session = self.links.get(key).map(|link| link.session);
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(session)) {
            session.window.transfer_sent();
        }
    }

    /// After a send: whoever cannot go on at once is told when it can.
    #[inline]
    fn after_send(&mut self, key: Key) {
        if let Some(blocked) = self.obstacle(key) {
            self.wait(key, blocked);
        }
    }

    fn unfinished_mut(&mut self, key: Key) -> Result<&mut Unfinished, Misuse> {
        let link = self.links.get_mut(key).ok_or(Misuse::Gone)?;
        if !link.is_usable() {
            return Err(Misuse::LinkNotOpen);
        }
        let unfinished = link.sender_mut().and_then(|end| end.unfinished.as_mut());
        unfinished.filter(|unfinished| !unfinished.finished).ok_or(Misuse::NothingStarted)
    }

    fn continue_delivery(&mut self, key: Key, piece: Bytes, finish: bool) -> Result<(), SendError> {
        let output_full = self.outbox.len() >= self.config.limits.output_high_water;
        let unfinished = self.unfinished_mut(key)?;
        if !piece.is_empty() {
            if !unfinished.rest.is_empty() {
                self.wait(key, Blocked::Window);
                return Err(Blocked::Window.into());
            }
            if output_full {
                self.wait(key, Blocked::Output);
                return Err(Blocked::Output.into());
            }
            unfinished.rest = piece;
        }
        unfinished.finished = finish;
        self.write_unfinished(key);
        self.wake_sender(key);
        Ok(())
    }

    /// Writes as much of an unfinished delivery as the window takes; the rest waits for it to open.
    pub(crate) fn write_unfinished(&mut self, key: Key) {
        loop {
            let Some(link) = self.links.get_mut(key) else { return };
            let Some(session) = self.sessions.get(link.session) else { return };
            let LinkEnd::Sender(end) = &mut link.end else { return };
            let Some(unfinished) = &mut end.unfinished else { return };
            if unfinished.rest.is_empty() && !unfinished.finished {
                return;
            }
            if !session.window.can_send() {
                self.wait(key, Blocked::Window);
                return;
            }
            let len = unfinished.rest.len().min(self.outgoing_frame_size - TRANSFER_HEAD);
            let piece = unfinished.rest.split_to(len);
            let more = !(unfinished.finished && unfinished.rest.is_empty());
            let head = TransferHead { more, ..TransferHead::default() };
            if !more {
                end.unfinished = None;
            }
            self.write_transfer(key, head, piece);
        }
    }

    fn abort_delivery(&mut self, key: Key) -> Result<(), Misuse> {
        let number = self.unfinished_mut(key)?.number;
        let head = TransferHead { aborted: true, ..TransferHead::default() };
        self.write_transfer(key, head, Bytes::new());
        if let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::sender_mut) {
            end.unfinished = None;
        }
        self.forget_outgoing(key, number);
        self.wake_sender(key);
        Ok(())
    }

    /// Drops a delivery from the unsettled: what was last told of it.
    fn forget_outgoing(&mut self, key: Key, number: Serial) -> Option<OutgoingDelivery> {
        let link = self.links.get_mut(key)?;
        let session = self.sessions.get_mut(link.session)?;
        let delivery = session.outgoing.remove(number)?;
        link.live -= 1;
        link.tags.remove(&delivery.tag);
        Some(delivery)
    }

    fn settle_outgoing(
        &mut self,
        id: DeliveryId,
        state: Option<DeliveryState>,
    ) -> Result<Option<DeliveryState>, Misuse> {
        let (key, number) = (id.link().0, id.number());
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let session = self.sessions.get(link.session).ok_or(Misuse::Gone)?;
        session.outgoing.get(number).filter(|delivery| delivery.link == key).ok_or(Misuse::Gone)?;
        let unfinished = matches!(&link.end, LinkEnd::Sender(end)
            if end.unfinished.as_ref().is_some_and(|unfinished| unfinished.number == number));
        if unfinished {
            return Err(Misuse::Unfinished);
        }
        let tell = matches!(session.state, SessionState::Mapped | SessionState::EndReceived);
        let full = session.outgoing.len() >= self.config.limits.unsettled;
        let session_key = link.session;
        let delivery = self.forget_outgoing(key, number).ok_or(Misuse::Gone)?;
        if tell && !delivery.remote_settled {
            if let Some(session) = self.sessions.get_mut(session_key) {
                session.as_sender.push(number, true, state);
            }
            self.mark_session(session_key);
        }
        if full {
            self.wake_session(session_key);
        }
        Ok(delivery.remote_state)
    }
}
