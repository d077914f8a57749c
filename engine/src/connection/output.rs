//! Frames out: made when the driver asks for bytes, in the order in which they depend on each other.

use core::ops::Range;

use alloc::{boxed::Box, vec::Vec};

use super::{Common, Connection, Event, Progress};
use crate::{
    DisconnectReason, Instant, Misuse,
    arena::Key,
    codec::Encode,
    link::Waiting,
    transport::trace::Direction,
    types::{Close, DeliveryState, Error, Open},
};

/// What every peer takes before the opens are exchanged, and the least that it may ask for (§2.8.19).
pub(super) const MIN_MAX_FRAME_SIZE: usize = 512;
/// However large the frames that a peer takes: above this one message would hold up all others.
pub(super) const MAX_OUTGOING_FRAME: usize = 256 * 1024;
/// One pass adds about this much.
const PASS: usize = 64 * 1024;

impl Connection {
    /// Puts the session in the list of those that have something to write.
    #[inline]
    pub(crate) fn mark_session(&mut self, key: Key) {
        if let Some(session) = self.sessions.get_mut(key) {
            self.common.mark_session(key, session);
        }
    }

    /// Puts the link in its session's list of those that have something to write.
    #[inline]
    pub(crate) fn mark_link(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(key) else { return };
        let session_key = link.session;
        if !link.due {
            link.due = true;
            if let Some(session) = self.sessions.get_mut(session_key) {
                session.links_due.push_back(key);
            }
        }
        self.mark_session(session_key);
    }

    /// The lowest free channel (§2.5.1).
    pub(crate) fn take_channel(&mut self) -> Result<u16, Misuse> {
        //= 2.4.1-03 2.7.1-09
        let remote = self.remote_open.as_ref().map_or(u16::MAX, |open| open.channel_max);
        let max = remote.min(self.common.config.channel_max);
        let channel = self.channel_pool.take(max.into()).ok_or(Misuse::TooManySessions)?;
        Ok(channel as u16)
    }

    pub(crate) fn release_channel(&mut self, channel: u16) {
        self.outgoing_channels.remove(channel.into());
        self.channel_pool.give_back(channel.into());
    }

    /// Writes what is due, about one pass of it.
    pub(super) fn fill_outbox(&mut self, now: Instant) {
        self.note_output_taken(now);
        self.write_due(now);
        self.output_left = self.common.outbox.len();
    }

    fn write_due(&mut self, now: Instant) {
        // Senders that use all room up to the high water must not keep the rest from being written.
        let full =
            self.common.outbox.len() >= self.common.config.limits.output_high_water.saturating_add(PASS);
        if full || self.common.progress.lost {
            return;
        }
        let frames = self.handshake.as_ref().is_none_or(|handshake| handshake.can_send());
        if !frames {
            return;
        }
        if self.common.progress.sent == Progress::Nothing {
            self.common.progress.sent = Progress::Header;
        }
        if self.open_is_written() {
            self.write_sessions();
            self.write_close(now);
        }
        //= 2.4.5-08 2.4.5-X2
        if core::mem::take(&mut self.heartbeat_due)
            && self.common.outbox.is_empty()
            && self.common.progress.sent == Progress::Open
        {
            let range = self.common.outbox.frame(0, |_| {});
            self.trace_output(range);
        }
    }

    /// Whether frames of sessions may be written; writes the open before them if only that is missing.
    //= 2.4.1-01 2.7.1-01
    pub(crate) fn open_is_written(&mut self) -> bool {
        if self.common.progress.sent == Progress::Header && core::mem::take(&mut self.common.open_due) {
            self.write_open();
        }
        self.common.progress.sent == Progress::Open
    }

    //= 2.7.1-15
    fn write_open(&mut self) {
        let config = &self.common.config;
        let open = Open {
            hostname: config.hostname.clone(),
            max_frame_size: config.max_frame_size.max(MIN_MAX_FRAME_SIZE as u32),
            channel_max: config.channel_max,
            idle_time_out: self.idle.advertised(),
            offered_capabilities: config.offered_capabilities.clone(),
            desired_capabilities: config.desired_capabilities.clone(),
            properties: config.properties.clone(),
            ..Open::new(config.container_id.clone())
        };
        let range = self.common.outbox.frame(0, |out| open.encode(out));
        self.trace_output(range);
        self.common.progress.sent = Progress::Open;
    }

    fn write_sessions(&mut self) {
        let end = self.common.outbox.len() + PASS;
        // A session that must wait for the peer's open stays due, behind the others.
        for _ in 0..self.common.sessions_due.len() {
            if self.common.outbox.len() >= end {
                return;
            }
            let Some(key) = self.common.sessions_due.pop_front() else { return };
            if let Some(session) = self.sessions.get_mut(key) {
                session.due = false;
                self.write_session(key);
            }
        }
    }

    //= 2.4.3-01 2.4.3-02 2.7.9-02
    fn write_close(&mut self, now: Instant) {
        if self.common.close_due.is_none()
            || !(self.common.sessions_due.is_empty() || self.common.progress.discarding)
        {
            return;
        }
        let Some(error) = self.common.close_due.take() else { return };
        self.common.progress.discarding |= error.is_some();
        //= 2.4.3-05
        self.write_ending(0, error, |error| Close { error });
        self.common.progress.sent = Progress::Close;
        self.idle.stop();
        self.handshake_deadline = None;
        self.close_deadline = Some(now + self.common.config.limits.close_timeout);
        if self.common.progress.received == Progress::Close {
            self.lose(DisconnectReason::Closed);
        }
    }

    /// Writes a frame that carries an error, and leaves the error's words out if the peer's frames are too small.
    pub(crate) fn write_ending<T: Encode>(
        &mut self,
        channel: u16,
        error: Option<Box<Error>>,
        frame: impl Fn(Option<Error>) -> T,
    ) {
        let error = error.map(|error| *error);
        let ending = frame(error.clone());
        let mut range = self.common.outbox.frame(channel, |out| ending.encode(out));
        if range.len() > self.common.outgoing_frame_size {
            self.common.outbox.truncate(&range);
            let terse = error.map(|error| Error { description: None, info: None, ..error });
            let ending = frame(terse);
            range = self.common.outbox.frame(channel, |out| ending.encode(out));
        }
        self.trace_output(range);
    }

    /// As [`Common::write_frame`].
    pub(crate) fn write_frame(&mut self, channel: u16, body: &impl Encode) -> bool {
        self.common.write_frame(channel, body)
    }

    #[inline]
    pub(crate) fn trace_output(&mut self, range: Range<usize>) {
        self.common.trace_output(range);
    }

    /// Whether we know how large the peer's frames may be.
    pub(crate) fn knows_peer(&self) -> bool {
        self.remote_open.is_some()
    }

    /// Whether a frame of this body would fit; yes while the peer's limit is unknown.
    pub(crate) fn fits(&self, body: &impl Encode) -> bool {
        if !self.knows_peer() {
            return true;
        }
        let mut out = Vec::new();
        body.encode(&mut out);
        out.len() + crate::codec::frame::FRAME_HEADER_LEN <= self.common.outgoing_frame_size
    }

    /// Once the output has drained to half its mark, senders that waited for it go on.
    pub(super) fn wake_for_output(&mut self) {
        if self.common.waiting_for_output.is_empty()
            || self.common.outbox.len() > self.common.config.limits.output_high_water / 2
        {
            return;
        }
        let mut woken = core::mem::take(&mut self.common.waiting_for_output);
        for key in woken.drain(..) {
            if let Some(link) = self.links.get_mut(key) {
                link.waits_for_output = false;
            }
            self.wake_waiting(key, Waiting::Output);
        }
        // In the room that there was for those before.
        woken.append(&mut self.common.waiting_for_output);
        self.common.waiting_for_output = woken;
    }

    /// The transport is gone, or is to be dropped: nothing more is written but what waits already.
    pub(super) fn lose(&mut self, reason: DisconnectReason) {
        if core::mem::replace(&mut self.common.progress.lost, true) {
            return;
        }
        let answer_waits = matches!(reason, DisconnectReason::Closed | DisconnectReason::Handshake(_));
        if !answer_waits {
            self.common.outbox.clear();
        }
        self.unread = bytes::Bytes::new();
        self.drop_all_unfinished(None);
        self.common.sessions_due.clear();
        self.common.open_due = false;
        self.common.close_due = None;
        self.common.events.push(Event::Disconnected(reason));
    }
}

impl Common {
    /// Writes a frame, unless it is larger than the peer takes: whether it was written.
    //= 2.7.1-05
    pub(crate) fn write_frame(&mut self, channel: u16, body: &impl Encode) -> bool {
        let range = self.outbox.frame(channel, |out| body.encode(out));
        if range.len() > self.outgoing_frame_size {
            self.outbox.truncate(&range);
            return false;
        }
        self.trace_output(range);
        true
    }

    #[inline]
    fn trace_output(&mut self, range: Range<usize>) {
        if self.trace.is_on() {
            self.trace.frame(Direction::Out, self.outbox.bytes(range));
        }
    }
}

/// Whether a delivery state fits a disposition of this frame size; states without content always do.
#[inline]
pub(crate) fn check_state_fits(state: &DeliveryState, frame_size: usize) -> Result<(), Misuse> {
    /// Room for everything of a disposition but the state.
    const DISPOSITION_HEAD: usize = 40;
    if matches!(state, DeliveryState::Accepted | DeliveryState::Released | DeliveryState::Received(_)) {
        return Ok(());
    }
    let mut out = Vec::new();
    state.encode(&mut out);
    if out.len() + DISPOSITION_HEAD > frame_size { Err(Misuse::FrameTooLarge) } else { Ok(()) }
}
