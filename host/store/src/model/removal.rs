//! [`Removal`] over the maps. What is looked for walks a map: nothing here is on the way of a spawn.

use std::ops::Bound::{Excluded, Included, Unbounded};

use sublane_core::{ConversationId, DeliveryId, RunId, Timestamp};

use super::tables::Tables;
use crate::StoreError;
use crate::rows::Removal;

type Result<T> = std::result::Result<T, StoreError>;

/// How many rows that is.
fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

impl Removal for Tables {
    fn ended_runs(
        &mut self,
        after: Option<(Timestamp, RunId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RunId)>> {
        let last = (until, RunId([u8::MAX; 16]));
        if after.is_some_and(|after| after >= last) {
            return Ok(Vec::new());
        }
        let from = after.map_or(Unbounded, Excluded);
        Ok(self.ended.range((from, Included(last))).take(limit as usize).copied().collect())
    }

    fn has_children(&mut self, run: RunId) -> Result<bool> {
        Ok(self.runs.values().any(|kept| kept.row.spec.parent == Some(run)))
    }

    fn has_event(&mut self, run: RunId) -> Result<bool> {
        Ok(self.inbox.values().any(|made| *made == run))
    }

    fn trim_journal(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let newest = self.runs.get(&run).map_or(0, |kept| kept.row.generation);
        let mut left = limit as usize;
        for generation in (0..=newest).rev() {
            let Some(journal) = self.journals.get_mut(&(run, generation)) else { continue };
            let kept = journal.len().saturating_sub(left);
            left -= journal.len() - kept;
            journal.truncate(kept);
            if kept == 0 {
                self.journals.remove(&(run, generation));
            }
        }
        Ok(limit - count(left))
    }

    fn trim_artifacts(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let Some(linked) = self.artifacts.get_mut(&run) else { return Ok(0) };
        linked.sort_by(|one, other| one.id.cmp(&other.id));
        let removed = linked.drain(..linked.len().min(limit as usize)).count();
        if linked.is_empty() {
            self.artifacts.remove(&run);
        }
        Ok(count(removed))
    }

    fn delete_delivery(&mut self, id: DeliveryId) -> Result<u32> {
        let Some(kept) = self.deliveries.remove(&id) else { return Ok(0) };
        self.deliveries_due.remove(kept.row.next_at, kept.number);
        if let Some(left) = self.deliveries_of.get_mut(&kept.row.run) {
            *left -= 1;
            if *left == 0 {
                self.deliveries_of.remove(&kept.row.run);
            }
        }
        Ok(1 + count(self.attempts.remove(&id).unwrap_or_default().len()))
    }

    fn delete_run(&mut self, id: RunId) -> Result<u32> {
        let Some(kept) = self.runs.remove(&id) else { return Ok(0) };
        if let sublane_core::RunState::Ended { at, .. } = kept.row.state {
            self.ended.remove(&(at, id));
        }
        if let Some(key) = &kept.row.spec.dedupe_key {
            let spec = &kept.row.spec;
            self.dedupe.remove(&(spec.conversation, spec.spawner.clone(), key.clone()));
        }
        let events = self.inbox.len();
        self.inbox.retain(|_, made| *made != id);
        let hooks = self.hooks.len();
        self.hooks.retain(|_, hook| hook.run != id);
        let Self { hooks: left, hook_tokens, .. } = self;
        hook_tokens.retain(|_, id| left.contains_key(id));
        let hooks = hooks - self.hooks.len();
        let messages = self.mailboxes.remove(&id).unwrap_or_default().len();
        let over = self.generations.remove(&id).unwrap_or_default().len();
        // A run is two rows where it is kept for good.
        Ok(2 + count(messages + hooks + over + events - self.inbox.len()))
    }

    fn has_runs(&mut self, conversation: ConversationId) -> Result<bool> {
        Ok(self.runs.values().any(|kept| kept.row.spec.conversation == conversation))
    }

    fn delete_conversation(&mut self, id: ConversationId) -> Result<()> {
        if let Some(conversation) = self.conversations.remove(&id) {
            self.conversations_at.remove(&conversation.origin);
        }
        Ok(())
    }

    fn is_linked(&mut self, artifact: &str) -> Result<bool> {
        Ok(self.artifacts.values().any(|linked| linked.iter().any(|held| held.id == artifact)))
    }
}
