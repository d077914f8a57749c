//! TLS as a byte stage (§5.2).

use std::{
    fmt,
    io::{self, IoSlice, Write},
};

use amqp1_engine::{Side, codec::Str, sasl};
use rustls::{ClientConnection, Connection, ServerConnection};

use super::{Stage, WriteSocket};

mod error;
pub use error::TlsError;
mod greeting;
use greeting::{Greeting, Heard};
mod name;
mod settings;
pub use settings::{TlsClient, TlsServer};

/// TLS from the first byte, or behind an exchange of AMQP's TLS headers.
pub(super) struct Tls {
    connection: Connection,
    side: Side,
    greeting: Greeting,
    has_certificate: bool,
    open: bool,
    ended: bool,
    /// The peer is to know no more than what is written already.
    failed: bool,
}

impl Tls {
    fn client(connection: ClientConnection, greeting: Greeting, has_certificate: bool) -> Self {
        Self::new(connection.into(), Side::Client, greeting, has_certificate)
    }

    fn server(connection: ServerConnection) -> Self {
        Self::new(connection.into(), Side::Server, Greeting::listen(), true)
    }

    const fn new(connection: Connection, side: Side, greeting: Greeting, has_certificate: bool) -> Self {
        Self { connection, side, greeting, has_certificate, open: false, ended: false, failed: false }
    }

    /// Hands up what was decrypted.
    fn hand_up(&mut self, up: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        use io::{BufRead, ErrorKind};
        loop {
            let mut reader = self.connection.reader();
            match reader.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(plain) => {
                    let len = plain.len();
                    up(plain);
                    reader.consume(len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn fault(&mut self, error: rustls::Error) -> io::Error {
        self.failed = true;
        TlsError::peer(self.side, self.open, error).into()
    }
}

impl Stage for Tls {
    fn receive(&mut self, wire: &mut &[u8], up: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        match self.greeting.hear(wire) {
            Heard::Tls => {}
            Heard::Nothing => return Ok(()),
            Heard::NotTls(error) => {
                self.failed = true;
                return Err(error.into());
            }
        }
        loop {
            let state = self.connection.process_new_packets();
            if !self.open && !self.connection.is_handshaking() {
                // What came with the end of the handshake is handed up when this was told.
                self.open = true;
                return Ok(());
            }
            // What was good stays good, whatever came behind it.
            self.hand_up(up)?;
            if state.map_err(|error| self.fault(error))?.peer_has_closed() {
                self.ended = true;
                return Ok(());
            }
            if wire.is_empty() {
                return Ok(());
            }
            self.connection.read_tls(wire)?;
        }
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // It takes as much as its buffer holds, 64 KiB.
        self.connection.writer().write_vectored(slices)
    }

    fn has_output(&self) -> bool {
        self.greeting.has_output() || (self.greeting.is_over() && self.connection.wants_write())
    }

    fn write(&mut self, write: &mut WriteSocket<'_>) -> io::Result<usize> {
        match self.greeting.has_output() {
            true => self.greeting.write(write),
            false => self.connection.write_tls(&mut Socket(write)),
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    //= 5.2-05
    fn close(&mut self) {
        if self.open && !self.failed {
            self.connection.send_close_notify();
        }
    }

    fn security(&self) -> sasl::Channel {
        let certificates = match self.side {
            Side::Client => None,
            Side::Server => self.connection.peer_certificates(),
        };
        let peer = certificates.and_then(<[_]>::first).and_then(|certificate| name::subject(certificate));
        sasl::Channel { encrypted: true, peer: peer.map(Str::from), shows_us: self.has_certificate }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("side", &self.side).field("open", &self.open).finish_non_exhaustive()
    }
}

/// The socket as rustls writes to it.
struct Socket<'a, 'b>(&'a mut WriteSocket<'b>);

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (self.0)(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
