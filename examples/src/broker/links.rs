//! The links of peers: which queue each is for, and what becomes of that when it is gone.

use std::collections::{BTreeMap, BTreeSet};

use amqp1_engine::{
    codec::Str,
    container::{ConnectionId, Context, Link, SessionId},
    types::{Error, condition},
};

use super::{
    Bound, Broker, Lifetime, Node, Queue,
    termini::{Asked, Wanted, error},
};

/// A link that is open.
pub(super) struct Attached {
    pub(super) session: SessionId,
    /// Its queue's address; none for a producer to all queues.
    pub(super) address: Option<Str>,
    /// The queue whose lack of room keeps credit from it.
    pub(super) stalled_at: Option<Str>,
    name: (Str, Str, bool),
}

impl Broker {
    /// Answers a link that a peer attached: the address of its queue, none for all queues.
    pub(super) fn open(&mut self, cx: &mut Context<'_>, link: Link) -> Result<Option<Str>, Error> {
        let asked = Asked::of(cx, link)?;
        let (address, lifetime) = match &asked.node {
            Wanted::Any => {
                let _ = cx.open_link(link, ());
                return Ok(None);
            }
            Wanted::Queue(address) => (address.clone(), Lifetime::USED),
            Wanted::Dynamic(policy) => (self.new_address(cx, link), Lifetime::made_for(link, *policy)),
        };
        if !self.queues.contains_key(&address) && self.queues.len() >= self.limits.queues {
            let description = format!("there are {} queues already: use one of them", self.queues.len());
            return Err(error(condition::RESOURCE_LIMIT_EXCEEDED, description));
        }
        let limits = self.limits;
        self.made += 1;
        let number = self.made;
        let node = self.queues.entry(address.clone()).or_insert_with(|| Node {
            number,
            queue: Queue::new(limits.queue, limits.failures),
            lifetime,
            links: BTreeSet::new(),
            stalled: BTreeSet::new(),
            draining: BTreeSet::new(),
        });
        node.links.insert(link);
        // Fails only where the link is gone again, and then that is told.
        let _ = match link {
            Link::Sender(consumer) => {
                node.queue.subscribe(consumer, asked.interest.clone());
                cx.open_link(link, asked.source(address.clone()))
            }
            Link::Receiver(_) => cx.open_link(link, asked.target(address.clone())),
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
    pub(super) fn note(&mut self, cx: &mut Context<'_>, link: Link, address: Option<Str>) {
        let (Some(connection), Some(session)) = (cx.connection_of(link), cx.session_of(link)) else { return };
        let (container, link_name) = named(cx, link);
        let name = (container, link_name, link.sender().is_some());
        if let Some(old) = self.names.insert(name.clone(), link) {
            cx.close_with(old, error(condition::LINK_STOLEN, "the link was attached anew elsewhere"));
        }
        let attached = Attached { session, address, stalled_at: None, name };
        self.connections.entry(connection).or_default().insert(link, attached);
    }

    pub(super) fn attached(&mut self, cx: &Context<'_>, link: Link) -> Option<&mut Attached> {
        self.connections.get_mut(&cx.connection_of(link)?)?.get_mut(&link)
    }

    /// Forgets those links of a connection that are gone; what they had not settled goes to others.
    pub(super) fn forget(
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
            if let Link::Receiver(producer) = link {
                self.stalled.remove(&producer);
            }
            self.leave_transactions(cx, attached.session, link);
            for address in [attached.address, attached.stalled_at].into_iter().flatten() {
                self.leave(cx, &address, link);
            }
        }
        if self.connections.get(&connection).is_some_and(BTreeMap::is_empty) {
            self.connections.remove(&connection);
        }
    }

    fn leave(&mut self, cx: &mut Context<'_>, address: &Str, link: Link) {
        self.change(address, |node| {
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
        self.deliver(cx, address);
    }

    /// Deletes a queue whose time is over: links that still lead to it are closed.
    pub(super) fn tidy(&mut self, cx: &mut Context<'_>, address: &Str) {
        let is_over = |node: &Node| node.lifetime.is_over(node.links.len(), node.queue.size().messages);
        if !self.queues.get(address).is_some_and(is_over) {
            return;
        }
        let Some(node) = self.queues.remove(address) else { return };
        let Bound { messages, bytes } = node.queue.size();
        self.held.messages -= messages;
        self.held.bytes -= bytes;
        for link in node.links {
            cx.close_with(link, error(condition::RESOURCE_DELETED, "the lifetime of the queue is over"));
        }
    }
}

/// The peer's container and the name that it gave a link.
fn named(cx: &Context<'_>, link: Link) -> (Str, Str) {
    let open = cx.connection_of(link).and_then(|connection| cx.remote_open(connection));
    let container = open.map(|open| open.container_id.clone());
    let name = cx.remote_attach(link).map(|attach| attach.name);
    (container.unwrap_or_default(), name.unwrap_or_default())
}
