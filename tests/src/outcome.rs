//! The same test in several ways, with the same outcome.

use std::{cell::RefCell, fmt, rc::Rc};

use amqp1_engine::{Config, Connection, Event, Side};

use crate::{Chunks, Linked, Memory, Peer, account::left_behind};

/// What an engine said in the course of a test: its bytes and its events.
#[derive(Clone, Default)]
pub struct Journal(Rc<RefCell<Outcome>>);

#[derive(Default, PartialEq, Eq)]
struct Outcome {
    bytes: Vec<u8>,
    events: Vec<String>,
}

impl Journal {
    pub(crate) fn output(&self, bytes: &[u8]) {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
    }

    pub(crate) fn event(&self, event: &Event) {
        self.0.borrow_mut().events.push(format!("{event:?}"));
    }

    /// Notes where a connection stands when its test is over.
    pub(crate) fn end(&self, engine: &Connection) {
        let in_doubt: Vec<_> = engine.in_doubt().collect();
        let end =
            format!("{:?}, to be woken {:?}, in doubt {in_doubt:?}", engine.state(), engine.poll_timeout());
        self.0.borrow_mut().events.push(end);
    }

    fn assert_same(&self, other: &Self, ways: [&Way; 2]) {
        let (ours, theirs) = (self.0.borrow(), other.0.borrow());
        let [a, b] = ways;
        assert_eq!(ours.events, theirs.events, "events differ between {a:?} and {b:?}");
        if ours.bytes != theirs.bytes {
            let (a_items, b_items) = (items(&ours.bytes), items(&theirs.bytes));
            panic!("output differs\n{a:?}:\n{a_items}{b:?}:\n{b_items}");
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}

fn items(bytes: &[u8]) -> String {
    let mut splitter = crate::Splitter::default();
    splitter.push(bytes);
    std::iter::from_fn(|| splitter.next_item()).map(|item| format!("    {item:?}\n")).collect()
}

/// One way to run a test: which side the engine is, and how its input is cut.
#[derive(Clone)]
pub struct Way {
    /// The engine's side.
    pub side: Side,
    /// How its input arrives.
    pub chunks: Chunks,
    journal: Journal,
}

impl Way {
    /// This side, and input in this form.
    #[must_use]
    pub fn new(side: Side, chunks: Chunks) -> Self {
        Self { side, chunks, journal: Journal::default() }
    }

    /// The defaults for the side.
    #[must_use]
    pub fn config(&self) -> Config {
        match self.side {
            Side::Client => Config::client("engine"),
            Side::Server => Config::server("engine"),
        }
    }

    /// A peer of an engine that has exchanged nothing.
    #[must_use]
    pub fn peer(&self, config: Config) -> Peer<Memory> {
        Peer::new(Memory::new(config, self.chunks, self.journal.clone()))
    }

    /// A peer of an engine of the default settings, with the opens exchanged.
    #[must_use]
    pub fn opened(&self) -> Peer<Memory> {
        let mut peer = self.peer(self.config());
        peer.open();
        peer
    }

    /// The same with sessions and links: see [`Linked`].
    #[must_use]
    pub fn linked(&self) -> Linked {
        Linked::new(self.opened())
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "engine as {:?}, input {:?}", self.side, self.chunks)
    }
}

/// Runs a test with the engine as client and as server, in either role with its input whole, byte by byte and in
/// random pieces: the events and the bytes of one role must always be the same.
pub fn each_way(test: impl Fn(&Way)) {
    for side in [Side::Client, Side::Server] {
        each_way_as(side, &test);
    }
}

/// As [`each_way`], with the engine as client only.
pub fn each_chunking(test: impl Fn(&Way)) {
    each_way_as(Side::Client, test);
}

/// As [`each_way`], with the engine on this side only.
pub fn each_way_as(side: Side, test: impl Fn(&Way)) {
    let ways = Chunks::all().map(|chunks| Way::new(side, chunks));
    for way in &ways {
        let _report = OnPanic(|| eprintln!("    {way:?}"));
        test(way);
        assert_eq!(left_behind(), 0, "bytes that engines took and did not give back");
    }
    let [whole, others @ ..] = &ways;
    for other in others {
        whole.journal.assert_same(&other.journal, [whole, other]);
    }
}

/// Does something when it is dropped by a panic.
struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0();
        }
    }
}
