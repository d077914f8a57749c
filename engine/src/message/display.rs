//! Messages in one line, to be read by people.

use core::fmt::{self, Display, Formatter};

use super::{Body, BodyRef, Message, MessageView, PropertiesRef};
use crate::{
    codec::{DecodeError, Value, ValueRef, display::Octets},
    types::Header,
};

/// As the [`Value`] it is or holds; data as `b'...'`, several sections in brackets.
impl Display for Body {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(parts) => sections(f, parts.iter().map(|part| Octets(part))),
            Self::Sequence(lists) => sections(f, lists.iter().map(|list| List(list))),
            Self::Value(value) => value.fmt(f),
        }
    }
}

/// As for [`Body`].
impl Display for BodyRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(parts) => sections(f, parts.iter().map(Octets)),
            Self::Sequence(lists) => sections(f, lists.iter().map(ValueRef::List)),
            Self::Value(value) => value.fmt(f),
        }
    }
}

struct List<'a>(&'a [Value]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        brackets(f, self.0.iter())
    }
}

/// One section stands for itself, several stand in brackets.
fn sections<T: Display>(f: &mut Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    let mut items = items.peekable();
    let Some(first) = items.next() else { return f.write_str("[]") };
    if items.peek().is_none() {
        return first.fmt(f);
    }
    brackets(f, core::iter::once(first).chain(items))
}

fn brackets<T: Display>(f: &mut Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{item:#}")?;
    }
    f.write_str("]")
}

/// In one line: what is set of the message, as in `Message(subject='news', body={'sequence': 1})`.
impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Line::begin(f)?;
        line.header(&self.header.clone().unwrap_or_default())?;
        line.part("delivery_annotations", self.delivery_annotations.as_ref())?;
        line.part("message_annotations", self.message_annotations.as_ref())?;
        line.properties(&self.properties.as_ref().map(PropertiesRef::from).unwrap_or_default())?;
        line.part("application_properties", self.application_properties.as_ref())?;
        line.part("body", Some(&self.body))?;
        line.part("footer", self.footer.as_ref())?;
        line.end()
    }
}

/// As for [`Message`]; what is malformed shows up as the error in angle brackets.
impl Display for MessageView<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Line::begin(f)?;
        match self.header() {
            Ok(header) => line.header(&header)?,
            Err(error) => line.malformed("header", error)?,
        }
        line.part("delivery_annotations", self.delivery_annotations)?;
        line.part("message_annotations", self.message_annotations)?;
        match self.properties() {
            Ok(properties) => line.properties(&properties)?,
            Err(error) => line.malformed("properties", error)?,
        }
        line.part("application_properties", self.application_properties)?;
        line.part("body", Some(self.body()))?;
        line.part("footer", self.footer)?;
        line.end()
    }
}

/// A message in the making.
struct Line<'a, 'f> {
    f: &'a mut Formatter<'f>,
    separator: &'static str,
}

impl<'a, 'f> Line<'a, 'f> {
    fn begin(f: &'a mut Formatter<'f>) -> Result<Self, fmt::Error> {
        f.write_str("Message(")?;
        Ok(Self { f, separator: "" })
    }

    fn part(&mut self, name: &str, value: Option<impl Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        write!(self.f, "{}{name}={value:#}", core::mem::replace(&mut self.separator, ", "))
    }

    fn malformed(&mut self, name: &str, error: DecodeError) -> fmt::Result {
        self.part(name, Some(format_args!("<{error}>")))
    }

    fn header(&mut self, header: &Header) -> fmt::Result {
        self.part("durable", header.durable.map(ValueRef::Bool))?;
        self.part("priority", header.priority)?;
        self.part("ttl", header.ttl)?;
        self.part("first_acquirer", header.first_acquirer.map(ValueRef::Bool))?;
        self.part("delivery_count", header.delivery_count)
    }

    fn properties(&mut self, properties: &PropertiesRef<'_>) -> fmt::Result {
        self.part("message_id", properties.message_id.map(ValueRef::from))?;
        self.part("user_id", properties.user_id.map(Octets))?;
        self.part("to", properties.to.map(ValueRef::String))?;
        self.part("subject", properties.subject.map(ValueRef::String))?;
        self.part("reply_to", properties.reply_to.map(ValueRef::String))?;
        self.part("correlation_id", properties.correlation_id.map(ValueRef::from))?;
        self.part("content_type", properties.content_type.map(ValueRef::Symbol))?;
        self.part("content_encoding", properties.content_encoding.map(ValueRef::Symbol))?;
        self.part("absolute_expiry_time", properties.absolute_expiry_time)?;
        self.part("creation_time", properties.creation_time)?;
        self.part("group_id", properties.group_id.map(ValueRef::String))?;
        self.part("group_sequence", properties.group_sequence.map(|number| number.get()))?;
        self.part("reply_to_group_id", properties.reply_to_group_id.map(ValueRef::String))
    }

    fn end(self) -> fmt::Result {
        self.f.write_str(")")
    }
}
