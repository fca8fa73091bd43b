//! Runs whose time is nearly up: said once, while something can still be done about it.
//!
//! Owns when that is for each run that this host has begun or found waiting. In memory alone: a hint,
//! as progress is, which the next host gives again. Never ends a run; its deadline does.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::id::IdMap;
use sublane_core::{Run, RunId, Timestamp};

/// So much of its time has a run used, in per cent, when its end is said to be near.
pub const PER_CENT: u32 = 80;
/// The least that must be left: with less nobody could do anything.
pub const LEAST: Duration = Duration::from_secs(1);

/// So many runs are watched at most: a million that wait are rows and nothing else.
pub const MOST: usize = 100_000;

/// The runs that live, and when each is told of: at most so many of them.
pub struct Late {
    most: usize,
    runs: Mutex<Inner>,
}

impl Default for Late {
    fn default() -> Self {
        Self::of(MOST)
    }
}

#[derive(Default)]
struct Inner {
    /// When each run is told of.
    runs: IdMap<RunId, Timestamp>,
    /// Those that were not told of yet.
    next: BTreeSet<(Timestamp, RunId)>,
}

/// When so much of a run's time is used.
fn due(run: &Run) -> Timestamp {
    let time = run.spec.deadline().since(run.timed_from);
    run.timed_from.after(time * PER_CENT / 100)
}

impl Late {
    fn of(most: usize) -> Self {
        Self { most, runs: Mutex::default() }
    }

    /// A run begins, goes on or waits. One that is known with this time is told of no second time.
    /// When there are too many, the one that would be told of last is watched again when it goes on.
    pub fn watch(&self, run: &Run) {
        let at = due(run);
        if run.spec.deadline().since(at) < LEAST {
            return;
        }
        let (id, mut inner) = (run.spec.id, self.runs.lock());
        if inner.runs.len() >= self.most && !inner.runs.contains_key(&id) && !inner.make_room(at) {
            return;
        }
        match inner.runs.insert(id, at) {
            Some(before) if before == at => {}
            Some(before) => {
                inner.next.remove(&(before, id));
                inner.next.insert((at, id));
            }
            None => {
                inner.next.insert((at, id));
            }
        }
    }

    /// A run has ended.
    pub fn ended(&self, run: RunId) {
        let mut inner = self.runs.lock();
        if let Some(at) = inner.runs.remove(&run) {
            inner.next.remove(&(at, run));
        }
    }

    /// Whether a run lives, as far as is known here.
    #[must_use]
    pub fn lives(&self, run: RunId) -> bool {
        self.runs.lock().runs.contains_key(&run)
    }

    /// At most so many runs that are to be told of now, those that came first before the others. Each
    /// is given once.
    #[must_use]
    pub fn take(&self, now: Timestamp, limit: usize) -> Vec<RunId> {
        let mut inner = self.runs.lock();
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some((at, run)) = inner.next.pop_first()
        {
            if at > now {
                inner.next.insert((at, run));
                break;
            }
            taken.push(run);
        }
        taken
    }
}

impl Inner {
    /// Forgets the run that is told of last, if that is after this instant; whether it did.
    fn make_room(&mut self, at: Timestamp) -> bool {
        let last = self.next.last().copied().filter(|(last, _)| *last > at);
        if let Some(last) = last {
            self.next.remove(&last);
            self.runs.remove(&last.1);
        }
        last.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sublane_core::{ConversationId, Grants, Lifetime, Priority, Purse, RunSpec};

    use super::*;

    /// A run that has a hundred seconds from this one on.
    fn run(number: u8, second: u64) -> Run {
        let begun = Timestamp(second * 1_000);
        let mut grants = serde_json::json!({
            "spawn": null, "channels": [], "tools": [], "kv": [], "artifacts": false,
            "caps": { "deadline": 0, "memory_bytes": 1 },
        });
        grants["caps"]["deadline"] = serde_json::json!(begun.0 + 100_000);
        let grants: Grants = serde_json::from_value(grants).expect("grants in their stored form");
        Run::queued(RunSpec {
            id: RunId([number; 16]),
            parent: None,
            lifetime: Lifetime::Detached,
            conversation: ConversationId([0; 16]),
            origin: "console:me".parse().expect("well formed"),
            plugin: "p".into(),
            agent: "a".into(),
            plugin_digest: "ab".into(),
            name: "run".into(),
            lane: "main".into(),
            priority: Priority::Normal,
            depth: 0,
            input: Arc::from("1"),
            artifacts: Vec::new(),
            grants,
            purse: Purse::default(),
            destinations: Vec::new(),
            created: begun,
            dedupe_key: None,
            spawner: "p".into(),
            seed: [0; 32],
            retry: None,
        })
    }

    #[test]
    fn of_too_many_runs_those_are_watched_whose_time_is_up_first() {
        let late = Late::of(2);
        for (number, second) in [(1, 30), (2, 10), (3, 20), (4, 90), (2, 10)] {
            late.watch(&run(number, second));
        }
        let lives = [1, 2, 3, 4].map(|number| late.lives(RunId([number; 16])));
        assert_eq!(lives, [false, true, true, false]);
        let told = |second: u64| late.take(Timestamp(second * 1_000), 9);
        assert_eq!(told(89), []);
        assert_eq!(told(100), [RunId([2; 16]), RunId([3; 16])]);
        // Both live and were told of: nobody makes room until one of them has ended.
        late.watch(&run(1, 30));
        assert!(!late.lives(RunId([1; 16])));
        late.ended(RunId([2; 16]));
        late.watch(&run(1, 30));
        assert_eq!(told(110), [RunId([1; 16])]);
    }
}
