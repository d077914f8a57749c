//! F: frames (§2.3).

use amqp1_tests::prelude::*;

/// The body of a begin, for frames that are made by hand.
fn begin_body() -> Vec<u8> {
    let mut body = Vec::new();
    begin(0, 1, 1).encode(&mut body);
    body
}

fn raw_frame(size: u32, doff: u8, kind: u8, channel: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = size.to_be_bytes().to_vec();
    frame.extend([doff, kind]);
    frame.extend(channel.to_be_bytes());
    frame.extend(rest);
    frame
}

//= 2.3.1-02 2.8.16-03
#[test]
fn f1_a_size_below_eight_closes() {
    each_way(|way| {
        for size in 0..8 {
            let mut peer = way.opened();
            peer.send_raw(raw_frame(size, 2, 0, 0, &[]));
            peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
        }
    });
}

//= 2.7.1-06 2.8.16-03
#[test]
fn f2_an_oversized_frame_is_judged_by_its_first_four_bytes() {
    each_way(|way| {
        for size in [1025, 64 * 1024, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff_u32] {
            let mut peer = way.peer(Config { max_frame_size: 1024, ..way.config() });
            peer.open();
            peer.send_raw(size.to_be_bytes());
            peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
        }
    });
}

#[test]
fn f2_a_frame_of_just_our_max_frame_size_is_taken() {
    each_way(|way| {
        let mut peer = way.peer(Config { max_frame_size: 1024, ..way.config() });
        let open = peer.open();
        assert_eq!(open.max_frame_size, 1024);
        let extended = vec![0xee; 1024 - 8 - begin_body().len()];
        // The room is filled by an extended header, whose size is a multiple of four.
        let doff = 2 + extended.len() / 4;
        let padding = &extended[..(doff - 2) * 4];
        let body = [padding, &begin_body()].concat();
        let size = u32::try_from(8 + body.len()).unwrap();
        assert!((1021..=1024).contains(&size));
        peer.send_raw(raw_frame(size, u8::try_from(doff).unwrap(), 0, 0, &body));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
    });
}

//= 2.7.1-07
#[test]
fn f2_a_frame_of_512_bytes_is_taken_whatever_the_configuration() {
    each_way(|way| {
        let mut peer = way.peer(Config { max_frame_size: 0, ..way.config() });
        assert_eq!(peer.open().max_frame_size, 512);
        let padding = vec![0xee; (512 - 8 - begin_body().len()) / 4 * 4];
        let body = [padding.clone(), begin_body()].concat();
        let doff = u8::try_from(2 + padding.len() / 4).unwrap();
        peer.send_raw(raw_frame(8 + body.len() as u32, doff, 0, 0, &body));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
        peer.send_raw(513_u32.to_be_bytes());
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}

//= 2.3.1-03 2.8.16-03
#[test]
fn f3_a_data_offset_outside_the_frame_closes() {
    each_way(|way| {
        for (size, doff) in [(8, 0), (8, 1), (8, 3), (12, 4), (16, 255)] {
            let mut peer = way.opened();
            peer.send_raw(raw_frame(size, doff, 0, 0, &vec![0; size as usize - 8]));
            peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
        }
    });
}

#[test]
fn f4_an_extended_header_is_ignored() {
    each_way(|way| {
        for doff in 3..=255_u8 {
            let mut peer = way.opened();
            let body = [vec![0xee; (usize::from(doff) - 2) * 4], begin_body()].concat();
            let size = u32::try_from(8 + body.len()).unwrap();
            peer.send_raw(raw_frame(size, doff, 0, 7, &body));
            assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
            peer.silent();
        }
    });
}

#[test]
fn f5_a_frame_type_other_than_amqp_closes() {
    each_way(|way| {
        for kind in 1..=255 {
            let mut peer = way.opened();
            peer.send_raw(raw_frame(8 + begin_body().len() as u32, 2, kind, 0, &begin_body()));
            peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
        }
    });
}

//= 2.4.5-07 2.4.5-X1
#[test]
fn f6_empty_frames_are_no_more_than_a_sign_of_life() {
    each_way(|way| {
        let mut peer = way.opened();
        for channel in [0, 1, 255] {
            peer.send_raw(raw_frame(8, 2, 0, channel, &[]));
            peer.send_raw(raw_frame(16, 4, 0, channel, &[0xee; 8]));
        }
        let many = raw_frame(8, 2, 0, 0, &[]).repeat(1_000);
        peer.send_raw(many);
        peer.no_event();
        peer.silent();
    });
}

#[test]
fn f6_a_million_empty_frames_leave_nothing() {
    for chunks in [Chunks::Whole, Chunks::Pieces(6)] {
        let mut peer = Way::new(Side::Server, chunks).opened();
        let block = raw_frame(8, 2, 0, 0, &[]).repeat(1_000);
        peer.send_raw(&block);
        let held = peer.held();
        for _ in 0..1_000 {
            peer.send_raw(&block);
            assert!(peer.held() <= held);
        }
        peer.no_event();
        peer.silent();
    }
}

#[test]
fn f6_an_empty_frame_above_channel_max_closes() {
    each_way(|way| {
        let mut peer = way.opened();
        peer.send_raw(raw_frame(8, 2, 0, 256, &[]));
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}

//= 2.3.2-01 2.8.15-05
#[test]
fn f7_a_body_that_is_no_performative_closes() {
    let bodies: &[&[u8]] = &[
        b"\x40",             // null
        b"\x45",             // a list without a descriptor
        b"\xa1\x05hello",    // a string
        b"\x00\x53\x0f\x45", // unknown descriptors
        b"\x00\x53\x19\x45",
        b"\x00\x53\x00\x45",
        b"\x00\x80\xff\xff\xff\xff\xff\xff\xff\xff\x45",
        b"\x00\xa3\x0eamqp:opal:list\x45",
        b"\x00\x53\x1d\x45",                 // an error, which is no performative
        b"\x00\x53\x24\x45",                 // accepted, which is none either
        b"\x00\x53\x41\xc0\x03\x01\xa3\x00", // a SASL frame's body
        b"\x00\xa1\x0famqp:begin:list\x45",  // a descriptor that is a string
        b"\x00\x45\x45",                     // a list
        b"\x00\x00\x53\x11\x40\x45",         // described itself
        b"\x00",                             // nothing behind it
        b"\x00\x53",
        b"\x00\x53\x11",
        b"\x00\x53\x11\x40", // a begin that is null, a map, a number
        b"\x00\x53\x11\xc1\x01\x00",
        b"\x00\x53\x11\x52\x01",
    ];
    each_way(|way| {
        for body in bodies {
            let mut peer = way.opened();
            peer.send_raw(frame_of(0, body));
            peer.closes_with(&condition::DECODE_ERROR);
        }
    });
}

#[test]
fn f8_a_symbolic_descriptor_is_as_good_as_a_numeric_one() {
    each_way(|way| {
        let mut peer = way.peer(way.config());
        peer.engine().open();
        peer.send_header();
        peer.send_raw(frame_of(0, b"\x00\xa3\x0eamqp:open:list\xc0\x07\x01\xa1\x04peer"));
        peer.expect_event(Event::Opened);
        assert_eq!(peer.engine().remote_open().unwrap().container_id, "peer");
        peer.send_raw(frame_of(3, b"\x00\xa3\x0famqp:begin:list\xc0\x07\x04\x40\x43\x52\x01\x52\x01"));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
        // Also one with a length of four bytes, and a numeric one of eight.
        peer.send_raw(frame_of(3, b"\x00\xb3\0\0\0\x0damqp:end:list\x45"));
        assert!(matches!(peer.event(), Some(Event::SessionEnded { error: None, .. })));
        peer.send_raw(frame_of(0, b"\x00\x80\0\0\0\0\0\0\0\x18\x45"));
        peer.expect_event(Event::Closed { error: None });
    });
}

#[test]
fn f8_every_performative_may_have_a_symbolic_descriptor() {
    let last = Some(Serial::new(5));
    let frames: [(&str, Frame); 7] = [
        ("begin", begin(0, 1, 1).on(9)),
        ("attach", attach("new", 30, Role::Sender).on(NEAR.peer)),
        ("flow", flow(1, NEXT_OUTGOING, 1).on(NEAR.peer)),
        (
            "transfer",
            Transfer { settled: Some(true), ..first(NEAR.peer_sender, 0) }.on(NEAR.peer).with("data"),
        ),
        (
            "disposition",
            Disposition { last, ..settled(Role::Receiver, 0, DeliveryState::Accepted) }.on(NEAR.peer),
        ),
        ("detach", detach(NEAR.peer_receiver).on(NEAR.peer)),
        ("end", End::default().on(NEAR.peer)),
    ];
    each_way(|way| {
        for (name, frame) in &frames {
            let react = |symbolic: bool| {
                let mut linked = way.linked();
                linked.credit(10);
                let mut bytes = frame.encode();
                if symbolic {
                    // 0x53 and a code of one byte become a symbol.
                    let name = format!("amqp:{name}:list");
                    let symbol = [&[0xa3, name.len() as u8], name.as_bytes()].concat();
                    bytes.splice(9..11, symbol);
                    let size = bytes.len() as u32;
                    bytes[..4].copy_from_slice(&size.to_be_bytes());
                }
                linked.send_raw(bytes);
                let events = linked.events();
                assert!(
                    !events.iter().any(|event| matches!(event, Event::Violated(_))),
                    "{name}: {events:?}"
                );
                events
            };
            assert_eq!(react(true), react(false), "{name}");
        }
    });
}

#[test]
fn f9_bytes_after_a_performative_without_payload_close() {
    each_way(|way| {
        for extra in [&b"\x00"[..], b"\x40", b"\x00\x53\x18\x45", &[0xff; 100]] {
            let mut peer = way.opened();
            peer.send_raw(frame_of(0, &[&begin_body(), extra].concat()));
            peer.closes_with(&condition::DECODE_ERROR);
        }
        let frames: [Frame; 5] = [
            attach("new", 30, Role::Sender).into(),
            flow(1, NEXT_OUTGOING, 1).into(),
            disposition(Role::Receiver, 0).into(),
            detach(NEAR.peer_sender).into(),
            End::default().into(),
        ];
        for frame in frames {
            let mut linked = way.linked();
            linked.send(frame.on(NEAR.peer).with("extra"));
            linked.closes_with(&condition::DECODE_ERROR);
        }
        let mut peer = way.peer(way.config());
        peer.send_header();
        peer.expect_header();
        peer.send(Frame::from(open("peer")).with("extra"));
        peer.closes_with(&condition::DECODE_ERROR);
    });
}

//= 2.1-05
#[test]
fn f10_the_end_of_the_stream_inside_a_frame_shows_nothing_of_it() {
    each_way(|way| {
        let frame = begin(0, 1, 1).on(3).encode();
        for len in 1..frame.len() {
            let mut peer = way.opened();
            peer.send_raw(&frame[..len]);
            peer.shut();
            peer.drops_for(|reason| *reason == DisconnectReason::Aborted);
        }
    });
}

//= 2.4.6-01 2.7.9-01
#[test]
fn f11_frames_after_the_peers_close_are_ignored() {
    each_way(|way| {
        let mut peer = way.opened();
        let frames = [Close::default().into(), begin(0, 1, 1).into(), open("again").into()];
        peer.send_all(frames);
        peer.send_raw([0; 64]);
        peer.expect_event(Event::Closed { error: None });
        peer.no_event();
        peer.silent();
        peer.engine().close(None);
        peer.expect(Close::default());
        peer.expect_event(Event::Disconnected(DisconnectReason::Closed));
        peer.expect_dropped();
    });
}

//= 2.1-05
#[test]
fn f12_thousands_of_frames_in_one_read() {
    each_way(|way| {
        let mut linked = way.linked();
        linked.credit(2_000);
        let transfers = (0..2_000).map(|id| Transfer { settled: Some(true), ..first(NEAR.peer_sender, id) });
        let frames: Vec<_> = transfers.map(|transfer| transfer.on(NEAR.peer).with("x")).collect();
        linked.send_all(frames);
        for id in 0..2_000 {
            let (delivery, payload) = linked.delivery();
            assert_eq!((delivery.number().get(), &payload[..]), (id, &b"x"[..]));
        }
        linked.no_event();
    });
}

#[test]
fn a_framing_error_ends_the_reading_for_good() {
    // What follows a frame of a wrong size cannot be cut into frames: not even an end of the connection is seen in it.
    each_way(|way| {
        let mut peer = way.opened();
        let mut bytes = raw_frame(7, 2, 0, 0, &[]);
        bytes.extend(Frame::from(Close::default()).encode());
        peer.send_raw(bytes);
        peer.closes_with(&condition::CONNECTION_FRAMING_ERROR);
    });
}
