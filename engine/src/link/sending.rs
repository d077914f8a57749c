//! How deliveries become transfer frames (§2.6.12, §2.6.14).

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use bytes::Bytes;

use super::{
    Batch, DeliveryId, OutgoingDelivery, Told, insert_tag, path::SendPath, settle, transactional::POST_STATE,
};
use crate::{
    Blocked, Connection, Event, LinkId, LinkState, Misuse, SendError, Serial, SessionState,
    arena::Key,
    codec::{Encode, frame::FRAME_HEADER_LEN, hot::FirstTransfer},
    connection::check_state_fits,
    message::Message,
    transport::trace::Direction,
    txn::TxnId,
    types::{DeliveryState, DeliveryTag, Handle, Transfer},
};

/// A delivery of which more is to be written.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(super) number: Serial,
    /// Bytes handed over so far.
    pub(super) size: u64,
    /// What the peer's window did not take.
    pub(super) rest: Bytes,
    /// The user has handed everything over, or given the delivery up.
    pub(super) finished: bool,
    /// The user has given the delivery up.
    pub(super) aborted: bool,
    /// The transaction that it is posted in.
    pub(super) transaction: Option<TxnId>,
    /// The user has settled it, with this state: the receiver hears of it behind the last frame.
    pub(super) settlement: Option<Option<DeliveryState>>,
}

impl Unfinished {
    pub(super) fn new(number: Serial, size: u64, rest: Bytes, finished: bool) -> Self {
        Self { number, size, rest, finished, aborted: false, transaction: None, settlement: None }
    }
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
pub(super) const TRANSFER_HEAD: usize = 80;

impl Connection {
    /// What keeps a sender from sending now; its user is told when that is over.
    pub(super) fn blocked(&mut self, key: Key) -> Option<Blocked> {
        if self.is_closing() {
            return Some(Blocked::Attach);
        }
        let Some(mut path) = self.send_path(key) else { return Some(Blocked::Attach) };
        let blocked = path.blocked();
        if let Some(blocked) = blocked {
            path.wait(blocked);
        }
        blocked
    }

    /// Tells the user of a sender that it can go on, if it can and was not told; else sees to it that it will be.
    pub(crate) fn wake_sender(&mut self, key: Key) {
        if !self.is_closing()
            && let Some(mut path) = self.send_path(key)
        {
            path.wake();
        }
    }

    /// Wakes a sender that waits for `what`, and for nothing else meanwhile.
    pub(crate) fn wake_waiting(&mut self, key: Key, what: Waiting) {
        if !self.is_closing()
            && let Some(mut path) = self.send_path(key)
            && path.end().waiting == what
        {
            path.end().waiting = Waiting::Credit;
            path.wake();
        }
    }

    /// Writes as much of an unfinished delivery as the window takes; the rest waits for it to open.
    pub(crate) fn write_unfinished(&mut self, key: Key) {
        // A flow that arrives behind our close opens the window for nothing.
        if self.open_is_written()
            && let Some(mut path) = self.send_path(key)
        {
            path.write_unfinished();
        }
    }

    /// Sends the whole payload, or its first piece, as a new delivery.
    #[inline(never)]
    pub(super) fn send_payload(
        &mut self,
        key: Key,
        delivery: NewDelivery<'_>,
        payload: Bytes,
    ) -> Result<DeliveryId, SendError> {
        if let Some(mut path) = self.send_path(key).filter(SendPath::is_ready) {
            return path.send_payload(delivery, payload);
        }
        self.open_send_path(key)?.send_payload(delivery, payload)
    }

    /// The way out for several deliveries.
    pub(super) fn batch(&mut self, key: Key) -> Result<Batch<'_>, SendError> {
        let is_ready = self.send_path(key).is_some_and(|path| path.is_ready());
        let path = if is_ready { self.send_path(key) } else { Some(self.open_send_path(key)?) };
        Ok(Batch::new(path.ok_or(Misuse::Gone)?))
    }

    /// Sends a payload in two parts as a new delivery.
    pub(super) fn send_parts(
        &mut self,
        key: Key,
        delivery: NewDelivery<'_>,
        front: &[u8],
        tail: Option<&Bytes>,
    ) -> Result<DeliveryId, SendError> {
        if let Some(mut path) = self.send_path(key).filter(SendPath::is_ready) {
            return path.send_parts(delivery, front, tail);
        }
        self.open_send_path(key)?.send_parts(delivery, front, tail)
    }

    /// Encodes the message straight into the output as a new delivery.
    pub(super) fn send_message(
        &mut self,
        key: Key,
        delivery: NewDelivery<'_>,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        if let Some(mut path) = self.send_path(key).filter(SendPath::is_ready) {
            return path.send_message(delivery, message);
        }
        self.open_send_path(key)?.send_message(delivery, message)
    }

    /// The way out for one link, its attach written if only that is missing.
    #[inline(never)]
    pub(super) fn open_send_path(&mut self, key: Key) -> Result<SendPath<'_>, Misuse> {
        if self.is_closing() {
            return Err(Misuse::ConnectionClosed);
        }
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        if !link.is_usable() {
            return Err(Misuse::LinkNotOpen);
        }
        let session = link.session;
        if link.attach_due && self.open_is_written() {
            self.write_session(session);
        }
        let path = self.send_path(key).ok_or(Misuse::WrongRole)?;
        if path.session.is_usable() { Ok(path) } else { Err(Misuse::SessionNotOpen) }
    }

    /// Goes on with the delivery that was started.
    pub(super) fn continue_delivery(
        &mut self,
        key: Key,
        piece: Bytes,
        finish: bool,
    ) -> Result<(), SendError> {
        self.open_send_path(key)?.continue_delivery(piece, finish)
    }

    /// Gives up the delivery that was started.
    pub(super) fn abort_delivery(&mut self, key: Key) -> Result<(), Misuse> {
        self.open_send_path(key)?.abort()
    }

    /// Settles a delivery and forgets it: gives what the receiver has last told.
    #[inline(never)]
    pub(super) fn settle_outgoing(
        &mut self,
        id: DeliveryId,
        state: Option<DeliveryState>,
    ) -> Result<Option<DeliveryState>, Misuse> {
        if let Some(state) = &state {
            check_state_fits(state, self.common.outgoing_frame_size)?;
        }
        let mut path = self.send_path(id.link().0).ok_or(Misuse::Gone)?;
        let slot = path.find(id).ok_or(Misuse::Gone)?;
        let (session, was_full) = (path.link.session, path.is_unsettled_full());
        let told = if path.is_unfinished(id.number()) {
            path.settle_unfinished(slot, id.number(), state)?
        } else {
            path.settle(slot, id.number(), state.as_ref())
        };
        if was_full {
            self.wake_session(session);
        }
        Ok(told.into())
    }
}

/// What the first transfer of a delivery says of it.
#[derive(Clone, Copy)]
pub(super) struct NewDelivery<'a> {
    pub(super) tag: &'a DeliveryTag,
    pub(super) settled: bool,
    pub(super) message_format: u32,
    /// Whether all of its payload is handed over.
    pub(super) finished: bool,
}

impl SendPath<'_> {
    /// Whether transfers may be written: both sides have attached the link, and neither ends it or what it is part of.
    #[inline(always)]
    fn is_open(&self) -> bool {
        self.link.state == LinkState::Attached
            && self.link.detach_due.is_none()
            && self.session.state == SessionState::Mapped
            && self.session.end_due.is_none()
            && self.common.is_opened()
            && !self.common.is_closing()
    }

    /// Whether they may be written at once, behind our attach.
    #[inline(always)]
    fn is_ready(&self) -> bool {
        self.is_open() && !self.link.attach_due
    }

    /// What keeps the user from sending a new delivery now.
    #[inline(always)]
    pub(super) fn blocked(&self) -> Option<Blocked> {
        //= 2.6.13-09 2.7.3-14 2.7.3-X3
        if self.link.incomplete_unsettled { Some(Blocked::Recovery) } else { self.hindered() }
    }

    /// What keeps the user from sending any delivery now, new or resumed.
    #[inline(always)]
    pub(super) fn hindered(&self) -> Option<Blocked> {
        if !self.is_open() {
            Some(Blocked::Attach)
        } else if self.sender().unfinished.is_some() {
            //= 2.6.14-04
            Some(Blocked::Unfinished)
        } else {
            self.full()
        }
    }

    /// What has no room for one more delivery.
    #[inline(always)]
    fn full(&self) -> Option<Blocked> {
        if self.sender().credit.link_credit() == 0 {
            Some(Blocked::Credit)
        } else if !self.session.window.can_send() {
            Some(Blocked::Window)
        } else if self.is_unsettled_full() || !self.session.outgoing.takes(self.session.next_delivery_id) {
            Some(Blocked::Unsettled)
        } else if self.is_output_full() {
            Some(Blocked::Output)
        } else {
            None
        }
    }

    /// Whether the session holds as many unsettled deliveries as it may.
    #[inline(always)]
    pub(super) fn is_unsettled_full(&self) -> bool {
        self.session.outgoing.len() >= self.common.config.limits.unsettled
    }

    /// How many deliveries may be sent as far as the link and its session are concerned: none unless both are open.
    pub(super) fn room(&self) -> usize {
        if !self.is_ready() || self.sender().unfinished.is_some() || self.link.incomplete_unsettled {
            return 0;
        }
        let session = &*self.session;
        let credit = self.sender().credit.link_credit().min(session.window.remote_incoming_window());
        let unsettled = self.common.config.limits.unsettled.saturating_sub(session.outgoing.len());
        let ids = session.outgoing.room_for_ids(session.next_delivery_id);
        unsettled.min(credit.min(ids) as usize)
    }

    /// Whether so much waits for the socket that no more is to be written.
    #[inline(always)]
    pub(super) fn is_output_full(&self) -> bool {
        self.common.outbox.len() >= self.common.config.limits.output_high_water
    }

    /// What keeps the user from going on: with the delivery that it has started, else with a new one.
    #[inline]
    pub(super) fn obstacle(&self) -> Option<Blocked> {
        let unfinished = self.sender().unfinished.as_ref();
        let Some(unfinished) = unfinished.filter(|unfinished| !unfinished.finished) else {
            return self.hindered();
        };
        if !unfinished.rest.is_empty() || !self.session.window.can_send() {
            Some(Blocked::Window)
        } else if self.is_output_full() {
            Some(Blocked::Output)
        } else {
            None
        }
    }

    fn wake(&mut self) {
        match self.obstacle() {
            Some(blocked) => self.wait(blocked),
            None => {
                if self.end().waiting != Waiting::Nothing {
                    self.end().waiting = Waiting::Nothing;
                    self.common.events.push(Event::Sendable(LinkId(self.key)));
                }
            }
        }
    }

    /// After a whole delivery was sent: whoever cannot go on at once is told when it can.
    #[inline(always)]
    pub(super) fn wait_if_full(&mut self) {
        if let Some(blocked) = self.full() {
            self.wait(blocked);
        }
    }

    #[inline(never)]
    pub(super) fn wait(&mut self, blocked: Blocked) {
        let waiting = match blocked {
            Blocked::Attach | Blocked::Credit | Blocked::Recovery => Waiting::Credit,
            Blocked::Window | Blocked::Unsettled | Blocked::Unfinished => Waiting::Session,
            Blocked::Output => Waiting::Output,
        };
        self.end().waiting = waiting;
        match waiting {
            Waiting::Output if !core::mem::replace(&mut self.link.waits_for_output, true) => {
                self.common.waiting_for_output.push(self.key);
            }
            Waiting::Session if !core::mem::replace(&mut self.link.waits_for_session, true) => {
                self.session.waiting.push(self.key);
            }
            _ => {}
        }
    }

    #[cold]
    pub(super) fn refuse(&mut self, blocked: Blocked) -> SendError {
        self.wait(blocked);
        blocked.into()
    }

    /// Whether a message of this size may be sent now.
    #[inline(always)]
    pub(super) fn check(&mut self, settled: bool, len: usize) -> Result<(), SendError> {
        if let Some(blocked) = self.blocked() {
            return Err(self.refuse(blocked));
        }
        if !settle::allows(self.link.snd_settle_mode, settled) {
            return Err(SendError::SettleMode);
        }
        self.check_size(len as u64)
    }

    #[inline]
    pub(super) fn check_size(&self, size: u64) -> Result<(), SendError> {
        match self.link.max_message_size {
            Some(max) if size > max.get() => Err(SendError::TooLarge { max_message_size: max.get() }),
            _ => Ok(()),
        }
    }

    /// Takes the tag, the delivery-id and the credit of a new delivery.
    #[inline(always)]
    pub(super) fn register(&mut self, tag: &DeliveryTag, settled: bool) -> Result<Serial, SendError> {
        let (key, outgoing) = (self.key, &self.session.outgoing);
        let recoveries = &self.common.recoveries;
        let in_use = || {
            let held = outgoing.iter().filter(|(_, d)| d.link == key).map(|(_, d)| d.tag);
            let waiting = recoveries.get(&key).into_iter().flat_map(|recovery| recovery.tags());
            held.chain(waiting).collect()
        };
        //= 2.6.12-02
        if !insert_tag(&mut self.link.tags, tag, in_use) {
            return Err(SendError::TagInUse);
        }
        let number = self.session.next_delivery_id;
        self.session.next_delivery_id = number.next();
        if settled {
            self.link.tags.remove(tag);
        } else {
            self.link.live += 1;
            self.session.outgoing.push(
                number,
                OutgoingDelivery { link: key, tag: *tag, remote_settled: false, remote_state: Told::Nothing },
            );
        }
        self.end().credit.sent();
        Ok(number)
    }

    /// Takes back what [`register`](Self::register) did, before anything else was sent.
    fn unregister(&mut self, number: Serial) {
        self.end().credit.unsent();
        self.session.next_delivery_id = number;
        self.forget(number);
    }

    /// The slot of a delivery of this link.
    #[inline(always)]
    pub(super) fn find(&self, id: DeliveryId) -> Option<usize> {
        let slot = self.session.outgoing.find(id.number())?;
        self.session.outgoing.at(slot).filter(|delivery| delivery.link == self.key)?;
        Some(slot)
    }

    /// Whether more of a delivery is to be written.
    #[inline(always)]
    pub(super) fn is_unfinished(&self, number: Serial) -> bool {
        self.sender().unfinished.as_ref().is_some_and(|unfinished| unfinished.number == number)
    }

    /// Settles a delivery that is written and forgets it: gives what the receiver has last told. The receiver hears of it
    /// unless it has settled already.
    #[inline(always)]
    pub(super) fn settle(&mut self, slot: usize, number: Serial, state: Option<&DeliveryState>) -> Told {
        let Some(delivery) = self.session.outgoing.at_mut(slot) else { return Told::Nothing };
        let told = core::mem::take(&mut delivery.remote_state);
        let tell = !delivery.remote_settled
            && matches!(self.session.state, SessionState::Mapped | SessionState::EndReceived);
        self.link.tags.remove(&delivery.tag);
        self.link.live -= 1;
        self.session.outgoing.remove(slot);
        if tell {
            self.session.as_sender.push(number, true, state);
            self.common.mark_session(self.link.session, self.session);
        }
        told
    }

    /// The same for a delivery of which more is to be written, if the receiver has told what becomes of it.
    ///
    /// The rest goes out all the same: a receiver that accepts the message counts on it. It hears that we have settled only
    /// behind that, since each transfer says that we have not (§2.7.5 settled).
    #[cold]
    pub(super) fn settle_unfinished(
        &mut self,
        slot: usize,
        number: Serial,
        state: Option<DeliveryState>,
    ) -> Result<Told, Misuse> {
        let is_over = |delivery: &&mut OutgoingDelivery| {
            // In a transaction or not.
            let outcome = delivery.remote_state().and_then(DeliveryState::outcome);
            delivery.remote_settled || outcome.is_some()
        };
        let delivery = self.session.outgoing.at_mut(slot).filter(is_over);
        let delivery = delivery.ok_or(Misuse::Unfinished)?;
        let told = core::mem::take(&mut delivery.remote_state);
        let tell = !delivery.remote_settled;
        self.forget(number);
        if let Some(unfinished) = &mut self.end().unfinished {
            unfinished.settlement = tell.then_some(state);
        }
        Ok(told)
    }

    fn forget(&mut self, number: Serial) {
        let Some(slot) = self.session.outgoing.find(number) else { return };
        if let Some(delivery) = self.session.outgoing.at_mut(slot) {
            delivery.remote_state = Told::Nothing;
            self.link.live -= 1;
            self.link.tags.remove(&delivery.tag);
            self.session.outgoing.remove(slot);
        }
    }

    /// The first transfer of a delivery.
    //= 2.6.12-01 2.7.5-03 2.7.5-06 2.7.5-07 2.7.5-20
    #[inline(always)]
    fn first<'a>(&self, number: Serial, delivery: &NewDelivery<'a>, more: bool) -> FirstTransfer<'a> {
        FirstTransfer {
            handle: self.handle(),
            delivery_id: number,
            delivery_tag: delivery.tag,
            message_format: delivery.message_format,
            settled: delivery.settled,
            more,
        }
    }

    /// Our handle and, below, our channel: an attached link on a mapped session has both.
    #[inline]
    pub(super) fn handle(&self) -> Handle {
        Handle(self.link.handle.unwrap_or_default())
    }

    #[inline]
    fn channel(&self) -> u16 {
        self.session.outgoing_channel.unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn send_payload(
        &mut self,
        delivery: NewDelivery<'_>,
        payload: Bytes,
    ) -> Result<DeliveryId, SendError> {
        self.check(delivery.settled, payload.len())?;
        let number = self.register(delivery.tag, delivery.settled)?;
        if delivery.finished && payload.len() + TRANSFER_HEAD <= self.common.outgoing_frame_size {
            self.write_whole(number, &delivery, payload);
            self.wait_if_full();
        } else {
            self.send_in_pieces(number, delivery, &[], payload);
        }
        Ok(DeliveryId::new(self.key, number))
    }

    /// Writes a delivery of one transfer.
    #[inline(always)]
    pub(super) fn write_whole(&mut self, number: Serial, delivery: &NewDelivery<'_>, payload: Bytes) {
        let first = self.first(number, delivery, false);
        if payload.len() > COPY_UP_TO {
            return self.write_transfer(|out| first.write(out), payload);
        }
        let range = self.common.outbox.first_transfer(self.channel(), &first, &payload);
        self.transfer_written(range);
    }

    /// Sends a whole payload in one part or two, of which the first is copied.
    #[inline]
    fn send_parts(
        &mut self,
        delivery: NewDelivery<'_>,
        front: &[u8],
        tail: Option<&Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let size = front.len() + tail.map_or(0, Bytes::len);
        self.check(delivery.settled, size)?;
        let number = self.register(delivery.tag, delivery.settled)?;
        let frame_size = self.common.outgoing_frame_size;
        if size + TRANSFER_HEAD <= frame_size {
            let first = self.first(number, &delivery, false);
            let shared = tail.filter(|tail| tail.len() >= COPY_UP_TO);
            let copied: &[u8] = tail.filter(|_| shared.is_none()).map_or(&[], |tail| tail);
            let range = self.common.outbox.frame(self.channel(), |out| {
                first.write(out);
                out.extend_from_slice(front);
                out.extend_from_slice(copied);
            });
            if let Some(shared) = shared {
                self.common.outbox.share(&range, shared.clone());
            }
            self.transfer_written(range);
            self.wait_if_full();
        } else if front.len() + TRANSFER_HEAD <= frame_size {
            self.send_in_pieces(number, delivery, front, tail.cloned().unwrap_or_default());
        } else {
            let payload = [front, tail.map_or(&[], |tail| tail)].concat();
            self.send_in_pieces(number, delivery, &[], payload.into());
        }
        Ok(DeliveryId::new(self.key, number))
    }

    /// Sends the first piece of a delivery that needs more than one transfer, and what follows it as far as it may.
    /// `front`, which fits the first, is copied.
    #[inline(never)]
    fn send_in_pieces(&mut self, number: Serial, delivery: NewDelivery<'_>, front: &[u8], mut rest: Bytes) {
        let size = (front.len() + rest.len()) as u64;
        let room = self.common.outgoing_frame_size - TRANSFER_HEAD - front.len();
        let piece = rest.split_to(rest.len().min(room));
        let first = self.first(number, &delivery, true);
        let head = |out: &mut Vec<u8>| {
            first.write(out);
            out.extend_from_slice(front);
        };
        self.write_transfer(head, piece);
        let finished = delivery.finished;
        self.end().unfinished = Some(Box::new(Unfinished::new(number, size, rest, finished)));
        self.write_unfinished();
        if let Some(blocked) = self.obstacle() {
            self.wait(blocked);
        }
    }

    /// Writes a delivery whose first transfer says more than most.
    #[cold]
    pub(super) fn write_delivery(
        &mut self,
        number: Serial,
        first: Transfer,
        mut rest: Bytes,
        transaction: Option<TxnId>,
    ) {
        let size = rest.len() as u64;
        let mut head = Vec::new();
        let first = Transfer { more: true, ..first };
        first.encode(&mut head);
        let room = self.common.outgoing_frame_size.saturating_sub(FRAME_HEADER_LEN + head.len());
        let piece = rest.split_to(rest.len().min(room));
        let first = Transfer { more: !rest.is_empty(), ..first };
        let more = first.more;
        self.write_transfer(|out| first.encode(out), piece);
        if more {
            let unfinished = Unfinished { transaction, ..Unfinished::new(number, size, rest, true) };
            self.end().unfinished = Some(Box::new(unfinished));
            self.write_unfinished();
        }
        if let Some(blocked) = self.obstacle() {
            self.wait(blocked);
        }
    }

    #[inline]
    pub(super) fn send_message(
        &mut self,
        delivery: NewDelivery<'_>,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        self.check(delivery.settled, 0)?;
        let number = self.register(delivery.tag, delivery.settled)?;
        self.write_message(number, delivery, message)?;
        self.wait_if_full();
        Ok(DeliveryId::new(self.key, number))
    }

    /// Writes a delivery that was registered, or takes it back when it is larger than the receiver takes.
    #[inline(always)]
    pub(super) fn write_message(
        &mut self,
        number: Serial,
        delivery: NewDelivery<'_>,
        message: &Message,
    ) -> Result<(), SendError> {
        let first = self.first(number, &delivery, false);
        let mut start = 0;
        let mut tail = None;
        let range = self.common.outbox.frame(self.channel(), |out| {
            first.write(out);
            start = out.len();
            tail = message.encode_sharing(out);
        });
        let shared = tail.as_ref().map_or(0, Bytes::len);
        let size = range.end - start + shared;
        if let Err(too_large) = self.check_size(size as u64) {
            self.common.outbox.truncate(&range);
            self.unregister(number);
            return Err(too_large);
        }
        if range.len() + shared > self.common.outgoing_frame_size {
            // Take the frame back, and send what it held in pieces.
            let mut front = self.common.outbox.bytes(start..range.end).to_vec();
            self.common.outbox.truncate(&range);
            match tail {
                Some(tail) if front.len() + TRANSFER_HEAD <= self.common.outgoing_frame_size => {
                    self.send_in_pieces(number, delivery, &front, tail);
                }
                tail => {
                    front.extend_from_slice(tail.as_deref().unwrap_or_default());
                    self.send_in_pieces(number, delivery, &[], front.into());
                }
            }
            return Ok(());
        }
        if let Some(tail) = tail {
            self.common.outbox.share(&range, tail);
        }
        self.transfer_written(range);
        Ok(())
    }

    /// Writes one transfer: a small payload is copied behind it, a large one shared.
    #[inline(always)]
    pub(super) fn write_transfer(&mut self, transfer: impl FnOnce(&mut Vec<u8>), payload: Bytes) {
        let copied = if payload.len() <= COPY_UP_TO { payload.as_ref() } else { &[] };
        let range = self.common.outbox.frame(self.channel(), |out| {
            transfer(out);
            out.extend_from_slice(copied);
        });
        if payload.len() > COPY_UP_TO {
            self.common.outbox.share(&range, payload);
        }
        self.transfer_written(range);
    }

    #[inline]
    fn transfer_written(&mut self, range: Range<usize>) {
        if self.common.trace.is_on() {
            self.common.trace.frame(Direction::Out, self.common.outbox.bytes(range));
        }
        self.session.window.transfer_sent();
    }

    /// The delivery that the user has started and not finished.
    fn started(&mut self) -> Result<&mut Unfinished, Misuse> {
        let unfinished = self.end().unfinished.as_deref_mut();
        unfinished.filter(|unfinished| !unfinished.finished).ok_or(Misuse::NothingStarted)
    }

    fn continue_delivery(&mut self, piece: Bytes, finish: bool) -> Result<(), SendError> {
        let output_full = self.is_output_full();
        let size = self.started()?.size + piece.len() as u64;
        self.check_size(size)?;
        if !piece.is_empty() {
            if !self.started()?.rest.is_empty() {
                return Err(self.refuse(Blocked::Window));
            }
            if output_full {
                return Err(self.refuse(Blocked::Output));
            }
            self.started()?.rest = piece;
        }
        let unfinished = self.started()?;
        unfinished.size = size;
        unfinished.finished = finish;
        self.write_unfinished();
        self.wake();
        Ok(())
    }

    pub(super) fn write_unfinished(&mut self) {
        loop {
            let (handle, frame_size) = (self.handle(), self.common.outgoing_frame_size);
            let opens = self.session.window.can_send();
            let end = self.end();
            let Some(unfinished) = &mut end.unfinished else { return };
            if unfinished.rest.is_empty() && !unfinished.finished {
                return;
            }
            if !opens {
                return self.wait(Blocked::Window);
            }
            let transaction = unfinished.transaction;
            let state_size = if transaction.is_some() { POST_STATE } else { 0 };
            let len = unfinished.rest.len().min(frame_size - TRANSFER_HEAD - state_size);
            let piece = unfinished.rest.split_to(len);
            let more = !(unfinished.finished && unfinished.rest.is_empty());
            let aborted = unfinished.aborted;
            let number = unfinished.number;
            // What is given up is settled with that.
            let settlement = unfinished.settlement.take_if(|_| !more && !aborted);
            if !more {
                end.unfinished = None;
            }
            //= 4.4.1-02
            let state = transaction.map(|txn_id| txn_id.state(None).into());
            let transfer = Transfer { more, aborted, state, ..Transfer::new(handle) };
            self.write_transfer(|out| transfer.encode(out), piece);
            if let Some(state) = settlement {
                self.session.as_sender.push(number, true, state.as_ref());
                self.common.mark_session(self.link.session, self.session);
            }
        }
    }

    fn abort(&mut self) -> Result<(), Misuse> {
        let unfinished = self.started()?;
        unfinished.rest = Bytes::new();
        (unfinished.finished, unfinished.aborted) = (true, true);
        let number = unfinished.number;
        self.forget(number);
        self.write_unfinished();
        self.wake();
        Ok(())
    }
}
