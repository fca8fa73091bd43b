//! Transactions without queue and threads: the limit that benchmarks measure the store against.

use std::path::Path;

use rusqlite::Connection;

use super::connection;
use super::connection::PAGE_BYTES;
use super::session::{BUSY_CHECKPOINT_PAGES, LogLength, Session};
use super::statements::Sql;
use crate::StoreError;
use crate::rows::Rows;

/// Bytes of the write-ahead log from which on it is written over and grows no more: a commit is cheaper then.
pub const LOG_BYTES: u64 = BUSY_CHECKPOINT_PAGES as u64 * PAGE_BYTES;

/// A store's file with the settings of [`super::SqliteStore`], for one caller on its own thread.
pub struct Bare {
    connection: Connection,
}

impl Bare {
    /// Opens the file, making it if there is none.
    ///
    /// # Errors
    /// As [`super::SqliteStore::open`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        connection::open_writing(path).map(|connection| Self { connection })
    }

    /// Prepared statements on the file; keep it for as long as the measurement.
    #[must_use]
    pub fn session(&self) -> BareSession<'_> {
        BareSession(Session::writing(&self.connection))
    }
}

/// Prepared statements on a [`Bare`] file.
pub struct BareSession<'b>(Session<'b>);

impl BareSession<'_> {
    /// Begins, runs `work` and commits, on the calling thread. Several operations in one `work` are a
    /// group commit.
    ///
    /// # Errors
    /// Those of `work`, rolled back, or of the commit.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.transaction(Sql::Begin, work)
    }

    /// Checkpoints when the log is as long as the store leaves it to become. The store does so beside
    /// its commits: call this between those that are timed one by one, and among those that are timed together.
    pub fn checkpoint(&mut self) {
        if self.0.log_length() != LogLength::Short {
            self.0.checkpoint();
        }
    }
}
