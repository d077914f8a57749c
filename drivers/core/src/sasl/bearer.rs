//! Bearer tokens: OAUTHBEARER and XOAUTH2.

use std::sync::{Arc, Mutex, PoisonError};

use amqp1_engine::sasl::{Refusal, Secret};
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    mechanisms::{
        oauthbearer::properties::{OAuthBearerError, OAuthBearerErrored, OAuthBearerValidate},
        xoauth2::properties::{XOAuth2Error, XOAuth2Validate},
    },
    prelude::SessionError,
    property::{AuthId, AuthzId, OAuthBearerToken},
    validate::{Validate, ValidationError},
};

use super::exchange::{Admitted, Callback, Reason};

/// How a token is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    OAuthBearer,
    XOAuth2,
}

impl Form {
    pub(super) const fn mechanism(self) -> &'static str {
        match self {
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }
}

#[derive(Clone)]
pub(super) struct BearerClient {
    pub(super) user: Option<String>,
    pub(super) token: Secret,
    pub(super) reason: Reason,
}

impl Callback for BearerClient {
    fn reason(&self) -> Reason {
        self.reason.clone()
    }
}

impl SessionCallback for BearerClient {
    fn callback(
        &self,
        _session_data: &SessionData,
        _context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if let Some(user) = &self.user {
            request.satisfy::<AuthId>(user)?.satisfy::<AuthzId>(user)?;
        }
        request.satisfy::<OAuthBearerToken>(self.token.expose())?;
        // What the server says of the token; the outcome of SASL follows, and counts.
        if let Some(error) = request.get_action::<OAuthBearerErrored>() {
            self.reason.set(format!("the server refuses the token: {}", error.status));
        }
        if let Some(error) = request.get_action::<XOAuth2Error>() {
            self.reason.set(format!("the server refuses the token: {error}"));
        }
        Ok(())
    }
}

/// Judges whom a client wants to act as, and its token.
pub(super) type Verify = dyn Fn(Option<&str>, &str) -> Result<String, Refusal> + Send + Sync;

pub(super) struct BearerServer {
    verify: Arc<Verify>,
    /// What came of the token, which is judged once: it may be good for one use.
    judged: Mutex<Option<Result<String, Refusal>>>,
}

impl BearerServer {
    pub(super) fn new(verify: Arc<Verify>) -> Self {
        Self { verify, judged: Mutex::default() }
    }

    fn judge(&self, context: &Context<'_>) -> bool {
        let user = context.get_ref::<AuthzId>().or_else(|| context.get_ref::<AuthId>());
        let token = context.get_ref::<OAuthBearerToken>().unwrap_or_default();
        // Of OAUTHBEARER `rsasl` gives all of the field.
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        let judged = (self.verify)(user.filter(|user| !user.is_empty()), token);
        let is_good = judged.is_ok();
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = Some(judged);
        is_good
    }
}

impl SessionCallback for BearerServer {
    fn callback(
        &self,
        _session_data: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if request.is::<OAuthBearerValidate>() {
            let error = OAuthBearerError::new("invalid_token", None, None);
            request.satisfy::<OAuthBearerValidate>(&self.judge(context).then_some(()).ok_or(error))?;
        }
        if request.is::<XOAuth2Validate>() {
            let error = r#"{"status":"401","schemes":"bearer"}"#;
            request.satisfy::<XOAuth2Validate>(&self.judge(context).then_some(()).ok_or(error))?;
        }
        Ok(())
    }

    /// Called once the above was, also where that refused.
    fn validate(
        &self,
        _session_data: &SessionData,
        _context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner).take();
        validate.finalize::<Admitted>(judged.unwrap_or(Err(Refusal::Credentials)));
        Ok(())
    }
}
