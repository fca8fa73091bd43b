//! `subagent`: spawn, wait, look, speak, cancel.

mod authority;
mod request;
mod spawn;

use std::collections::HashSet;

use sublane_core::journal::{SpawnAnswer, WaitAnswer};
use sublane_core::run::cancel_reason;
use sublane_core::{Import, ImportError, Run, RunId};
use sublane_store::{Command, RunFilter, WaitFor};

use super::translate::{answer, outcome_to_guest, status_to_guest};
use super::{Ctx, Due, Exit, Live, check_json};
use crate::bindings::sublane::plugin::{subagent, types};
use authority::grants_to_guest;
use spawn::Place;

/// Runs that one wait may name, and that one list gives.
pub(super) const MAX_RUNS: usize = 256;
/// Bytes of a reason.
const MAX_REASON_BYTES: usize = 1 << 10;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

impl subagent::Host for Ctx {
    async fn spawn_subagent(&mut self, request: subagent::SpawnRequest) -> Reply<subagent::Receipt> {
        let live = live!(self, Import::Spawn);
        live.spawned(request, None).await
    }

    async fn spawn_with_retry(
        &mut self,
        request: subagent::SpawnRequest,
        retry: subagent::RetryPolicy,
    ) -> Reply<subagent::Receipt> {
        let live = live!(self, Import::SpawnWithRetry);
        live.spawned(request, Some(retry)).await
    }

    async fn wait(
        &mut self,
        runs: Vec<String>,
        until: subagent::AnyOrAll,
        timeout: Option<u64>,
    ) -> Reply<subagent::WaitResult> {
        let import = Import::Wait;
        let live = live!(self, import);
        let all = until == subagent::AnyOrAll::All;
        let mut parts: Vec<&[u8]> = runs.iter().map(|run| run.as_bytes()).collect();
        let limit = timeout.map_or([0; 9], flagged);
        parts.push(&limit);
        parts.push(if all { b"all" } else { b"any" });
        let args = live.args(import, &parts);
        let waited = live.wait::<WaitAnswer>(import, args, async |live, _| {
            let runs = match parse_ids(&runs) {
                Ok(runs) => runs,
                Err(error) => return Ok(Err(error)),
            };
            let allowed = live.own_children(&runs).await?;
            Ok(allowed.map(|()| (WaitFor::Runs { runs, all }, Due::Within(timeout))))
        });
        match waited.await? {
            Ok(decided) => {
                let ended = live.ended_to_guest(decided.ended).await?;
                Ok(Ok(subagent::WaitResult { ended, timed_out: decided.timed_out }))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn status(&mut self, run: String) -> Reply<subagent::RunStatus> {
        let import = Import::Status;
        let live = live!(self, import);
        let seen = live.effect(import, live.args(import, &[run.as_bytes()]), async |live| {
            let id = match parse_id(&run) {
                Ok(id) => id,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(error) = live.own_children(&[id]).await? {
                return Ok(Err(error));
            }
            Ok(live.child(Some(id)).await?.as_ref().map(Seen::of).ok_or(ImportError::NotFound))
        });
        answer(seen.await.map(|seen| seen.map(Seen::into_guest)))
    }

    async fn children(&mut self) -> Reply<Vec<subagent::RunStatus>> {
        let import = Import::Children;
        let live = live!(self, import);
        let seen = live.effect(import, live.args(import, &[]), async |live| {
            let filter = RunFilter {
                parent: Some(live.attempt.spec.id),
                limit: MAX_RUNS as u32,
                ..Default::default()
            };
            let mut runs = live.attempt.host.store.runs(filter).await.map_err(Exit::store)?;
            runs.reverse();
            Ok(Ok(runs.iter().map(Seen::of).collect::<Vec<_>>()))
        });
        answer(seen.await.map(|seen| seen.map(|runs| runs.into_iter().map(Seen::into_guest).collect())))
    }

    async fn send(&mut self, run: String, message: String) -> Reply<()> {
        let import = Import::Send;
        let live = live!(self, import);
        let args = live.args(import, &[run.as_bytes(), message.as_bytes()]);
        let sent = live.command(import, args, async |_| {
            Ok(check_json("the message", &message)
                .and_then(|()| parse_id(&run))
                .map(|to| Command::Send { to, message: message.into() }))
        });
        answer(sent.await)
    }

    async fn receive(&mut self, timeout: Option<u64>) -> Reply<Option<String>> {
        let import = Import::Receive;
        let live = live!(self, import);
        let args = live.args(import, &[&timeout.map_or([0; 9], flagged)]);
        let received = live.wait(import, args, async |live, _| {
            if live.is_tool {
                return Ok(Err(ImportError::Invalid("a tool call is short: it has no mailbox".to_owned())));
            }
            Ok(Ok((WaitFor::Message, Due::Within(timeout))))
        });
        answer(received.await)
    }

    async fn cancel(&mut self, run: String, reason: String) -> Reply<()> {
        let import = Import::Cancel;
        let live = live!(self, import);
        let args = live.args(import, &[run.as_bytes(), reason.as_bytes()]);
        // People are told who it was, whatever a plugin says.
        let who = match live.is_tool {
            true => live.plugin.manifest.id.clone(),
            false => live.attempt.spec.agent_name(),
        };
        let cancelled = live.command(import, args, async |_| {
            if reason.len() > MAX_REASON_BYTES {
                let rule =
                    format!("a reason has at most {MAX_REASON_BYTES} bytes, this one {}", reason.len());
                return Ok(Err(ImportError::Invalid(rule)));
            }
            let reason = cancel_reason(&super::local::line(&reason), &who).into();
            Ok(parse_id(&run).map(|run| Command::Cancel { run, reason }))
        });
        answer(cancelled.await)
    }
}

/// An optional duration as bytes in which `none` is no number.
pub(super) fn flagged(ms: u64) -> [u8; 9] {
    let mut bytes = [1; 9];
    bytes[1..].copy_from_slice(&ms.to_le_bytes());
    bytes
}

pub(super) fn parse_id(run: &str) -> Result<RunId, ImportError> {
    run.parse().map_err(|error: sublane_core::id::ParseIdError| ImportError::Invalid(error.to_string()))
}

/// The runs that a wait names, each once. How many they are comes first: each is looked up afterwards.
pub(super) fn parse_ids(runs: &[String]) -> Result<Vec<RunId>, ImportError> {
    if !(1..=MAX_RUNS).contains(&runs.len()) {
        let rule = format!("a wait names 1 to {MAX_RUNS} runs, this one {}", runs.len());
        return Err(ImportError::Invalid(rule));
    }
    let mut ids = Vec::with_capacity(runs.len());
    let mut seen = HashSet::with_capacity(runs.len());
    for run in runs {
        let id = parse_id(run)?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// A run's status as the journal keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Seen {
    run: RunId,
    name: String,
    agent: String,
    state: String,
    outcome: Option<sublane_core::Outcome>,
    percent: Option<u8>,
    note: Option<String>,
}

impl Seen {
    fn of(run: &Run) -> Self {
        let status = status_to_guest(run);
        Self {
            run: run.spec.id,
            name: status.name,
            agent: status.agent,
            state: run.state.kind().to_owned(),
            outcome: run.outcome().cloned(),
            percent: status.percent,
            note: status.note,
        }
    }

    fn into_guest(self) -> subagent::RunStatus {
        let state = match (self.state.as_str(), &self.outcome) {
            (_, Some(outcome)) => subagent::RunState::Ended(outcome_to_guest(outcome)),
            ("running", _) => subagent::RunState::Running,
            ("waiting", _) => subagent::RunState::Waiting,
            ("closing", _) => subagent::RunState::Closing,
            _ => subagent::RunState::Queued,
        };
        subagent::RunStatus {
            run: self.run.to_string(),
            name: self.name,
            agent: self.agent,
            state,
            percent: self.percent,
            note: self.note,
        }
    }
}

impl Live {
    /// The receipt of a spawn.
    async fn spawned(
        &mut self,
        request: subagent::SpawnRequest,
        retry: Option<subagent::RetryPolicy>,
    ) -> Reply<subagent::Receipt> {
        let import = if retry.is_some() { Import::SpawnWithRetry } else { Import::Spawn };
        let args = request::hash(import, &request, retry.as_ref());
        self.attempt.notes_call(|| match &retry {
            Some(retry) => format!("{request:?}, {retry:?}"),
            None => format!("{request:?}"),
        });
        let (path, held) = self.replayed::<SpawnAnswer>(import, args)?;
        let (spawned, child) = match held {
            Some(answer) => {
                let id = answer.as_ref().ok().map(|spawned| spawned.run);
                (answer, self.child(id).await?)
            }
            None => self.spawn(Place { path, import, args }, request, retry).await?,
        };
        Ok(match (spawned, child) {
            (Ok(spawned), Some(child)) => Ok(subagent::Receipt {
                run: spawned.run.to_string(),
                name: child.spec.name.clone(),
                grants: grants_to_guest(&child.spec),
                duplicate: spawned.duplicate,
                position: spawned.position,
            }),
            (Ok(_), None) => return Err(Exit::Fault("a spawned run is gone".to_owned()).into()),
            (Err(error), _) => Err(error.into()),
        })
    }

    /// The row of a run, if one is named.
    async fn child(&self, id: Option<RunId>) -> wasmtime::Result<Option<Run>> {
        match id {
            Some(id) => Ok(self.attempt.host.store.run(id).await.map_err(Exit::store)?),
            None => Ok(None),
        }
    }

    /// These runs with their outcomes. What they gave back may be spent from now on.
    pub(super) async fn ended_to_guest(&self, ids: Vec<RunId>) -> wasmtime::Result<Vec<types::Ended>> {
        if self.attempt.meter.is_low()
            && let Some(own) = self.child(Some(self.attempt.spec.id)).await?
        {
            self.attempt.meter.refill(&own.purse);
        }
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            let run = self.child(Some(id)).await?;
            if let Some(outcome) = run.as_ref().and_then(Run::outcome) {
                ended.push(types::Ended { run: id.to_string(), outcome: outcome_to_guest(outcome) });
            }
        }
        Ok(ended)
    }

    /// Denied, unless all of these runs were spawned by this one.
    pub(super) async fn own_children(&self, runs: &[RunId]) -> wasmtime::Result<Result<(), ImportError>> {
        for id in runs {
            let run = self.child(Some(*id)).await?;
            if run.is_none_or(|run| run.spec.parent != Some(self.attempt.spec.id)) {
                return Ok(Err(ImportError::Denied(format!("subagent {id}"))));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_names_few_runs_and_what_is_named_twice_is_there_once() {
        let run = |n: u8| RunId([n; 16]).to_string();
        assert_eq!(parse_ids(&[run(2), run(1)]), Ok(vec![RunId([2; 16]), RunId([1; 16])]));
        let why = |runs: &[String]| parse_ids(runs).expect_err("refused").to_string();
        assert_eq!(why(&[]), "invalid: a wait names 1 to 256 runs, this one 0");
        let many = vec!["no id".to_owned(); 60_000];
        assert_eq!(why(&many), "invalid: a wait names 1 to 256 runs, this one 60000", "none is looked at");
        let twice = [run(2), run(1), run(2)];
        assert_eq!(parse_ids(&twice), Ok(vec![RunId([2; 16]), RunId([1; 16])]));
    }
}
