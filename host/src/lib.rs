//! The Sublane host: runs untrusted WebAssembly plugins that hand long work to sub-agents.
//!
//! Modules stand in the order of the data: a plugin is loaded, work comes in,
//! a run gets a slot, an attempt executes it against its journal, and what it
//! owes goes out. `host` wires them; ARCHITECTURE.md is the map.

pub mod allowed;
pub mod artifacts;
pub mod attempt;
pub mod bindings;
pub mod bounded;
pub mod channel;
pub mod clock;
pub mod config;
pub mod directories;
pub mod engine;
pub mod error;
pub mod exported;
pub mod hooks;
pub mod host;
pub mod http;
pub mod imports;
pub mod intake;
pub mod intents;
pub mod journal;
pub mod lanes;
pub mod late;
pub mod machine;
pub mod open;
pub mod outbox;
pub mod pauses;
pub mod plugin;
pub mod poll;
pub mod progress;
pub mod replay;
pub mod retention;
pub mod runlog;
pub mod runner;
pub mod schedules;
pub mod scrub;
pub mod secrets;
pub mod steer;
pub mod strict;
mod tls;
pub mod undo;
pub mod versions;

pub use host::{Host, Parts, Settings};
