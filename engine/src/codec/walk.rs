//! Lists and maps in place.

use alloc::vec::Vec;

use super::{
    Decode, DecodeError, DecodeErrorKind, Encode, Map, StrRef, ValueRef, code, order,
    parse::{self, Compound, Parsed, byte, compound8, compound32, unexpected},
    value_ref::deeper,
    write,
};

/// An encoded list; its items are read as they are walked.
#[derive(Clone, Copy, Default)]
pub struct ListRef<'a>(Compound<'a>);

impl<'a> ListRef<'a> {
    #[inline]
    pub(crate) fn new(list: Compound<'a>) -> Result<Self, DecodeError> {
        list.checked().map(Self)
    }

    /// How many items the list says it has; walking it fails when they are not there.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count as usize
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Walks the items.
    #[inline]
    pub fn iter(&self) -> ListIter<'a> {
        ListIter { left: self.0.count, input: self.0.items }
    }
}

impl Encode for ListRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let list = write::Compound::begin(out, code::LIST8);
        out.extend_from_slice(self.0.items);
        list.end_list(out, self.len());
    }
}

impl<'a> Decode<'a> for ListRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        parse::list(input).map(|(rest, list)| (rest, Self(list)))
    }
}

impl<'a> IntoIterator for ListRef<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// Walks the items of a [`ListRef`]; nothing follows an error.
#[derive(Clone)]
pub struct ListIter<'a> {
    left: u32,
    input: &'a [u8],
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Result<ValueRef<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return left_over(&mut self.input);
        }
        self.left -= 1;
        let value = ValueRef::read(&mut self.input);
        if value.is_err() {
            *self = Self { left: 0, input: &[] };
        }
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more for an error about bytes left over; the count was checked against the bytes.
        (0, Some(self.left as usize + 1))
    }
}

/// After the last item: an error, once, when the size encloses more than the items.
#[inline]
pub(crate) fn left_over<T>(input: &mut &[u8]) -> Option<Result<T, DecodeError>> {
    if input.is_empty() {
        return None;
    }
    *input = &[];
    Some(Err(DecodeErrorKind::SizeMismatch.into()))
}

/// An encoded map; its entries are read as they are walked.
///
/// Walking does not compare the keys with each other: [`validate`](Self::validate) does.
#[derive(Clone, Copy, Default)]
pub struct MapRef<'a>(pub(super) Compound<'a>);

impl<'a> MapRef<'a> {
    #[inline]
    pub(crate) fn new(map: Compound<'a>) -> Result<Self, DecodeError> {
        //= 1.6.23-01
        if !map.count.is_multiple_of(2) {
            return Err(DecodeErrorKind::OddMap.into());
        }
        map.checked().map(Self)
    }

    /// How many entries the map says it has; walking it fails when they are not there.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count as usize / 2
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Walks the entries in order.
    #[inline]
    pub fn iter(&self) -> MapIter<'a> {
        MapIter { left: self.0.count / 2, input: self.0.items }
    }

    /// Where the entries begin, as far as they can be read.
    pub(crate) fn places(&self) -> Vec<u32> {
        let mut entries = self.iter();
        let mut places = Vec::with_capacity(self.len());
        loop {
            let place = self.0.items.len() - entries.input.len();
            match entries.next() {
                Some(Ok(_)) => places.push(place as u32),
                _ => return places,
            }
        }
    }

    /// The entry that begins at one of [`places`](Self::places).
    pub(crate) fn entry_at(&self, place: u32) -> Option<(ValueRef<'a>, ValueRef<'a>)> {
        let mut rest = self.0.items.get(place as usize..)?;
        Some((ValueRef::read(&mut rest).ok()?, ValueRef::read(&mut rest).ok()?))
    }

    /// The value under a string or symbol key.
    ///
    /// # Errors
    ///
    /// When an entry up to this one is malformed.
    pub fn get(&self, key: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
        for entry in self {
            match entry? {
                (ValueRef::String(name), value) if name == key => return Ok(Some(value)),
                (ValueRef::Symbol(name), value) if name == key => return Ok(Some(value)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Checks everything inside and that no two keys are equal, so that walking it cannot fail any more.
    ///
    /// # Errors
    ///
    /// As [`ValueRef::validate`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.validate_at(0)
    }

    pub(crate) fn validate_at(&self, depth: usize) -> Result<(), DecodeError> {
        let depth = deeper(depth)?;
        for entry in self {
            let (key, value) = entry?;
            key.validate_at(depth)?;
            value.validate_at(depth)?;
        }
        order::check_distinct(self)
    }

    /// Copies the map out, checking everything inside.
    ///
    /// # Errors
    ///
    /// As [`ValueRef::validate`].
    pub fn to_map(&self) -> Result<Map, DecodeError> {
        self.to_map_at(0)
    }

    pub(crate) fn to_map_at(self, depth: usize) -> Result<Map, DecodeError> {
        let depth = deeper(depth)?;
        order::check_distinct(&self)?;
        let mut entries = Vec::with_capacity(self.len());
        for entry in self {
            let (key, value) = entry?;
            entries.push((key.to_value_at(depth)?, value.to_value_at(depth)?));
        }
        Ok(Map::from_distinct(entries))
    }
}

impl Encode for MapRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let map = write::Compound::begin(out, code::MAP8);
        out.extend_from_slice(self.0.items);
        map.end(out, 2 * self.len());
    }
}

impl<'a> Decode<'a> for MapRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, map) = match byte(input)? {
            (rest, code::MAP8) => compound8(rest)?,
            (rest, code::MAP32) => compound32(rest)?,
            (_, other) => return unexpected(other),
        };
        Ok((rest, Self::new(map)?))
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &MapRef<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;
    type IntoIter = MapIter<'a>;

    fn into_iter(self) -> MapIter<'a> {
        self.iter()
    }
}

/// Walks the entries of a [`MapRef`]; nothing follows an error.
#[derive(Clone)]
pub struct MapIter<'a> {
    left: u32,
    input: &'a [u8],
}

impl<'a> MapIter<'a> {
    /// Reads an entry whose key is a short string, as nearly all are.
    #[inline(always)]
    fn read_entry(&mut self) -> Result<(ValueRef<'a>, ValueRef<'a>), DecodeError> {
        if let [code::STRING8, len, rest @ ..] = self.input
            && let Some((text, mut rest)) = rest.split_at_checked(usize::from(*len))
            && let Ok(text) = StrRef::read(text)
        {
            let value = ValueRef::read(&mut rest)?;
            self.input = rest;
            return Ok((ValueRef::String(text), value));
        }
        let (entry, rest) = Self::read_rare_entry(self.input)?;
        self.input = rest;
        Ok(entry)
    }

    /// Reads any entry.
    #[inline(never)]
    fn read_rare_entry(mut input: &'a [u8]) -> Result<((ValueRef<'a>, ValueRef<'a>), &'a [u8]), DecodeError> {
        let entry = (ValueRef::read(&mut input)?, ValueRef::read(&mut input)?);
        Ok((entry, input))
    }
}

impl<'a> Iterator for MapIter<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return left_over(&mut self.input);
        }
        self.left -= 1;
        let entry = self.read_entry();
        if entry.is_err() {
            *self = Self { left: 0, input: &[] };
        }
        Some(entry)
    }
}
