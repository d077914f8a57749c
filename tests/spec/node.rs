//! K, M: what a node makes of termini and messages. The node is the broker of the examples.

use amqp1_engine::{codec::Described, message::Message};
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

//= 2.6.3-10
#[test]
fn k11_a_consumer_whose_answer_fits_no_frame_of_its_is_refused() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let mut peer = Peer::new(Socket::connect(broker.address().parse().unwrap()));
    peer.send_header();
    let narrow = Open { max_frame_size: 512, ..open("container") };
    peer.send_all([narrow.into(), begin(0, 100, 100).into()]);
    peer.expect_header();
    expect!(peer, Open { .. });
    expect!(peer, Begin { .. });
    let kind = Symbol::from_static("apache.org:selector-filter:string");
    let selector = Described::new(kind, format!("colour = '{}'", "x".repeat(300)));
    let filter = Some(Fields::new().with(Symbol::from_static("mine"), selector));
    let source = Source { address: Some("q".into()), filter, ..Source::default() };
    let source = Some(Box::new(source));
    peer.send(Attach { source, ..attach(&"long".repeat(50), 0, Role::Receiver) });
    expect!(peer, Attach { source: None, .. });
    expect!(peer, Detach { error: Some(_), closed: true, .. });
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

#[test]
fn k11_a_lifetime_that_is_none_of_the_four_is_refused() {
    for policy in [Value::Ulong(7), Described::new(0x2f_u64, Vec::<Value>::new()).into(), "for ever".into()] {
        let properties = || Some(Fields::new().with(Symbol::from_static("lifetime-policy"), policy.clone()));
        let (_broker, mut peer) = begun();
        let source = Source { dynamic: true, dynamic_node_properties: properties(), ..Source::default() };
        peer.send(Attach { source: Some(source.into()), ..attach("out", 0, Role::Receiver) });
        expect!(peer, Attach { source: None, .. });
        refused(&mut peer, &condition::INVALID_FIELD);

        let (_broker, mut peer) = begun();
        let target = Target { dynamic: true, dynamic_node_properties: properties(), ..Target::default() };
        peer.send(Attach { target: Some(Box::new(target.into())), ..attach("in", 0, Role::Sender) });
        expect!(peer, Attach { target: None, .. });
        refused(&mut peer, &condition::INVALID_FIELD);
    }
}

#[test]
fn k11_unknown_modes_capabilities_and_filters_are_not_in_force() {
    let (_broker, mut peer) = begun();
    let name = Symbol::from_static;
    let source = Source {
        address: Some("q".into()),
        distribution_mode: Some(name("share")),
        capabilities: [name("unheard-of")].into(),
        filter: Some(Fields::new().with(name("odd"), Described::new(name("odd:filter"), 1u8))),
        durable: TerminusDurability::UnsettledState,
        ..Source::default()
    };
    peer.send(Attach { source: Some(source.into()), ..attach("out", 0, Role::Receiver) });
    let source = expect!(peer, Attach { source: Some(source), .. } => source);
    assert_eq!(source.distribution_mode, Some(name("move")));
    assert_eq!(
        (source.capabilities.len(), source.filter, source.durable),
        (0, None, TerminusDurability::None)
    );
}

#[test]
fn c12_a_link_and_a_session_may_end_with_any_error() {
    let (_broker, mut peer) = producer(Source::default());
    let long = Some("why ".repeat(15 * 1024).into());
    let error = |description| {
        let condition = Symbol::from_static("nobody:knows-it");
        Some(Error { condition, description, info: None })
    };
    peer.send(Detach { closed: true, error: error(long.clone()), ..detach(0) });
    expect!(peer, Detach { closed: true, .. });
    let source = Source { address: Some("q".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.clone().into()), ..attach("out", 0, Role::Receiver) });
    expect!(peer, Attach { source: Some(_), .. });
    peer.send(End { error: error(None) });
    expect!(peer, End { .. });
    peer.send(begin(0, 100, 100));
    expect!(peer, Begin { .. });
    peer.send(Attach { source: Some(source.into()), ..attach("out", 0, Role::Receiver) });
    expect!(peer, Attach { source: Some(_), .. });
    peer.send(Close { error: error(long) });
    expect!(peer, Close { .. });
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

//= 3.5.6-04
#[test]
fn a_durable_subscription_is_detached_and_attached_again_on_its_session() {
    let (_broker, mut peer) = begun();
    let source = Source {
        address: Some("topic://t".into()),
        expiry_policy: TerminusExpiryPolicy::Never,
        ..Source::default()
    };
    let target = Target { address: Some("topic://t".into()), ..Target::default() };
    peer.send(Attach { target: Some(Box::new(target.into())), ..attach("in", 0, Role::Sender) });
    expect!(peer, Attach { .. });
    expect!(peer, Flow { .. });
    for sent in 0..3 {
        peer.send(Attach { source: Some(source.clone().into()), ..attach("mine", 1, Role::Receiver) });
        let in_force = expect!(peer, Attach { source: Some(source), .. } => source);
        assert_eq!(in_force.expiry_policy, TerminusExpiryPolicy::Never);
        if sent > 0 {
            let again = Flow { next_incoming_id: Some(Serial::new(sent - 1)), ..credit(1, sent) };
            peer.send(again);
            let frame = peer.expect_frame("Transfer");
            assert_eq!(frame.payload, bytes(&Message::from("meanwhile")));
            let Performative::Transfer(transfer) = frame.performative else {
                panic!("{:?}", frame.performative)
            };
            let id = transfer.delivery_id.unwrap().get();
            peer.send(settled(Role::Receiver, id, DeliveryState::Accepted));
        }
        peer.send(detach(1));
        expect!(peer, Detach { closed: false, .. });
        peer.send(first(0, sent).with(bytes(&Message::from("meanwhile"))));
        peer.expect(settled(Role::Receiver, sent, DeliveryState::Accepted));
    }
}

//= 2.6.3-10 3.5.6-04
#[test]
fn a_shared_subscription_is_as_durable_as_its_links_were_told() {
    const LINKS: [(&str, u32); 3] = [("s|a", 1), ("s|b", 2), ("s|c", 3)];
    let attaches = |peer: &mut Peer<Socket>, (name, handle), expiry_policy| {
        let source = Source {
            address: Some("topic://t".into()),
            expiry_policy,
            capabilities: [capability::SHARED].into(),
            ..Source::default()
        };
        peer.send(Attach { source: Some(source.into()), ..attach(name, handle, Role::Receiver) });
        expect!(peer, Attach { source: Some(source), .. } => source.expiry_policy)
    };
    let leaves = |peer: &mut Peer<Socket>, (_, handle), closed| {
        peer.send(Detach { closed, ..detach(handle) });
        expect!(peer, Detach { error: None, .. });
    };
    let (never, link_detach) = (TerminusExpiryPolicy::Never, TerminusExpiryPolicy::LinkDetach);
    // What the first of the links asks for, and whether it is closed.
    for (asked, closed) in [(never, true), (link_detach, false)] {
        let (_broker, mut peer) = begun();
        let target = Target { address: Some("topic://t".into()), ..Target::default() };
        peer.send(Attach { target: Some(Box::new(target.into())), ..attach("in", 0, Role::Sender) });
        expect!(peer, Attach { .. });
        expect!(peer, Flow { .. });
        let [a, b, c] = LINKS;
        assert_eq!(attaches(&mut peer, a, asked), asked);
        assert_eq!(attaches(&mut peer, b, never), never);
        leaves(&mut peer, a, closed);
        assert_eq!(attaches(&mut peer, c, never), never);
        leaves(&mut peer, b, false);
        leaves(&mut peer, c, false);
        peer.send(first(0, 0).with(bytes(&Message::from("meanwhile"))));
        peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
        assert_eq!(attaches(&mut peer, a, link_detach), never, "it was there before");
        peer.send(credit(1, 1));
        assert_eq!(peer.expect_frame("Transfer").payload, bytes(&Message::from("meanwhile")));
    }
}

//= 3.2.5-02 3.2.10-01
#[test]
fn m2_maps_with_keys_or_values_that_they_may_not_have_are_rejected_and_the_link_lives() {
    let (_broker, mut peer) = producer(Source::default());
    let body = [0x00, 0x53, 0x77, 0x40];
    let sections: [&[u8]; 4] = [
        // A symbol as the name of an application property, and a list as its value.
        &[0x00, 0x53, 0x74, 0xc1, 5, 2, 0xa3, 1, b'k', 0x40],
        &[0x00, 0x53, 0x74, 0xc1, 5, 2, 0xa1, 1, b'k', 0x45],
        // A string as the key of an annotation, for all nodes and for this one.
        &[0x00, 0x53, 0x72, 0xc1, 5, 2, 0xa1, 1, b'k', 0x40],
        &[0x00, 0x53, 0x71, 0xc1, 5, 2, 0xa1, 1, b'k', 0x40],
    ];
    for (id, section) in (0..).zip(sections) {
        peer.send(first(0, id).with([section, &body].concat()));
        let state = expect!(peer, Disposition { settled: true, state: Some(state), .. } => state);
        let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
        assert_eq!(error.condition, condition::DECODE_ERROR);
    }
    peer.send(first(0, 4).with(bytes(&Message::from("still here"))));
    peer.expect(settled(Role::Receiver, 4, DeliveryState::Accepted));
}

#[test]
fn m4_a_delivery_count_at_its_end_counts_no_further() {
    let (_broker, mut peer) = producer(Source::default());
    let mut message = Message::from("old");
    message.header_mut().delivery_count = Some(u32::MAX);
    peer.send(first(0, 0).with(bytes(&message)));
    peer.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
    let (transfer, payload) = consumed(&mut peer, 1);
    assert_eq!(payload, bytes(&message));
    let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
    let id = transfer.delivery_id.unwrap().get();
    peer.send(settled(Role::Receiver, id, DeliveryState::Modified(Box::new(failed))));
    let again =
        Flow { delivery_count: Some(Serial::new(1)), next_incoming_id: Some(Serial::new(1)), ..credit(1, 1) };
    peer.send(again);
    let frame = peer.expect_frame("Transfer");
    assert_eq!(frame.payload, bytes(&message));
}

/// A peer that has sent so many messages to a queue, and consumes from it.
fn consumer(messages: u32) -> (RunningBroker, Peer<Socket>) {
    let (broker, mut peer) = producer(Source::default());
    for id in 0..messages {
        peer.send(Transfer { settled: Some(true), ..first(0, id) }.with(bytes(&Message::from("m"))));
    }
    let source = Source { address: Some("q".into()), ..Source::default() };
    peer.send(Attach { source: Some(source.into()), ..attach("out", 1, Role::Receiver) });
    expect!(peer, Attach { .. });
    (broker, peer)
}

/// It wants ten messages or as many as there are, of which it has so many, and lets one more transfer come.
fn drain(received: u32, sent: u32) -> Flow {
    Flow {
        next_incoming_id: Some(Serial::new(received)),
        incoming_window: 1,
        delivery_count: Some(Serial::new(received)),
        link_credit: Some(10 - received),
        drain: true,
        ..credit(1, sent)
    }
}

//= 2.6.7-15
#[test]
fn w4_a_drain_is_answered_when_all_has_passed_the_window() {
    let (_broker, mut peer) = consumer(3);
    let mut received = 0;
    peer.send(drain(received, 3));
    loop {
        match peer.expect_frame("a transfer, or the answer").performative {
            Performative::Transfer(_) => {
                received += 1;
                peer.send(drain(received, 3));
            }
            Performative::Flow(flow) if flow.link_credit == Some(0) => {
                assert_eq!((received, flow.delivery_count), (3, Some(Serial::new(10))));
                return;
            }
            Performative::Flow(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

//= 2.6.7-12
#[test]
fn w4_a_drain_that_is_taken_back_leaves_the_credit() {
    let (_broker, mut peer) = consumer(0);
    let taken_back = Flow { drain: false, echo: true, ..drain(0, 0) };
    peer.send_all([drain(0, 0).into(), taken_back.into()]);
    expect!(peer, Flow { link_credit: Some(10), drain: false, .. });
}
