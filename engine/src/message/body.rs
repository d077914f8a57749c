use alloc::{string::String, vec, vec::Vec};
use core::ops::Deref;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::section;
use crate::codec::{Encode, Map, Str, Value};

/// What a message is about (§3.2.6 to §3.2.8): there is always something, if only a null value.
///
/// `Display` shows it in one line; see [`Value`] for how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Binary data, one part a section.
    Data(Data),
    /// Structured data, one list a section; none is written as one empty list.
    Sequence(Vec<Vec<Value>>),
    /// One value.
    Value(Value),
}

/// Binary data in parts, each a section of its own (§3.2.6); no part at all is written as an empty one.
///
/// One part, which is nearly always what there is, takes no allocation. Where the parts are cut has no meaning of
/// its own: [`join`](Self::join) puts them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(SmallVec<[Bytes; 1]>);

impl Data {
    /// Adds a part at the end.
    pub fn push(&mut self, part: impl Into<Bytes>) {
        self.0.push(part.into());
    }

    /// All octets; not copied if there is one part.
    #[must_use]
    pub fn join(mut self) -> Bytes {
        match self.0.as_mut_slice() {
            [only] => core::mem::take(only),
            parts => parts.concat().into(),
        }
    }
}

impl Deref for Data {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.0
    }
}

impl From<Bytes> for Data {
    fn from(part: Bytes) -> Self {
        Self(smallvec![part])
    }
}

impl<T: Into<Bytes>> FromIterator<T> for Data {
    fn from_iter<I: IntoIterator<Item = T>>(parts: I) -> Self {
        Self(parts.into_iter().map(Into::into).collect())
    }
}

impl Body {
    /// Binary data in one section.
    #[must_use]
    pub fn data(bytes: impl Into<Bytes>) -> Self {
        Self::Data(bytes.into().into())
    }

    /// The value, if the body is one.
    #[must_use]
    pub const fn as_value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The text, if the body is a value that is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_value()?.as_str()
    }

    /// The octets, if the body is one data section, or a value that is binary.
    #[must_use]
    pub fn as_binary(&self) -> Option<&Bytes> {
        match self {
            Self::Data(parts) => match &**parts {
                [only] => Some(only),
                _ => None,
            },
            Self::Value(value) => value.as_binary(),
            Self::Sequence(_) => None,
        }
    }
}

impl Default for Body {
    /// A null value.
    fn default() -> Self {
        Self::Value(Value::Null)
    }
}

impl Encode for Body {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Data(parts) if parts.is_empty() => section::write_data(out, b""),
            Self::Data(parts) => parts.iter().for_each(|part| section::write_data(out, part)),
            Self::Sequence(lists) if lists.is_empty() => {
                section::write(out, section::SEQUENCE, &[][..] as &[Value])
            }
            Self::Sequence(lists) => {
                lists.iter().for_each(|list| section::write(out, section::SEQUENCE, list))
            }
            Self::Value(value) => section::write(out, section::VALUE, value),
        }
    }
}

macro_rules! from {
    ($($type:ty),*) => {$(
        impl From<$type> for Body {
            fn from(content: $type) -> Self {
                Self::Value(content.into())
            }
        }
    )*};
}

from!(&str, String, Str, Map, Value);

/// One data section.
impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self::data(content)
    }
}

/// One data section.
impl From<Vec<u8>> for Body {
    fn from(content: Vec<u8>) -> Self {
        Self::data(content)
    }
}

/// Copied into one data section.
impl From<&[u8]> for Body {
    fn from(content: &[u8]) -> Self {
        Self::data(Bytes::copy_from_slice(content))
    }
}

/// One sequence section.
impl From<Vec<Value>> for Body {
    fn from(content: Vec<Value>) -> Self {
        Self::Sequence(vec![content])
    }
}

/// A body that reads as it was written: with one section or more.
#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for Body {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(match u.int_in_range(0..=2)? {
            0 => {
                let parts: Vec<Vec<u8>> = u.arbitrary()?;
                let mut data: Data = parts.into_iter().collect();
                data.push(Vec::arbitrary(u)?);
                Self::Data(data)
            }
            1 => {
                let mut lists: Vec<Vec<Value>> = u.arbitrary()?;
                lists.push(u.arbitrary()?);
                Self::Sequence(lists)
            }
            _ => Self::Value(u.arbitrary()?),
        })
    }
}
