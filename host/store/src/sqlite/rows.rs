//! [`Rows`] over one connection: each method is one statement of the list, or few.

use std::sync::Arc;

use rusqlite::params;
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Entry, Generation, Run,
    RunId, Timestamp,
};

use super::codec::{self, Columns, bits, delivery_code, instant, json, list};
use super::runs::ends;
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::{Conversation, DeliveryAttempt, DeliveryFilter, Rows, RunFilter, Wait};

type Result<T> = std::result::Result<T, StoreError>;

fn run_id(columns: &mut Columns<'_>) -> Result<RunId> {
    columns.bytes().map(RunId)
}

fn count(columns: &mut Columns<'_>) -> Result<u32> {
    columns.number()
}

/// An update must have met the row that it was for.
fn met(changed: usize, what: &str, id: impl std::fmt::Display) -> Result<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("{what} {id} is not there to be written")))
}

impl Rows for Session<'_> {
    // --- runs

    fn insert_run(&mut self, run: &Run) -> Result<()> {
        self.write_new_run(run)
    }

    fn update_run(&mut self, run: &Run) -> Result<()> {
        self.write_run(run)
    }

    fn begin_again(&mut self, run: &Run) -> Result<()> {
        self.write_run(run)?;
        self.write_generation(run)
    }

    fn continue_run(&mut self, run: &Run) -> Result<()> {
        self.revive_run(run)?;
        self.write_generation(run)?;
        let values = params![run.spec.id.0, run.spec.input, list(&run.spec.artifacts)];
        self.execute(Sql::SpecContinue, values).map(drop)
    }

    fn forget_generations(&mut self, run: RunId, before: u32) -> Result<()> {
        for sql in [Sql::JournalForget, Sql::HooksForget, Sql::GenerationsForget] {
            self.execute(sql, params![run.0, before])?;
        }
        Ok(())
    }

    fn insert_generation(&mut self, run: RunId, over: &Generation) -> Result<()> {
        self.execute(Sql::GenerationInsert, params![run.0, over.number, json(over)]).map(drop)
    }

    fn generations(&mut self, run: RunId) -> Result<Vec<Generation>> {
        self.all("generation", Sql::Generations, params![run.0], |columns| {
            let _number = columns.integer()?;
            columns.json()
        })
    }

    fn run(&mut self, id: RunId) -> Result<Option<Run>> {
        if let Some(run) = self.known_run(id) {
            return Ok(Some(run.clone()));
        }
        let found = self.one("run", Sql::Run, params![id.0], codec::run)?;
        // One that has ended is not remembered: a sweep over old runs would push out those that live.
        if let Some(run) = found.as_ref().filter(|run| !run.is_ended()) {
            self.know_run(run);
        }
        Ok(found)
    }

    fn run_by_dedupe(
        &mut self,
        spawner: &str,
        conversation: ConversationId,
        key: &str,
    ) -> Result<Option<RunId>> {
        self.one("run_spec", Sql::RunByDedupe, params![conversation.0, spawner, key], run_id)
    }

    fn spawned_by(&mut self, parent: RunId, spawner: &str) -> Result<u32> {
        self.must_one("run_spec", Sql::RunsSpawnedBy, params![parent.0, spawner], count)
    }

    fn attached_children(&mut self, parent: RunId) -> Result<Vec<RunId>> {
        self.all("run", Sql::RunAttached, params![parent.0], run_id)
    }

    fn living_runs(&mut self, conversation: ConversationId, limit: u32) -> Result<Vec<RunId>> {
        self.all("run", Sql::RunsLiving, params![conversation.0, limit], run_id)
    }

    fn runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>> {
        self.list_runs(filter)
    }

    fn overdue_runs(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        self.all("run", Sql::RunsOverdue, params![instant(now), limit], run_id)
    }

    fn queued_runs(&mut self, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Run>> {
        let (since, id) = after.map_or((-1, RunId([0; 16])), |(since, id)| (instant(since), id));
        self.all("run", Sql::RunsReady, params![since, id.0, limit], codec::run)
    }

    fn runs_to_begin(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        self.all("run", Sql::RunsToBegin, params![instant(now), limit], run_id)
    }

    fn claimed_runs(&mut self, limit: u32) -> Result<Vec<RunId>> {
        let mut claimed = self.all("run", Sql::RunsClaimed, params![1, limit], run_id)?;
        let rest = limit - u32::try_from(claimed.len()).unwrap_or(limit).min(limit);
        claimed.extend(self.all("run", Sql::RunsClaimed, params![2, rest], run_id)?);
        Ok(claimed)
    }

    // --- journal

    fn insert_entry(&mut self, run: RunId, generation: u32, entry: &Entry) -> Result<()> {
        let (path, import, args) = (entry.path.as_bytes(), entry.import.name(), entry.args.to_be_bytes());
        let values = params![run.0, generation, path, import, args, entry.result, instant(entry.at)];
        let written = self.execute(Sql::EntryInsert, values);
        written.map(drop).map_err(|error| match error {
            StoreError::Corrupt(why) => StoreError::Corrupt(format!(
                "journal of run {run}, generation {generation}, entry {}: {why}",
                entry.path
            )),
            other => other,
        })
    }

    fn entries(&mut self, run: RunId, generation: u32) -> Result<Vec<Entry>> {
        self.all("journal", Sql::Entries, params![run.0, generation], codec::entry)
    }

    // --- waits

    fn insert_wait(&mut self, wait: &Wait) -> Result<()> {
        let (path, import, args) = (wait.path.as_bytes(), wait.import.name(), wait.args.to_be_bytes());
        let values = params![wait.run.0, path, import, args, json(&wait.what), wait.due.map(instant)];
        self.execute(Sql::WaitInsert, values)?;
        for target in wait.what.targets() {
            self.execute(Sql::WaitTargetInsert, params![target.0, wait.run.0])?;
        }
        Ok(())
    }

    fn wait(&mut self, run: RunId) -> Result<Option<Wait>> {
        self.one("wait", Sql::Wait, params![run.0], codec::wait)
    }

    fn delete_wait(&mut self, wait: &Wait) -> Result<()> {
        self.execute(Sql::WaitDelete, params![wait.run.0])?;
        for target in wait.what.targets() {
            self.execute(Sql::WaitTargetDelete, params![target.0, wait.run.0])?;
        }
        Ok(())
    }

    fn waiters(&mut self, target: RunId) -> Result<Vec<RunId>> {
        self.all("wait_target", Sql::Waiters, params![target.0], run_id)
    }

    fn plugins_due(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let mut plugins: Vec<(String, Timestamp)> = Vec::new();
        loop {
            let last = plugins.last().map_or("", |(plugin, _)| plugin.as_str()).to_owned();
            let next = self.one("wait", Sql::WaitNext, params![last], |columns| {
                Ok((columns.text()?.to_owned(), columns.instant()?))
            })?;
            let Some(next) = next else { return Ok(plugins) };
            plugins.push(next);
        }
    }

    fn due_waits(&mut self, plugin: &str, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        self.all("wait", Sql::WaitsDue, params![plugin, instant(now), limit], run_id)
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        let wait = self.plugins_due()?.into_iter().map(|(_, first)| first);
        let run = self.one("run", Sql::RunNext, (), |columns| columns.instant())?;
        let begins = self.one("run", Sql::RunNextBegin, (), |columns| columns.instant())?;
        Ok(wait.chain(run).chain(begins).min())
    }

    // --- mailbox

    fn push_message(&mut self, run: RunId, message: &str) -> Result<()> {
        self.execute(Sql::MessagePush, params![run.0, message]).map(drop)
    }

    fn pop_message(&mut self, run: RunId) -> Result<Option<Arc<str>>> {
        let first = self.one("message", Sql::MessageFirst, params![run.0], |columns| {
            Ok((columns.integer()?, Arc::from(columns.text()?)))
        })?;
        let Some((number, message)) = first else { return Ok(None) };
        self.execute(Sql::MessageDelete, params![number])?;
        Ok(Some(message))
    }

    fn mailbox_len(&mut self, run: RunId) -> Result<u32> {
        self.must_one("message", Sql::MessageCount, params![run.0], count)
    }

    // --- deliveries

    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        let Delivery { id, run, conversation, destination, body, state, attempts, .. } = delivery;
        let (channel, address, state) = (&destination.channel, &destination.address, delivery_code(*state));
        let Delivery { next_at, created, since, note, .. } = delivery;
        let (next_at, created, since) = (instant(*next_at), instant(*created), instant(*since));
        let values = params![
            run.0,
            id.0,
            conversation.0,
            channel,
            address,
            body,
            state,
            attempts,
            next_at,
            created,
            since,
            note
        ];
        self.execute(Sql::DeliveryInsert, values).map(drop)
    }

    fn update_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        let Delivery { id, state, attempts, next_at, since, note, .. } = delivery;
        let (state, next_at, since) = (delivery_code(*state), instant(*next_at), instant(*since));
        let values = params![id.0, attempts, note, state, next_at, since];
        met(self.execute(Sql::DeliveryUpdate, values)?, "delivery", id)
    }

    fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>> {
        self.one("delivery", Sql::Delivery, params![id.0], codec::delivery)
    }

    fn deliveries(&mut self, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
        let numbers = self.numbers("delivery", Sql::DeliveryLast, filter.owed)?;
        let (from, until) = ends(filter.owed);
        let sql = match (filter.run, filter.state) {
            (Some(_), _) => Sql::DeliveriesOfRun,
            // Most are delivered: the newest of them are soon found without an index.
            (None, None | Some(DeliveryState::Delivered)) => Sql::DeliveriesAll,
            (None, Some(_)) => Sql::DeliveriesOpen,
        };
        let DeliveryFilter { run, state, channel, address, limit, .. } = filter;
        let (run, state) = (run.map(|run| run.0), state.map(delivery_code));
        let values = params![run, state, channel, address, numbers.0, numbers.1, from, until, limit];
        self.all("delivery", sql, values, codec::delivery)
    }

    fn due_deliveries(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        self.all("delivery", Sql::DeliveriesDue, params![instant(now), limit], codec::delivery)
    }

    fn sending_deliveries(&mut self, limit: u32) -> Result<Vec<Delivery>> {
        self.all("delivery", Sql::DeliveriesSending, params![limit], codec::delivery)
    }

    fn insert_attempt(&mut self, attempt: &DeliveryAttempt) -> Result<()> {
        let (kind, note, wish, ambiguous) = codec::attempt_columns(&attempt.result);
        let (delivery, number, at) = (attempt.delivery.0, attempt.number, instant(attempt.at));
        self.execute(Sql::AttemptInsert, params![delivery, number, at, kind, note, wish, ambiguous]).map(drop)
    }

    fn attempts(&mut self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>> {
        self.all("delivery_attempt", Sql::Attempts, params![delivery.0], codec::attempt)
    }

    fn sent_by_run(&mut self, run: RunId) -> Result<u32> {
        self.must_one("delivery", Sql::DeliveriesCount, params![run.0], count)
    }

    // --- conversations and what comes in

    fn conversation_at(&mut self, origin: &Destination) -> Result<Option<Conversation>> {
        let place = params![origin.channel, origin.address];
        self.one("conversation", Sql::ConversationAt, place, codec::conversation)
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<Conversation>> {
        self.one("conversation", Sql::Conversation, params![id.0], codec::conversation)
    }

    fn conversations(&mut self, before: Option<ConversationId>, limit: u32) -> Result<Vec<Conversation>> {
        // A blob is after every other of which it is a longer one.
        let before = before.map_or_else(|| vec![0xff; 17], |id| id.0.to_vec());
        self.all("conversation", Sql::Conversations, params![before, limit], codec::conversation)
    }

    fn insert_conversation(&mut self, conversation: &Conversation) -> Result<()> {
        let Conversation { id, origin, purse: p, ceiling: c, created } = conversation;
        let values = params![
            id.0,
            origin.channel,
            origin.address,
            bits(p.cpu_us),
            bits(p.spawns),
            bits(p.artifact_bytes),
            codec::other_amounts(p),
            bits(c.cpu_us),
            bits(c.spawns),
            bits(c.artifact_bytes),
            codec::other_amounts(c),
            instant(*created)
        ];
        self.execute(Sql::ConversationInsert, values).map(drop)
    }

    fn update_conversation(&mut self, conversation: &Conversation) -> Result<()> {
        let Conversation { id, purse: p, ceiling: c, .. } = conversation;
        let values = params![
            id.0,
            bits(p.cpu_us),
            bits(p.spawns),
            bits(p.artifact_bytes),
            codec::other_amounts(p),
            bits(c.cpu_us),
            bits(c.spawns),
            bits(c.artifact_bytes),
            codec::other_amounts(c)
        ];
        met(self.execute(Sql::ConversationUpdate, values)?, "conversation", id)
    }

    fn inbox(&mut self, source: &str, event: &str) -> Result<Option<RunId>> {
        self.one("inbox", Sql::Inbox, params![source, event], run_id)
    }

    fn insert_inbox(&mut self, source: &str, event: &str, run: RunId) -> Result<()> {
        self.execute(Sql::InboxInsert, params![run.0, source, event]).map(drop)
    }

    // --- key-value, artifacts

    fn kv_get(&mut self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.one("kv", Sql::KvGet, params![bucket, key], |columns| columns.blob().map(<[u8]>::to_vec))
    }

    fn kv_set(&mut self, bucket: &str, key: &str, value: &[u8]) -> Result<()> {
        self.execute(Sql::KvSet, params![bucket, key, value]).map(drop)
    }

    fn kv_delete(&mut self, bucket: &str, key: &str) -> Result<()> {
        self.execute(Sql::KvDelete, params![bucket, key]).map(drop)
    }

    fn kv_bytes(&mut self, bucket: &str) -> Result<u64> {
        let held = self.one("kv_bucket", Sql::KvBytes, params![bucket], |columns| columns.bits())?;
        Ok(held.unwrap_or_default())
    }

    fn set_kv_bytes(&mut self, bucket: &str, bytes: u64) -> Result<()> {
        self.execute(Sql::KvBytesSet, params![bucket, bits(bytes)]).map(drop)
    }

    fn kv_keys(
        &mut self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>> {
        let (sql, from) = match after {
            Some(after) if after >= prefix => (Sql::KvKeysAfter, after),
            _ => (Sql::KvKeysFrom, prefix),
        };
        let mut keys =
            self.all("kv", sql, params![bucket, from, limit], |columns| columns.text().map(str::to_owned))?;
        // Keys that share a prefix lie side by side, the first of them first.
        let matching = keys.iter().take_while(|key| key.starts_with(prefix)).count();
        keys.truncate(matching);
        Ok(keys)
    }

    fn link_artifact(&mut self, run: RunId, artifact: &ArtifactRef) -> Result<()> {
        let ArtifactRef { id, name, media_type, size } = artifact;
        self.execute(Sql::ArtifactLink, params![run.0, id, name, media_type, bits(*size)]).map(drop)
    }

    fn linked_artifacts(&mut self, run: RunId, limit: u32) -> Result<Vec<ArtifactRef>> {
        self.all("artifact", Sql::Artifacts, params![run.0, limit], codec::artifact)
    }

    fn linked_artifact(&mut self, run: RunId, id: &str) -> Result<Option<ArtifactRef>> {
        self.one("artifact", Sql::Artifact, params![run.0, id], codec::artifact)
    }
}
