//! Resuming deliveries (§2.6.13, §3.4.6): one table.

use crate::types::{DeliveryState, Received};

/// What the sender does with a delivery that was not settled when the link was lost, now that both sides have said how
/// far they had come with it (§3.4.6).
///
/// | ours \ the receiver's | no record | null, or nothing arrived | received up to `p` | outcome |
/// | --- | --- | --- | --- | --- |
/// | null: can be sent from its start | `Resend` (1) | `Resume` (4) | `Resume` at `p` (2) | `Settle` (3) |
/// | received: can be sent from `q` on | `Resend` (5) | `Abort` (9) | `Resume` at `p` (6), `Abort` where `p` lies before `q` (7) | `Settle` (8) |
/// | outcome | `Forget` (10) | `Abort` (14) | `Abort` (11) | `Settle` where it is the same (12), else `Restate` (13) |
///
/// In brackets the delivery-tags of the example in §3.4.6. Where the receiver's map was cut short and does not name the
/// delivery, it is `Wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumption {
    /// The receiver has no record of it: it is sent again, whole, as a new delivery.
    Resend,
    /// The receiver remembers it and needs the message from this point on.
    Resume(Received),
    /// The receiver has reached this outcome, which holds here, too: the delivery is settled with it.
    Settle(DeliveryState),
    /// This outcome holds here, and the receiver believes in another: it is told, and settles.
    Restate(DeliveryState),
    /// The receiver needs what cannot be sent any more: the delivery is given up.
    Abort,
    /// This outcome holds here and the receiver has settled: nothing is left to be said.
    Forget(DeliveryState),
    /// The receiver may have a record of it and had no room to say so: it stays until the link is attached again.
    Wait,
}

/// What the receiver's unsettled map says of a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Remote<'a> {
    /// The map is incomplete and does not name it.
    Unsaid,
    /// The map is complete and does not name it.
    Absent,
    /// Its state there.
    State(Option<&'a DeliveryState>),
}

/// Compares what either side says of a delivery: `local` is the sender's state.
//= 2.6.13-02 2.6.13-05 2.7.3-07 2.7.3-08
pub(crate) fn reconcile(local: Option<&DeliveryState>, remote: Remote<'_>) -> Resumption {
    use Resumption::{Abort, Forget, Resend, Restate, Resume, Settle, Wait};
    let (ours, theirs) = match remote {
        //= 2.6.13-06 2.7.3-13
        Remote::Unsaid => return Wait,
        Remote::Absent => {
            //= 2.6.12-20 3.4.6-02 3.4.6-13
            return Reached::of(local).outcome().map_or(Resend, |outcome| Forget(outcome.clone()));
        }
        Remote::State(theirs) => (Reached::of(local), Reached::of(theirs)),
    };
    match (ours, theirs) {
        //= 3.4.6-04 3.4.6-09 3.4.6-15
        (Reached::Point(ours), Reached::Point(theirs)) if ours <= theirs => {
            Resume(Received::new(theirs.0, theirs.1))
        }
        //= 3.4.6-16
        (Reached::Point(_), Reached::Point(_)) => Abort,
        //= 3.4.6-05
        (Reached::Point(_), Reached::Outcome(theirs)) => Settle(theirs.clone()),
        //= 3.4.6-20
        (Reached::Outcome(_), Reached::Point(_)) => Abort,
        //= 3.4.6-21
        (Reached::Outcome(ours), Reached::Outcome(theirs)) if ours == theirs => Settle(ours.clone()),
        //= 3.4.6-17 3.4.6-22
        (Reached::Outcome(ours), Reached::Outcome(_)) => Restate(ours.clone()),
    }
}

/// How far a delivery has come at one end.
enum Reached<'a> {
    /// Section and offset: of the receiver all before it has arrived, of the sender all from it on can be sent.
    ///
    /// The end of one section and the start of the next are the same point and do not compare as such (§3.4.1): at worst
    /// a delivery is given up that could have gone on.
    Point((u32, u64)),
    Outcome(&'a DeliveryState),
}

impl<'a> Reached<'a> {
    //= 3.4.1-01 3.4.1-03 3.4.1-05
    fn of(state: Option<&'a DeliveryState>) -> Self {
        match state {
            Some(DeliveryState::Received(point)) => Self::Point((point.section_number, point.section_offset)),
            Some(outcome) if outcome.is_outcome() => Self::Outcome(outcome),
            // The transaction of a state that depends on one has gone with the link to its coordinator.
            _ => Self::Point((0, 0)),
        }
    }

    const fn outcome(&self) -> Option<&'a DeliveryState> {
        match self {
            Self::Outcome(outcome) => Some(outcome),
            Self::Point(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;
    use crate::types::TransactionalState;
    use DeliveryState::{Accepted, Released};
    use Resumption::{Abort, Forget, Resend, Restate, Resume, Settle, Wait};

    const fn at(section: u32, offset: u64) -> Received {
        Received { section_number: section, section_offset: offset }
    }

    const fn received(section: u32, offset: u64) -> Option<DeliveryState> {
        Some(DeliveryState::Received(at(section, offset)))
    }

    fn known(local: Option<DeliveryState>, remote: Option<DeliveryState>) -> Resumption {
        reconcile(local.as_ref(), Remote::State(remote.as_ref()))
    }

    fn absent(local: Option<DeliveryState>) -> Resumption {
        reconcile(local.as_ref(), Remote::Absent)
    }

    //= 2.6.12-20 2.6.13-02 2.6.13-05 2.7.3-07 3.4.6-02 3.4.6-04 3.4.6-05 3.4.6-09 3.4.6-13 3.4.6-15 3.4.6-16 3.4.6-20
    //= 3.4.6-21 3.4.6-22
    #[test]
    fn r4_the_fourteen_delivery_tags_of_3_4_6() {
        let rows = [
            (1, absent(None), Resend),
            (2, known(None, received(3, 0)), Resume(at(3, 0))),
            (3, known(None, Some(Accepted)), Settle(Accepted)),
            (4, known(None, None), Resume(at(0, 0))),
            (5, absent(received(0, 200)), Resend),
            (6, known(received(1, 150), received(2, 0)), Resume(at(2, 0))),
            (7, known(received(0, 500), received(0, 100)), Abort),
            (8, known(received(3, 5), Some(Accepted)), Settle(Accepted)),
            (9, known(received(2, 0), None), Abort),
            (10, absent(Some(Accepted)), Forget(Accepted)),
            (11, known(Some(Accepted), received(1, 2000)), Abort),
            (12, known(Some(Accepted), Some(Accepted)), Settle(Accepted)),
            (13, known(Some(Accepted), Some(Released)), Restate(Accepted)),
            (14, known(Some(Accepted), None), Abort),
        ];
        for (tag, found, expected) in rows {
            assert_eq!(found, expected, "delivery-tag {tag}");
        }
    }

    //= 3.4.1-01 3.4.1-03 3.4.1-05
    #[test]
    fn r4_a_delivery_goes_on_where_both_ends_can() {
        for (ours, theirs, resumed) in [
            ((0, 0), (0, 0), true),
            ((1, 150), (1, 150), true),
            ((1, 150), (1, 149), false),
            ((1, 150), (0, u64::MAX), false),
            ((1, 150), (2, 0), true),
        ] {
            let found = known(received(ours.0, ours.1), received(theirs.0, theirs.1));
            let expected = if resumed { Resume(at(theirs.0, theirs.1)) } else { Abort };
            assert_eq!(found, expected, "{ours:?} {theirs:?}");
        }
        // That nothing has arrived can be said in two ways.
        assert_eq!(known(received(0, 0), None), Resume(at(0, 0)));
        assert_eq!(known(None, received(0, 0)), Resume(at(0, 0)));
        assert_eq!(absent(received(0, 0)), Resend);
    }

    //= 2.6.13-06 2.7.3-13
    #[test]
    fn r1_what_an_incomplete_map_does_not_name_is_not_settled_by_that() {
        for local in [None, received(0, 200), Some(Accepted)] {
            assert_eq!(reconcile(local.as_ref(), Remote::Unsaid), Wait, "{local:?}");
        }
    }

    #[test]
    fn a_state_that_depended_on_a_transaction_says_nothing() {
        let provisional = || {
            let outcome = Some(Box::new(Accepted));
            let state =
                TransactionalState { outcome: outcome.map(|o| *o), ..TransactionalState::new("txn".into()) };
            Some(DeliveryState::Transactional(Box::new(state)))
        };
        assert_eq!(known(None, provisional()), Resume(at(0, 0)));
        assert_eq!(known(provisional(), Some(Accepted)), Settle(Accepted));
        assert_eq!(absent(provisional()), Resend);
    }
}
