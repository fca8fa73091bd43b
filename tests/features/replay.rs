//! A run that was evicted or interrupted goes on as if nothing had been.
//!
//! All of it in one process and on a clock that is moved by hand: a crash here
//! is a store that refuses everything from some write on. What a killed process
//! leaves is the subject of `crash`.

mod memory;

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::{Expect, expect};
use memory::{Life, Scene};
use serde_json::json;
use sublane::clock::ManualClock;
use sublane::engine::pool::SMALLEST;
use sublane_core::journal::ImportClass;
use sublane_core::{Entry, Failure, Import, Outcome, Timestamp};
use sublane_store::Ready;
use sublane_tests::Setup;
use sublane_tests::crash::{Point, Side};

#[tokio::test(flavor = "multi_thread")]
async fn evicted_at_each_wait_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await;
    assert_eq!(left_alone.run.attempt, 1, "left alone, one attempt does it");
    let evicted = scene.live(Life { is_evicted: true, ..Life::default() }).await;
    assert!(evicted.run.attempt > 5, "dropped at each wait it took {} attempts", evicted.run.attempt);
    evicted.memory().must_equal(&left_alone.memory(), "evicted");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_two_instances_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await.memory();
    let pressed = scene.live(Life { instances: SMALLEST, ..Life::default() }).await;
    assert!(pressed.run.attempt > 1, "its instance was dropped for its child's");
    pressed.memory().must_equal(&left_alone, "pressed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_local_has_one_entry_in_the_order_of_the_calls() {
    let scene = Scene::new("null").await;
    let lived = scene.live(Life::default()).await;
    let entries = lived.journal().await;
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.to_string()).collect();
    let call =
        entries.iter().position(|entry| entry.import == Import::CallTool).expect("it calls a tool") + 1;
    let numbered = |to: usize| (1..=to).map(|n| n.to_string());
    let in_call = ["0", "1", "2", "3"].map(|n| format!("{call}.{n}"));
    let expected: Vec<_> =
        numbered(call).chain(in_call).chain(numbered(entries.len() - 4).skip(call)).collect();
    assert_eq!(paths, expected);
    let called: BTreeSet<_> = lived.memory().imports().collect();
    let not_local = |import: &Import| import.class() != ImportClass::Local;
    let all: BTreeSet<_> = Import::ALL.iter().copied().filter(not_local).collect();
    assert_eq!(called, all, "the guest uses every import, and only those that are not local have entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_ends_the_run() {
    let scene = Scene::new("null").await;
    for is_evicted in [false, true] {
        let lived = scene.live(Life { entries: 20, is_evicted, ..Life::default() }).await;
        let Outcome::Failed { reason: Failure::JournalFull, message, .. } = lived.outcome() else {
            panic!("it ended as {:?}", lived.outcome());
        };
        expect!["it has made 20 calls, and a run may not make more"].assert_eq(message);
        assert_eq!(lived.journal().await.len(), 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_at_each_commit_it_remembers_the_same() {
    let scene = Scene::new("null").await;
    let left_alone = scene.live(Life::default()).await;
    let left_alone = left_alone.memory();
    let mut crashes = 0;
    // The first write is the recovery, without which a host does not start.
    for write in 2.. {
        let point = Point::write(Side::After, write);
        let lived = scene.live(Life { crash: Some(point), ..Life::default() }).await;
        crashes += lived.run.crashes;
        if !lived.has_crashed {
            break;
        }
        lived.memory().must_equal(&left_alone, &format!("crashed {point}"));
    }
    assert!(crashes > 30, "only {crashes} of its attempts ended with their host");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_a_slot_by_mistake_keeps_its_place() {
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let host = Setup::in_memory().clock(Arc::new(clock)).plugin("remembers").start().await;
    let id = host.begin("remembers/child", json!("alone")).await;
    let run = host.when(id, "parked", |run| run.state.kind() == "waiting").await;
    host.until("it is parked", || host.inner().lanes.parked() == 1).await;
    host.inner().lanes.offer(host.inner(), Ready::of(&run));
    let running = || host.inner().lanes.status().iter().map(|lane| lane.running).sum::<u32>();
    host.until("nobody has a slot", || running() == 0).await;
    assert_eq!(host.inner().lanes.parked(), 1, "it is still there to be resumed or dropped");
}

/// A run whose host is gone after this entry is moved to the changed plugin: why it failed.
async fn changed(change: &str, entry: &str) -> String {
    let scene = Scene::new(&format!("{change:?}")).await.crashed_at(entry).await;
    let not_noted = |journal: Vec<Entry>| -> Vec<Entry> {
        journal.into_iter().filter(|entry| !entry.path.to_string().ends_with(".0")).collect()
    };
    let before = not_noted(scene.journal().await);
    let lived = scene.live(Life { plugin: "remembers-changed", is_moved: true, ..Life::default() }).await;
    let Outcome::Failed { reason: Failure::Nondeterministic, message, .. } = lived.outcome() else {
        panic!("it ended as {:?}", lived.outcome());
    };
    assert_eq!(not_noted(lived.journal().await), before, "nothing was done that the journal does not hold");
    message.to_string()
}

/// Complaints 128948 and 152965 (R45): also in the middle of a tool call it goes on on the version it began on.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_changed_plugin_a_run_remembers_the_same() {
    for (change, entry) in [("other-arguments", "17"), ("half-a-tool", "22.0"), ("half-a-tool", "22.1")] {
        let scene = Scene::new(&format!("{change:?}")).await.crashed_at(entry).await;
        let left_alone = scene.live(Life::default()).await;
        let beside = scene.live(Life { plugin: "remembers-changed", ..Life::default() }).await;
        assert_eq!(beside.outcome(), left_alone.outcome(), "{change} at {entry}");
        // A call that had not begun is made on the version that is there then, and says so.
        if entry.contains('.') {
            beside.memory().must_equal(&left_alone.memory(), &format!("{change} at {entry}"));
        }
    }
}

async fn check_changed(change: &str, entry: &str, expect: Expect) {
    expect.assert_eq(&changed(change, entry).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_argument_is_nondeterministic() {
    check_changed("other-arguments", "18", expect!["at journal entry 17 the guest called kv.get with arguments e0b99029a03bd9bb250148d8d30b68a8, but the journal holds kv.get with arguments 139883a65ecd8da870f246215043e455"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_import_is_nondeterministic() {
    check_changed("other-import", "18", expect!["at journal entry 17 the guest called kv.list-keys with arguments 9ab117053e21917b681cf65dee5272de, but the journal holds kv.get with arguments 139883a65ecd8da870f246215043e455"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_of_a_file_is_nondeterministic() {
    let message = changed("other-content", "19").await;
    // What the file says is random, so its hash is another one in each run of the test.
    assert!(
        message.starts_with("at journal entry 18 the guest called artifact.writer.finish with"),
        "{message}"
    );
    assert!(message.contains("but the journal holds artifact.writer.finish with"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_return_is_nondeterministic() {
    check_changed(
        "returns",
        "18",
        expect!["the guest returned, but the journal goes on with kv.get at entry 17"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_failure_is_nondeterministic() {
    check_changed(
        "fails",
        "18",
        expect!["the guest failed (it has had enough), but the journal goes on with kv.get at entry 17"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_before_the_journals_end_is_no_outcome() {
    check_changed("traps", "18", expect!["the guest ended (wasm trap: wasm `unreachable` instruction executed), but the journal goes on with kv.get at entry 17"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_than_the_interrupted_tool_call_is_nondeterministic() {
    check_changed(
        "no-call",
        "22.2",
        expect![
            "at journal entry 22 the guest called kv.get, but the journal goes on with kv.set at entry 22.1"
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_does_less_than_it_did_is_nondeterministic() {
    check_changed(
        "half-a-tool",
        "22.3",
        expect!["the call of remembers/note ended, but the journal goes on with kv.get at entry 22.3"],
    )
    .await;
}
