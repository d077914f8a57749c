//! N: sessions (§2.5).

use amqp1_tests::prelude::*;

//= 2.7.2-02
#[test]
fn n1_a_begin_that_answers_a_channel_never_used_closes() {
    each_way(|way| {
        for remote_channel in [0, 1, u16::MAX] {
            let mut peer = way.opened();
            peer.send(Begin { remote_channel: Some(remote_channel), ..begin(0, 1, 1) });
            peer.closes_with(&condition::INVALID_FIELD);
        }
    });
}

#[test]
fn n1_a_second_answer_to_the_same_begin_closes() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.engine().begin(SessionConfig::default()).unwrap();
        expect!(peer, Begin { .. });
        let answer = Begin { remote_channel: Some(0), ..begin(0, 1, 1) };
        peer.send(answer.clone().on(5));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
        peer.send(answer.on(6));
        peer.closes_with(&condition::INVALID_FIELD);
    });
}

#[test]
fn n2_a_second_begin_on_a_live_channel_closes() {
    each_way(|way| {
        for remote_channel in [None, Some(NEAR.engine)] {
            let mut linked = way.linked();
            linked.send(Begin { remote_channel, ..begin(0, 1, 1) }.on(NEAR.peer));
            linked.closes_with(&condition::NOT_ALLOWED);
        }
    });
}

#[test]
fn n2_an_end_on_a_channel_without_a_session_closes() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(End::default().on(9));
        linked.closes_with(&condition::NOT_ALLOWED);
    });
}

//= 2.5.1-01 2.5.1-02 2.5.1-03 2.5.1-04 2.7.2-01 2.7.2-02
#[test]
fn n3_channels_are_used_again_and_nothing_is_left_behind() {
    each_way(|way| {
        let mut peer = way.opened();
        for round in 0..500 {
            // The peer begins and ends, the engine answers; then the other way round.
            peer.send(begin(round, 1, 1).on(5));
            let Some(Event::SessionBegun(session)) = peer.event() else {
                panic!("no session in round {round}")
            };
            peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
            assert_eq!(expect!(peer, Begin { remote_channel, .. } => remote_channel), Some(5));
            peer.send(End::default().on(5));
            peer.expect_event(Event::SessionEnded { session, error: None });
            peer.engine().session(session).unwrap().end(None).unwrap();
            peer.expect(End::default().on(0));
            assert_eq!(peer.engine().session(session).err(), Some(Misuse::Gone));

            let session = peer.engine().begin(SessionConfig::default()).unwrap();
            expect!(peer, Begin { remote_channel: None, .. });
            peer.send(Begin { remote_channel: Some(0), ..begin(0, 1, 1) }.on(6));
            peer.expect_event(Event::SessionBegun(session));
            peer.engine().session(session).unwrap().end(None).unwrap();
            peer.expect(End::default().on(0));
            peer.send(End::default().on(6));
            peer.expect_event(Event::SessionEnded { session, error: None });
            peer.no_event();
            assert_eq!(peer.engine().session(session).err(), Some(Misuse::Gone));
        }
        peer.silent();
    });
}

#[test]
fn n3_sessions_without_number_take_no_more_memory_than_one() {
    let mut peer = Way::new(Side::Server, Chunks::Whole).opened();
    let mut held = 0;
    for round in 0..10_000 {
        peer.send_all([begin(round, 1, 1).on(5), End::default().on(5)]);
        let [Event::SessionBegun(session), Event::SessionEnded { .. }] = peer.events()[..] else {
            panic!("no session in round {round}")
        };
        peer.engine().session(session).unwrap().end(None).unwrap();
        expect!(peer, Begin { remote_channel: Some(5), .. });
        peer.expect(End::default().on(0));
        if round == 10 {
            held = peer.held();
        }
    }
    assert_eq!(peer.held(), held);
}

//= 2.5.3-02
#[test]
fn n3_crossing_ends_free_both_channels() {
    each_way(|way| {
        let mut linked = way.linked();
        let session = linked.session;
        linked.engine_session().end(None).unwrap();
        linked.expect(End::default().on(NEAR.engine));
        linked.send(End::default().on(NEAR.peer));
        linked.expect_event(Event::SessionEnded { session, error: None });
        linked.no_event();
        let next = linked.engine().begin(SessionConfig::default()).unwrap();
        assert_ne!(next, session, "an id is not used again");
        expect!(linked, Begin { remote_channel: None, .. });
        linked.send(Begin { remote_channel: Some(NEAR.engine), ..begin(0, 1, 1) }.on(NEAR.peer));
        linked.expect_event(Event::SessionBegun(next));
        linked.far_is_fine();
    });
}

//= 2.5.5-05 2.5.5-06
#[test]
fn n3_a_channel_is_free_as_soon_as_its_end_is_sent() {
    each_way(|way| {
        let mut linked = way.linked();
        let ended = linked.session;
        linked.engine_session().end(None).unwrap();
        linked.expect(End::default().on(NEAR.engine));
        let next = linked.engine().begin(SessionConfig::default()).unwrap();
        assert_eq!(linked.expect_frame("Begin").channel, NEAR.engine);
        // What the peer still sends is of the old session: its channel is not ours.
        linked.send(detach(NEAR.peer_sender).on(NEAR.peer));
        linked.finish();
        linked.send(Begin { remote_channel: Some(NEAR.engine), ..begin(0, 1, 1) }.on(9));
        linked.expect_event(Event::SessionBegun(next));
        linked.send(End::default().on(NEAR.peer));
        linked.expect_event(Event::SessionEnded { session: ended, error: None });
        linked.far_is_fine();
    });
}

//= 2.5.4-02 2.5.5-08
#[test]
fn n4_frames_on_a_session_that_failed_are_dropped_until_its_end() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(100);
        let session = linked.session;
        let error = Error::new(condition::INTERNAL_ERROR);
        linked.engine_session().end(Some(error.clone())).unwrap();
        linked.expect(End { error: Some(error) }.on(NEAR.engine));
        assert_eq!(linked.engine_session().state(), SessionState::Discarding);
        for id in 0..20 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("dropped"));
        }
        linked.send(attach("new", 50, Role::Receiver).on(NEAR.peer));
        linked.send(attach("in use", NEAR.peer_sender, Role::Sender).on(NEAR.peer));
        linked.send(first(99, 7).on(NEAR.peer));
        let last = Some(Serial::new(0));
        linked.send(Disposition { last, ..disposition(Role::Sender, 9) }.on(NEAR.peer));
        linked.send(detach(NEAR.peer_sender).on(NEAR.peer));
        linked.send(detach(99).on(NEAR.peer));
        linked.send(Flow { echo: true, ..flow(0, 5_000, 0) }.on(NEAR.peer));
        linked.finish();
        linked.send(End::default().on(NEAR.peer));
        linked.expect_event(Event::SessionEnded { session, error: None });
        linked.no_event();
        linked.far_is_fine();
    });
}

//= 2.5.4-01 2.5.4-02
#[test]
fn n4_what_follows_a_violation_in_the_same_read_is_dropped() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        linked.send_all([
            first(NEAR.peer_sender, 0).on(NEAR.peer).with("before"),
            detach(99).on(NEAR.peer),
            first(NEAR.peer_sender, 1).on(NEAR.peer).with("after"),
            detach(98).on(NEAR.peer),
        ]);
        let (id, payload) = linked.delivery();
        assert_eq!((id.number().get(), &payload[..]), (0, &b"before"[..]));
        linked.ends_with(&condition::SESSION_UNATTACHED_HANDLE);
    });
}

//= 2.5.4-01 2.8.17-01
#[test]
fn n5_a_transfer_beyond_the_incoming_window_ends_the_session() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 2, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        for id in 0..3 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("x"));
        }
        assert!(matches!(linked.event(), Some(Event::Delivery(_))));
        assert!(matches!(linked.event(), Some(Event::Delivery(_))));
        linked.ends_with(&condition::SESSION_WINDOW_VIOLATION);
    });
}

#[test]
fn n5_a_window_of_nothing_takes_nothing() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 0, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        linked.ends_with(&condition::SESSION_WINDOW_VIOLATION);
    });
}

#[test]
fn n5_the_window_counts_frames_and_not_deliveries() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 2, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        linked.send(Transfer { more: true, ..first(NEAR.peer_sender, 0) }.on(NEAR.peer).with("a"));
        for _ in 0..2 {
            linked.send(Transfer { more: true, ..transfer(NEAR.peer_sender) }.on(NEAR.peer).with("b"));
        }
        assert!(matches!(linked.event(), Some(Event::Delivery(_))));
        linked.ends_with(&condition::SESSION_WINDOW_VIOLATION);
    });
}

//= 2.5.6-09
#[test]
fn n6_a_flow_that_is_ahead_of_what_was_sent_ends_the_session() {
    each_way(|way| {
        for ahead in [1, 2, 1_000, 0x7fff_fffe] {
            let mut linked = way.linked();
            let flow = Flow { next_incoming_id: Some(Serial::new(ahead)), ..linked.flow() };
            linked.send(flow.on(NEAR.peer));
            linked.ends_with(&condition::SESSION_WINDOW_VIOLATION);
        }
    });
}

#[test]
fn n6_a_flow_whose_next_outgoing_id_has_gone_back_ends_the_session() {
    each_way(|way| {
        for back in [1, 2, 999, 0x7fff_ffff] {
            let mut linked = way.linked();
            let flow =
                Flow { next_outgoing_id: Serial::new(NEXT_OUTGOING.wrapping_sub(back)), ..linked.flow() };
            linked.send(flow.on(NEAR.peer));
            linked.ends_with(&condition::SESSION_WINDOW_VIOLATION);
        }
    });
}

//= 2.5.6-01 2.5.6-02 2.5.6-09 2.8.10-01
#[test]
fn n7_transfer_ids_of_the_engine_wrap() {
    each_way(|way| {
        let config = SessionConfig { next_outgoing_id: Serial::new(0xffff_fffd), ..SessionConfig::default() };
        let link = |link| LinkConfig { initial_delivery_count: Serial::new(0xffff_fffe), ..link };
        let mut linked = Linked::with(way.opened(), config, link);
        linked.grant(10);
        for id in 0..6 {
            linked.engine_sender().send(tag([id as u8]), false, "x").unwrap();
            expect!(linked, Transfer { delivery_id: Some(number), .. } if number.get() == id);
            // The peer acknowledges each, before, at and after the wrap.
            let flow = linked.link_flow(0xffff_fffe_u32.wrapping_add(id + 1), 10);
            linked.send(flow.on(NEAR.peer));
            assert_eq!(linked.engine_sender().credit(), 10);
            assert_eq!(linked.engine_session().remote_incoming_window(), WINDOW);
            let sender = linked.sender;
            linked.expect_event(Event::LinkFlow(sender));
        }
        linked.session_is_fine();
    });
}

//= 2.6.7-16 2.7.4-06
#[test]
fn n7_numbers_of_the_peer_wrap() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(begin(0xffff_fffd_u32, WINDOW, WINDOW).on(3));
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
        expect!(peer, Begin { .. });
        let attach = Attach {
            initial_delivery_count: Some(Serial::new(0xffff_fffe)),
            ..attach("wraps", 0, Role::Sender)
        };
        peer.send(attach.on(3));
        let Some(Event::LinkAttached(link)) = peer.event() else { panic!("no link") };
        peer.engine().receiver(link).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        peer.engine().receiver(link).unwrap().set_credit(10);
        expect!(peer, Attach { .. });
        expect!(peer, Flow { next_incoming_id: Some(next), .. } if next.get() == 0xffff_fffd);

        let ids: Vec<_> = (0..6).map(|n| 0xffff_fffc_u32.wrapping_add(n)).collect();
        for id in &ids {
            peer.send(first(0, *id).on(3).with("x"));
        }
        for id in &ids {
            let Some(Event::Delivery(delivery)) = peer.event() else { panic!("no delivery {id}") };
            assert_eq!(delivery.number().get(), *id);
            peer.engine().receiver(link).unwrap().accept(delivery).unwrap();
        }
        // One range over the wrap.
        let range = Disposition {
            last: Some(Serial::new(1)),
            ..settled(Role::Receiver, ids[0], DeliveryState::Accepted)
        };
        peer.expect(range);
        assert_eq!(peer.engine().session(session).unwrap().unsettled(Role::Receiver), 0);
        // The peer's flow at 3 = 0xfffffffd + 6 is not misjudged; the drained credit counts over the wrap, too.
        let flow = Flow {
            next_incoming_id: Some(Serial::new(0)),
            handle: Some(Handle(0)),
            delivery_count: Some(Serial::new(4 + 4)),
            link_credit: Some(0),
            echo: true,
            ..flow(WINDOW, 3, WINDOW)
        };
        peer.send(flow.on(3));
        expect!(peer, Flow { next_incoming_id: Some(next), delivery_count: Some(count), link_credit: Some(0), .. }
            if next.get() == 3 && count.get() == 8);
        peer.expect_event(Event::LinkFlow(link));
        peer.no_event();
        peer.silent();
    });
}

#[test]
fn n7_a_disposition_range_over_the_wrap_settles_what_it_names() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        linked.engine_sender().send(tag(b"a"), false, "x").unwrap();
        linked.engine_sender().send(tag(b"b"), false, "x").unwrap();
        let range = Disposition {
            last: Some(Serial::new(1)),
            ..settled(Role::Receiver, 0xffff_fff0, DeliveryState::Accepted)
        };
        linked.send(range.on(NEAR.peer));
        let updated: Vec<_> = linked.events();
        assert_eq!(updated.len(), 2, "{updated:?}");
        assert_eq!(linked.engine().in_doubt().count(), 0);
    });
}

#[test]
fn n8_extreme_windows() {
    each_way(|way| {
        for incoming_window in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            for outgoing_window in [0, u32::MAX] {
                let mut peer = way.opened();
                peer.send(begin(5, incoming_window, outgoing_window));
                let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
                let mut endpoint = peer.engine().session(session).unwrap();
                assert_eq!(endpoint.remote_incoming_window(), incoming_window);
                let config = SessionConfig { incoming_window: u32::MAX, ..SessionConfig::default() };
                endpoint.accept(config).unwrap();
                expect!(peer, Begin { incoming_window: u32::MAX, .. });
                peer.send(flow(u32::MAX, 5, 0));
                assert_eq!(peer.engine().session(session).unwrap().remote_incoming_window(), u32::MAX);
                peer.no_event();
                peer.silent();
            }
        }
    });
}

//= 2.5.6-10
#[test]
fn n8_a_flow_without_next_incoming_id_counts_from_the_first_transfer() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        for n in 0..3_u8 {
            linked.engine_sender().send(tag([n]), true, "x").unwrap();
            expect!(linked, Transfer { .. });
        }
        // incoming-window + initial id - next-outgoing-id = 5 + 0 - 3
        let flow = Flow { next_incoming_id: None, incoming_window: 5, ..linked.flow() };
        linked.send(flow.on(NEAR.peer));
        assert_eq!(linked.engine_session().remote_incoming_window(), 2);
        let flow = Flow { next_incoming_id: None, incoming_window: 1, ..linked.flow() };
        linked.send(flow.on(NEAR.peer));
        assert_eq!(linked.engine_session().remote_incoming_window(), 0, "never below zero");
        linked.session_is_fine();
    });
}

#[test]
fn n5_the_window_opens_again_for_transfers_that_were_dropped() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 4, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        linked.engine_receiver().close(None).unwrap();
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_receiver) }.on(NEAR.engine));
        linked.send(Transfer { more: true, ..first(NEAR.peer_sender, 0) }.on(NEAR.peer));
        for _ in 0..3 {
            linked.send(Transfer { more: true, ..transfer(NEAR.peer_sender) }.on(NEAR.peer));
        }
        expect!(linked, Flow { handle: None, incoming_window: 4, .. });
        linked.finish();
    });
}

#[test]
fn n5_the_window_opens_again_for_deliveries_that_went_with_their_link() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 4, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        for id in 0..4 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("not taken"));
        }
        assert_eq!(linked.events().len(), 4);
        linked.engine_receiver().close(None).unwrap();
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_receiver) }.on(NEAR.engine));
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        assert!(matches!(linked.event(), Some(Event::LinkDetached { .. })));
        linked.no_event();
        expect!(linked, Flow { handle: None, incoming_window: 4, .. });
        linked.finish();
    });
}

//= 2.5.6-08 2.7.4-02
#[test]
fn n6_a_flow_may_tell_of_transfers_that_never_came() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(2);
        for n in 0..2_u8 {
            linked.engine_sender().send(tag([n]), true, "x").unwrap();
            expect!(linked, Transfer { .. });
        }
        let flow = linked.flow();
        let ahead = Flow { next_outgoing_id: flow.next_outgoing_id.plus(5), echo: true, ..flow };
        linked.send(ahead.clone().on(NEAR.peer));
        expect!(linked, Flow { next_incoming_id: Some(theirs), next_outgoing_id: ours, .. }
            if theirs == ahead.next_outgoing_id && ours.get() == 2);
        linked.finish();
    });
}
