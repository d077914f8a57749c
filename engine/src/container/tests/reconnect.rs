//! Connections that are lost and made again.

use std::{
    boxed::Box,
    cell::{Cell, RefCell},
    format,
    rc::Rc,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};

use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    Misuse, SessionConfig,
    codec::Fields,
    message::Message,
    types::{Error, condition},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn port(port: u16) -> Address {
    Address::new("localhost", port).with_path("q")
}

fn fixed(delays: &[u64]) -> Reconnect {
    Reconnect { delays: Delays::Fixed(delays.iter().copied().map(ms).collect()), ..Reconnect::default() }
}

fn with(reconnect: Reconnect) -> ConnectionOptions {
    ConnectionOptions { reconnect, ..ConnectionOptions::default() }
}

/// A server at a port that notes what it receives.
fn server_at(at: u16, log: &Log) -> Script {
    let log = log.clone();
    Script {
        start: Some(Box::new(move |cx| {
            cx.listen(port(at));
        })),
        ..server(move |_, delivery| log.note(body(delivery)))
    }
}

/// A client that notes what it is told of its connection.
struct Client<F> {
    log: Log,
    start: F,
    attempt: fn(&mut Attempt),
}

impl<F: FnMut(&mut Context<'_>)> Client<F> {
    fn new(log: &Log, start: F) -> Self {
        Self { log: log.clone(), start, attempt: |_| {} }
    }
}

impl<F: FnMut(&mut Context<'_>)> Handler for Client<F> {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        (self.start)(cx);
    }

    fn on_unhandled(&mut self, cx: &mut Context<'_>, event: &Unhandled<'_>) {
        self.log.note(match event {
            Unhandled::ConnectionOpened(id) => {
                format!("{:?} open at {} after {}", cx.now(), cx.dialed(*id).unwrap(), cx.reconnects(*id))
            }
            Unhandled::ConnectionClosed(_) => "connection closed".into(),
            Unhandled::ConnectionError(_, error) => format!("connection error {}", error.condition),
            Unhandled::LinkOpened(link) => format!("{} open", cx.remote_attach(*link).unwrap().name),
            Unhandled::SessionClosed(_) => "session closed".into(),
            Unhandled::LinkClosed(_) => "link closed".into(),
            Unhandled::LinkError(_, error) => format!("link error {}", error.condition),
            Unhandled::TransportError(_, reason) => {
                format!("{:?} {reason}, reconnects: {}", cx.now(), reason.reconnects)
            }
            Unhandled::Disconnected(_, reason) => format!("disconnected, reconnects: {}", reason.reconnects),
            Unhandled::InDoubt(tracker) => format!("in doubt {:?}", tracker.tag().as_bytes()),
            Unhandled::Accepted(tracker) => format!("accepted {:?}", tracker.tag().as_bytes()),
            Unhandled::Stop => "stop".into(),
            _ => return,
        });
        cx.note_unhandled(event);
    }

    fn on_reconnecting(&mut self, cx: &mut Context<'_>, _: ConnectionId, attempt: &mut Attempt) {
        self.log.note(format!("{:?} attempt {} at {}", cx.now(), attempt.number(), attempt.address));
        (self.attempt)(attempt);
    }
}

#[test]
fn r_03_sessions_and_links_come_back_under_their_names_with_options_and_handlers() {
    struct Own(Log);
    impl Handler for Own {
        fn on_link_opened(&mut self, _: &mut Context<'_>, link: Link) {
            self.0.note(format!(
                "own handler: {}",
                if link.sender().is_some() { "sender" } else { "receiver" }
            ));
        }
    }
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let seen = theirs.clone();
    world.add(Script {
        opening: Some(Box::new(move |cx, link| {
            let attach = cx.remote_attach(link).unwrap();
            let properties = attach.properties.map(|map| map.len());
            let address = cx.remote_address(link).map(String::from);
            seen.note(format!("{} {address:?} {:?} {properties:?}", attach.name, attach.snd_settle_mode));
        })),
        ..server(|_, _| {})
    });
    let own = ours.clone();
    world.add(Client::new(&ours, move |cx| {
        let connection = cx.connect_with(here(), with(fixed(&[10])));
        let first = cx.create_session(connection);
        let second =
            cx.create_session_with(connection, SessionConfig { handle_max: 0, ..SessionConfig::default() });
        let properties = LinkProperties(Fields::new().with("a", 1));
        let sender = cx.create_sender(second, ("q", Name("to"), AtLeastOnce, properties));
        cx.set_handler(sender, Own(own.clone()));
        cx.create_receiver(first, ("q", Name("from"), AtMostOnce));
    }));
    world.run_until(Instant::from_millis(5));
    world.cut();
    world.run_until(Instant::from_millis(100));
    let attached = ["from Some(\"q\") Settled None", "to Some(\"q\") Unsettled Some(1)"];
    theirs.assert(&[attached, attached].concat());
    ours.assert(&[
        "0ns open at amqp://localhost:8888/examples after 0",
        "from open",
        "own handler: sender",
        "5ms the connection with amqp://localhost:8888/examples broke: cut (amqp1:transport), reconnects: true",
        "disconnected, reconnects: true",
        "15ms attempt 1 at amqp://localhost:8888/examples",
        "15ms open at amqp://localhost:8888/examples after 1",
        "from open",
        "own handler: sender",
    ]);
}

/// Accepts what has an even number, until it has been told to accept all; notes all.
fn half_hearted(log: &Log, accept_all: &Rc<Cell<bool>>) -> Script {
    let (log, accept_all) = (log.clone(), accept_all.clone());
    Script {
        knobs: Knobs { auto_accept: false, ..Knobs::default() },
        ..server(move |cx, delivery| {
            let body = body(delivery);
            if accept_all.get() || body.ends_with(['0', '2', '4', '6', '8']) {
                // Settled already where it was sent so.
                let _ = cx.accept(delivery.id());
            }
            log.note(body);
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

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, _: &Disconnected) {
        let sender = self.sender.unwrap();
        self.log.note(format!("in doubt: {}, to send: {}", cx.unsettled(sender), cx.queued(sender)));
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        assert!(tracker.state().is_none() && !tracker.is_settled());
        self.log.note(format!("in doubt {:?}", tracker.tag().as_bytes()));
    }

    fn on_delivery_updated(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.log.note(told(tracker));
    }
}

/// What the server receives and what the sender is told, with a cut in between.
fn cut_five(options: impl LinkOption + 'static, reconnect: Reconnect, seen: &[&str], told: &[&str]) {
    let (sent, received) = (Log::default(), Log::default());
    let accept_all = Rc::new(Cell::new(false));
    let mut world = World::new();
    world.add(half_hearted(&received, &accept_all));
    world.add(Five { log: sent.clone(), options: Some(options), reconnect, sender: None });
    world.settle();
    accept_all.set(true);
    world.cut();
    world.run_until(Instant::from_millis(1_000));
    received.assert(seen);
    sent.assert(told);
}

#[test]
fn r_04_at_least_once_what_is_in_doubt_is_sent_again_in_order_under_its_tags() {
    let seen = ["0", "1", "2", "3", "4", "1", "3"];
    let told = [
        "[0] accepted settled",
        "[2] accepted settled",
        "[4] accepted settled",
        "in doubt: 2, to send: 2",
        "[1] accepted settled",
        "[3] accepted settled",
    ];
    cut_five(("q", AtLeastOnce), fixed(&[10]), &seen, &told);
    cut_five(("q", InDoubt::Resend), fixed(&[10]), &seen, &told);
}

#[test]
fn r_04_otherwise_what_is_in_doubt_is_reported_one_by_one() {
    let seen = ["0", "1", "2", "3", "4"];
    let told = [
        "[0] accepted settled",
        "[2] accepted settled",
        "[4] accepted settled",
        "in doubt: 2, to send: 0",
        "in doubt [1]",
        "in doubt [3]",
    ];
    cut_five("q", fixed(&[10]), &seen, &told);
    cut_five(("q", AtLeastOnce, InDoubt::Report), fixed(&[10]), &seen, &told);
    cut_five("q", Reconnect::off(), &seen, &told);
    cut_five(("q", AtLeastOnce), Reconnect::off(), &seen, &told);
    let told = told.map(|line| line.trim_end_matches(" settled"));
    cut_five(("q", ExactlyOnce, InDoubt::Report), fixed(&[10]), &seen, &told);
    cut_five(("q", ExactlyOnce), Reconnect::off(), &seen, &told);
}

#[test]
fn l_01_exactly_once_what_is_in_doubt_is_reported_where_the_peer_recovers_no_links() {
    let told = [
        "[0] accepted",
        "[2] accepted",
        "[4] accepted",
        "in doubt: 2, to send: 2",
        "in doubt [1]",
        "in doubt [3]",
    ];
    cut_five(("q", ExactlyOnce), fixed(&[10]), &["0", "1", "2", "3", "4"], &told);
}

#[test]
fn r_04_at_most_once_nothing_is_in_doubt() {
    cut_five(("q", AtMostOnce), fixed(&[10]), &["0", "1", "2", "3", "4"], &["in doubt: 0, to send: 0"]);
}

#[test]
fn r_04_large_messages_and_payloads_are_sent_again_as_they_were() {
    let received = Rc::new(RefCell::new(Vec::new()));
    let accepts = Rc::new(Cell::new(false));
    let mut world = World::new();
    let (seen, takes) = (received.clone(), accepts.clone());
    world.add(Script {
        knobs: Knobs { auto_accept: false, ..Knobs::default() },
        ..server(move |cx, delivery| {
            if takes.get() {
                cx.accept(delivery.id()).unwrap();
            }
            seen.borrow_mut().push((delivery.message_format(), delivery.payload().to_bytes()));
        })
    });
    world.add(client(|cx| {
        let sender = {
            let connection = cx.connect_with(here(), with(fixed(&[10])));
            cx.create_sender(connection, ("q", AtLeastOnce))
        };
        // Queued, as there is no credit yet.
        cx.send(sender, &Message::new(Bytes::from(vec![1; 300_000]))).unwrap();
        cx.schedule(ms(1), move |cx| {
            cx.send(sender, &Message::new(Bytes::from(vec![2; 300_000]))).unwrap();
            cx.send(sender, &Message::from("short")).unwrap();
            cx.send(sender, &Message::from(&*"long".repeat(50_000))).unwrap();
            cx.send_payload(sender, &vec![3; 5_000].into(), 7).unwrap();
        });
    }));
    world.run_until(Instant::from_millis(2));
    assert_eq!(received.borrow().len(), 5);
    accepts.set(true);
    world.cut();
    world.run_until(Instant::from_millis(100));
    let received = received.borrow();
    assert_eq!(received.len(), 10);
    assert_eq!(received[..5], received[5..]);
    assert_eq!(received[4].0, 7);
}

#[test]
fn r_04_a_message_in_pieces_is_reported_if_it_was_handed_over_in_whole() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Script { knobs: Knobs { auto_accept: false, ..Knobs::default() }, ..server(|_, _| {}) });
    world.add(Client::new(&log, |cx| {
        let connection = cx.connect_with(here(), with(fixed(&[10])));
        let sender = cx.create_sender(connection, ("q", AtLeastOnce));
        cx.schedule(ms(1), move |cx| {
            cx.start_message(sender, "one ", 0).unwrap();
            cx.write(sender, "two").unwrap();
            cx.finish(sender).unwrap();
            cx.start_message(sender, "three ", 0).unwrap();
        });
        cx.schedule(ms(100), move |cx| {
            assert!(cx.write(sender, "four").is_err());
            cx.send(sender, &Message::from("five")).unwrap();
            assert_eq!(cx.unsettled(sender), 1);
        });
    }));
    world.run_until(Instant::from_millis(2));
    world.cut();
    world.run_until(Instant::from_millis(200));
    let doubts = log.lines("in doubt");
    assert_eq!(doubts, ["in doubt [0]"]);
}

#[test]
fn r_04_what_was_sent_before_a_message_that_was_rejected_before_its_end_stays_in_doubt() {
    struct Wary;
    impl Handler for Wary {
        fn knobs(&self) -> Knobs {
            Knobs { auto_accept: false, ..Knobs::default() }
        }
        fn on_start(&mut self, cx: &mut Context<'_>) {
            cx.listen(here());
        }
        fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
            // The first message is complete.
            if &*cx.take(delivery).unwrap().into_bytes() == b"begun" {
                cx.reject(delivery, None).unwrap();
            }
        }
    }
    let log = Log::default();
    let mut world = World::new();
    world.add(Wary);
    world.add(Client::new(&log, |cx| {
        let connection = cx.connect_with(here(), with(fixed(&[10])));
        let sender = cx.create_sender(connection, "q");
        cx.schedule(ms(1), move |cx| {
            cx.send_payload(sender, &"whole".into(), 0).unwrap();
            cx.start_message(sender, "begun", 0).unwrap();
        });
    }));
    world.run_until(Instant::from_millis(2));
    world.cut();
    world.run_until(Instant::from_millis(200));
    assert_eq!(log.lines("in doubt"), ["in doubt [0]"]);
}

#[test]
fn r_03_what_was_received_before_cannot_be_settled_and_names_nothing_that_comes_after() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Script {
        start: Some(Box::new(|cx| {
            cx.listen(here());
        })),
        sendable: Some(Box::new(|cx, sender| {
            cx.send(sender, &Message::from("m")).unwrap();
        })),
        ..Script::default()
    });
    let noted = log.clone();
    let mut first = None;
    world.add(Script {
        knobs: Knobs { auto_accept: false, prefetch: 0, ..Knobs::default() },
        start: Some(Box::new(|cx| {
            let connection = cx.connect_with(here(), with(fixed(&[10])));
            cx.create_receiver(connection, "q");
        })),
        opened: Some(Box::new(|cx, link| cx.add_credit(link.receiver().unwrap(), 1))),
        message: Some(Box::new(move |cx, delivery| {
            let old = *first.get_or_insert_with(|| delivery.id());
            if cx.now() > Instant::ZERO {
                assert_eq!(cx.accept(old), Err(Misuse::Gone));
                assert_eq!(cx.settle(old), Err(Misuse::Gone));
                assert_eq!(cx.accept(delivery.id()), Ok(()));
                noted.note("the second only");
            }
        })),
        ..Script::default()
    });
    world.settle();
    world.cut();
    world.run_until(Instant::from_millis(20));
    log.assert(&["the second only"]);
}

#[test]
fn r_03_what_is_made_and_sent_meanwhile_waits_for_the_next_connection() {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    world.add(server_at(1, &theirs));
    world.add(Client::new(&ours, |cx| {
        let connection = cx.connect_with(port(1), with(fixed(&[50])));
        let early = cx.create_sender(connection, ("q", AtLeastOnce));
        cx.schedule(ms(20), move |cx| {
            cx.send(early, &Message::from("early")).unwrap();
            let late = cx.create_sender(connection, ("q", Name("late")));
            cx.send(late, &Message::from("late")).unwrap();
            cx.close(late);
        });
    }));
    world.run_until(Instant::from_millis(10));
    world.cut();
    world.run_until(Instant::from_millis(100));
    theirs.assert(&["early", "late"]);
    assert_eq!(ours.lines("accepted"), ["accepted [0]", "accepted [0]"]);
    assert_eq!(ours.lines("link closed"), ["link closed"]);
}

#[test]
fn r_03_a_link_that_was_being_closed_is_told_as_closed() {
    let log = Log::default();
    let mut world = World::new();
    world.add(server(|_, _| {}));
    let client = world.add(Client::new(&log, |cx| {
        let connection = cx.connect_with(here(), with(fixed(&[10])));
        let session = cx.create_session(connection);
        let sender = cx.create_sender(session, "q");
        cx.schedule(ms(1), move |cx| {
            cx.close(sender);
            cx.close(session);
        });
    }));
    world.settle();
    world.run_alone(client, Instant::from_millis(1));
    world.cut();
    world.run_until(Instant::from_millis(100));
    assert_eq!(log.lines("closed"), ["session closed", "link closed"]);
    assert_eq!(log.lines("open at").len(), 2);
    assert_eq!(log.lines("-1 open").len(), 1, "it does not come back");
}

#[test]
fn r_02_the_next_address_of_the_list_takes_over() {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let nodes = [1, 2, 3].map(|at| world.add(server_at(at, &theirs)));
    world.add(Client::new(&ours, |cx| {
        let connection =
            cx.connect_with(port(1), with(Reconnect { failover: vec![port(2), port(3)], ..fixed(&[10; 9]) }));
        let sender = cx.create_sender(connection, ("q", AtLeastOnce));
        for moment in [0, 50, 150] {
            cx.schedule(ms(moment), move |cx| {
                cx.send(sender, &Message::from(&*format!("at {moment}"))).unwrap();
            });
        }
    }));
    world.run_until(Instant::from_millis(20));
    world.kill(nodes[1]);
    world.kill(nodes[0]);
    world.run_until(Instant::from_millis(100));
    world.kill(nodes[2]);
    world.run_until(Instant::from_millis(110));
    theirs.assert(&["at 0", "at 50"]);
    let opened = ours.lines("attempt");
    let expected = [
        "30ms attempt 1 at amqp://localhost:2/q",
        "30ms attempt 2 at amqp://localhost:3/q",
        "110ms attempt 1 at amqp://localhost:1/q",
        "110ms attempt 2 at amqp://localhost:2/q",
        "110ms attempt 3 at amqp://localhost:3/q",
    ];
    assert_eq!(opened, expected);
}

#[test]
fn r_02_where_nothing_of_the_list_answers_the_program_says_what_it_tried_and_when_it_gives_up() {
    let log = Log::default();
    let mut world = World::new();
    let node = world.add(Client::new(&log, |cx| {
        let reconnect = Reconnect { failover: vec![port(2)], from_start: true, ..fixed(&[10]) };
        let connection = cx.connect_with(port(1), with(reconnect));
        cx.create_sender(connection, ());
    }));
    assert!(world.run());
    let story = "cannot connect to amqp://localhost:1/q: connection refused; \
        cannot connect to amqp://localhost:2/q: connection refused; gave up after 4 attempts";
    let failed = |at, port| {
        format!(
            "{at} cannot connect to amqp://localhost:{port}/q: connection refused (amqp1:transport), reconnects: true"
        )
    };
    log.assert(&[
        &*failed("0ns", 1),
        "0ns attempt 2 at amqp://localhost:2/q",
        &failed("0ns", 2),
        "10ms attempt 3 at amqp://localhost:1/q",
        &failed("10ms", 1),
        "10ms attempt 4 at amqp://localhost:2/q",
        &format!("10ms {story} (amqp1:transport), reconnects: false"),
        "disconnected, reconnects: false",
        "stop",
    ]);
    assert_eq!(format!("{}", world.container(node).take_failure().unwrap()), story);
}

#[test]
fn r_02_a_callback_may_give_another_address_other_credentials_and_options() {
    let (ours, theirs) = (Log::default(), Log::default());
    let mut world = World::new();
    let first = world.add(server_at(1, &theirs));
    let noted = theirs.clone();
    world.add(Script {
        start: Some(Box::new(|cx| {
            let verify = |name: &str, password: &str| {
                (name == "ann" && password == "hush").then_some(()).ok_or(crate::sasl::Refusal::Credentials)
            };
            let security = Security::Sasl(crate::sasl::Sasl::server().plain(verify).into());
            cx.listen_with(port(2), ConnectionOptions { security, ..ConnectionOptions::default() });
        })),
        opening: Some(Box::new(move |cx, link| {
            let connection = cx.connection_of(link).unwrap();
            noted.note(format!("{:?}", cx.remote_open(connection).unwrap().properties));
        })),
        ..Script::default()
    });
    world.add(Client {
        attempt: |attempt| {
            attempt.address = port(2).with_user("ann", "hush");
            let options = Arc::make_mut(&mut attempt.options);
            options.allow_clear_text = true;
            options.properties = Some(Fields::new().with("again", true));
        },
        ..Client::new(&ours, |cx| {
            let connection = cx.connect_with(port(1), with(fixed(&[10])));
            cx.create_receiver(connection, ());
        })
    });
    world.settle();
    world.kill(first);
    world.run_until(Instant::from_millis(20));
    assert_eq!(
        ours.lines("open at"),
        ["0ns open at amqp://localhost:1/q after 0", "10ms open at amqp://localhost:2/q after 1"]
    );
    assert_eq!(theirs.lines("again").len(), 1);
}

#[test]
fn r_05_wrong_credentials_are_not_tried_again() {
    let log = Log::default();
    let mut world = World::new();
    world.add(Script {
        start: Some(Box::new(|cx| {
            let refuse = |_: &str, _: &str| Err(crate::sasl::Refusal::Credentials);
            let security = Security::Sasl(crate::sasl::Sasl::server().plain(refuse).into());
            cx.listen_with(here(), ConnectionOptions { security, ..ConnectionOptions::default() });
            cx.schedule(ms(1), |cx| cx.stop());
        })),
        ..Script::default()
    });
    world.add(Client::new(&log, |cx| {
        let reconnect = Reconnect { from_start: true, ..fixed(&[10; 9]) };
        cx.connect_with(
            here().with_user("ann", "guess"),
            ConnectionOptions { allow_clear_text: true, ..with(reconnect) },
        );
    }));
    assert!(world.run());
    assert_eq!(log.lines("amqp:unauthorized-access").len(), 1);
    assert_eq!(log.lines("attempt"), [""; 0]);
}

/// A server that closes each connection with this error once it has a link.
fn closing_with(at: u16, error: Error) -> Script {
    Script {
        start: Some(Box::new(move |cx| {
            cx.listen(port(at));
        })),
        opened: Some(Box::new(move |cx, link| {
            let connection = cx.connection_of(link).unwrap();
            cx.close_with(connection, error.clone());
        })),
        ..Script::default()
    }
}

fn error(condition: crate::codec::Symbol, info: Option<Fields>) -> Error {
    Error {
        condition,
        description: Some(
            "maintenance
until noon"
                .into(),
        ),
        info,
    }
}

#[test]
fn r_05_a_connection_that_is_closed_for_a_while_is_made_again_and_one_that_is_refused_is_not() {
    let run = |condition| {
        let log = Log::default();
        let mut world = World::new();
        world.add(closing_with(1, error(condition, None)));
        world.add(Client::new(&log, |cx| {
            let connection = cx.connect_with(port(1), with(fixed(&[10])));
            cx.create_sender(connection, ());
        }));
        world.run_until(Instant::from_millis(100));
        log
    };
    let forced = run(condition::CONNECTION_FORCED);
    assert_eq!(forced.lines("open at").len(), 2);
    assert_eq!(
        forced.lines("reconnects"),
        ["0ns maintenance (amqp:connection:forced), reconnects: true", "disconnected, reconnects: true",]
    );
    assert_eq!(forced.lines("connection error"), ["connection error amqp:connection:forced"], "given up");
    let refused = run(condition::NOT_ALLOWED);
    assert_eq!(refused.lines("connection"), ["connection error amqp:not-allowed", "connection closed"]);
    assert_eq!(refused.lines("attempt"), [""; 0]);
}

//= 2.8.16-05 2.8.16-07
#[test]
fn r_08_a_redirect_is_followed_where_that_is_wanted_and_not_for_ever() {
    let info =
        |at: u16| Fields::new().with("hostname", "there").with("network-host", "localhost").with("port", at);
    let run = |follow_redirects, to| {
        let (ours, theirs) = (Log::default(), Log::default());
        let mut world = World::new();
        world.add(closing_with(1, error(condition::CONNECTION_REDIRECT, Some(info(to)))));
        let noted = theirs.clone();
        world.add(Script {
            opening: Some(Box::new(move |cx, link| {
                let connection = cx.connection_of(link).unwrap();
                noted.note(format!("{:?}", cx.remote_open(connection).unwrap().hostname));
            })),
            ..server_at(2, &Log::default())
        });
        world.add(Client::new(&ours, move |cx| {
            let connection =
                cx.connect_with(port(1), with(Reconnect { follow_redirects, ..Reconnect::off() }));
            cx.create_sender(connection, ());
        }));
        world.run_until(Instant::from_millis(100));
        (ours, theirs)
    };
    let (ours, theirs) = run(true, 2);
    assert_eq!(
        ours.lines("open at"),
        ["0ns open at amqp://localhost:1/q after 0", "0ns open at amqp://localhost:2/q after 1"]
    );
    theirs.assert(&["Some(\"there\")"]);
    let (ours, theirs) = run(false, 2);
    assert_eq!(ours.lines("connection"), ["connection error amqp:connection:redirect", "connection closed"]);
    theirs.assert(&[""; 0]);
    let (ours, _) = run(true, 1);
    assert_eq!(ours.lines("open at").len(), 9);
    assert_eq!(ours.lines("connection error"), ["connection error amqp:connection:redirect"]);
}

#[test]
fn r_04_what_is_given_up_is_reported_whatever_was_wanted() {
    let (sent, received) = (Log::default(), Log::default());
    let mut world = World::new();
    let server = world.add(half_hearted(&received, &Rc::default()));
    let options = Some(("q", AtLeastOnce));
    world.add(Five { log: sent.clone(), options, reconnect: fixed(&[10, 20]), sender: None });
    world.settle();
    world.kill(server);
    world.run_until(Instant::from_millis(100));
    sent.assert(&[
        "[0] accepted settled",
        "[2] accepted settled",
        "[4] accepted settled",
        "in doubt: 2, to send: 2",
        "in doubt: 2, to send: 2",
        "in doubt [1]",
        "in doubt [3]",
    ]);
}

#[test]
fn r_01_a_connection_can_be_closed_while_it_waits_to_be_made_again() {
    let log = Log::default();
    let mut world = World::new();
    let server = world.add(server_at(1, &Log::default()));
    world.add(Client::new(&log, |cx| {
        let connection = cx.connect_with(port(1), with(fixed(&[3_600_000])));
        cx.create_sender(connection, ());
        cx.schedule(ms(20), move |cx| cx.close(connection));
    }));
    world.settle();
    world.kill(server);
    world.container(server).stop();
    assert!(world.run());
    assert_eq!(world.now(), Instant::from_millis(20));
    assert_eq!(log.lines("closed"), ["connection closed"]);
    assert_eq!(log.lines("attempt"), [""; 0]);
}

#[test]
fn c10_a_peer_that_breaks_the_rules_is_left_and_tried_again() {
    let mut container = Container::new(ContainerOptions::default());
    container.start();
    let log = Log::default();
    let mut client = Client::new(&log, |cx| {
        cx.connect_with(
            port(1),
            ConnectionOptions {
                security: Security::None,
                ..with(Reconnect { from_start: true, ..fixed(&[10]) })
            },
        );
    });
    let now = Instant::ZERO;
    container.dispatch(&mut client, now);
    let Some(Action::Connect { io, .. }) = container.poll_action() else { panic!("no connect") };
    container.connected(io, now);
    let mut input = bytes::BytesMut::from(&b"AMQP\x00\x01\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00"[..]);
    container.received(io, &mut input, now);
    container.dispatch(&mut client, now);
    let mut written = Vec::new();
    while let Some(mut transmit) = container.poll_transmit(io, now) {
        let len = transmit.remaining();
        written.extend_from_slice(&transmit.copy_to_bytes(len));
    }
    let condition = "amqp:connection:framing-error";
    assert!(String::from_utf8_lossy(&written).contains(condition), "the close is still written");
    assert!(container.poll_action().is_none(), "its byte stream lives until the peer has answered");
    container.eof(io, now);
    container.dispatch(&mut client, now);
    assert!(matches!(container.poll_action(), Some(Action::Shutdown { io: over }) if over == io));
    container.dispatch(&mut client, Instant::from_millis(10));
    assert!(matches!(container.poll_action(), Some(Action::Connect { .. })));
    assert_eq!(log.lines(condition).len(), 1);
    assert_eq!(log.lines("attempt"), ["10ms attempt 2 at amqp://localhost:1/q"]);
}
