//! What guests log, on its way to the store.
//!
//! Owns the lines that are not stored yet, within bounds for each run and for
//! all. Never delays a guest: a line is a note in a queue, and where lines come
//! faster than they can be kept the oldest of the same run go and are counted.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::id::IdMap;
use sublane_core::{RunId, Timestamp};
use sublane_store::ops::log_bytes;
use sublane_store::{LogLevel, LogLine, Store};
use tokio::sync::Notify;

/// How long a line waits for others to be stored with it.
pub const PERIOD: Duration = Duration::from_millis(250);
/// Bytes of one run's lines that wait.
const MAX_RUN_BYTES: u64 = 64 << 10;
/// Bytes of all runs' lines that wait; the newest line of each run may be more.
const MAX_BYTES: u64 = 4 << 20;
/// Bytes that one commit writes.
const COMMIT_BYTES: u64 = 64 << 10;

/// Lines that are not stored yet.
#[derive(Default)]
pub struct RunLogs {
    waiting: Mutex<Waiting>,
    /// A line waits.
    pub wake: Notify,
}

#[derive(Default)]
struct Waiting {
    runs: IdMap<RunId, VecDeque<LogLine>>,
    bytes: u64,
}

impl Waiting {
    fn take(&mut self, run: RunId) -> Vec<LogLine> {
        let Some(lines) = self.runs.remove(&run) else { return Vec::new() };
        self.bytes -= lines.iter().map(|line| log_bytes(&line.line)).sum::<u64>();
        lines.into()
    }

    /// Takes runs off the list, and what waits of them, until it is enough for a commit.
    fn take_some(&mut self, runs: &mut Vec<RunId>) -> Vec<LogLine> {
        let (full, mut batch) = (self.bytes.saturating_sub(COMMIT_BYTES), Vec::new());
        while (batch.is_empty() || self.bytes > full)
            && let Some(run) = runs.pop()
        {
            batch.extend(self.take(run));
        }
        batch
    }
}

impl RunLogs {
    /// What the host itself has to say in the log of a run's attempt, as a warning.
    pub fn tell(&self, run: RunId, generation: u32, attempt: u32, at: Timestamp, what: &str) {
        self.push(LogLine {
            run,
            number: 0,
            generation,
            attempt,
            at,
            level: LogLevel::Warn,
            plugin: None,
            dropped: 0,
            line: format!("(the host) {what}").into(),
        });
    }

    /// Takes a line of a run.
    pub fn push(&self, mut line: LogLine) {
        let mut guard = self.waiting.lock();
        let waiting = &mut *guard;
        let was_empty = waiting.runs.is_empty();
        let lines = waiting.runs.entry(line.run).or_default();
        let new = log_bytes(&line.line);
        let mut own: u64 = lines.iter().map(|line| log_bytes(&line.line)).sum();
        let mut dropped = 0;
        while own + new > MAX_RUN_BYTES || waiting.bytes + new > MAX_BYTES {
            let Some(oldest) = lines.pop_front() else { break };
            let freed = log_bytes(&oldest.line);
            own -= freed;
            waiting.bytes -= freed;
            dropped += 1 + oldest.dropped;
        }
        // Told where they are missing: before the oldest line that is left.
        lines.front_mut().unwrap_or(&mut line).dropped += dropped;
        lines.push_back(line);
        waiting.bytes += new;
        drop(guard);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Takes out what waits of a run.
    #[must_use]
    pub fn take(&self, run: RunId) -> Vec<LogLine> {
        self.waiting.lock().take(run)
    }

    /// Stores all that waits, in commits of a bounded size. What cannot be stored is lost, which is told.
    pub async fn flush(&self, store: &dyn Store) {
        let mut runs: Vec<RunId> = self.waiting.lock().runs.keys().copied().collect();
        while !runs.is_empty() {
            // Taken out when its turn comes: what a run logs later is not stored before it.
            let batch = self.waiting.lock().take_some(&mut runs);
            write(store, batch).await;
        }
    }
}

/// Stores lines, if there are any.
pub async fn write(store: &dyn Store, lines: Vec<LogLine>) {
    let count = lines.len();
    if count > 0
        && let Err(error) = store.log(lines).await
    {
        tracing::warn!(%error, count, "lines that plugins logged could not be stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use sublane_core::Timestamp;
    use sublane_store::LogLevel;

    fn line(run: u8, text: impl Into<Arc<str>>) -> LogLine {
        LogLine {
            run: RunId([run; 16]),
            number: 0,
            generation: 0,
            attempt: 1,
            at: Timestamp(0),
            level: LogLevel::Info,
            plugin: None,
            dropped: 0,
            line: text.into(),
        }
    }

    fn texts(lines: &[LogLine]) -> Vec<(u32, &str)> {
        lines.iter().map(|line| (line.dropped, &line.line[..1])).collect()
    }

    #[test]
    fn a_run_that_floods_loses_its_own_oldest_lines_and_the_gap_is_told() {
        let logs = RunLogs::default();
        logs.push(line(2, "b"));
        let long = "x".repeat(20 << 10);
        for first in ["1", "2", "3", "4", "5"] {
            logs.push(line(1, format!("{first}{long}")));
        }
        assert_eq!(texts(&logs.take(RunId([1; 16]))), [(2, "3"), (0, "4"), (0, "5")]);
        logs.push(line(1, "z".repeat(100 << 10)));
        logs.push(line(1, "6"));
        assert_eq!(texts(&logs.take(RunId([1; 16]))), [(1, "6")], "one that is too long for all");
        assert_eq!(texts(&logs.take(RunId([2; 16]))), [(0, "b")], "another run's stay");
    }

    #[test]
    fn many_runs_that_flood_keep_their_newest_line_each() {
        let logs = RunLogs::default();
        let long = "x".repeat(60 << 10);
        for round in 0..2 {
            for run in 0..100 {
                logs.push(line(run, format!("{round}{long}")));
            }
        }
        for run in 0..100 {
            assert_eq!(texts(&logs.take(RunId([run; 16]))), [(1, "1")]);
        }
        assert_eq!(logs.waiting.lock().bytes, 0);
    }
}
