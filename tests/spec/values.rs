//! T: values in performatives (§1).

use amqp1_engine::codec::{Decode, SymbolRef, Timestamp};
use amqp1_tests::prelude::*;

/// A performative of these encoded fields.
fn performative(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    let items = fields.concat();
    let mut body = vec![0, 0x53, code, 0xd0];
    body.extend(u32::try_from(items.len() + 4).unwrap().to_be_bytes());
    body.extend(u32::try_from(fields.len()).unwrap().to_be_bytes());
    body.extend(items);
    body
}

/// An open whose properties are this value.
fn open_with_properties(value: &[u8]) -> Vec<u8> {
    let nulls: &[u8] = &[0x40; 8];
    let mut fields: Vec<&[u8]> = vec![b"\xa1\x04peer"];
    fields.extend(nulls.chunks(1));
    fields.push(value);
    performative(0x10, &fields)
}

/// A value of variable width: constructor, size in 4 bytes, content.
fn sized(constructor: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![constructor];
    value.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    value.extend(content);
    value
}

/// A list, map or array of four-byte size and count.
fn compound(constructor: u8, count: u32, items: &[u8]) -> Vec<u8> {
    sized(constructor, &[&count.to_be_bytes(), items].concat())
}

/// The engine takes this as the peer's first frame.
#[track_caller]
fn opens(way: &Way, body: &[u8]) {
    let mut peer = way.peer(way.config());
    peer.engine().open();
    peer.send_header();
    peer.send_raw(frame_of(0, body));
    peer.expect_event(Event::Opened);
}

/// The engine refuses to decode this as the peer's first frame.
#[track_caller]
fn closes(way: &Way, body: &[u8]) {
    let mut peer = way.peer(way.config());
    peer.send_header();
    peer.expect_header();
    peer.send_raw(frame_of(0, body));
    peer.closes_with(&condition::DECODE_ERROR);
}

/// The engine refuses to decode this on an open session.
#[track_caller]
fn closes_later(way: &Way, body: &[u8]) {
    let mut linked = way.linked();
    linked.send_raw(frame_of(NEAR.peer, body));
    linked.closes_with(&condition::DECODE_ERROR);
}

fn body_of(frame: impl Into<Frame>) -> Vec<u8> {
    let frame = frame.into().encode();
    frame[8..].to_vec()
}

#[test]
fn t1_any_performative_cut_at_any_byte_closes() {
    let error = Error { description: Some("why".into()), ..Error::new(condition::NOT_FOUND) };
    let last = Some(Serial::new(1));
    let bodies = [
        body_of(begin(0, 1, 1)),
        body_of(Attach { max_message_size: Some(1), ..attach("new", 30, Role::Sender) }),
        body_of(Flow { properties: Some(Fields::new().with("a", 1_u32)), ..flow(1, NEXT_OUTGOING, 1) }),
        body_of(first(NEAR.peer_sender, 0)),
        body_of(Disposition { last, ..settled(Role::Receiver, 0, DeliveryState::Accepted) }),
        body_of(Detach { closed: true, error: Some(error.clone()), ..detach(NEAR.peer_sender) }),
        body_of(End { error: Some(error.clone()) }),
    ];
    each_way(|way| {
        for body in &bodies {
            for len in 1..body.len() {
                let mut linked = way.linked();
                linked.send_raw(frame_of(NEAR.peer, &body[..len]));
                linked.closes_with(&condition::DECODE_ERROR);
            }
        }
    });
    // A close that is cut is a close for all that: see C12.
    let body = body_of(Close { error: Some(error) });
    each_way(|way| {
        for len in 1..body.len() {
            let mut peer = way.opened();
            peer.send_raw(frame_of(0, &body[..len]));
            let Some(Event::Violated(violation)) = peer.event() else { panic!("cut after {len} bytes") };
            assert_eq!(*violation.condition(), condition::DECODE_ERROR);
            expect!(peer, Close { error: Some(_) });
            assert_eq!(peer.engine().is_done(), len >= 3, "whether it is known for a close");
        }
    });
    each_way(|way| {
        let body = body_of(Open { hostname: Some("here".into()), ..open("peer") });
        opens(way, &body);
        (1..body.len()).for_each(|len| closes(way, &body[..len]));
    });
}

//= 1.2-02 1.2-03
#[test]
fn t2_every_format_code_as_a_field() {
    each_chunking(|way| {
        for code in 0..=u8::MAX {
            // hostname: a string or nothing; zeros behind the code, as many as it may want
            let mut field = vec![code];
            let width = match code >> 4 {
                0x5 | 0xa | 0xc | 0xe => 1,
                0x6 => 2,
                0x7 | 0xb | 0xd | 0xf => 4,
                0x8 => 8,
                0x9 => 16,
                _ => 0,
            };
            field.extend(vec![0; width]);
            let body = performative(0x10, &[b"\xa1\x04peer", &field]);
            if matches!(code, 0x40 | 0xa1 | 0xb1) {
                opens(way, &body);
            } else {
                closes(way, &body);
            }
        }
    });
}

#[test]
fn t3_a_size_beyond_the_bytes_at_hand_closes() {
    each_way(|way| {
        for size in [5, 6, 0xff, 0xffff_u32, 0x7fff_ffff, 0xffff_ffff] {
            let wide = [&[0xb1][..], &size.to_be_bytes(), b"peer"].concat();
            closes(way, &performative(0x10, &[&wide]));
            for constructor in [0xb0, 0xb1, 0xb3, 0xd0, 0xd1, 0xf0] {
                let value = [&[constructor][..], &size.to_be_bytes(), &[0; 4]].concat();
                closes(
                    way,
                    &open_with_properties(&sized(0xd1, &[&[0, 0, 0, 2, 0xa1, 1, b'k'], &value[..]].concat())),
                );
            }
        }
        closes(way, &performative(0x10, &[b"\xa1\x05peer"]));
    });
}

#[test]
fn t4_a_compound_smaller_than_its_own_count_closes() {
    each_way(|way| {
        for value in [&b"\xc1\x00"[..], b"\xd1\0\0\0\x03\0\0\0", b"\xd1\0\0\0\x00", b"\xc0\x00", b"\xe0\x00"]
        {
            closes(way, &open_with_properties(value));
        }
        closes(way, b"\x00\x53\x10\xc0\x00");
        closes(way, b"\x00\x53\x10\xd0\0\0\0\x03\0\0\0");
    });
}

#[test]
fn t5_a_count_above_what_the_bytes_can_hold_closes() {
    each_way(|way| {
        for count in [3, 100, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff] {
            closes(way, &open_with_properties(&compound(0xd1, count, b"\xa1\x01k\x41")));
            let list = compound(0xd0, count, b"\x41\x41");
            closes(way, &open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", &list[..]].concat())));
            let array = compound(0xf0, count, b"\x70\0\0\0\x01\0\0\0\x02");
            closes(way, &open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", &array[..]].concat())));
        }
    });
}

#[test]
fn t6_elements_that_end_before_or_run_past_the_size_close() {
    each_way(|way| {
        // One element too many, one too few, one that is cut.
        for items in [&b"\xa1\x01k\x41\x41"[..], b"\xa1\x01k", b"\xa1\x01k\xa1\x05v"] {
            closes(way, &open_with_properties(&compound(0xd1, 2, items)));
        }
    });
}

#[test]
fn t7_elements_without_width_are_bounded() {
    each_way(|way| {
        for constructor in [0x40, 0x41, 0x42, 0x43, 0x44, 0x45] {
            let map = |count| {
                let array = compound(0xf0, count, &[constructor]);
                open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", &array[..]].concat()))
            };
            opens(way, &map(65_536));
            for count in [65_537, 0x8000_0000, u32::MAX] {
                closes(way, &map(count));
            }
        }
    });
}

#[test]
fn t7_elements_without_width_take_no_time_however_many_arrays_have_them() {
    // Each of the elements judged for itself, this would take hours.
    const ARRAYS: u32 = 400_000;
    let mut peer =
        Way::new(Side::Server, Chunks::Whole).peer(Config { max_frame_size: 8 << 20, ..Config::server("s") });
    peer.open();
    let array = compound(0xf0, 65_536, &[0x40]);
    let list = compound(0xd0, ARRAYS, &array.repeat(ARRAYS as usize));
    let map = compound(0xd1, 2, &[b"\xa1\x01k", &list[..]].concat());
    let fields: [&[u8]; 8] = [b"\x40", b"\x43", b"\x43", b"\x43", b"\x40", b"\x40", b"\x40", &map];
    peer.send_raw(frame_of(1, &performative(0x11, &fields)));
    assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
}

/// A value that encloses another of the same kind, and so on.
fn nested(depth: usize, enclose: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..depth).fold(vec![0x41], |inner, _| enclose(&inner))
}

#[test]
fn t8_deep_nesting_closes() {
    type Enclose = fn(&[u8]) -> Vec<u8>;
    let lists: Enclose = |inner| compound(0xd0, 1, inner);
    let maps: Enclose = |inner| compound(0xd1, 2, &[b"\xa1\x01k", inner].concat());
    let arrays: Enclose = |inner| compound(0xf0, 1, inner);
    let described: Enclose = |inner| [b"\x00\x53\x01", inner].concat();
    each_chunking(|way| {
        for enclose in [lists, maps, arrays, described] {
            let map = |depth| {
                let value = nested(depth, enclose);
                open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", &value[..]].concat()))
            };
            opens(way, &map(30));
            for depth in [32, 33, 1_000] {
                closes(way, &map(depth));
            }
        }
        let deep = [b"\x00\x53\x01".repeat(40_000), vec![0x41]].concat();
        closes(way, &open_with_properties(&deep));
        let descriptors = [vec![0; 100_000], vec![0x41]].concat();
        closes(way, &open_with_properties(&descriptors));
        closes(way, &descriptors);
    });
}

//= 1.5-01
#[test]
fn t9_a_descriptor_that_is_described_or_compound_closes() {
    each_way(|way| {
        for descriptor in [
            &b"\x00\x53\x01\x41"[..], // described
            b"\x45",
            b"\xc0\x02\x01\x41",
            b"\xc1\x01\x00",
            b"\xe0\x02\x00\x41",
            b"\x00\x00\x53\x01\x41\x41",
        ] {
            let value = [b"\x00", descriptor, b"\x41"].concat();
            closes(way, &open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", &value[..]].concat())));
            closes(way, &[b"\x00", descriptor, b"\x45"].concat());
        }
    });
}

//= 1.6.23-01 1.6.23-02
#[test]
fn t10_maps_of_odd_count_or_with_equal_keys_close() {
    each_way(|way| {
        closes(way, &open_with_properties(b"\xc1\x02\x01\x41"));
        closes(way, &open_with_properties(b"\xc1\x07\x03\xa3\x01k\x41\x41\x41"));
        closes(way, &open_with_properties(b"\xc1\x09\x04\xa3\x01k\x41\xa3\x01k\x41"));
        opens(way, &open_with_properties(b"\xc1\x09\x04\xa3\x01k\x41\xa3\x01l\x41"));
        // The same number in another type is another key; in another encoding it is the same.
        opens(way, &open_with_properties(b"\xc1\x07\x04\x52\x01\x41\x53\x01\x41"));
        closes(way, &open_with_properties(b"\xc1\x0a\x04\x52\x01\x41\x70\0\0\0\x01\x41"));
    });
}

#[test]
fn t11_a_map_of_a_hundred_thousand_costly_keys_takes_no_quadratic_time() {
    const KEYS: u32 = 100_000;
    // Each compared with each, these would take hours. Keys that are alike but for their end are the worst.
    let uints = |n: u32| [&b"\x70"[..], &n.to_be_bytes()].concat();
    let nans = |n: u32| [&b"\x72\x7f\xc0"[..], &(n as u16).to_be_bytes()].concat();
    let lists = |n: u32| compound(0xd0, 1, &uints(n));
    let mut peer =
        Way::new(Side::Server, Chunks::Whole).peer(Config { max_frame_size: 4 << 20, ..Config::server("s") });
    peer.open();
    let mut begins = |key: &dyn Fn(u32) -> Vec<u8>, count: u32, channel: u16| {
        let items: Vec<u8> = (0..count).flat_map(|n| [key(n), vec![0x41]].concat()).collect();
        let map = compound(0xd1, 2 * count, &items);
        let fields: [&[u8]; 8] = [b"\x40", b"\x43", b"\x43", b"\x43", b"\x40", b"\x40", b"\x40", &map];
        peer.send_raw(frame_of(channel, &performative(0x11, &fields)));
        assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
    };
    begins(&uints, KEYS, 1);
    begins(&lists, KEYS, 2);
    begins(&nans, 65_536, 3);
}

#[test]
fn t12_strings_that_are_not_utf_8_close() {
    each_way(|way| {
        for text in [
            &b"\xff"[..],
            b"\x80",
            b"\xc0\x80", // overlong
            b"\xe0\x80\x80",
            b"\xed\xa0\x80",     // a surrogate
            b"\xf4\x90\x80\x80", // beyond the last character
            b"\xe2\x82",         // cut
            b"ok\xfe",
        ] {
            let id = [&[0xa1, u8::try_from(text.len()).unwrap()], text].concat();
            closes(way, &performative(0x10, &[&id]));
        }
    });
}

#[test]
fn t13_symbols_characters_and_booleans_of_wrong_content_close() {
    each_way(|way| {
        let capability = |value: &[u8]| {
            let nulls: &[u8] = &[0x40; 6];
            let mut fields: Vec<&[u8]> = vec![b"\xa1\x04peer"];
            fields.extend(nulls.chunks(1));
            fields.push(value);
            performative(0x10, &fields)
        };
        opens(way, &capability(b"\xa3\x01c"));
        for byte in [0x80, 0xc3, 0xff] {
            closes(way, &capability(&[0xa3, 1, byte]));
            closes(way, &capability(&[0xe0, 4, 1, 0xa3, 1, byte]));
        }
        for value in
            [&b"\x73\0\x11\0\0"[..], b"\x73\0\0\xd8\0", b"\x73\xff\xff\xff\xff", b"\x56\x02", b"\x56\xff"]
        {
            closes(way, &open_with_properties(&compound(0xd1, 2, &[b"\xa1\x01k", value].concat())));
        }
    });
}

#[test]
fn t14_values_of_any_bits_are_kept_as_they_are() {
    each_way(|way| {
        for value in [
            &b"\x83\x80\0\0\0\0\0\0\0"[..],
            b"\x83\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x72\x7f\xc0\0\x01",
            b"\x82\xff\xf8\0\0\0\0\0\x01",
            b"\x74\xff\xff\xff\xff",
            b"\x84\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x94\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x98\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            let mut peer = way.peer(way.config());
            let properties = compound(0xd1, 2, &[b"\xa3\x01k", value].concat());
            peer.send_header();
            peer.send_raw(frame_of(0, &open_with_properties(&properties)));
            peer.expect_event(Event::Opened);
            let open = peer.engine().remote_open().unwrap();
            let mut encoded = Vec::new();
            open.properties.as_ref().unwrap().get("k").unwrap().encode(&mut encoded);
            assert_eq!(encoded, value);
        }
    });
}

#[test]
fn t15_longer_encodings_of_small_values_are_as_good() {
    each_way(|way| {
        let mut peer = way.opened();
        for (channel, fields) in [
            [&b"\x40"[..], b"\x43", b"\x43", b"\x43", b"\x43"],
            [b"\x40", b"\x52\x00", b"\x52\x00", b"\x52\x00", b"\x52\x00"],
            [b"\x40", b"\x70\0\0\0\0", b"\x70\0\0\0\0", b"\x70\0\0\0\0", b"\x70\0\0\0\0"],
        ]
        .iter()
        .enumerate()
        {
            let channel = u16::try_from(channel).unwrap();
            peer.send_raw(frame_of(channel, &performative(0x11, fields)));
            let Some(Event::SessionBegun(session)) = peer.event() else { panic!("no session") };
            let begun = peer.engine().session(session).unwrap().remote_begin().cloned();
            assert_eq!(begun, Some(Begin { handle_max: 0, ..begin(0, 0, 0) }));
        }
        // A descriptor in eight bytes, an empty list in all its forms.
        for end in [
            &b"\x00\x53\x17\x45"[..],
            b"\x00\x80\0\0\0\0\0\0\0\x17\xc0\x01\x00",
            b"\x00\x53\x17\xd0\0\0\0\x04\0\0\0\0",
        ] {
            peer.send_raw(frame_of(0, end));
            assert!(matches!(peer.event(), Some(Event::SessionEnded { error: None, .. })));
            peer.send(begin(0, 1, 1));
            assert!(matches!(peer.event(), Some(Event::SessionBegun(_))));
        }
    });
}

#[test]
fn t16_a_mandatory_field_that_is_null_or_missing_closes() {
    each_way(|way| {
        closes(way, &performative(0x10, &[]));
        closes(way, &performative(0x10, &[b"\x40"]));
        for bad in [
            performative(0x11, &[b"\x40", b"\x43", b"\x43"]),
            performative(0x11, &[b"\x40", b"\x40", b"\x43", b"\x43"]),
            performative(0x12, &[b"\xa1\x01n", b"\x52\x1e"]),
            performative(0x12, &[b"\x40", b"\x52\x1e", b"\x41"]),
            performative(0x13, &[b"\x43", b"\x40", b"\x43", b"\x43"]),
            performative(0x14, &[]),
            performative(0x14, &[b"\x40", b"\x43", b"\xa0\x01t", b"\x43"]),
            performative(0x15, &[b"\x41"]),
            performative(0x15, &[b"\x40", b"\x43"]),
            performative(0x16, &[]),
            performative(0x16, &[b"\x40", b"\x41"]),
            // A composite that is a map or an array.
            b"\x00\x53\x16\xc1\x01\x00".to_vec(),
            b"\x00\x53\x16\xe0\x02\x00\x43".to_vec(),
        ] {
            closes_later(way, &bad);
        }
    });
}

#[test]
fn t17_a_field_of_another_type_or_beyond_its_choices_closes() {
    each_way(|way| {
        closes(way, &performative(0x10, &[b"\xa3\x04peer"]));
        closes(way, &performative(0x10, &[b"\xa1\x04peer", b"\xa0\x04host"]));
        // max-frame-size as int, as ulong; channel-max as uint
        closes(way, &performative(0x10, &[b"\xa1\x04peer", b"\x40", b"\x54\x01"]));
        closes(way, &performative(0x10, &[b"\xa1\x04peer", b"\x40", b"\x53\x01"]));
        closes(way, &performative(0x10, &[b"\xa1\x04peer", b"\x40", b"\x40", b"\x52\x01"]));
        let head: [&[u8]; 3] = [b"\xa1\x01n", b"\x52\x1e", b"\x42"];
        let attach = |rest: &[&[u8]]| performative(0x12, &[&head[..], rest].concat());
        for bad in [
            attach(&[b"\x50\x03"]),          // snd-settle-mode 3
            attach(&[b"\x40", b"\x50\x02"]), // rcv-settle-mode 2
            attach(&[b"\x52\x00"]),          // a mode that is no ubyte
            attach(&[b"\x40", b"\x40", b"\x00\x53\x28\xc0\x04\x02\x40\x52\x03"]), // durable 3
            attach(&[b"\x40", b"\x40", b"\x00\x53\x28\xc0\x08\x03\x40\x40\xa3\x03new"]), // expiry-policy "new"
            attach(&[b"\x40", b"\x40", b"\xa1\x01s"]), // a source that is a string
            performative(0x14, &[b"\x43", b"\xa1\x01i"]),
            performative(0x14, &[b"\x43", b"\x43", b"\xa1\x01t", b"\x43"]),
            performative(0x15, &[b"\x50\x01", b"\x43"]), // a role that is a number
            performative(0x15, &[b"\x41", b"\x44"]),     // a delivery number that is a ulong
            performative(0x16, &[b"\x43", b"\x43"]),
        ] {
            closes_later(way, &bad);
        }
    });
}

#[test]
fn t18_more_fields_than_the_type_has_close() {
    each_way(|way| {
        closes_later(way, &performative(0x17, &[b"\x40", b"\x40"]));
        closes_later(way, &performative(0x16, &[b"\x43", b"\x41", b"\x40", b"\x41"]));
        closes(way, &performative(0x10, &[&b"\xa1\x04peer"[..]; 11]));
    });
}

#[test]
fn t19_a_multiple_field_is_one_value_an_array_or_nothing() {
    each_way(|way| {
        let capabilities = |value: &[u8]| {
            let nulls: &[u8] = &[0x40; 6];
            let mut fields: Vec<&[u8]> = vec![b"\xa1\x04peer"];
            fields.extend(nulls.chunks(1));
            fields.push(value);
            performative(0x10, &fields)
        };
        for (value, expected) in [
            (&b"\x40"[..], &[][..]),
            (b"\xa3\x01a", &["a"]),
            (b"\xb3\0\0\0\x01a", &["a"]),
            (b"\xe0\x04\x01\xa3\x01a", &["a"]),
            (b"\xe0\x06\x02\xa3\x01a\x01b", &["a", "b"]),
            (b"\xe0\x02\x00\xa3", &[]),
            (b"\xf0\0\0\0\x0a\0\0\0\x01\xb3\0\0\0\x01a", &["a"]),
        ] {
            let mut peer = way.peer(way.config());
            peer.send_header();
            peer.send_raw(frame_of(0, &capabilities(value)));
            peer.expect_event(Event::Opened);
            let open = peer.engine().remote_open().unwrap();
            let offered: Vec<_> = open.offered_capabilities.iter().map(SymbolRef::as_str).collect();
            assert_eq!(offered, expected);
        }
        for value in [
            &b"\xa1\x01a"[..],
            b"\xe0\x04\x01\xa1\x01a",
            b"\x45",
            b"\xc0\x04\x01\xa3\x01a",
            b"\xe0\x03\x01\x50\x01",
            b"\x41",
        ] {
            closes(way, &capabilities(value));
        }
    });
}

/// Values that are none, each for a reason of its own.
fn bad_values() -> Vec<Vec<u8>> {
    let mut bad: Vec<Vec<u8>> = [
        &b"\xa1\x05four"[..], // T1
        b"\x70\0\0",
        b"\x3f",                  // T2
        b"\xb1\xff\xff\xff\xffx", // T3
        b"\xc0\x00",              // T4
        b"\xc0\x02\x02\x41",      // T5
        b"\xd0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc0\x03\x01\x41\x41", // T6
        b"\xc0\x04\x01\xa1\x05x",
        b"\xf0\0\0\0\x05\xff\xff\xff\xff\x40", // T7
        b"\x00\x00\x53\x01\x41\x41",           // T9
        b"\x00\x45\x41",
        b"\xc1\x02\x01\x41", // T10
        b"\xc1\x07\x04\x52\x01\x41\x52\x01\x41",
        b"\xa1\x02\xc0\x80", // T12
        b"\xa1\x03\xed\xa0\x80",
        b"\xa3\x01\x80", // T13
        b"\x73\0\x11\0\0",
        b"\x73\0\0\xd8\0",
        b"\x56\x02",
    ]
    .map(<[u8]>::to_vec)
    .into();
    bad.push(nested(33, |inner| compound(0xd0, 1, inner))); // T8
    bad.push(nested(100_000 / 9, |inner| [b"\x00\x53\x01", inner].concat()));
    bad
}

#[test]
fn t1_to_t13_a_bad_value_in_a_performative_closes_wherever_it_stands() {
    each_way(|way| {
        for value in bad_values() {
            let in_map = compound(0xd1, 2, &[b"\xa3\x01k", &value[..]].concat());
            closes(way, &open_with_properties(&in_map));
            let nulls: [&[u8]; 6] = [b"\x40"; 6];
            // The properties of a begin, of an attach and of a flow; the info of an error.
            let begin: [&[u8]; 5] = [b"\x40", b"\x43", b"\x43", b"\x43", b"\x40"];
            closes_later(way, &performative(0x11, &[&begin[..], &[b"\x40", b"\x40", &in_map]].concat()));
            let attach: [&[u8]; 7] = [b"\xa1\x01n", b"\x52\x1e", b"\x41", b"\x40", b"\x40", b"\x40", b"\x40"];
            closes_later(way, &performative(0x12, &[&attach[..], &nulls, &[&in_map]].concat()));
            let flow: [&[u8]; 4] = [b"\x40", b"\x43", b"\x43", b"\x43"];
            closes_later(way, &performative(0x13, &[&flow[..], &nulls, &[&in_map]].concat()));
            let error = performative(0x1d, &[b"\xa3\x01c", b"\x40", &in_map]);
            closes_later(way, &performative(0x17, &[&error]));
        }
    });
}

#[test]
fn t1_to_t13_a_bad_value_in_a_message_is_told_to_its_reader_and_the_link_lives() {
    let section = |code: u8, value: &[u8]| [&[0x00, 0x53, code], value].concat();
    let body = section(0x77, b"\x41");
    each_chunking(|way| {
        for value in bad_values() {
            let in_map = compound(0xd1, 2, &[b"\xa3\x01k", &value[..]].concat());
            let named = compound(0xd1, 2, &[b"\xa1\x01k", &value[..]].concat());
            let messages = [
                section(0x77, &value),
                section(0x76, &compound(0xd0, 1, &value)),
                [section(0x71, &in_map), body.clone()].concat(),
                [section(0x72, &in_map), body.clone()].concat(),
                [section(0x74, &named), body.clone()].concat(),
                [body.clone(), section(0x78, &in_map)].concat(),
                [section(0x73, &compound(0xd0, 1, &value)), body.clone()].concat(),
            ];
            let mut linked = way.linked();
            linked.credit(10);
            for (id, message) in (0..).zip(messages) {
                linked.send(first(NEAR.peer_sender, id).on(NEAR.peer).with(message.clone()));
                let (_, payload) = linked.delivery();
                assert_eq!(payload, message, "what it is made of is not the engine's business");
                let decoded = amqp1_engine::message::Message::decode(&payload);
                assert!(decoded.is_err(), "{}: {decoded:?}", message.escape_ascii());
                let scanned = amqp1_engine::message::MessageView::scan(&payload);
                assert!(scanned.and_then(|view| view.validate()).is_err(), "{}", message.escape_ascii());
            }
            linked.session_is_fine();
        }
    });
}

#[test]
fn a_value_is_read_in_the_place_of_another() {
    let mut number = 7_u32;
    assert_eq!(number.parse_from(&[0x52, 9, 1]), Ok(&[1][..]));
    assert_eq!(number, 9);
    assert!(number.parse_from(&[0x53, 9]).is_err(), "that is a ulong");
}

#[test]
fn a_map_is_asked_for_any_key() {
    let map = Map::from_iter([(Value::Uint(1), Value::Bool(true)), (Value::from("1"), Value::Null)]);
    assert_eq!(map.get_value(&Value::Uint(1)), Some(&Value::Bool(true)));
    assert_eq!((map.get_value(&Value::Ulong(1)), map.get("1")), (None, Some(&Value::Null)));
}

#[test]
fn a_value_is_asked_for_what_it_may_be() {
    let list = Value::List(vec![Value::Bool(true), Value::Null]);
    assert_eq!(list.as_list().unwrap().iter().map(Value::as_bool).collect::<Vec<_>>(), [Some(true), None]);
    for (value, number) in [
        (Value::Ubyte(7), Some(7)),
        (Value::Ushort(7), Some(7)),
        (Value::Uint(7), Some(7)),
        (Value::Ulong(7), Some(7)),
        (Value::Ulong(u64::MAX), None),
        (Value::Byte(-7), Some(-7)),
        (Value::Short(-7), Some(-7)),
        (Value::Int(-7), Some(-7)),
        (Value::Long(-7), Some(-7)),
        (Value::Timestamp(Timestamp(-7)), Some(-7)),
        (Value::Bool(true), None),
    ] {
        assert_eq!(value.to_i64(), number, "{value:?}");
        assert_eq!((value.as_list(), value.as_bool().is_some()), (None, value == Value::Bool(true)));
    }
    assert_eq!((Value::Ulong(u64::MAX).to_u64(), Value::Long(-7).to_u64()), (Some(u64::MAX), None));
    assert_eq!((Value::from(0.5_f32).to_f64(), Value::from(0.25).to_f64()), (Some(0.5), Some(0.25)));
    assert_eq!(Value::Int(1).to_f64(), None);
}
