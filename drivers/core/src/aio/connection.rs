//! Connections.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use amqp1_engine::{
    LinkConfig, SessionConfig,
    codec::Str,
    container::{Address, ConnectionOptions},
    types::{Open, Role, Target, capability},
};

use super::{
    Receiver, Runtime, Sender, Session, Socket,
    dial::{dial, within},
    link::LinkHandle,
    pump::Pump,
    shared::{Shared, Wait},
    waiters::Key,
};
#[cfg(feature = "tls")]
use crate::TlsClient;
use crate::{
    Channel, Clock, Failure, Stages, Url,
    client::{Error, State, Waiting},
    record::Recorder,
    trace_is_wanted,
};

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long any call may take. Default 60 s.
    pub timeout: Duration,
    /// This side's name, by which its peers know it again (§2.4.1). Without one a new one is made.
    pub container_id: Option<Str>,
    /// What the connection says of itself and how far it goes.
    pub connection: ConnectionOptions,
    /// How connections to `amqps` addresses do TLS; by default they trust the authorities of the operating system.
    #[cfg(feature = "tls")]
    pub tls: TlsClient,
    /// Where each connection is recorded, if at all.
    pub record: Option<Recorder>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            container_id: None,
            connection: ConnectionOptions::default(),
            #[cfg(feature = "tls")]
            tls: TlsClient::new(),
            record: None,
        }
    }
}

impl Options {
    /// Connects, authenticates and opens the connection, whose task the runtime runs.
    ///
    /// All addresses of the host are tried. A user and a password in the URL are used with SASL PLAIN, over plain TCP
    /// only if [`allow_clear_text`](ConnectionOptions::allow_clear_text) is set; without them SASL ANONYMOUS is used.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Connect`], [`Error::TimedOut`], or what the peer objects to.
    pub async fn connect<R, U>(&self, url: U) -> Result<Connection, Error>
    where
        R: Runtime<Socket: Unpin>,
        U: TryInto<Url>,
        Error: From<U::Error>,
    {
        let address = Address::from(url.try_into()?);
        let clock = Clock::new();
        let deadline = clock.now() + self.timeout;
        let channel = self.channel(&address)?;
        let socket = within::<R, _>(self.timeout, dial::<R>(address.clone()))
            .await
            .ok_or(Error::TimedOut(Waiting::Connect))??;
        let (connection, pump) = self.open::<R, _>(&address, (socket, channel), clock)?;
        R::spawn(pump);
        connection.opened(deadline).await?;
        Ok(connection)
    }

    /// Opens a connection over a byte stream that is there already, as to this address: a task, to be run by whoever runs
    /// tasks, and what comes of it once that does.
    ///
    /// # Errors
    /// [`Error::Connect`]: the address asks for something that this program is built without.
    pub fn connect_over<R: Runtime, S: Socket + Unpin>(
        &self,
        address: &Address,
        socket: S,
    ) -> Result<
        (
            impl Future<Output = Result<Connection, Error>> + use<R, S>,
            impl Future<Output = ()> + Send + use<R, S>,
        ),
        Error,
    > {
        let channel = self.channel(address)?;
        let clock = Clock::new();
        let deadline = clock.now() + self.timeout;
        let (connection, pump) = self.open::<R, _>(address, (socket, channel), clock)?;
        let opened = async move {
            connection.opened(deadline).await?;
            Ok(connection)
        };
        Ok((opened, pump))
    }

    fn open<R: Runtime, S: Socket>(
        &self,
        address: &Address,
        (socket, channel): (S, Channel),
        clock: Clock,
    ) -> Result<(Connection, Pump<R, S>), Error> {
        let random = RandomState::new().hash_one(0);
        let container_id = self.container_id.clone().unwrap_or_else(|| format!("amqp1-{random:016x}").into());
        let mut config = self.connection.client_config(container_id, address);
        config.trace |= trace_is_wanted();
        config.record = self.record.as_ref().map(|recorder| recorder.record.clone());
        let mut engine = amqp1_engine::Connection::new(config, clock.now());
        engine.open();
        let recording = self.record.as_ref().map(Recorder::begin);
        let mut state = State::new(engine, self.connection.session.clone(), recording);
        state.session()?;
        let shared = Shared::new(state, clock);
        let owner = Owner { shared: Arc::clone(&shared), names: format!("{random:016x}") };
        let connection = Connection { owner: Arc::new(owner), timeout: self.timeout };
        Ok((connection, Pump::new(shared, socket, channel)))
    }
}

impl Options {
    /// What lies between the socket and the engine.
    fn channel(&self, address: &Address) -> Result<Channel, Error> {
        #[allow(unused_mut, reason = "without any feature there is no stage")]
        let mut stages = Stages::default();
        #[cfg(feature = "tls")]
        {
            stages.tls_client = self.tls.clone();
        }
        stages.connect(address).map_err(|error| Failure::connect(address, error).into())
    }
}

/// An open connection.
///
/// It may be cloned and used by any number of tasks; the connection is closed when the last of its handles is dropped:
/// connections, sessions, links and deliveries. [`close`](Self::close) also waits for the peer's answer.
#[derive(Clone)]
pub struct Connection {
    owner: Arc<Owner>,
    /// How long a call may take.
    pub(super) timeout: Duration,
}

struct Owner {
    shared: Arc<Shared>,
    /// Makes the names of links unique.
    names: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    /// The same connection, whose calls, and those of what is made by it, take so long at most.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Makes a link that sends to `address`.
    ///
    /// # Errors
    /// [`Error::Detached`] with the peer's reason when it refuses the link, [`Error::TimedOut`], or why the
    /// connection is over.
    pub async fn sender(&self, address: impl Into<Str>) -> Result<Sender, Error> {
        self.attach_sender(LinkConfig::sender(self.link_name(), address)).await
    }

    /// Makes a link that sends to any node of the peer: each message says `to` whom it goes.
    ///
    /// # Errors
    /// [`Error::NotSupported`] where the peer does not offer that (AMQP Anonymous Terminus), else as
    /// [`sender`](Self::sender).
    pub async fn anonymous_sender(&self) -> Result<Sender, Error> {
        if !self.remote_open()?.offered_capabilities.contains(&capability::ANONYMOUS_RELAY) {
            return Err(Error::NotSupported("a link to all its nodes"));
        }
        let target = Some(Box::new(Target::default().into()));
        self.attach_sender(LinkConfig { target, ..LinkConfig::sender(self.link_name(), "") }).await
    }

    /// Makes a link that receives from `address`, with up to 10 messages on their way ahead of
    /// [`recv`](Receiver::recv).
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub async fn receiver(&self, address: impl Into<Str>) -> Result<Receiver, Error> {
        self.attach_receiver(LinkConfig::receiver(self.link_name(), address), 10).await
    }

    /// Makes a link that sends, in every detail as told.
    ///
    /// # Errors
    /// As [`sender`](Self::sender), and [`Error::Misuse`] when the name is in use.
    pub async fn attach_sender(&self, config: LinkConfig) -> Result<Sender, Error> {
        LinkHandle::attach(self, None, Role::Sender, config, 0).await.map(Sender::new)
    }

    /// Makes a link that receives, in every detail as told, with up to `prefetch` messages on their way ahead of
    /// [`recv`](Receiver::recv). With 0 none comes before [`add_credit`](Receiver::add_credit) asks for it.
    ///
    /// # Errors
    /// As [`attach_sender`](Self::attach_sender).
    pub async fn attach_receiver(&self, config: LinkConfig, prefetch: u32) -> Result<Receiver, Error> {
        LinkHandle::attach(self, None, Role::Receiver, config, prefetch).await.map(Receiver::new)
    }

    /// Begins a session of its own, with a window of its own and links that end with it. Links that are made by the
    /// connection share one that is there from the beginning.
    ///
    /// # Errors
    /// [`Error::Misuse`] when there are too many, [`Error::TimedOut`], or why the connection is over.
    pub async fn session(&self, config: SessionConfig) -> Result<Session, Error> {
        Session::begin(self, config).await
    }

    /// A name that no other link has, for a link's configuration.
    #[must_use]
    pub fn link_name(&self) -> Str {
        let number = self.shared().tell(State::next_link);
        format!("{}-{number}", self.owner.names).into()
    }

    /// What the peer said of itself when the connection was opened (§2.7.1).
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn remote_open(&self) -> Result<Open, Error> {
        self.shared().tell(|state| state.remote_open()?.cloned().ok_or(Error::Closed(None)))
    }

    /// Closes the connection and waits for the peer to do so, too. What was sent before leaves first.
    ///
    /// Calls that other tasks are waiting in fail. Closing twice does no harm.
    ///
    /// # Errors
    /// [`Error::Closed`] with the peer's reason when it closed with an error, [`Error::TimedOut`], or what else
    /// ended the connection.
    pub async fn close(&self) -> Result<(), Error> {
        self.wait(Waiting::Close, State::close).await
    }

    async fn opened(&self, deadline: amqp1_engine::Instant) -> Result<(), Error> {
        let is_open = |state: &mut State| Ok(state.remote_open()?.map(|_| ()));
        self.shared().wait(Key::Connection, Some(deadline), Waiting::Open, is_open).await
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.owner.shared
    }

    /// Waits for news of the connection, as long as a call may take.
    pub(super) fn wait<T, F: FnMut(&mut State) -> Result<Option<T>, Error>>(
        &self,
        waiting: Waiting,
        look: F,
    ) -> Wait<'_, F> {
        let deadline = self.shared().clock.now() + self.timeout;
        self.shared().wait(Key::Connection, Some(deadline), waiting, look)
    }
}

impl Drop for Owner {
    /// The last handle is gone: says so, without waiting for an answer.
    fn drop(&mut self) {
        self.shared.tell(|state| state.engine.close(None));
    }
}
