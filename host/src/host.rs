//! The host: all parts, wired; what runs in the background; start and stop.
//!
//! [`Host`] is what the command line and the tests hold; [`Inner`] is what the
//! parts share. Background loops take no input: they read what is due and do
//! it, woken by a hint and on a timer, so that start-up after a crash is no
//! special case.

mod cancel;
mod executing;
mod parts;
pub mod plugins;
mod settings;
mod sweeps;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use sublane_core::id::IdMap;
use sublane_core::undo::UNDO_CHANNEL;
use sublane_core::{RunId, Timestamp, Token};
use sublane_store::{Effects, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::allowed::Allowed;
use crate::artifacts::ArtifactDir;
use crate::attempt::Attempt;
use crate::clock::Clock;
use crate::directories::Directories;
use crate::engine::Engines;
use crate::engine::guest::Stop;
use crate::engine::threads::GuestThreads;
use crate::hooks::{Door, Hooks};
use crate::http::Client;
use crate::lanes::Lanes;
use crate::late::Late;
use crate::machine::Disk;
use crate::outbox::Outbox;
use crate::pauses::Pauses;
use crate::plugin::Plugins;
use crate::progress::Progress;
use crate::runlog::RunLogs;
use crate::schedules::Schedule;
use crate::secrets::Secrets;
use crate::undo::Undoing;
use crate::versions::{Source, Versions};

pub use executing::Executing;
pub use parts::{Parts, StartError};
pub use settings::Settings;

/// What the parts share.
pub struct Inner {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The engines.
    pub engines: Arc<Engines>,
    /// Versions of plugins.
    pub versions: Versions,
    /// The threads that guests run on.
    pub threads: GuestThreads,
    /// The lanes.
    pub lanes: Lanes,
    /// Attempts of this host.
    pub attempts: Mutex<IdMap<RunId, Arc<Attempt>>>,
    /// Artifact files.
    pub artifacts: ArtifactDir,
    /// Directories that plugins may be allowed to use.
    pub directories: Directories,
    /// Requests to other machines.
    pub http: Client,
    /// The door for calls of hooks, if there is one.
    pub hooks: Option<Door>,
    /// What requests may carry.
    pub secrets: Secrets,
    /// The disk of the state directory.
    pub disk: Disk,
    /// Goes before an artifact's path to make a link.
    pub link_base: Arc<str>,
    /// What is owed.
    pub outbox: Outbox,
    /// What runs report.
    pub progress: Progress,
    /// Whose time is nearly up.
    pub late: Late,
    /// Plugins that break down again and again.
    pub pauses: Pauses,
    /// What guests log.
    pub logs: RunLogs,
    /// Numbers.
    pub settings: Settings,
    /// Who answers messages: channel → `plugin/agent`.
    pub answers: HashMap<String, String>,
    /// What plugins are allowed today.
    pub allowed: Arc<Allowed>,
    plugins: RwLock<Arc<Plugins>>,
    source: Arc<dyn Source>,
    /// Held while plugins are read anew: one after the other.
    reloading: tokio::sync::Mutex<()>,
    /// What blocks runs there.
    io: Handle,
    token_base: u128,
    token_count: AtomicU64,
    next_due: AtomicU64,
    due: Notify,
    /// Somebody wants what is old to go now.
    pub(crate) collect: Notify,
    /// A poll is due that was not.
    pub(crate) polled: Notify,
    changed: watch::Sender<u64>,
    /// The word to stop, for what waits.
    stop: watch::Receiver<bool>,
    /// Attempts between their start and their end, claimed or not yet.
    stopping: AtomicBool,
    /// Claims under way, whose attempts are not in `attempts` yet, and the word to stop for each.
    claims: Mutex<IdMap<Token, Option<Stop>>>,
    executing: AtomicUsize,
    all_ended: Notify,
}

impl Inner {
    /// Whether the host stops: no attempt begins any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The plugins as they are now.
    #[must_use]
    pub fn plugins(&self) -> Arc<Plugins> {
        self.plugins.read().clone()
    }

    /// When sweeps look next by themselves after `now`: all at the same instants, so that an idle host
    /// is woken once for all of them.
    #[must_use]
    pub(crate) fn next_sweep(&self, now: Timestamp) -> Timestamp {
        let sweep = (self.settings.sweep.as_millis() as u64).max(1);
        Timestamp((now.0 / sweep + 1).saturating_mul(sweep))
    }

    /// Something will be due then: the sweep should not sleep longer.
    pub fn note_due(&self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        if at.0 < self.next_due.fetch_min(at.0, Ordering::Relaxed) {
            self.due.notify_one();
        }
    }

    /// Does what follows from an operation. All of it is a hint: the sweeps find the same.
    pub fn dispatch(self: &Arc<Self>, effects: Effects) {
        for (run, token) in &effects.killed {
            self.stop_attempt(*run, *token, Stop::Killed);
        }
        for run in &effects.ended {
            // In this order: what is said of a run that lives is taken back with its progress.
            self.late.ended(*run);
            self.progress.ended(*run);
        }
        for again in &effects.again {
            self.progress.ended(again.run);
            self.note_due(Some(again.until));
        }
        if effects.polls {
            self.polled.notify_one();
        }
        if !effects.deliveries.is_empty() {
            self.outbox.send_now(effects.deliveries);
        }
        for (run, token, entry) in effects.resumed {
            let attempt = self.attempts.lock().get(&run).filter(|attempt| attempt.token == token).cloned();
            if let Some(attempt) = attempt {
                self.lanes.resume(self, attempt, entry);
            }
        }
        for ready in effects.ready {
            self.lanes.offer(self, ready);
        }
        if !effects.ended.is_empty() || !effects.again.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// Does what would block a thread that others need.
    ///
    /// # Errors
    /// Why it was not done: the host stops, or the work panicked.
    pub async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, String> {
        let io = self.io.clone();
        io.spawn_blocking(move || work(&self)).await.map_err(|error| error.to_string())
    }

    /// Does what moves many bytes on the runtime that has IO, for a guest thread: what is decoded and
    /// encrypted there delays no guest. Dropped, it ends there too.
    ///
    /// # Errors
    /// Why it was not done: the host stops, or the work panicked.
    pub async fn on_io<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.io);
        match tasks.join_next().await {
            Some(done) => done.map_err(|error| error.to_string()),
            None => Err("it was never begun".to_owned()),
        }
    }

    /// Does this on the runtime that has IO, to its end also when whoever asks for it does not wait.
    ///
    /// # Errors
    /// Why it was not done: it panicked, or the process ends.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        self.io.spawn(work).await.map_err(|error| error.to_string())
    }

    /// The store has failed like this: what it says of the disk is remembered.
    pub(crate) fn note_fault(&self, error: &StoreError) {
        if matches!(error, StoreError::Full(_)) {
            self.disk.found_full();
        }
    }

    /// Waits until a store whose medium failed may be asked again. False: the host stops.
    pub(crate) async fn may_ask_again(&self) -> bool {
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
        let (mut stop, clock) = (self.stop.clone(), self.clock.clone());
        tokio::select! {
            () = clock.sleep_for(PAUSE) => !self.is_stopping(),
            // Without its sender the host is gone.
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }

    /// Changes whenever a run has ended or a delivery was settled.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// A running host. Dropping it without [`Host::stop`] is a crash: the next one recovers.
pub struct Host {
    /// What the parts share.
    pub inner: Arc<Inner>,
    loops: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Host {
    /// Takes the store over and starts the background loops on `io`.
    ///
    /// # Errors
    /// [`StartError`] says which part does not start.
    pub async fn start(parts: Parts, io: &Handle) -> Result<Self, StartError> {
        let settings = parts.settings;
        let unusable = |source| StartError::Artifacts { path: parts.artifacts.clone(), source };
        let artifacts = ArtifactDir::open(&parts.artifacts, io.clone()).map_err(unusable)?;
        artifacts.clear_staging().map_err(unusable)?;
        let link_base: Arc<str> = artifacts.link_base().into();
        let now = parts.clock.now();
        let recovered = parts.store.recover(settings.max_crashes, link_base.clone(), now).await?;
        if recovered.crashed + recovered.evicted + recovered.unsettled > 0 {
            tracing::info!(
                interrupted = recovered.crashed,
                parked = recovered.evicted,
                unsettled = recovered.unsettled,
                "took over what an earlier host left"
            );
        }
        let set = parts.store.lane_settings().await?;
        let allowed = Arc::new(Allowed::new(&parts.plugins, plugins::has_runs(&*parts.store).await?));
        let pauses = Pauses::new(parts.store.pauses().await?);
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("a machine without randomness cannot be a host");
        let changed = watch::channel(0).0;
        let (stop, stopped) = watch::channel(false);
        let on_settled = changed.clone();
        let undoing = Undoing {
            store: parts.store.clone(),
            http: parts.http.clone(),
            artifacts: artifacts.clone(),
            secrets: parts.secrets.clone(),
            allowed: allowed.clone(),
        };
        let outbox = Outbox::new(
            parts.store.clone(),
            parts.channels.with(UNDO_CHANNEL, Arc::new(undoing)),
            parts.clock.clone(),
            io.clone(),
            move || on_settled.send_modify(|count| *count += 1),
        );
        let (listener, door) = parts.hooks.map(Hooks::into_parts).unzip();
        let inner = Arc::new(Inner {
            store: parts.store,
            clock: parts.clock,
            engines: parts.versions.engines().clone(),
            versions: parts.versions,
            threads: GuestThreads::start(settings.guest_threads).map_err(StartError::Threads)?,
            lanes: Lanes::new(crate::lanes::configured(parts.lanes), set),
            attempts: Mutex::default(),
            artifacts,
            directories: parts.directories,
            http: parts.http,
            hooks: door,
            secrets: parts.secrets,
            disk: parts.disk,
            link_base,
            outbox,
            progress: Progress::new(parts.channels),
            late: Late::default(),
            pauses,
            logs: RunLogs::default(),
            settings,
            answers: parts.answers,
            allowed,
            plugins: RwLock::new(Arc::new(parts.plugins)),
            source: parts.source,
            reloading: tokio::sync::Mutex::default(),
            io: io.clone(),
            token_base: u128::from(u64::from_le_bytes(random)) << 64,
            token_count: AtomicU64::new(0),
            next_due: AtomicU64::new(u64::MAX),
            due: Notify::new(),
            collect: Notify::new(),
            polled: Notify::new(),
            changed,
            stop: stopped.clone(),
            stopping: AtomicBool::new(false),
            claims: Mutex::default(),
            executing: AtomicUsize::new(0),
            all_ended: Notify::new(),
        });
        // A host without room takes nothing new, and goes on with what it has.
        let _ = inner.disk.look();
        inner.touch_versions();
        if let Err(error) = inner.note_plugins().await {
            tracing::warn!(%error, "which plugins there are could not be noted for people");
        }
        inner.dispatch(recovered.effects);
        let mut loops = JoinSet::new();
        loops.spawn_on(sweeps::due(inner.clone(), stopped.clone()), io);
        loops.spawn_on(sweeps::queued(inner.clone(), stopped.clone()), io);
        loops.spawn_on(crate::poll::sweep(inner.clone(), stopped.clone()), io);
        loops.spawn_on(sweeps::progress(inner.clone(), stopped.clone()), io);
        loops.spawn_on(sweeps::logs(inner.clone(), stopped.clone()), io);
        if let Some(listener) = listener {
            loops.spawn_on(crate::hooks::serve(inner.clone(), listener, stopped.clone()), io);
        }
        loops.spawn_on(sweeps::old(inner.clone(), stopped.clone()), io);
        loops.spawn_on(sweeps::disk(inner.clone(), stopped.clone()), io);
        loops.spawn_on(crate::intents::sweep(inner.clone(), parts.asked, stopped), io);
        Ok(Self { inner, loops, stop })
    }

    /// Makes the runs of these schedules from now on, and of no others. What was noted of a schedule
    /// that is not among them is forgotten.
    ///
    /// # Errors
    /// The store's; then none of them comes.
    pub async fn begin_schedules(&mut self, schedules: Vec<Schedule>) -> Result<(), StoreError> {
        let rows = crate::schedules::begin(&self.inner, &schedules).await?;
        if !schedules.is_empty() {
            let stopped = self.stop.subscribe();
            let sweep = crate::schedules::sweep(self.inner.clone(), schedules, rows, stopped);
            self.loops.spawn_on(sweep, &self.inner.io);
        }
        Ok(())
    }

    /// Stops: attempts go back to their lanes, deliveries under way are settled. Loses nothing.
    pub async fn stop(mut self) {
        // Nothing begins any more: what is interrupted below stays in its lane for the next host.
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.inner.lanes.pause_all();
        let _ = self.stop.send(true);
        while self.loops.join_next().await.is_some() {}
        // One that is claimed later sees by itself that the host stops.
        let attempts: Vec<_> = self.inner.attempts.lock().values().cloned().collect();
        attempts.iter().for_each(|attempt| attempt.meter.stop(Stop::Shutdown));
        let all_ended = async {
            while self.inner.executing.load(Ordering::SeqCst) > 0 {
                self.inner.all_ended.notified().await;
            }
        };
        if tokio::time::timeout(self.inner.settings.grace, all_ended).await.is_err() {
            tracing::warn!("some attempts did not end in time; the next host recovers them");
        }
        self.inner.logs.flush(&*self.inner.store).await;
        self.inner.outbox.stop().await;
    }
}
