//! Whom to trust, and who to be.

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Greeting, Tls, TlsError};

const CERTIFICATE: &str = "certificate";

/// How a client does TLS: whom it trusts, and who it is. Cheap to clone.
///
/// By default it trusts the authorities (CAs) that the operating system does. The server's certificate has to be from one of
/// them, valid now, and for the host of the URL, which is also what the server is told (SNI).
///
/// ```no_run
/// use amqp1_driver::TlsClient;
///
/// let tls = TlsClient::new()
///     .ca_file("ca.pem")?                      // instead of the system's authorities
///     .certificate("alice.pem", "alice.key")?; // for a server that asks for one
/// # Ok::<(), amqp1_driver::TlsError>(())
/// ```
#[derive(Clone, Default)]
pub struct TlsClient {
    trust: Trust,
    identity: Option<Arc<SingleCertAndKey>>,
    asks_by_header: bool,
    /// Made when it is needed first: the authorities of a system are read from many files.
    config: Arc<OnceLock<Result<Arc<ClientConfig>, TlsError>>>,
}

#[derive(Clone, Default)]
enum Trust {
    #[default]
    System,
    Given(RootCertStore),
    Anybody,
}

impl TlsClient {
    /// TLS that trusts the authorities of the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM file, and no longer those of the operating system. Of several files all are
    /// trusted.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        if !matches!(self.trust, Trust::Given(_)) {
            self.trust = Trust::Given(RootCertStore::empty());
        }
        if let Trust::Given(roots) = &mut self.trust {
            add_roots(roots, path.as_ref())?;
        }
        Ok(self.changed())
    }

    /// Shows the certificate in one PEM file, followed there by those between it and its authority, to servers that ask for
    /// one; its private key is in the other. A client that has one and is to be nobody else authenticates by
    /// [EXTERNAL](amqp1_engine::sasl::Client::external_if_shown), where the server offers that.
    ///
    /// # Errors
    /// A file cannot be read or lacks what it should have, or the key is another certificate's.
    pub fn certificate(self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Ok(Self { identity: Some(identity(certificate.as_ref(), key.as_ref())?), ..self.changed() })
    }

    /// Asks the server for TLS by AMQP's TLS header, in clear text, instead of beginning with TLS at once (§5.2). Few servers
    /// know it; what the connection carries is as safe.
    #[must_use]
    pub fn ask_by_header(self) -> Self {
        Self { asks_by_header: true, ..self }
    }

    /// Takes any server for the one it says it is: no certificate is verified, neither its authority nor its name nor its
    /// validity.
    ///
    /// **Whoever is on the way can pose as the server, read passwords and all messages, and change them.** For tests.
    #[must_use]
    pub fn dangerous_no_verification(self) -> Self {
        Self { trust: Trust::Anybody, ..self.changed() }
    }

    /// Whether there is a client certificate to show.
    #[must_use]
    pub const fn has_certificate(&self) -> bool {
        self.identity.is_some()
    }

    /// A connection to this host.
    pub(in crate::stage) fn connect(&self, host: &str) -> Result<Tls, TlsError> {
        let config = self.config.get_or_init(|| self.config().map(Arc::new)).clone()?;
        //= 5.2-03
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::no_name(host))?;
        let connection = ClientConnection::new(config, name).map_err(TlsError::other)?;
        let greeting = if self.asks_by_header { Greeting::ask() } else { Greeting::none() };
        Ok(Tls::client(connection, greeting, self.has_certificate()))
    }

    fn changed(self) -> Self {
        Self { config: Arc::default(), ..self }
    }

    fn config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::other)?;
        //= 5.2-04
        let config = match &self.trust {
            Trust::System => config.with_root_certificates(system_roots()?),
            Trust::Given(roots) => config.with_root_certificates(roots.clone()),
            Trust::Anybody => {
                config.dangerous().with_custom_certificate_verifier(Arc::new(NoVerification(provider)))
            }
        };
        Ok(match &self.identity {
            Some(identity) => config.with_client_cert_resolver(Arc::clone(identity) as _),
            None => config.with_no_client_auth(),
        })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match &self.trust {
            Trust::System => "the system's authorities".into(),
            Trust::Given(roots) => format!("{} authorities", roots.len()),
            Trust::Anybody => "ANYBODY".into(),
        };
        f.debug_struct("TlsClient")
            .field("trusts", &format_args!("{trust}"))
            .field("has_certificate", &self.has_certificate())
            .field("asks_by_header", &self.asks_by_header)
            .finish()
    }
}

/// How a server does TLS: who it is, and which clients it knows by their certificates. Cheap to clone.
///
/// Clients may begin with TLS at once, or ask for it by AMQP's TLS header (§5.2); whoever begins without TLS is
/// turned away.
///
/// ```no_run
/// use amqp1_driver::TlsServer;
///
/// let tls = TlsServer::new("server.pem", "server.key")?
///     .client_ca_file("ca.pem")?; // clients with a certificate of this authority can use SASL EXTERNAL
/// # Ok::<(), amqp1_driver::TlsError>(())
/// ```
#[derive(Clone)]
pub struct TlsServer {
    identity: Arc<SingleCertAndKey>,
    client_roots: Option<RootCertStore>,
    requires_client: bool,
    config: Arc<OnceLock<Result<Arc<ServerConfig>, TlsError>>>,
}

impl TlsServer {
    /// A server with the certificate in one PEM file, followed there by those between it and its authority, and the private
    /// key in the other.
    ///
    /// # Errors
    /// A file cannot be read or lacks what it should have, or the key is another certificate's.
    pub fn new(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Ok(Self {
            identity: identity(certificate.as_ref(), key.as_ref())?,
            client_roots: None,
            requires_client: false,
            config: Arc::default(),
        })
    }

    /// Asks clients for a certificate of one of the authorities in this PEM file. Those who show one can authenticate by
    /// [EXTERNAL](amqp1_engine::sasl::Server::external), as the distinguished name of its subject in the form of RFC 4514:
    /// `CN=alice,O=Example`. Those who show none may come in otherwise, by PLAIN for instance.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub fn client_ca_file(mut self, path: impl AsRef<Path>) -> Result<Self, TlsError> {
        add_roots(self.client_roots.get_or_insert_with(RootCertStore::empty), path.as_ref())?;
        Ok(Self { config: Arc::default(), ..self })
    }

    /// Turns clients away that show no certificate, where [`client_ca_file`](Self::client_ca_file) asks for one.
    #[must_use]
    pub fn require_client_certificate(self) -> Self {
        Self { requires_client: true, config: Arc::default(), ..self }
    }

    /// A connection that was accepted.
    pub(in crate::stage) fn accept(&self) -> Result<Tls, TlsError> {
        let config = self.config.get_or_init(|| self.config().map(Arc::new)).clone()?;
        let connection = ServerConnection::new(config).map_err(TlsError::other)?;
        Ok(Tls::server(connection))
    }

    fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::other)?;
        let config = match &self.client_roots {
            None => config.with_no_client_auth(),
            Some(roots) => {
                let roots = Arc::new(roots.clone());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = if self.requires_client { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| TlsError::other(Error::General(error.to_string())))?;
                config.with_client_cert_verifier(verifier)
            }
        };
        Ok(config.with_cert_resolver(Arc::clone(&self.identity) as _))
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("asks_clients", &self.client_roots.is_some())
            .field("requires_client", &self.requires_client)
            .finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates.map_err(|error| TlsError::pem(CERTIFICATE, path, error))? {
        none if none.is_empty() => {
            Err(TlsError::pem(CERTIFICATE, path, rustls::pki_types::pem::Error::NoItemsFound))
        }
        certificates => Ok(certificates),
    }
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|_| TlsError::unreadable(CERTIFICATE, path, "it is damaged"))?;
    }
    Ok(())
}

fn identity(certificate: &Path, key: &Path) -> Result<Arc<SingleCertAndKey>, TlsError> {
    let chain = certificates(certificate)?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::pem("private key", key, error))?;
    let certified = CertifiedKey::from_der(chain, der, &ring::default_provider());
    Ok(Arc::new(certified.map_err(|error| TlsError::identity(certificate, key, error))?.into()))
}

/// The authorities that this system trusts; those that cannot be read are left out, as other programs do.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::no_roots()) } else { Ok(roots) }
}

/// Verifies that the server has the key of the certificate that it shows, and nothing else.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
