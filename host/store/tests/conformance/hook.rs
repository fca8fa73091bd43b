//! Hooks: opened by their run, called once by somebody outside.

use std::sync::Arc;

use sublane_core::hook::{
    CallAnswer, Called, HookCall, HookState, MAX_OPEN, MAX_OPENED, OpenAnswer, Verification,
};
use sublane_core::journal::{AnyAnswer, Woken, decode};
use sublane_core::{Answer, Entry, HookId, Import, ImportError, Path};
use sublane_store::{By, Command, Effects, Keep, Parked, Source, Store, WaitFor};

use crate::support::{at, entry, get, link_base, park, root, state, success, wait};

fn token(n: u8) -> [u8; 32] {
    [n; 32]
}

pub(crate) fn open_command(n: u8) -> Command {
    let verification = Verification::StandardWebhooks { secret: "films".into() };
    Command::OpenHook { token: token(n), url: format!("http://127.0.0.1/hooks/{n}").into(), verification }
}

pub(crate) fn call(key: &str, now: u64) -> HookCall {
    let body = Arc::from(&b"{\"n\": 1}"[..]);
    HookCall {
        key: key.into(),
        at: at(now),
        media_type: Some("application/json".into()),
        body,
        verified: true,
    }
}

async fn open(store: &dyn Store, by: &By, seq: u32, n: u8) -> Answer<OpenAnswer> {
    let opened = store.command(by.clone(), entry(seq, Import::HookOpen, ""), open_command(n)).await;
    decode(&opened.expect("it has its claim").0).expect("an answer to an opening")
}

async fn called(store: &dyn Store, n: u8, key: &str, now: u64) -> Option<(Called, Effects)> {
    store.call_hook(token(n), call(key, now), at(now)).await.expect("the store works")
}

fn told(entry: &Entry) -> Option<CallAnswer> {
    let answer: Answer<Option<CallAnswer>> = decode(entry).expect("an answer to a wait");
    answer.expect("a wait for a call does not fail")
}

fn for_hook(hook: HookId) -> WaitFor {
    WaitFor::Hook { hook }
}

pub(crate) async fn a_hook_is_known_by_where_it_was_opened_and_by_its_token(store: &dyn Store) {
    let by = root(store, 1).await;
    let OpenAnswer { id, url } = open(store, &by, 1, 1).await.expect("it may");
    assert_eq!((id, &*url), (HookId::opened(by.run, 0, &Path::root().then(1)), "http://127.0.0.1/hooks/1"));
    let hook = store.hook_by_token(token(1)).await.expect("readable").expect("it is there");
    assert_eq!((hook.id, hook.run, hook.generation, &hook.state), (id, by.run, 0, &HookState::Open));
    assert_eq!(hook.verification, Verification::StandardWebhooks { secret: "films".into() });
    assert_eq!(store.hooks_of(by.run).await.expect("readable"), [hook]);
    assert_eq!(store.hook_by_token(token(2)).await.expect("readable"), None);
    assert!(called(store, 2, "a", 5).await.is_none());
}

pub(crate) async fn a_call_ends_the_wait_for_it_and_is_told_once(store: &dyn Store) {
    let by = root(store, 1).await;
    let id = open(store, &by, 1, 1).await.expect("it may").id;
    park(store, &by, wait(&by, 2, for_hook(id), Some(at(500)))).await;
    let (taken, effects) = called(store, 1, "a", 20).await.expect("it is there");
    assert_eq!((taken, state(store, by.run).await), (Called::Taken, "running"));
    let [(run, token, entry)] = &effects.resumed[..] else { panic!("{effects:?}") };
    assert_eq!((*run, *token), (by.run, by.token));
    assert_eq!(told(entry), Some(call("a", 20).into()));
    assert_eq!(store.hooks_of(by.run).await.expect("readable")[0].state, HookState::Told { key: "a".into() });
    let again = called(store, 1, "a", 30).await.expect("it is there");
    assert_eq!(again, (Called::Doubled, Effects::default()));
    let other = called(store, 1, "b", 30).await.expect("it is there");
    assert_eq!(other, (Called::Gone, Effects::default()));
    assert_eq!(store.journal(by.run, 0).await.expect("readable").len(), 2);
}

pub(crate) async fn a_call_that_comes_early_is_kept(store: &dyn Store) {
    let by = root(store, 1).await;
    let id = open(store, &by, 1, 1).await.expect("it may").id;
    let early = called(store, 1, "a", 20).await.expect("it is there");
    assert_eq!(early, (Called::Taken, Effects::default()));
    assert_eq!(called(store, 1, "a", 25).await.expect("it is there").0, Called::Doubled);
    let recovered = store.recover(3, link_base(), at(30)).await.expect("recovered");
    assert_eq!(recovered.crashed, 1);
    let by = crate::support::claim(store, by.run).await;
    let parked = store.park(by.clone(), wait(&by, 2, for_hook(id), None)).await.expect("it has its claim");
    let Parked::Decided(entry) = parked else { panic!("{parked:?}") };
    assert_eq!(told(&entry), Some(call("a", 20).into()));
}

pub(crate) async fn a_wait_for_a_call_times_out_and_the_hook_stays_open(store: &dyn Store) {
    let by = root(store, 1).await;
    let id = open(store, &by, 1, 1).await.expect("it may").id;
    park(store, &by, wait(&by, 2, for_hook(id), Some(at(500)))).await;
    let fired = store.fire_due(9, 9, link_base(), at(500)).await.expect("fired");
    assert_eq!(told(&fired.resumed[0].2), None);
    assert_eq!(called(store, 1, "a", 600).await.expect("it is there").0, Called::Taken);
}

pub(crate) async fn a_call_is_one_of_several_things_to_wait_for(store: &dyn Store) {
    let by = root(store, 1).await;
    let id = open(store, &by, 1, 1).await.expect("it may").id;
    let sources = vec![Source::Message, Source::Hook(id), Source::Until(at(500))];
    park(store, &by, wait(&by, 2, WaitFor::Any { sources: sources.clone() }, Some(at(500)))).await;
    let (taken, effects) = called(store, 1, "a", 20).await.expect("it is there");
    assert_eq!((taken, effects.resumed.len()), (Called::Taken, 1));
    let first: Answer<AnyAnswer> = decode(&effects.resumed[0].2).expect("an answer to a wait");
    assert_eq!(first, Ok(AnyAnswer { index: 1, woken: Woken::Call(call("a", 20).into()) }));
    assert_eq!(store.hooks_of(by.run).await.expect("readable")[0].state, HookState::Told { key: "a".into() });
}

pub(crate) async fn nobody_calls_a_hook_that_is_closed_or_whose_run_has_ended(store: &dyn Store) {
    let by = root(store, 1).await;
    let id = open(store, &by, 1, 1).await.expect("it may").id;
    open(store, &by, 2, 2).await.expect("it may");
    open(store, &by, 3, 3).await.expect("it may");
    assert_eq!(called(store, 3, "early", 5).await.expect("it is there").0, Called::Taken);
    let close = async |by: &By, seq: u32, id: HookId| {
        let closed = store.command(by.clone(), entry(seq, Import::HookClose, ""), Command::CloseHook(id));
        decode::<()>(&closed.await.expect("it has its claim").0).expect("an answer")
    };
    assert_eq!(close(&by, 4, id).await, Ok(()));
    assert_eq!(close(&by, 5, id).await, Ok(()), "twice is once");
    assert_eq!(close(&by, 6, HookId([7; 16])).await, Err(ImportError::NotFound));
    let stranger = root(store, 2).await;
    assert_eq!(close(&stranger, 1, id).await, Err(ImportError::NotFound), "it is its run's alone");
    assert_eq!(called(store, 1, "a", 20).await.expect("it is there").0, Called::Gone);
    store.finish(by.clone(), success()).await.expect("it has its claim");
    assert_eq!(called(store, 2, "a", 30).await.expect("it is there").0, Called::Gone);
    assert_eq!(called(store, 3, "early", 30).await.expect("it is there").0, Called::Doubled);
    assert_eq!(get(store, by.run).await.state.kind(), "ended");
    // They go with their run.
    let keep = std::time::Duration::ZERO;
    let keep = Keep { runs: keep, duplicates: keep, dead_letters: keep };
    for delivery in store
        .deliveries(sublane_store::DeliveryFilter { limit: 9, ..Default::default() })
        .await
        .expect("readable")
    {
        if delivery.state == sublane_core::DeliveryState::Sending {
            let delivered = sublane_core::delivery::AttemptResult::Delivered { note: String::new() };
            store.settle(delivery.id, 1, delivered, Default::default(), at(40)).await.expect("settled");
        }
    }
    store.remove_runs(vec![by.run], keep, 1_000, at(100_000)).await.expect("removed");
    assert!(store.run(by.run).await.expect("readable").is_none());
    assert!(called(store, 2, "a", 200).await.is_none());
}

pub(crate) async fn a_run_opens_so_many_hooks_and_no_more(store: &dyn Store) {
    let by = root(store, 1).await;
    let count = u8::try_from(MAX_OPEN).expect("few");
    for n in 0..count {
        open(store, &by, u32::from(n) + 1, n).await.expect("it may");
    }
    let refused = open(store, &by, 100, 99).await.expect_err("too many");
    assert_eq!(refused, ImportError::Limit(sublane_core::LimitHit::new("hook.open", u64::from(MAX_OPEN))));
    let id = HookId::opened(by.run, 0, &Path::root().then(1));
    let mut seq = 1_000;
    let mut next = |by: &By| {
        seq += 1;
        (by.clone(), entry(seq, Import::HookOpen, ""))
    };
    let (claim, at_entry) = next(&by);
    store.command(claim, at_entry, Command::CloseHook(id)).await.expect("closed");
    let mut opened = MAX_OPEN;
    let refused = loop {
        let (claim, at_entry) = next(&by);
        let mut wide = [0; 32];
        wide[..4].copy_from_slice(&(opened + 1_000).to_be_bytes());
        let verification = Verification::Nobody;
        let ask = Command::OpenHook { token: wide, url: "http://x/".into(), verification };
        let answer = store.command(claim, at_entry, ask).await.expect("it has its claim").0;
        match decode::<OpenAnswer>(&answer).expect("an answer") {
            Ok(OpenAnswer { id, .. }) => {
                opened += 1;
                let (claim, at_entry) = next(&by);
                store.command(claim, at_entry, Command::CloseHook(id)).await.expect("closed");
            }
            Err(error) => break error,
        }
    };
    assert_eq!(opened, MAX_OPENED);
    assert_eq!(
        refused,
        ImportError::Limit(sublane_core::LimitHit::new("hook.per-run", u64::from(MAX_OPENED)))
    );
}
