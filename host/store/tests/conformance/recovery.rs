//! A host takes over what another one left.

use sublane_core::delivery::AttemptResult;
use sublane_core::{DeliveryState, RunState};
use sublane_store::{By, DeliveryFilter, Recovered, Store, WaitFor};

use crate::support::{
    MAX_CRASHES, accept, at, claim, ended_as, get, link_base, park, root, spawn, state, success, token, wait,
};

async fn recover(store: &dyn Store) -> Recovered {
    store.recover(MAX_CRASHES, link_base(), at(100)).await.expect("taken over")
}

pub(crate) async fn an_executing_attempt_is_counted_as_a_crash_and_goes_on(store: &dyn Store) {
    let by = root(store, 1).await;
    let untouched = accept(store, 2).await.run;
    let recovered = recover(store).await;
    assert_eq!((recovered.crashed, recovered.evicted), (1, 0));
    assert_eq!(recovered.effects.ready[0].run, by.run);
    let run = get(store, by.run).await;
    assert_eq!((run.state.kind(), run.crashes, run.since), ("queued", 1, at(100)));
    assert_eq!(get(store, untouched).await.crashes, 0);
    assert!(store.append(by, vec![]).await.is_err(), "the old claim is stale");
    assert_eq!(recover(store).await.crashed, 0, "twice is no more than once");
}

pub(crate) async fn a_run_that_takes_its_hosts_with_it_ends(store: &dyn Store) {
    let run = root(store, 1).await.run;
    for _ in 0..MAX_CRASHES {
        recover(store).await;
        assert_eq!(state(store, run).await, "queued");
        claim(store, run).await;
    }
    let recovered = recover(store).await;
    assert_eq!(recovered.effects.ended, [run]);
    assert_eq!(ended_as(store, run).await, "failed");
    let outcome = format!("{:?}", get(store, run).await.outcome());
    assert!(outcome.contains("CrashLooping"), "{outcome}");
    assert_eq!(recovered.effects.deliveries.len(), 1, "the user is told");
    let owed =
        store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.expect("readable");
    assert_eq!(owed, recovered.effects.deliveries, "its attempt is begun, not one that was interrupted");
}

/// Crashed so often that one more ends it; both execute again.
async fn nearly_crash_looping(store: &dyn Store, parent: By) -> (By, By) {
    let child = spawn(store, &parent, 1).await;
    let mut both = (parent, claim(store, child).await);
    for _ in 0..MAX_CRASHES {
        recover(store).await;
        both = (claim(store, both.0.run).await, claim(store, child).await);
    }
    both
}

pub(crate) async fn a_tree_that_takes_its_hosts_with_it_ends_whole(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (parent, child) = nearly_crash_looping(store, parent).await;
    let recovered = recover(store).await;
    let mut ended = recovered.effects.ended;
    ended.sort_unstable();
    let mut both = [parent.run, child.run];
    both.sort_unstable();
    assert_eq!(ended, both, "each once, whichever ended first");
    assert_eq!(ended_as(store, parent.run).await, "failed");
    let next = recover(store).await;
    assert_eq!((next.crashed, next.evicted), (0, 0), "and the next host finds nothing to do");
}

pub(crate) async fn a_parked_parent_is_no_crash_when_its_child_crashed_once_too_often(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (parent, child) = nearly_crash_looping(store, parent).await;
    let what = WaitFor::Runs { runs: vec![child.run], all: true };
    park(store, &parent, wait(&parent, 2, what, None)).await;
    let recovered = recover(store).await;
    assert_eq!((recovered.crashed, recovered.evicted), (1, 1));
    assert_eq!(recovered.effects.ended, [child.run]);
    assert!(recovered.effects.resumed.is_empty(), "there is no instance to go on");
    assert!(recovered.effects.ready.iter().any(|ready| ready.run == parent.run), "it replays");
    let run = get(store, parent.run).await;
    assert_eq!((run.state, run.crashes), (RunState::Queued, MAX_CRASHES), "it executed nothing");
}

pub(crate) async fn a_parked_attempt_is_evicted_without_a_crash(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(at(500)))).await;
    let recovered = recover(store).await;
    assert_eq!((recovered.crashed, recovered.evicted), (0, 1));
    let run = get(store, by.run).await;
    assert_eq!((run.state, run.crashes), (RunState::Waiting { token: None }, 0));
}

pub(crate) async fn a_wait_outlives_its_host(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    park(store, &parent, wait(&parent, 2, WaitFor::Runs { runs: vec![child], all: true }, None)).await;
    recover(store).await;
    let claimed = claim(store, child).await;
    let effects = store.finish(claimed, success()).await.expect("it has its claim");
    assert!(effects.resumed.is_empty());
    assert_eq!(effects.ready[0].run, parent.run);
    let next = store.claim(parent.run, token(2), at(200)).await.expect("readable").expect("ready");
    assert_eq!(next.entries.len(), 2, "the spawn and the wait");
}

pub(crate) async fn a_delivery_under_way_is_tried_again_and_noted_as_ambiguous(store: &dyn Store) {
    let by = root(store, 1).await;
    let effects = store.finish(by, success()).await.expect("it has its claim");
    let id = effects.deliveries[0].id;
    let recovered = recover(store).await;
    assert_eq!(recovered.unsettled, 1);
    let attempts = store.attempts(id).await.expect("readable");
    assert!(matches!(attempts[0].result, AttemptResult::Retry { ambiguous: true, .. }), "{attempts:?}");
    let taken = store.take_deliveries(9, at(100)).await.expect("swept");
    assert_eq!((taken[0].id, taken[0].attempts, taken[0].state), (id, 2, DeliveryState::Sending));
}

pub(crate) async fn an_interrupted_attempt_is_no_crash(store: &dyn Store) {
    let mut by = root(store, 1).await;
    for crashes in 0..=MAX_CRASHES {
        assert_eq!(get(store, by.run).await.crashes, crashes);
        let calm = store.interrupt(by.clone(), false, MAX_CRASHES).await.expect("it has its claim");
        assert_eq!(calm.ready[0].run, by.run);
        by = claim(store, by.run).await;
        let crash = store.interrupt(by.clone(), true, MAX_CRASHES).await.expect("it has its claim");
        if crashes < MAX_CRASHES {
            assert_eq!(crash.ready[0].run, by.run);
            by = claim(store, by.run).await;
        } else {
            assert_eq!(crash.ended, [by.run]);
        }
    }
    let parked = root(store, 2).await;
    park(store, &parked, wait(&parked, 1, WaitFor::Message, None)).await;
    store.interrupt(parked.clone(), true, MAX_CRASHES).await.expect("it has its claim");
    let run = get(store, parked.run).await;
    assert_eq!(
        (run.state, run.crashes),
        (RunState::Waiting { token: None }, 0),
        "a parked instance executes nothing"
    );
}

pub(crate) async fn the_sweep_pages_through_what_is_queued(store: &dyn Store) {
    let mut expected = Vec::new();
    for n in 1..=7 {
        expected.push(accept(store, n).await.run);
    }
    // All are queued since the same instant: then the ids decide.
    let again = claim(store, expected[0]).await;
    let mut later = again.clone();
    later.now = at(50);
    store.interrupt(later, false, MAX_CRASHES).await.expect("it has its claim");
    expected.rotate_left(1);
    expected[..6].sort_unstable();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.queued(after, 3).await.expect("readable");
        let Some(last) = page.last() else { break };
        after = Some((last.since, last.run));
        found.extend(page.iter().map(|ready| ready.run));
    }
    assert_eq!(found, expected, "oldest first, each once");
}
