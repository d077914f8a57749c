//! Bytes in and out of one connection, below the performatives.

mod describe;
mod error;
pub use error::HandshakeError;
pub(crate) mod handshake;
pub(crate) mod idle;
mod outbox;
pub(crate) use outbox::Outbox;
pub use outbox::Transmit;
pub(crate) mod trace;
