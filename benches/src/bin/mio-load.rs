//! A steady load on many connections with the driver on mio: see [`amqp1_benches::load`].

use std::process::ExitCode;

use amqp1_mio::Container;

fn main() -> ExitCode {
    amqp1_benches::load::main(
        |handler, options| Container::with_options(handler, options).run(),
        |handler, options| Container::with_options(handler, options).run(),
    )
}
