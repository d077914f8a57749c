//! The runner of a container: obeys its actions, moves its bytes, sleeps until its deadlines.

use std::{fmt, net::Shutdown, time::Duration};

use amqp1_driver::{
    Dial, Dialed, Dials, Error, Failure, Injector, Listener, Runner, Stream, TURNS_A_STEP, record::Recorder,
};
#[cfg(feature = "tls")]
use amqp1_driver::{TlsClient, TlsServer};
use amqp1_engine::{
    Instant,
    container::{Action, ContainerOptions, Handler, IoId, ListenerId},
};
use mio::{
    Interest,
    net::{TcpListener, TcpStream},
};

use crate::{
    poller::{Place, Poller},
    socket::{ACCEPTOR, CONNECTOR},
};

/// Runs a [`Handler`] over many connections and listeners, in the thread that calls [`run`](Self::run).
///
/// No socket blocks: a peer that does not read, a host that does not answer or a name that is slow to look up holds up
/// its own connection only.
///
/// ```no_run
/// use amqp1_mio::{Container, Context, Delivery, Handler, Message, SenderId, Url};
///
/// struct HelloWorld {
///     server: Url,
///     address: String,
/// }
///
/// impl Handler for HelloWorld {
///     fn on_start(&mut self, cx: &mut Context<'_>) {
///         let connection = cx.connect(&self.server);
///         cx.create_receiver(connection, &self.address);
///         cx.create_sender(connection, &self.address);
///     }
///     fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
///         cx.send(sender, &Message::from("Hello World!")).expect("there is credit");
///         cx.close(sender);
///     }
///     fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
///         println!("{}", delivery.message().expect("a message").body());
///         cx.close(delivery.connection());
///     }
/// }
///
/// let server = "localhost:5672".parse()?;
/// Container::new(HelloWorld { server, address: "examples".into() }).run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Container<H> {
    /// There is none before the container starts.
    poller: Option<Poller>,
    sockets: Sockets<H>,
}

impl<H: Handler> Container<H> {
    /// A container with default options.
    pub fn new(handler: H) -> Self {
        Self::with_options(handler, ContainerOptions::default())
    }

    /// A container with these options; where their seed is 0, a random one takes its place.
    pub fn with_options(handler: H, options: ContainerOptions) -> Self {
        let mut runner = Runner::new(handler, options);
        runner.streams.watch();
        let sockets = Sockets {
            runner,
            dials: Dials::default(),
            listeners: Vec::new(),
            waited_for: Vec::new(),
            count: 0,
        };
        Self { poller: None, sockets }
    }

    /// Has every connection recorded that is made from now on, each to a file of its own.
    ///
    /// ```no_run
    /// # struct Printer;
    /// # impl amqp1_mio::Handler for Printer {}
    /// use amqp1_mio::{Container, record::Recorder};
    ///
    /// Container::new(Printer).record(Recorder::new("recordings")).run()?;
    /// # Ok::<(), amqp1_mio::Error>(())
    /// ```
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.sockets.runner.record(recorder);
        self
    }

    /// How connections to `amqps` addresses do TLS; by default they trust the authorities of the operating system.
    ///
    /// ```no_run
    /// # struct Printer;
    /// # impl amqp1_mio::Handler for Printer {}
    /// use amqp1_mio::{Container, TlsClient};
    ///
    /// Container::new(Printer).tls_client(TlsClient::new().ca_file("ca.pem")?).run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_client(mut self, tls: TlsClient) -> Self {
        self.sockets.runner.stages.tls_client = tls;
        self
    }

    /// How listeners at `amqps` addresses do TLS; without it there can be none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_server(mut self, tls: TlsServer) -> Self {
        self.sockets.runner.stages.tls_server = Some(tls);
        self
    }

    /// Sends events into this container from other threads.
    ///
    /// An injector does not keep the container from ending when nothing else is left to do.
    #[must_use]
    pub fn injector(&self) -> Injector {
        self.sockets.runner.injector()
    }

    /// Runs until nothing is left to do: no connection, no listener, no timer.
    ///
    /// # Errors
    /// [`Error::Unhandled`]: the first failure of something that this side began and that no handler took care of, such
    /// as a connection refused. All else is closed before. [`Error::System`] when the system has no descriptor left.
    pub fn run(mut self) -> Result<(), Error> {
        let mut failure = None;
        loop {
            match self.process(None) {
                Ok(true) => {}
                Ok(false) => return failure.map_or(Ok(()), Err),
                Err(Error::System(error)) => return Err(Error::System(error)),
                Err(unhandled) => {
                    failure.get_or_insert(unhandled);
                    self.sockets.runner.engine.stop();
                }
            }
        }
    }

    /// Does one step, so that a loop of the program's own can have the thread: waits up to `timeout` (without one: as
    /// long as it takes) until there is something to do, and does it. The first call only starts. Returns whether
    /// there will be more to do.
    ///
    /// # Errors
    /// As [`run`](Self::run); the next call goes on.
    pub fn process(&mut self, timeout: impl Into<Option<Duration>>) -> Result<bool, Error> {
        let sockets = &mut self.sockets;
        if sockets.runner.is_finished() {
            return Ok(false);
        }
        let poller = match &mut self.poller {
            Some(poller) => {
                sockets.wait(poller, timeout.into());
                sockets.take_in(poller);
                poller
            }
            None => {
                let poller = Poller::new().map_err(Error::System)?;
                let waker = poller.waker().map_err(Error::System)?;
                sockets.runner.start(move || {
                    // One that cannot be woken by this finds its mail at its next step.
                    let _ = waker.wake();
                });
                self.poller.insert(poller)
            }
        };
        for turn in 1..=TURNS_A_STEP {
            let has_more = sockets.runner.turn(turn);
            let now = sockets.runner.clock.now();
            while let Some(action) = sockets.runner.engine.poll_action() {
                sockets.obey(action, poller, now);
            }
            if !has_more {
                break;
            }
        }
        sockets.update(poller);
        sockets.runner.has_more()
    }

    /// The handler.
    pub const fn handler(&mut self) -> &mut H {
        &mut self.sockets.runner.handler
    }
}

impl<H> fmt::Debug for Container<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sockets.runner.fmt(f)
    }
}

/// A container and all that is waited for.
struct Sockets<H> {
    runner: Runner<H, TcpStream>,
    dials: Dials<TcpStream>,
    listeners: Vec<Option<Listening>>,
    /// For what each stream is waited for, by its place in the table.
    waited_for: Vec<Option<Interest>>,
    /// How many of them are waited for.
    count: usize,
}

struct Listening {
    id: ListenerId,
    listener: Listener<TcpListener, TcpStream>,
    /// It has to be waited for again when it has rested.
    rests: bool,
}

impl Listening {
    fn add(&mut self, poller: &Poller) -> std::io::Result<()> {
        let place = Place::Listener(self.id.index());
        self.listener
            .sockets_mut()
            .iter_mut()
            .try_for_each(|socket| poller.add(socket, place, Interest::READABLE))
    }

    /// What waits there already is told again.
    fn again(&mut self, poller: &Poller) {
        for socket in self.listener.sockets_mut() {
            // It was added, so that this does not fail.
            let _ = poller.change(socket, Place::Listener(self.id.index()), Interest::READABLE);
        }
    }
}

impl<H: Handler> Sockets<H> {
    /// Sleeps until a socket is ready, a deadline comes or the time is over.
    fn wait(&mut self, poller: &mut Poller, timeout: Option<Duration>) {
        let now = self.runner.clock.now();
        let mut deadline = timeout.map(|timeout| now + timeout);
        let mut wake_at = |at: Instant| deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
        self.runner.deadline().into_iter().for_each(&mut wake_at);
        self.dials.deadline().into_iter().for_each(&mut wake_at);
        for listening in self.listeners.iter_mut().flatten().filter(|listening| listening.rests) {
            match listening.listener.deadline(now) {
                Some(until) => wake_at(until),
                None => {
                    listening.rests = false;
                    listening.again(poller);
                }
            }
        }
        if self.runner.streams.has_unread() {
            wake_at(now);
        }
        poller.wait(deadline.map(|deadline| deadline.duration_since(now)), self.count);
    }

    /// Takes in what other threads, the sockets and the time have brought.
    fn take_in(&mut self, poller: &Poller) {
        let now = self.runner.clock.now();
        for (place, ready) in poller.ready() {
            match place {
                Place::Mail => self.take_mail(poller, now),
                Place::Listener(index) => self.accept(index, poller, now),
                Place::Dial(index) => {
                    let io = self.dials.iter().map(|&(io, _)| io).find(|io| io.index() == index);
                    io.into_iter().for_each(|io| self.advance(io, poller, now));
                }
                Place::Stream(index) => {
                    let Runner { streams, engine, .. } = &mut self.runner;
                    let Some(io) = streams.at(index).map(Stream::io) else { continue };
                    if ready.ended {
                        streams.may_have_more(io);
                    } else if ready.readable {
                        streams.read(io, engine, now);
                    }
                    if ready.writable {
                        streams.resume(io, engine, now);
                    }
                }
                Place::Lingering => {}
            }
        }
        while let Some(io) = self.dials.overdue(now) {
            self.advance(io, poller, now);
        }
        self.runner.handle_timeout(now);
    }

    fn take_mail(&mut self, poller: &Poller, now: Instant) {
        for (io, addresses) in self.runner.take_mail() {
            if let Some(dial) = self.dials.take(io) {
                let dialed = dial.found(addresses, now).map(Dialed::Pending);
                self.dialed(io, dialed, poller, now);
            }
        }
    }

    fn advance(&mut self, io: IoId, poller: &Poller, now: Instant) {
        if let Some(mut dial) = self.dials.take(io) {
            dial.socket_mut().into_iter().for_each(|socket| poller.remove(socket));
            self.dialed(io, dial.advance(now), poller, now);
        }
    }

    fn dialed(
        &mut self,
        io: IoId,
        dialed: Result<Dialed<TcpStream>, Failure>,
        poller: &Poller,
        now: Instant,
    ) {
        match dialed {
            Ok(Dialed::Pending(mut dial)) => {
                let place = Place::Dial(io.index());
                let added =
                    dial.socket_mut().map_or(Ok(()), |socket| poller.add(socket, place, Interest::WRITABLE));
                match added {
                    Ok(()) => self.dials.put(io, dial),
                    Err(error) => self.runner.engine.connect_failed(io, &error.to_string()),
                }
            }
            Ok(Dialed::Connected(socket, channel)) => {
                self.runner.streams.add(io, socket, channel);
                self.runner.engine.connected(io, now);
            }
            Err(failure) => self.runner.engine.connect_failed(io, &failure.reason()),
        }
    }

    fn accept(&mut self, index: usize, poller: &Poller, now: Instant) {
        let Some(Some(listening)) = self.listeners.get_mut(index) else { return };
        let Runner { stages, streams, engine, .. } = &mut self.runner;
        let all = listening.listener.accept(stages, now, |socket, channel| {
            if let Some(io) = engine.accepted(listening.id, now) {
                streams.add(io, socket, channel);
            }
        });
        listening.rests = listening.listener.deadline(now).is_some();
        if !all && !listening.rests {
            listening.again(poller);
        }
    }

    /// Waits for what the streams want now.
    fn update(&mut self, poller: &Poller) {
        while let Some(stream) = self.runner.streams.poll_changed() {
            let io = stream.io();
            let wanted = match (stream.wants_read(), stream.wants_write()) {
                (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, false) => Some(Interest::READABLE),
                (false, true) => Some(Interest::WRITABLE),
                (false, false) => None,
            };
            if self.waited_for.len() <= io.index() {
                self.waited_for.resize(io.index() + 1, None);
            }
            let waited_for = &mut self.waited_for[io.index()];
            let (place, socket) = (Place::Stream(io.index()), stream.socket_mut());
            let updated = match (*waited_for, wanted) {
                (None, None) => Ok(()),
                (Some(_), None) => {
                    poller.remove(socket);
                    Ok(())
                }
                (None, Some(wanted)) => poller.add(socket, place, wanted),
                (Some(_), Some(wanted)) => poller.change(socket, place, wanted),
            };
            self.count = self.count + usize::from(wanted.is_some()) - usize::from(waited_for.is_some());
            *waited_for = wanted;
            if let Err(error) = updated {
                let Runner { streams, engine, clock, .. } = &mut self.runner;
                streams.fail(io, &error, engine, clock.now());
            }
        }
    }

    fn obey(&mut self, action: Action, poller: &Poller, now: Instant) {
        match action {
            Action::Connect { io, address } => {
                let mailbox = self.runner.mailbox();
                let stages = &self.runner.stages;
                let dial = Dial::new(CONNECTOR, address, stages, move |found| mailbox.put_found(io, found));
                self.dialed(io, dial.map(Dialed::Pending), poller, now);
            }
            Action::Listen { listener: id, address } => {
                let opened = Listener::open(ACCEPTOR, &address, &self.runner.stages).and_then(|listener| {
                    let mut listening = Listening { id, listener, rests: false };
                    let added = listening.add(poller);
                    added.map(|()| listening).map_err(|error| Failure::listen(&address, error))
                });
                match opened {
                    Ok(listening) => {
                        let local = listening.listener.local_address().unwrap_or_else(|| address.to_string());
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
                self.dials.take(io);
                let Runner { streams, engine, lingering, .. } = &mut self.runner;
                let waited_for = self.waited_for.get_mut(io.index()).and_then(Option::take);
                self.count -= usize::from(waited_for.is_some());
                if let Some(mut socket) = streams.take(io, engine) {
                    if waited_for.is_some() {
                        poller.remove(&mut socket);
                    }
                    //= 5.1-02
                    if socket.shutdown(Shutdown::Write).is_ok()
                        && poller.add(&mut socket, Place::Lingering, Interest::READABLE).is_ok()
                    {
                        lingering.add(socket, now);
                    }
                }
            }
            action => debug_assert!(false, "this driver does not know {action:?}"),
        }
    }
}
