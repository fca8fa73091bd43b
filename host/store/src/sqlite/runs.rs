//! A run in its two tables: written whole once, then only what changes.

use rusqlite::params;
use sublane_core::{Run, RunState, Token};

use super::codec::{self, bits, instant, json, lifetime_code, list, priority_code, state_code, state_range};
use super::session::Session;
use super::statements::Sql;
use super::version::indexed;
use crate::StoreError;
use crate::rows::{Between, Rows, RunFilter};

type Result<T> = std::result::Result<T, StoreError>;

/// A state's columns: token, outcome, end.
type StateColumns = (Option<[u8; 16]>, Option<String>, Option<i64>);

fn state_columns(state: &RunState) -> StateColumns {
    let bytes = |token: &Token| token.0.to_be_bytes();
    match state {
        RunState::Delayed { .. } | RunState::Queued => (None, None, None),
        RunState::Running { token } => (Some(bytes(token)), None, None),
        RunState::Waiting { token } => (token.as_ref().map(bytes), None, None),
        RunState::Closing { outcome } => (None, Some(json(outcome)), None),
        RunState::Ended { outcome, at } => (None, Some(json(outcome)), Some(instant(*at))),
    }
}

/// When a run becomes ready that is delayed.
fn ready_at(state: &RunState) -> Option<i64> {
    match state {
        RunState::Delayed { until } => Some(instant(*until)),
        _ => None,
    }
}

/// Since when its time-out counts, where that is not when its generation began.
fn timed_from(run: &Run) -> Option<i64> {
    (run.timed_from != run.begun).then(|| instant(run.timed_from))
}

impl Session<'_> {
    pub(super) fn write_new_run(&mut self, run: &Run) -> Result<()> {
        let (token, outcome, ended_at) = state_columns(&run.state);
        let progress = run.progress.as_ref();
        let lives = !run.is_ended();
        let values = params![
            run.spec.id.0,
            state_code(&run.state),
            token,
            outcome,
            ended_at,
            run.generation,
            run.attempt,
            run.crashes,
            bits(run.purse.cpu_us),
            bits(run.purse.spawns),
            bits(run.purse.artifact_bytes),
            run.active_children,
            run.attached_children,
            instant(run.since),
            progress.map(|(percent, _)| percent),
            progress.map(|(_, note)| note),
            lives.then(|| instant(run.spec.deadline())),
            run.spec.attached_to().filter(|_| lives).map(|parent| parent.0),
            instant(run.begun),
            lives.then(|| indexed(&run.spec.plugin_digest)),
            codec::other_amounts(&run.purse),
            ready_at(&run.state),
            timed_from(run)
        ];
        self.execute(Sql::RunInsert, values)?;
        let spec = &*run.spec;
        let values = params![
            spec.parent.map(|parent| parent.0),
            lifetime_code(spec.lifetime),
            spec.conversation.0,
            spec.origin.channel,
            spec.origin.address,
            spec.plugin,
            spec.agent,
            spec.plugin_digest,
            spec.name,
            spec.lane,
            priority_code(spec.priority),
            spec.depth,
            spec.input,
            list(&spec.artifacts),
            json(&spec.grants),
            bits(spec.purse.cpu_us),
            bits(spec.purse.spawns),
            bits(spec.purse.artifact_bytes),
            list(&spec.destinations),
            instant(spec.created),
            spec.dedupe_key,
            spec.spawner,
            spec.seed,
            codec::other_amounts(&spec.purse),
            spec.retry.as_ref().map(json)
        ];
        self.execute(Sql::SpecInsert, values)?;
        self.know_run(run);
        Ok(())
    }

    /// Writes what may have changed. Which indexes follow depends on the statement,
    /// not on the values, so the smallest one that is enough is taken.
    pub(super) fn write_run(&mut self, run: &Run) -> Result<()> {
        let old = self.old_run(run)?;
        if old.is_ended() && !run.is_ended() {
            let id = run.spec.id;
            return Err(StoreError::Corrupt(format!("run {id} has ended and cannot live again")));
        }
        let new = Run { spec: old.spec.clone(), ..run.clone() };
        self.write_change(&old, &new)
    }

    /// Writes what changes with the state of a run that had ended and lives again.
    pub(super) fn revive_run(&mut self, run: &Run) -> Result<()> {
        let old = self.old_run(run)?;
        self.write_change(&old, run)
    }

    /// Writes what a new generation brings, beside what changes with the state.
    pub(super) fn write_generation(&mut self, run: &Run) -> Result<()> {
        let values = params![
            run.spec.id.0,
            instant(run.begun),
            ready_at(&run.state),
            run.retried,
            timed_from(run),
            run.continued
        ];
        self.execute(Sql::RunAgain, values).map(drop)
    }

    fn old_run(&mut self, run: &Run) -> Result<Run> {
        let id = run.spec.id;
        self.run(id)?.ok_or_else(|| StoreError::Corrupt(format!("run {id} is not there to be written")))
    }

    fn write_change(&mut self, old: &Run, run: &Run) -> Result<()> {
        let id = run.spec.id;
        let (token, outcome, ended_at) = state_columns(&run.state);
        // In the order of the statements: what `RunCounters` writes, then what moves with the state.
        let values = params![
            id.0,
            run.generation,
            run.attempt,
            run.crashes,
            bits(run.purse.cpu_us),
            bits(run.purse.spawns),
            bits(run.purse.artifact_bytes),
            run.active_children,
            run.attached_children,
            run.progress.as_ref().map(|(percent, _)| percent),
            run.progress.as_ref().map(|(_, note)| note),
            codec::other_amounts(&run.purse),
            state_code(&run.state),
            token,
            outcome,
            ended_at,
            instant(run.since)
        ];
        let (sql, values) = if old.state == run.state && old.since == run.since {
            (Sql::RunCounters, &values[..12])
        } else if run.is_ended() && !old.is_ended() {
            (Sql::RunEnd, values)
        } else {
            (Sql::RunStep, values)
        };
        self.execute(sql, values)?;
        self.know_run(run);
        Ok(())
    }

    pub(super) fn list_runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>> {
        let kind = filter.state.as_deref();
        let Some((first, last)) = state_range(kind) else { return Ok(Vec::new()) };
        let numbers = self.numbers("run_spec", Sql::RunLast, filter.accepted)?;
        let mut list = |sql, key: Key| {
            let RunFilter { conversation, plugin, agent, limit, .. } = filter;
            let (from, until) = ends(filter.accepted);
            let values = params![
                key,
                first,
                last,
                conversation.map(|id| id.0),
                plugin,
                agent,
                numbers.0,
                numbers.1,
                from,
                until,
                limit
            ];
            self.all("run", sql, values, numbered)
        };
        let found = match (filter.parent, filter.conversation, kind, &filter.plugin) {
            (Some(parent), ..) => list(Sql::RunsOfParent, Key::from(parent.0.to_vec()))?,
            (None, Some(conversation), ..) => {
                list(Sql::RunsOfConversation, Key::from(conversation.0.to_vec()))?
            }
            (None, None, Some("queued"), _) => list(Sql::RunsQueued, Key::Null)?,
            (None, None, Some("delayed"), _) => list(Sql::RunsDelayed, Key::Null)?,
            (None, None, Some("running" | "closing"), _) => list(Sql::RunsActive, Key::from(first))?,
            (None, None, Some("waiting"), _) => {
                let mut found = list(Sql::RunsActive, Key::from(first))?;
                found.extend(list(Sql::RunsActive, Key::from(last))?);
                found.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
                found.truncate(filter.limit as usize);
                found
            }
            (None, None, _, Some(plugin)) => list(Sql::RunsOfPlugin, Key::from(plugin.clone()))?,
            // Of those that have ended, most runs are one: no index finds the newest sooner.
            (None, None, _, None) => list(Sql::RunsAll, Key::Null)?,
        };
        Ok(found.into_iter().map(|(_, run)| run).collect())
    }

    /// Between which numbers the rows of this span are. Rows are numbered as time goes on, so the
    /// ends are found by halving; a clock that was set back by less than [`SLACK`] is allowed for.
    pub(super) fn numbers(&mut self, table: &'static str, last: Sql, span: Between) -> Result<(i64, i64)> {
        let mut before = |sought: i64| {
            // The newest row whose time is before `sought`.
            let (mut low, mut high) = (0, i64::MAX);
            while low < high {
                let middle = low + (high - low).div_euclid(2) + (high - low) % 2;
                let row =
                    self.one(table, last, params![middle], |row| Ok((row.integer()?, row.integer()?)))?;
                match row {
                    Some((number, at)) if at >= sought => high = number - 1,
                    // Between that row and the middle there is none.
                    _ => low = middle,
                }
            }
            Ok::<_, StoreError>(low)
        };
        let first = match span.from {
            Some(from) => before(instant(from).saturating_sub(SLACK))?.saturating_add(1),
            None => 0,
        };
        let end = match span.until {
            Some(until) => before(instant(until).saturating_add(SLACK))?,
            None => i64::MAX,
        };
        Ok((first, end))
    }
}

/// How far a clock may be set back, in milliseconds, so that lists by time miss nothing: an hour.
const SLACK: i64 = 3_600_000;

/// What a list is found by.
type Key = rusqlite::types::Value;

/// The ends of a span as they are stored.
pub(super) fn ends(span: Between) -> (i64, i64) {
    (span.from.map_or(0, instant), span.until.map_or(i64::MAX, instant))
}

/// A run with its number, which stands behind the columns of `run_columns!`.
fn numbered(columns: &mut codec::Columns<'_>) -> Result<(i64, Run)> {
    let run = codec::run(columns)?;
    Ok((columns.integer()?, run))
}
