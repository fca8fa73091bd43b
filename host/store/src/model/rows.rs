//! [`Rows`] over the maps.
//!
//! Listings for people walk the whole map: they are off the way of a spawn, and
//! an index that only they need would be paid for by every run.

use std::sync::Arc;

use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Entry, Generation, Run,
    RunId, RunState, Timestamp,
};

use super::index::Due;
use super::tables::{Numbered, Tables, newest, oldest};
use crate::StoreError;
use crate::rows::{Conversation, DeliveryAttempt, DeliveryFilter, OperatorRows as _, Rows, RunFilter, Wait};

type Result<T> = std::result::Result<T, StoreError>;

fn twice(what: &str, id: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what} {id} is there already"))
}

fn absent(what: &str, id: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what} {id} is not there to be written"))
}

impl Rows for Tables {
    // --- runs

    fn insert_run(&mut self, run: &Run) -> Result<()> {
        let id = run.spec.id;
        if self.runs.contains_key(&id) {
            return Err(twice("run", id));
        }
        if let Some(key) = &run.spec.dedupe_key {
            let key = (run.spec.conversation, run.spec.spawner.clone(), key.clone());
            if self.dedupe.contains_key(&key) {
                return Err(twice("dedupe key", key.2));
            }
            self.dedupe.insert(key, id);
        }
        let number = self.number();
        self.index_run(number, None, run);
        self.runs.insert(id, Numbered { number, row: run.clone() });
        Ok(())
    }

    fn update_run(&mut self, run: &Run) -> Result<()> {
        let id = run.spec.id;
        let Some(kept) = self.runs.get_mut(&id) else { return Err(absent("run", id)) };
        if kept.row.is_ended() && !run.is_ended() {
            return Err(StoreError::Corrupt(format!("run {id} has ended and cannot live again")));
        }
        let mut new = run.clone();
        new.spec = kept.row.spec.clone();
        let number = kept.number;
        let old = std::mem::replace(&mut kept.row, new);
        self.index_run(number, Some(&old), run);
        Ok(())
    }

    fn begin_again(&mut self, run: &Run) -> Result<()> {
        self.update_run(run)
    }

    fn continue_run(&mut self, run: &Run) -> Result<()> {
        self.renew_run(run)
    }

    fn forget_generations(&mut self, run: RunId, before: u32) -> Result<()> {
        for generation in 0..before {
            self.journals.remove(&(run, generation));
        }
        self.hooks.retain(|_, hook| hook.run != run || hook.generation >= before);
        let Self { hooks: left, hook_tokens, .. } = self;
        hook_tokens.retain(|_, id| left.contains_key(id));
        if let Some(over) = self.generations.get_mut(&run) {
            over.retain(|over| over.number >= before);
        }
        Ok(())
    }

    fn insert_generation(&mut self, run: RunId, over: &Generation) -> Result<()> {
        self.generations.entry(run).or_default().push(over.clone());
        Ok(())
    }

    fn generations(&mut self, run: RunId) -> Result<Vec<Generation>> {
        Ok(self.generations.get(&run).cloned().unwrap_or_default())
    }

    fn run(&mut self, id: RunId) -> Result<Option<Run>> {
        Ok(self.runs.get(&id).map(|kept| kept.row.clone()))
    }

    fn run_by_dedupe(
        &mut self,
        spawner: &str,
        conversation: ConversationId,
        key: &str,
    ) -> Result<Option<RunId>> {
        Ok(self.dedupe.get(&(conversation, spawner.to_owned(), key.to_owned())).copied())
    }

    fn spawned_by(&mut self, parent: RunId, spawner: &str) -> Result<u32> {
        let made = |run: &Run| run.spec.parent == Some(parent) && run.spec.spawner == spawner;
        let count = self.runs.values().filter(|kept| made(&kept.row)).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn attached_children(&mut self, parent: RunId) -> Result<Vec<RunId>> {
        Ok(self.attached.range((parent, 0)..=(parent, u64::MAX)).map(|(_, child)| *child).collect())
    }

    fn living_runs(&mut self, conversation: ConversationId, limit: u32) -> Result<Vec<RunId>> {
        let lives = |run: &Run| run.spec.conversation == conversation && !run.is_ended();
        let mut found: Vec<_> = newest(self.runs.values(), u32::MAX, lives).map(|run| run.spec.id).collect();
        found.reverse();
        found.truncate(limit as usize);
        Ok(found)
    }

    fn runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>> {
        let matches = |run: &Run| {
            filter.state.as_ref().is_none_or(|state| run.state.kind() == state)
                && filter.conversation.is_none_or(|id| run.spec.conversation == id)
                && filter.parent.is_none_or(|id| run.spec.parent == Some(id))
                && filter.plugin.as_ref().is_none_or(|plugin| run.spec.plugin == *plugin)
                && filter.agent.as_ref().is_none_or(|agent| run.spec.agent == *agent)
                && filter.accepted.contains(run.spec.created)
        };
        if (filter.state.as_deref(), filter.conversation, filter.parent) == (Some("queued"), None, None) {
            // As people see a queue: by when they became ready.
            let queued = self.queued.iter().rev().map(|(_, id)| &self.runs[id].row);
            return Ok(queued.filter(|run| matches(run)).take(filter.limit as usize).cloned().collect());
        }
        if (filter.state.as_deref(), filter.conversation, filter.parent) == (Some("delayed"), None, None) {
            let delayed = self.delayed.until(Timestamp(u64::MAX), u32::MAX).map(|id| &self.runs[&id].row);
            return Ok(delayed.filter(|run| matches(run)).take(filter.limit as usize).cloned().collect());
        }
        Ok(newest(self.runs.values(), filter.limit, matches).cloned().collect())
    }

    fn overdue_runs(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        Ok(self.deadlines.until(now, limit).collect())
    }

    fn queued_runs(&mut self, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Run>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let queued = self.queued.range((from, Unbounded)).take(limit as usize);
        Ok(queued.map(|(_, id)| self.runs[id].row.clone()).collect())
    }

    fn runs_to_begin(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        Ok(self.delayed.until(now, limit).collect())
    }

    fn claimed_runs(&mut self, limit: u32) -> Result<Vec<RunId>> {
        let claimed = |run: &Run| match run.state {
            RunState::Running { .. } => Some(0),
            RunState::Waiting { token: Some(_) } => Some(1),
            _ => None,
        };
        let runs = self.runs.values();
        let mut found: Vec<_> =
            runs.filter_map(|kept| Some((claimed(&kept.row)?, kept.number, kept.row.spec.id))).collect();
        found.sort_unstable();
        Ok(found.into_iter().take(limit as usize).map(|(_, _, id)| id).collect())
    }

    // --- journal

    fn insert_entry(&mut self, run: RunId, generation: u32, entry: &Entry) -> Result<()> {
        if !self.runs.contains_key(&run) {
            return Err(absent("journal of run", run));
        }
        let journal = self.journals.entry((run, generation)).or_default();
        if journal.last().is_none_or(|last| last.path < entry.path) {
            journal.push(entry.clone());
            return Ok(());
        }
        match journal.binary_search_by(|held| held.path.cmp(&entry.path)) {
            Ok(_) => Err(twice(&format!("journal entry {} of run", entry.path), run)),
            Err(place) => {
                journal.insert(place, entry.clone());
                Ok(())
            }
        }
    }

    fn entries(&mut self, run: RunId, generation: u32) -> Result<Vec<Entry>> {
        Ok(self.journals.get(&(run, generation)).cloned().unwrap_or_default())
    }

    // --- waits

    fn insert_wait(&mut self, wait: &Wait) -> Result<()> {
        if self.waits.contains_key(&wait.run) {
            return Err(twice("wait of run", wait.run));
        }
        let Some(kept) = self.runs.get(&wait.run) else {
            return Err(absent("wait of run", wait.run));
        };
        let number = kept.number;
        if let Some(due) = wait.due {
            let plugin = kept.row.spec.plugin.clone();
            self.waits_due.entry(plugin).or_default().insert(due, number, wait.run);
        }
        for target in wait.what.targets() {
            self.add_waiter(target, (number, wait.run));
        }
        self.waits.insert(wait.run, wait.clone());
        Ok(())
    }

    fn wait(&mut self, run: RunId) -> Result<Option<Wait>> {
        Ok(self.waits.get(&run).cloned())
    }

    fn delete_wait(&mut self, wait: &Wait) -> Result<()> {
        let Some(wait) = self.waits.remove(&wait.run) else { return Ok(()) };
        if let Some(due) = wait.due {
            let kept = &self.runs[&wait.run];
            if let Some(waits) = self.waits_due.get_mut(&kept.row.spec.plugin) {
                waits.remove(due, kept.number);
            }
        }
        for target in wait.what.targets() {
            self.remove_waiter(target, wait.run);
        }
        Ok(())
    }

    fn waiters(&mut self, target: RunId) -> Result<Vec<RunId>> {
        let waiters = self.waiters.get(&target).map(Vec::as_slice).unwrap_or_default();
        Ok(waiters.iter().map(|(_, waiter)| *waiter).collect())
    }

    fn plugins_due(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let first = |(plugin, waits): (&String, &Due<RunId>)| Some((plugin.clone(), waits.first()?));
        Ok(self.waits_due.iter().filter_map(first).collect())
    }

    fn due_waits(&mut self, plugin: &str, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        Ok(self.waits_due.get(plugin).map_or_else(Vec::new, |waits| waits.until(now, limit).collect()))
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        let waits = self.waits_due.values().filter_map(Due::first);
        Ok(waits.chain(self.deadlines.first()).chain(self.delayed.first()).min())
    }

    // --- mailbox

    fn push_message(&mut self, run: RunId, message: &str) -> Result<()> {
        self.mailboxes.entry(run).or_default().push_back(message.into());
        Ok(())
    }

    fn pop_message(&mut self, run: RunId) -> Result<Option<Arc<str>>> {
        Ok(self.mailboxes.get_mut(&run).and_then(std::collections::VecDeque::pop_front))
    }

    fn mailbox_len(&mut self, run: RunId) -> Result<u32> {
        let length = self.mailboxes.get(&run).map_or(0, std::collections::VecDeque::len);
        Ok(u32::try_from(length).unwrap_or(u32::MAX))
    }

    // --- deliveries

    fn insert_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        if self.deliveries.contains_key(&delivery.id) {
            return Err(twice("delivery", delivery.id));
        }
        let number = self.number();
        self.index_delivery(number, None, delivery);
        *self.deliveries_of.entry(delivery.run).or_default() += 1;
        self.deliveries.insert(delivery.id, Numbered { number, row: delivery.clone() });
        Ok(())
    }

    fn update_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        let Some(kept) = self.deliveries.get_mut(&delivery.id) else {
            return Err(absent("delivery", delivery.id));
        };
        let old = kept.row.clone();
        (kept.row.state, kept.row.attempts) = (delivery.state, delivery.attempts);
        (kept.row.next_at, kept.row.since) = (delivery.next_at, delivery.since);
        kept.row.note.clone_from(&delivery.note);
        let number = kept.number;
        self.index_delivery(number, Some(&old), delivery);
        Ok(())
    }

    fn delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>> {
        Ok(self.deliveries.get(&id).map(|kept| kept.row.clone()))
    }

    fn deliveries(&mut self, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
        let matches = |delivery: &Delivery| {
            filter.state.is_none_or(|state| delivery.state == state)
                && filter.run.is_none_or(|run| delivery.run == run)
                && filter.channel.as_ref().is_none_or(|channel| delivery.destination.channel == *channel)
                && filter.address.as_ref().is_none_or(|address| delivery.destination.address == *address)
                && filter.owed.contains(delivery.created)
        };
        Ok(newest(self.deliveries.values(), filter.limit, matches).cloned().collect())
    }

    fn due_deliveries(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        Ok(self.deliveries_due.until(now, limit).map(|id| self.deliveries[&id].row.clone()).collect())
    }

    fn sending_deliveries(&mut self, limit: u32) -> Result<Vec<Delivery>> {
        Ok(oldest(self.deliveries.values(), limit, |delivery| delivery.state == DeliveryState::Sending))
    }

    fn insert_attempt(&mut self, attempt: &DeliveryAttempt) -> Result<()> {
        let attempts = self.attempts.entry(attempt.delivery).or_default();
        match attempts.binary_search_by_key(&attempt.number, |held| held.number) {
            Ok(_) => Err(twice(&format!("attempt {} of delivery", attempt.number), attempt.delivery)),
            Err(place) => {
                attempts.insert(place, attempt.clone());
                Ok(())
            }
        }
    }

    fn attempts(&mut self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>> {
        Ok(self.attempts.get(&delivery).cloned().unwrap_or_default())
    }

    fn sent_by_run(&mut self, run: RunId) -> Result<u32> {
        Ok(self.deliveries_of.get(&run).copied().unwrap_or_default())
    }

    // --- conversations and what comes in

    fn conversation_at(&mut self, origin: &Destination) -> Result<Option<Conversation>> {
        let found = self.conversations_at.get(origin).and_then(|id| self.conversations.get(id));
        Ok(found.cloned())
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<Conversation>> {
        Ok(self.conversations.get(&id).cloned())
    }

    fn conversations(&mut self, before: Option<ConversationId>, limit: u32) -> Result<Vec<Conversation>> {
        let matches = |id: &ConversationId| before.is_none_or(|before| *id < before);
        let mut ids: Vec<_> = self.conversations.keys().copied().filter(matches).collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        Ok(ids.iter().take(limit as usize).map(|id| self.conversations[id].clone()).collect())
    }

    fn insert_conversation(&mut self, conversation: &Conversation) -> Result<()> {
        if self.conversations.contains_key(&conversation.id)
            || self.conversations_at.contains_key(&conversation.origin)
        {
            return Err(twice("conversation", conversation.id));
        }
        self.conversations_at.insert(conversation.origin.clone(), conversation.id);
        self.conversations.insert(conversation.id, conversation.clone());
        Ok(())
    }

    fn update_conversation(&mut self, conversation: &Conversation) -> Result<()> {
        let Some(kept) = self.conversations.get_mut(&conversation.id) else {
            return Err(absent("conversation", conversation.id));
        };
        kept.purse = conversation.purse;
        kept.ceiling = conversation.ceiling;
        Ok(())
    }

    fn inbox(&mut self, source: &str, event: &str) -> Result<Option<RunId>> {
        Ok(self.inbox.get(&(source.to_owned(), event.to_owned())).copied())
    }

    fn insert_inbox(&mut self, source: &str, event: &str, run: RunId) -> Result<()> {
        let key = (source.to_owned(), event.to_owned());
        if self.inbox.contains_key(&key) {
            return Err(twice(&format!("event of {source}"), event));
        }
        self.inbox.insert(key, run);
        Ok(())
    }

    // --- key-value, artifacts

    fn kv_get(&mut self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.kv.get(bucket).and_then(|bucket| bucket.get(key)).cloned())
    }

    fn kv_set(&mut self, bucket: &str, key: &str, value: &[u8]) -> Result<()> {
        self.kv.entry(bucket.to_owned()).or_default().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn kv_delete(&mut self, bucket: &str, key: &str) -> Result<()> {
        if let Some(bucket) = self.kv.get_mut(bucket) {
            bucket.remove(key);
        }
        Ok(())
    }

    fn kv_bytes(&mut self, bucket: &str) -> Result<u64> {
        Ok(self.kv_bytes.get(bucket).copied().unwrap_or_default())
    }

    fn set_kv_bytes(&mut self, bucket: &str, bytes: u64) -> Result<()> {
        self.kv_bytes.insert(bucket.to_owned(), bytes);
        Ok(())
    }

    fn kv_keys(
        &mut self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>> {
        Ok(self.keys(bucket, prefix, after, limit as usize))
    }

    fn link_artifact(&mut self, run: RunId, artifact: &ArtifactRef) -> Result<()> {
        let linked = self.artifacts.entry(run).or_default();
        if linked.iter().all(|held| held.id != artifact.id) {
            linked.push(artifact.clone());
        }
        Ok(())
    }

    fn linked_artifacts(&mut self, run: RunId, limit: u32) -> Result<Vec<ArtifactRef>> {
        let mut linked = self.artifacts.get(&run).cloned().unwrap_or_default();
        linked.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        linked.truncate(limit as usize);
        Ok(linked)
    }

    fn linked_artifact(&mut self, run: RunId, id: &str) -> Result<Option<ArtifactRef>> {
        Ok(self.artifacts.get(&run).and_then(|linked| linked.iter().find(|held| held.id == id)).cloned())
    }
}
