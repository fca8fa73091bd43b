//! What guests log: kept cheaply, the newest lines of each run, and not for ever.

use std::time::Duration;

use sublane_core::Timestamp;

use super::Result;
use super::retain::{Position, before};
use crate::rows::{LogLine, Rows};

/// Lines of one run that are kept.
pub const MAX_LOG_LINES: u64 = 1_000;
/// Bytes of one run's lines that are kept; the newest line always is.
pub const MAX_LOG_BYTES: u64 = 256 << 10;

/// What a line counts beside its text.
const LINE_BYTES: u64 = 64;
/// Lines whose place is looked at together.
const PAGE: u32 = 64;
/// Ended runs that one removal looks at.
const RUNS: u32 = 256;

/// What a removal of old lines came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OldLogs {
    /// Lines that are gone.
    pub lines: u32,
    /// Where the removal goes on; everything before it is gone for good.
    pub next: Option<Position>,
    /// Whether there may be more to remove now.
    pub is_more: bool,
}

/// What a line counts.
#[must_use]
pub fn log_bytes(line: &str) -> u64 {
    line.len() as u64 + LINE_BYTES
}

/// Adds lines, those of one run in their order. Lines of a run that is gone are passed over.
pub fn log(rows: &mut dyn Rows, lines: Vec<LogLine>) -> Result<()> {
    for of_run in lines.chunk_by(|one, next| one.run == next.run) {
        let run = of_run[0].run;
        if rows.run(run)?.is_none() {
            continue;
        }
        let (mut number, mut total) = rows.last_log(run)?.unwrap_or_default();
        for line in of_run {
            number += 1;
            total += log_bytes(&line.line);
            rows.insert_log(&LogLine { number, ..line.clone() }, total)?;
        }
        loop {
            let oldest = rows.oldest_logs(run, PAGE)?;
            let is_beyond =
                |place: &&(u64, u64)| number - place.0 >= MAX_LOG_LINES || total - place.1 >= MAX_LOG_BYTES;
            let beyond = oldest.iter().take_while(is_beyond).count();
            rows.trim_log(run, u32::try_from(beyond).expect("a page of them"))?;
            if beyond < oldest.len() || oldest.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// Removes lines of runs that ended so long ago, at most so many lines, going on from a position.
pub fn remove_logs(
    rows: &mut dyn Rows,
    age: Duration,
    after: Option<Position>,
    max_lines: u32,
    now: Timestamp,
) -> Result<OldLogs> {
    let mut old = OldLogs { lines: 0, next: after, is_more: false };
    let Some(until) = before(now, age) else { return Ok(old) };
    let page = rows.ended_runs(after, until, RUNS)?;
    old.is_more = page.len() >= RUNS as usize;
    for position in page {
        old.lines += rows.trim_log(position.1, max_lines.saturating_sub(old.lines))?;
        if old.lines >= max_lines {
            old.is_more = true;
            break;
        }
        old.next = Some(position);
    }
    Ok(old)
}
