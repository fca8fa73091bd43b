//! How far a run is, on its way to people: at their pace, and never after the result.

mod late;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use sublane::channel::{Channel, Class, RunLabel};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, RunId, Timestamp};
use sublane_tests::{Setup, TestHost};

/// What came to a channel, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Progress { run: RunId, percent: u8, at: Timestamp },
    Result(RunId),
}

struct Ear {
    clock: ManualClock,
    came: Mutex<Vec<Came>>,
}

#[async_trait]
impl Channel for Ear {
    fn class(&self) -> Class {
        Class::Idempotent
    }
    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        self.came.lock().push(Came::Result(delivery.run));
        AttemptResult::Delivered { note: String::new() }
    }
    fn progress(&self, _: &str, run: &RunLabel, percent: u8, _: &str) {
        self.came.lock().push(Came::Progress { run: run.run, percent, at: self.clock.now() });
    }
}

async fn host() -> (TestHost, Arc<Ear>) {
    let clock = ManualClock::at(Timestamp(1_700_000_000_000));
    let ear = Arc::new(Ear { clock: clock.clone(), came: Mutex::default() });
    let setup = Setup::in_memory().clock(Arc::new(clock)).plugin("spawns");
    (setup.channel("console", ear.clone(), None).start().await, ear)
}

/// R44: the clock stands still, so that a second never passes: people are told once, the result
/// does not wait for the rest, and nothing of the run comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn progress_neither_delays_the_result_nor_outlives_it() {
    let (host, ear) = host().await;
    let steps: Vec<_> = (1..100).map(|at| json!({ "progress": { "percent": at, "note": "" } })).collect();
    let run = host.begin("spawns/act", json!(steps)).await;
    host.until("the result is there", || ear.came.lock().contains(&Came::Result(run))).await;
    // Another run, which shows that progress is told again.
    let steps = json!([{ "progress": { "percent": 50, "note": "" } }, { "receive": {} }]);
    let other = host.begin("spawns/act", steps).await;
    host.when(other, "waiting", |run| run.state.kind() == "waiting").await;
    ear.clock.advance(Duration::from_secs(5));
    let is_other = |came: &Came| matches!(came, Came::Progress { run, .. } if *run == other);
    host.until("the other reports", || ear.came.lock().iter().any(is_other)).await;
    let came: Vec<Came> = ear.came.lock().iter().filter(|came| !is_other(came)).cloned().collect();
    let (last, before) = came.split_last().expect("the result is there");
    assert_eq!(*last, Came::Result(run));
    assert!(before.len() <= 1, "within one second: {before:?}");
}

/// Complaints 46768 and 101656, R44: what children report reaches their destination, at most once a
/// second for all of them, each in its turn.
/// Complaints 47597 and 52242 (R44): silence until the end.
#[tokio::test(flavor = "multi_thread")]
async fn runs_that_report_to_one_destination_share_its_second() {
    let (host, ear) = host().await;
    let mut runs = Vec::new();
    for percent in [10, 20, 30, 40] {
        let steps = json!([{ "progress": { "percent": percent, "note": "" } }, { "receive": {} }]);
        let run = host.begin("spawns/act", steps).await;
        host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
        runs.push(run);
    }
    for told in 1..=4 {
        host.until("one more is told", || ear.came.lock().len() == told).await;
        ear.clock.advance(Duration::from_secs(1));
    }
    let came = ear.came.lock().clone();
    let mut seen = Vec::new();
    let mut last = None;
    for came in came {
        let Came::Progress { run, percent, at } = came else { panic!("{came:?}") };
        assert!(last.is_none_or(|last| at.since(last) >= Duration::from_secs(1)), "{at:?} after {last:?}");
        last = Some(at);
        seen.push((run, percent));
    }
    let expected: Vec<_> = runs.into_iter().zip([10, 20, 30, 40]).collect();
    assert_eq!(seen, expected);
}
