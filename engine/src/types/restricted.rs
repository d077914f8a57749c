//! Types that are a choice of a few values of another type (§2.8, §3.5.5, §3.5.6, §5.3.3.6).

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{Decode, DecodeErrorKind, Encode, Symbol, parse};

/// Declares restricted types: a name for each value on the wire; any other value is refused.
macro_rules! restricted {
    ($(
        $(#[$doc:meta])*
        $name:ident: $wire:ident { $( $(#[$choice_doc:meta])* $choice:ident = $value:literal ),* $(,)? }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
        pub enum $name {
            $( $(#[$choice_doc])* $choice, )*
        }

        impl Encode for $name {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$choice => restricted!(@encode $wire $value, out), )*
                }
            }
        }

        impl Decode<'_> for $name {
            #[inline]
            fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
                let (rest, value) = <restricted!(@wire $wire)>::parse(input)?;
                match restricted!(@borrow $wire value) {
                    $( $value => Ok((rest, Self::$choice)), )*
                    #[allow(unreachable_patterns, reason = "both booleans are choices")]
                    _ => parse::fail(DecodeErrorKind::UnknownChoice),
                }
            }
        }

        #[cfg(test)]
        impl $name {
            /// `(choice, value)` in order, for the test against the specification.
            pub(crate) const CHOICES: &'static [(&'static str, &'static str)] =
                &[$( (stringify!($choice), stringify!($value)), )*];
        }
    )*};
    (@wire symbol) => { Symbol };
    (@wire $wire:ident) => { $wire };
    (@borrow symbol $value:ident) => { $value.as_str() };
    (@borrow $wire:ident $value:ident) => { $value };
    (@encode symbol $value:literal, $out:ident) => { Symbol::from_static($value).encode($out) };
    (@encode $wire:ident $value:literal, $out:ident) => { { let value: $wire = $value; value.encode($out) } };
}

restricted! {
    /// Which end of a link (§2.8.1).
    Role: bool {
        /// Sends messages.
        Sender = false,
        /// Receives messages.
        Receiver = true,
    }

    /// How the sender settles (§2.8.2).
    SenderSettleMode: u8 {
        /// It sends all deliveries unsettled.
        Unsettled = 0,
        /// It sends all deliveries settled.
        Settled = 1,
        /// It may do either.
        Mixed = 2,
    }

    /// How the receiver settles (§2.8.3).
    ReceiverSettleMode: u8 {
        /// At once, with its outcome.
        First = 0,
        /// After the sender has settled.
        Second = 1,
    }

    /// What of a terminus survives (§3.5.5).
    TerminusDurability: u32 {
        /// Nothing.
        None = 0,
        /// That it exists, and its configuration.
        Configuration = 1,
        /// Its unsettled deliveries, too.
        UnsettledState = 2,
    }

    /// When a terminus begins to expire (§3.5.6).
    TerminusExpiryPolicy: symbol {
        /// When the link is detached.
        LinkDetach = "link-detach",
        /// When the session ends.
        SessionEnd = "session-end",
        /// When the connection is closed.
        ConnectionClose = "connection-close",
        /// Never.
        Never = "never",
    }

    /// How a SASL exchange ended (§5.3.3.6).
    SaslCode: u8 {
        /// Authenticated.
        Ok = 0,
        /// Refused: wrong credentials or the like.
        Auth = 1,
        /// Failed for a fault of the system.
        Sys = 2,
        /// Failed for a fault of the system that will not go away by itself.
        SysPerm = 3,
        /// Failed for a fault of the system that may be gone later.
        SysTemp = 4,
    }
}

/// The number of a link on a session while it is attached (§2.8.4).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Handle(pub u32);

impl Encode for Handle {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode<'_> for Handle {
    #[inline]
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        u32::parse(input).map(|(rest, number)| (rest, Self(number)))
    }
}

impl From<u32> for Handle {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
