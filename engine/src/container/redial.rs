//! Connecting, and connecting again: what a connection, its sessions and its links go through when it is lost.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::mem;

use super::{
    Action, Address, Attempt, ConnectionOptions, DeliveryId, Disconnected, InDoubt, IoId, LinkSettings,
    Tracker,
    entries::{Dialed, Notice, Origin, Pending, Stage, Task},
    reconnect::Course,
    redirect::Redirect,
    state::Core,
};
use crate::{
    Config, Connection, Instant, LinkId, Serial,
    arena::Key,
    codec::Str,
    session::SessionEndpoint,
    types::{DeliveryTag, Error, Role},
};

/// A peer that points on and on is not followed for ever.
pub(super) const MAX_REDIRECTS: u32 = 8;

impl Dialed {
    fn new(address: Address, options: Arc<ConnectionOptions>, seed: u64) -> Self {
        Self {
            address,
            first: None,
            options,
            course: Course::new(seed),
            failures: BTreeMap::new(),
            timer: None,
            opened: 0,
            redirect: None,
            hostname: None,
            redirects: 0,
        }
    }

    /// An address of the list: the one that the program gave, then those of the options.
    fn listed(&self, at: usize) -> &Address {
        let failover = at.checked_sub(1).and_then(|at| self.options.reconnect.failover.get(at));
        failover.or(self.first.as_deref()).unwrap_or(&self.address)
    }

    /// All that was tried, for a person; what failed last is at the end of it.
    fn story(&self, last: &Str) -> Str {
        let attempts = self.course.failed();
        let others = self.failures.values().filter(|failure| *failure != last);
        let mut story = String::new();
        others.for_each(|failure| story.extend([failure, "; "]));
        story.push_str(last);
        if attempts > 1 {
            story.push_str(&format!("; gave up after {attempts} attempts"));
        }
        story.into()
    }
}

impl Core {
    pub(super) fn connect(&mut self, address: Address, options: Arc<ConnectionOptions>) -> Key {
        let dialed = Dialed::new(address.clone(), options, self.random.draw());
        let key = self.add_connection(Origin::Dialed(Box::new(dialed)));
        self.dial(key, address);
        key
    }

    fn dial(&mut self, key: Key, address: Address) {
        let io = self.ios.insert(key);
        if let Some(peer) = self.connections.get_mut(key) {
            peer.io = Some(io);
            peer.marks.dirty = false;
        }
        self.actions.push_back(Action::Connect { io: IoId(io), address });
    }

    /// The byte stream of a dialed connection is open: what waited for it goes ahead.
    pub(super) fn connected(&mut self, key: Key, now: Instant) {
        let container_id = self.container_id();
        let record = self.record.clone();
        let Some(peer) = self.connections.get_mut(key) else { return };
        let Origin::Dialed(dialed) = &peer.origin else { return };
        if peer.engine.is_some() {
            return;
        }
        let config = dialed.options.client_config(container_id, &dialed.address);
        //= 2.8.16-07 2.8.18-07
        let hostname = dialed.hostname.clone().or(config.hostname);
        let mut engine = Box::new(Connection::new(Config { hostname, record, ..config }, now));
        engine.open();
        peer.engine = Some(engine);
        for pending in mem::take(&mut peer.pending) {
            match pending {
                Pending::Session(session) => self.begin(session),
                Pending::Link(link) => self.attach(link),
            }
        }
        self.touch(key);
    }

    pub(super) fn connect_failed(&mut self, io: IoId, reason: &str) {
        let Some(key) = self.ios.remove(io.0) else { return };
        let Some(peer) = self.connections.get_mut(key) else { return };
        peer.io = None;
        if let Origin::Dialed(dialed) = &peer.origin {
            let description = format!("cannot connect to {}: {reason}", dialed.address);
            self.notices.push_back(Notice::ConnectFailed(key, Disconnected::transport(description)));
        }
    }

    /// Whether a connection is made again when it is lost.
    pub(super) fn comes_back(&self, key: Key) -> bool {
        match self.connections.get(key).map(|peer| &peer.origin) {
            Some(Origin::Dialed(dialed)) => dialed.options.reconnect.is_on(),
            _ => false,
        }
    }

    pub(super) fn dialed_mut(&mut self, key: Key) -> Option<&mut Dialed> {
        match &mut self.connections.get_mut(key)?.origin {
            Origin::Dialed(dialed) => Some(dialed),
            Origin::Accepted(_) | Origin::Left => None,
        }
    }

    /// Both sides have opened a connection.
    pub(super) fn note_opened(&mut self, key: Key, now: Instant) {
        if let Some(dialed) = self.dialed_mut(key) {
            dialed.course.opened(now);
            dialed.failures.clear();
            dialed.opened = dialed.opened.saturating_add(1);
        }
    }

    /// Whether a connection of this side was open when it was lost, for all that `plan_attempt` knows.
    pub(super) fn was_open(&mut self, key: Key) -> bool {
        self.dialed_mut(key).is_none_or(|dialed| dialed.course.is_open())
    }

    /// Decides what comes after the loss of a connection, or after an attempt that failed, and says so in `reason`. Another
    /// attempt has its moment then.
    pub(super) fn plan_attempt(&mut self, key: Key, reason: &mut Disconnected, now: Instant) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        let Origin::Dialed(dialed) = &mut peer.origin else { return };
        if peer.stage == Stage::Closed {
            return;
        }
        let (was_open, at) = (dialed.course.is_open(), dialed.course.at());
        dialed.redirects = 0;
        let delay = dialed.course.lost(&dialed.options.reconnect, reason.recovery(), now);
        if let Some(delay) = delay {
            if !was_open {
                dialed.failures.insert(at, reason.description.clone());
            }
            dialed.timer = Some(self.schedule.add(now + delay, Task::Redial(key)));
            reason.reconnects = true;
        } else if !was_open {
            reason.description = dialed.story(&reason.description);
        }
    }

    /// Follows a redirect, if the options and what was followed before allow it: whether it does.
    pub(super) fn plan_redirect(&mut self, key: Key, error: &Error, now: Instant) -> bool {
        let Some(peer) = self.connections.get_mut(key) else { return false };
        let Origin::Dialed(dialed) = &mut peer.origin else { return false };
        let Some(redirect) = Redirect::of(error) else { return false };
        if !dialed.options.reconnect.follow_redirects || dialed.redirects == MAX_REDIRECTS {
            return false;
        }
        dialed.redirects += 1;
        dialed.redirect = Some(Box::new(redirect));
        dialed.course.redirected();
        dialed.timer = Some(self.schedule.add(now, Task::Redial(key)));
        true
    }

    /// The attempt whose moment has come; none where the connection was closed meanwhile.
    pub(super) fn attempt(&mut self, key: Key) -> Option<Attempt> {
        let dialed = self.dialed_mut(key)?;
        dialed.timer = None;
        let redirect = dialed.redirect.take();
        //= 2.8.16-05
        let address = match &redirect {
            Some(redirect) => redirect.target(&dialed.address),
            None => dialed.listed(dialed.course.at()).clone(),
        };
        dialed.hostname = redirect.and_then(|redirect| redirect.hostname);
        let number = dialed.course.failed().saturating_add(1);
        Some(Attempt { address, options: Arc::clone(&dialed.options), number })
    }

    /// Makes an attempt, unless the connection was closed meanwhile.
    pub(super) fn redial(&mut self, key: Key, attempt: Attempt) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        let Origin::Dialed(dialed) = &mut peer.origin else { return };
        if peer.stage == Stage::Closed || peer.io.is_some() {
            return;
        }
        let before = mem::replace(&mut dialed.address, attempt.address.clone());
        dialed.first.get_or_insert_with(|| Box::new(before));
        dialed.options = attempt.options;
        self.dial(key, attempt.address);
    }

    /// Whether this is only what is left of a connection.
    pub(super) fn is_left(&self, key: Key) -> bool {
        self.connections.get(key).is_some_and(|peer| matches!(peer.origin, Origin::Left))
    }

    /// Every message of a lost connection's senders that is in doubt, to be reported.
    pub(super) fn all_in_doubt(&self, key: Key) -> Vec<Tracker> {
        self.all_in_doubt_of(key, &self.links_of(key, None))
    }

    /// The same for some of its links.
    pub(super) fn all_in_doubt_of(&self, key: Key, links: &[Key]) -> Vec<Tracker> {
        let mut sent = self.in_doubt_on(key, links);
        let mut doubts = Vec::new();
        for &link in links {
            let Some(entry) = self.links.get(link) else { continue };
            let queued = entry.queue.iter().flat_map(|queue| {
                queue.unresolved.tags_in_doubt().chain(queue.unsent_again()).map(|tag| (None, tag))
            });
            let sent = sent.remove(&link).unwrap_or_default().into_iter();
            let id = |number| DeliveryId { link, life: entry.life, number };
            let all = sent.map(|(number, tag)| (Some(number), tag)).chain(queued);
            doubts.extend(all.map(|(number, tag)| Tracker::in_doubt(id(number), tag)));
        }
        doubts
    }

    /// The same for a session and for a link.
    pub(super) fn session_in_doubt(&self, key: Key) -> Vec<Tracker> {
        let Some(session) = self.sessions.get(key) else { return Vec::new() };
        self.all_in_doubt_of(session.connection, &self.links_of(session.connection, Some(key)))
    }

    pub(super) fn link_in_doubt(&self, key: Key) -> Vec<Tracker> {
        let Some(link) = self.links.get(key) else { return Vec::new() };
        self.all_in_doubt_of(link.connection, &[key])
    }

    /// Deliveries of these links whose outcome will never be known, by link, in the order in which they were sent. Only the
    /// sessions of senders that have something unsettled are walked: the connection may have many more.
    pub(super) fn in_doubt_on(
        &self,
        connection: Key,
        links: &[Key],
    ) -> BTreeMap<Key, Vec<(Serial, DeliveryTag)>> {
        let (mut doubts, mut sessions) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for &key in links {
            let endpoint = self.link_endpoint(key);
            if let Some(link) = endpoint.filter(|link| link.live > 0 && link.role() == Role::Sender) {
                doubts.insert(key, Vec::new());
                sessions.insert(link.session);
            }
        }
        let engine = self.connections.get(connection).and_then(|peer| peer.engine.as_ref());
        let sessions = sessions.into_iter().filter_map(|session| engine?.sessions.get(session));
        for (number, delivery) in sessions.flat_map(SessionEndpoint::in_doubt) {
            let link = self.link_key(connection, LinkId(delivery.link));
            if let Some(sent) = link.and_then(|link| doubts.get_mut(&link)) {
                sent.push((number, *delivery.tag()));
            }
        }
        // What was not handed over in whole is not in doubt: it never happened.
        for (link, sent) in &mut doubts {
            if let Some(link) = self.links.get(*link).filter(|link| link.is_streaming) {
                let started = DeliveryTag::from(link.next_tag - 1);
                sent.pop_if(|(_, tag)| *tag == started);
            }
        }
        doubts
    }

    /// Parts a connection from its byte stream, which is lost. Its sessions and links wait for another one as they did for the
    /// first; what is in doubt waits with them, or comes back to be reported.
    pub(super) fn suspend(&mut self, key: Key) -> Vec<Tracker> {
        let mut doubts = self.in_doubt_on(key, &self.links_of(key, None));
        let Some(peer) = self.connections.get_mut(key) else { return Vec::new() };
        let Some(engine) = peer.engine.take() else { return Vec::new() };
        let (sessions, links) = (mem::take(&mut peer.sessions), mem::take(&mut peer.links));
        let io = peer.io.take();
        let mut reported = Vec::new();
        let mut pending = mem::take(&mut peer.pending);
        pending.extend(self.cancel_renewals(key));
        for session in sessions.into_iter().flatten() {
            let Some(entry) = self.sessions.get_mut(session) else { continue };
            if entry.is_ours && entry.stage != Stage::Closed {
                entry.engine = None;
                pending.push(Pending::Session(session));
            } else if entry.is_ours {
                self.notices.push_back(Notice::SessionClosed(session));
            } else {
                self.sessions.remove(session);
            }
        }
        for link in links.into_iter().flatten() {
            let mut sent = doubts.remove(&link).unwrap_or_default();
            let attach = self.links.get(link).and_then(|entry| engine.links.get(entry.engine?.0));
            let mut settings =
                attach.and_then(|link| LinkSettings::again(link.role(), link.local_attach.as_ref()?.read()?));
            if let Some(settings) = &mut settings {
                settings.unsettled = self.part_unsettled(link, &engine);
                if settings.unsettled.is_some() {
                    sent.clear();
                }
            }
            if self.suspend_link(link, settings, sent, &mut reported) {
                pending.push(Pending::Link(link));
            }
        }
        // Sessions go before links, whatever waited before.
        pending.sort_by_key(|pending| matches!(pending, Pending::Link(_)));
        for pending in &pending {
            if let Pending::Link(link) = *pending {
                self.forget_redirect(link);
            }
        }
        self.leave_engine(key, engine, io, pending);
        reported
    }

    /// Parts a link from the protocol's side of it: whether it waits to be attached again.
    pub(super) fn suspend_link(
        &mut self,
        key: Key,
        settings: Option<LinkSettings>,
        mut sent: Vec<(Serial, DeliveryTag)>,
        reported: &mut Vec<Tracker>,
    ) -> bool {
        self.forget_told(key);
        let Some(link) = self.links.get_mut(key) else { return false };
        // A link to a coordinator is not attached again: its transactions are gone.
        let is_over = !link.is_ours || link.stage == Stage::Closed || settings.is_none();
        let in_doubt = sent.len();
        if in_doubt > 0 {
            link.queue.get_or_insert_default();
        }
        if let Some(queue) = &mut link.queue {
            queue.in_doubt = in_doubt + queue.unresolved.in_doubt() + queue.unsent_again().count();
        }
        if let Some(queue) = &mut link.queue
            && link.in_doubt == InDoubt::Resend
            && !is_over
        {
            queue.send_again(&mut sent);
        }
        let again = in_doubt - sent.len();
        let life = link.life;
        let id = |number| DeliveryId { link: key, life, number: Some(number) };
        reported.extend(sent.into_iter().map(|(number, tag)| Tracker::in_doubt(id(number), tag)));
        link.engine = None;
        link.is_streaming = false;
        link.handled = 0;
        link.life = link.life.wrapping_add(1);
        let (connection, session, is_ours) = (link.connection, link.session, link.is_ours);
        if is_over {
            if is_ours {
                self.notices.push_back(Notice::LinkClosed(key));
            } else {
                self.free_link(key);
            }
            return false;
        }
        link.settings = settings.map(Box::new);
        if let Some(session) = self.sessions.get_mut(session) {
            session.queued += again;
        }
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.queued += again;
        }
        true
    }

    /// Lets what is left of a lost connection go its own way: its last bytes may still be written.
    fn leave_engine(
        &mut self,
        key: Key,
        mut engine: Box<Connection>,
        io: Option<Key>,
        pending: Vec<Pending>,
    ) {
        // Nobody is told any more.
        while engine.poll_event().is_some() {}
        let left = self.add_connection(Origin::Left);
        if let Some(io) = io
            && let Some(owner) = self.ios.get_mut(io)
        {
            *owner = left;
        }
        let Some(peer) = self.connections.get_mut(key) else { return };
        peer.pending = pending;
        peer.peeked = None;
        let io_error = peer.io_error.take();
        if let Some(at) = peer.deadline.take() {
            self.deadlines.remove(&(at, key));
        }
        if let Some(left_peer) = self.connections.get_mut(left) {
            left_peer.engine = Some(engine);
            left_peer.io = io;
            left_peer.io_error = io_error;
            left_peer.stage = Stage::Closed;
        }
        self.touch(left);
    }
}
