//! Whose call may have come to its end.

use amqp1_engine::{DeliveryId, Event, LinkId};

/// What an event of the engine may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A message has arrived, or more of it, or it was given up.
    Arrival(DeliveryId),
    /// The peer has said something of this delivery.
    Update(DeliveryId),
    /// The link: its credit, or whether it is attached.
    Link(LinkId),
    /// Anything.
    All,
}

impl News {
    pub(super) const fn of(event: &Event) -> Self {
        match event {
            Event::Delivery(id) | Event::Aborted(id) => Self::Arrival(*id),
            Event::Updated(id) => Self::Update(*id),
            Event::LinkAttached(link)
            | Event::LinkFlow(link)
            | Event::Sendable(link)
            | Event::Drain(link)
            | Event::Drained(link) => Self::Link(*link),
            _ => Self::All,
        }
    }
}
