//! Described values that this crate does not interpret.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    Decode, DecodeError, DecodeErrorKind, Encode, MAX_DEPTH, Symbol, ValueRef, code,
    parse::{Parsed, byte, unexpected},
    value_ref::deeper,
};

/// A value with a descriptor that says what it means (§1.1.2), kept as its encoded bytes: what was received is
/// written again byte for byte.
///
/// Two of them are equal when descriptor and value are, however they are encoded.
#[derive(Clone)]
pub struct Described(Box<[u8]>);

/// Names a described type (§1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// Number: domain in the upper, id in the lower half.
    Code(u64),
    /// Name: `domain:name`.
    Name(Symbol),
}

impl Described {
    /// Describes a value; the value may be anything that has an encoding.
    #[must_use]
    pub fn new(descriptor: impl Into<Descriptor>, value: impl Encode) -> Self {
        let mut bytes = Vec::from([code::DESCRIBED]);
        match descriptor.into() {
            Descriptor::Code(code) => code.encode(&mut bytes),
            Descriptor::Name(name) => name.encode(&mut bytes),
        }
        value.encode(&mut bytes);
        Self(bytes.into())
    }

    /// Copies what was validated.
    pub(crate) fn copied(described: DescribedRef<'_>) -> Self {
        let mut bytes = Vec::from([code::DESCRIBED]);
        described.copy_to(&mut bytes);
        Self(bytes.into())
    }

    /// What the value means, most often an ulong or a symbol.
    #[must_use]
    pub fn descriptor(&self) -> ValueRef<'_> {
        self.borrow().descriptor()
    }

    /// The value that is described.
    #[must_use]
    pub fn value(&self) -> ValueRef<'_> {
        self.borrow().value().expect("it was validated when it was read, or written by this crate")
    }

    /// The encoding, from the zero byte on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value in place.
    #[must_use]
    pub fn borrow(&self) -> DescribedRef<'_> {
        match ValueRef::parse(&self.0) {
            Ok((_, ValueRef::Described(described))) => described,
            _ => unreachable!("a described value was read or written when this was made"),
        }
    }
}

impl Encode for Described {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode<'_> for Described {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        match ValueRef::parse(input)? {
            (rest, ValueRef::Described(described)) => {
                described.validate_at(0)?;
                Ok((rest, Self::copied(described)))
            }
            _ => unexpected(input.first().copied().unwrap_or(code::NULL)),
        }
    }
}

impl PartialEq for Described {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || ValueRef::Described(self.borrow()) == ValueRef::Described(other.borrow())
    }
}

impl Eq for Described {}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Described").field(&self.descriptor()).field(&self.value()).finish()
    }
}

impl From<u64> for Descriptor {
    fn from(code: u64) -> Self {
        Self::Code(code)
    }
}

impl From<Symbol> for Descriptor {
    fn from(name: Symbol) -> Self {
        Self::Name(name)
    }
}

/// An encoded described value: a descriptor and the value it describes (§1.1.2).
#[derive(Clone, Copy)]
pub struct DescribedRef<'a> {
    /// Begins with the constructor, without the leading zero: `descriptor constructor`. Ends with the data.
    bytes: &'a [u8],
    /// Where the untyped bytes begin that the constructor is for: behind it, or in an array among the elements.
    data: u32,
}

impl<'a> DescribedRef<'a> {
    /// Reads what follows the zero byte.
    #[inline(never)]
    pub(crate) fn parse_after_zero(input: &'a [u8]) -> Parsed<'a, Self> {
        let mut rest = input;
        let code = read_constructor(&mut rest)?;
        let data = u32::try_from(input.len() - rest.len()).map_err(|_| DecodeErrorKind::SizeMismatch)?;
        ValueRef::read_data(code, &mut rest)?;
        Ok((rest, Self { bytes: &input[..input.len() - rest.len()], data }))
    }

    /// The element of an array whose data begins at `data` and ends with `bytes`.
    pub(crate) const fn element(bytes: &'a [u8], data: u32) -> Self {
        Self { bytes, data }
    }

    /// The descriptor, most often an ulong or a symbol.
    #[must_use]
    pub fn descriptor(&self) -> ValueRef<'a> {
        ValueRef::read_descriptor(&mut &*self.bytes).expect(READ_BEFORE)
    }

    /// The descriptor as the number it stands for: a known symbol is looked up (§1.5).
    pub(crate) fn number(&self) -> Option<u64> {
        match self.descriptor() {
            ValueRef::Ulong(number) => Some(number),
            ValueRef::Symbol(name) => crate::types::descriptor::number_of(name.as_str()),
            _ => None,
        }
    }

    /// The encoding of the descriptor.
    pub(crate) fn descriptor_bytes(&self) -> &'a [u8] {
        let mut rest = self.bytes;
        ValueRef::read_descriptor(&mut rest).expect(READ_BEFORE);
        &self.bytes[..self.bytes.len() - rest.len()]
    }

    /// The value that is described.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn value(&self) -> Result<ValueRef<'a>, DecodeError> {
        let mut inner = self.bytes;
        ValueRef::read_descriptor(&mut inner)?;
        let (inner, code) = byte(inner)?;
        if code == code::DESCRIBED {
            let before = (self.bytes.len() - inner.len()) as u32;
            return Ok(ValueRef::Described(Self { bytes: inner, data: self.data - before }));
        }
        let mut data = &self.bytes[self.data as usize..];
        let value = ValueRef::read_data(code, &mut data)?;
        if data.is_empty() { Ok(value) } else { Err(DecodeErrorKind::SizeMismatch.into()) }
    }

    pub(crate) fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        self.value()?.validate_at(deeper(depth)?)
    }

    /// Appends the encoding, without the leading zero.
    fn copy_to(&self, out: &mut Vec<u8>) {
        let mut rest = self.bytes;
        read_constructor(&mut rest).expect(READ_BEFORE);
        out.extend_from_slice(&self.bytes[..self.bytes.len() - rest.len()]);
        out.extend_from_slice(&self.bytes[self.data as usize..]);
    }
}

impl Encode for DescribedRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(code::DESCRIBED);
        self.copy_to(out);
    }
}

const READ_BEFORE: &str = "the constructor was read when this was made";

/// Reads `descriptor constructor`, down to the format code of what is described in the end.
pub(crate) fn read_constructor(input: &mut &[u8]) -> Result<u8, DecodeError> {
    for _ in 0..MAX_DEPTH {
        ValueRef::read_descriptor(input)?;
        let (rest, code) = byte(input)?;
        *input = rest;
        if code != code::DESCRIBED {
            return Ok(code);
        }
    }
    Err(DecodeErrorKind::TooDeep.into())
}
