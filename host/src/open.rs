//! From a configuration to a running host.
//!
//! Owns the layout of the state directory: the lock, the store, the artifacts, the versions of plugins.
//! Never reads a command line.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sublane_core::Timestamp;
use sublane_core::grants::AgentPattern;
use sublane_store::{HostLock, SqliteStore, Store};
use tokio::runtime::Handle;

use crate::channel::console::{Console, ConsoleStyle, Sink};
use crate::channel::file::FileChannel;
use crate::channel::webhook::Webhook;
use crate::channel::{Channel, Channels};
use crate::clock::Clock;

use crate::config::{ChannelKind, Config, PluginConfig};
use crate::directories::Directories;
use crate::engine::cache::Cache;
use crate::engine::compile::Compiler;
use crate::engine::{Engines, PoolSizes};
use crate::error::chain;
use crate::hooks::Hooks;
use crate::host::{Host, Parts, Settings};
use crate::http::{Client, Reach, Settings as HttpSettings};
use crate::intents::Asked;
use crate::machine::{Disk, Machine, TooSmall};
use crate::plugin::Plugins;
use crate::secrets::Secrets;
use crate::versions::{Source, Versions};

/// The store's file in the state directory.
pub const STORE_FILE: &str = "sublane.db";
/// The directory of artifacts in the state directory.
pub const ARTIFACTS: &str = "artifacts";
/// The directory of kept versions of plugins in the state directory.
pub const VERSIONS: &str = "components";

/// Why a host could not be opened. Each says what and where.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory cannot be made.
    #[error("the state directory {path} cannot be used")]
    State {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another host has it, or it cannot be locked.
    #[error(transparent)]
    Lock(#[from] sublane_store::LockError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] sublane_store::StoreError),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] crate::engine::cache::CacheError),
    /// The configuration asks for more than this machine has.
    #[error(transparent)]
    Machine(#[from] TooSmall),
    /// Wasmtime's engines cannot be made.
    #[error("the engines cannot be made: {0:#}")]
    Engines(wasmtime::Error),
    /// The directory of kept versions cannot be used.
    #[error(transparent)]
    Versions(#[from] crate::plugin::kept::KeptError),
    /// A plugin cannot be loaded.
    #[error("plugin `{id}`")]
    Plugin {
        /// Its name in the configuration.
        id: String,
        /// Why.
        source: Box<crate::plugin::LoadError>,
    },
    /// A channel cannot be used.
    #[error("channel `{name}`")]
    Channel {
        /// Its name in the configuration.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A directory cannot be used.
    #[error(transparent)]
    Directory(#[from] crate::directories::DirectoryError),
    /// The client for requests cannot be made.
    #[error("`http.ca-file`")]
    Http(#[from] crate::http::ClientError),
    /// The door for calls of hooks cannot be opened.
    #[error("`hooks.listen`: nobody can listen on {address}")]
    Hooks {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part does not start.
    #[error(transparent)]
    Start(#[from] crate::host::StartError),
}

/// Where a host's console writes, and how.
#[derive(Clone)]
pub struct ConsoleOutput {
    /// The sink.
    pub sink: Sink,
    /// How.
    pub style: ConsoleStyle,
}

/// A running host with its lock on the state directory.
pub struct Opened {
    /// The host.
    pub host: Host,
    lock: HostLock,
}

impl Opened {
    /// Stops the host, then lets the state directory go.
    pub async fn stop(self) {
        self.host.stop().await;
        drop(self.lock);
    }
}

/// Starts the host that `config` describes, with the secrets that were read from where it says.
/// Components are compiled by the program `helper`, see [`crate::engine::compile`]; without one, here.
///
/// # Errors
/// [`OpenError`]; then nothing runs.
pub async fn open(
    config: &Config,
    secrets: Secrets,
    console: ConsoleOutput,
    clock: Arc<dyn Clock>,
    helper: Option<PathBuf>,
    io: &Handle,
) -> Result<Opened, OpenError> {
    let state = &config.state;
    std::fs::create_dir_all(state).map_err(|source| OpenError::State { path: state.clone(), source })?;
    let lock = HostLock::acquire(state)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&state.join(STORE_FILE))?);
    let settings = settings(config)?;
    let engines = Engines::new(settings.pools).map_err(OpenError::Engines)?;
    let compiler = Compiler { program: helper, bounds: config.limits.compile };
    let cache = Cache::open(&config.cache)?.compiled_by(compiler);
    let versions = Versions::open(engines, cache.clone(), &state.join(VERSIONS))?;
    let plugins = plugins(config, &versions, clock.now()).await?;
    // What was loaded just now is new; a cache that others clear too is no reason not to start.
    match cache.remove_old(clock.now(), config.retention.cache, &|_| false) {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "removed compiled code that nothing loads"),
        Err(error) => tracing::warn!(%error, "old compiled code could not be removed"),
    }
    let channels = channels(config, &console, &clock)?;
    let answers = config
        .channels
        .iter()
        .filter_map(|(name, channel)| Some((name.clone(), agent(channel.agent.as_ref()?))));
    let parts = Parts {
        store,
        versions,
        plugins,
        source: Arc::new(ConfigFile(config.file.clone())),
        channels,
        lanes: config.lanes.iter().map(|(name, limits)| (name.clone(), *limits)).collect(),
        artifacts: state.join(ARTIFACTS),
        directories: Directories::open(&config.files)?,
        http: client(config, &secrets)?,
        hooks: hooks(config).await?,
        secrets,
        clock: clock.clone(),
        disk: Disk::of(state, config.limits.free_disk_bytes),
        asked: asked(state),
        settings,
        answers: answers.collect::<HashMap<_, _>>(),
    };
    Ok(Opened { host: Host::start(parts, io).await?, lock })
}

/// Where other processes cannot be heard of, the host looks more often.
fn asked(state: &Path) -> Option<Asked> {
    let asked = Asked::at(state);
    asked.inspect_err(|error| tracing::debug!(%error, "the state directory cannot be listened at")).ok()
}

fn client(config: &Config, secrets: &Secrets) -> Result<Client, crate::http::ClientError> {
    let reach = Reach::new(config.http.allow_private.clone());
    let settings = HttpSettings { reach, ca_file: config.http.ca_file.clone(), resolver: None };
    Client::new(settings, secrets.redactor().clone())
}

async fn hooks(config: &Config) -> Result<Option<Hooks>, OpenError> {
    let Some(address) = config.hooks.listen else { return Ok(None) };
    let hooks = Hooks::listen(address, config.hooks.public_url.as_deref()).await;
    hooks.map(Some).map_err(|source| OpenError::Hooks { address, source })
}

fn settings(config: &Config) -> Result<Settings, TooSmall> {
    let asked = &config.limits.instances;
    let pools = Machine::read().fit(asked)?;
    let full = PoolSizes::default();
    let is_less = |asked: Option<u32>, made: u32, full: u32| asked.is_none() && made < full;
    if is_less(asked.small, pools.small, full.small) || is_less(asked.large, pools.large, full.large) {
        let PoolSizes { small, large, .. } = pools;
        tracing::info!(small, large, "this machine has room for fewer instances than a host has by default");
    }
    Ok(Settings {
        max_depth: config.limits.depth,
        max_crashes: config.limits.crashes,
        max_breakdowns: config.limits.breakdowns,
        hot_window: config.limits.hot_window,
        journal: config.limits.journal,
        polls: config.polls,
        retention: config.retention,
        pools,
        purse: config.limits.conversation,
        ..Settings::default()
    })
}

/// The configuration's file, read anew for the plugins in it.
struct ConfigFile(PathBuf);

impl Source for ConfigFile {
    fn plugins(&self) -> Result<BTreeMap<String, PluginConfig>, String> {
        // A pipe gave what it had when the host was started, and gives nothing now.
        if std::fs::metadata(&self.0).is_ok_and(|meta| !meta.is_file()) {
            return Err(format!("{} is no file: it cannot be read a second time", self.0.display()));
        }
        Ok(Config::load(&self.0).map_err(|error| chain(&error))?.plugins)
    }
}

/// Loads every configured plugin.
///
/// # Errors
/// [`OpenError::Plugin`] for the first that cannot be loaded, or whose manifest has another id.
async fn plugins(config: &Config, versions: &Versions, now: Timestamp) -> Result<Plugins, OpenError> {
    let mut plugins = Plugins::default();
    for (id, plugin) in &config.plugins {
        let failed = |source| OpenError::Plugin { id: id.clone(), source: Box::new(source) };
        let loaded = versions.load(&plugin.component, &plugin.allow, now).await.map_err(failed)?;
        if loaded.manifest.id != *id {
            return Err(failed(crate::plugin::LoadError::OtherId {
                path: plugin.component.with_file_name("plugin.toml"),
                found: loaded.manifest.id.clone(),
                configured: id.clone(),
            }));
        }
        plugins.insert(loaded);
    }
    Ok(plugins)
}

fn channels(config: &Config, console: &ConsoleOutput, clock: &Arc<dyn Clock>) -> Result<Channels, OpenError> {
    let mut channels: Vec<(String, Arc<dyn Channel>)> = Vec::new();
    for (name, channel) in &config.channels {
        let failed = |source| OpenError::Channel { name: name.clone(), source };
        let made: Arc<dyn Channel> = match &channel.kind {
            ChannelKind::Console => Arc::new(
                Console::new(console.sink.clone(), console.style).map_err(|error| failed(Box::new(error)))?,
            ),
            ChannelKind::Webhook { addresses } => Arc::new(
                Webhook::new(addresses.clone(), clock.clone()).map_err(|error| failed(Box::new(error)))?,
            ),
            ChannelKind::File { addresses } => {
                Arc::new(FileChannel::new(addresses.clone(), &config.state.join(ARTIFACTS)))
            }
        };
        channels.push((name.clone(), made));
    }
    Ok(channels.into_iter().collect())
}

/// `plugin/agent`, or `plugin` for its only one.
fn agent(pattern: &AgentPattern) -> String {
    match &pattern.agent {
        Some(agent) => format!("{}/{agent}", pattern.plugin),
        None => pattern.plugin.clone(),
    }
}

/// The store's file of a state directory.
#[must_use]
pub fn store_file(state: &Path) -> PathBuf {
    state.join(STORE_FILE)
}
