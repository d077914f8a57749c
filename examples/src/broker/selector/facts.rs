//! What a selector can ask of a message.

use std::{borrow::Cow, cell::OnceCell};

use amqp1_engine::{
    codec::ValueRef,
    message::{MessageIdRef, MessageView, PropertiesRef},
    types::Header,
};

use super::eval::Value;

/// What a name in a selector stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// An application property.
    Application(String),
    Durable,
    /// Durable or not, in the words of JMS.
    DeliveryMode,
    Priority,
    Ttl,
    FirstAcquirer,
    DeliveryCount,
    /// The count of JMS, which begins at 1 with the first delivery.
    Deliveries,
    Redelivered,
    MessageId,
    UserId,
    To,
    Subject,
    ReplyTo,
    CorrelationId,
    ContentType,
    ContentEncoding,
    AbsoluteExpiryTime,
    CreationTime,
    GroupId,
    GroupSequence,
    ReplyToGroupId,
}

impl Field {
    /// A name that is none of JMS or AMQP is that of an application property.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "amqp.durable" => Self::Durable,
            "JMSDeliveryMode" => Self::DeliveryMode,
            "amqp.priority" | "JMSPriority" => Self::Priority,
            "amqp.ttl" => Self::Ttl,
            "amqp.first_acquirer" => Self::FirstAcquirer,
            "amqp.delivery_count" => Self::DeliveryCount,
            "JMSXDeliveryCount" => Self::Deliveries,
            "JMSRedelivered" => Self::Redelivered,
            "amqp.message_id" | "JMSMessageID" => Self::MessageId,
            "amqp.user_id" | "JMSXUserID" => Self::UserId,
            "amqp.to" | "JMSDestination" => Self::To,
            "amqp.subject" | "JMSType" => Self::Subject,
            "amqp.reply_to" | "JMSReplyTo" => Self::ReplyTo,
            "amqp.correlation_id" | "JMSCorrelationID" => Self::CorrelationId,
            "amqp.content_type" => Self::ContentType,
            "amqp.content_encoding" => Self::ContentEncoding,
            "amqp.absolute_expiry_time" | "JMSExpiration" => Self::AbsoluteExpiryTime,
            "amqp.creation_time" | "JMSTimestamp" => Self::CreationTime,
            "amqp.group_id" | "JMSXGroupID" => Self::GroupId,
            "amqp.group_sequence" | "JMSXGroupSeq" => Self::GroupSequence,
            "amqp.reply_to_group_id" => Self::ReplyToGroupId,
            name => Self::Application(name.to_owned()),
        }
    }
}

/// A message whose sections are read once somebody asks for them.
pub(super) struct Facts<'m> {
    message: &'m MessageView<'m>,
    header: OnceCell<Header>,
    properties: OnceCell<PropertiesRef<'m>>,
}

impl<'m> Facts<'m> {
    pub(super) const fn new(message: &'m MessageView<'m>) -> Self {
        Self { message, header: OnceCell::new(), properties: OnceCell::new() }
    }

    fn header(&self) -> &Header {
        self.header.get_or_init(|| self.message.header().unwrap_or_default())
    }

    fn properties(&self) -> &PropertiesRef<'m> {
        self.properties.get_or_init(|| self.message.properties().unwrap_or_default())
    }

    /// What the message says; nothing is null.
    pub(super) fn value(&self, field: &Field) -> Option<Value<'m>> {
        let text = |text: &'m str| Value::Text(Cow::Borrowed(text));
        match field {
            Field::Application(name) => {
                value(self.message.application_properties().get(name).ok().flatten()?)
            }
            Field::Durable => Some(Value::Bool(self.header().is_durable())),
            Field::DeliveryMode => {
                Some(text(if self.header().is_durable() { "PERSISTENT" } else { "NON_PERSISTENT" }))
            }
            Field::Priority => Some(Value::Int(self.header().priority_or_normal().into())),
            Field::Ttl => self.header().ttl.map(|ttl| Value::Int(ttl.into())),
            Field::FirstAcquirer => Some(Value::Bool(self.header().first_acquirer.unwrap_or(false))),
            Field::DeliveryCount => Some(Value::Int(self.header().failed_deliveries().into())),
            Field::Deliveries => Some(Value::Int(i128::from(self.header().failed_deliveries()) + 1)),
            Field::Redelivered => Some(Value::Bool(self.header().failed_deliveries() > 0)),
            Field::MessageId => self.properties().message_id.and_then(id),
            Field::UserId => std::str::from_utf8(self.properties().user_id?).ok().map(text),
            Field::To => self.properties().to.map(|to| text(to.as_str())),
            Field::Subject => self.properties().subject.map(|subject| text(subject.as_str())),
            Field::ReplyTo => self.properties().reply_to.map(|reply_to| text(reply_to.as_str())),
            Field::CorrelationId => self.properties().correlation_id.and_then(id),
            Field::ContentType => self.properties().content_type.map(|content| text(content.as_str())),
            Field::ContentEncoding => {
                self.properties().content_encoding.map(|content| text(content.as_str()))
            }
            Field::AbsoluteExpiryTime => {
                self.properties().absolute_expiry_time.map(|time| Value::Int(time.0.into()))
            }
            Field::CreationTime => self.properties().creation_time.map(|time| Value::Int(time.0.into())),
            Field::GroupId => self.properties().group_id.map(|group| text(group.as_str())),
            Field::GroupSequence => {
                self.properties().group_sequence.map(|place| Value::Int(place.get().into()))
            }
            Field::ReplyToGroupId => self.properties().reply_to_group_id.map(|group| text(group.as_str())),
        }
    }
}

fn id(id: MessageIdRef<'_>) -> Option<Value<'_>> {
    value(id.into())
}

/// A value of AMQP as one of the language; binary and decimal ones have no place in it.
fn value(value: ValueRef<'_>) -> Option<Value<'_>> {
    Some(match value {
        ValueRef::Bool(value) => Value::Bool(value),
        ValueRef::Ubyte(value) => Value::Int(value.into()),
        ValueRef::Ushort(value) => Value::Int(value.into()),
        ValueRef::Uint(value) => Value::Int(value.into()),
        ValueRef::Ulong(value) => Value::Int(value.into()),
        ValueRef::Byte(value) => Value::Int(value.into()),
        ValueRef::Short(value) => Value::Int(value.into()),
        ValueRef::Int(value) => Value::Int(value.into()),
        ValueRef::Long(value) => Value::Int(value.into()),
        ValueRef::Timestamp(value) => Value::Int(value.0.into()),
        ValueRef::Float(value) => Value::Float(value.into()),
        ValueRef::Double(value) => Value::Float(value),
        ValueRef::String(value) => Value::Text(Cow::Borrowed(value.as_str())),
        ValueRef::Symbol(value) => Value::Text(Cow::Borrowed(value.as_str())),
        ValueRef::Char(value) => Value::Text(Cow::Owned(value.into())),
        ValueRef::Uuid(value) => Value::Text(Cow::Owned(value.to_string())),
        _ => return None,
    })
}
