//! The disk of the state directory, and the floor below which nothing new is taken.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::statvfs;
use tokio::sync::watch;

/// Tells how many bytes of a disk are free.
pub type Free = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Bytes that a disk without a floor must have again after it was full.
const TRY_BYTES: u64 = 1 << 20;

/// The disk has less left than a host leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of the state directory has {} MiB left, and below {} MiB (`limits.free-disk`) nothing new is \
     begun: make room there",
    free_bytes >> 20,
    floor_bytes >> 20
)]
pub struct Low {
    /// Bytes that are left.
    pub free_bytes: u64,
    /// Bytes that are left alone.
    pub floor_bytes: u64,
}

/// Looks at the disk, and remembers what it saw.
pub struct Disk {
    free: Free,
    floor_bytes: u64,
    /// Whether it was met, as somebody who writes found out, that there is no room at all.
    found_full: AtomicBool,
    is_low: watch::Sender<bool>,
}

impl Disk {
    /// The disk that `path` is on. Below `floor_bytes` nothing new is begun; 0: that is never so.
    #[must_use]
    pub fn of(path: &Path, floor_bytes: u64) -> Self {
        let path = path.to_owned();
        Self::told_by(
            Arc::new(move || {
                let found = statvfs(&path)?;
                Ok(found.f_bavail.saturating_mul(found.f_frsize))
            }),
            floor_bytes,
        )
    }

    /// A disk of which `free` tells how much is left.
    #[must_use]
    pub fn told_by(free: Free, floor_bytes: u64) -> Self {
        Self { free, floor_bytes, found_full: AtomicBool::new(false), is_low: watch::channel(false).0 }
    }

    /// Looks, and says in the log when it becomes low and when it is so no more.
    ///
    /// # Errors
    /// [`Low`]. A disk that cannot be looked at is not low: whoever writes to it will see.
    pub fn look(&self) -> Result<(), Low> {
        let free_bytes = match (self.free)() {
            Ok(free) => free,
            Err(error) => {
                tracing::debug!(%error, "how much of the disk is free cannot be told");
                u64::MAX
            }
        };
        let was_low = *self.is_low.borrow();
        // Once low, it has to have a bit more, so that it is not said again and again.
        let enough = self.floor_bytes + if was_low { self.floor_bytes / 8 } else { 0 };
        // Whoever found no room knows better than any number, until there is some to try with.
        let is_full = self.found_full.swap(false, Ordering::Relaxed);
        let enough = if was_low || is_full { enough.max(TRY_BYTES) } else { enough };
        let is_low = free_bytes < enough || is_full;
        let low = Low { free_bytes, floor_bytes: self.floor_bytes };
        self.is_low.send_if_modified(|said| {
            let changed = *said != is_low;
            if changed && is_low {
                tracing::error!(
                    free_mib = free_bytes >> 20,
                    floor_mib = self.floor_bytes >> 20,
                    "the disk of the state directory is nearly full: no new runs are begun, and files of \
                     runs wait, until there is room"
                );
            } else if changed {
                tracing::info!(
                    free_mib = free_bytes >> 20,
                    "the disk of the state directory has room again: new runs are begun"
                );
            }
            *said = is_low;
            changed
        });
        if is_low { Err(low) } else { Ok(()) }
    }

    /// What was seen last.
    #[must_use]
    pub fn is_low(&self) -> bool {
        *self.is_low.borrow()
    }

    /// Bytes that are left alone.
    #[must_use]
    pub fn floor_bytes(&self) -> u64 {
        self.floor_bytes
    }

    /// Somebody found no room at all: until the next look it is low, whatever the floor.
    pub fn found_full(&self) {
        self.found_full.store(true, Ordering::Relaxed);
        // The error is what was known already.
        let _ = self.look();
    }

    /// Ready when a look found room.
    pub async fn room(&self) {
        // The sender is `self`.
        let _ = self.is_low.subscribe().wait_for(|is_low| !*is_low).await;
    }
}
