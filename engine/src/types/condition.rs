//! Error conditions (§2.8.15 to §2.8.18, §4.5.8).

use crate::codec::Symbol;

/// Declares conditions.
macro_rules! conditions {
    ($( $(#[$doc:meta])* $name:ident = $symbol:literal; )*) => {
        $( $(#[$doc])* pub const $name: Symbol = Symbol::from_static($symbol); )*

        #[cfg(test)]
        pub(crate) const ALL: &[&str] = &[$($symbol),*];
    };
}

conditions! {
    /// The peer has a fault of its own.
    INTERNAL_ERROR = "amqp:internal-error";
    /// What was asked for does not exist.
    NOT_FOUND = "amqp:not-found";
    /// The peer may not do this here.
    UNAUTHORIZED_ACCESS = "amqp:unauthorized-access";
    /// Bytes could not be decoded.
    DECODE_ERROR = "amqp:decode-error";
    /// A limit of the peer is exceeded.
    RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded";
    /// The peer may not do this in the present state.
    NOT_ALLOWED = "amqp:not-allowed";
    /// A field has a value that it may not have.
    INVALID_FIELD = "amqp:invalid-field";
    /// The peer does not support this.
    NOT_IMPLEMENTED = "amqp:not-implemented";
    /// Somebody else holds what is asked for.
    RESOURCE_LOCKED = "amqp:resource-locked";
    /// A condition that was asked for does not hold.
    PRECONDITION_FAILED = "amqp:precondition-failed";
    /// What was used has been deleted.
    RESOURCE_DELETED = "amqp:resource-deleted";
    /// The peer sent a frame that its state does not allow.
    ILLEGAL_STATE = "amqp:illegal-state";
    /// A frame does not fit the peer's frame size.
    FRAME_SIZE_TOO_SMALL = "amqp:frame-size-too-small";

    /// An operator closed the connection; it may be opened again.
    CONNECTION_FORCED = "amqp:connection:forced";
    /// A frame could not be recognised.
    CONNECTION_FRAMING_ERROR = "amqp:connection:framing-error";
    /// The container is elsewhere; the error's info tells where.
    CONNECTION_REDIRECT = "amqp:connection:redirect";

    /// The peer exceeded the session's window.
    SESSION_WINDOW_VIOLATION = "amqp:session:window-violation";
    /// Frames arrived on a link that was detached with an error.
    SESSION_ERRANT_LINK = "amqp:session:errant-link";
    /// The handle of an attach is in use.
    SESSION_HANDLE_IN_USE = "amqp:session:handle-in-use";
    /// No link is attached with the handle of a frame.
    SESSION_UNATTACHED_HANDLE = "amqp:session:unattached-handle";

    /// An operator detached the link; it may be attached again.
    LINK_DETACH_FORCED = "amqp:link:detach-forced";
    /// The sender exceeded its credit.
    LINK_TRANSFER_LIMIT_EXCEEDED = "amqp:link:transfer-limit-exceeded";
    /// A message is larger than the link allows.
    LINK_MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded";
    /// The address is elsewhere; the error's info tells where.
    LINK_REDIRECT = "amqp:link:redirect";
    /// The link was attached elsewhere.
    LINK_STOLEN = "amqp:link:stolen";

    /// The transaction does not exist.
    TRANSACTION_UNKNOWN_ID = "amqp:transaction:unknown-id";
    /// The transaction was rolled back.
    TRANSACTION_ROLLBACK = "amqp:transaction:rollback";
    /// The work of the transaction took too long.
    TRANSACTION_TIMEOUT = "amqp:transaction:timeout";
}
