//! Selectors: conditions on messages in the language of JMS, a part of SQL-92.
//!
//! ```text
//! colour = 'green' AND (size BETWEEN 1 AND 9 OR JMSPriority > 4) AND name NOT LIKE 'test\_%' ESCAPE '\'
//! ```
//!
//! | | |
//! | --- | --- |
//! | `AND`, `OR`, `NOT` | of conditions; `NOT` binds closest, `OR` least |
//! | `=`, `<>` | of two texts, numbers or booleans |
//! | `<`, `<=`, `>`, `>=`, `[NOT] BETWEEN … AND …` | of numbers |
//! | `+`, `-`, `*`, `/` | of numbers |
//! | `[NOT] IN ('…', …)`, `[NOT] LIKE '…' [ESCAPE '…']` | of texts; in a pattern `%` stands for any text, `_` for any character |
//! | `IS [NOT] NULL` | whether the message has no such property |
//!
//! Names are those of application properties, of JMS header fields (`JMSPriority`) or of the fields of AMQP's header and
//! properties (`amqp.subject`). What a message does not have is null, and what is said of null is neither true nor false, but
//! unknown: only messages for which the whole is true are selected. Values of different types are not equal.
//!
//! A selector is a function of the message alone, and takes time by the length of both.

use std::{fmt, str::FromStr};

use amqp1_engine::message::MessageView;

mod eval;
use eval::Expression;
mod facts;
use facts::Facts;
mod like;
mod parse;
#[cfg(test)]
mod tests;

/// The longest text that is read as a selector, in bytes.
const MAX_LENGTH: usize = 4_096;
/// How deep conditions may stand in one another: parentheses, `NOT` and signs.
const MAX_DEPTH: usize = 32;

/// A condition on messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector(Expression);

impl Selector {
    /// Whether it is true for a message. Of a message that cannot be read in part, that part is null.
    #[must_use]
    pub fn selects(&self, message: &MessageView<'_>) -> bool {
        self.0.truth(&Facts::new(message)) == Some(true)
    }
}

impl FromStr for Selector {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > MAX_LENGTH {
            return Err(Fault {
                at: MAX_LENGTH,
                expected: "the end of so long a text",
                found: String::new(),
            });
        }
        parse::selector(text).map(Self)
    }
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place of the fault, in characters from 1.
    pub at: usize,
    expected: &'static str,
    found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the selector cannot be read from character {} on: expected {}", self.at, self.expected)?;
        match &*self.found {
            "" => Ok(()),
            found => write!(f, ", found {found:?}"),
        }
    }
}

impl std::error::Error for Fault {}
