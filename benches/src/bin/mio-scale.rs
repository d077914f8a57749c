//! What an idle connection, or an idle link, costs with the driver on mio: see [`amqp1_benches::scale`].

use std::process::ExitCode;

use amqp1_mio::Container;

fn main() -> ExitCode {
    amqp1_benches::scale::main(|handler, options| Container::with_options(handler, options).run())
}
