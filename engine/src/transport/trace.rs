//! Frame trace in the style of Proton's: one line a frame, secrets masked.

use alloc::{collections::VecDeque, string::String};

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the peer, `<-`.
    In,
    /// To the peer, `->`.
    Out,
}

/// Lines not yet taken by the user; costs nothing while off.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// Keeps lines only if asked to.
    pub(crate) fn new(enabled: bool) -> Self {
        Self { lines: enabled.then(VecDeque::new) }
    }

    /// Whether anybody reads it; ask before gathering bytes for it.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Records a protocol header.
    pub(crate) fn header(&mut self, _direction: Direction, _header: &[u8; 8]) {}

    /// Records one frame, or the start of one, whose `total` size on the wire is told by its header. A payload that
    /// lies elsewhere need not be copied in.
    pub(crate) fn frame(&mut self, _direction: Direction, _frame: &[u8]) {}

    /// The oldest line.
    pub(crate) fn pop(&mut self) -> Option<String> {
        self.lines.as_mut()?.pop_front()
    }
}
