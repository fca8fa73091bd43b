//! Lane admission: which ready run gets the next free slot.
//!
//! Owns the order (among keys with ready runs the one with fewest running,
//! then the least recently served; inside a key by priority with ageing, then
//! time) and the limits that a spawn meets before it is stored. Only a cache of
//! what the store holds: it accepts everything that the store accepted, and a
//! sweep that pushes a run again does no harm. Reads no clock, waits for nobody.
//!
//! It lies on the path of every spawn, so all that happens there is a few
//! lookups: no operation but [`Lane::position`] grows faster than the
//! logarithm of what is ready.

use std::collections::{BTreeMap, hash_map};
use std::ops::RangeInclusive;
use std::time::Duration;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::grants::LimitHit;
use crate::id::{IdMap, RunId};
use crate::run::Priority;
use crate::time::Timestamp;

/// Slots of the lane `subagent`.
pub const SUBAGENT_SLOTS: u32 = 8;

/// The most slots of a lane; the least is one.
pub const MAX_SLOTS: u32 = 1_024;

/// The most ready runs of a lane that may be allowed; the least is one.
pub const MAX_QUEUE_LENGTH: u32 = 1_000_000;

/// Deepest run: a root is 0, its child 1, and so on.
pub const MAX_DEPTH: u32 = 5;

/// Children of one parent that are alive at once, when nothing else is said.
pub const ACTIVE_CHILDREN: u32 = 5;

/// What may be said instead of [`ACTIVE_CHILDREN`].
pub const ACTIVE_CHILDREN_RANGE: RangeInclusive<u32> = 1..=20;

/// Ready runs of one lane, beyond which a spawn is refused.
pub const QUEUE_LENGTH: u32 = 10_000;

/// Time-out of a run on `main` that names none. Somebody sits in front of it
/// and waits for an answer; what takes longer is spawned.
pub const MAIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Time-out of a run on any other lane that names none. Finite, so that a run
/// that waits for something lost ends and its user is told; an hour, because a
/// video provider takes up to that.
pub const SUBAGENT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How much waiting is worth one level of priority.
pub const AGEING: Duration = Duration::from_secs(30);

/// Waiting longer than this for a slot is told to the user, with the position.
pub const REPORT_AFTER: Duration = Duration::from_secs(2);

/// Slots of the lane `main` on a machine with so many cores: 4 × cores, at least 8.
#[must_use]
pub fn main_slots(cores: u32) -> u32 {
    cores.saturating_mul(4).max(8)
}

/// May a run stand at this depth.
///
/// # Errors
/// [`LimitHit`] `spawn.depth`.
pub fn check_depth(depth: u32, limit: u32) -> Result<(), LimitHit> {
    if depth <= limit { Ok(()) } else { Err(LimitHit::new("spawn.depth", limit.into())) }
}

/// May a parent with `active` children alive have one more.
///
/// # Errors
/// [`LimitHit`] `spawn.active-children`.
pub fn check_active_children(active: u32, limit: u32) -> Result<(), LimitHit> {
    if active < limit { Ok(()) } else { Err(LimitHit::new("spawn.active-children", limit.into())) }
}

/// What bounds a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// Runs that execute at once, at least 1.
    pub slots: u32,
    /// Ready runs, beyond which a spawn is refused. Default [`QUEUE_LENGTH`].
    pub queue_length: u32,
    /// Time-out of a run that names none.
    pub timeout: Duration,
}

impl LaneLimits {
    /// The limits of `main` on a machine with so many cores.
    #[must_use]
    pub fn main(cores: u32) -> Self {
        Self { slots: main_slots(cores), queue_length: QUEUE_LENGTH, timeout: MAIN_TIMEOUT }
    }
}

impl Default for LaneLimits {
    /// The limits of `subagent`, and of every lane about which nothing is said.
    fn default() -> Self {
        Self { slots: SUBAGENT_SLOTS, queue_length: QUEUE_LENGTH, timeout: SUBAGENT_TIMEOUT }
    }
}

/// Between whom a lane is fair: a plugin and the run that it spawns for. A hash;
/// two keys that were taken for one would share their turn, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u128);

impl Key {
    /// The key of what `plugin` has spawned from `parent`; roots have no parent.
    #[must_use]
    pub fn new(plugin: &str, parent: Option<RunId>) -> Self {
        let seed = parent.map_or(0, |parent| xxh3_64(&parent.0));
        Self(xxh3_128_with_seed(plugin.as_bytes(), seed))
    }
}

/// A run that could execute now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The run.
    pub run: RunId,
    /// In whose turn it goes.
    pub key: Key,
    /// Its place among those of the same key.
    pub priority: Priority,
    /// Since when it is ready.
    pub since: Timestamp,
}

impl Ready {
    /// Priority with ageing as one number, the smallest first: a level is a
    /// head start of [`AGEING`], so the order of two runs never changes while they wait.
    fn due(&self) -> Timestamp {
        self.since.after(match self.priority {
            Priority::High => Duration::ZERO,
            Priority::Normal => AGEING,
            Priority::Low => AGEING * 2,
        })
    }
}

/// A lane: the ready and the running runs.
#[derive(Debug)]
pub struct Lane {
    limits: LaneLimits,
    paused: bool,
    running: u32,
    /// Numbers turns of keys and arrivals of runs; never given twice.
    clock: u64,
    runs: IdMap<RunId, Place>,
    keys: IdMap<Key, Queue>,
    /// The keys with ready runs, by (running, turn).
    order: BTreeMap<(u32, u64), Key>,
}

/// Where a run is.
#[derive(Debug)]
enum Place {
    Ready { key: Key, due: (Timestamp, u64) },
    Running { key: Key, again: Option<Ready> },
}

/// The ready runs of one key. Kept only while some are ready or running.
#[derive(Debug)]
struct Queue {
    running: u32,
    /// When it was served last, or, if it was not, when it came: so a stream of
    /// new keys cannot keep one that waits from its turn.
    turn: u64,
    ready: BTreeMap<(Timestamp, u64), RunId>,
}

impl Lane {
    /// An empty lane.
    #[must_use]
    pub fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            paused: false,
            running: 0,
            clock: 0,
            runs: IdMap::default(),
            keys: IdMap::default(),
            order: BTreeMap::new(),
        }
    }

    /// Is there room for one more ready run. Asked before a spawn is stored.
    ///
    /// # Errors
    /// [`LimitHit`] `lane.queue-length`.
    pub fn check_room(&self) -> Result<(), LimitHit> {
        let limit = self.limits.queue_length;
        if self.len() < limit as usize {
            Ok(())
        } else {
            Err(LimitHit::new("lane.queue-length", limit.into()))
        }
    }

    /// Gives the run a slot at once, when one is free and nobody is before it.
    /// False: nothing has changed, [`push`](Self::push) it.
    #[must_use]
    pub fn start(&mut self, run: RunId, key: Key) -> bool {
        if self.paused || self.running >= self.limits.slots || !self.order.is_empty() {
            return false;
        }
        let hash_map::Entry::Vacant(place) = self.runs.entry(run) else { return false };
        place.insert(Place::Running { key, again: None });
        self.clock += 1;
        let queue = self.keys.entry(key).or_insert_with(|| Queue::new(0));
        queue.running += 1;
        queue.turn = self.clock;
        self.running += 1;
        true
    }

    /// Adds a ready run. Gives the number of ready runs that were there before it:
    /// an upper bound of its position. A run that is ready already stays where
    /// it is; one that still holds its slot is added when it is released.
    pub fn push(&mut self, ready: Ready) -> u32 {
        let before = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.clock += 1;
        let due = (ready.due(), self.clock);
        match self.runs.entry(ready.run) {
            hash_map::Entry::Occupied(mut place) => {
                if let Place::Running { again, .. } = place.get_mut() {
                    *again = Some(ready);
                }
                return before;
            }
            hash_map::Entry::Vacant(place) => place.insert(Place::Ready { key: ready.key, due }),
        };
        let queue = self.keys.entry(ready.key).or_insert_with(|| Queue::new(self.clock));
        if queue.ready.is_empty() {
            self.order.insert((queue.running, queue.turn), ready.key);
        }
        queue.ready.insert(due, ready.run);
        before
    }

    /// Takes the next run and gives it a slot, if one is free.
    pub fn pop(&mut self) -> Option<RunId> {
        if self.paused || self.running >= self.limits.slots {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        let queue = self.keys.get_mut(&key).expect("a key in the order has a queue");
        let (_, run) = queue.ready.pop_first().expect("a key in the order has ready runs");
        self.clock += 1;
        queue.running += 1;
        queue.turn = self.clock;
        if !queue.ready.is_empty() {
            self.order.insert((queue.running, queue.turn), key);
        }
        self.running += 1;
        self.runs.insert(run, Place::Running { key, again: None });
        Some(run)
    }

    /// Takes the slot back from a run that ended or parked. A run that holds none is no error.
    pub fn release(&mut self, run: RunId) {
        if let hash_map::Entry::Occupied(place) = self.runs.entry(run)
            && let Place::Running { key, again } = place.get()
        {
            let (key, again) = (*key, *again);
            place.remove();
            self.running -= 1;
            self.change(key, |queue| queue.running -= 1);
            if let Some(ready) = again {
                self.push(ready);
            }
        }
    }

    /// Takes back that a run is ready. Whoever has a slot for it keeps that.
    pub fn withdraw(&mut self, run: RunId) {
        match self.runs.get_mut(&run) {
            None => {}
            Some(Place::Running { again, .. }) => *again = None,
            Some(Place::Ready { key, due }) => {
                let (key, due) = (*key, *due);
                self.runs.remove(&run);
                self.change(key, |queue| queue.ready.remove(&due));
            }
        }
    }

    /// Changes a queue and puts its key where it then belongs.
    fn change<T>(&mut self, key: Key, change: impl FnOnce(&mut Queue) -> T) {
        let queue = self.keys.get_mut(&key).expect("a run that is known has a queue");
        if !queue.ready.is_empty() {
            self.order.remove(&(queue.running, queue.turn));
        }
        change(queue);
        if !queue.ready.is_empty() {
            self.order.insert((queue.running, queue.turn), key);
        } else if queue.running == 0 {
            self.keys.remove(&key);
        }
    }

    /// Ready runs before this one: how many slots have to come free before its
    /// own does, if nothing else arrives. `None` when it is not ready. Walks over
    /// all keys and those of its own before it: for people, not for the way of a spawn.
    #[must_use]
    pub fn position(&self, run: RunId) -> Option<u32> {
        let Place::Ready { key, due } = self.runs.get(&run)? else { return None };
        let own = &self.keys[key];
        let rank = own.ready.range(..due).count();
        // Serving a key lifts it by one level, behind all that stand there. So a
        // key is served once on every level below the run's, and once on that
        // level if it got there first.
        let level = own.running as usize + rank;
        let before = |(&(running, turn), key): (&(u32, u64), &Key)| {
            let first = running > own.running || (running == own.running && turn < own.turn);
            let served = (level + usize::from(first)).saturating_sub(running as usize);
            served.min(self.keys[key].ready.len())
        };
        let others = self.order.iter().filter(|(_, other)| *other != key).map(before).sum::<usize>();
        Some(u32::try_from(rank + others).unwrap_or(u32::MAX))
    }

    /// Changes the limits. Who has a slot keeps it, and what is ready stays, also beyond them.
    pub fn set_limits(&mut self, limits: LaneLimits) {
        self.limits = limits;
    }

    /// Gives no more slots until [`resume`](Self::resume); who has one keeps it.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Gives slots again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Ready runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len() - self.running as usize
    }

    /// Whether no run is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Runs that hold a slot.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> LaneLimits {
        self.limits
    }
}

impl Queue {
    fn new(turn: u64) -> Self {
        Self { running: 0, turn, ready: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests;
