//! A run that fails begins again by itself, when it was spawned so: how often, when, and what of it
//! is over then.

mod crashes;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::{Setup, TestHost, value};

/// 2027-01-15T08:00:00Z.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A spawn of steps that may be begun again so, and more of its request.
fn spawn(steps: &Value, retry: &Value, more: Value) -> Value {
    let mut ask = json!({ "agent": "spawns/act", "task": steps, "name": "film", "retry": retry,
        "scope": { "cpu-ms": 1_000, "kv-write": ["notes/"], "agents": ["spawns/echo"], "total": 5 } });
    let more = more.as_object().expect("an object");
    more.iter().for_each(|(key, value)| ask[key] = value.clone());
    json!({ "spawn": ask })
}

/// Three times: a minute after the first failure, then twice as long each time, three at most.
fn thrice() -> Value {
    json!({ "times": 3, "after-ms": 60_000, "grows": [200, 180_000] })
}

/// Fails until somebody has left a note.
fn open_studio() -> Value {
    json!({ "fail-unless": { "bucket": "notes", "key": "open", "why": "the studio is closed" } })
}

struct Scene {
    host: TestHost,
    clock: ManualClock,
}

impl Scene {
    async fn new(setup: Setup) -> Self {
        let clock = ManualClock::at(BEGIN);
        let host = setup.clock(Arc::new(clock.clone())).plugin("spawns").start().await;
        Self { host, clock }
    }

    async fn child(&self, parent: RunId) -> Run {
        let filter = RunFilter { parent: Some(parent), limit: 1, ..RunFilter::default() };
        // It has begun its child when it waits for it, or has waited.
        let has_begun = |run: &Run| run.is_ended() || run.state.kind() == "waiting";
        self.host.when(parent, "begun", has_begun).await;
        let found = self.host.inner().store.runs(filter).await.expect("the store answers");
        found.into_iter().next().expect("it has a child")
    }

    /// The child as soon as it rests before this generation.
    async fn rests(&self, child: RunId, generation: u32) -> Run {
        let rests = |run: &Run| {
            run.generation == generation && matches!(run.state, RunState::Delayed { .. }) || run.is_ended()
        };
        let run = self.host.when(child, "at rest", rests).await;
        assert!(!run.is_ended(), "{:?}", run.state);
        run
    }

    /// A parent of this spawn, which waits for it, and the child.
    async fn begin(&self, spawn: Value) -> (RunId, RunId) {
        let parent = self.host.begin("spawns/act", json!([spawn, { "wait": {} }])).await;
        (parent, self.child(parent).await.spec.id)
    }

    async fn open_the_studio(&self) {
        let note = json!([{ "kv-set": { "bucket": "notes", "key": "open", "value": "yes" } }]);
        self.host.run("spawns/act", note).await;
    }

    /// What the parent was told of its child at last.
    async fn told(&self, parent: RunId) -> Value {
        value(&self.host.ended(parent).await)[1][0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_begins_again_later_each_time_and_is_told_once() {
    let scene = Scene::new(Setup::in_memory()).await;
    let steps = json!([open_studio(), "now"]);
    let ask = spawn(&steps, &thrice(), json!({ "deliver": ["origin"] }));
    let (parent, child) = scene.begin(ask).await;
    let store = scene.host.inner().store.clone();
    let mut now = BEGIN;
    for (generation, minutes) in [(1, 1), (2, 2), (3, 3)] {
        let rests = scene.rests(child, generation).await;
        let until = now.after(minutes * MINUTE);
        assert_eq!((&rests.state, rests.retried), (&RunState::Delayed { until }, generation));
        assert_eq!(store.journal(child, generation).await.expect("readable").len(), 0);
        assert_eq!(store.journal(child, generation - 1).await.expect("readable").len(), 1, "it is kept");
        scene.clock.advance(minutes * MINUTE - Duration::from_millis(1));
        assert_eq!(scene.rests(child, generation).await.attempt, generation, "not before");
        if generation == 3 {
            scene.open_the_studio().await;
        }
        scene.clock.advance(Duration::from_millis(1));
        now = until;
    }
    assert_eq!(scene.told(parent).await, json!({ "succeeded": [null, now.0] }), "its clock is of now");
    let ended = scene.host.when(child, "ended", Run::is_ended).await;
    assert_eq!((ended.generation, ended.attempt, ended.crashes), (3, 4, 0));
    scene.host.until("both are told", || scene.host.recorder.deliveries().len() >= 3).await;
    let told = scene.host.recorder.deliveries();
    assert_eq!(told.iter().filter(|owed| owed.run == child).count(), 1, "nobody heard of the failures");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failure_is_the_runs() {
    let scene = Scene::new(Setup::in_memory()).await;
    let once = json!({ "times": 1, "after-ms": 1_000 });
    let ask = spawn(&json!([open_studio()]), &once, json!({ "deliver": ["console:aside"] }));
    let (parent, child) = scene.begin(ask).await;
    scene.rests(child, 1).await;
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.told(parent).await, json!({ "failed": "FailureReason::Failed: the studio is closed" }));
    let aside = || {
        let all = scene.host.recorder.deliveries();
        all.into_iter().filter(|owed| owed.destination.address == "aside").count()
    };
    scene.host.until("it is told", || aside() > 0).await;
    assert_eq!(aside(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_try_would_meet_again_is_not_tried() {
    let scene = Scene::new(Setup::in_memory()).await;
    let failures = json!({ "times": 3, "after-ms": 1_000, "only-failures": true });
    let mut ends = Vec::new();
    for (step, retry) in [
        (json!({ "fail-for-good": "no such film" }), thrice()),
        (json!({ "panic": "upside down" }), failures),
        (json!({ "work": 1_u64 << 50 }), thrice()),
    ] {
        let (parent, child) = scene.begin(spawn(&json!([step]), &retry, json!({}))).await;
        ends.push(scene.told(parent).await);
        let ended = scene.host.when(child, "ended", Run::is_ended).await;
        assert_eq!((ended.generation, ended.retried), (0, 0), "{step}");
    }
    let failed = |number: usize| ends[number]["failed"].as_str().expect("it failed").to_owned();
    assert_eq!(failed(0), "FailureReason::Failed: no such film");
    assert!(failed(1).starts_with("FailureReason::Trapped: "), "{ends:?}");
    assert!(failed(2).starts_with("FailureReason::OutOfCpu: "), "{ends:?}");
    // With breakdowns, a panic is tried again.
    let (parent, child) = scene.begin(spawn(&json!([{ "panic": "again" }]), &thrice(), json!({}))).await;
    scene.rests(child, 1).await;
    // A cancellation ends a run that rests, and is not retried.
    scene.host.inner().cancel(child, "enough").await.expect("the store answers");
    assert_eq!(scene.told(parent).await, json!({ "cancelled": "enough" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_of_all_generations_together() {
    let scene = Scene::new(Setup::in_memory()).await;
    let ask = spawn(&json!([open_studio()]), &thrice(), json!({ "timeout-ms": 120_000 }));
    let (parent, child) = scene.begin(ask).await;
    let rests = scene.rests(child, 1).await;
    assert_eq!(rests.spec.deadline(), BEGIN.after(2 * MINUTE));
    scene.clock.advance(MINUTE);
    // The next one would begin after it: the run fails now, with what it came to.
    assert_eq!(scene.told(parent).await, json!({ "failed": "FailureReason::Failed: the studio is closed" }));
    let ended = scene.host.when(child, "ended", Run::is_ended).await;
    assert_eq!((ended.generation, ended.since), (1, BEGIN.after(MINUTE)));
    // One that waits when its time is up is timed out, whatever its policy says.
    let ask = spawn(&json!([{ "receive": {} }]), &thrice(), json!({ "timeout-ms": 120_000 }));
    let (parent, child) = scene.begin(ask).await;
    scene.host.when(child, "waiting", |run| run.state.kind() == "waiting").await;
    scene.clock.advance(2 * MINUTE);
    assert_eq!(scene.told(parent).await, json!("timed-out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_failed_generation_began_is_cancelled_and_the_next_begins_its_own() {
    let scene = Scene::new(Setup::in_memory()).await;
    let echo = |name: &str, detached: bool| {
        json!({ "spawn": { "agent": "spawns/echo", "name": name, "detached": detached,
            "scope": { "cpu-ms": 10 }, "begin-after-ms": 300_000 } })
    };
    let steps = json!([echo("attached", false), echo("detached", true), open_studio()]);
    let (_, child) = scene.begin(spawn(&steps, &thrice(), json!({ "timeout-ms": 3_000_000 }))).await;
    scene.rests(child, 1).await;
    let below = async || {
        let filter = RunFilter { parent: Some(child), limit: 9, ..RunFilter::default() };
        let runs = scene.host.inner().store.runs(filter).await.expect("the store answers");
        runs.into_iter().map(|run| (run.spec.name.clone(), run)).rev().collect::<Vec<_>>()
    };
    let first = below().await;
    assert_eq!(first.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["attached", "detached"]);
    let Some(Outcome::Cancelled { reason }) = first[0].1.outcome() else { panic!("{:?}", first[0].1.state) };
    assert_eq!(&**reason, "film failed and begins again");
    assert_eq!(first[1].1.state.kind(), "delayed", "it goes on without it");
    scene.clock.advance(MINUTE);
    scene.rests(child, 2).await;
    let second = below().await;
    assert_eq!(second.len(), 4, "each generation's are its own");
    assert_ne!(second[2].1.spec.id, first[0].1.spec.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_kept_to_is_refused_in_words() {
    let scene = Scene::new(Setup::in_memory()).await;
    let day = 86_400_000_u64;
    let policies = [
        json!({ "times": 0, "after-ms": 1_000 }),
        json!({ "times": 21, "after-ms": 1_000 }),
        json!({ "times": 1, "after-ms": 999 }),
        json!({ "times": 1, "after-ms": day + 1 }),
        json!({ "times": 1, "after-ms": 2_000, "grows": [200, 1_999] }),
        json!({ "times": 1, "after-ms": 2_000, "grows": [200, day + 1] }),
        json!({ "times": 1, "after-ms": 1_000, "grows": [99, 2_000] }),
        json!({ "times": 1, "after-ms": 1_000, "grows": [1_001, 2_000] }),
        json!({ "times": 1, "after-ms": 1_000, "jitter": 51 }),
        json!({ "times": 20, "after-ms": day, "grows": [1_000, day], "jitter": 50 }),
    ];
    let steps: Value = policies.iter().map(|policy| spawn(&json!(["now"]), policy, json!({}))).collect();
    let done = value(&scene.host.run("spawns/act", steps).await);
    let said = |step: usize| done[step]["error"].as_str().unwrap_or_default().to_owned();
    let expected = [
        "invalid: a run is retried 1 to 20 times, not 0",
        "invalid: a run is retried 1 to 20 times, not 21",
        "invalid: the delay of a retry is 1000 to 86400000 ms, not 999",
        "invalid: the delay of a retry is 1000 to 86400000 ms, not 86400001",
        "invalid: the ceiling of retries is the delay to 86400000 ms, not 1999",
        "invalid: the ceiling of retries is the delay to 86400000 ms, not 86400001",
        "invalid: the factor of retries is 100 to 1000 per cent, their jitter at most 50",
        "invalid: the factor of retries is 100 to 1000 per cent, their jitter at most 50",
        "invalid: the factor of retries is 100 to 1000 per cent, their jitter at most 50",
        "",
    ];
    assert_eq!((0..policies.len()).map(said).collect::<Vec<_>>(), expected);
    assert!(done[9]["run"].is_string(), "{done}");
}

/// What a generation has spent is gone, and the next one has the rest.
#[tokio::test(flavor = "multi_thread")]
async fn all_generations_spend_from_one_purse() {
    let scene = Scene::new(Setup::in_memory()).await;
    let work = json!([{ "work": 20_000_000 }, "now", open_studio()]);
    let (parent, child) = scene.begin(spawn(&work, &thrice(), json!({}))).await;
    let mut left = scene.rests(child, 1).await.purse;
    let given = scene.rests(child, 1).await.spec.purse;
    assert!(left.cpu_us < given.cpu_us && left.host_calls < given.host_calls, "{left:?} of {given:?}");
    for (generation, minutes) in [(2, 1), (3, 2)] {
        scene.clock.advance(minutes * MINUTE);
        let rests = scene.rests(child, generation).await;
        assert!(rests.purse.cpu_us < left.cpu_us && rests.purse.host_calls < left.host_calls);
        assert_eq!(rests.spec.purse, given);
        left = rests.purse;
    }
    scene.clock.advance(3 * MINUTE);
    assert_eq!(scene.told(parent).await, json!({ "failed": "FailureReason::Failed: the studio is closed" }));
}
