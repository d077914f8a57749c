//! Recording what happens to a connection, and the handshake of a replay: see [`record`](crate::record).

use alloc::{boxed::Box, string::String};

use super::{Connection, Event};
use crate::{
    Config, DisconnectReason, HandshakeError, Instant, record::HandshakeState,
    transport::handshake::Handshake,
};

impl Connection {
    /// What was recorded since this was called last, in whole lines, if [`Config::record`] asks for it.
    #[must_use]
    pub fn poll_recording(&mut self) -> Option<String> {
        self.common.tape.as_mut()?.take()
    }

    /// A connection whose handshake comes out of a recording.
    pub(crate) fn replayed(config: Config, now: Instant) -> Self {
        Self::with_handshake(config, Handshake::replayed(false), now)
    }

    /// Does what the handshake once did.
    pub(crate) fn replay_handshake(&mut self, before: HandshakeState, state: HandshakeState, written: &[u8]) {
        self.common.outbox.raw().extend_from_slice(written);
        if state.authenticated && !before.authenticated {
            self.common.events.push(Event::Authenticated);
        }
        if state.failed {
            // A stand-in: what it failed for lies in what was not recorded.
            self.lose(DisconnectReason::Handshake(HandshakeError::NotAmqp { byte: 0 }));
        } else if state.done {
            self.handshake_done();
        } else {
            self.handshake = Some(Box::new(Handshake::replayed(state.sending)));
        }
    }

    pub(super) fn record_input(&mut self, input: &[u8], now: Instant) {
        if let Some(tape) = &mut self.common.tape {
            tape.input(input, now);
        }
    }

    pub(super) fn record_input_left(&mut self, len: usize) {
        if let Some(tape) = &mut self.common.tape {
            tape.input_left(len);
        }
    }
}
