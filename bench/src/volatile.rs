//! Volatile spawns: the whole path of the host on the in-memory model.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sublane_store::{Backend, Model, StoreError, Transaction};
use sublane_tests::{Setup, temporary};

use crate::bare;
use crate::report::{Goal, Report, median, quantile};

/// Spawns in one round.
const BATCH: u32 = 2_000;
/// Writes of one spawn with its wait: spawn, park, claim, finish.
const WRITES: usize = 4;

/// The model, noting the instant of each write.
#[derive(Clone, Default)]
pub struct Timed {
    model: Arc<Model>,
    writes: Arc<Mutex<Vec<Instant>>>,
}

impl Timed {
    /// Nanoseconds from each spawn to the next of the same caller.
    fn take(&self) -> Vec<f64> {
        let writes = std::mem::take(&mut *self.writes.lock());
        let spawns: Vec<_> = writes.into_iter().skip(WRITES).step_by(WRITES).collect();
        spawns.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_nanos() as f64).collect()
    }
}

impl Backend for Timed {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
        self.writes.lock().push(Instant::now());
        self.model.write(transaction).await
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.model.read(transaction).await
    }
}

/// From one spawn of a caller to its next: import, lane, child, result, and the caller's own loop.
pub fn measure(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let text = serde_json::Value::String("x".repeat(100)).to_string();
    let (mut p50, mut p99, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        for _ in 0..rounds {
            let timed = Timed::default();
            let mut setup = Setup::on(Arc::new(timed.clone()), temporary()).plugin("bench");
            setup.settings.guest_threads = 1;
            let host = setup.start().await;
            let inner = host.inner().clone();
            limits.push(bare_p50(&inner, &text).await);
            timed.take();
            let run = host.begin("bench/call", serde_json::json!(BATCH)).await;
            crate::ended(&inner, run).await;
            let mut times = timed.take();
            p50.push(median(&mut times));
            p99.push(quantile(&mut times, 0.99));
            host.host.stop().await;
        }
    });
    let limit = median(&mut limits) / 1_000.0;
    report.add("spawn.volatile.p50", "us", median(&mut p50) / 1_000.0, limit, Goal::AtMost(1.4));
    report.add("spawn.volatile.p99", "us", median(&mut p99) / 1_000.0, limit, Goal::AtMost(3.0));
    Ok(())
}

/// The middle time of a bare spawn on a guest thread.
async fn bare_p50(inner: &Arc<sublane::host::Inner>, text: &str) -> f64 {
    let plugin = inner.plugins().get("bench").expect("it is there").clone();
    let (inner, text) = (inner.clone(), text.to_owned());
    let handle = inner.threads.fast().clone();
    let task = handle.spawn(async move {
        let mut times = Vec::with_capacity(BATCH as usize);
        for _ in 0..BATCH {
            times.push(bare::spawn(&inner.engines, &plugin, &text).await);
        }
        median(&mut times)
    });
    task.await.expect("no panic")
}
