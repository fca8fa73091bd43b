//! Poll plans: carried out by the host, poll by poll, and ended with their wait.

use std::sync::Arc;

use sublane_core::poll::{Ending, Plan, Poll, Streak};
use sublane_core::{Answer, HookId, ImportError, PollId, Purse, Run, RunId, Timestamp};

use super::{Effects, Result, must_run, wait};
use crate::StoreError;
use crate::rows::{Rows, Wait};

/// What becomes of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PollMove {
    /// A poll is made now. Until `again` nobody makes another one.
    Begin {
        /// When it is taken for lost.
        again: Timestamp,
    },
    /// The poll that was begun needs another request.
    Redirected,
    /// The poll that was begun decided nothing.
    GoesOn {
        /// When the next one is due.
        due: Timestamp,
        /// What was seen, for people.
        seen: Arc<str>,
        /// What counts at the next one.
        streak: Streak,
    },
    /// It ends so.
    Ends(Answer<Ending>),
}

/// A plan whose next poll is due, with all that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePoll {
    /// Where it stands.
    pub poll: Poll,
    /// What is asked.
    pub plan: Arc<Plan>,
    /// Who waits for it.
    pub run: Run,
}

/// Whether a plan could be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// It was, and goes on.
    On,
    /// It has ended now: as was said, or since the run's purse has no more.
    Ended,
    /// It is not there any more, or another poll of it was begun meanwhile. Nothing was written.
    Gone,
}

/// The plans of a wait that begins.
pub(super) fn open(rows: &mut dyn Rows, wait: &Wait, generation: u32, now: Timestamp) -> Result<()> {
    for (place, plan) in wait.what.polls() {
        let id = PollId::opened(wait.run, generation, &wait.path, place);
        let called = match plan.hint {
            Some(hook) => super::hook::is_called(rows, wait.run, hook)?,
            None => false,
        };
        let due = if called { now } else { now.after(plan.pace.delay(0, id)) };
        let (run, server) = (wait.run, plan.server.as_str().into());
        let poll = Poll { id, run, place, server, due, made: 0, hinted: called, seen: None, streak: None };
        rows.insert_poll(&poll)?;
    }
    Ok(())
}

/// Plans at a server whose next poll is due, the oldest first, without those of which one is under way.
pub(crate) fn due_polls(
    rows: &mut dyn Rows,
    server: &str,
    now: Timestamp,
    limit: u32,
    under_way: &[PollId],
) -> Result<Vec<DuePoll>> {
    // A poll that is under way may not be written yet, and then is due as well.
    let most = limit.saturating_add(u32::try_from(under_way.len()).unwrap_or(u32::MAX));
    let due = rows.due_polls(server, now, most)?;
    let mut polls = Vec::new();
    for poll in due.into_iter().filter(|poll| !under_way.contains(&poll.id)).take(limit as usize) {
        let run = must_run(rows, poll.run)?;
        let wait = rows.wait(poll.run)?;
        let plan = wait.iter().flat_map(|wait| wait.what.polls()).find(|(place, _)| *place == poll.place);
        let plan = plan.map(|(_, plan)| plan.clone());
        let plan = plan.ok_or_else(|| StoreError::Corrupt(format!("poll {} is of no wait", poll.id)))?;
        polls.push(DuePoll { poll, plan, run });
    }
    Ok(polls)
}

/// What a plan of a run saw last, for people.
pub(super) fn seen(rows: &mut dyn Rows, run: RunId, place: u32) -> Result<Arc<str>> {
    let polls = rows.polls_of(run)?;
    let seen = polls.into_iter().find(|poll| poll.place == place).and_then(|poll| poll.seen);
    Ok(seen.unwrap_or_else(|| "nothing yet".into()))
}

/// A hook was called: plans that take it for a hint are due. Gives whether there are any.
pub(super) fn hinted(rows: &mut dyn Rows, run: RunId, hook: HookId, now: Timestamp) -> Result<bool> {
    let Some(wait) = rows.wait(run)? else { return Ok(false) };
    let hinted: Vec<u32> =
        wait.what.polls().filter(|(_, plan)| plan.hint == Some(hook)).map(|(place, _)| place).collect();
    if hinted.is_empty() {
        return Ok(false);
    }
    for mut poll in rows.polls_of(run)? {
        if hinted.contains(&poll.place) {
            (poll.hinted, poll.due) = (true, poll.due.min(now));
            rows.update_poll(&poll)?;
        }
    }
    Ok(true)
}

/// Moves a plan of which `made` polls were begun, and takes from its run's purse what that cost.
/// A beginning and a redirect are refused when the purse has no more: then that ends the plan.
pub fn poll(
    rows: &mut dyn Rows,
    id: PollId,
    made: u32,
    spent: Purse,
    moved: PollMove,
    now: Timestamp,
) -> Result<(Polled, Effects)> {
    let mut effects = Effects::default();
    let Some(mut poll) = rows.poll(id)?.filter(|poll| poll.made == made) else {
        return Ok((Polled::Gone, effects));
    };
    let mut run = must_run(rows, poll.run)?;
    let is_asked = matches!(moved, PollMove::Begin { .. } | PollMove::Redirected);
    // What it brings has to be paid too: nothing is asked for with nothing left for it.
    let lacks = run.purse.has(Purse { bytes_in: spent.bytes_in.saturating_add(1), ..spent }).err();
    let moved = match lacks {
        Some(limit) if is_asked => PollMove::Ends(Err(ImportError::Limit(limit))),
        _ => {
            run.purse.spend(spent);
            rows.update_run(&run)?;
            moved
        }
    };
    match moved {
        PollMove::Begin { again } => {
            (poll.made, poll.hinted, poll.due) = (made + 1, false, again);
            rows.update_poll(&poll)?;
        }
        PollMove::Redirected => {}
        PollMove::GoesOn { due, seen, streak } => {
            // Its hook was called while it was under way: the answer may be older than the call.
            (poll.due, poll.seen, poll.streak) = (if poll.hinted { now } else { due }, Some(seen), streak);
            effects.polls = poll.hinted;
            rows.update_poll(&poll)?;
        }
        PollMove::Ends(answer) => {
            wait::polled(rows, &poll, &answer, now, &mut effects)?;
            return Ok((Polled::Ended, effects));
        }
    }
    Ok((Polled::On, effects))
}
