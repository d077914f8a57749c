//! Every file of the corpora, through the target that it belongs to.

use std::{fs, path::Path};

use arbitrary::{Arbitrary, Unstructured};

/// Runs `target` on what the fuzzer makes of each file of `corpus/folder`.
fn replay_as<T: for<'a> Arbitrary<'a>>(folder: &str, target: fn(&T)) {
    replay(folder, |bytes| {
        if let Ok(input) = T::arbitrary_take_rest(Unstructured::new(bytes)) {
            target(&input);
        }
    });
}

/// Runs `target` on each file of `corpus/folder`. The name of the file at fault is printed with the panic.
fn replay(folder: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the corpora are in the repository") {
        let path = entry.expect("the folder can be listed").path();
        println!("{}", path.display());
        target(&fs::read(&path).expect("the file can be read"));
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn values() {
    replay("value", amqp1_fuzz::value);
}

#[test]
fn frames() {
    replay("frame", amqp1_fuzz::frame);
    replay("hot", amqp1_fuzz::hot);
}

#[test]
fn messages() {
    replay("message", amqp1_fuzz::message);
    replay("value", amqp1_fuzz::message);
}

#[test]
fn messages_are_values() {
    replay("message", amqp1_fuzz::value);
}

#[test]
fn streams_to_a_server() {
    replay("server", amqp1_fuzz::server);
    replay("client", amqp1_fuzz::server);
}

#[test]
fn streams_to_a_client() {
    replay("client", amqp1_fuzz::client);
    replay("server", amqp1_fuzz::client);
}

#[test]
fn sasl_frames() {
    replay("sasl", amqp1_fuzz::sasl);
    replay("value", amqp1_fuzz::sasl);
}

#[test]
fn users() {
    replay_as("ops", amqp1_fuzz::ops);
}

#[test]
fn unsettled_deliveries() {
    replay_as("unsettled", amqp1_fuzz::unsettled);
}
