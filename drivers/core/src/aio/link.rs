//! What both ends of links have in common.

use std::{sync::Arc, time::Duration};

use amqp1_engine::{Instant, LinkConfig, LinkId, types::Role};

use super::{
    Connection, Session,
    shared::{Shared, Wait},
    waiters::Key,
};
use crate::client::{Error, State, Waiting};

/// A link that is open until nobody has a use for it.
#[derive(Clone, Debug)]
pub(super) struct LinkHandle {
    link: Arc<Owned>,
    /// How long a call may take.
    timeout: Duration,
}

#[derive(Debug)]
struct Owned {
    connection: Connection,
    /// Unless it is the connection's first one.
    _session: Option<Session>,
    id: LinkId,
}

impl LinkHandle {
    /// Attaches a link and waits for the peer to do so, too.
    pub(super) async fn attach(
        connection: &Connection,
        session: Option<&Session>,
        role: Role,
        config: LinkConfig,
        prefetch: u32,
    ) -> Result<Self, Error> {
        let id = connection
            .shared()
            .tell(|state| state.attach(session.map(Session::id), role, config, prefetch))?;
        let link = Arc::new(Owned { connection: connection.clone(), _session: session.cloned(), id });
        let handle = Self { link, timeout: connection.timeout };
        handle.wait(Waiting::Attach, |state| state.attached(id)).await?;
        Ok(handle)
    }

    /// The same link, whose calls take so long at most.
    pub(super) fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    pub(super) fn id(&self) -> LinkId {
        self.link.id
    }

    pub(super) fn shared(&self) -> &Shared {
        self.link.connection.shared()
    }

    /// When a call that begins now has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.shared().clock.now() + self.timeout
    }

    /// Waits for news of the link.
    pub(super) fn wait<T, F: FnMut(&mut State) -> Result<Option<T>, Error>>(
        &self,
        waiting: Waiting,
        look: F,
    ) -> Wait<'_, F> {
        self.wait_for(Key::Link(self.id()), waiting, look)
    }

    /// Waits for news, as long as a call may take.
    pub(super) fn wait_for<T, F: FnMut(&mut State) -> Result<Option<T>, Error>>(
        &self,
        key: Key,
        waiting: Waiting,
        look: F,
    ) -> Wait<'_, F> {
        self.shared().wait(key, Some(self.deadline()), waiting, look)
    }

    pub(super) fn tell<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        self.shared().tell(command)
    }

    /// Closes the link and waits for the peer's answer.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let id = self.id();
        self.tell(|state| state.close_link(id));
        self.wait(Waiting::Close, |state| state.link_closed(id)).await
    }
}

impl Drop for Owned {
    /// Closes the link without waiting for the peer's answer.
    fn drop(&mut self) {
        self.connection.shared().tell(|state| state.forget_link(self.id));
    }
}
