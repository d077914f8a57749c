//! Handlers that objects have of their own.

use alloc::boxed::Box;

use super::{
    Handler,
    entries::{At, Origin, OwnHandler},
    state::Core,
};

impl Core {
    /// Takes the handler that serves this out of its slot; none if the container's does.
    pub(super) fn take_handler(&mut self, mut at: At) -> Option<(At, Box<dyn Handler + Send>)> {
        if !self.has_own_handlers {
            return None;
        }
        loop {
            if let Some(handler) = self.handler_slot(at)?.take() {
                return Some((at, handler));
            }
            at = self.parent(at)?;
        }
    }

    /// Puts a handler back, unless its object is gone or was given another one.
    pub(super) fn put_handler(&mut self, at: At, handler: Box<dyn Handler + Send>) {
        if let Some(slot) = self.handler_slot(at) {
            slot.get_or_insert(handler);
        }
    }

    pub(super) fn handler_slot(&mut self, at: At) -> Option<&mut OwnHandler> {
        match at {
            At::Container => None,
            At::Listener(key) => Some(&mut self.listeners.get_mut(key)?.handler),
            At::Connection(key) => Some(&mut self.connections.get_mut(key)?.handler),
            At::Session(key) => Some(&mut self.sessions.get_mut(key)?.handler),
            At::Link(key) => Some(&mut self.links.get_mut(key)?.handler),
        }
    }

    fn parent(&self, at: At) -> Option<At> {
        match at {
            At::Container | At::Listener(_) => None,
            At::Connection(key) => match self.connections.get(key)?.origin {
                Origin::Accepted(listener) => Some(At::Listener(listener)),
                Origin::Dialed(_) | Origin::Left => None,
            },
            At::Session(key) => Some(At::Connection(self.sessions.get(key)?.connection)),
            At::Link(key) => Some(At::Session(self.links.get(key)?.session)),
        }
    }
}
