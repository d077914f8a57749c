//! Sessions of their own.

use std::sync::Arc;

use amqp1_engine::{LinkConfig, SessionConfig, SessionId, codec::Str, types::Role};

use super::{Connection, Receiver, Sender, link::LinkHandle};
use crate::client::{Error, Waiting};

/// A session beside the one that a connection begins with. It may be cloned and used by any number of tasks, and is ended
/// when it and all its links are dropped.
#[derive(Clone, Debug)]
pub struct Session(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    connection: Connection,
    id: SessionId,
}

impl Session {
    pub(super) async fn begin(connection: &Connection, config: SessionConfig) -> Result<Self, Error> {
        let id = connection.shared().tell(|state| state.begin(config))?;
        let session = Self(Arc::new(Owned { connection: connection.clone(), id }));
        connection.wait(Waiting::Begin, |state| state.begun(id)).await?;
        Ok(session)
    }

    pub(super) fn id(&self) -> SessionId {
        self.0.id
    }

    /// Makes a link that sends to `address`.
    ///
    /// # Errors
    /// As [`Connection::sender`], and [`Error::Ended`] when the peer has ended the session.
    pub async fn sender(&self, address: impl Into<Str>) -> Result<Sender, Error> {
        self.attach_sender(LinkConfig::sender(self.0.connection.link_name(), address)).await
    }

    /// Makes a link that receives from `address`, with up to 10 messages on their way ahead of
    /// [`recv`](Receiver::recv).
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub async fn receiver(&self, address: impl Into<Str>) -> Result<Receiver, Error> {
        self.attach_receiver(LinkConfig::receiver(self.0.connection.link_name(), address), 10).await
    }

    /// Makes a link that sends, in every detail as told.
    ///
    /// # Errors
    /// As [`sender`](Self::sender), and [`Error::Misuse`] when the name is in use.
    pub async fn attach_sender(&self, config: LinkConfig) -> Result<Sender, Error> {
        LinkHandle::attach(&self.0.connection, Some(self), Role::Sender, config, 0).await.map(Sender::new)
    }

    /// Makes a link that receives, in every detail as told: see [`Connection::attach_receiver`].
    ///
    /// # Errors
    /// As [`attach_sender`](Self::attach_sender).
    pub async fn attach_receiver(&self, config: LinkConfig, prefetch: u32) -> Result<Receiver, Error> {
        LinkHandle::attach(&self.0.connection, Some(self), Role::Receiver, config, prefetch)
            .await
            .map(Receiver::new)
    }

    /// Ends the session and waits for the peer to do so, too. Its links are closed.
    ///
    /// # Errors
    /// [`Error::Ended`] with the peer's reason when it ended the session with an error, [`Error::TimedOut`], or why the
    /// connection is over.
    pub async fn end(&self) -> Result<(), Error> {
        let id = self.0.id;
        self.0.connection.shared().tell(|state| state.end_session(id));
        self.0.connection.wait(Waiting::End, |state| state.ended(id)).await
    }
}

impl Drop for Owned {
    /// Ends the session without waiting for the peer's answer.
    fn drop(&mut self) {
        self.connection.shared().tell(|state| state.forget_session(self.id));
    }
}
