//! What is old goes: runs with everything that hangs on them, in small pieces.
//!
//! A run goes when it and all runs above it ended long enough ago, when no run
//! that it spawned is left, and when nothing that it owes is open or kept for the
//! operator. So a tree goes from its leaves up, and whatever lives finds its
//! parents and its children.

use std::time::Duration;

use sublane_core::{DeliveryState, Run, RunId, RunState, Timestamp};

use super::Result;
use crate::rows::{DeliveryFilter, Rows};

/// How long runs and what hangs on them are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// A run that has ended, from its ending on.
    pub runs: Duration,
    /// A run that a dedupe key or an event made, from when it was accepted: so long neither makes another.
    pub duplicates: Duration,
    /// A delivery that was given up, from its last attempt on; its run stays with it.
    pub dead_letters: Duration,
}

/// Where a search for old runs stands: when a run ended, and its id.
pub type Position = (Timestamp, RunId);

/// Some of the runs that may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldRuns {
    /// The runs, in the order in which they ended.
    pub runs: Vec<RunId>,
    /// Where the search goes on; `None`: it is at its end.
    pub next: Option<Position>,
}

/// What a removal came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Runs that are gone.
    pub runs: u32,
    /// Rows that are gone.
    pub rows: u32,
    /// So many of the runs that were named were looked at to their end; the next one is begun or untouched.
    pub done: usize,
}

/// Looks at `limit` runs that ended long ago and gives those that may go.
pub fn old_runs(
    rows: &mut dyn Rows,
    keep: &Keep,
    after: Option<Position>,
    limit: u32,
    now: Timestamp,
) -> Result<OldRuns> {
    let Some(until) = before(now, keep.runs) else { return Ok(OldRuns::default()) };
    let page = rows.ended_runs(after, until, limit)?;
    let next = page.last().copied().filter(|_| page.len() >= limit as usize);
    let mut runs = Vec::new();
    for (_, id) in page {
        if let Some(run) = rows.run(id)?
            && may_go(rows, &run, keep, now)?
        {
            runs.push(id);
        }
    }
    Ok(OldRuns { runs, next })
}

/// Removes runs, at most about `max_rows` rows. Those that may not go are left.
pub fn remove_runs(
    rows: &mut dyn Rows,
    ids: &[RunId],
    keep: &Keep,
    max_rows: u32,
    now: Timestamp,
) -> Result<Removed> {
    let mut removed = Removed::default();
    for id in ids {
        if let Some(run) = rows.run(*id)?
            && !rows.has_children(*id)?
            && may_go(rows, &run, keep, now)?
        {
            let left = max_rows.saturating_sub(removed.rows);
            if left == 0 || !remove(rows, &run, left, &mut removed.rows)? {
                break;
            }
            removed.runs += 1;
        }
        removed.done += 1;
    }
    Ok(removed)
}

/// So long before; `None`: before all time.
pub(super) fn before(now: Timestamp, age: Duration) -> Option<Timestamp> {
    u64::try_from(age.as_millis()).ok().and_then(|age| now.0.checked_sub(age)).map(Timestamp)
}

fn is_over(since: Timestamp, age: Duration, now: Timestamp) -> bool {
    before(now, age).is_some_and(|until| since <= until)
}

fn ended_long_ago(run: &Run, keep: &Keep, now: Timestamp) -> bool {
    matches!(run.state, RunState::Ended { at, .. } if is_over(at, keep.runs, now))
}

fn may_go(rows: &mut dyn Rows, run: &Run, keep: &Keep, now: Timestamp) -> Result<bool> {
    if !ended_long_ago(run, keep, now) {
        return Ok(false);
    }
    let is_young = !is_over(run.spec.created, keep.duplicates, now);
    if is_young && (run.spec.dedupe_key.is_some() || rows.has_event(run.spec.id)?) {
        return Ok(false);
    }
    let mut above = run.spec.parent;
    while let Some(id) = above {
        let Some(parent) = rows.run(id)? else { break };
        if !ended_long_ago(&parent, keep, now) {
            return Ok(false);
        }
        above = parent.spec.parent;
    }
    owes_nothing(rows, run.spec.id, keep, now)
}

/// A run's deliveries: those that it sent and its ending's.
fn owed(run: RunId) -> DeliveryFilter {
    DeliveryFilter { run: Some(run), limit: u32::MAX, ..DeliveryFilter::default() }
}

fn owes_nothing(rows: &mut dyn Rows, run: RunId, keep: &Keep, now: Timestamp) -> Result<bool> {
    for delivery in rows.deliveries(&owed(run))? {
        let is_settled = match delivery.state {
            DeliveryState::Pending | DeliveryState::Sending => false,
            DeliveryState::Delivered | DeliveryState::Dismissed => true,
            DeliveryState::Dead => {
                let last = rows.attempts(delivery.id)?.last().map_or(delivery.created, |attempt| attempt.at);
                is_over(last, keep.dead_letters, now)
            }
        };
        if !is_settled {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a run and what hangs on it. A journal and a log, of which there may be much, go by `limit`
/// rows, the journal from its end, so that the rest is whole; the rest goes at once: a run that is there
/// has all that it owed. Gives whether it is gone.
fn remove(rows: &mut dyn Rows, run: &Run, limit: u32, removed: &mut u32) -> Result<bool> {
    let id = run.spec.id;
    let until = *removed + limit;
    *removed += rows.trim_log(id, limit)?;
    *removed += rows.trim_journal(id, until - *removed)?;
    if *removed >= until {
        return Ok(false);
    }
    for delivery in rows.deliveries(&owed(id))? {
        *removed += rows.delete_delivery(delivery.id)?;
    }
    *removed += rows.trim_artifacts(id, u32::MAX)?;
    *removed += rows.delete_run(id)?;
    let conversation = run.spec.conversation;
    if !rows.has_runs(conversation)? {
        rows.delete_conversation(conversation)?;
        *removed += 1;
    }
    Ok(true)
}
