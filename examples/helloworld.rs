//! Sends a message to a queue and receives it again.

use std::process::ExitCode;

use amqp1_examples::broker::Broker;
use amqp1_std::{
    ConnectionId, Context, Delivery, Disconnected, Handler, Knobs, Message, SenderId, Tracker, Url,
};

struct HelloWorld {
    server: Url,
}

impl Handler for HelloWorld {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.server);
        cx.create_receiver(connection, self.server.address());
        cx.create_sender(connection, self.server.address());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if let Err(refused) = cx.send(sender, &Message::from("Hello World!")) {
            cx.fail(refused);
        }
        cx.close(sender);
    }

    fn on_rejected(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        cx.fail(amqp1_examples::refusal(tracker));
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        // One message, one attempt.
        cx.fail(&reason.description);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        match delivery.message() {
            Ok(message) => amqp1_examples::print(message.body()),
            Err(error) => cx.fail(error),
        }
        cx.close(delivery.connection());
    }
}

/// Sends a message to a queue and receives it again.
#[derive(clap::Parser)]
struct Options {
    /// The queue; without it, one of a broker in this program
    #[arg(short, long, value_name = "URL", value_parser = amqp1_examples::node)]
    address: Option<Url>,
}

fn main() -> ExitCode {
    let options: Options = amqp1_examples::arguments();
    if let Some(server) = options.address {
        return amqp1_examples::run(HelloWorld { server });
    }
    let broker = match Broker::start("localhost:0") {
        Ok(broker) => broker,
        Err(error) => return amqp1_examples::fail(error),
    };
    match format!("{}/examples", broker.address()).parse() {
        Ok(server) => amqp1_examples::run(HelloWorld { server }),
        Err(error) => amqp1_examples::fail(error),
    }
}
