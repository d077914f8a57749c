//! Types of transactions (§4.5).

use bytes::Bytes;

use super::DeliveryState;
use crate::codec::{Symbol, Value, composite::composite};

composite! {
    /// Target of the link that controls transactions (§4.5.1).
    pub Coordinator = 0x30 "amqp:coordinator:list" {
        /// What the coordinator can do, or is to do: see [`condition`](super::condition)'s neighbours in §4.5.7.
        capabilities: Symbol = multiple,
    }

    /// Message to a coordinator: begin a transaction (§4.5.2).
    pub Declare = 0x31 "amqp:declare:list" {
        /// The id of a global transaction to take part in.
        global_id: Value,
    }

    /// Message to a coordinator: commit or roll back (§4.5.3).
    pub Discharge = 0x32 "amqp:discharge:list" {
        /// The transaction.
        txn_id: Bytes = mandatory,
        /// Whether it is rolled back; false when unset.
        fail: bool,
    }

    /// Outcome of a [`Declare`] (§4.5.5).
    pub Declared = 0x33 "amqp:declared:list" {
        /// The id of the transaction that began.
        txn_id: Bytes = mandatory,
    }

    /// State of a delivery whose outcome counts only if a transaction commits (§4.5.6).
    pub TransactionalState = 0x34 "amqp:transactional-state:list" {
        /// The transaction.
        txn_id: Bytes = mandatory,
        /// The outcome, for as long as the transaction is open a provisional one.
        outcome: DeliveryState = outcome,
    }
}
