//! The store of a state directory, read beside a host that may write it.
//!
//! Owns how people name a run. Never writes.

use std::path::Path;

use anyhow::{anyhow, bail};
use sublane::artifacts;
use sublane::config::Config;
use sublane::open::{ARTIFACTS, store_file};
use sublane_core::{Delivery, Run, RunId};
use sublane_store::{DeliveryFilter, RunFilter, SqliteStore, Store as _};

/// Runs among which a name or the beginning of an id is looked for.
const SEARCHED: u32 = 10_000;
/// Deliveries of one run: the most that it can send, and its ending's.
pub(super) const DELIVERIES: u32 = 2_000;

/// A store for reading.
pub(super) struct Reader {
    pub(super) store: SqliteStore,
    /// Goes before an artifact's path to make a link.
    pub(super) link_base: String,
}

impl Reader {
    /// Opens the store of the configuration's state directory.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let state: &Path = &config.state;
        let store = SqliteStore::open_read_only(&store_file(state))?;
        let root = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        Ok(Self { store, link_base: artifacts::link_base(&root.join(ARTIFACTS)) })
    }

    /// The run that people call so: by its id, its name, or the beginning of either.
    pub(super) async fn run(&self, called: &str) -> anyhow::Result<Run> {
        if let Ok(id) = called.parse::<RunId>() {
            let run = self.store.run(id).await?;
            return run.ok_or_else(|| anyhow!("there is no run `{called}`"));
        }
        let runs = self.store.runs(RunFilter { limit: SEARCHED, ..RunFilter::default() }).await?;
        let named = |run: &&Run| run.spec.name == called;
        let mut found: Vec<&Run> = runs.iter().filter(named).collect();
        if found.is_empty() {
            let begins =
                |run: &&Run| run.spec.name.starts_with(called) || run.spec.id.to_string().starts_with(called);
            found = runs.iter().filter(begins).collect();
        }
        match found.as_slice() {
            [] if runs.len() >= SEARCHED as usize => {
                bail!(
                    "there is no run `{called}` among the newest {SEARCHED}; older ones are found by their whole id"
                )
            }
            [] => bail!("there is no run `{called}`"),
            [run] => Ok((*run).clone()),
            several => {
                let some =
                    several.iter().take(8).map(|run| format!("\n  {}  {}", run.spec.id, run.spec.name));
                bail!("`{called}` is the beginning of {} runs:{}", several.len(), some.collect::<String>())
            }
        }
    }

    /// The deliveries of a run, oldest first.
    pub(super) async fn deliveries_of(&self, run: RunId) -> anyhow::Result<Vec<Delivery>> {
        let filter = DeliveryFilter { run: Some(run), limit: DELIVERIES, ..DeliveryFilter::default() };
        let mut deliveries = self.store.deliveries(filter).await?;
        deliveries.reverse();
        Ok(deliveries)
    }
}
