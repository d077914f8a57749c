//! What an idle connection, or an idle link, costs with the standard library's driver: see [`amqp1_benches::scale`].

use std::process::ExitCode;

use amqp1_std::Container;

fn main() -> ExitCode {
    amqp1_benches::scale::main(|handler, options| Container::with_options(handler, options).run())
}
