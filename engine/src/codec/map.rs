//! Maps that own their entries.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use super::{Decode, Encode, MapRef, Value, code, parse::Parsed, write};

/// A map (§1.6.23): distinct keys in an order that counts, its values taken out. Those that performatives carry are
/// [`Fields`](super::Fields).
///
/// ```
/// use amqp1_engine::codec::{Map, Value};
///
/// let map = Map::new().with("colour", "green").with("size", 3u32);
/// assert_eq!(map.get("size"), Some(&Value::Uint(3)));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
//= 1.6.23-03
pub struct Map(Vec<(Value, Value)>);

impl Map {
    /// A map without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A map without entries that has room for so many.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries))
    }

    /// These entries, whose keys are known to be distinct.
    pub(crate) const fn from_distinct(entries: Vec<(Value, Value)>) -> Self {
        Self(entries)
    }

    /// Adds an entry and returns the map, to build one in an expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<Value>, value: impl Into<Value>) -> Self {
        self.insert(key, value);
        self
    }

    /// Adds an entry at the end, or puts the value in the place of the one under an equal key, which comes back.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        // Nearly every key is a string: compared as such they cost a third.
        let place = match &key {
            Value::String(key) => {
                self.0.iter().position(|(known, _)| matches!(known, Value::String(known) if known == key))
            }
            _ => self.0.iter().position(|(known, _)| *known == key),
        };
        match place.and_then(|place| self.0.get_mut(place)) {
            Some((_, old)) => Some(core::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// The value under a string or symbol key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|(known, _)| known.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// The value under any key.
    #[must_use]
    pub fn get_value(&self, key: &Value) -> Option<&Value> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Takes the entry with a string or symbol key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| known.as_text() == Some(key))?;
        Some(self.0.remove(index).1)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl Encode for Map {
    fn encode(&self, out: &mut Vec<u8>) {
        let map = write::Compound::begin(out, code::MAP8);
        write::items(out, &self.0);
        map.end(out, self.0.len() * 2);
    }
}

impl Decode<'_> for Map {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, map) = MapRef::parse(input)?;
        Ok((rest, map.to_map()?))
    }
}

/// Of equal keys the last value counts, in the place of the first; takes n log n time.
impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        let mut places = BTreeMap::new();
        for (key, value) in entries {
            let (key, value) = (key.into(), value.into());
            let mut encoded = Vec::new();
            key.encode(&mut encoded);
            let place = *places.entry(encoded).or_insert(map.0.len());
            match map.0.get_mut(place) {
                Some((_, old)) => *old = value,
                None => map.0.push((key, value)),
            }
        }
        map
    }
}

impl<K: Into<Value>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = alloc::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
