//! Flows and dispositions in (§2.7.4, §2.7.6).

use alloc::{boxed::Box, sync::Arc};

use super::window::WindowState;
use crate::{
    Connection, DeliveryId, Event, LinkId, Serial, SessionId, Violation,
    arena::Key,
    connection::Events,
    link::{LinkEnd, LinkEndpoint, Told, Waiting},
    types::{DeliveryState, Disposition, Flow, Role, condition},
};

impl Connection {
    /// Takes a `flow` on a session that receives.
    pub(crate) fn on_flow(&mut self, session_key: Key, mut flow: Flow) -> Result<(), Box<Violation>> {
        let id = SessionId(session_key);
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        let link_fields = flow.delivery_count.is_some()
            || flow.link_credit.is_some()
            || flow.available.is_some()
            || flow.drain;
        //= 2.7.4-04 2.7.4-08 2.7.4-09 2.7.4-10
        if flow.handle.is_none() && link_fields {
            let text = "flow with link state but without a handle";
            return Err(Violation::session(id, condition::INVALID_FIELD, "2.7.4", text));
        }
        let link = match flow.handle {
            None => None,
            //= 2.7.4-03
            Some(handle) => Some(session.incoming_handles.get(handle.0).ok_or_else(|| {
                let text = "flow for a handle that is not attached";
                Violation::session(id, condition::SESSION_UNATTACHED_HANDLE, "2.7.4", text)
            })?),
        };
        //= 2.6.5-03
        if link.and_then(|key| self.links.get(key)).is_some_and(LinkEndpoint::has_failed) {
            let text = "flow for a link that was detached with an error";
            return Err(Violation::session(id, condition::SESSION_ERRANT_LINK, "2.6.5", text));
        }
        let window = session.window.flow(WindowState {
            next_incoming_id: flow.next_incoming_id,
            incoming_window: flow.incoming_window,
            next_outgoing_id: flow.next_outgoing_id,
            outgoing_window: flow.outgoing_window,
        });
        if window.is_err() {
            let text = "flow that contradicts the transfers exchanged";
            return Err(Violation::session(id, condition::SESSION_WINDOW_VIOLATION, "2.5.6", text));
        }
        match link {
            // Its user hears of the flow before it hears that it can send.
            Some(key) => self.on_link_flow(key, &mut flow),
            None if flow.echo => {
                if let Some(session) = self.sessions.get_mut(session_key) {
                    session.flow_due = true;
                }
                self.mark_session(session_key);
            }
            None => {}
        }
        if self.sessions.get(session_key).is_some_and(|session| !session.waiting.is_empty()) {
            self.wake_session(session_key);
        }
        Ok(())
    }

    fn on_link_flow(&mut self, key: Key, flow: &mut Flow) {
        let Some(link) = self.links.get_mut(key) else { return };
        let mut drain = false;
        match &mut link.end {
            LinkEnd::Sender(end) => {
                end.credit.flow(flow.delivery_count, flow.link_credit.unwrap_or(0), flow.drain);
                // Told for each flow: what the user had to send when it heard of the last may be gone now.
                drain = flow.drain && !self.common.events.waits(end.drain_told);
            }
            LinkEnd::Receiver(end) => {
                end.credit.flow(flow.delivery_count);
                end.available = flow.available.unwrap_or(0);
            }
        }
        if flow.echo {
            link.flow_due = true;
        }
        let waits = self.common.events.waits(link.flow_told);
        // Those that the user has yet to hear of are not lost behind a flow that has none.
        if flow.properties.is_some() || !waits {
            link.flow_properties = flow.properties.take().map(Box::new);
        }
        if !waits {
            link.flow_told = self.common.events.push(Event::LinkFlow(LinkId(key)));
        }
        if flow.echo {
            self.mark_link(key);
        }
        self.wake_sender(key);
        if drain && let Some(end) = self.links.get_mut(key).and_then(LinkEndpoint::sender_mut) {
            end.drain_told = self.common.events.push(Event::Drain(LinkId(key)));
        }
        self.report_drained(key);
    }

    /// Goes on with what waited for the session's window, or for room among its unsettled deliveries.
    pub(crate) fn wake_session(&mut self, session_key: Key) {
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let mut woken = core::mem::take(&mut session.waiting);
        for key in woken.drain(..) {
            if let Some(link) = self.links.get_mut(key) {
                link.waits_for_session = false;
            }
            self.write_unfinished(key);
            self.wake_waiting(key, Waiting::Session);
        }
        if let Some(session) = self.sessions.get_mut(session_key) {
            // In the room that there was for those before.
            woken.append(&mut session.waiting);
            session.waiting = woken;
        }
    }

    /// Whether a link that we have detached with an error, and the peer has not, holds one of these deliveries.
    fn names_errant_link(&self, session_key: Key, role: Role, first: Serial, last: Serial) -> bool {
        let Some(session) = self.sessions.get(session_key) else { return false };
        let is_errant = |key: Key| self.links.get(key).is_some_and(LinkEndpoint::has_failed);
        match role {
            Role::Receiver => session.outgoing.range(first, last).any(|delivery| is_errant(delivery.link)),
            Role::Sender => session.incoming.range(first, last).any(|delivery| is_errant(delivery.link)),
        }
    }

    /// Takes a `disposition` on a session that receives. It walks the deliveries that are held, however many ids the
    /// peer's range spans.
    pub(crate) fn on_disposition(
        &mut self,
        session_key: Key,
        disposition: Disposition,
    ) -> Result<(), Box<Violation>> {
        let first = disposition.first;
        let last = disposition.last.unwrap_or(first);
        if last.precedes(first) {
            let text = "disposition whose last precedes its first";
            return Err(Violation::session(SessionId(session_key), condition::INVALID_FIELD, "2.7.6", text));
        }
        //= 2.6.5-03
        if self.errant_links > 0 && self.names_errant_link(session_key, disposition.role, first, last) {
            let text = "disposition of a delivery on a link that was detached with an error";
            return Err(Violation::session(
                SessionId(session_key),
                condition::SESSION_ERRANT_LINK,
                "2.6.5",
                text,
            ));
        }
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        //= 2.7.6-01 2.7.6-04
        // Their receivers speak of what we sent, their senders of what we receive.
        let mut updates = Updates::default();
        let events = &mut self.common.events;
        match disposition.role {
            Role::Receiver => {
                let told = Told::from(disposition.state);
                session.outgoing.for_each(first, last, |number, delivery| {
                    if !delivery.remote_settled {
                        //= 3.4-02
                        if told.is_some() && !delivery.remote_state.is_terminal() {
                            delivery.remote_state = told.clone();
                        }
                        delivery.remote_settled = disposition.settled;
                        updates.add(DeliveryId::new(delivery.link, number), events);
                    }
                });
            }
            Role::Sender => {
                let told = disposition.state.map(Arc::new);
                session.incoming.for_each(first, last, |number, delivery| {
                    if !delivery.remote_settled && !delivery.arrival.is_unwanted() {
                        //= 3.4-02
                        let is_final = delivery.remote_state().is_some_and(DeliveryState::is_terminal);
                        if told.is_some() && !is_final {
                            delivery.remote_state.clone_from(&told);
                        }
                        delivery.remote_settled = disposition.settled;
                        updates.add(DeliveryId::new(delivery.link, number), events);
                    }
                });
            }
        }
        updates.push(events);
        Ok(())
    }
}

/// Gathers the events of a disposition: a run of deliveries of one link becomes one.
#[derive(Default)]
struct Updates {
    first: Option<DeliveryId>,
    count: u32,
}

impl Updates {
    #[inline(always)]
    fn add(&mut self, id: DeliveryId, events: &mut Events) {
        if self.first.is_none_or(|first| first.plus(self.count) != id) {
            self.push(events);
            *self = Self { first: Some(id), count: 0 };
        }
        self.count += 1;
    }

    fn push(&self, events: &mut Events) {
        if let Some(first) = self.first {
            events.push_run(Event::Updated(first), self.count);
        }
    }
}
