//! An engine on a virtual clock, as the other side of a script.

use std::time::Duration;

use amqp1_engine::{
    Config, Connection, Event, Instant, LinkConfig, LinkId, Misuse, SendError, SessionConfig, SessionId,
    TimeoutReason, types::Close,
};
use bytes::{Buf, BytesMut};

use crate::{
    Chunks, Frame, Journal, Wire,
    account::Account,
    recorded::Recorded,
    script::{begin, open, tag},
};

/// What an engine may hold whatever happens, and for each byte that it received.
const FIXED_ROOM: usize = 64 * 1024;
const ROOM_PER_BYTE: usize = 16;
/// What it may hold for each session and link, whose numbers the settings limit: some 20 bytes make one of 700, and of
/// twice that while the table that it stands in grows.
const ROOM_PER_ENDPOINT: usize = 1_400;
/// So many of them count among what it may hold whatever happens.
const FIXED_ENDPOINTS: usize = 64;
/// A recording that grows is copied into twice the room.
const ROOM_PER_RECORDED: usize = 4;
/// How often a call may allocate, and for each byte that it was given.
const FIXED_ALLOCATIONS: usize = 1_000;

/// How many events there may be without a byte from the peer; each byte may bring one.
const FIXED_EVENTS: usize = 1_000;

/// The password of all tests, which nothing that an engine tells may contain.
pub(crate) const PASSWORD: &str = "open sesame";

/// An engine and what a driver has around it: buffer, clock, socket.
///
/// Input is handed over in the pieces that were asked for, as far as the engine wants it; output is taken when the
/// script looks for it.
///
/// Whatever a test is about, these hold for its engine, and are checked here:
///
/// - the memory that it takes in its calls grows with the bytes received and nothing else, and so does its work:
///   allocations, events, deadlines;
/// - after [`Event::Disconnected`], and each test leads to it, there is no more output, event or deadline, input is
///   dropped, whatever the user calls fails, and what the engine took is given back with it;
/// - no password is in an event or in the trace.
#[derive(Debug)]
pub struct Memory {
    /// The engine under test.
    pub engine: Connection,
    now: Instant,
    chunks: Chunks,
    /// Pieces that the engine did not want yet.
    waiting: Vec<Vec<u8>>,
    input: BytesMut,
    eof: bool,
    /// Written by the engine, not yet looked at by the script.
    output: Vec<u8>,
    journal: Journal,
    received: usize,
    /// Events told.
    told: usize,
    /// Whether the script reads the trace.
    trace_is_read: bool,
    disconnected: bool,
    sessions: Vec<SessionId>,
    links: Vec<LinkId>,
    /// Sessions and links that the peer makes, where a test is about many of them.
    pub(crate) endpoints: usize,
    recorded: Recorded,
    /// The last field: it is settled when the engine is gone.
    account: Account,
}

impl Memory {
    /// An engine that has exchanged nothing.
    #[must_use]
    pub fn new(config: Config, chunks: Chunks, journal: Journal) -> Self {
        let trace_is_read = config.trace;
        // A trace must not change a thing: one way has it, the others have not.
        let config = Config { trace: trace_is_read || chunks == Chunks::Bytes, ..config };
        // Nor must a recording; byte by byte it would be long.
        let (recorded, config) = Recorded::new(config, "engine", chunks != Chunks::Bytes);
        let mut account = Account::open();
        let (engine, _) = account.charge(|| Connection::new(config, Instant::ZERO));
        Self {
            engine,
            now: Instant::ZERO,
            chunks,
            waiting: Vec::new(),
            input: BytesMut::new(),
            eof: false,
            output: Vec::new(),
            journal,
            received: 0,
            told: 0,
            trace_is_read,
            disconnected: false,
            sessions: Vec::new(),
            links: Vec::new(),
            endpoints: 0,
            recorded,
            account,
        }
    }

    /// The moment on the virtual clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The bytes that the engine took in its own calls and still holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.account.held()
    }

    /// Lets time pass: deadlines on the way are kept one by one.
    ///
    /// # Panics
    ///
    /// When a deadline does not move on: a busy loop.
    pub fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut kept = 0;
        while let Some((at, _)) = self.engine.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            let now = self.now;
            self.call(0, |engine, _| engine.handle_timeout(now));
            self.write();
            kept += 1;
            assert!(kept < 100_000, "the deadline at {at:?} does not move on");
        }
        self.now = until;
    }

    /// Calls the engine and judges what that cost, `bytes` of input having been given to it.
    fn call<T>(&mut self, bytes: usize, call: impl FnOnce(&mut Connection, &mut BytesMut) -> T) -> T {
        let Self { account, engine, input, .. } = self;
        let (result, cost) = account.charge(|| call(engine, input));
        self.received += bytes;
        let recorded = self.recorded.drain(&mut self.engine);
        if !std::thread::panicking() {
            let (held, received) = (cost.peak, self.received);
            let endpoints = ROOM_PER_ENDPOINT * self.endpoints.saturating_sub(FIXED_ENDPOINTS);
            let room = FIXED_ROOM + ROOM_PER_BYTE * received + ROOM_PER_RECORDED * recorded + endpoints;
            assert!(held <= room, "holds {held} bytes, {received} received, {recorded} recorded");
            let allowed = FIXED_ALLOCATIONS + bytes + recorded;
            assert!(cost.allocations <= allowed, "{} allocations for {bytes} bytes", cost.allocations);
        }
        if !self.trace_is_read {
            while let Some(line) = self.engine.poll_trace() {
                assert!(!line.contains(PASSWORD), "{line}");
            }
        }
        result
    }

    /// Takes what the engine writes, as a socket would: a short write is the normal case.
    fn write(&mut self) {
        let start = self.output.len();
        let now = self.now;
        while self.call(0, |engine, _| engine.poll_transmit(now).is_some()) {
            // Asked again, so that the copy made here is not charged to the engine.
            let mut transmit = self.engine.poll_transmit(now).expect("there was something to write");
            let len = transmit.chunk().len().div_ceil(2);
            assert!(len > 0, "there is something to write, and it is nothing");
            self.output.extend_from_slice(&transmit.chunk()[..len]);
            transmit.advance(len);
        }
        self.journal.output(&self.output[start..]);
        self.feed();
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.call(0, |engine, _| engine.poll_event()) {
                self.note(&event);
                return Some(event);
            }
            if !self.feed() {
                return None;
            }
        }
    }

    /// Remembers what the event names, to find it gone at the end.
    fn note(&mut self, event: &Event) {
        self.journal.event(event);
        assert!(!self.disconnected, "{event:?} after the connection was lost");
        self.told += 1;
        assert!(
            self.told <= FIXED_EVENTS + self.received,
            "{} events, {} bytes received",
            self.told,
            self.received
        );
        match event {
            Event::SessionBegun(session) => self.sessions.push(*session),
            Event::LinkAttached(link) => self.links.push(*link),
            Event::Disconnected(_) => self.disconnected = true,
            _ => {}
        }
    }

    /// Why and when the engine wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, TimeoutReason)> {
        self.engine.poll_timeout()
    }

    /// Hands input over as long as it is wanted: whether there was any.
    fn feed(&mut self) -> bool {
        let mut taken = 0;
        while taken < self.waiting.len() && self.engine.wants_input() {
            let piece = std::mem::take(&mut self.waiting[taken]);
            let now = self.now;
            self.call(piece.len(), |engine, input| {
                input.extend_from_slice(&piece);
                engine.handle_input(input, now);
            });
            taken += 1;
        }
        self.waiting.drain(..taken);
        if self.eof && self.waiting.is_empty() {
            self.eof = false;
            let now = self.now;
            self.call(0, |engine, _| engine.handle_eof(now));
            return true;
        }
        taken > 0
    }

    /// Ends the connection, if the test has not, and checks that it is over.
    fn end(&mut self) {
        self.journal.end(&self.engine);
        if !self.disconnected {
            self.waiting.clear();
            self.shut();
            while self.event().is_some() {}
            self.write();
        }
        assert!(self.engine.is_done(), "the stream has ended, and the connection has not");
        let after = [Frame::from(open("late")), begin(0, 1, 1).into(), Close::default().into()];
        self.send(b"AMQP\x00\x01\x00\x00");
        self.send(&after.iter().flat_map(Frame::encode).collect::<Vec<_>>());
        self.send(&[0; 64]);
        self.engine.open();
        self.engine.close(None);
        assert_eq!(self.engine.begin(SessionConfig::default()), Err(Misuse::ConnectionClosed));
        for &id in &self.sessions {
            if let Ok(mut session) = self.engine.session(id) {
                let late = session.attach_sender(LinkConfig::new("late"));
                assert_eq!(late, Err(Misuse::ConnectionClosed));
                // There is nothing left to end: whatever it says, it does nothing.
                let _ = session.end(None);
            }
        }
        for &id in &self.links {
            if let Ok(mut sender) = self.engine.sender(id) {
                let sent = sender.send(tag("late"), false, "late");
                assert!(matches!(sent, Err(SendError::Misuse(_))), "{sent:?}");
                let _ = sender.close(None);
            }
            if let Ok(mut receiver) = self.engine.receiver(id) {
                receiver.add_credit(1);
                let _ = receiver.close(None);
            }
        }
        assert_eq!(self.event(), None);
        self.output.clear();
        self.write();
        assert!(self.output.is_empty(), "words after the end: {}", self.output.escape_ascii());
        assert!(self.engine.is_done() && self.input.is_empty());
        assert_eq!(self.engine.poll_timeout(), None);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
        self.recorded.drain(&mut self.engine);
    }
}

impl Wire for Memory {
    fn send(&mut self, bytes: &[u8]) {
        self.waiting.extend(self.chunks.cut(bytes).map(<[u8]>::to_vec));
        self.feed();
    }

    fn shut(&mut self) {
        self.eof = true;
        self.feed();
    }

    fn receive(&mut self) -> Vec<u8> {
        self.write();
        std::mem::take(&mut self.output)
    }

    fn is_dropped(&mut self) -> bool {
        self.engine.is_done()
    }

    fn report(&mut self) -> String {
        let mut report = format!("state {:?} at {:?}\n", self.engine.state(), self.now);
        while let Some(event) = self.engine.poll_event() {
            report += &format!("event not polled: {event:?}\n");
        }
        report
    }
}
