//! Transactions: our programs with Proton's through the brokers that know them, and what a broker rolls back.

use std::time::Duration;

use amqp1_engine::message::Message;
use amqp1_std::{
    Container, Context, Delivery, DeliveryId, Handler, Knobs, SendRefused, SenderId, TransactionId, Url,
    blocking::Error,
};

use crate::{
    brokers::Broker,
    examples::received,
    process::{self, Program},
    proton::{Proton, connect},
};

const COUNT: u64 = 25;
const COMMITTED: [&str; 1] = ["all messages committed"];

fn options(url: &str) -> [String; 6] {
    ["-a", url, "-m", &COUNT.to_string(), "-b", "5"].map(String::from)
}

fn ours(name: &str, url: &str) -> Program {
    process::example(name, options(url))
}

/// The brokers that know transactions.
fn brokers() -> impl Iterator<Item = Broker> {
    [Some(Broker::ours()), Broker::activemq()].into_iter().flatten()
}

#[test]
fn our_programs_and_protons_commit_through_each_broker() {
    let Some(proton) = Proton::installed() else { return };
    for broker in brokers() {
        let url = broker.queue("transactions-with-proton");
        assert_eq!(ours("tx_send", &url).succeed(), COMMITTED);
        assert_eq!(proton.example("tx_recv.py", &options(&url), None).succeed(), received(COUNT));
        assert_eq!(proton.example("tx_send.py", &options(&url), None).succeed(), COMMITTED);
        assert_eq!(ours("tx_recv", &url).succeed(), received(COUNT));
    }
}

/// In one transaction accepts a message and sends another, and rolls back.
struct RollsBack {
    url: Url,
    sender: Option<SenderId>,
    transaction: Option<TransactionId>,
    received: Option<DeliveryId>,
}

impl RollsBack {
    fn go_on(&mut self, cx: &mut Context<'_>) -> Result<(), SendRefused> {
        let (Some(transaction), Some(sender), Some(received)) =
            (self.transaction, self.sender, self.received)
        else {
            return Ok(());
        };
        if cx.credit(sender) > 0 {
            self.transaction = None;
            cx.transaction(transaction)?.accept(received)?;
            cx.transaction(transaction)?.send(sender, &Message::from("rolled back"))?;
            cx.transaction(transaction)?.abort()?;
        }
        Ok(())
    }
}

impl Handler for RollsBack {
    fn knobs(&self) -> Knobs {
        Knobs { auto_accept: false, prefetch: 1, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        cx.create_receiver(connection, self.url.address());
        self.sender = Some(cx.create_sender(connection, self.url.address()));
        cx.declare_transaction(connection);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.received = Some(delivery.id());
        self.go_on(cx).unwrap();
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, _: SenderId) {
        self.go_on(cx).unwrap();
    }

    fn on_transaction_declared(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        self.transaction = Some(transaction);
        self.go_on(cx).unwrap();
    }

    fn on_transaction_aborted(
        &mut self,
        cx: &mut Context<'_>,
        _: TransactionId,
        error: Option<&amqp1_std::types::Error>,
    ) {
        assert_eq!(error, None);
        cx.stop();
    }
}

#[test]
fn what_is_rolled_back_has_not_happened() {
    for broker in brokers() {
        let address = broker.queue("rolled-back");
        let url: Url = address.parse().unwrap();
        let connection = connect(&address, |_| {});
        let queue = url.address().unwrap().to_owned();
        connection.sender(queue.clone()).unwrap().send("kept").unwrap().accepted().unwrap();
        Container::new(RollsBack { url, sender: None, transaction: None, received: None }).run().unwrap();
        let receiver = connection.receiver(queue).unwrap();
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.decode().unwrap().body.as_str(), Some("kept"));
        delivery.accept().unwrap();
        let next = receiver.recv_timeout(Duration::from_millis(300));
        assert!(matches!(next, Err(Error::TimedOut(_))), "{next:?}");
        connection.close().unwrap();
    }
}
