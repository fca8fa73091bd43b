//! A seed's host, or hosts, and the time that passes for them.
//!
//! Owns the state directory, the clock and whichever host lives. Does what a plan says and judges
//! nothing but what can only be seen on the way: that no ready run is left out, and that the store
//! is whole whenever a host has died.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sublane::channel::SecretRef;
use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::clock::{Clock as _, ManualClock};
use sublane::config::PluginConfig;
use sublane::intake::Task;
use sublane::plugin::Allow;
use sublane_core::grants::Authority;
use sublane_core::hook::OpenAnswer;
use sublane_core::journal::decode;
use sublane_core::{Delivery, DeliveryState, Import, Run, RunId, RunState, Timestamp};
use sublane_store::sqlite::check;
use sublane_store::{DeliveryFilter, RunFilter, SqliteStore, Store};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::gate::{Gate, Life};
use super::outside::Outside;
use super::plan::{Move, PROVIDER, Plan};
use super::seeds::Doing;
use crate::{Setup, TestHost, caller, component, temporary};

/// Tue, 14 Nov 2023 22:13:20 GMT.
const BEGIN: Timestamp = Timestamp(1_700_000_000_000);
/// How long nothing is asked of the store before time goes on.
const QUIET: Duration = Duration::from_millis(1);
/// How long is waited for that, at most.
const BUSY: Duration = Duration::from_millis(40);
/// Looks of the clock in a span of time.
const LOOKS: u32 = 6;
/// Ready for so many sweeps of a host that nothing disturbs, and not taken, a run is left out; where the
/// machine is busy a host may sleep through some of them, so that so long must have passed as well.
const LEFT_OUT: u32 = 200;
/// See [`LEFT_OUT`].
const FOR_LONG: Duration = Duration::from_secs(10);
/// How long the last part may take on the machine's own clock.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a simulation has fewer of.
const MOST: u32 = 5_000;

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Hosts that died.
    pub killed: u64,
    /// Hosts that stood still, and were taken over or not.
    pub stood: u64,
    /// Jumps of the clock.
    pub jumps: u64,
    /// Requests to the store that failed.
    pub failed: u64,
    /// Times that a plugin was replaced, or allowed something else.
    pub reloads: u64,
    /// Calls of hooks that were taken.
    pub calls: u64,
}

/// A seed that is under way.
pub(super) struct Scene {
    /// The plan.
    pub(super) plan: Plan,
    /// Those outside.
    pub(super) outside: Outside,
    /// The store, as it is.
    pub(super) store: Arc<SqliteStore>,
    /// The host that lives.
    pub(super) host: Option<TestHost>,
    /// What happened.
    pub(super) counts: Counts,
    /// What must not be, seen on the way.
    pub(super) faults: Vec<String>,
    /// When each host began.
    pub(super) hosts: Vec<Timestamp>,
    /// From when until when the store failed.
    pub(super) failing: Vec<(Timestamp, Timestamp)>,
    /// Time.
    pub(super) clock: ManualClock,
    /// Whether the clock was put back.
    pub(super) was_put_back: bool,
    doing: Doing,
    life: Arc<Life>,
    directory: Arc<TempDir>,
    versions: [PathBuf; 2],
    current: PluginConfig,
    begun: BTreeMap<usize, Option<RunId>>,
}

/// A version of the plugin, that may ask the provider.
fn version(directory: &Path, name: &str, provider: &str) -> PathBuf {
    let place = directory.join(name);
    std::fs::create_dir(&place).expect("a new directory");
    let copy = place.join("spawns.wasm");
    std::fs::copy(component("spawns"), &copy).expect("the component is copied");
    let manifest = format!(
        r#"id = "spawns"
version = "{name}"
[asks]
spawn = {{ agents = ["spawns"], depth = 5, active-children = 20, total = 1000 }}
channels = ["origin"]
kv = [{{ bucket = "notes", mode = "read-write" }}]
http = [{{ to = "{provider}", methods = ["GET", "POST"] }}]
artifacts = {{ bytes = "1MiB" }}
requests = 100
bytes-out = "4MiB"
bytes-in = "16MiB"
cpu = "60s"
timeout = "6h"
"#
    );
    std::fs::write(place.join("plugin.toml"), manifest).expect("the manifest is written");
    copy
}

impl Scene {
    /// A first host with nothing to do.
    pub(super) async fn start(plan: Plan, doing: Doing) -> Self {
        let directory = temporary();
        let outside = Outside::start(plan.seed).await;
        let versions =
            ["0.1.0", "0.1.1"].map(|name| version(directory.path(), name, &outside.provider.url()));
        std::fs::write(directory.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("it can be written");
        let store = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
        let current = PluginConfig { component: versions[0].clone(), allow: Allow::Asked };
        let mut scene = Self {
            outside,
            store: Arc::new(store),
            host: None,
            counts: Counts::default(),
            faults: Vec::new(),
            hosts: Vec::new(),
            failing: Vec::new(),
            clock: ManualClock::at(BEGIN),
            was_put_back: false,
            doing,
            life: Life::new(plan.seed),
            directory,
            versions,
            current,
            begun: BTreeMap::new(),
            plan,
        };
        scene.begin_host().await;
        scene
    }

    /// The directory of the store.
    #[must_use]
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn host(&self) -> &TestHost {
        self.host.as_ref().expect("a host lives")
    }

    async fn begin_host(&mut self) {
        self.doing.now("a host starts");
        self.life = Life::new(self.plan.seed ^ ((self.hosts.len() as u64 + 1) << 32));
        let clock = Arc::new(self.clock.clone());
        let gate = Gate::new(self.store.clone(), self.life.clone());
        let mut setup = Setup::on(Arc::new(gate), self.directory.clone()).clock(clock.clone());
        setup = setup.pools(12, 5).slots(self.plan.slots).hooks();
        setup.settings.hot_window = self.plan.hot_window;
        setup.settings.guest_threads = 1;
        setup.settings.max_crashes = 20;
        setup.plugins.push(self.current.clone());
        let secret = SecretRef::File(self.directory.path().join("secret"));
        let mut endpoint = Endpoint::new(self.outside.films.url.clone(), secret);
        endpoint.attempt_timeout = Duration::from_millis(300);
        let endpoints = [("films".to_owned(), endpoint)].into_iter().collect();
        let webhook = Webhook::new(endpoints, clock).expect("the endpoint is right");
        setup = setup.channel("console", self.outside.desk.clone(), None).channel(
            "webhook",
            Arc::new(webhook),
            None,
        );
        self.hosts.push(self.clock.now());
        self.host = Some(setup.start().await);
    }

    /// The host is dead: what is left of it in this process goes, and nothing of it reaches the store.
    async fn bury(&mut self, host: TestHost, life: &Life) {
        life.end();
        self.counts.failed += life.failed();
        self.doing.now("a host that is dead goes");
        host.host.stop().await;
    }

    async fn kill(&mut self) {
        let (host, life) = (self.host.take().expect("a host lives"), self.life.clone());
        self.counts.killed += 1;
        self.bury(host, &life).await;
        self.check_store("after a host died");
    }

    /// What rows may never be, at any time.
    pub(super) fn check_store(&mut self, when: &str) {
        let path = self.directory.path().join("sublane.db");
        let checked = check(&path, &self.directory.path().join("artifacts")).expect("it can be opened");
        self.faults.extend(checked.violations.into_iter().map(|line| format!("{when}: {line}")));
    }

    /// Nothing is asked of the store for a moment, or it is asked for long.
    async fn quiet(&self) {
        self.doing.now("until nothing is asked of the store");
        let mut asked = self.life.asked();
        let busy = async { while timeout(QUIET, asked.changed()).await.is_ok() {} };
        let _ = timeout(BUSY, busy).await;
    }

    /// Time goes on, in steps that sweeps can follow.
    async fn pass(&mut self, by: Duration) {
        for _ in 0..LOOKS {
            self.quiet().await;
            self.clock.advance(by / LOOKS);
        }
        self.quiet().await;
    }

    /// Does one move.
    pub(super) async fn play(&mut self, next: Move) {
        self.ask_again().await;
        match next {
            Move::Begin(n) => {
                self.begun.insert(n, None);
                self.ask_again().await;
                self.pass(Duration::from_millis(1_500)).await;
            }
            Move::Pass(by) => self.pass(by).await,
            Move::Kill { write, side, down } => {
                self.life.dies_at(write, side);
                self.pass(Duration::from_secs(2)).await;
                self.kill().await;
                self.clock.advance(down);
                self.begin_host().await;
            }
            Move::Restart => {
                let host = self.host.take().expect("a host lives");
                self.doing.now("a host stops");
                host.host.stop().await;
                self.counts.failed += self.life.failed();
                self.begin_host().await;
            }
            Move::StandStill(by) => {
                self.counts.stood += 1;
                self.life.stand();
                self.pass(by).await;
                self.life.go_on();
            }
            Move::TakeOver(by) => self.take_over(by).await,
            Move::Forward(by) => {
                self.counts.jumps += 1;
                self.clock.advance(by);
                self.quiet().await;
            }
            Move::Back(by) => {
                self.counts.jumps += 1;
                self.was_put_back = true;
                self.clock.set_back(by);
                self.quiet().await;
            }
            Move::StoreFails(thousandths, by) => {
                let from = self.clock.now();
                self.life.store_fails(thousandths);
                self.pass(by).await;
                self.life.store_fails(0);
                self.failing.push((from, self.clock.now()));
            }
            Move::Outside(mood) => self.outside.set(mood),
            Move::Replace => {
                let other = self.versions.iter().find(|place| **place != self.current.component);
                self.current.component = other.expect("there are two").clone();
                self.reload().await;
            }
            Move::Revoke { requests } => {
                let mut allows = self.asks();
                if requests {
                    allows.http.clear()
                } else {
                    allows.kv.clear()
                }
                self.current.allow = Allow::These(allows);
                self.reload().await;
            }
            Move::Allow => {
                self.current.allow = Allow::Asked;
                self.reload().await;
            }
            Move::Cancel(which) => {
                if let Some(run) = self.pick(which).await {
                    self.doing.now("a run is cancelled");
                    // One that the store does not take is no cancellation.
                    let _ = self.host().inner().cancel(run, "not wanted").await;
                }
            }
            Move::Say(which) => {
                if let Some(run) = self.pick(which).await {
                    self.doing.now("a run is told something");
                    let inner = self.host().inner();
                    if let Ok(effects) =
                        inner.store.send(run, "\"hello\"".into(), None, self.clock.now()).await
                    {
                        inner.dispatch(effects);
                    }
                }
            }
            Move::Call(which) => self.call(which).await,
        }
        self.quiet().await;
    }

    async fn take_over(&mut self, by: Duration) {
        self.counts.stood += 1;
        self.life.stand();
        self.pass(by).await;
        let (stale, life) = (self.host.take().expect("a host lives"), self.life.clone());
        self.begin_host().await;
        self.pass(Duration::from_secs(1)).await;
        life.lose();
        self.pass(Duration::from_secs(1)).await;
        self.bury(stale, &life).await;
        // On a machine the lock keeps the second host out; what the first one took for itself when it
        // went on is given back by the next that begins.
        self.kill().await;
        self.begin_host().await;
    }

    fn asks(&self) -> Authority {
        self.host().inner().plugins().get("spawns").expect("it is loaded").manifest.asks.clone()
    }

    async fn reload(&mut self) {
        self.counts.reloads += 1;
        self.doing.now("the plugin is read anew");
        let host = self.host();
        host.named.0.lock().insert("spawns".to_owned(), self.current.clone());
        host.inner().reload(&["spawns".to_owned()]).await.expect("it is right");
    }

    /// Asks for what was begun and not accepted yet; under its event it is accepted once.
    async fn ask_again(&mut self) {
        let open: Vec<usize> = self.begun.iter().filter(|(_, run)| run.is_none()).map(|(n, _)| *n).collect();
        for n in open {
            let root = &self.plan.roots[n];
            let provider = self.outside.provider.url();
            let task = Task {
                agent: root.agent.to_owned(),
                input: root.input.to_string().replace(PROVIDER, &provider),
                origin: format!("console:{n}").parse().expect("well formed"),
                lane: "main",
                deliver: root.deliver.iter().map(|text| text.parse().expect("well formed")).collect(),
                event: Some(format!("event {n}")),
            };
            self.doing.now("a run is asked for");
            let accepted = self.host().inner().task(task).await;
            self.begun.insert(n, accepted.ok().map(|accepted| accepted.run));
        }
    }

    /// The runs that there are.
    pub(super) async fn runs(&self) -> Vec<Run> {
        let filter = RunFilter { limit: MOST, ..RunFilter::default() };
        self.store.runs(filter).await.expect("the store itself does not fail")
    }

    async fn owed(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter { limit: MOST, ..DeliveryFilter::default() };
        let mut owed = self.store.deliveries(filter).await.expect("the store itself does not fail");
        owed.retain(|delivery| !delivery.state.is_settled());
        owed
    }

    /// One of the runs that live.
    async fn pick(&self, which: usize) -> Option<RunId> {
        let mut runs = self.runs().await;
        runs.retain(|run| !run.is_ended());
        runs.get(which.checked_rem(runs.len())?).map(|run| run.spec.id)
    }

    /// Calls a hook of a run that lives twice, and one that was never opened.
    async fn call(&mut self, which: usize) {
        let mut urls = Vec::new();
        self.doing.now("a hook is called");
        for run in self.runs().await.iter().filter(|run| !run.is_ended()) {
            let journal = self.store.journal(run.spec.id, run.generation).await.expect("it does not fail");
            let opened = journal.iter().filter(|entry| entry.import == Import::HookOpen);
            let answers = opened.filter_map(|entry| decode::<OpenAnswer>(entry).ok()?.ok());
            urls.extend(answers.map(|answer| answer.url.to_string()));
        }
        let Some(url) = which.checked_rem(urls.len()).map(|at| &urls[at]) else { return };
        let door = self.host().door.expect("there is a door");
        let post = |path: &str| caller::post(path, &[("webhook-id", "one")], b"{\"n\":1}");
        let path = caller::path(url);
        let first = caller::send(door, &post(&path)).await.status;
        let second = caller::send(door, &post(&path)).await.status;
        self.counts.calls += u64::from(first == 200);
        if first == 200 && second == 410 {
            self.faults.push(format!("a call of a hook was answered 200, and then {second}"));
        }
        let forged = format!("{}x", &path[..path.len() - 1]);
        let status = caller::send(door, &post(&forged)).await.status;
        if forged != path && status == 200 {
            self.faults.push("a call with a token that was never made was taken".to_owned());
        }
    }

    /// Nothing disturbs any more, and time goes on until nothing is left to do.
    pub(super) async fn calm(&mut self) {
        self.outside.set(super::plan::Mood::default());
        self.ask_again().await;
        if self.begun.values().any(Option::is_none) {
            self.faults
                .push("what was asked for was not accepted by a host that nothing disturbs".to_owned());
        }
        let begun = Instant::now();
        let mut left_out = BTreeSet::new();
        let mut ready = BTreeMap::<(RunId, u32), (u32, Instant)>::new();
        loop {
            self.quiet().await;
            self.doing.now("it is looked at what is left to do");
            let (mut runs, owed) = (self.runs().await, self.owed().await);
            runs.retain(|run| !run.is_ended());
            if runs.is_empty() && owed.is_empty() {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let runs = runs.iter().map(|run| format!("{} {:?}", run.spec.name, run.state));
                let owed =
                    owed.iter().map(|owed| format!("{} to {} {:?}", owed.id, owed.destination, owed.state));
                self.faults.extend(runs.chain(owed).map(|what| format!("it comes to no end: {what}")));
                return;
            }
            self.clock.advance(self.until_next(&runs, &owed).await);
            for run in runs.iter().filter(|run| run.state == RunState::Queued) {
                let (sweeps, since) = ready.entry((run.spec.id, run.attempt)).or_insert((0, Instant::now()));
                *sweeps += 1;
                let is_left_out = *sweeps >= LEFT_OUT && since.elapsed() >= FOR_LONG;
                if is_left_out && left_out.insert(run.spec.id) {
                    let fault = self.left_out(run, *sweeps, since.elapsed());
                    self.faults.push(fault);
                }
            }
        }
    }

    /// What the host says of a run that is left out.
    fn left_out(&self, run: &Run, sweeps: u32, real: Duration) -> String {
        let (inner, spec) = (self.host().inner(), &run.spec);
        let position = inner.lanes.position(&spec.lane, spec.id);
        let attempt = if inner.attempts.lock().contains_key(&spec.id) { "an" } else { "no" };
        let paused = inner.pauses.until(&spec.plugin, self.clock.now());
        let (name, lanes) = (&spec.name, inner.lanes.status());
        format!(
            "run {name} is ready and is left out, for {sweeps} looks in {real:?}: its position is {position:?}, \
             there is {attempt} attempt of it, its plugin is paused until {paused:?}, and the lanes are {lanes:?}"
        )
    }

    /// How long nothing happens: a sweep where something is under way, else until the next is due.
    async fn until_next(&self, runs: &[Run], owed: &[Delivery]) -> Duration {
        const SWEEP: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(3_600);
        let executes = |run: &Run| matches!(run.state, RunState::Queued | RunState::Running { .. });
        if runs.iter().any(executes) || owed.iter().any(|owed| owed.state == DeliveryState::Sending) {
            return SWEEP;
        }
        let now = self.clock.now();
        let due = self.store.next_due().await.expect("it does not fail");
        let next = owed.iter().map(|owed| owed.next_at).chain(due).min();
        next.map_or(SWEEP, |next| next.since(now).clamp(SWEEP, LONGEST))
    }
}
