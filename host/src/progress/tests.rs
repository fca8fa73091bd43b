//! Who is told of what, and when.

use std::collections::BTreeMap;

use async_trait::async_trait;
use proptest::prelude::*;
use sublane_core::delivery::AttemptResult;
use sublane_core::{ConversationId, Delivery, Lifetime, Priority, Purse};

use super::*;
use crate::channel::{Channel, Class};

/// Remembers what it was told: address, run, per cent.
#[derive(Default)]
struct Ear(Mutex<Vec<(String, RunId, u8)>>);

#[async_trait]
impl Channel for Ear {
    fn class(&self) -> Class {
        Class::Idempotent
    }
    async fn deliver(&self, _: &Delivery) -> AttemptResult {
        unreachable!("nothing is delivered here")
    }
    fn progress(&self, address: &str, run: &RunLabel, percent: u8, _: &str) {
        self.0.lock().push((address.to_owned(), run.run, percent));
    }
}

struct Scene {
    progress: Progress,
    ear: Arc<Ear>,
}

impl Scene {
    fn new() -> Self {
        let ear = Arc::new(Ear::default());
        let channel: Arc<dyn Channel> = ear.clone();
        Self { progress: Progress::new([("ear".to_owned(), channel)].into_iter().collect()), ear }
    }

    fn report(&self, run: &Arc<RunSpec>, percent: u8) {
        self.progress.report(run, percent, "", || false);
    }

    /// What people are told at this instant, in order of address.
    fn told(&self, seconds: f64) -> Vec<(String, u8, u8)> {
        self.progress.flush(at(seconds));
        let mut told: Vec<_> = self.ear.0.lock().drain(..).map(|(to, run, is)| (to, run.0[0], is)).collect();
        told.sort();
        told
    }
}

fn at(seconds: f64) -> Timestamp {
    Timestamp(1_000_000 + (seconds * 1_000.0) as u64)
}

fn run(number: u8, destinations: &[&str]) -> Arc<RunSpec> {
    let grants = r#"{"spawn":null,"channels":[],"tools":[],"kv":[],"artifacts":false,
        "caps":{"deadline":1000,"memory_bytes":1000}}"#;
    let to = |text: &&str| text.parse::<Destination>().expect("a destination");
    Arc::new(RunSpec {
        id: RunId([number; 16]),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([1; 16]),
        origin: to(&"ear:a"),
        plugin: "video".to_owned(),
        agent: "render".to_owned(),
        plugin_digest: String::new(),
        name: format!("film-{number}"),
        lane: "subagent".to_owned(),
        priority: Priority::Normal,
        depth: 0,
        input: "{}".into(),
        artifacts: Vec::new(),
        grants: serde_json::from_str(grants).expect("grants in their stored form"),
        purse: Purse::default(),
        destinations: destinations.iter().map(to).collect(),
        created: at(0.0),
        dedupe_key: None,
        spawner: String::new(),
        seed: [0; 32],
        retry: None,
    })
}

fn a(run: u8, percent: u8) -> (String, u8, u8) {
    ("a".to_owned(), run, percent)
}

#[test]
fn the_newest_report_wins_and_is_told_a_second_after_the_last() {
    let scene = Scene::new();
    let film = run(1, &["ear:a"]);
    scene.report(&film, 1);
    assert_eq!(scene.told(0.0), [a(1, 1)]);
    scene.report(&film, 2);
    assert_eq!(scene.told(0.9), []);
    assert_eq!(scene.progress.next(), Some(at(1.0)));
    scene.report(&film, 3);
    assert_eq!(scene.told(1.0), [a(1, 3)]);
    assert_eq!((scene.told(9.0), scene.progress.next()), (Vec::new(), None));
}

/// Complaints 46768 and 101656: many children report to one conversation, and it is not flooded.
#[test]
fn runs_that_report_to_one_destination_take_turns() {
    let scene = Scene::new();
    let runs: Vec<_> = (0..5).map(|number| run(number, &["ear:a", "ear:a"])).collect();
    let mut told = Vec::new();
    for second in 0..10_u8 {
        runs.iter().for_each(|run| scene.report(run, second));
        let now = scene.told(f64::from(second));
        assert_eq!(now.len(), 1, "{now:?}");
        assert_eq!(now[0].2, second, "and it is the newest of that run");
        told.push(now[0].1);
    }
    assert_eq!(told, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[test]
fn each_destination_has_its_own_pace_and_the_store_that_of_the_run() {
    let scene = Scene::new();
    let (first, second) = (run(1, &["ear:a", "ear:b", "gone:c"]), run(2, &["ear:a"]));
    scene.report(&first, 1);
    assert_eq!(scene.told(0.0), [a(1, 1), ("b".to_owned(), 1, 1)]);
    scene.report(&second, 2);
    assert_eq!(scene.progress.flush(at(0.5)).len(), 1, "the store is told of the second run at once");
    assert_eq!(scene.told(0.5), []);
    scene.report(&first, 3);
    assert_eq!(scene.told(1.0), [a(2, 2), ("b".to_owned(), 1, 3)]);
    assert_eq!(scene.told(2.0), [a(1, 3)]);
}

#[test]
fn nothing_is_told_of_a_run_that_has_ended() {
    let scene = Scene::new();
    let film = run(1, &["ear:a"]);
    scene.report(&film, 1);
    scene.told(0.0);
    scene.report(&film, 99);
    scene.progress.ended(film.id);
    // A guest that was told to stop goes on for a tick.
    scene.progress.report(&film, 100, "", || true);
    assert_eq!((scene.told(5.0), scene.progress.next()), (Vec::new(), None));
}

/// A run that reports and then waits for a year is a row and nothing else.
#[test]
fn what_everybody_was_told_of_is_not_kept() {
    let scene = Scene::new();
    for number in 0..100 {
        scene.report(&run(number, &["ear:a"]), number);
    }
    scene.told(0.0);
    assert_eq!(scene.progress.inner.lock().reports.len(), 99, "they take turns");
    for second in 1..=100_u8 {
        assert_eq!(scene.progress.forgets(), Some(at(f64::from(second))));
        scene.told(f64::from(second));
    }
    let inner = scene.progress.inner.lock();
    assert_eq!((inner.reports.len(), inner.stored.len(), inner.told.len()), (0, 0, 0));
    drop(inner);
    assert_eq!((scene.progress.next(), scene.progress.forgets()), (None, None));
}

#[test]
fn a_run_whose_time_is_nearly_up_is_told_with_what_is_left_also_later() {
    let scene = Scene::new();
    let film = run(1, &["ear:a"]);
    scene.progress.late(&Run::queued((*film).clone()), || false);
    assert_eq!(scene.told(0.0), [a(1, 0)]);
    scene.told(2.0);
    assert_eq!(scene.progress.inner.lock().reports.len(), 0);
    scene.report(&film, 7);
    let inner = scene.progress.inner.lock();
    let report = &inner.reports[&film.id];
    assert_eq!(&*report.told(at(3.0), inner.late.contains(&film.id)), "0 s left");
    drop(inner);
    scene.progress.ended(film.id);
    assert!(scene.progress.inner.lock().late.is_empty());
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let scene = Scene::new();
    let film = run(1, &["ear:a"]);
    scene.report(&film, 1);
    scene.told(3_600.0);
    scene.report(&film, 2);
    assert_eq!(scene.told(0.0), [a(1, 2)]);
}

proptest! {
    /// Whatever is reported, when, and whoever ends: nobody is told twice within a second, nor of a
    /// run that has ended; and when all is quiet the last report of each that lives has been told.
    #[test]
    fn people_are_told_the_newest_at_their_pace(steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..700_u64), 1..200)) {
        let scene = Scene::new();
        let all = [&["ear:a"][..], &["ear:a", "ear:b"], &["ear:b"], &["ear:a", "ear:c", "ear:b"]];
        let runs: Vec<_> = (0..).zip(all).map(|(number, to)| run(number, to)).collect();
        let (mut now, mut percent) = (0.0, 0);
        let mut newest: BTreeMap<u8, u8> = BTreeMap::new();
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        let mut seen: BTreeMap<(String, u8), u8> = BTreeMap::new();
        for (which, what, wait) in steps.into_iter().chain((0..40).map(|_| (9, 9, 500))) {
            now += wait as f64 / 1_000.0;
            match (runs.get(usize::from(which)), what) {
                (None, _) => {}
                (Some(run), 0) => {
                    scene.progress.ended(run.id);
                    newest.remove(&which);
                }
                (Some(run), _) => {
                    percent = (percent + 1) % 100;
                    scene.report(run, percent);
                    newest.insert(which, percent);
                }
            }
            for (address, run, percent) in scene.told(now) {
                prop_assert_eq!(newest.get(&run), Some(&percent));
                if let Some(before) = last.insert(address.clone(), now) {
                    prop_assert!(now - before > 0.999, "{address} at {before} and {now}");
                }
                seen.insert((address, run), percent);
            }
        }
        for (run, percent) in newest {
            for destination in &runs[usize::from(run)].destinations {
                prop_assert_eq!(seen.get(&(destination.address.clone(), run)), Some(&percent));
            }
        }
    }
}
