//! What a conversation looks like on the wire, byte for byte, whatever driver leads it.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use amqp1_driver::{
    program::{
        ContainerOptions, Context, Delivery, Handler, Knobs, ListenerId, Message, SenderId, Tracker, Url,
    },
    record::Recorder,
};

use crate::driver::{Driver, Setup, Std, within_patience};

const MESSAGES: usize = 40;

/// Sends messages of all sizes and outcomes to itself, each when the last one is settled.
struct Conversation {
    listener: Option<ListenerId>,
    sent: usize,
    settled: usize,
}

impl Conversation {
    fn send(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if self.sent == self.settled && self.sent < MESSAGES {
            let size = [0, 1, 200, 1_500, 140_000][self.sent % 5];
            self.sent += 1;
            cx.send(sender, &Message::from(vec![self.sent as u8; size])).expect("there is credit");
        }
    }

    fn settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.settled += 1;
        if self.settled == MESSAGES {
            cx.close(cx.connection_of(tracker.sender()).expect("it has a connection"));
            cx.close(self.listener.expect("it was opened"));
        }
        self.send(cx, tracker.sender());
    }
}

impl Handler for Conversation {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 7, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen("127.0.0.1:0".parse::<Url>().unwrap()));
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, _: ListenerId, address: &str) {
        cx.create_sender(address.parse::<Url>().unwrap(), "examples");
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        self.send(cx, sender);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        match self.sent % 3 {
            0 => cx.release(delivery.id()).unwrap(),
            _ => cx.accept(delivery.id()).unwrap(),
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.settled(cx, tracker);
    }

    fn on_released(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.settled(cx, tracker);
    }
}

/// What both sides of the conversation have written.
fn transcript<D: Driver>() -> Vec<String> {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder: PathBuf = std::env::temp_dir().join(format!("amqp1-transcript-{}-{number}", process::id()));
    let setup = Setup {
        options: ContainerOptions { container_id: Some("transcript".into()), seed: 42, ..Default::default() },
        recorder: Some(Recorder::new(&folder)),
        ..Setup::default()
    };
    let conversation = Conversation { listener: None, sent: 0, settled: 0 };
    assert_eq!(D::steps(conversation, setup, |conversation| conversation.settled), MESSAGES);
    let mut sides: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| {
            let recording = fs::read_to_string(file.unwrap().path()).unwrap();
            let written: String = recording.lines().filter_map(|line| line.strip_prefix("> ")).collect();
            let side = recording.lines().find(|line| line.starts_with("side ")).unwrap();
            format!("{side}\n{written}")
        })
        .collect();
    sides.sort();
    let _ = fs::remove_dir_all(folder);
    sides
}

fn hash(transcript: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    transcript.hash(&mut hasher);
    hasher.finish()
}

pub fn n_02_the_transcript_is_the_same<D: Driver>() {
    within_patience(|| {
        let (expected, actual) = (transcript::<Std>(), transcript::<D>());
        assert_eq!(expected.len(), 2);
        assert!(expected.iter().all(|side| side.len() > 1_000), "a conversation of some length");
        for (expected, actual) in expected.iter().zip(&actual) {
            if let Some(at) = expected.bytes().zip(actual.bytes()).position(|(a, b)| a != b) {
                let around = at.saturating_sub(80)..at + 80;
                panic!("at {at}: {:?} is {:?}", expected.get(around.clone()), actual.get(around));
            }
        }
        assert_eq!(hash(&expected), hash(&actual));
    });
}
