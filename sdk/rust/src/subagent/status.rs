//! Where a run stands.

use super::outcome::Outcome;
use crate::bindings::imports::sublane::plugin::subagent as raw;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The run.
    pub run: String,
    /// Its handle for people.
    pub name: String,
    /// The agent, as `plugin/agent`.
    pub agent: String,
    /// Its state.
    pub state: RunState,
    /// Last reported progress, 0 to 100.
    pub percent: Option<u8>,
    /// Last reported progress text.
    pub note: Option<String>,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// In its lane.
    Queued,
    /// It executes.
    Running,
    /// It waits for something and holds no slot.
    Waiting,
    /// Its own work is done; it waits for attached children to end.
    Closing,
    /// It has ended.
    Ended(Outcome),
}

impl From<raw::RunStatus> for Status {
    fn from(status: raw::RunStatus) -> Self {
        let raw::RunStatus { run, name, agent, state, percent, note } = status;
        let state = match state {
            raw::RunState::Queued => RunState::Queued,
            raw::RunState::Running => RunState::Running,
            raw::RunState::Waiting => RunState::Waiting,
            raw::RunState::Closing => RunState::Closing,
            raw::RunState::Ended(outcome) => RunState::Ended(outcome.into()),
        };
        Self { run, name, agent, state, percent, note }
    }
}
