//! [`ScheduleRows`] over one connection.

use rusqlite::params;
use sublane_core::RunId;

use super::codec::{Columns, bits, instant};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::{ScheduleRow, ScheduleRows};

type Result<T> = std::result::Result<T, StoreError>;

fn schedule(row: &mut Columns<'_>) -> Result<ScheduleRow> {
    Ok(ScheduleRow {
        name: row.text()?.to_owned(),
        rule: row.text()?.to_owned(),
        decided: row.instant()?,
        fired: match (row.maybe_instant()?, row.maybe_bytes()?) {
            (Some(at), Some(run)) => Some((at, RunId(run))),
            (None, None) => None,
            _ => return Err(row.wrong("an instant made a run, or there is neither")),
        },
        passed: row.bits()?,
        note: row.text()?.to_owned(),
    })
}

impl ScheduleRows for Session<'_> {
    fn schedules(&mut self) -> Result<Vec<ScheduleRow>> {
        self.all("schedule", Sql::Schedules, (), schedule)
    }

    fn schedule(&mut self, name: &str) -> Result<Option<ScheduleRow>> {
        self.one("schedule", Sql::Schedule, params![name], schedule)
    }

    fn put_schedule(&mut self, row: &ScheduleRow) -> Result<()> {
        let ScheduleRow { name, rule, decided, fired, passed, note } = row;
        let (at, run) = (fired.map(|(at, _)| instant(at)), fired.map(|(_, run)| run.0));
        let values = params![name, rule, instant(*decided), at, run, bits(*passed), note];
        self.execute(Sql::SchedulePut, values).map(drop)
    }

    fn delete_schedule(&mut self, name: &str) -> Result<()> {
        self.execute(Sql::ScheduleDelete, params![name]).map(drop)
    }
}
