//! SASL mechanisms: the traits of both roles, and ANONYMOUS (RFC 4505), PLAIN (RFC 4616) and EXTERNAL (RFC 4422).

use alloc::{string::String, sync::Arc, vec, vec::Vec};

use super::{MechanismError, Refusal, Secret};

/// The client's side of a mechanism, for one authentication.
///
/// A configuration makes one for each connection: see [`Client::mechanism`](super::Client::mechanism).
pub trait ClientMechanism: Send {
    /// Whether it sends what an eavesdropper could use again, as a password or a bearer token. Such a mechanism is not
    /// chosen over a channel that is not encrypted, unless that is allowed explicitly.
    fn needs_encryption(&self) -> bool;

    /// The initial response of sasl-init, `None` if the server speaks first.
    ///
    /// # Errors
    ///
    /// Ends the connection before anything of it was sent.
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError>;

    /// Answers a challenge.
    ///
    /// # Errors
    ///
    /// Ends the connection without an answer.
    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError>;

    /// Judges the server's success. A mechanism that authenticates the server as well fails here if that has not
    /// happened, since a server may announce success at any time.
    ///
    /// # Errors
    ///
    /// Ends the connection before anything else is sent.
    fn finish(&mut self, additional_data: Option<&[u8]>) -> Result<(), MechanismError>;
}

/// The server's side of a mechanism, for one authentication.
///
/// A configuration makes one for each connection: see [`Server::mechanism`](super::Server::mechanism).
pub trait ServerMechanism: Send {
    /// Takes the client's initial response, if it sent one.
    fn start(&mut self, initial_response: Option<&[u8]>) -> ServerStep;

    /// Takes the answer to the last challenge.
    fn respond(&mut self, response: &[u8]) -> ServerStep;
}

/// How a server goes on after it heard the client.
pub enum ServerStep {
    /// Asks for more.
    Challenge(Vec<u8>),
    /// Lets the client in.
    Accepted {
        /// Who it is; `None` for nobody in particular.
        user: Option<String>,
        /// The server's last word, if the mechanism has one.
        additional_data: Option<Vec<u8>>,
    },
    /// Turns the client away.
    Refused(Refusal),
}

impl ServerStep {
    fn accepted(user: impl Into<Option<String>>) -> Self {
        Self::Accepted { user: user.into(), additional_data: None }
    }
}

const NO_CHALLENGE: MechanismError = MechanismError::from_static("the mechanism knows no challenge");

pub(super) struct Anonymous;

impl ClientMechanism for Anonymous {
    fn needs_encryption(&self) -> bool {
        false
    }

    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(Some(Vec::new()))
    }

    fn respond(&mut self, _challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        Err(NO_CHALLENGE)
    }

    fn finish(&mut self, _additional_data: Option<&[u8]>) -> Result<(), MechanismError> {
        Ok(())
    }
}

impl ServerMechanism for Anonymous {
    /// The response would be trace information, which identifies nobody.
    fn start(&mut self, _initial_response: Option<&[u8]>) -> ServerStep {
        ServerStep::accepted(None)
    }

    fn respond(&mut self, _response: &[u8]) -> ServerStep {
        ServerStep::Refused(Refusal::Credentials)
    }
}

pub(super) struct PlainClient {
    pub(super) user: Arc<str>,
    pub(super) password: Secret,
}

impl ClientMechanism for PlainClient {
    fn needs_encryption(&self) -> bool {
        true
    }

    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        let (user, password) = (self.user.as_bytes(), self.password.expose().as_bytes());
        if user.is_empty() || password.is_empty() {
            return Err(MechanismError::from_static("PLAIN needs a user name and a password"));
        }
        if user.contains(&0) || password.contains(&0) {
            return Err(MechanismError::from_static("PLAIN cannot carry a NUL in user name or password"));
        }
        Ok(Some([&[0], user, &[0], password].concat()))
    }

    fn respond(&mut self, _challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        Err(NO_CHALLENGE)
    }

    fn finish(&mut self, _additional_data: Option<&[u8]>) -> Result<(), MechanismError> {
        Ok(())
    }
}

/// Judges a user name and password.
pub(super) type Verify = dyn Fn(&str, &str) -> Result<(), Refusal> + Send + Sync;

pub(super) struct PlainServer {
    pub(super) verify: Arc<Verify>,
}

impl ServerMechanism for PlainServer {
    fn start(&mut self, initial_response: Option<&[u8]>) -> ServerStep {
        match initial_response {
            Some(response) => self.respond(response),
            None => ServerStep::Challenge(vec![]),
        }
    }

    fn respond(&mut self, response: &[u8]) -> ServerStep {
        let Some((user, password)) = plain_credentials(response) else {
            return ServerStep::Refused(Refusal::Credentials);
        };
        match (self.verify)(user, password) {
            Ok(()) => ServerStep::accepted(String::from(user)),
            Err(refusal) => ServerStep::Refused(refusal),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`. Acting for somebody else is not offered: an authzid other than the user's own
/// name is refused, so that no `verify` can forget to look at it.
fn plain_credentials(response: &[u8]) -> Option<(&str, &str)> {
    let mut parts = core::str::from_utf8(response).ok()?.split('\0');
    let (authorization, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let own_name = authorization.is_empty() || authorization == user;
    (parts.next().is_none() && own_name && !user.is_empty() && !password.is_empty())
        .then_some((user, password))
}

pub(super) struct ExternalClient;

impl ClientMechanism for ExternalClient {
    fn needs_encryption(&self) -> bool {
        false
    }

    /// Empty: whoever the channel says we are.
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(Some(Vec::new()))
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        if challenge.is_empty() { Ok(Vec::new()) } else { Err(NO_CHALLENGE) }
    }

    fn finish(&mut self, _additional_data: Option<&[u8]>) -> Result<(), MechanismError> {
        Ok(())
    }
}

pub(super) struct ExternalServer {
    pub(super) peer: Arc<str>,
}

impl ServerMechanism for ExternalServer {
    /// Without a response the client asks for its own name, as with an empty one.
    fn start(&mut self, initial_response: Option<&[u8]>) -> ServerStep {
        self.respond(initial_response.unwrap_or_default())
    }

    fn respond(&mut self, response: &[u8]) -> ServerStep {
        if response.is_empty() || response == self.peer.as_bytes() {
            ServerStep::accepted(String::from(&*self.peer))
        } else {
            ServerStep::Refused(Refusal::Credentials)
        }
    }
}
