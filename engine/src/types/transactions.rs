//! Types of transactions (§4.5).

use bytes::Bytes;

use super::DeliveryState;
use crate::codec::{Value, composite::composite};

composite! {
    /// Target of the link that controls transactions (§4.5.1).
    pub Coordinator = 0x30 "amqp:coordinator:list" {
        /// What the coordinator can do, or is to do, such as those of [`txn_capability`](super::txn_capability).
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

/// What a coordinator can do (§4.5.7).
pub mod txn_capability {
    use crate::codec::Symbol;

    /// Transactions that one coordinator carries out.
    pub const LOCAL_TRANSACTIONS: Symbol = Symbol::from_static("amqp:local-transactions");
    /// Transactions with several coordinators.
    pub const DISTRIBUTED_TRANSACTIONS: Symbol = Symbol::from_static("amqp:distributed-transactions");
    /// Local transactions that may become distributed.
    pub const PROMOTABLE_TRANSACTIONS: Symbol = Symbol::from_static("amqp:promotable-transactions");
    /// Several transactions at once on a session.
    pub const MULTI_TXNS_PER_SSN: Symbol = Symbol::from_static("amqp:multi-txns-per-ssn");
    /// Transactions over several sessions of a connection.
    pub const MULTI_SSNS_PER_TXN: Symbol = Symbol::from_static("amqp:multi-ssns-per-txn");

    #[cfg(test)]
    pub(crate) const ALL: [Symbol; 5] = [
        LOCAL_TRANSACTIONS,
        DISTRIBUTED_TRANSACTIONS,
        PROMOTABLE_TRANSACTIONS,
        MULTI_TXNS_PER_SSN,
        MULTI_SSNS_PER_TXN,
    ];
}
