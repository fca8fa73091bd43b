//! Runs that begin by a schedule: each of its instants is decided once.

use std::sync::Arc;

use sublane_core::Timestamp;

use super::{Accept, Accepted, Effects, Result, accept};
use crate::rows::{Rows, ScheduleRow};

/// Instants of a schedule that are decided together.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The schedule.
    pub name: String,
    /// Its expression and time zone.
    pub rule: String,
    /// Up to where it was decided, as whoever decides this has read it.
    pub after: Timestamp,
    /// Up to where it is decided with this.
    pub decided: Timestamp,
    /// The run that it makes, and for which of the instants.
    pub run: Option<(Timestamp, Box<Accept>)>,
    /// How many of the instants are passed over.
    pub passed: u64,
    /// Why, for people.
    pub note: Arc<str>,
}

/// What became of a [`Firing`].
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// The row as it is now; `None` when there is no such schedule any more.
    pub row: Option<ScheduleRow>,
    /// The run that was made. None when the row was not as it had been read: then nothing was written.
    pub accepted: Option<Accepted>,
}

/// The schedules of the host are these now, by name and rule: those that are new, and those whose
/// rule has changed, are decided up to now. Gives their rows.
pub fn set_schedules(
    rows: &mut dyn Rows,
    schedules: &[(String, String)],
    now: Timestamp,
) -> Result<Vec<ScheduleRow>> {
    for gone in rows.schedules()? {
        if schedules.iter().all(|(name, _)| *name != gone.name) {
            rows.delete_schedule(&gone.name)?;
        }
    }
    for (name, rule) in schedules {
        let was = rows.schedule(name)?;
        if was.as_ref().is_some_and(|was| was.rule == *rule) {
            continue;
        }
        let new = ScheduleRow {
            name: name.clone(),
            rule: rule.clone(),
            decided: now,
            fired: None,
            passed: 0,
            note: String::new(),
        };
        let kept = was.map(|was| ScheduleRow { rule: rule.clone(), decided: now, ..was });
        rows.put_schedule(&kept.unwrap_or(new))?;
    }
    rows.schedules()
}

/// Decides instants of a schedule, and makes its run, if nobody has decided them since they were read.
pub fn fire_schedule(rows: &mut dyn Rows, firing: Firing) -> Result<Fired> {
    let Firing { name, rule, after, decided, run, passed, note } = firing;
    let row = rows.schedule(&name)?;
    let Some(mut row) = row.clone().filter(|row| row.rule == rule && row.decided == after) else {
        return Ok(Fired { row, accepted: None });
    };
    let accepted = match run {
        Some((at, new)) => {
            let accepted = accept(rows, *new)?;
            row.fired = Some((at, accepted.run));
            Some(accepted)
        }
        None => None,
    };
    row.decided = decided;
    if passed > 0 {
        row.passed = row.passed.saturating_add(passed);
        row.note = note.to_string();
    }
    rows.put_schedule(&row)?;
    Ok(Fired { row: Some(row), accepted })
}

impl Fired {
    /// What the host should do next.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.accepted.as_ref().map_or_else(Effects::default, |accepted| accepted.effects.clone())
    }
}
