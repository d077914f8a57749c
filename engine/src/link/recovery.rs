//! Links that are resumed with their unsettled deliveries (§2.6.13): both maps, and how deliveries find back into the
//! session. What is to become of each stands in `resume.rs`.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use bytes::Bytes;

use super::{
    DeliveryId, KeptAttach, OutgoingDelivery, RemoteUnsettled, Resumption, Told, UnsettledMap,
    delivery::Arrival,
    insert_tag,
    path::{ReceivePath, SendPath},
    resume::{Remote, reconcile},
    settle,
};
use crate::{
    Blocked, Connection, Event, LinkState, Misuse, SendError, Serial, SessionId, SessionState, Violation,
    arena::Key,
    codec::{Encode, Fields},
    connection::check_state_fits,
    types::{Attach, DeliveryState, DeliveryTag, Received, ReceiverSettleMode, Role, Transfer, condition},
};

/// What a link that is resumed has not gone on with yet.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// Our deliveries that have no delivery-id in this session.
    local: UnsettledMap,
    /// Our attach did not name them all.
    is_cut: bool,
    /// The peer's map, once it has attached.
    remote: Option<RemoteMap>,
}

/// The unsettled map of a peer's attach.
#[derive(Debug)]
pub(crate) struct RemoteMap {
    map: RemoteUnsettled,
    is_incomplete: bool,
}

impl RemoteMap {
    /// Takes and judges what a peer's attach says; gives the condition and the words for what is wrong with it.
    pub(crate) fn take(
        attach: &mut Attach,
        limit: usize,
    ) -> Result<Self, (crate::codec::Symbol, &'static str)> {
        let fields = attach.unsettled.take().unwrap_or_default();
        if fields.len() > limit {
            return Err((condition::RESOURCE_LIMIT_EXCEEDED, "more unsettled deliveries than the limit"));
        }
        let map = RemoteUnsettled::new(fields).map_err(|invalid| (condition::INVALID_FIELD, invalid.0))?;
        Ok(Self { map, is_incomplete: attach.incomplete_unsettled })
    }
}

impl Recovery {
    /// Our deliveries that have no delivery-id in this session.
    pub(crate) const fn unsettled(&self) -> &UnsettledMap {
        &self.local
    }

    fn is_done(&self) -> bool {
        self.local.is_empty() && self.remote.is_some() && !self.is_incomplete()
    }

    /// Whether a map was incomplete, and no new delivery may be sent.
    //= 2.6.13-09 2.7.3-14 2.7.3-X3
    fn forbids_new(&self, role: Role) -> bool {
        self.is_cut || (role == Role::Sender && self.is_incomplete())
    }

    fn is_incomplete(&self) -> bool {
        self.is_cut || self.remote.as_ref().is_some_and(|remote| remote.is_incomplete)
    }

    /// What is to become of a delivery that we sent.
    fn resumption(&self, tag: &DeliveryTag) -> Option<Resumption> {
        let local = self.local.get(tag)?;
        let said = self.remote.as_ref().map(|remote| (remote.map.get(tag), remote.is_incomplete));
        let remote = match &said {
            Some((Some(state), _)) => Remote::State(state.as_ref()),
            None | Some((None, true)) => Remote::Unsaid,
            Some((None, false)) => Remote::Absent,
        };
        Some(reconcile(local, remote))
    }

    /// Their tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = DeliveryTag> {
        self.local.iter().map(|(tag, _)| *tag)
    }

    /// Our deliveries, and what is to become of each: also where a map was incomplete, to reduce them.
    //= 2.6.13-07
    pub(crate) fn resumptions(&self) -> impl Iterator<Item = (DeliveryTag, Resumption)> {
        self.local.iter().filter_map(|(tag, _)| Some((*tag, self.resumption(tag)?)))
    }

    /// The receiver compares: what the sender does not name it has settled. Gives the tags of that, which are free again.
    //= 2.6.12-12 2.6.13-04
    fn forget_settled(&mut self) -> Vec<DeliveryTag> {
        let Some(remote) = self.remote.as_ref().filter(|remote| !remote.is_incomplete) else {
            return Vec::new();
        };
        let settled = self.local.iter().map(|(tag, _)| *tag).filter(|tag| !remote.map.contains(tag));
        let settled: Vec<_> = settled.collect();
        self.local.retain(|tag| remote.map.contains(tag));
        settled
    }
}

/// Leaves entries out of an attach's unsettled map until it fits a frame body of so many bytes: whether it does.
//= 2.7.3-09 2.7.3-10
pub(crate) fn cut_unsettled(attach: &mut Attach, room: usize) -> bool {
    /// List and map may need the long encoding of their sizes.
    const WIDENED: usize = 16;
    let Some(whole) = attach.unsettled.replace(Fields::new()) else { return false };
    attach.incomplete_unsettled = true;
    let mut len = encoded_len(attach) + WIDENED;
    let mut fitting = Fields::new();
    for (key, value) in whole.iter() {
        len += encoded_len(&key) + encoded_len(&value);
        if len > room {
            break;
        }
        fitting.push(&key, &value);
    }
    attach.unsettled = Some(fitting);
    encoded_len(attach) <= room
}

fn encoded_len(value: &impl Encode) -> usize {
    let mut out = Vec::new();
    value.encode(&mut out);
    out.len()
}

impl Connection {
    /// What a link is to be attached with, besides what the user says: deliveries that this side still knows, where it or
    /// the peer resumes the link. A plain attach goes on with them as they are (§2.6.4).
    //= 2.6.3-05 2.6.13-01 2.6.13-08 2.7.3-12
    pub(crate) fn unsettled_to_attach(&self, key: Key, attach: &Attach) -> Option<UnsettledMap> {
        let link = self.links.get(key)?;
        if attach.source.is_none() && attach.target.is_none() {
            return None;
        }
        let unresolved = self.common.recoveries.contains_key(&key);
        let is_answer = link.state != LinkState::Detached;
        let peer_resumes = || {
            let remote = link.remote_attach.as_ref().and_then(KeptAttach::read);
            remote.is_some_and(|remote| remote.unsettled.is_some())
        };
        let resumes = match (unresolved, link.live > 0) {
            (false, false) => false,
            (true, false) => true,
            // A peer that goes on with the link as it was counts on the delivery-ids.
            (unresolved, true) => {
                if is_answer {
                    peer_resumes()
                } else {
                    unresolved
                }
            }
        };
        resumes.then(|| self.unsettled_of(key))
    }

    /// Our attach of this link, with this map, is on its way.
    pub(crate) fn begin_recovery(&mut self, key: Key, unsettled: Option<UnsettledMap>, is_cut: bool) {
        self.common.recoveries.remove(&key);
        let Some(local) = unsettled else {
            let Some(link) = self.links.get(key) else { return };
            if link.incomplete_unsettled {
                self.take_remote_map(key, None);
            }
            return;
        };
        self.drop_deliveries(key);
        let Some(link) = self.links.get_mut(key) else { return };
        let mut tags: Vec<_> = local.iter().map(|(tag, _)| *tag).collect();
        // Where the sender counts, in its order.
        tags.sort_unstable_by_key(|tag| (tag.as_bytes().len(), *tag));
        for (at, tag) in tags.iter().enumerate() {
            insert_tag(&mut link.tags, tag, || tags[..at].to_vec());
        }
        if !local.is_empty() {
            self.common.recoveries.insert(key, Box::new(Recovery { local, is_cut, remote: None }));
        }
        self.take_remote_map(key, None);
    }

    /// The peer's map is compared with ours, once there are both.
    pub(crate) fn take_remote_map(&mut self, key: Key, remote: Option<RemoteMap>) {
        let Some(link) = self.links.get_mut(key).filter(|link| link.handle.is_some()) else { return };
        let limit = self.common.config.limits.unsettled;
        let kept = || RemoteMap::take(&mut link.remote_attach.as_ref()?.read()?, limit).ok();
        let Some(remote) = remote.or_else(kept) else { return self.mark_incomplete(key) };
        let role = link.role();
        if remote.is_incomplete && role == Role::Sender {
            // Even where there is nothing to go on with.
            let none = || Box::new(Recovery { local: UnsettledMap::new(), is_cut: false, remote: None });
            self.common.recoveries.entry(key).or_insert_with(none);
        }
        let Some(recovery) = self.common.recoveries.get_mut(&key) else { return };
        recovery.remote = Some(remote);
        if role == Role::Receiver {
            for tag in recovery.forget_settled() {
                link.tags.remove(&tag);
            }
        }
        self.mark_incomplete(key);
        self.conclude_recovery(key);
    }

    /// The peer takes no frames as large as our attach: names as many deliveries as fit. Whether that helps.
    pub(crate) fn cut_attach(&mut self, key: Key) -> bool {
        let room = self.common.outgoing_frame_size - crate::codec::frame::FRAME_HEADER_LEN;
        let Some(link) = self.links.get_mut(key) else { return false };
        let Some(mut attach) = link.local_attach.as_ref().and_then(KeptAttach::read) else { return false };
        if !cut_unsettled(&mut attach, room) {
            return false;
        }
        link.local_attach = Some(KeptAttach::new(&attach));
        if let Some(recovery) = self.common.recoveries.get_mut(&key) {
            recovery.is_cut = true;
        }
        self.mark_incomplete(key);
        true
    }

    fn mark_incomplete(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        let recovery = self.common.recoveries.get(&key);
        link.incomplete_unsettled = recovery.is_some_and(|recovery| recovery.forbids_new(link.role()));
    }

    /// Ends the recovery of a link that has nothing left to go on with, and whose maps were complete.
    fn conclude_recovery(&mut self, key: Key) {
        let Some(link) = self.links.get(key) else { return };
        if !link.incomplete_unsettled
            && self.common.recoveries.get(&key).is_some_and(|recovery| recovery.is_done())
        {
            self.common.recoveries.remove(&key);
        }
    }

    /// Whether a map was incomplete on either side.
    pub(crate) fn must_reattach(&self, key: Key) -> bool {
        self.common.recoveries.get(&key).is_some_and(|recovery| recovery.is_incomplete())
    }

    /// The tags of our deliveries that a link was resumed with and has not gone on with.
    pub(crate) fn unresolved(&self, key: Key) -> impl Iterator<Item = DeliveryTag> {
        self.common.recoveries.get(&key).into_iter().flat_map(|recovery| recovery.tags())
    }

    /// What is to become of a delivery that a sender was resumed with and has not gone on with.
    pub(crate) fn resumption(&self, key: Key, tag: &DeliveryTag) -> Option<Resumption> {
        self.common.recoveries.get(&key)?.resumption(tag)
    }

    /// Sends the message of a delivery that the receiver needs again.
    pub(super) fn resume_delivery(
        &mut self,
        key: Key,
        tag: &DeliveryTag,
        message_format: u32,
        payload: Bytes,
    ) -> Result<DeliveryId, SendError> {
        let id = self.open_send_path(key)?.resume(tag, message_format, payload)?;
        self.conclude_recovery(key);
        Ok(id)
    }

    /// Does what is left to do with a delivery whose message is not sent again.
    pub(super) fn resolve_delivery(
        &mut self,
        key: Key,
        tag: &DeliveryTag,
    ) -> Result<Option<DeliveryId>, SendError> {
        let id = self.open_send_path(key)?.resolve(tag)?;
        self.conclude_recovery(key);
        Ok(id)
    }
}

impl SendPath<'_> {
    fn resumption(&self, tag: &DeliveryTag) -> Result<Resumption, SendError> {
        let recovery = self.common.recoveries.get(&self.key);
        Ok(recovery.and_then(|recovery| recovery.resumption(tag)).ok_or(Misuse::NothingToResume)?)
    }

    /// The delivery is no longer one of those to go on with.
    fn taken_up(&mut self, tag: &DeliveryTag) {
        if let Some(recovery) = self.common.recoveries.get_mut(&self.key) {
            recovery.local.remove(tag);
        }
    }

    fn resume(
        &mut self,
        tag: &DeliveryTag,
        message_format: u32,
        payload: Bytes,
    ) -> Result<DeliveryId, SendError> {
        let resumption = self.resumption(tag)?;
        let blocked = match resumption {
            Resumption::Resend => self.blocked(),
            Resumption::Resume(_) => self.hindered(),
            Resumption::Wait => Some(Blocked::Recovery),
            _ => return Err(Misuse::NothingToResume.into()),
        };
        if let Some(blocked) = blocked {
            return Err(self.refuse(blocked));
        }
        if !settle::allows(self.link.snd_settle_mode, false) {
            return Err(SendError::SettleMode);
        }
        self.check_size(payload.len() as u64)?;
        let local =
            self.common.recoveries.get(&self.key).and_then(|recovery| recovery.local.get(tag)?.cloned());
        self.taken_up(tag);
        let number = self.number_delivery(tag, false);
        let transfer = Transfer {
            delivery_id: Some(number),
            delivery_tag: Some(*tag),
            message_format: Some(message_format),
            ..Transfer::new(self.handle())
        };
        let (transfer, payload) = match resumption {
            //= 2.6.13-10 2.7.5-21 3.4.1-02 3.4.6-10
            Resumption::Resume(point) => {
                let (state, rest) = resumed_from(local, &point, payload);
                (Transfer { resume: true, state: state.map(Box::new), ..transfer }, rest)
            }
            _ => (transfer, payload),
        };
        self.write_delivery(number, transfer, payload, None);
        Ok(DeliveryId::new(self.key, number))
    }

    fn resolve(&mut self, tag: &DeliveryTag) -> Result<Option<DeliveryId>, SendError> {
        let resumption = self.resumption(tag)?;
        let (state, aborted) = match &resumption {
            Resumption::Wait => return Err(self.refuse(Blocked::Recovery)),
            // The receiver knows nothing of it: nothing has to be said.
            Resumption::Resend | Resumption::Forget(_) => {
                self.taken_up(tag);
                self.link.tags.remove(tag);
                return Ok(None);
            }
            Resumption::Resume(_) | Resumption::Abort => (None, true),
            Resumption::Settle(outcome) | Resumption::Restate(outcome) => (Some(outcome.clone()), false),
        };
        if let Some(blocked) = self.hindered() {
            return Err(self.refuse(blocked));
        }
        if let Some(state) = &state {
            check_state_fits(state, self.common.outgoing_frame_size - RESUMED_HEAD)?;
        }
        self.taken_up(tag);
        let stays =
            matches!(resumption, Resumption::Restate(_)) && settle::allows(self.link.snd_settle_mode, false);
        let number = self.number_delivery(tag, !stays);
        // A sender that may not settle in a transfer does it right behind.
        //= 2.7.5-11 3.4.6-08 3.4.6-21
        let settled = !stays && !aborted && settle::allows(self.link.snd_settle_mode, true);
        //= 2.6.13-10 2.6.13-11 2.7.5-20 2.7.5-23 3.4.6-06 3.4.6-07 3.4.6-16 3.4.6-20 3.4.6-22
        let transfer = Transfer {
            delivery_id: Some(number),
            delivery_tag: Some(*tag),
            message_format: Some(0),
            settled: settled.then_some(true),
            state: state.clone().map(Box::new),
            resume: true,
            aborted,
            ..Transfer::new(self.handle())
        };
        self.write_delivery(number, transfer, Bytes::new(), None);
        if !stays && !aborted && !settled {
            self.session.as_sender.push(number, true, state.as_ref());
            let session = self.link.session;
            self.common.mark_session(session, self.session);
        }
        Ok(stays.then(|| DeliveryId::new(self.key, number)))
    }

    /// Takes delivery-id and credit of a delivery whose tag was in use before; it is kept unless it is settled.
    fn number_delivery(&mut self, tag: &DeliveryTag, settled: bool) -> Serial {
        let number = self.session.next_delivery_id;
        self.session.next_delivery_id = number.next();
        if settled {
            self.link.tags.remove(tag);
        } else {
            self.link.live += 1;
            let delivery = OutgoingDelivery {
                link: self.key,
                tag: *tag,
                remote_settled: false,
                remote_state: Told::Nothing,
            };
            self.session.outgoing.push(number, delivery);
        }
        self.end().credit.sent();
        number
    }
}

/// What a transfer says on top of a disposition.
const RESUMED_HEAD: usize = 64;

/// The state and the payload of the first transfer of a delivery that goes on at `point`. What our own state does not
/// let us send is not in the payload, which then goes out from there on, whatever of it has arrived: the receiver knows.
//= 3.4.6-04 3.4.6-15
fn resumed_from(
    local: Option<DeliveryState>,
    point: &Received,
    payload: Bytes,
) -> (Option<DeliveryState>, Bytes) {
    if let Some(earliest @ DeliveryState::Received(Received { section_number, section_offset })) = local
        && (section_number, section_offset) != (0, 0)
    {
        return (Some(earliest), payload);
    }
    match point.offset_in(&payload) {
        Some(offset) if offset > 0 => (Some(DeliveryState::Received(point.clone())), payload.slice(offset..)),
        _ => (None, payload),
    }
}

impl ReceivePath<'_> {
    /// Takes the first transfer of a delivery that is resumed, or of one on a link whose unsettled map was cut short.
    #[cold]
    #[inline(never)]
    pub(super) fn transfer_in_recovery(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
    ) -> Result<(), Box<Violation>> {
        let more = transfer.more && !transfer.aborted;
        if !transfer.resume {
            //= 2.7.3-14
            self.end().dropping = more;
            let text = "new delivery on a link whose unsettled map is incomplete";
            return Err(self.fault(condition::NOT_ALLOWED, "2.7.3", text));
        }
        // A sender that resumes what is in both maps counts on being heard, credit or not.
        let _ = self.end().credit.received();
        let recovery = self.common.recoveries.get_mut(&self.key);
        let found = recovery.filter(|_| self.link.handle.is_some()).and_then(|recovery| {
            let tag = transfer.delivery_tag?;
            Some((tag, recovery.local.remove(&tag)?))
        });
        //= 2.6.13-03 2.7.5-19 3.4.6-03
        let Some((tag, state)) = found else {
            self.end().dropping = more;
            return Ok(());
        };
        let Some(number) = transfer.delivery_id else {
            self.end().dropping = more;
            return Err(self.invalid("first transfer without delivery-id"));
        };
        let session = &mut *self.session;
        if session.incoming.len() >= self.common.config.limits.unsettled || !session.incoming.takes(number) {
            let text = "more unsettled deliveries than the limit";
            let id = SessionId(self.link.session);
            return Err(Violation::session(id, condition::RESOURCE_LIMIT_EXCEEDED, "2.8.15", text));
        }
        let theirs = transfer.state.as_deref().filter(|state| state.is_outcome());
        let has_outcome = state.as_ref().is_some_and(DeliveryState::is_outcome);
        let tells_only = !more && payload.is_empty() && theirs.is_some();
        let is_over = transfer.aborted || has_outcome || tells_only;
        let mode = transfer.rcv_settle_mode.unwrap_or(self.link.rcv_settle_mode);
        self.link.live += 1;
        let (_, vacant) = session.incoming.vacant(number);
        let message_format = transfer.message_format.unwrap_or_default();
        vacant.begin(self.key, &tag, message_format, mode == ReceiverSettleMode::Second);
        vacant.state = state.into();
        if !is_over {
            self.end().empty_frames = 0;
            return self.continue_delivery(number, transfer, payload);
        }
        vacant.arrival = Arrival::Taken;
        vacant.remote_settled = transfer.aborted || transfer.settled == Some(true);
        vacant.remote_state = theirs.cloned().map(Arc::new);
        // What arrived before does not come again, and what was given up does not come at all.
        //= 2.7.5-24
        self.end().dropping = more;
        self.common.events.push(Event::Updated(DeliveryId::new(self.key, number)));
        self.tell_again(number);
        Ok(())
    }

    /// The rest of a delivery will not come over this attachment. Where the user keeps what has arrived and has said so, it
    /// can be resumed.
    #[cold]
    pub(super) fn remember_unfinished(&mut self, number: Serial) {
        let Some(delivery) =
            self.session.incoming.get(number).filter(|delivery| !delivery.arrival.is_unwanted())
        else {
            return;
        };
        if let Some(state @ DeliveryState::Received(_)) = delivery.state() {
            let none = || Box::new(Recovery { local: UnsettledMap::new(), is_cut: false, remote: None });
            let recovery = self.common.recoveries.entry(self.key).or_insert_with(none);
            recovery.local.insert(delivery.tag, Some(state.clone()));
        }
    }

    /// A sender that resumes a delivery without a word of its outcome does not know ours.
    fn tell_again(&mut self, number: Serial) {
        let Some(delivery) = self.session.incoming.get(number) else { return };
        let knows = delivery.remote_settled || delivery.remote_state.is_some();
        if !knows && self.session.state == SessionState::Mapped {
            let state = delivery.state.clone();
            self.session.as_receiver.push(number, false, state.state());
            self.mark_session();
        }
    }
}
