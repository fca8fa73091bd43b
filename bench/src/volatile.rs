//! Volatile spawns: the whole path of the host on the in-memory model.

use std::sync::Arc;

use sublane_store::Model;
use sublane_tests::{Setup, TestHost, temporary};

use crate::bare;
use crate::floor;
use crate::report::{Goal, Report, median, quantile};
use crate::timed::{Timed, periods};

/// Spawns of one caller in one round.
const BATCH: u32 = 2_000;
/// Writes of one spawn with its wait: spawn, park, claim, finish.
const WRITES: usize = 4;

async fn host(store: Timed<Model>, threads: usize) -> TestHost {
    let mut setup = Setup::on(Arc::new(store), temporary()).plugin("bench");
    setup.settings.guest_threads = threads;
    setup.start().await
}

/// From one spawn of a caller to its next: import, lane, child, result, and the caller's own loop.
/// Beside it two floors: the same without a host, and with the rows alone.
pub(crate) async fn latency(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let (mut p50, mut p99, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut floor50, mut floor99) = (Vec::new(), Vec::new());
    let (mut rows50, mut rows99) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let timed = Timed::new(Model::default());
        let host = host(timed.clone(), 1).await;
        limits.push(median(&mut bare::on_guest_thread(host.inner(), BATCH).await));
        let mut times = floor::spawns(host.inner(), BATCH, None).await?;
        floor50.push(median(&mut times));
        floor99.push(quantile(&mut times, 0.99));
        let template = crate::durable::template(&host).await;
        let mut times = floor::spawns(host.inner(), BATCH, Some(template)).await?;
        rows50.push(median(&mut times));
        rows99.push(quantile(&mut times, 0.99));
        timed.take();
        let run = host.begin("bench/call", serde_json::json!(BATCH)).await;
        crate::ended(host.inner(), run).await;
        let mut times = periods(&timed.take(), WRITES, WRITES);
        p50.push(median(&mut times));
        p99.push(quantile(&mut times, 0.99));
        host.host.stop().await;
    }
    let limit = median(&mut limits) / 1_000.0;
    report.add("spawn.floor.p50", "us", median(&mut floor50) / 1_000.0, limit, Goal::None);
    report.add("spawn.floor.p99", "us", median(&mut floor99) / 1_000.0, limit, Goal::None);
    report.add("spawn.floor.rows.p50", "us", median(&mut rows50) / 1_000.0, limit, Goal::None);
    report.add("spawn.floor.rows.p99", "us", median(&mut rows99) / 1_000.0, limit, Goal::None);
    report.add("spawn.volatile.p50", "us", median(&mut p50) / 1_000.0, limit, Goal::AtMost(1.4));
    report.add("spawn.volatile.p99", "us", median(&mut p99) / 1_000.0, limit, Goal::AtMost(3.0));
    Ok(())
}

/// Spawns per second with two callers on two threads, to those with one on one; against the same gain of bare spawns.
pub(crate) async fn threads(report: &mut Report, rounds: usize) {
    let (mut gains, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut rates = Vec::new();
        let mut bare = Vec::new();
        for threads in [1_u32, 2] {
            let host = host(Timed::new(Model::default()), threads as usize).await;
            let begin = crate::now();
            let tasks: Vec<_> = (0..threads).map(|_| bare::spawn_task(host.inner(), BATCH)).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            bare.push(f64::from(threads * BATCH) / begin.elapsed().as_secs_f64());
            let begin = crate::now();
            let mut runs = Vec::new();
            for _ in 0..threads {
                runs.push(host.begin("bench/call", serde_json::json!(BATCH)).await);
            }
            for run in runs {
                crate::ended(host.inner(), run).await;
            }
            rates.push(f64::from(threads * BATCH) / begin.elapsed().as_secs_f64());
            host.host.stop().await;
        }
        gains.push(rates[1] / rates[0]);
        limits.push(bare[1] / bare[0]);
    }
    report.add("spawn.volatile.threads2", "x", median(&mut gains), median(&mut limits), Goal::AtLeast(0.75));
}

/// Runs `spawns` warm spawns and nothing else; traced from outside by [`mapping_calls`].
pub(crate) async fn only(spawns: u32) {
    let host = host(Timed::new(Model::default()), 1).await;
    let run = host.begin("bench/call", serde_json::json!(spawns)).await;
    crate::ended(host.inner(), run).await;
    host.host.stop().await;
}

/// Mapping calls of a warm spawn: the difference of two runs of different length under `strace`.
pub(crate) fn mapping_calls(report: &mut Report) -> anyhow::Result<()> {
    const SHORT: u32 = 2_000;
    const LONG: u32 = 12_000;
    let count = |spawns: u32| -> anyhow::Result<f64> {
        let output = tempfile::NamedTempFile::new()?;
        let status = std::process::Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=mprotect,madvise,mmap,munmap", "-o"])
            .arg(output.path())
            .arg(std::env::current_exe()?)
            .args(["--spawns", &spawns.to_string()])
            // The rows of the in-memory model stay, so it grows; its memory is taken beforehand.
            .env("MIMALLOC_RESERVE_OS_MEMORY", "1GiB")
            .env("MIMALLOC_PURGE_DELAY", "-1")
            .status()
            .map_err(|error| {
                anyhow::anyhow!("strace cannot be run ({error}): install it to count system calls")
            })?;
        anyhow::ensure!(status.success(), "the traced run failed: {status}");
        // Calls of the host's other threads are counted all the same.
        Ok(std::fs::read_to_string(output.path())?.lines().count() as f64)
    };
    let each = ((count(LONG)? - count(SHORT)?) / f64::from(LONG - SHORT)).max(0.0);
    report.add(
        "spawn.mapping_syscalls",
        "calls",
        (each * 1_000.0).round() / 1_000.0,
        0.0,
        Goal::ValueAtMost(0.0),
    );
    Ok(())
}
