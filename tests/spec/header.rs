//! H: the protocol header (§2.2).

use amqp1_engine::HandshakeError;
use amqp1_tests::prelude::*;

const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn handshake(reason: &DisconnectReason, expected: impl Fn(&HandshakeError) -> bool) -> bool {
    matches!(reason, DisconnectReason::Handshake(error) if expected(error))
}

//= 2.2-12
#[test]
fn h1_first_bytes_of_another_protocol() {
    each_way(|way| {
        for bytes in [TLS_HELLO, HTTP, b"\0\0\0\x08\x02\0\0\0", b"amqp\0\x01\0\0", &[0xff; 64]] {
            let mut peer = way.peer(way.config());
            peer.engine().open();
            if way.side == Side::Client {
                // A client has said its header before, and its open behind it.
                peer.expect_header();
                expect!(peer, Open { .. });
                peer.silent();
            }
            peer.send_raw(bytes);
            if way.side == Side::Server {
                peer.expect_header();
            }
            peer.drops_for(|reason| {
                handshake(reason, |error| matches!(error, HandshakeError::NotAmqp { .. }))
            });
        }
    });
}

//= 2.2-04 2.2-09 2.2-10 2.2-11
#[test]
fn h2_another_version() {
    each_way(|way| {
        for version in [[0, 9, 1], [1, 0, 1], [1, 1, 0], [2, 0, 0], [0, 0, 0], [255, 255, 255]] {
            let mut peer = way.peer(way.config());
            if way.side == Side::Client {
                peer.expect_header();
            }
            peer.send_raw([b'A', b'M', b'Q', b'P', 0, version[0], version[1], version[2]]);
            if way.side == Side::Server {
                peer.expect_header();
            }
            peer.drops_for(|reason| {
                handshake(reason, |error| matches!(error, HandshakeError::Version { .. }))
            });
        }
    });
}

//= 2.2-04 2.2-13
#[test]
fn h3_another_protocol_id() {
    each_way(|way| {
        for id in [1, 2, 3, 4, 255] {
            let mut peer = way.peer(way.config());
            if way.side == Side::Client {
                peer.expect_header();
            }
            peer.send_header_of(id);
            if way.side == Side::Server {
                peer.expect_header();
            }
            let expected = HandshakeError::Protocol { expected: 0, received: id };
            peer.drops_for(|reason| handshake(reason, |error| *error == expected));
        }
    });
}

//= 2.2-08 2.4.2-05
#[test]
fn h4_a_header_glued_to_the_frames_that_follow() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.engine().open();
        let mut bytes = b"AMQP\x00\x01\x00\x00".to_vec();
        for frame in [open("peer").into(), begin(0, 1, 1).on(9), Close::default().into()] {
            bytes.extend(frame.encode());
        }
        peer.send_raw(bytes);
        let events = peer.events();
        assert!(
            matches!(
                events.as_slice(),
                [Event::Opened, Event::SessionBegun(_), Event::Closed { error: None }]
            ),
            "{events:?}"
        );
        peer.expect_header();
        expect!(peer, Open { .. });
        peer.silent();
    });
}

#[test]
fn h5_part_of_a_header_then_silence() {
    each_way(|way| {
        for len in 0..8 {
            let mut peer = way.peer(way.config());
            if way.side == Side::Client {
                peer.expect_header();
            }
            peer.send_raw(&b"AMQP\x00\x01\x00\x00"[..len]);
            peer.advance(Duration::from_millis(9_999));
            peer.no_event();
            peer.silent();
            peer.advance(Duration::from_millis(1));
            peer.drops_for(|reason| *reason == DisconnectReason::HandshakeTimeout);
        }
    });
}

#[test]
fn h5_a_header_then_silence() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.expect_header();
        peer.advance(Duration::from_secs(10));
        peer.drops_for(|reason| *reason == DisconnectReason::HandshakeTimeout);
    });
}

#[test]
fn h5_part_of_a_header_then_the_end_of_the_stream() {
    each_way(|way| {
        for len in 0..8 {
            let mut peer = way.peer(way.config());
            if way.side == Side::Client {
                peer.expect_header();
            }
            peer.send_raw(&b"AMQP\x00\x01\x00\x00"[..len]);
            peer.shut();
            peer.drops_for(|reason| *reason == DisconnectReason::Aborted);
        }
    });
}

//= 2.2-03
#[test]
fn h6_a_second_header_after_the_open_closes() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send_header();
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}
