//! The limit of a spawn: a store, an instance and a call on the same engine.

use std::sync::Arc;

use sublane::bindings::agent::AgentPre;
use sublane::engine::limiter::Limiter;
use sublane::host::Inner;
use sublane::imports::{Ctx, Instance};
use tokio::task::JoinHandle;
use wasmtime::Engine;

/// The task of `echo`: 100 characters as JSON text.
pub(crate) fn input() -> String {
    serde_json::Value::String("x".repeat(100)).to_string()
}

/// Runs `echo` in a fresh instance, with nothing of the host around it. Gives nanoseconds.
pub(crate) async fn spawn(engine: &Engine, memory_bytes: u64, pre: &AgentPre<Ctx>, input: &str) -> f64 {
    let begin = crate::now();
    let limiter = Limiter::new(memory_bytes);
    let ctx = Ctx::new(limiter, Instance::Unprivileged);
    let mut store = wasmtime::Store::new(engine, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_epoch_deadline(1_000);
    let agent = pre.instantiate_async(&mut store).await.expect("it instantiates");
    let task =
        sublane::bindings::sublane::plugin::types::Task { input: input.to_owned(), artifacts: Vec::new() };
    let output = agent.sublane_plugin_agent_entry().call_run(&mut store, "echo", &task).await;
    assert!(output.expect("it returns").is_ok(), "echo succeeds");
    drop(store);
    begin.elapsed().as_nanos() as f64
}

/// So many bare spawns on a guest thread of the host. Gives nanoseconds for each.
pub(crate) fn spawn_task(inner: &Arc<Inner>, count: u32) -> JoinHandle<Vec<f64>> {
    let plugin = inner.plugins().get("bench").expect("it is there").clone();
    let (for_task, input) = (inner.clone(), input());
    inner.threads.fast().spawn(async move {
        let pre = plugin.agent_pre.as_ref().expect("the bench plugin has agents");
        let engine = &for_task.engines.of(plugin.class).engine;
        let mut times = Vec::with_capacity(count as usize);
        for _ in 0..count {
            times.push(spawn(engine, plugin.manifest.memory_bytes, pre, &input).await);
        }
        times
    })
}

/// As [`spawn_task`], waited for.
pub(crate) async fn on_guest_thread(inner: &Arc<Inner>, count: u32) -> Vec<f64> {
    spawn_task(inner, count).await.expect("no panic")
}
