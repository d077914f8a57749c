//! The broker of Proton's examples as the peer of our blocking interface. It has no requeueing and no filters, and keeps
//! of a message what Proton's `Message` keeps.

use std::time::Duration;

use amqp1_engine::{
    LinkConfig,
    message::{Body, Message},
    types::{Source, Target, TargetKind},
};
use amqp1_std::blocking::{Connection, Error, Outcome};

use crate::{
    proton::{connect, peer, try_connect},
    samples,
};

macro_rules! broker {
    () => {
        match peer("AMQP1_PROTON_BROKER") {
            Some(address) => address,
            None => return,
        }
    };
}

#[test]
fn messages_come_back() {
    let connection = connect(&broker!(), |_| {});
    bounce(&connection, "interop-samples", ["primitives", "compounds", "text-ids"].map(samples::sample));
    let sizes = [0, 255, 256, 65_535, 65_536, 2_000_000];
    bounce(&connection, "interop-sizes", sizes.map(|size| Message::new(Body::data(vec![b'x'; size]))));
    connection.close().unwrap();
}

#[test]
fn frames_of_512_bytes() {
    let connection = connect(&broker!(), |options| options.connection.max_frame_size = 512);
    let sizes = [0, 400, 512, 65_536, 500_000];
    bounce(&connection, "interop-frames", sizes.map(|size| Message::new("x".repeat(size))));
    connection.close().unwrap();
}

#[test]
fn gotcha_8_a_null_body_comes_back_as_none() {
    let connection = connect(&broker!(), |_| {});
    connection.sender("interop-null").unwrap().send(Message::default()).unwrap().accepted().unwrap();
    let receiver = connection.receiver("interop-null").unwrap();
    let delivery = receiver.recv().unwrap();
    // Proton for Python leaves the body out, without which there is no message (§3.2): all it could say is said.
    assert_eq!(delivery.decode().unwrap_err().to_string(), "a message has no body");
    delivery.accept().unwrap();
    connection.close().unwrap();
}

fn bounce(connection: &Connection, queue: &str, messages: impl IntoIterator<Item = Message>) {
    let sender = connection.sender(queue).unwrap();
    let receiver = connection.receiver(queue).unwrap();
    for message in messages {
        assert_eq!(sender.send(message.clone()).unwrap(), Outcome::Accepted);
        let delivery = receiver.recv().unwrap();
        let back = delivery.decode().unwrap();
        assert!(back.body == message.body, "came back changed: {back:?}, sent {message:?}");
        assert_eq!(back.id(), message.id());
        assert_eq!(back.correlation_id(), message.correlation_id());
        delivery.accept().unwrap();
    }
}

#[test]
fn a_dynamic_source_is_a_queue_that_others_may_send_to() {
    let broker = broker!();
    let connection = connect(&broker, |_| {});
    let mut config = LinkConfig::receiver("dynamic", "");
    config.source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
    let receiver = connection.attach_receiver(config, 1).unwrap();
    let address = receiver.remote_attach().unwrap().source.unwrap().address.unwrap();
    let other = connect(&broker, |_| {});
    other.sender(address).unwrap().send("found you").unwrap().accepted().unwrap();
    assert_eq!(receiver.recv().unwrap().decode().unwrap().body.as_str(), Some("found you"));
}

#[test]
fn the_null_target_relays_to_where_each_message_says() {
    let connection = connect(&broker!(), |_| {});
    let target = Some(Box::new(TargetKind::Target(Target::default())));
    let relay = connection.attach_sender(LinkConfig { target, ..LinkConfig::sender("relay", "") }).unwrap();
    let receiver = connection.receiver("interop-relay").unwrap();
    relay.send(Message::from("relayed").with_to("interop-relay")).unwrap().accepted().unwrap();
    assert_eq!(receiver.recv().unwrap().decode().unwrap().body.as_str(), Some("relayed"));
}

#[test]
fn what_is_released_does_not_come_again() {
    let connection = connect(&broker!(), |_| {});
    connection.sender("interop-released").unwrap().send("once").unwrap().accepted().unwrap();
    let receiver = connection.receiver("interop-released").unwrap();
    receiver.recv().unwrap().release().unwrap();
    let next = receiver.recv_timeout(Duration::from_millis(300));
    assert!(matches!(next, Err(Error::TimedOut(_))), "{next:?}");
}

#[test]
fn a_password_is_of_no_use_where_plain_is_not_offered() {
    // Proton offers PLAIN over encrypted connections only, unless told otherwise.
    let error = try_connect(&format!("amqp://guest:guest@{}", broker!()), |_| {}).unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)), "{error:?}");
    assert!(error.to_string().contains("SCRAM-SHA-256"), "{error}");
}
