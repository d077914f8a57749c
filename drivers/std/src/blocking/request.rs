//! Requests and their responses.

use std::time::Duration;

use amqp1_engine::{
    LinkConfig,
    codec::Str,
    message::Message,
    types::{MessageId, Source},
};

use super::{Connection, Error, Receiver, Sender, Waiting};

/// Asks a service and waits for what it answers, one request at a time.
///
/// The peer makes a node for the responses. Each request tells its address (`reply-to`) and has a name of its own
/// (`correlation-id`), by which its response is known again: any other, as one that came too late, is dropped.
///
/// ```no_run
/// use amqp1_std::blocking::SyncRequestResponse;
///
/// let connection = amqp1_std::connect("localhost")?;
/// let mut service = SyncRequestResponse::new(&connection, "examples")?;
/// let response = service.call("hello")?;
/// println!("{}", response.body);
/// # Ok::<(), amqp1_std::blocking::Error>(())
/// ```
#[derive(Debug)]
pub struct SyncRequestResponse {
    requests: Sender,
    responses: Receiver,
    reply_to: Str,
    asked: u64,
}

/// How many responses may be on their way.
const PREFETCH: u32 = 10;

impl SyncRequestResponse {
    /// Asks the service at an address.
    ///
    /// # Errors
    /// As [`Connection::sender`]; [`Error::Detached`] with the peer's reason, or [`Error::NotSupported`], where it makes no
    /// node for the responses.
    pub fn new(connection: &Connection, service: impl Into<Str>) -> Result<Self, Error> {
        Self::with(connection, connection.sender(service)?)
    }

    /// Asks any service of the peer: each request says `to` whom it goes.
    ///
    /// # Errors
    /// As [`new`](Self::new), and as [`Connection::anonymous_sender`].
    pub fn anonymous(connection: &Connection) -> Result<Self, Error> {
        Self::with(connection, connection.anonymous_sender()?)
    }

    fn with(connection: &Connection, requests: Sender) -> Result<Self, Error> {
        let source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
        let config = LinkConfig { source, ..LinkConfig::receiver(connection.link_name(), "") };
        let responses = connection.attach_receiver(config, PREFETCH)?;
        let address = responses.remote_attach()?.source.and_then(|source| source.address);
        let reply_to = address.ok_or(Error::NotSupported("an address for responses"))?;
        Ok(Self { requests, responses, reply_to, asked: 0 })
    }

    /// The address to which responses come.
    #[must_use]
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    /// Sends a request and waits for the response, as long as any call may take.
    ///
    /// # Errors
    /// As [`call_timeout`](Self::call_timeout).
    pub fn call(&mut self, request: impl Into<Message>) -> Result<Message, Error> {
        self.call_timeout(request, self.responses.link().shared().timeout)
    }

    /// Sends a request and waits so long for the response, which is accepted. The request's `reply-to` and `correlation-id`
    /// are set here.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::NotAccepted`] where the request was turned down, or why a link cannot be used. The next
    /// call may go better.
    pub fn call_timeout(&mut self, request: impl Into<Message>, timeout: Duration) -> Result<Message, Error> {
        self.asked += 1;
        let id = MessageId::from(self.asked);
        let request = request.into().with_reply_to(self.reply_to.clone()).with_correlation_id(id.clone());
        let deadline = self.responses.link().shared().deadline(timeout);
        self.requests.submit_until(&request, deadline)?.outcome_until(deadline)?.accepted()?;
        loop {
            let delivery = self.responses.recv_until(deadline, Waiting::Response)?;
            match delivery.decode() {
                Ok(response) if response.correlation_id() == Some(&id) => {
                    delivery.accept()?;
                    return Ok(response);
                }
                Ok(_) => delivery.accept()?,
                Err(_) => delivery.reject(None)?,
            }
        }
    }
}
