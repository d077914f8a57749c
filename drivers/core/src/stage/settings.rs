//! Which stages a connection has, by its address.

use std::io::{self, ErrorKind};

use amqp1_engine::container::{Address, Scheme};

use crate::Channel;

/// What a driver puts between its sockets and the engine: nothing for `amqp`, and what the other schemes ask for.
///
/// A driver holds one, as its user has set it up, and takes from it the [`Channel`] of each connection.
#[derive(Clone, Debug, Default)]
pub struct Stages {}

impl Stages {
    /// The channel for a connection to this address, before its socket is opened. The stages have something to say first:
    /// once it is open, the driver [writes](Channel::has_output).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the scheme needs a stage that is not built in: it never falls back to plain TCP.
    /// Else what is wrong with the settings.
    pub fn connect(&self, address: &Address) -> io::Result<Channel> {
        plain(address.scheme)
    }

    /// The channel for a connection that was accepted at an address of this scheme.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn accept(&self, scheme: Scheme) -> io::Result<Channel> {
        plain(scheme)
    }
}

fn plain(scheme: Scheme) -> io::Result<Channel> {
    match scheme {
        Scheme::Amqp => Ok(Channel::new()),
        Scheme::Amqps | Scheme::Ws | Scheme::Wss => {
            let missing = if scheme == Scheme::Amqps { "TLS" } else { "WebSocket" };
            let text = format!("{missing} is not built into this program; use an amqp URL");
            Err(io::Error::new(ErrorKind::Unsupported, text))
        }
    }
}
