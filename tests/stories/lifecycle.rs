//! Open, begin, end, close (§2.4, §2.5), and the idle time-outs (§2.4.5).

use amqp1_tests::prelude::*;

//= 2.4.1-01 2.4.2-02 2.4.2-03 2.5.1-04 2.5.5-02 2.7.1-01 2.7.2-01 2.7.3-15 2.7.4-07 2.7.4-X1
#[test]
fn w05_all_of_a_connection_is_written_without_waiting() {
    each_chunking(|way| {
        let mut peer = way.peer(way.config());
        peer.engine().open();
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        let mut endpoint = peer.engine().session(session).unwrap();
        let sender = endpoint.attach_sender(LinkConfig::sender("out", "there")).unwrap();
        let receiver = endpoint.attach_receiver(LinkConfig::receiver("in", "there")).unwrap();
        peer.engine().receiver(receiver).unwrap().set_credit(7);
        assert_eq!(
            peer.engine().sender(sender).unwrap().send(tag(b"early"), true, "x"),
            Err(SendError::Blocked(Blocked::Attach)),
        );

        peer.expect_header();
        expect!(peer, Open { .. });
        expect!(peer, Begin { remote_channel: None, .. });
        expect!(peer, Attach { handle: Handle(0), role: Role::Sender, .. });
        expect!(peer, Attach { handle: Handle(1), role: Role::Receiver, .. });
        // Neither the peer's begin is known yet, nor its attach.
        expect!(
            peer,
            Flow {
                next_incoming_id: None,
                handle: Some(Handle(1)),
                delivery_count: None,
                link_credit: Some(7),
                ..
            }
        );
        peer.silent();
        assert_eq!(peer.engine().state(), ConnectionState::OpenPipe);

        // The answers come in one write, too.
        peer.send_header();
        peer.send_all([
            open("peer").into(),
            Begin { remote_channel: Some(0), ..begin(0, 10, 10) }.on(2),
            attach("out", 5, Role::Receiver).on(2),
            attach("in", 6, Role::Sender).on(2),
            Flow {
                handle: Some(Handle(5)),
                delivery_count: Some(Serial::new(0)),
                link_credit: Some(1),
                ..flow(10, 0, 10)
            }
            .on(2),
            first(6, 0).on(2).with("hello"),
        ]);
        peer.expect_event(Event::Opened);
        peer.expect_event(Event::SessionBegun(session));
        peer.expect_event(Event::LinkAttached(sender));
        peer.expect_event(Event::LinkAttached(receiver));
        peer.expect_event(Event::LinkFlow(sender));
        peer.expect_event(Event::Sendable(sender));
        assert!(matches!(peer.event(), Some(Event::Delivery(_))));
        peer.no_event();
        peer.silent();
    });
}

//= 2.4.3-05
#[test]
fn w05_a_connection_that_is_closed_before_the_peer_has_said_a_word() {
    each_chunking(|way| {
        let mut peer = way.peer(way.config());
        peer.engine().open();
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        peer.engine().session(session).unwrap().attach_sender(LinkConfig::sender("out", "there")).unwrap();
        peer.engine().session(session).unwrap().end(None).unwrap();
        peer.engine().close(None);
        peer.expect_header();
        expect!(peer, Open { .. });
        expect!(peer, Begin { .. });
        expect!(peer, Attach { .. });
        expect!(peer, End { error: None });
        peer.expect(Close::default().on(0));
        assert_eq!(peer.engine().state(), ConnectionState::OpenClosePipe);
        peer.send_header();
        assert_eq!(peer.engine().state(), ConnectionState::ClosePipe);
        peer.send(open("peer"));
        peer.expect_event(Event::Opened);
        assert_eq!(peer.engine().state(), ConnectionState::CloseSent);
        peer.send(Close::default());
        peer.expect_event(Event::Closed { error: None });
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

//= 2.4.2-03 2.7.1-05
#[test]
fn w05_what_is_too_large_for_the_peer_is_not_written_before_or_behind_its_open() {
    each_chunking(|way| {
        let long = "long".repeat(200);
        let properties = || Some(Fields::new().with(Symbol::from_static("text"), long.as_str()));
        let mut peer = way.peer(way.config());
        peer.engine().open();
        let config = SessionConfig { properties: properties(), ..SessionConfig::default() };
        let session = peer.engine().begin(config).unwrap();
        let mut endpoint = peer.engine().session(session).unwrap();
        let large = endpoint.attach_sender(LinkConfig::sender(long.as_str(), "there")).unwrap();
        let small = endpoint.attach_receiver(LinkConfig::receiver("in", "there")).unwrap();
        peer.expect_header();
        expect!(peer, Open { .. });
        // The session does without, the link waits.
        expect!(peer, Begin { properties: None, .. });
        expect!(peer, Attach { role: Role::Receiver, .. });
        peer.silent();
        peer.send_header();
        peer.send(Open { max_frame_size: 512, ..open("peer") });
        peer.silent();
        peer.expect_event(Event::Opened);
        peer.expect_event(Event::LinkTooLarge(large));
        peer.send(Begin { remote_channel: Some(0), ..begin(0, 10, 10) });
        peer.send(attach("in", 0, Role::Sender));
        peer.expect_event(Event::SessionBegun(session));
        peer.expect_event(Event::LinkAttached(small));
        peer.engine().receiver(small).unwrap().send_flow_properties(properties().unwrap());
        expect!(peer, Flow { properties: None, .. });
        let error =
            Error { description: Some(long.as_str().into()), ..Error::new(condition::INTERNAL_ERROR) };
        peer.engine().session(session).unwrap().end(Some(error)).unwrap();
        peer.expect(End { error: Some(Error::new(condition::INTERNAL_ERROR)) });
    });
}

#[test]
fn w05_links_behind_an_unanswered_begin_are_judged_by_the_sessions_to_come() {
    each_way(|way| {
        let session = SessionConfig { handle_max: 5_000, ..SessionConfig::default() };
        let config = Config { session: session.clone(), ..way.config() };
        let mut peer = way.peer(config);
        peer.open_with(open("peer"));
        peer.send_all([begin(0, 10, 10).on(0), attach("far out", 5_000, Role::Sender).on(0)]);
        let Some(Event::SessionBegun(id)) = peer.event() else { panic!("no session") };
        assert!(matches!(peer.event(), Some(Event::LinkAttached(_))));
        peer.engine().session(id).unwrap().accept(session.clone()).unwrap();
        expect!(peer, Begin { handle_max: 5_000, .. });
        peer.silent();
    });
}

#[test]
fn w05_answers_to_a_session_that_was_begun_and_ended_at_once_find_their_place() {
    each_way(|way| {
        let mut peer = way.opened();
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        let mut endpoint = peer.engine().session(session).unwrap();
        endpoint.attach_sender(LinkConfig::sender("out", "there")).unwrap();
        endpoint.end(None).unwrap();
        expect!(peer, Begin { .. });
        expect!(peer, Attach { .. });
        peer.expect(End::default());
        peer.send_all([
            Begin { remote_channel: Some(0), ..begin(0, 10, 10) }.on(4),
            attach("out", 0, Role::Receiver).on(4),
            End::default().on(4),
        ]);
        let events = peer.events();
        assert!(
            matches!(events.as_slice(), [Event::SessionBegun(_), Event::SessionEnded { error: None, .. }]),
            "{events:?}"
        );
        peer.silent();
        assert_eq!(peer.engine().session(session).err(), Some(Misuse::Gone));
        // Channel and name are free.
        let next = peer.engine().begin(SessionConfig::default()).unwrap();
        let mut endpoint = peer.engine().session(next).unwrap();
        endpoint.attach_sender(LinkConfig::sender("out", "there")).unwrap();
        assert_eq!(peer.expect_frame("Begin").channel, 0);
        expect!(peer, Attach { .. });
    });
}

#[test]
fn w05_a_session_that_its_peer_ended_before_it_was_answered_is_answered_all_the_same() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send_all([begin(0, 10, 10).on(4), End::default().on(4)]);
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
        peer.engine().session(session).unwrap().end(None).unwrap();
        expect!(peer, Begin { remote_channel: Some(4), .. });
        peer.expect(End::default());
        peer.expect_event(Event::SessionEnded { session, error: None });
        peer.no_event();
        assert_eq!(peer.engine().session(session).err(), Some(Misuse::Gone));
    });
}

#[test]
fn the_answer_to_our_own_begin_asks_for_none() {
    each_way(|way| {
        let mut peer = way.opened();
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        peer.engine().session(session).unwrap().end(None).unwrap();
        expect!(peer, Begin { remote_channel: None, .. });
        peer.expect(End::default());
        peer.send(Begin { remote_channel: Some(0), ..begin(0, 10, 10) }.on(4));
        peer.expect_event(Event::SessionBegun(session));
        let answered = peer.engine().session(session).unwrap().accept(SessionConfig::default());
        assert_eq!(answered, Err(Misuse::NothingToAnswer));
        peer.silent();
    });
}

#[test]
fn a_link_of_a_session_that_is_being_ended_is_not_answered() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(attach("late", 30, Role::Sender).on(NEAR.peer));
        let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
        let session = linked.session;
        let engine = linked.engine();
        engine.session(session).unwrap().end(None).unwrap();
        let answered = engine.receiver(link).unwrap().attach(LinkConfig::receiver("", "here"));
        assert_eq!(answered, Err(Misuse::SessionNotOpen));
        expect!(linked, End { .. });
        linked.silent();
    });
}

#[test]
fn w06_both_open_at_once() {
    each_net(|net| {
        let mut pair = Pair::new(net);
        pair.client.open();
        pair.server.open();
        pair.run();
        pair.client.expect_event(Event::Opened);
        pair.server.expect_event(Event::Opened);
        assert_eq!(pair.client.state(), ConnectionState::Opened);
        assert_eq!(pair.server.state(), ConnectionState::Opened);
        assert_eq!(pair.client.remote_open().unwrap().container_id, "server");
        assert_eq!(pair.server.remote_open().unwrap().container_id, "client");
        pair.finish();
    });
}

//= 2.4.4-02 2.7.9-02
#[test]
fn w06_both_close_at_once() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        pair.client.close(None);
        pair.server.close(Some(Error::new(condition::CONNECTION_FORCED)));
        pair.run();
        let forced = Some(Box::new(Error::new(condition::CONNECTION_FORCED)));
        pair.client.expect_event(Event::Closed { error: forced });
        pair.client.expect_event(Event::Disconnected(DisconnectReason::Closed));
        pair.server.expect_event(Event::Closed { error: None });
        pair.server.expect_event(Event::Disconnected(DisconnectReason::Closed));
        assert!(pair.client.is_done() && pair.server.is_done());
        pair.finish();
    });
}

//= 2.4.3-01 2.4.4-01 2.7.9-01 2.7.9-02
#[test]
fn w06_one_closes_and_the_other_answers() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        pair.server.close(None);
        pair.run();
        pair.client.expect_event(Event::Closed { error: None });
        assert_eq!(pair.client.state(), ConnectionState::CloseReceived);
        assert_eq!(pair.server.state(), ConnectionState::CloseSent);
        assert_eq!(pair.client.begin(SessionConfig::default()), Err(Misuse::ConnectionClosed));
        pair.client.close(None);
        pair.run();
        assert_eq!(pair.client.events(), [Event::Disconnected(DisconnectReason::Closed)]);
        assert_eq!(
            pair.server.events(),
            [Event::Closed { error: None }, Event::Disconnected(DisconnectReason::Closed)]
        );
        pair.finish();
    });
}

//= 2.5.3-01 2.5.3-02
#[test]
fn w06_both_end_and_both_detach_at_once() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (ours, theirs) = pair.session();
        let (sender, receiver) = pair.link(ours, "link");
        pair.client.sender(sender).unwrap().close(None).unwrap();
        pair.server.receiver(receiver).unwrap().close(None).unwrap();
        pair.run();
        pair.client.expect_event(Event::LinkDetached { link: sender, closed: true, error: None });
        pair.server.expect_event(Event::LinkDetached { link: receiver, closed: true, error: None });
        pair.finish();
        assert_eq!(pair.client.sender(sender).err(), Some(Misuse::Gone));
        assert_eq!(pair.server.receiver(receiver).err(), Some(Misuse::Gone));

        pair.client.session(ours).unwrap().end(None).unwrap();
        pair.server.session(theirs).unwrap().end(None).unwrap();
        pair.run();
        pair.client.expect_event(Event::SessionEnded { session: ours, error: None });
        pair.server.expect_event(Event::SessionEnded { session: theirs, error: None });
        pair.finish();
        assert_eq!(pair.client.session(ours).err(), Some(Misuse::Gone));
        assert_eq!(pair.server.session(theirs).err(), Some(Misuse::Gone));
    });
}

//= 2.1-07
#[test]
fn what_each_side_says_of_a_session_reaches_the_other() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let says = |who: &'static str, handle_max| SessionConfig {
            handle_max,
            incoming_window: 7,
            next_outgoing_id: Serial::new(u32::MAX),
            offered_capabilities: ["offered", who].map(Symbol::from_static).into(),
            desired_capabilities: ["desired", who].map(Symbol::from_static).into(),
            properties: Some(Fields::new().with(Symbol::from_static("who"), who)),
        };
        let (client, server) = (says("client", 3), says("server", 4));
        let (at_client, at_server) = pair.session_with(client.clone(), server.clone());
        let heard_by_client = pair.client.session(at_client).unwrap().remote_begin().cloned();
        let heard_by_server = pair.server.session(at_server).unwrap().remote_begin().cloned();
        for (heard, said) in [(heard_by_server, client), (heard_by_client, server)] {
            let heard = heard.unwrap();
            assert_eq!(heard.handle_max, said.handle_max);
            assert_eq!(heard.incoming_window, said.incoming_window);
            assert_eq!(heard.next_outgoing_id, said.next_outgoing_id);
            assert_eq!(heard.offered_capabilities, said.offered_capabilities);
            assert_eq!(heard.desired_capabilities, said.desired_capabilities);
            assert_eq!(heard.properties, said.properties);
        }
        pair.finish();
    });
}

#[test]
fn both_begin_at_once() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let from_client = pair.client.begin(SessionConfig::default()).unwrap();
        let from_server = pair.server.begin(SessionConfig::default()).unwrap();
        pair.run();
        let Some(Event::SessionBegun(at_client)) = pair.client.event() else { panic!("no session") };
        let Some(Event::SessionBegun(at_server)) = pair.server.event() else { panic!("no session") };
        pair.client.session(at_client).unwrap().accept(SessionConfig::default()).unwrap();
        pair.server.session(at_server).unwrap().accept(SessionConfig::default()).unwrap();
        pair.run();
        pair.client.expect_event(Event::SessionBegun(from_client));
        pair.server.expect_event(Event::SessionBegun(from_server));
        for session in [from_client, at_client] {
            assert_eq!(pair.client.session(session).unwrap().state(), SessionState::Mapped);
        }
        pair.finish();
    });
}

//= 2.5.5-03 2.5.5-04
#[test]
fn w04_the_user_reads_the_states_of_2_4_6_and_2_5_5() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        let first =
            if way.side == Side::Client { ConnectionState::HeaderSent } else { ConnectionState::Start };
        while peer.next_item().is_some() {}
        assert_eq!(peer.engine().state(), first);
        peer.send_header();
        while peer.next_item().is_some() {}
        assert_eq!(peer.engine().state(), ConnectionState::HeaderExchanged);
        peer.send(open("peer"));
        assert_eq!(peer.engine().state(), ConnectionState::OpenReceived);
        peer.engine().open();
        expect!(peer, Open { .. });
        assert_eq!(peer.engine().state(), ConnectionState::Opened);
        peer.expect_event(Event::Opened);

        peer.send(begin(0, 1, 1));
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        assert_eq!(peer.engine().session(session).unwrap().state(), SessionState::BeginReceived);
        peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
        assert_eq!(peer.engine().session(session).unwrap().state(), SessionState::Mapped);
        expect!(peer, Begin { .. });
        peer.send(End::default());
        assert_eq!(peer.engine().session(session).unwrap().state(), SessionState::EndReceived);
        peer.expect_event(Event::SessionEnded { session, error: None });

        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        assert_eq!(peer.engine().session(session).unwrap().state(), SessionState::BeginSent);
        expect!(peer, Begin { .. });
        peer.engine().session(session).unwrap().end(None).unwrap();
        expect!(peer, End { .. });
        assert_eq!(peer.engine().session(session).unwrap().state(), SessionState::EndSent);
    });
}

//= 2.4.1-03 2.7.1-09 2.7.2-03 2.7.2-04
#[test]
fn w08_no_more_sessions_and_links_than_both_sides_take() {
    each_way(|way| {
        let mut peer = way.peer(Config { channel_max: 5, ..way.config() });
        peer.open_with(Open { channel_max: 1, ..open("peer") });
        for _ in 0..2 {
            peer.engine().begin(SessionConfig::default()).unwrap();
        }
        assert_eq!(peer.engine().begin(SessionConfig::default()), Err(Misuse::TooManySessions));

        let mut peer = way.peer(Config { channel_max: 1, ..way.config() });
        assert_eq!(peer.open().channel_max, 1);
        let session =
            peer.engine().begin(SessionConfig { handle_max: 9, ..SessionConfig::default() }).unwrap();
        peer.engine().begin(SessionConfig::default()).unwrap();
        assert_eq!(peer.engine().begin(SessionConfig::default()), Err(Misuse::TooManySessions));
        expect!(peer, Begin { handle_max: 9, .. });
        expect!(peer, Begin { .. });
        peer.send(Begin { remote_channel: Some(0), handle_max: 2, ..begin(0, 1, 1) });
        let mut endpoint = peer.engine().session(session).unwrap();
        for n in 0..3 {
            endpoint.attach_sender(LinkConfig::sender(format!("{n}"), "there")).unwrap();
        }
        let refused = endpoint.attach_receiver(LinkConfig::receiver("3", "there"));
        assert_eq!(refused, Err(Misuse::TooManyLinks));
    });
}

fn idle(way: &Way, ours: u64, peers: u32) -> Peer<Memory> {
    let mut peer = way.peer(Config { idle_time_out: Some(Duration::from_secs(ours)), ..way.config() });
    peer.open_with(Open { idle_time_out: Some(peers), ..open("peer") });
    peer
}

//= 2.3.2-02 2.4.5-06 2.4.5-08
#[test]
fn w09_an_empty_frame_goes_out_when_half_of_the_peers_time_out_has_passed() {
    each_way(|way| {
        let mut peer = idle(way, 1_000_000, 20_000);
        assert_eq!(peer.engine().poll_timeout(), Some((Instant::from_millis(10_000), TimeoutReason::Idle)));
        peer.advance(Duration::from_millis(9_999));
        peer.silent();
        peer.advance(Duration::from_millis(1));
        peer.expect_heartbeat();
        peer.silent();
        // Any frame will do as well.
        peer.advance(Duration::from_millis(9_000));
        peer.engine().begin(SessionConfig::default()).unwrap();
        expect!(peer, Begin { .. });
        peer.advance(Duration::from_millis(9_999));
        peer.silent();
        peer.advance(Duration::from_millis(1));
        peer.expect_heartbeat();
    });
}

//= 2.4.5-09 2.4.5-X2 2.7.9-03
#[test]
fn w09_no_empty_frame_goes_out_before_our_open_or_behind_our_close() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.send(Open { idle_time_out: Some(1_000), ..open("peer") });
        peer.expect_header();
        peer.expect_event(Event::Opened);
        peer.advance(Duration::from_secs(5));
        peer.silent();
        peer.engine().open();
        expect!(peer, Open { .. });
        peer.advance(Duration::from_millis(500));
        peer.expect_heartbeat();
        peer.engine().close(None);
        peer.expect(Close::default());
        peer.advance(Duration::from_secs(5));
        peer.silent();
    });
}

//= 2.7.1-15 2.7.1-17 2.7.1-18 2.8.12-01
#[test]
fn no_locale_but_english_is_offered_and_any_may_be_asked_for() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        let locale = |name: &'static str| Symbols::from([Symbol::from_static(name)]);
        let asked =
            Open { incoming_locales: locale("de-CH"), outgoing_locales: locale("fr"), ..open("peer") };
        let ours = peer.open_with(asked);
        assert_eq!((ours.outgoing_locales, ours.incoming_locales), (Symbols::new(), Symbols::new()));
        peer.silent();
    });
}

#[test]
fn w09_two_engines_keep_each_other_alive_and_a_silent_one_is_noticed() {
    each_net(|net| {
        let idle_time_out = Some(Duration::from_secs(60));
        let mut pair = Pair::with(
            Config { idle_time_out, ..Config::client("client") },
            Config { idle_time_out, ..Config::server("server") },
            net,
        );
        pair.open();
        pair.advance(Duration::from_secs(3_600));
        pair.client.no_event();
        pair.server.no_event();
        assert_eq!(pair.client.state(), ConnectionState::Opened);
        pair.finish();
    });
}

#[test]
fn w09_the_share_of_the_time_out_is_an_option() {
    each_way(|way| {
        let mut peer = way.peer(Config {
            idle_time_out: Some(Duration::from_secs(90)),
            idle_share: std::num::NonZeroU32::new(3).unwrap(),
            ..way.config()
        });
        let ours = peer.open_with(Open { idle_time_out: Some(9_000), ..open("peer") });
        assert_eq!(ours.idle_time_out, Some(30_000));
        peer.advance(Duration::from_millis(3_000));
        peer.expect_heartbeat();
    });
}

#[test]
fn a4_a_clock_that_jumps_ahead_sends_one_sign_of_life_and_no_burst() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { idle_time_out: Some(1_000), ..open("peer") });
        let jump = Instant::from_millis(3_600_000);
        peer.engine().handle_timeout(jump);
        let (next, _) = peer.engine().poll_timeout().unwrap();
        assert!(next > jump, "{next:?}");
    });
}

//= 2.7.7-01 2.7.8-01 2.7.9-04 2.8.14-01 2.8.15-12
#[test]
fn w21_errors_are_passed_on_whole_at_every_level() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (ours, theirs) = pair.session();
        let (sender, receiver) = pair.link(ours, "link");
        let error = Error {
            description: Some("the queue was deleted".into()),
            info: Some(
                Fields::new().with(Symbol::from_static("queue"), "q1").with(Symbol::from_static("n"), 5_u64),
            ),
            ..Error::new(condition::RESOURCE_DELETED)
        };
        let boxed = || Some(Box::new(error.clone()));
        pair.server.receiver(receiver).unwrap().close(Some(error.clone())).unwrap();
        pair.run();
        pair.client.expect_event(Event::LinkDetached { link: sender, closed: true, error: boxed() });
        pair.client.sender(sender).unwrap().close(None).unwrap();
        pair.server.session(theirs).unwrap().end(Some(error.clone())).unwrap();
        pair.run();
        pair.client.expect_event(Event::SessionEnded { session: ours, error: boxed() });
        pair.client.session(ours).unwrap().end(None).unwrap();
        pair.server.close(Some(error.clone()));
        pair.run();
        pair.client.expect_event(Event::Closed { error: boxed() });
        pair.client.close(None);
        pair.run();
        pair.client.expect_event(Event::Disconnected(DisconnectReason::Closed));
    });
}

//= 2.4.1-01 2.7.1-01
#[test]
fn nothing_is_sent_before_our_open_even_on_a_link_that_is_answered_already() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.send(open("peer"));
        peer.expect_header();
        peer.expect_event(Event::Opened);
        peer.send(begin(0, 10, 10));
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
        peer.send(attach("link", 0, Role::Receiver));
        let Some(Event::LinkAttached(link)) = peer.event() else { panic!("no link") };
        peer.engine().sender(link).unwrap().attach(LinkConfig::sender("", "here")).unwrap();
        peer.send(Flow { handle: Some(Handle(0)), link_credit: Some(1), ..flow(10, 0, 10) });
        peer.expect_event(Event::LinkFlow(link));
        peer.no_event();
        let refused = peer.engine().sender(link).unwrap().send(tag(b"a"), true, "a");
        assert_eq!(refused, Err(SendError::Blocked(Blocked::Attach)));
        peer.silent();
        peer.engine().open();
        peer.expect_event(Event::Sendable(link));
        peer.engine().sender(link).unwrap().send(tag(b"a"), true, "a").unwrap();
        expect!(peer, Open { .. });
        expect!(peer, Begin { .. });
        expect!(peer, Attach { .. });
        expect!(peer, Transfer { .. });
        peer.silent();
    });
}
