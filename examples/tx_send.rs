//! Sends messages to a queue, some of them in each transaction, and waits until all are committed.

use std::process::ExitCode;

use amqp1_std::{
    ConnectionId, Context, Handler, Knobs, Map, Message, SendRefused, SenderId, Tracker, TransactionId, Url,
    types::DeliveryState,
};

struct Send {
    url: Url,
    total: u64,
    batch_size: u64,
    link: Option<(ConnectionId, SenderId)>,
    transaction: Option<TransactionId>,
    /// Messages sent in the transaction.
    batch: u64,
    committed: u64,
}

impl Send {
    /// Sends what the transaction lacks, as far as there is credit, and commits it once it has all.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), SendRefused> {
        let (Some((_, sender)), Some(transaction)) = (self.link, self.transaction) else { return Ok(()) };
        let whole = self.batch_size.min(self.total - self.committed);
        while self.batch < whole && cx.credit(sender) > 0 {
            let id = self.committed + self.batch + 1;
            let message = Message::from(Map::new().with("sequence", id as i64)).with_id(id);
            cx.transaction(transaction)?.send(sender, &message)?;
            self.batch += 1;
        }
        if self.batch == whole {
            self.transaction = None;
            cx.transaction(transaction)?.commit()?;
        }
        Ok(())
    }
}

impl Handler for Send {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        let sender = cx.create_sender(connection, self.url.address());
        self.link = Some((connection, sender));
        cx.declare_transaction(connection);
    }

    fn on_transaction_declared(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        self.transaction = Some(transaction);
        if let Err(refused) = self.send(cx) {
            cx.fail(refused);
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, _: SenderId) {
        if let Err(refused) = self.send(cx) {
            cx.fail(refused);
        }
    }

    fn on_delivery_updated(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        match tracker.state().and_then(DeliveryState::outcome) {
            Some(DeliveryState::Accepted) => {}
            None if !tracker.is_settled() => {}
            _ => cx.fail(amqp1_examples::refusal(tracker)),
        }
    }

    fn on_transaction_committed(&mut self, cx: &mut Context<'_>, _: TransactionId) {
        let Some((connection, _)) = self.link else { return };
        self.committed += std::mem::take(&mut self.batch);
        if self.committed == self.total {
            amqp1_examples::print("all messages committed");
            cx.close(connection);
        } else {
            cx.declare_transaction(connection);
        }
    }
}

/// Sends messages to a queue, some of them in each transaction, and waits until all are committed.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to send
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::positive)]
    messages: u64,
    /// How many of them in a transaction
    #[arg(short, long, value_name = "COUNT", default_value = "10", value_parser = amqp1_examples::positive)]
    batch_size: u64,
}

fn main() -> ExitCode {
    let Options { address, messages, batch_size } = amqp1_examples::arguments();
    amqp1_examples::run(Send {
        url: address,
        total: messages,
        batch_size,
        link: None,
        transaction: None,
        batch: 0,
        committed: 0,
    })
}
