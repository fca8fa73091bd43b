//! [`HookRows`] over two maps.

use sublane_core::hook::Hook;
use sublane_core::{HookId, RunId};

use super::tables::Tables;
use crate::StoreError;
use crate::rows::HookRows;

type Result<T> = std::result::Result<T, StoreError>;

impl HookRows for Tables {
    fn insert_hook(&mut self, hook: &Hook) -> Result<()> {
        if self.hooks.contains_key(&hook.id) || self.hook_tokens.contains_key(&hook.token) {
            return Err(StoreError::Corrupt(format!("hook {} is there already", hook.id)));
        }
        self.hook_tokens.insert(hook.token, hook.id);
        self.hooks.insert(hook.id, hook.clone());
        Ok(())
    }

    fn update_hook(&mut self, hook: &Hook) -> Result<()> {
        let Some(kept) = self.hooks.get_mut(&hook.id) else {
            return Err(StoreError::Corrupt(format!("hook {} is not there to be written", hook.id)));
        };
        kept.state = hook.state.clone();
        Ok(())
    }

    fn hook(&mut self, id: HookId) -> Result<Option<Hook>> {
        Ok(self.hooks.get(&id).cloned())
    }

    fn hook_by_token(&mut self, token: &[u8; 32]) -> Result<Option<Hook>> {
        Ok(self.hook_tokens.get(token).and_then(|id| self.hooks.get(id)).cloned())
    }

    fn hooks_of(&mut self, run: RunId) -> Result<Vec<Hook>> {
        Ok(self.hooks.values().filter(|hook| hook.run == run).cloned().collect())
    }
}
