//! Windows and credit (§2.5.6, §2.6.7).

use amqp1_tests::prelude::*;

/// A session whose server takes this many transfers, and a link with this credit.
fn windowed(net: Net, incoming_window: u32, credit: u32) -> (Pair, SessionId, LinkId, LinkId) {
    let mut pair = Pair::opened(net);
    let server = SessionConfig { incoming_window, ..SessionConfig::default() };
    let (session, _) = pair.session_with(SessionConfig::default(), server);
    let (sender, receiver) = pair.link(session, "link");
    grant(&mut pair, sender, receiver, credit);
    (pair, session, sender, receiver)
}

fn grant(pair: &mut Pair, sender: LinkId, receiver: LinkId, credit: u32) {
    pair.server.receiver(receiver).unwrap().set_credit(credit);
    pair.run();
    pair.client.expect_event(Event::LinkFlow(sender));
    pair.client.expect_event(Event::Sendable(sender));
}

fn send(pair: &mut Pair, sender: LinkId, n: u32) -> Result<DeliveryId, SendError> {
    pair.client.sender(sender).unwrap().send(tag(n.to_be_bytes()), true, "message")
}

/// Takes the deliveries that the server is told of: how many.
fn take(pair: &mut Pair) -> usize {
    let mut count = 0;
    while let Some(event) = pair.server.event() {
        let Event::Delivery(id) = event else { panic!("{event:?}") };
        pair.server.receiver(id.link()).unwrap().take(id).unwrap();
        count += 1;
    }
    count
}

//= 2.5.6-02
#[test]
fn w10_a_closed_window_stops_the_sender_until_messages_are_taken() {
    each_net(|net| {
        let (mut pair, _, sender, _) = windowed(net, 4, 100);
        for n in 0..4 {
            send(&mut pair, sender, n).unwrap();
        }
        assert_eq!(send(&mut pair, sender, 4), Err(SendError::Blocked(Blocked::Window)));
        assert!(!pair.client.sender(sender).unwrap().is_sendable());
        pair.run();
        pair.client.no_event();
        assert_eq!(take(&mut pair), 4);
        pair.run();
        pair.client.expect_event(Event::Sendable(sender));
        send(&mut pair, sender, 4).unwrap();
        pair.run();
        assert_eq!(take(&mut pair), 1);
        pair.client.no_event();
        pair.finish();
    });
}

#[test]
fn w10_a_thousand_messages_pass_a_window_of_three() {
    each_net(|net| {
        let (mut pair, _, sender, receiver) = windowed(net, 3, 10);
        let (mut sent, mut taken) = (0, 0);
        while taken < 1_000 {
            while sent < 1_000 && send(&mut pair, sender, sent).is_ok() {
                sent += 1;
            }
            pair.run();
            let now = take(&mut pair);
            taken += now;
            pair.server.receiver(receiver).unwrap().set_credit(10);
            pair.run();
            let events = pair.client.events();
            let expected = |event: &Event| matches!(event, Event::Sendable(_) | Event::LinkFlow(_));
            assert!(events.iter().all(expected), "{events:?}");
            assert!(now > 0 || !events.is_empty(), "nothing moves: {sent} sent, {taken} taken");
        }
        pair.finish();
    });
}

#[test]
fn w10_a_window_of_nothing_is_a_window() {
    each_net(|net| {
        let (mut pair, session, sender, _) = windowed_without_credit(net);
        assert_eq!(pair.client.session(session).unwrap().remote_incoming_window(), 0);
        assert_eq!(send(&mut pair, sender, 0), Err(SendError::Blocked(Blocked::Window)));
        pair.finish();
    });
}

/// A window that never opens: credit comes, but no Sendable.
fn windowed_without_credit(net: Net) -> (Pair, SessionId, LinkId, LinkId) {
    let mut pair = Pair::opened(net);
    let server = SessionConfig { incoming_window: 0, ..SessionConfig::default() };
    let (session, _) = pair.session_with(SessionConfig::default(), server);
    let (sender, receiver) = pair.link(session, "link");
    pair.server.receiver(receiver).unwrap().set_credit(1);
    pair.run();
    pair.client.expect_event(Event::LinkFlow(sender));
    pair.client.no_event();
    (pair, session, sender, receiver)
}

#[test]
fn w10_a_message_larger_than_the_window_goes_out_as_the_window_opens() {
    each_net(|net| {
        let server = Config { max_frame_size: 512, ..Config::server("server") };
        let mut pair = Pair::with(Config::client("client"), server, net);
        pair.open();
        let window = SessionConfig { incoming_window: 2, ..SessionConfig::default() };
        let (session, _) = pair.session_with(SessionConfig::default(), window);
        let (sender, receiver) = pair.link(session, "link");
        grant(&mut pair, sender, receiver, 2);
        pair.client.sender(sender).unwrap().send(tag(b"large"), true, vec![7; 20_000]).unwrap();
        assert_eq!(
            pair.client.sender(sender).unwrap().send(tag(b"next"), true, "next"),
            Err(SendError::Blocked(Blocked::Unfinished)),
        );
        let mut bytes = 0;
        let mut rounds = 0;
        while bytes < 20_000 {
            pair.run();
            while let Some(event) = pair.server.event() {
                let Event::Delivery(id) = event else { panic!("{event:?}") };
                bytes += pair.server.receiver(id.link()).unwrap().take(id).unwrap().len();
            }
            rounds += 1;
            assert!(rounds < 1_000, "{bytes} bytes have arrived");
        }
        pair.run();
        pair.client.expect_event(Event::Sendable(sender));
        pair.client.sender(sender).unwrap().send(tag(b"next"), true, "next").unwrap();
        pair.run();
        assert_eq!(take(&mut pair), 1);
        pair.finish();
    });
}

#[test]
fn w22_a_link_without_credit_stops_no_other() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (slow, slow_receiver) = pair.link(session, "slow");
        let (fast, fast_receiver) = pair.link(session, "fast");
        grant(&mut pair, slow, slow_receiver, 1);
        grant(&mut pair, fast, fast_receiver, 500);
        // A delivery that nobody settles, and one that never ends.
        pair.client.sender(slow).unwrap().start(tag(b"s"), false, 0, "never ends").unwrap();
        for n in 0..500 {
            send(&mut pair, fast, n).unwrap();
        }
        pair.run();
        assert_eq!(take(&mut pair), 501);
        pair.client.sender(slow).unwrap().abort().unwrap();
        pair.run();
        assert!(matches!(pair.server.event(), Some(Event::Aborted(_))));
        pair.finish();
    });
}

//= 2.6.7-02 2.6.7-07
#[test]
fn w11_credit_counts_deliveries_and_not_frames() {
    each_net(|net| {
        let server = Config { max_frame_size: 512, ..Config::server("server") };
        let mut pair = Pair::with(Config::client("client"), server, net);
        pair.open();
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        grant(&mut pair, sender, receiver, 2);
        for n in 0..2_u8 {
            pair.client.sender(sender).unwrap().send(tag([n]), true, vec![n; 3_000]).unwrap();
        }
        let mut end = pair.client.sender(sender).unwrap();
        assert_eq!(end.credit(), 0);
        assert_eq!(end.send(tag(b"x"), true, "x"), Err(SendError::Blocked(Blocked::Credit)));
        pair.run();
        assert_eq!(pair.server.receiver(receiver).unwrap().credit(), 0);
        assert_eq!(take(&mut pair), 2);
        pair.server.receiver(receiver).unwrap().add_credit(1);
        pair.run();
        pair.client.expect_event(Event::LinkFlow(sender));
        pair.client.expect_event(Event::Sendable(sender));
        pair.finish();
    });
}

#[test]
fn w11_sendable_is_told_after_each_rise_from_zero_and_not_in_between() {
    each_net(|net| {
        let (mut pair, _, sender, receiver) = windowed(net, 100, 1);
        for n in 0..5 {
            send(&mut pair, sender, n).unwrap();
            pair.run();
            take(&mut pair);
            pair.server.receiver(receiver).unwrap().add_credit(1);
            pair.run();
            pair.client.expect_event(Event::LinkFlow(sender));
            pair.client.expect_event(Event::Sendable(sender));
        }
        pair.server.receiver(receiver).unwrap().add_credit(5);
        pair.run();
        pair.client.expect_event(Event::LinkFlow(sender));
        pair.client.no_event();
        assert_eq!(pair.client.sender(sender).unwrap().credit(), 6);
        pair.finish();
    });
}

//= 2.6.7-11 2.6.7-15
#[test]
fn w12_a_drain_uses_the_credit_up_or_gives_it_back() {
    each_net(|net| {
        let (mut pair, _, sender, receiver) = windowed(net, 100, 10);
        pair.server.receiver(receiver).unwrap().drain();
        assert!(pair.server.receiver(receiver).unwrap().is_draining());
        pair.run();
        pair.client.expect_event(Event::LinkFlow(sender));
        pair.client.expect_event(Event::Drain(sender));
        for n in 0..3 {
            send(&mut pair, sender, n).unwrap();
        }
        pair.run();
        assert_eq!(take(&mut pair), 3);
        pair.client.sender(sender).unwrap().drained();
        assert_eq!(pair.client.sender(sender).unwrap().credit(), 0);
        pair.run();
        pair.server.expect_event(Event::LinkFlow(receiver));
        pair.server.expect_event(Event::Drained(receiver));
        assert_eq!(pair.server.receiver(receiver).unwrap().credit(), 0);
        assert!(!pair.server.receiver(receiver).unwrap().is_draining());
        pair.finish();
    });
}

#[test]
fn w12_a_drain_that_is_used_up_by_messages_is_done_without_a_word() {
    each_net(|net| {
        let (mut pair, _, sender, receiver) = windowed(net, 100, 2);
        pair.server.receiver(receiver).unwrap().drain();
        pair.run();
        pair.client.expect_event(Event::LinkFlow(sender));
        pair.client.expect_event(Event::Drain(sender));
        send(&mut pair, sender, 0).unwrap();
        send(&mut pair, sender, 1).unwrap();
        pair.run();
        let events = pair.server.events();
        assert_eq!(events.last(), Some(&Event::Drained(receiver)), "{events:?}");
        for event in events {
            if let Event::Delivery(id) = event {
                pair.server.receiver(receiver).unwrap().take(id).unwrap();
            }
        }
        pair.finish();
    });
}

#[test]
fn w12_a_flow_carries_available_and_properties() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.engine_sender().offered(42);
        expect!(linked, Flow { handle: Some(Handle(0)), available: Some(42), link_credit: Some(0), .. });

        let properties = Fields::new().with(Symbol::from_static("txn"), 7_u32);
        let told = Flow {
            handle: Some(Handle(NEAR.peer_sender)),
            delivery_count: Some(Serial::new(INITIAL_COUNT)),
            link_credit: Some(0),
            available: Some(9),
            properties: Some(properties.clone()),
            ..linked.flow()
        };
        linked.send(told.on(NEAR.peer));
        let receiver = linked.receiver;
        linked.expect_event(Event::LinkFlow(receiver));
        assert_eq!(linked.engine_receiver().available(), 9);
        assert_eq!(linked.engine_receiver().flow_properties(), Some(&properties));
        linked.finish();
    });
}

#[test]
fn w12_properties_of_a_flow_are_not_lost_behind_one_without() {
    each_way(|way| {
        let mut linked = way.linked();
        let properties = Fields::new().with(Symbol::from_static("txn"), 7_u32);
        let told = linked.link_flow(0, 1);
        linked.send_all([
            Flow { properties: Some(properties.clone()), ..told.clone() }.on(NEAR.peer),
            told.clone().on(NEAR.peer),
        ]);
        let sender = linked.sender;
        linked.expect_event(Event::LinkFlow(sender));
        assert_eq!(linked.engine_sender().flow_properties(), Some(&properties));
        linked.events();
        linked.send(told.on(NEAR.peer));
        linked.expect_event(Event::LinkFlow(sender));
        assert_eq!(linked.engine_sender().flow_properties(), None);
    });
}

//= 2.6.7-08 2.6.7-09
#[test]
fn w12_available_goes_down_with_each_delivery_and_not_below_none() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(3);
        let told = Flow {
            handle: Some(Handle(NEAR.peer_sender)),
            delivery_count: Some(Serial::new(INITIAL_COUNT)),
            available: Some(2),
            ..linked.flow()
        };
        linked.send(told.on(NEAR.peer));
        let receiver = linked.receiver;
        linked.expect_event(Event::LinkFlow(receiver));
        for (id, left) in [(0, 1), (1, 0), (2, 0)] {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("x"));
            linked.delivery();
            assert_eq!(linked.engine_receiver().available(), left);
        }
        linked.finish();
    });
}

//= 2.7.4-04 2.7.4-08 2.7.4-09 2.7.4-10 2.7.4-X1 2.7.4-X2
#[test]
fn w12_an_echo_is_answered_at_the_level_it_was_asked() {
    each_way(|way| {
        let mut linked = way.linked();
        let ask = Flow { echo: true, ..linked.flow() };
        linked.send(ask.on(NEAR.peer));
        let next_incoming_id = Some(Serial::new(NEXT_OUTGOING));
        linked.expect(Flow { next_incoming_id, ..flow(2_048, 0, u32::MAX >> 1) });
        let ask = Flow { echo: true, ..linked.link_flow(0, 3) };
        linked.send(ask.on(NEAR.peer));
        expect!(linked, Flow { handle: Some(Handle(0)), link_credit: Some(3), available: Some(0), .. });
        linked.silent();
    });
}

#[test]
fn flows_coalesce_until_they_are_written() {
    each_way(|way| {
        let mut linked = way.linked();
        for credit in 1..100 {
            linked.engine_receiver().set_credit(credit);
        }
        expect!(linked, Flow { link_credit: Some(99), .. });
        linked.silent();
    });
}

#[test]
fn w12_a_flow_carries_properties_either_way() {
    each_net(|net| {
        let (mut pair, _, sender, receiver) = windowed(net, 10, 1);
        let properties = |text: &str| amqp1_engine::codec::Fields::new().with("note", text);
        pair.server.receiver(receiver).unwrap().send_flow_properties(properties("from the receiver"));
        pair.run();
        pair.client.expect_event(Event::LinkFlow(sender));
        let told = pair.client.sender(sender).unwrap().flow_properties().cloned();
        assert_eq!(told, Some(properties("from the receiver")));
        pair.client.sender(sender).unwrap().send_flow_properties(properties("from the sender"));
        pair.run();
        pair.server.expect_event(Event::LinkFlow(receiver));
        let told = pair.server.receiver(receiver).unwrap().flow_properties().cloned();
        assert_eq!(told, Some(properties("from the sender")));
        pair.finish();
    });
}
