//! An operator has a run begin again that did not succeed.

use sublane_core::run::Step;
use sublane_core::{Outcome, PurseAsk, Renewal, RunId, Timestamp};

use super::admit::must_conversation;
use super::steer::intent_done;
use super::{Effects, Ready, Result, must_run, step};
use crate::StoreError;
use crate::rows::Rows;

/// The next generation of a run: an empty journal, as much time as it had, a purse drawn from its
/// conversation. What earlier generations owe stays as it is, and so do the children that they left.
/// With an intent that asked for it, that is done with it.
pub fn retry(
    rows: &mut dyn Rows,
    id: RunId,
    renewal: Renewal,
    intent: Option<(i64, &str)>,
    now: Timestamp,
) -> Result<Effects> {
    let mut run = must_run(rows, id)?;
    let name = run.spec.name.clone();
    let refused = |why: String| Err(StoreError::Refused(format!("{name} {why}")));
    match run.outcome() {
        None => {
            return refused(format!(
                "is {}: only what has ended is retried; cancel it first",
                run.state.kind()
            ));
        }
        Some(Outcome::Succeeded(_)) => {
            return refused("succeeded: ask for it again instead, as something new".to_owned());
        }
        Some(_) => {}
    }
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
    let spec = run.renewed(renewal, purse, now);
    step(&mut run, Step::Retry(spec), now)?;
    rows.update_conversation(&conversation)?;
    rows.renew_run(&run)?;
    if let Some(parent) = &mut parent {
        parent.active_children += 1;
        rows.update_run(parent)?;
    }
    if let Some((number, answer)) = intent {
        intent_done(rows, number, answer)?;
    }
    Ok(Effects { ready: vec![Ready::of(&run)], ..Effects::default() })
}
