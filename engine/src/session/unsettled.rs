//! Deliveries of one direction of a session, found by delivery-id (§2.6.12).

use alloc::collections::VecDeque;
use core::ops::Range;

use crate::Serial;

/// What a session holds of each live delivery, ordered by delivery-id.
///
/// ```text
///   front                                   back
///   | 7 | 8 | - | 10 | 11 |   dense: slot of id = id - 7
///   | 7 | 10 | 5000 | 5001 |  sparse, after compaction: binary search
/// ```
///
/// Ids arrive in order, so the ring is dense as long as old deliveries go first and a lookup is one
/// subtraction. An old delivery that nobody settles leaves holes behind it; when three of four slots are
/// holes they are squeezed out, so the size follows what is held and never the span of the ids. A range
/// of a disposition walks what is held, whatever span the peer names.
#[derive(Debug)]
pub(crate) struct Unsettled<T> {
    slots: VecDeque<Slot<T>>,
    live: usize,
}

#[derive(Debug)]
struct Slot<T> {
    id: Serial,
    value: Option<T>,
}

/// Below this many slots holes are not worth squeezing out.
const COMPACT_ABOVE: usize = 64;

impl<T> Unsettled<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: VecDeque::new(), live: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    /// Whether `id` may be added: a delivery that lies 2³¹ ids behind has no order to it any more (§2.8.10).
    #[inline]
    pub(crate) fn takes(&self, id: Serial) -> bool {
        self.slots.front().is_none_or(|front| id.distance_from(front.id) > 0)
    }

    /// Adds a delivery. Its id follows all ids that were added before.
    #[inline]
    pub(crate) fn push(&mut self, id: Serial, value: T) {
        debug_assert!(self.slots.back().is_none_or(|last| last.id.precedes(id)));
        self.slots.push_back(Slot { id, value: Some(value) });
        self.live += 1;
    }

    #[inline]
    fn position(&self, id: Serial) -> Option<usize> {
        let front = self.slots.front()?.id;
        let guess = id.get().wrapping_sub(front.get()) as usize;
        match self.slots.get(guess) {
            Some(slot) if slot.id == id => Some(guess),
            _ => {
                let index = self.first_at_or_after(id);
                (self.slots.get(index)?.id == id).then_some(index)
            }
        }
    }

    fn first_at_or_after(&self, id: Serial) -> usize {
        self.slots.partition_point(|slot| slot.id.precedes(id))
    }

    #[inline]
    pub(crate) fn get(&self, id: Serial) -> Option<&T> {
        let index = self.position(id)?;
        self.slots[index].value.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: Serial) -> Option<&mut T> {
        let index = self.position(id)?;
        self.slots[index].value.as_mut()
    }

    /// Forgets a delivery: whether there was one.
    #[inline]
    pub(crate) fn remove(&mut self, id: Serial) -> bool {
        let Some(index) = self.position(id) else { return false };
        let slot = &mut self.slots[index];
        if slot.value.is_none() {
            return false;
        }
        slot.value = None;
        self.live -= 1;
        if index == 0 {
            while self.slots.front().is_some_and(|slot| slot.value.is_none()) {
                self.slots.pop_front();
            }
        } else if index + 1 == self.slots.len() {
            // An id that was taken back is given out again.
            while self.slots.back().is_some_and(|slot| slot.value.is_none()) {
                self.slots.pop_back();
            }
        } else if self.slots.len() > COMPACT_ABOVE && self.live * 4 < self.slots.len() {
            self.slots.retain(|slot| slot.value.is_some());
        }
        true
    }

    /// The places of all deliveries from `first` to `last`, both included, that are held: to be read with
    /// [`at_mut`](Self::at_mut).
    pub(crate) fn range(&self, first: Serial, last: Serial) -> Range<usize> {
        let start = self.first_at_or_after(first);
        let end = self.first_at_or_after(last.next());
        start..end.max(start)
    }

    /// The delivery at a place of a [`range`](Self::range); nothing where it is gone.
    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<(Serial, &mut T)> {
        let slot = self.slots.get_mut(place)?;
        Some((slot.id, slot.value.as_mut()?))
    }

    /// Forgets every delivery that `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.slots.retain(|slot| slot.value.as_ref().is_some_and(&mut keep));
        self.live = self.slots.len();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Serial, &T)> {
        self.slots.iter().filter_map(|slot| Some((slot.id, slot.value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, vec::Vec};
    use proptest::prelude::*;

    fn ids(unsettled: &mut Unsettled<u32>, first: u32, last: u32) -> Vec<u32> {
        let range = unsettled.range(Serial::new(first), Serial::new(last));
        range.filter_map(|place| unsettled.at_mut(place).map(|(id, _)| id.get())).collect()
    }

    #[test]
    fn d13_a_range_walks_what_is_held_and_not_the_span() {
        let mut unsettled = Unsettled::new();
        for id in 10..13 {
            unsettled.push(Serial::new(id), id);
        }
        assert_eq!(ids(&mut unsettled, 0, 0x7fff_ffff), [10, 11, 12]);
        assert_eq!(ids(&mut unsettled, 11, 11), [11]);
        assert_eq!(ids(&mut unsettled, 13, 99), []);
        assert_eq!(ids(&mut unsettled, 1, 9), []);
    }

    #[test]
    fn one_old_delivery_does_not_keep_the_slots_of_its_followers() {
        let mut unsettled = Unsettled::new();
        unsettled.push(Serial::new(0), 0);
        for id in 1..100_000 {
            unsettled.push(Serial::new(id), id);
            assert!(unsettled.remove(Serial::new(id)));
        }
        assert_eq!(unsettled.len(), 1);
        assert!(unsettled.slots.len() <= COMPACT_ABOVE + 1);
        assert_eq!(unsettled.get(Serial::new(0)), Some(&0));
    }

    #[test]
    fn an_id_that_was_taken_back_may_come_again() {
        let mut unsettled = Unsettled::new();
        for id in [7, 8, 9] {
            unsettled.push(Serial::new(id), id);
        }
        assert!(unsettled.remove(Serial::new(8)));
        assert!(unsettled.remove(Serial::new(9)));
        unsettled.push(Serial::new(9), 99);
        assert_eq!(unsettled.get(Serial::new(9)), Some(&99));
        assert_eq!(ids(&mut unsettled, 7, 9), [7, 9]);
    }

    #[test]
    fn an_id_half_the_circle_ahead_of_the_oldest_is_not_taken() {
        let mut unsettled = Unsettled::new();
        assert!(unsettled.takes(Serial::new(5)));
        unsettled.push(Serial::new(5), 5);
        assert!(unsettled.takes(Serial::new(6)));
        assert!(unsettled.takes(Serial::new(5).plus(0x7fff_ffff)));
        assert!(!unsettled.takes(Serial::new(5).plus(0x8000_0000)));
        assert!(!unsettled.takes(Serial::new(5)));
    }

    proptest! {
        /// The model: an ordered map over 64-bit ids that never wrap.
        #[test]
        fn behaves_like_an_ordered_map(
            start: u32,
            ops in proptest::collection::vec((0_u8..4, 0_u64..200, 0_u64..50), 1..400),
        ) {
            let mut unsettled = Unsettled::new();
            let mut model = BTreeMap::new();
            let mut next = 0_u64;
            let id = |n: u64| Serial::new(start).plus(n as u32);
            for (op, n, width) in ops {
                match op {
                    0 | 1 => {
                        unsettled.push(id(next), next);
                        model.insert(next, next);
                        next += 1;
                    }
                    2 => prop_assert_eq!(unsettled.remove(id(n)), model.remove(&n).is_some()),
                    _ => {
                        let held: Vec<_> = {
                            let range = unsettled.range(id(n), id(n + width));
                            range.filter_map(|place| unsettled.at_mut(place).map(|(_, v)| *v)).collect()
                        };
                        let expected: Vec<_> = model.range(n..=n + width).map(|(_, v)| *v).collect();
                        prop_assert_eq!(held, expected);
                        prop_assert_eq!(unsettled.get(id(n)), model.get(&n));
                    }
                }
                prop_assert_eq!(unsettled.len(), model.len());
            }
        }
    }
}
