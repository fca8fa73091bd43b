//! Runs that begin by a schedule: each instant makes one run, or is passed over.
//!
//! Owns the rows of schedules. How far one was decided and the run that it made are one commit, so
//! neither a crash nor a second host makes it come twice.

mod rule;

use std::sync::Arc;
use std::time::Duration;

use sublane_core::{Destination, Timestamp};
use sublane_store::{Firing, ScheduleRow, StoreError};
use tokio::sync::{Notify, watch};

use crate::error::chain;
use crate::host::Inner;
use crate::intake::{IntakeError, Task};

pub use rule::{Rule, RuleError};

/// So late an instant may be before it is missed.
const GRACE: Duration = Duration::from_secs(60);
/// A clock that is set back by more than this was wrong before: schedules begin anew.
const SET_BACK: Duration = Duration::from_secs(86_400);
/// Instants that are counted at most when they are passed over together.
const COUNTED: u64 = 1_000;

/// What becomes of instants at which no host was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// One run for all of them, as soon as a host is there.
    #[default]
    Once,
    /// Nothing.
    Skip,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When it comes.
    pub rule: Rule,
    /// `plugin/agent`, or `plugin` for its only one.
    pub agent: String,
    /// The input as JSON text.
    pub task: String,
    /// Where the endings are delivered. The first is what `origin` means to the runs.
    pub deliver: Vec<Destination>,
    /// What becomes of instants at which no host was there.
    pub missed: Missed,
}

impl Schedule {
    /// The run of one of its instants.
    fn task(&self, at: Timestamp) -> Task {
        let own = || Destination { channel: "schedule".to_owned(), address: self.name.clone() };
        Task {
            agent: self.agent.clone(),
            input: self.task.clone(),
            origin: self.deliver.first().cloned().unwrap_or_else(own),
            lane: "main",
            deliver: self.deliver.clone(),
            event: Some(format!("schedule {} at {}", self.name, at.0)),
        }
    }
}

/// What is to be decided about a schedule now.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    decided: Timestamp,
    run: Option<Timestamp>,
    passed: u64,
}

/// What is due of a schedule that was decided up to an instant.
fn due(schedule: &Schedule, decided: Timestamp, now: Timestamp) -> Option<Due> {
    if decided.since(now) > SET_BACK {
        return Some(Due { decided: now, run: None, passed: 0 });
    }
    let last = schedule.rule.last_until(now).filter(|last| *last > decided)?;
    let mut before = 0;
    let mut at = decided;
    while let Some(next) = schedule.rule.next_after(at).filter(|next| *next < last && before < COUNTED) {
        (before, at) = (before + 1, next);
    }
    Some(match schedule.missed {
        Missed::Skip if now.since(last) > GRACE => Due { decided: last, run: None, passed: before + 1 },
        _ => Due { decided: last, run: Some(last), passed: before },
    })
}

/// A schedule and how far it was decided.
struct Kept {
    schedule: Schedule,
    decided: Timestamp,
    /// When there is something to decide.
    next: Option<Timestamp>,
}

impl Kept {
    fn new(schedule: Schedule, decided: Timestamp) -> Self {
        let next = schedule.rule.next_after(decided);
        Self { schedule, decided, next }
    }
}

impl Inner {
    /// Decides what is due of a schedule.
    async fn fire(self: &Arc<Self>, kept: &mut Kept) -> Result<(), StoreError> {
        let (schedule, now) = (&kept.schedule, self.clock.now());
        let is_due = kept.next.is_some_and(|next| next <= now) || kept.decided.since(now) > SET_BACK;
        let Some(mut due) = is_due.then(|| due(schedule, kept.decided, now)).flatten() else { return Ok(()) };
        let mut note = "no host was there in time".to_owned();
        let planned = match due.run {
            Some(at) => match self.plan(schedule.task(at)) {
                Ok(accept) => Some((at, Box::new(accept))),
                Err(IntakeError::Store(error)) => return Err(error),
                Err(error) => {
                    note = chain(&error);
                    due.passed += 1;
                    tracing::error!(schedule = %schedule.name, error = note, "a schedule cannot make its run");
                    None
                }
            },
            None => None,
        };
        let deadline = planned.as_ref().map(|(_, accept)| accept.spec.deadline());
        let firing = Firing {
            name: schedule.name.clone(),
            rule: schedule.rule.to_string(),
            after: kept.decided,
            decided: due.decided,
            run: planned,
            passed: due.passed,
            note: note.into(),
        };
        let fired = self.store.fire_schedule(firing).await?;
        if let Some(accepted) = &fired.accepted {
            tracing::info!(schedule = %schedule.name, run = %accepted.run, passed = due.passed, "a schedule has come");
            self.note_due(deadline);
            self.dispatch(accepted.effects.clone());
        }
        let decided = fired.row.map_or(due.decided, |row| row.decided);
        (kept.decided, kept.next) = (decided, kept.schedule.rule.next_after(decided));
        Ok(())
    }
}

/// Takes note of the schedules, and says what is wrong with one.
pub(crate) async fn begin(host: &Arc<Inner>, schedules: &[Schedule]) -> Result<Vec<ScheduleRow>, StoreError> {
    let now = host.clock.now();
    for schedule in schedules {
        if let Err(error) = host.plan(schedule.task(now)) {
            let error = chain(&error);
            tracing::error!(schedule = %schedule.name, error, "a schedule cannot make runs");
        }
    }
    let rules = schedules.iter().map(|schedule| (schedule.name.clone(), schedule.rule.to_string())).collect();
    host.store.set_schedules(rules, now).await
}

/// Makes the runs of schedules. When the next one comes; also every sweep, since clocks jump.
pub(crate) async fn sweep(
    host: Arc<Inner>,
    schedules: Vec<Schedule>,
    rows: Vec<ScheduleRow>,
    mut stopped: watch::Receiver<bool>,
) {
    let never = Notify::new();
    let decided = |schedule: Schedule| {
        let row = rows.iter().find(|row| row.name == schedule.name)?;
        Some(Kept::new(schedule, row.decided))
    };
    let mut kept: Vec<Kept> = schedules.into_iter().filter_map(decided).collect();
    loop {
        let begun = host.clock.now();
        for kept in &mut kept {
            if let Err(error) = host.fire(kept).await {
                let schedule = &kept.schedule.name;
                tracing::error!(schedule, %error, "a schedule could not be decided; the next sweep tries again");
            }
        }
        // What came while the others were decided is decided at once.
        let next = kept.iter().filter_map(|kept| kept.next).filter(|next| *next > begun).min();
        if !host.woken(&never, next, &mut stopped).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly(missed: Missed) -> Schedule {
        Schedule {
            name: "report".into(),
            rule: Rule::new("0 * * * *", jiff::tz::TimeZone::UTC).expect("a rule"),
            agent: "a".into(),
            task: "{}".into(),
            deliver: Vec::new(),
            missed,
        }
    }

    const HOUR: u64 = 3_600_000;

    fn check(missed: Missed, decided: u64, now: u64, expected: Option<(u64, Option<u64>, u64)>) {
        let found = due(&hourly(missed), Timestamp(decided), Timestamp(now));
        let expected = expected.map(|(decided, run, passed)| Due {
            decided: Timestamp(decided),
            run: run.map(Timestamp),
            passed,
        });
        assert_eq!(found, expected, "{missed:?}, decided up to {decided}, at {now}");
    }

    #[test]
    fn each_instant_is_decided_once() {
        for missed in [Missed::Once, Missed::Skip] {
            check(missed, HOUR, 2 * HOUR - 1, None);
            check(missed, HOUR, 2 * HOUR, Some((2 * HOUR, Some(2 * HOUR), 0)));
            check(missed, 2 * HOUR, 2 * HOUR, None);
            check(missed, 2 * HOUR, 2 * HOUR + 59_000, None);
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_or_not_at_all() {
        check(Missed::Once, HOUR, 5 * HOUR + 120_000, Some((5 * HOUR, Some(5 * HOUR), 3)));
        check(Missed::Skip, HOUR, 5 * HOUR + 120_000, Some((5 * HOUR, None, 4)));
        // The last of them is on time.
        check(Missed::Skip, HOUR, 5 * HOUR + 60_000, Some((5 * HOUR, Some(5 * HOUR), 3)));
        check(Missed::Skip, HOUR, 9_000 * HOUR, Some((9_000 * HOUR, Some(9_000 * HOUR), COUNTED)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_come_twice() {
        check(Missed::Once, 10 * HOUR, 8 * HOUR, None);
        check(Missed::Once, 10 * HOUR, 10 * HOUR, None);
        // It was wrong by far: from now on.
        check(Missed::Once, 100 * HOUR, 8 * HOUR, Some((8 * HOUR, None, 0)));
    }
}
