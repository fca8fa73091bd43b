//! One connection at work: its prepared statements, the transaction that is
//! open, and the runs that it need not read again.

use std::path::Path;

use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{Connection, ErrorCode, Params, Statement};
use sublane_core::id::IdMap;
use sublane_core::{Run, RunId};

use super::codec::Columns;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::Rows;

type Result<T> = std::result::Result<T, StoreError>;

/// Runs in each of the two generations of a writer's cache.
pub(super) const CACHED_RUNS: usize = 2_048;

/// A run with more input and result than this many bytes is read again each time.
const MAX_CACHED_BYTES: usize = 16 << 10;

/// Pages of the write-ahead log that are not in the file yet, from which a checkpoint is worth while: 2 MiB.
/// The more there are, the longer a commit beside it waits for the disk.
const CHECKPOINT_PAGES: i64 = 256;
/// Pages in the write-ahead log from which the writer itself checkpoints what is left: 16 MiB. From then on
/// the log is written over, and a commit costs two thirds of what it does while the file grows.
pub(super) const BUSY_CHECKPOINT_PAGES: i64 = 2_048;

/// How long the write-ahead log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLength {
    /// There is nothing to do.
    Short,
    /// A checkpoint beside the writer is worth while.
    Long,
    /// It cannot be left to grow: commits come faster than a checkpoint beside them.
    TooLong,
}

/// One connection at work.
pub(super) struct Session<'c> {
    connection: &'c Connection,
    prepared: Vec<Option<Statement<'c>>>,
    /// Rows were written since [`Session::take_wrote`].
    wrote: bool,
    runs: RunCache,
    /// As of this version of the file the cache is right: it changes when
    /// another connection commits.
    data_version: i64,
}

impl<'c> Session<'c> {
    /// A session that remembers runs: only for the connection that writes them.
    pub(super) fn writing(connection: &'c Connection) -> Self {
        Self::new(connection, CACHED_RUNS)
    }

    /// A session that reads what was committed last.
    pub(super) fn reading(connection: &'c Connection) -> Self {
        Self::new(connection, 0)
    }

    fn new(connection: &'c Connection, cached_runs: usize) -> Self {
        let prepared = Sql::ALL.iter().map(|_| None).collect();
        Self { connection, prepared, wrote: false, runs: RunCache::new(cached_runs), data_version: -1 }
    }

    /// One transaction around `work`.
    pub(super) fn transaction<T>(
        &mut self,
        begin: Sql,
        work: impl FnOnce(&mut dyn Rows) -> Result<T>,
    ) -> Result<T> {
        self.begin(begin)?;
        match work(self) {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    pub(super) fn begin(&mut self, begin: Sql) -> Result<()> {
        self.execute(begin, ())?;
        self.wrote = false;
        if self.runs.capacity > 0 {
            let version = self.must_one("store", Sql::DataVersion, (), |columns| columns.integer())?;
            if version != self.data_version {
                self.data_version = version;
                self.runs.clear();
            }
        }
        Ok(())
    }

    /// On an error nothing was committed and no transaction is open.
    pub(super) fn commit(&mut self) -> Result<()> {
        let done = self.execute(Sql::Commit, ());
        if done.is_err() {
            self.rollback();
        }
        done.map(|_| ())
    }

    pub(super) fn rollback(&mut self) {
        self.runs.clear();
        if self.in_transaction()
            && let Err(error) = self.execute(Sql::Rollback, ())
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// Moves pages from the log into the file. The log begins anew with the next commit that finds all
    /// of them moved. No transaction may be open; nobody else waits for it.
    pub(super) fn checkpoint(&mut self) {
        if let Err(error) = self.one("log", Sql::Checkpoint, (), |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be checkpointed; it grows until it can");
        }
    }

    /// Whether the log has become long, and how. No transaction may be open.
    pub(super) fn log_length(&mut self) -> LogLength {
        let pages = self.must_one("log", Sql::WalPages, (), |columns| {
            let _busy = columns.integer()?;
            Ok((columns.integer()?, columns.integer()?))
        });
        match pages {
            Ok((pages, _)) if pages >= BUSY_CHECKPOINT_PAGES => LogLength::TooLong,
            Ok((pages, moved)) if pages - moved >= CHECKPOINT_PAGES => LogLength::Long,
            Ok(_) => LogLength::Short,
            Err(error) => {
                tracing::warn!(%error, "the length of the write-ahead log cannot be seen");
                LogLength::Short
            }
        }
    }

    /// Whether a transaction is open. Some errors make SQLite roll back by itself.
    pub(super) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Whether rows were written since the last call, or since the transaction began.
    pub(super) fn take_wrote(&mut self) -> bool {
        std::mem::take(&mut self.wrote)
    }

    fn statement(&mut self, sql: Sql) -> Result<&mut Statement<'c>> {
        let slot = &mut self.prepared[sql as usize];
        if slot.is_none() {
            *slot = Some(self.connection.prepare(sql.text()).map_err(fault)?);
        }
        Ok(slot.as_mut().expect("it was filled above"))
    }

    /// Runs a statement that gives no rows; how many it changed.
    pub(super) fn execute(&mut self, sql: Sql, params: impl Params) -> Result<usize> {
        self.wrote = true;
        self.statement(sql)?.execute(params).map_err(fault)
    }

    pub(super) fn one<T>(
        &mut self,
        table: &'static str,
        sql: Sql,
        params: impl Params,
        decode: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut rows = self.statement(sql)?.query(params).map_err(fault)?;
        match rows.next().map_err(fault)? {
            Some(row) => decode(&mut Columns::new(table, row)).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn must_one<T>(
        &mut self,
        table: &'static str,
        sql: Sql,
        params: impl Params,
        decode: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<T> {
        let found = self.one(table, sql, params, decode)?;
        found.ok_or_else(|| StoreError::Corrupt(format!("{sql:?} gave no row")))
    }

    pub(super) fn all<T>(
        &mut self,
        table: &'static str,
        sql: Sql,
        params: impl Params,
        decode: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = self.statement(sql)?.query(params).map_err(fault)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            all.push(decode(&mut Columns::new(table, row))?);
        }
        Ok(all)
    }

    pub(super) fn last_insert_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// A run that is known to be as the file has it.
    pub(super) fn known_run(&mut self, id: RunId) -> Option<&Run> {
        self.runs.get(id)
    }

    /// The file has this run no more.
    pub(super) fn forget_run(&mut self, id: RunId) {
        self.runs.remove(id);
    }

    /// The file has the run like this now.
    pub(super) fn know_run(&mut self, run: &Run) {
        self.runs.put(run);
    }
}

/// What to do about a file that is damaged.
pub(super) const ADVICE: &str = "stop the host, keep the file, and put a backup in its place \
                                 (`sublane store backup --help` says how)";

/// What SQLite says, in the store's words.
pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt(format!("SQLite cannot read the file ({error}): {ADVICE}"))
        }
        Some(ErrorCode::ConstraintViolation) => {
            StoreError::Corrupt(format!("a row cannot be written: {error}"))
        }
        Some(ErrorCode::DatabaseBusy) => {
            StoreError::Io("another process holds the store's write lock and does not let go".into())
        }
        Some(ErrorCode::DiskFull) => StoreError::Full("the disk is full".into()),
        // The index of the log is a file too, which grows on the same disk.
        _ if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) => {
            StoreError::Full("the disk is full: the log's index cannot grow".into())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => StoreError::Io(
            format!("{error}: who reads the store must be able to write to its directory").into(),
        ),
        _ => StoreError::Io(error.to_string().into()),
    }
}

/// [`fault`], where the path helps whoever reads it.
pub(super) fn fault_at(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    move |error| match fault(error) {
        StoreError::Corrupt(why) => StoreError::Damaged { path: path.to_owned(), why },
        other => StoreError::Unusable { path: path.to_owned(), why: other.to_string() },
    }
}

/// Runs as the file has them. Two generations: when the young one is full it
/// becomes the old one, and what nobody asked for since goes.
struct RunCache {
    capacity: usize,
    young: IdMap<RunId, Run>,
    old: IdMap<RunId, Run>,
}

impl RunCache {
    fn new(capacity: usize) -> Self {
        Self { capacity, young: IdMap::default(), old: IdMap::default() }
    }

    fn get(&mut self, id: RunId) -> Option<&Run> {
        if let Some(run) = self.old.remove(&id) {
            self.insert(id, run);
        }
        self.young.get(&id)
    }

    fn put(&mut self, run: &Run) {
        let id = run.spec.id;
        let result = run.outcome().map_or(0, |outcome| match outcome {
            sublane_core::Outcome::Succeeded(output) => output.value.len(),
            _ => 0,
        });
        self.old.remove(&id);
        if self.capacity == 0 || run.spec.input.len() + result > MAX_CACHED_BYTES {
            self.young.remove(&id);
        } else {
            self.insert(id, run.clone());
        }
    }

    fn insert(&mut self, id: RunId, run: Run) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&id) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, run);
    }

    fn remove(&mut self, id: RunId) {
        self.young.remove(&id);
        self.old.remove(&id);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
