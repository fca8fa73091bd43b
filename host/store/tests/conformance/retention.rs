//! What is old goes, and nothing that anything living could look for.

use std::time::Duration;

use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::{Import, Outcome, Output, PurseAsk, RunId, Timestamp};
use sublane_store::{Command, Keep, RunFilter, Spawn, Store};

use crate::support::{
    artifact, at, claim, cpu, destination, entry, get, link_base, message, root, spawn, spawn_detached,
    spawn_with, success,
};

const KEEP: Keep = Keep {
    runs: Duration::from_millis(1_000),
    duplicates: Duration::from_millis(1_000),
    dead_letters: Duration::from_millis(5_000),
};

/// All that may go, as a sweep does it: the number of runs that went.
async fn sweep(store: &dyn Store, keep: Keep, now: Timestamp) -> u32 {
    let mut gone = 0;
    loop {
        let (mut pass, mut after) = (0, None);
        loop {
            let old = store.old_runs(keep, after, 2, now).await.expect("readable");
            let mut runs = old.runs;
            while !runs.is_empty() {
                let removed = store.remove_runs(runs.clone(), keep, 3, now).await.expect("removed");
                assert!(removed.done > 0 || removed.rows > 0, "it goes on");
                runs.drain(..removed.done);
                pass += removed.runs;
            }
            after = old.next;
            if after.is_none() {
                break;
            }
        }
        if pass == 0 {
            return gone;
        }
        gone += pass;
    }
}

async fn is_there(store: &dyn Store, run: RunId) -> bool {
    store.run(run).await.expect("readable").is_some()
}

/// The root run number `n`, ended at the start and delivered.
async fn ended(store: &dyn Store, n: u8) -> RunId {
    let run = root(store, n).await;
    finish(store, run).await
}

async fn finish(store: &dyn Store, by: sublane_store::By) -> RunId {
    let effects = store.finish(by.clone(), success()).await.expect("it has its claim");
    for delivery in effects.deliveries {
        let delivered = AttemptResult::Delivered { note: String::new() };
        store.settle(delivery.id, 1, delivered, SettleRule::default(), by.now).await.expect("settled");
    }
    by.run
}

pub(crate) async fn a_run_goes_when_it_ended_long_enough_ago(store: &dyn Store) {
    let (old, lives) = (ended(store, 1).await, root(store, 2).await);
    assert_eq!(sweep(store, KEEP, at(999)).await, 0);
    assert!(is_there(store, old).await);
    assert_eq!(sweep(store, KEEP, at(1_000)).await, 1);
    assert!(!is_there(store, old).await);
    assert_eq!(get(store, lives.run).await.state.kind(), "running", "one that lives never goes");
    assert!(store.journal(old, 0).await.expect("readable").is_empty());
    let owed = sublane_store::DeliveryFilter { limit: 9, ..Default::default() };
    assert!(store.deliveries(owed).await.expect("readable").is_empty(), "its deliveries went with it");
}

pub(crate) async fn a_long_journal_goes_in_pieces_from_its_end(store: &dyn Store) {
    let run = root(store, 1).await;
    let entries = (1..=10).map(|seq| entry(seq, Import::KvGet, "1")).collect();
    store.append(run.clone(), entries).await.expect("it has its claim");
    let id = finish(store, run).await;
    let removed = store.remove_runs(vec![id], KEEP, 4, at(2_000)).await.expect("removed");
    assert_eq!((removed.runs, removed.rows, removed.done), (0, 4, 0));
    let left = store.journal(id, 0).await.expect("readable");
    assert_eq!(
        left.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>(),
        ["1", "2", "3", "4", "5", "6"]
    );
    assert_eq!(sweep(store, KEEP, at(2_000)).await, 1);
    assert!(!is_there(store, id).await);
}

pub(crate) async fn a_tree_goes_when_all_of_it_is_old(store: &dyn Store) {
    let top = root(store, 1).await;
    let middle = claim(store, spawn(store, &top, 1).await).await;
    let few = |spawn: &mut Spawn| spawn.ask = PurseAsk::exactly(cpu(10));
    let low = claim(store, spawn_with(store, &middle, 1, few).await.answer.expect("room").run).await;
    let outlives = claim(store, spawn_detached(store, &top, 2).await).await;
    finish(store, low.clone()).await;
    finish(store, middle.clone()).await;
    assert_eq!(sweep(store, KEEP, at(2_000)).await, 0, "its parent lives and may ask for it");
    finish(store, top.clone()).await;
    assert_eq!(sweep(store, KEEP, at(2_000)).await, 2, "leaves first; the root has a child that lives");
    assert!(is_there(store, top.run).await);
    let mut late = outlives.clone();
    late.now = at(1_500);
    finish(store, late).await;
    assert_eq!(sweep(store, KEEP, at(2_000)).await, 0, "the child is young");
    assert_eq!(sweep(store, KEEP, at(2_500)).await, 2);
    assert!(store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable").is_empty());
}

pub(crate) async fn a_child_stays_as_long_as_the_runs_above_it(store: &dyn Store) {
    let mut top = root(store, 1).await;
    let child = claim(store, spawn(store, &top, 1).await).await;
    finish(store, child.clone()).await;
    top.now = at(900);
    finish(store, top).await;
    assert_eq!(sweep(store, KEEP, at(1_000)).await, 0, "its parent is still shown, with its tree");
    assert!(is_there(store, child.run).await);
    assert_eq!(sweep(store, KEEP, at(1_900)).await, 2);
}

pub(crate) async fn what_is_owed_keeps_its_run(store: &dyn Store) {
    let run = root(store, 1).await;
    let owed = store.finish(run.clone(), success()).await.expect("it has its claim").deliveries;
    assert_eq!(sweep(store, KEEP, at(9_000)).await, 0, "under way");
    let retry = AttemptResult::Retry { note: "down".into(), retry_after: None, ambiguous: false };
    store.settle(owed[0].id, 1, retry, SettleRule::default(), at(100)).await.expect("settled");
    assert_eq!(sweep(store, KEEP, at(9_000)).await, 0, "owed");
    let taken = store.take_deliveries(9, at(900_000)).await.expect("taken");
    let dead = AttemptResult::Permanent { note: "gone".into() };
    store.settle(taken[0].id, 2, dead, SettleRule::default(), at(900_000)).await.expect("settled");
    assert_eq!(sweep(store, KEEP, at(904_999)).await, 0, "kept for the operator");
    assert_eq!(sweep(store, KEEP, at(905_000)).await, 1);
    assert!(!is_there(store, run.run).await);
}

pub(crate) async fn an_event_makes_no_second_run_within_the_window(store: &dyn Store) {
    let keep = Keep { duplicates: Duration::from_millis(4_000), ..KEEP };
    let run = ended(store, 1).await;
    assert_eq!(sweep(store, keep, at(3_999)).await, 0);
    let again = store.accept(message(1, "console:me")).await.expect("accepted");
    assert!(again.duplicate && again.run == run);
    assert_eq!(sweep(store, keep, at(4_000)).await, 1);
    let again = store.accept(message(1, "console:me")).await.expect("accepted");
    assert!(!again.duplicate, "the window is over");
}

pub(crate) async fn a_dedupe_key_finds_its_run_within_the_window(store: &dyn Store) {
    let keep = Keep { duplicates: Duration::from_millis(4_000), ..KEEP };
    let make = async |n| {
        let mut accept = message(n, "console:me");
        accept.event = None;
        accept.spec.dedupe_key = Some("film".into());
        store.accept(accept).await
    };
    let first = claim(store, make(1).await.expect("accepted").run).await;
    finish(store, first).await;
    assert_eq!(sweep(store, keep, at(3_999)).await, 0);
    assert!(make(2).await.is_err(), "the key is taken");
    assert_eq!(sweep(store, keep, at(4_000)).await, 1);
    make(2).await.expect("the key is free");
}

pub(crate) async fn a_conversation_goes_with_its_last_run(store: &dyn Store) {
    let (first, second) = (root(store, 1).await, root(store, 2).await);
    let conversation = get(store, first.run).await.spec.conversation;
    assert_eq!(get(store, second.run).await.spec.conversation, conversation);
    finish(store, first).await;
    assert_eq!(sweep(store, KEEP, at(1_000)).await, 1);
    assert!(store.conversation(conversation).await.expect("readable").is_some());
    finish(store, second).await;
    assert_eq!(sweep(store, KEEP, at(1_000)).await, 1);
    assert_eq!(store.conversation(conversation).await.expect("readable"), None);
    root(store, 3).await;
}

/// A paid film is there as long as anything speaks of it.
pub(crate) async fn a_file_is_linked_by_whoever_may_need_it(store: &dyn Store) {
    let top = root(store, 1).await;
    let child = claim(store, spawn(store, &top, 1).await).await;
    let made = Output { value: "1".into(), text: None, artifacts: vec![artifact(1)] };
    store.finish(child.clone(), Outcome::Succeeded(made)).await.expect("it has its claim");
    let told = Command::Deliver {
        destination: destination("console:me"),
        text: "look".into(),
        artifacts: vec![artifact(1)],
    };
    store.command(top.clone(), entry(2, Import::Deliver, ""), told).await.expect("it has its claim");
    let mut reads = message(2, "console:you");
    reads.spec.artifacts = vec![artifact(2)];
    let reads = store.accept(reads).await.expect("accepted").run;
    let ids = || vec![artifact(1).id, artifact(2).id, artifact(3).id];
    assert_eq!(store.unlinked(ids()).await.expect("readable"), [artifact(3).id]);
    store.cancel(top.run, "enough".into(), link_base(), at(0)).await.expect("cancelled");
    sweep(store, KEEP, at(2_000)).await;
    assert!(!is_there(store, child.run).await, "the run that made the film is gone");
    assert_eq!(
        store.unlinked(ids()).await.expect("readable"),
        [artifact(3).id],
        "a message that is owed links it, a task that waits links the other"
    );
    assert!(is_there(store, reads).await);
}

pub(crate) async fn what_changed_since_it_was_found_stays(store: &dyn Store) {
    let run = root(store, 1).await;
    let owed = store.finish(run.clone(), success()).await.expect("it has its claim").deliveries;
    let dead = AttemptResult::Permanent { note: "gone".into() };
    store.settle(owed[0].id, 1, dead, SettleRule::default(), at(0)).await.expect("settled");
    let old = store.old_runs(KEEP, None, 9, at(5_000)).await.expect("readable");
    assert_eq!((old.runs.as_slice(), old.next), (&[run.run][..], None));
    store.retry_delivery(owed[0].id, at(5_000)).await.expect("an operator wants it");
    let removed = store.remove_runs(old.runs, KEEP, 9, at(5_000)).await.expect("looked at");
    assert_eq!((removed.runs, removed.rows, removed.done), (0, 0, 1));
    assert!(is_there(store, run.run).await);
}
