//! The benchmarks. Every figure is a ratio to a limit that is taken in the
//! same run, by turns, so that a noisy machine moves both alike.

mod bare;
mod report;
mod volatile;

use clap::Parser;

/// The allocator of the `sublane` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the host against what the machine can do in the same minute.
#[derive(Parser)]
struct Args {
    /// Write the figures as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Only figures whose name begins with this.
    #[arg(long, default_value = "")]
    only: String,
    /// Rounds of each measurement; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut report = report::Report::new(&args.only);
    if report.wants("spawn.volatile") {
        volatile::measure(&mut report, args.rounds)?;
    }
    report.print();
    if let Some(file) = args.json {
        report.write(&file)?;
    }
    Ok(())
}

/// Waits until a run has left the host, looked at every millisecond so that the wait costs the host nothing.
async fn ended(host: &std::sync::Arc<sublane::host::Inner>, run: sublane_core::RunId) {
    #[expect(clippy::disallowed_methods, reason = "a benchmark waits without touching what it measures")]
    loop {
        let row = host.store.run(run).await.expect("the store answers").expect("the run is there");
        if let Some(outcome) = row.outcome() {
            assert_eq!(outcome.kind(), "succeeded", "{outcome:?}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}
