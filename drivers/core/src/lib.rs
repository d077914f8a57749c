//! What all drivers of the amqp1 engine share; there is no socket in it.
//!
//! A driver moves bytes between sockets and the engine and sleeps until the engine's next deadline. The parts
//! of that work which do not depend on how a driver waits live here:
//!
//! - [`Url`]: where to connect or listen, as users write it.
//! - [`Clock`]: the engine's time, read from the operating system.
//! - [`Channel`] and [`Spare`]: one connection's bytes between a socket and the engine, with buffers that are
//!   given back when they are empty.
//! - [`Failure`]: what users are told when a socket cannot be opened.
//! - [`Streams`] and [`Lingering`]: the open byte streams of a container, and those that are about to close.
//! - [`Mailbox`] and [`Injector`]: what other threads have for the one that runs a container.
//! - [`record`]: files in which connections are recorded, to be replayed.

#![forbid(unsafe_code)]

mod channel;
pub use channel::{Channel, READ_SIZE, Received, Sent, Spare};
mod clock;
pub use clock::Clock;
mod error;
pub use error::Error;
mod failure;
pub use failure::{Failure, plain_tcp};
mod lingering;
pub use lingering::Lingering;
mod mailbox;
pub use mailbox::{Found, InjectError, Injector, Mail, Mailbox};
pub mod record;
mod streams;
pub use streams::{Stream, Streams};
mod url;
pub use self::url::{Url, UrlError};
