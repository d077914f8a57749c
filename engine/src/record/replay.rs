//! Recordings read and run.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str};

use bytes::{Buf, BytesMut};

use super::{
    HANDSHAKE_STATES, HandshakeState, TITLE,
    argument::{Words, unexpected},
    call, config,
};
use crate::{Config, Connection, Instant};

/// What a replay has seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// Events polled.
    pub events: u64,
    /// Calls made.
    pub calls: u64,
    /// Bytes that arrived, without those of a SASL layer.
    pub received: u64,
    /// Bytes that left.
    pub sent: u64,
    /// The recording ends early, as it had become as long as it may.
    pub is_limited: bool,
}

/// A recording that cannot be replayed, or with which an engine does something else than it did. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The line does not belong into a recording, or not there.
    Malformed {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine did something else.
    Differs {
        /// The line that tells what it did then.
        line: usize,
        /// What it did then.
        recorded: String,
        /// What it does now.
        replayed: String,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, reason } => write!(f, "line {line}: {reason}"),
            Self::Differs { line, recorded, replayed } => {
                write!(f, "line {line}: recorded {recorded}, replayed {replayed}")
            }
        }
    }
}

impl core::error::Error for ReplayError {}

/// Lets a recorded connection happen again, and compares all that it gives with what it gave. A recording that breaks
/// off, be it within a line, is replayed as far as it goes.
///
/// # Errors
///
/// The first line that is malformed, or whose bytes or event are not those that come now.
///
/// ```
/// use amqp1_engine::{Config, Connection, Event, Instant, record};
///
/// let config = Config { record: Some(record::Record::default()), ..Config::server("server") };
/// let mut connection = Connection::new(config, Instant::ZERO);
/// connection.handle_input(&mut &b"GET / HTTP/1.1\r\n\r\n"[..], Instant::from_millis(5));
/// assert!(matches!(connection.poll_event(), Some(Event::Disconnected(_))));
///
/// let recording = connection.poll_recording().unwrap();
/// let replayed = record::replay(recording.as_bytes())?;
/// assert_eq!((replayed.received, replayed.events), (18, 1));
///
/// let another = recording.replace("event Disconnected", "event Opened");
/// let error = record::replay(another.as_bytes()).unwrap_err();
/// assert!(error.to_string().starts_with("line 11: recorded event Opened"), "{error}");
/// # Ok::<(), record::ReplayError>(())
/// ```
pub fn replay(recording: &[u8]) -> Result<Replayed, ReplayError> {
    run(recording, None)
}

/// As [`replay`], and gives `show` a line for each call, event, frame and so on, for a person to read.
///
/// # Errors
///
/// As [`replay`].
pub fn replay_shown(recording: &[u8], mut show: impl FnMut(&str)) -> Result<Replayed, ReplayError> {
    run(recording, Some(&mut show))
}

fn run(recording: &[u8], show: Option<&mut dyn FnMut(&str)>) -> Result<Replayed, ReplayError> {
    let (text, is_text) = match str::from_utf8(recording) {
        Ok(text) => (text, true),
        Err(error) => {
            let text = str::from_utf8(&recording[..error.valid_up_to()]).expect("valid up to there");
            (text, error.error_len().is_none())
        }
    };
    // What stands behind the last line break is part of a line at best.
    let lines = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut replay = Replay {
        config: Config::client(""),
        connection: None,
        now: Instant::ZERO,
        input: BytesMut::new(),
        handshake: HandshakeState::default(),
        replayed: Replayed::default(),
        show,
    };
    let mut line = 0;
    for text in lines.split('\n') {
        line += 1;
        match if line == 1 { title(text) } else { replay.line(text) } {
            Ok(()) if replay.replayed.is_limited => return Ok(replay.replayed),
            Ok(()) => {}
            Err(Fault::Malformed(reason)) => return Err(ReplayError::Malformed { line, reason }),
            Err(Fault::Differs { recorded, replayed }) => {
                return Err(ReplayError::Differs { line, recorded, replayed });
            }
        }
    }
    if !is_text {
        return Err(ReplayError::Malformed { line: line + 1, reason: "not a text".into() });
    }
    Ok(replay.replayed)
}

fn title(text: &str) -> Result<(), Fault> {
    let format = TITLE.trim_end_matches(|digit: char| digit.is_ascii_digit());
    if text == TITLE {
        return Ok(());
    }
    Err(Fault::Malformed(match text.strip_prefix(format) {
        Some(version) => format!("version {version} of the format; this is for {TITLE:?}"),
        None => unexpected(TITLE, text),
    }))
}

/// What is wrong with a line.
enum Fault {
    Malformed(String),
    Differs { recorded: String, replayed: String },
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Malformed(reason.into())
    }
}

struct Replay<'a> {
    config: Config,
    connection: Option<Connection>,
    now: Instant,
    input: BytesMut,
    handshake: HandshakeState,
    replayed: Replayed,
    show: Option<&'a mut dyn FnMut(&str)>,
}

impl Replay<'_> {
    fn line(&mut self, text: &str) -> Result<(), Fault> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        if name.starts_with('#') {
            return Ok(());
        }
        let words = &mut Words::new(rest);
        match name {
            "@" => self.now = config::moment(words)?,
            "limit" => self.replayed.is_limited = true,
            "start" if self.connection.is_none() => self.start(),
            _ if self.connection.is_none() => {
                if !config::read(&mut self.config, name, words)? {
                    return Err(unexpected("a setting", text).into());
                }
            }
            "event" => return self.event(rest),
            _ => self.input_or_output(name, words)?,
        }
        self.show_frames();
        Ok(words.end()?)
    }

    fn start(&mut self) {
        let config = Config { trace: self.show.is_some(), ..self.config.clone() };
        self.connection = Some(match config.sasl {
            Some(_) => Connection::replayed(config, self.now),
            None => Connection::new(config, self.now),
        });
    }

    fn input_or_output(&mut self, name: &str, words: &mut Words<'_>) -> Result<(), Fault> {
        let Self { connection: Some(connection), now, replayed, .. } = self else { return Ok(()) };
        let now = *now;
        match name {
            "<" => {
                let bytes = words.bytes()?;
                replayed.received += bytes.len() as u64;
                self.input.extend_from_slice(&bytes);
                connection.handle_input(&mut self.input, now);
                self.show(format_args!("{} bytes arrive", bytes.len()));
            }
            ">" => {
                let bytes = words.bytes()?;
                replayed.sent += bytes.len() as u64;
                compare_output(connection, &bytes)?;
                self.show(format_args!("{} bytes leave", bytes.len()));
            }
            "transmit" => {
                let lent = connection.poll_transmit(now).map_or(0, |transmit| transmit.remaining());
                same("bytes to write:", words.number()?, lent)?;
            }
            "handshake" => {
                let (state, bytes) = (handshake_state(words)?, words.bytes()?);
                if self.config.sasl.is_none() || self.handshake.done || self.handshake.failed {
                    return Err("there is no handshake to go on with".into());
                }
                connection.replay_handshake(self.handshake, state, &bytes);
                self.handshake = state;
                self.show(format_args!("handshake, {} bytes to write", bytes.len()));
            }
            "eof" => {
                connection.handle_eof(now);
                self.show(format_args!("end of input"));
            }
            "timeout" => {
                connection.handle_timeout(now);
                self.show(format_args!("time-out"));
            }
            "call" => {
                replayed.calls += 1;
                let show = &mut self.show;
                call::perform(connection, words, &mut |text| show_at(show, now, text))?;
            }
            _ => return Err(unexpected("something that happens", name).into()),
        }
        Ok(())
    }

    fn event(&mut self, recorded: &str) -> Result<(), Fault> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let event = connection.poll_event();
        let replayed = event.map_or_else(|| "-".into(), |event| format!("{event:?}"));
        let failed = "Disconnected(Handshake(";
        let same_failure =
            self.handshake.failed && recorded.starts_with(failed) && replayed.starts_with(failed);
        if !same_failure {
            same("event", recorded, &replayed)?;
        }
        if recorded != "-" {
            self.replayed.events += 1;
            self.show(format_args!("event {recorded}"));
        }
        Ok(())
    }

    fn show(&mut self, text: fmt::Arguments<'_>) {
        show_at(&mut self.show, self.now, text);
    }

    fn show_frames(&mut self) {
        while let Some(line) = self.connection.as_mut().and_then(Connection::poll_trace) {
            self.show(format_args!("    {line}"));
        }
    }
}

fn show_at(show: &mut Option<&mut dyn FnMut(&str)>, now: Instant, text: fmt::Arguments<'_>) {
    if let Some(show) = show {
        show(&format!("{now:?} {text}"));
    }
}

fn handshake_state(words: &mut Words<'_>) -> Result<HandshakeState, String> {
    let text = words.word("the state of the handshake")?;
    let mut flags = [false; HANDSHAKE_STATES.len()];
    for word in text.split(',').filter(|word| *word != "-") {
        let at = HANDSHAKE_STATES.iter().position(|state| *state == word);
        flags[at.ok_or_else(|| unexpected("a state of the handshake", word))?] = true;
    }
    let [authenticated, sending, done, failed] = flags;
    Ok(HandshakeState { authenticated, sending, done, failed })
}

/// Takes the bytes that left then off those that are to leave now.
fn compare_output(connection: &mut Connection, recorded: &[u8]) -> Result<(), Fault> {
    let mut rest = recorded;
    while !rest.is_empty() {
        let chunk = connection.common.outbox.chunk();
        let len = chunk.len().min(rest.len());
        let same = chunk.iter().zip(rest).take_while(|(replayed, recorded)| replayed == recorded).count();
        if len == 0 || same < len {
            return Err(Fault::Differs {
                recorded: output(recorded.len() - rest.len() + same, &rest[same..]),
                replayed: output(recorded.len() - rest.len() + same, &chunk[same..]),
            });
        }
        connection.common.outbox.advance(len);
        rest = &rest[len..];
    }
    Ok(())
}

/// What leaves from some place in the line on.
fn output(at: usize, bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let shown: Vec<_> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > SHOWN { ".." } else { "" };
    format!(
        "{}{more} behind {at} bytes",
        if shown.is_empty() { "nothing".to_string() } else { shown.concat() }
    )
}

fn same<T: PartialEq + fmt::Display>(what: &str, recorded: T, replayed: T) -> Result<(), Fault> {
    if recorded == replayed {
        return Ok(());
    }
    Err(Fault::Differs { recorded: format!("{what} {recorded}"), replayed: format!("{what} {replayed}") })
}
