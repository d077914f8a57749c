//! What a sender has yet to go on with after its link was lost (§2.6.13).

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

use bytes::Bytes;

use super::retained::Again;
use crate::{UnsettledMap, types::DeliveryTag};

/// Deliveries of which the receiver is to say how far it has come, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    deliveries: VecDeque<Sent>,
    /// How many of them have an outcome that the program was told.
    told: usize,
    /// How many others were found to be sent again, and wait for that at the front of the sender's queue.
    pub(super) resent: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) tag: DeliveryTag,
    /// What is to be sent if the receiver needs it; a message that was sent piece by piece was not kept.
    pub(super) message: Option<Kept>,
    /// The program knows its outcome.
    pub(super) is_told: bool,
}

/// A message that was sent and kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) tag: u64,
    pub(super) message_format: u32,
    pub(super) payload: Bytes,
}

impl Unresolved {
    /// Adds what the link goes on with once it is attached again: those that its unsettled map names, with the messages
    /// that were kept, and of which the outcome was `told`.
    pub(super) fn suspend(
        &mut self,
        unsettled: &UnsettledMap,
        retained: impl Iterator<Item = Again>,
        told: &BTreeSet<DeliveryTag>,
    ) {
        self.resent = 0;
        self.deliveries.retain(|sent| unsettled.contains(&sent.tag));
        let mut known: BTreeSet<DeliveryTag> = self.deliveries.iter().map(|sent| sent.tag).collect();
        let kept = retained.map(|Again { tag, message_format, payload, .. }| {
            (DeliveryTag::from(tag), Some(Kept { tag, message_format, payload }))
        });
        let others = unsettled.iter().map(|(tag, _)| (*tag, None));
        for (tag, message) in kept.chain(others) {
            if unsettled.contains(&tag) && known.insert(tag) {
                self.deliveries.push_back(Sent { tag, message, is_told: told.contains(&tag) });
            }
        }
        self.told = self.deliveries.iter().filter(|sent| sent.is_told).count();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// How many the program knows no outcome of.
    pub(super) fn in_doubt(&self) -> usize {
        self.deliveries.len() - self.told
    }

    /// Their tags.
    pub(super) fn tags_in_doubt(&self) -> impl Iterator<Item = DeliveryTag> + '_ {
        self.deliveries.iter().filter(|sent| !sent.is_told).map(|sent| sent.tag)
    }

    /// The tags of all.
    pub(super) fn tags(&self) -> impl Iterator<Item = DeliveryTag> + '_ {
        self.deliveries.iter().map(|sent| sent.tag)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Sent> {
        self.deliveries.get(at)
    }

    /// The program is told the outcome of one.
    pub(super) fn tell(&mut self, at: usize) {
        if let Some(sent) = self.deliveries.get_mut(at)
            && !sent.is_told
        {
            sent.is_told = true;
            self.told += 1;
        }
    }

    /// Takes one out that is gone on with.
    pub(super) fn remove(&mut self, at: usize) -> Option<Sent> {
        let sent = self.deliveries.remove(at)?;
        self.told -= usize::from(sent.is_told);
        if self.deliveries.is_empty() {
            self.resent = 0;
        }
        Some(sent)
    }

    /// Takes out all, as nobody goes on with them: the tags of those in doubt.
    pub(super) fn give_up(&mut self) -> Vec<DeliveryTag> {
        let tags = self.tags_in_doubt().collect();
        *self = Self::default();
        tags
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;
    use crate::{Serial, types::DeliveryState};

    fn again(tag: u64) -> Again {
        let number = Serial::new(tag as u32);
        Again { number, tag, message_format: 0, payload: Bytes::from(vec![tag as u8; 3]) }
    }

    fn map(tags: &[u64]) -> UnsettledMap {
        tags.iter().map(|tag| (DeliveryTag::from(*tag), None)).collect()
    }

    fn told(tags: &[u64]) -> BTreeSet<DeliveryTag> {
        tags.iter().map(|tag| DeliveryTag::from(*tag)).collect()
    }

    /// Their tags, and whether there is a message.
    fn held(unresolved: &Unresolved) -> Vec<(DeliveryTag, bool)> {
        unresolved.deliveries.iter().map(|sent| (sent.tag, sent.message.is_some())).collect()
    }

    fn tags(tags: &[(u64, bool)]) -> Vec<(DeliveryTag, bool)> {
        tags.iter().map(|(tag, kept)| (DeliveryTag::from(*tag), *kept)).collect()
    }

    #[test]
    fn what_the_map_names_is_held_in_the_order_in_which_it_was_sent() {
        let mut unresolved = Unresolved::default();
        unresolved.suspend(&map(&[1, 2, 300, 9]), [again(300), again(2), again(4)].into_iter(), &told(&[]));
        assert_eq!(held(&unresolved), tags(&[(300, true), (2, true), (1, false), (9, false)]));
        assert_eq!(unresolved.in_doubt(), 4);
    }

    #[test]
    fn what_is_lost_again_stays_before_what_was_sent_since() {
        let mut unresolved = Unresolved::default();
        unresolved.suspend(&map(&[1, 2, 3]), [1, 2, 3].map(again).into_iter(), &told(&[]));
        unresolved.remove(1);
        unresolved.suspend(&map(&[3, 7]), [again(7)].into_iter(), &told(&[]));
        assert_eq!(held(&unresolved), tags(&[(3, true), (7, true)]));
    }

    #[test]
    fn what_was_told_is_not_in_doubt_and_stays_told() {
        let mut unresolved = Unresolved::default();
        unresolved.suspend(&map(&[1, 2, 3]), [again(1), again(3)].into_iter(), &told(&[2]));
        assert_eq!(unresolved.in_doubt(), 2);
        unresolved.tell(0);
        unresolved.tell(0);
        assert_eq!(unresolved.in_doubt(), 1);
        unresolved.suspend(&map(&[1, 2, 3]), [].into_iter(), &told(&[]));
        assert_eq!(unresolved.in_doubt(), 1);
        assert!(unresolved.remove(0).is_some_and(|sent| sent.is_told));
        assert_eq!(unresolved.give_up(), [DeliveryTag::from(3)]);
        assert!(unresolved.is_empty() && unresolved.in_doubt() == 0);
    }

    #[test]
    fn a_map_may_say_more_than_that_it_can_be_sent() {
        let mut unresolved = Unresolved::default();
        let unsettled = UnsettledMap::from_iter([(DeliveryTag::from(5), Some(DeliveryState::Accepted))]);
        unresolved.suspend(&unsettled, [].into_iter(), &told(&[5]));
        assert_eq!((unresolved.in_doubt(), unresolved.is_empty()), (0, false));
        assert!(unresolved.remove(1).is_none());
    }
}
