//! Bytes to values and back.

use std::fmt::Debug;

use amqp1_engine::{
    Serial,
    codec::{Decode, Encode, Value, ValueRef},
    message::{Message, MessageRef, MessageView, Relay},
    types::{Disposition, Flow, Handle, Performative, ReceiverSettleMode, Role, Transfer},
};
use bytes::Bytes;

/// Serial numbers against their definition: `steps` lead from `origin` to `origin.plus(steps)`.
pub fn serial(origin: Serial, steps: u32) {
    let end = origin.plus(steps);
    assert_eq!(end.distance_from(origin), steps as i32);
    assert_eq!(origin.precedes(end), (1..=1 << 31).contains(&steps));
}

/// Values one after the other. The owned and the borrowed reader take and refuse the same; what was read can be
/// written and read again, and gives the same.
pub fn value(mut input: &[u8]) {
    while !input.is_empty() {
        let owned = Value::parse(input);
        let borrowed = ValueRef::parse(input).and_then(|(rest, value)| match value.validate() {
            Ok(()) => Ok((rest, value)),
            Err(error) => Err(nom::Err::Error(error)),
        });
        let Ok((rest, value)) = owned else {
            assert!(borrowed.is_err(), "taken borrowed only: {borrowed:?}");
            return;
        };
        let (borrowed_rest, borrowed) = borrowed.expect("what can be read owned can be read borrowed");
        assert_eq!(rest, borrowed_rest);
        assert_eq!(borrowed.to_value().expect("it was validated"), value);
        let mut written = Vec::new();
        value.encode(&mut written);
        assert_eq!(Value::decode(&written).expect("what we write we can read"), value);
        input = rest;
    }
}

/// The body of a frame. A performative that was read can be written and read again, and gives the same.
pub fn frame(input: &[u8]) {
    let Ok((performative, payload)) = Performative::decode(input) else { return };
    let mut written = Vec::new();
    performative.encode(&mut written);
    written.extend_from_slice(payload);
    let (again, rest) = Performative::decode(&written).expect("what we write we can read");
    assert_eq!((again, rest), (performative, payload));
}

/// An encoded message. The owned and the borrowed reader take and refuse the same; what was read can be written, relayed
/// and printed.
pub fn message(input: &[u8]) {
    let encoded = Bytes::copy_from_slice(input);
    let owned = Message::decode(&encoded);
    let borrowed = MessageView::scan(input).and_then(|view| view.validate());
    assert_eq!(owned.is_ok(), borrowed.is_ok(), "owned: {owned:?}, borrowed: {borrowed:?}");
    let relay = Relay::new(&encoded);
    let Ok(message) = owned else { return };
    let view = MessageView::scan(input).expect("it was scanned");
    assert_eq!(message.body.to_string(), view.body().to_string());
    let properties = view.properties().expect("they were validated");
    let application_properties: Vec<_> =
        view.application_properties().iter().collect::<Result<_, _>>().expect("they were validated");
    let in_parts = MessageRef {
        header: view.header().expect("it was validated"),
        properties,
        application_properties: &application_properties,
        ..MessageRef::new(view.body())
    };
    assert_eq!(in_parts.header, message.header.clone().unwrap_or_default());
    assert_eq!(properties.to_properties(), message.properties.clone().unwrap_or_default());
    let properties = view.application_properties().to_map().expect("it was validated");
    assert_eq!(properties, message.application_properties.clone().unwrap_or_default());

    let mut written = Vec::new();
    in_parts.encode(&mut written);
    let again = Message::decode(&written.into()).expect("what we write we can read");
    assert_eq!(again.header.unwrap_or_default(), in_parts.header);
    assert_eq!(again.properties.unwrap_or_default(), in_parts.properties.to_properties());
    assert_eq!(again.application_properties.unwrap_or_default(), properties);
    assert_eq!(again.body, message.body);

    let mut written = Vec::new();
    message.encode(&mut written);
    assert_eq!(Message::decode(&written.into()).expect("what we write we can read"), message);

    let relayed = relay.expect("a message can be relayed").payload().into_bytes();
    let relayed = Message::decode(&relayed).expect("what we relay we can read");
    assert_eq!(relayed.properties, message.properties);
    assert_eq!(relayed.application_properties, message.application_properties);
    assert_eq!(relayed.body, message.body);
}

/// A list of fields, as that of a transfer, flow or disposition: what is read by hand where the list is short gives the
/// same, or fails for the same reason, as the general reader that a list in its long form is left to.
///
/// The first bytes are the kind, the size if it is not the right one, the count of fields and their length; payload follows.
pub fn hot(input: &[u8]) {
    let [kind, size, count, len, bytes @ ..] = input else { return };
    let code = [0x13, 0x14, 0x15][usize::from(kind % 3)];
    let (fields, payload) = bytes.split_at(bytes.len().min((*len).into()));
    let size = if *size == 0 { (fields.len() + 1).min(255) as u8 } else { *size };
    let short = [&[0, 0x53, code, 0xc0, size, *count], fields, payload].concat();
    let long_size = (u32::from(size) + 3).to_be_bytes();
    let long_count = u32::from(*count).to_be_bytes();
    let long = [&[0, 0x53, code, 0xd0], &long_size[..], &long_count, fields, payload].concat();
    let number = Serial::new(size.into());
    match code {
        0x13 => {
            let set = Some(number.get());
            let other = Flow {
                next_incoming_id: Some(number),
                handle: Some(Handle(7)),
                delivery_count: Some(number),
                link_credit: set,
                available: set,
                drain: true,
                echo: true,
                ..Flow::new(1, number, 2)
            };
            hot_form(other, &short, &long);
        }
        0x14 => {
            let other = Transfer {
                delivery_id: Some(number),
                delivery_tag: Some(u64::from(size).into()),
                message_format: Some(7),
                settled: Some(true),
                more: true,
                rcv_settle_mode: Some(ReceiverSettleMode::Second),
                resume: true,
                aborted: true,
                batchable: true,
                ..Transfer::new(Handle(7))
            };
            hot_form(other, &short, &long);
        }
        _ => {
            let other = Disposition {
                last: Some(number),
                settled: true,
                batchable: true,
                ..Disposition::new(Role::Receiver, number)
            };
            hot_form(other, &short, &long);
        }
    }
}

/// Compares the short form, read by itself and in the place of `other`, with the long one, and what is written of it.
fn hot_form<T>(mut other: T, short: &[u8], long: &[u8])
where
    T: for<'a> Decode<'a> + Encode + PartialEq + Debug,
{
    let by_hand = T::parse(short);
    assert_eq!(by_hand, T::parse(long));
    let in_place = other.parse_from(short);
    let Ok((rest, value)) = by_hand else {
        assert_eq!(in_place.map_err(nom::Err::Error).err(), by_hand.err());
        return;
    };
    assert_eq!((in_place, &other), (Ok(rest), &value));
    let mut written = Vec::new();
    value.encode(&mut written);
    let [0, 0x53, code, 0xc0, size, count, fields @ ..] = &written[..] else {
        assert!(written.len() > 255 || written[3] == 0x45, "a list that is not as short as can be");
        return;
    };
    assert_eq!(usize::from(*size), fields.len() + 1);
    let long = [
        &[0, 0x53, *code, 0xd0][..],
        &(u32::from(*size) + 3).to_be_bytes(),
        &u32::from(*count).to_be_bytes(),
        fields,
        rest,
    ];
    assert_eq!(T::parse(&long.concat()), Ok((rest, value)), "what is written by hand");
}
