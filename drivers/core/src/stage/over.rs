//! One stage over another: WebSocket over TLS.

use std::io::{self, IoSlice};

use amqp1_engine::sasl;

use super::{Stage, WriteSocket};

/// The upper stage writes to the lower one, which writes to the socket.
#[derive(Debug)]
pub(super) struct Over<U, L> {
    upper: U,
    lower: L,
    /// The lower stage has told the peer that nothing follows.
    closed: bool,
}

impl<U: Stage, L: Stage> Over<U, L> {
    pub(super) const fn new(upper: U, lower: L) -> Self {
        Self { upper, lower, closed: false }
    }

    /// Whether the upper stage has something for the lower one.
    fn has_more(&self) -> bool {
        !self.closed && self.lower.is_open() && self.upper.has_output()
    }

    /// Passes what the upper stage has to write to the lower one, as far as that has room: how much.
    fn pump(&mut self) -> io::Result<usize> {
        if !self.has_more() {
            return Ok(0);
        }
        let Self { upper, lower, .. } = self;
        upper.write(&mut |slices| lower.send(slices))
    }
}

impl<U: Stage, L: Stage> Stage for Over<U, L> {
    fn receive(&mut self, wire: &mut &[u8], up: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut middle = Vec::new();
        let mut hand = |bytes: &[u8]| middle.extend_from_slice(bytes);
        let was_open = self.lower.is_open();
        let mut received = self.lower.receive(wire, &mut hand);
        if received.is_ok() && !was_open && self.lower.is_open() {
            received = self.lower.receive(wire, &mut hand);
        }
        // What was good goes up, whatever came behind it; without anything, the upper stage may have some left.
        if self.lower.is_open() {
            self.upper.receive(&mut &middle[..], up)?;
        }
        received
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.upper.send(slices)
    }

    fn has_output(&self) -> bool {
        self.lower.has_output() || self.has_more()
    }

    fn write(&mut self, write: &mut WriteSocket<'_>) -> io::Result<usize> {
        if !self.lower.has_output() {
            self.pump()?;
        }
        self.lower.write(write)
    }

    fn is_open(&self) -> bool {
        self.lower.is_open() && self.upper.is_open()
    }

    fn has_ended(&self) -> bool {
        self.upper.has_ended() || self.lower.has_ended()
    }

    fn close(&mut self) {
        self.upper.close();
        // Where the peer does not read, the lower stage is full, and the rest has nowhere to go.
        while let Ok(1..) = self.pump() {}
        self.lower.close();
        self.closed = true;
    }

    fn security(&self) -> sasl::Channel {
        self.lower.security()
    }
}
