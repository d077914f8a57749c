//! Listens, and sends messages to the peer that asks for them: no broker is needed.

use std::process::ExitCode;

use amqp1_std::{Context, Handler, ListenerId, Map, Message, SenderId, Tracker, Url, types::DeliveryState};

struct Send {
    url: Url,
    listener: Option<ListenerId>,
    total: u64,
    sent: u64,
    confirmed: u64,
}

impl Handler for Send {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(&self.url));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.total && cx.credit(sender) > 0 {
            let id = self.sent + 1;
            let message = Message::from(Map::new().with("sequence", id as i64)).with_id(id);
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
            if let Some(listener) = self.listener.take() {
                cx.close(listener);
            }
        }
    }

    fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if tracker.state() != Some(&DeliveryState::Accepted) {
            cx.fail(amqp1_examples::refusal(tracker));
        }
    }
}

/// Listens, and sends messages to the peer that asks for them.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to send
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::positive)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    amqp1_examples::run(Send { url: address, listener: None, total: messages, sent: 0, confirmed: 0 })
}
