//! What a connection tells its user.

use alloc::{boxed::Box, collections::VecDeque};

use crate::{DeliveryId, DisconnectReason, LinkId, SessionId, Violation, types::Error};

/// Something that happened; polled from [`Connection::poll_event`](crate::Connection::poll_event).
///
/// Events are small: the details stand in the tables and are read through the accessors. A session or link whose end
/// is told here can still be read until the next event is polled, and as long as our own side has not ended it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The SASL layer has succeeded (§5.3): see [`Connection::identity`](crate::Connection::identity).
    Authenticated,
    /// The peer's `open` has arrived (§2.4.1). Answer with [`Connection::open`](crate::Connection::open) if ours was
    /// not sent.
    Opened,
    /// The peer's `close` has arrived (§2.4.3). Answer with [`Connection::close`](crate::Connection::close) if ours
    /// was not sent.
    Closed {
        /// Why, if something went wrong.
        error: Option<Box<Error>>,
    },
    /// The peer broke a rule; what its scope names is being closed.
    Violated(Box<Violation>),
    /// The connection is over; nothing follows this event.
    Disconnected(DisconnectReason),
    /// The peer's `begin` has arrived: of a session of its own, to be answered by
    /// [`Session::accept`](crate::Session::accept), or in answer to ours.
    SessionBegun(SessionId),
    /// The peer's `end` has arrived. Answer with [`Session::end`](crate::Session::end) if ours was not sent.
    SessionEnded {
        /// Which session.
        session: SessionId,
        /// Why, if something went wrong.
        error: Option<Box<Error>>,
    },
    /// The peer's `attach` has arrived: of a link of its own, to be answered or refused, or in answer to ours.
    LinkAttached(LinkId),
    /// The peer's `detach` has arrived. Answer if ours was not sent.
    LinkDetached {
        /// Which link.
        link: LinkId,
        /// Whether the peer's terminus is gone (§2.6.6).
        closed: bool,
        /// Why, if something went wrong.
        error: Option<Box<Error>>,
    },
    /// An attach of ours is larger than the peer's frames, which was not known when it was made. The link is gone.
    LinkTooLarge(LinkId),
    /// A `flow` for this link has arrived: credit or the number of available messages may have changed (§2.6.7).
    LinkFlow(LinkId),
    /// A sender that could not send now can.
    Sendable(LinkId),
    /// The receiver asks a sender to use its credit up or give it back: send, then
    /// [`Sender::drained`](crate::Sender::drained) (§2.6.7).
    Drain(LinkId),
    /// A drain that we asked for is done: no credit is left.
    Drained(LinkId),
    /// A delivery, or more of it, has arrived: look with [`Receiver::delivery`](crate::Receiver::delivery), take the
    /// payload with [`Receiver::take`](crate::Receiver::take).
    Delivery(DeliveryId),
    /// The sender gave up a delivery that was told of before (§2.7.5). It is gone.
    Aborted(DeliveryId),
    /// The peer has changed the state of a delivery, or settled it (§2.7.6): of one that we sent, look with
    /// [`Sender::delivery`](crate::Sender::delivery); of one that we receive, with
    /// [`Receiver::delivery`](crate::Receiver::delivery).
    Updated(DeliveryId),
}

/// The events that wait to be polled, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    polled: u64,
    /// Which of them tell an end, of what; the oldest first.
    endings: VecDeque<(EventNumber, Ended)>,
}

/// The place of an event among all that a connection ever had: none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventNumber(u64);

/// What has ended, and is forgotten once its user has seen the event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    Session(SessionId),
    Link(LinkId),
}

impl EventNumber {
    /// Whether there was such an event.
    #[inline]
    pub(crate) const fn is_some(self) -> bool {
        self.0 > 0
    }
}

impl Events {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there is an event, and nothing that has ended is to be forgotten before it is polled.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.queue.is_empty() && self.endings.is_empty()
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, event: Event) -> EventNumber {
        let number = EventNumber(self.polled + self.queue.len() as u64 + 1);
        match &event {
            Event::SessionEnded { session, .. } => self.endings.push_back((number, Ended::Session(*session))),
            Event::LinkDetached { link, .. } | Event::LinkTooLarge(link) => {
                self.endings.push_back((number, Ended::Link(*link)));
            }
            _ => {}
        }
        self.queue.push_back(event);
        number
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        self.polled += 1;
        Some(event)
    }

    /// Whether an event was told and not polled yet: a second one of the same meaning says nothing new.
    #[inline]
    pub(crate) const fn waits(&self, number: EventNumber) -> bool {
        number.0 > self.polled
    }

    /// What the events polled so far told the end of.
    #[inline]
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        if self.waits(self.endings.front()?.0) {
            return None;
        }
        self.endings.pop_front().map(|(_, ended)| ended)
    }
}
