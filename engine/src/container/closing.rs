//! Closing, after what waits or at once.

use alloc::vec::Vec;
use core::mem;

use super::{
    Action, ConnectionId, ListenerId, Object, SessionId,
    entries::{Closing, How, Notice, Stage},
    state::Core,
};
use crate::{
    LinkState,
    arena::Key,
    types::{Error, Role, condition},
};

impl Core {
    /// Notes the wish to close; [`finish_closes`](Self::finish_closes) grants it when the callback has returned.
    pub(super) fn close(&mut self, object: Object, how: How) {
        let Some(stage) = self.stage_mut(object) else { return };
        if *stage == Stage::Closed {
            return;
        }
        *stage = Stage::Closing;
        if let (Object::Link(link), How::Detach) = (object, &how)
            && let Some(link) = self.links.get_mut(link.key())
        {
            link.detaches = true;
        }
        let refusing = match object {
            Object::Connection(id) => self.links_of(id.0, None),
            Object::Session(id) => match self.sessions.get(id.0) {
                Some(session) => self.links_of(session.connection, Some(id.0)),
                None => Vec::new(),
            },
            Object::Link(_) | Object::Listener(_) => Vec::new(),
        };
        for key in refusing {
            if let Some(link) = self.links.get_mut(key) {
                link.is_refusing = true;
            }
        }
        self.closing.push(Closing { object, how });
    }

    pub(super) fn stage(&self, object: Object) -> Option<Stage> {
        match object {
            Object::Connection(id) => self.connections.get(id.0).map(|peer| peer.stage),
            Object::Session(id) => self.sessions.get(id.0).map(|session| session.stage),
            Object::Link(link) => self.links.get(link.key()).map(|link| link.stage),
            Object::Listener(id) => self.listeners.get(id.0).map(|listener| listener.stage),
        }
    }

    pub(super) fn stage_mut(&mut self, object: Object) -> Option<&mut Stage> {
        match object {
            Object::Connection(id) => self.connections.get_mut(id.0).map(|peer| &mut peer.stage),
            Object::Session(id) => self.sessions.get_mut(id.0).map(|session| &mut session.stage),
            Object::Link(link) => self.links.get_mut(link.key()).map(|link| &mut link.stage),
            Object::Listener(id) => self.listeners.get_mut(id.0).map(|listener| &mut listener.stage),
        }
    }

    /// Closes what callbacks asked to close, but for what has messages to send first.
    #[inline]
    pub(super) fn finish_closes(&mut self) {
        if !self.closing.is_empty() {
            self.finish_each_close();
        }
    }

    #[cold]
    fn finish_each_close(&mut self) {
        for Closing { object, how } in mem::take(&mut self.closing) {
            let waits = matches!(how, How::Graceful | How::Detach) && self.has_queued(object);
            if !waits {
                self.close_now(object, how);
            }
        }
    }

    /// Whether a callback has just asked to close a link, or what it stands on, with an error.
    pub(super) fn closes_with_error(&self, key: Key) -> bool {
        self.closes(key, |how| matches!(how, How::Error(_)))
    }

    /// Whether a callback has just asked to close a link, or what it stands on, in such a way.
    pub(super) fn closes(&self, key: Key, is_meant: impl Fn(&How) -> bool) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        self.closing.iter().any(|closing| {
            let holds_link = match closing.object {
                Object::Connection(id) => id.0 == link.connection,
                Object::Session(id) => id.0 == link.session,
                Object::Link(closed) => closed.key() == key,
                Object::Listener(_) => false,
            };
            holds_link && is_meant(&closing.how)
        })
    }

    fn has_queued(&self, object: Object) -> bool {
        match object {
            Object::Connection(id) => self.connections.get(id.0).is_some_and(|peer| peer.queued > 0),
            Object::Session(id) => self.sessions.get(id.0).is_some_and(|session| session.queued > 0),
            Object::Link(link) => self
                .links
                .get(link.key())
                .is_some_and(|link| link.queue.as_ref().is_some_and(|queue| !queue.is_empty())),
            Object::Listener(_) => false,
        }
    }

    /// Whether the user has closed an object, or what it stands on, and nothing waits to be sent on it: then it is all
    /// the same who was first to say so.
    pub(super) fn is_given_up(&self, object: Object) -> bool {
        let (session, connection) = match object {
            Object::Link(link) => match self.links.get(link.key()) {
                Some(link) => (Some(link.session), Some(link.connection)),
                None => (None, None),
            },
            Object::Session(id) => (None, self.sessions.get(id.0).map(|session| session.connection)),
            Object::Connection(_) | Object::Listener(_) => (None, None),
        };
        let session = session.map(|key| SessionId(key).into());
        let connection = connection.map(|key| ConnectionId(key).into());
        let is_closed = |object| self.stage(object).is_none_or(|stage| stage >= Stage::Closing);
        [Some(object), session, connection].into_iter().flatten().any(is_closed) && !self.has_queued(object)
    }

    pub(super) fn close_now(&mut self, object: Object, how: How) {
        match self.stage_mut(object) {
            Some(stage) if *stage != Stage::Closed => *stage = Stage::Closed,
            _ => return,
        }
        let error = match how {
            How::Error(error) => Some(*error),
            How::Graceful | How::Detach | How::Now => None,
        };
        match object {
            Object::Connection(id) => self.close_connection(id.0, error),
            Object::Session(id) => self.end_session(id.0, error),
            Object::Link(link) => self.close_link(link.key(), error),
            Object::Listener(id) => {
                self.actions.push_back(Action::StopListening { listener: id });
                self.open_listeners -= 1;
                self.free_listener(id.0);
            }
        }
    }

    fn close_connection(&mut self, key: Key, error: Option<Error>) {
        match self.engine(key) {
            Ok(engine) => engine.close(error),
            Err(_) => self.notices.push_back(Notice::ConnectionClosed(key)),
        }
    }

    fn end_session(&mut self, key: Key, error: Option<Error>) {
        let Some(session) = self.sessions.get(key) else { return };
        let connection = session.connection;
        let Some(id) = session.engine else {
            return self.notices.push_back(Notice::SessionClosed(key));
        };
        let ended = self.engine(connection).and_then(|engine| engine.session(id)?.end(error)).is_ok();
        if !ended {
            self.free_session(key);
        }
    }

    fn close_link(&mut self, key: Key, error: Option<Error>) {
        let Some(link) = self.links.get(key) else { return };
        if link.engine.is_none() {
            return self.notices.push_back(Notice::LinkClosed(key));
        }
        let detaches = link.detaches && error.is_none();
        let closed = match link.role {
            Role::Sender => self.sender(key).and_then(|mut sender| match sender.state() {
                LinkState::AttachReceived => sender.refuse(error.unwrap_or_else(refusal)),
                _ if detaches => sender.detach(),
                _ => sender.close(error),
            }),
            Role::Receiver => self.receiver(key).and_then(|mut receiver| match receiver.state() {
                LinkState::AttachReceived => receiver.refuse(error.unwrap_or_else(refusal)),
                _ if detaches => receiver.detach(),
                _ => receiver.close(error),
            }),
        };
        // The engine has ended it already: what it tells of that comes too late.
        if closed.is_err() {
            self.notices.push_back(Notice::LinkClosed(key));
        }
    }

    /// Closes everything at once.
    pub(super) fn stop(&mut self) {
        self.schedule.clear();
        let listeners = self.listeners.iter().map(|(key, _)| Object::Listener(ListenerId(key)));
        let connections = self.connections.iter().map(|(key, _)| Object::Connection(ConnectionId(key)));
        for object in listeners.chain(connections).collect::<Vec<_>>() {
            self.close(object, How::Now);
        }
    }
}

/// Why a peer's attach is refused where the handler does not say it.
fn refusal() -> Error {
    Error { condition: condition::NOT_ALLOWED, description: Some("the link was refused".into()), info: None }
}
