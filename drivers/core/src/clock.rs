//! The engine's time.

use amqp1_engine::Instant;

/// A monotonic clock for the engine: its epoch is the moment it was made.
///
/// One clock serves everything that is driven together, since instants of two clocks do not compare.
///
/// ```
/// let clock = amqp1_driver::Clock::new();
/// let earlier = clock.now();
/// assert!(clock.now() >= earlier);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { epoch: std::time::Instant::now() }
    }

    /// The time since this clock was made.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_epoch(self.epoch.elapsed())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
