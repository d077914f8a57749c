//! The SASL layer, §5.3: configuration, mechanisms and the exchange in both roles.

use alloc::string::String;

/// How a connection authenticates: the side that opened the socket is the SASL client (§5.3.2).
#[derive(Clone, Debug)]
pub enum Sasl {
    /// For the side that opened the socket.
    Client(Client),
    /// For the side that accepted the socket.
    Server(Server),
}

impl Sasl {
    /// Starts a client's configuration, with no mechanism yet.
    pub fn client() -> Client {
        Client::default()
    }

    /// Starts a server's configuration, with no mechanism yet.
    pub fn server() -> Server {
        Server::default()
    }
}

impl From<Client> for Sasl {
    fn from(client: Client) -> Self {
        Self::Client(client)
    }
}

impl From<Server> for Sasl {
    fn from(server: Server) -> Self {
        Self::Server(server)
    }
}

/// A client's mechanisms, in order of preference.
#[derive(Clone, Debug, Default)]
pub struct Client {}

impl Client {
    /// Offers to authenticate as nobody.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self
    }

    /// Offers user name and password; over a channel that is not encrypted only after
    /// [`allow_clear_text`](Self::allow_clear_text).
    #[must_use]
    pub fn plain(self, _user: impl Into<String>, _password: impl Into<Secret>) -> Self {
        self
    }

    /// Offers the identity that the channel below has proved, by a client certificate for instance.
    #[must_use]
    pub fn external(self) -> Self {
        self
    }

    /// Lets PLAIN send the password readable over a channel that is not encrypted.
    #[must_use]
    pub fn allow_clear_text(self) -> Self {
        self
    }
}

/// A server's mechanisms, in the order in which they are offered.
#[derive(Clone, Debug, Default)]
pub struct Server {}

impl Server {
    /// Accepts everybody as nobody in particular.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self
    }

    /// Accepts the users and passwords that `verify` takes.
    #[must_use]
    pub fn plain(self, _verify: impl Fn(&str, &str) -> Result<(), Refusal> + Send + Sync + 'static) -> Self {
        self
    }

    /// Accepts the identity that the channel below has proved; offered only where there is one.
    #[must_use]
    pub fn external(self) -> Self {
        self
    }

    /// Also accepts clients that skip SASL.
    #[must_use]
    pub fn optional(self) -> Self {
        self
    }
}

/// What is known of the byte channel below AMQP.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// Nobody on the way can read what is sent.
    pub encrypted: bool,
    /// The peer's name as the channel has proved it, from a client certificate for instance.
    pub peer: Option<String>,
}

/// The outcome of a successful authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: Option<String>,
    mechanism: String,
}

impl Identity {
    /// Who authenticated; nobody with ANONYMOUS.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The mechanism used.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }
}

/// Why a server turned credentials down, §5.3.3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `auth`: the credentials are wrong.
    Credentials,
    /// `sys`: the server failed.
    System,
    /// `sys-perm`: the server failed and will again.
    SystemPermanent,
    /// `sys-temp`: the server failed; trying later may help.
    SystemTemporary,
}

/// A password or token: masked in `Debug`, without `Display`.
#[derive(Clone)]
pub struct Secret(alloc::sync::Arc<str>);

impl Secret {
    /// The text itself; never let it reach a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<alloc::sync::Arc<str>>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("***")
    }
}
