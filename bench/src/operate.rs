//! What an operator waits for: a tree that is cancelled, a burst that is fair, a list of the
//! newest of many, and a store that is cleared while runs are spawned.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sublane::clock::SystemClock;
use sublane::retention::{self, Collected, Retention};
use sublane_core::lane::LaneLimits;
use sublane_core::{Run, RunState, Timestamp};
use sublane_store::sqlite::Bare;
use sublane_store::{RunFilter, Store, StoreError};
use sublane_tests::burst::{TEN, manifest, ten_at_once, when_the_first_is_done};
use sublane_tests::watching::Watching;
use sublane_tests::{Setup, TestHost, temporary};

use crate::durable::{Script, sqlite, template_in};
use crate::report::{Goal, Report, median, quantile};
use crate::timed::Timed;

/// A parent whose children compute without end.
const PARENT: &str = r#"
    id = "spawns"
    version = "0.1.0"
    [asks]
    spawn = { agents = ["misbehaves/spin"], depth = 1, active-children = 20, total = 20 }
    cpu = "1h"
"#;

/// Cancelling twenty children that execute, against cancelling one: from the call until their instances are gone.
pub(crate) async fn cancel(report: &mut Report, rounds: usize) {
    let directory = temporary();
    let store = Arc::new(sqlite(&directory, "cancel.db"));
    // Of the instances that there are, one plugin has nine tenths.
    let setup = Setup::on(store, directory).plugin("misbehaves").plugin_with("spawns", PARENT);
    let host = setup.slots(64).pools(64, 5).start().await;
    let (mut twenty, mut one) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 3 {
        twenty.push(cancelled(&host, 20).await);
        one.push(cancelled(&host, 1).await);
    }
    host.host.stop().await;
    report.add("cancel.tree", "ms", median(&mut twenty), median(&mut one), Goal::AtMost(2.0));
}

/// Milliseconds to cancel so many children that execute.
async fn cancelled(host: &TestHost, children: usize) -> f64 {
    let child = serde_json::json!({ "spawn": { "agent": "misbehaves/spin", "scope": { "cpu-ms": 60_000 } } });
    let mut steps = vec![child; children];
    steps.push(serde_json::json!({ "wait": {} }));
    // The children begin when the parent is out of their way.
    host.inner().lanes.pause("subagent");
    let parent = host.begin("spawns/act", serde_json::json!(steps)).await;
    host.when(parent, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    host.inner().lanes.resume_lane(host.inner(), "subagent");
    let executes = |run: &&Run| matches!(run.state, RunState::Running { .. });
    let filter = RunFilter { parent: Some(parent), limit: 20, ..RunFilter::default() };
    loop {
        let runs = host.inner().store.runs(filter.clone()).await.expect("the store answers");
        // A tick of their own: they compute, and no claim is under way.
        let computes = |run: &&Run| {
            let attempts = host.inner().attempts.lock();
            attempts.get(&run.spec.id).is_some_and(|attempt| attempt.meter.used() > Duration::ZERO)
        };
        if runs.iter().filter(executes).filter(computes).count() == children {
            break;
        }
        crate::rest(Duration::from_millis(1)).await;
    }
    let begin = crate::now();
    host.inner().cancel(parent, "enough").await.expect("the store answers");
    let took = begin.elapsed().as_secs_f64() * 1e3;
    let mut changes = host.inner().changes();
    while !host.inner().attempts.lock().is_empty() {
        let _ = tokio::time::timeout(Duration::from_millis(1), changes.changed()).await;
    }
    took
}

/// Of ten equal plugins with a hundred runs each, when the first has all of its own: its count to the least.
pub(crate) async fn fairness(report: &mut Report, rounds: usize) {
    let mut spread = Vec::new();
    for _ in 0..rounds {
        let directory = temporary();
        let writes = Watching::new(sqlite(&directory, "burst.db"));
        let mut setup = Setup::on(Arc::new(writes.clone()), directory);
        for name in TEN {
            setup = setup.plugin_with("spawns", &manifest(name));
        }
        setup.lanes.push(("burst".to_owned(), LaneLimits::default()));
        let host = setup.start().await;
        for parent in ten_at_once(&host, |ready| ready == 1_000).await {
            crate::ended(host.inner(), parent).await;
        }
        let filter = RunFilter { limit: 2_000, ..RunFilter::default() };
        let runs = host.inner().store.runs(filter).await.expect("the store answers");
        host.host.stop().await;
        let plugins: BTreeMap<_, _> = runs
            .iter()
            .filter(|run| run.spec.lane == "burst")
            .map(|run| (run.spec.id, run.spec.plugin.as_str()))
            .collect();
        let written = writes.take();
        let done = when_the_first_is_done(written.endings().filter_map(|run| plugins.get(&run)), 100);
        let least = done.iter().min().copied().unwrap_or(0);
        spread.push(if done.len() == TEN.len() { 100.0 / least as f64 } else { f64::INFINITY });
    }
    report.add("burst.fairness", "max/min", median(&mut spread), 1.0, Goal::AtMost(1.2));
}

/// Runs that have ended long ago.
const MANY: u32 = 100_000;
/// When that was: in 2023.
const LONG_AGO: Timestamp = Timestamp(1_700_000_000_000);

/// A state directory with [`MANY`] runs that have ended; its newest are listed, then it is cleared.
pub(crate) async fn many(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let directory = temporary();
    let template = template_in(&directory).await;
    let file = directory.path().join("sublane.db");
    let bare = Bare::open(&file)?;
    let (mut session, mut script) = (bare.session(), Script::new(template, LONG_AGO));
    for _ in 0..MANY / 500 {
        script.whole_lives(&mut session, 500);
    }
    drop(session);
    drop(bare);
    if report.wants("list.100k") {
        list(report, rounds, directory.path())?;
    }
    if report.wants("store.gc") {
        clear(report, directory).await?;
    }
    Ok(())
}

/// The command that lists the newest fifty, from its start to its end.
fn list(report: &mut Report, rounds: usize, state: &Path) -> anyhow::Result<()> {
    let binary = crate::serving::binary()?;
    let config = state.join("sublane.toml");
    std::fs::write(&config, format!("state = {state:?}\n[channels.console]\nkind = \"console\"\n"))?;
    let mut millis = Vec::new();
    for _ in 0..rounds {
        let begin = crate::now();
        let mut command = std::process::Command::new(&binary);
        let listed = command.arg("--config").arg(&config).args(["--json", "runs", "list"]).output()?;
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let runs: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
        anyhow::ensure!(runs["runs"].as_array().context("a list")?.len() == 50, "fifty are listed");
    }
    report.add("list.100k", "ms", median(&mut millis), 0.0, Goal::ValueAtMost(50.0));
    Ok(())
}

/// The commit of a spawn while [`MANY`] runs are removed, against the same while nothing is: p99 of each, by turns.
async fn clear(report: &mut Report, directory: Arc<tempfile::TempDir>) -> anyhow::Result<()> {
    /// Callers that spawn in one turn, one after the other: twenty runs each.
    const CALLERS: usize = 40;
    const TURNS: usize = 8;
    let timed = Timed::new(sqlite(&directory, "sublane.db"));
    let host = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench").start().await;
    let store: Arc<dyn Store> = host.inner().store.clone();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        without.extend(spawns(&host, &timed, CALLERS).await);
        tokio::select! {
            spawned = spawns(&host, &timed, CALLERS) => with.extend(spawned),
            removed = collect(&store) => anyhow::bail!("nothing is left to remove after {removed:?}"),
        }
    }
    host.host.stop().await;
    report.add("store.gc", "ms", quantile(&mut with, 0.99), quantile(&mut without, 0.99), Goal::AtMost(2.0));
    Ok(())
}

async fn collect(store: &Arc<dyn Store>) -> Result<Collected, StoreError> {
    let removed = retention::runs(&**store, &Retention::default(), &SystemClock, &mut |_| {}).await;
    removed.map_err(|error| StoreError::Io(error.to_string().into()))
}

/// Milliseconds of the commits of twenty spawns by each of so many callers.
async fn spawns(host: &TestHost, timed: &Timed<sublane_store::SqliteStore>, callers: usize) -> Vec<f64> {
    let _ = timed.take_spawns();
    for _ in 0..callers {
        let run = host.begin("bench/start", serde_json::json!(20)).await;
        crate::ended(host.inner(), run).await;
    }
    timed.take();
    timed.take_spawns()
}
