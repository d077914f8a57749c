//! Transactions as their controller sees them.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{Request, TxnId, error_of};
use crate::{
    Misuse,
    types::{DeliveryState, DeliveryTag, Discharge, Error, condition},
};

/// The transactions of one control link, from the declare to the answer to the discharge (§4.2, §4.3).
///
/// Each has a number of this side's own, never used again, since it has no txn-id before the resource gives it one. A
/// message to the coordinator is known by its delivery-tag.
#[derive(Debug, Default)]
pub struct Controller {
    next: u64,
    transactions: BTreeMap<u64, Stage>,
    /// Messages to the coordinator that it has not answered.
    asked: Vec<(DeliveryTag, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Declaring,
    Open(TxnId),
    Discharging { txn_id: TxnId, fail: bool },
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is open, under this id.
    Declared(TxnId),
    /// There is no transaction.
    DeclareFailed(Error),
    /// All of its work has taken effect.
    Committed(TxnId),
    /// None of its work has: this side asked for that, or else for the reason given.
    Aborted(TxnId, Option<Error>),
    /// It did not commit; where the connection was lost meanwhile, it may have.
    CommitFailed(TxnId, Error),
}

impl Controller {
    /// Notes that a declare was sent under this tag: the transaction's number.
    //= 4.2-02
    pub fn declaring(&mut self, tag: DeliveryTag) -> u64 {
        let number = self.number();
        self.transactions.insert(number, Stage::Declaring);
        self.asked.push((tag, number));
        number
    }

    /// The number of a transaction whose declare could not be sent, and what became of it.
    pub fn not_declared(&mut self, error: Error) -> (u64, Answer) {
        (self.number(), Answer::DeclareFailed(error))
    }

    const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// The id of a transaction for which work may be done.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is over, [`Misuse::TransactionNotOpen`] when it is not declared yet or being discharged.
    pub fn open(&self, number: u64) -> Result<TxnId, Misuse> {
        match self.transactions.get(&number) {
            Some(&Stage::Open(txn_id)) => Ok(txn_id),
            Some(_) => Err(Misuse::TransactionNotOpen),
            None => Err(Misuse::Gone),
        }
    }

    /// The message that commits an open transaction, or rolls it back where `fail` is set (§4.3).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn discharge(&self, number: u64, fail: bool) -> Result<Request, Misuse> {
        let state = Discharge::new(bytes::Bytes::copy_from_slice(self.open(number)?.as_bytes()));
        Ok(Request::Discharge(Discharge { fail: Some(fail), ..state }))
    }

    /// Notes that an open transaction's discharge was sent under this tag.
    pub fn discharging(&mut self, number: u64, fail: bool, tag: DeliveryTag) {
        if let Some(stage) = self.transactions.get_mut(&number)
            && let Stage::Open(txn_id) = *stage
        {
            *stage = Stage::Discharging { txn_id, fail };
            self.asked.push((tag, number));
        }
    }

    /// The ids of those that are open or being discharged.
    pub fn live(&self) -> impl Iterator<Item = TxnId> {
        self.transactions.values().filter_map(|stage| match *stage {
            Stage::Declaring => None,
            Stage::Open(txn_id) | Stage::Discharging { txn_id, .. } => Some(txn_id),
        })
    }

    /// The transaction that is not over to which a delivery in this state belongs, and the tag of its discharge if that was asked
    /// for.
    #[must_use]
    pub fn of(&self, state: &DeliveryState) -> Option<(TxnId, Option<DeliveryTag>)> {
        let tag_of = |asked: u64| self.asked.iter().find(|(_, number)| *number == asked).map(|(tag, _)| *tag);
        self.transactions.iter().find_map(|(number, stage)| match *stage {
            Stage::Open(txn_id) if txn_id.holds(state) => Some((txn_id, None)),
            Stage::Discharging { txn_id, .. } if txn_id.holds(state) => Some((txn_id, tag_of(*number))),
            _ => None,
        })
    }

    /// Takes the state that the coordinator told of a message: what became of which transaction, if that is decided.
    pub fn answered(
        &mut self,
        tag: DeliveryTag,
        state: Option<&DeliveryState>,
        settled: bool,
    ) -> Option<(u64, Answer)> {
        let at = self.asked.iter().position(|(asked, _)| *asked == tag)?;
        let is_decided = settled || state.is_some_and(DeliveryState::is_outcome);
        if !is_decided {
            return None;
        }
        let (_, number) = self.asked.swap_remove(at);
        let answer = match self.transactions.remove(&number)? {
            Stage::Declaring => match declared(state) {
                Ok(txn_id) => {
                    self.transactions.insert(number, Stage::Open(txn_id));
                    Answer::Declared(txn_id)
                }
                Err(error) => Answer::DeclareFailed(error),
            },
            Stage::Discharging { txn_id, fail: true } => Answer::Aborted(txn_id, None),
            Stage::Discharging { txn_id, fail: false } => match state {
                Some(DeliveryState::Accepted) => Answer::Committed(txn_id),
                state => Answer::CommitFailed(txn_id, why(state)),
            },
            // Nothing was asked of it, so nothing was answered.
            Stage::Open(txn_id) => Answer::Aborted(txn_id, None),
        };
        Some((number, answer))
    }

    /// The control link is gone, and with it all transactions (§4.1): what became of each.
    pub fn lost(&mut self, error: &Error) -> Vec<(u64, Answer)> {
        self.asked.clear();
        let transactions = core::mem::take(&mut self.transactions);
        let lost = transactions.into_iter().map(|(number, stage)| {
            let answer = match stage {
                Stage::Declaring => Answer::DeclareFailed(error.clone()),
                Stage::Open(txn_id) => Answer::Aborted(txn_id, Some(error.clone())),
                Stage::Discharging { txn_id, fail: true } => Answer::Aborted(txn_id, None),
                Stage::Discharging { txn_id, fail: false } => Answer::CommitFailed(txn_id, error.clone()),
            };
            (number, answer)
        });
        lost.collect()
    }
}

/// The id that a declare was answered with.
fn declared(state: Option<&DeliveryState>) -> Result<TxnId, Error> {
    match state {
        Some(DeliveryState::Declared(declared)) => TxnId::new(&declared.txn_id).ok_or_else(|| {
            error_of(condition::INVALID_FIELD, "the coordinator gave a txn-id of more than 32 bytes")
        }),
        state => Err(why(state)),
    }
}

/// Why something was not done, from the answer to it.
fn why(state: Option<&DeliveryState>) -> Error {
    match state {
        Some(DeliveryState::Rejected(Some(error))) => (**error).clone(),
        Some(DeliveryState::Rejected(None)) => {
            error_of(condition::TRANSACTION_ROLLBACK, "the coordinator rejected it without a reason")
        }
        Some(state) => error_of(condition::ILLEGAL_STATE, format!("the coordinator answered with {state:?}")),
        None => error_of(condition::ILLEGAL_STATE, "the coordinator settled it without an outcome"),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, vec};

    use super::*;
    use crate::types::{Declared, Received};

    fn tag(number: u64) -> DeliveryTag {
        number.into()
    }

    fn declared(id: &'static [u8]) -> DeliveryState {
        DeliveryState::Declared(Box::new(Declared::new(id.into())))
    }

    fn id(id: &[u8]) -> TxnId {
        TxnId::new(id).unwrap()
    }

    fn rejected() -> DeliveryState {
        DeliveryState::Rejected(Some(Box::new(error())))
    }

    fn error() -> Error {
        Error::new(condition::RESOURCE_LIMIT_EXCEEDED)
    }

    /// A controller with an open transaction of this id: its number.
    fn open(controller: &mut Controller, txn_id: &'static [u8]) -> u64 {
        let number = controller.declaring(tag(100));
        let answer = controller.answered(tag(100), Some(&declared(txn_id)), true);
        assert_eq!(answer, Some((number, Answer::Declared(id(txn_id)))));
        number
    }

    //= 4.2-02
    #[test]
    fn t_01_a_transaction_is_open_between_declared_and_discharge() {
        let mut controller = Controller::default();
        let number = controller.declaring(tag(0));
        assert_eq!(controller.open(number), Err(Misuse::TransactionNotOpen));
        assert_eq!(controller.discharge(number, false), Err(Misuse::TransactionNotOpen));
        assert_eq!(controller.answered(tag(7), Some(&declared(b"t")), true), None, "another message's");
        let received = DeliveryState::Received(Received::new(0, 0));
        assert_eq!(controller.answered(tag(0), Some(&received), false), None, "not decided");
        let answer = controller.answered(tag(0), Some(&declared(b"t")), false);
        assert_eq!(answer, Some((number, Answer::Declared(id(b"t")))));
        assert_eq!(controller.answered(tag(0), None, true), None, "told once");
        assert_eq!(controller.open(number), Ok(id(b"t")));
        assert!(controller.live().eq([id(b"t")]));
        let discharge = Discharge { fail: Some(false), ..Discharge::new("t".into()) };
        assert_eq!(controller.discharge(number, false), Ok(Request::Discharge(discharge)));
        controller.discharging(number, false, tag(1));
        assert_eq!(controller.open(number), Err(Misuse::TransactionNotOpen));
        assert!(controller.live().eq([id(b"t")]));
        let answer = controller.answered(tag(1), Some(&DeliveryState::Accepted), true);
        assert_eq!(answer, Some((number, Answer::Committed(id(b"t")))));
        assert_eq!(controller.open(number), Err(Misuse::Gone));
        assert!(controller.live().next().is_none());
        assert_ne!(controller.not_declared(error()).0, number);
    }

    #[test]
    fn t_01_several_are_open_at_once_and_answered_in_any_order() {
        let mut controller = Controller::default();
        let numbers = [0, 1, 2].map(|n| controller.declaring(tag(n)));
        for n in [2, 0, 1] {
            let name: &[u8] = [b"a", b"b", b"c"][n];
            let state = DeliveryState::Declared(Box::new(Declared::new(name.to_vec().into())));
            let answer = controller.answered(tag(n as u64), Some(&state), true);
            assert_eq!(answer, Some((numbers[n], Answer::Declared(id(name)))));
        }
        controller.discharging(numbers[0], false, tag(3));
        controller.discharging(numbers[1], true, tag(4));
        let accepted = Some(&DeliveryState::Accepted);
        assert_eq!(
            controller.answered(tag(4), accepted, true),
            Some((numbers[1], Answer::Aborted(id(b"b"), None)))
        );
        assert_eq!(
            controller.answered(tag(3), accepted, true),
            Some((numbers[0], Answer::Committed(id(b"a"))))
        );
        assert_eq!(controller.open(numbers[2]), Ok(id(b"c")));
    }

    #[test]
    fn h_08_what_is_not_declared_and_not_committed_has_its_reason() {
        let long = DeliveryState::Declared(Box::new(Declared::new(vec![7; 33].into())));
        for (state, condition) in [
            (Some(rejected()), condition::RESOURCE_LIMIT_EXCEEDED),
            (Some(DeliveryState::Rejected(None)), condition::TRANSACTION_ROLLBACK),
            (Some(DeliveryState::Accepted), condition::ILLEGAL_STATE),
            (Some(DeliveryState::Released), condition::ILLEGAL_STATE),
            (None, condition::ILLEGAL_STATE),
            (Some(long), condition::INVALID_FIELD),
        ] {
            let mut controller = Controller::default();
            let number = controller.declaring(tag(0));
            let answer = controller.answered(tag(0), state.as_ref(), true);
            let Some((told, Answer::DeclareFailed(error))) = answer else { panic!("{answer:?}") };
            assert_eq!((told, error.condition), (number, condition));
            assert_eq!(controller.open(number), Err(Misuse::Gone));
        }
        for state in [Some(rejected()), Some(declared(b"t")), None] {
            let mut controller = Controller::default();
            let number = open(&mut controller, b"t");
            controller.discharging(number, false, tag(1));
            let answer = controller.answered(tag(1), state.as_ref(), true);
            assert!(matches!(answer, Some((_, Answer::CommitFailed(..)))), "{answer:?}");
        }
        let mut controller = Controller::default();
        let number = open(&mut controller, b"t");
        controller.discharging(number, true, tag(1));
        let answer = controller.answered(tag(1), Some(&rejected()), true);
        assert_eq!(answer, Some((number, Answer::Aborted(id(b"t"), None))), "there is nothing left of it");
    }

    #[test]
    fn with_the_control_link_all_transactions_are_gone() {
        let mut controller = Controller::default();
        let numbers = [(); 4].map(|()| open(&mut controller, b"t"));
        controller.discharging(numbers[1], true, tag(1));
        controller.discharging(numbers[2], false, tag(2));
        let declaring = controller.declaring(tag(3));
        let t = id(b"t");
        assert_eq!(
            controller.lost(&error()),
            [
                (numbers[0], Answer::Aborted(t, Some(error()))),
                (numbers[1], Answer::Aborted(t, None)),
                (numbers[2], Answer::CommitFailed(t, error())),
                (numbers[3], Answer::Aborted(t, Some(error()))),
                (declaring, Answer::DeclareFailed(error())),
            ]
        );
        assert_eq!(controller.lost(&error()), []);
        assert_eq!(controller.answered(tag(2), Some(&DeliveryState::Accepted), true), None);
    }
}
