//! Whole recorded connections, with an engine in the place of one side: what that side sent becomes calls, what the
//! other sent is fed whole, byte by byte and in random pieces.

use amqp1_engine::message::{Body, Message};
use amqp1_tests::{Recording, Replay, item, prelude::*};

use crate::samples;

/// Replays a recording in one way: the engine takes the way's side.
fn run(recording: &Recording, way: &Way) -> Replay {
    let config = recording.config(way.side);
    let mut peer = way.peer(config);
    let mut replay = Replay::default();
    // A client's first words wait for nothing.
    while peer.next_item().is_some() {}
    for (from, bytes) in &recording.items {
        if *from != way.side {
            peer.send_raw(bytes);
        } else if let Item::Frame(frame) = item(bytes) {
            replay.act(peer.engine(), frame).expect("what was done can be done");
        }
        while let Some(event) = peer.event() {
            if let Event::Violated(violation) = &event {
                panic!("a real peer broke a rule? {violation}");
            }
            replay.note(peer.engine(), event);
        }
        while peer.next_item().is_some() {}
    }
    replay
}

/// Replays a recording with its input whole and in pieces, the engine on this side.
fn each_chunking_of(name: &str, side: Side, check: impl Fn(&Replay)) {
    let recording = Recording::load(name);
    each_way(|way| {
        if way.side == side {
            check(&run(&recording, way));
        }
    });
}

#[test]
fn every_recorded_connection_runs_to_its_end() {
    for recording in Recording::all() {
        each_way(|way| {
            if way.side == Side::Server && !recording.is_between_protons() {
                return;
            }
            let replay = run(&recording, way);
            let opened = replay.events.contains(&Event::Opened);
            let closed = replay.events.iter().any(|event| matches!(event, Event::Closed { .. }));
            assert_eq!(opened, closed, "{}: {:?}", recording.name, replay.events);
        });
    }
}

#[test]
fn messages_of_every_type_and_section_arrive() {
    for name in samples::NAMES {
        let arrived = |replay: &Replay| {
            let [(_, payload)] = replay.payloads.as_slice() else { panic!("{name}: not one message") };
            assert_eq!(Message::decode(&payload.clone().into()).unwrap(), samples::sample(name), "{name}");
        };
        each_chunking_of(&format!("proton-{name}"), Side::Client, arrived);
        each_chunking_of(&format!("proton-{name}-sent"), Side::Server, arrived);
    }
    each_chunking_of("rabbitmq-types", Side::Client, |replay| {
        // The first two are answers of the management.
        let bodies: Vec<_> = replay.payloads[2..].iter().map(|(_, payload)| body(payload)).collect();
        assert_eq!(bodies, samples::NAMES.map(|name| samples::sample(name).body));
    });
}

#[test]
fn messages_in_frames_of_512_bytes_are_put_together() {
    let texts = ["".to_owned(), "t".repeat(3_000)].map(|text| Body::from(text.as_str()));
    for side in [Side::Client, Side::Server] {
        each_chunking_of("proton-small-frames", side, |replay| {
            let bodies: Vec<_> = replay.payloads.iter().map(|(_, payload)| body(payload)).collect();
            assert_eq!(bodies, texts);
        });
    }
}

#[test]
fn transfer_ids_of_rabbitmq_wrap_around() {
    each_chunking_of("proton-rabbitmq-2", Side::Client, |replay| {
        let bodies: Vec<_> = replay.payloads.iter().map(|(_, payload)| body(payload).to_string()).collect();
        assert_eq!(bodies, (1..=6).map(|at| format!("{{'sequence': {at}}}")).collect::<Vec<_>>());
    });
}

fn body(payload: &[u8]) -> Body {
    Message::decode(&Bytes::copy_from_slice(payload)).expect("a recorded message can be read").body
}

#[test]
fn outcomes_of_proton_are_told() {
    let kinds = |replay: &Replay| {
        replay.outcomes.iter().map(|outcome| format!("{outcome:?}")).collect::<Vec<_>>().join(", ")
    };
    each_chunking_of("proton-outcomes", Side::Client, |replay| {
        let expected = "Accepted, Released, Rejected(Some(Error { condition: \"x:because\", description: \
                        \"not wanted\", info: {Symbol(\"x-detail\"): Long(1)} })), Modified(Modified { \
                        delivery_failed: true, undeliverable_here: true, message_annotations: \
                        {Symbol(\"x-opt-note\"): String(\"changed\")} })";
        assert_eq!(kinds(replay), expected);
    });
    each_chunking_of("proton-settle", Side::Server, |replay| {
        let expected = "Accepted, Released, Rejected(None), Modified(Modified { delivery_failed: true, \
                        undeliverable_here: false, message_annotations: {Symbol(\"x-opt-note\"): \
                        String(\"changed\")} })";
        assert_eq!(kinds(replay), expected);
    });
}

#[test]
fn credit_that_is_left_is_given_back() {
    for name in ["proton-drain", "rabbitmq-drain-2", "rabbitmq-drain-3"] {
        each_chunking_of(name, Side::Client, |replay| {
            assert_eq!(replay.payloads.len(), 3, "{name}");
            assert!(replay.events.iter().any(|event| matches!(event, Event::Drained(_))), "{name}");
        });
    }
    each_chunking_of("proton-drain", Side::Server, |replay| {
        assert!(replay.events.iter().any(|event| matches!(event, Event::Drain(_))));
    });
}

#[test]
fn errors_keep_their_conditions() {
    let ended = |number: u32, condition: Symbol| {
        each_chunking_of(&format!("rabbitmq-errors-{number}"), Side::Client, |replay| {
            let told = replay.events.iter().any(|event| {
                matches!(event, Event::SessionEnded { error: Some(error), .. } if error.condition == condition)
            });
            assert!(told, "{number}: {:?}", replay.events);
        });
    };
    // The first one declares a queue for the others.
    for number in [2, 3, 7] {
        ended(number, condition::NOT_FOUND);
    }
    for number in [4, 5, 6] {
        ended(number, condition::NOT_IMPLEMENTED);
    }
    each_chunking_of("proton-refused", Side::Client, |replay| {
        let told = replay.events.iter().any(|event| {
            matches!(event, Event::LinkDetached { closed: true, error: Some(error), .. }
                if error.condition == condition::NOT_FOUND)
        });
        assert!(told, "{:?}", replay.events);
    });
}

#[test]
fn rabbitmq_demands_sasl_and_the_right_password() {
    let reason = |replay: &Replay| match replay.events.as_slice() {
        [Event::Disconnected(reason)] => reason.to_string(),
        events => panic!("{events:?}"),
    };
    each_chunking_of("rabbitmq-bare-header", Side::Client, |replay| {
        assert!(reason(replay).contains("SASL"), "{}", reason(replay));
    });
    each_chunking_of("rabbitmq-wrong-password", Side::Client, |replay| {
        assert!(reason(replay).starts_with("authentication failed: wrong credentials"), "{}", reason(replay));
    });
}
