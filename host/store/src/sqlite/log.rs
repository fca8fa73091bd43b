//! [`LogRows`] over one connection.

use std::sync::Arc;

use rusqlite::params;
use sublane_core::RunId;

use super::codec::{Columns, bits, instant};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::{LogLevel, LogLine, LogPlace, LogRows};

type Result<T> = std::result::Result<T, StoreError>;

fn place(columns: &mut Columns<'_>) -> Result<LogPlace> {
    Ok((columns.bits()?, columns.bits()?))
}

fn line(columns: &mut Columns<'_>) -> Result<LogLine> {
    Ok(LogLine {
        run: RunId(columns.bytes()?),
        number: columns.bits()?,
        generation: columns.number()?,
        attempt: columns.number()?,
        at: columns.instant()?,
        level: {
            let code = columns.integer()?;
            let known = usize::try_from(code).ok().and_then(|code| LogLevel::ALL.get(code)).copied();
            known.ok_or_else(|| columns.wrong(format_args!("{code} is no level")))?
        },
        plugin: columns.maybe_text()?.map(Arc::from),
        dropped: columns.number()?,
        line: columns.text()?.into(),
    })
}

impl LogRows for Session<'_> {
    fn last_log(&mut self, run: RunId) -> Result<Option<LogPlace>> {
        self.one("run_log", Sql::LogLast, params![run.0], place)
    }

    fn oldest_logs(&mut self, run: RunId, limit: u32) -> Result<Vec<LogPlace>> {
        self.all("run_log", Sql::LogFirst, params![run.0, limit], place)
    }

    fn insert_log(&mut self, line: &LogLine, total: u64) -> Result<()> {
        let values = params![
            line.run.0,
            bits(line.number),
            line.generation,
            line.attempt,
            instant(line.at),
            line.level as i64,
            line.plugin,
            line.dropped,
            line.line,
            bits(total)
        ];
        self.execute(Sql::LogInsert, values).map(drop)
    }

    fn trim_log(&mut self, run: RunId, limit: u32) -> Result<u32> {
        if limit == 0 {
            return Ok(0);
        }
        self.removed(Sql::LogTrim, params![run.0, limit])
    }

    fn logs(&mut self, run: RunId, after: u64) -> Result<Vec<LogLine>> {
        self.all("run_log", Sql::Logs, params![run.0, bits(after)], line)
    }
}
