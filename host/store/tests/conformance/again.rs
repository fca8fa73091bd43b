//! A run that fails begins again by itself, when it was spawned so.

use std::time::Duration;

use sublane_core::hook::{Called, Verification};
use sublane_core::run::Retried;
use sublane_core::undo::Undo;
use sublane_core::{
    DeliveryId, Failure, Import, Outcome, Over, Purse, Renewal, RetryPolicy, RunId, RunState, Timestamp,
};
use sublane_store::{BeginsAgain, By, Command, Effects, Keep, Spawn, Store, StoreError, WaitFor};

use crate::support::{
    CHILD, MAX_CRASHES, at, claim, destination, ended_as, entry, get, grants, later, link_base, park, root,
    spawn, spawn_detached, spawn_with, state, success, token, wait, wait_answer,
};

/// So many times, a second after the first failure, then twice as long each time up to three.
pub(crate) fn policy(times: u32) -> RetryPolicy {
    RetryPolicy {
        times,
        delay_ms: 1_000,
        factor: 200,
        ceiling_ms: 3_000,
        jitter: 0,
        of: Retried::BreakdownsToo,
    }
}

fn failure() -> Outcome {
    Outcome::failed(Failure::Failed, "the studio is closed")
}

/// A parent that waits in memory for a child with a policy, and the child's attempt.
async fn scene(store: &dyn Store, policy: RetryPolicy) -> (By, By) {
    let parent = root(store, 1).await;
    let child = retried(store, &parent, 1, policy).await;
    park(store, &parent, wait(&parent, 2, WaitFor::Runs { runs: vec![child], all: true }, None)).await;
    let child = claim(store, child).await;
    (parent, child)
}

async fn retried(store: &dyn Store, parent: &By, seq: u32, policy: RetryPolicy) -> RunId {
    let with = |spawn: &mut Spawn| {
        spawn.spec.retry = Some(policy);
        spawn.spec.destinations = vec![destination("console:me")];
    };
    spawn_with(store, parent, seq, with).await.answer.expect("room for a child").run
}

/// Fails at an instant.
async fn fails(store: &dyn Store, by: &By, at: Timestamp) -> Effects {
    store.finish(later(by, at), failure()).await.expect("it has its claim")
}

/// The next attempt on a run whose time has come.
async fn next(store: &dyn Store, run: RunId, now: Timestamp) -> By {
    let ready = store.fire_due(9, 9, link_base(), now).await.expect("fired").ready;
    assert_eq!(ready.iter().map(|ready| ready.run).collect::<Vec<_>>(), [run]);
    let token = token(now.0.into());
    let claimed = store.claim(run, token, now).await.expect("readable").expect("it is queued");
    assert!(claimed.entries.is_empty(), "an empty journal");
    By { token, now, ..crate::support::by(run, token) }
}

pub(crate) async fn a_failed_run_rests_and_begins_again_with_an_empty_journal(store: &dyn Store) {
    let (parent, child) = scene(store, policy(2)).await;
    let id = child.run;
    store.append(child.clone(), vec![entry(1, Import::KvGet, "1")]).await.expect("it has its claim");
    let spent = Purse { cpu_us: 400, host_calls: 7, ..Purse::default() };
    let effects = fails(store, &By { spent, ..child.clone() }, at(10)).await;
    let until = at(1_010);
    assert_eq!(effects.again, [BeginsAgain { run: id, generation: 1, until }]);
    assert!(effects.ended.is_empty() && effects.deliveries.is_empty() && effects.resumed.is_empty());
    let run = get(store, id).await;
    assert_eq!((&run.state, run.generation, run.retried), (&RunState::Delayed { until }, 1, 1));
    assert_eq!((run.begun, run.timed_from), (until, at(0)), "its time-out counts from its first beginning");
    assert_eq!(run.purse, Purse { cpu_us: 600, host_calls: 23, ..CHILD }, "what it has left");
    assert_eq!((run.spec.purse, run.spec.deadline()), (CHILD, crate::support::DEADLINE));
    assert_eq!(run.retries_left(), Some(1));
    assert_eq!(get(store, parent.run).await.active_children, 1, "it lives");
    assert_eq!(state(store, parent.run).await, "waiting");
    assert!(matches!(store.finish(child.clone(), success()).await, Err(StoreError::Stale(_))));
    assert_eq!(store.next_due().await.expect("readable"), Some(until));
    assert!(store.claim(id, token(5), at(20)).await.expect("readable").is_none(), "it rests");

    let again = next(store, id, until).await;
    assert_eq!(store.journal(id, 0).await.expect("readable").len(), 1, "the old one is kept");
    store.append(again.clone(), vec![entry(1, Import::KvSet, "2")]).await.expect("it has its claim");
    assert_eq!(store.journal(id, 1).await.expect("readable").len(), 1);
    let effects = store.finish(again, success()).await.expect("it has its claim");
    assert_eq!(effects.ended, [id]);
    assert_eq!(effects.deliveries[0].id, DeliveryId::ending(id, 1, 0), "its ending is told, once");
    let (resumed, _, answer) = &effects.resumed[0];
    assert_eq!((*resumed, wait_answer(answer).ended), (parent.run, vec![id]));
    let [over] = &store.generations(id).await.expect("readable")[..] else { panic!("one is over") };
    assert_eq!((over.number, over.begun, over.at, over.retried), (0, at(0), at(10), 0));
    assert_eq!(over.over, Over::Failed(failure()));
    let then = get(store, id).await.at(over);
    assert_eq!((then.generation, then.outcome()), (0, Some(&failure())));
}

pub(crate) async fn what_belonged_to_the_failed_generation_is_over(store: &dyn Store) {
    let parent = root(store, 1).await;
    let with = |spawn: &mut Spawn| {
        spawn.spec.retry = Some(policy(1));
        let mut given = serde_json::to_value(&spawn.spec.grants).expect("string keys");
        given["http"] = serde_json::json!([{ "to": "https://example.com/", "methods": ["POST"] }]);
        spawn.spec.grants = serde_json::from_value(given).expect("grants in their stored form");
        spawn.ask = sublane_core::PurseAsk::exactly(Purse { spawns: 9, cpu_us: 5_000, ..CHILD });
    };
    let id = spawn_with(store, &parent, 1, with).await.answer.expect("room for a child").run;
    let run = claim(store, id).await;
    let (attached, detached) = (spawn(store, &run, 1).await, spawn_detached(store, &run, 2).await);
    let undo = Undo {
        method: "POST".into(),
        url: "https://example.com/stop".into(),
        headers: Vec::new(),
        body: None,
    };
    let command = Command::Undo { undo, price: Purse::default() };
    store.command(run.clone(), entry(3, Import::HttpUndo, ""), command).await.expect("it has its claim");
    let open =
        Command::OpenHook { token: [4; 32], url: "http://x/4".into(), verification: Verification::Nobody };
    store.command(run.clone(), entry(4, Import::HookOpen, ""), open).await.expect("it has its claim");
    let before = get(store, id).await.purse;
    let effects = fails(store, &run, at(10)).await;
    assert_eq!((ended_as(store, attached).await, state(store, detached).await), ("cancelled", "queued"));
    let reason = get(store, attached).await.outcome().expect("ended").sentence("x");
    assert!(reason.contains("child-1 failed and begins again"), "{reason}");
    assert_eq!(effects.ended, [attached]);
    let undone: Vec<_> = effects.deliveries.iter().map(|owed| owed.destination.to_string()).collect();
    assert_eq!(undone, ["undo:example.com"], "at once");
    let call = crate::hook::call("late", 0);
    let called = store.call_hook([4; 32], call, at(20)).await.expect("readable").expect("it is known").0;
    assert_ne!(called, Called::Taken, "nobody waits for it any more");
    let now = get(store, id).await;
    assert_eq!((now.active_children, now.attached_children), (1, 0));
    assert_eq!(now.purse.spawns, before.spawns + CHILD.spawns, "what the cancelled child had came back");
    // The end of the next generation owes what that registered, and nothing of this one again.
    let again = next(store, id, at(1_010)).await;
    let effects = store.finish(again, failure()).await.expect("it has its claim");
    assert_eq!((effects.ended, effects.deliveries), (vec![id], vec![]));
}

pub(crate) async fn each_delay_is_longer_and_the_last_failure_ends_the_run(store: &dyn Store) {
    let (parent, mut attempt) = scene(store, policy(4)).await;
    let id = attempt.run;
    let mut now = at(0);
    for (generation, rests) in [(1, 1_000), (2, 2_000), (3, 3_000), (4, 3_000)] {
        let until = now.after(Duration::from_millis(rests));
        let again = fails(store, &attempt, now).await.again;
        assert_eq!(again, [BeginsAgain { run: id, generation, until }]);
        now = until;
        attempt = next(store, id, now).await;
    }
    let effects = fails(store, &attempt, now).await;
    assert_eq!((effects.again, effects.ended), (vec![], vec![id]));
    assert_eq!(effects.deliveries.len(), 1, "people are told once");
    assert_eq!(get(store, id).await.outcome(), Some(&failure()));
    assert_eq!(effects.resumed[0].0, parent.run);
    let over = store.generations(id).await.expect("readable");
    assert_eq!(over.iter().map(|over| over.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(get(store, id).await.crashes, 0);
}

pub(crate) async fn what_is_no_failure_or_not_worth_it_ends_at_once(store: &dyn Store) {
    let parent = root(store, 1).await;
    let failures = RetryPolicy { of: Retried::Failures, ..policy(3) };
    let cases = [
        (policy(3), failure(), true),
        (policy(3), failure().permanent(), false),
        (policy(3), success(), false),
        (failures, failure(), true),
        (failures, Outcome::failed(Failure::PluginUnavailable, "gone"), true),
        (failures, Outcome::failed(Failure::Trapped, "unreachable"), false),
        (policy(3), Outcome::failed(Failure::Trapped, "unreachable"), true),
        (policy(3), Outcome::failed(Failure::OutOfMemory, "64 MiB"), true),
        (policy(3), Outcome::failed(Failure::OutOfCpu, "1 s"), false),
        (policy(3), Outcome::failed(Failure::OutOfCalls, "9"), false),
        (policy(3), Outcome::failed(Failure::JournalFull, "9"), false),
    ];
    for (seq, (policy, outcome, again)) in (1..).zip(cases) {
        let child = retried(store, &parent, seq, policy).await;
        let child = claim(store, child).await;
        store.finish(later(&child, at(10)), outcome.clone()).await.expect("it has its claim");
        let expected = if again { "delayed" } else { "ended" };
        assert_eq!(state(store, child.run).await, expected, "{outcome:?} with {policy:?}");
        store.cancel(child.run, "enough".into(), link_base(), at(11)).await.expect("readable");
    }
    // One that takes its hosts with it is not begun again by itself.
    let child = retried(store, &parent, 20, policy(3)).await;
    for _ in 0..=MAX_CRASHES {
        claim(store, child).await;
        store.recover(MAX_CRASHES, link_base(), at(12)).await.expect("taken over");
    }
    assert_eq!(ended_as(store, child).await, "failed");
}

pub(crate) async fn a_failed_run_does_not_begin_after_its_deadline(store: &dyn Store) {
    let parent = root(store, 1).await;
    for (seq, deadline, expected) in [(1, at(1_010), "failed"), (2, at(1_011), "delayed")] {
        let with = |spawn: &mut Spawn| {
            spawn.spec.retry = Some(policy(1));
            spawn.spec.grants = grants(deadline);
        };
        let child = spawn_with(store, &parent, seq, with).await.answer.expect("room").run;
        let child = claim(store, child).await;
        fails(store, &child, at(10)).await;
        assert_eq!(ended_as(store, child.run).await, expected);
    }
}

pub(crate) async fn an_operator_begins_a_resting_run_now_and_a_failed_one_with_all_its_retries(
    store: &dyn Store,
) {
    let (_, child) = scene(store, policy(1)).await;
    let id = child.run;
    fails(store, &child, at(10)).await;
    let renewal = || Renewal { plugin_digest: Some("cd".repeat(32)), seed: [8; 32] };
    let before = get(store, id).await;
    let effects = store.retry(id, renewal(), None, at(20)).await.expect("it begins now");
    assert_eq!(effects.ready.iter().map(|ready| ready.run).collect::<Vec<_>>(), [id]);
    let run = get(store, id).await;
    assert_eq!((&run.state, run.generation, run.begun), (&RunState::Queued, 1, at(20)));
    assert_eq!((&run.spec, run.purse, run.retried), (&before.spec, before.purse, 1), "nothing is renewed");
    assert!(store.fire_due(9, 9, link_base(), at(2_000)).await.expect("fired").ready.is_empty());
    let again = By { now: at(30), ..claim(store, id).await };
    fails(store, &again, at(30)).await;
    assert_eq!(ended_as(store, id).await, "failed");
    assert!(matches!(store.retry(id, renewal(), None, at(40)).await, Err(StoreError::Refused(_))));

    // What belongs to nobody is begun again when it has ended; then it has its retries anew.
    let alone = |spawn: &mut Spawn| {
        spawn.spec.retry = Some(policy(1));
        spawn.spec.lifetime = sublane_core::Lifetime::Detached;
    };
    let second = root(store, 2).await;
    let id = spawn_with(store, &second, 1, alone).await.answer.expect("room").run;
    let attempt = claim(store, id).await;
    fails(store, &attempt, at(10)).await;
    let attempt = next(store, id, at(1_010)).await;
    fails(store, &attempt, at(1_020)).await;
    store.finish(second, success()).await.expect("it has its claim");
    store.retry(id, renewal(), None, at(5_000)).await.expect("it begins again");
    let run = get(store, id).await;
    assert_eq!((run.generation, run.retried, run.timed_from), (2, 0, at(5_000)));
    let timeout = crate::support::DEADLINE.since(at(0));
    assert_eq!(run.spec.deadline(), at(5_000).after(timeout), "as much time as it had at first");
    let attempt = By { token: token(90), ..crate::support::by(id, token(90)) };
    store.claim(id, token(90), at(5_001)).await.expect("readable").expect("queued");
    let again = fails(store, &attempt, at(5_010)).await.again;
    assert_eq!(again, [BeginsAgain { run: id, generation: 3, until: at(6_010) }]);
    let over = store.generations(id).await.expect("readable");
    let ended: Vec<bool> = over.iter().map(|over| matches!(over.over, Over::Ended(_))).collect();
    assert_eq!(ended, [false, true, false]);
}

pub(crate) async fn a_resting_run_is_cancelled_and_times_out_as_any_other(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (first, second) =
        (retried(store, &parent, 1, policy(3)).await, retried(store, &parent, 2, policy(3)).await);
    for child in [first, second] {
        let child = claim(store, child).await;
        fails(store, &child, at(10)).await;
    }
    store.progress(vec![(first, 40, "half".into())]).await.expect("written");
    assert_eq!(get(store, first).await.progress, None, "it has not begun");
    let effects = store.cancel(first, "no more".into(), link_base(), at(20)).await.expect("cancelled");
    assert_eq!((effects.ended, effects.deliveries.len()), (vec![first], 1));
    // The parent ends, and what is attached to it does not begin again.
    store.finish(later(&parent, at(30)), failure()).await.expect("it has its claim");
    assert_eq!(ended_as(store, second).await, "cancelled");
    assert!(store.fire_due(9, 9, link_base(), at(9_000)).await.expect("fired").ready.is_empty());
}

pub(crate) async fn a_run_is_removed_with_its_generations(store: &dyn Store) {
    let (parent, child) = scene(store, policy(1)).await;
    fails(store, &child, at(10)).await;
    let id = child.run;
    let again = next(store, id, at(1_010)).await;
    store.append(again.clone(), vec![entry(1, Import::KvGet, "1")]).await.expect("it has its claim");
    store.finish(again, success()).await.expect("it has its claim");
    let parent = crate::support::by(parent.run, parent.token);
    store.finish(parent.clone(), success()).await.expect("it has its claim");
    let all = sublane_store::DeliveryFilter { limit: 9, ..Default::default() };
    for owed in store.deliveries(all).await.expect("readable") {
        let read = sublane_core::delivery::AttemptResult::Delivered { note: "read".into() };
        store.settle(owed.id, 1, read, Default::default(), at(2_000)).await.expect("settled");
    }
    let keep = Keep { runs: Duration::ZERO, duplicates: Duration::ZERO, dead_letters: Duration::ZERO };
    let later = at(9_000_000);
    for runs in [vec![id], vec![parent.run]] {
        store.remove_runs(runs, keep, 1_000, later).await.expect("removed");
    }
    assert!(store.run(id).await.expect("readable").is_none());
    assert!(store.generations(id).await.expect("readable").is_empty());
    assert!(store.journal(id, 0).await.expect("readable").is_empty());
}
