//! The host's plugins while it runs: which version a run gets, and how they are read anew.
//!
//! Owns the swap: what is read anew is checked to its end before anything of it is used, and
//! what is under way keeps what it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sublane_store::{PluginRow, RunFilter, Store, StoreError};

use super::Inner;
use crate::config::PluginConfig;
use crate::error::chain;
use crate::plugin::{LoadError, Plugin, Plugins, manifest};
use crate::strict::nearest;
use crate::versions::Unavailable;

/// A version as people tell it from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// As its manifest says it.
    pub version: String,
    /// Its digest.
    pub digest: String,
}

impl Label {
    /// Of a plugin that is loaded.
    #[must_use]
    pub fn of(plugin: &Plugin) -> Self {
        Self { version: plugin.manifest.version.clone(), digest: plugin.digest.clone() }
    }
}

/// What became of a plugin that was read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there.
    Added,
    /// New runs are of another version.
    Replaced,
    /// The same version, allowed something else.
    Allowed,
    /// Nothing of it has changed.
    Unchanged,
    /// The configuration names it no more.
    Removed,
}

/// A plugin that was read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Its name.
    pub plugin: String,
    /// What became of it.
    pub change: Change,
    /// The version that it had.
    pub was: Option<Label>,
    /// The version that new runs are of.
    pub is: Option<Label>,
}

/// Why plugins were not read anew. Then all of them are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is not known which there are, or which are meant.
    #[error("{0}")]
    Configuration(String),
    /// What is named cannot be loaded, a line for each.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
    /// The host stops.
    #[error("the host stops")]
    Stopping,
}

impl Inner {
    /// The version of a plugin that a run is on: the current one, or the one that was kept.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn version(self: &Arc<Self>, plugin: &str, digest: &str) -> Result<Arc<Plugin>, Unavailable> {
        let plugins = self.plugins();
        let current = plugins.get(plugin);
        if let Some(current) = current.filter(|current| current.is(digest)) {
            return Ok(current.clone());
        }
        if let Some(old) = self.versions.in_memory(digest) {
            return Ok(old);
        }
        // What it may do beyond its frozen grants is what its plugin is allowed today.
        let allow = current.map(|current| current.allow.clone()).unwrap_or_default();
        let (host, digest) = (self.clone(), digest.to_owned());
        let load = move || host.io.block_on(host.versions.load_kept(&digest, &allow));
        self.io.spawn_blocking(load).await.unwrap_or_else(|error| Err(Unavailable::Fault(error.to_string())))
    }

    /// Reads plugins anew, all of them where none is named, and has new runs use what is found.
    /// All or nothing: one that is wrong leaves every one as it was.
    ///
    /// # Errors
    /// [`ReloadError`] says everything that is wrong.
    pub async fn reload(self: &Arc<Self>, named: &[String]) -> Result<Vec<Reloaded>, ReloadError> {
        let _one = self.reloading.lock().await;
        let source = self.source.clone();
        let configured = self.io.spawn_blocking(move || source.plugins()).await;
        let configured =
            configured.map_err(|_| ReloadError::Stopping)?.map_err(ReloadError::Configuration)?;
        let current = self.plugins();
        let names = names(named, &configured, &current)?;
        let mut next = Plugins::clone(&current);
        let (mut reloaded, mut wrong) = (Vec::new(), Vec::new());
        for id in names {
            let was = current.get(&id);
            let is = match configured.get(&id) {
                None => None,
                Some(config) => match self.load(&id, config).await {
                    Ok(plugin) => Some(plugin),
                    Err(error) => {
                        wrong.push(format!("plugin `{id}`: {}", chain(&error)));
                        continue;
                    }
                },
            };
            reloaded.push(Reloaded {
                change: change(was, is.as_ref()),
                was: was.map(|plugin| Label::of(plugin)),
                is: is.as_ref().map(|plugin| Label::of(plugin)),
                plugin: id.clone(),
            });
            match is {
                Some(plugin) => next.insert(plugin),
                None => next.remove(&id),
            }
        }
        if !wrong.is_empty() {
            return Err(ReloadError::Wrong(wrong));
        }
        // Whoever is about to begin a run on a version that goes now finds it kept for a while.
        self.touch_versions();
        let next = Arc::new(next);
        *self.plugins.write() = next.clone();
        // Runs that live are held to it at their next call, wherever they are.
        self.allowed.set(&next);
        for Reloaded { plugin, change, is, .. } in &reloaded {
            if let Err(error) = self.lift_pause(plugin).await {
                tracing::warn!(plugin, %error, "a pause that was lifted could not be removed from the store");
            }
            let digest = is.as_ref().map(|label| &*label.digest).unwrap_or_default();
            tracing::info!(plugin, ?change, digest, "a plugin was read anew");
        }
        if let Err(error) = self.note_plugins().await {
            tracing::warn!(%error, "which plugins there are could not be noted; people see the ones of before");
        }
        Ok(reloaded)
    }

    async fn load(self: &Arc<Self>, id: &str, config: &PluginConfig) -> Result<Arc<Plugin>, LoadError> {
        let (host, PluginConfig { component, allow }) = (self.clone(), config.clone());
        let load = move || {
            let now = host.clock.now();
            host.io.block_on(host.versions.load(&component, &allow, now))
        };
        let loaded = self.io.spawn_blocking(load).await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(LoadError::Read { path: config.component.clone(), source })
        })?;
        if loaded.manifest.id != *id {
            return Err(LoadError::OtherId {
                path: config.component.with_file_name(manifest::FILE_NAME),
                found: loaded.manifest.id.clone(),
                configured: id.to_owned(),
            });
        }
        Ok(loaded)
    }

    /// Says of the current versions that they are in use now.
    pub(super) fn touch_versions(&self) {
        let now = self.clock.now();
        for plugin in self.plugins().iter() {
            self.versions.kept().touch(&plugin.digest, now);
        }
    }

    /// Notes for people which plugins there are, where that is not what is noted.
    pub(super) async fn note_plugins(&self) -> Result<(), StoreError> {
        let since = self.clock.now();
        let row = |plugin: &Arc<Plugin>| PluginRow {
            id: plugin.manifest.id.clone(),
            version: plugin.manifest.version.clone(),
            digest: plugin.digest.clone(),
            since,
        };
        let plugins: Vec<PluginRow> = self.plugins().iter().map(row).collect();
        let noted = self.store.plugins().await?;
        let same = |(one, other): (&PluginRow, &PluginRow)| PluginRow { since, ..one.clone() } == *other;
        if noted.len() == plugins.len() && noted.iter().zip(&plugins).all(same) {
            return Ok(());
        }
        self.store.set_plugins(plugins).await
    }
}

/// Whether runs live.
pub(super) async fn has_runs(store: &dyn Store) -> Result<bool, StoreError> {
    for state in ["delayed", "queued", "running", "waiting", "closing"] {
        let filter = RunFilter { state: Some(state.to_owned()), limit: 1, ..RunFilter::default() };
        if !store.runs(filter).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which plugins are meant: those that are named, or all that there are or should be.
fn names(
    named: &[String],
    configured: &BTreeMap<String, PluginConfig>,
    current: &Plugins,
) -> Result<Vec<String>, ReloadError> {
    let mut known: Vec<&str> = configured.keys().map(String::as_str).collect();
    known.extend(current.iter().map(|plugin| &*plugin.manifest.id));
    known.sort_unstable();
    known.dedup();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = nearest(unknown, known.iter().copied());
        return Err(ReloadError::Configuration(format!("there is no plugin `{unknown}`; {hint}")));
    }
    let all = known.into_iter().filter(|known| named.is_empty() || named.iter().any(|name| name == known));
    Ok(all.map(str::to_owned).collect())
}

fn change(was: Option<&Arc<Plugin>>, is: Option<&Arc<Plugin>>) -> Change {
    match (was, is) {
        (None, Some(_)) => Change::Added,
        (_, None) => Change::Removed,
        (Some(was), Some(is)) if was.digest != is.digest => Change::Replaced,
        (Some(was), Some(is)) if was.allow != is.allow => Change::Allowed,
        _ => Change::Unchanged,
    }
}
