//! What all drivers of the amqp1 engine share; there is no socket in it.
//!
//! A driver moves bytes between sockets and the engine and sleeps until the engine's next deadline. The parts
//! of that work which do not depend on how a driver waits live here:
//!
//! - [`Url`]: where to connect or listen, as users write it.
//! - [`Clock`]: the engine's time, read from the operating system.
//! - [`Channel`] and [`Spare`]: one connection's bytes between a socket and the engine, with buffers that are
//!   given back when they are empty.
//! - [`Stages`]: what else lies between them: TLS, WebSocket.
//! - [`Failure`]: what users are told when a socket cannot be opened.
//! - [`Runner`]: a container with its handler, and what its runner does however it waits.
//! - [`program`]: what programs work with, to be exported by every driver.
//! - [`Dial`] and [`Listener`]: opening sockets without waiting.
//! - [`Streams`] and [`Lingering`]: the open byte streams of a container, and those that are about to close.
//! - [`Mailbox`] and [`Injector`]: what other threads have for the one that runs a container.
//! - [`client`]: one connection as a program calls it, for the interfaces without a handler.
//! - [`aio`]: the interfaces for programs with futures, for the drivers of async runtimes.
//! - [`record`]: files in which connections are recorded, to be replayed.

#![forbid(unsafe_code)]

pub mod aio;
mod channel;
pub use channel::{Channel, READ_SIZE, Received, Sent, Spare};
pub mod client;
mod clock;
pub use clock::Clock;
mod dial;
pub use dial::{Connector, Dial, Dialed, Dials};
mod error;
pub use error::Error;
mod failure;
pub use failure::Failure;
mod lingering;
pub use lingering::Lingering;
mod listener;
pub use listener::{Acceptor, Listener};
mod mailbox;
pub use mailbox::{Found, InjectError, Injector, Mail, Mailbox};
pub mod program;
pub mod record;
mod runner;
pub use runner::{Runner, TURNS_A_STEP};
#[cfg(feature = "sasl")]
pub mod sasl;
mod stage;
pub use stage::Stages;
#[cfg(feature = "tls")]
pub use stage::{TlsClient, TlsError, TlsServer};
mod streams;
pub use streams::{Stream, Streams};
mod url;
pub use self::url::{Url, UrlError};

/// Whether the environment asks for the frame trace: `AMQP1_TRACE=frm`.
#[must_use]
pub fn trace_is_wanted() -> bool {
    std::env::var_os("AMQP1_TRACE").is_some_and(|value| value == "frm")
}
