//! The messages of a queue that wait, by place.

use std::{collections::BTreeMap, mem};

/// What waits in a queue, in the order of places.
///
/// Where consumers keep up, a message is taken before the next one comes: so the last one stands beside the tree, and most
/// never get into it.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    earlier: BTreeMap<u64, T>,
    /// Its place is above all others.
    last: Option<(u64, T)>,
}

impl<T> Waiting<T> {
    pub(super) const fn new() -> Self {
        Self { earlier: BTreeMap::new(), last: None }
    }

    pub(super) fn len(&self) -> usize {
        self.earlier.len() + usize::from(self.last.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none() && self.earlier.is_empty()
    }

    /// Adds what has no place here yet.
    pub(super) fn insert(&mut self, place: u64, item: T) {
        match &mut self.last {
            Some((last, _)) if place < *last => {
                self.earlier.insert(place, item);
            }
            Some(last) => {
                let (earlier, item) = mem::replace(last, (place, item));
                self.earlier.insert(earlier, item);
            }
            None if self.earlier.last_key_value().is_some_and(|(&last, _)| place < last) => {
                self.earlier.insert(place, item);
            }
            None => self.last = Some((place, item)),
        }
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        match &self.last {
            Some((last, item)) if *last == place => Some(item),
            _ => self.earlier.get(&place),
        }
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        match &mut self.last {
            Some((last, item)) if *last == place => Some(item),
            _ => self.earlier.get_mut(&place),
        }
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        match self.last.take_if(|(last, _)| *last == place) {
            Some((_, item)) => Some(item),
            None => self.earlier.remove(&place),
        }
    }

    /// What waits at this place and behind it.
    pub(super) fn from(&self, place: u64) -> impl Iterator<Item = (u64, &T)> {
        let last = self.last.as_ref().filter(|(last, _)| *last >= place);
        self.earlier
            .range(place..)
            .map(|(&place, item)| (place, item))
            .chain(last.map(|(last, item)| (*last, item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a tree alone would have it, whatever comes and goes in which order.
    #[test]
    fn the_order_is_that_of_the_places() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let (mut waiting, mut tree) = (Waiting::new(), BTreeMap::new());
        for step in 0..10_000 {
            let place = draw(20);
            if draw(2) == 0 && !tree.contains_key(&place) {
                waiting.insert(place, step);
                tree.insert(place, step);
            } else {
                assert_eq!(waiting.remove(place), tree.remove(&place), "step {step}");
            }
            let from = draw(20);
            assert!(
                waiting.from(from).eq(tree.range(from..).map(|(&place, item)| (place, item))),
                "step {step}"
            );
            assert_eq!((waiting.len(), waiting.is_empty()), (tree.len(), tree.is_empty()));
            assert_eq!(waiting.get(from), tree.get(&from));
            assert_eq!(waiting.get_mut(from), tree.get_mut(&from));
        }
    }
}
