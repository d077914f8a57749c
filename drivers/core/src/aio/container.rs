//! The runner of a container, as a future.

use std::{
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use amqp1_engine::{
    Instant,
    container::{Action, ContainerOptions, Handler, IoId},
};

use super::{
    Runtime,
    alarm::Alarm,
    dial::dial,
    listening::Listening,
    polled::Polled,
    ready::{Place, Ready},
};
use crate::{Channel, Error, Failure, Injector, Runner, TURNS_A_STEP, record::Recorder};
#[cfg(feature = "tls")]
use crate::{TlsClient, TlsServer};

/// So many steps are taken before other tasks have a turn.
const STEPS: usize = 8;

/// Runs a [`Handler`] over many connections and listeners, in the task that awaits [`run`](Self::run).
///
/// It is one future, whatever there is to wait for, and polls what was woken and nothing else: connections that are idle
/// cost no time.
pub struct Container<H, R: Runtime> {
    runner: Runner<H, Polled<R::Socket>>,
    ready: Arc<Ready>,
    places: Vec<Place>,
    dials: Vec<Dialing<R::Socket>>,
    listeners: Vec<Option<Listening<R>>>,
    alarm: Alarm,
    /// Steps that were taken since other tasks had a turn.
    steps: usize,
}

/// A socket on its way, and the channel for its bytes.
struct Dialing<S> {
    io: IoId,
    dial: Pin<Box<dyn Future<Output = Result<S, Failure>> + Send>>,
    channel: Channel,
    waker: Waker,
}

impl<H: Handler, R: Runtime> Container<H, R> {
    /// A container with default options.
    pub fn new(handler: H) -> Self {
        Self::with_options(handler, ContainerOptions::default())
    }

    /// A container with these options; where their seed is 0, a random one takes its place.
    pub fn with_options(handler: H, options: ContainerOptions) -> Self {
        let mut runner = Runner::new(handler, options);
        runner.streams.watch();
        Self {
            runner,
            ready: Arc::default(),
            places: Vec::new(),
            dials: Vec::new(),
            listeners: Vec::new(),
            alarm: Alarm::new(),
            steps: 0,
        }
    }

    /// Has every connection recorded that is made from now on, each to a file of its own.
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.runner.record(recorder);
        self
    }

    /// How connections to `amqps` addresses do TLS; by default they trust the authorities of the operating system.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_client(mut self, tls: TlsClient) -> Self {
        self.runner.stages.tls_client = tls;
        self
    }

    /// How listeners at `amqps` addresses do TLS; without it there can be none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_server(mut self, tls: TlsServer) -> Self {
        self.runner.stages.tls_server = Some(tls);
        self
    }

    /// Sends events into this container from other threads and tasks.
    ///
    /// An injector does not keep the container from ending when nothing else is left to do.
    #[must_use]
    pub fn injector(&self) -> Injector {
        self.runner.injector()
    }

    /// Runs until nothing is left to do: no connection, no listener, no timer. Dropping the future ends all at once.
    ///
    /// # Errors
    /// [`Error::Unhandled`]: the first failure of something that this side began and that no handler took care of, such
    /// as a connection refused. All else is closed before.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut failure = None;
        loop {
            match self.process().await {
                Ok(true) => {}
                Ok(false) => return failure.map_or(Ok(()), Err),
                Err(unhandled) => {
                    failure.get_or_insert(unhandled);
                    self.runner.engine.stop();
                }
            }
        }
    }

    /// Does one step, for a program that has more to do with the container between them: waits until there is something to
    /// do, and does it. The first call only starts. Returns whether there will be more to do. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run); the next call goes on.
    pub async fn process(&mut self) -> Result<bool, Error> {
        if self.runner.is_finished() {
            return Ok(false);
        }
        if self.runner.is_started() {
            poll_fn(|cx| self.poll_wait(cx)).await;
            self.take_in();
        } else {
            let waker = self.ready.waker(Place::Mail);
            self.runner.start(move || waker.wake_by_ref());
        }
        for turn in 1..=TURNS_A_STEP {
            let has_more = self.runner.turn(turn);
            let now = self.runner.clock.now();
            while let Some(action) = self.runner.engine.poll_action() {
                self.obey(action, now);
            }
            if !has_more {
                break;
            }
        }
        // What has changed is looked at again: then it says when it is worth a look the next time.
        while let Some(stream) = self.runner.streams.poll_changed() {
            stream.socket().wake();
        }
        self.runner.has_more()
    }

    /// The handler.
    pub const fn handler(&mut self) -> &mut H {
        &mut self.runner.handler
    }

    /// Waits until something is ready or a deadline comes.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.steps += 1;
        if self.steps > STEPS {
            self.steps = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.runner.streams.has_unread() || !self.ready.sleep(cx.waker()) {
            return Poll::Ready(());
        }
        let now = self.runner.clock.now();
        let listeners = self.listeners.iter().flatten().filter_map(|listening| listening.deadline(now));
        let deadline = self.runner.deadline().into_iter().chain(listeners).min();
        if deadline.is_some_and(|deadline| deadline <= now) || self.alarm.poll::<R>(deadline, now, cx) {
            return Poll::Ready(());
        }
        self.steps = 0;
        Poll::Pending
    }

    /// Takes in what other threads, the sockets and the time have brought.
    fn take_in(&mut self) {
        let now = self.runner.clock.now();
        let mut places = mem::take(&mut self.places);
        self.ready.take(&mut places);
        for place in places.drain(..) {
            match place {
                // This driver looks up no names by mail.
                Place::Mail => drop(self.runner.take_mail()),
                Place::Stream(index) => self.look_at(index, now),
                Place::Dial(index) => self.advance(index, now),
                Place::Listener(index) => self.accept(index, now),
            }
        }
        self.places = places;
        self.listeners.iter_mut().flatten().for_each(|listening| listening.rested(now));
        self.runner.handle_timeout(now);
    }

    fn look_at(&mut self, index: usize, now: Instant) {
        let Runner { streams, engine, .. } = &mut self.runner;
        let Some(stream) = streams.at(index) else { return };
        let (io, wants_read, wants_write) = (stream.io(), stream.wants_read(), stream.wants_write());
        if wants_read {
            streams.read(io, engine, now);
        }
        if wants_write {
            streams.resume(io, engine, now);
        }
    }

    fn advance(&mut self, index: usize, now: Instant) {
        let Some(at) = self.dials.iter().position(|dialing| dialing.io.index() == index) else { return };
        let dialing = &mut self.dials[at];
        let Poll::Ready(dialed) = dialing.dial.as_mut().poll(&mut Context::from_waker(&dialing.waker)) else {
            return;
        };
        let Dialing { io, channel, .. } = self.dials.swap_remove(at);
        match dialed {
            Ok(socket) => {
                let socket = Polled::new(socket, self.ready.waker(Place::Stream(io.index())));
                self.runner.streams.add(io, socket, channel);
                self.runner.engine.connected(io, now);
            }
            Err(failure) => self.runner.engine.connect_failed(io, &failure.reason()),
        }
    }

    fn accept(&mut self, index: usize, now: Instant) {
        let Some(Some(listening)) = self.listeners.get_mut(index) else { return };
        let Runner { stages, streams, engine, .. } = &mut self.runner;
        let (id, scheme) = (listening.id, listening.scheme);
        listening.accept(now, |socket| {
            // Where there is none, the socket is closed.
            if let Ok(channel) = stages.accept(scheme)
                && let Some(io) = engine.accepted(id, now)
            {
                let socket = Polled::new(socket, self.ready.waker(Place::Stream(io.index())));
                streams.add(io, socket, channel);
            }
        });
    }

    fn obey(&mut self, action: Action, now: Instant) {
        match action {
            Action::Connect { io, address } => match self.runner.stages.connect(&address) {
                Ok(channel) => {
                    let waker = self.ready.waker(Place::Dial(io.index()));
                    waker.wake_by_ref();
                    self.dials.push(Dialing { io, dial: Box::pin(dial::<R>(address)), channel, waker });
                }
                Err(error) => {
                    let failure = Failure::connect(&address, error);
                    self.runner.engine.connect_failed(io, &failure.reason());
                }
            },
            Action::Listen { listener: id, address } => {
                let waker = self.ready.waker(Place::Listener(id.index()));
                match Listening::open(id, &address, &self.runner.stages, waker) {
                    Ok(listening) => {
                        let local = listening.local_address().unwrap_or_else(|| address.to_string());
                        if self.listeners.len() <= id.index() {
                            self.listeners.resize_with(id.index() + 1, || None);
                        }
                        self.listeners[id.index()] = Some(listening);
                        self.runner.engine.listening(id, &local);
                    }
                    Err(failure) => self.runner.engine.listen_failed(id, &failure.reason()),
                }
            }
            Action::StopListening { listener } => {
                self.listeners.get_mut(listener.index()).and_then(Option::take);
            }
            Action::Shutdown { io } => {
                self.dials.retain(|dialing| dialing.io != io);
                let Runner { streams, engine, lingering, .. } = &mut self.runner;
                //= 5.1-02
                if let Some(mut socket) = streams.take(io, engine)
                    && socket.shut_down().is_ok()
                {
                    socket.wake();
                    lingering.add(socket, now);
                }
            }
            action => debug_assert!(false, "this driver does not know {action:?}"),
        }
    }
}

impl<H, R: Runtime> fmt::Debug for Container<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runner.fmt(f)
    }
}
