//! Connections.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::TcpStream,
    sync::{Arc, Weak, mpsc},
    thread,
    time::Duration,
};

#[cfg(feature = "tls")]
use amqp1_driver::TlsClient;
use amqp1_driver::{
    Channel, Clock, Dial, Dialed, Stages, Url,
    client::{Error, State, Waiting},
    record::Recorder,
    trace_is_wanted,
};
use amqp1_engine::{
    Instant, LinkConfig,
    codec::Str,
    container::{Address, ConnectionOptions},
    types::{Open, Role, Target, capability},
};

use super::{Receiver, Sender, link::LinkHandle, shared::Shared};
use crate::{dial::CONNECTOR, poller::Poller};

/// Connects with default [`Options`].
///
/// # Errors
/// As [`Options::connect`].
pub fn connect<U>(url: U) -> Result<Connection, Error>
where
    U: TryInto<Url>,
    Error: From<U::Error>,
{
    Options::default().connect(url)
}

/// How to connect.
///
/// ```no_run
/// use amqp1_std::blocking::Options;
/// use std::time::Duration;
///
/// let mut options = Options { timeout: Duration::from_secs(5), ..Options::default() };
/// options.connection.allow_clear_text = true;
/// let connection = options.connect("amqp://guest:guest@localhost")?;
/// # Ok::<(), amqp1_std::blocking::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// How long any call may take that is given no time of its own. Default 60 s.
    pub timeout: Duration,
    /// This side's name, by which its peers know it again (§2.4.1). Without one a new one is made.
    pub container_id: Option<Str>,
    /// What the connection says of itself and how far it goes.
    pub connection: ConnectionOptions,
    /// Where each connection is recorded, if at all.
    pub record: Option<Recorder>,
    /// How connections to `amqps` addresses do TLS; by default they trust the authorities of the operating system.
    #[cfg(feature = "tls")]
    pub tls: TlsClient,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            container_id: None,
            connection: ConnectionOptions::default(),
            record: None,
            #[cfg(feature = "tls")]
            tls: TlsClient::new(),
        }
    }
}

impl Options {
    /// Connects, authenticates and opens the connection.
    ///
    /// All addresses of the host are tried. A user and a password in the URL are used with SASL PLAIN, over plain TCP
    /// only if [`allow_clear_text`](ConnectionOptions::allow_clear_text) is set; without them SASL ANONYMOUS is used.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Connect`], [`Error::TimedOut`], or what the peer objects to.
    pub fn connect<U>(&self, url: U) -> Result<Connection, Error>
    where
        U: TryInto<Url>,
        Error: From<U::Error>,
    {
        let address = Address::from(url.try_into()?);
        let clock = Clock::new();
        let deadline = clock.now() + self.timeout;
        let stream = dial(address.clone(), &self.stages(), &clock, deadline)?;

        let random = RandomState::new().hash_one(0);
        let container_id = self.container_id.clone().unwrap_or_else(|| format!("amqp1-{random:016x}").into());
        let mut config = self.connection.client_config(container_id, &address);
        config.trace |= trace_is_wanted();
        config.record = self.record.as_ref().map(|recorder| recorder.record.clone());
        let mut engine = amqp1_engine::Connection::new(config, clock.now());
        engine.open();
        let mut state =
            State::new(engine, self.connection.session.clone(), self.record.as_ref().map(Recorder::begin));
        state.session()?;
        let shared = Shared::new(state, stream, clock, self.timeout)
            .map_err(|error| Error::Broken(Arc::new(error)))?;
        let shared = Arc::new(shared);
        shared.wait(deadline, Waiting::Open, |state| Ok(state.remote_open()?.map(|_| ())))?;
        let keeper = keep_alive(&shared);
        Ok(Connection { shared, names: format!("{random:016x}"), _keeper: keeper.map(Arc::new) })
    }
}

impl Options {
    fn stages(&self) -> Stages {
        #[allow(unused_mut, reason = "without any feature there is no stage")]
        let mut stages = Stages::default();
        #[cfg(feature = "tls")]
        {
            stages.tls_client = self.tls.clone();
        }
        stages
    }
}

/// Connects to the first of the host's addresses that answers.
fn dial(
    address: Address,
    stages: &Stages,
    clock: &Clock,
    deadline: Instant,
) -> Result<(TcpStream, Channel), Error> {
    let (sender, found) = mpsc::sync_channel(1);
    let dial = Dial::new(CONNECTOR, address, stages, move |found| {
        // Nobody listens any more if the look-up took too long.
        let _ = sender.send(found);
    })?;
    let found = found
        .recv_timeout(deadline.duration_since(clock.now()))
        .map_err(|_| Error::TimedOut(Waiting::Lookup))?;
    let mut dial = dial.found(found, clock.now())?;
    let mut poller = Poller::default();
    loop {
        let now = clock.now();
        if now >= deadline {
            return Err(Error::TimedOut(Waiting::Connect));
        }
        let mut poll = poller.start();
        if let Some(socket) = dial.socket() {
            poll.add(socket, (), false, true);
        }
        let until = dial.deadline().map_or(deadline, |attempt| attempt.min(deadline));
        poll.wait(Some(until.duration_since(now)), |(), _| {});
        dial = match dial.advance(clock.now())? {
            Dialed::Connected(socket, channel) => return Ok((socket, channel)),
            Dialed::Pending(dial) => dial,
        };
    }
}

/// Sees to heartbeats while no call is in progress, from a thread of its own that ends when the sender of this
/// channel is dropped. A connection without idle time-outs has nothing to see to.
fn keep_alive(shared: &Arc<Shared>) -> Option<mpsc::Sender<()>> {
    let mut next = shared.keep()?;
    let (keeper, end) = mpsc::channel();
    let shared: Weak<Shared> = Arc::downgrade(shared);
    thread::spawn(move || {
        while let Some(wait) = shared.upgrade().map(|shared| shared.until(next)) {
            if end.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return;
            }
            match shared.upgrade().and_then(|shared| shared.keep()) {
                Some(deadline) => next = deadline,
                None => return,
            }
        }
    });
    Some(keeper)
}

/// An open connection.
///
/// It may be cloned and shared; the connection is closed when the last of its handles is dropped: connections, links and
/// deliveries. [`close`](Self::close) also waits for the peer's answer.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    /// Makes the names of links unique.
    names: String,
    /// Ends the thread that sees to heartbeats.
    _keeper: Option<Arc<mpsc::Sender<()>>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes a link that sends to `address`.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it refuses the link, [`Error::TimedOut`], or why the
    /// connection is over.
    pub fn sender(&self, address: impl Into<Str>) -> Result<Sender, Error> {
        self.attach_sender(LinkConfig::sender(self.link_name(), address))
    }

    /// Makes a link that sends to any node of the peer: each message says `to` whom it goes.
    ///
    /// # Errors
    /// [`Error::NotSupported`] where the peer does not offer that (AMQP Anonymous Terminus), else as
    /// [`sender`](Self::sender).
    pub fn anonymous_sender(&self) -> Result<Sender, Error> {
        if !self.remote_open()?.offered_capabilities.contains(&capability::ANONYMOUS_RELAY) {
            return Err(Error::NotSupported("a link to all its nodes"));
        }
        let target = Some(Box::new(Target::default().into()));
        self.attach_sender(LinkConfig { target, ..LinkConfig::sender(self.link_name(), "") })
    }

    /// Makes a link that receives from `address`, with up to 10 messages on their way ahead of
    /// [`recv`](Receiver::recv).
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub fn receiver(&self, address: impl Into<Str>) -> Result<Receiver, Error> {
        self.attach_receiver(LinkConfig::receiver(self.link_name(), address), 10)
    }

    /// Makes a link that sends, in every detail as told.
    ///
    /// # Errors
    /// As [`sender`](Self::sender), and [`Error::Misuse`] when the name is in use.
    pub fn attach_sender(&self, config: LinkConfig) -> Result<Sender, Error> {
        self.attach(Role::Sender, config, 0).map(Sender::new)
    }

    /// Makes a link that receives, in every detail as told, with up to `prefetch` messages (at least one) on their way
    /// ahead of [`recv`](Receiver::recv).
    ///
    /// # Errors
    /// As [`attach_sender`](Self::attach_sender).
    pub fn attach_receiver(&self, config: LinkConfig, prefetch: u32) -> Result<Receiver, Error> {
        self.attach(Role::Receiver, config, prefetch.max(1)).map(Receiver::new)
    }

    /// A name that no other link has, for a link's configuration.
    pub fn link_name(&self) -> Str {
        let number = self.shared.tell(State::next_link);
        format!("{}-{number}", self.names).into()
    }

    /// What the peer said of itself when the connection was opened (§2.7.1).
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn remote_open(&self) -> Result<Open, Error> {
        self.shared.tell(|state| state.remote_open()?.cloned().ok_or(Error::Closed(None)))
    }

    /// Closes the connection and waits for the peer to do so, too. What was sent before leaves first.
    ///
    /// Calls that other threads are waiting in fail. Closing twice does no harm.
    ///
    /// # Errors
    /// [`Error::Closed`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or what else
    /// ended the connection.
    pub fn close(&self) -> Result<(), Error> {
        let deadline = self.shared.deadline(self.shared.timeout);
        let closed = self.shared.wait(deadline, Waiting::Close, State::close);
        self.shared.hang_up();
        closed
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn attach(&self, role: Role, config: LinkConfig, prefetch: u32) -> Result<LinkHandle, Error> {
        let link = self.shared.tell(|state| state.attach(None, role, config, prefetch))?;
        let handle = LinkHandle::new(self.clone(), link);
        handle.wait(Waiting::Attach, |state| state.attached(link))?;
        Ok(handle)
    }
}
