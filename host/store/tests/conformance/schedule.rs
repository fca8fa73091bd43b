//! What begins later: runs that are delayed, and schedules.

use sublane_core::{RunState, Timestamp};
use sublane_store::{Firing, Ready, RunFilter, ScheduleRow, Store};

use crate::support::{at, claim, get, link_base, message, root, spawn_with, state, token};

async fn delayed(store: &dyn Store, from: u64) -> (sublane_store::By, sublane_core::RunId) {
    let parent = root(store, 1).await;
    let spawned = spawn_with(store, &parent, 1, |spawn| spawn.start = Some(at(from))).await;
    assert!(spawned.ready.is_none());
    let answer = spawned.answer.expect("there is room");
    assert_eq!(answer.position, 0);
    (parent, answer.run)
}

pub(crate) async fn a_delayed_run_is_ready_when_its_instant_has_come(store: &dyn Store) {
    let (parent, run) = delayed(store, 5_000).await;
    let spawned = get(store, run).await;
    assert_eq!((spawned.state, spawned.begun), (RunState::Delayed { until: at(5_000) }, at(5_000)));
    assert_eq!(get(store, parent.run).await.active_children, 1, "it counts");
    assert!(store.claim(run, token(9), at(4_999)).await.expect("the store works").is_none());
    assert!(store.queued(None, 9).await.expect("readable").is_empty());
    assert_eq!(store.next_due().await.expect("readable"), Some(at(5_000)));
    let list = async |state: &str| {
        let filter = RunFilter { state: Some(state.into()), limit: 9, ..RunFilter::default() };
        store.runs(filter).await.expect("readable").iter().map(|run| run.spec.id).collect::<Vec<_>>()
    };
    assert_eq!((list("delayed").await, list("queued").await), (vec![run], vec![]));
    let early = store.fire_due(9, 9, link_base(), at(4_999)).await.expect("fired");
    assert!(early.ready.is_empty());
    let fired = store.fire_due(9, 9, link_base(), at(5_000)).await.expect("fired");
    let now = get(store, run).await;
    assert_eq!((&now.state, now.since, now.begun), (&RunState::Queued, at(5_000), at(5_000)));
    assert_eq!(fired.ready, [Ready::of(&now)]);
    assert!(store.fire_due(9, 9, link_base(), at(5_000)).await.expect("fired").ready.is_empty(), "once");
    assert_eq!((list("delayed").await, list("queued").await), (vec![], vec![run]));
    claim(store, run).await;
}

pub(crate) async fn an_instant_that_has_passed_is_at_once(store: &dyn Store) {
    let parent = root(store, 1).await;
    let spawned = spawn_with(store, &parent, 1, |spawn| spawn.start = Some(Timestamp(1))).await;
    assert_eq!(spawned.answer.expect("there is room").position, 2);
    assert!(spawned.ready.is_some());
}

pub(crate) async fn a_delayed_run_ends_with_its_parent_and_outlives_its_host(store: &dyn Store) {
    let (parent, run) = delayed(store, 5_000).await;
    let recovered = store.recover(3, link_base(), at(10)).await.expect("recovered");
    assert_eq!((recovered.crashed, state(store, run).await), (1, "delayed"), "only its parent executed");
    let effects = store.cancel(parent.run, "enough".into(), link_base(), at(20)).await.expect("cancelled");
    assert_eq!(effects.ended, [run, parent.run]);
    assert!(store.fire_due(9, 9, link_base(), at(5_000)).await.expect("fired").ready.is_empty());
    assert_eq!(state(store, run).await, "ended");
}

fn firing(after: u64, decided: u64, run: Option<(u8, u64)>) -> Firing {
    Firing {
        name: "report".into(),
        rule: "0 * * * * UTC".into(),
        after: at(after),
        decided: at(decided),
        run: run.map(|(n, instant)| (at(instant), Box::new(message(n, "console:me")))),
        passed: u64::from(run.is_none()),
        note: "no host was there".into(),
    }
}

fn rules(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect()
}

fn new(name: &str, rule: &str, decided: u64) -> ScheduleRow {
    let (name, rule, note) = (name.to_owned(), rule.to_owned(), String::new());
    ScheduleRow { name, rule, decided: at(decided), fired: None, passed: 0, note }
}

pub(crate) async fn an_instant_of_a_schedule_makes_one_run(store: &dyn Store) {
    store.set_schedules(rules(&[("report", "0 * * * * UTC")]), at(0)).await.expect("noted");
    let fired = store.fire_schedule(firing(0, 60, Some((1, 60)))).await.expect("fired");
    let run = fired.accepted.as_ref().expect("it makes a run").run;
    assert_eq!(fired.effects().ready.len(), 1);
    let row = ScheduleRow { fired: Some((at(60), run)), ..new("report", "0 * * * * UTC", 60) };
    assert_eq!(fired.row.as_ref(), Some(&row));
    // Whoever has read the row before that: the next host, or this one after a crash.
    let again = store.fire_schedule(firing(0, 60, Some((2, 60)))).await.expect("fired");
    assert_eq!((again.accepted, again.row.as_ref()), (None, Some(&row)));
    let runs = store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable");
    assert_eq!(runs.len(), 1);
    let passed = store.fire_schedule(firing(60, 180, None)).await.expect("passed over");
    let row = ScheduleRow { decided: at(180), passed: 1, note: "no host was there".into(), ..row };
    assert_eq!((passed.accepted, passed.row.as_ref()), (None, Some(&row)));
    assert_eq!(store.schedules().await.expect("readable"), [row]);
}

pub(crate) async fn a_schedule_that_is_new_or_changed_begins_now(store: &dyn Store) {
    let (hourly, daily) = ("0 * * * * UTC", "0 0 * * * UTC");
    let set = async |schedules: &[(&str, &str)], now: u64| {
        store.set_schedules(rules(schedules), at(now)).await.expect("noted")
    };
    assert_eq!(set(&[("report", hourly)], 5).await, [new("report", hourly, 5)]);
    let both = [new("films", daily, 9), new("report", hourly, 5)];
    assert_eq!(set(&[("report", hourly), ("films", daily)], 9).await, both);
    assert_eq!(set(&[("report", daily)], 12).await, [new("report", daily, 12)]);
    let stale = store.fire_schedule(firing(12, 60, Some((1, 60)))).await.expect("nothing was written");
    assert_eq!(stale.accepted, None, "its rule is another one now");
    assert_eq!(set(&[], 13).await, []);
    let gone = store.fire_schedule(firing(12, 60, Some((1, 60)))).await.expect("nothing was written");
    assert_eq!((gone.accepted, gone.row), (None, None));
}
