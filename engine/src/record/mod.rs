//! What happened to one connection, kept so that it can happen again: [`replay`] needs neither the program nor its peer.
//!
//! What a [`Connection`](crate::Connection) does follows from its settings, the bytes that arrive, the calls that are made
//! and the moments it is told; nothing else. A recording holds all of these in order, and with them the bytes
//! that left and the events that were polled, so that a replay can tell whether it is the same. [`Config::record`] turns
//! it on, [`Connection::poll_recording`](crate::Connection::poll_recording) gives it out; drivers write it to files.
//!
//! **A recording holds every message of the connection.** What passes in the SASL layer is masked, unless
//! [`Record::secrets`] asks for it.
//!
//! # The format
//!
//! Lines of text. The first says what it is, and the version of the format:
//!
//! ```text
//! amqp1 recording 1
//! # engine 0.1.0; SASL masked; every message in clear
//! side client
//! open 005310c0...
//! session 005311c0...
//! limits handshake-timeout=10.000000000 close-timeout=10.000000000 idle-share=2 unsettled=10000 ...
//! @ 0.000012709
//! start
//! call open
//! transmit 8
//! > 414d515000010000
//! @ 0.000317442
//! < 414d515000010000
//! event Opened
//! event -
//! call begin 005311c0...
//! ```
//!
//! | line | meaning |
//! | --- | --- |
//! | `# ...` | nothing |
//! | `side`, `open`, `session`, `limits`, `sasl` | the [`Config`]: what it has in common with `open` and `begin` in their encoding; `sasl` where there is such a layer |
//! | `@ seconds` | the moment of what follows, by the driver's clock |
//! | `start` | [`Connection::new`](crate::Connection::new) |
//! | `< bytes` | `handle_input` with these bytes, behind those that it left |
//! | `eof`, `timeout` | `handle_eof`, `handle_timeout` |
//! | `event name` | `poll_event` gave this; `-` is none |
//! | `transmit count` | `poll_transmit` lent so many bytes |
//! | `> bytes` | the driver has written these of them |
//! | `call name argument ...` | a method that changes something, of the connection, a session, sender or receiver |
//! | `handshake state bytes` | the SASL layer has written these bytes and stands there: see below |
//! | `limit` | nothing more was recorded |
//!
//! Bytes are in hexadecimal, `-` where there are none. Of the arguments of calls, sessions and links are the numbers in
//! their ids, deliveries `link:number`; configurations are the `begin` or `attach` that they amount to; AMQP types stand
//! in their encoding. A recording may break off anywhere.
//!
//! # Secrets
//!
//! With a SASL layer, bytes that arrive are recorded from the first AMQP frame on. What comes before is replaced
//! by what it led to: the bytes that the handshake wrote, and its state (`authenticated`, `sending` once frames may be
//! written, `done`, `failed`). The bodies of SASL frames written are zeros but for their descriptors. A replay does
//! not run the handshake again but does as it did, so that it needs no password, and no mechanism of the program's own.
//! Why a handshake failed is not replayed.

use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};
use core::{fmt::Write, str};

use crate::{Config, Event, Instant, Side, codec::FRAME_HEADER_LEN, transport::handshake::Handshake};

mod argument;
pub(crate) use argument::Argument;
mod call;
mod config;
mod replay;
pub use replay::{ReplayError, Replayed, replay, replay_shown};

/// The first line of every recording.
const TITLE: &str = "amqp1 recording 1";

/// How a connection is recorded: see [`Config::record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The length of the recording, in bytes of its text; what would go beyond is not recorded. Default 64 MiB, which
    /// holds some 10 MiB that passed over the wire.
    ///
    /// So much may also wait in memory for [`poll_recording`](crate::Connection::poll_recording).
    pub limit: usize,
    /// Whether the SASL layer is recorded as it was, passwords included.
    pub secrets: bool,
}

impl Default for Record {
    fn default() -> Self {
        Self { limit: 64 * 1024 * 1024, secrets: false }
    }
}

/// A recording in the making.
#[derive(Debug)]
pub(crate) struct Tape {
    /// Lines that were not polled yet.
    text: String,
    /// How much longer the recording may become.
    room: usize,
    now: Instant,
    /// Bytes at the front of the input that are recorded and that the engine has left there.
    left: usize,
    /// There is a SASL layer, and it is not done.
    hides: bool,
    secrets: bool,
    /// What is to be recorded in the place of the bytes that leave first.
    masked: VecDeque<u8>,
    handshake: HandshakeState,
}

/// How far the SASL layer has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandshakeState {
    pub(crate) authenticated: bool,
    pub(crate) sending: bool,
    pub(crate) done: bool,
    pub(crate) failed: bool,
}

/// The words for it.
const HANDSHAKE_STATES: [&str; 4] = ["authenticated", "sending", "done", "failed"];

impl HandshakeState {
    const fn flags(self) -> [bool; 4] {
        [self.authenticated, self.sending, self.done, self.failed]
    }
}

impl Tape {
    /// A recording of a connection that is about to be made.
    pub(crate) fn new(config: &Config, now: Instant) -> Option<Box<Self>> {
        let record = config.record.as_ref()?;
        let mut tape = Self {
            text: String::new(),
            room: record.limit,
            now,
            left: 0,
            hides: config.sasl.is_some(),
            secrets: record.secrets,
            masked: VecDeque::new(),
            handshake: HandshakeState::default(),
        };
        tape.line(|line| {
            let sasl = if record.secrets { "SECRETS OF SASL IN CLEAR" } else { "SASL masked" };
            line.push(TITLE);
            line.push("\n# engine ");
            line.push(env!("CARGO_PKG_VERSION"));
            line.push("; ");
            line.push(sasl);
            line.push("; every message in clear\n");
            config::write(line, config);
            line.time(now);
            line.push("start");
        });
        Some(Box::new(tape))
    }

    /// What was recorded since this was asked last.
    pub(crate) fn take(&mut self) -> Option<String> {
        Some(core::mem::take(&mut self.text)).filter(|text| !text.is_empty())
    }

    /// A call that changes something.
    #[cold]
    pub(crate) fn call(&mut self, name: &str, arguments: &[&dyn Argument]) {
        self.line(|line| {
            line.push("call ");
            line.push(name);
            for argument in arguments {
                line.push(" ");
                argument.write(line);
            }
        });
    }

    /// Bytes that have arrived, behind those that were left of the ones before.
    #[cold]
    pub(crate) fn input(&mut self, input: &[u8], now: Instant) {
        self.at(now);
        if self.hides {
            return;
        }
        if let Some(new) = input.get(self.left..).filter(|new| !new.is_empty()) {
            self.line(|line| {
                line.push("< ");
                line.hex(new);
            });
        }
    }

    /// So many bytes of the input were left.
    pub(crate) const fn input_left(&mut self, count: usize) {
        self.left = if self.hides { 0 } else { count };
    }

    /// What the SASL layer has written, and the bytes behind it once it is done.
    #[cold]
    pub(crate) fn handshake(&mut self, handshake: &Handshake, written: &[u8], failed: bool, input: &[u8]) {
        if !self.hides {
            return;
        }
        let state = HandshakeState {
            authenticated: handshake.identity().is_some(),
            sending: handshake.can_send(),
            done: handshake.is_done(),
            failed,
        };
        if state == core::mem::replace(&mut self.handshake, state) && written.is_empty() {
            return;
        }
        let mut bytes = written.to_vec();
        if !self.secrets {
            mask(&mut bytes);
        }
        self.line(|line| {
            line.push("handshake ");
            let words = state.flags().into_iter().zip(HANDSHAKE_STATES).filter(|(is_so, _)| *is_so);
            let words: Vec<_> = words.map(|(_, word)| word).collect();
            line.push(if words.is_empty() { "-" } else { "" });
            line.push(&words.join(","));
            line.push(" ");
            line.hex(&bytes);
        });
        self.masked.extend(bytes);
        if state.done {
            self.hides = false;
            self.input(input, self.now);
        }
    }

    /// The peer will send nothing more.
    #[cold]
    pub(crate) fn eof(&mut self, now: Instant) {
        self.at(now);
        self.line(|line| line.push("eof"));
    }

    /// A deadline has come.
    #[cold]
    pub(crate) fn timeout(&mut self, now: Instant) {
        self.at(now);
        self.line(|line| line.push("timeout"));
    }

    /// An event was polled, or there was none.
    #[cold]
    pub(crate) fn event(&mut self, event: Option<&Event>) {
        self.line(|line| {
            line.push("event ");
            match event {
                Some(event) => line.display(format_args!("{event:?}")),
                None => line.push("-"),
            }
        });
    }

    /// So many bytes are offered to the driver.
    #[cold]
    pub(crate) fn transmit(&mut self, count: usize, now: Instant) {
        self.at(now);
        self.line(|line| line.display(format_args!("transmit {count}")));
    }

    /// The driver has written these bytes.
    #[cold]
    pub(crate) fn output(&mut self, bytes: &[u8]) {
        let masked = self.masked.len().min(bytes.len());
        let masked: Vec<u8> = self.masked.drain(..masked).collect();
        let clear = &bytes[masked.len()..];
        self.line(|line| {
            line.push("> ");
            line.hex_of(&[&masked, clear]);
        });
    }

    fn at(&mut self, now: Instant) {
        if self.now != now {
            self.now = now;
            self.line(|line| line.time(now));
        }
    }

    /// Adds a line, if it fits.
    fn line(&mut self, write: impl FnOnce(&mut Line<'_>)) {
        if self.room == 0 {
            return;
        }
        let start = self.text.len();
        let mut line = Line { text: &mut self.text, room: self.room };
        write(&mut line);
        line.end();
        match self.room.checked_sub(self.text.len() - start) {
            Some(room) if room > 0 => self.room = room,
            _ => {
                self.text.truncate(start);
                self.text.push_str("limit\n");
                self.room = 0;
            }
        }
    }
}

/// A line in the making, which grows little beyond the room that there is: then it does not count.
pub(crate) struct Line<'a> {
    text: &'a mut String,
    room: usize,
}

impl Line<'_> {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn display(&mut self, text: core::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string does not fail");
    }

    /// A line of its own for a moment; what follows has it.
    fn time(&mut self, now: Instant) {
        self.push("@ ");
        self.duration(now.since_epoch());
        self.end();
    }

    fn duration(&mut self, duration: core::time::Duration) {
        self.display(format_args!("{}.{:09}", duration.as_secs(), duration.subsec_nanos()));
    }

    fn hex(&mut self, bytes: &[u8]) {
        self.hex_of(&[bytes]);
    }

    fn hex_of(&mut self, parts: &[&[u8]]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        const CHUNK: usize = 64;
        let start = self.text.len();
        for chunk in parts.iter().flat_map(|part| part.chunks(CHUNK)) {
            if self.text.len() - start > self.room {
                return;
            }
            let mut digits = [0; 2 * CHUNK];
            for (pair, byte) in digits.chunks_mut(2).zip(chunk) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 15)];
            }
            self.push(str::from_utf8(&digits[..2 * chunk.len()]).expect("digits are text"));
        }
        if self.text.len() == start {
            self.push("-");
        }
    }

    fn end(&mut self) {
        if !self.text.ends_with('\n') {
            self.push("\n");
        }
    }
}

/// Takes what is secret out of what the handshake has written: whole headers and frames.
fn mask(bytes: &mut [u8]) {
    /// What a SASL frame has in front of its fields: its header, and a descriptor of one byte.
    const OPEN: usize = FRAME_HEADER_LEN + 3;
    let mut rest = bytes;
    while let Some(&[a, b, c, d, ..]) = rest.first_chunk::<FRAME_HEADER_LEN>() {
        let is_header = [a, b, c, d] == *b"AMQP";
        let size = if is_header { FRAME_HEADER_LEN } else { u32::from_be_bytes([a, b, c, d]) as usize };
        let (frame, behind) = rest.split_at_mut(size.clamp(FRAME_HEADER_LEN, rest.len()));
        frame.iter_mut().skip(OPEN).for_each(|byte| *byte = 0);
        rest = behind;
    }
}

/// Which side, in a word.
const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
