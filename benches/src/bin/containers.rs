//! A sender and a receiver, each a container, in one process and without I/O.
//!
//! `containers --count N --size B --credit C --reconnect 0|1`: N messages at least once; with `--reconnect 1` each is kept
//! until it is confirmed, to be sent again if the connection is lost.

use std::process::ExitCode;

use amqp1_benches::{
    Args, Report,
    containers::{self, Exchange},
    finish,
};

fn main() -> ExitCode {
    finish(run(&Args::from_env()))
}

fn run(args: &Args) -> Result<bool, String> {
    let exchange = Exchange {
        count: args.parse("--count", 20_000)?,
        size: args.parse("--size", 100)?,
        credit: args.parse("--credit", 1_000)?,
        reconnect: args.parse("--reconnect", 1_u8)? != 0,
    };
    let (accepted, received) = containers::run(&exchange);
    Report::new().number("acked", accepted).number("received", received).print();
    Ok((accepted, received) == (exchange.count, exchange.count))
}
