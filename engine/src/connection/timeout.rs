//! Deadlines: handshake, close, and the idle time-outs of both sides (§2.4.5).

use super::Connection;
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
        if self.common.progress.lost && self.common.outbox.is_empty() {
            return None;
        }
        if self.must_time_close() {
            return Some((Instant::ZERO, TimeoutReason::Close));
        }
        let candidates = [
            self.handshake_deadline.map(|at| (at, TimeoutReason::Handshake)),
            self.close_deadline.map(|at| (at, TimeoutReason::Close)),
            self.idle.deadline().filter(|_| !self.common.progress.lost).map(|at| (at, TimeoutReason::Idle)),
        ];
        candidates.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether our close waits behind other output, and nothing limits how long yet: a peer that does not read must
    /// not hold the connection for ever.
    fn must_time_close(&self) -> bool {
        self.common.close_due.is_some() && self.close_deadline.is_none() && !self.common.outbox.is_empty()
    }

    /// A peer that takes output lives, also while we read nothing until it has taken more; and it comes nearer to our
    /// close.
    pub(super) fn note_output_taken(&mut self, now: Instant) {
        let before = core::mem::replace(&mut self.output_left, self.common.outbox.len());
        if self.output_left >= before {
            return;
        }
        if before >= self.common.config.limits.output_stop_reading {
            self.idle.received(now);
        }
        if self.close_deadline.is_some() {
            self.close_deadline = Some(now + self.common.config.limits.close_timeout);
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        self.note_output_taken(now);
        if self.common.progress.lost {
            // The peer has not read our last words.
            let deadlines = [self.handshake_deadline, self.close_deadline];
            if deadlines.into_iter().flatten().any(|at| at <= now) {
                self.common.outbox.clear();
            }
            return;
        }
        if self.must_time_close() {
            self.close_deadline = Some(now + self.common.config.limits.close_timeout);
        }
        if self.handshake_deadline.is_some_and(|at| at <= now) {
            return self.lose(DisconnectReason::HandshakeTimeout);
        }
        if self.close_deadline.is_some_and(|at| at <= now) {
            return self.lose(DisconnectReason::CloseTimeout);
        }
        let peer_reads = self.common.outbox.len() < self.common.config.limits.output_stop_reading;
        if peer_reads && !self.wants_input() {
            // The peer may well have sent: it is we who do not read.
            self.idle.received(now);
        }
        match self.idle.poll(now) {
            Some(Idle::Expired) => {
                let text = "nothing received within the idle time-out";
                self.punish(Violation::connection(condition::RESOURCE_LIMIT_EXCEEDED, "2.4.5", text));
            }
            Some(Idle::KeepAlive) => self.heartbeat_due = true,
            None => {}
        }
    }
}
