//! Frame trace: one line a frame, secrets masked, off by default.

use alloc::{collections::VecDeque, format, string::String};
use core::fmt::{self, Write};

use super::describe::Description;

/// Lines kept for the user; older ones make room.
const MAX_LINES: usize = 1_024;
/// Bytes of one line; what is longer is cut.
const MAX_LINE: usize = 4_096;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the peer, `<-`.
    In,
    /// To the peer, `->`.
    Out,
}

/// Says of each frame what it was: `<- 0 @open(16) [container-id="x"]`.
///
/// Lines wait here for the user if the configuration asks for them, and go to `tracing` as events of level `TRACE`
/// and target `amqp1::frame` if that feature is on. Costs nothing while nobody listens.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
    lost: u64,
}

impl Trace {
    /// Keeps lines if asked to.
    pub(crate) fn new(enabled: bool) -> Self {
        Self { lines: enabled.then(VecDeque::new), lost: 0 }
    }

    /// Whether anybody listens; ask before gathering bytes for it.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some() || event::is_wanted()
    }

    /// Records a protocol header.
    pub(crate) fn header(&mut self, direction: Direction, header: &[u8; 8]) {
        if self.is_on() {
            let [_, _, _, _, id, major, minor, revision] = header;
            self.record(direction, format_args!("AMQP {id} {major}.{minor}.{revision}"));
        }
    }

    /// Records one frame. The bytes may end where the payload begins: its length is told by the frame's size.
    #[inline]
    pub(crate) fn frame(&mut self, direction: Direction, frame: &[u8]) {
        if self.is_on() {
            self.record(direction, format_args!("{}", Description(frame)));
        }
    }

    /// The oldest line.
    pub(crate) fn pop(&mut self) -> Option<String> {
        match core::mem::take(&mut self.lost) {
            0 => self.lines.as_mut()?.pop_front(),
            lost => Some(format!("({lost} lines lost)")),
        }
    }

    #[cold]
    fn record(&mut self, direction: Direction, text: fmt::Arguments<'_>) {
        let arrow = match direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        let mut line = Line(String::new());
        if write!(line, "{arrow} {text}").is_err() {
            line.0.push_str("..");
        }
        event::emit(&line.0);
        if let Some(lines) = &mut self.lines {
            line.0.shrink_to_fit();
            if lines.len() == MAX_LINES {
                lines.pop_front();
                self.lost += 1;
            }
            lines.push_back(line.0);
        }
    }
}

/// Text that takes no more than fits; the error ends the writing, so that a long frame costs no more either.
struct Line(String);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_LINE - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        self.0.push_str(&text[..cut]);
        Err(fmt::Error)
    }
}

#[cfg(feature = "tracing")]
mod event {
    const TARGET: &str = "amqp1::frame";

    pub(super) fn is_wanted() -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::TRACE)
    }

    pub(super) fn emit(line: &str) {
        tracing::trace!(target: TARGET, "{line}");
    }
}

#[cfg(not(feature = "tracing"))]
mod event {
    #[inline(always)]
    pub(super) const fn is_wanted() -> bool {
        false
    }

    pub(super) const fn emit(_line: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &[u8] = b"\0\0\0\x0c\x02\0\0\x05\0\x53\x11\x45";

    #[test]
    fn lines_come_out_in_order() {
        let mut trace = Trace::new(true);
        trace.header(Direction::Out, b"AMQP\x03\x01\0\0");
        trace.frame(Direction::In, BEGIN);
        assert_eq!(trace.pop().unwrap(), "-> AMQP 3 1.0.0");
        assert_eq!(trace.pop().unwrap(), "<- 5 @begin(17) []");
        assert_eq!(trace.pop(), None);
    }

    #[test]
    fn nothing_is_kept_while_off() {
        let mut trace = Trace::new(false);
        assert!(!trace.is_on() || cfg!(feature = "tracing"));
        trace.frame(Direction::In, BEGIN);
        assert_eq!(trace.pop(), None);
    }

    #[test]
    fn a_user_who_does_not_read_loses_the_oldest_lines() {
        let mut trace = Trace::new(true);
        trace.header(Direction::In, b"AMQP\0\x01\0\0");
        for _ in 0..MAX_LINES {
            trace.frame(Direction::Out, BEGIN);
        }
        assert_eq!(trace.pop().unwrap(), "(1 lines lost)");
        for _ in 0..MAX_LINES {
            assert_eq!(trace.pop().unwrap(), "-> 5 @begin(17) []");
        }
        assert_eq!(trace.pop(), None);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let name = b"\xc3\xa4".repeat(5_000);
        let body = [&b"\0\x53\x10\xd0\0\0\x27\x19\0\0\0\x01\xb1\0\0\x27\x10"[..], &name].concat();
        let mut trace = Trace::new(true);
        trace.frame(Direction::In, &[b"\0\0\x27\x30\x02\0\0\0", &body[..]].concat());
        let line = trace.pop().unwrap();
        assert!(line.starts_with("<- 0 @open(16) [container-id=\"ää") && line.ends_with("ä.."), "{line}");
        assert!(line.len() <= MAX_LINE + 2);
    }
}
