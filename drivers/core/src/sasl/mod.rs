//! SASL mechanisms beyond those of the engine, from `rsasl`: SCRAM (RFC 5802, RFC 7677), OAUTHBEARER (RFC 7628) and XOAUTH2.
//!
//! They come to a configuration of the engine's by two traits, [`ClientMechanisms`] and [`ServerMechanisms`]:
//!
//! ```
//! use amqp1_driver::sasl::{ClientMechanisms, ScramHash, ScramKeys, ServerMechanisms};
//! use amqp1_engine::sasl::Sasl;
//!
//! // The best of them that the server offers, too. SCRAM keeps the password to itself and makes the server prove that it
//! // knows it, over plain TCP as well.
//! let client = Sasl::client().scram("alice", "open sesame");
//!
//! let keys = ScramKeys::new(ScramHash::Sha256, "open sesame", b"salt of alice's", ScramKeys::ITERATIONS);
//! let server = Sasl::server().scram(ScramHash::Sha256, move |user| (user == "alice").then(|| keys.clone()));
//! ```

use std::sync::Arc;

use amqp1_engine::{
    codec::Symbol,
    sasl::{Client, Refusal, Secret, Server},
};

mod bearer;
mod exchange;
mod scram;
pub use scram::{ScramHash, ScramKeys};
#[cfg(test)]
mod tests;

use bearer::{BearerClient, BearerServer, Form};
use exchange::{ClientExchange, Reason, ServerExchange};
use scram::{Credentials, Directory};

/// Mechanisms for a client's configuration.
pub trait ClientMechanisms: Sized {
    /// Authenticates with user name and password by SCRAM-SHA-512, SCRAM-SHA-256 or SCRAM-SHA-1, in this order. The server
    /// does not learn the password, and has to prove that it knows the user.
    ///
    /// A server that asks for less than 4,096 or more than 1,000,000 rounds of hashing is refused: fewer would make the
    /// password easy to find, more would keep this side busy.
    #[must_use]
    fn scram(self, user: impl Into<String>, password: impl Into<Secret>) -> Self;

    /// Authenticates with an OAuth 2 bearer token by OAUTHBEARER. `user` is whom to act as, if the token does not say.
    ///
    /// Whoever reads the token can use it, so that it is sent over encrypted streams only, unless
    /// [allowed](Client::allow_clear_text) otherwise. Tokens often need a [larger frame](Client::frame_limit), 8,192 bytes
    /// for instance.
    #[must_use]
    fn oauthbearer(self, user: Option<&str>, token: impl Into<Secret>) -> Self;

    /// The same by XOAUTH2, an older form that some servers have, which needs a user.
    #[must_use]
    fn xoauth2(self, user: &str, token: impl Into<Secret>) -> Self;
}

/// Mechanisms for a server's configuration.
pub trait ServerMechanisms: Sized {
    /// Accepts users by SCRAM with this hash, whose keys `look_up` finds by their names. Who asks for a user that it does not
    /// find cannot tell from one with another password, if those of all users were made with [`ScramKeys::ITERATIONS`].
    #[must_use]
    fn scram(
        self,
        hash: ScramHash,
        look_up: impl Fn(&str) -> Option<ScramKeys> + Send + Sync + 'static,
    ) -> Self;

    /// Accepts bearer tokens that `verify` takes, by OAUTHBEARER; it is given whom the client wants to act as, if it says so,
    /// and the token, and returns whose it is.
    #[must_use]
    fn oauthbearer(
        self,
        verify: impl Fn(Option<&str>, &str) -> Result<String, Refusal> + Send + Sync + 'static,
    ) -> Self;

    /// The same by XOAUTH2, where the client always names a user.
    #[must_use]
    fn xoauth2(
        self,
        verify: impl Fn(Option<&str>, &str) -> Result<String, Refusal> + Send + Sync + 'static,
    ) -> Self;
}

impl ClientMechanisms for Client {
    fn scram(self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let credentials = Arc::new(Credentials { user: user.into(), password: password.into() });
        ScramHash::BEST_FIRST.into_iter().fold(self, |client, hash| {
            let credentials = Arc::clone(&credentials);
            client.mechanism(name(hash.mechanism()), move || {
                Box::new(ClientExchange::new(
                    hash.mechanism(),
                    false,
                    scram::ClientCallback::new(Arc::clone(&credentials)),
                ))
            })
        })
    }

    fn oauthbearer(self, user: Option<&str>, token: impl Into<Secret>) -> Self {
        bearer(self, Form::OAuthBearer, user, token.into())
    }

    fn xoauth2(self, user: &str, token: impl Into<Secret>) -> Self {
        bearer(self, Form::XOAuth2, Some(user), token.into())
    }
}

fn bearer(client: Client, form: Form, user: Option<&str>, token: Secret) -> Client {
    let bearer = BearerClient { user: user.map(str::to_owned), token, reason: Reason::default() };
    client.mechanism(name(form.mechanism()), move || {
        Box::new(ClientExchange::new(form.mechanism(), true, bearer.clone()))
    })
}

impl ServerMechanisms for Server {
    fn scram(
        self,
        hash: ScramHash,
        look_up: impl Fn(&str) -> Option<ScramKeys> + Send + Sync + 'static,
    ) -> Self {
        let directory = Arc::new(Directory::new(hash, look_up));
        self.mechanism(name(hash.mechanism()), move || {
            Box::new(ServerExchange::new(hash.mechanism(), scram::ServerCallback(Arc::clone(&directory))))
        })
    }

    fn oauthbearer(
        self,
        verify: impl Fn(Option<&str>, &str) -> Result<String, Refusal> + Send + Sync + 'static,
    ) -> Self {
        verifying(self, Form::OAuthBearer, Arc::new(verify))
    }

    fn xoauth2(
        self,
        verify: impl Fn(Option<&str>, &str) -> Result<String, Refusal> + Send + Sync + 'static,
    ) -> Self {
        verifying(self, Form::XOAuth2, Arc::new(verify))
    }
}

fn verifying(server: Server, form: Form, verify: Arc<bearer::Verify>) -> Server {
    server.mechanism(name(form.mechanism()), move || {
        Box::new(ServerExchange::new(form.mechanism(), BearerServer::new(Arc::clone(&verify))))
    })
}

fn name(mechanism: &'static str) -> Symbol {
    Symbol::from_static(mechanism)
}
