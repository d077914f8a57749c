//! Values in place: one level at a time, nothing copied.

use alloc::vec::Vec;
use core::fmt;

use super::{
    Array, ArrayRef, Decimal32, Decimal64, Decimal128, Decode, DecodeError, DecodeErrorKind, Described,
    DescribedRef, Encode, ListRef, MAX_DEPTH, MapRef, StrRef, SymbolRef, Timestamp, Uuid, Value, code, order,
    parse::{Parsed, byte, compound8, compound32, fixed, variable32},
};

/// A value in its encoded bytes.
///
/// Parsing looks at one level: the sizes of a list, map, array or described value are checked against the bytes
/// at hand, what is inside is read when it is walked. The iterators of [`ListRef`], [`MapRef`] and [`ArrayRef`]
/// therefore yield results. [`validate`](Self::validate) checks everything inside at once, equal map keys
/// included; [`to_value`](Self::to_value) does so while it copies.
///
/// Two of them are equal when they mean the same value, however it is encoded; floats by their bits.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// No value (§1.6.1).
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
    Binary(&'a [u8]),
    /// Unicode text (§1.6.20).
    String(StrRef<'a>),
    /// ASCII text from a constrained domain (§1.6.21).
    Symbol(SymbolRef<'a>),
    /// Values of any types in sequence (§1.6.22).
    List(ListRef<'a>),
    /// Keys with values (§1.6.23).
    Map(MapRef<'a>),
    /// Values of one type (§1.6.24).
    Array(ArrayRef<'a>),
    /// A value of a type that its descriptor names (§1.1.2).
    Described(DescribedRef<'a>),
}

impl<'a> ValueRef<'a> {
    /// Reads one value from the front of `input` and moves `input` behind it.
    #[inline(always)]
    pub(crate) fn read(input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let Some((constructor, rest)) = input.split_first() else { return truncated() };
        *input = rest;
        Self::read_data(*constructor, input)
    }

    /// Reads the untyped bytes that follow `constructor` (§1.2) and moves `input` behind them.
    ///
    /// What is seen often becomes part of the loop that walks a list or map: a value that comes out of a function
    /// travels through memory.
    #[inline(always)]
    pub(crate) fn read_data(constructor: u8, input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        macro_rules! number {
            ($variant:ident($type:ty)) => {
                match input.split_first_chunk() {
                    Some((bytes, rest)) => {
                        *input = rest;
                        Self::$variant(<$type>::from_be_bytes(*bytes).into())
                    }
                    None => return truncated(),
                }
            };
        }
        macro_rules! variable {
            ($read:expr) => {{
                let Some((size, rest)) = input.split_first() else { return truncated() };
                let Some((bytes, rest)) = rest.split_at_checked(usize::from(*size)) else {
                    return truncated();
                };
                *input = rest;
                $read(bytes)
            }};
        }
        Ok(match constructor {
            code::NULL => Self::Null,
            code::TRUE => Self::Bool(true),
            code::FALSE => Self::Bool(false),
            code::UINT0 => Self::Uint(0),
            code::ULONG0 => Self::Ulong(0),
            code::SMALLUINT => number!(Uint(u8)),
            code::SMALLULONG => number!(Ulong(u8)),
            code::SMALLINT => number!(Int(i8)),
            code::SMALLLONG => number!(Long(i8)),
            code::UINT => number!(Uint(u32)),
            code::INT => number!(Int(i32)),
            code::ULONG => number!(Ulong(u64)),
            code::LONG => number!(Long(i64)),
            code::DOUBLE => number!(Double(f64)),
            code::TIMESTAMP => number!(Timestamp(i64)),
            code::BINARY8 => Self::Binary(variable!(|bytes| bytes)),
            code::STRING8 => Self::String(variable!(StrRef::read)?),
            code::SYMBOL8 => Self::Symbol(variable!(SymbolRef::read)?),
            other => {
                let mut rest = *input;
                let value = Self::read_rare(other, &mut rest)?;
                *input = rest;
                value
            }
        })
    }

    /// What is not seen often, apart from the rest to keep that short.
    #[inline(never)]
    fn read_rare(constructor: u8, input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match constructor {
            code::DESCRIBED => Self::Described(next(input, DescribedRef::parse_after_zero)?),
            code::BOOLEAN => match next(input, byte)? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                _ => return Err(DecodeErrorKind::InvalidBoolean.into()),
            },
            code::UBYTE => Self::Ubyte(next(input, byte)?),
            code::USHORT => Self::Ushort(u16::from_be_bytes(next(input, fixed)?)),
            code::BYTE => Self::Byte(next(input, byte)? as i8),
            code::SHORT => Self::Short(i16::from_be_bytes(next(input, fixed)?)),
            code::FLOAT => Self::Float(f32::from_be_bytes(next(input, fixed)?)),
            code::CHAR => match char::from_u32(u32::from_be_bytes(next(input, fixed)?)) {
                Some(char) => Self::Char(char),
                None => return Err(DecodeErrorKind::InvalidChar.into()),
            },
            code::DECIMAL32 => Self::Decimal32(Decimal32(next(input, fixed)?)),
            code::DECIMAL64 => Self::Decimal64(Decimal64(next(input, fixed)?)),
            code::DECIMAL128 => Self::Decimal128(Decimal128(next(input, fixed)?)),
            code::UUID => Self::Uuid(Uuid(next(input, fixed)?)),
            code::BINARY32 => Self::Binary(next(input, variable32)?),
            code::STRING32 => Self::String(StrRef::read(next(input, variable32)?)?),
            code::SYMBOL32 => Self::Symbol(SymbolRef::read(next(input, variable32)?)?),
            code::LIST0 => Self::List(ListRef::default()),
            code::LIST8 => Self::List(ListRef::new(next(input, compound8)?)?),
            code::LIST32 => Self::List(ListRef::new(next(input, compound32)?)?),
            code::MAP8 => Self::Map(MapRef::new(next(input, compound8)?)?),
            code::MAP32 => Self::Map(MapRef::new(next(input, compound32)?)?),
            code::ARRAY8 => Self::Array(ArrayRef::new(next(input, compound8)?)?),
            code::ARRAY32 => Self::Array(ArrayRef::new(next(input, compound32)?)?),
            unknown => return Err(DecodeErrorKind::UnknownFormatCode(unknown).into()),
        })
    }

    /// Reads a descriptor, which is neither described nor compound (§1.5), and moves `input` behind it.
    pub(crate) fn read_descriptor(input: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let (rest, constructor) = byte(input)?;
        if matches!(constructor, code::DESCRIBED | code::LIST0 | code::LIST8..=u8::MAX) {
            return Err(DecodeErrorKind::InvalidDescriptor.into());
        }
        *input = rest;
        Self::read_data(constructor, input)
    }

    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, when it is one.
    #[must_use]
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The text of a string or symbol.
    #[must_use]
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text.as_str()),
            Self::Symbol(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Any integer, signed or not, that is not negative.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        match self {
            Self::Ubyte(value) => Some(value.into()),
            Self::Ushort(value) => Some(value.into()),
            Self::Uint(value) => Some(value.into()),
            Self::Ulong(value) => Some(value),
            Self::Byte(value) => value.try_into().ok(),
            Self::Short(value) => value.try_into().ok(),
            Self::Int(value) => value.try_into().ok(),
            Self::Long(value) => value.try_into().ok(),
            Self::Timestamp(value) => value.0.try_into().ok(),
            _ => None,
        }
    }

    /// Checks everything inside, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// When something inside is malformed, nested deeper than [`MAX_DEPTH`], or a map has two equal keys.
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.validate_at(0)
    }

    pub(crate) fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        match self {
            Self::List(list) => {
                let depth = deeper(depth)?;
                list.iter().try_for_each(|item| item?.validate_at(depth))
            }
            Self::Map(map) => map.validate_at(depth),
            Self::Array(array) => array.validate_at(depth),
            Self::Described(described) => described.validate_at(depth),
            _ => Ok(()),
        }
    }

    /// Copies the value out, checking everything inside.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        self.to_value_at(0)
    }

    pub(crate) fn to_value_at(self, depth: usize) -> Result<Value, DecodeError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Ubyte(value) => Value::Ubyte(value),
            Self::Ushort(value) => Value::Ushort(value),
            Self::Uint(value) => Value::Uint(value),
            Self::Ulong(value) => Value::Ulong(value),
            Self::Byte(value) => Value::Byte(value),
            Self::Short(value) => Value::Short(value),
            Self::Int(value) => Value::Int(value),
            Self::Long(value) => Value::Long(value),
            Self::Float(value) => Value::Float(value),
            Self::Double(value) => Value::Double(value),
            Self::Decimal32(value) => Value::Decimal32(value),
            Self::Decimal64(value) => Value::Decimal64(value),
            Self::Decimal128(value) => Value::Decimal128(value),
            Self::Char(value) => Value::Char(value),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::Uuid(value) => Value::Uuid(value),
            Self::Binary(value) => Value::Binary(bytes::Bytes::copy_from_slice(value)),
            Self::String(value) => Value::String(value.into()),
            Self::Symbol(value) => Value::Symbol(value.into()),
            Self::List(list) => {
                let depth = deeper(depth)?;
                let mut items = Vec::with_capacity(list.len());
                for item in list {
                    items.push(item?.to_value_at(depth)?);
                }
                Value::List(items)
            }
            Self::Map(map) => Value::Map(map.to_map_at(depth)?),
            Self::Array(array) => {
                array.validate_at(depth)?;
                Value::Array(Array::copied(array))
            }
            Self::Described(described) => {
                described.validate_at(depth)?;
                Value::Described(Described::copied(described))
            }
        })
    }
}

#[inline(always)]
fn truncated<'a>() -> Result<ValueRef<'a>, DecodeError> {
    Err(DecodeErrorKind::Truncated.into())
}

/// Runs a parser on `input` and moves `input` behind what it read.
#[inline(always)]
fn next<'a, T>(
    input: &mut &'a [u8],
    parser: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, DecodeError> {
    let (rest, value) = parser(input)?;
    *input = rest;
    Ok(value)
}

/// The depth inside a compound that stands at `depth`.
pub(crate) fn deeper(depth: usize) -> Result<usize, DecodeError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(DecodeErrorKind::TooDeep.into()) }
}

impl<'a> Decode<'a> for ValueRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let mut rest = input;
        let value = Self::read(&mut rest)?;
        Ok((rest, value))
    }
}

impl Encode for ValueRef<'_> {
    /// Lists, maps, arrays and described values are written with what is in them as it is.
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
            Self::List(list) => list.encode(out),
            Self::Map(map) => map.encode(out),
            Self::Array(array) => array.encode(out),
            Self::Described(described) => described.encode(out),
        }
    }
}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        order::compare(self, other).is_eq()
    }
}

impl Eq for ValueRef<'_> {}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => fmt::Debug::fmt(&value, f),
            Err(error) => fmt::Debug::fmt(&error, f),
        }
    }
}
