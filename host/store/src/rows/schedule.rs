//! Schedules, as hosts refer to them: how far each was decided.

use sublane_core::{RunId, Timestamp};

use super::Result;

/// How far a schedule was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Its expression and time zone: one that was changed is a new one.
    pub rule: String,
    /// Every instant up to this one was decided: it made a run, or it was passed over.
    pub decided: Timestamp,
    /// The last instant that made a run, and the run, which may be gone.
    pub fired: Option<(Timestamp, RunId)>,
    /// How many instants were passed over.
    pub passed: u64,
    /// Why the last of them was, for people. Empty when none was.
    pub note: String,
}

/// What knows how far schedules were decided.
pub trait ScheduleRows {
    /// All of them, by their names.
    fn schedules(&mut self) -> Result<Vec<ScheduleRow>>;
    /// One by its name.
    fn schedule(&mut self, name: &str) -> Result<Option<ScheduleRow>>;
    /// Adds a schedule, or takes the place of what was noted of it.
    fn put_schedule(&mut self, schedule: &ScheduleRow) -> Result<()>;
    /// Forgets a schedule.
    fn delete_schedule(&mut self, name: &str) -> Result<()>;
}
