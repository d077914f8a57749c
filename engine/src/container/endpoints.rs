//! Making, answering and closing connections, sessions and links.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};

use super::{
    Action, Address, ConnectionId, ConnectionOptions, Disconnected, InDoubt, IoId, Link, LinkSettings,
    ListenerId, Object, Security, SessionId, Where,
    entries::{How, LinkEntry, Listener, Notice, Origin, Pending, SessionEntry, Stage},
    recovery::condition_of,
    state::Core,
};
use crate::{
    Config, Connection, DisconnectReason, Instant, LinkId, Misuse, Receiver, Sender, SessionConfig,
    arena::Key,
    codec::{Fields, Str},
    link::{DetachKind, KeptAttach, LinkEnd, LinkEndpoint},
    sasl::Sasl,
    types::{Error, Role, SenderSettleMode, condition},
};

impl Core {
    pub(super) fn listen(&mut self, address: Address, options: Arc<ConnectionOptions>) -> ListenerId {
        let entry =
            Listener { address: address.clone(), options, handler: None, stage: Stage::Open, connections: 0 };
        let listener = ListenerId(self.listeners.insert(entry));
        self.open_listeners += 1;
        self.actions.push_back(Action::Listen { listener, address });
        listener
    }

    /// Why a connection is over, in words; nothing where both sides have closed it.
    pub(super) fn why_disconnected(&self, key: Key, reason: &DisconnectReason) -> Option<Disconnected> {
        if *reason == DisconnectReason::Closed {
            return None;
        }
        let peer = self.connections.get(key).filter(|peer| !matches!(peer.origin, Origin::Left))?;
        let with = match &peer.origin {
            Origin::Dialed(dialed) => format!("{}", dialed.address),
            Origin::Accepted(_) | Origin::Left => "a peer".into(),
        };
        let description = match &peer.io_error {
            Some(error) => format!("the connection with {with} broke: {error}"),
            None => format!("the connection with {with} failed: {reason}"),
        };
        Some(Disconnected { condition: condition_of(reason), ..Disconnected::transport(description) })
    }

    pub(super) fn accepted(&mut self, listener: Key, now: Instant) -> Option<IoId> {
        let container_id = self.container_id();
        let entry = self.listeners.get_mut(listener).filter(|entry| entry.stage == Stage::Open)?;
        entry.connections += 1;
        let options = &*entry.options;
        let sasl = match &options.security {
            Security::Auto => Some(Sasl::server().external().anonymous().optional().into()),
            Security::None => None,
            Security::Sasl(sasl) => Some(sasl.clone()),
        };
        let record = self.record.clone();
        let config = Config { sasl, record, ..options.config(Config::server(container_id)) };
        let key = self.add_connection(Origin::Accepted(listener));
        let io = self.ios.insert(key);
        let peer = self.connections.get_mut(key)?;
        peer.stage = Stage::Unanswered;
        peer.engine = Some(Box::new(Connection::new(config, now)));
        peer.io = Some(io);
        self.touch(key);
        Some(IoId(io))
    }

    pub(super) fn container_id(&self) -> Str {
        self.options.container_id.clone().unwrap_or_else(|| self.names.container_id())
    }

    /// The protocol's side of a connection, about to be changed.
    #[inline]
    pub(super) fn engine(&mut self, key: Key) -> Result<&mut Connection, Misuse> {
        self.touch(key).and_then(|peer| peer.engine.as_deref_mut()).ok_or(Misuse::Gone)
    }

    #[inline]
    pub(super) fn sender(&mut self, key: Key) -> Result<Sender<'_>, Misuse> {
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let (connection, id) = (link.connection, link.engine.ok_or(Misuse::LinkNotOpen)?);
        self.engine(connection)?.sender(id)
    }

    #[inline]
    pub(super) fn receiver(&mut self, key: Key) -> Result<Receiver<'_>, Misuse> {
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let (connection, id) = (link.connection, link.engine.ok_or(Misuse::LinkNotOpen)?);
        self.engine(connection)?.receiver(id)
    }

    /// Makes a session; trouble is told by a notice.
    pub(super) fn create_session(&mut self, connection: Key, config: Option<SessionConfig>) -> Key {
        let config = config.map(Box::new);
        let key = self.sessions.insert(SessionEntry {
            connection,
            engine: None,
            handler: None,
            config,
            links: 0,
            queued: 0,
            course: None,
            stage: Stage::Open,
            is_ours: true,
        });
        match self.connections.get_mut(connection) {
            Some(peer) if peer.stage > Stage::Open => self.fail_session(key, Misuse::ConnectionClosed),
            Some(peer) if peer.engine.is_none() => peer.pending.push(Pending::Session(key)),
            Some(_) => self.begin(key),
            None => self.fail_session(key, Misuse::Gone),
        }
        key
    }

    pub(super) fn begin(&mut self, key: Key) {
        if let Err(misuse) = self.try_begin(key) {
            self.fail_session(key, misuse);
        }
    }

    pub(super) fn try_begin(&mut self, key: Key) -> Result<(), Misuse> {
        let session = self.sessions.get(key).filter(|session| session.stage != Stage::Closed);
        let Some(session) = session else { return Ok(()) };
        let connection = session.connection;
        let config = match (&session.config, self.connections.get(connection)) {
            (Some(config), _) => (**config).clone(),
            (None, Some(peer)) => self.options_of(peer).session.clone(),
            (None, None) => SessionConfig::default(),
        };
        let id = self.engine(connection)?.begin(config)?;
        if let Some(session) = self.sessions.get_mut(key) {
            session.engine = Some(id);
        }
        self.note_session(connection, id, key);
        Ok(())
    }

    pub(super) fn fail_session(&mut self, key: Key, misuse: Misuse) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.stage = Stage::Closed;
        }
        self.notices.push_back(Notice::SessionFailed(key, local_error(misuse)));
    }

    /// Makes a link; trouble is told by a notice.
    pub(super) fn create_link(&mut self, at: Where, mut settings: LinkSettings) -> Key {
        let (connection, session) = match at {
            Where::Session(SessionId(session)) => {
                let connection = self.sessions.get(session).map(|session| session.connection);
                (connection.unwrap_or(session), session)
            }
            Where::Connection(ConnectionId(connection)) => (connection, self.default_session(connection)),
            Where::Address(address) => {
                if settings.address().is_none()
                    && !settings.is_dynamic()
                    && let Some(path) = &address.path
                {
                    settings.set_address(path.as_str());
                }
                let connection = self.connect(*address, Arc::clone(&self.connection_options));
                (connection, self.default_session(connection))
            }
        };
        if settings.name.is_none() {
            settings.name = Some(self.names.link());
        }
        let comes_back = self.comes_back(connection);
        let in_doubt = if comes_back { settings.in_doubt } else { InDoubt::Report };
        let ours = LinkEntry::ours(connection, session, settings);
        let key = self.links.insert(LinkEntry { in_doubt, ..ours });
        match self.sessions.get_mut(session) {
            Some(entry) => {
                entry.links += 1;
                let is_open = entry.stage <= Stage::Open;
                let waits = entry.engine.is_none();
                match self.connections.get_mut(connection) {
                    _ if !is_open => self.fail_link(key, Misuse::SessionNotOpen),
                    Some(peer) if peer.stage > Stage::Open => self.fail_link(key, Misuse::ConnectionClosed),
                    Some(peer) if waits || peer.engine.is_none() => peer.pending.push(Pending::Link(key)),
                    _ => self.attach(key),
                }
            }
            None => self.fail_link(key, Misuse::Gone),
        }
        key
    }

    fn default_session(&mut self, connection: Key) -> Key {
        let session = self.connections.get(connection).and_then(|peer| peer.default_session);
        if let Some(session) = session
            && self.is_open(SessionId(session).into())
        {
            return session;
        }
        let session = self.create_session(connection, None);
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.default_session = Some(session);
        }
        session
    }

    pub(super) fn attach(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key).filter(|link| link.stage != Stage::Closed) else { return };
        let Some(settings) = link.settings.take() else { return };
        self.again.get_mut(&key).into_iter().for_each(|again| again.left = None);
        if let Some(queue) = &mut link.queue {
            queue.in_doubt = 0;
        }
        let (connection, session, role) = (link.connection, link.session, link.role);
        let attached = self.attach_with(connection, session, *settings);
        match attached {
            Ok(id) => {
                if let Some(link) = self.links.get_mut(key) {
                    link.engine = Some(id);
                }
                if let Some(peer) = self.connections.get_mut(connection) {
                    put(&mut peer.links, id.0, key);
                }
                if role == Role::Receiver {
                    self.notices.push_back(Notice::LinkMade(key));
                }
            }
            Err(misuse) => self.fail_link(key, misuse),
        }
    }

    fn attach_with(
        &mut self,
        connection: Key,
        session: Key,
        settings: LinkSettings,
    ) -> Result<LinkId, Misuse> {
        let id =
            self.sessions.get(session).and_then(|session| session.engine).ok_or(Misuse::SessionNotOpen)?;
        let mut session = self.engine(connection)?.session(id)?;
        match settings.role() {
            Role::Sender => session.attach_sender(settings.into()),
            Role::Receiver => session.attach_receiver(settings.into()),
        }
    }

    fn fail_link(&mut self, key: Key, misuse: Misuse) {
        if let Some(link) = self.links.get_mut(key) {
            link.stage = Stage::Closed;
        }
        self.notices.push_back(Notice::LinkFailed(key, local_error(misuse)));
    }

    /// Whether the peer made this and awaits the answer.
    pub(super) fn is_unanswered(&self, object: Object) -> bool {
        self.stage(object) == Some(Stage::Unanswered)
    }

    pub(super) fn is_open(&self, object: Object) -> bool {
        self.stage(object) == Some(Stage::Open)
    }

    /// Whether this side has closed an object: what the peer begins on it now needs no answer, nobody waits for it.
    pub(super) fn is_closed(&self, object: impl Into<Object>) -> bool {
        self.stage(object.into()).is_none_or(|stage| stage == Stage::Closed)
    }

    pub(super) fn answer_connection(&mut self, key: Key) {
        if let Some(peer) = self.connections.get_mut(key) {
            peer.stage = Stage::Open;
        }
        if let Ok(engine) = self.engine(key) {
            engine.open();
        }
    }

    /// Answers a peer's begin: whether that went well.
    pub(super) fn answer_session(&mut self, key: Key) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        session.stage = Stage::Open;
        let (connection, id) = (session.connection, session.engine);
        let Some(peer) = self.connections.get(connection) else { return false };
        let config = self.options_of(peer).session.clone();
        let answered = match id {
            Some(id) => self.engine(connection).and_then(|engine| engine.session(id)?.accept(config)),
            None => Err(Misuse::Gone),
        };
        if let Err(misuse) = answered {
            self.close(SessionId(key).into(), How::Error(local_error(misuse)));
        }
        answered.is_ok()
    }

    /// Answers a peer's attach with the termini that it asks for, or refuses what this crate does not know.
    pub(super) fn answer_link(&mut self, key: Key, link: Link) {
        let not_implemented = |what: &'static str| {
            let description = Some(what.into());
            Box::new(Error { condition: condition::NOT_IMPLEMENTED, description, info: None })
        };
        let error = match self.mirror(key) {
            Some(settings) if settings.is_dynamic() => not_implemented("no nodes are made here"),
            Some(settings) if settings.coordinator.is_some() => {
                not_implemented("there are no transactions here")
            }
            Some(settings) => match self.open_link(key, settings) {
                Ok(()) => return,
                Err(misuse) => local_error(misuse),
            },
            None => not_implemented("this kind of target is not supported"),
        };
        self.close(link.into(), How::Error(error));
    }

    /// The settings with which a peer's attach is answered if nobody says otherwise.
    pub(super) fn mirror(&self, key: Key) -> Option<LinkSettings> {
        LinkSettings::answer(self.links.get(key)?.role, self.remote_attach(key)?.read()?)
    }

    /// Answers a peer's attach.
    pub(super) fn open_link(&mut self, key: Key, mut settings: LinkSettings) -> Result<(), Misuse> {
        let link = self.links.get_mut(key).ok_or(Misuse::Gone)?;
        if link.stage != Stage::Unanswered {
            return Err(Misuse::NothingToAnswer);
        }
        link.prefetch = settings.prefetch;
        let role = link.role;
        let found = self.find_suspended(key, &mut settings);
        let attached = match role {
            Role::Sender => self.sender(key).and_then(|mut sender| sender.attach(settings.into())),
            Role::Receiver => self.receiver(key).and_then(|mut receiver| receiver.attach(settings.into())),
        };
        if attached.is_err() {
            self.keep_found(found);
            return attached;
        }
        if let Some(link) = self.links.get_mut(key) {
            link.stage = Stage::Open;
        }
        self.learn_attach(key);
        self.take_up(key, found);
        Ok(())
    }

    /// Notes what is in force on an attached link: whether the peer has a terminus for it. If not, it is being
    /// refused (§2.6.3).
    pub(super) fn learn_attach(&mut self, key: Key) -> bool {
        if self.links.get(key).is_some_and(LinkEntry::resumes) && !self.is_exactly_once(key) {
            let link = self.links.get_mut(key);
            link.into_iter().for_each(|link| link.in_doubt = InDoubt::Report);
        }
        let Some(link) = self.links.get(key) else { return false };
        if link.role == Role::Sender {
            let settled =
                self.sender(key).is_ok_and(|sender| sender.snd_settle_mode() == SenderSettleMode::Settled);
            if let Some(link) = self.links.get_mut(key) {
                link.sends_settled = settled;
            }
        }
        self.has_terminus(key)
    }

    /// Whether the peer has attached a link, and has a terminus for it.
    pub(super) fn has_terminus(&self, key: Key) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        self.remote_attach(key).and_then(KeptAttach::read).is_some_and(|attach| match link.role {
            Role::Sender => attach.target.is_some(),
            Role::Receiver => attach.source.is_some(),
        })
    }

    /// What this side has attached a link of its own with, to be said again.
    pub(super) fn settings_again(&self, key: Key) -> Option<LinkSettings> {
        let link = self.link_endpoint(key)?;
        LinkSettings::again(link.role(), link.local_attach.as_ref()?.read()?)
    }

    pub(super) fn remote_attach(&self, key: Key) -> Option<&KeptAttach> {
        self.link_endpoint(key)?.remote_attach.as_ref()
    }

    pub(super) fn is_suspended(&self, key: Key) -> bool {
        self.link_endpoint(key).is_some_and(|link| link.received_detach == Some(DetachKind::Suspended))
    }

    /// Whether the receiver asks a sender to use its credit up or give it back.
    pub(super) fn is_draining(&self, key: Key) -> bool {
        self.link_endpoint(key)
            .is_some_and(|link| matches!(&link.end, LinkEnd::Sender(end) if end.credit.is_draining()))
    }

    pub(super) fn flow_properties(&self, key: Key) -> Option<&Fields> {
        self.link_endpoint(key)?.flow_properties.as_deref()
    }

    pub(super) fn link_endpoint(&self, key: Key) -> Option<&LinkEndpoint> {
        let link = self.links.get(key)?;
        let engine = self.connections.get(link.connection)?.engine.as_ref()?;
        engine.links.get(link.engine?.0)
    }

    pub(super) fn session_key(&self, peer: Key, id: crate::SessionId) -> Option<Key> {
        *self.connections.get(peer)?.sessions.get(id.0.index() as usize)?
    }

    pub(super) fn link_key(&self, peer: Key, id: LinkId) -> Option<Key> {
        *self.connections.get(peer)?.links.get(id.0.index() as usize)?
    }

    /// A link that this side has not closed, on a connection that it has not closed.
    #[inline]
    pub(super) fn open_link_key(&self, peer: Key, id: LinkId) -> Option<Key> {
        let peer = self.connections.get(peer).filter(|peer| peer.stage != Stage::Closed)?;
        let key = (*peer.links.get(id.0.index() as usize)?)?;
        self.links.get(key).filter(|link| link.stage != Stage::Closed).map(|_| key)
    }

    pub(super) fn note_session(&mut self, peer: Key, id: crate::SessionId, key: Key) {
        if let Some(peer) = self.connections.get_mut(peer) {
            put(&mut peer.sessions, id.0, key);
        }
    }

    /// Notes a link that the peer made on one of the sessions.
    pub(super) fn note_link(&mut self, peer: Key, session: Key, id: LinkId, key: Key) {
        if let Some(peer) = self.connections.get_mut(peer) {
            put(&mut peer.links, id.0, key);
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.links += 1;
        }
    }

    /// The session and the role of a link that the peer made.
    pub(super) fn whose_link(&self, peer: Key, id: LinkId) -> Option<(Key, Role)> {
        let link = self.connections.get(peer)?.engine.as_ref()?.links.get(id.0)?;
        Some((self.session_key(peer, crate::SessionId(link.session))?, link.role()))
    }
}

/// Notes in a table by index what the engine's id stands for.
fn put(table: &mut Vec<Option<Key>>, id: Key, key: Key) {
    let index = id.index() as usize;
    if table.len() <= index {
        table.resize(index + 1, None);
    }
    table[index] = Some(key);
}

/// What this side could not do, as an error for a handler.
fn local_error(misuse: Misuse) -> Box<Error> {
    let condition = match misuse {
        Misuse::TooManyLinks | Misuse::TooManySessions => condition::RESOURCE_LIMIT_EXCEEDED,
        Misuse::FrameTooLarge => condition::FRAME_SIZE_TOO_SMALL,
        Misuse::InvalidTerminus => condition::INVALID_FIELD,
        _ => condition::ILLEGAL_STATE,
    };
    Box::new(Error { condition, description: Some(format!("{misuse}").into()), info: None })
}
