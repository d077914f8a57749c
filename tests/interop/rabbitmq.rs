//! RabbitMQ 4 as the peer of our blocking interface and of our container. Each test declares queues of its own.

use std::{
    thread,
    time::{Duration, Instant},
};

use amqp1_engine::{
    LinkConfig,
    codec::{Described, Fields, Map, Symbol, Value},
    message::{Body, Message},
    types::{
        Attach, Modified, ReceiverSettleMode, SenderSettleMode, Source, Target, TargetKind, condition,
        distribution_mode,
    },
};
use amqp1_std::{
    Container, Context, Delivery, Handler, Knobs, Link, ReceiverId, Security, Url,
    blocking::{Connection, Error, Outcome, Receiver, Sender},
};

use crate::{
    nodes::changed,
    proton::{connect, peer, try_connect},
    samples,
};

/// The broker and a connection with it.
pub(crate) struct Rabbit {
    pub(crate) address: String,
    connection: Connection,
}

impl Rabbit {
    pub(crate) fn is_up() -> Option<Self> {
        peer("AMQP1_RABBITMQ").map(Self::at)
    }

    /// The one at this host and port.
    pub(crate) fn at(address: String) -> Self {
        let connection = connect(&format!("amqp://guest:guest@{address}"), |_| {});
        Self { address, connection }
    }

    /// Declares a queue: its address. It goes when nobody has consumed from it for a minute.
    pub(crate) fn queue(&self, name: &str, kind: &str) -> String {
        let management = Management::attach(&self.connection);
        let arguments = Map::default().with("x-queue-type", kind).with("x-expires", 60_000i64);
        let declaration = Map::default().with("durable", true).with("arguments", arguments);
        let address = format!("/queues/interop-{name}");
        let (status, _) = management.request("PUT", &address, declaration.into());
        assert!(["200", "201"].contains(&&*status), "{address}: {status}");
        let (status, _) = management.request("DELETE", &format!("{address}/messages"), Value::Null);
        assert_eq!(status, "200");
        address
    }
}

impl Rabbit {
    /// How many nodes of the cluster have a copy of a quorum queue.
    pub(crate) fn replicas(&self, queue: &str) -> usize {
        let (status, body) = Management::attach(&self.connection).request("GET", queue, Value::Null);
        assert_eq!(status, "200");
        let queue = body.as_value().and_then(Value::as_map).expect("a queue is a map");
        match queue.get("replicas") {
            Some(Value::Array(nodes)) => nodes.len(),
            Some(Value::List(nodes)) => nodes.len(),
            other => panic!("no replicas: {other:?} in {queue:?}"),
        }
    }
}

/// RabbitMQ's management over AMQP: a pair of links of the same name.
struct Management {
    sender: Sender,
    receiver: Receiver,
}

impl Management {
    fn attach(connection: &Connection) -> Self {
        let config = LinkConfig {
            source: Some(Box::new(Source { address: Some("/management".into()), ..Source::default() })),
            target: Some(Box::new(TargetKind::Target(Target {
                address: Some("/management".into()),
                ..Target::default()
            }))),
            snd_settle_mode: SenderSettleMode::Settled,
            properties: Some(Fields::default().with(Symbol::from_static("paired"), true)),
            ..LinkConfig::new(connection.link_name())
        };
        let sender = connection.attach_sender(config.clone()).unwrap();
        let receiver = connection.attach_receiver(config, 10).unwrap();
        Self { sender, receiver }
    }

    /// The status and the body of the answer.
    fn request(&self, method: &str, path: &str, body: Value) -> (String, Body) {
        let request = Message::new(body).with_id(1).with_to(path).with_subject(method).with_reply_to("$me");
        assert_eq!(self.sender.send(request).unwrap(), Outcome::Settled);
        let delivery = self.receiver.recv().unwrap();
        let answer = delivery.decode().unwrap();
        assert_eq!(answer.correlation_id(), Some(&1.into()));
        let status = answer.subject().expect("an answer has a status").to_string();
        delivery.accept().unwrap();
        (status, answer.body)
    }
}

macro_rules! rabbit {
    () => {
        match Rabbit::is_up() {
            Some(rabbit) => rabbit,
            None => return,
        }
    };
}

/// Nothing comes from a queue.
#[track_caller]
fn assert_empty(receiver: &Receiver) {
    let next = receiver.recv_timeout(Duration::from_millis(300));
    assert!(matches!(next, Err(Error::TimedOut(_))), "{next:?}");
}

#[test]
fn gotcha_4_management_is_a_pair_of_links_of_the_same_name() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("management", "classic");
    let management = Management::attach(&rabbit.connection);
    // Gotcha 8: a request without a body section would end the session; ours has a null value.
    let (status, body) = management.request("GET", &queue, Value::Null);
    assert_eq!(status, "200");
    let body = body.as_value().and_then(Value::as_map).unwrap();
    assert_eq!(body.get("name").and_then(Value::as_str), Some("interop-management"));
    let (status, _) = management.request("DELETE", &queue, Value::Null);
    assert_eq!(status, "200");
    let (status, _) = management.request("GET", &queue, Value::Null);
    assert_eq!(status, "404");
    rabbit.connection.close().unwrap();
}

#[test]
fn gotcha_3_transfer_ids_wrap_around() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("wrap", "classic");
    let sender = rabbit.connection.sender(&*queue).unwrap();
    let submitted: Vec<_> =
        (0..200u64).map(|id| sender.submit(Message::from("n").with_id(id)).unwrap()).collect();
    for message in submitted {
        assert_eq!(message.outcome().unwrap(), Outcome::Accepted);
    }
    // RabbitMQ begins a session with transfer-id 0xfffffffc.
    let receiver = rabbit.connection.receiver(&*queue).unwrap();
    for id in 0..200 {
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.decode().unwrap().id(), Some(&u64::into(id)));
        delivery.accept().unwrap();
    }
    assert_empty(&receiver);
}

#[test]
fn gotcha_9_every_type_comes_back_in_body_and_properties() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("types", "classic");
    let sender = rabbit.connection.sender(&*queue).unwrap();
    let receiver = rabbit.connection.receiver(&*queue).unwrap();
    for name in samples::NAMES {
        let mut message = samples::sample(name);
        // RabbitMQ takes no numbers as keys of annotations, which are reserved (§3.2.10).
        let reserved = message.message_annotations.take();
        message.message_annotations = reserved.map(|_| Map::default().with(X_OPT, "annotated"));
        assert_eq!(sender.send(message.clone()).unwrap(), Outcome::Accepted, "{name}");
        let delivery = receiver.recv().unwrap();
        let back = delivery.decode().unwrap();
        assert_eq!(back.body, message.body, "{name}");
        assert_eq!(back.properties, message.properties, "{name}");
        assert_eq!(back.application_properties, message.application_properties, "{name}");
        assert_eq!(back.footer, message.footer, "{name}");
        // They concern RabbitMQ alone, which does not send them on.
        assert_eq!(back.delivery_annotations, None, "{name}");
        let annotations = back.message_annotations.unwrap();
        assert_eq!(annotations.get("x-routing-key").and_then(Value::as_str), Some("interop-types"));
        if message.message_annotations.is_some() {
            assert_eq!(annotations.get("x-opt-message").and_then(Value::as_str), Some("annotated"));
        }
        delivery.accept().unwrap();
    }
    assert_eq!(ended(sender.send(samples::sample("sections"))), condition::INTERNAL_ERROR);
}

const X_OPT: Symbol = Symbol::from_static("x-opt-message");

#[test]
fn sizes_around_the_borders_of_encodings_and_frames() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("sizes", "classic");
    bounce(&rabbit.connection, &queue, &[0, 1, 255, 256, 65_535, 65_536, 131_072, 2_000_000]);
}

#[test]
fn gotcha_7_frames_of_512_bytes() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("frames", "classic");
    let connection = connect(&format!("amqp://guest:guest@{}", rabbit.address), |options| {
        options.connection.max_frame_size = 512;
    });
    bounce(&connection, &queue, &[0, 255, 256, 512, 65_536, 500_000]);
}

fn bounce(connection: &Connection, queue: &str, sizes: &[usize]) {
    let sender = connection.sender(queue).unwrap();
    let receiver = connection.receiver(queue).unwrap();
    for &size in sizes {
        let data: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let body = Body::data(data);
        assert_eq!(sender.send(Message::new(body.clone())).unwrap(), Outcome::Accepted);
        let delivery = receiver.recv().unwrap();
        assert!(delivery.decode().unwrap().body == body, "{size} bytes came back changed");
        delivery.accept().unwrap();
    }
}

#[test]
fn released_comes_again_and_rejected_does_not() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("outcomes", "quorum");
    let sender = rabbit.connection.sender(&*queue).unwrap();
    let receiver = rabbit.connection.receiver(&*queue).unwrap();
    let count = |delivery: &amqp1_std::blocking::Delivery| {
        let header = delivery.decode().unwrap().header;
        header.and_then(|header| header.delivery_count).unwrap_or(0)
    };

    sender.send("to be released").unwrap().accepted().unwrap();
    receiver.recv().unwrap().release().unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(delivery.decode().unwrap().body.as_str(), Some("to be released"));
    assert_eq!(count(&delivery), 0);
    let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
    delivery.modify(failed).unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(count(&delivery), 1);
    delivery.reject(None).unwrap();
    assert_empty(&receiver);

    sender.send("not for here").unwrap().accepted().unwrap();
    receiver.recv().unwrap().modify(changed()).unwrap();
    assert_empty(&receiver);
}

#[test]
fn settled_both_ways() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("settled", "classic");
    let settled = |config| LinkConfig { snd_settle_mode: SenderSettleMode::Settled, ..config };
    let sender = rabbit.connection.attach_sender(settled(LinkConfig::sender("out", &*queue))).unwrap();
    assert_eq!(sender.send("settled").unwrap(), Outcome::Settled);
    let receiver =
        rabbit.connection.attach_receiver(settled(LinkConfig::receiver("in", &*queue)), 1).unwrap();
    let delivery = receiver.recv().unwrap();
    assert!(delivery.is_settled());
    assert_eq!(delivery.decode().unwrap().body.as_str(), Some("settled"));
}

#[test]
fn gotcha_6_modes_in_force_are_those_of_the_answer() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("modes", "classic");
    let mixed = LinkConfig::receiver("mixed", &*queue);
    assert_eq!(mixed.snd_settle_mode, SenderSettleMode::Mixed);
    let receiver = rabbit.connection.attach_receiver(mixed, 1).unwrap();
    let answer: Attach = receiver.remote_attach().unwrap();
    assert_eq!(answer.snd_settle_mode, SenderSettleMode::Unsettled);
    assert_eq!(answer.rcv_settle_mode, ReceiverSettleMode::First);
    drop(receiver);

    // Copies are promised, and not given; the same goes for filters, here one that is broken.
    let filter = Described::new(0x0000_468c_0000_0004, amqp1_engine::codec::Str::from("colour = 'green"));
    let mut browse = LinkConfig::receiver("browse", &*queue);
    browse.source = Some(Box::new(Source {
        address: Some(queue.as_str().into()),
        distribution_mode: Some(distribution_mode::COPY),
        filter: Some(Fields::default().with(Symbol::from_static("selector"), filter)),
        ..Source::default()
    }));
    let asked = browse.source.clone().unwrap();
    let receiver = rabbit.connection.attach_receiver(browse, 1).unwrap();
    let source = receiver.remote_attach().unwrap().source.unwrap();
    assert_eq!(source.distribution_mode, Some(distribution_mode::COPY));
    assert!(source.filter.is_none() || source.filter == asked.filter, "{:?}", source.filter);
    rabbit.connection.sender(&*queue).unwrap().send("red").unwrap().accepted().unwrap();
    receiver.recv().unwrap().accept().unwrap();
    drop(receiver);
    assert_empty(&rabbit.connection.receiver(&*queue).unwrap());
}

#[test]
fn the_null_target_relays_to_where_each_message_says() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("relay", "classic");
    let config = LinkConfig {
        target: Some(Box::new(TargetKind::Target(Target::default()))),
        ..LinkConfig::sender("relay", "")
    };
    let relay = rabbit.connection.attach_sender(config).unwrap();
    assert_eq!(relay.send(Message::from("here").with_to(&*queue)).unwrap(), Outcome::Accepted);
    // Nobody has a queue of this name.
    assert_eq!(
        relay.send(Message::from("nowhere").with_to("/queues/interop-missing")).unwrap(),
        Outcome::Released
    );
    let delivery = rabbit.connection.receiver(&*queue).unwrap().recv().unwrap();
    assert_eq!(delivery.decode().unwrap().body.as_str(), Some("here"));
}

#[test]
fn a_message_that_no_binding_takes_is_released() {
    let rabbit = rabbit!();
    let sender = rabbit.connection.sender("/exchanges/amq.topic/nobody.listens").unwrap();
    assert_eq!(sender.send("unroutable").unwrap(), Outcome::Released);
}

/// The condition with which the session was ended while a link was being attached.
#[track_caller]
fn ended<T: std::fmt::Debug>(result: Result<T, Error>) -> Symbol {
    match result {
        Err(Error::Ended(Some(error))) => error.condition,
        other => panic!("the session was not ended with an error: {other:?}"),
    }
}

#[test]
fn gotcha_2_errors_end_the_session() {
    let rabbit = rabbit!();
    let session = || connect(&format!("amqp://guest:guest@{}", rabbit.address), |_| {});
    let second = |config| LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..config };

    let since = Instant::now();
    assert_eq!(ended(session().sender("/queues/interop-missing")), condition::NOT_FOUND);
    assert_eq!(ended(session().receiver("/queues/interop-missing")), condition::NOT_FOUND);
    assert!(since.elapsed() < Duration::from_secs(10), "the end of the session is not waited past");

    // What it does not have.
    let mut dynamic = LinkConfig::receiver("dynamic", "");
    dynamic.source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
    assert_eq!(ended(session().attach_receiver(dynamic, 1)), condition::NOT_IMPLEMENTED);
    let queue = rabbit.queue("second", "classic");
    let receiver = second(LinkConfig::receiver("second", &*queue));
    assert_eq!(ended(session().attach_receiver(receiver, 1)), condition::NOT_IMPLEMENTED);
    let sender = second(LinkConfig::sender("second", &*queue));
    assert_eq!(ended(session().attach_sender(sender)), condition::NOT_IMPLEMENTED);

    // The session's other links went with it, and say so.
    let connection = session();
    let receiver = connection.receiver(&*queue).unwrap();
    ended(connection.sender("/queues/interop-missing"));
    assert_eq!(ended(receiver.recv()), condition::NOT_FOUND);
    connection.close().unwrap();
}

#[test]
fn sasl_plain_and_anonymous() {
    let rabbit = rabbit!();
    let url = |user: &str| format!("amqp://{user}{}", rabbit.address);
    connect(&url(""), |_| {}).close().unwrap();

    let error = try_connect(&url("guest:wrong@"), |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("authentication failed: wrong credentials"), "{error}");
    let error = try_connect(&url("guest:guest@"), |options| options.connection.allow_clear_text = false);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("PLAIN"), "{error}");
}

#[test]
fn gotcha_1_a_client_without_sasl_is_told_that_it_is_demanded() {
    let rabbit = rabbit!();
    let error =
        try_connect(&rabbit.address, |options| options.connection.security = Security::None).unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)), "{error:?}");
    assert!(error.to_string().contains("SASL"), "{error}");
}

#[test]
fn gotcha_7_heartbeats_keep_an_idle_connection() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("idle", "classic");
    let connection = connect(&format!("amqp://guest:guest@{}", rabbit.address), |options| {
        options.connection.idle_time_out = Some(Duration::from_secs(2));
    });
    let sender = connection.sender(&*queue).unwrap();
    thread::sleep(Duration::from_millis(4_500));
    assert_eq!(sender.send("still here").unwrap(), Outcome::Accepted);
    connection.close().unwrap();
}

/// Takes what a queue has by draining it, twice.
struct Drain {
    url: Url,
    bodies: Vec<String>,
    drained: usize,
}

impl Handler for Drain {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_receiver(&self.url, ());
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Link::Receiver(receiver) = link {
            cx.add_credit(receiver, 10);
            cx.drain(receiver);
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.bodies.push(delivery.decode().unwrap().body.to_string());
    }

    fn on_drain_finished(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
        self.drained += 1;
        assert_eq!(cx.credit(receiver), 0);
        if self.drained == 2 {
            return cx.close(cx.connection_of(receiver).unwrap());
        }
        cx.add_credit(receiver, 10);
        cx.drain(receiver);
    }
}

#[test]
fn drain_gives_what_there_is() {
    let rabbit = rabbit!();
    for kind in ["classic", "quorum"] {
        let queue = rabbit.queue(&format!("drain-{kind}"), kind);
        let sender = rabbit.connection.sender(&*queue).unwrap();
        for text in ["one", "two", "three"] {
            sender.send(text).unwrap().accepted().unwrap();
        }
        let url = format!("{}/{queue}", rabbit.address).parse().unwrap();
        let mut container = Container::new(Drain { url, bodies: Vec::new(), drained: 0 });
        let deadline = Instant::now() + Duration::from_secs(30);
        while container.process(Duration::from_secs(1)).unwrap() {
            assert!(Instant::now() < deadline, "{kind}: the drain does not end");
        }
        assert_eq!(container.handler().bodies, ["one", "two", "three"], "{kind}");
    }
}

#[test]
fn a_message_larger_than_rabbitmq_takes_is_not_sent() {
    let rabbit = rabbit!();
    let queue = rabbit.queue("too-large", "classic");
    let sender = rabbit.connection.sender(&*queue).unwrap();
    assert_eq!(sender.remote_attach().unwrap().max_message_size, Some(16 * 1024 * 1024));
    let error = sender.send(Message::new(Body::data(vec![0; 17 * 1024 * 1024]))).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(sender.send("small").unwrap(), Outcome::Accepted);
}
