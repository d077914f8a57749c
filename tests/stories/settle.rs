//! Settlement and outcomes (§2.6.12, §2.7.6, §3.4).

use amqp1_tests::prelude::*;

/// A link of these modes over which the client sends, with credit.
fn link(pair: &mut Pair, snd: SenderSettleMode, rcv: ReceiverSettleMode) -> (LinkId, LinkId) {
    let modes = |link| LinkConfig { snd_settle_mode: snd, rcv_settle_mode: rcv, ..link };
    let (session, _) = pair.session();
    let ours = modes(LinkConfig::sender("link", "there"));
    let theirs = modes(LinkConfig::receiver("", "here"));
    let (sender, receiver) = pair.link_with(session, ours, theirs);
    assert_eq!(pair.client.sender(sender).unwrap().snd_settle_mode(), snd);
    assert_eq!(pair.client.sender(sender).unwrap().rcv_settle_mode(), rcv);
    assert_eq!(pair.server.receiver(receiver).unwrap().snd_settle_mode(), snd);
    assert_eq!(pair.server.receiver(receiver).unwrap().rcv_settle_mode(), rcv);
    pair.server.receiver(receiver).unwrap().set_credit(100);
    pair.run();
    pair.client.expect_event(Event::LinkFlow(sender));
    pair.client.expect_event(Event::Sendable(sender));
    (sender, receiver)
}

/// The client sends, and the server takes.
fn transferred(pair: &mut Pair, sender: LinkId, name: &[u8], settled: bool) -> (DeliveryId, DeliveryId) {
    let sent = pair.client.sender(sender).unwrap().send(tag(name), settled, "message").unwrap();
    pair.run();
    let Some(Event::Delivery(received)) = pair.server.event() else { panic!("nothing arrived") };
    let mut receiver = pair.server.receiver(received.link()).unwrap();
    assert_eq!(receiver.delivery(received).unwrap().is_remotely_settled(), settled);
    assert_eq!(receiver.take(received).unwrap().into_bytes(), "message");
    (sent, received)
}

use ReceiverSettleMode::{First, Second};
use SenderSettleMode::{Mixed, Settled, Unsettled};

//= 2.6.12-18
#[test]
fn w16_sent_settled_leaves_nothing_to_settle() {
    for mode in [Settled, Mixed] {
        each_net(|net| {
            let mut pair = Pair::opened(net);
            let (sender, receiver) = link(&mut pair, mode, First);
            let (sent, received) = transferred(&mut pair, sender, b"a", true);
            assert_eq!(pair.client.sender(sender).unwrap().settle(sent, None), Err(Misuse::Gone));
            assert_eq!(pair.server.receiver(receiver).unwrap().accept(received), Err(Misuse::Gone));
            pair.finish();
        });
    }
}

//= 2.7.5-10 2.7.5-11 2.8.2-01 2.8.2-02
#[test]
fn w16_the_mode_of_the_link_refuses_what_it_does_not_allow() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, _) = link(&mut pair, Settled, First);
        let refused = pair.client.sender(sender).unwrap().send(tag(b"a"), false, "x");
        assert_eq!(refused, Err(SendError::SettleMode));
        let mut pair = Pair::opened(net);
        let (sender, _) = link(&mut pair, Unsettled, First);
        let refused = pair.client.sender(sender).unwrap().send(tag(b"a"), true, "x");
        assert_eq!(refused, Err(SendError::SettleMode));
        pair.finish();
    });
}

//= 2.6.12-04 2.6.12-05 2.6.12-08 2.7.5-15 2.8.3-01 3.4.3-01 3.4.4-06 3.4.5-05
#[test]
fn w17_each_outcome_arrives_with_all_its_fields() {
    let annotations = Fields::new().with(Symbol::from_static("x-opt-why"), "because");
    let error = Error {
        description: Some("not like this".into()),
        info: Some(Fields::new().with(Symbol::from_static("line"), 7_u32)),
        ..Error::new(condition::INVALID_FIELD)
    };
    let modified = Modified {
        delivery_failed: Some(true),
        undeliverable_here: Some(true),
        message_annotations: Some(annotations),
    };
    let outcomes = [
        DeliveryState::Accepted,
        DeliveryState::Released,
        DeliveryState::Rejected(None),
        DeliveryState::Rejected(Some(Box::new(error))),
        DeliveryState::Modified(Box::default()),
        DeliveryState::Modified(Box::new(modified)),
    ];
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Mixed, First);
        for (n, outcome) in outcomes.iter().enumerate() {
            let (sent, received) = transferred(&mut pair, sender, &[n as u8], false);
            pair.server.receiver(receiver).unwrap().update(received, outcome.clone()).unwrap();
            assert_eq!(
                pair.server.receiver(receiver).unwrap().accept(received),
                Err(Misuse::Gone),
                "settled"
            );
            pair.run();
            pair.client.expect_event(Event::Updated(sent));
            let mut end = pair.client.sender(sender).unwrap();
            assert!(end.delivery(sent).unwrap().is_remotely_settled());
            assert_eq!(end.delivery(sent).unwrap().remote_state(), Some(outcome));
            assert_eq!(end.settle(sent, None), Ok(Some(outcome.clone())));
            assert_eq!(end.settle(sent, None), Err(Misuse::Gone));
        }
        pair.finish();
    });
}

//= 2.6.12-07 2.6.12-08 3.4.1-01 3.4.1-04
#[test]
fn w17_received_tells_how_far_the_receiver_has_come_and_settles_nothing() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Mixed, First);
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        for section_offset in [10, u64::MAX] {
            let state = DeliveryState::Received(Received { section_number: 1, section_offset });
            pair.server.receiver(receiver).unwrap().update(received, state.clone()).unwrap();
            pair.run();
            pair.client.expect_event(Event::Updated(sent));
            let end = pair.client.sender(sender).unwrap();
            assert_eq!(end.delivery(sent).unwrap().remote_state(), Some(&state));
            assert!(!end.delivery(sent).unwrap().is_remotely_settled());
        }
        pair.server.receiver(receiver).unwrap().accept(received).unwrap();
        pair.run();
        pair.client.expect_event(Event::Updated(sent));
        assert_eq!(pair.client.sender(sender).unwrap().settle(sent, None), Ok(Some(DeliveryState::Accepted)));
        pair.finish();
    });
}

//= 2.6.12-10 2.6.12-13 2.6.12-15 2.7.5-16 2.8.3-02
#[test]
fn w18_a_receiver_that_settles_second_waits_for_the_sender() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Unsettled, Second);
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        pair.server.receiver(receiver).unwrap().accept(received).unwrap();
        let end = pair.server.receiver(receiver).unwrap();
        assert_eq!(end.delivery(received).unwrap().state(), Some(&DeliveryState::Accepted));
        pair.run();
        pair.client.expect_event(Event::Updated(sent));
        let mut end = pair.client.sender(sender).unwrap();
        assert!(!end.delivery(sent).unwrap().is_remotely_settled(), "not before we have");
        assert_eq!(end.settle(sent, Some(DeliveryState::Accepted)), Ok(Some(DeliveryState::Accepted)));
        pair.run();
        pair.server.expect_event(Event::Updated(received));
        let mut end = pair.server.receiver(receiver).unwrap();
        assert!(end.delivery(received).unwrap().is_remotely_settled());
        assert_eq!(end.delivery(received).unwrap().remote_state(), Some(&DeliveryState::Accepted));
        end.settle(received).unwrap();
        pair.client.no_event();
        pair.finish();
    });
}

//= 3.4-02
#[test]
fn w17_an_outcome_that_was_told_does_not_change() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Unsettled, Second);
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        let state = DeliveryState::Received(Received { section_number: 0, section_offset: 1 });
        pair.server.receiver(receiver).unwrap().update(received, state).unwrap();
        pair.server.receiver(receiver).unwrap().release(received).unwrap();
        let changed = pair.server.receiver(receiver).unwrap().accept(received);
        assert_eq!(changed, Err(Misuse::StateNotAllowed));
        pair.run();
        pair.client.events();
        let mut end = pair.client.sender(sender).unwrap();
        assert_eq!(end.settle(sent, None), Ok(Some(DeliveryState::Released)));
        pair.run();
        pair.server.expect_event(Event::Updated(received));
        pair.server.receiver(receiver).unwrap().settle(received).unwrap();
        pair.finish();
    });
}

//= 3.4.1-02
#[test]
fn w17_a_sender_tells_how_far_it_has_come_to_nobody() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, _) = link(&mut pair, Mixed, First);
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        let state = DeliveryState::Received(Received { section_number: 0, section_offset: 1 });
        let mut end = pair.client.sender(sender).unwrap();
        assert_eq!(end.settle(sent, Some(state)), Err(Misuse::StateNotAllowed));
        assert_eq!(end.settle(sent, Some(DeliveryState::Released)), Ok(None), "nothing had changed");
        pair.run();
        pair.server.expect_event(Event::Updated(received));
        let mut end = pair.server.receiver(received.link()).unwrap();
        assert_eq!(end.delivery(received).unwrap().remote_state(), Some(&DeliveryState::Released));
        end.settle(received).unwrap();
        pair.finish();
    });
}

//= 2.7.5-15 2.7.5-16
#[test]
fn w18_second_may_be_asked_of_a_single_delivery() {
    each_way(|way| {
        let link = |link| LinkConfig { rcv_settle_mode: Second, ..link };
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
        linked.credit(10);
        let as_first = Transfer { rcv_settle_mode: Some(First), ..first(NEAR.peer_sender, 0) };
        linked.send(as_first.on(NEAR.peer));
        linked.send(first(NEAR.peer_sender, 1).on(NEAR.peer));
        for settled in [true, false] {
            let (id, _) = linked.delivery();
            linked.engine_receiver().accept(id).unwrap();
            let state = Some(DeliveryState::Accepted);
            linked.expect(Disposition { settled, state, ..disposition(Role::Receiver, id.number().get()) });
        }
        linked.finish();
    });
}

//= 2.6.12-13 2.6.12-23
#[test]
fn w16_a_sender_may_settle_without_waiting() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Mixed, First);
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        assert_eq!(pair.client.sender(sender).unwrap().settle(sent, None), Ok(None));
        pair.run();
        pair.server.expect_event(Event::Updated(received));
        let mut end = pair.server.receiver(receiver).unwrap();
        assert!(end.delivery(received).unwrap().is_remotely_settled());
        // An outcome comes too late to be told.
        end.accept(received).unwrap();
        pair.run();
        pair.client.no_event();
        pair.finish();
    });
}

#[test]
fn w16_equal_outcomes_of_neighbours_become_one_range() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(100);
        let ids: Vec<_> = (0..20)
            .map(|id| {
                linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("x"));
                linked.delivery().0
            })
            .collect();
        let mut receiver = linked.engine_receiver();
        for id in &ids[..8] {
            receiver.accept(*id).unwrap();
        }
        receiver.release(ids[8]).unwrap();
        for id in &ids[9..12] {
            receiver.reject(*id, None).unwrap();
        }
        // 12 is left out; the rest goes backwards.
        for id in ids[13..].iter().rev() {
            receiver.accept(*id).unwrap();
        }
        let range = |first, last: u32, state| {
            let last = (last != first).then_some(Serial::new(last));
            Disposition { last, ..settled(Role::Receiver, first, state) }
        };
        linked.expect(range(0, 7, DeliveryState::Accepted));
        linked.expect(range(8, 8, DeliveryState::Released));
        linked.expect(range(9, 11, DeliveryState::Rejected(None)));
        linked.expect(range(13, 19, DeliveryState::Accepted));
        linked.finish();
        assert_eq!(linked.engine_session().unsettled(Role::Receiver), 1);
    });
}

#[test]
fn w16_a_range_of_the_peer_touches_all_it_names_on_all_links() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        let config = LinkConfig::sender("second", "there");
        let second = linked.engine_session().attach_sender(config).unwrap();
        expect!(linked, Attach { handle: Handle(2), .. });
        linked.send(attach("second", 40, Role::Receiver).on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(second));
        let credit = Flow { handle: Some(Handle(40)), ..linked.link_flow(0, 10) };
        linked.send(credit.on(NEAR.peer));
        linked.events();
        let mut ids = Vec::new();
        for n in 0..3_u8 {
            ids.push(linked.engine_sender().send(tag([n]), false, "x").unwrap());
            ids.push(linked.engine().sender(second).unwrap().send(tag([n]), false, "x").unwrap());
        }
        for n in 0..6 {
            expect!(linked, Transfer { delivery_id: Some(id), .. } if id.get() == n);
        }
        let range =
            Disposition { last: Some(Serial::new(4)), ..settled(Role::Receiver, 1, DeliveryState::Released) };
        linked.send(range.on(NEAR.peer));
        for id in &ids[1..5] {
            linked.expect_event(Event::Updated(*id));
        }
        linked.finish();
    });
}

//= 2.6.12-02
#[test]
fn ids_of_other_links_and_stale_ids_are_refused_and_change_nothing() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, Mixed, First);
        let session = pair.client.sender(sender).unwrap().session();
        let (other, other_receiver) = pair.link(session, "other");
        let (sent, received) = transferred(&mut pair, sender, b"a", false);
        assert_eq!(pair.client.sender(other).unwrap().settle(sent, None), Err(Misuse::Gone));
        assert_eq!(pair.server.receiver(other_receiver).unwrap().accept(received), Err(Misuse::Gone));
        assert_eq!(pair.client.receiver(sender).err(), Some(Misuse::WrongRole));
        assert_eq!(pair.server.sender(receiver).err(), Some(Misuse::WrongRole));
        assert_eq!(
            pair.client.sender(sender).unwrap().send(tag(b"a"), false, "x"),
            Err(SendError::TagInUse),
            "the tag is of an unsettled delivery"
        );
        pair.server.receiver(receiver).unwrap().accept(received).unwrap();
        pair.run();
        pair.client.expect_event(Event::Updated(sent));
        pair.client.sender(sender).unwrap().settle(sent, None).unwrap();
        pair.finish();
    });
}
