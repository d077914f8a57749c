//! What an idle connection, or an idle link, costs with the driver on tokio: see [`amqp1_benches::scale`].

use std::process::ExitCode;

use amqp1_tokio::{Container, Error};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    amqp1_benches::scale::main(|handler, options| {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::System)?;
        runtime.block_on(async { Container::with_options(handler, options).run().await })
    })
}
