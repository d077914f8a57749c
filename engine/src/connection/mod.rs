//! The connection: public methods and their docs. What they do lies in the files beside this one.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use bytes::{Buf, Bytes};

use crate::{
    Config, DisconnectReason, Instant, LinkId, Misuse, Receiver, Sender, Session, SessionConfig, SessionId,
    SessionState, Side,
    arena::{Arena, Key},
    codec::Str,
    link::{Deliveries, DeliveryId, DeliveryMut, LinkEndpoint, OutgoingDelivery},
    numbers::{NumberPool, NumberTable},
    sasl::{Channel, Identity},
    session::{SessionEndpoint, state::SessionStep},
    transport::{Transmit, handshake::Handshake, idle::IdleTimer},
    types::{Error, Open, Role},
};

mod common;
mod event;
mod input;
mod output;
mod record;
mod run;
pub(crate) mod state;
mod timeout;
pub(crate) use common::Common;
pub use event::Event;
pub(crate) use event::{DeliveryRun, EventNumber, EventOf, Events};
pub(crate) use output::check_state_fits;
pub(crate) use run::Run;
pub use state::ConnectionState;
pub use timeout::TimeoutReason;

use state::Progress;

/// One AMQP connection: a state machine that takes bytes, calls and moments, and gives bytes, events and deadlines.
///
/// Its methods are of four kinds:
///
/// | kind | methods | rule |
/// | --- | --- | --- |
/// | getters | [`state`](Self::state), [`remote_open`](Self::remote_open), … | free to call |
/// | from the network | [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof), [`handle_timeout`](Self::handle_timeout) | take the moment, return nothing |
/// | from the caller | [`open`](Self::open), [`begin`](Self::begin), [`session`](Self::session), [`sender`](Self::sender), … | change state; an `Err` changed nothing |
/// | to the outside | [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout) | in this order, after any of the above |
///
/// Any number of calls may come between two polls. Nothing here blocks, and no call can panic, whatever the peer
/// sends.
#[derive(Debug)]
pub struct Connection {
    pub(crate) common: Common,
    /// Until both protocol headers, and SASL between them, are done.
    handshake: Option<Box<Handshake>>,
    identity: Option<Identity>,
    remote_open: Option<Box<Open>>,

    idle: IdleTimer,
    heartbeat_due: bool,
    handshake_deadline: Option<Instant>,
    close_deadline: Option<Instant>,
    /// How much output there was when it was last looked at: less of it is a sign that the peer reads.
    output_left: usize,

    pub(crate) sessions: Arena<SessionEndpoint>,
    incoming_channels: NumberTable,
    channel_pool: NumberPool,
    pub(crate) outgoing_channels: NumberTable,
    pub(crate) links: Arena<LinkEndpoint>,
    /// Links by name: those on which we send apart from those on which we receive (§2.6.1).
    pub(crate) senders_by_name: BTreeMap<Str, Key>,
    pub(crate) receivers_by_name: BTreeMap<Str, Key>,
    /// Links that we have detached with an error, and the peer has not (§2.6.5).
    pub(crate) errant_links: usize,

    /// Whole frames that were not handled when something was full.
    unread: Bytes,
}

impl Connection {
    /// A connection that has exchanged nothing. A client's protocol header is ready to be written at once.
    #[must_use]
    pub fn new(mut config: Config, now: Instant) -> Self {
        config.limits.let_one_pass();
        let handshake = match config.side {
            Side::Client => {
                Handshake::client(config.sasl.as_ref(), config.hostname.as_deref(), &config.channel)
            }
            Side::Server => Handshake::server(config.sasl.as_ref(), &config.channel),
        };
        Self::with_handshake(config, handshake, now)
    }

    /// Tells what the byte channel below has turned out to give, once its own handshake is over: a server whose TLS
    /// has verified a client certificate offers EXTERNAL by that, and a client that has shown one uses it. For drivers, before
    /// the first [`handle_input`](Self::handle_input): once the peer was heard it has no effect.
    ///
    /// It is in no recording, as the SASL layer is not run again.
    pub fn secured(&mut self, channel: Channel) {
        if let Some(handshake) = &mut self.handshake
            && handshake.secured(self.common.config.sasl.as_ref(), &channel)
        {
            self.common.config.channel = channel;
        }
    }

    fn with_handshake(config: Config, handshake: Handshake, now: Instant) -> Self {
        let idle = IdleTimer::new(config.idle_time_out, config.idle_share, now);
        let handshake_deadline = Some(now + config.limits.handshake_timeout);
        let mut connection = Self {
            common: Common::new(config, now),
            handshake: Some(Box::new(handshake)),
            identity: None,
            remote_open: None,
            idle,
            heartbeat_due: false,
            handshake_deadline,
            close_deadline: None,
            output_left: 0,
            sessions: Arena::new(),
            incoming_channels: NumberTable::default(),
            channel_pool: NumberPool::default(),
            outgoing_channels: NumberTable::default(),
            links: Arena::new(),
            senders_by_name: BTreeMap::new(),
            receivers_by_name: BTreeMap::new(),
            errant_links: 0,
            unread: Bytes::new(),
        };
        connection.start_handshake();
        connection
    }

    /// Takes bytes from the peer: all whole frames in `input`, and leaves what is not whole.
    ///
    /// Payloads share the memory of a `Bytes` or a `BytesMut`. A slice cannot be shared: its frames are copied first.
    ///
    /// A peer's fault becomes a closing frame and [`Event::Violated`]. Once the connection is over, input is dropped.
    pub fn handle_input(&mut self, input: &mut (impl Buf + AsRef<[u8]>), now: Instant) {
        self.record_input(input.as_ref(), now);
        self.take_input(input, now);
        self.record_input_left(input.remaining());
    }

    /// The peer will send nothing more: its half of the socket is closed, or the socket failed.
    ///
    /// If it has closed the connection before, our close is still written: it may read on.
    pub fn handle_eof(&mut self, now: Instant) {
        self.common.record(|tape| tape.eof(now));
        if self.common.progress.received == Progress::Close && !self.common.progress.lost {
            self.common.progress.discarding = true;
            self.start_close(None);
            self.fill_outbox(now);
        }
        self.lose(DisconnectReason::Aborted);
    }

    /// The moment that [`poll_timeout`](Self::poll_timeout) gave has come. Calling it early does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.common.record(|tape| tape.timeout(now));
        self.on_timeout(now);
    }

    /// Whether the driver should read from the socket. While this is false so much waits inside, for the user to
    /// take or for the socket to write, that reading more would only pile it up.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.unread.is_empty() && (!self.common.is_full() || self.is_full_of_parts())
    }

    /// What happened, oldest first. Poll until there is nothing, after every call that takes input or time.
    #[inline]
    #[must_use = "an event that is dropped is lost"]
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.common.events.is_plain() && self.common.tape.is_none() {
            return self.common.events.pop();
        }
        self.poll_event_with_care()
    }

    /// Where more is to be done than to take the next event from the queue.
    #[cold]
    fn poll_event_with_care(&mut self) -> Option<Event> {
        self.forget_ended();
        if self.common.events.is_empty() {
            self.resume();
        }
        let event = self.common.events.pop();
        self.common.record(|tape| tape.event(event.as_ref()));
        event
    }

    /// The bytes to write now, if there are any: poll for events first, since their handling adds to them.
    ///
    /// Call again until there is nothing: a pass fills about 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.fill_outbox(now);
        if let Some(tape) = &mut self.common.tape {
            tape.transmit(self.common.outbox.len(), now);
        }
        if self.common.outbox.is_empty() {
            return None;
        }
        self.idle.sent(now);
        Some(Transmit { outbox: &mut self.common.outbox, tape: self.common.tape.as_deref_mut() })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), at the latest, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TimeoutReason)> {
        self.next_timeout()
    }

    /// The oldest line of the frame trace, which [`Config::trace`] turns on. Secrets are masked.
    #[must_use]
    pub fn poll_trace(&mut self) -> Option<String> {
        self.common.trace.pop()
    }

    /// Whether all is said: when there is nothing left to transmit either, drop the socket.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.common.progress.state() == ConnectionState::End && self.common.outbox.is_empty()
    }

    /// Where the connection stands (§2.4.6).
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.common.progress.state()
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.common.config
    }

    /// The peer's `open`, once it has arrived (§2.7.1).
    #[must_use]
    pub fn remote_open(&self) -> Option<&Open> {
        self.remote_open.as_deref()
    }

    /// Who authenticated, and how; nobody before [`Event::Authenticated`], or without SASL.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Deliveries that we sent and whose outcome is not known: after [`Event::Disconnected`] they are in doubt.
    pub fn in_doubt(&self) -> impl Iterator<Item = (DeliveryId, &OutgoingDelivery)> {
        self.sessions.iter().flat_map(|(_, session)| {
            session.in_doubt().map(|(number, delivery)| (DeliveryId::new(delivery.link, number), delivery))
        })
    }

    /// Sends our `open` (§2.4.1), as early as the peer allows; a second call does nothing.
    pub fn open(&mut self) {
        self.common.record(|tape| tape.call("open", &[]));
        self.start_open();
    }

    fn start_open(&mut self) {
        if self.common.progress.sent < Progress::Open
            && self.common.close_due.is_none()
            && !self.common.progress.lost
        {
            self.common.open_due = true;
            // Links that were answered before may send from here on.
            let links: Vec<Key> = self.links.iter().map(|(key, _)| key).collect();
            links.into_iter().for_each(|key| self.wake_sender(key));
        }
    }

    /// Closes the connection (§2.4.3): our `open`, if it was not sent, and what was sent before go first. With an
    /// error, what still arrives is dropped (§2.4.6). A second call does nothing.
    pub fn close(&mut self, error: Option<Error>) {
        self.common.record(|tape| tape.call("close", &[&error]));
        self.start_close(error);
    }

    fn start_close(&mut self, error: Option<Error>) {
        if self.common.progress.sent < Progress::Close
            && self.common.close_due.is_none()
            && !self.common.progress.lost
        {
            self.start_open();
            self.common.close_due = Some(error.map(Box::new));
        }
    }

    /// Begins a session (§2.5.1); links may be attached at once.
    ///
    /// # Errors
    ///
    /// [`Misuse::ConnectionClosed`], or [`Misuse::TooManySessions`].
    pub fn begin(&mut self, config: SessionConfig) -> Result<SessionId, Misuse> {
        self.common.record(|tape| tape.call("begin", &[&config]));
        if self.is_closing() {
            return Err(Misuse::ConnectionClosed);
        }
        let channel = self.take_channel()?;
        let mut session = SessionEndpoint::new(config, SessionState::Unmapped);
        session.step(SessionStep::SendBegin);
        session.outgoing_channel = Some(channel);
        session.begin_due = true;
        let key = self.sessions.insert(session);
        self.outgoing_channels.insert(channel.into(), key);
        self.mark_session(key);
        Ok(SessionId(key))
    }

    /// A session, to act on.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`].
    pub fn session(&mut self, id: SessionId) -> Result<Session<'_>, Misuse> {
        self.sessions.get(id.0).ok_or(Misuse::Gone)?;
        Ok(Session { connection: self, id })
    }

    /// A link on which we send, to act on.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`], or [`Misuse::WrongRole`].
    pub fn sender(&mut self, id: LinkId) -> Result<Sender<'_>, Misuse> {
        self.check_role(id, Role::Sender)?;
        Ok(Sender { connection: self, id })
    }

    /// A link on which we receive, to act on.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`], or [`Misuse::WrongRole`].
    pub fn receiver(&mut self, id: LinkId) -> Result<Receiver<'_>, Misuse> {
        self.check_role(id, Role::Receiver)?;
        Ok(Receiver { connection: self, id })
    }

    /// A delivery that we receive, to act on, until it is settled and its payload taken: found once for all that is done
    /// with it, where each call of a [`Receiver`] finds it anew.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`].
    #[inline]
    pub fn delivery_mut(&mut self, id: DeliveryId) -> Result<DeliveryMut<'_>, Misuse> {
        DeliveryMut::find(self, id)
    }

    /// The delivery of an [`Event::Delivery`], and those that the next events tell of, as long as they are of the same link:
    /// these events are polled with them. Each is lent in turn, and found for less than by
    /// [`delivery_mut`](Self::delivery_mut).
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`] when the link is gone, or not one on which we receive.
    #[inline]
    pub fn deliveries(&mut self, first: DeliveryId) -> Result<Deliveries<'_>, Misuse> {
        Deliveries::new(self, first)
    }

    /// Our role on a link.
    ///
    /// # Errors
    ///
    /// [`Misuse::Gone`].
    pub fn role(&self, id: LinkId) -> Result<Role, Misuse> {
        self.links.get(id.0).map(LinkEndpoint::role).ok_or(Misuse::Gone)
    }

    /// The links of a session.
    pub fn links(&self, session: SessionId) -> impl Iterator<Item = LinkId> {
        self.sessions
            .get(session.0)
            .into_iter()
            .flat_map(|session| session.links.iter().map(|&key| LinkId(key)))
    }

    fn check_role(&self, id: LinkId, role: Role) -> Result<(), Misuse> {
        if self.role(id)? == role { Ok(()) } else { Err(Misuse::WrongRole) }
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.common.is_closing()
    }
}
