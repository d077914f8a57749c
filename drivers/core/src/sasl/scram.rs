//! SCRAM: what a client knows, and what a server does.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use amqp1_engine::sasl::Secret;
use hmac::{Mac, SimpleHmac};
use rsasl::{
    callback::{CallbackError, Context, Request, SessionCallback, SessionData},
    mechanisms::scram::properties::{Iterations, ScramStoredPassword},
    prelude::SessionError,
    property::{AuthId, AuthzId, Password},
    validate::{Validate, ValidationError},
};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::exchange::{Admitted, Callback, Reason};

/// How many rounds of hashing a client does for a server.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1, for peers that know no other.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
    pub(super) const BEST_FIRST: [Self; 3] = [Self::Sha512, Self::Sha256, Self::Sha1];

    pub(super) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// What a server keeps of a user's password for SCRAM: enough to know who has it, and not enough to pose as the user.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ScramKeys {
    /// Rounds of hashing that are usual, and that [`ServerMechanisms::scram`](super::ServerMechanisms::scram) pretends for
    /// users that it does not know.
    pub const ITERATIONS: u32 = 4_096;

    /// From a password, a salt that no other user has, and how many times to hash it: clients refuse less than 4,096.
    ///
    /// This takes long, as it is meant to. The password is used as it is: where it has other characters than those of ASCII,
    /// it is the caller's to prepare it (SASLprep, RFC 4013).
    #[must_use]
    pub fn new(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.max(1);
        let (stored_key, server_key) = match hash {
            ScramHash::Sha1 => derive!(Sha1, password, salt, iterations),
            ScramHash::Sha256 => derive!(Sha256, password, salt, iterations),
            ScramHash::Sha512 => derive!(Sha512, password, salt, iterations),
        };
        Self { iterations, salt: salt.into(), stored_key, server_key }
    }

    /// What was kept of a user: `StoredKey` and `ServerKey` of RFC 5802 §3. Of the wrong length for the hash, they let nobody
    /// in.
    #[must_use]
    pub fn from_parts(
        iterations: u32,
        salt: impl Into<Vec<u8>>,
        stored_key: impl Into<Vec<u8>>,
        server_key: impl Into<Vec<u8>>,
    ) -> Self {
        Self { iterations, salt: salt.into(), stored_key: stored_key.into(), server_key: server_key.into() }
    }

    /// How many times the password was hashed.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// What it was hashed with.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// `StoredKey`: knows who has the password.
    #[must_use]
    pub fn stored_key(&self) -> &[u8] {
        &self.stored_key
    }

    /// `ServerKey`: proves to a client that the server knows the user. Whoever reads it can pose as the server.
    #[must_use]
    pub fn server_key(&self) -> &[u8] {
        &self.server_key
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// `StoredKey` and `ServerKey` (RFC 5802 §3).
macro_rules! derive {
    ($hash:ty, $password:expr, $salt:expr, $iterations:expr) => {{
        let mut salted = <$hash>::digest(b"").to_vec();
        // A key of any length is one to HMAC, and the length of the output that of the hash.
        let _ = pbkdf2::pbkdf2::<SimpleHmac<$hash>>($password.as_bytes(), $salt, $iterations, &mut salted);
        (
            <$hash>::digest(mac::<SimpleHmac<$hash>>(&salted, b"Client Key")).to_vec(),
            mac::<SimpleHmac<$hash>>(&salted, b"Server Key"),
        )
    }};
}
use derive;

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// Who a client is.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Secret,
}

pub(super) struct ClientCallback {
    credentials: Arc<Credentials>,
    reason: Reason,
}

impl ClientCallback {
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, reason: Reason::default() }
    }
}

impl Callback for ClientCallback {
    fn reason(&self) -> Reason {
        self.reason.clone()
    }
}

impl SessionCallback for ClientCallback {
    fn callback(
        &self,
        _session_data: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        // Asked for whatever is to be done with the server's count, before anything is.
        if let Some(rounds) = context.get_ref::<Iterations>()
            && !ROUNDS.contains(rounds)
        {
            self.reason.set(format!(
                "the server asks for {rounds} rounds of hashing; from {} to {} are done",
                ROUNDS.start(),
                ROUNDS.end()
            ));
            return Err(CallbackError::NoValue.into());
        }
        let Credentials { user, password } = &*self.credentials;
        request.satisfy::<AuthId>(user)?.satisfy::<Password>(password.expose().as_bytes())?;
        Ok(())
    }
}

/// What a server keeps of a user, by name.
type LookUp = dyn Fn(&str) -> Option<ScramKeys> + Send + Sync;

/// The users of a server.
pub(super) struct Directory {
    hash: ScramHash,
    look_up: Box<LookUp>,
    /// Makes up the salts of users that there are not.
    seed: RandomState,
}

impl Directory {
    pub(super) fn new(
        hash: ScramHash,
        look_up: impl Fn(&str) -> Option<ScramKeys> + Send + Sync + 'static,
    ) -> Self {
        Self { hash, look_up: Box::new(look_up), seed: RandomState::new() }
    }

    /// Of a user that there is not: the same each time, so that they cannot be told from real ones, and nobody's.
    fn pretend(&self, user: &str) -> ScramKeys {
        let mut bytes = (0_u8..).flat_map(|part| self.seed.hash_one((part, user)).to_be_bytes());
        let len = match self.hash {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
            ScramHash::Sha512 => 64,
        };
        let mut take = |len| bytes.by_ref().take(len).collect::<Vec<_>>();
        ScramKeys::from_parts(ScramKeys::ITERATIONS, take(16), take(len), take(len))
    }
}

pub(super) struct ServerCallback(pub(super) Arc<Directory>);

impl SessionCallback for ServerCallback {
    fn callback(
        &self,
        _session_data: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let user = unescaped(context.get_ref::<AuthId>().unwrap_or_default());
        let keys = (self.0.look_up)(&user).unwrap_or_else(|| self.0.pretend(&user));
        let ScramKeys { iterations, salt, stored_key, server_key } = &keys;
        request.satisfy::<ScramStoredPassword<'_>>(&ScramStoredPassword::new(
            *iterations,
            salt,
            stored_key,
            server_key,
        ))?;
        Ok(())
    }

    /// Called when the client has proved that it knows the password.
    fn validate(
        &self,
        _session_data: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let user = unescaped(context.get_ref::<AuthId>().unwrap_or_default());
        // Acting for somebody else is not offered.
        let acts_as = context.get_ref::<AuthzId>().map(unescaped).filter(|acts_as| !acts_as.is_empty());
        let admitted = match acts_as {
            Some(other) if other != user => Err(amqp1_engine::sasl::Refusal::Credentials),
            _ => Ok(user),
        };
        validate.finalize::<Admitted>(admitted);
        Ok(())
    }
}

/// A name as it was before it was written into a message of SCRAM (RFC 5802 §5.1).
fn unescaped(name: &str) -> String {
    name.replace("=2C", ",").replace("=3D", "=")
}
