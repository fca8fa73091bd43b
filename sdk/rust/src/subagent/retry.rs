//! When a run that fails begins again.
//!
//! Owns the policy while it is being put together. What it means is in the contract,
//! `subagent.retry-policy`.

use std::time::Duration;

use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::time::millis;

/// A policy: so many times, after delays that may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a policy does nothing before a spawn is given it"]
pub struct Retry(pub(super) raw::RetryPolicy);

/// At most so many times, 1 to 20: 10 s after each failure, give or take a tenth.
pub fn times(times: u32) -> Retry {
    let of = raw::Retried::BreakdownsToo;
    Retry(raw::RetryPolicy { times, delay: 10_000, factor: 100, ceiling: 10_000, jitter: 10, of })
}

impl Retry {
    /// So long after each failure. A second to a day.
    pub fn after(mut self, delay: Duration) -> Self {
        let ms = millis(delay);
        (self.0.delay, self.0.factor, self.0.ceiling) = (ms, 100, ms);
        self
    }

    /// Each delay twice the one before, up to this one. At most a day.
    pub fn growing_to(self, ceiling: Duration) -> Self {
        self.growing_by(200, ceiling)
    }

    /// Each delay so many per cent of the one before, up to this one. 100 to 1,000.
    pub fn growing_by(mut self, per_cent: u32, ceiling: Duration) -> Self {
        (self.0.factor, self.0.ceiling) = (per_cent, millis(ceiling));
        self
    }

    /// So many per cent earlier or later, so that runs which failed together do not begin again
    /// together. At most 50.
    pub fn give_or_take(mut self, per_cent: u32) -> Self {
        self.0.jitter = per_cent;
        self
    }

    /// Only after failures that the agent gives back: it ends when it panics or runs out of memory.
    pub fn unless_it_breaks_down(mut self) -> Self {
        self.0.of = raw::Retried::Failures;
        self
    }
}
