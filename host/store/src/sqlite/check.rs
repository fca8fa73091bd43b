//! Looks whether a store's file is whole, and whether its rows go together.
//!
//! Reads one snapshot, also while a host writes; changes nothing. It walks whole
//! tables: it is for people, and not on anybody's way.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, Row, params};
use sublane_core::{ArtifactRef, DeliveryId, PollId, Run, RunId};

use super::codec::{self, Columns};
use super::connection;
use super::poll;
use super::session::fault_at;
use super::statements::Sql;
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// Lines that one rule gives; more are counted.
const MAX_LINES: usize = 20;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Runs that were looked at.
    pub runs: u64,
    /// Deliveries that were looked at.
    pub deliveries: u64,
    /// Entries of journals that were looked at.
    pub entries: u64,
    /// Files of artifacts that were looked at.
    pub artifacts: u64,
    /// What is wrong, a line each; empty is a store that is whole.
    pub violations: Vec<String>,
}

/// Rules over rows: each selects the rows that break it, first of all the run's id, and says what
/// is wrong with them. A second column, where there is one, stands for `{}`.
const RULES: &[(&str, &str)] = &[
    (
        "has ended and still holds a purse",
        "SELECT id FROM run WHERE state = 5 AND (cpu_us <> 0 OR spawns <> 0 OR artifact_bytes <> 0 OR amounts IS NOT NULL)",
    ),
    (
        "has ended and still has a deadline or a parent to wait for it",
        "SELECT id FROM run WHERE state = 5 AND (deadline IS NOT NULL OR attached_to IS NOT NULL)",
    ),
    (
        "has ended and still counts as a run on a version of its plugin",
        "SELECT id FROM run WHERE state = 5 AND live_on IS NOT NULL",
    ),
    (
        "lives on another version of its plugin than is noted",
        "SELECT r.id FROM run r JOIN run_spec s ON s.n = r.n \
         WHERE r.state <> 5 AND r.live_on IS NOT substr(s.plugin_digest, 1, 8)",
    ),
    (
        "is not beyond generation {}, which is over",
        "SELECT r.id, g.number FROM generation g JOIN run r ON r.n = g.run WHERE g.number >= r.generation",
    ),
    ("lives and has no deadline", "SELECT id FROM run WHERE state <> 5 AND deadline IS NULL"),
    (
        "waits, but nothing says for what",
        "SELECT id FROM run WHERE state IN (2, 3) AND NOT EXISTS (SELECT 1 FROM wait w WHERE w.run = run.n)",
    ),
    (
        "does not wait, but a wait of it is there",
        "SELECT r.id FROM wait w JOIN run r ON r.n = w.run WHERE r.state NOT IN (2, 3)",
    ),
    (
        "does not wait, but is noted as waiting for another run",
        "SELECT r.id FROM wait_target t JOIN run r ON r.n = t.run WHERE r.state NOT IN (2, 3)",
    ),
    (
        "is attached to a run that has ended or is not there",
        "SELECT c.id FROM run c LEFT JOIN run p ON p.id = c.attached_to \
         WHERE c.attached_to IS NOT NULL AND (p.n IS NULL OR p.state = 5)",
    ),
    (
        "was spawned by a run that is not there",
        "SELECT r.id FROM run r JOIN run_spec s ON s.n = r.n LEFT JOIN run p ON p.id = s.parent \
         WHERE s.parent IS NOT NULL AND p.n IS NULL",
    ),
    (
        "counts {} children that live, which is not how many there are",
        "SELECT p.id, p.active_children FROM run p WHERE p.active_children <> (SELECT count(*) FROM run_spec s \
         JOIN run c ON c.n = s.n WHERE s.parent = p.id AND c.state <> 5)",
    ),
    (
        "counts {} attached children, which is not how many there are",
        "SELECT p.id, p.attached_children FROM run p \
         WHERE p.attached_children <> (SELECT count(*) FROM run c WHERE c.attached_to = p.id)",
    ),
    (
        "has no specification",
        "SELECT id FROM run WHERE NOT EXISTS (SELECT 1 FROM run_spec s WHERE s.n = run.n)",
    ),
    (
        "belongs to a conversation that is not there",
        "SELECT r.id FROM run r JOIN run_spec s ON s.n = r.n \
         WHERE NOT EXISTS (SELECT 1 FROM conversation c WHERE c.id = s.conversation)",
    ),
    (
        "has more attempts on record for a delivery than were begun ({})",
        "SELECT r.id, d.attempts FROM delivery d JOIN run r ON r.n = d.run \
         WHERE (SELECT max(number) FROM delivery_attempt a WHERE a.delivery = d.n) > d.attempts",
    ),
    (
        "has no link to a file of its task: {}",
        "SELECT r.id, value ->> 'name' FROM run r JOIN run_spec s ON s.n = r.n, json_each(s.artifacts) \
         WHERE s.artifacts IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.run = r.n AND a.id = value ->> 'id')",
    ),
    (
        "has no link to a file that it told people about: {}",
        "SELECT r.id, value ->> 'name' FROM delivery d JOIN run r ON r.n = d.run, \
         json_each(d.body, '$.data.artifacts') \
         WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.run = r.n AND a.id = value ->> 'id')",
    ),
];

/// Checks the store at `path`, and that the files of its artifacts lie below `artifacts`.
///
/// # Errors
/// [`StoreError::Unusable`] when it cannot be opened; what is found inside is no error.
pub fn check(path: &Path, artifacts: &Path) -> Result<Checked> {
    let connection = connection::open_reading(path)?;
    let mut check = Check { connection: &connection, checked: Checked::default() };
    let at = fault_at(path);
    let snapshot = connection.unchecked_transaction().map_err(&at)?;
    check.rule(Check::integrity);
    // A file that is damaged gives rows that were never written.
    let files = if check.checked.violations.is_empty() {
        check.rule(Check::references);
        check.rule(Check::rules);
        check.rule(Check::runs);
        check.rule(Check::polls);
        check.rule(Check::journals);
        check.rule(Check::deliveries);
        check.files(artifacts).unwrap_or_else(|error| check.unreadable(&error))
    } else {
        Vec::new()
    };
    drop(snapshot);
    // A host that runs may have removed them since the snapshot.
    for (id, line) in files {
        let sql = Sql::ArtifactLinked.text();
        if connection.prepare(sql).and_then(|mut linked| linked.exists([&id])).map_err(&at)? {
            check.checked.violations.push(line);
        }
    }
    Ok(check.checked)
}

struct Check<'c> {
    connection: &'c Connection,
    checked: Checked,
}

type Sqlite<T = ()> = rusqlite::Result<T>;

impl Check<'_> {
    /// Applies a rule; what cannot be read breaks it.
    fn rule(&mut self, rule: impl Fn(&mut Self) -> Sqlite) {
        if let Err(error) = rule(self) {
            self.unreadable::<()>(&error);
        }
    }

    fn unreadable<T: Default>(&mut self, error: &rusqlite::Error) -> T {
        self.checked.violations.push(format!("the file cannot be read: {error}"));
        T::default()
    }

    /// Notes lines, the first of them in full.
    fn note(&mut self, lines: Vec<String>) {
        let more = lines.len().saturating_sub(MAX_LINES);
        let first = lines.first().cloned();
        self.checked.violations.extend(lines.into_iter().take(MAX_LINES));
        if let Some(first) = first.filter(|_| more > 0) {
            self.checked.violations.push(format!("and {more} more like: {first}"));
        }
    }

    fn lines(&self, sql: &str, line: impl Fn(&Row<'_>) -> Sqlite<String>) -> Sqlite<Vec<String>> {
        self.connection.prepare(sql)?.query_map((), line)?.collect()
    }

    fn integrity(&mut self) -> Sqlite {
        let mut lines = self.lines("PRAGMA integrity_check(20)", |row| row.get::<_, String>(0))?;
        lines.retain(|line| line != "ok");
        self.note(lines.into_iter().map(|line| format!("the file is damaged: {line}")).collect());
        Ok(())
    }

    fn references(&mut self) -> Sqlite {
        let lines = self.lines("PRAGMA foreign_key_check", |row| {
            let (table, number, other): (String, Option<i64>, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let number = number.map_or_else(String::new, |number| format!(" {number}"));
            Ok(format!("a row{number} of {table} refers to a row of {other} that is not there"))
        })?;
        self.note(lines);
        Ok(())
    }

    fn rules(&mut self) -> Sqlite {
        for (what, sql) in RULES {
            let lines = self.lines(sql, |row| {
                let detail: String = match row.as_ref().column_count() {
                    1 => String::new(),
                    _ => row.get_ref(1).map(|value| match value {
                        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                        other => other.as_str().unwrap_or("?").to_owned(),
                    })?,
                };
                Ok(format!("run {} {}", RunId(row.get(0)?), what.replace("{}", &detail)))
            })?;
            self.note(lines);
        }
        Ok(())
    }

    /// Every run can be read, and one that has ended owes what it was to owe.
    fn runs(&mut self) -> Sqlite {
        let text = Sql::Run.text().replace("WHERE r.id = ?1", "WHERE r.n > 0 ORDER BY r.n");
        let mut statement = self.connection.prepare(&text)?;
        let mut owed = self.connection.prepare("SELECT 1 FROM delivery WHERE id = ?1")?;
        let mut rows = statement.query(())?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            self.checked.runs += 1;
            let run: Run = match codec::run(&mut Columns::new("run", row)) {
                Ok(run) => run,
                Err(error) => {
                    lines.push(error.to_string());
                    continue;
                }
            };
            for (index, destination) in (0..).zip(&run.spec.destinations).filter(|_| run.is_ended()) {
                if !owed.exists(params![DeliveryId::ending(run.spec.id, run.generation, index).0])? {
                    lines.push(format!("run {} has ended and owes nothing to {destination}", run.spec.id));
                }
            }
        }
        self.note(lines);
        Ok(())
    }

    /// Every wait can be read; each plan in one is carried out, and no other is.
    fn polls(&mut self) -> Sqlite {
        let mut lines = Vec::new();
        let mut plans = HashMap::<PollId, RunId>::new();
        let mut waits = self.connection.prepare(
            "SELECT r.id, w.path, w.import, w.args, w.what, w.due, r.generation FROM wait w \
             JOIN run r ON r.n = w.run",
        )?;
        let mut rows = waits.query(())?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::new("wait", row);
            match codec::wait(&mut columns).and_then(|wait| Ok((wait, columns.number()?))) {
                Ok((wait, generation)) => {
                    plans.extend(wait.what.polls().map(|(place, _)| {
                        (PollId::opened(wait.run, generation, &wait.path, place), wait.run)
                    }))
                }
                Err(error) => lines.push(error.to_string()),
            }
        }
        let text = Sql::Poll.text().replace("WHERE p.id = ?1", "");
        let mut polls = self.connection.prepare(&text)?;
        let mut rows = polls.query(())?;
        while let Some(row) = rows.next()? {
            match poll::poll(&mut Columns::new("poll", row)) {
                Ok(poll) if plans.remove(&poll.id).is_some() => {}
                Ok(poll) => {
                    let (run, server) = (poll.run, poll.server);
                    lines.push(format!("run {run} does not wait for {server}, but a poll of it is there"));
                }
                Err(error) => lines.push(error.to_string()),
            }
        }
        let unasked = plans.into_values();
        lines.extend(unasked.map(|run| format!("run {run} waits for an answer that nobody asks for")));
        self.note(lines);
        Ok(())
    }

    /// Every entry can be read, and before each stands the one with the number before.
    fn journals(&mut self) -> Sqlite {
        let mut statement = self.connection.prepare(
            "SELECT j.path, j.import, j.args, j.result, j.at, r.id, j.generation FROM journal j \
             JOIN run r ON r.n = j.run ORDER BY j.run, j.generation, j.path",
        )?;
        let mut rows = statement.query(())?;
        let mut lines = Vec::new();
        let mut last: (RunId, u32, Vec<u32>) = (RunId([0; 16]), 0, Vec::new());
        while let Some(row) = rows.next()? {
            self.checked.entries += 1;
            let (run, generation) = (RunId(row.get(5)?), row.get(6)?);
            let entry = match codec::entry(&mut Columns::new("journal", row)) {
                Ok(entry) => entry,
                Err(error) => {
                    lines.push(format!("run {run}: {error}"));
                    continue;
                }
            };
            if (last.0, last.1) != (run, generation) {
                last = (run, generation, Vec::new());
            }
            let path = entry.path.as_bytes().chunks_exact(4);
            let path: Vec<u32> =
                path.map(|number| u32::from_be_bytes(number.try_into().expect("chunks of four"))).collect();
            if !follows(&last.2, &path) {
                let place = &entry.path;
                lines.push(format!("run {run}: the journal has entry {place} and not the one before it"));
            }
            last.2 = path;
        }
        self.note(lines);
        Ok(())
    }

    fn deliveries(&mut self) -> Sqlite {
        let text = Sql::Delivery.text().replace("WHERE d.id = ?1", "WHERE d.n > 0 ORDER BY d.n");
        let mut statement = self.connection.prepare(&text)?;
        let mut rows = statement.query(())?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            self.checked.deliveries += 1;
            if let Err(error) = codec::delivery(&mut Columns::new("delivery", row)) {
                lines.push(error.to_string());
            }
        }
        self.note(lines);
        Ok(())
    }

    /// Artifacts whose files are not there or of another size, by id.
    fn files(&mut self, directory: &Path) -> Sqlite<Vec<(String, String)>> {
        let mut statement = self.connection.prepare(
            "SELECT a.id, a.name, a.media_type, a.size, r.id FROM artifact a JOIN run r ON r.n = a.run ORDER BY a.id",
        )?;
        let mut rows = statement.query(())?;
        let mut missing = Vec::new();
        let mut last = String::new();
        while let Some(row) = rows.next()? {
            let size = row.get::<_, i64>(3)?.cast_unsigned();
            let artifact = ArtifactRef { id: row.get(0)?, name: row.get(1)?, media_type: row.get(2)?, size };
            let path = directory.join(artifact.path());
            // The same file under another name has another place only if its ending differs.
            let place = artifact.path();
            if place == last {
                continue;
            }
            last = place;
            self.checked.artifacts += 1;
            let run = RunId(row.get(4)?);
            let wrong = match std::fs::metadata(&path) {
                Ok(file) if file.len() == size => continue,
                Ok(file) => format!("has {} bytes and must have {size}", file.len()),
                Err(error) => format!("cannot be read: {error}"),
            };
            missing.push((artifact.id, format!("run {run}: its file {} {wrong}", path.display())));
        }
        missing.truncate(MAX_LINES);
        Ok(missing)
    }
}

/// Whether an entry may stand behind another: as the next of the same call, as the first
/// below it, or as the next of a call that it lies below.
fn follows(last: &[u32], path: &[u32]) -> bool {
    let Some((number, above)) = path.split_last() else { return false };
    match number {
        // Which version a tool call was begun on: before all that it does.
        0 => !above.is_empty(),
        // The first of a call, whose own entry comes when it has answered.
        1 => true,
        number => {
            last.len() >= path.len()
                && last.starts_with(above)
                // The entry of a call stands before those below it, once it is there.
                && (last[above.len()] + 1 == *number)
        }
    }
}
