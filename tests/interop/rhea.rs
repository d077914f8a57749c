//! rhea for Node.js with our programs: `javascript/client.js` and `javascript/listener.js`.

use std::{ffi::OsStr, path::Path, process::Command};

use amqp1_std::Message;

use crate::{
    brokers::Broker,
    certificates::{Authority, Files},
    examples::{CONFIRMED, MESSAGES, listening, ours, ours_counting, received},
    process::{Program, await_listener, example, free_address},
    proton::{connect, peer},
};

/// Node.js with rhea.
struct Rhea {
    modules: String,
}

impl Rhea {
    fn installed() -> Option<Self> {
        Some(Self { modules: peer("AMQP1_RHEA")? })
    }

    fn client(&self, action: &str, url: &str, words: &[&str]) -> Program {
        Program::start(self.script("client.js").args([action, url]).args(words))
    }

    /// A listener of `javascript/listener.js`, and its address.
    fn listener(&self, words: &[&str]) -> (Program, String) {
        let mut program = Program::start(self.script("listener.js").args(words));
        let port = program.line();
        (program, format!("127.0.0.1:{port}"))
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("javascript").join(name));
        command.env("NODE_PATH", &self.modules).env_remove("DEBUG");
        command
    }
}

macro_rules! rhea {
    () => {
        match Rhea::installed() {
            Some(rhea) => rhea,
            None => return,
        }
    };
}

const COUNT: &str = "25";

/// What rhea's client prints that receives them all.
fn received_by_rhea() -> Vec<String> {
    (1..=MESSAGES).map(|at| format!("{{\"sequence\":{at}}}")).collect()
}

fn accepted() -> Vec<String> {
    vec!["accepted".into(); MESSAGES as usize]
}

#[test]
fn rhea_sends_to_our_direct_receiver() {
    let rhea = rhea!();
    let (direct, url) = listening(|url| ours_counting("direct_recv", url), "/examples");
    assert_eq!(rhea.client("send", &url, &[COUNT]).succeed(), accepted());
    assert_eq!(direct.succeed(), received(MESSAGES));
}

#[test]
fn rhea_receives_from_our_direct_sender() {
    let rhea = rhea!();
    let (direct, url) = listening(|url| ours_counting("direct_send", url), "/examples");
    assert_eq!(rhea.client("receive", &url, &[COUNT]).succeed(), received_by_rhea());
    assert_eq!(direct.succeed(), CONFIRMED);
}

#[test]
fn rhea_and_our_programs_through_our_broker() {
    let rhea = rhea!();
    let broker = Broker::ours();
    let url = broker.queue("rhea");
    let bare = url.trim_start_matches("amqp://");
    assert_eq!(rhea.client("send", bare, &[COUNT]).succeed(), accepted());
    assert_eq!(rhea.client("receive", bare, &[COUNT]).succeed(), received_by_rhea());
    assert_eq!(rhea.client("send", bare, &[COUNT]).succeed(), accepted());
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(rhea.client("receive", bare, &[COUNT]).succeed(), received_by_rhea());
}

#[test]
fn rhea_asks_our_servers() {
    let rhea = rhea!();
    let broker = Broker::ours();
    let url = broker.queue("requests");
    let mut server = ours("server", &url);
    assert!(server.line().starts_with("Listening on"));
    let (_direct, direct) = listening(|address| ours("server_direct", address), "/examples");
    for url in [url.trim_start_matches("amqp://"), &direct] {
        let lines = rhea.client("request", url, &["Hello", "again"]).succeed();
        assert_eq!(lines, ["Hello => HELLO", "again => AGAIN"]);
    }
}

#[test]
fn our_programs_with_a_listener_of_rhea() {
    let rhea = rhea!();
    let (_listener, address) = rhea.listener(&[]);
    let url = format!("{address}/examples");
    assert_eq!(ours("helloworld", &url).succeed(), ["Hello World!"]);
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    let url = format!("{address}/requests");
    let mut server = ours("server", &url);
    assert!(server.line().starts_with("Listening on"));
    assert_eq!(
        example("client", ["-a", &url, "Hello", "again"]).succeed(),
        ["Hello => HELLO", "again => AGAIN"]
    );
}

#[test]
fn rhea_and_our_programs_over_websocket() {
    let rhea = rhea!();
    let address = free_address();
    let url = format!("ws://{address}/websocket");
    let _broker = example("broker", ["-a", &url]);
    await_listener(address);
    assert_eq!(rhea.client("send", &url, &[COUNT]).succeed(), accepted());
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(rhea.client("receive", &url, &[COUNT]).succeed(), received_by_rhea());

    let (_listener, address) = rhea.listener(&["ws"]);
    let url = format!("ws://{address}/examples");
    assert_eq!(ours("helloworld", &url).succeed(), ["Hello World!"]);
    assert_eq!(ours_counting("simple_send", &url).succeed(), CONFIRMED);
    assert_eq!(ours_counting("simple_recv", &url).succeed(), received(MESSAGES));
}

#[test]
fn rhea_over_websocket_and_tls() {
    let rhea = rhea!();
    let authority = Authority::new("CA");
    let Files { certificate, key } = authority.certify(&["localhost"], "broker");
    let address = free_address();
    let url = format!("wss://localhost:{}/websocket", address.port());
    let arguments = [OsStr::new("-a"), OsStr::new(&url), OsStr::new("--cert"), certificate.as_os_str()];
    let _broker = example("broker", arguments.into_iter().chain([OsStr::new("--key"), key.as_os_str()]));
    await_listener(address);
    let client = |action| {
        Program::start(rhea.script("client.js").args([action, &*url, COUNT]).env("CA", authority.ca_file()))
    };
    assert_eq!(client("send").succeed(), accepted());
    assert_eq!(client("receive").succeed(), received_by_rhea());
}

#[test]
fn a_large_message_by_rhea_and_back_over_websocket() {
    let rhea = rhea!();
    let (_listener, address) = rhea.listener(&["ws"]);
    let connection = connect(&format!("ws://{address}"), |_| {});
    let (sender, receiver) = (connection.sender("large").unwrap(), connection.receiver("large").unwrap());
    let message = Message::from(vec![7; 3_000_000]);
    sender.send(message.clone()).unwrap().accepted().unwrap();
    let delivery = receiver.recv().unwrap();
    assert!(delivery.decode().unwrap().body == message.body);
    delivery.accept().unwrap();
    connection.close().unwrap();
}
