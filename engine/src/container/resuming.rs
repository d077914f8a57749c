//! Links that are resumed with their unsettled deliveries (§2.6.13): what is kept of them when their connection is lost, and
//! how they go on. How far a delivery has come at either side, and what that means, is the engine's to know.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use super::{
    DeliveryId, Handler, InDoubt, LinkSettings, Tracker,
    dispatch::{Dispatcher, tell_update},
    entries::{At, Notice, Origin, Stage},
    reduction::named,
    state::Core,
    suspended::{LinkName, Suspended},
    unresolved::Sent,
};
use crate::{
    Connection, Resumption, SendError, Serial, UnsettledMap,
    arena::Key,
    link::KeptAttach,
    types::{DeliveryTag, Error, ReceiverSettleMode, Role, SenderSettleMode, condition},
};

/// What comes next for a sender that was resumed.
enum Step {
    /// One delivery is gone on with, or over.
    Done,
    /// The program is to hear this before the peer hears that it has.
    Tell(Tracker),
    /// Nobody will ever know.
    Doubt(Tracker),
    /// This one waits until the link is attached again.
    Skip,
}

impl Core {
    /// Takes from the protocol's side of a link what it goes on with when it is resumed: its unsettled map. None of a link that
    /// is not.
    pub(super) fn part_unsettled(&mut self, key: Key, engine: &Connection) -> Option<UnsettledMap> {
        let link = self.links.get(key).filter(|link| link.resumes() && link.stage != Stage::Closed)?;
        let (id, session, connection) = (link.engine?, link.session, link.connection);
        let mut unsettled = engine.terminus_state(id.0)?.config.unsettled?;
        if link.is_streaming {
            // What was not handed over in whole never happened.
            unsettled.remove(&DeliveryTag::from(link.next_tag - 1));
        }
        if link.role == Role::Receiver {
            return Some(unsettled);
        }
        let told = self.told_tags(key, engine);
        let queue = &mut **self.links.get_mut(key)?.queue.get_or_insert_default();
        let before = queue.len();
        queue.unresolved.suspend(&unsettled, queue.retained.take_all(), &told);
        let after = queue.len();
        self.add_queued(connection, session, after);
        self.forget_queued(connection, session, before);
        Some(unsettled)
    }

    /// The same where the protocol's side is in its place.
    pub(super) fn part_unsettled_here(&mut self, key: Key) -> Option<UnsettledMap> {
        let connection = self.links.get(key)?.connection;
        let engine = self.connections.get_mut(connection)?.engine.take()?;
        let unsettled = self.part_unsettled(key, &engine);
        self.connections.get_mut(connection)?.engine = Some(engine);
        unsettled
    }

    /// Of what is unsettled on a sender the tags of that whose outcome was told.
    fn told_tags(&self, key: Key, engine: &Connection) -> BTreeSet<DeliveryTag> {
        let id = self.links.get(key).and_then(|link| link.engine);
        let session = id.and_then(|id| engine.sessions.get(engine.links.get(id.0)?.session));
        let Some(session) = session else { return BTreeSet::new() };
        let told = self.told.range((key, 0)..=(key, u32::MAX));
        told.filter_map(|&(_, number)| Some(session.outgoing.get(Serial::new(number))?.tag)).collect()
    }

    fn add_queued(&mut self, connection: Key, session: Key, count: usize) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.queued += count;
        }
        if let Some(peer) = self.connections.get_mut(connection) {
            peer.queued += count;
        }
    }

    /// Whether both sides have agreed that the receiver of a link settles after the sender.
    pub(super) fn is_exactly_once(&self, key: Key) -> bool {
        self.link_endpoint(key).is_some_and(|link| {
            link.rcv_settle_mode == ReceiverSettleMode::Second
                && link.snd_settle_mode != SenderSettleMode::Settled
        })
    }

    /// Lets as many more messages come as deliveries are resumed, which take up credit and are not handled again.
    fn grant_resumed(&mut self, key: Key, handler: &dyn Handler) {
        let Some(link) = self.links.get(key).filter(|link| link.stage == Stage::Open) else { return };
        let window = link.prefetch.unwrap_or_else(|| handler.knobs().prefetch);
        let count = self.resumed_deliveries(key).unwrap_or_default();
        if window > 0
            && count > 0
            && let Ok(mut receiver) = self.receiver(key)
        {
            receiver.add_credit(count);
        }
    }

    /// How many deliveries both sides have named.
    fn resumed_deliveries(&self, key: Key) -> Option<u32> {
        let [ours, theirs] = named(self.link_endpoint(key)?)?;
        u32::try_from(ours.iter().filter(|(tag, _)| theirs.contains(tag)).count()).ok()
    }

    fn has_unresolved(&self, key: Key) -> bool {
        let link = self.links.get(key).filter(|link| link.stage != Stage::Closed && link.engine.is_some());
        link.and_then(|link| link.queue.as_ref()).is_some_and(|queue| !queue.unresolved.is_empty())
    }

    /// Goes on with the delivery at this place of those that are unresolved; nothing where that is not possible now.
    fn resolve_at(&mut self, key: Key, at: usize, recovers: bool) -> Option<Step> {
        if !self.has_unresolved(key) {
            return None;
        }
        let Self { links, connections, .. } = self;
        let link = links.get_mut(key)?;
        let (connection, life) = (link.connection, link.life);
        let engine = connections.get_mut(connection)?.engine.as_deref_mut()?;
        let engine_link = link.engine?;
        let queue = link.queue.as_deref_mut()?;
        let Sent { tag, message, is_told } = queue.unresolved.get(at)?;
        let (tag, is_told) = (*tag, *is_told);
        let tracker = Tracker::in_doubt(DeliveryId { link: key, life, number: None }, tag);
        let Some(resumption) = engine.resumption(engine_link.0, &tag) else {
            return self.resolved(key, at, tracker);
        };
        let mut sender = engine.sender(engine_link).ok()?;
        if !recovers {
            // The peer does not know the link, so that its silence means nothing.
            let _ = sender.resolve(tag);
            return self.resolved(key, at, tracker);
        }
        match (&resumption, message) {
            (Resumption::Wait, _) => return Some(Step::Skip),
            (Resumption::Resend, Some(kept)) if !is_told => {
                sender.resolve(tag).ok()?;
                // Behind those before it, which is forgotten with the last.
                let kept = kept.clone();
                queue.resend(kept);
                let _ = queue.unresolved.remove(at);
                self.touch(connection);
                return Some(Step::Done);
            }
            (Resumption::Resume(_), Some(kept)) if !is_told => {
                match sender.resume_format(tag, kept.message_format, kept.payload.clone()) {
                    Ok(id) => {
                        let kept = kept.clone();
                        queue.retained.push(
                            id.number(),
                            kept.tag,
                            kept.message_format,
                            0,
                            Some(kept.payload),
                        );
                        let _ = queue.unresolved.remove(at);
                        self.note_sent(key, 1);
                        self.touch(connection);
                        return Some(Step::Done);
                    }
                    Err(SendError::Blocked(_) | SendError::Misuse(_)) => return None,
                    // It is larger now than the receiver takes: given up below.
                    Err(_) => {}
                }
            }
            (Resumption::Settle(outcome) | Resumption::Restate(outcome) | Resumption::Forget(outcome), _)
                if !is_told =>
            {
                let settled = matches!(resumption, Resumption::Forget(_));
                queue.unresolved.tell(at);
                self.note_sent(key, 1);
                return Some(Step::Tell(Tracker { state: Some(outcome.clone()), settled, ..tracker }));
            }
            _ => {}
        }
        let stays = sender.resolve(tag).ok()?;
        self.touch(connection);
        if let Some(id) = stays {
            self.note_told(key, id);
        }
        self.resolved(key, at, tracker)
    }

    /// A delivery is gone on with in its last way: it is in doubt unless the program knows its outcome.
    fn resolved(&mut self, key: Key, at: usize, tracker: Tracker) -> Option<Step> {
        let queue = self.links.get_mut(key)?.queue.as_mut()?;
        let sent = queue.unresolved.remove(at)?;
        let in_doubt = usize::from(!sent.is_told);
        self.note_sent(key, in_doubt);
        Some(if sent.is_told { Step::Done } else { Step::Doubt(tracker) })
    }
}

/// Links that peers have made.
impl Core {
    /// Keeps the links that a peer has made on a connection that is lost.
    pub(super) fn keep_links(&mut self, connection: Key) {
        if self.options.suspended_links == 0 {
            return;
        }
        for key in self.links_of(connection, None) {
            if let Some((name, link)) = self.take_terminus(key) {
                self.free_link(key);
                self.keep_link(name, link);
            }
        }
    }

    pub(super) fn keep_link(&mut self, name: LinkName, link: Suspended) {
        let Some(Suspended { queue, link: (link, life), listener, .. }) =
            self.suspended.keep(name, link, self.options.suspended_links)
        else {
            return;
        };
        let doubts = queue.map_or_else(Vec::new, |mut queue| queue.unresolved.give_up());
        let at = listener.map_or(At::Container, At::Listener);
        let id = DeliveryId { link, life, number: None };
        let doubts = doubts.into_iter().map(|tag| Notice::InDoubt(at, Tracker::in_doubt(id, tag)));
        self.notices.extend(doubts);
    }

    /// Takes all that a link of a peer's goes on with when the peer resumes it; the link itself is useless from now on.
    pub(super) fn take_terminus(&mut self, key: Key) -> Option<(LinkName, Suspended)> {
        let link = self.links.get(key)?;
        if !link.resumes() || link.is_ours || link.stage != Stage::Open {
            return None;
        }
        let (connection, session) = (link.connection, link.session);
        let name = self.link_name(key)?;
        let listener = match self.connections.get(connection)?.origin {
            Origin::Accepted(listener) => Some(listener),
            Origin::Dialed(_) | Origin::Left => None,
        };
        let unsettled = self.part_unsettled_here(key)?;
        let link = self.links.get_mut(key)?;
        let (queue, next_tag, life) = (link.queue.take(), link.next_tag, link.life);
        link.in_doubt = InDoubt::Report;
        // What is said of a delivery from now on would come too late.
        link.life = life.wrapping_add(1);
        if let Some(queue) = &queue {
            self.forget_queued(connection, session, queue.len());
        }
        Some((name, Suspended { unsettled, queue, next_tag, link: (key, life), listener }))
    }

    /// Which link it is, whatever connection it is on.
    fn link_name(&self, key: Key) -> Option<LinkName> {
        let link = self.links.get(key)?;
        let engine = self.connections.get(link.connection)?.engine.as_ref()?;
        Some(LinkName {
            container_id: engine.remote_open()?.container_id.clone(),
            user: engine.identity().and_then(|identity| identity.user()).map(Into::into),
            name: engine.links.get(link.engine?.0)?.name.clone(),
            sends: link.role == Role::Sender,
        })
    }

    /// What there is of a link that a peer attaches: from when it was lost, or, where that has not been noticed, from the
    /// connection that it is still on. It goes into the answer if the peer resumes the link.
    pub(super) fn find_suspended(
        &mut self,
        key: Key,
        settings: &mut LinkSettings,
    ) -> Option<(LinkName, Suspended)> {
        let is_new = self.links.get(key).is_some_and(|link| link.next_tag == 0 && !link.is_ours);
        if self.options.suspended_links == 0 || !is_new {
            return None;
        }
        let name = self.link_name(key)?;
        let resumes = settings.rcv_settle_mode == ReceiverSettleMode::Second && self.is_resuming(key);
        let known = self.suspended.take(&name);
        let (name, link) = match known {
            Some(link) => (name, link),
            None if resumes => self.steal(key, &name)?,
            None => return None,
        };
        settings.unsettled = resumes.then(|| link.unsettled.clone());
        Some((name, link))
    }

    /// Whether the peer's attach has an unsettled map.
    fn is_resuming(&self, key: Key) -> bool {
        self.remote_attach(key).and_then(KeptAttach::read).is_some_and(|attach| attach.unsettled.is_some())
    }

    /// Takes a link from the connection that the peer has had it on before: that one is lost, and nobody has noticed.
    //= 2.6.1-06
    fn steal(&mut self, by: Key, name: &LinkName) -> Option<(LinkName, Suspended)> {
        let role = if name.sends { Role::Sender } else { Role::Receiver };
        let found = self.connections.iter().find_map(|(connection, peer)| {
            let engine = peer.engine.as_ref().filter(|_| matches!(peer.origin, Origin::Accepted(_)))?;
            engine.remote_open().filter(|open| open.container_id == name.container_id)?;
            let (id, _) = engine.link_named(&name.name, role)?;
            let key = self.link_key(connection, crate::LinkId(id))?;
            // Another user may have taken the peer's name.
            (key != by && self.link_name(key).as_ref() == Some(name)).then_some(key)
        })?;
        let taken = self.take_terminus(found)?;
        let description = Some("the link was attached again over another connection".into());
        let error = Error { condition: condition::LINK_STOLEN, description, info: None };
        // Not an error where it cannot be told any more.
        let _ = match role {
            Role::Sender => self.sender(found).and_then(|mut sender| sender.close(Some(error.clone()))),
            Role::Receiver => {
                self.receiver(found).and_then(|mut receiver| receiver.close(Some(error.clone())))
            }
        };
        // What the protocol's side still tells of it is not for anybody any more.
        let link = self.links.get_mut(found)?;
        link.stage = Stage::Closed;
        if let (Some(id), Some(peer)) = (link.engine.take(), self.connections.get_mut(link.connection))
            && let Some(slot) = peer.links.get_mut(id.0.index() as usize)
        {
            *slot = None;
        }
        self.notices.push_back(Notice::LinkFailed(found, Box::new(error)));
        Some(taken)
    }

    /// A link that a peer has attached is answered: with what was found of it, if anything was, it goes on.
    pub(super) fn take_up(&mut self, key: Key, found: Option<(LinkName, Suspended)>) {
        let resumes = self.options.suspended_links > 0 && self.is_exactly_once(key);
        let Some(link) = self.links.get_mut(key) else { return };
        link.in_doubt = if resumes { InDoubt::Resume } else { InDoubt::Report };
        let Some((_, Suspended { queue, next_tag, .. })) = found else { return };
        link.next_tag = next_tag;
        let (connection, session) = (link.connection, link.session);
        let queued = queue.as_ref().map_or(0, |queue| queue.len());
        link.queue = queue;
        self.add_queued(connection, session, queued);
        self.notices.push_back(Notice::LinkResumed(key));
    }

    /// The same where the answer was not possible.
    pub(super) fn keep_found(&mut self, found: Option<(LinkName, Suspended)>) {
        if let Some((name, link)) = found {
            self.keep_link(name, link);
        }
    }
}

impl Dispatcher<'_> {
    /// A link that may have been resumed is attached on both sides.
    pub(super) fn resumed(&mut self, key: Key) {
        let Some(link) = self.core.links.get(key) else { return };
        match link.role {
            Role::Sender => self.resolve(key),
            Role::Receiver if link.resumes() => {
                self.call(At::Link(key), |handler, cx| cx.core.grant_resumed(key, handler));
            }
            Role::Receiver => {}
        }
        if self.core.note_incomplete(key) {
            self.reduce(key);
        }
    }

    /// Goes on with what is unresolved on a sender, as far as that is possible now.
    #[inline]
    pub(super) fn resolve(&mut self, key: Key) {
        if self.core.has_unresolved(key) {
            self.resolve_each(key);
        }
    }

    #[cold]
    fn resolve_each(&mut self, key: Key) {
        let attach = self.core.remote_attach(key).and_then(KeptAttach::read);
        let recovers = attach.is_some_and(|attach| attach.unsettled.is_some());
        let mut at = 0;
        while let Some(step) = self.core.resolve_at(key, at, recovers) {
            match step {
                Step::Done => {}
                Step::Skip => at += 1,
                Step::Tell(tracker) => {
                    self.call(At::Link(key), |handler, cx| tell_update(handler, cx, &tracker, false));
                }
                Step::Doubt(tracker) => self.each_in_doubt(&[tracker]),
            }
        }
        self.core.finish_closes();
        if self.core.is_incomplete(key) {
            self.reduce(key);
        }
    }
}
