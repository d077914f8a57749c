//! What a container holds, and the lists of what needs a look.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::mem;

use super::{
    Action, ConnectionOptions, ContainerOptions, Failure, IoId,
    entries::{
        Closing, LinkEntry, Listener, MadeAgain, Marks, Notice, Origin, Peer, Pending, SessionEntry, Stage,
        Task,
    },
    names::Names,
    random::Random,
    schedule::Schedule,
    suspended::SuspendedLinks,
    transactions::Control,
};
use crate::{
    ConnectionState, Event, Instant, LinkId,
    arena::{Arena, Key},
    record::Record,
};

/// Everything but the container's handler.
pub(super) struct Core {
    pub(super) options: ContainerOptions,
    /// For connections and listeners made without options of their own.
    pub(super) connection_options: Arc<ConnectionOptions>,
    pub(super) names: Names,
    pub(super) random: Random,
    pub(super) phase: Phase,
    pub(super) connections: Arena<Peer>,
    pub(super) sessions: Arena<SessionEntry>,
    pub(super) links: Arena<LinkEntry>,
    pub(super) listeners: Arena<Listener>,
    pub(super) open_listeners: usize,
    /// Byte streams, each with its connection.
    pub(super) ios: Arena<Key>,
    pub(super) schedule: Schedule<Task>,
    /// What the container itself has to tell, before anything that connections have to tell.
    pub(super) notices: VecDeque<Notice>,
    pub(super) injected: usize,
    pub(super) actions: VecDeque<Action>,
    /// What the running callback asked to close; done when it has returned.
    pub(super) closing: Vec<Closing>,
    /// The delivery that `on_message` looks at, until somebody settles it.
    pub(super) untouched: Option<super::DeliveryId>,
    /// Credit was granted for messages that were handled, and is to be written.
    pub(super) has_granted: bool,
    /// Unsettled messages whose outcome was told, by link and delivery-id.
    pub(super) told: BTreeSet<(Key, u32)>,
    /// Links to coordinators of transactions.
    pub(super) controls: BTreeMap<Key, Control>,
    /// Links that peers may resume.
    pub(super) suspended: SuspendedLinks,
    /// Of links that had to be made again: beside them, so that the others pay nothing for it.
    pub(super) again: BTreeMap<Key, MadeAgain>,
    pub(super) failure: Option<Failure>,
    /// How new connections are recorded.
    pub(super) record: Option<Record>,
    /// The last of what was recorded of connections that are gone, by their byte streams.
    pub(super) recorded: BTreeMap<Key, String>,
    /// Reasons from outside not to finish.
    pub(super) holds: usize,
    /// Whether any object was ever given a handler of its own.
    pub(super) has_own_handlers: bool,
    /// Connections that have events.
    pub(super) ready: VecDeque<Key>,
    /// Connections whose events, deadline and end need a look.
    pub(super) unseen: Vec<Key>,
    /// Byte streams whose output needs a look.
    pub(super) dirty: VecDeque<Key>,
    pub(super) deadlines: BTreeSet<(Instant, Key)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before `start`.
    New,
    Running,
    /// `on_stop` was called.
    Stopped,
}

impl Core {
    pub(super) fn new(mut options: ContainerOptions) -> Self {
        let connection_options = Arc::new(mem::take(&mut options.connection));
        Self {
            names: Names::new(options.seed),
            random: Random::new(options.seed),
            connection_options,
            options,
            phase: Phase::New,
            connections: Arena::new(),
            sessions: Arena::new(),
            links: Arena::new(),
            listeners: Arena::new(),
            open_listeners: 0,
            ios: Arena::new(),
            schedule: Schedule::new(),
            notices: VecDeque::new(),
            injected: 0,
            actions: VecDeque::new(),
            closing: Vec::new(),
            untouched: None,
            has_granted: false,
            told: BTreeSet::new(),
            controls: BTreeMap::new(),
            suspended: SuspendedLinks::default(),
            again: BTreeMap::new(),
            failure: None,
            record: None,
            recorded: BTreeMap::new(),
            holds: 0,
            has_own_handlers: false,
            ready: VecDeque::new(),
            unseen: Vec::new(),
            dirty: VecDeque::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Nothing will ever happen again unless somebody outside makes it happen.
    pub(super) fn is_idle(&self) -> bool {
        self.holds == 0
            && self.open_listeners == 0
            && self.connections.len() == 0
            && self.schedule.is_empty()
            && self.notices.is_empty()
    }

    /// Whether a handler is to be called.
    pub(super) fn has_work(&self) -> bool {
        match self.phase {
            Phase::New => false,
            Phase::Running => !self.notices.is_empty() || !self.ready.is_empty() || self.is_idle(),
            Phase::Stopped => !self.notices.is_empty() || !self.ready.is_empty(),
        }
    }

    /// Whether the driver has something to do: a stop from outside the callbacks comes when it has already looked.
    pub(super) fn has_orders(&self) -> bool {
        !self.dirty.is_empty() || !self.actions.is_empty()
    }

    /// A connection that is about to change: it is put on the lists of those to look at, for output, events and
    /// another deadline.
    #[inline]
    pub(super) fn touch(&mut self, key: Key) -> Option<&mut Peer> {
        let peer = self.connections.get_mut(key)?;
        if !(peer.marks.unseen && peer.marks.dirty) {
            if !mem::replace(&mut peer.marks.unseen, true) {
                self.unseen.push(key);
            }
            if let Some(io) = peer.io
                && !mem::replace(&mut peer.marks.dirty, true)
            {
                self.dirty.push_back(io);
            }
        }
        Some(peer)
    }

    /// The next byte stream to look at.
    pub(super) fn pop_dirty(&mut self) -> Option<IoId> {
        while let Some(io) = self.dirty.pop_front() {
            if let Some(&key) = self.ios.get(io)
                && let Some(peer) = self.connections.get_mut(key)
            {
                peer.marks.dirty = false;
                return Some(IoId(io));
            }
        }
        None
    }

    /// The connection's output was taken: no news for the driver, but perhaps for the container.
    pub(super) fn written(&mut self, key: Key) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        if !mem::replace(&mut peer.marks.unseen, true) {
            self.unseen.push(key);
        }
    }

    /// Looks at each touched connection once: who has events, whose deadline moved, who is done?
    pub(super) fn survey(&mut self) {
        while let Some(key) = self.unseen.pop() {
            let Some(peer) = self.connections.get_mut(key) else { continue };
            peer.marks.unseen = false;
            let Some(engine) = &mut peer.engine else { continue };
            if !peer.marks.ready {
                peer.peeked = engine.poll_event();
                if peer.peeked.is_some() {
                    peer.marks.ready = true;
                    self.ready.push_back(key);
                }
            }
            let deadline = engine.poll_timeout().map(|(at, _)| at);
            // What is left to write has nowhere to go once the byte stream is broken.
            let is_over = peer.io_error.is_some() && engine.state() == ConnectionState::End;
            let is_done = !peer.marks.ready && (is_over || engine.is_done());
            let before = mem::replace(&mut peer.deadline, deadline);
            if before != deadline {
                if let Some(at) = before {
                    self.deadlines.remove(&(at, key));
                }
                if let Some(at) = deadline {
                    self.deadlines.insert((at, key));
                }
            }
            if is_done {
                self.free_connection(key);
            }
        }
    }

    /// The next event of the connection whose turn it is; after a number of them it is another's turn.
    pub(super) fn next_event(&mut self, turn: &mut usize) -> Option<(Key, Event)> {
        while let Some(&key) = self.ready.front() {
            let Some(peer) = self.connections.get_mut(key) else {
                self.ready.pop_front();
                *turn = 0;
                continue;
            };
            let event = if peer.peeked.is_some() {
                peer.peeked.take()
            } else {
                peer.engine.as_mut().and_then(|engine| engine.poll_event())
            };
            if let Some(event) = event {
                *turn += 1;
                if *turn == EVENTS_A_TURN {
                    *turn = 0;
                    self.ready.rotate_left(1);
                }
                return Some((key, event));
            }
            peer.marks.ready = false;
            self.ready.pop_front();
            *turn = 0;
            self.written(key);
        }
        None
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let connections = self.deadlines.first().map(|&(at, _)| at);
        connections.into_iter().chain(self.schedule.deadline()).min()
    }

    /// Lets every connection whose deadline has come know.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            let Some(peer) = self.connections.get_mut(key) else { continue };
            peer.deadline = None;
            if let Some(engine) = &mut peer.engine {
                engine.handle_timeout(now);
            }
            self.touch(key);
        }
    }

    pub(super) fn add_connection(&mut self, origin: Origin) -> Key {
        self.connections.insert(Peer {
            engine: None,
            io: None,
            origin,
            handler: None,
            default_session: None,
            sessions: Vec::new(),
            links: Vec::new(),
            pending: Vec::new(),
            renewals: Vec::new(),
            queued: 0,
            stage: Stage::Open,
            failed: None,
            io_error: None,
            marks: Marks::default(),
            deadline: None,
            peeked: None,
        })
    }

    /// Forgets a connection with its sessions and links; closes its byte stream.
    pub(super) fn free_connection(&mut self, key: Key) {
        let renewals = self.cancel_renewals(key);
        let Some(mut peer) = self.connections.remove(key) else { return };
        let recorded = peer.engine.as_mut().and_then(|engine| engine.poll_recording());
        if let (Some(io), Some(recorded)) = (peer.io, recorded) {
            self.recorded.insert(io, recorded);
        }
        if let Some(io) = peer.io
            && self.ios.remove(io).is_some()
        {
            self.actions.push_back(Action::Shutdown { io: IoId(io) });
        }
        if let Some(at) = peer.deadline {
            self.deadlines.remove(&(at, key));
        }
        for pending in peer.pending.into_iter().chain(renewals) {
            match pending {
                Pending::Session(key) => drop(self.sessions.remove(key)),
                Pending::Link(key) => {
                    self.links.remove(key);
                    self.again.remove(&key);
                }
            }
        }
        for key in peer.links.into_iter().flatten() {
            self.links.remove(key);
            self.again.remove(&key);
        }
        for key in peer.sessions.into_iter().flatten() {
            self.sessions.remove(key);
        }
        match peer.origin {
            Origin::Accepted(listener) => self.leave_listener(listener),
            Origin::Dialed(dialed) => {
                if let Some(timer) = dialed.timer {
                    self.schedule.cancel(timer);
                }
            }
            Origin::Left => {}
        }
    }

    /// The options that a connection was made or accepted with.
    pub(super) fn options_of(&self, peer: &Peer) -> Arc<ConnectionOptions> {
        let options = match &peer.origin {
            Origin::Dialed(dialed) => Some(&dialed.options),
            Origin::Accepted(listener) => self.listeners.get(*listener).map(|listener| &listener.options),
            Origin::Left => None,
        };
        Arc::clone(options.unwrap_or(&self.connection_options))
    }

    fn leave_listener(&mut self, key: Key) {
        if let Some(listener) = self.listeners.get_mut(key) {
            listener.connections -= 1;
            self.free_listener(key);
        }
    }

    /// Forgets a closed listener that no connection needs.
    pub(super) fn free_listener(&mut self, key: Key) {
        if self
            .listeners
            .get(key)
            .is_some_and(|listener| listener.stage == Stage::Closed && listener.connections == 0)
        {
            self.listeners.remove(key);
        }
    }

    /// Forgets a link that both sides have closed.
    pub(super) fn free_link(&mut self, key: Key) {
        let Some(link) = self.links.remove(key) else { return };
        self.cancel_renewal(link.connection, Pending::Link(key));
        self.again.remove(&key);
        self.forget_told(key);
        if let Some(queue) = &link.queue {
            self.forget_queued(link.connection, link.session, queue.len());
        }
        if let Some(session) = self.sessions.get_mut(link.session) {
            session.links -= 1;
        }
        if let Some(peer) = self.connections.get_mut(link.connection)
            && let Some(id) = link.engine
            && let Some(slot) = peer.links.get_mut(id.0.index() as usize)
        {
            *slot = None;
        }
    }

    /// Forgets which of a link's messages have an outcome that was told.
    pub(super) fn forget_told(&mut self, key: Key) {
        while let Some(&told) = self.told.range((key, 0)..=(key, u32::MAX)).next() {
            self.told.remove(&told);
        }
    }

    /// Forgets a session that both sides have ended, with its links.
    pub(super) fn free_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        let connection = session.connection;
        if session.links > 0 {
            for link in self.links_of(connection, Some(key)) {
                self.free_link(link);
            }
        }
        let Some(session) = self.sessions.remove(key) else { return };
        self.cancel_renewal(connection, Pending::Session(key));
        if let Some(peer) = self.connections.get_mut(connection) {
            if let Some(id) = session.engine
                && let Some(slot) = peer.sessions.get_mut(id.0.index() as usize)
            {
                *slot = None;
            }
            if peer.default_session == Some(key) {
                peer.default_session = None;
            }
        }
    }

    /// The links of a connection, or of one of its sessions.
    pub(super) fn links_of(&self, connection: Key, session: Option<Key>) -> Vec<Key> {
        let Some(peer) = self.connections.get(connection) else { return Vec::new() };
        let waiting = peer.pending.iter().chain(peer.renewals.iter().map(|(_, pending)| pending));
        let pending = waiting.filter_map(|pending| match pending {
            Pending::Link(key) => Some(*key),
            Pending::Session(_) => None,
        });
        let attached: Vec<Key> = match session.and_then(|session| self.session_endpoint(session)) {
            // The connection may have many more.
            Some(session) => {
                session.links.iter().filter_map(|&id| self.link_key(connection, LinkId(id))).collect()
            }
            None => peer.links.iter().flatten().copied().collect(),
        };
        let is_meant = |key: &Key| {
            self.links.get(*key).is_some_and(|link| session.is_none_or(|session| link.session == session))
        };
        attached.into_iter().chain(pending).filter(is_meant).collect()
    }
}

/// After so many events of one connection the next one has its turn.
const EVENTS_A_TURN: usize = 256;
