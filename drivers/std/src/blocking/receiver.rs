//! Links that receive.

use std::{io, mem, time::Duration};

use amqp1_driver::client::{Arrived, Error, Waiting};
use amqp1_engine::{
    DeliveryId, Instant,
    codec::{DecodeError, Symbol},
    message::{Message, MessageView},
    types::{self, Attach, DeliveryState, Modified},
};
use bytes::{Buf, Bytes};

use super::link::LinkHandle;

/// A link that receives. It is closed when it and all that was received by it are dropped; messages that came and were
/// not received go back to the sender.
#[derive(Debug)]
pub struct Receiver {
    link: LinkHandle,
}

impl Receiver {
    pub(super) const fn new(link: LinkHandle) -> Self {
        Self { link }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or why the link cannot be used. Messages that had arrived by then are still received.
    pub fn recv(&self) -> Result<Delivery, Error> {
        self.recv_timeout(self.link.shared().timeout)
    }

    /// Waits so long for the next message; with no time at all it takes what is there.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery, Error> {
        self.recv_until(self.link.shared().deadline(timeout), Waiting::Message)
    }

    /// The same, with a deadline, and a name for what is waited for.
    pub(super) fn recv_until(&self, deadline: Instant, waiting: Waiting) -> Result<Delivery, Error> {
        let link = self.link.id();
        let arrived = self.link.wait_until(deadline, waiting, |state| state.receive(link))?;
        Ok(Delivery::new(self.link.clone(), arrived))
    }

    /// Waits for the next message to begin to arrive, to read it piece by piece, however large it is. It can be settled
    /// once it is read.
    ///
    /// The link takes messages up to 16 MiB unless it is made by
    /// [`attach_receiver`](super::Connection::attach_receiver) with another `max_message_size`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// ```no_run
    /// use amqp1_std::{LinkConfig, blocking::Error};
    ///
    /// let connection = amqp1_std::connect("localhost")?;
    /// let config = LinkConfig { max_message_size: None, ..LinkConfig::receiver("films", "films") };
    /// let receiver = connection.attach_receiver(config, 1)?;
    ///
    /// let mut reader = receiver.stream()?;
    /// std::io::copy(&mut reader, &mut std::fs::File::create("film.amqp")?)?;
    /// reader.finish().accept()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Result<MessageReader, Error> {
        let link = self.link.id();
        let mut arrived = self.link.wait(Waiting::Message, |state| state.receive_beginning(link))?;
        let unread = mem::take(&mut arrived.payload).into_bytes();
        let complete = arrived.complete;
        Ok(MessageReader { delivery: Delivery::new(self.link.clone(), arrived), unread, complete })
    }

    /// The peer's side of the link: the source that it has in force, with the address that it made for a dynamic one, and
    /// its capabilities (§2.7.3).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn remote_attach(&self) -> Result<Attach, Error> {
        let link = self.link.id();
        self.link.shared().tell(|state| state.remote_attach(link))
    }

    /// The filters that this side asked for and the peer does without (§3.5.1): messages may come that they would keep away.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn dropped_filters(&self) -> Result<Vec<Symbol>, Error> {
        let link = self.link.id();
        self.link.shared().tell(|state| state.dropped_filters(link))
    }

    pub(super) fn link(&self) -> &LinkHandle {
        &self.link
    }

    /// Closes the link and waits for the peer to do so, too. Deliveries that are not settled go back to the sender.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or why the connection
    /// is over.
    pub fn close(self) -> Result<(), Error> {
        self.link.close()
    }
}

/// A message that was received, to be settled by one of [`accept`](Self::accept), [`reject`](Self::reject),
/// [`release`](Self::release) and [`modify`](Self::modify). Dropping it unsettled releases it: the sender may deliver
/// it again.
#[derive(Debug)]
pub struct Delivery {
    link: LinkHandle,
    id: DeliveryId,
    message_format: u32,
    bytes: Bytes,
    /// The sender does not wait for an outcome, or knows it.
    settled: bool,
}

impl Delivery {
    fn new(link: LinkHandle, arrived: Arrived) -> Self {
        let Arrived { id, payload, message_format, settled, .. } = arrived;
        Self { link, id, message_format, bytes: payload.into_bytes(), settled }
    }

    /// The message, borrowed: its sections are found now and decoded when asked.
    ///
    /// # Errors
    /// The bytes are not a message as in §3.2.
    pub fn message(&self) -> Result<MessageView<'_>, DecodeError> {
        MessageView::scan(&self.bytes)
    }

    /// The message, decoded in whole.
    ///
    /// # Errors
    /// The bytes are not a message as in §3.2.
    pub fn decode(&self) -> Result<Message, DecodeError> {
        Message::decode(&self.bytes)
    }

    /// The bytes as they came; none if they were read by a [`MessageReader`].
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the bytes are: 0 for a message as in §3.2; other formats are the application's own (§2.8.11).
    #[must_use]
    pub const fn message_format(&self) -> u32 {
        self.message_format
    }

    /// Whether the sender has settled it, so that no outcome reaches it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Says that the message is processed (§3.4.2).
    ///
    /// The word leaves at once if the socket takes it. On a link made with
    /// [`ReceiverSettleMode::Second`](types::ReceiverSettleMode::Second) this also waits for the sender to settle.
    ///
    /// # Errors
    /// Why the link cannot be used: then the sender may deliver the message again. [`Error::TimedOut`] when the sender
    /// does not settle in time.
    pub fn accept(self) -> Result<(), Error> {
        self.settle(DeliveryState::Accepted)
    }

    /// Says that the message is invalid (§3.4.3).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn reject(self, error: Option<types::Error>) -> Result<(), Error> {
        self.settle(DeliveryState::Rejected(error.map(Box::new)))
    }

    /// Gives the message back untouched (§3.4.4).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn release(self) -> Result<(), Error> {
        self.settle(DeliveryState::Released)
    }

    /// Gives the message back with changes (§3.4.5).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn modify(self, modified: Modified) -> Result<(), Error> {
        self.settle(DeliveryState::Modified(Box::new(modified)))
    }

    fn settle(mut self, outcome: DeliveryState) -> Result<(), Error> {
        if mem::replace(&mut self.settled, true) {
            return Ok(());
        }
        let id = self.id;
        let settles_second = self.link.shared().tell(|state| state.update(id, outcome))?;
        if settles_second {
            self.link.wait(Waiting::Settlement, |state| state.settled(id))?;
        }
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            self.link.shared().tell(|state| state.release(self.id));
        }
    }
}

/// Reads one message piece by piece, while it arrives: the encoded sections of a message (§3.2).
///
/// No more of it is read from the peer than the connection's
/// [`unread_bytes`](amqp1_engine::Limits::unread_bytes), so that a message may be larger than the memory. Dropping it
/// releases the message.
#[derive(Debug)]
pub struct MessageReader {
    delivery: Delivery,
    unread: Bytes,
    /// All of it was taken from the engine.
    complete: bool,
}

impl MessageReader {
    /// Waits for the next piece; there is none at the end of the message.
    ///
    /// # Errors
    /// [`Error::Aborted`] when the sender gave the message up, [`Error::TimedOut`], or why the link cannot be used.
    pub fn read_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.unread.is_empty() {
            return Ok(Some(mem::take(&mut self.unread)));
        }
        if self.complete {
            return Ok(None);
        }
        let id = self.delivery.id;
        let (piece, complete) = self.delivery.link.wait(Waiting::Message, |state| state.read(id))?;
        self.complete = complete;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// Ends reading, at the end or before it: what remains is the delivery, to be settled.
    #[must_use]
    pub fn finish(self) -> Delivery {
        self.delivery
    }
}

impl io::Read for MessageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            match self.read_piece()? {
                Some(piece) => self.unread = piece,
                None => return Ok(0),
            }
        }
        let count = self.unread.len().min(buffer.len());
        self.unread.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
