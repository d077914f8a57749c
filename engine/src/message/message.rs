use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Annotations, ApplicationProperties, Body, BodyRef, MessageView, section};
use crate::{
    codec::{DecodeError, Encode, ListRef, Map, Str, Symbol, Value, ValueRef},
    types::{Header, MessageId, Properties},
};

/// A message that owns its parts (§3.2).
///
/// `Display` shows it in one line: what is set of the properties, the application properties and the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// How it is to be transferred (§3.2.1).
    pub header: Option<Header>,
    /// What concerns the next node alone (§3.2.2); keys are symbols.
    pub delivery_annotations: Option<Map>,
    /// What the infrastructure has to say of it (§3.2.3); keys are symbols.
    pub message_annotations: Option<Map>,
    /// What the specification lets an application say of it (§3.2.4).
    pub properties: Option<Properties>,
    /// What else an application says of it (§3.2.5); keys are strings, values no lists, maps or arrays.
    pub application_properties: Option<Map>,
    /// What it is about (§3.2.6 to §3.2.8).
    pub body: Body,
    /// What can be said only after all the rest: hashes, signatures (§3.2.9); keys are symbols.
    pub footer: Option<Map>,
}

/// Data of this many bytes and more stays where it is when a message is encoded or decoded: to copy less is cheaper
/// than to count references, and keeps no read buffer alive.
const SHARE_FROM: usize = 1024;

impl Message {
    /// A message with this body and nothing else.
    //= 3.2.4-10 3.2.4-11 3.2.4-12 3.2.4-13 3.2.4-14 3.2.4-X1
    #[must_use]
    pub fn new(body: impl Into<Body>) -> Self {
        Self {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: None,
            application_properties: None,
            body: body.into(),
            footer: None,
        }
    }

    /// Reads a message that takes all of `encoded`; large binaries of the body are shared, the rest is copied.
    ///
    /// # Errors
    ///
    /// When it is no message (see [`MessageView::scan`]), or anything inside is malformed or of a type that its
    /// section does not allow.
    pub fn decode(encoded: &Bytes) -> Result<Self, DecodeError> {
        let view = MessageView::scan(encoded)?;
        Ok(Self {
            header: view.header.map(Header::parse_fields).transpose()?.map(|(_, header)| header),
            delivery_annotations: view
                .delivery_annotations
                .map(|map| Annotations(map).to_map())
                .transpose()?,
            message_annotations: view.message_annotations.map(|map| Annotations(map).to_map()).transpose()?,
            properties: view
                .properties
                .map(Properties::parse_fields)
                .transpose()?
                .map(|(_, properties)| properties),
            application_properties: view
                .application_properties
                .map(|map| ApplicationProperties(map).to_map())
                .transpose()?,
            body: decode_body(view.body, encoded)?,
            footer: view.footer.map(|map| Annotations(map).to_map()).transpose()?,
        })
    }

    /// Names the message.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<MessageId>) -> Self {
        self.properties_mut().message_id = Some(id.into());
        self
    }

    /// Names the message that this one answers.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<MessageId>) -> Self {
        self.properties_mut().correlation_id = Some(id.into());
        self
    }

    /// Says which node the message is for.
    #[must_use]
    pub fn with_to(mut self, address: impl Into<Str>) -> Self {
        self.properties_mut().to = Some(address.into());
        self
    }

    /// Says where replies go.
    #[must_use]
    pub fn with_reply_to(mut self, address: impl Into<Str>) -> Self {
        self.properties_mut().reply_to = Some(address.into());
        self
    }

    /// Says what the message is about.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<Str>) -> Self {
        self.properties_mut().subject = Some(subject.into());
        self
    }

    /// Gives the MIME type of a body of data; with other bodies it should not be set (§3.2.4).
    #[must_use]
    pub fn with_content_type(mut self, content_type: Symbol) -> Self {
        self.properties_mut().content_type = Some(content_type);
        self
    }

    /// Asks that no intermediary lose the message.
    #[must_use]
    pub fn with_durable(mut self, durable: bool) -> Self {
        self.header_mut().durable = Some(durable);
        self
    }

    /// Sets how important the message is; 4 is normal.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.header_mut().priority = Some(priority);
        self
    }

    /// Limits how long the message is of use, in whole milliseconds; more than 49 days count as the most there is.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.header_mut().set_ttl(ttl);
        self
    }

    /// Adds an application property; `value` is to be no list, map or array.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<Str>, value: impl Into<Value>) -> Self {
        self.application_properties.get_or_insert_default().insert(name.into(), value);
        self
    }

    /// Adds an annotation that stays with the message; other applications' names begin with `x-opt-`.
    #[must_use]
    pub fn with_annotation(mut self, name: Symbol, value: impl Into<Value>) -> Self {
        self.message_annotations.get_or_insert_default().insert(name, value);
        self
    }

    /// What names the message.
    #[must_use]
    pub fn id(&self) -> Option<&MessageId> {
        self.properties.as_ref()?.message_id.as_ref()
    }

    /// What names the message that this one answers.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&MessageId> {
        self.properties.as_ref()?.correlation_id.as_ref()
    }

    /// The address of the node that the message is for.
    #[must_use]
    pub fn to(&self) -> Option<&Str> {
        self.properties.as_ref()?.to.as_ref()
    }

    /// The address of the node that replies go to.
    #[must_use]
    pub fn reply_to(&self) -> Option<&Str> {
        self.properties.as_ref()?.reply_to.as_ref()
    }

    /// What the message is about.
    #[must_use]
    pub fn subject(&self) -> Option<&Str> {
        self.properties.as_ref()?.subject.as_ref()
    }

    /// The application property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.application_properties.as_ref()?.get(name)
    }

    /// The header, made when it is missing.
    pub fn header_mut(&mut self) -> &mut Header {
        self.header.get_or_insert_default()
    }

    /// The properties, made when they are missing.
    pub fn properties_mut(&mut self) -> &mut Properties {
        self.properties.get_or_insert_default()
    }
}

fn decode_body(body: BodyRef<'_>, encoded: &Bytes) -> Result<Body, DecodeError> {
    let share = |bytes: &[u8]| {
        if bytes.len() < SHARE_FROM { Bytes::copy_from_slice(bytes) } else { encoded.slice_ref(bytes) }
    };
    Ok(match body {
        BodyRef::Data(parts) => Body::Data(parts.iter().map(share).collect()),
        BodyRef::Sequence(lists) => {
            let items = |list: ListRef<'_>| list.iter().map(|item| item?.to_value()).collect();
            Body::Sequence(lists.iter().map(items).collect::<Result<_, _>>()?)
        }
        BodyRef::Value(ValueRef::Binary(bytes)) => Body::Value(Value::Binary(share(bytes))),
        BodyRef::Value(value) => Body::Value(value.to_value()?),
    })
}

impl<T: Into<Body>> From<T> for Message {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_front(out);
        self.body.encode(out);
        section::write_map(out, section::FOOTER, self.footer.as_ref());
    }
}

impl Message {
    /// Writes all that stands in front of `length` octets of data, which follow in pieces and end the message: body and
    /// footer of `self` are not written.
    pub fn encode_before_data(&self, length: u32, out: &mut Vec<u8>) {
        self.encode_front(out);
        section::write_data_head(out, length);
    }

    /// Writes the message; large data at its end is not copied but comes back, to be sent right behind `out`.
    pub(crate) fn encode_sharing(&self, out: &mut Vec<u8>) -> Option<Bytes> {
        self.encode_sharing_from(SHARE_FROM, out)
    }

    /// The same where data of so many bytes is large.
    #[inline]
    pub(crate) fn encode_sharing_from(&self, share_from: usize, out: &mut Vec<u8>) -> Option<Bytes> {
        let (Body::Data(parts), None) = (&self.body, &self.footer) else {
            self.encode(out);
            return None;
        };
        self.encode_front(out);
        let Some((last, front)) = parts.split_last().filter(|(last, _)| last.len() >= share_from) else {
            self.body.encode(out);
            return None;
        };
        front.iter().for_each(|part| section::write_data(out, part));
        section::write_data_head(out, last.len() as u32);
        Some(last.clone())
    }

    /// Writes what stands in front of the body.
    #[inline]
    fn encode_front(&self, out: &mut Vec<u8>) {
        if let Some(header) = &self.header {
            header.encode(out);
        }
        section::write_map(out, section::DELIVERY_ANNOTATIONS, self.delivery_annotations.as_ref());
        section::write_map(out, section::MESSAGE_ANNOTATIONS, self.message_annotations.as_ref());
        if let Some(properties) = &self.properties {
            properties.encode(out);
        }
        section::write_map(out, section::APPLICATION_PROPERTIES, self.application_properties.as_ref());
    }
}

/// A message that its own rules allow.
#[cfg(any(test, feature = "arbitrary"))]
impl<'a> arbitrary::Arbitrary<'a> for Message {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        use alloc::collections::BTreeMap;

        let mut annotations = || {
            let entries = <Option<BTreeMap<Symbol, Value>>>::arbitrary(u)?;
            Ok(entries.map(|entries| entries.into_iter().collect()))
        };
        let (delivery_annotations, message_annotations, footer) =
            (annotations()?, annotations()?, annotations()?);
        let properties = <Option<BTreeMap<Str, Value>>>::arbitrary(u)?.map(|properties| {
            let is_simple = |value: &Value| {
                !matches!(value, Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Described(_))
            };
            properties.into_iter().filter(|(_, value)| is_simple(value)).collect()
        });
        Ok(Self {
            header: u.arbitrary()?,
            delivery_annotations,
            message_annotations,
            properties: u.arbitrary()?,
            application_properties: properties,
            body: u.arbitrary()?,
            footer,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use arbitrary::{Arbitrary, Unstructured};
    use proptest::prelude::*;

    use super::*;
    use crate::{codec::DecodeErrorKind, message::Data};

    fn encode(message: &Message) -> Bytes {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        encoded.into()
    }

    fn full() -> Message {
        let mut message = Message::new(Map::new().with("sequence", 1u64))
            .with_durable(true)
            .with_priority(9)
            .with_ttl(Duration::from_secs(60))
            .with_id("first")
            .with_to("queues/orders")
            .with_subject("it's \n news")
            .with_reply_to("replies")
            .with_correlation_id(7u64)
            .with_content_type(Symbol::from_static("text/plain"))
            .with_property("colour", "green")
            .with_property("count", 3)
            .with_annotation(Symbol::from_static("x-opt-origin"), true);
        message.delivery_annotations = Some(Map::new().with(Symbol::from_static("x-opt-hop"), 1u8));
        message.footer = Some(Map::new().with(Symbol::from_static("x-opt-hash"), Bytes::from_static(b"\0a")));
        message
    }

    //= 3.2-02 3.2-06
    #[test]
    fn m_04_every_section_is_kept() {
        assert_eq!(Message::decode(&encode(&full())), Ok(full()));
        let properties = full().properties.unwrap();
        assert_eq!((full().id(), full().to()), (properties.message_id.as_ref(), properties.to.as_ref()));
        assert_eq!(full().property("count"), Some(&Value::Int(3)));
    }

    #[test]
    fn m_04_repeated_data_and_sequences_are_kept() {
        for body in [
            Body::Data(
                [Bytes::from_static(b"one"), Bytes::new(), vec![3; 70_000].into()].into_iter().collect(),
            ),
            Body::Sequence(vec![vec![1u8.into(), "two".into()], vec![], vec![Value::List(vec![])]]),
        ] {
            let message = Message { body, ..Message::default() };
            assert_eq!(Message::decode(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn m_06_an_id_keeps_its_type() {
        for id in [
            MessageId::Ulong(u64::MAX),
            MessageId::Uuid(crate::codec::Uuid([7; 16])),
            MessageId::Binary(Bytes::from_static(b"\xff")),
            MessageId::String("1".into()),
        ] {
            let message = Message::default().with_id(id.clone()).with_correlation_id(id.clone());
            let decoded = Message::decode(&encode(&message)).unwrap();
            assert_eq!((decoded.id(), decoded.correlation_id()), (Some(&id), Some(&id)));
        }
        let mut properties = vec![0x00, 0x53, 0x73, 0xc0, 3, 1, 0x52, 1];
        properties.extend_from_slice(&[0x00, 0x53, 0x77, 0x40]);
        let error = Message::decode(&properties.into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "properties.message-id: a value of format code 0x52 is not allowed here"
        );
    }

    #[test]
    fn m_07_large_data_is_shared_and_small_data_copied() {
        for (len, shared) in [(SHARE_FROM, true), (SHARE_FROM - 1, false)] {
            for body in [Body::data(vec![1; len]), Value::Binary(vec![1; len].into()).into()] {
                let encoded = encode(&Message::new(body));
                let decoded = Message::decode(&encoded).unwrap();
                let range = encoded.as_ptr_range();
                assert_eq!(range.contains(&decoded.body.as_binary().unwrap().as_ptr()), shared, "{len}");
            }
        }
    }

    #[test]
    fn large_data_at_the_end_leaves_without_a_copy() {
        let large = || Bytes::from(vec![7; 100_000]);
        let mut footed = Message::new(large());
        footed.footer = Some(Map::new());
        for (message, shared) in [
            (Message::new(large()).with_id(1u64), true),
            (
                Message {
                    body: Body::Data(["small".into(), large()].into_iter().collect()),
                    ..Message::default()
                },
                true,
            ),
            (
                Message {
                    body: Body::Data([large(), "small".into()].into_iter().collect()),
                    ..Message::default()
                },
                false,
            ),
            (Message::new(Value::Binary(large())), false),
            (footed, false),
        ] {
            let mut sent = Vec::new();
            let tail = message.encode_sharing(&mut sent);
            assert_eq!(tail.is_some(), shared);
            sent.extend(tail.into_iter().flatten());
            assert_eq!(sent, encode(&message));
        }
    }

    #[test]
    fn w_14_data_may_follow_in_pieces() {
        let mut encoded = Vec::new();
        full().encode_before_data(3, &mut encoded);
        encoded.extend_from_slice(b"abc");
        let expected = Message { body: Body::data("abc"), footer: None, ..full() };
        assert_eq!(Message::decode(&encoded.into()), Ok(expected));
    }

    #[test]
    fn a_body_without_sections_is_written_as_an_empty_one() {
        let [data, sequence] = [Body::Data(Data::default()), Body::Sequence(vec![])]
            .map(|body| Message::decode(&encode(&Message { body, ..Message::default() })).unwrap().body);
        assert_eq!(data, Body::data(""));
        assert_eq!(sequence, Body::Sequence(vec![vec![]]));
    }

    #[test]
    fn a_message_without_a_body_has_a_null_value() {
        assert_eq!(encode(&Message::default()), [0x00, 0x53, 0x77, 0x40][..]);
    }

    //= 3.2.4-10 3.2.4-11 3.2.4-12 3.2.4-13 3.2.4-14 3.2.4-X1
    #[test]
    fn nothing_is_said_of_a_body_that_the_user_has_not_said() {
        let bodies = [
            Body::data("octets"),
            Body::Sequence(vec![vec![Value::Null]]),
            Body::from("text"),
            Body::default(),
        ];
        for body in bodies {
            let message = Message::new(body.clone());
            let encoded = encode(&message);
            assert_eq!(MessageView::scan(&encoded).unwrap().encoded_body(), encoded);
            assert_eq!(Message::decode(&encoded), Ok(Message { body: body.clone(), ..Message::default() }));
            let named = Message::decode(&encode(&message.with_id(1u64))).unwrap().properties.unwrap();
            assert_eq!((named.content_type, named.content_encoding), (None, None), "{body:?}");
        }
    }

    #[test]
    fn anything_that_can_be_a_body_becomes_a_message() {
        assert_eq!(Message::from("text").body.as_str(), Some("text"));
        assert_eq!(Message::from(&b"octets"[..]).body.as_binary().unwrap(), "octets");
        assert_eq!(Message::from(vec![1u8]).body, Body::data(vec![1u8]));
        assert_eq!(Message::from(Value::Ulong(1)).body, Body::Value(Value::Ulong(1)));
    }

    #[test]
    fn a_body_prints_as_python_prints_it() {
        let print = |body: Body| body.to_string();
        assert_eq!(print(Map::new().with("sequence", 1u64).into()), "{'sequence': 1}");
        assert_eq!(print("Hello World!".into()), "Hello World!");
        assert_eq!(print(Body::data("a'\\\n\0b")), r"b'a\'\\\n\x00b'");
        assert_eq!(print(Body::Data(["a", "b"].into_iter().collect())), "[b'a', b'b']");
        assert_eq!(print(Body::Sequence(vec![vec![1.into(), "two".into()]])), "[1, 'two']");
        assert_eq!(print(Body::Sequence(vec![vec![1.into()], vec![]])), "[[1], []]");
        assert_eq!(print(Body::default()), "None");
    }

    #[test]
    fn a_message_prints_in_one_line_whether_decoded_or_not() {
        let line = "Message(durable=True, priority=9, ttl=60000, delivery_annotations={'x-opt-hop': 1}, \
                    message_annotations={'x-opt-origin': True}, message_id='first', to='queues/orders', \
                    subject='it\\'s \\n news', reply_to='replies', correlation_id=7, content_type='text/plain', \
                    application_properties={'colour': 'green', 'count': 3}, body={'sequence': 1}, \
                    footer={'x-opt-hash': b'\\x00a'})";
        assert_eq!(full().to_string(), line);
        assert_eq!(MessageView::scan(&encode(&full())).unwrap().to_string(), line);
        assert_eq!(Message::from("text").to_string(), "Message(body='text')");
    }

    #[test]
    fn t1_a_message_cut_anywhere_is_refused() {
        let encoded = encode(&full());
        let body_ends =
            encoded.len() - encode(&Message { footer: full().footer, ..Message::default() }).len() + 4;
        for cut in 0..encoded.len() {
            let result = Message::decode(&encoded.slice(..cut));
            assert_eq!(result.is_ok(), cut == body_ends, "cut at {cut}");
        }
        let error = Message::decode(&Bytes::new()).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::MissingBody);
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(seed in prop::collection::vec(any::<u8>(), 0..2000)) {
            let message = Message::arbitrary(&mut Unstructured::new(&seed)).unwrap();
            let encoded = encode(&message);
            prop_assert_eq!(&Message::decode(&encoded).unwrap(), &message);
            let view = MessageView::scan(&encoded).unwrap();
            prop_assert_eq!(view.validate(), Ok(()));
            prop_assert_eq!(view.to_string(), message.to_string());
        }

        #[test]
        fn whatever_decodes_is_stable(
            seed in prop::collection::vec(any::<u8>(), 0..500),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut encoded = encode(&Message::arbitrary(&mut Unstructured::new(&seed)).unwrap()).to_vec();
            for (index, byte) in changes {
                let index = index.index(encoded.len());
                encoded[index] = byte;
            }
            let decoded = Message::decode(&encoded.clone().into());
            let view = MessageView::scan(&encoded).and_then(|view| view.validate());
            prop_assert_eq!(decoded.as_ref().map(drop).is_ok(), view.is_ok(), "{:?} {:?}", decoded, view);
            if let Ok(message) = decoded {
                prop_assert_eq!(Message::decode(&encode(&message)), Ok(message));
            }
        }
    }
}
