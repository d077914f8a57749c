//! Holds the tables of this crate against the specification's.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::{
    condition, descriptor,
    messaging::*,
    restricted::*,
    security::*,
    state::{Accepted, Rejected, Released},
    transactions::*,
    transport::*,
};
use crate::codec::code;

/// One line of `schema.tsv`.
struct Row {
    kind: &'static str,
    of: &'static str,
    item: &'static str,
    value: &'static str,
    datatype: &'static str,
    mandatory: bool,
    multiple: bool,
    default: &'static str,
    requires: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    include_str!("../../tests/data/schema.tsv").lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [_, kind, of, item, value, datatype, mandatory, multiple, default, requires] = columns[..] else {
            panic!("ten columns: {line}");
        };
        let (mandatory, multiple) = (mandatory == "true", multiple == "true");
        Row { kind, of, item, value, datatype, mandatory, multiple, default, requires }
    })
}

/// A composite as its table declares it.
struct Composite {
    code: u64,
    name: &'static str,
    fields: &'static [(&'static str, &'static str, &'static str)],
}

fn composites() -> Vec<Composite> {
    macro_rules! all {
        ($($type:ident)*) => {
            Vec::from([$(Composite { code: $type::CODE, name: $type::NAME, fields: $type::FIELDS }),*])
        };
    }
    all![
        Open Begin Attach Flow Transfer Disposition Detach End Close Error Received Accepted Rejected Released Modified
        Source Target Coordinator Declare Discharge Declared TransactionalState SaslMechanisms SaslInit SaslChallenge
        SaslResponse SaslOutcome Header Properties
    ]
}

/// The Rust type of a field of the specification.
fn rust_type(row: &Row) -> &'static str {
    match (row.of, row.item, row.datatype, row.requires) {
        ("begin", "handle-max", ..) => "u32",
        (_, _, "boolean", _) => "bool",
        (_, _, "ubyte", _) => "u8",
        (_, _, "ushort", _) => "u16",
        (_, _, "uint" | "milliseconds" | "seconds" | "message-format", _) => "u32",
        (_, _, "ulong", _) => "u64",
        (_, _, "string", _) | (_, _, "*", "address") => "Str",
        (_, _, "symbol" | "ietf-language-tag", _) => "Symbol",
        (_, _, "binary", _) | (_, _, "*", "txn-id") => "Bytes",
        (_, _, "timestamp", _) => "Timestamp",
        (_, _, "map" | "fields" | "filter-set" | "node-properties", _) => "Fields",
        (_, _, "transfer-number" | "delivery-number" | "sequence-no", _) => "Serial",
        (_, _, "handle", _) => "Handle",
        (_, _, "delivery-tag", _) => "DeliveryTag",
        (_, _, "role", _) => "Role",
        (_, _, "sender-settle-mode", _) => "SenderSettleMode",
        (_, _, "receiver-settle-mode", _) => "ReceiverSettleMode",
        (_, _, "terminus-durability", _) => "TerminusDurability",
        (_, _, "terminus-expiry-policy", _) => "TerminusExpiryPolicy",
        (_, _, "sasl-code", _) => "SaslCode",
        (_, _, "error", _) => "Error",
        (_, _, "*", "source") => "Source",
        (_, _, "*", "target") => "TargetKind",
        (_, _, "*", "delivery-state" | "outcome") => "DeliveryState",
        (_, _, "*", "message-id") => "MessageId",
        (_, _, "*", "global-tx-id") => "Value",
        (of, item, datatype, _) => panic!("{of}.{item} is of the unknown type {datatype}"),
    }
}

/// What the table says behind the type; `boxed` and `secret` are ours.
fn kind(row: &Row) -> &'static str {
    match (row.mandatory, row.multiple, row.default, row.requires) {
        (true, true, ..) => "mandatory multiple",
        (true, ..) => "mandatory",
        (_, true, ..) => "multiple",
        (.., "4294967295", _) => "(u32::MAX)",
        (.., "65535", _) => "(u16::MAX)",
        (.., "mixed", _) => "(SenderSettleMode::Mixed)",
        (.., "first", _) => "(ReceiverSettleMode::First)",
        (.., "none", _) => "(TerminusDurability::None)",
        (.., "session-end", _) => "(TerminusExpiryPolicy::SessionEnd)",
        (.., "", "outcome") => "outcome",
        (_, _, default, _) => default,
    }
}

#[test]
fn the_composites_are_those_of_the_specification() {
    let mut expected: BTreeMap<&str, Vec<(String, &str, &str)>> = BTreeMap::new();
    for row in rows().filter(|row| row.kind == "field") {
        expected.entry(row.of).or_default().push((row.item.replace('-', "_"), rust_type(&row), kind(&row)));
    }
    for composite in composites() {
        let name = composite.name.split(':').nth(1).unwrap();
        let expected = expected.remove(name).unwrap_or_default();
        let declared: Vec<_> = composite
            .fields
            .iter()
            .map(|(field, of, kind)| {
                let kind = match *kind {
                    "boxed" | "secret" => "",
                    "mandatory secret" => "mandatory",
                    kind => kind,
                };
                (String::from(*field), *of, kind)
            })
            .collect();
        assert_eq!(declared, expected, "{name}");
    }
    assert!(expected.is_empty(), "not declared: {expected:?}");
}

#[test]
fn the_positions_of_fields_are_in_sequence() {
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows().filter(|row| row.kind == "field") {
        let position = next.entry(row.of).or_default();
        assert_eq!(row.value, format!("{position}"), "{}.{}", row.of, row.item);
        *position += 1;
    }
}

#[test]
fn the_descriptors_are_those_of_the_specification() {
    let expected: BTreeMap<&str, u64> = rows()
        .filter(|row| row.kind == "descriptor")
        .map(|row| {
            let (domain, id) = row.value.split_once(':').unwrap();
            let part = |hex: &str| u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap();
            (row.item, part(domain) << 32 | part(id))
        })
        .collect();
    assert_eq!(descriptor::ALL.iter().copied().collect::<BTreeMap<_, _>>(), expected);
    for composite in composites() {
        assert_eq!(expected.get(composite.name), Some(&composite.code), "{}", composite.name);
    }
    for policy in LifetimePolicy::ALL {
        let name = format!("amqp:{}:list", with_dashes(&format!("{policy:?}")));
        assert_eq!(expected.get(name.as_str()), Some(&policy.code().into()), "{name}");
    }
}

#[test]
fn the_choices_are_those_of_the_specification() {
    let mut choices: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for row in rows().filter(|row| row.kind == "choice") {
        choices.entry(row.of).or_default().push((row.item.into(), row.value.into()));
    }
    let mut conditions: Vec<String> = Vec::new();
    for errors in ["amqp-error", "connection-error", "session-error", "link-error", "transaction-error"] {
        conditions.extend(choices.remove(errors).unwrap().into_iter().map(|(_, value)| value));
    }
    assert_eq!(condition::ALL, conditions);
    let modes = Vec::from(
        [distribution_mode::MOVE, distribution_mode::COPY]
            .map(|mode| (mode.as_str().into(), mode.as_str().into())),
    );
    assert_eq!(choices.remove("std-dist-mode"), Some(modes));
    let capabilities =
        txn_capability::ALL.iter().map(|name| (name[5..].into(), name.as_str().into())).collect();
    assert_eq!(choices.remove("txn-capability"), Some(capabilities));
    for (name, declared) in [
        ("role", Role::CHOICES),
        ("sender-settle-mode", SenderSettleMode::CHOICES),
        ("receiver-settle-mode", ReceiverSettleMode::CHOICES),
        ("terminus-durability", TerminusDurability::CHOICES),
        ("terminus-expiry-policy", TerminusExpiryPolicy::CHOICES),
        ("sasl-code", SaslCode::CHOICES),
    ] {
        let declared: Vec<_> = declared
            .iter()
            .map(|(choice, value)| (with_dashes(choice), String::from(value.trim_matches('"'))))
            .collect();
        assert_eq!(choices.remove(name), Some(declared), "{name}");
    }
    assert!(choices.is_empty(), "not declared: {choices:?}");
}

#[test]
fn the_format_codes_are_those_of_the_specification() {
    let expected: Vec<u8> = rows()
        .filter(|row| row.kind == "encoding")
        .map(|row| u8::from_str_radix(row.value.trim_start_matches("0x"), 16).unwrap())
        .collect();
    for code in 0..=u8::MAX {
        assert_eq!(code::is_known(code), expected.contains(&code), "{code:#04x}");
    }
}

/// `SysPerm` → `sys-perm`.
fn with_dashes(camel: &str) -> String {
    let mut name = String::new();
    for c in camel.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}
