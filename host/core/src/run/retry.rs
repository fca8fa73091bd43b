//! A run that did not succeed begins again: the next generation.
//!
//! What it was asked and what it may stays; its time and its purse are new.

use std::sync::Arc;

use super::{Run, RunSpec};
use crate::grants::Purse;
use crate::time::Timestamp;

/// What a new generation gets anew, beside its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Digest of the version that its plugin has now; `None`: the one that it was on.
    pub plugin_digest: Option<String>,
    /// Seed of its random generator.
    pub seed: [u8; 32],
}

impl Run {
    /// What the run is in its next generation, from `now` on: with as much time as the last one
    /// was given, and this purse.
    #[must_use]
    pub fn renewed(&self, renewal: Renewal, purse: Purse, now: Timestamp) -> Arc<RunSpec> {
        let timeout = self.spec.deadline().since(self.begun);
        let mut spec = RunSpec::clone(&self.spec);
        spec.grants = spec.grants.until(now.after(timeout));
        spec.plugin_digest = renewal.plugin_digest.unwrap_or(spec.plugin_digest);
        (spec.purse, spec.seed) = (purse, renewal.seed);
        Arc::new(spec)
    }
}
