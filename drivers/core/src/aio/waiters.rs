//! Who waits for what.

use std::{collections::HashMap, task::Waker};

use amqp1_engine::{DeliveryId, Instant, LinkId};

use crate::client::News;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Connection,
    Link(LinkId),
    Delivery(DeliveryId),
}

/// The calls that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_key: HashMap<Key, Vec<Waiter>>,
    next: u64,
    /// No deadline comes before.
    earliest: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    deadline: Option<Instant>,
    waker: Waker,
}

/// Names one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(Key, u64);

impl Waiters {
    /// Waits for news, or until the deadline. Where it waited before, it goes on to do so.
    pub(super) fn wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        key: Key,
        deadline: Option<Instant>,
        waker: &Waker,
    ) {
        if let Some(ticket) = *ticket
            && let Some(waiter) =
                self.by_key.get_mut(&ticket.0).and_then(|all| all.iter_mut().find(|one| one.ticket == ticket))
        {
            waiter.waker.clone_from(waker);
            return;
        }
        self.next += 1;
        let new = *ticket.insert(Ticket(key, self.next));
        self.by_key.entry(key).or_default().push(Waiter { ticket: new, deadline, waker: waker.clone() });
        self.earliest = self.earliest.into_iter().chain(deadline).min();
    }

    /// Waits no more.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some(waiters) = self.by_key.get_mut(&ticket.0) {
            waiters.retain(|waiter| waiter.ticket != ticket);
            if waiters.is_empty() {
                self.by_key.remove(&ticket.0);
            }
        }
    }

    /// When the first deadline comes, or before.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Collects those for whom the news may be what they wait for.
    pub(super) fn tell(&mut self, news: News, woken: &mut Vec<Waker>) {
        match news {
            News::Arrival(id) => {
                self.wake(Key::Link(id.link()), woken);
                self.wake(Key::Delivery(id), woken);
            }
            News::Update(id) => self.wake(Key::Delivery(id), woken),
            News::Link(link) => self.wake(Key::Link(link), woken),
            News::All => woken.extend(self.by_key.drain().flat_map(|(_, all)| all).map(|one| one.waker)),
        }
    }

    fn wake(&mut self, key: Key, woken: &mut Vec<Waker>) {
        if let Some(waiters) = self.by_key.remove(&key) {
            woken.extend(waiters.into_iter().map(|waiter| waiter.waker));
        }
    }

    /// Collects those whose deadline has come.
    pub(super) fn overdue(&mut self, now: Instant, woken: &mut Vec<Waker>) {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return;
        }
        for waiters in self.by_key.values_mut() {
            let is_overdue = |waiter: &mut Waiter| waiter.deadline.is_some_and(|deadline| deadline <= now);
            woken.extend(waiters.extract_if(.., is_overdue).map(|waiter| waiter.waker));
        }
        self.by_key.retain(|_, waiters| !waiters.is_empty());
        self.earliest = self.by_key.values().flatten().filter_map(|waiter| waiter.deadline).min();
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_key.values().map(Vec::len).sum()
    }
}
