//! The run's journal: how full it is, and how to go on with an empty one.
//!
//! Every import that is not local adds an entry. A run whose journal is full fails with the next one,
//! so an agent that loops for long goes on as new now and then:
//!
//! ```no_run
//! use sublane_sdk::{Failure, agent, data, journal};
//!
//! /// How far it is.
//! #[data]
//! struct Watch {
//!     /// Reports that were seen.
//!     seen: u32,
//! }
//!
//! /// Watches for ever.
//! #[agent]
//! fn watch(mut watch: Watch) -> Result<(), Failure> {
//!     loop {
//!         // … wait for a report …
//!         watch.seen += 1;
//!         if journal::used()?.per_cent() > 50 {
//!             match journal::continue_as_new(&watch)? {}
//!         }
//!     }
//! }
//! # fn main() {}
//! ```

use std::convert::Infallible;

use serde::Serialize;

use crate::artifact::Artifact;
use crate::bindings::imports::sublane::plugin::journal as raw;
use crate::bindings::imports::sublane::plugin::types::Task;
use crate::error::Error;
use crate::json;

/// What of a journal is used, and how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Entries.
    pub entries: u32,
    /// As many may be written.
    pub max_entries: u32,
    /// Bytes of the answers in them.
    pub bytes: u64,
    /// With as many no more may be written.
    pub max_bytes: u64,
}

impl Usage {
    /// How full it is, in per cent: of its entries or of its bytes, whichever is more.
    pub fn per_cent(&self) -> u32 {
        let share = |used: u64, most: u64| u64::min(used.saturating_mul(100) / most.max(1), 100);
        let entries = share(self.entries.into(), self.max_entries.into());
        entries.max(share(self.bytes, self.max_bytes)) as u32
    }
}

/// How full the journal is. Asking adds an entry.
pub fn used() -> Result<Usage, Error> {
    let raw::Usage { entries, max_entries, bytes, max_bytes } = raw::used()?;
    Ok(Usage { entries, max_entries, bytes, max_bytes })
}

/// Ends this generation of the run here and has it do this task from its beginning, with an empty
/// journal; attached children, messages, the purse and the deadline stay. Returns only when that is
/// refused.
pub fn continue_as_new(input: impl Serialize) -> Result<Infallible, Error> {
    continue_with(input, Vec::new())
}

/// As [`continue_as_new`], with files that go with the task. At most 32.
pub fn continue_with(input: impl Serialize, artifacts: Vec<Artifact>) -> Result<Infallible, Error> {
    let input = json::to_text("the task", &input)?;
    raw::continue_as_new(&Task { input, artifacts })?;
    unreachable!("a run that goes on as new is not told so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_full_as_what_is_fuller() {
        let usage = Usage { entries: 40, max_entries: 100, bytes: 9, max_bytes: 10 };
        assert_eq!(usage.per_cent(), 90);
        assert_eq!(Usage { bytes: 0, ..usage }.per_cent(), 40);
        assert_eq!(Usage { entries: 200, max_entries: 0, ..usage }.per_cent(), 100);
    }
}
