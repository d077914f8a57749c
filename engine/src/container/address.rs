use alloc::string::String;
use core::fmt;

use crate::sasl::Secret;

/// The kind of byte stream below AMQP, named as in URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `amqp`: plain TCP, port 5672.
    #[default]
    Amqp,
    /// `amqps`: TLS, port 5671.
    Amqps,
    /// `ws`: WebSocket, port 80.
    Ws,
    /// `wss`: WebSocket over TLS, port 443.
    Wss,
}

impl Scheme {
    /// The name as written in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amqp => "amqp",
            Self::Amqps => "amqps",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The port that is meant where none is given.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Amqp => 5672,
            Self::Amqps => 5671,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// Where a peer is found or awaited, and as whom it is met.
///
/// The engine resolves and parses nothing: drivers turn the URLs of their users into addresses. `Debug` and
/// `Display` show neither user nor password.
#[derive(Clone)]
pub struct Address {
    /// The kind of byte stream.
    pub scheme: Scheme,
    /// Name or IP address of the peer's host, or of the local interface to listen at; IPv6 without brackets.
    pub host: String,
    /// The TCP port; 0 to listen lets the system choose one.
    pub port: u16,
    /// The user to authenticate as; without one, as nobody.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The address of a node on that host, as the node's owner writes it.
    pub path: Option<String>,
}

impl Address {
    /// The plain TCP address of a host.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { scheme: Scheme::Amqp, host: host.into(), port, user: None, password: None, path: None }
    }

    /// The same, with the address of a node on that host.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same, met as this user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path, .. } = self;
        let scheme = scheme.as_str();
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")?;
        } else {
            write!(f, "{scheme}://{host}:{port}")?;
        }
        match path {
            Some(path) => write!(f, "/{path}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn an_address_never_shows_who_logs_in() {
        let address = Address::new("::1", 5672).with_user("ann", "hush").with_path("q/1");
        assert_eq!(format!("{address}"), "amqp://[::1]:5672/q/1");
        assert_eq!(format!("{address:?}"), "Address(amqp://[::1]:5672/q/1)");
    }
}
