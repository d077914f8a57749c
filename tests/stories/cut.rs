//! The connection is cut (§2.6.13 is for later: here what is left when it happens).

use amqp1_tests::prelude::*;

/// Five deliveries, of which two are accepted, over a connection that is cut after so many bytes of the client. Gives
/// how many the client has no outcome of, how many its engine calls in doubt, and how many the server has taken.
fn cut_after(net: Net, bytes: usize) -> (usize, usize, usize) {
    let mut pair = Pair::opened(net);
    let (session, _) = pair.session();
    let (sender, receiver) = pair.link(session, "link");
    pair.server.receiver(receiver).unwrap().set_credit(10);
    pair.run();
    pair.client.events();
    pair.client.cut_after(bytes);
    let mut sent = 0;
    for n in 0..5_u8 {
        // Refused once the cut is known.
        if pair.client.sender(sender).unwrap().send(tag([n]), false, vec![n; 50]).is_ok() {
            sent += 1;
        }
    }
    let mut taken = 0;
    loop {
        pair.run();
        let mut moved = false;
        while let Some(event) = pair.server.event() {
            if let Event::Delivery(id) = event {
                let mut end = pair.server.receiver(receiver).unwrap();
                let bytes = end.take(id).unwrap().into_bytes();
                assert_eq!(bytes, vec![bytes[0]; 50], "nothing in part reaches the user");
                if taken < 2 {
                    end.accept(id).unwrap();
                }
                taken += 1;
                moved = true;
            }
        }
        while let Some(event) = pair.client.event() {
            if let Event::Updated(id) = event {
                let told = pair.client.sender(sender).unwrap().settle(id, None).unwrap();
                assert_eq!(told, Some(DeliveryState::Accepted));
                sent -= 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let in_doubt = pair.client.in_doubt().count();
    (sent, in_doubt, taken)
}

#[test]
fn c10_every_delivery_without_an_outcome_is_in_doubt_wherever_the_connection_is_cut() {
    for net in [Net::Whole, Net::Bytes, Net::Rough(3)] {
        let mut outcomes = std::collections::BTreeSet::new();
        for bytes in 1..500 {
            let (open, in_doubt, taken) = cut_after(net, bytes);
            assert_eq!(in_doubt, open, "cut after {bytes} bytes over {net:?}");
            assert!(in_doubt + taken >= 5, "what has not arrived is in doubt");
            outcomes.insert((in_doubt, taken));
        }
        assert!(outcomes.contains(&(5, 0)), "cut before the first: {outcomes:?}");
        assert!(outcomes.contains(&(3, 5)), "not cut at all: {outcomes:?}");
    }
}

#[test]
fn c10_both_users_are_told_of_the_loss_and_nothing_can_be_sent() {
    each_net(|net| {
        let mut pair = Pair::opened(net);
        let (session, theirs) = pair.session();
        let (sender, receiver) = pair.link(session, "link");
        pair.server.receiver(receiver).unwrap().set_credit(10);
        pair.run();
        pair.client.events();
        pair.client.cut_after(0);
        pair.run();
        let aborted = Event::Disconnected(DisconnectReason::Aborted);
        for end in [&mut pair.client, &mut pair.server] {
            end.expect_event(aborted.clone());
            end.no_event();
        }
        assert_eq!(pair.client.state(), ConnectionState::End);
        let closed = Misuse::ConnectionClosed;
        assert_eq!(
            pair.client.sender(sender).unwrap().send(tag(b"x"), true, "x"),
            Err(SendError::Misuse(closed))
        );
        let mut endpoint = pair.client.session(session).unwrap();
        assert_eq!(endpoint.attach_sender(LinkConfig::sender("new", "there")), Err(closed));
        assert_eq!(pair.client.begin(SessionConfig::default()), Err(closed));
        // Calls that only give back are allowed, and write nothing.
        let _ = pair.server.receiver(receiver).unwrap().close(None);
        let _ = pair.server.session(theirs).unwrap().end(None);
        pair.server.close(None);
        pair.run();
        assert!(pair.client.is_done() && pair.server.is_done());
        assert_eq!(pair.client.poll_timeout(), None);
        pair.client.no_event();
        pair.server.no_event();
    });
}
