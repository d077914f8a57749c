//! The leaves of all writers, and compounds whose size is patched in.

use alloc::vec::Vec;

use super::{Encode, Value, code};

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
#[inline]
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

    /// Writes a value if it is short, as most are.
    #[inline(always)]
    pub(crate) fn value(&mut self, value: &Value) -> bool {
        match value {
            Value::Null => self.put([code::NULL], 1),
            Value::Bool(false) => self.put([code::FALSE], 1),
            Value::Bool(true) => self.put([code::TRUE], 1),
            Value::Uint(0) => self.put([code::UINT0], 1),
            Value::Uint(value) => match u8::try_from(*value) {
                Ok(value) => self.put([code::SMALLUINT, value], 2),
                Err(_) => self.number(code::UINT, value.to_be_bytes()),
            },
            Value::Ulong(0) => self.put([code::ULONG0], 1),
            Value::Ulong(value) => match u8::try_from(*value) {
                Ok(value) => self.put([code::SMALLULONG, value], 2),
                Err(_) => self.number(code::ULONG, value.to_be_bytes()),
            },
            Value::Int(value) => match i8::try_from(*value) {
                Ok(value) => self.put([code::SMALLINT, value as u8], 2),
                Err(_) => self.number(code::INT, value.to_be_bytes()),
            },
            Value::Long(value) => match i8::try_from(*value) {
                Ok(value) => self.put([code::SMALLLONG, value as u8], 2),
                Err(_) => self.number(code::LONG, value.to_be_bytes()),
            },
            Value::Double(value) => self.number(code::DOUBLE, value.to_be_bytes()),
            Value::Timestamp(value) => self.number(code::TIMESTAMP, value.0.to_be_bytes()),
            Value::Binary(value) => return self.variable(code::BINARY8, value),
            Value::String(value) => return self.variable(code::STRING8, value.as_bytes()),
            Value::Symbol(value) => return self.variable(code::SYMBOL8, value.as_bytes()),
            _ => return false,
        }
        true
    }
}

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

    /// Writes an entry of a map, whose key is a short string, as nearly all are.
    #[inline(always)]
    pub(crate) fn entry(&mut self, key: &Value, value: &Value) {
        if let Value::String(name) = key
            && let Some(mut room) = self.room()
            && room.variable(code::STRING8, name.as_bytes())
        {
            let is_short = room.value(value);
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
            && room.value(value)
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
fn write_long(out: &mut Vec<u8>, at: usize, value: &Value) -> usize {
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
