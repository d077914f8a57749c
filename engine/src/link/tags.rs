//! Which delivery-tags of a link are in use (§2.6.12).

use alloc::{collections::BTreeSet, vec::Vec};

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

/// The longest tag so far, and the highest of that length in each byte order that still counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    len: u8,
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
    #[inline(always)]
    pub(crate) fn insert(&mut self, tag: &DeliveryTag) -> Inserted {
        match self {
            Self::Counting(counter) => {
                if counter.follow(tag) {
                    Inserted::Fresh
                } else {
                    Inserted::ListFirst
                }
            }
            Self::Listed(tags) => add(tags, *tag),
        }
    }

    /// From here on the tags are listed; these are the ones in use.
    #[cold]
    #[inline(never)]
    pub(crate) fn list(&mut self, tags: Vec<DeliveryTag>) {
        *self = Self::Listed(tags.into_iter().collect());
    }

    /// The delivery of this tag is settled.
    #[inline(always)]
    pub(crate) fn remove(&mut self, tag: &DeliveryTag) {
        if let Self::Listed(tags) = self {
            forget(tags, tag);
        }
    }
}

#[inline(never)]
fn add(tags: &mut BTreeSet<DeliveryTag>, tag: DeliveryTag) -> Inserted {
    if tags.insert(tag) { Inserted::Fresh } else { Inserted::InUse }
}

#[inline(never)]
fn forget(tags: &mut BTreeSet<DeliveryTag>, tag: &DeliveryTag) {
    tags.remove(tag);
}

impl Counter {
    /// Counts on to `tag`, if that is above all tags before it: whether it is.
    #[inline(always)]
    fn follow(&mut self, tag: &DeliveryTag) -> bool {
        let (bytes, len) = tag.padded();
        if len > 8 || len < self.len || len == 0 {
            return false;
        }
        let Some(bytes) = bytes.first_chunk() else { return false };
        let unused = 64 - 8 * u32::from(len);
        let big = u64::from_be_bytes(*bytes) >> unused;
        let little = u64::from_le_bytes(*bytes) << unused;
        let longer = len > self.len;
        let above = |highest: Option<u64>, number| longer || highest.is_some_and(|highest| number > highest);
        let (in_big_endian, in_little_endian) =
            (above(self.big_endian, big), above(self.little_endian, little));
        if !(in_big_endian || in_little_endian) {
            return false;
        }
        *self = Self {
            len,
            big_endian: in_big_endian.then_some(big),
            little_endian: in_little_endian.then_some(little),
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                    tags.list(model.iter().copied().collect());
                    inserted = tags.insert(&tag);
                }
                prop_assert_eq!(inserted == Inserted::Fresh, model.insert(tag));
            }
        }
    }
}
