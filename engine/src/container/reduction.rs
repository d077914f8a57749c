//! Links whose unsettled maps did not fit a frame (§2.6.13): once all is done for what they name, whoever has made the link
//! detaches it and attaches it again, as often as it takes.

use alloc::boxed::Box;

use super::{
    dispatch::Dispatcher,
    entries::{Notice, Stage},
    state::Core,
};
use crate::{
    Resumption, UnsettledMap,
    arena::Key,
    link::{KeptAttach, LinkEndpoint},
    types::{Error, Role, condition},
};

impl Dispatcher<'_> {
    /// Something was done on a link whose maps were incomplete: if nothing is left to do, it is detached.
    //= 2.6.13-07
    #[cold]
    pub(super) fn reduce(&mut self, key: Key) {
        if self.core.is_reduced(key) == Some(true) {
            // Not where it is detached already.
            let _ = match self.core.links.get(key).map(|link| link.role) {
                Some(Role::Sender) => self.core.sender(key).and_then(|mut sender| sender.detach()),
                Some(Role::Receiver) => self.core.receiver(key).and_then(|mut receiver| receiver.detach()),
                None => return,
            };
        }
    }
}

impl Core {
    /// Notes whether a link that was just attached has incomplete maps. One that has not got on since the last time is given up.
    pub(super) fn note_incomplete(&mut self, key: Key) -> bool {
        if !self.links.get(key).is_some_and(|link| link.is_ours && link.resumes()) {
            return false;
        }
        // A receiver that has nothing to go on with knows no more.
        let attach = self.remote_attach(key).and_then(KeptAttach::read);
        let is_cut = attach.is_some_and(|attach| attach.incomplete_unsettled);
        let Some(link) = self.links.get(key) else { return false };
        let engine = self.connections.get(link.connection).and_then(|peer| peer.engine.as_ref());
        let incomplete = engine.zip(link.engine).filter(|(engine, id)| is_cut || engine.must_reattach(id.0));
        let Some((engine, id)) = incomplete else {
            self.again.get_mut(&key).into_iter().for_each(|again| again.is_incomplete = false);
            return false;
        };
        let again = self.again.entry(key).or_default();
        again.is_incomplete = true;
        let left = engine.unresolved(id.0).count();
        if again.left.is_none_or(|before| left < before) {
            again.left = Some(left);
            return true;
        }
        let role = link.role;
        let description = Some("what both sides name of the link's deliveries is never complete".into());
        let error = Error { condition: condition::ILLEGAL_STATE, description, info: None };
        // Fails where it is being detached anyway.
        let _ = match role {
            Role::Sender => self.sender(key).and_then(|mut sender| sender.close(Some(error.clone()))),
            Role::Receiver => self.receiver(key).and_then(|mut receiver| receiver.close(Some(error.clone()))),
        };
        self.notices.push_back(Notice::LinkFailed(key, Box::new(error)));
        false
    }

    /// Whether a link was resumed and could not name all that it goes on with, or the peer could not.
    pub(super) fn is_incomplete(&self, key: Key) -> bool {
        self.again.get(&key).is_some_and(|again| again.is_incomplete)
    }

    /// Whether all is done that can be done for what both maps name.
    fn is_reduced(&self, key: Key) -> Option<bool> {
        let link =
            self.links.get(key).filter(|link| self.is_incomplete(key) && link.stage != Stage::Closed)?;
        let engine = self.connections.get(link.connection)?.engine.as_ref()?;
        let id = link.engine?.0;
        let endpoint = engine.links.get(id)?;
        if endpoint.live > 0 {
            return Some(false);
        }
        Some(match link.role {
            Role::Sender => {
                let waits = |tag| matches!(engine.resumption(id, &tag), Some(Resumption::Wait));
                link.queue.as_ref().is_none_or(|queue| queue.unresolved.tags().all(waits))
            }
            Role::Receiver => {
                let [ours, theirs] = named(endpoint)?;
                let mut open = engine.unresolved(id);
                !open.any(|tag| ours.contains(&tag) && theirs.contains(&tag))
            }
        })
    }

    /// A link was detached by both sides, and not closed: attaches it again, if that was the purpose.
    pub(super) fn attach_reduced(&mut self, key: Key) -> bool {
        let Some(link) = self.links.get(key).filter(|_| self.is_incomplete(key)) else { return false };
        if link.stage == Stage::Closed || !self.is_suspended(key) {
            return false;
        }
        let Some(mut settings) = self.settings_again(key) else { return false };
        settings.unsettled = self.part_unsettled_here(key);
        self.forget_told(key);
        let Some(link) = self.links.get_mut(key) else { return false };
        self.again.get_mut(&key).into_iter().for_each(|again| again.is_incomplete = false);
        link.life = link.life.wrapping_add(1);
        link.handled = 0;
        link.is_streaming = false;
        let role = link.role;
        let attached = match role {
            Role::Sender => self.sender(key).and_then(|mut sender| sender.attach(settings.into())),
            Role::Receiver => self.receiver(key).and_then(|mut receiver| receiver.attach(settings.into())),
        };
        if attached.is_ok() && role == Role::Receiver {
            self.notices.push_back(Notice::LinkMade(key));
        }
        attached.is_ok()
    }

    /// A peer has detached a link that it may resume, and not closed it: it is kept for that, and detached here, too.
    pub(super) fn keep_detached(&mut self, key: Key) -> bool {
        if self.options.suspended_links == 0 || !self.is_suspended(key) {
            return false;
        }
        let Some((name, kept)) = self.take_terminus(key) else { return false };
        let _ = match self.links.get(key).map(|link| link.role) {
            Some(Role::Sender) => self.sender(key).and_then(|mut sender| sender.detach()),
            _ => self.receiver(key).and_then(|mut receiver| receiver.detach()),
        };
        self.keep_link(name, kept);
        true
    }
}

/// What our attach and the peer's name.
pub(super) fn named(link: &LinkEndpoint) -> Option<[UnsettledMap; 2]> {
    let unsettled = |attach: &Option<KeptAttach>| {
        let map = attach.as_ref()?.read()?.unsettled?;
        UnsettledMap::of_fields(&map).ok()
    };
    Some([unsettled(&link.local_attach)?, unsettled(&link.remote_attach)?])
}
