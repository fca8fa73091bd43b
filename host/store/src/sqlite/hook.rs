//! [`HookRows`] over one connection.

use std::sync::Arc;

use rusqlite::params;
use sublane_core::hook::{Hook, HookCall, HookState};
use sublane_core::{HookId, RunId};

use super::codec::{Columns, instant, json};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::HookRows;

type Result<T> = std::result::Result<T, StoreError>;

/// A state's columns: its number, and what there is of a call.
type StateColumns<'h> = (i64, Option<&'h str>, Option<&'h HookCall>);

fn state_columns(state: &HookState) -> StateColumns<'_> {
    match state {
        HookState::Open => (0, None, None),
        HookState::Called(call) => (1, Some(&call.key), Some(call)),
        HookState::Told { key } => (2, Some(key), None),
        HookState::Closed => (3, None, None),
    }
}

/// A hook from the columns of `hook_columns!`.
fn hook(c: &mut Columns<'_>) -> Result<Hook> {
    Ok(Hook {
        id: HookId(c.bytes()?),
        run: RunId(c.bytes()?),
        generation: c.number()?,
        token: c.bytes()?,
        verification: c.json()?,
        created: c.instant()?,
        state: state(c)?,
    })
}

fn state(c: &mut Columns<'_>) -> Result<HookState> {
    let code = c.integer()?;
    let key: Option<Arc<str>> = c.maybe_text()?.map(Arc::from);
    let (at, media_type, verified) = (c.maybe_instant()?, c.maybe_text()?.map(Arc::from), c.maybe_integer()?);
    let body = c.maybe_blob()?.map(Arc::from);
    Ok(match (code, key, at, verified, body) {
        (0, None, None, None, None) => HookState::Open,
        (1, Some(key), Some(at), Some(verified), Some(body)) => {
            HookState::Called(HookCall { key, at, media_type, body, verified: verified != 0 })
        }
        (2, Some(key), None, None, None) => HookState::Told { key },
        (3, None, None, None, None) => HookState::Closed,
        _ => return Err(c.wrong(format_args!("it does not go with the row's state {code}"))),
    })
}

impl HookRows for Session<'_> {
    fn insert_hook(&mut self, hook: &Hook) -> Result<()> {
        let Hook { id, run, generation, token, verification, created, .. } = hook;
        let (state, key, call) = state_columns(&hook.state);
        let values = params![
            id.0,
            run.0,
            generation,
            token,
            json(verification),
            instant(*created),
            state,
            key,
            call.map(|call| instant(call.at)),
            call.and_then(|call| call.media_type.as_deref()),
            call.map(|call| call.verified),
            call.map(|call| &*call.body)
        ];
        self.execute(Sql::HookInsert, values).map(drop)
    }

    fn update_hook(&mut self, hook: &Hook) -> Result<()> {
        let (state, key, call) = state_columns(&hook.state);
        let values = params![
            hook.id.0,
            state,
            key,
            call.map(|call| instant(call.at)),
            call.and_then(|call| call.media_type.as_deref()),
            call.map(|call| call.verified),
            call.map(|call| &*call.body)
        ];
        match self.execute(Sql::HookUpdate, values)? {
            1 => Ok(()),
            _ => Err(StoreError::Corrupt(format!("hook {} is not there to be written", hook.id))),
        }
    }

    fn hook(&mut self, id: HookId) -> Result<Option<Hook>> {
        self.one("hook", Sql::Hook, params![id.0], hook)
    }

    fn hook_by_token(&mut self, token: &[u8; 32]) -> Result<Option<Hook>> {
        self.one("hook", Sql::HookByToken, params![token], hook)
    }

    fn hooks_of(&mut self, run: RunId) -> Result<Vec<Hook>> {
        // Ids begin with the time, so these lie in no order that means something: sorted here, few.
        let mut hooks = self.all("hook", Sql::HooksOf, params![run.0], hook)?;
        hooks.sort_unstable_by_key(|hook| hook.id);
        Ok(hooks)
    }
}
