//! What is old goes: runs that ended, files that nothing refers to, versions of plugins that no run
//! is on, compiled code that nothing loads.
//!
//! Owns how long things are kept and the pace of their removal: a few rows, in
//! another's commit where there is one, then a pause as long as that took, so that whoever
//! writes beside it hardly notices. What may go is decided by the store's rows.

use std::time::Duration;

use sublane_core::Timestamp;
use sublane_store::{Keep, Position, Store, StoreError};

use crate::artifacts::{ArtifactDir, ArtifactError};
use crate::clock::Clock;
use crate::plugin::kept::{Kept, KeptError};

/// Rows that one transaction removes.
const ROWS: u32 = 16;
/// Runs that are looked at together.
const PAGE: u32 = 256;
/// How often everything is looked through again for runs that the removal of others made free.
const PASSES: u32 = 8;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A run that has ended, with its journal, its deliveries and its files. Default 7 days.
    pub runs: Duration,
    /// A run that a dedupe key or an event made, from when it was accepted, at least: so long none
    /// of them makes a second run. Default 7 days.
    pub duplicates: Duration,
    /// A delivery that was given up, with its run, from its last attempt on. Default 30 days.
    pub dead_letters: Duration,
    /// What the guests of a run logged, from its ending on; it goes with the run at the latest.
    /// Default as `runs`.
    pub logs: Duration,
    /// A file that no run refers to. Default 1 hour.
    pub files: Duration,
    /// A version of a plugin that is not the current one and that no run lives on, from when it was the
    /// current one. So long a tool call that was interrupted goes on on it. Default 1 day.
    pub versions: Duration,
    /// Compiled code that no plugin of a host was loaded from. Default 30 days.
    pub cache: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            runs: days(7),
            duplicates: days(7),
            dead_letters: days(30),
            logs: days(7),
            files: Duration::from_secs(3_600),
            versions: days(1),
            cache: days(30),
        }
    }
}

impl Retention {
    fn keep(&self) -> Keep {
        Keep { runs: self.runs, duplicates: self.duplicates, dead_letters: self.dead_letters }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Collected {
    /// Runs.
    pub runs: u64,
    /// Rows of the store, those of the runs included.
    pub rows: u64,
    /// Files of artifacts.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Kept versions of plugins.
    pub versions: u64,
    /// Their bytes.
    pub version_bytes: u64,
}

/// Why a removal stopped. What was removed is removed; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact directory failed.
    #[error(transparent)]
    Files(#[from] ArtifactError),
    /// The directory of kept versions failed.
    #[error(transparent)]
    Versions(#[from] KeptError),
}

/// Removes the runs that are old. `progress` is told after each transaction. May be dropped at any time.
///
/// # Errors
/// [`CollectError`].
pub async fn runs(
    store: &dyn Store,
    retention: &Retention,
    clock: &dyn Clock,
    progress: &mut (dyn FnMut(&Collected) + Send),
) -> Result<Collected, CollectError> {
    let mut all = Collected::default();
    for _ in 0..PASSES {
        let before = all.runs;
        let mut after = None;
        loop {
            let old = store.old_runs(retention.keep(), after, PAGE, clock.now()).await?;
            let mut rest = old.runs;
            while !rest.is_empty() {
                let begun = clock.now();
                let removed = store.remove_runs(rest.clone(), retention.keep(), ROWS, begun).await?;
                rest.drain(..removed.done);
                all.runs += u64::from(removed.runs);
                all.rows += u64::from(removed.rows);
                progress(&all);
                pause(clock, begun).await;
            }
            after = old.next;
            if after.is_none() {
                break;
            }
        }
        // Leaves go before what they hang on: only where something went is more free now.
        if all.runs == before {
            break;
        }
    }
    Ok(all)
}

/// Removes what was logged by runs that ended long ago; how many lines. `from` is where an earlier
/// removal came to. May be dropped at any time.
///
/// # Errors
/// [`CollectError`].
pub async fn logs(
    store: &dyn Store,
    retention: &Retention,
    clock: &dyn Clock,
    from: &mut Option<Position>,
) -> Result<u64, CollectError> {
    let mut lines = 0;
    loop {
        let begun = clock.now();
        let old = store.remove_logs(retention.logs, *from, ROWS, begun).await?;
        *from = old.next;
        lines += u64::from(old.lines);
        if !old.is_more {
            return Ok(lines);
        }
        pause(clock, begun).await;
    }
}

/// Rests after a removal, so that others can write.
async fn pause(clock: &dyn Clock, begun: Timestamp) {
    clock.sleep_for(clock.now().since(begun)).await;
}

/// Removes the files that no run refers to.
///
/// # Errors
/// [`CollectError`].
pub async fn files(
    store: &dyn Store,
    artifacts: &ArtifactDir,
    retention: &Retention,
    now: Timestamp,
) -> Result<Collected, CollectError> {
    let mut all = Collected::default();
    artifacts.begin_sweep();
    for shard in artifacts.shards().await? {
        let old = artifacts.old_files(shard, now, retention.files).await?;
        if old.is_empty() {
            continue;
        }
        let unlinked = store.unlinked(old.iter().map(|file| file.id.clone()).collect()).await?;
        let files = old.into_iter().filter(|file| unlinked.contains(&file.id)).collect();
        let (count, bytes) = artifacts.remove(files).await?;
        all.files += count;
        all.bytes += bytes;
    }
    Ok(all)
}

/// Removes the kept versions of plugins that nobody needs: no run lives on them, and they are none
/// of `current`, which are the digests of a host's plugins.
///
/// # Errors
/// [`CollectError`].
pub async fn versions(
    store: &dyn Store,
    kept: &Kept,
    current: &[String],
    retention: &Retention,
    now: Timestamp,
) -> Result<Collected, CollectError> {
    let mut all = Collected::default();
    for version in kept.old(now, retention.versions)? {
        if current.contains(&version.digest) || store.is_version_live(version.digest.as_str().into()).await? {
            continue;
        }
        kept.remove(&version.digest)?;
        all.versions += 1;
        all.version_bytes += version.bytes;
    }
    Ok(all)
}
