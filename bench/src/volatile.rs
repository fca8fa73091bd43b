//! Volatile spawns: the whole path of the host on the in-memory model.

use std::time::Instant;

use sublane_tests::Setup;

use crate::bare;
use crate::report::{Goal, Report, median, quantile};

/// Spawns in one round.
const BATCH: u32 = 2_000;

/// Times between consecutive spawns, in nanoseconds: import, lane, child, result, and the caller's own loop.
pub fn measure(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let text = serde_json::Value::String("x".repeat(100)).to_string();
    let (mut ours, mut bare_p50, mut all) = (Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        let mut setup = Setup::in_memory();
        setup.settings.guest_threads = 1;
        let host = setup.plugin("bench").start().await;
        let inner = host.inner().clone();
        let plugin = inner.plugins().get("bench").expect("it is there").clone();
        for _ in 0..rounds {
            let (bare_inner, bare_plugin, bare_text) = (inner.clone(), plugin.clone(), text.clone());
            let task = inner.threads.fast().spawn(async move {
                let mut times = Vec::with_capacity(BATCH as usize);
                for _ in 0..BATCH {
                    times.push(bare::spawn(&bare_inner.engines, &bare_plugin, &bare_text).await);
                }
                times
            });
            let mut times = task.await.expect("no panic");
            bare_p50.push(median(&mut times));
            #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
            let begin = Instant::now();
            let run = host.begin("bench/call", serde_json::json!(BATCH)).await;
            crate::ended(&inner, run).await;
            let each = begin.elapsed().as_nanos() as f64 / f64::from(BATCH);
            ours.push(each);
            all.push(each);
        }
        host.host.stop().await;
    });
    let limit = median(&mut bare_p50) / 1_000.0;
    report.add("spawn.volatile.p50", "us", median(&mut ours) / 1_000.0, limit, Goal::AtMost(1.4));
    report.add("spawn.volatile.p99", "us", quantile(&mut all, 0.99) / 1_000.0, limit, Goal::AtMost(3.0));
    Ok(())
}
