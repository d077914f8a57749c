//! What may help after an error: one table.

use super::Disconnected;
use crate::{
    DisconnectReason, HandshakeError,
    codec::Symbol,
    sasl::{Refusal, SaslError},
    types::condition as c,
};

/// The least that may help after an error (§2.8.15 to §2.8.18, §4.5.8). What is wider helps, too: whose link is to be
/// attached again can have it on a new session or connection.
///
/// The [`Container`](super::Container) makes again by itself what was lost, as [`Reconnect`](super::Reconnect) says, where that
/// is enough by this table:
///
/// | what the peer has ended | comes back after | of which the program is told by |
/// | --- | --- | --- |
/// | a link that this side has made | retry, re-attach the link | [`on_recovering`](super::Handler::on_recovering) |
/// | a session that this side has begun, with its links | these, and new session | the same |
/// | a connection that this side has dialed, with all that is on it | all but give up | [`on_disconnected`](super::Handler::on_disconnected) |
///
/// What becomes of other errors, and of those of messages, is up to the program, which asks [`of`](Self::of).
///
/// | condition | what may help |
/// | --- | --- |
/// | `amqp:internal-error` | retry |
/// | `amqp:not-found` | give up |
/// | `amqp:unauthorized-access` | give up |
/// | `amqp:decode-error` | give up |
/// | `amqp:resource-limit-exceeded` | retry |
/// | `amqp:not-allowed` | give up |
/// | `amqp:invalid-field` | give up |
/// | `amqp:not-implemented` | give up |
/// | `amqp:resource-locked` | retry |
/// | `amqp:precondition-failed` | give up |
/// | `amqp:resource-deleted` | give up |
/// | `amqp:illegal-state` | re-attach the link |
/// | `amqp:frame-size-too-small` | give up |
/// | `amqp:connection:forced` | new connection |
/// | `amqp:connection:framing-error` | new connection |
/// | `amqp:connection:redirect` | give up |
/// | `amqp:session:window-violation` | new session |
/// | `amqp:session:errant-link` | new session |
/// | `amqp:session:handle-in-use` | new session |
/// | `amqp:session:unattached-handle` | new session |
/// | `amqp:link:detach-forced` | re-attach the link |
/// | `amqp:link:transfer-limit-exceeded` | re-attach the link |
/// | `amqp:link:message-size-exceeded` | give up |
/// | `amqp:link:redirect` | give up |
/// | `amqp:link:stolen` | give up |
/// | `amqp:transaction:unknown-id` | give up |
/// | `amqp:transaction:rollback` | retry |
/// | `amqp:transaction:timeout` | retry |
/// | `amqp1:transport` | new connection |
///
/// `amqp1:transport` is what [`Disconnected`] says of a byte stream that broke or could not be opened. Where a peer points
/// elsewhere, a connection or link there may help: see [`Reconnect::follow_redirects`](super::Reconnect::follow_redirects).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recovery {
    /// The same again, after a while.
    Retry,
    /// The link is to be attached again.
    ReattachLink,
    /// Session and links are to be made again.
    NewSession,
    /// The connection is to be made again, with all that is on it, perhaps to another peer.
    NewConnection,
    /// Nothing: it would fail again, until a person has changed something.
    GiveUp,
}

impl Recovery {
    /// What may help after an error with this condition; a condition that no specification knows is given up.
    #[must_use]
    pub fn of(condition: &Symbol) -> Self {
        TABLE.iter().find(|(known, _)| known == condition).map_or(Self::GiveUp, |&(_, recovery)| recovery)
    }
}

/// The condition of a failure below AMQP: a byte stream that broke or could not be opened.
pub(super) const TRANSPORT: Symbol = Symbol::from_static("amqp1:transport");

const TABLE: [(Symbol, Recovery); 29] = [
    (TRANSPORT, Recovery::NewConnection),
    (c::INTERNAL_ERROR, Recovery::Retry),
    (c::NOT_FOUND, Recovery::GiveUp),
    (c::UNAUTHORIZED_ACCESS, Recovery::GiveUp),
    (c::DECODE_ERROR, Recovery::GiveUp),
    (c::RESOURCE_LIMIT_EXCEEDED, Recovery::Retry),
    (c::NOT_ALLOWED, Recovery::GiveUp),
    (c::INVALID_FIELD, Recovery::GiveUp),
    (c::NOT_IMPLEMENTED, Recovery::GiveUp),
    (c::RESOURCE_LOCKED, Recovery::Retry),
    (c::PRECONDITION_FAILED, Recovery::GiveUp),
    (c::RESOURCE_DELETED, Recovery::GiveUp),
    (c::ILLEGAL_STATE, Recovery::ReattachLink),
    (c::FRAME_SIZE_TOO_SMALL, Recovery::GiveUp),
    (c::CONNECTION_FORCED, Recovery::NewConnection),
    (c::CONNECTION_FRAMING_ERROR, Recovery::NewConnection),
    (c::CONNECTION_REDIRECT, Recovery::GiveUp),
    (c::SESSION_WINDOW_VIOLATION, Recovery::NewSession),
    (c::SESSION_ERRANT_LINK, Recovery::NewSession),
    (c::SESSION_HANDLE_IN_USE, Recovery::NewSession),
    (c::SESSION_UNATTACHED_HANDLE, Recovery::NewSession),
    (c::LINK_DETACH_FORCED, Recovery::ReattachLink),
    (c::LINK_TRANSFER_LIMIT_EXCEEDED, Recovery::ReattachLink),
    (c::LINK_MESSAGE_SIZE_EXCEEDED, Recovery::GiveUp),
    (c::LINK_REDIRECT, Recovery::GiveUp),
    (c::LINK_STOLEN, Recovery::GiveUp),
    (c::TRANSACTION_UNKNOWN_ID, Recovery::GiveUp),
    // The transaction is gone; its work can be done in another one.
    (c::TRANSACTION_ROLLBACK, Recovery::Retry),
    (c::TRANSACTION_TIMEOUT, Recovery::Retry),
];

/// Why a connection ended without a close on both sides: its condition.
pub(super) fn condition_of(reason: &DisconnectReason) -> Symbol {
    match reason {
        DisconnectReason::Handshake(HandshakeError::Sasl(SaslError::Refused(Refusal::SystemTemporary))) => {
            TRANSPORT
        }
        // The same credentials and mechanisms would fail again.
        DisconnectReason::Handshake(HandshakeError::Sasl(
            SaslError::Refused(_)
            | SaslError::NoCommonMechanism { .. }
            | SaslError::ClearText { .. }
            | SaslError::Mechanism(_),
        )) => c::UNAUTHORIZED_ACCESS,
        _ => TRANSPORT,
    }
}

impl Disconnected {
    /// What may help: what the container goes by.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        Recovery::of(&self.condition)
    }
}

#[cfg(test)]
mod tests {
    use std::{format, string::String, vec::Vec};

    use super::*;
    use crate::transport::HandshakeError;

    macro_rules! recoveries {
        ($($test:ident: $condition:literal => $recovery:ident,)*) => {
            $(#[test]
            fn $test() {
                assert_eq!(Recovery::of(&Symbol::from_static($condition)), Recovery::$recovery);
            })*

            const TESTED: &[(&str, Recovery)] = &[$(($condition, Recovery::$recovery)),*];
        };
    }

    recoveries! {
        r_05_internal_error: "amqp:internal-error" => Retry,
        r_05_not_found: "amqp:not-found" => GiveUp,
        r_05_unauthorized_access: "amqp:unauthorized-access" => GiveUp,
        r_05_decode_error: "amqp:decode-error" => GiveUp,
        r_05_resource_limit_exceeded: "amqp:resource-limit-exceeded" => Retry,
        r_05_not_allowed: "amqp:not-allowed" => GiveUp,
        r_05_invalid_field: "amqp:invalid-field" => GiveUp,
        r_05_not_implemented: "amqp:not-implemented" => GiveUp,
        r_05_resource_locked: "amqp:resource-locked" => Retry,
        r_05_precondition_failed: "amqp:precondition-failed" => GiveUp,
        r_05_resource_deleted: "amqp:resource-deleted" => GiveUp,
        r_05_illegal_state: "amqp:illegal-state" => ReattachLink,
        r_05_frame_size_too_small: "amqp:frame-size-too-small" => GiveUp,
        r_05_connection_forced: "amqp:connection:forced" => NewConnection,
        r_05_connection_framing_error: "amqp:connection:framing-error" => NewConnection,
        r_05_connection_redirect: "amqp:connection:redirect" => GiveUp,
        r_05_session_window_violation: "amqp:session:window-violation" => NewSession,
        r_05_session_errant_link: "amqp:session:errant-link" => NewSession,
        r_05_session_handle_in_use: "amqp:session:handle-in-use" => NewSession,
        r_05_session_unattached_handle: "amqp:session:unattached-handle" => NewSession,
        r_05_link_detach_forced: "amqp:link:detach-forced" => ReattachLink,
        r_05_link_transfer_limit_exceeded: "amqp:link:transfer-limit-exceeded" => ReattachLink,
        r_05_link_message_size_exceeded: "amqp:link:message-size-exceeded" => GiveUp,
        r_05_link_redirect: "amqp:link:redirect" => GiveUp,
        r_05_link_stolen: "amqp:link:stolen" => GiveUp,
        r_05_transaction_unknown_id: "amqp:transaction:unknown-id" => GiveUp,
        r_05_transaction_rollback: "amqp:transaction:rollback" => Retry,
        r_05_transaction_timeout: "amqp:transaction:timeout" => Retry,
        r_05_transport: "amqp1:transport" => NewConnection,
        r_05_what_nobody_knows: "com.example:whim" => GiveUp,
    }

    #[test]
    fn r_05_every_condition_of_the_specification_has_its_test_and_the_page_has_them_all() {
        for condition in c::ALL {
            assert!(TESTED.iter().any(|(tested, _)| tested == condition), "{condition}");
        }
        let (page, _) = include_str!("recovery.rs").split_once("#[derive").unwrap();
        let rows: Vec<String> = TESTED
            .iter()
            .filter(|(condition, _)| *condition != "com.example:whim")
            .map(|(condition, recovery)| format!("/// | `{condition}` | {} |", words(*recovery)))
            .collect();
        for row in &rows {
            assert!(page.contains(row.as_str()), "the page has no row {row}");
        }
        assert_eq!(page.matches("/// | `").count(), rows.len(), "the page has another row");
    }

    const fn words(recovery: Recovery) -> &'static str {
        match recovery {
            Recovery::Retry => "retry",
            Recovery::ReattachLink => "re-attach the link",
            Recovery::NewSession => "new session",
            Recovery::NewConnection => "new connection",
            Recovery::GiveUp => "give up",
        }
    }

    #[test]
    fn r_05_who_is_not_let_in_gives_up_but_where_the_server_says_later() {
        let sasl = |error| condition_of(&DisconnectReason::Handshake(HandshakeError::Sasl(error)));
        assert_eq!(sasl(SaslError::Refused(Refusal::Credentials)), c::UNAUTHORIZED_ACCESS);
        assert_eq!(sasl(SaslError::Refused(Refusal::SystemPermanent)), c::UNAUTHORIZED_ACCESS);
        assert_eq!(
            sasl(SaslError::NoCommonMechanism { offered: crate::codec::Symbols::new() }),
            c::UNAUTHORIZED_ACCESS
        );
        assert_eq!(sasl(SaslError::Refused(Refusal::SystemTemporary)), TRANSPORT);
        assert_eq!(condition_of(&DisconnectReason::Aborted), TRANSPORT);
        assert_eq!(condition_of(&DisconnectReason::HandshakeTimeout), TRANSPORT);
    }
}
