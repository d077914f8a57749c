//! Channel and handle numbers: the peer's, looked up for each frame, and ours, given out lowest first.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::arena::Key;

/// From the numbers that the peer chose to what they stand for (§2.5.1, §2.6.2).
///
/// Low numbers, which every sane peer uses, are indices of a vector. A peer that picks a high one gets a map entry
/// for it and not a vector of that length: what is held follows the number of entries.
#[derive(Debug, Default)]
pub(crate) struct NumberTable {
    dense: Vec<Option<Key>>,
    sparse: BTreeMap<u32, Key>,
    len: usize,
}

impl NumberTable {
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<Key> {
        match self.dense.get(number as usize) {
            Some(&entry) => entry,
            None => self.sparse.get(&number).copied(),
        }
    }

    /// Adds an entry for a number that has none.
    pub(crate) fn insert(&mut self, number: u32, key: Key) {
        self.len += 1;
        let index = number as usize;
        if index < self.dense.len() {
            self.dense[index] = Some(key);
        } else if index < 2 * self.len {
            self.dense.resize(index, None);
            self.dense.push(Some(key));
            // What was sparse and now lies inside the vector must be found there.
            let above = self.sparse.split_off(&(number + 1));
            for (number, key) in core::mem::replace(&mut self.sparse, above) {
                self.dense[number as usize] = Some(key);
            }
        } else {
            self.sparse.insert(number, key);
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Key> {
        let key = match self.dense.get_mut(number as usize) {
            Some(entry) => entry.take(),
            None => self.sparse.remove(&number),
        };
        if key.is_some() {
            self.len -= 1;
        }
        key
    }
}

/// Our own numbers: the lowest that is free, as §2.5.1 and §2.7.3 recommend.
#[derive(Debug, Default)]
pub(crate) struct NumberPool {
    returned: BTreeSet<u32>,
    next: u32,
}

impl NumberPool {
    /// The lowest free number, if it is not above `max`.
    pub(crate) fn take(&mut self, max: u32) -> Option<u32> {
        if let Some(&lowest) = self.returned.first() {
            return (lowest <= max && self.returned.remove(&lowest)).then_some(lowest);
        }
        if self.next > max {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    pub(crate) fn give_back(&mut self, number: u32) {
        self.returned.insert(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use proptest::prelude::*;

    //= 2.5.1-03 2.7.3-04
    #[test]
    fn the_lowest_free_number_is_given_out_first() {
        let mut pool = NumberPool::default();
        assert_eq!(
            [pool.take(2), pool.take(2), pool.take(2), pool.take(2)],
            [Some(0), Some(1), Some(2), None]
        );
        pool.give_back(2);
        pool.give_back(0);
        assert_eq!([pool.take(2), pool.take(1), pool.take(2)], [Some(0), None, Some(2)]);
    }

    #[test]
    fn a_high_number_costs_one_entry() {
        let mut table = NumberTable::default();
        let key = Arena::new().insert(());
        table.insert(u32::MAX, key);
        table.insert(1_000_000, key);
        assert!(table.dense.is_empty());
        assert_eq!(table.get(u32::MAX), Some(key));
        assert_eq!(table.get(0), None);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(ops in proptest::collection::vec((any::<bool>(), 0_u32..60), 1..200)) {
            let mut arena = Arena::new();
            let mut table = NumberTable::default();
            let mut model = BTreeMap::new();
            for (insert, number) in ops {
                if insert && !model.contains_key(&number) {
                    let key = arena.insert(());
                    table.insert(number, key);
                    model.insert(number, key);
                } else if !insert {
                    prop_assert_eq!(table.remove(number), model.remove(&number));
                }
                for number in 0..60 {
                    prop_assert_eq!(table.get(number), model.get(&number).copied());
                }
            }
        }
    }
}
