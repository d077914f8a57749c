//! Frames as scripts write and read them.

use amqp1_engine::{
    codec::{Encode, FRAME_HEADER_LEN},
    types::{
        Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, SaslChallenge, SaslInit,
        SaslMechanisms, SaslOutcome, SaslResponse, Transfer,
    },
};
use bytes::{Buf, Bytes, BytesMut};

/// A frame of the AMQP layer.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The sender's channel.
    pub channel: u16,
    /// What it says.
    pub performative: Performative,
    /// What follows a transfer.
    pub payload: Bytes,
}

impl Frame {
    /// The bytes of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.performative.encode(&mut body);
        body.extend_from_slice(&self.payload);
        frame_of(self.channel, &body)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.channel)?;
        match &self.performative {
            Performative::Open(open) => open.fmt(f),
            Performative::Begin(begin) => begin.fmt(f),
            Performative::Attach(attach) => attach.fmt(f),
            Performative::Flow(flow) => flow.fmt(f),
            Performative::Transfer(transfer) => transfer.fmt(f),
            Performative::Disposition(disposition) => disposition.fmt(f),
            Performative::Detach(detach) => detach.fmt(f),
            Performative::End(end) => end.fmt(f),
            Performative::Close(close) => close.fmt(f),
        }?;
        match self.payload.len() {
            0 => Ok(()),
            1..=48 => write!(f, " b\"{}\"", self.payload.escape_ascii()),
            len => write!(f, " ({len} bytes)"),
        }
    }
}

/// A frame on `channel` with this body, whatever it is.
#[must_use]
pub fn frame_of(channel: u16, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(FRAME_HEADER_LEN + body.len()).expect("a frame of a test is small");
    let mut bytes = Vec::with_capacity(size as usize);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&[2, 0]);
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Makes a frame of each performative: on channel 0, unless [`on`](IntoFrame::on) says otherwise.
macro_rules! into_frame {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Frame {
            fn from(performative: $kind) -> Self {
                Self { channel: 0, performative: performative.into(), payload: Bytes::new() }
            }
        }
    )*};
}

into_frame!(Open Begin Attach Flow Transfer Disposition Detach End Close);

/// What a script says of a frame besides its performative.
pub trait IntoFrame: Into<Frame> {
    /// On this channel.
    fn on(self, channel: u16) -> Frame {
        Frame { channel, ..self.into() }
    }

    /// With this payload.
    fn with(self, payload: impl Into<Bytes>) -> Frame {
        Frame { payload: payload.into(), ..self.into() }
    }
}

impl<T: Into<Frame>> IntoFrame for T {}

/// What a stream consists of.
#[derive(Clone, PartialEq, Eq)]
pub enum Item {
    /// A protocol header.
    Header([u8; 8]),
    /// A frame with a performative.
    Frame(Frame),
    /// A frame without a body.
    Heartbeat(u16),
    /// The body of a SASL frame.
    Sasl(Bytes),
    /// What is none of these.
    Malformed(String, Bytes),
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(header) => write!(f, "{}", header.escape_ascii()),
            Self::Frame(frame) => frame.fmt(f),
            Self::Heartbeat(channel) => write!(f, "{channel} (empty frame)"),
            Self::Sasl(body) => sasl(body, f),
            Self::Malformed(reason, bytes) => write!(f, "{reason}: {}", bytes.escape_ascii()),
        }
    }
}

fn sasl(body: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    use amqp1_engine::codec::Decode;
    if let Ok(mechanisms) = SaslMechanisms::decode(body) {
        write!(f, "{mechanisms:?}")
    } else if let Ok(init) = SaslInit::decode(body) {
        write!(f, "{init:?}")
    } else if let Ok(challenge) = SaslChallenge::decode(body) {
        write!(f, "{challenge:?}")
    } else if let Ok(response) = SaslResponse::decode(body) {
        write!(f, "{response:?}")
    } else if let Ok(outcome) = SaslOutcome::decode(body) {
        write!(f, "{outcome:?}")
    } else {
        write!(f, "SASL {}", body.escape_ascii())
    }
}

/// Cuts a stream into its items.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
}

impl Splitter {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that make no item yet.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// The next item, once it is whole.
    pub fn next_item(&mut self) -> Option<Item> {
        let head = *self.buffer.first_chunk::<8>()?;
        if head.starts_with(b"AMQP") {
            self.buffer.advance(8);
            return Some(Item::Header(head));
        }
        let [a, b, c, d, doff, kind, high, low] = head;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let body = usize::from(doff) * 4;
        if size < FRAME_HEADER_LEN || body < FRAME_HEADER_LEN || body > size {
            let bytes = self.buffer.split().freeze();
            return Some(Item::Malformed("no frame".into(), bytes));
        }
        if self.buffer.len() < size {
            return None;
        }
        let body = self.buffer.split_to(size).freeze().slice(body..);
        let channel = u16::from_be_bytes([high, low]);
        Some(match kind {
            1 => Item::Sasl(body),
            0 if body.is_empty() => Item::Heartbeat(channel),
            0 => match Performative::decode(&body) {
                Ok((performative, payload)) => {
                    let payload = body.slice_ref(payload);
                    Item::Frame(Frame { channel, performative, payload })
                }
                Err(error) => Item::Malformed(error.to_string(), body),
            },
            _ => Item::Malformed(format!("frame type {kind}"), body),
        })
    }
}
