//! Links that send.

use std::io;

use amqp1_driver::client::{Error, Outcome, Sent, Waiting};
use amqp1_engine::{
    self as engine, DeliveryId, Instant, SendError,
    message::Message,
    types::{Attach, DeliveryTag},
};
use bytes::Bytes;

use super::link::LinkHandle;

/// The most bytes that one [`io::Write::write`] takes.
const PIECE: usize = 64 * 1024;

/// A link that sends. It is closed when it and all that was sent with it are dropped.
#[derive(Debug)]
pub struct Sender {
    link: LinkHandle,
}

impl Sender {
    pub(super) const fn new(link: LinkHandle) -> Self {
        Self { link }
    }

    /// Sends a message and waits for what the receiver makes of it.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was no credit or no outcome in time: with [`Waiting::Credit`] the message was not
    /// sent, with [`Waiting::Outcome`] it may have arrived. [`Error::Refused`], or why the link cannot be used.
    pub fn send(&self, message: impl Into<Message>) -> Result<Outcome, Error> {
        self.submit(message)?.outcome()
    }

    /// Sends a message without waiting for its outcome, so that many can be on their way.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver takes no message in time, [`Error::Refused`], or why the link cannot be
    /// used.
    pub fn submit(&self, message: impl Into<Message>) -> Result<Submitted, Error> {
        self.submit_until(&message.into(), self.link.deadline())
    }

    /// The same, with a deadline of its own.
    pub(super) fn submit_until(&self, message: &Message, deadline: Instant) -> Result<Submitted, Error> {
        let Sent { id, settled } =
            self.start(deadline, |mut sender, tag, settled| sender.send_message(tag, settled, message))?;
        Ok(Submitted { link: self.link.clone(), id, open: !settled })
    }

    /// Starts a message that is written piece by piece, however large it is.
    ///
    /// What is written are the encoded sections of a message (§3.2). While it is being written, nothing else can be sent on
    /// this link.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver takes no message in time, or why the link cannot be used.
    pub fn stream(&self) -> Result<MessageWriter, Error> {
        let Sent { id, settled } = self.start(self.link.deadline(), |mut sender, tag, settled| {
            sender.start(tag, settled, 0, Bytes::new())
        })?;
        Ok(MessageWriter { link: self.link.clone(), id, settled, open: true })
    }

    /// Starts a message with `length` bytes of data, which are written piece by piece. `head` gives the sections
    /// in front of it; a body or footer in it is not sent.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    ///
    /// ```no_run
    /// use amqp1_std::{Message, blocking::Error};
    ///
    /// let connection = amqp1_std::connect("localhost")?;
    /// let sender = connection.sender("films")?;
    /// let mut film = std::fs::File::open("film.mkv")?;
    /// let length = u32::try_from(film.metadata()?.len())?;
    ///
    /// let mut writer = sender.stream_data(&Message::default(), length)?;
    /// std::io::copy(&mut film, &mut writer)?;
    /// writer.finish()?.accepted()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream_data(&self, head: &Message, length: u32) -> Result<MessageWriter, Error> {
        let mut start = Vec::new();
        head.encode_before_data(length, &mut start);
        let mut writer = self.stream()?;
        writer.write_piece(start)?;
        Ok(writer)
    }

    /// The peer's side of the link: the target that it has in force, its limits and capabilities (§2.7.3).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn remote_attach(&self) -> Result<Attach, Error> {
        let link = self.link.id();
        self.link.shared().tell(|state| state.remote_attach(link))
    }

    /// Closes the link and waits for the peer to do so, too.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or why the connection
    /// is over.
    pub fn close(self) -> Result<(), Error> {
        self.link.close()
    }

    /// Starts a delivery once there is credit.
    fn start(
        &self,
        deadline: Instant,
        mut start: impl FnMut(engine::Sender<'_>, DeliveryTag, bool) -> Result<DeliveryId, SendError>,
    ) -> Result<Sent, Error> {
        let link = self.link.id();
        self.link.wait_until(deadline, Waiting::Credit, |state| state.start(link, &mut start))
    }
}

/// A message that was sent and whose outcome may be awaited. Dropping it lets the outcome pass unseen.
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
    pub fn outcome(self) -> Result<Outcome, Error> {
        let deadline = self.link.deadline();
        self.outcome_until(deadline)
    }

    /// The same, with a deadline of its own.
    pub(super) fn outcome_until(mut self, deadline: Instant) -> Result<Outcome, Error> {
        if !self.open {
            return Ok(Outcome::Settled);
        }
        let id = self.id;
        let outcome = self.link.wait_until(deadline, Waiting::Outcome, |state| state.outcome(id))?;
        self.open = false;
        Ok(outcome)
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if self.open {
            self.link.shared().tell(|state| state.abandon(self.id));
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
    /// Writes a piece; large ones are not copied.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the receiver does not take what was written before in time, or why the link cannot be
    /// used.
    pub fn write_piece(&mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        let piece = piece.into();
        let link = self.link.id();
        self.link.wait(Waiting::Credit, |state| state.write(link, &piece))
    }

    /// Ends the message and waits for what the receiver makes of it.
    ///
    /// # Errors
    /// As [`Submitted::outcome`].
    pub fn finish(mut self) -> Result<Outcome, Error> {
        let link = self.link.id();
        self.link.wait(Waiting::Credit, |state| state.finish(link))?;
        self.open = false;
        Submitted { link: self.link.clone(), id: self.id, open: !self.settled }.outcome()
    }
}

impl io::Write for MessageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.write_piece(Bytes::copy_from_slice(piece))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if self.open {
            let link = self.link.id();
            self.link.shared().tell(|state| state.abort(link));
        }
    }
}
