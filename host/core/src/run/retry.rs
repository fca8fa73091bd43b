//! A run that did not succeed begins again: the next generation.
//!
//! By its policy, which was given with its spawn, before it has ended: what it was asked, what it may
//! and until when stay, its purse goes on. Or by an operator, after it has ended: what it was asked
//! and what it may stay, its time and its purse are new, and so is its policy.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ArtifactRef, Failure, Outcome, Run, RunSpec, RunState};
use crate::backoff::Backoff;
use crate::grants::Purse;
use crate::time::Timestamp;

/// The most generations that a policy may begin.
pub const MAX_RETRIES: u32 = 20;

/// When a run that fails begins again. Durations are in milliseconds, shares in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RetryPolicy {
    /// How many times. 1 to [`MAX_RETRIES`].
    pub times: u32,
    /// From the first failure to the generation after it.
    pub delay_ms: u64,
    /// What the delay is multiplied with each time: 100 is always the same.
    pub factor: u32,
    /// The longest delay, jitter aside.
    pub ceiling_ms: u64,
    /// How far a delay may be off.
    pub jitter: u32,
    /// Which failures.
    pub of: Retried,
}

/// Which failures a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retried {
    /// Those that the agent gave back, and that its plugin could not be loaded.
    Failures,
    /// Those, and traps: whatever another time may go otherwise.
    BreakdownsToo,
}

impl Retried {
    /// Whether another time may bring what this one did not. Never when what a run may spend is used
    /// up, and never when it took its hosts with it.
    fn is_worth_it(self, reason: Failure) -> bool {
        match reason {
            Failure::Failed | Failure::PluginUnavailable => true,
            Failure::Trapped
            | Failure::OutOfMemory
            | Failure::StackOverflow
            | Failure::Nondeterministic
            | Failure::InvalidOutput => self == Self::BreakdownsToo,
            Failure::OutOfCpu | Failure::OutOfCalls | Failure::JournalFull | Failure::CrashLooping => false,
        }
    }
}

/// What a new generation gets anew when an operator begins it, beside its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Digest of the version that its plugin has now; `None`: the one that it was on.
    pub plugin_digest: Option<String>,
    /// Seed of its random generator.
    pub seed: [u8; 32],
}

/// How a generation came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The run ended, and was told; an operator began it again.
    Ended(Outcome),
    /// It failed, and the run's policy began the next one.
    Failed(Outcome),
    /// The run went on as new, with another task.
    Continued,
}

impl Over {
    /// What it came to, unless the run went on.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Ended(outcome) | Self::Failed(outcome) => Some(outcome),
            Self::Continued => None,
        }
    }
}

/// What a run goes on with as new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NextTask {
    /// The input as JSON text.
    pub input: Arc<str>,
    /// Files that go with it.
    pub artifacts: Vec<ArtifactRef>,
}

/// A generation that is over: what was its own, beside its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Generation {
    /// Which one, from 0.
    pub number: u32,
    /// When it began, or might have.
    pub begun: Timestamp,
    /// When it came to its end.
    pub at: Timestamp,
    /// How.
    pub over: Over,
    /// Generations before it that the run's policy began, one after the other.
    pub retried: u32,
    /// Generations before it that went on as new.
    #[serde(default)]
    pub continued: u32,
    /// Its task, where the next one has another.
    #[serde(default)]
    pub task: Option<NextTask>,
    /// Attempts of the run up to then.
    pub attempt: u32,
    /// The version of its plugin.
    pub plugin_digest: String,
    /// Its deadline.
    pub deadline: Timestamp,
    /// What its purse held at first.
    pub purse: Purse,
    /// The seed of the run.
    pub seed: [u8; 32],
}

impl Run {
    /// When the run begins again that comes to this now, if its policy says so and there is time.
    #[must_use]
    pub fn again(&self, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
        let policy = self.spec.retry.as_ref().filter(|policy| self.retried < policy.times)?;
        let Outcome::Failed { reason, permanent: false, .. } = outcome else { return None };
        // One that is not executed fails by its hosts, which is nothing to be tried again.
        let executes = matches!(self.state, RunState::Running { .. } | RunState::Waiting { .. });
        if !executes || !policy.of.is_worth_it(*reason) {
            return None;
        }
        let RetryPolicy { delay_ms: interval_ms, factor, ceiling_ms, jitter, .. } = *policy;
        let backoff = Backoff { interval_ms, factor, ceiling_ms, jitter };
        let at = now.after(backoff.delay(self.retried + 1, &self.spec.id.0));
        (at < self.spec.deadline()).then_some(at)
    }

    /// How many times the run's policy would still have it begin again; `None`: it has no policy.
    #[must_use]
    pub fn retries_left(&self) -> Option<u32> {
        self.spec.retry.map(|policy| policy.times.saturating_sub(self.retried))
    }

    /// What is kept of this generation when it is over.
    #[must_use]
    pub fn over(&self, over: Over, now: Timestamp) -> Generation {
        Generation {
            number: self.generation,
            begun: self.begun,
            at: now,
            over,
            retried: self.retried,
            continued: self.continued,
            task: None,
            attempt: self.attempt,
            plugin_digest: self.spec.plugin_digest.clone(),
            deadline: self.spec.deadline(),
            purse: self.spec.purse,
            seed: self.spec.seed,
        }
    }

    /// The run as it was in a generation that is over.
    #[must_use]
    pub fn at(&self, past: &Generation) -> Self {
        let mut spec = RunSpec::clone(&self.spec);
        spec.grants = spec.grants.until(past.deadline);
        spec.plugin_digest.clone_from(&past.plugin_digest);
        (spec.purse, spec.seed) = (past.purse, past.seed);
        if let Some(NextTask { input, artifacts }) = past.task.clone() {
            (spec.input, spec.artifacts) = (input, artifacts);
        }
        let state = match past.over.outcome() {
            Some(outcome) => RunState::Ended { outcome: outcome.clone(), at: past.at },
            None => RunState::Queued,
        };
        Self {
            state,
            generation: past.number,
            attempt: past.attempt,
            begun: past.begun,
            retried: past.retried,
            continued: past.continued,
            since: past.at,
            progress: None,
            ..Self::queued(spec)
        }
    }

    /// What the run is in its next generation, from `now` on, when an operator begins it: with as much
    /// time as it was given, and this purse.
    #[must_use]
    pub fn renewed(&self, renewal: Renewal, purse: Purse, now: Timestamp) -> Arc<RunSpec> {
        let timeout = self.spec.deadline().since(self.timed_from);
        let mut spec = RunSpec::clone(&self.spec);
        spec.grants = spec.grants.until(now.after(timeout));
        spec.plugin_digest = renewal.plugin_digest.unwrap_or(spec.plugin_digest);
        (spec.purse, spec.seed) = (purse, renewal.seed);
        Arc::new(spec)
    }
}
