//! Sends N messages with the standard library's driver: see [`amqp1_benches::send`]. With `--ca FILE` to an `amqps` address.

use std::{io, process::ExitCode};

use amqp1_benches::Args;
use amqp1_std::{Container, Error, TlsClient};

fn main() -> ExitCode {
    amqp1_benches::send::main(|handler, options| {
        let mut tls = TlsClient::new();
        if let Some(ca) = Args::from_env().get("--ca") {
            tls = tls.ca_file(ca).map_err(|error| Error::System(io::Error::other(error)))?;
        }
        Container::with_options(handler, options).tls_client(tls).run()
    })
}
