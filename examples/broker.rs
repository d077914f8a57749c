//! A broker with queues in memory, made when somebody attaches to them.

use std::process::ExitCode;

use amqp1_examples::broker::Broker;
use amqp1_std::Url;

/// A broker with queues in memory, made when somebody attaches to them. Runs until interrupted.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen; if it names user and password, only they are let in
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672", value_parser = amqp1_examples::host)]
    address: Url,
}

fn main() -> ExitCode {
    let Options { address } = amqp1_examples::arguments();
    amqp1_examples::run(Broker::new(address))
}
