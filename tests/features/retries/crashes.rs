//! A host that is gone at any commit of a run that fails and begins again: it begins again once, and
//! is told once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::{DeliveryState, Outcome, Run, RunId, RunState};
use sublane_store::{DeliveryFilter, RunFilter, SqliteStore, Store};
use sublane_tests::crash::{Blow, Crash, Crashing, Point, Side};
use sublane_tests::history::History;
use sublane_tests::{PATIENCE, Setup, TestHost, temporary};
use tempfile::TempDir;

use super::{BEGIN, spawn};

/// A child that fails each time, and has something that is cancelled then.
async fn begin(host: &TestHost) -> RunId {
    let echo = json!({ "spawn": { "agent": "spawns/echo", "scope": { "cpu-ms": 10 },
        "begin-after-ms": 600_000 } });
    let steps = json!([
        { "kv-set": { "bucket": "notes", "key": "begun", "value": "yes" } },
        echo,
        { "sleep": 1_000 },
        { "fail": "the studio is closed" },
    ]);
    let once = json!({ "times": 1, "after-ms": 60_000 });
    let more = json!({ "deliver": ["console:aside"], "timeout-ms": 3_000_000 });
    host.begin("spawns/act", json!([spawn(&steps, &once, more), { "wait": {} }])).await
}

async fn start(directory: &Arc<TempDir>, clock: &ManualClock, crash: Arc<Crash>) -> TestHost {
    let store = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
    let setup = Setup::on(Arc::new(Crashing::new(store, crash)), directory.clone());
    setup.clock(Arc::new(clock.clone())).plugin("spawns").start().await
}

/// Lets a host work until all is done, or the crash has come. Time moves when nothing executes.
async fn drive(host: &TestHost, clock: &ManualClock, crash: &Crash) {
    let store = host.inner().store.clone();
    let patience = tokio::time::Instant::now() + PATIENCE;
    let mut changes = host.inner().changes();
    while !crash.has_happened() {
        // A store that answers nothing is one that is gone.
        if let Ok(true) = is_done(&*store, clock).await {
            return;
        }
        assert!(tokio::time::Instant::now() < patience, "it hangs");
        let _ = tokio::time::timeout(Duration::from_millis(1), changes.changed()).await;
    }
}

async fn is_done(store: &dyn Store, clock: &ManualClock) -> Result<bool, sublane_store::StoreError> {
    let runs = store.runs(RunFilter { limit: 100, ..RunFilter::default() }).await?;
    let owed = store.deliveries(DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await?;
    if !runs.is_empty() && runs.iter().all(Run::is_ended) {
        return Ok(owed.iter().all(|owed| owed.state == DeliveryState::Delivered));
    }
    let executes = |run: &Run| matches!(run.state, RunState::Queued | RunState::Running { .. });
    let next = store.next_due().await?.filter(|next| *next > clock.now());
    // What is due next is of these runs only if nothing has moved them meanwhile.
    let still = store.runs(RunFilter { limit: 100, ..RunFilter::default() }).await?;
    if let Some(next) = next.filter(|_| still == runs && !runs.iter().any(executes)) {
        clock.advance(next.since(clock.now()));
    }
    Ok(false)
}

/// What became of it, with a crash at this point on the way. `None`: it did not come.
async fn lived(point: Point) -> Option<History> {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    // Accepted by a host that executes nothing, so that all points are of what follows.
    let first = Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns").slots(0);
    let first = first.start().await;
    begin(&first).await;
    first.host.stop().await;
    let crash = Crash::new(Some(point), Blow::Refuse);
    let host = start(&directory, &clock, crash.clone()).await;
    drive(&host, &clock, &crash).await;
    host.host.stop().await;
    if !crash.has_happened() {
        return None;
    }
    let none = Crash::new(None, Blow::Refuse);
    let host = start(&directory, &clock, none.clone()).await;
    drive(&host, &clock, &none).await;
    let history = History::read(&*host.inner().store).await;
    host.host.stop().await;
    Some(history)
}

/// What must have come of it, whatever was crashed.
fn check(point: &Point, history: &History) {
    assert_eq!(history.faults_of_runs(), Vec::<String>::new(), "{point}");
    let named = |agent: &str, depth: u32| {
        let is_it = move |run: &&Run| run.spec.agent == agent && run.spec.depth == depth;
        history.runs.iter().filter(is_it).collect::<Vec<_>>()
    };
    let [child] = named("act", 1)[..] else { panic!("{point}: one child") };
    let Some(Outcome::Failed { message, .. }) = child.outcome() else { panic!("{point}: {:?}", child.state) };
    assert_eq!(&**message, "the studio is closed", "{point}");
    assert_eq!((child.generation, child.retried), (1, 1), "{point}: it began again, once");
    let aside = history.deliveries.iter().filter(|owed| owed.destination.address == "aside").count();
    assert_eq!(aside, 1, "{point}: it is told once");
    let echoes = named("echo", 2);
    let cancelled = |echo: &&Run| matches!(echo.outcome(), Some(Outcome::Cancelled { .. }));
    assert_eq!((echoes.len(), echoes.iter().all(cancelled)), (2, true), "{point}: one for each generation");
    let pauses = child.begun.since(BEGIN);
    assert!(pauses >= Duration::from_secs(61), "{point}: it rested {pauses:?}");
}

async fn crashed_at_each(side: Side) {
    let mut points = 0;
    // The first write is the recovery, without which a host does not start.
    for write in 2.. {
        let point = Point::write(side, write);
        let Some(history) = lived(point).await else { break };
        check(&point, &history);
        points += 1;
    }
    assert!(points >= 15, "only {points} points");
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_before_each_commit_a_failed_run_begins_again_once() {
    crashed_at_each(Side::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_after_each_commit_a_failed_run_begins_again_once() {
    crashed_at_each(Side::After).await;
}
