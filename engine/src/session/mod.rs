//! Sessions: one bidirectional, sequential conversation each (§2.5).

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

use crate::{
    Connection, LinkConfig, LinkId, Misuse, Serial, SessionConfig,
    arena::Key,
    link::{IncomingDelivery, OutgoingDelivery, terminus},
    numbers::{NumberPool, NumberTable},
    types::{Begin, Error, Role},
};

pub(crate) mod disposition;
mod input;
mod output;
pub(crate) mod state;
pub(crate) mod unsettled;
pub(crate) mod window;
pub use state::SessionState;

use disposition::Dispositions;
use state::SessionStep;
use unsettled::Unsettled;
use window::SessionWindow;

/// Names a session of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) Key);

/// All that a connection holds of one session.
#[derive(Debug)]
pub(crate) struct SessionEndpoint {
    pub(crate) state: SessionState,
    pub(crate) config: Box<SessionConfig>,
    pub(crate) remote_begin: Option<Box<Begin>>,
    /// Ours, from begin to end.
    pub(crate) outgoing_channel: Option<u16>,
    /// The peer's, from its begin to its end.
    pub(crate) incoming_channel: Option<u16>,
    /// The peer's channel that our begin answers, if the peer began; it may have ended since.
    pub(crate) answered_channel: Option<u16>,
    pub(crate) window: SessionWindow,
    pub(crate) outgoing_handles: NumberPool,
    pub(crate) incoming_handles: NumberTable,
    /// Link endpoints of this session, attached or kept for another attach.
    pub(crate) links: BTreeSet<Key>,

    /// The delivery-id of our next delivery.
    pub(crate) next_delivery_id: Serial,
    /// The delivery-id that the peer's next delivery must have, once there was one.
    pub(crate) expected_delivery_id: Option<Serial>,
    pub(crate) outgoing: Unsettled<OutgoingDelivery>,
    pub(crate) incoming: Unsettled<IncomingDelivery>,

    /// Dispositions to write about deliveries that we sent.
    pub(crate) as_sender: Dispositions,
    /// Dispositions to write about deliveries that we received.
    pub(crate) as_receiver: Dispositions,
    pub(crate) begin_due: bool,
    pub(crate) flow_due: bool,
    pub(crate) end_due: Option<Option<Box<Error>>>,
    /// Links that have something to write.
    pub(crate) links_due: VecDeque<Key>,
    /// Whether the session is in the connection's list of those that have something to write.
    pub(crate) due: bool,
    /// Senders that wait for the peer's window, or for room among the unsettled.
    pub(crate) waiting: Vec<Key>,
}

impl SessionEndpoint {
    pub(crate) fn new(config: SessionConfig, state: SessionState) -> Self {
        Self {
            state,
            window: SessionWindow::new(config.incoming_window, config.next_outgoing_id),
            config: Box::new(config),
            remote_begin: None,
            outgoing_channel: None,
            incoming_channel: None,
            answered_channel: None,
            outgoing_handles: NumberPool::default(),
            incoming_handles: NumberTable::default(),
            links: BTreeSet::new(),
            next_delivery_id: Serial::new(0),
            expected_delivery_id: None,
            outgoing: Unsettled::new(),
            incoming: Unsettled::new(),
            as_sender: Dispositions::default(),
            as_receiver: Dispositions::default(),
            begin_due: false,
            flow_due: false,
            end_due: None,
            links_due: VecDeque::new(),
            due: false,
            waiting: Vec::new(),
        }
    }

    /// Moves on where the table of §2.5.5 allows it: whether it did.
    pub(crate) fn step(&mut self, step: SessionStep) -> bool {
        match self.state.after(step) {
            Some(state) => self.state = state,
            None => return false,
        }
        true
    }

    /// Deliveries that we sent and whose outcome is not known.
    pub(crate) fn in_doubt(&self) -> impl Iterator<Item = (Serial, &OutgoingDelivery)> {
        self.outgoing.iter().filter(|(_, delivery)| !delivery.is_over())
    }

    /// Whether the user may still act on the session: it is begun, or about to be, and not ended by either side.
    pub(crate) fn is_usable(&self) -> bool {
        self.end_due.is_none() && matches!(self.state, SessionState::BeginSent | SessionState::Mapped)
    }

    /// Whether there are more link endpoints than handles let be attached, and as many again kept for another attach.
    pub(crate) fn has_too_many_links(&self) -> bool {
        self.links.len() as u64 > 2 * (u64::from(self.config.handle_max) + 1)
    }

    /// The highest handle that the peer takes; all are allowed until it says otherwise.
    pub(crate) fn remote_handle_max(&self) -> u32 {
        self.remote_begin.as_ref().map_or(u32::MAX, |begin| begin.handle_max)
    }
}

/// One session of a [`Connection`], borrowed for a statement.
#[derive(Debug)]
pub struct Session<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) id: SessionId,
}

impl Session<'_> {
    fn endpoint(&self) -> &SessionEndpoint {
        self.connection.sessions.get(self.id.0).expect("looked up when the accessor was made")
    }

    fn endpoint_mut(&mut self) -> &mut SessionEndpoint {
        self.connection.sessions.get_mut(self.id.0).expect("looked up when the accessor was made")
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where the session stands (§2.5.5).
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.endpoint().state
    }

    /// The peer's `begin`, once it has arrived (§2.7.2).
    #[must_use]
    pub fn remote_begin(&self) -> Option<&Begin> {
        self.endpoint().remote_begin.as_deref()
    }

    /// Transfer frames that the peer's window takes now (§2.5.6).
    #[must_use]
    pub fn remote_incoming_window(&self) -> u32 {
        self.endpoint().window.remote_incoming_window()
    }

    /// How many deliveries this session holds that we sent, or received, and that are not settled and taken.
    #[must_use]
    pub fn unsettled(&self, role: Role) -> usize {
        match role {
            Role::Sender => self.endpoint().outgoing.len(),
            Role::Receiver => self.endpoint().incoming.len(),
        }
    }

    /// Answers the peer's `begin` (§2.5.1).
    ///
    /// # Errors
    ///
    /// [`Misuse::NothingToAnswer`] when the session is ours or was answered, [`Misuse::TooManySessions`] when the
    /// peer leaves no channel.
    pub fn accept(&mut self, config: SessionConfig) -> Result<(), Misuse> {
        self.connection.common.record(|tape| tape.call("accept", &[&self.id, &config]));
        self.answer(config)
    }

    fn answer(&mut self, config: SessionConfig) -> Result<(), Misuse> {
        let endpoint = self.endpoint();
        let asked = matches!(endpoint.state, SessionState::BeginReceived | SessionState::EndReceived)
            && endpoint.answered_channel.is_some();
        if !asked || endpoint.outgoing_channel.is_some() {
            return Err(Misuse::NothingToAnswer);
        }
        let channel = self.connection.take_channel()?;
        let endpoint = self.endpoint_mut();
        endpoint.outgoing_channel = Some(channel);
        endpoint.window.configure(config.incoming_window, config.next_outgoing_id);
        *endpoint.config = config;
        endpoint.begin_due = true;
        endpoint.step(SessionStep::SendBegin);
        let id = self.id;
        self.connection.outgoing_channels.insert(channel.into(), id.0);
        self.connection.mark_session(id.0);
        Ok(())
    }

    /// Attaches a link on which we send (§2.6.3).
    ///
    /// # Errors
    ///
    /// [`Misuse::ConnectionClosed`], [`Misuse::SessionNotOpen`], [`Misuse::NameInUse`], [`Misuse::InvalidTerminus`],
    /// [`Misuse::TooManyLinks`], or [`Misuse::FrameTooLarge`] when the peer's frame size is known and the attach does not fit.
    pub fn attach_sender(&mut self, config: LinkConfig) -> Result<LinkId, Misuse> {
        self.connection.common.record(|tape| tape.call("attach_sender", &[&self.id, &config]));
        self.attach(Role::Sender, config)
    }

    /// Attaches a link on which we receive (§2.6.3). No message arrives until credit is granted.
    ///
    /// # Errors
    ///
    /// As [`attach_sender`](Self::attach_sender).
    pub fn attach_receiver(&mut self, config: LinkConfig) -> Result<LinkId, Misuse> {
        self.connection.common.record(|tape| tape.call("attach_receiver", &[&self.id, &config]));
        self.attach(Role::Receiver, config)
    }

    fn attach(&mut self, role: Role, config: LinkConfig) -> Result<LinkId, Misuse> {
        if self.connection.is_closing() {
            return Err(Misuse::ConnectionClosed);
        }
        if !self.endpoint().is_usable() {
            return Err(Misuse::SessionNotOpen);
        }
        let namesake = self.connection.link_named(&config.name, role);
        if namesake.is_some_and(|(_, link)| !self.connection.is_leaving(link)) {
            return Err(Misuse::NameInUse);
        }
        if !terminus::are_valid(role, &config) {
            return Err(Misuse::InvalidTerminus);
        }
        self.connection.add_local_link(self.id.0, role, config).map(LinkId)
    }

    /// Ends the session and with it its links (§2.5.2); with an error, what still arrives is dropped (§2.5.4).
    ///
    /// Messages handed over before are still written, as far as the peer's window lets them.
    ///
    /// # Errors
    ///
    /// [`Misuse::SessionNotOpen`] when we ended it before.
    pub fn end(&mut self, error: Option<Error>) -> Result<(), Misuse> {
        self.connection.common.record(|tape| tape.call("end", &[&self.id, &error]));
        let endpoint = self.endpoint();
        let ended = matches!(
            endpoint.state,
            SessionState::EndSent | SessionState::Discarding | SessionState::Unmapped
        );
        if ended || endpoint.end_due.is_some() {
            return Err(Misuse::SessionNotOpen);
        }
        if endpoint.outgoing_channel.is_none() {
            self.answer(SessionConfig::default())?;
        }
        self.endpoint_mut().end_due = Some(error.map(Box::new));
        let id = self.id;
        self.connection.mark_session(id.0);
        Ok(())
    }
}
