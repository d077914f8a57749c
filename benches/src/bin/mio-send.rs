//! Sends N messages with the driver on mio: see [`amqp1_benches::send`].

use std::process::ExitCode;

use amqp1_mio::Container;

fn main() -> ExitCode {
    amqp1_benches::send::main(|handler, options| Container::with_options(handler, options).run())
}
