//! Waking at a deadline that moves.

use std::{pin::Pin, task::Context};

use amqp1_engine::Instant;

use super::Runtime;

/// Wakes a task at a deadline. As long as that only moves further away, the runtime's timer is left alone: it rings too
/// early once, and is set anew.
pub(super) struct Alarm {
    /// When it rings, if it is set.
    at: Option<Instant>,
    sleep: Option<Sleep>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Alarm {
    pub(super) const fn new() -> Self {
        Self { at: None, sleep: None }
    }

    /// Whether it has rung: then look at the clock. Else the task is woken at the deadline, if there is one.
    pub(super) fn poll<R: Runtime>(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(deadline) = deadline else {
            *self = Self::new();
            return false;
        };
        if self.at.is_none_or(|at| deadline < at) {
            self.at = Some(deadline);
            self.sleep = Some(Box::pin(R::sleep(deadline.duration_since(now))));
        }
        let has_rung = self.sleep.as_mut().is_none_or(|sleep| sleep.as_mut().poll(cx).is_ready());
        if has_rung {
            *self = Self::new();
        }
        has_rung
    }
}
