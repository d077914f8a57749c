//! Joining dispositions into ranges (§2.7.6).

use alloc::collections::VecDeque;

use crate::{Serial, types::DeliveryState};

/// A run of deliveries in the same state, for one `disposition` frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) first: Serial,
    pub(crate) last: Serial,
    pub(crate) settled: bool,
    pub(crate) state: Option<DeliveryState>,
}

impl Batch {
    /// Whether `id` lies at either end and is in the same state.
    #[inline(always)]
    fn joins(&self, id: Serial, settled: bool, state: Option<&DeliveryState>) -> bool {
        (id == self.last.next() || id.next() == self.first)
            && self.settled == settled
            && agree(self.state.as_ref(), state)
    }

    /// Takes in an `id` that joins.
    #[inline(always)]
    fn extend(&mut self, id: Serial) {
        if id == self.last.next() {
            self.last = id;
        } else {
            self.first = id;
        }
    }
}

/// Whether two states are the same; what nearly all are is compared first, and at once.
#[inline(always)]
fn agree(a: Option<&DeliveryState>, b: Option<&DeliveryState>) -> bool {
    matches!((a, b), (Some(DeliveryState::Accepted), Some(DeliveryState::Accepted))) || a == b
}

/// The dispositions of one role that wait to be written, joined as far as ids adjoin and states agree.
#[derive(Debug, Default)]
pub(crate) struct Dispositions {
    batches: VecDeque<Batch>,
}

impl Dispositions {
    #[inline(always)]
    pub(crate) fn push(&mut self, id: Serial, settled: bool, state: Option<&DeliveryState>) {
        match self.batches.back_mut() {
            Some(batch) if batch.joins(id, settled, state) => batch.extend(id),
            _ => self.begin(id, settled, state),
        }
    }

    #[inline(never)]
    fn begin(&mut self, id: Serial, settled: bool, state: Option<&DeliveryState>) {
        self.batches.push_back(Batch { first: id, last: id, settled, state: state.cloned() });
    }

    pub(crate) fn pop(&mut self) -> Option<Batch> {
        self.batches.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, vec::Vec};
    use proptest::prelude::*;

    fn drain(mut dispositions: Dispositions) -> Vec<Batch> {
        core::iter::from_fn(move || dispositions.pop()).collect()
    }

    #[test]
    fn w16_adjoining_equal_states_become_one_range_across_the_wrap() {
        let mut dispositions = Dispositions::default();
        for id in [0xffff_fffe, 0xffff_ffff, 0, 1] {
            dispositions.push(Serial::new(id), true, Some(&DeliveryState::Accepted));
        }
        dispositions.push(Serial::new(2), true, Some(&DeliveryState::Released));
        dispositions.push(Serial::new(4), true, Some(&DeliveryState::Released));
        let ranges: Vec<_> = drain(dispositions).iter().map(|b| (b.first.get(), b.last.get())).collect();
        assert_eq!(ranges, [(0xffff_fffe, 1), (2, 2), (4, 4)]);
    }

    proptest! {
        /// The model: one disposition a delivery, the last word of each counts.
        #[test]
        fn joining_changes_no_delivery(ids in proptest::collection::vec((0_u32..40, 0_u8..3), 1..100)) {
            let state = |n: u8| match n {
                0 => Some(DeliveryState::Accepted),
                1 => Some(DeliveryState::Released),
                _ => None,
            };
            let mut dispositions = Dispositions::default();
            let mut model = BTreeMap::new();
            for (id, n) in ids {
                dispositions.push(Serial::new(id), n == 0, state(n).as_ref());
                model.insert(id, (n == 0, state(n)));
            }
            let mut told = BTreeMap::new();
            for batch in drain(dispositions) {
                for id in batch.first.get()..=batch.last.get() {
                    told.insert(id, (batch.settled, batch.state.clone()));
                }
            }
            prop_assert_eq!(told, model);
        }
    }
}
