//! Deliveries of one direction of a session, found by delivery-id (§2.6.12).

use alloc::vec::Vec;
use core::ops::Range;

use crate::Serial;

/// What a session holds of each live delivery, ordered by delivery-id.
///
/// ```text
///   front                                   back
///   | 7 | 8 | - | 10 | 11 |   dense: place of id = id - 7
///   | 7 | 10 | 5000 | 5001 |  sparse, after compaction: binary search
/// ```
///
/// Ids arrive in order, so the ring is dense as long as old deliveries go first and a look-up is one
/// subtraction. An old delivery that nobody settles leaves holes behind it; when three of four places are
/// holes they are squeezed out, so the size follows what is held and never the span of the ids. A range
/// of a disposition walks what is held, whatever span the peer names.
///
/// A delivery keeps its slot until others are added or removed. A slot that is free keeps its old value, to be written over:
/// so nothing is made, moved or dropped for each delivery. Whatever in it should not be kept is taken out before.
#[derive(Debug)]
pub(crate) struct Unsettled<T> {
    /// The ring: none, or a power of two.
    slots: Vec<Slot<T>>,
    /// The slot of the oldest delivery.
    front: usize,
    /// Slots from the front to the back, holes included.
    used: usize,
    live: usize,
}

#[derive(Debug)]
struct Slot<T> {
    id: Serial,
    is_held: bool,
    value: T,
}

impl<T> Slot<T> {
    #[inline(always)]
    fn held(&self) -> Option<&T> {
        if self.is_held { Some(&self.value) } else { None }
    }
}

/// Below this many slots holes are not worth squeezing out.
const COMPACT_ABOVE: usize = 64;
/// An id has an order to as many that follow it (§2.8.10).
const HALF_CIRCLE: u32 = u32::MAX >> 1;
/// The first slots that are made.
const SLOTS: usize = 4;

impl<T: Default> Unsettled<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), front: 0, used: 0, live: 0 }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    /// The slot so many behind the front.
    #[inline(always)]
    fn nth(&self, n: usize) -> usize {
        self.front.wrapping_add(n) & self.slots.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn front(&self) -> Option<&Slot<T>> {
        if self.used > 0 { self.slots.get(self.front) } else { None }
    }

    /// Whether `id` may be added: a delivery that lies 2³¹ ids behind has no order to it any more (§2.8.10).
    #[inline(always)]
    pub(crate) fn takes(&self, id: Serial) -> bool {
        self.front().is_none_or(|front| id.distance_from(front.id) > 0)
    }

    /// How many ids from `id` on may be added.
    #[inline(always)]
    pub(crate) fn room_for_ids(&self, id: Serial) -> u32 {
        self.front().map_or(u32::MAX, |front| HALF_CIRCLE.saturating_sub(steps(front.id, id).wrapping_sub(1)))
    }

    /// Adds a delivery; gives its slot. Its id follows all ids that were added before.
    #[inline(always)]
    pub(crate) fn push(&mut self, id: Serial, value: T) -> usize {
        let (index, slot) = self.vacant(id);
        *slot = value;
        index
    }

    /// Makes the slot of a new delivery, whose old value is to be written over.
    #[inline(always)]
    pub(crate) fn vacant(&mut self, id: Serial) -> (usize, &mut T) {
        if self.used == self.slots.len() {
            self.grow();
        }
        let index = self.nth(self.used);
        self.used += 1;
        self.live += 1;
        let slot = &mut self.slots[index];
        (slot.id, slot.is_held) = (id, true);
        (index, &mut slot.value)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.slots.rotate_left(self.front);
        self.front = 0;
        let slots = (self.slots.len() * 2).max(SLOTS);
        self.slots.resize_with(slots, || Slot { id: Serial::new(0), is_held: false, value: T::default() });
    }

    /// The slot of a delivery, if it is held.
    #[inline(always)]
    pub(crate) fn find(&self, id: Serial) -> Option<usize> {
        let steps = steps(self.front()?.id, id);
        let index = self.nth(steps as usize);
        match self.slots.get(index) {
            Some(slot) if (steps as usize) < self.used && slot.id == id => slot.is_held.then_some(index),
            _ => self.search(id),
        }
    }

    #[cold]
    fn search(&self, id: Serial) -> Option<usize> {
        let n = self.first_at_or_after(steps(self.front()?.id, id));
        let index = self.nth(n);
        let slot = self.slots.get(index).filter(|slot| n < self.used && slot.id == id)?;
        slot.is_held.then_some(index)
    }

    /// How many slots lie between the front and the first id that is so many steps or more behind the front's: all ids
    /// held are less than half the circle behind it, which lets their steps be compared where they themselves cannot.
    fn first_at_or_after(&self, behind: u32) -> usize {
        let Some(front) = self.front().map(|slot| slot.id) else { return 0 };
        let (mut low, mut high) = (0, self.used);
        while low < high {
            let middle = low.midpoint(high);
            if steps(front, self.slots[self.nth(middle)].id) < behind {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The places of all ids from `first` to `last`, both included.
    fn places(&self, first: Serial, last: Serial) -> Range<usize> {
        let Some(front) = self.front().map(|slot| slot.id) else { return 0..0 };
        let (first, last) = (steps(front, first), steps(front, last));
        // Where the last comes before the first on the way round the circle, the front lies between them.
        let start = if first <= last { self.first_at_or_after(first) } else { 0 };
        start..self.first_at_or_after(last.saturating_add(1))
    }

    /// The delivery of a slot.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> Option<&T> {
        self.slots.get(index)?.held()
    }

    /// The delivery of a slot.
    #[inline(always)]
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        let slot = self.slots.get_mut(index)?;
        if slot.is_held { Some(&mut slot.value) } else { None }
    }

    #[inline]
    pub(crate) fn get(&self, id: Serial) -> Option<&T> {
        self.at(self.find(id)?)
    }

    /// Forgets the delivery of a slot: whether there was one.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_held) else { return false };
        slot.is_held = false;
        self.live -= 1;
        if index == self.front {
            self.drop_front_holes();
        } else {
            self.squeeze();
        }
        true
    }

    #[inline(always)]
    fn drop_front_holes(&mut self) {
        while self.front().is_some_and(|slot| !slot.is_held) {
            self.front = self.nth(1);
            self.used -= 1;
        }
    }

    #[inline(never)]
    fn squeeze(&mut self) {
        // An id that was taken back is given out again.
        while self.used > 0 && self.at(self.nth(self.used - 1)).is_none() {
            self.used -= 1;
        }
        if self.used > COMPACT_ABOVE && self.live * 4 < self.used {
            self.retain(|_| true);
        }
    }

    /// All deliveries from `first` to `last`, both included, that are held.
    pub(crate) fn range(&self, first: Serial, last: Serial) -> impl Iterator<Item = &T> {
        self.places(first, last).filter_map(|n| self.at(self.nth(n)))
    }

    /// Lends all deliveries from `first` to `last`, both included, that are held.
    pub(crate) fn for_each(&mut self, first: Serial, last: Serial, mut f: impl FnMut(Serial, &mut T)) {
        for n in self.places(first, last) {
            let index = self.nth(n);
            let slot = &mut self.slots[index];
            if slot.is_held {
                f(slot.id, &mut slot.value);
            }
        }
    }

    /// Forgets every delivery that `keep` does not want, and squeezes the holes out.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for n in 0..self.used {
            let index = self.nth(n);
            let slot = &mut self.slots[index];
            if slot.is_held && keep(&mut slot.value) {
                let to = self.nth(kept);
                self.slots.swap(index, to);
                kept += 1;
            } else {
                (slot.is_held, slot.value) = (false, T::default());
            }
        }
        self.used = kept;
        self.live = kept;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Serial, &T)> {
        let slots = (0..self.used).map(|n| &self.slots[self.nth(n)]);
        slots.filter_map(|slot| Some((slot.id, slot.held()?)))
    }
}

/// How far round the circle of ids it is from one to another.
#[inline(always)]
const fn steps(from: Serial, to: Serial) -> u32 {
    to.get().wrapping_sub(from.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, vec::Vec};
    use proptest::prelude::*;

    fn ids(unsettled: &mut Unsettled<u32>, first: u32, last: u32) -> Vec<u32> {
        let mut ids = Vec::new();
        unsettled.for_each(Serial::new(first), Serial::new(last), |id, _| ids.push(id.get()));
        ids
    }

    fn remove<T: Default>(unsettled: &mut Unsettled<T>, id: Serial) -> bool {
        unsettled.find(id).is_some_and(|index| unsettled.remove(index))
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
    fn d13_a_range_of_half_the_circle_may_begin_behind_the_oldest() {
        let mut unsettled = Unsettled::new();
        for id in [u32::MAX - 1, u32::MAX, 0, 1, 2] {
            unsettled.push(Serial::new(id), id);
        }
        assert_eq!(ids(&mut unsettled, u32::MAX, 0x7fff_fffe), [u32::MAX, 0, 1, 2]);
        assert_eq!(ids(&mut unsettled, 2, 0x8000_0001), [2]);
        assert_eq!(ids(&mut unsettled, 0x8000_0001, 0), [u32::MAX - 1, u32::MAX, 0]);
        assert_eq!(ids(&mut unsettled, 3, 0x8000_0002), []);
    }

    #[test]
    fn one_old_delivery_does_not_keep_the_slots_of_its_followers() {
        let mut unsettled = Unsettled::new();
        unsettled.push(Serial::new(0), 0);
        for id in 1..100_000 {
            unsettled.push(Serial::new(id), id);
            assert!(remove(&mut unsettled, Serial::new(id)));
        }
        assert_eq!(unsettled.len(), 1);
        assert!(unsettled.slots.len() <= 2 * COMPACT_ABOVE);
        assert_eq!(unsettled.get(Serial::new(0)), Some(&0));
    }

    #[test]
    fn an_id_that_was_taken_back_may_come_again() {
        let mut unsettled = Unsettled::new();
        for id in [7, 8, 9] {
            unsettled.push(Serial::new(id), id);
        }
        assert!(remove(&mut unsettled, Serial::new(8)));
        assert!(remove(&mut unsettled, Serial::new(9)));
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
        assert!(remove(&mut unsettled, Serial::new(5)));
        assert!(unsettled.takes(Serial::new(5).plus(0x8000_0000)), "what is gone has no order to anything");
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
                    2 => prop_assert_eq!(remove(&mut unsettled, id(n)), model.remove(&n).is_some()),
                    _ => {
                        let mut held = Vec::new();
                        unsettled.for_each(id(n), id(n + width), |_, value| held.push(*value));
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
