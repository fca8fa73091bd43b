//! What the guests of a run have logged: the newest lines of each run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::{RunId, Timestamp};

use super::Result;

/// How much a line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For whoever wrote the plugin.
    #[default]
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// What may become a fault.
    Warn,
    /// What went wrong; a panic is one.
    Error,
}

impl LogLevel {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["trace", "debug", "info", "warn", "error"][self as usize]
    }
}

/// A line that a guest logged, as it wrote it: whoever shows it scrubs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The run.
    pub run: RunId,
    /// Counted for each run, from 1. The store gives it; until then 0.
    pub number: u64,
    /// The generation of the run that it was written in.
    pub generation: u32,
    /// The attempt. What an attempt logged after its last entry is logged by the next one again.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The plugin of the tool that logged it; `None`: the run's own.
    pub plugin: Option<Arc<str>>,
    /// So many lines before it came faster than they could be kept.
    pub dropped: u32,
    /// What it says.
    pub line: Arc<str>,
}

/// Where a line stands: its number, and the bytes of it and of all lines before it.
pub type LogPlace = (u64, u64);

/// Rows of logs.
pub trait LogRows {
    /// Where the newest line of a run stands.
    fn last_log(&mut self, run: RunId) -> Result<Option<LogPlace>>;
    /// Where the oldest lines of a run stand, oldest first.
    fn oldest_logs(&mut self, run: RunId, limit: u32) -> Result<Vec<LogPlace>>;
    /// Adds a line of a run that is there, behind its newest one.
    fn insert_log(&mut self, line: &LogLine, total: u64) -> Result<()>;
    /// Removes at most so many lines of a run, the oldest first; how many it removed.
    fn trim_log(&mut self, run: RunId, limit: u32) -> Result<u32>;
    /// The lines of a run after the one of this number, oldest first. As many as a run has are few.
    fn logs(&mut self, run: RunId, after: u64) -> Result<Vec<LogLine>>;
}
