//! Sessions and links that the peer has ended with an error, and that are made again on the same connection.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{mem, time::Duration};

use super::{
    ConnectionId, Link, LinkSettings, Object, Recovery, SessionId, TaskId, Tracker,
    dispatch::Dispatcher,
    entries::{At, Pending, Redirected, Task},
    reconnect::Course,
    redial::MAX_REDIRECTS,
    redirect::Redirect,
    state::Core,
};
use crate::{
    Instant, Serial,
    arena::Key,
    codec::Str,
    session::SessionEndpoint,
    types::{DeliveryTag, Error, Role, condition},
};

impl Dispatcher<'_> {
    /// The peer has ended a session with an error: whether it is made again.
    pub(super) fn renews_session(&mut self, key: Key, error: &Error) -> bool {
        let Some(delay) = self.core.plan_session(key, error, self.now) else { return false };
        let in_doubt = self.core.suspend_session(key);
        self.core.renew_at(self.now + delay, Pending::Session(key));
        self.recovering(At::Session(key), SessionId(key).into(), error, &in_doubt);
        true
    }

    /// The same for a link; where the peer says where else it is to be had, it is attached there.
    pub(super) fn renews_link(&mut self, key: Key, error: &Error) -> bool {
        let Some((link, settings)) = self.core.renewable_link(key) else { return false };
        if error.condition == condition::LINK_REDIRECT {
            return self.follows_link_redirect(key, link, &settings, error);
        }
        let Some(delay) = self.core.plan_link(key, error, self.now) else { return false };
        self.renew_link(key, link, delay, error);
        true
    }

    fn renew_link(&mut self, key: Key, link: Link, delay: Duration, error: &Error) {
        let in_doubt = self.core.suspend_one_link(key);
        self.core.renew_at(self.now + delay, Pending::Link(key));
        self.recovering(At::Link(key), link.into(), error, &in_doubt);
    }

    /// On the same connection where that leads to where the peer points; else the connection goes there, which it only does
    /// where it has no other link.
    fn follows_link_redirect(
        &mut self,
        key: Key,
        link: Link,
        settings: &LinkSettings,
        error: &Error,
    ) -> bool {
        let Some(redirect) = Redirect::of(error) else { return false };
        let Some(connection) = self.core.may_redirect(key, settings, &redirect) else { return false };
        if self.core.leads_here(connection, &redirect) {
            self.renew_link(key, link, Duration::ZERO, error);
        } else if self.core.links_of(connection, None) != [key] || !self.follows_redirect(connection, error) {
            return false;
        }
        self.core.redirect_link(key, redirect.address);
        true
    }

    fn recovering(&mut self, at: At, object: Object, error: &Error, in_doubt: &[Tracker]) {
        self.call(at, |handler, cx| handler.on_recovering(cx, object, error));
        self.each_in_doubt(in_doubt);
    }
}

/// Whether they are made again, and when.
impl Core {
    /// How long to wait before a session that the peer has ended is begun anew, if it is.
    fn plan_session(&mut self, key: Key, error: &Error, now: Instant) -> Option<Duration> {
        let id = SessionId(key);
        let session = self.sessions.get(key).filter(|session| session.is_ours)?;
        let connection = session.connection;
        let is_over =
            self.is_closed(id) || self.is_closed(ConnectionId(connection)) || self.is_given_up(id.into());
        if is_over || Recovery::of(&error.condition) > Recovery::NewSession {
            return None;
        }
        // One of which no link was ever open may be refused for ever.
        let was_open = match &*self.links_of(connection, Some(key)) {
            [] => self.is_begun(key),
            links => links.iter().any(|link| self.was_attached(*link)),
        };
        self.plan(connection, Pending::Session(key), was_open, now)
    }

    /// The same for a link.
    fn plan_link(&mut self, key: Key, error: &Error, now: Instant) -> Option<Duration> {
        if Recovery::of(&error.condition) > Recovery::ReattachLink {
            return None;
        }
        let connection = self.links.get(key)?.connection;
        self.plan(connection, Pending::Link(key), self.was_attached(key), now)
    }

    fn plan(&mut self, connection: Key, what: Pending, was_open: bool, now: Instant) -> Option<Duration> {
        let options = Arc::clone(&self.dialed_mut(connection)?.options);
        if !options.reconnect.is_on() {
            return None;
        }
        if let Pending::Link(key) = what {
            self.again.entry(key).or_default();
        }
        let course = match self.course_mut(what)?.take() {
            Some(course) => course,
            None => {
                let mut course = Course::new(self.random.draw());
                if was_open {
                    // Since when is all the same: nothing was waited for it.
                    course.opened(Instant::ZERO);
                }
                Box::new(course)
            }
        };
        let course = self.course_mut(what)?.insert(course);
        course.ended(&options.reconnect, now)
    }

    /// Whether the peer has answered a session's begin.
    fn is_begun(&self, key: Key) -> bool {
        self.session_endpoint(key).is_some_and(|endpoint| endpoint.remote_begin.is_some())
    }

    /// A session is begun on both sides. If it has links, it is of use only when one of them is open, too.
    pub(super) fn note_begun(&mut self, key: Key, now: Instant) {
        if self.sessions.get(key).is_some_and(|session| session.links == 0) {
            self.note_open(Pending::Session(key), now);
        }
    }

    /// A link is open on both sides.
    pub(super) fn note_attached(&mut self, key: Key, now: Instant) {
        self.note_open(Pending::Link(key), now);
        if let Some(session) = self.links.get(key).map(|link| link.session) {
            self.note_open(Pending::Session(session), now);
        }
    }

    fn note_open(&mut self, what: Pending, now: Instant) {
        if let Some(Some(course)) = self.course_mut(what)
            && !course.is_open()
        {
            course.opened(now);
        }
    }

    fn course_mut(&mut self, what: Pending) -> Option<&mut Option<Box<Course>>> {
        Some(match what {
            Pending::Session(key) => &mut self.sessions.get_mut(key)?.course,
            Pending::Link(key) => &mut self.again.get_mut(&key)?.course,
        })
    }

    /// A link that can be attached again: this side has made it and still wants it.
    fn renewable_link(&self, key: Key) -> Option<(Link, LinkSettings)> {
        let link = self.links.get(key).filter(|link| link.is_ours)?;
        let id = link.id(key);
        let is_over = self.is_closed(id)
            || self.is_closed(SessionId(link.session))
            || self.is_closed(ConnectionId(link.connection))
            || self.is_given_up(id.into());
        // One to a coordinator of transactions has no settings: they are gone with it.
        if is_over { None } else { Some((id, self.settings_again(key)?)) }
    }

    /// Whether a link was ever attached on both sides.
    fn was_attached(&self, key: Key) -> bool {
        self.links.get(key).is_some_and(|link| link.life > 0) || self.has_terminus(key)
    }

    /// The connection of a link that may go where the peer points.
    fn may_redirect(&mut self, key: Key, settings: &LinkSettings, redirect: &Redirect) -> Option<Key> {
        let link = self.links.get(key)?;
        let connection = link.connection;
        let redirected = self.again.get(&key).and_then(|again| again.redirected.as_ref());
        let times = redirected.map_or(0, |redirected| redirected.times);
        let is_wanted = self.dialed_mut(connection)?.options.reconnect.follow_redirects;
        // A node that the peer is to make has no address.
        let fits = redirect.address.is_none() || !settings.is_dynamic();
        (is_wanted && fits && times < MAX_REDIRECTS).then_some(connection)
    }

    fn leads_here(&mut self, connection: Key, redirect: &Redirect) -> bool {
        self.dialed_mut(connection)
            .is_some_and(|dialed| redirect.leads_to(&dialed.address, dialed.hostname.as_ref()))
    }

    /// Has a link that waits to be attached ask for another node.
    fn redirect_link(&mut self, key: Key, address: Option<Str>) {
        let Some(link) = self.links.get_mut(key) else { return };
        let Some(settings) = &mut link.settings else { return };
        let before = settings.address().cloned();
        if let Some(address) = address {
            settings.set_address(address);
        }
        // There it is another link.
        settings.unsettled = None;
        let redirected = &mut self.again.entry(key).or_default().redirected;
        redirected.get_or_insert(Redirected { from: before, times: 0 }).times += 1;
    }

    /// Has a link ask for the node that it was made for: whoever has pointed elsewhere is gone.
    pub(super) fn forget_redirect(&mut self, key: Key) {
        if let Some(link) = self.links.get_mut(key)
            && let Some(redirected) = self.again.get_mut(&key).and_then(|again| again.redirected.take())
            && let Some(settings) = &mut link.settings
        {
            settings.replace_address(redirected.from);
            settings.unsettled = None;
        }
    }
}

/// Parting them from the protocol's side, and making them again.
impl Core {
    /// Answers the end of a session. It waits to be begun anew, with its links; what is in doubt waits with them, or comes back
    /// to be reported.
    fn suspend_session(&mut self, key: Key) -> Vec<Tracker> {
        let Some(connection) = self.sessions.get(key).map(|session| session.connection) else {
            return Vec::new();
        };
        let links = self.links_of(connection, Some(key));
        let mut doubts = self.in_doubt_on(connection, &links);
        let engine = self.sessions.get_mut(key).and_then(|session| session.engine.take());
        let Some(id) = engine else { return Vec::new() };
        let mut reported = Vec::new();
        for link in links {
            let waits = match self.links.get(link).and_then(|link| link.engine) {
                Some(_) => self.part_link(link, &mut doubts, &mut reported),
                None => self.cancel_renewal(connection, Pending::Link(link)),
            };
            if waits && let Some(peer) = self.connections.get_mut(connection) {
                peer.pending.push(Pending::Link(link));
            }
        }
        if let Ok(engine) = self.engine(connection)
            && let Ok(mut session) = engine.session(id)
        {
            // Fails where this side has ended it already.
            let _ = session.end(None);
        }
        if let Some(peer) = self.connections.get_mut(connection)
            && let Some(slot) = peer.sessions.get_mut(id.0.index() as usize)
        {
            *slot = None;
        }
        reported
    }

    /// The same for a link that the peer has detached.
    fn suspend_one_link(&mut self, key: Key) -> Vec<Tracker> {
        let Some(link) = self.links.get(key) else { return Vec::new() };
        let (connection, role) = (link.connection, link.role);
        let mut doubts = self.in_doubt_on(connection, &[key]);
        // What the peer keeps of the link stays: it is closed only where the peer has closed it.
        let _ = match role {
            Role::Sender => self.sender(key).and_then(|mut sender| sender.detach()),
            Role::Receiver => self.receiver(key).and_then(|mut receiver| receiver.detach()),
        };
        let mut reported = Vec::new();
        self.part_link(key, &mut doubts, &mut reported);
        reported
    }

    /// Parts a link from its attachment: whether it waits to be attached again.
    fn part_link(
        &mut self,
        key: Key,
        doubts: &mut BTreeMap<Key, Vec<(Serial, DeliveryTag)>>,
        reported: &mut Vec<Tracker>,
    ) -> bool {
        let mut settings = self.settings_again(key);
        if let Some(settings) = &mut settings {
            settings.unsettled = self.part_unsettled_here(key);
            if settings.unsettled.is_some() {
                doubts.remove(&key);
            }
        }
        if let Some(link) = self.links.get(key)
            && let Some(id) = link.engine
            && let Some(peer) = self.connections.get_mut(link.connection)
            && let Some(slot) = peer.links.get_mut(id.0.index() as usize)
        {
            *slot = None;
        }
        self.suspend_link(key, settings, doubts.remove(&key).unwrap_or_default(), reported)
    }

    /// Has a session or link made again at this moment.
    fn renew_at(&mut self, at: Instant, what: Pending) {
        let connection = match what {
            Pending::Session(key) => self.sessions.get(key).map(|session| session.connection),
            Pending::Link(key) => self.links.get(key).map(|link| link.connection),
        };
        let Some(peer) = connection.and_then(|key| self.connections.get_mut(key)) else { return };
        let Some(connection) = connection else { return };
        let timer = self.schedule.add(at, Task::Renew(connection));
        peer.renewals.push((timer, what));
    }

    /// Lets a session or link wait no longer to be made again: whether it did.
    pub(super) fn cancel_renewal(&mut self, connection: Key, what: Pending) -> bool {
        let Some(peer) = self.connections.get_mut(connection) else { return false };
        let Some(at) = peer.renewals.iter().position(|(_, waiting)| *waiting == what) else { return false };
        let (timer, _) = peer.renewals.swap_remove(at);
        self.schedule.cancel(timer);
        true
    }

    /// The same for all of a connection: what they are.
    pub(super) fn cancel_renewals(&mut self, connection: Key) -> Vec<Pending> {
        let Some(peer) = self.connections.get_mut(connection) else { return Vec::new() };
        let renewals = mem::take(&mut peer.renewals);
        for (timer, _) in &renewals {
            self.schedule.cancel(*timer);
        }
        renewals.into_iter().map(|(_, what)| what).collect()
    }

    /// The moment has come for something of a connection to be made again.
    pub(super) fn renew(&mut self, connection: Key, timer: TaskId, now: Instant) {
        let Some(peer) = self.connections.get_mut(connection) else { return };
        let Some(at) = peer.renewals.iter().position(|(due, _)| *due == timer) else { return };
        let (_, what) = peer.renewals.swap_remove(at);
        let is_closing = peer.engine.as_ref().is_none_or(|engine| engine.is_closing());
        match what {
            // What has become of it is told with the end of the connection, or of the session.
            Pending::Session(_) if is_closing => peer.pending.push(what),
            Pending::Link(key) if is_closing || !self.can_attach(key) => {
                if let Some(peer) = self.connections.get_mut(connection) {
                    peer.pending.push(what);
                }
            }
            Pending::Session(key) => self.renew_session(connection, key, now),
            Pending::Link(key) => self.attach(key),
        }
    }

    /// Whether a link's session is begun, and not ended by the peer.
    fn can_attach(&self, key: Key) -> bool {
        let session = self.links.get(key).map(|link| link.session);
        session
            .and_then(|session| self.session_endpoint(session))
            .is_some_and(|endpoint| endpoint.is_usable())
    }

    pub(super) fn session_endpoint(&self, key: Key) -> Option<&SessionEndpoint> {
        let session = self.sessions.get(key)?;
        self.connections.get(session.connection)?.engine.as_ref()?.sessions.get(session.engine?.0)
    }

    fn renew_session(&mut self, connection: Key, key: Key, now: Instant) {
        if let Err(misuse) = self.try_begin(key) {
            // The peer takes no more sessions, perhaps because what is left of this one is in the way.
            match self.plan(connection, Pending::Session(key), false, now) {
                Some(delay) => self.renew_at(now + delay, Pending::Session(key)),
                None => self.fail_session(key, misuse),
            }
            return;
        }
        let Some(peer) = self.connections.get_mut(connection) else { return };
        let (links, others) = mem::take(&mut peer.pending).into_iter().partition(|pending| match pending {
            Pending::Link(link) => self.links.get(*link).is_some_and(|link| link.session == key),
            Pending::Session(_) => false,
        });
        peer.pending = others;
        let links: Vec<Pending> = links;
        for link in links {
            if let Pending::Link(link) = link {
                self.attach(link);
            }
        }
    }
}
