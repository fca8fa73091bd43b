//! A host that works for long: does what it holds come to a plateau?
//!
//! Owns the work (runs of every sort, in ten parts, after each of which eight
//! days pass on the host's clock) and the verdict. What is old goes by the
//! host's own sweeps and its usual retention; nothing here removes anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock, SystemClock};
use sublane::intents::Intent;
use sublane_core::DeliveryState;
use sublane_store::{DeliveryFilter, RunFilter};

use crate::{Counter, PATIENCE, Setup, TestHost, temporary};

/// Parts of the work.
const PARTS: u32 = 10;
/// Runs that are begun before their endings are waited for.
const BATCH: u32 = 100;
/// How long the removal of a part may take; what is there then is told as kept.
const REMOVAL: Duration = Duration::from_secs(600);
/// Longer than anything that has ended is kept.
const PASSES: Duration = Duration::from_secs(8 * 86_400);

/// What a host holds when a part is done and what is old is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Runs so far that somebody asked for; each third one spawned another.
    pub runs: u32,
    /// Resident memory of the process in KiB.
    pub memory_kib: u64,
    /// Open files of the process.
    pub files: u64,
    /// Bytes of the store's files.
    pub store: u64,
    /// Bytes of the artifacts.
    pub artifacts: u64,
    /// Runs that the store still has.
    pub kept: u64,
}

/// A measure, and how much it may grow that is not growth: this many hundredths and so much more.
struct Measure {
    name: &'static str,
    of: fn(&Sample) -> u64,
    hundredths: u64,
    slack: u64,
}

const MEASURES: [Measure; 5] = [
    Measure { name: "memory", of: |sample| sample.memory_kib, hundredths: 10, slack: 16 << 10 },
    Measure { name: "open files", of: |sample| sample.files, hundredths: 0, slack: 4 },
    Measure { name: "store", of: |sample| sample.store, hundredths: 10, slack: 16 << 20 },
    Measure { name: "artifacts", of: |sample| sample.artifacts, hundredths: 10, slack: 64 << 10 },
    Measure { name: "runs kept", of: |sample| sample.kept, hundredths: 0, slack: 0 },
];

/// What still grows: its highest in the last three parts is above its highest in the third to the
/// fifth, by more than noise. Empty is a plateau.
#[must_use]
pub fn growing(samples: &[Sample]) -> Vec<String> {
    let highest = |samples: &[Sample], of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0);
    let (Some(early), Some(late)) =
        (samples.get(2..5), samples.len().checked_sub(3).and_then(|at| samples.get(at..)))
    else {
        return vec!["too little was measured".to_owned()];
    };
    let mut growing = Vec::new();
    for Measure { name, of, hundredths, slack } in MEASURES {
        let (before, after) = (highest(early, of), highest(late, of));
        if after > before + before * hundredths / 100 + slack {
            growing.push(format!("{name} grew from {before} to {after}"));
        }
    }
    growing
}

/// Has a host do so many runs in parts of equal size, and gives what it holds after each. `each` is told at once.
///
/// # Panics
/// When something does not come to its end.
pub async fn soak(runs: u32, mut each: impl FnMut(&Sample)) -> Vec<Sample> {
    let directory = temporary();
    let clock = ManualClock::at(SystemClock.now());
    let counter = Arc::new(Counter::default());
    let setup =
        Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns").plugin("misbehaves");
    let host = setup.channel("console", counter.clone(), None).start().await;
    let mut samples = Vec::new();
    let mut begun = 0;
    for part in 1..=PARTS {
        let until =
            u32::try_from(u64::from(runs) * u64::from(part) / u64::from(PARTS)).expect("not more than all");
        while begun < until {
            let batch = BATCH.min(until - begun);
            // All at once, as a burst does: they share their commits.
            let some = (begun..begun + batch).map(|number| {
                let (agent, input) = work(number);
                host.begin_for(agent, input, &["console:test"])
            });
            join_all(some).await;
            begun += batch;
            host.until("a batch is told", || counter.count() >= begun).await;
        }
        settled(&host).await;
        let kept = forget(&host, &clock, directory.path()).await;
        let sample = measure(begun, kept, directory.path());
        each(&sample);
        samples.push(sample);
    }
    host.host.stop().await;
    samples
}

/// An agent and its input, by turns: most give back what they got; others write a file, spawn, fail
/// or cancel what they spawned.
fn work(number: u32) -> (&'static str, Value) {
    let child = |agent: &str, task: Value| json!({ "spawn": { "agent": agent, "task": task, "attached": true, "scope": { "cpu-ms": 100 } } });
    match number % 6 {
        0 => ("spawns/write", json!(format!("the text of run {number}. ").repeat(50))),
        1 => ("spawns/act", json!([child("spawns/echo", json!(number)), { "wait": {} }])),
        2 => ("misbehaves/give-up", json!("no ink left")),
        3 => {
            let cancel = json!({ "cancel": { "child": 0, "reason": "enough" } });
            ("spawns/act", json!([child("spawns/act", json!([{ "receive": {} }])), cancel]))
        }
        4 => (
            "spawns/act",
            json!([{ "kv-set": { "bucket": "notes", "key": "last", "value": number.to_string() } }]),
        ),
        _ => ("spawns/echo", json!("x".repeat(200))),
    }
}

/// Waits until all that was owed is settled in the store.
async fn settled(host: &TestHost) {
    let search = async {
        for state in [DeliveryState::Pending, DeliveryState::Sending] {
            let filter = DeliveryFilter { state: Some(state), limit: 1, ..DeliveryFilter::default() };
            while !host.inner().store.deliveries(filter.clone()).await.expect("the store answers").is_empty()
            {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("all is settled");
}

/// Lets so much time pass that all may go, and gives how many runs are kept even so.
async fn forget(host: &TestHost, clock: &ManualClock, directory: &Path) -> u64 {
    let kept = async |limit| {
        let filter = RunFilter { limit, ..RunFilter::default() };
        host.inner().store.runs(filter).await.expect("the store answers").len() as u64
    };
    let empty = async || kept(1).await == 0 && bytes_below(&directory.join("artifacts")) == 0;
    clock.advance(PASSES);
    let runs_gone = async {
        while kept(1).await > 0 {
            tick(host).await
        }
    };
    // The clock is not moved under a sweep that removes: on it the sweep would have taken days.
    let _ = tokio::time::timeout(REMOVAL, runs_gone).await;
    // Files that were there lately take another look or two. Days that pass in the middle of one make it
    // rest for long: it is asked for, as `sublane store gc` does.
    let collect = serde_json::to_string(&Intent::CollectGarbage).expect("it has no keys");
    let files_gone = async {
        loop {
            let (mut bytes, mut still) = (u64::MAX, 0);
            while still < 25 {
                if empty().await {
                    return;
                }
                let now = bytes_below(&directory.join("artifacts"));
                still = if now == bytes { still + 1 } else { 0 };
                bytes = now;
                tick(host).await;
            }
            host.inner().store.ask(collect.as_str().into(), clock.now()).await.expect("the store answers");
            clock.advance(PASSES);
        }
    };
    let _ = tokio::time::timeout(REMOVAL, files_gone).await;
    kept(10_000).await
}

/// Something may have changed, or a moment has passed.
async fn tick(host: &TestHost) {
    let mut changes = host.inner().changes();
    let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
}

fn measure(runs: u32, kept: u64, directory: &Path) -> Sample {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process is listed");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = resident.and_then(|rest| rest.trim().split(' ').next()?.parse().ok());
    let size = |name: &str| std::fs::metadata(directory.join(name)).map_or(0, |file| file.len());
    Sample {
        runs,
        memory_kib: memory.expect("its memory is told"),
        files: std::fs::read_dir("/proc/self/fd").expect("its files are listed").count() as u64,
        store: ["sublane.db", "sublane.db-wal", "sublane.db-shm"].map(size).iter().sum(),
        artifacts: bytes_below(&directory.join("artifacts")),
        kept,
    }
}

fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .map(
            |path| {
                if path.is_dir() { bytes_below(&path) } else { path.metadata().map_or(0, |file| file.len()) }
            },
        )
        .sum()
}
