//! The ways of deliveries through a connection: a link, its session, and what is common to all, each borrowed for itself.

use super::{IncomingDelivery, LinkEnd, LinkEndpoint, ReceiverEnd, SenderEnd, Told, delivery::Arrival};
use crate::{
    Connection,
    arena::Key,
    connection::Common,
    message::Payload,
    session::{SessionEndpoint, window::SessionWindow},
};

/// A link on which we send and all that its deliveries pass on their way out, each borrowed for itself.
#[derive(Debug)]
pub(super) struct SendPath<'a> {
    pub(super) key: Key,
    pub(super) link: &'a mut LinkEndpoint,
    pub(super) session: &'a mut SessionEndpoint,
    pub(super) common: &'a mut Common,
}

/// A link on which we receive and all that its deliveries pass on their way in, each borrowed for itself.
#[derive(Debug)]
pub(super) struct ReceivePath<'a> {
    pub(super) key: Key,
    pub(super) link: &'a mut LinkEndpoint,
    pub(super) session: &'a mut SessionEndpoint,
    pub(super) common: &'a mut Common,
}

impl Connection {
    /// The way out for one link; none for a link on which we receive.
    #[inline(always)]
    pub(super) fn send_path(&mut self, key: Key) -> Option<SendPath<'_>> {
        let link = self.links.get_mut(key).filter(|link| matches!(link.end, LinkEnd::Sender(_)))?;
        Some(SendPath { key, session: self.sessions.get_mut(link.session)?, link, common: &mut self.common })
    }

    /// The way in for one link; none for a link on which we send.
    #[inline(always)]
    pub(super) fn receive_path(&mut self, key: Key) -> Option<ReceivePath<'_>> {
        let link = self.links.get_mut(key).filter(|link| matches!(link.end, LinkEnd::Receiver(_)))?;
        Some(ReceivePath {
            key,
            session: self.sessions.get_mut(link.session)?,
            link,
            common: &mut self.common,
        })
    }
}

impl SendPath<'_> {
    #[inline]
    pub(super) fn end(&mut self) -> &mut SenderEnd {
        match &mut self.link.end {
            LinkEnd::Sender(end) => end,
            LinkEnd::Receiver(_) => unreachable!("a path is made for senders only"),
        }
    }

    #[inline]
    pub(super) fn sender(&self) -> &SenderEnd {
        match &self.link.end {
            LinkEnd::Sender(end) => end,
            LinkEnd::Receiver(_) => unreachable!("a path is made for senders only"),
        }
    }
}

impl ReceivePath<'_> {
    /// The same for a shorter time.
    #[inline(always)]
    pub(super) fn reborrow(&mut self) -> ReceivePath<'_> {
        ReceivePath { key: self.key, link: self.link, session: self.session, common: self.common }
    }

    #[inline]
    pub(super) fn receiver(&self) -> &ReceiverEnd {
        match &self.link.end {
            LinkEnd::Receiver(end) => end,
            LinkEnd::Sender(_) => unreachable!("a path is made for receivers only"),
        }
    }

    #[inline]
    pub(super) fn end(&mut self) -> &mut ReceiverEnd {
        match &mut self.link.end {
            LinkEnd::Receiver(end) => end,
            LinkEnd::Sender(_) => unreachable!("a path is made for receivers only"),
        }
    }

    /// Sees to it that the session writes what it has to write.
    #[inline(always)]
    pub(super) fn mark_session(&mut self) {
        self.common.mark_session(self.link.session, self.session);
    }

    #[inline(always)]
    pub(super) fn offer_window(&mut self) {
        if self.session.window.wants_flow() && !self.session.flow_due {
            self.session.flow_due = true;
            self.mark_session();
        }
    }

    /// The delivery is settled, or its rest will not come: it goes, unless frames of it are still to come.
    #[inline(always)]
    pub(super) fn drop_delivery(&mut self, slot: usize) {
        let Some(delivery) = self.session.incoming.at_mut(slot) else { return };
        if delivery.arrival == Arrival::Unread || !delivery.payload.is_empty() {
            self.common.untaken.release(delivery, &mut self.session.window);
        }
        if delivery.arrival.is_complete() {
            self.remove(slot);
        } else {
            delivery.arrival = Arrival::Unwanted;
        }
        self.offer_window();
    }

    /// Forgets a delivery that holds no payload.
    #[inline(always)]
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(delivery) = self.session.incoming.at_mut(slot) else { return };
        (delivery.state, delivery.remote_state) = (Told::Nothing, None);
        self.link.tags.remove(&delivery.tag);
        self.link.live -= 1;
        self.session.incoming.remove(slot);
    }
}

/// What arrived on a connection and was not taken by its user.
#[derive(Debug, Default)]
pub(crate) struct Untaken {
    pub(crate) bytes: usize,
    /// Deliveries that are complete.
    pub(crate) messages: usize,
}

impl Untaken {
    /// Lets go of what a delivery holds: gives it.
    #[inline(always)]
    pub(crate) fn release(&mut self, delivery: &mut IncomingDelivery, window: &mut SessionWindow) -> Payload {
        let payload = core::mem::take(&mut delivery.payload);
        self.bytes -= payload.len();
        if delivery.arrival == Arrival::Unread {
            delivery.arrival = Arrival::Taken;
            self.messages -= 1;
            window.released();
        }
        payload
    }
}
