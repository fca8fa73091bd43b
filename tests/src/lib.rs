//! What the feature tests stand on: a host in a temporary directory, with
//! plugins from `cargo xtask build` and a channel that remembers.
//!
//! Every wait is for a state, with a time-out that fails the test; none is for a time to pass.

pub mod burst;
pub mod caller;
pub mod command;
mod counter;
pub mod crash;
mod denials;
mod fussy;
pub mod fuzz;
pub mod history;
pub mod holding;
mod named;
pub mod packages;
mod places;
pub mod receiver;
mod recorder;
pub mod serving;
pub mod simulation;
pub mod soak;
pub mod watching;
pub mod web;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sublane::channel::{Channel, Channels};
use sublane::clock::{Clock, SystemClock};
use sublane::config::PluginConfig;
use sublane::directories::Directories;
use sublane::engine::cache::Cache;
use sublane::engine::{Engines, PoolSizes};
use sublane::hooks::Hooks;
use sublane::host::{Host, Inner, Parts, Settings};
use sublane::http;
use sublane::intake::Task;
use sublane::intents::Intent;
use sublane::machine::Disk;
use sublane::plugin::{Allow, Plugins};
use sublane::retention::Retention;
use sublane::secrets::{SecretConfig, Secrets, Source as SecretSource};
use sublane::versions::Versions;
use sublane_core::grants::Authority;
use sublane_core::lane::LaneLimits;
use sublane_core::{Destination, Outcome, Run, RunId};
use sublane_store::{Model, SqliteStore, Store};
use tempfile::TempDir;

pub use counter::Counter;
pub use denials::{Denial, denials};
pub use fussy::Fussy;
pub use named::Named;
pub use places::{component, repository, rust_files};
pub use recorder::Recorder;

/// How long a test waits for a state before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A host that is about to start.
pub struct Setup {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Numbers.
    pub settings: Settings,
    /// Lanes.
    pub lanes: Vec<(String, LaneLimits)>,
    plugins: Vec<PluginConfig>,
    answers: HashMap<String, String>,
    channels: Vec<(String, Arc<dyn Channel>)>,
    artifacts: Option<PathBuf>,
    directories: BTreeMap<String, PathBuf>,
    /// What bounds requests; by default they reach loopback addresses, and no other private ones.
    pub http: http::Settings,
    secrets: BTreeMap<String, SecretConfig>,
    /// Whether there is a door for calls of hooks, and what stands before it.
    hooks: Option<Option<String>>,
    disk: Option<Disk>,
    directory: Arc<TempDir>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::in_memory()
    }
}

/// Public addresses, and those of these networks.
///
/// # Panics
/// When one of them is no network.
#[must_use]
pub fn reach(networks: &[&str]) -> http::Reach {
    http::Reach::new(networks.iter().map(|network| network.parse().expect("a network")).collect())
}

/// A new temporary directory.
///
/// # Panics
/// When the machine refuses it.
#[must_use]
pub fn temporary() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("a temporary directory"))
}

impl Setup {
    /// A host on the in-memory model.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::on(Arc::new(Model::default()), temporary())
    }

    /// A host on SQLite in this directory; another one may have been there before.
    ///
    /// # Panics
    /// When the store cannot be opened.
    #[must_use]
    pub fn durable(directory: &Arc<TempDir>) -> Self {
        let store = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
        Self::on(Arc::new(store), directory.clone())
    }

    /// A host on this store.
    #[must_use]
    pub fn on(store: Arc<dyn Store>, directory: Arc<TempDir>) -> Self {
        let pools = PoolSizes { small: 24, large: 5, ..PoolSizes::default() };
        // All tests share one compile cache, and clocks that are moved by hand know nothing of its age.
        let cache = Duration::from_secs(100 * 365 * 86_400);
        let retention = Retention { cache, ..Retention::default() };
        Self {
            store,
            clock: Arc::new(SystemClock),
            settings: Settings { pools, retention, guest_threads: 2, ..Settings::default() },
            lanes: Vec::new(),
            plugins: Vec::new(),
            answers: HashMap::new(),
            channels: Vec::new(),
            artifacts: None,
            directories: BTreeMap::new(),
            http: http::Settings { reach: reach(&["127.0.0.1/32"]), ..http::Settings::default() },
            secrets: BTreeMap::new(),
            hooks: None,
            disk: None,
            directory,
        }
    }

    /// With this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With a plugin, allowed what it asks for.
    #[must_use]
    pub fn plugin(mut self, name: &str) -> Self {
        self.plugins.push(PluginConfig { component: component(name), allow: Allow::Asked });
        self
    }

    /// With a plugin, allowed this.
    #[must_use]
    pub fn plugin_allowed(mut self, name: &str, allows: Authority) -> Self {
        self.plugins.push(PluginConfig { component: component(name), allow: Allow::These(allows) });
        self
    }

    /// With a component that lies elsewhere, allowed what it asks for.
    #[must_use]
    pub fn component(mut self, path: PathBuf) -> Self {
        self.plugins.push(PluginConfig { component: path, allow: Allow::Asked });
        self
    }

    /// With a plugin and a manifest of its own; it is allowed what that asks for.
    ///
    /// # Panics
    /// When the copy cannot be written.
    #[must_use]
    pub fn plugin_with(mut self, name: &str, manifest: &str) -> Self {
        let directory = self.directory.path().join(format!("plugin-{}", self.plugins.len()));
        std::fs::create_dir(&directory).expect("a new directory");
        let copy = directory.join(format!("{name}.wasm"));
        std::fs::copy(component(name), &copy).expect("the component is copied");
        std::fs::write(directory.join("plugin.toml"), manifest).expect("the manifest is written");
        self.plugins.push(PluginConfig { component: copy, allow: Allow::Asked });
        self
    }

    /// With instance pools of these sizes.
    #[must_use]
    pub fn pools(mut self, small: u32, large: u32) -> Self {
        self.settings.pools = PoolSizes { small, large, ..PoolSizes::default() };
        self
    }

    /// With a channel, and who answers on it.
    #[must_use]
    pub fn channel(mut self, name: &str, channel: Arc<dyn Channel>, agent: Option<&str>) -> Self {
        self.channels.push((name.to_owned(), channel));
        self.answers.extend(agent.map(|agent| (name.to_owned(), agent.to_owned())));
        self
    }

    /// With a directory that plugins may be allowed to use.
    #[must_use]
    pub fn files(mut self, name: &str, directory: PathBuf) -> Self {
        self.directories.insert(name.to_owned(), directory);
        self
    }

    /// With a secret that requests may carry, to this machine without TLS too.
    ///
    /// # Panics
    /// When its file cannot be written.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        let file = self.directory.path().join(format!("secret-{name}"));
        std::fs::write(&file, value).expect("the secret is written");
        let config = SecretConfig { from: SecretSource::File(file), loopback_without_tls: true };
        self.secrets.insert(name.to_owned(), config);
        self
    }

    /// With a door for calls of hooks on a free port of loopback.
    #[must_use]
    pub fn hooks(mut self) -> Self {
        self.hooks = Some(None);
        self
    }

    /// With such a door, and a public URL that stands before it.
    #[must_use]
    pub fn hooks_behind(mut self, public_url: &str) -> Self {
        self.hooks = Some(Some(public_url.to_owned()));
        self
    }

    /// With its artifacts in this directory instead of one below its own.
    #[must_use]
    pub fn artifacts(mut self, directory: PathBuf) -> Self {
        self.artifacts = Some(directory);
        self
    }

    /// With a disk that has as many bytes left as `free` says, and a floor of so many.
    #[must_use]
    pub fn disk(mut self, free: Arc<AtomicU64>, floor_bytes: u64) -> Self {
        self.disk = Some(Disk::told_by(Arc::new(move || Ok(free.load(Ordering::SeqCst))), floor_bytes));
        self
    }

    /// With so many slots on the lane `subagent`, and on `main`.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        let limits = LaneLimits { slots, ..LaneLimits::default() };
        self.lanes = vec![("subagent".to_owned(), limits), ("main".to_owned(), limits)];
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When a plugin cannot be loaded or the host does not start.
    pub async fn start(self) -> TestHost {
        denials::listen();
        let engines = Engines::new(self.settings.pools).expect("the engines start");
        let cache = Cache::open(&repository().join("target/test-cache")).expect("the cache opens");
        let versions = Versions::open(engines, cache, &self.directory.path().join("components"));
        let versions = versions.expect("the directory of versions opens");
        let mut plugins = Plugins::default();
        let mut named = BTreeMap::new();
        for config in self.plugins {
            let loaded = versions.load(&config.component, &config.allow, self.clock.now()).await;
            let plugin = loaded.expect("the plugin loads");
            named.insert(plugin.manifest.id.clone(), config);
            plugins.insert(plugin);
        }
        let named = Arc::new(Named(Mutex::new(named)));
        let recorder = Arc::new(Recorder::default());
        let mut channels = self.channels;
        if !channels.iter().any(|(name, _)| name == "console") {
            channels.push(("console".to_owned(), recorder.clone()));
        }
        let secrets = Secrets::read(&self.secrets).expect("they are there");
        let (mut hooks, mut door) = (None, None);
        if let Some(public_url) = self.hooks {
            let opened = Hooks::listen(([127, 0, 0, 1], 0).into(), public_url.as_deref()).await;
            let opened = opened.expect("loopback is there");
            door = Some(opened.address().expect("it is bound"));
            hooks = Some(opened);
        }
        let parts = Parts {
            store: self.store,
            versions,
            plugins,
            source: named.clone(),
            channels: channels.into_iter().collect::<Channels>(),
            lanes: self.lanes,
            artifacts: self.artifacts.unwrap_or_else(|| self.directory.path().join("artifacts")),
            directories: Directories::open(&self.directories).expect("they are there"),
            http: http::Client::new(self.http, secrets.redactor().clone()).expect("the client is made"),
            hooks,
            secrets,
            clock: self.clock,
            disk: self.disk.unwrap_or_else(|| Disk::of(self.directory.path(), 0)),
            asked: None,
            settings: self.settings,
            answers: self.answers,
        };
        let io = tokio::runtime::Handle::current();
        let host = Host::start(parts, &io).await.expect("the host starts");
        TestHost { host, recorder, named, door, directory: self.directory }
    }
}

/// A host that runs.
pub struct TestHost {
    /// The host.
    pub host: Host,
    /// What came to the channel `console`, unless the test has one of its own.
    pub recorder: Arc<Recorder>,
    /// The plugins that its configuration names.
    pub named: Arc<Named>,
    /// Where calls of hooks are taken.
    pub door: Option<SocketAddr>,
    /// Its directory.
    pub directory: Arc<TempDir>,
}

impl TestHost {
    /// What the parts share.
    #[must_use]
    pub fn inner(&self) -> &Arc<Inner> {
        &self.host.inner
    }

    /// Begins a run of an agent with a task; its ending goes to `console:test`.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn begin(&self, agent: &str, input: serde_json::Value) -> RunId {
        self.begin_for(agent, input, &["console:test"]).await
    }

    /// Begins a run of an agent with a task; its ending goes to these destinations.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn begin_for(&self, agent: &str, input: serde_json::Value, to: &[&str]) -> RunId {
        let destination = |text: &str| text.parse::<Destination>().expect("well formed");
        let task = Task {
            agent: agent.to_owned(),
            input: input.to_string(),
            origin: destination("console:test"),
            lane: "main",
            deliver: to.iter().map(|text| destination(text)).collect(),
            event: None,
        };
        self.inner().task(task).await.expect("the task is accepted").run
    }

    /// Runs an agent to its end.
    pub async fn run(&self, agent: &str, input: serde_json::Value) -> Outcome {
        let run = self.begin(agent, input).await;
        self.ended(run).await
    }

    /// How a run ended, once it has.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn ended(&self, run: RunId) -> Outcome {
        let run = self.when(run, "ended", Run::is_ended).await;
        run.outcome().cloned().expect("it has ended")
    }

    /// A run as soon as it is in some state.
    ///
    /// # Panics
    /// When it does not come there in time: says where it is.
    pub async fn when(&self, id: RunId, what: &str, holds: impl Fn(&Run) -> bool) -> Run {
        let mut changes = self.inner().changes();
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let run = self.inner().store.run(id).await.expect("the store answers").expect("the run is there");
            if holds(&run) {
                return run;
            }
            assert!(tokio::time::Instant::now() < patience, "run {id} is not {what} but {:?}", run.state);
            // Ended runs are told of; other states are looked for in short turns.
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    }

    /// Writes an intent, as a command does, and gives the host's answer.
    ///
    /// # Panics
    /// When it is not answered in time.
    pub async fn ask(&self, intent: &Intent) -> serde_json::Value {
        let store = &self.inner().store;
        let body = serde_json::to_string(intent).expect("it has string keys");
        let number = store.ask(body.into(), self.inner().clock.now()).await.expect("asked");
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = store.intent_answer(number).await.expect("readable") {
                return serde_json::from_str(&answer).expect("JSON");
            }
            assert!(tokio::time::Instant::now() < patience, "{intent:?} is not answered");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until `holds`, looked at whenever something has changed.
    ///
    /// # Panics
    /// When it does not come to hold in time.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut changes = self.inner().changes();
        let patience = tokio::time::Instant::now() + PATIENCE;
        while !holds() {
            assert!(tokio::time::Instant::now() < patience, "waited in vain: {what}");
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    }
}

/// The result value of a run that succeeded.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn value(outcome: &Outcome) -> serde_json::Value {
    match outcome {
        Outcome::Succeeded(output) => serde_json::from_str(&output.value).expect("a value is JSON"),
        other => panic!("it did not succeed: {other:?}"),
    }
}
