//! Receives messages from a queue and prints their bodies.

use std::process::ExitCode;

use amqp1_examples::Seen;
use amqp1_std::{ConnectionId, Context, Delivery, Disconnected, Handler, Knobs, Object, Url, types::Error};

struct Recv {
    url: Url,
    expected: u64,
    received: u64,
    seen: Seen,
}

impl Handler for Recv {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_receiver(&self.url, ());
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        // A message that cannot be read is rejected when this returns.
        let Ok(message) = delivery.decode() else { return };
        if message.id().is_some_and(|id| self.seen.before(id)) {
            return;
        }
        amqp1_examples::print(&message.body);
        self.received += 1;
        if self.received == self.expected {
            cx.close(delivery.receiver());
            cx.close(delivery.connection());
        }
    }

    fn on_transport_error(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        amqp1_examples::transport_error(cx, reason);
    }

    fn on_recovering(&mut self, _: &mut Context<'_>, _: Object, error: &Error) {
        amqp1_examples::recovering(error);
    }
}

/// Receives messages from a queue and prints their bodies.
#[derive(clap::Parser)]
struct Options {
    /// The queue; several addresses, with commas between them, for the connection to be made again elsewhere
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node, value_delimiter = ',')]
    address: Vec<Url>,
    /// How many messages to receive; 0 is without end
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::count)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    let (url, failover) = address.split_first().expect("there is a default");
    let program = Recv { url: url.clone(), expected: messages, received: 0, seen: Seen::default() };
    amqp1_examples::run_with_failover(program, failover)
}
