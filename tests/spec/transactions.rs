//! M: transactions (§4), as their controller writes them, and what an engine does for either side.

use std::any::Any;

use amqp1_engine::{
    container::{
        Address, ConnectionId, ConnectionOptions, Context, Delivery, DeliveryId, Handler, Knobs, Name,
        Object, Prefetch, ReceiverId, Security, SendRefused, SenderId, Tracker, TransactionId, Unhandled,
    },
    message::Message,
    txn::{Request, TxnId},
};
use amqp1_tests::{Contained, Task, prelude::*};

mod acquiring;

fn id(id: &[u8]) -> TxnId {
    TxnId::new(id).unwrap()
}

/// The state of a delivery that has this outcome if the transaction `t` commits.
fn presumed(outcome: DeliveryState) -> DeliveryState {
    id(b"t").state(Some(outcome))
}

//= 4.4.1-01 4.4.1-02
#[test]
fn t_02_each_transfer_of_a_message_posted_names_the_transaction() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let mut linked = Linked::new(peer);
        linked.grant(10);
        let long_id = id(&[7; 32]);
        let posted = linked.engine_sender().post(long_id, tag(b"a"), false, 0, vec![1; 1_000]).unwrap();
        let mut payload = Vec::new();
        loop {
            let frame = linked.expect_frame("Transfer");
            assert!(frame.encode().len() <= 512);
            let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
            assert_eq!(transfer.state, Some(long_id.state(None).into()));
            payload.extend_from_slice(&frame.payload);
            if !transfer.more {
                break;
            }
        }
        assert_eq!(payload, [1; 1_000]);
        linked.engine_sender().post(id(b"t"), tag(b"b"), true, 7, "x").unwrap();
        let message_format = Some(7);
        expect!(linked, Transfer { settled: Some(true), message_format: format, state: Some(state), .. }
            if format == message_format && *state == id(b"t").state(None));
        // A plain message after it is of no transaction.
        linked.engine_sender().send(tag(b"c"), true, "x").unwrap();
        expect!(linked, Transfer { state: None, .. });
        let state = long_id.state(Some(DeliveryState::Accepted));
        linked.send(settled(Role::Receiver, posted.number().get(), state.clone()).on(NEAR.peer));
        linked.expect_event(Event::Updated(posted));
        assert_eq!(linked.engine_session().in_transaction(Role::Sender, long_id), [posted]);
        assert_eq!(linked.engine_session().in_transaction(Role::Sender, id(b"t")), []);
        assert_eq!(linked.engine_sender().settle(posted, None), Ok(Some(state)));
        linked.session_is_fine();
    });
}

#[test]
fn t_02_a_message_posted_waits_for_the_window_and_names_the_transaction_still() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        let flow = Flow { incoming_window: 1, ..linked.flow() };
        linked.send(flow.on(NEAR.peer));
        let size = 400_000;
        linked.engine_sender().post(id(b"t"), tag(b"a"), true, 0, vec![0; size]).unwrap();
        expect!(linked, Transfer { more: true, state: Some(_), .. });
        linked.silent();
        let refused = linked.engine_sender().post(id(b"t"), tag(b"b"), true, 0, "x");
        assert_eq!(refused, Err(SendError::Blocked(Blocked::Unfinished)));
        let flow = linked.flow();
        linked.send(flow.on(NEAR.peer));
        loop {
            let more = expect!(linked, Transfer { more, state: Some(_), .. } => more);
            if !more {
                break;
            }
        }
        linked.events();
        linked.session_is_fine();
    });
}

//= 4.4.1-05 4.4.1-06
#[test]
fn t_04_a_message_posted_is_answered_with_the_outcome_it_will_have() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(2);
        let state = id(b"t").state(None);
        for number in 0..2 {
            let transfer = Transfer { state: Some(state.clone().into()), ..first(NEAR.peer_sender, number) };
            linked.send(transfer.on(NEAR.peer).with("x"));
        }
        let (first, _) = linked.delivery();
        let (second, _) = linked.delivery();
        let told =
            |linked: &mut Linked| linked.engine_receiver().delivery(first).unwrap().remote_state().cloned();
        assert_eq!(told(&mut linked), Some(state));
        let mut presume = |id, outcome| {
            let delivery = linked.engine().delivery_mut(id).unwrap();
            delivery.presume(TxnId::new(b"t").unwrap(), outcome)
        };
        assert_eq!(presume(first, id(b"u").state(None)), Err(Misuse::StateNotAllowed));
        assert_eq!(presume(first, DeliveryState::Accepted), Ok(()));
        assert_eq!(presume(second, DeliveryState::Accepted), Ok(()));
        assert_eq!(linked.engine().delivery_mut(first).err(), Some(Misuse::Gone), "it is settled");
        let both = Disposition {
            last: Some(Serial::new(1)),
            ..settled(Role::Receiver, 0, presumed(DeliveryState::Accepted))
        };
        linked.expect(both.on(NEAR.engine));
        linked.session_is_fine();
    });
}

#[test]
fn t_04_where_the_receiver_settles_second_the_outcome_follows_the_discharge() {
    each_way(|way| {
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), |link| LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            ..link
        });
        linked.credit(1);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        let (delivery, _) = linked.delivery();
        linked.engine().delivery_mut(delivery).unwrap().presume(id(b"t"), DeliveryState::Accepted).unwrap();
        let unsettled = |state| Disposition { settled: false, ..settled(Role::Receiver, 0, state) };
        linked.expect(unsettled(presumed(DeliveryState::Accepted)).on(NEAR.engine));
        assert_eq!(linked.engine_session().in_transaction(Role::Receiver, id(b"t")), [delivery]);
        linked.engine_receiver().accept(delivery).unwrap();
        linked.expect(unsettled(DeliveryState::Accepted).on(NEAR.engine));
        let presumed =
            linked.engine().delivery_mut(delivery).unwrap().presume(id(b"t"), DeliveryState::Released);
        assert_eq!(presumed, Err(Misuse::StateNotAllowed));
        linked.send(settled(Role::Sender, 0, DeliveryState::Accepted).on(NEAR.peer));
        linked.expect_event(Event::Updated(delivery));
        linked.session_is_fine();
    });
}

#[test]
fn dispositions_may_be_written_before_what_is_sent_next() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        linked.credit(1);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        let (delivery, _) = linked.delivery();
        linked.engine_receiver().update(delivery, presumed(DeliveryState::Accepted)).unwrap();
        linked.engine_session().write_dispositions();
        linked.engine_sender().send(tag(b"a"), true, "discharge").unwrap();
        expect!(linked, Disposition { settled: false, .. });
        expect!(linked, Transfer { .. });
        linked.session_is_fine();
    });
}

/// A controller that does what it is told, and notes what it is told of.
#[derive(Default)]
struct Program {
    connection: Option<ConnectionId>,
    sender: Option<SenderId>,
    acquiring: Option<ReceiverId>,
    auto_accept: bool,
    received: Vec<DeliveryId>,
    declared: Vec<TransactionId>,
    log: Vec<String>,
}

impl Handler for Program {
    fn knobs(&self) -> Knobs {
        Knobs { auto_accept: self.auto_accept, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let options = ConnectionOptions { security: Security::None, ..ConnectionOptions::default() };
        let connection = cx.connect_with(Address::new("localhost", 1), options);
        self.connection = Some(connection);
        self.sender = Some(cx.create_sender(connection, ("q", Name("out"))));
        cx.create_receiver(connection, ("q", Name("in"), Prefetch(3)));
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received.push(delivery.id());
    }

    fn on_delivery_updated(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        let state = match tracker.state() {
            Some(DeliveryState::Transactional(state)) => format!("presumed {:?}", state.outcome),
            state => format!("{state:?}"),
        };
        self.log.push(format!("{state}{}", if tracker.is_settled() { " settled" } else { "" }));
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        (event.downcast::<Task<Self>>().unwrap())(self, cx);
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.log.push(match event {
            Unhandled::TransactionDeclared(id) => {
                self.declared.push(*id);
                "declared".into()
            }
            Unhandled::TransactionCommitted(_) => "committed".into(),
            Unhandled::TransactionAborted(_, None) => "aborted".into(),
            Unhandled::TransactionAborted(_, Some(error)) => format!("aborted {}", error.condition),
            Unhandled::TransactionDeclareFailed(_, error) => format!("not declared {}", error.condition),
            Unhandled::TransactionCommitFailed(_, error) => format!("not committed {}", error.condition),
            Unhandled::LinkError(_, error) => format!("link error {}", error.condition),
            Unhandled::LinkClosed(_) => "link closed".into(),
            Unhandled::SessionClosed(_) => "session closed".into(),
            Unhandled::Recovering(Object::Session(_), _) => "session recovers".into(),
            Unhandled::Disconnected(..) => "disconnected".into(),
            _ => return,
        });
        Default.on_unhandled(cx, event);
    }
}

/// What is done with an event where nobody says otherwise.
struct Default;

impl Handler for Default {}

/// A peer of a [`Program`], whose links are attached: a sender with ten credits and a receiver.
struct Scripted(Peer<Contained<Program>>);

const OUT: u32 = 0;
const IN: u32 = 1;
const CONTROL: u32 = 2;

impl Scripted {
    fn new() -> Self {
        let mut peer = Peer::new(Contained::new(Program::default()));
        peer.begin_as_asked(1_000);
        expect!(peer, Attach { role: Role::Sender, handle: Handle(OUT), .. });
        expect!(peer, Attach { role: Role::Receiver, handle: Handle(IN), .. });
        expect!(peer, Flow { handle: Some(Handle(IN)), link_credit: Some(3), .. });
        peer.send_all([attach("out", OUT, Role::Receiver).into(), attach("in", IN, Role::Sender).into()]);
        let mut scripted = Self(peer);
        scripted.grant(OUT, 10);
        scripted
    }

    fn grant(&mut self, handle: u32, credit: u32) {
        let flow = Flow {
            next_incoming_id: Some(Serial::new(self.0.received_transfers(0))),
            handle: Some(Handle(handle)),
            delivery_count: Some(Serial::new(0)),
            link_credit: Some(credit),
            ..flow(1_000, self.0.sent_transfers(0), 1_000)
        };
        self.0.send(flow);
    }

    fn declare(&mut self) {
        self.0.run(|program, cx| _ = cx.declare_transaction(program.connection.unwrap()));
    }

    /// Attaches the control link.
    #[track_caller]
    fn answer_control(&mut self) {
        let asked = self.0.expect_frame("Attach of the control link");
        let Performative::Attach(asked) = asked.performative else { panic!("{asked:?}") };
        assert_eq!((asked.handle, asked.role), (Handle(CONTROL), Role::Sender));
        let capabilities = [txn_capability::LOCAL_TRANSACTIONS, txn_capability::MULTI_TXNS_PER_SSN];
        let coordinator = Coordinator { capabilities: capabilities.into() };
        assert_eq!(asked.target.as_deref(), Some(&TargetKind::Coordinator(coordinator)));
        assert_eq!(asked.snd_settle_mode, SenderSettleMode::Unsettled);
        let outcomes = asked.source.unwrap().outcomes;
        assert!(outcomes.contains(&Symbol::from_static("amqp:rejected:list")));
        self.0.send(Attach { target: asked.target, ..attach(&asked.name, CONTROL, Role::Receiver) });
        self.grant(CONTROL, 10);
    }

    /// Expects a message to the coordinator: its delivery-id.
    #[track_caller]
    fn request(&mut self, expected: &Request) -> u32 {
        let frame = self.0.expect_frame("a message to the coordinator");
        assert_eq!(frame.payload, expected.payload());
        let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
        assert_eq!((transfer.handle, transfer.state), (Handle(CONTROL), None));
        assert_eq!(transfer.settled, Some(false));
        transfer.delivery_id.unwrap().get()
    }

    #[track_caller]
    fn answer(&mut self, delivery_id: u32, state: DeliveryState) {
        self.0.send(settled(Role::Receiver, delivery_id, state));
    }

    /// Has a transaction of this id declared: the first on the connection, or a further one.
    #[track_caller]
    fn open(&mut self, txn_id: &'static [u8]) {
        self.declare();
        if self.0.handler().declared.is_empty() {
            self.answer_control();
        }
        let asked = self.request(&Request::Declare(Declare::default()));
        self.answer(asked, DeliveryState::Declared(Box::new(Declared::new(txn_id.into()))));
        self.log(&["declared"]);
    }

    /// Commits a transaction or rolls it back: the delivery-id of the discharge.
    #[track_caller]
    fn discharge(&mut self, index: usize, txn_id: &'static [u8], fail: bool) -> u32 {
        self.start_discharge(index, fail);
        self.discharge_of(txn_id, fail)
    }

    /// Expects the message that commits a transaction or rolls it back: its delivery-id.
    #[track_caller]
    fn discharge_of(&mut self, txn_id: &'static [u8], fail: bool) -> u32 {
        self.request(&Request::Discharge(Discharge { fail: Some(fail), ..Discharge::new(txn_id.into()) }))
    }

    fn start_discharge(&mut self, index: usize, fail: bool) {
        self.0.run(move |program, cx| {
            let transaction = cx.transaction(program.declared[index]).unwrap();
            if fail { transaction.abort() } else { transaction.commit() }.unwrap();
        });
    }

    /// What was noted since.
    #[track_caller]
    fn log(&mut self, expected: &[&str]) {
        let log = std::mem::take(&mut self.0.handler().log);
        assert_eq!(log, expected);
    }

    /// A message arrives, and is not settled.
    fn message(&mut self, delivery_id: u32) {
        self.0.send(first(IN, delivery_id).with(encoded(&Message::from("x"))));
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn rejected(condition: Symbol) -> DeliveryState {
    DeliveryState::Rejected(Some(Box::new(amqp1_engine::types::Error::new(condition))))
}

//= 4.2-02 4.2-03 4.2-05 4.2-10 4.3-01 4.4.1-01 4.5.2-02
#[test]
fn t_02_a_message_is_posted_and_committed() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    scripted.0.run(|program, cx| {
        let sender = program.sender.unwrap();
        let mut transaction = cx.transaction(program.declared[0]).unwrap();
        transaction.send(sender, &Message::from("x")).unwrap();
    });
    let frame = scripted.0.expect_frame("Transfer");
    assert_eq!(frame.payload, encoded(&Message::from("x")));
    let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
    assert_eq!((transfer.handle, transfer.state), (Handle(OUT), Some(id(b"t").state(None).into())));
    scripted.answer(1, presumed(DeliveryState::Accepted));
    scripted.log(&["presumed Some(Accepted) settled"]);
    let asked = scripted.discharge(0, b"t", false);
    scripted.log(&[]);
    scripted.answer(asked, DeliveryState::Accepted);
    scripted.log(&["committed"]);
    scripted.0.run(|program, cx| {
        assert_eq!(cx.transaction(program.declared[0]).err(), Some(Misuse::Gone));
    });
    scripted.0.silent();
    assert_eq!(scripted.0.failure(), None);
}

//= 4.4.4.1-09
#[test]
fn what_the_resource_leaves_unsettled_is_settled_after_the_discharge() {
    for fail in [false, true] {
        let mut scripted = Scripted::new();
        scripted.open(b"t");
        scripted.0.run(|program, cx| {
            let sender = program.sender.unwrap();
            cx.transaction(program.declared[0]).unwrap().send(sender, &Message::from("x")).unwrap();
        });
        expect!(scripted.0, Transfer { .. });
        let state = presumed(DeliveryState::Accepted);
        scripted.0.send(Disposition { settled: false, ..settled(Role::Receiver, 1, state) });
        scripted.log(&["presumed Some(Accepted)"]);
        scripted.0.silent();
        let asked = scripted.discharge(0, b"t", fail);
        scripted.answer(asked, DeliveryState::Accepted);
        scripted.log(&[if fail { "aborted" } else { "committed" }]);
        expect!(scripted.0, Disposition { role: Role::Sender, first, settled: true, .. } if first == Serial::new(1));
        scripted.0.silent();
    }
}

#[test]
fn t_02_outcomes_are_told_before_the_discharge_and_apply_with_it() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    (0..3).for_each(|number| scripted.message(number));
    expect!(scripted.0, Flow { handle: Some(Handle(IN)), .. });
    scripted.0.run(|program, cx| {
        let received = program.received.clone();
        let mut transaction = cx.transaction(program.declared[0]).unwrap();
        transaction.accept(received[0]).unwrap();
        transaction.accept(received[1]).unwrap();
        transaction.reject(received[2], None).unwrap();
        transaction.commit().unwrap();
        assert_eq!(cx.transaction(program.declared[0]).err(), Some(Misuse::TransactionNotOpen));
    });
    let unsettled = |first, last, outcome| Disposition {
        last,
        settled: false,
        ..settled(Role::Receiver, first, presumed(outcome))
    };
    scripted.0.expect(unsettled(0, Some(Serial::new(1)), DeliveryState::Accepted));
    scripted.0.expect(unsettled(2, None, DeliveryState::Rejected(None)));
    let asked = scripted.discharge_of(b"t", false);
    // The resource settles one of them itself.
    scripted.0.send(settled(Role::Sender, 1, DeliveryState::Accepted));
    scripted.answer(asked, DeliveryState::Accepted);
    scripted.log(&["committed"]);
    scripted.0.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    scripted.0.expect(settled(Role::Receiver, 2, DeliveryState::Rejected(None)));
    scripted.0.silent();
}

#[test]
fn t_02_what_was_retired_in_a_transaction_that_does_not_commit_is_released() {
    for (fail, state, log) in [
        (true, DeliveryState::Accepted, "aborted"),
        (false, rejected(condition::TRANSACTION_TIMEOUT), "not committed amqp:transaction:timeout"),
    ] {
        let mut scripted = Scripted::new();
        scripted.open(b"t");
        scripted.message(0);
        scripted.0.run(|program, cx| {
            let delivery = program.received[0];
            cx.transaction(program.declared[0]).unwrap().modify(delivery, Modified::default()).unwrap();
        });
        expect!(scripted.0, Disposition { settled: false, state: Some(DeliveryState::Transactional(_)), .. });
        let asked = scripted.discharge(0, b"t", fail);
        scripted.answer(asked, state);
        scripted.log(&[log]);
        scripted.0.expect(settled(Role::Receiver, 0, DeliveryState::Released));
        let failure = scripted.0.failure();
        assert_eq!(failure.is_some(), !fail, "{failure:?}");
    }
}

#[test]
fn t_01_several_transactions_share_a_control_link() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    scripted.open(b"u");
    let asked = scripted.discharge(1, b"u", true);
    let other = scripted.discharge(0, b"t", false);
    scripted.answer(other, DeliveryState::Accepted);
    scripted.answer(asked, DeliveryState::Accepted);
    scripted.log(&["committed", "aborted"]);
    scripted.0.silent();
}

//= 4.4.2-02
#[test]
fn an_outcome_stays_in_its_transaction() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    scripted.open(b"u");
    scripted.message(0);
    scripted.0.run(|program, cx| {
        let delivery = program.received[0];
        cx.transaction(program.declared[0]).unwrap().accept(delivery).unwrap();
        let elsewhere = cx.transaction(program.declared[1]).unwrap().accept(delivery);
        assert_eq!(elsewhere, Err(Misuse::StateNotAllowed));
        // It may change for as long as the transaction is open.
        cx.transaction(program.declared[0]).unwrap().release(delivery).unwrap();
    });
    scripted.0.expect(Disposition {
        settled: false,
        ..settled(Role::Receiver, 0, presumed(DeliveryState::Accepted))
    });
    scripted.0.expect(Disposition {
        settled: false,
        ..settled(Role::Receiver, 0, presumed(DeliveryState::Released))
    });
    scripted.0.silent();
}

#[test]
fn a_transaction_belongs_to_one_session_and_waits_for_no_credit() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    scripted.0.run(|program, cx| {
        let connection = program.connection.unwrap();
        let session = cx.create_session(connection);
        let elsewhere = cx.create_sender(session, "q");
        let mut transaction = cx.transaction(program.declared[0]).unwrap();
        let other = SendRefused::Impossible(SendError::Misuse(Misuse::OtherSession));
        assert_eq!(transaction.send(elsewhere, &Message::from("x")), Err(other));
        let sender = program.sender.unwrap();
        for _ in 0..10 {
            transaction.send(sender, &Message::from("x")).unwrap();
        }
        assert_eq!(transaction.send(sender, &Message::from("x")), Err(SendRefused::NotNow));
        let waiting = cx.declare_transaction(connection);
        assert_eq!(cx.transaction(waiting).err(), Some(Misuse::TransactionNotOpen));
    });
}

//= 4.2-01
#[test]
fn h_08_without_a_coordinator_nothing_is_declared() {
    let refused = || Error::new(condition::NOT_IMPLEMENTED);
    // The link is refused.
    let mut scripted = Scripted::new();
    scripted.declare();
    let asked = scripted.0.expect_frame("Attach");
    let Performative::Attach(asked) = asked.performative else { panic!("{asked:?}") };
    let answer = Attach { target: None, ..attach(&asked.name, CONTROL, Role::Receiver) };
    let refusal = Detach { closed: true, error: Some(refused()), ..detach(CONTROL) };
    scripted.0.send_all([answer.into(), refusal.into()]);
    expect!(scripted.0, Detach { handle: Handle(CONTROL), closed: true, .. });
    scripted.log(&["not declared amqp:not-implemented"]);
    assert_eq!(scripted.0.failure().unwrap(), "the transaction was not declared: amqp:not-implemented");
    // The next one tries anew, with a link of another name: links to a coordinator are not resumed.
    scripted.declare();
    let again = scripted.0.expect_frame("Attach");
    let Performative::Attach(again) = again.performative else { panic!("{again:?}") };
    assert_ne!(again.name, asked.name);
    assert_eq!((again.unsettled, again.incomplete_unsettled), (None, false));

    // The peer makes an ordinary link of it.
    let mut scripted = Scripted::new();
    scripted.declare();
    let asked = scripted.0.expect_frame("Attach");
    let Performative::Attach(asked) = asked.performative else { panic!("{asked:?}") };
    scripted.0.send(attach(&asked.name, CONTROL, Role::Receiver));
    scripted.grant(CONTROL, 10);
    scripted.log(&["not declared amqp:not-implemented"]);
    let error = expect!(scripted.0, Detach { closed: true, error: Some(error), .. } => error);
    assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
    scripted.0.send(Detach { closed: true, ..detach(CONTROL) });
    scripted.log(&[]);

    // There is no session for it.
    let mut scripted = Scripted::new();
    scripted.0.run(|program, cx| {
        let sessions: Vec<_> = (0..256).map(|_| cx.create_session(program.connection.unwrap())).collect();
        cx.declare_transaction(*sessions.last().unwrap());
    });
    scripted.log(&["session closed", "not declared amqp:illegal-state"]);

    // The declare is rejected.
    let mut scripted = Scripted::new();
    scripted.declare();
    scripted.answer_control();
    let asked = scripted.request(&Request::Declare(Declare::default()));
    scripted.answer(asked, rejected(condition::RESOURCE_LIMIT_EXCEEDED));
    scripted.log(&["not declared amqp:resource-limit-exceeded"]);
}

#[test]
fn h_08_a_transaction_ends_with_its_control_link() {
    let mut scripted = Scripted::new();
    scripted.open(b"t");
    scripted.open(b"u");
    scripted.message(0);
    scripted.0.run(|program, cx| {
        let delivery = program.received[0];
        cx.transaction(program.declared[0]).unwrap().accept(delivery).unwrap();
    });
    expect!(scripted.0, Disposition { settled: false, .. });
    scripted.discharge(1, b"u", false);
    let error = Some(Error::new(condition::TRANSACTION_ROLLBACK));
    scripted.0.send(Detach { closed: true, error, ..detach(CONTROL) });
    scripted.log(&["aborted amqp:transaction:rollback", "not committed amqp:transaction:rollback"]);
    scripted.0.expect(settled(Role::Receiver, 0, DeliveryState::Released));
    expect!(scripted.0, Detach { handle: Handle(CONTROL), closed: true, .. });
    scripted.0.run(|program, cx| {
        assert_eq!(cx.transaction(program.declared[0]).err(), Some(Misuse::Gone));
    });
    scripted.0.silent();
}

#[test]
fn h_08_a_transaction_ends_with_its_session_and_its_connection() {
    // With an open transaction and one that is committing.
    let begun = || {
        let mut scripted = Scripted::new();
        scripted.open(b"t");
        scripted.open(b"u");
        scripted.discharge(1, b"u", false);
        scripted
    };
    let both = |condition: &str| [format!("aborted {condition}"), format!("not committed {condition}")];

    // Whether the session comes back or not.
    let ends = [(condition::NOT_ALLOWED, "session closed"), (condition::INTERNAL_ERROR, "session recovers")];
    for (condition, what) in ends {
        let mut scripted = begun();
        scripted.0.send(End { error: Some(Error::new(condition.clone())) });
        let [aborted, failed] = both(condition.as_str());
        scripted.log(&[&aborted, &failed, what]);
    }

    let mut scripted = begun();
    scripted.0.send(Close { error: None });
    let [aborted, failed] = both("amqp:transaction:rollback");
    scripted.log(&[&aborted, &failed]);

    let mut scripted = begun();
    scripted.0.shut();
    let [aborted, failed] = both("amqp1:transport");
    scripted.log(&[&aborted, &failed, "disconnected"]);

    let mut scripted = begun();
    scripted.0.send(first(9, 0));
    let [aborted, failed] = both("amqp:session:unattached-handle");
    scripted.log(&[&aborted, &failed]);

    // What this side closes it knows of.
    let mut scripted = begun();
    scripted.0.run(|program, cx| cx.close(program.connection.unwrap()));
    expect!(scripted.0, Close { .. });
    scripted.0.send(Close { error: None });
    scripted.log(&[]);
}
