//! How transfer frames become deliveries, and deliveries are settled (§2.6.12, §2.6.14).

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::Bytes;

use super::{DeliveryId, LinkEnd, LinkEndpoint, delivery::Arrival, insert_tag, path::ReceivePath, settle};
use crate::{
    Connection, Event, LinkId, Serial, SessionId, Violation,
    arena::Key,
    codec::{Symbol, ValueRef, composite::FieldReader, error::Place},
    connection::Run,
    session::{SessionEndpoint, window::WindowViolation},
    types::{Handle, ReceiverSettleMode, Transfer, condition},
};

/// So many transfers without payload, none of them the last, are taken in one delivery: a stream of them has no end
/// that a limit of bytes would find.
const EMPTY_FRAMES: u16 = 1024;

impl Connection {
    /// Takes a `transfer` (§2.7.5) on a session that receives, and those that follow it on its link.
    #[inline(always)]
    pub(crate) fn on_transfer(
        &mut self,
        session_key: Key,
        mut transfer: Transfer,
        payload: Bytes,
        mut run: Run<'_>,
    ) -> Result<(), Box<Violation>> {
        let id = SessionId(session_key);
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        let Some(key) = session.incoming_handles.get(transfer.handle.0) else {
            count_transfer(session, id)?;
            let text = "transfer on a handle that is not attached";
            return Err(Violation::session(id, condition::SESSION_UNATTACHED_HANDLE, "2.7.5", text));
        };
        let Some(mut path) = self.receive_path(key) else { return Err(wrong_way(id)) };
        let mut judged = path.transfer(&transfer, payload);
        while judged.is_ok()
            && !path.common.trace.is_on()
            && let Some(payload) = path.take_plain(&mut transfer, &mut run)
        {
            judged = path.transfer(&transfer, payload);
        }
        path.offer_window();
        judged
    }

    /// Takes a `transfer` whose tag is above 32 bytes: a fault of its link alone (§2.8.7), if there is one.
    pub(crate) fn on_overlong_tag(
        &mut self,
        session_key: Key,
        fields: &[u8],
    ) -> Option<Result<(), Box<Violation>>> {
        /// Only named in errors, which are dropped here.
        const PLACE: &Place = &Place { composite: "amqp:transfer:list", field: "handle" };
        let (_, mut fields) = FieldReader::parse(fields).ok()?;
        let handle: Handle = fields.mandatory(PLACE).ok()?;
        let delivery_id: Option<Serial> = fields.optional(PLACE).ok()?;
        let session = self.sessions.get_mut(session_key)?;
        let key = session.incoming_handles.get(handle.0)?;
        session.window.transfer_received().ok()?;
        let link = self.links.get(key)?;
        let LinkEnd::Receiver(end) = &link.end else { return Some(Err(wrong_way(SessionId(session_key)))) };
        let is_first = end.unfinished.is_none() && !end.dropping;
        let has_failed = link.has_failed();
        if let Some(id) = delivery_id.filter(|_| is_first)
            && let Err(violation) = follow_delivery_id(session, SessionId(session_key), id)
        {
            return Some(Err(violation));
        }
        let _tag: Option<ValueRef<'_>> = fields.optional(PLACE).ok()?;
        let _message_format: Option<u32> = fields.optional(PLACE).ok()?;
        let _settled: Option<bool> = fields.optional(PLACE).ok()?;
        let more = fields.optional(PLACE).ok()?.unwrap_or(false);
        let mut path = self.receive_path(key)?;
        if has_failed && is_first {
            return Some(path.discard(more));
        }
        path.end().dropping = more;
        path.offer_window();
        let text = "delivery-tag above 32 bytes";
        Some(Err(Violation::link(LinkId(key), condition::INVALID_FIELD, "2.8.7", text)))
    }

    /// Has the session's room told to the peer, once there is enough of it.
    #[inline]
    pub(crate) fn offer_window(&mut self, session_key: Key) {
        if let Some(session) = self.sessions.get_mut(session_key)
            && session.window.wants_flow()
            && !session.flow_due
        {
            session.flow_due = true;
            self.mark_session(session_key);
        }
    }

    /// The rest of a delivery will not come: its link was detached in the middle of it (§2.6.14).
    pub(crate) fn drop_unfinished(&mut self, key: Key, number: Serial) {
        if let Some(mut path) = self.receive_path(key) {
            path.remember_unfinished(number);
            path.drop_unfinished(number);
        }
    }

    /// Nothing more comes on the links of a session, or of all sessions: what has arrived in part is dropped.
    pub(crate) fn drop_all_unfinished(&mut self, session: Option<Key>) {
        let unfinished = |(key, link): (Key, &LinkEndpoint)| match &link.end {
            LinkEnd::Receiver(end) => Some((key, end.unfinished?)),
            LinkEnd::Sender(_) => None,
        };
        let dropped: Vec<_> = match session {
            None => self.links.iter().filter_map(unfinished).collect(),
            Some(session) => {
                let links = self.sessions.get(session).into_iter().flat_map(|session| &session.links);
                links.filter_map(|&key| unfinished((key, self.links.get(key)?))).collect()
            }
        };
        for (key, number) in dropped {
            if let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::receiver_mut) {
                end.unfinished = None;
            }
            self.drop_unfinished(key, number);
        }
    }

    /// After a change of credit: a drain that has come to its end is told of.
    pub(crate) fn report_drained(&mut self, key: Key) {
        if let Some(mut path) = self.receive_path(key) {
            path.report_drained();
        }
    }
}

impl ReceivePath<'_> {
    #[cold]
    pub(super) fn fault(
        &self,
        condition: Symbol,
        section: &'static str,
        text: &'static str,
    ) -> Box<Violation> {
        Violation::link(LinkId(self.key), condition, section, text)
    }

    #[cold]
    pub(super) fn invalid(&self, text: &'static str) -> Box<Violation> {
        self.fault(condition::INVALID_FIELD, "2.7.5", text)
    }

    /// The rest of the delivery will not come: its sender gave it up (§2.7.5 aborted), or the link was detached in the
    /// middle of it (§2.6.14).
    fn drop_unfinished(&mut self, number: Serial) {
        let Some(index) = self.session.incoming.find(number) else { return };
        let Some(delivery) = self.session.incoming.at_mut(index) else { return };
        // What the user has settled early is over for it.
        let was_told = delivery.told.is_some() && !delivery.arrival.is_unwanted();
        delivery.arrival = Arrival::Taken;
        self.drop_delivery(index);
        if was_told {
            self.common.events.push(Event::Aborted(DeliveryId::new(self.key, number)));
        }
    }

    /// Takes one transfer.
    #[inline(never)]
    fn transfer(&mut self, transfer: &Transfer, payload: Bytes) -> Result<(), Box<Violation>> {
        count_transfer(self.session, SessionId(self.link.session))?;
        let discards = self.link.sent_detach.is_some() || self.link.detach_due.is_some();
        let more = transfer.more && !transfer.aborted;
        if self.end().dropping {
            self.end().dropping = more;
            return Ok(());
        }
        if let Some(number) = self.end().unfinished {
            if !discards {
                return self.continue_delivery(number, transfer, payload);
            }
            if !more {
                self.end().unfinished = None;
                self.drop_unfinished(number);
            }
            return Ok(());
        }
        if let Some(number) = transfer.delivery_id {
            follow_delivery_id(self.session, SessionId(self.link.session), number)?;
        }
        if discards {
            return self.discard(more);
        }
        if transfer.resume | self.link.incomplete_unsettled {
            return self.transfer_in_recovery(transfer, payload);
        }
        match self.start(transfer) {
            Ok((number, index)) => self.append(index, number, transfer, payload),
            Err(violation) => {
                self.end().dropping = more;
                Err(violation)
            }
        }
    }

    /// A new delivery on a link that we have detached: dropped with its rest, which the peer sends before it can know,
    /// or an error where we told of an error (§2.6.5).
    #[cold]
    fn discard(&mut self, more: bool) -> Result<(), Box<Violation>> {
        //= 2.6.5-03
        if self.link.has_failed() {
            let text = "transfer on a link that was detached with an error";
            let session = SessionId(self.link.session);
            return Err(Violation::session(session, condition::SESSION_ERRANT_LINK, "2.6.5", text));
        }
        self.end().dropping = more;
        Ok(())
    }

    /// Judges the first frame of a delivery and makes its record; gives its slot.
    #[inline(always)]
    fn start(&mut self, transfer: &Transfer) -> Result<(Serial, usize), Box<Violation>> {
        //= 2.7.5-03 2.7.5-06 2.7.5-07
        let Some(number) = transfer.delivery_id else {
            return Err(self.invalid("first transfer without delivery-id"));
        };
        let Some(tag) = &transfer.delivery_tag else {
            return Err(self.invalid("first transfer without delivery-tag"));
        };
        let Some(message_format) = transfer.message_format else {
            return Err(self.invalid("first transfer without message-format"));
        };
        let mode = transfer.rcv_settle_mode.unwrap_or(self.link.rcv_settle_mode);
        let second = mode == ReceiverSettleMode::Second;
        if second && self.link.rcv_settle_mode == ReceiverSettleMode::First && transfer.settled != Some(true)
        {
            return Err(self.invalid("rcv-settle-mode second on a link that settles first"));
        }
        if self.end().credit.received().is_err() {
            let text = "transfer without credit";
            return Err(self.fault(condition::LINK_TRANSFER_LIMIT_EXCEEDED, "2.6.7", text));
        }
        //= 2.6.7-09
        self.end().available = self.end().available.saturating_sub(1);
        let session = &mut *self.session;
        if session.incoming.len() >= self.common.config.limits.unsettled || !session.incoming.takes(number) {
            let text = "more unsettled deliveries than the limit";
            let id = SessionId(self.link.session);
            return Err(Violation::session(id, condition::RESOURCE_LIMIT_EXCEEDED, "2.8.15", text));
        }
        let key = self.key;
        let recoveries = &self.common.recoveries;
        let in_use = || {
            let deliveries = session.incoming.iter().filter(|(_, delivery)| delivery.link == key);
            let waiting = recoveries.get(&key).into_iter().flat_map(|recovery| recovery.tags());
            deliveries.map(|(_, delivery)| delivery.tag).chain(waiting).collect::<Vec<_>>()
        };
        //= 2.6.12-02
        if !insert_tag(&mut self.link.tags, tag, in_use) {
            let text = "delivery-tag of an unsettled delivery";
            return Err(self.fault(condition::INVALID_FIELD, "2.6.12", text));
        }
        self.link.live += 1;
        self.end().empty_frames = 0;
        let (slot, vacant) = self.session.incoming.vacant(number);
        vacant.begin(key, tag, message_format, second);
        Ok((number, slot))
    }

    /// Judges a further frame against the first.
    #[inline(never)]
    pub(super) fn continue_delivery(
        &mut self,
        number: Serial,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let index = self.session.incoming.find(number).expect("held until its last frame");
        let Some(delivery) = self.session.incoming.at_mut(index) else { return Ok(()) };
        let differs = if transfer.delivery_id.is_some_and(|id| id != number) {
            Some("delivery-id differs from the first transfer's")
        } else if transfer.delivery_tag.is_some_and(|tag| tag != delivery.tag) {
            Some("delivery-tag differs from the first transfer's")
        } else if transfer.message_format.is_some_and(|format| format != delivery.message_format) {
            Some("message-format differs from the first transfer's")
        } else if transfer.settled == Some(false) && delivery.remote_settled && !transfer.aborted {
            Some("settled was true and is false again")
        } else {
            None
        };
        match differs {
            None => self.append(index, number, transfer, payload),
            Some(text) => {
                self.end().unfinished = (transfer.more && !transfer.aborted).then_some(number);
                Err(self.invalid(text))
            }
        }
    }

    /// Adds a frame, first or further, to its delivery.
    #[inline(always)]
    fn append(
        &mut self,
        index: usize,
        number: Serial,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let complete = !transfer.more || transfer.aborted;
        let delivery = self.session.incoming.at_mut(index).expect("the caller has looked it up");
        let LinkEnd::Receiver(end) = &mut self.link.end else { return Ok(()) };
        end.unfinished = (!complete).then_some(number);
        //= 2.6.14-06 2.7.5-24
        if transfer.aborted {
            self.drop_unfinished(number);
            self.report_drained();
            return Ok(());
        }
        let mode = self.link.snd_settle_mode;
        //= 2.7.5-08 2.7.5-09
        if transfer.settled == Some(true) {
            if !settle::allows(mode, true) {
                return Err(self.invalid("settled transfer on a link whose sender settles last"));
            }
            delivery.remote_settled = true;
        }
        if complete && !delivery.remote_settled && !settle::allows(mode, false) {
            return Err(self.invalid("unsettled transfer on a link whose sender settles first"));
        }
        delivery.size += payload.len() as u64;
        if payload.is_empty() && !complete {
            end.empty_frames = end.empty_frames.saturating_add(1);
            if end.empty_frames > EMPTY_FRAMES {
                let text = "transfers without payload";
                return Err(self.fault(condition::LINK_MESSAGE_SIZE_EXCEEDED, "2.7.3", text));
            }
        }
        if self.link.max_message_size.is_some_and(|max| delivery.size > max.get()) {
            let text = "message above max-message-size";
            return Err(self.fault(condition::LINK_MESSAGE_SIZE_EXCEEDED, "2.7.3", text));
        }
        if let Some(state) = &transfer.state {
            delivery.remote_state = Some(Arc::from(state.clone()));
        }
        if delivery.arrival.is_unwanted() {
            if complete {
                delivery.arrival = Arrival::Taken;
                self.drop_delivery(index);
            }
        } else {
            self.common.untaken.bytes += payload.len();
            delivery.payload.push(payload);
            if complete {
                delivery.arrival = Arrival::Unread;
                self.common.untaken.messages += 1;
                self.session.window.hold(1);
            }
            if !self.common.events.waits(delivery.told) {
                delivery.told = self.common.events.push(Event::Delivery(DeliveryId::new(self.key, number)));
            }
        }
        self.report_drained();
        Ok(())
    }

    /// After a change of credit: a drain that has come to its end is told of.
    #[inline(always)]
    fn report_drained(&mut self) {
        let end = self.end();
        if end.credit.is_draining() && end.credit.link_credit() == 0 {
            end.credit.set_drain(false);
            self.common.events.push(Event::Drained(LinkId(self.key)));
        }
    }
}

/// Takes a transfer off the session's window (§2.5.6).
#[inline]
fn count_transfer(session: &mut SessionEndpoint, id: SessionId) -> Result<(), Box<Violation>> {
    session.window.transfer_received().map_err(|WindowViolation| {
        let text = "transfer beyond the incoming window";
        Violation::session(id, condition::SESSION_WINDOW_VIOLATION, "2.5.6", text)
    })
}

#[cold]
fn wrong_way(session: SessionId) -> Box<Violation> {
    let text = "transfer on a link whose receiver is the peer";
    Violation::session(session, condition::NOT_ALLOWED, "2.6.3", text)
}

/// Deliveries of one session count on from each other, whichever link they are on (§2.7.5).
#[inline]
fn follow_delivery_id(
    session: &mut SessionEndpoint,
    session_id: SessionId,
    delivery_id: Serial,
) -> Result<(), Box<Violation>> {
    if session.expected_delivery_id.is_some_and(|expected| expected != delivery_id) {
        let text = "delivery-id does not follow the one before";
        return Err(Violation::session(session_id, condition::INVALID_FIELD, "2.7.5", text));
    }
    session.expected_delivery_id = Some(delivery_id.next());
    Ok(())
}
