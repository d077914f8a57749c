//! Bytes in and out of one connection, below the performatives.

mod describe;
pub(crate) mod handshake;
pub use handshake::HandshakeError;
pub(crate) mod idle;
mod outbox;
pub(crate) use outbox::Outbox;
pub use outbox::Transmit;
pub(crate) mod trace;
