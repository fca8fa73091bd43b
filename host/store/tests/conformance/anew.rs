//! A run goes on as new: an empty journal, and the same run.

use sublane_core::hook::{Called, Verification};
use sublane_core::undo::Undo;
use sublane_core::{
    DeliveryId, Entry, Failure, Import, NextTask, Outcome, Over, Path, Purse, PurseAsk, Run, RunId, RunState,
};
use sublane_store::{By, Command, Effects, Spawn, Store, StoreError, WaitFor};

use crate::again::policy;
use crate::support::{
    CHILD, artifact, at, by, claim, ended_as, entry, get, later, link_base, park, root, spawn, spawn_with,
    state, success, token, wait, wait_answer,
};

fn task(input: &str) -> NextTask {
    NextTask { input: input.into(), artifacts: Vec::new() }
}

fn last(seq: u32) -> Entry {
    Entry { at: at(50), ..entry(seq, Import::ContinueAsNew, r#"{"Ok":null}"#) }
}

async fn goes_on(store: &dyn Store, by: &By, seq: u32, task: NextTask) -> Effects {
    store.continue_as_new(by.clone(), last(seq), task).await.expect("it has its claim")
}

/// The next attempt on a run that is ready.
async fn next(store: &dyn Store, run: RunId, n: u128) -> (By, Vec<Entry>) {
    let claimed = store.claim(run, token(n), at(60)).await.expect("readable").expect("it is queued");
    (later(&by(run, token(n)), at(60)), claimed.entries)
}

/// A child that may make requests, has a policy, and can have children.
async fn child_of(store: &dyn Store, parent: &By) -> By {
    let with = |spawn: &mut Spawn| {
        spawn.spec.retry = Some(policy(2));
        let mut given = serde_json::to_value(&spawn.spec.grants).expect("string keys");
        given["http"] = serde_json::json!([{ "to": "https://example.com/", "methods": ["POST"] }]);
        spawn.spec.grants = serde_json::from_value(given).expect("grants in their stored form");
        spawn.ask = PurseAsk::exactly(Purse { spawns: 9, cpu_us: 5_000, ..CHILD });
    };
    let id = spawn_with(store, parent, 1, with).await.answer.expect("room for a child").run;
    claim(store, id).await
}

async fn registers(store: &dyn Store, by: &By, seq: u32, what: &str) {
    let url = format!("https://example.com/{what}");
    let undo = Undo { method: "POST".into(), url, headers: Vec::new(), body: None };
    let command = Command::Undo { undo, price: Purse::default() };
    store.command(by.clone(), entry(seq, Import::HttpUndo, ""), command).await.expect("it has its claim");
}

/// What is undone by these effects: the last segments of the URLs.
fn undone(effects: &Effects) -> Vec<String> {
    let url = |body: &str| -> String {
        let undo: Undo = serde_json::from_str(body).expect("an undo");
        undo.url.rsplit('/').next().expect("a segment").to_owned()
    };
    let owed = effects.deliveries.iter().filter(|owed| owed.destination.channel == "undo");
    let mut undone: Vec<_> = owed.map(|owed| url(&owed.body)).collect();
    undone.sort();
    undone
}

pub(crate) async fn a_run_goes_on_as_new_and_is_the_same_run(store: &dyn Store) {
    let parent = root(store, 1).await;
    let run = child_of(store, &parent).await;
    let id = run.run;
    park(store, &parent, wait(&parent, 2, WaitFor::Runs { runs: vec![id], all: true }, None)).await;
    let own = spawn(store, &run, 1).await;
    let open =
        Command::OpenHook { token: [4; 32], url: "http://x/4".into(), verification: Verification::Nobody };
    store.command(run.clone(), entry(2, Import::HookOpen, ""), open).await.expect("it has its claim");
    store.send(id, "\"go\"".into(), None, at(40)).await.expect("it takes a message");
    store.progress(vec![(id, 40, "half".into())]).await.expect("written");
    let before = get(store, id).await;
    let spent = Purse { cpu_us: 100, ..Purse::default() };
    let by = By { spent, now: at(50), ..run.clone() };
    let with_file = NextTask { artifacts: vec![artifact(7)], ..task("7") };
    let effects = goes_on(store, &by, 3, with_file).await;
    assert_eq!(effects.ready.iter().map(|ready| ready.run).collect::<Vec<_>>(), [id]);
    assert_eq!(Effects { ready: Vec::new(), ..effects }, Effects::default(), "nobody hears of it");

    let now = get(store, id).await;
    let mut spec = (*before.spec).clone();
    (spec.input, spec.artifacts) = ("7".into(), vec![artifact(7)]);
    let purse = Purse { cpu_us: before.purse.cpu_us - 100, ..before.purse };
    let expected = Run {
        spec: spec.into(),
        state: RunState::Queued,
        generation: 1,
        continued: 1,
        begun: at(50),
        since: at(50),
        progress: None,
        purse,
        ..before.clone()
    };
    assert_eq!(now, expected, "all else is as it was");
    assert_eq!((now.timed_from, now.attached_children), (before.timed_from, 1));
    assert_eq!((state(store, own).await, state(store, parent.run).await), ("queued", "waiting"));
    assert!(store.unlinked(vec![artifact(7).id]).await.expect("readable").is_empty(), "the file stays");
    assert!(matches!(store.finish(run, success()).await, Err(StoreError::Stale(_))));
    let called = store.call_hook([4; 32], crate::hook::call("late", 0), at(55)).await.expect("readable");
    assert_ne!(called.expect("it is known").0, Called::Taken);
    let old = store.journal(id, 0).await.expect("readable");
    assert_eq!(old.last(), Some(&last(3)), "the old journal says how it ended");
    let [over] = &store.generations(id).await.expect("readable")[..] else { panic!("one is over") };
    assert_eq!((&over.over, over.number, over.at), (&Over::Continued, 0, at(50)));
    let then = now.at(over);
    assert_eq!((&then.spec.input, then.generation, then.outcome()), (&before.spec.input, 0, None));

    let (again, entries) = next(store, id, 9).await;
    assert!(entries.is_empty(), "an empty journal");
    let message = store.park(again.clone(), wait(&again, 1, WaitFor::Message, None)).await.expect("claimed");
    assert!(format!("{message:?}").contains("go"), "{message:?}");
    store.cancel(own, "enough".into(), link_base(), at(61)).await.expect("cancelled");
    let effects = store.finish(again, success()).await.expect("it has its claim");
    assert_eq!(effects.ended, [id]);
    assert_eq!(wait_answer(&effects.resumed[0].2).ended, [id], "the parent hears of the end");
}

pub(crate) async fn what_it_wanted_undone_is_handed_on_until_it_ends(store: &dyn Store) {
    let parent = root(store, 1).await;
    let ends: [(&str, &[&str]); 3] =
        [("succeeds", &[]), ("cancelled", &["a", "b"]), ("for good", &["a", "b"])];
    for (seq, (how, expected)) in (0..).zip(ends) {
        let scene = if seq == 0 { parent.clone() } else { root(store, 1 + seq).await };
        let run = child_of(store, &scene).await;
        let id = run.run;
        registers(store, &run, 1, "a").await;
        assert!(undone(&goes_on(store, &run, 2, task("1")).await).is_empty());
        let (run, entries) = next(store, id, 20 + u128::from(seq)).await;
        assert_eq!(entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>(), [Path::left(1)]);
        registers(store, &run, 1, "b").await;
        let effects = match how {
            "succeeds" => store.finish(run, success()).await,
            "cancelled" => store.cancel(id, "no".into(), link_base(), at(70)).await,
            _ => store.finish(run, Outcome::failed(Failure::Failed, "no").permanent()).await,
        };
        let effects = effects.expect("it has its claim");
        assert_eq!(undone(&effects), expected, "{how}");
        assert!(
            effects.deliveries.iter().all(|owed| owed.id != DeliveryId::sent(id, 0, &Path::root().then(1)))
        );
    }
}

pub(crate) async fn a_failure_after_it_undoes_its_own_and_counts_anew(store: &dyn Store) {
    let parent = root(store, 1).await;
    let run = child_of(store, &parent).await;
    let id = run.run;
    let failure = || Outcome::failed(Failure::Failed, "no");
    store.finish(later(&run, at(10)), failure()).await.expect("it has its claim");
    store.fire_due(9, 9, link_base(), at(1_010)).await.expect("fired");
    let (run, _) = next(store, id, 30).await;
    assert_eq!(get(store, id).await.retried, 1);
    registers(store, &run, 1, "a").await;
    goes_on(store, &later(&run, at(1_020)), 2, task("1")).await;
    assert_eq!((get(store, id).await.retried, get(store, id).await.retries_left()), (0, Some(2)));
    let (run, _) = next(store, id, 31).await;
    registers(store, &run, 1, "b").await;
    let effects = store.finish(later(&run, at(2_000)), failure()).await.expect("it has its claim");
    assert_eq!(undone(&effects), ["b"], "what it found when it began is still its own to finish");
    let until = at(3_000);
    assert_eq!(get(store, id).await.state, RunState::Delayed { until }, "the first delay again");
    assert_eq!(&*get(store, id).await.spec.input, "1", "with the task that it went on with");
    store.fire_due(9, 9, link_base(), until).await.expect("fired");
    let (run, entries) = next(store, id, 32).await;
    assert_eq!(entries.len(), 1, "what was left is handed on again");
    let effects = store.finish(run, failure().permanent()).await.expect("it has its claim");
    assert_eq!(undone(&effects), ["a"]);
    assert_eq!(ended_as(store, id).await, "failed");
}

pub(crate) async fn of_generations_before_the_last_nothing_is_kept(store: &dyn Store) {
    let mut run = root(store, 1).await;
    let id = run.run;
    for n in 0..5_u32 {
        let open = Command::OpenHook {
            token: [u8::try_from(n).expect("few") + 1; 32],
            url: "http://x/4".into(),
            verification: Verification::Nobody,
        };
        store.command(run.clone(), entry(1, Import::HookOpen, ""), open).await.expect("it has its claim");
        goes_on(store, &run, 2, task(&n.to_string())).await;
        run = next(store, id, 40 + u128::from(n)).await.0;
    }
    let row = get(store, id).await;
    assert_eq!((row.generation, row.continued, row.attempt), (5, 5, 6));
    let mut kept = Vec::new();
    for generation in 0..6 {
        kept.push(store.journal(id, generation).await.expect("readable").len());
    }
    assert_eq!(kept, [0, 0, 0, 0, 2, 0]);
    let over = store.generations(id).await.expect("readable");
    assert_eq!(over.iter().map(|over| over.number).collect::<Vec<_>>(), [4]);
    assert_eq!(over[0].task.as_ref().map(|task| &*task.input), Some("3"));
    let hooks = store.hooks_of(id).await.expect("readable");
    assert_eq!(hooks.iter().map(|hook| hook.generation).collect::<Vec<_>>(), [4]);
    assert!(store.hook_by_token([1; 32]).await.expect("readable").is_none());
}

pub(crate) async fn only_an_attempt_that_executes_goes_on_as_new(store: &dyn Store) {
    let run = root(store, 1).await;
    let id = run.run;
    let stale = async |by: &By| {
        let went = store.continue_as_new(by.clone(), last(1), task("1")).await;
        assert!(matches!(went, Err(StoreError::Stale(_))), "{went:?}");
        assert_eq!(get(store, id).await.generation, 0);
        assert!(store.journal(id, 0).await.expect("readable").is_empty());
    };
    stale(&By { token: token(404), ..run.clone() }).await;
    park(store, &run, wait(&run, 1, WaitFor::Message, None)).await;
    stale(&run).await;
    store.cancel(id, "no".into(), link_base(), at(5)).await.expect("cancelled");
    stale(&run).await;
}
