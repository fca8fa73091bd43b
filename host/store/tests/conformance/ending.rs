//! Every accepted run ends once, and what follows is one transaction with it.

use sublane_core::undo::Undo;
use sublane_core::{Failure, Import, ImportError, Outcome, Purse, PurseAsk, RunId};
use sublane_store::{By, Command, DeliveryFilter, Effects, Parked, Store, WaitFor};

use crate::support::{
    DEADLINE, FULL, MAX_CRASHES, ROOT, accept, at, by, claim, cpu, ended_as, entry, get, link_base, message,
    park, root, spawn, spawn_detached, spawn_with, state, success, wait,
};

fn failure() -> Outcome {
    Outcome::failed(Failure::Failed, "no such fox")
}

async fn cancel(store: &dyn Store, run: RunId) -> Effects {
    store.cancel(run, "the user changed their mind".into(), link_base(), at(5)).await.expect("it is there")
}

pub(crate) async fn a_success_waits_for_attached_children(store: &dyn Store) {
    let parent = root(store, 1).await;
    let children = [spawn(store, &parent, 1).await, spawn(store, &parent, 2).await];
    let effects = store.finish(parent.clone(), success()).await.expect("it has its claim");
    assert!(effects.ended.is_empty() && effects.deliveries.is_empty());
    assert_eq!(state(store, parent.run).await, "closing");
    assert!(store.finish(parent.clone(), success()).await.is_err(), "its claim is spent");
    let first = claim(store, children[0]).await;
    let effects = store.finish(first, success()).await.expect("it has its claim");
    assert_eq!(effects.ended, [children[0]]);
    let last = claim(store, children[1]).await;
    let effects = store.finish(last, failure()).await.expect("it has its claim");
    assert_eq!(effects.ended, [children[1], parent.run]);
    assert_eq!(effects.deliveries.len(), 1, "the parent's; the children have no destination");
    assert_eq!(ended_as(store, parent.run).await, "succeeded", "a child's failure is not its parent's");
}

pub(crate) async fn a_failure_takes_attached_children_with_it(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    let effects = store.finish(parent.clone(), failure()).await.expect("it has its claim");
    assert_eq!(ended_as(store, parent.run).await, "failed");
    assert_eq!(ended_as(store, child.run).await, "cancelled");
    assert_eq!(effects.killed, [(child.run, child.token)], "not the one that asks");
    assert!(effects.ended.contains(&parent.run) && effects.ended.contains(&child.run));
    let parent = get(store, parent.run).await;
    assert_eq!((parent.active_children, parent.attached_children), (0, 0));
}

pub(crate) async fn detached_children_outlive_their_parent(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn_detached(store, &parent, 1).await;
    let effects = store.finish(parent.clone(), success()).await.expect("it has its claim");
    assert_eq!(effects.ended, [parent.run]);
    assert_eq!(state(store, child).await, "queued");
    cancel(store, parent.run).await;
    assert_eq!(state(store, child).await, "queued");
    let child = claim(store, child).await;
    let effects = store.finish(child.clone(), success()).await.expect("it has its claim");
    assert_eq!(effects.ended, [child.run]);
    assert_eq!(get(store, parent.run).await.active_children, 0);
}

pub(crate) async fn a_cancelled_run_takes_its_tree_with_it(store: &dyn Store) {
    let top = root(store, 1).await;
    let rich = |spawn: &mut sublane_store::Spawn| spawn.ask.spawns = sublane_core::Share::Exactly(20);
    let middle = claim(store, spawn_with(store, &top, 1, rich).await.answer.expect("room").run).await;
    let poor = |spawn: &mut sublane_store::Spawn| spawn.ask = PurseAsk::exactly(cpu(10));
    let queued = spawn_with(store, &middle, 1, poor).await.answer.expect("room").run;
    let evicted = spawn_with(store, &middle, 2, poor).await.answer.expect("room").run;
    let evicted = claim(store, evicted).await;
    park(store, &evicted, wait(&evicted, 1, WaitFor::Sleep, Some(at(90)))).await;
    assert!(store.evict(evicted.clone()).await.expect("it has its claim"));
    let waits = WaitFor::Runs { runs: vec![queued], all: true };
    park(store, &middle, wait(&middle, 3, waits, Some(at(90)))).await;
    let effects = cancel(store, top.run).await;
    for run in [top.run, middle.run, queued, evicted.run] {
        assert_eq!(ended_as(store, run).await, "cancelled");
        assert_eq!(store.wait_of(run).await.expect("readable"), None);
    }
    assert_eq!(effects.ended.len(), 4);
    assert_eq!(effects.killed.len(), 2, "two had an instance: {effects:?}");
    assert!(
        effects.killed.contains(&(top.run, top.token))
            && effects.killed.contains(&(middle.run, middle.token))
    );
    assert!(effects.resumed.is_empty() && effects.ready.is_empty(), "nobody wakes: {effects:?}");
    assert!(store.queued(None, 9).await.expect("readable").is_empty());
    let later = store.fire_due(10, 10, link_base(), DEADLINE).await.expect("swept");
    assert_eq!(later, Effects::default(), "neither waits nor deadlines are left");
}

/// A run that may make requests, with one that was registered and one that was refused.
async fn undoing(store: &dyn Store, n: u8) -> (By, Undo) {
    let mut asked = message(n, "console:me");
    let mut grants = serde_json::to_value(&asked.spec.grants).expect("grants are JSON");
    grants["http"] = serde_json::json!([{ "to": "https://queue.fal.run", "methods": ["PUT"] }]);
    asked.spec.grants = serde_json::from_value(grants).expect("grants in their stored form");
    let by = claim(store, store.accept(asked).await.expect("accepted").run).await;
    let url = "https://queue.fal.run/a/b/requests/7/cancel".to_owned();
    let undo = Undo { method: "PUT".to_owned(), url, headers: Vec::new(), body: None };
    let price = Purse { requests: 1, ..Purse::default() };
    let register = Command::Undo { undo: undo.clone(), price };
    let blank = |seq| entry(seq, Import::HttpUndo, "");
    store.command(by.clone(), blank(1), register).await.expect("it has its claim");
    assert_eq!(get(store, by.run).await.purse.requests, ROOT.requests - 1, "it is paid now");
    let refused = Command::Refused(ImportError::NotFound);
    store.command(by.clone(), blank(2), refused).await.expect("it has its claim");
    (by, undo)
}

pub(crate) async fn an_ending_that_is_no_success_owes_what_was_to_be_undone(store: &dyn Store) {
    let (good, _) = undoing(store, 1).await;
    let effects = store.finish(good, success()).await.expect("it has its claim");
    assert_eq!(effects.deliveries.len(), 1, "its result, and nothing else");
    let (failed, undo) = undoing(store, 2).await;
    let (cancelled, _) = undoing(store, 3).await;
    let ends = [
        (failed.run, store.finish(failed.clone(), failure()).await.expect("it has its claim")),
        (cancelled.run, cancel(store, cancelled.run).await),
    ];
    for (run, effects) in ends {
        let [ending, owed] = &effects.deliveries[..] else { panic!("two are owed: {effects:?}") };
        assert_eq!((ending.destination.to_string(), owed.run), ("console:me".to_owned(), run));
        assert_eq!(owed.destination.to_string(), "undo:queue.fal.run");
        assert_eq!(serde_json::from_str::<Undo>(&owed.body).expect("a request"), undo);
        assert_eq!(store.delivery(owed.id).await.expect("readable").as_ref(), Some(owed));
    }
}

pub(crate) async fn a_run_ends_once(store: &dyn Store) {
    let run = root(store, 1).await;
    store.finish(run.clone(), success()).await.expect("it has its claim");
    let ended = get(store, run.run).await;
    assert_eq!(cancel(store, run.run).await, Effects::default());
    assert!(store.finish(run.clone(), failure()).await.is_err());
    assert_eq!(store.fire_due(10, 10, link_base(), DEADLINE).await.expect("swept"), Effects::default());
    assert_eq!(get(store, run.run).await, ended);
    let owed =
        store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.expect("readable");
    assert_eq!(owed.len(), 1);
    let nobody = store.cancel(RunId([9; 16]), "why".into(), link_base(), at(1)).await;
    assert!(matches!(nobody, Err(sublane_store::StoreError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn what_is_left_of_a_purse_goes_back(store: &dyn Store) {
    let parent = root(store, 1).await;
    let mut child = claim(store, spawn(store, &parent, 1).await).await;
    child.spent = cpu(400);
    store.finish(child.clone(), success()).await.expect("it has its claim");
    let left = Purse { cpu_us: ROOT.cpu_us - 400, spawns: ROOT.spawns - 1, ..ROOT };
    assert_eq!(get(store, parent.run).await.purse, left);
    assert_eq!(get(store, child.run).await.purse, Purse::default());
    assert_eq!(get(store, child.run).await.spec.purse.cpu_us, 1_000, "what it was given stays on record");
}

pub(crate) async fn what_is_left_of_a_detached_purse_goes_to_the_conversation(store: &dyn Store) {
    let first = root(store, 1).await;
    let conversation = get(store, first.run).await.spec.conversation;
    let purse = async || store.conversation(conversation).await.expect("readable").expect("there").purse;
    accept(store, 2).await;
    let drawn = purse().await;
    store.finish(first, success()).await.expect("it has its claim");
    let back = purse().await;
    assert!(back.cpu_us > drawn.cpu_us);
    assert_eq!(back, back.at_most(FULL), "a message had filled it up: never more than its ceiling");
}

pub(crate) async fn guest_cpu_is_taken_from_the_purse(store: &dyn Store) {
    let mut by = root(store, 1).await;
    by.spent = cpu(100);
    let sleep = wait(&by, 1, WaitFor::Sleep, Some(at(10)));
    park(store, &by, sleep).await;
    assert_eq!(get(store, by.run).await.purse.cpu_us, ROOT.cpu_us - 100);
    store.fire_due(9, 9, link_base(), at(10)).await.expect("swept");
    by.spent = cpu(50);
    store.interrupt(by.clone(), false, MAX_CRASHES).await.expect("it has its claim");
    assert_eq!(get(store, by.run).await.purse.cpu_us, ROOT.cpu_us - 150);
    let mut next = claim(store, by.run).await;
    next.spent = cpu(25);
    let over = wait(&next, 2, WaitFor::Sleep, Some(next.now));
    assert!(matches!(store.park(next.clone(), over).await, Ok(Parked::Decided(_))));
    assert_eq!(
        get(store, by.run).await.purse.cpu_us,
        ROOT.cpu_us - 175,
        "a wait that is over at once counts too"
    );
    next.spent = cpu(u64::MAX);
    store.finish(next, success()).await.expect("more than it has is all it has");
    assert_eq!(ended_as(store, by.run).await, "succeeded");
}

pub(crate) async fn guest_cpu_of_a_dead_attempt_is_taken_from_where_its_purse_went(store: &dyn Store) {
    let top = root(store, 1).await;
    let middle = claim(store, spawn(store, &top, 1).await).await;
    let few = |spawn: &mut sublane_store::Spawn| spawn.ask = PurseAsk::exactly(cpu(10));
    let low = claim(store, spawn_with(store, &middle, 1, few).await.answer.expect("room").run).await;
    let detached = claim(store, spawn_detached(store, &top, 2).await).await;
    let cpu_of = async |by: &sublane_store::By| get(store, by.run).await.purse.cpu_us;
    let conversation = get(store, top.run).await.spec.conversation;
    let common =
        async || store.conversation(conversation).await.expect("readable").expect("there").purse.cpu_us;
    let charge = async |by: &sublane_store::By| store.charge(by.run, cpu(3)).await.expect("charged");

    charge(&low).await;
    assert_eq!(cpu_of(&low).await, 7, "it lives: another attempt has the purse");
    cancel(store, low.run).await;
    let (before, mine) = (cpu_of(&middle).await, cpu_of(&low).await);
    charge(&low).await;
    assert_eq!((cpu_of(&middle).await, cpu_of(&low).await), (before - 3, mine), "its parent's");
    cancel(store, middle.run).await;
    let before = cpu_of(&top).await;
    charge(&low).await;
    assert_eq!(cpu_of(&top).await, before - 3, "its parent's parent's: nobody between lives");
    cancel(store, detached.run).await;
    let before = (cpu_of(&top).await, common().await);
    charge(&detached).await;
    assert_eq!((cpu_of(&top).await, common().await), (before.0, before.1 - 3), "the conversation's");
    cancel(store, top.run).await;
    let before = common().await;
    charge(&low).await;
    assert_eq!(common().await, before - 3, "the conversation's, with the whole tree");
    store.charge(top.run, cpu(u64::MAX)).await.expect("more than there is is all there is");
    assert_eq!(common().await, 0);
    let nobody = store.charge(RunId([9; 16]), cpu(1)).await;
    assert!(matches!(nobody, Err(sublane_store::StoreError::NotFound(_))), "{nobody:?}");
}

pub(crate) async fn a_deadline_ends_a_run_in_any_state(store: &dyn Store) {
    let queued = accept(store, 1).await.run;
    let running = root(store, 2).await;
    let waiting = root(store, 3).await;
    park(store, &waiting, wait(&waiting, 1, WaitFor::Message, None)).await;
    let closing = root(store, 4).await;
    // Its child's deadline is later than its own.
    let later = |spawn: &mut sublane_store::Spawn| {
        spawn.spec.grants = crate::support::grants(sublane_core::Timestamp(DEADLINE.0 + 1));
    };
    let child = spawn_with(store, &closing, 1, later).await.answer.expect("room").run;
    store.finish(closing.clone(), success()).await.expect("it has its claim");
    let just_before = sublane_core::Timestamp(DEADLINE.0 - 1);
    assert_eq!(store.fire_due(10, 10, link_base(), just_before).await.expect("swept"), Effects::default());
    let first = store.fire_due(3, 3, link_base(), DEADLINE).await.expect("swept");
    assert_eq!(first.ended.len(), 3, "no more than the limit");
    let second = store.fire_due(3, 3, link_base(), DEADLINE).await.expect("swept");
    assert_eq!(first.ended.len() + second.ended.len(), 5);
    for run in [queued, running.run, waiting.run, closing.run] {
        assert_eq!(ended_as(store, run).await, "timed-out");
        let owed = DeliveryFilter { run: Some(run), limit: 9, ..DeliveryFilter::default() };
        assert_eq!(store.deliveries(owed).await.expect("readable").len(), 1, "the user is told");
    }
    assert_eq!(ended_as(store, child).await, "cancelled");
    let mut killed = [first.killed, second.killed].concat();
    killed.sort_by_key(|(run, _)| *run);
    let mut instances = [(running.run, running.token), (waiting.run, waiting.token)];
    instances.sort_by_key(|(run, _)| *run);
    assert_eq!(killed, instances);
}

pub(crate) async fn a_parent_cancels_its_child_by_command(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = claim(store, spawn(store, &parent, 1).await).await;
    let other = store.accept(message(2, "console:you")).await.expect("accepted").run;
    let command = |run| Command::Cancel { run, reason: "too slow".into() };
    let blank = || entry(2, sublane_core::Import::Cancel, "");
    let (_, effects) =
        store.command(parent.clone(), blank(), command(child.run)).await.expect("it has its claim");
    assert_eq!(effects.killed, [(child.run, child.token)]);
    let outcome = get(store, child.run).await.outcome().cloned();
    assert_eq!(outcome, Some(Outcome::Cancelled { reason: "too slow".into() }));
    assert!(store.append(by(child.run, child.token), vec![]).await.is_err());
    let mut third = blank();
    third.path = sublane_core::Path::root().then(3);
    let (entry, _) = store.command(parent, third, command(other)).await.expect("it has its claim");
    assert!(entry.result.contains("denied"), "{}", entry.result);
    assert_eq!(state(store, other).await, "queued");
}
