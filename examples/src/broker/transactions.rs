//! Transactions (§4): messages posted become available, and outcomes take effect, when the transaction commits.
//!
//! A session with a link to the coordinator has a [`Resource`], which keeps the books. A message posted has its room in
//! the queue from the beginning, so that a commit cannot fail for want of it; a message retired stays acquired, and in the
//! queue's count. One that was acquired in the transaction itself comes back to the queue when that is rolled back.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use amqp1_engine::{
    container::{
        Context, CoordinatorCapabilities, Delivery, DeliveryId, Link, ReceiverId, SendRefused, SenderId,
        SessionId, Tracker,
    },
    txn::{Discharged, Refusal, Request, Resource, TxnId},
    types::{DeliveryTag, Discharge, Error, TargetKind, condition, txn_capability},
};
use bytes::Bytes;

use super::{Broker, Offered, messages::number, termini::error};

mod work;
use work::Work;

/// How many messages a controller may send ahead to the coordinator.
const CREDIT: u32 = 100;

/// The transactions of all peers.
#[derive(Default)]
pub(super) struct Transactions {
    /// Work that was taken back leaves its place empty, so that the rest keeps its own.
    sessions: BTreeMap<SessionId, Resource<ReceiverId, Option<Work>>>,
    /// Links to the coordinator.
    controls: BTreeMap<ReceiverId, SessionId>,
    /// Messages out for delivery that are work of a transaction.
    out: BTreeMap<(SenderId, DeliveryTag), Enlisted>,
    /// Consumers that acquire what they are sent in a transaction, until that is discharged.
    acquiring: BTreeMap<SenderId, (SessionId, TxnId)>,
    /// Links closed in the middle of a message acquired in a transaction that its controller rolls back, and the discharge, which
    /// is accepted when all of them are gone.
    cut: BTreeMap<SenderId, DeliveryId>,
    /// Those discharges, and how many links each waits for.
    unanswered: HashMap<DeliveryId, usize>,
    /// How many resources there were.
    resources: u64,
}

/// Where a piece of work is.
#[derive(Clone, Copy)]
struct Enlisted {
    txn_id: TxnId,
    /// Its place among the work of the transaction.
    at: usize,
}

impl Transactions {
    /// The work on a message that is out for delivery, if a transaction has any.
    fn on(&mut self, session: SessionId, message: (SenderId, DeliveryTag)) -> Option<&mut Option<Work>> {
        let Enlisted { txn_id, at } = *self.out.get(&message)?;
        self.sessions.get_mut(&session)?.work(txn_id.as_bytes()).ok()?.get_mut(at)
    }

    /// Gives them all away while messages are offered, where any consumer acquires in one.
    #[inline]
    pub(super) fn lend(&mut self) -> Option<Box<Acquisitions>> {
        if self.acquiring.is_empty() {
            return None;
        }
        let transactions = mem::take(self);
        Some(Box::new(Acquisitions { transactions, acquired: Vec::new(), too_many: Vec::new() }))
    }
}

/// What consumers acquire in transactions while messages are offered to them.
pub(super) struct Acquisitions {
    transactions: Transactions,
    acquired: Vec<(Enlisted, Tracker)>,
    /// Consumers whose transaction has no room for more.
    too_many: Vec<SenderId>,
}

impl Acquisitions {
    /// Whether a consumer acquires what it is sent.
    pub(super) fn include(&self, consumer: SenderId) -> bool {
        self.transactions.acquiring.contains_key(&consumer)
    }

    /// Sends a message to such a consumer, if there is room for it in its transaction. Even if it goes out settled it is not gone
    /// from its queue before that commits.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        consumer: SenderId,
        payload: &Bytes,
        message_format: u32,
    ) -> Result<Offered, SendRefused> {
        let Transactions { acquiring, sessions, .. } = &mut self.transactions;
        let kept = acquiring.get(&consumer).and_then(|(session, txn_id)| {
            let resource = sessions.get_mut(session)?;
            let at = resource.enlist(txn_id.as_bytes(), None).ok()?;
            Some((resource, Enlisted { txn_id: *txn_id, at }))
        });
        let Some((resource, place)) = kept else {
            self.too_many.push(consumer);
            return Ok(Offered::NotNow);
        };
        match cx.send_acquired(consumer, place.txn_id, payload, message_format) {
            Ok(sent) => {
                let number = number(&sent.tag());
                self.acquired.push((place, sent));
                Ok(Offered::Sent(number))
            }
            Err(refused) => {
                if let Ok(work) = resource.work(place.txn_id.as_bytes()) {
                    work.pop();
                }
                Err(refused)
            }
        }
    }
}

/// Control links.
impl Broker {
    /// Answers a link that a peer attached to the coordinator: whether it is one.
    //= 4.5.7-01 4.5.7-04
    pub(super) fn open_control(&mut self, cx: &mut Context<'_>, link: Link) -> bool {
        let target = cx.remote_attach(link).and_then(|attach| attach.target);
        let (Link::Receiver(control), Some(TargetKind::Coordinator(_))) = (link, target.as_deref()) else {
            return false;
        };
        let Some(session) = cx.session_of(link) else { return true };
        let capabilities = [txn_capability::LOCAL_TRANSACTIONS, txn_capability::MULTI_TXNS_PER_SSN];
        if cx.open_link(link, CoordinatorCapabilities(capabilities.into())).is_ok() {
            self.note(cx, link, None);
            let bounds = self.limits.transactions;
            let Transactions { sessions, controls, resources, .. } = &mut self.transactions;
            sessions.entry(session).or_insert_with(|| {
                // What names a transaction of the session's last one means none of this.
                *resources += 1;
                Resource::new(bounds, *resources << 32)
            });
            controls.insert(control, session);
            cx.add_credit(control, CREDIT);
        }
        true
    }

    /// Takes a message to the coordinator: whether it is one.
    pub(super) fn coordinate(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) -> bool {
        let control = delivery.receiver();
        let Some(&session) = self.transactions.controls.get(&control) else { return false };
        let credit = cx.credit(control);
        if credit <= CREDIT / 2 {
            cx.add_credit(control, CREDIT - credit);
        }
        //= 4.2-06 4.3-01
        if delivery.is_settled() {
            let text = "a message to the coordinator is answered, and so must not be sent settled";
            self.expel(cx, control.into(), error(condition::NOT_ALLOWED, text));
            return true;
        }
        let answer = match Request::read(delivery.message()) {
            Ok(Request::Declare(declare)) => {
                let resource = self.transactions.sessions.get_mut(&session);
                resource.map(|resource| resource.declare(control, &declare).map(Some))
            }
            Ok(Request::Discharge(discharge)) => {
                let discharged = self.discharge(cx, session, delivery, &discharge);
                discharged.map(|discharged| discharged.map(|()| None))
            }
            Err(error) => Some(Err(error)),
        };
        match answer {
            // Fails where the link is gone, and then that is told.
            Some(Ok(Some(txn_id))) => drop(cx.declared(delivery.id(), txn_id)),
            Some(Ok(None)) => drop(cx.accept(delivery.id())),
            //= 4.2-07 4.2-08 4.2-09 4.3-02 4.3-03 4.3-04
            Some(Err(error)) => self.refuse(cx, delivery, error, None),
            None => {}
        }
        true
    }

    /// Ends a transaction: what to reject its discharge with, if that is so; nothing where that is answered later, or the control
    /// link was closed instead.
    fn discharge(
        &mut self,
        cx: &mut Context<'_>,
        session: SessionId,
        delivery: &Delivery<'_>,
        discharge: &Discharge,
    ) -> Option<Result<(), Error>> {
        let control = delivery.receiver();
        match self.transactions.sessions.get_mut(&session)?.discharge(control, discharge) {
            //= 4.4.4.1-05 4.4.4.1-06
            Ok(Discharged::Committed(work))
                if work.iter().flatten().filter_map(Work::queue).any(|queue| !self.is_there(queue)) =>
            {
                self.undo(cx, work);
                let text = "a queue of the transaction's messages is deleted";
                Some(Err(error(condition::TRANSACTION_ROLLBACK, text)))
            }
            Ok(Discharged::Committed(work)) => {
                self.carry_out(cx, work);
                Some(Ok(()))
            }
            Ok(Discharged::RolledBack(work)) => {
                let cut = self.undo(cx, work);
                //= 4.4.3-07
                if !cut.is_empty() {
                    self.transactions.unanswered.insert(delivery.id(), cut.len());
                    self.transactions.cut.extend(cut.into_iter().map(|consumer| (consumer, delivery.id())));
                    return None;
                }
                Some(Ok(()))
            }
            Err(Refusal::Reject(error, work)) => {
                self.undo(cx, work);
                Some(Err(error))
            }
            Err(Refusal::Detach(error, work)) => {
                self.undo(cx, work);
                self.expel(cx, control.into(), error);
                None
            }
        }
    }

    /// Closes a link with an error. If transactions are controlled over it, they are rolled back.
    pub(super) fn expel(&mut self, cx: &mut Context<'_>, link: Link, error: Error) {
        cx.close_with(link, error);
        if let Link::Receiver(control) = link
            && let Some(session) = self.transactions.controls.get(&control)
        {
            self.roll_back(cx, *session, control);
        }
    }

    fn roll_back(&mut self, cx: &mut Context<'_>, session: SessionId, link: ReceiverId) {
        let resource = self.transactions.sessions.get_mut(&session);
        let work = resource.map(|resource| resource.close(link)).unwrap_or_default();
        self.undo(cx, work);
    }

    /// A link is gone: what it controlled is rolled back, and what has arrived of a message over it does not count.
    pub(super) fn leave_transactions(&mut self, cx: &mut Context<'_>, session: SessionId, link: Link) {
        let link = match link {
            Link::Receiver(link) => link,
            Link::Sender(consumer) => return self.leave_acquisition(cx, consumer),
        };
        self.roll_back(cx, session, link);
        if self.transactions.controls.remove(&link).is_some()
            && !self.transactions.controls.values().any(|other| *other == session)
        {
            self.transactions.sessions.remove(&session);
        }
    }

    /// A consumer is gone: a discharge that has waited for it alone is accepted.
    fn leave_acquisition(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Transactions { acquiring, cut, unanswered, .. } = &mut self.transactions;
        acquiring.remove(&consumer);
        let Some(discharge) = cut.remove(&consumer) else { return };
        let Some(links) = unanswered.get_mut(&discharge) else { return };
        *links -= 1;
        if *links == 0 {
            unanswered.remove(&discharge);
            // Fails where the control link is gone, too.
            let _ = cx.accept(discharge);
        }
    }
}
