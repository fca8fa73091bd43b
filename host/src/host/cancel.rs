//! Cancelling: the store decides, and whoever asked learns when the instances are gone.

use std::sync::Arc;

use sublane_core::RunId;
use sublane_store::{Effects, StoreError};

use super::Inner;

impl Inner {
    /// Cancels a run and what is attached to it; returns when their instances are gone.
    ///
    /// # Errors
    /// Those of the store. A run that has ended is no error.
    pub async fn cancel(self: &Arc<Self>, run: RunId, reason: &str) -> Result<u32, StoreError> {
        let now = self.clock.now();
        let effects = self.store.cancel(run, reason.into(), self.link_base.clone(), now).await?;
        let count = u32::try_from(effects.ended.len()).unwrap_or(u32::MAX);
        self.perform(effects).await;
        Ok(count)
    }

    /// Does what follows from an operation; returns when the instances that it ends are gone.
    pub async fn perform(self: &Arc<Self>, effects: Effects) {
        let gone: Vec<_> = {
            let attempts = self.attempts.lock();
            let killed = effects.killed.iter().filter_map(|(run, _)| attempts.get(run));
            killed.map(|attempt| attempt.on_gone()).collect()
        };
        self.dispatch(effects);
        for gone in gone {
            // The sender is dropped, not used: an error is what is waited for.
            let _ = gone.await;
        }
    }
}
