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

/// The runs that live, and when each is told of.
#[derive(Default)]
pub struct Late(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Generation of each run, and when it is told of.
    runs: IdMap<RunId, (u32, Timestamp)>,
    /// Those that were not told of yet.
    next: BTreeSet<(Timestamp, RunId)>,
}

/// When so much of a run's time is used.
fn due(run: &Run) -> Timestamp {
    let time = run.spec.deadline().since(run.begun);
    run.begun.after(time * PER_CENT / 100)
}

impl Late {
    /// A run begins, goes on or waits. One that is known in this generation is told of no second time.
    pub fn watch(&self, run: &Run) {
        let at = due(run);
        if run.spec.deadline().since(at) < LEAST {
            return;
        }
        let (id, mut inner) = (run.spec.id, self.0.lock());
        match inner.runs.insert(id, (run.generation, at)) {
            Some((generation, _)) if generation == run.generation => {}
            Some((_, before)) => {
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
        let mut inner = self.0.lock();
        if let Some((_, at)) = inner.runs.remove(&run) {
            inner.next.remove(&(at, run));
        }
    }

    /// Whether a run lives, as far as is known here.
    #[must_use]
    pub fn lives(&self, run: RunId) -> bool {
        self.0.lock().runs.contains_key(&run)
    }

    /// At most so many runs that are to be told of now, those that came first before the others. Each
    /// is given once.
    #[must_use]
    pub fn take(&self, now: Timestamp, limit: usize) -> Vec<RunId> {
        let mut inner = self.0.lock();
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
