//! Our blocking interface as the client of a Proton listener, whose nodes `python/listener.py` describes.

use std::{
    thread,
    time::{Duration, Instant},
};

use amqp1_engine::{
    LinkConfig,
    codec::{Encode, Fields, Map, Symbol, Value},
    message::{Body, Message},
    types::{Error as AmqpError, ReceiverSettleMode, SenderSettleMode, Source, TargetKind, condition},
};
use amqp1_std::blocking::{Connection, Error, Outcome, Receiver};

use crate::{
    nodes::changed,
    proton::{Proton, connect, try_connect},
    samples,
};

/// A listener for one test, or none where Proton is not installed: then the test is over.
macro_rules! listener {
    ($($option:literal),*) => {
        match Proton::installed() {
            Some(proton) => proton.listener(&[$($option),*]),
            None => return,
        }
    };
}

#[test]
fn proton_decodes_every_type_and_section_that_we_encode() {
    let listener = listener!();
    let connection = listener.connect();
    for name in samples::NAMES {
        let sender = connection.sender(format!("verify/{name}")).unwrap();
        assert_eq!(sender.send(samples::sample(name)).unwrap(), Outcome::Accepted, "{name}");
    }
    // The other way round, lest the listener accept anything.
    let sender = connection.sender("verify/null").unwrap();
    let outcome = sender.send(samples::sample("text-ids")).unwrap();
    assert!(matches!(outcome, Outcome::Rejected(Some(error)) if error.condition == "x:different"));
    connection.close().unwrap();
}

#[test]
fn we_decode_every_type_and_section_that_proton_encodes() {
    let listener = listener!();
    let connection = listener.connect();
    for name in samples::NAMES {
        let receiver = connection.receiver(format!("give/{name}")).unwrap();
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.decode().unwrap(), samples::sample(name), "{name}");
        delivery.message().unwrap().validate().unwrap();
        delivery.accept().unwrap();
    }
    connection.close().unwrap();
}

#[test]
fn we_encode_as_short_as_proton() {
    let listener = listener!();
    let connection = listener.connect();
    // Proton writes empty lists and maps, and every string of a map, in the same form as we do.
    for name in ["primitives", "sequences", "text-ids", "null"] {
        let receiver = connection.receiver(format!("give/{name}")).unwrap();
        let delivery = receiver.recv().unwrap();
        let mut ours = Vec::new();
        samples::sample(name).encode(&mut ours);
        assert!(
            ours.len() <= delivery.bytes().len(),
            "{name}: {} bytes, ours {}",
            delivery.bytes().len(),
            ours.len()
        );
    }
}

/// Sends messages of these sizes to where they come back from, and compares.
fn bounce(connection: &Connection, node: &str, sizes: &[usize]) {
    let sender = connection.sender(node).unwrap();
    let receiver = connection.receiver(node).unwrap();
    for &size in sizes {
        let text: String = (0..size).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        let binary: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let message = Message::new(text).with_property("binary", binary);
        assert_eq!(sender.send(message.clone()).unwrap(), Outcome::Accepted, "{size} bytes");
        let delivery = receiver.recv().unwrap();
        assert!(delivery.decode().unwrap() == message, "{size} bytes came back changed");
        delivery.accept().unwrap();
    }
}

#[test]
fn sizes_around_the_borders_of_encodings_and_frames() {
    let listener = listener!();
    let connection = listener.connect();
    bounce(&connection, "store/borders", &[0, 1, 254, 255, 256, 65_535, 65_536, 131_072, 300_000, 2_000_000]);
    connection.close().unwrap();
}

#[test]
fn frames_of_512_bytes_in_both_directions() {
    let listener = listener!("--max-frame-size", "512");
    let connection = connect(&listener.address, |options| options.connection.max_frame_size = 512);
    assert_eq!(connection.remote_open().unwrap().max_frame_size, 512);
    bounce(&connection, "store/small", &[1, 255, 256, 400, 512, 513, 65_536, 500_000]);
    connection.close().unwrap();
}

#[test]
fn proton_settles_with_each_outcome() {
    let listener = listener!();
    let connection = listener.connect();
    let outcome = |node: &str| connection.sender(node).unwrap().send("what do you make of it?").unwrap();

    assert_eq!(outcome("accepted"), Outcome::Accepted);
    assert_eq!(outcome("released"), Outcome::Released);
    let Outcome::Rejected(Some(error)) = outcome("rejected") else { panic!("not rejected") };
    assert_eq!(error.condition, "x:because");
    assert_eq!(error.description.as_deref(), Some("not wanted"));
    assert_eq!(error.info, Some(Fields::default().with(Symbol::from_static("x-detail"), 1i64)));
    let Outcome::Modified(modified) = outcome("modified") else { panic!("not modified") };
    assert_eq!(*modified, changed());
    connection.close().unwrap();
}

#[test]
fn we_settle_with_each_outcome() {
    let listener = listener!();
    let connection = listener.connect();
    let receive = || {
        let receiver = connection.receiver("report").unwrap();
        let delivery = receiver.recv().unwrap();
        (receiver, delivery)
    };
    let report = |receiver: &Receiver| receiver.recv().unwrap().decode().unwrap().body;
    let told = |state: &str| Map::default().with("state", state).with("settled", true);

    let (receiver, delivery) = receive();
    delivery.accept().unwrap();
    assert_eq!(report(&receiver), Body::from(told("ACCEPTED")));

    let (receiver, delivery) = receive();
    delivery.release().unwrap();
    assert_eq!(report(&receiver), Body::from(told("RELEASED")));

    let (receiver, delivery) = receive();
    let error =
        AmqpError { condition: condition::NOT_ALLOWED, description: Some("not this one".into()), info: None };
    delivery.reject(Some(error)).unwrap();
    let rejected = told("REJECTED").with("condition", "amqp:not-allowed").with("description", "not this one");
    assert_eq!(report(&receiver), Body::from(rejected));

    let (receiver, delivery) = receive();
    delivery.modify(changed()).unwrap();
    let annotations = Map::default().with(Symbol::from_static("x-opt-note"), "changed");
    let modified =
        told("MODIFIED").with("failed", true).with("undeliverable", true).with("annotations", annotations);
    assert_eq!(report(&receiver), Body::from(modified));
}

#[test]
fn settled_messages_have_no_outcome() {
    let listener = listener!();
    let connection = listener.connect();
    let config = LinkConfig {
        snd_settle_mode: SenderSettleMode::Settled,
        ..LinkConfig::sender("settled", "store/settled")
    };
    let sender = connection.attach_sender(config).unwrap();
    assert_eq!(sender.remote_attach().unwrap().snd_settle_mode, SenderSettleMode::Settled);
    assert_eq!(sender.send("settled").unwrap(), Outcome::Settled);
    let back = connection.receiver("store/settled").unwrap().recv().unwrap();
    assert_eq!(back.decode().unwrap(), Message::from("settled"));

    let config = LinkConfig {
        snd_settle_mode: SenderSettleMode::Settled,
        ..LinkConfig::receiver("settled-too", "numbers/3")
    };
    let receiver = connection.attach_receiver(config, 3).unwrap();
    for id in 1..=3 {
        let delivery = receiver.recv().unwrap();
        assert!(delivery.is_settled());
        assert_eq!(delivery.decode().unwrap().id(), Some(&u64::into(id)));
    }
}

#[test]
fn receiver_settles_second() {
    let listener = listener!();
    let connection = listener.connect();
    let second = |config| LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..config };

    let sender = connection.attach_sender(second(LinkConfig::sender("out", "accepted"))).unwrap();
    assert_eq!(sender.remote_attach().unwrap().rcv_settle_mode, ReceiverSettleMode::Second);
    for _ in 0..3 {
        assert_eq!(sender.send("second").unwrap(), Outcome::Accepted);
    }
    let receiver = connection.attach_receiver(second(LinkConfig::receiver("in", "report")), 1).unwrap();
    // Waits until Proton has settled.
    receiver.recv().unwrap().accept().unwrap();
    let told = receiver.recv().unwrap().decode().unwrap().body;
    assert_eq!(told, Body::from(Map::default().with("state", "ACCEPTED").with("settled", false)));
}

#[test]
fn gotcha_2_waiting_for_an_attach_ends_with_whatever_comes_instead() {
    let listener = listener!();
    let is_told = |error: &AmqpError, node: &str| {
        error.condition == condition::NOT_FOUND
            && error.description.as_deref() == Some(&format!("no node {node}"))
    };

    let connection = listener.connect();
    let error = connection.sender("refused").unwrap_err();
    assert!(matches!(&error, Error::Detached(Some(error)) if is_told(error, "refused")), "{error}");
    let error = connection.receiver("refused").unwrap_err();
    assert!(matches!(&error, Error::Detached(Some(error)) if is_told(error, "refused")), "{error}");
    // Attached with a terminus all the same, as Proton answers by default: the first call tells.
    let error = connection.receiver("detached").and_then(|receiver| receiver.recv()).unwrap_err();
    assert!(matches!(&error, Error::Detached(Some(error)) if is_told(error, "detached")), "{error}");
    // What went wrong with one link does no harm to the next.
    assert_eq!(connection.sender("accepted").unwrap().send("fine").unwrap(), Outcome::Accepted);

    let error = connection.receiver("ends-session").unwrap_err();
    assert!(matches!(&error, Error::Ended(Some(error)) if is_told(error, "ends-session")), "{error}");
    assert_eq!(error.to_string(), "the peer ended the session: no node ends-session (amqp:not-found)");

    let error = listener.connect().sender("closes-connection").unwrap_err();
    assert!(matches!(&error, Error::Closed(Some(error)) if is_told(error, "closes-connection")), "{error}");
}

#[test]
fn a_peer_that_does_not_answer_an_attach_is_not_waited_for_without_end() {
    let listener = listener!();
    let connection = connect(&listener.address, |options| options.timeout = Duration::from_millis(500));
    let since = Instant::now();
    let error = connection.sender("silent").unwrap_err();
    assert_eq!(error.to_string(), "timed out waiting for the peer to attach the link");
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(connection.sender("accepted").unwrap().send("fine").unwrap(), Outcome::Accepted);
}

#[test]
fn gotcha_4_links_in_opposite_directions_share_a_name() {
    let listener = listener!();
    let connection = listener.connect();
    let sender = connection.attach_sender(LinkConfig::sender("shared", "store/shared")).unwrap();
    let receiver = connection.attach_receiver(LinkConfig::receiver("shared", "store/shared"), 1).unwrap();
    sender.send("shared").unwrap().accepted().unwrap();
    assert_eq!(receiver.recv().unwrap().decode().unwrap(), Message::from("shared"));
    let error = connection.attach_sender(LinkConfig::sender("shared", "store/other")).unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
}

#[test]
fn gotcha_7_heartbeats_keep_an_idle_connection() {
    let listener = listener!("--idle-timeout", "1");
    let connection = connect(&listener.address, |options| {
        options.connection.idle_time_out = Some(Duration::from_secs(1));
    });
    // Proton advertises the half.
    assert_eq!(connection.remote_open().unwrap().idle_time_out, Some(500));
    thread::sleep(Duration::from_millis(3_500));
    assert_eq!(connection.sender("accepted").unwrap().send("still here").unwrap(), Outcome::Accepted);
    connection.close().unwrap();
}

#[test]
fn gotcha_8_a_message_without_a_body_is_sent_with_a_null_value() {
    let listener = listener!();
    let connection = listener.connect();
    let sender = connection.sender("verify/null").unwrap();
    assert_eq!(sender.send(Message::default()).unwrap(), Outcome::Accepted);
}

#[test]
fn a_dynamic_source_is_given_an_address() {
    let listener = listener!();
    let connection = listener.connect();
    let config = LinkConfig {
        source: Some(Box::new(Source { dynamic: true, ..Source::default() })),
        target: Some(Box::new(TargetKind::Target(Default::default()))),
        ..LinkConfig::new("dynamic")
    };
    let receiver = connection.attach_receiver(config, 1).unwrap();
    let source = receiver.remote_attach().unwrap().source.unwrap();
    assert_eq!(source.address.as_deref(), Some("dynamic-1"));
}

#[test]
fn password_by_plain() {
    let listener = listener!();
    let url = |password: &str| format!("amqp://guest:{password}@{}", listener.address);
    let connection = connect(&url("guest"), |_| {});
    assert_eq!(connection.sender("accepted").unwrap().send("welcome").unwrap(), Outcome::Accepted);
    let error = try_connect(&url("wrong"), |_| {}).unwrap_err();
    assert!(error.to_string().contains("authentication"), "{error}");
    let error =
        try_connect(&url("guest"), |options| options.connection.allow_clear_text = false).unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)), "{error}");
}

#[test]
fn a_client_without_sasl_is_taken() {
    let listener = listener!();
    let connection = connect(&listener.address, |options| {
        options.connection.security = amqp1_std::Security::None;
    });
    assert_eq!(connection.sender("accepted").unwrap().send("bare").unwrap(), Outcome::Accepted);
}

#[test]
fn values_of_every_type_come_back_in_application_properties() {
    let listener = listener!();
    let connection = listener.connect();
    let sender = connection.sender("store/properties").unwrap();
    let receiver = connection.receiver("store/properties").unwrap();
    let message = samples::sample("sections");
    sender.send(message.clone()).unwrap().accepted().unwrap();
    let back = receiver.recv().unwrap().decode().unwrap();
    assert_eq!(back, message);
    assert!(
        back.application_properties.is_some_and(|map| map.iter().any(|(_, value)| *value == Value::Null))
    );
}

#[test]
fn a_message_given_up_in_the_middle_never_was() {
    let listener = listener!();
    let connection = listener.connect();
    let sender = connection.sender("store/aborted").unwrap();
    let mut writer = sender.stream().unwrap();
    writer.write_piece(vec![0; 100_000]).unwrap();
    drop(writer);
    let mut writer = sender.stream_data(&Message::default(), 300_000).unwrap();
    for _ in 0..3 {
        writer.write_piece(vec![b'x'; 100_000]).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), Outcome::Accepted);
    let receiver = connection.receiver("store/aborted").unwrap();
    assert_eq!(receiver.recv().unwrap().decode().unwrap(), Message::new(Body::data(vec![b'x'; 300_000])));
}

#[test]
fn a_message_that_is_too_large_costs_its_link_only() {
    let listener = listener!();
    let connection = listener.connect();
    let config =
        LinkConfig { max_message_size: Some(1_000), ..LinkConfig::receiver("small", "give/primitives") };
    let receiver = connection.attach_receiver(config, 1).unwrap();
    let error = receiver.recv().unwrap_err();
    let Error::Violated(violation) = &error else { panic!("{error}") };
    assert_eq!(*violation.condition(), condition::LINK_MESSAGE_SIZE_EXCEEDED);
    assert_eq!(connection.sender("accepted").unwrap().send("fine").unwrap(), Outcome::Accepted);
}

#[test]
fn a_window_of_two_frames_is_enough() {
    let listener = listener!();
    let connection = connect(&listener.address, |options| options.connection.session.incoming_window = 2);
    bounce(&connection, "store/window", &[1, 1, 1, 500_000, 1, 1]);
}
