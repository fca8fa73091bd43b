//! The rows that operations are made of.
//!
//! [`Rows`] is one open transaction: whoever implements it gives reads, writes
//! and lookups of single rows, and nothing that decides. What an operation
//! means is written once, in `ops`, over this trait. Every method that returns
//! several rows takes a limit or is bounded by one of the run's own limits.

mod hold;
mod hook;
mod log;
mod operator;
mod poll;
mod removal;
mod schedule;
mod version;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::delivery::AttemptResult;
use sublane_core::poll::Plan;
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Entry, Generation, HookId,
    Import, Path, Purse, Run, RunId, Timestamp,
};

use crate::StoreError;

pub use hold::HoldRows;
pub use hook::HookRows;
pub use log::{LogLevel, LogLine, LogPlace, LogRows};
pub use operator::{Intent, LaneSetting, OperatorRows};
pub use poll::PollRows;
pub use removal::Removal;
pub use schedule::{ScheduleRow, ScheduleRows};
pub use version::{LiveVersion, PauseRow, PluginRow, VersionRows};

/// What a parked run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WaitFor {
    /// Any or all of these runs to end.
    Runs {
        /// The runs, in the caller's order.
        runs: Vec<RunId>,
        /// All of them, or any.
        all: bool,
    },
    /// A message in the run's mailbox.
    Message,
    /// Only its time-out.
    Sleep,
    /// A poll plan to end.
    Poll {
        /// The plan.
        plan: Arc<Plan>,
    },
    /// A call of this hook.
    Hook {
        /// The hook, one of the run's.
        hook: HookId,
    },
    /// The first of several; of those that are there in one transaction, the first in this order.
    Any {
        /// In the caller's order.
        sources: Vec<Source>,
    },
}

/// One of several things that a run waits for at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An instant.
    Until(Timestamp),
    /// Any or all of these runs to end.
    Runs {
        /// The runs, in the caller's order.
        runs: Vec<RunId>,
        /// All of them, or any.
        all: bool,
    },
    /// A message in the run's mailbox.
    Message,
    /// A poll plan to end.
    Poll(Arc<Plan>),
    /// A call of this hook of the run's.
    Hook(HookId),
}

impl Source {
    /// The runs that it is for.
    #[must_use]
    pub fn targets(&self) -> &[RunId] {
        match self {
            Self::Runs { runs, .. } => runs,
            Self::Until(_) | Self::Message | Self::Poll(_) | Self::Hook(_) => &[],
        }
    }
}

impl WaitFor {
    /// The runs whose ending may decide it; one may be named twice.
    pub fn targets(&self) -> impl Iterator<Item = RunId> + '_ {
        let own = match self {
            Self::Runs { runs, .. } => runs.as_slice(),
            _ => &[],
        };
        let sources = match self {
            Self::Any { sources } => sources.as_slice(),
            _ => &[],
        };
        own.iter().chain(sources.iter().flat_map(Source::targets)).copied()
    }

    /// The poll plans in it, each with its place among the sources.
    pub fn polls(&self) -> impl Iterator<Item = (u32, &Arc<Plan>)> {
        let own = match self {
            Self::Poll { plan } => Some((0, plan)),
            _ => None,
        };
        let sources = match self {
            Self::Any { sources } => sources.as_slice(),
            _ => &[],
        };
        let named = (0..).zip(sources).filter_map(|(place, source)| match source {
            Source::Poll(plan) => Some((place, plan)),
            _ => None,
        });
        own.into_iter().chain(named)
    }
}

/// A wait: at most one for each run. Whatever decides it does so in the
/// transaction that removes this row and writes the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The run that waits.
    pub run: RunId,
    /// Where its entry will stand.
    pub path: Path,
    /// The import that waits.
    pub import: Import,
    /// Hash of its arguments.
    pub args: u128,
    /// What for.
    pub what: WaitFor,
    /// When it is decided without it.
    pub due: Option<Timestamp>,
}

/// A thread on a channel, with what is left of its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Identity.
    pub id: ConversationId,
    /// Channel and address.
    pub origin: Destination,
    /// What its runs may still draw.
    pub purse: Purse,
    /// What a new message fills the purse up to.
    pub ceiling: Purse,
    /// When it began.
    pub created: Timestamp,
}

/// One attempt of a delivery, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which attempt, from 1.
    pub number: u32,
    /// When it was settled.
    pub at: Timestamp,
    /// What it came to.
    pub result: AttemptResult,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those with this state kind (`delayed`, `queued`, `running`, `waiting`, `closing`, `ended`).
    pub state: Option<String>,
    /// Only those of this conversation.
    pub conversation: Option<ConversationId>,
    /// Only children of this run.
    pub parent: Option<RunId>,
    /// Only those whose agent is of this plugin.
    pub plugin: Option<String>,
    /// Only those of an agent of this name, without its plugin.
    pub agent: Option<String>,
    /// Only those accepted between these two instants, ends included.
    pub accepted: Between,
    /// At most so many, newest first; those that are queued by when they became ready, those that are
    /// delayed by when they will, the next one first.
    pub limit: u32,
}

/// A span of time, ends included. By default all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
}

impl Between {
    /// Whether it holds `at`.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at <= until)
    }
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only those to this channel.
    pub channel: Option<String>,
    /// Only those to this address, on whatever channel.
    pub address: Option<String>,
    /// Only those owed between these two instants, ends included.
    pub owed: Between,
    /// At most so many, newest first.
    pub limit: u32,
}

type Result<T> = std::result::Result<T, StoreError>;

/// One open transaction on the store's rows.
pub trait Rows:
    HoldRows + HookRows + LogRows + OperatorRows + PollRows + Removal + ScheduleRows + VersionRows
{
    // --- runs

    /// Adds a run.
    fn insert_run(&mut self, run: &Run) -> Result<()>;
    /// Writes everything of a run that is there but its spec, and what a new generation brings.
    fn update_run(&mut self, run: &Run) -> Result<()>;
    /// Writes a run that lives and begins again, with what a new generation brings.
    fn begin_again(&mut self, run: &Run) -> Result<()>;
    /// Writes a run that goes on as new, with what a new generation brings and its task.
    fn continue_run(&mut self, run: &Run) -> Result<()>;
    /// Removes what is kept of the generations of a run before this one: journals, hooks, and what was
    /// their own.
    fn forget_generations(&mut self, run: RunId, before: u32) -> Result<()>;
    /// Keeps what was a generation's own, now that it is over.
    fn insert_generation(&mut self, run: RunId, over: &Generation) -> Result<()>;
    /// The generations of a run that are over, oldest first.
    fn generations(&mut self, run: RunId) -> Result<Vec<Generation>>;
    /// A run by its id.
    fn run(&mut self, id: RunId) -> Result<Option<Run>>;
    /// The run that `spawner` made in this conversation under this dedupe key.
    fn run_by_dedupe(
        &mut self,
        spawner: &str,
        conversation: ConversationId,
        key: &str,
    ) -> Result<Option<RunId>>;
    /// How many children of a run `spawner` made.
    fn spawned_by(&mut self, parent: RunId, spawner: &str) -> Result<u32>;
    /// Attached children of a run that have not ended.
    fn attached_children(&mut self, parent: RunId) -> Result<Vec<RunId>>;
    /// Runs of a conversation that have not ended, oldest first: a parent before its children.
    fn living_runs(&mut self, conversation: ConversationId, limit: u32) -> Result<Vec<RunId>>;
    /// Runs by filter, newest first.
    fn runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>>;
    /// Runs that have not ended and whose deadline is not after `now`, oldest deadline first.
    fn overdue_runs(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;
    /// Runs that are queued, in order of `since`, after this position.
    fn queued_runs(&mut self, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Run>>;
    /// Runs that are delayed until an instant that is not after `now`, earliest first.
    fn runs_to_begin(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;
    /// Runs that hold a claim: running, or waiting with an instance in memory.
    fn claimed_runs(&mut self, limit: u32) -> Result<Vec<RunId>>;

    // --- journal

    /// Adds an entry. One at the same place is a fault of the host: [`StoreError::Corrupt`].
    fn insert_entry(&mut self, run: RunId, generation: u32, entry: &Entry) -> Result<()>;
    /// The whole journal of one generation, in order of the paths.
    fn entries(&mut self, run: RunId, generation: u32) -> Result<Vec<Entry>>;

    // --- waits

    /// Adds a wait, with a lookup row for each run that it waits for.
    fn insert_wait(&mut self, wait: &Wait) -> Result<()>;
    /// The wait of a run.
    fn wait(&mut self, run: RunId) -> Result<Option<Wait>>;
    /// Removes the wait of a run and its lookup rows; nothing there is no error.
    fn delete_wait(&mut self, wait: &Wait) -> Result<()>;
    /// Runs that wait for this one.
    fn waiters(&mut self, target: RunId) -> Result<Vec<RunId>>;
    /// Plugins of which a run waits until some instant, in the order of their names, each with the
    /// earliest one.
    fn plugins_due(&mut self) -> Result<Vec<(String, Timestamp)>>;
    /// Waits of runs of this plugin whose due time is not after `now`, oldest first.
    fn due_waits(&mut self, plugin: &str, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;
    /// The earliest due time of a wait, deadline or beginning of a run that has not ended.
    fn next_due(&mut self) -> Result<Option<Timestamp>>;

    // --- mailbox

    /// Puts a message into a run's mailbox.
    fn push_message(&mut self, run: RunId, message: &str) -> Result<()>;
    /// Takes the oldest message.
    fn pop_message(&mut self, run: RunId) -> Result<Option<Arc<str>>>;
    /// Unread messages.
    fn mailbox_len(&mut self, run: RunId) -> Result<u32>;

    // --- deliveries

    /// Adds a delivery.
    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()>;
    /// Writes state, attempts, `next_at`, `since` and note of a delivery that is there.
    fn update_delivery(&mut self, delivery: &Delivery) -> Result<()>;
    /// A delivery by its id.
    fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>>;
    /// Deliveries by filter, newest first.
    fn deliveries(&mut self, filter: &DeliveryFilter) -> Result<Vec<Delivery>>;
    /// Pending deliveries whose time has come, oldest first.
    fn due_deliveries(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>>;
    /// Deliveries with an attempt that is not settled.
    fn sending_deliveries(&mut self, limit: u32) -> Result<Vec<Delivery>>;
    /// Adds a settled attempt.
    fn insert_attempt(&mut self, attempt: &DeliveryAttempt) -> Result<()>;
    /// The attempts of a delivery, oldest first.
    fn attempts(&mut self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>>;
    /// Deliveries of a run that lives: what its ending owes comes with its ending, so in its first
    /// generation all of them were made by `delivery.send`; later ones count what was owed before.
    fn sent_by_run(&mut self, run: RunId) -> Result<u32>;

    // --- conversations and what comes in

    /// A conversation by where it is.
    fn conversation_at(&mut self, origin: &Destination) -> Result<Option<Conversation>>;
    /// A conversation by its id.
    fn conversation(&mut self, id: ConversationId) -> Result<Option<Conversation>>;
    /// Conversations that began before the one of this id, newest first.
    fn conversations(&mut self, before: Option<ConversationId>, limit: u32) -> Result<Vec<Conversation>>;
    /// Adds a conversation.
    fn insert_conversation(&mut self, conversation: &Conversation) -> Result<()>;
    /// Writes the purse and the ceiling of a conversation.
    fn update_conversation(&mut self, conversation: &Conversation) -> Result<()>;
    /// The run that an inbound event made, if it was seen before.
    fn inbox(&mut self, source: &str, event: &str) -> Result<Option<RunId>>;
    /// Remembers that an inbound event made this run.
    fn insert_inbox(&mut self, source: &str, event: &str, run: RunId) -> Result<()>;

    // --- key-value, artifacts

    /// A value.
    fn kv_get(&mut self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>>;
    /// Sets a value.
    fn kv_set(&mut self, bucket: &str, key: &str, value: &[u8]) -> Result<()>;
    /// Removes a value; nothing there is no error.
    fn kv_delete(&mut self, bucket: &str, key: &str) -> Result<()>;
    /// Bytes of a bucket's keys and values, as [`Self::set_kv_bytes`] noted them; 0 for a new bucket.
    fn kv_bytes(&mut self, bucket: &str) -> Result<u64>;
    /// Notes how many bytes a bucket's keys and values have.
    fn set_kv_bytes(&mut self, bucket: &str, bytes: u64) -> Result<()>;
    /// Keys that start with `prefix` and come after `after`, in byte order.
    fn kv_keys(&mut self, bucket: &str, prefix: &str, after: Option<&str>, limit: u32)
    -> Result<Vec<String>>;
    /// Notes that a run wrote this artifact, or gave it back; repeated is no error.
    fn link_artifact(&mut self, run: RunId, artifact: &ArtifactRef) -> Result<()>;
    /// The artifacts that are linked to this run, in the order of their ids.
    fn linked_artifacts(&mut self, run: RunId, limit: u32) -> Result<Vec<ArtifactRef>>;
    /// The artifact, if one of these is linked to this run.
    fn linked_artifact(&mut self, run: RunId, id: &str) -> Result<Option<ArtifactRef>>;
}
