//! What transactions do: messages posted, retired and acquired, and what becomes of them when a transaction ends.

use std::collections::BTreeSet;

use amqp1_engine::{
    codec::Str,
    container::{Context, Delivery, DeliveryId, Link, ReceiverId, SenderId, SessionId, Tracker},
    txn::TxnId,
    types::{DeliveryState, DeliveryTag, Error, condition},
};

use super::{
    super::{
        Broker, Stored,
        messages::{full, number},
        queue::Held,
        termini::error,
    },
    Acquisitions, Enlisted,
};

/// What a transaction does when it commits.
pub(super) enum Work {
    /// Makes a message available.
    Post { queue: Place, stored: Stored, delivery: DeliveryId },
    /// Gives a message that is out for delivery its outcome; one that was acquired in the transaction may have none yet.
    Retire { queue: Place, held: Held, outcome: Option<DeliveryState>, tracker: Tracker, acquired: bool },
    /// Ends with the transaction that a consumer acquires in it.
    Acquire { consumer: SenderId, txn_id: TxnId },
}

/// A queue: its address, and its number, as another may be made in its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Str, u64);

impl Work {
    pub(super) const fn queue(&self) -> Option<&Place> {
        match self {
            Self::Post { queue, .. } | Self::Retire { queue, .. } => Some(queue),
            Self::Acquire { .. } => None,
        }
    }
}

impl Broker {
    /// A part of a message has arrived: a transaction in which it is posted cannot be discharged before the rest.
    pub(in crate::broker) fn begin_post(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        if self.transactions.sessions.is_empty() {
            return;
        }
        if let Some((session, link)) = self.whose(cx, delivery)
            && let Some(resource) = self.transactions.sessions.get_mut(&session)
            && let Some(DeliveryState::Transactional(state)) = cx.delivery_state(delivery)
        {
            // One that is not known is told of when the message is complete.
            let _ = resource.begins(&state.txn_id, link);
        }
    }

    /// A message has arrived in whole, or its rest will not come.
    pub(in crate::broker) fn end_post(&mut self, cx: &Context<'_>, delivery: DeliveryId) {
        if let Some((session, link)) = self.whose(cx, delivery)
            && let Some(resource) = self.transactions.sessions.get_mut(&session)
        {
            resource.ends(link);
        }
    }

    fn whose(&self, cx: &Context<'_>, delivery: DeliveryId) -> Option<(SessionId, ReceiverId)> {
        let link = cx.link_of(delivery)?;
        Some((cx.session_of(link)?, link.receiver()?))
    }

    /// Takes a message that is posted in a transaction, or was not fit to be: the address of its queue and the message.
    pub(in crate::broker) fn post(
        &mut self,
        cx: &mut Context<'_>,
        delivery: &Delivery<'_>,
        txn_id: &[u8],
        message: Result<(Str, Stored), Error>,
    ) {
        self.end_post(cx, delivery.id());
        let session = cx.session_of(delivery.receiver());
        let enlisted = message.and_then(|(address, stored)| {
            let number = self.change(&address, |node| node.queue.reserve(&stored).map(|()| node.number));
            let number = match number {
                Some(Ok(number)) => number,
                _ => return Err(full(&address)),
            };
            let work = Work::Post { queue: Place(address, number), stored, delivery: delivery.id() };
            let enlisted = self.enlist(session, txn_id, work);
            enlisted.map(drop).map_err(|refused| {
                let (error, work) = *refused;
                self.undo(cx, vec![work]);
                error
            })
        });
        let Some(txn_id) = self.known(session, txn_id) else {
            //= 4.5.8-01
            return self.refuse(cx, delivery, unknown(), None);
        };
        match enlisted {
            //= 4.4-02 4.4.1-05 4.4.1-06 4.4.4.1-03 4.4.4.1-04
            Ok(()) => drop(cx.presume(delivery.id(), txn_id, DeliveryState::Accepted)),
            Err(error) => self.refuse(cx, delivery, error, Some(txn_id)),
        }
    }

    /// A message is not taken, and its producer hears of no outcome. If it was posted in a transaction, nothing but the
    /// discharge can say so.
    //= 4.4.1-05 4.4.4.1-01 4.4.4.1-02 4.4.4.1-03
    pub(in crate::broker) fn fail_post(&mut self, cx: &Context<'_>, delivery: &Delivery<'_>, error: &Error) {
        self.end_post(cx, delivery.id());
        if let Some(DeliveryState::Transactional(state)) = delivery.state() {
            self.fail(cx.session_of(delivery.receiver()), &state.txn_id, error);
        }
    }

    /// Takes what a consumer says of a message, if that is work of a transaction: whether it is.
    pub(in crate::broker) fn retire(&mut self, cx: &mut Context<'_>, tracker: &Tracker) -> bool {
        let key = (tracker.sender(), tracker.tag());
        let before = self.transactions.out.get(&key).copied();
        match (tracker.state(), before) {
            (Some(DeliveryState::Transactional(state)), before) => {
                let consumer = tracker.sender();
                match self.known(cx.session_of(consumer), &state.txn_id) {
                    Some(txn_id) => self.retire_in(cx, tracker, txn_id, state.outcome.as_ref(), before),
                    // Nothing of that is in force but that it is settled.
                    None if tracker.is_settled() => self.change_work(cx, tracker, None),
                    None => {
                        cx.close_with(consumer, unknown());
                        true
                    }
                }
            }
            // It has another outcome now, of no transaction.
            (state, Some(_)) if tracker.is_settled() || state.is_some_and(DeliveryState::is_outcome) => {
                self.withdraw(cx, key);
                false
            }
            (_, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The same for a transaction that is known.
    fn retire_in(
        &mut self,
        cx: &mut Context<'_>,
        tracker: &Tracker,
        txn_id: TxnId,
        outcome: Option<&DeliveryState>,
        before: Option<Enlisted>,
    ) -> bool {
        let consumer = tracker.sender();
        let session = cx.session_of(consumer);
        if let Some(before) = before {
            if before.txn_id == txn_id {
                return self.change_work(cx, tracker, outcome);
            }
            // As where the transaction is unknown.
            self.change_work(cx, tracker, None);
            //= 4.4.2-03
            let text = "an outcome was told in another transaction that is not discharged";
            let control = session
                .and_then(|session| self.transactions.sessions.get_mut(&session))
                .and_then(|resource| resource.control_of(txn_id.as_bytes()).ok());
            if let Some(control) = control {
                self.expel(cx, control.into(), error(condition::TRANSACTION_ROLLBACK, text));
            }
            return true;
        }
        // Settled without one, it has the default outcome, whatever becomes of the transaction.
        let Some(outcome) = outcome.cloned() else { return !tracker.is_settled() };
        let Some(work) = self.hold(tracker, Some(outcome), false) else {
            // A copy, of which nothing depends on the outcome.
            let _ = cx.settle(tracker.id());
            return true;
        };
        match self.enlist(session, txn_id.as_bytes(), work) {
            Ok(at) => {
                self.transactions.out.insert((consumer, tracker.tag()), Enlisted { txn_id, at });
            }
            Err(refused) => {
                let (error, work) = *refused;
                self.undo(cx, vec![work]);
                self.fail(session, txn_id.as_bytes(), &error);
            }
        }
        true
    }

    /// Has a consumer acquire what it is sent from now on in a transaction.
    //= 4.4.3-03
    pub(in crate::broker) fn acquire_in(
        &mut self,
        cx: &Context<'_>,
        link: Link,
        txn_id: &[u8],
    ) -> Result<(), Error> {
        let node = self.linked_to(link).and_then(|address| self.queues.get(&address));
        let Some(consumer) =
            link.sender().filter(|consumer| node.is_some_and(|node| node.queue.acquires(*consumer)))
        else {
            return Err(error(condition::NOT_IMPLEMENTED, "nothing is acquired over this link"));
        };
        let session = cx.session_of(link);
        let (session, txn_id) = session.zip(self.known(session, txn_id)).ok_or_else(unknown)?;
        if self.transactions.acquiring.get(&consumer) != Some(&(session, txn_id)) {
            let work = Work::Acquire { consumer, txn_id };
            self.enlist(Some(session), txn_id.as_bytes(), work).map_err(|refused| refused.0)?;
            self.transactions.acquiring.insert(consumer, (session, txn_id));
        }
        Ok(())
    }

    /// Takes the transactions back after messages were offered, and note of what was acquired in them.
    pub(in crate::broker) fn take_note(&mut self, cx: &mut Context<'_>, acquisitions: Acquisitions) {
        let Acquisitions { transactions, acquired, too_many } = acquisitions;
        self.transactions = transactions;
        for (place, sent) in acquired {
            //= 4.4.3-06
            let outcome = sent.is_settled().then_some(DeliveryState::Accepted);
            if let Some(session) = cx.session_of(sent.sender())
                && let Some(work) = self.hold(&sent, outcome, true)
            {
                let key = (sent.sender(), sent.tag());
                self.transactions.out.insert(key, place);
                if let Some(kept) = self.transactions.on(session, key) {
                    *kept = Some(work);
                }
            }
        }
        for consumer in too_many {
            let text = "the transaction has no room for more messages: discharge it";
            cx.close_with(consumer, error(condition::RESOURCE_LIMIT_EXCEEDED, text));
        }
    }

    /// Takes a message out of its consumer's hands for a transaction; nothing where there is none.
    fn hold(&mut self, tracker: &Tracker, outcome: Option<DeliveryState>, acquired: bool) -> Option<Work> {
        let (consumer, tracker) = (tracker.sender(), tracker.clone());
        let address = self.linked_to(consumer)?;
        let (held, place) = self.change(&address, |node| {
            let held = node.queue.hold(consumer, number(&tracker.tag()));
            held.map(|held| (held, node.number))
        })??;
        Some(Work::Retire { queue: Place(address, place), held, outcome, tracker, acquired })
    }

    /// The outcome of a message that is work of a transaction is another now, or it is settled: whether it is such work.
    fn change_work(&mut self, cx: &Context<'_>, told: &Tracker, changed: Option<&DeliveryState>) -> bool {
        let Some(session) = cx.session_of(told.sender()) else { return false };
        let work = self.transactions.on(session, (told.sender(), told.tag()));
        let Some(Some(Work::Retire { tracker, outcome, .. })) = work else { return false };
        tracker.clone_from(told);
        if changed.is_some() {
            *outcome = changed.cloned();
        }
        true
    }

    /// Takes a message that is out for delivery back from its transaction, into the hands of its consumer.
    fn withdraw(&mut self, cx: &Context<'_>, message: (SenderId, DeliveryTag)) {
        let Some(session) = cx.session_of(message.0) else { return };
        let work = self.transactions.on(session, message).and_then(Option::take);
        self.transactions.out.remove(&message);
        if let Some(Work::Retire { queue, held, .. }) = work
            && self.is_there(&queue)
        {
            self.change(&queue.0, |node| node.queue.restore(message.0, number(&message.1), held));
        }
    }

    /// Adds work to a transaction: its place among the work of that.
    fn enlist(
        &mut self,
        session: Option<SessionId>,
        txn_id: &[u8],
        work: Work,
    ) -> Result<usize, Box<(Error, Option<Work>)>> {
        let resource = session.and_then(|session| self.transactions.sessions.get_mut(&session));
        let Some(resource) = resource else { return Err(Box::new((unknown(), Some(work)))) };
        resource.enlist(txn_id, Some(work)).map_err(Box::new)
    }

    fn fail(&mut self, session: Option<SessionId>, txn_id: &[u8], error: &Error) {
        let resource = session.and_then(|session| self.transactions.sessions.get_mut(&session));
        if let Some(resource) = resource {
            let error = Error { condition: condition::TRANSACTION_ROLLBACK, ..error.clone() };
            resource.fail(txn_id, error);
        }
    }

    fn known(&mut self, session: Option<SessionId>, txn_id: &[u8]) -> Option<TxnId> {
        let resource = self.transactions.sessions.get_mut(&session?)?;
        resource.control_of(txn_id).ok()?;
        TxnId::new(txn_id)
    }

    pub(super) fn is_there(&self, Place(address, number): &Place) -> bool {
        self.queues.get(address).is_some_and(|node| node.number == *number)
    }

    /// Does the work of a transaction that commits.
    pub(super) fn carry_out(&mut self, cx: &mut Context<'_>, work: Vec<Option<Work>>) {
        let mut touched = BTreeSet::new();
        for work in work.into_iter().flatten() {
            match work {
                Work::Post { queue: Place(address, _), stored, delivery } => {
                    if let Some(expires) = stored.expires {
                        self.look_at(cx, expires);
                    }
                    self.change(&address, |node| node.queue.publish(stored));
                    // Gone, unless the receiver settles second: then this is the outcome that was presumed.
                    //= 4.4.4.1-07
                    let _ = cx.accept(delivery);
                    touched.insert(address);
                }
                Work::Retire { queue: Place(address, _), held, outcome, tracker, .. } => {
                    let (consumer, tag) = (tracker.sender(), tracker.tag());
                    self.transactions.out.remove(&(consumer, tag));
                    let is_over = outcome.is_some() || tracker.is_settled();
                    self.change(&address, |node| match is_over {
                        //= 4.4.2-04
                        true => node.queue.apply(consumer, held, outcome.as_ref()),
                        // Acquired now like any other, whatever is still to be sent of it.
                        //= 4.4.3-06
                        false => node.queue.restore(consumer, number(&tag), held),
                    });
                    if is_over {
                        let _ = cx.settle(tracker.id());
                    }
                    touched.insert(address);
                }
                Work::Acquire { consumer, txn_id } => self.acquires_no_more(consumer, txn_id),
            }
        }
        for address in touched {
            self.deliver(cx, &address);
        }
    }

    /// Takes back the work of a transaction that is rolled back: the consumers whose links were closed for that.
    pub(super) fn undo(&mut self, cx: &mut Context<'_>, work: Vec<Option<Work>>) -> BTreeSet<SenderId> {
        let (mut touched, mut cut) = (BTreeSet::new(), BTreeSet::new());
        for work in work.into_iter().flatten() {
            match &work {
                Work::Post { .. } => {}
                Work::Retire { tracker, acquired, .. } => {
                    self.transactions.out.remove(&(tracker.sender(), tracker.tag()));
                    if *acquired && take_back(cx, tracker) {
                        cut.insert(tracker.sender());
                    }
                }
                Work::Acquire { consumer, txn_id } => self.acquires_no_more(*consumer, *txn_id),
            }
            let Some(queue) = work.queue().filter(|queue| self.is_there(queue)) else { continue };
            let Place(address, _) = queue.clone();
            self.change(&address, |node| match work {
                Work::Post { stored, .. } => node.queue.give_up(&stored),
                //= 4.4.3-06
                Work::Retire { held, tracker, acquired: true, .. } => {
                    node.queue.apply(tracker.sender(), held, Some(&DeliveryState::Released));
                }
                //= 4.4.4.2-01 4.4.4.2-02
                Work::Retire { held, tracker, .. } if tracker.is_settled() => {
                    node.queue.apply(tracker.sender(), held, None);
                }
                //= 4.4.2-05
                Work::Retire { held, tracker, .. } => {
                    node.queue.restore(tracker.sender(), number(&tracker.tag()), held);
                }
                Work::Acquire { .. } => {}
            });
            touched.insert(address);
        }
        for address in touched {
            self.deliver(cx, &address);
        }
        cut
    }

    /// A transaction in which a consumer acquires is over.
    fn acquires_no_more(&mut self, consumer: SenderId, txn_id: TxnId) {
        if self.transactions.acquiring.get(&consumer).is_some_and(|(_, at)| *at == txn_id) {
            self.transactions.acquiring.remove(&consumer);
        }
    }
}

/// Tells a consumer that it has not acquired a message after all: whether its link is closed for that. It is where the message is
/// still being sent, as the consumer cannot be told otherwise while its window is closed.
fn take_back(cx: &mut Context<'_>, sent: &Tracker) -> bool {
    let is_unfinished = cx.is_unfinished(sent.id());
    if is_unfinished {
        // Without an error, after which nothing but the answer may come (§2.6.5): a flow is likely to be on its way.
        cx.close(sent.sender());
    } else {
        // Fails where it is settled.
        let _ = cx.settle(sent.id());
    }
    is_unfinished
}

fn unknown() -> Error {
    error(condition::TRANSACTION_UNKNOWN_ID, "there is no transaction of this id in this session")
}
