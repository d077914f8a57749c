//! An engine on a virtual clock, as the other side of a script.

use std::time::Duration;

use amqp1_engine::{Config, Connection, Event, Instant, TimeoutReason};
use bytes::{Buf, BytesMut};

use crate::{Chunks, Journal, Wire};

/// An engine and what a driver has around it: buffer, clock, socket.
///
/// Input is handed over in the pieces that were asked for, as far as the engine wants it; output is taken when the
/// script looks for it.
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
}

impl Memory {
    /// An engine that has exchanged nothing.
    #[must_use]
    pub fn new(config: Config, chunks: Chunks, journal: Journal) -> Self {
        Self {
            engine: Connection::new(Config { trace: true, ..config }, Instant::ZERO),
            now: Instant::ZERO,
            chunks,
            waiting: Vec::new(),
            input: BytesMut::new(),
            eof: false,
            output: Vec::new(),
            journal,
        }
    }

    /// The moment on the virtual clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
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
            self.engine.handle_timeout(self.now);
            self.write();
            kept += 1;
            assert!(kept < 100_000, "the deadline at {at:?} does not move on");
        }
        self.now = until;
    }

    /// Takes what the engine writes, as a socket would: a short write is the normal case.
    fn write(&mut self) {
        let start = self.output.len();
        while let Some(mut transmit) = self.engine.poll_transmit(self.now) {
            let len = transmit.chunk().len().div_ceil(2);
            self.output.extend_from_slice(&transmit.chunk()[..len]);
            transmit.advance(len);
        }
        self.journal.output(&self.output[start..]);
        self.feed();
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.engine.poll_event() {
                self.journal.event(&event);
                return Some(event);
            }
            if !self.feed() {
                return None;
            }
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
            self.input.extend_from_slice(&self.waiting[taken]);
            self.engine.handle_input(&mut self.input, self.now);
            taken += 1;
        }
        self.waiting.drain(..taken);
        if self.eof && self.waiting.is_empty() {
            self.eof = false;
            self.engine.handle_eof(self.now);
            return true;
        }
        taken > 0
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
