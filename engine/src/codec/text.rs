//! Strings and symbols that are cheap to clone.

use alloc::{string::String, sync::Arc};
use core::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// An AMQP string (§1.6.20): UTF-8 text, shared when cloned.
///
/// Constants cost nothing: `Str::from_static("orders")`.
#[derive(Clone, Default)]
pub struct Str(Text);

/// An AMQP symbol (§1.6.21): ASCII text from a constrained domain, shared when cloned.
///
/// Constants cost nothing: `Symbol::from_static("amqp:accepted:list")`.
#[derive(Clone, Default)]
pub struct Symbol(Text);

/// A text is refused as a [`Symbol`] because it is not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAscii;

/// Not a view of [`Bytes`](bytes::Bytes): without `unsafe` that would be checked for UTF-8 at each use.
#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Text {
    fn copied(text: &str) -> Self {
        if text.is_empty() { Self::default() } else { Self::Shared(Arc::from(text)) }
    }

    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Static("")
    }
}

impl Str {
    /// A string that lives as long as the program; no allocation.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Text::Static(text))
    }
}

impl Symbol {
    /// A symbol that lives as long as the program; no allocation.
    ///
    /// # Panics
    ///
    /// When `text` is not ASCII: at compile time in a constant, which is where this belongs.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii(), "a symbol is ASCII");
        Self(Text::Static(text))
    }

    /// A symbol of text that is known to be ASCII.
    pub(crate) fn from_ascii(text: &str) -> Self {
        Self(Text::copied(text))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Text::copied(text))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Symbol> for Str {
    fn from(symbol: &Symbol) -> Self {
        Self(symbol.0.clone())
    }
}

impl From<Symbol> for Str {
    fn from(symbol: Symbol) -> Self {
        Self(symbol.0)
    }
}

impl TryFrom<&str> for Symbol {
    type Error = NotAscii;

    fn try_from(text: &str) -> Result<Self, NotAscii> {
        if text.is_ascii() { Ok(Self(Text::copied(text))) } else { Err(NotAscii) }
    }
}

impl TryFrom<String> for Symbol {
    type Error = NotAscii;

    fn try_from(text: String) -> Result<Self, NotAscii> {
        Self::try_from(text.as_str())
    }
}

impl fmt::Display for NotAscii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a symbol is ASCII")
    }
}

impl core::error::Error for NotAscii {}

macro_rules! text_traits {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[inline]
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl Deref for $name {
            type Target = str;

            #[inline]
            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $name {}

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

text_traits!(Str);
text_traits!(Symbol);

#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for Str {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        <&str>::arbitrary(u).map(Self::from)
    }
}

#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for Symbol {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let text: String = <&[u8]>::arbitrary(u)?.iter().map(|byte| char::from(byte & 0x7f)).collect();
        Ok(Self(Text::copied(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, format, string::ToString};

    #[test]
    fn a_symbol_is_ascii() {
        assert_eq!(Symbol::try_from("naïve"), Err(NotAscii));
        assert_eq!(Symbol::try_from("plain").unwrap(), "plain");
    }

    #[test]
    fn static_and_shared_text_are_the_same() {
        const NAME: Str = Str::from_static("queue");
        assert_eq!(NAME, Str::from("queue"));
        assert_eq!(NAME, *"queue");
        let map = BTreeMap::from([(Str::from("queue"), 1)]);
        assert_eq!(map.get("queue"), Some(&1));
        assert_eq!(format!("{NAME:>7}|{NAME:?}"), "  queue|\"queue\"");
        assert_eq!(Str::from(String::new()).to_string(), "");
    }
}
