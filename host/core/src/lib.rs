//! The rules of Sublane without IO.
//!
//! Owns what a word means: identities, grants and how they shrink, the states
//! of a run and the one function that moves them, the journal's rules, lane
//! admission, delivery schedules. Knows no tokio, no Wasmtime, no clock and no
//! file: time comes in as a value, and Cargo keeps it so.
//!
//! Modules stand in the order of the data: who asks, what for, what becomes of it.

pub mod backoff;
pub mod delivery;
pub mod grants;
pub mod hook;
pub mod id;
pub mod journal;
pub mod lane;
pub mod poll;
pub mod run;
pub mod time;
pub mod undo;

pub use delivery::{Delivery, DeliveryBody, DeliveryState, Destination};
pub use grants::{Authority, Capability, Denied, Grants, LimitHit, Purse, PurseAsk, Scope, Share};
pub use id::{ConversationId, DeliveryId, HookId, PollId, RunId, Token};
pub use journal::{Answer, Entry, Import, ImportClass, ImportError, Path};
pub use run::{
    ArtifactRef, Failure, Generation, Lifetime, NextTask, Outcome, Output, Over, Priority, Renewal,
    RetryPolicy, Run, RunSpec, RunState,
};
pub use time::Timestamp;
