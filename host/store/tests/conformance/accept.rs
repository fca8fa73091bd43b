//! Messages and commands from outside become runs.

use sublane_core::{Purse, RunState};
use sublane_store::{RunFilter, Store, StoreError};

use crate::support::{FULL, ROOT, accept, claim, destination, get, message, root, spawn};

pub(crate) async fn a_message_makes_a_run_that_is_ready(store: &dyn Store) {
    let accepted = accept(store, 1).await;
    assert!(!accepted.duplicate);
    let run = get(store, accepted.run).await;
    assert_eq!((run.state, run.purse, run.spec.purse), (RunState::Queued, ROOT, ROOT));
    assert_eq!(accepted.effects.ready.len(), 1);
    assert_eq!(store.queued(None, 10).await.expect("readable"), accepted.effects.ready);
    let conversation = store.conversation(accepted.conversation).await.expect("readable").expect("made");
    assert_eq!(conversation.origin, destination("console:me"));
    assert_eq!(conversation.ceiling, FULL);
}

/// Complaint 18760 (R13): the same job was handed out again and again.
pub(crate) async fn the_same_event_makes_the_same_run(store: &dyn Store) {
    let first = accept(store, 1).await;
    let mut again = message(2, "console:me");
    again.event = message(1, "console:me").event;
    let again = store.accept(again).await.expect("accepted");
    assert!(again.duplicate && again.effects.ready.is_empty());
    assert_eq!((again.run, again.conversation), (first.run, first.conversation));
    assert_eq!(store.queued(None, 10).await.expect("readable").len(), 1);
}

pub(crate) async fn each_message_fills_the_purse_of_its_conversation(store: &dyn Store) {
    let mut left = FULL;
    left.spend(Purse { spawns: ROOT.spawns + 1, ..ROOT });
    let first = accept(store, 1).await;
    let purse = async || store.conversation(first.conversation).await.expect("readable").expect("made").purse;
    assert_eq!(purse().await, left);
    let second = accept(store, 2).await;
    assert_eq!(second.conversation, first.conversation, "one origin, one conversation");
    assert_eq!(get(store, second.run).await.spec.conversation, first.conversation);
    assert_eq!(purse().await, left, "filled up, then drawn from once");
}

pub(crate) async fn a_conversation_without_a_budget_is_refused(store: &dyn Store) {
    let mut broke = message(1, "console:me");
    broke.conversation.purse = Purse::default();
    let error = store.accept(broke).await.expect_err("nothing to draw from");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable").is_empty());
}

pub(crate) async fn lists_are_newest_first_and_filtered(store: &dyn Store) {
    let parent = root(store, 9).await;
    let first = spawn(store, &parent, 1).await;
    let second = spawn(store, &parent, 2).await;
    let mut elsewhere = message(3, "console:you");
    elsewhere.spec.id = crate::support::spec(3).id;
    let other = store.accept(elsewhere).await.expect("accepted");
    let waiting = claim(store, first).await;
    crate::support::park(
        store,
        &waiting,
        crate::support::wait(&waiting, 1, sublane_store::WaitFor::Message, None),
    )
    .await;
    let hot = claim(store, second).await;
    let sleep = crate::support::wait(&hot, 1, sublane_store::WaitFor::Message, None);
    crate::support::park(store, &hot, sleep).await;
    assert!(store.evict(waiting).await.expect("it waits"));
    let list = async |filter: RunFilter| -> Vec<_> {
        let runs = store.runs(filter).await.expect("readable");
        runs.iter().map(|run| run.spec.id).collect()
    };
    let all = RunFilter { limit: 10, ..RunFilter::default() };
    assert_eq!(list(all.clone()).await, [other.run, second, first, parent.run]);
    assert_eq!(list(RunFilter { limit: 2, ..all.clone() }).await, [other.run, second]);
    assert_eq!(list(RunFilter { parent: Some(parent.run), ..all.clone() }).await, [second, first]);
    let conversation = get(store, parent.run).await.spec.conversation;
    assert_eq!(
        list(RunFilter { conversation: Some(conversation), ..all.clone() }).await,
        [second, first, parent.run]
    );
    let in_state = |state: &str| RunFilter { state: Some(state.to_owned()), ..all.clone() };
    assert_eq!(list(in_state("waiting")).await, [second, first], "with and without an instance in memory");
    assert_eq!(list(in_state("running")).await, [parent.run]);
    assert_eq!(list(in_state("queued")).await, [other.run]);
    assert!(list(in_state("ended")).await.is_empty());
    assert!(list(in_state("sleeping")).await.is_empty(), "there is no such state");
    let waiting_children = RunFilter { parent: Some(parent.run), ..in_state("waiting") };
    assert_eq!(list(waiting_children).await, [second, first]);
}
