//! Strings and symbols in place.

use alloc::vec::Vec;
use core::fmt;

use super::{
    Decode, DecodeError, DecodeErrorKind, Encode, NotAscii, Str, Symbol, code,
    parse::{Parsed, byte, unexpected, variable8, variable32},
    write,
};

/// A string in its encoded bytes, which were found to be UTF-8 when it was read (§1.6.20).
///
/// It compares as it is, with other strings or `&str`. To make a `&str` of it, [`as_str`](Self::as_str) looks at every
/// byte once more, as there is no other way without `unsafe`: ask for it once, and only where it is needed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrRef<'a>(&'a [u8]);

/// A symbol in its encoded bytes, which were found to be ASCII when it was read (§1.6.21).
///
/// As with [`StrRef`], it costs more to ask for a `&str` than to compare.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolRef<'a>(&'a [u8]);

impl<'a> StrRef<'a> {
    #[inline(always)]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if is_ascii(bytes) || is_utf8(bytes) {
            Ok(Self(bytes))
        } else {
            Err(DecodeErrorKind::InvalidUtf8.into())
        }
    }
}

impl<'a> SymbolRef<'a> {
    #[inline(always)]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if is_ascii(bytes) { Ok(Self(bytes)) } else { Err(DecodeErrorKind::InvalidSymbol.into()) }
    }
}

#[cold]
#[inline(never)]
fn is_utf8(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok()
}

/// Most texts are ASCII and short: eight bytes at a time, the last of which overlap, take a few instructions.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    if let Some(last) = bytes.last_chunk() {
        let mut seen = u64::from_ne_bytes(*last);
        let mut rest = bytes;
        while rest.len() > 8
            && let Some((word, behind)) = rest.split_first_chunk()
        {
            seen |= u64::from_ne_bytes(*word);
            rest = behind;
        }
        return seen & HIGH_BITS == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & HIGH_BITS == 0;
    }
    bytes.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

const CHECKED: &str = "it was checked when it was read";

macro_rules! text_ref {
    ($name:ident, $owned:ident, $narrow:ident, $wide:ident) => {
        impl<'a> $name<'a> {
            /// The text.
            #[must_use]
            pub fn as_str(self) -> &'a str {
                core::str::from_utf8(self.0).expect(CHECKED)
            }

            /// The text as bytes.
            #[inline]
            #[must_use]
            pub const fn as_bytes(self) -> &'a [u8] {
                self.0
            }

            /// How many bytes there are.
            #[inline]
            #[must_use]
            pub const fn len(self) -> usize {
                self.0.len()
            }

            /// Whether there is no byte.
            #[inline]
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0.is_empty()
            }
        }

        impl<'a> Decode<'a> for $name<'a> {
            #[inline]
            fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
                let (rest, bytes) = match byte(input)? {
                    (rest, code::$narrow) => variable8(rest)?,
                    (rest, code::$wide) => variable32(rest)?,
                    (_, other) => return unexpected(other),
                };
                Ok((rest, Self::read(bytes)?))
            }
        }

        impl Encode for $name<'_> {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                write::variable(out, code::$narrow, self.0);
            }
        }

        impl<'a> From<&'a $owned> for $name<'a> {
            fn from(text: &'a $owned) -> Self {
                Self(text.as_bytes())
            }
        }

        impl PartialEq<str> for $name<'_> {
            #[inline]
            fn eq(&self, other: &str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name<'_> {
            #[inline]
            fn eq(&self, other: &&str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<$owned> for $name<'_> {
            fn eq(&self, other: &$owned) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_str(), f)
            }
        }
    };
}

text_ref!(StrRef, Str, STRING8, STRING32);
text_ref!(SymbolRef, Symbol, SYMBOL8, SYMBOL32);

impl<'a> From<&'a str> for StrRef<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<'a> TryFrom<&'a str> for SymbolRef<'a> {
    type Error = NotAscii;

    fn try_from(text: &'a str) -> Result<Self, NotAscii> {
        if text.is_ascii() { Ok(Self(text.as_bytes())) } else { Err(NotAscii) }
    }
}

impl From<StrRef<'_>> for Str {
    fn from(text: StrRef<'_>) -> Self {
        Self::from(text.as_str())
    }
}

impl From<SymbolRef<'_>> for Symbol {
    fn from(text: SymbolRef<'_>) -> Self {
        Self::from_ascii(text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use proptest::prelude::*;

    #[test]
    fn every_byte_of_a_text_is_looked_at() {
        for len in 1..70 {
            for place in 0..len {
                let mut bytes = vec![b'a'; len];
                bytes[place] = 0x80;
                assert!(
                    StrRef::read(&bytes).is_err() && SymbolRef::read(&bytes).is_err(),
                    "{place} of {len}"
                );
                bytes[place] = 0x7f;
                assert!(StrRef::read(&bytes).is_ok() && SymbolRef::read(&bytes).is_ok(), "{place} of {len}");
            }
        }
    }

    #[test]
    fn a_text_in_place_compares_and_prints_as_text() {
        let text = StrRef::from("naïve");
        assert_eq!(text, "naïve");
        assert_eq!(text, Str::from("naïve"));
        assert_eq!(format!("{text:>7}|{text:?}"), "  naïve|\"naïve\"");
        assert_eq!(SymbolRef::try_from("naïve"), Err(NotAscii));
        assert_eq!(SymbolRef::try_from("plain").unwrap(), "plain");
    }

    proptest! {
        #[test]
        fn texts_are_utf8_and_symbols_ascii(text: alloc::string::String, bytes: Vec<u8>, at: prop::sample::Index) {
            let mut mixed = text.into_bytes();
            mixed.splice(at.index(mixed.len() + 1).., bytes);
            let text = core::str::from_utf8(&mixed).ok();
            prop_assert_eq!(StrRef::read(&mixed).ok().map(StrRef::as_str), text);
            prop_assert_eq!(SymbolRef::read(&mixed).ok().map(SymbolRef::as_str), text.filter(|text| text.is_ascii()));
        }
    }
}
