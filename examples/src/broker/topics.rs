//! Topics: what is sent to one goes to all that subscribe to it.
//!
//! An address that begins with `topic://` is a topic. Each subscription has a queue of its own, so all that a queue does it does,
//! too; what its selector does not select never comes into it.

use std::collections::{BTreeMap, BTreeSet};

use amqp1_engine::{
    codec::Str,
    container::{Context, Link},
    types::{Error, condition},
};

use super::{
    Broker, Lifetime, Overrun, Selector, Stored,
    links::named,
    termini::{Asked, error},
};

/// Topics that are subscribed to, and by whom.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// The queues of each topic's subscriptions.
    queues: BTreeMap<Str, BTreeSet<Str>>,
    /// The queue of each subscription.
    names: BTreeMap<Name, Str>,
}

/// What names a subscription: the container that made it, unless it is one for all of them, and its link, up to a `|` if links
/// share it.
pub(super) type Name = (Option<Str>, Str);

/// What a queue is that belongs to a topic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subscription {
    topic: Str,
    name: Name,
    selector: Option<Selector>,
}

/// How a peer wants to subscribe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// The subscription outlives its links until one of them is closed (§3.5.6 never).
    pub(super) is_durable: bool,
    /// Links share it.
    pub(super) is_shared: bool,
    /// It has one name for all containers.
    pub(super) is_global: bool,
}

pub(super) fn is_topic(address: &str) -> bool {
    address.starts_with("topic://")
}

impl Topics {
    /// The queues into which a message to a topic goes.
    pub(super) fn queues(&self, topic: &Str) -> Vec<Str> {
        self.queues.get(topic).into_iter().flatten().cloned().collect()
    }

    fn add(&mut self, subscription: &Subscription, queue: Str) {
        self.names.insert(subscription.name.clone(), queue.clone());
        self.queues.entry(subscription.topic.clone()).or_default().insert(queue);
    }

    /// Forgets a subscription whose queue is deleted.
    pub(super) fn remove(&mut self, subscription: &Subscription, queue: &Str) {
        if self.names.get(&subscription.name) == Some(queue) {
            self.names.remove(&subscription.name);
        }
        if let Some(queues) = self.queues.get_mut(&subscription.topic) {
            queues.remove(queue);
            if queues.is_empty() {
                self.queues.remove(&subscription.topic);
            }
        }
    }
}

impl Broker {
    /// The queue of the subscription that a consumer asks for: the one of its name if there is one, else a new one.
    pub(super) fn subscribe(
        &mut self,
        cx: &mut Context<'_>,
        link: Link,
        topic: &Str,
        asked: &Asked,
    ) -> Result<Str, Error> {
        let (container, link_name) = named(cx, link);
        let name = match link_name.split_once('|') {
            Some((name, _)) if asked.terms.is_shared => name.into(),
            _ => link_name,
        };
        let name = ((!asked.terms.is_global).then_some(container), name);
        let subscription =
            Subscription { topic: topic.clone(), name, selector: asked.interest.selector.clone() };
        if let Some(queue) = self.topics.names.get(&subscription.name).cloned() {
            let node = self.queues.get_mut(&queue);
            match node {
                Some(node) if node.subscription.as_ref() == Some(&subscription) => {
                    // It was not durable before, or another link that shared it was closed.
                    if asked.terms.is_durable {
                        node.lifetime = Lifetime::UNTIL_CLOSED;
                    }
                    return Ok(queue);
                }
                Some(node) if asked.terms.is_shared && !node.links.is_empty() => {
                    let description =
                        "others share a subscription of this name to another topic or with another selector";
                    return Err(error(condition::RESOURCE_LOCKED, description));
                }
                // To ask for something else under a name is to give up what had it.
                _ => self.delete(cx, &queue),
            }
        }
        self.made += 1;
        let queue = Str::from(format!("topic://subscription-{}", self.made));
        let lifetime = if asked.terms.is_durable { Lifetime::UNTIL_CLOSED } else { Lifetime::WITH_LINKS };
        self.make(&queue, lifetime)?;
        self.topics.add(&subscription, queue.clone());
        if let Some(node) = self.queues.get_mut(&queue) {
            node.subscription = Some(subscription);
        }
        Ok(queue)
    }

    /// Puts a message into the queues of a topic: into all of them or, if one is full, into none.
    pub(super) fn distribute(
        &mut self,
        cx: &mut Context<'_>,
        topic: &Str,
        stored: &Stored,
    ) -> Result<(), Overrun> {
        let mut queues = self.topics.queues(topic);
        queues.retain(|queue| {
            let subscription = self.queues.get(queue).and_then(|node| node.subscription.as_ref());
            let selector = subscription.and_then(|subscription| subscription.selector.as_ref());
            selector.is_none_or(|selector| stored.is_selected(selector))
        });
        if queues.iter().any(|queue| self.queues.get(queue).is_some_and(|node| node.queue.is_overrun())) {
            return Err(Overrun);
        }
        for queue in &queues {
            self.deliver_after(cx, queue, |node| node.queue.push(stored.clone())).unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}
