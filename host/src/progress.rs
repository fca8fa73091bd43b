//! Progress of runs, on its way to people and to the store.
//!
//! The newest report wins; nobody is told more than once in [`PERIOD`], and
//! nobody after the result. Never delays anything: a report is a note in a map.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::{RunId, RunSpec, Timestamp};
use tokio::sync::Notify;

use crate::channel::{Channels, RunLabel};

/// The shortest time between two reports of one run.
pub const PERIOD: Duration = Duration::from_secs(1);

/// What runs have reported and nobody was told yet.
pub struct Progress {
    reports: Mutex<HashMap<RunId, Report>>,
    channels: Channels,
    /// Something was reported.
    pub wake: Notify,
}

struct Report {
    spec: Arc<RunSpec>,
    percent: u8,
    note: Arc<str>,
    told: Option<Timestamp>,
    is_new: bool,
}

impl Progress {
    /// Tells these channels.
    #[must_use]
    pub fn new(channels: Channels) -> Self {
        Self { reports: Mutex::new(HashMap::new()), channels, wake: Notify::new() }
    }

    /// A run reports, unless it `is_over`: that is asked under the lock that [`Self::ended`] takes,
    /// so that a guest that was told to stop and goes on for a tick says nothing after its result.
    pub fn report(&self, spec: &Arc<RunSpec>, percent: u8, note: &str, is_over: impl FnOnce() -> bool) {
        let mut reports = self.reports.lock();
        if is_over() {
            return;
        }
        let told = reports.get(&spec.id).and_then(|report| report.told);
        let report = Report { spec: spec.clone(), percent, note: note.into(), told, is_new: true };
        reports.insert(spec.id, report);
        self.wake.notify_one();
    }

    /// A run has ended: whatever it reported is of no interest any more.
    pub fn ended(&self, run: RunId) {
        self.reports.lock().remove(&run);
    }

    /// Tells people what is new, and gives it for the store. Called under no lock of the caller's.
    pub fn flush(&self, now: Timestamp) -> Vec<(RunId, u8, Arc<str>)> {
        let mut reports = self.reports.lock();
        let is_time = |told: Timestamp| now < told || now.since(told) >= PERIOD;
        let due = |report: &&mut Report| report.is_new && report.told.is_none_or(is_time);
        let mut new = Vec::new();
        for report in reports.values_mut().filter(due) {
            report.is_new = false;
            report.told = Some(now);
            let label = RunLabel { run: report.spec.id, name: report.spec.name.as_str().into() };
            for destination in &report.spec.destinations {
                if let Some(channel) = self.channels.get(&destination.channel) {
                    channel.progress(&destination.address, &label, report.percent, &report.note);
                }
            }
            new.push((report.spec.id, report.percent, report.note.clone()));
        }
        new
    }

    /// When the next report is due, if one waits.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let reports = self.reports.lock();
        let waiting = reports.values().filter(|report| report.is_new);
        waiting.map(|report| report.told.map_or(Timestamp(0), |told| told.after(PERIOD))).min()
    }
}
