//! Described values that this crate does not interpret.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    Decode, Encode, Symbol, ValueRef,
    borrowed::DescribedRef,
    code,
    parse::{Parsed, unexpected},
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
        let (constructor, data) = described.parts();
        let mut bytes = Vec::with_capacity(1 + constructor.len() + data.len());
        bytes.push(code::DESCRIBED);
        bytes.extend_from_slice(constructor);
        bytes.extend_from_slice(data);
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
