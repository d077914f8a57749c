//! Messages acquired in transactions (§4.4.3).

use amqp1_engine::{message::Body, txn::Bounds};
use amqp1_examples::broker::Limits;
use amqp1_std::Url;

use super::*;

/// A controller whose consumer acquires `1` and `2` in a transaction, where that has not sent all of its credit.
struct Acquired {
    controller: Controller,
    txn_id: TxnId,
    out: Handle,
    ids: [u32; 2],
}

impl Controller {
    /// Attaches a consumer that acquires so many messages in a transaction.
    #[track_caller]
    fn acquire(&mut self, handle: u32, credit: u32, txn_id: TxnId) -> Handle {
        let out = self.consume_with(handle, SenderSettleMode::Mixed);
        self.grant(handle, 0, credit, acquired_in(txn_id));
        out
    }

    /// A message arrives that is acquired in a transaction: its delivery-id, and whether it is settled.
    #[track_caller]
    fn arrives_in(&mut self, txn_id: TxnId, at: Handle, text: &str) -> (u32, bool) {
        let frame = self.peer.expect_frame("Transfer");
        let Performative::Transfer(transfer) = &frame.performative else { panic!("{frame:?}") };
        assert_eq!((transfer.handle, transfer.state.as_deref()), (at, Some(&txn_id.state(None))));
        assert_eq!(Message::decode(&frame.payload).unwrap().body.as_str(), Some(text));
        (transfer.delivery_id.unwrap().get(), transfer.settled.unwrap())
    }

    /// The broker has settled a delivery, without a word of what becomes of it.
    #[track_caller]
    fn taken_back(&mut self, first: u32, last: Option<u32>) {
        let last = last.map(Serial::new);
        self.peer.expect(Disposition { settled: true, last, ..disposition(Role::Sender, first) });
    }
}

fn acquired_in(txn_id: TxnId) -> Option<Fields> {
    Some(Fields::new().with(Symbol::from_static("txn-id"), Bytes::copy_from_slice(txn_id.as_bytes())))
}

#[track_caller]
fn acquired() -> Acquired {
    let mut controller = controller();
    controller.produce();
    controller.put("1");
    controller.put("2");
    let txn_id = controller.declare();
    let out = controller.acquire(OUT, 3, txn_id);
    let ids = ["1", "2"].map(|text| controller.arrives_in(txn_id, out, text).0);
    controller.nothing_comes();
    Acquired { controller, txn_id, out, ids }
}

//= 4.4.3-06
#[test]
fn t_03_what_is_acquired_in_a_transaction_that_commits_stays_acquired() {
    let Acquired { mut controller, txn_id, out, ids: [one, two] } = acquired();
    controller.retire(txn_id, one, false);
    let asked = controller.ask_discharge(txn_id.as_bytes(), false);
    controller.taken_back(one, None);
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    // The rest of the credit is used outside of any transaction.
    let id = controller.send(first(IN, 0), encoded("3"));
    controller.arrives(out, "3");
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
    // The other waits for its outcome, and has it at once.
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    controller.settle(two, DeliveryState::Released);
    assert_eq!(controller.arrives(next, "2").1, 0);
}

//= 4.4.3-06
#[test]
fn t_03_what_is_acquired_in_a_transaction_that_is_rolled_back_returns() {
    for (accepted, settled) in [(false, false), (true, false), (true, true)] {
        let Acquired { mut controller, txn_id, ids: [one, two], .. } = acquired();
        controller.grant(OUT, 2, 0, None);
        controller.nothing_comes();
        let next = controller.consume(OUT + 1, 2);
        controller.nothing_comes();
        if accepted {
            controller.retire(txn_id, two, settled);
        }
        let asked = controller.ask_discharge(txn_id.as_bytes(), true);
        for text in ["1", "2"] {
            assert_eq!(controller.arrives(next, text).1, 0, "it was not delivered");
        }
        controller.taken_back(one, (!settled).then_some(two));
        assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    }
}

//= 4.4.3-06
#[test]
fn t_03_what_is_sent_settled_is_acquired_all_the_same() {
    for fail in [false, true] {
        let mut controller = controller();
        controller.produce();
        controller.put("x");
        let txn_id = controller.declare();
        let out = controller.consume_with(OUT, SenderSettleMode::Settled);
        controller.grant(OUT, 0, 1, acquired_in(txn_id));
        assert!(controller.arrives_in(txn_id, out, "x").1);
        controller.nothing_comes();
        let next = controller.consume(OUT + 1, 1);
        controller.nothing_comes();
        let asked = controller.ask_discharge(txn_id.as_bytes(), fail);
        if fail {
            assert_eq!(controller.arrives(next, "x").1, 0);
        }
        assert_eq!(controller.answer(asked), DeliveryState::Accepted);
        controller.peer.silent();
    }
}

//= 4.4.3-03 4.5.8-01
#[test]
fn t_03_only_a_consumer_acquires_and_only_in_a_transaction_that_is_open() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    let distribution_mode = Some(Symbol::from_static("copy"));
    let source = Source { address: Some("q".into()), distribution_mode, ..Source::default() };
    controller.peer.send(Attach { source: Some(source.into()), ..attach("copies", OUT, Role::Receiver) });
    expect!(controller.peer, Attach { .. });
    controller.grant(OUT, 0, 1, acquired_in(txn_id));
    controller.nothing_comes();
    controller.detached(OUT, &condition::NOT_IMPLEMENTED);
    controller.discharged(txn_id, false);
    let properties = |value: Value| Some(Fields::new().with(Symbol::from_static("txn-id"), value));
    let longest = Value::from(Bytes::from_static(&[7; 33]));
    for txn_id in [acquired_in(txn_id), properties(Value::from(7u8)), properties(longest)] {
        controller.consume(OUT, 0);
        controller.nothing_comes();
        controller.grant(OUT, 0, 1, txn_id);
        controller.nothing_comes();
        controller.detached(OUT, &condition::TRANSACTION_UNKNOWN_ID);
    }
    let out = controller.consume(OUT, 0);
    controller.nothing_comes();
    controller.grant(OUT, 0, 1, properties(Value::Null));
    controller.nothing_comes();
    let id = controller.send(first(IN, 0), encoded("x"));
    controller.arrives(out, "x");
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
    let txn_id = controller.declare();
    controller.grant(IN, 0, 0, acquired_in(txn_id));
    controller.nothing_comes();
    controller.detached(IN, &condition::NOT_IMPLEMENTED);
}

#[test]
fn a_link_that_ends_for_two_reasons_gives_its_messages_back() {
    let (mut controller, _) = delivered();
    let unknown = Fields::new().with(Symbol::from_static("txn-id"), Bytes::from_static(b"unknown"));
    let granted = controller.flow(OUT, 1, 0, Some(unknown));
    // In one read: the broker is about to close the link when the engine has done so.
    let source = Some(Source { address: Some("q".into()), ..Source::default() }.into());
    let again = Attach { source, ..attach("out 2", OUT + 1, Role::Receiver) };
    controller.peer.send_all([granted.into(), again.into()]);
    controller.detached(OUT, &condition::LINK_STOLEN);
    let out = expect!(controller.peer, Attach { handle, .. } => handle);
    controller.grant(OUT + 1, 0, 1, None);
    assert_eq!(controller.arrives(out, "x").1, 1);
}

//= 4.4.3-07
#[test]
fn t_03_a_message_on_its_way_in_a_transaction_that_is_rolled_back_ends_with_its_link() {
    use SenderSettleMode::{Settled, Unsettled};
    for (fail, snd_settle_mode) in [(true, Unsettled), (true, Settled), (false, Unsettled)] {
        let mut controller = controller();
        controller.produce();
        let message = encoded(Message::new(Body::data(vec![7; 300_000])));
        let mut pieces = message.chunks(100_000);
        let id = controller.send(Transfer { more: true, ..first(IN, 0) }, pieces.next().unwrap().to_vec());
        for piece in pieces {
            let more = piece.len() == 100_000;
            controller.peer.send(Transfer { more, ..transfer(IN) }.with(piece.to_vec()));
        }
        assert_eq!(controller.answer(id), DeliveryState::Accepted);
        let txn_id = controller.declare();
        let out = controller.consume_with(OUT, snd_settle_mode);
        let granted = Flow { incoming_window: 1, ..controller.flow(OUT, 0, 1, acquired_in(txn_id)) };
        controller.peer.send(granted);
        let begun = expect!(controller.peer, Transfer { handle, delivery_id: Some(id), more: true, .. }
            if handle == out => id.get());
        let asked = controller.ask_discharge(txn_id.as_bytes(), fail);
        if fail {
            expect!(controller.peer, Detach { handle: Handle(OUT), closed: true, error: None });
            controller.peer.silent();
            controller.peer.send(Detach { closed: true, ..detach(OUT) });
            assert_eq!(controller.answer(asked), DeliveryState::Accepted);
        } else {
            assert_eq!(controller.answer(asked), DeliveryState::Accepted);
            let opened = controller.flow(OUT, 0, 1, None);
            controller.peer.send(opened);
            while expect!(controller.peer, Transfer { more, .. } => more) {}
            controller.settle(begun, DeliveryState::Accepted);
        }
        // It is there again, or was accepted.
        controller.consume(OUT + 1, 1);
        if fail {
            expect!(controller.peer, Transfer { more: true, state: None, .. });
        } else {
            controller.nothing_comes();
        }
    }
}

//= 4.4.2-03
#[test]
fn t_03_an_outcome_in_another_transaction_ends_the_control_link() {
    let Acquired { mut controller, ids: [one, two], .. } = acquired();
    let other = controller.declare();
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    controller.grant(OUT, 2, 0, None);
    controller.nothing_comes();
    controller.retire(other, one, false);
    for text in ["1", "2"] {
        controller.arrives(next, text);
    }
    controller.taken_back(one, Some(two));
    controller.detached(CONTROL, &condition::TRANSACTION_ROLLBACK);
}

#[test]
fn t_03_an_outcome_of_no_transaction_takes_the_message_out_of_its() {
    let Acquired { mut controller, txn_id, ids: [one, two], .. } = acquired();
    controller.grant(OUT, 2, 0, None);
    controller.nothing_comes();
    controller.settle(one, DeliveryState::Accepted);
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    let asked = controller.ask_discharge(txn_id.as_bytes(), true);
    assert_eq!(controller.arrives(next, "2").1, 0);
    controller.taken_back(two, None);
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

#[test]
fn t_03_what_was_acquired_outlives_its_consumer_until_the_discharge() {
    for fail in [false, true] {
        let Acquired { mut controller, txn_id, ids: [one, _], .. } = acquired();
        controller.retire(txn_id, one, false);
        controller.peer.send(Detach { closed: true, ..detach(OUT) });
        expect!(controller.peer, Detach { .. });
        let next = controller.consume(OUT + 1, 2);
        controller.nothing_comes();
        let asked = controller.ask_discharge(txn_id.as_bytes(), fail);
        if fail {
            assert_eq!(controller.arrives(next, "1").1, 0);
            assert_eq!(controller.arrives(next, "2").1, 0);
        } else {
            assert_eq!(controller.arrives(next, "2").1, 1, "nobody told an outcome");
        }
        assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    }
}

#[test]
fn m8_not_too_many_messages_are_acquired_in_a_transaction() {
    for snd_settle_mode in [SenderSettleMode::Unsettled, SenderSettleMode::Settled] {
        let transactions = Bounds { transactions: 1, work: 4 };
        let url: Url = "amqp://127.0.0.1:0".parse().unwrap();
        let broker = Broker::new(url).with_limits(Limits { transactions, ..Limits::default() });
        let mut controller = controller_at(broker.spawn().unwrap(), Source::default());
        controller.produce();
        for text in ["1", "2", "3"] {
            controller.put(text);
        }
        let txn_id = controller.declare();
        // That a consumer acquires is one of the pieces of work.
        let [one, two] = [OUT, OUT + 1].map(|handle| controller.consume_with(handle, snd_settle_mode));
        controller.grant(OUT, 0, 10, acquired_in(txn_id));
        controller.arrives_in(txn_id, one, "1");
        controller.arrives_in(txn_id, one, "2");
        controller.arrives_in(txn_id, one, "3");
        controller.nothing_comes();
        // Those for which there is no place are not sent: their consumers go.
        controller.grant(OUT + 1, 0, 10, acquired_in(txn_id));
        controller.nothing_comes();
        controller.detached(OUT + 1, &condition::RESOURCE_LIMIT_EXCEEDED);
        let id = controller.send(first(IN, 0), encoded("4"));
        assert_eq!(controller.answer(id), DeliveryState::Accepted);
        controller.detached(OUT, &condition::RESOURCE_LIMIT_EXCEEDED);
        let next = controller.consume(OUT + 2, 4);
        assert_ne!(next, two);
        controller.arrives(next, "4");
        controller.nothing_comes();
        let asked = controller.ask_discharge(txn_id.as_bytes(), true);
        for text in ["1", "2", "3"] {
            controller.arrives(next, text);
        }
        assert_eq!(controller.answer(asked), DeliveryState::Accepted);
    }
}

#[test]
fn t_03_what_comes_with_the_flow_that_names_the_transaction_is_acquired_in_it() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    let out = controller.consume(OUT, 1);
    controller.nothing_comes();
    let id = controller.send(first(IN, 0), encoded("on the last credit"));
    controller.arrives(out, "on the last credit");
    assert_eq!(controller.answer(id), DeliveryState::Accepted);
    let granted = controller.flow(OUT, 1, 1, acquired_in(txn_id));
    x_before(&mut controller, granted);
    controller.arrives_in(txn_id, out, "x");
    assert_eq!(controller.answer(2), DeliveryState::Accepted);
}

/// A producer's message and a consumer's flow in one read, the message before the flow.
fn x_before(controller: &mut Controller, granted: Flow) {
    let id = controller.sent;
    let posted =
        Transfer { delivery_id: Some(Serial::new(id)), delivery_tag: Some(tag(b"x")), ..first(IN, 0) };
    let next_outgoing_id = Serial::new(controller.peer.sent_transfers(0) + 1);
    controller.peer.send_all([posted.with(encoded("x")), Flow { next_outgoing_id, ..granted }.into()]);
    controller.sent += 1;
}

#[test]
fn t_03_credit_that_was_taken_back_is_not_used_before_the_transaction_is_named() {
    let mut controller = controller();
    controller.produce();
    let txn_id = controller.declare();
    let out = controller.consume(OUT, 3);
    controller.nothing_comes();
    controller.grant(OUT, 0, 0, None);
    controller.nothing_comes();
    let granted = controller.flow(OUT, 0, 1, acquired_in(txn_id));
    x_before(&mut controller, granted);
    controller.arrives_in(txn_id, out, "x");
    assert_eq!(controller.answer(1), DeliveryState::Accepted);
}

#[test]
fn t_03_a_flow_names_the_transaction_before_it_opens_the_window() {
    let mut controller = controller();
    controller.produce();
    let out = controller.consume_with(OUT, SenderSettleMode::Mixed);
    let closed = Flow { incoming_window: 0, ..controller.flow(OUT, 0, 1, None) };
    controller.peer.send(closed);
    controller.put("1");
    let txn_id = controller.declare();
    controller.grant(OUT, 0, 2, acquired_in(txn_id));
    controller.arrives_in(txn_id, out, "1");
}

#[test]
fn t_03_a_disposition_that_says_nothing_leaves_the_message_in_its_transaction() {
    let Acquired { mut controller, txn_id, ids: [one, two], .. } = acquired();
    controller.grant(OUT, 2, 0, None);
    controller.nothing_comes();
    controller.peer.send(disposition(Role::Receiver, one));
    let received = Some(DeliveryState::Received(Received { section_number: 0, section_offset: 0 }));
    controller.peer.send(Disposition { state: received, ..disposition(Role::Receiver, two) });
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    let asked = controller.ask_discharge(txn_id.as_bytes(), true);
    controller.arrives(next, "1");
    controller.arrives(next, "2");
    controller.taken_back(one, Some(two));
    assert_eq!(controller.answer(asked), DeliveryState::Accepted);
}

#[test]
fn t_03_what_is_acquired_returns_with_its_control_link() {
    // The queue lets go of what was accepted, too.
    let Acquired { mut controller, txn_id, ids: [one, two], .. } = acquired();
    controller.grant(OUT, 2, 0, None);
    controller.nothing_comes();
    controller.retire(txn_id, one, false);
    let next = controller.consume(OUT + 1, 2);
    controller.nothing_comes();
    controller.peer.send(Detach { closed: true, ..detach(CONTROL) });
    controller.arrives(next, "1");
    controller.arrives(next, "2");
    controller.taken_back(one, Some(two));
    expect!(controller.peer, Detach { handle: Handle(CONTROL), closed: true, error: None });
    // What is said of them now names a transaction that is over.
    controller.attach_control("again", CONTROL, Source::default());
    let again = controller.declare();
    assert_ne!(again, txn_id, "of this session it means no other");
}
