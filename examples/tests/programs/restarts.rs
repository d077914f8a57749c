//! A broker that is killed and started again: what was in doubt is sent again.

use std::collections::BTreeMap;

use amqp1_std::{
    AtLeastOnce, ConnectionId, Container, Context, Disconnected, Handler, Message, SenderId, Tracker, Url,
    types::{DeliveryTag, MessageId},
};

use crate::support::{Running, await_listener, free_address, start};

/// A broker program at this address.
fn broker(address: &str) -> Running {
    let broker = start("broker", &["-a", address]);
    await_listener(address);
    broker
}

#[test]
fn r_04_simple_send_sends_again_what_was_in_doubt() {
    let address = free_address();
    let first = broker(&address);
    let sender = start("simple_send", &["-a", &format!("{address}/examples"), "-m", "50000"]);
    let connection = amqp1_std::connect(&*format!("amqp://{address}")).unwrap();
    let receiver = connection.receiver("examples").unwrap();
    drop(receiver.recv().unwrap());
    assert_eq!(sender.output(), "", "it has just begun");
    drop(first);
    let _second = broker(&address);
    let ended = sender.end();
    assert_eq!((ended.code, &*ended.out), (Some(0), "all messages confirmed\n"), "{}", ended.err);
    assert!(ended.err.lines().all(|line| line.ends_with("connecting again")), "{}", ended.err);
    assert!(ended.err.contains(&address), "{}", ended.err);
}

const TOTAL: u64 = 3_000;

/// Sends at least once, to a broker that it kills and starts again when some are confirmed.
struct Sender {
    address: String,
    broker: Option<Running>,
    /// How many are to be confirmed before each time.
    kill_at: Vec<usize>,
    next: u64,
    /// The ids of those without an outcome, by tag.
    open: BTreeMap<Vec<u8>, u64>,
    confirmed: Vec<u64>,
    /// Those of them that the present broker has confirmed.
    by_this_broker: Vec<u64>,
    in_doubt: Vec<usize>,
    sender: Option<SenderId>,
}

impl Sender {
    fn url(&self) -> Url {
        format!("{}/examples", self.address).parse().unwrap()
    }

    fn take(&mut self, tag: DeliveryTag) -> u64 {
        self.open.remove(tag.as_bytes()).expect("an outcome comes once")
    }
}

impl Handler for &mut Sender {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.sender = Some(cx.create_sender(self.url(), AtLeastOnce));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.next < TOTAL && cx.credit(sender) > 0 {
            let tag = cx.send(sender, &Message::from("in doubt?").with_id(self.next)).unwrap();
            self.open.insert(tag.as_bytes().to_vec(), self.next);
            self.next += 1;
        }
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        let id = self.take(tracker.tag());
        self.confirmed.push(id);
        self.by_this_broker.push(id);
        if self.kill_at.last() == Some(&self.confirmed.len()) {
            self.kill_at.pop();
            self.broker = None;
            self.broker = Some(broker(&self.address));
        }
        if self.confirmed.len() as u64 == TOTAL
            && let Some(connection) = cx.connection_of(tracker.sender())
        {
            cx.close(connection);
        }
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        assert!(reason.reconnects, "{reason}");
        let sender = self.sender.unwrap();
        self.in_doubt.push(cx.unsettled(sender));
        assert_eq!(cx.queued(sender), self.open.len(), "all without an outcome are to be sent");
        self.by_this_broker.clear();
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        panic!("{tracker:?} is to be sent again");
    }
}

#[test]
fn r_04_each_message_is_confirmed_once_and_what_was_in_doubt_is_at_the_last_broker() {
    let address = free_address();
    let mut sender = Sender {
        broker: Some(broker(&address)),
        address,
        kill_at: vec![2_000, 700],
        next: 0,
        open: BTreeMap::new(),
        confirmed: Vec::new(),
        by_this_broker: Vec::new(),
        in_doubt: Vec::new(),
        sender: None,
    };
    Container::new(&mut sender).run().unwrap();
    assert_eq!(sender.in_doubt.len(), 2, "it was killed twice");
    assert!(sender.in_doubt.iter().all(|&count| count > 0), "{:?}", sender.in_doubt);
    sender.confirmed.sort_unstable();
    assert!(sender.confirmed.iter().copied().eq(0..TOTAL), "each is confirmed once");

    let connection = amqp1_std::connect(&*format!("amqp://{}", sender.address)).unwrap();
    let receiver = connection.receiver("examples").unwrap();
    let mut there: Vec<u64> = Vec::new();
    for _ in 0..sender.by_this_broker.len() {
        let delivery = receiver.recv().unwrap();
        let message = delivery.decode().unwrap();
        let Some(&MessageId::Ulong(id)) = message.id() else { panic!("{message:?}") };
        there.push(id);
        delivery.accept().unwrap();
    }
    there.sort_unstable();
    sender.by_this_broker.sort_unstable();
    assert_eq!(there, sender.by_this_broker);
    connection.close().unwrap();
}
