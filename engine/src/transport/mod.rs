//! Bytes in and out of one connection, below the performatives.

pub(crate) mod handshake;
pub use handshake::HandshakeError;
pub(crate) mod idle;
pub(crate) mod trace;
