//! A run that did not succeed begins again, when an operator says so.

use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::{DeliveryId, Failure, Import, Outcome, PurseAsk, Renewal, RunId};
use sublane_store::{Effects, RunFilter, Store, StoreError};

use crate::support::{
    DEADLINE, FULL, MAX_CRASHES, ROOT, START, accept, at, claim, ended_as, entry, get, later, link_base,
    message, root, spawn, spawn_detached, spawn_with, state, success,
};

fn failure() -> Outcome {
    Outcome::failed(Failure::Failed, "no such fox")
}

fn renewal() -> Renewal {
    Renewal { plugin_digest: Some("cd".repeat(32)), seed: [8; 32] }
}

async fn retry(store: &dyn Store, run: RunId, now: u64) -> Result<Effects, StoreError> {
    store.retry(run, renewal(), None, at(now)).await
}

/// Why it is refused.
async fn refused(store: &dyn Store, run: RunId) -> String {
    match retry(store, run, 100).await {
        Err(StoreError::Refused(why)) => why,
        other => panic!("it was not refused: {other:?}"),
    }
}

pub(crate) async fn a_retry_is_a_new_generation_with_a_new_deadline_and_purse(store: &dyn Store) {
    let first = root(store, 1).await;
    store.append(first.clone(), vec![entry(1, Import::KvGet, "1")]).await.expect("it has its claim");
    store.finish(first.clone(), failure()).await.expect("it has its claim");
    let before = get(store, first.run).await;
    let conversation = before.spec.conversation;
    let effects = retry(store, first.run, 100).await.expect("it begins again");
    assert_eq!(effects.ready.iter().map(|ready| ready.run).collect::<Vec<_>>(), [first.run]);
    let run = get(store, first.run).await;
    assert_eq!((run.state.kind(), run.generation, run.begun, run.attempt), ("queued", 1, at(100), 1));
    assert_eq!((run.purse, run.spec.purse), (ROOT, ROOT));
    assert_eq!(run.spec.deadline().0 - run.begun.0, DEADLINE.0 - START.0, "as much time as it had");
    assert_eq!((run.spec.plugin_digest.as_str(), run.spec.seed), ("cd".repeat(32).as_str(), [8; 32]));
    assert_eq!((run.spec.created, &run.spec.input), (START, &before.spec.input));
    let left = store.conversation(conversation).await.expect("readable").expect("it is there").purse;
    assert_eq!(left.spawns, FULL.spawns - ROOT.spawns - 2, "drawn again, and a spawn for each");
    let claimed = store.claim(first.run, crate::support::token(77), at(101)).await.expect("readable");
    assert!(claimed.expect("it was queued").entries.is_empty(), "an empty journal");
    assert_eq!(store.journal(first.run, 0).await.expect("readable").len(), 1, "the old one is kept");

    // Once more: the time-out does not grow with the age of the run.
    store.cancel(first.run, "no".into(), link_base(), at(200)).await.expect("cancelled");
    retry(store, first.run, 50_000).await.expect("it begins again");
    let run = get(store, first.run).await;
    assert_eq!((run.generation, run.spec.deadline().0 - run.begun.0), (2, DEADLINE.0 - START.0));
    let due = store.next_due().await.expect("readable");
    assert_eq!(due, Some(run.spec.deadline()));
    let ended = store.fire_due(9, 9, link_base(), run.spec.deadline()).await.expect("fired").ended;
    assert_eq!((ended, ended_as(store, first.run).await), (vec![first.run], "timed-out"));
}

pub(crate) async fn a_claim_of_an_earlier_generation_is_refused(store: &dyn Store) {
    let old = root(store, 1).await;
    store.cancel(old.run, "no".into(), link_base(), at(5)).await.expect("cancelled");
    retry(store, old.run, 100).await.expect("it begins again");
    let late = later(&old, at(101));
    let stale = |result: Result<Effects, StoreError>| assert!(matches!(result, Err(StoreError::Stale(_))));
    stale(store.finish(late.clone(), success()).await);
    stale(store.interrupt(late.clone(), true, MAX_CRASHES).await);
    assert!(store.append(late.clone(), vec![entry(1, Import::KvGet, "1")]).await.is_err());
    let new = store.claim(old.run, crate::support::token(77), at(102)).await.expect("readable");
    assert!(new.is_some());
    stale(store.finish(late, success()).await);
    assert!(store.journal(old.run, 1).await.expect("readable").is_empty());
}

pub(crate) async fn each_generation_owes_its_own_ending(store: &dyn Store) {
    let run = root(store, 1).await;
    let id = run.run;
    let first = store.finish(run, failure()).await.expect("it has its claim").deliveries;
    assert_eq!(first[0].id, DeliveryId::ending(id, 0, 0));
    let delivered = AttemptResult::Delivered { note: "read".into() };
    store.settle(first[0].id, 1, delivered, SettleRule::default(), at(6)).await.expect("settled");
    let before = store.delivery(first[0].id).await.expect("readable");
    retry(store, id, 100).await.expect("it begins again");
    let again = claim(store, id).await;
    let second = store.finish(again, success()).await.expect("it has its claim").deliveries;
    assert_eq!(second[0].id, DeliveryId::ending(id, 1, 0));
    assert_eq!(store.delivery(first[0].id).await.expect("readable"), before, "what was told stays told");
    let all = sublane_store::DeliveryFilter { run: Some(id), limit: 9, ..Default::default() };
    assert_eq!(store.deliveries(all).await.expect("readable").len(), 2);
}

pub(crate) async fn only_what_ended_without_success_and_belongs_to_nobody_is_retried(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (attached, detached) = (spawn(store, &parent, 1).await, spawn_detached(store, &parent, 2).await);
    assert!(refused(store, parent.run).await.contains("run-1 is running"));
    for child in [attached, detached] {
        store.cancel(child, "no".into(), link_base(), at(5)).await.expect("cancelled");
    }
    assert!(refused(store, attached).await.contains("belongs to run-1, which began it: retry that one"));
    assert!(refused(store, detached).await.contains("was begun by run-1, which goes on"));
    store.finish(parent.clone(), success()).await.expect("it has its claim");
    assert!(refused(store, parent.run).await.contains("run-1 succeeded"));
    assert!(refused(store, attached).await.contains("belongs to run-1"));
    retry(store, detached, 100).await.expect("its parent has ended");
    assert_eq!(get(store, parent.run).await.active_children, 1, "it lives again");
    store.cancel(detached, "no".into(), link_base(), at(105)).await.expect("cancelled");
    assert_eq!(get(store, parent.run).await.active_children, 0);
    let nobody = store.retry(RunId([9; 16]), renewal(), None, at(100)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound(_))));
}

pub(crate) async fn a_purse_that_cannot_be_drawn_is_refused_with_the_limit(store: &dyn Store) {
    let first = accept(store, 1).await.run;
    store.cancel(first, "no".into(), link_base(), at(5)).await.expect("cancelled");
    let conversation = get(store, first).await.spec.conversation;
    for n in [2, 3] {
        // The second message fills the purse up and takes half of it; a child takes the rest.
        let mut next = message(n, "console:me");
        next.ask.spawns = sublane_core::Share::Exactly(40);
        let by = store.accept(next).await.expect("accepted").run;
        let by = claim(store, by).await;
        let all = |spawn: &mut sublane_store::Spawn| {
            spawn.ask = PurseAsk::exactly(crate::support::cpu(499_000));
            spawn.draw = sublane_store::Draw::Conversation { total: 9 };
        };
        spawn_with(store, &by, 1, all).await.answer.expect("there is enough");
    }
    let before = store.conversation(conversation).await.expect("readable");
    let why = refused(store, first).await;
    assert!(why.contains("limit purse.cpu-us is"), "{why}");
    assert_eq!(store.conversation(conversation).await.expect("readable"), before, "nothing was taken");
    assert_eq!(ended_as(store, first).await, "cancelled");
}

pub(crate) async fn a_retry_and_its_intent_are_one_commit(store: &dyn Store) {
    let run = accept(store, 1).await.run;
    store.cancel(run, "no".into(), link_base(), at(5)).await.expect("cancelled");
    let number = store.ask("retry".into(), at(6)).await.expect("asked");
    store.retry(run, renewal(), Some((number, "done".into())), at(7)).await.expect("it begins again");
    assert!(store.intents(9).await.expect("readable").is_empty());
    assert_eq!(store.intent_answer(number).await.expect("readable").as_deref(), Some("done"));
}

pub(crate) async fn what_took_its_hosts_with_it_begins_with_no_crash(store: &dyn Store) {
    let run = root(store, 1).await.run;
    for _ in 0..=MAX_CRASHES {
        store.recover(MAX_CRASHES, link_base(), at(9)).await.expect("taken over");
        if state(store, run).await == "queued" {
            claim(store, run).await;
        }
    }
    assert_eq!(ended_as(store, run).await, "failed");
    retry(store, run, 100).await.expect("it begins again");
    assert_eq!(get(store, run).await.crashes, 0);
    claim(store, run).await;
    store.recover(MAX_CRASHES, link_base(), at(101)).await.expect("taken over");
    assert_eq!(state(store, run).await, "queued", "it has all its attempts again");
    let queued = RunFilter { state: Some("queued".into()), limit: 9, ..RunFilter::default() };
    assert_eq!(store.runs(queued).await.expect("readable").len(), 1);
}
