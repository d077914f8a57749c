//! What a session holds of one delivery (§2.6.12).

use alloc::sync::Arc;

use crate::{
    LinkId, Serial,
    arena::Key,
    connection::EventNumber,
    message::Payload,
    types::{DeliveryState, DeliveryTag},
};

/// Names a delivery of a link, in either direction, until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    link: LinkId,
    number: Serial,
}

impl DeliveryId {
    #[inline]
    pub(crate) const fn new(link: Key, number: Serial) -> Self {
        Self { link: LinkId(link), number }
    }

    /// That of the delivery so many ids behind on the same link, if that is one of this link.
    #[inline]
    pub(crate) const fn plus(self, n: u32) -> Self {
        Self { link: self.link, number: self.number.plus(n) }
    }

    /// Goes on to the next id; gives this one.
    #[inline]
    pub(crate) const fn step(&mut self) -> Self {
        let id = *self;
        *self = self.plus(1);
        id
    }

    /// The link it travels on.
    #[must_use]
    pub const fn link(self) -> LinkId {
        self.link
    }

    /// Its delivery-id on the wire (§2.8.8), unique in its session and direction while it is not settled.
    #[must_use]
    pub const fn number(self) -> Serial {
        self.number
    }
}

/// What the receiver of a delivery has told of it. What takes memory is shared by all that a disposition names:
/// it is the peer that says how many.
#[derive(Debug, Clone, Default)]
pub(crate) enum Told {
    #[default]
    Nothing,
    Accepted,
    Else(Arc<DeliveryState>),
}

impl Told {
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Whether the delivery's state stays at this (§3.4).
    #[inline]
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Accepted => true,
            Self::Else(state) => state.is_terminal(),
        }
    }

    /// Whether it is the outcome of the delivery (§3.4).
    #[inline]
    pub(crate) fn is_outcome(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Accepted => true,
            Self::Else(state) => state.is_outcome(),
        }
    }

    pub(crate) fn state(&self) -> Option<&DeliveryState> {
        static ACCEPTED: DeliveryState = DeliveryState::Accepted;
        match self {
            Self::Nothing => None,
            Self::Accepted => Some(&ACCEPTED),
            Self::Else(state) => Some(state),
        }
    }
}

impl From<Option<DeliveryState>> for Told {
    #[inline]
    fn from(state: Option<DeliveryState>) -> Self {
        match state {
            None => Self::Nothing,
            Some(DeliveryState::Accepted) => Self::Accepted,
            Some(state) => Self::Else(Arc::new(state)),
        }
    }
}

impl From<Told> for Option<DeliveryState> {
    #[inline]
    fn from(told: Told) -> Self {
        match told {
            Told::Nothing => None,
            Told::Accepted => Some(DeliveryState::Accepted),
            Told::Else(state) => Some(Arc::unwrap_or_clone(state)),
        }
    }
}

/// A delivery that we sent, until it is settled.
#[derive(Debug, Default)]
pub struct OutgoingDelivery {
    pub(crate) link: Key,
    pub(crate) tag: DeliveryTag,
    pub(crate) remote_settled: bool,
    pub(crate) remote_state: Told,
}

impl OutgoingDelivery {
    /// The delivery-tag (§2.8.7).
    #[must_use]
    pub fn tag(&self) -> &DeliveryTag {
        &self.tag
    }

    /// The state that the receiver has last told (§3.4).
    #[must_use]
    pub fn remote_state(&self) -> Option<&DeliveryState> {
        self.remote_state.state()
    }

    /// Whether the receiver has settled it: it will say nothing more of it.
    #[must_use]
    pub fn is_remotely_settled(&self) -> bool {
        self.remote_settled
    }

    /// Whether the receiver has settled it or told its outcome: it is to be settled.
    #[inline(always)]
    pub(crate) fn is_over(&self) -> bool {
        self.remote_settled || self.remote_state.is_outcome()
    }
}

/// How far a delivery that we receive has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// More frames of it are to come.
    #[default]
    Arriving,
    /// More frames of it are to come, and we have settled it: nobody wants them.
    Unwanted,
    /// It is complete, and its payload was not taken.
    Unread,
    /// It is complete, and its payload was taken.
    Taken,
}

impl Arrival {
    /// Whether its last frame has arrived.
    #[inline(always)]
    pub(crate) const fn is_complete(self) -> bool {
        matches!(self, Self::Unread | Self::Taken)
    }

    /// Whether we have settled it before its last frame.
    #[inline(always)]
    pub(crate) const fn is_unwanted(self) -> bool {
        matches!(self, Self::Unwanted)
    }
}

/// A delivery that we receive, until it is settled and its payload taken.
#[derive(Debug, Default)]
pub struct IncomingDelivery {
    pub(crate) link: Key,
    pub(crate) payload: Payload,
    pub(crate) tag: DeliveryTag,
    pub(crate) message_format: u32,
    /// Bytes that have arrived, taken or not.
    pub(crate) size: u64,
    pub(crate) arrival: Arrival,
    pub(crate) remote_settled: bool,
    /// The receiver settles second (§2.8.3).
    pub(crate) second: bool,
    /// The last event about it: while it waits to be polled no second one is queued.
    pub(crate) told: EventNumber,
    /// Our state, while the sender has not settled.
    pub(crate) state: Told,
    /// Shared by all that a disposition names.
    pub(crate) remote_state: Option<Arc<DeliveryState>>,
}

impl IncomingDelivery {
    /// Begins a delivery in the place of an old one, which held no payload or state any more.
    #[inline(always)]
    pub(crate) fn begin(&mut self, link: Key, tag: &DeliveryTag, message_format: u32, second: bool) {
        (self.link, self.tag, self.message_format) = (link, *tag, message_format);
        (self.size, self.told) = (0, EventNumber::default());
        (self.arrival, self.remote_settled, self.second) = (Arrival::Arriving, false, second);
    }

    /// The delivery-tag (§2.8.7).
    #[must_use]
    pub fn tag(&self) -> &DeliveryTag {
        &self.tag
    }

    /// The message-format: 0 for the messages of part 3 (§2.8.11).
    #[must_use]
    pub fn message_format(&self) -> u32 {
        self.message_format
    }

    /// Whether its last frame has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.arrival.is_complete()
    }

    /// Whether the sender has settled it: no outcome is expected.
    #[must_use]
    pub fn is_remotely_settled(&self) -> bool {
        self.remote_settled
    }

    /// The state that the sender has last told.
    #[must_use]
    pub fn remote_state(&self) -> Option<&DeliveryState> {
        self.remote_state.as_deref()
    }

    /// The state that we have told, if it is not settled yet.
    #[must_use]
    pub fn state(&self) -> Option<&DeliveryState> {
        self.state.state()
    }

    /// Payload bytes that have arrived in all.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Payload bytes that have arrived and were not taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.payload.len()
    }
}
