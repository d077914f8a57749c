//! Unsettled maps (§2.7.3 unsettled): the states of deliveries by delivery-tag.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    codec::{Decode, Encode, Fields, Value, ValueRef},
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
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        let mut bytes = Vec::new();
        for (tag, state) in self.iter() {
            match state {
                // A state of our own user's that nests too deep is no value; nothing is said of it.
                Some(state) if is_value(state, &mut bytes) => fields.push(tag, state),
                _ => fields.push(tag, &Value::Null),
            }
        }
        fields
    }

    /// Reads what an `attach` carried.
    pub(crate) fn of_fields(fields: &Fields) -> Result<Self, InvalidUnsettled> {
        fields.iter().map(entry).collect()
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

/// The unsettled map of a peer, as it came: it takes no more memory than it took to send.
#[derive(Debug, Default)]
pub(crate) struct RemoteUnsettled {
    fields: Fields,
    /// Where the entries begin, in the order of their tags.
    places: Box<[u32]>,
}

impl RemoteUnsettled {
    /// Reads and judges what an `attach` carried.
    pub(crate) fn new(fields: Fields) -> Result<Self, InvalidUnsettled> {
        fields.iter().try_for_each(|(key, value)| entry((key, value)).map(drop))?;
        let mut places = fields.borrow().places();
        places.sort_unstable_by(|a, b| tag_at(&fields, *a).cmp(tag_at(&fields, *b)));
        Ok(Self { fields, places: places.into() })
    }

    /// Whether a delivery is named.
    pub(crate) fn contains(&self, tag: &DeliveryTag) -> bool {
        self.place_of(tag).is_some()
    }

    /// What is said of a delivery, if it is named.
    pub(crate) fn get(&self, tag: &DeliveryTag) -> Option<Option<DeliveryState>> {
        let (_, state) = entry(self.fields.borrow().entry_at(self.place_of(tag)?)?).ok()?;
        Some(state)
    }

    fn place_of(&self, tag: &DeliveryTag) -> Option<u32> {
        let place = self.places.binary_search_by(|place| tag_at(&self.fields, *place).cmp(tag.as_bytes()));
        self.places.get(place.ok()?).copied()
    }
}

/// The tag of the entry that begins there.
fn tag_at(fields: &Fields, place: u32) -> &[u8] {
    match fields.borrow().entry_at(place) {
        Some((ValueRef::Binary(tag), _)) => tag,
        _ => &[],
    }
}

/// What an entry of an unsettled map says.
//= 2.7.3-11
fn entry(
    (key, value): (ValueRef<'_>, ValueRef<'_>),
) -> Result<(DeliveryTag, Option<DeliveryState>), InvalidUnsettled> {
    let tag = match key {
        ValueRef::Binary(tag) => DeliveryTag::new(tag),
        ValueRef::Null => return Err(InvalidUnsettled("unsettled map with a null key")),
        _ => return Err(InvalidUnsettled("unsettled map whose keys are not delivery-tags")),
    };
    let tag = tag.map_err(|_| InvalidUnsettled("unsettled map with a tag above 32 bytes"))?;
    match value {
        ValueRef::Null => Ok((tag, None)),
        value => match state_of(value) {
            Some(state) => Ok((tag, Some(state))),
            None => Err(InvalidUnsettled("unsettled map with a value that is no delivery state")),
        },
    }
}

fn is_value(state: &DeliveryState, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    state.encode(bytes);
    ValueRef::decode(bytes).is_ok_and(|value| value.validate().is_ok())
}

/// The state that a value is: of no type that the specification defines as something else.
fn state_of(value: ValueRef<'_>) -> Option<DeliveryState> {
    let ValueRef::Described(described) = value else { return None };
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let state = DeliveryState::decode(&bytes).ok()?;
    let is_known = |number| descriptor::ALL.iter().any(|(_, known)| *known == number);
    match state {
        DeliveryState::Other(_) if described.number().is_some_and(is_known) => None,
        state => Some(state),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

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
        unsettled.to_fields().encode(&mut bytes);
        let read = || Fields::decode(&bytes).unwrap();
        let remote = RemoteUnsettled::new(read()).unwrap();
        for (tag, state) in unsettled.iter() {
            assert_eq!(remote.get(tag), Some(state.cloned()));
        }
        assert!(remote.contains(&tag(b"1")) && !remote.contains(&tag(b"5")));
        assert_eq!(UnsettledMap::of_fields(&read()), Ok(unsettled));
    }

    //= 2.7.3-11
    #[test]
    fn r2_keys_are_tags_and_values_are_states() {
        let mut source = Vec::new();
        Source::default().encode(&mut source);
        let source = Value::decode(&source).unwrap();
        let key = || Value::from(vec![1_u8]);
        for bad in [
            Fields::new().with(Value::Null, Value::Null),
            Fields::new().with("text", Value::Null),
            Fields::new().with(vec![0_u8; 33], Value::Null),
            Fields::new().with(key(), 1_u32),
            Fields::new().with(key(), "accepted"),
            Fields::new().with(key(), source),
            Fields::new().with(key(), Described::new(0x24_u64, 1_u32)),
            Fields::new().with(key(), Described::new(0x23_u64, Vec::<Value>::new())),
        ] {
            assert!(UnsettledMap::of_fields(&bad).is_err(), "{bad:?}");
            assert!(RemoteUnsettled::new(bad).is_err());
        }
    }
}
