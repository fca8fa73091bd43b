//! Transactions without queue and threads: the limit that benchmarks measure the store against.

use std::path::Path;

use rusqlite::Connection;

use super::connection;
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::Rows;

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
        BareSession { session: Session::writing(&self.connection), unseen: 0 }
    }
}

/// Prepared statements on a [`Bare`] file.
pub struct BareSession<'b> {
    session: Session<'b>,
    /// Commits since the last look at the length of the log.
    unseen: u32,
}

/// Commits between two looks at the length of the log.
const COMMITS_PER_LOOK: u32 = 16;

impl BareSession<'_> {
    /// Begins, runs `work` and commits, on the calling thread; now and then it checkpoints, as
    /// the store does. Several operations in one `work` are a group commit.
    ///
    /// # Errors
    /// Those of `work`, rolled back, or of the commit.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = self.session.transaction(Sql::Begin, work);
        self.unseen += 1;
        if self.unseen >= COMMITS_PER_LOOK {
            self.unseen = 0;
            self.session.checkpoint(true);
        }
        done
    }
}
