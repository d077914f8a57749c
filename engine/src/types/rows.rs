//! Rows T16 to T19 of the robustness checklist, and round trips of every type.

use alloc::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    Serial,
    codec::{
        Array, Decode, DecodeError, DecodeErrorKind as Kind, Described, Encode, Map, Symbol, Symbols, Value,
        code, sample::arbitrary,
    },
};

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A composite with these fields, whatever they are.
fn composite(descriptor: u64, fields: impl Into<Vec<Value>>) -> Vec<u8> {
    encoded(&Described::new(descriptor, fields.into()))
}

/// A composite of the specification with widths of four bytes and a descriptor that is a symbol; nothing for what is none, as
/// the described values are that a field takes besides.
fn widened(bytes: &[u8]) -> Option<Vec<u8>> {
    let [code::DESCRIBED, code::SMALLULONG, number, list @ ..] = bytes else { return None };
    let (name, _) = descriptor::ALL.iter().find(|(_, known)| known == &u64::from(*number))?;
    let (count, items) = match list {
        [code::LIST0] => (0, &[][..]),
        [code::LIST8, _, count, items @ ..] => (u32::from(*count), items),
        [code::LIST32, _, _, _, _, a, b, c, d, items @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), items),
        _ => return None,
    };
    let mut out = vec![code::DESCRIBED];
    Symbol::from_static(name).encode(&mut out);
    out.push(code::LIST32);
    out.extend_from_slice(&(items.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(items);
    Some(out)
}

/// Every type comes back from its encoding, from a wider one, and not from a part of it.
macro_rules! round_trips {
    ($($test:ident: $type:ty;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(
                #[test]
                fn $test(value in arbitrary::<$type>()) {
                    let bytes = encoded(&value);
                    prop_assert_eq!(<$type>::decode(&bytes), Ok(value.clone()));
                    prop_assert!(Value::decode(&bytes).is_ok());
                    if let Some(widened) = widened(&bytes) {
                        prop_assert_eq!(<$type>::decode(&widened), Ok(value));
                    }
                    for end in 0..bytes.len() {
                        prop_assert!(<$type>::decode(&bytes[..end]).is_err(), "cut at {}", end);
                    }
                }
            )*
        }
    };
}

round_trips! {
    open_comes_back: Open;
    begin_comes_back: Begin;
    attach_comes_back: Attach;
    flow_comes_back: Flow;
    transfer_comes_back: Transfer;
    disposition_comes_back: Disposition;
    detach_comes_back: Detach;
    end_comes_back: End;
    close_comes_back: Close;
    error_comes_back: Error;
    received_comes_back: Received;
    modified_comes_back: Modified;
    source_comes_back: Source;
    target_comes_back: Target;
    target_kind_comes_back: TargetKind;
    coordinator_comes_back: Coordinator;
    declare_comes_back: Declare;
    discharge_comes_back: Discharge;
    declared_comes_back: Declared;
    transactional_state_comes_back: TransactionalState;
    delivery_state_comes_back: DeliveryState;
    lifetime_policy_comes_back: LifetimePolicy;
    sasl_mechanisms_come_back: SaslMechanisms;
    sasl_init_comes_back: SaslInit;
    sasl_challenge_comes_back: SaslChallenge;
    sasl_response_comes_back: SaslResponse;
    sasl_outcome_comes_back: SaslOutcome;
    header_comes_back: Header;
    properties_come_back: Properties;
    message_id_comes_back: MessageId;
    role_comes_back: Role;
    sender_settle_mode_comes_back: SenderSettleMode;
    receiver_settle_mode_comes_back: ReceiverSettleMode;
    terminus_durability_comes_back: TerminusDurability;
    terminus_expiry_policy_comes_back: TerminusExpiryPolicy;
    sasl_code_comes_back: SaslCode;
    handle_comes_back: Handle;
    delivery_tag_comes_back: DeliveryTag;
}

proptest! {
    #[test]
    fn a_performative_comes_back_with_its_payload(value in arbitrary::<Performative>(), payload: Vec<u8>) {
        let mut bytes = encoded(&value);
        bytes.extend_from_slice(&payload);
        prop_assert_eq!(Performative::decode(&bytes), Ok((value, payload.as_slice())));
    }
}

#[track_caller]
fn refused<T: for<'a> Decode<'a> + core::fmt::Debug>(bytes: &[u8], kind: Kind, text: &str) {
    let error: DecodeError = T::decode(bytes).unwrap_err();
    assert_eq!((error.kind(), format!("{error}").as_str()), (kind, text));
}

//= 1.3-01
#[test]
fn t16_a_mandatory_field_that_is_null_or_missing_is_refused() {
    let text = "open.container-id: a mandatory field is missing";
    refused::<Open>(&composite(Open::CODE, []), Kind::MissingField, text);
    refused::<Open>(&composite(Open::CODE, [Value::Null, "host".into()]), Kind::MissingField, text);
    let text = "flow.outgoing-window: a mandatory field is missing";
    refused::<Flow>(
        &composite(Flow::CODE, [Value::Null, 1u32.into(), 1u32.into()]),
        Kind::MissingField,
        text,
    );
    let text = "disposition.first: a mandatory field is missing";
    refused::<Disposition>(&composite(Disposition::CODE, [true.into()]), Kind::MissingField, text);
    let text = "transfer.handle: a mandatory field is missing";
    refused::<Transfer>(&composite(Transfer::CODE, []), Kind::MissingField, text);
}

#[test]
fn t16_a_composite_is_a_list() {
    let map = encoded(&Described::new(End::CODE, Map::new()));
    refused::<End>(&map, Kind::UnexpectedType(code::MAP8), "a value of format code 0xc1 is not allowed here");
    let array = encoded(&Described::new(End::CODE, Array::new([1u8]).unwrap()));
    assert!(End::decode(&array).is_err());
    let other = encoded(&Close::default());
    refused::<End>(&other, Kind::UnknownDescriptor, "end: the descriptor is unknown or not allowed here");
    assert!(End::decode(&[code::LIST0]).is_err());
}

#[test]
fn t17_a_field_of_another_type_or_choice_is_refused() {
    let text = "open.max-frame-size: a value of format code 0x44 is not allowed here";
    let open = composite(Open::CODE, ["id".into(), Value::Null, 0u64.into()]);
    refused::<Open>(&open, Kind::UnexpectedType(code::ULONG0), text);

    let attach = |snd: u8, rcv: u8| {
        composite(Attach::CODE, ["l".into(), 0u32.into(), true.into(), snd.into(), rcv.into()])
    };
    assert!(Attach::decode(&attach(2, 1)).is_ok());
    let text = "attach.snd-settle-mode: the value is none of the choices";
    refused::<Attach>(&attach(3, 0), Kind::UnknownChoice, text);
    let text = "attach.rcv-settle-mode: the value is none of the choices";
    refused::<Attach>(&attach(0, 2), Kind::UnknownChoice, text);

    let source = |durable: u32, expiry: &'static str| {
        composite(Source::CODE, [Value::Null, durable.into(), Symbol::from_static(expiry).into()])
    };
    assert!(Source::decode(&source(2, "never")).is_ok());
    let text = "source.durable: the value is none of the choices";
    refused::<Source>(&source(3, "never"), Kind::UnknownChoice, text);
    let text = "source.expiry-policy: the value is none of the choices";
    refused::<Source>(&source(0, "tomorrow"), Kind::UnknownChoice, text);

    let text = "sasl-outcome.code: the value is none of the choices";
    refused::<SaslOutcome>(&composite(SaslOutcome::CODE, [Value::from(5u8)]), Kind::UnknownChoice, text);
    let text = "source.address: a value of format code 0x54 is not allowed here";
    refused::<Source>(
        &composite(Source::CODE, [Value::from(1i32)]),
        Kind::UnexpectedType(code::SMALLINT),
        text,
    );
}

#[test]
fn t18_more_fields_than_the_type_has_are_refused() {
    refused::<End>(
        &composite(End::CODE, [Value::Null, Value::Null]),
        Kind::TooManyFields,
        "end: there are more fields than the type has",
    );
    let mut disposition = vec![Value::from(true), Value::from(1u32)];
    disposition.resize(6, Value::Null);
    assert!(Disposition::decode(&composite(Disposition::CODE, disposition.clone())).is_ok());
    disposition.push(Value::Null);
    assert!(Disposition::decode(&composite(Disposition::CODE, disposition)).is_err());
    // The list says so, or there are bytes that no field takes.
    assert!(End::decode(&[code::DESCRIBED, code::SMALLULONG, 0x17, code::LIST8, 2, 0, code::NULL]).is_err());
}

//= 1.3-02 1.4-X1
#[test]
fn t19_a_multiple_field_is_one_value_an_array_or_null() {
    let symbol = |text: &str| Symbol::try_from(text).unwrap();
    let capabilities = |value: Value| {
        Coordinator::decode(&composite(Coordinator::CODE, [value]))
            .map(|coordinator| coordinator.capabilities)
    };
    assert_eq!(capabilities(symbol("a").into()), Ok([symbol("a")].into()));
    assert_eq!(capabilities(vec![symbol("a"), symbol("b")].into()), Ok([symbol("a"), symbol("b")].into()));
    assert_eq!(capabilities(vec![symbol("a"), symbol(&"b".repeat(256))].into()).unwrap().len(), 2);
    assert_eq!(capabilities(Vec::<Symbol>::new().into()), Ok(Symbols::new()));
    assert_eq!(capabilities(Value::Null), Ok(Symbols::new()));
    assert!(capabilities("a".into()).is_err());
    assert!(capabilities(vec![Value::from(symbol("a"))].into()).is_err());
    assert!(capabilities(Array::new(["a"]).unwrap().into()).is_err());
    assert!(capabilities(Array::default().into()).is_err());
    assert!(capabilities(Array::new([Described::new(1u64, symbol("a"))]).unwrap().into()).is_err());
}

//= 1.3-04
#[test]
fn t19_a_mandatory_multiple_field_has_a_value() {
    let text = "sasl-mechanisms.sasl-server-mechanisms: a mandatory field is missing";
    for none in [Value::Null, Vec::<Symbol>::new().into()] {
        refused::<SaslMechanisms>(&composite(SaslMechanisms::CODE, [none]), Kind::MissingField, text);
    }
    refused::<SaslMechanisms>(&composite(SaslMechanisms::CODE, []), Kind::MissingField, text);
    // One alone is written as an array all the same.
    let one = SaslMechanisms::new([Symbol::from_static("PLAIN")].into());
    assert_eq!(encoded(&one), b"\x00\x53\x40\xc0\x0b\x01\xe0\x08\x01\xa3\x05PLAIN");
}

//= 1.3-02
#[test]
fn one_of_multiple_stands_for_itself() {
    let coordinator = Coordinator { capabilities: [Symbol::from_static("a")].into() };
    assert_eq!(encoded(&coordinator), b"\x00\x53\x30\xc0\x04\x01\xa3\x01a");
}

#[test]
fn states_do_not_nest() {
    let inner = TransactionalState::new("txn".into());
    let state = |outcome| {
        composite(TransactionalState::CODE, [Value::from(bytes::Bytes::from_static(b"t")), outcome])
    };
    let described = |state: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        state(&mut bytes);
        Value::decode(&bytes).unwrap()
    };
    let text = "transactional-state.outcome: the descriptor is unknown or not allowed here";
    for not_an_outcome in
        [described(&|out| inner.encode(out)), described(&|out| Received::new(0, 0).encode(out))]
    {
        refused::<TransactionalState>(&state(not_an_outcome), Kind::UnknownDescriptor, text);
    }
    let accepted = state(described(&|out| DeliveryState::Accepted.encode(out)));
    assert_eq!(TransactionalState::decode(&accepted).unwrap().outcome, Some(DeliveryState::Accepted));
}

#[test]
fn an_overlong_tag_is_named() {
    let transfer = composite(Transfer::CODE, [0u32.into(), 0u32.into(), Value::from(vec![7u8; 33])]);
    refused::<Transfer>(
        &transfer,
        Kind::TagTooLong,
        "transfer.delivery-tag: a delivery-tag is longer than 32 bytes",
    );
}

#[test]
fn debug_shows_what_is_set() {
    let disposition = Disposition { settled: true, ..Disposition::new(Role::Receiver, Serial::new(3)) };
    assert_eq!(format!("{disposition:?}"), "Disposition { role: Receiver, first: 3, settled: true }");
    let source = Source { address: Some("q".into()), ..Source::default() };
    let attach = Attach { source: Some(source.into()), ..Attach::new("l", Handle(1), Role::Sender) };
    assert_eq!(
        format!("{attach:?}"),
        r#"Attach { name: "l", handle: 1, role: Sender, source: Source { address: "q" } }"#
    );
}

#[test]
fn secrets_are_not_shown() {
    let init = SaslInit {
        initial_response: Some(bytes::Bytes::from_static(b"\0user\0hunter2")),
        ..SaslInit::new(Symbol::from_static("PLAIN"))
    };
    assert_eq!(format!("{init:?}"), r#"SaslInit { mechanism: "PLAIN", initial_response: *** }"#);
    let response = SaslResponse::new("hunter2".into());
    assert_eq!(format!("{response:?}"), "SaslResponse { response: *** }");
}
