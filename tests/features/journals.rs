//! How much a journal may hold, and who is told when it is nearly full.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::journal::Bounds;
use sublane_core::{Failure, Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::LogLevel;
use sublane_tests::{PATIENCE, Setup, TestHost, value};

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

/// A host whose journals hold so many entries and bytes.
async fn host(entries: u32, bytes: u64, clock: &ManualClock) -> TestHost {
    let mut setup = Setup::in_memory().plugin("spawns").clock(Arc::new(clock.clone()));
    setup.settings.journal = Bounds { entries, bytes };
    setup.start().await
}

fn get() -> Value {
    json!({ "kv-get": { "bucket": "notes", "key": "a" } })
}

fn set(bytes: usize) -> Value {
    json!({ "kv-set": { "bucket": "notes", "key": "a", "value": "x".repeat(bytes) } })
}

/// What the host has said in a run's log of its journal, once the run has ended.
async fn said(host: &TestHost, run: RunId) -> Vec<String> {
    host.ended(run).await;
    let lines = host.inner().store.logs(run, 0).await.expect("the store answers");
    let of_it = lines.iter().filter(|line| line.line.contains("the journal is 80 % full"));
    of_it
        .map(|line| {
            assert_eq!((line.level, &line.plugin), (LogLevel::Warn, &None));
            line.line.to_string()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_nearly_full_is_told_of_once() {
    let clock = ManualClock::at(BEGIN);
    let host = host(10, 1 << 20, &clock).await;
    for (calls, times) in [(7, 0), (8, 1), (10, 1)] {
        let run = host.begin("spawns/act", (0..calls).map(|_| get()).collect()).await;
        let said = said(&host, run).await;
        assert_eq!(said.len(), times, "{calls} calls: {said:?}");
        for line in said {
            let expected = "(the host) the journal is 80 % full: 8 of 10 entries, ";
            assert!(line.starts_with(expected) && line.ends_with("when it is full the run fails"), "{line}");
        }
    }
}

/// The entry by which it is nearly full was decided while the run was a row.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_evicted_is_told_of_too() {
    let clock = ManualClock::at(BEGIN);
    let host = host(10, 1 << 20, &clock).await;
    let mut steps: Vec<Value> = (0..7).map(|_| get()).collect();
    steps.extend([json!({ "sleep": 60_000 }), json!({ "sleep": 60_000 }), get()]);
    let run = host.begin("spawns/act", steps.into()).await;
    for minute in [1, 2] {
        let waits = |run: &Run| matches!(run.state, RunState::Waiting { token: Some(_) });
        host.when(run, "parked", waits).await;
        let evicted = async {
            let is_cold = async || {
                let row = host.inner().store.run(run).await.expect("the store answers").expect("it is there");
                row.state == RunState::Waiting { token: None }
            };
            while !is_cold().await {
                host.inner().lanes.cool_down(Duration::ZERO, clock.now());
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, evicted).await.expect("its instance goes");
        clock.advance(BEGIN.after(minute * Duration::from_secs(60)).since(clock.now()));
    }
    assert_eq!(said(&host, run).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_fill_a_journal_by_their_bytes() {
    let clock = ManualClock::at(BEGIN);
    let host = host(1_000, 4_096, &clock).await;
    let mut steps = vec![set(900)];
    steps.extend((0..20).map(|_| get()));
    let run = host.begin("spawns/act", steps.into()).await;
    let Outcome::Failed { reason: Failure::JournalFull, message, .. } = host.ended(run).await else {
        panic!("it did not fill its journal")
    };
    assert!(
        message.contains("bytes of answers by the calls it made, and a run may not make more"),
        "{message}"
    );
    assert_eq!(said(&host, run).await.len(), 1);
    let entries = host.inner().store.journal(run, 0).await.expect("the store answers");
    let bytes: usize = entries.iter().map(|entry| entry.result.len()).sum();
    let last = entries.last().expect("some").result.len();
    assert!((4_096..4_096 + last).contains(&bytes), "{bytes}: the one that passes the bound is the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_how_full_its_journal_is() {
    let clock = ManualClock::at(BEGIN);
    let host = host(1_000, 1 << 20, &clock).await;
    let call = json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [
        get(), "journal-used",
    ] } } });
    let steps = json!(["journal-used", set(9), "journal-used", call, "journal-used"]);
    let run = host.begin("spawns/act", steps).await;
    let done = value(&host.ended(run).await);
    let entries = |of: &Value| (of[0].as_u64().expect("a number"), of[1].as_u64().expect("a number"));
    assert_eq!(done[0], json!([0, 1_000, 0, 1 << 20]));
    assert_eq!(entries(&done[2]), (2, 1_000));
    // In a tool call it is the run's: the call's note and its first entry are there.
    assert_eq!(entries(&done[3][1]), (5, 1_000), "{done}");
    assert_eq!(entries(&done[4]), (7, 1_000), "{done}");
    let before: usize = {
        let entries = host.inner().store.journal(run, 0).await.expect("the store answers");
        entries[..entries.len() - 1].iter().map(|entry| entry.result.len()).sum()
    };
    assert_eq!(done[4][2].as_u64(), Some(before as u64), "the bytes of all that was there");
}
