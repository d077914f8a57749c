//! Attaching and detaching (§2.6.3 to §2.6.6).

use alloc::{boxed::Box, collections::BTreeMap};

use core::num::NonZeroU64;

use super::{
    DetachKind, Detachment, KeptAttach, LinkEnd, LinkEndpoint, LinkState, TagSet, UnsettledMap, Waiting,
    credit::SenderCredit,
    recovery::{RemoteMap, cut_unsettled},
    settle,
    state::LinkStep,
    terminus,
    unsettled_map::InvalidUnsettled,
};
use crate::{
    Connection, Event, LinkConfig, LinkId, Misuse, SessionId, SessionState, Violation,
    arena::Key,
    codec::{Str, frame::FRAME_HEADER_LEN},
    session::SessionEndpoint,
    types::{Attach, Detach, Error, Handle, Role, condition},
};

/// The attach that says this of a link, under a handle yet to be given.
//= 2.7.3-12 2.7.3-15
pub(crate) fn attach_of(name: Str, role: Role, config: LinkConfig) -> Attach {
    Attach {
        snd_settle_mode: config.snd_settle_mode,
        rcv_settle_mode: config.rcv_settle_mode,
        source: config.source,
        target: config.target,
        //= 2.6.5-05
        unsettled: config.unsettled.as_ref().map(UnsettledMap::to_fields),
        initial_delivery_count: (role == Role::Sender).then_some(config.initial_delivery_count),
        max_message_size: config.max_message_size,
        offered_capabilities: config.offered_capabilities,
        desired_capabilities: config.desired_capabilities,
        properties: config.properties,
        ..Attach::new(name, Handle(0), role)
    }
}

/// What an attach says of a link, as [`attach_of`] made it.
pub(crate) fn config_of(attach: Attach) -> Result<LinkConfig, InvalidUnsettled> {
    Ok(LinkConfig {
        name: attach.name,
        source: attach.source,
        target: attach.target,
        snd_settle_mode: attach.snd_settle_mode,
        rcv_settle_mode: attach.rcv_settle_mode,
        max_message_size: attach.max_message_size,
        unsettled: attach.unsettled.as_ref().map(UnsettledMap::of_fields).transpose()?,
        initial_delivery_count: attach.initial_delivery_count.unwrap_or_default(),
        offered_capabilities: attach.offered_capabilities,
        desired_capabilities: attach.desired_capabilities,
        properties: attach.properties,
    })
}

impl LinkEndpoint {
    /// Whether both sides have detached the link, at least one of them for good.
    pub(crate) fn is_over(&self) -> bool {
        let detaches = [self.sent_detach, self.received_detach];
        let closed = detaches.into_iter().flatten().any(DetachKind::is_final);
        self.state == LinkState::Detached && closed && self.handle.is_none()
    }

    /// Takes our handle away, if the link is attached on our side, and moves on: the detach may be written. What the
    /// window has not taken of a delivery until now is not sent any more.
    pub(crate) fn detached(&mut self) -> Option<u32> {
        self.step(LinkStep::SendDetach);
        if let LinkEnd::Sender(end) = &mut self.end {
            end.unfinished = None;
        }
        self.handle.take()
    }

    /// Has this attach of ours written. Credit that the peer granted before holds.
    fn attaching(&mut self, attach: &Attach, kept: KeptAttach) {
        match &mut self.end {
            LinkEnd::Sender(end) => {
                let (link_credit, drain) = (end.credit.link_credit(), end.credit.is_draining());
                end.credit = SenderCredit::new(attach.initial_delivery_count.unwrap_or_default());
                end.credit.flow(None, link_credit, drain);
            }
            LinkEnd::Receiver(_) => {
                self.max_message_size = attach.max_message_size.and_then(NonZeroU64::new);
            }
        }
        (self.snd_settle_mode, self.rcv_settle_mode) = (attach.snd_settle_mode, attach.rcv_settle_mode);
        self.handle = Some(attach.handle.0);
        self.local_attach = Some(kept);
        self.attach_due = true;
        self.sent_detach = None;
        self.step(LinkStep::SendAttach);
    }
}

impl Connection {
    /// The lowest free handle of a session (§2.7.3).
    pub(crate) fn take_handle(&mut self, session: Key) -> Result<u32, Misuse> {
        let session = self.sessions.get_mut(session).ok_or(Misuse::Gone)?;
        //= 2.7.2-04 2.7.3-02
        let max = session.remote_handle_max().min(session.config.handle_max);
        session.outgoing_handles.take(max).ok_or(Misuse::TooManyLinks)
    }

    pub(crate) fn release_handle(&mut self, key: Key, handle: u32) {
        let session = self.links.get(key).map(|link| link.session);
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(session)) {
            session.outgoing_handles.give_back(handle);
        }
    }

    /// Gives an attach a handle and encodes it, unless a frame of the peer does not take it.
    fn keep_attach(&mut self, session: Key, attach: &mut Attach) -> Result<KeptAttach, Misuse> {
        attach.handle = Handle(self.take_handle(session)?);
        let kept = KeptAttach::new(attach);
        if self.fits(&kept) {
            return Ok(kept);
        }
        if cut_unsettled(attach, self.common.outgoing_frame_size - FRAME_HEADER_LEN) {
            return Ok(KeptAttach::new(attach));
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.outgoing_handles.give_back(attach.handle.0);
        }
        Err(Misuse::FrameTooLarge)
    }

    /// Adds a link that we attach.
    pub(crate) fn add_local_link(
        &mut self,
        session: Key,
        role: Role,
        config: LinkConfig,
    ) -> Result<Key, Misuse> {
        let unsettled = config.unsettled.clone();
        let mut attach = attach_of(config.name.clone(), role, config);
        let kept = self.keep_attach(session, &mut attach)?;
        let mut link = LinkEndpoint::new(session, attach.role, attach.name.clone());
        link.attaching(&attach, kept);
        let key = self.insert_link(link);
        self.begin_recovery(key, unsettled, attach.incomplete_unsettled);
        self.mark_link(key);
        Ok(key)
    }

    fn insert_link(&mut self, link: LinkEndpoint) -> Key {
        let (session, role, name) = (link.session, link.role(), link.name.clone());
        let key = self.links.insert(link);
        if let Some(session) = self.sessions.get_mut(session) {
            session.links.insert(key);
        }
        self.names(role).insert(name, key);
        key
    }

    fn names(&mut self, role: Role) -> &mut BTreeMap<Str, Key> {
        match role {
            Role::Sender => &mut self.senders_by_name,
            Role::Receiver => &mut self.receivers_by_name,
        }
    }

    pub(crate) fn answer_attach(&mut self, key: Key, config: LinkConfig) -> Result<(), Misuse> {
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let session_key = link.session;
        // One that failed or was closed can only be resumed, by an attach of its own.
        //= 2.6.5-04
        let closed = link.sent_detach.is_some_and(DetachKind::is_final);
        if link.handle.is_some() || link.state == LinkState::DetachSent || closed {
            return Err(Misuse::NothingToAnswer);
        }
        let session = self.sessions.get(session_key).ok_or(Misuse::Gone)?;
        // The answer to a begin that is still due goes before the answer to the attach behind it.
        let open = matches!(session.state, SessionState::Mapped | SessionState::BeginReceived);
        if session.end_due.is_some() || !open {
            return Err(Misuse::SessionNotOpen);
        }
        if !terminus::are_valid(link.role(), &config) {
            return Err(Misuse::InvalidTerminus);
        }
        let unsettled = config.unsettled.clone();
        let mut attach = attach_of(link.name.clone(), link.role(), config);
        if link.state != LinkState::Detached {
            // The peer has attached: its modes are in force until now.
            let ours = (attach.snd_settle_mode, attach.rcv_settle_mode);
            let theirs = (link.snd_settle_mode, link.rcv_settle_mode);
            (attach.snd_settle_mode, attach.rcv_settle_mode) =
                settle::negotiate(link.role() == Role::Sender, ours, theirs);
        }
        let unsettled = unsettled.or_else(|| self.unsettled_to_attach(key, &attach));
        attach.unsettled = unsettled.as_ref().map(UnsettledMap::to_fields);
        let kept = self.keep_attach(session_key, &mut attach)?;
        let link = self.links.get_mut(key).expect("looked up above");
        if link.state == LinkState::Detached {
            link.forget_attachment();
        }
        link.attaching(&attach, kept);
        self.begin_recovery(key, unsettled, attach.incomplete_unsettled);
        self.mark_link(key);
        self.wake_sender(key);
        Ok(())
    }

    //= 2.6.3-04
    pub(crate) fn refuse_attach(&mut self, key: Key, error: Error) -> Result<(), Misuse> {
        let link = self.links.get(key).ok_or(Misuse::Gone)?;
        let name = link.name.clone();
        self.answer_attach(key, LinkConfig::new(name))?;
        self.detach_link(key, true, Some(error))
    }

    /// Has a detach written, behind what the link has to write before it.
    pub(crate) fn detach_link(&mut self, key: Key, closed: bool, error: Option<Error>) -> Result<(), Misuse> {
        let link = self.links.get_mut(key).ok_or(Misuse::Gone)?;
        if link.state == LinkState::AttachReceived
            || (link.state == LinkState::DetachReceived && link.handle.is_none())
        {
            // The peer's attach is owed an answer before the detach.
            let bare = LinkConfig::new(link.name.clone());
            self.answer_attach(key, bare)?;
            return self.detach_link(key, closed, error);
        }
        if link.state == LinkState::Detached && closed {
            // Nothing is attached: closing only drops what was kept for another attach.
            self.remove_link(key);
            return Ok(());
        }
        if link.handle.is_none() || link.detach_due.is_some() {
            return Err(Misuse::LinkNotOpen);
        }
        // A peer that closed is owed a close (§2.6.6).
        let closed = closed || error.is_some() || link.received_detach.is_some_and(DetachKind::is_closing);
        link.detach_due = Some(Box::new(Detachment { closed, error: error.map(Box::new) }));
        link.sent_detach = None;
        self.mark_link(key);
        Ok(())
    }

    /// Detaches a link whose peer broke a rule, unless it is being detached already.
    //= 2.6.5-01
    pub(crate) fn fail_link(&mut self, key: Key, error: Error) -> Result<(), Misuse> {
        let link = self.links.get_mut(key).ok_or(Misuse::Gone)?;
        link.flow_due = false;
        if let LinkEnd::Sender(end) = &mut link.end {
            end.unfinished = None;
        }
        self.detach_link(key, true, Some(error))
    }

    /// Forgets a link that both sides have detached, unless it may be attached again.
    pub(crate) fn forget_link(&mut self, key: Key) {
        if self.links.get(key).is_some_and(LinkEndpoint::is_over) {
            self.remove_link(key);
        }
    }

    /// Drops a link and what its session holds for it.
    //= 2.6.5-02
    pub(crate) fn remove_link(&mut self, key: Key) {
        let Some(link) = self.links.remove(key) else { return };
        self.errant_links -= usize::from(link.has_failed());
        let names = self.names(link.role());
        if names.get(&link.name) == Some(&key) {
            names.remove(&link.name);
        }
        let Some(session) = self.sessions.get_mut(link.session) else { return };
        session.links.remove(&key);
        for handle in [link.handle, link.retired_handle].into_iter().flatten() {
            session.outgoing_handles.give_back(handle);
        }
        if let Some(handle) = link.remote_handle {
            session.incoming_handles.remove(handle);
        }
        self.common.recoveries.remove(&key);
        if link.live > 0 {
            self.drop_deliveries_of(link.session, key);
        }
    }

    /// Forgets the deliveries of a link: their delivery-ids mean nothing to its next endpoint (§2.6.13).
    pub(crate) fn drop_deliveries(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.tags = TagSet::new();
        let session = link.session;
        if core::mem::take(&mut link.live) > 0 {
            self.drop_deliveries_of(session, key);
        }
    }

    fn drop_deliveries_of(&mut self, session_key: Key, key: Key) {
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        session.outgoing.retain(|delivery| delivery.link != key);
        let (untaken, window) = (&mut self.common.untaken, &mut session.window);
        session.incoming.retain(|delivery| {
            if delivery.link != key {
                return true;
            }
            untaken.release(delivery, window);
            false
        });
        self.offer_window(session_key);
    }

    /// Takes an `attach` (§2.7.3) on a session that receives.
    pub(crate) fn on_attach(&mut self, session_key: Key, attach: Attach) -> Result<(), Box<Violation>> {
        let session_id = SessionId(session_key);
        let session = self.sessions.get(session_key).expect("the caller has looked it up");
        let handle = attach.handle.0;
        //= 2.7.2-05
        if handle > session.config.handle_max {
            let text = "handle above our handle-max";
            return Err(Violation::connection(condition::CONNECTION_FRAMING_ERROR, "2.7.2", text));
        }
        //= 2.7.3-03
        if session.incoming_handles.get(handle).is_some() {
            let text = "attach with a handle in use";
            return Err(Violation::session(session_id, condition::SESSION_HANDLE_IN_USE, "2.7.3", text));
        }
        let role = match attach.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        let key = match self.link_named(&attach.name, role) {
            Some((key, link)) if link.session == session_key && link.awaits_attach() => key,
            Some((_, link))
                //= 2.6.5-06
                if link.has_failed() && attach.unsettled.is_none() && link.session == session_key =>
            {
                let text = "attach of a link that was detached with an error";
                return Err(Violation::session(session_id, condition::SESSION_ERRANT_LINK, "2.6.5", text));
            }
            Some((key, link)) => {
                if link.state != LinkState::Detached {
                    //= 2.6.1-06
                    // §2.6.1: the second attach succeeds, and the first link is closed.
                    let text = "the link was attached again";
                    self.punish(Violation::link(LinkId(key), condition::LINK_STOLEN, "2.6.1", text));
                    self.add_remote_link(session_key, role, &attach)
                } else if link.session == session_key {
                    key
                } else {
                    self.remove_link(key);
                    self.add_remote_link(session_key, role, &attach)
                }
            }
            None => self.add_remote_link(session_key, role, &attach),
        };
        self.pair(session_key, key, attach)
    }

    /// The link of this name and role, unless it is over and only kept for the user to read.
    //= 2.5-X1 2.6.1-02 2.6.3-15
    pub(crate) fn link_named(&self, name: &Str, role: Role) -> Option<(Key, &LinkEndpoint)> {
        let names = match role {
            Role::Sender => &self.senders_by_name,
            Role::Receiver => &self.receivers_by_name,
        };
        let key = *names.get(name)?;
        self.links.get(key).filter(|link| !link.is_over()).map(|link| (key, link))
    }

    /// Whether the peer has done with a link, and our answer to that goes before all that is yet to be written: then its
    /// name is free.
    pub(crate) fn is_leaving(&self, link: &LinkEndpoint) -> bool {
        let is_detached = link.received_detach.is_some_and(DetachKind::is_final);
        let is_ending = |session: &SessionEndpoint| {
            session.state == SessionState::EndReceived && session.end_due.is_some()
        };
        is_detached && link.detach_due.is_some() || self.sessions.get(link.session).is_some_and(is_ending)
    }

    fn add_remote_link(&mut self, session: Key, role: Role, attach: &Attach) -> Key {
        self.insert_link(LinkEndpoint::new(session, role, attach.name.clone()))
    }

    /// Ties the peer's end to ours.
    fn pair(&mut self, session_key: Key, key: Key, mut attach: Attach) -> Result<(), Box<Violation>> {
        let id = LinkId(key);
        let link = self.links.get_mut(key).expect("the caller has found or made it");
        if link.state == LinkState::Detached {
            link.forget_attachment();
        }
        link.step(LinkStep::ReceiveAttach);
        link.remote_handle = Some(attach.handle.0);
        link.received_detach = None;
        let uncounted = attach.role == Role::Sender && attach.initial_delivery_count.is_none();
        match &mut link.end {
            LinkEnd::Sender(_) => {
                link.max_message_size = attach.max_message_size.and_then(NonZeroU64::new);
            }
            LinkEnd::Receiver(end) => {
                attach.initial_delivery_count.into_iter().for_each(|count| end.credit.attached(count));
            }
        }
        let theirs = (attach.snd_settle_mode, attach.rcv_settle_mode);
        let ours = (link.snd_settle_mode, link.rcv_settle_mode);
        (link.snd_settle_mode, link.rcv_settle_mode) = match link.handle {
            Some(_) => settle::negotiate(link.role() == Role::Sender, ours, theirs),
            None => theirs,
        };
        link.remote_attach = Some(KeptAttach::new(&attach));
        let unsettled = RemoteMap::take(&mut attach, self.common.config.limits.unsettled);
        link.incomplete_unsettled |= attach.incomplete_unsettled && link.role() == Role::Sender;
        let handle = attach.handle.0;
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        //= 2.6.2-01
        session.incoming_handles.insert(handle, key);
        if session.has_too_many_links() {
            let text = "more links kept on this session than the limit";
            return Err(Violation::link(id, condition::RESOURCE_LIMIT_EXCEEDED, "2.8.15", text));
        }
        //= 2.7.3-15
        if uncounted {
            let text = "attach of a sender without initial-delivery-count";
            return Err(Violation::link(id, condition::INVALID_FIELD, "2.7.3", text));
        }
        match unsettled {
            Ok(unsettled) => self.take_remote_map(key, Some(unsettled)),
            //= 2.7.3-11
            Err((condition, text)) => return Err(Violation::link(id, condition, "2.7.3", text)),
        }
        self.common.events.push(Event::LinkAttached(id));
        self.wake_sender(key);
        Ok(())
    }

    /// Takes a `detach` (§2.7.7) on a session that receives.
    pub(crate) fn on_detach(&mut self, session_key: Key, detach: Detach) -> Result<(), Box<Violation>> {
        let session = self.sessions.get_mut(session_key).expect("the caller has looked it up");
        let Some(key) = session.incoming_handles.remove(detach.handle.0) else {
            let text = "detach of a handle that is not attached";
            return Err(Violation::session(
                SessionId(session_key),
                condition::SESSION_UNATTACHED_HANDLE,
                "2.8.17",
                text,
            ));
        };
        let link = self.links.get_mut(key).expect("handles are cleared when their link goes");
        link.remote_handle = None;
        if let Some(handle) = link.retired_handle.take() {
            session.outgoing_handles.give_back(handle);
        }
        let kind = DetachKind::of(detach.closed, detach.error.is_some());
        link.received_detach = Some(kind);
        self.errant_links -= usize::from(link.has_failed());
        link.step(LinkStep::ReceiveDetach);
        let ours = link.sent_detach;
        let unfinished = link.receiver_mut().and_then(|end| {
            end.dropping = false;
            end.unfinished.take()
        });
        if let LinkEnd::Sender(end) = &mut link.end {
            end.unfinished = None;
            end.waiting = Waiting::Credit;
        }
        if let Some(number) = unfinished {
            self.drop_unfinished(key, number);
        }
        if ours == Some(DetachKind::Suspended) && kind.is_final() {
            self.close_crossed(key);
        }
        self.common.events.push(Event::LinkDetached {
            link: LinkId(key),
            closed: kind.is_final(),
            error: detach.error.map(Box::new),
        });
        Ok(())
    }

    /// Our plain detach has crossed the peer's closing one: we attach again and close (§2.6.6).
    //= 2.6.6-03
    fn close_crossed(&mut self, key: Key) {
        let Some(link) = self.links.get(key) else { return };
        let bare = LinkConfig::new(link.name.clone());
        if self.answer_attach(key, bare).is_ok() {
            // The link was attached by the line above.
            let _ = self.detach_link(key, true, None);
        }
    }
}
