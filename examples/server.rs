//! Answers requests that come through a queue: in upper case.

use std::{collections::HashMap, process::ExitCode};

use amqp1_examples::response;
use amqp1_std::{
    ConnectionId, Context, Delivery, Handler, Knobs, Link, SenderId, Str, Unhandled, Url,
    types::{Error, condition},
};

/// How many reply addresses keep their sender. Beyond that, those that are idle are closed.
const SENDERS: usize = 100;

struct Server {
    url: Url,
    /// By the address that they send to.
    senders: HashMap<Str, SenderId>,
}

impl Server {
    /// The sender to an address, of earlier responses if there is one.
    fn sender(&mut self, cx: &mut Context<'_>, connection: ConnectionId, address: &Str) -> SenderId {
        if let Some(sender) = self.senders.get(address) {
            return *sender;
        }
        if self.senders.len() >= SENDERS {
            for sender in self.senders.drain().map(|(_, sender)| sender) {
                cx.close(sender);
            }
        }
        let sender = cx.create_sender(connection, address.clone());
        self.senders.insert(address.clone(), sender);
        sender
    }
}

impl Handler for Server {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        cx.create_receiver(connection, self.url.address());
    }

    fn on_link_opened(&mut self, _: &mut Context<'_>, link: Link) {
        if link.receiver().is_some() {
            amqp1_examples::print(format_args!("Listening on {}", self.url));
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        // A message that cannot be read is rejected when this returns.
        let Ok(request) = delivery.decode() else { return };
        amqp1_examples::print(format_args!("Received {request}"));
        let Some((address, response)) = response(&request) else { return };
        let sender = self.sender(cx, delivery.connection(), &address);
        if let Err(refused) = cx.send(sender, &response) {
            eprintln!("no response to {address}: {refused}");
        }
    }

    fn on_link_error(&mut self, cx: &mut Context<'_>, link: Link, error: &Error) {
        match self.senders.iter().find(|(_, sender)| Link::Sender(**sender) == link) {
            // A client that is done has taken its address along.
            Some(_) if error.condition == condition::RESOURCE_DELETED => {}
            Some((address, _)) => eprintln!("no response to {address}: {}", error.condition),
            None => self.on_unhandled(cx, &Unhandled::LinkError(link, error)),
        }
    }

    fn on_link_closed(&mut self, _: &mut Context<'_>, link: Link) {
        self.senders.retain(|_, sender| Link::Sender(*sender) != link);
    }
}

/// Answers requests that come through a queue: in upper case. Runs until interrupted.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
}

fn main() -> ExitCode {
    let Options { address } = amqp1_examples::arguments();
    amqp1_examples::run(Server { url: address, senders: HashMap::new() })
}
