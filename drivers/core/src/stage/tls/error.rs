//! What went wrong with TLS, in one line for a person.

use std::{
    error::Error,
    fmt,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use amqp1_engine::Side;
use rustls::{AlertDescription as Alert, CertificateError, Error as Cause, InvalidMessage, pki_types::pem};

/// Why there is no TLS with a peer, or why settings for it cannot be used: what is wrong and what to do about it, in one
/// line.
#[derive(Clone, Debug)]
pub struct TlsError(Fault);

#[derive(Clone, Debug)]
enum Fault {
    Unreadable {
        what: &'static str,
        path: PathBuf,
        cause: String,
    },
    Empty {
        what: &'static str,
        path: PathBuf,
    },
    KeyMismatch {
        certificate: PathBuf,
        key: PathBuf,
    },
    NoRoots,
    NoName(String),
    /// The peer's first bytes are a protocol header, and not of TLS.
    Header {
        from_client: bool,
        id: Option<u8>,
    },
    /// What rustls says of a peer, before or after the connection was open.
    Peer {
        side: Side,
        open: bool,
        cause: Cause,
    },
    Other(Cause),
}

impl TlsError {
    pub(super) fn unreadable(what: &'static str, path: &Path, cause: impl fmt::Display) -> Self {
        Self(Fault::Unreadable { what, path: path.into(), cause: cause.to_string() })
    }

    pub(super) fn pem(what: &'static str, path: &Path, cause: pem::Error) -> Self {
        match cause {
            pem::Error::NoItemsFound => Self(Fault::Empty { what, path: path.into() }),
            pem::Error::Io(cause) => Self::unreadable(what, path, cause),
            cause => Self::unreadable(what, path, cause),
        }
    }

    pub(super) fn identity(certificate: &Path, key: &Path, cause: Cause) -> Self {
        match cause {
            Cause::InconsistentKeys(_) => {
                Self(Fault::KeyMismatch { certificate: certificate.into(), key: key.into() })
            }
            // Of a certificate that cannot be read it says the same as of one that is not verified.
            Cause::InvalidCertificate(_) => Self::unreadable("certificate", certificate, "it is damaged"),
            cause => Self::unreadable("private key", key, Self::text(&cause)),
        }
    }

    pub(super) const fn no_roots() -> Self {
        Self(Fault::NoRoots)
    }

    pub(super) fn no_name(host: &str) -> Self {
        Self(Fault::NoName(host.into()))
    }

    pub(super) fn not_tls(from_client: bool, heard: &[u8]) -> Self {
        let id = heard.strip_prefix(b"AMQP").and_then(<[u8]>::first).copied();
        Self(Fault::Header { from_client, id })
    }

    pub(super) const fn peer(side: Side, open: bool, cause: Cause) -> Self {
        Self(Fault::Peer { side, open, cause })
    }

    pub(super) const fn other(cause: Cause) -> Self {
        Self(Fault::Other(cause))
    }

    /// rustls prefixes some of its messages with what the line says already.
    fn text(cause: &Cause) -> String {
        match cause {
            Cause::General(text) => text.clone(),
            Cause::Other(other) => other.to_string(),
            cause => cause.to_string(),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error.0 {
            Fault::Header { .. } | Fault::Peer { .. } => ErrorKind::InvalidData,
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::Unreadable { what, path, cause } => {
                write!(f, "cannot use the {what} in {}: {cause}", path.display())
            }
            Fault::Empty { what, path } => {
                write!(f, "there is no {what} in {}: give a file in the PEM format", path.display())
            }
            Fault::KeyMismatch { certificate, key } => write!(
                f,
                "the private key in {} does not belong to the certificate in {}",
                key.display(),
                certificate.display()
            ),
            Fault::NoRoots => f.write_str(
                "this system knows no certificate authority: give the certificate of the server's authority (CA)",
            ),
            Fault::NoName(host) => write!(f, "no certificate can be for `{host}`: give a host name or an IP address"),
            Fault::Header { from_client: false, id } => match id {
                Some(id) => write!(f, "the server wants protocol id {id} where TLS (protocol id 2) is needed"),
                None => f.write_str("the server does not speak AMQP; check the port"),
            },
            Fault::Header { from_client: true, .. } => {
                f.write_str("the client does not speak TLS, and was told to; nothing in clear text is answered")
            }
            Fault::Peer { side: Side::Client, open: false, cause } => of_server(f, cause),
            Fault::Peer { side: Side::Server, open: false, cause } => of_client(f, cause),
            Fault::Peer { side, open: true, cause } => match (side, cause) {
                // With TLS 1.3 the server judges the client's certificate when the client is through.
                (Side::Client, Cause::AlertReceived(_)) => of_server(f, cause),
                _ => write!(f, "TLS failed: {}", Self::text(cause)),
            },
            Fault::Other(cause) => write!(f, "TLS is not possible: {}", Self::text(cause)),
        }
    }
}

/// What a client learns of a server.
fn of_server(f: &mut fmt::Formatter<'_>, cause: &Cause) -> fmt::Result {
    match cause {
        Cause::InvalidCertificate(error) => match error {
            CertificateError::NotValidForNameContext { expected, presented } => {
                let expected = expected.to_str();
                write!(f, "the server's certificate is not for {expected}")?;
                if !presented.is_empty() {
                    write!(f, " but for {}", presented.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "))?;
                }
                f.write_str("; check that this is the server you mean")
            }
            CertificateError::NotValidForName => {
                f.write_str("the server's certificate is for another host; check that this is the server you mean")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                f.write_str("the server's certificate has expired; have it renewed, or check this machine's clock")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                f.write_str("the server's certificate is not valid yet; check this machine's clock")
            }
            CertificateError::UnknownIssuer => f.write_str(
                "the server's certificate is from an unknown authority; give the certificate of its authority (CA)",
            ),
            CertificateError::BadSignature => f.write_str("the server's certificate is not from the authority it names"),
            CertificateError::InvalidPurpose => f.write_str("the server's certificate is not for servers"),
            error => write!(f, "the server's certificate is not good: {error}"),
        },
        Cause::InvalidMessage(InvalidMessage::InvalidContentType) => {
            f.write_str("the server does not speak TLS; check the port, or use amqp where clear text will do")
        }
        Cause::AlertReceived(Alert::CertificateRequired) => {
            f.write_str("the server wants a client certificate; give one with its key")
        }
        Cause::AlertReceived(Alert::UnknownCA) => {
            f.write_str("the server does not know the authority (CA) of our certificate")
        }
        Cause::AlertReceived(Alert::BadCertificate | Alert::CertificateUnknown) => {
            f.write_str("the server refuses our certificate, or wants one")
        }
        Cause::AlertReceived(Alert::CertificateExpired) => {
            f.write_str("our certificate has expired; have it renewed")
        }
        Cause::AlertReceived(alert) => write!(f, "the server refuses TLS: {alert:?}"),
        cause => write!(f, "TLS failed: {}", TlsError::text(cause)),
    }
}

/// What a server learns of a client.
fn of_client(f: &mut fmt::Formatter<'_>, cause: &Cause) -> fmt::Result {
    match cause {
        Cause::NoCertificatesPresented => f.write_str("the client has no certificate"),
        Cause::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                f.write_str("the client's certificate has expired")
            }
            CertificateError::UnknownIssuer => {
                f.write_str("the client's certificate is from an unknown authority")
            }
            error => write!(f, "the client's certificate is not good: {error}"),
        },
        Cause::InvalidMessage(InvalidMessage::InvalidContentType) => {
            f.write_str("the client does not speak TLS")
        }
        Cause::AlertReceived(Alert::UnknownCA) => {
            f.write_str("the client does not know the authority (CA) of our certificate")
        }
        Cause::AlertReceived(alert) => write!(f, "the client refuses our certificate, or TLS: {alert:?}"),
        cause => write!(f, "TLS failed: {}", TlsError::text(cause)),
    }
}

/// A name in a certificate, for a person: rustls tells its kind, as in `DnsName("localhost")`.
fn shown(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

impl Error for TlsError {}
