//! What the runner of a container does, however it waits.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io::{Read, Write},
    sync::Arc,
};

use amqp1_engine::{
    Instant,
    container::{self, ContainerOptions, Handler, IoId},
};

use crate::{
    Clock, Error, Found, Injector, Lingering, Mail, Mailbox, Stages, Streams, record::Recorder,
    trace_is_wanted,
};

/// After so many turns of the handler the sockets are looked at again.
pub const TURNS_A_STEP: usize = 16;
/// As long as more has arrived, what is to be said of it waits for so many reads, to be said of all at once.
const READS_A_WRITE: usize = 4;

/// A container with its handler, its open byte streams and its mail.
///
/// A driver waits until a socket is ready or [`deadline`](Self::deadline) has come, reads and writes what is ready, has
/// the engine handle the time, and then takes turns:
///
/// ```
/// # use amqp1_driver::{Error, Runner, TURNS_A_STEP};
/// # use amqp1_engine::container::{Action, Handler};
/// # fn step<H: Handler, S: std::io::Read + std::io::Write>(runner: &mut Runner<H, S>) -> Result<bool, Error> {
/// # fn obey(action: Action) {}
/// for turn in 1..=TURNS_A_STEP {
///     let has_more = runner.turn(turn);
///     while let Some(action) = runner.engine.poll_action() {
///         obey(action);
///     }
///     if !has_more {
///         break;
///     }
/// }
/// runner.has_more()
/// # }
/// ```
pub struct Runner<H, S> {
    /// The container.
    pub engine: container::Container,
    /// Whose code runs.
    pub handler: H,
    /// The time of all that is in here.
    pub clock: Clock,
    /// What lies between the sockets of new streams and the container.
    pub stages: Stages,
    /// The open byte streams.
    pub streams: Streams<S>,
    /// Those that are about to close.
    pub lingering: Lingering<S>,
    mailbox: Arc<Mailbox>,
    started: bool,
}

impl<H, S> Runner<H, S> {
    /// A container with these options; where their seed is 0, a random one takes its place.
    pub fn new(handler: H, mut options: ContainerOptions) -> Self {
        if options.seed == 0 {
            options.seed = RandomState::new().hash_one(0);
        }
        options.connection.trace |= trace_is_wanted();
        let mailbox = Arc::new(Mailbox::new(options.injected_events));
        Self {
            engine: container::Container::new(options),
            handler,
            clock: Clock::new(),
            stages: Stages::default(),
            streams: Streams::default(),
            lingering: Lingering::default(),
            mailbox,
            started: false,
        }
    }

    /// Has every connection recorded that is made from now on.
    pub fn record(&mut self, recorder: Recorder) {
        self.engine.record(recorder.record.clone());
        self.streams.recorder = Some(recorder);
    }

    /// Where other threads leave what they have for this container.
    #[must_use]
    pub fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// Sends events into this container from other threads.
    #[must_use]
    pub fn injector(&self) -> Injector {
        Injector::new(self.mailbox())
    }
}

impl<H: Handler, S: Read + Write> Runner<H, S> {
    /// Whether [`start`](Self::start) was called.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started
    }

    /// Starts; `wake` is called by any thread when there is mail.
    pub fn start(&mut self, wake: impl Fn() + Send + Sync + 'static) {
        self.mailbox.open(wake);
        self.engine.start();
        self.started = true;
    }

    /// When there is something to do at the latest, if nothing happens before.
    pub fn deadline(&mut self) -> Option<Instant> {
        self.engine.poll_timeout().into_iter().chain(self.lingering.deadline()).min()
    }

    /// Hands the mail to the container, and returns what is for the driver.
    pub fn take_mail(&mut self) -> Vec<(IoId, Found)> {
        let mut found = Vec::new();
        self.mailbox.take(|mail| match mail {
            Mail::Event(event) => self.engine.inject(event).err().map(Mail::Event),
            Mail::Found(io, addresses) => {
                found.push((io, addresses));
                None
            }
        });
        found
    }

    /// The time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.lingering.close_finished(now);
        self.engine.handle_timeout(now);
    }

    /// Runs the handler on what has happened, then writes what there is to say, or reads on where more has arrived:
    /// whether there is more to do at once. Actions of the container come of it.
    pub fn turn(&mut self, turn: usize) -> bool {
        let has_more = self.engine.dispatch(&mut self.handler, self.clock.now());
        let now = self.clock.now();
        if !has_more && !turn.is_multiple_of(READS_A_WRITE) && self.streams.read_on(&mut self.engine, now) {
            return true;
        }
        while let Some(io) = self.engine.poll_dirty_io() {
            self.streams.refresh(io, &mut self.engine, now);
        }
        has_more
    }

    /// Whether there will be more to do.
    ///
    /// # Errors
    /// [`Error::Unhandled`]: something failed that this side began, and no handler took care of it.
    pub fn has_more(&mut self) -> Result<bool, Error> {
        match self.engine.take_failure() {
            Some(failure) => Err(Error::Unhandled(failure)),
            None => Ok(!self.is_finished()),
        }
    }

    /// Nothing is left to do, and the peers of all sockets have had their time.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.engine.is_finished() && self.lingering.is_empty()
    }
}

impl<H, S> Drop for Runner<H, S> {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl<H, S> fmt::Debug for Runner<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt(f)
    }
}
