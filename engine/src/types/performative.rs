//! Any performative of the transport (§2.7).

use alloc::{boxed::Box, vec::Vec};

use super::{Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Transfer};
use crate::codec::{DecodeError, DecodeErrorKind, Encode, frame};

/// What a frame of the AMQP layer says (§2.3.2).
///
/// The engine reads each performative as its own type; this is for those who look at any frame: traces and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
#[allow(missing_docs, reason = "the types say it")]
pub enum Performative {
    Open(Box<Open>),
    Begin(Box<Begin>),
    Attach(Box<Attach>),
    Flow(Box<Flow>),
    Transfer(Box<Transfer>),
    Disposition(Box<Disposition>),
    Detach(Box<Detach>),
    End(Box<End>),
    Close(Box<Close>),
}

impl Performative {
    /// Reads the performative at the front of a frame's body; the payload comes back beside it.
    ///
    /// # Errors
    ///
    /// When the body does not begin with a valid performative.
    pub fn decode(body: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (code, list) = frame::descriptor(body)?;
        /// Reads one kind.
        macro_rules! read {
            ($kind:ident) => {{
                let (payload, performative) = $kind::parse_fields(list)?;
                Ok((Self::$kind(Box::new(performative)), payload))
            }};
        }
        match code {
            Open::CODE => read!(Open),
            Begin::CODE => read!(Begin),
            Attach::CODE => read!(Attach),
            Flow::CODE => read!(Flow),
            Transfer::CODE => read!(Transfer),
            Disposition::CODE => read!(Disposition),
            Detach::CODE => read!(Detach),
            End::CODE => read!(End),
            Close::CODE => read!(Close),
            _ => Err(DecodeErrorKind::UnknownDescriptor.into()),
        }
    }
}

impl Encode for Performative {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open(open) => open.encode(out),
            Self::Begin(begin) => begin.encode(out),
            Self::Attach(attach) => attach.encode(out),
            Self::Flow(flow) => flow.encode(out),
            Self::Transfer(transfer) => transfer.encode(out),
            Self::Disposition(disposition) => disposition.encode(out),
            Self::Detach(detach) => detach.encode(out),
            Self::End(end) => end.encode(out),
            Self::Close(close) => close.encode(out),
        }
    }
}

/// Wraps each performative.
macro_rules! from {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Performative {
            fn from(performative: $kind) -> Self {
                Self::$kind(Box::new(performative))
            }
        }
    )*};
}

from!(Open Begin Attach Flow Transfer Disposition Detach End Close);
