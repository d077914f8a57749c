//! Delivery-tags (§2.8.7).

use alloc::vec::Vec;
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use crate::codec::{Decode, DecodeErrorKind, Encode, code, parse};

/// The sender's name for a delivery: up to 32 bytes, unique among the unsettled deliveries of a link (§2.8.7).
#[derive(Clone, Copy, Default)]
pub struct DeliveryTag {
    len: u8,
    /// What lies behind `len` means nothing.
    bytes: [u8; Self::MAX],
}

/// A delivery-tag has at most 32 bytes (§2.8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagTooLong;

impl DeliveryTag {
    /// How many bytes a tag may have.
    pub const MAX: usize = 32;

    /// The tag of these bytes.
    ///
    /// # Errors
    ///
    /// When there are more than 32.
    #[inline]
    pub fn new(tag: &[u8]) -> Result<Self, TagTooLong> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..tag.len()).ok_or(TagTooLong)?.copy_from_slice(tag);
        Ok(Self { len: tag.len() as u8, bytes })
    }

    /// The tag of the first `len` bytes; `None` when that is more than there are.
    #[inline]
    pub(crate) const fn from_padded(bytes: [u8; Self::MAX], len: u8) -> Option<Self> {
        if len as usize <= Self::MAX { Some(Self { len, bytes }) } else { None }
    }

    /// All 32 bytes, of which the first few are meant.
    #[inline]
    pub(crate) const fn padded(&self) -> (&[u8; Self::MAX], u8) {
        (&self.bytes, self.len)
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The number that the tag was [made from](#impl-From<u64>-for-DeliveryTag); of other tags, what their bytes are in
    /// big-endian order. None where they are more than eight.
    #[inline]
    #[must_use]
    pub fn to_number(&self) -> Option<u64> {
        let mut bytes = [0; 8];
        let tag = self.as_bytes();
        bytes[8_usize.checked_sub(tag.len())?..].copy_from_slice(tag);
        Some(u64::from_be_bytes(bytes))
    }
}

/// The shortest big-endian bytes of the number, at least one.
impl From<u64> for DeliveryTag {
    #[inline]
    fn from(number: u64) -> Self {
        let len = 8 - (number.leading_zeros() / 8).min(7);
        let mut bytes = [0; Self::MAX];
        bytes[..8].copy_from_slice(&(number << (64 - 8 * len)).to_be_bytes());
        Self { len: len as u8, bytes }
    }
}

impl TryFrom<&[u8]> for DeliveryTag {
    type Error = TagTooLong;

    fn try_from(tag: &[u8]) -> Result<Self, TagTooLong> {
        Self::new(tag)
    }
}

impl AsRef<[u8]> for DeliveryTag {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Encode for DeliveryTag {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[code::BINARY8, self.len]);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Decode<'_> for DeliveryTag {
    #[inline]
    fn parse(input: &[u8]) -> parse::Parsed<'_, Self> {
        let (rest, bytes) = <&[u8]>::parse(input)?;
        match Self::new(bytes) {
            Ok(tag) => Ok((rest, tag)),
            Err(TagTooLong) => parse::fail(DecodeErrorKind::TagTooLong),
        }
    }
}

impl PartialEq for DeliveryTag {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for DeliveryTag {}

impl PartialOrd for DeliveryTag {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeliveryTag {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for DeliveryTag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for DeliveryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl fmt::Display for TagTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delivery-tag has at most 32 bytes")
    }
}

impl core::error::Error for TagTooLong {}

#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for DeliveryTag {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let bytes = <&[u8]>::arbitrary(u)?;
        Ok(Self::new(&bytes[..bytes.len().min(Self::MAX)]).expect("it was cut to the longest there is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_number_becomes_its_shortest_bytes() {
        for (number, bytes) in [
            (0, &[0][..]),
            (1, &[1]),
            (0xff, &[0xff]),
            (0x100, &[1, 0]),
            (0x0102_0304_0506, &[1, 2, 3, 4, 5, 6]),
            (u64::MAX, &[0xff; 8]),
        ] {
            let tag = DeliveryTag::from(number);
            assert_eq!((tag.as_bytes(), tag.to_number()), (bytes, Some(number)));
        }
        assert_eq!(DeliveryTag::default().to_number(), Some(0));
        assert_eq!(DeliveryTag::new(&[1; 9]).unwrap().to_number(), None);
    }

    #[test]
    fn a_tag_has_up_to_32_bytes() {
        assert_eq!(DeliveryTag::new(&[]).unwrap().as_bytes(), []);
        assert_eq!(DeliveryTag::new(&[7; 32]).unwrap().as_bytes(), [7; 32]);
        assert_eq!(DeliveryTag::new(&[7; 33]), Err(TagTooLong));
        assert_eq!(format!("{:?}", DeliveryTag::new(b"a\0").unwrap()), r#"b"a\x00""#);
    }
}
