//! What a sender has sent and knows no outcome of, kept to be sent again.

use alloc::{collections::VecDeque, vec::Vec};
use core::ops::Range;

use bytes::Bytes;

use crate::Serial;

/// Messages on their way, in the order of their delivery-ids.
///
/// ```text
///   sent          n      n + 1         n + 3
///   fronts   |...|front |front        |front|
///                ^ start
///   tails         -      64 KiB        -
/// ```
///
/// The front of a message is encoded here once and sent from here; what is long at its end, or was handed over as bytes, is
/// shared. Fronts lie in one buffer, in which a message costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Retained {
    sent: VecDeque<Sent>,
    /// The fronts of `sent`, behind some that nobody needs any more.
    fronts: Vec<u8>,
    /// Where the front of the first begins.
    start: usize,
    /// How many of `sent` are done with, and not the first.
    holes: usize,
    /// How many times in a row the buffer has run empty and little of it was used.
    small_passes: u8,
}

#[derive(Debug)]
struct Sent {
    number: Serial,
    message_format: u32,
    tag: u64,
    /// The length of its front.
    front: usize,
    tail: Option<Bytes>,
    is_live: bool,
}

/// A message to be sent again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) number: Serial,
    pub(super) tag: u64,
    pub(super) message_format: u32,
    pub(super) payload: Bytes,
}

/// Fronts that nobody needs are cut off a buffer that never runs empty once they are this many bytes.
const CUT_ABOVE: usize = 16 * 1024;
/// A buffer up to this size is kept as it is.
const KEEP_CAPACITY: usize = 64 * 1024;
/// After so many times in a row that it has run empty and little of it was used, a larger one is made smaller.
const SMALL_PASSES: u8 = 255;
/// So many holes are nothing.
const FEW_HOLES: usize = 32;

impl Retained {
    /// Has the front of a message written behind the others; [`push`](Self::push) or [`take_back`](Self::take_back) must
    /// follow.
    #[inline]
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> (Range<usize>, T) {
        let start = self.fronts.len();
        let written = write(&mut self.fronts);
        (start..self.fronts.len(), written)
    }

    /// A front that was just written.
    #[inline]
    pub(super) fn front(&self, range: Range<usize>) -> &[u8] {
        &self.fronts[range]
    }

    pub(super) fn take_back(&mut self, front: &Range<usize>) {
        self.fronts.truncate(front.start);
    }

    /// Keeps a message that was sent: a front of this length, which was written last, and what follows it.
    #[inline]
    pub(super) fn push(
        &mut self,
        number: Serial,
        tag: u64,
        message_format: u32,
        front: usize,
        tail: Option<Bytes>,
    ) {
        self.sent.push_back(Sent { number, message_format, tag, front, tail, is_live: true });
    }

    /// Forgets a message whose outcome is known.
    #[inline]
    pub(super) fn forget(&mut self, number: Serial) {
        match self.sent.front() {
            Some(first) if first.number == number => self.forget_first(),
            Some(_) => self.forget_later(number),
            None => {}
        }
    }

    #[inline]
    fn forget_first(&mut self) {
        let Some(first) = self.sent.pop_front() else { return };
        self.start += first.front;
        if self.holes > 0 {
            self.skip_holes();
        }
        if self.sent.is_empty() {
            self.reset();
        } else if self.start > CUT_ABOVE && self.start > self.fronts.len() / 2 {
            self.fronts.drain(..self.start);
            self.start = 0;
        }
    }

    fn reset(&mut self) {
        let is_small =
            self.fronts.capacity() > KEEP_CAPACITY && self.fronts.len() < self.fronts.capacity() / 8;
        self.small_passes = if is_small { self.small_passes + 1 } else { 0 };
        self.fronts.clear();
        self.start = 0;
        if self.small_passes == SMALL_PASSES {
            self.small_passes = 0;
            self.fronts.shrink_to((self.fronts.capacity() / 2).max(KEEP_CAPACITY));
        }
    }

    #[cold]
    fn skip_holes(&mut self) {
        while let Some(hole) = self.sent.front().filter(|sent| !sent.is_live) {
            self.start += hole.front;
            self.holes -= 1;
            self.sent.pop_front();
        }
    }

    #[cold]
    fn forget_later(&mut self, number: Serial) {
        let Some(index) = self.find(number) else { return };
        self.sent[index].is_live = false;
        self.sent[index].tail = None;
        self.holes += 1;
        if self.holes > FEW_HOLES && self.holes > self.sent.len() / 2 {
            self.squeeze();
        }
    }

    /// The place of a message that is kept.
    fn find(&self, number: Serial) -> Option<usize> {
        let first = self.sent.front()?.number;
        let place = |sent: &Sent| sent.number.distance_from(first);
        let index = self.sent.binary_search_by_key(&number.distance_from(first), place).ok()?;
        self.sent[index].is_live.then_some(index)
    }

    /// Makes what is kept lie side by side: one old message must not hold memory for each one after it.
    fn squeeze(&mut self) {
        let (mut from, mut to) = (self.start, 0);
        for sent in &self.sent {
            if sent.is_live {
                self.fronts.copy_within(from..from + sent.front, to);
                to += sent.front;
            }
            from += sent.front;
        }
        self.fronts.truncate(to);
        self.sent.retain(|sent| sent.is_live);
        (self.start, self.holes) = (0, 0);
    }

    /// Takes out all, in the order in which they were sent.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Again> {
        let Self { sent, fronts, mut start, .. } = core::mem::take(self);
        sent.into_iter().filter_map(move |sent| {
            let front = start..start + sent.front;
            start = front.end;
            let payload = match sent.tail {
                None => Bytes::copy_from_slice(&fronts[front]),
                Some(tail) if front.is_empty() => tail,
                Some(tail) => [&fronts[front], &tail].concat().into(),
            };
            let Sent { number, tag, message_format, is_live, .. } = sent;
            is_live.then_some(Again { number, tag, message_format, payload })
        })
    }

    /// How much it holds: messages, with those that are done with, and bytes of fronts.
    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        (self.sent.len(), self.fronts.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn keep(retained: &mut Retained, number: u32, front: &[u8], tail: &'static [u8]) {
        let (range, ()) = retained.write(|out| out.extend_from_slice(front));
        retained.push(
            Serial::new(number),
            u64::from(number),
            0,
            range.len(),
            (!tail.is_empty()).then(|| Bytes::from_static(tail)),
        );
    }

    fn taken(retained: &mut Retained) -> Vec<(u32, Bytes)> {
        retained.take_all().map(|again| (again.number.get(), again.payload)).collect()
    }

    #[test]
    fn r_04_what_has_no_outcome_comes_back_in_order() {
        let mut retained = Retained::default();
        keep(&mut retained, u32::MAX, b"first ", b"tail");
        keep(&mut retained, 0, b"second", b"");
        keep(&mut retained, 1, b"", b"third");
        retained.forget(Serial::new(0));
        retained.forget(Serial::new(0));
        retained.forget(Serial::new(7));
        assert_eq!(taken(&mut retained), [(u32::MAX, "first tail".into()), (1, "third".into())]);
        assert_eq!(taken(&mut retained), []);
    }

    #[test]
    fn one_old_message_holds_no_memory_for_each_one_after_it() {
        let mut retained = Retained::default();
        for number in 0..100_000 {
            keep(&mut retained, number, &[7; 100], b"");
            if number > 0 {
                retained.forget(Serial::new(number));
            }
        }
        let (messages, bytes) = retained.held();
        assert!(messages <= 2 * FEW_HOLES + 2 && bytes <= 100 * (2 * FEW_HOLES + 2), "{messages}, {bytes}");
        assert_eq!(taken(&mut retained).len(), 1);
    }

    #[test]
    fn a_window_that_moves_on_holds_no_more_than_twice_what_is_in_it() {
        let mut retained = Retained::default();
        for number in 0..100_000 {
            keep(&mut retained, number, &[7; 100], b"");
            if number >= 1_000 {
                retained.forget(Serial::new(number - 1_000));
            }
            assert!(retained.held().1 <= 2 * 1_001 * 100 + CUT_ABOVE);
        }
    }

    proptest! {
        #[test]
        fn it_keeps_what_a_map_would(steps in proptest::collection::vec((any::<bool>(), 0_u32..64, 0_usize..40), 0..400)) {
            let mut retained = Retained::default();
            let mut model = BTreeMap::new();
            let mut next = 0;
            for (keeps, back, len) in steps {
                if keeps {
                    let front = std::vec![next as u8; len];
                    keep(&mut retained, next, &front, b"+");
                    model.insert(next, [&front[..], b"+"].concat());
                    next += 1;
                } else {
                    let number = next.wrapping_sub(back);
                    retained.forget(Serial::new(number));
                    model.remove(&number);
                }
            }
            let kept: Vec<_> = taken(&mut retained).into_iter().map(|(number, payload)| (number, payload.to_vec())).collect();
            prop_assert_eq!(kept, model.into_iter().collect::<Vec<_>>());
        }
    }
}
