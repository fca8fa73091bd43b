//! Poll plans: carried out poll by poll, and ended with their wait.

use std::sync::Arc;

use sublane_core::hook::Called;
use sublane_core::journal::{AnyAnswer, Woken, decode};
use sublane_core::poll::{Ending, Pace, Plan, Poll, PollRequest, PollResponse, Rule};
use sublane_core::{Answer, Entry, Import, ImportError, LimitHit, Path, PollId, Purse, Timestamp};
use sublane_store::{By, DuePoll, Effects, Parked, PollMove, Polled, Source, Store, WaitFor};

use crate::hook::{call, open_command};
use crate::support::{ROOT, at, entry, get, link_base, park, root, spawn, state, wait};

pub(crate) fn plan(server: &str, first_ms: u64) -> Plan {
    Plan {
        server: server.to_owned(),
        request: PollRequest {
            method: "GET".into(),
            url: format!("{server}/job?key=1"),
            headers: vec![("accept".into(), "application/json".into())],
            body: None,
            timeout_ms: 30_000,
            max_body: 1_000,
            redirects: 5,
        },
        pace: Pace { first_ms, interval_ms: 1_000, factor: 200, ceiling_ms: 60_000, jitter: 10 },
        until: None,
        done: vec![Rule { status: (200, 299), values: Vec::new(), times: 1 }],
        failed: Vec::new(),
        goes_on: Vec::new(),
        headers: Vec::new(),
        hint: None,
    }
}

pub(crate) fn for_poll(plan: Plan) -> WaitFor {
    WaitFor::Poll { plan: Arc::new(plan) }
}

pub(crate) fn done() -> Ending {
    let body = (*b"{}").into();
    Ending::Done(PollResponse { status: 200, url: "http://a/job".into(), headers: Vec::new(), body })
}

fn one_request() -> Purse {
    Purse { requests: 1, bytes_out: 20, ..Purse::default() }
}

async fn moved(
    store: &dyn Store,
    poll: &Poll,
    made: u32,
    spent: Purse,
    moved: PollMove,
    now: u64,
) -> (Polled, Effects) {
    store.poll(poll.id, made, spent, moved, at(now)).await.expect("the store works")
}

async fn polls(store: &dyn Store, by: &By) -> Vec<Poll> {
    store.polls_of(by.run).await.expect("readable")
}

fn ending(entry: &Entry) -> Answer<Ending> {
    decode(entry).expect("an answer to a poll")
}

pub(crate) async fn a_plan_stands_where_its_polls_brought_it(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, for_poll(plan("http://a", 500)), None)).await;
    let [poll] = &polls(store, &by).await[..] else { panic!("one") };
    assert_eq!(poll.id, PollId::opened(by.run, 0, &Path::root().then(1), 0));
    assert_eq!((poll.due, poll.made, &poll.seen), (Timestamp(by.now.0 + 500), 0, &None));
    let servers = store.polled_servers().await.expect("readable");
    assert_eq!(servers, [("http://a".to_owned(), poll.due)]);
    let due_without = async |now, under_way| {
        store.due_polls("http://a".into(), at(now), 9, under_way).await.expect("readable")
    };
    let due = async |now| due_without(now, Vec::new()).await;
    assert_eq!(due(499).await, []);
    let (plan, run) = (Arc::new(plan("http://a", 500)), get(store, by.run).await);
    assert_eq!(due(500).await, [DuePoll { poll: poll.clone(), plan, run }]);
    assert_eq!(due_without(500, vec![poll.id]).await, [], "it is under way");
    let begin = PollMove::Begin { again: at(40_000) };
    let begun = moved(store, poll, 0, one_request(), begin.clone(), 600).await;
    assert_eq!(begun, (Polled::On, Effects::default()));
    assert_eq!(get(store, by.run).await.purse.requests, ROOT.requests - 1);
    assert_eq!(due(39_999).await, [], "nobody makes it twice");
    let again = moved(store, poll, 0, one_request(), begin, 610).await;
    assert_eq!(again, (Polled::Gone, Effects::default()), "another one was begun");
    let goes_on = |due| PollMove::GoesOn { due: at(due), seen: "200".into(), streak: Some((2, 1)) };
    let came = Purse { bytes_in: 100, ..Purse::default() };
    assert_eq!(moved(store, poll, 1, came, goes_on(2_000), 700).await.0, Polled::On);
    let kept = polls(store, &by).await.remove(0);
    assert_eq!(
        (kept.due, kept.made, kept.seen.as_deref(), kept.streak),
        (at(2_000), 1, Some("200"), Some((2, 1)))
    );
    assert_eq!(get(store, by.run).await.purse.bytes_in, ROOT.bytes_in - 100);
    assert_eq!(store.journal(by.run, 0).await.expect("readable"), []);
}

pub(crate) async fn an_answer_that_decides_is_the_entry(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, for_poll(plan("http://a", 0)), None)).await;
    let poll = polls(store, &by).await.remove(0);
    moved(store, &poll, 0, one_request(), PollMove::Begin { again: at(9_000) }, 1).await;
    let (ended, effects) = moved(store, &poll, 1, Purse::default(), PollMove::Ends(Ok(done())), 2).await;
    assert_eq!((ended, state(store, by.run).await), (Polled::Ended, "running"));
    let [(run, token, entry)] = &effects.resumed[..] else { panic!("{effects:?}") };
    assert_eq!((*run, *token, ending(entry)), (by.run, by.token, Ok(done())));
    assert_eq!(store.journal(by.run, 0).await.expect("readable"), std::slice::from_ref(entry));
    assert_eq!((polls(store, &by).await, store.polled_servers().await.expect("readable")), (vec![], vec![]));
    let late = moved(store, &poll, 1, Purse::default(), PollMove::Ends(Ok(done())), 3).await;
    assert_eq!(late, (Polled::Gone, Effects::default()));
}

pub(crate) async fn a_plan_ends_when_its_time_is_up_or_its_run_ends(store: &dyn Store) {
    let by = root(store, 1).await;
    let mut timed = plan("http://a", 0);
    timed.until = Some(at(500));
    park(store, &by, wait(&by, 1, for_poll(timed), Some(at(500)))).await;
    let poll = polls(store, &by).await.remove(0);
    moved(store, &poll, 0, one_request(), PollMove::Begin { again: at(9_000) }, 1).await;
    let goes_on = PollMove::GoesOn { due: at(800), seen: "202".into(), streak: None };
    moved(store, &poll, 1, Purse::default(), goes_on, 2).await;
    let fired = store.fire_due(9, 9, link_base(), at(500)).await.expect("fired");
    assert_eq!(ending(&fired.resumed[0].2), Ok(Ending::TimedOut("202".into())));
    let child = spawn(store, &by, 2).await;
    let child = crate::support::claim(store, child).await;
    park(store, &child, wait(&child, 1, for_poll(plan("http://b", 0)), None)).await;
    store.cancel(child.run, "enough".into(), link_base(), at(600)).await.expect("cancelled");
    assert_eq!(store.polled_servers().await.expect("readable"), []);
}

pub(crate) async fn a_purse_that_has_no_more_ends_a_plan_by_name(store: &dyn Store) {
    let by = root(store, 1).await;
    park(store, &by, wait(&by, 1, for_poll(plan("http://a", 0)), None)).await;
    let poll = polls(store, &by).await.remove(0);
    moved(store, &poll, 0, one_request(), PollMove::Begin { again: at(9_000) }, 1).await;
    let much = Purse { requests: 1, bytes_out: 1_000, ..Purse::default() };
    let (ended, effects) = moved(store, &poll, 1, much, PollMove::Redirected, 2).await;
    let limit = ImportError::Limit(LimitHit::new("purse.bytes-out", ROOT.bytes_out - 20));
    assert_eq!((ended, ending(&effects.resumed[0].2)), (Polled::Ended, Err(limit)));
    assert_eq!(get(store, by.run).await.purse.requests, ROOT.requests - 1, "what was not made costs nothing");
}

pub(crate) async fn a_plan_is_one_of_several_things_and_the_first_wins(store: &dyn Store) {
    let by = root(store, 1).await;
    let sources = |until| {
        let poll = |server| Source::Poll(Arc::new(plan(server, 0)));
        vec![Source::Until(at(until)), poll("http://a"), Source::Message, poll("http://b")]
    };
    park(store, &by, wait(&by, 1, WaitFor::Any { sources: sources(500) }, Some(at(500)))).await;
    let both = polls(store, &by).await;
    assert_eq!(both.iter().map(|poll| poll.place).collect::<Vec<_>>(), [1, 3]);
    moved(store, &both[1], 0, one_request(), PollMove::Begin { again: at(9_000) }, 1).await;
    let (_, effects) = moved(store, &both[1], 1, Purse::default(), PollMove::Ends(Ok(done())), 2).await;
    let first = |effects: &Effects| decode::<AnyAnswer>(&effects.resumed[0].2).expect("an answer");
    assert_eq!(first(&effects), Ok(AnyAnswer { index: 3, woken: Woken::Poll(done()) }));
    assert_eq!(polls(store, &by).await, []);
    let parked = wait(&by, 2, WaitFor::Any { sources: sources(500) }, Some(at(500)));
    park(store, &by, parked).await;
    let both = polls(store, &by).await;
    moved(store, &both[0], 0, one_request(), PollMove::Begin { again: at(9_000) }, 3).await;
    // The time has come as well, and stands before it in the list.
    let (_, effects) = moved(store, &both[0], 1, Purse::default(), PollMove::Ends(Ok(done())), 600).await;
    assert_eq!(first(&effects), Ok(AnyAnswer { index: 0, woken: Woken::Until }));
    park(store, &by, wait(&by, 3, WaitFor::Any { sources: sources(900) }, Some(at(900)))).await;
    let poll = polls(store, &by).await.remove(0);
    let denied = PollMove::Ends(Err(ImportError::Denied("http".into())));
    let (_, effects) = moved(store, &poll, 0, Purse::default(), denied, 700).await;
    assert_eq!(first(&effects), Err(ImportError::Denied("http".into())));
}

pub(crate) async fn a_call_of_its_hook_makes_a_plan_due(store: &dyn Store) {
    let by = root(store, 1).await;
    store.command(by.clone(), entry(1, Import::HookOpen, ""), open_command(1)).await.expect("it may");
    let hook = store.hooks_of(by.run).await.expect("readable").remove(0);
    let hinted = Plan { hint: Some(hook.id), ..plan("http://a", 50_000) };
    park(store, &by, wait(&by, 2, for_poll(hinted.clone()), None)).await;
    let poll = polls(store, &by).await.remove(0);
    moved(store, &poll, 0, one_request(), PollMove::Begin { again: at(9_000) }, 1).await;
    let called = store.call_hook([1; 32], call("a", 5), at(5)).await.expect("the store works");
    let (called, effects) = called.expect("it is there");
    assert_eq!((called, effects), (Called::Taken, Effects { polls: true, ..Effects::default() }));
    assert_eq!(polls(store, &by).await[0].due, at(5));
    // One that was under way may have been answered before the call: another one follows.
    let goes_on = PollMove::GoesOn { due: at(70_000), seen: "202".into(), streak: None };
    let (_, effects) = moved(store, &poll, 1, Purse::default(), goes_on.clone(), 6).await;
    assert_eq!((polls(store, &by).await[0].due, effects.polls), (at(6), true));
    moved(store, &poll, 1, one_request(), PollMove::Begin { again: at(9_000) }, 7).await;
    moved(store, &poll, 2, Purse::default(), goes_on, 8).await;
    assert_eq!(polls(store, &by).await[0].due, at(70_000));
    moved(store, &poll, 2, Purse::default(), PollMove::Ends(Ok(done())), 9).await;
    let parked = store.park(by.clone(), wait(&by, 3, for_poll(hinted), None)).await.expect("claimed");
    assert_eq!(parked, Parked::Waiting);
    assert_eq!(polls(store, &by).await[0].due, by.now, "a call that came early is a hint as well");
}
