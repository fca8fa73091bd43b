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
pub mod seeds;

use std::ops::Range;

pub use plan::Plan;
pub use scene::Counts;
use scene::Scene;
use seeds::Doing;

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
    /// Of a seed that failed.
    fn failed(seed: u64, why: String) -> Self {
        Self { seeds: 1, failed: vec![(seed, vec![why])], ..Self::default() }
    }

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
async fn seed(seed: u64, doing: Doing) -> Report {
    let mut scene = Scene::start(Plan::of(seed), doing.clone()).await;
    let moves = scene.plan.moves.clone();
    let all = moves.len();
    for (n, next) in moves.into_iter().enumerate() {
        doing.part(format!("move {n} of {all}, {next:?}"));
        scene.play(next).await;
    }
    doing.part("the calm after all moves".to_owned());
    scene.calm().await;
    doing.part("the end".to_owned());
    doing.now("it is judged");
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
        doing.now("the last host stops");
        host.host.stop().await;
    }
    report
}

/// Plays seeds, so many at once; `each` is told what each came to. One that comes to no end has failed.
pub async fn play(seeds: Range<u64>, at_once: usize, each: impl FnMut(&Report)) -> Report {
    seeds::all(seeds, at_once, seed, each).await
}
