//! Which delivery-tags of a link are in use (§2.6.12).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use crate::types::DeliveryTag;

/// The tags of a link's unsettled deliveries, to refuse one that is used twice at a time.
///
/// Nearly every sender counts, so the next tag is above all before it, read as a number in one byte order or the
/// other, and cannot be among them: no set is kept. The first tag out of order turns the set on.
#[derive(Debug)]
pub(crate) enum TagSet {
    /// All tags so far were ascending.
    Counting {
        /// Of the longest tag so far.
        len: u8,
        /// The highest of that length, read in this byte order; `u64::MAX`, above which there is none, where the tags
        /// do not ascend.
        big_endian: u64,
        /// The same in the other byte order.
        little_endian: u64,
    },
    /// The tags in use.
    #[expect(clippy::box_collection, reason = "a set in place would make every link larger")]
    Listed(Box<BTreeSet<DeliveryTag>>),
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
        Self::Counting { len: 0, big_endian: 0, little_endian: 0 }
    }

    /// Adds a tag, unless it is in use.
    #[inline(always)]
    pub(crate) fn insert(&mut self, tag: &DeliveryTag) -> Inserted {
        match self {
            Self::Counting { len, big_endian, little_endian } => {
                if follow(len, big_endian, little_endian, tag) {
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
        *self = Self::Listed(Box::new(tags.into_iter().collect()));
    }

    /// The delivery of this tag is settled.
    #[inline(always)]
    pub(crate) fn remove(&mut self, tag: &DeliveryTag) {
        if let Self::Listed(tags) = self {
            forget(tags, tag);
        }
    }
}

/// Counts on to `tag`, if that is above all tags before it: whether it is.
#[inline(always)]
fn follow(highest_len: &mut u8, big_endian: &mut u64, little_endian: &mut u64, tag: &DeliveryTag) -> bool {
    let (bytes, len) = tag.padded();
    if len > 8 || len < *highest_len || len == 0 {
        return false;
    }
    let Some(bytes) = bytes.first_chunk() else { return false };
    let unused = 64 - 8 * u32::from(len);
    let big = u64::from_be_bytes(*bytes) >> unused;
    if *little_endian == u64::MAX && len == *highest_len && big > *big_endian {
        *big_endian = big;
        return true;
    }
    let little = u64::from_le_bytes(*bytes) << unused;
    let longer = len > *highest_len;
    let in_big_endian = longer || big > *big_endian;
    let in_little_endian = longer || little > *little_endian;
    if !(in_big_endian || in_little_endian) {
        return false;
    }
    *highest_len = len;
    *big_endian = if in_big_endian { big } else { u64::MAX };
    *little_endian = if in_little_endian { little } else { u64::MAX };
    true
}

#[inline(never)]
fn add(tags: &mut BTreeSet<DeliveryTag>, tag: DeliveryTag) -> Inserted {
    if tags.insert(tag) { Inserted::Fresh } else { Inserted::InUse }
}

#[inline(never)]
fn forget(tags: &mut BTreeSet<DeliveryTag>, tag: &DeliveryTag) {
    tags.remove(tag);
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
        assert!(matches!(tags, TagSet::Counting { .. }));
        let mut tags = TagSet::new();
        for n in 0_u64..70_000 {
            assert_eq!(tags.insert(&DeliveryTag::from(n)), Inserted::Fresh);
        }
        assert!(matches!(tags, TagSet::Counting { .. }));
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
