//! Has a host do many runs, and says whether what it holds comes to a plateau: a line for each
//! tenth, a verdict, exit code 1 when something still grows. Or plays seeds of the simulation: a
//! line for each hundred, all that must not be of each that fails, exit code 1 when one does.

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use sublane_tests::simulation::{Counts, Report, play};
use sublane_tests::soak::{Sample, growing, soak};

/// The allocator of the `sublane` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has a host do many runs, and says whether what it holds comes to a plateau.
#[derive(Parser)]
struct Args {
    /// Runs in all.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    runs: u32,
    /// Play so many seeds of the simulation instead.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 0, requires = "seeds")]
    from: u64,
    /// Print one JSON object instead of a table.
    #[arg(long, conflicts_with = "seeds")]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { runs, seeds, from, json } = Args::parse();
    if let Some(seeds) = seeds {
        return simulate(from, seeds).await;
    }
    if !json {
        println!(
            "{:>9} {:>11} {:>11} {:>11} {:>14} {:>10}",
            "runs", "memory MiB", "open files", "store MiB", "artifacts KiB", "runs kept"
        );
    }
    let samples = soak(runs, |sample| {
        if !json {
            println!("{}", line(sample))
        }
    })
    .await;
    let growing = growing(&samples);
    if json {
        let tenths: Vec<Value> = samples.iter().map(as_json).collect();
        println!("{}", json!({ "tenths": tenths, "growing": growing, "plateau": growing.is_empty() }));
    } else if growing.is_empty() {
        println!("a plateau");
    } else {
        growing.iter().for_each(|what| println!("no plateau: {what}"));
    }
    if growing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn simulate(from: u64, seeds: u64) -> ExitCode {
    let at_once = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut played = 0;
    let report = play(from..from.saturating_add(seeds), at_once, |one| {
        played += one.seeds;
        print!("{}", one.told());
        if played.is_multiple_of(100) {
            println!("{played} seeds");
        }
    })
    .await;
    let Report { seeds, runs, deliveries, counts, failed } = report;
    let Counts { killed, stood, jumps, failed: errors, reloads, calls } = counts;
    println!(
        "{seeds} seeds, {} failed: {runs} runs, {deliveries} receipts, {killed} hosts died, {stood} stood still, \
         {jumps} jumps of the clock, {errors} failures of the store, {reloads} reloads, {calls} calls",
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(sample: &Sample) -> String {
    let Sample { runs, memory_kib, files, store, artifacts, kept } = sample;
    let mebi = |kibi: u64| kibi as f64 / 1_024.0;
    let (memory, store) = (mebi(*memory_kib), mebi(store / 1_024));
    format!("{runs:>9} {memory:>11.1} {files:>11} {store:>11.1} {:>14} {kept:>10}", artifacts / 1_024)
}

fn as_json(sample: &Sample) -> Value {
    let Sample { runs, memory_kib, files, store, artifacts, kept } = sample;
    json!({
        "runs": runs, "memory-kib": memory_kib, "open-files": files, "store-bytes": store,
        "artifact-bytes": artifacts, "runs-kept": kept,
    })
}
