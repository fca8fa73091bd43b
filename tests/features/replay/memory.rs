//! One accepted run of `remembers`, lived through in several ways.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sublane::clock::{Clock, ManualClock};
use sublane::plugin::Files;
use sublane_core::{Delivery, DeliveryState, Entry, Import, Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::{DeliveryFilter, RunFilter, SqliteStore, Store};
use sublane_tests::crash::{Blow, Crash, Crashing, Point, Side};
use sublane_tests::{PATIENCE, Setup, TestHost, component, temporary};
use tempfile::TempDir;

/// When every scene begins.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

/// A state directory with one accepted run that nobody has claimed.
pub(super) struct Scene {
    directory: Arc<TempDir>,
    run: RunId,
}

/// How a run is treated on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Its instance is dropped at each wait.
    pub(super) is_evicted: bool,
    /// The host is gone at this point; another one takes over.
    pub(super) crash: Option<Point>,
    /// The first host is left where it crashed.
    pub(super) is_over: bool,
    /// The plugin that the host has.
    pub(super) plugin: &'static str,
    /// The run is on that plugin's version, whatever it was accepted on.
    pub(super) is_moved: bool,
    /// Instances of small plugins that there may be.
    pub(super) instances: u32,
    /// Entries of a journal.
    pub(super) entries: u32,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            is_evicted: false,
            crash: None,
            is_over: false,
            plugin: "remembers",
            is_moved: false,
            instances: 24,
            entries: 1_000,
        }
    }
}

/// What a life has left behind.
pub(super) struct Lived {
    store: Arc<dyn Store>,
    /// Whether the crash came.
    pub(super) has_crashed: bool,
    /// The run.
    pub(super) run: Run,
    memory: Memory,
    directory: Arc<TempDir>,
}

/// How often the writes of a life are walked through before an entry is taken for missing.
const WALKS: u32 = 8;

impl Scene {
    /// The journal of the run so far.
    pub(super) async fn journal(&self) -> Vec<Entry> {
        let store = SqliteStore::open(&self.directory.path().join("sublane.db")).expect("the store opens");
        store.journal(self.run, 0).await.expect("the store answers")
    }

    /// Where the run stands when its host is gone right after the journal got this entry.
    pub(super) async fn crashed_at(&self, entry: &str) -> Scene {
        // Writes of children and of logs fall now before one and now after it, so that a walk may
        // step over an entry.
        for _ in 0..WALKS {
            for write in 2.. {
                let crash = Some(Point::write(Side::After, write));
                let lived = self.live(Life { crash, is_over: true, ..Life::default() }).await;
                if !lived.has_crashed {
                    break;
                }
                if lived.journal().await.last().is_some_and(|last| last.path.to_string() == entry) {
                    return Scene { directory: lived.directory, run: self.run };
                }
            }
        }
        panic!("no host is gone right after entry {entry}");
    }
}

/// Everything that must not depend on how a run was treated.
#[derive(Debug, PartialEq)]
pub(super) struct Memory {
    runs: BTreeMap<String, (RunState, Vec<Entry>)>,
    deliveries: BTreeMap<String, (DeliveryState, Arc<str>)>,
    values: BTreeMap<String, Option<Vec<u8>>>,
}

impl Memory {
    /// Every import that has an entry in some journal.
    pub(super) fn imports(&self) -> impl Iterator<Item = Import> {
        self.runs.values().flat_map(|(_, entries)| entries.iter().map(|entry| entry.import))
    }

    /// Shows the first difference.
    #[track_caller]
    pub(super) fn must_equal(&self, other: &Self, what: &str) {
        for (name, (_, entries)) in &other.runs {
            let (_, own) = self.runs.get(name).unwrap_or_else(|| panic!("{what}: there is no run {name}"));
            for (own, other) in own.iter().zip(entries) {
                assert_eq!(own, other, "{what}: journal of {name}");
            }
        }
        assert_eq!(self, other, "{what}");
    }
}

impl Lived {
    /// What must not depend on the treatment.
    pub(super) fn memory(self) -> Memory {
        assert!(matches!(self.run.outcome(), Some(Outcome::Succeeded(_))), "{:?}", self.run.state);
        self.memory
    }

    /// How the run ended.
    pub(super) fn outcome(&self) -> &Outcome {
        self.run.outcome().expect("it has ended")
    }

    /// The journal of the run.
    pub(super) async fn journal(&self) -> Vec<Entry> {
        self.store.journal(self.run.spec.id, self.run.generation).await.expect("the store answers")
    }
}

impl Scene {
    /// A run of `remembers/remember` with this change in its task, accepted by a host whose lanes
    /// have no slot.
    pub(super) async fn new(change: &str) -> Self {
        let directory = temporary();
        let clock = ManualClock::at(BEGIN);
        let host =
            Setup::durable(&directory).clock(Arc::new(clock)).plugin("remembers").slots(0).start().await;
        let change: serde_json::Value = serde_json::from_str(change).expect("JSON");
        let run = host.begin("remembers/remember", serde_json::json!({ "change": change })).await;
        host.host.stop().await;
        Self { directory, run }
    }

    /// Lives through it in a copy of the directory.
    pub(super) async fn live(&self, life: Life) -> Lived {
        let directory = temporary();
        copy(self.directory.path(), directory.path());
        if life.is_moved {
            on_another_version(directory.path(), life.plugin);
        }
        let clock = ManualClock::at(BEGIN);
        let crash = Crash::new(life.crash, Blow::Refuse);
        let host = start(&directory, &clock, life, crash.clone()).await;
        let mut store = drive(&host, &clock, life, &crash).await;
        host.host.stop().await;
        if crash.has_happened() && !life.is_over {
            let none = Crash::new(None, Blow::Refuse);
            let host = start(&directory, &clock, life, none.clone()).await;
            store = drive(&host, &clock, life, &none).await;
            host.host.stop().await;
        }
        if crash.has_happened() && life.is_over {
            store =
                Arc::new(SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens"));
        }
        let run = store.run(self.run).await.expect("the store answers").expect("it is there");
        let memory = remembered(&*store).await;
        Lived { store, has_crashed: crash.has_happened(), run, memory, directory }
    }
}

async fn start(directory: &Arc<TempDir>, clock: &ManualClock, life: Life, crash: Arc<Crash>) -> TestHost {
    let store = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
    let mut setup = Setup::on(Arc::new(Crashing::new(store, crash)), directory.clone());
    setup.settings.pools.small = life.instances;
    setup.settings.journal.entries = life.entries;
    setup.settings.hot_window = Duration::from_secs(3_600);
    let shelf = directory.path().join("shelf");
    std::fs::create_dir_all(&shelf).expect("a directory");
    setup.clock(Arc::new(clock.clone())).plugin(life.plugin).files("shelf", shelf).start().await
}

/// Lets the host work until nothing is left to do or the crash has come. Time moves only when every
/// run waits, and only to the next instant that one waits for.
async fn drive(host: &TestHost, clock: &ManualClock, life: Life, crash: &Crash) -> Arc<dyn Store> {
    let store = host.inner().store.clone();
    let patience = tokio::time::Instant::now() + PATIENCE;
    let mut changes = host.inner().changes();
    loop {
        if crash.has_happened() {
            return store;
        }
        match step(host, &*store, clock, life).await {
            None if crash.has_happened() => {}
            None => panic!("the store does not answer"),
            Some(true) => return store,
            Some(false) => {}
        }
        if tokio::time::Instant::now() >= patience {
            let runs = store.runs(all_runs()).await.expect("the store answers");
            let runs: Vec<_> = runs.into_iter().map(|run| (run.spec.name.clone(), run.state)).collect();
            panic!("{life:?}: it hangs: {runs:#?}");
        }
        let _ = tokio::time::timeout(Duration::from_millis(1), changes.changed()).await;
    }
}

/// One look at the host: whether all is done. `None`: its store does not answer.
async fn step(host: &TestHost, store: &dyn Store, clock: &ManualClock, life: Life) -> Option<bool> {
    let runs = store.runs(all_runs()).await.ok()?;
    // Children of a tool call outlive the run that called it.
    if runs.iter().filter(|run| run.spec.depth == 0).all(Run::is_ended) {
        let open = |delivery: &Delivery| delivery.state != DeliveryState::Delivered;
        return Some(!store.deliveries(all_deliveries()).await.ok()?.iter().any(open));
    }
    let is_at_rest = |run: &Run| !matches!(run.state, RunState::Queued | RunState::Running { .. });
    if !runs.iter().all(is_at_rest) {
        return Some(false);
    }
    if life.is_evicted && runs.iter().any(|run| matches!(run.state, RunState::Waiting { token: Some(_) })) {
        host.inner().lanes.cool_down(Duration::ZERO, clock.now());
        return Some(false);
    }
    let mut next = None;
    for run in &runs {
        if let Some(wait) = store.wait_of(run.spec.id).await.ok()? {
            next = next.into_iter().chain(wait.due).min();
        }
        if let RunState::Delayed { until } = run.state {
            next = next.into_iter().chain([until]).min();
        }
    }
    if let Some(next) = next.filter(|next| *next > clock.now()) {
        clock.advance(next.since(clock.now()));
    }
    Some(false)
}

fn all_runs() -> RunFilter {
    RunFilter { limit: 1_000, ..RunFilter::default() }
}

fn all_deliveries() -> DeliveryFilter {
    DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() }
}

async fn remembered(store: &dyn Store) -> Memory {
    let mut runs = BTreeMap::new();
    for run in store.runs(all_runs()).await.expect("the store answers") {
        let entries = store.journal(run.spec.id, run.generation).await.expect("the store answers");
        let name = run.spec.name.clone();
        for past in store.generations(run.spec.id).await.expect("the store answers") {
            let entries = store.journal(run.spec.id, past.number).await.expect("the store answers");
            let state = run.at(&past).state;
            runs.insert(format!("{name}, generation {}", past.number), (state, entries));
        }
        runs.insert(name, (run.state, entries));
    }
    let deliveries = store.deliveries(all_deliveries()).await.expect("the store answers");
    let deliveries =
        deliveries.into_iter().map(|owed| (owed.id.to_string(), (owed.state, owed.body))).collect();
    let mut values = BTreeMap::new();
    for key in store.kv_keys("memory".into(), "".into(), None, 100).await.expect("the store answers") {
        let value = store.kv_get("memory".into(), key.as_str().into()).await.expect("the store answers");
        values.insert(key, value);
    }
    Memory { runs, deliveries, values }
}

/// Moves all runs to another version of their plugin, as no host does: a run stays on its own. So
/// it looks to a plugin that is not deterministic.
fn on_another_version(state: &Path, plugin: &str) {
    let digest = Files::read(&component(plugin)).expect("it is built").digest();
    let store = rusqlite::Connection::open(state.join("sublane.db")).expect("the store is there");
    store.execute("UPDATE run_spec SET plugin_digest = ?1", [&digest]).expect("written");
    store.execute("DELETE FROM journal WHERE substr(path, -4) = x'00000000'", ()).expect("written");
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("the directory is there") {
        let file = file.expect("it can be read");
        let to = to.join(file.file_name());
        if file.file_type().expect("it has a type").is_dir() {
            std::fs::create_dir(&to).expect("it is new");
            copy(&file.path(), &to);
        } else {
            std::fs::copy(file.path(), to).expect("it is copied");
        }
    }
}
