//! Prints the messages of a queue and leaves them there.

use std::process::ExitCode;

use amqp1_std::{
    Context, Copy, Delivery, Handler, Knobs, Link, Prefetch, ReceiverId, Url, types::distribution_mode,
};

/// How many messages are asked for at a time.
const ROUND: u32 = 100;

struct Browser {
    url: Url,
    received: u32,
}

impl Browser {
    /// Asks for some messages, or as many as there are.
    fn ask(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
        self.received = 0;
        cx.add_credit(receiver, ROUND);
        cx.drain(receiver);
    }
}

impl Handler for Browser {
    fn knobs(&self) -> Knobs {
        // Nothing is settled: a peer that moves messages all the same gets them back when the connection is closed.
        Knobs { peer_close_is_error: true, auto_accept: false, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_receiver(&self.url, (Copy, Prefetch(0)));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        let Link::Receiver(receiver) = link else { return };
        let mode = cx.remote_source(receiver).and_then(|source| source.distribution_mode);
        if mode.is_none_or(|mode| mode == distribution_mode::COPY) {
            return self.ask(cx, receiver);
        }
        cx.fail("the peer does not let its queue be browsed: it would move the messages");
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received += 1;
        match delivery.message() {
            Ok(message) => amqp1_examples::print(message),
            Err(error) => amqp1_examples::print(format!("not a message: {error}")),
        }
    }

    fn on_drain_finished(&mut self, cx: &mut Context<'_>, receiver: ReceiverId) {
        if self.received == ROUND {
            return self.ask(cx, receiver);
        }
        if let Some(connection) = cx.connection_of(receiver) {
            cx.close(connection);
        }
    }
}

/// Prints the messages of a queue and leaves them there.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
}

fn main() -> ExitCode {
    let Options { address } = amqp1_examples::arguments();
    amqp1_examples::run(Browser { url: address, received: 0 })
}
