//! A mechanism of `rsasl` as one of the engine's.

use std::{
    error::Error,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use amqp1_engine::sasl::{ClientMechanism, MechanismError, Refusal, ServerMechanism, ServerStep};
use rsasl::{
    callback::SessionCallback,
    config::SASLConfig,
    prelude::{Mechname, MessageSent, SASLClient, SASLServer, Session, SessionError, State, Validation},
    validate::NoValidation,
};

/// What a callback has to say of why it failed, which `rsasl` does not carry.
#[derive(Clone, Debug, Default)]
pub(super) struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    pub(super) fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A callback that says why it failed.
pub(super) trait Callback: SessionCallback + 'static {
    /// Where it says so.
    fn reason(&self) -> Reason;
}

/// The client's side. `rsasl` may not be asked again once it has finished or failed: then there is no session any more.
pub(super) struct ClientExchange {
    mechanism: &'static str,
    session: Result<Option<Session<NoValidation>>, MechanismError>,
    reason: Reason,
    needs_encryption: bool,
    /// The mechanism has seen all that it needs, of the server as well.
    finished: bool,
    /// What the client says is all that there is to it, unless the server objects.
    trusts_outcome: bool,
}

impl ClientExchange {
    /// `is_bearer`: what is sent can be used again, and the server proves nothing.
    pub(super) fn new(mechanism: &'static str, is_bearer: bool, callback: impl Callback) -> Self {
        let reason = callback.reason();
        let started = config(callback).and_then(|config| {
            let name = Mechname::parse(mechanism.as_bytes()).map_err(text)?;
            SASLClient::new(config).start_suggested_iter([name]).map_err(text)
        });
        let session = started.map(Some);
        Self {
            mechanism,
            session,
            reason,
            needs_encryption: is_bearer,
            finished: false,
            trusts_outcome: is_bearer,
        }
    }

    fn step(&mut self, input: Option<&[u8]>) -> Result<Vec<u8>, MechanismError> {
        if input.is_some_and(|said| is_scram(self.mechanism) && !is_list(said)) {
            self.session = Ok(None);
            return Err(MechanismError::new("the server says what SCRAM does not know"));
        }
        let taken = self.session.as_mut().map_err(|error| error.clone())?.take();
        let Some(mut session) = taken else {
            return Err(MechanismError::new("the server goes on where the mechanism has ended"));
        };
        let mut out = Vec::new();
        match session.step(input, &mut out) {
            Ok(State::Running) => self.session = Ok(Some(session)),
            Ok(State::Finished(_)) => self.finished = true,
            Err(error) => {
                let reason = self.reason.take();
                return Err(reason.map_or_else(|| failure(&error), MechanismError::new));
            }
        }
        Ok(out)
    }
}

impl ClientMechanism for ClientExchange {
    fn needs_encryption(&self) -> bool {
        self.needs_encryption
    }

    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        self.step(None).map(Some)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, MechanismError> {
        let response = self.step(Some(challenge))?;
        // What a server says of a token that it refuses is answered so (RFC 7628 §3.2.3).
        Ok(if self.mechanism == "OAUTHBEARER" { vec![1] } else { response })
    }

    fn finish(&mut self, additional_data: Option<&[u8]>) -> Result<(), MechanismError> {
        if !self.finished && !self.trusts_outcome {
            let Some(last) = additional_data else {
                return Err(MechanismError::new("the server has not proved that it knows the user"));
            };
            self.step(Some(last))?;
        }
        match self.finished || self.trusts_outcome {
            true => Ok(()),
            false => Err(MechanismError::new("the server has not proved that it knows the user")),
        }
    }
}

/// Whom a server has let in.
pub(super) struct Admitted;

impl Validation for Admitted {
    type Value = Result<String, Refusal>;
}

/// The server's side, with the same care.
pub(super) struct ServerExchange {
    mechanism: &'static str,
    has_begun: bool,
    session: Option<Session<Admitted>>,
    /// What is said once the client has answered the last challenge, which must be empty.
    last: Option<ServerStep>,
}

impl ServerExchange {
    pub(super) fn new(mechanism: &'static str, callback: impl SessionCallback + 'static) -> Self {
        let started = config(callback).and_then(|config| {
            let name = Mechname::parse(mechanism.as_bytes()).map_err(text)?;
            SASLServer::<Admitted>::new(config).start_suggested(name).map_err(text)
        });
        Self { mechanism, has_begun: false, session: started.ok(), last: None }
    }
}

impl ServerMechanism for ServerExchange {
    fn start(&mut self, initial_response: Option<&[u8]>) -> ServerStep {
        match initial_response {
            Some(response) => self.respond(response),
            // All of these begin with the client.
            None => ServerStep::Challenge(Vec::new()),
        }
    }

    fn respond(&mut self, response: &[u8]) -> ServerStep {
        if let Some(last) = self.last.take() {
            return last;
        }
        let has_begun = mem::replace(&mut self.has_begun, true);
        let Some(mut session) = self.session.take() else { return ServerStep::Refused(Refusal::System) };
        let attributes = if has_begun { Some(response) } else { behind_header(response) };
        if is_scram(self.mechanism) && !attributes.is_some_and(is_list) {
            return ServerStep::Refused(Refusal::Credentials);
        }
        let mut out = Vec::new();
        match session.step(Some(response), &mut out) {
            // Whoever was let in is so only at the end.
            Ok(State::Finished(sent)) => match session.validation() {
                Some(Ok(user)) => ServerStep::Accepted {
                    user: Some(user),
                    additional_data: (sent == MessageSent::Yes).then_some(out),
                },
                Some(Err(refusal)) => ServerStep::Refused(refusal),
                None => ServerStep::Refused(Refusal::Credentials),
            },
            Ok(State::Running) => {
                // A token is judged at once, and the client told why it is refused before it is.
                if let Some(Err(refusal)) = session.validation() {
                    self.last = Some(ServerStep::Refused(refusal));
                } else {
                    self.session = Some(session);
                }
                ServerStep::Challenge(out)
            }
            Err(_) => ServerStep::Refused(Refusal::Credentials),
        }
    }
}

fn config(callback: impl SessionCallback + 'static) -> Result<Arc<SASLConfig>, MechanismError> {
    SASLConfig::builder().with_defaults().with_callback(callback).map_err(text)
}

fn is_scram(mechanism: &str) -> bool {
    mechanism.starts_with("SCRAM")
}

/// Whether a message of SCRAM is a list of attributes with a letter, an equals sign and a value each (RFC 5802 §5.1).
/// Others `rsasl` is not to see: it looks for the equals sign without looking for an end.
fn is_list(message: &[u8]) -> bool {
    message.split(|&byte| byte == b',').all(|part| matches!(part, [b'a'..=b'z' | b'A'..=b'Z', b'=', ..]))
}

/// The attributes of a client's first message, behind the header that says whom it wants to act as (RFC 5801 §4).
fn behind_header(message: &[u8]) -> Option<&[u8]> {
    let mut parts = message.splitn(3, |&byte| byte == b',');
    let (_binding, acts_as, attributes) = (parts.next()?, parts.next()?, parts.next()?);
    (acts_as.is_empty() || acts_as.starts_with(b"a=")).then_some(attributes)
}

fn text(error: impl Error) -> MechanismError {
    MechanismError::new(error.to_string())
}

/// Why a step failed, for a person.
fn failure(error: &SessionError) -> MechanismError {
    match error {
        SessionError::MutualAuthenticationFailed => {
            MechanismError::new("the server's signature is wrong: it does not know the user's password")
        }
        SessionError::MechanismError(error) => MechanismError::new(error.to_string()),
        error => MechanismError::new(error.to_string()),
    }
}
