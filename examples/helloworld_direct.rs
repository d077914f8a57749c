//! Sends a message to a listener of its own: no broker is needed.

use std::process::ExitCode;

use amqp1_std::{ConnectionId, Context, Delivery, Handler, ListenerId, Message, SenderId, Tracker, Url};

struct HelloWorld {
    url: Url,
    listener: Option<ListenerId>,
}

impl Handler for HelloWorld {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.listener = Some(cx.listen(&self.url));
        cx.create_sender(&self.url, ());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if let Err(refused) = cx.send(sender, &Message::from("Hello World!")) {
            cx.fail(refused);
        }
        cx.close(sender);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        match delivery.message() {
            Ok(message) => amqp1_examples::print(message.body()),
            Err(error) => cx.fail(error),
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if let Some(connection) = cx.connection_of(tracker.sender()) {
            cx.close(connection);
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        if let Some(listener) = self.listener.take() {
            cx.close(listener);
        }
    }
}

/// Sends a message to a listener of its own and receives it there.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen, and the node to send to
    #[arg(short, long, value_name = "URL", default_value = "localhost:8888/examples", value_parser = amqp1_examples::node)]
    address: Url,
}

fn main() -> ExitCode {
    let Options { address } = amqp1_examples::arguments();
    amqp1_examples::run(HelloWorld { url: address, listener: None })
}
