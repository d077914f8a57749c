//! Sessions and links that the peer ends with an error, and that are made again.

use std::{
    boxed::Box,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    format,
    rc::Rc,
    string::String,
    vec,
    vec::Vec,
};

use core::time::Duration;

use bytes::Buf;

use super::*;
use crate::{
    codec::{Fields, Symbol},
    message::Message,
    types::{Error, condition},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn fixed(delays: &[u64]) -> Reconnect {
    Reconnect { delays: Delays::Fixed(delays.iter().copied().map(ms).collect()), ..Reconnect::default() }
}

fn with(reconnect: Reconnect) -> ConnectionOptions {
    ConnectionOptions { reconnect, ..ConnectionOptions::default() }
}

fn error(condition: Symbol) -> Error {
    Error::new(condition)
}

/// What a server ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Session,
    Link,
}

impl What {
    fn end(self, cx: &mut Context<'_>, link: Link, error: Error) {
        match self {
            Self::Session => cx.close_with(cx.session_of(link).unwrap(), error),
            Self::Link => cx.close_with(link, error),
        }
    }
}

/// A client that notes what it is told.
struct Client<F> {
    log: Log,
    start: F,
    recovering: fn(&mut Context<'_>, Object),
}

impl<F: FnMut(&mut Context<'_>)> Client<F> {
    fn new(log: &Log, start: F) -> Self {
        Self { log: log.clone(), start, recovering: |_, _| {} }
    }
}

fn kind(object: Object) -> &'static str {
    match object {
        Object::Session(_) => "session",
        Object::Link(_) => "link",
        _ => "another",
    }
}

impl<F: FnMut(&mut Context<'_>)> Handler for Client<F> {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        (self.start)(cx);
    }

    fn on_recovering(&mut self, cx: &mut Context<'_>, object: Object, error: &Error) {
        self.log.note(format!("{:?} {} recovers from {}", cx.now(), kind(object), error.condition));
        (self.recovering)(cx, object);
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.log.note(match event {
            Unhandled::ConnectionOpened(_) => "connection open".into(),
            Unhandled::ConnectionClosed(_) => "connection closed".into(),
            Unhandled::SessionOpened(_) => "session open".into(),
            Unhandled::SessionError(_, error) => format!("session error {}", error.condition),
            Unhandled::SessionClosed(_) => "session closed".into(),
            Unhandled::LinkOpened(link) => {
                let address = cx.remote_address(*link).map(String::from);
                format!("{:?} {} open", cx.now(), address.unwrap_or_default())
            }
            Unhandled::LinkError(_, error) => format!("link error {}", error.condition),
            Unhandled::LinkClosed(_) => "link closed".into(),
            Unhandled::Disconnected(_, reason) => format!("disconnected: {}", reason.condition),
            Unhandled::InDoubt(tracker) => format!("in doubt {:?}", tracker.tag().as_bytes()),
            Unhandled::Accepted(tracker) => format!("accepted {:?}", tracker.tag().as_bytes()),
            Unhandled::Stop => "stop".into(),
            _ => return,
        });
        cx.note_unhandled(event);
    }
}

/// A server that ends each session or link once it is open, so many times.
fn ending(what: What, condition: &'static str, times: u32) -> Script {
    let mut left = times;
    Script {
        opened: Some(Box::new(move |cx, link| {
            if left > 0 {
                left -= 1;
                what.end(cx, link, error(Symbol::from_static(condition)));
            }
        })),
        ..server(|_, _| {})
    }
}

/// What a client is told whose session or link is ended once.
fn ended_once(what: What, condition: &'static str, reconnect: Reconnect) -> Log {
    let log = Log::default();
    let mut world = World::new();
    world.add(ending(what, condition, 1));
    world.add(Client::new(&log, move |cx| {
        let connection = cx.connect_with(here(), with(reconnect.clone()));
        cx.create_sender(connection, "q");
    }));
    world.run_until(at(1_000));
    log
}

/// After an error with each condition: whether a session comes back, and whether a link does.
macro_rules! conditions {
    ($($test:ident: $condition:literal => $session:literal, $link:literal;)*) => {$(
        #[test]
        fn $test() {
            for (what, comes_back) in [(What::Session, $session), (What::Link, $link)] {
                let log = ended_once(what, $condition, fixed(&[10]));
                let name = if what == What::Session { "session" } else { "link" };
                let recovers = [format!("0ns {name} recovers from {}", $condition)];
                let fails = [format!("{name} error {}", $condition), format!("{name} closed")];
                if comes_back {
                    assert_eq!(log.lines("q open"), ["0ns q open", "10ms q open"], "{what:?}");
                    assert_eq!(log.lines("recovers"), recovers);
                    assert_eq!([log.lines(" error "), log.lines("closed")].concat().len(), 0, "{what:?}");
                } else {
                    assert_eq!(log.lines("q open"), ["0ns q open"], "{what:?}");
                    assert_eq!(log.lines("recovers").len(), 0, "{what:?}");
                    assert_eq!([log.lines(" error "), log.lines("closed")].concat(), fails);
                }
            }
        }
    )*

        const TESTED: &[&str] = &[$($condition),*];
    };
}

conditions! {
    r_05_after_internal_error: "amqp:internal-error" => true, true;
    r_05_after_not_found: "amqp:not-found" => false, false;
    r_05_after_unauthorized_access: "amqp:unauthorized-access" => false, false;
    r_05_after_decode_error: "amqp:decode-error" => false, false;
    r_05_after_resource_limit_exceeded: "amqp:resource-limit-exceeded" => true, true;
    r_05_after_not_allowed: "amqp:not-allowed" => false, false;
    r_05_after_invalid_field: "amqp:invalid-field" => false, false;
    r_05_after_not_implemented: "amqp:not-implemented" => false, false;
    r_05_after_resource_locked: "amqp:resource-locked" => true, true;
    r_05_after_precondition_failed: "amqp:precondition-failed" => false, false;
    r_05_after_resource_deleted: "amqp:resource-deleted" => false, false;
    r_05_after_illegal_state: "amqp:illegal-state" => true, true;
    r_05_after_frame_size_too_small: "amqp:frame-size-too-small" => false, false;
    r_05_after_connection_forced: "amqp:connection:forced" => false, false;
    r_05_after_connection_framing_error: "amqp:connection:framing-error" => false, false;
    r_05_after_connection_redirect: "amqp:connection:redirect" => false, false;
    r_05_after_session_window_violation: "amqp:session:window-violation" => true, false;
    r_05_after_session_errant_link: "amqp:session:errant-link" => true, false;
    r_05_after_session_handle_in_use: "amqp:session:handle-in-use" => true, false;
    r_05_after_session_unattached_handle: "amqp:session:unattached-handle" => true, false;
    r_05_after_link_detach_forced: "amqp:link:detach-forced" => true, true;
    r_05_after_link_transfer_limit_exceeded: "amqp:link:transfer-limit-exceeded" => true, true;
    r_05_after_link_message_size_exceeded: "amqp:link:message-size-exceeded" => false, false;
    r_05_after_link_redirect: "amqp:link:redirect" => false, false;
    r_05_after_link_stolen: "amqp:link:stolen" => false, false;
    r_05_after_transaction_unknown_id: "amqp:transaction:unknown-id" => false, false;
    r_05_after_transaction_rollback: "amqp:transaction:rollback" => true, true;
    r_05_after_transaction_timeout: "amqp:transaction:timeout" => true, true;
    r_05_after_what_nobody_knows: "com.example:whim" => false, false;
}

#[test]
fn r_05_each_condition_of_the_specification_is_tried() {
    for condition in condition::ALL {
        assert!(TESTED.contains(condition), "{condition}");
    }
}

#[test]
fn r_05_nothing_comes_back_where_no_connection_would_and_nothing_that_the_peer_has_made() {
    for what in [What::Session, What::Link] {
        let log = ended_once(what, "amqp:internal-error", Reconnect::off());
        assert_eq!(log.lines("recovers").len(), 0);
        assert_eq!(log.lines(" error ").len(), 1);
        // The client ends what it has made; the server is told, and makes nothing.
        let log = Log::default();
        let mut world = World::new();
        let noted = log.clone();
        world.add(Script { log: noted, ..server(|_, _| {}) });
        world.add(Script {
            opened: Some(Box::new(move |cx, link| what.end(cx, link, error(condition::INTERNAL_ERROR)))),
            ..client(|cx| {
                let connection = cx.connect_with(here(), with(fixed(&[10])));
                cx.create_sender(connection, "q");
            })
        });
        world.run_until(at(1_000));
        assert_eq!(log.lines(" error ").len(), 1, "{what:?}");
    }
}

#[test]
fn r_05_a_session_comes_back_with_its_links_under_their_names_with_options_and_handlers_and_others_stay() {
    struct Own(Log);
    impl Handler for Own {
        fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
            self.0.note(format!("{:?} own handler", cx.now()));
            assert!(link.sender().is_some());
        }
    }
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let (seen, mut ends) = (theirs.clone(), true);
    world.add(Script {
        opened: Some(Box::new(move |cx, link| {
            let attach = cx.remote_attach(link).unwrap();
            let properties = attach.properties.map(|map| map.len());
            seen.note(format!("{} {:?} {properties:?}", attach.name, attach.snd_settle_mode));
            if attach.name == "from" && core::mem::take(&mut ends) {
                What::Session.end(cx, link, error(condition::INTERNAL_ERROR));
            }
        })),
        ..server(|_, _| {})
    });
    let own = ours.clone();
    world.add(Client::new(&ours, move |cx| {
        let connection = cx.connect_with(here(), with(fixed(&[10])));
        let (first, second) = (cx.create_session(connection), cx.create_session(connection));
        cx.create_sender(first, ("q", Name("other")));
        let properties = LinkProperties(Fields::new().with("a", 1));
        let sender = cx.create_sender(second, ("q", Name("to"), AtLeastOnce, properties));
        cx.set_handler(sender, Own(own.clone()));
        cx.create_receiver(second, ("q", Name("from"), AtMostOnce));
    }));
    world.run_until(at(100));
    let mut seen = theirs.lines("");
    seen.sort();
    let both = ["from Settled None", "from Settled None", "other Mixed None", "to Unsettled Some(1)"];
    assert_eq!(seen[..4], both);
    assert_eq!(ours.lines("own handler").last().unwrap(), "10ms own handler");
    assert_eq!(ours.lines("session open").len(), 3);
}

/// Accepts what has an even number, ends session or link once it has all, and accepts all from then on; notes all.
fn half_hearted(what: What, condition: Symbol, log: &Log) -> Script {
    let (log, mut left) = (log.clone(), 5);
    Script {
        knobs: Knobs { auto_accept: false, ..Knobs::default() },
        ..server(move |cx, delivery| {
            let body = body(delivery);
            if left <= 0 || body.ends_with(['0', '2', '4', '6', '8']) {
                // Settled already where it was sent so.
                let _ = cx.accept(delivery.id());
            }
            log.note(body);
            left -= 1;
            if left == 0 {
                let link = delivery.receiver().into();
                let ended = error(condition.clone());
                // What was accepted is told first.
                cx.schedule(ms(1), move |cx| what.end(cx, link, ended));
            }
        })
    }
}

/// Sends five numbers, and notes what becomes of them.
struct Five<O> {
    log: Log,
    options: Option<O>,
    reconnect: Reconnect,
    sender: Option<SenderId>,
}

impl<O: LinkOption> Handler for Five<O> {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect_with(here(), with(self.reconnect.clone()));
        let sender = cx.create_sender(connection, self.options.take());
        for number in 0..5 {
            cx.send(sender, &Message::from(&*format!("{number}"))).unwrap();
        }
        self.sender = Some(sender);
    }

    fn on_recovering(&mut self, cx: &mut Context<'_>, _: Object, _: &Error) {
        let sender = self.sender.unwrap();
        self.log.note(format!("in doubt: {}, to send: {}", cx.unsettled(sender), cx.queued(sender)));
    }

    fn on_session_error(&mut self, _: &mut Context<'_>, _: SessionId, _: &Error) {
        self.log.note("given up");
    }

    fn on_link_error(&mut self, _: &mut Context<'_>, _: Link, _: &Error) {
        self.log.note("given up");
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        assert!(tracker.state().is_none() && !tracker.is_settled());
        self.log.note(format!("in doubt {:?}", tracker.tag().as_bytes()));
    }

    fn on_delivery_updated(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.log.note(told(tracker));
    }
}

/// What the server receives and what the sender is told, where session or link is ended in between.
fn end_five(
    options: impl LinkOption + Clone + 'static,
    condition: Symbol,
    reconnect: &Reconnect,
    seen: &[&str],
    expected: &[&str],
) {
    for (what, chunk) in
        [What::Session, What::Link].into_iter().flat_map(|what| [(what, 1), (what, usize::MAX)])
    {
        let (sent, received) = (Log::default(), Log::default());
        let mut world = World::new();
        world.chunk = chunk;
        world.add(half_hearted(what, condition.clone(), &received));
        let (options, reconnect) = (Some(options.clone()), reconnect.clone());
        world.add(Five { log: sent.clone(), options, reconnect, sender: None });
        world.run_until(at(1_000));
        assert_eq!((received.lines(""), sent.lines("")), (owned(seen), owned(expected)), "{what:?}");
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| String::from(*line)).collect()
}

#[test]
fn r_04_at_least_once_what_is_in_doubt_is_sent_again_over_the_next_session_or_link() {
    let seen = ["0", "1", "2", "3", "4", "1", "3"];
    let told = [
        "[0] accepted settled",
        "[2] accepted settled",
        "[4] accepted settled",
        "in doubt: 2, to send: 2",
        "[1] accepted settled",
        "[3] accepted settled",
    ];
    end_five(("q", AtLeastOnce), condition::INTERNAL_ERROR, &fixed(&[10]), &seen, &told);
}

#[test]
fn r_04_otherwise_what_is_in_doubt_with_a_session_or_link_is_reported_one_by_one() {
    let seen = ["0", "1", "2", "3", "4"];
    let told = [
        "[0] accepted settled",
        "[2] accepted settled",
        "[4] accepted settled",
        "in doubt: 2, to send: 0",
        "in doubt [1]",
        "in doubt [3]",
    ];
    end_five("q", condition::INTERNAL_ERROR, &fixed(&[10]), &seen, &told);
    let at_most_once = ["in doubt: 0, to send: 0"];
    end_five(("q", AtMostOnce), condition::INTERNAL_ERROR, &fixed(&[10]), &seen, &at_most_once);
    let given_up = told.map(|line| if line.starts_with("in doubt:") { "given up" } else { line });
    end_five("q", condition::NOT_ALLOWED, &fixed(&[10]), &seen, &given_up);
    end_five(("q", AtLeastOnce), condition::NOT_ALLOWED, &fixed(&[10]), &seen, &given_up);
    end_five("q", condition::INTERNAL_ERROR, &Reconnect::off(), &seen, &given_up);
}

#[test]
fn r_04_what_is_in_doubt_with_a_session_or_link_is_what_was_sent_on_it_and_on_no_other() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Script {
        knobs: Knobs { auto_accept: false, ..Knobs::default() },
        opened: Some(Box::new(|cx, link| {
            let (what, after) = match cx.remote_address(link).unwrap() {
                "one" => (What::Link, 10),
                "two" => (What::Session, 20),
                _ => return,
            };
            cx.schedule(ms(after), move |cx| what.end(cx, link, error(condition::NOT_ALLOWED)));
        })),
        ..server(|_, _| {})
    });
    world.add(Client::new(&log, |cx| {
        let connection = cx.connect(here());
        let (first, second) = (cx.create_session(connection), cx.create_session(connection));
        let sender = |cx: &mut Context<'_>, session, address, messages| {
            let sender = cx.create_sender(session, address);
            for _ in 0..messages {
                cx.send(sender, &Message::from("x")).unwrap();
            }
        };
        sender(cx, first, "one", 1);
        sender(cx, second, "elsewhere", 4);
        sender(cx, first, "two", 2);
    }));
    let ended = |log: &Log| {
        let lines = log.lines("").into_iter().skip_while(|line| !line.contains("error"));
        lines.collect::<Vec<_>>()
    };
    world.run_until(at(15));
    let link = ["link error amqp:not-allowed", "link closed", "in doubt [0]"];
    assert_eq!(ended(&log), link);
    world.run_until(at(25));
    let session = ["session error amqp:not-allowed", "session closed", "in doubt [0]", "in doubt [1]"];
    assert_eq!(ended(&log)[3..], session);
    world.cut();
    world.run_until(at(30));
    assert_eq!(log.lines("in doubt").len(), 3 + 4);
}

/// What a client with three messages in doubt is told by a peer that refuses for ever, and how many attaches that peer has had.
fn refused(what: What, reconnect: Reconnect) -> (Log, usize, Instant) {
    let (log, attaches) = (Log::default(), Rc::new(Cell::new(0)));
    let mut world = World::new();
    let counted = attaches.clone();
    world.add(Script {
        knobs: Knobs { auto_accept: false, ..Knobs::default() },
        opening: Some(Box::new(move |cx, link| {
            counted.set(counted.get() + 1);
            let refusal = error(condition::INTERNAL_ERROR);
            if counted.get() == 1 {
                cx.schedule(ms(100), move |cx| what.end(cx, link, refusal));
            } else {
                what.end(cx, link, refusal);
            }
        })),
        ..server(|_, _| {})
    });
    world.add(Client::new(&log, move |cx| {
        let connection = cx.connect_with(here(), with(reconnect.clone()));
        let sender = cx.create_sender(connection, ("q", AtLeastOnce));
        for _ in 0..3 {
            cx.send(sender, &Message::from("m")).unwrap();
        }
    }));
    world.run_until(at(3_600_000));
    (log, attaches.get(), world.now())
}

#[test]
fn r_05_a_peer_that_keeps_refusing_is_given_up_after_so_many_attempts_and_delays() {
    for what in [What::Session, What::Link] {
        let name = if what == What::Session { "session" } else { "link" };
        let fixed_twice = fixed(&[10, 20]);
        let three = Reconnect { max_attempts: Some(3), ..fixed(&[10; 9]) };
        for (reconnect, moments) in
            [(fixed_twice, vec!["100ms", "110ms"]), (three, vec!["100ms", "110ms", "120ms"])]
        {
            let (log, attaches, _) = refused(what, reconnect);
            let expected: Vec<_> = moments
                .iter()
                .map(|moment| format!("{moment} {name} recovers from amqp:internal-error"))
                .collect();
            assert_eq!(log.lines("recovers"), expected);
            assert_eq!(attaches, moments.len() + 1);
            let end = log.lines("");
            let given_up = [
                &*format!("{name} error amqp:internal-error"),
                &*format!("{name} closed"),
                "in doubt [0]",
                "in doubt [1]",
                "in doubt [2]",
            ];
            assert_eq!(end[end.len() - 5..], given_up);
            assert_eq!(log.lines("in doubt").len(), 3);
        }
    }
}

#[test]
fn r_05_a_peer_that_keeps_refusing_is_asked_no_more_often_than_the_delays_allow() {
    for what in [What::Session, What::Link] {
        let (log, attaches, _) = refused(what, Reconnect::default());
        // From the tenth on half of 10 s at least lies between two of them.
        assert!((360..720 + 10).contains(&attaches), "{what:?}: {attaches}");
        assert_eq!(log.lines(" error ").len(), 0);
    }
}

/// A client, and a peer that answers no more than it is told to.
struct Slow {
    container: Container,
    log: Log,
    io: IoId,
    peer: crate::Connection,
    now: Instant,
}

impl Slow {
    fn new(reconnect: Reconnect) -> Self {
        let (mut container, log, now) = (Container::new(ContainerOptions::default()), Log::default(), at(1));
        container.start();
        let mut client = Client::new(&log, move |cx| {
            let options = ConnectionOptions { security: Security::None, ..with(reconnect.clone()) };
            let connection = cx.connect_with(here(), options);
            cx.create_sender(connection, "q");
        });
        container.dispatch(&mut client, now);
        let Some(Action::Connect { io, .. }) = container.poll_action() else { panic!("no connect") };
        container.connected(io, now);
        let mut peer = crate::Connection::new(crate::Config::server("slow"), now);
        peer.open();
        Self { container, log, io, peer, now }
    }

    /// Exchanges all that there is, at the present moment. A begin is answered, an attach if that is wanted: the session begun.
    fn run(&mut self, attaches: bool) -> Option<crate::SessionId> {
        let (mut session, now) = (None, self.now);
        self.container.handle_timeout(now);
        loop {
            let mut moved =
                self.container.dispatch(&mut Client::new(&self.log, |_: &mut Context<'_>| {}), now);
            let mut bytes = bytes::BytesMut::new();
            while let Some(mut transmit) = self.container.poll_transmit(self.io, now) {
                let len = transmit.remaining();
                bytes.extend_from_slice(&transmit.copy_to_bytes(len));
            }
            moved |= !bytes.is_empty();
            self.peer.handle_input(&mut bytes, now);
            while let Some(event) = self.peer.poll_event() {
                match event {
                    crate::Event::SessionBegun(id) => {
                        self.peer.session(id).unwrap().accept(crate::SessionConfig::default()).unwrap();
                        session = Some(id);
                    }
                    crate::Event::LinkAttached(id) if attaches => {
                        let answer = crate::LinkConfig::receiver("", "q");
                        self.peer.receiver(id).unwrap().attach(answer).unwrap();
                    }
                    _ => {}
                }
            }
            while let Some(mut transmit) = self.peer.poll_transmit(now) {
                let len = transmit.remaining();
                bytes.extend_from_slice(&transmit.copy_to_bytes(len));
            }
            moved |= !bytes.is_empty();
            self.container.received(self.io, &mut bytes, now);
            if !moved {
                return session;
            }
        }
    }
}

#[test]
fn r_05_a_session_that_is_ended_before_any_of_its_links_is_open_has_failed_however_long_that_takes() {
    let mut slow = Slow::new(Reconnect { max_attempts: Some(3), ..fixed(&[10; 9]) });
    let mut session = slow.run(true);
    for _ in 0..3 {
        slow.now = slow.now + ms(10_000);
        let error = error(condition::INTERNAL_ERROR);
        slow.peer.session(session.unwrap()).unwrap().end(Some(error)).unwrap();
        assert_eq!(slow.run(false), None);
        slow.now = slow.now + ms(10);
        session = slow.run(false);
    }
    slow.peer.session(session.unwrap()).unwrap().end(Some(error(condition::INTERNAL_ERROR))).unwrap();
    slow.run(false);
    assert_eq!(slow.log.lines("recovers").len(), 3);
    assert_eq!(slow.log.lines(" error "), ["session error amqp:internal-error"]);
}

#[test]
fn r_05_what_never_was_open_is_told_at_once_unless_it_is_wanted_from_the_start() {
    let run = |what: What, from_start| {
        let log = Log::default();
        let mut world = World::new();
        let mut refusals = 2;
        world.add(Script {
            opening: Some(Box::new(move |cx, link| {
                if refusals > 0 {
                    refusals -= 1;
                    what.end(cx, link, error(condition::RESOURCE_LOCKED));
                }
            })),
            ..server(|_, _| {})
        });
        world.add(Client::new(&log, move |cx| {
            let connection = cx.connect_with(here(), with(Reconnect { from_start, ..fixed(&[10; 9]) }));
            cx.create_receiver(connection, "q");
        }));
        world.run_until(at(1_000));
        log
    };
    for what in [What::Session, What::Link] {
        let name = if what == What::Session { "session" } else { "link" };
        let log = run(what, false);
        assert_eq!(log.lines("recovers").len(), 0);
        assert_eq!(log.lines(" error "), [format!("{name} error amqp:resource-locked")]);
        let log = run(what, true);
        assert_eq!(log.lines("q open"), ["20ms q open"]);
        assert_eq!(log.lines("recovers").len(), 2);
    }
}

#[test]
fn r_05_what_is_closed_meanwhile_does_not_come_back_and_keeps_nobody_waiting() {
    for what in [What::Session, What::Link] {
        for closes_connection in [false, true] {
            let log = Log::default();
            let mut world = World::new();
            let server = world.add(ending(what, "amqp:internal-error", 9));
            let close_what = |cx: &mut Context<'_>, object: Object| cx.close(object);
            let close_connection =
                |cx: &mut Context<'_>, object: Object| cx.close(cx.connection_of(object).unwrap());
            world.add(Client {
                recovering: if closes_connection { close_connection } else { close_what },
                ..Client::new(&log, |cx| {
                    let connection = cx.connect_with(here(), with(fixed(&[3_600_000])));
                    cx.create_receiver(connection, "q");
                    cx.schedule(ms(5), move |cx| cx.close(connection));
                })
            });
            world.run_until(at(20));
            world.container(server).stop();
            assert!(world.run());
            assert_eq!(world.now(), at(20), "nothing waits for what does not come");
            assert_eq!(log.lines("q open").len(), 1);
            assert_eq!(log.lines("connection closed").len(), 1);
            let name = if what == What::Session { "session closed" } else { "link closed" };
            assert_eq!(log.lines(name).len(), usize::from(!closes_connection), "{what:?}");
        }
    }
}

#[test]
fn r_05_what_is_made_and_sent_meanwhile_waits_and_a_connection_lost_meanwhile_brings_all_back_once() {
    for what in [What::Session, What::Link] {
        for cuts in [false, true] {
            let (ours, theirs) = (Log::default(), Log::default());
            let mut world = World::new();
            let noted = theirs.clone();
            let mut ends = true;
            world.add(Script {
                opened: Some(Box::new(move |cx, link| {
                    if core::mem::take(&mut ends) {
                        what.end(cx, link, error(condition::INTERNAL_ERROR));
                    }
                })),
                ..server(move |_, delivery| noted.note(body(delivery)))
            });
            world.add(Client::new(&ours, |cx| {
                let connection = cx.connect_with(here(), with(fixed(&[100; 3])));
                let session = cx.create_session(connection);
                let early = cx.create_sender(session, ("early", AtLeastOnce));
                cx.schedule(ms(20), move |cx| {
                    cx.send(early, &Message::from("early")).unwrap();
                    let late = cx.create_sender(session, ("late", Name("late")));
                    cx.send(late, &Message::from("late")).unwrap();
                    cx.close(late);
                });
            }));
            world.run_until(at(50));
            if cuts {
                world.cut();
            }
            world.run_until(at(1_000));
            let mut seen = theirs.lines("");
            seen.sort();
            assert_eq!(seen, ["early", "late"], "{what:?}");
            assert_eq!(ours.lines("accepted").len(), 2);
            assert_eq!(ours.lines("early open").len(), 2, "{what:?}: {ours:?}", ours = ours.lines(""));
            assert_eq!(ours.lines("link closed").len(), 1);
            assert_eq!(ours.lines(" error ").len(), 0);
        }
    }
}

/// Where a link redirect points to.
fn redirect(to: &[(&'static str, &'static str)], port: Option<u16>) -> Error {
    let mut info = Fields::new();
    for &(key, value) in to {
        info.insert(key, value);
    }
    if let Some(port) = port {
        info.insert("port", port);
    }
    Error { condition: condition::LINK_REDIRECT, description: Some("not here".into()), info: Some(info) }
}

/// A server at a port that sends away who asks for a node, and notes what is asked for.
fn sending_away(port: u16, node: &'static str, error: Error, log: &Log) -> Script {
    let log = log.clone();
    Script {
        start: Some(Box::new(move |cx| {
            cx.listen(Address::new("localhost", port));
        })),
        opening: Some(Box::new(move |cx, link| {
            let asked = cx.remote_address(link).map(String::from).unwrap_or_default();
            let open = cx.remote_open(cx.connection_of(link).unwrap()).unwrap();
            log.note(format!("{port} {} {asked}", open.hostname.clone().unwrap_or_default()));
            if asked == node {
                cx.close_with(link, error.clone());
            }
        })),
        ..Script::default()
    }
}

fn redirected(
    error: &Error,
    follow_redirects: bool,
    links: &'static [&'static str],
    cut: bool,
) -> (Log, Log) {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    world.add(sending_away(1, "old", error.clone(), &theirs));
    world.add(sending_away(2, "nowhere", error.clone(), &theirs));
    world.add(Client::new(&ours, move |cx| {
        let reconnect = Reconnect { follow_redirects, ..fixed(&[10]) };
        let connection = cx.connect_with(Address::new("localhost", 1), with(reconnect));
        for link in links {
            cx.create_receiver(connection, *link);
        }
    }));
    world.run_until(at(100));
    if cut {
        world.cut();
        world.run_until(at(200));
    }
    (ours, theirs)
}

#[test]
fn r_08_a_link_is_attached_to_the_node_that_the_peer_points_to() {
    let here = redirect(&[("address", "new")], None);
    let (ours, theirs) = redirected(&here, true, &["old", "other"], false);
    theirs.assert(&["1 localhost old", "1 localhost other", "1 localhost new"]);
    assert_eq!(ours.lines("recovers"), ["0ns link recovers from amqp:link:redirect"]);
    assert_eq!(ours.lines("open"), ["connection open", "session open", "0ns other open", "0ns new open"]);
    let named = redirect(&[("network-host", "localhost"), ("address", "new")], Some(1));
    let (_, theirs) = redirected(&named, true, &["old", "other"], false);
    theirs.assert(&["1 localhost old", "1 localhost other", "1 localhost new"]);
    // Whoever has pointed elsewhere is gone with the connection.
    let (_, theirs) = redirected(&here, true, &["old"], true);
    theirs.assert(&["1 localhost old", "1 localhost new", "1 localhost old", "1 localhost new"]);
}

//= 2.8.18-07
#[test]
fn r_08_the_connection_of_a_single_link_goes_where_that_is_pointed_to() {
    let there =
        redirect(&[("hostname", "there"), ("network-host", "localhost"), ("address", "new")], Some(2));
    let (ours, theirs) = redirected(&there, true, &["old"], false);
    theirs.assert(&["1 localhost old", "2 there new"]);
    assert_eq!(ours.lines("disconnected"), ["disconnected: amqp:link:redirect"]);
    assert_eq!(ours.lines("new open").len(), 1);
    let (_, theirs) = redirected(&there, true, &["old"], true);
    theirs.assert(&["1 localhost old", "2 there new", "1 localhost old", "2 there new"]);
}

#[test]
fn r_08_what_is_in_doubt_where_a_link_is_sent_away_is_no_business_of_the_node_that_it_is_sent_to() {
    let run = |options: fn(&mut LinkSettings)| {
        let (ours, theirs) = (Log::default(), Log::default());
        let mut world = World::new();
        let (asked, seen) = (theirs.clone(), theirs.clone());
        world.add(Script {
            knobs: Knobs { auto_accept: false, ..Knobs::default() },
            opening: Some(Box::new(move |cx, link| {
                let attach = cx.remote_attach(link).unwrap();
                let address = cx.remote_address(link).unwrap_or_default();
                asked.note(format!("{address}, resumes: {}", attach.unsettled.is_some()));
            })),
            ..server(move |cx, delivery| {
                seen.note(body(delivery));
                if cx.remote_address(delivery.receiver()) == Some("old") {
                    cx.close_with(delivery.receiver(), redirect(&[("address", "new")], None));
                } else {
                    cx.accept(delivery.id()).unwrap();
                }
            })
        });
        world.add(Client::new(&ours, move |cx| {
            let reconnect = Reconnect { follow_redirects: true, ..fixed(&[10]) };
            let connection = cx.connect_with(here(), with(reconnect));
            let sender = cx.create_sender(connection, ("old", options));
            cx.send(sender, &Message::from("m")).unwrap();
        }));
        world.run_until(at(100));
        let fate = [ours.lines("in doubt"), ours.lines("accepted")].concat();
        (theirs.lines(""), fate)
    };
    let once = (owned(&["old, resumes: false", "m", "new, resumes: false"]), owned(&["in doubt [0]"]));
    assert_eq!(run(|link| ExactlyOnce.apply(link)), once);
    assert_eq!(run(|link| InDoubt::Report.apply(link)), once);
    let again = (owned(&["old, resumes: false", "m", "new, resumes: false", "m"]), owned(&["accepted [0]"]));
    assert_eq!(run(|link| AtLeastOnce.apply(link)), again);
}

#[test]
fn r_08_a_link_redirect_is_told_where_it_cannot_be_followed_or_need_not() {
    let there = redirect(&[("network-host", "localhost"), ("address", "new")], Some(2));
    for (follows, links) in [(false, &["old"][..]), (true, &["old", "other"])] {
        let (ours, _) = redirected(&there, follows, links, false);
        assert_eq!(ours.lines("link"), ["link error amqp:link:redirect", "link closed"]);
    }
    let nowhere = error(condition::LINK_REDIRECT);
    let (ours, _) = redirected(&nowhere, true, &["old"], false);
    assert_eq!(ours.lines("link"), ["link error amqp:link:redirect", "link closed"]);
    // Round in a circle: so often and no more.
    for info in [&[("address", "old")][..], &[("network-host", "localhost"), ("address", "old")]] {
        let port = (info.len() > 1).then_some(1);
        let (ours, theirs) = redirected(&redirect(info, port), true, &["old"], false);
        assert_eq!(theirs.len(), 9);
        assert_eq!(ours.lines("link error"), ["link error amqp:link:redirect"]);
    }
}

/// A world in which a server ends sessions and links, and connections are cut, as drawn: what the server has had of each
/// message, and what the client was told of it.
#[derive(Default)]
struct Fates {
    arrived: BTreeMap<u32, u32>,
    accepted: BTreeMap<u32, u32>,
    in_doubt: BTreeMap<u32, u32>,
    ends: u32,
}

const MESSAGES: u32 = 40;

/// What a sender is made with.
type Said = fn(&mut LinkSettings);

struct Sending {
    fates: Rc<RefCell<Fates>>,
    options: Said,
    sender: Option<SenderId>,
    sent: u32,
}

impl Handler for Sending {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection =
            cx.connect_with(here(), with(Reconnect { from_start: true, ..Reconnect::default() }));
        self.sender = Some(cx.create_sender(connection, ("q", self.options)));
        cx.set_timer(ms(1));
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: TaskId) {
        cx.send(self.sender.unwrap(), &Message::from(&*format!("{}", self.sent))).unwrap();
        self.sent += 1;
        if self.sent < MESSAGES {
            cx.set_timer(ms(7));
        }
    }

    fn on_accepted(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        *self.fates.borrow_mut().accepted.entry(number(tracker)).or_default() += 1;
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        *self.fates.borrow_mut().in_doubt.entry(number(tracker)).or_default() += 1;
    }

    fn on_unhandled(&mut self, _: &mut Context<'_>, event: &Unhandled<'_>) {
        let is_fatal = matches!(event, Unhandled::SessionError(..) | Unhandled::LinkError(..));
        assert!(!is_fatal, "{event:?}");
    }
}

/// Tags count.
fn number(tracker: &Tracker) -> u32 {
    tracker.tag().as_bytes().iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn draw(seed: &mut u64) -> u64 {
    let drawn = super::super::random::scatter(*seed);
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    drawn
}

fn fates(seed: u64, suspended_links: usize, options: Said) -> Fates {
    let fates = Rc::new(RefCell::new(Fates::default()));
    let mut world = World::new();
    let mut random = seed;
    world.chunk = if seed.is_multiple_of(3) { 1 } else { usize::MAX };
    let (seen, mut faults) = (fates.clone(), seed ^ 0x5555);
    let server = server(move |cx, delivery| {
        *seen.borrow_mut().arrived.entry(body(delivery).parse().unwrap()).or_default() += 1;
        if draw(&mut faults).is_multiple_of(6) {
            seen.borrow_mut().ends += 1;
            let what = if draw(&mut faults).is_multiple_of(2) { What::Session } else { What::Link };
            let conditions = [condition::INTERNAL_ERROR, condition::LINK_DETACH_FORCED];
            let error = error(conditions[(draw(&mut faults) % 2) as usize].clone());
            let link = delivery.receiver().into();
            // Now, so that this message has no outcome, or later.
            match draw(&mut faults) % 3 {
                0 => what.end(cx, link, error),
                wait => {
                    cx.schedule(ms(10 * wait), move |cx| {
                        if cx.connection_of(link).is_some() {
                            what.end(cx, link, error);
                        }
                    });
                }
            }
        }
    });
    world.add_with(server, ContainerOptions { seed: 7, suspended_links, ..ContainerOptions::default() });
    world.add(Sending { fates: fates.clone(), options, sender: None, sent: 0 });
    let mut moment = 0;
    for _ in 0..draw(&mut random) % 4 {
        moment += draw(&mut random) % 200;
        world.run_until(at(moment));
        world.cut();
    }
    world.run_until(at(moment + 600_000));
    drop(world);
    Rc::try_unwrap(fates).ok().unwrap().into_inner()
}

#[test]
fn r_04_the_count_is_exact_whatever_is_ended_or_cut_and_when() {
    let (mut ends, mut doubled, mut in_doubt) = (0, 0, 0);
    for seed in 0..100 {
        let fates_again = fates(seed, 0, |link| AtLeastOnce.apply(link));
        for message in 0..MESSAGES {
            assert_eq!(fates_again.accepted.get(&message), Some(&1), "message {message} of seed {seed}");
            assert!(fates_again.arrived.contains_key(&message), "message {message} of seed {seed}");
        }
        assert!(fates_again.in_doubt.is_empty(), "seed {seed}");
        ends += fates_again.ends;
        doubled += fates_again.arrived.values().map(|times| times - 1).sum::<u32>();
        let exactly_once: Said = |link| ExactlyOnce.apply(link);
        let runs: [(usize, Said); 3] =
            [(0, |link| InDoubt::Report.apply(link)), (0, exactly_once), (9, exactly_once)];
        for (suspended_links, options) in runs {
            let reported = fates(seed, suspended_links, options);
            for message in 0..MESSAGES {
                let told = [&reported.accepted, &reported.in_doubt].map(|fates| fates.get(&message).copied());
                let once = told == [Some(1), None] || told == [None, Some(1)];
                assert!(once, "message {message} of seed {seed}, {suspended_links}: {told:?}");
                assert!(reported.arrived.get(&message).is_none_or(|times| *times == 1), "seed {seed}");
            }
            in_doubt += reported.in_doubt.len();
        }
    }
    assert!(ends > 500 && doubled > 100 && in_doubt > 100, "{ends}, {doubled}, {in_doubt}");
}
