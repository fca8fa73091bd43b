//! An agent's own failure, and how other errors become one.
//!
//! Owns the message that people read when an agent gives up.
//! Never an error itself: it has no `Display`, so that `?` can make one of
//! anything that has.

use std::any::Any;
use std::fmt::Display;

use crate::bindings::imports::sublane::plugin::types::Failure as Raw;
use crate::error::Error;
use crate::http::HttpError;

/// The most bytes of a message. Longer ones are cut.
const MESSAGE_BYTES: usize = 4 * 1024;

/// The work cannot be done: what happened and what can be done, for the people
/// who asked.
///
/// `?` makes one of every error, string included, with its `Display` as the
/// message. The task may be tried again, unless an [`Error`] or an [`HttpError`] says that this would
/// come to the same, or [`permanent`](Self::permanent) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    retryable: bool,
}

impl Failure {
    /// A failure that another try may not meet: a run that was spawned with [`retry`] begins again. At
    /// most 4 KiB; the rest is cut.
    ///
    /// [`retry`]: crate::Spawn::retry
    pub fn new(message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        Self { message, retryable: true }
    }

    /// The same failure, when another try would meet it again: the run ends with it.
    pub fn permanent(self) -> Self {
        Self { retryable: false, ..self }
    }

    /// The same failure, when the same task may succeed another time, whatever the error said that it
    /// was made of.
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same task may succeed when tried again.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl<E: Display + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any = &error as &dyn Any;
        let retryable = any.downcast_ref::<Error>().is_none_or(Error::is_retryable)
            && any.downcast_ref::<HttpError>().is_none_or(HttpError::is_retryable);
        Self { retryable, ..Self::new(error.to_string()) }
    }
}

impl Failure {
    pub(crate) fn into_raw(self) -> Raw {
        Raw { message: self.message, retryable: self.retryable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u8, Failure> {
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn any_error_becomes_one_with_its_words() {
        let failure = parse("many").expect_err("no number");
        assert_eq!(failure.message(), "invalid digit found in string");
        assert!(failure.is_retryable());
        assert!(!failure.permanent().is_retryable());
        assert_eq!(Failure::from("no"), Failure::new("no"));
    }

    #[test]
    fn an_import_that_would_be_refused_again_makes_the_task_so() {
        let busy = Error::Unavailable { retry_after: None };
        assert!(Failure::from(busy).is_retryable());
        assert!(!Failure::from(Error::NotFound).is_retryable());
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let failure = Failure::new("ü".repeat(5000));
        assert_eq!(failure.message().len(), 4096);
        assert_eq!(Failure::new(format!("a{}", "ü".repeat(5000))).message().len(), 4095);
    }
}
