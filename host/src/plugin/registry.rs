//! The plugins of a host, by id. Says nothing of how they are loaded, nor of other versions of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plugin;

/// The plugins of a host, by id.
#[derive(Clone, Default)]
pub struct Plugins(BTreeMap<String, Arc<Plugin>>);

impl Plugins {
    /// Adds a plugin, or replaces the one of the same id.
    pub fn insert(&mut self, plugin: Arc<Plugin>) {
        self.0.insert(plugin.manifest.id.clone(), plugin);
    }

    /// Takes the plugin of this id out.
    pub fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// The plugin of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Plugin>> {
        self.0.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.0.values()
    }
}
