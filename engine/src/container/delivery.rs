use core::{
    cell::{Cell, OnceCell},
    fmt,
};

use bytes::Bytes;

use super::{ConnectionId, DeliveryId, ReceiverId, SenderId};
use crate::{
    codec::DecodeError,
    message::{Message, MessageView, Payload},
    types::{DeliveryState, DeliveryTag},
};

/// A message as it arrived: bytes, decoded when asked.
pub struct Delivery<'a> {
    pub(super) id: DeliveryId,
    pub(super) connection: ConnectionId,
    pub(super) tag: DeliveryTag,
    pub(super) message_format: u32,
    pub(super) settled: bool,
    pub(super) state: Option<DeliveryState>,
    pub(super) payload: &'a Payload,
    pub(super) joined: OnceCell<Bytes>,
    pub(super) undecodable: Cell<bool>,
}

impl Delivery<'_> {
    /// The name by which to settle it, now or later.
    #[must_use]
    pub const fn id(&self) -> DeliveryId {
        self.id
    }

    /// The link over which it came.
    #[must_use]
    pub const fn receiver(&self) -> ReceiverId {
        ReceiverId(self.id.link)
    }

    /// The connection over which it came.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The sender's name for it, unique among those not settled on the link (§2.6.12).
    #[must_use]
    pub const fn tag(&self) -> DeliveryTag {
        self.tag
    }

    /// What its bytes are: 0 for a message as in §3.2; other formats are the application's own (§2.8.11).
    #[must_use]
    pub const fn message_format(&self) -> u32 {
        self.message_format
    }

    /// Whether the sender has settled it, so that no outcome can reach it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The state that the sender has told of it: for a message posted in a transaction, which one (§4.4.1).
    #[must_use]
    pub const fn state(&self) -> Option<&DeliveryState> {
        self.state.as_ref()
    }

    /// The bytes as they came.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        self.payload
    }

    /// The message, borrowed: its bytes are checked now, its sections decoded when asked.
    ///
    /// # Errors
    ///
    /// The bytes are not a message as in §3.2. Such a delivery is rejected with `amqp:decode-error` where it would
    /// have been accepted automatically.
    pub fn message(&self) -> Result<MessageView<'_>, DecodeError> {
        let view = MessageView::scan(self.bytes());
        self.note(view.and_then(|view| view.validate().map(|()| view)))
    }

    /// The message, decoded in whole; large binaries share the bytes received.
    ///
    /// # Errors
    ///
    /// As with [`message`](Self::message).
    pub fn decode(&self) -> Result<Message, DecodeError> {
        self.note(Message::decode(self.bytes()))
    }

    fn bytes(&self) -> &Bytes {
        match self.payload.single() {
            Some(bytes) => bytes,
            None => self.joined.get_or_init(|| self.payload.to_bytes()),
        }
    }

    fn note<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        if result.is_err() {
            self.undecodable.set(true);
        }
        result
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("tag", &self.tag)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// What the peer has made of a message that this side sent.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(super) id: DeliveryId,
    pub(super) tag: DeliveryTag,
    pub(super) state: Option<DeliveryState>,
    pub(super) settled: bool,
}

impl Tracker {
    /// Of a message whose outcome will never be known.
    pub(super) const fn in_doubt(id: DeliveryId, tag: DeliveryTag) -> Self {
        Self { id, tag, state: None, settled: false }
    }

    /// The name by which to settle it where that does not happen automatically.
    #[must_use]
    pub const fn id(&self) -> DeliveryId {
        self.id
    }

    /// The link over which it went.
    #[must_use]
    pub const fn sender(&self) -> SenderId {
        SenderId(self.id.link)
    }

    /// Its tag, as [`Context::send`](super::Context::send) told it.
    #[must_use]
    pub const fn tag(&self) -> DeliveryTag {
        self.tag
    }

    /// The state that the peer told last; none if it told none.
    #[must_use]
    pub const fn state(&self) -> Option<&DeliveryState> {
        self.state.as_ref()
    }

    /// Whether the peer has settled it: nothing more comes.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }
}
