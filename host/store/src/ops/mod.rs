//! What each operation means, written once over [`Rows`].
//!
//! Every function here is one transaction. It checks first and writes then:
//! when it returns an error, it has written nothing. What the host should do
//! next (runs that are ready, deliveries to send, instances to drop) comes
//! back as [`Effects`]; they are hints, since a sweep finds the same from the rows.

mod admit;
mod anew;
mod command;
mod deliver;
mod end;
mod hook;
mod log;
mod poll;
mod retain;
mod retry;
mod schedule;
mod steer;
mod version;
mod wait;

use std::sync::Arc;

use sublane_core::run::{RunState, Step};
use sublane_core::{Delivery, Entry, Outcome, Priority, Purse, Run, RunId, Timestamp, Token};

use crate::StoreError;
use crate::rows::Rows;

pub use admit::{Accept, Accepted, Draw, NewConversation, Spawn, Spawned, accept, spawn};
pub use anew::continue_as_new;
pub use command::{Command, command, readable_artifact};
pub use deliver::{
    Settled, WaitsFor, dismiss_delivery, postpone, retry_delivery, settle, take_deliveries, wait_for_earlier,
};
pub use end::{cancel, charge, finish, fire_due};
pub use hook::call_hook;
pub use log::{MAX_LOG_BYTES, MAX_LOG_LINES, OldLogs, log, log_bytes, remove_logs};
pub(crate) use poll::due_polls;
pub use poll::{DuePoll, PollMove, Polled, poll};
pub use retain::{Keep, OldRuns, Position, Removed, old_runs, remove_runs};
pub use retry::retry;
pub use schedule::{Fired, Firing, fire_schedule, set_schedules};
pub use steer::{KEPT_ANSWERS, cancel_conversation, intent_done, send};
pub use version::{cancel_version, set_plugins};
pub use wait::{Parked, evict, park};

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Who writes: an attempt, by its claim.
#[derive(Clone, Debug)]
pub struct By {
    /// The run.
    pub run: RunId,
    /// The claim of the attempt.
    pub token: Token,
    /// What it spent since its last write that took it: guest CPU, host calls, and for an effect what
    /// that cost.
    pub spent: Purse,
    /// Goes before the path of an artifact to make a link. Ends with a slash.
    pub link_base: Arc<str>,
    /// When.
    pub now: Timestamp,
}

/// A run that may be claimed, with what admission needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The run.
    pub run: RunId,
    /// Its lane.
    pub lane: String,
    /// Its plugin and its parent: the key of fairness.
    pub plugin: String,
    /// See `plugin`.
    pub parent: Option<RunId>,
    /// Order inside its key.
    pub priority: Priority,
    /// 0 at the root.
    pub depth: u32,
    /// Since when it is ready.
    pub since: Timestamp,
}

impl Ready {
    /// What admission needs to know of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.spec.id,
            lane: run.spec.lane.clone(),
            plugin: run.spec.plugin.clone(),
            parent: run.spec.parent,
            priority: run.spec.priority,
            depth: run.spec.depth,
            since: run.since,
        }
    }
}

/// What follows from an operation: hints to the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Runs that may be claimed now.
    pub ready: Vec<Ready>,
    /// Parked attempts, still in memory, whose wait was decided: they go on with this entry.
    pub resumed: Vec<(RunId, Token, Entry)>,
    /// Runs that have ended.
    pub ended: Vec<RunId>,
    /// Attempts that hold a claim no more: their instances must go.
    pub killed: Vec<(RunId, Token)>,
    /// Deliveries whose first attempt is marked: send them now.
    pub deliveries: Vec<Delivery>,
    /// Whether a poll is due now that was not.
    pub polls: bool,
    /// Runs that failed and begin again by themselves.
    pub again: Vec<BeginsAgain>,
}

impl Effects {
    /// What follows from another operation as well.
    pub fn append(&mut self, other: Self) {
        self.ready.extend(other.ready);
        self.resumed.extend(other.resumed);
        self.ended.extend(other.ended);
        self.killed.extend(other.killed);
        self.deliveries.extend(other.deliveries);
        self.polls |= other.polls;
        self.again.extend(other.again);
    }
}

/// A run that failed and begins again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginsAgain {
    /// The run.
    pub run: RunId,
    /// Its next generation.
    pub generation: u32,
    /// When that begins.
    pub until: Timestamp,
}

/// A run that was taken for an attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The run, with its claim.
    pub run: Run,
    /// Its journal so far.
    pub entries: Vec<Entry>,
}

/// What a host finds when it takes the store over.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Attempts that had been executing.
    pub crashed: u32,
    /// Parked attempts whose instance is gone.
    pub evicted: u32,
    /// Deliveries whose attempt was not settled.
    pub unsettled: u32,
    /// What follows.
    pub effects: Effects,
}

/// How many rows one sweep of a recovery reads at once.
const RECOVERY_PAGE: u32 = 1_000;

/// The run that `by` may write to.
fn claimed(rows: &mut dyn Rows, by: &By) -> Result<Run> {
    match rows.run(by.run)? {
        Some(run) if run.is_claimed_by(by.token) => Ok(run),
        _ => Err(StoreError::Stale(by.run)),
    }
}

/// A run that must be there.
fn must_run(rows: &mut dyn Rows, id: RunId) -> Result<Run> {
    rows.run(id)?.ok_or_else(|| StoreError::NotFound(format!("run {id}")))
}

/// Moves a run; a step that is not allowed is a fault of the host.
fn step(run: &mut Run, step: Step, now: Timestamp) -> Result<()> {
    run.step(step, now).map_err(|error| StoreError::Corrupt(format!("run {}: {error}", run.spec.id)))
}

/// Adds the entries of effects, and takes what these cost.
pub fn append(rows: &mut dyn Rows, by: &By, entries: &[Entry]) -> Result<()> {
    let mut run = claimed(rows, by)?;
    for entry in entries {
        rows.insert_entry(by.run, run.generation, entry)?;
    }
    if by.spent != Purse::default() {
        run.purse.spend(by.spent);
        rows.update_run(&run)?;
    }
    Ok(())
}

/// Takes a queued run for an attempt.
pub fn claim(rows: &mut dyn Rows, id: RunId, token: Token, now: Timestamp) -> Result<Option<Claimed>> {
    let Some(mut run) = rows.run(id)?.filter(|run| run.state == RunState::Queued) else { return Ok(None) };
    let fresh = run.attempt == 0;
    step(&mut run, Step::Claim(token), now)?;
    let entries = if fresh { Vec::new() } else { rows.entries(id, run.generation)? };
    rows.update_run(&run)?;
    Ok(Some(Claimed { run, entries }))
}

/// The attempt ends without deciding anything.
pub fn interrupt(rows: &mut dyn Rows, by: &By, crashed: bool, max_crashes: u32) -> Result<Effects> {
    let mut run = claimed(rows, by)?;
    let mut effects = Effects::default();
    if matches!(run.state, RunState::Waiting { .. }) {
        step(&mut run, Step::Evict, by.now)?;
        rows.update_run(&run)?;
        return Ok(effects);
    }
    run.purse.spend(by.spent);
    step(&mut run, Step::Interrupt { crashed }, by.now)?;
    requeue(rows, run, max_crashes, &by.link_base, by.now, &mut effects)?;
    Ok(effects)
}

/// An interrupted run is ready again, unless it took too many hosts with it.
fn requeue(
    rows: &mut dyn Rows,
    run: Run,
    max_crashes: u32,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    rows.update_run(&run)?;
    if run.crashes > max_crashes {
        let outcome = Outcome::failed(
            sublane_core::Failure::CrashLooping,
            format!("{} attempts ended with the host", run.crashes),
        );
        return end::end(rows, run.spec.id, outcome, link_base, now, effects);
    }
    effects.ready.push(Ready::of(&run));
    Ok(())
}

/// A host takes the store over.
pub fn recover(rows: &mut dyn Rows, max_crashes: u32, link_base: &str, now: Timestamp) -> Result<Recovered> {
    // First, so that what is owed below is not taken for what an earlier host left.
    let unsettled = deliver::release_unsettled(rows, now)?;
    let mut recovered = Recovered { unsettled, ..Recovered::default() };
    loop {
        let page = rows.claimed_runs(RECOVERY_PAGE)?;
        if page.is_empty() {
            break;
        }
        for id in page {
            let mut run = must_run(rows, id)?;
            match run.state {
                RunState::Waiting { .. } => {
                    step(&mut run, Step::Evict, now)?;
                    rows.update_run(&run)?;
                    recovered.evicted += 1;
                }
                RunState::Running { .. } => {
                    // One whose wait was decided just now, by an ending above, executed nothing.
                    let resumed = &mut recovered.effects.resumed;
                    let woken = resumed.iter().position(|(resumed, ..)| *resumed == id);
                    let crashed = woken.map(|at| resumed.swap_remove(at)).is_none();
                    step(&mut run, Step::Interrupt { crashed }, now)?;
                    requeue(rows, run, max_crashes, link_base, now, &mut recovered.effects)?;
                    *(if crashed { &mut recovered.crashed } else { &mut recovered.evicted }) += 1;
                }
                // It ended with another one of the page.
                _ => {}
            }
        }
    }
    Ok(recovered)
}

/// The newest progress of runs.
pub fn progress(rows: &mut dyn Rows, reports: Vec<(RunId, u8, Arc<str>)>) -> Result<()> {
    for (id, percent, note) in reports {
        // One that begins again has reported nothing yet.
        let reports = |run: &Run| !run.is_ended() && !matches!(run.state, RunState::Delayed { .. });
        if let Some(mut run) = rows.run(id)?.filter(reports) {
            run.progress = Some((percent, note));
            rows.update_run(&run)?;
        }
    }
    Ok(())
}
