//! The benchmarks. Every figure is a ratio to a limit that is taken in the
//! same run, by turns, so that a noisy machine moves both alike.

mod authority;
mod bare;
mod durable;
mod floor;
mod http;
mod jobs;
mod journal;
mod operate;
mod polls;
mod receiver;
mod report;
mod serving;
mod start;
mod timed;
mod volatile;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use sublane::host::Inner;
use sublane_core::RunId;

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
    #[arg(long, default_value = "", value_name = "NAME")]
    only: String,
    /// Rounds of each measurement; the median counts.
    #[arg(long, default_value_t = 9, value_name = "N")]
    rounds: usize,
    /// Run so many warm spawns and nothing else, to be traced from outside.
    #[arg(long, hide = true)]
    spawns: Option<u32>,
    /// Serve the store of `--state`, in which so many runs wait, and print what that takes of memory.
    #[arg(long, hide = true, requires = "state")]
    hold: Option<u32>,
    /// Have a host ask for so many jobs of `--server`, and serve it in `--state` until it is killed.
    #[arg(long, hide = true, requires = "state", requires = "server")]
    watch: Option<u32>,
    /// See `--watch`.
    #[arg(long, hide = true)]
    server: Option<String>,
    /// See `--hold` and `--watch`.
    #[arg(long, hide = true)]
    state: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let Some(spawns) = args.spawns {
        runtime.block_on(volatile::only(spawns));
        return Ok(());
    }
    if let (Some(runs), Some(state)) = (args.hold, &args.state) {
        return runtime.block_on(waiting::hold(state, runs));
    }
    if let (Some(jobs), Some(state), Some(server)) = (args.watch, &args.state, &args.server) {
        return runtime.block_on(polls::watch(state, server, jobs));
    }
    let mut report = report::Report::new(&args.only);
    runtime.block_on(measure(&mut report, args.rounds))?;
    report.print();
    if let Some(file) = args.json {
        report.write(&file)?;
    }
    Ok(())
}

async fn measure(report: &mut report::Report, rounds: usize) -> anyhow::Result<()> {
    if report.wants("spawn.volatile.p") {
        volatile::latency(report, rounds).await?;
    }
    if report.wants("spawn.volatile.threads2") {
        volatile::threads(report, rounds).await;
    }
    if report.wants("spawn.mapping_syscalls") {
        volatile::mapping_calls(report)?;
    }
    if report.wants("spawn.durable.p50") {
        durable::spawn(report, rounds).await;
    }
    if report.wants("spawn.durable.rate256") {
        durable::rate(report, rounds).await;
    }
    if report.wants("delivery.first_byte") {
        durable::first_byte(report, rounds).await?;
    }
    if report.wants("spawn.cold") {
        start::cold(report, rounds).await?;
    }
    if report.wants("cancel.tree") {
        operate::cancel(report, rounds).await;
    }
    if report.wants("burst.fairness") {
        operate::fairness(report, rounds).await;
    }
    if report.wants("store.gc") || report.wants("list.100k") {
        operate::many(report, rounds).await?;
    }
    if report.wants("spawn.durable.full") {
        durable::spawn_full(report, rounds).await?;
    }
    if report.wants("journal.effect") {
        journal::effect(report, rounds).await?;
    }
    if report.wants("journal.effects256") {
        journal::effects256(report, rounds).await?;
    }
    if report.wants("replay.rate") {
        journal::replay(report, rounds).await?;
    }
    let waits = ["waiting.", "wake.p99", "restart.first_claim"];
    if waits.into_iter().any(|name| report.wants(name)) {
        waiting::measure(report, rounds).await?;
    }
    if report.wants("authority.check") {
        authority::check(report, rounds);
    }
    if report.wants("authority.attenuate") {
        authority::attenuate(report, rounds).await;
    }
    if report.wants("neighbour") {
        authority::neighbour(report, rounds).await;
    }
    if report.wants("http.overhead") {
        http::overhead(report, rounds).await?;
    }
    if report.wants("poll.rate") {
        polls::rate(report, rounds).await?;
    }
    if report.wants("poll.replaced") {
        polls::replaced(report).await?;
    }
    if report.wants("host.") {
        start::process(report, rounds)?;
    }
    Ok(())
}

/// The instant. A benchmark measures time; nothing else here may.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Waits until a run has succeeded. It looks so rarely that hardly a spawn in a thousand is
/// disturbed: a look every millisecond is in the 99th percentile.
async fn ended(host: &Arc<Inner>, run: RunId) {
    loop {
        let row = host.store.run(run).await.expect("the store answers").expect("the run is there");
        if let Some(outcome) = row.outcome() {
            assert_eq!(outcome.kind(), "succeeded", "{outcome:?}");
            return;
        }
        rest(Duration::from_millis(20)).await;
    }
}

/// Waits, without touching what is measured.
#[expect(clippy::disallowed_methods, reason = "a benchmark waits without touching what it measures")]
async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
}
