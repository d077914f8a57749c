//! The three performatives of every message, `transfer`, `flow` and `disposition`, read and written by hand.
//!
//! They agree with what [`composite!`](super::composite) makes of the tables in all but speed: what peers send all
//! the time is read and written here, anything else, errors included, is left to the general form.

use alloc::vec::Vec;

use super::{code, parse::Parsed};
use crate::{
    Serial,
    types::{DeliveryState, DeliveryTag, Disposition, Flow, Handle, Role, Transfer},
};

/// Writes a list of at most [`ROOM`] bytes, descriptor included. No function: a closure would keep the writer in memory.
macro_rules! write_list {
    ($out:expr, $descriptor:literal, |$list:ident| $fields:block) => {{
        let out: &mut Vec<u8> = $out;
        let start = out.len();
        out.extend_from_slice(&[0; ROOM]);
        if let Some(room) = out.last_chunk_mut() {
            let mut $list = Writer { room, at: HEAD, count: 0, kept: (0, HEAD) };
            $fields
            let end = $list.finish($descriptor);
            out.truncate(start + end);
        }
    }};
}

/// A performative whose `composite!` table says `hot`.
pub(crate) trait Hot: Sized {
    /// Reads the list that follows the descriptor.
    fn parse(list: &[u8]) -> Parsed<'_, Self>;

    /// Writes descriptor and list; `false`, and nothing written, leaves it to the general form.
    fn write(&self, out: &mut Vec<u8>) -> bool;
}

/// The first transfer of a delivery that is to be written.
#[derive(Clone, Copy)]
pub(crate) struct FirstTransfer<'a> {
    pub(crate) handle: Handle,
    pub(crate) delivery_id: Serial,
    pub(crate) delivery_tag: &'a DeliveryTag,
    pub(crate) message_format: u32,
    pub(crate) settled: bool,
    pub(crate) more: bool,
}

impl FirstTransfer<'_> {
    /// Writes it, descriptor included.
    //= 3.4.1-02 3.4.6-02 3.4.6-13
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_list!(out, 0x14, |list| {
            list.uint(self.handle.0);
            list.uint(self.delivery_id.get());
            list.tag(self.delivery_tag);
            list.uint(self.message_format);
            list.bool(self.settled);
            list.flag(self.more);
        });
    }
}

impl Hot for Transfer {
    #[inline(always)]
    fn parse(list: &[u8]) -> Parsed<'_, Self> {
        let mut padded = [0; ROOM];
        let mut fields = Reader::begin(window!(list, padded));
        let transfer = Self {
            handle: Handle(fields.number()),
            delivery_id: fields.uint().map(Serial::new),
            delivery_tag: fields.tag(),
            message_format: fields.uint(),
            settled: fields.bool(),
            more: fields.flag(),
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
        };
        match fields.end(list) {
            Some(rest) => Ok((rest, transfer)),
            None => Self::parse_fields(list),
        }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let unusual = self.rcv_settle_mode.is_some()
            || self.state.is_some()
            || (self.resume | self.aborted | self.batchable);
        match (self.delivery_id, &self.delivery_tag, self.message_format, self.settled) {
            (Some(delivery_id), Some(delivery_tag), Some(message_format), Some(settled)) if !unusual => {
                let (handle, more) = (self.handle, self.more);
                FirstTransfer { handle, delivery_id, delivery_tag, message_format, settled, more }.write(out);
                true
            }
            _ => false,
        }
    }
}

impl Hot for Flow {
    #[inline]
    fn parse(list: &[u8]) -> Parsed<'_, Self> {
        let mut padded = [0; ROOM];
        let mut fields = Reader::begin(window!(list, padded));
        let flow = Self {
            next_incoming_id: fields.uint().map(Serial::new),
            incoming_window: fields.number(),
            next_outgoing_id: Serial::new(fields.number()),
            outgoing_window: fields.number(),
            handle: fields.uint().map(Handle),
            delivery_count: fields.uint().map(Serial::new),
            link_credit: fields.uint(),
            available: fields.uint(),
            drain: fields.flag(),
            echo: fields.flag(),
            properties: None,
        };
        match fields.end(list) {
            Some(rest) => Ok((rest, flow)),
            None => Self::parse_fields(list),
        }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) -> bool {
        if self.properties.is_some() {
            return false;
        }
        write_list!(out, 0x13, |list| {
            list.optional_uint(self.next_incoming_id.map(Serial::get));
            list.uint(self.incoming_window);
            list.uint(self.next_outgoing_id.get());
            list.uint(self.outgoing_window);
            list.optional_uint(self.handle.map(|handle| handle.0));
            list.optional_uint(self.delivery_count.map(Serial::get));
            list.optional_uint(self.link_credit);
            list.optional_uint(self.available);
            list.flag(self.drain);
            list.flag(self.echo);
        });
        true
    }
}

impl Hot for Disposition {
    #[inline]
    fn parse(list: &[u8]) -> Parsed<'_, Self> {
        let mut padded = [0; ROOM];
        let mut fields = Reader::begin(window!(list, padded));
        let disposition = Self {
            role: if fields.bool().unwrap_or_else(|| fields.give_up()) {
                Role::Receiver
            } else {
                Role::Sender
            },
            first: Serial::new(fields.number()),
            last: fields.uint().map(Serial::new),
            settled: fields.flag(),
            state: fields.state(),
            batchable: fields.flag(),
        };
        match fields.end(list) {
            Some(rest) => Ok((rest, disposition)),
            None => Self::parse_fields(list),
        }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let state = match self.state {
            None => None,
            Some(DeliveryState::Accepted) => Some(ACCEPTED),
            Some(DeliveryState::Released) => Some(RELEASED),
            Some(_) => return false,
        };
        write_list!(out, 0x15, |list| {
            list.bool(self.role == Role::Receiver);
            list.uint(self.first.get());
            list.optional_uint(self.last.map(Serial::get));
            list.flag(self.settled);
            match state {
                Some(state) => list.state(state),
                None => list.null(),
            }
            list.flag(self.batchable);
        });
        true
    }
}

/// What follows the zero byte in the encoding of [`DeliveryState::Accepted`].
const ACCEPTED: [u8; 3] = [code::SMALLULONG, 0x24, code::LIST0];
/// What follows the zero byte in the encoding of [`DeliveryState::Released`].
const RELEASED: [u8; 3] = [code::SMALLULONG, 0x26, code::LIST0];

/// More than the longest list that is written here, a flow of eight numbers, and its last word need.
const ROOM: usize = 64;

/// `descriptor, list8, size, count`.
const HEAD: usize = 6;

/// Writes fields in words of fixed size, of which the next field overwrites what was not meant.
struct Writer<'a> {
    room: &'a mut [u8; ROOM],
    at: usize,
    count: u8,
    /// Fields up to the last that is not null, and where it ends.
    kept: (u8, usize),
}

impl Writer<'_> {
    /// Writes what stands before the fields; gives where they end.
    #[inline(always)]
    fn finish(self, descriptor: u8) -> usize {
        let (count, end) = self.kept;
        let size = (end - HEAD + 1) as u8;
        let head = [code::DESCRIBED, code::SMALLULONG, descriptor, code::LIST8, size, count];
        self.room[..HEAD].copy_from_slice(&head);
        end
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, word: [u8; N], len: usize) {
        self.room[self.at..self.at + N].copy_from_slice(&word);
        self.at += len;
        self.count += 1;
        self.kept = (self.count, self.at);
    }

    #[inline(always)]
    fn null(&mut self) {
        self.room[self.at] = code::NULL;
        self.at += 1;
        self.count += 1;
    }

    #[inline(always)]
    fn bool(&mut self, value: bool) {
        self.put([if value { code::TRUE } else { code::FALSE }], 1);
    }

    /// A boolean whose default is false.
    #[inline(always)]
    fn flag(&mut self, value: bool) {
        if value { self.bool(true) } else { self.null() }
    }

    #[inline(always)]
    fn uint(&mut self, value: u32) {
        let (constructor, shift, len) = match value {
            0 => (code::UINT0, 24, 1),
            1..=0xff => (code::SMALLUINT, 48, 2),
            _ => (code::UINT, 24, 5),
        };
        let word = u64::from(constructor) << 56 | u64::from(value) << shift;
        self.put(word.to_be_bytes(), len);
    }

    #[inline(always)]
    fn optional_uint(&mut self, value: Option<u32>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    #[inline(always)]
    fn tag(&mut self, tag: &DeliveryTag) {
        let (bytes, len) = tag.padded();
        self.room[self.at..self.at + 2].copy_from_slice(&[code::BINARY8, len]);
        self.at += 2;
        self.put(*bytes, usize::from(len));
    }

    #[inline(always)]
    fn state(&mut self, [a, b, c]: [u8; 3]) {
        self.put([code::DESCRIBED, a, b, c], 4);
    }
}

/// Reads fields in the encodings that peers use, and gives up wherever the general form must look.
///
/// It reads from a window of fixed size that begins with the list, and ahead of the list's end:
/// [`end`](Self::end) sees whether a field lay there.
struct Reader<'a> {
    window: &'a [u8; ROOM],
    at: usize,
    left: u8,
}

/// The front of a list, as a window of which nothing lies outside: copied where there are fewer bytes.
macro_rules! window {
    ($list:expr, $padded:ident) => {
        match $list.first_chunk() {
            Some(window) => window,
            None => {
                $padded[..$list.len()].copy_from_slice($list);
                &$padded
            }
        }
    };
}
use window;

impl<'a> Reader<'a> {
    /// Reads the head of a list8.
    #[inline(always)]
    fn begin(window: &'a [u8; ROOM]) -> Self {
        let [constructor, _, left, ..] = *window;
        let mut reader = Self { window, at: 3, left };
        if constructor != code::LIST8 {
            reader.give_up::<()>();
        }
        reader
    }

    /// Reads no further: what was read so far is not to be used.
    #[inline(always)]
    fn give_up<T: Default>(&mut self) -> T {
        self.left = 0;
        self.at = GIVEN_UP;
        T::default()
    }

    /// The bytes from here on; other ones where the window is too short, which [`end`](Self::end) notices.
    #[inline(always)]
    fn ahead<const N: usize>(&self) -> &[u8; N] {
        let from = self.at.min(ROOM - N);
        self.window[from..].first_chunk().unwrap_or(const { &[0; N] })
    }

    /// The constructor of the next field; null when there is none.
    #[inline(always)]
    fn constructor(&mut self) -> u8 {
        if self.left == 0 {
            return code::NULL;
        }
        self.left -= 1;
        let [constructor] = *self.ahead();
        self.at += 1;
        constructor
    }

    #[inline(always)]
    fn uint(&mut self) -> Option<u32> {
        match self.constructor() {
            code::UINT => {
                let bytes = *self.ahead();
                self.at += 4;
                Some(u32::from_be_bytes(bytes))
            }
            code::SMALLUINT => {
                let [byte] = *self.ahead();
                self.at += 1;
                Some(u32::from(byte))
            }
            code::UINT0 => Some(0),
            code::NULL => None,
            _ => self.give_up(),
        }
    }

    /// A mandatory number.
    #[inline(always)]
    fn number(&mut self) -> u32 {
        match self.uint() {
            Some(number) => number,
            None => self.give_up(),
        }
    }

    #[inline(always)]
    fn bool(&mut self) -> Option<bool> {
        match self.constructor() {
            code::TRUE => Some(true),
            code::FALSE => Some(false),
            code::NULL => None,
            _ => self.give_up(),
        }
    }

    /// A boolean whose default is false.
    #[inline(always)]
    fn flag(&mut self) -> bool {
        self.bool().unwrap_or(false)
    }

    #[inline(always)]
    fn tag(&mut self) -> Option<DeliveryTag> {
        match self.constructor() {
            code::BINARY8 => {}
            code::NULL => return None,
            _ => return self.give_up(),
        }
        let [len] = *self.ahead();
        self.at += 1;
        let tag = DeliveryTag::from_padded(*self.ahead(), len);
        if tag.is_none() || self.at > ROOM - DeliveryTag::MAX {
            return self.give_up();
        }
        self.at += usize::from(len);
        tag
    }

    #[inline(always)]
    fn state(&mut self) -> Option<DeliveryState> {
        match self.constructor() {
            code::DESCRIBED => {}
            code::NULL => return None,
            _ => return self.give_up(),
        }
        let state = *self.ahead();
        self.at += state.len();
        match state {
            ACCEPTED => Some(DeliveryState::Accepted),
            RELEASED => Some(DeliveryState::Released),
            _ => self.give_up(),
        }
    }

    /// After the last field that is read here: what follows the list, if it ends here, too.
    #[inline(always)]
    fn end(self, list: &[u8]) -> Option<&[u8]> {
        let size = usize::from(self.window[1]);
        if self.left == 0 && self.at == size + 2 && self.at <= ROOM { list.get(self.at..) } else { None }
    }
}

/// Where no list ends.
const GIVEN_UP: usize = usize::MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Decode, Encode, sample::arbitrary};
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_first_transfer_reads_as_it_was_written(
            handle: u32, delivery_id: u32, tag in arbitrary::<DeliveryTag>(), message_format in prop_oneof![Just(0), any::<u32>()],
            settled: bool, more: bool,
        ) {
            let (handle, delivery_id) = (Handle(handle), Serial::new(delivery_id));
            let first = FirstTransfer { handle, delivery_id, delivery_tag: &tag, message_format, settled, more };
            let mut bytes = vec![7];
            first.write(&mut bytes);
            let transfer = Transfer {
                delivery_id: Some(delivery_id),
                delivery_tag: Some(tag),
                message_format: Some(message_format),
                settled: Some(settled),
                more,
                ..Transfer::new(handle)
            };
            prop_assert_eq!(Transfer::decode(&bytes[1..]), Ok(transfer));
        }
    }

    /// Whatever is read or written by hand is what the general form reads and writes.
    macro_rules! agree {
        ($($test:ident: $type:ident;)*) => {$(
            mod $test {
                use super::*;

                proptest! {
                    #[test]
                    fn writes_the_same(value in arbitrary::<$type>(), before in prop::collection::vec(any::<u8>(), 0..9)) {
                        let (mut by_hand, mut general) = (before.clone(), before);
                        value.encode(&mut by_hand);
                        value.encode_fields(&mut general);
                        prop_assert_eq!(by_hand, general);
                    }

                    #[test]
                    fn reads_the_same(value in arbitrary::<$type>(), payload: Vec<u8>) {
                        let mut bytes = Vec::new();
                        value.encode(&mut bytes);
                        bytes.extend_from_slice(&payload);
                        let read = $type::parse_list(&bytes[3..]);
                        prop_assert_eq!(&read, &$type::parse_fields(&bytes[3..]));
                        prop_assert_eq!(read, Ok((payload.as_slice(), value)));
                    }

                    #[test]
                    fn judges_the_same(
                        value in arbitrary::<$type>(),
                        payload: Vec<u8>,
                        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
                        keep: prop::sample::Index,
                    ) {
                        let mut bytes = Vec::new();
                        value.encode(&mut bytes);
                        bytes.drain(..3);
                        let list = bytes.len();
                        bytes.extend_from_slice(&payload);
                        for (place, byte) in changes {
                            bytes[place.index(list)] = byte;
                        }
                        prop_assert_eq!($type::parse_list(&bytes), $type::parse_fields(&bytes));
                        bytes.truncate(keep.index(bytes.len()));
                        prop_assert_eq!($type::parse_list(&bytes), $type::parse_fields(&bytes));
                    }

                    /// Any constructor for any field, in sequence.
                    #[test]
                    fn judges_fields_the_same(
                        fields in prop::collection::vec(field(), 0..13),
                        count in prop::option::of(0u8..14),
                        size in prop::option::of(any::<u8>()),
                        payload: Vec<u8>,
                    ) {
                        let count = count.unwrap_or(fields.len() as u8);
                        let fields = fields.concat();
                        let size = size.unwrap_or((fields.len() + 1).min(255) as u8);
                        let mut bytes = Vec::from([code::LIST8, size, count]);
                        bytes.extend_from_slice(&fields);
                        bytes.extend_from_slice(&payload);
                        prop_assert_eq!($type::parse_list(&bytes), $type::parse_fields(&bytes));
                    }
                }
            }
        )*};
    }

    agree! {
        transfers: Transfer;
        flows: Flow;
        dispositions: Disposition;
    }

    /// Fields as they occur in the three, and others.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => any::<u32>().prop_map(|value| {
                let mut out = Vec::new();
                value.encode(&mut out);
                out
            }),
            2 => any::<u8>().prop_map(|value| Vec::from([code::SMALLUINT, value])),
            2 => any::<u32>().prop_map(|value| [&[code::UINT][..], &value.to_be_bytes()].concat()),
            4 => prop::sample::select(&[code::NULL, code::TRUE, code::FALSE, code::UINT0, code::LIST0][..])
                .prop_map(|code| Vec::from([code])),
            1 => any::<bool>().prop_map(|value| Vec::from([code::BOOLEAN, value.into()])),
            2 => prop::collection::vec(any::<u8>(), 0..36).prop_map(|tag| {
                let mut out = Vec::new();
                tag.as_slice().encode(&mut out);
                out
            }),
            2 => arbitrary::<DeliveryState>().prop_map(|state| {
                let mut out = Vec::new();
                state.encode(&mut out);
                out
            }),
        ]
    }
}
