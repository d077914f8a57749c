//! ActiveMQ 5.17 as the peer of our blocking interface: the one stock broker here with selectors, browsing, temporary queues
//! and durable subscriptions. It makes a queue when somebody attaches to it.

use std::{
    thread,
    time::{Duration, Instant},
};

use amqp1_engine::{
    LinkConfig,
    codec::{Described, Fields, Str, Symbol},
    message::{Body, Message},
    types::{
        Attach, Modified, ReceiverSettleMode, SenderSettleMode, Source, Target, TargetKind,
        TerminusDurability, TerminusExpiryPolicy, condition, distribution_mode,
    },
};
use amqp1_std::{
    Security,
    blocking::{Connection, Delivery, Error, Outcome, Receiver},
};

use crate::{
    proton::{connect, peer, try_connect},
    samples,
};

macro_rules! activemq {
    () => {
        match peer("AMQP1_ACTIVEMQ") {
            Some(address) => address,
            None => return,
        }
    };
}

/// A queue of this name that no other run has used.
pub(crate) fn queue(name: &str) -> Str {
    format!("queue://{name}-{}", std::process::id()).into()
}

/// A receiver from this queue, its source changed.
fn receiver_of(
    connection: &Connection,
    address: &Str,
    change: impl FnOnce(&mut Source),
) -> Result<Receiver, Error> {
    let mut source = Source { address: Some(address.clone()), ..Source::default() };
    change(&mut source);
    let config =
        LinkConfig { source: Some(Box::new(source)), ..LinkConfig::receiver(connection.link_name(), "") };
    connection.attach_receiver(config, 10)
}

fn selector(text: &str) -> Fields {
    // The descriptor of `apache.org:selector-filter:string`.
    let filter = Described::new(0x0000_468c_0000_0004, Str::from(text));
    Fields::default().with(Symbol::from_static("selector"), filter)
}

fn text(delivery: &Delivery) -> String {
    delivery.decode().unwrap().body.as_str().unwrap().to_owned()
}

/// Nothing comes from a queue.
#[track_caller]
fn assert_empty(receiver: &Receiver) {
    let next = receiver.recv_timeout(Duration::from_millis(300));
    assert!(matches!(next, Err(Error::TimedOut(_))), "{next:?}");
}

#[test]
fn gotcha_9_every_type_comes_back_in_body_and_properties() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("types");
    let sender = connection.sender(queue.clone()).unwrap();
    let receiver = connection.receiver(queue.clone()).unwrap();
    for name in samples::NAMES {
        let message = samples::sample(name);
        assert_eq!(sender.send(message.clone()).unwrap(), Outcome::Accepted, "{name}");
        let delivery = receiver.recv().unwrap();
        let back = delivery.decode().unwrap();
        assert_eq!(back.body, message.body, "{name}");
        // Who gives it none is given one.
        assert!(message.id().is_none() || back.id() == message.id(), "{name}");
        assert_eq!(back.correlation_id(), message.correlation_id(), "{name}");
        assert_eq!(back.application_properties, message.application_properties, "{name}");
        assert_eq!(back.delivery_annotations, message.delivery_annotations, "{name}");
        assert_eq!(back.footer, message.footer, "{name}");
        delivery.accept().unwrap();
    }
    connection.close().unwrap();
}

#[test]
fn sizes_around_the_borders_of_encodings_and_frames() {
    let connection = connect(&activemq!(), |_| {});
    bounce(&connection, &queue("sizes"), &[0, 1, 255, 256, 65_535, 65_536, 131_072, 2_000_000]);
}

#[test]
fn gotcha_7_frames_of_512_bytes() {
    let connection = connect(&activemq!(), |options| options.connection.max_frame_size = 512);
    bounce(&connection, &queue("frames"), &[0, 255, 256, 512, 65_536, 500_000]);
}

fn bounce(connection: &Connection, queue: &Str, sizes: &[usize]) {
    let sender = connection.sender(queue.clone()).unwrap();
    let receiver = connection.receiver(queue.clone()).unwrap();
    for &size in sizes {
        let data: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let body = Body::data(data);
        assert_eq!(sender.send(Message::new(body.clone())).unwrap(), Outcome::Accepted);
        let delivery = receiver.recv().unwrap();
        assert!(delivery.decode().unwrap().body == body, "{size} bytes came back changed");
        delivery.accept().unwrap();
    }
}

#[test]
fn l_02_a_selector_is_applied_and_a_broken_one_refused() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("selector");
    let sender = connection.sender(queue.clone()).unwrap();
    for colour in ["green", "red", "green"] {
        let message = Message::from(colour).with_property("colour", colour);
        sender.send(message).unwrap().accepted().unwrap();
    }
    let green = receiver_of(&connection, &queue, |source| source.filter = Some(selector("colour = 'green'")))
        .unwrap();
    let answer = green.remote_attach().unwrap().source.unwrap();
    assert_eq!(answer.filter, Some(selector("colour = 'green'")), "the filter in force");
    for _ in 0..2 {
        let delivery = green.recv().unwrap();
        assert_eq!(text(&delivery), "green");
        delivery.accept().unwrap();
    }
    assert_empty(&green);
    let red = connection.receiver(queue.clone()).unwrap().recv().unwrap();
    assert_eq!(text(&red), "red");
    red.accept().unwrap();

    let broken = receiver_of(&connection, &queue, |source| source.filter = Some(selector("colour = 'green")));
    let error = broken.unwrap_err();
    assert!(
        matches!(&error, Error::Detached(Some(error)) if error.condition == condition::INVALID_FIELD),
        "{error:?}"
    );
}

#[test]
fn l_03_a_copy_leaves_the_messages_where_they_are() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("browse");
    let sender = connection.sender(queue.clone()).unwrap();
    for body in ["one", "two", "three"] {
        sender.send(body).unwrap().accepted().unwrap();
    }
    let copy = |source: &mut Source| source.distribution_mode = Some(distribution_mode::COPY);
    for receiver in [
        receiver_of(&connection, &queue, copy).unwrap(),
        receiver_of(&connection, &queue, copy).unwrap(),
        connection.receiver(queue.clone()).unwrap(),
    ] {
        for body in ["one", "two", "three"] {
            let delivery = receiver.recv().unwrap();
            assert_eq!(text(&delivery), body);
            delivery.accept().unwrap();
        }
        receiver.close().unwrap();
    }
    assert_empty(&connection.receiver(queue).unwrap());
}

#[test]
fn l_03_a_durable_subscription_keeps_what_comes_while_nobody_is_there() {
    let address = activemq!();
    let topic = Str::from(format!("topic://durable-{}", std::process::id()));
    let container = format!("subscriber-{}", std::process::id());
    let subscriber = || connect(&address, |options| options.container_id = Some(container.as_str().into()));
    let subscribe = |connection: &Connection| {
        let source = Source {
            address: Some(topic.clone()),
            durable: TerminusDurability::UnsettledState,
            expiry_policy: TerminusExpiryPolicy::Never,
            distribution_mode: Some(distribution_mode::COPY),
            ..Source::default()
        };
        let config =
            LinkConfig { source: Some(Box::new(source)), ..LinkConfig::receiver("subscription", "") };
        connection.attach_receiver(config, 10).unwrap()
    };
    let connection = subscriber();
    // To close the link would be to unsubscribe.
    let _kept = subscribe(&connection);
    connection.close().unwrap();

    let publisher = connect(&address, |_| {});
    publisher.sender(topic.clone()).unwrap().send("while you were away").unwrap().accepted().unwrap();
    publisher.close().unwrap();

    let connection = subscriber();
    let subscription = subscribe(&connection);
    let delivery = subscription.recv().unwrap();
    assert_eq!(text(&delivery), "while you were away");
    delivery.accept().unwrap();
    subscription.close().unwrap();
    connection.close().unwrap();
}

#[test]
fn l_04_a_dynamic_source_is_a_queue_that_others_may_send_to_until_it_goes() {
    let address = activemq!();
    let connection = connect(&address, |_| {});
    let mut config = LinkConfig::receiver("dynamic", "");
    config.source = Some(Box::new(Source { dynamic: true, ..Source::default() }));
    let receiver = connection.attach_receiver(config, 1).unwrap();
    let given = receiver.remote_attach().unwrap().source.unwrap().address.unwrap();
    assert!(given.starts_with("temp-queue://"), "{given}");

    let other = connect(&address, |_| {});
    other.sender(given).unwrap().send("found you").unwrap().accepted().unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(text(&delivery), "found you");
    delivery.accept().unwrap();
    receiver.close().unwrap();
}

#[test]
fn released_and_modified_come_again_and_rejected_does_not() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("outcomes");
    connection.sender(queue.clone()).unwrap().send("again and again").unwrap().accepted().unwrap();
    let receiver = connection.receiver(queue.clone()).unwrap();
    receiver.recv().unwrap().release().unwrap();
    let failed = Modified { delivery_failed: Some(true), ..Modified::default() };
    receiver.recv().unwrap().modify(failed).unwrap();
    let delivery = receiver.recv().unwrap();
    assert_eq!(text(&delivery), "again and again");
    delivery.reject(None).unwrap();
    assert_empty(&receiver);
}

#[test]
fn settled_both_ways() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("settled");
    let settled = |config| LinkConfig { snd_settle_mode: SenderSettleMode::Settled, ..config };
    let sender = connection.attach_sender(settled(LinkConfig::sender("out", queue.clone()))).unwrap();
    assert_eq!(sender.send("settled").unwrap(), Outcome::Settled);
    let receiver = connection.attach_receiver(settled(LinkConfig::receiver("in", queue)), 1).unwrap();
    let delivery = receiver.recv().unwrap();
    assert!(delivery.is_settled());
    assert_eq!(text(&delivery), "settled");
}

#[test]
fn gotcha_6_modes_in_force_are_those_of_the_answer() {
    let connection = connect(&activemq!(), |_| {});
    let config = LinkConfig {
        rcv_settle_mode: ReceiverSettleMode::Second,
        ..LinkConfig::receiver("second", queue("modes"))
    };
    let answer: Attach = connection.attach_receiver(config, 1).unwrap().remote_attach().unwrap();
    assert_eq!(answer.rcv_settle_mode, ReceiverSettleMode::First);
}

#[test]
fn the_null_target_relays_to_where_each_message_says() {
    let connection = connect(&activemq!(), |_| {});
    let queue = queue("relay");
    let target = Some(Box::new(TargetKind::Target(Target::default())));
    let relay = connection.attach_sender(LinkConfig { target, ..LinkConfig::sender("relay", "") }).unwrap();
    let receiver = connection.receiver(queue.clone()).unwrap();
    assert_eq!(relay.send(Message::from("relayed").with_to(&*queue)).unwrap(), Outcome::Accepted);
    let delivery = receiver.recv().unwrap();
    assert_eq!(text(&delivery), "relayed");
    delivery.accept().unwrap();
}

#[test]
fn sasl_plain_and_anonymous() {
    let address = activemq!();
    connect(&address, |_| {}).close().unwrap();
    connect(&format!("amqp://guest:guest@{address}"), |_| {}).close().unwrap();
    let error = try_connect(&format!("amqp://guest:wrong@{address}"), |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("authentication failed: wrong credentials"), "{error}");
}

#[test]
fn gotcha_1_a_client_without_sasl_is_told_that_it_is_demanded() {
    let error =
        try_connect(&activemq!(), |options| options.connection.security = Security::None).unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)), "{error:?}");
    assert!(error.to_string().contains("SASL"), "{error}");
}

#[test]
fn gotcha_7_heartbeats_keep_an_idle_connection() {
    let address = activemq!();
    let connection = connect(&address, |options| {
        options.connection.idle_time_out = Some(Duration::from_secs(2));
    });
    let sender = connection.sender(queue("idle")).unwrap();
    let since = Instant::now();
    thread::sleep(Duration::from_millis(4_500));
    assert_eq!(sender.send("still here").unwrap(), Outcome::Accepted, "after {:?}", since.elapsed());
    connection.close().unwrap();
}
