//! The task of a connection: it moves the bytes.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use amqp1_engine::Instant;

use super::{
    Runtime, Socket,
    alarm::Alarm,
    shared::{Inner, Shared},
};
use crate::{Channel, Received, Sent, Spare, client::News};

/// So many reads or writes are done before the users of the connection have a turn.
const FAIR_SHARE: usize = 4;
/// So many steps are taken before other tasks have a turn.
const STEPS: usize = 8;
/// How long a socket that is written to its end is still read.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    /// The read buffer of whatever connection this thread reads.
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// The task of a connection. It ends when the last word is said and the peer has gone.
pub(super) struct Pump<R, S> {
    shared: Arc<Shared>,
    socket: S,
    channel: Channel,
    alarm: Alarm,
    /// The last word is said: the peer has until then to go.
    lingers: Option<Instant>,
    runtime: PhantomData<fn() -> R>,
}

/// What comes of a step.
enum Step {
    /// There may be more to do.
    More,
    /// Nothing to do until then.
    Idle(Option<Instant>),
    Done,
}

impl<R: Runtime, S: Socket> Pump<R, S> {
    pub(super) const fn new(shared: Arc<Shared>, socket: S, channel: Channel) -> Self {
        Self { shared, socket, channel, alarm: Alarm::new(), lingers: None, runtime: PhantomData }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(until) = self.lingers {
            return self.linger(until, cx);
        }
        let shared = Arc::clone(&self.shared);
        let mut woken = Vec::new();
        let mut inner = shared.lock();
        let now = shared.clock.now();
        inner.state.engine.handle_timeout(now);
        inner.waiters.overdue(now, &mut woken);
        let mut any = self.read(&mut inner, now, cx);
        any |= inner.handle_events(&mut woken);
        any |= self.write(&mut inner, &mut woken, now, cx);
        any |= inner.handle_events(&mut woken);
        inner.state.report();
        let step = if inner.state.is_done() {
            inner.waiters.tell(News::All, &mut woken);
            let socket = &mut self.socket;
            self.channel.close(|slices| blocking(socket.poll_write(cx, slices)));
            let is_lost = inner.state.is_lost();
            if is_lost || !matches!(self.socket.poll_shut_down(cx), Poll::Pending | Poll::Ready(Ok(()))) {
                Step::Done
            } else {
                self.lingers = Some(now + LINGER);
                Step::More
            }
        } else if any {
            Step::More
        } else {
            inner.task = Some(cx.waker().clone());
            let engine = inner.state.engine.poll_timeout().map(|(at, _)| at);
            Step::Idle(engine.into_iter().chain(inner.waiters.deadline()).min())
        };
        drop(inner);
        // Whoever is woken may run at once, and call.
        woken.into_iter().for_each(Waker::wake);
        step
    }

    /// Reads for a while: whether that brought anything.
    fn read(&mut self, inner: &mut Inner, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for _ in 0..FAIR_SHARE {
            if inner.state.is_lost() || !inner.state.engine.wants_input() {
                break;
            }
            let state = &mut inner.state;
            let take = |input: &mut _| state.engine.handle_input(input, now);
            let socket = &mut self.socket;
            let read = |buffer: &mut [u8]| blocking(socket.poll_read(cx, buffer));
            match SPARE.with_borrow_mut(|spare| self.channel.read(spare, read, take)) {
                Ok(Received::Bytes | Received::Full) => {}
                Ok(Received::Secured) => state.engine.secured(self.channel.security()),
                Ok(Received::Blocked) => break,
                Ok(Received::Eof) => state.lose(None, now),
                Err(error) => state.lose(Some(error), now),
            }
            any = true;
        }
        any
    }

    /// Writes for a while what the socket takes: whether it took anything.
    fn write(
        &mut self,
        inner: &mut Inner,
        woken: &mut Vec<Waker>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut any = false;
        // Whether it takes more now, only the socket knows.
        self.channel.writable();
        for _ in 0..FAIR_SHARE {
            if inner.state.is_lost() {
                break;
            }
            let socket = &mut self.socket;
            let mut wrote = false;
            let write = |slices: &[IoSlice<'_>]| {
                let written = blocking(socket.poll_write(cx, slices));
                wrote |= written.is_ok();
                written
            };
            let written = match inner.state.engine.poll_transmit(now) {
                Some(mut output) => self.channel.write(&mut output, write),
                None if self.channel.has_output() => self.channel.write(&mut &[][..], write),
                None => break,
            };
            any |= wrote;
            match written {
                Ok(Sent::All) => {}
                Ok(Sent::Blocked) => break,
                Err(error) => {
                    // What the peer said before it went may tell why.
                    while self.read(inner, now, cx) && inner.handle_events(woken) {}
                    inner.state.lose(Some(error), now);
                    any = true;
                }
            }
        }
        any
    }

    /// Throws away what the peer still sends, until it goes or its time is over: were the socket closed at once, a reset
    /// could destroy our last bytes on their way.
    fn linger(&mut self, until: Instant, cx: &mut Context<'_>) -> Step {
        if self.shared.clock.now() >= until {
            return Step::Done;
        }
        match self.socket.poll_read(cx, &mut [0; 4096]) {
            Poll::Pending => Step::Idle(Some(until)),
            Poll::Ready(Ok(1..)) => Step::More,
            Poll::Ready(_) => Step::Done,
        }
    }
}

/// A socket that is not ready, in the words of one that does not block.
fn blocking(polled: Poll<io::Result<usize>>) -> io::Result<usize> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<R: Runtime, S: Socket + Unpin> Future for Pump<R, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..STEPS {
            match self.step(cx) {
                Step::More => {}
                Step::Idle(deadline) => {
                    let now = self.shared.clock.now();
                    if !self.alarm.poll::<R>(deadline, now, cx) {
                        return Poll::Pending;
                    }
                }
                Step::Done => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R, S> Drop for Pump<R, S> {
    /// Nothing moves the bytes any more, perhaps because the runtime stops: says so to all that wait.
    fn drop(&mut self) {
        let mut woken = Vec::new();
        let mut inner = self.shared.lock();
        if !inner.state.is_done() {
            let gone = io::Error::other("the task of the connection was dropped");
            inner.state.lose(Some(gone), self.shared.clock.now());
        }
        inner.handle_events(&mut woken);
        inner.waiters.tell(News::All, &mut woken);
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
    }
}
