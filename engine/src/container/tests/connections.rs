//! Connections, listeners, timers, the start and the end.

use std::{boxed::Box, format};

use core::time::Duration;

use super::*;
use crate::message::Message;

/// The tutorial's program on its own listener.
struct HelloWorldDirect {
    log: Log,
    listener: Option<ListenerId>,
}

impl Handler for HelloWorldDirect {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(here()));
        cx.create_sender(here(), ());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        cx.send(sender, &Message::from("Hello World!")).unwrap();
        cx.close(sender);
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.log.note(body(delivery));
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.log.note("accepted");
        if let Some(connection) = cx.connection_of(tracker.sender()) {
            cx.close(connection);
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        if let Some(listener) = self.listener.take() {
            cx.close(listener);
        }
    }

    fn on_stop(&mut self, _: &mut Context<'_>) {
        self.log.note("stop");
    }
}

#[test]
fn c_09_hello_world_direct() {
    for chunk in [usize::MAX, 1] {
        let log = Log::default();
        let mut world = World::new();
        world.chunk = chunk;
        let node = world.add(HelloWorldDirect { log: log.clone(), listener: None });
        assert!(world.run());
        log.assert(&["Hello World!", "accepted", "stop"]);
        assert_eq!(world.container(node).take_failure(), None);
    }
}

#[test]
fn a_refused_connection_is_told_and_kept_as_the_failure() {
    let log = Log::default();
    let mut world = World::new();
    let script = client(|cx| {
        let sender = cx.create_sender(here(), ());
        cx.send(sender, &Message::from("lost")).unwrap();
        cx.close(sender);
    });
    let node = world.add(Script { log: log.clone(), ..script });
    assert!(world.run());
    let text = "cannot connect to amqp://localhost:8888/examples: connection refused";
    log.assert(&[&format!("transport error: {text}"), "disconnected, reconnects: false", "stop"]);
    assert_eq!(format!("{}", world.container(node).take_failure().unwrap()), text);
}

#[test]
fn a_port_in_use_is_told_and_kept_as_the_failure() {
    let log = Log::default();
    let mut world = World::new();
    let script = client(|cx| {
        let first = cx.listen(here());
        cx.listen(here());
        cx.schedule(Duration::from_secs(1), move |cx| cx.close(first));
    });
    let node = world.add(Script { log: log.clone(), ..script });
    assert!(world.run());
    let text = "cannot listen at amqp://localhost:8888/examples: the port is in use";
    log.assert(&[&format!("listen error: {text}"), "stop"]);
    assert_eq!(format!("{}", world.container(node).take_failure().unwrap()), text);
}

#[test]
fn c_05_timers_come_in_order_and_cancelled_ones_never() {
    let log = Log::default();
    let mut world = World::new();
    let noted = log.clone();
    let script = client(move |cx| {
        cx.set_timer(Duration::from_secs(2));
        let cancelled = cx.set_timer(Duration::from_secs(1));
        assert!(cx.cancel(cancelled));
        assert!(!cx.cancel(cancelled));
        cx.schedule(Duration::from_secs(3), |cx| {
            assert_eq!(cx.now(), Instant::from_millis(3_000));
        });
    });
    let timer: OnTimer = Box::new(move |cx, _| noted.note(format!("{:?}", cx.now())));
    world.add(Script { timer: Some(timer), log: log.clone(), ..script });
    assert!(world.run());
    log.assert(&["2s", "stop"]);
    assert_eq!(world.now(), Instant::from_millis(3_000));
}

#[test]
fn c_01_stop_closes_everything_and_ends() {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let script = server(|cx, _| cx.stop());
    world.add(Script { log: theirs.clone(), ..script });
    let script = client(|cx| {
        cx.schedule(Duration::from_secs(3600), |_| panic!("a stop forgets what is scheduled"));
        let sender = cx.create_sender(here(), ());
        cx.send(sender, &Message::from("stop")).unwrap();
        cx.schedule(Duration::from_secs(1), |cx| cx.stop());
    });
    world.add(Script { log: ours.clone(), ..script });
    assert!(world.run());
    assert_eq!(world.now(), Instant::from_millis(1_000));
    theirs.assert(&["connection opened", "connection closed", "stop"]);
    ours.assert(&["connection opened", "connection closing", "connection closed", "stop"]);
}

#[test]
fn c_03_connections_outlive_their_listener() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    let script = server(move |cx, delivery| {
        noted.note(body(delivery));
        let listener = cx.listener_of(delivery.connection()).unwrap();
        cx.close(listener);
        cx.close(listener);
    });
    world.add(script);
    world.add(client(|cx| {
        let sender = cx.create_sender(here(), ());
        cx.send(sender, &Message::from("one")).unwrap();
        cx.schedule(Duration::from_secs(1), move |cx| {
            cx.send(sender, &Message::from("two")).unwrap();
            let connection = cx.connection_of(sender).unwrap();
            cx.close(connection);
            assert_eq!(cx.send(sender, &Message::from("three")), Err(SendRefused::Closed));
        });
    }));
    assert!(world.run());
    log.assert(&["one", "two"]);
}

/// Does everything from inside callbacks, and counts how deep it is in them.
#[derive(Default)]
struct Reentrant {
    depth: u32,
    sent: u32,
    received: u32,
    log: Log,
}

impl Reentrant {
    fn inside(&mut self, work: impl FnOnce(&mut Self)) {
        self.depth += 1;
        assert_eq!(self.depth, 1, "a callback ran inside another");
        work(self);
        self.depth -= 1;
    }
}

impl Handler for Reentrant {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.inside(|_| {
            cx.listen(here());
            let connection = cx.connect(here());
            cx.create_sender(connection, "q");
        });
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        self.inside(|handler| {
            while cx.credit(sender) > 0 && handler.sent < 30 {
                cx.send(sender, &Message::from("again")).unwrap();
                handler.sent += 1;
            }
        });
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.inside(|handler| {
            handler.received += 1;
            cx.accept(delivery.id()).unwrap();
            cx.close(delivery.receiver());
            cx.close(delivery.receiver());
            let back = cx.create_receiver(delivery.connection(), "never");
            cx.close(back);
            cx.stop();
        });
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.inside(|handler| {
            handler.log.note(format!("{event:?}").split('(').next().unwrap());
            cx.stop();
            assert!(!cx.container_id().is_empty());
        });
    }
}

#[test]
fn h_12_callbacks_may_do_anything_and_are_never_nested() {
    for chunk in [usize::MAX, 1] {
        let mut world = World::new();
        world.chunk = chunk;
        world.add(Reentrant::default());
        assert!(world.run());
    }
}

#[test]
fn h_12_what_a_callback_causes_comes_after_it() {
    let log = Log::default();
    let (noted, started) = (log.clone(), log.clone());
    let mut world = World::new();
    let script = client(move |cx| {
        let gone = cx.connect(here());
        cx.close(gone);
        cx.create_sender(gone, ());
        cx.create_session(gone);
        started.note("start returns");
    });
    let node = world.add(Script { log: log.clone(), ..script });
    world.container(node).inject(Box::new("injected")).unwrap();
    assert!(world.run());
    noted.assert(&[
        "start returns",
        "session error amqp:illegal-state",
        "link error amqp:illegal-state",
        "link closed",
        "session error amqp:illegal-state",
        "connection closed",
        "stop",
    ]);
}

#[test]
fn h_06_a_cut_is_told_on_both_sides_and_ends_the_connection() {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let script = server(|_, _| {});
    world.add(Script { log: theirs.clone(), ..script });
    let script = client(|cx| {
        let options = ConnectionOptions { reconnect: Reconnect::off(), ..ConnectionOptions::default() };
        let connection = cx.connect_with(here(), options);
        cx.create_sender(connection, ());
    });
    let node = world.add(Script { log: ours.clone(), ..script });
    world.settle();
    world.cut();
    world.settle();
    let text = "the connection with amqp://localhost:8888/examples broke: cut";
    let end = "disconnected, reconnects: false";
    ours.assert(&["connection opened", &format!("transport error: {text}"), end, "stop"]);
    theirs.assert(&["connection opened", "transport error: the connection with a peer broke: cut", end]);
    assert_eq!(format!("{}", world.container(node).take_failure().unwrap()), text);
}

#[test]
fn c10_after_a_cut_it_is_known_how_much_is_in_doubt() {
    struct Doubting(Log, Option<SenderId>);
    impl Handler for Doubting {
        fn on_start(&mut self, cx: &mut Context<'_>) {
            let sender = cx.create_sender(here(), ());
            for _ in 0..5 {
                cx.send(sender, &Message::from("in doubt")).unwrap();
            }
            self.1 = Some(sender);
        }
        fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, _: &Disconnected) {
            let sender = self.1.unwrap();
            self.0.note(format!("in doubt: {}, never sent: {}", cx.unsettled(sender), cx.queued(sender)));
        }
    }
    let log = Log::default();
    let mut world = World::new();
    world.add(Script {
        knobs: Knobs { prefetch: 0, auto_accept: false, ..Knobs::default() },
        opened: Some(Box::new(|cx, link| cx.add_credit(link.receiver().unwrap(), 3))),
        ..server(|_, _| {})
    });
    world.add(Doubting(log.clone(), None));
    world.settle();
    world.cut();
    world.settle();
    log.assert(&["in doubt: 3, never sent: 2"]);
}

#[test]
fn c_03_a_container_held_from_outside_does_not_finish() {
    let mut world = World::new();
    let log = Log::default();
    let node = world.add(Script { log: log.clone(), ..client(|_| {}) });
    world.container(node).hold();
    world.settle();
    assert!(!world.container(node).is_finished());
    world.container(node).release();
    assert!(world.run());
    log.assert(&["stop"]);
}

#[test]
fn c_06_injected_events_come_in_order_up_to_a_bound() {
    struct Counting(Log);
    impl Handler for Counting {
        fn on_injected(&mut self, _: &mut Context<'_>, event: Box<dyn core::any::Any + Send>) {
            self.0.note(*event.downcast::<&str>().unwrap());
        }
    }
    let log = Log::default();
    let mut world = World::new();
    let options = ContainerOptions { injected_events: 2, ..ContainerOptions::default() };
    let node = world.add_with(Counting(log.clone()), options);
    assert!(world.container(node).inject(Box::new("one")).is_ok());
    assert!(world.container(node).inject(Box::new("two")).is_ok());
    assert!(world.container(node).inject(Box::new("three")).is_err());
    world.settle();
    log.assert(&["one", "two"]);
}

#[test]
fn c_10_many_connections_are_served_side_by_side() {
    let mut world = World::new();
    let received = Log::default();
    let noted = received.clone();
    world.add(server(move |_, delivery| noted.note(body(delivery))));
    for number in 0..50 {
        world.add(client(move |cx| {
            let sender = cx.create_sender(here(), ());
            for _ in 0..3 {
                cx.send(sender, &Message::from(&*format!("{number}"))).unwrap();
            }
            let connection = cx.connection_of(sender).unwrap();
            cx.close(connection);
        }));
    }
    world.settle();
    assert_eq!(received.len(), 150);
}

#[test]
fn what_is_closed_before_it_is_open_is_never_told_to_be_open() {
    let log = Log::default();
    let opened = log.clone();
    let mut world = World::new();
    world.add(server(|_, _| {}));
    world.add(Script {
        opened: Some(Box::new(move |_, _| opened.note("link opened"))),
        log: log.clone(),
        ..client(|cx| {
            let connection = cx.connect(here());
            let link = cx.create_receiver(connection, "q");
            cx.schedule(Duration::ZERO, move |cx| {
                cx.close(link);
                cx.close(connection);
            });
        })
    });
    world.settle();
    log.assert(&["link closed", "connection closed", "stop"]);
}
