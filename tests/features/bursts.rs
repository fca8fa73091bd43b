//! Many at once: none is lost, none is served for another, and who is refused is told why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::lane::LaneLimits;
use sublane_core::{RunId, RunState, Timestamp};
use sublane_store::Model;
use sublane_tests::burst::{TEN, manifest, ten_at_once, when_the_first_is_done};
use sublane_tests::history::History;
use sublane_tests::watching::Watching;
use sublane_tests::{Setup, TestHost, temporary, value};

/// A host whose writes are watched.
struct Watched {
    host: TestHost,
    writes: Watching<Model>,
}

/// The plugin `spawns` under these names, each with room for a thousand.
async fn watched(names: &[&str], burst: LaneLimits) -> Watched {
    watched_on(None, names, burst).await
}

/// As [`watched`], on so many threads, or as many as there are cores.
async fn watched_on(threads: Option<usize>, names: &[&str], burst: LaneLimits) -> Watched {
    let writes = Watching::new(Model::default());
    let mut setup = Setup::on(Arc::new(writes.clone()), temporary());
    if let Some(threads) = threads {
        setup.settings.guest_threads = threads;
    }
    for name in names {
        setup = setup.plugin_with("spawns", &manifest(name));
    }
    setup.lanes.push(("burst".to_owned(), burst));
    Watched { host: setup.start().await, writes }
}

impl Watched {
    /// Stops it when so many endings are told, and gives all that became of it.
    async fn history(self, told: usize) -> History {
        let recorder = self.host.recorder.clone();
        self.host.until("all is told", || recorder.deliveries().len() == told).await;
        let store = self.host.inner().store.clone();
        self.host.host.stop().await;
        let mut history = History::read(&*store).await;
        let got = recorder.deliveries();
        history.received = got.iter().map(|got| (got.id.to_string(), got.body.to_string())).collect();
        history
    }
}

/// What ARCHITECTURE.md states: when one of equals has all of its runs done, each other
/// has at least two thirds of its own.
fn check_fair(done: &[usize], groups: usize, each: usize) {
    assert_eq!(done.len(), groups, "all of them had some: {done:?}");
    assert!(done.iter().all(|count| count * 3 >= each * 2), "of {each}: {done:?}");
}

/// Complaint 87537 (R27), from one parent: of ten rapid spawns one or two failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_spawns_of_one_parents_children_are_none_lost() {
    let watched = watched(&["spawns"], LaneLimits::default()).await;
    a_thousand_of_one_parents_children(watched).await;
}

/// On one thread: of several the machine may leave one standing for as long as another takes for a hundred
/// runs, and that says nothing about the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_spawns_of_one_parents_children_are_served_in_turn() {
    let watched = watched_on(Some(1), &["spawns"], LaneLimits::default()).await;
    let done = a_thousand_of_one_parents_children(watched).await;
    check_fair(&done.of_each, 5, done.least);
}

/// How far five children were when the first of them had all that it had to do.
struct Progress {
    of_each: Vec<usize>,
    /// What each of them had to do from when all of them had begun.
    least: usize,
}

async fn a_thousand_of_one_parents_children(watched: Watched) -> Progress {
    const EACH: usize = 200;
    let leaf =
        |n: usize| json!({ "spawn": { "agent": "spawns/echo", "task": n, "scope": { "cpu-ms": 20 } } });
    // All begin when the last of them is there: to check a task of so many steps takes its time.
    let mut steps = vec![json!({ "receive": {} })];
    for wave in 0..EACH / 5 {
        steps.extend((5 * wave..5 * wave + 5).map(leaf));
        let wave: Vec<_> = (5 * wave..5 * wave + 5).collect();
        steps.push(json!({ "wait": { "children": wave } }));
    }
    let scope = json!({
        "agents": ["spawns/echo"], "depth": 1, "active-children": 5, "total": EACH, "cpu-ms": 60_000,
    });
    let child = json!({ "spawn": { "agent": "spawns/act", "task": steps, "scope": scope } });
    let mut parent = vec![child; 5];
    parent.extend((0..5).map(|child| json!({ "send": { "child": child, "message": "begin" } })));
    parent.push(json!({ "wait": {} }));
    let outcome = watched.host.run("spawns/act", json!(parent)).await;
    let results = value(&outcome)[10].clone();
    for child in results.as_array().expect("what the wait gave") {
        let steps = child["succeeded"].as_array().unwrap_or_else(|| panic!("it failed: {child}"));
        let refused: Vec<_> = steps.iter().filter_map(|step| step["error"].as_str()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        let given: Vec<_> = steps.iter().filter_map(Value::as_array).flatten().collect();
        let expected: Vec<_> = (0..EACH).map(|n| json!({ "succeeded": n })).collect();
        assert_eq!(given, expected.iter().collect::<Vec<_>>(), "each result once, in its place");
    }
    let endings = watched.writes.take();
    let history = watched.history(1).await;
    assert_eq!(history.runs.len(), 1 + 5 + 1_000);
    assert_eq!(history.faults(), Vec::<String>::new());
    let parents: BTreeMap<RunId, RunId> = history
        .runs
        .iter()
        .filter(|run| run.spec.depth == 2)
        .filter_map(|run| Some((run.spec.id, run.spec.parent?)))
        .collect();
    // They begin one after the other; from when all of them have, they are served in turn.
    let of: Vec<_> = endings.endings().filter_map(|run| parents.get(&run)).collect();
    let mut seen = BTreeSet::new();
    let begun = of.iter().position(|parent| seen.insert(*parent) && seen.len() == 5).expect("all begin");
    let rest = &of[begun..];
    let left = |parent: &&RunId| rest.iter().filter(|other| *other == parent).count();
    let least = seen.iter().map(left).min().expect("there are five");
    Progress { of_each: when_the_first_is_done(rest.iter(), least), least }
}

/// Complaint 87537 (R27), from ten plugins at once.
/// Complaints 65470, 14214 and 69014 (R23): one slot for all that is nested: minutes of waiting for each
/// other.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_spawns_of_ten_plugins_at_once_are_none_lost_and_served_in_turn() {
    let watched = watched(&TEN, LaneLimits::default()).await;
    let parents = ten_at_once(&watched.host, |ready| ready == 1_000).await;
    for parent in &parents {
        let given = value(&watched.host.ended(*parent).await)[20].clone();
        assert_eq!(given.as_array().map(Vec::len), Some(20), "{given}");
    }
    let written = watched.writes.take();
    let history = watched.history(parents.len()).await;
    assert_eq!(history.runs.len(), 50 + 1_000);
    assert_eq!(history.faults(), Vec::<String>::new());
    let plugins: BTreeMap<RunId, &str> = history
        .runs
        .iter()
        .filter(|run| run.spec.lane == "burst")
        .map(|run| (run.spec.id, run.spec.plugin.as_str()))
        .collect();
    check_fair(&when_the_first_is_done(written.endings().filter_map(|run| plugins.get(&run)), 100), 10, 100);
}

/// Complaint 87537 (R27): what does not fit is refused, with the limit and its value, and not lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_lane_refuses_of_a_burst_is_told_and_all_else_comes_to_its_end() {
    const ROOM: u32 = 300;
    let watched = watched(&TEN, LaneLimits { queue_length: ROOM, ..LaneLimits::default() }).await;
    let parents = ten_at_once(&watched.host, |ready| ready >= ROOM).await;
    let (mut accepted, mut refused) = (0, 0);
    for parent in &parents {
        let done = value(&watched.host.ended(*parent).await);
        let done = done.as_array().expect("what the steps came to");
        let (spawns, waited) = (&done[..20], &done[20]);
        let started = spawns.iter().filter(|step| step["run"].is_string()).count();
        for error in spawns.iter().filter_map(|step| step["error"].as_str()) {
            let expected = "the limit lane.queue-length of 300 is reached";
            assert!(error.starts_with(expected), "{error}");
            refused += 1;
        }
        if started > 0 {
            assert_eq!(waited.as_array().map(Vec::len), Some(started), "{waited}");
        }
        accepted += started;
    }
    assert_eq!(accepted + refused, 1_000, "each spawn was accepted or refused");
    // The lane goes on as soon as it is full, so that there is room again for some.
    assert!(accepted >= 300 && refused > 0, "{accepted} accepted, {refused} refused");
    let history = watched.history(parents.len()).await;
    assert_eq!(history.runs.len(), parents.len() + accepted);
    assert_eq!(history.faults(), Vec::<String>::new());
}

/// Complaint 88580 (R4): of children that ended within seconds of each other one result or none arrived.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_children_that_end_in_the_same_instant_are_thirty_results() {
    let clock = ManualClock::at(Timestamp(1_000_000));
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    let child = |n: usize| {
        json!({ "spawn": {
            "agent": "spawns/act", "task": [{ "sleep": 60_000 }, "random"], "name": format!("child-{n}"),
            "deliver": ["origin"], "scope": { "cpu-ms": 500 },
        } })
    };
    let parent = |n: usize| {
        let mut steps: Vec<_> = (10 * n..10 * n + 10).map(child).collect();
        steps.push(json!({ "wait": {} }));
        json!({ "spawn": { "agent": "spawns/act", "task": steps, "scope": {
            "agents": ["spawns/act"], "depth": 1, "active-children": 10, "total": 10, "channels": ["origin"],
            "cpu-ms": 10_000,
        } } })
    };
    let root = host.begin("spawns/act", json!([parent(0), parent(1), parent(2), { "wait": {} }])).await;
    let all = || sublane_store::RunFilter { limit: 100, ..Default::default() };
    loop {
        let runs = host.inner().store.runs(all()).await.expect("the store answers");
        let waits = |run: &&sublane_core::Run| matches!(run.state, RunState::Waiting { .. });
        if runs.iter().filter(waits).count() == 34 {
            break;
        }
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(60));
    let given = value(&host.ended(root).await)[3].clone();
    let results: Vec<_> =
        (0..3).flat_map(|n| given[n]["succeeded"][10].as_array().cloned().unwrap_or_default()).collect();
    assert_eq!(results.len(), 30, "{given}");
    assert!(results.iter().all(|result| result["succeeded"][1].is_number()), "{given}");
    host.until("all are told", || host.recorder.texts().len() == 31).await;
    let (store, recorder) = (host.inner().store.clone(), host.recorder.clone());
    host.host.stop().await;
    let mut history = History::read(&*store).await;
    let got = recorder.deliveries();
    history.received = got.iter().map(|got| (got.id.to_string(), got.body.to_string())).collect();
    assert_eq!(history.faults(), Vec::<String>::new());
    let at = |run: &sublane_core::Run| match run.state {
        RunState::Ended { at, .. } => at,
        _ => panic!("{} has not ended", run.spec.name),
    };
    let children: Vec<_> = history.runs.iter().filter(|run| run.spec.depth == 2).map(at).collect();
    assert_eq!(children, [Timestamp(1_060_000); 30]);
}
