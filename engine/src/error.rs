//! Whose fault it was: a [`Violation`] is the peer's, a [`Misuse`] the caller's.

use alloc::{borrow::Cow, boxed::Box};
use core::fmt;

use crate::{LinkId, SessionId, codec::Symbol, transport::HandshakeError, types::Error};

/// A rule that the peer broke.
///
/// It becomes the closing frame of its [`scope`](Self::scope), with [`condition`](Self::condition) and
/// [`description`](Self::description), and an [`Event::Violated`](crate::Event::Violated). What lies outside the
/// scope goes on undisturbed.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    condition: Symbol,
    scope: Scope,
    section: &'static str,
    description: Cow<'static, str>,
}

/// What a [`Violation`] brings down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The connection is closed.
    Connection,
    /// The session is ended.
    Session(SessionId),
    /// The link is detached, as closed.
    Link(LinkId),
}

impl Violation {
    #[cold]
    fn new(
        scope: Scope,
        condition: Symbol,
        section: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Box<Self> {
        Box::new(Self { condition, scope, section, description: description.into() })
    }

    pub(crate) fn connection(
        condition: Symbol,
        section: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Box<Self> {
        Self::new(Scope::Connection, condition, section, description)
    }

    pub(crate) fn session(
        id: SessionId,
        condition: Symbol,
        section: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Box<Self> {
        Self::new(Scope::Session(id), condition, section, description)
    }

    pub(crate) fn link(
        id: LinkId,
        condition: Symbol,
        section: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Box<Self> {
        Self::new(Scope::Link(id), condition, section, description)
    }

    /// The same fault, with more brought down.
    pub(crate) fn widened(mut self: Box<Self>, scope: Scope) -> Box<Self> {
        self.scope = scope;
        self
    }

    /// The error condition that the peer is told (§2.8.15 to §2.8.18).
    #[must_use]
    pub fn condition(&self) -> &Symbol {
        &self.condition
    }

    /// What is closed because of it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The section of the specification that was broken, as in `"2.5.6"`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// What was wrong, in words: which field, which limit.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The error as the closing frame carries it (§2.8.14).
    #[must_use]
    pub fn to_error(&self) -> Error {
        Error {
            condition: self.condition.clone(),
            description: Some(self.description.as_ref().into()),
            info: None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (§{})", self.condition, self.description, self.section)
    }
}

impl core::error::Error for Violation {}

/// A call that the state of things does not allow. It changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The session, link or delivery is gone: the id is stale.
    Gone,
    /// The id names a link of the other role: a sender where a receiver is needed, or the reverse.
    WrongRole,
    /// The connection is closed or closing.
    ConnectionClosed,
    /// The session is ended or ending, or the peer's begin is not answered yet.
    SessionNotOpen,
    /// The link is detached or detaching, or the peer's attach is not answered yet.
    LinkNotOpen,
    /// There is nothing to answer: the peer did not begin or attach, or was answered already.
    NothingToAnswer,
    /// All channels that the peer or the configuration allows are in use: raise `channel_max` or end a session.
    TooManySessions,
    /// All handles that the peer or the configuration allows are in use: raise `handle_max` or detach a link.
    TooManyLinks,
    /// A link of this name and direction is attached already (§2.6.1).
    NameInUse,
    /// Source or target say what they may not (§3.5): an address where the peer makes the node or none where this side
    /// has, properties of a node that is not made, a filter that is no described value under a symbol, a default outcome
    /// that is none.
    InvalidTerminus,
    /// A frame with these values is larger than the peer takes: shorten names, maps or capabilities.
    FrameTooLarge,
    /// No delivery was started that could go on.
    NothingStarted,
    /// The delivery is not written to its end: finish or abort it first.
    Unfinished,
    /// No delivery of this tag waits to be resumed, or its message is not needed again.
    NothingToResume,
    /// The delivery is already settled.
    Settled,
    /// A state that may not be told: an outcome that was told does not change, and senders tell no `received` (§3.4).
    StateNotAllowed,
    /// The transaction is not declared yet, or is being discharged (§4).
    TransactionNotOpen,
    /// The link, or the delivery's, is of another session than the transaction.
    OtherSession,
    /// A receiver has credit to acquire messages in the transaction, which would be used after its end (§4.4.3).
    CreditLeft,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the session, link or delivery is gone",
            Self::WrongRole => "the link has the other role",
            Self::ConnectionClosed => "the connection is closed",
            Self::SessionNotOpen => "the session is not open",
            Self::LinkNotOpen => "the link is not attached",
            Self::NothingToAnswer => "the peer is waiting for no answer",
            Self::TooManySessions => "all channels are in use",
            Self::TooManyLinks => "all handles are in use",
            Self::NameInUse => "a link of this name and direction is attached already",
            Self::InvalidTerminus => "the source or the target says what it may not",
            Self::FrameTooLarge => "the frame is larger than the peer takes",
            Self::NothingStarted => "no delivery was started",
            Self::Unfinished => "the delivery is not finished",
            Self::NothingToResume => "no message is needed to resume the delivery",
            Self::Settled => "the delivery is settled already",
            Self::StateNotAllowed => "the state may not be told of this delivery",
            Self::TransactionNotOpen => "the transaction is not open",
            Self::OtherSession => "the transaction belongs to another session",
            Self::CreditLeft => "a receiver has credit to acquire in the transaction: drain it first",
        })
    }
}

impl core::error::Error for Misuse {}

/// Why a message was not taken for sending. Nothing of it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Not now: wait for [`Event::Sendable`](crate::Event::Sendable) and try again.
    Blocked(Blocked),
    /// The message is larger than the receiver takes (§2.7.3 max-message-size).
    TooLarge {
        /// The receiver's limit in bytes.
        max_message_size: u64,
    },
    /// The tag belongs to a delivery of this link that is not settled yet (§2.6.12).
    TagInUse,
    /// The settle mode negotiated for the link does not allow a delivery sent so (§2.8.2).
    SettleMode,
    /// The call was wrong.
    Misuse(Misuse),
}

/// What a sender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The link is not attached by both sides yet.
    Attach,
    /// The receiver has granted no credit (§2.6.7).
    Credit,
    /// The peer's session window is closed (§2.5.6).
    Window,
    /// Too many bytes wait to be written to the socket.
    Output,
    /// As many deliveries are unsettled as the limit allows: settle some.
    Unsettled,
    /// A delivery before this one is not finished.
    Unfinished,
    /// An unsettled map of the link was incomplete: no new delivery before it is detached and attached again (§2.7.3).
    Recovery,
}

impl From<Misuse> for SendError {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<Blocked> for SendError {
    fn from(blocked: Blocked) -> Self {
        Self::Blocked(blocked)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(Blocked::Attach) => f.write_str("the link is not attached yet"),
            Self::Blocked(Blocked::Credit) => f.write_str("the receiver has granted no credit"),
            Self::Blocked(Blocked::Window) => f.write_str("the session window is closed"),
            Self::Blocked(Blocked::Output) => f.write_str("too much output waits to be written"),
            Self::Blocked(Blocked::Unsettled) => f.write_str("too many deliveries are unsettled"),
            Self::Blocked(Blocked::Unfinished) => f.write_str("another delivery is not finished"),
            Self::Blocked(Blocked::Recovery) => f.write_str("the link has to be attached again first"),
            Self::TooLarge { max_message_size } => {
                write!(f, "the receiver takes no message above {max_message_size} bytes")
            }
            Self::TagInUse => f.write_str("the delivery tag belongs to an unsettled delivery"),
            Self::SettleMode => f.write_str("the link's settle mode does not allow it"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// Both sides closed it (§2.4.3).
    Closed,
    /// We closed it and the peer did not answer in time (§2.4.3).
    CloseTimeout,
    /// The transport ended before the peer's close.
    Aborted,
    /// Protocol header or SASL failed.
    Handshake(HandshakeError),
    /// The peer did not get as far as its open in time.
    HandshakeTimeout,
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed"),
            Self::CloseTimeout => f.write_str("the peer did not answer our close in time"),
            Self::Aborted => f.write_str("the peer ended the connection without closing it"),
            Self::Handshake(error) => error.fmt(f),
            Self::HandshakeTimeout => f.write_str("the peer did not open the connection in time"),
        }
    }
}

impl core::error::Error for DisconnectReason {}
