//! The sending end of a link: what its user calls. How deliveries become frames stands in `sending.rs`.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Batch, DeliveryId, LinkEnd, OutgoingDelivery, SenderEnd, Waiting, link_accessors, sending::NewDelivery,
};
use crate::{
    Blocked, Connection, LinkId, Misuse, Resumption, SendError,
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

    /// Whether the receiver asks to use the credit up or give it back (§2.6.7 drain).
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.end().credit.is_draining()
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

    /// To send several messages one after the other, for less than a call of [`send`](Self::send) each.
    ///
    /// # Errors
    ///
    /// What [`send`](Self::send) gives while the link is not attached by both sides.
    pub fn batch(&mut self) -> Result<Batch<'_>, SendError> {
        self.connection.batch(self.id.0)
    }

    /// As [`send_format`](Self::send_format), with a payload that may lie in two parts: the first is copied, and so is the
    /// second unless it is long; then it is shared.
    #[inline]
    pub(crate) fn send_parts(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message_format: u32,
        front: &[u8],
        tail: Option<&Bytes>,
    ) -> Result<DeliveryId, SendError> {
        self.connection.common.record(|tape| {
            let payload = Bytes::from([front, tail.map_or(&[], |tail| tail)].concat());
            tape.call("send", &[&self.id, &tag, &settled, &message_format, &payload]);
        });
        let delivery = NewDelivery { tag: &tag, settled, message_format, finished: true };
        self.connection.send_parts(self.id.0, delivery, front, tail)
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

    /// What is to become of the deliveries that the link was resumed with, as far as that is not done yet (§3.4.6).
    ///
    /// With the peer's attach each finds its answer; before, all [wait](Resumption::Wait). [`resume`](Self::resume)
    /// sends a message that is needed again, [`resolve`](Self::resolve) does all else.
    ///
    /// ```
    /// use amqp1_engine::{LinkId, Connection, Resumption, SendError, types::DeliveryTag};
    /// use bytes::Bytes;
    ///
    /// /// Goes on with what was sent before; `message` is what the program has kept.
    /// fn go_on(connection: &mut Connection, link: LinkId, message: impl Fn(&DeliveryTag) -> Option<Bytes>) -> Result<(), SendError> {
    ///     for (tag, resumption) in connection.sender(link)?.unresolved() {
    ///         match (resumption, message(&tag)) {
    ///             (Resumption::Wait, _) => {}
    ///             (Resumption::Resend | Resumption::Resume(_), Some(message)) => {
    ///                 connection.sender(link)?.resume(tag, message)?;
    ///             }
    ///             // Here the program writes down the outcome, before the receiver forgets the delivery.
    ///             _ => {
    ///                 connection.sender(link)?.resolve(tag)?;
    ///             }
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn unresolved(&self) -> Vec<(DeliveryTag, Resumption)> {
        let recovery = self.connection.common.recoveries.get(&self.id.0);
        recovery.into_iter().flat_map(|recovery| recovery.resumptions()).collect()
    }

    /// Sends the encoded message of a delivery that is [unresolved](Self::unresolved): as a new delivery where it is to be
    /// [resent](Resumption::Resend), else from where the receiver needs it. It has message-format 0.
    ///
    /// `payload` is the whole message; where our own state said from which point on it can be sent, the message from
    /// there on.
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingToResume`] where no message is needed; [`Blocked::Recovery`] where the answer is yet to come, or
    /// no new delivery may be sent before the link is attached again; else as [`send`](Self::send).
    pub fn resume(&mut self, tag: DeliveryTag, payload: impl Into<Bytes>) -> Result<DeliveryId, SendError> {
        self.resume_format(tag, 0, payload)
    }

    /// As [`resume`](Self::resume), with a message-format of the application's (§2.8.11).
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume).
    pub fn resume_format(
        &mut self,
        tag: DeliveryTag,
        message_format: u32,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let payload = payload.into();
        self.connection
            .common
            .record(|tape| tape.call("resume", &[&self.id, &tag, &message_format, &payload]));
        self.connection.resume_delivery(self.id.0, &tag, message_format, payload)
    }

    /// Does what is to be done with a delivery that is [unresolved](Self::unresolved), and sends no message: settles it
    /// with its outcome, tells the receiver the one that holds, or gives the delivery up where the message would be
    /// needed. It is over with that, but for an outcome that the receiver has yet to take over: that delivery comes back,
    /// as one that waits to be [settled](Self::settle).
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingToResume`] where there is no such delivery; [`Blocked::Recovery`] where the answer is yet to come;
    /// else as [`send`](Self::send).
    pub fn resolve(&mut self, tag: DeliveryTag) -> Result<Option<DeliveryId>, SendError> {
        self.connection.common.record(|tape| tape.call("resolve", &[&self.id, &tag]));
        self.connection.resolve_delivery(self.id.0, &tag)
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

    /// Whether more of a delivery is to be written, be it settled or not.
    #[must_use]
    pub fn is_unfinished(&self, id: DeliveryId) -> bool {
        let unfinished = self.end().unfinished.as_ref();
        id.link() == self.id && unfinished.is_some_and(|unfinished| unfinished.number == id.number())
    }

    /// Settles a delivery, with a last state of ours if the receiver should hear one, and forgets it: gives what the
    /// receiver has last told. The receiver is told unless it has settled already. Where that, or its outcome, came before all
    /// of the delivery was written, the rest still goes out.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when it is settled, or of another link, [`Misuse::StateNotAllowed`] when the state is
    /// `received`: that is the receiver's to tell (§3.4.1), [`Misuse::Unfinished`] when more of it is to be written, and the
    /// receiver has neither settled it nor told its outcome.
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

    /// Gives all credit back: the answer to [`Event::Drain`](crate::Event::Drain) when there is no more to send (§2.6.7). Does
    /// nothing where the receiver [does not ask for it](Self::is_draining) any more.
    pub fn drained(&mut self) {
        self.connection.common.record(|tape| tape.call("drained", &[&self.id]));
        let end = self.endpoint_mut().sender_mut().filter(|end| end.credit.is_draining());
        let Some(end) = end else { return };
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
