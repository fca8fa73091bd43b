//! A run: what it was asked, where it stands, and the one function that moves it.
//!
//! [`Run::step`] is the only place that changes a state; both stores use it
//! and a test walks all of its cases. Never reads a clock, never stores.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::delivery::{ArtifactLink, Destination};
use crate::grants::{Grants, Purse};
use crate::id::{ConversationId, RunId, Token};
use crate::time::Timestamp;

mod ending;
mod retry;
#[cfg(test)]
mod tests;

pub use ending::{Failure, Outcome, Output, cancel_reason};
pub use retry::{Generation, MAX_RETRIES, NextTask, Over, Renewal, Retried, RetryPolicy};

/// What does not change during a run's life, but for what [`Run::renewed`] renews with a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSpec {
    /// Identity.
    pub id: RunId,
    /// The run that spawned it, also through a tool call.
    pub parent: Option<RunId>,
    /// Whose it is.
    pub lifetime: Lifetime,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Where that conversation is: what `origin` means, for this run and its descendants.
    pub origin: Destination,
    /// The plugin that has the agent.
    pub plugin: String,
    /// The agent's name in it.
    pub agent: String,
    /// Digest of the version of it that the run was accepted on and stays on: component and manifest.
    /// Of the component alone for runs that were accepted before a store of version 8.
    pub plugin_digest: String,
    /// A handle for people.
    pub name: String,
    /// The lane.
    pub lane: String,
    /// Order among the ready runs of one key.
    pub priority: Priority,
    /// 0 at the root.
    pub depth: u32,
    /// The input as JSON text.
    pub input: Arc<str>,
    /// Files that go with it.
    pub artifacts: Vec<ArtifactRef>,
    /// The effective grants, frozen.
    pub grants: Grants,
    /// What its purse held when it was accepted, frozen: bounds that a replay must see again.
    pub purse: Purse,
    /// To whom the ending is owed.
    pub destinations: Vec<Destination>,
    /// When it was accepted.
    pub created: Timestamp,
    /// Same plugin of the spawner, same conversation, same key: the same run.
    pub dedupe_key: Option<String>,
    /// Whose dedupe keys these are: the plugin that spawned it.
    pub spawner: String,
    /// Seed of the run: of what stands for secrets in it, and of the random generator of each generation.
    pub seed: [u8; 32],
    /// When it begins again by itself; `None`: never.
    pub retry: Option<RetryPolicy>,
}

impl RunSpec {
    /// `plugin/agent`.
    #[must_use]
    pub fn agent_name(&self) -> String {
        format!("{}/{}", self.plugin, self.agent)
    }

    /// When it must have ended.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.grants.caps().deadline
    }

    /// The parent that it is attached to.
    #[must_use]
    pub fn attached_to(&self) -> Option<RunId> {
        self.parent.filter(|_| self.lifetime == Lifetime::Attached)
    }
}

/// Whose a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Its parent's: the parent does not end before it.
    Attached,
    /// The conversation's.
    Detached,
}

/// Order among the ready runs of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// After the others.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// A file by reference. Content-addressed; never in the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// SHA-256 of the content, hex.
    pub id: String,
    /// A file name for people.
    pub name: String,
    /// A media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
}

impl ArtifactRef {
    /// Where the content lies below the artifact directory: `ab/abcd….mp4`. The
    /// extension is that of the name, so that a link opens with the right program.
    #[must_use]
    pub fn path(&self) -> String {
        let known =
            |ext: &&str| (1..=8).contains(&ext.len()) && ext.bytes().all(|b| b.is_ascii_alphanumeric());
        let ext = self.name.rsplit_once('.').map(|(_, ext)| ext).filter(known).unwrap_or("bin");
        format!("{}/{}.{}", self.id.get(..2).unwrap_or("xx"), self.id, ext.to_ascii_lowercase())
    }

    /// The artifact as a link below `base`, which ends with a slash.
    #[must_use]
    pub fn link(&self, base: &str) -> ArtifactLink {
        ArtifactLink {
            id: self.id.clone(),
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            size: self.size,
            url: format!("{base}{}", self.path()),
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Begins later: before that instant it is not ready.
    Delayed {
        /// The instant.
        until: Timestamp,
    },
    /// Ready, holds no slot.
    Queued,
    /// An attempt executes it.
    Running {
        /// The attempt's claim.
        token: Token,
    },
    /// Parked on a wait. With a token the attempt's instance is still in memory.
    Waiting {
        /// The claim of the attempt that is kept in memory.
        token: Option<Token>,
    },
    /// Its own work succeeded; attached children are still alive.
    Closing {
        /// What it will end with.
        outcome: Outcome,
    },
    /// Terminal.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

impl RunState {
    /// `delayed`, `queued`, `running`, `waiting`, `closing` or `ended`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delayed { .. } => "delayed",
            Self::Queued => "queued",
            Self::Running { .. } => "running",
            Self::Waiting { .. } => "waiting",
            Self::Closing { .. } => "closing",
            Self::Ended { .. } => "ended",
        }
    }
}

/// A run as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What does not change.
    pub spec: Arc<RunSpec>,
    /// Where it stands.
    pub state: RunState,
    /// Which generation it is in, each with a journal of its own. The first is 0.
    pub generation: u32,
    /// Generations that its policy began since it was accepted, an operator began it again, or it went
    /// on as new.
    pub retried: u32,
    /// Generations that went on as new since it was accepted, or since an operator began it again.
    pub continued: u32,
    /// Attempts claimed so far.
    pub attempt: u32,
    /// When this generation was accepted, or may begin.
    pub begun: Timestamp,
    /// Since when its time-out counts: when the first generation began, or one that an operator began.
    pub timed_from: Timestamp,
    /// Attempts of this generation that ended with their process.
    pub crashes: u32,
    /// What its tree may still spend.
    pub purse: Purse,
    /// Children that have not ended, attached and detached.
    pub active_children: u32,
    /// Attached children that have not ended.
    pub attached_children: u32,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Last reported progress: percent and note.
    pub progress: Option<(u8, Arc<str>)>,
}

/// What can happen to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The instant that it was delayed until has come.
    Ready,
    /// An attempt takes it.
    Claim(Token),
    /// The attempt parks on a wait, with its instance kept in memory.
    Park,
    /// The parked attempt's instance is dropped.
    Evict,
    /// The wait is decided. With the instance in memory its attempt goes on, else a new one must claim.
    Wake,
    /// The attempt ended without deciding anything: shutdown or loss of its process.
    Interrupt {
        /// Whether it counts as a crash.
        crashed: bool,
    },
    /// The work is decided; ends now, or when the attached children have ended.
    Finish(Outcome),
    /// An attached child has ended.
    ChildEnded,
    /// It failed, and its policy has it begin again at this instant: it is delayed until then.
    Again {
        /// The instant.
        until: Timestamp,
    },
    /// It goes on as new, with another task: as this.
    Continue(Arc<RunSpec>),
    /// An operator has it begin again, as this. Not after a success, and nothing that is attached.
    Retry(Arc<RunSpec>),
}

/// The step cannot happen in this state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot {step}")]
pub struct IllegalStep {
    /// Where the run stands.
    pub state: &'static str,
    /// What was tried.
    pub step: &'static str,
}

impl Run {
    /// A run that was just accepted.
    #[must_use]
    pub fn queued(spec: RunSpec) -> Self {
        let (since, purse) = (spec.created, spec.purse);
        Self {
            spec: Arc::new(spec),
            state: RunState::Queued,
            generation: 0,
            retried: 0,
            continued: 0,
            attempt: 0,
            begun: since,
            timed_from: since,
            crashes: 0,
            purse,
            active_children: 0,
            attached_children: 0,
            since,
            progress: None,
        }
    }

    /// A run that was just accepted and begins at an instant, at once if that has passed.
    #[must_use]
    pub fn beginning(spec: RunSpec, start: Option<Timestamp>) -> Self {
        let run = Self::queued(spec);
        match start.filter(|start| *start > run.since) {
            Some(until) => {
                Self { state: RunState::Delayed { until }, begun: until, timed_from: until, ..run }
            }
            None => run,
        }
    }

    /// Whether it is terminal.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, RunState::Ended { .. })
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            RunState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether `token` is the claim that may write.
    #[must_use]
    pub fn is_claimed_by(&self, token: Token) -> bool {
        match self.state {
            RunState::Running { token: held } => held == token,
            RunState::Waiting { token: held } => held == Some(token),
            _ => false,
        }
    }

    /// Moves the run. The only function that does.
    ///
    /// # Errors
    /// [`IllegalStep`]; then nothing has changed.
    pub fn step(&mut self, step: Step, now: Timestamp) -> Result<(), IllegalStep> {
        use RunState as S;
        let illegal = |state: &S, step| Err(IllegalStep { state: state.kind(), step });
        let next = match (step, &self.state) {
            (Step::Ready, S::Delayed { .. }) => {
                self.begun = self.begun.min(now);
                S::Queued
            }
            (Step::Claim(token), S::Queued) => {
                self.attempt += 1;
                S::Running { token }
            }
            (Step::Park, S::Running { token }) => S::Waiting { token: Some(*token) },
            (Step::Evict, S::Waiting { .. }) => S::Waiting { token: None },
            (Step::Wake, S::Waiting { token: Some(token) }) => S::Running { token: *token },
            (Step::Wake, S::Waiting { token: None }) => S::Queued,
            (Step::Interrupt { crashed }, S::Running { .. }) => {
                self.crashes += u32::from(crashed);
                S::Queued
            }
            (
                Step::Finish(outcome),
                S::Delayed { .. } | S::Queued | S::Running { .. } | S::Waiting { .. },
            ) => self.finish(outcome, now),
            (Step::Finish(outcome), S::Closing { .. }) if !matches!(outcome, Outcome::Succeeded(_)) => {
                S::Ended { outcome, at: now }
            }
            (Step::ChildEnded, S::Closing { outcome }) if self.attached_children == 0 => {
                S::Ended { outcome: outcome.clone(), at: now }
            }
            (Step::Retry(spec), S::Ended { outcome, .. })
                if !matches!(outcome, Outcome::Succeeded(_)) && spec.attached_to().is_none() =>
            {
                self.next_generation(now);
                (self.timed_from, self.retried, self.continued) = (now, 0, 0);
                (self.purse, self.spec) = (spec.purse, spec);
                S::Queued
            }
            (Step::Again { until }, S::Running { .. } | S::Waiting { .. }) => {
                self.next_generation(until);
                self.retried += 1;
                S::Delayed { until }
            }
            (Step::Continue(spec), S::Running { .. }) => {
                self.next_generation(now);
                (self.retried, self.spec) = (0, spec);
                self.continued += 1;
                S::Queued
            }
            (Step::ChildEnded, _) => return Ok(()),
            (Step::Ready, state) => return illegal(state, "become ready"),
            (Step::Claim(_), state) => return illegal(state, "be claimed"),
            (Step::Park, state) => return illegal(state, "park"),
            (Step::Evict, state) => return illegal(state, "be evicted"),
            (Step::Wake, state) => return illegal(state, "wake"),
            (Step::Interrupt { .. }, state) => return illegal(state, "be interrupted"),
            (Step::Finish(_), state) => return illegal(state, "finish"),
            (Step::Again { .. }, state) => return illegal(state, "begin again"),
            (Step::Continue(_), state) => return illegal(state, "go on as new"),
            (Step::Retry(_), state) => return illegal(state, "be retried"),
        };
        self.state = next;
        self.since = now;
        Ok(())
    }

    fn next_generation(&mut self, begun: Timestamp) {
        self.generation += 1;
        (self.begun, self.crashes, self.progress) = (begun, 0, None);
    }

    /// A success waits for attached children; everything else ends at once.
    fn finish(&self, outcome: Outcome, now: Timestamp) -> RunState {
        if self.attached_children > 0 && matches!(outcome, Outcome::Succeeded(_)) {
            RunState::Closing { outcome }
        } else {
            RunState::Ended { outcome, at: now }
        }
    }
}
