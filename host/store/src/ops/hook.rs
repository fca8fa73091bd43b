//! Hooks: opened and closed by their run, called by somebody outside.

use std::sync::Arc;

use sublane_core::hook::{
    CallAnswer, Called, Hook, HookCall, HookState, MAX_OPEN, MAX_OPENED, OpenAnswer, Verification,
};
use sublane_core::{Answer, Entry, HookId, ImportError, LimitHit, RunId, Timestamp};

use super::{By, Effects, Result};
use crate::rows::Rows;

/// Opens a hook. Its id follows from where it is opened.
pub(super) fn open(
    rows: &mut dyn Rows,
    by: &By,
    entry: &Entry,
    generation: u32,
    token: [u8; 32],
    url: Arc<str>,
    verification: Verification,
) -> Result<Answer<OpenAnswer>> {
    let hooks = rows.hooks_of(by.run)?;
    let mut own = hooks.iter().filter(|hook| hook.generation == generation).peekable();
    let limit = |which: &str, most: u32| Ok(Err(ImportError::Limit(LimitHit::new(which, u64::from(most)))));
    let (opened, open) = own
        .by_ref()
        .fold((0, 0), |(opened, open), hook| (opened + 1, open + u32::from(hook.state.is_open())));
    if open >= MAX_OPEN {
        return limit("hook.open", MAX_OPEN);
    }
    if opened >= MAX_OPENED {
        return limit("hook.per-run", MAX_OPENED);
    }
    let id = HookId::opened(by.run, generation, &entry.path);
    let (run, state, created) = (by.run, HookState::Open, by.now);
    rows.insert_hook(&Hook { id, run, generation, token, verification, state, created })?;
    Ok(Ok(OpenAnswer { id, url }))
}

/// Closes a hook; one that is closed stays so.
pub(super) fn close(rows: &mut dyn Rows, by: &By, id: HookId) -> Result<Answer<()>> {
    let Some(mut hook) = rows.hook(id)?.filter(|hook| hook.run == by.run) else {
        return Ok(Err(ImportError::NotFound));
    };
    hook.state = HookState::Closed;
    rows.update_hook(&hook)?;
    Ok(Ok(()))
}

/// Takes the call that has come to a hook of a run.
pub(super) fn take(rows: &mut dyn Rows, run: RunId, id: HookId) -> Result<Option<CallAnswer>> {
    let Some(mut hook) = rows.hook(id)?.filter(|hook| hook.run == run) else { return Ok(None) };
    let Some(call) = hook.tell() else { return Ok(None) };
    rows.update_hook(&hook)?;
    Ok(Some(call.into()))
}

/// Whether a call has come to a hook of a run, which the run was not told yet.
pub(super) fn is_called(rows: &mut dyn Rows, run: RunId, id: HookId) -> Result<bool> {
    let hook = rows.hook(id)?.filter(|hook| hook.run == run);
    Ok(hook.is_some_and(|hook| matches!(hook.state, HookState::Called(_))))
}

/// Whether a hook's run goes on, in the generation that opened it.
fn lives(rows: &mut dyn Rows, hook: &Hook) -> Result<bool> {
    let run = super::must_run(rows, hook.run)?;
    Ok(!run.is_ended() && run.generation == hook.generation)
}

/// Somebody calls a hook. `None`: there is none with this token.
pub fn call_hook(
    rows: &mut dyn Rows,
    token: &[u8; 32],
    call: HookCall,
    now: Timestamp,
) -> Result<Option<(Called, Effects)>> {
    let mut effects = Effects::default();
    let Some(mut hook) = rows.hook_by_token(token)? else { return Ok(None) };
    let lives = lives(rows, &hook)?;
    let called = hook.call(call, lives);
    if called == Called::Taken {
        rows.update_hook(&hook)?;
        super::wait::decide(rows, hook.run, now, &mut effects)?;
        effects.polls = super::poll::hinted(rows, hook.run, hook.id, now)?;
    }
    Ok(Some((called, effects)))
}
