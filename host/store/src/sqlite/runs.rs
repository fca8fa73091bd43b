//! A run in its two tables: written whole once, then only what changes.

use rusqlite::params;
use sublane_core::{Run, RunState, Token};

use super::codec::{self, bits, instant, json, lifetime_code, list, priority_code, state_code, state_range};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::{Rows, RunFilter};

type Result<T> = std::result::Result<T, StoreError>;

/// A state's columns: token, outcome, end.
type StateColumns = (Option<[u8; 16]>, Option<String>, Option<i64>);

fn state_columns(state: &RunState) -> StateColumns {
    let bytes = |token: &Token| token.0.to_be_bytes();
    match state {
        RunState::Queued => (None, None, None),
        RunState::Running { token } => (Some(bytes(token)), None, None),
        RunState::Waiting { token } => (token.as_ref().map(bytes), None, None),
        RunState::Closing { outcome } => (None, Some(json(outcome)), None),
        RunState::Ended { outcome, at } => (None, Some(json(outcome)), Some(instant(*at))),
    }
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
            run.spec.attached_to().filter(|_| lives).map(|parent| parent.0)
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
            spec.component,
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
            spec.seed
        ];
        self.execute(Sql::SpecInsert, values)?;
        self.know_run(run);
        Ok(())
    }

    /// Writes what may have changed. Which indexes follow depends on the statement,
    /// not on the values, so the smallest one that is enough is taken.
    pub(super) fn write_run(&mut self, run: &Run) -> Result<()> {
        let id = run.spec.id;
        let Some(old) = self.run(id)? else {
            return Err(StoreError::Corrupt(format!("run {id} is not there to be written")));
        };
        if old.is_ended() && !run.is_ended() {
            return Err(StoreError::Corrupt(format!("run {id} has ended and cannot live again")));
        }
        let new = Run { spec: old.spec.clone(), ..run.clone() };
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
            state_code(&run.state),
            token,
            outcome,
            ended_at,
            instant(run.since)
        ];
        let (sql, values) = if old.state == run.state && old.since == run.since {
            (Sql::RunCounters, &values[..11])
        } else if run.is_ended() && !old.is_ended() {
            (Sql::RunEnd, values)
        } else {
            (Sql::RunStep, values)
        };
        self.execute(sql, values)?;
        self.know_run(&new);
        Ok(())
    }

    pub(super) fn list_runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>> {
        let kind = filter.state.as_deref();
        let Some((first, last)) = state_range(kind) else { return Ok(Vec::new()) };
        let (conversation, limit) = (filter.conversation.map(|id| id.0), filter.limit);
        if let Some(parent) = filter.parent {
            let values = params![parent.0, conversation, first, last, limit];
            return self.all("run", Sql::RunsOfParent, values, codec::run);
        }
        if conversation.is_some() {
            return self.all(
                "run",
                Sql::RunsOfConversation,
                params![conversation, first, last, limit],
                codec::run,
            );
        }
        match kind {
            Some("queued") => self.all("run", Sql::RunsQueued, params![limit], codec::run),
            Some("running" | "closing") => {
                self.all("run", Sql::RunsActive, params![first, limit], codec::run)
            }
            Some("waiting") => {
                let mut hot = self.all("run", Sql::RunsActive, params![first, limit], numbered)?;
                hot.extend(self.all("run", Sql::RunsActive, params![last, limit], numbered)?);
                hot.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
                Ok(hot.into_iter().take(limit as usize).map(|(_, run)| run).collect())
            }
            // Of those that have ended, most runs are one: no index finds the newest sooner.
            _ => self.all("run", Sql::RunsAll, params![i64::MAX, first, last, limit], codec::run),
        }
    }
}

/// A run with its number, which stands behind the columns of `run_columns!`.
fn numbered(columns: &mut codec::Columns<'_>) -> Result<(i64, Run)> {
    let run = codec::run(columns)?;
    Ok((columns.integer()?, run))
}
