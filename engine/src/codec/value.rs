//! A value of any type.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;

use super::{
    Array, Decimal32, Decimal64, Decimal128, Decode, Described, Encode, Map, MixedTypes, Str, Symbol,
    Timestamp, Uuid, ValueRef, code, parse::Parsed, write,
};

/// A value of any AMQP type (§1.6).
///
/// Every value keeps its type: an ulong is not an uint, and reading one as the other is asked for by a
/// conversion such as [`to_u64`](Self::to_u64). Floats are equal when their bits are.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value (§1.6.1).
    #[default]
    Null,
    /// True or false (§1.6.2).
    Bool(bool),
    /// Unsigned, 8 bits (§1.6.3).
    Ubyte(u8),
    /// Unsigned, 16 bits (§1.6.4).
    Ushort(u16),
    /// Unsigned, 32 bits (§1.6.5).
    Uint(u32),
    /// Unsigned, 64 bits (§1.6.6).
    Ulong(u64),
    /// Signed, 8 bits (§1.6.7).
    Byte(i8),
    /// Signed, 16 bits (§1.6.8).
    Short(i16),
    /// Signed, 32 bits (§1.6.9).
    Int(i32),
    /// Signed, 64 bits (§1.6.10).
    Long(i64),
    /// Floating point, 32 bits (§1.6.11).
    Float(f32),
    /// Floating point, 64 bits (§1.6.12).
    Double(f64),
    /// Decimal, 32 bits (§1.6.13).
    Decimal32(Decimal32),
    /// Decimal, 64 bits (§1.6.14).
    Decimal64(Decimal64),
    /// Decimal, 128 bits (§1.6.15).
    Decimal128(Decimal128),
    /// One Unicode character (§1.6.16).
    Char(char),
    /// A point in time (§1.6.17).
    Timestamp(Timestamp),
    /// A universally unique id (§1.6.18).
    Uuid(Uuid),
    /// Octets (§1.6.19).
    Binary(Bytes),
    /// Unicode text (§1.6.20).
    String(Str),
    /// ASCII text from a constrained domain (§1.6.21).
    Symbol(Symbol),
    /// Values of any types in sequence (§1.6.22).
    List(Vec<Self>),
    /// Keys with values (§1.6.23).
    Map(Map),
    /// Values of one type (§1.6.24).
    Array(Array),
    /// A value of a type that its descriptor names (§1.1.2).
    Described(Described),
}

impl Value {
    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, when it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text of a string; not of a symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a symbol; not of a string.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&str> {
        match self {
            Self::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a string or symbol.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_str().or_else(|| self.as_symbol())
    }

    /// The octets of a binary.
    #[must_use]
    pub const fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The map, when it is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Any integer, signed or not, that fits; also the milliseconds of a timestamp.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(value) => Some(value.into()),
            Self::Ushort(value) => Some(value.into()),
            Self::Uint(value) => Some(value.into()),
            Self::Ulong(value) => value.try_into().ok(),
            Self::Byte(value) => Some(value.into()),
            Self::Short(value) => Some(value.into()),
            Self::Int(value) => Some(value.into()),
            Self::Long(value) => Some(value),
            Self::Timestamp(value) => Some(value.0),
            _ => None,
        }
    }

    /// Any integer, signed or not, that is not negative.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        match *self {
            Self::Ulong(value) => Some(value),
            _ => self.to_i64()?.try_into().ok(),
        }
    }

    /// A float or double.
    #[must_use]
    pub fn to_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(value) => Some(value.into()),
            Self::Double(value) => Some(value),
            _ => None,
        }
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(code::NULL),
            Self::Bool(value) => value.encode(out),
            Self::Ubyte(value) => value.encode(out),
            Self::Ushort(value) => value.encode(out),
            Self::Uint(value) => value.encode(out),
            Self::Ulong(value) => value.encode(out),
            Self::Byte(value) => value.encode(out),
            Self::Short(value) => value.encode(out),
            Self::Int(value) => value.encode(out),
            Self::Long(value) => value.encode(out),
            Self::Float(value) => value.encode(out),
            Self::Double(value) => value.encode(out),
            Self::Decimal32(value) => value.encode(out),
            Self::Decimal64(value) => value.encode(out),
            Self::Decimal128(value) => value.encode(out),
            Self::Char(value) => value.encode(out),
            Self::Timestamp(value) => value.encode(out),
            Self::Uuid(value) => value.encode(out),
            Self::Binary(value) => value.encode(out),
            Self::String(value) => value.encode(out),
            Self::Symbol(value) => value.encode(out),
            Self::List(items) => items.encode(out),
            Self::Map(map) => map.encode(out),
            Self::Array(array) => array.encode(out),
            Self::Described(described) => described.encode(out),
        }
    }
}

/// A list.
impl Encode for [Value] {
    fn encode(&self, out: &mut Vec<u8>) {
        let list = write::Compound::begin(out, code::LIST8);
        write::items(out, self);
        list.end_list(out, self.len());
    }
}

impl Encode for Vec<Value> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl Decode<'_> for Value {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, value) = ValueRef::parse(input)?;
        Ok((rest, value.to_value()?))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Ubyte(a), Self::Ubyte(b)) => a == b,
            (Self::Ushort(a), Self::Ushort(b)) => a == b,
            (Self::Uint(a), Self::Uint(b)) => a == b,
            (Self::Ulong(a), Self::Ulong(b)) => a == b,
            (Self::Byte(a), Self::Byte(b)) => a == b,
            (Self::Short(a), Self::Short(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal32(a), Self::Decimal32(b)) => a == b,
            (Self::Decimal64(a), Self::Decimal64(b)) => a == b,
            (Self::Decimal128(a), Self::Decimal128(b)) => a == b,
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Binary(a), Self::Binary(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Described(a), Self::Described(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool,
    u8 => Ubyte,
    u16 => Ushort,
    u32 => Uint,
    u64 => Ulong,
    i8 => Byte,
    i16 => Short,
    i32 => Int,
    i64 => Long,
    f32 => Float,
    f64 => Double,
    Decimal32 => Decimal32,
    Decimal64 => Decimal64,
    Decimal128 => Decimal128,
    char => Char,
    Timestamp => Timestamp,
    Uuid => Uuid,
    Bytes => Binary,
    Vec<u8> => Binary,
    &str => String,
    String => String,
    Str => String,
    Symbol => Symbol,
    Vec<Self> => List,
    Map => Map,
    Array => Array,
    Described => Described,
}

/// An array of symbols, as capabilities are written.
impl From<Vec<Symbol>> for Value {
    fn from(symbols: Vec<Symbol>) -> Self {
        Self::Array(symbols.into())
    }
}

/// Null when there is none.
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    /// An array of these values.
    ///
    /// # Errors
    ///
    /// As [`Array::new`].
    pub fn array<V: Into<Self>>(values: impl IntoIterator<Item = V>) -> Result<Self, MixedTypes> {
        Array::new(values).map(Self::Array)
    }
}
