//! Why authentication failed.

use alloc::borrow::Cow;
use core::fmt;

use crate::{
    codec::{DecodeError, Symbol, Symbols},
    types::SaslCode,
};

/// Why the SASL exchange ended without success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslError {
    /// The peer sent a frame above the limit of this connection's SASL frames.
    FrameTooLarge {
        /// What the frame claims, in bytes.
        size: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// A frame of our own is above that limit: long tokens need a higher one on both sides.
    TooLargeToSend {
        /// What the frame takes, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// The frame's header contradicts itself, or the frame is empty.
    MalformedFrame,
    /// The frame's body is not one well-formed SASL type.
    MalformedBody(DecodeError),
    /// The peer sent something that is not a SASL frame before the exchange was over.
    NotSasl,
    /// The peer sent a SASL frame out of turn.
    Unexpected(&'static str),
    /// None of the server's mechanisms is configured here.
    NoCommonMechanism {
        /// What the server offers.
        offered: Symbols,
    },
    /// What is configured and offered would send a password readable over a channel that is not encrypted.
    ClearText {
        /// The mechanism in question.
        mechanism: Symbol,
    },
    /// A server has no mechanism to offer on this channel.
    NothingToOffer,
    /// The client chose a mechanism that was not offered to it.
    NotOffered {
        /// The client's choice.
        mechanism: Symbol,
    },
    /// The server did not accept the credentials; on the server: we did not.
    Refused(Refusal),
    /// The mechanism gave up on what the server sent.
    Mechanism(MechanismError),
    /// The mechanism took more challenges than the limit allows.
    TooManyRounds {
        /// The limit.
        limit: u32,
    },
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameTooLarge { size, limit } => {
                write!(f, "the peer sent a SASL frame of {size} bytes, above the limit of {limit}")
            }
            Self::TooLargeToSend { size, limit } => {
                write!(
                    f,
                    "a SASL frame of {size} bytes is above the limit of {limit}: raise it on both sides"
                )
            }
            Self::MalformedFrame => f.write_str("the peer sent a malformed SASL frame"),
            Self::MalformedBody(error) => write!(f, "the peer sent a malformed SASL frame: {error}"),
            Self::NotSasl => f.write_str("the peer went on before SASL was done"),
            Self::Unexpected(name) => write!(f, "the peer sent {name} out of turn"),
            Self::NoCommonMechanism { offered } => {
                f.write_str("none of the server's SASL mechanisms is configured here:")?;
                offered.iter().try_for_each(|name| write!(f, " {name}"))?;
                if offered.contains(&super::PLAIN) {
                    f.write_str("; give a user and a password")
                } else {
                    Ok(())
                }
            }
            Self::ClearText { mechanism } => {
                write!(f, "{mechanism} would send the password readable: encrypt, or allow it explicitly")
            }
            Self::NothingToOffer => f.write_str("no SASL mechanism is configured for this channel"),
            Self::NotOffered { mechanism } => {
                write!(f, "the client chose {mechanism}, which was not offered")
            }
            Self::Refused(refusal) => write!(f, "authentication failed: {refusal}"),
            Self::Mechanism(error) => write!(f, "authentication failed: {error}"),
            Self::TooManyRounds { limit } => write!(f, "authentication took more than {limit} challenges"),
        }
    }
}

impl core::error::Error for SaslError {}

/// Why a server turned a client down, §5.3.3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `auth`: the credentials are wrong.
    Credentials,
    /// `sys`: the server failed.
    System,
    /// `sys-perm`: the server failed, and will again until somebody repairs it.
    SystemPermanent,
    /// `sys-temp`: the server failed; trying later may help.
    SystemTemporary,
}

impl Refusal {
    pub(super) const fn from_code(code: SaslCode) -> Option<Self> {
        match code {
            SaslCode::Ok => None,
            SaslCode::Auth => Some(Self::Credentials),
            SaslCode::Sys => Some(Self::System),
            SaslCode::SysPerm => Some(Self::SystemPermanent),
            SaslCode::SysTemp => Some(Self::SystemTemporary),
        }
    }

    pub(super) const fn code(self) -> SaslCode {
        match self {
            Self::Credentials => SaslCode::Auth,
            Self::System => SaslCode::Sys,
            Self::SystemPermanent => SaslCode::SysPerm,
            Self::SystemTemporary => SaslCode::SysTemp,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "wrong credentials; check user and password",
            Self::System => "the server failed",
            Self::SystemPermanent => "the server failed permanently",
            Self::SystemTemporary => "the server failed temporarily",
        })
    }
}

/// Why a client's mechanism gave up: the reason in words, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MechanismError(Cow<'static, str>);

impl MechanismError {
    /// Gives the reason, such as "the server's signature is wrong".
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }

    pub(super) const fn from_static(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

impl fmt::Display for MechanismError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for MechanismError {}
