//! [`ScheduleRows`] over a map.

use super::tables::Tables;
use crate::StoreError;
use crate::rows::{ScheduleRow, ScheduleRows};

type Result<T> = std::result::Result<T, StoreError>;

impl ScheduleRows for Tables {
    fn schedules(&mut self) -> Result<Vec<ScheduleRow>> {
        Ok(self.schedules.values().cloned().collect())
    }

    fn schedule(&mut self, name: &str) -> Result<Option<ScheduleRow>> {
        Ok(self.schedules.get(name).cloned())
    }

    fn put_schedule(&mut self, schedule: &ScheduleRow) -> Result<()> {
        self.schedules.insert(schedule.name.clone(), schedule.clone());
        Ok(())
    }

    fn delete_schedule(&mut self, name: &str) -> Result<()> {
        self.schedules.remove(name);
        Ok(())
    }
}
