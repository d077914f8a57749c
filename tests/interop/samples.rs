//! Messages that both sides know: those of `python/samples.py`, in every type and with every section.

use amqp1_engine::{
    Serial,
    codec::{Decimal32, Decimal64, Decimal128, Described, Map, Symbol, Timestamp, Uuid, Value},
    message::{Body, Message},
    types::{Header, MessageId, Properties},
};
use bytes::Bytes;

const ID: Uuid =
    Uuid([0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);

/// The names of all samples.
pub(crate) const NAMES: [&str; 6] = ["primitives", "compounds", "sections", "sequences", "text-ids", "null"];

/// The sample of this name.
pub(crate) fn sample(name: &str) -> Message {
    match name {
        "primitives" => Message::new(Value::List(simple())),
        "compounds" => Message::new(Value::List(compound())),
        "sections" => sections(),
        "sequences" => Message::new(Body::Sequence(vec![
            vec![Value::Long(1), "two".into()],
            Vec::new(),
            vec![Map::default().with("three", 3.0).into()],
        ])),
        "text-ids" => Message::new("ids").with_id("text").with_correlation_id(Bytes::from_static(b"octets")),
        "null" => Message::new(Value::Null),
        _ => panic!("there is no sample {name}"),
    }
}

/// Every primitive type that holds one value, at the borders of its encodings.
pub(crate) fn simple() -> Vec<Value> {
    let binary: Vec<u8> = (0..=255).collect();
    vec![
        Value::Null,
        true.into(),
        false.into(),
        0u8.into(),
        255u8.into(),
        0u16.into(),
        u16::MAX.into(),
        0u32.into(),
        255u32.into(),
        256u32.into(),
        u32::MAX.into(),
        0u64.into(),
        255u64.into(),
        256u64.into(),
        u64::MAX.into(),
        i8::MIN.into(),
        i8::MAX.into(),
        i16::MIN.into(),
        i16::MAX.into(),
        0i32.into(),
        (-128i32).into(),
        127i32.into(),
        128i32.into(),
        i32::MIN.into(),
        i32::MAX.into(),
        0i64.into(),
        (-128i64).into(),
        127i64.into(),
        (-129i64).into(),
        i64::MIN.into(),
        i64::MAX.into(),
        1.5f32.into(),
        f32::NEG_INFINITY.into(),
        (-0.0f64).into(),
        1.0e300f64.into(),
        Decimal32([0x22, 0x50, 0, 1]).into(),
        Decimal64([0x22, 0x38, 0, 0, 0, 0, 0, 1]).into(),
        Decimal128(std::array::from_fn(|at| at as u8)).into(),
        'é'.into(),
        '\u{1f407}'.into(),
        Timestamp(0).into(),
        Timestamp(-1).into(),
        Timestamp(1_767_225_600_123).into(),
        ID.into(),
        Bytes::new().into(),
        binary.into(),
        "".into(),
        "Grüße, \u{1f407}".into(),
        "x".repeat(255).into(),
        "x".repeat(256).into(),
        symbol("").into(),
        symbol("x-opt-symbol").into(),
        symbol(&"y".repeat(256)).into(),
    ]
}

/// Lists, maps, arrays and described values.
fn compound() -> Vec<Value> {
    let text = |text: &str| Value::from(text);
    vec![
        Value::List(Vec::new()),
        Value::List(vec![1u32.into(), Value::List(vec![true.into(), Value::List(vec![Value::Null])])]),
        Map::default().into(),
        Map::default()
            .with("text", 1i64)
            .with(symbol("symbol"), 2i64)
            .with(3u64, Value::List(vec![3i64.into()]))
            .with(ID, Map::default().with("deep", Bytes::from_static(b"\0")))
            .into(),
        Value::List(vec![text("x"); 256]),
        array([1u64, 1 << 40]),
        array([text("a"), text(""), text(&"é".repeat(200))]),
        array([symbol("a"), symbol("bc")]),
        array([true, false]),
        array([ID]),
        array([-1i32, 1].map(|at| Described::new(symbol("x:point"), at))),
        Described::new(symbol("x:unknown"), vec![Value::Uint(7)]).into(),
        Described::new(0x0000_468c_0000_0004, amqp1_engine::codec::Str::from("selector")).into(),
    ]
}

/// Every section, with every field that it has.
fn sections() -> Message {
    Message {
        header: Some(Header {
            durable: Some(true),
            priority: Some(9),
            ttl: Some(60_000),
            first_acquirer: Some(true),
            delivery_count: Some(3),
        }),
        delivery_annotations: Some(Map::default().with(symbol("x-opt-delivery"), 1u32)),
        message_annotations: Some(Map::default().with(symbol("x-opt-message"), "annotated").with(7u64, true)),
        properties: Some(Properties {
            message_id: Some(42.into()),
            user_id: Some(Bytes::from_static(b"guest")),
            to: Some("to".into()),
            subject: Some("subject".into()),
            reply_to: Some("reply-to".into()),
            correlation_id: Some(MessageId::Uuid(ID)),
            content_type: Some(symbol("application/octet-stream")),
            content_encoding: Some(symbol("identity")),
            absolute_expiry_time: Some(Timestamp(1_767_225_600_123)),
            creation_time: Some(Timestamp(1_767_225_600_000)),
            group_id: Some("group".into()),
            group_sequence: Some(Serial::new(u32::MAX - 3)),
            reply_to_group_id: Some("reply-to-group".into()),
        }),
        application_properties: Some(
            simple().into_iter().enumerate().fold(Map::default(), |properties, (at, value)| {
                properties.with(format!("property {at}"), value)
            }),
        ),
        body: Body::Data(["first", "", "third"].into_iter().collect()),
        footer: Some(Map::default().with(symbol("x-opt-footer"), Bytes::from_static(b"sum"))),
    }
}

fn array<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    Value::array(values).expect("all of one type")
}

fn symbol(text: &str) -> Symbol {
    Symbol::try_from(text).expect("ASCII")
}
