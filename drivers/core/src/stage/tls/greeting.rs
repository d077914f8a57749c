//! What precedes TLS: nothing, or the protocol headers that negotiate it (§5.2, §2.2).

use std::io::{self, IoSlice};

use super::TlsError;
use crate::stage::WriteSocket;

//= 5.2-02
const HEADER: [u8; 8] = *b"AMQP\x02\x01\x00\x00";

/// The bytes of one side that precede TLS.
#[derive(Debug)]
pub(super) struct Greeting {
    state: State,
    heard: Vec<u8>,
    /// What is left to be written of our header.
    unsaid: &'static [u8],
}

#[derive(Debug, PartialEq)]
enum State {
    /// A client that has asked for TLS.
    Asked,
    /// A server that leaves it to the client whether to ask.
    Listens,
    Over,
    /// The peer does not want TLS, and is sent none.
    Failed,
}

/// What came of the peer's first bytes.
#[derive(Debug)]
pub(super) enum Heard {
    /// What follows is TLS.
    Tls,
    /// Not enough.
    Nothing,
    NotTls(TlsError),
}

impl Greeting {
    /// None: TLS begins with the first byte (§5.2.1).
    pub(super) const fn none() -> Self {
        Self { state: State::Over, heard: Vec::new(), unsaid: &[] }
    }

    /// A client's: asks for TLS and waits for the server to agree.
    //= 5.2-01
    pub(super) const fn ask() -> Self {
        Self { state: State::Asked, heard: Vec::new(), unsaid: &HEADER }
    }

    /// A server's: agrees if it is asked, and knows TLS as such by its first byte.
    //= 5.2.1-02 2.8.19-02
    pub(super) const fn listen() -> Self {
        Self { state: State::Listens, heard: Vec::new(), unsaid: &[] }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) const fn has_output(&self) -> bool {
        !self.unsaid.is_empty()
    }

    pub(super) fn write(&mut self, write: &mut WriteSocket<'_>) -> io::Result<usize> {
        let written = write(&[IoSlice::new(self.unsaid)])?;
        self.unsaid = &self.unsaid[written.min(self.unsaid.len())..];
        Ok(written)
    }

    /// Takes a header off the front of what came from the peer. A peer that wants something else is told what would do.
    pub(super) fn hear(&mut self, wire: &mut &[u8]) -> Heard {
        let is_asked = match self.state {
            State::Over => return Heard::Tls,
            State::Failed => {
                *wire = &[];
                return Heard::Nothing;
            }
            State::Asked => false,
            State::Listens => true,
        };
        if is_asked && self.heard.is_empty() && wire.first().is_some_and(|&byte| byte != HEADER[0]) {
            self.state = State::Over;
            return Heard::Tls;
        }
        let (header, rest) = wire.split_at(wire.len().min(HEADER.len() - self.heard.len()));
        self.heard.extend_from_slice(header);
        *wire = rest;
        let begins_well = self.heard.iter().zip(b"AMQP").all(|(byte, expected)| byte == expected);
        if begins_well && self.heard.len() < HEADER.len() {
            return Heard::Nothing;
        }
        if is_asked {
            //= 5.2-01
            self.unsaid = &HEADER;
        }
        if self.heard == HEADER {
            self.state = State::Over;
            return Heard::Tls;
        }
        self.state = State::Failed;
        Heard::NotTls(TlsError::not_tls(is_asked, &self.heard))
    }
}
