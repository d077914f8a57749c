//! W: credit (§2.6.7), and D10, deliveries without it.

use amqp1_engine::container::{Address, ConnectionOptions, Context, Handler, Link, Name, Security, SenderId};
use amqp1_tests::{Contained, prelude::*};

//= 2.6.5-01 2.6.7-13 2.8.18-02
#[test]
fn d10_a_transfer_without_credit_detaches() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_TRANSFER_LIMIT_EXCEEDED);
    });
}

#[test]
fn d10_one_more_transfer_than_was_granted_detaches() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(3);
        for id in 0..4 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("x"));
        }
        for _ in 0..3 {
            linked.delivery();
        }
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_TRANSFER_LIMIT_EXCEEDED);
    });
}

#[test]
fn d10_the_rest_of_a_delivery_without_credit_is_dropped() {
    each_way(|way| {
        let mut linked = way.linked();
        let start = Transfer { more: true, ..first(NEAR.peer_sender, 0) };
        linked.send(start.on(NEAR.peer).with("x"));
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_TRANSFER_LIMIT_EXCEEDED);
        linked.send(transfer(NEAR.peer_sender).on(NEAR.peer).with("x"));
        linked.session_is_fine();
    });
}

//= 2.6.7-14
#[test]
fn d10_transfers_on_their_way_when_credit_is_lowered_are_taken() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(3);
        linked.credit(0);
        for id in 0..3 {
            linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with("x"));
            linked.delivery();
        }
        linked.send(first(NEAR.peer_sender, 3).on(NEAR.peer).with("x"));
        linked.detaches_with(NEAR.engine_receiver, &condition::LINK_TRANSFER_LIMIT_EXCEEDED);
    });
}

//= 2.7.4-04 2.7.4-08 2.7.4-09 2.7.4-10
#[test]
fn w1_link_state_without_a_handle_ends_the_session() {
    each_way(|way| {
        for change in [
            (|flow| Flow { link_credit: Some(1), ..flow }) as fn(Flow) -> Flow,
            |flow| Flow { delivery_count: Some(Serial::new(0)), ..flow },
            |flow| Flow { available: Some(1), ..flow },
            |flow| Flow { drain: true, ..flow },
        ] {
            let mut linked = way.linked();
            let flow = change(linked.flow());
            linked.send(flow.on(NEAR.peer));
            linked.ends_with(&condition::INVALID_FIELD);
        }
    });
}

//= 2.6.7-04 2.6.7-05 2.6.7-16 2.6.7-17
#[test]
fn w2_credit_is_counted_in_serial_numbers() {
    each_way(|way| {
        // (initial count, delivery-count and credit of the flow, credit that follows)
        for (initial, count, granted, expected) in [
            (0, 0, u32::MAX, u32::MAX),
            (0xffff_fff0, 0xffff_fff0, 100, 100),
            (0xffff_ffff, 0xffff_ffff, u32::MAX, u32::MAX),
            // A receiver that claims to have seen what was not sent gains nothing by it.
            (0, 5, 10, 10),
            (0, 0x7fff_ffff, 10, 10),
            // One that is behind by more than it grants gets nothing.
            (20, 0, 10, 0),
            (5, 0xffff_fffb, 10, 0),
            (5, 0xffff_fffb, 11, 1),
        ] {
            let link = |link| LinkConfig { initial_delivery_count: Serial::new(initial), ..link };
            let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
            let flow = linked.link_flow(count, granted);
            linked.send(flow.on(NEAR.peer));
            assert_eq!(linked.engine_sender().credit(), expected, "{initial} {count} {granted}");
            linked.events();
            linked.session_is_fine();
        }
    });
}

//= 2.6.7-06 2.6.7-07
#[test]
fn w2_a_receiver_that_names_no_count_means_the_first() {
    each_way(|way| {
        let link = |link| LinkConfig { initial_delivery_count: Serial::new(0xffff_fffe), ..link };
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), link);
        linked.grant(10);
        for n in 0..3_u8 {
            linked.engine_sender().send(tag([n]), true, "x").unwrap();
            expect!(linked, Transfer { .. });
        }
        let flow = Flow { delivery_count: None, ..linked.link_flow(0, 10) };
        linked.send(flow.on(NEAR.peer));
        assert_eq!(linked.engine_sender().credit(), 7);
        linked.events();
        linked.session_is_fine();
    });
}

//= 2.6.7-05 2.6.7-13
#[test]
fn w3_credit_lowered_below_what_was_sent_is_none() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        for n in 0..5_u8 {
            linked.engine_sender().send(tag([n]), true, "x").unwrap();
            expect!(linked, Transfer { .. });
        }
        let flow = linked.link_flow(0, 3);
        linked.send(flow.on(NEAR.peer));
        assert_eq!(linked.engine_sender().credit(), 0);
        assert_eq!(
            linked.engine_sender().send(tag(b"6"), true, "x"),
            Err(SendError::Blocked(Blocked::Credit))
        );
        linked.events();
        linked.session_is_fine();
    });
}

//= 2.6.7-11 2.6.7-12 2.6.7-15 2.7.4-05
#[test]
fn w4_a_drain_with_nothing_to_send_advances_the_count() {
    each_way(|way| {
        let mut linked = way.linked();
        let sender = linked.sender;
        let mut count = 0;
        for _ in 0..100 {
            let flow = Flow { drain: true, ..linked.link_flow(count, 10) };
            linked.send(flow.on(NEAR.peer));
            let events = linked.events();
            assert!(events.contains(&Event::Drain(sender)), "{events:?}");
            linked.engine_sender().drained();
            count += 10;
            expect!(linked, Flow { delivery_count: Some(at), link_credit: Some(0), drain: true, .. }
                if at.get() == count);
            linked.finish();
        }
        linked.session_is_fine();
    });
}

#[test]
fn w4_drains_in_a_row_are_answered_once() {
    each_way(|way| {
        let mut linked = way.linked();
        let flow = Flow { drain: true, ..linked.link_flow(0, 10) };
        for _ in 0..1_000 {
            linked.send(flow.clone().on(NEAR.peer));
        }
        let sender = linked.sender;
        let events = linked.events();
        let drains = events.iter().filter(|event| **event == Event::Drain(sender)).count();
        assert_eq!(drains, 1, "{events:?}");
        linked.engine_sender().drained();
        expect!(linked, Flow { delivery_count: Some(count), link_credit: Some(0), .. } if count.get() == 10);
        linked.session_is_fine();
    });
}

//= 2.6.7-15
#[test]
fn w4_a_drain_that_is_asked_for_again_is_told_again() {
    each_way(|way| {
        let mut linked = way.linked();
        let sender = linked.sender;
        for credit in [10, 9, 8] {
            let flow = Flow { drain: true, ..linked.link_flow(0, credit) };
            linked.send(flow.on(NEAR.peer));
            let events = linked.events();
            assert!(events.contains(&Event::Drain(sender)), "{events:?}");
        }
        assert!(linked.engine_sender().is_draining());
        linked.engine_sender().drained();
        expect!(linked, Flow { delivery_count: Some(count), link_credit: Some(0), drain: true, .. }
            if count.get() == 8);
        linked.session_is_fine();
    });
}

//= 2.6.7-12
#[test]
fn w4_credit_that_is_no_longer_to_be_drained_stays() {
    each_way(|way| {
        let mut linked = way.linked();
        for drain in [true, false] {
            let flow = Flow { drain, ..linked.link_flow(0, 10) };
            linked.send(flow.on(NEAR.peer));
        }
        linked.events();
        assert!(!linked.engine_sender().is_draining());
        linked.engine_sender().drained();
        assert_eq!(linked.engine_sender().credit(), 10);
        linked.silent();
        linked.session_is_fine();
    });
}

/// A program that sends, and notes what it is asked for.
#[derive(Default)]
struct Program(Vec<&'static str>);

impl Handler for Program {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let options = ConnectionOptions { security: Security::None, ..ConnectionOptions::default() };
        let connection = cx.connect_with(Address::new("localhost", 1), options);
        cx.create_sender(connection, ("q", Name("out")));
    }

    fn on_link_flow(&mut self, _: &mut Context<'_>, _: Link) {
        self.0.push("flow");
    }

    fn on_drain_start(&mut self, _: &mut Context<'_>, _: SenderId) {
        self.0.push("drain");
    }
}

#[test]
fn w4_a_program_hears_of_each_drain_that_was_not_taken_back() {
    let mut peer = Peer::new(Contained::new(Program::default()));
    peer.begin_as_asked(100);
    expect!(peer, Attach { .. });
    peer.send(attach("out", 0, Role::Receiver));
    let told = |peer: &mut Peer<Contained<Program>>, drains: &[bool]| {
        let flow = |&drain| Flow {
            next_incoming_id: Some(Serial::new(0)),
            handle: Some(Handle(0)),
            delivery_count: Some(Serial::new(0)),
            link_credit: Some(10),
            drain,
            ..flow(100, 0, 100)
        };
        peer.send_all(drains.iter().map(flow).map(Frame::from));
        std::mem::take(&mut peer.handler().0)
    };
    assert_eq!(told(&mut peer, &[true]), ["flow", "drain"]);
    assert_eq!(told(&mut peer, &[true]), ["flow", "drain"]);
    assert_eq!(told(&mut peer, &[true, false]), ["flow"]);
    assert_eq!(told(&mut peer, &[false, true]), ["flow", "drain"]);
}

#[test]
fn w4_drains_without_number_leave_nothing() {
    let mut linked = Way::new(Side::Client, Chunks::Whole).linked();
    let drains: Vec<_> =
        (0..1_000).map(|_| Flow { drain: true, ..linked.link_flow(0, 5) }.on(NEAR.peer)).collect();
    linked.send_all(drains.clone());
    linked.events();
    let held = linked.held();
    for _ in 0..50 {
        linked.send_all(drains.clone());
        assert!(linked.events().len() <= 2);
    }
    assert!(linked.held() <= held);
    linked.engine_sender().drained();
    let mut answers = 0;
    while linked.next_item().is_some() {
        answers += 1;
    }
    assert!(answers <= 1, "{answers}");
}

//= 2.7.4-X4 2.7.4-X5
#[test]
fn w5_echoes_that_wait_together_get_one_answer() {
    each_way(|way| {
        let mut linked = way.linked();
        let session = Flow { echo: true, ..linked.flow() };
        let sender = Flow { echo: true, ..linked.link_flow(0, 0) };
        let handle = Some(Handle(NEAR.peer_sender));
        let delivery_count = Some(Serial::new(INITIAL_COUNT));
        let receiver = Flow { echo: true, handle, delivery_count, link_credit: Some(0), ..linked.flow() };
        for _ in 0..1_000 {
            for flow in [&session, &sender, &receiver] {
                linked.send(flow.clone().on(NEAR.peer));
            }
        }
        // The flow of a link tells of the session, too.
        let (ours, theirs) = (Handle(NEAR.engine_sender), Handle(NEAR.engine_receiver));
        expect!(linked, Flow { handle: Some(at), echo: false, .. } if at == ours);
        expect!(linked, Flow { handle: Some(at), echo: false, .. } if at == theirs);
        linked.silent();
    });
}

//= 2.7.4-X2 2.7.4-X5
#[test]
fn w5_an_answer_never_asks_for_an_echo() {
    each_way(|way| {
        let mut linked = way.linked();
        for _ in 0..10 {
            let flow = Flow { echo: true, ..linked.link_flow(0, 5) };
            linked.send(flow.on(NEAR.peer));
            expect!(linked, Flow { echo: false, link_credit: Some(5), .. });
            linked.silent();
        }
    });
}
