//! Arrays: one constructor, many elements (§1.6.24).

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    Decode, DecodeError, DecodeErrorKind, DescribedRef, Encode, MAX_ZERO_WIDTH, Symbol, Value, ValueRef,
    code,
    described::read_constructor,
    elements,
    parse::{Compound, Parsed, unexpected},
    value_ref::deeper,
    walk::left_over,
    write,
};

/// An array (§1.6.24): values of one type behind one constructor, kept as their encoded bytes.
///
/// Two arrays are equal when their elements are, however they are encoded.
#[derive(Clone)]
pub struct Array {
    count: u32,
    constructor_len: u32,
    bytes: Box<[u8]>,
}

/// Values of more than one type do not make an [`Array`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixedTypes;

impl Array {
    /// An array of these values.
    ///
    /// An empty one has elements of type null; see `Array::from(Vec::<Symbol>::new())` for symbols.
    ///
    /// # Errors
    ///
    /// When the values are not all of one type, or described by different descriptors.
    pub fn new<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Result<Self, MixedTypes> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        let mut bytes = Vec::new();
        let mut elements = Vec::new();
        elements::write(&values, &mut bytes, &mut elements)?;
        let constructor_len = bytes.len() as u32;
        bytes.append(&mut elements);
        Ok(Self { count: values.len() as u32, constructor_len, bytes: bytes.into() })
    }

    /// Copies what was validated.
    pub(crate) fn copied(array: ArrayRef<'_>) -> Self {
        Self { count: array.count, constructor_len: array.constructor_len, bytes: array.bytes.into() }
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the elements in place.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'_>> {
        self.borrow().iter().map_while(Result::ok)
    }

    /// The array in place.
    #[must_use]
    pub fn borrow(&self) -> ArrayRef<'_> {
        ArrayRef { count: self.count, constructor_len: self.constructor_len, bytes: &self.bytes }
    }
}

/// No elements, of type null.
impl Default for Array {
    fn default() -> Self {
        Self { count: 0, constructor_len: 1, bytes: [code::NULL].into() }
    }
}

impl From<Vec<Symbol>> for Array {
    fn from(symbols: Vec<Symbol>) -> Self {
        let wide = symbols.iter().any(|symbol| symbol.len() > usize::from(u8::MAX));
        let constructor = if wide { code::SYMBOL32 } else { code::SYMBOL8 };
        let mut bytes = Vec::from([constructor]);
        for symbol in &symbols {
            write::variable_data(&mut bytes, wide, symbol.as_bytes());
        }
        Self { count: symbols.len() as u32, constructor_len: 1, bytes: bytes.into() }
    }
}

impl Encode for Array {
    fn encode(&self, out: &mut Vec<u8>) {
        self.borrow().encode(out);
    }
}

impl Encode for ArrayRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let array = write::Compound::begin(out, code::ARRAY8);
        out.extend_from_slice(self.bytes);
        array.end(out, self.len());
    }
}

impl Decode<'_> for Array {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, array) = ArrayRef::parse(input)?;
        array.validate_at(0)?;
        Ok((rest, Self::copied(array)))
    }
}

impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        ValueRef::Array(self.borrow()) == ValueRef::Array(other.borrow())
    }
}

impl Eq for Array {}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for MixedTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the values are not all of one type")
    }
}

impl core::error::Error for MixedTypes {}

/// An encoded array; its elements are read as they are walked.
#[derive(Clone, Copy)]
pub struct ArrayRef<'a> {
    count: u32,
    constructor_len: u32,
    bytes: &'a [u8],
}

impl<'a> ArrayRef<'a> {
    //= 1.2.4-01
    #[inline(never)]
    pub(crate) fn new(array: Compound<'a>) -> Result<Self, DecodeError> {
        let Some((code, mut elements)) = array.items.split_first() else {
            return Err(DecodeErrorKind::SizeMismatch.into());
        };
        let code = if *code == code::DESCRIBED { read_constructor(&mut elements)? } else { *code };
        let fits = match fixed_width(code) {
            Some(0) if array.count > MAX_ZERO_WIDTH => return Err(DecodeErrorKind::TooManyElements.into()),
            Some(width) => u64::from(array.count) * width == elements.len() as u64,
            None if code::is_known(code) => array.count as usize <= elements.len(),
            None => return Err(DecodeErrorKind::UnknownFormatCode(code).into()),
        };
        if !fits {
            return Err(DecodeErrorKind::SizeMismatch.into());
        }
        let constructor_len = (array.items.len() - elements.len()) as u32;
        Ok(Self { count: array.count, constructor_len, bytes: array.items })
    }

    /// How many elements the array says it has; walking it fails when they are not there.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the elements.
    #[must_use]
    pub fn iter(&self) -> ArrayIter<'a> {
        ArrayIter { bytes: self.bytes, elements: self.undescribed() }
    }

    /// The constructor, which all elements share; its last byte is a format code.
    pub(crate) fn constructor(&self) -> &'a [u8] {
        &self.bytes[..self.constructor_len as usize]
    }

    /// Walks the elements without what describes them.
    pub(crate) fn undescribed(&self) -> Elements<'a> {
        let (constructor, input) = self.bytes.split_at(self.constructor_len as usize);
        Elements { left: self.count, code: constructor.last().copied().unwrap_or(code::NULL), input }
    }

    /// Whether every element has the same, empty bytes.
    pub(crate) fn is_zero_width(&self) -> bool {
        self.bytes.len() == self.constructor_len as usize
    }

    /// Constant in time and memory for elements without bytes.
    pub(crate) fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        let mut depth = deeper(depth)?;
        let mut input = self.constructor();
        while let [code::DESCRIBED, descriptor @ ..] = input {
            depth = deeper(depth)?;
            input = descriptor;
            ValueRef::read_descriptor(&mut input)?;
        }
        if self.is_zero_width() {
            return self.undescribed().take(1).try_for_each(|element| element?.validate_at(depth));
        }
        self.undescribed().try_for_each(|element| element?.validate_at(depth))
    }
}

impl<'a> Decode<'a> for ArrayRef<'a> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match ValueRef::parse(input)? {
            (rest, ValueRef::Array(array)) => Ok((rest, array)),
            _ => unexpected(input.first().copied().unwrap_or(code::NULL)),
        }
    }
}

impl<'a> IntoIterator for ArrayRef<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

/// Walks the elements of an [`ArrayRef`]; nothing follows an error.
#[derive(Clone)]
pub struct ArrayIter<'a> {
    /// Constructor and elements.
    bytes: &'a [u8],
    elements: Elements<'a>,
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.bytes.len() - self.elements.input.len();
        let element = self.elements.next()?;
        let end = self.bytes.len() - self.elements.input.len();
        match self.bytes[..end].split_first() {
            Some((&code::DESCRIBED, bytes)) => {
                Some(element.map(|_| ValueRef::Described(DescribedRef::element(bytes, start as u32 - 1))))
            }
            _ => Some(element),
        }
    }
}

/// Walks the elements of an array without what describes them.
#[derive(Clone)]
pub(crate) struct Elements<'a> {
    left: u32,
    code: u8,
    input: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return left_over(&mut self.input);
        }
        self.left -= 1;
        let value = ValueRef::read_data(self.code, &mut self.input);
        if value.is_err() {
            *self = Self { left: 0, code: self.code, input: &[] };
        }
        Some(value)
    }
}

/// How many bytes each value of a fixed-width format code takes.
const fn fixed_width(code: u8) -> Option<u64> {
    if !code::is_known(code) {
        return None;
    }
    match code >> 4 {
        0x4 => Some(0),
        0x5 => Some(1),
        0x6 => Some(2),
        0x7 => Some(4),
        0x8 => Some(8),
        0x9 => Some(16),
        _ => None,
    }
}
