//! A run begins again that did not succeed: by its policy, before it has ended, or because an
//! operator says so.

use sublane_core::run::Step;
use sublane_core::{Outcome, Over, PurseAsk, Renewal, Run, RunId, RunState, Timestamp};

use super::admit::must_conversation;
use super::steer::intent_done;
use super::{BeginsAgain, Effects, Ready, Result, anew, end, must_run, step};
use crate::StoreError;
use crate::rows::Rows;

/// The next generation of a run that failed: it lives, with an empty journal, and is delayed. Its
/// purse goes on; so do its deadline, its detached children and whoever waits for it. What was this
/// generation's own is over: attached children are cancelled, what it wanted undone is owed, and
/// nobody calls its hooks any more.
pub(super) fn again(
    rows: &mut dyn Rows,
    mut run: Run,
    outcome: Outcome,
    until: Timestamp,
    link_base: &str,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let id = run.spec.id;
    let over = run.over(Over::Failed(outcome), now);
    step(&mut run, Step::Again { until }, now)?;
    rows.insert_generation(id, &over)?;
    // Begun first: what the children do to their parent finds it so.
    rows.begin_again(&run)?;
    if run.attached_children > 0 {
        let reason = format!("{} failed and begins again", run.spec.name);
        for child in rows.attached_children(id)? {
            let outcome = Outcome::Cancelled { reason: reason.as_str().into() };
            end::end(rows, child, outcome, link_base, now, effects)?;
        }
    }
    // What an earlier generation wanted undone is not this one's, whose task it is: it goes on.
    end::undo(rows, &run, over.number, |entry| !entry.path.is_left(), now, effects)?;
    anew::hand_on(rows, &run, over.number, |entry| entry.path.is_left())?;
    effects.again.push(BeginsAgain { run: id, generation: run.generation, until });
    Ok(())
}

/// The next generation of a run that has ended: an empty journal, as much time as it had, a purse drawn
/// from its conversation. What earlier generations owe stays as it is, and so do the children that they
/// left. One that begins again by itself does so now. With an intent that asked for it, that is done
/// with it.
pub fn retry(
    rows: &mut dyn Rows,
    id: RunId,
    renewal: Renewal,
    intent: Option<(i64, &str)>,
    now: Timestamp,
) -> Result<Effects> {
    let mut run = must_run(rows, id)?;
    if run.retried > 0 && matches!(run.state, RunState::Delayed { .. }) {
        step(&mut run, Step::Ready, now)?;
        rows.begin_again(&run)?;
    } else {
        renew(rows, &mut run, renewal, now)?;
    }
    if let Some((number, answer)) = intent {
        intent_done(rows, number, answer)?;
    }
    Ok(Effects { ready: vec![Ready::of(&run)], ..Effects::default() })
}

fn renew(rows: &mut dyn Rows, run: &mut Run, renewal: Renewal, now: Timestamp) -> Result<()> {
    let name = run.spec.name.clone();
    let refused = |why: String| Err(StoreError::Refused(format!("{name} {why}")));
    let ended = match run.outcome() {
        None => {
            return refused(format!(
                "is {}: only what has ended is retried; cancel it first",
                run.state.kind()
            ));
        }
        Some(Outcome::Succeeded(_)) => {
            return refused("succeeded: ask for it again instead, as something new".to_owned());
        }
        Some(outcome) => outcome.clone(),
    };
    let mut parent = match run.spec.parent {
        Some(parent) => rows.run(parent)?,
        None => None,
    };
    if let Some(parent) = &parent {
        let above = &parent.spec.name;
        if run.spec.attached_to().is_some() {
            return refused(format!("belongs to {above}, which began it: retry that one"));
        }
        // It knows how this one ended, and a replay must tell it the same.
        if !parent.is_ended() {
            return refused(format!("was begun by {above}, which goes on: only that one can begin it again"));
        }
    }
    let mut conversation = must_conversation(rows, run.spec.conversation)?;
    let purse = match conversation.purse.split(&PurseAsk::exactly(run.spec.purse)) {
        Ok(purse) => purse,
        Err(limit) => {
            return refused(format!(
                "cannot be given what it had: of its conversation's purse, {limit}; the next message fills it up"
            ));
        }
    };
    let ended_at = run.since;
    let over = run.over(Over::Ended(ended), ended_at);
    let spec = run.renewed(renewal, purse, now);
    step(run, Step::Retry(spec), now)?;
    rows.update_conversation(&conversation)?;
    rows.insert_generation(run.spec.id, &over)?;
    rows.renew_run(run)?;
    if let Some(parent) = &mut parent {
        parent.active_children += 1;
        rows.update_run(parent)?;
    }
    Ok(())
}
