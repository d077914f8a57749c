//! Sends messages to a queue and waits until all are confirmed.

use std::{
    collections::{BTreeSet, HashMap},
    process::ExitCode,
};

use amqp1_std::{
    ConnectionId, Context, Disconnected, Handler, Knobs, Map, Message, Object, SenderId, Tracker, Url,
    types::{DeliveryState, DeliveryTag, Error},
};

struct Send {
    url: Url,
    total: u64,
    /// The id of the next message that was never sent.
    next: u64,
    /// The ids of those that are to be sent again.
    again: BTreeSet<u64>,
    /// The ids of those that were sent and not confirmed, by their tags.
    sent: HashMap<DeliveryTag, u64>,
    confirmed: u64,
}

impl Send {
    fn take_next(&mut self) -> Option<u64> {
        self.again.pop_first().or_else(|| {
            let id = self.next;
            self.next += 1;
            (id <= self.total).then_some(id)
        })
    }
}

impl Handler for Send {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(&self.url, ());
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while cx.credit(sender) > 0
            && let Some(id) = self.take_next()
        {
            let message = Message::from(Map::new().with("sequence", id as i64)).with_id(id);
            match cx.send(sender, &message) {
                Ok(tag) => self.sent.insert(tag, id),
                Err(refused) => return cx.fail(refused),
            };
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.sent.remove(&tracker.tag());
        self.confirmed += 1;
        if self.confirmed == self.total {
            amqp1_examples::print("all messages confirmed");
            if let Some(connection) = cx.connection_of(tracker.sender()) {
                cx.close(connection);
            }
        }
    }

    fn on_transport_error(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        amqp1_examples::transport_error(cx, reason);
    }

    fn on_recovering(&mut self, _: &mut Context<'_>, _: Object, error: &Error) {
        amqp1_examples::recovering(error);
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        // Nobody knows whether it has arrived: it is sent again once the sender is back.
        self.again.extend(self.sent.remove(&tracker.tag()));
    }

    fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if tracker.state() != Some(&DeliveryState::Accepted) {
            cx.fail(amqp1_examples::refusal(tracker));
        }
    }
}

/// Sends messages to a queue and waits until all are confirmed.
#[derive(clap::Parser)]
struct Options {
    /// The queue; several addresses, with commas between them, for the connection to be made again elsewhere
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node, value_delimiter = ',')]
    address: Vec<Url>,
    /// How many messages to send
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::positive)]
    messages: u64,
}

fn main() -> ExitCode {
    let Options { address, messages } = amqp1_examples::arguments();
    let (url, failover) = address.split_first().expect("there is a default");
    let (again, sent) = (BTreeSet::new(), HashMap::new());
    let program = Send { url: url.clone(), total: messages, next: 1, again, sent, confirmed: 0 };
    amqp1_examples::run_with_failover(program, failover)
}
