//! The blocking interface: calls that wait, each with a deadline.
//!
//! ```no_run
//! let connection = amqp1_std::connect("amqp://localhost")?;
//! let receiver = connection.receiver("examples")?;
//! let sender = connection.sender("examples")?;
//! sender.send("Hello World!")?.accepted()?;
//! let delivery = receiver.recv()?;
//! println!("{}", delivery.message()?.body());
//! delivery.accept()?;
//! connection.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All of it may be used from several threads at once. No call holds up another one: a thread that waits for the peer
//! moves the bytes of all of them.
//!
//! A call comes back after [`Options::timeout`] at the latest, whatever the peer does; some take a time of their own.

mod connection;
mod link;
mod receiver;
mod request;
mod sender;
mod shared;

pub use amqp1_driver::client::{Error, Outcome, Waiting};
pub use connection::{Connection, Options, connect};
pub use receiver::{Delivery, MessageReader, Receiver};
pub use request::SyncRequestResponse;
pub use sender::{MessageWriter, Sender, Submitted};
