//! The messages of a queue that wait, by place.

use std::collections::VecDeque;

/// What waits in a queue, in the order of places.
///
/// Nearly all comes at the back and goes at the front. What goes from the middle leaves a hole; when three of four are
/// holes they are squeezed out.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Ascending places; neither end is a hole.
    items: VecDeque<(u64, Option<T>)>,
    len: usize,
}

/// Fewer are not worth squeezing.
const SQUEEZE_ABOVE: usize = 64;

impl<T> Waiting<T> {
    pub(super) const fn new() -> Self {
        Self { items: VecDeque::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds what has no place here yet.
    pub(super) fn insert(&mut self, place: u64, item: T) {
        self.len += 1;
        if self.items.back().is_none_or(|&(last, _)| last < place) {
            return self.items.push_back((place, Some(item)));
        }
        let index = self.at_or_behind(place);
        match self.items.get_mut(index) {
            Some((found, hole)) if *found == place => *hole = Some(item),
            _ => self.items.insert(index, (place, Some(item))),
        }
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        let (found, item) = self.items.get(self.at_or_behind(place))?;
        item.as_ref().filter(|_| *found == place)
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let index = self.at_or_behind(place);
        let (found, item) = self.items.get_mut(index)?;
        item.as_mut().filter(|_| *found == place)
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<T> {
        let index = self.at_or_behind(place);
        let item = self.items.get_mut(index).filter(|(found, _)| *found == place)?.1.take()?;
        self.len -= 1;
        while let Some((_, None)) = self.items.front() {
            self.items.pop_front();
        }
        while let Some((_, None)) = self.items.back() {
            self.items.pop_back();
        }
        if self.items.len() > SQUEEZE_ABOVE && self.len < self.items.len() / 4 {
            self.items.retain(|(_, item)| item.is_some());
        }
        Some(item)
    }

    /// What waits at this place and behind it.
    pub(super) fn from(&self, place: u64) -> impl Iterator<Item = (u64, &T)> {
        let items = self.items.range(self.at_or_behind(place)..);
        items.filter_map(|(place, item)| Some((*place, item.as_ref()?)))
    }

    /// The index of a place, or of the first behind it.
    fn at_or_behind(&self, place: u64) -> usize {
        let Some(&(front, _)) = self.items.front() else { return 0 };
        // Without a gap before it, it stands as many behind the front as its place says.
        let steps = usize::try_from(place.saturating_sub(front)).unwrap_or(usize::MAX);
        match self.items.get(steps) {
            Some(&(found, _)) if found == place => steps,
            _ => self.items.partition_point(|&(found, _)| found < place),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// As a tree would have it, whatever comes and goes in which order.
    #[test]
    fn the_order_is_that_of_the_places() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let (mut waiting, mut tree) = (Waiting::new(), BTreeMap::new());
        for step in 0..40_000 {
            // Now many places and now few, so that there are gaps and holes enough to be squeezed out.
            let places = if step / 1_000 % 2 == 0 { 20 } else { 400 };
            let place = draw(places);
            if draw(if step / 500 % 2 == 0 { 2 } else { 8 }) == 0 && !tree.contains_key(&place) {
                waiting.insert(place, step);
                tree.insert(place, step);
            } else {
                assert_eq!(waiting.remove(place), tree.remove(&place), "step {step}");
            }
            let from = draw(places);
            assert!(
                waiting.from(from).eq(tree.range(from..).map(|(&place, item)| (place, item))),
                "step {step}"
            );
            assert_eq!((waiting.len(), waiting.is_empty()), (tree.len(), tree.is_empty()));
            assert_eq!(waiting.get(from), tree.get(&from));
            assert_eq!(waiting.get_mut(from), tree.get_mut(&from));
            assert!(waiting.items.len() <= SQUEEZE_ABOVE.max(4 * tree.len() + 3), "holes are squeezed out");
        }
    }
}
