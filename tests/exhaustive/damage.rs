//! Good streams cut anywhere, and with any byte changed to any other.

use std::{ops::Range, time::Instant as Clock};

use amqp1_tests::{Recording, Replay, Splitter, charge, held, item, prelude::*};
use bytes::Buf;

use crate::{long, streams};

/// A recording with an engine on one side: what it hears, and what its user does meanwhile.
struct Stream {
    name: String,
    config: Config,
    steps: Vec<Step>,
    heard: Vec<u8>,
}

enum Step {
    Hear(Range<usize>),
    Act(Frame),
}

/// What is done to a stream.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Cut(usize),
    Change { at: usize, to: u8 },
}

impl Damage {
    fn apply(self, stream: &[u8]) -> Vec<u8> {
        let mut stream = stream.to_vec();
        match self {
            Self::None => {}
            Self::Cut(len) => stream.truncate(len),
            Self::Change { at, to } => stream[at] = to,
        }
        stream
    }
}

/// How an engine took a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    written: Vec<u8>,
    /// Where it stood when the stream ended.
    state: ConnectionState,
    /// How often its user was refused something.
    refused: usize,
}

impl Stream {
    fn new(recording: &Recording, side: Side) -> Self {
        let mut heard = Vec::new();
        let mut steps = Vec::new();
        for (from, bytes) in &recording.items {
            if *from != side {
                let start = heard.len();
                heard.extend_from_slice(bytes);
                // What comes without an answer comes at once.
                match steps.last_mut() {
                    Some(Step::Hear(range)) => range.end = heard.len(),
                    _ => steps.push(Step::Hear(start..heard.len())),
                }
            } else if let Item::Frame(frame) = item(bytes) {
                steps.push(Step::Act(frame));
            }
        }
        let name = format!("{} to a {side:?}", recording.name);
        Self { name, config: recording.config(side), steps, heard }
    }

    /// What an engine makes of the damaged stream, whole or byte by byte.
    fn run(&self, damage: Damage, bytewise: bool) -> Outcome {
        let heard = damage.apply(&self.heard);
        let mut engine = Connection::new(self.config.clone(), Instant::ZERO);
        let mut replay = Replay::default();
        let mut input = BytesMut::new();
        let mut written = write(&mut engine);
        let mut refused = 0;
        for step in &self.steps {
            match step {
                Step::Act(frame) => {
                    // What a damaged stream has undone, the user cannot do.
                    refused += usize::from(replay.act(&mut engine, frame.clone()).is_err());
                    look(&mut engine, &mut replay, &mut written);
                }
                Step::Hear(range) => {
                    let block = &heard[range.start.min(heard.len())..range.end.min(heard.len())];
                    for piece in block.chunks(if bytewise { 1 } else { usize::MAX }) {
                        input.extend_from_slice(piece);
                        engine.handle_input(&mut input, Instant::ZERO);
                    }
                    look(&mut engine, &mut replay, &mut written);
                }
            }
        }
        assert!(engine.is_done() || engine.wants_input(), "it neither ends nor waits");
        let state = engine.state();
        engine.handle_eof(Instant::ZERO);
        look(&mut engine, &mut replay, &mut written);
        assert!(engine.is_done(), "the end of the stream is not the end");
        assert_eq!(engine.poll_timeout(), None);
        Outcome { events: replay.events, written, state, refused }
    }

    /// Runs the damaged stream, and judges what came of it; both ways, if that is asked for.
    fn judge(&self, damage: Damage, good: &Outcome, both: bool) {
        struct OnPanic<'a>(&'a str, Damage);
        impl Drop for OnPanic<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    eprintln!("    {}: {:?}", self.0, self.1);
                }
            }
        }
        let _report = OnPanic(&self.name, damage);
        let before = held();
        let (outcome, cost) = charge(|| self.run(damage, false));
        let most = 32 * 1_024 + 64 * self.heard.len();
        assert!(cost.peak - before <= most, "held {} bytes, at most {most}", cost.peak - before);

        let Outcome { events, written, .. } = &outcome;
        let most = good.events.len() + 8;
        assert!(events.len() <= most, "{} events, at most {most}: {events:?}", events.len());
        let most = good.written.len() + 512;
        assert!(written.len() <= most, "{} bytes were written, at most {most}", written.len());
        let is_last = |event: &Event| matches!(event, Event::Disconnected(_));
        assert_eq!(events.iter().position(is_last), Some(events.len() - 1), "{events:?}");
        let fatal =
            |event: &Event| matches!(event, Event::Violated(fault) if fault.scope() == Scope::Connection);
        let faults = events.iter().filter(|event| fatal(event)).count();
        assert!(faults <= 1, "told twice: {events:?}");
        if both {
            makes_sense(written);
            assert_eq!(self.run(damage, true), outcome, "byte by byte (left), and whole (right)");
        }
    }
}

/// Has the user look at all events, and the engine write.
fn look(engine: &mut Connection, replay: &mut Replay, written: &mut Vec<u8>) {
    loop {
        while let Some(event) = engine.poll_event() {
            replay.note(engine, event);
        }
        let bytes = write(engine);
        if bytes.is_empty() {
            return;
        }
        written.extend(bytes);
    }
}

fn write(engine: &mut Connection) -> Vec<u8> {
    let mut written = Vec::new();
    while let Some(mut transmit) = engine.poll_transmit(Instant::ZERO) {
        written.extend_from_slice(transmit.chunk());
        let len = transmit.chunk().len();
        transmit.advance(len);
    }
    written
}

/// What an engine has written are headers and frames, an open before all others and nothing after a close.
fn makes_sense(written: &[u8]) {
    let mut splitter = Splitter::default();
    splitter.push(written);
    let items: Vec<_> = std::iter::from_fn(|| splitter.next_item()).collect();
    assert!(splitter.rest().is_empty(), "it has written part of a frame");
    let mut performatives = Vec::new();
    for item in items {
        match item {
            Item::Frame(frame) => performatives.push(frame.performative),
            Item::Malformed(reason, _) => panic!("it has written {reason}"),
            Item::Header(_) | Item::Heartbeat(_) | Item::Sasl(_) => {}
        }
    }
    let opens = performatives.iter().filter(|performative| matches!(performative, Performative::Open(_)));
    assert!(opens.count() <= 1);
    if let Some(first) = performatives.first() {
        assert!(matches!(first, Performative::Open(_)), "{first:?} goes first");
    }
    let close = performatives.iter().position(|performative| matches!(performative, Performative::Close(_)));
    assert!(close.is_none_or(|at| at + 1 == performatives.len()), "frames after the close");
}

/// All damages, or a sample that `AMQP1_SEED` changes.
fn damages(len: usize) -> Vec<Damage> {
    if long() {
        let changes = (0..len).flat_map(|at| (0..=u8::MAX).map(move |to| Damage::Change { at, to }));
        return (0..len).map(Damage::Cut).chain(changes).collect();
    }
    let seed = std::env::var("AMQP1_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x0a4d_5150);
    let mut rng = Rng::new(seed);
    let cuts: Vec<_> = (0..20).map(|_| Damage::Cut(rng.below(len))).collect();
    let changes = (0..150).map(|_| Damage::Change { at: rng.below(len), to: rng.draw() as u8 });
    cuts.into_iter().chain(changes).collect()
}

#[test]
fn t1_a_good_stream_with_any_cut_or_changed_byte_does_no_harm() {
    let mut runs = 0;
    let start = Clock::now();
    for (recording, side) in streams::all() {
        let stream = Stream::new(&recording, side);
        let good = stream.run(Damage::None, false);
        let faulty = good.events.iter().any(|event| matches!(event, Event::Violated(_)));
        assert!(
            !faulty && good.refused == 0 && good.state == ConnectionState::End,
            "{}: {good:?}",
            stream.name
        );
        for (number, damage) in damages(stream.heard.len()).into_iter().enumerate() {
            stream.judge(damage, &good, !long() || number % 8 == 0);
            runs += 1;
        }
        println!("{}: {} bytes, {runs} runs in {:?}", stream.name, stream.heard.len(), start.elapsed());
    }
}
