//! Sends N messages with the driver on tokio: see [`amqp1_benches::send`].

use std::process::ExitCode;

use amqp1_tokio::{Container, Error};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    amqp1_benches::send::main(|handler, options| {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::System)?;
        runtime.block_on(async { Container::with_options(handler, options).run().await })
    })
}
