//! Waits that are named wrongly, and sweeps on a clock that is set.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sublane::clock::ManualClock;
use sublane::engine::Class;
use sublane_core::{RunState, Timestamp};
use sublane_tests::Setup;

use super::acted;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_does_not_hold_the_sweeps_up() {
    let clock = ManualClock::at(Timestamp(10_000_000));
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    host.until("the sweeps sleep", || clock.next_wake().is_some()).await;
    clock.set_back(Duration::from_secs(3_600));
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    let hot = || host.inner().engines.of(Class::Small).pool.used();
    assert_eq!(hot(), 1);
    // Nobody hints at an instance that has cooled down: a sweep that sleeps an hour leaves it.
    let mut left = 60;
    host.until("its instance is dropped", || {
        if left > 0 {
            left -= 1;
            clock.advance(Duration::from_millis(500));
        }
        hot() == 0
    })
    .await;
}

/// Complaint 153859 (R11): one spawn and one wait gave two answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_waited_for_twice_is_the_same_evicted_or_not() {
    for hot_window in [Duration::from_secs(3_600), Duration::ZERO] {
        let mut setup = Setup::in_memory().plugin("spawns");
        setup.settings.hot_window = hot_window;
        let once = json!({ "spawn": {
            "agent": "spawns/act", "task": [{ "sleep": 20 }], "dedupe-key": "once", "scope": { "cpu-ms": 1000 },
        } });
        let steps = json!([
            once,
            once,
            { "wait": { "children": [0, 1] } },
            { "wait": { "children": [1] } },
            { "wait": { "children": [0] } },
        ]);
        let done = acted(&setup.start().await, steps).await;
        assert_eq!((&done[0]["duplicate"], &done[1]["duplicate"]), (&json!(false), &json!(true)));
        assert_eq!(done[2], json!([{ "succeeded": [null] }, { "succeeded": [null] }]));
        assert_eq!(
            (&done[3], &done[4]),
            (&json!([{ "succeeded": [null] }]), &json!([{ "succeeded": [null] }]))
        );
    }
}
