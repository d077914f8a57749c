//! What calls are made with, as words.

use alloc::{boxed::Box, string::String, vec, vec::Vec};

use bytes::Bytes;

use super::Line;
use crate::{
    DeliveryId, LinkConfig, LinkId, Serial, SessionConfig, SessionId,
    arena::Key,
    codec::{Decode, Encode, Fields},
    link::attach::{attach_of, config_of},
    message::Message,
    txn::TxnId,
    types::{Begin, DeliveryState, DeliveryTag, Error, Role},
};

/// What a call is made with.
pub(crate) trait Argument {
    /// Adds it to the line, as one word.
    fn write(&self, line: &mut Line<'_>);
}

impl Argument for SessionId {
    fn write(&self, line: &mut Line<'_>) {
        line.display(format_args!("{:?}", self.0));
    }
}

impl Argument for LinkId {
    fn write(&self, line: &mut Line<'_>) {
        line.display(format_args!("{:?}", self.0));
    }
}

impl Argument for DeliveryId {
    fn write(&self, line: &mut Line<'_>) {
        line.display(format_args!("{:?}:{}", self.link().0, self.number().get()));
    }
}

impl Argument for u32 {
    fn write(&self, line: &mut Line<'_>) {
        line.display(format_args!("{self}"));
    }
}

impl Argument for bool {
    fn write(&self, line: &mut Line<'_>) {
        line.display(format_args!("{self}"));
    }
}

impl Argument for Bytes {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(self);
    }
}

impl Argument for DeliveryTag {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(self.as_bytes());
    }
}

impl Argument for TxnId {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(self.as_bytes());
    }
}

impl Argument for SessionConfig {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(&encoded(&begin_of(self)));
    }
}

impl Argument for LinkConfig {
    fn write(&self, line: &mut Line<'_>) {
        // Which role it is the call says; that of a sender says all.
        line.hex(&encoded(&attach_of(self.name.clone(), Role::Sender, self.clone())));
    }
}

impl Argument for Fields {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(&encoded(self));
    }
}

impl Argument for &Message {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(&encoded(self));
    }
}

impl Argument for Error {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(&encoded(self));
    }
}

impl Argument for DeliveryState {
    fn write(&self, line: &mut Line<'_>) {
        line.hex(&encoded(self));
    }
}

impl<T: Argument> Argument for Option<T> {
    fn write(&self, line: &mut Line<'_>) {
        match self {
            Some(argument) => argument.write(line),
            None => line.push("-"),
        }
    }
}

/// The words of a line, read one after the other. What is wrong with a word is told in half a sentence.
pub(super) struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The next word.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, String> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if word.is_empty() { Err(alloc::format!("{expected} is missing")) } else { Ok(word) }
    }

    /// There are no more words.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(unexpected("the end of the line", self.0)) }
    }

    pub(super) fn number<T: core::str::FromStr>(&mut self) -> Result<T, String> {
        let word = self.word("a number")?;
        word.parse().map_err(|_| unexpected("a number", word))
    }

    pub(super) fn flag(&mut self) -> Result<bool, String> {
        let word = self.word("true or false")?;
        word.parse().map_err(|_| unexpected("true or false", word))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let word = self.word("bytes")?;
        if word == "-" {
            return Ok(vec![]);
        }
        let mut bytes = Vec::with_capacity(word.len() / 2);
        for pair in word.as_bytes().chunks(2) {
            match pair {
                &[high, low] if is_digit(high) && is_digit(low) => bytes.push(value(high) << 4 | value(low)),
                _ => return Err(unexpected("bytes in hexadecimal", word)),
            }
        }
        Ok(bytes)
    }

    pub(super) fn session(&mut self) -> Result<SessionId, String> {
        self.key("a session").map(SessionId)
    }

    pub(super) fn link(&mut self) -> Result<LinkId, String> {
        self.key("a link").map(LinkId)
    }

    pub(super) fn delivery(&mut self) -> Result<DeliveryId, String> {
        let word = self.word("a delivery")?;
        let id = word.split_once(':').and_then(|(link, number)| {
            Some(DeliveryId::new(link.parse().ok()?, Serial::new(number.parse().ok()?)))
        });
        id.ok_or_else(|| unexpected("a delivery", word))
    }

    fn key(&mut self, expected: &str) -> Result<Key, String> {
        let word = self.word(expected)?;
        word.parse().map_err(|_| unexpected(expected, word))
    }

    pub(super) fn tag(&mut self) -> Result<DeliveryTag, String> {
        DeliveryTag::new(&self.bytes()?).map_err(|_| "a delivery-tag has up to 32 bytes".into())
    }

    pub(super) fn txn_id(&mut self) -> Result<TxnId, String> {
        TxnId::new(&self.bytes()?).ok_or_else(|| "a txn-id has up to 32 bytes".into())
    }

    /// A value in its encoding.
    pub(super) fn value<T: for<'b> Decode<'b>>(&mut self) -> Result<T, String> {
        let bytes = self.bytes()?;
        T::decode(&bytes).map_err(|error| alloc::format!("{error}"))
    }

    /// A value in its encoding, or none.
    pub(super) fn maybe<T: for<'b> Decode<'b>>(&mut self) -> Result<Option<T>, String> {
        let bytes = self.bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        T::decode(&bytes).map(Some).map_err(|error| alloc::format!("{error}"))
    }

    pub(super) fn message(&mut self) -> Result<Message, String> {
        Message::decode(&self.bytes()?.into()).map_err(|error| alloc::format!("{error}"))
    }

    pub(super) fn session_config(&mut self) -> Result<SessionConfig, String> {
        let begin: Begin = self.value()?;
        Ok(SessionConfig {
            incoming_window: begin.incoming_window,
            handle_max: begin.handle_max,
            next_outgoing_id: begin.next_outgoing_id,
            offered_capabilities: begin.offered_capabilities,
            desired_capabilities: begin.desired_capabilities,
            properties: begin.properties,
        })
    }

    pub(super) fn link_config(&mut self) -> Result<LinkConfig, String> {
        config_of(self.value()?).map_err(|invalid| invalid.0.into())
    }
}

const fn is_digit(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'a'..=b'f')
}

/// The value of a hexadecimal digit.
const fn value(digit: u8) -> u8 {
    if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 }
}

/// What was expected where something else stands, of which the beginning is shown.
pub(super) fn unexpected(expected: &str, found: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = found.chars().take(SHOWN).collect();
    let more = if shown.len() < found.len() { ".." } else { "" };
    alloc::format!("expected {expected}, found {shown:?}{more}")
}

pub(super) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

pub(super) fn begin_of(config: &SessionConfig) -> Begin {
    Begin {
        remote_channel: None,
        next_outgoing_id: config.next_outgoing_id,
        incoming_window: config.incoming_window,
        outgoing_window: 0,
        handle_max: config.handle_max,
        offered_capabilities: config.offered_capabilities.clone(),
        desired_capabilities: config.desired_capabilities.clone(),
        properties: config.properties.clone(),
    }
}

impl<T: Argument> Argument for Box<T> {
    fn write(&self, line: &mut Line<'_>) {
        (**self).write(line);
    }
}
