//! The options of TLS, which every program has.

use std::path::PathBuf;

use amqp1_std::{Container, Handler, TlsClient, TlsError, TlsServer};

// A comment for documentation would be shown as the program's own.
#[allow(missing_docs)]
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Tls {
    /// With amqps: a PEM file with the authority (CA) of the peer's certificate, in place of the system's; a program that
    /// listens asks its clients for one
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// With amqps: a PEM file with the program's own certificate; one that listens needs it
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// A PEM file with the private key of the certificate
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,
}

impl Tls {
    /// Has a container do TLS so, whichever side it is on.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn set_up<H: Handler>(&self, container: Container<H>) -> Result<Container<H>, TlsError> {
        let mut client = TlsClient::new();
        if let Some(ca) = &self.ca {
            client = client.ca_file(ca)?;
        }
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Ok(container.tls_client(client));
        };
        let mut server = TlsServer::new(cert, key)?;
        if let Some(ca) = &self.ca {
            server = server.client_ca_file(ca)?;
        }
        Ok(container.tls_client(client.certificate(cert, key)?).tls_server(server))
    }
}
