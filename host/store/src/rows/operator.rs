//! The rows through which operators and the host speak: what is asked, what
//! became of it, and what was set for good.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_core::{Run, Timestamp};

use super::Result;

/// Something that the command line asks of a running host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Order of arrival.
    pub number: i64,
    /// What is asked, as JSON text.
    pub body: Arc<str>,
    /// When.
    pub created: Timestamp,
}

/// What an operator has set for a lane. What is not set is as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSetting {
    /// No slot is given.
    pub paused: bool,
    /// Runs that execute at once.
    pub slots: Option<u32>,
    /// Ready runs, beyond which a spawn is refused.
    pub queue_length: Option<u32>,
}

/// The operators' part of one open transaction.
pub trait OperatorRows {
    /// Writes a run that had ended and lives again, with what of its spec is renewed.
    fn renew_run(&mut self, run: &Run) -> Result<()>;
    /// Adds an intent.
    fn insert_intent(&mut self, body: &str, now: Timestamp) -> Result<i64>;
    /// Intents, oldest first.
    fn intents(&mut self, limit: u32) -> Result<Vec<Intent>>;
    /// Removes an intent.
    fn delete_intent(&mut self, number: i64) -> Result<()>;
    /// Keeps what became of an intent, instead of what was kept of it before.
    fn put_intent_answer(&mut self, number: i64, body: &str) -> Result<()>;
    /// What became of an intent, if it is still kept.
    fn intent_answer(&mut self, number: i64) -> Result<Option<Arc<str>>>;
    /// Forgets what became of this intent and of all before it.
    fn delete_intent_answers(&mut self, until: i64) -> Result<()>;
    /// What an operator has set, by the lanes' names.
    fn lane_settings(&mut self) -> Result<Vec<(String, LaneSetting)>>;
    /// Sets it for a lane.
    fn put_lane_setting(&mut self, lane: &str, setting: LaneSetting) -> Result<()>;
}
