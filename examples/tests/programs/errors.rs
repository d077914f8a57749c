//! What the user, or the peer, does wrong: one clear line, and a code that is not 0.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use amqp1_examples::broker::Broker;
use amqp1_std::{
    Container, Context, Delivery, DeliveryId, Handler, Link, ListenerId, Move, Url,
    types::{Error, condition},
};

use crate::support::{free_address, run};

/// Runs a program that fails; its words must hold all of these.
fn fails(name: &str, arguments: &[&str], words: &[&str]) {
    let ended = run(name, arguments);
    let call = format!("{name} {arguments:?}");
    assert!(ended.code.is_some_and(|code| code != 0), "{call}: {ended:?}");
    assert_eq!(ended.out, "", "{call}");
    assert_eq!(ended.err.lines().count(), 1, "{call}: {}", ended.err);
    for word in words {
        assert!(ended.err.contains(word), "{call}: no {word:?} in {}", ended.err);
    }
    assert!(!ended.err.contains("panicked"), "{call}");
}

const CLIENTS: [&str; 10] = [
    "helloworld",
    "simple_send",
    "simple_recv",
    "tx_send",
    "tx_recv",
    "colour_send",
    "selected_recv",
    "queue_browser",
    "client",
    "server",
];
const LISTENERS: [&str; 3] = ["helloworld_direct", "direct_send", "direct_recv"];
const COUNTERS: [&str; 8] = [
    "simple_send",
    "simple_recv",
    "tx_send",
    "tx_recv",
    "direct_send",
    "direct_recv",
    "colour_send",
    "selected_recv",
];

#[test]
fn a_bad_address() {
    for name in CLIENTS.iter().chain(&LISTENERS) {
        fails(name, &["-a", "localhost:5672"], &["localhost:5672/examples"]);
        fails(name, &["-a", "localhost:port/q"], &["port"]);
        fails(name, &["-a", "localhost:65536/q"], &["65535"]);
        fails(name, &["-a", "http://localhost/q"], &["amqp"]);
        fails(name, &["-a", ""], &["--address"]);
        fails(name, &["-a"], &["--address"]);
    }
    for name in ["broker", "server_direct"] {
        fails(name, &["-a", "localhost:port"], &["port"]);
    }
    fails("simple_send", &["-a", "amqps://localhost/q"], &["localhost:5671", "refused"]);
    fails("simple_send", &["-a", "no-such-host.invalid/q"], &["no-such-host.invalid"]);
}

#[test]
fn an_unknown_option() {
    for name in CLIENTS.iter().chain(&LISTENERS).chain(&["broker", "server_direct"]) {
        fails(name, &["--adress", "localhost"], &["--adress", "--help"]);
        fails(name, &["-x"], &["-x", "--help"]);
        // What the client is told besides are its requests.
        if *name != "client" {
            fails(name, &["stray"], &["stray", "--help"]);
        }
    }
}

#[test]
fn a_count_that_is_no_number() {
    for name in COUNTERS {
        for count in ["ten", "1.5", "", "99999999999999999999"] {
            fails(name, &["-m", count], &["--messages", "whole number"]);
        }
        fails(name, &["-m", "-1"], &["-1"]);
    }
    for name in ["simple_send", "tx_send", "direct_send", "colour_send"] {
        fails(name, &["-m", "0"], &["--messages", "at least 1"]);
    }
    for name in ["tx_send", "tx_recv"] {
        fails(name, &["-b", "0"], &["--batch-size", "at least 1"]);
    }
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in LISTENERS {
        fails(name, &["-a", &format!("{address}/examples")], &[&address, "in use", "another port"]);
    }
    fails("broker", &["-a", &address], &[&address, "in use", "another port"]);
}

#[test]
fn a_refused_connection() {
    let address = free_address();
    for name in CLIENTS {
        fails(name, &["-a", &format!("{address}/examples")], &[&address, "refused", "broker"]);
    }
}

#[test]
fn a_wrong_password() {
    let broker = Broker::start("amqp://scott:tiger@127.0.0.1:0").unwrap();
    for name in CLIENTS {
        let url = format!("amqp://scott:lion@{}/examples", broker.address());
        fails(name, &["-a", &url], &["wrong credentials"]);
        let url = format!("amqp://adams:tiger@{}/examples", broker.address());
        fails(name, &["-a", &url], &["wrong credentials"]);
        let url = format!("{}/examples", broker.address());
        fails(name, &["-a", &url], &["PLAIN"]);
    }
    let open = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("amqp://scott:tiger@{}/examples", open.address());
    fails("simple_send", &["-a", &url], &["ANONYMOUS"]);
}

/// How a peer turns down a link, or a message.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Detach,
    End,
    Close,
    CloseWithoutAWord,
    Reject,
    Release,
    /// Sends are taken, but all sources are to be consumed.
    Move,
}

struct Peer {
    refusal: Refusal,
    tell: mpsc::Sender<String>,
}

impl Peer {
    /// Starts a peer that lives as long as this process: its address.
    fn start(refusal: Refusal) -> String {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || Container::new(Self { refusal, tell }).run());
        told.recv().unwrap()
    }

    fn settle(&self, cx: &mut Context<'_>, id: DeliveryId) {
        let settled = match self.refusal {
            Refusal::Reject => cx.reject(id, no_queue()),
            _ => cx.release(id),
        };
        settled.unwrap();
    }
}

fn no_queue() -> Error {
    let description = Some("no queue 'examples' in vhost '/'".into());
    Error { condition: condition::NOT_FOUND, description, info: None }
}

impl Handler for Peer {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let url: Url = "127.0.0.1:0".parse().unwrap();
        cx.listen(&url);
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.tell.send(address.to_owned()).unwrap();
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        let session = cx.session_of(link).unwrap();
        let connection = cx.connection_of(link).unwrap();
        match self.refusal {
            Refusal::Detach => cx.close_with(link, no_queue()),
            Refusal::End => cx.close_with(session, no_queue()),
            Refusal::Close => cx.close_with(connection, no_queue()),
            Refusal::CloseWithoutAWord => cx.close(connection),
            Refusal::Move => cx.open_link(link, Move).unwrap(),
            Refusal::Reject | Refusal::Release => {}
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.settle(cx, delivery.id());
    }
}

#[test]
fn a_link_that_is_refused() {
    for refusal in [Refusal::Detach, Refusal::End, Refusal::Close] {
        let url = format!("{}/examples", Peer::start(refusal));
        for name in CLIENTS {
            fails(name, &["-a", &url], &["no queue 'examples'", "amqp:not-found"]);
        }
    }
}

#[test]
fn what_a_peer_cannot_do() {
    let url = format!("{}/examples", Peer::start(Refusal::Release));
    fails("client", &["-a", &url], &["no nodes are made here", "amqp:not-implemented"]);
    fails("selected_recv", &["-a", &url], &["does not know selectors"]);
    for name in ["tx_send", "tx_recv"] {
        fails(name, &["-a", &url], &["not declared", "no transactions here", "amqp:not-implemented"]);
    }
    let url = format!("{}/examples", Peer::start(Refusal::Move));
    fails("queue_browser", &["-a", &url], &["browsed"]);
}

#[test]
fn a_peer_that_leaves_without_a_word() {
    let url = format!("{}/examples", Peer::start(Refusal::CloseWithoutAWord));
    for name in CLIENTS {
        fails(name, &["-a", &url], &["closed"]);
    }
}

#[test]
fn a_message_that_is_not_accepted() {
    let url = format!("{}/examples", Peer::start(Refusal::Reject));
    for name in ["simple_send", "colour_send"] {
        fails(name, &["-a", &url], &["rejected", "no queue 'examples'", "amqp:not-found"]);
    }
    let url = format!("{}/examples", Peer::start(Refusal::Release));
    fails("simple_send", &["-a", &url], &["given back"]);
}

/// A peer that answers every connection with these bytes and hangs up: its address.
fn hang_up_after(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(answer);
        }
    });
    address
}

#[test]
fn a_dropped_socket() {
    let url = format!("{}/examples", hang_up_after(b""));
    for name in CLIENTS {
        fails(name, &["-a", &url], &[&url]);
    }
}

#[test]
fn a_peer_that_speaks_something_else() {
    let url = format!("{}/examples", hang_up_after(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    for name in CLIENTS {
        fails(name, &["-a", &url], &[&url]);
    }
}
