//! What operators allow plugins today, for instances whose grants were made of what was allowed before.
//!
//! Owns the count of the changes: an instance compares it with the one that its grants are of, which
//! costs one load where nothing was changed. Widens nothing: what is allowed again reaches a run as
//! far as its own grants go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use sublane_core::grants::Authority;
use sublane_core::{Grants, RunSpec};

use crate::plugin::{Allow, Plugins};

/// What is allowed today, by plugin.
pub struct Allowed {
    /// 0: nothing has changed since any run that lives was accepted.
    changes: AtomicU64,
    plugins: RwLock<BTreeMap<String, Allow>>,
}

impl Allowed {
    /// As these plugins have it. `has_runs` says whether runs live that an earlier host accepted:
    /// what they may do was perhaps changed meanwhile.
    #[must_use]
    pub fn new(plugins: &Plugins, has_runs: bool) -> Self {
        let allowed = Self { changes: AtomicU64::new(0), plugins: RwLock::default() };
        allowed.plugins.write().extend(named(plugins));
        allowed.changes.store(u64::from(has_runs), Ordering::Release);
        allowed
    }

    /// How often it has changed. An instance whose grants are of another count holds perhaps more
    /// than is allowed now.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// From now on it is as these plugins have it. Of one that is not among them any more, what was
    /// allowed last goes on: it was removed, and its runs were kept to be ended.
    pub fn set(&self, plugins: &Plugins) {
        let mut known = self.plugins.write();
        let mut has_changed = false;
        for (id, allow) in named(plugins) {
            has_changed |= known.insert(id, allow.clone()) != Some(allow);
        }
        if has_changed {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// What is left of grants that were cut from this plugin's root; none when that is all of them.
    /// A plugin that nothing is known of is allowed nothing.
    #[must_use]
    pub fn left(&self, grants: &Grants, plugin: &str) -> Option<Grants> {
        match self.plugins.read().get(plugin) {
            Some(Allow::Asked) => None,
            Some(Allow::These(these)) => grants.within(these),
            None => grants.within(&Authority::default()),
        }
    }

    /// [`Self::left`] of the grants that a run was given.
    #[must_use]
    pub fn left_of(&self, run: &RunSpec) -> Option<Grants> {
        self.left(&run.grants, run.grants.root_of().unwrap_or(&run.spawner))
    }
}

fn named(plugins: &Plugins) -> impl Iterator<Item = (String, Allow)> {
    plugins.iter().map(|plugin| (plugin.manifest.id.clone(), plugin.allow.clone()))
}
