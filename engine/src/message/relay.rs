use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Annotations, MessageView, Payload,
    section::{self, Sections},
};
use crate::{
    codec::{Decode, DecodeError, DecodeErrorKind, Encode, Fields, Map, MapRef, ValueRef},
    types::Header,
};

/// An encoded message on its way through a node that may write its head anew, but not touch the rest.
///
/// The head is the header, the delivery annotations, which concerned this node and are dropped, and the message
/// annotations, which are passed on unless the node changes them. The bare message and its footer keep every byte,
/// so that hashes and signatures stay valid (§3.2).
///
/// ```
/// use amqp1_engine::{codec::Encode, message::{Message, MessageView, Relay}};
///
/// let mut encoded = Vec::new();
/// Message::from("again").encode(&mut encoded);
///
/// let mut relay = Relay::new(&encoded.into())?;
/// relay.header.count_failed_delivery();
/// let encoded = relay.payload().into_bytes();
/// assert_eq!(MessageView::scan(&encoded)?.header()?.delivery_count, Some(1));
/// # Ok::<(), amqp1_engine::codec::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Relay {
    /// The header to write; none is written while it says nothing.
    pub header: Header,
    /// What to say to the next node; keys are symbols.
    pub delivery_annotations: Option<Map>,
    /// The encoded section, or nothing.
    message_annotations: Bytes,
    /// Bare message and footer.
    rest: Bytes,
}

/// A shorter message is copied behind its new head, so that it leaves in one piece.
const SHARE_FROM: usize = 1024;

impl Relay {
    /// Takes an encoded message apart.
    ///
    /// # Errors
    ///
    /// When it is no message (see [`MessageView::scan`]) or its header is malformed.
    pub fn new(encoded: &Bytes) -> Result<Self, DecodeError> {
        MessageView::scan(encoded)?;
        let mut sections = Sections::new(encoded)?;
        let header = sections.optional(section::HEADER, Header::parse_fields)?.unwrap_or_default();
        sections.skip_all(section::DELIVERY_ANNOTATIONS, MapRef::parse)?;
        let annotations = sections.skip_all(section::MESSAGE_ANNOTATIONS, MapRef::parse)?;
        Ok(Self {
            header,
            delivery_annotations: None,
            //= 3.2.3-02
            message_annotations: encoded.slice_ref(annotations),
            //= 3.2-05 3.2.4-01
            rest: encoded.slice_ref(sections.left()),
        })
    }

    /// Adds annotations to those of the message, or puts them in their place, as
    /// [`Modified`](crate::types::Modified) asks for.
    ///
    /// # Errors
    ///
    /// When the annotations of the message are malformed, or a key among the changes is neither symbol nor ulong
    /// (§3.2.10); then they stay as they are.
    pub fn annotate(&mut self, changes: &Fields) -> Result<(), DecodeError> {
        if changes.iter().any(|(key, _)| !matches!(key, ValueRef::Symbol(_) | ValueRef::Ulong(_))) {
            return Err(DecodeErrorKind::InvalidEntry.into());
        }
        let known = match section::repeated(&self.message_annotations, MapRef::parse).next() {
            Some(known) => Annotations(known).to_map()?,
            None => Map::new(),
        };
        let mut encoded = Vec::new();
        section::write(
            &mut encoded,
            section::MESSAGE_ANNOTATIONS,
            &known.into_iter().chain(changes.borrow().to_map()?).collect::<Map>(),
        );
        self.message_annotations = encoded.into();
        Ok(())
    }

    /// The message with its new head; what came behind it is shared, unless it is small.
    #[must_use]
    pub fn payload(&self) -> Payload {
        let mut head = Vec::new();
        if self.rest.len() < SHARE_FROM {
            self.encode(&mut head);
            return head.into();
        }
        self.encode_head(&mut head);
        let mut payload = Payload::from(head);
        payload.push(self.rest.clone());
        payload
    }

    fn encode_head(&self, out: &mut Vec<u8>) {
        if self.header != Header::default() {
            self.header.encode(out);
        }
        section::write_map(out, section::DELIVERY_ANNOTATIONS, self.delivery_annotations.as_ref());
        out.extend_from_slice(&self.message_annotations);
    }
}

impl Encode for Relay {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        out.extend_from_slice(&self.rest);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{codec::Symbol, message::Message};

    fn encode(message: &impl Encode) -> Bytes {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        encoded.into()
    }

    fn annotated(body: impl Into<crate::message::Body>) -> Message {
        let mut message = Message::new(body)
            .with_durable(true)
            .with_id(1u64)
            .with_property("colour", "green")
            .with_annotation(Symbol::from_static("x-opt-a"), 1u8)
            .with_annotation(Symbol::from_static("x-opt-b"), 2u8);
        message.delivery_annotations = Some(Map::new().with(Symbol::from_static("x-opt-here"), true));
        message.footer = Some(Map::new().with(Symbol::from_static("x-opt-hash"), 0u64));
        message
    }

    //= 3.2-05 3.2.4-01
    #[test]
    fn m_05_the_bare_message_keeps_every_byte() {
        // Longer encodings than we would write.
        let bare = [0x00, 0x53, 0x73, 0xd0, 0, 0, 0, 4, 0, 0, 0, 0, 0x00, 0x53, 0x77, 0x70, 0, 0, 0, 1];
        let encoded = [&[0x00, 0x53, 0x70, 0xc0, 2, 1, 0x42][..], &bare].concat();
        let mut relay = Relay::new(&encoded.into()).unwrap();
        relay.header.count_failed_delivery();
        let encoded = encode(&relay);
        let view = MessageView::scan(&encoded).unwrap();
        assert_eq!(view.bare(), bare);
        let header = Header { durable: Some(false), delivery_count: Some(1), ..Header::default() };
        assert_eq!(view.header(), Ok(header));
    }

    //= 3.2.3-02
    #[test]
    fn m_05_only_the_head_changes() {
        let mut relay = Relay::new(&encode(&annotated("body"))).unwrap();
        relay.header.delivery_count = Some(5);
        relay
            .annotate(
                &Fields::new()
                    .with(Symbol::from_static("x-opt-b"), 3u8)
                    .with(Symbol::from_static("x-opt-c"), 4u8),
            )
            .unwrap();
        let mut expected = annotated("body")
            .with_annotation(Symbol::from_static("x-opt-b"), 3u8)
            .with_annotation(Symbol::from_static("x-opt-c"), 4u8);
        expected.header_mut().delivery_count = Some(5);
        expected.delivery_annotations = None;
        assert_eq!(relay.payload().into_bytes(), encode(&expected));
    }

    #[test]
    fn m_05_nothing_is_put_in_front_of_a_message_without_a_head() {
        let encoded = encode(&Message::from("plain"));
        assert_eq!(Relay::new(&encoded).unwrap().payload().into_bytes(), encoded);
    }

    #[test]
    fn a_large_message_is_shared_behind_its_head() {
        let encoded = encode(&annotated(vec![1; 5000]));
        let payload = Relay::new(&encoded).unwrap().payload();
        let rest = payload.chunks().nth(1).unwrap();
        assert!(encoded.as_ptr_range().contains(&rest.as_ptr()));
        let mut expected = annotated(vec![1; 5000]);
        expected.delivery_annotations = None;
        assert_eq!(payload.into_bytes(), encode(&expected));
    }

    //= 3.2.10-01
    #[test]
    fn annotations_that_none_are_may_not_be_added() {
        let encoded = encode(&annotated("body"));
        let mut relay = Relay::new(&encoded).unwrap();
        let before = encode(&relay);
        let changes = Fields::new().with(Symbol::from_static("x-opt-c"), 1u8).with("no symbol", 1u8);
        assert_eq!(relay.annotate(&changes).unwrap_err().kind(), DecodeErrorKind::InvalidEntry);
        assert_eq!(encode(&relay), before);
    }

    #[test]
    fn malformed_annotations_stay_as_they_are() {
        let encoded = Bytes::from_static(b"\x00\x53\x72\xc1\x03\x02\x40\x40\x00\x53\x77\x40");
        let mut relay = Relay::new(&encoded).unwrap();
        assert!(relay.annotate(&Fields::new()).is_err());
        assert_eq!(encode(&relay), encoded);
    }
}
