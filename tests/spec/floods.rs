//! What is cheap for a peer to send is cheap to hold. The harness judges the memory of every test; here are the
//! smallest frames of each kind, as many as the limits take, with a user who polls nothing.

use amqp1_tests::prelude::*;

#[test]
fn c4_begins_and_attaches_as_small_and_as_many_as_they_can_be() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.makes_endpoints(256 + 4 * 1_024);
        peer.send_all((0..256).map(|channel| begin(0, 1, 1).on(channel)));
        for channel in 0..4 {
            let link = |handle| Attach::new(format!("{channel} {handle}"), Handle(handle), Role::Receiver);
            peer.send_all((0..1_024).map(|handle| link(handle).on(channel)));
        }
        assert_eq!(peer.events().len(), 256 + 4 * 1_024);
        peer.silent();
    });
}

#[test]
fn a3_deliveries_as_small_and_as_many_as_they_can_be_from_a_sender_that_is_never_settled() {
    each_way(|way| {
        let session = SessionConfig { incoming_window: 20_000, ..SessionConfig::default() };
        let mut linked = Linked::with(way.opened(), session, |link| link);
        linked.credit(20_000);
        linked.send_all((0..10_000).map(|id| first(NEAR.peer_sender, id).on(NEAR.peer)));
        assert_eq!(linked.events().len(), 10_000);
        // Taken, and not settled: the record stays, and one more is one too many.
        linked.send(first(NEAR.peer_sender, 10_000).on(NEAR.peer));
        linked.ends_with(&condition::RESOURCE_LIMIT_EXCEEDED);
    });
}
