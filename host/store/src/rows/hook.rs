//! Hooks, by id, by the hash of their token, and by their run.

use sublane_core::hook::Hook;
use sublane_core::{HookId, RunId};

use super::Result;

/// What keeps hooks.
pub trait HookRows {
    /// Adds a hook.
    fn insert_hook(&mut self, hook: &Hook) -> Result<()>;
    /// Writes the state of a hook that is there.
    fn update_hook(&mut self, hook: &Hook) -> Result<()>;
    /// A hook by its id.
    fn hook(&mut self, id: HookId) -> Result<Option<Hook>>;
    /// A hook by the hash of the token in its URL.
    fn hook_by_token(&mut self, token: &[u8; 32]) -> Result<Option<Hook>>;
    /// The hooks that a run opened, in the order of their ids.
    fn hooks_of(&mut self, run: RunId) -> Result<Vec<Hook>>;
}
