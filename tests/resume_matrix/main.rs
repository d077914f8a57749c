//! Links that are resumed wherever their connection was cut (§2.6.13): after each byte of an exchange of five messages, for
//! each guarantee, from nothing but the bytes that either program has kept.

mod programs;

use std::collections::BTreeSet;

use amqp1_tests::prelude::*;

use programs::{Consumer, Guarantee, MESSAGES, Producer};

/// Where a connection is cut: after so many bytes of the client, which sends the messages, or of the server.
#[derive(Clone, Copy, Debug)]
struct Cut {
    client: bool,
    bytes: usize,
}

/// Lets the two talk over a connection of their own until nothing moves any more: whether it was cut. Either program looks at
/// what has happened whenever some of it has.
fn connect(net: Net, cut: Option<Cut>, producer: &mut Producer, consumer: &mut Consumer) -> bool {
    let frames = |config| Config { max_frame_size: 512, ..config };
    let mut pair = Pair::with(frames(Config::client("client")), frames(Config::server("server")), net);
    if let Some(Cut { client, bytes }) = cut {
        if client { &mut pair.client } else { &mut pair.server }.cut_after(bytes);
    }
    producer.connected(&mut pair.client);
    loop {
        let mut moved = net == Net::Whole && pair.steps(1);
        if net != Net::Whole {
            pair.run();
        }
        while let Some(event) = pair.server.event() {
            consumer.on_event(&mut pair.server, event);
            moved = true;
        }
        while let Some(event) = pair.client.event() {
            producer.on_event(&mut pair.client, event);
            moved = true;
        }
        if !moved {
            break;
        }
    }
    let was_cut = pair.client.state() == ConnectionState::End;
    producer.disconnected(&mut pair.client);
    consumer.disconnected(&mut pair.server);
    was_cut
}

/// What has become of five messages.
#[derive(Debug, Default)]
struct Outcomes {
    cuts: usize,
    /// How many runs lost a message, and how many doubled one.
    lost: usize,
    doubled: usize,
    /// What the sender was told to do with its deliveries.
    seen: BTreeSet<&'static str>,
}

impl Outcomes {
    /// Runs one exchange with these cuts, and then one without. Gives whether the last of the cuts came to pass.
    fn run(&mut self, net: Net, guarantee: Guarantee, keeps_parts: bool, cuts: &[Cut]) -> bool {
        let (mut producer, mut consumer) = (Producer::new(guarantee), Consumer::new(guarantee, keeps_parts));
        let mut was_cut = false;
        for cut in cuts {
            was_cut = connect(net, Some(*cut), &mut producer, &mut consumer);
        }
        assert!(!connect(net, None, &mut producer, &mut consumer), "nobody cuts this one");
        let context = format!("{guarantee:?}, cut {cuts:?}: {:?}", consumer.processed);
        let taken: BTreeSet<_> = consumer.processed.iter().copied().collect();
        let (lost, doubled) = (taken.len() < usize::from(MESSAGES), taken.len() < consumer.processed.len());
        assert_eq!(producer.confirmed.len(), usize::from(MESSAGES), "{context}");
        assert_eq!((producer.unsettled(), consumer.unsettled()), (0, 0), "{context}");
        match guarantee {
            Guarantee::AtMostOnce => assert!(!doubled, "{context}"),
            Guarantee::AtLeastOnce => {
                assert!(!lost, "{context}");
                let most = consumer.processed.len() <= usize::from(MESSAGES) * (cuts.len() + 1);
                assert!(most, "what was confirmed is not sent again: {context}");
            }
            Guarantee::ExactlyOnce => assert!(!lost && !doubled, "{context}"),
        }
        self.cuts += usize::from(was_cut);
        self.lost += usize::from(lost);
        self.doubled += usize::from(doubled);
        self.seen.append(&mut producer.seen);
        was_cut
    }

    /// Cuts after each byte of either side, up to the last.
    fn each_byte(&mut self, guarantee: Guarantee, keeps_parts: bool) {
        for client in [true, false] {
            let cut = |bytes| [Cut { client, bytes }];
            let cuts = (0..).take_while(|&bytes| self.run(Net::Whole, guarantee, keeps_parts, &cut(bytes)));
            let bytes = cuts.count();
            assert!(bytes > 100, "the exchange has more than {bytes} bytes");
        }
    }
}

//= 2.6.12-18
#[test]
fn r5_at_most_once_nothing_is_doubled_wherever_the_connection_is_cut() {
    let mut outcomes = Outcomes::default();
    outcomes.each_byte(Guarantee::AtMostOnce, false);
    assert!(outcomes.lost > 100, "what is on its way is lost: {outcomes:?}");
    assert!(outcomes.seen.is_empty(), "nothing is resumed: {outcomes:?}");
}

//= 2.6.12-20 2.6.13-05
#[test]
fn r5_at_least_once_nothing_is_lost_wherever_the_connection_is_cut() {
    let mut outcomes = Outcomes::default();
    outcomes.each_byte(Guarantee::AtLeastOnce, false);
    assert!(outcomes.doubled > 20, "what was taken and not confirmed comes again: {outcomes:?}");
    assert!(outcomes.seen.contains("resend"), "{outcomes:?}");
}

//= 2.6.12-12 2.6.13-05
#[test]
fn r5_exactly_once_nothing_is_lost_or_doubled_wherever_the_connection_is_cut() {
    let mut outcomes = Outcomes::default();
    outcomes.each_byte(Guarantee::ExactlyOnce, false);
    let expected = BTreeSet::from(["resend", "settle"]);
    assert!(outcomes.seen.is_superset(&expected), "{outcomes:?}");
}

//= 2.6.13-11 3.4.1-01 3.4.6-04
#[test]
fn r5_exactly_once_with_parts_kept_a_message_goes_on_where_it_was_cut() {
    let mut outcomes = Outcomes::default();
    outcomes.each_byte(Guarantee::ExactlyOnce, true);
    let expected = BTreeSet::from(["resend", "resume", "settle"]);
    assert!(outcomes.seen.is_superset(&expected), "{outcomes:?}");
}

#[test]
fn r5_what_is_resumed_may_be_cut_again() {
    for guarantee in Guarantee::ALL {
        let mut outcomes = Outcomes::default();
        for client in [true, false] {
            for first in (200..2_000).step_by(41) {
                for again in [true, false] {
                    for second in (150..2_000).step_by(83) {
                        let cuts = [Cut { client, bytes: first }, Cut { client: again, bytes: second }];
                        if !outcomes.run(Net::Whole, guarantee, true, &cuts) {
                            break;
                        }
                    }
                }
            }
        }
        assert!(outcomes.cuts > 50, "{outcomes:?}");
    }
}

#[test]
fn r5_the_network_makes_no_difference() {
    for net in [Net::Bytes, Net::Rough(1), Net::Rough(2), Net::Rough(3)] {
        for guarantee in Guarantee::ALL {
            let mut outcomes = Outcomes::default();
            for client in [true, false] {
                for bytes in (0..).step_by(17) {
                    if !outcomes.run(net, guarantee, true, &[Cut { client, bytes }]) {
                        break;
                    }
                }
            }
        }
    }
}
