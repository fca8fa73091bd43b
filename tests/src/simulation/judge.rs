//! What a seed came to, and whether it may have: the promises, asked of everything that is left.
//!
//! Gives a line for each thing that must not be. Never writes, but for one call of each hook, which
//! nobody may take any more.

use std::collections::{BTreeMap, BTreeSet};

use sublane::clock::Clock as _;
use sublane_core::hook::{Called, HookCall};
use sublane_core::journal::decode;
use sublane_core::{ArtifactRef, Delivery, DeliveryState, Import, Run, RunId};
use sublane_store::{Conversation, Store as _};

use super::outside::Job;
use super::scene::Scene;
use crate::history::{History, UNDO};

/// All that must not be.
pub(super) async fn judge(scene: &mut Scene) -> Vec<String> {
    let mut faults = std::mem::take(&mut scene.faults);
    scene.check_store("at the end");
    faults.append(&mut scene.faults);
    let mut history = History::read(&*scene.store).await;
    history.was_put_back = scene.was_put_back;
    history.hosts.clone_from(&scene.hosts);
    history.failing.clone_from(&scene.failing);
    history.slots =
        ["main", "subagent"].map(|lane| (lane.to_owned(), scene.plan.slots)).into_iter().collect();
    history.received = scene.outside.taken();
    faults.extend(history.faults_of_runs());
    faults.extend(receipts(&history.deliveries, &history.received));
    faults.extend(roots(&history.runs, scene.plan.roots.len()));
    let asked = |name: &str| {
        let named = history.runs.iter().filter(|run| run.spec.parent.is_some() && *run.spec.name == *name);
        // A root has a name of the host's, and no policy of retries.
        named.map(|run| run.generation as usize + 1).sum::<usize>().max(1)
    };
    faults.extend(jobs(&scene.outside.jobs(), asked));
    for run in &history.runs {
        if let Some(conversation) = conversation(scene, run).await {
            faults.extend(purses(&history, &conversation, &scene.outside.jobs()));
        }
    }
    faults.extend(left(scene, &history.runs).await);
    faults
}

/// What is owed has ended, and came with one body. What is delivered came.
#[must_use]
pub fn receipts(owed: &[Delivery], received: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut came = BTreeMap::<&str, BTreeSet<&str>>::new();
    let mut times = BTreeMap::<&str, u32>::new();
    for (id, body) in received {
        came.entry(id).or_default().insert(body);
        *times.entry(id).or_default() += 1;
    }
    for owed in owed.iter().filter(|owed| owed.destination.channel != UNDO) {
        let id = owed.id.to_string();
        let times = times.remove(id.as_str()).unwrap_or(0);
        let bodies = came.remove(id.as_str()).unwrap_or_default();
        if !owed.state.is_settled() {
            faults.push(format!("delivery {id} is {:?}", owed.state));
        }
        if owed.state != DeliveryState::Dismissed && times == 0 {
            faults.push(format!("delivery {id} is {:?} and never came", owed.state));
        }
        if times > owed.attempts {
            faults.push(format!("delivery {id} came {times} times in {} attempts", owed.attempts));
        }
        if bodies.iter().any(|body| **body != *owed.body) {
            faults.push(format!("delivery {id} came with another body"));
        }
    }
    faults.extend(came.keys().map(|id| format!("{id} came and is not owed")));
    faults
}

/// Each root is one run, whatever its asking met.
fn roots(runs: &[Run], asked: usize) -> Vec<String> {
    let mut origins: Vec<String> =
        runs.iter().filter(|run| run.spec.parent.is_none()).map(|run| run.spec.origin.to_string()).collect();
    origins.sort();
    let mut expected: Vec<String> = (0..asked).map(|n| format!("console:{n}")).collect();
    expected.sort();
    if origins == expected {
        Vec::new()
    } else {
        vec![format!("{asked} roots were asked for, and there are {origins:?}")]
    }
}

/// One key for what a generation of a run asks in a step, and nothing else under that key: whoever
/// honours it takes it once. `generations` says how many there are of all runs of a name.
#[must_use]
pub fn jobs(jobs: &[Job], generations: impl Fn(&str) -> usize) -> Vec<String> {
    let (mut keys, mut bodies) = (BTreeMap::<&str, BTreeSet<&str>>::new(), BTreeMap::<&str, &str>::new());
    let mut faults = Vec::new();
    for Job { key, body } in jobs {
        let keys = keys.entry(body).or_default();
        let most = generations(body.split('/').next().unwrap_or_default());
        if keys.insert(key) && keys.len() == most + 1 {
            faults.push(format!("what {body} asks of the provider came with {} keys", most + 1));
        }
        if *bodies.entry(key).or_insert(body) != body {
            faults.push(format!("the key of {body} came with something else"));
        }
        if key.is_empty() {
            faults.push(format!("what {body} asks of the provider came without a key"));
        }
    }
    faults
}

async fn conversation(scene: &Scene, run: &Run) -> Option<Conversation> {
    // Each root has a conversation of its own.
    let is_root = run.spec.parent.is_none();
    let found = scene.store.conversation(run.spec.conversation).await.expect("it does not fail");
    found.filter(|_| is_root)
}

/// What a conversation has less than it began with is what its runs have spent, to the last run and byte.
fn purses(history: &History, conversation: &Conversation, jobs: &[Job]) -> Vec<String> {
    let runs: Vec<&Run> =
        history.runs.iter().filter(|run| run.spec.conversation == conversation.id).collect();
    let (ceiling, left) = (conversation.ceiling, conversation.purse);
    let mut faults = Vec::new();
    let mut check = |what: &str, spent: u64, expected: u64| {
        if spent != expected {
            faults.push(format!("{}: {what} cost {spent}, and were {expected}", conversation.origin));
        }
    };
    let spent = |of: fn(&sublane_core::Purse) -> u64| of(&ceiling).wrapping_sub(of(&left));
    // The root itself is one.
    check("spawned runs", spent(|purse| purse.spawns), runs.len() as u64);
    let is_own_run = |id: RunId| runs.iter().any(|run| run.spec.id == id);
    let finished = history.entries(|import| import == Import::ArtifactFinish);
    let files = finished
        .filter(|(run, _)| is_own_run(*run))
        .filter_map(|(_, entry)| decode::<ArtifactRef>(entry).ok()?.ok());
    check("bytes of files", spent(|purse| purse.artifact_bytes), files.map(|file| file.size).sum());
    let own = |job: &&Job| job.body.split(['.', '/']).next() == Some(conversation.origin.address.as_str());
    let sent = jobs.iter().filter(own).filter(|job| !job.body.ends_with("/undo")).count() as u64;
    if spent(|purse| purse.requests) < sent {
        faults.push(format!("{}: {sent} requests were sent, and fewer paid", conversation.origin));
    }
    for run in &runs {
        let below = runs.iter().filter(|other| is_below(other, run.spec.id, &runs)).count() as u64;
        if below > run.spec.purse.spawns {
            faults.push(format!(
                "run {} had {} spawns, and {below} are below it",
                run.spec.name, run.spec.purse.spawns
            ));
        }
    }
    faults
}

fn is_below(run: &Run, above: RunId, runs: &[&Run]) -> bool {
    let parent = run.spec.parent.and_then(|parent| runs.iter().find(|run| run.spec.id == parent));
    parent.is_some_and(|parent| parent.spec.id == above || is_below(parent, above, runs))
}

/// Nothing is left of what has ended: no wait, no hook that takes a call, no attempt, no instance, no file half written.
async fn left(scene: &Scene, runs: &[Run]) -> Vec<String> {
    let mut faults = Vec::new();
    let now = scene.clock.now();
    for run in runs {
        let (id, name) = (run.spec.id, &run.spec.name);
        if scene.store.wait_of(id).await.expect("it does not fail").is_some() {
            faults.push(format!("run {name} has ended and has a wait"));
        }
        for hook in scene.store.hooks_of(id).await.expect("it does not fail") {
            let call = HookCall {
                key: "late".into(),
                at: now,
                media_type: None,
                body: Vec::new().into(),
                verified: false,
            };
            let called = scene.store.call_hook(hook.token, call, now).await.expect("it does not fail");
            if let Some((Called::Taken, _)) = called {
                faults.push(format!("a hook of run {name}, which has ended, takes a call"));
            }
        }
    }
    let Some(host) = &scene.host else { return vec!["no host lives".to_owned()] };
    let inner = host.inner();
    // An attempt leaves its place a moment after its last write.
    let is_left = || {
        let pool = inner.engines.of(sublane::engine::Class::Small).pool.used();
        let in_lanes: u32 = inner.lanes.status().iter().map(|lane| lane.running + lane.ready).sum();
        let (attempts, parked) = (inner.attempts.lock().len(), inner.lanes.parked());
        let what = format!(
            "{attempts} attempts, {parked} of them parked, {pool} instances and {in_lanes} places in lanes are left"
        );
        (attempts + parked > 0 || pool + in_lanes > 0).then_some(what)
    };
    let mut looks = 0;
    while is_left().is_some() && looks < 1_000 {
        looks += 1;
        let _ = tokio::time::timeout(std::time::Duration::from_millis(5), inner.changes().changed()).await;
    }
    faults.extend(is_left());
    let staging = std::fs::read_dir(scene.directory().join("artifacts/staging")).expect("it is there");
    let files = staging.count();
    if files > 0 {
        faults.push(format!("{files} files were half written, and are left"));
    }
    faults
}
