//! Accepting.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use amqp1_engine::{
    Instant,
    container::{Address, ListenerId, Scheme},
};

use super::Runtime;
use crate::{Failure, Stages, listener::listen};

/// The most connections accepted at one go.
const FAIR_SHARE: usize = 16;
/// How long a listener rests when the system has no descriptor left for another connection.
const REST: Duration = Duration::from_millis(100);

/// A listener: one socket for each address of its host.
pub(super) struct Listening<R: Runtime> {
    pub(super) id: ListenerId,
    pub(super) scheme: Scheme,
    doors: Vec<Door<R>>,
    rests_until: Instant,
    waker: Waker,
}

/// One socket, and who comes in next.
struct Door<R: Runtime> {
    listener: Arc<R::Listener>,
    next: Accept<R::Socket>,
}

type Accept<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

impl<R: Runtime> Door<R> {
    fn new(listener: R::Listener) -> Self {
        let listener = Arc::new(listener);
        Self { next: Self::accept(&listener), listener }
    }

    fn accept(listener: &Arc<R::Listener>) -> Accept<R::Socket> {
        Box::pin(R::accept(Arc::clone(listener)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<R::Socket>> {
        let accepted = self.next.as_mut().poll(cx);
        if accepted.is_ready() {
            self.next = Self::accept(&self.listener);
        }
        accepted
    }
}

impl<R: Runtime> Listening<R> {
    /// Listens at all addresses of the host; port 0 lets the system choose one.
    pub(super) fn open(
        id: ListenerId,
        address: &Address,
        stages: &Stages,
        waker: Waker,
    ) -> Result<Self, Failure> {
        // One that could not talk to those it accepts opens no port.
        let sockets = stages.accept(address.scheme).and_then(|_| listen(R::bind, R::local_address, address));
        let sockets = sockets.map_err(|error| Failure::listen(address, error))?;
        let doors = sockets.into_iter().map(Door::new).collect();
        waker.wake_by_ref();
        Ok(Self { id, scheme: address.scheme, doors, rests_until: Instant::ZERO, waker })
    }

    /// Where it listens: the first of its addresses, with the port that the system chose.
    pub(super) fn local_address(&self) -> Option<String> {
        R::local_address(&self.doors.first()?.listener).ok().map(|address| address.to_string())
    }

    /// When it has rested enough, if it rests.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        Some(self.rests_until).filter(|&until| now < until)
    }

    /// It has rested enough if it did.
    pub(super) fn rested(&mut self, now: Instant) {
        if self.rests_until > Instant::ZERO && self.rests_until <= now {
            self.rests_until = Instant::ZERO;
            self.waker.wake_by_ref();
        }
    }

    /// Accepts those that wait, within a fair share.
    pub(super) fn accept(&mut self, now: Instant, mut accepted: impl FnMut(R::Socket)) {
        if now < self.rests_until {
            return;
        }
        let mut cx = Context::from_waker(&self.waker);
        for door in &mut self.doors {
            for left in (0..FAIR_SHARE).rev() {
                let Poll::Ready(result) = door.poll(&mut cx) else { break };
                match result {
                    Ok(socket) => accepted(socket),
                    // Gone again before it was accepted.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(_) => {
                        self.rests_until = now + REST;
                        return;
                    }
                }
                if left == 0 {
                    self.waker.wake_by_ref();
                }
            }
        }
    }
}
