//! The type system of §1: bytes to values and back.
//!
//! [`Value`] owns whatever AMQP can say; [`ValueRef`] walks encoded bytes in place; [`Fields`] and [`Symbols`] keep such
//! bytes, as performatives carry them. What is known to be one type (`u32`, [`Str`], the composites of
//! [`types`](crate::types)) is read and written as that type through [`Decode`] and [`Encode`].
//!
//! ```
//! use amqp1_engine::codec::{Decode, Encode, Map, Value, ValueRef};
//!
//! let mut bytes = Vec::new();
//! Map::new().with("colour", "green").with("size", 3u32).encode(&mut bytes);
//!
//! let map = Map::decode(&bytes)?;
//! assert_eq!(map.get("size"), Some(&Value::Uint(3)));
//!
//! let ValueRef::Map(borrowed) = ValueRef::decode(&bytes)? else { panic!("a map was written") };
//! assert_eq!(borrowed.iter().count(), 2);
//! # Ok::<(), amqp1_engine::codec::DecodeError>(())
//! ```
//!
//! Parsers have the shape of nom, `fn(&[u8]) -> IResult<&[u8], T, DecodeError>`, run on complete slices, and
//! allocate nothing from a size or count before it was checked against the bytes at hand. Writers append to a
//! `Vec<u8>`, choose the shortest encoding and cannot fail.

use alloc::vec::Vec;

use nom::IResult;

mod array;
pub use array::{Array, ArrayIter, ArrayRef, MixedTypes};
pub(crate) mod code;
pub(crate) mod composite;
mod described;
mod elements;
pub use described::{Described, DescribedRef, Descriptor};
pub(crate) mod display;
pub(crate) mod error;
pub use error::{DecodeError, DecodeErrorKind};
mod fields;
pub use fields::Fields;
pub(crate) mod frame;
pub use frame::FRAME_HEADER_LEN;
pub(crate) mod hot;
mod map;
pub use map::Map;
mod order;
pub(crate) mod parse;
mod primitive;
pub use primitive::{Decimal32, Decimal64, Decimal128, Timestamp, Uuid};
#[cfg(test)]
mod rows;
#[cfg(any(test, feature = "arbitrary"))]
pub(crate) mod sample;
mod symbols;
pub use symbols::Symbols;
mod text;
pub use text::{NotAscii, Str, Symbol};
mod text_ref;
pub use text_ref::{StrRef, SymbolRef};
mod value;
pub use value::Value;
mod value_ref;
pub use value_ref::ValueRef;
mod walk;
pub use walk::{ListIter, ListRef, MapIter, MapRef};
pub(crate) mod write;

/// How many lists, maps, arrays and descriptions may enclose each other in one value.
pub const MAX_DEPTH: usize = 32;

/// How many elements an array may have whose elements take no bytes, such as `null`.
pub const MAX_ZERO_WIDTH: u32 = 65_536;

/// What has an AMQP encoding.
pub trait Encode {
    /// Appends the encoding, constructor included, in its shortest form.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What can be read from its AMQP encoding.
pub trait Decode<'a>: Sized {
    /// Reads one value, constructor included, from the front of `input`; the rest comes back beside it.
    ///
    /// # Errors
    ///
    /// When `input` does not begin with a complete and valid value of this type.
    fn parse(input: &'a [u8]) -> IResult<&'a [u8], Self, DecodeError>;

    /// Reads one value from the front of `input` in the place of this one; what follows comes back.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); then there may be parts of both in this place.
    fn parse_from(&mut self, input: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let (rest, value) = Self::parse(input)?;
        *self = value;
        Ok(rest)
    }

    /// Reads one value that takes all of `input`.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and when bytes are left over.
    fn decode(input: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::parse(input)? {
            ([], value) => Ok(value),
            _ => Err(DecodeErrorKind::TrailingBytes.into()),
        }
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

/// [`Decode::parse_from`] for what the hot form leaves to the general one.
#[cold]
#[inline(never)]
pub(crate) fn general<'a, T: Decode<'a>>(place: &mut T, input: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let (rest, value) = T::parse(input)?;
    *place = value;
    Ok(rest)
}
