//! What a program is told when a connection is lost, or not to be had.

use alloc::boxed::Box;

use super::{
    ConnectionId, Disconnected, Tracker,
    dispatch::Dispatcher,
    entries::{At, Stage},
};
use crate::{DisconnectReason, arena::Key, types::Error};

impl Dispatcher<'_> {
    /// A connection is over without a close on both sides: another attempt follows, or all that was on it is gone.
    pub(super) fn lost(&mut self, key: Key, mut reason: Disconnected) {
        let was_open = self.core.was_open(key);
        self.core.plan_attempt(key, &mut reason, self.now);
        self.tell_lost(key, &reason, was_open);
    }

    /// The protocol's side of a connection is over.
    pub(super) fn disconnected(&mut self, key: Key, reason: &DisconnectReason) {
        if let Some(reason) = self.core.why_disconnected(key, reason) {
            self.lost(key, reason);
        } else if let Some(peer) = self.core.connections.get_mut(key) {
            // Closed by both sides; where that was because of a violation, it is over now.
            peer.stage = Stage::Closed;
            if let Some(reason) = peer.failed.take() {
                let id = ConnectionId(key);
                self.lose_transactions_by(key, &reason);
                self.call(At::Connection(key), |handler, cx| handler.on_disconnected(cx, id, &reason));
            }
        }
    }

    /// The peer broke a rule, for which this side closes the connection.
    pub(super) fn violated_connection(&mut self, key: Key, mut reason: Disconnected) {
        if self.core.is_closed(ConnectionId(key)) {
            return;
        }
        let was_open = self.core.was_open(key);
        self.core.plan_attempt(key, &mut reason, self.now);
        if reason.reconnects {
            return self.tell_lost(key, &reason, was_open);
        }
        self.core.keep_links(key);
        // The rest is told when the peer has answered.
        let id = ConnectionId(key);
        if let Some(peer) = self.core.connections.get_mut(key) {
            peer.stage = Stage::Closed;
            peer.failed = Some(Box::new(reason.clone()));
        }
        self.call(At::Connection(key), |handler, cx| handler.on_transport_error(cx, id, &reason));
    }

    /// The same where the peer has closed it with an error, if another attempt follows: whether it does.
    pub(super) fn lost_by_close(&mut self, key: Key, error: &Error) -> bool {
        let Some(peer) = self.core.connections.get(key) else { return false };
        if peer.stage == Stage::Closed {
            return false;
        }
        if self.follows_redirect(key, error) {
            return true;
        }
        let mut reason = told_by(error);
        self.core.plan_attempt(key, &mut reason, self.now);
        if reason.reconnects {
            self.leave(key, &reason);
        }
        reason.reconnects
    }

    /// The peer points elsewhere: whether the connection is made again there.
    pub(super) fn follows_redirect(&mut self, key: Key, error: &Error) -> bool {
        let follows = self.core.plan_redirect(key, error, self.now);
        if follows {
            self.leave(key, &Disconnected { reconnects: true, ..told_by(error) });
        }
        follows
    }

    fn leave(&mut self, key: Key, reason: &Disconnected) {
        if let Ok(engine) = self.core.engine(key) {
            engine.close(None);
        }
        self.tell_lost(key, reason, true);
    }

    fn tell_lost(&mut self, key: Key, reason: &Disconnected, was_open: bool) {
        let id = ConnectionId(key);
        self.lose_transactions_by(key, reason);
        if !self.core.is_closed(id) && !reason.reconnects {
            self.core.keep_links(key);
        }
        let in_doubt = if reason.reconnects { self.core.suspend(key) } else { self.core.all_in_doubt(key) };
        let told = self.core.connections.get_mut(key).and_then(|peer| peer.failed.take());
        let is_ours = self.core.is_closed(id);
        if told.is_none() && !is_ours {
            self.call(At::Connection(key), |handler, cx| handler.on_transport_error(cx, id, reason));
        }
        if was_open || !reason.reconnects {
            let reason = told.as_deref().unwrap_or(reason);
            self.call(At::Connection(key), |handler, cx| handler.on_disconnected(cx, id, reason));
        }
        self.each_in_doubt(&in_doubt);
        if !reason.reconnects
            && let Some(peer) = self.core.connections.get_mut(key)
        {
            peer.stage = Stage::Closed;
            if peer.engine.is_none() {
                self.core.free_connection(key);
            }
        }
    }

    fn lose_transactions_by(&mut self, key: Key, reason: &Disconnected) {
        let description = Some(reason.description.clone());
        let error = Error { description, ..Error::new(reason.condition.clone()) };
        self.lose_transactions(key, None, Some(&error));
    }

    pub(super) fn each_in_doubt(&mut self, in_doubt: &[Tracker]) {
        for tracker in in_doubt {
            self.call(At::Link(tracker.id.link), |handler, cx| handler.on_in_doubt(cx, tracker));
        }
    }

    /// The moment of the next attempt has come.
    pub(super) fn redial(&mut self, key: Key) {
        let Some(mut attempt) = self.core.attempt(key) else { return };
        let id = ConnectionId(key);
        self.call(At::Connection(key), |handler, cx| handler.on_reconnecting(cx, id, &mut attempt));
        self.core.redial(key, attempt);
    }
}

/// What the peer has said, as the reason for a loss: the first line, as some say many.
fn told_by(error: &Error) -> Disconnected {
    let description = error.description.as_ref().map_or("", |text| text.as_str());
    let line = description.lines().next().unwrap_or_default();
    Disconnected { condition: error.condition.clone(), description: line.into(), reconnects: false }
}
