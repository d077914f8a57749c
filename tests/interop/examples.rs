//! Our example programs and Proton's with each other, and what ends programs early.

use std::net::SocketAddr;

use crate::{
    brokers::Broker,
    process::{Program, await_listener, example, free_address},
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
    example(name, ["-a", address])
}

/// The same with `-m`.
pub(crate) fn ours_counting(name: &str, address: &str) -> Program {
    example(name, ["-a", address, "-m", &MESSAGES.to_string()])
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
    assert_eq!(example("helloworld", [""; 0]).succeed(), ["Hello World!"]);
}

#[test]
fn hello_world_to_itself() {
    let address = free_address().to_string();
    assert_eq!(ours("helloworld_direct", &format!("{address}/examples")).succeed(), ["Hello World!"]);
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

/// Proton's server or client, at an address.
fn theirs_at(proton: &Proton, name: &str, address: &str, words: &[&str]) -> Program {
    let arguments: Vec<_> = ["-a", address].iter().chain(words).map(|&word| word.to_owned()).collect();
    proton.example(name, &arguments, None)
}

#[test]
fn servers_and_clients_of_ours_and_of_protons_through_every_broker() {
    let Some(proton) = Proton::installed() else { return };
    // RabbitMQ makes no addresses for responses.
    for broker in [Some(Broker::ours()), Broker::proton(), Broker::activemq()].into_iter().flatten() {
        let url = broker.queue("services");
        let mut server = theirs_at(&proton, "server.py", &url, &[]);
        assert!(server.line().starts_with("Listening on"));
        assert_eq!(example("client", ["-a", &url, "Hello"]).succeed(), ["Hello => HELLO"]);
        assert_eq!(theirs_at(&proton, "client.py", &url, &["Hello"]).succeed(), ["Hello => HELLO"]);
        drop(server);
        let url = broker.queue("our-services");
        let mut server = ours("server", &url);
        assert!(server.line().starts_with("Listening on"));
        assert_eq!(theirs_at(&proton, "client.py", &url, &["Hello"]).succeed(), ["Hello => HELLO"]);
        assert_eq!(theirs_at(&proton, "sync_client.py", &url, &[]).succeed(), poem());
    }
}

/// What clients print that are told no requests, ours or Proton's.
fn poem() -> Vec<String> {
    let lines = [
        "Twas brillig, and the slithy toves",
        "Did gire and gymble in the wabe.",
        "All mimsy were the borogroves,",
        "And the mome raths outgrabe.",
    ];
    lines.iter().map(|line| format!("{line} => {}", line.to_uppercase())).collect()
}

#[test]
fn direct_servers_of_ours_with_clients() {
    let (mut server, address) = listening(|address| ours("server_direct", address), "");
    assert_eq!(server.line(), format!("Listening on amqp://{address}"));
    let url = format!("{address}/examples");
    assert_eq!(ours("client", &url).succeed(), poem());
    let Some(proton) = Proton::installed() else { return };
    assert_eq!(theirs_at(&proton, "client.py", &url, &[]).succeed(), poem());
    assert_eq!(theirs_at(&proton, "sync_client.py", &url, &[]).succeed(), poem());
}

#[test]
fn direct_servers_of_protons_with_clients_of_ours() {
    let Some(proton) = Proton::installed() else { return };
    let start = |address: &str| proton.example("server_direct.py", &[], Some(("0.0.0.0:8888", address)));
    let (_server, address) = listening(start, "");
    assert_eq!(ours("client", &format!("{address}/examples")).succeed(), poem());
}

#[test]
fn protons_programs_select_and_browse_at_our_broker() {
    let Some(proton) = Proton::installed() else { return };
    let (_broker, address) = listening(|address| ours("broker", address), "");
    let url = format!("{address}/examples");
    assert_eq!(theirs(&proton, "colour_send.py", &url).succeed(), CONFIRMED);
    let green = theirs_at(&proton, "selected_recv.py", &url, &["-m", "13"]).succeed();
    assert_eq!(green, (1..=MESSAGES).step_by(2).map(|id| format!("green {id}")).collect::<Vec<_>>());
    // Proton's browser ends as soon as it has printed all that has come so far.
    let browsed = proton.example("queue_browser.py", &[], Some(("localhost:5672", &address))).succeed();
    assert!(!browsed.is_empty());
    for (line, id) in browsed.iter().zip((2..=MESSAGES).step_by(2)) {
        assert!(line.contains(&format!("red {id}")), "{line}");
    }
    let red = theirs_at(&proton, "simple_recv.py", &url, &["-m", "12"]).succeed();
    assert_eq!(red, (2..=MESSAGES).step_by(2).map(|id| format!("red {id}")).collect::<Vec<_>>());
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
