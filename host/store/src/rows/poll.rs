//! Poll plans that are carried out, by id, by their run, and by server and time.

use sublane_core::poll::Poll;
use sublane_core::{PollId, RunId, Timestamp};

use super::Result;

/// What keeps poll plans.
pub trait PollRows {
    /// Adds a plan.
    fn insert_poll(&mut self, poll: &Poll) -> Result<()>;
    /// Writes where a plan stands that is there.
    fn update_poll(&mut self, poll: &Poll) -> Result<()>;
    /// A plan by its id.
    fn poll(&mut self, id: PollId) -> Result<Option<Poll>>;
    /// The plans that a run waits for, in the order of their places.
    fn polls_of(&mut self, run: RunId) -> Result<Vec<Poll>>;
    /// Removes the plans of a run; none there is no error.
    fn delete_polls(&mut self, run: RunId) -> Result<()>;
    /// Servers that are polled, in the order of their names, each with the earliest due time.
    fn polled_servers(&mut self) -> Result<Vec<(String, Timestamp)>>;
    /// Plans at this server whose next poll is due at `now`, the oldest first.
    fn due_polls(&mut self, server: &str, now: Timestamp, limit: u32) -> Result<Vec<Poll>>;
}
