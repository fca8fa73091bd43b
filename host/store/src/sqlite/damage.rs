//! Damage of the file: what of it can be seen in a moment, before a host works on it, and all of it in a copy.
//!
//! Reads pages and never a row's meaning; that is [`super::check`]'s matter. Changes nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::session::{ADVICE, fault_at};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// A file of at most so many pages (4 MiB) is looked at whole.
const WHOLE: u32 = 512;
/// So long is a larger one looked at, in equal parts for its tables: a start is to take 200 ms in all.
const TIME: Duration = Duration::from_millis(40);
/// Steps of SQLite between two looks at the time; each may read a page.
const STEPS: i32 = 16;

/// Looks for damage that can be seen in a moment: in a small file all of it, in a larger one that of
/// the upper pages of each table and its indexes, and of as many below them as the time allows.
///
/// # Errors
/// [`StoreError::Damaged`] says where the first is, and what to do.
pub(super) fn look(connection: &mut Connection, path: &Path) -> Result<()> {
    let at = fault_at(path);
    let pages: u32 = connection.query_row("PRAGMA page_count", (), |row| row.get(0)).map_err(&at)?;
    if pages <= WHOLE {
        return found(connection, "PRAGMA quick_check(1)", path);
    }
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")
        .and_then(|mut tables| tables.query_map((), |row| row.get(0))?.collect())
        .map_err(&at)?;
    let share = TIME / u32::try_from(tables.len()).unwrap_or(1).max(1);
    for table in tables {
        #[expect(clippy::disallowed_methods, reason = "how long this takes is all that is measured")]
        let until = Instant::now() + share;
        #[expect(clippy::disallowed_methods, reason = "how long this takes is all that is measured")]
        connection.progress_handler(STEPS, Some(move || Instant::now() > until)).map_err(&at)?;
        let check = format!("PRAGMA quick_check('{}')", table.replace('\'', "''"));
        let seen = found(connection, &check, path);
        connection.progress_handler(0, None::<fn() -> bool>).map_err(&at)?;
        seen?;
    }
    Ok(())
}

/// The first line of a check, unless it says that all is well.
fn found(connection: &Connection, check: &str, path: &Path) -> Result<()> {
    let line: rusqlite::Result<String> = connection.query_row(check, (), |row| row.get(0));
    match line {
        Ok(line) if line == "ok" => Ok(()),
        Ok(line) => Err(damaged(path, &line, ADVICE)),
        // It was stopped, and had found nothing.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(fault_at(path)(error)),
    }
}

fn damaged(path: &Path, line: &str, advice: &str) -> StoreError {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    StoreError::Damaged { path: path.to_owned(), why: format!("{line}: {advice}") }
}

/// Looks for damage in all of a copy, which nobody else has open. `original` is whom it is a copy of.
///
/// # Errors
/// [`StoreError::Damaged`] for the original; [`StoreError::Unusable`] when the copy cannot be read.
pub(super) fn look_at_copy(copy: &Connection, path: &Path, original: &Path) -> Result<()> {
    let line: rusqlite::Result<String> = copy.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0));
    let line = match line {
        Ok(line) if line == "ok" => return Ok(()),
        Ok(line) => line,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => error.to_string(),
        Err(error) => return Err(fault_at(path)(error)),
    };
    let advice = "a copy would be damaged too, and none was made. Keep the last one that is whole; \
                  `sublane store check` says what else is wrong";
    Err(damaged(original, &line, advice))
}
