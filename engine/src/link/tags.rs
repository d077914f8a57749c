//! Which delivery-tags of a link are in use (§2.6.12).

use alloc::collections::BTreeSet;

use crate::types::DeliveryTag;

/// The tags of a link's unsettled deliveries, to refuse one that is used twice at a time.
///
/// Nearly every sender counts, so the next tag is above all before it, read as a number in one byte order or the
/// other, and cannot be among them: no set is kept. The first tag out of order turns the set on.
#[derive(Debug)]
pub(crate) enum TagSet {
    /// All tags so far were ascending.
    Counting(Counter),
    /// The tags in use.
    Listed(BTreeSet<DeliveryTag>),
}

/// The highest tag so far: its length, and its value in both byte orders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    len: usize,
    big_endian: Option<u64>,
    little_endian: Option<u64>,
}

/// What [`TagSet::insert`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Fresh,
    InUse,
    /// The tags in use must be [listed](TagSet::list) first, then asked again.
    ListFirst,
}

impl TagSet {
    pub(crate) const fn new() -> Self {
        Self::Counting(Counter { len: 0, big_endian: None, little_endian: None })
    }

    /// Adds a tag, unless it is in use.
    #[inline]
    pub(crate) fn insert(&mut self, tag: &DeliveryTag) -> Inserted {
        match self {
            Self::Counting(counter) => match counter.follow(tag.as_bytes()) {
                Some(next) => {
                    *counter = next;
                    Inserted::Fresh
                }
                None => Inserted::ListFirst,
            },
            Self::Listed(tags) => {
                if tags.insert(*tag) {
                    Inserted::Fresh
                } else {
                    Inserted::InUse
                }
            }
        }
    }

    /// From here on the tags are listed; these are the ones in use.
    pub(crate) fn list(&mut self, tags: impl Iterator<Item = DeliveryTag>) {
        *self = Self::Listed(tags.collect());
    }

    /// The delivery of this tag is settled.
    #[inline]
    pub(crate) fn remove(&mut self, tag: &DeliveryTag) {
        if let Self::Listed(tags) = self {
            tags.remove(tag);
        }
    }
}

impl Counter {
    /// The counter after `tag`, if that is above all tags before it.
    #[inline]
    fn follow(self, tag: &[u8]) -> Option<Self> {
        let len = tag.len();
        if len > 8 || len < self.len || len == 0 {
            return None;
        }
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(tag);
        let little = u64::from_le_bytes(bytes);
        let big = u64::from_be_bytes(bytes) >> (8 * (8 - len));
        if len > self.len {
            return Some(Self { len, big_endian: Some(big), little_endian: Some(little) });
        }
        let big_endian = self.big_endian.filter(|&highest| big > highest).map(|_| big);
        let little_endian = self.little_endian.filter(|&highest| little > highest).map(|_| little);
        (big_endian.is_some() || little_endian.is_some()).then_some(Self { len, big_endian, little_endian })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, vec::Vec};
    use proptest::prelude::*;

    fn tag(bytes: &[u8]) -> DeliveryTag {
        DeliveryTag::new(bytes).unwrap()
    }

    #[test]
    fn counters_in_either_byte_order_need_no_set() {
        let mut tags = TagSet::new();
        for n in 0_u64..70_000 {
            assert_eq!(tags.insert(&tag(&n.to_le_bytes())), Inserted::Fresh);
        }
        assert!(matches!(tags, TagSet::Counting(_)));
        let mut tags = TagSet::new();
        for n in 0_u64..70_000 {
            assert_eq!(tags.insert(&DeliveryTag::from(n)), Inserted::Fresh);
        }
        assert!(matches!(tags, TagSet::Counting(_)));
    }

    proptest! {
        #[test]
        fn d5_a_tag_in_use_is_always_found(
            ops in proptest::collection::vec((0_u8..3, proptest::collection::vec(0_u8..4, 0..3)), 1..200),
        ) {
            let mut tags = TagSet::new();
            let mut model = BTreeSet::new();
            for (op, bytes) in ops {
                let tag = tag(&bytes);
                if op == 0 {
                    tags.remove(&tag);
                    model.remove(&tag);
                    continue;
                }
                let mut inserted = tags.insert(&tag);
                if inserted == Inserted::ListFirst {
                    let used: Vec<_> = model.iter().copied().collect();
                    tags.list(used.into_iter());
                    inserted = tags.insert(&tag);
                }
                prop_assert_eq!(inserted == Inserted::Fresh, model.insert(tag));
            }
        }
    }
}
