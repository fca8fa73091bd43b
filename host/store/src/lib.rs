//! The durable store: one trait of operations, each one transaction.
//!
//! Owns what an operation means (`ops`), the rows it is made of (`rows`), and
//! two places to keep them: SQLite and a plain in-memory model. Never runs a
//! guest, never sends anything, and reads no clock: time comes with the operation.

mod backend;
mod lock;
pub mod model;
pub mod ops;
pub mod rows;
pub mod sqlite;

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::hook::{Called, Hook, HookCall};
use sublane_core::poll::Poll;
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, Entry, Generation, ImportError, NextTask, PollId,
    Purse, Renewal, Run, RunId, Timestamp, Token,
};

pub use backend::{Backend, Transaction};
pub use lock::{HostLock, LockError};
pub use model::Model;
pub use ops::{
    Accept, Accepted, BeginsAgain, By, Claimed, Command, Draw, DuePoll, Effects, Fired, Firing, Keep,
    OldLogs, OldRuns, Parked, PollMove, Polled, Position, Ready, Recovered, Removed, Settled, Spawn, Spawned,
    WaitsFor,
};
pub use rows::{
    Between, Conversation, DeliveryAttempt, DeliveryFilter, HoldRows, HookRows, Intent, LaneSetting,
    LiveVersion, LogLevel, LogLine, LogRows, OperatorRows, PauseRow, PluginRow, PollRows, Removal, Rows,
    RunFilter, ScheduleRow, ScheduleRows, Source, VersionRows, Wait, WaitFor,
};
pub use sqlite::SqliteStore;

/// Why an operation did not happen. Then nothing of it was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The attempt's claim is not the newest one on its run: whoever asked must stop.
    #[error("the claim on run {0} is stale")]
    Stale(RunId),
    /// The operator's configuration leaves no room for it.
    #[error("{0}")]
    Refused(String),
    /// There is no such row.
    #[error("there is no {0}")]
    NotFound(String),
    /// The store holds what no operation writes.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The store's medium failed.
    #[error("the store failed: {0}")]
    Io(Arc<str>),
    /// There is no room on the store's medium. Nothing was written; it may be when there is room.
    #[error("the store failed: {0}")]
    Full(Arc<str>),
    /// The file cannot be used as a store.
    #[error("the store {} cannot be used: {why}", path.display())]
    Unusable {
        /// The file.
        path: std::path::PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The file is damaged.
    #[error("the store {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// Where, and what to do.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether it is the medium's fault, so that another time may bring what this one did not.
    #[must_use]
    pub fn is_of_medium(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Full(_))
    }

    /// Whether the file's content is at fault, so that nothing but a backup helps.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Damaged { .. })
    }
}

/// The operations. Each is one transaction: when it returns `Ok`, it is durable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The first damage that an operation met since the store was opened, which was its answer as well.
    fn damage(&self) -> Option<StoreError>;
    /// A host takes the store over: what other processes had claimed is ready again.
    /// Attempts that were executing are counted as crashes; a run with more than
    /// `max_crashes` of them ends as crash-looping.
    async fn recover(
        &self,
        max_crashes: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Recovered, StoreError>;
    /// A message or a command from outside becomes a run.
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError>;
    /// `subagent.spawn-subagent`: run, entry, purses and counters.
    async fn spawn(&self, spawn: Spawn) -> Result<Spawned, StoreError>;
    /// Adds the entries of effects.
    async fn append(&self, by: By, entries: Vec<Entry>) -> Result<(), StoreError>;
    /// A command's rows and its entry.
    async fn command(&self, by: By, entry: Entry, command: Command) -> Result<(Entry, Effects), StoreError>;
    /// `journal.continue-as-new`: the entry ends the run's journal, and the run is queued in its next
    /// generation, with this task.
    async fn continue_as_new(&self, by: By, entry: Entry, task: NextTask) -> Result<Effects, StoreError>;
    /// Opens a wait, or decides it at once.
    async fn park(&self, by: By, wait: Wait) -> Result<Parked, StoreError>;
    /// The parked attempt's instance is gone. `false`: the wait was decided meanwhile, the attempt goes on.
    async fn evict(&self, by: By) -> Result<bool, StoreError>;
    /// Takes a queued run for an attempt. `None`: it is not queued any more.
    async fn claim(&self, run: RunId, token: Token, now: Timestamp) -> Result<Option<Claimed>, StoreError>;
    /// The attempt's work is decided.
    async fn finish(&self, by: By, outcome: sublane_core::Outcome) -> Result<Effects, StoreError>;
    /// The attempt ends without deciding anything; the run is ready again.
    async fn interrupt(&self, by: By, crashed: bool, max_crashes: u32) -> Result<Effects, StoreError>;
    /// Cancels a run and what is attached to it. Ended already: no effects.
    async fn cancel(
        &self,
        run: RunId,
        reason: Arc<str>,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;
    /// Cancels every run of a conversation. None that lives: no effects.
    async fn cancel_conversation(
        &self,
        conversation: ConversationId,
        reason: Arc<str>,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;
    /// Somebody who is no run puts a message, JSON text, into the mailbox of a run.
    /// With the number of the intent that asked for it, and its answer, that is done in the same
    /// commit: a crash repeats no message. [`StoreError::Refused`] when the run has ended or its
    /// mailbox is full.
    async fn send(
        &self,
        run: RunId,
        message: Arc<str>,
        intent: Option<(i64, Arc<str>)>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;
    /// An operator has a run that failed, timed out or was cancelled begin again: a new generation
    /// with an empty journal, as much time as it had, and a purse from its conversation. What it
    /// owed stays owed; its next ending owes anew. One that its policy has begin again later does so
    /// now, with the time and the purse that it has. With the number of the intent that asked for it,
    /// and its answer, that is done in the same commit.
    /// [`StoreError::Refused`] when it lives, succeeded, is attached, was begun by a run that lives,
    /// or its conversation has too little left.
    async fn retry(
        &self,
        run: RunId,
        renewal: Renewal,
        intent: Option<(i64, Arc<str>)>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;
    /// Somebody calls a hook: the call is kept for its run, which goes on if it waits for it. `None`:
    /// there is no hook whose token has this hash.
    async fn call_hook(
        &self,
        token: [u8; 32],
        call: HookCall,
        now: Timestamp,
    ) -> Result<Option<(Called, Effects)>, StoreError>;
    /// Moves a poll plan of which `made` polls were begun, and takes from its run's purse what that
    /// cost. When the purse has no more for a poll or a redirect, that ends the plan.
    async fn poll(
        &self,
        id: PollId,
        made: u32,
        spent: Purse,
        moved: PollMove,
        now: Timestamp,
    ) -> Result<(Polled, Effects), StoreError>;
    /// Servers that are polled, by scheme, host and port, each with when the next poll is due.
    async fn polled_servers(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;
    /// Poll plans at a server whose next poll is due, the oldest first, without those of which a poll is
    /// under way.
    async fn due_polls(
        &self,
        server: Arc<str>,
        now: Timestamp,
        limit: u32,
        under_way: Vec<PollId>,
    ) -> Result<Vec<DuePoll>, StoreError>;
    /// The poll plans that a run waits for, in the order of their places.
    async fn polls_of(&self, run: RunId) -> Result<Vec<Poll>, StoreError>;
    /// Takes what an attempt spent that has lost its claim from whoever holds its run's purse
    /// now: the run, the nearest run that it is attached to and that lives, or the conversation.
    /// More than there is takes all of it.
    async fn charge(&self, run: RunId, spent: Purse) -> Result<(), StoreError>;
    /// Ends at most `runs` whose deadline has passed, makes at most `waits` ready that begin now, and
    /// decides at most `waits` that are due: the oldest of each plugin, and of each plugin as many.
    async fn fire_due(
        &self,
        runs: u32,
        waits: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;
    /// When the next wait, deadline or beginning is due, if anything is.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Runs that are queued, oldest first, for the sweep that finds what no hint told of.
    async fn queued(&self, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Ready>, StoreError>;
    /// Begins an attempt on deliveries whose time has come.
    async fn take_deliveries(&self, limit: u32, now: Timestamp) -> Result<Vec<Delivery>, StoreError>;
    /// Gives begun attempts back, by delivery and number: they are due again at `until`,
    /// and nothing is counted. For what could not be tried at all, such as a channel that is not there.
    async fn postpone(
        &self,
        begun: Vec<(DeliveryId, u32)>,
        until: Timestamp,
        waits: WaitsFor,
        note: Arc<str>,
    ) -> Result<(), StoreError>;
    /// Gives a begun attempt back when an earlier delivery to the same destination is not settled,
    /// and says whether it did: then it is due with that one, and at once when that one is settled.
    async fn wait_for_earlier(&self, delivery: DeliveryId, attempt: u32) -> Result<bool, StoreError>;
    /// What an attempt came to. A receiver's wish, and that it wants nothing more, hold its destination.
    async fn settle(
        &self,
        delivery: DeliveryId,
        attempt: u32,
        result: AttemptResult,
        rule: SettleRule,
        now: Timestamp,
    ) -> Result<Settled, StoreError>;
    /// An operator wants it tried again, whatever became of it: it is due at `now`, with its id and
    /// its body, for a whole window; one that was delivered is sent once more. Whatever holds its
    /// destination is lifted. The row as it is then.
    /// [`StoreError::Refused`] while an attempt is under way.
    async fn retry_delivery(&self, delivery: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError>;
    /// An operator decides that it is not owed any more, and `note` says who or why. Repeated, it
    /// changes nothing. The row as it is then. [`StoreError::Refused`] when it was delivered, and
    /// while an attempt is under way.
    async fn dismiss_delivery(
        &self,
        delivery: DeliveryId,
        note: Arc<str>,
        now: Timestamp,
    ) -> Result<Delivery, StoreError>;
    /// The newest progress of runs; those that have ended keep theirs.
    async fn progress(&self, reports: Vec<(RunId, u8, Arc<str>)>) -> Result<(), StoreError>;
    /// Adds lines to the logs of runs; the newest [`ops::MAX_LOG_LINES`] and [`ops::MAX_LOG_BYTES`]
    /// of each run are kept. Lines of one run stand together and in their order.
    async fn log(&self, lines: Vec<LogLine>) -> Result<(), StoreError>;
    /// The lines of a run after the one of this number, oldest first.
    async fn logs(&self, run: RunId, after: u64) -> Result<Vec<LogLine>, StoreError>;
    /// Removes at most `max_lines` lines of runs that ended so long ago, in the order of their
    /// endings, from a position on.
    async fn remove_logs(
        &self,
        age: Duration,
        after: Option<Position>,
        max_lines: u32,
        now: Timestamp,
    ) -> Result<OldLogs, StoreError>;
    /// The command line asks something of a running host.
    async fn ask(&self, body: Arc<str>, now: Timestamp) -> Result<i64, StoreError>;
    /// Intents that wait to be applied.
    async fn intents(&self, limit: u32) -> Result<Vec<Intent>, StoreError>;
    /// An intent was applied, and this became of it, as JSON text. That is kept for whoever
    /// asked until so many others are applied: see [`ops::KEPT_ANSWERS`].
    async fn intent_done(&self, number: i64, answer: Arc<str>) -> Result<(), StoreError>;
    /// What became of an intent. `None`: it is not applied yet, or nobody asked for long.
    async fn intent_answer(&self, number: i64) -> Result<Option<Arc<str>>, StoreError>;
    /// Sets what an operator wants of a lane, instead of what was set before.
    async fn set_lane(&self, lane: Arc<str>, setting: LaneSetting) -> Result<(), StoreError>;
    /// What operators have set, by the lanes' names.
    async fn lane_settings(&self) -> Result<Vec<(String, LaneSetting)>, StoreError>;
    /// The plugins of the host are these now. One whose version is as before keeps its time.
    async fn set_plugins(&self, plugins: Vec<PluginRow>) -> Result<(), StoreError>;
    /// The schedules of the host are these now, by name and rule. One that is new, or whose rule has
    /// changed, is decided up to now: what lies before makes no run. Gives their rows.
    async fn set_schedules(
        &self,
        schedules: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Vec<ScheduleRow>, StoreError>;
    /// Decides instants of a schedule and makes its run, in one commit, if the schedule is decided as
    /// far as [`Firing::after`] says and no further.
    async fn fire_schedule(&self, firing: Firing) -> Result<Fired, StoreError>;
    /// How far the schedules of the host that has the store, or had it last, were decided.
    async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError>;
    /// Cancels at most `limit` runs of a plugin that live on a version of it, and what is attached to them.
    async fn cancel_version(
        &self,
        plugin: Arc<str>,
        digest: Arc<str>,
        reason: Arc<str>,
        limit: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError>;

    /// Looks at `limit` runs that ended long ago, in the order of their endings, and gives those that may go.
    async fn old_runs(
        &self,
        keep: Keep,
        after: Option<Position>,
        limit: u32,
        now: Timestamp,
    ) -> Result<OldRuns, StoreError>;
    /// Removes runs with all that hangs on them, at most about `max_rows` rows. A run that may not
    /// go (any more, or as long as one is there that it spawned) is left as it is.
    async fn remove_runs(
        &self,
        runs: Vec<RunId>,
        keep: Keep,
        max_rows: u32,
        now: Timestamp,
    ) -> Result<Removed, StoreError>;
    /// Those of these artifacts, by id, that no run refers to. Their files may go.
    async fn unlinked(&self, artifacts: Vec<String>) -> Result<Vec<String>, StoreError>;

    /// The plugins that the host has, or had last, by their names.
    async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError>;
    /// Plugins whose last run failed by a trap or a limit, by their names.
    async fn pauses(&self) -> Result<Vec<PauseRow>, StoreError>;
    /// Notes how a plugin fails, instead of what was noted before.
    async fn set_pause(&self, pause: PauseRow) -> Result<(), StoreError>;
    /// Forgets how a plugin fails.
    async fn lift_pause(&self, plugin: Arc<str>) -> Result<(), StoreError>;
    /// The versions that living runs are on, by plugin and digest. Walks the living runs: for people.
    async fn live_versions(&self) -> Result<Vec<LiveVersion>, StoreError>;
    /// Whether a run lives on the version with this digest.
    async fn is_version_live(&self, digest: Arc<str>) -> Result<bool, StoreError>;
    /// A run.
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;
    /// Runs by filter, newest first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>, StoreError>;
    /// The generations of a run that are over, oldest first.
    async fn generations(&self, run: RunId) -> Result<Vec<Generation>, StoreError>;
    /// A run's journal.
    async fn journal(&self, run: RunId, generation: u32) -> Result<Vec<Entry>, StoreError>;
    /// The hook whose token has this hash.
    async fn hook_by_token(&self, token: [u8; 32]) -> Result<Option<Hook>, StoreError>;
    /// The hooks that a run opened, in the order of their ids.
    async fn hooks_of(&self, run: RunId) -> Result<Vec<Hook>, StoreError>;
    /// The wait of a run.
    async fn wait_of(&self, run: RunId) -> Result<Option<Wait>, StoreError>;
    /// A delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Deliveries by filter, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;
    /// The attempts of a delivery.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError>;
    /// Conversations that began before the one of this id, newest first.
    async fn conversations(
        &self,
        before: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError>;
    /// A conversation.
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;
    /// A value of the key-value store.
    async fn kv_get(&self, bucket: Arc<str>, key: Arc<str>) -> Result<Option<Vec<u8>>, StoreError>;
    /// Keys of the key-value store.
    async fn kv_keys(
        &self,
        bucket: Arc<str>,
        prefix: Arc<str>,
        after: Option<Arc<str>>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
    /// An artifact that a run may read: its own, its task's, or one that a run it spawned gave back.
    async fn readable_artifact(
        &self,
        run: RunId,
        id: Arc<str>,
    ) -> Result<Result<ArtifactRef, ImportError>, StoreError>;
}
