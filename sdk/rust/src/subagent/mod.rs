//! Handing work to sub-agents and waiting for it.
//!
//! [`Spawn`] asks for a run, [`Scope`] says what it may do, [`Retry`] whether it
//! begins again when it fails, [`Child`] is its receipt and handle, [`Outcome`] how
//! it ended.

mod child;
mod outcome;
mod retry;
mod scope;
mod spawn;

pub use child::{
    Child, cancel, children, send, status, wait_all, wait_all_within, wait_any, wait_any_within,
};
pub use outcome::{ChildOutput, FailureReason, Outcome, OutcomeError};
pub use retry::{Retry, times};
pub use scope::{
    FileScope, Grants, HttpScope, KvScope, Scope, SecretPlace, SecretScope, SpawnScope, ToolScope,
};
pub use spawn::{Priority, Spawn};

pub use crate::bindings::imports::sublane::plugin::types::RunId;
pub use status::{RunState, Status};
mod status;
