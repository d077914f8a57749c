//! The codec cases: what is encoded and decoded once per iteration.

use std::{hint::black_box, str::FromStr};

use amqp1_engine::{
    Serial,
    codec::{Decode, DecodeError, Encode, Map, MapRef, Symbol, SymbolRef, Timestamp, Value, ValueRef},
    message::{MessageIdRef, MessageRef, MessageView, PropertiesRef},
    types::{DeliveryState, DeliveryTag, Disposition, Flow, Handle, Header, Role, Transfer},
};
use bytes::Bytes;

/// What is encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A transfer with handle, delivery-id, a tag of 4 bytes, format and settled, and 100 bytes of payload copied.
    Transfer,
    /// A flow with seven fields.
    Flow,
    /// A disposition with role, first, last, settled and accepted.
    Disposition,
    /// A message with header, properties, five application properties and 1 KiB of data, built anew each time.
    Message,
    /// A map of 100 entries: string keys, values of ten types in turn.
    Map,
}

/// Payload of a transfer.
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Body of a message.
const DATA: [u8; 1024] = [b'x'; 1024];

impl Case {
    /// Every case.
    pub const ALL: [Self; 5] = [Self::Transfer, Self::Flow, Self::Disposition, Self::Message, Self::Map];

    /// As the option names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Flow => "flow",
            Self::Disposition => "disposition",
            Self::Message => "message",
            Self::Map => "map",
        }
    }

    /// Makes the work of this case ready.
    #[must_use]
    pub fn prepare(self) -> Codec {
        let map = if self == Self::Map { map() } else { Map::new() };
        let (encode, decode): (Encoder, Decoder) = match self {
            Self::Transfer => (write_transfer, read_transfer),
            Self::Flow => (|_, n, out| flow(n).encode(out), |_, encoded| read_flow(encoded)),
            Self::Disposition => {
                (|_, n, out| disposition(n).encode(out), |_, encoded| read_disposition(encoded))
            }
            Self::Message => (|_, n, out| write_message(n.into(), out), |_, encoded| read_message(encoded)),
            Self::Map => {
                (|codec, _, out| codec.map.encode(out), |_, encoded| read_map(MapRef::decode(encoded)?))
            }
        };
        Codec { encode, decode, map, received: Vec::new() }
    }
}

impl FromStr for Case {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|case| case.name() == name).ok_or(())
    }
}

/// A case made ready. Which one it is was decided when it was made: choosing costs nothing each time.
pub struct Codec {
    encode: Encoder,
    decode: Decoder,
    map: Map,
    /// Where the payload of a transfer is copied to.
    received: Vec<u8>,
}

type Encoder = fn(&Codec, u32, &mut Vec<u8>);
type Decoder = fn(&mut Codec, &[u8]) -> Result<u64, DecodeError>;

impl Codec {
    /// Appends the encoding for iteration `n`.
    #[inline]
    pub fn encode(&self, n: u32, out: &mut Vec<u8>) {
        (self.encode)(self, n, out);
    }

    /// Reads everything of an encoding, and adds up what it read so that none of it can be left out.
    ///
    /// # Errors
    ///
    /// When the encoding is not one of [`encode`](Self::encode).
    #[inline]
    pub fn decode(&mut self, encoded: &[u8]) -> Result<u64, DecodeError> {
        (self.decode)(self, encoded)
    }
}

fn write_transfer(_: &Codec, n: u32, out: &mut Vec<u8>) {
    transfer(n).encode(out);
    out.extend_from_slice(&PAYLOAD);
}

fn read_transfer(codec: &mut Codec, encoded: &[u8]) -> Result<u64, DecodeError> {
    let mut transfer = Transfer::new(Handle(0));
    let payload = transfer.parse_from(encoded)?;
    codec.received.clear();
    codec.received.extend_from_slice(payload);
    let transfer = black_box(&transfer);
    let tag = transfer.delivery_tag.map_or(0, |tag| tag.as_bytes().len());
    Ok(u64::from(transfer.delivery_id.map_or(0, Serial::get)) + tag as u64)
}

fn read_flow(encoded: &[u8]) -> Result<u64, DecodeError> {
    let mut flow = Flow::new(0, Serial::new(0), 0);
    flow.parse_from(encoded)?;
    Ok(black_box(&flow).next_outgoing_id.get().into())
}

fn read_disposition(encoded: &[u8]) -> Result<u64, DecodeError> {
    let mut disposition = Disposition::new(Role::Sender, Serial::new(0));
    disposition.parse_from(encoded)?;
    let disposition = black_box(&disposition);
    let accepted = disposition.state == Some(DeliveryState::Accepted);
    Ok(u64::from(disposition.first.get()) + u64::from(accepted))
}

fn transfer(n: u32) -> Transfer {
    Transfer {
        delivery_id: Some(Serial::new(n)),
        delivery_tag: DeliveryTag::new(&n.to_be_bytes()).ok(),
        message_format: Some(0),
        settled: Some(false),
        ..Transfer::new(Handle(0))
    }
}

fn flow(n: u32) -> Flow {
    Flow {
        next_incoming_id: Some(Serial::new(n)),
        handle: Some(Handle(0)),
        delivery_count: Some(Serial::new(n)),
        link_credit: Some(1000),
        ..Flow::new(2048_u32, Serial::new(n), 2048_u32)
    }
}

fn disposition(n: u32) -> Disposition {
    Disposition {
        last: Some(Serial::new(n).plus(99)),
        settled: true,
        state: Some(DeliveryState::Accepted),
        ..Disposition::new(Role::Receiver, Serial::new(n))
    }
}

/// Builds the message of iteration `n` from parts that are known, and writes it.
fn write_message(n: u64, out: &mut Vec<u8>) {
    MessageRef {
        header: Header { durable: Some(true), priority: Some(5), ttl: Some(60_000), ..Header::default() },
        properties: PropertiesRef {
            message_id: Some(MessageIdRef::Ulong(n)),
            to: Some("queues/orders".into()),
            reply_to: Some("queues/replies".into()),
            correlation_id: Some(MessageIdRef::Ulong(n + 7)),
            subject: Some("order-created".into()),
            content_type: SymbolRef::try_from("application/octet-stream").ok(),
            ..PropertiesRef::default()
        },
        application_properties: &[
            ("tenant".into(), ValueRef::String("acme".into())),
            ("attempt".into(), ValueRef::Int(3)),
            ("trace".into(), ValueRef::String("0af7651916cd43dd8448eb211c80319c".into())),
            ("size".into(), ValueRef::Long(123_456_789)),
            ("urgent".into(), ValueRef::Bool(true)),
        ],
        ..MessageRef::new(&DATA[..])
    }
    .encode(out);
}

fn read_message(encoded: &[u8]) -> Result<u64, DecodeError> {
    let message = MessageView::scan(encoded)?;
    let header = message.header()?;
    let properties = message.properties()?;
    let texts = [properties.to, properties.reply_to, properties.subject];
    let mut sum = u64::from(header.ttl.unwrap_or(0)) + u64::from(properties.message_id.is_some());
    sum += texts.iter().flatten().map(|text| text.len() as u64).sum::<u64>();
    sum += properties.content_type.map_or(0, |text| text.len() as u64);
    for entry in message.application_properties().iter() {
        let (name, value) = entry?;
        sum += name.len() as u64 + weight(value);
    }
    Ok(sum + message.body().as_binary().map_or(0, <[u8]>::len) as u64)
}

fn map() -> Map {
    (0..100_u32)
        .map(|i| {
            let value = match i % 10 {
                0 => Value::Int(i as i32 * 1000),
                1 => Value::Long(i64::from(i) * 100_000),
                2 => "a short string value".into(),
                3 => Value::Bool(i & 1 == 1),
                4 => Value::Double(f64::from(i) * 0.5),
                5 => Value::Binary(Bytes::from_static(&[1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
                6 => Symbol::from_static("a-symbol").into(),
                7 => Timestamp(1_700_000_000_000 + i64::from(i)).into(),
                8 => Value::Ulong(i.into()),
                _ => Value::Uint(i * 7),
            };
            (format!("key-{i:03}"), value)
        })
        .collect()
}

fn read_map(map: MapRef<'_>) -> Result<u64, DecodeError> {
    let mut sum = 0_u64;
    for entry in map {
        if let (ValueRef::String(key), value) = entry? {
            sum = sum.wrapping_add(key.len() as u64).wrapping_add(weight(value));
        }
    }
    Ok(sum)
}

/// Something that only who has read the value can tell.
fn weight(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Bool(value) => value.into(),
        ValueRef::Uint(value) => value.into(),
        ValueRef::Ulong(value) => value,
        ValueRef::Int(value) => value as u64,
        ValueRef::Long(value) | ValueRef::Timestamp(Timestamp(value)) => value as u64,
        ValueRef::Double(value) => value.to_bits(),
        ValueRef::Binary(octets) => octets.len() as u64,
        ValueRef::String(text) => text.len() as u64,
        ValueRef::Symbol(text) => text.len() as u64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use amqp1_engine::message::Message;

    use super::*;

    #[test]
    fn every_case_reads_what_it_writes() {
        for case in Case::ALL {
            assert_eq!(case.name().parse(), Ok(case));
            let mut codec = case.prepare();
            let mut encoded = Vec::new();
            codec.encode(7, &mut encoded);
            assert!(codec.decode(&encoded).unwrap() > 0, "{case:?}");
            assert!(codec.decode(&encoded[..10]).is_err(), "{case:?}");
        }
    }

    #[test]
    fn contents_are_those_that_other_implementations_encode() {
        let mut encoded = Vec::new();
        Case::Map.prepare().encode(0, &mut encoded);
        let map = Map::decode(&encoded).unwrap();
        assert_eq!((map.len(), map.get("key-090")), (100, Some(&Value::Int(90_000))));
        encoded.clear();
        Case::Message.prepare().encode(1, &mut encoded);
        let message = Message::decode(&encoded.into()).unwrap();
        assert_eq!(message.correlation_id(), Some(&8_u64.into()));
        assert_eq!(message.property("size"), Some(&Value::Long(123_456_789)));
    }
}
