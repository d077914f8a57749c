//! What the sessions and links of a connection have in common.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use super::{
    DeliveryRun, EventOf, Events,
    output::MIN_MAX_FRAME_SIZE,
    state::{ConnectionProgress, Progress},
};
use crate::{
    Config, DeliveryId, Instant, LinkId,
    arena::Key,
    link::{Recovery, Untaken},
    record::Tape,
    session::SessionEndpoint,
    transport::{Outbox, trace::Trace},
    types::Error,
};

/// All of a connection that a session or a link needs besides itself, to be borrowed next to them.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) config: Box<Config>,
    pub(crate) progress: ConnectionProgress,
    pub(crate) outbox: Outbox,
    /// The largest frame that we write: what the peer takes, within reason.
    pub(crate) outgoing_frame_size: usize,
    pub(crate) trace: Trace,
    pub(crate) tape: Option<Box<Tape>>,
    pub(crate) events: Events,
    /// What arrived and was not taken.
    pub(crate) untaken: Untaken,
    /// Links that are resumed and have not gone on with all of their deliveries.
    pub(crate) recoveries: BTreeMap<Key, Box<Recovery>>,

    pub(crate) open_due: bool,
    pub(crate) close_due: Option<Option<Box<Error>>>,
    /// Sessions that have something to write.
    pub(crate) sessions_due: VecDeque<Key>,
    /// Senders that wait for the output to drain.
    pub(crate) waiting_for_output: Vec<Key>,
}

impl Common {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        Self {
            progress: ConnectionProgress::new(),
            outbox: Outbox::default(),
            outgoing_frame_size: MIN_MAX_FRAME_SIZE,
            trace: Trace::new(config.trace),
            tape: Tape::new(&config, now),
            events: Events::default(),
            untaken: Untaken::default(),
            recoveries: BTreeMap::new(),
            open_due: false,
            close_due: None,
            sessions_due: VecDeque::new(),
            waiting_for_output: Vec::new(),
            config: Box::new(config),
        }
    }

    /// A call of the user that changes something is being made.
    #[inline(always)]
    pub(crate) fn record(&mut self, record: impl FnOnce(&mut Tape)) {
        if let Some(tape) = &mut self.tape {
            record(tape);
        }
    }

    /// Polls the next event, and all of its run, if it is one of the deliveries of this link.
    ///
    /// What of it is not handed on must be [put back](Events::put_back).
    #[inline(always)]
    pub(crate) fn poll_run(&mut self, link: LinkId, of: EventOf) -> Option<DeliveryRun> {
        let run = self.events.pop_run(link, of)?;
        if self.tape.is_none() {
            return Some(run);
        }
        Some(self.record_run(link, of, run))
    }

    /// A recording has each event where it is handed on: all but the first are put back.
    #[cold]
    fn record_run(&mut self, link: LinkId, of: EventOf, run: DeliveryRun) -> DeliveryRun {
        let first = DeliveryId::new(link.0, run.next);
        self.events.put_back(of.event(first.plus(1)), run.len - 1);
        self.record(|tape| tape.event(Some(&of.event(first))));
        DeliveryRun::one(first)
    }

    /// Whether one side has closed the connection, or is about to.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        let passed = self.progress.sent == Progress::Close || self.progress.received == Progress::Close;
        passed || self.progress.lost || self.close_due.is_some()
    }

    /// Whether our open was sent, or goes first.
    #[inline]
    pub(crate) fn is_opened(&self) -> bool {
        self.open_due || self.progress.sent >= Progress::Open
    }

    /// Whether more waits inside than the limits allow to be added to.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let limits = &self.config.limits;
        let full = self.events.len() >= limits.events
            || self.untaken.bytes >= limits.unread_bytes
            || self.outbox.len() >= limits.output_stop_reading;
        // What is dropped adds to nothing.
        full && !self.progress.discarding
    }

    /// Puts the session in the list of those that have something to write.
    #[inline]
    pub(crate) fn mark_session(&mut self, key: Key, session: &mut SessionEndpoint) {
        if !core::mem::replace(&mut session.due, true) {
            self.sessions_due.push_back(key);
        }
    }
}
