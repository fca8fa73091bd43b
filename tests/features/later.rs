//! What begins later: runs with a beginning, and schedules.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane::schedules::{Missed, Rule, Schedule};
use sublane_core::{Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::{RunFilter, ScheduleRow};
use sublane_tests::command::CommandLine;
use sublane_tests::serving::Serving;
use sublane_tests::{Setup, TestHost, component, temporary, value};
use tempfile::TempDir;

/// 2027-01-15T08:00:00Z.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

async fn host(clock: &ManualClock, directory: &Arc<TempDir>) -> TestHost {
    Setup::durable(directory).clock(Arc::new(clock.clone())).plugin("spawns").start().await
}

/// A spawn that begins an hour later, and what else it is asked for.
fn later(more: Value) -> Value {
    let mut ask = json!({ "agent": "spawns/echo", "task": 7, "scope": { "cpu-ms": 1000 },
        "begin-after-ms": 3_600_000, "timeout-ms": 60_000 });
    let more = more.as_object().expect("an object");
    more.iter().for_each(|(key, value)| ask[key] = value.clone());
    json!({ "spawn": ask })
}

async fn child(host: &TestHost, parent: RunId) -> Run {
    let filter = RunFilter { parent: Some(parent), limit: 1, ..RunFilter::default() };
    host.inner().store.runs(filter).await.expect("the store answers").remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_begins_later_is_shown_and_begins_then_whatever_happens_to_the_host() {
    let (clock, directory) = (ManualClock::at(BEGIN), temporary());
    let line = CommandLine::beside(&directory);
    let first = host(&clock, &directory).await;
    let detached = later(json!({ "detached": true, "name": "later", "deliver": ["origin"] }));
    let parent = first.begin("spawns/act", json!([detached, "children"])).await;
    let done = value(&first.ended(parent).await);
    assert_eq!(done[0]["position"], 0, "{done}");
    assert_eq!(done[1][0]["state"], "queued", "{done}");
    let run = child(&first, parent).await;
    let at = BEGIN.after(HOUR);
    assert_eq!((&run.state, run.spec.deadline()), (&RunState::Delayed { until: at }, at.after(HOUR / 60)));
    let listed = line.json(&["runs", "list", "--state", "delayed"]).await;
    assert_eq!(listed["runs"][0]["name"], "later");
    let shown = line.json(&["runs", "show", "later"]).await;
    assert_eq!((&shown["state"], &shown["begins"]), (&json!("delayed"), &json!("2027-01-15T09:00:00.000Z")));
    let tree = line.run(&["runs", "tree"]).await.out;
    assert!(tree.contains("later  spawns/echo  delayed") && tree.contains("begins in "), "{tree}");
    let lanes = line.json(&["lanes", "list"]).await;
    let lane = |name: &str| {
        let lanes = lanes["lanes"].as_array().expect("a list");
        lanes.iter().find(|lane| lane["lane"] == name).expect("it is there").clone()
    };
    assert_eq!((&lane("subagent")["delayed"], &lane("subagent")["ready"]), (&json!(1), &json!(0)));
    first.host.stop().await;
    clock.advance(HOUR - Duration::from_millis(1));
    let second = host(&clock, &directory).await;
    assert_eq!(child(&second, parent).await.state, RunState::Delayed { until: at });
    clock.advance(Duration::from_millis(1));
    assert_eq!(value(&second.ended(run.spec.id).await), json!(7));
    let ended = child(&second, parent).await;
    assert_eq!((ended.attempt, ended.begun), (1, at));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_for_a_child_that_begins_later_and_cancels_it_too() {
    let (clock, directory) = (ManualClock::at(BEGIN), temporary());
    let host = host(&clock, &directory).await;
    let soon = later(json!({ "begin-after-ms": 300_000 }));
    let parent = host.begin("spawns/act", json!([soon, { "wait": {} }])).await;
    host.when(parent, "waiting", |run| run.state.kind() == "waiting").await;
    assert_eq!(host.inner().store.run(parent).await.expect("readable").expect("there").active_children, 1);
    clock.advance(Duration::from_secs(300));
    assert_eq!(value(&host.ended(parent).await)[1], json!([{ "succeeded": 7 }]));
    let cancelled = json!([soon, { "cancel": { "child": 0, "reason": "too late" } }, { "wait": {} }]);
    let done = value(&host.run("spawns/act", cancelled).await);
    assert_eq!(done[2], json!([{ "cancelled": "too late (by spawns/act)" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_has_a_limit_and_one_that_has_passed_is_at_once() {
    let (clock, directory) = (ManualClock::at(BEGIN), temporary());
    let host = host(&clock, &directory).await;
    let year = 366 * 86_400_000_u64;
    let steps = json!([
        later(json!({ "detached": true, "begin-after-ms": year + 1 })),
        later(json!({ "detached": true, "begin-after-ms": year })),
        later(json!({ "begin-after-ms": 7_200_000 })),
        later(json!({ "begin-after-ms": null, "begin-at-ms": 5 })),
        { "wait": { "children": [1] } },
    ]);
    let done = value(&host.run("spawns/act", steps).await);
    assert!(
        done[0]["error"].as_str().is_some_and(|error| error.contains(&format!("spawn.start of {year} "))),
        "{done}"
    );
    assert!(done[1]["run"].is_string(), "{done}");
    assert!(done[2]["error"].as_str().is_some_and(|error| error.contains("cap.deadline")), "{done}");
    assert_eq!(done[4], json!([{ "succeeded": 7 }]));
}

fn schedule(missed: Missed) -> Schedule {
    Schedule {
        name: "report".into(),
        rule: Rule::new("0 * * * *", Rule::zone("UTC").expect("it is there")).expect("a rule"),
        agent: "spawns/echo".into(),
        task: "\"report\"".into(),
        deliver: vec!["console:ops".parse().expect("well formed")],
        missed,
    }
}

async fn with_schedule(clock: &ManualClock, directory: &Arc<TempDir>, schedule: Schedule) -> TestHost {
    let mut host = host(clock, directory).await;
    host.host.begin_schedules(vec![schedule]).await.expect("the store takes it");
    host
}

struct Seen {
    row: ScheduleRow,
    runs: usize,
}

impl Seen {
    async fn of(host: &TestHost) -> Self {
        let store = &host.inner().store;
        // In this order: a run that is noted is there.
        let row = store.schedules().await.expect("readable").remove(0);
        let runs = store.runs(RunFilter { limit: 99, ..RunFilter::default() }).await.expect("readable");
        Self { row, runs: runs.len() }
    }
}

/// Waits until the schedule was decided up to an instant.
async fn decided(host: &TestHost, at: Timestamp) -> Seen {
    let patience = tokio::time::Instant::now() + sublane_tests::PATIENCE;
    loop {
        let seen = Seen::of(host).await;
        if seen.row.decided == at {
            return seen;
        }
        assert!(tokio::time::Instant::now() < patience, "it is not decided up to {at:?}: {:?}", seen.row);
        tokio::task::yield_now().await;
    }
}

/// Complaint 10749 (R42): nothing could be begun without asking a model.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_makes_one_run_for_each_instant_whoever_is_there() {
    let (clock, directory) = (ManualClock::at(BEGIN), temporary());
    let first = with_schedule(&clock, &directory, schedule(Missed::Once)).await;
    assert_eq!(Seen::of(&first).await.runs, 0, "what lies before it was configured makes no run");
    clock.advance(HOUR);
    let seen = decided(&first, BEGIN.after(HOUR)).await;
    let (at, run) = seen.row.fired.expect("it has come");
    assert_eq!((at, seen.runs), (BEGIN.after(HOUR), 1));
    let Outcome::Succeeded(output) = first.ended(run).await else { panic!("it succeeds") };
    assert_eq!(&*output.value, "\"report\"");
    let made = first.inner().store.run(run).await.expect("readable").expect("it is there");
    assert_eq!((made.spec.origin.to_string().as_str(), made.spec.parent), ("console:ops", None));
    first.host.stop().await;
    // The next host, at the same instant.
    let second = with_schedule(&clock, &directory, schedule(Missed::Once)).await;
    clock.advance(HOUR);
    let seen = decided(&second, BEGIN.after(HOUR * 2)).await;
    assert_eq!((seen.runs, seen.row.passed), (2, 0));
    // A clock that is set back, and goes on.
    clock.set_back(HOUR * 2);
    clock.advance(HOUR * 2);
    clock.advance(HOUR);
    let seen = decided(&second, BEGIN.after(HOUR * 3)).await;
    assert_eq!((seen.runs, seen.row.passed), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_made_up_for_once_or_passed_over() {
    for (missed, runs, passed) in [(Missed::Once, 1, 4), (Missed::Skip, 0, 5)] {
        let (clock, directory) = (ManualClock::at(BEGIN), temporary());
        with_schedule(&clock, &directory, schedule(missed)).await.host.stop().await;
        clock.advance(HOUR * 5 + Duration::from_secs(120));
        let host = with_schedule(&clock, &directory, schedule(missed)).await;
        let seen = decided(&host, BEGIN.after(HOUR * 5)).await;
        assert_eq!((seen.runs, seen.row.passed), (runs, passed), "{missed:?}");
        assert_eq!(seen.row.note, "no host was there in time");
        clock.advance(HOUR - Duration::from_secs(120));
        assert_eq!(decided(&host, BEGIN.after(HOUR * 6)).await.runs, runs + 1, "{missed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_make_its_run_says_why_and_goes_on() {
    let (clock, directory) = (ManualClock::at(BEGIN), temporary());
    let nobody = Schedule { agent: "nobody/there".into(), ..schedule(Missed::Once) };
    let host = with_schedule(&clock, &directory, nobody).await;
    clock.advance(HOUR);
    let seen = decided(&host, BEGIN.after(HOUR)).await;
    assert_eq!((seen.runs, seen.row.passed, seen.row.fired), (0, 1, None));
    assert!(seen.row.note.starts_with("there is no agent `nobody/there`"), "{}", seen.row.note);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_when_a_schedule_comes() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let config = directory.path().join("sublane.toml");
    let text = |agent: &str| {
        format!(
            "state = '.'\n[plugins.spawns]\ncomponent = '{}'\n[channels.console]\nkind = 'console'\n\
             agent = 'spawns/echo'\n[schedules.report]\ncron = '30 3 * * *'\nzone = 'Europe/Berlin'\n\
             agent = '{agent}'\ntask = '\"x\"'\ndeliver = ['console:ops']\n",
            component("spawns").display()
        )
    };
    std::fs::write(&config, text("spawns/ecko")).expect("it can be written");
    let checked = line.run(&["config", "check"]).await;
    assert!(checked.err.contains(":10: plugin `spawns` has no agent `ecko`; it has "), "{}", checked.err);
    std::fs::write(&config, text("spawns/echo")).expect("it can be written");
    let checked = line.run(&["config", "check"]).await;
    assert!(
        checked.out.contains("schedule report (30 3 * * * Europe/Berlin): spawns/echo"),
        "{}",
        checked.out
    );
    let host = Serving::start(&config).ready().await;
    host.signal(rustix::process::Signal::TERM);
    assert_eq!(host.end().await.exit, Some(0));
    let listed = line.json(&["schedules", "list"]).await;
    let report = &listed["schedules"][0];
    assert_eq!((&report["name"], &report["zone"]), (&json!("report"), &json!("Europe/Berlin")));
    assert_eq!(
        (&report["last"], &report["passed"], &report["missed"]),
        (&Value::Null, &json!(0), &json!("once"))
    );
    let next = report["next"].as_str().expect("it comes");
    assert!(next.ends_with("T01:30:00.000Z") || next.ends_with("T02:30:00.000Z"), "{next}");
    let shown = line.run(&["schedules", "show", "report"]).await.out;
    assert!(shown.contains("one run for all that were missed") && shown.contains("console:ops"), "{shown}");
    assert!(!shown.contains("no host has served"), "{shown}");
    let wrong = line.run(&["schedules", "show", "reporr"]).await;
    assert_eq!(wrong.exit, 2);
    assert!(wrong.err.contains("there is no schedule `reporr`; did you mean `report`?"), "{}", wrong.err);
}
