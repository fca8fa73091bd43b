//! Versions of plugins, as runs and hosts refer to them.

use sublane_core::{RunId, Timestamp};

use super::Result;

/// Runs that live on one version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveVersion {
    /// The plugin.
    pub plugin: String,
    /// The version's digest.
    pub digest: String,
    /// How many.
    pub runs: u64,
}

/// A plugin as a host has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRow {
    /// Its name.
    pub id: String,
    /// The version as its manifest says it.
    pub version: String,
    /// The version's digest.
    pub digest: String,
    /// Since when the host has this version.
    pub since: Timestamp,
}

/// How a plugin fails: runs of it in a row, by a trap or a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRow {
    /// The plugin.
    pub plugin: String,
    /// How many, at least one.
    pub failures: u32,
    /// No new run of it begins before.
    pub until: Option<Timestamp>,
    /// How the last one failed, for people.
    pub why: String,
}

/// What knows which version is whose.
pub trait VersionRows {
    /// The versions that living runs are on, by plugin and digest. Walks the living runs.
    fn live_versions(&mut self) -> Result<Vec<LiveVersion>>;
    /// Living runs on a version, oldest first; with a plugin, only that one's.
    fn living_on(&mut self, plugin: Option<&str>, digest: &str, limit: u32) -> Result<Vec<RunId>>;
    /// The plugins of the host, by their names.
    fn plugins(&mut self) -> Result<Vec<PluginRow>>;
    /// Adds a plugin, or takes the place of what was noted of it.
    fn put_plugin(&mut self, plugin: &PluginRow) -> Result<()>;
    /// Forgets a plugin.
    fn delete_plugin(&mut self, id: &str) -> Result<()>;
    /// Plugins whose last run failed by a trap or a limit, by their names.
    fn pauses(&mut self) -> Result<Vec<PauseRow>>;
    /// Notes how a plugin fails, instead of what was noted before.
    fn put_pause(&mut self, pause: &PauseRow) -> Result<()>;
    /// Forgets how it fails.
    fn delete_pause(&mut self, plugin: &str) -> Result<()>;
}
