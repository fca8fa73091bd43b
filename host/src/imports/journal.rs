//! `journal`: how much of it is used, and how a run goes on with an empty one.

use serde::{Deserialize, Serialize};
use sublane_core::journal::encode;
use sublane_core::{Entry, Import, ImportError, NextTask};

use super::translate::{answer, artifacts_from_guest};
use super::{Ctx, Live, check_input};
use crate::attempt::Exit;
use crate::bindings::sublane::plugin::{journal, types};
use crate::journal::Usage;

/// Artifacts that go with one task.
const MAX_ARTIFACTS: usize = 32;

/// A usage as the journal keeps it.
#[derive(Serialize, Deserialize)]
struct Used {
    entries: u32,
    max_entries: u32,
    bytes: u64,
    max_bytes: u64,
}

impl journal::Host for Ctx {
    async fn used(&mut self) -> wasmtime::Result<Result<journal::Usage, types::Error>> {
        let import = Import::JournalUsed;
        let live = live!(self, import);
        let used = live.effect(import, live.args(import, &[]), async |live: &mut Live| {
            let Usage { entries, bytes, bounds } = live.attempt.journal.usage();
            let (max_entries, max_bytes) = (bounds.entries, bounds.bytes);
            Ok(Ok(Used { entries, max_entries, bytes, max_bytes }))
        });
        answer(used.await.map(|used| {
            used.map(|Used { entries, max_entries, bytes, max_bytes }| journal::Usage {
                entries,
                max_entries,
                bytes,
                max_bytes,
            })
        }))
    }

    async fn continue_as_new(&mut self, task: types::Task) -> wasmtime::Result<Result<(), types::Error>> {
        let import = Import::ContinueAsNew;
        let live = live!(self, import);
        let mut parts = vec![task.input.as_bytes()];
        let sizes: Vec<[u8; 8]> = task.artifacts.iter().map(|file| file.size.to_le_bytes()).collect();
        for (file, size) in task.artifacts.iter().zip(&sizes) {
            parts.extend([file.id.as_bytes(), file.name.as_bytes(), file.media_type.as_bytes(), size]);
        }
        let args = live.args(import, &parts);
        let (path, held) = live.replayed::<()>(import, args)?;
        match held {
            // A generation that is over is looked at.
            Some(Ok(())) => return Err(Exit::Continued.into()),
            Some(Err(error)) => return Ok(Err(error.into())),
            None => {}
        }
        let task = match live.next_task(task).await? {
            Ok(task) => task,
            Err(error) => {
                live.append::<()>(path, import, args, &Err(error.clone())).await?;
                return Ok(Err(error.into()));
            }
        };
        let attempt = live.attempt.clone();
        let by = attempt.by(true);
        let spent = by.spent;
        let entry = Entry { path, import, args, result: encode(&Ok(())), at: by.now };
        let effects = attempt.host.store.continue_as_new(by, entry, task).await.map_err(|error| {
            attempt.meter.put_back(&spent);
            Exit::store(error)
        })?;
        attempt.continues(effects);
        Err(Exit::Continued.into())
    }
}

impl Live {
    /// What the run goes on with, if it may.
    async fn next_task(&self, task: types::Task) -> wasmtime::Result<Result<NextTask, ImportError>> {
        if self.is_tool {
            let why = "a tool call is short: only an agent goes on as new";
            return Ok(Err(ImportError::Invalid(why.to_owned())));
        }
        if task.artifacts.len() > MAX_ARTIFACTS {
            let why = format!("a task has at most {MAX_ARTIFACTS} artifacts");
            return Ok(Err(ImportError::Invalid(why)));
        }
        let Some(agent) = self.plugin.agent(Some(&self.attempt.spec.agent)) else {
            return Err(Exit::Fault("an agent that is not there executes".to_owned()).into());
        };
        if let Err(error) = check_input(&agent.input_schema, "the task", &task.input) {
            return Ok(Err(error));
        }
        let files = self.readable(artifacts_from_guest(task.artifacts)).await?;
        Ok(files.map(|artifacts| NextTask { input: task.input.into(), artifacts }))
    }
}
