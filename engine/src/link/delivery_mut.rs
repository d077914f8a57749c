//! Deliveries that have arrived: taken, told a state and settled by their user (§2.6.12).

use alloc::boxed::Box;
use core::ops::Deref;

use super::{DeliveryId, IncomingDelivery, delivery::Arrival, path::ReceivePath, settle};
use crate::{
    Connection, Event, LinkId, Misuse, SessionState,
    connection::{DeliveryRun, EventOf, check_state_fits},
    message::Payload,
    types::{DeliveryState, Error, Modified, ReceiverSettleMode},
};

/// One delivery of a link on which we receive, to act on: borrowed for a few statements, found once for all of them.
///
/// It reads as the [`IncomingDelivery`] that it lends. One that its sender has settled is gone when the payload was
/// taken and this is dropped.
#[derive(Debug)]
pub struct DeliveryMut<'a> {
    pub(super) path: ReceivePath<'a>,
    pub(super) id: DeliveryId,
    slot: usize,
    /// The sender has settled it and the payload was taken: there is nothing left to do.
    spent: bool,
}

/// Deliveries that have arrived on one link one after the other: see [`Connection::deliveries`].
#[derive(Debug)]
pub struct Deliveries<'a> {
    path: ReceivePath<'a>,
    /// Of events that were polled.
    run: DeliveryRun,
}

impl<'a> Deliveries<'a> {
    #[inline(always)]
    pub(crate) fn new(connection: &'a mut Connection, first: DeliveryId) -> Result<Self, Misuse> {
        let path = connection.receive_path(first.link().0).ok_or(Misuse::Gone)?;
        Ok(Self { path, run: DeliveryRun::one(first) })
    }

    /// The next of them; none when the next event is of another kind or link. One that was settled meanwhile is passed over.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    #[inline(always)]
    pub fn next(&mut self) -> Option<DeliveryMut<'_>> {
        loop {
            let Some(number) = self.run.next() else {
                self.run = self.path.common.poll_run(LinkId(self.path.key), EventOf::Delivery)?;
                continue;
            };
            let Some(slot) = self.path.session.incoming.find(number) else { continue };
            if self.path.session.incoming.at(slot).is_some_and(|delivery| delivery.link == self.path.key) {
                let id = DeliveryId::new(self.path.key, number);
                return Some(DeliveryMut { path: self.path.reborrow(), id, slot, spent: false });
            }
        }
    }
}

impl Drop for Deliveries<'_> {
    /// The events of what was not lent wait again.
    fn drop(&mut self) {
        if self.run.len > 0 {
            let next = DeliveryId::new(self.path.key, self.run.next);
            self.path.common.events.put_back(Event::Delivery(next), self.run.len);
        }
    }
}

impl<'a> DeliveryMut<'a> {
    #[inline(always)]
    pub(crate) fn find(connection: &'a mut Connection, id: DeliveryId) -> Result<Self, Misuse> {
        let path = connection.receive_path(id.link().0).ok_or(Misuse::Gone)?;
        let slot = path.session.incoming.find(id.number()).ok_or(Misuse::Gone)?;
        match path.session.incoming.at(slot) {
            Some(delivery) if delivery.link == path.key => Ok(Self { path, id, slot, spent: false }),
            _ => Err(Misuse::Gone),
        }
    }

    #[inline(always)]
    pub(super) fn delivery(&mut self) -> &mut IncomingDelivery {
        self.path.session.incoming.at_mut(self.slot).expect("it stays as long as this borrows it")
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Takes the payload that has arrived and was not taken: all of it when the delivery is complete, else a part,
    /// after which more follows.
    #[inline(always)]
    pub fn take(&mut self) -> Payload {
        let path = &mut self.path;
        path.common.record(|tape| tape.call("take", &[&self.id]));
        let Some(delivery) = path.session.incoming.at_mut(self.slot) else { return Payload::new() };
        self.spent = delivery.arrival.is_complete() && delivery.remote_settled;
        let payload = path.common.untaken.release(delivery, &mut path.session.window);
        path.offer_window();
        payload
    }

    /// Says that the message is accepted (§3.4.2), and settles it as the link's mode asks.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    #[inline(always)]
    pub fn accept(mut self) -> Result<(), Misuse> {
        let delivery = self.delivery();
        if delivery.arrival != Arrival::Taken || delivery.second || delivery.state.is_some() {
            return self.change(DeliveryState::Accepted);
        }
        let remote_settled = delivery.remote_settled;
        self.path.common.record(|tape| tape.call("update", &[&self.id, &DeliveryState::Accepted]));
        if !remote_settled {
            self.tell(true, Some(&DeliveryState::Accepted));
        }
        self.path.remove(self.slot);
        // Nothing of it is left that is to be dropped.
        core::mem::forget(self);
        Ok(())
    }

    /// Says that the message is invalid (§3.4.3).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn reject(self, error: Option<Error>) -> Result<(), Misuse> {
        self.update(DeliveryState::Rejected(error.map(Box::new)))
    }

    /// Gives the message back untouched (§3.4.4).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn release(self) -> Result<(), Misuse> {
        self.update(DeliveryState::Released)
    }

    /// Gives the message back with changes (§3.4.5).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn modify(self, modified: Modified) -> Result<(), Misuse> {
        self.update(DeliveryState::Modified(Box::new(modified)))
    }

    /// Tells the sender a state. An outcome settles the delivery too, unless the link's receiver settles second
    /// (§2.6.12): then [`Event::Updated`](crate::Event::Updated) says when the sender has settled, and
    /// [`settle`](Self::settle) ends it.
    ///
    /// # Errors
    ///
    /// [`Misuse::Settled`] when we settled it before, [`Misuse::StateNotAllowed`] when we told an outcome before,
    /// [`Misuse::FrameTooLarge`] when the state does not fit a frame.
    #[inline(always)]
    pub fn update(mut self, state: DeliveryState) -> Result<(), Misuse> {
        self.change(state)
    }

    /// Settles the delivery without a further word about its state. A payload that was not taken is dropped.
    ///
    /// # Errors
    ///
    /// [`Misuse::Settled`] when we settled it before.
    pub fn settle(mut self) -> Result<(), Misuse> {
        self.path.common.record(|tape| tape.call("settle", &[&self.id]));
        // An outcome that the sender has told is definitive, whatever we have asked for.
        //= 3.4.6-22
        let delivery = self.delivery();
        let theirs = delivery.remote_state().filter(|state| state.is_terminal());
        let state = theirs.or_else(|| delivery.state.state()).cloned();
        self.end(state.as_ref())
    }

    #[inline(never)]
    fn change(&mut self, state: DeliveryState) -> Result<(), Misuse> {
        self.path.common.record(|tape| tape.call("update", &[&self.id, &state]));
        check_state_fits(&state, self.path.common.outgoing_frame_size)?;
        let delivery = self.delivery();
        //= 3.4-02
        if delivery.state.is_terminal() {
            return Err(Misuse::StateNotAllowed);
        }
        let mode = if delivery.second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First };
        if state.is_outcome() && settle::receiver_settles_first(mode, delivery.remote_settled) {
            return self.end(Some(&state));
        }
        if delivery.arrival.is_unwanted() {
            return Err(Misuse::Settled);
        }
        if !delivery.remote_settled {
            delivery.state = Some(state.clone()).into();
            self.tell(false, Some(&state));
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn end(&mut self, state: Option<&DeliveryState>) -> Result<(), Misuse> {
        let delivery = self.delivery();
        if delivery.arrival.is_unwanted() {
            return Err(Misuse::Settled);
        }
        if !delivery.remote_settled {
            self.tell(true, state);
        }
        self.path.drop_delivery(self.slot);
        self.spent = false;
        Ok(())
    }

    #[inline(always)]
    pub(super) fn tell(&mut self, settled: bool, state: Option<&DeliveryState>) {
        if self.path.session.state == SessionState::Mapped {
            self.path.session.as_receiver.push(self.id.number(), settled, state);
            self.path.mark_session();
        }
    }
}

impl Deref for DeliveryMut<'_> {
    type Target = IncomingDelivery;

    #[inline]
    fn deref(&self) -> &IncomingDelivery {
        self.path.session.incoming.at(self.slot).expect("it stays as long as this borrows it")
    }
}

impl Drop for DeliveryMut<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.spent {
            self.path.drop_delivery(self.slot);
        }
    }
}
