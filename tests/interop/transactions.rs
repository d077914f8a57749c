//! Transactions: our programs with Proton's through the brokers that know them, and what a broker rolls back.

use std::time::Duration;

use amqp1_engine::message::Message;
use amqp1_std::{
    ConnectionId, Container, Context, Delivery, DeliveryId, Handler, Knobs, Prefetch, ReceiverId,
    SendRefused, SenderId, TransactionId, Url, blocking::Error,
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

/// In one transaction acquires all messages there are and rolls back, in a second one all and commits, in a third one what is
/// left.
struct Acquires {
    url: Url,
    receiver: Option<ReceiverId>,
    transaction: Option<TransactionId>,
    /// What was received in each transaction.
    received: Vec<Vec<String>>,
}

impl Acquires {
    fn declare(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        self.received.push(Vec::new());
        cx.declare_transaction(connection);
    }

    fn go_on(&mut self, cx: &mut Context<'_>, ended: TransactionId) {
        let connection = cx.connection_of(self.receiver.unwrap()).unwrap();
        assert_eq!(self.transaction, Some(ended));
        if self.received.len() < 3 { self.declare(cx, connection) } else { cx.close(connection) }
    }
}

impl Handler for Acquires {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        self.receiver = Some(cx.create_receiver(connection, (self.url.address(), Prefetch(0))));
        self.declare(cx, connection);
    }

    fn on_transaction_declared(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        let receiver = self.receiver.unwrap();
        self.transaction = Some(transaction);
        cx.transaction(transaction).unwrap().acquire(receiver, 100).unwrap();
        cx.drain(receiver);
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = delivery.decode().unwrap();
        self.received.last_mut().unwrap().push(message.body.as_str().unwrap().to_owned());
    }

    fn on_drain_finished(&mut self, cx: &mut Context<'_>, _: ReceiverId) {
        let is_first = self.received.len() == 1;
        let transaction = cx.transaction(self.transaction.unwrap()).unwrap();
        if is_first { transaction.abort() } else { transaction.commit() }.unwrap();
    }

    fn on_transaction_aborted(
        &mut self,
        cx: &mut Context<'_>,
        transaction: TransactionId,
        error: Option<&amqp1_std::types::Error>,
    ) {
        assert_eq!(error, None);
        self.go_on(cx, transaction);
    }

    fn on_transaction_committed(&mut self, cx: &mut Context<'_>, transaction: TransactionId) {
        self.go_on(cx, transaction);
    }
}

#[test]
fn what_is_acquired_and_rolled_back_is_received_again() {
    let broker = Broker::ours();
    let address = broker.queue("acquired");
    let url: Url = address.parse().unwrap();
    let connection = connect(&address, |_| {});
    let sender = connection.sender(url.address().unwrap().to_owned()).unwrap();
    let texts: Vec<String> = (0..5).map(|number| format!("{number}")).collect();
    for text in &texts {
        sender.send(text.as_str()).unwrap().accepted().unwrap();
    }
    connection.close().unwrap();
    let handler = Acquires { url, receiver: None, transaction: None, received: Vec::new() };
    let mut container = Container::new(handler);
    while container.process(None).unwrap() {}
    assert_eq!(container.handler().received, [texts.clone(), texts, Vec::new()]);
}
