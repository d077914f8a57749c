//! A4: clocks and drivers that are not as they should be.

use amqp1_tests::prelude::*;
use bytes::Buf;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// An engine a day after it started, whose own idle time-out is a minute, with a peer whose is ten seconds.
fn timed(way: &Way) -> Peer<Memory> {
    let mut peer = way.peer(Config { idle_time_out: Some(Duration::from_secs(60)), ..way.config() });
    peer.open_with(Open { idle_time_out: Some(10_000), ..open("peer") });
    for _ in 0..24 * 60 * 2 {
        peer.advance(Duration::from_secs(30));
        peer.send_raw(frame_of(0, &[]));
        while peer.next_item().is_some() {}
    }
    peer.no_event();
    assert_eq!(peer.now(), Instant::from_millis(DAY));
    peer
}

#[test]
fn a4_a_clock_that_goes_back_an_hour_times_nobody_out_and_says_nothing_twice() {
    let mut peer = timed(&Way::new(Side::Server, Chunks::Whole));
    let back = Instant::from_millis(DAY - HOUR);
    peer.engine().handle_timeout(back);
    assert!(peer.engine().poll_transmit(back).is_none());
    let mut input = BytesMut::from(&frame_of(0, &[])[..]);
    peer.engine().handle_input(&mut input, back);
    peer.engine().handle_timeout(back);
    assert!(peer.engine().poll_transmit(back).is_none());
    peer.no_event();
    assert!(peer.engine().poll_timeout().unwrap().0 > back);
}

#[test]
fn a4_a_clock_that_jumps_an_hour_times_nobody_out_whose_bytes_are_there() {
    let mut peer = timed(&Way::new(Side::Server, Chunks::Whole));
    let jump = Instant::from_millis(DAY + HOUR);
    let mut input = BytesMut::from(&frame_of(0, &[])[..]);
    peer.engine().handle_input(&mut input, jump);
    peer.engine().handle_timeout(jump);
    peer.no_event();
    let sent = peer.engine().poll_transmit(jump).map(|transmit| transmit.chunk().len());
    assert_eq!(sent, Some(8), "one sign of life");
}

#[test]
fn a4_wake_ups_and_polls_without_need_change_nothing() {
    each_way(|way| {
        let mut linked = Linked::new(timed(way));
        linked.grant(10);
        linked.credit(10);
        let (now, deadline) = (linked.now(), linked.engine().poll_timeout());
        for _ in 0..1_000 {
            linked.engine().handle_timeout(now);
            linked.engine().handle_input(&mut BytesMut::new(), now);
            assert!(linked.engine().poll_transmit(now).is_none());
            assert_eq!(linked.engine().poll_timeout(), deadline);
        }
        linked.session_is_fine();
        linked.far_is_fine();
    });
}
