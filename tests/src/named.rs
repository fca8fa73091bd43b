//! The plugins of a host's configuration, which a test may change while the host runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use parking_lot::Mutex;
use sublane::config::PluginConfig;
use sublane::plugin::Allow;
use sublane::versions::Source;
use sublane_core::grants::Authority;

/// The plugins that a host's configuration names, which a test may change while it runs.
#[derive(Default)]
pub struct Named(pub(crate) Mutex<BTreeMap<String, PluginConfig>>);

impl Named {
    /// From now on this plugin lies there and is allowed what it asks for.
    pub fn put(&self, id: &str, component: PathBuf) {
        self.0.lock().insert(id.to_owned(), PluginConfig { component, allow: Allow::Asked });
    }

    /// From now on this plugin, if there is one, is allowed this.
    pub fn allow(&self, id: &str, allows: Authority) {
        self.0.lock().entry(id.to_owned()).and_modify(|plugin| plugin.allow = Allow::These(allows));
    }

    /// From now on there is no such plugin.
    pub fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }
}

impl Source for Named {
    fn plugins(&self) -> Result<BTreeMap<String, PluginConfig>, String> {
        Ok(self.0.lock().clone())
    }
}
