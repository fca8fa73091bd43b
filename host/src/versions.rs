//! Versions of plugins: loaded when they are needed, kept as long as a run needs them.
//!
//! Owns what is in memory and the directory of what is kept. A version that is not the current
//! one of its plugin is in memory as long as an instance of it is: nothing here holds it. Never
//! decides which version is current, and never which is needed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::Timestamp;

use crate::config::PluginConfig;
use crate::engine::Engines;
use crate::engine::cache::{Cache, CacheError};
use crate::engine::compile::CompileError;
use crate::error::chain;
use crate::plugin::kept::{Kept, KeptError};
use crate::plugin::{Allow, Files, LoadError, Plugin};

/// Where a host reads which plugins there are, at any time.
pub trait Source: Send + Sync + 'static {
    /// The plugins as they are named now, by id. As an error, in words, why that is not known.
    fn plugins(&self) -> Result<BTreeMap<String, PluginConfig>, String>;
}

/// Why a run cannot have the version of a plugin that it is on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is gone for good, or this host cannot load it.
    #[error("{0}")]
    Gone(String),
    /// The host failed; another attempt may have it.
    #[error("{0}")]
    Fault(String),
}

/// Loads versions of plugins and has them in memory.
pub struct Versions {
    engines: Arc<Engines>,
    cache: Cache,
    kept: Kept,
    loaded: Mutex<Vec<Weak<Plugin>>>,
    /// Held while a kept version is loaded, so that many who need it load it once.
    loading: tokio::sync::Mutex<()>,
}

impl Versions {
    /// Versions on these engines, kept in `directory`, which is made where it is not there.
    ///
    /// # Errors
    /// [`KeptError::Io`].
    pub fn open(engines: Engines, cache: Cache, directory: &Path) -> Result<Self, KeptError> {
        Ok(Self {
            engines: Arc::new(engines),
            cache,
            kept: Kept::open(directory)?,
            loaded: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        })
    }

    /// The engines that plugins are loaded on.
    #[must_use]
    pub fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    /// What is kept.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The version that lies at `path` now, which is kept from now on. One that is in memory is
    /// not loaded again. Compiles where the cache has no code: for a thread that may block.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(&self, path: &Path, allow: &Allow, now: Timestamp) -> Result<Arc<Plugin>, LoadError> {
        let files = Files::read(path)?;
        let digest = files.digest();
        let plugin = match self.in_memory(&digest) {
            Some(plugin) if plugin.allow == *allow => plugin,
            Some(plugin) => self.remember(plugin.allowed(allow)),
            None => self.remember(Plugin::of(&self.engines, &self.cache, &files, allow).await?),
        };
        self.kept.keep(&files, &digest, now)?;
        Ok(plugin)
    }

    /// A version that was kept, if its digest is known and its files are whole. As [`Self::load`].
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn load_kept(&self, digest: &str, allow: &Allow) -> Result<Arc<Plugin>, Unavailable> {
        let _one = self.loading.lock().await;
        if let Some(plugin) = self.in_memory(digest) {
            return Ok(plugin);
        }
        let short: String = digest.chars().take(12).collect();
        let gone =
            |why: String| Unavailable::Gone(format!("version {short} of it, which the run began on: {why}"));
        let files = self.kept.read(digest).map_err(|error| match error {
            KeptError::Io { .. } => Unavailable::Fault(chain(&error)),
            KeptError::Gone | KeptError::Damaged(_) => gone(error.to_string()),
        })?;
        let made = Plugin::of(&self.engines, &self.cache, &files, allow).await;
        let plugin = made.map_err(|error| match error {
            LoadError::Read { path, source }
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) =>
            {
                let version = path.parent().unwrap_or(&path).to_owned();
                gone(KeptError::Damaged(version).to_string())
            }
            error @ (LoadError::Read { .. }
            | LoadError::Cache {
                source:
                    CacheError::Io { .. }
                    | CacheError::Unsafe { .. }
                    | CacheError::Compile(CompileError::Helper(_)),
                ..
            }) => Unavailable::Fault(chain(&error)),
            error => gone(chain(&error)),
        })?;
        Ok(self.remember(plugin))
    }

    /// The version of this digest, if it is in memory.
    #[must_use]
    pub fn in_memory(&self, digest: &str) -> Option<Arc<Plugin>> {
        // The newest first: it is allowed what is allowed today.
        self.loaded.lock().iter().rev().filter_map(Weak::upgrade).find(|plugin| plugin.is(digest))
    }

    /// Every version that is in memory, in the order in which they were loaded.
    #[must_use]
    pub fn all_in_memory(&self) -> Vec<Arc<Plugin>> {
        self.loaded.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Removes compiled code that was not loaded for `age`, but for that of versions in memory. Gives
    /// how many files that were.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn remove_old_code(&self, now: Timestamp, age: Duration) -> Result<u64, CacheError> {
        let used = self.all_in_memory();
        self.cache.remove_old(now, age, &|hash| used.iter().any(|plugin| plugin.component == hash))
    }

    fn remember(&self, plugin: Plugin) -> Arc<Plugin> {
        let plugin = Arc::new(plugin);
        let mut loaded = self.loaded.lock();
        loaded.retain(|known| known.strong_count() > 0);
        loaded.push(Arc::downgrade(&plugin));
        plugin
    }
}
