//! Credit, and what becomes of deliveries.

use alloc::boxed::Box;

use super::{DeliveryId, Handler, Tracker, entries::Stage, state::Core};
use crate::{
    Misuse,
    arena::Key,
    message::Payload,
    types::{DeliveryState, Error, Role, condition},
};

impl Core {
    /// Grants a receiver its whole window: when it opens and after a drain.
    pub(super) fn grant_window(&mut self, key: Key, handler: &dyn Handler) {
        let Some(link) = self.links.get_mut(key) else { return };
        if link.stage != Stage::Open || link.role != Role::Receiver {
            return;
        }
        link.handled = 0;
        let window = link.prefetch.unwrap_or_else(|| handler.knobs().prefetch);
        if window > 0
            && let Ok(mut receiver) = self.receiver(key)
        {
            receiver.set_credit(window);
        }
    }

    /// Counts a message as handled, and lets as many more come as were handled once they are half of the window.
    ///
    /// What has arrived and is not handled takes up the window as credit does: no more than a window's messages wait.
    #[inline]
    pub(super) fn message_handled(&mut self, key: Key, prefetch: u32) {
        let Some(link) = self.links.get_mut(key) else { return };
        let window = link.prefetch.unwrap_or(prefetch);
        if window == 0 || link.stage != Stage::Open {
            return;
        }
        link.handled = link.handled.saturating_add(1);
        if link.handled < window.div_ceil(2) {
            return;
        }
        let handled = link.handled;
        let Ok(mut receiver) = self.receiver(key) else { return };
        if !receiver.is_draining() {
            receiver.add_credit(handled);
            self.has_granted = true;
            if let Some(link) = self.links.get_mut(key) {
                link.handled = 0;
            }
        }
    }

    /// Tells the sender what has become of a message, and settles it as the link's mode asks.
    pub(super) fn update(&mut self, id: DeliveryId, state: DeliveryState) -> Result<(), Misuse> {
        self.touch_delivery(id);
        let engine = self.engine_delivery(id)?;
        let state = self.in_its_transaction(id.link, engine, state)?;
        let connection = self.links.get(id.link).ok_or(Misuse::Gone)?.connection;
        let delivery = self.engine(connection)?.delivery_mut(engine)?;
        let is_over = state.is_outcome() && !delivery.is_complete();
        delivery.update(state)?;
        self.count_partial(id.link, is_over);
        Ok(())
    }

    /// Settles a delivery of either direction without a further word.
    pub(super) fn settle(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.touch_delivery(id);
        let engine = self.engine_delivery(id)?;
        match self.links.get(id.link).ok_or(Misuse::Gone)?.role {
            Role::Sender => self.settle_sent(id.link, engine),
            Role::Receiver => {
                let mut receiver = self.receiver(id.link)?;
                let is_complete = receiver.delivery(engine)?.is_complete();
                receiver.settle(engine)?;
                self.count_partial(id.link, !is_complete);
                Ok(())
            }
        }
    }

    /// A message that is settled before it is complete is never handed over: it counts as handled now.
    fn count_partial(&mut self, key: Key, is_over: bool) {
        if is_over && let Some(link) = self.links.get_mut(key) {
            link.handled = link.handled.saturating_add(1);
        }
    }

    pub(super) fn take(&mut self, id: DeliveryId) -> Result<Payload, Misuse> {
        let engine = self.engine_delivery(id)?;
        self.receiver(id.link)?.take(engine)
    }

    /// What a message that nobody touched gets: accepted, or rejected if somebody tried in vain to read it; nothing where
    /// its handler closes the link with an error.
    pub(super) fn answer_delivery(&mut self, key: Key, engine: crate::DeliveryId, undecodable: bool) {
        if self.closes_with_error(key) {
            return;
        }
        let state = if undecodable {
            let description = Some("the message cannot be decoded".into());
            let error = Error { condition: condition::DECODE_ERROR, description, info: None };
            DeliveryState::Rejected(Some(Box::new(error)))
        } else {
            DeliveryState::Accepted
        };
        let Ok(state) = self.in_its_transaction(key, engine, state) else { return };
        let connection = self.links.get(key).map(|link| link.connection);
        if let Some(Ok(peer)) = connection.map(|connection| self.engine(connection)) {
            // Gone if the handler closed the link's session, and there is nobody to tell.
            let _ = peer.delivery_mut(engine).and_then(|delivery| delivery.update(state));
        }
    }

    /// Whether the sender has settled a delivery, or has told an outcome, which holds whatever was said here; then nobody needs
    /// it any more.
    //= 3.4.6-22
    pub(super) fn was_settled(&mut self, key: Key, engine: crate::DeliveryId) -> bool {
        let Ok(mut receiver) = self.receiver(key) else { return false };
        let settled = receiver.delivery(engine).is_ok_and(|delivery| {
            delivery.is_remotely_settled() || delivery.remote_state().is_some_and(DeliveryState::is_outcome)
        });
        if settled {
            // Not an error where it was settled here before.
            let _ = receiver.settle(engine);
        }
        settled
    }

    /// What the peer has made of a message, and whether its outcome was told before.
    pub(super) fn tracker(&mut self, key: Key, engine: crate::DeliveryId) -> Option<(Tracker, bool)> {
        let id = self.delivery_id(key, engine);
        let sender = self.sender(key).ok()?;
        let delivery = sender.delivery(engine).ok()?;
        let tracker = Tracker {
            id,
            tag: *delivery.tag(),
            state: delivery.remote_state().cloned(),
            settled: delivery.is_remotely_settled(),
        };
        let told = !self.told.is_empty() && self.told.contains(&(key, engine.number().get()));
        Some((tracker, told))
    }

    /// Remembers that a message's outcome was told while the message stays unsettled.
    pub(super) fn note_told(&mut self, key: Key, engine: crate::DeliveryId) {
        self.told.insert((key, engine.number().get()));
        self.forget_sent(key, engine.number());
    }

    pub(super) fn settle_sent(&mut self, key: Key, engine: crate::DeliveryId) -> Result<(), Misuse> {
        if !self.told.is_empty() {
            self.told.remove(&(key, engine.number().get()));
        }
        self.sender(key)?.settle(engine, None)?;
        self.forget_sent(key, engine.number());
        Ok(())
    }

    pub(super) fn touch_delivery(&mut self, id: DeliveryId) {
        if self.untouched == Some(id) {
            self.untouched = None;
        }
    }

    #[inline]
    pub(super) fn delivery_id(&self, key: Key, engine: crate::DeliveryId) -> DeliveryId {
        let life = self.links.get(key).map_or(0, |link| link.life);
        DeliveryId { link: key, life, number: Some(engine.number()) }
    }

    pub(super) fn engine_delivery(&self, id: DeliveryId) -> Result<crate::DeliveryId, Misuse> {
        let link = self.links.get(id.link).filter(|link| link.life == id.life).ok_or(Misuse::Gone)?;
        let engine = link.engine.ok_or(Misuse::Gone)?;
        Ok(crate::DeliveryId::new(engine.0, id.number.ok_or(Misuse::Gone)?))
    }
}
