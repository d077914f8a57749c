//! Receives those messages of a queue that are green, and prints their bodies: the others stay.

use std::process::ExitCode;

use amqp1_std::{Context, Delivery, Handler, Knobs, Link, Selector, Url};

struct Recv {
    url: Url,
    expected: u64,
    received: u64,
}

impl Handler for Recv {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_receiver(&self.url, Selector("colour = 'green'"));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        if let Link::Receiver(receiver) = link
            && !cx.dropped_filters(receiver).is_empty()
        {
            cx.fail("the peer does not know selectors: it would send messages of every colour");
            if let Some(connection) = cx.connection_of(link) {
                cx.close(connection);
            }
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        // A message that cannot be read is rejected when this returns.
        let Ok(message) = delivery.message() else { return };
        amqp1_examples::print(message.body());
        self.received += 1;
        if self.received == self.expected {
            cx.close(delivery.receiver());
            cx.close(delivery.connection());
        }
    }
}

/// Receives those messages of a queue that are green, and prints their bodies.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to receive; 0 is without end
    #[arg(short, long, value_name = "COUNT", default_value = "0", value_parser = amqp1_examples::count)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    amqp1_examples::run(Recv { url: address, expected: messages, received: 0 })
}
