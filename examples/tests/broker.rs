//! The broker, as its peers see it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use amqp1_examples::broker::{Bound, Broker, Limits, RunningBroker};
use amqp1_std::{
    Container, Context, Fields, Handler, Link, LinkConfig, Map, Message, Prefetch, ReceiverId, Url,
    blocking::{self, Connection, Delivery, Error, Options, Outcome, Waiting},
    codec::{Described, Encode, Str, Symbol, Timestamp, Value},
    types::{
        self, DeliveryState, LifetimePolicy, Modified, ReceiverSettleMode, SenderSettleMode, Source, Target,
        TargetKind, TerminusDurability, condition,
    },
};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for what should not come.
const SILENCE: Duration = Duration::from_millis(200);

fn start() -> RunningBroker {
    Broker::start("127.0.0.1:0").unwrap()
}

fn start_with(limits: Limits) -> RunningBroker {
    let url: Url = "127.0.0.1:0".parse().unwrap();
    Broker::new(url).with_limits(limits).spawn().unwrap()
}

fn connect(address: &str) -> Connection {
    Options { timeout: SOON, ..Options::default() }.connect(address).unwrap()
}

fn connect_as(container_id: &str, address: &str) -> Connection {
    let container_id = Some(container_id.into());
    Options { timeout: SOON, container_id, ..Options::default() }.connect(address).unwrap()
}

fn send_all(connection: &Connection, queue: &str, texts: &[&str]) {
    let sender = connection.sender(queue).unwrap();
    for &text in texts {
        sender.send(text).unwrap().accepted().unwrap();
    }
}

fn text(delivery: &Delivery) -> String {
    delivery.message().unwrap().body().to_string()
}

fn failures(delivery: &Delivery) -> Option<u32> {
    delivery.message().unwrap().header().unwrap().delivery_count
}

fn receiver(name: &str, source: Source) -> LinkConfig {
    LinkConfig { source: Some(Box::new(source)), ..LinkConfig::receiver(name, "") }
}

fn sender(name: &str, target: impl Into<TargetKind>) -> LinkConfig {
    LinkConfig { target: Some(Box::new(target.into())), ..LinkConfig::sender(name, "") }
}

/// The condition with which a link was refused or closed.
fn detached(error: Error) -> Symbol {
    match error {
        Error::Detached(Some(error)) => error.condition,
        other => panic!("not detached: {other:?}"),
    }
}

fn rejected(outcome: Outcome) -> Symbol {
    match outcome {
        Outcome::Rejected(Some(error)) => error.condition,
        other => panic!("not rejected: {other:?}"),
    }
}

/// Passes bytes on until it is dropped: then both sockets are gone, as if the peer's machine was.
struct Cable {
    address: String,
    ends: mpsc::Receiver<[TcpStream; 2]>,
}

impl Cable {
    fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let there = address.to_owned();
        let (put, ends) = mpsc::channel();
        thread::spawn(move || {
            let (near, _) = listener.accept().unwrap();
            let far = TcpStream::connect(there).unwrap();
            put.send([near.try_clone().unwrap(), far.try_clone().unwrap()]).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        });
        Self { address: here, ends }
    }

    fn cut(self) {
        for end in self.ends.recv().unwrap() {
            end.shutdown(Shutdown::Both).ok();
        }
    }
}

#[test]
fn what_a_lost_consumer_did_not_settle_comes_again_in_order() {
    let broker = start();
    let connection = connect(broker.address());
    send_all(&connection, "q", &["1", "2", "3", "4", "5"]);
    let cable = Cable::to(broker.address());
    let lost = connect(&cable.address);
    let consumer = lost.receiver("q").unwrap();
    consumer.recv().unwrap().accept().unwrap();
    let kept = [consumer.recv().unwrap(), consumer.recv().unwrap()];
    // The acceptance has arrived when a later message over the same socket has.
    lost.sender("other").unwrap().send("after it").unwrap().accepted().unwrap();
    send_all(&connection, "q", &["6"]);
    cable.cut();
    let consumer = connection.receiver("q").unwrap();
    let mut again = Vec::new();
    for _ in 2..=6 {
        let delivery = consumer.recv().unwrap();
        again.push((text(&delivery), failures(&delivery)));
        delivery.accept().unwrap();
    }
    let texts: Vec<&str> = again.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["2", "3", "4", "5", "6"]);
    assert_eq!(again[0].1, Some(1));
    assert_eq!(kept.len(), 2);
}

#[test]
fn what_is_given_back_comes_first_and_tells_how_often_it_failed() {
    let broker = start();
    let connection = connect(broker.address());
    send_all(&connection, "q", &["1", "2", "3"]);
    let consumer = connection.attach_receiver(LinkConfig::receiver("one at a time", "q"), 1).unwrap();
    let first = consumer.recv().unwrap();
    assert_eq!((text(&first), failures(&first)), ("1".into(), None));
    first.release().unwrap();
    let mut seen = Vec::new();
    let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
    for _ in 0..4 {
        let delivery = consumer.recv().unwrap();
        seen.push((text(&delivery), failures(&delivery)));
        match seen.len() {
            1..=2 => delivery.modify(failed.clone()).unwrap(),
            _ => delivery.reject(None).unwrap(),
        }
    }
    // A message is on its way ahead of each that is settled.
    seen.sort();
    let counts: Vec<_> = seen.iter().filter(|(text, _)| text == "1").map(|&(_, count)| count).collect();
    assert!(counts.is_sorted(), "{seen:?}");
    drop(consumer);
    let rest = connection.receiver("q").unwrap();
    while let Ok(delivery) = rest.recv_timeout(SILENCE) {
        delivery.accept().unwrap();
    }
}

#[test]
fn consumers_take_turns() {
    let broker = start();
    let connection = connect(broker.address());
    let consumers = [connection.receiver("q").unwrap(), connection.receiver("q").unwrap()];
    let texts: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    send_all(&connection, "q", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut shares = [Vec::new(), Vec::new()];
    for (consumer, share) in consumers.iter().zip(&mut shares) {
        for _ in 0..5 {
            let delivery = consumer.recv().unwrap();
            share.push(text(&delivery).parse::<u32>().unwrap());
            delivery.accept().unwrap();
        }
    }
    shares.sort();
    assert_eq!(shares, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]);
}

//= 3.5.2-02
#[test]
fn two_producers_and_two_consumers_lose_and_double_nothing() {
    const EACH: u32 = 500;
    let broker = start();
    let address = broker.address();
    let mut seen: Vec<u32> = thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let connection = connect(address);
                let sender = connection.sender("q").unwrap();
                let submitted: Vec<_> =
                    (0..EACH).map(|n| sender.submit((half * EACH + n).to_string()).unwrap()).collect();
                for submitted in submitted {
                    submitted.outcome().unwrap().accepted().unwrap();
                }
            });
        }
        let consumers = [(); 2].map(|()| {
            scope.spawn(|| {
                let connection = connect(address);
                let consumer = connection.receiver("q").unwrap();
                let mut seen = Vec::new();
                for n in 0.. {
                    let Ok(delivery) = consumer.recv_timeout(Duration::from_secs(2)) else { break };
                    if n % 10 == 9 {
                        delivery.release().unwrap();
                    } else {
                        seen.push(text(&delivery).parse().unwrap());
                        delivery.accept().unwrap();
                    }
                }
                seen
            })
        });
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..2 * EACH), "{} of {}", seen.len(), 2 * EACH);
}

//= 3.2-05 3.2.3-02 3.2.4-01
#[test]
fn bytes_pass_unchanged() {
    let broker = start();
    let connection = connect(broker.address());
    let sender = connection.sender("q").unwrap();
    let receiver = connection.receiver("q").unwrap();
    for size in [0, 1, 255, 256, 20_000, 1 << 20] {
        let mut message = Message::from(vec![0x5a; size])
            .with_id("id")
            .with_durable(true)
            .with_property("p", 1_i32)
            .with_annotation(Symbol::from_static("x-opt-kept"), size.to_string());
        message.footer = Some(Map::new().with(Symbol::from_static("x-opt-hash"), 7_u64));
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        sender.send(message).unwrap().accepted().unwrap();
        let delivery = receiver.recv().unwrap();
        assert!(delivery.bytes() == &encoded, "{size}");
        delivery.accept().unwrap();
    }
}

//= 2.7.3-X1
#[test]
fn messages_sent_settled_pass_and_are_delivered_settled_on_request() {
    let broker = start();
    let connection = connect(broker.address());
    let settled = |config: LinkConfig| LinkConfig { snd_settle_mode: SenderSettleMode::Settled, ..config };
    let sender = connection.attach_sender(settled(LinkConfig::sender("in", "q"))).unwrap();
    assert_eq!(sender.send("at most once").unwrap(), Outcome::Settled);
    let receiver = connection.attach_receiver(settled(LinkConfig::receiver("out", "q")), 10).unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(text(&delivery), "at most once");
    assert!(delivery.is_settled());
    receiver.close().unwrap();
    let receiver = connection.receiver("q").unwrap();
    assert!(matches!(receiver.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
}

//= 2.7.3-X2
#[test]
fn a_receiver_that_settles_second_is_served() {
    let broker = start();
    let connection = connect(broker.address());
    let second = |config| LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..config };
    let sender = connection.attach_sender(second(LinkConfig::sender("in", "q"))).unwrap();
    assert_eq!(sender.remote_attach().unwrap().rcv_settle_mode, ReceiverSettleMode::Second);
    sender.send("exactly once").unwrap().accepted().unwrap();
    let receiver = connection.attach_receiver(second(LinkConfig::receiver("out", "q")), 10).unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(text(&delivery), "exactly once");
    delivery.accept().unwrap();
    receiver.close().unwrap();
    let receiver = connection.receiver("q").unwrap();
    assert!(matches!(receiver.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
}

//= 3.5.3-02 3.5.10-01
#[test]
fn a_dynamic_source_gets_an_address_and_dies_with_its_link() {
    let broker = start();
    let connection = connect(broker.address());
    let dynamic = Source { dynamic: true, ..Source::default() };
    let replies = connection.attach_receiver(receiver("replies", dynamic.clone()), 10).unwrap();
    let source = replies.remote_attach().unwrap().source.unwrap();
    let address = source.address.unwrap();
    assert!(source.dynamic && !address.is_empty());
    let more = connection.attach_receiver(receiver("more", dynamic), 10).unwrap();
    assert_ne!(more.remote_attach().unwrap().source.unwrap().address.unwrap(), address);

    let other = connect(broker.address());
    let sender = other.sender(address).unwrap();
    sender.send("reply").unwrap().accepted().unwrap();
    let delivery = replies.recv().unwrap();
    assert_eq!(text(&delivery), "reply");
    delivery.accept().unwrap();
    replies.close().unwrap();
    let error = loop {
        match sender.send("too late") {
            Ok(_) => thread::sleep(Duration::from_millis(5)),
            Err(error) => break error,
        }
    };
    assert_eq!(detached(error), condition::RESOURCE_DELETED);
}

#[test]
fn a_message_on_the_anonymous_link_says_where_to() {
    let broker = start();
    let connection = connect(broker.address());
    let offered = connection.remote_open().unwrap().offered_capabilities;
    assert!(offered.contains(&Symbol::from_static("ANONYMOUS-RELAY")));
    let receivers = ["a", "b"].map(|queue| connection.receiver(queue).unwrap());
    let sender = connection.attach_sender(sender("relay", Target::default())).unwrap();
    for queue in ["a", "b"] {
        sender.send(Message::from(queue).with_to(queue)).unwrap().accepted().unwrap();
    }
    for (receiver, queue) in receivers.iter().zip(["a", "b"]) {
        let delivery = receiver.recv().unwrap();
        assert_eq!(text(&delivery), queue);
        delivery.accept().unwrap();
    }
    let astray = Message::from("astray").with_to("nowhere");
    assert_eq!(rejected(sender.send(astray).unwrap()), condition::NOT_FOUND);
    assert_eq!(rejected(sender.send("no address").unwrap()), condition::NOT_FOUND);
    sender.send(Message::from("still here").with_to("a")).unwrap().accepted().unwrap();
}

#[test]
fn m1_what_is_no_message_is_rejected_and_the_link_lives() {
    let broker = start();
    let connection = connect(broker.address());
    let relay = sender("relay", Target::default());
    let links = [connection.sender("q").unwrap(), connection.attach_sender(relay).unwrap()];
    let hello = [0x00, 0x53, 0x77, 0xa1, 0x01, b'x'];
    let header = [0x00, 0x53, 0x70, 0x45];
    let bad: [Vec<u8>; 7] = [
        b"neither".to_vec(),
        Vec::new(),
        header.to_vec(),
        [&hello[..], &header].concat(),
        [&header[..], &header, &hello].concat(),
        [&hello[..], &hello].concat(),
        hello[..5].to_vec(),
    ];
    for link in &links {
        for bytes in &bad {
            let mut writer = link.stream().unwrap();
            if !bytes.is_empty() {
                writer.write_piece(bytes.clone()).unwrap();
            }
            assert_eq!(rejected(writer.finish().unwrap()), condition::DECODE_ERROR, "{bytes:x?}");
        }
        link.send(Message::from("good").with_to("q")).unwrap().accepted().unwrap();
    }
}

#[test]
fn k5_k11_a_terminus_that_cannot_be_had_is_refused_and_the_session_lives() {
    let broker = start();
    let connection = connect(broker.address());
    let refused_sources = [
        (Source::default(), condition::NOT_FOUND),
        (Source { address: Some("".into()), ..Source::default() }, condition::NOT_FOUND),
    ];
    for (source, expected) in refused_sources {
        let error = connection.attach_receiver(receiver("in vain", source.clone()), 1).unwrap_err();
        assert_eq!(detached(error), expected, "{source:?}");
    }
    let unknown = TargetKind::Other(Described::new(name("vendor:target:list"), Vec::<Value>::new()));
    let error = connection.attach_sender(sender("in vain", unknown)).unwrap_err();
    assert_eq!(detached(error), condition::NOT_IMPLEMENTED);
    send_all(&connection, "q", &["the session goes on"]);
}

fn name(text: &'static str) -> Symbol {
    Symbol::from_static(text)
}

fn selector(text: &str) -> Described {
    Described::new(name("apache.org:selector-filter:string"), text)
}

/// A source of the queue `q` with these filters.
fn filtered(filter: Fields) -> Source {
    Source { address: Some("q".into()), filter: Some(filter), ..Source::default() }
}

//= 2.6.3-09 2.6.3-10 3.5.3-09 3.5.8-04
#[test]
fn k11_the_answer_says_what_is_in_force() {
    let broker = start();
    let connection = connect(broker.address());
    let known = Fields::new().with(name("mine"), selector("colour = 'green'"));
    let asked = known
        .clone()
        .with(name("odd"), Described::new(name("odd:filter"), "colour = 'green'"))
        .with(name("second"), selector("colour = 'red'"))
        .with(name("none"), Value::Null);
    let browse = Source { distribution_mode: Some(types::distribution_mode::COPY), ..filtered(asked) };
    let browser = connection.attach_receiver(receiver("browser", browse), 1).unwrap();
    let answer = browser.remote_attach().unwrap().source.unwrap();
    assert_eq!(answer.filter, Some(known));
    assert_eq!(answer.distribution_mode, Some(types::distribution_mode::COPY));
    assert!(matches!(answer.default_outcome, Some(DeliveryState::Modified(_))));

    let share = Source {
        distribution_mode: Some(name("share")),
        durable: TerminusDurability::UnsettledState,
        ..filtered(Fields::new())
    };
    let consumer = connection.attach_receiver(receiver("consumer", share), 1).unwrap();
    let answer = consumer.remote_attach().unwrap().source.unwrap();
    assert_eq!(answer.filter, None);
    assert_eq!(answer.distribution_mode, Some(types::distribution_mode::MOVE));
    assert_eq!(answer.durable, TerminusDurability::None);

    let properties =
        Fields::new().with(name("odd"), true).with(name("lifetime-policy"), LifetimePolicy::DeleteOnNoLinks);
    let dynamic = Source { dynamic: true, dynamic_node_properties: Some(properties), ..Source::default() };
    let made = connection.attach_receiver(receiver("made", dynamic), 1).unwrap();
    let answer = made.remote_attach().unwrap().source.unwrap().dynamic_node_properties.unwrap();
    assert_eq!(answer, Fields::new().with(name("lifetime-policy"), LifetimePolicy::DeleteOnNoLinks));
}

#[test]
fn k11_a_selector_that_cannot_be_read_is_refused_with_the_place_of_the_fault() {
    let broker = start();
    let connection = connect(broker.address());
    let refused = [
        (selector("colour = = 'green'"), "character 10"),
        (selector(""), "character 1"),
        (selector(&"(".repeat(100)), "less nesting"),
        (selector(&"x".repeat(100_000)), "character 4096"),
        (Described::new(name("apache.org:selector-filter:string"), 7_u64), "a string"),
        (Described::new(0x0000_468c_0000_0004_u64, "colour ="), "character 9"),
    ];
    for (selector, words) in refused {
        let source = filtered(Fields::new().with(name("selector"), selector));
        match connection.attach_receiver(receiver("in vain", source), 1) {
            Err(Error::Detached(Some(error))) => {
                assert_eq!(error.condition, condition::INVALID_FIELD);
                let description = error.description.unwrap();
                assert!(description.contains(words), "{description}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    send_all(&connection, "q", &["the session goes on"]);
}

fn coloured(connection: &Connection, queue: &str, colours: &[&str]) {
    let sender = connection.sender(queue).unwrap();
    for &colour in colours {
        sender.send(Message::from(colour).with_property("colour", colour)).unwrap().accepted().unwrap();
    }
}

#[test]
fn a_selector_selects_and_leaves_the_rest() {
    let broker = start();
    let connection = connect(broker.address());
    coloured(&connection, "q", &["red", "green", "blue", "green"]);
    let source = filtered(Fields::new().with(name("selector"), selector("colour = 'green'")));
    let green = connection.attach_receiver(receiver("green", source), 10).unwrap();
    for _ in 0..2 {
        let delivery = green.recv().unwrap();
        assert_eq!(text(&delivery), "green");
        delivery.accept().unwrap();
    }
    assert!(matches!(green.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
    coloured(&connection, "q", &["red", "green"]);
    let delivery = green.recv().unwrap();
    assert_eq!(text(&delivery), "green");
    delivery.accept().unwrap();
    let rest = connection.receiver("q").unwrap();
    for colour in ["red", "blue", "red"] {
        let delivery = rest.recv().unwrap();
        assert_eq!(text(&delivery), colour);
        delivery.accept().unwrap();
    }
}

//= 3.5.7-02
#[test]
fn browsing_takes_nothing() {
    let broker = start();
    let connection = connect(broker.address());
    send_all(&connection, "q", &["1", "2", "3"]);
    let browse = Source {
        address: Some("q".into()),
        distribution_mode: Some(types::distribution_mode::COPY),
        ..Source::default()
    };
    for browser in ["first", "second"] {
        let browser = connection.attach_receiver(receiver(browser, browse.clone()), 10).unwrap();
        for expected in ["1", "2", "3"] {
            let delivery = browser.recv().unwrap();
            assert_eq!(text(&delivery), expected);
            delivery.accept().unwrap();
        }
        assert!(matches!(browser.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
        browser.close().unwrap();
    }
    let consumer = connection.receiver("q").unwrap();
    for expected in ["1", "2", "3"] {
        let delivery = consumer.recv().unwrap();
        assert_eq!((text(&delivery), failures(&delivery)), (expected.into(), None));
        delivery.accept().unwrap();
    }
}

//= 3.2.1-12
#[test]
fn m4_expired_messages_are_dropped_and_others_age() {
    let broker = Broker::new("127.0.0.1:0".parse::<Url>().unwrap())
        .with_wall_clock(|| Duration::from_secs(1_000))
        .spawn()
        .unwrap();
    let connection = connect(broker.address());
    let sender = connection.sender("q").unwrap();
    let with_ttl = |ttl| {
        let mut message = Message::from(format!("ttl {ttl}"));
        message.header_mut().ttl = Some(ttl);
        message
    };
    let until = |time| {
        let mut message = Message::from(format!("until {time}"));
        message.properties_mut().absolute_expiry_time = Some(Timestamp(time));
        message
    };
    let messages = [
        with_ttl(0),
        with_ttl(60_000),
        with_ttl(50),
        with_ttl(u32::MAX),
        until(999_999),
        until(-1),
        until(i64::MIN),
        until(1_060_000),
        until(i64::MAX),
    ];
    for message in messages {
        sender.send(message).unwrap().accepted().unwrap();
    }
    thread::sleep(Duration::from_millis(100));
    let consumer = connection.receiver("q").unwrap();
    for (expected, ttl) in [
        ("ttl 60000", Some(60_000)),
        ("ttl 4294967295", Some(u32::MAX)),
        ("until 1060000", None),
        (&*format!("until {}", i64::MAX), None),
    ] {
        let delivery = consumer.recv().unwrap();
        assert_eq!(text(&delivery), expected);
        let left = delivery.message().unwrap().header().unwrap().ttl;
        match (left, ttl) {
            (Some(left), Some(ttl)) => assert!(ttl - 20_000 < left && left < ttl, "{left} of {ttl}"),
            (left, ttl) => assert_eq!(left, ttl),
        }
        delivery.accept().unwrap();
    }
    assert!(matches!(consumer.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
}

#[test]
fn m4_room_comes_back_when_messages_expire() {
    let limits = Limits { queue: Bound { messages: 10, bytes: 1 << 20 }, ..Limits::default() };
    let broker = start_with(limits);
    let connection = connect(broker.address());
    let sender = connection.sender("q").unwrap();
    for n in 0..40 {
        let mut message = Message::from(n.to_string());
        message.header_mut().ttl = Some(50);
        sender.send(message).unwrap().accepted().unwrap();
    }
    thread::sleep(Duration::from_millis(200));
    sender.send("stays").unwrap().accepted().unwrap();
    let delivery = connection.receiver("q").unwrap().recv().unwrap();
    assert_eq!(text(&delivery), "stays");
    delivery.accept().unwrap();
}

#[test]
fn m4_what_comes_back_before_it_expires_is_dropped_when_it_does() {
    let limits = Limits { queue: Bound { messages: 2, bytes: 1 << 20 }, ..Limits::default() };
    let broker = start_with(limits);
    let (connection, other) = (connect(broker.address()), connect(broker.address()));
    let (sender, consumer) = (connection.sender("q").unwrap(), other.receiver("q").unwrap());
    // When the first expires, both are out for delivery and none waits.
    for ttl in [100, 800] {
        let mut message = Message::from(format!("ttl {ttl}"));
        message.header_mut().ttl = Some(ttl);
        sender.send(message).unwrap().accepted().unwrap();
    }
    consumer.recv().unwrap().accept().unwrap();
    thread::sleep(Duration::from_millis(300));
    sender.send("stays").unwrap().accepted().unwrap();
    other.close().unwrap();
    // Nobody touches the queue any more, and while it is full it gives no credit.
    connection.sender("q").unwrap().send("later").unwrap().accepted().unwrap();
}

//= 3.4.5-06
#[test]
fn a_message_whose_delivery_fails_too_often_is_dropped() {
    let broker = start_with(Limits { failures: 2, ..Limits::default() });
    let connection = connect(broker.address());
    send_all(&connection, "q", &["poison"]);
    let consumer = connection.receiver("q").unwrap();
    for expected in [None, Some(1), Some(2)] {
        let delivery = consumer.recv().unwrap();
        assert_eq!(failures(&delivery), expected);
        delivery.modify(Modified { delivery_failed: Some(true), ..Modified::default() }).unwrap();
    }
    assert!(matches!(consumer.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
}

/// A dynamic node of this policy: its link, and its address.
fn made(connection: &Connection, policy: LifetimePolicy) -> (blocking::Receiver, Str) {
    let properties = Some(Fields::new().with(name("lifetime-policy"), policy));
    let dynamic = Source { dynamic: true, dynamic_node_properties: properties, ..Source::default() };
    let link = connection.attach_receiver(receiver("made", dynamic), 1).unwrap();
    let address = link.remote_attach().unwrap().source.unwrap().address.unwrap();
    (link, address)
}

/// Whether a queue of this address is there: only those are that were made, and that is asked of the anonymous relay.
fn is_there(connection: &Connection, address: &Str) -> bool {
    let relay = connection.attach_sender(sender("relay", Target::default())).unwrap();
    let outcome = relay.send(Message::from("probe").with_to(address.clone())).unwrap();
    relay.close().unwrap();
    outcome == Outcome::Accepted
}

//= 3.5.9-01 3.5.11-01 3.5.12-01 3.5.13-01
#[test]
fn a_dynamic_node_lives_as_long_as_its_policy_says() {
    let broker = start();
    let connection = connect(broker.address());
    let other = connect(broker.address());
    let gone = condition::RESOURCE_DELETED;

    // With its link, whatever else there is.
    let (link, address) = made(&connection, LifetimePolicy::DeleteOnClose);
    let user = other.receiver(address.clone()).unwrap();
    link.close().unwrap();
    assert_eq!(detached(user.recv().unwrap_err()), gone);
    assert!(!is_there(&other, &address));

    // With the last link.
    let (link, address) = made(&connection, LifetimePolicy::DeleteOnNoLinks);
    let user = other.sender(address.clone()).unwrap();
    link.close().unwrap();
    user.send("kept").unwrap().accepted().unwrap();
    user.close().unwrap();
    assert!(!is_there(&other, &address));

    // With the last message, once its link is gone.
    let (link, address) = made(&connection, LifetimePolicy::DeleteOnNoMessages);
    send_all(&other, &address, &["one"]);
    link.recv().unwrap().release().unwrap();
    link.close().unwrap();
    let user = other.receiver(address.clone()).unwrap();
    user.recv().unwrap().accept().unwrap();
    assert_eq!(detached(user.recv().unwrap_err()), gone);
    assert!(!is_there(&other, &address));

    // When there is neither.
    let (link, address) = made(&connection, LifetimePolicy::DeleteOnNoLinksOrMessages);
    link.close().unwrap();
    assert!(!is_there(&other, &address));
    let (link, address) = made(&connection, LifetimePolicy::DeleteOnNoLinksOrMessages);
    let user = other.sender(address.clone()).unwrap();
    link.close().unwrap();
    user.send("kept").unwrap().accepted().unwrap();
    user.close().unwrap();
    assert!(is_there(&other, &address));
    let user = other.receiver(address.clone()).unwrap();
    for _ in 0..2 {
        user.recv().unwrap().accept().unwrap();
    }
    user.close().unwrap();
    assert!(!is_there(&other, &address));
}

#[test]
fn all_queues_have_a_bound_together() {
    let limits = Limits { total: Bound { messages: 20, bytes: 1 << 20 }, ..Limits::default() };
    let broker = start_with(limits);
    let options = Options { timeout: SILENCE, ..Options::default() };
    let connection = options.connect(broker.address()).unwrap();
    let senders = ["a", "b"].map(|queue| connection.sender(queue).unwrap());
    let mut held = 0;
    let full = 'full: loop {
        for sender in &senders {
            match sender.send("m") {
                Ok(Outcome::Accepted) => held += 1,
                Ok(Outcome::Rejected(Some(error))) => {
                    assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED)
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break 'full error,
            }
        }
    };
    assert!(matches!(full, Error::TimedOut(Waiting::Credit)), "{full:?}");
    assert!((20..=40).contains(&held), "{held}");
    for queue in ["a", "b"] {
        let consumer = connection.receiver(queue).unwrap();
        while let Ok(delivery) = consumer.recv_timeout(SILENCE) {
            delivery.accept().unwrap();
            held -= 1;
        }
    }
    assert_eq!(held, 0);
    for sender in &senders {
        sender.send("room again").unwrap().accepted().unwrap();
    }
}

#[test]
fn k3_a_link_attached_anew_over_another_connection_is_stolen() {
    let broker = start();
    let old = connect_as("twin", broker.address());
    let new = connect_as("twin", broker.address());
    let config = LinkConfig::receiver("mine", "q");
    let stolen = old.attach_receiver(config.clone(), 10).unwrap();
    send_all(&old, "q", &["unsettled"]);
    let held = stolen.recv().unwrap();
    let heir = new.attach_receiver(config, 10).unwrap();
    assert_eq!(detached(stolen.recv().unwrap_err()), condition::LINK_STOLEN);
    let delivery = heir.recv().unwrap();
    assert_eq!(text(&delivery), "unsettled");
    delivery.accept().unwrap();
    drop(held);
}

#[test]
fn k10_any_name_will_do() {
    let broker = start();
    let connection = connect(broker.address());
    for name in ["", "räksmörgås ☃", &"long".repeat(1_000)] {
        connection
            .attach_sender(LinkConfig::sender(name, "q"))
            .unwrap()
            .send("m")
            .unwrap()
            .accepted()
            .unwrap();
    }
}

#[test]
fn a_full_queue_gives_no_credit_until_half_of_it_is_free() {
    let limits = Limits { queue: Bound { messages: 10, bytes: 1 << 20 }, ..Limits::default() };
    let broker = start_with(limits);
    let options = Options { timeout: SILENCE, ..Options::default() };
    let connection = options.connect(broker.address()).unwrap();
    let relay = sender("relay", Target::default());
    for link in [LinkConfig::sender("direct", "q"), relay] {
        let receiver =
            connect(broker.address()).attach_receiver(LinkConfig::receiver("late", "q"), 1).unwrap();
        let sender = connection.attach_sender(link).unwrap();
        let mut sent = 0;
        let full = loop {
            match sender.send(Message::from(sent.to_string()).with_to("q")) {
                Ok(outcome) => outcome.accepted().unwrap(),
                Err(error) => break error,
            }
            sent += 1;
        };
        assert!(matches!(full, Error::TimedOut(Waiting::Credit)), "{full:?}");
        assert!((10..=20).contains(&sent), "{sent}");
        for n in 0..sent {
            let delivery = receiver.recv().unwrap();
            assert_eq!(text(&delivery), n.to_string());
            delivery.accept().unwrap();
        }
        sender.send(Message::from("room again").with_to("q")).unwrap().accepted().unwrap();
        receiver.recv().unwrap().accept().unwrap();
    }
}

#[test]
fn one_full_queue_does_not_stop_the_others() {
    let limits = Limits { queue: Bound { messages: 1_000, bytes: 100 }, ..Limits::default() };
    let broker = start_with(limits);
    let options = Options { timeout: SILENCE, ..Options::default() };
    let connection = options.connect(broker.address()).unwrap();
    let full = connection.sender("full").unwrap();
    let error = loop {
        match full.send("a text of some twenty bytes") {
            Ok(outcome) => assert!(matches!(outcome, Outcome::Accepted | Outcome::Rejected(_))),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TimedOut(Waiting::Credit)), "{error:?}");
    send_all(&connection, "empty", &["passes"]);
}

#[test]
fn there_is_a_bound_on_queues_and_empty_ones_are_forgotten() {
    let broker = start_with(Limits { queues: 2, ..Limits::default() });
    let connection = connect(broker.address());
    let first = connection.sender("1").unwrap();
    let second = connection.receiver("2").unwrap();
    let error = connection.sender("3").unwrap_err();
    assert_eq!(detached(error), condition::RESOURCE_LIMIT_EXCEEDED);
    connection.sender("1").unwrap().close().unwrap();
    first.close().unwrap();
    connection.sender("3").unwrap();
    second.close().unwrap();
    for n in 0..100 {
        connection.sender(n.to_string()).unwrap().close().unwrap();
    }
}

#[test]
fn a_message_too_large_for_one_consumer_goes_to_another() {
    let broker = start();
    let connection = connect(broker.address());
    let narrow = LinkConfig { max_message_size: Some(100), ..LinkConfig::receiver("narrow", "q") };
    let narrow = connection.attach_receiver(narrow, 10).unwrap();
    send_all(&connection, "q", &[&"large ".repeat(100), "small"]);
    let delivery = narrow.recv().unwrap();
    assert_eq!(text(&delivery), "small");
    delivery.accept().unwrap();
    let wide = connection.receiver("q").unwrap();
    let delivery = wide.recv().unwrap();
    assert!(text(&delivery).starts_with("large"));
    delivery.accept().unwrap();
}

#[test]
fn a_consumer_for_which_all_is_too_large_loses_its_link() {
    let broker = start();
    let connection = connect(broker.address());
    let sender = connection.sender("q").unwrap();
    let sent: Vec<_> = (0..1_500).map(|_| sender.send("too large").unwrap()).collect();
    sent.into_iter().for_each(|sent| sent.accepted().unwrap());
    let narrow = LinkConfig { max_message_size: Some(1), ..LinkConfig::receiver("narrow", "q") };
    let narrow = connection.attach_receiver(narrow, 1).unwrap();
    assert_eq!(detached(narrow.recv().unwrap_err()), condition::RESOURCE_LIMIT_EXCEEDED);
    let wide = connection.receiver("q").unwrap();
    (0..1_500).for_each(|_| wide.recv().unwrap().accept().unwrap());
}

//= 3.4.5-07
#[test]
fn what_is_undeliverable_here_goes_elsewhere() {
    let broker = start();
    let connection = connect(broker.address());
    let here = connection.receiver("q").unwrap();
    send_all(&connection, "q", &["not for me"]);
    let not_here = Modified { undeliverable_here: Some(true), ..Modified::default() };
    here.recv().unwrap().modify(not_here).unwrap();
    assert!(matches!(here.recv_timeout(SILENCE), Err(Error::TimedOut(Waiting::Message))));
    let elsewhere = connection.receiver("q").unwrap();
    let delivery = elsewhere.recv().unwrap();
    assert_eq!((text(&delivery), failures(&delivery)), ("not for me".into(), None));
    delivery.accept().unwrap();
}

/// Asks for twenty messages, or fewer if there are fewer.
struct Drainer {
    url: Url,
    received: u32,
    tell: mpsc::Sender<u32>,
}

impl Handler for Drainer {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_receiver(&self.url, Prefetch(0));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Link::Receiver(receiver) = link {
            cx.add_credit(receiver, 20);
            cx.drain(receiver);
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &amqp1_std::Delivery<'_>) {
        self.received += 1;
    }

    fn on_drain_finished(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
        self.tell.send(self.received).unwrap();
        let connection = cx.connection_of(receiver).unwrap();
        cx.close(connection);
    }
}

#[test]
fn a_drain_brings_what_there_is() {
    let broker = start();
    let connection = connect(broker.address());
    for waiting in [0, 3, 20, 25] {
        let texts = vec!["m"; waiting];
        send_all(&connection, "q", &texts);
        let url = format!("{}/q", broker.address()).parse().unwrap();
        let (tell, told) = mpsc::channel();
        Container::new(Drainer { url, received: 0, tell }).run().unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(waiting.min(20) as u32));
    }
}

#[test]
fn a_consumer_waits_no_longer_than_the_output_of_its_connection_is_full() {
    let broker = start();
    let slow = connect(broker.address());
    let much = slow.attach_receiver(LinkConfig::receiver("much", "much"), 400).unwrap();
    let little = slow.receiver("little").unwrap();
    let connection = connect(broker.address());
    let sender = connection.sender("much").unwrap();
    for _ in 0..400 {
        sender.send(vec![0; 64 * 1024]).unwrap().accepted().unwrap();
    }
    send_all(&connection, "little", &["after much"]);
    for _ in 0..400 {
        much.recv().unwrap().accept().unwrap();
    }
    let delivery = little.recv_timeout(SOON).unwrap();
    assert_eq!(text(&delivery), "after much");
    delivery.accept().unwrap();
}

#[test]
fn strangers_do_no_harm() {
    let broker = start();
    let connection = connect(broker.address());
    for n in 0..300 {
        let mut socket = TcpStream::connect(broker.address()).unwrap();
        if n % 3 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            socket.set_read_timeout(Some(SOON)).unwrap();
            // A reset counts as an end, too.
            socket.read_to_end(&mut answer).ok();
            assert!(answer.starts_with(b"AMQP"), "{answer:?}");
        } else if n % 3 == 1 {
            socket.write_all(b"AMQP\0\x01\0\0").unwrap();
        }
    }
    send_all(&connection, "q", &["still here"]);
    send_all(&connect(broker.address()), "q", &["still here"]);
}

#[test]
fn a_stopped_broker_frees_its_port_and_tells_its_peers() {
    let broker = start();
    let address = broker.address().to_owned();
    let connection = connect(&address);
    let receiver = connection.receiver("q").unwrap();
    assert!(Broker::start(&address).unwrap_err().to_string().contains("in use"));
    broker.stop();
    assert!(matches!(receiver.recv(), Err(Error::Closed(None))));
    let broker = Broker::start(&address).unwrap();
    send_all(&connect(broker.address()), "q", &["back"]);
}

#[test]
fn a_bad_address_is_told() {
    assert!(Broker::start("localhost:port").unwrap_err().to_string().contains("bad port"));
}
