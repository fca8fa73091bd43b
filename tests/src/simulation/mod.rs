//! Whole lives of hosts, made of chance: a seed is a plan, a plan is played, and what it came to is judged.
//!
//! The plan of a seed is always the same; how the threads of a host meet in it is the machine's. So a
//! seed that fails is run again, several times if need be. Time is the simulation's: nothing here
//! waits for any to pass, but for a moment in which a host asks nothing of its store.

mod gate;
pub mod judge;
pub mod outside;
pub mod plan;
mod scene;

use std::ops::Range;

pub use plan::Plan;
pub use scene::Counts;
use scene::Scene;
use tokio::task::JoinSet;

/// What seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds that were played.
    pub seeds: u64,
    /// Runs in all.
    pub runs: u64,
    /// Deliveries in all.
    pub deliveries: u64,
    /// What happened in them.
    pub counts: Counts,
    /// Seeds that failed, each with all that must not be.
    pub failed: Vec<(u64, Vec<String>)>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.runs += other.runs;
        self.deliveries += other.deliveries;
        let (sum, counts) = (&mut self.counts, other.counts);
        sum.killed += counts.killed;
        sum.stood += counts.stood;
        sum.jumps += counts.jumps;
        sum.failed += counts.failed;
        sum.reloads += counts.reloads;
        sum.calls += counts.calls;
        self.failed.extend(other.failed);
    }

    /// The seeds that failed, for people, each with the command that plays it again.
    #[must_use]
    pub fn told(&self) -> String {
        let one = |(seed, faults): &(u64, Vec<String>)| {
            format!(
                "seed {seed}: run it again with `cargo xtask soak --seeds 1 --from {seed}`\n  {}\n",
                faults.join("\n  ")
            )
        };
        self.failed.iter().map(one).collect()
    }
}

/// Plays a seed.
async fn seed(seed: u64) -> Report {
    let mut scene = Scene::start(Plan::of(seed)).await;
    for next in scene.plan.moves.clone() {
        scene.play(next).await;
    }
    scene.calm().await;
    let faults = judge::judge(&mut scene).await;
    let runs = scene.runs().await.len() as u64;
    let report = Report {
        seeds: 1,
        runs,
        deliveries: scene.outside.taken().len() as u64,
        counts: scene.counts,
        failed: if faults.is_empty() { Vec::new() } else { vec![(seed, faults)] },
    };
    if let Some(host) = scene.host.take() {
        host.host.stop().await;
    }
    report
}

/// Plays seeds, so many at once; `each` is told what each came to.
pub async fn play(seeds: Range<u64>, at_once: usize, mut each: impl FnMut(&Report)) -> Report {
    let mut report = Report::default();
    let mut playing = JoinSet::new();
    let mut numbers = std::collections::HashMap::new();
    let mut left = seeds;
    loop {
        while playing.len() < at_once
            && let Some(number) = left.next()
        {
            numbers.insert(playing.spawn(seed(number)).id(), number);
        }
        let Some(ended) = playing.join_next_with_id().await else { return report };
        let one = ended.map(|(_, one)| one).unwrap_or_else(|error| Report {
            seeds: 1,
            failed: vec![(numbers[&error.id()], vec![format!("it panicked: {error}")])],
            ..Report::default()
        });
        each(&one);
        report.add(one);
    }
}
