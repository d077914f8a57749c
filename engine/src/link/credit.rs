//! Link credit of both ends (§2.6.7). Counted per delivery, not per frame.

use crate::Serial;

/// The sending end: how many deliveries the receiver still takes (§2.6.7).
#[derive(Debug)]
pub(crate) struct SenderCredit {
    delivery_count: Serial,
    initial_delivery_count: Serial,
    link_credit: u32,
    drain: bool,
}

impl SenderCredit {
    pub(crate) const fn new(initial_delivery_count: Serial) -> Self {
        Self { delivery_count: initial_delivery_count, initial_delivery_count, link_credit: 0, drain: false }
    }

    pub(crate) const fn link_credit(&self) -> u32 {
        self.link_credit
    }

    pub(crate) const fn delivery_count(&self) -> Serial {
        self.delivery_count
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.drain
    }

    /// Takes the receiver's view: `link-credit_snd := delivery-count_rcv + link-credit_rcv -
    /// delivery-count_snd`, where what would fall below zero is zero.
    pub(crate) fn flow(&mut self, delivery_count: Option<Serial>, link_credit: u32, drain: bool) {
        //= 2.6.7-04 2.6.7-05 2.6.7-06
        let seen = delivery_count.unwrap_or(self.initial_delivery_count);
        // A receiver that claims to have seen more than was sent gains nothing by it.
        let in_flight = self.delivery_count.distance_from(seen).max(0) as u32;
        self.link_credit = link_credit.saturating_sub(in_flight);
        self.drain = drain;
    }

    /// Counts a delivery; the caller has asked for credit first.
    //= 2.6.7-07
    #[inline]
    pub(crate) fn sent(&mut self) {
        self.delivery_count = self.delivery_count.next();
        self.link_credit = self.link_credit.saturating_sub(1);
    }

    /// Takes the last [`sent`](Self::sent) back.
    pub(crate) fn unsent(&mut self) {
        self.delivery_count = self.delivery_count.plus(u32::MAX);
        self.link_credit = self.link_credit.saturating_add(1);
    }

    /// Gives the rest of the credit back, as a drain asks: whether there was any.
    //= 2.6.7-15
    pub(crate) fn drained(&mut self) -> bool {
        let rest = core::mem::take(&mut self.link_credit);
        self.delivery_count = self.delivery_count.plus(rest);
        rest > 0
    }
}

/// The receiving end: how many deliveries we have asked for (§2.6.7).
#[derive(Debug, Default)]
pub(crate) struct ReceiverCredit {
    /// The sender's value as last known; unknown before its attach.
    delivery_count: Option<Serial>,
    link_credit: u32,
    /// Deliveries that may be on their way on credit which was lowered since.
    withdrawn: u32,
    drain: bool,
}

/// The sender sent more than was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CreditViolation;

impl ReceiverCredit {
    pub(crate) const fn link_credit(&self) -> u32 {
        self.link_credit
    }

    pub(crate) const fn delivery_count(&self) -> Option<Serial> {
        self.delivery_count
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.drain
    }

    /// Takes the initial delivery count of the sender's attach.
    pub(crate) fn attached(&mut self, initial_delivery_count: Serial) {
        self.delivery_count = Some(initial_delivery_count);
    }

    /// Sets the credit anew. What is lowered may still be used by deliveries on their way.
    pub(crate) fn set(&mut self, link_credit: u32) {
        self.withdrawn = self.withdrawn.saturating_add(self.link_credit.saturating_sub(link_credit));
        self.link_credit = link_credit;
    }

    pub(crate) fn set_drain(&mut self, drain: bool) {
        self.drain = drain;
    }

    /// Counts the first frame of a delivery.
    #[inline]
    pub(crate) fn received(&mut self) -> Result<(), CreditViolation> {
        if self.link_credit > 0 {
            self.received_many(1);
        } else if self.withdrawn > 0 {
            self.withdrawn -= 1;
            self.delivery_count = self.delivery_count.map(Serial::next);
        } else {
            return Err(CreditViolation);
        }
        Ok(())
    }

    /// Counts deliveries; the caller has asked for [credit](Self::link_credit).
    #[inline]
    pub(crate) fn received_many(&mut self, count: u32) {
        self.link_credit = self.link_credit.saturating_sub(count);
        self.delivery_count = self.delivery_count.map(|id| id.plus(count));
    }

    /// Takes the sender's view of its delivery count: a drain advances it past what was not used.
    pub(crate) fn flow(&mut self, delivery_count: Option<Serial>) {
        let (Some(ours), Some(theirs)) = (self.delivery_count, delivery_count) else {
            return;
        };
        let advanced = theirs.distance_from(ours).max(0) as u32;
        self.delivery_count = Some(theirs);
        self.link_credit = self.link_credit.saturating_sub(advanced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w2_the_senders_credit_counts_what_is_in_flight_across_the_wrap() {
        let mut credit = SenderCredit::new(Serial::new(0xffff_fffe));
        credit.flow(None, 10, false);
        assert_eq!(credit.link_credit(), 10);
        for _ in 0..4 {
            credit.sent();
        }
        credit.flow(Some(Serial::new(0)), 10, false);
        assert_eq!(credit.link_credit(), 8, "two were on their way");
        credit.flow(Some(Serial::new(100)), 5, false);
        assert_eq!(credit.link_credit(), 5, "a count ahead of ours grants nothing");
        credit.flow(Some(Serial::new(2)), u32::MAX, false);
        assert_eq!(credit.link_credit(), u32::MAX);
    }

    #[test]
    fn w3_credit_lowered_below_what_was_sent_is_zero() {
        let mut credit = SenderCredit::new(Serial::new(0));
        credit.flow(Some(Serial::new(0)), 10, false);
        for _ in 0..5 {
            credit.sent();
        }
        credit.flow(Some(Serial::new(1)), 2, false);
        assert_eq!(credit.link_credit(), 0);
    }

    #[test]
    fn w4_draining_advances_the_delivery_count_by_the_rest() {
        let mut credit = SenderCredit::new(Serial::new(0));
        credit.flow(Some(Serial::new(0)), 10, true);
        credit.sent();
        assert!(credit.is_draining());
        assert!(credit.drained());
        assert_eq!((credit.delivery_count(), credit.link_credit()), (Serial::new(10), 0));
        assert!(!credit.drained());

        let mut receiver = ReceiverCredit::default();
        receiver.attached(Serial::new(0));
        receiver.set(10);
        receiver.received().unwrap();
        receiver.flow(Some(Serial::new(10)));
        assert_eq!(receiver.link_credit(), 0);
    }

    #[test]
    fn d10_a_delivery_without_credit_is_a_violation_and_one_on_its_way_is_taken() {
        let mut credit = ReceiverCredit::default();
        credit.attached(Serial::new(0));
        assert_eq!(credit.received(), Err(CreditViolation));
        credit.set(2);
        credit.set(0);
        assert_eq!(credit.received(), Ok(()));
        assert_eq!(credit.received(), Ok(()));
        assert_eq!(credit.received(), Err(CreditViolation));
        assert_eq!(credit.delivery_count(), Some(Serial::new(2)));
    }
}
