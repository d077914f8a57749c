//! The SASL layer, §5.3: what to offer or accept, mechanisms, and why authentication failed.
//!
//! ```
//! use amqp1_engine::sasl::{Refusal, Sasl, Secret};
//!
//! let client = Sasl::client().plain("alice", "open sesame").frame_limit(8_192);
//!
//! let password = Secret::from("open sesame");
//! let server = Sasl::server().anonymous().plain(move |user, candidate| {
//!     // Both are looked at, so that the time taken does not tell which one was wrong.
//!     if password.matches(candidate) & (user == "alice") { Ok(()) } else { Err(Refusal::Credentials) }
//! });
//! ```

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::fmt;

use crate::codec::{Str, Symbol};

mod client;
mod error;
pub use error::{MechanismError, Refusal, SaslError};
mod exchange;
pub(crate) use exchange::Exchange;
#[cfg(test)]
pub(crate) mod fixture;
mod mechanism;
use mechanism::{Anonymous, ExternalClient, ExternalServer, PlainClient, PlainServer};
pub use mechanism::{ClientMechanism, ServerMechanism, ServerStep};
mod secret;
pub use secret::Secret;
mod server;

const ANONYMOUS: Symbol = Symbol::from_static("ANONYMOUS");
const PLAIN: Symbol = Symbol::from_static("PLAIN");
const EXTERNAL: Symbol = Symbol::from_static("EXTERNAL");

/// How a connection authenticates: the side that opened the socket is the SASL client (§5.3.2).
///
/// Cheap to clone; one configuration serves any number of connections.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// For the side that opened the socket.
    Client(Client),
    /// For the side that accepted the socket.
    Server(Server),
}

impl Sasl {
    /// Starts a client's configuration, with no mechanism yet.
    #[must_use]
    pub fn client() -> Client {
        Client::default()
    }

    /// Starts a server's configuration, with no mechanism yet.
    #[must_use]
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

/// The bounds of one exchange, in either role.
#[derive(Clone, Copy, Debug)]
struct Limits {
    frame_size: u32,
    rounds: u32,
}

impl Default for Limits {
    /// 512 bytes is what §5.3.1 grants.
    fn default() -> Self {
        Self { frame_size: 512, rounds: 16 }
    }
}

type NewClient = dyn Fn() -> Box<dyn ClientMechanism> + Send + Sync;
type NewServer = dyn Fn(&Channel) -> Option<Box<dyn ServerMechanism>> + Send + Sync;

/// A client's mechanisms in order of preference: the first that the server offers, too, is used.
#[derive(Clone, Default)]
pub struct Client {
    mechanisms: Vec<(Symbol, Arc<NewClient>)>,
    /// EXTERNAL only where the channel shows who we are.
    external_if_shown: bool,
    clear_text: bool,
    limits: Limits,
}

impl Client {
    /// Authenticates as nobody.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.mechanism(ANONYMOUS, || Box::new(Anonymous))
    }

    /// Authenticates with user name and password; over a channel that is not encrypted only together with
    /// [`allow_clear_text`](Self::allow_clear_text).
    #[must_use]
    pub fn plain(self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let (user, password) = (Arc::<str>::from(user.into()), password.into());
        self.mechanism(PLAIN, move || {
            Box::new(PlainClient { user: Arc::clone(&user), password: password.clone() })
        })
    }

    /// Authenticates as whom the channel below has proved us to be, by a client certificate for instance.
    #[must_use]
    pub fn external(self) -> Self {
        self.mechanism(EXTERNAL, || Box::new(ExternalClient))
    }

    /// The same where the channel [shows](Channel::shows_us) who we are; elsewhere the next mechanism is tried.
    #[must_use]
    pub fn external_if_shown(self) -> Self {
        Self { external_if_shown: true, ..self.external() }
    }

    /// Authenticates by a mechanism of the caller's; `start` makes one for each connection.
    #[must_use]
    pub fn mechanism(
        mut self,
        name: Symbol,
        start: impl Fn() -> Box<dyn ClientMechanism> + Send + Sync + 'static,
    ) -> Self {
        self.mechanisms.push((name, Arc::new(start)));
        self
    }

    /// Lets PLAIN and its like send the password readable over a channel that is not encrypted.
    #[must_use]
    pub fn allow_clear_text(mut self) -> Self {
        self.clear_text = true;
        self
    }

    /// Bounds SASL frames of either direction, in bytes; 512 by default. Bearer tokens often need 8,192.
    #[must_use]
    pub fn frame_limit(mut self, bytes: u32) -> Self {
        self.limits.frame_size = bytes;
        self
    }

    /// Bounds the challenges that one authentication may take; 16 by default.
    #[must_use]
    pub fn round_limit(mut self, rounds: u32) -> Self {
        self.limits.rounds = rounds;
        self
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("mechanisms", &Names(&self.mechanisms))
            .field("clear_text", &self.clear_text)
            .field("limits", &self.limits)
            .finish()
    }
}

/// A server's mechanisms in the order in which they are offered, most preferred first.
#[derive(Clone, Default)]
pub struct Server {
    mechanisms: Vec<(Symbol, Arc<NewServer>)>,
    optional: bool,
    limits: Limits,
}

impl Server {
    /// Accepts everybody as nobody in particular.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.mechanism(ANONYMOUS, || Box::new(Anonymous))
    }

    /// Accepts the user names and passwords that `verify` takes. Compare passwords by [`Secret::matches`].
    ///
    /// Offered on every channel: whether to send a password over one that is not encrypted is up to the client.
    #[must_use]
    pub fn plain(self, verify: impl Fn(&str, &str) -> Result<(), Refusal> + Send + Sync + 'static) -> Self {
        let verify: Arc<mechanism::Verify> = Arc::new(verify);
        self.mechanism(PLAIN, move || Box::new(PlainServer { verify: Arc::clone(&verify) }))
    }

    /// Accepts whom the channel below has proved the peer to be; offered only where [`Channel::peer`] is known.
    #[must_use]
    pub fn external(self) -> Self {
        self.offer(EXTERNAL, |channel| {
            let peer = channel.peer.as_deref()?;
            Some(Box::new(ExternalServer { peer: peer.into() }))
        })
    }

    /// Accepts by a mechanism of the caller's; `start` makes one for each connection.
    #[must_use]
    pub fn mechanism(
        self,
        name: Symbol,
        start: impl Fn() -> Box<dyn ServerMechanism> + Send + Sync + 'static,
    ) -> Self {
        self.offer(name, move |_| Some(start()))
    }

    /// Serves clients that skip SASL as well; they have no [`Identity`].
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Bounds SASL frames of either direction, in bytes; 512 by default. Bearer tokens often need 8,192.
    #[must_use]
    pub fn frame_limit(mut self, bytes: u32) -> Self {
        self.limits.frame_size = bytes;
        self
    }

    /// Bounds the challenges that one authentication may take; 16 by default.
    #[must_use]
    pub fn round_limit(mut self, rounds: u32) -> Self {
        self.limits.rounds = rounds;
        self
    }

    pub(crate) const fn is_optional(&self) -> bool {
        self.optional
    }

    /// A name that is offered twice means the later mechanism.
    fn offer(
        mut self,
        name: Symbol,
        start: impl Fn(&Channel) -> Option<Box<dyn ServerMechanism>> + Send + Sync + 'static,
    ) -> Self {
        self.mechanisms.retain(|(other, _)| *other != name);
        self.mechanisms.push((name, Arc::new(start)));
        self
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("mechanisms", &Names(&self.mechanisms))
            .field("optional", &self.optional)
            .field("limits", &self.limits)
            .finish()
    }
}

struct Names<'a, T: ?Sized>(&'a [(Symbol, Arc<T>)]);

impl<T: ?Sized> fmt::Debug for Names<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What the driver knows of the byte channel below AMQP, as TLS tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// Nobody on the way can read what is sent.
    pub encrypted: bool,
    /// The peer's name as the channel has proved it, from a client certificate for instance.
    pub peer: Option<Str>,
    /// The channel shows the peer who we are, by a client certificate for instance.
    pub shows_us: bool,
}

/// The result of an authentication that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: Option<Str>,
    mechanism: Symbol,
}

impl Identity {
    /// On a server: who the client is; `None` for nobody in particular, as with ANONYMOUS. On a client: `None`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The name of the mechanism that was used.
    #[must_use]
    pub fn mechanism(&self) -> &str {
        self.mechanism.as_str()
    }
}
