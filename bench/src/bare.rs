//! The limit of a spawn: a store, an instance and a call on the same engine.

use std::time::Instant;

use sublane::engine::Engines;
use sublane::engine::limiter::Limiter;
use sublane::imports::{Ctx, Instance};
use sublane::plugin::Plugin;
use wasmtime::component::ResourceTable;

/// Runs `echo` in a fresh instance, with nothing of the host around it. Gives nanoseconds.
pub async fn spawn(engines: &Engines, plugin: &Plugin, text: &str) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let begin = Instant::now();
    let engine = &engines.of(plugin.class).engine;
    let limiter = Limiter::new(plugin.manifest.memory_bytes);
    let ctx = Ctx { limiter, table: ResourceTable::new(), instance: Instance::Unprivileged };
    let mut store = wasmtime::Store::new(engine, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_epoch_deadline(1_000);
    let pre = plugin.agent_pre.as_ref().expect("the bench plugin has agents");
    let agent = pre.instantiate_async(&mut store).await.expect("it instantiates");
    let task =
        sublane::bindings::sublane::plugin::types::Task { input: text.to_owned(), artifacts: Vec::new() };
    let output =
        agent.sublane_plugin_agent_entry().call_run(&mut store, "echo", &task).await.expect("it returns");
    assert!(output.is_ok(), "echo succeeds");
    drop(store);
    begin.elapsed().as_nanos() as f64
}
