//! Each recorded frame: read, checked, written again.

use amqp1_engine::{
    codec::{Decode, Encode},
    message::{Message, MessageView},
    types::{Performative, SaslCode, SaslInit, SaslMechanisms, SaslOutcome},
};
use amqp1_tests::{Recording, item, prelude::*};

use crate::samples;

/// What peers sent that is a frame with a performative: as it was written, and as it is read.
fn frames(recording: &Recording) -> impl Iterator<Item = (&[u8], Frame)> {
    recording.items.iter().filter(|(from, _)| recording.is_foreign(*from)).filter_map(
        |(_, bytes)| match item(bytes) {
            Item::Frame(frame) => Some((bytes.as_slice(), frame)),
            Item::Malformed(reason, bytes) => {
                panic!("{}: {reason}: {}", recording.name, bytes.escape_ascii())
            }
            Item::Header(_) | Item::Heartbeat(_) | Item::Sasl(_) => None,
        },
    )
}

#[test]
fn every_frame_is_written_no_longer_and_reads_the_same() {
    let mut count = 0;
    for recording in Recording::all() {
        for (bytes, frame) in frames(&recording) {
            let written = frame.encode();
            assert!(written.len() <= bytes.len(), "{}: {frame:?}", recording.name);
            assert_eq!(item(&written), Item::Frame(frame), "{}", recording.name);
            count += 1;
        }
    }
    assert!(count > 400, "{count} frames");
}

#[test]
fn what_proton_writes_in_the_shortest_way_is_written_to_the_same_bytes() {
    let mut count = 0;
    for recording in Recording::all().iter().filter(|recording| recording.is_between_protons()) {
        for (bytes, frame) in frames(recording) {
            // The others name fields that have their defaults.
            if let Performative::Open(_)
            | Performative::Begin(_)
            | Performative::Transfer(_)
            | Performative::Detach(_)
            | Performative::Close(_) = &frame.performative
            {
                assert_eq!(frame.encode(), bytes, "{}: {frame:?}", recording.name);
                count += 1;
            }
        }
    }
    assert!(count > 150, "{count} frames");
}

/// The message of a recording whose messages fill a transfer each.
fn messages(recording: &Recording, from: Side) -> Vec<Bytes> {
    let payloads = recording.frames(from).map(|frame| frame.payload);
    payloads.filter(|payload| !payload.is_empty()).collect()
}

#[test]
fn every_message_of_proton_is_written_no_longer_and_reads_the_same() {
    for name in samples::NAMES {
        let expected = samples::sample(name);
        let mut written = Vec::new();
        expected.encode(&mut written);
        for (recording, from) in
            [(format!("proton-{name}"), Side::Server), (format!("proton-{name}-sent"), Side::Client)]
        {
            let [encoded] = messages(&Recording::load(&recording), from).try_into().expect("one message");
            MessageView::scan(&encoded).unwrap().validate().unwrap();
            assert_eq!(Message::decode(&encoded).unwrap(), expected, "{recording}");
            assert!(written.len() <= encoded.len(), "{recording}");
        }
    }
}

/// The SASL frames of one side.
fn sasl(name: &str, from: Side) -> Vec<Bytes> {
    let items = Recording::load(name).read(from).collect::<Vec<_>>().into_iter();
    items.filter_map(|item| if let Item::Sasl(body) = item { Some(body) } else { None }).collect()
}

#[test]
fn sasl_of_rabbitmq() {
    let server = sasl("rabbitmq-wrong-password", Side::Server);
    let [mechanisms, outcome] = server.as_slice() else { panic!("{server:?}") };
    // An array of sym32, short as they are.
    assert_eq!(mechanisms[..11], [0x00, 0x53, 0x40, 0xc0, 0x27, 0x01, 0xe0, 0x24, 0x03, 0xb3, 0x00]);
    let mechanisms = SaslMechanisms::decode(mechanisms).unwrap();
    assert_eq!(
        mechanisms.sasl_server_mechanisms,
        ["PLAIN", "AMQPLAIN", "ANONYMOUS"].map(Symbol::from_static)
    );
    assert_eq!(SaslOutcome::decode(outcome).unwrap().code, SaslCode::Auth);

    let accepted = sasl("rabbitmq-types", Side::Server).pop().unwrap();
    assert_eq!(SaslOutcome::decode(&accepted).unwrap().code, SaslCode::Ok);
}

#[test]
fn sasl_of_proton() {
    let [mechanisms, outcome] = sasl("proton-broker-1", Side::Server).try_into().unwrap();
    let mechanisms = SaslMechanisms::decode(&mechanisms).unwrap();
    assert!(mechanisms.sasl_server_mechanisms.contains(&Symbol::from_static("ANONYMOUS")));
    assert_eq!(SaslOutcome::decode(&outcome).unwrap().code, SaslCode::Ok);
    let [init] = sasl("proton-broker-1", Side::Client).try_into().unwrap();
    assert_eq!(SaslInit::decode(&init).unwrap().mechanism, "ANONYMOUS");
}

/// What one side opened its connection with.
fn open(name: &str, from: Side) -> Open {
    let mut frames = Recording::load(name).frames(from).collect::<Vec<_>>().into_iter();
    let open = frames.find_map(|frame| match frame.performative {
        Performative::Open(open) => Some(*open),
        _ => None,
    });
    open.expect("the connection was opened")
}

#[test]
fn what_rabbitmq_says_of_itself() {
    let open = open("rabbitmq-types", Side::Server);
    assert_eq!((open.max_frame_size, open.channel_max), (131_072, 63));
    assert_eq!(open.idle_time_out, Some(30_000));
    let offered = ["LINK_PAIR_V1_0", "ANONYMOUS-RELAY"].map(Symbol::from_static);
    assert_eq!(open.offered_capabilities, offered);
    assert_eq!(open.properties.unwrap().get("product"), Some(ValueRef::String("RabbitMQ".into())));

    let recording = Recording::load("rabbitmq-types");
    let begin = recording.frames(Side::Server).find_map(|frame| match frame.performative {
        Performative::Begin(begin) => Some(*begin),
        _ => None,
    });
    let expected = Begin {
        remote_channel: Some(0),
        handle_max: 255,
        ..Begin::new(Serial::new(0xffff_fffc), 400, u32::MAX)
    };
    assert_eq!(begin, Some(expected));
}

#[test]
fn what_proton_says_of_itself() {
    let open = open("proton-small-frames", Side::Client);
    assert_eq!((open.max_frame_size, open.channel_max), (512, 32_767));
    assert_eq!(open.hostname.as_deref(), Some("127.0.0.1"));
    assert_eq!(open.idle_time_out, None);
}

#[test]
fn heartbeats_are_empty_frames() {
    let recording = Recording::load("proton-idle");
    let beats = recording.read(Side::Server).filter(|item| *item == Item::Heartbeat(0)).count();
    assert!(beats > 1, "{beats} heartbeats");
    assert!(recording.items.contains(&(Side::Server, vec![0, 0, 0, 8, 2, 0, 0, 0])));
}

#[test]
fn the_protocol_that_rabbitmq_demands() {
    let items: Vec<_> = Recording::load("rabbitmq-bare-header").read(Side::Server).collect();
    assert_eq!(items, [Item::Header(*b"AMQP\x03\x01\x00\x00")]);
}
