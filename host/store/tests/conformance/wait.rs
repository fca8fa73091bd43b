//! Waits are rows; one transaction decides each.

use sublane_core::journal::{AnyAnswer, Woken, decode};
use sublane_core::{Answer, Entry, Outcome, Purse, PurseAsk, RunId, RunState, Timestamp};
use sublane_store::{Command, Parked, Source, Store, WaitFor};

use crate::support::{
    CHILD, DEADLINE, at, claim, entry, get, later, link_base, message, park, root, spawn, spawn_with, state,
    success, token, wait, wait_answer,
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
    let early = store.fire_due(10, 10, link_base(), at(9)).await.expect("swept");
    assert_eq!(early, sublane_store::Effects::default());
    let effects = store.fire_due(10, 10, link_base(), at(10)).await.expect("swept");
    let answer = wait_answer(&effects.resumed[0].2);
    assert!(answer.timed_out);
    assert_eq!(answer.ended, [a], "and what had ended is told");
    assert_eq!(effects.resumed[0].2.at, at(10), "the run's clock goes on");
    let again = store.fire_due(10, 10, link_base(), at(11)).await.expect("swept");
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
    let due = store.fire_due(10, 10, link_base(), at(50)).await.expect("swept");
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
    let first = store.fire_due(1, 1, link_base(), at(30)).await.expect("swept");
    assert_eq!(first.resumed[0].0, early.run, "oldest first, no more than the limit");
    let second = store.fire_due(1, 1, link_base(), at(30)).await.expect("swept");
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
    store.fire_due(10, 10, link_base(), at(10)).await.expect("swept");
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
    let effects = store.fire_due(10, 10, link_base(), at(10)).await.expect("swept");
    assert!(effects.resumed.is_empty());
    assert_eq!(effects.ready[0].run, by.run);
    assert_eq!(store.queued(None, 9).await.expect("readable"), effects.ready);
    let next = store.claim(by.run, token(2), at(11)).await.expect("readable").expect("ready");
    assert_eq!((next.entries.len(), next.run.crashes), (1, 0), "with the answer in its journal");
}

pub(crate) async fn an_eviction_that_comes_too_late_changes_nothing(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(at(10)))).await;
    store.fire_due(10, 10, link_base(), at(10)).await.expect("swept");
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

/// A wait for the first of these, due when the earliest instant among them is.
fn first_of(by: &sublane_store::By, seq: u32, sources: &[Source]) -> sublane_store::Wait {
    let instants = sources.iter().filter_map(|source| match source {
        Source::Until(at) => Some(*at),
        _ => None,
    });
    let due = instants.min();
    wait(by, seq, WaitFor::Any { sources: sources.to_vec() }, due)
}

/// A child that spawns none itself: what a child has is enough for it.
async fn leaf(store: &dyn Store, parent: &sublane_store::By, seq: u32) -> RunId {
    let purse = Purse { spawns: 0, ..CHILD };
    let spawned = spawn_with(store, parent, seq, |spawn| spawn.ask = PurseAsk::exactly(purse)).await;
    spawned.answer.expect("room for a child").run
}

fn ending(run: RunId) -> Source {
    Source::Runs { runs: vec![run], all: false }
}

fn any_answer(entry: &Entry) -> (u32, Woken) {
    let answer: Answer<AnyAnswer> = decode(entry).expect("an answer to a wait");
    let AnyAnswer { index, woken } = answer.expect("a wait for several does not fail");
    (index, woken)
}

async fn tell(store: &dyn Store, parent: &sublane_store::By, seq: u32, to: RunId) -> sublane_store::Effects {
    let blank = entry(seq, sublane_core::Import::Send, "");
    store.command(parent.clone(), blank, send(to, "\"go on\"")).await.expect("it has its claim").1
}

pub(crate) async fn the_first_of_several_decides_and_the_others_stay(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    let sources = [Source::Until(at(50)), ending(leaf(store, &child, 1).await), Source::Message];
    park(store, &child, first_of(&child, 2, &sources)).await;
    let effects = tell(store, &parent, 2, child.run).await;
    let (resumed, _, entry) = &effects.resumed[0];
    assert_eq!((*resumed, any_answer(entry)), (child.run, (2, Woken::Message("\"go on\"".into()))));
    assert_eq!(store.wait_of(child.run).await.expect("readable"), None);
    // What it had waited for beside: nothing of it is left to wake it again.
    let Source::Runs { runs, .. } = &sources[1] else { panic!("the second is a run") };
    assert!(finish(store, runs[0]).await.resumed.is_empty(), "decided once");
    let due = store.fire_due(10, 10, link_base(), at(50)).await.expect("swept");
    assert_eq!(due, sublane_store::Effects::default(), "the instant went with the wait");
    assert_eq!(store.next_due().await.expect("readable"), Some(DEADLINE));
}

pub(crate) async fn of_what_is_there_at_once_the_first_in_the_list_is_taken(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    let ended = leaf(store, &child, 1).await;
    finish(store, ended).await;
    tell(store, &parent, 2, child.run).await;
    let (time, run, message) = (Source::Until(at(0)), ending(ended), Source::Message);
    let orders = [
        ([&run, &message, &time], Woken::Runs(vec![ended])),
        ([&time, &message, &run], Woken::Until),
        ([&message, &run, &time], Woken::Message("\"go on\"".into())),
        // The message is gone now, and was not before.
        ([&message, &time, &run], Woken::Until),
    ];
    for (seq, (order, expected)) in (2..).zip(orders) {
        let sources: Vec<Source> = order.into_iter().cloned().collect();
        let parked = store.park(child.clone(), first_of(&child, seq, &sources)).await;
        let Parked::Decided(entry) = parked.expect("it has its claim") else { panic!("all are there") };
        let index = if seq == 5 { 1 } else { 0 };
        assert_eq!(any_answer(&entry), (index, expected));
    }
}

pub(crate) async fn an_ending_and_a_time_that_passed_are_decided_by_the_order(store: &dyn Store) {
    for (n, is_time_first) in [(1, true), (2, false)] {
        let parent = root(store, n).await;
        let child = spawn(store, &parent, 1).await;
        let by = later(&claim(store, child).await, at(20));
        let mut sources = vec![Source::Until(at(10)), ending(child)];
        if !is_time_first {
            sources.reverse();
        }
        park(store, &parent, first_of(&parent, 2, &sources)).await;
        // The sweep that would have found the time has not come yet.
        let effects = store.finish(by, success()).await.expect("it has its claim");
        let expected = if is_time_first { Woken::Until } else { Woken::Runs(vec![child]) };
        assert_eq!(any_answer(&effects.resumed[0].2), (0, expected));
    }
}

pub(crate) async fn several_runs_of_one_source_all_or_any(store: &dyn Store) {
    let parent = root(store, 1).await;
    let (a, b) = (spawn(store, &parent, 1).await, spawn(store, &parent, 2).await);
    let both = Source::Runs { runs: vec![a, b], all: true };
    park(store, &parent, first_of(&parent, 3, &[both.clone(), Source::Until(at(9))])).await;
    assert!(finish(store, a).await.resumed.is_empty(), "one is not both");
    let effects = store.fire_due(10, 10, link_base(), at(9)).await.expect("swept");
    assert_eq!(any_answer(&effects.resumed[0].2), (1, Woken::Until));
    park(store, &parent, first_of(&parent, 4, &[Source::Message, both])).await;
    let effects = finish(store, b).await;
    assert_eq!(any_answer(&effects.resumed[0].2), (1, Woken::Runs(vec![a, b])), "in the caller's order");
}

pub(crate) async fn an_evicted_wait_for_several_is_decided_the_same(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    park(store, &parent, first_of(&parent, 2, &[Source::Message, ending(child)])).await;
    assert!(store.evict(parent.clone()).await.expect("it has its claim"));
    let effects = finish(store, child).await;
    assert!(effects.resumed.is_empty());
    assert_eq!(effects.ready[0].run, parent.run);
    let journal = store.journal(parent.run, 0).await.expect("readable");
    assert_eq!(any_answer(journal.last().expect("it is written")), (1, Woken::Runs(vec![child])));
}

pub(crate) async fn a_cancelled_wait_for_several_leaves_nothing(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    let grandchild = leaf(store, &child, 1).await;
    park(store, &child, first_of(&child, 2, &[ending(grandchild), Source::Until(at(9))])).await;
    let cancelled = store.cancel(child.run, "no more".into(), link_base(), at(1)).await.expect("cancelled");
    assert!(cancelled.killed.contains(&(child.run, child.token)));
    assert_eq!(store.wait_of(child.run).await.expect("readable"), None);
    let due = store.fire_due(10, 10, link_base(), at(9)).await.expect("swept");
    assert_eq!(due, sublane_store::Effects::default());
    assert!(matches!(get(store, grandchild).await.outcome(), Some(Outcome::Cancelled { .. })));
}

/// A root of this plugin that sleeps until then.
async fn sleeper(store: &dyn Store, n: u8, plugin: &str, due: Timestamp) -> RunId {
    let mut accept = message(n, &format!("console:{n}"));
    accept.spec.plugin = plugin.to_owned();
    let run = store.accept(accept).await.expect("accepted").run;
    let by = claim(store, run).await;
    park(store, &by, wait(&by, 1, WaitFor::Sleep, Some(due))).await;
    run
}

pub(crate) async fn what_is_due_is_woken_in_the_turn_of_its_plugin(store: &dyn Store) {
    for n in 1..=6 {
        sleeper(store, n, "many", at(u64::from(n))).await;
    }
    let (few, later) = (sleeper(store, 7, "few", at(30)).await, sleeper(store, 8, "later", at(90)).await);
    let woken = |effects: sublane_store::Effects| -> Vec<u8> {
        effects.resumed.iter().map(|(run, ..)| run.0[15]).collect()
    };
    let first = store.fire_due(9, 4, link_base(), at(40)).await.expect("swept");
    assert_eq!(woken(first), [1, 2, 7], "half of it for each of the two that have any");
    assert_ne!(state(store, few).await, "waiting");
    let second = store.fire_due(9, 2, link_base(), at(40)).await.expect("swept");
    assert_eq!(woken(second), [3, 4], "the others have none left: all of it, the oldest first");
    assert_eq!(store.next_due().await.expect("readable"), Some(at(5)), "what is overdue is due");
    let third = store.fire_due(9, 9, link_base(), at(40)).await.expect("swept");
    assert_eq!(woken(third), [5, 6]);
    assert_eq!(store.next_due().await.expect("readable"), Some(at(90)));
    assert_eq!(state(store, later).await, "waiting");
}
