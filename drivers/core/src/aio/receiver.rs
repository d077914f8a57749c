//! Links that receive.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use amqp1_engine::{
    DeliveryId,
    codec::{DecodeError, Symbol},
    message::{Message, MessageView},
    types::{self, Attach, DeliveryState, Modified},
};
use bytes::Bytes;
use futures_core::Stream;

use super::{
    link::LinkHandle,
    waiters::{Key, Ticket},
};
use crate::client::{Arrived, Error, Waiting};

/// A link that receives. It may be cloned and used by any number of tasks, each of which gets some of the messages; it is
/// closed when it and all that was received by it are dropped. Messages that came and were not received go back to the
/// sender.
///
/// It is also a `Stream` of deliveries, which waits as long as it takes and ends when the link or its connection is
/// closed without an error.
#[derive(Debug)]
pub struct Receiver {
    link: LinkHandle,
    /// Of who waits for the next item of the stream.
    ticket: Option<Ticket>,
}

impl Clone for Receiver {
    fn clone(&self) -> Self {
        Self::new(self.link.clone())
    }
}

impl Receiver {
    pub(super) const fn new(link: LinkHandle) -> Self {
        Self { link, ticket: None }
    }

    /// The same link, whose calls take so long at most.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::new(self.link.with_timeout(timeout))
    }

    /// Waits for the next message. Dropped, it leaves the message to the next call.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or why the link cannot be used. Messages that had arrived by then are still received.
    pub async fn recv(&self) -> Result<Delivery, Error> {
        self.recv_for(Waiting::Message).await
    }

    /// The same, with a name for what is waited for.
    pub(super) async fn recv_for(&self, waiting: Waiting) -> Result<Delivery, Error> {
        let link = self.link.id();
        let arrived = self.link.wait(waiting, |state| state.receive(link)).await?;
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
    pub async fn stream(&self) -> Result<MessageReader, Error> {
        let link = self.link.id();
        let mut arrived = self.link.wait(Waiting::Message, |state| state.receive_beginning(link)).await?;
        let unread = mem::take(&mut arrived.payload).into_bytes();
        let complete = arrived.complete;
        Ok(MessageReader { delivery: Delivery::new(self.link.clone(), arrived), unread, complete })
    }

    /// Lets so many more messages come (§2.6.7). For links that were made with a prefetch of 0; any other asks for more by
    /// itself as messages are received.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn add_credit(&self, count: u32) -> Result<(), Error> {
        let link = self.link.id();
        self.link.tell(|state| state.add_credit(link, count))
    }

    /// How many messages may come that have not come yet.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn credit(&self) -> Result<u32, Error> {
        let link = self.link.id();
        self.link.tell(|state| state.credit(link))
    }

    /// Has the sender send what it has and give the rest of the credit back, and waits until it has (§2.6.7 drain): then all
    /// that it had is there to be received.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or why the link cannot be used.
    pub async fn drain(&self) -> Result<(), Error> {
        let link = self.link.id();
        self.link.tell(|state| state.drain(link))?;
        self.link.wait(Waiting::Drain, |state| state.drained(link)).await
    }

    /// The peer's side of the link: the source that it has in force, with the address that it made for a dynamic one, and
    /// its capabilities (§2.7.3).
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn remote_attach(&self) -> Result<Attach, Error> {
        let link = self.link.id();
        self.link.tell(|state| state.remote_attach(link))
    }

    /// The filters that this side asked for and the peer does without (§3.5.1): messages may come that they would keep away.
    ///
    /// # Errors
    /// Why the link cannot be used.
    pub fn dropped_filters(&self) -> Result<Vec<Symbol>, Error> {
        let link = self.link.id();
        self.link.tell(|state| state.dropped_filters(link))
    }

    /// Closes the link and waits for the peer to do so, too. Deliveries that are not settled go back to the sender.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or why the connection
    /// is over.
    pub async fn close(&self) -> Result<(), Error> {
        self.link.close().await
    }
}

impl Stream for Receiver {
    type Item = Result<Delivery, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { link, ticket } = &mut *self;
        let id = link.id();
        let wait = (Key::Link(id), None, Waiting::Message);
        link.shared().poll(cx, ticket, wait, |state| state.receive(id)).map(|received| match received {
            Ok(arrived) => Some(Ok(Delivery::new(link.clone(), arrived))),
            Err(Error::Detached(None) | Error::Closed(None)) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.link.shared().leave(ticket);
        }
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
    /// The word is given when this is first polled, and leaves with the connection's task. On a link made with
    /// [`ReceiverSettleMode::Second`](types::ReceiverSettleMode::Second) this also waits for the sender to settle.
    ///
    /// # Errors
    /// Why the link cannot be used: then the sender may deliver the message again. [`Error::TimedOut`] when the sender
    /// does not settle in time.
    pub async fn accept(self) -> Result<(), Error> {
        self.settle(DeliveryState::Accepted).await
    }

    /// Says that the message is invalid (§3.4.3).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub async fn reject(self, error: Option<types::Error>) -> Result<(), Error> {
        self.settle(DeliveryState::Rejected(error.map(Box::new))).await
    }

    /// Gives the message back untouched (§3.4.4).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub async fn release(self) -> Result<(), Error> {
        self.settle(DeliveryState::Released).await
    }

    /// Gives the message back with changes (§3.4.5).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub async fn modify(self, modified: Modified) -> Result<(), Error> {
        self.settle(DeliveryState::Modified(Box::new(modified))).await
    }

    async fn settle(mut self, outcome: DeliveryState) -> Result<(), Error> {
        if mem::replace(&mut self.settled, true) {
            return Ok(());
        }
        let id = self.id;
        if self.link.tell(|state| state.update(id, outcome))? {
            let mut settling = Settling { link: &self.link, id, open: true };
            self.link.wait_for(Key::Delivery(id), Waiting::Settlement, |state| state.settled(id)).await?;
            settling.open = false;
        }
        Ok(())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            self.link.tell(|state| state.release(self.id));
        }
    }
}

/// A delivery whose sender has yet to settle it. If nobody waits for that any more, it is settled when it comes.
struct Settling<'a> {
    link: &'a LinkHandle,
    id: DeliveryId,
    open: bool,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if self.open {
            self.link.tell(|state| state.abandon(self.id));
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
    /// Waits for the next piece; there is none at the end of the message. Dropped, it leaves the piece to the next call.
    ///
    /// # Errors
    /// [`Error::Aborted`] when the sender gave the message up, [`Error::TimedOut`], or why the link cannot be used.
    pub async fn read_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.unread.is_empty() {
            return Ok(Some(mem::take(&mut self.unread)));
        }
        if self.complete {
            return Ok(None);
        }
        let (id, link) = (self.delivery.id, &self.delivery.link);
        let (piece, complete) =
            link.wait_for(Key::Delivery(id), Waiting::Message, |state| state.read(id)).await?;
        self.complete = complete;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// Ends reading, at the end or before it: what remains is the delivery, to be settled.
    #[must_use]
    pub fn finish(self) -> Delivery {
        self.delivery
    }
}
