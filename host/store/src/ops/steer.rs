//! What an operator does to runs that are there.

use sublane_core::{ConversationId, Outcome, RunId, Timestamp};

use super::command::MAX_MAILBOX;
use super::{Effects, Result, end, must_run, wait};
use crate::StoreError;
use crate::rows::Rows;

/// Answers to intents that are kept for whoever asked.
pub const KEPT_ANSWERS: i64 = 1_000;

/// Living runs that one look finds.
const PAGE: u32 = 1_000;

/// Cancels every run of a conversation, in one transaction: nothing is spawned meanwhile.
pub fn cancel_conversation(
    rows: &mut dyn Rows,
    id: ConversationId,
    reason: &str,
    link_base: &str,
    now: Timestamp,
) -> Result<Effects> {
    if rows.conversation(id)?.is_none() {
        return Err(StoreError::NotFound(format!("conversation {id}")));
    }
    let mut effects = Effects::default();
    loop {
        let living = rows.living_runs(id, PAGE)?;
        if living.is_empty() {
            return Ok(effects);
        }
        for run in living {
            // One that ended with its parent a moment ago is left as it is.
            let outcome = Outcome::Cancelled { reason: reason.into() };
            end::end(rows, run, outcome, link_base, now, &mut effects)?;
        }
    }
}

/// A message from somebody who is no run. With an intent that asked for it, that is done with it.
pub fn send(
    rows: &mut dyn Rows,
    id: RunId,
    message: &str,
    intent: Option<(i64, &str)>,
    now: Timestamp,
) -> Result<Effects> {
    let run = must_run(rows, id)?;
    let refused = |why: String| Err(StoreError::Refused(format!("{} {why}", run.spec.name)));
    if let Some(outcome) = run.outcome() {
        return refused(format!("has ended ({}): it takes no message any more", outcome.kind()));
    }
    if rows.mailbox_len(id)? >= MAX_MAILBOX {
        return refused(format!("has {MAX_MAILBOX} unread messages: its mailbox is full"));
    }
    let mut effects = Effects::default();
    rows.push_message(id, message)?;
    wait::decide(rows, id, now, &mut effects)?;
    if let Some((number, answer)) = intent {
        intent_done(rows, number, answer)?;
    }
    Ok(effects)
}

/// An intent was applied: it goes, and what became of it is kept for a while.
pub fn intent_done(rows: &mut dyn Rows, number: i64, answer: &str) -> Result<()> {
    rows.delete_intent(number)?;
    rows.put_intent_answer(number, answer)?;
    rows.delete_intent_answers(number - KEPT_ANSWERS)
}
