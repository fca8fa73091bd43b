//! Waits: opened, decided, timed out. Hot or cold, one transaction on the
//! wait's row decides, and writes the entry that the guest will see.

use sublane_core::hook::CallAnswer;
use sublane_core::journal::{AnyAnswer, WaitAnswer, Woken, encode};
use sublane_core::poll::{Ending, Poll};
use sublane_core::run::Step;
use sublane_core::{Answer, Entry, Run, RunId, RunState, Timestamp};

use super::{By, Effects, Ready, Result, claimed, must_run, step};
use crate::StoreError;
use crate::rows::{Rows, Source, Wait, WaitFor};

/// What opening a wait came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Parked {
    /// It was decided at once; the attempt goes on.
    Decided(Entry),
    /// The run waits, its slot is free.
    Waiting,
}

/// Opens a wait, or decides it at once.
pub fn park(rows: &mut dyn Rows, by: &By, wait: Wait) -> Result<Parked> {
    let mut run = claimed(rows, by)?;
    if !matches!(run.state, RunState::Running { .. }) {
        return Err(StoreError::Stale(by.run));
    }
    let past = wait.due.is_some_and(|due| due <= by.now);
    run.purse.spend(by.spent);
    if let Some(entry) = outcome(rows, &wait, past, None, by.now)? {
        rows.insert_entry(by.run, run.generation, &entry)?;
        rows.update_run(&run)?;
        return Ok(Parked::Decided(entry));
    }
    step(&mut run, Step::Park, by.now)?;
    rows.update_run(&run)?;
    rows.insert_wait(&wait)?;
    super::poll::open(rows, &wait, run.generation, by.now)?;
    Ok(Parked::Waiting)
}

/// The parked attempt's instance is gone. `false`: the wait was decided meanwhile.
pub fn evict(rows: &mut dyn Rows, by: &By) -> Result<bool> {
    let mut run = claimed(rows, by)?;
    if !matches!(run.state, RunState::Waiting { .. }) {
        return Ok(false);
    }
    step(&mut run, Step::Evict, by.now)?;
    rows.update_run(&run)?;
    Ok(true)
}

/// Decides the wait of a run if what it waits for is there.
pub(super) fn decide(
    rows: &mut dyn Rows,
    waiter: RunId,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let Some(wait) = rows.wait(waiter)? else { return Ok(()) };
    match outcome(rows, &wait, false, None, now)? {
        Some(entry) => wake(rows, &wait, entry, now, effects),
        None => Ok(()),
    }
}

/// Decides the wait of a run whose time is up.
pub(super) fn resolve_timeout(
    rows: &mut dyn Rows,
    waiter: RunId,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let Some(wait) = rows.wait(waiter)? else { return Ok(()) };
    match outcome(rows, &wait, true, None, now)? {
        Some(entry) => wake(rows, &wait, entry, now, effects),
        None => Ok(()),
    }
}

/// A poll plan of a run ends: that decides its wait, unless something else does.
pub(super) fn polled(
    rows: &mut dyn Rows,
    poll: &Poll,
    answer: &Answer<Ending>,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let Some(wait) = rows.wait(poll.run)? else { return Ok(()) };
    match outcome(rows, &wait, false, Some((poll.place, answer)), now)? {
        Some(entry) => wake(rows, &wait, entry, now, effects),
        None => Ok(()),
    }
}

/// The wait is over: its rows go.
pub(super) fn close(rows: &mut dyn Rows, wait: &Wait) -> Result<()> {
    if wait.what.polls().next().is_some() {
        rows.delete_polls(wait.run)?;
    }
    rows.delete_wait(wait)
}

/// How a poll plan ended, with its place.
type EndedPoll<'a> = Option<(u32, &'a Answer<Ending>)>;

/// The entry that decides a wait, if anything does. What is there beats the time-out.
fn outcome(
    rows: &mut dyn Rows,
    wait: &Wait,
    past: bool,
    ended_poll: EndedPoll<'_>,
    now: Timestamp,
) -> Result<Option<Entry>> {
    let result = match &wait.what {
        WaitFor::Hook { hook } => match super::hook::take(rows, wait.run, *hook)? {
            Some(call) => Some(encode(&Ok(Some(call)))),
            None => past.then(|| encode::<Option<CallAnswer>>(&Ok(None))),
        },
        WaitFor::Poll { .. } => match ended_poll {
            Some((_, answer)) => Some(encode(answer)),
            None if past => Some(encode(&Ok(Ending::TimedOut(super::poll::seen(rows, wait.run, 0)?)))),
            None => None,
        },
        WaitFor::Sleep => past.then(|| encode::<()>(&Ok(()))),
        WaitFor::Message => match rows.pop_message(wait.run)? {
            Some(message) => Some(encode(&Ok(Some(message)))),
            None => past.then(|| encode::<Option<String>>(&Ok(None))),
        },
        WaitFor::Runs { runs, all } => {
            let (ended, met) = ended(rows, runs, *all)?;
            let answer: Answer<WaitAnswer> = Ok(WaitAnswer { ended, timed_out: !met });
            (met || past).then(|| encode(&answer))
        }
        WaitFor::Any { sources } => {
            first(rows, wait.run, sources, ended_poll, now)?.map(|first| encode(&first))
        }
    };
    Ok(result.map(|result| Entry {
        path: wait.path.clone(),
        import: wait.import,
        args: wait.args,
        result,
        at: now,
    }))
}

/// Which of these runs have ended, and whether that is enough.
fn ended(rows: &mut dyn Rows, runs: &[RunId], all: bool) -> Result<(Vec<RunId>, bool)> {
    let mut ended = Vec::new();
    for run in runs {
        if must_run(rows, *run)?.is_ended() {
            ended.push(*run);
        }
    }
    let met = if all { ended.len() == runs.len() } else { !ended.is_empty() };
    Ok((ended, met))
}

/// The first of several sources that is there, in the caller's order. Of the others nothing is taken.
fn first(
    rows: &mut dyn Rows,
    waiter: RunId,
    sources: &[Source],
    ended_poll: EndedPoll<'_>,
    now: Timestamp,
) -> Result<Option<Answer<AnyAnswer>>> {
    for (index, source) in (0..).zip(sources) {
        let woken = match source {
            Source::Until(at) => (*at <= now).then_some(Woken::Until),
            Source::Message => rows.pop_message(waiter)?.map(Woken::Message),
            Source::Poll(plan) => match ended_poll.filter(|(place, _)| *place == index) {
                Some((_, Ok(ending))) => Some(Woken::Poll(ending.clone())),
                Some((_, Err(error))) => return Ok(Some(Err(error.clone()))),
                None if plan.until.is_some_and(|until| until <= now) => {
                    Some(Woken::Poll(Ending::TimedOut(super::poll::seen(rows, waiter, index)?)))
                }
                None => None,
            },
            Source::Hook(hook) => super::hook::take(rows, waiter, *hook)?.map(Woken::Call),
            Source::Runs { runs, all } => match ended(rows, runs, *all)? {
                (ended, true) => Some(Woken::Runs(ended)),
                (_, false) => None,
            },
        };
        if let Some(woken) = woken {
            return Ok(Some(Ok(AnyAnswer { index, woken })));
        }
    }
    Ok(None)
}

/// Waits that are due: as many of each plugin, the oldest first, so that one with a hundred thousand
/// of them holds up no other.
pub(super) fn due(rows: &mut dyn Rows, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
    let mut plugins = rows.plugins_due()?;
    plugins.retain(|(_, first)| *first <= now);
    plugins.sort_by_key(|(_, first)| *first);
    let share = limit.div_ceil(u32::try_from(plugins.len()).unwrap_or(u32::MAX).max(1));
    let mut due = Vec::new();
    for (plugin, _) in plugins {
        let left = limit - u32::try_from(due.len()).unwrap_or(limit);
        due.extend(rows.due_waits(&plugin, now, share.min(left))?);
    }
    Ok(due)
}

/// The wait is decided: entry in, row out, run on.
fn wake(rows: &mut dyn Rows, wait: &Wait, entry: Entry, now: Timestamp, effects: &mut Effects) -> Result<()> {
    let mut run: Run = must_run(rows, wait.run)?;
    rows.insert_entry(wait.run, run.generation, &entry)?;
    close(rows, wait)?;
    step(&mut run, Step::Wake, now)?;
    rows.update_run(&run)?;
    match run.state {
        RunState::Running { token } => effects.resumed.push((wait.run, token, entry)),
        _ => effects.ready.push(Ready::of(&run)),
    }
    Ok(())
}
