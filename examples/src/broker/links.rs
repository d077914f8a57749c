//! The links of peers: which queue each is for, and what becomes of that when it is gone.

use std::collections::BTreeSet;

use amqp1_engine::{
    codec::Str,
    container::{ConnectionId, Context, Link, SessionId},
    types::{Error, condition},
};

use super::{
    Bound, Broker, Lifetime, Node, Queue,
    messages::may_reject,
    termini::{Asked, Wanted, error},
    topics::is_topic,
};

/// A link that is open.
pub(super) struct Attached {
    pub(super) session: SessionId,
    /// The address of its queue or, for a producer, of its topic; none for a producer to all.
    pub(super) address: Option<Str>,
    /// The queue whose lack of room kept credit from it last.
    pub(super) stalled_at: Option<Str>,
    /// Whether its source has an outcome for a message that is not taken.
    pub(super) may_reject: bool,
    name: (Str, Str, bool),
}

impl Broker {
    /// Answers a link that a peer attached: the address of its queue or, for a producer, of its topic; none for all.
    pub(super) fn open(&mut self, cx: &mut Context<'_>, link: Link) -> Result<Option<Str>, Error> {
        let mut asked = Asked::of(cx, link)?;
        let (address, queue) = match &asked.node {
            Wanted::Any => {
                let _ = cx.open_link(link, ());
                return Ok(None);
            }
            Wanted::Queue(topic) if is_topic(topic) && link.receiver().is_some() => {
                let topic = topic.clone();
                let _ = cx.open_link(link, asked.target(topic.clone()));
                return Ok(Some(topic));
            }
            Wanted::Queue(topic) if is_topic(topic) => {
                (topic.clone(), self.subscribe(cx, link, topic, &asked)?)
            }
            Wanted::Queue(address) => {
                if !self.queues.contains_key(address) {
                    self.make(address, Lifetime::USED)?;
                }
                (address.clone(), address.clone())
            }
            Wanted::Dynamic(policy) => {
                let address = self.new_address(cx, link);
                self.make(&address, Lifetime::made_for(link, *policy))?;
                (address.clone(), address)
            }
        };
        if let Some(node) = self.queues.get_mut(&queue) {
            // A subscription that was there before may be durable though this link did not ask for that.
            //= 2.6.3-10
            asked.terms.is_durable = node.lifetime.is_until_closed();
            node.links.insert(link);
            if let Link::Sender(consumer) = link {
                node.queue.subscribe(consumer, asked.interest.clone());
            }
        }
        let opened = match link {
            Link::Sender(_) => cx.open_link(link, asked.source(address)),
            Link::Receiver(_) => cx.open_link(link, asked.target(address)),
        };
        match opened {
            Ok(()) => Ok(Some(queue)),
            // The answer does not fit the peer's frames, or the link is gone again, and then that is told.
            Err(misuse) => {
                self.leave(cx, &queue, link);
                Err(error(condition::NOT_ALLOWED, format!("the attach cannot be answered: {misuse}")))
            }
        }
    }

    /// Makes a queue of an address that none has.
    pub(super) fn make(&mut self, address: &Str, lifetime: Lifetime) -> Result<(), Error> {
        if self.queues.len() >= self.limits.queues {
            let description = format!("there are {} queues already: use one of them", self.queues.len());
            return Err(error(condition::RESOURCE_LIMIT_EXCEEDED, description));
        }
        self.made += 1;
        let node = Node {
            number: self.made,
            queue: Queue::new(self.limits.queue, self.limits.failures),
            lifetime,
            subscription: None,
            links: BTreeSet::new(),
            stalled: BTreeSet::new(),
            draining: BTreeSet::new(),
        };
        self.queues.insert(address.clone(), node);
        Ok(())
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
    pub(super) fn note(&mut self, cx: &mut Context<'_>, link: Link, address: Option<Str>) {
        let (Some(connection), Some(session)) = (cx.connection_of(link), cx.session_of(link)) else { return };
        let (container, link_name) = named(cx, link);
        let name = (container, link_name, link.sender().is_some());
        if let Some(old) = self.names.insert(name.clone(), link) {
            self.expel(cx, old, error(condition::LINK_STOLEN, "the link was attached anew elsewhere"));
        }
        let attached =
            Attached { session, address, stalled_at: None, may_reject: may_reject(cx, link), name };
        self.connections.entry(connection).or_default().insert(link);
        self.links.insert(link, attached);
    }

    /// The address that an open link is for.
    pub(super) fn linked_to(&self, link: impl Into<Link>) -> Option<Str> {
        self.links.get(&link.into())?.address.clone()
    }

    /// Forgets those links of a connection that are gone.
    pub(super) fn forget_all(
        &mut self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
        is_gone: impl Fn(&Attached) -> bool,
    ) {
        let Some(links) = self.connections.get(&connection) else { return };
        let is_gone = |link: &Link| self.links.get(link).is_none_or(&is_gone);
        let gone: Vec<Link> = links.iter().copied().filter(is_gone).collect();
        for link in gone {
            self.forget(cx, connection, link);
        }
    }

    /// Forgets a link that is gone; what it had not settled goes to others.
    pub(super) fn forget(&mut self, cx: &mut Context<'_>, connection: ConnectionId, link: Link) {
        if let Some(links) = self.connections.get_mut(&connection) {
            links.remove(&link);
            if links.is_empty() {
                self.connections.remove(&connection);
            }
        }
        let Some(attached) = self.links.remove(&link) else { return };
        if self.names.get(&attached.name) == Some(&link) {
            self.names.remove(&attached.name);
        }
        if let Link::Receiver(producer) = link {
            self.stalled.remove(&producer);
        }
        self.leave_transactions(cx, attached.session, link);
        for address in [attached.address, attached.stalled_at].into_iter().flatten() {
            self.leave(cx, &address, link);
        }
    }

    fn leave(&mut self, cx: &mut Context<'_>, address: &Str, link: Link) {
        self.deliver_after(cx, address, |node| {
            node.links.remove(&link);
            node.lifetime.leave(link);
            match link {
                Link::Sender(consumer) => {
                    node.draining.remove(&consumer);
                    node.queue.unsubscribe(consumer);
                }
                Link::Receiver(producer) => drop(node.stalled.remove(&producer)),
            }
        });
    }

    /// Deletes a queue: links that still lead to it are closed.
    pub(super) fn delete(&mut self, cx: &mut Context<'_>, address: &Str) {
        let Some(node) = self.queues.remove(address) else { return };
        if let Some(subscription) = &node.subscription {
            self.topics.remove(subscription, address);
        }
        let Bound { messages, bytes } = node.queue.size();
        self.held.messages -= messages;
        self.held.bytes -= bytes;
        for link in node.links {
            cx.close_with(link, error(condition::RESOURCE_DELETED, "the lifetime of the queue is over"));
        }
        for producer in node.stalled {
            self.grant_again(cx, producer, address);
        }
    }
}

/// The peer's container and the name that it gave a link.
pub(super) fn named(cx: &Context<'_>, link: Link) -> (Str, Str) {
    let open = cx.connection_of(link).and_then(|connection| cx.remote_open(connection));
    let container = open.map(|open| open.container_id.clone());
    let name = cx.remote_attach(link).map(|attach| attach.name);
    (container.unwrap_or_default(), name.unwrap_or_default())
}
