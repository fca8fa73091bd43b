//! How runs end, and what follows: purses back, deliveries owed, waiters woken.
//!
//! Everything that ends a run goes through [`end`]; it is called with the run
//! not yet ended and leaves nothing half done, however deep the tree.

use sublane_core::delivery::DeliveryBody;
use sublane_core::journal::decode;
use sublane_core::run::{RunState, Step};
use sublane_core::undo::Undo;
use sublane_core::{Answer, DeliveryId, Entry, Import, Outcome, Purse, Run, RunId, Timestamp};

use super::admit::must_conversation;
use super::wait::{decide, due, resolve_timeout};
use super::{By, Effects, Ready, Result, claimed, deliver, must_run, step};
use crate::StoreError;
use crate::rows::Rows;

/// Files that go with an ending that is no success.
const MAX_ARTIFACTS: u32 = 32;

/// The attempt's work is decided.
pub fn finish(rows: &mut dyn Rows, by: &By, outcome: Outcome) -> Result<Effects> {
    let mut run = claimed(rows, by)?;
    let mut effects = Effects::default();
    run.purse.spend(by.spent);
    if let Outcome::Succeeded(output) = &outcome {
        for artifact in &output.artifacts {
            rows.link_artifact(by.run, artifact)?;
        }
    }
    end_run(rows, run, outcome, &by.link_base, by.now, &mut effects)?;
    effects.killed.retain(|(run, token)| (*run, *token) != (by.run, by.token));
    Ok(effects)
}

/// Cancels a run and what is attached to it.
pub fn cancel(
    rows: &mut dyn Rows,
    id: RunId,
    reason: &str,
    link_base: &str,
    now: Timestamp,
) -> Result<Effects> {
    let mut effects = Effects::default();
    end(rows, id, Outcome::Cancelled { reason: reason.into() }, link_base, now, &mut effects)?;
    Ok(effects)
}

/// An attempt that was killed had spent something that no write of its own has charged. The
/// run's purse may have been handed on since: it comes out of where that went.
pub fn charge(rows: &mut dyn Rows, id: RunId, spent: Purse) -> Result<()> {
    let mut run = must_run(rows, id)?;
    while run.is_ended() {
        let Some(parent) = run.spec.attached_to() else {
            let mut conversation = must_conversation(rows, run.spec.conversation)?;
            conversation.purse.spend(spent);
            return rows.update_conversation(&conversation);
        };
        run = must_run(rows, parent)?;
    }
    run.purse.spend(spent);
    rows.update_run(&run)
}

/// Decides waits that are due, ends runs whose deadline has passed, and makes runs ready that begin now.
pub fn fire_due(
    rows: &mut dyn Rows,
    runs: u32,
    waits: u32,
    link_base: &str,
    now: Timestamp,
) -> Result<Effects> {
    let mut effects = Effects::default();
    for id in rows.overdue_runs(now, runs)? {
        end(rows, id, Outcome::TimedOut, link_base, now, &mut effects)?;
    }
    for id in rows.runs_to_begin(now, waits)? {
        let mut run = must_run(rows, id)?;
        step(&mut run, Step::Ready, now)?;
        rows.update_run(&run)?;
        effects.ready.push(Ready::of(&run));
    }
    for id in due(rows, now, waits)? {
        resolve_timeout(rows, id, now, &mut effects)?;
    }
    Ok(effects)
}

/// Ends a run, unless it has ended.
pub(super) fn end(
    rows: &mut dyn Rows,
    id: RunId,
    outcome: Outcome,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let run = must_run(rows, id)?;
    if run.is_ended() {
        return Ok(());
    }
    end_run(rows, run, outcome, link_base, now, effects)
}

fn end_run(
    rows: &mut dyn Rows,
    mut run: Run,
    outcome: Outcome,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let held = match run.state {
        RunState::Running { token } | RunState::Waiting { token: Some(token) } => Some(token),
        _ => None,
    };
    if matches!(run.state, RunState::Waiting { .. })
        && let Some(wait) = rows.wait(run.spec.id)?
    {
        super::wait::close(rows, &wait)?;
    }
    effects.killed.extend(held.map(|token| (run.spec.id, token)));
    if let Some(until) = run.again(&outcome, now) {
        return super::retry::again(rows, run, outcome, until, link_base, now, effects);
    }
    step(&mut run, Step::Finish(outcome), now)?;
    if !run.is_ended() {
        return rows.update_run(&run);
    }
    settle_ended(rows, run, link_base, now, effects)
}

/// What follows from an ending, in this order: children, purse, deliveries, parent, waiters.
fn settle_ended(
    rows: &mut dyn Rows,
    mut run: Run,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let id = run.spec.id;
    if run.attached_children > 0 {
        // Ended first: what the children do to their parent finds it so.
        rows.update_run(&run)?;
        let reason = format!("{} ended before it", run.spec.name);
        for child in rows.attached_children(id)? {
            let outcome = Outcome::Cancelled { reason: reason.as_str().into() };
            end(rows, child, outcome, link_base, now, effects)?;
        }
        run = must_run(rows, id)?;
    }
    let rest = std::mem::take(&mut run.purse);
    rows.update_run(&run)?;
    owe(rows, &run, link_base, now, effects)?;
    if !matches!(run.outcome(), None | Some(Outcome::Succeeded(_))) {
        undo(rows, &run, run.generation, |_| true, now, effects)?;
    }
    effects.ended.push(id);
    if run.spec.attached_to().is_none() && rest != Purse::default() {
        let mut conversation = must_conversation(rows, run.spec.conversation)?;
        conversation.purse.give_back(rest);
        conversation.purse = conversation.purse.at_most(conversation.ceiling);
        rows.update_conversation(&conversation)?;
    }
    if let Some(parent) = run.spec.parent {
        leave_parent(rows, &run, parent, rest, link_base, now, effects)?;
    }
    for waiter in rows.waiters(id)? {
        decide(rows, waiter, now, effects)?;
    }
    Ok(())
}

/// One delivery for each destination, its first attempt marked.
fn owe(rows: &mut dyn Rows, run: &Run, link_base: &str, now: Timestamp, effects: &mut Effects) -> Result<()> {
    let Some(outcome) = run.outcome().filter(|_| !run.spec.destinations.is_empty()) else { return Ok(()) };
    let mut finished = Vec::new();
    if !matches!(outcome, Outcome::Succeeded(_)) {
        finished = rows.linked_artifacts(run.spec.id, MAX_ARTIFACTS)?;
        let task = &run.spec.artifacts;
        finished.retain(|artifact| task.iter().all(|given| given.id != artifact.id));
    }
    let body = DeliveryBody::ending(run, outcome, &finished, link_base, now).to_json();
    for (index, destination) in (0..).zip(&run.spec.destinations) {
        let id = DeliveryId::ending(run.spec.id, run.generation, index);
        deliver::owe(rows, run, id, destination, body.clone(), now, effects)?;
    }
    Ok(())
}

/// One delivery for each request that a generation wanted made when it does not succeed.
pub(super) fn undo(
    rows: &mut dyn Rows,
    run: &Run,
    generation: u32,
    which: impl Fn(&Entry) -> bool,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    // Who may make no request has registered none: most journals need not be read.
    if run.attempt == 0 || run.spec.grants.http().is_empty() {
        return Ok(());
    }
    let entries = rows.entries(run.spec.id, generation)?;
    for entry in entries.iter().filter(|entry| entry.import == Import::HttpUndo && which(entry)) {
        let answer: Answer<Undo> = decode(entry)
            .map_err(|error| StoreError::Corrupt(format!("run {}, {}: {error}", run.spec.id, entry.path)))?;
        let Ok(undo) = answer else { continue };
        let id = DeliveryId::sent(run.spec.id, generation, &entry.path);
        deliver::owe(rows, run, id, &undo.destination(), undo.to_json(), now, effects)?;
    }
    Ok(())
}

/// The parent has one child fewer, and of an attached one what it has not spent.
fn leave_parent(
    rows: &mut dyn Rows,
    run: &Run,
    parent: RunId,
    rest: Purse,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let mut parent = must_run(rows, parent)?;
    parent.active_children = parent.active_children.saturating_sub(1);
    if run.spec.attached_to().is_some() {
        parent.attached_children = parent.attached_children.saturating_sub(1);
        // An ended parent has handed on what it had; an attached child ends before its parent settles.
        parent.purse.give_back(rest);
    }
    let was_closing = matches!(parent.state, RunState::Closing { .. });
    step(&mut parent, Step::ChildEnded, now)?;
    if was_closing && parent.is_ended() {
        return settle_ended(rows, parent, link_base, now, effects);
    }
    rows.update_run(&parent)
}
