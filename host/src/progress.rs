//! Progress of runs, on its way to people and to the store.
//!
//! The newest report of a run wins. At a destination nobody is told more than
//! once in [`PERIOD`], whatever number of runs report there: they take turns.
//! A run whose time is nearly up is told with what is left of it. Nobody is told
//! after the result. Never delays anything: a report is a note in a map, which goes
//! as soon as everybody was told.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::id::IdMap;
use sublane_core::{Destination, Run, RunId, RunSpec, Timestamp};
use tokio::sync::Notify;

use crate::channel::{Channels, RunLabel};

#[cfg(test)]
mod tests;

/// The shortest time between two reports at one destination, and of one run in the store.
pub const PERIOD: Duration = Duration::from_secs(1);

/// What runs have reported and nobody was told yet.
pub struct Progress {
    inner: Mutex<Inner>,
    channels: Channels,
    /// Something was reported.
    pub wake: Notify,
}

#[derive(Default)]
struct Inner {
    /// Of which somebody was not told, or the store.
    reports: IdMap<RunId, Report>,
    /// When the report of each run was stored, as long as that is not [`PERIOD`] ago.
    stored: IdMap<RunId, Timestamp>,
    /// Runs whose time is nearly up.
    late: HashSet<RunId>,
    /// When each destination was told, as long as that is not [`PERIOD`] ago.
    told: HashMap<Destination, Timestamp>,
    /// Turns given so far.
    turns: u64,
}

/// The newest report of a run.
struct Report {
    spec: Arc<RunSpec>,
    percent: u8,
    note: Arc<str>,
    is_stored: bool,
    /// Destinations that were not told of it, by their number in the specification, each with
    /// the run's turn there: a newer report keeps the turn of the one that it replaces.
    waits: HashMap<usize, u64>,
}

impl Progress {
    /// Tells these channels.
    #[must_use]
    pub fn new(channels: Channels) -> Self {
        Self { inner: Mutex::default(), channels, wake: Notify::new() }
    }

    /// A run reports, unless it `is_over`: that is asked under the lock that [`Self::ended`] takes,
    /// so that a guest that was told to stop and goes on for a tick says nothing after its result.
    pub fn report(&self, spec: &Arc<RunSpec>, percent: u8, note: &str, is_over: impl FnOnce() -> bool) {
        let mut inner = self.inner.lock();
        if is_over() {
            return;
        }
        let report = self.take_turns(&mut inner, spec);
        (report.percent, report.note, report.is_stored) = (percent, note.into(), false);
        self.wake.notify_one();
    }

    /// A run's time is nearly up: people are told what is left of it, now and with all that it reports
    /// from now on. Unless it `is_over`, as in [`Self::report`].
    pub fn late(&self, run: &Run, is_over: impl FnOnce() -> bool) {
        let mut inner = self.inner.lock();
        if is_over() {
            return;
        }
        inner.late.insert(run.spec.id);
        let is_new = !inner.reports.contains_key(&run.spec.id);
        let report = self.take_turns(&mut inner, &run.spec);
        if let Some((percent, note)) = run.progress.as_ref().filter(|_| is_new) {
            (report.percent, report.note) = (*percent, note.clone());
        }
        self.wake.notify_one();
    }

    /// The report of a run, which waits from now on wherever it does not yet.
    fn take_turns<'i>(&self, inner: &'i mut Inner, spec: &Arc<RunSpec>) -> &'i mut Report {
        let Inner { reports, turns, .. } = inner;
        *turns += 1;
        let report = match reports.entry(spec.id) {
            Entry::Occupied(old) => old.into_mut(),
            Entry::Vacant(new) => new.insert(Report {
                spec: spec.clone(),
                percent: 0,
                note: "".into(),
                // There is nothing to store until the run itself says something.
                is_stored: true,
                waits: HashMap::new(),
            }),
        };
        for (number, destination) in spec.destinations.iter().enumerate() {
            if self.channels.get(&destination.channel).is_some() {
                report.waits.entry(number).or_insert(*turns);
            }
        }
        report
    }

    /// A run has ended: whatever it reported is of no interest any more.
    pub fn ended(&self, run: RunId) {
        let mut inner = self.inner.lock();
        inner.reports.remove(&run);
        inner.stored.remove(&run);
        inner.late.remove(&run);
    }

    /// Tells people what is new, and gives what is new for the store. Called under no lock of the
    /// caller's.
    pub fn flush(&self, now: Timestamp) -> Vec<(RunId, u8, Arc<str>)> {
        let mut inner = self.inner.lock();
        let Inner { reports, stored, late, told, .. } = &mut *inner;
        told.retain(|_, at| !is_time(*at, now));
        stored.retain(|_, at| !is_time(*at, now));
        for (run, number) in next_turns(reports, told) {
            let report = reports.get_mut(&run).expect("it was just there");
            let all = &report.spec.destinations;
            let destination = &all[number];
            report.waits.retain(|other, _| all[*other] != *destination);
            told.insert(destination.clone(), now);
            if let Some(channel) = self.channels.get(&destination.channel) {
                let label = RunLabel { run, name: report.spec.name.as_str().into() };
                channel.progress(
                    &destination.address,
                    &label,
                    report.percent,
                    &report.told(now, late.contains(&run)),
                );
            }
        }
        let mut new = Vec::new();
        for (run, report) in reports.iter_mut().filter(|(_, report)| !report.is_stored) {
            if let Entry::Vacant(stored) = stored.entry(*run) {
                stored.insert(now);
                report.is_stored = true;
                new.push((*run, report.percent, report.note.clone()));
            }
        }
        reports.retain(|_, report| !report.is_stored || !report.waits.is_empty());
        new
    }

    /// When the next report is due, if one waits.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let inner = self.inner.lock();
        let after = |told: Option<&Timestamp>| told.map_or(Timestamp(0), |told| told.after(PERIOD));
        let due = |report: &Report| {
            let store = (!report.is_stored).then(|| after(inner.stored.get(&report.spec.id)));
            let waits = report.waits.keys();
            let people = waits.map(|number| after(inner.told.get(&report.spec.destinations[*number])));
            people.chain(store).min()
        };
        inner.reports.values().filter_map(due).min()
    }

    /// When [`Self::flush`] can forget something that paces reports, if there is any.
    #[must_use]
    pub fn forgets(&self) -> Option<Timestamp> {
        let inner = self.inner.lock();
        inner.stored.values().chain(inner.told.values()).min().map(|at| at.after(PERIOD))
    }
}

impl Report {
    /// The note, with what is left of the run's time when that is little.
    fn told(&self, now: Timestamp, is_late: bool) -> Arc<str> {
        if !is_late {
            return self.note.clone();
        }
        let left = left(self.spec.deadline().since(now));
        if self.note.is_empty() { left.into() } else { format!("{}, {left}", self.note).into() }
    }
}

/// What is left of a run's time, for people: `90 s left`, `12 min left`.
#[must_use]
pub fn left(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s left"),
        seconds => format!("{} min left", seconds / 60),
    }
}

/// Whether the next report may follow on one at `told`. A clock that was set back says nothing of it.
fn is_time(told: Timestamp, now: Timestamp) -> bool {
    now < told || now.since(told) >= PERIOD
}

/// For each destination that may be told, the run whose turn it is, and the destination's number there.
fn next_turns(reports: &IdMap<RunId, Report>, told: &HashMap<Destination, Timestamp>) -> Vec<(RunId, usize)> {
    let mut next: HashMap<&Destination, (u64, RunId, usize)> = HashMap::new();
    for (run, report) in reports {
        for (number, turn) in &report.waits {
            let destination = &report.spec.destinations[*number];
            if told.contains_key(destination) {
                continue;
            }
            let mine = (*turn, *run, *number);
            next.entry(destination).and_modify(|first| *first = mine.min(*first)).or_insert(mine);
        }
    }
    next.into_values().map(|(_, run, number)| (run, number)).collect()
}
