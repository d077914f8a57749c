//! Connections recorded over real sockets, and replayed without them.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use amqp1_std::{
    ConnectionId, ConnectionOptions, Container, ContainerOptions, Context, Delivery, Handler, ListenerId,
    Message, Security, SenderId, Tracker, Url,
    blocking::Options,
    record::{Record, Recorder, Replayed, replay},
    sasl::{Refusal, Sasl},
};
use common::{PATIENCE, Server, within_patience};

const MESSAGES: usize = 20;
const PASSWORD: &str = "open sesame";

/// Takes messages until the connection is closed.
struct Sink {
    port: mpsc::Sender<String>,
    listener: Option<ListenerId>,
    received: usize,
}

impl Handler for Sink {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen("127.0.0.1:0".parse::<Url>().unwrap()));
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.port.send(address.to_owned()).unwrap();
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &Delivery<'_>) {
        self.received += 1;
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        assert_eq!(self.received, MESSAGES);
        cx.close(self.listener.unwrap());
    }
}

/// Sends messages, small and large, and closes when they are accepted.
struct Source {
    server: Url,
    sent: usize,
    accepted: usize,
}

impl Handler for Source {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(&self.server, "sink");
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < MESSAGES && cx.credit(sender) > 0 {
            let size = [5, 2_000, 300_000][self.sent % 3];
            cx.send(sender, &Message::from(vec![self.sent as u8; size])).expect("there is credit");
            self.sent += 1;
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.accepted += 1;
        if self.accepted == MESSAGES {
            let connection = cx.connection_of(tracker.sender()).expect("it is there");
            cx.close(connection);
        }
    }
}

/// A folder of this test alone.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("amqp1-record-{name}-{}", std::process::id())))
    }

    /// The one recording in it.
    fn recording(&self) -> String {
        let files: Vec<_> = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        fs::read_to_string(file).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn replayed(recording: &str) -> Replayed {
    let replayed = replay(recording.as_bytes()).unwrap();
    assert!(!replayed.is_limited);
    replayed
}

fn server(folder: &Path) -> (Url, thread::JoinHandle<()>) {
    let verify = |user: &str, password: &str| {
        if (user, password) == ("alice", PASSWORD) { Ok(()) } else { Err(Refusal::Credentials) }
    };
    let security = Security::Sasl(Sasl::server().plain(verify).into());
    let connection = ConnectionOptions { security, ..ConnectionOptions::default() };
    let options = ContainerOptions { connection, ..ContainerOptions::default() };
    let recorder = Recorder::new(folder);
    let (port, listening) = mpsc::channel();
    let thread = thread::spawn(move || {
        let sink = Sink { port, listener: None, received: 0 };
        Container::with_options(sink, options).record(recorder).run().unwrap();
    });
    let address = listening.recv_timeout(PATIENCE).unwrap();
    (format!("amqp://alice:open%20sesame@{address}").parse().unwrap(), thread)
}

#[test]
fn both_containers_of_a_connection_replay_to_the_same() {
    within_patience(|| {
        let (ours, theirs) = (Folder::new("client"), Folder::new("server"));
        let (url, thread) = server(&theirs.0);
        let connection = ConnectionOptions { allow_clear_text: true, ..ConnectionOptions::default() };
        let options = ContainerOptions { connection, ..ContainerOptions::default() };
        let source = Source { server: url, sent: 0, accepted: 0 };
        Container::with_options(source, options).record(Recorder::new(&ours.0)).run().unwrap();
        thread.join().unwrap();

        let both = [ours.recording(), theirs.recording()];
        for recording in &both {
            let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!recording.contains(&hex), "the password is in it");
            assert!(
                recording.contains("event Authenticated") && recording.contains("event Disconnected(Closed)")
            );
        }
        let [client, server] = both.map(|recording| replayed(&recording));
        assert!(client.sent > server.received && server.received > 1_800_000, "{client:?} {server:?}");
        assert!(client.calls >= MESSAGES as u64 && server.calls >= 2 * MESSAGES as u64);
    });
}

#[test]
fn a_connection_of_the_blocking_interface_replays_to_the_same() {
    within_patience(|| {
        let (server, folder) = (Server::start(), Folder::new("blocking"));
        let options = Options { record: Some(Recorder::new(&folder.0)), ..Options::default() };
        let connection = options.connect(&server.url).unwrap();
        let (sender, receiver) = (connection.sender("queue").unwrap(), connection.receiver("queue").unwrap());
        for size in [5, 2_000, 300_000] {
            sender.send(vec![7; size]).unwrap().accepted().unwrap();
            receiver.recv().unwrap().accept().unwrap();
        }
        connection.close().unwrap();
        drop((sender, receiver, connection));

        let recording = folder.recording();
        let replayed = replayed(&recording);
        assert!(replayed.sent > 302_000 && replayed.received > 302_000, "{replayed:?}");
        assert!(recording.contains("event Disconnected(Closed)"));
    });
}

#[test]
fn a_recording_ends_where_it_may_become_no_longer_and_the_connection_goes_on() {
    within_patience(|| {
        let (server, folder) = (Server::start(), Folder::new("limit"));
        let record = Record { limit: 20_000, ..Record::default() };
        let recorder = Recorder { record, ..Recorder::new(&folder.0) };
        let connection =
            Options { record: Some(recorder), ..Options::default() }.connect(&server.url).unwrap();
        let sender = connection.sender("queue").unwrap();
        sender.send(vec![7; 300_000]).unwrap().accepted().unwrap();
        connection.close().unwrap();

        let recording = folder.recording();
        assert!(recording.len() <= 20_006 && recording.ends_with("\nlimit\n"));
        assert!(replay(recording.as_bytes()).unwrap().is_limited);
    });
}
