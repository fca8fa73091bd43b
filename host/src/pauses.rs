//! Plugins that break down again and again: no new run of theirs begins for a while.
//!
//! Owns the count and the pause, which are rows, so that a restart forgets neither; who waits for
//! the end of a pause is in memory, since the sweep finds it again. What others made a plugin do
//! does not count, else one plugin could have another one paused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::{Outcome, Run, RunId, Timestamp};
use sublane_store::{PauseRow, StoreError};

use crate::host::Inner;

/// The first pause. Each breakdown that follows one doubles it.
const FIRST: Duration = Duration::from_secs(60);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How plugins fail, and whose runs wait.
#[derive(Debug, Default)]
pub struct Pauses {
    state: Mutex<State>,
    /// Whether there is anything in it: most hosts ask often and have nothing.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    noted: HashMap<String, PauseRow>,
    /// Runs that wait for the end of a pause, by plugin.
    held: HashMap<String, HashSet<RunId>>,
}

impl State {
    fn until(&self, plugin: &str, now: Timestamp) -> Option<Timestamp> {
        self.noted.get(plugin)?.until.filter(|until| *until > now)
    }
}

/// How long a plugin is paused after so many breakdowns in a row; `None`: it is not.
fn pause(failures: u32, limit: u32) -> Option<Duration> {
    let beyond = failures.checked_sub(limit)?;
    Some(FIRST.saturating_mul(1 << beyond.min(16)).min(LONGEST))
}

impl Pauses {
    /// What an earlier host has noted.
    #[must_use]
    pub fn new(rows: Vec<PauseRow>) -> Self {
        let any = AtomicBool::new(!rows.is_empty());
        let noted = rows.into_iter().map(|row| (row.plugin.clone(), row)).collect();
        Self { state: Mutex::new(State { noted, held: HashMap::new() }), any }
    }

    /// Until when no new run of this plugin begins, if that is to come.
    #[must_use]
    pub fn until(&self, plugin: &str, now: Timestamp) -> Option<Timestamp> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        self.state.lock().until(plugin, now)
    }

    /// A new run of a plugin is about to begin: whether it has to wait. It is remembered then.
    pub(crate) fn hold(&self, plugin: &str, run: RunId, now: Timestamp) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        let is_paused = state.until(plugin, now).is_some();
        if is_paused {
            state.held.entry(plugin.to_owned()).or_default().insert(run);
        }
        is_paused
    }

    /// Whether a run waits for the end of its plugin's pause. Nobody does once that is over.
    pub(crate) fn holds(&self, plugin: &str, run: RunId, now: impl FnOnce() -> Timestamp) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let now = now();
        let mut state = self.state.lock();
        if state.until(plugin, now).is_none() {
            state.held.remove(plugin);
            return false;
        }
        state.held.get(plugin).is_some_and(|held| held.contains(&run))
    }

    /// One more breakdown in a row.
    fn failed(&self, plugin: &str, why: &str, limit: u32, now: Timestamp) -> PauseRow {
        let mut state = self.state.lock();
        let failures = state.noted.get(plugin).map_or(0, |row| row.failures).saturating_add(1);
        let until = pause(failures, limit).map(|pause| now.after(pause));
        let row = PauseRow { plugin: plugin.to_owned(), failures, until, why: why.to_owned() };
        state.noted.insert(plugin.to_owned(), row.clone());
        self.any.store(true, Ordering::Relaxed);
        row
    }

    /// Forgets how a plugin failed. Gives whether there was anything.
    fn forget(&self, plugin: &str) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        state.held.remove(plugin);
        let was_noted = state.noted.remove(plugin).is_some();
        self.any.store(!state.noted.is_empty(), Ordering::Relaxed);
        was_noted
    }
}

impl Inner {
    /// A run has ended so: counts breakdowns in a row, and pauses the plugin when they are too many.
    pub(crate) async fn count_breakdown(self: &Arc<Self>, run: &Run, outcome: &Outcome) {
        let plugin = &run.spec.plugin;
        let noted = match outcome {
            Outcome::Succeeded(_) => self.lift_pause(plugin).await,
            Outcome::Failed { reason, .. } if reason.is_breakdown() && run.spec.spawner == *plugin => {
                let limit = self.settings.max_breakdowns;
                let row = self.pauses.failed(plugin, reason.sentence(), limit, self.clock.now());
                if let Some(until) = row.until {
                    let seconds = until.since(self.clock.now()).as_secs();
                    tracing::warn!(
                        plugin,
                        failures = row.failures,
                        seconds,
                        why = row.why,
                        "a plugin breaks down again and again and is paused: its new runs wait; \
                         `sublane plugin reload` lifts it"
                    );
                }
                self.store.set_pause(row).await
            }
            _ => Ok(()),
        };
        if let Err(error) = noted {
            tracing::warn!(plugin, %error, "how a plugin fails could not be noted; a restart forgets it");
        }
    }

    /// A plugin begins anew.
    ///
    /// # Errors
    /// Those of the store; until the next start it is lifted all the same.
    pub(crate) async fn lift_pause(&self, plugin: &str) -> Result<(), StoreError> {
        if self.pauses.forget(plugin) { self.store.lift_pause(plugin.into()).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_from_a_minute_to_an_hour() {
        let minutes = |failures| pause(failures, 5).map(|pause| pause.as_secs() / 60);
        let found: Vec<_> = [1, 4, 5, 6, 7, 10, 11, 12, u32::MAX].map(minutes).into();
        let expected = [None, None, Some(1), Some(2), Some(4), Some(32), Some(60), Some(60), Some(60)];
        assert_eq!(found, expected);
    }
}
