//! The judge is judged: a history that happened has no fault, and each thing that
//! must not be is found in one that was doctored.

use serde_json::json;
use sublane_core::journal::{SpawnAnswer, encode};
use sublane_core::{DeliveryState, Import, RunId, RunState, Timestamp};
use sublane_tests::Setup;
use sublane_tests::history::History;

/// A parent, two children that leave two marks each, and what came of them.
async fn happened() -> History {
    let host = Setup::in_memory().plugin("spawns").slots(3).start().await;
    let mark = |value: &str| json!({ "kv-set": { "bucket": "notes", "key": "mark", "value": value } });
    let child = json!({ "spawn": {
        "agent": "spawns/act", "task": [mark("begun"), mark("done")], "deliver": ["console:aside"],
        "scope": { "cpu-ms": 500, "kv-write": ["notes"] },
    } });
    host.run("spawns/act", json!([child, child, { "wait": {} }])).await;
    host.until("all is told", || host.recorder.deliveries().len() == 3).await;
    let (store, recorder) = (host.inner().store.clone(), host.recorder.clone());
    host.host.stop().await;
    let mut history = History::read(&*store).await;
    let got = recorder.deliveries();
    history.received = got.iter().map(|got| (got.id.to_string(), got.body.to_string())).collect();
    history.hosts = vec![Timestamp(0)];
    history.slots = [("main", 3), ("subagent", 2)].map(|(lane, slots)| (lane.to_owned(), slots)).into();
    history
}

/// The run at this place, oldest first: the parent is 0.
fn id(history: &History, run: usize) -> RunId {
    history.runs[run].spec.id
}

/// The two marks of a child were set at these instants.
fn marked(history: &mut History, child: usize, at: [u64; 2]) {
    let child = id(history, child);
    let entries = history.journals.get_mut(&child).expect("it has a journal");
    for (entry, at) in entries.iter_mut().zip(at) {
        entry.at = Timestamp(at);
    }
}

/// The answer of the parent's first spawn.
fn first_spawn(history: &mut History) -> &mut sublane_core::Entry {
    let parent = id(history, 0);
    let entries = history.journals.get_mut(&parent).expect("it has a journal");
    entries.iter_mut().find(|entry| entry.import == Import::Spawn).expect("it spawned")
}

/// Something is changed, and this is said about it.
type Doctored = (&'static str, fn(&mut History));

const ENDINGS: &[Doctored] = &[
    ("has no ending: it is queued", |history| history.runs[1].state = RunState::Queued),
    ("ended as run.cancelled and tells run.succeeded", |history| {
        let RunState::Ended { outcome, .. } = &mut history.runs[1].state else { panic!("it has ended") };
        *outcome = sublane_core::Outcome::Cancelled { reason: "no more".into() };
    }),
    ("owes its ending to [\"console:aside\"] and tells []", |history| {
        let child = id(history, 1);
        history.deliveries.retain(|owed| owed.run != child);
    }),
    ("tells [\"console:aside\", \"console:aside\"]", |history| {
        let child = id(history, 1);
        let told = history.deliveries.iter().find(|owed| owed.run == child).expect("it is told").clone();
        history.deliveries.push(told);
    }),
    ("told 0 times how generation 1 ended", |history| history.runs[1].generation = 2),
    ("for no ending of it", |history| {
        std::sync::Arc::make_mut(&mut history.runs[1].spec).destinations.clear();
    }),
    ("which it is attached to", |history| {
        let RunState::Ended { at, .. } = &mut history.runs[1].state else { panic!("it has ended") };
        *at = Timestamp(u64::MAX);
    }),
];

const SPAWNS: &[Doctored] = &[
    ("is there without a spawn", |history| {
        let refused = sublane_core::ImportError::NotFound;
        first_spawn(history).result = encode::<SpawnAnswer>(&Err(refused));
    }),
    ("was spawned 2 times", |history| {
        let again = first_spawn(history).clone();
        let parent = id(history, 0);
        history.journals.get_mut(&parent).expect("it has a journal").push(again);
    }),
    ("was spawned by another run", |history| {
        let other = id(history, 2);
        history.journals.get_mut(&other).expect("it has a journal").clear();
        let spawn = first_spawn(history).clone();
        first_spawn(history).result = encode::<SpawnAnswer>(&Err(sublane_core::ImportError::NotFound));
        history.journals.get_mut(&other).expect("it has a journal").push(spawn);
    }),
    ("which is not there", |history| drop(history.runs.remove(1))),
    ("was given a result of", |history| history.runs[2].state = RunState::Queued),
];

const RECEIPTS: &[Doctored] = &[
    ("is Sending", |history| history.deliveries[0].state = DeliveryState::Sending),
    ("was never received", |history| drop(history.received.remove(0))),
    ("times in 1 attempts", |history| {
        let again = history.received[0].clone();
        history.received.push(again);
    }),
    ("came with another body", |history| history.received[0].1.push(' ')),
    ("came with another body", |history| {
        history.deliveries.iter_mut().for_each(|owed| owed.attempts = 2);
        let (id, body) = history.received[0].clone();
        history.received.push((id, body.replace("run.succeeded", "run.failed")));
    }),
    ("was received and is not owed", |history| drop(history.deliveries.remove(0))),
];

const LANES: &[Doctored] = &[("lane subagent has 1 slots, and 2 runs executed at once", |history| {
    history.slots.insert("subagent".to_owned(), 1);
    marked(history, 1, [10, 20]);
    marked(history, 2, [19, 30]);
})];

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_has_no_fault_and_what_did_not_has_one() {
    let happened = happened().await;
    assert_eq!(happened.faults(), Vec::<String>::new());
    for (words, doctor) in [ENDINGS, SPAWNS, RECEIPTS, LANES].concat() {
        let mut doctored = happened.clone();
        doctor(&mut doctored);
        let faults = doctored.faults();
        assert!(faults.iter().any(|fault| fault.contains(words)), "not found: {words}: {faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_goes_from_hand_to_hand_is_one() {
    let mut history = happened().await;
    history.slots.insert("subagent".to_owned(), 1);
    marked(&mut history, 1, [10, 20]);
    marked(&mut history, 2, [20, 30]);
    assert_eq!(history.faults(), Vec::<String>::new(), "one after the other");
    marked(&mut history, 2, [15, 30]);
    history.hosts.push(Timestamp(18));
    assert_eq!(history.faults(), Vec::<String>::new(), "nobody held it when the host died");
}
