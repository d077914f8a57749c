//! Our example programs and Proton's with each other, and what ends programs early.

use std::net::SocketAddr;

use crate::{
    brokers::Broker,
    process::{self, Program, await_listener, free_address},
    proton::{Proton, peer},
};

pub(crate) const MESSAGES: u64 = 25;

/// What a program prints that receives them all, ours or Proton's.
pub(crate) fn received(count: u64) -> Vec<String> {
    (1..=count).map(|at| format!("{{'sequence': {at}}}")).collect()
}

pub(crate) const CONFIRMED: [&str; 1] = ["all messages confirmed"];

/// An example of ours with `-a`.
pub(crate) fn ours(name: &str, address: &str) -> Program {
    process::example(name, ["-a", address])
}

/// The same with `-m`.
pub(crate) fn ours_counting(name: &str, address: &str) -> Program {
    process::example(name, ["-a", address, "-m", &MESSAGES.to_string()])
}

fn theirs(proton: &Proton, name: &str, address: &str) -> Program {
    let arguments = ["-a", address, "-m", &MESSAGES.to_string()].map(String::from);
    proton.example(name, &arguments, None)
}

/// A program of ours that listens, once it does.
pub(crate) fn listening(start: impl FnOnce(&str) -> Program, node: &str) -> (Program, String) {
    let address: SocketAddr = free_address();
    let url = format!("{address}{node}");
    let program = start(&url);
    await_listener(address);
    (program, url)
}

#[test]
fn hello_world_through_the_embedded_broker() {
    assert_eq!(process::example("helloworld", [""; 0]).succeed(), ["Hello World!"]);
}

#[test]
fn hello_world_to_itself() {
    let address = free_address().to_string();
    assert_eq!(ours("helloworld_direct", &format!("{address}/examples")).succeed(), ["Hello World!"]);
}

#[test]
fn our_programs_through_every_broker() {
    let brokers = [Some(Broker::ours()), Broker::proton(), Broker::rabbitmq(), Broker::activemq()];
    for broker in brokers.into_iter().flatten() {
        assert_eq!(ours("helloworld", &broker.queue("hello-world")).succeed(), ["Hello World!"]);
        let url = broker.queue("simple");
        assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
        assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    }
}

#[test]
fn our_programs_with_protons_through_every_broker() {
    let Some(proton) = Proton::installed() else { return };
    let brokers = [Some(Broker::ours()), Broker::proton(), Broker::rabbitmq(), Broker::activemq()];
    for broker in brokers.into_iter().flatten() {
        let url = broker.queue("with-proton");
        assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
        assert_eq!(theirs(&proton, "simple_recv.py", &url).succeed(), received(MESSAGES));
        assert_eq!(theirs(&proton, "simple_send.py", &url).succeed(), CONFIRMED);
        assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    }
}

#[test]
fn a_queue_that_rabbitmq_does_not_know_ends_a_program_with_one_line() {
    let Some(broker) = peer("AMQP1_RABBITMQ") else { return };
    let ended = ours("simple_send", &format!("amqp://guest:guest@{broker}//queues/missing")).end();
    assert!(!ended.status.success());
    assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
    assert!(ended.errors.contains("amqp:not-found"), "{}", ended.errors);
}

#[test]
fn a_wrong_password_ends_a_program_with_one_line() {
    let Some(broker) = peer("AMQP1_RABBITMQ") else { return };
    for name in ["helloworld", "simple_send", "simple_recv"] {
        let ended = ours(name, &format!("amqp://guest:wrong@{broker}//queues/examples")).end();
        assert!(!ended.status.success());
        assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
        assert!(ended.errors.contains("wrong credentials"), "{}", ended.errors);
    }
}

#[test]
fn protons_programs_through_our_broker() {
    let Some(proton) = Proton::installed() else { return };
    let (_broker, address) = listening(|address| ours("broker", address), "");
    let hello = proton.example("helloworld.py", &[], Some(("localhost:5672", &address)));
    assert_eq!(hello.succeed(), ["Hello World!"]);

    let hello = proton.example("helloworld_blocking.py", &[], Some(("localhost:5672", &address)));
    assert_eq!(hello.succeed(), ["Hello World!"]);

    let url = format!("{address}/examples");
    assert_eq!(theirs(&proton, "simple_send.py", &url).succeed(), CONFIRMED);
    assert_eq!(theirs(&proton, "simple_recv.py", &url).succeed(), received(MESSAGES));
    assert_eq!(theirs(&proton, "simple_send.py", &url).succeed(), CONFIRMED);
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(theirs(&proton, "simple_recv.py", &url).succeed(), received(MESSAGES));
}

#[test]
fn proton_asks_and_answers_through_our_broker() {
    let Some(proton) = Proton::installed() else { return };
    let (_broker, address) = listening(|address| ours("broker", address), "");
    let url = ["-a".to_owned(), format!("{address}/examples")];
    let mut server = proton.example("server.py", &url, None);
    assert_eq!(server.line(), format!("Listening on amqp://{}", url[1]));
    let lines = proton.example("client.py", &[&url[..], &["Hello".to_owned()]].concat(), None).succeed();
    assert_eq!(lines, ["Hello => HELLO"]);
}

#[test]
fn direct_receivers_of_ours_with_senders_of_protons() {
    let Some(proton) = Proton::installed() else { return };
    let (direct, url) = listening(|url| ours_counting("direct_recv", url), "/examples");
    assert_eq!(theirs(&proton, "simple_send.py", &url).succeed(), CONFIRMED);
    assert_eq!(direct.succeed(), received(MESSAGES));
}

#[test]
fn direct_senders_of_ours_with_receivers_of_protons() {
    let Some(proton) = Proton::installed() else { return };
    let (direct, url) = listening(|url| ours_counting("direct_send", url), "/examples");
    assert_eq!(theirs(&proton, "simple_recv.py", &url).succeed(), received(MESSAGES));
    assert_eq!(direct.succeed(), CONFIRMED);
}

#[test]
fn direct_receivers_of_protons_with_senders_of_ours() {
    let Some(proton) = Proton::installed() else { return };
    let (direct, url) = listening(|url| theirs(&proton, "direct_recv.py", url), "/examples");
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(direct.succeed(), received(MESSAGES));
}

#[test]
fn direct_senders_of_protons_with_receivers_of_ours() {
    let Some(proton) = Proton::installed() else { return };
    let (direct, url) = listening(|url| theirs(&proton, "direct_send.py", url), "/examples");
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    assert_eq!(direct.succeed(), CONFIRMED);
}

#[test]
fn direct_programs_of_ours_with_each_other() {
    let (direct, url) = listening(|url| ours_counting("direct_recv", url), "/examples");
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(direct.succeed(), received(MESSAGES));
    let (direct, url) = listening(|url| ours_counting("direct_send", url), "/examples");
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    assert_eq!(direct.succeed(), CONFIRMED);
}
