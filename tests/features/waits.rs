//! Waits: until an instant, for the first of several things, and what is overdue after a long stop.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::lane::LaneLimits;
use sublane_core::{Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::SqliteStore;
use sublane_tests::watching::Watching;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, temporary, value};

/// When every run on a clock that is moved by hand begins.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

fn actor(steps: Value) -> Value {
    json!({ "spawn": { "agent": "spawns/act", "task": steps, "scope": { "cpu-ms": 1000 } } })
}

fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} did not fail: {done}"))
}

/// Whether it waits and holds no instance.
fn is_cold(run: &Run) -> bool {
    matches!(run.state, RunState::Waiting { token: None })
}

/// Drops the instances of runs that wait, until this one has none.
async fn cooled(host: &TestHost, clock: &ManualClock, run: RunId) {
    host.when(run, "cold", |run| {
        host.inner().lanes.cool_down(Duration::ZERO, clock.now());
        is_cold(run)
    })
    .await;
}

/// The sweep over what is due looks before it takes the store's write lock; only the outbox's takes it,
/// every five seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_nothing_to_do_but_wait_hardly_writes() {
    const SECONDS: u32 = 20;
    let directory = temporary();
    let store = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
    let (store, clock) = (Watching::new(store), ManualClock::at(BEGIN));
    let setup = Setup::on(Arc::new(store.clone()), directory).clock(Arc::new(clock.clone()));
    let host = setup.plugin("spawns").start().await;
    let run = host.begin("spawns/act", json!([{ "sleep": 600_000 }])).await;
    host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    cooled(&host, &clock, run).await;
    store.take();
    for _ in 0..SECONDS {
        clock.advance(Duration::from_secs(1));
        // Whoever sleeps for the shortest time has looked, and sleeps again.
        let soon = clock.now().after(Duration::from_millis(250));
        host.until("the sweeps have looked", || clock.next_wake() == Some(soon)).await;
    }
    let (writes, reads) = store.look(|written| (written.writes, written.reads));
    assert!(reads >= SECONDS, "{reads} reads in {SECONDS} s");
    assert!(writes <= SECONDS / 5 + 2, "{writes} writes in {SECONDS} s");
}

/// Whoever decides a wait tells the instance that waits; one that is not told finds it out by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_wakes_goes_on_when_its_instance_is_dropped() {
    let clock = ManualClock::at(BEGIN);
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    let run = host.begin("spawns/act", json!([{ "receive": {} }, "now"])).await;
    host.until("parked", || host.inner().lanes.parked() == 1).await;
    let told = host.inner().store.send(run, "\"go on\"".into(), None, clock.now()).await;
    assert_eq!(told.expect("it waits for a message").resumed.len(), 1, "and nobody is told");
    let run = host
        .when(run, "ended", |run| {
            clock.advance(Duration::from_millis(100));
            run.is_ended()
        })
        .await;
    assert_eq!(value(run.outcome().expect("an end"))[0], json!("go on"));
    assert_eq!(run.crashes, 0, "it is no crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_no_instance_warm() {
    let clock = ManualClock::at(BEGIN);
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    host.until("parked", || host.inner().lanes.parked() == 1).await;
    clock.set_back(DAY);
    host.when(run, "cold", |run| {
        clock.advance(Duration::from_secs(1));
        is_cold(run)
    })
    .await;
    assert!(clock.now().after(DAY / 2) < BEGIN, "long before the day has passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_things_the_first_is_told_with_its_place_evicted_or_not() {
    for hot_window in [Duration::from_secs(3_600), Duration::ZERO] {
        let mut setup = Setup::in_memory().plugin("spawns");
        setup.settings.hot_window = hot_window;
        let steps = json!([
            actor(json!([{ "first": [{ "within-ms": 600_000 }, "message"] }])),
            actor(json!([])),
            { "wait": { "children": [1] } },
            { "first": ["message", { "any-of": [1] }, { "within-ms": 0 }] },
            { "first": [{ "within-ms": 0 }, { "any-of": [1] }] },
            { "first": [{ "all-of": [0, 1] }, "message", { "within-ms": 40 }] },
            { "send": { "child": 0, "message": "go on" } },
            { "first": ["message", { "all-of": [1, 0] }] },
            { "first": [{ "until": 5 }] },
        ]);
        let done = acted(&setup.start().await, steps).await;
        let first = json!({ "succeeded": [[1, { "message": "go on" }]] });
        assert_eq!(done[3], json!([1, { "ended": [{ "succeeded": [] }] }]), "{hot_window:?}");
        assert_eq!(done[4], json!([0, "time"]), "{hot_window:?}: both are there");
        assert_eq!(done[5], json!([2, "time"]), "{hot_window:?}: one of two is not all");
        assert_eq!(done[7], json!([1, { "ended": [{ "succeeded": [] }, first] }]), "{hot_window:?}");
        assert_eq!(done[8], json!([0, "time"]), "{hot_window:?}: it has passed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_waited_for_is_refused_in_words() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let other = host.begin("spawns/echo", json!(1)).await.to_string();
    host.ended(other.parse().expect("an id")).await;
    let in_a_tool = |steps: Value| json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": steps } } });
    let done = acted(
        &host,
        json!([
            { "first": [] },
            { "first": vec![json!("message"); 17] },
            { "first": [{ "run": "no id" }] },
            { "first": ["message", { "run": other }] },
            { "first": [{ "until": 99_000_000_000_000_u64 }] },
            { "sleep-until": 99_000_000_000_000_u64 },
            { "sleep-until": 5 },
            { "first": [{ "until": 99_000_000_000_000_u64 }, { "within-ms": 1 }] },
            in_a_tool(json!([
                { "first": ["message", { "within-ms": 1 }] },
                { "first": [{ "within-ms": 1 }] },
                { "sleep-until": 5 },
            ])),
        ]),
    )
    .await;
    assert_eq!(error(&done, 0), "invalid: a wait is for 1 to 16 things, this one for 0");
    assert_eq!(error(&done, 1), "invalid: a wait is for 1 to 16 things, this one for 17");
    assert!(error(&done, 2).starts_with("invalid: "), "{done}");
    assert!(error(&done, 3).starts_with(&format!("denied: subagent {other}")), "{done}");
    assert!(error(&done, 4).contains("the limit cap.deadline of "), "{done}");
    assert!(error(&done, 5).contains("the limit cap.deadline of "), "{done}");
    assert_eq!(done[6], json!(null), "it has passed");
    assert_eq!(done[7], json!([1, "time"]), "one of them comes");
    assert_eq!(error(&done[8], 0), "invalid: a tool call is short: it has no mailbox");
    assert_eq!(error(&done[8], 1), "invalid: a tool call is short: it cannot sleep");
    assert_eq!(error(&done[8], 2), "invalid: a tool call is short: it cannot sleep");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_several_ends_with_its_run() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let waits = json!([{ "first": ["message", { "within-ms": 600_000 }] }]);
    let late = json!({ "spawn": {
        "agent": "spawns/act", "task": waits, "scope": { "cpu-ms": 1000 }, "timeout-ms": 40,
    } });
    let done = acted(
        &host,
        json!([
            late,
            { "wait": { "children": [0] } },
            actor(waits.clone()),
            { "wait": { "children": [1], "within-ms": 20 } },
            { "cancel": { "child": 1, "reason": "enough" } },
            { "wait": { "children": [1] } },
        ]),
    )
    .await;
    assert_eq!(done[1], json!(["timed-out"]));
    assert_eq!(done[5], json!([{ "cancelled": "enough (by spawns/act)" }]));
    assert_eq!(host.inner().lanes.in_line(), 0);
}

/// `spawns`, under this name, for as long as this.
fn lasting(id: &str, timeout: &str) -> String {
    format!("id = \"{id}\"\nversion = \"0.1.0\"\n[asks]\ncpu = \"60s\"\ntimeout = \"{timeout}\"\n")
}

/// Complaint 128011 (R1): no work in the background that somebody watches over.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_year_over_restarts() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let start = async || {
        let limits = LaneLimits { timeout: 400 * DAY, ..LaneLimits::default() };
        let mut setup = Setup::durable(&directory).clock(Arc::new(clock.clone()));
        setup.lanes = vec![("main".to_owned(), limits)];
        // Named once for each host: the copy of the plugin has a directory of its own.
        let name = directory.path().join("plugin-0");
        if name.exists() {
            return setup.component(name.join("spawns.wasm")).start().await;
        }
        setup.plugin_with("spawns", &lasting("spawns", "400d")).start().await
    };
    let host = start().await;
    let year = BEGIN.after(365 * DAY);
    let steps = json!([
        { "sleep-until": year.0 },
        { "first": ["message", { "until": year.after(10 * DAY).0 }] },
        { "sleep-until": year.after(40 * DAY).0 },
    ]);
    let run = host.begin("spawns/act", steps).await;
    cooled(&host, &clock, run).await;
    host.host.stop().await;
    clock.advance(364 * DAY);
    let host = start().await;
    let waits = host.inner().store.wait_of(run).await.expect("the store answers").expect("it waits");
    assert_eq!(waits.due, Some(year));
    clock.advance(DAY);
    host.until("it goes on", || clock.next_wake().is_some()).await;
    host.when(run, "at the next wait", |run| is_cold(run) || run.attempt > 1).await;
    cooled(&host, &clock, run).await;
    host.host.stop().await;
    clock.advance(30 * DAY);
    let host = start().await;
    let done = value(&host.ended(run).await);
    assert_eq!((&done[0], &done[1]), (&json!(null), &json!([1, "time"])));
    let deadline = BEGIN.after(400 * DAY).0;
    assert!(error(&done, 2).contains(&format!("cap.deadline of {deadline}")), "{done}");
}

/// Twenty runs of one plugin and one of another are due at once, as after a night on which the machine
/// was suspended: they are woken by and by, and the one does not wait for the twenty.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_at_once_after_a_long_stop_is_spread_and_in_turn() {
    let clock = ManualClock::at(BEGIN);
    let web = Web::start(|_| Answer::Silence).await;
    let blocks = format!(
        "{}requests = 10\nbytes-out = \"1MiB\"\nbytes-in = \"1MiB\"\nhttp = [{{ to = \"{}\" }}]\n",
        lasting("blocks", "50m"),
        web.url()
    );
    let mut setup = Setup::in_memory().clock(Arc::new(clock.clone())).slots(1);
    setup.settings.line = 8;
    let plugins = [lasting("many", "50m"), lasting("few", "50m"), blocks];
    let host = plugins.iter().fold(setup, |setup, manifest| setup.plugin_with("spawns", manifest));
    let host = host.start().await;
    let mut many = Vec::new();
    for n in 0..20 {
        many.push(host.begin("many/act", json!([{ "sleep": 1_000 + n }])).await);
    }
    let few = host.begin("few/act", json!([{ "sleep": 5_000 }])).await;
    for run in many.iter().chain([&few]) {
        host.when(*run, "asleep", |run| matches!(run.state, RunState::Waiting { .. })).await;
    }
    // Whoever has the only slot waits for a server that does not answer.
    let blocker = host.begin("blocks/act", json!([{ "http": { "url": web.url() } }])).await;
    host.until("the slot is taken", || !web.asked().is_empty()).await;
    clock.advance(Duration::from_secs(600));
    let line_is = async |runs: usize| {
        host.until(&format!("{runs} are in line"), || host.inner().lanes.in_line() == runs).await;
    };
    // As many as may be, and one for good measure.
    line_is(9).await;
    assert_eq!(sleeping(&host, &many).await, 12);
    assert_eq!(sleeping(&host, &[few]).await, 0, "the other plugin's one is among the first");
    for longer in 10..13 {
        clock.advance(host.inner().settings.sweep / 10);
        line_is(longer).await;
    }
    drop(web);
    assert!(matches!(host.ended(blocker).await, Outcome::Succeeded(_)));
    for run in many.iter().chain([&few]) {
        let slept = host.when(*run, "ended", |run| {
            clock.advance(Duration::from_millis(100));
            run.is_ended()
        });
        assert_eq!(value(slept.await.outcome().expect("it has ended")), json!([null]));
    }
}

async fn sleeping(host: &TestHost, runs: &[RunId]) -> usize {
    let mut asleep = 0;
    for run in runs {
        let run = host.inner().store.run(*run).await.expect("the store answers").expect("it is there");
        asleep += usize::from(matches!(run.state, RunState::Waiting { .. }));
    }
    asleep
}
