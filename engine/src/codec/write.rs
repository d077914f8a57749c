//! The leaves of all writers, and compounds whose size is patched in.

use alloc::vec::Vec;

use super::code;

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
    match u8::try_from(bytes.len()) {
        Ok(size) => out.extend_from_slice(&[narrow, size]),
        Err(_) => fixed(out, narrow + WIDE, (bytes.len() as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
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
