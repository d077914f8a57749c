//! The sending end of a link: what its user calls. How deliveries become frames stands in `sending.rs`.

use bytes::Bytes;

use super::{
    DeliveryId, LinkEnd, OutgoingDelivery, SenderEnd, Waiting, link_accessors, sending::NewDelivery,
};
use crate::{
    Blocked, Connection, LinkId, Misuse, SendError,
    message::Message,
    types::{DeliveryState, DeliveryTag},
};

/// One link of a [`Connection`] on which we send, borrowed for a statement.
///
/// Nothing is queued here: a message is taken and becomes frames at once, or is refused with what to wait for.
/// A delivery that was not sent settled stays until [`settle`](Self::settle), which every one of them needs.
#[derive(Debug)]
pub struct Sender<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) id: LinkId,
}

link_accessors!(Sender);

impl Sender<'_> {
    fn end(&self) -> &SenderEnd {
        match &self.endpoint().end {
            LinkEnd::Sender(end) => end,
            LinkEnd::Receiver(_) => unreachable!("the role was checked when the accessor was made"),
        }
    }

    /// Deliveries that the receiver still takes (§2.6.7).
    #[must_use]
    pub fn credit(&self) -> u32 {
        self.end().credit.link_credit()
    }

    /// Whether [`send`](Self::send) would take a message now. If not, [`Event::Sendable`](crate::Event::Sendable) tells
    /// when it does.
    #[must_use]
    pub fn is_sendable(&mut self) -> bool {
        self.blocked().is_none()
    }

    /// What stands in the way of sending now; [`Event::Sendable`](crate::Event::Sendable) tells when nothing does.
    #[must_use]
    pub fn blocked(&mut self) -> Option<Blocked> {
        self.connection.common.record(|tape| tape.call("blocked", &[&self.id]));
        self.connection.blocked(self.id.0)
    }

    /// Sends the encoded message `payload` as one delivery of message-format 0 (§2.6.12).
    ///
    /// Up to 1 KiB is copied, more is shared. What the peer's window does not take at once goes out when it opens.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the message was not sent.
    pub fn send(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        self.send_format(tag, settled, 0, payload)
    }

    /// As [`send`](Self::send), with a message-format of the application's (§2.8.11).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_format(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let payload = payload.into();
        self.connection
            .common
            .record(|tape| tape.call("send", &[&self.id, &tag, &settled, &message_format, &payload]));
        let delivery = NewDelivery { tag: &tag, settled, message_format, finished: true };
        self.connection.send_payload(self.id.0, delivery, payload)
    }

    /// Encodes `message` straight into the output and sends it as one delivery. Large data at its end is shared.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_message(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        self.connection
            .common
            .record(|tape| tape.call("send_message", &[&self.id, &tag, &settled, &message]));
        let delivery = NewDelivery { tag: &tag, settled, message_format: 0, finished: true };
        self.connection.send_message(self.id.0, delivery, message)
    }

    /// Starts a delivery that is written in pieces: the first transfer goes out with `piece` (§2.6.14).
    ///
    /// [`write`](Self::write) goes on with it, [`finish`](Self::finish) or [`abort`](Self::abort) ends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn start(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        piece: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let piece = piece.into();
        self.connection
            .common
            .record(|tape| tape.call("start", &[&self.id, &tag, &settled, &message_format, &piece]));
        let delivery = NewDelivery { tag: &tag, settled, message_format, finished: false };
        self.connection.send_payload(self.id.0, delivery, piece)
    }

    /// Writes a further piece of the delivery that was started.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started; [`SendError::Blocked`] while the window is closed or too
    /// much output waits: [`Event::Sendable`](crate::Event::Sendable) tells when to go on.
    pub fn write(&mut self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let piece = piece.into();
        self.connection.common.record(|tape| tape.call("write", &[&self.id, &piece]));
        self.connection.continue_delivery(self.id.0, piece, false)
    }

    /// Ends the delivery that was started; what the window did not take yet still goes out.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.connection.common.record(|tape| tape.call("finish", &[&self.id]));
        self.connection.continue_delivery(self.id.0, Bytes::new(), true)
    }

    /// Gives up the delivery that was started; the receiver drops what it has of it, and it counts as settled.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingStarted`] when none was started.
    pub fn abort(&mut self) -> Result<(), Misuse> {
        self.connection.common.record(|tape| tape.call("abort", &[&self.id]));
        self.connection.abort_delivery(self.id.0)
    }

    /// A delivery that is not settled.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is settled, or of another link.
    pub fn delivery(&self, id: DeliveryId) -> Result<&OutgoingDelivery, Misuse> {
        let session = self.connection.sessions.get(self.endpoint().session).ok_or(Misuse::Gone)?;
        let delivery = session.outgoing.get(id.number()).filter(|delivery| delivery.link == self.id.0);
        delivery.filter(|_| id.link() == self.id).ok_or(Misuse::Gone)
    }

    /// Settles a delivery, with a last state of ours if the receiver should hear one, and forgets it: gives what the
    /// receiver has last told. The receiver is told unless it has settled already.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is settled, or of another link, [`Misuse::StateNotAllowed`] when the state is
    /// `received`: that is the receiver's to tell (§3.4.1).
    pub fn settle(
        &mut self,
        id: DeliveryId,
        state: Option<DeliveryState>,
    ) -> Result<Option<DeliveryState>, Misuse> {
        if id.link() != self.id {
            return Err(Misuse::Gone);
        }
        self.connection.common.record(|tape| tape.call("settle_sent", &[&id, &state]));
        //= 3.4.1-02
        if matches!(state, Some(DeliveryState::Received(_))) {
            return Err(Misuse::StateNotAllowed);
        }
        self.connection.settle_outgoing(id, state)
    }

    /// Tells the receiver how many messages wait here for credit (§2.6.7 available).
    pub fn offered(&mut self, available: u32) {
        self.connection.common.record(|tape| tape.call("offered", &[&self.id, &available]));
        if let Some(end) = self.endpoint_mut().sender_mut() {
            end.available = available;
        }
        self.flow();
    }

    /// Gives all credit back: the answer to [`Event::Drain`](crate::Event::Drain) when there is no more to send (§2.6.7).
    pub fn drained(&mut self) {
        self.connection.common.record(|tape| tape.call("drained", &[&self.id]));
        let Some(end) = self.endpoint_mut().sender_mut() else { return };
        end.credit.drained();
        end.waiting = Waiting::Credit;
        self.flow();
    }

    fn flow(&mut self) {
        self.endpoint_mut().flow_due = true;
        let id = self.id;
        self.connection.mark_link(id.0);
    }
}
