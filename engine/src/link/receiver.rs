//! The receiving end of a link: what its user calls. How frames become deliveries stands in `receiving.rs`.

use alloc::boxed::Box;

use super::{DeliveryId, IncomingDelivery, LinkEnd, ReceiverEnd, link_accessors, settle};
use crate::{
    Connection, LinkId, Misuse,
    message::Payload,
    types::{DeliveryState, Error, Modified, ReceiverSettleMode},
};

/// One link of a [`Connection`] on which we receive, borrowed for a statement.
///
/// A delivery stays until its payload was [taken](Self::take) and it is settled by either side.
#[derive(Debug)]
pub struct Receiver<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) id: LinkId,
}

link_accessors!(Receiver);

impl Receiver<'_> {
    fn end(&self) -> &ReceiverEnd {
        match &self.endpoint().end {
            LinkEnd::Receiver(end) => end,
            LinkEnd::Sender(_) => unreachable!("the role was checked when the accessor was made"),
        }
    }

    /// Deliveries asked for that have not begun to arrive (§2.6.7).
    #[must_use]
    pub fn credit(&self) -> u32 {
        self.end().credit.link_credit()
    }

    /// Messages that the sender says it has waiting (§2.6.7 available).
    #[must_use]
    pub fn available(&self) -> u32 {
        self.end().available
    }

    /// Whether a drain was asked for and is not answered.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.end().credit.is_draining()
    }

    /// Asks for `count` more deliveries.
    pub fn add_credit(&mut self, count: u32) {
        let credit = self.credit().saturating_add(count);
        self.set_credit(credit);
    }

    /// Sets how many deliveries are asked for. Those on their way on credit that is taken back still arrive.
    pub fn set_credit(&mut self, link_credit: u32) {
        self.change_credit(|end| {
            end.credit.set(link_credit);
            end.credit.set_drain(false);
        });
    }

    /// Asks the sender to use the credit up or give it back: [`Event::Drained`](crate::Event::Drained) says when it has (§2.6.7 drain).
    pub fn drain(&mut self) {
        self.change_credit(|end| end.credit.set_drain(true));
    }

    fn change_credit(&mut self, change: impl FnOnce(&mut ReceiverEnd)) {
        let link = self.endpoint_mut();
        if let Some(end) = link.receiver_mut() {
            change(end);
        }
        link.flow_due = true;
        let id = self.id;
        self.connection.mark_link(id.0);
    }

    /// A delivery that is not settled, or whose payload was not taken.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when there is none of this id on this link.
    pub fn delivery(&self, id: DeliveryId) -> Result<&IncomingDelivery, Misuse> {
        let session = self.connection.sessions.get(self.endpoint().session).ok_or(Misuse::Gone)?;
        let delivery = session.incoming.get(id.number()).filter(|delivery| delivery.link == self.id.0);
        delivery.filter(|_| id.link() == self.id).ok_or(Misuse::Gone)
    }

    /// Takes the payload that has arrived and was not taken: all of it when the delivery is complete, else a part,
    /// after which more follows.
    ///
    /// # Errors
    ///
    /// As [`delivery`](Self::delivery).
    pub fn take(&mut self, id: DeliveryId) -> Result<Payload, Misuse> {
        self.delivery(id)?;
        Ok(self.connection.take_payload(id))
    }

    /// Says that the message is accepted (§3.4.2), and settles it as the link's mode asks.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn accept(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.update(id, DeliveryState::Accepted)
    }

    /// Says that the message is invalid (§3.4.3).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn reject(&mut self, id: DeliveryId, error: Option<Error>) -> Result<(), Misuse> {
        self.update(id, DeliveryState::Rejected(error.map(Box::new)))
    }

    /// Gives the message back untouched (§3.4.4).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn release(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.update(id, DeliveryState::Released)
    }

    /// Gives the message back with changes (§3.4.5).
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn modify(&mut self, id: DeliveryId, modified: Modified) -> Result<(), Misuse> {
        self.update(id, DeliveryState::Modified(Box::new(modified)))
    }

    /// Tells the sender a state. An outcome settles the delivery too, unless the link's receiver settles second
    /// (§2.6.12): then [`Event::Updated`](crate::Event::Updated) says when the sender has settled, and [`settle`](Self::settle) ends it.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when there is no such delivery, [`Misuse::Settled`] when we settled it before,
    /// [`Misuse::StateNotAllowed`] when we told an outcome before, [`Misuse::FrameTooLarge`] when the state does not fit
    /// a frame.
    pub fn update(&mut self, id: DeliveryId, state: DeliveryState) -> Result<(), Misuse> {
        let delivery = self.delivery(id)?;
        //= 3.4-02
        if delivery.state.as_ref().is_some_and(DeliveryState::is_terminal) {
            return Err(Misuse::StateNotAllowed);
        }
        let mode = if delivery.second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First };
        let settled = state.is_outcome() && settle::receiver_settles_first(mode, delivery.remote_settled);
        self.connection.settle_incoming(id, Some(state), settled)
    }

    /// Settles a delivery without a further word about its state. A payload that was not taken is dropped.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when there is no such delivery, [`Misuse::Settled`] when we settled it before.
    pub fn settle(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        let state = self.delivery(id)?.state.clone();
        self.connection.settle_incoming(id, state, true)
    }
}
