//! Files that nothing refers to are found and removed.
//!
//! A file gets its place before its row is committed, so one without a row may
//! be about to get one: what was placed since the sweep before the last began is
//! left alone, in memory, whatever a clock says.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use sublane_core::Timestamp;

use super::{ArtifactDir, Result, failed};

/// What was placed lately: since the last sweep began, and between that and the one before.
#[derive(Debug, Default)]
pub(super) struct Placed {
    lately: HashSet<String>,
    before: HashSet<String>,
}

impl Placed {
    /// A file of this id is about to get its place.
    pub(super) fn note(&mut self, id: &str) {
        self.lately.insert(id.to_owned());
    }

    fn has(&self, id: &str) -> bool {
        self.lately.contains(id) || self.before.contains(id)
    }
}

/// A file that lies in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// The artifact's id.
    pub id: String,
    path: PathBuf,
    bytes: u64,
}

impl ArtifactDir {
    /// A sweep begins: what was placed before the last one can be removed again.
    pub fn begin_sweep(&self) {
        let mut placed = self.placed.lock();
        placed.before = std::mem::take(&mut placed.lately);
    }

    /// The directories that artifacts lie in: at most 256.
    ///
    /// # Errors
    /// As [`ArtifactDir::read`].
    pub async fn shards(&self) -> Result<Vec<OsString>> {
        let root = self.root.clone();
        self.blocking(move || {
            let mut shards = Vec::new();
            for entry in fs::read_dir(&root).map_err(failed("list", &root))? {
                let name = entry.map_err(failed("list", &root))?.file_name();
                if name.len() == 2 && is_hex(&name.to_string_lossy()) {
                    shards.push(name);
                }
            }
            shards.sort();
            Ok(shards)
        })
        .await
    }

    /// The files of a shard that were written at least `age` ago.
    ///
    /// # Errors
    /// As [`ArtifactDir::read`].
    pub async fn old_files(&self, shard: OsString, now: Timestamp, age: Duration) -> Result<Vec<Placing>> {
        let directory = self.root.join(shard);
        self.blocking(move || {
            let mut old = Vec::new();
            for entry in fs::read_dir(&directory).map_err(failed("list", &directory))? {
                let entry = entry.map_err(failed("list", &directory))?;
                let path = entry.path();
                let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                if id.len() != 64 || !is_hex(&id) {
                    continue;
                }
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed("look at", &path)(error)),
                };
                let written = meta.modified().map_err(failed("look at", &path))?;
                let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
                if since + age <= Duration::from_millis(now.0) {
                    old.push(Placing { id, path, bytes: meta.len() });
                }
            }
            Ok(old)
        })
        .await
    }

    /// Removes files, but for those that were placed lately. Gives how many, and their bytes.
    ///
    /// # Errors
    /// As [`ArtifactDir::read`].
    pub async fn remove(&self, files: Vec<Placing>) -> Result<(u64, u64)> {
        let placed = self.placed.clone();
        self.blocking(move || {
            let (mut count, mut bytes) = (0, 0);
            for file in files {
                // Held over the removal: nothing gets this place meanwhile.
                let placed = placed.lock();
                if placed.has(&file.id) {
                    continue;
                }
                match fs::remove_file(&file.path) {
                    Ok(()) => (count, bytes) = (count + 1, bytes + file.bytes),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed("remove", &file.path)(error)),
                }
            }
            Ok((count, bytes))
        })
        .await
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
