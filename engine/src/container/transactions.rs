//! Transactions that this side controls (§4), and what a resource needs to answer those of a peer.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::fmt;

use bytes::Bytes;

use super::{
    Context, DeliveryId, Handler, Link, LinkOption, LinkSettings, ReceiverId, SendRefused, SenderId, Tracker,
    Where, entries::Notice, link_options::CoordinatorCapabilities, state::Core,
};
use crate::{
    Misuse, SendError,
    arena::Key,
    codec::{Encode, Symbol},
    message::Message,
    txn::{Answer, Controller, Request, TxnId},
    types::{
        Declare, Declared, DeliveryState, DeliveryTag, Error, Modified, Role, SenderSettleMode, TargetKind,
        condition, txn_capability,
    },
};

/// Names a transaction that this side has declared; stale once it is over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    /// Its control link.
    link: Key,
    number: u64,
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionId({:?}/{})", self.link, self.number)
    }
}

/// Transactions.
impl Context<'_> {
    /// Begins a transaction on a session, on the default session of a connection, or on a new connection to an address.
    ///
    /// [`on_transaction_declared`](Handler::on_transaction_declared) tells when it is open, for messages sent and received
    /// over links of the same session. The first transaction of a session attaches a link to the peer's coordinator, of
    /// which the handler hears nothing. Transactions end with their session: the peer rolls them back.
    pub fn declare_transaction(&mut self, at: impl Into<Where>) -> TransactionId {
        self.core.declare(at.into())
    }

    /// An open transaction, to do something in it.
    ///
    /// # Errors
    ///
    /// [`Misuse::TransactionNotOpen`] where it is not declared yet or is being discharged, [`Misuse::Gone`] where it is
    /// over.
    pub fn transaction(&mut self, id: TransactionId) -> Result<Transaction<'_>, Misuse> {
        let control = self.core.controls.get(&id.link).ok_or(Misuse::Gone)?;
        Ok(Transaction { txn_id: control.controller.open(id.number)?, core: self.core, id })
    }

    /// For a resource: answers a message to its coordinator that declares a transaction (§4.2).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn declared(&mut self, delivery: DeliveryId, txn_id: TxnId) -> Result<(), Misuse> {
        let declared = Declared::new(Bytes::copy_from_slice(txn_id.as_bytes()));
        self.core.update(delivery, DeliveryState::Declared(Box::new(declared)))
    }

    /// For a resource: tells the outcome that a message posted in a peer's transaction will have if that commits, and
    /// settles it as the link's mode asks (§4.4.1).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn presume(
        &mut self,
        delivery: DeliveryId,
        txn_id: TxnId,
        outcome: DeliveryState,
    ) -> Result<(), Misuse> {
        self.core.presume(delivery, txn_id, outcome)
    }

    /// For a resource: sends an encoded message that the peer acquires in its transaction, as it has
    /// [asked for](Self::flow_properties) by a `txn-id` (§4.4.3). Like [`Transaction::send_payload`], it sends at once or not at
    /// all, and the outcome in the transaction comes by [`on_delivery_updated`](Handler::on_delivery_updated) alone.
    ///
    /// If the transaction is rolled back the message is to be [settled](Self::settle) before the discharge is answered; or, where
    /// it [is not sent in whole](Self::is_unfinished), its link to be closed (§4.4.3).
    ///
    /// # Errors
    ///
    /// [`SendRefused`], with [`SendRefused::NotNow`] where the message cannot be sent at once.
    pub fn send_acquired(
        &mut self,
        sender: SenderId,
        txn_id: TxnId,
        payload: &Bytes,
        message_format: u32,
    ) -> Result<Tracker, SendRefused> {
        self.core.send_in(txn_id, sender.0, message_format, payload)
    }

    /// Whether more of a message that this side sends is to be written, be it settled or not.
    #[must_use]
    pub fn is_unfinished(&mut self, delivery: DeliveryId) -> bool {
        let Ok(engine) = self.core.engine_delivery(delivery) else { return false };
        self.core.sender(delivery.link).is_ok_and(|sender| sender.is_unfinished(engine))
    }

    /// What the sender has told of a message that is not settled: for a message posted in a transaction, which one. In
    /// [`on_message`](Handler::on_message), [`Delivery::state`](super::Delivery::state) is the same.
    #[must_use]
    pub fn delivery_state(&mut self, delivery: DeliveryId) -> Option<DeliveryState> {
        self.core.delivery_state(delivery)
    }
}

/// An open transaction of a [`Context`], borrowed for a statement.
pub struct Transaction<'a> {
    core: &'a mut Core,
    id: TransactionId,
    txn_id: TxnId,
}

impl Transaction<'_> {
    /// The name by which to get it again.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// Sends a message that becomes available when the transaction commits (§4.4.1).
    ///
    /// It does not wait in the sender's queue: send while [`Context::credit`] is not zero. The receiver's word on it comes
    /// by [`on_delivery_updated`](Handler::on_delivery_updated) alone, with a state that is
    /// [`DeliveryState::Transactional`]: what it says counts if the transaction commits.
    ///
    /// # Errors
    ///
    /// [`SendRefused`], with [`SendRefused::NotNow`] where the message cannot be sent at once.
    pub fn send(&mut self, sender: SenderId, message: &Message) -> Result<DeliveryTag, SendRefused> {
        let mut payload = Vec::new();
        message.encode(&mut payload);
        self.send_payload(sender, &payload.into(), 0)
    }

    /// The same with a message that is encoded already, or bytes of an application's own format (§2.8.11).
    ///
    /// # Errors
    ///
    /// As with [`send`](Self::send).
    pub fn send_payload(
        &mut self,
        sender: SenderId,
        payload: &Bytes,
        message_format: u32,
    ) -> Result<DeliveryTag, SendRefused> {
        self.core.post(self.id, self.txn_id, sender.0, message_format, payload)
    }

    /// Lets `count` more messages come, which are acquired in the transaction (§4.4.3): they come back to the peer's queue if it
    /// does not commit, whatever was said of them, and each that comes over the link before the transaction ends is. What
    /// becomes of one is told with [`Context::accept`] and the like, automatically too: that is work of the transaction. For
    /// receivers whose handler sets [`prefetch`](super::Knobs::prefetch) to 0.
    ///
    /// Credit that is left must be given back before the transaction ends: [`Context::drain`] asks for that.
    ///
    /// # Errors
    ///
    /// [`Misuse::CreditLeft`] where the receiver has credit to acquire in another transaction; [`Misuse::OtherSession`],
    /// [`Misuse::LinkNotOpen`], [`Misuse::Gone`].
    pub fn acquire(&mut self, receiver: ReceiverId, count: u32) -> Result<(), Misuse> {
        self.core.acquire(self.id, self.txn_id, receiver.0, count)
    }

    /// Accepts a message received if the transaction commits (§4.4.2). For this as for the other outcomes: a message whose
    /// outcome did not take effect, because the transaction did not commit, is released.
    ///
    /// # Errors
    ///
    /// [`Misuse::StateNotAllowed`] where its outcome was told, or is work of another transaction;
    /// [`Misuse::OtherSession`], [`Misuse::Gone`].
    pub fn accept(&mut self, delivery: DeliveryId) -> Result<(), Misuse> {
        self.retire(delivery, DeliveryState::Accepted)
    }

    /// Rejects a message as invalid if the transaction commits (§3.4.3).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn reject(&mut self, delivery: DeliveryId, error: impl Into<Option<Error>>) -> Result<(), Misuse> {
        self.retire(delivery, DeliveryState::Rejected(error.into().map(Box::new)))
    }

    /// Gives a message back as it came if the transaction commits (§3.4.4).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn release(&mut self, delivery: DeliveryId) -> Result<(), Misuse> {
        self.retire(delivery, DeliveryState::Released)
    }

    /// Gives a message back and asks for changes to it if the transaction commits (§3.4.5).
    ///
    /// # Errors
    ///
    /// As with [`accept`](Self::accept).
    pub fn modify(&mut self, delivery: DeliveryId, modified: Modified) -> Result<(), Misuse> {
        self.retire(delivery, DeliveryState::Modified(Box::new(modified)))
    }

    /// Asks that all of the transaction's work take effect (§4.3):
    /// [`on_transaction_committed`](Handler::on_transaction_committed) tells when it has.
    ///
    /// # Errors
    ///
    /// [`SendRefused`]: the transaction goes on. It holds [`Misuse::CreditLeft`] where a receiver that
    /// [acquires](Self::acquire) in the transaction has credit: [`Context::drain`] it, and wait for
    /// [`on_drain_finished`](Handler::on_drain_finished).
    pub fn commit(self) -> Result<(), SendRefused> {
        self.core.discharge(self.id, false)
    }

    /// Asks that none of the transaction's work take effect (§4.3):
    /// [`on_transaction_aborted`](Handler::on_transaction_aborted) tells when it is rolled back.
    ///
    /// # Errors
    ///
    /// As with [`commit`](Self::commit).
    pub fn abort(self) -> Result<(), SendRefused> {
        self.core.discharge(self.id, true)
    }

    fn retire(&mut self, delivery: DeliveryId, outcome: DeliveryState) -> Result<(), Misuse> {
        self.core.retire(self.id, self.txn_id, delivery, outcome)
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.id)
            .field("txn_id", &self.txn_id)
            .finish_non_exhaustive()
    }
}

/// A link to a peer's coordinator.
pub(super) struct Control {
    controller: Controller,
    connection: Key,
    session: Key,
    /// Receivers that acquire in its transactions, and in which.
    acquiring: BTreeMap<Key, u64>,
}

/// What became of a transaction, and its session.
pub(super) struct Told {
    id: TransactionId,
    pub(super) session: Key,
    answer: Answer,
}

impl Core {
    fn declare(&mut self, at: Where) -> TransactionId {
        let session = match &at {
            Where::Session(id) => Some(id.0),
            Where::Connection(id) => self.connections.get(id.0).and_then(|peer| peer.default_session),
            Where::Address(_) => None,
        };
        let link = session.and_then(|session| self.control_of(session));
        let link = link.unwrap_or_else(|| self.attach_control(at));
        //= 4.5.2-02
        let declare = Request::Declare(Declare::default()).payload();
        let sent = self.send_payload(link, 0, &declare);
        let Some(control) = self.controls.get_mut(&link) else { return TransactionId { link, number: 0 } };
        let number = match sent {
            Ok(tag) => control.controller.declaring(tag),
            Err(refused) => {
                let description = Some(alloc::format!("{refused}").into());
                let error = Error { description, ..Error::new(condition::ILLEGAL_STATE) };
                let (number, answer) = control.controller.not_declared(error);
                let (id, session) = (TransactionId { link, number }, control.session);
                self.notices.push_back(Notice::Transaction(Box::new(Told { id, session, answer })));
                number
            }
        };
        TransactionId { link, number }
    }

    /// The control link of a session.
    fn control_of(&self, session: Key) -> Option<Key> {
        let is_open = |link: Key| self.is_open(Link::Sender(SenderId(link)).into());
        self.controls
            .iter()
            .find(|(link, control)| control.session == session && is_open(**link))
            .map(|(link, _)| *link)
    }

    /// Makes the control link of a session, with a name that no link had before: it is never resumed.
    //= 4.2-01 4.2-05 4.2-10 4.3-01
    fn attach_control(&mut self, at: Where) -> Key {
        let mut settings = LinkSettings::new(Role::Sender);
        settings.snd_settle_mode = SenderSettleMode::Unsettled;
        settings.source.outcomes = ["amqp:accepted:list", "amqp:rejected:list", "amqp:declared:list"]
            .map(Symbol::from_static)
            .into();
        let capabilities = [txn_capability::LOCAL_TRANSACTIONS, txn_capability::MULTI_TXNS_PER_SSN];
        CoordinatorCapabilities(capabilities.into()).apply(&mut settings);
        let key = self.create_link(at, settings);
        let Some(link) = self.links.get_mut(key) else { return key };
        link.handler = Some(Box::new(ControlLink));
        let (connection, session) = (link.connection, link.session);
        self.has_own_handlers = true;
        let controller = Controller::default();
        let control = Control { controller, connection, session, acquiring: BTreeMap::new() };
        self.controls.insert(key, control);
        key
    }

    fn control(&self, id: TransactionId) -> Result<&Control, Misuse> {
        self.controls.get(&id.link).ok_or(Misuse::Gone)
    }

    /// Whether a link is of a transaction's session.
    fn check_session(&self, id: TransactionId, link: Key) -> Result<(), Misuse> {
        let session = self.links.get(link).ok_or(Misuse::Gone)?.session;
        if session == self.control(id)?.session { Ok(()) } else { Err(Misuse::OtherSession) }
    }

    fn post(
        &mut self,
        id: TransactionId,
        txn_id: TxnId,
        sender: Key,
        message_format: u32,
        payload: &Bytes,
    ) -> Result<DeliveryTag, SendRefused> {
        self.check_session(id, sender).map_err(SendError::from)?;
        self.send_in(txn_id, sender, message_format, payload).map(|sent| sent.tag)
    }

    fn send_in(
        &mut self,
        txn_id: TxnId,
        sender: Key,
        message_format: u32,
        payload: &Bytes,
    ) -> Result<Tracker, SendRefused> {
        let mut is_settled = false;
        let (tag, sent) = self.try_send(sender, |mut sender, tag, settled| {
            is_settled = settled;
            sender.post(txn_id, tag, settled, message_format, payload.clone())
        })?;
        let number = sent.ok_or(SendRefused::NotNow)?;
        let life = self.links.get(sender).map_or(0, |link| link.life);
        let id = DeliveryId { link: sender, life, number: Some(number) };
        Ok(Tracker { id, tag: tag.into(), state: None, settled: is_settled })
    }

    fn acquire(&mut self, id: TransactionId, txn_id: TxnId, receiver: Key, count: u32) -> Result<(), Misuse> {
        self.check_session(id, receiver)?;
        let has_credit = self.receiver(receiver)?.credit() > 0;
        let control = self.control(id)?;
        if has_credit && control.acquiring.get(&receiver).is_some_and(|number| *number != id.number) {
            return Err(Misuse::CreditLeft);
        }
        self.receiver(receiver)?.acquire(txn_id, count);
        if let Some(control) = self.controls.get_mut(&id.link) {
            control.acquiring.insert(receiver, id.number);
        }
        Ok(())
    }

    /// What is to be told of a message received: in the transaction in which it was acquired, if that is open.
    //= 4.4.4.3-01
    pub(super) fn in_its_transaction(
        &mut self,
        link: Key,
        engine: crate::DeliveryId,
        state: DeliveryState,
    ) -> Result<DeliveryState, Misuse> {
        if self.controls.is_empty() {
            return Ok(state);
        }
        let session = self.links.get(link).ok_or(Misuse::Gone)?.session;
        let acquired = self.receiver(link)?.delivery(engine)?.remote_state().cloned();
        let waits = |link, tag| {
            let queue = self.links.get(link).and_then(|link| link.queue.as_ref());
            queue.is_some_and(|queue| queue.holds(tag))
        };
        let txn_id = acquired.and_then(|acquired| {
            let mut controls = self.controls.iter().filter(|(_, control)| control.session == session);
            controls.find_map(|(link, control)| {
                let (txn_id, discharge) = control.controller.of(&acquired)?;
                // What is told while the discharge waits to be sent goes before it.
                discharge.is_none_or(|tag| waits(*link, tag)).then_some(txn_id)
            })
        });
        match (txn_id, state) {
            (Some(txn_id), state @ DeliveryState::Transactional(_)) if !txn_id.holds(&state) => {
                Err(Misuse::StateNotAllowed)
            }
            (Some(txn_id), state) if state.is_outcome() => Ok(txn_id.state(Some(state))),
            (_, state) => Ok(state),
        }
    }

    //= 4.4.2-02
    fn retire(
        &mut self,
        id: TransactionId,
        txn_id: TxnId,
        delivery: DeliveryId,
        outcome: DeliveryState,
    ) -> Result<(), Misuse> {
        self.check_session(id, delivery.link)?;
        let engine = self.engine_delivery(delivery)?;
        let others: Vec<TxnId> = self.live_transactions().filter(|live| *live != txn_id).collect();
        let receiver = self.receiver(delivery.link)?;
        let told = receiver.delivery(engine)?;
        let is_of_another = |state: Option<&DeliveryState>| {
            state.is_some_and(|state| others.iter().any(|other| other.holds(state)))
        };
        if is_of_another(told.state()) || is_of_another(told.remote_state()) {
            return Err(Misuse::StateNotAllowed);
        }
        self.update(delivery, txn_id.state(Some(outcome)))
    }

    fn live_transactions(&self) -> impl Iterator<Item = TxnId> {
        self.controls.values().flat_map(|control| control.controller.live())
    }

    fn discharge(&mut self, id: TransactionId, fail: bool) -> Result<(), SendRefused> {
        let acquiring = &self.control(id).map_err(SendError::from)?.acquiring;
        let acquiring = acquiring.iter().filter(|(_, number)| **number == id.number);
        let acquiring: Vec<Key> = acquiring.map(|(link, _)| *link).collect();
        //= 4.4.3-04
        if acquiring.iter().any(|link| self.receiver(*link).is_ok_and(|receiver| receiver.credit() > 0)) {
            return Err(Misuse::CreditLeft.into());
        }
        let control = self.control(id).map_err(SendError::from)?;
        let request = control.controller.discharge(id.number, fail).map_err(SendError::from)?;
        self.write_outcomes(id.link);
        let tag = self.send_payload(id.link, 0, &request.payload())?;
        if let Some(control) = self.controls.get_mut(&id.link) {
            control.controller.discharging(id.number, fail, tag);
            control.acquiring.retain(|_, number| *number != id.number);
        }
        Ok(())
    }

    /// Has what was told on the session of a control link written before what that sends next.
    pub(super) fn write_outcomes(&mut self, control: Key) {
        let Some(control) = self.controls.get(&control) else { return };
        let (connection, session) = (control.connection, control.session);
        let session = self.sessions.get(session).and_then(|session| session.engine);
        if let Some(session) = session
            && let Ok(engine) = self.engine(connection)
            && let Ok(mut session) = engine.session(session)
        {
            session.write_dispositions();
        }
    }

    fn presume(&mut self, id: DeliveryId, txn_id: TxnId, outcome: DeliveryState) -> Result<(), Misuse> {
        self.touch_delivery(id);
        let engine = self.engine_delivery(id)?;
        let connection = self.links.get(id.link).ok_or(Misuse::Gone)?.connection;
        self.engine(connection)?.delivery_mut(engine)?.presume(txn_id, outcome)
    }

    fn delivery_state(&mut self, id: DeliveryId) -> Option<DeliveryState> {
        let engine = self.engine_delivery(id).ok()?;
        self.receiver(id.link).ok()?.delivery(engine).ok()?.remote_state().cloned()
    }

    /// Ends what a transaction's work has left open: what was received gets its outcome or is released, and what was sent
    /// is settled. What was acquired in one that has committed, and has no outcome, waits for that.
    //= 4.4.4.1-09
    fn finish_work(&mut self, session: Key, txn_id: TxnId, committed: bool, settles: bool) {
        let Some(entry) = self.sessions.get(session) else { return };
        let (connection, Some(id)) = (entry.connection, entry.engine) else { return };
        let Ok(engine) = self.engine(connection) else { return };
        let Ok(entry) = engine.session(id) else { return };
        let sent = entry.in_transaction(Role::Sender, txn_id);
        for id in entry.in_transaction(Role::Receiver, txn_id) {
            let Ok(delivery) = engine.delivery_mut(id) else { continue };
            let outcome = match delivery.state() {
                None if committed => continue,
                // It was acquired in this one, and has its outcome in another since.
                Some(state @ DeliveryState::Transactional(_)) if !txn_id.holds(state) => continue,
                Some(DeliveryState::Transactional(state)) if committed => state.outcome.clone(),
                _ => Some(DeliveryState::Released),
            };
            // Fails where the session is being ended: then the peer knows.
            let _ = match outcome {
                Some(outcome) => delivery.update(outcome),
                None => delivery.settle(),
            };
        }
        for id in sent.into_iter().filter(|_| settles) {
            if let Some(link) = self.link_key(connection, id.link()) {
                let _ = self.settle_sent(link, id);
            }
        }
    }

    /// The control links of a connection, or of a session of it, are gone: what became of their transactions.
    pub(super) fn lose_transactions(
        &mut self,
        connection: Key,
        session: Option<Key>,
        error: Option<&Error>,
    ) -> Vec<Told> {
        let is_lost = |control: &Control| {
            control.connection == connection && session.is_none_or(|session| control.session == session)
        };
        let lost: Vec<Key> =
            self.controls.iter().filter(|(_, control)| is_lost(control)).map(|(key, _)| *key).collect();
        let mut told = Vec::new();
        for link in lost {
            told.extend(self.lose_control(link, error));
            // It is gone with them, and does not come back.
            //= 4.2-01
            self.free_link(link);
        }
        told
    }

    fn lose_control(&mut self, link: Key, error: Option<&Error>) -> Vec<Told> {
        let Some(mut control) = self.controls.remove(&link) else { return Vec::new() };
        let description = Some("the link to the coordinator was closed".into());
        let closed = || Error { description, ..Error::new(condition::TRANSACTION_ROLLBACK) };
        let error = error.cloned().unwrap_or_else(closed);
        let session = control.session;
        let told = |(number, answer)| Told { id: TransactionId { link, number }, session, answer };
        control.controller.lost(&error).into_iter().map(told).collect()
    }
}

/// Calls the handler for what became of a transaction, and then ends what that has left open.
pub(super) fn tell(handler: &mut dyn Handler, cx: &mut Context<'_>, told: &Told) {
    let Told { id, session, ref answer } = *told;
    let (txn_id, committed) = match answer {
        Answer::Declared(_) => return handler.on_transaction_declared(cx, id),
        Answer::DeclareFailed(error) => return handler.on_transaction_declare_failed(cx, id, error),
        Answer::Committed(txn_id) => {
            handler.on_transaction_committed(cx, id);
            (*txn_id, true)
        }
        Answer::Aborted(txn_id, error) => {
            handler.on_transaction_aborted(cx, id, error.as_ref());
            (*txn_id, false)
        }
        Answer::CommitFailed(txn_id, error) => {
            handler.on_transaction_commit_failed(cx, id, error);
            (*txn_id, false)
        }
    };
    let settles = handler.knobs().auto_settle;
    cx.core.finish_work(session, txn_id, committed, settles);
}

/// Serves the links to coordinators, in place of the program's handlers.
struct ControlLink;

impl ControlLink {
    fn lose(cx: &mut Context<'_>, link: Link, error: Option<&Error>) {
        for told in cx.core.lose_control(link.key(), error) {
            cx.core.notices.push_back(Notice::Transaction(Box::new(told)));
        }
    }
}

impl Handler for ControlLink {
    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        let target = cx.remote_attach(link).and_then(|attach| attach.target);
        if !matches!(target.as_deref(), Some(TargetKind::Coordinator(_))) {
            let description = Some("the peer has no coordinator of transactions".into());
            let error = Error { description, ..Error::new(condition::NOT_IMPLEMENTED) };
            Self::lose(cx, link, Some(&error));
            cx.close_with(link, error);
        }
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &super::Tracker) {
        let link = tracker.sender().0;
        let Some(control) = cx.core.controls.get_mut(&link) else { return };
        let answered = control.controller.answered(tracker.tag(), tracker.state(), tracker.is_settled());
        if let Some((number, answer)) = answered {
            let told = Told { id: TransactionId { link, number }, session: control.session, answer };
            cx.core.notices.push_back(Notice::Transaction(Box::new(told)));
        }
    }

    fn on_link_error(&mut self, cx: &mut Context<'_>, link: Link, error: &Error) {
        Self::lose(cx, link, Some(error));
    }

    fn on_link_closed(&mut self, cx: &mut Context<'_>, link: Link) {
        Self::lose(cx, link, None);
    }

    fn on_unhandled(&mut self, _: &mut Context<'_>, _: &super::Unhandled<'_>) {}
}
