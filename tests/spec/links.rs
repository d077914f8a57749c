//! K: links (§2.6).

use amqp1_tests::prelude::*;

use crate::deliveries::overlong_tag;

const ROLES: [Role; 2] = [Role::Sender, Role::Receiver];

//= 2.7.2-05
#[test]
fn k1_a_handle_above_handle_max_closes() {
    each_way(|way| {
        for role in ROLES {
            for handle in [10, 1_024, u32::MAX] {
                let config = SessionConfig { handle_max: 9, ..SessionConfig::default() };
                let mut linked = Linked::with(way.opened(), config, |link| link);
                linked.send(attach("link", 9, role).on(NEAR.peer));
                assert!(matches!(linked.event(), Some(Event::LinkAttached(_))));
                linked.send(attach("other", handle, role).on(NEAR.peer));
                linked.closes_with(&condition::CONNECTION_FRAMING_ERROR);
            }
        }
    });
}

//= 2.7.3-03 2.8.17-03
#[test]
fn k2_an_attach_with_a_handle_in_use_ends_the_session() {
    each_way(|way| {
        for role in ROLES {
            for handle in [NEAR.peer_receiver, NEAR.peer_sender] {
                let mut linked = way.linked();
                linked.send(attach("other", handle, role).on(NEAR.peer));
                linked.ends_with(&condition::SESSION_HANDLE_IN_USE);
            }
        }
    });
}

//= 2.6.1-02 2.6.1-06 2.8.18-11
#[test]
fn k3_a_link_attached_again_on_its_session_is_stolen() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(attach("out 0", 20, Role::Receiver).on(NEAR.peer));
        let (events, stolen) = (linked.events(), linked.sender);
        let [Event::Violated(violation), Event::LinkAttached(link)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!(*violation.condition(), condition::LINK_STOLEN);
        assert_eq!(violation.scope(), Scope::Link(stolen));
        assert_ne!(*link, stolen);
        let at = expect!(linked, Detach { handle, closed: true, error: Some(error) }
            if error.condition == condition::LINK_STOLEN => handle);
        assert_eq!(at.0, NEAR.engine_sender);
        linked.engine().sender(*link).unwrap().attach(LinkConfig::sender("", "there")).unwrap();
        let name = expect!(linked, Attach { name, role: Role::Sender, .. } => name);
        assert_eq!(name, "out 0");
        linked.send(Detach { closed: true, ..detach(NEAR.peer_receiver) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link: stolen, closed: true, error: None });
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

//= 2.5-X1 2.6.1-06
#[test]
fn k3_a_link_attached_again_on_another_session_is_stolen() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(attach("in 0", 20, Role::Sender).on(FAR.peer));
        let (events, stolen) = (linked.events(), linked.receiver);
        let [Event::Violated(violation), Event::LinkAttached(link)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!(violation.scope(), Scope::Link(stolen));
        assert_ne!(*link, stolen);
        let frame = linked.expect_frame("Detach");
        assert_eq!(frame.channel, NEAR.engine, "{frame:?}");
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

//= 2.6.5-01 2.7.3-15
#[test]
fn k4_an_attach_of_a_sender_without_initial_delivery_count_is_detached() {
    each_way(|way| {
        let mut linked = way.linked();
        let bad = Attach { initial_delivery_count: None, ..attach("bad", 20, Role::Sender) };
        linked.send(bad.on(NEAR.peer));
        // Attached without a terminus first, for there is nothing to detach otherwise.
        expect!(linked, Attach { role: Role::Receiver, source: None, target: None, .. });
        linked.detaches_with(2, &condition::INVALID_FIELD);
    });
}

#[test]
fn k4_an_answer_of_a_sender_without_initial_delivery_count_is_detached() {
    each_way(|way| {
        let mut linked = way.linked();
        let config = LinkConfig::receiver("new", "there");
        linked.engine_session().attach_receiver(config).unwrap();
        expect!(linked, Attach { role: Role::Receiver, .. });
        let bad = Attach { initial_delivery_count: None, ..attach("new", 20, Role::Sender) };
        linked.send(bad.on(NEAR.peer));
        linked.detaches_with(2, &condition::INVALID_FIELD);
    });
}

#[test]
fn k4_a_bad_attach_pipelined_behind_a_begin_is_detached_once_the_begin_is_answered() {
    each_way(|way| {
        let mut peer = way.opened();
        let bad = Attach { initial_delivery_count: None, ..attach("bad", 20, Role::Sender) };
        peer.send_all([begin(0, 1, 1).on(5), bad.on(5)]);
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        peer.engine().session(session).unwrap().accept(SessionConfig::default()).unwrap();
        expect!(peer, Begin { remote_channel: Some(5), .. });
        expect!(peer, Attach { role: Role::Receiver, source: None, target: None, .. });
        peer.detaches_with(0, 0, &condition::INVALID_FIELD);
    });
}

//= 2.7.3-11
#[test]
fn an_unsettled_map_with_a_null_key_detaches() {
    each_way(|way| {
        let mut linked = way.linked();
        let unsettled = Some(Fields::new().with(Value::Null, Value::Null));
        linked.send(Attach { unsettled, ..attach("bad", 20, Role::Sender) }.on(NEAR.peer));
        expect!(linked, Attach { role: Role::Receiver, .. });
        linked.detaches_with(2, &condition::INVALID_FIELD);
        linked.session_is_fine();
    });
}

//= 2.5-X1 2.6.1-02
#[test]
fn a_link_is_attached_to_one_session_at_a_time() {
    each_way(|way| {
        let mut linked = way.linked();
        let far_receiver = linked.far_receiver;
        let far = linked.engine().receiver(far_receiver).unwrap().session();
        let again = || LinkConfig::sender("out 0", "there");
        let refused = linked.engine().session(far).unwrap().attach_sender(again());
        assert_eq!(refused, Err(Misuse::NameInUse));
        linked.finish();
    });
}

//= 2.7.3-12
#[test]
fn a_link_that_is_attached_again_tells_of_nothing_unsettled() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(1);
        linked.engine_sender().send(tag(b"unsettled"), false, "x").unwrap();
        expect!(linked, Transfer { .. });
        linked.engine_sender().detach().unwrap();
        linked.expect(detach(NEAR.engine_sender));
        linked.send(detach(NEAR.peer_receiver).on(NEAR.peer));
        assert!(matches!(linked.event(), Some(Event::LinkDetached { closed: false, .. })));
        linked.engine_sender().attach(LinkConfig::sender("", "there")).unwrap();
        expect!(linked, Attach { unsettled: None, incomplete_unsettled: false, .. });
        linked.finish();
    });
}

//= 2.6.3-03 2.6.3-04 2.6.3-16
#[test]
fn k5_a_refused_link_is_attached_without_a_terminus_and_closed() {
    each_way(|way| {
        for role in ROLES {
            let mut linked = way.linked();
            linked.send(attach("nowhere", 20, role).on(NEAR.peer));
            let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
            let error = Error::new(condition::NOT_FOUND);
            if role == Role::Sender {
                linked.engine().receiver(link).unwrap().refuse(error.clone()).unwrap();
                expect!(linked, Attach { role: Role::Receiver, target: None, .. });
            } else {
                linked.engine().sender(link).unwrap().refuse(error.clone()).unwrap();
                expect!(linked, Attach { role: Role::Sender, source: None, .. });
            }
            linked.expect(Detach { closed: true, error: Some(error), ..detach(2) });
            linked.send(Detach { closed: true, ..detach(20) }.on(NEAR.peer));
            linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
            linked.no_event();
            assert_eq!(linked.engine().role(link), Err(Misuse::Gone));
            linked.session_is_fine();
        }
    });
}

//= 2.7.4-03 2.8.17-04
#[test]
fn k6_a_detach_or_flow_of_an_unknown_handle_ends_the_session() {
    each_way(|way| {
        let frames: [Frame; 5] = [
            detach(99).into(),
            Detach { closed: true, ..detach(u32::MAX) }.into(),
            Flow { handle: Some(Handle(99)), ..flow(1, NEXT_OUTGOING, 1) }.into(),
            Flow { handle: Some(Handle(u32::MAX)), ..flow(1, NEXT_OUTGOING, 1) }.into(),
            // A handle of the other session.
            detach(FAR.peer_sender).into(),
        ];
        for frame in frames {
            let mut linked = way.linked();
            linked.send(frame.on(NEAR.peer));
            linked.ends_with(&condition::SESSION_UNATTACHED_HANDLE);
        }
    });
}

#[test]
fn k6_a_second_detach_ends_the_session() {
    each_way(|way| {
        let mut linked = way.linked();
        for _ in 0..2 {
            linked.send(detach(NEAR.peer_sender).on(NEAR.peer));
        }
        let link = linked.receiver;
        linked.expect_event(Event::LinkDetached { link, closed: false, error: None });
        linked.ends_with(&condition::SESSION_UNATTACHED_HANDLE);
    });
}

#[test]
fn k6_a_flow_of_a_link_that_was_detached_ends_the_session() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(Detach { closed: true, ..detach(NEAR.peer_receiver) }.on(NEAR.peer));
        let link = linked.sender;
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        linked.engine_sender().close(None).unwrap();
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_sender) });
        let flow = linked.link_flow(0, 10);
        linked.send(flow.on(NEAR.peer));
        linked.ends_with(&condition::SESSION_UNATTACHED_HANDLE);
    });
}

/// The engine closes its receiver with an error, and the peer has seen it.
fn failed(way: &Way) -> Linked {
    let mut linked = way.linked();
    linked.credit(10);
    linked.engine_receiver().close(Some(Error::new(condition::INTERNAL_ERROR))).unwrap();
    expect!(linked, Detach { closed: true, error: Some(_), .. });
    linked
}

//= 2.6.5-03 2.6.5-06 2.8.17-02
#[test]
fn k7_anything_but_a_detach_on_a_link_that_failed_ends_the_session() {
    each_way(|way| {
        let frames: [Frame; 3] = [
            first(NEAR.peer_sender, 0).into(),
            Flow { handle: Some(Handle(NEAR.peer_sender)), ..flow(1, NEXT_OUTGOING, 1) }.into(),
            attach("in 0", 20, Role::Sender).into(),
        ];
        for frame in frames {
            let mut linked = failed(way);
            linked.send(frame.on(NEAR.peer));
            linked.ends_with(&condition::SESSION_ERRANT_LINK);
        }
    });
}

//= 2.6.5-03 2.8.17-02
#[test]
fn k7_a_disposition_of_a_delivery_on_a_link_that_failed_ends_the_session() {
    each_way(|way| {
        for role in ROLES {
            let mut linked = way.linked();
            linked.grant(1);
            linked.credit(1);
            linked.engine_sender().send(tag(b"a"), false, "sent").unwrap();
            expect!(linked, Transfer { .. });
            linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("received"));
            linked.delivery();
            let error = Some(Error::new(condition::INTERNAL_ERROR));
            if role == Role::Sender {
                linked.engine_receiver().close(error).unwrap();
            } else {
                linked.engine_sender().close(error).unwrap();
            }
            expect!(linked, Detach { closed: true, error: Some(_), .. });
            // Of the other link all may be said.
            let other = if role == Role::Sender { Role::Receiver } else { Role::Sender };
            linked.send(settled(other, 0, DeliveryState::Accepted).on(NEAR.peer));
            assert!(matches!(linked.event(), Some(Event::Updated(_))));
            linked.send(settled(role, 0, DeliveryState::Accepted).on(NEAR.peer));
            linked.ends_with(&condition::SESSION_ERRANT_LINK);
        }
    });
}

#[test]
fn k7_a_transfer_with_an_overlong_tag_on_a_link_that_failed_ends_the_session() {
    each_way(|way| {
        let mut linked = failed(way);
        linked.send_raw(overlong_tag(NEAR.peer_sender, 33));
        linked.ends_with(&condition::SESSION_ERRANT_LINK);
    });
}

#[test]
fn k7_the_answer_to_an_attach_that_was_closed_with_an_error_meanwhile_is_no_fault() {
    each_way(|way| {
        let mut linked = way.linked();
        let link = linked.engine_session().attach_receiver(LinkConfig::receiver("late", "there")).unwrap();
        expect!(linked, Attach { .. });
        let error = Error::new(condition::INTERNAL_ERROR);
        linked.engine().receiver(link).unwrap().close(Some(error)).unwrap();
        expect!(linked, Detach { closed: true, .. });
        linked.send(attach("late", 40, Role::Sender).on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(link));
        linked.send(Detach { closed: true, ..detach(40) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

//= 2.6.5-02
#[test]
fn k7_a_link_that_failed_may_be_attached_anew_once_it_is_detached() {
    each_way(|way| {
        let mut linked = failed(way);
        let link = linked.receiver;
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        linked.send(attach("in 0", NEAR.peer_sender, Role::Sender).on(NEAR.peer));
        let Some(Event::LinkAttached(fresh)) = linked.event() else { panic!("no link") };
        assert_ne!(fresh, link);
        linked.session_is_fine();
    });
}

//= 3.4.4-03 3.4.5-02 3.4.6-02 3.4.6-13
#[test]
fn what_is_sent_again_over_a_link_attached_again_is_a_new_delivery() {
    each_way(|way| {
        for state in [DeliveryState::Released, DeliveryState::Modified(Box::default())] {
            let mut linked = way.linked();
            linked.grant(10);
            let id = linked.engine_sender().send(tag(b"a"), false, "x").unwrap();
            expect!(linked, Transfer { .. });
            let told = Disposition { state: Some(state.clone()), ..disposition(Role::Receiver, 0) };
            linked.send(told.on(NEAR.peer));
            linked.expect_event(Event::Updated(id));
            linked.send(detach(NEAR.peer_receiver).on(NEAR.peer));
            assert!(matches!(linked.event(), Some(Event::LinkDetached { closed: false, .. })));
            linked.engine_sender().detach().unwrap();
            linked.expect(detach(NEAR.engine_sender));

            linked.engine_sender().attach(LinkConfig::sender("", "there")).unwrap();
            expect!(linked, Attach { unsettled: None, role: Role::Sender, .. });
            linked.send(attach("out 0", NEAR.peer_receiver, Role::Receiver).on(NEAR.peer));
            let sender = linked.sender;
            linked.expect_event(Event::LinkAttached(sender));
            linked.grant(10);
            linked.finish();
            assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(state)));
            expect!(linked, Disposition { settled: true, .. });
            linked.engine_sender().send(tag(b"a"), false, "x").unwrap();
            let id = expect!(linked, Transfer { delivery_id: Some(id), resume: false, .. } => id);
            assert_eq!(id, Serial::new(1));
            linked.session_is_fine();
        }
    });
}

//= 2.6.13-01 3.4.6-11
#[test]
fn what_arrived_in_part_is_forgotten_when_its_link_is_detached_unless_the_sender_was_told_that_it_is_kept() {
    each_way(|way| {
        for kept in [false, true] {
            let mut linked = way.linked();
            linked.credit(10);
            linked.send(Transfer { more: true, ..first(NEAR.peer_sender, 0) }.on(NEAR.peer).with("half"));
            let (id, _) = linked.delivery();
            if kept {
                let state = DeliveryState::Received(Received::new(0, 4));
                linked.engine_receiver().update(id, state).unwrap();
                expect!(linked, Disposition { settled: false, .. });
            }
            linked.send(detach(NEAR.peer_sender).on(NEAR.peer));
            let link = linked.receiver;
            linked.expect_event(Event::Aborted(id));
            linked.expect_event(Event::LinkDetached { link, closed: false, error: None });
            assert_eq!(linked.engine_receiver().delivery(id).err(), Some(Misuse::Gone));
            linked.engine_receiver().detach().unwrap();
            linked.expect(detach(NEAR.engine_receiver));

            linked.engine_receiver().attach(LinkConfig::receiver("", "there")).unwrap();
            let named = expect!(linked, Attach { unsettled, incomplete_unsettled: false, role: Role::Receiver, .. }
                => unsettled.map_or(0, |map| map.len()));
            assert_eq!(named, usize::from(kept));
            linked.session_is_fine();
        }
    });
}

//= 2.6.6-03
#[test]
fn k8_a_closing_detach_that_crosses_a_plain_one_is_answered_by_attaching_and_closing() {
    each_way(|way| {
        let mut linked = way.linked();
        let link = linked.receiver;
        linked.engine_receiver().detach().unwrap();
        linked.expect(detach(NEAR.engine_receiver));
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        expect!(linked, Attach { handle, .. } if handle.0 == NEAR.engine_receiver);
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_receiver) });
        linked.session_is_fine();

        let mut linked = way.linked();
        let link = linked.sender;
        linked.engine_sender().detach().unwrap();
        linked.expect(detach(NEAR.engine_sender));
        linked.send(Detach { closed: true, ..detach(NEAR.peer_receiver) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        expect!(linked, Attach { handle, .. } if handle.0 == NEAR.engine_sender);
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_sender) });
        linked.session_is_fine();
    });
}

//= 2.6.6-01
#[test]
fn a_peer_that_has_closed_is_answered_with_a_close() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        let link = linked.receiver;
        linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
        linked.engine_receiver().detach().unwrap();
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_receiver) });
        linked.no_event();
        assert_eq!(linked.engine().receiver(link).err(), Some(Misuse::Gone));
        linked.session_is_fine();
    });
}

//= 2.6.6-01
#[test]
fn a_peer_that_has_detached_with_an_error_is_answered_as_it_asked_and_the_name_is_free() {
    each_way(|way| {
        for closed in [false, true] {
            let mut linked = way.linked();
            let error = Some(Error::new(condition::LINK_DETACH_FORCED));
            let told = error.clone().map(Box::new);
            linked.send(Detach { closed, error, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
            let link = linked.receiver;
            linked.expect_event(Event::LinkDetached { link, closed: true, error: told });
            let name = linked.engine_receiver().name().to_owned();
            let again = LinkConfig::receiver(name, "there");
            let session = linked.session;
            let mut attach = || linked.engine().session(session).unwrap().attach_receiver(again.clone());
            assert_eq!(attach(), Err(Misuse::NameInUse));
            linked.engine_receiver().detach().unwrap();
            let mut attach = || linked.engine().session(session).unwrap().attach_receiver(again.clone());
            // What answers the peer is written first.
            attach().unwrap();
            assert_eq!(attach(), Err(Misuse::NameInUse));
            linked.expect(Detach { closed, ..detach(NEAR.engine_receiver) });
            expect!(linked, Attach { role: Role::Receiver, .. });
            linked.session_is_fine();
        }
    });
}

//= 2.6.2-01 2.6.6-01 2.7.3-04 2.8.4-01 2.8.4-02
#[test]
fn k9_handles_are_used_again_and_nothing_is_left_behind() {
    each_way(|way| {
        let mut linked = way.linked();
        for round in 0..500 {
            let role = ROLES[round % 2];
            linked.send(attach("again", 20, role).on(NEAR.peer));
            let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link in round {round}") };
            linked.send(Detach { closed: true, ..detach(20) }.on(NEAR.peer));
            linked.expect_event(Event::LinkDetached { link, closed: true, error: None });
            if role == Role::Sender {
                linked.engine().receiver(link).unwrap().close(None).unwrap();
            } else {
                linked.engine().sender(link).unwrap().close(None).unwrap();
            }
            expect!(linked, Attach { handle: Handle(2), .. });
            linked.expect(Detach { closed: true, ..detach(2) });
            assert_eq!(linked.engine().role(link), Err(Misuse::Gone));
        }
        linked.session_is_fine();
        let session = linked.session;
        assert_eq!(linked.engine().links(session).count(), 2);
    });
}

#[test]
fn k9_links_without_number_take_no_more_memory_than_one() {
    let mut linked = Way::new(Side::Server, Chunks::Whole).linked();
    let mut held = 0;
    for round in 0..10_000 {
        let closing = Detach { closed: true, ..detach(20) };
        linked.send_all([attach("again", 20, Role::Sender).on(NEAR.peer), closing.on(NEAR.peer)]);
        let [Event::LinkAttached(link), Event::LinkDetached { .. }] = linked.events()[..] else {
            panic!("no link in round {round}")
        };
        linked.engine().receiver(link).unwrap().close(None).unwrap();
        expect!(linked, Attach { handle: Handle(2), .. });
        linked.expect(Detach { closed: true, ..detach(2) });
        if round == 10 {
            held = linked.held();
        }
    }
    assert_eq!(linked.held(), held);
}

#[test]
fn k9_as_many_links_as_handles_and_not_one_more() {
    each_way(|way| {
        let config = SessionConfig { handle_max: 99, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), config, |link| link);
        let handles = (0..100).filter(|handle| ![NEAR.peer_sender, NEAR.peer_receiver].contains(handle));
        for handle in handles {
            linked.send(attach(&format!("{handle}"), handle, Role::Sender).on(NEAR.peer));
            let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
            let config = LinkConfig::receiver("", "here");
            linked.engine().receiver(link).unwrap().attach(config).unwrap();
            expect!(linked, Attach { .. });
        }
        let session = linked.session;
        assert_eq!(linked.engine().links(session).count(), 100);
        linked.send(attach("one more", 100, Role::Sender).on(NEAR.peer));
        linked.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}

//= 2.7.3-02 2.7.3-04
#[test]
fn a_handle_is_not_used_again_before_the_peer_has_detached() {
    // RabbitMQ 4.0.5 closes the connection if it is: what it has under way for the old link reaches the new one.
    each_way(|way| {
        let mut linked = way.linked();
        let session = linked.session;
        let receiver = linked.receiver;
        linked.engine().receiver(receiver).unwrap().close(None).unwrap();
        linked.expect(Detach { closed: true, ..detach(NEAR.engine_receiver) });
        let config = LinkConfig::receiver("next", "queue");
        linked.engine().session(session).unwrap().attach_receiver(config).unwrap();
        expect!(linked, Attach { handle: Handle(2), .. });
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        linked.expect_event(Event::LinkDetached { link: receiver, closed: true, error: None });
        let config = LinkConfig::receiver("after", "queue");
        linked.engine().session(session).unwrap().attach_receiver(config).unwrap();
        expect!(linked, Attach { handle, .. } if handle.0 == NEAR.engine_receiver);
    });
}

//= 2.6.1-03
#[test]
fn k10_any_name_is_a_name() {
    each_way(|way| {
        let long = "n".repeat(60_000);
        for name in ["", "ünïcödé \u{1F980} \u{0}", long.as_str()] {
            let mut linked = way.linked();
            linked.send(attach(name, 20, Role::Receiver).on(NEAR.peer));
            let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
            linked.engine().sender(link).unwrap().attach(LinkConfig::sender("", "there")).unwrap();
            let answered = expect!(linked, Attach { name, .. } => name);
            assert_eq!(answered, name);
            linked.session_is_fine();
        }
    });
}

//= 2.7.1-05 2.8.15-14
#[test]
fn k10_an_answer_that_is_too_large_for_the_peer_is_refused_locally() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        let long = "n".repeat(500);
        let config = LinkConfig::sender(long.as_str(), "there");
        assert_eq!(peer.engine().session(session).unwrap().attach_sender(config), Err(Misuse::FrameTooLarge),);
        expect!(peer, Begin { .. });
        peer.silent();
    });
}

//= 2.7.1-05
#[test]
fn k10_an_attach_is_refused_locally_from_the_first_byte_that_is_too_many() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        expect!(peer, Begin { .. });
        // Shorter by one with each link.
        let mut largest = 0;
        for len in (440..=500).rev() {
            let config = LinkConfig::sender("n".repeat(len), "there");
            match peer.engine().session(session).unwrap().attach_sender(config) {
                Ok(_) => {
                    let frame = peer.expect_frame("Attach");
                    largest = largest.max(frame.encode().len());
                }
                Err(refused) => {
                    assert_eq!((refused, largest), (Misuse::FrameTooLarge, 0));
                    peer.silent();
                }
            }
        }
        assert_eq!(largest, 512);
        peer.no_event();
    });
}

//= 3.5.3-01 3.5.3-05 3.5.4-01 3.5.4-02 3.5.4-05
#[test]
fn k11_termini_that_may_not_be_are_refused_locally() {
    each_way(|way| {
        let mut linked = way.linked();
        let source = Source { dynamic: true, address: Some("mine".into()), ..Source::default() };
        let target = Target { dynamic: true, address: Some("mine".into()), ..Target::default() };
        let receiver = LinkConfig { source: Some(source.into()), ..LinkConfig::receiver("new", "") };
        let sender =
            LinkConfig { target: Some(Box::new(target.clone().into())), ..LinkConfig::sender("new", "") };
        let mut session = linked.engine_session();
        assert_eq!(session.attach_receiver(receiver), Err(Misuse::InvalidTerminus));
        assert_eq!(session.attach_sender(sender.clone()), Err(Misuse::InvalidTerminus));
        linked.finish();

        let asked = Attach {
            target: Some(Box::new(Target { address: None, ..target }.into())),
            ..attach("theirs", 20, Role::Sender)
        };
        linked.send(asked.on(NEAR.peer));
        let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
        let nowhere = LinkConfig {
            target: Some(Box::new(Target { dynamic: true, ..Target::default() }.into())),
            ..LinkConfig::receiver("", "")
        };
        let mut ours = linked.engine().receiver(link).unwrap();
        assert_eq!(
            ours.attach(nowhere),
            Err(Misuse::InvalidTerminus),
            "the node that was made has an address"
        );
        ours.attach(sender).unwrap();
        expect!(linked, Attach { handle: Handle(2), role: Role::Receiver, target: Some(_), .. });
        linked.finish();
    });
}

//= 2.6.3-07 2.6.3-14
#[test]
fn k11_termini_of_any_kind_reach_the_user() {
    each_way(|way| {
        let mut linked = way.linked();
        let filter = Fields::new().with(Symbol::from_static("what"), 1);
        let source = Source {
            dynamic: true,
            address: Some("set all the same".into()),
            filter: Some(filter.clone()),
            capabilities: [Symbol::from_static("unknown")].into(),
            distribution_mode: Some(Symbol::from_static("unknown")),
            ..Source::default()
        };
        let coordinator = TargetKind::Coordinator(Coordinator::default());
        let asked = Attach {
            source: Some(Box::new(source)),
            target: Some(Box::new(coordinator)),
            ..attach("odd", 20, Role::Sender)
        };
        linked.send(asked.clone().on(NEAR.peer));
        let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
        let receiver = linked.engine().receiver(link).unwrap();
        assert_eq!(receiver.remote_attach().unwrap(), asked);
        linked.session_is_fine();
    });
}

#[test]
fn k9_links_that_the_peer_leaves_no_handle_to_answer_end_the_session_above_the_limit() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send(Begin { handle_max: 0, ..begin(0, 10, 10) });
        let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
        let config = SessionConfig { handle_max: 1, ..SessionConfig::default() };
        peer.engine().session(session).unwrap().accept(config).unwrap();
        expect!(peer, Begin { .. });
        peer.send(attach("answered", 0, Role::Sender));
        let Some(Event::LinkAttached(link)) = peer.event() else { panic!("no link") };
        peer.engine().receiver(link).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        expect!(peer, Attach { .. });
        for name in ["a", "b", "c"] {
            peer.send(attach(name, 1, Role::Sender));
            peer.send(Detach { closed: true, ..detach(1) });
            let [Event::LinkAttached(_), Event::LinkDetached { link, .. }] = peer.events()[..] else {
                panic!("no link")
            };
            assert_eq!(peer.engine().receiver(link).unwrap().close(None), Err(Misuse::TooManyLinks));
        }
        peer.send(attach("d", 1, Role::Sender));
        peer.ends_with(0, &condition::RESOURCE_LIMIT_EXCEEDED);
    });
}
