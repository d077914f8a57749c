mod world;

use std::{boxed::Box, cell::RefCell, format, rc::Rc, string::String, vec::Vec};

use core::time::Duration;

use super::*;
use crate::{
    Misuse,
    message::Message,
    types::{DeliveryState, Error, condition},
};
use world::World;

/// What handlers noted, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn note(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    #[track_caller]
    fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

fn here() -> Address {
    Address::new("localhost", 8888).with_path("examples")
}

fn body(delivery: &Delivery<'_>) -> String {
    format!("{}", delivery.message().unwrap().body())
}

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

/// A handler made of closures, for the events that the tests below care about.
#[derive(Default)]
struct Script {
    knobs: Knobs,
    start: Option<OnStart>,
    sendable: Option<OnSendable>,
    message: Option<OnMessage>,
    update: Option<OnUpdate>,
    opening: Option<OnLink>,
    opened: Option<OnLink>,
    timer: Option<OnTimer>,
    log: Log,
}

type OnStart = Box<dyn FnMut(&mut Context<'_>)>;
type OnSendable = Box<dyn FnMut(&mut Context<'_>, SenderId)>;
type OnMessage = Box<dyn FnMut(&mut Context<'_>, &Delivery<'_>)>;
type OnUpdate = Box<dyn FnMut(&mut Context<'_>, &Tracker)>;
type OnLink = Box<dyn FnMut(&mut Context<'_>, Link)>;
type OnTimer = Box<dyn FnMut(&mut Context<'_>, TaskId)>;

macro_rules! run {
    ($self:ident.$field:ident($($argument:expr),+)) => {
        if let Some(run) = &mut $self.$field {
            run($($argument),+);
        }
    };
}

impl Handler for Script {
    fn knobs(&self) -> Knobs {
        self.knobs
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        run!(self.start(cx));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        run!(self.sendable(cx, sender));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        run!(self.message(cx, delivery));
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        run!(self.update(cx, tracker));
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        run!(self.opening(cx, link));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        run!(self.opened(cx, link));
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, timer: TaskId) {
        run!(self.timer(cx, timer));
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.log.note(match event {
            Unhandled::ConnectionOpened(_) => "connection opened".into(),
            Unhandled::ConnectionClosing(_) => "connection closing".into(),
            Unhandled::ConnectionClosed(_) => "connection closed".into(),
            Unhandled::ConnectionError(_, error) => format!("connection error {}", error.condition),
            Unhandled::SessionError(_, error) => format!("session error {}", error.condition),
            Unhandled::LinkError(_, error) => format!("link error {}", error.condition),
            Unhandled::LinkClosing(_) => "link closing".into(),
            Unhandled::LinkClosed(_) => "link closed".into(),
            Unhandled::TransportError(_, reason) => format!("transport error: {}", reason.description),
            Unhandled::Disconnected(_, reason) => format!("disconnected, reconnects: {}", reason.reconnects),
            Unhandled::ListenError(_, reason) => format!("listen error: {reason}"),
            Unhandled::Stop => "stop".into(),
            _ => return,
        });
        cx.note_unhandled(event);
    }
}

/// A container that listens, and takes each message by `message`.
fn server(message: impl FnMut(&mut Context<'_>, &Delivery<'_>) + 'static) -> Script {
    Script {
        start: Some(Box::new(|cx| {
            cx.listen(here());
        })),
        message: Some(Box::new(message)),
        ..Script::default()
    }
}

fn client(start: impl FnMut(&mut Context<'_>) + 'static) -> Script {
    Script { start: Some(Box::new(start)), ..Script::default() }
}

/// What `Tracker` says, in a word.
fn told(tracker: &Tracker) -> String {
    let state = match tracker.state() {
        Some(DeliveryState::Accepted) => "accepted".into(),
        Some(DeliveryState::Released) => "released".into(),
        Some(DeliveryState::Modified(_)) => "modified".into(),
        Some(DeliveryState::Rejected(Some(error))) => format!("rejected {}", error.condition),
        other => format!("{other:?}"),
    };
    let tag = tracker.tag();
    format!("{:?} {state}{}", tag.as_bytes(), if tracker.is_settled() { " settled" } else { "" })
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

#[test]
fn a_graceful_close_waits_for_what_is_queued() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(Script {
        knobs: Knobs { prefetch: 2, ..Knobs::default() },
        ..server(move |cx, delivery| {
            noted.note(body(delivery));
            if noted.0.borrow().len() == 20 {
                cx.stop();
            }
        })
    });
    let updates = Rc::new(RefCell::new(0));
    let counted = updates.clone();
    world.add(Script {
        update: Some(Box::new(move |_, _| *counted.borrow_mut() += 1)),
        ..client(|cx| {
            let connection = cx.connect(here());
            let sender = cx.create_sender(connection, "q");
            for number in 0..20 {
                cx.send(sender, &Message::from(&*format!("{number}"))).unwrap();
            }
            assert_eq!((cx.queued(sender), cx.credit(sender)), (20, 0));
            cx.close(sender);
            assert_eq!(cx.send(sender, &Message::from("late")), Err(SendRefused::Closed));
        })
    });
    assert!(world.run());
    let expected: Vec<String> = (0..20).map(|number| format!("{number}")).collect();
    assert_eq!(*log.0.borrow(), expected);
    assert_eq!(*updates.borrow(), 20);
}

#[test]
fn e_06_a_full_queue_refuses_and_keeps_what_it_has() {
    let mut world = World::new();
    let options =
        ContainerOptions { send_queue_messages: 3, send_queue_bytes: 100, ..ContainerOptions::default() };
    let script = client(|cx| {
        let few = cx.create_sender(here(), ());
        let sent: Vec<_> = (0..4).map(|_| cx.send(few, &Message::from("x")).is_ok()).collect();
        assert_eq!(sent, [true, true, true, false]);
        let large = cx.create_sender(here(), ());
        assert!(cx.send_payload(large, std::vec![0; 1000], 0).is_ok(), "one message may be larger");
        assert_eq!(cx.send_payload(large, "x", 0), Err(SendRefused::QueueFull));
        assert_eq!((cx.queued(few), cx.queued(large)), (3, 1));
        let full = SendRefused::QueueFull;
        assert_eq!(format!("{full}"), "the sender's queue is full");
    });
    world.add_with(script, options);
    assert!(world.run());
}

#[test]
fn h_10_auto_accept_takes_only_what_was_left_untouched() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(server(|cx, delivery| {
        let id = delivery.id();
        match &*body(delivery) {
            "reject" => {
                cx.reject(id, Error { condition: condition::NOT_FOUND, description: None, info: None })
            }
            "release" => cx.release(id),
            "modify" => cx.modify(id, Default::default()),
            "accept" => cx.accept(id),
            _ => Ok(()),
        }
        .unwrap();
        assert_eq!(cx.accept(id).is_ok(), body(delivery) == "leave", "settled once");
    }));
    world.add(Script {
        update: Some(Box::new(move |cx, tracker| {
            noted.note(told(tracker));
            if noted.0.borrow().len() == 5 {
                cx.stop();
            }
        })),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            for text in ["leave", "reject", "release", "modify", "accept"] {
                cx.send(sender, &Message::from(text)).unwrap();
            }
            cx.schedule(Duration::from_secs(1), |cx| cx.stop());
        })
    });
    world.settle();
    log.assert(&[
        "[0] accepted settled",
        "[1] rejected amqp:not-found settled",
        "[2] released settled",
        "[3] modified settled",
        "[4] accepted settled",
    ]);
}

#[test]
fn h_10_a_delivery_can_be_settled_long_after_its_callback() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    let knobs = Knobs { auto_accept: false, ..Knobs::default() };
    let script = server(|cx, delivery| {
        let id = delivery.id();
        cx.schedule(Duration::from_secs(5), move |cx| {
            assert_eq!(cx.release(id), Ok(()));
            assert_eq!(cx.release(id), Err(Misuse::Gone));
        });
    });
    world.add(Script { knobs, ..script });
    world.add(Script {
        update: Some(Box::new(move |cx, tracker| noted.note(format!("{:?}: {}", cx.now(), told(tracker))))),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            cx.send(sender, &Message::from("later")).unwrap();
            cx.schedule(Duration::from_secs(9), |cx| cx.stop());
        })
    });
    world.run();
    log.assert(&["5s: [0] released settled"]);
}

#[test]
fn m1_a_message_that_cannot_be_decoded_is_rejected_by_itself() {
    let log = Log::default();
    let noted = log.clone();
    let mut world = World::new();
    world.add(server(|_, delivery| {
        if delivery.message_format() == 0 && delivery.tag().as_bytes() == [0] {
            assert!(delivery.message().is_err());
            assert!(delivery.decode().is_err());
        }
    }));
    world.add(Script {
        update: Some(Box::new(move |_, tracker| noted.note(told(tracker)))),
        ..client(|cx| {
            let sender = cx.create_sender(here(), ());
            cx.send_payload(sender, &b"\x00\x53\x77\xff"[..], 0).unwrap();
            cx.send_payload(sender, &b"\x00\x53\x77\xff"[..], 0).unwrap();
            cx.schedule(Duration::from_secs(1), |cx| cx.stop());
        })
    });
    world.settle();
    log.assert(&["[0] rejected amqp:decode-error settled", "[1] accepted settled"]);
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
        cx.create_sender(here(), ());
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
