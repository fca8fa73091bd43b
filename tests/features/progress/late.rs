//! A run whose time is nearly up is told of, while something can still be done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use sublane::channel::{Channel, Class, RunLabel};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, Outcome, Run, RunId, Timestamp};
use sublane_store::LogLevel;
use sublane_tests::{Setup, TestHost, temporary};

/// What people see of runs: per cent and note.
#[derive(Default)]
struct Ear(Mutex<Vec<(RunId, u8, String)>>);

impl Ear {
    fn heard(&self, run: RunId) -> Vec<(u8, String)> {
        let all = self.0.lock().clone();
        all.into_iter().filter(|heard| heard.0 == run).map(|(_, percent, note)| (percent, note)).collect()
    }
}

#[async_trait]
impl Channel for Ear {
    fn class(&self) -> Class {
        Class::Idempotent
    }
    async fn deliver(&self, _: &Delivery) -> AttemptResult {
        AttemptResult::Delivered { note: String::new() }
    }
    fn progress(&self, _: &str, run: &RunLabel, percent: u8, note: &str) {
        self.0.lock().push((run.run, percent, note.to_owned()));
    }
}

/// The time of a run that asks for none: that of the lane `main`.
const TIME: Duration = sublane_core::lane::MAIN_TIMEOUT;

async fn waits(host: &TestHost, run: RunId) -> Run {
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await
}

/// The lines of a run's log as they come to be stored.
async fn logged(host: &TestHost, clock: &ManualClock, run: RunId, count: usize) -> Vec<(LogLevel, String)> {
    let mut changes = host.inner().changes();
    let look = async {
        loop {
            let lines = host.inner().store.logs(run, 0).await.expect("readable");
            if lines.len() >= count {
                return lines.into_iter().map(|line| (line.level, line.line.to_string())).collect();
            }
            // They are stored a moment later, by the clock.
            clock.advance(Duration::from_millis(50));
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, look).await.expect("it is stored")
}

/// Complaints 24219 and 6625 (R19): a run was ended without a word before. Here people, the run's log
/// and the operator's are told when it has used 80 % of its time, once, with what is left; the run
/// itself knows its deadline from its beginning on.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_when_a_run_has_used_most_of_its_time() {
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let ear = Arc::new(Ear::default());
    let setup = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup.channel("console", ear.clone(), None).start().await;
    let says = json!({ "progress": { "percent": 40, "note": "frame 40" } });
    let more = json!({ "progress": { "percent": 41, "note": "frame 41" } });
    let talks = host.begin("spawns/act", json!([says, { "receive": {} }, more, { "receive": {} }])).await;
    // Each destination is told once a second.
    let listens = json!([{ "receive": {} }]);
    let silent = host.begin_for("spawns/act", listens.clone(), &["console:silent"]).await;
    let quick = host.begin_for("spawns/act", listens, &["console:quick"]).await;
    for run in [talks, silent, quick] {
        assert_eq!(waits(&host, run).await.spec.deadline().since(clock.now()), TIME);
    }
    host.inner().cancel(quick, "enough").await.expect("it is cancelled");
    host.until("what it says is told", || ear.heard(talks).len() == 1).await;
    clock.advance(TIME * 79 / 100);
    clock.advance(TIME / 100);
    host.until("both are told of", || ear.heard(talks).len() == 2 && ear.heard(silent).len() == 1).await;
    let heard = [(40, "frame 40".to_owned()), (40, "frame 40, 2 min left".to_owned())];
    assert_eq!(ear.heard(talks), heard);
    assert_eq!(ear.heard(silent), [(0, "2 min left".to_owned())]);
    let line = (LogLevel::Warn, "(the host) 80 % of its time is used: 2 min left".to_owned());
    assert_eq!(logged(&host, &clock, talks, 1).await, [line]);

    // What it reports later says so as well; the stored report is its own.
    let woken = host.inner().store.send(talks, "1".into(), None, clock.now()).await.expect("it listens");
    host.inner().dispatch(woken);
    host.until("what it says next is told", || {
        clock.advance(Duration::from_millis(10));
        ear.heard(talks).len() == 3
    })
    .await;
    let last = ear.heard(talks)[2].clone();
    assert!(last.0 == 41 && last.1.starts_with("frame 41, 1") && last.1.ends_with(" s left"), "{last:?}");
    let run = waits(&host, talks).await;
    assert_eq!(run.progress.as_ref().map(|(percent, note)| (*percent, &**note)), Some((41, "frame 41")));
    clock.advance(TIME);
    for run in [talks, silent] {
        assert_eq!(host.ended(run).await, Outcome::TimedOut);
    }
    assert_eq!((ear.heard(silent).len(), ear.heard(quick).len()), (1, 0), "once, and not after the end");
}

/// The next host gives the hint as well, also for what waits and is woken by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_tells_it_too() {
    let directory = temporary();
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let ear = Arc::new(Ear::default());
    let start = async || {
        let setup = Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns");
        setup.channel("console", ear.clone(), None).start().await
    };
    let host = start().await;
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    waits(&host, run).await;
    host.host.stop().await;
    clock.advance(TIME * 9 / 10);
    let host = start().await;
    host.until("it is told", || ear.heard(run).len() == 1).await;
    assert_eq!(ear.heard(run), [(0, "60 s left".to_owned())]);
    host.host.stop().await;
}
