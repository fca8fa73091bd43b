//! Who ended a run is told, to whoever hears of its end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Outcome, RunId, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, TestHost, temporary, value};

/// A child that waits for a message, with its ending owed to people.
fn listener(name: &str) -> Value {
    json!({ "spawn": {
        "agent": "spawns/act", "name": name, "task": [{ "receive": {} }], "deliver": ["origin"],
        "scope": { "cpu-ms": 1000 },
    } })
}

async fn child_of(host: &TestHost, run: RunId) -> RunId {
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    let filter = RunFilter { parent: Some(run), limit: 1, ..RunFilter::default() };
    host.inner().store.runs(filter).await.expect("the store answers")[0].spec.id
}

/// People read this of the run.
async fn told(host: &TestHost, expected: &str) {
    let is_there = |text: &String| text.starts_with(expected);
    host.until(expected, || host.recorder.texts().iter().any(is_there)).await;
}

/// Complaint 122201 (R22): what the host had ended was said to have been stopped by the user. Here a
/// plugin may say so, and the host says who said it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_ended_a_run_is_named() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;

    let cancel = json!({ "cancel": { "child": 0, "reason": "stopped by the user." } });
    let done = value(&host.run("spawns/act", json!([listener("cello"), cancel, { "wait": {} }])).await);
    assert_eq!(done[2], json!([{ "cancelled": "stopped by the user (by spawns/act)" }]));
    told(&host, "cello was cancelled: stopped by the user (by spawns/act). ").await;

    let parent = host.begin("spawns/act", json!([listener("flute"), { "wait": {} }])).await;
    let child = child_of(&host, parent).await;
    line.json(&["runs", "cancel", &child.to_string(), "--reason", "out of tune."]).await;
    told(&host, "flute was cancelled: out of tune (by ada). ").await;
    assert_eq!(value(&host.ended(parent).await)[1], json!([{ "cancelled": "out of tune (by ada)" }]));

    let parent = host.begin("spawns/act", json!([listener("viola"), { "wait": {} }])).await;
    let child = child_of(&host, parent).await;
    line.json(&["runs", "cancel", &parent.to_string()]).await;
    let name = host.inner().store.run(parent).await.expect("readable").expect("there").spec.name.clone();
    told(&host, &format!("{name} was cancelled: ada cancelled it. ")).await;
    told(&host, &format!("viola was cancelled: {name} ended before it. ")).await;
    assert!(matches!(host.ended(child).await, Outcome::Cancelled { .. }));

    let long = line.run(&["runs", "cancel", &parent.to_string(), "--reason", &"x".repeat(1_025)]).await;
    assert_eq!((long.exit, long.err.contains("at most 1024 bytes, this one 1025")), (2, true), "{long:?}");
}

/// Complaint 122201 (R22): nobody is said to have cancelled what ran out of time, nor what its host
/// took along, which goes on with the next.
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_deadline_nor_a_host_that_ends_is_somebody_who_cancels() {
    let directory = temporary();
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let setup = || Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup().start().await;
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    host.host.stop().await;
    let host = setup().start().await;
    let waits = host.when(run, "still waiting", |run| run.state.kind() == "waiting").await;
    clock.advance(waits.spec.deadline().since(Timestamp(1_800_000_000_000)) + Duration::from_secs(1));
    assert_eq!(host.ended(run).await, Outcome::TimedOut);
    told(&host, &format!("{} was stopped: its time was up. ", waits.spec.name)).await;
}
