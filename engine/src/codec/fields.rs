//! Maps that stay encoded.

use alloc::vec::Vec;
use core::fmt;

use super::{
    Decode, Encode, Map, MapRef, Value, ValueRef,
    parse::{Compound, Parsed},
};

/// A map that a performative carries, such as the properties of a link (§2.8.13 fields), filters (§3.5.8) or annotations
/// (§3.2.10), kept as its encoded bytes: whatever a peer puts into it, it is held for what it took to send.
///
/// It is read in place. Two of them are equal when their entries are, in the same order, however they are encoded.
///
/// ```
/// use amqp1_engine::codec::{Fields, Symbol, ValueRef};
///
/// let properties = Fields::new().with(Symbol::from_static("product"), "amqp1").with(Symbol::from_static("version"), 1);
/// assert_eq!(properties.get("product").and_then(ValueRef::as_text), Some("amqp1"));
/// assert_eq!(properties.get("version"), Some(ValueRef::Int(1)));
/// ```
#[derive(Clone, Default)]
pub struct Fields {
    /// Of keys and values.
    count: u32,
    items: Vec<u8>,
}

impl Fields {
    /// A map without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, items: Vec::new() }
    }

    /// Copies what was validated.
    fn copied(map: MapRef<'_>) -> Self {
        let Compound { count, items } = map.0;
        Self { count, items: items.into() }
    }

    /// Adds an entry and returns the map, to build one in an expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<Value>, value: impl Into<Value>) -> Self {
        self.insert(key, value);
        self
    }

    /// Adds an entry at the end, or puts the value in the place of the one under an equal key.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) {
        self.put(&key.into(), &value.into());
    }

    /// Adds the entries of another map: each at the end, or in the place of the one under an equal key. Looks at all that
    /// there are for each, so it is not for what a peer has sent.
    pub(crate) fn extend(&mut self, other: &Self) {
        other.iter().for_each(|(key, value)| self.put(&key, &value));
    }

    /// Adds an entry whose key is known to be new.
    pub(crate) fn push(&mut self, key: &impl Encode, value: &impl Encode) {
        key.encode(&mut self.items);
        value.encode(&mut self.items);
        self.count += 2;
    }

    fn put(&mut self, key: &impl Encode, value: &impl Encode) {
        let mut entry = Vec::new();
        key.encode(&mut entry);
        let key_len = entry.len();
        value.encode(&mut entry);
        let (key, value) = entry.split_at(key_len);
        match ValueRef::decode(key).ok().and_then(|key| self.place_of(&key)) {
            Some(place) => drop(self.items.splice(place, value.iter().copied())),
            None => {
                self.items.extend_from_slice(&entry);
                self.count += 2;
            }
        }
    }

    /// Where the value under a key stands.
    fn place_of(&self, key: &ValueRef<'_>) -> Option<core::ops::Range<usize>> {
        let mut rest = self.items.as_slice();
        while !rest.is_empty() {
            let known = ValueRef::read(&mut rest).ok()?;
            let start = self.items.len() - rest.len();
            ValueRef::read(&mut rest).ok()?;
            if known == *key {
                return Some(start..self.items.len() - rest.len());
            }
        }
        None
    }

    /// Keeps the entries for which this holds.
    pub fn retain(&mut self, mut holds: impl FnMut(ValueRef<'_>, ValueRef<'_>) -> bool) {
        let mut kept = Self::new();
        for (key, value) in self.iter().filter(|(key, value)| holds(*key, *value)) {
            kept.push(&key, &value);
        }
        *self = kept;
    }

    /// The value under a string or symbol key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<ValueRef<'_>> {
        self.borrow().get(key).ok().flatten()
    }

    /// The value under any key.
    #[must_use]
    pub fn get_value(&self, key: &ValueRef<'_>) -> Option<ValueRef<'_>> {
        self.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize / 2
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Walks the entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (ValueRef<'_>, ValueRef<'_>)> {
        self.borrow().iter().map_while(Result::ok)
    }

    /// The map in place, from which [`MapRef::to_map`] takes all values out.
    #[must_use]
    pub fn borrow(&self) -> MapRef<'_> {
        MapRef(Compound { count: self.count, items: &self.items })
    }
}

impl Encode for Fields {
    fn encode(&self, out: &mut Vec<u8>) {
        self.borrow().encode(out);
    }
}

impl Decode<'_> for Fields {
    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, map) = MapRef::parse(input)?;
        map.validate()?;
        Ok((rest, Self::copied(map)))
    }
}

impl From<&Map> for Fields {
    fn from(map: &Map) -> Self {
        let mut fields = Self::new();
        map.iter().for_each(|(key, value)| fields.push(key, value));
        fields
    }
}

impl From<Map> for Fields {
    fn from(map: Map) -> Self {
        Self::from(&map)
    }
}

/// Of equal keys the last value counts, in the place of the first; takes n log n time.
impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Map::from_iter(entries).into()
    }
}

impl<K: Into<Value>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Fields {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items || ValueRef::Map(self.borrow()) == ValueRef::Map(other.borrow())
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Symbol, Timestamp, code, sample::arbitrary};

    fn key(name: &'static str) -> Symbol {
        Symbol::from_static(name)
    }

    #[test]
    fn an_entry_under_an_equal_key_is_replaced_where_it_stands() {
        let mut fields = Fields::new().with(key("a"), 1_u32).with("a", "text").with(key("b"), Value::Null);
        fields.insert(key("a"), "something longer");
        fields.insert("a", true);
        let expected =
            Fields::new().with(key("a"), "something longer").with("a", true).with(key("b"), Value::Null);
        assert_eq!(fields, expected);
        assert_eq!(
            (fields.len(), fields.get("a").and_then(ValueRef::as_text)),
            (3, Some("something longer"))
        );
        assert_eq!(fields.get_value(&ValueRef::decode(b"\xa1\x01a").unwrap()), Some(ValueRef::Bool(true)));
        assert_eq!((fields.get("b"), fields.get("c")), (Some(ValueRef::Null), None));
    }

    #[test]
    fn entries_of_another_are_added() {
        let mut fields = Fields::from([(key("a"), 1), (key("b"), 2)]);
        fields.extend(&Fields::from([(key("c"), 3), (key("a"), 4)]));
        assert_eq!(fields, Fields::from([(key("a"), 4), (key("b"), 2), (key("c"), 3)]));
        assert_eq!(
            format!("{fields:?}"),
            r#"{Symbol("a"): Int(4), Symbol("b"): Int(2), Symbol("c"): Int(3)}"#
        );
    }

    #[test]
    fn values_are_read_in_place() {
        let fields =
            Fields::new().with("yes", true).with("no", Value::Null).with("number", -7).with("name", key("a"));
        assert_eq!(fields.get("yes").and_then(ValueRef::as_bool), Some(true));
        assert!(fields.get("no").is_some_and(|value| value.is_null()));
        assert_eq!(fields.get("number").and_then(ValueRef::to_u64), None);
        assert_eq!(fields.get("number").and_then(ValueRef::as_bool), None);
        assert_eq!(fields.get("name").and_then(ValueRef::as_text), Some("a"));
        for number in [
            Value::Ubyte(7),
            7_u16.into(),
            7_u32.into(),
            7_u64.into(),
            7_i8.into(),
            7_i16.into(),
            7_i32.into(),
            7_i64.into(),
            Timestamp(7).into(),
        ] {
            assert_eq!(Fields::new().with("n", number).get("n").and_then(ValueRef::to_u64), Some(7));
        }
    }

    #[test]
    fn some_are_retained() {
        let mut fields = Fields::from([(key("a"), 1), (key("b"), 2), (key("c"), 3)]);
        fields
            .retain(|name, value| name != ValueRef::Symbol((&key("a")).into()) && value.to_u64() != Some(3));
        assert_eq!(fields, Fields::from([(key("b"), 2)]));
    }

    #[test]
    fn they_are_equal_whatever_their_encoding() {
        let short = [code::MAP8, 5, 2, code::SYMBOL8, 1, b'a', code::UINT0];
        let long = [code::MAP8, 12, 2, code::SYMBOL32, 0, 0, 0, 1, b'a', code::UINT, 0, 0, 0, 0];
        assert_eq!(Fields::decode(&short).unwrap(), Fields::decode(&long).unwrap());
        assert_ne!(Fields::decode(&short).unwrap(), Fields::new());
    }

    //= 1.6.23-02
    #[test]
    fn all_that_is_inside_is_checked_when_it_is_read() {
        for bad in [
            vec![code::MAP8, 5, 4, code::NULL, code::TRUE, code::NULL, code::TRUE],
            vec![code::MAP8, 3, 2, code::NULL, 0x3f],
            vec![code::MAP8, 5, 2, code::NULL, code::LIST8, 1, 1],
        ] {
            assert!(Fields::decode(&bad).is_err(), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_is(map in arbitrary::<Map>(), more in arbitrary::<Map>()) {
            let fields = Fields::from(&map);
            let (mut written, mut expected) = (Vec::new(), Vec::new());
            fields.encode(&mut written);
            map.encode(&mut expected);
            prop_assert_eq!(&written, &expected);
            prop_assert_eq!(&Fields::decode(&written).unwrap(), &fields);
            prop_assert_eq!(fields.borrow().to_map().unwrap(), map.clone());
            prop_assert_eq!(format!("{fields:?}"), format!("{map:?}"));

            let (mut longer, mut longer_map) = (fields, map);
            longer.extend(&Fields::from(&more));
            for (key, value) in more {
                longer_map.insert(key, value);
            }
            prop_assert_eq!(longer.borrow().to_map().unwrap(), longer_map);
        }
    }
}
