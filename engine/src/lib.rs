//! AMQP 1.0 as a sans-IO state machine: bytes in, bytes and events out.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod arena;
mod serial;
pub use serial::Serial;
mod time;
pub use time::Instant;

pub mod codec;
mod connection;
pub mod container;
mod link;
pub mod message;
pub mod sasl;
mod session;
mod transport;
pub use transport::HandshakeError;
pub mod types;
