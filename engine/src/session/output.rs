//! What a session writes: begin, dispositions, what its links have to say, flow, end — in this order.

use alloc::boxed::Box;

use super::{SessionState, disposition::Batch, state::SessionStep};
use crate::{
    Connection, Event, LinkId, LinkState, Misuse, SessionId,
    arena::Key,
    link::{DetachKind, LinkEnd},
    types::{Begin, Detach, Disposition, End, Error, Flow, Handle, Role, condition},
};

impl Connection {
    /// Writes all that the session has to write, except on channels above 0 before the peer's open tells how many it
    /// takes. An attach that may be too large for a peer whose limit is not known
    /// yet, and what comes behind it on its link, waits for the peer's open.
    pub(crate) fn write_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(channel) = session.outgoing_channel else { return };
        if session.begin_due && channel > 0 {
            match self.remote_open() {
                None => return self.mark_session(key),
                Some(open) if channel > open.channel_max => return self.give_up_session(key, channel),
                Some(_) => {}
            }
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        if core::mem::take(&mut session.begin_due) {
            self.write_begin(key, channel);
        }
        self.write_dispositions(key, channel);
        self.write_links(key, channel);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if core::mem::take(&mut session.flow_due) {
            let flow = self.flow_of(key);
            self.write_frame(channel, &flow);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.links_due.is_empty()
            && let Some(error) = session.end_due.take()
        {
            let step = if error.is_some() { SessionStep::SendEndWithError } else { SessionStep::SendEnd };
            session.step(step);
            session.outgoing_channel = None;
            let answered = session.remote_begin.is_some();
            self.write_ending(channel, error, |error| End { error });
            // The answer to a begin that we ended at once will still name the channel.
            if answered {
                self.release_channel(channel);
            }
            self.forget_session(key);
        }
    }

    fn write_begin(&mut self, key: Key, channel: u16) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let window = session.window.advertise();
        let config = &session.config;
        let begin = Begin {
            //= 2.5.1-04 2.7.2-01 2.7.2-02
            remote_channel: session.answered_channel,
            handle_max: config.handle_max,
            offered_capabilities: config.offered_capabilities.clone(),
            desired_capabilities: config.desired_capabilities.clone(),
            properties: config.properties.clone(),
            ..Begin::new(window.next_outgoing_id, window.incoming_window, window.outgoing_window)
        };
        if !self.write_frame(channel, &begin) {
            // Too large for this peer, or before its limit is known: the session is of more use without the extras.
            let bare = Begin {
                remote_channel: begin.remote_channel,
                handle_max: begin.handle_max,
                ..Begin::new(window.next_outgoing_id, window.incoming_window, window.outgoing_window)
            };
            self.write_frame(channel, &bare);
        }
    }

    /// Writes the dispositions that wait, if the session can write.
    pub(crate) fn write_dispositions_now(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        let is_open =
            session.state == SessionState::Mapped && !session.begin_due && session.end_due.is_none();
        if let Some(channel) = session.outgoing_channel.filter(|_| is_open && !self.is_closing()) {
            self.write_dispositions(key, channel);
        }
    }

    fn write_dispositions(&mut self, key: Key, channel: u16) {
        // What a resource takes back of a transaction goes before its answer to the discharge.
        for role in [Role::Sender, Role::Receiver] {
            loop {
                let Some(session) = self.sessions.get_mut(key) else { return };
                let waiting = match role {
                    Role::Receiver => &mut session.as_receiver,
                    Role::Sender => &mut session.as_sender,
                };
                let Some(Batch { first, last, settled, state }) = waiting.pop() else { break };
                let last = (last != first).then_some(last);
                let disposition = Disposition { last, settled, state, ..Disposition::new(role, first) };
                self.write_frame(channel, &disposition);
            }
        }
    }

    fn write_links(&mut self, key: Key, channel: u16) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        for _ in 0..session.links_due.len() {
            let Some(session) = self.sessions.get_mut(key) else { return };
            let Some(link) = session.links_due.pop_front() else { return };
            self.write_link(link, channel);
        }
    }

    fn write_link(&mut self, key: Key, channel: u16) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.due = false;
        if link.attach_due {
            let attach = link.local_attach.as_ref();
            if !attach.is_some_and(|attach| self.common.write_frame(channel, attach)) {
                if self.knows_peer() && self.cut_attach(key) {
                    return self.write_link(key, channel);
                } else if self.knows_peer() {
                    self.give_up_attach(key);
                } else {
                    self.mark_link(key);
                }
                return;
            }
            if let Some(link) = self.links.get_mut(key) {
                link.attach_due = false;
            }
        }
        self.write_unfinished(key);
        let Some(link) = self.links.get_mut(key) else { return };
        if core::mem::take(&mut link.flow_due) {
            self.write_link_flow(key, channel);
        }
        self.write_detach(key, channel);
    }

    fn write_link_flow(&mut self, key: Key, channel: u16) {
        let Some(link) = self.links.get(key) else { return };
        let Some(handle) = link.handle else { return };
        let session_key = link.session;
        let mut flow = self.flow_of(session_key);
        flow.handle = Some(Handle(handle));
        let Some(link) = self.links.get_mut(key) else { return };
        flow.properties = link.flow_properties_due.take().map(|properties| *properties);
        match &link.end {
            LinkEnd::Sender(end) => {
                //= 2.7.4-05
                flow.delivery_count = Some(end.credit.delivery_count());
                flow.link_credit = Some(end.credit.link_credit());
                flow.available = Some(end.available);
                flow.drain = end.credit.is_draining();
            }
            LinkEnd::Receiver(end) => {
                //= 2.7.4-06 2.7.4-07
                flow.delivery_count = end.credit.delivery_count();
                flow.link_credit = Some(end.credit.link_credit());
                flow.drain = end.credit.is_draining();
            }
        }
        if !self.write_frame(channel, &flow) {
            flow.properties = None;
            self.write_frame(channel, &flow);
        }
        if let Some(session) = self.sessions.get_mut(session_key) {
            session.flow_due = false;
        }
    }

    //= 2.7.4-04 2.7.4-08 2.7.4-09 2.7.4-10 2.7.4-X1
    fn flow_of(&mut self, key: Key) -> Flow {
        let session = self.sessions.get_mut(key).expect("the caller has looked it up");
        let window = session.window.advertise();
        Flow {
            next_incoming_id: window.next_incoming_id,
            ..Flow::new(window.incoming_window, window.next_outgoing_id, window.outgoing_window)
        }
    }

    //= 2.6.4-01
    fn write_detach(&mut self, key: Key, channel: u16) {
        let Some(link) = self.links.get_mut(key) else { return };
        let Some(detachment) = link.detach_due.take() else { return };
        let Some(handle) = link.detached() else { return };
        link.sent_detach = Some(DetachKind::of(detachment.closed, detachment.error.is_some()));
        self.errant_links += usize::from(link.has_failed());
        let is_free = link.state == LinkState::Detached;
        link.retired_handle = (!is_free).then_some(handle);
        let closed = detachment.closed;
        self.write_ending(channel, detachment.error, |error| Detach {
            closed,
            error,
            ..Detach::new(Handle(handle))
        });
        if is_free {
            self.release_handle(key, handle);
        }
        self.forget_link(key);
    }

    /// Ends the session with an error, unless it is ending already, and drops whatever else it had to write (§2.5.4).
    //= 2.5.4-01
    pub(crate) fn fail_session(&mut self, key: Key, error: Error) -> Result<(), Misuse> {
        let session = self.sessions.get_mut(key).ok_or(Misuse::Gone)?;
        session.flow_due = false;
        for link in core::mem::take(&mut session.links_due) {
            if let Some(link) = self.links.get_mut(link) {
                link.due = false;
            }
        }
        self.session(SessionId(key))?.end(Some(error))
    }

    /// The session was begun before it was known that the peer takes none on its channel.
    #[cold]
    fn give_up_session(&mut self, key: Key, channel: u16) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.begin_due = false;
        session.end_due = None;
        session.links_due.clear();
        session.outgoing_channel = None;
        session.state = SessionState::Unmapped;
        self.release_channel(channel);
        let description = Some("the peer takes no more sessions".into());
        let error = Error { description, ..Error::new(condition::RESOURCE_LIMIT_EXCEEDED) };
        let ended = Event::SessionEnded { session: SessionId(key), error: Some(Box::new(error)) };
        self.common.events.push(ended);
    }

    /// Forgets a session that both sides have ended, with its links.
    pub(crate) fn forget_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.state != SessionState::Unmapped {
            return;
        }
        for key in core::mem::take(&mut session.links) {
            self.remove_link(key);
        }
        self.sessions.remove(key);
    }
}

impl Connection {
    /// An attach that turned out too large for the peer: the link is gone before it was there.
    fn give_up_attach(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.attach_due = false;
        link.detach_due = None;
        let handle = link.detached();
        if let Some(handle) = handle {
            self.release_handle(key, handle);
        }
        if let Some(link) = self.links.get_mut(key) {
            link.state = LinkState::Detached;
            link.sent_detach = Some(DetachKind::Failed { closed: true });
        }
        self.common.events.push(Event::LinkTooLarge(LinkId(key)));
    }
}
