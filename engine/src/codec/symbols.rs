//! Symbols that stay encoded.

use alloc::vec::Vec;
use core::fmt;

use super::{
    Decode as _, DecodeError, DecodeErrorKind, Symbol, SymbolRef, ValueRef, code,
    parse::{self, Parsed},
    write,
};

/// The symbols of a field that may have several (§1.3), such as capabilities, kept as their encoded bytes: however many
/// a peer sends, they are held for what it took to send them.
///
/// ```
/// use amqp1_engine::{codec::Symbols, types::capability};
///
/// let mut capabilities = Symbols::from([capability::SHARED]);
/// capabilities.push(capability::GLOBAL);
/// assert!(capabilities.contains("global"));
/// assert_eq!(capabilities, [capability::SHARED, capability::GLOBAL]);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    /// One behind the other, each in its shortest form.
    bytes: Vec<u8>,
}

impl Symbols {
    /// No symbol.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds a symbol at the end.
    pub fn push(&mut self, symbol: Symbol) {
        self.append(symbol.as_bytes());
    }

    fn append(&mut self, text: &[u8]) {
        match u8::try_from(text.len()) {
            Ok(size) => self.bytes.extend_from_slice(&[code::SYMBOL8, size]),
            Err(_) => {
                self.bytes.push(code::SYMBOL32);
                self.bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
    }

    /// Whether this symbol is among them.
    #[must_use]
    pub fn contains(&self, symbol: &str) -> bool {
        self.iter().any(|known| known == *symbol)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Walks them in order.
    pub fn iter(&self) -> impl Iterator<Item = SymbolRef<'_>> {
        let mut rest = self.bytes.as_slice();
        core::iter::from_fn(move || match ValueRef::read(&mut rest) {
            Ok(ValueRef::Symbol(symbol)) => Some(symbol),
            _ => None,
        })
    }

    /// One symbol or an array of them.
    pub(crate) fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let symbol = |value| match value {
            ValueRef::Symbol(symbol) => Ok(symbol),
            _ => Err(DecodeError::from(DecodeErrorKind::UnexpectedType(input[0]))),
        };
        let mut symbols = Self::new();
        let (rest, value) = ValueRef::parse(input)?;
        let ValueRef::Array(array) = value else {
            symbols.append(symbol(value)?.as_bytes());
            return Ok((rest, symbols));
        };
        if !matches!(array.constructor(), [code::SYMBOL8 | code::SYMBOL32]) {
            return parse::unexpected(array.constructor()[0]);
        }
        // What is known to be as long is not moved about as it grows.
        let len =
            array.iter().try_fold(0, |len, element| Ok::<_, DecodeError>(len + room(symbol(element?)?)))?;
        symbols.bytes.reserve_exact(len);
        for element in array {
            symbols.append(symbol(element?)?.as_bytes());
        }
        Ok((rest, symbols))
    }

    /// Writes one as it is, and more as an array.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if self.len() == 1 {
            out.extend_from_slice(&self.bytes);
        } else {
            self.encode_array(out);
        }
    }

    /// Writes an array also of one: the form all peers read where a value is mandatory.
    pub(crate) fn encode_array(&self, out: &mut Vec<u8>) {
        let wide = self.iter().any(|symbol| symbol.len() > usize::from(u8::MAX));
        let array = write::Compound::begin(out, code::ARRAY8);
        out.push(if wide { code::SYMBOL32 } else { code::SYMBOL8 });
        self.iter().for_each(|symbol| write::variable_data(out, wide, symbol.as_bytes()));
        array.end(out, self.len());
    }
}

/// How many bytes [`Symbols`] keep a symbol in.
const fn room(symbol: SymbolRef<'_>) -> usize {
    let head = if symbol.len() > u8::MAX as usize { 5 } else { 2 };
    head + symbol.len()
}

impl Extend<Symbol> for Symbols {
    fn extend<I: IntoIterator<Item = Symbol>>(&mut self, symbols: I) {
        symbols.into_iter().for_each(|symbol| self.push(symbol));
    }
}

impl FromIterator<Symbol> for Symbols {
    fn from_iter<I: IntoIterator<Item = Symbol>>(symbols: I) -> Self {
        let mut all = Self::new();
        all.extend(symbols);
        all
    }
}

impl From<&[Symbol]> for Symbols {
    fn from(symbols: &[Symbol]) -> Self {
        symbols.iter().cloned().collect()
    }
}

impl From<Vec<Symbol>> for Symbols {
    fn from(symbols: Vec<Symbol>) -> Self {
        symbols.into_iter().collect()
    }
}

impl<const N: usize> From<[Symbol; N]> for Symbols {
    fn from(symbols: [Symbol; N]) -> Self {
        symbols.into_iter().collect()
    }
}

impl<const N: usize> PartialEq<[Symbol; N]> for Symbols {
    fn eq(&self, other: &[Symbol; N]) -> bool {
        self.iter().eq(other.iter().map(SymbolRef::from))
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for Symbols {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Vec::<Symbol>::arbitrary(u).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;
    use crate::codec::{Array, Encode};

    fn encoded(symbols: &Symbols) -> Vec<u8> {
        let mut out = Vec::new();
        symbols.encode(&mut out);
        out
    }

    #[test]
    fn one_stands_for_itself_and_more_are_an_array() {
        let symbol = |len: usize| Symbol::try_from("s".repeat(len)).unwrap();
        assert_eq!(encoded(&Symbols::from([symbol(1)])), [code::SYMBOL8, 1, b's']);
        for some in
            [vec![], vec![symbol(0), symbol(2)], vec![symbol(255), symbol(1)], vec![symbol(1), symbol(256)]]
        {
            let symbols = Symbols::from(some.clone());
            let mut array = Vec::new();
            Array::from(some.clone()).encode(&mut array);
            assert_eq!(encoded(&symbols), array);
            assert_eq!(Symbols::parse(&array), Ok((&[][..], symbols.clone())));
            assert_eq!((symbols.len(), symbols.is_empty()), (some.len(), some.is_empty()));
            assert_eq!(format!("{symbols:?}"), format!("{some:?}"));
            assert!(some.iter().all(|symbol| symbols.contains(symbol)) && !symbols.contains("other"));
        }
    }

    #[test]
    fn they_are_equal_whatever_their_encoding() {
        let wide = [code::ARRAY8, 11, 2, code::SYMBOL32, 0, 0, 0, 1, b'a', 0, 0, 0, 0];
        let (_, symbols) = Symbols::parse(&wide).unwrap();
        assert_eq!(symbols, ["a", ""].map(Symbol::from_static));
        assert_ne!(symbols, ["", "a"].map(Symbol::from_static));
        assert_eq!(symbols, Symbols::from(["a", ""].map(Symbol::from_static)));
        assert_eq!(symbols.bytes.capacity(), symbols.bytes.len());
    }
}
