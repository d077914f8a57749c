//! The runner of a container: obeys its actions, moves its bytes, sleeps until its deadlines.

use std::{
    fmt, mem,
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use amqp1_driver::{
    Dial, Dialed, Dials, Error, Failure, Injector, Listener, Runner, TURNS_A_STEP, record::Recorder,
};
#[cfg(feature = "tls")]
use amqp1_driver::{TlsClient, TlsServer};
use amqp1_engine::{
    Instant,
    container::{Action, ContainerOptions, Handler, IoId, ListenerId},
};

use crate::{
    dial::CONNECTOR,
    listener::ACCEPTOR,
    poller::{Poller, Ready},
    waker::Waker,
};

/// Runs a [`Handler`] over many connections and listeners, in the thread that calls [`run`](Self::run).
///
/// No socket blocks: a peer that does not read, a host that does not answer or a name that is slow to look up holds up
/// its own connection only.
///
/// ```no_run
/// use amqp1_std::{Container, Context, Delivery, Handler, Message, SenderId, Url};
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
    runner: Runner<H, TcpStream>,
    /// Wakes for mail; there is none before the container polls.
    waker: Option<Arc<Waker>>,
    dials: Dials<TcpStream>,
    listeners: Vec<Option<(ListenerId, Listener<TcpListener, TcpStream>)>>,
    poller: Poller<Token>,
    ready: Vec<(Token, Ready)>,
}

/// What a descriptor that is polled belongs to.
#[derive(Clone, Copy)]
enum Token {
    Mail,
    Dial(IoId),
    Stream(IoId),
    Listener(ListenerId),
    Lingering,
}

impl<H: Handler> Container<H> {
    /// A container with default options.
    pub fn new(handler: H) -> Self {
        Self::with_options(handler, ContainerOptions::default())
    }

    /// A container with these options; where their seed is 0, a random one takes its place.
    pub fn with_options(handler: H, options: ContainerOptions) -> Self {
        Self {
            runner: Runner::new(handler, options),
            waker: None,
            dials: Dials::default(),
            listeners: Vec::new(),
            poller: Poller::default(),
            ready: Vec::new(),
        }
    }

    /// Has every connection recorded that is made from now on, each to a file of its own.
    ///
    /// ```no_run
    /// # struct Printer;
    /// # impl amqp1_std::Handler for Printer {}
    /// use amqp1_std::{Container, record::Recorder};
    ///
    /// Container::new(Printer).record(Recorder::new("recordings")).run()?;
    /// # Ok::<(), amqp1_std::Error>(())
    /// ```
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.runner.record(recorder);
        self
    }

    /// How connections to `amqps` addresses do TLS; by default they trust the authorities of the operating system.
    ///
    /// ```no_run
    /// # struct Printer;
    /// # impl amqp1_std::Handler for Printer {}
    /// use amqp1_std::{Container, TlsClient};
    ///
    /// Container::new(Printer).tls_client(TlsClient::new().ca_file("ca.pem")?).run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Sends events into this container from other threads.
    ///
    /// An injector does not keep the container from ending when nothing else is left to do.
    #[must_use]
    pub fn injector(&self) -> Injector {
        self.runner.injector()
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
                    self.runner.engine.stop();
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
        if self.runner.is_finished() {
            return Ok(false);
        }
        if self.runner.is_started() {
            self.wait(timeout.into());
            self.take_in();
        } else {
            let waker = Arc::new(Waker::new().map_err(Error::System)?);
            self.waker = Some(Arc::clone(&waker));
            self.runner.start(move || waker.wake());
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
        self.runner.has_more()
    }

    /// The handler.
    pub const fn handler(&mut self) -> &mut H {
        &mut self.runner.handler
    }

    /// Sleeps until a socket is ready, a deadline comes or the time is over.
    fn wait(&mut self, timeout: Option<Duration>) {
        let now = self.runner.clock.now();
        let mut deadline = timeout.map(|timeout| now + timeout);
        let mut wake_at = |at: Instant| deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
        self.runner.deadline().into_iter().for_each(&mut wake_at);

        let mut poll = self.poller.start();
        if let Some(waker) = &self.waker {
            poll.add(&**waker, Token::Mail, true, false);
        }
        for (id, listener) in self.listeners.iter().flatten() {
            listener.deadline(now).into_iter().for_each(&mut wake_at);
            for socket in listener.sockets(now) {
                poll.add(socket, Token::Listener(*id), true, false);
            }
        }
        for (io, dial) in self.dials.iter() {
            dial.deadline().into_iter().for_each(&mut wake_at);
            if let Some(socket) = dial.socket() {
                poll.add(socket, Token::Dial(*io), false, true);
            }
        }
        for stream in self.runner.streams.iter() {
            poll.add(stream.socket(), Token::Stream(stream.io()), stream.wants_read(), stream.wants_write());
        }
        for socket in self.runner.lingering.sockets() {
            poll.add(socket, Token::Lingering, true, false);
        }
        let timeout = deadline.map(|deadline| deadline.duration_since(now));
        poll.wait(timeout, |token, ready| self.ready.push((token, ready)));
    }

    /// Takes in what other threads, the sockets and the time have brought.
    fn take_in(&mut self) {
        let now = self.runner.clock.now();
        self.runner.streams.polled();
        let mut ready = mem::take(&mut self.ready);
        for (token, ready) in ready.drain(..) {
            match token {
                Token::Mail => self.take_mail(now),
                Token::Listener(listener) => self.accept(listener, now),
                Token::Dial(io) => self.advance(io, now),
                Token::Stream(io) => {
                    let Runner { streams, engine, .. } = &mut self.runner;
                    if ready.readable {
                        streams.read(io, engine, now);
                    }
                    if ready.writable {
                        streams.resume(io, engine, now);
                    }
                }
                Token::Lingering => {}
            }
        }
        self.ready = ready;
        while let Some(io) = self.dials.overdue(now) {
            self.advance(io, now);
        }
        self.runner.handle_timeout(now);
    }

    fn take_mail(&mut self, now: Instant) {
        if let Some(waker) = &self.waker {
            waker.clear();
        }
        for (io, addresses) in self.runner.take_mail() {
            if let Some(dial) = self.dials.take(io) {
                let dialed = dial.found(addresses, now).map(Dialed::Pending);
                self.dialed(io, dialed, now);
            }
        }
    }

    fn advance(&mut self, io: IoId, now: Instant) {
        if let Some(dial) = self.dials.take(io) {
            self.dialed(io, dial.advance(now), now);
        }
    }

    fn dialed(&mut self, io: IoId, dialed: Result<Dialed<TcpStream>, Failure>, now: Instant) {
        match dialed {
            Ok(Dialed::Pending(dial)) => self.dials.put(io, dial),
            Ok(Dialed::Connected(socket, channel)) => {
                self.runner.streams.add(io, socket, channel);
                self.runner.engine.connected(io, now);
            }
            Err(failure) => self.runner.engine.connect_failed(io, &failure.reason()),
        }
    }

    fn accept(&mut self, id: ListenerId, now: Instant) {
        let Some(Some((_, listener))) = self.listeners.get_mut(id.index()) else { return };
        let Runner { stages, streams, engine, .. } = &mut self.runner;
        listener.accept(stages, now, |socket, channel| {
            if let Some(io) = engine.accepted(id, now) {
                streams.add(io, socket, channel);
            }
        });
    }

    fn obey(&mut self, action: Action, now: Instant) {
        match action {
            Action::Connect { io, address } => {
                let mailbox = self.runner.mailbox();
                let stages = &self.runner.stages;
                let dial = Dial::new(CONNECTOR, address, stages, move |found| mailbox.put_found(io, found));
                self.dialed(io, dial.map(Dialed::Pending), now);
            }
            Action::Listen { listener: id, address } => {
                match Listener::open(ACCEPTOR, &address, &self.runner.stages) {
                    Ok(listener) => {
                        let local = listener.local_address().unwrap_or_else(|| address.to_string());
                        put(&mut self.listeners, id.index(), (id, listener));
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
                //= 5.1-02
                let Runner { streams, engine, lingering, .. } = &mut self.runner;
                if let Some(socket) = streams.take(io, engine)
                    && socket.shutdown(Shutdown::Write).is_ok()
                {
                    lingering.add(socket, now);
                }
            }
            action => debug_assert!(false, "this driver does not know {action:?}"),
        }
    }
}

impl<H> fmt::Debug for Container<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runner.fmt(f)
    }
}

/// Puts a value at its place in a table.
fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}
