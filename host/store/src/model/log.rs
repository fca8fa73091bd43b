//! [`LogRows`] over the maps.

use sublane_core::RunId;

use super::tables::Tables;
use crate::StoreError;
use crate::rows::{LogLine, LogPlace, LogRows};

type Result<T> = std::result::Result<T, StoreError>;

impl LogRows for Tables {
    fn last_log(&mut self, run: RunId) -> Result<Option<LogPlace>> {
        let last = self.logs.get(&run).and_then(|log| log.back());
        Ok(last.map(|(line, total)| (line.number, *total)))
    }

    fn oldest_logs(&mut self, run: RunId, limit: u32) -> Result<Vec<LogPlace>> {
        let log = self.logs.get(&run).into_iter().flatten();
        Ok(log.take(limit as usize).map(|(line, total)| (line.number, *total)).collect())
    }

    fn insert_log(&mut self, line: &LogLine, total: u64) -> Result<()> {
        self.logs.entry(line.run).or_default().push_back((line.clone(), total));
        Ok(())
    }

    fn trim_log(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let Some(log) = self.logs.get_mut(&run) else { return Ok(0) };
        let removed = log.len().min(limit as usize);
        log.drain(..removed);
        if log.is_empty() {
            self.logs.remove(&run);
        }
        Ok(u32::try_from(removed).expect("no more than the limit"))
    }

    fn logs(&mut self, run: RunId, after: u64) -> Result<Vec<LogLine>> {
        let log = self.logs.get(&run).into_iter().flatten();
        Ok(log.filter(|(line, _)| line.number > after).map(|(line, _)| line.clone()).collect())
    }
}
