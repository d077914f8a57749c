//! Many connections, links and listeners as one state machine that calls a handler.
//!
//! A program implements [`Handler`] and acts through [`Context`]; a driver owns a [`Container`] and moves its bytes.
//! The container opens no socket: it asks for one by an [`Action`]. A driver's loop:
//!
//! 1. [`dispatch`](Container::dispatch) calls the handler;
//! 2. for each [`poll_dirty_io`](Container::poll_dirty_io), write what [`poll_transmit`](Container::poll_transmit)
//!    lends until there is no more or the socket takes no more;
//! 3. obey each [`poll_action`](Container::poll_action);
//! 4. end if the container [has finished](Container::is_finished);
//! 5. sleep until a socket is ready or [`poll_timeout`](Container::poll_timeout) has come, not at all if `dispatch`
//!    said that there is more;
//! 6. read those sockets that the container [wants to read](Container::wants_input), hand the bytes to
//!    [`received`](Container::received), then call [`handle_timeout`](Container::handle_timeout).

use alloc::{boxed::Box, format, string::String};
use core::{any::Any, fmt};

use bytes::Buf;

use crate::{Instant, Transmit, record::Record, sasl};

mod address;
pub use address::{Address, Scheme};
mod closing;
mod context;
pub use context::Context;
mod delivery;
pub use delivery::{Delivery, Tracker};
mod dispatch;
mod endpoints;
mod entries;
use entries::Notice;
mod handler;
pub use handler::{Disconnected, Failure, Handler, Knobs, Unhandled};
mod ids;
pub use ids::{
    ConnectionId, DeliveryId, IoId, Link, ListenerId, Object, ReceiverId, SenderId, SessionId, TaskId, Where,
};
mod link_options;
mod lost;
pub use link_options::{
    AtLeastOnce, AtMostOnce, Capabilities, CoordinatorCapabilities, Copy, DefaultOutcome,
    DesiredCapabilities, Durability, DurableSubscription, Dynamic, DynamicNodeProperties, ExactlyOnce,
    Expiry, Filter, Global, InDoubt, LinkOption, LinkProperties, LinkSettings, MaxMessageSize, Move, Name,
    OfferedCapabilities, Outcomes, Prefetch, Selector, Shared, SourceAddress, SourceCapabilities,
    SubscriptionName, TargetAddress, TargetCapabilities, Timeout,
};
mod names;
mod options;
pub use options::{ConnectionOptions, ContainerOptions, Security};
mod own_handlers;
mod random;
mod receiving;
mod reconnect;
pub use reconnect::{Attempt, Delays, Reconnect};
mod recovery;
pub use recovery::Recovery;
mod redial;
mod redirect;
mod reduction;
mod renewal;
mod resuming;
mod retained;
mod schedule;
mod sending;
pub use sending::SendRefused;
mod state;
use state::{Core, Phase};
mod suspended;
mod transactions;
pub use transactions::{Transaction, TransactionId};
#[cfg(test)]
mod tests;
mod unresolved;

/// Work for the driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Open a byte stream to the address, then call [`Container::connected`] or [`Container::connect_failed`].
    Connect {
        /// The name of the byte stream to be.
        io: IoId,
        /// The peer.
        address: Address,
    },
    /// Accept byte streams at the address: call [`Container::listening`] or [`Container::listen_failed`], then
    /// [`Container::accepted`] for each stream.
    Listen {
        /// The name of the listener to be.
        listener: ListenerId,
        /// The local interface and port.
        address: Address,
    },
    /// Accept no more byte streams; those accepted live on.
    StopListening {
        /// The listener; its name is stale from now on.
        listener: ListenerId,
    },
    /// Close the byte stream, opened or not.
    Shutdown {
        /// The byte stream; its name is stale from now on.
        io: IoId,
    },
}

/// All connections, links and listeners of a program.
///
/// What a driver says of a byte stream or listener whose name is stale has no effect.
pub struct Container {
    core: Core,
}

/// From the program.
impl Container {
    /// A container that has not started.
    #[must_use]
    pub fn new(options: ContainerOptions) -> Self {
        Self { core: Core::new(options) }
    }

    /// Lets the handler's `on_start` be called by the next [`dispatch`](Self::dispatch). Only the first call counts.
    pub fn start(&mut self) {
        if self.core.phase == Phase::New {
            self.core.phase = Phase::Running;
            self.core.notices.push_front(Notice::Start);
        }
    }

    /// As [`Context::stop`].
    pub fn stop(&mut self) {
        self.core.stop();
        self.core.finish_closes();
    }

    /// Hands an event of the program's own to the handler's `on_injected`.
    ///
    /// # Errors
    ///
    /// Gives the event back where [too many](ContainerOptions::injected_events) wait.
    pub fn inject(&mut self, event: Box<dyn Any + Send>) -> Result<(), Box<dyn Any + Send>> {
        if self.core.injected >= self.core.options.injected_events {
            return Err(event);
        }
        self.core.injected += 1;
        self.core.notices.push_back(Notice::Injected(event));
        Ok(())
    }

    /// Has every connection [recorded](crate::record) that is made from now on, for
    /// [`poll_recording`](Self::poll_recording).
    pub fn record(&mut self, record: Record) {
        self.core.record = Some(record);
    }

    /// Keeps the container from finishing, as somebody outside may still [`inject`](Self::inject) an event;
    /// [`release`](Self::release) takes it back. Holds are counted.
    pub const fn hold(&mut self) {
        self.core.holds += 1;
    }

    /// Takes back one [`hold`](Self::hold).
    pub const fn release(&mut self) {
        self.core.holds = self.core.holds.saturating_sub(1);
    }

    /// Nothing is left to do, and the handler's `on_stop` was called.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.core.phase == Phase::Stopped && self.core.is_idle()
    }

    /// The first failure of something that this side began and that no handler took care of.
    pub const fn take_failure(&mut self) -> Option<Failure> {
        self.core.failure.take()
    }
}

/// From the network, by the driver.
impl Container {
    /// The byte stream that [`Action::Connect`] asked for is open.
    pub fn connected(&mut self, io: IoId, now: Instant) {
        if let Some(&key) = self.core.ios.get(io.0) {
            self.core.connected(key, now);
        }
    }

    /// The byte stream that [`Action::Connect`] asked for cannot be opened. `reason` is half a line for a person.
    pub fn connect_failed(&mut self, io: IoId, reason: &str) {
        self.core.connect_failed(io, reason);
    }

    /// A listener has accepted a byte stream: its name, or none if the listener is closed and the stream is to be.
    pub fn accepted(&mut self, listener: ListenerId, now: Instant) -> Option<IoId> {
        self.core.accepted(listener.0, now)
    }

    /// A listener accepts byte streams at `address`, which tells the port chosen by the system.
    pub fn listening(&mut self, listener: ListenerId, address: &str) {
        self.core.notices.push_back(Notice::Listening(listener.0, address.into()));
    }

    /// A listener cannot accept byte streams, or no longer. `reason` is half a line for a person.
    pub fn listen_failed(&mut self, listener: ListenerId, reason: &str) {
        if let Some(entry) = self.core.listeners.get(listener.0) {
            let reason = format!("cannot listen at {}: {reason}", entry.address);
            self.core.notices.push_back(Notice::ListenFailed(listener.0, reason.into()));
        }
    }

    /// The byte stream has turned out to give this, once a handshake of its own such as TLS's is over; nothing of AMQP was
    /// [`received`](Self::received) yet. See [`Connection::secured`](crate::Connection::secured).
    pub fn secured(&mut self, io: IoId, channel: sasl::Channel) {
        if let Some(&key) = self.core.ios.get(io.0)
            && let Ok(engine) = self.core.engine(key)
        {
            engine.secured(channel);
        }
    }

    /// Bytes have arrived. Whole frames are taken; call it again with the rest and what follows it.
    pub fn received(&mut self, io: IoId, input: &mut (impl Buf + AsRef<[u8]>), now: Instant) {
        if let Some(&key) = self.core.ios.get(io.0)
            && let Ok(engine) = self.core.engine(key)
        {
            engine.handle_input(input, now);
        }
    }

    /// The peer will send no more bytes.
    pub fn eof(&mut self, io: IoId, now: Instant) {
        if let Some(&key) = self.core.ios.get(io.0)
            && let Ok(engine) = self.core.engine(key)
        {
            engine.handle_eof(now);
        }
    }

    /// The byte stream is broken. `reason` is half a line for a person.
    pub fn io_error(&mut self, io: IoId, reason: &str, now: Instant) {
        let Some(&key) = self.core.ios.get(io.0) else { return };
        if let Some(peer) = self.core.connections.get_mut(key) {
            peer.io_error = Some(reason.into());
        }
        self.eof(io, now);
    }

    /// Whether to read from a byte stream: not while too much waits to be handled or written.
    ///
    /// It may change with each `dispatch` and each write; the stream is [dirty](Self::poll_dirty_io) then.
    #[must_use]
    pub fn wants_input(&self, io: IoId) -> bool {
        let peer = self.core.ios.get(io.0).and_then(|&key| self.core.connections.get(key));
        peer.and_then(|peer| peer.engine.as_ref()).is_some_and(|engine| engine.wants_input())
    }

    /// The time, for those that wait for [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }
}

/// To the outside, by the driver.
impl Container {
    /// Calls the handler, and handlers that objects have of their own, for all that has happened: whether there is more
    /// for a further call. No callback runs anywhere else.
    pub fn dispatch(&mut self, handler: &mut dyn Handler, now: Instant) -> bool {
        dispatch::dispatch(&mut self.core, handler, now)
    }

    /// The next byte stream with which something has changed: it may have output or may want input again.
    pub fn poll_dirty_io(&mut self) -> Option<IoId> {
        self.core.pop_dirty()
    }

    /// Output of a byte stream: write it and `advance` by what was written, until there is none or it can take none.
    pub fn poll_transmit(&mut self, io: IoId, now: Instant) -> Option<Transmit<'_>> {
        let &key = self.core.ios.get(io.0)?;
        self.core.written(key);
        let peer = self.core.connections.get_mut(key)?;
        if peer.io_error.is_some() {
            return None;
        }
        peer.engine.as_mut()?.poll_transmit(now)
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.core.survey();
        self.core.actions.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`dispatch`](Self::dispatch) at the latest: long ago
    /// if there is something to dispatch, or an order for the driver that was not polled.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.core.survey();
        if self.core.has_work() || self.core.has_orders() {
            return Some(Instant::ZERO);
        }
        self.core.deadline()
    }

    /// The next line of a connection's frame trace, if its [options](ConnectionOptions::trace) asked for it.
    pub fn poll_trace(&mut self, io: IoId) -> Option<String> {
        let &key = self.core.ios.get(io.0)?;
        self.core.connections.get_mut(key)?.engine.as_mut()?.poll_trace()
    }

    /// What was recorded of a connection since this was called last, if [`record`](Self::record) asked for it. The end of
    /// it waits until this is called after [`Action::Shutdown`].
    pub fn poll_recording(&mut self, io: IoId) -> Option<String> {
        match self.core.ios.get(io.0) {
            Some(&key) => self.core.connections.get_mut(key)?.engine.as_mut()?.poll_recording(),
            None => self.core.recorded.remove(&io.0),
        }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("phase", &self.core.phase)
            .field("connections", &self.core.connections.len())
            .field("listeners", &self.core.listeners.len())
            .finish_non_exhaustive()
    }
}
