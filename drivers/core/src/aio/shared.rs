//! One connection as its users and its task see it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use amqp1_engine::Instant;

use super::waiters::{Key, Ticket, Waiters};
use crate::{
    Clock,
    client::{Error, State, Waiting},
};

/// A connection and what its users wait for. The task that moves its bytes is a [`Pump`](super::pump::Pump).
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    inner: Mutex<Inner>,
}

/// All that changes.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) waiters: Waiters,
    /// The connection's task, while it sleeps.
    pub(super) task: Option<Waker>,
}

impl Inner {
    /// Handles what the engine tells, and collects those who wait for it: whether there was anything.
    pub(super) fn handle_events(&mut self, woken: &mut Vec<Waker>) -> bool {
        let Self { state, waiters, .. } = self;
        state.handle_events(|news| waiters.tell(news, woken))
    }
}

impl Shared {
    pub(super) fn new(state: State, clock: Clock) -> Arc<Self> {
        let inner = Inner { state, waiters: Waiters::default(), task: None };
        Arc::new(Self { clock, inner: inner.into() })
    }

    /// Gives the engine a command that nobody waits for; its output leaves with the connection's task.
    pub(super) fn tell<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.lock();
        let told = command(&mut inner.state);
        let mut woken = Vec::new();
        inner.handle_events(&mut woken);
        woken.extend(inner.task.take());
        drop(inner);
        // Whoever is woken may run at once, and call again.
        woken.into_iter().for_each(Waker::wake);
        told
    }

    /// Waits until `look` finds what it wants or fails, or the deadline comes. `look` may give the engine commands; it looks
    /// again when there is news for `key`.
    pub(super) fn wait<T, F: FnMut(&mut State) -> Result<Option<T>, Error>>(
        &self,
        key: Key,
        deadline: Option<Instant>,
        waiting: Waiting,
        look: F,
    ) -> Wait<'_, F> {
        Wait { shared: self, key, deadline, waiting, ticket: None, look }
    }

    /// Looks once, and has the task woken when it is worth looking again.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        ticket: &mut Option<Ticket>,
        (key, deadline, waiting): (Key, Option<Instant>, Waiting),
        mut look: impl FnMut(&mut State) -> Result<Option<T>, Error>,
    ) -> Poll<Result<T, Error>> {
        let mut woken = Vec::new();
        let mut inner = self.lock();
        let found = loop {
            let found = look(&mut inner.state).transpose();
            let told = inner.handle_events(&mut woken);
            if found.is_some() || !told {
                break found;
            }
        };
        let is_late = || deadline.is_some_and(|deadline| deadline <= self.clock.now());
        let polled = match found {
            Some(found) => Poll::Ready(found),
            None if is_late() => Poll::Ready(Err(Error::TimedOut(waiting))),
            None => {
                inner.waiters.wait(ticket, key, deadline, cx.waker());
                Poll::Pending
            }
        };
        if polled.is_ready()
            && let Some(ticket) = ticket.take()
        {
            inner.waiters.leave(ticket);
        }
        // It has something to write, or another deadline.
        woken.extend(inner.task.take());
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
        polled
    }

    /// Waits no more.
    pub(super) fn leave(&self, ticket: Ticket) {
        self.lock().waiters.leave(ticket);
    }

    /// Nothing that runs under the lock panics on a state that is half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiters.count()
    }
}

/// A call that waits. Dropped, it waits no more, and nothing is left of it.
pub(super) struct Wait<'a, F> {
    shared: &'a Shared,
    key: Key,
    deadline: Option<Instant>,
    waiting: Waiting,
    ticket: Option<Ticket>,
    look: F,
}

impl<T, F: FnMut(&mut State) -> Result<Option<T>, Error> + Unpin> Future for Wait<'_, F> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, key, deadline, waiting, ticket, look } = &mut *self;
        shared.poll(cx, ticket, (*key, *deadline, *waiting), look)
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.leave(ticket);
        }
    }
}
