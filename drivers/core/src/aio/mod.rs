//! The interfaces for programs with futures, whatever runs them.
//!
//! A driver for an async runtime says in a [`Runtime`] how that opens sockets, sleeps and spawns tasks; it exports
//! [`Container`] and the connections of [`Options::connect`] with that filled in. Nothing in here knows a runtime.
//!
//! Every future may be dropped at any time. What it has not said by then, it never says: a message that waits for credit is
//! not sent, one that nobody has received stays for the next call. What was said stands: of a message on its way the outcome
//! passes unseen.

mod alarm;
mod connection;
mod container;
mod dial;
mod link;
mod listening;
mod polled;
mod pump;
mod ready;
mod receiver;
mod request;
mod runtime;
mod sender;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod waiters;

pub use connection::{Connection, Options};
pub use container::Container;
pub use receiver::{Delivery, MessageReader, Receiver};
pub use request::RequestResponse;
pub use runtime::{Runtime, Socket};
pub use sender::{MessageWriter, Sender, Submitted};
pub use session::Session;
