//! What became of everything, and whether it may be: the judge of the crash tests.
//!
//! Reads a whole [`History`] from a store and what receivers noted, and gives a
//! line for each thing in it that the promises forbid. Knows no scenario: what
//! a test set out to do, and that all of it is there, the test looks at itself.
//!
//! Never writes, and never asks the host that it judges: that one is dead.

use std::collections::{BTreeMap, BTreeSet};

use sublane_core::journal::{SpawnAnswer, WaitAnswer, decode};
use sublane_core::{
    Delivery, DeliveryId, DeliveryState, Entry, Generation, Import, ImportClass, Over, Run, RunId, RunState,
    Timestamp,
};
use sublane_store::{DeliveryFilter, RunFilter, Store};

/// The channel of what runs have undone, which tells nobody how they ended.
pub(crate) const UNDO: &str = "undo";

/// Everything that can be known of a state directory's past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All runs, oldest first.
    pub runs: Vec<Run>,
    /// Their journals, in order.
    pub journals: BTreeMap<RunId, Vec<Entry>>,
    /// Their generations that are over, each with its journal.
    pub generations: BTreeMap<RunId, Vec<(Generation, Vec<Entry>)>>,
    /// All that was owed.
    pub deliveries: Vec<Delivery>,
    /// Ids and bodies that receivers got, in the order of their arrival.
    pub received: Vec<(String, String)>,
    /// When each host began, oldest first.
    pub hosts: Vec<Timestamp>,
    /// From when until when the store failed: an attempt that met it ended there, and let go of its slot.
    pub failing: Vec<(Timestamp, Timestamp)>,
    /// Slots of the lanes.
    pub slots: BTreeMap<String, u32>,
    /// Whether the clock was put back: then instants do not tell what came first.
    pub was_put_back: bool,
}

impl History {
    /// Reads what a store holds; the rest is empty.
    ///
    /// # Panics
    /// When the store does not answer, or holds more than a test's history has.
    pub async fn read(store: &dyn Store) -> Self {
        const MOST: u32 = 10_000;
        let runs = store.runs(RunFilter { limit: MOST, ..RunFilter::default() }).await;
        let mut runs = runs.expect("the store answers");
        runs.reverse();
        let mut journals = BTreeMap::new();
        let mut generations = BTreeMap::new();
        for run in &runs {
            let id = run.spec.id;
            let entries = store.journal(id, run.generation).await.expect("the store answers");
            journals.insert(id, entries);
            let mut over = Vec::new();
            for past in store.generations(id).await.expect("the store answers") {
                let entries = store.journal(id, past.number).await.expect("the store answers");
                over.push((past, entries));
            }
            generations.insert(id, over);
        }
        let filter = DeliveryFilter { limit: MOST, ..DeliveryFilter::default() };
        let deliveries = store.deliveries(filter).await.expect("the store answers");
        assert!(runs.len().max(deliveries.len()) < MOST as usize, "the whole history is read");
        Self { runs, journals, generations, deliveries, ..Self::default() }
    }

    /// What must not be, a line each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.faults_of_runs();
        self.receipts(&mut faults);
        faults
    }

    /// What must not be, a line each, but for what became of deliveries.
    #[must_use]
    pub fn faults_of_runs(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.endings(&mut faults);
        self.spawns(&mut faults);
        self.results(&mut faults);
        if !self.was_put_back {
            self.lanes(&mut faults);
        }
        faults
    }

    /// Each run has one ending, told once to each of its destinations; no attached child outlives its parent.
    fn endings(&self, faults: &mut Vec<String>) {
        for run in &self.runs {
            let (id, name) = (run.spec.id, &run.spec.name);
            let RunState::Ended { outcome, at } = &run.state else {
                faults.push(format!("run {id} ({name}) has no ending: it is {}", run.state.kind()));
                continue;
            };
            let tells = |owed: &&Delivery| !is_message(owed) && owed.destination.channel != UNDO;
            let owed = self.deliveries.iter().filter(|owed| owed.run == id).filter(tells);
            let (told, earlier): (Vec<_>, Vec<_>) =
                owed.partition(|owed| is_ending(owed, run, run.generation));
            self.generations(run, &earlier, faults);
            let expected = format!("run.{}", outcome.kind());
            for owed in &told {
                if kind(&owed.body) != expected {
                    faults.push(format!(
                        "run {id} ({name}) ended as {expected} and tells {}",
                        kind(&owed.body)
                    ));
                }
            }
            let mut to: Vec<_> = told.iter().map(|owed| owed.destination.to_string()).collect();
            let mut wanted: Vec<_> = run.spec.destinations.iter().map(ToString::to_string).collect();
            to.sort();
            wanted.sort();
            wanted.dedup();
            if to != wanted {
                faults.push(format!("run {id} ({name}) owes its ending to {wanted:?} and tells {to:?}"));
            }
            let parent = self.runs.iter().find(|parent| run.spec.attached_to() == Some(parent.spec.id));
            if let Some(parent) = parent.filter(|_| !self.was_put_back)
                && matches!(parent.state, RunState::Ended { at: before, .. } if before < *at)
            {
                faults.push(format!(
                    "run {id} ({name}) outlived {}, which it is attached to",
                    parent.spec.name
                ));
            }
        }
    }

    /// Each earlier generation that ended was told once to each of a run's destinations, one that only
    /// failed to none, and `owed` is no more than that.
    fn generations(&self, run: &Run, owed: &[&Delivery], faults: &mut Vec<String>) {
        let (id, name) = (run.spec.id, &run.spec.name);
        let over = self.generations.get(&id).map(Vec::as_slice).unwrap_or_default();
        let numbers: Vec<u32> = over.iter().map(|(past, _)| past.number).collect();
        // Of those before one that went on as new, nothing is kept.
        let first = if run.continued > 1 { numbers.first().copied().unwrap_or(0) } else { 0 };
        if numbers != (first..run.generation).collect::<Vec<_>>() {
            faults.push(format!("run {id} ({name}) is in generation {} after {numbers:?}", run.generation));
        }
        for generation in first..run.generation {
            let past = over.iter().find(|(past, _)| past.number == generation).map(|(past, _)| &past.over);
            let told = owed.iter().filter(|owed| is_ending(owed, run, generation)).count();
            let expected = match past {
                None | Some(Over::Ended(_)) => run.spec.destinations.len(),
                Some(Over::Failed(_) | Over::Continued) => 0,
            };
            if told != expected {
                faults.push(format!("run {id} ({name}) told {told} times how generation {generation} ended"));
            }
        }
        let is_none =
            |owed: &&&Delivery| !(0..run.generation).any(|generation| is_ending(owed, run, generation));
        for owed in owed.iter().filter(is_none) {
            faults.push(format!("run {id} ({name}) owes {} for no ending of it", owed.id));
        }
    }

    /// Each run was accepted from outside or spawned once, and each spawn made a run.
    fn spawns(&self, faults: &mut Vec<String>) {
        let mut spawned = BTreeMap::<RunId, Vec<RunId>>::new();
        for (parent, entry) in self.entries(Import::spawns) {
            match decode::<SpawnAnswer>(entry) {
                Ok(Ok(answer)) if !answer.duplicate => spawned.entry(answer.run).or_default().push(parent),
                Ok(_) => {}
                Err(error) => faults.push(format!("entry {} of run {parent}: {error}", entry.path)),
            }
        }
        for run in &self.runs {
            let (id, name) = (run.spec.id, &run.spec.name);
            let by = spawned.remove(&id).unwrap_or_default();
            let expected: Vec<RunId> = run.spec.parent.into_iter().collect();
            // The journal in which it was spawned may be one that is not kept.
            let went_on =
                |id: &RunId| self.runs.iter().any(|other| other.spec.id == *id && other.continued > 1);
            if by.is_empty() && expected.iter().any(went_on) {
                continue;
            }
            match (by.len(), expected.len()) {
                (0, 1) => faults.push(format!("run {id} ({name}) is there without a spawn")),
                (2.., _) => faults.push(format!("run {id} ({name}) was spawned {} times", by.len())),
                _ if by != expected => faults.push(format!("run {id} ({name}) was spawned by another run")),
                _ => {}
            }
        }
        for (child, by) in spawned {
            faults.push(format!("run {} spawned {child}, which is not there", by[0]));
        }
    }

    /// What a parent was given are results of children that it has, each once.
    fn results(&self, faults: &mut Vec<String>) {
        let runs: BTreeMap<RunId, &Run> = self.runs.iter().map(|run| (run.spec.id, run)).collect();
        for (parent, entry) in self.entries(|import| import == Import::Wait) {
            let Ok(Ok(WaitAnswer { ended, .. })) = decode::<WaitAnswer>(entry) else { continue };
            let once: BTreeSet<_> = ended.iter().collect();
            if once.len() < ended.len() {
                faults.push(format!("run {parent} was given a result twice in one wait"));
            }
            for child in once {
                match runs.get(child) {
                    Some(run) if run.is_ended() => {}
                    Some(run) => faults
                        .push(format!("run {parent} was given a result of {}, which lives", run.spec.name)),
                    None => {
                        faults.push(format!("run {parent} was given a result of {child}, which is not there"))
                    }
                }
            }
        }
    }

    /// What is owed arrived, whole and unchanged; by its id, once. Nothing else did.
    fn receipts(&self, faults: &mut Vec<String>) {
        let mut received = BTreeMap::<&str, Vec<&str>>::new();
        for (id, body) in &self.received {
            received.entry(id).or_default().push(body);
        }
        for owed in &self.deliveries {
            let id = owed.id.to_string();
            let got = received.remove(id.as_str()).unwrap_or_default();
            if owed.state != DeliveryState::Delivered {
                faults.push(format!("delivery {id} is {:?}", owed.state));
            }
            if got.is_empty() {
                faults.push(format!("delivery {id} was never received"));
            }
            if got.len() > owed.attempts as usize {
                faults.push(format!("delivery {id} came {} times in {} attempts", got.len(), owed.attempts));
            }
            if got.iter().any(|body| **body != *owed.body) {
                faults.push(format!("delivery {id} came with another body"));
            }
        }
        for id in received.keys() {
            faults.push(format!("{id} was received and is not owed"));
        }
    }

    /// Never do more runs of a lane hold a slot than it has.
    fn lanes(&self, faults: &mut Vec<String>) {
        let mut changes = BTreeMap::<&str, Vec<(Timestamp, bool)>>::new();
        for run in &self.runs {
            for (from, until) in self.held(run) {
                let changes = changes.entry(&run.spec.lane).or_default();
                changes.extend([(from, true), (until, false)]);
            }
        }
        for (lane, mut changes) in changes {
            let Some(slots) = self.slots.get(lane) else { continue };
            // At one instant those that let go come first: `false` is before `true`.
            changes.sort();
            let (mut holds, mut most) = (0_u32, 0);
            for (_, takes) in changes {
                holds = if takes { holds + 1 } else { holds - 1 };
                most = most.max(holds);
            }
            if most > *slots {
                faults.push(format!("lane {lane} has {slots} slots, and {most} runs executed at once"));
            }
        }
    }

    /// Spans of time in which a run held its slot for certain: between two entries of its own
    /// that one host wrote while its store did not fail, and that were no waits.
    fn held(&self, run: &Run) -> Vec<(Timestamp, Timestamp)> {
        let is_own = |entry: &&Entry| entry.path.call_depth() == 0;
        let own: Vec<_> = self.journals.get(&run.spec.id).into_iter().flatten().filter(is_own).collect();
        let host = |at: Timestamp| self.hosts.iter().filter(|began| **began <= at).count();
        // A tool call may wait inside.
        let parks =
            |entry: &Entry| entry.import.class() == ImportClass::Wait || entry.import == Import::CallTool;
        let mut held = Vec::new();
        for pair in own.windows(2) {
            let [before, after] = pair else { unreachable!("windows of two") };
            let has_failed =
                self.failing.iter().any(|(from, until)| before.at <= *until && *from <= after.at);
            let is_one_attempt = host(before.at) == host(after.at) && !has_failed;
            if is_one_attempt && !parks(before) && !parks(after) && before.at < after.at {
                held.push((before.at, after.at));
            }
        }
        held
    }

    /// Entries of these imports, in all generations.
    pub(crate) fn entries(&self, of: impl Fn(Import) -> bool) -> impl Iterator<Item = (RunId, &Entry)> {
        let earlier = self
            .generations
            .iter()
            .flat_map(|(run, over)| over.iter().flat_map(|(_, entries)| entries).map(|entry| (*run, entry)));
        let all = self.journals.iter().flat_map(|(run, entries)| entries.iter().map(|entry| (*run, entry)));
        earlier.chain(all).filter(move |(_, entry)| of(entry.import))
    }
}

/// What a body tells: `run.succeeded`, `run.message` and so on.
fn kind(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["type"].as_str().unwrap_or_default().to_owned()
}

/// Whether a delivery is how this generation of a run ended.
fn is_ending(delivery: &Delivery, run: &Run, generation: u32) -> bool {
    (0..)
        .zip(&run.spec.destinations)
        .any(|(index, _)| delivery.id == DeliveryId::ending(run.spec.id, generation, index))
}

fn is_message(delivery: &Delivery) -> bool {
    kind(&delivery.body) == "run.message"
}
