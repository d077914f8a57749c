//! From events to callbacks: the one place where user code runs.

use alloc::{boxed::Box, vec::Vec};
use core::cell::{Cell, OnceCell};

use super::{
    ConnectionId, Context, Delivery, Disconnected, Handler, ListenerId, Object, ReceiverId, SenderId,
    SessionId, Tracker,
    entries::{At, How, LinkEntry, Notice, SessionEntry, Stage, Task},
    state::{Core, Phase},
    transactions::{self, Told},
};
use crate::{
    Event, Instant, LinkId, Scope, Violation,
    arena::Key,
    types::{DeliveryState, Error, Role, condition},
};

/// After so many callbacks the driver has its turn: to write what they made, and to read.
const CALLBACKS_A_TURN: usize = 4096;

/// Calls handlers until nothing is left to tell or the driver must have its turn: whether more is left.
///
/// Its turn comes early when credit was granted: the peer sends on while the rest of what has arrived is handled.
pub(super) fn dispatch(core: &mut Core, root: &mut dyn Handler, now: Instant) -> bool {
    if core.phase == Phase::New {
        return false;
    }
    while let Some((id, task)) = core.schedule.pop_due(now) {
        core.notices.push_back(Notice::Task(id, task));
    }
    let mut dispatcher = Dispatcher { core, root, now };
    let mut turn = 0;
    for _ in 0..CALLBACKS_A_TURN {
        if !dispatcher.step(&mut turn) {
            return false;
        }
        if core::mem::take(&mut dispatcher.core.has_granted) {
            return true;
        }
    }
    true
}

pub(super) struct Dispatcher<'a> {
    pub(super) core: &'a mut Core,
    root: &'a mut dyn Handler,
    pub(super) now: Instant,
}

impl Dispatcher<'_> {
    /// Handles the next thing there is: whether there was one.
    fn step(&mut self, turn: &mut usize) -> bool {
        if let Some(notice) = self.core.notices.pop_front() {
            self.notice(notice);
        } else if let Some((connection, event)) = self.core.next_event(turn) {
            self.event(connection, event);
        } else {
            self.core.survey();
            if self.core.has_ready() {
                return true;
            }
            if self.core.phase == Phase::Stopped || !self.core.is_idle() {
                return false;
            }
            self.core.phase = Phase::Stopped;
            self.call(At::Container, |handler, cx| handler.on_stop(cx));
        }
        true
    }

    /// Runs callbacks of the handler that serves `at`, then closes what they asked to close.
    #[inline]
    pub(super) fn call(&mut self, at: At, run: impl FnOnce(&mut dyn Handler, &mut Context<'_>)) {
        match self.core.take_handler(at) {
            Some((slot, mut handler)) => {
                run(&mut *handler, &mut Context { core: self.core, now: self.now, at });
                self.core.put_handler(slot, handler);
            }
            None => run(self.root, &mut Context { core: self.core, now: self.now, at }),
        }
        self.core.finish_closes();
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Start => self.call(At::Container, |handler, cx| handler.on_start(cx)),
            Notice::Listening(key, address) => {
                self.call(At::Listener(key), |handler, cx| {
                    handler.on_listening(cx, ListenerId(key), &address)
                });
            }
            Notice::ListenFailed(key, reason) => {
                self.call(At::Listener(key), |handler, cx| {
                    handler.on_listen_error(cx, ListenerId(key), &reason)
                });
                self.core.close(Object::Listener(ListenerId(key)), How::Now);
                self.core.finish_closes();
            }
            Notice::ConnectFailed(key, reason) => self.lost(key, reason),
            Notice::ConnectionClosed(key) => {
                let id = ConnectionId(key);
                self.call(At::Connection(key), |handler, cx| handler.on_connection_closed(cx, id));
                self.core.free_connection(key);
            }
            Notice::SessionFailed(key, error) => {
                let id = SessionId(key);
                if let Some(session) = self.core.sessions.get(key) {
                    let connection = session.connection;
                    for told in self.core.lose_transactions(connection, Some(key), Some(&error)) {
                        self.transaction(&told);
                    }
                }
                let in_doubt = self.core.session_in_doubt(key);
                self.call(At::Session(key), |handler, cx| {
                    handler.on_session_error(cx, id, &error);
                    handler.on_session_closed(cx, id);
                });
                self.each_in_doubt(&in_doubt);
                self.core.free_session(key);
            }
            Notice::SessionClosed(key) => {
                self.call(At::Session(key), |handler, cx| handler.on_session_closed(cx, SessionId(key)));
                self.core.free_session(key);
            }
            Notice::LinkMade(key) => {
                self.call(At::Link(key), |handler, cx| cx.core.grant_window(key, handler))
            }
            Notice::LinkClosed(key) => {
                self.for_link(key, |handler, cx, link| handler.on_link_closed(cx, link));
                self.core.free_link(key);
            }
            Notice::LinkFailed(key, error) => self.link_failed(key, &error),
            Notice::NotSent(tracker) => self.call(At::Link(tracker.id.link), |handler, cx| {
                handler.on_rejected(cx, &tracker);
                handler.on_settled(cx, &tracker);
                handler.on_delivery_updated(cx, &tracker);
            }),
            Notice::InDoubt(at, tracker) => {
                self.call(at, |handler, cx| handler.on_in_doubt(cx, &tracker));
            }
            Notice::LinkResumed(key) => self.resumed(key),
            Notice::Transaction(told) => self.transaction(&told),
            Notice::Task(id, Task::Timer(at)) => self.call(at, |handler, cx| handler.on_timer(cx, id)),
            Notice::Task(_, Task::Run(task)) => self.call(At::Container, |_, cx| task(cx)),
            Notice::Task(_, Task::Redial(key)) => self.redial(key),
            Notice::Task(id, Task::Renew(key)) => self.core.renew(key, id, self.now),
            Notice::Injected(event) => {
                self.core.injected -= 1;
                self.call(At::Container, |handler, cx| handler.on_injected(cx, event));
            }
        }
    }

    #[inline]
    fn event(&mut self, peer: Key, event: Event) {
        match event {
            Event::Delivery(id) => {
                // What arrives on what this side has closed goes back unsettled.
                if let Some(key) = self.core.open_link_key(peer, id.link()) {
                    self.delivery(peer, key, id);
                }
            }
            Event::Updated(id) => {
                if let Some(key) = self.core.link_key(peer, id.link()) {
                    self.updated(key, id);
                }
            }
            Event::Opened => self.opened(peer),
            Event::Closed { error } => self.closed(peer, error),
            Event::Violated(violation) => self.violated(peer, &violation),
            Event::Disconnected(reason) => self.disconnected(peer, &reason),
            Event::SessionBegun(id) => self.session_begun(peer, id),
            Event::SessionEnded { session, error } => {
                if let Some(key) = self.core.session_key(peer, session) {
                    self.session_ended(key, error);
                }
            }
            Event::LinkAttached(id) => self.link_attached(peer, id),
            event => self.link_event(peer, event),
        }
    }

    /// The rarer events of a link that the container knows.
    fn link_event(&mut self, peer: Key, event: Event) {
        let id = match &event {
            Event::LinkDetached { link, .. } => *link,
            Event::LinkTooLarge(id)
            | Event::LinkFlow(id)
            | Event::Sendable(id)
            | Event::Drain(id)
            | Event::Drained(id) => *id,
            Event::Aborted(id) => id.link(),
            _ => return,
        };
        let Some(key) = self.core.link_key(peer, id) else { return };
        match event {
            Event::Sendable(_) => self.sendable(key),
            Event::LinkFlow(_) => self.for_link(key, |handler, cx, link| handler.on_link_flow(cx, link)),
            // What the receiver has taken back meanwhile is no news.
            Event::Drain(_) if !self.core.is_draining(key) => {}
            Event::Drain(_) => {
                self.core.flush(key);
                if !self.core.puts_drain_off(key) {
                    self.drain(key);
                }
            }
            Event::Drained(_) => self.call(At::Link(key), |handler, cx| {
                handler.on_drain_finished(cx, ReceiverId(key));
                cx.core.grant_window(key, handler);
            }),
            Event::Aborted(id) => {
                let id = self.core.delivery_id(key, id);
                self.call(At::Link(key), |handler, cx| {
                    handler.on_aborted(cx, id);
                    cx.core.message_handled(key, handler.knobs().prefetch);
                });
            }
            Event::LinkDetached { error, .. } => self.link_detached(key, error),
            Event::LinkTooLarge(_) => self.link_failed(key, &too_large()),
            _ => {}
        }
    }

    fn for_link(&mut self, key: Key, run: impl FnOnce(&mut dyn Handler, &mut Context<'_>, super::Link)) {
        let Some(link) = self.core.links.get(key).map(|link| link.id(key)) else { return };
        self.call(At::Link(key), |handler, cx| run(handler, cx, link));
    }

    fn transaction(&mut self, told: &Told) {
        self.call(At::Session(told.session), |handler, cx| transactions::tell(handler, cx, told));
    }

    /// The links to coordinators of a connection, or of a session of it, are gone with it. What this side itself has closed
    /// is no news to its handler.
    pub(super) fn lose_transactions(&mut self, connection: Key, session: Option<Key>, error: Option<&Error>) {
        let is_ours = self.core.is_closed(ConnectionId(connection))
            || session.is_some_and(|key| self.core.is_closed(SessionId(key)));
        for told in self.core.lose_transactions(connection, session, error) {
            if !is_ours {
                self.transaction(&told);
            }
        }
    }

    fn opened(&mut self, key: Key) {
        let id = ConnectionId(key);
        if self.core.is_closed(id) {
            return;
        }
        self.core.note_opened(key, self.now);
        self.call(At::Connection(key), |handler, cx| {
            if cx.core.is_unanswered(id.into()) {
                handler.on_connection_opening(cx, id);
                if !cx.core.is_unanswered(id.into()) {
                    return;
                }
                cx.core.answer_connection(key);
            }
            handler.on_connection_opened(cx, id);
        });
    }

    fn closed(&mut self, key: Key, error: Option<Box<Error>>) {
        let id = ConnectionId(key);
        if self.core.is_left(key) || error.as_ref().is_some_and(|error| self.lost_by_close(key, error)) {
            return;
        }
        if error.is_some() && !self.core.is_closed(id) {
            self.core.keep_links(key);
        }
        self.lose_transactions(key, None, error.as_deref());
        self.call(At::Connection(key), |handler, cx| {
            let stage = cx.core.connections.get(key).map_or(Stage::Closed, |peer| peer.stage);
            let is_ours = stage == Stage::Closed;
            if let Some(error) = error.or_else(|| closed_first(handler, cx, id.into())) {
                handler.on_connection_error(cx, id, &error);
            } else if !is_ours {
                handler.on_connection_closing(cx, id);
            }
            cx.core.close_now(id.into(), How::Now);
            handler.on_connection_closed(cx, id);
        });
    }

    fn violated(&mut self, peer: Key, violation: &Violation) {
        let error = violation.to_error();
        match violation.scope() {
            Scope::Connection => {
                self.lose_transactions(peer, None, Some(&error));
                let reason = Disconnected {
                    condition: violation.condition().clone(),
                    description: violation.description().into(),
                    reconnects: false,
                };
                self.violated_connection(peer, reason);
            }
            Scope::Session(id) => {
                let Some(key) = self.core.session_key(peer, id) else { return };
                self.lose_transactions(peer, Some(key), Some(&error));
                if let Some(stage) = self.core.stage_mut(SessionId(key).into()) {
                    *stage = Stage::Closed;
                }
                self.call(At::Session(key), |handler, cx| {
                    handler.on_session_error(cx, SessionId(key), &error)
                });
            }
            Scope::Link(id) => {
                let Some(key) = self.core.link_key(peer, id) else { return };
                let Some(link) = self.core.links.get_mut(key) else { return };
                link.stage = Stage::Closed;
                self.for_link(key, |handler, cx, link| handler.on_link_error(cx, link, &error));
            }
        }
    }

    fn session_begun(&mut self, peer: Key, engine: crate::SessionId) {
        if let Some(key) = self.core.session_key(peer, engine) {
            if !self.core.is_closed(SessionId(key)) {
                self.core.note_begun(key, self.now);
                self.call(At::Session(key), |handler, cx| handler.on_session_opened(cx, SessionId(key)));
            }
            return;
        }
        if self.core.is_closed(ConnectionId(peer)) {
            return;
        }
        let key = self.core.sessions.insert(SessionEntry {
            connection: peer,
            engine: Some(engine),
            handler: None,
            config: None,
            links: 0,
            queued: 0,
            course: None,
            stage: Stage::Unanswered,
            is_ours: false,
        });
        self.core.note_session(peer, engine, key);
        let id = SessionId(key);
        self.call(At::Session(key), |handler, cx| {
            handler.on_session_opening(cx, id);
            if cx.core.is_unanswered(id.into()) && cx.core.answer_session(key) {
                handler.on_session_opened(cx, id);
            }
        });
    }

    fn session_ended(&mut self, key: Key, error: Option<Box<Error>>) {
        let id = SessionId(key);
        if let Some(session) = self.core.sessions.get(key) {
            let connection = session.connection;
            self.lose_transactions(connection, Some(key), error.as_deref());
        }
        if error.as_deref().is_some_and(|error| self.renews_session(key, error)) {
            return;
        }
        let is_lost = error.is_some() && !self.core.is_closed(id);
        let in_doubt = if is_lost { self.core.session_in_doubt(key) } else { Vec::new() };
        self.call(At::Session(key), |handler, cx| {
            let stage = cx.core.sessions.get(key).map_or(Stage::Closed, |session| session.stage);
            let is_ours = stage == Stage::Closed;
            if let Some(error) = error.or_else(|| closed_first(handler, cx, id.into())) {
                handler.on_session_error(cx, id, &error);
            } else if !is_ours {
                handler.on_session_closing(cx, id);
            }
            cx.core.close_now(id.into(), How::Now);
            handler.on_session_closed(cx, id);
        });
        self.each_in_doubt(&in_doubt);
        self.core.free_session(key);
    }

    fn link_attached(&mut self, peer: Key, engine: LinkId) {
        if let Some(key) = self.core.link_key(peer, engine) {
            if self.core.learn_attach(key) && self.core.open_link_key(peer, engine).is_some() {
                self.core.note_attached(key, self.now);
                self.for_link(key, |handler, cx, link| handler.on_link_opened(cx, link));
                self.resumed(key);
            }
            return;
        }
        if self.core.is_closed(ConnectionId(peer)) {
            return;
        }
        let Some((session, role)) = self.core.whose_link(peer, engine) else { return };
        let key = self.core.links.insert(LinkEntry::theirs(peer, session, role, engine));
        self.core.note_link(peer, session, engine, key);
        self.for_link(key, |handler, cx, link| {
            handler.on_link_opening(cx, link);
            // One that is being closed, or whose session or connection is, needs no answer.
            if cx.core.is_unanswered(link.into()) && !cx.core.closes(key, |_| true) {
                cx.core.answer_link(key, link);
            }
            if cx.core.is_open(link.into()) {
                handler.on_link_opened(cx, link);
                cx.core.grant_window(key, handler);
            }
        });
    }

    fn link_detached(&mut self, key: Key, error: Option<Box<Error>>) {
        if error.is_none() && self.core.attach_reduced(key) {
            return;
        }
        let is_kept = error.is_none() && self.core.keep_detached(key);
        if error.as_deref().is_some_and(|error| self.renews_link(key, error)) {
            return;
        }
        let is_lost =
            error.is_some() && self.core.links.get(key).is_some_and(|link| link.stage != Stage::Closed);
        let in_doubt = if is_lost { self.core.link_in_doubt(key) } else { Vec::new() };
        self.for_link(key, |handler, cx, link| {
            let stage = cx.core.links.get(key).map_or(Stage::Closed, |link| link.stage);
            let is_ours = stage == Stage::Closed;
            if let Some(error) = error.or_else(|| closed_first(handler, cx, link.into())) {
                handler.on_link_error(cx, link, &error);
            } else if !is_ours {
                handler.on_link_closing(cx, link);
            }
            if is_kept {
                cx.core.links.get_mut(key).into_iter().for_each(|link| link.stage = Stage::Closed);
            }
            cx.core.close_now(link.into(), How::Now);
            handler.on_link_closed(cx, link);
        });
        self.each_in_doubt(&in_doubt);
        self.core.free_link(key);
    }

    fn link_failed(&mut self, key: Key, error: &Error) {
        let in_doubt = self.core.link_in_doubt(key);
        self.for_link(key, |handler, cx, link| {
            handler.on_link_error(cx, link, error);
            handler.on_link_closed(cx, link);
        });
        self.each_in_doubt(&in_doubt);
        self.core.free_link(key);
    }

    fn sendable(&mut self, key: Key) {
        self.resolve(key);
        let sendable = self.core.flush(key);
        self.core.finish_closes();
        if sendable {
            self.call(At::Link(key), |handler, cx| handler.on_sendable(cx, SenderId(key)));
        }
        if self.core.owes_drain(key) {
            self.drain(key);
        }
    }

    fn drain(&mut self, key: Key) {
        self.call(At::Link(key), |handler, cx| handler.on_drain_start(cx, SenderId(key)));
    }

    fn delivery(&mut self, peer: Key, key: Key, engine: crate::DeliveryId) {
        let id = self.core.delivery_id(key, engine);
        self.call(At::Link(key), |handler, cx| {
            handler.on_delivery(cx, id);
            let Ok(mut arrived) = cx.core.engine(peer).and_then(|peer| peer.delivery_mut(engine)) else {
                return;
            };
            if !arrived.is_complete() {
                return;
            }
            let (tag, message_format) = (*arrived.tag(), arrived.message_format());
            let settled = arrived.is_remotely_settled();
            let state = arrived.remote_state().cloned();
            let payload = arrived.take();
            drop(arrived);
            let delivery = Delivery {
                id,
                connection: ConnectionId(peer),
                tag,
                message_format,
                settled,
                state,
                payload: &payload,
                joined: OnceCell::new(),
                undecodable: Cell::new(false),
            };
            cx.core.untouched = (!settled).then_some(id);
            handler.on_message(cx, &delivery);
            let knobs = handler.knobs();
            if cx.core.untouched.take().is_some() && knobs.auto_accept {
                cx.core.answer_delivery(key, engine, delivery.undecodable.get());
            }
            cx.core.message_handled(key, knobs.prefetch);
        });
    }

    fn updated(&mut self, key: Key, engine: crate::DeliveryId) {
        let Some(link) = self.core.links.get(key) else { return };
        let role = link.role;
        let is_incomplete = self.core.is_incomplete(key);
        let id = self.core.delivery_id(key, engine);
        if role == Role::Receiver {
            if self.core.was_settled(key, engine) {
                self.call(At::Link(key), |handler, cx| handler.on_delivery_settled(cx, id));
            }
        } else {
            self.sent_updated(key, engine);
        }
        if is_incomplete {
            self.reduce(key);
        }
    }

    #[inline]
    fn sent_updated(&mut self, key: Key, engine: crate::DeliveryId) {
        let Some((tracker, told)) = self.core.tracker(key, engine) else { return };
        self.call(At::Link(key), |handler, cx| {
            tell_update(handler, cx, &tracker, told);
            let has_outcome = tracker.state().is_some_and(DeliveryState::is_outcome);
            if (has_outcome || tracker.settled) && handler.knobs().auto_settle {
                // Gone if a callback settled it.
                let _ = cx.core.settle_sent(key, engine);
            } else if has_outcome && !told {
                cx.core.note_told(key, engine);
            }
        });
    }
}

/// Tells what the receiver has made of a message; its outcome may have been told before.
#[inline]
pub(super) fn tell_update(handler: &mut dyn Handler, cx: &mut Context<'_>, tracker: &Tracker, told: bool) {
    match tracker.state() {
        _ if told => {}
        Some(DeliveryState::Accepted) => handler.on_accepted(cx, tracker),
        Some(DeliveryState::Rejected(_)) => handler.on_rejected(cx, tracker),
        Some(DeliveryState::Released) => handler.on_released(cx, tracker),
        Some(DeliveryState::Modified(_)) => handler.on_modified(cx, tracker),
        _ => {}
    }
    if tracker.settled {
        handler.on_settled(cx, tracker);
    }
    handler.on_delivery_updated(cx, tracker);
}

/// The error that stands for a peer's close without one, where the handler wants that.
fn closed_first(handler: &dyn Handler, cx: &Context<'_>, object: Object) -> Option<Box<Error>> {
    (handler.knobs().peer_close_is_error && !cx.core.is_given_up(object)).then(|| {
        let description = "the peer closed it before this side was done";
        Box::new(Error {
            condition: condition::ILLEGAL_STATE,
            description: Some(description.into()),
            info: None,
        })
    })
}

fn too_large() -> Error {
    let description = "the attach is larger than the peer's frames: shorten names, maps or capabilities";
    Error { condition: condition::FRAME_SIZE_TOO_SMALL, description: Some(description.into()), info: None }
}
