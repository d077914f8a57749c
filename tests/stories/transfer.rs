//! Messages on their way: frames, pieces, links beside each other (§2.6.14, §2.7.5).

use amqp1_engine::{message::Message, txn::TxnId};
use amqp1_tests::prelude::*;

/// A payload whose every byte tells its place.
fn payload(len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// A session and a link over which the client sends, with this credit.
fn link(pair: &mut Pair, credit: u32) -> (LinkId, LinkId) {
    let (session, _) = pair.session();
    let (sender, receiver) = pair.link(session, "link");
    grant(pair, sender, receiver, credit);
    (sender, receiver)
}

fn grant(pair: &mut Pair, sender: LinkId, receiver: LinkId, credit: u32) {
    pair.server.receiver(receiver).unwrap().set_credit(credit);
    pair.run();
    pair.client.expect_event(Event::LinkFlow(sender));
    pair.client.expect_event(Event::Sendable(sender));
}

/// All that the server has received, by link; settled as it comes.
fn received(pair: &mut Pair) -> Vec<(LinkId, Bytes)> {
    let mut messages = Vec::new();
    loop {
        pair.run();
        let Some(event) = pair.server.event() else { return messages };
        let Event::Delivery(id) = event else { continue };
        let mut receiver = pair.server.receiver(id.link()).unwrap();
        if receiver.delivery(id).unwrap().is_complete() {
            let bytes = receiver.take(id).unwrap().into_bytes();
            // What its sender has settled is gone once it is taken.
            let _ = receiver.accept(id);
            messages.push((id.link(), bytes));
        }
    }
}

/// Settles what the server has accepted.
fn settle(pair: &mut Pair) {
    pair.run();
    while let Some(event) = pair.client.event() {
        if let Event::Updated(id) = event {
            let outcome = pair.client.sender(id.link()).unwrap().settle(id, None).unwrap();
            assert_eq!(outcome, Some(DeliveryState::Accepted));
        }
    }
}

//= 2.3.1-01 2.7.1-05 2.7.5-01
#[test]
fn w07_messages_of_any_size_fit_frames_of_512_and_one_more_or_less() {
    for max_frame_size in [512, 513, 1_024] {
        each_net(|net| {
            let server = Config { max_frame_size, ..Config::server("server") };
            let mut pair = Pair::with(Config::client("client"), server, net);
            pair.open();
            let (sender, receiver) = link(&mut pair, 100);
            let sizes: Vec<_> =
                (0..4).chain((420..520).step_by(3)).chain([1_023, 1_024, 1_025, 5_000]).collect();
            for (n, size) in sizes.iter().enumerate() {
                let mut sender = pair.client.sender(sender).unwrap();
                sender.send(tag((n as u32).to_be_bytes()), n % 2 == 0, payload(*size)).unwrap();
            }
            let messages = received(&mut pair);
            let lens: Vec<_> = messages.iter().map(|(_, bytes)| bytes.len()).collect();
            assert_eq!(lens, sizes);
            assert!(messages.iter().all(|(link, bytes)| *link == receiver && *bytes == payload(bytes.len())));
            settle(&mut pair);
            pair.finish();
        });
    }
}

//= 2.6.14-02
#[test]
fn w13_what_stands_before_the_data_fits_the_first_frame_or_not() {
    each_net(|net| {
        let server = Config { max_frame_size: 512, ..Config::server("server") };
        let mut pair = Pair::with(Config::client("client"), server, net);
        pair.open();
        let (sender, _) = link(&mut pair, 100);
        let mut sent = Vec::new();
        for (n, len) in (0..4).chain((380..520).step_by(7)).chain([2_000]).enumerate() {
            let message = Message::from(payload(5_000)).with_subject("s".repeat(len));
            let mut encoded = Vec::new();
            message.encode(&mut encoded);
            sent.push(encoded);
            let mut sender = pair.client.sender(sender).unwrap();
            sender.send_message(tag([n as u8]), n % 2 == 0, &message).unwrap();
        }
        let received: Vec<_> = received(&mut pair).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(received, sent);
        settle(&mut pair);
        pair.finish();
    });
}

//= 2.4.1-03 2.6.12-01 2.6.12-03 2.6.12-04 2.6.14-02 2.7.1-05 2.7.5-02 2.7.5-03 2.7.5-06 2.7.5-07 2.7.5-20 2.8.15-15
#[test]
fn w13_a_message_is_split_at_the_peers_frame_size_and_continuations_say_nothing_twice() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let mut linked = Linked::new(peer);
        linked.grant(10);
        linked.engine_sender().send(tag(b"t"), false, payload(1_200)).unwrap();
        let mut sizes = Vec::new();
        let mut bytes = Vec::new();
        loop {
            let frame = linked.expect_frame("Transfer");
            sizes.push(frame.encode().len());
            bytes.extend_from_slice(&frame.payload);
            let Performative::Transfer(sent) = frame.performative else { panic!("{frame:?}") };
            let more = sent.more;
            let expected = if sizes.len() == 1 {
                let delivery_tag = Some(tag(b"t"));
                Transfer { more, settled: Some(false), delivery_tag, ..first(NEAR.engine_sender, 0) }
            } else {
                Transfer { more, ..transfer(NEAR.engine_sender) }
            };
            assert_eq!(*sent, expected);
            if !more {
                break;
            }
        }
        assert_eq!(bytes, payload(1_200));
        assert!(sizes.iter().all(|size| *size <= 512), "{sizes:?}");
        assert_eq!(sizes.len(), 3, "few frames are needed: {sizes:?}");
        linked.finish();
    });
}

//= 2.6.14-01 2.7.1-04
#[test]
fn w13_a_peer_that_names_no_frame_size_gets_large_frames() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(1);
        linked.engine_sender().send(tag(b"t"), true, payload(20_000)).unwrap();
        let frame = linked.expect_frame("Transfer");
        assert_eq!(frame.payload.len(), 20_000);
        linked.finish();
    });
}

//= 2.1-08 2.6.14-03
#[test]
fn w13_deliveries_of_different_links_interleave() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        let other = attach("second", 30, Role::Sender);
        linked.send(other.on(NEAR.peer));
        let Some(Event::LinkAttached(second)) = linked.event() else { panic!("no link") };
        linked.engine().receiver(second).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        linked.engine().receiver(second).unwrap().set_credit(10);
        expect!(linked, Attach { .. });
        expect!(linked, Flow { .. });

        let part = |transfer: Transfer, text: &'static str| transfer.on(NEAR.peer).with(text);
        let (a, b) = (NEAR.peer_sender, 30);
        linked.send_all([
            part(Transfer { more: true, ..first(a, 0) }, "a1"),
            part(Transfer { more: true, ..first(b, 1) }, "b1"),
            part(Transfer { more: true, ..transfer(a) }, "a2"),
            part(transfer(b), "b2"),
            part(first(b, 2), "c"),
            part(transfer(a), "a3"),
        ]);
        let mut got = Vec::new();
        while let Some(event) = linked.event() {
            let Event::Delivery(id) = event else { panic!("{event:?}") };
            let mut receiver = linked.engine().receiver(id.link()).unwrap();
            assert!(receiver.delivery(id).unwrap().is_complete());
            got.push((id.number().get(), receiver.take(id).unwrap().into_bytes()));
        }
        assert_eq!(got, [(0, "a1a2a3".into()), (1, "b1b2".into()), (2, "c".into())]);
        linked.finish();
    });
}

#[test]
fn w13_pieces_written_on_two_links_take_turns() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (a, ra) = pair.link(session, "a");
        let (b, rb) = pair.link(session, "b");
        grant(&mut pair, a, ra, 10);
        grant(&mut pair, b, rb, 10);
        pair.client.sender(a).unwrap().start(tag(b"a"), false, 0, "a1").unwrap();
        pair.client.sender(b).unwrap().start(tag(b"b"), false, 0, "b1").unwrap();
        for n in 2..20 {
            pair.client.sender(a).unwrap().write(format!("a{n}")).unwrap();
            pair.client.sender(b).unwrap().write(format!("b{n}")).unwrap();
        }
        pair.client.sender(b).unwrap().finish().unwrap();
        pair.client.sender(a).unwrap().finish().unwrap();
        let messages = received(&mut pair);
        let text = |name: &str| Bytes::from((1..20).map(|n| format!("{name}{n}")).collect::<String>());
        assert_eq!(messages.len(), 2);
        assert!(messages.contains(&(ra, text("a"))) && messages.contains(&(rb, text("b"))), "{messages:?}");
        settle(&mut pair);
        pair.finish();
    });
}

//= 2.6.14-04
#[test]
fn w14_a_message_is_read_while_it_arrives() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, 1);
        let id = pair.client.sender(sender).unwrap().start(tag(b"s"), false, 0, "one").unwrap();
        assert_eq!(
            pair.client.sender(sender).unwrap().send(tag(b"other"), false, "no"),
            Err(SendError::Blocked(Blocked::Unfinished)),
        );
        assert_eq!(pair.client.sender(sender).unwrap().settle(id, None), Err(Misuse::Unfinished));
        pair.run();
        let Some(Event::Delivery(at)) = pair.server.event() else { panic!("nothing arrived") };
        let mut end = pair.server.receiver(receiver).unwrap();
        assert_eq!(end.take(at).unwrap().into_bytes(), "one");
        assert!(!end.delivery(at).unwrap().is_complete());
        pair.client.sender(sender).unwrap().write("two").unwrap();
        pair.client.sender(sender).unwrap().write("").unwrap();
        pair.client.sender(sender).unwrap().write("three").unwrap();
        pair.run();
        pair.server.expect_event(Event::Delivery(at));
        let mut end = pair.server.receiver(receiver).unwrap();
        assert_eq!(end.delivery(at).unwrap().pending(), 8);
        assert_eq!(end.delivery(at).unwrap().size(), 11);
        assert_eq!(end.take(at).unwrap().into_bytes(), "twothree");
        pair.client.sender(sender).unwrap().finish().unwrap();
        assert_eq!(
            pair.client.sender(sender).unwrap().write("late"),
            Err(SendError::Misuse(Misuse::NothingStarted)),
        );
        pair.run();
        pair.server.expect_event(Event::Delivery(at));
        let mut end = pair.server.receiver(receiver).unwrap();
        assert!(end.delivery(at).unwrap().is_complete());
        assert!(end.take(at).unwrap().is_empty());
        end.accept(at).unwrap();
        settle(&mut pair);
        pair.finish();
    });
}

//= 2.6.14-05 2.6.14-06
#[test]
fn w14_an_aborted_message_is_gone_on_both_sides_and_counts_as_settled() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, 2);
        let id = pair.client.sender(sender).unwrap().start(tag(b"s"), false, 0, "one").unwrap();
        pair.run();
        let Some(Event::Delivery(at)) = pair.server.event() else { panic!("nothing arrived") };
        pair.client.sender(sender).unwrap().abort().unwrap();
        assert_eq!(pair.client.sender(sender).unwrap().settle(id, None), Err(Misuse::Gone));
        assert_eq!(pair.client.sender(sender).unwrap().abort(), Err(Misuse::NothingStarted));
        pair.run();
        pair.server.expect_event(Event::Aborted(at));
        assert_eq!(pair.server.receiver(receiver).unwrap().take(at).err(), Some(Misuse::Gone));
        // The link goes on, and the tag is free.
        pair.client.sender(sender).unwrap().send(tag(b"s"), true, "two").unwrap();
        assert_eq!(received(&mut pair), [(receiver, "two".into())]);
        pair.client.no_event();
        pair.finish();
    });
}

/// An engine that has sent part of a message to a peer whose window is closed since.
fn stuck(way: &Way) -> Linked {
    let mut linked = way.linked();
    linked.grant(10);
    let closed = Flow { incoming_window: 1, ..linked.flow() };
    linked.send(closed.on(NEAR.peer));
    linked.engine_sender().start(tag(b"s"), false, 0, "one").unwrap();
    expect!(linked, Transfer { more: true, .. });
    linked
}

/// The window opens: this goes out, and the next message may.
#[track_caller]
fn takes(linked: &mut Linked, last: impl Into<Frame>) {
    let opened = linked.flow();
    linked.send(opened.on(NEAR.peer));
    linked.expect(last);
    let sender = linked.sender;
    linked.expect_event(Event::Sendable(sender));
}

//= 2.6.14-04
#[test]
fn w14_nothing_else_is_sent_on_a_link_before_the_end_of_a_message() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        linked.engine_sender().start(tag(b"s"), false, 0, "one").unwrap();
        expect!(linked, Transfer { more: true, .. });
        let refused = Err(SendError::Blocked(Blocked::Unfinished));
        assert_eq!(linked.engine_sender().send(tag(b"t"), false, "two"), refused);
        assert_eq!(linked.engine_sender().batch().unwrap().send(tag(b"t"), false, "two"), refused);
        linked.silent();
        // Nothing handed over, and no window: there is no news.
        let mut linked = stuck(way);
        assert_eq!(linked.engine_sender().send(tag(b"t"), false, "two"), refused);
        linked.engine_sender().write("").unwrap();
        linked.no_event();
    });
}

//= 2.7.5-14
#[test]
fn w14_an_abort_waits_for_the_window_as_any_transfer_does() {
    each_way(|way| {
        let mut linked = stuck(way);
        linked.engine_sender().abort().unwrap();
        assert_eq!(linked.engine_sender().blocked(), Some(Blocked::Unfinished));
        linked.silent();
        takes(&mut linked, Transfer { aborted: true, ..transfer(NEAR.engine_sender) });
        linked.session_is_fine();
    });
}

/// A peer that has seen only the beginning of a message says what it has made of it; then it takes the rest.
fn told_before_the_end(way: &Way, told: Disposition) -> (Linked, DeliveryId) {
    let mut linked = stuck(way);
    linked.engine_sender().write("two").unwrap();
    linked.engine_sender().finish().unwrap();
    linked.send(told.on(NEAR.peer));
    let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
    (linked, id)
}

/// The window opens: the rest of the message goes out.
#[track_caller]
fn takes_the_rest(linked: &mut Linked) {
    takes(linked, transfer(NEAR.engine_sender).with("two"));
}

//= 2.6.12-23
#[test]
fn w14_a_message_that_is_settled_by_its_receiver_before_its_end_can_be_settled_at_once() {
    each_way(|way| {
        let rejected = DeliveryState::Rejected(None);
        let (mut linked, id) = told_before_the_end(way, settled(Role::Receiver, 0, rejected.clone()));
        assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(rejected)));
        assert_eq!(linked.engine_sender().settle(id, None), Err(Misuse::Gone));
        assert_eq!(linked.engine_session().unsettled(Role::Sender), 0);
        takes_the_rest(&mut linked);
        linked.session_is_fine();
    });
}

//= 2.6.12-10
#[test]
fn w14_an_outcome_that_is_told_before_the_end_is_settled_behind_it() {
    let in_transaction = TxnId::new(b"t").unwrap().state(Some(DeliveryState::Accepted));
    for told in [DeliveryState::Accepted, in_transaction] {
        each_way(|way| {
            let state = Some(told.clone());
            let (mut linked, id) =
                told_before_the_end(way, Disposition { state, ..disposition(Role::Receiver, 0) });
            assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(told.clone())));
            assert_eq!(linked.engine_session().unsettled(Role::Sender), 0);
            linked.silent();
            takes_the_rest(&mut linked);
            linked.expect(Disposition { settled: true, ..disposition(Role::Sender, 0) });
            linked.session_is_fine();
        });
    }
}

#[test]
fn w14_a_run_of_updates_settles_what_is_told_before_its_end() {
    each_way(|way| {
        let (mut linked, id) = told_before_the_end(way, settled(Role::Receiver, 0, DeliveryState::Released));
        let mut updates = Vec::new();
        linked.engine().take_updates(id, |update| updates.push(update)).unwrap();
        let [update] = &updates[..] else { panic!("{updates:?}") };
        assert_eq!((update.id, &update.state, update.settled), (id, &Some(DeliveryState::Released), true));
        takes_the_rest(&mut linked);
        linked.session_is_fine();
    });
}

//= 2.6.14-05
#[test]
fn w14_a_message_that_is_settled_before_its_end_can_be_given_up() {
    each_way(|way| {
        let mut linked = stuck(way);
        let modified = DeliveryState::Modified(Box::default());
        let told = Disposition { state: Some(modified.clone()), ..disposition(Role::Receiver, 0) };
        linked.send(told.on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("no update") };
        assert_eq!(linked.engine_sender().settle(id, None), Ok(Some(modified)));
        linked.engine_sender().abort().unwrap();
        // With that it is settled: no disposition follows.
        takes(&mut linked, Transfer { aborted: true, ..transfer(NEAR.engine_sender) });
        linked.session_is_fine();
    });
}

#[test]
fn w14_a_piece_that_the_window_has_not_taken_goes_with_its_link_session_or_connection() {
    each_way(|way| {
        for end in 0..3 {
            let mut linked = stuck(way);
            linked.engine_sender().write("two").unwrap();
            match end {
                0 => linked.engine_sender().close(None).unwrap(),
                1 => linked.engine_session().end(None).unwrap(),
                _ => linked.engine().close(None),
            }
            let gone = linked.engine_sender().finish();
            assert!(matches!(gone, Err(SendError::Misuse(_))), "{gone:?}");
            let frame = linked.expect_frame("Detach, End or Close");
            assert!(!matches!(frame.performative, Performative::Transfer(_)), "{frame:?}");
            let opened = linked.flow();
            linked.send(opened.on(NEAR.peer));
            linked.silent();
        }
    });
}

//= 3.4.2-02 3.4.4-04 3.4.5-03
#[test]
fn w14_a_receiver_that_settles_early_gets_no_more_of_the_message() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, 1);
        let id = pair.client.sender(sender).unwrap().start(tag(b"s"), false, 0, "one").unwrap();
        pair.run();
        let Some(Event::Delivery(at)) = pair.server.event() else { panic!("nothing arrived") };
        pair.server.receiver(receiver).unwrap().reject(at, None).unwrap();
        pair.run();
        pair.client.expect_event(Event::Updated(id));
        pair.client.sender(sender).unwrap().write("two").unwrap();
        pair.client.sender(sender).unwrap().finish().unwrap();
        pair.run();
        pair.server.no_event();
        let told = pair.client.sender(sender).unwrap().settle(id, None).unwrap();
        assert_eq!(told, Some(DeliveryState::Rejected(None)));
        pair.finish();
    });
}

#[test]
fn w15_a_message_above_the_receivers_limit_is_refused_before_any_byte() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let limited = LinkConfig { max_message_size: Some(100), ..LinkConfig::receiver("", "here") };
        let (sender, receiver) = pair.link_with(session, LinkConfig::sender("link", "there"), limited);
        grant(&mut pair, sender, receiver, 10);
        let mut end = pair.client.sender(sender).unwrap();
        let too_large = SendError::TooLarge { max_message_size: 100 };
        assert_eq!(end.send(tag(b"1"), true, payload(101)), Err(too_large));
        assert_eq!(end.start(tag(b"1"), true, 0, payload(101)), Err(too_large));
        assert_eq!(end.credit(), 10, "nothing was sent");
        end.send(tag(b"1"), true, payload(100)).unwrap();
        end.start(tag(b"2"), true, 0, payload(60)).unwrap();
        assert_eq!(end.write(payload(41)), Err(too_large));
        end.write(payload(40)).unwrap();
        end.finish().unwrap();
        let lens: Vec<_> = received(&mut pair).iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lens, [100, 100]);
        pair.finish();
    });
}

#[test]
fn w15_an_encoded_message_is_measured_with_all_its_sections_and_without_its_frame() {
    each_net(|net| {
        for len in [50, 5_000] {
            let message = Message::from(vec![7; len]).with_subject("measured");
            let mut encoded = Vec::new();
            message.encode(&mut encoded);
            let size = encoded.len() as u64;
            let mut pair = Pair::opened(net);
            let (session, _) = pair.session();
            for (name, most) in [("fits", size), ("does not", size - 1)] {
                let limited = LinkConfig { max_message_size: Some(most), ..LinkConfig::receiver("", "here") };
                let (sender, receiver) = pair.link_with(session, LinkConfig::sender(name, "there"), limited);
                grant(&mut pair, sender, receiver, 10);
                let mut end = pair.client.sender(sender).unwrap();
                // The second is written behind the first.
                for n in [0, 1] {
                    let sent = end.send_message(tag([n]), true, &message);
                    let expected = SendError::TooLarge { max_message_size: most };
                    assert_eq!(sent.err(), (most < size).then_some(expected), "{len} bytes, {name}");
                }
                let received: Vec<_> = received(&mut pair).into_iter().map(|(_, bytes)| bytes).collect();
                let sent = if most < size { vec![] } else { vec![encoded.clone(); 2] };
                assert_eq!(received, sent, "{len} bytes, {name}");
            }
            pair.finish();
        }
    });
}

#[test]
fn m08_any_message_format_is_carried() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (sender, receiver) = link(&mut pair, 3);
        for (n, format) in [0, 1, u32::MAX].into_iter().enumerate() {
            let mut end = pair.client.sender(sender).unwrap();
            end.send_format(tag([n as u8]), true, format, "x").unwrap();
            pair.run();
            let Some(Event::Delivery(id)) = pair.server.event() else { panic!("nothing arrived") };
            let mut end = pair.server.receiver(receiver).unwrap();
            assert_eq!(end.delivery(id).unwrap().message_format(), format);
            end.take(id).unwrap();
        }
        pair.finish();
    });
}

#[test]
fn messages_go_both_ways_at_a_time() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (out, at_server) = pair.link(session, "out");
        let (back, from_server) = pair.link_back(session, "back");
        grant(&mut pair, out, at_server, 200);
        pair.client.receiver(back).unwrap().set_credit(200);
        pair.run();
        pair.server.expect_event(Event::LinkFlow(from_server));
        pair.server.expect_event(Event::Sendable(from_server));
        for n in 0..100_u32 {
            let size = (n as usize * 37) % 2_000;
            pair.client.sender(out).unwrap().send(tag(n.to_be_bytes()), false, payload(size)).unwrap();
            pair.server
                .sender(from_server)
                .unwrap()
                .send(tag(n.to_be_bytes()), false, payload(size))
                .unwrap();
        }
        let mut counts = [0, 0];
        for round in 0.. {
            pair.run();
            let mut moved = false;
            while let Some(event) = pair.client.event() {
                moved = true;
                match event {
                    Event::Delivery(id) => counts[0] += take(&mut pair.client, id),
                    Event::Updated(id) => {
                        pair.client.sender(id.link()).unwrap().settle(id, None).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            while let Some(event) = pair.server.event() {
                moved = true;
                match event {
                    Event::Delivery(id) => counts[1] += take(&mut pair.server, id),
                    Event::Updated(id) => {
                        pair.server.sender(id.link()).unwrap().settle(id, None).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(round < 10_000);
            if !moved {
                break;
            }
        }
        assert_eq!(counts, [100, 100]);
        pair.finish();
    });
}

/// Takes and accepts a delivery that is complete: how many that were.
fn take(end: &mut Connection, id: DeliveryId) -> usize {
    let mut receiver = end.receiver(id.link()).unwrap();
    if !receiver.delivery(id).unwrap().is_complete() {
        return 0;
    }
    let bytes = receiver.take(id).unwrap().into_bytes();
    assert_eq!(bytes, payload(bytes.len()));
    receiver.accept(id).unwrap();
    1
}
