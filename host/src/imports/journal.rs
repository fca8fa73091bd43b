//! `journal`: how much of it is used.

use serde::{Deserialize, Serialize};
use sublane_core::Import;

use super::translate::answer;
use super::{Ctx, Live};
use crate::bindings::sublane::plugin::{journal, types};
use crate::journal::Usage;

/// A usage as the journal keeps it.
#[derive(Serialize, Deserialize)]
struct Used {
    entries: u32,
    max_entries: u32,
    bytes: u64,
    max_bytes: u64,
}

impl journal::Host for Ctx {
    async fn used(&mut self) -> wasmtime::Result<Result<journal::Usage, types::Error>> {
        let import = Import::JournalUsed;
        let live = live!(self, import);
        let used = live.effect(import, live.args(import, &[]), async |live: &mut Live| {
            let Usage { entries, bytes, bounds } = live.attempt.journal.usage();
            let (max_entries, max_bytes) = (bounds.entries, bounds.bytes);
            Ok(Ok(Used { entries, max_entries, bytes, max_bytes }))
        });
        answer(used.await.map(|used| {
            used.map(|Used { entries, max_entries, bytes, max_bytes }| journal::Usage {
                entries,
                max_entries,
                bytes,
                max_bytes,
            })
        }))
    }
}
