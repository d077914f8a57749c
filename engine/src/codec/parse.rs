//! The leaves of all parsers: constructors, widths, compounds.

use nom::IResult;

use super::{DecodeError, DecodeErrorKind, code};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, DecodeError>;

/// A failed parse.
#[inline(always)]
pub(crate) fn fail<'a, T>(kind: DecodeErrorKind) -> Parsed<'a, T> {
    Err(kind.into())
}

/// What to say of a constructor that stands where its type may not.
#[inline(always)]
pub(crate) fn unexpected<'a, T>(constructor: u8) -> Parsed<'a, T> {
    fail(misplaced(constructor))
}

#[cold]
#[inline(never)]
fn misplaced(constructor: u8) -> DecodeErrorKind {
    if constructor == code::DESCRIBED || code::is_known(constructor) {
        DecodeErrorKind::UnexpectedType(constructor)
    } else {
        DecodeErrorKind::UnknownFormatCode(constructor)
    }
}

/// The next `N` bytes.
#[inline(always)]
pub(crate) fn fixed<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match input.split_first_chunk() {
        Some((bytes, rest)) => Ok((rest, *bytes)),
        None => fail(DecodeErrorKind::Truncated),
    }
}

/// The next byte, most often a constructor.
#[inline(always)]
pub(crate) fn byte(input: &[u8]) -> Parsed<'_, u8> {
    match input.split_first() {
        Some((byte, rest)) => Ok((rest, *byte)),
        None => fail(DecodeErrorKind::Truncated),
    }
}

/// The next four bytes as a number.
#[inline(always)]
pub(crate) fn be_u32(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, bytes) = fixed(input)?;
    Ok((rest, u32::from_be_bytes(bytes)))
}

/// The next `len` bytes.
#[inline(always)]
pub(crate) fn take(input: &[u8], len: usize) -> Parsed<'_, &[u8]> {
    match input.split_at_checked(len) {
        Some((bytes, rest)) => Ok((rest, bytes)),
        None => fail(DecodeErrorKind::Truncated),
    }
}

/// The bytes of a variable-width value whose size takes one byte.
#[inline(always)]
pub(crate) fn variable8(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, size) = byte(input)?;
    take(rest, usize::from(size))
}

/// The bytes of a variable-width value whose size takes four bytes.
#[inline(always)]
pub(crate) fn variable32(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, size) = be_u32(input)?;
    take(rest, size as usize)
}

/// What size and count of a list, map or array enclose; the count is not yet checked.
#[derive(Clone, Copy, Default)]
pub(crate) struct Compound<'a> {
    pub(crate) count: u32,
    pub(crate) items: &'a [u8],
}

/// Size, count and items of a compound or array whose widths are one byte.
#[inline(always)]
pub(crate) fn compound8(input: &[u8]) -> Parsed<'_, Compound<'_>> {
    let (rest, body) = variable8(input)?;
    match body.split_first() {
        Some((count, items)) => Ok((rest, Compound { count: u32::from(*count), items })),
        None => fail(DecodeErrorKind::SizeMismatch),
    }
}

/// Size, count and items of a compound or array whose widths are four bytes.
#[inline(always)]
pub(crate) fn compound32(input: &[u8]) -> Parsed<'_, Compound<'_>> {
    let (rest, body) = variable32(input)?;
    match body.split_first_chunk() {
        Some((count, items)) => Ok((rest, Compound { count: u32::from_be_bytes(*count), items })),
        None => fail(DecodeErrorKind::SizeMismatch),
    }
}

impl<'a> Compound<'a> {
    /// For lists and maps, each of whose items takes one byte or more: the count fits the bytes.
    #[inline(always)]
    pub(crate) fn checked(self) -> Result<Self, DecodeError> {
        if self.count as usize <= self.items.len() {
            Ok(self)
        } else {
            Err(DecodeErrorKind::SizeMismatch.into())
        }
    }
}

/// The items of a list, which may be any of its three encodings.
#[inline]
pub(crate) fn list(input: &[u8]) -> Parsed<'_, Compound<'_>> {
    let (rest, constructor) = byte(input)?;
    let (rest, list) = match constructor {
        code::LIST0 => return Ok((rest, Compound { count: 0, items: &[] })),
        code::LIST8 => compound8(rest)?,
        code::LIST32 => compound32(rest)?,
        other => return unexpected(other),
    };
    Ok((rest, list.checked()?))
}

/// The descriptor of a described value as the number it stands for: a known symbol is looked up (§1.5);
/// `None` is a descriptor that this crate does not know.
#[inline]
pub(crate) fn descriptor(input: &[u8]) -> Parsed<'_, Option<u64>> {
    if let [code::DESCRIBED, code::SMALLULONG, number, rest @ ..] = input {
        return Ok((rest, Some(u64::from(*number))));
    }
    rare_descriptor(input)
}

#[cold]
#[inline(never)]
fn rare_descriptor(input: &[u8]) -> Parsed<'_, Option<u64>> {
    let (rest, constructor) = byte(input)?;
    if constructor != code::DESCRIBED {
        return unexpected(constructor);
    }
    let mut rest = rest;
    let number = match super::ValueRef::read_descriptor(&mut rest)? {
        super::ValueRef::Ulong(number) => Some(number),
        super::ValueRef::Symbol(name) => crate::types::descriptor::number_of(name.as_str()),
        _ => None,
    };
    Ok((rest, number))
}
