//! Back-pressure: every queue has a limit and says so (E-06).

use amqp1_tests::{Splitter, prelude::*};
use bytes::Buf;

const SENDER: u32 = NEAR.peer_sender;

fn linked(way: &Way, limit: impl Fn(&mut Limits)) -> Linked {
    let mut config = way.config();
    limit(&mut config.limits);
    let mut peer = way.peer(config);
    peer.open();
    Linked::new(peer)
}

#[test]
fn e06_above_the_limit_of_unread_bytes_nothing_is_read_until_some_are_taken() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unread_bytes = 10_000);
        linked.credit(100);
        for id in 0..40 {
            linked.send(first(SENDER, id).on(NEAR.peer).with(vec![id as u8; 1_000]));
        }
        assert!(!linked.engine().wants_input());
        assert_eq!(linked.engine_session().unsettled(Role::Receiver), 10, "the rest was not looked at");
        for id in 0..40 {
            let (delivery, payload) = linked.delivery();
            assert_eq!((delivery.number().get(), payload.len()), (id, 1_000));
            linked.engine_receiver().accept(delivery).unwrap();
        }
        linked.no_event();
        assert!(linked.engine().wants_input());
    });
}

#[test]
fn e06_above_the_limit_of_events_nothing_is_read_until_some_are_polled() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.events = 5);
        linked.credit(100);
        for id in 0..40 {
            linked.send(Transfer { settled: Some(true), ..first(SENDER, id) }.on(NEAR.peer));
        }
        assert!(!linked.engine().wants_input());
        assert_eq!(linked.engine_session().unsettled(Role::Receiver), 5);
        for id in 0..40 {
            assert_eq!(linked.delivery().0.number().get(), id);
        }
        linked.finish();
        assert!(linked.engine().wants_input());
    });
}

#[test]
fn e06_a_delivery_above_the_limit_of_unsettled_ones_ends_the_session() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unsettled = 10);
        linked.credit(100);
        for id in 0..11 {
            linked.send(first(SENDER, id).on(NEAR.peer));
        }
        for _ in 0..10 {
            linked.delivery();
        }
        linked.ends_with(&condition::RESOURCE_LIMIT_EXCEEDED);
    });
}

#[test]
fn e06_a_sender_with_too_many_unsettled_deliveries_is_told_to_wait_and_when_to_go_on() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unsettled = 3);
        linked.grant(100);
        let ids: Vec<_> =
            (0..3_u8).map(|n| linked.engine_sender().send(tag([n]), false, "x").unwrap()).collect();
        assert_eq!(
            linked.engine_sender().send(tag(b"4"), false, "x"),
            Err(SendError::Blocked(Blocked::Unsettled))
        );
        for _ in 0..3 {
            expect!(linked, Transfer { .. });
        }
        linked.send(settled(Role::Receiver, 1, DeliveryState::Accepted).on(NEAR.peer));
        linked.expect_event(Event::Updated(ids[1]));
        linked.no_event();
        linked.engine_sender().settle(ids[1], None).unwrap();
        let sender = linked.sender;
        linked.expect_event(Event::Sendable(sender));
        linked.engine_sender().send(tag(b"4"), false, "x").unwrap();
        expect!(linked, Transfer { .. });
        linked.finish();
    });
}

#[test]
fn e06_above_the_high_water_of_output_no_message_is_taken_until_some_is_written() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.output_high_water = 10_000);
        linked.grant(1_000);
        let mut sent = 0;
        while linked.engine_sender().send(tag(sent_tag(sent)), true, vec![0; 1_000]).is_ok() {
            sent += 1;
        }
        assert!((9..=11).contains(&sent), "{sent}");
        assert_eq!(linked.engine_sender().blocked(), Some(Blocked::Output));
        linked.no_event();
        for _ in 0..sent {
            expect!(linked, Transfer { .. });
        }
        let sender = linked.sender;
        linked.expect_event(Event::Sendable(sender));
        linked.engine_sender().send(tag(b"next"), true, "x").unwrap();
        expect!(linked, Transfer { .. });
        linked.finish();
    });
}

fn sent_tag(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

#[test]
fn a2_a_peer_that_never_reads_is_not_read_either_and_dropped_when_idle() {
    each_way(|way| {
        let mut config = Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() };
        config.limits.output_stop_reading = 100_000;
        let mut peer = way.peer(config);
        peer.open();
        let mut linked = Linked::new(peer);
        linked.grant(10_000);
        // The user sends as much as it may; nobody writes.
        while linked.engine_sender().send(tag(b"same"), true, vec![0; 60_000]).is_ok() {}
        assert!(!linked.engine().wants_input());
        let ask = Flow { echo: true, ..linked.link_flow(0, 10) };
        for _ in 0..100 {
            linked.send(ask.clone().on(NEAR.peer));
        }
        linked.no_event();
        // Once the socket takes bytes again, all goes on.
        while linked.next_item().is_some() {}
        assert!(linked.engine().wants_input());
        let events = linked.events();
        assert!(
            matches!(events.as_slice(), [Event::LinkFlow(_), ..] | [Event::Sendable(_), ..]),
            "{events:?}"
        );
    });
}

#[test]
fn e06_a_flood_of_flows_is_one_event() {
    each_way(|way| {
        let mut linked = way.linked();
        for credit in 0..1_000 {
            let flow = linked.link_flow(0, credit);
            linked.send(flow.on(NEAR.peer));
        }
        let sender = linked.sender;
        assert_eq!(linked.events(), [Event::LinkFlow(sender), Event::Sendable(sender)]);
        assert_eq!(linked.engine_sender().credit(), 999);
        linked.finish();
    });
}

#[test]
fn e06_a_sender_that_waits_for_output_hears_nothing_once_the_connection_is_lost() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.output_high_water = 10_000);
        linked.grant(1_000);
        while linked.engine_sender().send(tag(b"same"), true, vec![0; 1_000]).is_ok() {}
        linked.shut();
        linked.expect_event(Event::Disconnected(DisconnectReason::Aborted));
        linked.no_event();
    });
}

#[test]
fn e06_what_is_due_is_written_though_senders_fill_all_room() {
    each_way(|way| {
        let mut linked = linked(way, |_| {});
        linked.grant(10_000);
        let now = linked.now();
        let fill = |linked: &mut Linked| {
            while linked.engine_sender().send(tag(b"same"), true, vec![0; 1_000]).is_ok() {}
        };
        fill(&mut linked);
        linked.engine_receiver().set_credit(7);
        // The socket takes some, never all, and the sender fills the room as soon as it may.
        let mut output = Splitter::default();
        for _ in 0..20 {
            let mut transmit = linked.engine().poll_transmit(now).unwrap();
            output.push(&transmit.copy_to_bytes(70_000));
            linked.events();
            fill(&mut linked);
        }
        let items = std::iter::from_fn(|| output.next_item());
        let flows = items
            .filter(|item| matches!(item, Item::Frame(Frame { performative: Performative::Flow(_), .. })));
        assert_eq!(flows.count(), 1);
    });
}

/// Lets time pass for an engine whose socket takes nothing, until it wants to be woken no more.
fn wait(linked: &mut Linked) {
    let mut now = linked.now();
    for _ in 0..10 {
        let Some((at, _)) = linked.engine().poll_timeout() else { return };
        now = now.max(at);
        linked.engine().handle_timeout(now);
    }
    panic!("the deadlines do not end");
}

fn fill(linked: &mut Linked) {
    linked.grant(10_000);
    while linked.engine_sender().send(tag(b"same"), true, vec![0; 60_000]).is_ok() {}
}

#[test]
fn a2_a_peer_that_never_reads_does_not_keep_a_connection_that_is_closed() {
    each_way(|way| {
        let mut linked = way.linked();
        fill(&mut linked);
        linked.engine().close(None);
        wait(&mut linked);
        linked.expect_event(Event::Disconnected(DisconnectReason::CloseTimeout));
        linked.expect_dropped();
    });
}

#[test]
fn a2_a_peer_that_never_reads_is_dropped_after_the_idle_time_out() {
    each_way(|way| {
        let mut config = Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() };
        config.limits.output_stop_reading = 100_000;
        let mut peer = way.peer(config);
        peer.open();
        let mut linked = Linked::new(peer);
        fill(&mut linked);
        assert!(!linked.engine().wants_input());
        wait(&mut linked);
        let events = linked.events();
        assert!(
            matches!(
                events.as_slice(),
                [Event::Violated(_), Event::Disconnected(DisconnectReason::CloseTimeout)]
            ),
            "{events:?}"
        );
        linked.expect_dropped();
    });
}

/// The peer reads a little of what waits for it, and time passes.
fn read_slowly(linked: &mut Linked, now: &mut Instant, pause: Duration) {
    linked.engine().poll_transmit(*now).expect("much is left").advance(1_000);
    *now = *now + pause;
    let now = *now;
    linked.engine().handle_timeout(now);
}

#[test]
fn a2_a_peer_that_reads_slowly_is_not_dropped_for_its_silence_while_it_is_not_read() {
    each_way(|way| {
        let mut config = Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() };
        config.limits.output_stop_reading = 100_000;
        let mut peer = way.peer(config);
        peer.open();
        let mut linked = Linked::new(peer);
        fill(&mut linked);
        let mut now = linked.now();
        for _ in 0..20 {
            assert!(!linked.engine().wants_input());
            read_slowly(&mut linked, &mut now, Duration::from_secs(59));
        }
        linked.no_event();
        linked.engine().handle_timeout(now + Duration::from_secs(60));
        assert!(matches!(linked.events()[..], [Event::Violated(_)]));
        wait(&mut linked);
        linked.expect_event(Event::Disconnected(DisconnectReason::CloseTimeout));
    });
}

#[test]
fn a2_a_peer_that_reads_slowly_has_the_time_for_its_close_from_its_last_read_on() {
    each_way(|way| {
        let mut linked = way.linked();
        fill(&mut linked);
        linked.engine().close(None);
        let mut now = linked.now();
        for _ in 0..20 {
            read_slowly(&mut linked, &mut now, Duration::from_secs(9));
        }
        linked.no_event();
        linked.engine().handle_timeout(now + Duration::from_secs(1));
        linked.no_event();
        linked.engine().handle_timeout(now + Duration::from_secs(10));
        linked.expect_event(Event::Disconnected(DisconnectReason::CloseTimeout));
        linked.expect_dropped();
    });
}

#[test]
fn a2_a_peer_that_closes_and_never_reads_is_dropped_too() {
    each_way(|way| {
        let mut linked = way.linked();
        fill(&mut linked);
        linked.send(Close::default());
        linked.expect_event(Event::Closed { error: None });
        linked.engine().close(None);
        let now = linked.now();
        assert!(linked.engine().poll_transmit(now).is_some());
        linked.expect_event(Event::Disconnected(DisconnectReason::Closed));
        assert!(!linked.engine().is_done(), "our close waits to be written");
        wait(&mut linked);
        linked.expect_dropped();
    });
}

#[test]
fn e06_the_close_of_a_peer_that_sent_too_much_at_a_time_is_taken() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unread_bytes = 1_000);
        linked.credit(1);
        linked.send(Transfer { more: true, ..first(SENDER, 0) }.on(NEAR.peer).with(vec![1; 1_000]));
        assert!(matches!(linked.event(), Some(Event::Delivery(_))));
        linked.send(Transfer { more: true, ..transfer(SENDER) }.on(NEAR.peer).with(vec![1; 1_000]));
        assert!(matches!(linked.event(), Some(Event::Violated(_))));
        expect!(linked, Close { .. });
        linked.send(Transfer { more: true, ..transfer(SENDER) }.on(NEAR.peer).with(vec![1; 1_000]));
        linked.send(Close::default());
        assert!(matches!(linked.event(), Some(Event::Aborted(_))));
        linked.expect_event(Event::Closed { error: None });
        linked.expect_event(Event::Disconnected(DisconnectReason::Closed));
        linked.expect_dropped();
    });
}

#[test]
fn e06_limits_of_nothing_let_one_thing_pass_at_a_time() {
    each_way(|way| {
        let mut linked = linked(way, |limits| {
            limits.events = 0;
            limits.unread_bytes = 0;
            limits.output_high_water = 0;
            limits.output_stop_reading = 0;
        });
        linked.credit(10);
        linked.grant(10);
        for id in 0..10 {
            linked.send(Transfer { settled: Some(true), ..first(SENDER, id) }.on(NEAR.peer).with("data"));
        }
        for id in 0..10 {
            assert_eq!(linked.delivery().0.number().get(), id);
            linked.engine_sender().send(tag([id as u8]), true, "x").unwrap();
            expect!(linked, Transfer { .. });
        }
        linked.session_is_fine();
    });
}

#[test]
fn d6_a_reader_that_has_taken_some_of_a_message_is_waited_for() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unread_bytes = 10_000);
        linked.credit(1);
        let piece = |more| Transfer { more, ..transfer(SENDER) }.on(NEAR.peer).with(vec![7; 10_000]);
        linked.send(Transfer { more: true, ..first(SENDER, 0) }.on(NEAR.peer).with(vec![7; 5_000]));
        assert_eq!(linked.delivery().1.len(), 5_000);
        linked.send(piece(true));
        let Some(Event::Delivery(id)) = linked.event() else { panic!("no more of it") };
        // It knows of what fills all room, and takes its time.
        linked.send(piece(false));
        linked.finish();
        assert!(!linked.engine().wants_input());
        assert_eq!(linked.engine_receiver().take(id).unwrap().len(), 10_000);
        assert_eq!(linked.delivery().1.len(), 10_000);
        linked.session_is_fine();
    });
}

#[test]
fn d6_what_is_settled_or_aborted_before_it_is_whole_makes_room_again() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unread_bytes = 10_000);
        linked.credit(100);
        for number in 0..40 {
            let start = Transfer { more: true, ..first(SENDER, number) };
            linked.send(start.on(NEAR.peer).with(vec![7; 1_000]));
            let Some(Event::Delivery(id)) = linked.event() else { panic!("no delivery") };
            let aborted = number % 2 == 0;
            if !aborted {
                linked.engine_receiver().reject(id, None).unwrap();
                expect!(linked, Disposition { settled: true, .. });
            }
            linked.send(Transfer { aborted, ..transfer(SENDER) }.on(NEAR.peer));
            assert_eq!(linked.event(), aborted.then_some(Event::Aborted(id)));
            assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0);
        }
        assert!(linked.engine().wants_input());
        linked.session_is_fine();
    });
}

#[test]
fn d6_a_message_larger_than_the_limit_of_unread_bytes_is_read_at_the_pace_of_its_reader() {
    each_way(|way| {
        let mut linked = linked(way, |limits| limits.unread_bytes = 10_000);
        linked.credit(1);
        // All of it arrives before the user looks for the first time.
        let piece = |more| Transfer { more, ..transfer(SENDER) }.on(NEAR.peer).with(vec![7; 1_000]);
        linked.send(Transfer { more: true, ..first(SENDER, 0) }.on(NEAR.peer).with(vec![7; 1_000]));
        linked.send_all((0..50).map(|n| piece(n < 49)));
        let mut size = 0;
        assert!(!linked.engine().wants_input());
        loop {
            let (id, payload) = linked.delivery();
            assert!(payload.len() <= 11_000, "{}", payload.len());
            size += payload.len();
            if linked.engine_receiver().delivery(id).is_ok_and(|delivery| delivery.is_complete()) {
                linked.engine_receiver().accept(id).unwrap();
                break;
            }
        }
        assert_eq!(size, 51_000);
        linked.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));
        linked.session_is_fine();
    });
}
