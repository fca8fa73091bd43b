//! Files: each delivery is a directory of its own in a folder, named by the delivery's id.
//!
//! Owns the folders and what an error of their medium means. A directory
//! appears at once and whole, with the body as it is stored (`delivery.json`),
//! the text for people (`text.txt`) and a copy of each artifact; whoever
//! repeats a delivery finds it there and changes nothing. Never follows a link
//! below a folder and never takes a plugin's file name as it is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::Access;
use sublane_core::Delivery;
use sublane_core::delivery::AttemptResult;
use tokio::time::timeout;

use super::{Channel, Class, Rule};

mod names;
mod set;
#[cfg(test)]
mod tests;

use set::{Job, Problem};

/// How long one attempt may take, files copied included. Then it stops, and is tried again.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(600);

/// A directory that deliveries are written to, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is. May be a link; nothing below it is followed.
    pub directory: PathBuf,
    /// Whether it is made, readable for its owner only, where it is not there. Otherwise
    /// deliveries wait for it, as for a disk that is not mounted.
    pub create: bool,
    /// How long a delivery is tried, and whether one may overtake another. Defaults to
    /// three days and any order.
    pub rule: Rule,
}

impl Folder {
    /// A folder with the defaults: made where it is not there.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), create: true, rule: Rule::default() }
    }

    /// Whether something can be written to it now, as far as that shows without writing.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn check(&self) -> Result<(), FolderError> {
        let failed = |source| FolderError { path: self.directory.clone(), source };
        let mut place = self.directory.as_path();
        if self.create {
            // What is missing can be made in the deepest directory that is there.
            while !place.try_exists().map_err(failed)? {
                place = place.parent().filter(|up| *up != Path::new("")).unwrap_or(Path::new("."));
            }
        }
        if !std::fs::metadata(place).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        rustix::fs::access(place, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))
    }
}

/// A folder cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("the directory `{path}` cannot be written to")]
pub struct FolderError {
    /// The folder's directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The file channel. An address is the name of a folder.
pub struct FileChannel {
    folders: BTreeMap<String, Arc<Folder>>,
    /// The directory of artifacts.
    artifacts: Arc<Path>,
}

impl FileChannel {
    /// A channel with these folders, which copies artifacts out of the directory `artifacts`.
    /// A folder that cannot be written to now is told of in the log: its deliveries wait.
    #[must_use]
    pub fn new(folders: BTreeMap<String, Folder>, artifacts: &Path) -> Self {
        for (name, folder) in &folders {
            if let Err(error) = folder.check() {
                let why = crate::error::chain(&error);
                tracing::warn!(target: "sublane::delivery", folder = name, why, "its deliveries wait");
            }
        }
        let folders = folders.into_iter().map(|(name, folder)| (name, Arc::new(folder))).collect();
        Self { folders, artifacts: artifacts.into() }
    }
}

#[async_trait]
impl Channel for FileChannel {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    fn serves(&self, address: &str) -> bool {
        self.folders.contains_key(address)
    }

    fn rule(&self, address: &str) -> Rule {
        self.folders.get(address).map_or_else(Rule::default, |folder| folder.rule)
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let Some(folder) = self.folders.get(&delivery.destination.address) else {
            return retry(format!("there is no folder `{}`", delivery.destination.address), false);
        };
        let stop = StopOnDrop(Arc::default());
        let job = Job {
            folder: folder.clone(),
            artifacts: self.artifacts.clone(),
            id: delivery.id,
            attempt: delivery.attempts,
            body: delivery.body.clone(),
            is_stopped: stop.0.clone(),
        };
        match timeout(ATTEMPT_TIMEOUT, tokio::task::spawn_blocking(move || job.write())).await {
            Ok(Ok(Ok(written))) => AttemptResult::Delivered { note: written },
            Ok(Ok(Err(problem))) => judge(&problem),
            Ok(Err(_)) => retry("the channel failed inside".to_owned(), true),
            Err(_) => retry("the directory takes nothing in time".to_owned(), true),
        }
    }
}

/// Whoever writes for an attempt that nobody waits for any more stops at the next piece.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a problem means. A medium may be mended: try again. Until the directory has its name
/// nobody sees it, so only what fails after that is ambiguous.
fn judge(problem: &Problem) -> AttemptResult {
    let note = crate::error::chain(problem);
    match problem {
        Problem::Medium { .. } | Problem::Stopped => retry(note, false),
        Problem::Unsure { .. } => retry(note, true),
        Problem::Taken { .. } | Problem::Body(_) | Problem::Artifact { .. } => {
            AttemptResult::Permanent { note }
        }
    }
}

fn retry(note: String, ambiguous: bool) -> AttemptResult {
    AttemptResult::Retry { note, retry_after: None, ambiguous }
}
