//! What has numbers that ascend, by number.

use std::{
    collections::{BTreeMap, VecDeque},
    iter,
};

/// Items in the order of their numbers.
///
/// Nearly all come at the back and go at the front. What goes from the middle leaves a hole; when three of four are holes
/// they are squeezed out. What comes into the middle, and finds no hole of its own, stands apart.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    /// Ascending numbers; neither end is a hole.
    row: VecDeque<(u64, Option<T>)>,
    /// Those that came behind a higher number.
    late: BTreeMap<u64, T>,
    len: usize,
}

/// Fewer are not worth squeezing.
const SQUEEZE_ABOVE: usize = 64;

impl<T> Numbered<T> {
    pub(super) const fn new() -> Self {
        Self { row: VecDeque::new(), late: BTreeMap::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item whose number none has.
    pub(super) fn insert(&mut self, number: u64, item: T) {
        self.len += 1;
        if self.row.back().is_none_or(|&(last, _)| last < number) {
            return self.row.push_back((number, Some(item)));
        }
        let index = self.at_or_behind(number);
        match self.row.get_mut(index) {
            Some((found, hole)) if *found == number => *hole = Some(item),
            _ => drop(self.late.insert(number, item)),
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        match self.row.get(self.at_or_behind(number)) {
            Some((found, Some(item))) if *found == number => Some(item),
            _ => self.late.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.at_or_behind(number);
        match self.row.get_mut(index) {
            Some((found, Some(item))) if *found == number => Some(item),
            _ => self.late.get_mut(&number),
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let index = self.at_or_behind(number);
        let in_row = self.row.get_mut(index).filter(|(found, _)| *found == number);
        let item = match in_row.and_then(|(_, item)| item.take()) {
            Some(item) => item,
            None => self.late.remove(&number)?,
        };
        self.len -= 1;
        while let Some((_, None)) = self.row.front() {
            self.row.pop_front();
        }
        while let Some((_, None)) = self.row.back() {
            self.row.pop_back();
        }
        if self.row.len() > SQUEEZE_ABOVE && self.len < self.row.len() / 4 {
            self.row.retain(|(_, item)| item.is_some());
        }
        Some(item)
    }

    /// The items from this number on.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let row = self.row.range(self.at_or_behind(number)..);
        let mut row = row.filter_map(|(number, item)| Some((*number, item.as_ref()?))).peekable();
        let mut late = self.late.range(number..).map(|(number, item)| (*number, item)).peekable();
        iter::from_fn(move || match (row.peek(), late.peek()) {
            (Some((in_row, _)), Some((behind, _))) if behind < in_row => late.next(),
            (None, _) => late.next(),
            _ => row.next(),
        })
    }

    /// All of them, in no order.
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.row.into_iter().filter_map(|(_, item)| item).chain(self.late.into_values())
    }

    /// The index in the row of a number, or of the first behind it.
    fn at_or_behind(&self, number: u64) -> usize {
        let Some(&(front, _)) = self.row.front() else { return 0 };
        // Without a gap before it, it stands as many behind the front as its number says.
        let steps = usize::try_from(number.saturating_sub(front)).unwrap_or(usize::MAX);
        match self.row.get(steps) {
            Some(&(found, _)) if found == number => steps,
            _ => self.row.partition_point(|&(found, _)| found < number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a tree would have it, whatever comes and goes in which order.
    #[test]
    fn the_order_is_that_of_the_numbers() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let (mut items, mut tree, mut is_late) = (Numbered::new(), BTreeMap::new(), false);
        for step in 0..40_000 {
            // Now many numbers and now few, so that there are gaps and holes enough to be squeezed out.
            let numbers = if step / 1_000 % 2 == 0 { 20 } else { 400 };
            let number = draw(numbers);
            if draw(if step / 500 % 2 == 0 { 2 } else { 8 }) == 0 && !tree.contains_key(&number) {
                items.insert(number, step);
                tree.insert(number, step);
            } else {
                assert_eq!(items.remove(number), tree.remove(&number), "step {step}");
            }
            let from = draw(numbers);
            assert!(
                items.from(from).eq(tree.range(from..).map(|(&number, item)| (number, item))),
                "step {step}"
            );
            assert_eq!((items.len(), items.is_empty()), (tree.len(), tree.is_empty()));
            assert_eq!(items.get(from), tree.get(&from));
            assert_eq!(items.get_mut(from), tree.get_mut(&from));
            assert!(items.row.len() <= SQUEEZE_ABOVE.max(4 * tree.len() + 3), "holes are squeezed out");
            is_late |= !items.late.is_empty();
        }
        assert!(is_late);
    }
}
