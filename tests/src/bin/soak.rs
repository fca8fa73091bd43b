//! Has a host do many runs, and says whether what it holds comes to a plateau: a line for each
//! tenth, a verdict, exit code 1 when something still grows.

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
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
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { runs, json } = Args::parse();
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
