//! Maps, lists and arrays of a peer: whatever is in them, they are held for what it cost to send them. The harness judges
//! the peak of each call; what stays, these tests do.

use amqp1_engine::record::Record;
use amqp1_tests::prelude::*;

/// How many bytes a map or array has, or nearly.
const SIZE: usize = 40_000;
/// What an engine holds for each byte of it once it is handled.
const KEPT_PER_BYTE: usize = 4;

/// A list or map of four-byte size and count.
fn compound(constructor: u8, count: usize, items: &[u8]) -> Vec<u8> {
    let mut value = vec![constructor];
    value.extend(u32::try_from(items.len() + 4).unwrap().to_be_bytes());
    value.extend(u32::try_from(count).unwrap().to_be_bytes());
    value.extend(items);
    value
}

/// A composite of these encoded fields.
fn composite(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![0, 0x53, code];
    body.extend(compound(0xd0, fields.len(), &fields.concat()));
    body
}

/// The same, in which one of so many fields is not null.
fn composite_with(code: u8, fields: usize, at: usize, value: &[u8]) -> Vec<u8> {
    let mut all = vec![&b"\x40"[..]; fields];
    all[at] = value;
    composite(code, &all)
}

/// As many of these as take [`SIZE`] bytes; each is told its number.
fn many(item: impl Fn(u16) -> Vec<u8>) -> (usize, Vec<u8>) {
    let mut items = Vec::new();
    let mut count = 0;
    while items.len() < SIZE && count < 1 << 20 {
        items.extend(item(u16::try_from(count % 65_536).unwrap()));
        count += 1;
    }
    (count, items)
}

/// A map with one list of these.
fn of_list(item: &[u8]) -> Vec<u8> {
    let (count, items) = many(|_| item.to_vec());
    compound(0xd1, 2, &[&b"\xa3\x01a"[..], &compound(0xd0, count, &items)].concat())
}

/// A map of so many entries with these keys, from the last to the first, and nothing in them.
fn of_keys(keys: u16, key: impl Fn(u16) -> Vec<u8>) -> Vec<u8> {
    let items: Vec<u8> =
        (0..keys).rev().flat_map(|number| [key(number), b"\x40".to_vec()].concat()).collect();
    compound(0xd1, 2 * usize::from(keys), &items)
}

/// What takes most memory for each byte, if it is taken apart.
fn maps() -> Vec<(&'static str, Vec<u8>)> {
    let letters = |number: u16| {
        let [high, low] = [number >> 7, number & 127].map(|letter| u8::try_from(letter).unwrap());
        vec![0xa3, 2, high, low]
    };
    vec![
        ("nulls", of_list(b"\x40")),
        ("empty lists", of_list(b"\x45")),
        ("empty texts", of_list(b"\xa1\x00")),
        ("short texts", of_list(b"\xa1\x01x")),
        ("short binaries", of_list(b"\xa0\x01x")),
        ("empty maps", of_list(b"\xc1\x01\x00")),
        ("empty arrays", of_list(b"\xe0\x02\x00\x40")),
        ("short lists", of_list(b"\xc0\x02\x01\x40")),
        ("short maps", of_list(b"\xc1\x03\x02\x40\x40")),
        ("described values", of_list(b"\x00\x44\x40")),
        ("numbers as keys", of_keys(10_000, |number| [&b"\x60"[..], &number.to_be_bytes()].concat())),
        ("symbols as keys", of_keys(8_000, letters)),
        ("lists as keys", of_keys(5_000, |number| [&b"\xc0\x05\x01"[..], &letters(number)].concat())),
    ]
}

/// Runs a test with the engine on either side, its input in one piece.
fn each_side(test: impl Fn(&Way)) {
    for side in [Side::Client, Side::Server] {
        test(&Way::new(side, Chunks::Whole));
    }
}

/// A peer of an engine whose recording, for which there is room besides, ends before the test begins.
fn peer(way: &Way) -> Peer<Memory> {
    way.peer(Config { record: Some(Record { limit: 1_000, secrets: false }), ..way.config() })
}

/// The same with the opens exchanged.
fn opened(way: &Way) -> Peer<Memory> {
    let mut peer = peer(way);
    peer.open();
    peer
}

/// The same with sessions and links.
fn linked(way: &Way) -> Linked {
    Linked::new(opened(way))
}

/// An `open` with this in one of its fields.
fn an_open(at: usize, value: &[u8]) -> Vec<u8> {
    let mut fields = vec![&b"\x40"[..]; 10];
    fields[0] = b"\xa1\x04peer";
    fields[at] = value;
    composite(0x10, &fields)
}

/// A `begin` with this in one of its fields.
fn a_begin(at: usize, value: &[u8]) -> Vec<u8> {
    let mut fields =
        vec![&b"\x40"[..], b"\x43", b"\x52\x08", b"\x52\x08", b"\x40", b"\x40", b"\x40", b"\x40"];
    fields[at] = value;
    composite(0x11, &fields)
}

/// An `attach` of a new link with this in one of its fields.
fn an_attach(role: Role, at: usize, value: &[u8]) -> Vec<u8> {
    let mut fields = vec![&b"\x40"[..]; 14];
    fields[0] = b"\xa1\x03new";
    fields[1] = b"\x52\x1e";
    fields[2] = if role == Role::Sender { b"\x42" } else { b"\x41" };
    fields[9] = b"\x43";
    fields[at] = value;
    composite(0x12, &fields)
}

/// An error with this in its info.
fn error(info: &[u8]) -> Vec<u8> {
    composite(0x1d, &[b"\xa3\x01e", b"\x40", info])
}

/// The states of a delivery that hold this.
fn states(map: &[u8]) -> [Vec<u8>; 4] {
    let rejected = composite(0x25, &[&error(map)]);
    let modified = composite_with(0x27, 3, 2, map);
    let provisional = composite(0x34, &[b"\xa0\x01t", &modified]);
    let unknown = [&b"\x00\x80\x00\x00\x00\x07\x00\x00\x00\x07"[..], map].concat();
    [rejected, modified, provisional, unknown]
}

/// The frame has been handled: what of it the engine holds, while it is told and when it has been, is little.
#[track_caller]
fn holds_little(peer: &mut Peer<Memory>, before: usize, sent: usize, what: &str) {
    let held = |peer: &Peer<Memory>| peer.held().saturating_sub(before);
    let untold = held(peer);
    let event = peer.event();
    assert!(event.is_some(), "nothing is told of {what}");
    while peer.event().is_some() {}
    for held in [untold, held(peer)] {
        assert!(held <= 16_384 + KEPT_PER_BYTE * sent, "{held} bytes for {sent} of {what}");
    }
    drop(event);
}

/// Sends this to an engine with sessions and links.
#[track_caller]
fn sends(way: &Way, channel: u16, body: &[u8], what: &str) -> Linked {
    let mut linked = linked(way);
    let before = linked.held();
    linked.send_raw(frame_of(channel, body));
    holds_little(&mut linked, before, body.len(), what);
    linked
}

#[test]
fn t11_maps_in_an_open() {
    each_side(|way| {
        for (what, map) in maps() {
            let mut peer = peer(way);
            peer.engine().open();
            peer.send_header();
            let before = peer.held();
            peer.send_raw(frame_of(0, &an_open(9, &map)));
            holds_little(&mut peer, before, map.len(), what);
            assert!(peer.engine().remote_open().is_some());
        }
    });
}

#[test]
fn t11_maps_in_begins() {
    each_side(|way| {
        for (what, map) in maps() {
            let mut peer = opened(way);
            for channel in 0..4 {
                let before = peer.held();
                peer.send_raw(frame_of(channel, &a_begin(7, &map)));
                let Some(Event::SessionBegun(session)) = peer.event() else { panic!("a session") };
                let held = peer.held().saturating_sub(before);
                assert!(held <= 16_384 + KEPT_PER_BYTE * map.len(), "{held} bytes for {what}");
                assert!(peer.engine().session(session).unwrap().remote_begin().is_some());
            }
        }
    });
}

#[test]
fn t11_maps_in_flows() {
    each_side(|way| {
        for (what, map) in maps() {
            for handle in [NEAR.peer_receiver, NEAR.peer_sender] {
                let handle = [0x52, u8::try_from(handle).unwrap()];
                let numbers: [&[u8]; 4] =
                    [b"\x43", b"\x70\0\0\x08\0", b"\x70\0\0\x03\xe8", b"\x70\0\0\x08\0"];
                let link: [&[u8]; 6] = [b"\x43", b"\x43", b"\x40", b"\x40", b"\x40", &map];
                let fields = [&numbers[..], &[&handle], &link].concat();
                // One takes the place of the other.
                let mut linked = sends(way, NEAR.peer, &composite(0x13, &fields), what);
                linked.send_raw(frame_of(NEAR.peer, &composite(0x13, &fields)));
                assert!(matches!(linked.event(), Some(Event::LinkFlow(_))));
                let before = linked.held();
                linked.send_raw(frame_of(NEAR.peer, &composite(0x13, &fields)));
                assert!(matches!(linked.event(), Some(Event::LinkFlow(_))));
                assert_eq!(linked.held(), before);
            }
        }
    });
}

#[test]
fn t11_maps_in_attaches() {
    each_side(|way| {
        for role in [Role::Sender, Role::Receiver] {
            for (what, map) in maps() {
                sends(way, NEAR.peer, &an_attach(role, 13, &map), what);
                for at in [5, 7] {
                    let source = composite_with(0x28, 11, at, &map);
                    sends(way, NEAR.peer, &an_attach(role, 5, &source), what);
                }
                let target = composite_with(0x29, 7, 5, &map);
                sends(way, NEAR.peer, &an_attach(role, 6, &target), what);
                let unknown = [&b"\x00\x80\x00\x00\x00\x07\x00\x00\x00\x07"[..], &map].concat();
                sends(way, NEAR.peer, &an_attach(role, 6, &unknown), what);
                let [rejected, modified, ..] = states(&map);
                for outcome in [rejected, modified, unknown] {
                    let source = composite_with(0x28, 11, 8, &outcome);
                    sends(way, NEAR.peer, &an_attach(role, 5, &source), what);
                }
            }
        }
    });
}

#[test]
fn t11_maps_in_errors() {
    each_side(|way| {
        for (what, map) in maps() {
            for handle in [NEAR.peer_receiver, NEAR.peer_sender] {
                let handle = [0x52, u8::try_from(handle).unwrap()];
                sends(way, NEAR.peer, &composite(0x16, &[&handle, b"\x41", &error(&map)]), what);
            }
            sends(way, NEAR.peer, &composite(0x17, &[&error(&map)]), what);
            sends(way, 0, &composite(0x18, &[&error(&map)]), what);
        }
    });
}

#[test]
fn t11_maps_in_states_of_deliveries_sent() {
    each_side(|way| {
        for (what, map) in maps() {
            for state in states(&map) {
                let mut linked = linked(way);
                linked.grant(3);
                for name in 0..3_u8 {
                    linked.engine_sender().send(tag([name]), false, "sent").unwrap();
                    expect!(linked, Transfer { .. });
                }
                let before = linked.held();
                let body = composite(0x15, &[b"\x41", b"\x43", b"\x52\x02", b"\x42", &state]);
                linked.send_raw(frame_of(NEAR.peer, &body));
                holds_little(&mut linked, before, body.len(), what);
            }
        }
    });
}

#[test]
fn t11_maps_in_states_of_deliveries_received() {
    each_side(|way| {
        for (what, map) in maps() {
            for state in states(&map) {
                let mut linked = linked(way);
                linked.credit(3);
                let handle = [0x52, u8::try_from(NEAR.peer_sender).unwrap()];
                let before = linked.held();
                let fields: [&[u8]; 8] =
                    [&handle, b"\x43", b"\xa0\x01t", b"\x43", b"\x40", b"\x40", b"\x40", &state];
                let body = composite(0x14, &fields);
                linked.send_raw(frame_of(NEAR.peer, &body));
                holds_little(&mut linked, before, body.len(), what);
                let body = composite(0x15, &[b"\x42", b"\x43", b"\x40", b"\x42", &state]);
                linked.send_raw(frame_of(NEAR.peer, &body));
                holds_little(&mut linked, before, 2 * body.len(), what);
            }
        }
    });
}

#[test]
fn t11_maps_byte_by_byte_and_traced() {
    each_way(|way| {
        let (what, map) = maps().swap_remove(0);
        let mut linked = sends(way, NEAR.peer, &an_attach(Role::Sender, 13, &map), what);
        linked.send_raw(frame_of(NEAR.peer, &composite(0x17, &[&error(&map)])));
        assert!(matches!(linked.event(), Some(Event::SessionEnded { .. })));
    });
}

#[test]
fn t10_maps_that_are_refused_cost_no_more() {
    each_side(|way| {
        let (count, equal) = many(|number| if number % 2 == 0 { vec![0x40, 0x40] } else { vec![0x41, 0x40] });
        let equal = compound(0xd1, 2 * count, &equal);
        let (count, cut) = many(|_| vec![0x40]);
        let cut = compound(0xd1, 2, &[&b"\xa3\x01a"[..], &compound(0xd0, count + 1, &cut)].concat());
        let inside = compound(0xd1, 2, &[&b"\xa3\x01a"[..], &equal].concat());
        for map in [&equal, &cut, &inside] {
            for body in [a_begin(7, map), an_attach(Role::Sender, 13, map), composite(0x17, &[&error(map)])] {
                let mut linked = linked(way);
                linked.send_raw(frame_of(NEAR.peer, &body));
                linked.closes_with(&condition::DECODE_ERROR);
            }
        }
    });
}

/// Arrays of as many symbols as there is room for.
fn symbols() -> [(&'static str, Vec<u8>); 3] {
    let array = |item: &[u8], constructor: u8| {
        let (count, items) = many(|_| item.to_vec());
        compound(0xf0, count, &[&[constructor], &items[..]].concat())
    };
    [
        ("empty symbols", array(b"\x00", 0xa3)),
        ("short symbols", array(b"\x01a", 0xa3)),
        ("wide symbols", array(b"\0\0\0\x01a", 0xb3)),
    ]
}

#[test]
fn t19_many_values_in_multiple_fields() {
    each_side(|way| {
        for (what, array) in symbols() {
            for at in 5..9 {
                let mut peer = peer(way);
                peer.engine().open();
                peer.send_header();
                let before = peer.held();
                peer.send_raw(frame_of(0, &an_open(at, &array)));
                holds_little(&mut peer, before, array.len(), what);
            }
            for at in [5, 6] {
                let mut peer = opened(way);
                let before = peer.held();
                peer.send_raw(frame_of(0, &a_begin(at, &array)));
                holds_little(&mut peer, before, array.len(), what);
            }
            for role in [Role::Sender, Role::Receiver] {
                let source = |at: usize| composite_with(0x28, 11, at, &array);
                let target = composite_with(0x29, 7, 6, &array);
                let coordinator = composite(0x30, &[&array]);
                for body in [
                    an_attach(role, 11, &array),
                    an_attach(role, 12, &array),
                    an_attach(role, 5, &source(9)),
                    an_attach(role, 5, &source(10)),
                    an_attach(role, 6, &target),
                    an_attach(role, 6, &coordinator),
                ] {
                    sends(way, NEAR.peer, &body, what);
                }
            }
        }
    });
}

/// An unsettled map of so many deliveries, their tags as short as they can be, and in an order that trees like least.
fn unsettled(count: u16, state: &[u8]) -> Vec<u8> {
    let entry = |number: u16| [&b"\xa0\x02"[..], &number.to_be_bytes(), state].concat();
    compound(0xd1, 2 * usize::from(count), &(0..count).flat_map(entry).collect::<Vec<u8>>())
}

#[test]
fn r1_many_small_entries() {
    const ENTRIES: u16 = 10_000;
    each_side(|way| {
        for state in [&b"\x40"[..], b"\x00\x53\x24\x45", b"\x00\x44\x45"] {
            let map = unsettled(ENTRIES, state);
            for role in [Role::Sender, Role::Receiver] {
                // Nobody resumes the link.
                sends(way, NEAR.peer, &an_attach(role, 7, &map), "a map");
                // We resume one delivery, the peer all: before the peer attaches, and after.
                let ours = || Some(UnsettledMap::from_iter([(tag([0, 7]), None)]));
                for ours_first in [false, true] {
                    let mut linked = linked(way);
                    let config = LinkConfig { unsettled: ours(), ..LinkConfig::new("new") };
                    let body = an_attach(role, 7, &map);
                    let before = linked.held();
                    if ours_first {
                        let mut session = linked.engine_session();
                        match role {
                            Role::Sender => session.attach_receiver(config).unwrap(),
                            Role::Receiver => session.attach_sender(config).unwrap(),
                        };
                        expect!(linked, Attach { .. });
                        linked.send_raw(frame_of(NEAR.peer, &body));
                        holds_little(&mut linked, before, body.len(), "a map");
                    } else {
                        linked.send_raw(frame_of(NEAR.peer, &body));
                        let Some(Event::LinkAttached(link)) = linked.event() else { panic!("a link") };
                        match role {
                            Role::Sender => linked.engine().receiver(link).unwrap().attach(config).unwrap(),
                            Role::Receiver => linked.engine().sender(link).unwrap().attach(config).unwrap(),
                        }
                        expect!(linked, Attach { .. });
                        let held = linked.held().saturating_sub(before);
                        assert!(held <= 16_384 + KEPT_PER_BYTE * body.len(), "{held} bytes");
                    }
                }
            }
        }
    });
}

#[test]
fn r1_more_small_entries_than_the_limit() {
    each_side(|way| {
        for role in [Role::Sender, Role::Receiver] {
            let mut linked = linked(way);
            let before = linked.held();
            linked.send_raw(frame_of(NEAR.peer, &an_attach(role, 7, &unsettled(20_000, b"\x40"))));
            expect!(linked, Attach { source: None, target: None, .. });
            linked.detaches_with(2, &condition::RESOURCE_LIMIT_EXCEEDED);
            let held = linked.held().saturating_sub(before);
            assert!(held <= 16_384 + KEPT_PER_BYTE * 100_000, "{held} bytes");
        }
    });
}

#[test]
fn a3_deliveries_whose_sender_says_the_most_of_each_in_the_fewest_bytes() {
    let error = || Some(Box::new(Error::new(Symbol::from_static(""))));
    let provisional = |outcome| TransactionalState { outcome, ..TransactionalState::new(Bytes::new()) };
    for state in [
        DeliveryState::Accepted,
        DeliveryState::Rejected(error()),
        DeliveryState::Modified(Box::default()),
        DeliveryState::Declared(Box::new(Declared::new(Bytes::new()))),
        DeliveryState::Transactional(Box::new(provisional(None))),
        DeliveryState::Transactional(Box::new(provisional(Some(DeliveryState::Rejected(error()))))),
        DeliveryState::Transactional(Box::new(provisional(Some(DeliveryState::Modified(Box::default()))))),
    ] {
        each_side(|way| {
            let session = SessionConfig { incoming_window: 5_000, ..SessionConfig::default() };
            let mut linked = Linked::with(opened(way), session, |link| link);
            linked.credit(5_000);
            let delivery = |id: u32| Transfer {
                delivery_tag: Some(tag(&id.to_be_bytes()[2..])),
                state: Some(Box::new(state.clone())),
                ..first(NEAR.peer_sender, id)
            };
            linked.send_all((0..5_000).map(|id| delivery(id).on(NEAR.peer)));
            assert_eq!(linked.events().len(), 5_000);
        });
    }
}

#[test]
fn t7_what_is_long_only_in_a_trace_that_nobody_reads() {
    each_side(|way| {
        // Each of the elements is a word of forty letters, and takes no byte or four.
        let policies =
            [&b"\xe0\x05\xff\x00\x53\x2e\x45"[..], &compound(0xd0, 50, &b"\x00\x53\x2e\x45".repeat(50))];
        for value in policies {
            let record = Some(Record { limit: 1_000, secrets: false });
            let mut peer = way.peer(Config { trace: true, record, ..way.config() });
            peer.open();
            let mut linked = Linked::new(peer);
            let map = compound(0xd1, 2, &[b"\xa3\x01a", value].concat());
            let numbers: [&[u8]; 4] = [b"\x43", b"\x70\0\0\x08\0", b"\x70\0\0\x03\xe8", b"\x70\0\0\x08\0"];
            let fields = [&numbers[..], &[&b"\x40"[..]; 6], &[&map]].concat();
            linked.send_raw(frame_of(NEAR.peer, &composite(0x13, &fields)).repeat(2_000));
            linked.silent();
        }
    });
}
