//! The three performatives of every message, `transfer`, `flow` and `disposition`, read and written by hand.
//!
//! They agree with what [`composite!`](super::composite) makes of the tables in all but speed: what peers send all
//! the time is read and written here, anything else, errors included, is left to the general form.

use alloc::vec::Vec;

use super::{
    code,
    frame::{self, FRAME_HEADER_LEN},
};
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
        if let Some(room) = out.last_chunk_mut::<ROOM>() {
            let mut $list = Writer::new(room);
            $fields
            let end = $list.finish($descriptor);
            out.truncate(start + end);
        }
    }};
}

/// A performative whose `composite!` table says `hot`.
pub(crate) trait Hot: Sized {
    /// One to be read into.
    fn unset() -> Self;

    /// Reads descriptor and list in the place of this one; what follows comes back. `None` leaves it to the general form.
    fn read<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]>;

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
    /// Writes a frame that ends with so many bytes of payload, up to these.
    #[inline(always)]
    pub(crate) fn write_frame(&self, out: &mut Vec<u8>, channel: u16, payload_len: usize) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_LEN + ROOM]);
        let Some((header, room)) = out.last_chunk_mut::<{ FRAME_HEADER_LEN + ROOM }>().map(split_header)
        else {
            return;
        };
        let mut list = Writer::new(room);
        self.write_fields(&mut list);
        let end = FRAME_HEADER_LEN + list.finish(Transfer::CODE as u8);
        let size = (end + payload_len) as u32;
        *header = frame::header(size, 0, channel);
        out.truncate(start + end);
    }

    #[inline(always)]
    fn write_fields(&self, list: &mut Writer<'_>) {
        list.uint(self.handle.0);
        list.uint(self.delivery_id.get());
        list.tag(self.delivery_tag);
        list.uint(self.message_format);
        list.bool(self.settled);
        list.flag(self.more);
    }

    /// Writes it, descriptor included.
    //= 3.4.1-02 3.4.6-02 3.4.6-13
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_list!(out, 0x14, |list| {
            self.write_fields(&mut list);
        });
    }
}

/// The header and what follows it.
#[inline(always)]
fn split_header(bytes: &mut [u8; FRAME_HEADER_LEN + ROOM]) -> (&mut [u8; FRAME_HEADER_LEN], &mut [u8; ROOM]) {
    let (header, rest) = bytes.split_at_mut(FRAME_HEADER_LEN);
    (header.try_into().expect("it has this length"), rest.try_into().expect("it has this length"))
}

impl Hot for Transfer {
    #[inline(always)]
    fn unset() -> Self {
        Self::new(Handle(0))
    }

    #[inline(always)]
    fn read<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]> {
        let mut room;
        let mut fields = Reader::begin(window!(input, room), 0x14, 1)?;
        if self.state.is_some() {
            return None;
        }
        self.rcv_settle_mode = None;
        (self.more, self.resume, self.aborted, self.batchable) = (false, false, false, false);
        self.handle = fields.number()?;
        fields.uint(&mut self.delivery_id)?;
        fields.tag(&mut self.delivery_tag)?;
        fields.uint(&mut self.message_format)?;
        fields.bool(&mut self.settled)?;
        fields.flag(&mut self.more)?;
        fields.end(input)
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
    #[inline(always)]
    fn unset() -> Self {
        Self::new(0, Serial::new(0), 0)
    }

    #[inline(always)]
    fn read<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]> {
        let mut room;
        let mut fields = Reader::begin(window!(input, room), 0x13, 4)?;
        if self.properties.is_some() {
            return None;
        }
        self.available = None;
        (self.drain, self.echo) = (false, false);
        fields.uint(&mut self.next_incoming_id)?;
        self.incoming_window = fields.number()?;
        self.next_outgoing_id = fields.number()?;
        self.outgoing_window = fields.number()?;
        fields.uint(&mut self.handle)?;
        fields.uint(&mut self.delivery_count)?;
        fields.uint(&mut self.link_credit)?;
        if fields.has_more() {
            fields.uint(&mut self.available)?;
            fields.flag(&mut self.drain)?;
            fields.flag(&mut self.echo)?;
        }
        fields.end(input)
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
    #[inline(always)]
    fn unset() -> Self {
        Self::new(Role::Sender, Serial::new(0))
    }

    #[inline(always)]
    fn read<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]> {
        let mut room;
        let mut fields = Reader::begin(window!(input, room), 0x15, 2)?;
        if self.state.is_some() {
            return None;
        }
        (self.settled, self.batchable) = (false, false);
        self.role = fields.role()?;
        self.first = fields.number()?;
        fields.uint(&mut self.last)?;
        fields.flag(&mut self.settled)?;
        fields.state(&mut self.state)?;
        fields.flag(&mut self.batchable)?;
        fields.end(input)
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

/// The encoding of [`DeliveryState::Accepted`].
const ACCEPTED: [u8; 4] = [code::DESCRIBED, code::SMALLULONG, 0x24, code::LIST0];
/// The encoding of [`DeliveryState::Released`].
const RELEASED: [u8; 4] = [code::DESCRIBED, code::SMALLULONG, 0x26, code::LIST0];

/// What the longest list and a word behind its last byte take.
const ROOM: usize = 64;

/// `descriptor, list8, size, count`.
const HEAD: usize = 6;

const _: () = {
    const UINT: usize = 1 + size_of::<u32>();
    const FLAG: usize = 1;
    const TRANSFER: usize = HEAD + 2 * UINT + 2 + DeliveryTag::MAX + UINT + 2 * FLAG;
    const FLOW: usize = HEAD + 8 * UINT + 2 * FLAG;
    const DISPOSITION: usize = HEAD + FLAG + 2 * UINT + FLAG + ACCEPTED.len() + FLAG;
    const WORD: usize = size_of::<u64>();
    assert!(TRANSFER + WORD - 1 <= ROOM && FLOW + WORD - 1 <= ROOM && DISPOSITION + WORD - 1 <= ROOM);
};

/// Writes fields in words of fixed size, of which the next field overwrites what was not meant.
struct Writer<'a> {
    room: &'a mut [u8; ROOM],
    at: usize,
    count: u8,
    /// Fields up to the last that is not null, and where it ends.
    kept: (u8, usize),
}

impl<'a> Writer<'a> {
    #[inline(always)]
    fn new(room: &'a mut [u8; ROOM]) -> Self {
        Self { room, at: HEAD, count: 0, kept: (0, HEAD) }
    }

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
    fn state(&mut self, state: [u8; 4]) {
        self.put(state, 4);
    }
}

/// The front of the input, as a window of which nothing lies outside: copied where there are fewer bytes.
macro_rules! window {
    ($input:expr, $room:ident) => {
        match $input.first_chunk() {
            Some(window) => window,
            None => {
                $room = [0; ROOM];
                if !pad::<32>($input, &mut $room)
                    && !pad::<16>($input, &mut $room)
                    && !pad::<8>($input, &mut $room)
                {
                    return None;
                }
                &$room
            }
        }
    };
}
use window;

/// Copies what has `N` bytes or more, and not more than twice as many.
#[inline(always)]
fn pad<const N: usize>(list: &[u8], room: &mut [u8; ROOM]) -> bool {
    let (Some(first), Some(last)) = (list.first_chunk::<N>(), list.last_chunk::<N>()) else { return false };
    let at = (list.len() - N).min(ROOM - N);
    room[..N].copy_from_slice(first);
    room[at..at + N].copy_from_slice(last);
    true
}

/// Reads fields in the encodings that peers use; what is `None` then is for the general form to look at.
///
/// It reads from a window of fixed size that begins with the descriptor and that no list of known fields fills, also
/// behind the end of the list: [`end`](Self::end) sees whether a field lay there.
struct Reader<'a> {
    window: &'a [u8; ROOM],
    at: usize,
    /// Fields that the list has, and that were read.
    count: u8,
    read: u8,
}

impl<'a> Reader<'a> {
    /// Reads the descriptor and the head of a list8 that has so many fields at least.
    #[inline(always)]
    fn begin(window: &'a [u8; ROOM], descriptor: u8, at_least: u8) -> Option<Self> {
        let [a, b, c, d, _, count, ..] = *window;
        let begins = [a, b, c, d] == [code::DESCRIBED, code::SMALLULONG, descriptor, code::LIST8];
        (begins && count >= at_least).then_some(Self { window, at: HEAD, count, read: 0 })
    }

    /// The bytes from here on.
    #[inline(always)]
    fn ahead<const N: usize>(&self) -> &'a [u8; N] {
        let from = self.at.min(ROOM - N);
        self.window[from..].first_chunk().unwrap_or(const { &[0; N] })
    }

    /// The next bytes.
    #[inline(always)]
    fn bytes<const N: usize>(&mut self) -> &'a [u8; N] {
        let bytes = self.ahead();
        self.at += N;
        bytes
    }

    /// Whether there is another field.
    #[inline(always)]
    fn has_more(&self) -> bool {
        self.read < self.count
    }

    /// Goes on to the next field; whether there is one.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        self.read += 1;
        self.read <= self.count
    }

    /// The constructor of the next field; null when there is none.
    #[inline(always)]
    fn constructor(&mut self) -> u8 {
        if !self.advance() {
            return code::NULL;
        }
        let [constructor] = *self.bytes();
        constructor
    }

    #[inline(always)]
    fn uint<T: From<u32>>(&mut self, field: &mut Option<T>) -> Option<()> {
        match self.constructor() {
            code::UINT => *field = Some(u32::from_be_bytes(*self.bytes()).into()),
            code::SMALLUINT => {
                let [byte] = *self.bytes();
                *field = Some(u32::from(byte).into());
            }
            code::UINT0 => *field = Some(0.into()),
            code::NULL => *field = None,
            _ => return None,
        }
        Some(())
    }

    /// A mandatory number.
    #[inline(always)]
    fn number<T: From<u32>>(&mut self) -> Option<T> {
        let mut number = None;
        self.uint(&mut number)?;
        number
    }

    #[inline(always)]
    fn bool(&mut self, field: &mut Option<bool>) -> Option<()> {
        match self.constructor() {
            code::TRUE => *field = Some(true),
            code::FALSE => *field = Some(false),
            code::NULL => *field = None,
            _ => return None,
        }
        Some(())
    }

    /// A boolean whose default is false.
    #[inline(always)]
    fn flag(&mut self, field: &mut bool) -> Option<()> {
        match self.constructor() {
            code::TRUE => *field = true,
            code::FALSE | code::NULL => {}
            _ => return None,
        }
        Some(())
    }

    #[inline(always)]
    fn role(&mut self) -> Option<Role> {
        match self.constructor() {
            code::TRUE => Some(Role::Receiver),
            code::FALSE => Some(Role::Sender),
            _ => None,
        }
    }

    #[inline(always)]
    fn tag(&mut self, field: &mut Option<DeliveryTag>) -> Option<()> {
        match self.constructor() {
            code::BINARY8 => {
                let [len] = *self.bytes();
                let end = self.at + usize::from(len);
                *field = Some(DeliveryTag::from_padded(*self.bytes(), len)?);
                self.at = end;
            }
            code::NULL => *field = None,
            _ => return None,
        }
        Some(())
    }

    #[inline(always)]
    fn state(&mut self, field: &mut Option<DeliveryState>) -> Option<()> {
        if !self.advance() {
            return Some(());
        }
        let word = *self.ahead();
        let state = if word == ACCEPTED {
            DeliveryState::Accepted
        } else if word == RELEASED {
            DeliveryState::Released
        } else if word[0] == code::NULL {
            self.at += 1;
            return Some(());
        } else {
            return None;
        };
        self.at += word.len();
        core::mem::forget(field.replace(state));
        Some(())
    }

    /// After the last field that is read here: what follows the list, if it ends here, too.
    #[inline(always)]
    fn end(self, input: &[u8]) -> Option<&[u8]> {
        let end = usize::from(self.window[HEAD - 2]) + HEAD - 1;
        if self.count <= self.read && self.at == end { input.get(self.at..) } else { None }
    }
}

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

                /// Judges `list` by hand where that can be done, by itself and in the place of another, and in the general form.
                fn judge(list: &[u8], mut other: $type) -> Result<(), TestCaseError> {
                    let bytes = [&[code::DESCRIBED, code::SMALLULONG, $type::CODE as u8], list].concat();
                    let general = $type::parse_fields(list);
                    prop_assert_eq!(&$type::parse(&bytes), &general);
                    let read = other.parse_from(&bytes);
                    match general {
                        Ok((rest, value)) => prop_assert_eq!((read, other), (Ok(rest), value)),
                        Err(error) => prop_assert_eq!(read, Err(error.into())),
                    }
                    Ok(())
                }

                proptest! {
                    #[test]
                    fn writes_the_same(value in arbitrary::<$type>(), before in prop::collection::vec(any::<u8>(), 0..9)) {
                        let (mut by_hand, mut general) = (before.clone(), before);
                        value.encode(&mut by_hand);
                        value.encode_fields(&mut general);
                        prop_assert_eq!(by_hand, general);
                    }

                    #[test]
                    fn reads_the_same(value in arbitrary::<$type>(), payload: Vec<u8>, other in arbitrary::<$type>()) {
                        let mut bytes = Vec::new();
                        value.encode(&mut bytes);
                        bytes.extend_from_slice(&payload);
                        prop_assert_eq!($type::parse(&bytes), Ok((payload.as_slice(), value)));
                        judge(&bytes[3..], other)?;
                    }

                    #[test]
                    fn judges_the_same(
                        value in arbitrary::<$type>(),
                        payload: Vec<u8>,
                        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
                        keep: prop::sample::Index,
                        other in arbitrary::<$type>(),
                    ) {
                        let mut bytes = Vec::new();
                        value.encode(&mut bytes);
                        bytes.drain(..3);
                        let list = bytes.len();
                        bytes.extend_from_slice(&payload);
                        for (place, byte) in changes {
                            bytes[place.index(list)] = byte;
                        }
                        judge(&bytes, other.clone())?;
                        bytes.truncate(keep.index(bytes.len()));
                        judge(&bytes, other)?;
                    }

                    /// Any constructor for any field, in sequence.
                    #[test]
                    fn judges_fields_the_same(
                        fields in prop::collection::vec(field(), 0..13),
                        count in prop::option::of(0u8..14),
                        size in prop::option::of(any::<u8>()),
                        payload: Vec<u8>,
                        other in arbitrary::<$type>(),
                    ) {
                        let count = count.unwrap_or(fields.len() as u8);
                        let fields = fields.concat();
                        let size = size.unwrap_or((fields.len() + 1).min(255) as u8);
                        let mut bytes = Vec::from([code::LIST8, size, count]);
                        bytes.extend_from_slice(&fields);
                        bytes.extend_from_slice(&payload);
                        judge(&bytes, other)?;
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

    /// Has `value` read by hand from `list`, short and with much behind it.
    fn reads<T: Hot + PartialEq + core::fmt::Debug>(list: &[u8], value: &T) {
        for payload in [&[][..], &[7], &[7; 100]] {
            let bytes = [list, payload].concat();
            let mut read = T::unset();
            assert_eq!((read.read(&bytes), &read), (Some(payload), value), "{list:02x?}");
        }
    }

    /// The same, from what was written by hand.
    fn writes<T: Hot + PartialEq + core::fmt::Debug>(value: &T) {
        let mut list = Vec::new();
        assert!(value.write(&mut list), "{value:?}");
        reads(&list, value);
    }

    /// The general form would give the same, for ten times the work.
    #[test]
    fn what_peers_send_all_the_time_is_read_and_written_by_hand() {
        for number in [0, 1, 0xff, 0x100, u32::MAX] {
            for len in [0, 1, 8, 32] {
                for (settled, more) in [(false, false), (true, false), (false, true)] {
                    writes(&Transfer {
                        delivery_id: Some(Serial::new(number)),
                        delivery_tag: DeliveryTag::new(&[7; 32][..len]).ok(),
                        message_format: Some(number),
                        settled: Some(settled),
                        more,
                        ..Transfer::new(Handle(number))
                    });
                }
            }
            let session = Flow {
                next_incoming_id: Some(Serial::new(number)),
                ..Flow::new(number, Serial::new(number), number)
            };
            let link = Flow {
                handle: Some(Handle(number)),
                delivery_count: Some(Serial::new(number)),
                link_credit: Some(number),
                ..session.clone()
            };
            let told = Flow { available: Some(number), ..link.clone() };
            let drained = Flow { drain: true, ..told.clone() };
            let asked = Flow { echo: true, ..session.clone() };
            [session, link, told, drained, asked].iter().for_each(writes);
            let states = [None, Some(DeliveryState::Accepted), Some(DeliveryState::Released)];
            for (role, state) in [Role::Sender, Role::Receiver].into_iter().zip([&states, &states]) {
                for state in state {
                    for (last, settled, batchable) in [(None, false, false), (Some(9), true, true)] {
                        writes(&Disposition {
                            last: last.map(Serial::new),
                            settled,
                            state: state.clone(),
                            batchable,
                            ..Disposition::new(role, Serial::new(number))
                        });
                    }
                }
            }
        }
        // Others write fields out that are null or as wide as can be, and a transfer that goes on with a delivery has few.
        let uint = [code::UINT, 0, 0, 0, 5];
        let head = |descriptor, size, count| [0, code::SMALLULONG, descriptor, code::LIST8, size, count];
        let goes_on = [&head(0x14, 11, 6)[..], &uint, &[0x40, 0x40, 0x40, 0x42, 0x41]].concat();
        reads(&goes_on, &Transfer { settled: Some(false), more: true, ..Transfer::new(Handle(5)) });
        let number = Serial::new(5);
        let flow = [&head(0x13, 27, 10)[..], &uint.repeat(4), &[0x40, 0x40, 0x40, 0x43, 0x42, 0x42]].concat();
        let session = Flow { next_incoming_id: Some(number), available: Some(0), ..Flow::new(5, number, 5) };
        reads(&flow, &session);
        let disposition = [&head(0x15, 15, 6)[..], &[0x42], &uint, &uint, &[0x41, 0x40, 0x42]].concat();
        let settled =
            Disposition { last: Some(number), settled: true, ..Disposition::new(Role::Sender, number) };
        reads(&disposition, &settled);
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
