//! Why a connection failed before its first AMQP frame.

use core::fmt;

use crate::sasl::SaslError;

/// Why a connection failed before its first AMQP frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The configuration gives a client the server's side of SASL, or the reverse (§5.3.2).
    WrongRole,
    /// What the peer sent is not a protocol header; a TLS or HTTP port answers like this.
    NotAmqp {
        /// The first byte that does not belong.
        byte: u8,
    },
    /// The peer wants another version of the protocol than 1.0.0.
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
        /// Revision.
        revision: u8,
    },
    /// The peer wants another protocol id: 0 is AMQP, 2 is TLS, 3 is SASL.
    Protocol {
        /// The one that would do.
        expected: u8,
        /// The peer's.
        received: u8,
    },
    /// The SASL exchange failed.
    Sasl(SaslError),
}

impl From<SaslError> for HandshakeError {
    fn from(error: SaslError) -> Self {
        Self::Sasl(error)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongRole => f.write_str("SASL is configured for the other side of the connection"),
            Self::NotAmqp { byte } => {
                let hint = match byte {
                    0x15 | 0x16 => ", as TLS would",
                    b'H' => ", as HTTP would",
                    _ => "",
                };
                write!(f, "the peer does not speak AMQP: it sent byte {byte:#04x}{hint}")
            }
            Self::Version { major, minor, revision } => {
                write!(f, "the peer wants version {major}.{minor}.{revision} of AMQP, not 1.0.0")
            }
            Self::Protocol { expected, received } => {
                let (expected, received) = (ProtocolId(*expected), ProtocolId(*received));
                write!(f, "the peer wants {received} where {expected} is needed")
            }
            Self::Sasl(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HandshakeError {}

struct ProtocolId(u8);

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("plain AMQP (protocol id 0)"),
            2 => f.write_str("TLS (protocol id 2)"),
            3 => f.write_str("SASL (protocol id 3)"),
            other => write!(f, "protocol id {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::sasl::Refusal;

    #[test]
    fn errors_say_what_to_look_at() {
        for (error, text) in [
            (
                HandshakeError::NotAmqp { byte: 0x15 },
                "the peer does not speak AMQP: it sent byte 0x15, as TLS would",
            ),
            (
                HandshakeError::Protocol { expected: 0, received: 3 },
                "the peer wants SASL (protocol id 3) where plain AMQP (protocol id 0) is needed",
            ),
            (
                HandshakeError::Sasl(SaslError::Refused(Refusal::Credentials)),
                "authentication failed: wrong credentials; check user and password",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
