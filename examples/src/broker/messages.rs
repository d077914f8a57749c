//! Messages on their way: into a queue, and out to who consumes it.

use std::{borrow::Cow, mem, time::Duration};

use amqp1_engine::{
    Instant,
    codec::{DecodeError, Str, Symbol},
    container::{Context, Delivery, Link, ReceiverId, SendRefused, SenderId},
    message::{MessageView, Payload, Relay},
    txn::TxnId,
    types::{DeliveryState, DeliveryTag, Error, condition},
};
use bytes::Bytes;

use super::{
    Broker, Node, Offered, Overrun, Stored, queue::MAX_BARRED, termini::error, topics::is_topic,
    transactions::Acquisitions,
};

/// The outcome of a message that was not taken.
const REJECTED: Symbol = Symbol::from_static("amqp:rejected:list");
/// How many messages a producer may send ahead.
const CREDIT: u32 = 1_000;
/// The same while nothing tells how long they are.
const FIRST_CREDIT: usize = 100;
/// With how many messages left a producer gets credit for more.
const LOW_CREDIT: u32 = 50;
/// A smaller payload is copied, lest it keep the read buffer alive that it came in.
const SHARE_FROM: usize = 16 * 1024;
/// How often, at most, queues are looked at for messages that have expired. Looked at or not, none is delivered by then.
const EXPIRY_PAUSE: Duration = Duration::from_millis(100);

impl Broker {
    /// Takes a message from a producer.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = (delivery.message_format() == 0).then(|| delivery.message());
        let readable = message.as_ref().and_then(|message| message.as_ref().ok()).copied();
        if let Some(key) = readable.and_then(|message| not_understood(&message)) {
            let description = format!("the annotation {key} is not known here");
            let error = error(condition::NOT_IMPLEMENTED, description);
            self.fail_post(cx, delivery, &error);
            return cx.close_with(delivery.receiver(), error);
        }
        let address = self.address_of(delivery, message);
        let admitted = match &address {
            Ok(address) => self.admit(cx, address, delivery, readable).map(|stored| (address, stored)),
            Err(error) => Err(error.clone()),
        };
        if let Some(DeliveryState::Transactional(state)) = delivery.state() {
            let admitted = admitted.map(|(address, stored)| (address.clone(), stored));
            self.post(cx, delivery, &state.txn_id, admitted);
        } else {
            match admitted.and_then(|(address, stored)| self.store(cx, address, stored)) {
                // Fails where the producer has settled it, or its link is gone with the queue.
                Ok(()) => drop(cx.accept(delivery.id())),
                Err(error) => self.refuse(cx, delivery, error, None),
            }
        }
        self.grant(cx, delivery.receiver(), address.as_ref().ok());
    }

    /// The address of the queue that a message is for.
    fn address_of(
        &self,
        delivery: &Delivery<'_>,
        message: Option<Result<MessageView<'_>, DecodeError>>,
    ) -> Result<Str, Error> {
        let message = match message {
            Some(Ok(message)) => Some(message),
            Some(Err(reason)) => return Err(malformed(reason)),
            None => None,
        };
        if let Some(address) = self.linked_to(delivery.receiver()) {
            return Ok(address);
        }
        let Some(message) = message else {
            let format = delivery.message_format();
            let description = format!("the address cannot be read from message-format {format}");
            return Err(error(condition::NOT_IMPLEMENTED, description));
        };
        let to = message.properties().map_err(malformed)?.to;
        to.map(Str::from).ok_or_else(|| error(condition::NOT_FOUND, "the message has no address in `to`"))
    }

    /// What is to be stored of a message, if there is room for it.
    fn admit(
        &self,
        cx: &Context<'_>,
        address: &Str,
        delivery: &Delivery<'_>,
        message: Option<MessageView<'_>>,
    ) -> Result<Stored, Error> {
        if is_topic(address) {
            if matches!(delivery.state(), Some(DeliveryState::Transactional(_))) {
                let text = "no messages are posted to topics in transactions here";
                return Err(error(condition::NOT_IMPLEMENTED, text));
            }
        } else if !self.queues.contains_key(address) {
            let description = format!("there is no queue {address:?}: attach to it first");
            return Err(error(condition::NOT_FOUND, description));
        }
        if self.limits.total.is_overrun(self.held) {
            return Err(error(condition::RESOURCE_LIMIT_EXCEEDED, "the queues are full, all together"));
        }
        let expires = message.map_or(Ok(None), |message| self.expiry_of(&message, cx.now()));
        let expires = expires.map_err(malformed)?;
        let payload = passed_on(delivery.payload(), message);
        Ok(Stored { payload, message_format: delivery.message_format(), expires })
    }

    /// Puts a message into its queue, or those of its topic, and sends on what can be sent.
    fn store(&mut self, cx: &mut Context<'_>, address: &Str, stored: Stored) -> Result<(), Error> {
        let pushed = match is_topic(address) {
            true => Some(self.distribute(cx, address, &stored)),
            false => self.deliver_after(cx, address, |node| node.queue.push(stored)),
        };
        if let Some(Err(Overrun)) = pushed {
            return Err(full(address));
        }
        Ok(())
    }

    /// When a message that arrives now is of no use any more: by its ttl, or by the clock on the wall.
    //= 3.2.1-11
    fn expiry_of(&self, message: &MessageView<'_>, now: Instant) -> Result<Option<Instant>, DecodeError> {
        let ttl = message.header()?.expiry(now);
        let absolute = message.properties()?.absolute_expiry_time.map(|time| {
            // A time before 1970 is past.
            let since_epoch = time.since_epoch().unwrap_or_default();
            now + since_epoch.saturating_sub((self.wall_clock)())
        });
        Ok(ttl.into_iter().chain(absolute).min())
    }

    /// Sends what a queue has to whom it can, lets its producers go on if there is room, and deletes it if its time is over.
    pub(super) fn deliver(&mut self, cx: &mut Context<'_>, address: &Str) {
        self.deliver_after(cx, address, |_| ());
    }

    /// The same after a change.
    pub(super) fn deliver_after<T>(
        &mut self,
        cx: &mut Context<'_>,
        address: &Str,
        change: impl FnOnce(&mut Node) -> T,
    ) -> Option<T> {
        let mut next_expiry = None;
        let mut offers = Offers { acquisitions: self.transactions.lend(), exhausted: Vec::new() };
        let changed = self.change(address, |node| {
            let changed = change(node);
            let Node { queue, draining, stalled, lifetime, links, .. } = node;
            let has_expired = queue.expire(cx.now());
            let was_offered = queue.deliver(|consumer, stored| offers.offer(cx, consumer, stored));
            for consumer in offers.exhausted.drain(..) {
                queue.rest(consumer);
            }
            if has_expired || was_offered {
                draining.retain(|&consumer| {
                    let has_more = queue.has_for(consumer);
                    if !has_more {
                        cx.drained(consumer);
                        queue.rest(consumer);
                    }
                    has_more
                });
            }
            for consumer in queue.take_excluded() {
                let description = format!("{MAX_BARRED} messages cannot be delivered here");
                cx.close_with(consumer, error(condition::RESOURCE_LIMIT_EXCEEDED, description));
            }
            next_expiry = queue.next_expiry();
            let may_go_on = !stalled.is_empty() && queue.is_half_free();
            let stalled = may_go_on.then(|| mem::take(stalled));
            (changed, stalled, lifetime.is_over(links.len(), queue.size().messages))
        });
        if let Some(acquisitions) = offers.acquisitions {
            self.take_note(cx, *acquisitions);
        }
        let (changed, stalled, is_over) = changed?;
        if let Some(expires) = next_expiry {
            self.look_at(cx, expires);
        }
        if let Some(stalled) = stalled {
            for producer in stalled {
                self.grant_again(cx, producer, address);
            }
        }
        if !self.stalled.is_empty() && self.limits.total.is_half_free(self.held) {
            for producer in mem::take(&mut self.stalled) {
                let address = self.linked_to(producer);
                self.grant(cx, producer, address.as_ref());
            }
        }
        if is_over {
            self.delete(cx, address);
        }
        Some(changed)
    }

    /// Tops up a producer's credit, as far as the queues that it sends to have room, and all of them together.
    pub(super) fn grant(&mut self, cx: &mut Context<'_>, producer: ReceiverId, address: Option<&Str>) {
        let credit = cx.credit(producer);
        if credit > LOW_CREDIT {
            return;
        }
        let in_all = self.limits.total.room(self.held);
        let (room, fullest) = address
            .and_then(|address| self.room_at(address))
            .unwrap_or_else(|| (FIRST_CREDIT.min(self.limits.queue.messages), Str::default()));
        if in_all == 0 {
            self.stalled.insert(producer);
        }
        if room == 0
            && let Some(node) = self.queues.get_mut(&fullest)
        {
            node.stalled.insert(producer);
            if let Some(attached) = self.links.get_mut(&producer.into())
                && let Some(before) = attached.stalled_at.replace(fullest.clone())
                && before != fullest
                && let Some(node) = self.queues.get_mut(&before)
            {
                node.stalled.remove(&producer);
            }
        }
        let wanted = u32::try_from(room.min(in_all)).unwrap_or(u32::MAX).min(CREDIT);
        if credit < wanted && credit <= wanted / 2 {
            cx.add_credit(producer, wanted - credit);
        }
    }

    /// Grants credit to a producer that had none for lack of room in this queue, its own or one of its topic.
    pub(super) fn grant_again(&mut self, cx: &mut Context<'_>, producer: ReceiverId, queue: &Str) {
        let own = self.linked_to(producer);
        self.grant(cx, producer, Some(own.as_ref().unwrap_or(queue)));
    }

    /// How many messages may be sent ahead to an address, and which queue has no more room; nothing where there is none.
    fn room_at(&self, address: &Str) -> Option<(usize, Str)> {
        let room = |address: Str| {
            let queue = &self.queues.get(&address)?.queue;
            let most = if queue.is_empty() { FIRST_CREDIT } else { usize::MAX };
            Some((queue.room().min(most), address))
        };
        match is_topic(address) {
            true => self.topics.queues(address).into_iter().filter_map(room).min(),
            false => room(address.clone()),
        }
    }

    /// Tells a producer that its message was not taken, or will not be if a transaction commits. One whose source has no
    /// outcome for that loses its link.
    pub(super) fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        delivery: &Delivery<'_>,
        error: Error,
        transaction: Option<TxnId>,
    ) {
        let receiver = delivery.receiver();
        let may_reject = self.links.get(&receiver.into()).is_none_or(|attached| attached.may_reject);
        // Where the producer has settled it, there is nobody to tell.
        let is_told = !delivery.is_settled()
            && may_reject
            && match transaction {
                Some(txn_id) => {
                    let outcome = DeliveryState::Rejected(Some(error.clone().into()));
                    cx.presume(delivery.id(), txn_id, outcome).is_ok()
                }
                None => cx.reject(delivery.id(), error.clone()).is_ok(),
            };
        if !is_told {
            self.fail_post(cx, delivery, &error);
        }
        if !may_reject {
            self.expel(cx, receiver.into(), error);
        }
    }

    /// Drops what has expired in any queue.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        let due = |node: &Node| node.queue.next_expiry().is_some_and(|expires| expires <= now);
        let due: Vec<Str> =
            self.queues.iter().filter(|(_, node)| due(node)).map(|(address, _)| address.clone()).collect();
        for address in due {
            self.deliver(cx, &address);
        }
        if let Some(next) = self.queues.values().filter_map(|node| node.queue.next_expiry()).min() {
            self.look_at(cx, next);
        }
    }

    /// Has the queues looked at when a message expires, if that is not due before.
    pub(super) fn look_at(&mut self, cx: &mut Context<'_>, expires: Instant) {
        let moment = expires.max(cx.now() + EXPIRY_PAUSE);
        match self.expiry {
            Some((earlier, _)) if earlier <= moment => return,
            Some((_, later)) => drop(cx.cancel(later)),
            None => {}
        }
        self.expiry = Some((moment, cx.set_timer(moment.duration_since(cx.now()))));
    }
}

/// An annotation that a broker has to understand and this one does not: it understands none (§3.2.10).
//= 3.2.10-X1 3.2.10-X2
fn not_understood(message: &MessageView<'_>) -> Option<String> {
    let mut binding = message
        .delivery_annotations()
        .binding()
        .chain(message.message_annotations().binding())
        .chain(message.footer().binding());
    let (key, _) = binding.find_map(Result::ok)?;
    Some(key.to_string())
}

/// Whether the source of a link has an outcome for a message that is not taken (§3.5.3).
pub(super) fn may_reject(cx: &Context<'_>, link: Link) -> bool {
    let source = cx.remote_source(link);
    source.is_none_or(|source| source.outcomes.is_empty() || source.outcomes.contains(&REJECTED))
}

pub(super) fn full(address: &Str) -> Error {
    error(condition::RESOURCE_LIMIT_EXCEEDED, format!("the queue {address:?} is full"))
}

fn malformed(reason: DecodeError) -> Error {
    error(condition::DECODE_ERROR, format!("this is no message: {reason}"))
}

/// What comes of offering a queue's messages once.
struct Offers {
    /// Where any consumer acquires in a transaction.
    acquisitions: Option<Box<Acquisitions>>,
    /// Consumers that have no credit any more: what they get next may be of a transaction that they have yet to name.
    exhausted: Vec<SenderId>,
}

impl Offers {
    /// Sends a stored message if the consumer can take one now.
    #[inline]
    fn offer(&mut self, cx: &mut Context<'_>, consumer: SenderId, stored: &Stored) -> Offered {
        let credit = cx.credit(consumer);
        if credit == 0 {
            return Offered::NotNow;
        }
        let payload = match stored.expires {
            Some(expires) => Cow::Owned(aged(&stored.payload, expires.duration_since(cx.now()))),
            None => Cow::Borrowed(&stored.payload),
        };
        let acquisitions = self.acquisitions.as_mut().filter(|acquisitions| acquisitions.include(consumer));
        let sent = match acquisitions {
            None => cx.send_payload(consumer, &payload, stored.message_format).map(|tag| {
                match cx.sends_settled(consumer) {
                    true => Offered::SentSettled,
                    false => Offered::Sent(number(&tag)),
                }
            }),
            Some(acquisitions) => acquisitions.send(cx, consumer, &payload, stored.message_format),
        };
        match sent {
            Ok(offered) => {
                if credit == 1 {
                    self.exhausted.push(consumer);
                }
                offered
            }
            Err(SendRefused::TooLarge { .. }) => Offered::Never,
            Err(_) => Offered::NotNow,
        }
    }
}

/// The message with the ttl that is left, if it has one.
//= 3.2.1-13
fn aged(payload: &Bytes, left: Duration) -> Bytes {
    match Relay::new(payload) {
        Ok(mut relay) if relay.header.ttl.is_some() => {
            relay.header.set_ttl(left);
            relay.payload().into_bytes()
        }
        _ => payload.clone(),
    }
}

/// The number of a message that was sent: containers make tags from numbers that count up.
pub(super) fn number(tag: &DeliveryTag) -> u64 {
    tag.to_number().unwrap_or_default()
}

/// The message without what concerned this node alone. One that is short does not keep the buffer alive that it came in.
//= 3.2.2-01
fn passed_on(payload: &Payload, message: Option<MessageView<'_>>) -> Bytes {
    let concerns_us = message.is_some_and(|message| message.delivery_annotations().iter().next().is_some());
    if concerns_us && let Ok(relay) = Relay::new(&payload.to_bytes()) {
        return relay.payload().into_bytes();
    }
    let mut chunks = payload.chunks();
    match (chunks.next(), chunks.next()) {
        (Some(whole), None) if whole.len() < SHARE_FROM => Bytes::copy_from_slice(whole),
        _ => payload.to_bytes(),
    }
}
