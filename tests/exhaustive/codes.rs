//! Every format code in every place of a value (§1.2, §1.6).

use amqp1_engine::{
    codec::{Decode, ValueRef},
    message::{Message, MessageView},
};
use amqp1_tests::prelude::*;

/// Constructor and data of a small value of this code, with symbols as the elements of an array; `None` for a code that
/// the specification does not have.
fn sample(code: u8) -> Option<Vec<u8>> {
    let data: &[u8] = match code {
        // A described value: accepted.
        0x00 => &[0x53, 0x24, 0x45],
        0x40..=0x45 => &[],
        0x50..=0x56 => &[0],
        0x60 | 0x61 => &[0; 2],
        0x70..=0x74 => &[0; 4],
        0x80..=0x84 => &[0; 8],
        0x94 | 0x98 => &[0; 16],
        0xa0 | 0xa1 | 0xa3 => &[1, b'x'],
        0xb0 | 0xb1 | 0xb3 => &[0, 0, 0, 1, b'x'],
        0xc0 | 0xc1 => &[1, 0],
        0xd0 | 0xd1 => &[0, 0, 0, 4, 0, 0, 0, 0],
        0xe0 => &[4, 1, 0xa3, 1, b'x'],
        0xf0 => &[0, 0, 0, 10, 0, 0, 0, 1, 0xb3, 0, 0, 0, 1, b'x'],
        _ => return None,
    };
    Some([&[code], data].concat())
}

/// The sample of a code, or that of one without with as many zeros as its class would have.
fn sample_or_zeros(code: u8) -> Vec<u8> {
    let width = match code >> 4 {
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa | 0xc | 0xe => 1,
        0xb | 0xd | 0xf => 4,
        _ => 0,
    };
    sample(code).unwrap_or_else(|| [vec![code], vec![0; width]].concat())
}

/// A list, map or array with sizes in four bytes.
fn compound(code: u8, count: u32, items: &[u8]) -> Vec<u8> {
    let size = u32::try_from(items.len() + 4).unwrap();
    [&[code], &size.to_be_bytes()[..], &count.to_be_bytes(), items].concat()
}

/// These bytes are one value, or none, whichever reader looks: what is read is written and read again, and nothing of it
/// can be left out.
#[track_caller]
fn is_value(bytes: &[u8], expected: bool) {
    let value = Value::decode(bytes);
    assert_eq!(value.is_ok(), expected, "{bytes:02x?}: {value:?}");
    let borrowed = ValueRef::decode(bytes).and_then(|borrowed| borrowed.validate());
    assert_eq!(borrowed.is_ok(), expected, "{bytes:02x?}: {borrowed:?}");
    let Ok(value) = value else { return };
    let mut written = Vec::new();
    value.encode(&mut written);
    assert_eq!(Value::decode(&written), Ok(value));
    for len in 0..bytes.len() {
        assert!(Value::decode(&bytes[..len]).is_err(), "{:02x?}", &bytes[..len]);
    }
}

#[test]
fn t2_every_format_code_in_every_place_of_a_value() {
    for code in 0..=u8::MAX {
        let value = sample_or_zeros(code);
        let known = sample(code).is_some();
        is_value(&value, known);
        is_value(&compound(0xd0, 3, &[&[0x41], &value[..], &[0x42]].concat()), known);
        is_value(&compound(0xd1, 2, &[b"\xa3\x01k", &value[..]].concat()), known);
        is_value(&compound(0xd1, 2, &[&value[..], &[0x41]].concat()), known);
        is_value(&[&[0, 0xa3, 1, b'd'], &value[..]].concat(), known);
        // As a descriptor, where nothing may be that has a descriptor or elements itself.
        is_value(&[&[0], &value[..], &[0x41]].concat(), known && code != 0 && code != 0x45 && code < 0xc0);
        // As the constructor of an array, which comes once for all elements; a described one has two.
        let (constructor, element) = value.split_at(if code == 0 { 4 } else { 1 });
        let elements = [constructor, element, element].concat();
        is_value(&compound(0xf0, 2, &elements), known);
    }
}

/// What a field holds: the codes that it takes, and what stands for the samples that are no value of it.
struct Kind {
    name: &'static str,
    codes: &'static [u8],
    instead: &'static [(u8, &'static [u8])],
}

const KINDS: [Kind; 25] = [
    kind("bool", &[0x41, 0x42, 0x56]),
    kind("ubyte", &[0x50]),
    kind("ushort", &[0x60]),
    kind("uint", &[0x43, 0x52, 0x70]),
    kind("ulong", &[0x44, 0x53, 0x80]),
    kind("timestamp", &[0x83]),
    kind("binary", &[0xa0, 0xb0]),
    kind("string", &[0xa1, 0xb1]),
    kind("symbol", &[0xa3, 0xb3]),
    kind("symbols", &[0xa3, 0xb3, 0xe0, 0xf0]),
    kind("list", &[0x45, 0xc0, 0xd0]),
    kind("map", &[0xc1, 0xd1]),
    kind("id", &[0x44, 0x53, 0x80, 0x98, 0xa0, 0xb0, 0xa1, 0xb1]),
    kind("any", &ALL),
    kind("state", &[0x00]),
    kind("outcome", &[0x00]),
    Kind { instead: &[(0, b"\0\x53\x28\x45")], ..kind("source", &[0x00]) },
    Kind { instead: &[(0, b"\0\x53\x29\x45")], ..kind("target", &[0x00]) },
    Kind { instead: &[(0, b"\0\x53\x1d\xc0\x04\x01\xa3\x01x")], ..kind("error", &[0x00]) },
    Kind {
        instead: &[(0xa3, b"\xa3\x05never"), (0xb3, b"\xb3\0\0\0\x05never")],
        ..kind("expiry", &[0xa3, 0xb3])
    },
    kind("role", &[0x41, 0x42, 0x56]),
    kind("snd", &[0x50]),
    kind("rcv", &[0x50]),
    kind("durability", &[0x43, 0x52, 0x70]),
    kind("code", &[0x50]),
];

const fn kind(name: &'static str, codes: &'static [u8]) -> Kind {
    Kind { name, codes, instead: &[] }
}

/// All codes that the specification has, but null.
const ALL: [u8; 39] = [
    0x00, 0x41, 0x42, 0x43, 0x44, 0x45, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x60, 0x61, 0x70, 0x71,
    0x72, 0x73, 0x74, 0x80, 0x81, 0x82, 0x83, 0x84, 0x94, 0x98, 0xa0, 0xa1, 0xa3, 0xb0, 0xb1, 0xb3, 0xc0,
    0xc1, 0xd0, 0xd1, 0xe0, 0xf0,
];

impl Kind {
    fn named(name: &str) -> &'static Self {
        KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind is named {name}"))
    }

    fn value(&self, code: u8) -> Vec<u8> {
        let instead = self.instead.iter().find(|(of, _)| *of == code);
        instead.map_or_else(|| sample_or_zeros(code), |(_, value)| value.to_vec())
    }
}

/// A composite type, read.
type Read = fn(&[u8]) -> bool;

macro_rules! read {
    ($type:ty) => {
        |bytes| <$type>::decode(bytes).is_ok()
    };
}

/// The composite types with the kinds of their fields; `!` for a mandatory one.
const COMPOSITES: [(u8, &str, Read); 32] = [
    (0x10, "string! string uint ushort uint symbols symbols symbols symbols map", performative),
    (0x11, "ushort uint! uint! uint! uint symbols symbols map", performative),
    (0x12, "string! uint! role! snd rcv source target map bool uint ulong symbols symbols map", performative),
    (0x13, "uint uint! uint! uint! uint uint uint uint bool bool map", performative),
    (0x14, "uint! uint binary uint bool bool rcv state bool bool bool", performative),
    (0x15, "role! uint! uint bool state bool", performative),
    (0x16, "uint! bool error", performative),
    (0x17, "error", performative),
    (0x18, "error", performative),
    (0x1d, "symbol! string map", read!(Error)),
    (0x23, "uint! ulong!", read!(DeliveryState)),
    (0x24, "", read!(DeliveryState)),
    (0x25, "error", read!(DeliveryState)),
    (0x26, "", read!(DeliveryState)),
    (0x27, "bool bool map", read!(DeliveryState)),
    (0x28, "string durability expiry uint bool map symbol map outcome symbols symbols", read!(Source)),
    (0x29, "string durability expiry uint bool map symbols", read!(Target)),
    (0x30, "symbols", read!(Coordinator)),
    (0x31, "any", read!(Declare)),
    (0x32, "binary! bool", read!(Discharge)),
    (0x33, "binary!", read!(DeliveryState)),
    (0x34, "binary! outcome", read!(DeliveryState)),
    (0x40, "symbols!", read!(SaslMechanisms)),
    (0x41, "symbol! binary string", read!(SaslInit)),
    (0x42, "binary!", read!(SaslChallenge)),
    (0x43, "binary!", read!(SaslResponse)),
    (0x44, "code! binary", read!(SaslOutcome)),
    (0x70, "bool ubyte uint bool uint", read!(Header)),
    (
        0x73,
        "id binary string string string id symbol symbol timestamp timestamp string uint string",
        read!(Properties),
    ),
    // As they stand in others.
    (0x30, "symbols", |target| attach_to(target)),
    (0x29, "string durability expiry uint bool map symbols", |target| attach_to(target)),
    (0x34, "binary! outcome", |state| {
        performative(&composite(0x15, &[b"\x41", b"\x43", b"\x40", b"\x40", state]))
    }),
];

fn performative(bytes: &[u8]) -> bool {
    Performative::decode(bytes).is_ok_and(|(_, payload)| payload.is_empty())
}

/// An attach to this target is read.
fn attach_to(target: &[u8]) -> bool {
    performative(&composite(0x12, &[b"\xa1\x01x", b"\x43", b"\x42", b"\x40", b"\x40", b"\x40", target]))
}

fn composite(descriptor: u8, fields: &[&[u8]]) -> Vec<u8> {
    let list = compound(0xd0, u32::try_from(fields.len()).unwrap(), &fields.concat());
    [&[0, 0x53, descriptor], &list[..]].concat()
}

#[test]
fn t2_every_format_code_in_every_field_of_every_composite() {
    for (descriptor, fields, read) in COMPOSITES {
        let kinds: Vec<_> = fields
            .split_whitespace()
            .map(|field| (Kind::named(field.trim_end_matches('!')), field.ends_with('!')))
            .collect();
        // The others: null, or a value where there must be one.
        let good: Vec<_> = kinds
            .iter()
            .map(|(kind, mandatory)| if *mandatory { kind.value(kind.codes[0]) } else { vec![0x40] })
            .collect();
        let takes = |fields: &[Vec<u8>]| {
            let fields: Vec<_> = fields.iter().map(Vec::as_slice).collect();
            read(&composite(descriptor, &fields))
        };
        assert!(takes(&good), "{descriptor:#04x}");
        for (at, (kind, mandatory)) in kinds.iter().enumerate() {
            for code in 0..=u8::MAX {
                let mut fields = good.clone();
                fields[at] = kind.value(code);
                let expected = if code == 0x40 { !mandatory } else { kind.codes.contains(&code) };
                assert_eq!(
                    takes(&fields),
                    expected,
                    "{descriptor:#04x}, field {at} is of kind {}: {:02x?}",
                    kind.name,
                    fields[at]
                );
            }
        }
        // No type has a field more.
        for code in 0..=u8::MAX {
            let mut fields = good.clone();
            fields.push(sample_or_zeros(code));
            assert!(!takes(&fields), "{descriptor:#04x} with one field more: {code:#04x}");
        }
        // Nothing but a list is a composite.
        for code in 0..=u8::MAX {
            let value = [&[0, 0x53, descriptor], &sample_or_zeros(code)[..]].concat();
            let expected =
                matches!(code, 0x45 | 0xc0 | 0xd0) && kinds.iter().all(|(_, mandatory)| !mandatory);
            assert_eq!(read(&value), expected, "{value:02x?}");
        }
    }
}

#[test]
fn t2_every_format_code_as_a_section_and_as_a_descriptor() {
    let body = b"\0\x53\x77\x41";
    for code in 0..=u8::MAX {
        let value = sample_or_zeros(code);
        for (descriptor, kind) in [
            (0x71, "map"),
            (0x72, "map"),
            (0x74, "map"),
            (0x75, "binary"),
            (0x76, "list"),
            (0x77, "any"),
            (0x78, "map"),
        ] {
            let section = [&[0, 0x53, descriptor], &value[..]].concat();
            let message = match descriptor {
                0x75..=0x77 => section,
                0x78 => [body, &section[..]].concat(),
                _ => [&section[..], body].concat(),
            };
            let expected = Kind::named(kind).codes.contains(&code) || (code == 0x40 && kind == "any");
            let read = Message::decode(&message.clone().into());
            assert_eq!(read.is_ok(), expected, "{message:02x?}: {read:?}");
            let viewed = MessageView::scan(&message).and_then(|view| view.validate());
            assert_eq!(viewed.is_ok(), expected, "{message:02x?}: {viewed:?}");
        }
        // A performative, and a section, is named by an ulong or a symbol.
        let open = |descriptor: &[u8]| performative(&[&[0], descriptor, b"\xc0\x04\x01\xa1\x01x"].concat());
        let named = match code {
            0x53 => vec![code, 0x10],
            0x80 => vec![code, 0, 0, 0, 0, 0, 0, 0, 0x10],
            0xa3 => [&[code, 14], &b"amqp:open:list"[..]].concat(),
            0xb3 => [&[code, 0, 0, 0, 14], &b"amqp:open:list"[..]].concat(),
            _ => value,
        };
        assert_eq!(open(&named), matches!(code, 0x53 | 0x80 | 0xa3 | 0xb3), "{named:02x?}");
    }
}
