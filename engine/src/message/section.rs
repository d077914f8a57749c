//! The sections of a message by their descriptors, and the maps among them.

use alloc::vec::Vec;

use crate::codec::{
    DecodeError, DecodeErrorKind, DescribedRef, Encode, Map, MapRef, StrRef, ValueRef, code,
    parse::{self, Parsed},
};

pub(super) const HEADER: u8 = 0x70;
pub(super) const DELIVERY_ANNOTATIONS: u8 = 0x71;
pub(super) const MESSAGE_ANNOTATIONS: u8 = 0x72;
pub(super) const PROPERTIES: u8 = 0x73;
pub(super) const APPLICATION_PROPERTIES: u8 = 0x74;
pub(super) const DATA: u8 = 0x75;
pub(super) const SEQUENCE: u8 = 0x76;
pub(super) const VALUE: u8 = 0x77;
pub(super) const FOOTER: u8 = 0x78;

/// Walks the sections of a message in the order of §3.2.
pub(super) struct Sections<'a> {
    /// From the descriptor of the next section on.
    input: &'a [u8],
    /// What that descriptor describes, and all behind it.
    content: &'a [u8],
    /// The section it describes, or [`END`].
    code: u8,
}

pub(super) const END: u8 = 0;

impl<'a> Sections<'a> {
    #[inline(always)]
    pub(super) fn new(input: &'a [u8]) -> Result<Self, DecodeError> {
        let mut sections = Self { input, content: input, code: END };
        sections.advance(input)?;
        Ok(sections)
    }

    /// The next section, if there is one.
    #[inline(always)]
    pub(super) const fn code(&self) -> u8 {
        self.code
    }

    /// All that was not read yet.
    #[inline(always)]
    pub(super) const fn left(&self) -> &'a [u8] {
        self.input
    }

    /// Reads the next section with `parse`.
    #[inline(always)]
    pub(super) fn read<T>(
        &mut self,
        parse: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
    ) -> Result<T, DecodeError> {
        let (rest, content) = parse(self.content)?;
        self.advance(rest)?;
        Ok(content)
    }

    /// Reads the next section with `parse` if it is this one.
    #[inline(always)]
    pub(super) fn optional<T>(
        &mut self,
        code: u8,
        parse: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
    ) -> Result<Option<T>, DecodeError> {
        if self.code == code { self.read(parse).map(Some) } else { Ok(None) }
    }

    /// Steps over the sections of this kind that come next; their bytes come back.
    #[inline(always)]
    pub(super) fn skip_all<T>(
        &mut self,
        code: u8,
        parse: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    ) -> Result<&'a [u8], DecodeError> {
        let start = self.input;
        while self.code == code {
            self.read(&parse)?;
        }
        Ok(up_to(start, self.input))
    }

    /// There is nothing behind the last section.
    #[inline(always)]
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.code == END { Ok(()) } else { Err(DecodeErrorKind::MisplacedSection.into()) }
    }

    #[inline(always)]
    fn advance(&mut self, input: &'a [u8]) -> Result<(), DecodeError> {
        self.input = input;
        if input.is_empty() {
            self.code = END;
            return Ok(());
        }
        (self.content, self.code) = match input {
            [code::DESCRIBED, code::SMALLULONG, code @ HEADER..=FOOTER, content @ ..] => (content, *code),
            _ => rare_descriptor(input)?,
        };
        Ok(())
    }
}

/// Reads the descriptor of a section that is not in its usual encoding.
#[cold]
#[inline(never)]
fn rare_descriptor(input: &[u8]) -> Result<(&[u8], u8), DecodeError> {
    match parse::descriptor(input)? {
        (content, Some(code @ 0x70..=0x78)) => Ok((content, code as u8)),
        _ => Err(DecodeErrorKind::UnknownDescriptor.into()),
    }
}

/// The sections of one kind in bytes that [`Sections`] has walked.
#[inline]
pub(super) fn repeated<'a, T: 'a>(
    mut input: &'a [u8],
    parse: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> impl Iterator<Item = T> {
    core::iter::from_fn(move || {
        if input.is_empty() {
            return None;
        }
        let (content, _) = parse::descriptor(input).ok()?;
        let (rest, item) = parse(content).ok()?;
        input = rest;
        Some(item)
    })
}

/// Writes a section.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, code: u8, content: &(impl Encode + ?Sized)) {
    out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, code]);
    content.encode(out);
}

/// Writes a data section.
#[inline]
pub(super) fn write_data(out: &mut Vec<u8>, octets: &[u8]) {
    match u8::try_from(octets.len()) {
        Ok(len) => out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, DATA, code::BINARY8, len]),
        Err(_) => write_data_head(out, octets.len() as u32),
    }
    out.extend_from_slice(octets);
}

/// Writes a data section but for its `length` octets, which may be more than the short encoding takes.
pub(super) fn write_data_head(out: &mut Vec<u8>, length: u32) {
    out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, DATA, code::BINARY32]);
    out.extend_from_slice(&length.to_be_bytes());
}

/// Writes a section that is a map, if there is one.
#[inline]
pub(super) fn write_map(out: &mut Vec<u8>, code: u8, map: Option<&Map>) {
    if let Some(map) = map {
        write(out, code, map);
    }
}

/// The part of `whole` in front of `rest`, with which it ends.
#[inline(always)]
pub(super) fn up_to<'a>(whole: &'a [u8], rest: &[u8]) -> &'a [u8] {
    &whole[..whole.len() - rest.len()]
}

/// Annotations in their encoded bytes: keys are symbols, or numbers that are reserved (§3.2.10).
///
/// Entries are read as they are walked; what is malformed or has another key shows up as an error there.
#[derive(Clone, Copy, Default)]
pub struct Annotations<'a>(pub(super) MapRef<'a>);

/// Application properties in their encoded bytes: keys are strings, values no lists, maps or arrays (§3.2.5).
///
/// Entries are read as they are walked; what is malformed or has another key or value shows up as an error there.
#[derive(Clone, Copy, Default)]
pub struct ApplicationProperties<'a>(pub(super) MapRef<'a>);

impl<'a> Annotations<'a> {
    /// Walks the entries in order; a key is [`ValueRef::Symbol`] or [`ValueRef::Ulong`].
    pub fn iter(&self) -> impl Iterator<Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>> + use<'a> {
        self.0.iter().map(|entry| match entry? {
            entry @ (ValueRef::Symbol(_) | ValueRef::Ulong(_), _) => Ok(entry),
            _ => Err(DecodeErrorKind::InvalidEntry.into()),
        })
    }

    /// Walks the entries that may not be ignored, those whose keys do not begin with `x-opt-`: a container that does not
    /// understand one is to detach the link with `not-implemented` (§3.2.10).
    //= 3.2.10-X1 3.2.10-X2
    pub fn binding(
        &self,
    ) -> impl Iterator<Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>> + use<'a> {
        let is_optional = |key: &ValueRef<'_>| matches!(key, ValueRef::Symbol(name) if name.as_bytes().starts_with(b"x-opt-"));
        self.iter().filter(move |entry| entry.as_ref().map_or(true, |(key, _)| !is_optional(key)))
    }

    /// The value under a symbol.
    ///
    /// # Errors
    ///
    /// When an entry up to this one is malformed.
    pub fn get(&self, key: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
        find(self.iter(), |found| matches!(found, ValueRef::Symbol(name) if *name == key))
    }

    /// Checks everything inside, equal keys included, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// When anything is malformed, or a key is neither symbol nor ulong.
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.iter().try_for_each(|entry| entry.map(drop))?;
        self.0.validate()
    }

    /// Copies the annotations out.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn to_map(&self) -> Result<Map, DecodeError> {
        self.iter().try_for_each(|entry| entry.map(drop))?;
        self.0.to_map()
    }
}

impl<'a> ApplicationProperties<'a> {
    /// Walks the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<(StrRef<'a>, ValueRef<'a>), DecodeError>> + use<'a> {
        self.0.iter().map(|entry| match entry? {
            (ValueRef::String(name), value) if is_simple(value) => Ok((name, value)),
            _ => Err(DecodeErrorKind::InvalidEntry.into()),
        })
    }

    /// The value under a name.
    ///
    /// # Errors
    ///
    /// When an entry up to this one is malformed.
    pub fn get(&self, name: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
        find(self.iter(), |found| *found == name)
    }

    /// Checks everything inside, equal keys included, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// When anything is malformed, a key is no string, or a value a list, map or array.
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.iter().try_for_each(|entry| entry.map(drop))?;
        self.0.validate()
    }

    /// Copies the properties out.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn to_map(&self) -> Result<Map, DecodeError> {
        self.iter().try_for_each(|entry| entry.map(drop))?;
        self.0.to_map()
    }
}

fn find<'a, K>(
    mut entries: impl Iterator<Item = Result<(K, ValueRef<'a>), DecodeError>>,
    is_wanted: impl Fn(&K) -> bool,
) -> Result<Option<ValueRef<'a>>, DecodeError> {
    let entry = entries.find(|entry| entry.as_ref().map_or(true, |(key, _)| is_wanted(key)));
    Ok(entry.transpose()?.map(|(_, value)| value))
}

/// Whether a value is no list, map or array, nor described as something else.
#[inline]
fn is_simple(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::List(_) | ValueRef::Map(_) | ValueRef::Array(_) => false,
        ValueRef::Described(described) => describes_simple(described),
        _ => true,
    }
}

#[inline(never)]
fn describes_simple(described: DescribedRef<'_>) -> bool {
    described.value().is_ok_and(is_simple)
}
