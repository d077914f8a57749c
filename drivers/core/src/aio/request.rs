//! Requests and their responses.

use amqp1_engine::{
    LinkConfig,
    codec::Str,
    message::Message,
    types::{MessageId, Source},
};

use super::{Connection, Receiver, Sender};
use crate::client::{Error, Waiting};

/// Asks a service and waits for what it answers, one request at a time.
///
/// The peer makes a node for the responses. Each request tells its address (`reply-to`) and has a name of its own
/// (`correlation-id`), by which its response is known again: any other, as one that came too late, is dropped.
#[derive(Debug)]
pub struct RequestResponse {
    requests: Sender,
    responses: Receiver,
    reply_to: Str,
    asked: u64,
}

/// How many responses may be on their way.
const PREFETCH: u32 = 10;

impl RequestResponse {
    /// Asks the service at an address.
    ///
    /// # Errors
    /// As [`Connection::sender`]; [`Error::Detached`] with the peer's reason, or [`Error::NotSupported`], where it makes no
    /// node for the responses.
    pub async fn new(connection: &Connection, service: impl Into<Str>) -> Result<Self, Error> {
        Self::with(connection, connection.sender(service).await?).await
    }

    /// Asks any service of the peer: each request says `to` whom it goes.
    ///
    /// # Errors
    /// As [`new`](Self::new), and as [`Connection::anonymous_sender`].
    pub async fn anonymous(connection: &Connection) -> Result<Self, Error> {
        Self::with(connection, connection.anonymous_sender().await?).await
    }

    async fn with(connection: &Connection, requests: Sender) -> Result<Self, Error> {
        let source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
        let config = LinkConfig { source, ..LinkConfig::receiver(connection.link_name(), "") };
        let responses = connection.attach_receiver(config, PREFETCH).await?;
        let address = responses.remote_attach()?.source.and_then(|source| source.address);
        let reply_to = address.ok_or(Error::NotSupported("an address for responses"))?;
        Ok(Self { requests, responses, reply_to, asked: 0 })
    }

    /// The address to which responses come.
    #[must_use]
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    /// Sends a request and waits for the response, which is accepted. The request's `reply-to` and `correlation-id` are set
    /// here. Dropped, the response is dropped too when it comes.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::NotAccepted`] where the request was turned down, or why a link cannot be used. The next
    /// call may go better.
    pub async fn call(&mut self, request: impl Into<Message>) -> Result<Message, Error> {
        self.asked += 1;
        let id = MessageId::from(self.asked);
        let request = request.into().with_reply_to(self.reply_to.clone()).with_correlation_id(id.clone());
        self.requests.send(request).await?.accepted()?;
        loop {
            let delivery = self.responses.recv_for(Waiting::Response).await?;
            match delivery.decode() {
                Ok(response) if response.correlation_id() == Some(&id) => {
                    delivery.accept().await?;
                    return Ok(response);
                }
                Ok(_) => delivery.accept().await?,
                Err(_) => delivery.reject(None).await?,
            }
        }
    }
}
