//! What becomes of messages that were sent.

use std::fmt;

use amqp1_engine::types::{self, DeliveryState, Modified};

use super::error::{Error, Reason};

/// What the receiver made of a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was accepted (§3.4.2).
    Accepted,
    /// It is invalid, and the receiver may have said why (§3.4.3).
    Rejected(Option<Box<types::Error>>),
    /// It was not and will not be processed (§3.4.4).
    Released,
    /// It was not processed, and is to be changed so (§3.4.5).
    Modified(Box<Modified>),
    /// It is settled and there is no other outcome: it was sent settled, or the receiver said nothing more.
    Settled,
}

impl Outcome {
    /// Fails unless the message was accepted, or settled without another outcome.
    ///
    /// # Errors
    /// [`Error::NotAccepted`].
    pub fn accepted(self) -> Result<(), Error> {
        match self {
            Self::Accepted | Self::Settled => Ok(()),
            other => Err(Error::NotAccepted(other)),
        }
    }

    pub(super) fn new(state: Option<DeliveryState>) -> Self {
        match state {
            Some(DeliveryState::Accepted) => Self::Accepted,
            Some(DeliveryState::Rejected(error)) => Self::Rejected(error),
            Some(DeliveryState::Released) => Self::Released,
            Some(DeliveryState::Modified(modified)) => Self::Modified(modified),
            _ => Self::Settled,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Rejected(None) => f.write_str("rejected"),
            Self::Rejected(Some(error)) => write!(f, "rejected: {}", Reason(error)),
            Self::Released => f.write_str("released"),
            Self::Modified(_) => f.write_str("modified"),
            Self::Settled => f.write_str("settled"),
        }
    }
}
