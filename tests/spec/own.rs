//! L: what the user does that the peer does not allow, or too late.

use amqp1_tests::prelude::*;

#[test]
fn l1_a_message_above_the_peers_max_message_size_is_refused_before_any_byte() {
    each_way(|way| {
        let mut linked = way.linked();
        let config = LinkConfig::sender("small", "there");
        let link = linked.engine_session().attach_sender(config).unwrap();
        expect!(linked, Attach { .. });
        let answer = Attach { max_message_size: Some(10), ..attach("small", 20, Role::Receiver) };
        linked.send(answer.on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(link));
        let flow = Flow { handle: Some(Handle(20)), ..linked.link_flow(0, 10) };
        linked.send(flow.on(NEAR.peer));
        linked.events();
        let mut sender = linked.engine().sender(link).unwrap();
        let too_large = Err(SendError::TooLarge { max_message_size: 10 });
        assert_eq!(sender.send(tag(b"a"), true, vec![0; 11]), too_large);
        assert_eq!(sender.start(tag(b"a"), true, 0, vec![0; 11]), too_large);
        linked.silent();
        linked.engine().sender(link).unwrap().send(tag(b"a"), true, vec![0; 10]).unwrap();
        expect!(linked, Transfer { .. });
        linked.session_is_fine();
    });
}

#[test]
fn l1_a_max_message_size_of_zero_is_no_limit() {
    each_way(|way| {
        let mut linked = way.linked();
        let config = LinkConfig::sender("any size", "there");
        let link = linked.engine_session().attach_sender(config).unwrap();
        expect!(linked, Attach { .. });
        let answer = Attach { max_message_size: Some(0), ..attach("any size", 20, Role::Receiver) };
        linked.send(answer.on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(link));
        let flow = Flow { handle: Some(Handle(20)), ..linked.link_flow(0, 10) };
        linked.send(flow.on(NEAR.peer));
        linked.events();
        linked.engine().sender(link).unwrap().send(tag(b"a"), true, vec![0; 100]).unwrap();
        expect!(linked, Transfer { .. });
        linked.session_is_fine();
    });
}

#[test]
fn l1_what_does_not_fit_the_peers_frames_is_refused_before_any_byte() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { max_frame_size: 512, ..open("peer") });
        let mut linked = Linked::new(peer);
        let long = "long".repeat(200);
        let attached = linked.engine_session().attach_receiver(LinkConfig::receiver(long.as_str(), "there"));
        assert_eq!(attached, Err(Misuse::FrameTooLarge));
        linked.credit(1);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        let (id, _) = linked.delivery();
        let error =
            Error { description: Some(long.as_str().into()), ..Error::new(condition::INTERNAL_ERROR) };
        assert_eq!(linked.engine_receiver().reject(id, Some(error.clone())), Err(Misuse::FrameTooLarge));
        linked.silent();
        // An ending goes without its words rather than not at all.
        linked.engine_receiver().close(Some(error)).unwrap();
        expect!(linked, Detach { error: Some(Error { description: None, .. }), .. });
        linked.session_is_fine();
    });
}

#[test]
fn l1_no_more_channels_and_handles_than_the_peer_allows() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.open_with(Open { channel_max: 0, ..open("peer") });
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        assert_eq!(peer.engine().begin(SessionConfig::default()), Err(Misuse::TooManySessions));
        expect!(peer, Begin { .. });
        peer.send(Begin { remote_channel: Some(0), handle_max: 0, ..begin(0, 1, 1) });
        peer.expect_event(Event::SessionBegun(session));
        let mut endpoint = peer.engine().session(session).unwrap();
        endpoint.attach_sender(LinkConfig::sender("first", "there")).unwrap();
        let more = endpoint.attach_sender(LinkConfig::sender("second", "there"));
        assert_eq!(more, Err(Misuse::TooManyLinks));
        expect!(peer, Attach { handle: Handle(0), .. });
        peer.silent();
    });
}

#[test]
fn l1_sessions_begun_before_the_peer_tells_how_many_it_takes() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        let [first, second, third] = [(); 3].map(|()| peer.engine().begin(SessionConfig::default()).unwrap());
        let link = LinkConfig::sender("link", "there");
        let link = peer.engine().session(third).unwrap().attach_sender(link).unwrap();
        peer.engine().open();
        if way.side == Side::Server {
            peer.send_header();
        }
        peer.expect_header();
        expect!(peer, Open { .. });
        // A first session is what every peer takes.
        assert_eq!(peer.expect_frame("Begin").channel, 0);
        peer.silent();
        if way.side == Side::Client {
            peer.send_header();
        }
        peer.send(Open { channel_max: 1, ..open("peer") });
        peer.expect_event(Event::Opened);
        assert_eq!(peer.expect_frame("Begin").channel, 1);
        peer.silent();
        let Some(Event::SessionEnded { session, error: Some(error) }) = peer.event() else {
            panic!("not told")
        };
        assert_eq!((session, error.condition), (third, condition::RESOURCE_LIMIT_EXCEEDED));
        peer.no_event();
        assert_eq!(peer.engine().session(third).err(), Some(Misuse::Gone));
        assert_eq!(peer.engine().role(link), Err(Misuse::Gone));
        assert!(peer.engine().session(first).is_ok() && peer.engine().session(second).is_ok());
        assert_eq!(peer.engine().begin(SessionConfig::default()), Err(Misuse::TooManySessions));
        peer.silent();
    });
}

#[test]
fn l2_what_is_settled_taken_or_finished_is_not_so_twice() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(10);
        linked.grant(10);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("x"));
        let (id, _) = linked.delivery();
        let mut receiver = linked.engine_receiver();
        assert!(receiver.take(id).is_ok_and(|payload| payload.is_empty()), "it was taken before");
        receiver.accept(id).unwrap();
        for again in
            [receiver.accept(id), receiver.release(id), receiver.settle(id), receiver.reject(id, None)]
        {
            assert!(matches!(again, Err(Misuse::Gone | Misuse::Settled)), "{again:?}");
        }
        assert_eq!(receiver.take(id).err(), Some(Misuse::Gone));
        linked.expect(settled(Role::Receiver, 0, DeliveryState::Accepted));

        let mut sender = linked.engine_sender();
        let sent = sender.send(tag(b"a"), false, "x").unwrap();
        sender.settle(sent, Some(DeliveryState::Accepted)).unwrap();
        assert_eq!(sender.settle(sent, None), Err(Misuse::Gone));
        assert_eq!(sender.finish(), Err(SendError::Misuse(Misuse::NothingStarted)));
        assert_eq!(sender.abort(), Err(Misuse::NothingStarted));
        expect!(linked, Transfer { .. });
        expect!(linked, Disposition { role: Role::Sender, settled: true, .. });
        linked.session_is_fine();
    });
}

#[test]
fn l2_calls_on_what_was_ended_or_closed_are_refused_and_say_nothing() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.grant(10);
        linked.engine_session().end(None).unwrap();
        linked.expect(End::default().on(NEAR.engine));
        let mut session = linked.engine_session();
        assert_eq!(session.end(None), Err(Misuse::SessionNotOpen));
        let late = session.attach_sender(LinkConfig::sender("late", "there"));
        assert_eq!(late, Err(Misuse::SessionNotOpen));
        let sender = linked.sender;
        if let Ok(mut sender) = linked.engine().sender(sender) {
            let sent = sender.send(tag(b"late"), true, "x");
            assert!(matches!(sent, Err(SendError::Misuse(_))), "{sent:?}");
            let _ = sender.close(None);
        }
        let receiver = linked.receiver;
        if let Ok(mut receiver) = linked.engine().receiver(receiver) {
            receiver.set_credit(5);
            let _ = receiver.close(None);
        }
        linked.silent();
        linked.send(End::default().on(NEAR.peer));
        let session = linked.session;
        linked.expect_event(Event::SessionEnded { session, error: None });
        linked.no_event();
        for gone in [linked.engine().session(session).err(), linked.engine().sender(sender).err()] {
            assert_eq!(gone, Some(Misuse::Gone));
        }
        linked.far_is_fine();

        linked.engine().close(None);
        linked.expect(Close::default());
        linked.engine().close(Some(Error::new(condition::INTERNAL_ERROR)));
        assert_eq!(linked.engine().begin(SessionConfig::default()), Err(Misuse::ConnectionClosed));
        linked.silent();
    });
}

#[test]
fn l2_nothing_is_written_before_the_header_whatever_the_user_calls() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        let session = peer.engine().begin(SessionConfig::default()).unwrap();
        let mut endpoint = peer.engine().session(session).unwrap();
        let link = endpoint.attach_receiver(LinkConfig::receiver("link", "there")).unwrap();
        peer.engine().receiver(link).unwrap().set_credit(10);
        peer.engine().open();
        peer.engine().close(Some(Error::new(condition::INTERNAL_ERROR)));
        if way.side == Side::Server {
            peer.silent();
            peer.send_header();
        }
        peer.expect_header();
        expect!(peer, Open { .. });
        while let Some(item) = peer.next_item() {
            let Item::Frame(frame) = item else { panic!("{item:?}") };
            let is_close = matches!(frame.performative, Performative::Close(_));
            assert!(is_close || !matches!(frame.performative, Performative::Open(_)));
            if is_close {
                break;
            }
        }
        peer.silent();
    });
}

#[test]
fn l2_credit_granted_before_the_attach_is_answered_is_not_lost() {
    each_way(|way| {
        let mut linked = way.linked();
        let link = linked.engine_session().attach_receiver(LinkConfig::receiver("new", "there")).unwrap();
        linked.engine().receiver(link).unwrap().set_credit(7);
        expect!(linked, Attach { .. });
        let early = linked.next_item();
        linked.send(attach("new", 20, Role::Sender).on(NEAR.peer));
        linked.expect_event(Event::LinkAttached(link));
        let flow = linked.next_item().or(early);
        let Some(Item::Frame(frame)) = flow else { panic!("no flow") };
        let Performative::Flow(flow) = frame.performative else { panic!("{:?}", frame.performative) };
        assert_eq!((flow.handle, flow.link_credit), (Some(Handle(2)), Some(7)));
        linked.send(first(20, 0).on(NEAR.peer).with("x"));
        assert_eq!(linked.delivery().0.link(), link);
    });
}

#[test]
fn l2_what_is_ended_before_it_was_answered_says_nothing_more() {
    each_way(|way| {
        let mut linked = way.linked();
        let link = linked.engine_session().attach_receiver(LinkConfig::receiver("new", "there")).unwrap();
        linked.engine().receiver(link).unwrap().set_credit(7);
        linked.engine().receiver(link).unwrap().close(None).unwrap();
        let session = linked.engine().begin(SessionConfig::default()).unwrap();
        let mut endpoint = linked.engine().session(session).unwrap();
        endpoint.attach_sender(LinkConfig::sender("never", "there")).unwrap();
        endpoint.end(None).unwrap();
        let mut frames = Vec::new();
        while let Some(Item::Frame(frame)) = linked.next_item() {
            frames.push((frame.channel, frame.performative));
        }
        for (channel, last) in [(NEAR.engine, "Detach"), (2, "End")] {
            let words = frames.iter().filter(|(at, _)| *at == channel).map(|(_, frame)| format!("{frame:?}"));
            let words: Vec<_> = words.collect();
            assert!(words.last().is_some_and(|word| word.starts_with(last)), "{words:?}");
            assert_eq!(words.iter().filter(|word| word.starts_with(last)).count(), 1, "{words:?}");
        }
        linked.finish();
        linked.far_is_fine();
    });
}

#[test]
fn l2_no_transfer_follows_the_end_or_detach_of_what_it_belongs_to() {
    each_way(|way| {
        for ends in [false, true] {
            let mut linked = way.linked();
            linked.grant(10);
            // Larger than the peer's window, it is under way when the link goes.
            let flow = Flow { incoming_window: 1, ..linked.link_flow(0, 10) };
            linked.send(flow.on(NEAR.peer));
            linked.events();
            linked.engine_sender().start(tag(b"a"), true, 0, vec![1; 300_000]).unwrap();
            if ends {
                linked.engine_session().end(Some(Error::new(condition::INTERNAL_ERROR))).unwrap();
            } else {
                linked.engine_sender().close(Some(Error::new(condition::INTERNAL_ERROR))).unwrap();
            }
            let mut is_over = false;
            let mut look = |linked: &mut Linked| {
                while let Some(Item::Frame(frame)) = linked.next_item() {
                    let transfer = matches!(frame.performative, Performative::Transfer(_));
                    assert!(!(is_over && transfer), "{frame:?} behind the end");
                    is_over |= matches!(frame.performative, Performative::End(_) | Performative::Detach(_));
                }
            };
            look(&mut linked);
            let flow = linked.flow();
            linked.send(flow.on(NEAR.peer));
            look(&mut linked);
            assert!(is_over);
        }
    });
}
