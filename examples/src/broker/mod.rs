//! A broker: queues in memory, made when somebody attaches to them.
//!
//! [`Broker`] is a handler like any other, so it runs on every driver. [`Broker::start`] runs one in a thread of its own.
//!
//! - A queue keeps its messages in order, shares them among its consumers in turn, and gives a message that was
//!   released, or lost with its consumer, to the next one before all others.
//! - Queues are bounded: the producers of a full queue get no more credit until half of it is free.
//! - A queue that holds nothing and serves nobody is forgotten; one made for a dynamic terminus lives as long as its link.
//! - A sender without an address may send to all queues: each message says where `to`.
//! - Messages leave as they came, but for delivery-annotations; one that comes back has another first-acquirer, and another
//!   delivery-count and annotations if its consumer asked for that.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use amqp1_engine::{
    codec::{DecodeError, Str, Symbol},
    container::{
        Address, ConnectionId, ConnectionOptions, Context, Delivery, Disconnected, Handler, Knobs, Link,
        ListenerId, ReceiverId, Security, SendRefused, SenderId, SessionId, Tracker,
    },
    message::{MessageView, Relay},
    sasl::{Refusal, Sasl, Secret},
    types::{Error, condition},
};
use bytes::Bytes;

mod queue;
pub use queue::{Bound, Offered, Overrun, Queue, Stored};
mod running;
pub use running::RunningBroker;
use running::Stop;
mod termini;
use termini::{Wanted, error, queue_source, queue_target};

/// A sender may have no address (AMQP 1.0 Anonymous Terminus).
const ANONYMOUS_RELAY: Symbol = Symbol::from_static("ANONYMOUS-RELAY");
/// The outcome of a message that was not taken.
const REJECTED: Symbol = Symbol::from_static("amqp:rejected:list");
/// How many messages a producer may send ahead.
const CREDIT: u32 = 100;
/// From how many messages a consumer may bar itself before its link is closed.
const MAX_BARRED: usize = 1_000;
/// A smaller payload is copied, lest it keep the read buffer alive that it came in.
const SHARE_FROM: usize = 16 * 1024;

/// How much a broker holds, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many queues there may be.
    pub queues: usize,
    /// What each of them holds.
    pub queue: Bound,
    /// How long a peer may take from its connection to its open.
    pub handshake: Duration,
    /// How long a peer may stay silent.
    pub silence: Duration,
}

impl Default for Limits {
    /// 1,000 queues of 100,000 messages or 64 MiB each; 10 s to open, 2 minutes of silence.
    fn default() -> Self {
        Self {
            queues: 1_000,
            queue: Bound { messages: 100_000, bytes: 64 << 20 },
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(120),
        }
    }
}

/// Is told the address once peers can connect.
type WhenListening = Box<dyn FnOnce(&str) + Send>;

/// The handler that is a broker.
pub struct Broker {
    address: Address,
    limits: Limits,
    when_listening: Option<WhenListening>,
    queues: BTreeMap<Str, Node>,
    connections: BTreeMap<ConnectionId, BTreeMap<Link, Attached>>,
    /// Links by what names them: container, name, whether we send (§2.6.1).
    names: BTreeMap<(Str, Str, bool), Link>,
    made: u64,
}

/// A queue and its links.
struct Node {
    queue: Queue<SenderId>,
    links: BTreeSet<Link>,
    /// The link that it was made for and dies with.
    owner: Option<Link>,
    /// Producers that get credit when there is room.
    stalled: BTreeSet<ReceiverId>,
    /// Consumers that want all there is, and then their credit back.
    draining: BTreeSet<SenderId>,
}

/// A link that is open.
struct Attached {
    session: SessionId,
    /// Its queue's address; none for a producer to all queues.
    address: Option<Str>,
    /// The queue whose lack of room keeps credit from it.
    stalled_at: Option<Str>,
    name: (Str, Str, bool),
}

impl Broker {
    /// A broker that listens at an address. If that names a user, peers must know the password; else everybody is let
    /// in.
    #[must_use]
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            limits: Limits::default(),
            when_listening: None,
            queues: BTreeMap::new(),
            connections: BTreeMap::new(),
            names: BTreeMap::new(),
            made: 0,
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Tells the address, with the port that the system chose, once peers can connect.
    #[must_use]
    pub fn when_listening(self, tell: impl FnOnce(&str) + Send + 'static) -> Self {
        Self { when_listening: Some(Box::new(tell)), ..self }
    }

    fn connection_options(&self) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        options.offered_capabilities.push(ANONYMOUS_RELAY);
        options.limits.handshake_timeout = self.limits.handshake;
        options.idle_time_out = Some(self.limits.silence);
        if let Some(user) = self.address.user.clone() {
            let password = self.address.password.clone().unwrap_or_else(|| Secret::new(""));
            let verify = move |name: &str, candidate: &str| {
                let is_known = name == user && password.matches(candidate);
                is_known.then_some(()).ok_or(Refusal::Credentials)
            };
            options.security = Security::Sasl(Sasl::server().plain(verify).into());
        }
        options
    }

    /// Answers a link that a peer attached: the address of its queue, none for all queues.
    fn open(&mut self, cx: &mut Context<'_>, link: Link) -> Result<Option<Str>, Error> {
        let (address, is_dynamic) = match Wanted::of(cx, link)? {
            Wanted::Any => {
                let _ = cx.open_link(link, ());
                return Ok(None);
            }
            Wanted::Queue(address) => (address, false),
            Wanted::Dynamic => (self.new_address(cx, link), true),
        };
        if !self.queues.contains_key(&address) && self.queues.len() >= self.limits.queues {
            let description = format!("there are {} queues already: use one of them", self.queues.len());
            return Err(error(condition::RESOURCE_LIMIT_EXCEEDED, description));
        }
        let limits = self.limits;
        let node = self.queues.entry(address.clone()).or_insert_with(|| Node {
            queue: Queue::new(limits.queue),
            links: BTreeSet::new(),
            owner: is_dynamic.then_some(link),
            stalled: BTreeSet::new(),
            draining: BTreeSet::new(),
        });
        node.links.insert(link);
        // Fails only where the link is gone again, and then that is told.
        let _ = match link {
            Link::Sender(consumer) => {
                node.queue.subscribe(consumer);
                cx.open_link(link, queue_source(address.clone(), is_dynamic))
            }
            Link::Receiver(_) => cx.open_link(link, queue_target(address.clone(), is_dynamic)),
        };
        Ok(Some(address))
    }

    /// An address that tells for whom the queue was made.
    //= 3.5.3-03 3.5.4-03
    fn new_address(&mut self, cx: &Context<'_>, link: Link) -> Str {
        let (container, name) = named(cx, link);
        loop {
            self.made += 1;
            let address = Str::from(format!("{container}/{name}/{}", self.made));
            if !self.queues.contains_key(&address) {
                return address;
            }
        }
    }

    /// Notes an open link. One of the same name from the same container, over whatever connection, gives way (§2.6.1).
    fn note(&mut self, cx: &mut Context<'_>, link: Link, address: Option<Str>) {
        let (Some(connection), Some(session)) = (cx.connection_of(link), cx.session_of(link)) else { return };
        let (container, link_name) = named(cx, link);
        let name = (container, link_name, link.sender().is_some());
        if let Some(old) = self.names.insert(name.clone(), link) {
            cx.close_with(old, error(condition::LINK_STOLEN, "the link was attached anew elsewhere"));
        }
        let attached = Attached { session, address, stalled_at: None, name };
        self.connections.entry(connection).or_default().insert(link, attached);
    }

    fn attached(&mut self, cx: &Context<'_>, link: Link) -> Option<&mut Attached> {
        self.connections.get_mut(&cx.connection_of(link)?)?.get_mut(&link)
    }

    /// Forgets those links of a connection that are gone; what they had not settled goes to others.
    fn forget(
        &mut self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
        is_gone: impl Fn(Link, &Attached) -> bool,
    ) {
        let Some(links) = self.connections.get_mut(&connection) else { return };
        let gone: Vec<Link> = links
            .iter()
            .filter(|(link, attached)| is_gone(**link, attached))
            .map(|(&link, _)| link)
            .collect();
        for link in gone {
            let Some(attached) = self.connections.get_mut(&connection).and_then(|links| links.remove(&link))
            else {
                continue;
            };
            if self.names.get(&attached.name) == Some(&link) {
                self.names.remove(&attached.name);
            }
            for address in [attached.address, attached.stalled_at].into_iter().flatten() {
                self.leave(cx, &address, link);
            }
        }
        if self.connections.get(&connection).is_some_and(BTreeMap::is_empty) {
            self.connections.remove(&connection);
        }
    }

    fn leave(&mut self, cx: &mut Context<'_>, address: &Str, link: Link) {
        let Some(node) = self.queues.get_mut(address) else { return };
        node.links.remove(&link);
        match link {
            Link::Sender(consumer) => {
                node.draining.remove(&consumer);
                node.queue.unsubscribe(consumer);
            }
            Link::Receiver(producer) => drop(node.stalled.remove(&producer)),
        }
        if node.owner == Some(link) {
            for &other in &node.links {
                cx.close_with(
                    other,
                    error(condition::RESOURCE_DELETED, "the link that the queue was made for is gone"),
                );
            }
            self.queues.remove(address);
        } else if node.links.is_empty() && node.queue.is_empty() {
            self.queues.remove(address);
        } else {
            self.deliver(cx, address);
        }
    }

    /// The address of the queue that a message is for.
    fn address_of(
        &mut self,
        cx: &Context<'_>,
        delivery: &Delivery<'_>,
        message: Option<Result<MessageView<'_>, DecodeError>>,
    ) -> Result<Str, Error> {
        let is_message = message.is_some();
        let malformed = |reason| error(condition::DECODE_ERROR, format!("this is no message: {reason}"));
        let to = match message {
            Some(message) => message.and_then(|message| message.properties()).map_err(malformed)?.to,
            None => None,
        };
        match self.attached(cx, delivery.receiver().into()).and_then(|link| link.address.clone()) {
            Some(address) => Ok(address),
            None if !is_message => {
                let format = delivery.message_format();
                let description = format!("the address cannot be read from message-format {format}");
                Err(error(condition::NOT_IMPLEMENTED, description))
            }
            None => to
                .map(Str::from)
                .ok_or_else(|| error(condition::NOT_FOUND, "the message has no address in `to`")),
        }
    }

    fn store(
        &mut self,
        address: &Str,
        delivery: &Delivery<'_>,
        message: Option<MessageView<'_>>,
    ) -> Result<(), Error> {
        let Some(node) = self.queues.get_mut(address) else {
            return Err(error(
                condition::NOT_FOUND,
                format!("there is no queue {address:?}: attach to it first"),
            ));
        };
        let payload = compact(passed_on(delivery.payload().clone().into_bytes(), message));
        let stored = Stored { payload, message_format: delivery.message_format() };
        node.queue.push(stored).map_err(|Overrun| {
            error(condition::RESOURCE_LIMIT_EXCEEDED, format!("the queue {address:?} is full"))
        })
    }

    /// Sends what a queue has to whom it can, and lets its producers go on if there is room.
    fn deliver(&mut self, cx: &mut Context<'_>, address: &Str) {
        let Some(node) = self.queues.get_mut(address) else { return };
        node.queue.deliver(|consumer, stored| offer(cx, consumer, stored));
        let Node { queue, draining, .. } = node;
        draining.retain(|&consumer| {
            let has_more = queue.has_for(consumer);
            if !has_more {
                cx.drained(consumer);
            }
            has_more
        });
        if !node.stalled.is_empty() && node.queue.is_half_free() {
            for producer in mem::take(&mut node.stalled) {
                self.grant(cx, producer, Some(address));
            }
        }
    }

    /// Tops up a producer's credit, as far as the queue that it sends to has room.
    fn grant(&mut self, cx: &mut Context<'_>, producer: ReceiverId, address: Option<&Str>) {
        let node = address.and_then(|address| self.queues.get_mut(address));
        let room = node.as_ref().map_or(self.limits.queue.messages, |node| node.queue.room());
        if let Some(node) = node.filter(|_| room == 0) {
            node.stalled.insert(producer);
        }
        if let Some(attached) = self.attached(cx, producer.into()) {
            attached.stalled_at = address.filter(|_| room == 0).cloned();
        }
        let credit = cx.credit(producer);
        let wanted = u32::try_from(room).unwrap_or(u32::MAX).min(CREDIT);
        if credit < wanted && credit <= wanted / 2 {
            cx.add_credit(producer, wanted - credit);
        }
    }
}

impl Handler for Broker {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen_with(&self.address, self.connection_options());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        if let Some(tell) = self.when_listening.take() {
            tell(address);
        }
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        match self.open(cx, link) {
            Ok(address) => {
                self.note(cx, link, address.clone());
                if let Link::Receiver(producer) = link {
                    self.grant(cx, producer, address.as_ref());
                }
            }
            Err(error) => cx.close_with(link, error),
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = (delivery.message_format() == 0).then(|| delivery.message());
        let readable = message.as_ref().and_then(|message| message.as_ref().ok()).copied();
        if let Some(key) = readable.and_then(|message| not_understood(&message)) {
            let description = format!("the annotation {key} is not known here");
            return cx.close_with(delivery.receiver(), error(condition::NOT_IMPLEMENTED, description));
        }
        let address = self.address_of(cx, delivery, message);
        let stored = match &address {
            Ok(address) => self.store(address, delivery, readable),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = stored {
            refuse(cx, delivery, error);
        }
        let address = address.ok();
        if let Some(address) = &address {
            self.deliver(cx, address);
        }
        self.grant(cx, delivery.receiver(), address.as_ref());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Some(address) = self.attached(cx, consumer.into()).and_then(|link| link.address.clone()) else {
            return;
        };
        if let Some(node) = self.queues.get_mut(&address) {
            node.queue.ready(consumer);
        }
        self.deliver(cx, &address);
    }

    fn on_link_flow(&mut self, cx: &mut Context<'_>, link: Link) {
        //= 4.4.3-03
        if cx.flow_properties(link).is_some_and(|properties| properties.get("txn-id").is_some()) {
            return cx.close_with(link, error(condition::NOT_IMPLEMENTED, "there are no transactions here"));
        }
        let Link::Sender(consumer) = link else { return };
        let Some(address) = self.attached(cx, link).and_then(|link| link.address.clone()) else { return };
        if let Some(node) = self.queues.get_mut(&address) {
            node.draining.remove(&consumer);
        }
    }

    fn on_drain_start(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Some(address) = self.attached(cx, consumer.into()).and_then(|link| link.address.clone()) else {
            return;
        };
        if let Some(node) = self.queues.get_mut(&address) {
            node.queue.ready(consumer);
            node.draining.insert(consumer);
            cx.offered(consumer, u32::try_from(node.queue.waiting()).unwrap_or(u32::MAX));
        }
        self.deliver(cx, &address);
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        let outcome = tracker.state().filter(|state| state.is_outcome());
        if outcome.is_none() && !tracker.is_settled() {
            return;
        }
        let consumer = tracker.sender();
        let Some(address) = self.attached(cx, consumer.into()).and_then(|link| link.address.clone()) else {
            return;
        };
        if let Some(node) = self.queues.get_mut(&address) {
            node.queue.settle(consumer, tracker.tag(), outcome);
            if node.queue.barred_from(consumer) > MAX_BARRED {
                let description = format!("{MAX_BARRED} messages cannot be delivered here");
                cx.close_with(consumer, error(condition::RESOURCE_LIMIT_EXCEEDED, description));
            }
        }
        self.deliver(cx, &address);
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        if event.is::<Stop>() {
            cx.stop();
        }
    }

    fn on_link_closed(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Some(connection) = cx.connection_of(link) {
            self.forget(cx, connection, |other, _| other == link);
        }
    }

    fn on_session_closed(&mut self, cx: &mut Context<'_>, session: SessionId) {
        if let Some(connection) = cx.connection_of(session) {
            self.forget(cx, connection, |_, attached| attached.session == session);
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.forget(cx, connection, |_, _| true);
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, connection: ConnectionId, _: &Disconnected) {
        self.forget(cx, connection, |_, _| true);
    }
}

/// The peer's container and the name that it gave a link.
fn named(cx: &Context<'_>, link: Link) -> (Str, Str) {
    let open = cx.connection_of(link).and_then(|connection| cx.remote_open(connection));
    let container = open.map(|open| open.container_id.clone());
    let name = cx.remote_attach(link).map(|attach| attach.name);
    (container.unwrap_or_default(), name.unwrap_or_default())
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

/// Tells a producer that its message was not taken. One whose source has no outcome for that loses its link.
fn refuse(cx: &mut Context<'_>, delivery: &Delivery<'_>, error: Error) {
    let receiver = delivery.receiver();
    let source = cx.remote_source(receiver);
    if source.is_none_or(|source| source.outcomes.is_empty() || source.outcomes.contains(&REJECTED)) {
        // Fails where the producer has settled it: then there is nobody to tell.
        let _ = cx.reject(delivery.id(), error);
    } else {
        cx.close_with(receiver, error);
    }
}

/// Sends a stored message if the consumer can take one now.
fn offer(cx: &mut Context<'_>, consumer: SenderId, stored: &Stored) -> Offered {
    if cx.credit(consumer) == 0 {
        return Offered::NotNow;
    }
    match cx.send_payload(consumer, stored.payload.clone(), stored.message_format) {
        Ok(_) if cx.sends_settled(consumer) => Offered::SentSettled,
        Ok(tag) => Offered::Sent(tag),
        Err(SendRefused::TooLarge { .. }) => Offered::Never,
        Err(_) => Offered::NotNow,
    }
}

/// The message without what concerned this node alone.
//= 3.2.2-01
fn passed_on(payload: Bytes, message: Option<MessageView<'_>>) -> Bytes {
    let concerns_us = message.is_some_and(|message| message.delivery_annotations().iter().next().is_some());
    if !concerns_us {
        return payload;
    }
    Relay::new(&payload).map_or(payload, |relay| relay.payload().into_bytes())
}

fn compact(payload: Bytes) -> Bytes {
    if payload.len() < SHARE_FROM { Bytes::copy_from_slice(&payload) } else { payload }
}
