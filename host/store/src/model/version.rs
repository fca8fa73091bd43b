//! [`VersionRows`] over the maps. Walks the runs: nothing here is on the way of a spawn.

use std::collections::BTreeMap;

use sublane_core::RunId;

use super::tables::{Tables, oldest};
use crate::StoreError;
use crate::rows::{LiveVersion, PauseRow, PluginRow, VersionRows};

type Result<T> = std::result::Result<T, StoreError>;

impl VersionRows for Tables {
    fn live_versions(&mut self) -> Result<Vec<LiveVersion>> {
        let mut counts = BTreeMap::<(&str, &str), u64>::new();
        for kept in self.runs.values().filter(|kept| !kept.row.is_ended()) {
            let spec = &kept.row.spec;
            *counts.entry((&spec.plugin, &spec.plugin_digest)).or_default() += 1;
        }
        let live = |((plugin, digest), runs): ((&str, &str), u64)| LiveVersion {
            plugin: plugin.to_owned(),
            digest: digest.to_owned(),
            runs,
        };
        Ok(counts.into_iter().map(live).collect())
    }

    fn living_on(&mut self, plugin: Option<&str>, digest: &str, limit: u32) -> Result<Vec<RunId>> {
        let runs = oldest(self.runs.values(), limit, |run| {
            let spec = &run.spec;
            !run.is_ended()
                && spec.plugin_digest == digest
                && plugin.is_none_or(|plugin| spec.plugin == plugin)
        });
        Ok(runs.iter().map(|run| run.spec.id).collect())
    }

    fn plugins(&mut self) -> Result<Vec<PluginRow>> {
        Ok(self.plugins.values().cloned().collect())
    }

    fn pauses(&mut self) -> Result<Vec<PauseRow>> {
        Ok(self.pauses.values().cloned().collect())
    }

    fn put_pause(&mut self, pause: &PauseRow) -> Result<()> {
        self.pauses.insert(pause.plugin.clone(), pause.clone());
        Ok(())
    }

    fn delete_pause(&mut self, plugin: &str) -> Result<()> {
        self.pauses.remove(plugin);
        Ok(())
    }

    fn put_plugin(&mut self, plugin: &PluginRow) -> Result<()> {
        self.plugins.insert(plugin.id.clone(), plugin.clone());
        Ok(())
    }

    fn delete_plugin(&mut self, id: &str) -> Result<()> {
        self.plugins.remove(id);
        Ok(())
    }
}
