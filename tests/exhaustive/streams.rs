//! Twenty-four good streams: what one side of a connection heard, and what it did meanwhile.

use amqp1_engine::{
    codec::Described,
    sasl::Sasl,
    types::{Source, Target, TargetKind},
};
use amqp1_tests::{Recording, prelude::*};
use bytes::Buf;

/// Recordings, each with the side that an engine takes.
pub(crate) fn all() -> Vec<(Recording, Side)> {
    let between_protons = ["drain", "dynamic", "refused", "second", "settle"]
        .map(|name| (format!("proton-{name}"), Side::Server));
    let to_clients = [
        "proton-broker-1",
        "proton-outcomes",
        "proton-rabbitmq-2",
        "rabbitmq-bare-header",
        "rabbitmq-drain-2",
        "rabbitmq-errors-2",
        "rabbitmq-wrong-password",
    ]
    .map(|name| (name.to_owned(), Side::Client));
    let recorded =
        between_protons.into_iter().chain(to_clients).map(|(name, side)| (Recording::load(&name), side));
    let made = [frames(), settling(), receiving(), sessions(), plain(), termini()];
    let made = made.into_iter().flat_map(|made| [(made.clone(), Side::Client), (made, Side::Server)]);
    recorded.chain(made).collect()
}

/// Two engines: the client does what a story says, the server's user obeys, and all that they write is kept.
struct Story {
    client: Connection,
    server: Connection,
    inputs: [BytesMut; 2],
    items: Vec<(Side, Vec<u8>)>,
    session: SessionId,
    /// What arrived at the client, what of its own was told of, and what the server sends on.
    received: Vec<DeliveryId>,
    updated: Vec<DeliveryId>,
    server_senders: Vec<LinkId>,
}

fn record(name: &str, client: Config, server: Config, story: impl FnOnce(&mut Story)) -> Recording {
    let mut client = Connection::new(client, Instant::ZERO);
    client.open();
    let session = client.begin(SessionConfig::default()).unwrap();
    let mut course = Story {
        client,
        server: Connection::new(server, Instant::ZERO),
        inputs: [BytesMut::new(), BytesMut::new()],
        items: Vec::new(),
        session,
        received: Vec::new(),
        updated: Vec::new(),
        server_senders: Vec::new(),
    };
    course.run();
    story(&mut course);
    course.run();
    Recording { name: name.into(), items: course.items }
}

impl Story {
    fn attach_sender(&mut self, config: LinkConfig) -> LinkId {
        let link = self.client.session(self.session).unwrap().attach_sender(config).unwrap();
        self.run();
        link
    }

    fn attach_receiver(&mut self, config: LinkConfig) -> LinkId {
        let link = self.client.session(self.session).unwrap().attach_receiver(config).unwrap();
        self.run();
        link
    }

    fn send(&mut self, link: LinkId, number: u64, settled: bool, len: usize) -> DeliveryId {
        self.client.sender(link).unwrap().send(number.into(), settled, vec![7; len]).unwrap()
    }

    fn run(&mut self) {
        loop {
            let before = self.items.len();
            for item in written(&mut self.client) {
                self.inputs[0].extend_from_slice(&item);
                self.items.push((Side::Client, item));
            }
            self.server.handle_input(&mut self.inputs[0], Instant::ZERO);
            self.obey();
            for item in written(&mut self.server) {
                self.inputs[1].extend_from_slice(&item);
                self.items.push((Side::Server, item));
            }
            self.client.handle_input(&mut self.inputs[1], Instant::ZERO);
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Updated(id) => self.updated.push(id),
                    Event::Delivery(id) => {
                        self.client.receiver(id.link()).unwrap().take(id).unwrap();
                        self.received.push(id);
                    }
                    Event::Violated(violation) => panic!("{violation}"),
                    _ => {}
                }
            }
            if self.items.len() == before {
                return;
            }
        }
    }

    fn obey(&mut self) {
        let server = &mut self.server;
        while let Some(event) = server.poll_event() {
            match event {
                Event::Opened => server.open(),
                Event::Closed { .. } => server.close(None),
                Event::SessionBegun(id) => {
                    server.session(id).unwrap().accept(SessionConfig::default()).unwrap();
                }
                Event::SessionEnded { session, .. } => server.session(session).unwrap().end(None).unwrap(),
                Event::LinkAttached(link) => match server.role(link).unwrap() {
                    Role::Sender => {
                        server.sender(link).unwrap().attach(LinkConfig::sender("", "here")).unwrap();
                        self.server_senders.push(link);
                    }
                    Role::Receiver => {
                        let mut receiver = server.receiver(link).unwrap();
                        let rcv_settle_mode = receiver.remote_attach().unwrap().rcv_settle_mode;
                        let config = LinkConfig { rcv_settle_mode, ..LinkConfig::receiver("", "here") };
                        receiver.attach(config).unwrap();
                        receiver.set_credit(20);
                    }
                },
                Event::LinkDetached { link, closed, .. } => match (server.role(link).unwrap(), closed) {
                    (Role::Sender, true) => server.sender(link).unwrap().close(None).unwrap(),
                    (Role::Sender, false) => server.sender(link).unwrap().detach().unwrap(),
                    (Role::Receiver, true) => server.receiver(link).unwrap().close(None).unwrap(),
                    (Role::Receiver, false) => server.receiver(link).unwrap().detach().unwrap(),
                },
                Event::Drain(link) => server.sender(link).unwrap().drained(),
                Event::Delivery(id) => {
                    let mut receiver = server.receiver(id.link()).unwrap();
                    let _ = receiver.take(id);
                    if receiver.delivery(id).is_ok_and(IncomingDelivery::is_complete) {
                        let _ = receiver.accept(id);
                    }
                }
                Event::Updated(id) => {
                    // Ours that was judged, or theirs that was settled.
                    let _ = server.sender(id.link()).map(|mut sender| sender.settle(id, None));
                    let _ = server.receiver(id.link()).map(|mut receiver| receiver.settle(id));
                }
                Event::Violated(violation) => panic!("{violation}"),
                _ => {}
            }
        }
    }
}

const fn symbol(text: &'static str) -> Symbol {
    Symbol::from_static(text)
}

/// Headers and frames that the engine has to write.
fn written(engine: &mut Connection) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(mut transmit) = engine.poll_transmit(Instant::ZERO) {
        bytes.extend_from_slice(transmit.chunk());
        let len = transmit.chunk().len();
        transmit.advance(len);
    }
    let mut items = Vec::new();
    while let Some(head) = bytes.first_chunk::<4>() {
        let len = if head == b"AMQP" { 8 } else { u32::from_be_bytes(*head) as usize };
        let rest = bytes.split_off(len);
        items.push(std::mem::replace(&mut bytes, rest));
    }
    items
}

/// Deliveries in one frame and in several, in pieces, and one given up.
fn frames() -> Recording {
    let small = |config: Config| Config { max_frame_size: 512, ..config };
    record("frames", small(Config::client("client")), small(Config::server("server")), |story| {
        let link = story.attach_sender(LinkConfig::sender("frames", "there"));
        story.send(link, 1, false, 3);
        story.send(link, 2, false, 600);
        story.run();
        let mut sender = story.client.sender(link).unwrap();
        sender.start(tag("three"), false, 0, "one").unwrap();
        sender.write("two").unwrap();
        sender.finish().unwrap();
        sender.start(tag("four"), false, 0, "given up").unwrap();
        sender.abort().unwrap();
        story.run();
        for id in std::mem::take(&mut story.updated) {
            let _ = story.client.sender(link).unwrap().settle(id, None);
        }
        story.client.close(None);
    })
}

/// Deliveries settled before, by the receiver and by the sender, one by one and in ranges.
fn settling() -> Recording {
    record("settling", Config::client("client"), Config::server("server"), |story| {
        let first = story.attach_sender(LinkConfig::sender("first", "there"));
        let second = story.attach_sender(LinkConfig {
            rcv_settle_mode: ReceiverSettleMode::Second,
            initial_delivery_count: Serial::new(u32::MAX - 1),
            ..LinkConfig::sender("second", "there")
        });
        for link in [first, second] {
            for number in 0..3 {
                story.send(link, number, false, 2);
            }
        }
        story.send(first, 3, true, 2);
        story.send(second, 4, false, 2);
        story.run();
        for id in std::mem::take(&mut story.updated) {
            let _ = story.client.sender(id.link()).unwrap().settle(id, None);
        }
        story.run();
        story.client.sender(first).unwrap().close(None).unwrap();
        story.run();
        story.client.close(None);
    })
}

/// Every outcome, credit that is raised, lowered and drained.
fn receiving() -> Recording {
    record("receiving", Config::client("client"), Config::server("server"), |story| {
        let link = story.attach_receiver(LinkConfig::receiver("receiving", "there"));
        story.client.receiver(link).unwrap().set_credit(9);
        story.run();
        for number in 0..6_u64 {
            let mut sender = story.server.sender(story.server_senders[0]).unwrap();
            sender.send(number.into(), number == 5, vec![9; number as usize]).unwrap();
        }
        story.run();
        let ids = story.received.clone();
        let mut receiver = story.client.receiver(link).unwrap();
        receiver.accept(ids[0]).unwrap();
        receiver.accept(ids[1]).unwrap();
        receiver.release(ids[2]).unwrap();
        receiver.reject(ids[3], Some(Error::new(condition::NOT_ALLOWED))).unwrap();
        receiver.modify(ids[4], Modified { delivery_failed: Some(true), ..Modified::default() }).unwrap();
        receiver.drain();
        story.run();
        story.client.receiver(link).unwrap().close(None).unwrap();
        story.run();
        story.client.close(None);
    })
}

/// Two sessions; links that are detached, closed with an error and attached again; an end with an error.
fn sessions() -> Recording {
    record("sessions", Config::client("client"), Config::server("server"), |story| {
        let link = story.attach_sender(LinkConfig::sender("kept", "there"));
        story.client.sender(link).unwrap().detach().unwrap();
        story.run();
        story.client.sender(link).unwrap().attach(LinkConfig::sender("", "there")).unwrap();
        story.run();
        story.send(link, 1, true, 1);
        let why = Error { description: Some("why".into()), ..Error::new(condition::INTERNAL_ERROR) };
        story.client.sender(link).unwrap().close(Some(why.clone())).unwrap();
        let other = story.client.begin(SessionConfig { handle_max: 3, ..SessionConfig::default() }).unwrap();
        story.run();
        story.client.session(story.session).unwrap().end(Some(why)).unwrap();
        story.session = other;
        let link = story.attach_receiver(LinkConfig::receiver("kept", "there"));
        story.client.receiver(link).unwrap().set_credit(1);
        story.run();
        story.client.session(other).unwrap().end(None).unwrap();
        story.run();
        story.client.close(None);
    })
}

/// SASL, an open that says all it can, a close with an error.
fn plain() -> Recording {
    let client = Config {
        hostname: Some("there".into()),
        properties: Some(Fields::new().with("product", "amqp1").with("version", 1_u32)),
        offered_capabilities: [symbol("one")].into(),
        desired_capabilities: [symbol("one"), symbol("two")].into(),
        sasl: Some(Sasl::client().plain("alice", "open sesame").allow_clear_text().into()),
        ..Config::client("client")
    };
    let server = Config {
        sasl: Some(Sasl::server().anonymous().plain(|_, _| Ok(())).into()),
        ..Config::server("server")
    };
    record("plain", client, server, |story| {
        let link = story.attach_sender(LinkConfig::sender("link", "there"));
        story.send(link, 1, true, 1);
        story.run();
        story.client.close(Some(Error::new(condition::CONNECTION_FORCED)));
    })
}

/// Attaches with all that a terminus can have.
fn termini() -> Recording {
    record("termini", Config::client("client"), Config::server("server"), |story| {
        let filter = Described::new(symbol("apache.org:selector-filter:string"), "colour = 'green'");
        let source = Source {
            address: Some("there".into()),
            dynamic: false,
            distribution_mode: Some(symbol("copy")),
            filter: Some(Fields::new().with(symbol("selector"), Value::from(filter))),
            default_outcome: Some(DeliveryState::Released),
            outcomes: [symbol("amqp:accepted:list"), symbol("amqp:released:list")].into(),
            capabilities: [symbol("queue")].into(),
            ..Source::default()
        };
        let target = Target {
            address: Some("here".into()),
            capabilities: [symbol("queue")].into(),
            ..Target::default()
        };
        let link = story.attach_receiver(LinkConfig {
            source: Some(Box::new(source)),
            target: Some(Box::new(TargetKind::Target(target))),
            properties: Some(Fields::new().with(symbol("paired"), true)),
            max_message_size: Some(1_000_000),
            ..LinkConfig::new("link")
        });
        story.client.receiver(link).unwrap().close(None).unwrap();
        story.run();
        story.client.close(None);
    })
}
