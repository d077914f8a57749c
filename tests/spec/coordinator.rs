//! T, M: what a resource makes of transactions (§4). The resource is the broker of the examples.

use amqp1_engine::{
    message::Message,
    txn::{Request, TxnId},
};
use amqp1_examples::broker::{Broker, RunningBroker};
use amqp1_tests::{Socket, prelude::*};

mod acquiring;

const CONTROL: u32 = 0;
const IN: u32 = 1;
const OUT: u32 = 2;

/// A peer of a broker of its own that controls transactions, over a link of this source.
struct Controller {
    /// Dropped before the broker, which would wait for its close.
    peer: Peer<Socket>,
    broker: RunningBroker,
    /// Deliveries sent.
    sent: u32,
}

fn outcomes(names: &[&'static str]) -> Source {
    Source { outcomes: names.iter().map(|name| Symbol::from_static(name)).collect(), ..Source::default() }
}

fn controller() -> Controller {
    controller_of(Source::default())
}

/// A controller to which the message `x` was delivered, and its delivery-id.
#[track_caller]
fn delivered() -> (Controller, u32) {
    let mut controller = controller();
    controller.produce();
    controller.put("x");
    let out = controller.consume(OUT, 1);
    let (id, _) = controller.arrives(out, "x");
    controller.nothing_comes();
    (controller, id)
}

fn controller_of(source: Source) -> Controller {
    controller_at(Broker::start("127.0.0.1:0").unwrap(), source)
}

fn controller_at(broker: RunningBroker, source: Source) -> Controller {
    let mut peer = Peer::new(Socket::connect(broker.address().parse().unwrap()));
    peer.send_header();
    peer.send_all([open("container").into(), begin(0, 1_000, 1_000).into()]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { .. });
    let mut controller = Controller { peer, broker, sent: 0 };
    controller.attach_control("control", CONTROL, source);
    controller
}

impl Controller {
    fn attach_control(&mut self, name: &str, handle: u32, source: Source) {
        let target = Some(Box::new(TargetKind::Coordinator(Coordinator::default())));
        let source = Some(Box::new(source));
        self.peer.send(Attach { source, target, ..attach(name, handle, Role::Sender) });
        let target = expect!(self.peer, Attach { target: Some(target), .. } => target);
        let TargetKind::Coordinator(coordinator) = *target else { panic!("{target:?}") };
        let capabilities = [txn_capability::LOCAL_TRANSACTIONS, txn_capability::MULTI_TXNS_PER_SSN];
        assert_eq!(coordinator.capabilities, capabilities);
        expect!(self.peer, Flow { link_credit: Some(100), .. });
    }

    /// Sends over a link: the delivery-id.
    fn send(&mut self, transfer: Transfer, payload: impl Into<Bytes>) -> u32 {
        let id = self.sent;
        self.sent += 1;
        let transfer = Transfer {
            delivery_id: Some(Serial::new(id)),
            delivery_tag: Some(tag(id.to_be_bytes())),
            ..transfer
        };
        self.peer.send(transfer.with(payload));
        id
    }

    fn ask(&mut self, request: &Request) -> u32 {
        self.send(first(CONTROL, 0), request.payload())
    }

    #[track_caller]
    fn declare(&mut self) -> TxnId {
        let id = self.ask(&Request::Declare(Declare::default()));
        match self.answer(id) {
            DeliveryState::Declared(declared) => TxnId::new(&declared.txn_id).unwrap(),
            state => panic!("{state:?}"),
        }
    }

    fn ask_discharge(&mut self, txn_id: &[u8], fail: bool) -> u32 {
        let discharge = Discharge { fail: Some(fail), ..Discharge::new(txn_id.to_vec().into()) };
        self.ask(&Request::Discharge(discharge))
    }

    /// The outcome of a message, which is settled with it.
    #[track_caller]
    fn answer(&mut self, delivery_id: u32) -> DeliveryState {
        loop {
            let frame = self.peer.expect_frame("Disposition");
            match frame.performative {
                // Credit for the control link.
                Performative::Flow(flow) if flow.handle == Some(Handle(CONTROL)) => {}
                Performative::Disposition(told) => {
                    assert_eq!((told.role, told.settled), (Role::Receiver, true));
                    assert_eq!((told.first.get(), told.last), (delivery_id, None));
                    return told.state.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[track_caller]
    fn discharged(&mut self, txn_id: TxnId, fail: bool) {
        let id = self.ask_discharge(txn_id.as_bytes(), fail);
        assert_eq!(self.answer(id), DeliveryState::Accepted);
    }

    #[track_caller]
    fn rejected(&mut self, delivery_id: u32, condition: &Symbol) {
        let state = self.answer(delivery_id);
        let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
        assert_eq!(error.condition, *condition);
    }

    /// Attaches a producer to the queue.
    #[track_caller]
    fn produce(&mut self) {
        self.produce_with(attach("in", IN, Role::Sender));
    }

    #[track_caller]
    fn produce_with(&mut self, attach: Attach) {
        let target = Target { address: Some("q".into()), ..Target::default() };
        self.peer.send(Attach { target: Some(Box::new(target.into())), ..attach });
        expect!(self.peer, Attach { .. });
        expect!(self.peer, Flow { handle: Some(Handle(IN)), .. });
    }

    /// Attaches a consumer of the queue, with credit for so many messages: the broker's handle.
    #[track_caller]
    fn consume(&mut self, handle: u32, credit: u32) -> Handle {
        let theirs = self.consume_with(handle, SenderSettleMode::Mixed);
        self.grant(handle, 0, credit, None);
        theirs
    }

    /// Gives a consumer credit for so many messages more, after it has received some, by a flow with these properties.
    fn grant(&mut self, handle: u32, received: u32, credit: u32, properties: Option<Fields>) {
        let granted = self.flow(handle, received, credit, properties);
        self.peer.send(Flow { echo: true, ..granted });
    }

    fn flow(&self, handle: u32, received: u32, credit: u32, properties: Option<Fields>) -> Flow {
        Flow {
            next_incoming_id: Some(Serial::new(self.peer.received_transfers(0))),
            handle: Some(Handle(handle)),
            delivery_count: Some(Serial::new(received)),
            link_credit: Some(credit),
            properties,
            ..flow(1_000, self.peer.sent_transfers(0), 1_000)
        }
    }

    /// Attaches a consumer without credit: the broker's handle.
    #[track_caller]
    fn consume_with(&mut self, handle: u32, snd_settle_mode: SenderSettleMode) -> Handle {
        let source = Some(Source { address: Some("q".into()), ..Source::default() }.into());
        let name = format!("out {handle}");
        self.peer.send(Attach { source, snd_settle_mode, ..attach(&name, handle, Role::Receiver) });
        expect!(self.peer, Attach { handle, .. } => handle)
    }

    /// Nothing was sent to the consumer: its flow was answered, and that was all.
    #[track_caller]
    fn nothing_comes(&mut self) {
        expect!(self.peer, Flow { .. });
    }

    /// A message arrives at a consumer: its delivery-id, and how often its delivery has failed.
    #[track_caller]
    fn arrives(&mut self, at: Handle, text: &str) -> (u32, u32) {
        let frame = self.peer.expect_frame("Transfer");
        let Performative::Transfer(transfer) = &frame.performative else { panic!("{frame:?}") };
        assert_eq!((transfer.handle, &transfer.state), (at, &None));
        let message = Message::decode(&frame.payload).unwrap();
        assert_eq!(message.body.as_str(), Some(text));
        let failed = message.header.and_then(|header| header.delivery_count).unwrap_or(0);
        (transfer.delivery_id.unwrap().get(), failed)
    }

    fn post(&mut self, txn_id: TxnId, text: &str) -> u32 {
        let state = Some(txn_id.state(None));
        self.send(Transfer { state: state.map(Box::new), ..first(IN, 0) }, encoded(text))
    }

    #[track_caller]
    fn posted(&mut self, txn_id: TxnId, text: &str) {
        let id = self.post(txn_id, text);
        assert_eq!(self.answer(id), txn_id.state(Some(DeliveryState::Accepted)));
    }

    #[track_caller]
    fn put(&mut self, text: &str) {
        let id = self.send(first(IN, 0), encoded(text));
        assert_eq!(self.answer(id), DeliveryState::Accepted);
    }

    fn retire(&mut self, txn_id: TxnId, delivery_id: u32, settled: bool) {
        let state = Some(txn_id.state(Some(DeliveryState::Accepted)));
        self.peer.send(Disposition { settled, state, ..disposition(Role::Receiver, delivery_id) });
    }

    fn settle(&mut self, delivery_id: u32, state: DeliveryState) {
        self.peer.send(settled(Role::Receiver, delivery_id, state));
    }

    #[track_caller]
    fn detached(&mut self, handle: u32, condition: &Symbol) {
        let error = expect!(self.peer, Detach { handle: at, closed: true, error: Some(error), .. }
            if at == Handle(handle) => error);
        assert_eq!(error.condition, *condition);
        self.peer.send(Detach { closed: true, ..detach(handle) });
    }
}

fn encoded(message: impl Into<Message>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.into().encode(&mut bytes);
    bytes
}

//= 4.4-02 4.4.1-05 4.4.1-06 4.4.4.1-03 4.4.4.1-04 4.5.7-01
#[test]
fn t_04_messages_posted_become_available_when_the_transaction_commits() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    controller.posted(txn_id, "1");
    controller.posted(txn_id, "2");
    let out = controller.consume(OUT, 10);
    controller.nothing_comes();
    let id = controller.send(first(IN, 0), encoded("of no transaction"));
    controller.arrives(out, "of no transaction");
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
    let id = controller.ask_discharge(txn_id.as_bytes(), false);
    controller.arrives(out, "1");
    controller.arrives(out, "2");
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
}

//= 4.3-05
#[test]
fn t_04_messages_posted_are_gone_when_the_transaction_is_rolled_back() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    controller.posted(txn_id, "never");
    controller.discharged(txn_id, true);
    controller.put("plain");
    let out = controller.consume(OUT, 10);
    controller.arrives(out, "plain");
    controller.nothing_comes();
}

//= 4.4.2-04
#[test]
fn t_04_outcomes_apply_when_the_transaction_commits() {
    let mut controller = controller();
    controller.produce();
    controller.put("1");
    controller.put("2");
    let out = controller.consume(OUT, 2);
    let (one, _) = controller.arrives(out, "1");
    let (two, _) = controller.arrives(out, "2");
    controller.nothing_comes();
    let txn_id = controller.declare();
    controller.retire(txn_id, one, false);
    controller.retire(txn_id, two, false);
    let id = controller.ask_discharge(txn_id.as_bytes(), false);
    expect!(controller.peer, Disposition { role: Role::Sender, first, last: Some(last), settled: true, .. }
        if (first.get(), last.get()) == (one, two));
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
    controller.peer.send(Detach { closed: true, ..detach(OUT) });
    expect!(controller.peer, Detach { .. });
    controller.consume(OUT + 1, 2);
    controller.nothing_comes();
}

//= 4.4.2-05 4.4.4.2-01
#[test]
fn t_04_after_a_rollback_what_was_retired_is_acquired_still() {
    let (mut controller, id) = delivered();
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    controller.discharged(txn_id, true);
    let next = controller.consume(OUT + 1, 1);
    controller.nothing_comes();
    // In a transaction again, and then without.
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    controller.peer.send(settled(Role::Receiver, id, DeliveryState::Released));
    assert_eq!(controller.arrives(next, "x").1, 0);
    controller.discharged(txn_id, false);
}

//= 4.4.4.2-02
#[test]
fn t_04_after_a_rollback_what_its_controller_has_settled_gets_the_default_outcome() {
    let (mut controller, id) = delivered();
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    let txn_id = controller.declare();
    controller.retire(txn_id, id, true);
    let asked = controller.ask_discharge(txn_id.as_bytes(), true);
    let (id, failed) = controller.arrives(next, "x");
    assert_eq!(failed, 1);
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    // The same told in two steps, and committed.
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    controller.peer.send(Disposition { settled: true, ..disposition(Role::Receiver, id) });
    controller.discharged(txn_id, false);
    controller.consume(OUT + 2, 1);
    controller.nothing_comes();
}

#[test]
fn t_04_after_a_rollback_a_message_may_be_settled_without_an_outcome() {
    let (mut controller, id) = delivered();
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    controller.discharged(txn_id, true);
    let next = controller.consume(OUT + 1, 1);
    controller.nothing_comes();
    controller.peer.send(Disposition { settled: true, ..disposition(Role::Receiver, id) });
    assert_eq!(controller.arrives(next, "x").1, 1, "the default outcome");
}

//= 4.4.4.2-02
#[test]
fn t_04_what_is_settled_in_a_transaction_without_an_outcome_gets_the_default_outcome() {
    let (mut controller, id) = delivered();
    let next = controller.consume(OUT + 1, 1);
    controller.nothing_comes();
    let txn_id = controller.declare();
    controller.settle(id, txn_id.state(None));
    assert_eq!(controller.arrives(next, "x").1, 1);
    controller.discharged(txn_id, false);
}

//= 4.4.4.2-02
#[test]
fn t_04_what_is_settled_in_an_unknown_transaction_is_decided_by_the_one_before() {
    let unknown = DeliveryState::Transactional(Box::new(TransactionalState {
        txn_id: Bytes::from_static(b"unknown"),
        outcome: Some(DeliveryState::Accepted),
    }));
    let (mut controller, id) = delivered();
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    // Told of together, the first would be overtaken by the second.
    controller.declare();
    controller.settle(id, unknown.clone());
    let asked = controller.ask_discharge(txn_id.as_bytes(), true);
    let (id, failed) = controller.arrives(next, "x");
    assert_eq!(failed, 1);
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    // The same, committed.
    let txn_id = controller.declare();
    controller.retire(txn_id, id, false);
    controller.declare();
    controller.settle(id, unknown.clone());
    controller.discharged(txn_id, false);
    // Of no transaction before, it gets the default outcome.
    let put = controller.send(first(IN, 0), encoded("y"));
    let (id, _) = controller.arrives(next, "y");
    assert_eq!(controller.answer(put), DeliveryState::Accepted);
    let third = controller.consume(OUT + 2, 2);
    controller.nothing_comes();
    controller.settle(id, unknown);
    assert_eq!(controller.arrives(third, "y").1, 1);
}

//= 4.4.2-03 4.4.4.2-02
#[test]
fn t_04_what_is_settled_in_another_transaction_gets_the_default_outcome_of_the_first() {
    let (mut controller, id) = delivered();
    let next = controller.consume(OUT + 1, 1);
    controller.nothing_comes();
    controller.attach_control("other", OUT + 2, Source::default());
    let before = controller.declare();
    controller.retire(before, id, false);
    let other = controller.send(first(OUT + 2, 0), Request::Declare(Declare::default()).payload());
    let DeliveryState::Declared(other) = controller.answer(other) else { panic!("not declared") };
    controller.retire(TxnId::new(&other.txn_id).unwrap(), id, true);
    controller.detached(OUT + 2, &condition::TRANSACTION_ROLLBACK);
    let asked = controller.ask_discharge(before.as_bytes(), true);
    assert_eq!(controller.arrives(next, "x").1, 1);
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

//= 4.4.2-04
#[test]
fn t_04_what_is_told_anew_or_of_no_transaction_leaves_the_rest_in_its_order() {
    let mut controller = controller();
    controller.produce();
    for text in ["1", "2", "3", "4"] {
        controller.put(text);
    }
    let out = controller.consume(OUT, 4);
    let [one, two, three, four] = ["1", "2", "3", "4"].map(|text| controller.arrives(out, text).0);
    controller.nothing_comes();
    let txn_id = controller.declare();
    controller.posted(txn_id, "a");
    controller.retire(txn_id, one, false);
    controller.retire(txn_id, two, false);
    controller.posted(txn_id, "b");
    controller.retire(txn_id, three, false);
    controller.retire(txn_id, four, false);
    controller.posted(txn_id, "c");
    // One is taken back from the transaction; of those behind it, one is retired otherwise, and one is settled.
    let next = controller.consume(OUT + 1, 10);
    controller.nothing_comes();
    controller.peer.send(settled(Role::Receiver, one, DeliveryState::Released));
    controller.arrives(next, "1");
    let state = Some(txn_id.state(Some(DeliveryState::Released)));
    controller.peer.send(Disposition { state, ..disposition(Role::Receiver, three) });
    controller.peer.send(Disposition { settled: true, ..disposition(Role::Receiver, four) });
    let asked = controller.ask_discharge(txn_id.as_bytes(), false);
    for text in ["3", "a", "b", "c"] {
        controller.arrives(next, text);
    }
    expect!(controller.peer, Disposition { role: Role::Sender, first, last: Some(last), settled: true, .. }
        if (first.get(), last.get()) == (two, three));
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

#[test]
fn t_04_what_was_retired_stays_with_its_transaction_when_the_consumer_leaves() {
    let mut controller = controller();
    controller.produce();
    controller.put("1");
    controller.put("2");
    let out = controller.consume(OUT, 2);
    let ids = ["1", "2"].map(|text| controller.arrives(out, text).0);
    controller.nothing_comes();
    let txn_ids = ids.map(|id| {
        let txn_id = controller.declare();
        controller.retire(txn_id, id, false);
        txn_id
    });
    controller.peer.send(Detach { closed: true, ..detach(OUT) });
    expect!(controller.peer, Detach { .. });
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    controller.discharged(txn_ids[0], false);
    let asked = controller.ask_discharge(txn_ids[1].as_bytes(), true);
    controller.arrives(next, "2");
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

//= 4.5.7-04
#[test]
fn t_04_transactions_of_a_session_are_apart() {
    let mut controller = controller();
    controller.produce();
    let [a, b] = [controller.declare(), controller.declare()];
    assert_ne!(a, b);
    controller.posted(a, "a");
    controller.posted(b, "b");
    controller.discharged(a, true);
    controller.discharged(b, false);
    let out = controller.consume(OUT, 2);
    controller.arrives(out, "b");
    controller.nothing_comes();
}

//= 4.4.4.1-07
#[test]
fn t_04_what_is_not_settled_shows_the_outcome_that_was_applied() {
    let mut controller = controller();
    let rcv_settle_mode = ReceiverSettleMode::Second;
    controller.produce_with(Attach { rcv_settle_mode, ..attach("in", IN, Role::Sender) });
    let txn_id = controller.declare();
    let id = controller.post(txn_id, "x");
    let unsettled = |state| Disposition { state: Some(state), ..disposition(Role::Receiver, id) };
    controller.peer.expect(unsettled(txn_id.state(Some(DeliveryState::Accepted))));
    let asked = controller.ask_discharge(txn_id.as_bytes(), false);
    controller.peer.expect(unsettled(DeliveryState::Accepted));
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

//= 4.2-06 4.3-01
#[test]
fn m6_a_settled_request_detaches() {
    for request in
        [Request::Declare(Declare::default()), Request::Discharge(Discharge::new(Bytes::from_static(b"any")))]
    {
        let mut controller = controller();
        controller.send(Transfer { settled: Some(true), ..first(CONTROL, 0) }, request.payload());
        controller.detached(CONTROL, &condition::NOT_ALLOWED);
        controller.attach_control("again", CONTROL, Source::default());
        controller.declare();
    }
}

//= 4.2-07 4.2-08 4.3-02 4.3-03
#[test]
fn m6_a_message_that_is_no_request_is_rejected() {
    for source in [Source::default(), outcomes(&["amqp:accepted:list", "amqp:rejected:list"])] {
        let mut controller = controller_of(source);
        let id = controller.send(first(CONTROL, 0), encoded("declare"));
        controller.rejected(id, &condition::NOT_IMPLEMENTED);
        let id = controller.send(first(CONTROL, 0), "declare");
        controller.rejected(id, &condition::DECODE_ERROR);
        let global_id = Some(Value::from("global"));
        let id = controller.ask(&Request::Declare(Declare { global_id }));
        controller.rejected(id, &condition::NOT_IMPLEMENTED);
        controller.declare();
    }
}

//= 4.2-09 4.3-04
#[test]
fn m6_where_the_source_knows_no_rejection_the_control_link_is_detached() {
    let mut controller = controller_of(outcomes(&["amqp:accepted:list", "amqp:declared:list"]));
    let declare = Declare { global_id: Some(Value::from("global")) };
    controller.ask(&Request::Declare(declare));
    controller.detached(CONTROL, &condition::NOT_IMPLEMENTED);
    let mut controller = controller_of(outcomes(&["amqp:accepted:list", "amqp:declared:list"]));
    controller.declare();
    controller.ask_discharge(b"unknown", false);
    controller.detached(CONTROL, &condition::TRANSACTION_UNKNOWN_ID);
}

//= 4.5.8-01
#[test]
fn m7_an_unknown_transaction() {
    for txn_id in [&b"unknown"[..], &[7; 33], &[0; 8], b""] {
        let mut controller = controller();
        controller.produce();
        let id = controller.ask_discharge(txn_id, false);
        controller.rejected(id, &condition::TRANSACTION_UNKNOWN_ID);
        let state = TransactionalState::new(txn_id.to_vec().into());
        let state = Some(DeliveryState::Transactional(Box::new(state)));
        let id = controller.send(Transfer { state: state.map(Box::new), ..first(IN, 0) }, encoded("never"));
        controller.rejected(id, &condition::TRANSACTION_UNKNOWN_ID);
        controller.put("x");
        let out = controller.consume(OUT, 2);
        let (id, _) = controller.arrives(out, "x");
        controller.nothing_comes();
        let state =
            TransactionalState { txn_id: txn_id.to_vec().into(), outcome: Some(DeliveryState::Accepted) };
        let state = Some(DeliveryState::Transactional(Box::new(state)));
        controller.peer.send(Disposition { state, ..disposition(Role::Receiver, id) });
        controller.detached(OUT, &condition::TRANSACTION_UNKNOWN_ID);
        let next = controller.consume(OUT + 1, 1);
        controller.arrives(next, "x");
    }
}

//= 4.4.1-03 4.4.1-04
#[test]
fn m7_a_discharge_over_a_partial_delivery_ends_the_control_link() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    controller.posted(txn_id, "never");
    let state = Some(txn_id.state(None));
    let begun = Transfer { state: state.clone().map(Box::new), more: true, ..first(IN, 0) };
    let message = encoded("never either");
    controller.send(begun, message[..5].to_vec());
    controller.ask_discharge(txn_id.as_bytes(), false);
    controller.detached(CONTROL, &condition::TRANSACTION_ROLLBACK);
    controller.peer.send(Transfer { state: state.map(Box::new), ..transfer(IN) }.with(message[5..].to_vec()));
    controller.rejected(controller.sent - 2, &condition::TRANSACTION_UNKNOWN_ID);
    controller.consume(OUT, 2);
    controller.nothing_comes();
    // Given up, a message does not keep a transaction from being discharged.
    controller.attach_control("again", CONTROL, Source::default());
    let txn_id = controller.declare();
    let state = Some(txn_id.state(None));
    controller
        .send(Transfer { state: state.map(Box::new), more: true, ..first(IN, 0) }, message[..5].to_vec());
    controller.peer.send(Transfer { aborted: true, ..transfer(IN) });
    controller.discharged(txn_id, false);
}

//= 4.4.2-03
#[test]
fn m7_an_outcome_in_two_transactions_ends_the_control_link() {
    let (mut controller, id) = delivered();
    let [a, b] = [controller.declare(), controller.declare()];
    controller.retire(a, id, false);
    // Told of together, the first would be overtaken by the second.
    controller.declare();
    controller.retire(b, id, false);
    controller.detached(CONTROL, &condition::TRANSACTION_ROLLBACK);
}

#[test]
fn m8_there_are_not_too_many_transactions() {
    let mut controller = controller();
    for _ in 0..100 {
        controller.declare();
    }
    for _ in 0..1_000 {
        let id = controller.ask(&Request::Declare(Declare::default()));
        controller.rejected(id, &condition::RESOURCE_LIMIT_EXCEEDED);
    }
}

#[test]
fn m8_transactions_are_rolled_back_with_their_control_link_session_or_connection() {
    let begun = || {
        let (mut controller, id) = delivered();
        let txn_id = controller.declare();
        controller.posted(txn_id, "never");
        controller.retire(txn_id, id, false);
        (controller, txn_id, id)
    };
    // The control link is closed: the message stays with its consumer.
    let (mut controller, txn_id, id) = begun();
    controller.peer.send(Detach { closed: true, ..detach(CONTROL) });
    expect!(controller.peer, Detach { handle: Handle(CONTROL), closed: true, error: None });
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    let posted = controller.post(txn_id, "never");
    controller.rejected(posted, &condition::TRANSACTION_UNKNOWN_ID);
    controller.peer.send(settled(Role::Receiver, id, DeliveryState::Released));
    controller.arrives(next, "x");

    // The session, or the connection: it goes to others.
    for cut in [false, true] {
        let (mut controller, _, _) = begun();
        let address = controller.broker.address().parse().unwrap();
        if cut {
            controller.peer.shut();
        } else {
            controller.peer.send(End { error: None });
            expect!(controller.peer, End { .. });
        }
        let mut peer = Peer::new(Socket::connect(address));
        peer.send_header();
        peer.send_all([open("other").into(), begin(0, 1_000, 1_000).into()]);
        peer.expect_header();
        expect!(peer, Open { .. });
        expect!(peer, Begin { .. });
        let Controller { peer: gone, broker, .. } = controller;
        drop(gone);
        let mut other = Controller { peer, broker, sent: 0 };
        other.consume(OUT, 10);
        let mut frame = other.peer.expect_frame("Transfer or Flow");
        if matches!(frame.performative, Performative::Flow(_)) {
            frame = other.peer.expect_frame("Transfer");
        }
        let message = Message::decode(&frame.payload).unwrap();
        assert_eq!(message.body.as_str(), Some("x"));
        assert_eq!(message.header.unwrap().delivery_count, Some(1));
    }
}

//= 4.4.4.1-01 4.4.4.1-02
#[test]
fn what_cannot_be_taken_and_is_settled_lets_no_transaction_commit() {
    let mut controller = controller();
    controller.peer.send(attach("to all queues", IN, Role::Sender));
    expect!(controller.peer, Attach { .. });
    expect!(controller.peer, Flow { .. });
    for fail in [false, true] {
        let txn_id = controller.declare();
        let state = Some(txn_id.state(None));
        let lost = Transfer { state: state.map(Box::new), settled: Some(true), ..first(IN, 0) };
        controller.send(lost, encoded("to nowhere"));
        let id = controller.ask_discharge(txn_id.as_bytes(), fail);
        if fail {
            assert_eq!(controller.answer(id), DeliveryState::Accepted);
        } else {
            controller.rejected(id, &condition::TRANSACTION_ROLLBACK);
        }
    }
    // Unsettled, its sender hears of it before.
    let txn_id = controller.declare();
    let id = controller.post(txn_id, "to nowhere");
    let state = controller.answer(id);
    let DeliveryState::Transactional(state) = state else { panic!("{state:?}") };
    assert!(matches!(state.outcome, Some(DeliveryState::Rejected(Some(_)))), "{state:?}");
    controller.discharged(txn_id, false);
}

//= 4.4.4.1-03 4.4.4.1-05
#[test]
fn what_is_refused_with_its_link_lets_no_transaction_commit() {
    let not_understood = || Message::from("x").with_annotation(Symbol::from_static("x-exchange"), 1u8);
    let cases = [
        (Source::default(), encoded(not_understood()), condition::NOT_IMPLEMENTED),
        (outcomes(&["amqp:accepted:list"]), b"no message".to_vec(), condition::DECODE_ERROR),
    ];
    for (source, message, why) in cases {
        for (fail, is_answered) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut controller = controller();
            let source = Some(source.clone().into());
            controller.produce_with(Attach { source, ..attach("in", IN, Role::Sender) });
            let txn_id = controller.declare();
            controller.posted(txn_id, "never");
            let state = Some(Box::new(txn_id.state(None)));
            controller.send(Transfer { state, ..first(IN, 0) }, message.clone());
            let error = expect!(controller.peer, Detach { closed: true, error: Some(error), .. } => error);
            assert_eq!(error.condition, why);
            if is_answered {
                controller.peer.send(Detach { closed: true, ..detach(IN) });
            }
            let id = controller.ask_discharge(txn_id.as_bytes(), fail);
            if fail {
                assert_eq!(controller.answer(id), DeliveryState::Accepted);
            } else {
                controller.rejected(id, &condition::TRANSACTION_ROLLBACK);
            }
            controller.consume(OUT, 1);
            controller.nothing_comes();
        }
    }
}

//= 4.4.4.1-05 4.4.4.1-06
#[test]
fn a_transaction_whose_queue_is_gone_does_not_commit() {
    let mut controller = controller();
    let source = Source { dynamic: true, ..Source::default() };
    controller.peer.send(Attach { source: Some(source.into()), ..attach("owner", OUT, Role::Receiver) });
    let source = expect!(controller.peer, Attach { source: Some(source), .. } => source);
    let target = Target { address: source.address, ..Target::default() };
    controller.peer.send(Attach { target: Some(Box::new(target.into())), ..attach("in", IN, Role::Sender) });
    expect!(controller.peer, Attach { .. });
    expect!(controller.peer, Flow { .. });
    let txn_id = controller.declare();
    controller.posted(txn_id, "never");
    controller.peer.send(Detach { closed: true, ..detach(OUT) });
    expect!(controller.peer, Detach { error: None, .. });
    let error = expect!(controller.peer, Detach { closed: true, error: Some(error), .. } => error);
    assert_eq!(error.condition, condition::RESOURCE_DELETED);
    controller.peer.send(Detach { closed: true, ..detach(IN) });
    let id = controller.ask_discharge(txn_id.as_bytes(), false);
    controller.rejected(id, &condition::TRANSACTION_ROLLBACK);
}
