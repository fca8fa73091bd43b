//! How runs end, and what people are told of it: what happened, and what can be done.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ArtifactRef;

/// What a run gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The result as JSON text.
    pub value: Arc<str>,
    /// A sentence for people.
    pub text: Option<Arc<str>>,
    /// Files that belong to it.
    pub artifacts: Vec<ArtifactRef>,
}

/// Why a run failed. The WIT's `failure-reason` gives each its sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "documented, one by one, in the WIT")]
pub enum Failure {
    Failed,
    Trapped,
    OutOfMemory,
    StackOverflow,
    OutOfCpu,
    OutOfCalls,
    Nondeterministic,
    CrashLooping,
    JournalFull,
    InvalidOutput,
    PluginUnavailable,
}

impl Failure {
    /// What happened, in words that a user understands.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "it could not do the task",
            Self::Trapped => "it crashed",
            Self::OutOfMemory => "it needed more memory than it may have",
            Self::StackOverflow => "it called itself too deep",
            Self::OutOfCpu => "it used up the computing time it was given",
            Self::OutOfCalls => "it asked more of the host than it may",
            Self::Nondeterministic => "it did not do the same again after an interruption",
            Self::CrashLooping => "the host stopped several times while it ran",
            Self::JournalFull => "it made more calls than one run may make",
            Self::InvalidOutput => "what it gave back cannot be used",
            Self::PluginUnavailable => "its plugin cannot be loaded",
        }
    }
}

impl Failure {
    /// Whether the plugin broke down: it trapped, or met a limit that it could not go on without.
    #[must_use]
    pub fn is_breakdown(self) -> bool {
        matches!(
            self,
            Self::Trapped
                | Self::OutOfMemory
                | Self::StackOverflow
                | Self::OutOfCpu
                | Self::OutOfCalls
                | Self::JournalFull
        )
    }

    /// Every reason there is.
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Trapped,
        Self::OutOfMemory,
        Self::StackOverflow,
        Self::OutOfCpu,
        Self::OutOfCalls,
        Self::Nondeterministic,
        Self::CrashLooping,
        Self::JournalFull,
        Self::InvalidOutput,
        Self::PluginUnavailable,
    ];

    /// What can be done, and by whom.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Failed => "Ask again, perhaps for something else.",
            Self::Trapped => "Ask again; if it crashes again, whoever made the plugin should know.",
            Self::OutOfMemory => "Ask for less, or have the operator allow it more memory.",
            Self::StackOverflow => "Ask for less; whoever made the plugin should know.",
            Self::OutOfCpu => "Ask for less, or have the operator allow it more computing time.",
            Self::OutOfCalls => "Ask for less, or have the operator allow it more host calls.",
            Self::Nondeterministic => "Ask again; whoever made the plugin should know.",
            Self::CrashLooping => "Ask again later; the operator finds the cause in the host's log.",
            Self::JournalFull => "Ask for less at once; whoever made the plugin should know.",
            Self::InvalidOutput => "Ask again; whoever made the plugin should know.",
            Self::PluginUnavailable => "Ask again when the operator has put the plugin right.",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Outcome {
    /// It gave its output.
    Succeeded(Output),
    /// It failed.
    Failed {
        /// Why.
        reason: Failure,
        /// For people.
        message: Arc<str>,
        /// Whether the agent said that another try would meet it again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        permanent: bool,
    },
    /// Its deadline passed.
    TimedOut,
    /// It was cancelled.
    Cancelled {
        /// Who or what ended it, for people.
        reason: Arc<str>,
    },
}

/// The reason of a cancellation: what is said of it, which may be nothing, and who says it.
#[must_use]
pub fn cancel_reason(said: &str, who: &str) -> String {
    match said.trim().trim_end_matches('.') {
        "" => format!("{who} cancelled it"),
        said => format!("{said} (by {who})"),
    }
}

impl Outcome {
    /// A failure with its message.
    #[must_use]
    pub fn failed(reason: Failure, message: impl Into<Arc<str>>) -> Self {
        Self::Failed { reason, message: message.into(), permanent: false }
    }

    /// The same failure, when another try would meet it again.
    #[must_use]
    pub fn permanent(self) -> Self {
        match self {
            Self::Failed { reason, message, .. } => Self::Failed { reason, message, permanent: true },
            other => other,
        }
    }

    /// `succeeded`, `failed`, `timed-out` or `cancelled`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Succeeded(_) => "succeeded",
            Self::Failed { .. } => "failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// What people are told of an ending that is no success.
    #[must_use]
    pub fn sentence(&self, name: &str) -> String {
        match self {
            Self::Succeeded(_) => format!("{name} is done."),
            Self::Failed { reason, message, .. } => {
                let message = message.trim().trim_end_matches('.');
                let why = match (reason, message) {
                    (_, "") => reason.sentence().to_owned(),
                    (Failure::Failed, message) => message.to_owned(),
                    (reason, message) => format!("{} ({message})", reason.sentence()),
                };
                format!("{name} failed: {why}. {}", reason.remedy())
            }
            Self::TimedOut => {
                format!("{name} was stopped: its time was up. Ask again with more time, or for less.")
            }
            Self::Cancelled { reason } => match reason.trim().trim_end_matches('.') {
                "" => format!("{name} was cancelled. Ask again if it is still wanted."),
                reason => format!("{name} was cancelled: {reason}. Ask again if it is still wanted."),
            },
        }
    }
}
