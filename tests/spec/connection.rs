//! C: the connection (§2.4).

use amqp1_tests::prelude::*;

/// What a peer must not send where it has begun nothing.
fn all_but_begin() -> [Frame; 6] {
    [
        attach("link", 0, Role::Sender).into(),
        flow(1, 0, 1).into(),
        transfer(0).into(),
        disposition(Role::Receiver, 0).into(),
        detach(0).into(),
        End::default().into(),
    ]
}

//= 2.4.1-01 2.7.1-01 2.8.15-07
#[test]
fn c1_a_first_frame_that_is_no_open_closes() {
    each_way(|way| {
        let others: [Frame; 2] = [begin(0, 1, 1).into(), Close::default().into()];
        for frame in all_but_begin().into_iter().chain(others) {
            let mut peer = way.peer(way.config());
            peer.send_header();
            peer.expect_header();
            peer.send(frame);
            // The engine's own open was not sent: it goes before the close.
            peer.closes_with(&condition::NOT_ALLOWED);
        }
    });
}

#[test]
fn c1_the_close_of_a_peer_whose_first_frame_was_no_open_is_taken() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.expect_header();
        peer.send(begin(0, 1, 1));
        assert!(matches!(peer.event(), Some(Event::Violated(_))));
        expect!(peer, Open { .. });
        expect!(peer, Close { .. });
        peer.send(Close::default());
        peer.expect_event(Event::Closed { error: None });
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

//= 2.4.1-02
#[test]
fn c2_an_open_on_another_channel_closes() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.expect_header();
        peer.send(open("peer").on(1));
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
        assert!(peer.engine().remote_open().is_none(), "it is judged before it is believed");
    });
}

#[test]
fn c2_a_second_open_closes() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(open("peer"));
        peer.closes_with(&condition::NOT_ALLOWED);
    });
}

//= 2.4.1-03 2.8.19-03
#[test]
fn c3_a_max_frame_size_below_512_closes() {
    each_way(|way| {
        for max_frame_size in [0, 1, 511] {
            let mut peer = way.peer(way.config());
            peer.send_header();
            peer.expect_header();
            peer.send(Open { max_frame_size, ..open("peer") });
            peer.closes_with(&condition::FRAME_SIZE_TOO_SMALL);
        }
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
    });
}

#[test]
fn c4_the_largest_max_frame_size_costs_nothing() {
    each_way(|way| {
        for _ in 0..100 {
            let mut peer = way.peer(way.config());
            peer.open_with(Open { max_frame_size: u32::MAX, channel_max: u16::MAX, ..open("peer") });
            peer.silent();
        }
    });
}

#[test]
fn c4_no_connection_holds_memory_for_what_its_peer_would_take() {
    let way = Way::new(Side::Server, Chunks::Whole);
    let held = |max_frame_size, channel_max| {
        let connections: Vec<_> = (0..100)
            .map(|_| {
                let mut peer = way.peer(way.config());
                peer.open_with(Open { max_frame_size, channel_max, ..open("peer") });
                peer.send(Begin { handle_max: u32::MAX, ..begin(0, u32::MAX, u32::MAX) });
                peer
            })
            .collect();
        connections.iter().map(Peer::held).sum::<usize>()
    };
    assert!(held(u32::MAX, u16::MAX) <= held(512, 0));
}

//= 2.7.1-10
#[test]
fn c5_a_channel_above_channel_max_closes() {
    each_way(|way| {
        for (channel_max, channel) in [(0, 1), (255, 256), (255, u16::MAX)] {
            for frame in all_but_begin().into_iter().chain([begin(0, 1, 1).into()]) {
                let mut peer = way.peer(Config { channel_max, ..way.config() });
                let open = peer.open();
                assert_eq!(open.channel_max, channel_max);
                peer.send(frame.on(channel));
                peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
            }
        }
    });
}

//= 2.7.1-08
#[test]
fn c5_the_channel_channel_max_itself_is_taken() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(begin(0, 1, 1).on(255));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
        peer.silent();
    });
}

//= 2.5.5-01
#[test]
fn c6_a_frame_on_a_channel_without_a_session_closes() {
    each_way(|way| {
        for frame in all_but_begin() {
            let mut peer = way.opened();
            peer.send(frame.on(5));
            peer.closes_with(&condition::NOT_ALLOWED);
        }
    });
}

//= 2.5.5-01
#[test]
fn c6_a_frame_on_a_channel_whose_session_was_ended_closes() {
    each_way(|way| {
        for frame in all_but_begin() {
            let mut peer = way.opened();
            peer.send(begin(0, 1, 1).on(5));
            peer.send(End::default().on(5));
            assert!(matches!(peer.events()[..], [Event::SessionBegun(_), Event::SessionEnded { .. }]));
            peer.send(frame.on(5));
            peer.closes_with(&condition::NOT_ALLOWED);
        }
    });
}

//= 2.4.5-01 2.4.5-02 2.4.5-03 2.8.15-06
#[test]
fn c7_silence_past_our_time_out_closes() {
    each_way(|way| {
        let mut peer = way.peer(Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() });
        let open = peer.open();
        assert_eq!(open.idle_time_out, Some(30_000), "half of it is advertised");
        peer.advance(Duration::from_millis(59_999));
        peer.no_event();
        peer.silent();
        peer.send_raw(frame_of(0, &[]));
        peer.advance(Duration::from_millis(59_999));
        peer.no_event();
        peer.advance(Duration::from_millis(1));
        peer.closes_with(&condition::RESOURCE_LIMIT_EXCEEDED);
    });
}

#[test]
fn c7_part_of_a_frame_is_no_sign_of_life() {
    each_way(|way| {
        let mut peer = way.peer(Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() });
        peer.open();
        peer.advance(Duration::from_secs(59));
        peer.send_raw(&frame_of(0, &[])[..7]);
        peer.advance(Duration::from_secs(1));
        peer.closes_with(&condition::RESOURCE_LIMIT_EXCEEDED);
    });
}

//= 2.4.5-04 2.7.1-12 2.7.1-13
#[test]
fn c8_idle_time_outs_of_the_peer_from_none_to_the_longest() {
    each_way(|way| {
        for idle_time_out in [None, Some(0)] {
            let mut peer = way.peer(way.config());
            peer.open_with(Open { idle_time_out, ..open("peer") });
            peer.advance(Duration::from_secs(1 << 40));
            peer.silent();
            peer.no_event();
        }
        let mut peer = way.peer(way.config());
        peer.open_with(Open { idle_time_out: Some(u32::MAX), ..open("peer") });
        peer.advance(Duration::from_millis(u64::from(u32::MAX) / 2 - 1));
        peer.silent();
        peer.advance(Duration::from_millis(2));
        peer.expect_heartbeat();
        peer.silent();
    });
}

//= 2.4.5-04 2.7.1-12
#[test]
fn c8_an_idle_time_out_of_a_millisecond_is_served() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { idle_time_out: Some(1), ..open("peer") });
        // The virtual clock fails the test if the deadline does not move on.
        peer.advance(Duration::from_millis(100));
        for _ in 0..200 {
            peer.expect_heartbeat();
        }
        peer.silent();
    });
}

//= 2.4.3-04
#[test]
fn c9_a_close_on_another_channel_is_a_close() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(Close::default().on(5));
        peer.expect_event(Event::Closed { error: None });
        peer.engine().close(None);
        peer.expect(Close::default());
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

//= 2.4.4-02 2.4.6-04 2.4.6-05
#[test]
fn c9_both_close_at_once() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.engine().close(None);
        peer.expect(Close::default());
        assert_eq!(peer.engine().state(), ConnectionState::CloseSent);
        peer.send(Close::default());
        peer.expect_event(Event::Closed { error: None });
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

//= 2.4.3-03
#[test]
fn c9_a_close_that_nobody_answers() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.engine().close(None);
        peer.expect(Close::default());
        peer.advance(Duration::from_millis(9_999));
        peer.no_event();
        peer.advance(Duration::from_millis(1));
        peer.expect_event(Event::Disconnected(DisconnectReason::CloseTimeout));
        peer.expect_dropped();
    });
}

#[test]
fn c10_the_end_of_the_stream_without_a_close_leaves_deliveries_in_doubt() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        for (name, settled) in
            [(b"a", false), (b"b", false), (b"c", true), (b"d", false), (b"e", false), (b"f", false)]
        {
            linked.engine_sender().send(tag(name), settled, "hello").unwrap();
        }
        for _ in 0..6 {
            expect!(linked, Transfer { .. });
        }
        let accepted = Some(DeliveryState::Accepted);
        for told in [
            settled(Role::Receiver, 1, DeliveryState::Accepted),
            Disposition { state: accepted, ..disposition(Role::Receiver, 4) },
            Disposition { settled: true, ..disposition(Role::Receiver, 5) },
        ] {
            linked.send(told.on(NEAR.peer));
            assert!(matches!(linked.event(), Some(Event::Updated(_))));
        }
        linked.shut();
        linked.expect_event(Event::Disconnected(DisconnectReason::Aborted));
        let in_doubt: Vec<_> = linked.engine().in_doubt().map(|(_, delivery)| *delivery.tag()).collect();
        assert_eq!(in_doubt, [tag(b"a"), tag(b"d")]);
        linked.no_event();
        linked.expect_dropped();
        assert_eq!(
            linked.engine_sender().send(tag(b"e"), true, "late"),
            Err(SendError::Misuse(Misuse::ConnectionClosed)),
            "a lost connection sends nothing"
        );
    });
}

//= 2.4.3-02 2.4.6-03 2.7.9-03
#[test]
fn c11_a_flood_after_our_close_is_dropped() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(1_000);
        let error = Error { description: Some("enough".into()), ..Error::new(condition::INTERNAL_ERROR) };
        linked.engine().close(Some(error.clone()));
        linked.expect(Close { error: Some(error) });
        assert_eq!(linked.engine().state(), ConnectionState::Discarding);
        let held = linked.held();
        for id in 0..1_000 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("flood"));
            linked.send(begin(0, 1, 1).on(20));
            linked.send_raw(frame_of(0, b"\x00\x53\x11\x40"));
        }
        assert!(linked.held() <= held, "it grows from {held} to {}", linked.held());
        linked.finish();
        linked.send(Close::default());
        linked.expect_event(Event::Closed { error: None });
        linked.expect_event(Event::Disconnected(DisconnectReason::Closed));
        linked.expect_dropped();
    });
}

//= 2.8.14-01
#[test]
fn c12_any_error_in_a_close_is_passed_on_whole() {
    each_way(|way| {
        let info = Fields::new().with(Symbol::from_static("network-host"), "elsewhere");
        let errors = [
            Error::new(Symbol::from_static("com.example:unknown")),
            Error {
                description: Some("x".repeat(60_000).as_str().into()),
                ..Error::new(condition::INTERNAL_ERROR)
            },
            Error { info: Some(info), ..Error::new(condition::CONNECTION_REDIRECT) },
            Error::new(Symbol::from_static("")),
        ];
        for error in errors {
            let mut peer = way.opened();
            peer.send(Close { error: Some(error.clone()) });
            peer.expect_event(Event::Closed { error: Some(Box::new(error)) });
            peer.engine().close(None);
            peer.expect(Close::default());
            peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
            peer.expect_dropped();
        }
    });
}

#[test]
fn c12_any_error_of_an_end_or_detach_is_passed_on_whole() {
    each_way(|way| {
        for error in [
            Error::new(Symbol::from_static("com.example:unknown")),
            Error {
                description: Some("x".repeat(60_000).as_str().into()),
                ..Error::new(condition::INTERNAL_ERROR)
            },
            Error::new(Symbol::from_static("")),
        ] {
            let boxed = Some(Box::new(error.clone()));
            let mut linked = way.linked();
            let (session, link) = (linked.session, linked.sender);
            let detach = Detach { closed: true, error: Some(error.clone()), ..detach(NEAR.peer_receiver) };
            linked.send(detach.on(NEAR.peer));
            linked.expect_event(Event::LinkDetached { link, closed: true, error: boxed.clone() });
            linked.send(End { error: Some(error) }.on(NEAR.peer));
            linked.expect_event(Event::SessionEnded { session, error: boxed });
            linked.far_is_fine();
        }
    });
}

#[test]
fn c12_an_error_without_a_condition_in_an_end_or_detach_closes() {
    each_way(|way| {
        // end { error { null, "text" } }, detach { 8, true, error { null, "text" } }
        for body in [
            &b"\x00\x53\x17\xc0\x0d\x01\x00\x53\x1d\xc0\x07\x02\x40\xa1\x04text"[..],
            b"\x00\x53\x16\xc0\x10\x03\x52\x08\x41\x00\x53\x1d\xc0\x07\x02\x40\xa1\x04text",
        ] {
            let mut linked = way.linked();
            linked.send_raw(frame_of(NEAR.peer, body));
            linked.closes_with(&condition::DECODE_ERROR);
        }
    });
}

#[test]
fn c12_an_error_without_a_condition_still_closes() {
    each_way(|way| {
        let mut peer = way.opened();
        // close { error { null, "text" } }
        peer.send_raw(frame_of(0, b"\x00\x53\x18\xc0\x0d\x01\x00\x53\x1d\xc0\x07\x02\x40\xa1\x04text"));
        assert!(matches!(peer.event(), Some(Event::Violated(_))));
        peer.expect_event(Event::Closed { error: None });
        let condition = expect!(peer, Close { error: Some(error) } => error.condition);
        assert_eq!(condition, condition::DECODE_ERROR);
        // It was a close: no other is waited for.
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

#[test]
fn c10_the_end_of_the_stream_behind_the_peers_close_is_no_abort() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(Close::default());
        peer.shut();
        peer.expect_event(Event::Closed { error: None });
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        // It may have shut its half alone, and read on.
        peer.expect(Close::default());
        peer.expect_dropped();
    });
}
