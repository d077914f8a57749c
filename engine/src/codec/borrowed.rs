//! Values in place: one level at a time, nothing copied.

use core::fmt;

use super::{
    Array, ArrayRef, Decimal32, Decimal64, Decimal128, Decode, DecodeError, DecodeErrorKind, Described,
    MAX_DEPTH, Map, Symbol, Timestamp, Uuid, Value, code, order,
    parse::{
        self, Compound, Parsed, ascii, byte, compound8, compound32, fail, fixed, take, unexpected, utf8,
        variable8, variable32,
    },
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
    String(&'a str),
    /// ASCII text from a constrained domain (§1.6.21).
    Symbol(&'a str),
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
    /// Reads the untyped bytes that follow `constructor` (§1.2).
    #[inline]
    pub(crate) fn parse_data(constructor: u8, input: &'a [u8]) -> Parsed<'a, Self> {
        /// `Variant from N bytes`.
        macro_rules! fixed {
            ($variant:ident, $from:expr) => {{
                let (rest, bytes) = fixed(input)?;
                (rest, Self::$variant($from(bytes)))
            }};
        }
        Ok(match constructor {
            code::NULL => (input, Self::Null),
            code::TRUE => (input, Self::Bool(true)),
            code::FALSE => (input, Self::Bool(false)),
            code::UINT0 => (input, Self::Uint(0)),
            code::ULONG0 => (input, Self::Ulong(0)),
            code::LIST0 => (input, Self::List(ListRef(Compound { count: 0, items: &[] }))),
            code::UBYTE => fixed!(Ubyte, u8::from_be_bytes),
            code::BYTE => fixed!(Byte, i8::from_be_bytes),
            code::SMALLUINT => fixed!(Uint, |b| u32::from(u8::from_be_bytes(b))),
            code::SMALLULONG => fixed!(Ulong, |b| u64::from(u8::from_be_bytes(b))),
            code::SMALLINT => fixed!(Int, |b| i32::from(i8::from_be_bytes(b))),
            code::SMALLLONG => fixed!(Long, |b| i64::from(i8::from_be_bytes(b))),
            code::BOOLEAN => match byte(input)? {
                (rest, 0) => (rest, Self::Bool(false)),
                (rest, 1) => (rest, Self::Bool(true)),
                _ => return fail(DecodeErrorKind::InvalidBoolean),
            },
            code::USHORT => fixed!(Ushort, u16::from_be_bytes),
            code::SHORT => fixed!(Short, i16::from_be_bytes),
            code::UINT => fixed!(Uint, u32::from_be_bytes),
            code::INT => fixed!(Int, i32::from_be_bytes),
            code::FLOAT => fixed!(Float, f32::from_be_bytes),
            code::CHAR => {
                let (rest, bytes) = fixed(input)?;
                match char::from_u32(u32::from_be_bytes(bytes)) {
                    Some(char) => (rest, Self::Char(char)),
                    None => return fail(DecodeErrorKind::InvalidChar),
                }
            }
            code::DECIMAL32 => fixed!(Decimal32, Decimal32),
            code::ULONG => fixed!(Ulong, u64::from_be_bytes),
            code::LONG => fixed!(Long, i64::from_be_bytes),
            code::DOUBLE => fixed!(Double, f64::from_be_bytes),
            code::TIMESTAMP => fixed!(Timestamp, |b| Timestamp(i64::from_be_bytes(b))),
            code::DECIMAL64 => fixed!(Decimal64, Decimal64),
            code::DECIMAL128 => fixed!(Decimal128, Decimal128),
            code::UUID => fixed!(Uuid, Uuid),
            code::BINARY8 => {
                let (rest, bytes) = variable8(input)?;
                (rest, Self::Binary(bytes))
            }
            code::STRING8 => {
                let (rest, bytes) = variable8(input)?;
                (rest, Self::String(utf8(bytes)?))
            }
            code::SYMBOL8 => {
                let (rest, bytes) = variable8(input)?;
                (rest, Self::Symbol(ascii(bytes)?))
            }
            code::BINARY32 => {
                let (rest, bytes) = variable32(input)?;
                (rest, Self::Binary(bytes))
            }
            code::STRING32 => {
                let (rest, bytes) = variable32(input)?;
                (rest, Self::String(utf8(bytes)?))
            }
            code::SYMBOL32 => {
                let (rest, bytes) = variable32(input)?;
                (rest, Self::Symbol(ascii(bytes)?))
            }
            code::LIST8 => {
                let (rest, list) = compound8(input)?;
                (rest, Self::List(ListRef(list.checked()?)))
            }
            code::LIST32 => {
                let (rest, list) = compound32(input)?;
                (rest, Self::List(ListRef(list.checked()?)))
            }
            code::MAP8 => {
                let (rest, map) = compound8(input)?;
                (rest, Self::Map(MapRef::new(map)?))
            }
            code::MAP32 => {
                let (rest, map) = compound32(input)?;
                (rest, Self::Map(MapRef::new(map)?))
            }
            code::ARRAY8 => {
                let (rest, array) = compound8(input)?;
                (rest, Self::Array(ArrayRef::new(array)?))
            }
            code::ARRAY32 => {
                let (rest, array) = compound32(input)?;
                (rest, Self::Array(ArrayRef::new(array)?))
            }
            other => return unexpected(other),
        })
    }

    /// Reads a descriptor, which is neither described nor compound (§1.5).
    pub(crate) fn parse_descriptor(input: &'a [u8]) -> Parsed<'a, Self> {
        match byte(input)? {
            (_, code::DESCRIBED | code::LIST0 | code::LIST8..=u8::MAX) => {
                fail(DecodeErrorKind::InvalidDescriptor)
            }
            (rest, constructor) => Self::parse_data(constructor, rest),
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
            Self::Symbol(value) => Value::Symbol(Symbol::from_ascii(value)),
            Self::List(list) => {
                let depth = deeper(depth)?;
                Value::List(list.iter().map(|item| item?.to_value_at(depth)).collect::<Result<_, _>>()?)
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

/// The depth inside a compound that stands at `depth`.
pub(crate) fn deeper(depth: usize) -> Result<usize, DecodeError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(DecodeErrorKind::TooDeep.into()) }
}

impl<'a> Decode<'a> for ValueRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match byte(input)? {
            (rest, code::DESCRIBED) => {
                let (after, described) = DescribedRef::parse(rest)?;
                Ok((after, Self::Described(described)))
            }
            (rest, constructor) => Self::parse_data(constructor, rest),
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

/// An encoded list; its items are read as they are walked.
#[derive(Clone, Copy, Default)]
pub struct ListRef<'a>(pub(crate) Compound<'a>);

impl<'a> ListRef<'a> {
    /// How many items the list says it has; walking it fails when they are not there.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count as usize
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Walks the items.
    #[inline]
    pub fn iter(&self) -> ListIter<'a> {
        ListIter { left: self.0.count, input: self.0.items }
    }
}

impl<'a> Decode<'a> for ListRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        parse::list(input).map(|(rest, list)| (rest, Self(list)))
    }
}

impl<'a> IntoIterator for ListRef<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// Walks the items of a [`ListRef`]; nothing follows an error.
#[derive(Clone)]
pub struct ListIter<'a> {
    left: u32,
    input: &'a [u8],
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return left_over(&mut self.input);
        }
        match ValueRef::parse(self.input) {
            Ok((rest, value)) => {
                self.left -= 1;
                self.input = rest;
                Some(Ok(value))
            }
            Err(error) => {
                *self = Self { left: 0, input: &[] };
                Some(Err(error.into()))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more for an error about bytes left over; the count was checked against the bytes.
        (0, Some(self.left as usize + 1))
    }
}

/// After the last item: an error, once, when the size encloses more than the items.
#[inline]
pub(crate) fn left_over<T>(input: &mut &[u8]) -> Option<Result<T, DecodeError>> {
    if input.is_empty() {
        return None;
    }
    *input = &[];
    Some(Err(DecodeErrorKind::SizeMismatch.into()))
}

/// An encoded map; its entries are read as they are walked.
///
/// Walking does not compare the keys with each other: [`validate`](Self::validate) does.
#[derive(Clone, Copy, Default)]
pub struct MapRef<'a>(Compound<'a>);

impl<'a> MapRef<'a> {
    #[inline]
    fn new(map: Compound<'a>) -> Result<Self, DecodeError> {
        if !map.count.is_multiple_of(2) {
            return Err(DecodeErrorKind::OddMap.into());
        }
        map.checked().map(Self)
    }

    /// How many entries the map says it has; walking it fails when they are not there.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count as usize / 2
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Walks the entries in order.
    #[inline]
    pub fn iter(&self) -> MapIter<'a> {
        MapIter { left: self.0.count / 2, input: self.0.items }
    }

    /// The value under a string or symbol key.
    ///
    /// # Errors
    ///
    /// When an entry up to this one is malformed.
    pub fn get(&self, key: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
        for entry in self {
            match entry? {
                (ValueRef::String(name) | ValueRef::Symbol(name), value) if name == key => {
                    return Ok(Some(value));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Checks everything inside and that no two keys are equal, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// As [`ValueRef::validate`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.validate_at(0)
    }

    fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        let depth = deeper(depth)?;
        for entry in self {
            let (key, value) = entry?;
            key.validate_at(depth)?;
            value.validate_at(depth)?;
        }
        order::check_distinct(self)
    }

    /// Copies the map out, checking everything inside.
    ///
    /// # Errors
    ///
    /// As [`ValueRef::validate`].
    pub fn to_map(&self) -> Result<Map, DecodeError> {
        self.to_map_at(0)
    }

    fn to_map_at(self, depth: usize) -> Result<Map, DecodeError> {
        let depth = deeper(depth)?;
        let mut entries = alloc::vec::Vec::with_capacity(self.len());
        for entry in self {
            let (key, value) = entry?;
            entries.push((key.to_value_at(depth)?, value.to_value_at(depth)?));
        }
        order::check_distinct(&self)?;
        Ok(Map::from_distinct(entries))
    }
}

impl<'a> Decode<'a> for MapRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, map) = match byte(input)? {
            (rest, code::MAP8) => compound8(rest)?,
            (rest, code::MAP32) => compound32(rest)?,
            (_, other) => return unexpected(other),
        };
        Ok((rest, Self::new(map)?))
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &MapRef<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

/// Walks the entries of a [`MapRef`]; nothing follows an error.
#[derive(Clone)]
pub struct MapIter<'a> {
    left: u32,
    input: &'a [u8],
}

impl<'a> Iterator for MapIter<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return left_over(&mut self.input);
        }
        let entry = ValueRef::parse(self.input)
            .and_then(|(rest, key)| ValueRef::parse(rest).map(|(rest, value)| (rest, (key, value))));
        match entry {
            Ok((rest, entry)) => {
                self.left -= 1;
                self.input = rest;
                Some(Ok(entry))
            }
            Err(error) => {
                *self = Self { left: 0, input: &[] };
                Some(Err(error.into()))
            }
        }
    }
}

/// An encoded described value: a descriptor and the value it describes (§1.1.2).
#[derive(Clone, Copy)]
pub struct DescribedRef<'a> {
    /// The constructor without the leading zero: `descriptor constructor`.
    constructor: &'a [u8],
    /// The untyped bytes that the constructor is for.
    data: &'a [u8],
}

impl<'a> DescribedRef<'a> {
    /// Reads what follows the zero byte.
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (after, code) = constructor(input)?;
        let constructor = &input[..input.len() - after.len()];
        let (rest, _) = ValueRef::parse_data(code, after)?;
        let (rest, data) = take(after, after.len() - rest.len())?;
        Ok((rest, Self { constructor, data }))
    }

    /// One element of an array of described values; `constructor` was read by [`constructor`].
    pub(crate) const fn from_parts(constructor: &'a [u8], data: &'a [u8]) -> Self {
        Self { constructor, data }
    }

    /// The encoding without the leading zero byte, in two parts that follow each other.
    pub(crate) const fn parts(&self) -> (&'a [u8], &'a [u8]) {
        (self.constructor, self.data)
    }

    /// The descriptor, most often an ulong or a symbol.
    #[must_use]
    pub fn descriptor(&self) -> ValueRef<'a> {
        let (_, descriptor) = ValueRef::parse_descriptor(self.constructor)
            .expect("the constructor was read when this was made");
        descriptor
    }

    /// The encoding of the descriptor.
    pub(crate) fn descriptor_bytes(&self) -> &'a [u8] {
        let (rest, _) = ValueRef::parse_descriptor(self.constructor)
            .expect("the constructor was read when this was made");
        &self.constructor[..self.constructor.len() - rest.len()]
    }

    /// The value that is described.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn value(&self) -> Result<ValueRef<'a>, DecodeError> {
        let (rest, _) = ValueRef::parse_descriptor(self.constructor)?;
        let (rest, value) = match byte(rest)? {
            (inner, code::DESCRIBED) => {
                (&[][..], ValueRef::Described(Self { constructor: inner, data: self.data }))
            }
            (_, code) => ValueRef::parse_data(code, self.data)?,
        };
        if rest.is_empty() { Ok(value) } else { Err(DecodeErrorKind::SizeMismatch.into()) }
    }

    pub(crate) fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        self.value()?.validate_at(deeper(depth)?)
    }
}

/// Reads `descriptor constructor`, down to the format code of what is described in the end.
pub(crate) fn constructor(input: &[u8]) -> Parsed<'_, u8> {
    let mut input = input;
    for _ in 0..MAX_DEPTH {
        let (rest, _) = ValueRef::parse_descriptor(input)?;
        let (rest, code) = byte(rest)?;
        if code != code::DESCRIBED {
            return Ok((rest, code));
        }
        input = rest;
    }
    fail(DecodeErrorKind::TooDeep)
}
