//! An operator has a run begin again, and the host that is asked, or the command that does it by
//! itself, is killed at each commit: the run begins again once, and each of its endings is told once.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use sublane::clock::{Clock as _, SystemClock};
use sublane::intents::Intent;
use sublane_core::{DeliveryId, Outcome, Run, RunId};
use sublane_tests::crash::{Of, Point, Side};
use sublane_tests::history::History;
use sublane_tests::{Setup, temporary};
use tempfile::TempDir;

use super::process::{self, End, Orders};
use super::walk::{Kind, walk};

/// Why the run fails, each time: a retry too many would be one more generation.
const WHY: &str = "the studio is closed";

/// A state directory in which a run has failed, was told, and nothing else is to be done.
async fn failed() -> (Arc<TempDir>, RunId) {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let mark = json!({ "kv-set": { "bucket": "notes", "key": "mark", "value": "begun" } });
    let run = host.begin("spawns/act", json!([mark, { "fail": WHY }])).await;
    host.ended(run).await;
    host.until("it is told", || !host.recorder.deliveries().is_empty()).await;
    let recorder = host.recorder.clone();
    host.host.stop().await;
    recorder.deliveries().iter().for_each(|told| process::note(directory.path(), told));
    (directory, run)
}

fn intent(run: RunId) -> Intent {
    Intent::Retry { run, plugin_digest: None }
}

/// Has `state` hold what `from` holds.
fn copy(from: &Path, state: &Path) {
    for entry in std::fs::read_dir(from).expect("it is there") {
        let path = entry.expect("readable").path();
        if path.is_file() {
            let name = path.file_name().expect("a file has a name");
            std::fs::copy(&path, state.join(name)).expect("it is copied");
        }
    }
}

/// What must have come of it.
fn check(point: &str, history: &History, run: RunId) {
    assert_eq!(history.faults(), Vec::<String>::new(), "{point}");
    let [one] = &history.runs[..] else { panic!("{point}: one run: {:?}", history.runs) };
    assert_eq!((one.spec.id, one.generation), (run, 1), "{point}: it began again, once");
    let Some(Outcome::Failed { message, .. }) = one.outcome() else { panic!("{point}: {:?}", one.outcome()) };
    assert!(message.contains(WHY), "{point}: {message}");
    let owed: Vec<DeliveryId> = history.deliveries.iter().map(|owed| owed.id).rev().collect();
    assert_eq!(owed, [0, 1].map(|generation| DeliveryId::ending(run, generation, 0)), "{point}");
}

/// The intent stands in the store when the host begins; it is killed at each commit.
async fn asked(side: Side) -> (usize, usize) {
    let (directory, run) = failed().await;
    let body = serde_json::to_string(&intent(run)).expect("it has string keys");
    let store = directory.path().join("sublane.db");
    sublane_store::sqlite::ask(&store, &body, SystemClock.now()).expect("it is asked");
    let orders = |state: &Path, _| {
        copy(directory.path(), state);
        Orders::new(state, &["spawns"])
    };
    walk(Kind::At(side, Of::Write), 1, orders, async |scene| check(&scene.point, &scene.history, run)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_each_commit_a_host_retries_once() {
    let (points, executing) = asked(Side::Before).await;
    assert!(points >= 6 && executing >= 2, "{points} points, and {executing} attempts executed at them");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_commit_a_host_retries_once() {
    let (points, executing) = asked(Side::After).await;
    assert!(points >= 6 && executing >= 2, "{points} points, and {executing} attempts executed at them");
}

/// Without a host the command does it: the operator of one that was killed looks, and repeats it
/// where the run has not begun again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_commit_a_command_that_finds_no_host_retries_once() {
    let (prepared, run) = failed().await;
    let mut generations = Vec::new();
    for side in [Side::Before, Side::After] {
        for number in 1.. {
            let point = Point::write(side, number);
            let directory = temporary();
            let state = directory.path();
            copy(prepared.path(), state);
            let mut orders = Orders::new(state, &["spawns"]);
            orders.alone = Some(intent(run));
            let end = orders.start(Some(point)).end().await;
            let left = seen(state).await;
            generations.push(left.generation);
            if left.generation == 0 {
                assert_eq!(orders.start(None).end().await, End::Done, "{point}: it is repeated");
            }
            orders.alone = None;
            assert_eq!(orders.start(None).end().await, End::Done, "{point}: the next host finishes");
            let store = process::look(state).expect("there is a store");
            let mut history = History::read(&store).await;
            history.received = process::noted(state);
            check(&point.to_string(), &history, run);
            if end == End::Done {
                break;
            }
        }
    }
    assert!(generations.contains(&0) && generations.contains(&1), "on both sides of it: {generations:?}");
}

/// The run as a state directory has it.
async fn seen(state: &Path) -> Run {
    let store = process::look(state).expect("there is a store");
    process::runs(&store).await.pop().expect("one run")
}
