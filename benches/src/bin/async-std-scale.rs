//! What an idle connection, or an idle link, costs with the driver on async-std: see [`amqp1_benches::scale`].

use std::process::ExitCode;

use amqp1_async_std::Container;

fn main() -> ExitCode {
    amqp1_benches::scale::main(|handler, options| {
        async_std::task::block_on(Container::with_options(handler, options).run())
    })
}
