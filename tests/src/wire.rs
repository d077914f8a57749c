//! What a scripted peer talks through.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// The byte channel between a script and what it tests.
pub trait Wire {
    /// Sends these bytes, in one go or in pieces.
    fn send(&mut self, bytes: &[u8]);

    /// Sends no more: the other side sees the end of the stream.
    fn shut(&mut self);

    /// Bytes from the other side: none when it has nothing to say.
    ///
    /// A wire on a real clock waits for them, up to its patience: see [`Socket::patience`].
    fn receive(&mut self) -> Vec<u8>;

    /// Whether the other side has dropped the connection.
    fn is_dropped(&mut self) -> bool;

    /// What else is known of the other side, for the report of a failure.
    fn report(&mut self) -> String {
        String::new()
    }
}

/// A wire over TCP: to a driver, a broker, or any other implementation.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    patience: Duration,
    dropped: bool,
}

impl Socket {
    /// Connects to a server under test.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server under test listens"))
    }

    /// Waits for a client under test to connect.
    ///
    /// # Panics
    ///
    /// When the listener fails.
    #[must_use]
    pub fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().expect("the client under test connects").0)
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("the socket is open");
        Self { stream, patience: Duration::from_secs(10), dropped: false }
    }

    /// How long [`receive`](Wire::receive) waits; a script that expects silence sets it low.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn read(&mut self, patience: Duration) -> Vec<u8> {
        let mut buffer = vec![0; 64 * 1024];
        self.stream.set_read_timeout(Some(patience)).expect("the time is not zero");
        match self.stream.read(&mut buffer) {
            Ok(0) => self.dropped = true,
            Ok(len) => {
                buffer.truncate(len);
                return buffer;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.dropped = true,
        }
        Vec::new()
    }
}

impl Wire for Socket {
    fn send(&mut self, bytes: &[u8]) {
        // A side that has dropped the connection takes no more: the script will find out what it said before.
        if self.stream.write_all(bytes).is_err() {
            self.dropped = true;
        }
    }

    fn shut(&mut self) {
        // Fails only where the connection is gone.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn receive(&mut self) -> Vec<u8> {
        self.read(self.patience)
    }

    fn is_dropped(&mut self) -> bool {
        while !self.dropped && !self.read(self.patience).is_empty() {}
        self.dropped
    }
}
