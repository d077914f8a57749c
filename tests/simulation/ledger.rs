//! What became of every message.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use amqp1_engine::types::DeliveryTag;

use super::Account;

/// What the sender and the receiver ask of their links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtMostOnce,
    /// The container sends again what is in doubt.
    AtLeastOnce,
    /// The program does so: each message in doubt is reported to it.
    Reported,
    /// Without the broker, which recovers no links.
    ExactlyOnce,
}

impl Guarantee {
    pub(crate) const ALL: [Self; 4] =
        [Self::AtMostOnce, Self::AtLeastOnce, Self::Reported, Self::ExactlyOnce];
}

/// The books of one world.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) guarantee: Guarantee,
    /// What was handed over to be sent: the message's number, by tag.
    pub(crate) sent: BTreeMap<Vec<u8>, usize>,
    /// What was handed over and whose outcome is not told.
    pub(crate) open: BTreeMap<Vec<u8>, usize>,
    /// How often each message was confirmed, reported as in doubt, received.
    pub(crate) confirmed: Vec<u32>,
    in_doubt: Vec<u32>,
    pub(crate) received: Vec<u32>,
    /// Messages of which it was told that they are in doubt, by number only.
    counted_in_doubt: usize,
    pub(crate) has_sent_all: bool,
}

impl Ledger {
    pub(crate) fn new(guarantee: Guarantee, total: usize) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            guarantee,
            sent: BTreeMap::new(),
            open: BTreeMap::new(),
            confirmed: vec![0; total],
            in_doubt: vec![0; total],
            received: vec![0; total],
            counted_in_doubt: 0,
            has_sent_all: false,
        }))
    }

    pub(crate) fn total(&self) -> usize {
        self.received.len()
    }

    pub(crate) fn handed_over(&mut self, tag: DeliveryTag, number: usize) {
        let tag = tag.as_bytes().to_vec();
        assert_eq!(self.sent.insert(tag.clone(), number), None, "a tag comes twice");
        if self.guarantee != Guarantee::AtMostOnce {
            self.open.insert(tag, number);
        }
    }

    pub(crate) fn accepted(&mut self, tag: DeliveryTag) {
        let number =
            self.open.remove(tag.as_bytes()).expect("an outcome comes once, and not for what is in doubt");
        self.confirmed[number] += 1;
    }

    /// The connection is lost: of what is open so much waits to be sent, and so much is in doubt.
    pub(crate) fn lost(&mut self, queued: usize, unsettled: usize) {
        self.counted_in_doubt += unsettled;
        let expected = match self.guarantee {
            Guarantee::AtMostOnce => return assert_eq!(unsettled, 0),
            Guarantee::AtLeastOnce | Guarantee::ExactlyOnce => queued,
            Guarantee::Reported => queued + unsettled,
        };
        assert_eq!(self.open.len(), expected, "queued {queued}, in doubt {unsettled}");
        assert!(unsettled <= self.open.len());
    }

    /// One of them is reported: its number.
    pub(crate) fn reported(&mut self, tag: DeliveryTag) -> usize {
        let number = self
            .open
            .remove(tag.as_bytes())
            .expect("it is reported once, and only while its outcome is open");
        self.in_doubt[number] += 1;
        number
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.iter().all(|&times| times > 0)
    }

    pub(crate) fn check(&self, has_ended: bool, cuts: u32) -> Account {
        let Self { guarantee, received, confirmed, .. } = self;
        assert!(has_ended, "stuck: {self:?}");
        assert!(self.open.is_empty(), "an outcome is missing: {self:?}");
        let doubled = received.iter().filter(|&&times| times > 1).count();
        let lost = received.iter().filter(|&&times| times == 0).count();
        match guarantee {
            Guarantee::AtMostOnce => {
                assert_eq!(doubled, 0, "doubled: {self:?}");
            }
            Guarantee::AtLeastOnce => {
                assert_eq!(lost, 0, "lost: {self:?}");
                assert!(confirmed.iter().all(|&times| times == 1), "each is confirmed once: {self:?}");
            }
            Guarantee::Reported => {
                assert_eq!(lost, 0, "lost: {self:?}");
                let reported: u32 = self.in_doubt.iter().sum();
                assert_eq!(reported as usize, self.counted_in_doubt, "{self:?}");
                assert!(confirmed.iter().all(|&times| times == 1), "each is confirmed once: {self:?}");
            }
            Guarantee::ExactlyOnce => {
                assert_eq!((lost, doubled), (0, 0), "lost or doubled: {self:?}");
                assert!(self.in_doubt.iter().all(|&times| times == 0), "nobody doubts: {self:?}");
                assert!(confirmed.iter().all(|&times| times == 1), "each is confirmed once: {self:?}");
            }
        }
        if cuts == 0 {
            assert_eq!((lost, doubled, self.counted_in_doubt), (0, 0, 0), "nothing was cut: {self:?}");
        }
        let resumed = if *guarantee == Guarantee::ExactlyOnce { self.counted_in_doubt } else { 0 };
        let in_doubt = self.counted_in_doubt - resumed;
        Account { messages: self.total(), in_doubt, resumed, doubled, lost, cut: 0 }
    }
}
