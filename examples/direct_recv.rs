//! Listens, and prints the bodies of the messages that peers send: no broker is needed.

use std::process::ExitCode;

use amqp1_examples::Seen;
use amqp1_std::{Context, Delivery, Handler, ListenerId, Url};

struct Recv {
    url: Url,
    listener: Option<ListenerId>,
    expected: u64,
    received: u64,
    seen: Seen,
}

impl Handler for Recv {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(&self.url));
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
            if let Some(listener) = self.listener.take() {
                cx.close(listener);
            }
        }
    }
}

/// Listens, and prints the bodies of the messages that peers send.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to receive; 0 is without end
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::count)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    amqp1_examples::run(Recv {
        url: address,
        listener: None,
        expected: messages,
        received: 0,
        seen: Seen::default(),
    })
}
