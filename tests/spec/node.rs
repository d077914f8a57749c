//! K, M: what a node makes of termini and messages. The node is the broker of the examples.

use amqp1_engine::message::Message;
use amqp1_examples::broker::{Broker, RunningBroker};
use amqp1_tests::{Socket, prelude::*};

/// A peer of a broker of its own, with a session.
fn begun() -> (RunningBroker, Peer<Socket>) {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let mut peer = Peer::new(Socket::connect(broker.address().parse().unwrap()));
    peer.send_header();
    peer.send_all([open("container").into(), begin(0, 100, 100).into()]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { .. });
    (broker, peer)
}

//= 5.3.3.1-03
#[test]
fn who_need_not_tell_a_name_is_offered_anonymous_alone() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let mut peer = Peer::new(Socket::connect(broker.address().parse().unwrap()));
    peer.send_header_of(3);
    peer.expect_header_of(3);
    let offered = peer.expect_sasl::<SaslMechanisms>();
    assert_eq!(offered.sasl_server_mechanisms, [Symbol::from_static("ANONYMOUS")]);
}

/// A peer that may send to a queue, over a link of this source.
fn producer(source: Source) -> (RunningBroker, Peer<Socket>) {
    let (broker, mut peer) = begun();
    let target = Target { address: Some("q".into()), ..Target::default() };
    let (source, target) = (Some(Box::new(source)), Some(Box::new(target.into())));
    peer.send(Attach { source, target, ..attach("in", 0, Role::Sender) });
    expect!(peer, Attach { .. });
    expect!(peer, Flow { .. });
    (broker, peer)
}

/// Credit for a message, of a peer that has sent so many.
fn credit(handle: u32, sent: u32) -> Flow {
    Flow {
        next_incoming_id: Some(Serial::new(0)),
        handle: Some(Handle(handle)),
        delivery_count: Some(Serial::new(0)),
        link_credit: Some(1),
        ..flow(100, sent, 100)
    }
}

/// The first message of the queue, for a peer that has sent so many.
#[track_caller]
fn consumed(peer: &mut Peer<Socket>, sent: u32) -> (Transfer, Bytes) {
    let source = Source { address: Some("q".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("out", 1, Role::Receiver) });
    expect!(peer, Attach { .. });
    peer.send(credit(1, sent));
    let frame = peer.expect_frame("Transfer");
    let Performative::Transfer(transfer) = frame.performative else { panic!("{:?}", frame.performative) };
    (*transfer, frame.payload)
}

/// The broker closes the link, and the session goes on.
#[track_caller]
fn refused(peer: &mut Peer<Socket>, condition: &Symbol) {
    let error = expect!(peer, Detach { closed: true, error: Some(error), .. } => error);
    assert_eq!(error.condition, *condition);
    peer.send(Detach { closed: true, ..detach(0) });
    let source = Source { address: Some("other".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("next", 1, Role::Receiver) });
    expect!(peer, Attach { source: Some(_), .. });
}

//= 3.5.3-01 3.5.4-01
#[test]
fn k11_a_dynamic_terminus_with_an_address_is_refused() {
    let (_broker, mut peer) = begun();
    let source = Source { dynamic: true, address: Some("mine".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("out", 0, Role::Receiver) });
    expect!(peer, Attach { source: None, .. });
    refused(&mut peer, &condition::INVALID_FIELD);

    let (_broker, mut peer) = begun();
    let target = Target { dynamic: true, address: Some("mine".into()), ..Target::default() };
    peer.send(Attach { target: Some(Box::new(target.into())), ..attach("in", 0, Role::Sender) });
    expect!(peer, Attach { target: None, .. });
    refused(&mut peer, &condition::INVALID_FIELD);
}

//= 3.5.3-02 3.5.3-03 3.5.4-02 3.5.4-03
#[test]
fn the_address_of_a_node_that_was_made_tells_for_whom() {
    let (_broker, mut peer) = begun();
    let source = Source { dynamic: true, ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("replies", 0, Role::Receiver) });
    let source = expect!(peer, Attach { source: Some(source), .. } => source);
    assert!(source.dynamic);
    let address = source.address.unwrap();
    assert!(address.contains("container") && address.contains("replies"), "{address}");

    let target = Target { dynamic: true, ..Target::default() };
    peer.send(Attach { target: Some(Box::new(target.into())), ..attach("orders", 1, Role::Sender) });
    let target = expect!(peer, Attach { target: Some(target), .. } => target);
    let TargetKind::Target(Target { dynamic: true, address: Some(address), .. }) = *target else {
        panic!("{target:?}")
    };
    assert!(address.contains("container") && address.contains("orders"), "{address}");
}

fn annotated(name: &'static str) -> Message {
    Message::from("x").with_annotation(Symbol::from_static(name), 1u8)
}

/// A message of each section that has annotations, with this one.
fn annotated_anywhere(name: &'static str) -> [Message; 3] {
    let annotations = || Some(Map::new().with(Symbol::from_static(name), 1u8));
    [
        annotated(name),
        Message { delivery_annotations: annotations(), ..Message::from("x") },
        Message { footer: annotations(), ..Message::from("x") },
    ]
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

//= 3.2.10-X2
#[test]
fn m3_an_annotation_that_is_not_understood_detaches() {
    for name in ["x-exchange", "x-opt", "reserved", ""] {
        for message in annotated_anywhere(name) {
            let (_broker, mut peer) = producer(Source::default());
            peer.send(first(0, 0).with(bytes(&message)));
            refused(&mut peer, &condition::NOT_IMPLEMENTED);
        }
    }
    let (_broker, mut peer) = producer(Source::default());
    let numbered = Map::new().with(7u64, true);
    peer.send(
        first(0, 0).with(bytes(&Message { message_annotations: Some(numbered), ..Message::from("x") })),
    );
    refused(&mut peer, &condition::NOT_IMPLEMENTED);
}

#[test]
fn m5_bytes_of_another_format_pass_as_they_are_or_are_rejected_where_they_must_be_read() {
    let (_broker, mut peer) = producer(Source::default());
    let odd = |delivery_id| Transfer { message_format: Some(9), ..first(0, delivery_id) };
    peer.send(odd(0).with("odd"));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    let (transfer, payload) = consumed(&mut peer, 1);
    assert_eq!((transfer.message_format, &payload[..]), (Some(9), &b"odd"[..]));

    let (_broker, mut peer) = begun();
    peer.send(attach("to all queues", 0, Role::Sender));
    expect!(peer, Attach { .. });
    expect!(peer, Flow { .. });
    peer.send(odd(0).with("odd"));
    let state = expect!(peer, Disposition { settled: true, state: Some(state), .. } => state);
    let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
    assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
}

//= 3.2.2-01
#[test]
fn delivery_annotations_go_no_further_than_the_node() {
    let (_broker, mut peer) = producer(Source::default());
    let plain = annotated("x-opt-kept").with_durable(true).with_id(1u64);
    let delivery_annotations = Some(Map::new().with(Symbol::from_static("x-opt-for-the-node"), 1u8));
    peer.send(first(0, 0).with(bytes(&Message { delivery_annotations, ..plain.clone() })));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    assert_eq!(consumed(&mut peer, 1).1, bytes(&plain));
}

//= 3.2.10-X1
#[test]
fn m3_an_optional_annotation_is_ignored() {
    let (_broker, mut peer) = producer(Source::default());
    for (id, message) in (0..).zip(annotated_anywhere("x-opt-anything")) {
        peer.send(first(0, id).with(bytes(&message)));
        peer.expect(settled(Role::Receiver, id, DeliveryState::Accepted));
    }
}

#[test]
fn m1_what_is_no_message_is_rejected_or_its_link_closed_where_the_source_knows_no_rejection() {
    let outcomes = |names: &[&'static str]| Source {
        outcomes: names.iter().map(|name| Symbol::from_static(name)).collect(),
        ..Source::default()
    };
    for source in [outcomes(&[]), outcomes(&["amqp:accepted:list", "amqp:rejected:list"])] {
        let (_broker, mut peer) = producer(source);
        peer.send(first(0, 0).with("no message"));
        let state = expect!(peer, Disposition { settled: true, state: Some(state), .. } => state);
        let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
        assert_eq!(error.condition, condition::DECODE_ERROR);
    }
    let (_broker, mut peer) = producer(outcomes(&["amqp:accepted:list"]));
    peer.send(first(0, 0).with("no message"));
    refused(&mut peer, &condition::DECODE_ERROR);
}

//= 4.4.3-03
#[test]
fn a_consumer_that_acquires_in_a_transaction_is_detached() {
    let (_broker, mut peer) = producer(Source::default());
    peer.send(first(0, 0).with(bytes(&Message::from("not yours"))));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    let source = Source { address: Some("q".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("out", 1, Role::Receiver) });
    expect!(peer, Attach { .. });
    let txn_id = Bytes::from_static(b"txn");
    let properties = Some(Map::new().with(Symbol::from_static("txn-id"), txn_id));
    peer.send(Flow { properties, ..credit(1, 1) });
    let error = expect!(peer, Detach { closed: true, error: Some(error), .. } => error);
    assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
}
