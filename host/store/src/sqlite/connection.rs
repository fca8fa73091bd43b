//! Opening the file: settings, and the ladder of its formats.
//!
//! The order of the settings matters: the time-out comes first, since turning
//! WAL on takes a lock, and the page size before the first page.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::damage;
use super::session::fault_at;
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// How long a connection waits for another process to let go of the write lock.
/// The command line holds it for one small commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a page of the file.
pub(super) const PAGE_BYTES: u64 = 8_192;

/// Says whose file it is: "SBLN".
const APPLICATION_ID: i32 = 0x5342_4c4e;

/// From an empty file to the newest format, one step for each version.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_steering.sql"),
    include_str!("../../migrations/0003_retention.sql"),
    include_str!("../../migrations/0004_delivery.sql"),
    include_str!("../../migrations/0005_kv_bytes.sql"),
    include_str!("../../migrations/0006_logs.sql"),
    include_str!("../../migrations/0007_retry.sql"),
    include_str!("../../migrations/0008_versions.sql"),
    include_str!("../../migrations/0009_amounts.sql"),
    include_str!("../../migrations/0010_pauses.sql"),
    include_str!("../../migrations/0011_waits.sql"),
    include_str!("../../migrations/0012_hooks.sql"),
    include_str!("../../migrations/0013_schedules.sql"),
    include_str!("../../migrations/0014_polls.sql"),
    include_str!("../../migrations/0015_retries.sql"),
    include_str!("../../migrations/0016_continued.sql"),
];

/// What the file is to become and to stay. `synchronous=FULL` makes a commit durable when it returns;
/// checkpoints are the writer's own, when it has nothing else to do.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
";

/// The connection that writes. Makes the file if there is none, and brings it to the newest format.
pub(super) fn open_writing(path: &Path) -> Result<Connection> {
    create(path).map_err(|error| unusable(path, format!("it cannot be made: {error}")))?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let at = fault_at(path);
    if version(&connection, path)? == 0 {
        connection.pragma_update(None, "page_size", PAGE_BYTES as i64).map_err(&at)?;
    }
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(&at)?;
    if mode != "wal" {
        return Err(unusable(path, format!("its file system cannot do write-ahead logging (mode {mode})")));
    }
    connection.execute_batch(SETTINGS).map_err(&at)?;
    // Before anything is written, and before a format changes.
    damage::look(&mut connection, path)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// A connection that only reads, also beside a host that writes.
pub(super) fn open_reading(path: &Path) -> Result<Connection> {
    let connection = open_current(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true).map_err(fault_at(path))?;
    Ok(connection)
}

/// A connection for one small write beside a host.
pub(super) fn open_beside(path: &Path) -> Result<Connection> {
    let connection = open_current(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fault_at(path))?;
    Ok(connection)
}

fn open_current(path: &Path, flags: OpenFlags) -> Result<Connection> {
    if !path.exists() {
        return Err(unusable(path, "there is no store: start a host on this state directory first"));
    }
    let connection = open(path, flags)?;
    let version = version(&connection, path)?;
    if version < MIGRATIONS.len() {
        let newest = MIGRATIONS.len();
        let why = format!(
            "its format is version {version} and must be {newest}: start the host once, which converts it"
        );
        return Err(unusable(path, why));
    }
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let at = fault_at(path);
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(&at)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&at)?;
    Ok(connection)
}

/// Makes the file, for its owner only, with its name durable in its directory.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    sync_parent(path)
}

/// Makes the name of a file durable in its directory.
pub(super) fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

pub(super) fn unusable(path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Unusable { path: path.to_owned(), why: why.into() }
}

/// The version of the file's format; 0 is an empty file. What is not ours, or too new, is refused.
fn version(connection: &Connection, path: &Path) -> Result<usize> {
    let number =
        |name| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0)).map_err(fault_at(path));
    let application: i32 = number("application_id")?;
    let version: i32 = number("user_version")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(fault_at(path))?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(unusable(path, "it is an SQLite file of something else: choose another state directory"));
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => {
            let newest = MIGRATIONS.len();
            let why = format!(
                "a newer Sublane wrote it (its format is version {version}, this one knows up to {newest}): \
                 run that version, or choose another state directory{}",
                hint(path, newest)
            );
            Err(unusable(path, why))
        }
    }
}

/// Where a copy of a file is kept before its format changes: `sublane.db.v1`.
fn copy_of(path: &Path, version: usize) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".v{version}"));
    path.with_file_name(name)
}

/// Where the copy is that a newer version made before it changed the format, if it is there.
fn hint(path: &Path, newest: usize) -> String {
    let copies = (1..=newest).rev().map(|version| copy_of(path, version));
    let copy = copies.into_iter().find(|copy| copy.exists());
    copy.map_or_else(String::new, |copy| {
        format!("; {} is what it was before, without what happened since", copy.display())
    })
}

/// Climbs from the file's version to the newest in one transaction. An older file is copied first.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let at = fault_at(path);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&at)?;
    let from = version(&transaction, path)?;
    if from == MIGRATIONS.len() {
        return Ok(());
    }
    if from > 0 {
        // The write lock is held: nothing is written between the copy and the change.
        let copy = copy_of(path, from);
        let source = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        super::backup::copy(&source, path, &copy, &mut |_, _| {})?;
        tracing::info!(copy = %copy.display(), "the store was copied before its format changes");
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(from) {
        transaction.execute_batch(step).map_err(&at)?;
        if from > 0 {
            tracing::info!(version = index + 1, path = %path.display(), "the store has a new format");
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(&at)?;
    let newest = i64::try_from(MIGRATIONS.len()).expect("there are few versions");
    transaction.pragma_update(None, "user_version", newest).map_err(&at)?;
    transaction.commit().map_err(&at)
}
