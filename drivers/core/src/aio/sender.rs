//! Links that send.

use std::time::Duration;

use amqp1_engine::{
    self as engine, DeliveryId, SendError, message::Message, types::Attach, types::DeliveryTag,
};
use bytes::Bytes;

use super::{link::LinkHandle, waiters::Key};
use crate::client::{Error, Outcome, Sent, Waiting};

/// A link that sends. It may be cloned and used by any number of tasks, and is closed when it and all that was sent with it
/// are dropped.
#[derive(Clone, Debug)]
pub struct Sender {
    link: LinkHandle,
}

impl Sender {
    pub(super) const fn new(link: LinkHandle) -> Self {
        Self { link }
    }

    /// The same link, whose calls take so long at most.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { link: self.link.with_timeout(timeout) }
    }

    /// Sends a message and waits for what the receiver makes of it. Dropped before there is credit, it sends nothing; dropped
    /// after that, the outcome passes unseen.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was no credit or no outcome in time: with [`Waiting::Credit`] the message was not
    /// sent, with [`Waiting::Outcome`] it may have arrived. [`Error::Refused`], or why the link cannot be used.
    pub async fn send(&self, message: impl Into<Message>) -> Result<Outcome, Error> {
        self.submit(message).await?.outcome().await
    }

    /// Hands a message over and returns without waiting for its outcome, so that many can be on their way.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver takes no message in time, [`Error::Refused`], or why the link cannot be
    /// used.
    pub async fn submit(&self, message: impl Into<Message>) -> Result<Submitted, Error> {
        let message = message.into();
        let Sent { id, settled } =
            self.start(|mut sender, tag, settled| sender.send_message(tag, settled, &message)).await?;
        Ok(Submitted { link: self.link.clone(), id, open: !settled })
    }

    /// Starts a message that is written piece by piece, however large it is.
    ///
    /// What is written are the encoded sections of a message (§3.2). While it is being written, nothing else can be sent on
    /// this link.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver takes no message in time, or why the link cannot be used.
    pub async fn stream(&self) -> Result<MessageWriter, Error> {
        let Sent { id, settled } =
            self.start(|mut sender, tag, settled| sender.start(tag, settled, 0, Bytes::new())).await?;
        Ok(MessageWriter { link: self.link.clone(), id, settled, open: true })
    }

    /// Starts a message with `length` bytes of data, which are written piece by piece. `head` gives the sections
    /// in front of it; a body or footer in it is not sent.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    pub async fn stream_data(&self, head: &Message, length: u32) -> Result<MessageWriter, Error> {
        let mut start = Vec::new();
        head.encode_before_data(length, &mut start);
        let mut writer = self.stream().await?;
        writer.write_piece(start).await?;
        Ok(writer)
    }

    /// The peer's side of the link: the target that it has in force, its limits and capabilities (§2.7.3).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn remote_attach(&self) -> Result<Attach, Error> {
        let link = self.link.id();
        self.link.tell(|state| state.remote_attach(link))
    }

    /// Closes the link and waits for the peer to do so, too. Calls that other tasks are waiting in fail.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or why the connection
    /// is over.
    pub async fn close(&self) -> Result<(), Error> {
        self.link.close().await
    }

    /// Starts a delivery once there is credit.
    async fn start(
        &self,
        mut start: impl FnMut(engine::Sender<'_>, DeliveryTag, bool) -> Result<DeliveryId, SendError> + Unpin,
    ) -> Result<Sent, Error> {
        let link = self.link.id();
        self.link.wait(Waiting::Credit, |state| state.start(link, &mut start)).await
    }
}

/// A message that was handed over and whose outcome may be awaited. Dropping it lets the outcome pass unseen.
#[derive(Debug)]
#[must_use = "the message may have been rejected"]
pub struct Submitted {
    link: LinkHandle,
    id: DeliveryId,
    open: bool,
}

impl Submitted {
    /// Waits for what the receiver makes of the message.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or why the link cannot be used: then the message may have arrived.
    pub async fn outcome(mut self) -> Result<Outcome, Error> {
        if !self.open {
            return Ok(Outcome::Settled);
        }
        let id = self.id;
        let outcome =
            self.link.wait_for(Key::Delivery(id), Waiting::Outcome, |state| state.outcome(id)).await?;
        self.open = false;
        Ok(outcome)
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if self.open {
            self.link.tell(|state| state.abandon(self.id));
        }
    }
}

/// Writes one message piece by piece. Dropping it before [`finish`](Self::finish) gives the message up, as if it had
/// never been.
#[derive(Debug)]
pub struct MessageWriter {
    link: LinkHandle,
    id: DeliveryId,
    settled: bool,
    open: bool,
}

impl MessageWriter {
    /// Writes a piece; large ones are not copied. Dropped before it is done, it writes nothing of the piece.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver does not take what was written before in time, or why the link cannot be
    /// used.
    pub async fn write_piece(&mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        let (link, piece) = (self.link.id(), piece.into());
        self.link.wait(Waiting::Credit, |state| state.write(link, &piece)).await
    }

    /// Ends the message and waits for what the receiver makes of it.
    ///
    /// # Errors
    /// As [`Submitted::outcome`].
    pub async fn finish(mut self) -> Result<Outcome, Error> {
        let link = self.link.id();
        self.link.wait(Waiting::Credit, |state| state.finish(link)).await?;
        self.open = false;
        Submitted { link: self.link.clone(), id: self.id, open: !self.settled }.outcome().await
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if self.open {
            let link = self.link.id();
            self.link.tell(|state| state.abort(link));
        }
    }
}
