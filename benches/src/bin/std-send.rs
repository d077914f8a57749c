//! Sends N messages with the standard library's driver: see [`amqp1_benches::send`]. Built with the feature `tls`, with
//! `--ca FILE` to an `amqps` address.

use std::process::ExitCode;

use amqp1_std::Container;

fn main() -> ExitCode {
    amqp1_benches::send::main(|handler, options| {
        let container = Container::with_options(handler, options);
        #[cfg(feature = "tls")]
        let container = match amqp1_benches::Args::from_env().get("--ca") {
            Some(ca) => {
                let tls = amqp1_std::TlsClient::new().ca_file(ca);
                container
                    .tls_client(tls.map_err(|error| amqp1_std::Error::System(std::io::Error::other(error)))?)
            }
            None => container,
        };
        container.run()
    })
}
