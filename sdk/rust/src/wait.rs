//! Waiting for the first of several things.
//!
//! ```no_run
//! use std::time::Duration;
//! use sublane_sdk::{Child, Failure, wait};
//! use sublane_sdk::wait::Woken;
//!
//! # fn f(film: &Child, again: &Child) -> Result<(), Failure> {
//! let hour = Duration::from_secs(3_600);
//! match wait::for_any_of(&[film, again]).or_a_message().or_at_most(hour).first()?.woken {
//!     Woken::Ended(runs) => { /* which, and how */ }
//!     Woken::Message(message) => { let text: String = message.decode()?; }
//!     Woken::Polled(ending) => { /* a poll, where the sentence names one */ }
//!     Woken::Call(call) => { /* a hook, where the sentence names one */ }
//!     Woken::Time => { /* neither came within the hour */ }
//! }
//! # Ok(()) }
//! ```
//!
//! While it waits, the run is a row. What is there at once is decided by the order of the sentence;
//! what does not come first stays for the next wait.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::subagent::AnyOrAll;
use crate::bindings::imports::sublane::plugin::wait as raw;
use crate::error::Error;
use crate::hook::{Call, Hook};
use crate::poll::{Ending, Poll};
use crate::subagent::Outcome;
use crate::time::instant_ms;
use crate::{clock, json};

/// A wait that is about to begin: 1 to 16 things, runs among them at most 256 in all. The default is
/// for nothing yet.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is waited for before `first`"]
pub struct Wait {
    sources: Vec<raw::Source>,
    wrong: Option<Error>,
}

/// What came first.
#[derive(Debug, Clone, PartialEq)]
pub struct First {
    /// Its place in the sentence, from 0.
    pub place: usize,
    /// What it brought.
    pub woken: Woken,
}

/// What a wait brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Woken {
    /// Runs of those that were named have ended: their ids, and how they ended.
    Ended(Vec<(String, Outcome)>),
    /// A message from the run's mailbox.
    Message(Message),
    /// A poll ended.
    Polled(Ending),
    /// A hook was called.
    Call(Call),
    /// The time has come.
    Time,
}

/// A message that is taken out of the mailbox and not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// The message as a value; [`Error::Invalid`] when it is of another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::from_text("the message", &self.0).map_err(Error::Invalid)
    }

    /// The message as JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Until one of these runs has ended.
pub fn for_any_of(runs: &[impl AsRef<str>]) -> Wait {
    Wait::default().or_any_of(runs)
}

/// Until all of these runs have ended.
pub fn for_all_of(runs: &[impl AsRef<str>]) -> Wait {
    Wait::default().or_all_of(runs)
}

/// Until a message is in the run's mailbox. Not in a tool call.
pub fn for_a_message() -> Wait {
    Wait::default().or_a_message()
}

/// Until a hook of this run's is called. Not in a tool call.
pub fn for_a_call_of(hook: &Hook) -> Wait {
    Wait::default().or_a_call_of(hook)
}

/// Until an instant.
pub fn until(instant: SystemTime) -> Wait {
    Wait::default().or_until(instant)
}

/// For so long, from the run's time on.
pub fn at_most(duration: Duration) -> Wait {
    Wait::default().or_at_most(duration)
}

impl Wait {
    /// Or until one of these runs has ended.
    pub fn or_any_of(self, runs: &[impl AsRef<str>]) -> Self {
        self.or_runs(runs, AnyOrAll::Any)
    }

    /// Or until all of these runs have ended.
    pub fn or_all_of(self, runs: &[impl AsRef<str>]) -> Self {
        self.or_runs(runs, AnyOrAll::All)
    }

    /// Or until a message is in the run's mailbox. Not in a tool call.
    pub fn or_a_message(self) -> Self {
        self.or(raw::Source::Message)
    }

    /// Or until an instant. One after the run's deadline never comes.
    pub fn or_until(self, instant: SystemTime) -> Self {
        self.or(raw::Source::Until(instant_ms(instant)))
    }

    /// Or for so long, from the run's time on.
    pub fn or_at_most(self, duration: Duration) -> Self {
        let now = instant_ms(clock::now());
        self.or(raw::Source::Until(now.saturating_add(crate::time::millis(duration))))
    }

    /// Or until a poll ends, at most four in one wait. Not in a tool call.
    pub fn or_polled(mut self, poll: Poll) -> Self {
        match poll.into_raw() {
            Ok(plan) => self.or(raw::Source::Poll(plan)),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// Or until a hook of this run's is called. Not in a tool call.
    pub fn or_a_call_of(self, hook: &Hook) -> Self {
        self.or(raw::Source::Hook(hook.id().to_owned()))
    }

    fn or_runs(self, runs: &[impl AsRef<str>], until: AnyOrAll) -> Self {
        let runs = runs.iter().map(|run| run.as_ref().to_owned()).collect();
        self.or(raw::Source::Runs(raw::RunsSource { runs, until }))
    }

    fn or(mut self, source: raw::Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Waits for the first of them, as long as the run's deadline allows.
    pub fn first(self) -> Result<First, Error> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let (place, woken) = raw::any(&self.sources)?;
        let woken = match woken {
            raw::Woken::Until => Woken::Time,
            raw::Woken::Poll(ending) => Woken::Polled(ending.into()),
            raw::Woken::Hook(call) => Woken::Call(call.into()),
            raw::Woken::Message(text) => Woken::Message(Message(text)),
            raw::Woken::Runs(ended) => {
                Woken::Ended(ended.into_iter().map(|ended| (ended.run, ended.outcome.into())).collect())
            }
        };
        Ok(First { place: place as usize, woken })
    }
}
