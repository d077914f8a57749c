//! What both ends of links have in common.

use std::sync::Arc;

use amqp1_driver::client::{Error, State, Waiting};
use amqp1_engine::{Instant, LinkId};

use super::{Connection, shared::Shared};

/// A link that is open until nobody has a use for it.
#[derive(Clone, Debug)]
pub(super) struct LinkHandle(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    connection: Connection,
    id: LinkId,
}

impl LinkHandle {
    pub(super) fn new(connection: Connection, id: LinkId) -> Self {
        Self(Arc::new(Owned { connection, id }))
    }

    pub(super) fn id(&self) -> LinkId {
        self.0.id
    }

    pub(super) fn shared(&self) -> &Shared {
        self.0.connection.shared()
    }

    /// Waits, as long as any call may take, until `look` finds what it wants or fails.
    pub(super) fn wait<T>(
        &self,
        waiting: Waiting,
        look: impl FnMut(&mut State) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        self.wait_until(self.deadline(), waiting, look)
    }

    /// When a call that is given no time of its own has to be back.
    pub(super) fn deadline(&self) -> Instant {
        self.shared().deadline(self.shared().timeout)
    }

    /// Waits until `look` finds what it wants or fails, or the deadline comes.
    pub(super) fn wait_until<T>(
        &self,
        deadline: Instant,
        waiting: Waiting,
        look: impl FnMut(&mut State) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        self.shared().wait(deadline, waiting, look)
    }

    /// Closes the link and waits for the peer's answer.
    pub(super) fn close(&self) -> Result<(), Error> {
        let id = self.id();
        self.shared().tell(|state| state.close_link(id));
        self.wait(Waiting::Close, |state| state.link_closed(id))
    }
}

impl Drop for Owned {
    /// Closes the link without waiting for the peer's answer.
    fn drop(&mut self) {
        self.connection.shared().tell(|state| state.forget_link(self.id));
    }
}
