//! Deliveries in transactions (§4.4).

use alloc::vec::Vec;

use bytes::Bytes;

use super::{DeliveryId, DeliveryMut, Sender, path::SendPath, sending::NewDelivery, settle};
use crate::{
    Misuse, SendError, Session,
    connection::check_state_fits,
    txn::TxnId,
    types::{DeliveryState, DeliveryTag, ReceiverSettleMode, Role, Transfer},
};

/// Room for the state of a transfer that is posted in a transaction.
pub(super) const POST_STATE: usize = TxnId::MAX + 16;

impl Sender<'_> {
    /// Posts the encoded message `payload` in a transaction: it becomes available when that commits (§4.4.1). The receiver
    /// tells the outcome that it will have then, as a [transactional](DeliveryState::Transactional) state. An unsettled
    /// delivery is to be settled soon after the transaction is discharged.
    ///
    /// For a resource: sends a message that the receiver [acquires](crate::Receiver::acquire) in a transaction (§4.4.3). If that
    /// is rolled back it is to be settled or, where it [is not written in whole](Self::is_unfinished), its link to be closed.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn post(
        &mut self,
        txn_id: TxnId,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let payload = payload.into();
        self.connection.common.record(|tape| {
            tape.call("post", &[&self.id, &txn_id, &tag, &settled, &message_format, &payload]);
        });
        let delivery = NewDelivery { tag: &tag, settled, message_format, finished: true };
        self.connection.open_send_path(self.id.0)?.post(txn_id, delivery, payload)
    }
}

impl SendPath<'_> {
    fn post(
        &mut self,
        txn_id: TxnId,
        delivery: NewDelivery<'_>,
        payload: Bytes,
    ) -> Result<DeliveryId, SendError> {
        self.check(delivery.settled, payload.len())?;
        let number = self.register(delivery.tag, delivery.settled)?;
        let first = Transfer {
            delivery_id: Some(number),
            delivery_tag: Some(*delivery.tag),
            message_format: Some(delivery.message_format),
            settled: Some(delivery.settled),
            //= 4.4.1-01
            state: Some(txn_id.state(None).into()),
            ..Transfer::new(self.handle())
        };
        self.write_delivery(number, first, payload, Some(txn_id));
        Ok(DeliveryId::new(self.key, number))
    }
}

impl DeliveryMut<'_> {
    /// Tells the outcome that a message posted in a transaction will have if that commits (§4.4.1), and settles it as
    /// the link's mode asks.
    ///
    /// # Errors
    ///
    /// [`Misuse::StateNotAllowed`] when an outcome was told before or `outcome` is none, [`Misuse::Settled`] when we
    /// settled it before, [`Misuse::FrameTooLarge`] when the state does not fit a frame.
    pub fn presume(mut self, txn_id: TxnId, outcome: DeliveryState) -> Result<(), Misuse> {
        self.path.common.record(|tape| tape.call("presume", &[&self.id, &txn_id, &outcome]));
        let is_outcome = outcome.is_outcome();
        let state = txn_id.state(Some(outcome));
        check_state_fits(&state, self.path.common.outgoing_frame_size)?;
        let delivery = self.delivery();
        if !is_outcome || delivery.state.is_terminal() {
            return Err(Misuse::StateNotAllowed);
        }
        let mode = if delivery.second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First };
        if settle::receiver_settles_first(mode, delivery.remote_settled) {
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
}

impl Session<'_> {
    /// The unsettled deliveries of this session that are work of a transaction: those that we sent, by what their receiver
    /// has told, or those that we receive, by what either side has.
    #[must_use]
    pub fn in_transaction(&self, role: Role, txn_id: TxnId) -> Vec<DeliveryId> {
        let Some(session) = self.connection.sessions.get(self.id.0) else { return Vec::new() };
        let holds = |state: Option<&DeliveryState>| state.is_some_and(|state| txn_id.holds(state));
        match role {
            Role::Sender => session
                .outgoing
                .iter()
                .filter(|(_, delivery)| holds(delivery.remote_state()))
                .map(|(number, delivery)| DeliveryId::new(delivery.link, number))
                .collect(),
            Role::Receiver => session
                .incoming
                .iter()
                .filter(|(_, delivery)| holds(delivery.state()) || holds(delivery.remote_state()))
                .map(|(number, delivery)| DeliveryId::new(delivery.link, number))
                .collect(),
        }
    }

    /// Writes the dispositions that wait. What is sent next comes after them: the discharge of a transaction must not
    /// overtake the outcomes that are its work.
    pub fn write_dispositions(&mut self) {
        self.connection.common.record(|tape| tape.call("write_dispositions", &[&self.id]));
        self.connection.write_dispositions_now(self.id.0);
    }
}
