//! Waits are rows; one transaction decides each.

use sublane_core::journal::decode;
use sublane_core::{Answer, RunId, RunState};
use sublane_store::{Command, Parked, Store, WaitFor};

use crate::support::{
    DEADLINE, at, claim, entry, get, later, link_base, park, root, spawn, state, success, token, wait,
    wait_answer,
};

fn runs(runs: &[RunId], all: bool) -> WaitFor {
    WaitFor::Runs { runs: runs.to_vec(), all }
}

async fn finish(store: &dyn Store, run: RunId) -> sublane_store::Effects {
    let by = claim(store, run).await;
    store.finish(by, success()).await.expect("it has its claim")
}

pub(crate) async fn a_wait_for_any_is_decided_by_the_first_ending(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (a, b) = (spawn(store, &parent, 1).await, spawn(store, &parent, 2).await);
    park(store, &parent, wait(&parent, 3, runs(&[a, b], false), None)).await;
    assert_eq!(state(store, parent.run).await, "waiting");
    let effects = finish(store, b).await;
    let [(resumed, token, entry)] = &effects.resumed[..] else { panic!("resumed: {effects:?}") };
    assert_eq!((*resumed, *token), (parent.run, parent.token));
    assert_eq!(wait_answer(entry).ended, [b]);
    assert!(!wait_answer(entry).timed_out);
    assert_eq!(get(store, parent.run).await.state, RunState::Running { token: parent.token });
    assert_eq!(store.wait_of(parent.run).await.expect("readable"), None);
    assert_eq!(store.journal(parent.run, 0).await.expect("readable").last(), Some(entry));
    let effects = finish(store, a).await;
    assert!(effects.resumed.is_empty(), "decided once");
}

pub(crate) async fn a_wait_for_all_is_decided_by_the_last_ending(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (a, b) = (spawn(store, &parent, 1).await, spawn(store, &parent, 2).await);
    park(store, &parent, wait(&parent, 3, runs(&[a, b, a], true), None)).await;
    assert!(finish(store, b).await.resumed.is_empty());
    assert_eq!(state(store, parent.run).await, "waiting");
    let effects = finish(store, a).await;
    assert_eq!(wait_answer(&effects.resumed[0].2).ended, [a, b, a], "in the caller's order");
}

pub(crate) async fn a_wait_is_decided_at_once_when_it_is_over_already(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    finish(store, child).await;
    let over = wait(&parent, 2, runs(&[child], true), Some(at(10)));
    let parked = store.park(parent.clone(), over).await.expect("it has its claim");
    let Parked::Decided(entry) = parked else { panic!("it has ended") };
    assert_eq!(wait_answer(&entry).ended, [child]);
    assert_eq!(state(store, parent.run).await, "running");
    assert_eq!(store.wait_of(parent.run).await.expect("readable"), None);
    assert!(store.journal(parent.run, 0).await.expect("readable").contains(&entry));
}

pub(crate) async fn a_wait_that_times_out_says_so(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (a, b) = (spawn(store, &parent, 1).await, spawn(store, &parent, 2).await);
    finish(store, a).await;
    let opened = wait(&parent, 3, runs(&[a, b], true), Some(at(10)));
    park(store, &parent, opened.clone()).await;
    assert_eq!(store.wait_of(parent.run).await.expect("readable"), Some(opened));
    let early = store.fire_due(10, link_base(), at(9)).await.expect("swept");
    assert_eq!(early, sublane_store::Effects::default());
    let effects = store.fire_due(10, link_base(), at(10)).await.expect("swept");
    let answer = wait_answer(&effects.resumed[0].2);
    assert!(answer.timed_out);
    assert_eq!(answer.ended, [a], "and what had ended is told");
    assert_eq!(effects.resumed[0].2.at, at(10), "the run's clock goes on");
    let again = store.fire_due(10, link_base(), at(11)).await.expect("swept");
    assert_eq!(again, sublane_store::Effects::default(), "decided once");
}

pub(crate) async fn what_has_ended_beats_a_time_out(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    finish(store, child).await;
    let late = later(&parent, at(10));
    let Parked::Decided(entry) = store
        .park(late, wait(&parent, 2, runs(&[child], true), Some(at(10))))
        .await
        .expect("it has its claim")
    else {
        panic!("both are there")
    };
    assert!(!wait_answer(&entry).timed_out);
    assert_eq!(wait_answer(&entry).ended, [child]);
}

fn send(to: RunId, text: &str) -> Command {
    Command::Send { to, message: text.into() }
}

pub(crate) async fn a_message_ends_a_receive(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    park(store, &child, wait(&child, 1, WaitFor::Message, Some(at(50)))).await;
    let blank = entry(2, sublane_core::Import::Send, "");
    let (_, effects) =
        store.command(parent, blank, send(child.run, "\"go on\"")).await.expect("it has its claim");
    let (resumed, _, entry) = &effects.resumed[0];
    assert_eq!(*resumed, child.run);
    let got: Answer<Option<String>> = decode(entry).expect("an answer to a receive");
    assert_eq!(got, Ok(Some("\"go on\"".to_owned())));
    let due = store.fire_due(10, link_base(), at(50)).await.expect("swept");
    assert!(due.resumed.is_empty(), "the time-out went with the wait");
}

pub(crate) async fn messages_are_received_in_order(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    for (seq, text) in [(2, "1"), (3, "2")] {
        let blank = entry(seq, sublane_core::Import::Send, "");
        store.command(parent.clone(), blank, send(child.run, text)).await.expect("it has its claim");
    }
    for (seq, text) in [(1, "1"), (2, "2")] {
        let receive = wait(&child, seq, WaitFor::Message, None);
        let Parked::Decided(entry) = store.park(child.clone(), receive).await.expect("it has its claim")
        else {
            panic!("a message is there")
        };
        let got: Answer<Option<String>> = decode(&entry).expect("an answer to a receive");
        assert_eq!(got, Ok(Some(text.to_owned())));
    }
    let past = wait(&child, 3, WaitFor::Message, Some(at(0)));
    let Parked::Decided(entry) = store.park(child.clone(), past).await.expect("it has its claim") else {
        panic!("its time is up")
    };
    assert_eq!(decode::<Option<String>>(&entry).expect("an answer"), Ok(None));
    park(store, &child, wait(&child, 4, WaitFor::Message, None)).await;
}

pub(crate) async fn a_sleep_ends_when_it_is_due(store: &dyn Store) {
    let (late, early) = (root(store, 1).await, root(store, 2).await);
    park(store, &late, wait(&late, 1, WaitFor::Sleep, Some(at(20)))).await;
    park(store, &early, wait(&early, 1, WaitFor::Sleep, Some(at(10)))).await;
    let first = store.fire_due(1, link_base(), at(30)).await.expect("swept");
    assert_eq!(first.resumed[0].0, early.run, "oldest first, no more than the limit");
    let second = store.fire_due(1, link_base(), at(30)).await.expect("swept");
    assert_eq!(second.resumed[0].0, late.run);
    assert_eq!(decode::<()>(&second.resumed[0].2).expect("an answer"), Ok(()));
}

pub(crate) async fn what_is_due_next_is_known(store: &dyn Store) {
    let next = async || store.next_due().await.expect("readable");
    assert_eq!(next().await, None, "nothing is there");
    let by = root(store, 1).await;
    assert_eq!(next().await, Some(DEADLINE));
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(at(10)))).await;
    assert_eq!(next().await, Some(at(10)));
    store.fire_due(10, link_base(), at(10)).await.expect("swept");
    assert_eq!(next().await, Some(DEADLINE));
    store.finish(by, success()).await.expect("it has its claim");
    assert_eq!(next().await, None, "what has ended has no deadline");
}

pub(crate) async fn an_evicted_wait_makes_the_run_ready_again(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(at(10)))).await;
    assert!(store.evict(by.clone()).await.expect("it has its claim"));
    assert_eq!(get(store, by.run).await.state, RunState::Waiting { token: None });
    assert!(store.append(by.clone(), vec![]).await.is_err(), "its claim went with its instance");
    let effects = store.fire_due(10, link_base(), at(10)).await.expect("swept");
    assert!(effects.resumed.is_empty());
    assert_eq!(effects.ready[0].run, by.run);
    assert_eq!(store.queued(None, 9).await.expect("readable"), effects.ready);
    let next = store.claim(by.run, token(2), at(11)).await.expect("readable").expect("ready");
    assert_eq!((next.entries.len(), next.run.crashes), (1, 0), "with the answer in its journal");
}

pub(crate) async fn an_eviction_that_comes_too_late_changes_nothing(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(at(10)))).await;
    store.fire_due(10, link_base(), at(10)).await.expect("swept");
    assert!(!store.evict(by.clone()).await.expect("it has its claim"));
    assert_eq!(get(store, by.run).await.state, RunState::Running { token: by.token });
}

pub(crate) async fn a_waiting_run_is_not_claimed(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Message, None)).await;
    for _ in 0..2 {
        assert!(store.claim(by.run, token(2), at(1)).await.expect("readable").is_none());
        assert!(store.queued(None, 9).await.expect("readable").is_empty());
        store.evict(by.clone()).await.ok();
    }
}
