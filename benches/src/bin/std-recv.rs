//! Takes N messages with the standard library's driver: see [`amqp1_benches::receive`]. Built with the feature `tls`, with
//! `--cert FILE --key FILE` it can listen at an `amqps` address.

use std::process::ExitCode;

use amqp1_std::Container;

fn main() -> ExitCode {
    amqp1_benches::receive::main(|handler, options| {
        let container = Container::with_options(handler, options);
        #[cfg(feature = "tls")]
        let container = {
            let args = amqp1_benches::Args::from_env();
            match (args.get("--cert"), args.get("--key")) {
                (Some(certificate), Some(key)) => {
                    let tls = amqp1_std::TlsServer::new(certificate, key);
                    let failed = |error| amqp1_std::Error::System(std::io::Error::other(error));
                    container.tls_server(tls.map_err(failed)?)
                }
                _ => container,
            }
        };
        container.run()
    })
}
