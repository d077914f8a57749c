//! States of a delivery (§3.4, §4.5).

use alloc::{boxed::Box, vec::Vec};

use super::{Declared, Error, Modified, Received, TransactionalState};
use crate::codec::{Decode, DecodeErrorKind, Described, Encode, code, composite::composite, parse};

/// What one end of a link thinks of a delivery (§3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum DeliveryState {
    /// Arrived in part (§3.4.1).
    Received(Received),
    /// Outcome: processed (§3.4.2).
    Accepted,
    /// Outcome: not fit to be processed (§3.4.3).
    Rejected(Option<Box<Error>>),
    /// Outcome: not processed, free for others (§3.4.4).
    Released,
    /// Outcome: not processed, free for others once changed (§3.4.5).
    Modified(Box<Modified>),
    /// Outcome: a transaction began (§4.5.5).
    Declared(Box<Declared>),
    /// The outcome counts if a transaction commits (§4.5.6).
    Transactional(Box<TransactionalState>),
    /// One that this crate does not know.
    Other(Described),
}

composite! {
    /// §3.4.2.
    pub(crate) Accepted = 0x24 "amqp:accepted:list" {}

    /// §3.4.3.
    pub(crate) Rejected = 0x25 "amqp:rejected:list" {
        /// Why.
        error: Error = boxed,
    }

    /// §3.4.4.
    pub(crate) Released = 0x26 "amqp:released:list" {}
}

impl DeliveryState {
    /// Whether this ends the delivery at the receiver: everything but received and transactional (§3.4).
    ///
    /// A state that this crate does not know counts as an outcome.
    #[must_use]
    pub const fn is_outcome(&self) -> bool {
        !matches!(self, Self::Received(_) | Self::Transactional(_))
    }

    /// The outcome that this is or, of a delivery in a transaction, the one that takes effect if that commits.
    #[must_use]
    pub fn outcome(&self) -> Option<&Self> {
        match self {
            Self::Received(_) => None,
            Self::Transactional(state) => state.outcome.as_ref(),
            outcome => Some(outcome),
        }
    }

    /// Whether the state of a delivery stays at this (§3.4). One that this crate does not know may still change.
    pub(crate) const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::Rejected(_) | Self::Released | Self::Modified(_) | Self::Declared(_)
        )
    }

    /// Reads a state that must be an outcome.
    pub(crate) fn parse_outcome(input: &[u8]) -> parse::Parsed<'_, Self> {
        match parse::descriptor(input)? {
            (_, Some(Received::CODE | TransactionalState::CODE)) => {
                parse::fail(DecodeErrorKind::UnknownDescriptor)
            }
            _ => Self::parse(input),
        }
    }
}

impl Encode for DeliveryState {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Accepted => out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, 0x24, code::LIST0]),
            Self::Received(received) => received.encode(out),
            Self::Rejected(error) => Rejected { error: error.clone() }.encode(out),
            Self::Released => Released {}.encode(out),
            Self::Modified(modified) => modified.encode(out),
            Self::Declared(declared) => declared.encode(out),
            Self::Transactional(transactional) => transactional.encode(out),
            Self::Other(described) => described.encode(out),
        }
    }
}

impl Decode<'_> for DeliveryState {
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (list, descriptor) = parse::descriptor(input)?;
        Ok(match descriptor {
            Some(Accepted::CODE) => {
                let (rest, Accepted {}) = Accepted::parse_fields(list)?;
                (rest, Self::Accepted)
            }
            Some(Received::CODE) => {
                let (rest, received) = Received::parse_fields(list)?;
                (rest, Self::Received(received))
            }
            Some(Rejected::CODE) => {
                let (rest, rejected) = Rejected::parse_fields(list)?;
                (rest, Self::Rejected(rejected.error))
            }
            Some(Released::CODE) => {
                let (rest, Released {}) = Released::parse_fields(list)?;
                (rest, Self::Released)
            }
            Some(Modified::CODE) => {
                let (rest, modified) = Modified::parse_fields(list)?;
                (rest, Self::Modified(modified.into()))
            }
            Some(Declared::CODE) => {
                let (rest, declared) = Declared::parse_fields(list)?;
                (rest, Self::Declared(declared.into()))
            }
            Some(TransactionalState::CODE) => {
                let (rest, transactional) = TransactionalState::parse_fields(list)?;
                (rest, Self::Transactional(transactional.into()))
            }
            _ => {
                let (rest, described) = Described::parse(input)?;
                (rest, Self::Other(described))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_may_be_that_of_a_transaction() {
        let presumed =
            |outcome| DeliveryState::Transactional(TransactionalState { txn_id: "t".into(), outcome }.into());
        assert_eq!(DeliveryState::Released.outcome(), Some(&DeliveryState::Released));
        assert_eq!(presumed(Some(DeliveryState::Accepted)).outcome(), Some(&DeliveryState::Accepted));
        assert_eq!(presumed(None).outcome(), None);
        assert_eq!(DeliveryState::Received(Received::new(0, 0)).outcome(), None);
    }

    #[test]
    fn a_state_is_small() {
        assert!(size_of::<DeliveryState>() <= 24);
        assert!(size_of::<Option<DeliveryState>>() <= 24);
    }
}
