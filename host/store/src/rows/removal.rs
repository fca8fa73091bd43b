//! The rows, seen by whoever removes what is old.

use sublane_core::{ConversationId, DeliveryId, RunId, Timestamp};

use super::Result;

/// What finds and removes old rows. Every method that removes says how many rows it removed.
pub trait Removal {
    /// Runs that ended not after `until`, in the order of `(ended, id)`, after this position.
    fn ended_runs(
        &mut self,
        after: Option<(Timestamp, RunId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RunId)>>;
    /// Whether any run that was spawned by this one is there.
    fn has_children(&mut self, run: RunId) -> Result<bool>;
    /// Whether an inbound event made this run.
    fn has_event(&mut self, run: RunId) -> Result<bool>;
    /// Removes at most so many entries of a run, the last of its newest generation first.
    fn trim_journal(&mut self, run: RunId, limit: u32) -> Result<u32>;
    /// Removes at most so many links of a run to artifacts.
    fn trim_artifacts(&mut self, run: RunId, limit: u32) -> Result<u32>;
    /// Removes a delivery with its attempts.
    fn delete_delivery(&mut self, id: DeliveryId) -> Result<u32>;
    /// Removes a run with its mailbox, its hooks, its generations and the events that made it. Its journal, its log,
    /// its deliveries, its links and its children must be gone.
    fn delete_run(&mut self, id: RunId) -> Result<u32>;
    /// Whether any run of this conversation is there.
    fn has_runs(&mut self, conversation: ConversationId) -> Result<bool>;
    /// Removes a conversation that has no run.
    fn delete_conversation(&mut self, id: ConversationId) -> Result<()>;
    /// Whether any run is linked to an artifact of this id.
    fn is_linked(&mut self, artifact: &str) -> Result<bool>;
}
