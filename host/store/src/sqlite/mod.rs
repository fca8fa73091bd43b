//! The durable store in one SQLite file.
//!
//! Owns the file, one thread that writes it, one that checkpoints beside it and a few that read it. A commit is
//! on the disk when its caller is answered (`synchronous=FULL`). An error of
//! [`StoreError::Io`] from a write says that nothing can be seen of it; where
//! the medium itself failed during the commit, only the next start can tell.
//!
//! The write lock of SQLite keeps other processes' intents and this one's
//! commits apart; that there is one host only is [`crate::HostLock`]'s matter.

mod backup;
mod bare;
mod check;
mod checkpoint;
mod codec;
mod connection;
mod damage;
mod hold;
mod hook;
mod job;
mod log;
mod operator;
mod poll;
mod readers;
mod removal;
mod rows;
mod runs;
mod schedule;
mod session;
mod statements;
#[cfg(test)]
mod tests;
mod thread;
mod version;
mod writer;

use std::path::Path;
use std::sync::OnceLock;

use rusqlite::Connection;
use sublane_core::Timestamp;

use crate::StoreError;
use crate::backend::{Backend, Transaction};

pub use backup::backup;
pub use bare::{Bare, BareSession, LOG_BYTES};
pub use check::{Checked, check};
use readers::{READERS, Readers};
use session::Session;
use statements::Sql;
use writer::Writer;

/// The durable store in one SQLite file.
///
/// Dropping it does what is queued, checkpoints and closes; that may take as
/// long as the last commit. Removals need a runtime whose timers are on.
pub struct SqliteStore {
    // Readers go first: the last connection to close leaves no log behind.
    readers: Readers,
    writer: Option<Writer>,
    /// The first damage that was met.
    damage: OnceLock<StoreError>,
}

impl SqliteStore {
    /// Opens the store, making it if there is none. Its directory must be there.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] says what is wrong with the file and what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = (connection::open_writing(path)?, connection::open_beside(path)?);
        let readers = (0..READERS).map(|_| connection::open_reading(path)).collect::<Result<Vec<_>, _>>()?;
        Self::start(path, Some(writer), readers)
    }

    /// Opens the store for reading, also while a host writes it. Writing operations are refused.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when there is none, or it is of another version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::start(path, None, vec![connection::open_reading(path)?])
    }

    fn start(
        path: &Path,
        writer: Option<(Connection, Connection)>,
        readers: Vec<Connection>,
    ) -> Result<Self, StoreError> {
        let refused = |error: std::io::Error| StoreError::Unusable {
            path: path.to_owned(),
            why: format!("a thread cannot be started: {error}"),
        };
        let writer =
            writer.map(|(writing, beside)| Writer::start(writing, beside)).transpose().map_err(refused)?;
        let readers = Readers::start(readers).map_err(refused)?;
        Ok(Self { readers, writer, damage: OnceLock::new() })
    }

    /// Remembers what a transaction came to, if it met damage.
    fn noted<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &done
            && error.is_damage()
        {
            self.damage.get_or_init(|| error.clone());
        }
        done
    }
}

impl Backend for SqliteStore {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        match &self.writer {
            Some(writer) => self.noted(writer.run(transaction).await),
            None => Err(StoreError::Io("it was opened for reading only".into())),
        }
    }

    async fn write_beside<T: Send + 'static>(
        &self,
        transaction: impl Transaction<T>,
    ) -> Result<T, StoreError> {
        match &self.writer {
            Some(writer) => self.noted(writer.run_beside(transaction).await),
            None => self.write(transaction).await,
        }
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.noted(self.readers.run(transaction).await)
    }

    fn damage(&self) -> Option<StoreError> {
        self.damage.get().cloned()
    }
}

/// Asks something of the host that has the store open, from another process:
/// one intent, durable on return. Returns its number.
///
/// # Errors
/// [`StoreError::Unusable`] when there is no store, or it is of another
/// version; [`StoreError::Io`] when the host holds the write lock for too long.
pub fn ask(path: &Path, body: &str, now: Timestamp) -> Result<i64, StoreError> {
    let connection = connection::open_beside(path)?;
    Session::reading(&connection).transaction(Sql::Begin, |rows| rows.insert_intent(body, now))
}
