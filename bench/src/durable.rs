//! Durable spawns and deliveries: the host on SQLite with every commit on the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sublane::clock::{Clock as _, SystemClock};
use sublane::intake::Task;
use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::lane::LaneLimits;
use sublane_core::{Destination, Outcome, Output, Path as Place, Run, RunId, Timestamp, Token};
use sublane_store::sqlite::{Bare, BareSession, LOG_BYTES};
use sublane_store::{Accept, By, Spawn, SqliteStore, StoreError, ops};
use sublane_tests::{Counter, Setup, TestHost, temporary};
use tempfile::TempDir;

use crate::bare;
use crate::report::{Goal, Report, median, quantile};
use crate::timed::{Timed, periods};

pub(crate) fn sqlite(directory: &tempfile::TempDir, name: &str) -> SqliteStore {
    SqliteStore::open(&directory.path().join(name)).expect("the store opens")
}

/// A run as a template for bare commits, taken from a real one.
pub(crate) async fn template(host: &TestHost) -> Run {
    let run = host.begin("bench/echo", serde_json::json!("x".repeat(100))).await;
    crate::ended(host.inner(), run).await;
    host.inner().store.run(run).await.expect("the store answers").expect("it is there")
}

/// As [`template`], of a host that is started for it in this directory, on a store of its own.
pub(crate) async fn template_in(directory: &Arc<TempDir>) -> Run {
    let store = Arc::new(sqlite(directory, "template.db"));
    let host = Setup::on(store, directory.clone()).plugin("bench").start().await;
    let template = template(&host).await;
    host.host.stop().await;
    template
}

/// Has a host write until its store's log is as long as it becomes: a file that grows costs the file
/// system more with each commit than one that is written over.
pub(crate) async fn warm(host: &TestHost, store: &Path) {
    let log = store.with_extension("db-wal");
    while std::fs::metadata(&log).expect("the store is open").len() < LOG_BYTES {
        let run = host.begin("bench/recall", crate::journal::effects(400)).await;
        crate::ended(host.inner(), run).await;
    }
}

/// As [`warm`], for commits that are timed without a host.
pub(crate) fn warm_session(bare: &Bare) -> BareSession<'_> {
    const INTENTS: u32 = 300;
    let mut session = bare.session();
    let body = "x".repeat(8_000);
    commits(&mut session, INTENTS, |rows, _| rows.insert_intent(&body, LATER).map(drop));
    session
}

/// Of what a script's caller spends: it is never refused for want of it.
const ENOUGH: u64 = 1 << 20;
/// When scripts write, where nothing depends on it.
pub(crate) const LATER: Timestamp = Timestamp(1_800_000_000_000);

/// An attempt of this run, which spent a little.
pub(crate) fn by(run: RunId, token: Token, now: Timestamp) -> By {
    By {
        run,
        token,
        spent: sublane_core::Purse { cpu_us: 10, ..Default::default() },
        link_base: "file:///".into(),
        now,
    }
}

/// What the host writes for one run, without a host.
pub(crate) struct Script {
    template: Run,
    count: u64,
    /// When.
    at: Timestamp,
}

impl Script {
    pub(crate) fn new(template: Run, at: Timestamp) -> Self {
        Self { template, count: 0, at }
    }

    /// A run that an attempt holds.
    pub(crate) fn claimed(&mut self, session: &mut BareSession<'_>) -> RunId {
        let accept = self.accept();
        let id = accept.spec.id;
        session.transaction(|rows| ops::accept(rows, accept)).expect("it commits");
        session.transaction(|rows| ops::claim(rows, id, Token(1), Timestamp(1))).expect("it commits");
        id
    }

    fn id(&mut self) -> RunId {
        self.count += 1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.count.to_be_bytes());
        RunId::new(self.at, random)
    }

    pub(crate) fn accept(&mut self) -> Accept {
        let mut spec = (*self.template.spec).clone();
        spec.id = self.id();
        spec.created = self.at;
        let conversation = ops::NewConversation {
            id: spec.conversation,
            origin: spec.origin.clone(),
            purse: sublane_core::Purse {
                cpu_us: 2 * ENOUGH,
                spawns: 2 * ENOUGH,
                ..sublane::Settings::default().purse
            },
        };
        let ask = sublane_core::PurseAsk {
            cpu_us: sublane_core::Share::Exactly(ENOUGH),
            spawns: sublane_core::Share::Exactly(ENOUGH),
            ..Default::default()
        };
        Accept { conversation, event: None, spec: Box::new(spec), ask }
    }

    pub(crate) fn spawn(&mut self, parent: RunId, seq: u32) -> Spawn {
        let path = Place::root().then(seq);
        let mut spec = (*self.template.spec).clone();
        spec.id = parent.child(0, &path);
        spec.destinations.clear();
        let ask = sublane_core::PurseAsk { cpu_us: sublane_core::Share::Exactly(1), ..Default::default() };
        Spawn {
            by: by(parent, Token(1), self.at),
            path,
            import: sublane_core::Import::Spawn,
            args: 1,
            spec: Box::new(spec),
            ask,
            draw: sublane_store::Draw::Spawner,
            active_children: u32::MAX,
            position: 0,
            start: None,
        }
    }
}

fn output() -> Outcome {
    Outcome::Succeeded(Output { value: bare::input().into(), text: None, artifacts: Vec::new() })
}

/// Milliseconds of each of these transactions.
pub(crate) fn commits(
    session: &mut BareSession<'_>,
    count: u32,
    mut work: impl FnMut(&mut dyn sublane_store::Rows, u32) -> Result<(), StoreError>,
) -> Vec<f64> {
    let one = |n| {
        let begin = crate::now();
        session.transaction(|rows| work(rows, n)).expect("it commits");
        let took = begin.elapsed().as_nanos() as f64 / 1e6;
        session.checkpoint();
        took
    };
    (1..=count).map(one).collect()
}

/// Import call to receipt, one caller, against one bare commit of the same rows.
pub(crate) async fn spawn(report: &mut Report, rounds: usize) {
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = temporary();
        let (template, time) = spawns(&directory, "ours.db").await;
        ours.push(time);
        let bare = Bare::open(&directory.path().join("bare.db")).expect("the store opens");
        let mut script = Script::new(template, LATER);
        let mut session = warm_session(&bare);
        let parent = script.claimed(&mut session);
        let mut times = commits(&mut session, BATCH, |rows, seq| {
            let spawned = ops::spawn(rows, script.spawn(parent, seq))?;
            assert!(spawned.answer.is_ok(), "a refusal writes less: {:?}", spawned.answer);
            Ok(())
        });
        limits.push(median(&mut times));
    }
    report.add("spawn.durable.p50", "ms", median(&mut ours), median(&mut limits), Goal::AtMost(1.3));
}

/// Spawns of one caller in one round.
const BATCH: u32 = 200;

/// Milliseconds from one spawn of a caller to its next, in the middle, on the store of this name, and
/// a run of that host.
pub(crate) async fn spawns(directory: &Arc<tempfile::TempDir>, name: &str) -> (Run, f64) {
    /// Children that one run may have alive.
    const ACTIVE: u32 = 20;
    let timed = Timed::new(sqlite(directory, name));
    let mut setup = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench");
    setup.settings.guest_threads = 1;
    let host = setup.start().await;
    let template = template(&host).await;
    warm(&host, &directory.path().join(name)).await;
    host.inner().lanes.pause("subagent");
    let mut times = Vec::new();
    for _ in 0..BATCH / ACTIVE {
        timed.take();
        let run = host.begin("bench/start", serde_json::json!(ACTIVE)).await;
        crate::ended(host.inner(), run).await;
        // Two writes bring the caller itself; the last one is its ending.
        let writes = timed.take();
        times.extend(periods(&writes[..writes.len() - 1], 2, 1));
    }
    host.host.stop().await;
    (template, median(&mut times) / 1e6)
}

/// A durable spawn beside 100,000 runs that have ended and 50,000 that wait, against one on an empty store.
pub(crate) async fn spawn_full(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    const ENDED: u32 = 100_000;
    const WAITING: u32 = 50_000;
    let full = temporary();
    let (template, _) = spawns(&full, "template.db").await;
    {
        let bare = Bare::open(&full.path().join("full.db"))?;
        let mut session = bare.session();
        // As of today: nothing of it is old, and removed beside what is measured.
        let mut script = Script::new(template.clone(), SystemClock.now());
        for _ in 0..ENDED / 500 {
            script.whole_lives(&mut session, 500);
        }
        crate::waiting::fill(&mut session, &template, 0..WAITING)?;
    }
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(spawns(&full, "full.db").await.1);
        limits.push(spawns(&temporary(), "empty.db").await.1);
    }
    report.add("spawn.durable.full", "ms", median(&mut ours), median(&mut limits), Goal::AtMost(1.2));
    Ok(())
}

/// Runs enqueued, executed, ended and delivered per second by 256 callers, against
/// group commits of the same statements and bare spawns, one after the other.
pub(crate) async fn rate(report: &mut Report, rounds: usize) {
    const CALLERS: u32 = 256;
    const EACH: u32 = 16;
    let total = CALLERS * EACH;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = temporary();
        let counter = Arc::new(Counter::default());
        // As an operator sets it who expects so many: each has a slot and a place.
        let limits_of = LaneLimits { slots: CALLERS, ..LaneLimits::default() };
        let mut setup = Setup::on(Arc::new(sqlite(&directory, "ours.db")), directory.clone())
            .plugin("bench")
            .channel("null", counter.clone(), None)
            .pools(2 * CALLERS, 5);
        setup.lanes = vec![("main".to_owned(), limits_of)];
        let host = setup.start().await;
        let template = template(&host).await;
        let begin = crate::now();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let inner = host.inner().clone();
            callers.spawn(async move {
                let origin: Destination = format!("null:{caller}").parse().expect("well formed");
                for _ in 0..EACH {
                    inner.task(echo(&origin)).await.expect("it is accepted");
                }
            });
        }
        while callers.join_next().await.is_some() {}
        let mut changes = host.inner().changes();
        while counter.count() < total {
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
        ours.push(f64::from(total) / begin.elapsed().as_secs_f64());
        let spawn = median(&mut bare::on_guest_thread(host.inner(), 500).await) / 1e9;
        host.host.stop().await;
        let grouped = grouped(&directory, template, total, CALLERS);
        limits.push(f64::from(total) / (grouped + f64::from(total) * spawn));
    }
    report.add("spawn.durable.rate256", "runs/s", median(&mut ours), median(&mut limits), Goal::AtLeast(0.6));
}

/// A run of the agent that gives back what it gets, with one delivery.
fn echo(origin: &Destination) -> Task {
    Task {
        agent: "bench/echo".to_owned(),
        input: bare::input(),
        origin: origin.clone(),
        lane: "main",
        deliver: vec![origin.clone()],
        event: None,
    }
}

/// Seconds for the statements of `total` runs in commits of `group` operations.
fn grouped(directory: &tempfile::TempDir, template: Run, total: u32, group: u32) -> f64 {
    let bare = Bare::open(&directory.path().join("bare.db")).expect("the store opens");
    let mut session = bare.session();
    let mut script = Script::new(template, LATER);
    let begin = crate::now();
    for _ in 0..total / group {
        script.whole_lives(&mut session, group);
    }
    begin.elapsed().as_secs_f64()
}

impl Script {
    /// So many runs from their acceptance until all that they owe is delivered, in four commits, and a
    /// checkpoint when it is time for one.
    pub(crate) fn whole_lives(&mut self, session: &mut BareSession<'_>, count: u32) {
        let at = self.at;
        let accepts: Vec<_> = (0..count).map(|_| self.accept()).collect();
        let ids: Vec<_> = accepts.iter().map(|accept| accept.spec.id).collect();
        let transaction = session.transaction(|rows| {
            accepts.into_iter().try_for_each(|accept| ops::accept(rows, accept).map(|_| ()))
        });
        transaction.expect("it commits");
        let claim = |rows: &mut dyn sublane_store::Rows| {
            ids.iter().try_for_each(|id| ops::claim(rows, *id, Token(1), at).map(|_| ()))
        };
        session.transaction(claim).expect("it commits");
        let mut owed = Vec::new();
        let finish = |rows: &mut dyn sublane_store::Rows| {
            for id in &ids {
                owed.extend(ops::finish(rows, &by(*id, Token(1), at), output())?.deliveries);
            }
            Ok(())
        };
        session.transaction(finish).expect("it commits");
        let settle = |rows: &mut dyn sublane_store::Rows| {
            owed.iter().try_for_each(|delivery| {
                let delivered = AttemptResult::Delivered { note: String::new() };
                ops::settle(rows, delivery.id, 1, delivered, &SettleRule::default(), at).map(|_| ())
            })
        };
        session.transaction(settle).expect("it commits");
        session.checkpoint();
    }
}

/// From the end of a run to the first byte of its delivery at a loopback receiver, p99, against the p99 of one commit.
pub(crate) async fn first_byte(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    const RUNS: u32 = 150;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        let directory = temporary();
        let receiver = crate::receiver::Receiver::start()?;
        let timed = Timed::new(sqlite(&directory, "ours.db"));
        let webhook = crate::receiver::channel(receiver.url(), directory.path())?;
        let host = Setup::on(Arc::new(timed.clone()), directory.clone())
            .plugin("bench")
            .channel("webhook", webhook, None)
            .start()
            .await;
        let template = template(&host).await;
        warm(&host, &directory.path().join("ours.db")).await;
        let mut times = Vec::new();
        let origin: Destination = "webhook:bench".parse().expect("well formed");
        for _ in 0..RUNS {
            timed.take();
            let run = host.inner().task(echo(&origin)).await?.run;
            let first = receiver.next().await?;
            crate::ended(host.inner(), run).await;
            // Accept, claim, finish: the third write is the ending.
            if let Some(ending) = timed.take().get(2) {
                times.push(first.duration_since(*ending).as_nanos() as f64 / 1e6);
            }
        }
        ours.push(quantile(&mut times, 0.99));
        host.host.stop().await;
        let bare = Bare::open(&directory.path().join("bare.db"))?;
        let mut script = Script::new(template, LATER);
        let mut session = warm_session(&bare);
        let ids: Vec<_> = (0..RUNS).map(|_| script.accept()).collect();
        let mut times = Vec::new();
        for accept in ids {
            let id = accept.spec.id;
            session.transaction(|rows| ops::accept(rows, accept)).map_err(anyhow::Error::from)?;
            session
                .transaction(|rows| ops::claim(rows, id, Token(1), Timestamp(1)))
                .map_err(anyhow::Error::from)?;
            times.extend(commits(&mut session, 1, |rows, _| {
                ops::finish(rows, &by(id, Token(1), LATER), output()).map(|_| ())
            }));
        }
        limits.push(quantile(&mut times, 0.99));
    }
    report.add("delivery.first_byte.p99", "ms", median(&mut ours), median(&mut limits), Goal::AtMost(2.0));
    Ok(())
}
