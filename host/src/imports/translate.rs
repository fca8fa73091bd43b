//! Between the WIT's types and the core's. Nothing here decides.

use sublane_core::grants::{AgentPattern, ChannelGrant, KvGrant, KvMode, SpawnGrant, ToolGrant};
use sublane_core::{
    Answer, ArtifactRef, Failure, Grants, ImportError, Outcome, Output, PurseAsk, Run, RunState, Scope,
};

use crate::bindings::sublane::plugin::{subagent, types};

/// An answer as the guest gets it; what ends the attempt passes through.
pub(super) fn answer<T>(answered: wasmtime::Result<Answer<T>>) -> wasmtime::Result<Result<T, types::Error>> {
    answered.map(|answer| answer.map_err(Into::into))
}

impl From<ImportError> for types::Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Denied(what) => Self::Denied(what),
            ImportError::Limit(limit) => {
                Self::Limit(types::LimitHit { which: limit.which, value: limit.value })
            }
            ImportError::Invalid(why) => Self::Invalid(why),
            ImportError::NotFound => Self::NotFound,
            ImportError::Unavailable(after) => Self::Unavailable(after),
            ImportError::Cancelled => Self::Cancelled,
            ImportError::Internal(id) => Self::Internal(id),
        }
    }
}

pub(super) fn artifact_to_guest(file: ArtifactRef) -> types::Artifact {
    types::Artifact { id: file.id, name: file.name, media_type: file.media_type, size: file.size }
}

pub(super) fn artifacts_from_guest(files: Vec<types::Artifact>) -> Vec<ArtifactRef> {
    let from = |file: types::Artifact| ArtifactRef {
        id: file.id,
        name: file.name,
        media_type: file.media_type,
        size: file.size,
    };
    files.into_iter().map(from).collect()
}

/// What a guest gave back.
pub fn output_from_guest(output: types::Output) -> Output {
    Output {
        value: output.value.into(),
        text: output.text.map(Into::into),
        artifacts: artifacts_from_guest(output.artifacts),
    }
}

/// A task as its guest gets it.
pub fn task_to_guest(run: &sublane_core::RunSpec) -> types::Task {
    types::Task {
        input: run.input.to_string(),
        artifacts: run.artifacts.iter().cloned().map(artifact_to_guest).collect(),
    }
}

pub(super) fn outcome_to_guest(outcome: &Outcome) -> types::Outcome {
    match outcome {
        Outcome::Succeeded(output) => types::Outcome::Succeeded(types::Output {
            value: output.value.to_string(),
            text: output.text.as_ref().map(ToString::to_string),
            artifacts: output.artifacts.iter().cloned().map(artifact_to_guest).collect(),
        }),
        Outcome::Failed { reason, message } => {
            types::Outcome::Failed((reason_to_guest(*reason), message.to_string()))
        }
        Outcome::TimedOut => types::Outcome::TimedOut,
        Outcome::Cancelled { reason } => types::Outcome::Cancelled(reason.to_string()),
    }
}

fn reason_to_guest(reason: Failure) -> types::FailureReason {
    use types::FailureReason as G;
    match reason {
        Failure::Failed => G::Failed,
        Failure::Trapped => G::Trapped,
        Failure::OutOfMemory => G::OutOfMemory,
        Failure::StackOverflow => G::StackOverflow,
        Failure::OutOfCpu => G::OutOfCpu,
        Failure::Nondeterministic => G::Nondeterministic,
        Failure::CrashLooping => G::CrashLooping,
        Failure::JournalFull => G::JournalFull,
        Failure::InvalidOutput => G::InvalidOutput,
        Failure::PluginUnavailable => G::PluginUnavailable,
    }
}

pub(super) fn status_to_guest(run: &Run) -> subagent::RunStatus {
    let state = match &run.state {
        RunState::Queued => subagent::RunState::Queued,
        RunState::Running { .. } => subagent::RunState::Running,
        RunState::Waiting { .. } => subagent::RunState::Waiting,
        RunState::Closing { .. } => subagent::RunState::Closing,
        RunState::Ended { outcome, .. } => subagent::RunState::Ended(outcome_to_guest(outcome)),
    };
    subagent::RunStatus {
        run: run.spec.id.to_string(),
        name: run.spec.name.clone(),
        agent: run.spec.agent_name(),
        state,
        percent: run.progress.as_ref().map(|(percent, _)| *percent),
        note: run.progress.as_ref().map(|(_, note)| note.to_string()),
    }
}

/// A scope that a guest asks for, parsed.
pub(super) fn scope_from_guest(
    scope: subagent::Scope,
    timeout_ms: Option<u64>,
) -> Result<Scope, ImportError> {
    let invalid = |error: &dyn std::fmt::Display| ImportError::Invalid(error.to_string());
    let channels: Result<Vec<ChannelGrant>, _> =
        scope.channels.iter().map(|channel| channel.parse()).collect();
    let mut spawns = 0;
    let spawn = match scope.spawn {
        Some(spawn) => {
            spawns = u64::from(spawn.total);
            let agents: Result<Vec<AgentPattern>, _> =
                spawn.agents.iter().map(|agent| agent.parse()).collect();
            let agents = agents.map_err(|error| invalid(&error))?;
            Some(SpawnGrant { agents, depth: spawn.depth, active_children: spawn.active_children })
        }
        None => None,
    };
    let tools = scope
        .tools
        .into_iter()
        .map(|tool| ToolGrant { plugin: tool.plugin, tools: (!tool.tools.is_empty()).then_some(tool.tools) });
    let kv = scope.kv.into_iter().map(|kv| KvGrant {
        bucket: kv.bucket,
        prefix: kv.prefix,
        mode: if kv.write { KvMode::ReadWrite } else { KvMode::Read },
    });
    Ok(Scope {
        spawn,
        channels: channels.map_err(|error| invalid(&error))?,
        tools: tools.collect(),
        kv: kv.collect(),
        artifacts: scope.artifacts,
        purse: PurseAsk {
            cpu_us: scope.cpu.map(|ms| ms.saturating_mul(1_000)),
            spawns,
            artifact_bytes: scope.artifact_bytes,
            artifacts: scope.artifacts,
        },
        memory_bytes: scope.memory_bytes,
        timeout: timeout_ms.map(std::time::Duration::from_millis),
    })
}

/// The effective grants of a run, for a receipt.
pub(super) fn grants_to_guest(run: &sublane_core::RunSpec) -> subagent::Grants {
    let grants: &Grants = &run.grants;
    subagent::Grants {
        spawn: grants.spawn().map(|spawn| subagent::SpawnScope {
            agents: spawn.agents.iter().map(ToString::to_string).collect(),
            depth: spawn.depth,
            active_children: spawn.active_children,
            total: u32::try_from(run.purse.spawns).unwrap_or(u32::MAX),
        }),
        channels: grants.channels().iter().map(ToString::to_string).collect(),
        tools: grants
            .tools()
            .iter()
            .map(|tool| subagent::ToolScope {
                plugin: tool.plugin.clone(),
                tools: tool.tools.clone().unwrap_or_default(),
            })
            .collect(),
        kv: grants
            .kv()
            .iter()
            .map(|kv| subagent::KvScope {
                bucket: kv.bucket.clone(),
                prefix: kv.prefix.clone(),
                write: kv.mode == KvMode::ReadWrite,
            })
            .collect(),
        artifacts: grants.artifacts(),
        artifact_bytes: run.purse.artifact_bytes,
        cpu: run.purse.cpu_us / 1_000,
        memory_bytes: grants.caps().memory_bytes,
        deadline: grants.caps().deadline.0,
    }
}
