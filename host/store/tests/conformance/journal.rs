//! Claims, and what an attempt writes under its claim.

use sublane_core::{Import, Outcome, Path, Priority, Purse, PurseAsk, RunState, Timestamp};
use sublane_store::{Command, Store, StoreError, WaitFor};

use crate::support::{
    START, accept, artifact, at, by, child, claim, destination, entry, get, grants, message, root, success,
    token, wait,
};

pub(crate) async fn only_one_attempt_gets_a_run(store: &dyn Store) {
    let run = accept(store, 1).await.run;
    let first = store.claim(run, token(1), at(5)).await.expect("readable").expect("it is queued");
    assert_eq!(first.run.state, RunState::Running { token: token(1) });
    assert_eq!((first.run.attempt, first.run.since), (1, at(5)));
    assert!(store.claim(run, token(2), at(6)).await.expect("readable").is_none());
    assert_eq!(get(store, run).await, first.run);
    assert!(store.queued(None, 9).await.expect("readable").is_empty());
    let nobody = crate::support::spec(77).id;
    assert!(store.claim(nobody, token(1), START).await.expect("readable").is_none());
}

pub(crate) async fn a_stale_claim_is_refused_everywhere(store: &dyn Store) {
    let claimed = root(store, 1).await;
    let run = claimed.run;
    let stale = by(run, token(404));
    let before = get(store, run).await;
    let conversation = before.spec.conversation;
    let set = Command::KvSet { bucket: "b".into(), key: "k".into(), value: b"v".to_vec() };
    let wait = wait(&stale, 1, WaitFor::Sleep, Some(at(9)));
    let refusals = [
        store.append(stale.clone(), vec![entry(1, Import::KvGet, "null")]).await.err(),
        store.command(stale.clone(), entry(1, Import::KvSet, ""), set).await.err(),
        store.spawn(child(&stale, conversation, 1)).await.err(),
        store.park(stale.clone(), wait).await.err(),
        store.evict(stale.clone()).await.err(),
        store.finish(stale.clone(), success()).await.err(),
        store.interrupt(stale.clone(), true, 3).await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Some(StoreError::Stale(id)) if id == run), "{refusal:?}");
    }
    assert_eq!(get(store, run).await, before);
    assert!(store.journal(run, 0).await.expect("readable").is_empty());
    assert_eq!(store.kv_get("b".into(), "k".into()).await.expect("readable"), None);
    store.finish(claimed.clone(), success()).await.expect("the newest claim may");
    let after = store.finish(claimed, success()).await.expect_err("it ended");
    assert!(matches!(after, StoreError::Stale(_)), "{after}");
}

pub(crate) async fn entries_come_back_in_the_order_of_their_paths(store: &dyn Store) {
    let claimed = root(store, 1).await;
    let call = Path::root().then(2);
    let mut inside = entry(0, Import::KvGet, r#"{"Ok":null}"#);
    inside.path = call.then(300);
    let mut outside = entry(0, Import::CallTool, r#"{"Ok":"sent"}"#);
    outside.path = call;
    let entries =
        [entry(1, Import::KvGet, "1"), outside.clone(), inside.clone(), entry(3, Import::Status, "ä\u{0}ö")];
    store.append(claimed.clone(), vec![entries[0].clone(), inside]).await.expect("appended");
    store.append(claimed.clone(), vec![outside]).await.expect("the call, after what it did");
    store.append(claimed.clone(), vec![entries[3].clone()]).await.expect("appended");
    assert_eq!(store.journal(claimed.run, 0).await.expect("readable"), entries);
    assert!(store.journal(claimed.run, 1).await.expect("readable").is_empty(), "another generation");
}

pub(crate) async fn an_attempt_goes_on_from_the_journal(store: &dyn Store) {
    let first = root(store, 1).await;
    let done = entry(1, Import::KvGet, r#"{"Ok":null}"#);
    store.append(first.clone(), vec![done.clone()]).await.expect("appended");
    store.interrupt(first.clone(), false, 3).await.expect("it has its claim");
    let next = store.claim(first.run, token(2), at(9)).await.expect("readable").expect("ready again");
    assert_eq!(next.entries, [done]);
    assert_eq!((next.run.attempt, next.run.crashes), (2, 0));
    let late = store.append(first, vec![entry(2, Import::KvGet, "0")]).await.expect_err("an older attempt");
    assert!(matches!(late, StoreError::Stale(_)), "{late}");
}

pub(crate) async fn values_come_back_as_they_were(store: &dyn Store) {
    let mut odd = message(1, "matrix:!room:example.org");
    odd.conversation.purse = Purse::from_amounts([u64::MAX; Purse::AMOUNTS]);
    odd.ask = PurseAsk::exactly(Purse::from_amounts([u64::MAX - 3; Purse::AMOUNTS]));
    odd.spec.input = "\"\u{0} \u{1f98a}\"".into();
    odd.spec.artifacts = vec![artifact(1), artifact(2)];
    odd.spec.destinations = vec![destination("webhook:films"), destination("console:me")];
    odd.spec.grants = grants(Timestamp(u64::MAX));
    odd.spec.priority = Priority::High;
    odd.spec.dedupe_key = Some(String::new());
    odd.spec.created = Timestamp(0);
    odd.spec.depth = u32::MAX;
    let mut expected = odd.spec.clone();
    let accepted = store.accept(odd).await.expect("accepted");
    expected.conversation = accepted.conversation;
    let run = get(store, accepted.run).await;
    // A root run draws at most half of what its conversation has.
    let half = u64::MAX / 2;
    expected.purse = Purse::from_amounts([half; Purse::AMOUNTS]);
    assert_eq!(*run.spec, *expected);
    assert_eq!(run.purse, expected.purse);
    let conversation = store.conversation(accepted.conversation).await.expect("readable").expect("there");
    assert_eq!(conversation.purse.cpu_us, half + 1);
    assert_eq!(conversation.origin, destination("matrix:!room:example.org"));
    let claimed = claim(store, run.spec.id).await;
    let outcome = Outcome::failed(sublane_core::Failure::Trapped, "wasm `unreachable`\n  at 0");
    store.finish(claimed, outcome.clone()).await.expect("it has its claim");
    let run = get(store, run.spec.id).await;
    assert_eq!(run.state, RunState::Ended { outcome, at: START });
}
