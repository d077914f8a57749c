//! Plain deliveries that follow each other on one link, which is nearly all that a busy connection receives.

use bytes::Bytes;

use super::{DeliveryId, Inserted, delivery::Arrival, path::ReceivePath, settle};
use crate::{
    Event, Serial,
    connection::{EventNumber, Run},
    types::{ReceiverSettleMode, Transfer},
};

/// Takes deliveries of one transfer each that say nothing unusual: what every rule asks of them is asked once, for as many
/// as there is room for, and they are counted at the end.
///
/// It judges nothing. Whatever is not plain, or finds no room, is left to [`ReceivePath::transfer`].
struct Intake<'p, 'a> {
    path: &'p mut ReceivePath<'a>,
    /// The delivery-id that the session goes on with.
    next: Serial,
    /// Deliveries taken, and the bytes of their payloads.
    taken: u32,
    bytes: usize,
    /// How many more deliveries there is room for, and how many bytes in all.
    room: u32,
    byte_room: usize,
    max_message_size: u64,
    takes_settled: bool,
    takes_unsettled: bool,
    second: bool,
    /// The number of the first event.
    told: EventNumber,
}

impl ReceivePath<'_> {
    /// Takes the plain deliveries of a run: gives the payload of a transfer that is none, for the caller to judge.
    #[inline]
    pub(super) fn take_plain(&mut self, transfer: &mut Transfer, run: &mut Run<'_>) -> Option<Bytes> {
        if self.common.is_full() {
            return None;
        }
        // Where links take turns there is nothing to be asked for.
        let first = run.next(transfer)?;
        let Some(mut intake) = Intake::new(self) else { return Some(first) };
        let mut left = intake.take(transfer, first);
        while left.is_none()
            && intake.has_room()
            && let Some(payload) = run.next(transfer)
        {
            left = intake.take(transfer, payload);
        }
        intake.finish();
        left
    }
}

impl<'p, 'a> Intake<'p, 'a> {
    /// For what a link has room for; none where more is to be asked of each transfer.
    #[inline(always)]
    fn new(path: &'p mut ReceivePath<'a>) -> Option<Self> {
        let limits = &path.common.config.limits;
        let next = path.session.expected_delivery_id?;
        let (mode, max_message_size) = (path.link.snd_settle_mode, path.link.max_message_size);
        let second = path.link.rcv_settle_mode == ReceiverSettleMode::Second;
        let detaches = path.link.sent_detach.is_some() || path.link.detach_due.is_some();
        let recovers = path.link.incomplete_unsettled;
        let room = limits
            .events
            .saturating_sub(path.common.events.len())
            .min(limits.unsettled.saturating_sub(path.session.incoming.len()))
            .min(path.session.incoming.room_for_ids(next) as usize);
        let byte_room = limits.unread_bytes.saturating_sub(path.common.untaken.bytes);
        let told = path.common.events.next_number();
        let end = path.receiver();
        let room = (room as u32).min(end.credit.link_credit()).min(path.session.window.incoming_window());
        let is_busy =
            end.dropping || end.unfinished.is_some() || end.credit.is_draining() || detaches || recovers;
        (room > 0 && byte_room > 0 && !is_busy).then_some(Self {
            next,
            taken: 0,
            bytes: 0,
            room,
            byte_room,
            max_message_size: max_message_size.map_or(u64::MAX, Into::into),
            takes_settled: settle::allows(mode, true),
            takes_unsettled: settle::allows(mode, false),
            second,
            told,
            path,
        })
    }

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.taken < self.room && self.bytes < self.byte_room
    }

    /// Takes a delivery; the payload comes back of one that is not plain.
    #[inline(always)]
    fn take(&mut self, transfer: &Transfer, payload: Bytes) -> Option<Bytes> {
        let (Some(number), Some(tag), Some(message_format)) =
            (transfer.delivery_id, &transfer.delivery_tag, transfer.message_format)
        else {
            return Some(payload);
        };
        let settled = transfer.settled == Some(true);
        let unusual = transfer.more
            | transfer.resume
            | transfer.aborted
            | transfer.rcv_settle_mode.is_some()
            | transfer.state.is_some();
        let allowed = if settled { self.takes_settled } else { self.takes_unsettled };
        let len = payload.len();
        if unusual
            || number != self.next
            || !allowed
            || len as u64 > self.max_message_size
            || self.path.link.tags.insert(tag) != Inserted::Fresh
        {
            return Some(payload);
        }
        let (_, vacant) = self.path.session.incoming.vacant(number);
        vacant.begin(self.path.key, tag, message_format, self.second);
        vacant.payload.push(payload);
        (vacant.size, vacant.told) = (len as u64, self.told.plus(self.taken));
        (vacant.arrival, vacant.remote_settled) = (Arrival::Unread, settled);
        self.next = number.next();
        self.taken += 1;
        self.bytes += len;
        None
    }

    /// Counts what was taken.
    //= 2.5.6-04 2.6.7-09
    #[inline(always)]
    fn finish(self) {
        let Self { path, taken, .. } = self;
        if taken == 0 {
            return;
        }
        let first = self.next.plus(taken.wrapping_neg());
        path.session.expected_delivery_id = Some(self.next);
        path.session.window.transfers_received(taken);
        path.session.window.hold(taken);
        let end = path.end();
        end.credit.received_many(taken);
        end.available = end.available.saturating_sub(taken);
        path.link.live += taken;
        path.common.untaken.bytes += self.bytes;
        path.common.untaken.messages += taken as usize;
        path.common.events.push_run(Event::Delivery(DeliveryId::new(path.key, first)), taken);
    }
}
