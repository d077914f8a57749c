//! Which stages a connection has, by its address.

use std::io::{self, ErrorKind};

use amqp1_engine::container::{Address, Scheme};

#[cfg(all(feature = "tls", feature = "websocket"))]
use super::over::Over;
#[cfg(feature = "websocket")]
use super::websocket::WebSocket;
#[cfg(feature = "tls")]
use super::{TlsClient, TlsServer, tls::Tls};
use crate::Channel;

/// What a driver puts between its sockets and the engine: nothing for `amqp`, and what the other schemes ask for.
///
/// A driver holds one, as its user has set it up, and takes from it the [`Channel`] of each connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stages {
    /// TLS of the connections that this side makes.
    #[cfg(feature = "tls")]
    pub tls_client: TlsClient,
    /// TLS of the connections that this side accepts; without it, none is accepted that would need it.
    #[cfg(feature = "tls")]
    pub tls_server: Option<TlsServer>,
}

impl Stages {
    /// The channel for a connection to this address, before its socket is opened. The stages have something to say first:
    /// once it is open, the driver [writes](Channel::has_output).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the scheme needs a stage that is not built in: it never falls back to plain TCP.
    /// Else what is wrong with the settings.
    pub fn connect(&self, address: &Address) -> io::Result<Channel> {
        match address.scheme {
            Scheme::Amqp => Ok(Channel::new()),
            #[cfg(feature = "tls")]
            Scheme::Amqps => Ok(Channel::with_stage(Box::new(self.tls_client.connect(&address.host)?))),
            #[cfg(feature = "websocket")]
            Scheme::Ws => Ok(Channel::with_stage(Box::new(WebSocket::client(address)?))),
            #[cfg(all(feature = "tls", feature = "websocket"))]
            Scheme::Wss => {
                let (upper, lower) = (WebSocket::client(address)?, self.tls_client.connect(&address.host)?);
                Ok(Channel::with_stage(Box::new(Over::new(upper, lower))))
            }
            #[allow(unreachable_patterns, reason = "with all features there is no other")]
            scheme => Err(unsupported(scheme)),
        }
    }

    /// The channel for a connection that was accepted at an address of this scheme.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn accept(&self, scheme: Scheme) -> io::Result<Channel> {
        match scheme {
            Scheme::Amqp => Ok(Channel::new()),
            #[cfg(feature = "tls")]
            Scheme::Amqps => Ok(Channel::with_stage(Box::new(self.accept_tls()?))),
            #[cfg(feature = "websocket")]
            Scheme::Ws => Ok(Channel::with_stage(Box::new(WebSocket::server()))),
            #[cfg(all(feature = "tls", feature = "websocket"))]
            Scheme::Wss => {
                let (upper, lower) = (WebSocket::server(), self.accept_tls()?);
                Ok(Channel::with_stage(Box::new(Over::new(upper, lower))))
            }
            #[allow(unreachable_patterns, reason = "with all features there is no other")]
            scheme => Err(unsupported(scheme)),
        }
    }

    #[cfg(feature = "tls")]
    fn accept_tls(&self) -> io::Result<Tls> {
        let Some(tls) = &self.tls_server else {
            let text = "TLS needs a certificate of the server, and there is none";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        };
        Ok(tls.accept()?)
    }
}

#[allow(dead_code, reason = "with all features nothing is missing")]
fn unsupported(scheme: Scheme) -> io::Error {
    let (what, feature) = match scheme {
        Scheme::Amqp | Scheme::Amqps => ("TLS", "tls"),
        Scheme::Ws | Scheme::Wss => ("WebSocket", "websocket"),
    };
    let text = format!("{what} is not built into this program; build it with the feature `{feature}`");
    io::Error::new(ErrorKind::Unsupported, text)
}
