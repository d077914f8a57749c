//! Attach, detach, attach again, steal (§2.6.1 to §2.6.6).

use amqp1_tests::prelude::*;

fn grant(pair: &mut Pair, sender: LinkId, receiver: LinkId, credit: u32) {
    pair.server.receiver(receiver).unwrap().set_credit(credit);
    pair.run();
    pair.client.expect_event(Event::LinkFlow(sender));
    pair.client.expect_event(Event::Sendable(sender));
}

fn detached(link: LinkId, closed: bool) -> Event {
    Event::LinkDetached { link, closed, error: None }
}

//= 2.6.3-07 2.6.7-17
#[test]
fn what_one_side_asks_for_reaches_the_other() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let capability = |name: &'static str| Symbols::from([Symbol::from_static(name)]);
        let asked = LinkConfig {
            snd_settle_mode: SenderSettleMode::Unsettled,
            rcv_settle_mode: ReceiverSettleMode::Second,
            max_message_size: Some(1_000),
            initial_delivery_count: Serial::new(77),
            offered_capabilities: capability("offered"),
            desired_capabilities: capability("desired"),
            properties: Some(Fields::new().with(Symbol::from_static("key"), "value")),
            ..LinkConfig::sender("link", "queue")
        };
        let answered = LinkConfig { max_message_size: Some(500), ..LinkConfig::receiver("ignored", "queue") };
        let (sender, receiver) = pair.link_with(session, asked.clone(), answered);
        let mut end = pair.server.receiver(receiver).unwrap();
        assert_eq!(end.name(), "link");
        assert_eq!(end.state(), LinkState::Attached);
        let remote = end.remote_attach().unwrap();
        assert_eq!(remote.role, Role::Sender);
        assert_eq!(remote.target, asked.target);
        assert_eq!(remote.source, asked.source);
        assert_eq!(remote.max_message_size, Some(1_000));
        assert_eq!(remote.initial_delivery_count, Some(Serial::new(77)));
        assert_eq!(remote.offered_capabilities, asked.offered_capabilities);
        assert_eq!(remote.desired_capabilities, asked.desired_capabilities);
        assert_eq!(remote.properties, asked.properties);
        end.set_credit(1);
        let end = pair.client.sender(sender).unwrap();
        assert_eq!(end.remote_attach().unwrap().name, "link");
        assert_eq!(end.remote_attach().unwrap().max_message_size, Some(500));
        // Each end has the say over its own mode: the receiver answered first.
        assert_eq!(end.rcv_settle_mode(), ReceiverSettleMode::First);
        pair.run();
        pair.client.events();
        pair.finish();
    });
}

//= 2.6.3-15
#[test]
fn w19_a_detached_link_is_attached_again_and_goes_on() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        for round in 0..3_u8 {
            grant(&mut pair, sender, receiver, 5);
            pair.client.sender(sender).unwrap().send(tag([round]), true, "x").unwrap();
            pair.run();
            let Some(Event::Delivery(id)) = pair.server.event() else { panic!("nothing arrived") };
            pair.server.receiver(receiver).unwrap().take(id).unwrap();

            pair.client.sender(sender).unwrap().detach().unwrap();
            pair.run();
            pair.server.expect_event(detached(receiver, false));
            pair.server.receiver(receiver).unwrap().detach().unwrap();
            pair.run();
            pair.client.expect_event(detached(sender, false));
            pair.client.no_event();
            assert_eq!(pair.client.sender(sender).unwrap().state(), LinkState::Detached);
            assert_eq!(
                pair.client.sender(sender).unwrap().send(tag(b"x"), true, "x"),
                Err(SendError::Misuse(Misuse::LinkNotOpen))
            );

            pair.client.sender(sender).unwrap().attach(LinkConfig::sender("", "there")).unwrap();
            pair.run();
            pair.server.expect_event(Event::LinkAttached(receiver));
            pair.server.receiver(receiver).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
            pair.run();
            pair.client.expect_event(Event::LinkAttached(sender));
            assert_eq!(
                pair.client.sender(sender).unwrap().credit(),
                0,
                "credit does not outlive the attachment"
            );
        }
        pair.finish();
    });
}

#[test]
fn w19_a_detached_link_is_attached_again_on_another_session() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (first, _) = pair.session();
        let (sender, receiver) = pair.link(first, "link");
        pair.client.sender(sender).unwrap().detach().unwrap();
        pair.run();
        pair.server.expect_event(detached(receiver, false));
        pair.server.receiver(receiver).unwrap().detach().unwrap();
        pair.run();
        pair.client.expect_event(detached(sender, false));
        pair.client.no_event();
        // The client drops what it kept, and names the link anew.
        pair.client.sender(sender).unwrap().close(None).unwrap();
        let (second, _) = pair.session();
        let mut endpoint = pair.client.session(second).unwrap();
        let again = endpoint.attach_sender(LinkConfig::sender("link", "there")).unwrap();
        pair.run();
        let Some(Event::LinkAttached(theirs)) = pair.server.event() else { panic!("no link") };
        assert_ne!(theirs, receiver);
        assert_eq!(pair.server.receiver(receiver).err(), Some(Misuse::Gone), "the old place is given up");
        pair.server.receiver(theirs).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        pair.run();
        pair.client.expect_event(Event::LinkAttached(again));
        grant(&mut pair, again, theirs, 1);
        pair.finish();
    });
}

//= 2.6.1-02 2.6.6-01
#[test]
fn w19_a_name_is_free_as_soon_as_its_link_is_closed_by_both() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        let again = || LinkConfig::sender("link", "there");
        assert_eq!(pair.client.session(session).unwrap().attach_sender(again()), Err(Misuse::NameInUse));
        pair.client.sender(sender).unwrap().close(None).unwrap();
        assert_eq!(pair.client.session(session).unwrap().attach_sender(again()), Err(Misuse::NameInUse));
        pair.run();
        pair.server.expect_event(detached(receiver, true));
        pair.server.receiver(receiver).unwrap().close(None).unwrap();
        pair.run();
        pair.client.expect_event(detached(sender, true));
        // In the very moment in which its end is told.
        let fresh = pair.client.session(session).unwrap().attach_sender(again()).unwrap();
        assert_ne!(fresh, sender);
        pair.run();
        let Some(Event::LinkAttached(theirs)) = pair.server.event() else { panic!("no link") };
        pair.server.receiver(theirs).unwrap().attach(LinkConfig::receiver("", "here")).unwrap();
        pair.run();
        pair.client.expect_event(Event::LinkAttached(fresh));
        grant(&mut pair, fresh, theirs, 1);
        pair.finish();
    });
}

//= 2.6.1-02
#[test]
fn a_name_is_free_once_the_peer_has_ended_its_session_and_this_side_is_about_to() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, theirs) = pair.session();
        let (sender, _) = pair.link(session, "link");
        let again = || LinkConfig::sender("link", "there");
        let other = pair.client.begin(SessionConfig::default()).unwrap();
        pair.server.session(theirs).unwrap().end(None).unwrap();
        pair.run();
        pair.server.events();
        pair.client.events();
        assert_eq!(pair.client.session(other).unwrap().attach_sender(again()), Err(Misuse::NameInUse));
        pair.client.session(session).unwrap().end(None).unwrap();
        let fresh = pair.client.session(other).unwrap().attach_sender(again()).unwrap();
        assert_ne!(fresh, sender);
        pair.run();
        assert!(pair.client.sender(sender).is_err());
        assert!(pair.client.sender(fresh).is_ok());
    });
}

//= 2.6.1-02
#[test]
fn one_name_serves_a_link_of_either_direction() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (out, _) = pair.link(session, "same");
        let (back, _) = pair.link_back(session, "same");
        assert_eq!(pair.client.role(out), Ok(Role::Sender));
        assert_eq!(pair.client.role(back), Ok(Role::Receiver));
        pair.finish();
    });
}

#[test]
fn both_attach_the_same_link_at_once() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (ours, theirs) = pair.session();
        let sender =
            pair.client.session(ours).unwrap().attach_sender(LinkConfig::sender("link", "a")).unwrap();
        let config = LinkConfig::receiver("link", "b");
        let receiver = pair.server.session(theirs).unwrap().attach_receiver(config).unwrap();
        pair.server.receiver(receiver).unwrap().set_credit(3);
        pair.run();
        pair.client.expect_event(Event::LinkAttached(sender));
        pair.server.expect_event(Event::LinkAttached(receiver));
        pair.client.expect_event(Event::LinkFlow(sender));
        pair.client.expect_event(Event::Sendable(sender));
        assert_eq!(pair.client.sender(sender).unwrap().credit(), 3);
        pair.finish();
    });
}

//= 2.6.1-06
#[test]
fn w19_stealing_a_link_leaves_the_thief_with_it() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(5);
        linked.send(first(NEAR.peer_sender, 0).on(NEAR.peer).with("unsettled"));
        let (id, _) = linked.delivery();
        linked.send(attach("in 0", 33, Role::Sender).on(NEAR.peer));
        let (events, stolen) = (linked.events(), linked.receiver);
        let [Event::Violated(violation), Event::LinkAttached(thief)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!(*violation.condition(), condition::LINK_STOLEN);
        assert_eq!(violation.scope(), Scope::Link(stolen));
        expect!(linked, Detach { handle: Handle(1), closed: true, error: Some(_) });
        linked.send(Detach { closed: true, ..detach(NEAR.peer_sender) }.on(NEAR.peer));
        linked.expect_event(detached(stolen, true));
        linked.no_event();
        assert_eq!(linked.engine_session().unsettled(Role::Receiver), 0);
        let mut receiver = linked.engine().receiver(*thief).unwrap();
        receiver.attach(LinkConfig::receiver("", "here")).unwrap();
        receiver.set_credit(1);
        expect!(linked, Attach { handle: Handle(at), .. } if at == 1 || at == 2);
        expect!(linked, Flow { link_credit: Some(1), .. });
        linked.send(Transfer { delivery_tag: Some(tag(b"t")), ..first(33, 1) }.on(NEAR.peer).with("new"));
        let (new, payload) = linked.delivery();
        assert_eq!((new.link(), &payload[..]), (*thief, &b"new"[..]));
        assert_ne!(new.link(), id.link());
        linked.session_is_fine();
    });
}

#[test]
fn k8_a_plain_detach_that_crosses_a_closing_one_ends_closed_on_both_sides() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        pair.client.sender(sender).unwrap().detach().unwrap();
        pair.server.receiver(receiver).unwrap().close(None).unwrap();
        pair.run();
        pair.client.expect_event(detached(sender, true));
        // The server sees the plain detach, the attach that follows it, and its close.
        let events = pair.server.events();
        assert!(events.contains(&detached(receiver, false)), "{events:?}");
        if let Some(Event::LinkAttached(link)) =
            events.iter().find(|event| matches!(event, Event::LinkAttached(_)))
        {
            let _ = pair.server.receiver(*link).unwrap().close(None);
        }
        pair.run();
        pair.client.events();
        pair.server.events();
        pair.run();
        assert_eq!(pair.client.sender(sender).err(), Some(Misuse::Gone));
        assert_eq!(pair.server.receiver(receiver).err(), Some(Misuse::Gone));
        assert_eq!(pair.client.links(session).count(), 0);
        pair.finish();
    });
}

#[test]
fn deliveries_left_unsettled_go_with_their_link() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, theirs) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        grant(&mut pair, sender, receiver, 10);
        let ids: Vec<_> = (0..5_u8)
            .map(|n| pair.client.sender(sender).unwrap().send(tag([n]), false, vec![n; 2_000]).unwrap())
            .collect();
        pair.run();
        pair.server.events();
        pair.client.sender(sender).unwrap().close(None).unwrap();
        pair.run();
        pair.server.expect_event(detached(receiver, true));
        pair.server.receiver(receiver).unwrap().close(None).unwrap();
        pair.run();
        pair.client.expect_event(detached(sender, true));
        // While the event is at hand the deliveries can still be read.
        let end = pair.client.sender(sender).unwrap();
        assert!(ids.iter().all(|id| end.delivery(*id).is_ok()));
        pair.client.no_event();
        pair.server.no_event();
        assert_eq!(pair.client.session(session).unwrap().unsettled(Role::Sender), 0);
        assert_eq!(pair.server.session(theirs).unwrap().unsettled(Role::Receiver), 0);
        pair.finish();
    });
}

#[test]
fn l2_calls_on_a_link_that_is_closed_are_refused() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        grant(&mut pair, sender, receiver, 10);
        pair.client.sender(sender).unwrap().close(None).unwrap();
        let not_open = Misuse::LinkNotOpen;
        let mut end = pair.client.sender(sender).unwrap();
        assert_eq!(end.close(None), Err(not_open));
        assert_eq!(end.detach(), Err(not_open));
        assert_eq!(end.send(tag(b"x"), true, "x"), Err(SendError::Misuse(not_open)));
        assert_eq!(end.write("x"), Err(SendError::Misuse(not_open)));
        assert_eq!(end.blocked(), Some(Blocked::Attach));
        pair.run();
        pair.server.expect_event(detached(receiver, true));
        pair.server.receiver(receiver).unwrap().close(None).unwrap();
        pair.run();
        pair.client.expect_event(detached(sender, true));
        pair.finish();
        assert_eq!(pair.client.sender(sender).err(), Some(Misuse::Gone));
    });
}

#[test]
fn a_message_handed_over_before_the_close_still_arrives() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, _) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        grant(&mut pair, sender, receiver, 10);
        pair.client.sender(sender).unwrap().send(tag(b"last"), true, "last words").unwrap();
        pair.client.sender(sender).unwrap().close(None).unwrap();
        pair.client.session(session).unwrap().end(None).unwrap();
        pair.client.close(None);
        pair.run();
        let Some(Event::Delivery(id)) = pair.server.event() else { panic!("nothing arrived") };
        assert_eq!(pair.server.receiver(receiver).unwrap().take(id).unwrap().into_bytes(), "last words");
        pair.server.expect_event(detached(receiver, true));
        assert!(matches!(pair.server.event(), Some(Event::SessionEnded { .. })));
        pair.server.expect_event(Event::Closed { error: None });
    });
}
