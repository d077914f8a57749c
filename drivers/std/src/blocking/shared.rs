//! One connection as many threads see it: whoever waits moves the bytes for all.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
    io, mem,
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amqp1_driver::{Channel, Clock, Received, Sent, Spare};
use amqp1_engine::{
    Connection, DeliveryId, DisconnectReason, Event, Instant, LinkId, Misuse, OutgoingDelivery, Scope,
    SessionId,
    codec::Symbol,
    message::Payload,
    types::{self, DeliveryState, condition},
};

use super::error::{Error, Waiting};
use crate::{poller::Poller, socket, waker::Waker};

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
    state: Mutex<State>,
    news: Condvar,
}

/// All that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) engine: Connection,
    /// The one session that carries all links.
    pub(super) session: SessionId,
    pub(super) links: HashMap<LinkId, Link>,
    /// How many links were ever made: names them.
    pub(super) links_made: u64,
    channel: Channel,
    poller: Poller<Polled>,
    /// A thread polls the socket.
    led: bool,
    /// For this.
    polled_for: Wants,
    /// Nothing more will be read or written.
    eof: bool,
    broken: Option<Arc<io::Error>>,
    ended: Option<Error>,
    over: Option<Error>,
    trace: bool,
}

/// What a link has beside what the engine knows of it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Why it cannot be used any more.
    gone: Option<Error>,
    /// Messages that have begun to arrive and that nobody has asked for yet, oldest first.
    pub(super) arrived: VecDeque<Arrived>,
    /// The newest message that has begun to arrive.
    newest: Option<DeliveryId>,
    /// Messages sent whose outcome nobody waits for any more.
    pub(super) abandoned: HashSet<DeliveryId>,
    /// The next message's tag.
    pub(super) next_tag: u64,
    /// A receiver's credit, topped up at one half.
    pub(super) prefetch: u32,
}

impl Link {
    pub(super) fn new(prefetch: u32) -> Self {
        Self { prefetch, ..Self::default() }
    }
}

/// A message on its way to the user.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) id: DeliveryId,
    /// What was taken from the engine so far.
    pub(super) payload: Payload,
    pub(super) complete: bool,
    pub(super) message_format: u32,
    pub(super) settled: bool,
}

impl Shared {
    pub(super) fn new(
        engine: Connection,
        session: SessionId,
        socket: TcpStream,
        clock: Clock,
        timeout: Duration,
    ) -> io::Result<Self> {
        let trace = engine.config().trace;
        let state = State {
            engine,
            session,
            links: HashMap::new(),
            links_made: 0,
            channel: Channel::new(),
            poller: Poller::default(),
            led: false,
            polled_for: Wants::default(),
            eof: false,
            broken: None,
            ended: None,
            over: None,
            trace,
        };
        Ok(Self { timeout, clock, socket, waker: Waker::new()?, state: state.into(), news: Condvar::new() })
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
        let mut state = self.lock();
        loop {
            let found = look(&mut state).transpose();
            let moved = self.exchange(&mut state);
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
            if state.led {
                let rest = deadline.duration_since(now);
                state = self.news.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                state = self.lead(state, deadline, now);
            }
        }
    }

    /// Gives the engine a command that nobody waits for; its output leaves as far as the socket takes it.
    pub(super) fn tell<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let told = command(&mut state);
        while self.exchange(&mut state) {}
        told
    }

    /// Reads what has arrived and keeps the engine's deadlines, for when nobody calls: the next deadline.
    pub(super) fn keep(&self) -> Option<Instant> {
        let mut state = self.lock();
        if !state.led {
            self.read(&mut state);
            state.engine.handle_timeout(self.clock.now());
            while self.exchange(&mut state) {}
            self.news.notify_all();
        }
        state.engine.poll_timeout().map(|(at, _)| at)
    }

    /// How long it is until then.
    pub(super) fn until(&self, at: Instant) -> Duration {
        at.duration_since(self.clock.now())
    }

    /// Handles what the engine tells and writes what it has to say: whether there was any of it.
    fn exchange(&self, state: &mut State) -> bool {
        let moved = state.handle_events() | self.write(state);
        state.print_trace();
        if state.led && state.wants().exceeds(state.polled_for) {
            state.polled_for = state.wants();
            self.waker.wake();
        }
        moved
    }

    /// Writes what the socket takes: whether there was anything to write.
    fn write(&self, state: &mut State) -> bool {
        let mut moved = false;
        while !state.eof
            && let Some(mut output) = state.engine.poll_transmit(self.clock.now())
        {
            moved = true;
            match socket::write(&self.socket, &mut state.channel, &mut output) {
                Ok(Sent::All | Sent::Blocked) => {}
                Err(error) => {
                    // What the peer said before it went may tell why.
                    while self.read(state) {
                        state.handle_events();
                    }
                    self.lose(state, Some(error));
                }
            }
        }
        moved
    }

    /// Reads once: whether that brought anything.
    fn read(&self, state: &mut State) -> bool {
        if !state.wants().read {
            return false;
        }
        let State { engine, channel, .. } = state;
        let received = SPARE.with_borrow_mut(|spare| {
            let received = socket::read(&self.socket, channel, spare);
            engine.handle_input(channel.input(), self.clock.now());
            channel.release(spare);
            received
        });
        match received {
            Ok(Received::Bytes) => return true,
            Ok(Received::Blocked) => {}
            Ok(Received::Eof) => self.lose(state, None),
            Err(error) => self.lose(state, Some(error)),
        }
        false
    }

    /// Nothing more will be read or written.
    fn lose(&self, state: &mut State, error: Option<io::Error>) {
        state.eof = true;
        state.broken = state.broken.take().or_else(|| error.map(Arc::new));
        state.engine.handle_eof(self.clock.now());
    }

    /// Waits for the socket, the engine's deadline or this call's, and does what is to be done.
    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
        now: Instant,
    ) -> MutexGuard<'a, State> {
        let until = state.engine.poll_timeout().map_or(deadline, |(at, _)| at.min(deadline));
        let wants = state.wants();
        let mut poller = mem::take(&mut state.poller);
        state.led = true;
        state.polled_for = wants;
        drop(state);

        let mut ready = [None; 2];
        let mut poll = poller.start();
        poll.add(&self.waker, Polled::Waker, true, false);
        poll.add(&self.socket, Polled::Socket, wants.read, wants.write);
        poll.wait(Some(until.duration_since(now)), |polled, is_ready| {
            ready[polled as usize] = Some(is_ready)
        });

        let mut state = self.lock();
        state.poller = poller;
        state.led = false;
        let [waker, socket] = ready;
        if waker.is_some() {
            self.waker.clear();
        }
        if let Some(socket) = socket {
            if socket.readable {
                self.read(&mut state);
            }
            if socket.writable {
                state.channel.writable();
                self.write(&mut state);
            }
        }
        state.engine.handle_timeout(self.clock.now());
        self.news.notify_all();
        state
    }

    /// Nothing that runs under the lock panics on a state that is half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// The last handle is gone: says so, without waiting for an answer.
    fn drop(&mut self) {
        self.tell(|state| state.engine.close(None));
        // A socket that is gone already is as well.
        let _ = self.socket.shutdown(Shutdown::Write);
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

impl State {
    fn wants(&self) -> Wants {
        Wants { read: !self.eof && self.engine.wants_input(), write: !self.eof && self.channel.wants_write() }
    }

    /// Fails if the connection cannot be used any more.
    pub(super) fn alive(&self) -> Result<(), Error> {
        self.over.as_ref().or(self.ended.as_ref()).cloned().map_or(Ok(()), Err)
    }

    /// Fails if the link cannot be used any more.
    pub(super) fn link_alive(&self, link: LinkId) -> Result<(), Error> {
        self.alive()?;
        match self.links.get(&link) {
            Some(Link { gone: None, .. }) => Ok(()),
            Some(Link { gone: Some(error), .. }) => Err(error.clone()),
            None => Err(Error::Detached(None)),
        }
    }

    /// Whether the last word on the connection is said.
    pub(super) fn is_done(&self) -> bool {
        self.eof || self.engine.is_done()
    }

    /// Handles all that the engine has to tell: whether there was anything.
    fn handle_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.engine.poll_event() {
            any = true;
            self.handle(event);
        }
        any
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Closed { error } => {
                self.finish(Error::Closed(error));
                self.engine.close(None);
            }
            Event::Disconnected(reason) => {
                let error = match (reason, self.broken.take()) {
                    (DisconnectReason::Closed, _) => Error::Closed(None),
                    (DisconnectReason::Aborted, Some(error)) => Error::Broken(error),
                    (reason, _) => Error::Disconnected(reason),
                };
                self.finish(error);
            }
            Event::Violated(violation) => {
                let scope = violation.scope();
                let error = Error::Violated(violation);
                match scope {
                    Scope::Connection => self.finish(error),
                    Scope::Session(_) => self.end(error),
                    Scope::Link(link) => self.detach(link, error),
                }
            }
            Event::SessionBegun(session) if session != self.session => {
                // Refused as far as AMQP lets one: answered and ended.
                let refusal = error(condition::NOT_ALLOWED, "this client serves no sessions");
                let _ = self.engine.session(session).and_then(|mut session| session.end(Some(refusal)));
            }
            Event::SessionEnded { session, error } if session == self.session => {
                self.end(Error::Ended(error));
                let _ = self.engine.session(session).and_then(|mut session| session.end(None));
            }
            Event::LinkAttached(link) if !self.links.contains_key(&link) => {
                let refusal = error(condition::NOT_ALLOWED, "this client serves no links");
                let _ = match self.engine.role(link) {
                    Ok(types::Role::Sender) => {
                        self.engine.sender(link).and_then(|mut link| link.refuse(refusal))
                    }
                    _ => self.engine.receiver(link).and_then(|mut link| link.refuse(refusal)),
                };
            }
            Event::LinkDetached { link, error, .. } => {
                self.detach(link, Error::Detached(error));
                self.close_link(link);
            }
            Event::LinkTooLarge(link) => self.detach(link, Error::Misuse(Misuse::FrameTooLarge)),
            Event::Drain(link) => {
                if let Ok(mut sender) = self.engine.sender(link) {
                    sender.drained();
                }
            }
            Event::Delivery(id) => self.note_arrival(id),
            Event::Aborted(id) => {
                if let Some(link) = self.links.get_mut(&id.link()) {
                    link.arrived.retain(|arrived| arrived.id != id);
                }
            }
            Event::Updated(id) => self.settle_abandoned(id),
            _ => {}
        }
    }

    fn note_arrival(&mut self, id: DeliveryId) {
        let Some(link) = self.links.get_mut(&id.link()) else { return };
        if link.newest == Some(id) {
            return;
        }
        let Ok(receiver) = self.engine.receiver(id.link()) else { return };
        let Ok(delivery) = receiver.delivery(id) else { return };
        link.newest = Some(id);
        link.arrived.push_back(Arrived {
            id,
            payload: Payload::new(),
            complete: false,
            message_format: delivery.message_format(),
            settled: delivery.is_remotely_settled(),
        });
    }

    /// Nobody waits for the outcome of this message any more: it is settled when it comes.
    pub(super) fn abandon(&mut self, id: DeliveryId) {
        if let Some(link) = self.links.get_mut(&id.link()) {
            link.abandoned.insert(id);
            self.settle_abandoned(id);
        }
    }

    /// Lets as many messages come as the user has taken, once those are half of what may be on its way.
    pub(super) fn top_up(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let Ok(mut receiver) = self.engine.receiver(id) else { return };
        let waiting = u32::try_from(link.arrived.len()).unwrap_or(u32::MAX);
        let ahead = receiver.credit().saturating_add(waiting);
        if ahead <= link.prefetch / 2 {
            receiver.add_credit(link.prefetch - ahead);
        }
    }

    fn settle_abandoned(&mut self, id: DeliveryId) {
        let Some(link) = self.links.get_mut(&id.link()) else { return };
        if !link.abandoned.contains(&id) {
            return;
        }
        let Ok(mut sender) = self.engine.sender(id.link()) else { return };
        let is_open = sender.delivery(id).is_ok_and(|delivery| !is_decided(delivery));
        if !is_open {
            let _ = sender.settle(id, None);
            link.abandoned.remove(&id);
        }
    }

    /// Takes what has arrived of the oldest message: whether that is all of it.
    pub(super) fn gather(&mut self, link: LinkId) -> bool {
        let Some(first) = self.links.get_mut(&link).and_then(|link| link.arrived.front_mut()) else {
            return false;
        };
        gather(&mut self.engine, first)
    }

    /// The link is of no more use to anybody.
    pub(super) fn forget_link(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.close_link(link);
        }
    }

    /// Tells the peer that a link is closed; one that is closed already stays so.
    pub(super) fn close_link(&mut self, link: LinkId) {
        let _ = match self.engine.role(link) {
            Ok(types::Role::Sender) => self.engine.sender(link).and_then(|mut link| link.close(None)),
            _ => self.engine.receiver(link).and_then(|mut link| link.close(None)),
        };
    }

    /// The link is of no more use, but for messages that have arrived in whole.
    fn detach(&mut self, id: LinkId, error: Error) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.gone.get_or_insert(error);
        link.arrived.retain_mut(|arrived| gather(&mut self.engine, arrived));
    }

    fn end(&mut self, error: Error) {
        self.ended.get_or_insert(error);
        self.rescue();
    }

    fn finish(&mut self, error: Error) {
        self.over.get_or_insert(error);
        self.rescue();
    }

    /// Takes the messages that have arrived in whole out of links that are going.
    fn rescue(&mut self) {
        for link in self.links.values_mut() {
            link.arrived.retain_mut(|arrived| gather(&mut self.engine, arrived));
        }
    }

    fn print_trace(&mut self) {
        if self.trace {
            while let Some(line) = self.engine.poll_trace() {
                eprintln!("{line}");
            }
        }
    }
}

/// Takes what has arrived of a message: whether that is all of it.
fn gather(engine: &mut Connection, arrived: &mut Arrived) -> bool {
    if !arrived.complete
        && let Ok(mut receiver) = engine.receiver(arrived.id.link())
        && let Ok(delivery) = receiver.delivery(arrived.id)
    {
        arrived.complete = delivery.is_complete();
        arrived.settled |= delivery.is_remotely_settled();
        if let Ok(payload) = receiver.take(arrived.id) {
            arrived.payload.push(payload.into_bytes());
        }
    }
    arrived.complete
}

/// Whether the receiver has said its last word on a message.
pub(super) fn is_decided(delivery: &OutgoingDelivery) -> bool {
    delivery.is_remotely_settled() || delivery.remote_state().is_some_and(DeliveryState::is_outcome)
}

fn error(condition: Symbol, description: &str) -> types::Error {
    types::Error { condition, description: Some(description.into()), info: None }
}
