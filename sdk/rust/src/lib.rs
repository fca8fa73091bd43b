//! What the author of a Sublane plugin depends on.
//!
//! A plugin is a crate of type `cdylib` with agents, tools, or both:
//!
//! ```
//! use sublane_sdk::{Failure, agent, data, plugin};
//!
//! /// Whom to greet.
//! #[data]
//! struct Greeting {
//!     /// A name.
//!     name: String,
//! }
//!
//! /// Greets somebody by name.
//! #[agent]
//! fn hello(greeting: Greeting) -> Result<String, Failure> {
//!     Ok(format!("Hello, {}!", greeting.name))
//! }
//!
//! plugin!(agents: [hello]);
//! # fn main() {}
//! ```
//!
//! Longer work is handed to sub-agents, which run when their lane has room,
//! with no more authority than they are given:
//!
//! ```no_run
//! use std::time::Duration;
//! use sublane_sdk::{Scope, Spawn};
//!
//! # fn f() -> Result<(), sublane_sdk::Failure> {
//! let film = Spawn::agent("video/render")
//!     .task("a lighthouse in a storm")
//!     .scope(Scope::new().artifacts(8 << 20).cpu(Duration::from_secs(60)))
//!     .deliver_to(["origin", "webhook:films"])
//!     .timeout(Duration::from_secs(600))
//!     .start()?;
//! let seconds: u32 = film.wait()?.decode()?;
//! # Ok(()) }
//! ```
//!
//! Each module stands for one import of the plugin, that is, for one authority.
//! What a plugin does not call, its component does not import. What its grants
//! do not allow answers [`Error::Denied`].
//!
//! After a crash of the host, or after a long wait, the host starts an agent
//! again from the top and answers what it asked before from the run's journal.
//! So take time from [`clock`] and randomness from [`random`], and let nothing
//! else decide what is asked next. The standard library's clocks panic here.
//!
//! Natively, a plugin's own tests run as ever, as long as they reach no import;
//! of those, only [`log`] and [`progress`] do something natively.
//!
//! Never keeps state between two runs: each begins in a fresh instance.

pub mod artifact;
pub mod clock;
pub mod delivery;
pub mod files;
pub mod hook;
pub mod http;
pub mod journal;
pub mod kv;
pub mod log;
pub mod mailbox;
pub mod poll;
pub mod progress;
pub mod random;
pub mod secret;
pub mod subagent;
pub mod timer;
pub mod tools;
pub mod wait;

mod agent;
mod bindings;
mod error;
mod failure;
mod heap;
mod json;
mod panic;
mod plugin;
mod time;
mod tool;

pub use agent::{Agent, IntoOutput, Output, Task, TaskInput};
pub use error::Error;
pub use failure::Failure;
pub use subagent::{Child, Outcome, Scope, Spawn, wait_all, wait_any};
pub use sublane_sdk_macros::{agent, data, tool};
pub use tool::Tool;

pub use schemars;
pub use serde;
pub use serde_json;

/// What the macros need. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::agent::{Anything, agent_schema, run_agent};
    pub use crate::bindings::imports::sublane::plugin::types::{
        Failure as RawFailure, Output as RawOutput, Task as RawTask,
    };
    pub use crate::bindings::{agent, toolbox};
    pub use crate::panic::install as entered;
    pub use crate::plugin::{
        agent_definition, assert_distinct, no_such_agent, no_such_tool, tool_definition,
    };
    pub use crate::tool::{NoArguments, call_tool, tool_schema};
}
