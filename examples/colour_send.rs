//! Sends green and red messages to a queue, for `selected_recv` to choose from, and waits until all are confirmed.

use std::process::ExitCode;

use amqp1_std::{Context, Handler, Knobs, Message, SenderId, Tracker, Url, types::DeliveryState};

struct Send {
    url: Url,
    total: u64,
    sent: u64,
    confirmed: u64,
}

impl Handler for Send {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(&self.url, ());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.total && cx.credit(sender) > 0 {
            let id = self.sent + 1;
            let colour = if id.is_multiple_of(2) { "red" } else { "green" };
            let message = Message::from(format!("{colour} {id}")).with_id(id).with_property("colour", colour);
            if let Err(refused) = cx.send(sender, &message) {
                return cx.fail(refused);
            }
            self.sent = id;
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.confirmed += 1;
        if self.confirmed == self.total {
            amqp1_examples::print("all messages confirmed");
            if let Some(connection) = cx.connection_of(tracker.sender()) {
                cx.close(connection);
            }
        }
    }

    fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if tracker.state() != Some(&DeliveryState::Accepted) {
            cx.fail(amqp1_examples::refusal(tracker));
        }
    }
}

/// Sends green and red messages to a queue and waits until all are confirmed.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to send
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::positive)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    amqp1_examples::run(Send { url: address, total: messages, sent: 0, confirmed: 0 })
}
