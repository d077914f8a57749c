use alloc::vec::Vec;

use super::section;
use crate::codec::{
    Decode, Encode, Str, StrRef, Symbol, SymbolRef, Timestamp, Uuid, ValueRef, code,
    composite::{FieldReader, FieldWriter},
    error::Place,
    parse::Parsed,
};
use crate::{
    Serial,
    types::{MessageId, Properties},
};

/// The properties of a message (§3.2.4) in their encoded bytes: texts and binaries are borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PropertiesRef<'a> {
    /// Identifies the message.
    pub message_id: Option<MessageIdRef<'a>>,
    /// Who produced it.
    pub user_id: Option<&'a [u8]>,
    /// Address of the node it is destined for.
    pub to: Option<StrRef<'a>>,
    /// What it is about.
    pub subject: Option<StrRef<'a>>,
    /// Address of the node to send replies to.
    pub reply_to: Option<StrRef<'a>>,
    /// Marks it for the client, most often as the answer to a request with this message-id.
    pub correlation_id: Option<MessageIdRef<'a>>,
    /// MIME type of data sections.
    pub content_type: Option<SymbolRef<'a>>,
    /// How data sections are encoded on top of it.
    pub content_encoding: Option<SymbolRef<'a>>,
    /// When it counts as expired.
    pub absolute_expiry_time: Option<Timestamp>,
    /// When it was made.
    pub creation_time: Option<Timestamp>,
    /// The group it belongs to.
    pub group_id: Option<StrRef<'a>>,
    /// Its place within the group.
    pub group_sequence: Option<Serial>,
    /// The group a reply belongs to.
    pub reply_to_group_id: Option<StrRef<'a>>,
}

/// A message-id or correlation-id (§3.2.11 to §3.2.14) in its encoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageIdRef<'a> {
    /// A number (§3.2.11).
    Ulong(u64),
    /// A universally unique id (§3.2.12).
    Uuid(Uuid),
    /// Octets (§3.2.13).
    Binary(&'a [u8]),
    /// Text (§3.2.14).
    String(StrRef<'a>),
}

impl<'a> PropertiesRef<'a> {
    /// Reads the list that follows the descriptor.
    pub(super) fn parse_fields(input: &'a [u8]) -> Parsed<'a, Self> {
        /// One [`Place`] a field, so that an error names it.
        macro_rules! fields {
            ($fields:ident: $($field:ident,)*) => {
                Self { $($field: {
                    let place = const { &Place { composite: Properties::NAME, field: stringify!($field) } };
                    $fields.optional(place)?
                },)* }
            };
        }
        let (rest, mut fields) = FieldReader::parse(input)?;
        let properties = fields! { fields:
            message_id, user_id, to, subject, reply_to, correlation_id, content_type,
            content_encoding, absolute_expiry_time, creation_time, group_id, group_sequence,
            reply_to_group_id,
        };
        fields.finish()?;
        Ok((rest, properties))
    }

    /// Copies the properties out.
    #[must_use]
    pub fn to_properties(&self) -> Properties {
        Properties {
            message_id: self.message_id.map(MessageId::from),
            user_id: self.user_id.map(bytes::Bytes::copy_from_slice),
            to: self.to.map(Str::from),
            subject: self.subject.map(Str::from),
            reply_to: self.reply_to.map(Str::from),
            correlation_id: self.correlation_id.map(MessageId::from),
            content_type: self.content_type.map(Symbol::from),
            content_encoding: self.content_encoding.map(Symbol::from),
            absolute_expiry_time: self.absolute_expiry_time,
            creation_time: self.creation_time,
            group_id: self.group_id.map(Str::from),
            group_sequence: self.group_sequence,
            reply_to_group_id: self.reply_to_group_id.map(Str::from),
        }
    }
}

impl<'a> From<&'a Properties> for PropertiesRef<'a> {
    fn from(properties: &'a Properties) -> Self {
        Self {
            message_id: properties.message_id.as_ref().map(MessageIdRef::from),
            user_id: properties.user_id.as_deref(),
            to: properties.to.as_ref().map(StrRef::from),
            subject: properties.subject.as_ref().map(StrRef::from),
            reply_to: properties.reply_to.as_ref().map(StrRef::from),
            correlation_id: properties.correlation_id.as_ref().map(MessageIdRef::from),
            content_type: properties.content_type.as_ref().map(SymbolRef::from),
            content_encoding: properties.content_encoding.as_ref().map(SymbolRef::from),
            absolute_expiry_time: properties.absolute_expiry_time,
            creation_time: properties.creation_time,
            group_id: properties.group_id.as_ref().map(StrRef::from),
            group_sequence: properties.group_sequence,
            reply_to_group_id: properties.reply_to_group_id.as_ref().map(StrRef::from),
        }
    }
}

impl Encode for PropertiesRef<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut list = FieldWriter::begin(out, section::PROPERTIES);
        list.field(self.message_id.as_ref());
        list.field(self.user_id.as_ref());
        list.field(self.to.as_ref());
        list.field(self.subject.as_ref());
        list.field(self.reply_to.as_ref());
        list.field(self.correlation_id.as_ref());
        list.field(self.content_type.as_ref());
        list.field(self.content_encoding.as_ref());
        list.field(self.absolute_expiry_time.as_ref());
        list.field(self.creation_time.as_ref());
        list.field(self.group_id.as_ref());
        list.field(self.group_sequence.as_ref());
        list.field(self.reply_to_group_id.as_ref());
        list.end();
    }
}

impl Encode for MessageIdRef<'_> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ulong(id) => id.encode(out),
            Self::Uuid(id) => id.encode(out),
            Self::Binary(id) => id.encode(out),
            Self::String(id) => id.encode(out),
        }
    }
}

impl<'a> Decode<'a> for MessageIdRef<'a> {
    #[inline]
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        match input.first() {
            Some(&(code::STRING8 | code::STRING32)) => {
                StrRef::parse(input).map(|(rest, id)| (rest, Self::String(id)))
            }
            Some(&(code::BINARY8 | code::BINARY32)) => {
                <&[u8]>::parse(input).map(|(rest, id)| (rest, Self::Binary(id)))
            }
            Some(&code::UUID) => Uuid::parse(input).map(|(rest, id)| (rest, Self::Uuid(id))),
            _ => u64::parse(input).map(|(rest, id)| (rest, Self::Ulong(id))),
        }
    }
}

impl From<MessageIdRef<'_>> for MessageId {
    fn from(id: MessageIdRef<'_>) -> Self {
        match id {
            MessageIdRef::Ulong(id) => Self::Ulong(id),
            MessageIdRef::Uuid(id) => Self::Uuid(id),
            MessageIdRef::Binary(id) => Self::Binary(bytes::Bytes::copy_from_slice(id)),
            MessageIdRef::String(id) => Self::String(id.into()),
        }
    }
}

impl<'a> From<&'a MessageId> for MessageIdRef<'a> {
    fn from(id: &'a MessageId) -> Self {
        match id {
            MessageId::Ulong(id) => Self::Ulong(*id),
            MessageId::Uuid(id) => Self::Uuid(*id),
            MessageId::Binary(id) => Self::Binary(id),
            MessageId::String(id) => Self::String(id.into()),
        }
    }
}

impl<'a> From<MessageIdRef<'a>> for ValueRef<'a> {
    fn from(id: MessageIdRef<'a>) -> Self {
        match id {
            MessageIdRef::Ulong(id) => Self::Ulong(id),
            MessageIdRef::Uuid(id) => Self::Uuid(id),
            MessageIdRef::Binary(id) => Self::Binary(id),
            MessageIdRef::String(id) => Self::String(id),
        }
    }
}

impl PartialEq<MessageId> for MessageIdRef<'_> {
    fn eq(&self, other: &MessageId) -> bool {
        *self == MessageIdRef::from(other)
    }
}
