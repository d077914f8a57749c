//! SASL frames (§5.3.3). What they carry may be secret, so `Debug` does not show it.

use bytes::Bytes;

use super::SaslCode;
use crate::codec::{Str, Symbol, composite::composite};

composite! {
    /// The server offers mechanisms (§5.3.3.1).
    pub SaslMechanisms = 0x40 "amqp:sasl-mechanisms:list" {
        /// Their names, best first.
        sasl_server_mechanisms: Symbol = mandatory multiple,
    }

    /// The client picks a mechanism (§5.3.3.2).
    pub SaslInit = 0x41 "amqp:sasl-init:list" {
        /// Its name.
        mechanism: Symbol = mandatory,
        /// What the mechanism says first, if it does.
        initial_response: Bytes = secret,
        /// The host that the client wants to reach.
        hostname: Str,
    }

    /// The server asks (§5.3.3.3).
    pub SaslChallenge = 0x42 "amqp:sasl-challenge:list" {
        /// What the mechanism says.
        challenge: Bytes = mandatory secret,
    }

    /// The client answers (§5.3.3.4).
    pub SaslResponse = 0x43 "amqp:sasl-response:list" {
        /// What the mechanism says.
        response: Bytes = mandatory secret,
    }

    /// The server ends the exchange (§5.3.3.5).
    pub SaslOutcome = 0x44 "amqp:sasl-outcome:list" {
        /// How it ended.
        code: SaslCode = mandatory,
        /// What the mechanism says last.
        additional_data: Bytes = secret,
    }
}
