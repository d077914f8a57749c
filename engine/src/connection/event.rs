//! What a connection tells its user.

use alloc::{boxed::Box, collections::VecDeque};

use crate::{DeliveryId, DisconnectReason, LinkId, Serial, SessionId, Violation, types::Error};

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
    /// The peer's `attach` has arrived: of a link of its own, to be answered or refused, or in answer to ours. What becomes
    /// of the deliveries of a link that is resumed, [`Sender::unresolved`](crate::Sender::unresolved) tells now.
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
    /// [`Sender::drained`](crate::Sender::drained) (§2.6.7). It comes behind the [`LinkFlow`](Self::LinkFlow) of each flow that
    /// asks; a later one may have [taken that back](crate::Sender::is_draining).
    Drain(LinkId),
    /// A drain that we asked for is done: no credit is left.
    Drained(LinkId),
    /// A delivery, or more of it, has arrived: look with [`Receiver::delivery`](crate::Receiver::delivery), take the
    /// payload with [`Receiver::take`](crate::Receiver::take).
    Delivery(DeliveryId),
    /// The sender gave up a delivery that was told of before (§2.7.5), or its link was lost in the middle of it. It is gone;
    /// what of it was told to be [received](crate::types::Received) can be resumed, with its link (§2.6.13).
    Aborted(DeliveryId),
    /// The peer has changed the state of a delivery, or settled it (§2.7.6): of one that we sent, look with
    /// [`Sender::delivery`](crate::Sender::delivery); of one that we receive, with
    /// [`Receiver::delivery`](crate::Receiver::delivery).
    Updated(DeliveryId),
}

/// The events that wait to be polled, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: VecDeque<Queued>,
    pushed: u64,
    polled: u64,
    /// Which of them tell an end, of what; the oldest first.
    endings: VecDeque<(EventNumber, Ended)>,
}

/// An event and those like it behind it, of the deliveries whose ids follow: most events are of a run of deliveries.
#[derive(Debug)]
struct Queued {
    event: Event,
    more: u32,
}

/// The place of an event among all that a connection ever had: none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventNumber(u64);

/// The two kinds of events that come in runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EventOf {
    /// [`Event::Delivery`].
    Delivery,
    /// [`Event::Updated`].
    Update,
}

impl EventOf {
    pub(crate) const fn event(self, id: DeliveryId) -> Event {
        match self {
            Self::Delivery => Event::Delivery(id),
            Self::Update => Event::Updated(id),
        }
    }
}

/// Deliveries of a link whose ids follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliveryRun {
    pub(crate) next: Serial,
    pub(crate) len: u32,
}

impl DeliveryRun {
    pub(crate) const fn one(id: DeliveryId) -> Self {
        Self { next: id.number(), len: 1 }
    }
}

impl Iterator for DeliveryRun {
    type Item = Serial;

    #[inline(always)]
    fn next(&mut self) -> Option<Serial> {
        self.len = self.len.checked_sub(1)?;
        let id = self.next;
        self.next = id.next();
        Some(id)
    }
}

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

    /// That of an event so many behind this one.
    #[inline]
    pub(crate) const fn plus(self, n: u32) -> Self {
        Self(self.0 + n as u64)
    }
}

impl Queued {
    /// Whether `event` is of the delivery behind the last one here.
    #[inline(always)]
    fn goes_on_with(&self, event: &Event) -> bool {
        match (&self.event, event) {
            (Event::Delivery(first), Event::Delivery(id)) | (Event::Updated(first), Event::Updated(id)) => {
                first.plus(self.more.wrapping_add(1)) == *id
            }
            _ => false,
        }
    }

    /// Takes the first event of several.
    #[inline(always)]
    fn take_first(&mut self) -> Option<Event> {
        self.more = self.more.checked_sub(1)?;
        match &mut self.event {
            Event::Delivery(id) => Some(Event::Delivery(id.step())),
            Event::Updated(id) => Some(Event::Updated(id.step())),
            _ => None,
        }
    }
}

impl Events {
    /// How many events wait.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        (self.pushed - self.polled) as usize
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.pushed == self.polled
    }

    /// Whether there is an event, and nothing that has ended is to be forgotten before it is polled.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_empty() && self.endings.is_empty()
    }

    /// The number that the next event will have.
    #[inline]
    pub(crate) const fn next_number(&self) -> EventNumber {
        EventNumber(self.pushed + 1)
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, event: Event) -> EventNumber {
        self.push_run(event, 1)
    }

    /// Adds an event of a delivery, and as many of those behind it as make `count`; gives the number of the first.
    #[inline(always)]
    pub(crate) fn push_run(&mut self, first: Event, count: u32) -> EventNumber {
        let number = self.next_number();
        self.pushed += u64::from(count);
        match self.queue.back_mut() {
            Some(last) if last.goes_on_with(&first) => last.more += count,
            _ => self.push_other(number, Queued { event: first, more: count.saturating_sub(1) }),
        }
        number
    }

    #[inline(never)]
    fn push_other(&mut self, number: EventNumber, queued: Queued) {
        match &queued.event {
            Event::SessionEnded { session, .. } => self.endings.push_back((number, Ended::Session(*session))),
            Event::LinkDetached { link, .. } | Event::LinkTooLarge(link) => {
                self.endings.push_back((number, Ended::Link(*link)));
            }
            _ => {}
        }
        self.queue.push_back(queued);
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = match self.queue.front_mut()?.take_first() {
            Some(event) => event,
            None => self.queue.pop_front()?.event,
        };
        self.polled += 1;
        Some(event)
    }

    /// Takes the next event, and all of its run, if it is one of the deliveries of this link.
    ///
    /// What of it is not handed on must be [put back](Self::put_back).
    #[inline(always)]
    pub(crate) fn pop_run(&mut self, link: LinkId, of: EventOf) -> Option<DeliveryRun> {
        let front = self.queue.front()?;
        let first = match (&front.event, of) {
            (Event::Delivery(first), EventOf::Delivery) | (Event::Updated(first), EventOf::Update) => *first,
            _ => return None,
        };
        if first.link() != link || !self.endings.is_empty() {
            return None;
        }
        let run = DeliveryRun { next: first.number(), len: front.more + 1 };
        self.queue.pop_front();
        self.polled += u64::from(run.len);
        Some(run)
    }

    /// Takes back the rest of a run, whose first event is this.
    pub(crate) fn put_back(&mut self, first: Event, len: u32) {
        if let Some(more) = len.checked_sub(1) {
            self.polled -= u64::from(len);
            self.queue.push_front(Queued { event: first, more });
        }
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
