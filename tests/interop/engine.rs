//! The engine alone, in the loop of its documentation over a plain socket.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use amqp1_engine::{
    Config, Connection, DeliveryId, Event, LinkConfig, LinkId, Resumption, Serial, SessionConfig, SessionId,
    TerminusState, UnsettledMap,
    codec::{Decode, Encode},
    message::Message,
    sasl::Sasl,
    types::{DeliveryState, DeliveryTag, condition},
};
use bytes::{Buf, BytesMut};

use crate::{
    activemq,
    proton::{Proton, peer},
    rabbitmq::Rabbit,
};

/// A connection, its socket and its clock.
struct Driven {
    connection: Connection,
    socket: TcpStream,
    input: BytesMut,
    since: Instant,
}

impl Driven {
    fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let sasl = Sasl::client().anonymous().into();
        let config = Config { sasl: Some(sasl), ..Config::client("interop") };
        let mut connection = Connection::new(config, amqp1_engine::Instant::ZERO);
        connection.open();
        Self { connection, socket, input: BytesMut::new(), since: Instant::now() }
    }

    fn now(&self) -> amqp1_engine::Instant {
        amqp1_engine::Instant::ZERO + self.since.elapsed()
    }

    /// Goes on until an event is the one that is waited for.
    #[track_caller]
    fn until<T>(&mut self, mut wanted: impl FnMut(&mut Connection, &Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            loop {
                while let Some(event) = self.connection.poll_event() {
                    if let Some(found) = wanted(&mut self.connection, &event) {
                        return found;
                    }
                    assert!(!matches!(event, Event::Violated(_) | Event::Disconnected(_)), "{event:?}");
                }
                let now = self.now();
                let Some(mut transmit) = self.connection.poll_transmit(now) else { break };
                let written = self.socket.write(transmit.chunk()).unwrap();
                transmit.advance(written);
            }
            assert!(Instant::now() < deadline, "what is waited for does not happen");
            let mut buffer = [0; 4096];
            let now = self.now();
            match self.socket.read(&mut buffer) {
                Ok(0) => self.connection.handle_eof(now),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    self.connection.handle_input(&mut self.input, now);
                }
                // Nothing came in time.
                Err(_) => self.connection.handle_timeout(now),
            }
        }
    }
}

/// Sends messages through a queue, with numbers that wrap around and windows that are soon used up.
fn run(address: &str, queue: &str) -> (Driven, SessionId) {
    const COUNT: u64 = 20;
    let mut driven = Driven::connect(address);
    let wraps = Serial::new(u32::MAX - 2);
    let config = SessionConfig { next_outgoing_id: wraps, incoming_window: 3, ..SessionConfig::default() };
    let session = driven.connection.begin(config).unwrap();
    let mut endpoint = driven.connection.session(session).unwrap();
    let config = LinkConfig { initial_delivery_count: wraps, ..LinkConfig::sender("out", queue) };
    let sender = endpoint.attach_sender(config).unwrap();
    let receiver = endpoint.attach_receiver(LinkConfig::receiver("in", queue)).unwrap();
    driven.connection.receiver(receiver).unwrap().set_credit(100);

    let (mut sent, mut confirmed, mut received) = (0, 0, 0);
    driven.until(|connection, event| {
        while sent < COUNT && connection.sender(sender).unwrap().is_sendable() {
            let message = Message::from("x".repeat(1_000)).with_id(sent);
            connection
                .sender(sender)
                .unwrap()
                .send_message(DeliveryTag::from(sent), false, &message)
                .unwrap();
            sent += 1;
        }
        match *event {
            Event::Delivery(id) if take(connection, receiver, id) == Some(received) => received += 1,
            Event::Updated(id) if id.link() == sender => {
                let state = connection.sender(sender).unwrap().settle(id, None).unwrap();
                assert_eq!(state, Some(DeliveryState::Accepted));
                confirmed += 1;
            }
            _ => {}
        }
        (confirmed == COUNT && received == COUNT).then_some(())
    });
    (driven, session)
}

/// The id of a message that is complete, which is accepted.
fn take(connection: &mut Connection, receiver: LinkId, id: DeliveryId) -> Option<u64> {
    let mut receiver = connection.receiver(receiver).unwrap();
    if !receiver.delivery(id).unwrap().is_complete() {
        return None;
    }
    let payload = receiver.take(id).unwrap();
    receiver.accept(id).unwrap();
    match Message::decode(&payload.into_bytes()).unwrap().id() {
        Some(amqp1_engine::types::MessageId::Ulong(id)) => Some(*id),
        other => panic!("the id is {other:?}"),
    }
}

fn close(mut driven: Driven) {
    driven.connection.close(None);
    driven.until(|_, event| matches!(event, Event::Closed { error: None }).then_some(()));
}

#[test]
fn the_loop_of_the_documentation_talks_to_a_proton_listener() {
    let Some(proton) = Proton::installed() else { return };
    let listener = proton.listener(&[]);
    close(run(&listener.address, "store/engine").0);
}

#[test]
fn the_loop_of_the_documentation_talks_to_protons_broker() {
    let Some(address) = peer("AMQP1_PROTON_BROKER") else { return };
    close(run(&address, "interop-engine").0);
}

#[test]
fn gotcha_3_the_loop_of_the_documentation_talks_to_rabbitmq_whose_numbers_wrap_around_too() {
    let Some(address) = peer("AMQP1_RABBITMQ") else { return };
    let (mut driven, session) = run(&address, "/queues/interop");
    let session = driven.connection.session(session).unwrap();
    assert_eq!(session.remote_begin().unwrap().next_outgoing_id, Serial::new(0xffff_fffc));
    close(driven);
}

/// Connects under a name whose last connection the broker may not have seen the end of.
fn connect_again(address: &str) -> (Driven, SessionId) {
    for _ in 0..20 {
        let mut driven = Driven::connect(address);
        let session = driven.connection.begin(SessionConfig::default()).unwrap();
        let is_taken = |event: &Event| matches!(event, Event::Closed { error: Some(_) });
        let is_begun = |event: &Event| *event == Event::SessionBegun(session);
        if driven.until(|_, event| (is_taken(event) || is_begun(event)).then(|| is_begun(event))) {
            return (driven, session);
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the last connection does not end");
}

/// Sends over a link whose connection is lost, and resumes it over another from what was kept as bytes. These brokers keep no
/// record of deliveries: what has an outcome is over, all else is sent again.
fn resume(address: &str, queue: &str) {
    const COUNT: u64 = 5;
    let payload = |tag: &DeliveryTag| {
        let mut bytes = Vec::new();
        Message::from(format!("{tag:?}")).encode(&mut bytes);
        bytes
    };
    let mut driven = Driven::connect(address);
    let session = driven.connection.begin(SessionConfig::default()).unwrap();
    let config = LinkConfig::sender("resumed", queue);
    let sender = driven.connection.session(session).unwrap().attach_sender(config).unwrap();
    let mut sent = 0;
    driven.until(|connection, event| {
        let mut link = connection.sender(sender).unwrap();
        while sent < COUNT && link.is_sendable() {
            let tag = DeliveryTag::from(sent);
            link.send(tag, false, payload(&tag)).unwrap();
            sent += 1;
        }
        // The first outcome is not settled, and others may be on their way.
        (sent == COUNT && matches!(event, Event::Updated(_))).then_some(())
    });
    let mut kept = Vec::new();
    driven.connection.sender(sender).unwrap().terminus_state().unwrap().encode(&mut kept);
    drop(driven);

    let (mut driven, session) = connect_again(address);
    let config = TerminusState::decode(&kept).unwrap().config;
    assert_eq!(config.unsettled.as_ref().map(|unsettled| unsettled.len() as u64), Some(COUNT));
    let sender = driven.connection.session(session).unwrap().attach_sender(config).unwrap();
    let (mut over, mut again) = (0, 0);
    driven.until(|connection, event| {
        if let Event::Updated(id) = event {
            let state = connection.sender(sender).unwrap().settle(*id, None).unwrap();
            assert_eq!(state, Some(DeliveryState::Accepted));
            again += 1;
        }
        let mut link = connection.sender(sender).unwrap();
        for (tag, resumption) in if link.is_sendable() { link.unresolved() } else { vec![] } {
            match resumption {
                Resumption::Resend => {
                    link.resume(tag, payload(&tag)).unwrap();
                }
                Resumption::Forget(DeliveryState::Accepted) => {
                    assert_eq!(link.resolve(tag), Ok(None));
                    over += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        (over + again == COUNT).then_some(())
    });
    assert!(over > 0, "one outcome was known");
    close(driven);
}

#[test]
fn a_link_is_resumed_with_protons_broker() {
    let Some(address) = peer("AMQP1_PROTON_BROKER") else { return };
    resume(&address, "interop-resumed");
}

#[test]
fn rabbitmq_ends_the_session_of_a_link_that_is_resumed() {
    let Some(rabbit) = Rabbit::is_up() else { return };
    let queue = rabbit.queue("resumed", "classic");
    let mut driven = Driven::connect(&rabbit.address);
    let session = driven.connection.begin(SessionConfig::default()).unwrap();
    let unsettled = Some(UnsettledMap::from_iter([(DeliveryTag::from(7), None)]));
    let config = LinkConfig { unsettled, ..LinkConfig::sender("resumed", queue) };
    driven.connection.session(session).unwrap().attach_sender(config).unwrap();
    let error = driven.until(|_, event| match event {
        Event::SessionEnded { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error.unwrap().condition, condition::NOT_IMPLEMENTED);
    close(driven);
}

#[test]
fn a_link_is_resumed_with_activemq() {
    let Some(address) = peer("AMQP1_ACTIVEMQ") else { return };
    resume(&address, &activemq::queue("resumed"));
}
