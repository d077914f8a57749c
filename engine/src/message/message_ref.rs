use alloc::vec::Vec;

use super::{BodyRef, PropertiesRef, section};
use crate::{
    codec::{
        Encode, StrRef, SymbolRef, ValueRef, code,
        write::{Compound, Short, items},
    },
    types::Header,
};

/// A message to be written from parts that are borrowed: it takes no allocation but what is written.
///
/// What was read with a [`MessageView`](super::MessageView) can be part of it as it is. Keys are written as they are
/// given: nothing looks for equal ones, of which there may be none (§1.6.23).
///
/// ```
/// use amqp1_engine::{codec::{Encode, ValueRef}, message::{MessageRef, MessageView, PropertiesRef}};
///
/// let message = MessageRef {
///     properties: PropertiesRef { to: Some("queues/orders".into()), ..PropertiesRef::default() },
///     application_properties: &[("attempt".into(), ValueRef::Int(3))],
///     ..MessageRef::new(&b"octets"[..])
/// };
/// let mut encoded = Vec::new();
/// message.encode(&mut encoded);
/// assert_eq!(MessageView::scan(&encoded)?.body().as_binary(), Some(&b"octets"[..]));
/// # Ok::<(), amqp1_engine::codec::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct MessageRef<'a> {
    /// How it is to be transferred (§3.2.1); not written when nothing is set.
    pub header: Header,
    /// What concerns the next node alone (§3.2.2); not written when empty.
    pub delivery_annotations: &'a [(SymbolRef<'a>, ValueRef<'a>)],
    /// What the infrastructure has to say of it (§3.2.3); not written when empty.
    pub message_annotations: &'a [(SymbolRef<'a>, ValueRef<'a>)],
    /// What the specification lets an application say of it (§3.2.4); not written when nothing is set.
    pub properties: PropertiesRef<'a>,
    /// What else an application says of it (§3.2.5), values no lists, maps or arrays; not written when empty.
    pub application_properties: &'a [(StrRef<'a>, ValueRef<'a>)],
    /// What it is about (§3.2.6 to §3.2.8).
    pub body: BodyRef<'a>,
    /// What can be said only after all the rest (§3.2.9); not written when empty.
    pub footer: &'a [(SymbolRef<'a>, ValueRef<'a>)],
}

impl<'a> MessageRef<'a> {
    /// A message with this body and nothing else.
    #[must_use]
    pub fn new(body: impl Into<BodyRef<'a>>) -> Self {
        Self {
            header: Header::default(),
            delivery_annotations: &[],
            message_annotations: &[],
            properties: PropertiesRef::default(),
            application_properties: &[],
            body: body.into(),
            footer: &[],
        }
    }
}

impl Encode for MessageRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.header != Header::default() {
            self.header.encode(out);
        }
        write_map(out, section::DELIVERY_ANNOTATIONS, self.delivery_annotations);
        write_map(out, section::MESSAGE_ANNOTATIONS, self.message_annotations);
        if self.properties != PropertiesRef::default() {
            self.properties.encode(out);
        }
        write_map(out, section::APPLICATION_PROPERTIES, self.application_properties);
        self.body.encode(out);
        write_map(out, section::FOOTER, self.footer);
    }
}

/// Writes a section that is a map, unless it has no entries.
#[inline]
fn write_map(out: &mut Vec<u8>, code: u8, entries: &[(impl Short, ValueRef<'_>)]) {
    if entries.is_empty() {
        return;
    }
    out.extend_from_slice(&[code::DESCRIBED, code::SMALLULONG, code]);
    let map = Compound::begin(out, code::MAP8);
    items(out, entries);
    map.end(out, 2 * entries.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{Map, Value, sample::arbitrary},
        message::{Message, MessageView},
    };

    /// The entries of a map whose keys are texts, in place.
    fn entries<'a, K: TryFrom<&'a str>>(
        map: Option<&'a Map>,
        encoded: &'a mut Vec<Vec<u8>>,
    ) -> Vec<(K, ValueRef<'a>)> {
        use crate::codec::Decode;

        let map: Vec<(&Value, &Value)> = map.into_iter().flat_map(Map::iter).collect();
        *encoded = map.iter().map(|(_, value)| bytes_of(value)).collect();
        let key = |key: &'a Value| K::try_from(key.as_text().unwrap()).unwrap_or_else(|_| panic!("{key:?}"));
        map.iter()
            .zip(encoded)
            .map(|((name, _), value)| (key(name), ValueRef::decode(value).unwrap()))
            .collect()
    }

    fn bytes_of(value: &impl Encode) -> Vec<u8> {
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        encoded
    }

    proptest! {
        #[test]
        fn borrowed_parts_are_written_as_owned_ones(mut message in arbitrary::<Message>()) {
            message.header = message.header.filter(|header| *header != Header::default());
            message.properties = message.properties.filter(|properties| *properties != Default::default());
            for map in [
                &mut message.delivery_annotations,
                &mut message.message_annotations,
                &mut message.application_properties,
                &mut message.footer,
            ] {
                *map = map.take().filter(|map| !map.is_empty());
            }
            let encoded = bytes_of(&message);
            let view = MessageView::scan(&encoded).unwrap();
            let [mut first, mut second, mut third, mut last] = Default::default();
            let borrowed = MessageRef {
                header: view.header().unwrap(),
                delivery_annotations: &entries(message.delivery_annotations.as_ref(), &mut first),
                message_annotations: &entries(message.message_annotations.as_ref(), &mut second),
                properties: view.properties().unwrap(),
                application_properties: &entries(message.application_properties.as_ref(), &mut third),
                body: view.body(),
                footer: &entries(message.footer.as_ref(), &mut last),
            };
            prop_assert_eq!(bytes_of(&borrowed), encoded);
        }
    }
}
