//! Transactions as their resource sees them.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{TxnId, error_of};
use crate::types::{Declare, Discharge, Error, condition};

/// The open transactions of one session and the work enlisted in each (§4.1).
///
/// `L` names links: control links, and those over which messages are posted. `W` is a piece of work, to be carried out
/// when its transaction commits and undone when it is rolled back; the resource gives it back for either.
#[derive(Debug)]
pub struct Resource<L, W> {
    bounds: Bounds,
    made: u64,
    open: BTreeMap<u64, Open<L, W>>,
    /// Links in the middle of a message posted, and the transaction.
    partial: BTreeMap<L, u64>,
}

#[derive(Debug)]
struct Open<L, W> {
    control: L,
    work: Vec<W>,
    /// Why it cannot commit.
    failed: Option<Error>,
}

/// How much a [`Resource`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Open transactions.
    pub transactions: usize,
    /// Pieces of work in each of them.
    pub work: usize,
}

/// What is to be done for a discharge that is accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Discharged<W> {
    /// Carry out this work.
    Committed(Vec<W>),
    /// Undo this work.
    RolledBack(Vec<W>),
}

/// What is to be done for a discharge that fails.
#[derive(Debug, PartialEq)]
pub enum Refusal<W> {
    /// Reject it with this error; undo this work.
    Reject(Error, Vec<W>),
    /// Close the control link with this error; undo this work, and what [`Resource::close`] gives.
    Detach(Error, Vec<W>),
}

impl<L: Copy + Ord, W> Resource<L, W> {
    /// A resource without transactions. Their ids are numbers that count up from `first`: where a session has one resource after
    /// the other, let them be apart, as deliveries may name transactions that are over.
    #[must_use]
    pub const fn new(bounds: Bounds, first: u64) -> Self {
        Self { bounds, made: first, open: BTreeMap::new(), partial: BTreeMap::new() }
    }

    /// Begins a transaction for a control link (§4.2).
    ///
    /// # Errors
    ///
    /// What to reject the declare with: there are too many, or it is to be part of a global one.
    pub fn declare(&mut self, control: L, declare: &Declare) -> Result<TxnId, Error> {
        //= 4.5.2-01 4.5.7-02
        if declare.global_id.is_some() {
            return Err(error_of(condition::NOT_IMPLEMENTED, "there are no distributed transactions here"));
        }
        if self.open.len() >= self.bounds.transactions {
            let text = format!("{} transactions are open already: discharge one", self.open.len());
            return Err(error_of(condition::RESOURCE_LIMIT_EXCEEDED, text));
        }
        let number = self.made;
        self.made = self.made.wrapping_add(1);
        self.open.insert(number, Open { control, work: Vec::new(), failed: None });
        Ok(TxnId::new(&number.to_be_bytes()).expect("a number has eight bytes"))
    }

    /// The work of a transaction, in the order in which it was enlisted.
    ///
    /// # Errors
    ///
    /// That there is no such transaction (§4.5.8).
    pub fn work(&mut self, txn_id: &[u8]) -> Result<&mut Vec<W>, Error> {
        Ok(&mut self.transaction(txn_id)?.1.work)
    }

    /// Adds a piece of work to a transaction: its place among the [work](Self::work).
    ///
    /// # Errors
    ///
    /// That there is no such transaction, or that there is too much work; the piece comes back.
    pub fn enlist(&mut self, txn_id: &[u8], work: W) -> Result<usize, (Error, W)> {
        let limit = self.bounds.work;
        match self.transaction(txn_id) {
            Ok((_, open)) if open.work.len() < limit => {
                open.work.push(work);
                Ok(open.work.len() - 1)
            }
            Ok(_) => {
                let text = format!("a transaction holds no more than {limit} messages: discharge it");
                Err((error_of(condition::RESOURCE_LIMIT_EXCEEDED, text), work))
            }
            Err(error) => Err((error, work)),
        }
    }

    /// Lets a transaction never commit: a part of its work cannot be done and its controller cannot be told (§4.4.4.1).
    //= 4.4.4.1-01 4.4.4.1-02
    pub fn fail(&mut self, txn_id: &[u8], error: Error) {
        if let Ok((_, open)) = self.transaction(txn_id) {
            open.failed.get_or_insert(error);
        }
    }

    /// A message posted in a transaction has begun to arrive over a link.
    ///
    /// # Errors
    ///
    /// That there is no such transaction.
    pub fn begins(&mut self, txn_id: &[u8], link: L) -> Result<(), Error> {
        let (number, _) = self.transaction(txn_id)?;
        self.partial.insert(link, number);
        Ok(())
    }

    /// A message has arrived in whole over a link, or its rest will not come.
    pub fn ends(&mut self, link: L) {
        self.partial.remove(&link);
    }

    /// Ends a transaction as its controller asks (§4.3). Rolling back succeeds whatever happened.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: there is no such transaction of this control link, or it cannot commit and is rolled back.
    //= 4.3-05
    pub fn discharge(&mut self, control: L, discharge: &Discharge) -> Result<Discharged<W>, Refusal<W>> {
        let number = match self.transaction(&discharge.txn_id) {
            Ok((number, open)) if open.control == control => number,
            Ok(_) => return Err(Refusal::Reject(unknown(), Vec::new())),
            Err(error) => return Err(Refusal::Reject(error, Vec::new())),
        };
        let Some(open) = self.open.remove(&number) else {
            return Err(Refusal::Reject(unknown(), Vec::new()));
        };
        //= 4.4.1-03 4.4.1-04
        if self.partial.values().any(|&at| at == number) {
            let text = "a message posted in the transaction has arrived in part only";
            return Err(Refusal::Detach(error_of(condition::TRANSACTION_ROLLBACK, text), open.work));
        }
        if discharge.fail.unwrap_or(false) {
            return Ok(Discharged::RolledBack(open.work));
        }
        match open.failed {
            Some(error) => Err(Refusal::Reject(error, open.work)),
            None => Ok(Discharged::Committed(open.work)),
        }
    }

    /// A link is gone: gives the work of all transactions that it controlled, to be undone (§4.1).
    pub fn close(&mut self, link: L) -> Vec<W> {
        self.ends(link);
        let (closed, open) = core::mem::take(&mut self.open)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(_, open)| open.control == link);
        self.open = open;
        closed.into_values().flat_map(|open| open.work).collect()
    }

    /// The session is over: gives the work of all transactions, to be undone.
    #[must_use]
    pub fn into_work(self) -> Vec<W> {
        self.open.into_values().flat_map(|open| open.work).collect()
    }

    /// The control link of a transaction.
    ///
    /// # Errors
    ///
    /// That there is no such transaction.
    pub fn control_of(&mut self, txn_id: &[u8]) -> Result<L, Error> {
        Ok(self.transaction(txn_id)?.1.control)
    }

    //= 4.5.8-01
    fn transaction(&mut self, txn_id: &[u8]) -> Result<(u64, &mut Open<L, W>), Error> {
        let number = <[u8; 8]>::try_from(txn_id).ok().map(u64::from_be_bytes);
        let open = number.and_then(|number| Some((number, self.open.get_mut(&number)?)));
        open.ok_or_else(unknown)
    }
}

fn unknown() -> Error {
    error_of(condition::TRANSACTION_UNKNOWN_ID, "there is no transaction of this id in this session")
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;
    use crate::codec::{Symbol, Value};

    fn resource() -> Resource<char, u32> {
        Resource::new(Bounds { transactions: 3, work: 2 }, 7)
    }

    fn declare(resource: &mut Resource<char, u32>, control: char) -> TxnId {
        resource.declare(control, &Declare::default()).unwrap()
    }

    fn discharge(txn_id: &[u8], fail: Option<bool>) -> Discharge {
        Discharge { fail, ..Discharge::new(txn_id.to_vec().into()) }
    }

    fn commit(txn_id: TxnId) -> Discharge {
        discharge(txn_id.as_bytes(), None)
    }

    fn rejected(result: Result<Discharged<u32>, Refusal<u32>>) -> (Symbol, Vec<u32>) {
        match result {
            Err(Refusal::Reject(error, work)) => (error.condition, work),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn t_04_a_discharge_gives_the_work_back_in_its_order() {
        let mut resource = resource();
        let [a, b] = [(); 2].map(|()| declare(&mut resource, 'c'));
        for (txn_id, work) in [(a, 1), (b, 2), (a, 3)] {
            resource.enlist(txn_id.as_bytes(), work).unwrap();
        }
        assert_eq!(resource.work(a.as_bytes()).unwrap(), &vec![1, 3]);
        assert_eq!(resource.discharge('c', &commit(a)), Ok(Discharged::Committed(vec![1, 3])));
        let roll_back = discharge(b.as_bytes(), Some(true));
        assert_eq!(resource.discharge('c', &roll_back), Ok(Discharged::RolledBack(vec![2])));
        assert_eq!(rejected(resource.discharge('c', &commit(a))).0, condition::TRANSACTION_UNKNOWN_ID);
    }

    //= 4.5.2-01 4.5.7-02
    #[test]
    fn a_global_transaction_is_refused() {
        let declare = Declare { global_id: Some(Value::from("global")) };
        let error = resource().declare('c', &declare).unwrap_err();
        assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
    }

    //= 4.5.8-01
    #[test]
    fn m7_an_id_that_is_not_of_an_open_transaction_is_unknown() {
        let mut resource = resource();
        let known = declare(&mut resource, 'c');
        for id in [&[0; 33][..], &[0; 7], &[], &[9; 8], &[0; 9]] {
            let (error, work) = resource.enlist(id, 7).unwrap_err();
            assert_eq!((error.condition, work), (condition::TRANSACTION_UNKNOWN_ID, 7));
            assert!(resource.work(id).is_err() && resource.begins(id, 'l').is_err());
            assert!(resource.control_of(id).is_err());
            let discharged = rejected(resource.discharge('c', &discharge(id, Some(true))));
            assert_eq!(discharged, (condition::TRANSACTION_UNKNOWN_ID, vec![]));
        }
        let elsewhere = rejected(resource.discharge('d', &commit(known)));
        assert_eq!(elsewhere, (condition::TRANSACTION_UNKNOWN_ID, vec![]), "of another control link");
        assert_eq!(resource.control_of(known.as_bytes()), Ok('c'));
    }

    #[test]
    fn m8_transactions_and_their_work_are_bounded() {
        let mut resource = resource();
        let [first, ..] = [(); 3].map(|()| declare(&mut resource, 'c'));
        for _ in 0..100_000 {
            let error = resource.declare('c', &Declare::default()).unwrap_err();
            assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED);
        }
        assert_eq!([1, 2].map(|work| resource.enlist(first.as_bytes(), work)), [Ok(0), Ok(1)]);
        let (error, work) = resource.enlist(first.as_bytes(), 3).unwrap_err();
        assert_eq!((error.condition, work), (condition::RESOURCE_LIMIT_EXCEEDED, 3));
        resource.discharge('c', &commit(first)).unwrap();
        let next = declare(&mut resource, 'c');
        assert_ne!(next, first, "an id is not given twice");
    }

    #[test]
    fn m8_what_a_control_link_declared_is_rolled_back_with_it() {
        let mut resource = resource();
        let [a, b] = ['c', 'd'].map(|control| declare(&mut resource, control));
        resource.enlist(a.as_bytes(), 1).unwrap();
        resource.enlist(b.as_bytes(), 2).unwrap();
        assert_eq!(resource.close('c'), [1]);
        assert_eq!(resource.close('c'), []);
        assert!(resource.work(a.as_bytes()).is_err());
        assert_eq!(resource.into_work(), [2]);
    }

    //= 4.4.1-03 4.4.1-04
    #[test]
    fn m7_a_discharge_over_a_partial_delivery_ends_the_control_link() {
        for fail in [None, Some(true)] {
            let mut resource = resource();
            let txn_id = declare(&mut resource, 'c');
            resource.enlist(txn_id.as_bytes(), 1).unwrap();
            resource.begins(txn_id.as_bytes(), 'l').unwrap();
            let refusal = resource.discharge('c', &discharge(txn_id.as_bytes(), fail)).unwrap_err();
            let Refusal::Detach(error, work) = refusal else { panic!("{refusal:?}") };
            assert_eq!((error.condition, work), (condition::TRANSACTION_ROLLBACK, vec![1]));
        }
        let mut resource = resource();
        let [a, b] = [(); 2].map(|()| declare(&mut resource, 'c'));
        resource.begins(a.as_bytes(), 'l').unwrap();
        assert_eq!(resource.discharge('c', &commit(b)), Ok(Discharged::Committed(vec![])));
        resource.ends('l');
        assert_eq!(resource.discharge('c', &commit(a)), Ok(Discharged::Committed(vec![])));
    }

    //= 4.3-05 4.4.4.1-01 4.4.4.1-02
    #[test]
    fn what_cannot_commit_can_be_rolled_back() {
        let mut resource = resource();
        let [a, b] = [(); 2].map(|()| declare(&mut resource, 'c'));
        for txn_id in [a, b] {
            resource.enlist(txn_id.as_bytes(), 1).unwrap();
            resource.fail(txn_id.as_bytes(), Error::new(condition::TRANSACTION_ROLLBACK));
        }
        let commits = rejected(resource.discharge('c', &commit(a)));
        assert_eq!(commits, (condition::TRANSACTION_ROLLBACK, vec![1]));
        let roll_back = discharge(b.as_bytes(), Some(true));
        assert_eq!(resource.discharge('c', &roll_back), Ok(Discharged::RolledBack(vec![1])));
    }
}
