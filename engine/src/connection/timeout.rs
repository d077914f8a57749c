//! Deadlines: handshake, close, and the idle time-outs of both sides (§2.4.5).

use super::{Connection, Progress};
use crate::{DisconnectReason, Instant, Violation, transport::idle::Idle, types::condition};

/// What [`Connection::poll_timeout`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutReason {
    /// The peer has to open the connection.
    Handshake,
    /// The peer has to answer our close (§2.4.3).
    Close,
    /// The peer has to send something, or we have to (§2.4.5).
    Idle,
}

impl Connection {
    pub(super) fn next_timeout(&self) -> Option<(Instant, TimeoutReason)> {
        if self.progress.lost {
            return None;
        }
        let candidates = [
            self.handshake_deadline.map(|at| (at, TimeoutReason::Handshake)),
            self.close_deadline.map(|at| (at, TimeoutReason::Close)),
            self.idle.deadline().map(|at| (at, TimeoutReason::Idle)),
        ];
        candidates.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.progress.lost {
            return;
        }
        if self.handshake_deadline.is_some_and(|at| at <= now) {
            return self.lose(DisconnectReason::HandshakeTimeout);
        }
        if self.close_deadline.is_some_and(|at| at <= now) {
            return self.lose(DisconnectReason::CloseTimeout);
        }
        if !self.wants_input() {
            // The peer may well have sent: it is we who do not read.
            self.idle.received(now);
        }
        match self.idle.poll(now) {
            Some(Idle::Expired) => {
                let text = "nothing received within the idle time-out";
                self.punish(Violation::connection(condition::RESOURCE_LIMIT_EXCEEDED, "2.4.5", text));
            }
            Some(Idle::KeepAlive) => self.heartbeat_due = self.progress.sent == Progress::Open,
            None => {}
        }
    }
}
