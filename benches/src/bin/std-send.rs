//! Sends N messages with the standard library's driver: see [`amqp1_benches::send`].

use std::process::ExitCode;

use amqp1_std::Container;

fn main() -> ExitCode {
    amqp1_benches::send::main(|handler, options| Container::with_options(handler, options).run())
}
