//! A broker: queues in memory, made when somebody attaches to them.
//!
//! [`Broker`] is a handler like any other, so it runs on every driver. [`Broker::start`] runs one in a thread of its own.
//!
//! - A queue keeps its messages in order, shares them among its consumers in turn, and gives a message that was
//!   released, or lost with its consumer, to the next one before all others. One whose delivery fails too often is dropped.
//! - A consumer may ask for the messages that a [`Selector`] selects, or for copies, to browse the queue.
//! - A message that is of no use any more, by its ttl or its absolute-expiry-time, is dropped.
//! - Queues are bounded, one by one and all together: the producers of a full queue get no more credit until half of it is
//!   free.
//! - A queue that holds nothing and serves nobody is forgotten; one made for a dynamic terminus lives as long as its
//!   lifetime-policy says.
//! - What is sent to an address that begins with `topic://` goes to all that subscribe to it. A subscription ends with its link
//!   or, if it is durable (§3.5.6 never), when that is closed. A full one stops the producers of its topic, too.
//! - A sender without an address may send to all queues: each message says where `to`.
//! - Messages posted, and outcomes told, in a transaction count when that commits; what was acquired in it comes back when it
//!   does not.
//! - Messages leave as they came, but for delivery-annotations and a ttl, from which the time is taken that they waited; one
//!   that comes back has another first-acquirer, and another delivery-count and annotations if its consumer asked for that.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use amqp1_engine::{
    Instant,
    codec::{Str, ValueRef},
    container::{
        Address, ConnectionId, ConnectionOptions, Context, Delivery, DeliveryId, Disconnected, Handler,
        Knobs, Link, ListenerId, ReceiverId, Security, SenderId, SessionId, TaskId, Tracker,
    },
    sasl::{Refusal, Sasl, Secret},
    types::capability,
};

mod lifetime;
use lifetime::Lifetime;
mod limits;
pub use limits::Limits;
mod links;
use links::Attached;
mod messages;
use messages::number;
mod numbered;
mod queue;
pub use queue::{Bound, Interest, Offered, Overrun, Queue, Stored};
mod running;
pub use running::RunningBroker;
use running::Stop;
mod selector;
pub use selector::{Fault, Selector};
mod termini;
mod transactions;
use transactions::Transactions;
mod topics;
use topics::{Subscription, Topics};

/// Is told the address once peers can connect.
type WhenListening = Box<dyn FnOnce(&str) + Send>;

/// The handler that is a broker.
pub struct Broker {
    address: Address,
    limits: Limits,
    wall_clock: fn() -> Duration,
    when_listening: Option<WhenListening>,
    queues: BTreeMap<Str, Node>,
    topics: Topics,
    /// What they hold together.
    held: Bound,
    /// Producers that get credit when there is room for more in all.
    stalled: BTreeSet<ReceiverId>,
    /// Links that are open, and those of each connection.
    links: BTreeMap<Link, Attached>,
    connections: BTreeMap<ConnectionId, BTreeSet<Link>>,
    /// Links by what names them: container, name, whether we send (§2.6.1).
    names: BTreeMap<(Str, Str, bool), Link>,
    made: u64,
    transactions: Transactions,
    /// When queues are to be looked at for messages that have expired.
    expiry: Option<(Instant, TaskId)>,
}

/// A queue and its links.
struct Node {
    /// No other node that ever was has it.
    number: u64,
    queue: Queue<SenderId>,
    lifetime: Lifetime,
    /// If it belongs to a topic.
    subscription: Option<Subscription>,
    links: BTreeSet<Link>,
    /// Producers that get credit when there is room.
    stalled: BTreeSet<ReceiverId>,
    /// Consumers that want all there is, and then their credit back.
    draining: BTreeSet<SenderId>,
}

impl Broker {
    /// A broker that listens at an address. If that names a user, peers must know the password, or have shown a client
    /// certificate over TLS; else everybody is let in.
    #[must_use]
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            limits: Limits::default(),
            wall_clock,
            when_listening: None,
            queues: BTreeMap::new(),
            topics: Topics::default(),
            held: Bound { messages: 0, bytes: 0 },
            stalled: BTreeSet::new(),
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            names: BTreeMap::new(),
            made: 0,
            transactions: Transactions::default(),
            expiry: None,
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with another clock for the absolute-expiry-time of messages: the time since 1970.
    #[must_use]
    pub fn with_wall_clock(self, wall_clock: fn() -> Duration) -> Self {
        Self { wall_clock, ..self }
    }

    /// Tells the address, with the port that the system chose, once peers can connect.
    #[must_use]
    pub fn when_listening(self, tell: impl FnOnce(&str) + Send + 'static) -> Self {
        Self { when_listening: Some(Box::new(tell)), ..self }
    }

    fn connection_options(&self) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        options.offered_capabilities.push(capability::ANONYMOUS_RELAY);
        options.limits.handshake_timeout = self.limits.handshake;
        options.idle_time_out = Some(self.limits.silence);
        if let Some(user) = self.address.user.clone() {
            let password = self.address.password.clone().unwrap_or_else(|| Secret::new(""));
            let verify = move |name: &str, candidate: &str| {
                let is_known = name == user && password.matches(candidate);
                is_known.then_some(()).ok_or(Refusal::Credentials)
            };
            // Whom a certificate shows was let in by the authority that signed it.
            options.security = Security::Sasl(Sasl::server().external().plain(verify).into());
        }
        options
    }

    /// Does something to a queue, and keeps count of what all of them hold.
    fn change<T>(&mut self, address: &Str, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        let node = self.queues.get_mut(address)?;
        let before = node.queue.size();
        let changed = change(node);
        let after = node.queue.size();
        self.held.messages = self.held.messages + after.messages - before.messages;
        self.held.bytes = self.held.bytes + after.bytes - before.bytes;
        Some(changed)
    }
}

impl Handler for Broker {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, auto_accept: false, ..Knobs::default() }
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
        if self.open_control(cx, link) {
            return;
        }
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

    fn on_delivery(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.begin_post(cx, delivery);
    }

    fn on_link_closing(&mut self, cx: &mut Context<'_>, link: Link) {
        let Some(address) = self.linked_to(link) else { return };
        let Some(node) = self.queues.get_mut(&address).filter(|node| node.lifetime.is_until_closed()) else {
            return;
        };
        if cx.is_suspended(link) {
            cx.detach(link);
        } else {
            node.lifetime.close();
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        if !self.coordinate(cx, delivery) {
            self.receive(cx, delivery);
        }
    }

    fn on_aborted(&mut self, cx: &mut Context<'_>, delivery: DeliveryId) {
        self.end_post(cx, delivery);
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Some(address) = self.linked_to(consumer) else {
            return;
        };
        self.deliver_after(cx, &address, |node| node.queue.ready(consumer));
    }

    fn on_link_flow(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Some(txn_id) = acquires_in(cx, link)
            && let Err(error) = self.acquire_in(cx, link, &txn_id)
        {
            return self.expel(cx, link, error);
        }
        let Link::Sender(consumer) = link else { return };
        let Some(address) = self.linked_to(link) else { return };
        if let Some(node) = self.queues.get_mut(&address) {
            if !cx.is_draining(consumer) {
                node.draining.remove(&consumer);
            }
            // What it gets next may be of a transaction that it has yet to name.
            if cx.credit(consumer) == 0 {
                node.queue.rest(consumer);
            }
        }
    }

    fn on_drain_start(&mut self, cx: &mut Context<'_>, consumer: SenderId) {
        let Some(address) = self.linked_to(consumer) else {
            return;
        };
        if let Some(node) = self.queues.get_mut(&address) {
            node.queue.ready(consumer);
            node.draining.insert(consumer);
            if let Some(available) = node.queue.available(consumer) {
                cx.offered(consumer, u32::try_from(available).unwrap_or(u32::MAX));
            }
        }
        self.deliver(cx, &address);
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if self.retire(cx, tracker) {
            return;
        }
        let outcome = tracker.state().filter(|state| state.is_outcome());
        if outcome.is_none() && !tracker.is_settled() {
            return;
        }
        let consumer = tracker.sender();
        let Some(address) = self.linked_to(consumer) else {
            return;
        };
        self.deliver_after(cx, &address, |node| {
            node.queue.settle(consumer, number(&tracker.tag()), outcome);
        });
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, timer: TaskId) {
        if self.expiry.take_if(|(_, expiry)| *expiry == timer).is_some() {
            self.expire(cx);
        }
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        if event.is::<Stop>() {
            cx.stop();
        }
    }

    fn on_link_closed(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Some(connection) = cx.connection_of(link) {
            self.forget(cx, connection, link);
        }
    }

    fn on_session_closed(&mut self, cx: &mut Context<'_>, session: SessionId) {
        if let Some(connection) = cx.connection_of(session) {
            self.forget_all(cx, connection, |attached| attached.session == session);
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.forget_all(cx, connection, |_| true);
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, connection: ConnectionId, _: &Disconnected) {
        self.forget_all(cx, connection, |_| true);
    }
}

/// The transaction in which a flow asks that messages be acquired (§4.4.3).
fn acquires_in(cx: &Context<'_>, link: Link) -> Option<Vec<u8>> {
    match cx.flow_properties(link)?.get("txn-id")? {
        ValueRef::Null => None,
        ValueRef::Binary(txn_id) => Some(txn_id.into()),
        // None has it.
        _ => Some(Vec::new()),
    }
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
