use alloc::boxed::Box;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

/// The encoded bytes of one delivery, as they travelled: one chunk per transfer frame, never copied unless small.
///
/// Small chunks behind the first are gathered, so that a peer that cuts its message into crumbs makes us hold its
/// bytes and little more. The bytes of a delivery with message-format 0 are a message: see
/// [`MessageView`](super::MessageView) and [`Message::decode`](super::Message::decode). Those of other formats are
/// the application's own business (§2.8.11).
#[derive(Clone, Default)]
pub struct Payload {
    /// None when there is no byte.
    first: Option<Bytes>,
    more: Option<Box<More>>,
}

/// What follows the first chunk, in order: `chunks`, then `tail`.
#[derive(Clone, Default)]
struct More {
    chunks: Vec<Bytes>,
    tail: Vec<u8>,
    len: usize,
}

/// A shorter chunk behind the first is copied: that is cheaper than to keep a reference to its buffer.
const SHARE_FROM: usize = 1024;

impl Payload {
    /// A payload without a byte.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, more: None }
    }

    /// Adds `chunk` at the end.
    #[inline(always)]
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            match self.first {
                None => self.first = Some(chunk),
                Some(_) => self.more.get_or_insert_default().push(chunk),
            }
        }
    }

    /// How many bytes there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.more.as_ref().map_or(0, |more| more.len)
    }

    /// Whether there is no byte.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The bytes piece by piece, in order; no piece is empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let (chunks, tail) = match &self.more {
            Some(more) => (more.chunks.as_slice(), more.tail.as_slice()),
            None => Default::default(),
        };
        let shared = self.first.iter().chain(chunks).map(Bytes::as_ref);
        shared.chain([tail]).filter(|chunk| !chunk.is_empty())
    }

    /// All bytes, if they came in one chunk.
    #[inline]
    pub(crate) fn single(&self) -> Option<&Bytes> {
        self.first.as_ref().filter(|_| self.more.is_none())
    }

    /// All bytes as one slice; copies them together, once, if they came in more than one chunk.
    #[inline]
    pub fn contiguous(&mut self) -> &[u8] {
        if let Some(more) = self.more.take() {
            self.first = self.first.take().map(|first| more.join_to(&first));
        }
        self.first.as_deref().unwrap_or_default()
    }

    /// All bytes; not copied if they came in one chunk.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match (&self.first, &self.more) {
            (Some(first), Some(more)) => more.join_to(first),
            (Some(first), None) => first.clone(),
            (None, _) => Bytes::new(),
        }
    }

    /// All bytes; not copied if they came in one chunk.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.contiguous();
        self.first.unwrap_or_default()
    }
}

impl More {
    #[inline(never)]
    fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if chunk.len() < SHARE_FROM {
            self.tail.extend_from_slice(&chunk);
            return;
        }
        if !self.tail.is_empty() {
            self.chunks.push(mem::take(&mut self.tail).into());
        }
        self.chunks.push(chunk);
    }

    fn join_to(&self, first: &[u8]) -> Bytes {
        let mut all = Vec::with_capacity(first.len() + self.len);
        all.extend_from_slice(first);
        for chunk in &self.chunks {
            all.extend_from_slice(chunk);
        }
        all.extend_from_slice(&self.tail);
        all.into()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { first: Some(bytes).filter(|bytes| !bytes.is_empty()), more: None }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Payload> for Bytes {
    fn from(payload: Payload) -> Self {
        payload.into_bytes()
    }
}

impl PartialEq for Payload {
    /// Compares the bytes; how they are cut into chunks does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.chunks().flatten().eq(other.chunks().flatten())
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_chunk_is_handed_back_without_a_copy() {
        let bytes = Bytes::from(vec![7; 100]);
        let mut payload = Payload::new();
        payload.push(Bytes::new());
        payload.push(bytes.clone());
        payload.push(Bytes::new());
        assert_eq!(payload.to_bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(payload.contiguous().as_ptr(), bytes.as_ptr());
        assert_eq!(payload.into_bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn crumbs_are_gathered_and_large_chunks_shared() {
        let large = Bytes::from(vec![1; 4096]);
        let mut payload = Payload::new();
        payload.push(large.clone());
        for _ in 0..10_000 {
            payload.push(Bytes::from_static(b"x"));
        }
        payload.push(large.clone());
        let sizes: Vec<_> = payload.chunks().map(<[u8]>::len).collect();
        assert_eq!(sizes, [4096, 10_000, 4096]);
        assert_eq!(payload.chunks().next().unwrap().as_ptr(), large.as_ptr());
    }

    proptest! {
        #[test]
        fn chunks_join_to_what_was_pushed(pieces in prop::collection::vec((0..3000usize, any::<u8>()), 0..8)) {
            let mut payload = Payload::new();
            let mut model = Vec::new();
            for (len, byte) in pieces {
                payload.push(vec![byte; len].into());
                model.resize(model.len() + len, byte);
            }
            prop_assert_eq!(payload.len(), model.len());
            prop_assert_eq!(payload.is_empty(), model.is_empty());
            prop_assert_eq!(payload.chunks().collect::<Vec<_>>().concat(), model.clone());
            let mut joined = payload.clone();
            prop_assert_eq!(joined.contiguous(), &model);
            prop_assert_eq!(&joined, &payload);
            prop_assert_eq!(payload.into_bytes(), model);
        }
    }
}
