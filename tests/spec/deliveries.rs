//! D: deliveries (§2.6.12, §2.6.14, §2.7.5).

use amqp1_tests::prelude::*;

/// A further transfer of a delivery.
fn more(handle: u32) -> Transfer {
    Transfer { more: true, ..transfer(handle) }
}

const SENDER: u32 = NEAR.peer_sender;

/// Sends these transfers on the session that a test is about.
fn send(linked: &mut Linked, transfers: impl IntoIterator<Item = Transfer>) {
    for transfer in transfers {
        linked.send(transfer.on(NEAR.peer).with("data"));
    }
}

/// A receiver with credit gets these transfers, the last of which is wrong: it is detached, and that is all.
#[track_caller]
fn detaches(way: &Way, transfers: &[Transfer], condition: &Symbol) {
    let mut linked = way.linked();
    linked.credit(10);
    let (last, before) = transfers.split_last().expect("there is one that is wrong");
    send(&mut linked, before.iter().cloned());
    linked.events();
    send(&mut linked, [last.clone()]);
    linked.detaches_with(NEAR.engine_receiver, condition);
    let link = linked.receiver;
    linked.send(Detach { closed: true, ..detach(SENDER) }.on(NEAR.peer));
    let events = linked.events();
    assert!(
        matches!(events.last(), Some(Event::LinkDetached { link: id, closed: true, .. }) if *id == link),
        "{events:?}"
    );
    let session = linked.session;
    assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0, "nothing is left of {session:?}");
    linked.session_is_fine();
}

/// The same with settings of the link.
#[track_caller]
fn detaches_in_mode(way: &Way, modes: Attach, transfers: &[Transfer], condition: &Symbol) {
    let mut linked = way.linked();
    let session = linked.session;
    let Attach { snd_settle_mode, rcv_settle_mode, .. } = modes;
    linked.send(Attach { handle: Handle(30), ..modes }.on(NEAR.peer));
    let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
    let config = LinkConfig { snd_settle_mode, rcv_settle_mode, ..LinkConfig::receiver("", "here") };
    linked.engine().receiver(link).unwrap().attach(config).unwrap();
    linked.engine().receiver(link).unwrap().set_credit(10);
    expect!(linked, Attach { .. });
    expect!(linked, Flow { .. });
    send(&mut linked, transfers.iter().cloned());
    linked.detaches_with(2, condition);
    assert_eq!(linked.engine().session(session).unwrap().state(), SessionState::Mapped);
}

fn mode(snd_settle_mode: SenderSettleMode) -> Attach {
    let initial_delivery_count = Some(Serial::new(0));
    Attach { snd_settle_mode, initial_delivery_count, ..attach("mode", 30, Role::Sender) }
}

//= 2.8.17-04
#[test]
fn d1_a_transfer_on_an_unknown_handle_ends_the_session() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(first(99, 0).on(NEAR.peer));
        linked.ends_with(&condition::SESSION_UNATTACHED_HANDLE);
    });
}

#[test]
fn d1_a_transfer_on_a_link_that_the_engine_sends_on_ends_the_session() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(first(NEAR.peer_receiver, 0).on(NEAR.peer));
        linked.ends_with(&condition::NOT_ALLOWED);

        let mut linked = way.linked();
        linked.send_raw(overlong_tag(NEAR.peer_receiver, 33));
        linked.ends_with(&condition::NOT_ALLOWED);
    });
}

//= 2.7.5-03 2.7.5-06 2.7.5-07 2.8.15-08
#[test]
fn d2_a_first_transfer_without_its_fields_detaches() {
    each_way(|way| {
        for bad in [
            Transfer { delivery_id: None, ..first(SENDER, 0) },
            Transfer { delivery_tag: None, ..first(SENDER, 0) },
            Transfer { message_format: None, ..first(SENDER, 0) },
            transfer(SENDER),
            Transfer { delivery_tag: None, more: true, ..first(SENDER, 0) },
        ] {
            detaches(way, &[bad], &condition::INVALID_FIELD);
        }
    });
}

#[test]
fn d2_the_rest_of_a_delivery_whose_first_transfer_was_wrong_is_dropped() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        let bad = Transfer { delivery_tag: None, more: true, ..first(SENDER, 0) };
        linked.send(bad.on(NEAR.peer).with("data"));
        linked.detaches_with(NEAR.engine_receiver, &condition::INVALID_FIELD);
        // The peer has not seen the detach, and goes on.
        send(&mut linked, [more(SENDER), more(SENDER), transfer(SENDER)]);
        linked.finish();
        linked.session_is_fine();
    });
}

#[test]
fn d3_delivery_ids_that_do_not_follow_end_the_session() {
    each_way(|way| {
        for (before, wrong) in [(0, 2), (5, 5), (5, 4), (5, 0x8000_0006), (u32::MAX, 1), (0, 1_000)] {
            let mut linked = way.linked();
            linked.credit(10);
            send(&mut linked, [first(SENDER, before)]);
            linked.delivery();
            let bad = Transfer { delivery_tag: Some(tag(b"other")), ..first(SENDER, wrong) };
            linked.send(bad.on(NEAR.peer));
            linked.ends_with(&condition::INVALID_FIELD);
        }
    });
}

//= 2.6.14-04 2.7.5-05 2.7.5-X1 2.7.5-X2
#[test]
fn d4_a_continuation_that_differs_from_its_first_transfer_detaches() {
    each_way(|way| {
        let start = Transfer { more: true, ..first(SENDER, 7) };
        for bad in [
            Transfer { delivery_id: Some(Serial::new(8)), ..transfer(SENDER) },
            Transfer { delivery_id: Some(Serial::new(6)), ..transfer(SENDER) },
            Transfer { delivery_tag: Some(tag(b"other")), ..transfer(SENDER) },
            Transfer { message_format: Some(1), ..transfer(SENDER) },
            // Two deliveries at a time on one link.
            first(SENDER, 8),
        ] {
            detaches(way, &[start.clone(), bad], &condition::INVALID_FIELD);
        }
    });
}

//= 2.7.5-04
#[test]
fn d4_a_continuation_may_repeat_what_the_first_transfer_said() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        send(&mut linked, [Transfer { more: true, ..first(SENDER, 7) }, first(SENDER, 7)]);
        let (id, payload) = linked.delivery();
        assert_eq!(payload, "datadata");
        assert!(linked.engine_receiver().delivery(id).unwrap().is_complete());
        linked.session_is_fine();
    });
}

//= 2.8.7-01
#[test]
fn d5_tags_of_nothing_and_of_32_bytes_are_tags() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        let tags = [tag(b""), tag([9; 32])];
        for (id, delivery_tag) in (0..).zip(tags) {
            send(&mut linked, [Transfer { delivery_tag: Some(delivery_tag), ..first(SENDER, id) }]);
            let (id, _) = linked.delivery();
            assert_eq!(*linked.engine_receiver().delivery(id).unwrap().tag(), delivery_tag);
        }
        linked.session_is_fine();
    });
}

/// The first transfer of delivery 0, on the session that a test is about, with a tag of this length.
pub(crate) fn overlong_tag(handle: u32, len: u32) -> Vec<u8> {
    let mut fields = vec![0x52, u8::try_from(handle).expect("handles of tests are small"), 0x43, 0xb0];
    fields.extend(len.to_be_bytes());
    fields.extend(vec![7; len as usize]);
    fields.push(0x43);
    // transfer { handle, delivery-id, delivery-tag, message-format }
    let mut body = b"\x00\x53\x14\xd0".to_vec();
    body.extend((fields.len() as u32 + 4).to_be_bytes());
    body.extend(b"\0\0\0\x04");
    body.extend(fields);
    frame_of(NEAR.peer, &body)
}

#[test]
fn d5_a_delivery_whose_tag_is_above_32_bytes_must_follow_the_one_before() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        send(&mut linked, [first(SENDER, 5)]);
        linked.delivery();
        linked.send_raw(overlong_tag(SENDER, 33));
        linked.ends_with(&condition::INVALID_FIELD);
    });
}

//= 2.6.4-01
#[test]
fn d16_a_delivery_that_is_under_way_when_the_engine_detaches_is_gone() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        send(&mut linked, [Transfer { more: true, ..first(SENDER, 0) }]);
        let Some(Event::Delivery(id)) = linked.event() else { panic!("no delivery") };
        linked.engine_receiver().detach().unwrap();
        linked.expect(detach(NEAR.engine_receiver).on(NEAR.engine));
        send(&mut linked, [more(SENDER), transfer(SENDER)]);
        linked.expect_event(Event::Aborted(id));
        assert_eq!(linked.engine_receiver().take(id).err(), Some(Misuse::Gone));
        assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0);
        linked.session_is_fine();
    });
}

#[test]
fn l2_a_delivery_of_another_link_is_not_this_links() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(1);
        send(&mut linked, [first(SENDER, 0)]);
        linked.delivery();
        let far = linked.far_receiver;
        linked.engine().receiver(far).unwrap().set_credit(1);
        expect!(linked, Flow { .. });
        linked.send(first(FAR.peer_sender, 0).on(FAR.peer).with("far"));
        let Some(Event::Delivery(id)) = linked.event() else { panic!("no delivery") };
        assert_eq!(linked.engine_receiver().take(id).err(), Some(Misuse::Gone));
        assert_eq!(linked.engine_receiver().accept(id), Err(Misuse::Gone));
        assert_eq!(linked.engine().receiver(far).unwrap().take(id).unwrap().len(), 3);
        linked.finish();
    });
}

#[test]
fn d5_a_tag_above_32_bytes_detaches() {
    each_way(|way| {
        for len in [33, 255, 256, 60_000_u32] {
            let mut linked = way.linked();
            linked.credit(10);
            linked.send_raw(overlong_tag(SENDER, len));
            linked.count_transfer(NEAR.peer);
            linked.detaches_with(NEAR.engine_receiver, &condition::INVALID_FIELD);
        }
    });
}

//= 2.6.12-02
#[test]
fn d5_a_tag_of_an_unsettled_delivery_detaches() {
    each_way(|way| {
        for delivery_tag in [tag(b""), tag(b"again"), tag([3; 32])] {
            let same = |id| Transfer { delivery_tag: Some(delivery_tag), ..first(SENDER, id) };
            let between = Transfer { delivery_tag: Some(tag(b"between")), ..first(SENDER, 1) };
            detaches(way, &[same(0), between, same(2)], &condition::INVALID_FIELD);
        }
    });
}

#[test]
fn d5_a_tag_is_free_again_once_its_delivery_is_settled() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        for id in 0..4 {
            send(&mut linked, [Transfer { delivery_tag: Some(tag(b"same")), ..first(SENDER, id) }]);
            let (delivery, _) = linked.delivery();
            linked.engine_receiver().accept(delivery).unwrap();
            linked.expect(settled(Role::Receiver, id, DeliveryState::Accepted));
        }
        for id in 4..8 {
            let known =
                Transfer { settled: Some(true), delivery_tag: Some(tag(b"same")), ..first(SENDER, id) };
            send(&mut linked, [known]);
            linked.delivery();
        }
        linked.session_is_fine();
    });
}

#[test]
fn d6_a_delivery_without_end_is_stopped_at_the_limit_of_its_size() {
    each_way(|way| {
        let max_message_size = Some(1_000);
        let link = |link| LinkConfig { max_message_size, ..link };
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
        linked.credit(10);
        linked.send(Transfer { more: true, ..first(SENDER, 0) }.on(NEAR.peer).with(vec![0; 500]));
        linked.send(more(SENDER).on(NEAR.peer).with(vec![0; 500]));
        assert!(matches!(linked.event(), Some(Event::Delivery(_))));
        linked.finish();
        linked.send(more(SENDER).on(NEAR.peer).with(vec![0; 1]));
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_MESSAGE_SIZE_EXCEEDED);
        linked.send(more(SENDER).on(NEAR.peer).with(vec![0; 500]));
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

#[test]
fn d6_unfinished_deliveries_above_the_limit_of_unread_bytes_close() {
    each_way(|way| {
        let mut config = way.config();
        config.limits.unread_bytes = 10_000;
        let mut peer = way.peer(config);
        peer.open();
        let mut linked = Linked::new(peer);
        linked.credit(10);
        // Taken and not settled: nothing of it makes room.
        linked.send(first(SENDER, 0).on(NEAR.peer).with("whole"));
        linked.delivery();
        linked.send(Transfer { more: true, ..first(SENDER, 1) }.on(NEAR.peer));
        for _ in 0..10 {
            linked.send(more(SENDER).on(NEAR.peer).with(vec![0; 1_000]));
        }
        assert!(matches!(linked.events()[..], [Event::Delivery(_)]));
        linked.send(more(SENDER).on(NEAR.peer).with(vec![0; 1_000]));
        linked.closes_with(&condition::RESOURCE_LIMIT_EXCEEDED);
    });
}

#[test]
fn d6_empty_continuations_without_end_detach() {
    each_way(|way| {
        let config = SessionConfig { incoming_window: 1_000_000, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        linked.credit(10);
        linked.send(Transfer { more: true, ..first(SENDER, 0) }.on(NEAR.peer));
        for _ in 1..1_024 {
            linked.send(more(SENDER).on(NEAR.peer));
        }
        linked.delivery();
        for _ in 0..9_000 {
            linked.send(more(SENDER).on(NEAR.peer));
        }
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_MESSAGE_SIZE_EXCEEDED);
    });
}

//= 2.7.3-16 2.8.18-03
#[test]
fn d7_a_message_above_max_message_size_detaches() {
    each_way(|way| {
        for (size, fits) in [(999, true), (1_000, true), (1_001, false), (5_000, false)] {
            let link = |link| LinkConfig { max_message_size: Some(1_000), ..link };
            let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
            linked.credit(10);
            linked.send(first(SENDER, 0).on(NEAR.peer).with(vec![0; size]));
            if fits {
                assert_eq!(linked.delivery().1.len(), size);
            } else {
                linked.detaches_with(NEAR.engine_receiver, &condition::LINK_MESSAGE_SIZE_EXCEEDED);
            }
            linked.session_is_fine();
            linked.far_is_fine();
        }
    });
}

//= 2.6.14-06 2.7.5-12 2.7.5-13 2.7.5-24
#[test]
fn d8_an_aborted_delivery_leaves_nothing_and_frees_its_tag() {
    each_way(|way| {
        let start = || Transfer { more: true, delivery_tag: Some(tag(b"t")), ..first(SENDER, 0) };
        let abort = || Transfer { aborted: true, ..transfer(SENDER) };
        let cases = [
            vec![Transfer { aborted: true, more: false, ..start() }],
            vec![Transfer { aborted: true, ..start() }],
            vec![start(), abort()],
            vec![start(), Transfer { more: true, ..abort() }],
            vec![start(), more(SENDER), Transfer { settled: Some(false), ..abort() }],
            vec![Transfer { settled: Some(true), ..start() }, abort()],
        ];
        for case in cases {
            let mut linked = way.linked();
            linked.credit(2);
            send(&mut linked, case.clone());
            let events = linked.events();
            let told = events.iter().filter(|event| matches!(event, Event::Delivery(_))).count();
            let untold = events.iter().filter(|event| matches!(event, Event::Aborted(_))).count();
            assert_eq!(told, untold, "{case:?}: {events:?}");
            assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0, "{case:?}");
            linked.silent();
            // The tag is free; the aborted delivery has used up one of the two credits.
            send(&mut linked, [Transfer { delivery_tag: Some(tag(b"t")), ..first(SENDER, 1) }]);
            assert_eq!(linked.delivery().1, "data");
            assert_eq!(linked.engine_receiver().credit(), 0);
            linked.session_is_fine();
        }
    });
}

#[test]
fn d8_a_second_abort_of_the_same_delivery_detaches() {
    each_way(|way| {
        let abort = || Transfer { aborted: true, ..transfer(SENDER) };
        let start = Transfer { more: true, ..first(SENDER, 0) };
        detaches(way, &[start, abort(), abort()], &condition::INVALID_FIELD);
    });
}

//= 2.7.5-09
#[test]
fn d9_settled_true_and_then_false_detaches() {
    each_way(|way| {
        let start = Transfer { more: true, settled: Some(true), ..first(SENDER, 0) };
        let end = Transfer { settled: Some(false), ..transfer(SENDER) };
        detaches(way, &[start, end], &condition::INVALID_FIELD);
    });
}

//= 2.7.5-08 2.7.5-10 2.7.5-11
#[test]
fn d9_a_delivery_settled_against_the_mode_of_its_link_detaches() {
    each_way(|way| {
        let settles = |settled| Transfer { settled, ..first(30, 0) };
        let (unsettled, settled) = (SenderSettleMode::Unsettled, SenderSettleMode::Settled);
        detaches_in_mode(way, mode(unsettled), &[settles(Some(true))], &condition::INVALID_FIELD);
        detaches_in_mode(way, mode(settled), &[settles(Some(false))], &condition::INVALID_FIELD);
        detaches_in_mode(way, mode(settled), &[settles(None)], &condition::INVALID_FIELD);
    });
}

//= 2.7.5-08 2.7.5-09
#[test]
fn d9_a_delivery_is_settled_once_any_of_its_transfers_says_so() {
    each_way(|way| {
        let (yes, no) = (Some(true), Some(false));
        for (flags, expected) in [
            ([None, None, None], false),
            ([no, None, no], false),
            ([yes, None, None], true),
            ([None, yes, None], true),
            ([no, no, yes], true),
        ] {
            let mut linked = way.linked();
            linked.credit(1);
            let [start, middle, end] = flags;
            let start = Transfer { more: true, settled: start, ..first(SENDER, 0) };
            let middle = Transfer { settled: middle, ..more(SENDER) };
            send(&mut linked, [start, middle, Transfer { settled: end, ..transfer(SENDER) }]);
            let Some(Event::Delivery(id)) = linked.event() else { panic!("no delivery") };
            let settled = linked.engine_receiver().delivery(id).unwrap().is_remotely_settled();
            assert_eq!(settled, expected, "{flags:?}");
            linked.session_is_fine();
        }
    });
}

//= 2.7.5-17 2.7.5-18
#[test]
fn d9_the_receiver_of_a_link_that_settles_first_is_not_told_to_settle_second() {
    each_way(|way| {
        let rcv_settle_mode = Some(ReceiverSettleMode::Second);
        let second = Transfer { rcv_settle_mode, ..first(SENDER, 0) };
        detaches(way, std::slice::from_ref(&second), &condition::INVALID_FIELD);
        // Where the sender has settled there is nothing to be told.
        let mut linked = way.linked();
        linked.credit(1);
        send(&mut linked, [Transfer { settled: Some(true), ..second }]);
        linked.delivery();
        linked.session_is_fine();
    });
}

//= 2.6.13-03 2.7.5-19 3.4.6-03
#[test]
fn d11_a_resumed_delivery_that_is_unknown_is_ignored() {
    each_way(|way| {
        let resumed = |id| Transfer { resume: true, ..first(SENDER, id) };
        let cases = [
            vec![resumed(0)],
            vec![Transfer { more: true, ..resumed(0) }, more(SENDER), transfer(SENDER)],
            vec![Transfer { more: true, ..resumed(0) }, Transfer { aborted: true, ..transfer(SENDER) }],
        ];
        for case in cases {
            let mut linked = way.linked();
            linked.credit(10);
            send(&mut linked, case);
            linked.finish();
            assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0);
            assert_eq!(linked.engine_receiver().credit(), 9, "its sender has counted it");
            send(&mut linked, [first(SENDER, 1)]);
            assert_eq!(linked.delivery().1, "data");
            linked.session_is_fine();
        }
    });
}

#[test]
fn d16_a_close_in_the_middle_of_a_delivery_takes_it_away() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        send(&mut linked, [Transfer { more: true, ..first(SENDER, 0) }]);
        let (id, _) = linked.delivery();
        linked.send(Close::default());
        linked.expect_event(Event::Aborted(id));
        linked.expect_event(Event::Closed { error: None });
        assert_eq!(linked.engine_receiver().accept(id), Err(Misuse::Gone));
        assert_eq!(linked.engine_receiver().take(id).err(), Some(Misuse::Gone));
        linked.engine().close(None);
        linked.expect(Close::default());
        linked.expect_event(Event::Disconnected(DisconnectReason::Closed));
        linked.expect_dropped();
    });
}

#[test]
fn d16_a_detach_in_the_middle_of_a_delivery_takes_it_away() {
    each_way(|way| {
        for closed in [false, true] {
            let mut linked = way.linked();
            linked.credit(10);
            send(&mut linked, [Transfer { more: true, ..first(SENDER, 0) }, more(SENDER)]);
            let (id, payload) = linked.delivery();
            assert_eq!(payload, "datadata");
            linked.send(Detach { closed, ..detach(SENDER) }.on(NEAR.peer));
            let link = linked.receiver;
            linked.expect_event(Event::Aborted(id));
            linked.expect_event(Event::LinkDetached { link, closed, error: None });
            assert_eq!(linked.engine_receiver().accept(id), Err(Misuse::Gone));
            assert_eq!(linked.engine_receiver().take(id).err(), Some(Misuse::Gone));
            assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0);
            linked.session_is_fine();
        }
    });
}

#[test]
fn d16_an_end_in_the_middle_of_a_delivery_takes_it_away() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        send(&mut linked, [Transfer { more: true, ..first(SENDER, 0) }]);
        let (id, _) = linked.delivery();
        linked.send(End::default().on(NEAR.peer));
        let session = linked.session;
        linked.expect_event(Event::Aborted(id));
        linked.expect_event(Event::SessionEnded { session, error: None });
        linked.engine_session().end(None).unwrap();
        linked.expect(End::default());
        linked.no_event();
        let receiver = linked.receiver;
        assert_eq!(linked.engine().receiver(receiver).err(), Some(Misuse::Gone));
        assert_eq!(id.link(), receiver);
        linked.far_is_fine();
    });
}

#[test]
fn d16_the_end_of_the_stream_in_the_middle_of_a_delivery() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        linked.grant(10);
        linked.engine_sender().start(tag(b"s"), false, 0, "part").unwrap();
        expect!(linked, Transfer { more: true, .. });
        send(&mut linked, [Transfer { more: true, ..first(SENDER, 0) }]);
        let (id, _) = linked.delivery();
        linked.shut();
        linked.expect_event(Event::Aborted(id));
        linked.expect_event(Event::Disconnected(DisconnectReason::Aborted));
        assert_eq!(linked.engine_sender().write("more"), Err(SendError::Misuse(Misuse::ConnectionClosed)));
        assert_eq!(linked.engine_receiver().accept(id), Err(Misuse::Gone));
        assert_eq!(linked.engine_receiver().take(id).err(), Some(Misuse::Gone));
        linked.expect_dropped();
    });
}
