//! R: links that are resumed with their unsettled deliveries (§2.6.13, §3.4.6).

use amqp1_tests::prelude::*;

use DeliveryState::{Accepted, Released};

/// The engine's handle of the third link of a session, and the peer's of it.
const ENGINE: u32 = 2;
const PEER: u32 = 20;

/// The delivery-tag of this number.
fn t(number: u8) -> DeliveryTag {
    tag([number])
}

fn received(section: u32, offset: u64) -> Option<DeliveryState> {
    Some(DeliveryState::Received(Received::new(section, offset)))
}

fn value(state: &impl Encode) -> Value {
    use amqp1_engine::codec::Decode;
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    Value::decode(&bytes).unwrap()
}

/// An unsettled map as an attach carries it.
fn map(entries: &[(u8, Option<DeliveryState>)]) -> Fields {
    let entry = |(tag, state): &(u8, Option<DeliveryState>)| {
        (Value::from(vec![*tag]), state.as_ref().map_or(Value::Null, value))
    };
    entries.iter().map(entry).collect()
}

fn unsettled(entries: &[(u8, Option<DeliveryState>)]) -> UnsettledMap {
    entries.iter().map(|(tag, state)| (t(*tag), state.clone())).collect()
}

/// What §3.4.6 has the sender say, and the receiver.
fn example() -> [Vec<(u8, Option<DeliveryState>)>; 2] {
    let sender = vec![
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (5, received(0, 200)),
        (6, received(1, 150)),
        (7, received(0, 500)),
        (8, received(3, 5)),
        (9, received(2, 0)),
        (10, Some(Accepted)),
        (11, Some(Accepted)),
        (12, Some(Accepted)),
        (13, Some(Accepted)),
        (14, Some(Accepted)),
    ];
    let receiver = vec![
        (2, received(3, 0)),
        (3, Some(Accepted)),
        (4, None),
        (6, received(2, 0)),
        (7, received(0, 100)),
        (8, Some(Accepted)),
        (9, None),
        (11, received(1, 2000)),
        (12, Some(Accepted)),
        (13, Some(Released)),
        (14, None),
    ];
    [sender, receiver]
}

/// The engine attaches a sender with these deliveries of its own, the peer answers with its attach and grants credit.
fn resumed_sender(linked: &mut Linked, ours: UnsettledMap, answer: Attach) -> LinkId {
    let config = LinkConfig { unsettled: Some(ours), ..LinkConfig::sender("resumed", "there") };
    let link = linked.engine_session().attach_sender(config).unwrap();
    answer_sender(linked, link, answer);
    link
}

fn answer_sender(linked: &mut Linked, link: LinkId, answer: Attach) {
    expect!(linked, Attach { role: Role::Sender, unsettled: Some(_), .. });
    linked.send(Attach { role: Role::Receiver, initial_delivery_count: None, ..answer }.on(NEAR.peer));
    let flow = Flow { handle: Some(Handle(PEER)), ..linked.link_flow(0, 100) };
    linked.send(flow.on(NEAR.peer));
    linked.expect_event(Event::LinkAttached(link));
    linked.expect_event(Event::LinkFlow(link));
    linked.expect_event(Event::Sendable(link));
}

/// The engine attaches a receiver with these deliveries of its own, the peer answers with its attach.
fn resumed_receiver(linked: &mut Linked, ours: UnsettledMap, answer: Attach) -> LinkId {
    let config = LinkConfig {
        unsettled: Some(ours),
        rcv_settle_mode: ReceiverSettleMode::Second,
        ..LinkConfig::receiver("resumed", "there")
    };
    let link = linked.engine_session().attach_receiver(config).unwrap();
    expect!(linked, Attach { role: Role::Receiver, unsettled: Some(_), .. });
    linked.send(Attach { rcv_settle_mode: ReceiverSettleMode::Second, ..answer }.on(NEAR.peer));
    linked.expect_event(Event::LinkAttached(link));
    linked.engine().receiver(link).unwrap().set_credit(100);
    expect!(linked, Flow { link_credit: Some(100), .. });
    link
}

/// A message of three sections, of 4, 6 and 205 bytes.
fn message() -> Vec<u8> {
    let header: &[u8] = &[0, 0x53, 0x70, 0x45];
    let annotations = &[0, 0x53, 0x72, 0xc1, 1, 0];
    let data = [&[0, 0x53, 0x75, 0xa0, 200], &[b'x'; 200][..]].concat();
    [header, annotations, &data].concat()
}

//= 2.6.3-05 2.6.13-01 2.6.13-02 2.6.13-05 2.6.13-10 2.6.13-11 2.7.3-07 2.7.3-08 2.7.5-20 2.7.5-21 2.7.5-23 3.4.6-02
//= 3.4.6-05 3.4.6-06 3.4.6-07 3.4.6-08 3.4.6-09 3.4.6-10 3.4.6-12 3.4.6-13 3.4.6-14 3.4.6-16 3.4.6-20 3.4.6-21 3.4.6-22
#[test]
fn r4_a_sender_goes_on_as_3_4_6_tells() {
    each_way(|way| {
        let mut linked = way.linked();
        let [ours, theirs] = example();
        let answer = Attach { unsettled: Some(map(&theirs)), ..attach("resumed", PEER, Role::Receiver) };
        let link = resumed_sender(&mut linked, unsettled(&ours), answer);
        let at = |section, offset| Resumption::Resume(Received::new(section, offset));
        let todo = linked.engine().sender(link).unwrap().unresolved();
        let settle = Resumption::Settle(Accepted);
        assert_eq!(
            todo,
            [
                (t(1), Resumption::Resend),
                (t(2), at(3, 0)),
                (t(3), settle.clone()),
                (t(4), at(0, 0)),
                (t(5), Resumption::Resend),
                (t(6), at(2, 0)),
                (t(7), Resumption::Abort),
                (t(8), settle.clone()),
                (t(9), Resumption::Abort),
                (t(10), Resumption::Forget(Accepted)),
                (t(11), Resumption::Abort),
                (t(12), settle),
                (t(13), Resumption::Restate(Accepted)),
                (t(14), Resumption::Abort),
            ]
        );
        let mut id = 0;
        let mut next = || {
            id += 1;
            Serial::new(id - 1)
        };
        for (tag, resumption) in todo {
            let mut sender = linked.engine().sender(link).unwrap();
            match resumption {
                Resumption::Resend => {
                    let sent = sender.resume(tag, message()).unwrap();
                    assert_eq!(sender.delivery(sent).unwrap().tag(), &tag);
                    let frame = linked.expect_frame("Transfer");
                    assert_eq!(frame.payload, message());
                    let first =
                        Transfer { delivery_id: Some(next()), delivery_tag: Some(tag), ..first(ENGINE, 0) };
                    assert_eq!(frame, first.on(NEAR.engine).with(message()));
                }
                Resumption::Resume(_) => {
                    sender.resume(tag, message()).unwrap();
                    let frame = linked.expect_frame("Transfer");
                    let (state, payload) = match tag.as_bytes() {
                        // All of it has arrived, and nothing but that was said.
                        [2] => (received(3, 0), vec![]),
                        [4] => (None, message()),
                        // The payload starts where our own state said.
                        _ => (received(1, 150), message()),
                    };
                    let first = Transfer {
                        delivery_id: Some(next()),
                        delivery_tag: Some(tag),
                        resume: true,
                        state: state.map(Box::new),
                        ..first(ENGINE, 0)
                    };
                    assert_eq!(frame, first.on(NEAR.engine).with(payload));
                }
                Resumption::Settle(Accepted) => {
                    assert_eq!(sender.resolve(tag), Ok(None));
                    let first = Transfer {
                        delivery_id: Some(next()),
                        delivery_tag: Some(tag),
                        settled: Some(true),
                        state: Some(Box::new(Accepted)),
                        resume: true,
                        ..first(ENGINE, 0)
                    };
                    linked.expect(first.on(NEAR.engine));
                }
                Resumption::Abort => {
                    assert_eq!(sender.resume(tag, message()), Err(Misuse::NothingToResume.into()));
                    assert_eq!(sender.resolve(tag), Ok(None));
                    let first = Transfer {
                        delivery_id: Some(next()),
                        delivery_tag: Some(tag),
                        aborted: true,
                        resume: true,
                        ..first(ENGINE, 0)
                    };
                    linked.expect(first.on(NEAR.engine));
                }
                Resumption::Forget(Accepted) => {
                    assert_eq!(sender.resolve(tag), Ok(None));
                    linked.silent();
                }
                Resumption::Restate(Accepted) => {
                    let told = sender.resolve(tag).unwrap().unwrap();
                    let number = next();
                    let first = Transfer {
                        delivery_id: Some(number),
                        delivery_tag: Some(tag),
                        state: Some(Box::new(Accepted)),
                        resume: true,
                        ..first(ENGINE, 0)
                    };
                    linked.expect(first.on(NEAR.engine));
                    linked.send(settled(Role::Receiver, number.get(), Accepted).on(NEAR.peer));
                    linked.expect_event(Event::Updated(told));
                    let told = linked.engine().sender(link).unwrap().settle(told, None);
                    assert_eq!(told, Ok(Some(Accepted)));
                }
                other => panic!("{other:?}"),
            }
        }
        let sender = linked.engine().sender(link).unwrap();
        assert_eq!(sender.unresolved(), []);
        assert!(!sender.must_reattach());
        assert_eq!(sender.unsettled(), 5, "1, 2, 4, 5 and 6 wait for their outcome");
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

//= 3.4.1-02 3.4.6-04 3.4.6-15
#[test]
fn r4_a_message_goes_on_where_the_receiver_needs_it_and_in_pieces_where_it_is_large() {
    each_way(|way| {
        let mut linked = way.linked();
        for (number, (point, rest)) in [
            (received(0, 4), &message()[4..]),
            (received(1, 0), &message()[4..]),
            (received(2, 0), &message()[10..]),
            (received(2, 105), &message()[115..]),
            (received(3, 0), &[]),
            // Points that this message does not have: it starts again.
            (received(2, 1_000), &message()[..]),
            (received(7, 0), &message()[..]),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("resumed {number}");
            let ours = unsettled(&[(1, None)]);
            let handle = ENGINE + number as u32;
            let theirs = PEER + number as u32;
            let config = LinkConfig { unsettled: Some(ours), ..LinkConfig::sender(name.as_str(), "there") };
            let link = linked.engine_session().attach_sender(config).unwrap();
            expect!(linked, Attach { .. });
            let unsettled = Some(map(&[(1, point.clone())]));
            linked.send(Attach { unsettled, ..attach(&name, theirs, Role::Receiver) }.on(NEAR.peer));
            let flow = Flow { handle: Some(Handle(theirs)), ..linked.link_flow(0, 100) };
            linked.send(flow.on(NEAR.peer));
            linked.events();
            linked.engine().sender(link).unwrap().resume(t(1), message()).unwrap();
            let frame = linked.expect_frame("Transfer");
            let starts_again = rest.len() == message().len();
            let state = if starts_again { None } else { point };
            let resumed = Transfer {
                delivery_id: Some(Serial::new(number as u32)),
                delivery_tag: Some(t(1)),
                resume: true,
                state: state.map(Box::new),
                ..first(handle, 0)
            };
            assert_eq!(frame, resumed.on(NEAR.engine).with(rest.to_vec()));
        }
        linked.session_is_fine();
    });
}

//= 2.7.5-21 2.7.5-22
#[test]
fn r4_a_resumed_delivery_of_many_transfers_is_marked_on_the_first() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let mut linked = Linked::new(peer);
        let answer = Attach { unsettled: Some(map(&[(1, None)])), ..attach("resumed", PEER, Role::Receiver) };
        let link = resumed_sender(&mut linked, unsettled(&[(1, None)]), answer);
        let payload = vec![7; 2_000];
        linked.engine().sender(link).unwrap().resume_format(t(1), 9, payload.clone()).unwrap();
        let mut arrived = Vec::new();
        let frame = linked.expect_frame("Transfer");
        arrived.extend_from_slice(&frame.payload);
        let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
        assert!(transfer.resume && transfer.more);
        assert_eq!(transfer.message_format, Some(9));
        while arrived.len() < payload.len() {
            let frame = linked.expect_frame("Transfer");
            arrived.extend_from_slice(&frame.payload);
            let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
            assert_eq!(
                *transfer,
                Transfer { more: arrived.len() < payload.len(), ..Transfer::new(Handle(ENGINE)) }
            );
        }
        assert_eq!(arrived, payload);
        linked.session_is_fine();
    });
}

//= 2.7.5-11 2.8.2-01
#[test]
fn r4_a_sender_that_never_sends_settled_settles_right_behind() {
    each_way(|way| {
        let mut linked = way.linked();
        let config = LinkConfig {
            unsettled: Some(unsettled(&[(3, None), (12, Some(Accepted))])),
            snd_settle_mode: SenderSettleMode::Unsettled,
            ..LinkConfig::sender("resumed", "there")
        };
        let link = linked.engine_session().attach_sender(config).unwrap();
        let theirs = map(&[(3, Some(Released)), (12, Some(Accepted))]);
        answer_sender(
            &mut linked,
            link,
            Attach { unsettled: Some(theirs), ..attach("resumed", PEER, Role::Receiver) },
        );
        for (number, (name, outcome)) in [(3, Released), (12, Accepted)].into_iter().enumerate() {
            assert_eq!(linked.engine().sender(link).unwrap().resolve(t(name)), Ok(None));
            let resumed = Transfer {
                delivery_id: Some(Serial::new(number as u32)),
                delivery_tag: Some(t(name)),
                state: Some(Box::new(outcome.clone())),
                resume: true,
                ..first(ENGINE, 0)
            };
            linked.expect(resumed.on(NEAR.engine));
            linked.expect(settled(Role::Sender, number as u32, outcome).on(NEAR.engine));
        }
        assert_eq!(linked.engine().sender(link).unwrap().unsettled(), 0);
        linked.session_is_fine();
    });
}

//= 2.6.13-02 3.4.6-12 3.4.6-14 3.4.6-16
#[test]
fn r4_what_a_program_cannot_send_again_it_gives_up() {
    each_way(|way| {
        let mut linked = way.linked();
        let ours = unsettled(&[(1, None), (2, None), (4, None)]);
        let theirs = map(&[(2, received(0, 3)), (4, None)]);
        let answer = Attach { unsettled: Some(theirs), ..attach("resumed", PEER, Role::Receiver) };
        let link = resumed_sender(&mut linked, ours, answer);
        let mut sender = linked.engine().sender(link).unwrap();
        assert_eq!(sender.resolve(t(1)), Ok(None), "the receiver knows nothing of it");
        assert_eq!(sender.resolve(t(2)), Ok(None));
        assert_eq!(sender.resolve(t(4)), Ok(None));
        assert_eq!(sender.resolve(t(4)), Err(Misuse::NothingToResume.into()));
        assert_eq!(sender.resume(t(4), "data"), Err(Misuse::NothingToResume.into()));
        for name in [2, 4] {
            let aborted =
                expect!(linked, Transfer { delivery_tag: Some(tag), aborted: true, resume: true, .. } => tag);
            assert_eq!(aborted, t(name));
        }
        // The tags are free again.
        for name in [1, 2, 4] {
            linked.engine().sender(link).unwrap().send(t(name), false, "new").unwrap();
            expect!(linked, Transfer { resume: false, aborted: false, .. });
        }
        linked.session_is_fine();
    });
}

//= 2.6.12-02
#[test]
fn r4_a_tag_that_waits_to_be_resumed_is_in_use() {
    each_way(|way| {
        let mut linked = way.linked();
        let ours = unsettled(&[(1, None), (2, None), (9, None)]);
        let theirs = map(&[(2, received(0, 3))]);
        let answer = Attach { unsettled: Some(theirs), ..attach("resumed", PEER, Role::Receiver) };
        let link = resumed_sender(&mut linked, ours, answer);
        let mut sender = linked.engine().sender(link).unwrap();
        for name in [1, 2, 9] {
            assert_eq!(sender.send(t(name), false, "new"), Err(SendError::TagInUse), "{name}");
        }
        sender.send(t(5), false, "new").unwrap();
        sender.resume(t(2), "message").unwrap();
        for name in [1, 2, 5, 9] {
            assert_eq!(sender.send(t(name), false, "new"), Err(SendError::TagInUse), "{name}");
        }
        linked.events();
    });
}

/// The first transfer of a delivery that the peer resumes.
fn resuming(number: u32, name: u8) -> Transfer {
    Transfer {
        delivery_id: Some(Serial::new(number)),
        delivery_tag: Some(t(name)),
        message_format: None,
        resume: true,
        ..first(PEER, 0)
    }
}

/// The engine's receiver with the receiver's map of §3.4.6, and the peer with the sender's.
fn example_receiver(way: &Way) -> (Linked, LinkId) {
    let mut linked = way.linked();
    let [theirs, ours] = example();
    let answer = Attach { unsettled: Some(map(&theirs)), ..attach("resumed", PEER, Role::Sender) };
    let link = resumed_receiver(&mut linked, unsettled(&ours), answer);
    assert_eq!(linked.engine().receiver(link).unwrap().unresolved(), unsettled(&ours));
    (linked, link)
}

//= 2.6.13-03 2.7.5-19 2.7.5-22 2.7.5-24 3.4.6-03 3.4.6-06 3.4.6-10 3.4.6-15 3.4.6-20 3.4.6-21
#[test]
fn r4_a_receiver_goes_on_as_3_4_6_tells() {
    each_way(|way| {
        let (mut linked, link) = example_receiver(way);
        // 1: not known, so that a resumed one is ignored; a new one is a delivery as any.
        linked.send(Transfer { message_format: Some(0), ..resuming(0, 1) }.on(NEAR.peer).with("again"));
        linked.no_event();
        linked.send(Transfer { delivery_tag: Some(t(1)), ..first(PEER, 1) }.on(NEAR.peer).with("again"));
        assert_eq!(linked.delivery().1, "again");
        // 2: goes on from there, in two transfers.
        let state = received(3, 0);
        linked.send(
            Transfer { more: true, state: state.clone().map(Box::new), ..resuming(2, 2) }
                .on(NEAR.peer)
                .with("the "),
        );
        linked.send(Transfer { resume: true, ..transfer(PEER) }.on(NEAR.peer).with("rest"));
        let (id, payload) = linked.delivery();
        let mut arrived = payload.to_vec();
        while let Some(Event::Delivery(again)) = linked.event() {
            assert_eq!(again, id);
            arrived
                .extend_from_slice(&linked.engine().receiver(link).unwrap().take(id).unwrap().into_bytes());
        }
        assert_eq!(arrived, b"the rest");
        let receiver = linked.engine().receiver(link).unwrap();
        let delivery = receiver.delivery(id).unwrap();
        assert_eq!(
            (delivery.tag(), delivery.state(), delivery.remote_state()),
            (&t(2), state.as_ref(), state.as_ref())
        );
        // 3, 8 and 12: settled.
        for (number, name) in [(3, 3), (4, 8), (5, 12)] {
            let told =
                Transfer { settled: Some(true), state: Some(Box::new(Accepted)), ..resuming(number, name) };
            linked.send(told.on(NEAR.peer));
            let Some(Event::Updated(id)) = linked.event() else { panic!("nothing is told") };
            let mut receiver = linked.engine().receiver(link).unwrap();
            let delivery = receiver.delivery(id).unwrap();
            assert_eq!((delivery.tag(), delivery.state()), (&t(name), Some(&Accepted)));
            assert!(delivery.is_remotely_settled());
            receiver.settle(id).unwrap();
            linked.silent();
        }
        // 4: as a new one.
        linked.send(resuming(6, 4).on(NEAR.peer).with("whole"));
        assert_eq!(linked.delivery().1, "whole");
        // 6: from before the point.
        linked.send(
            Transfer { state: received(1, 150).map(Box::new), ..resuming(7, 6) }
                .on(NEAR.peer)
                .with("overlap"),
        );
        let (id, payload) = linked.delivery();
        assert_eq!(payload, "overlap");
        let receiver = linked.engine().receiver(link).unwrap();
        assert_eq!(receiver.delivery(id).unwrap().remote_state(), received(1, 150).as_ref());
        assert_eq!(receiver.delivery(id).unwrap().state(), received(2, 0).as_ref());
        // 7, 9, 11 and 14: given up.
        for (number, name) in [(8, 7), (9, 9), (10, 11), (11, 14)] {
            let given_up = Transfer { aborted: true, ..resuming(number, name) };
            linked.send(given_up.on(NEAR.peer).with("ignored"));
            let Some(Event::Updated(id)) = linked.event() else { panic!("nothing is told") };
            let mut receiver = linked.engine().receiver(link).unwrap();
            let delivery = receiver.delivery(id).unwrap();
            assert!(delivery.is_remotely_settled());
            assert_eq!((delivery.tag(), delivery.remote_state(), delivery.pending()), (&t(name), None, 0));
            receiver.settle(id).unwrap();
            linked.silent();
        }
        // 13: the sender's outcome holds.
        linked.send(Transfer { state: Some(Box::new(Accepted)), ..resuming(12, 13) }.on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("nothing is told") };
        let mut receiver = linked.engine().receiver(link).unwrap();
        let delivery = receiver.delivery(id).unwrap();
        assert_eq!((delivery.state(), delivery.remote_state()), (Some(&Released), Some(&Accepted)));
        assert!(!delivery.is_remotely_settled());
        receiver.settle(id).unwrap();
        linked.expect(settled(Role::Receiver, 12, Accepted).on(NEAR.engine));
        // 5 and 10 are the sender's alone.
        let receiver = linked.engine().receiver(link).unwrap();
        assert!(receiver.unresolved().is_empty());
        assert_eq!(receiver.unsettled(), 4, "1, 2, 4 and 6 have arrived");
        linked.session_is_fine();
        linked.far_is_fine();
    });
}

#[test]
fn r4_a_message_that_has_an_outcome_is_not_handed_over_again() {
    each_way(|way| {
        for whole in [true, false] {
            let (mut linked, link) = example_receiver(way);
            // The sender asks what has become of it by sending it all again.
            linked.send(Transfer { more: !whole, ..resuming(0, 3) }.on(NEAR.peer).with("again"));
            if !whole {
                linked.send(transfer(PEER).on(NEAR.peer).with("and again"));
            }
            let Some(Event::Updated(id)) = linked.event() else { panic!("nothing is told") };
            linked.no_event();
            let state = Disposition { state: Some(Accepted), ..disposition(Role::Receiver, 0) };
            linked.expect(state.on(NEAR.engine));
            let mut receiver = linked.engine().receiver(link).unwrap();
            assert_eq!(receiver.delivery(id).unwrap().state(), Some(&Accepted));
            assert_eq!(receiver.take(id).unwrap().into_bytes(), "");
            linked.send(settled(Role::Sender, 0, Accepted).on(NEAR.peer));
            linked.expect_event(Event::Updated(id));
            linked.engine().receiver(link).unwrap().settle(id).unwrap();
            linked.session_is_fine();
        }
    });
}

#[test]
fn d11_of_what_is_resumed_only_what_is_in_the_map_is_heard() {
    each_way(|way| {
        let (mut linked, link) = example_receiver(way);
        // Once resumed a delivery is in the map no more.
        let told =
            |number| Transfer { settled: Some(true), state: Some(Box::new(Accepted)), ..resuming(number, 3) };
        linked.send(told(0).on(NEAR.peer));
        let Some(Event::Updated(id)) = linked.event() else { panic!("nothing is told") };
        linked.engine().receiver(link).unwrap().settle(id).unwrap();
        linked.send(told(1).on(NEAR.peer));
        linked.send(resuming(2, 99).on(NEAR.peer).with("unknown"));
        linked.send(Transfer { delivery_tag: None, ..resuming(3, 4) }.on(NEAR.peer).with("nameless"));
        linked.finish();
        assert_eq!(linked.engine().receiver(link).unwrap().credit(), 96, "its sender has counted them");
        // New deliveries are as ever, unless their tags are those of others.
        linked.send(Transfer { delivery_tag: Some(t(50)), ..first(PEER, 4) }.on(NEAR.peer).with("new"));
        assert_eq!(linked.delivery().1, "new");
        linked.send(Transfer { delivery_tag: Some(t(8)), ..first(PEER, 5) }.on(NEAR.peer).with("double"));
        linked.detaches_with(ENGINE, &condition::INVALID_FIELD);
    });
}

//= 2.6.12-12 2.6.12-13 2.6.13-04
#[test]
fn r4_what_only_the_receiver_names_is_settled() {
    each_way(|way| {
        for unsettled_there in [Some(map(&[(2, None)])), Some(Fields::new()), None] {
            let mut linked = way.linked();
            let ours = unsettled(&[(1, Some(Accepted)), (2, Some(Accepted)), (3, received(1, 0))]);
            let left = unsettled_there.as_ref().map_or(0, Fields::len);
            let answer = Attach { unsettled: unsettled_there, ..attach("resumed", PEER, Role::Sender) };
            let link = resumed_receiver(&mut linked, ours, answer);
            let unresolved = linked.engine().receiver(link).unwrap().unresolved();
            assert_eq!(unresolved.len(), left);
            assert_eq!(unresolved.contains(&t(2)), left == 1);
            // A tag that is settled is free.
            linked.send(Transfer { delivery_tag: Some(t(1)), ..first(PEER, 0) }.on(NEAR.peer).with("new"));
            assert_eq!(linked.delivery().1, "new");
            linked.session_is_fine();
        }
        // Also where tags do not count.
        let mut linked = way.linked();
        let tags = [tag([9; 16]), tag([5; 16])];
        let ours = tags.iter().map(|tag| (*tag, Some(Accepted))).collect();
        let theirs = Fields::new().with(vec![5_u8; 16], Value::Null);
        let answer = Attach { unsettled: Some(theirs), ..attach("resumed", PEER, Role::Sender) };
        resumed_receiver(&mut linked, ours, answer);
        linked.send(Transfer { delivery_tag: Some(tags[0]), ..first(PEER, 0) }.on(NEAR.peer).with("new"));
        assert_eq!(linked.delivery().1, "new");
        linked.send(Transfer { delivery_tag: Some(tags[1]), ..first(PEER, 1) }.on(NEAR.peer).with("double"));
        linked.detaches_with(ENGINE, &condition::INVALID_FIELD);
        // A sender ignores them.
        let mut linked = way.linked();
        let answer = Attach {
            unsettled: Some(map(&[(1, Some(Accepted)), (2, None)])),
            ..attach("resumed", PEER, Role::Receiver)
        };
        let link = resumed_sender(&mut linked, unsettled(&[]), answer);
        let mut sender = linked.engine().sender(link).unwrap();
        assert_eq!(sender.unresolved(), []);
        sender.send(t(9), false, "new").unwrap();
        expect!(linked, Transfer { resume: false, .. });
        linked.session_is_fine();
    });
}

#[test]
fn r1_more_entries_than_the_limit_detach() {
    each_way(|way| {
        for role in [Role::Sender, Role::Receiver] {
            let mut config = way.config();
            config.limits.unsettled = 10;
            let mut peer = way.peer(config);
            peer.open();
            let mut linked = Linked::new(peer);
            let all: Vec<_> = (0..11).map(|name| (name, None)).collect();
            let too_many = Attach { unsettled: Some(map(&all)), ..attach("resumed", PEER, role) };
            linked.send(too_many.on(NEAR.peer));
            expect!(linked, Attach { source: None, target: None, .. });
            linked.detaches_with(ENGINE, &condition::RESOURCE_LIMIT_EXCEEDED);
            let enough = Attach { unsettled: Some(map(&all[1..])), ..attach("other", PEER + 1, role) };
            linked.send(enough.on(NEAR.peer));
            assert!(matches!(linked.event(), Some(Event::LinkAttached(_))));
        }
    });
}

/// As many deliveries as no attach of 512 bytes names.
fn many() -> UnsettledMap {
    (0..200).map(|name| (t(name), Some(Accepted))).collect()
}

//= 2.6.13-06 2.6.13-07 2.6.13-08 2.6.13-09 2.7.3-09 2.7.3-10 2.7.3-13 2.7.3-14 2.7.3-X3
#[test]
fn r1_a_map_too_large_to_be_sent_is_cut_short_and_reduced_round_by_round() {
    each_way(|way| {
        for pipelined in [false, true] {
            let mut peer = way.peer(way.config());
            let session;
            let config = LinkConfig { unsettled: Some(many()), ..LinkConfig::sender("resumed", "there") };
            let link;
            if pipelined {
                peer.engine().open();
                session = peer.engine().begin(SessionConfig::default()).unwrap();
                link = peer.engine().session(session).unwrap().attach_sender(config).unwrap();
                peer.open_with(Open { max_frame_size: 512, ..open("peer") });
            } else {
                peer.open_with(Open { max_frame_size: 512, ..open("peer") });
                session = peer.engine().begin(SessionConfig::default()).unwrap();
                link = peer.engine().session(session).unwrap().attach_sender(config).unwrap();
            }
            expect!(peer, Begin { .. });
            peer.send(Begin { remote_channel: Some(0), ..begin(0, 10_000, 10_000) }.on(3));
            // The peer has an outcome of each delivery, and no room for them either.
            let mut theirs: Vec<_> = (0..200).map(|name| (name, Some(Accepted))).collect();
            let mut rounds = 0;
            let mut number = 0;
            loop {
                let frame = peer.expect_frame("Attach");
                assert!(frame.encode().len() <= 512);
                let Performative::Attach(ours) = frame.performative else { panic!("{frame:?}") };
                let named = ours.unsettled.as_ref().map_or(0, Fields::len);
                assert_eq!(ours.incomplete_unsettled, named < theirs.len());
                if ours.incomplete_unsettled {
                    assert!(named > 50, "as many as there is room for: {named}");
                }
                let some = &theirs[..theirs.len().min(70)];
                let answer = Attach {
                    unsettled: Some(map(some)),
                    incomplete_unsettled: some.len() < theirs.len(),
                    ..attach("resumed", PEER, Role::Receiver)
                };
                let is_incomplete = answer.incomplete_unsettled || ours.incomplete_unsettled;
                peer.send(answer.on(3));
                let flow = Flow {
                    next_incoming_id: Some(Serial::new(peer.received_transfers(0))),
                    handle: Some(Handle(PEER)),
                    delivery_count: Some(Serial::new(0)),
                    link_credit: Some(1_000),
                    ..flow(10_000, 0, 10_000)
                };
                peer.send(flow.on(3));
                peer.events();
                let mut sender = peer.engine().sender(link).unwrap();
                assert_eq!(sender.must_reattach(), is_incomplete);
                let blocked = SendError::Blocked(Blocked::Recovery);
                rounds += 1;
                if is_incomplete {
                    assert_eq!(sender.send(t(222), false, "new"), Err(blocked));
                    assert_eq!(sender.blocked(), Some(Blocked::Recovery));
                }
                let mut waiting = 0;
                for (tag, resumption) in sender.unresolved() {
                    match resumption {
                        Resumption::Settle(Accepted) => {
                            assert_eq!(sender.resolve(tag), Ok(None));
                        }
                        Resumption::Wait => {
                            assert_eq!(sender.resolve(tag), Err(blocked));
                            waiting += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(waiting, theirs.len() - some.len());
                for _ in 0..some.len() {
                    let tag = expect!(peer, Transfer { delivery_id: Some(id), delivery_tag: Some(tag),
                        settled: Some(true), resume: true, .. } if id.get() == number => tag);
                    theirs.retain(|(name, _)| t(*name) != tag);
                    number += 1;
                }
                if !is_incomplete {
                    break;
                }
                let config = LinkConfig::sender("", "there");
                peer.engine().sender(link).unwrap().detach().unwrap();
                peer.expect(detach(0).on(0));
                peer.send(detach(PEER).on(3));
                peer.expect_event(Event::LinkDetached { link, closed: false, error: None });
                // What is left is named without being asked for.
                peer.engine().sender(link).unwrap().attach(config).unwrap();
            }
            assert!(theirs.is_empty());
            assert_eq!(rounds, 3, "70 and 70, then 60");
            peer.engine().sender(link).unwrap().send(t(222), false, "new").unwrap();
            expect!(peer, Transfer { resume: false, .. });
            peer.silent();
        }
    });
}

//= 2.7.3-14
#[test]
fn r3_a_new_delivery_after_an_incomplete_map_detaches() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let mut linked = Linked::new(peer);
        let all = map(&(0..60).map(|name| (name, None)).collect::<Vec<_>>());
        let answer = Attach { unsettled: Some(all), ..attach("resumed", PEER, Role::Sender) };
        let link = resumed_receiver(&mut linked, many(), answer);
        assert!(linked.engine().receiver(link).unwrap().must_reattach());
        assert_eq!(linked.engine().receiver(link).unwrap().unresolved().len(), 60);
        let told = Transfer { settled: Some(true), state: Some(Box::new(Accepted)), ..resuming(0, 3) };
        linked.send(told.on(NEAR.peer));
        assert!(matches!(linked.event(), Some(Event::Updated(_))));
        linked.send(Transfer { delivery_tag: Some(t(222)), ..first(PEER, 1) }.on(NEAR.peer).with("new"));
        linked.detaches_with(ENGINE, &condition::NOT_ALLOWED);
    });
}

//= 2.6.13-09 2.7.3-14
#[test]
fn r3_a_sender_that_has_nothing_to_resume_sends_nothing_new_after_an_incomplete_map() {
    each_way(|way| {
        for peer_first in [false, true] {
            let mut linked = way.linked();
            let incomplete = Attach {
                unsettled: Some(map(&[(1, None)])),
                incomplete_unsettled: true,
                ..attach("resumed", PEER, Role::Receiver)
            };
            let config = LinkConfig::sender("resumed", "there");
            let link = if peer_first {
                linked.send(incomplete.on(NEAR.peer));
                let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
                linked.engine().sender(link).unwrap().attach(config).unwrap();
                expect!(linked, Attach { unsettled: None, .. });
                link
            } else {
                let link = linked.engine_session().attach_sender(config).unwrap();
                expect!(linked, Attach { unsettled: None, .. });
                linked.send(incomplete.on(NEAR.peer));
                linked.expect_event(Event::LinkAttached(link));
                link
            };
            let flow = Flow { handle: Some(Handle(PEER)), ..linked.link_flow(0, 100) };
            linked.send(flow.on(NEAR.peer));
            linked.events();
            let mut sender = linked.engine().sender(link).unwrap();
            assert!(sender.must_reattach());
            assert_eq!(sender.send(t(1), false, "new"), Err(SendError::Blocked(Blocked::Recovery)));
            sender.detach().unwrap();
            expect!(linked, Detach { closed: false, .. });
            linked.send(detach(PEER).on(NEAR.peer));
            linked.expect_event(Event::LinkDetached { link, closed: false, error: None });
            linked.engine().sender(link).unwrap().attach(LinkConfig::sender("", "there")).unwrap();
            expect!(linked, Attach { incomplete_unsettled: false, .. });
            linked.send(attach("resumed", PEER, Role::Receiver).on(NEAR.peer));
            let flow = Flow { handle: Some(Handle(PEER)), ..linked.link_flow(0, 100) };
            linked.send(flow.on(NEAR.peer));
            linked.events();
            linked.engine().sender(link).unwrap().send(t(1), false, "new").unwrap();
            expect!(linked, Transfer { resume: false, .. });
            linked.session_is_fine();
        }
    });
}

//= 2.7.3-11
#[test]
fn r2_keys_that_are_no_tags_and_values_that_are_no_states_detach() {
    each_way(|way| {
        let key = || Value::from(vec![1_u8]);
        let bad = [
            Fields::new().with(Value::Null, Value::Null),
            Fields::new().with("1", Value::Null),
            Fields::new().with(vec![0_u8; 33], Value::Null),
            Fields::new().with(key(), 1_u32),
            Fields::new().with(key(), "accepted"),
            Fields::new().with(key(), value(&Source::default())),
        ];
        for (at, bad) in bad.into_iter().enumerate() {
            // Of a link of the peer's own, and in answer to ours.
            let mut linked = way.linked();
            let attached = Attach { unsettled: Some(bad), ..attach("bad", PEER, Role::Sender) };
            linked.send(attached.clone().on(NEAR.peer));
            expect!(linked, Attach { source: None, target: None, unsettled: None, .. });
            linked.detaches_with(ENGINE, &condition::INVALID_FIELD);
            let mut linked = way.linked();
            let ours = unsettled(&[(1, Some(Accepted))]);
            let config = LinkConfig { unsettled: Some(ours.clone()), ..LinkConfig::receiver("bad", "there") };
            let link = linked.engine_session().attach_receiver(config).unwrap();
            expect!(linked, Attach { .. });
            linked.send(attached.on(NEAR.peer));
            linked.detaches_with(ENGINE, &condition::INVALID_FIELD);
            let state = linked.engine().receiver(link).unwrap().terminus_state().unwrap();
            assert_eq!(state.config.unsettled, Some(ours), "{at}: nothing was lost");
        }
    });
}

//= 2.6.3-05 2.6.5-04 2.6.5-05
#[test]
fn a_link_that_failed_is_resumed() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        let sent = linked.engine_sender().send(t(1), false, "message").unwrap();
        expect!(linked, Transfer { .. });
        let error = Some(Error::new(condition::INTERNAL_ERROR));
        linked.send(Detach { closed: true, error, ..detach(NEAR.peer_receiver) }.on(NEAR.peer));
        assert!(matches!(linked.event(), Some(Event::LinkDetached { closed: true, .. })));
        let state = linked.engine_sender().terminus_state().unwrap();
        assert_eq!(state.config.unsettled, Some(unsettled(&[(1, None)])));
        linked.engine_sender().close(None).unwrap();
        expect!(linked, Detach { closed: true, .. });
        linked.no_event();
        let link = linked.engine_session().attach_sender(state.config).unwrap();
        assert_ne!(link, sent.link());
        let named = expect!(linked, Attach { name, unsettled: Some(map), .. } if name == "out 0" => map);
        assert_eq!(named, map(&[(1, None)]));
        linked.send(attach("out 0", PEER, Role::Receiver).on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(link));
        let sender = linked.engine().sender(link).unwrap();
        assert_eq!(sender.unresolved(), [(t(1), Resumption::Resend)]);
        linked.session_is_fine();
    });
}

//= 2.6.5-04 2.6.5-05
#[test]
fn a_link_that_the_engine_failed_is_resumed_by_its_peer() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(1);
        // Without credit for the second.
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("one"));
        linked.send(first(NEAR.peer_sender, 1).on(NEAR.peer).with("two"));
        linked.events();
        expect!(linked, Detach { closed: true, error: Some(_), .. });
        // The peer has not answered, and resumes already.
        let resumed = Attach { unsettled: Some(map(&[(0, None)])), ..attach("in 0", PEER, Role::Sender) };
        linked.send(resumed.on(NEAR.peer));
        let Some(Event::LinkAttached(link)) = linked.event() else { panic!("no link") };
        assert_ne!(link, linked.receiver);
        linked.engine().receiver(link).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        expect!(linked, Attach { role: Role::Receiver, .. });
        linked.session_is_fine();
    });
}

//= 2.6.4-01 2.7.3-12
#[test]
fn a_link_that_goes_on_in_its_session_names_no_deliveries_and_one_that_is_resumed_does() {
    each_way(|way| {
        for peer_resumes in [false, true] {
            let mut linked = way.linked();
            linked.grant(10);
            let sender = linked.sender;
            let sent = linked.engine_sender().send(t(1), false, "message").unwrap();
            expect!(linked, Transfer { .. });
            linked.engine_sender().detach().unwrap();
            expect!(linked, Detach { closed: false, .. });
            linked.send(detach(NEAR.peer_receiver).on(NEAR.peer));
            linked.expect_event(Event::LinkDetached { link: sender, closed: false, error: None });
            let state = linked.engine_sender().terminus_state().unwrap();
            assert_eq!(state.config.unsettled, Some(unsettled(&[(1, None)])));
            let theirs = peer_resumes.then(|| map(&[(1, Some(Accepted))]));
            let again = Attach { unsettled: theirs, ..attach("out 0", PEER, Role::Receiver) };
            if peer_resumes {
                linked.send(again.on(NEAR.peer));
                linked.expect_event(Event::LinkAttached(sender));
                linked.engine_sender().attach(LinkConfig::sender("", "there")).unwrap();
                let named = expect!(linked, Attach { unsettled: Some(map), .. } => map);
                assert_eq!(named, map(&[(1, None)]));
                // Its old delivery-id means nothing any more.
                linked.send(settled(Role::Receiver, 0, Accepted).on(NEAR.peer));
                linked.no_event();
                let mut end = linked.engine_sender();
                assert_eq!(end.settle(sent, None), Err(Misuse::Gone));
                assert_eq!(end.unresolved(), [(t(1), Resumption::Settle(Accepted))]);
            } else {
                linked.engine_sender().attach(LinkConfig::sender("", "there")).unwrap();
                expect!(linked, Attach { unsettled: None, .. });
                linked.send(again.on(NEAR.peer));
                linked.expect_event(Event::LinkAttached(sender));
                linked.send(settled(Role::Receiver, 0, Accepted).on(NEAR.peer));
                linked.expect_event(Event::Updated(sent));
                assert_eq!(linked.engine_sender().unresolved(), []);
                assert_eq!(linked.engine_sender().settle(sent, None), Ok(Some(Accepted)));
            }
            linked.session_is_fine();
        }
    });
}

//= 3.4.6-11 3.4.6-18
#[test]
fn what_a_terminus_state_names() {
    each_way(|way| {
        let second = |link| LinkConfig { rcv_settle_mode: ReceiverSettleMode::Second, ..link };
        let mut linked = Linked::with(way.opened(), SessionConfig::default(), second);
        linked.grant(10);
        linked.credit(10);
        for name in 0..5 {
            linked.engine_sender().send(t(name), false, "message").unwrap();
            expect!(linked, Transfer { .. });
        }
        linked.send(settled(Role::Receiver, 1, Accepted).on(NEAR.peer));
        let told = |number, state| Disposition { state: Some(state), ..disposition(Role::Receiver, number) };
        linked.send(told(2, Released).on(NEAR.peer));
        linked.send(told(3, received(0, 3).unwrap()).on(NEAR.peer));
        linked.send(Disposition { settled: true, ..disposition(Role::Receiver, 4) }.on(NEAR.peer));
        linked.events();
        let state = linked.engine_sender().terminus_state().unwrap();
        let named = unsettled(&[(0, None), (1, Some(Accepted)), (2, Some(Released)), (3, None)]);
        assert_eq!((state.role, state.config.unsettled), (Role::Sender, Some(named)));
        assert_eq!(state.config.name, "out 0");

        for number in 0..6 {
            linked.send(first(NEAR.peer_sender, number).on(NEAR.peer).with("message"));
        }
        let mut ids = Vec::new();
        while let Some(Event::Delivery(id)) = linked.event() {
            ids.push(id);
        }
        let mut receiver = linked.engine_receiver();
        // 0 is not looked at, 1 taken only.
        for id in &ids[1..] {
            receiver.take(*id).unwrap();
        }
        receiver.accept(ids[2]).unwrap();
        receiver.release(ids[3]).unwrap();
        receiver.update(ids[4], received(1, 0).unwrap()).unwrap();
        receiver.accept(ids[5]).unwrap();
        linked.send(settled(Role::Sender, 5, Accepted).on(NEAR.peer));
        linked.events();
        while linked.next_item().is_some() {}
        let state = linked.engine_receiver().terminus_state().unwrap();
        let named = unsettled(&[(2, Some(Accepted)), (3, Some(Released)), (4, received(1, 0))]);
        assert_eq!((state.role, state.config.unsettled), (Role::Receiver, Some(named)));
        assert_eq!(state.config.rcv_settle_mode, ReceiverSettleMode::Second);
    });
}
