//! Protocol headers (§2.2) and the SASL layer below AMQP (§5.3), in both roles.

use alloc::vec::Vec;

use bytes::BytesMut;

use super::trace::Trace;
use crate::sasl::{Channel, Identity, Sasl};

/// Why a connection failed before its first AMQP frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A client was configured with the server's side of SASL, or the reverse.
    WrongRole,
}

/// Everything that precedes the first AMQP frame: protocol headers and, if configured, the SASL exchange.
#[derive(Debug)]
pub(crate) struct Handshake {}

impl Handshake {
    /// The side that opened the socket; `hostname` goes into sasl-init.
    pub(crate) fn client(_sasl: Option<&Sasl>, _hostname: Option<&str>, _channel: &Channel) -> Self {
        Self {}
    }

    /// The side that accepted the socket.
    pub(crate) fn server(_sasl: Option<&Sasl>, _channel: &Channel) -> Self {
        Self {}
    }

    /// Writes what this side says unasked: a client its first header, a server nothing.
    pub(crate) fn start(&mut self, _out: &mut Vec<u8>, _trace: &mut Trace) -> Result<(), HandshakeError> {
        Ok(())
    }

    /// Consumes headers and SASL frames, whole ones only, and writes the answers. What follows the peer's AMQP header
    /// stays in `input`.
    ///
    /// # Errors
    ///
    /// The reason to drop the socket, again at each call; what must still be sent is in `out`.
    pub(crate) fn handle_input(
        &mut self,
        _input: &mut BytesMut,
        _out: &mut Vec<u8>,
        _trace: &mut Trace,
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    /// Our AMQP header is written: frames may follow it.
    pub(crate) fn can_send(&self) -> bool {
        false
    }

    /// The peer's AMQP header arrived, too: what follows in the input are AMQP frames.
    pub(crate) fn is_done(&self) -> bool {
        false
    }

    /// Who the peer is (server) or by which mechanism we authenticated (client), once SASL has succeeded.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        None
    }
}
