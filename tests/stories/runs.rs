//! Deliveries that follow each other are handled in runs: by one call for many events, to the same end as one by one.

use amqp1_engine::message::Message;
use amqp1_tests::prelude::*;
use bytes::Buf;

/// Two engines without a recording, which would have each event by itself.
struct Ends {
    client: Connection,
    server: Connection,
}

/// Hands what one has written to the other, as much as is allowed to be taken at once.
fn hand_over(from: &mut Connection, to: &mut Connection) {
    let mut wire = BytesMut::new();
    while let Some(mut transmit) = from.poll_transmit(Instant::ZERO) {
        wire.extend_from_slice(&transmit.copy_to_bytes(transmit.remaining()));
    }
    to.handle_input(&mut wire, Instant::ZERO);
}

impl Ends {
    /// Two links from the client to the server, each with ample credit.
    fn linked(receiver: LinkConfig) -> (Self, [LinkId; 2], [LinkId; 2]) {
        Self::with_credit(receiver, 1_000)
    }

    fn with_credit(receiver: LinkConfig, credit: u32) -> (Self, [LinkId; 2], [LinkId; 2]) {
        let mut client = Connection::new(Config::client("client"), Instant::ZERO);
        let server = Connection::new(Config::server("server"), Instant::ZERO);
        client.open();
        let session = client.begin(SessionConfig::default()).unwrap();
        let senders = ["one", "two"].map(|name| {
            client.session(session).unwrap().attach_sender(LinkConfig::sender(name, "node")).unwrap()
        });
        let mut ends = Self { client, server };
        hand_over(&mut ends.client, &mut ends.server);
        let mut receivers = Vec::new();
        while let Some(event) = ends.server.poll_event() {
            match event {
                Event::Opened => ends.server.open(),
                Event::SessionBegun(id) => {
                    ends.server.session(id).unwrap().accept(SessionConfig::default()).unwrap();
                }
                Event::LinkAttached(id) => {
                    let mut link = ends.server.receiver(id).unwrap();
                    link.attach(receiver.clone()).unwrap();
                    link.set_credit(credit);
                    receivers.push(id);
                }
                _ => {}
            }
        }
        hand_over(&mut ends.server, &mut ends.client);
        while ends.client.poll_event().is_some() {}
        (ends, senders, receivers.try_into().unwrap())
    }

    /// Sends messages of one byte, their number, from `first` on.
    fn send(&mut self, link: LinkId, numbers: std::ops::Range<u8>, settled: bool) {
        let mut sender = self.client.sender(link).unwrap();
        let mut batch = sender.batch().unwrap();
        for number in numbers {
            batch.send(tag([number]), settled, vec![number]).unwrap();
        }
    }

    /// The server gets these transfers in one read, as if the client had written them.
    fn read(&mut self, transfers: impl IntoIterator<Item = Transfer>) {
        let frames = transfers.into_iter().map(|transfer| transfer.with(b"\x07".to_vec()).encode());
        let wire: Vec<u8> = frames.flatten().collect();
        self.server.handle_input(&mut &*wire, Instant::ZERO);
    }

    /// Accepts or, of odd numbers, releases the deliveries of one event and those behind it; gives their numbers.
    fn judge(&mut self, first: DeliveryId) -> Vec<u8> {
        let mut numbers = Vec::new();
        let mut deliveries = self.server.deliveries(first).unwrap();
        while let Some(mut delivery) = deliveries.next() {
            let payload = delivery.take().into_bytes();
            numbers.push(payload[0]);
            if payload[0] % 2 == 1 { delivery.release().unwrap() } else { delivery.accept().unwrap() }
        }
        numbers
    }
}

fn receiver() -> LinkConfig {
    LinkConfig::receiver("", "node")
}

#[test]
fn a_run_ends_where_another_link_begins_and_nothing_is_told_twice() {
    let (mut ends, [one, two], [_, second]) = Ends::linked(receiver());
    ends.send(one, 0..5, false);
    ends.send(two, 5..8, false);
    ends.send(one, 8..10, false);
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    assert_eq!(ends.judge(first), [0, 1, 2, 3, 4]);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    assert_eq!(first.link(), second);
    assert_eq!(ends.judge(first), [5, 6, 7]);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    assert_eq!(ends.judge(first), [8, 9]);
    assert_eq!(ends.server.poll_event(), None);

    hand_over(&mut ends.server, &mut ends.client);
    let mut outcomes = Vec::new();
    while let Some(event) = ends.client.poll_event() {
        let Event::Updated(first) = event else { continue };
        ends.client
            .take_updates(first, |update| {
                assert!(update.settled, "{update:?}");
                outcomes.push((update.id.link(), update.state));
            })
            .unwrap();
    }
    let links = [one; 5].into_iter().chain([two; 3]).chain([one; 2]);
    let states = [DeliveryState::Accepted, DeliveryState::Released].into_iter().cycle().map(Some);
    assert_eq!(outcomes, links.zip(states).collect::<Vec<_>>());
    assert_eq!(ends.client.in_doubt().count(), 0);
}

#[test]
fn what_is_left_of_a_run_waits_for_the_next_poll() {
    let (mut ends, [one, _], [receiver, _]) = Ends::linked(receiver());
    ends.send(one, 0..5, false);
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    let mut deliveries = ends.server.deliveries(first).unwrap();
    for number in 0..3 {
        let mut delivery = deliveries.next().unwrap();
        assert_eq!(delivery.take().into_bytes(), [number][..]);
        delivery.accept().unwrap();
    }
    drop(deliveries);
    for number in 3..5 {
        let Some(Event::Delivery(id)) = ends.server.poll_event() else { panic!("no delivery") };
        assert_eq!(ends.server.receiver(receiver).unwrap().take(id).unwrap().into_bytes(), [number][..]);
    }
    assert_eq!(ends.server.poll_event(), None);
}

#[test]
fn a_delivery_that_was_settled_meanwhile_is_passed_over() {
    let (mut ends, [one, _], [receiver, _]) = Ends::linked(receiver());
    ends.send(one, 0..4, false);
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    let Some(Event::Delivery(second)) = ends.server.poll_event() else { panic!("no delivery") };
    for id in [first, second] {
        ends.server.receiver(receiver).unwrap().accept(id).unwrap();
    }
    assert_eq!(ends.judge(first), [2, 3]);
    assert_eq!(ends.server.deliveries(second).unwrap().next().map(|delivery| delivery.id()), None);
}

#[test]
fn settled_deliveries_are_gone_once_they_are_taken_or_passed() {
    let (mut ends, [one, _], [receiver, _]) = Ends::linked(receiver());
    ends.send(one, 0..3, true);
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    let mut deliveries = ends.server.deliveries(first).unwrap();
    let mut ids = Vec::new();
    while let Some(mut delivery) = deliveries.next() {
        assert!(delivery.is_remotely_settled());
        ids.push(delivery.id());
        delivery.take();
    }
    drop(deliveries);
    assert_eq!(ids.len(), 3);
    for id in ids {
        assert_eq!(ends.server.receiver(receiver).unwrap().delivery(id).err(), Some(Misuse::Gone));
    }
}

#[test]
fn an_outcome_that_is_not_settled_yet_is_settled_by_taking_it() {
    let second = LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..receiver() };
    let (mut ends, [one, _], [receiver, _]) = Ends::linked(second);
    ends.send(one, 0..3, false);
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    let mut deliveries = ends.server.deliveries(first).unwrap();
    let mut ids = Vec::new();
    while let Some(mut delivery) = deliveries.next() {
        delivery.take();
        ids.push(delivery.id());
        match ids.len() {
            1 => delivery.accept().unwrap(),
            2 => delivery
                .update(DeliveryState::Received(Received { section_number: 1, section_offset: 7 }))
                .unwrap(),
            _ => {}
        }
    }
    drop(deliveries);
    hand_over(&mut ends.server, &mut ends.client);
    let Some(Event::Updated(first)) = ends.client.poll_event() else { panic!("no update") };
    let mut updates = Vec::new();
    ends.client.take_updates(first, |update| updates.push((update.state, update.settled))).unwrap();
    let received = DeliveryState::Received(Received { section_number: 1, section_offset: 7 });
    assert_eq!(updates, [(Some(DeliveryState::Accepted), true), (Some(received), false)]);
    assert_eq!(ends.client.in_doubt().count(), 2, "the second and the third");
    hand_over(&mut ends.client, &mut ends.server);
    assert_eq!(ends.server.poll_event(), Some(Event::Updated(ids[0])));
    assert!(ends.server.receiver(receiver).unwrap().delivery(ids[0]).unwrap().is_remotely_settled());
}

#[test]
fn d10_one_more_delivery_than_was_granted_is_no_part_of_a_run() {
    let (mut ends, _, [receiver, _]) = Ends::with_credit(receiver(), 3);
    ends.read((0..4).map(|id| first(0, id)));
    let Some(Event::Delivery(run)) = ends.server.poll_event() else { panic!("no delivery") };
    assert_eq!(ends.judge(run).len(), 3);
    let Some(Event::Violated(violation)) = ends.server.poll_event() else { panic!("no violation") };
    assert_eq!(*violation.condition(), condition::LINK_TRANSFER_LIMIT_EXCEEDED);
    assert_eq!(violation.scope(), Scope::Link(receiver));
}

#[test]
fn transfers_that_say_more_than_most_mean_the_same_in_a_run() {
    let second = LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..receiver() };
    let (mut ends, _, [receiver, _]) = Ends::linked(second);
    let state = Some(Box::new(DeliveryState::Accepted));
    ends.read([
        first(0, 0),
        Transfer { aborted: true, ..first(0, 1) },
        Transfer { rcv_settle_mode: Some(ReceiverSettleMode::First), ..first(0, 2) },
        Transfer { state, ..first(0, 3) },
        Transfer { more: true, ..first(0, 4) },
        transfer(0),
    ]);
    let mut told = Vec::new();
    while let Some(event) = ends.server.poll_event() {
        match event {
            Event::Delivery(id) => {
                let mut link = ends.server.receiver(receiver).unwrap();
                let Ok(delivery) = link.delivery(id) else { continue };
                told.push((id.number().get(), delivery.is_complete(), delivery.remote_state().is_some()));
                // This is settled with it where the receiver settles first.
                link.take(id).unwrap();
                link.accept(id).unwrap();
            }
            Event::Aborted(id) => told.push((id.number().get(), false, false)),
            other => panic!("{other:?}"),
        }
    }
    told.retain(|(_, is_complete, _)| *is_complete);
    assert_eq!(told, [(0, true, false), (2, true, false), (3, true, true), (4, true, false)]);
    // All but the one that was aborted, and the one that is settled first.
    assert_eq!(ends.server.receiver(receiver).unwrap().unsettled(), 3);
}

#[test]
fn a_batch_is_refused_what_a_sender_is_refused_and_goes_on() {
    let (mut ends, [one, two], [receiver, _]) =
        Ends::linked(LinkConfig { max_message_size: Some(100), ..receiver() });
    ends.server.receiver(receiver).unwrap().set_credit(3);
    hand_over(&mut ends.server, &mut ends.client);
    while ends.client.poll_event().is_some() {}
    let mut sender = ends.client.sender(one).unwrap();
    let mut batch = sender.batch().unwrap();
    batch.send(tag(b"a"), false, vec![0; 100]).unwrap();
    assert_eq!(batch.send(tag(b"a"), false, vec![0]), Err(SendError::TagInUse));
    let too_large = Err(SendError::TooLarge { max_message_size: 100 });
    assert_eq!(batch.send(tag(b"b"), false, vec![0; 101]), too_large);
    assert_eq!(batch.send_message(tag(b"b"), false, &Message::new(vec![0; 100])), too_large);
    batch.send_message(tag(b"b"), false, &Message::new(vec![0; 10])).unwrap();
    batch.send(tag(b"c"), true, vec![0; 100]).unwrap();
    assert_eq!(batch.send(tag(b"d"), false, vec![0]), Err(SendError::Blocked(Blocked::Credit)));
    assert_eq!(
        batch.send_message(tag(b"d"), false, &Message::new("")),
        Err(SendError::Blocked(Blocked::Credit))
    );
    // The other link has credit left, and a message in many frames finds it.
    let mut sender = ends.client.sender(two).unwrap();
    let mut batch = sender.batch().unwrap();
    let limit = Err(SendError::TooLarge { max_message_size: 100 });
    assert_eq!(batch.send(tag(b"e"), false, vec![0; 1_000_000]), limit);
    hand_over(&mut ends.client, &mut ends.server);
    let deliveries =
        std::iter::from_fn(|| ends.server.poll_event()).filter(|event| matches!(event, Event::Delivery(_)));
    assert_eq!(deliveries.count(), 3);
    // The sender that was refused is told when it can go on.
    ends.server.receiver(receiver).unwrap().set_credit(1);
    hand_over(&mut ends.server, &mut ends.client);
    assert!(std::iter::from_fn(|| ends.client.poll_event()).any(|event| event == Event::Sendable(one)));
}

#[test]
fn a_message_above_the_frame_goes_out_in_pieces_from_a_batch_too() {
    let (mut ends, [one, _], _) = Ends::linked(receiver());
    let mut sender = ends.client.sender(one).unwrap();
    let mut batch = sender.batch().unwrap();
    let large: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    batch.send(tag(b"a"), false, vec![7]).unwrap();
    batch.send(tag(b"b"), false, large.clone()).unwrap();
    batch.send(tag(b"c"), false, vec![9]).unwrap();
    let mut sizes = Vec::new();
    for _ in 0..10 {
        hand_over(&mut ends.client, &mut ends.server);
        while let Some(event) = ends.server.poll_event() {
            let Event::Delivery(first) = event else { continue };
            let mut deliveries = ends.server.deliveries(first).unwrap();
            while let Some(mut delivery) = deliveries.next() {
                if delivery.is_complete() {
                    sizes.push(delivery.take().len());
                    delivery.accept().unwrap();
                }
            }
        }
        hand_over(&mut ends.server, &mut ends.client);
    }
    assert_eq!(sizes, [1, 200_000, 1]);
}

#[test]
fn a_batch_needs_an_attached_link() {
    let mut client = Connection::new(Config::client("client"), Instant::ZERO);
    client.open();
    let session = client.begin(SessionConfig::default()).unwrap();
    let link = client.session(session).unwrap().attach_sender(LinkConfig::sender("one", "node")).unwrap();
    let mut sender = client.sender(link).unwrap();
    let mut batch = sender.batch().unwrap();
    assert_eq!(batch.send(tag(b"a"), false, vec![0]), Err(SendError::Blocked(Blocked::Attach)));
}

#[test]
fn runs_are_of_the_role_that_they_are_asked_of() {
    let (mut ends, [one, _], _) = Ends::linked(receiver());
    let sent = ends.client.sender(one).unwrap().send(tag(b"a"), false, vec![1]).unwrap();
    assert_eq!(ends.client.deliveries(sent).err(), Some(Misuse::Gone));
    hand_over(&mut ends.client, &mut ends.server);
    let Some(Event::Delivery(first)) = ends.server.poll_event() else { panic!("no delivery") };
    assert_eq!(ends.server.take_updates(first, |_| panic!("an update")), Err(Misuse::Gone));
}

/// The pair records both ends and replays them.
#[test]
fn runs_are_recorded_as_the_calls_and_events_that_they_are_made_of() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        pair.server.receiver(receiver).unwrap().set_credit(10);
        pair.run();
        let mut link = pair.client.sender(sender).unwrap();
        let mut batch = link.batch().unwrap();
        for number in 0..4 {
            batch.send(tag([number]), false, vec![number]).unwrap();
            batch.send_message(tag([number, number]), number % 2 == 0, &Message::new(vec![number])).unwrap();
        }
        pair.run();
        let mut received = 0;
        while let Some(event) = pair.server.event() {
            let Event::Delivery(first) = event else { continue };
            let mut deliveries = pair.server.deliveries(first).unwrap();
            while let Some(mut delivery) = deliveries.next() {
                delivery.take();
                received += 1;
                // What is settled already is gone once it is taken.
                let _ = delivery.accept();
            }
        }
        pair.run();
        let mut accepted = 0;
        while let Some(event) = pair.client.event() {
            let Event::Updated(first) = event else { continue };
            let count = |update: Update| accepted += usize::from(update.settled);
            pair.client.take_updates(first, count).unwrap();
        }
        assert_eq!((received, accepted), (8, 6));
        pair.finish();
    });
}
