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
pub(crate) trait Short: Encode {
    /// Writes the value if it is short.
    fn write_short(&self, room: &mut Room<'_>) -> bool;

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
}

impl Short for SymbolRef<'_> {
    #[inline(always)]
    fn write_short(&self, room: &mut Room<'_>) -> bool {
        room.variable(code::SYMBOL8, self.as_bytes())
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
        }
    };
}

short!(Value, Value);
short!(ValueRef, ValueRef<'_>);

/// For how many values room is made at a time.
const MANY: usize = 16;

/// Writes values one behind the other into [`Room`] that is made for many of them at a time.
pub(crate) struct Values<'a> {
    out: &'a mut Vec<u8>,
    /// Where what was written ends; room is behind it.
    at: usize,
}

impl<'a> Values<'a> {
    #[inline(always)]
    pub(crate) fn begin(out: &'a mut Vec<u8>, count: usize) -> Self {
        let at = out.len();
        out.resize(at + ROOM * count.min(MANY), 0);
        Self { out, at }
    }

    /// There is none when all of it was used: then a value in its general form makes more.
    #[inline(always)]
    fn room(&mut self) -> Option<Room<'_>> {
        let bytes = self.out.get_mut(self.at..self.at + ROOM)?;
        Some(Room { bytes: bytes.try_into().ok()?, at: 0 })
    }

    /// Writes an entry of a map.
    #[inline(always)]
    pub(crate) fn entry(&mut self, key: &impl Short, value: &impl Short) {
        if let Some(mut room) = self.room()
            && key.write_key(&mut room)
        {
            let is_short = value.write_short(&mut room);
            self.at += room.at;
            if is_short {
                return;
            }
        } else {
            self.at = write_long(self.out, self.at, key);
        }
        self.at = write_long(self.out, self.at, value);
    }

    /// Writes an item of a list.
    #[inline(always)]
    pub(crate) fn item(&mut self, value: &Value) {
        if let Some(mut room) = self.room()
            && value.write_short(&mut room)
        {
            self.at += room.at;
        } else {
            self.at = write_long(self.out, self.at, value);
        }
    }

    #[inline(always)]
    pub(crate) fn end(self) {
        self.out.truncate(self.at);
    }
}

/// Writes any value at `at`, behind which there is nothing but room, and makes room behind it, where it ends.
#[inline(never)]
fn write_long(out: &mut Vec<u8>, at: usize, value: &impl Encode) -> usize {
    out.truncate(at);
    value.encode(out);
    let at = out.len();
    out.resize(at + ROOM * MANY, 0);
    at
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
    use super::*;

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
