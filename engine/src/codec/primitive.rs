//! The fixed-width types (§1.6.1 to §1.6.18) and binary (§1.6.19).

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    Decode, DecodeErrorKind, Encode, Str, Symbol, SymbolRef, code,
    parse::{Parsed, byte, fail, fixed, unexpected, variable8, variable32},
    write,
};
use crate::Serial;

/// Milliseconds since the Unix epoch, negative before it (§1.6.17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Timestamp(pub i64);

/// A universally unique id, its 16 octets in network order (§1.6.18).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Uuid(pub [u8; 16]);

/// An IEEE 754 decimal of 32 bits, kept as the bytes on the wire (§1.6.13).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Decimal32(pub [u8; 4]);

/// An IEEE 754 decimal of 64 bits, kept as the bytes on the wire (§1.6.14).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Decimal64(pub [u8; 8]);

/// An IEEE 754 decimal of 128 bits, kept as the bytes on the wire (§1.6.15).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "arbitrary"), derive(arbitrary::Arbitrary))]
pub struct Decimal128(pub [u8; 16]);

impl Timestamp {
    /// The moment this long after the Unix epoch, in whole milliseconds; saturates far in the future.
    #[must_use]
    pub fn from_epoch(elapsed: Duration) -> Self {
        Self(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time since the Unix epoch; `None` before it.
    #[must_use]
    pub fn since_epoch(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_millis)
    }
}

impl From<i64> for Timestamp {
    fn from(milliseconds: i64) -> Self {
        Self(milliseconds)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! decimal_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    )*};
}

decimal_debug!(Decimal32, Decimal64, Decimal128);

/// Types with one encoding of fixed width: `Type, from wire bytes, to wire bytes, format code`.
macro_rules! fixed_width {
    ($($type:ty: $code:ident, $from:expr, $to:expr;)*) => {$(
        impl Encode for $type {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                write::fixed(out, code::$code, $to(*self));
            }
        }

        impl<'a> Decode<'a> for $type {
            #[inline]
            fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
                match byte(input)? {
                    (rest, code::$code) => {
                        let (rest, bytes) = fixed(rest)?;
                        Ok((rest, $from(bytes)))
                    }
                    (_, other) => unexpected(other),
                }
            }
        }
    )*};
}

fixed_width! {
    u8: UBYTE, u8::from_be_bytes, u8::to_be_bytes;
    i8: BYTE, i8::from_be_bytes, i8::to_be_bytes;
    u16: USHORT, u16::from_be_bytes, u16::to_be_bytes;
    i16: SHORT, i16::from_be_bytes, i16::to_be_bytes;
    f32: FLOAT, f32::from_be_bytes, f32::to_be_bytes;
    f64: DOUBLE, f64::from_be_bytes, f64::to_be_bytes;
    Decimal32: DECIMAL32, Decimal32, |d: Decimal32| d.0;
    Decimal64: DECIMAL64, Decimal64, |d: Decimal64| d.0;
    Decimal128: DECIMAL128, Decimal128, |d: Decimal128| d.0;
    Timestamp: TIMESTAMP, |b| Timestamp(i64::from_be_bytes(b)), |t: Timestamp| t.0.to_be_bytes();
    Uuid: UUID, Uuid, |u: Uuid| u.0;
}

impl Encode for bool {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(if *self { code::TRUE } else { code::FALSE });
    }
}

impl<'a> Decode<'a> for bool {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match byte(input)? {
            (rest, code::TRUE) => Ok((rest, true)),
            (rest, code::FALSE) => Ok((rest, false)),
            (rest, code::BOOLEAN) => match byte(rest)? {
                (rest, 0) => Ok((rest, false)),
                (rest, 1) => Ok((rest, true)),
                _ => fail(DecodeErrorKind::InvalidBoolean),
            },
            (_, other) => unexpected(other),
        }
    }
}

impl Encode for u32 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            0 => out.push(code::UINT0),
            1..=0xff => out.extend_from_slice(&[code::SMALLUINT, *self as u8]),
            _ => write::fixed(out, code::UINT, self.to_be_bytes()),
        }
    }
}

impl<'a> Decode<'a> for u32 {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, constructor) = byte(input)?;
        match constructor {
            code::UINT0 => Ok((rest, 0)),
            code::SMALLUINT => byte(rest).map(|(rest, value)| (rest, Self::from(value))),
            code::UINT => fixed(rest).map(|(rest, bytes)| (rest, Self::from_be_bytes(bytes))),
            other => unexpected(other),
        }
    }
}

impl Encode for u64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            0 => out.push(code::ULONG0),
            1..=0xff => out.extend_from_slice(&[code::SMALLULONG, *self as u8]),
            _ => write::fixed(out, code::ULONG, self.to_be_bytes()),
        }
    }
}

impl<'a> Decode<'a> for u64 {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, constructor) = byte(input)?;
        match constructor {
            code::ULONG0 => Ok((rest, 0)),
            code::SMALLULONG => byte(rest).map(|(rest, value)| (rest, Self::from(value))),
            code::ULONG => fixed(rest).map(|(rest, bytes)| (rest, Self::from_be_bytes(bytes))),
            other => unexpected(other),
        }
    }
}

impl Encode for i32 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match i8::try_from(*self) {
            Ok(small) => out.extend_from_slice(&[code::SMALLINT, small as u8]),
            Err(_) => write::fixed(out, code::INT, self.to_be_bytes()),
        }
    }
}

impl<'a> Decode<'a> for i32 {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, constructor) = byte(input)?;
        match constructor {
            code::SMALLINT => byte(rest).map(|(rest, value)| (rest, Self::from(value as i8))),
            code::INT => fixed(rest).map(|(rest, bytes)| (rest, Self::from_be_bytes(bytes))),
            other => unexpected(other),
        }
    }
}

impl Encode for i64 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match i8::try_from(*self) {
            Ok(small) => out.extend_from_slice(&[code::SMALLLONG, small as u8]),
            Err(_) => write::fixed(out, code::LONG, self.to_be_bytes()),
        }
    }
}

impl<'a> Decode<'a> for i64 {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, constructor) = byte(input)?;
        match constructor {
            code::SMALLLONG => byte(rest).map(|(rest, value)| (rest, Self::from(value as i8))),
            code::LONG => fixed(rest).map(|(rest, bytes)| (rest, Self::from_be_bytes(bytes))),
            other => unexpected(other),
        }
    }
}

impl Encode for char {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        write::fixed(out, code::CHAR, u32::from(*self).to_be_bytes());
    }
}

impl<'a> Decode<'a> for char {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match byte(input)? {
            (rest, code::CHAR) => {
                let (rest, bytes) = fixed(rest)?;
                match Self::from_u32(u32::from_be_bytes(bytes)) {
                    Some(char) => Ok((rest, char)),
                    None => fail(DecodeErrorKind::InvalidChar),
                }
            }
            (_, other) => unexpected(other),
        }
    }
}

impl Encode for Serial {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.get().encode(out);
    }
}

impl<'a> Decode<'a> for Serial {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        u32::parse(input).map(|(rest, value)| (rest, Self::new(value)))
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        write::variable(out, code::BINARY8, self);
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match byte(input)? {
            (rest, code::BINARY8) => variable8(rest),
            (rest, code::BINARY32) => variable32(rest),
            (_, other) => unexpected(other),
        }
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl Decode<'_> for Bytes {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        <&[u8]>::parse(input).map(|(rest, bytes)| (rest, Self::copy_from_slice(bytes)))
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        write::variable(out, code::STRING8, self.as_bytes());
    }
}

impl<'a> Decode<'a> for &'a str {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, bytes) = match byte(input)? {
            (rest, code::STRING8) => variable8(rest)?,
            (rest, code::STRING32) => variable32(rest)?,
            (_, other) => return unexpected(other),
        };
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok((rest, text)),
            Err(_) => fail(DecodeErrorKind::InvalidUtf8),
        }
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Encode for Str {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Decode<'_> for Str {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        <&str>::parse(input).map(|(rest, text)| (rest, Self::from(text)))
    }
}

impl Encode for Symbol {
    fn encode(&self, out: &mut Vec<u8>) {
        write::variable(out, code::SYMBOL8, self.as_bytes());
    }
}

impl Decode<'_> for Symbol {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        SymbolRef::parse(input).map(|(rest, text)| (rest, text.into()))
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Box<T> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        T::parse(input).map(|(rest, value)| (rest, Self::new(value)))
    }
}
