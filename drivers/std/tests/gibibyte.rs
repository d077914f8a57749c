//! One message of a gibibyte each way, written and read in pieces between two processes (W-14).
//!
//! It is alone in its program, since it looks at the memory of its process.

mod common;

use std::{
    env, fs,
    io::{Read, Write},
    process::Command,
    thread,
};

use amqp1_std::{
    Container, Context, Delivery, DeliveryId, Handler, Link, LinkConfig, ListenerId, MaxMessageSize, Message,
    SenderId, Url, blocking::Options,
};
use bytes::Bytes;

const SIZE: u32 = 1 << 30;
const PIECE: usize = 64 * 1024;
/// What each process may use.
const MEMORY_KIB: u64 = 64 * 1024;
/// Tells the second process where the first one listens.
const SERVER: &str = "AMQP1_TEST_SERVER";

/// The most memory this process has used so far, where the system tells.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn w_14_a_gibibyte_passes_both_ways_in_little_memory() {
    match env::var(SERVER) {
        Ok(url) => client(&url.parse().unwrap()),
        Err(_) => {
            let mut server =
                Server { received: 0, piece: vec![7; PIECE].into(), left: SIZE, finished: false };
            Container::new(&mut server).run().unwrap();
            // Eight bytes of the data section's start come before the data.
            assert_eq!((server.received, server.left), (u64::from(SIZE) + 8, 0));
        }
    }
    let peak = peak_kib();
    println!("peak memory: {peak} KiB");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// The second process: sends the message, then receives one.
fn client(url: &Url) {
    let connection = Options::default().connect(url).unwrap();
    let sender = connection.sender("in").unwrap();
    let mut writer = sender.stream_data(&Message::default(), SIZE).unwrap();
    let piece = [7; PIECE];
    for _ in 0..SIZE as usize / PIECE {
        writer.write_all(&piece).unwrap();
    }
    writer.finish().unwrap().accepted().unwrap();

    let config = LinkConfig { max_message_size: None, ..LinkConfig::receiver(connection.link_name(), "out") };
    let receiver = connection.attach_receiver(config, 1).unwrap();
    let mut reader = receiver.stream().unwrap();
    let (mut buffer, mut received) = (vec![0; PIECE], 0);
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            count => received += count,
        }
    }
    assert_eq!(received, SIZE as usize);
    reader.finish().accept().unwrap();
    connection.close().unwrap();
}

/// The first process: takes a message in pieces, then sends one.
struct Server {
    received: u64,
    piece: Bytes,
    left: u32,
    finished: bool,
}

impl Handler for &mut Server {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, listener: ListenerId, address: &str) {
        let mut client = Command::new(env::current_exe().unwrap());
        let mut client = client.args(["--nocapture"]).env(SERVER, address).spawn().unwrap();
        thread::spawn(move || assert!(client.wait().unwrap().success(), "the client failed"));
        let _ = (cx, listener);
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        cx.open_link(link, MaxMessageSize(0)).unwrap();
    }

    fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.received += cx.take(delivery).unwrap().len() as u64;
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received += delivery.payload().len() as u64;
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if self.left == SIZE && cx.start_message(sender, Bytes::new(), 0).is_err() {
            return;
        }
        while self.left > 0 && cx.write(sender, self.piece.clone()).is_ok() {
            self.left -= PIECE as u32;
        }
        if self.left == 0 && !self.finished {
            cx.finish(sender).unwrap();
            self.finished = true;
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: amqp1_std::ConnectionId) {
        cx.stop();
    }
}
