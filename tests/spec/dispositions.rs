//! D: what a disposition says of deliveries (§2.7.6).

use amqp1_engine::codec::Described;
use amqp1_tests::prelude::*;

/// The engine has sent four deliveries, of which the third is settled.
fn sent(way: &Way) -> Linked {
    let mut linked = way.linked();
    linked.grant(10);
    for n in 0..4_u8 {
        linked.engine_sender().send(tag([n]), n == 2, "x").unwrap();
        expect!(linked, Transfer { .. });
    }
    linked
}

#[test]
fn d12_a_disposition_whose_last_precedes_its_first_ends_the_session() {
    each_way(|way| {
        for (first, last) in [(1, 0), (0, u32::MAX), (3, 0x8000_0003), (5, 4)] {
            for role in [Role::Receiver, Role::Sender] {
                let mut linked = sent(way);
                let last = Some(Serial::new(last));
                linked.send(Disposition { last, ..disposition(role, first) }.on(NEAR.peer));
                linked.ends_with(&condition::INVALID_FIELD);
            }
        }
    });
}

#[test]
fn d13_a_disposition_of_half_of_all_ids_touches_what_there_is() {
    each_way(|way| {
        let mut linked = sent(way);
        let last = Some(Serial::new(0x7fff_ffff));
        for _ in 0..1_000 {
            linked.send(
                Disposition { last, ..settled(Role::Receiver, 0, DeliveryState::Accepted) }.on(NEAR.peer),
            );
        }
        let events = linked.events();
        let ids: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Updated(id) => id.number().get(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [0, 1, 3]);
        linked.session_is_fine();
    });
}

#[test]
fn d13_wide_dispositions_without_number_take_time_by_what_there_is() {
    let mut linked = sent(&Way::new(Side::Server, Chunks::Whole));
    // Each names two milliard deliveries: walked by number, they would take years.
    let wide = Disposition { last: Some(Serial::new(0x7fff_ffff)), ..disposition(Role::Receiver, 0) };
    let frames = wide.on(NEAR.peer).encode().repeat(1_000);
    for _ in 0..100 {
        linked.send_raw(&frames);
    }
    linked.events();
    linked.session_is_fine();
}

#[test]
fn d13_a_large_state_of_many_deliveries_is_held_once() {
    const DELIVERIES: u32 = 200;
    let info = Fields::new().with(Symbol::from_static("info"), Value::List(vec![Value::Bool(true); 500]));
    let error = Error { info: Some(info), ..Error::new(condition::INTERNAL_ERROR) };
    let states = [
        DeliveryState::Rejected(Some(Box::new(error))),
        DeliveryState::Other(Described::new(0x7777_u64, Value::List(vec![vec![0; 10_000].into()]))),
    ];
    each_way(|way| {
        let each = [Role::Receiver, Role::Sender]
            .into_iter()
            .flat_map(|role| states.iter().map(move |state| (role, state)));
        for (role, state) in each {
            let mut linked = way.linked();
            linked.grant(DELIVERIES);
            linked.credit(DELIVERIES);
            for n in 0..DELIVERIES {
                linked.engine_sender().send(tag(n.to_be_bytes()), false, "x").unwrap();
                expect!(linked, Transfer { .. });
                linked.send(first(NEAR.peer_sender, n).on(NEAR.peer));
                linked.delivery();
            }
            let last = Some(Serial::new(DELIVERIES - 1));
            let told = Disposition { last, state: Some(state.clone()), ..disposition(role, 0) };
            linked.send(told.on(NEAR.peer));
            for n in 0..DELIVERIES {
                let Some(Event::Updated(id)) = linked.event() else { panic!("no update of {n}") };
                match role {
                    Role::Receiver => {
                        let told = linked.engine_sender().settle(id, None).unwrap();
                        assert_eq!(told.as_ref(), Some(state));
                    }
                    Role::Sender => {
                        let receiver = linked.engine_receiver();
                        assert_eq!(receiver.delivery(id).unwrap().remote_state(), Some(state));
                    }
                }
            }
        }
    });
}

//= 2.7.6-01
#[test]
fn d14_a_disposition_of_what_is_not_there_is_ignored() {
    each_way(|way| {
        let mut linked = sent(way);
        for (role, first, last) in [
            (Role::Receiver, 2, 2),                     // sent settled
            (Role::Receiver, 4, 1_000),                 // not sent yet
            (Role::Receiver, 0x8000_0000, 0x8000_0005), // long ago
            (Role::Sender, 0, 3),                       // of the other direction
        ] {
            let last = Some(Serial::new(last));
            linked.send(Disposition { last, ..settled(role, first, DeliveryState::Released) }.on(NEAR.peer));
        }
        linked.send(settled(Role::Receiver, 0, DeliveryState::Accepted).on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
        assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(DeliveryState::Accepted)));
        // Settled by both: nothing more can be said of it.
        linked.send(settled(Role::Receiver, 0, DeliveryState::Released).on(NEAR.peer));
        linked.finish();
        assert_eq!(linked.engine_session().unsettled(Role::Sender), 2);
        linked.session_is_fine();
    });
}

//= 2.6.4-01 2.6.4-03 2.7.6-03 2.7.6-04
#[test]
fn d14_deliveries_of_a_link_that_is_detached_and_not_closed_live_on() {
    each_way(|way| {
        for both in [false, true] {
            let mut linked = sent(way);
            linked.engine_sender().detach().unwrap();
            linked.expect(detach(NEAR.engine_sender));
            if both {
                linked.send(detach(NEAR.peer_receiver).on(NEAR.peer));
                assert!(matches!(linked.event(), Some(Event::LinkDetached { closed: false, .. })));
            }
            linked.send(settled(Role::Receiver, 0, DeliveryState::Accepted).on(NEAR.peer));
            let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
            assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(DeliveryState::Accepted)));
            linked.session_is_fine();
        }
    });
}

#[test]
fn d14_a_settled_outcome_is_final() {
    each_way(|way| {
        let mut linked = sent(way);
        linked.send(settled(Role::Receiver, 0, DeliveryState::Accepted).on(NEAR.peer));
        linked.send(settled(Role::Receiver, 0, DeliveryState::Released).on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
        linked.no_event();
        assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(DeliveryState::Accepted)));
    });
}

//= 3.4-02
#[test]
fn d14_an_outcome_is_final_before_it_is_settled() {
    each_way(|way| {
        let mut linked = sent(way);
        let told = |state| Disposition { state: Some(state), ..disposition(Role::Receiver, 0) };
        linked.send(told(DeliveryState::Accepted).on(NEAR.peer));
        linked.send(settled(Role::Receiver, 0, DeliveryState::Released).on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
        assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(DeliveryState::Accepted)));

        let mut linked = way.linked();
        linked.credit(1);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer));
        let (id, _) = linked.delivery();
        let told = |state| Disposition { state: Some(state), ..disposition(Role::Sender, 0) };
        linked.send(told(DeliveryState::Released).on(NEAR.peer));
        linked.send(told(DeliveryState::Accepted).on(NEAR.peer));
        let receiver = linked.engine_receiver();
        assert_eq!(receiver.delivery(id).unwrap().remote_state(), Some(&DeliveryState::Released));
    });
}

#[test]
fn d15_a_state_that_is_none_closes_and_an_unknown_one_is_passed_on() {
    each_way(|way| {
        // disposition { receiver, 0, null, false, error }: a described list, but of no state we know
        let mut linked = sent(way);
        let body = b"\x00\x53\x15\xc0\x0a\x05\x41\x43\x40\x42\x00\x53\x7f\xa1\x00";
        linked.send_raw(frame_of(NEAR.peer, body));
        let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
        let state = linked.engine_sender().delivery(id).unwrap().remote_state().cloned();
        assert!(matches!(state, Some(DeliveryState::Other(_))), "{state:?}");
        linked.session_is_fine();

        let mut linked = sent(way);
        linked.send_raw(frame_of(NEAR.peer, b"\x00\x53\x15\xc0\x06\x05\x41\x43\x40\x42\x45"));
        linked.closes_with(&condition::DECODE_ERROR);
    });
}

#[test]
fn d15_an_outcome_that_was_not_offered_is_passed_on() {
    each_way(|way| {
        let outcomes = [Symbol::from_static("amqp:accepted:list")].into();
        let source = Source { outcomes, ..Source::default() };
        let link = |link: LinkConfig| LinkConfig { source: Some(Box::new(source.clone())), ..link };
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
        linked.grant(10);
        let states = [
            DeliveryState::Rejected(None),
            DeliveryState::Modified(Box::default()),
            // What is no outcome settles as well: the sender learns how far the receiver had come.
            DeliveryState::Received(Received::new(0, 5)),
        ];
        for (n, state) in (0..).zip(states) {
            let id = linked.engine_sender().send(tag([n as u8]), false, "x").unwrap();
            expect!(linked, Transfer { .. });
            linked.send(settled(Role::Receiver, n, state.clone()).on(NEAR.peer));
            linked.expect_event(Event::Updated(id));
            assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(state)));
        }
        linked.session_is_fine();
    });
}
