//! Listens, and answers requests in upper case: no broker is needed.

use std::{collections::HashMap, process::ExitCode};

use amqp1_examples::response;
use amqp1_std::{
    ConnectionId, Context, Delivery, Disconnected, Handler, Link, ListenerId, SenderId, SourceAddress, Str,
    Url,
    types::{Error, condition},
};

struct Server {
    url: Url,
    /// Those over which clients take responses, by the address that each was given.
    senders: HashMap<Str, (ConnectionId, SenderId)>,
    made: u64,
}

impl Server {
    /// An address that no client has yet.
    fn new_address(&mut self) -> Str {
        loop {
            self.made += 1;
            let address = format!("responses-{}", self.made).into();
            if !self.senders.contains_key(&address) {
                return address;
            }
        }
    }
}

impl Handler for Server {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(&self.url);
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, _: &str) {
        amqp1_examples::print(format_args!("Listening on {}", self.url));
    }

    fn on_link_opening(&mut self, cx: &mut Context<'_>, link: Link) {
        let Link::Sender(sender) = link else { return };
        let (Some(source), Some(connection)) = (cx.remote_source(sender), cx.connection_of(sender)) else {
            return;
        };
        let address = source.address.filter(|_| !source.dynamic).unwrap_or_else(|| self.new_address());
        if self.senders.contains_key(&address) {
            let description = Some("somebody else takes responses there".into());
            return cx
                .close_with(link, Error { condition: condition::RESOURCE_LOCKED, description, info: None });
        }
        // Fails only where the client is gone again.
        if cx.open_link(link, SourceAddress(address.clone())).is_ok() {
            self.senders.insert(address, (connection, sender));
        }
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        // A message that cannot be read is rejected when this returns.
        let Ok(request) = delivery.decode() else { return };
        amqp1_examples::print(format_args!("Received {request}"));
        let Some((address, response)) = response(&request) else { return };
        match self.senders.get(&address).map(|(_, sender)| cx.send(*sender, &response)) {
            Some(Ok(_)) => {}
            Some(Err(refused)) => eprintln!("no response to {address}: {refused}"),
            None => amqp1_examples::print("No link for reply"),
        }
    }

    fn on_link_closed(&mut self, _: &mut Context<'_>, link: Link) {
        self.senders.retain(|_, (_, sender)| Link::Sender(*sender) != link);
    }

    fn on_connection_closed(&mut self, _: &mut Context<'_>, connection: ConnectionId) {
        self.senders.retain(|_, (known, _)| *known != connection);
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, connection: ConnectionId, _: &Disconnected) {
        self.senders.retain(|_, (known, _)| *known != connection);
    }
}

/// Listens, and answers requests in upper case. Runs until interrupted.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen
    #[arg(short, long, value_name = "URL", default_value = "localhost:8888", value_parser = amqp1_examples::host)]
    address: Url,
}

fn main() -> ExitCode {
    let Options { address } = amqp1_examples::arguments();
    amqp1_examples::run(Server { url: address, senders: HashMap::new(), made: 0 })
}
