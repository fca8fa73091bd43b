//! Cancelling a tree: all of it, at once, and nothing of it begins afterwards.

mod who;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane_core::{Outcome, Run, RunId, RunState};
use sublane_store::{Model, RunFilter};
use sublane_tests::watching::Watching;
use sublane_tests::{Setup, TestHost, temporary};

const MANIFEST: &str = r#"
    id = "spawns"
    version = "0.1.0"
    [asks]
    spawn = { agents = ["spawns/act"], depth = 5, active-children = 20, total = 2000 }
    cpu = "30m"
"#;

/// The steps of a run with so many levels below it, so wide: those at the bottom wait for a message.
fn tree(levels: u32, wide: u32) -> Value {
    let Some(below) = levels.checked_sub(1) else { return json!([{ "receive": {} }]) };
    let runs_below = (1..=below).map(|level| wide.pow(level)).sum::<u32>();
    let mut scope = json!({ "cpu-ms": 1_000 * (1 + u64::from(runs_below)) });
    if below > 0 {
        let more =
            json!({ "agents": ["spawns/act"], "depth": below, "active-children": wide, "total": runs_below });
        scope.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    }
    let child = json!({ "spawn": { "agent": "spawns/act", "task": tree(below, wide), "scope": scope } });
    let mut steps = vec![child; wide as usize];
    steps.push(json!({ "wait": {} }));
    json!(steps)
}

/// A host whose runs have no instance while they wait, with its writes watched.
async fn host() -> (TestHost, Watching<Model>) {
    let writes = Watching::new(Model::default());
    let mut setup = Setup::on(Arc::new(writes.clone()), temporary()).plugin_with("spawns", MANIFEST);
    setup.settings.hot_window = Duration::ZERO;
    setup.settings.sweep = Duration::from_millis(50);
    (setup.start().await, writes)
}

async fn runs(host: &TestHost) -> Vec<Run> {
    let filter = RunFilter { limit: 2_000, ..RunFilter::default() };
    host.inner().store.runs(filter).await.expect("the store answers")
}

/// Waits until the runs are as they should be.
async fn when(host: &TestHost, holds: impl Fn(&[Run]) -> bool) -> Vec<Run> {
    let mut changes = host.inner().changes();
    let search = async {
        loop {
            let runs = runs(host).await;
            if holds(&runs) {
                return runs;
            }
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, search).await.expect("the runs come to be so")
}

fn instances(host: &TestHost) -> u32 {
    use sublane::engine::Class;
    host.inner().engines.of(Class::Small).pool.used()
}

fn is_cancelled(run: &Run) -> bool {
    matches!(run.outcome(), Some(Outcome::Cancelled { .. }))
}

/// Lets a tree grow until all of it waits, cancels it, and gives how many runs each commit ended.
async fn check_cancelled(levels: u32, wide: u32) -> Vec<usize> {
    let count = (0..=levels).map(|level| wide.pow(level)).sum::<u32>() as usize;
    let (host, writes) = host().await;
    let root = host.begin("spawns/act", tree(levels, wide)).await;
    when(&host, |runs| {
        runs.len() == count && runs.iter().all(|run| run.state == RunState::Waiting { token: None })
    })
    .await;
    host.until("nothing is in memory", || instances(&host) == 0 && host.inner().attempts.lock().is_empty())
        .await;
    writes.take();
    let cancelled = host.inner().cancel(root, "enough").await.expect("the store answers");
    assert_eq!(cancelled as usize, count);
    let written = writes.take();
    assert!(runs(&host).await.iter().all(is_cancelled));
    assert!(written.claims.is_empty(), "none was woken to be ended");
    written.ended.iter().map(Vec::len).collect()
}

/// Complaints 77720 (R20) and 138910 (R21): grandchildren got no signal, and a stop waited for each
/// sibling's clean-up in turn. Steps are counted and not seconds: a tree five deep and four wide ends
/// in as many commits as a chain, and that is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_cancelled_in_one_step_however_wide_it_is() {
    assert_eq!(check_cancelled(4, 1).await, [5]);
    assert_eq!(check_cancelled(4, 4).await, [341]);
}

/// Complaint 77720 (R20): nothing of a cancelled tree begins afterwards, wherever it was in its growth.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_is_cancelled_while_it_grows_stops_growing() {
    for grown in [1, 6, 40, 150] {
        let (host, writes) = host().await;
        let root = host.begin("spawns/act", tree(4, 4)).await;
        when(&host, |runs| runs.len() >= grown).await;
        host.inner().cancel(root, "enough").await.expect("the store answers");
        let left = runs(&host).await;
        assert!(left.iter().all(is_cancelled), "all that was there has ended");
        host.until("the instances are gone", || {
            instances(&host) == 0 && host.inner().attempts.lock().is_empty()
        })
        .await;
        let lanes = || host.inner().lanes.status();
        host.until("the lanes are empty", || lanes().iter().all(|lane| lane.running + lane.ready == 0)).await;
        let ids = |runs: &[Run]| runs.iter().map(|run| run.spec.id).collect::<Vec<RunId>>();
        assert_eq!(ids(&runs(&host).await), ids(&left), "no run was added");
        let (ended, claims) = writes.look(|written| {
            let ended: Vec<_> = written.ended.iter().map(Vec::len).collect();
            (ended, written.claims.len())
        });
        assert_eq!(ended, [left.len()], "one commit ended all of them");
        assert!(claims <= 2 * left.len(), "{claims} claims of {} runs", left.len());
    }
}

/// Complaint 138910 (R21): twenty siblings that compute end in one commit, and all are told before
/// anybody is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn siblings_that_compute_are_stopped_together() {
    let manifest = MANIFEST.replace("\"spawns/act\"", "\"misbehaves/spin\"");
    let writes = Watching::new(Model::default());
    let mut setup = Setup::on(Arc::new(writes.clone()), temporary()).plugin("misbehaves").slots(32);
    setup = setup.plugin_with("spawns", &manifest);
    setup.settings.guest_threads = 1;
    let host = setup.start().await;
    let child = json!({ "spawn": { "agent": "misbehaves/spin", "scope": { "cpu-ms": 60_000 } } });
    let mut steps = vec![child; 20];
    steps.push(json!({ "wait": {} }));
    let root = host.begin("spawns/act", json!(steps)).await;
    when(&host, |runs| runs.iter().filter(|run| matches!(run.state, RunState::Running { .. })).count() == 20)
        .await;
    writes.take();
    assert_eq!(host.inner().cancel(root, "enough").await.expect("the store answers"), 21);
    assert_eq!(instances(&host), 0, "a cancellation returns when the instances are gone");
    let ended: Vec<_> = writes.take().ended.iter().map(Vec::len).collect();
    assert_eq!(ended, [21], "one commit ended all of them");
}
