//! What the receiver tells of the deliveries that we sent (§2.6.12).

use super::{DeliveryId, path::SendPath};
use crate::{
    Connection, LinkId, Misuse,
    connection::{DeliveryRun, EventOf},
    types::DeliveryState,
};

/// What the receiver has told of a delivery that we sent: see [`Connection::take_updates`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// Of which.
    pub id: DeliveryId,
    /// Its state (§3.4), if the receiver has told one.
    pub state: Option<DeliveryState>,
    /// Whether it is settled now and forgotten, since the receiver has settled it or told its outcome.
    pub settled: bool,
}

impl Connection {
    /// Tells `on_update` what the receiver has told of the delivery of an [`Event::Updated`](crate::Event::Updated), and of those that the next events
    /// tell of as long as they are of the same link, which polls these events. Deliveries that are over are settled, as
    /// by [`Sender::settle`](crate::Sender::settle) without a state, and forgotten.
    ///
    /// It costs less than to poll each event and settle each delivery.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when the link is gone, or not one on which we send.
    #[inline]
    pub fn take_updates(
        &mut self,
        first: DeliveryId,
        mut on_update: impl FnMut(Update),
    ) -> Result<(), Misuse> {
        let mut path = self.send_path(first.link().0).ok_or(Misuse::Gone)?;
        let (session, was_full) = (path.link.session, path.is_unsettled_full());
        let mut run = DeliveryRun::one(first);
        loop {
            for number in run {
                if let Some(update) = path.take_update(DeliveryId::new(path.key, number)) {
                    on_update(update);
                }
            }
            match path.common.poll_run(LinkId(path.key), EventOf::Update) {
                Some(next) => run = next,
                None => break,
            }
        }
        if was_full {
            self.wake_session(session);
        }
        Ok(())
    }
}

impl SendPath<'_> {
    /// What the receiver has told of a delivery, which is settled if it is over; none of one that was settled before.
    #[inline(always)]
    fn take_update(&mut self, id: DeliveryId) -> Option<Update> {
        let slot = self.find(id)?;
        let delivery = self.session.outgoing.at(slot)?;
        if !delivery.is_over() {
            return Some(Update { id, state: delivery.remote_state().cloned(), settled: false });
        }
        self.common.record(|tape| tape.call("settle_sent", &[&id, &None::<DeliveryState>]));
        let told = if self.is_unfinished(id.number()) {
            self.settle_unfinished(slot, id.number(), None).ok()?
        } else {
            self.settle(slot, id.number(), None)
        };
        Some(Update { id, state: told.into(), settled: true })
    }
}
