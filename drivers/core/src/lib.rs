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
//! - [`record`]: files in which connections are recorded, to be replayed.

#![forbid(unsafe_code)]

mod channel;
pub use channel::{Channel, READ_SIZE, Received, Sent, Spare};
mod clock;
pub use clock::Clock;
mod failure;
pub use failure::{Failure, plain_tcp};
pub mod record;
mod url;
pub use self::url::{Url, UrlError};
