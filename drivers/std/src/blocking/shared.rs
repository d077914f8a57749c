//! One connection as many threads see it: whoever waits moves the bytes for all.

use std::{
    cell::RefCell,
    io, mem,
    net::{Shutdown, TcpStream},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amqp1_driver::{
    Channel, Clock, Received, Sent, Spare,
    client::{Error, State, Waiting},
};
use amqp1_engine::Instant;

use crate::{poller::Poller, socket, waker::Waker};

/// So many times a connection is read before what came is looked at.
const READS: usize = 4;

thread_local! {
    /// The read buffer of whatever connection this thread reads.
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// A connection and what its users wait for.
///
/// A call looks at the state for what it wants. While it is not there, one of the waiting threads leads: it polls the
/// socket, without the lock, then reads and writes, and wakes the others to look again. When it has found what it was
/// looking for itself, another thread takes the lead. Each waits until its own deadline, so that no thread
/// depends on the patience of another.
#[derive(Debug)]
pub(super) struct Shared {
    /// How long calls wait that are given no time of their own.
    pub(super) timeout: Duration,
    clock: Clock,
    socket: TcpStream,
    /// Ends the leader's poll when there is something else to poll for.
    waker: Waker,
    inner: Mutex<Inner>,
    news: Condvar,
}

/// All that changes.
#[derive(Debug)]
struct Inner {
    state: State,
    channel: Channel,
    poller: Poller<Polled>,
    /// A thread polls the socket.
    led: bool,
    /// For this.
    polled_for: Wants,
}

impl Inner {
    fn wants(&self) -> Wants {
        let (state, channel) = (&self.state, &self.channel);
        Wants {
            read: !state.is_lost() && state.engine.wants_input(),
            write: !state.is_lost() && channel.wants_write(),
        }
    }
}

/// What a poll is for.
#[derive(Clone, Copy, Debug)]
enum Polled {
    Waker,
    Socket,
}

/// What is wanted of the socket.
#[derive(Clone, Copy, Debug, Default)]
struct Wants {
    read: bool,
    write: bool,
}

impl Wants {
    const fn exceeds(self, other: Self) -> bool {
        (self.read && !other.read) || (self.write && !other.write)
    }
}

impl Shared {
    pub(super) fn new(
        state: State,
        (socket, channel): (TcpStream, Channel),
        clock: Clock,
        timeout: Duration,
    ) -> io::Result<Self> {
        let inner =
            Inner { state, channel, poller: Poller::default(), led: false, polled_for: Wants::default() };
        Ok(Self { timeout, clock, socket, waker: Waker::new()?, inner: inner.into(), news: Condvar::new() })
    }

    /// When a call that may take so long has to be back.
    pub(super) fn deadline(&self, timeout: Duration) -> Instant {
        self.clock.now() + timeout
    }

    /// Waits until `look` finds what it wants or fails, or the deadline comes. `look` may give the engine commands.
    pub(super) fn wait<T>(
        &self,
        deadline: Instant,
        waiting: Waiting,
        mut look: impl FnMut(&mut State) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut inner = self.lock();
        loop {
            let found = look(&mut inner.state).transpose();
            let moved = self.exchange(&mut inner);
            if let Some(found) = found {
                return found;
            }
            if moved {
                continue;
            }
            let now = self.clock.now();
            if now >= deadline {
                return Err(Error::TimedOut(waiting));
            }
            if inner.led {
                let rest = deadline.duration_since(now);
                inner = self.news.wait_timeout(inner, rest).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                inner = self.lead(inner, deadline, now);
            }
        }
    }

    /// Gives the engine a command that nobody waits for; its output leaves as far as the socket takes it.
    pub(super) fn tell<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.lock();
        let told = command(&mut inner.state);
        while self.exchange(&mut inner) {}
        told
    }

    /// Reads what has arrived and keeps the engine's deadlines, for when nobody calls: the next deadline.
    pub(super) fn keep(&self) -> Option<Instant> {
        let mut inner = self.lock();
        if !inner.led {
            self.read(&mut inner);
            inner.state.engine.handle_timeout(self.clock.now());
            while self.exchange(&mut inner) {}
            self.news.notify_all();
        }
        inner.state.engine.poll_timeout().map(|(at, _)| at)
    }

    /// Tells the peer that nothing follows, when the last word is said.
    pub(super) fn hang_up(&self) {
        socket::close(&self.socket, &mut self.lock().channel);
        // A socket that is gone already has told it.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// How long it is until then.
    pub(super) fn until(&self, at: Instant) -> Duration {
        at.duration_since(self.clock.now())
    }

    /// Handles what the engine tells and writes what it has to say: whether there was any of it.
    fn exchange(&self, inner: &mut Inner) -> bool {
        let told = inner.state.handle_events(|_| {});
        if told {
            // It may be what others wait for, the leader included.
            self.news.notify_all();
        }
        let written = self.write(inner);
        inner.state.report();
        if inner.led && (told || inner.wants().exceeds(inner.polled_for)) {
            inner.polled_for = inner.wants();
            self.waker.wake();
        }
        told || written
    }

    /// Writes what the socket takes: whether it took anything.
    fn write(&self, inner: &mut Inner) -> bool {
        let mut written = false;
        while !inner.state.is_lost() && !inner.channel.wants_write() {
            let Inner { state, channel, .. } = inner;
            let sent = match state.engine.poll_transmit(self.clock.now()) {
                Some(mut output) => socket::write(&self.socket, channel, &mut output),
                None if channel.has_output() => socket::write(&self.socket, channel, &mut &[][..]),
                None => break,
            };
            match sent {
                Ok(Sent::All) => written = true,
                Ok(Sent::Blocked) => break,
                Err(error) => {
                    // What the peer said before it went may tell why.
                    while self.read(inner) {
                        inner.state.handle_events(|_| {});
                    }
                    inner.state.lose(Some(error), self.clock.now());
                }
            }
        }
        written
    }

    /// Reads what there is, within a fair share: whether that brought anything.
    fn read(&self, inner: &mut Inner) -> bool {
        let mut any = false;
        for _ in 0..READS {
            if !inner.wants().read {
                break;
            }
            let Inner { state, channel, .. } = &mut *inner;
            let now = self.clock.now();
            let take = |input: &mut _| state.engine.handle_input(input, now);
            let received = SPARE.with_borrow_mut(|spare| socket::read(&self.socket, channel, spare, take));
            match received {
                Ok(Received::Bytes) => return true,
                // What is left in the channel shows on no socket.
                Ok(Received::Full) => any = true,
                Ok(Received::Secured) => state.engine.secured(channel.security()),
                Ok(Received::Blocked) => break,
                Ok(Received::Eof) => {
                    state.lose(None, now);
                    break;
                }
                Err(error) => {
                    state.lose(Some(error), now);
                    break;
                }
            }
        }
        any
    }

    /// Waits for the socket, the engine's deadline or this call's, and does what is to be done.
    fn lead<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        deadline: Instant,
        now: Instant,
    ) -> MutexGuard<'a, Inner> {
        let until = inner.state.engine.poll_timeout().map_or(deadline, |(at, _)| at.min(deadline));
        let wants = inner.wants();
        let mut poller = mem::take(&mut inner.poller);
        inner.led = true;
        inner.polled_for = wants;
        drop(inner);

        let mut ready = [None; 2];
        let mut poll = poller.start();
        poll.add(&self.waker, Polled::Waker, true, false);
        poll.add(&self.socket, Polled::Socket, wants.read, wants.write);
        poll.wait(Some(until.duration_since(now)), |polled, is_ready| {
            ready[polled as usize] = Some(is_ready);
        });

        let mut inner = self.lock();
        inner.poller = poller;
        inner.led = false;
        let [waker, socket] = ready;
        if waker.is_some() {
            self.waker.clear();
        }
        if let Some(socket) = socket {
            if socket.readable {
                self.read(&mut inner);
            }
            if socket.writable {
                inner.channel.writable();
                self.write(&mut inner);
            }
        }
        inner.state.engine.handle_timeout(self.clock.now());
        self.news.notify_all();
        inner
    }

    /// Nothing that runs under the lock panics on a state that is half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// The last handle is gone: says so, without waiting for an answer.
    fn drop(&mut self) {
        self.tell(|state| state.engine.close(None));
        self.hang_up();
    }
}
