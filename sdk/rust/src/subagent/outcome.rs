//! How a run ended, and what it gave back.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::types as raw;
use crate::json;

pub use raw::{FailureReason, Output as ChildOutput};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It gave its output.
    Succeeded(ChildOutput),
    /// It failed: why, and a message for people.
    Failed(FailureReason, String),
    /// Its deadline passed.
    TimedOut,
    /// It, or an ancestor that it was attached to, was cancelled: the reason given.
    Cancelled(String),
}

/// Why there is no output to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeError {
    /// The run failed: why, and a message for people.
    Failed(FailureReason, String),
    /// The run's deadline passed.
    TimedOut,
    /// The run was cancelled: the reason given.
    Cancelled(String),
    /// The value is of another shape than expected.
    Unexpected(String),
}

impl Outcome {
    /// The output, if the run succeeded.
    pub fn output(self) -> Result<ChildOutput, OutcomeError> {
        match self {
            Self::Succeeded(output) => Ok(output),
            Self::Failed(reason, message) => Err(OutcomeError::Failed(reason, message)),
            Self::TimedOut => Err(OutcomeError::TimedOut),
            Self::Cancelled(reason) => Err(OutcomeError::Cancelled(reason)),
        }
    }

    /// The value of the output, if the run succeeded.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, OutcomeError> {
        let output = self.output()?;
        json::from_text("the child's output", &output.value).map_err(OutcomeError::Unexpected)
    }
}

impl From<raw::Outcome> for Outcome {
    fn from(outcome: raw::Outcome) -> Self {
        match outcome {
            raw::Outcome::Succeeded(output) => Self::Succeeded(output),
            raw::Outcome::Failed((reason, message)) => Self::Failed(reason, message),
            raw::Outcome::TimedOut => Self::TimedOut,
            raw::Outcome::Cancelled(reason) => Self::Cancelled(reason),
        }
    }
}

impl fmt::Display for OutcomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The agent's own words.
            Self::Failed(FailureReason::Failed, message) | Self::Unexpected(message) => f.write_str(message),
            Self::Failed(reason, message) => write!(f, "the child failed ({}): {message}", word(*reason)),
            Self::TimedOut => f.write_str("the child took too long and was ended"),
            Self::Cancelled(reason) if reason.is_empty() => f.write_str("the child was cancelled"),
            Self::Cancelled(reason) => write!(f, "the child was cancelled: {reason}"),
        }
    }
}

impl std::error::Error for OutcomeError {}

/// The contract's word for a reason.
fn word(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Failed => "failed",
        FailureReason::Trapped => "trapped",
        FailureReason::OutOfMemory => "out-of-memory",
        FailureReason::StackOverflow => "stack-overflow",
        FailureReason::OutOfCpu => "out-of-cpu",
        FailureReason::OutOfCalls => "out-of-calls",
        FailureReason::Nondeterministic => "nondeterministic",
        FailureReason::CrashLooping => "crash-looping",
        FailureReason::JournalFull => "journal-full",
        FailureReason::InvalidOutput => "invalid-output",
        FailureReason::PluginUnavailable => "plugin-unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn succeeded(value: &str) -> Outcome {
        Outcome::Succeeded(ChildOutput { value: value.to_owned(), text: None, artifacts: Vec::new() })
    }

    #[test]
    fn a_value_is_read_as_its_type() {
        assert_eq!(succeeded("[1,2]").decode::<Vec<u8>>(), Ok(vec![1, 2]));
        let error = succeeded("[1,2]").decode::<bool>().expect_err("a list is no truth");
        assert!(error.to_string().starts_with("the child's output is not as expected: "), "{error}");
    }

    #[test]
    fn without_success_there_is_no_value() {
        let failed = Outcome::Failed(FailureReason::Failed, "no ink".to_owned());
        assert_eq!(failed.decode::<bool>().expect_err("it failed").to_string(), "no ink");
        let trapped = Outcome::Failed(FailureReason::Trapped, "at line 3".to_owned());
        assert_eq!(
            trapped.output().expect_err("it failed").to_string(),
            "the child failed (trapped): at line 3"
        );
    }
}
