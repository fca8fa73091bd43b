//! A copy of the store's file, also while a host writes it.
//!
//! The copy is of one instant, is made beside its place, looked at, and moved there whole: what is
//! damaged gives none.
//! Reads in a snapshot of its own, so no writer waits for it and none makes it begin anew.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::session::fault_at;
use super::{connection, damage};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// Pages between two reports: 8 MiB.
const PAGES_PER_STEP: i32 = 1_024;

/// Copies the store at `from` to the file `to`, which is replaced if it is there. `progress`
/// is told how many pages are copied, and of how many. Gives the copy's bytes.
///
/// # Errors
/// [`StoreError::Unusable`] says which of the two files, and why; [`StoreError::Damaged`] that `from`
/// is not whole. Then `to` is as it was.
pub fn backup(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
    copy(&connection::open_reading(from)?, from, to, progress)
}

/// Copies what `source` reads, which is the file `from`, as [`backup`] does.
pub(super) fn copy(
    source: &Connection,
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let staging = staging(to);
    let written = write(source, from, &staging, progress).and_then(|()| look(&staging, from));
    let done = written.and_then(|()| place(&staging, to));
    if done.is_err() {
        // What is left of it would only be in the way; the error is the first one's.
        let _ = std::fs::remove_file(&staging);
    }
    done
}

/// Beside the target, so that it can be moved there; of this process alone.
fn staging(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    to.with_file_name(name)
}

/// Looks whether the copy is whole. Read as a file that nobody changes, it gets no log beside it.
fn look(staging: &Path, from: &Path) -> Result<()> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", escaped(staging));
    let copy = Connection::open_with_flags(uri, flags).map_err(fault_at(staging))?;
    damage::look_at_copy(&copy, staging, from)
}

/// A path as it stands in a URI.
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(*byte)),
            byte => write!(escaped, "%{byte:02X}").expect("a string takes what is written"),
        }
    }
    escaped
}

fn write(source: &Connection, from: &Path, staging: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let io = |error: std::io::Error| connection::unusable(staging, format!("it cannot be written: {error}"));
    // One that an earlier process of this number left.
    match std::fs::remove_file(staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    connection::create(staging).map_err(io)?;
    let at = fault_at(staging);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(staging, flags).map_err(&at)?;
    // Nothing of a copy that is not whole is used, so it needs no journal; it is synced as a whole.
    target.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;").map_err(&at)?;
    let snapshot = source.unchecked_transaction().map_err(fault_at(from))?;
    // The first read fixes what the whole copy sees.
    let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", (), read).map_err(fault_at(from))?;
    {
        let backup = Backup::new(&snapshot, &mut target).map_err(&at)?;
        loop {
            // The copy is new: what is damaged is what it is made of.
            let step = backup.step(PAGES_PER_STEP).map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt) => fault_at(from)(error),
                _ => at(error),
            })?;
            let pages = backup.progress();
            let (total, left) = (pages.pagecount.unsigned_abs(), pages.remaining.unsigned_abs());
            progress(u64::from(total - left), u64::from(total));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(connection::unusable(staging, "another process holds it")),
            }
        }
    }
    drop(snapshot);
    target.close().map_err(|(_, error)| at(error))
}

/// Makes the copy durable and moves it to its place.
fn place(staging: &Path, to: &Path) -> Result<u64> {
    let moved = || {
        let file = File::open(staging)?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        std::fs::rename(staging, to)?;
        connection::sync_parent(to)?;
        Ok(bytes)
    };
    moved()
        .map_err(|error: std::io::Error| connection::unusable(to, format!("it cannot be written: {error}")))
}
