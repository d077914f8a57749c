//! Proton as the client of our container, by `python/client.py`.

use std::time::Duration;

use amqp1_engine::{
    codec::{Fields, Symbol},
    sasl::{Refusal, Sasl},
    types::{DeliveryState, Modified},
};
use amqp1_std::{ConnectionOptions, Security};

use crate::{nodes::Nodes, process::Ended, proton::Proton, samples};

/// Runs a Proton client against nodes of ours: the lines that it prints.
#[track_caller]
fn run(proton: &Proton, nodes: &Nodes, words: &[&str]) -> Vec<String> {
    proton.client([&[nodes.address.as_str()], words].concat()).succeed()
}

macro_rules! proton {
    () => {
        match Proton::installed() {
            Some(proton) => proton,
            None => return,
        }
    };
}

#[test]
fn proton_decodes_every_type_and_section_that_our_container_encodes() {
    let proton = proton!();
    let nodes = Nodes::listen();
    for name in samples::NAMES {
        assert_eq!(run(&proton, &nodes, &["receive", &format!("give/{name}"), name]), ["same"], "{name}");
    }
}

#[test]
fn our_container_decodes_every_type_and_section_that_proton_encodes() {
    let proton = proton!();
    let nodes = Nodes::listen();
    for name in samples::NAMES {
        let lines = run(&proton, &nodes, &["send", &format!("verify/{name}"), name]);
        assert_eq!(lines, ["ACCEPTED settled"], "{name}");
    }
}

#[test]
fn our_container_settles_with_each_outcome() {
    let proton = proton!();
    let nodes = Nodes::listen();
    let lines = run(&proton, &nodes, &["outcomes", "accepted", "released", "rejected", "modified"]);
    assert_eq!(
        lines,
        [
            "ACCEPTED settled",
            "RELEASED settled",
            "REJECTED settled x:because not wanted",
            "MODIFIED settled failed undeliverable {symbol('x-opt-note'): 'changed'}",
        ]
    );
}

#[test]
fn our_container_is_told_each_outcome() {
    let proton = proton!();
    let nodes = Nodes::listen();
    let lines =
        run(&proton, &nodes, &["settle", "numbers/4", "accepted", "released", "rejected", "modified"]);
    assert_eq!(lines, (1..=4).map(|at| format!("{{'sequence': ulong({at})}}")).collect::<Vec<_>>());
    let modified = Modified {
        delivery_failed: Some(true),
        undeliverable_here: Some(false),
        message_annotations: Some(Fields::default().with(Symbol::from_static("x-opt-note"), "changed")),
    };
    let expected = [
        DeliveryState::Accepted,
        DeliveryState::Released,
        DeliveryState::Rejected(None),
        DeliveryState::Modified(Box::new(modified)),
    ];
    for state in expected {
        assert_eq!(nodes.outcome(), (Some(state), true));
    }
}

const SIZES: [&str; 9] = ["0", "1", "255", "256", "512", "65535", "65536", "131072", "2000000"];

#[test]
fn sizes_around_the_borders_of_encodings_and_frames() {
    let proton = proton!();
    let nodes = Nodes::listen();
    let lines = run(&proton, &nodes, &[&["bounce", "store/sizes"], &SIZES[..]].concat());
    assert_eq!(lines, ["True"; SIZES.len()]);
}

#[test]
fn frames_of_512_bytes_in_both_directions() {
    let proton = proton!();
    let nodes = Nodes::listen_with(ConnectionOptions { max_frame_size: 512, ..ConnectionOptions::default() });
    let words = [&["--max-frame-size", "512", "bounce", "store/small"], &SIZES[..]].concat();
    assert_eq!(run(&proton, &nodes, &words), ["True"; SIZES.len()]);
}

#[test]
fn drain_gives_what_there_is() {
    let proton = proton!();
    let nodes = Nodes::listen();
    assert_eq!(run(&proton, &nodes, &["drain", "numbers/3"]), ["3"]);
    assert_eq!(run(&proton, &nodes, &["drain", "numbers/20"]), ["10"]);
    assert_eq!(run(&proton, &nodes, &["drain", "store/empty"]), ["0"]);
}

#[test]
fn our_container_settles_second() {
    let proton = proton!();
    let nodes = Nodes::listen();
    assert_eq!(run(&proton, &nodes, &["second", "accepted"]), ["ACCEPTED unsettled"]);
}

#[test]
fn a_dynamic_source_is_given_an_address() {
    let proton = proton!();
    let nodes = Nodes::listen();
    assert_eq!(run(&proton, &nodes, &["dynamic"]), ["dynamic-1"]);
}

#[test]
fn a_refused_link_tells_why() {
    let proton = proton!();
    let nodes = Nodes::listen();
    assert_eq!(run(&proton, &nodes, &["refused", "refused"]), ["amqp:not-found"]);
}

#[test]
fn gotcha_7_heartbeats_keep_an_idle_connection() {
    let proton = proton!();
    let nodes = Nodes::listen_with(ConnectionOptions {
        idle_time_out: Some(Duration::from_secs(1)),
        ..ConnectionOptions::default()
    });
    assert_eq!(run(&proton, &nodes, &["idle", "3.5"]), ["alive"]);
}

#[test]
fn clients_without_sasl_are_let_in_by_default() {
    let proton = proton!();
    let nodes = Nodes::listen();
    assert_eq!(run(&proton, &nodes, &["--no-sasl", "outcomes", "accepted"]), ["ACCEPTED settled"]);
}

#[test]
fn the_password_decides() {
    let proton = proton!();
    let verify = |user: &str, password: &str| match (user, password) {
        ("guest", "guest") => Ok(()),
        _ => Err(Refusal::Credentials),
    };
    let nodes = Nodes::listen_with(ConnectionOptions {
        security: Security::Sasl(Sasl::server().plain(verify).into()),
        ..ConnectionOptions::default()
    });
    let words = |password| ["--user", "guest", "--password", password, "outcomes", "accepted"];
    assert_eq!(run(&proton, &nodes, &words("guest")), ["ACCEPTED settled"]);

    let client = |words: &[&str]| proton.client([&[nodes.address.as_str()], words].concat()).end();
    let Ended { status, errors, .. } = client(&words("wrong"));
    assert!(!status.success() && errors.contains("amqp:unauthorized-access"), "{errors}");
    // Nobody gets past a server that demands SASL.
    let Ended { status, .. } = client(&["--no-sasl", "outcomes", "accepted"]);
    assert!(!status.success());
    let Ended { status, .. } = client(&["--mechanism", "ANONYMOUS", "outcomes", "accepted"]);
    assert!(!status.success());
}
