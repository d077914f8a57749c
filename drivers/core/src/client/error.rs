//! What can go wrong in a call.

use std::{convert::Infallible, fmt, io, sync::Arc};

use amqp1_engine::{DisconnectReason, Misuse, SendError, Violation, types};

use super::Outcome;
use crate::{Failure, UrlError};

/// Why a call failed, in one line for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be read.
    Url(UrlError),
    /// The connection's socket could not be opened.
    Connect(Failure),
    /// The connection's socket broke.
    Broken(Arc<io::Error>),
    /// The connection is over, for a reason that is neither an error of the peer's nor of the socket.
    Disconnected(DisconnectReason),
    /// The peer broke a rule of AMQP, and was told so.
    Violated(Box<Violation>),
    /// The connection is closed: by this side, or by the peer, which may have said why.
    Closed(Option<Box<types::Error>>),
    /// The peer ended the session, and may have said why.
    Ended(Option<Box<types::Error>>),
    /// The link is closed: by this side, or by the peer, which may have said why; or the peer refused it.
    Detached(Option<Box<types::Error>>),
    /// The message was not sent: the receiver takes none like it.
    Refused(SendError),
    /// The call makes no sense as things stand.
    Misuse(Misuse),
    /// The receiver did not accept the message; what it did instead is told.
    NotAccepted(Outcome),
    /// The sender gave the message up while it was being read.
    Aborted,
    /// The deadline came first.
    ///
    /// What was begun is not undone: a message whose outcome did not come in time may have arrived.
    TimedOut(Waiting),
    /// The peer does not offer this.
    NotSupported(&'static str),
}

/// What a call was waiting for when its deadline came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// The host's addresses.
    Lookup,
    /// The peer's socket.
    Connect,
    /// The peer's open.
    Open,
    /// The peer's begin.
    Begin,
    /// The peer's attach.
    Attach,
    /// The receiver's credit, or room to send.
    Credit,
    /// The receiver's word on a message.
    Outcome,
    /// A message, or more of it.
    Message,
    /// The sender's settling of a message that was accepted.
    Settlement,
    /// The sender's word that it has no credit left.
    Drain,
    /// The response to a request.
    Response,
    /// The peer's answer to an end.
    End,
    /// The peer's answer to a detach or close.
    Close,
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Connect(failure)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::TimedOut(_) => io::ErrorKind::TimedOut,
            Error::Connect(failure) => failure.kind(),
            Error::Broken(error) => error.kind(),
            Error::Closed(_) | Error::Ended(_) | Error::Detached(_) | Error::Disconnected(_) => {
                io::ErrorKind::NotConnected
            }
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Connect(failure) => failure.fmt(f),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Disconnected(reason) => reason.fmt(f),
            Self::Violated(violation) => write!(f, "the peer broke a rule: {violation}"),
            Self::Closed(None) => f.write_str("the connection is closed"),
            Self::Closed(Some(error)) => write!(f, "the peer closed the connection: {}", Reason(error)),
            Self::Ended(None) => f.write_str("the peer ended the session"),
            Self::Ended(Some(error)) => write!(f, "the peer ended the session: {}", Reason(error)),
            Self::Detached(None) => f.write_str("the link is closed"),
            Self::Detached(Some(error)) => {
                write!(f, "the peer refused or closed the link: {}", Reason(error))
            }
            Self::Refused(error) => write!(f, "the message was not sent: {error}"),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::NotAccepted(outcome) => write!(f, "the message was not accepted: {outcome}"),
            Self::Aborted => f.write_str("the sender gave the message up"),
            Self::NotSupported(what) => write!(f, "the peer does not offer {what}"),
            Self::TimedOut(waiting) => write!(f, "timed out waiting for {waiting}"),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "the addresses of the host",
            Self::Connect => "an answer from the host",
            Self::Open => "the peer to open the connection",
            Self::Begin => "the peer to begin the session",
            Self::Attach => "the peer to attach the link",
            Self::Credit => "the receiver to take more messages",
            Self::Outcome => "the outcome of a message",
            Self::Message => "a message",
            Self::Response => "the response to a request",
            Self::Drain => "the sender to give its credit back",
            Self::End => "the peer to end the session",
            Self::Settlement => "the sender to settle a message",
            Self::Close => "the peer to answer a close",
        })
    }
}

/// An error of the peer's as a person reads it: its own words and the condition.
pub(super) struct Reason<'a>(pub(super) &'a types::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.description {
            Some(description) => write!(f, "{description} ({})", self.0.condition),
            None => self.0.condition.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(failure) => failure.source(),
            Self::Broken(error) => Some(&**error),
            _ => None,
        }
    }
}
