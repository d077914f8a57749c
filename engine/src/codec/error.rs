//! Why bytes are not the value they should be.

use core::fmt::{self, Write as _};

/// Says what was wrong with encoded bytes, and in which field of which type.
///
/// It becomes `amqp:decode-error` on the wire (§2.8.15) or a typed error for whoever decodes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    place: Option<&'static Place>,
}

/// The rule that encoded bytes broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end inside a value.
    Truncated,
    /// Bytes are left over after the value.
    TrailingBytes,
    /// No type has this format code (§1.6).
    UnknownFormatCode(u8),
    /// The format code belongs to a type that is not allowed here.
    UnexpectedType(u8),
    /// Size, count and the elements of a list, map or array do not agree (§1.2.3, §1.2.4).
    SizeMismatch,
    /// Values are nested more than [`MAX_DEPTH`](super::MAX_DEPTH) deep.
    TooDeep,
    /// An array claims more zero-width elements than [`MAX_ZERO_WIDTH`](super::MAX_ZERO_WIDTH).
    TooManyElements,
    /// A descriptor is itself described or compound (§1.5).
    InvalidDescriptor,
    /// The descriptor names a type that is unknown or not allowed here.
    UnknownDescriptor,
    /// A map has a key without a value (§1.6.23).
    OddMap,
    /// A map has two equal keys (§1.6.23).
    DuplicateKey,
    /// A string is not UTF-8 (§1.6.20).
    InvalidUtf8,
    /// A symbol holds a byte that is not ASCII (§1.6.21).
    InvalidSymbol,
    /// A char is not a Unicode scalar value (§1.6.16).
    InvalidChar,
    /// A boolean octet is neither 0 nor 1 (§1.6.2).
    InvalidBoolean,
    /// A mandatory field is null or missing (§1.3).
    MissingField,
    /// A composite has more fields than its type (§1.4).
    TooManyFields,
    /// The value is none of the choices of a restricted type.
    UnknownChoice,
    /// A delivery-tag is longer than 32 bytes (§2.8.7).
    TagTooLong,
    /// A message section stands where it may not (§3.2).
    MisplacedSection,
    /// A message has no body (§3.2).
    MissingBody,
    /// Annotations or application properties hold a key or value of a type that is not allowed in them (§3.2.5,
    /// §3.2.10).
    InvalidEntry,
}

/// A field of a composite type, as an error names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Symbolic descriptor of the composite, such as `amqp:open:list`.
    pub(crate) composite: &'static str,
    /// Rust name of the field; empty when the composite as a whole is meant.
    pub(crate) field: &'static str,
}

impl DecodeError {
    pub(crate) const fn new(kind: DecodeErrorKind) -> Self {
        Self { kind, place: None }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Names the field, unless a field inside it is named already.
    pub(crate) const fn at(self, place: &'static Place) -> Self {
        match self.place {
            Some(_) => self,
            None => Self { kind: self.kind, place: Some(place) },
        }
    }
}

impl From<DecodeErrorKind> for DecodeError {
    fn from(kind: DecodeErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<nom::Err<Self>> for DecodeError {
    fn from(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(error) | nom::Err::Failure(error) => error,
            nom::Err::Incomplete(_) => Self::new(DecodeErrorKind::Truncated),
        }
    }
}

impl From<DecodeError> for nom::Err<DecodeError> {
    fn from(error: DecodeError) -> Self {
        Self::Error(error)
    }
}

impl From<DecodeErrorKind> for nom::Err<DecodeError> {
    fn from(kind: DecodeErrorKind) -> Self {
        Self::Error(DecodeError::new(kind))
    }
}

/// Lets the parsers of this crate stand inside nom's combinators.
impl<I> nom::error::ParseError<I> for DecodeError {
    fn from_error_kind(_: I, _: nom::error::ErrorKind) -> Self {
        Self::new(DecodeErrorKind::Truncated)
    }

    fn append(_: I, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            f.write_str(place.composite.split(':').nth(1).unwrap_or(place.composite))?;
            if !place.field.is_empty() {
                f.write_char('.')?;
                place.field.chars().try_for_each(|c| f.write_char(if c == '_' { '-' } else { c }))?;
            }
            f.write_str(": ")?;
        }
        fmt::Display::fmt(&self.kind, f)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl core::error::Error for DecodeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownFormatCode(code) => return write!(f, "no type has the format code {code:#04x}"),
            Self::UnexpectedType(code) => {
                return write!(f, "a value of format code {code:#04x} is not allowed here");
            }
            Self::Truncated => "the bytes end inside a value",
            Self::TrailingBytes => "bytes are left over after the value",
            Self::SizeMismatch => "size, count and elements do not agree",
            Self::TooDeep => "values are nested too deep",
            Self::TooManyElements => "an array has too many elements without bytes",
            Self::InvalidDescriptor => "a descriptor is itself described or compound",
            Self::UnknownDescriptor => "the descriptor is unknown or not allowed here",
            Self::OddMap => "a map has a key without a value",
            Self::DuplicateKey => "a map has two equal keys",
            Self::InvalidUtf8 => "a string is not UTF-8",
            Self::InvalidSymbol => "a symbol is not ASCII",
            Self::InvalidChar => "a char is not a Unicode scalar value",
            Self::InvalidBoolean => "a boolean is neither 0 nor 1",
            Self::MissingField => "a mandatory field is missing",
            Self::TooManyFields => "there are more fields than the type has",
            Self::UnknownChoice => "the value is none of the choices",
            Self::TagTooLong => "a delivery-tag is longer than 32 bytes",
            Self::MisplacedSection => "a message section stands where it may not",
            Self::MissingBody => "a message has no body",
            Self::InvalidEntry => "a key or value is of a type that is not allowed in this map",
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_innermost_field_is_named() {
        static INNER: Place = Place { composite: "amqp:source:list", field: "expiry_policy" };
        static OUTER: Place = Place { composite: "amqp:attach:list", field: "source" };
        let error = DecodeError::new(DecodeErrorKind::UnknownChoice).at(&INNER).at(&OUTER);
        assert_eq!(error.to_string(), "source.expiry-policy: the value is none of the choices");
    }
}
