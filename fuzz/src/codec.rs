//! Bytes to values and back.

use amqp1_engine::{
    Serial,
    codec::{Decode, Encode, Value, ValueRef},
    message::{Message, MessageView, Relay},
    types::Performative,
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
    assert_eq!(
        message.body.to_string(),
        MessageView::scan(input).expect("it was scanned").body().to_string()
    );

    let mut written = Vec::new();
    message.encode(&mut written);
    assert_eq!(Message::decode(&written.into()).expect("what we write we can read"), message);

    let relayed = relay.expect("a message can be relayed").payload().into_bytes();
    let relayed = Message::decode(&relayed).expect("what we relay we can read");
    assert_eq!(relayed.properties, message.properties);
    assert_eq!(relayed.application_properties, message.application_properties);
    assert_eq!(relayed.body, message.body);
}
