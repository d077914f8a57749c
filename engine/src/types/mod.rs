//! The types that the specification defines: performatives (§2.7), states and termini (§3.4, §3.5), sections of a
//! message (§3.2), transactions (§4.5) and SASL frames (§5.3.3).
//!
//! Each is a struct whose fields have the names of the specification. A mandatory field is plain, one with a
//! default holds it, any other is an `Option`, a field of several values is [`Symbols`](crate::codec::Symbols), and
//! a map is [`Fields`](crate::codec::Fields). What a struct says is what it writes: fields that hold their default are left
//! out.

pub mod condition;
pub(crate) mod descriptor;
mod messaging;
pub use messaging::{
    Header, LifetimePolicy, MessageId, Modified, Properties, Received, Source, Target, TargetKind,
    capability, distribution_mode,
};
mod performative;
pub use performative::Performative;
mod restricted;
pub use restricted::{
    Handle, ReceiverSettleMode, Role, SaslCode, SenderSettleMode, TerminusDurability, TerminusExpiryPolicy,
};
#[cfg(test)]
mod rows;
#[cfg(test)]
mod schema;
mod security;
pub use security::{SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse};
mod state;
pub use state::DeliveryState;
mod tag;
pub use tag::{DeliveryTag, TagTooLong};
mod transactions;
pub use transactions::{Coordinator, Declare, Declared, Discharge, TransactionalState, txn_capability};
mod transport;
pub use transport::{Attach, Begin, Close, Detach, Disposition, End, Error, Flow, Open, Transfer};
