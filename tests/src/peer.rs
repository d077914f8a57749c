//! The scripted peer.

use std::collections::{BTreeMap, VecDeque};

use amqp1_engine::{
    codec::{Decode, Encode},
    types::Performative,
};

use crate::{Frame, Item, Splitter, Wire};

/// Plays the other side of a connection by a script.
///
/// Calls read like a packet trace: [`expect`](Self::expect) the frame that must come next,
/// [`expect!`](crate::expect) one that looks like a pattern, [`send`](Self::send) one,
/// [`silent`](Self::silent) for nothing. Whatever fails, and be it an assertion of the test itself, the frames that
/// were exchanged are printed.
#[derive(Debug)]
pub struct Peer<W: Wire> {
    pub(crate) wire: W,
    received: Splitter,
    items: VecDeque<Item>,
    trace: Vec<String>,
    /// Transfers on each channel, as the other side must count them.
    sent_transfers: BTreeMap<u16, u32>,
    received_transfers: BTreeMap<u16, u32>,
}

/// The protocol header of AMQP.
const AMQP: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

impl<W: Wire> Peer<W> {
    /// A peer that has exchanged nothing.
    pub fn new(wire: W) -> Self {
        Self {
            wire,
            received: Splitter::default(),
            items: VecDeque::new(),
            trace: Vec::new(),
            sent_transfers: BTreeMap::new(),
            received_transfers: BTreeMap::new(),
        }
    }

    /// Nothing was exchanged over the connection that follows.
    pub(crate) fn begin_anew(&mut self) {
        self.received = Splitter::default();
        self.items.clear();
        self.sent_transfers.clear();
        self.received_transfers.clear();
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: impl Into<Frame>) {
        self.send_all([frame.into()]);
    }

    /// Sends frames in one write.
    pub fn send_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let mut bytes = Vec::new();
        for frame in frames {
            self.trace.push(format!("peer   -> {frame:?}"));
            count(&mut self.sent_transfers, &frame);
            bytes.extend(frame.encode());
        }
        self.wire.send(&bytes);
    }

    /// Sends bytes, whatever they are.
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let shown = &bytes[..bytes.len().min(80)];
        let cut = if shown.len() < bytes.len() { ".." } else { "" };
        self.trace.push(format!("peer   -> {} bytes {}{cut}", bytes.len(), shown.escape_ascii()));
        self.wire.send(bytes);
    }

    /// Counts a transfer that was sent as bytes.
    pub fn count_transfer(&mut self, channel: u16) {
        *self.sent_transfers.entry(channel).or_default() += 1;
    }

    /// Sends the protocol header of AMQP.
    pub fn send_header(&mut self) {
        self.send_raw(AMQP);
    }

    /// Sends the protocol header for this protocol id.
    pub fn send_header_of(&mut self, id: u8) {
        self.send_raw([b'A', b'M', b'Q', b'P', id, 1, 0, 0]);
    }

    /// Sends a SASL frame.
    pub fn send_sasl(&mut self, body: &impl Encode) {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        let mut frame = crate::frame_of(0, &bytes);
        frame[5] = 1;
        self.trace.push(format!("peer   -> {:?}", Item::Sasl(bytes.into())));
        self.wire.send(&frame);
    }

    /// Sends no more.
    pub fn shut(&mut self) {
        self.trace.push("peer   -> end of stream".into());
        self.wire.shut();
    }

    /// Expects this very frame.
    ///
    /// # Panics
    ///
    /// When another one comes, or none.
    #[track_caller]
    pub fn expect(&mut self, expected: impl Into<Frame>) {
        let expected = expected.into();
        match self.next_item() {
            Some(Item::Frame(frame)) if frame == expected => {}
            other => self.mismatch(&format!("{expected:?}"), other.as_ref()),
        }
    }

    /// The frame that comes next: for the macro [`expect!`](crate::expect), which names what it expects.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn expect_frame(&mut self, expected: &str) -> Frame {
        match self.next_item() {
            Some(Item::Frame(frame)) => frame,
            other => self.mismatch(expected, other.as_ref()),
        }
    }

    /// Expects the protocol header of AMQP.
    ///
    /// # Panics
    ///
    /// When something else comes.
    #[track_caller]
    pub fn expect_header(&mut self) {
        self.expect_header_of(0);
    }

    /// Expects the protocol header for this protocol id.
    ///
    /// # Panics
    ///
    /// When something else comes.
    #[track_caller]
    pub fn expect_header_of(&mut self, id: u8) {
        match self.next_item() {
            Some(Item::Header([b'A', b'M', b'Q', b'P', other, 1, 0, 0])) if id == other => {}
            other => self.mismatch(&format!("header of protocol {id}"), other.as_ref()),
        }
    }

    /// Expects an empty frame.
    ///
    /// # Panics
    ///
    /// When something else comes.
    #[track_caller]
    pub fn expect_heartbeat(&mut self) {
        match self.next_item() {
            Some(Item::Heartbeat(0)) => {}
            other => self.mismatch("an empty frame", other.as_ref()),
        }
    }

    /// Expects a SASL frame of this type.
    ///
    /// # Panics
    ///
    /// When something else comes.
    #[track_caller]
    pub fn expect_sasl<T: for<'a> Decode<'a>>(&mut self) -> T {
        match self.next_item() {
            Some(Item::Sasl(body)) if T::decode(&body).is_ok() => T::decode(&body).expect("just read"),
            other => self.mismatch(std::any::type_name::<T>(), other.as_ref()),
        }
    }

    /// Expects that nothing comes.
    ///
    /// # Panics
    ///
    /// When something comes.
    #[track_caller]
    pub fn silent(&mut self) {
        if let item @ Some(_) = self.next_item() {
            self.mismatch("silence", item.as_ref());
        }
        let rest = self.received.rest();
        assert!(rest.is_empty(), "expected silence, received part of a frame: {}", rest.escape_ascii());
    }

    /// Expects that the other side drops the connection, and says nothing before.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn expect_dropped(&mut self) {
        self.silent();
        assert!(self.wire.is_dropped(), "the connection was not dropped");
    }

    /// Whatever comes next.
    pub fn next_item(&mut self) -> Option<Item> {
        while self.items.is_empty() {
            let bytes = self.wire.receive();
            if bytes.is_empty() {
                return None;
            }
            self.received.push(&bytes);
            while let Some(item) = self.received.next_item() {
                self.trace.push(format!("engine -> {item:?}"));
                if let Item::Frame(frame) = &item {
                    count(&mut self.received_transfers, frame);
                }
                self.items.push_back(item);
            }
        }
        self.items.pop_front()
    }

    /// How many transfers the script has sent on this channel of its own.
    #[must_use]
    pub fn sent_transfers(&self, channel: u16) -> u32 {
        self.sent_transfers.get(&channel).copied().unwrap_or(0)
    }

    /// How many transfers have come on this channel of the other side.
    #[must_use]
    pub fn received_transfers(&self, channel: u16) -> u32 {
        self.received_transfers.get(&channel).copied().unwrap_or(0)
    }

    /// Reports that something else came.
    ///
    /// # Panics
    ///
    /// Always.
    #[track_caller]
    pub fn mismatch(&self, expected: &str, actual: Option<&Item>) -> ! {
        match actual {
            Some(actual) => panic!("\nexpected: {expected}\nreceived: {actual:?}"),
            None => panic!("\nexpected: {expected}\nreceived: nothing"),
        }
    }
}

impl<W: Wire> Drop for Peer<W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            while self.next_item().is_some() {}
            eprintln!("frames:\n    {}\n{}", self.trace.join("\n    "), self.wire.report());
        }
    }
}

fn count(transfers: &mut BTreeMap<u16, u32>, frame: &Frame) {
    if matches!(frame.performative, Performative::Transfer(_)) {
        *transfers.entry(frame.channel).or_default() += 1;
    }
}

/// Expects a frame that matches a pattern of its performative, and gives what the arrow says of it.
///
/// ```
/// # use amqp1_tests::prelude::*;
/// # let way = Way::new(Side::Client, Chunks::Whole);
/// # let mut peer = way.opened();
/// peer.engine().begin(SessionConfig::default()).unwrap();
/// let window = expect!(peer, Begin { remote_channel: None, incoming_window, .. } => incoming_window);
/// assert_eq!(window, 2048);
/// ```
#[macro_export]
macro_rules! expect {
    ($peer:expr, $kind:ident $fields:tt $(if $guard:expr)? $(=> $result:expr)?) => {{
        const EXPECTED: &str = concat!(stringify!($kind $fields) $(, " if ", stringify!($guard))?);
        let frame = $peer.expect_frame(EXPECTED);
        match frame.performative.clone() {
            ::amqp1_engine::types::Performative::$kind(performative) => match *performative {
                ::amqp1_engine::types::$kind $fields $(if $guard)? => { $($result)? }
                #[allow(unreachable_patterns, reason = "a pattern may match all there is")]
                _ => $peer.mismatch(EXPECTED, Some(&$crate::Item::Frame(frame))),
            },
            _ => $peer.mismatch(EXPECTED, Some(&$crate::Item::Frame(frame))),
        }
    }};
}
