//! Frames in: split off by length, judged, and handed to what they are about.

use alloc::boxed::Box;

use bytes::{Buf, Bytes, BytesMut};
use nom::IResult;

use super::{
    Connection, Event, Progress,
    event::Ended,
    output::{MAX_OUTGOING_FRAME, MIN_MAX_FRAME_SIZE},
    run::{self, Run},
};
use crate::{
    DisconnectReason, Instant, Misuse, Scope, SessionId, SessionState, Violation,
    arena::Key,
    codec::{
        Decode, DecodeError, DecodeErrorKind,
        frame::{self, FRAME_HEADER_LEN, FrameHeader},
    },
    session::{SessionEndpoint, state::SessionStep, window::WindowState},
    transport::trace::Direction,
    types::{Attach, Begin, Close, Detach, Disposition, End, Flow, Handle, Open, Transfer, condition},
};

type Judged<T = ()> = Result<T, Box<Violation>>;

fn undecodable(error: DecodeError) -> Box<Violation> {
    Violation::connection(condition::DECODE_ERROR, "2.3.2", alloc::format!("{error}"))
}

fn malformed(text: &'static str) -> Box<Violation> {
    Violation::connection(condition::CONNECTION_FRAMING_ERROR, "2.3.1", text)
}

impl Connection {
    pub(super) fn start_handshake(&mut self) {
        let Some(handshake) = &mut self.handshake else { return };
        let started = handshake.start(self.common.outbox.raw(), &mut self.common.trace);
        if let Some(tape) = &mut self.common.tape {
            tape.handshake(handshake, self.common.outbox.raw(), started.is_err(), &[]);
        }
        if let Err(error) = started {
            self.lose(DisconnectReason::Handshake(error));
        }
    }

    pub(super) fn take_input(&mut self, input: &mut (impl Buf + AsRef<[u8]>), now: Instant) {
        if self.common.progress.lost
            || self.common.progress.garbled
            || self.common.progress.received == Progress::Close
        {
            input.advance(input.remaining());
            return;
        }
        if !input.has_remaining() {
            return;
        }
        if !self.take_handshake(input) {
            return;
        }
        let (len, malformed) = self.whole_frames(input.as_ref());
        if len > 0 {
            self.idle.received(now);
            let block = input.copy_to_bytes(len);
            if self.unread.is_empty() {
                self.handle_frames(block);
            } else {
                // The driver read although it was asked not to.
                let mut joined = BytesMut::with_capacity(self.unread.len() + block.len());
                joined.extend_from_slice(&self.unread);
                joined.extend_from_slice(&block);
                self.unread = joined.freeze();
                self.resume();
            }
        }
        if let Some(violation) = malformed {
            input.advance(input.remaining());
            self.common.progress.garbled = true;
            if self.common.progress.received < Progress::Close && !self.common.progress.lost {
                self.punish(violation);
            }
        }
    }

    /// Hands input to the handshake as long as it lasts: whether frames may follow.
    fn take_handshake(&mut self, input: &mut dyn Buf) -> bool {
        let Some(handshake) = &mut self.handshake else { return true };
        let before = self.common.outbox.raw().len();
        let result = handshake.handle_input(input, self.common.outbox.raw(), &mut self.common.trace);
        if let Some(tape) = &mut self.common.tape {
            tape.handshake(handshake, &self.common.outbox.raw()[before..], result.is_err(), input.chunk());
        }
        if self.identity.is_none() && handshake.identity().is_some() {
            self.identity = handshake.identity().cloned();
            self.common.events.push(Event::Authenticated);
        }
        if let Err(error) = result {
            input.advance(input.remaining());
            self.lose(DisconnectReason::Handshake(error));
            return false;
        }
        if !handshake.is_done() {
            return false;
        }
        self.handshake_done();
        true
    }

    /// Both protocol headers are exchanged.
    pub(super) fn handshake_done(&mut self) {
        self.handshake = None;
        self.common.progress.received = Progress::Header;
        if self.common.progress.sent == Progress::Nothing {
            self.common.progress.sent = Progress::Header;
        }
    }

    /// How many bytes at the front are whole frames, and what is wrong with the frame behind them: a size is judged
    /// as soon as its four bytes are there.
    fn whole_frames(&self, input: &[u8]) -> (usize, Option<Box<Violation>>) {
        let mut len = 0;
        while let Some(size) = input[len..].first_chunk::<4>() {
            let size = u32::from_be_bytes(*size);
            //= 2.3.1-02
            if (size as usize) < FRAME_HEADER_LEN {
                return (len, Some(malformed("frame size below 8")));
            }
            //= 2.7.1-06 2.7.1-07
            if size > self.common.config.max_frame_size.max(MIN_MAX_FRAME_SIZE as u32) {
                let text = "frame above our max-frame-size";
                return (
                    len,
                    Some(Violation::connection(condition::CONNECTION_FRAMING_ERROR, "2.7.1", text)),
                );
            }
            if input.len() - len < size as usize {
                break;
            }
            len += size as usize;
        }
        (len, None)
    }

    /// Whether deliveries that have not arrived whole fill all the room, and the user, who has heard of them, takes no
    /// parts: nothing would ever make some.
    pub(super) fn is_full_of_parts(&self) -> bool {
        let takes_parts = || {
            let mut deliveries = self.sessions.iter().flat_map(|(_, session)| session.incoming.iter());
            deliveries
                .any(|(_, delivery)| !delivery.is_complete() && delivery.size > delivery.pending() as u64)
        };
        self.common.untaken.bytes >= self.common.config.limits.unread_bytes
            && self.common.untaken.messages == 0
            && self.common.events.is_empty()
            && !takes_parts()
    }

    /// Goes on with what waited: for room to handle frames, or for the output to drain.
    pub(super) fn resume(&mut self) {
        self.wake_for_output();
        if !self.unread.is_empty() && (!self.common.is_full() || self.is_full_of_parts()) {
            let block = core::mem::take(&mut self.unread);
            self.handle_frames(block);
        }
    }

    //= 2.1-05
    fn handle_frames(&mut self, block: Bytes) {
        let mut start = 0;
        while let Some(size) = block[start..].first_chunk::<4>() {
            if self.common.is_full() {
                if !self.is_full_of_parts() {
                    self.unread = block.slice(start..);
                    return;
                }
                let text = "unfinished deliveries exceed the limit of unread bytes";
                self.punish(Violation::connection(condition::RESOURCE_LIMIT_EXCEEDED, "2.8.15", text));
                // Also where we are closing already: only the peer's close is of interest now.
                self.common.progress.discarding = true;
            }
            let mut end = start + u32::from_be_bytes(*size) as usize;
            if self.common.trace.is_on() {
                self.common.trace.frame(Direction::In, &block[start..end]);
            }
            if let Err(violation) = self.handle_frame(&block, start, &mut end) {
                self.punish(violation);
            }
            if self.common.progress.lost || self.common.progress.received == Progress::Close {
                return;
            }
            start = end;
        }
    }

    /// Handles the frame between `start` and `end`, and moves `end` on over what was handled with it.
    #[inline(always)]
    fn handle_frame(&mut self, block: &Bytes, start: usize, end: &mut usize) -> Judged {
        let bytes = &block[start..*end];
        let header = FrameHeader::parse(bytes.first_chunk().expect("whole_frames asks for 8 bytes"));
        let body_start = usize::from(header.doff) * 4;
        if body_start < FRAME_HEADER_LEN || body_start > bytes.len() {
            return Err(malformed("data offset outside the frame"));
        }
        if header.frame_type != 0 {
            return Err(malformed("frame type other than AMQP"));
        }
        //= 2.7.1-10
        if header.channel > self.common.config.channel_max && self.common.progress.received >= Progress::Open
        {
            let text = "channel above our channel-max";
            return Err(Violation::connection(condition::CONNECTION_FRAMING_ERROR, "2.7.1", text));
        }
        let body = &bytes[body_start..];
        //= 2.4.5-X1
        if body.is_empty() {
            return Ok(());
        }
        let (descriptor, fields) = frame::descriptor(body).map_err(undecodable)?;
        //= 2.4.6-03
        if self.common.progress.discarding && descriptor != Close::CODE {
            return Ok(());
        }
        //= 2.7.1-01
        // A peer that failed to open may still close.
        if self.common.progress.received < Progress::Open
            && descriptor != Open::CODE
            && !self.common.progress.discarding
        {
            let text = "the first frame is not an open";
            return Err(Violation::connection(condition::NOT_ALLOWED, "2.7.1", text));
        }
        if descriptor == Transfer::CODE {
            let Some(session) = self.session_on(header.channel)? else { return Ok(()) };
            let mut transfer = Transfer::new(Handle(0));
            return match transfer.parse_from(body) {
                Ok(payload) => {
                    let payload = run::tail(block, *end, payload.len());
                    let run = Run::new(block, start, end);
                    self.on_transfer(session, transfer, payload, run)
                }
                Err(error) if error.kind() == DecodeErrorKind::TagTooLong => {
                    self.on_overlong_tag(session, fields).unwrap_or_else(|| Err(undecodable(error)))
                }
                Err(error) => Err(undecodable(error)),
            };
        }
        self.handle_control(descriptor, header.channel, body, fields)
    }

    fn handle_control(&mut self, descriptor: u64, channel: u16, body: &[u8], fields: &[u8]) -> Judged {
        match descriptor {
            Open::CODE => self.on_open(channel, only(Open::parse_fields(fields))?),
            Begin::CODE => self.on_begin(channel, only(Begin::parse_fields(fields))?),
            Close::CODE => {
                let close = only(Close::parse_fields(fields)).unwrap_or_else(|violation| {
                    // A close all the same: nothing will follow it, nor answer ours.
                    self.punish(violation);
                    Close::default()
                });
                self.on_close(close);
                Ok(())
            }
            End::CODE => {
                let end = only(End::parse_fields(fields))?;
                self.on_end(channel, end)
            }
            Attach::CODE => {
                let attach = only(Attach::parse_fields(fields))?;
                let Some(session) = self.session_on(channel)? else { return Ok(()) };
                self.on_attach(session, attach)
            }
            Flow::CODE => {
                let flow = only(Flow::parse(body))?;
                let Some(session) = self.session_on(channel)? else { return Ok(()) };
                self.on_flow(session, flow)
            }
            Disposition::CODE => {
                let disposition = only(Disposition::parse(body))?;
                let Some(session) = self.session_on(channel)? else { return Ok(()) };
                self.on_disposition(session, disposition)
            }
            Detach::CODE => {
                let detach = only(Detach::parse_fields(fields))?;
                let Some(session) = self.session_on(channel)? else { return Ok(()) };
                self.on_detach(session, detach)
            }
            _ => {
                //= 2.3.2-01
                let text = "the frame body is not a performative";
                Err(Violation::connection(condition::DECODE_ERROR, "2.3.2", text))
            }
        }
    }

    /// The session that a frame is for: `None` when it is to be discarded.
    #[inline]
    fn session_on(&self, channel: u16) -> Judged<Option<Key>> {
        let key = self.incoming_channels.get(channel.into());
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get(key)?))) else {
            let text = "frame on a channel without a session";
            return Err(Violation::connection(condition::NOT_ALLOWED, "2.5.5", text));
        };
        //= 2.5.4-02 2.5.5-08
        let takes = matches!(session.state, SessionState::Mapped | SessionState::BeginReceived);
        Ok((takes && session.end_due.is_none()).then_some(key))
    }

    fn on_open(&mut self, channel: u16, open: Open) -> Judged {
        if self.common.progress.received >= Progress::Open {
            return Err(Violation::connection(condition::NOT_ALLOWED, "2.4.1", "a second open"));
        }
        if channel != 0 {
            let text = "open on a channel other than 0";
            return Err(Violation::connection(condition::CONNECTION_FRAMING_ERROR, "2.4.1", text));
        }
        self.common.progress.received = Progress::Open;
        //= 2.8.19-03
        if (open.max_frame_size as usize) < MIN_MAX_FRAME_SIZE {
            let text = "max-frame-size below 512";
            return Err(Violation::connection(condition::FRAME_SIZE_TOO_SMALL, "2.8.19", text));
        }
        self.handshake_deadline = None;
        //= 2.4.1-03
        self.common.outgoing_frame_size = (open.max_frame_size as usize).min(MAX_OUTGOING_FRAME);
        self.idle.opened(open.idle_time_out);
        self.remote_open = Some(Box::new(open));
        self.common.events.push(Event::Opened);
        Ok(())
    }

    fn on_close(&mut self, close: Close) {
        self.common.progress.received = Progress::Close;
        self.drop_all_unfinished(None);
        self.common.events.push(Event::Closed { error: close.error.map(Box::new) });
        if self.common.progress.sent == Progress::Close {
            self.lose(DisconnectReason::Closed);
        }
    }

    fn on_begin(&mut self, channel: u16, begin: Begin) -> Judged {
        if self.incoming_channels.get(channel.into()).is_some() {
            let text = "begin on a channel in use";
            return Err(Violation::connection(condition::NOT_ALLOWED, "2.5.1", text));
        }
        if self.sessions.len() > 2 * (usize::from(self.common.config.channel_max) + 1) {
            let text = "more sessions than the limit wait for our end";
            return Err(Violation::connection(condition::RESOURCE_LIMIT_EXCEEDED, "2.8.15", text));
        }
        let key = match begin.remote_channel {
            None => self
                .sessions
                .insert(SessionEndpoint::new(self.common.config.session.clone(), SessionState::Unmapped)),
            Some(ours) => {
                let answered = self.outgoing_channels.get(ours.into()).filter(|&key| {
                    self.sessions.get(key).is_some_and(|session| session.remote_begin.is_none())
                });
                answered.ok_or_else(|| {
                    let text = "remote-channel names no session that waits for an answer";
                    Violation::connection(condition::INVALID_FIELD, "2.7.2", text)
                })?
            }
        };
        let session = self.sessions.get_mut(key).expect("found or made above");
        session.step(SessionStep::ReceiveBegin);
        session.incoming_channel = Some(channel);
        session.answered_channel = begin.remote_channel.is_none().then_some(channel);
        session.window.begun(WindowState {
            next_incoming_id: None,
            incoming_window: begin.incoming_window,
            next_outgoing_id: begin.next_outgoing_id,
            outgoing_window: begin.outgoing_window,
        });
        let ended = matches!(session.state, SessionState::EndSent | SessionState::Discarding);
        let ours = begin.remote_channel.filter(|_| ended);
        session.remote_begin = Some(Box::new(begin));
        self.incoming_channels.insert(channel.into(), key);
        if let Some(ours) = ours {
            self.release_channel(ours);
        }
        self.common.events.push(Event::SessionBegun(SessionId(key)));
        Ok(())
    }

    fn on_end(&mut self, channel: u16, end: End) -> Judged {
        let key = self.incoming_channels.remove(channel.into());
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get_mut(key)?))) else {
            let text = "end on a channel without a session";
            return Err(Violation::connection(condition::NOT_ALLOWED, "2.5.5", text));
        };
        session.incoming_channel = None;
        session.step(SessionStep::ReceiveEnd);
        self.drop_all_unfinished(Some(key));
        self.common
            .events
            .push(Event::SessionEnded { session: SessionId(key), error: end.error.map(Box::new) });
        Ok(())
    }

    /// Closes what a violation is about, and tells of it; what is being closed already is left alone.
    pub(crate) fn punish(&mut self, violation: Box<Violation>) {
        if self.is_closing() {
            return;
        }
        let error = violation.to_error();
        let closed = match violation.scope() {
            Scope::Connection => {
                self.fail(error);
                Ok(())
            }
            Scope::Session(id) => self.fail_session(id.0, error),
            Scope::Link(id) => self.fail_link(id.0, error),
        };
        // What the peer began or attached has to be answered before it is closed. Where it left no room for that, what
        // lies around it is closed instead.
        match (closed, violation.scope()) {
            (Ok(()), _) => {
                self.common.events.push(Event::Violated(violation));
            }
            (Err(Misuse::TooManyLinks | Misuse::FrameTooLarge), Scope::Link(id)) => {
                if let Some(link) = self.links.get(id.0) {
                    let session = SessionId(link.session);
                    self.punish(violation.widened(Scope::Session(session)));
                }
            }
            (Err(Misuse::TooManySessions), _) => self.punish(violation.widened(Scope::Connection)),
            (Err(_), _) => {}
        }
    }

    /// Closes the connection with an error and drops everything else (§2.4.6 DISCARDING).
    fn fail(&mut self, error: crate::types::Error) {
        for key in core::mem::take(&mut self.common.sessions_due) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.due = false;
            }
        }
        self.unread = Bytes::new();
        self.start_close(Some(error));
        self.common.progress.discarding = true;
    }

    /// Forgets the sessions and links whose end the user has been told, if both sides have ended them.
    #[inline]
    pub(super) fn forget_ended(&mut self) {
        while let Some(ended) = self.common.events.ended() {
            match ended {
                Ended::Session(id) => self.forget_session(id.0),
                Ended::Link(id) => self.forget_link(id.0),
            }
        }
    }
}

/// A performative that takes no payload: nothing may follow it.
fn only<T>(parsed: IResult<&[u8], T, DecodeError>) -> Judged<T> {
    match parsed {
        Ok(([], value)) => Ok(value),
        Ok(_) => Err(Violation::connection(condition::DECODE_ERROR, "2.3.2", "bytes after the performative")),
        Err(error) => Err(undecodable(error.into())),
    }
}
