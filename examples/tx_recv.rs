//! Receives messages from a queue, some of them in each transaction, and prints their bodies.

use std::process::ExitCode;

use amqp1_std::{
    ConnectionId, Context, Delivery, Handler, Knobs, ReceiverId, TransactionId, Url,
    types::{Error, condition},
};

struct Recv {
    url: Url,
    /// None is without end.
    expected: Option<u64>,
    batch_size: u64,
    link: Option<(ConnectionId, ReceiverId)>,
    transaction: Option<TransactionId>,
    /// Messages that are to come yet in the transaction.
    missing: u64,
    received: u64,
}

impl Recv {
    /// How many messages are to come in the next transaction.
    fn next_batch(&self) -> u64 {
        self.expected.map_or(self.batch_size, |expected| self.batch_size.min(expected - self.received))
    }
}

impl Handler for Recv {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: 0, auto_accept: false, peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        let receiver = cx.create_receiver(connection, self.url.address());
        self.link = Some((connection, receiver));
        cx.declare_transaction(connection);
    }

    fn on_transaction_declared(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        let Some((_, receiver)) = self.link else { return };
        self.transaction = Some(transaction);
        self.missing = self.next_batch();
        cx.add_credit(receiver, u32::try_from(self.missing).unwrap_or(u32::MAX));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let Some(transaction) = self.transaction else { return };
        let mut transaction = match cx.transaction(transaction) {
            Ok(transaction) => transaction,
            Err(misuse) => return cx.fail(misuse),
        };
        let settled = match delivery.decode() {
            Ok(message) => {
                amqp1_examples::print(&message.body);
                self.received += 1;
                transaction.accept(delivery.id())
            }
            Err(_) => transaction.reject(delivery.id(), Error::new(condition::DECODE_ERROR)),
        };
        // A message that the sender has settled knows no outcome.
        if let Err(misuse) = settled
            && !delivery.is_settled()
        {
            return cx.fail(misuse);
        }
        self.missing -= 1;
        if self.missing == 0 {
            self.transaction = None;
            if let Err(refused) = transaction.commit() {
                cx.fail(refused);
            }
        }
    }

    fn on_transaction_committed(&mut self, cx: &mut Context<'_>, _: TransactionId) {
        let Some((connection, receiver)) = self.link else { return };
        if self.next_batch() == 0 {
            cx.close(receiver);
            cx.close(connection);
        } else {
            cx.declare_transaction(connection);
        }
    }
}

/// Receives messages from a queue, some of them in each transaction, and prints their bodies.
#[derive(clap::Parser)]
struct Options {
    /// The queue
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// How many messages to receive; 0 is without end
    #[arg(short, long, value_name = "COUNT", default_value = "100", value_parser = amqp1_examples::count)]
    messages: u64,
    /// How many of them in a transaction
    #[arg(short, long, value_name = "COUNT", default_value = "10", value_parser = amqp1_examples::positive)]
    batch_size: u64,
}

fn main() -> ExitCode {
    let Options { address, messages, batch_size } = amqp1_examples::arguments();
    amqp1_examples::run(Recv {
        url: address,
        expected: (messages > 0).then_some(messages),
        batch_size,
        link: None,
        transaction: None,
        missing: 0,
        received: 0,
    })
}
