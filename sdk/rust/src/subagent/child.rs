//! A child: the receipt of its spawn, and what can be done with a run.
//!
//! Everything here works with the id of a run alone, for it may have been kept
//! in a bucket and met again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::outcome::Outcome;
use super::scope::Grants;
use super::status::Status;
use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::error::Error;
use crate::json;
use crate::time::millis;

/// A run that was spawned: its receipt, and a handle to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The run's id, 22 characters.
    pub run: String,
    /// The handle for people.
    pub name: String,
    /// What it really may do.
    pub grants: Grants,
    /// Whether the dedupe key found a run that was there already.
    pub duplicate: bool,
    /// Runs before it in its lane. 0 = may start at once.
    pub position: u32,
}

impl Child {
    /// Waits until it has ended, as long as the run's own deadline allows.
    pub fn wait(&self) -> Result<Outcome, Error> {
        wait_any(std::slice::from_ref(self)).map(|(_, outcome)| outcome)
    }

    /// Waits until it has ended, but no longer than so long; `None` when it
    /// goes on.
    pub fn wait_within(&self, timeout: Duration) -> Result<Option<Outcome>, Error> {
        let ended = wait_any_within(std::slice::from_ref(self), timeout)?;
        Ok(ended.map(|(_, outcome)| outcome))
    }

    /// Where it stands.
    pub fn status(&self) -> Result<Status, Error> {
        status(&self.run)
    }

    /// Puts a message into its mailbox. At most 64 unread.
    pub fn send(&self, message: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        send(&self.run, message)
    }

    /// Cancels it and everything attached to it. The reason, at most 1 KiB, is
    /// shown to people.
    pub fn cancel(&self, reason: &str) -> Result<(), Error> {
        cancel(&self.run, reason)
    }
}

impl AsRef<str> for Child {
    fn as_ref(&self) -> &str {
        &self.run
    }
}

impl From<raw::Receipt> for Child {
    fn from(receipt: raw::Receipt) -> Self {
        let raw::Receipt { run, name, grants, duplicate, position } = receipt;
        Self { run, name, grants: grants.into(), duplicate, position }
    }
}

/// Waits until all of these runs have ended, as long as the run's own deadline
/// allows. Their outcomes come in the same order. At most 256.
pub fn wait_all(runs: &[impl AsRef<str>]) -> Result<Vec<Outcome>, Error> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    Ok(all(runs, wait(runs, raw::AnyOrAll::All, None)?))
}

/// Waits until all of these runs have ended, but no longer than so long;
/// `None` when one of them goes on.
pub fn wait_all_within(runs: &[impl AsRef<str>], timeout: Duration) -> Result<Option<Vec<Outcome>>, Error> {
    if runs.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let result = wait(runs, raw::AnyOrAll::All, Some(timeout))?;
    Ok(if result.timed_out { None } else { Some(all(runs, result)) })
}

/// Waits until one of these runs has ended: its position among them, and how
/// it ended. 1 to 256.
pub fn wait_any(runs: &[impl AsRef<str>]) -> Result<(usize, Outcome), Error> {
    // Without a time-out the host answers with an ended run or an error.
    first(runs, wait(runs, raw::AnyOrAll::Any, None)?).ok_or(Error::Unavailable { retry_after: None })
}

/// Waits until one of these runs has ended, but no longer than so long; `None`
/// when all of them go on. 1 to 256.
pub fn wait_any_within(
    runs: &[impl AsRef<str>],
    timeout: Duration,
) -> Result<Option<(usize, Outcome)>, Error> {
    Ok(first(runs, wait(runs, raw::AnyOrAll::Any, Some(timeout))?))
}

fn wait(
    runs: &[impl AsRef<str>],
    until: raw::AnyOrAll,
    timeout: Option<Duration>,
) -> Result<raw::WaitResult, Error> {
    let runs: Vec<String> = runs.iter().map(|run| run.as_ref().to_owned()).collect();
    Ok(raw::wait(&runs, until, timeout.map(millis))?)
}

/// The outcome of each run as it was named: the host gives that of a run that is named twice once.
fn all(runs: &[impl AsRef<str>], result: raw::WaitResult) -> Vec<Outcome> {
    let ended: BTreeMap<String, Outcome> =
        result.ended.into_iter().map(|ended| (ended.run, ended.outcome.into())).collect();
    runs.iter().filter_map(|run| ended.get(run.as_ref()).cloned()).collect()
}

fn first(runs: &[impl AsRef<str>], result: raw::WaitResult) -> Option<(usize, Outcome)> {
    let ended = result.ended.into_iter().next()?;
    let position = runs.iter().position(|run| run.as_ref() == ended.run)?;
    Some((position, ended.outcome.into()))
}

/// Where a run of this run stands.
pub fn status(run: &str) -> Result<Status, Error> {
    Ok(raw::status(run)?.into())
}

/// The runs that this run spawned, oldest first, at most 256.
pub fn children() -> Result<Vec<Status>, Error> {
    Ok(raw::children()?.into_iter().map(Into::into).collect())
}

/// Puts a message into the mailbox of a run of this run. At most 64 unread.
pub fn send(run: &str, message: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    Ok(raw::send(run, &json::to_text("the message", message)?)?)
}

/// Cancels a run of this run and everything attached to it. Cancelling what has
/// ended is no error. The reason, at most 1 KiB, is shown to people.
pub fn cancel(run: &str, reason: &str) -> Result<(), Error> {
    Ok(raw::cancel(run, reason)?)
}
