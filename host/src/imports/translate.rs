//! Between the WIT's types and the core's. Nothing here decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sublane_core::{Answer, ArtifactRef, Failure, ImportError, Outcome, Output, Run, RunState};

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
        Outcome::Failed { reason, message, .. } => {
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
        Failure::OutOfCalls => G::OutOfCalls,
        Failure::Nondeterministic => G::Nondeterministic,
        Failure::CrashLooping => G::CrashLooping,
        Failure::JournalFull => G::JournalFull,
        Failure::InvalidOutput => G::InvalidOutput,
        Failure::PluginUnavailable => G::PluginUnavailable,
    }
}

pub(super) fn status_to_guest(run: &Run) -> subagent::RunStatus {
    let state = match &run.state {
        RunState::Delayed { .. } | RunState::Queued => subagent::RunState::Queued,
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

/// Bytes as the journal keeps them: base64. Older journals hold a list of numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Kept {
            Text(String),
            Numbers(Vec<u8>),
        }
        match Kept::deserialize(deserializer)? {
            Kept::Text(text) => STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom),
            Kept::Numbers(bytes) => Ok(Self(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use sublane_core::Answer;

    use super::*;

    #[test]
    fn a_value_is_journaled_in_a_third_more_than_its_bytes() {
        let kept = |answer: &Answer<Option<Bytes>>| serde_json::to_string(answer).expect("a text");
        let read = |text: &str| serde_json::from_str::<Answer<Option<Bytes>>>(text).expect("an answer");
        for bytes in [vec![], vec![0], (0..=255).collect()] {
            let answer = Ok(Some(Bytes(bytes)));
            assert_eq!(read(&kept(&answer)), answer);
        }
        assert_eq!(kept(&Ok(Some(Bytes(vec![0, 255])))), r#"{"Ok":"AP8="}"#);
        assert_eq!(kept(&Ok(None)), r#"{"Ok":null}"#);
        assert_eq!(read(r#"{"Ok":[0,255]}"#), Ok(Some(Bytes(vec![0, 255]))), "as it was kept before");
        assert_eq!(read(r#"{"Ok":[]}"#), Ok(Some(Bytes(vec![]))));
        assert_eq!(read(r#"{"Ok":null}"#), Ok(None));
    }
}
