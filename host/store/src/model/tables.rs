//! The maps themselves, and the indexes that follow a change of a run or a delivery.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use sublane_core::delivery::Hold;
use sublane_core::hook::Hook;
use sublane_core::id::IdMap;
use sublane_core::poll::Poll;
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Entry, Generation, HookId,
    PollId, Run, RunId, RunState, Timestamp,
};

use super::index::Due;
use crate::rows::{
    Conversation, DeliveryAttempt, Intent, LaneSetting, LogLine, PauseRow, PluginRow, ScheduleRow, Wait,
};

/// A row with the number of its insertion: "newest first" means by this.
pub(super) struct Numbered<T> {
    pub(super) number: u64,
    pub(super) row: T,
}

#[derive(Default)]
pub(super) struct Tables {
    /// The number of the next run or delivery.
    next: u64,

    pub(super) runs: IdMap<RunId, Numbered<Run>>,
    pub(super) queued: BTreeSet<(Timestamp, RunId)>,
    /// Those that are delayed, by until when.
    pub(super) delayed: Due<RunId>,
    /// Those that have ended, by when.
    pub(super) ended: BTreeSet<(Timestamp, RunId)>,
    pub(super) deadlines: Due<RunId>,
    /// Attached children that have not ended, by parent and number.
    pub(super) attached: BTreeMap<(RunId, u64), RunId>,
    pub(super) dedupe: HashMap<(ConversationId, String, String), RunId>,

    /// Those that are over, of each run in their order.
    pub(super) generations: IdMap<RunId, Vec<Generation>>,
    /// Each journal in the order of its paths.
    pub(super) journals: IdMap<(RunId, u32), Vec<Entry>>,

    pub(super) waits: IdMap<RunId, Wait>,
    /// By the plugins of the runs that wait.
    pub(super) waits_due: BTreeMap<String, Due<RunId>>,
    /// Who waits for a run, in the order of their numbers.
    pub(super) waiters: IdMap<RunId, Vec<(u64, RunId)>>,
    pub(super) mailboxes: IdMap<RunId, VecDeque<Arc<str>>>,

    pub(super) deliveries: IdMap<DeliveryId, Numbered<Delivery>>,
    pub(super) deliveries_due: Due<DeliveryId>,
    /// How many a run owes.
    pub(super) deliveries_of: IdMap<RunId, u32>,
    pub(super) attempts: IdMap<DeliveryId, Vec<DeliveryAttempt>>,
    pub(super) holds: HashMap<Destination, Hold>,

    pub(super) conversations: IdMap<ConversationId, Conversation>,
    pub(super) conversations_at: HashMap<Destination, ConversationId>,
    pub(super) inbox: HashMap<(String, String), RunId>,

    pub(super) kv: HashMap<String, BTreeMap<String, Vec<u8>>>,
    pub(super) kv_bytes: HashMap<String, u64>,
    pub(super) artifacts: IdMap<RunId, Vec<ArtifactRef>>,
    /// Each log in the order of its numbers, with the bytes up to each line.
    pub(super) logs: IdMap<RunId, VecDeque<(LogLine, u64)>>,
    pub(super) intents: BTreeMap<i64, Intent>,
    pub(super) intents_made: i64,
    pub(super) intent_answers: BTreeMap<i64, Arc<str>>,
    pub(super) lanes: BTreeMap<String, LaneSetting>,
    pub(super) plugins: BTreeMap<String, PluginRow>,
    pub(super) pauses: BTreeMap<String, PauseRow>,
    /// In the order of their ids.
    pub(super) hooks: BTreeMap<HookId, Hook>,
    pub(super) hook_tokens: HashMap<[u8; 32], HookId>,
    pub(super) schedules: BTreeMap<String, ScheduleRow>,
    pub(super) polls: IdMap<PollId, Poll>,
    pub(super) polls_by_run: BTreeMap<(RunId, u32), PollId>,
    /// By server; none is empty.
    pub(super) polls_due: BTreeMap<Arc<str>, BTreeSet<(Timestamp, PollId)>>,
}

impl Tables {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Lets the indexes follow the run of this number from `old` to `new`; `None` is not there.
    pub(super) fn index_run(&mut self, number: u64, old: Option<&Run>, new: &Run) {
        let id = new.spec.id;
        let queued = |run: &Run| (run.state == RunState::Queued).then_some(run.since);
        let (was, is) = (old.and_then(queued), queued(new));
        if was != is {
            if let Some(since) = was {
                self.queued.remove(&(since, id));
            }
            if let Some(since) = is {
                self.queued.insert((since, id));
            }
        }
        let delayed = |run: &Run| match run.state {
            RunState::Delayed { until } => Some(until),
            _ => None,
        };
        let (was, is) = (old.and_then(delayed), delayed(new));
        if was != is {
            if let Some(until) = was {
                self.delayed.remove(until, number);
            }
            if let Some(until) = is {
                self.delayed.insert(until, number, id);
            }
        }
        let (lived, lives) = (old.is_some_and(|run| !run.is_ended()), !new.is_ended());
        if lives && !lived {
            self.deadlines.insert(new.spec.deadline(), number, id);
            if let Some(parent) = new.spec.attached_to() {
                self.attached.insert((parent, number), id);
            }
        }
        if let (Some(RunState::Ended { at, .. }), true) = (old.map(|run| &run.state), lives) {
            self.ended.remove(&(*at, id));
        }
        if let RunState::Ended { at, .. } = new.state {
            self.ended.insert((at, id));
        }
        if lived && !lives {
            self.deadlines.remove(new.spec.deadline(), number);
            if let Some(parent) = new.spec.attached_to() {
                self.attached.remove(&(parent, number));
            }
        }
    }

    /// Lets the index follow the delivery of this number from `old` to `new`; `None` is not there.
    pub(super) fn index_delivery(&mut self, number: u64, old: Option<&Delivery>, new: &Delivery) {
        let due =
            |delivery: &Delivery| (delivery.state == DeliveryState::Pending).then_some(delivery.next_at);
        let (was, is) = (old.and_then(due), due(new));
        if was != is {
            if let Some(at) = was {
                self.deliveries_due.remove(at, number);
            }
            if let Some(at) = is {
                self.deliveries_due.insert(at, number, new.id);
            }
        }
    }

    pub(super) fn add_waiter(&mut self, target: RunId, waiter: (u64, RunId)) {
        let waiters = self.waiters.entry(target).or_default();
        if let Err(place) = waiters.binary_search(&waiter) {
            waiters.insert(place, waiter);
        }
    }

    /// Keys of a bucket that start with `prefix` and come after `after`.
    pub(super) fn keys(&self, bucket: &str, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match after {
            Some(after) if after >= prefix => Excluded(after),
            _ => Included(prefix),
        };
        let Some(bucket) = self.kv.get(bucket) else { return Vec::new() };
        let keys = bucket.range::<str, _>((from, Unbounded)).map(|(key, _)| key);
        keys.take_while(|key| key.starts_with(prefix)).take(limit).cloned().collect()
    }

    pub(super) fn remove_waiter(&mut self, target: RunId, waiter: RunId) {
        if let Some(waiters) = self.waiters.get_mut(&target) {
            waiters.retain(|(_, other)| *other != waiter);
            if waiters.is_empty() {
                self.waiters.remove(&target);
            }
        }
    }
}

/// The newest `limit` of the rows that match.
pub(super) fn newest<'t, T: 't>(
    rows: impl Iterator<Item = &'t Numbered<T>>,
    limit: u32,
    matches: impl Fn(&T) -> bool,
) -> impl Iterator<Item = &'t T> {
    let mut found: Vec<_> = rows.filter(|numbered| matches(&numbered.row)).collect();
    found.sort_unstable_by_key(|numbered| std::cmp::Reverse(numbered.number));
    found.into_iter().take(limit as usize).map(|numbered| &numbered.row)
}

/// The oldest `limit` of the rows that match.
pub(super) fn oldest<'t, T: Clone + 't>(
    rows: impl Iterator<Item = &'t Numbered<T>>,
    limit: u32,
    matches: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut found: Vec<_> = newest(rows, u32::MAX, matches).cloned().collect();
    found.reverse();
    found.truncate(limit as usize);
    found
}
