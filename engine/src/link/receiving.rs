//! How transfer frames become deliveries, and deliveries are settled (§2.6.12, §2.6.14).

use alloc::{boxed::Box, vec::Vec};

use bytes::Bytes;

use super::{DeliveryId, IncomingDelivery, LinkEnd, LinkEndpoint, insert_tag, settle};
use crate::{
    Connection, Event, LinkId, Misuse, Serial, SessionId, SessionState, Violation,
    arena::Key,
    codec::{ValueRef, composite::Fields, error::Place},
    message::Payload,
    session::SessionEndpoint,
    types::{DeliveryState, Handle, ReceiverSettleMode, SenderSettleMode, Transfer, condition},
};

/// So many transfers without payload, none of them the last, are taken in one delivery: a stream of them has no end
/// that a limit of bytes would find.
const EMPTY_FRAMES: u16 = 1024;

impl Connection {
    /// The payload that has arrived and was not taken.
    pub(super) fn take_payload(&mut self, id: DeliveryId) -> Payload {
        let (key, number) = (id.link().0, id.number());
        let Some(link) = self.links.get_mut(key) else { return Payload::new() };
        let session_key = link.session;
        let Some(session) = self.sessions.get_mut(session_key) else { return Payload::new() };
        let Some(delivery) = session.incoming.get_mut(number) else { return Payload::new() };
        let payload = core::mem::take(&mut delivery.payload);
        let unread = core::mem::take(&mut delivery.unread);
        if unread {
            session.window.released();
        }
        if delivery.complete && delivery.remote_settled {
            link.tags.remove(&delivery.tag);
            link.live -= 1;
            session.incoming.remove(number);
        }
        self.unread_bytes -= payload.len();
        self.unread_messages -= usize::from(unread);
        self.offer_window(session_key);
        payload
    }

    /// Tells the sender our state of a delivery, and settles it if so asked.
    pub(super) fn settle_incoming(
        &mut self,
        id: DeliveryId,
        state: Option<DeliveryState>,
        settled: bool,
    ) -> Result<(), Misuse> {
        let (key, number) = (id.link().0, id.number());
        if let Some(state) = &state {
            self.check_state_fits(state)?;
        }
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let session_key = link.session;
        let session = self.sessions.get_mut(session_key).ok_or(Misuse::Gone)?;
        let delivery = session.incoming.get_mut(number).ok_or(Misuse::Gone)?;
        if delivery.settled {
            return Err(Misuse::Settled);
        }
        if !delivery.remote_settled && session.state == SessionState::Mapped {
            if !settled {
                delivery.state.clone_from(&state);
            }
            session.as_receiver.push(number, settled, state);
            self.mark_session(session_key);
        }
        if settled {
            self.drop_incoming(key, number);
        }
        Ok(())
    }

    /// The delivery is settled: it goes, unless frames of it are still to come.
    fn drop_incoming(&mut self, key: Key, number: Serial) {
        let Some(link) = self.links.get_mut(key) else { return };
        let session_key = link.session;
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let Some(delivery) = session.incoming.get_mut(number) else { return };
        self.unread_bytes -= delivery.payload.len();
        if core::mem::take(&mut delivery.unread) {
            self.unread_messages -= 1;
            session.window.released();
        }
        if delivery.complete {
            link.tags.remove(&delivery.tag);
            link.live -= 1;
            session.incoming.remove(number);
        } else {
            delivery.payload = Payload::new();
            delivery.settled = true;
        }
        self.offer_window(session_key);
    }

    /// Takes a `transfer` (§2.7.5) on a session that receives.
    pub(crate) fn on_transfer(
        &mut self,
        session_key: Key,
        transfer: Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let judged = self.take_transfer(session_key, transfer, payload);
        self.offer_window(session_key);
        judged
    }

    #[inline]
    fn take_transfer(
        &mut self,
        session_key: Key,
        transfer: Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let session_id = SessionId(session_key);
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        if session.window.transfer_received().is_err() {
            let text = "transfer beyond the incoming window";
            return Err(Violation::session(session_id, condition::SESSION_WINDOW_VIOLATION, "2.5.6", text));
        }
        let Some(key) = session.incoming_handles.get(transfer.handle.0) else {
            let text = "transfer on a handle that is not attached";
            return Err(Violation::session(session_id, condition::SESSION_UNATTACHED_HANDLE, "2.7.5", text));
        };
        let link = self.links.get_mut(key).expect("handles are cleared when their link goes");
        let LinkEnd::Receiver(end) = &mut link.end else { return Err(wrong_way(session_id)) };
        let discards = link.sent_detach.is_some() || link.detach_due.is_some();
        let more = transfer.more && !transfer.aborted;
        if end.dropping {
            end.dropping = more;
            return Ok(());
        }
        let Some(number) = end.unfinished else {
            if let Some(id) = transfer.delivery_id {
                follow_delivery_id(session, session_id, id)?;
            }
            if discards {
                return self.discard_transfer(key, more);
            }
            if transfer.resume {
                // No attach of ours names unsettled deliveries, so there is none to be resumed.
                end.dropping = more;
                let _ = end.credit.received();
                return Ok(());
            }
            return match self.start_incoming(session_key, key, &transfer) {
                Ok(number) => self.continue_incoming(session_key, key, number, &transfer, payload),
                Err(violation) => {
                    self.drop_rest(key, more);
                    Err(violation)
                }
            };
        };
        if discards {
            if !more {
                end.unfinished = None;
                self.drop_unfinished(key, number);
            }
            return Ok(());
        }
        self.continue_incoming(session_key, key, number, &transfer, payload)
    }

    /// Takes a `transfer` whose tag is above 32 bytes: a fault of its link alone (§2.8.7), if there is one.
    pub(crate) fn on_overlong_tag(
        &mut self,
        session_key: Key,
        fields: &[u8],
    ) -> Option<Result<(), Box<Violation>>> {
        /// Only named in errors, which are dropped here.
        const PLACE: &Place = &Place { composite: "amqp:transfer:list", field: "handle" };
        let (_, mut fields) = Fields::parse(fields).ok()?;
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
        if has_failed && is_first {
            return Some(self.discard_transfer(key, more));
        }
        self.drop_rest(key, more);
        self.offer_window(session_key);
        let text = "delivery-tag above 32 bytes";
        Some(Err(Violation::link(LinkId(key), condition::INVALID_FIELD, "2.8.7", text)))
    }

    /// A new delivery on a link that we have detached: dropped, or an error where we told of an error (§2.6.5).
    fn discard_transfer(&mut self, key: Key, more: bool) -> Result<(), Box<Violation>> {
        let link = self.links.get(key).expect("the caller has looked it up");
        if link.has_failed() {
            let text = "transfer on a link that was detached with an error";
            let session = SessionId(link.session);
            return Err(Violation::session(session, condition::SESSION_ERRANT_LINK, "2.6.5", text));
        }
        self.drop_rest(key, more);
        Ok(())
    }

    /// The first transfer of a delivery was dropped; if there is more, that goes the same way: the peer sends it
    /// before it can know.
    fn drop_rest(&mut self, key: Key, more: bool) {
        if let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::receiver_mut) {
            end.dropping = more;
        }
    }

    /// Judges the first frame of a delivery and makes its record.
    #[inline]
    fn start_incoming(
        &mut self,
        session_key: Key,
        key: Key,
        transfer: &Transfer,
    ) -> Result<Serial, Box<Violation>> {
        let id = LinkId(key);
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        let link = self.links.get_mut(key).expect("the caller has looked it up");
        let invalid = |text| Violation::link(id, condition::INVALID_FIELD, "2.7.5", text);
        let number = transfer.delivery_id.ok_or_else(|| invalid("first transfer without delivery-id"))?;
        let tag = transfer.delivery_tag.ok_or_else(|| invalid("first transfer without delivery-tag"))?;
        let message_format =
            transfer.message_format.ok_or_else(|| invalid("first transfer without message-format"))?;
        let second = match (link.rcv_settle_mode, transfer.rcv_settle_mode) {
            (ReceiverSettleMode::First, Some(ReceiverSettleMode::Second))
                if transfer.settled != Some(true) =>
            {
                return Err(invalid("rcv-settle-mode second on a link that settles first"));
            }
            (mode, None) => mode == ReceiverSettleMode::Second,
            (_, Some(mode)) => mode == ReceiverSettleMode::Second,
        };
        let Some(end) = link.receiver_mut() else { unreachable!("the caller has checked the role") };
        if end.credit.received().is_err() {
            let text = "transfer without credit";
            return Err(Violation::link(id, condition::LINK_TRANSFER_LIMIT_EXCEEDED, "2.6.7", text));
        }
        end.available = end.available.saturating_sub(1);
        if session.incoming.len() >= self.config.limits.unsettled || !session.incoming.takes(number) {
            let text = "more unsettled deliveries than the limit";
            return Err(Violation::session(
                SessionId(session_key),
                condition::RESOURCE_LIMIT_EXCEEDED,
                "2.8.15",
                text,
            ));
        }
        let in_use = || {
            let deliveries = session.incoming.iter().filter(|(_, delivery)| delivery.link == key);
            deliveries.map(|(_, delivery)| delivery.tag).collect::<Vec<_>>()
        };
        if !insert_tag(&mut link.tags, &tag, in_use) {
            return Err(Violation::link(
                id,
                condition::INVALID_FIELD,
                "2.6.12",
                "delivery-tag of an unsettled delivery",
            ));
        }
        link.live += 1;
        session.incoming.push(
            number,
            IncomingDelivery {
                link: key,
                payload: Payload::new(),
                tag,
                message_format,
                size: 0,
                empty_frames: 0,
                complete: false,
                remote_settled: false,
                settled: false,
                second,
                reported: false,
                announced: false,
                unread: false,
                state: None,
                remote_state: None,
            },
        );
        Ok(number)
    }

    /// Adds a frame, first or further, to its delivery.
    #[inline]
    fn continue_incoming(
        &mut self,
        session_key: Key,
        key: Key,
        number: Serial,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let id = LinkId(key);
        let invalid = |text| Violation::link(id, condition::INVALID_FIELD, "2.7.5", text);
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        let link = self.links.get_mut(key).expect("the caller has looked it up");
        let delivery = session.incoming.get_mut(number).expect("held until its last frame");
        let complete = !transfer.more || transfer.aborted;
        if let LinkEnd::Receiver(end) = &mut link.end {
            end.unfinished = (!complete).then_some(number);
        }
        if transfer.delivery_id.is_some_and(|id| id != number) {
            return Err(invalid("delivery-id differs from the first transfer's"));
        }
        if transfer.delivery_tag.is_some_and(|tag| tag != delivery.tag) {
            return Err(invalid("delivery-tag differs from the first transfer's"));
        }
        if transfer.message_format.is_some_and(|format| format != delivery.message_format) {
            return Err(invalid("message-format differs from the first transfer's"));
        }
        if transfer.aborted {
            self.drop_unfinished(key, number);
            self.report_drained(key);
            return Ok(());
        }
        match transfer.settled {
            Some(true) if link.snd_settle_mode == SenderSettleMode::Unsettled => {
                return Err(invalid("settled transfer on a link whose sender settles last"));
            }
            Some(false) if delivery.remote_settled => {
                return Err(invalid("settled was true and is false again"));
            }
            Some(true) => delivery.remote_settled = true,
            Some(false) | None => {}
        }
        if complete && !settle::allows(link.snd_settle_mode, delivery.remote_settled) {
            return Err(invalid("unsettled transfer on a link whose sender settles first"));
        }
        delivery.size += payload.len() as u64;
        let too_many_empty = payload.is_empty() && !complete && {
            delivery.empty_frames = delivery.empty_frames.saturating_add(1);
            delivery.empty_frames > EMPTY_FRAMES
        };
        if too_many_empty || link.max_message_size().is_some_and(|max| delivery.size > max) {
            let text =
                if too_many_empty { "transfers without payload" } else { "message above max-message-size" };
            return Err(Violation::link(id, condition::LINK_MESSAGE_SIZE_EXCEEDED, "2.7.3", text));
        }
        if let Some(state) = &transfer.state {
            delivery.remote_state = Some(Box::new(state.clone()));
        }
        delivery.complete = complete;
        if delivery.settled {
            // We have settled it early: nobody wants the rest.
            if complete {
                self.drop_incoming(key, number);
            }
        } else {
            self.unread_bytes += payload.len();
            delivery.payload.push(payload);
            delivery.unread = complete;
            if complete {
                self.unread_messages += 1;
                session.window.hold();
            }
            delivery.announced = true;
            if !core::mem::replace(&mut delivery.reported, true) {
                self.events.push_back(Event::Delivery(DeliveryId::new(key, number)));
            }
        }
        self.report_drained(key);
        Ok(())
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

    /// The rest of the delivery will not come: its sender gave it up (§2.7.5 aborted), or the link was detached in the
    /// middle of it (§2.6.14).
    pub(crate) fn drop_unfinished(&mut self, key: Key, number: Serial) {
        let Some(session) = self.links.get(key).map(|link| link.session) else { return };
        let Some(session) = self.sessions.get_mut(session) else { return };
        let Some(delivery) = session.incoming.get_mut(number) else { return };
        delivery.complete = true;
        let announced = delivery.announced;
        self.drop_incoming(key, number);
        if announced {
            self.events.push_back(Event::Aborted(DeliveryId::new(key, number)));
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
        let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::receiver_mut) else { return };
        if end.credit.is_draining() && end.credit.link_credit() == 0 {
            end.credit.set_drain(false);
            self.events.push_back(Event::Drained(LinkId(key)));
        }
    }
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
