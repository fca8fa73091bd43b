//! What a host that is killed with SIGKILL leaves behind, and what the next one makes of it.
//!
//! A scenario is a state directory, some plugins and one message or task
//! ([`process::Orders`]). [`walk`] kills its host before and after each commit and around each
//! send, lets another host finish, and has the whole history judged
//! ([`sublane_tests::history`]); [`film`], [`tree`] and [`retry`] are what is walked through. The store's
//! seam covers commits, and with them every change of something durable but artifact files,
//! which are on the disk before the commit that names them; a channel's seam covers what
//! receivers know. A later scenario needs orders and a check.

mod film;
mod judge;
mod process;
mod receiver;
mod retry;
mod tree;
mod walk;

use std::time::Duration;

use process::{End, Orders, Process};
use serde_json::json;
use sublane_core::{Failure, Outcome, Run, RunState};
use sublane_store::Store as _;
use sublane_tests::{PATIENCE, Setup, temporary};
use tokio::time::timeout;

/// The process that the other tests start; by itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    process::obey().await;
}

/// Waits until the only run of a host in another process is in some state.
async fn when(host: &mut Process, orders: &Orders, what: &str, holds: impl Fn(&Run) -> bool) -> Run {
    let mut seen = Vec::new();
    let search = async {
        loop {
            if let Some(store) = process::look(&orders.state) {
                seen = process::runs(&store).await;
            }
            if let Some(run) = seen.iter().find(|run| holds(run)) {
                return Some(run.clone());
            }
            if !host.has_written().await {
                return None;
            }
        }
    };
    let found = timeout(PATIENCE, search).await;
    found.ok().flatten().unwrap_or_else(|| panic!("no run is {what}: {seen:?}"))
}

async fn check_parked(hot_window: Duration, is_hot: bool) {
    let directory = temporary();
    let mut orders = Orders::new(directory.path(), &["remembers"]);
    orders.task = Some(("remembers/child", json!("alone")));
    orders.hot_window = hot_window;
    let mut host = orders.start(None);
    let run = when(&mut host, &orders, "parked", |run| match run.state {
        RunState::Waiting { token } => token.is_some() == is_hot,
        _ => false,
    });
    let id = run.await.spec.id;
    host.kill();
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let run = host.when(id, "waiting", |run| matches!(run.state, RunState::Waiting { token: None })).await;
    assert_eq!((run.attempt, run.crashes), (1, 0), "nothing was executing, so nothing crashed");
    host.inner().cancel(id, "enough").await.expect("the store answers");
    assert_eq!(host.ended(id).await, Outcome::Cancelled { reason: "enough".into() });
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_in_memory_outlives_its_host() {
    check_parked(Duration::from_secs(60), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_as_a_row_outlives_its_host() {
    check_parked(Duration::ZERO, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_its_hosts_with_it_ends_as_crash_looping() {
    let directory = temporary();
    let mut orders = Orders::new(directory.path(), &["misbehaves"]);
    orders.task = Some(("misbehaves/spin", json!(null)));
    for crashes in 0..=3 {
        let mut host = orders.start(None);
        when(&mut host, &orders, "executing once more", |run| {
            matches!(run.state, RunState::Running { .. }) && run.crashes == crashes
        })
        .await;
        host.kill();
    }
    assert_eq!(orders.start(None).end().await, End::Done);
    let store = process::look(&orders.state).expect("it is there");
    let [run] = &process::runs(&store).await[..] else { panic!("one task, one run") };
    assert_eq!((run.crashes, run.attempt), (4, 4));
    let Some(Outcome::Failed { reason, .. }) = run.outcome() else {
        panic!("it did not fail: {:?}", run.state)
    };
    assert_eq!(*reason, Failure::CrashLooping);
    let noted = process::noted(&orders.state);
    assert_eq!(noted.len(), 1, "people are told once");
    assert!(noted[0].1.contains("the host stopped several times while it ran"), "{}", noted[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_counts_no_crash() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("misbehaves").plugin("remembers").start().await;
    let executing = host.begin("misbehaves/spin", json!(null)).await;
    let parked = host.begin("remembers/child", json!("alone")).await;
    host.when(executing, "running", |run| matches!(run.state, RunState::Running { .. })).await;
    host.when(parked, "parked", |run| matches!(run.state, RunState::Waiting { .. })).await;
    host.host.stop().await;
    let store = process::look(directory.path()).expect("it is there");
    let run = async |id| store.run(id).await.expect("the store answers").expect("it is there");
    let (executing, parked) = (run(executing).await, run(parked).await);
    assert_eq!((executing.state, executing.crashes, executing.attempt), (RunState::Queued, 0, 1));
    assert_eq!((parked.state, parked.crashes, parked.attempt), (RunState::Waiting { token: None }, 0, 1));
}
