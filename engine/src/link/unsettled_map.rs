//! Unsettled maps (§2.7.3 unsettled): the states of deliveries by delivery-tag.

use alloc::{collections::BTreeMap, vec::Vec};

use bytes::Bytes;

use crate::{
    codec::{Decode, Encode, Map, Value, parse},
    types::{DeliveryState, DeliveryTag, descriptor},
};

/// What one end of a link says of its unsettled deliveries when the link is resumed (§2.7.3 unsettled): a state for each
/// delivery-tag, or that there is none yet.
///
/// It is plain data: a program that remembers more than the engine adds to it, and takes away what it does not want to
/// go on with. A *sender* says of a delivery:
///
/// - `None`: it can be sent from its start;
/// - [`DeliveryState::Received`]: it can be sent from this point on alone;
/// - an outcome: it is over, whatever the receiver needs. That may be said only of what the receiver will not need again
///   (§3.4.6).
///
/// A *receiver* says:
///
/// - [`DeliveryState::Received`]: all of the message before this point has arrived and is kept;
/// - an outcome: that is what it wants to become of the delivery;
/// - `None`: that it has heard of the delivery, for which it is better not named at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsettledMap(BTreeMap<DeliveryTag, Option<DeliveryState>>);

/// Why a map that a peer sent is no unsettled map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidUnsettled(pub(crate) &'static str);

impl UnsettledMap {
    /// A map that names no delivery.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Names a delivery, or says something else of it.
    pub fn insert(&mut self, tag: DeliveryTag, state: Option<DeliveryState>) {
        self.0.insert(tag, state);
    }

    /// Takes a delivery out: gives what was said of it, if it was there.
    pub fn remove(&mut self, tag: &DeliveryTag) -> Option<Option<DeliveryState>> {
        self.0.remove(tag)
    }

    /// What is said of a delivery, if it is named.
    #[must_use]
    pub fn get(&self, tag: &DeliveryTag) -> Option<Option<&DeliveryState>> {
        self.0.get(tag).map(Option::as_ref)
    }

    /// Whether a delivery is named.
    #[must_use]
    pub fn contains(&self, tag: &DeliveryTag) -> bool {
        self.0.contains_key(tag)
    }

    /// How many deliveries are named.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no delivery is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deliveries that are named, in the order of their tags.
    pub fn iter(&self) -> impl Iterator<Item = (&DeliveryTag, Option<&DeliveryState>)> {
        self.0.iter().map(|(tag, state)| (tag, state.as_ref()))
    }

    /// As an `attach` carries it.
    pub(crate) fn to_map(&self) -> Map {
        let entries = self.iter().map(|(tag, state)| {
            let key = Value::Binary(Bytes::copy_from_slice(tag.as_bytes()));
            (key, state.map_or(Value::Null, value_of))
        });
        Map::from_distinct(entries.collect())
    }

    /// Reads what an `attach` carried.
    //= 2.7.3-11
    pub(crate) fn of_map(map: &Map) -> Result<Self, InvalidUnsettled> {
        let entries = map.iter().map(|(key, value)| {
            let tag = match key {
                Value::Binary(tag) => DeliveryTag::new(tag),
                Value::Null => return Err(InvalidUnsettled("unsettled map with a null key")),
                _ => return Err(InvalidUnsettled("unsettled map whose keys are not delivery-tags")),
            };
            let tag = tag.map_err(|_| InvalidUnsettled("unsettled map with a tag above 32 bytes"))?;
            match value {
                Value::Null => Ok((tag, None)),
                value => match state_of(value) {
                    Some(state) => Ok((tag, Some(state))),
                    None => Err(InvalidUnsettled("unsettled map with a value that is no delivery state")),
                },
            }
        });
        entries.collect()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&DeliveryTag) -> bool) {
        self.0.retain(|tag, _| keep(tag));
    }
}

impl FromIterator<(DeliveryTag, Option<DeliveryState>)> for UnsettledMap {
    fn from_iter<I: IntoIterator<Item = (DeliveryTag, Option<DeliveryState>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Extend<(DeliveryTag, Option<DeliveryState>)> for UnsettledMap {
    fn extend<I: IntoIterator<Item = (DeliveryTag, Option<DeliveryState>)>>(&mut self, entries: I) {
        self.0.extend(entries);
    }
}

fn value_of(state: &DeliveryState) -> Value {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    // A state of our own user's that nests too deep is no value; nothing is said of it.
    Value::decode(&bytes).unwrap_or(Value::Null)
}

/// The state that a value is: of no type that the specification defines as something else.
fn state_of(value: &Value) -> Option<DeliveryState> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let state = DeliveryState::decode(&bytes).ok()?;
    if let DeliveryState::Other(other) = &state {
        let number = parse::descriptor(other.as_bytes()).ok().and_then(|(_, number)| number);
        if number.is_some_and(|number| descriptor::ALL.iter().any(|(_, known)| *known == number)) {
            return None;
        }
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, vec};

    use super::*;
    use crate::{
        codec::{Described, Symbol},
        types::{Error, Received, Source},
    };

    fn tag(bytes: &[u8]) -> DeliveryTag {
        DeliveryTag::new(bytes).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let rejected =
            DeliveryState::Rejected(Some(Box::new(Error::new(Symbol::from_static("amqp:not-found")))));
        let other = DeliveryState::Other(Described::new(0x7777_u64, vec![Value::from(1_u32)]));
        let unsettled: UnsettledMap = [
            (tag(b""), None),
            (tag(b"1"), Some(DeliveryState::Received(Received::new(3, 500)))),
            (tag(b"2"), Some(DeliveryState::Accepted)),
            (tag(&[7; 32]), Some(rejected)),
            (tag(b"4"), Some(other)),
        ]
        .into_iter()
        .collect();
        let mut bytes = Vec::new();
        unsettled.to_map().encode(&mut bytes);
        assert_eq!(UnsettledMap::of_map(&Map::decode(&bytes).unwrap()), Ok(unsettled));
    }

    //= 2.7.3-11
    #[test]
    fn r2_keys_are_tags_and_values_are_states() {
        let mut source = Vec::new();
        Source::default().encode(&mut source);
        let source = Value::decode(&source).unwrap();
        let key = || Value::from(vec![1_u8]);
        for bad in [
            Map::new().with(Value::Null, Value::Null),
            Map::new().with("text", Value::Null),
            Map::new().with(vec![0_u8; 33], Value::Null),
            Map::new().with(key(), 1_u32),
            Map::new().with(key(), "accepted"),
            Map::new().with(key(), source),
            Map::new().with(key(), Described::new(0x24_u64, 1_u32)),
            Map::new().with(key(), Described::new(0x23_u64, Vec::<Value>::new())),
        ] {
            assert!(UnsettledMap::of_map(&bad).is_err(), "{bad:?}");
        }
    }
}
