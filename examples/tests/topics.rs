//! Topics of the broker, and subscriptions to them.

use std::{sync::mpsc, time::Duration};

use amqp1_examples::broker::{Bound, Broker, Limits, RunningBroker};
use amqp1_std::{
    ConnectionId, Container, ContainerOptions, Context, DurableSubscription, Fields, Handler, Link,
    LinkConfig, Message, ReceiverId, SubscriptionName, Symbol, Url,
    blocking::{Connection, Error, Options, Outcome, Receiver, Waiting},
    codec::Described,
    types::{Source, Target, TerminusDurability, TerminusExpiryPolicy, capability, condition},
};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for what should not come.
const SILENCE: Duration = Duration::from_millis(200);

fn start() -> RunningBroker {
    Broker::start("127.0.0.1:0").unwrap()
}

fn connect_as(container_id: &str, broker: &RunningBroker) -> Connection {
    let container_id = Some(container_id.into());
    Options { timeout: SOON, container_id, ..Options::default() }.connect(broker.address()).unwrap()
}

fn publish(connection: &Connection, texts: &[&str]) {
    let sender = connection.sender("topic://news").unwrap();
    for &text in texts {
        let message = Message::from(text).with_property("text", text);
        sender.send(message).unwrap().accepted().unwrap();
    }
    sender.close().unwrap();
}

fn news() -> Source {
    Source { address: Some("topic://news".into()), ..Source::default() }
}

fn durable() -> Source {
    Source {
        durable: TerminusDurability::UnsettledState,
        expiry_policy: TerminusExpiryPolicy::Never,
        ..news()
    }
}

fn selecting(text: &str, source: Source) -> Source {
    let name = Symbol::from_static;
    let selector = Described::new(name("apache.org:selector-filter:string"), text);
    Source { filter: Some(Fields::new().with(name("selector"), selector)), ..source }
}

fn subscribe(connection: &Connection, name: &str, source: Source) -> Receiver {
    let source = Some(Box::new(source));
    connection.attach_receiver(LinkConfig { source, ..LinkConfig::new(name) }, 10).unwrap()
}

fn gets(receiver: &Receiver, texts: &[&str]) {
    for &text in texts {
        let delivery = receiver.recv().unwrap();
        assert_eq!(delivery.message().unwrap().body().to_string(), text);
        delivery.accept().unwrap();
    }
    gets_nothing(receiver);
}

fn gets_nothing(receiver: &Receiver) {
    let nothing = receiver.recv_timeout(SILENCE);
    assert!(matches!(nothing, Err(Error::TimedOut(Waiting::Message))), "{nothing:?}");
}

#[test]
fn what_is_sent_to_a_topic_goes_to_all_that_subscribe_from_then_on() {
    let broker = start();
    let connection = connect_as("one", &broker);
    publish(&connection, &["before"]);
    let all = [subscribe(&connection, "a", news()), subscribe(&connect_as("two", &broker), "a", news())];
    let odd = subscribe(&connection, "odd", selecting("text LIKE '%1'", news()));
    let relay = connection.anonymous_sender().unwrap();
    relay.send(Message::from("0").with_to("topic://news")).unwrap().accepted().unwrap();
    publish(&connection, &["1", "2"]);
    all.iter().for_each(|receiver| gets(receiver, &["0", "1", "2"]));
    gets(&odd, &["1"]);
    relay.send(Message::from("0").with_to("topic://unheard of")).unwrap().accepted().unwrap();
}

#[test]
fn a_subscription_ends_with_its_link_unless_it_is_durable() {
    let broker = start();
    let connection = connect_as("one", &broker);
    subscribe(&connection, "a", news()).close().unwrap();
    publish(&connection, &["missed"]);
    gets_nothing(&subscribe(&connection, "a", news()));
    assert_eq!(
        subscribe(&connection, "b", news()).remote_attach().unwrap().source.unwrap().expiry_policy,
        TerminusExpiryPolicy::LinkDetach
    );
}

//= 3.5.6-04
#[test]
fn a_durable_subscription_outlives_its_connection_until_it_is_closed() {
    let broker = start();
    let publisher = connect_as("publisher", &broker);
    let first = connect_as("me", &broker);
    let receiver = subscribe(&first, "mine", durable());
    let answer = receiver.remote_attach().unwrap().source.unwrap();
    assert_eq!(answer.expiry_policy, TerminusExpiryPolicy::Never);
    assert_eq!(answer.durable, TerminusDurability::None, "all is in memory");
    publish(&publisher, &["1", "2"]);
    receiver.recv().unwrap().accept().unwrap();
    // A connection that is closed takes its links along without a word about them.
    first.close().unwrap();
    publish(&publisher, &["3"]);
    let again = connect_as("me", &broker);
    let receiver = subscribe(&again, "mine", durable());
    gets(&receiver, &["2", "3"]);
    // Others have nothing to do with it.
    gets_nothing(&subscribe(&connect_as("you", &broker), "mine", durable()));
    receiver.close().unwrap();
    publish(&publisher, &["4"]);
    gets_nothing(&subscribe(&again, "mine", durable()));
}

#[test]
fn another_selector_under_the_same_name_is_another_subscription() {
    let broker = start();
    let publisher = connect_as("publisher", &broker);
    let first = connect_as("me", &broker);
    let old = subscribe(&first, "mine", selecting("text = 'old'", durable()));
    publish(&publisher, &["old", "new"]);
    first.close().unwrap();
    drop(old);
    let receiver = subscribe(&connect_as("me", &broker), "mine", selecting("text = 'new'", durable()));
    gets_nothing(&receiver);
    publish(&publisher, &["old", "new"]);
    gets(&receiver, &["new"]);
}

#[test]
fn links_share_a_subscription_and_containers_a_global_one() {
    let broker = start();
    let publisher = connect_as("publisher", &broker);
    let with = |capabilities: &[Symbol]| Source { capabilities: capabilities.into(), ..news() };
    let shared = || with(&[capability::SHARED]);
    let one = connect_as("one", &broker);
    let local = ["s|1", "s|2"].map(|name| subscribe(&one, name, shared()));
    let global = || with(&[capability::SHARED, capability::GLOBAL]);
    let everywhere =
        ["one", "two"].map(|container| subscribe(&connect_as(container, &broker), "g", global()));
    let answer = everywhere[0].remote_attach().unwrap().source.unwrap();
    assert_eq!(answer.capabilities, [capability::SHARED, capability::GLOBAL]);
    publish(&publisher, &["1", "2", "3", "4"]);
    for pair in [&local, &everywhere] {
        let mut texts: Vec<String> = Vec::new();
        for receiver in pair {
            for _ in 0..2 {
                let delivery = receiver.recv().unwrap();
                texts.push(delivery.message().unwrap().body().to_string());
                delivery.accept().unwrap();
            }
        }
        texts.sort();
        assert_eq!(texts, ["1", "2", "3", "4"]);
    }
    let source = Some(Box::new(selecting("text = '1'", shared())));
    let refused = one.attach_receiver(LinkConfig { source, ..LinkConfig::new("s|3") }, 1).unwrap_err();
    match refused {
        Error::Detached(Some(error)) => assert_eq!(error.condition, condition::RESOURCE_LOCKED),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_subscription_stops_the_producers_of_its_topic() {
    let url: Url = "127.0.0.1:0".parse().unwrap();
    let limits = Limits { queue: Bound { messages: 10, bytes: 1 << 20 }, ..Limits::default() };
    let broker = Broker::new(url).with_limits(limits).spawn().unwrap();
    let connection = Options { timeout: SILENCE, ..Options::default() }.connect(broker.address()).unwrap();
    let me = connect_as("me", &broker);
    let quick = subscribe(&me, "quick", news());
    let slow = connect_as("slow", &broker);
    let slow = subscribe(&slow, "slow", durable());
    let target = Target { address: Some("topic://news".into()), ..Target::default() };
    let config = LinkConfig { target: Some(Box::new(target.into())), ..LinkConfig::new("out") };
    let sender = connection.attach_sender(config).unwrap();
    let mut sent = 0;
    let full = loop {
        match sender.send(sent.to_string()) {
            Ok(Outcome::Accepted) => sent += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        quick.recv().unwrap().accept().unwrap();
    };
    assert!(matches!(full, Error::TimedOut(Waiting::Credit)), "{full:?}");
    assert!((10..=20).contains(&sent), "{sent}");
    for _ in 0..sent {
        slow.recv().unwrap().accept().unwrap();
    }
    sender.send("room again").unwrap().accepted().unwrap();
}

/// Subscribes, tells that it has, and leaves without closing its link.
struct Leaver {
    url: Url,
    tell: mpsc::Sender<u32>,
    receiver: Option<ReceiverId>,
    received: u32,
}

impl Handler for &mut Leaver {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        let options = ("topic://news", SubscriptionName("mine"), DurableSubscription);
        self.receiver = Some(cx.create_receiver(connection, options));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, _: Link) {
        // Long enough for what waits to come.
        cx.set_timer(SILENCE);
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: &amqp1_std::Delivery<'_>) {
        self.received += 1;
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: amqp1_std::TaskId) {
        if let Some(receiver) = self.receiver {
            cx.detach(receiver);
        }
    }

    fn on_link_closed(&mut self, cx: &mut Context<'_>, link: Link) {
        assert!(cx.is_suspended(link), "the broker keeps its side");
        self.tell.send(self.received).unwrap();
        let connection: Option<ConnectionId> = cx.connection_of(link);
        cx.close(connection.unwrap());
    }
}

#[test]
fn a_durable_subscription_outlives_a_link_that_is_detached() {
    let broker = start();
    let publisher = connect_as("publisher", &broker);
    let (tell, told) = mpsc::channel();
    for (n, expected) in [0, 2, 0].into_iter().enumerate() {
        let url = broker.address().parse().unwrap();
        let mut leaver = Leaver { url, tell: tell.clone(), receiver: None, received: 0 };
        let options = ContainerOptions { container_id: Some("me".into()), ..ContainerOptions::default() };
        Container::with_options(&mut leaver, options).run().unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(expected));
        if n == 0 {
            publish(&publisher, &["1", "2"]);
        }
    }
}
