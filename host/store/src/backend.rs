//! A store is a backend that runs transactions on rows.
//!
//! Whatever implements [`Backend`] is a [`Store`]: the operations' meaning is
//! in `ops`, so two backends cannot disagree about it. A backend whose
//! transactions cannot be a closure on rows implements [`Store`] itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::hook::{Called, Hook, HookCall};
use sublane_core::poll::Poll;
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, Entry, Generation, ImportError, NextTask, Outcome,
    PollId, Purse, Renewal, Run, RunId, Timestamp, Token,
};

use crate::ops::{
    self, Accept, Accepted, By, Claimed, Command, DuePoll, Effects, Fired, Firing, Keep, OldLogs, OldRuns,
    Parked, PollMove, Polled, Position, Ready, Recovered, Removed, Settled, WaitsFor,
};
use crate::rows::{
    Conversation, DeliveryAttempt, DeliveryFilter, Intent, LaneSetting, LiveVersion, LogLine, PauseRow,
    PluginRow, Rows, RunFilter, ScheduleRow, Wait,
};
use crate::{Spawn, Spawned, Store, StoreError};

/// What a transaction does with the rows. It checks before it writes: when it
/// returns an error it has written nothing.
pub trait Transaction<T>: FnOnce(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static {}
impl<T, F: FnOnce(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static> Transaction<T> for F {}

/// Runs transactions, one after the other.
pub trait Backend: Send + Sync + 'static {
    /// Runs a writing transaction; durable when the future is ready with `Ok`.
    fn write<T: Send + 'static>(
        &self,
        transaction: impl Transaction<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// As [`Self::write`], for what nobody waits for: it may rest for a moment, so as to share the
    /// commit of another.
    fn write_beside<T: Send + 'static>(
        &self,
        transaction: impl Transaction<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        self.write(transaction)
    }

    /// Runs a transaction that only reads, on what was committed last.
    fn read<T: Send + 'static>(
        &self,
        transaction: impl Transaction<T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// The first damage that a transaction met, as [`Store::damage`].
    fn damage(&self) -> Option<StoreError> {
        None
    }
}

#[async_trait]
impl<B: Backend> Store for B {
    fn damage(&self) -> Option<StoreError> {
        Backend::damage(self)
    }
    async fn recover(
        &self,
        max_crashes: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Recovered, StoreError> {
        self.write(move |rows| ops::recover(rows, max_crashes, &link_base, now)).await
    }
    async fn accept(&self, accept: Accept) -> Result<Accepted, StoreError> {
        self.write(move |rows| ops::accept(rows, accept)).await
    }
    async fn spawn(&self, spawn: Spawn) -> Result<Spawned, StoreError> {
        self.write(move |rows| ops::spawn(rows, spawn)).await
    }
    async fn append(&self, by: By, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.write(move |rows| ops::append(rows, &by, &entries)).await
    }
    async fn command(&self, by: By, entry: Entry, command: Command) -> Result<(Entry, Effects), StoreError> {
        self.write(move |rows| ops::command(rows, &by, entry, command)).await
    }
    async fn continue_as_new(&self, by: By, entry: Entry, task: NextTask) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::continue_as_new(rows, &by, &entry, task)).await
    }
    async fn park(&self, by: By, wait: Wait) -> Result<Parked, StoreError> {
        self.write(move |rows| ops::park(rows, &by, wait)).await
    }
    async fn evict(&self, by: By) -> Result<bool, StoreError> {
        self.write(move |rows| ops::evict(rows, &by)).await
    }
    async fn claim(&self, run: RunId, token: Token, now: Timestamp) -> Result<Option<Claimed>, StoreError> {
        self.write(move |rows| ops::claim(rows, run, token, now)).await
    }
    async fn finish(&self, by: By, outcome: Outcome) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::finish(rows, &by, outcome)).await
    }
    async fn interrupt(&self, by: By, crashed: bool, max_crashes: u32) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::interrupt(rows, &by, crashed, max_crashes)).await
    }
    async fn cancel(
        &self,
        run: RunId,
        reason: Arc<str>,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::cancel(rows, run, &reason, &link_base, now)).await
    }
    async fn cancel_conversation(
        &self,
        conversation: ConversationId,
        reason: Arc<str>,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::cancel_conversation(rows, conversation, &reason, &link_base, now)).await
    }
    async fn send(
        &self,
        run: RunId,
        message: Arc<str>,
        intent: Option<(i64, Arc<str>)>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| {
            let intent = intent.as_ref().map(|(number, answer)| (*number, &**answer));
            ops::send(rows, run, &message, intent, now)
        })
        .await
    }
    async fn retry(
        &self,
        run: RunId,
        renewal: Renewal,
        intent: Option<(i64, Arc<str>)>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| {
            let intent = intent.as_ref().map(|(number, answer)| (*number, &**answer));
            ops::retry(rows, run, renewal, intent, now)
        })
        .await
    }
    async fn call_hook(
        &self,
        token: [u8; 32],
        call: HookCall,
        now: Timestamp,
    ) -> Result<Option<(Called, Effects)>, StoreError> {
        self.write(move |rows| ops::call_hook(rows, &token, call, now)).await
    }
    async fn poll(
        &self,
        id: PollId,
        made: u32,
        spent: Purse,
        moved: PollMove,
        now: Timestamp,
    ) -> Result<(Polled, Effects), StoreError> {
        self.write(move |rows| ops::poll(rows, id, made, spent, moved, now)).await
    }
    async fn polled_servers(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(move |rows| rows.polled_servers()).await
    }
    async fn due_polls(
        &self,
        server: Arc<str>,
        now: Timestamp,
        limit: u32,
        under_way: Vec<PollId>,
    ) -> Result<Vec<DuePoll>, StoreError> {
        self.read(move |rows| ops::due_polls(rows, &server, now, limit, &under_way)).await
    }
    async fn polls_of(&self, run: RunId) -> Result<Vec<Poll>, StoreError> {
        self.read(move |rows| rows.polls_of(run)).await
    }
    async fn charge(&self, run: RunId, spent: Purse) -> Result<(), StoreError> {
        self.write(move |rows| ops::charge(rows, run, spent)).await
    }
    async fn fire_due(
        &self,
        runs: u32,
        waits: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::fire_due(rows, runs, waits, &link_base, now)).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |rows| rows.next_due()).await
    }
    async fn queued(&self, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Ready>, StoreError> {
        self.read(move |rows| Ok(rows.queued_runs(after, limit)?.iter().map(Ready::of).collect())).await
    }
    async fn take_deliveries(&self, limit: u32, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.write(move |rows| ops::take_deliveries(rows, limit, now)).await
    }
    async fn postpone(
        &self,
        begun: Vec<(DeliveryId, u32)>,
        until: Timestamp,
        waits: WaitsFor,
        note: Arc<str>,
    ) -> Result<(), StoreError> {
        self.write(move |rows| ops::postpone(rows, &begun, until, waits, &note)).await
    }
    async fn wait_for_earlier(&self, delivery: DeliveryId, attempt: u32) -> Result<bool, StoreError> {
        self.write(move |rows| ops::wait_for_earlier(rows, delivery, attempt)).await
    }
    async fn settle(
        &self,
        delivery: DeliveryId,
        attempt: u32,
        result: AttemptResult,
        rule: SettleRule,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        self.write(move |rows| ops::settle(rows, delivery, attempt, result, &rule, now)).await
    }
    async fn retry_delivery(&self, delivery: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        self.write(move |rows| ops::retry_delivery(rows, delivery, now)).await
    }
    async fn dismiss_delivery(
        &self,
        delivery: DeliveryId,
        note: Arc<str>,
        now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        self.write(move |rows| ops::dismiss_delivery(rows, delivery, &note, now)).await
    }
    async fn progress(&self, reports: Vec<(RunId, u8, Arc<str>)>) -> Result<(), StoreError> {
        self.write(move |rows| ops::progress(rows, reports)).await
    }
    async fn log(&self, lines: Vec<LogLine>) -> Result<(), StoreError> {
        self.write(move |rows| ops::log(rows, lines)).await
    }
    async fn logs(&self, run: RunId, after: u64) -> Result<Vec<LogLine>, StoreError> {
        self.read(move |rows| rows.logs(run, after)).await
    }
    async fn remove_logs(
        &self,
        age: Duration,
        after: Option<Position>,
        max_lines: u32,
        now: Timestamp,
    ) -> Result<OldLogs, StoreError> {
        self.write_beside(move |rows| ops::remove_logs(rows, age, after, max_lines, now)).await
    }
    async fn ask(&self, body: Arc<str>, now: Timestamp) -> Result<i64, StoreError> {
        self.write(move |rows| rows.insert_intent(&body, now)).await
    }
    async fn intents(&self, limit: u32) -> Result<Vec<Intent>, StoreError> {
        self.read(move |rows| rows.intents(limit)).await
    }
    async fn intent_done(&self, number: i64, answer: Arc<str>) -> Result<(), StoreError> {
        self.write(move |rows| ops::intent_done(rows, number, &answer)).await
    }
    async fn intent_answer(&self, number: i64) -> Result<Option<Arc<str>>, StoreError> {
        self.read(move |rows| rows.intent_answer(number)).await
    }
    async fn set_lane(&self, lane: Arc<str>, setting: LaneSetting) -> Result<(), StoreError> {
        self.write(move |rows| rows.put_lane_setting(&lane, setting)).await
    }
    async fn lane_settings(&self) -> Result<Vec<(String, LaneSetting)>, StoreError> {
        self.read(move |rows| rows.lane_settings()).await
    }
    async fn set_plugins(&self, plugins: Vec<PluginRow>) -> Result<(), StoreError> {
        self.write(move |rows| ops::set_plugins(rows, &plugins)).await
    }
    async fn set_schedules(
        &self,
        schedules: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        self.write(move |rows| ops::set_schedules(rows, &schedules, now)).await
    }
    async fn fire_schedule(&self, firing: Firing) -> Result<Fired, StoreError> {
        self.write(move |rows| ops::fire_schedule(rows, firing)).await
    }
    async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        self.read(|rows| rows.schedules()).await
    }
    async fn cancel_version(
        &self,
        plugin: Arc<str>,
        digest: Arc<str>,
        reason: Arc<str>,
        limit: u32,
        link_base: Arc<str>,
        now: Timestamp,
    ) -> Result<Effects, StoreError> {
        self.write(move |rows| ops::cancel_version(rows, &plugin, &digest, &reason, limit, &link_base, now))
            .await
    }

    async fn old_runs(
        &self,
        keep: Keep,
        after: Option<Position>,
        limit: u32,
        now: Timestamp,
    ) -> Result<OldRuns, StoreError> {
        self.read(move |rows| ops::old_runs(rows, &keep, after, limit, now)).await
    }
    async fn remove_runs(
        &self,
        runs: Vec<RunId>,
        keep: Keep,
        max_rows: u32,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        self.write_beside(move |rows| ops::remove_runs(rows, &runs, &keep, max_rows, now)).await
    }
    async fn unlinked(&self, artifacts: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.read(move |rows| {
            let mut unlinked = Vec::new();
            for artifact in artifacts {
                if !rows.is_linked(&artifact)? {
                    unlinked.push(artifact);
                }
            }
            Ok(unlinked)
        })
        .await
    }

    async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        self.read(move |rows| rows.plugins()).await
    }
    async fn pauses(&self) -> Result<Vec<PauseRow>, StoreError> {
        self.read(move |rows| rows.pauses()).await
    }
    async fn set_pause(&self, pause: PauseRow) -> Result<(), StoreError> {
        self.write(move |rows| rows.put_pause(&pause)).await
    }
    async fn lift_pause(&self, plugin: Arc<str>) -> Result<(), StoreError> {
        self.write(move |rows| rows.delete_pause(&plugin)).await
    }
    async fn live_versions(&self) -> Result<Vec<LiveVersion>, StoreError> {
        self.read(move |rows| rows.live_versions()).await
    }
    async fn is_version_live(&self, digest: Arc<str>) -> Result<bool, StoreError> {
        self.read(move |rows| Ok(!rows.living_on(None, &digest, 1)?.is_empty())).await
    }
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.read(move |rows| rows.run(id)).await
    }
    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>, StoreError> {
        self.read(move |rows| rows.runs(&filter)).await
    }
    async fn generations(&self, run: RunId) -> Result<Vec<Generation>, StoreError> {
        self.read(move |rows| rows.generations(run)).await
    }
    async fn journal(&self, run: RunId, generation: u32) -> Result<Vec<Entry>, StoreError> {
        self.read(move |rows| rows.entries(run, generation)).await
    }
    async fn hook_by_token(&self, token: [u8; 32]) -> Result<Option<Hook>, StoreError> {
        self.read(move |rows| rows.hook_by_token(&token)).await
    }
    async fn hooks_of(&self, run: RunId) -> Result<Vec<Hook>, StoreError> {
        self.read(move |rows| rows.hooks_of(run)).await
    }
    async fn wait_of(&self, run: RunId) -> Result<Option<Wait>, StoreError> {
        self.read(move |rows| rows.wait(run)).await
    }
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.read(move |rows| rows.delivery(id)).await
    }
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |rows| rows.deliveries(&filter)).await
    }
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.read(move |rows| rows.attempts(delivery)).await
    }
    async fn conversations(
        &self,
        before: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.read(move |rows| rows.conversations(before, limit)).await
    }
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.read(move |rows| rows.conversation(id)).await
    }
    async fn kv_get(&self, bucket: Arc<str>, key: Arc<str>) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |rows| rows.kv_get(&bucket, &key)).await
    }
    async fn kv_keys(
        &self,
        bucket: Arc<str>,
        prefix: Arc<str>,
        after: Option<Arc<str>>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        self.read(move |rows| rows.kv_keys(&bucket, &prefix, after.as_deref(), limit)).await
    }
    async fn readable_artifact(
        &self,
        run: RunId,
        id: Arc<str>,
    ) -> Result<Result<ArtifactRef, ImportError>, StoreError> {
        self.read(move |rows| ops::readable_artifact(rows, run, &id)).await
    }
}
