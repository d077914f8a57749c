//! Text that must not leak.

use alloc::{string::String, sync::Arc};
use core::fmt;

/// A password or token: masked in `Debug`, without `Display`, compared without telling by time where texts differ.
///
/// Copies share one allocation. The memory is not wiped when the last one is dropped.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must send or check it; never let it reach a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this text, in a time that depends on the length of `candidate` alone.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (secret, candidate) = (self.0.as_bytes(), candidate.as_bytes());
        let mut difference = u8::from(secret.len() != candidate.len());
        for (index, byte) in candidate.iter().enumerate() {
            difference |= byte ^ secret.get(index).unwrap_or(&0);
        }
        core::hint::black_box(difference) == 0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn s12_debug_is_masked() {
        assert_eq!(format!("{:?}", Some(Secret::from("open sesame"))), "Some(***)");
    }

    #[test]
    fn only_the_same_text_matches() {
        let secret = Secret::from("secret");
        assert!(secret.matches("secret"));
        for other in ["", "secre", "secret\0", "secrets", "Secret"] {
            assert!(!secret.matches(other), "{other:?}");
        }
        assert!(!Secret::from("").matches("\0"));
        assert_eq!(secret, secret.clone());
    }
}
