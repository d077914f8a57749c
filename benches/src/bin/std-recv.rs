//! Takes N messages with the standard library's driver: see [`amqp1_benches::receive`]. With `--cert FILE --key FILE` it can
//! listen at an `amqps` address.

use std::{io, process::ExitCode};

use amqp1_benches::Args;
use amqp1_std::{Container, Error, TlsServer};

fn main() -> ExitCode {
    amqp1_benches::receive::main(|handler, options| {
        let mut container = Container::with_options(handler, options);
        let args = Args::from_env();
        if let (Some(certificate), Some(key)) = (args.get("--cert"), args.get("--key")) {
            let tls = TlsServer::new(certificate, key);
            container = container.tls_server(tls.map_err(|error| Error::System(io::Error::other(error)))?);
        }
        container.run()
    })
}
