//! The leaves of all writers, and compounds whose size is patched in.

use alloc::vec::Vec;

use super::{Encode, StrRef, SymbolRef, Value, ValueRef, code};

/// A constructor and the bytes of its fixed-width value.
#[inline(always)]
pub(crate) fn fixed<const N: usize>(out: &mut Vec<u8>, constructor: u8, bytes: [u8; N]) {
    const LONGEST: usize = 17;
    let mut value = [0; LONGEST];
    value[0] = constructor;
    value[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&value[..=N]);
}

/// What the format code for sizes of one byte becomes for sizes of four (0xa0 → 0xb0, 0xc0 → 0xd0, …).
pub(crate) const WIDE: u8 = 0x10;

/// A variable-width value; `narrow` is the format code for sizes of one byte.
#[inline(never)]
pub(crate) fn variable(out: &mut Vec<u8>, narrow: u8, bytes: &[u8]) {
    if in_room(out, |room| room.variable(narrow, bytes)) != Some(true) {
        long_variable(out, narrow, bytes);
    }
}

#[inline(never)]
fn long_variable(out: &mut Vec<u8>, narrow: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(size) => out.extend_from_slice(&[narrow, size]),
        Err(_) => fixed(out, narrow + WIDE, (bytes.len() as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// What [`in_room`] offers: two short values, or a performative that is written often, and its last word.
pub(crate) const ROOM: usize = 80;

/// Room at the end of a buffer, in which words of fixed size are written without a look at its capacity for each.
///
/// A word may be longer than what is meant: the next one overwrites the rest.
pub(crate) struct Room<'a> {
    bytes: &'a mut [u8; ROOM],
    at: usize,
}

/// Makes room behind `out`, and gives back what `write` left of it.
#[inline(always)]
pub(crate) fn in_room<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Room<'_>) -> T) -> Option<T> {
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let mut room = Room { bytes: out.last_chunk_mut()?, at: 0 };
    let written = write(&mut room);
    let end = start + room.at;
    out.truncate(end);
    Some(written)
}

impl Room<'_> {
    /// Writes a word, of which `len` bytes are meant.
    #[inline(always)]
    fn put<const N: usize>(&mut self, word: [u8; N], len: usize) {
        self.bytes[self.at..self.at + N].copy_from_slice(&word);
        self.at += len;
    }

    /// A number whose `word` begins with its format code.
    #[inline(always)]
    fn number<const N: usize>(&mut self, constructor: u8, bytes: [u8; N]) {
        self.put([constructor], 1);
        self.put(bytes, N);
    }

    /// Writes a variable-width value if it is short, in two words that overlap.
    #[inline(always)]
    fn variable(&mut self, narrow: u8, bytes: &[u8]) -> bool {
        let len = bytes.len();
        if len < 4 {
            self.put([narrow, len as u8], 2);
            bytes.iter().for_each(|byte| self.put([*byte], 1));
            true
        } else if len < 8 {
            self.overlap::<4>(narrow, bytes)
        } else if len < 16 {
            self.overlap::<8>(narrow, bytes)
        } else if len <= 32 {
            self.overlap::<16>(narrow, bytes)
        } else {
            false
        }
    }

    #[inline(always)]
    fn overlap<const N: usize>(&mut self, narrow: u8, bytes: &[u8]) -> bool {
        let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
            return false;
        };
        self.put([narrow], 1);
        self.put([bytes.len() as u8], 1);
        let end = self.at + bytes.len();
        self.bytes[self.at..self.at + N].copy_from_slice(first);
        self.bytes[end - N..end].copy_from_slice(last);
        self.at = end;
        true
    }
}

/// What is written into a [`Room`] if it is short, as most values are, and else in its general form.
pub(crate) trait Short {
    /// Writes the value if it is short; otherwise there may be a part of it in the room.
    fn write_short(&self, room: &mut Room<'_>) -> bool;

    /// Writes any value in its general form.
    fn write_long(&self, out: &mut Vec<u8>);

    /// As [`write_short`](Self::write_short), where nearly all values are strings.
    #[inline(always)]
    fn write_key(&self, room: &mut Room<'_>) -> bool {
        self.write_short(room)
    }
}

impl Short for StrRef<'_> {
    #[inline(always)]
    fn write_short(&self, room: &mut Room<'_>) -> bool {
        room.variable(code::STRING8, self.as_bytes())
    }

    fn write_long(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}

impl Short for SymbolRef<'_> {
    #[inline(always)]
    fn write_short(&self, room: &mut Room<'_>) -> bool {
        room.variable(code::SYMBOL8, self.as_bytes())
    }

    fn write_long(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}

/// The same for owned and borrowed values.
macro_rules! short {
    ($kind:ident, $type:ty) => {
        impl Short for $type {
            #[inline(always)]
            fn write_key(&self, room: &mut Room<'_>) -> bool {
                match self {
                    $kind::String(name) => room.variable(code::STRING8, name.as_bytes()),
                    _ => false,
                }
            }

            #[inline(always)]
            fn write_short(&self, room: &mut Room<'_>) -> bool {
                match self {
                    $kind::Null => room.put([code::NULL], 1),
                    $kind::Bool(false) => room.put([code::FALSE], 1),
                    $kind::Bool(true) => room.put([code::TRUE], 1),
                    $kind::Uint(0) => room.put([code::UINT0], 1),
                    $kind::Uint(value) => match u8::try_from(*value) {
                        Ok(value) => room.put([code::SMALLUINT, value], 2),
                        Err(_) => room.number(code::UINT, value.to_be_bytes()),
                    },
                    $kind::Ulong(0) => room.put([code::ULONG0], 1),
                    $kind::Ulong(value) => match u8::try_from(*value) {
                        Ok(value) => room.put([code::SMALLULONG, value], 2),
                        Err(_) => room.number(code::ULONG, value.to_be_bytes()),
                    },
                    $kind::Int(value) => match i8::try_from(*value) {
                        Ok(value) => room.put([code::SMALLINT, value as u8], 2),
                        Err(_) => room.number(code::INT, value.to_be_bytes()),
                    },
                    $kind::Long(value) => match i8::try_from(*value) {
                        Ok(value) => room.put([code::SMALLLONG, value as u8], 2),
                        Err(_) => room.number(code::LONG, value.to_be_bytes()),
                    },
                    $kind::Double(value) => room.number(code::DOUBLE, value.to_be_bytes()),
                    $kind::Timestamp(value) => room.number(code::TIMESTAMP, value.0.to_be_bytes()),
                    $kind::Binary(value) => return room.variable(code::BINARY8, value),
                    $kind::String(value) => return room.variable(code::STRING8, value.as_bytes()),
                    $kind::Symbol(value) => return room.variable(code::SYMBOL8, value.as_bytes()),
                    _ => return false,
                }
                true
            }

            fn write_long(&self, out: &mut Vec<u8>) {
                self.encode(out);
            }
        }
    };
}

short!(Value, Value);
short!(ValueRef, ValueRef<'_>);

/// A key and its value, one behind the other.
impl<K: Short, V: Short> Short for (K, V) {
    #[inline(always)]
    fn write_short(&self, room: &mut Room<'_>) -> bool {
        self.0.write_key(room) && self.1.write_short(room)
    }

    fn write_long(&self, out: &mut Vec<u8>) {
        self.0.write_long(out);
        self.1.write_long(out);
    }
}

/// Writes the items of a list, or the entries of a map, one behind the other.
#[inline]
pub(crate) fn items<T: Short>(out: &mut Vec<u8>, mut items: &[T]) {
    // What of `out` is not written yet, which ends at `len`.
    let mut room: &mut [u8] = &mut [];
    let mut len = out.len();
    while let [item, rest @ ..] = items {
        let Some(bytes) = room.first_chunk_mut() else {
            let at = len - room.len();
            make_room(out, at, items.len());
            len = out.len();
            room = &mut out[at..];
            continue;
        };
        let mut front = Room { bytes, at: 0 };
        if item.write_short(&mut front) {
            let written = front.at;
            room = &mut core::mem::take(&mut room)[written..];
        } else {
            let at = len - room.len();
            out.truncate(at);
            item.write_long(out);
            len = out.len();
            room = &mut [];
        }
        items = rest;
    }
    let end = len - room.len();
    out.truncate(end);
}

/// Makes room at `at` for so many short items, or for the first of them.
#[inline(never)]
fn make_room(out: &mut Vec<u8>, at: usize, items: usize) {
    const MANY: usize = 16;
    out.resize(at + ROOM * items.min(MANY), 0);
}

/// Size and bytes of a variable-width value, without a constructor.
pub(crate) fn variable_data(out: &mut Vec<u8>, wide: bool, bytes: &[u8]) {
    if wide {
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    } else {
        out.push(bytes.len() as u8);
    }
    out.extend_from_slice(bytes);
}

/// A list, map or array under construction: narrow until it turns out to be too big.
pub(crate) struct Compound {
    start: usize,
}

/// Constructor, size and count of the narrow form.
const NARROW_HEAD: usize = 3;

impl Compound {
    /// Writes the head of a compound; `narrow` is the format code for sizes of one byte.
    #[inline]
    pub(crate) fn begin(out: &mut Vec<u8>, narrow: u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[narrow, 0, 0]);
        Self { start }
    }

    /// Puts size and count in, after `count` items were written.
    #[inline]
    pub(crate) fn end(self, out: &mut Vec<u8>, count: usize) {
        let size = out.len() - self.start - NARROW_HEAD + 1;
        match (u8::try_from(size), u8::try_from(count)) {
            (Ok(size), Ok(count)) => {
                out[self.start + 1] = size;
                out[self.start + 2] = count;
            }
            _ => self.widen(out, count),
        }
    }

    /// As [`end`](Self::end) for a list, whose empty form takes one byte.
    #[inline]
    pub(crate) fn end_list(self, out: &mut Vec<u8>, count: usize) {
        if count == 0 {
            out.truncate(self.start);
            out.push(code::LIST0);
        } else {
            self.end(out, count);
        }
    }

    #[cold]
    #[inline(never)]
    fn widen(self, out: &mut Vec<u8>, count: usize) {
        let items = self.start + NARROW_HEAD;
        let size = (out.len() - items + 4) as u32;
        let mut head = [0; 9];
        head[0] = out[self.start] + WIDE;
        head[1..5].copy_from_slice(&size.to_be_bytes());
        head[5..].copy_from_slice(&(count as u32).to_be_bytes());
        out.splice(self.start..items, head);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::sample::arbitrary;

    proptest! {
        /// Short and long ones in any order, more than there is room for at a time.
        #[test]
        fn items_are_written_one_behind_the_other(
            items in prop::collection::vec((text(), prop_oneof![4 => text(), 1 => arbitrary::<Value>()]), 0..60),
            before in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let mut expected = before.clone();
            for (key, value) in &items {
                key.encode(&mut expected);
                value.encode(&mut expected);
            }
            let mut written = before.clone();
            super::items(&mut written, &items);
            prop_assert_eq!(&written, &expected);

            let values: Vec<Value> = items.into_iter().flat_map(|(key, value)| [key, value]).collect();
            let mut written = before;
            super::items(&mut written, &values);
            prop_assert_eq!(written, expected);
        }
    }

    /// A text, most often a short one.
    fn text() -> impl Strategy<Value = Value> {
        (0usize..36, any::<char>())
            .prop_map(|(len, char)| String::from_iter(core::iter::repeat_n(char, len)).into())
    }

    #[test]
    fn a_compound_widens_at_256() {
        for (items, expected) in [(254, [code::LIST8, 255, 254]), (255, [code::LIST32, 0, 0])] {
            let mut out = Vec::new();
            let list = Compound::begin(&mut out, code::LIST8);
            out.resize(out.len() + items, code::NULL);
            list.end(&mut out, items);
            assert_eq!(out[..3], expected);
        }
    }
}
