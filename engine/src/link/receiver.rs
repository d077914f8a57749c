//! The receiving end of a link: what its user calls. How frames become deliveries stands in `receiving.rs`.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    DeliveryId, DeliveryMut, IncomingDelivery, KeptAttach, LinkEnd, ReceiverEnd, filters, link_accessors,
};
use crate::{
    Connection, LinkId, Misuse, UnsettledMap,
    codec::Symbol,
    message::Payload,
    txn::TxnId,
    types::{DeliveryState, Error, Modified},
};

/// The entry of a flow's properties that names the transaction in which messages are acquired (§4.4.3).
const TXN_ID: Symbol = Symbol::from_static("txn-id");

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
    #[inline]
    fn end(&self) -> &ReceiverEnd {
        match &self.endpoint().end {
            LinkEnd::Receiver(end) => end,
            LinkEnd::Sender(_) => unreachable!("the role was checked when the accessor was made"),
        }
    }

    /// The filters that this side asked for and the sender has not in force, as its attach says: messages may come that
    /// they would keep away (§3.5.1). Before that attach has arrived these are all.
    #[must_use]
    pub fn dropped_filters(&self) -> Vec<Symbol> {
        let link = self.endpoint();
        let asked = link.local_attach.as_ref().and_then(KeptAttach::read).and_then(|attach| attach.source);
        let in_force =
            link.remote_attach.as_ref().and_then(KeptAttach::read).and_then(|attach| attach.source);
        asked.map_or_else(Vec::new, |asked| filters::dropped(&asked, in_force.as_deref()))
    }

    /// Deliveries asked for that have not begun to arrive (§2.6.7).
    #[inline]
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
        self.connection.common.record(|tape| tape.call("set_credit", &[&self.id, &link_credit]));
        self.change_credit(|end| {
            end.credit.set(link_credit);
            end.credit.set_drain(false);
        });
    }

    /// Asks the sender to use the credit up or give it back: [`Event::Drained`](crate::Event::Drained) says when it has (§2.6.7 drain).
    pub fn drain(&mut self) {
        self.connection.common.record(|tape| tape.call("drain", &[&self.id]));
        self.change_credit(|end| end.credit.set_drain(true));
    }

    /// Asks for `count` more deliveries, and that the sender acquire what it sends from now on in a transaction, until that
    /// is discharged (§4.4.3). Their state names it, and their outcomes are to be [of it](TxnId::state), too.
    ///
    /// Credit that is left when the transaction is discharged is used outside of any: [drain](Self::drain) it before.
    pub fn acquire(&mut self, txn_id: TxnId, count: u32) {
        let due = self.endpoint().flow_properties_due.as_deref().cloned().unwrap_or_default();
        self.send_flow_properties(due.with(TXN_ID, Bytes::copy_from_slice(txn_id.as_bytes())));
        self.add_credit(count);
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

    /// The deliveries that the link was resumed with and that the sender has yet to resume, each with our state (§2.6.13).
    ///
    /// Once the peer has attached, a delivery that is not named here is settled by its sender, and over. When the sender
    /// resumes one, [`Event::Updated`](crate::Event::Updated) tells of it where all is said: it is settled, or
    /// [`settle`](Self::settle) settles it as the sender has last told; one that was given up counts as settled, without
    /// a state. [`Event::Delivery`](crate::Event::Delivery) tells of it where more of the message comes: the sender's
    /// state, [`Received`](crate::types::Received), names the point at which the payload goes on, none its start.
    #[must_use]
    pub fn unresolved(&self) -> UnsettledMap {
        let recovery = self.connection.common.recoveries.get(&self.id.0);
        recovery.map(|recovery| recovery.unsettled().clone()).unwrap_or_default()
    }

    /// A delivery that is not settled, or whose payload was not taken.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when there is none of this id on this link.
    #[inline]
    pub fn delivery(&self, id: DeliveryId) -> Result<&IncomingDelivery, Misuse> {
        let session = self.connection.sessions.get(self.endpoint().session).ok_or(Misuse::Gone)?;
        match session.incoming.get(id.number()) {
            Some(delivery) if delivery.link == self.id.0 && id.link() == self.id => Ok(delivery),
            _ => Err(Misuse::Gone),
        }
    }

    fn own(&mut self, id: DeliveryId) -> Result<DeliveryMut<'_>, Misuse> {
        if id.link() == self.id { self.connection.delivery_mut(id) } else { Err(Misuse::Gone) }
    }

    /// Takes the payload that has arrived and was not taken: all of it when the delivery is complete, else a part,
    /// after which more follows.
    ///
    /// # Errors
    ///
    /// As [`delivery`](Self::delivery).
    pub fn take(&mut self, id: DeliveryId) -> Result<Payload, Misuse> {
        Ok(self.own(id)?.take())
    }

    /// See [`DeliveryMut::accept`].
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn accept(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.own(id)?.accept()
    }

    /// See [`DeliveryMut::reject`].
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn reject(&mut self, id: DeliveryId, error: Option<Error>) -> Result<(), Misuse> {
        self.own(id)?.reject(error)
    }

    /// See [`DeliveryMut::release`].
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn release(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.own(id)?.release()
    }

    /// See [`DeliveryMut::modify`].
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn modify(&mut self, id: DeliveryId, modified: Modified) -> Result<(), Misuse> {
        self.own(id)?.modify(modified)
    }

    /// See [`DeliveryMut::update`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Gone`] when there is no such delivery.
    pub fn update(&mut self, id: DeliveryId, state: DeliveryState) -> Result<(), Misuse> {
        self.own(id)?.update(state)
    }

    /// See [`DeliveryMut::settle`].
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::Gone`] when there is no such delivery.
    pub fn settle(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.own(id)?.settle()
    }
}
