//! Credit, and what becomes of deliveries.

use alloc::boxed::Box;

use super::{
    DeliveryId, Handler, Tracker,
    state::{Core, Stage},
};
use crate::{
    Misuse,
    arena::Key,
    message::Payload,
    types::{DeliveryState, Error, Role, condition},
};

impl Core {
    /// Grants credit as the handler's knobs ask.
    pub(super) fn top_up(&mut self, key: Key, handler: &dyn Handler) {
        self.top_up_to(key, handler.knobs().prefetch);
    }

    /// Grants credit up to the receiver's window when half of it is used.
    #[inline]
    pub(super) fn top_up_to(&mut self, key: Key, prefetch: u32) {
        let Some(link) = self.links.get(key) else { return };
        let window = link.prefetch.unwrap_or(prefetch);
        if link.stage != Stage::Open || link.role != Role::Receiver {
            return;
        }
        let Ok(mut receiver) = self.receiver(key) else { return };
        let credit = receiver.credit();
        if credit < window && credit <= window / 2 && !receiver.is_draining() {
            receiver.set_credit(window);
        }
    }

    /// Tells the sender what has become of a message, and settles it as the link's mode asks.
    pub(super) fn update(&mut self, id: DeliveryId, state: DeliveryState) -> Result<(), Misuse> {
        self.touch_delivery(id);
        let engine = self.engine_delivery(id)?;
        self.receiver(id.link)?.update(engine, state)
    }

    /// Settles a delivery of either direction without a further word.
    pub(super) fn settle(&mut self, id: DeliveryId) -> Result<(), Misuse> {
        self.touch_delivery(id);
        let engine = self.engine_delivery(id)?;
        match self.links.get(id.link).ok_or(Misuse::Gone)?.role {
            Role::Sender => self.settle_sent(id.link, engine),
            Role::Receiver => self.receiver(id.link)?.settle(engine),
        }
    }

    pub(super) fn take(&mut self, id: DeliveryId) -> Result<Payload, Misuse> {
        let engine = self.engine_delivery(id)?;
        self.receiver(id.link)?.take(engine)
    }

    /// What a message that nobody touched gets: accepted, or rejected if somebody tried in vain to read it.
    pub(super) fn answer_delivery(&mut self, key: Key, engine: crate::DeliveryId, undecodable: bool) {
        let state = if undecodable {
            let description = Some("the message cannot be decoded".into());
            let error = Error { condition: condition::DECODE_ERROR, description, info: None };
            DeliveryState::Rejected(Some(Box::new(error)))
        } else {
            DeliveryState::Accepted
        };
        if let Ok(mut receiver) = self.receiver(key) {
            // Gone if the handler closed the link's session, and there is nobody to tell.
            let _ = receiver.update(engine, state);
        }
    }

    /// Whether the sender has settled a delivery; then nobody needs it any more.
    pub(super) fn was_settled(&mut self, key: Key, engine: crate::DeliveryId) -> bool {
        let Ok(mut receiver) = self.receiver(key) else { return false };
        let settled = receiver.delivery(engine).is_ok_and(|delivery| delivery.is_remotely_settled());
        if settled {
            // Not an error where it was settled here before.
            let _ = receiver.settle(engine);
        }
        settled
    }

    /// What the peer has made of a message, and whether its outcome was told before.
    pub(super) fn tracker(&mut self, key: Key, engine: crate::DeliveryId) -> Option<(Tracker, bool)> {
        let sender = self.sender(key).ok()?;
        let delivery = sender.delivery(engine).ok()?;
        let tracker = Tracker {
            id: DeliveryId { link: key, number: Some(engine.number()) },
            tag: *delivery.tag(),
            state: delivery.remote_state().cloned(),
            settled: delivery.is_remotely_settled(),
        };
        let told = self.links.get(key)?.told.contains(&engine.number().get());
        Some((tracker, told))
    }

    /// Remembers that a message's outcome was told while the message stays unsettled.
    pub(super) fn note_told(&mut self, key: Key, engine: crate::DeliveryId) {
        if let Some(link) = self.links.get_mut(key) {
            link.told.insert(engine.number().get());
        }
    }

    pub(super) fn settle_sent(&mut self, key: Key, engine: crate::DeliveryId) -> Result<(), Misuse> {
        if let Some(link) = self.links.get_mut(key) {
            link.told.remove(&engine.number().get());
        }
        self.sender(key)?.settle(engine, None).map(drop)
    }

    fn touch_delivery(&mut self, id: DeliveryId) {
        if self.untouched == Some(id) {
            self.untouched = None;
        }
    }

    fn engine_delivery(&self, id: DeliveryId) -> Result<crate::DeliveryId, Misuse> {
        let link = self.links.get(id.link).and_then(|link| link.engine).ok_or(Misuse::Gone)?;
        Ok(crate::DeliveryId::new(link.0, id.number.ok_or(Misuse::Gone)?))
    }
}
