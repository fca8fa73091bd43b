//! What a spawn costs before the host does anything for it.
//!
//! The same caller, the same two calls and the same child as `spawn.volatile`,
//! but behind the calls stands no host: no grants, no lane, no rows, no other
//! task. A spawn runs its child on the spot, and a wait gives its result. What
//! is left is instances, the WIT's values on their way, and the caller's own code.

use std::sync::Arc;

use parking_lot::Mutex;
use sublane::bindings::agent::AgentPre;
use sublane::bindings::sublane::plugin::{subagent, types};
use sublane::engine::limiter::Limiter;
use sublane::host::Inner;
use sublane::imports::{Ctx, Instance};
use sublane::plugin::Plugin;
use wasmtime::component::{Linker, ResourceTable};

/// What stands behind the calls.
struct Stub {
    host: Arc<Inner>,
    plugin: Arc<Plugin>,
    child: AgentPre<Ctx>,
    /// When each spawn was called.
    begun: Mutex<Vec<std::time::Instant>>,
}

/// Nanoseconds from each spawn of a caller to its next, of so many.
pub(crate) async fn spawns(inner: &Arc<Inner>, count: u32) -> anyhow::Result<Vec<f64>> {
    let plugin = inner.plugins().get("bench").expect("it is there").clone();
    let child = plugin.agent_pre.clone().expect("the bench plugin has agents");
    let stub = Arc::new(Stub { host: inner.clone(), plugin, child, begun: Mutex::default() });
    let caller = caller(&stub).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let for_task = stub.clone();
    let done = inner.threads.fast().spawn(async move {
        let mut store = store(&for_task);
        let agent = caller.instantiate_async(&mut store).await?;
        let task = types::Task { input: count.to_string(), artifacts: Vec::new() };
        agent.sublane_plugin_agent_entry().call_run(&mut store, "call", &task).await
    });
    let returned = done.await?.map_err(|error| anyhow::anyhow!("{error:#}"))?;
    anyhow::ensure!(returned.is_ok(), "the caller failed: {returned:?}");
    let begun = stub.begun.lock();
    anyhow::ensure!(begun.len() == count as usize, "{} spawns of {count}", begun.len());
    Ok(begun.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_nanos() as f64).collect())
}

fn store(stub: &Stub) -> wasmtime::Store<Ctx> {
    let limiter = Limiter::new(stub.plugin.manifest.memory_bytes);
    let ctx = Ctx { limiter, table: ResourceTable::new(), instance: Instance::Unprivileged };
    let mut store = wasmtime::Store::new(&stub.host.engines.of(stub.plugin.class).engine, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_epoch_deadline(100_000);
    store
}

/// The caller's component, with the stub behind `spawn-subagent` and `wait`.
fn caller(stub: &Arc<Stub>) -> wasmtime::Result<AgentPre<Ctx>> {
    let mut linker = Linker::new(&stub.host.engines.of(stub.plugin.class).engine);
    sublane::imports::link(&mut linker)?;
    linker.allow_shadowing(true);
    let mut interface = linker.instance("sublane:plugin/subagent@0.1.0")?;
    let behind = stub.clone();
    let result: Arc<Mutex<Option<types::Output>>> = Arc::default();
    let kept = result.clone();
    interface.func_wrap_async("spawn-subagent", move |_, (request,): (subagent::SpawnRequest,)| {
        let (stub, kept) = (behind.clone(), kept.clone());
        Box::new(async move {
            stub.begun.lock().push(crate::now());
            *kept.lock() = Some(child(&stub, &request.task).await);
            Ok((Ok::<_, types::Error>(receipt()),))
        })
    })?;
    type WaitArgs = (Vec<String>, subagent::AnyOrAll, Option<u64>);
    interface.func_wrap_async("wait", move |_, (runs, _, _): WaitArgs| {
        let output = result.lock().take().expect("it was spawned before");
        let run = runs.into_iter().next().unwrap_or_default();
        let ended = vec![types::Ended { run, outcome: types::Outcome::Succeeded(output) }];
        Box::new(
            async move { Ok((Ok::<_, types::Error>(subagent::WaitResult { ended, timed_out: false }),)) },
        )
    })?;
    AgentPre::new(linker.instantiate_pre(stub.child.instance_pre().component())?)
}

/// The child, as `bare` runs it.
async fn child(stub: &Stub, task: &types::Task) -> types::Output {
    let mut store = store(stub);
    let agent = stub.child.instantiate_async(&mut store).await.expect("it instantiates");
    let output = agent.sublane_plugin_agent_entry().call_run(&mut store, "echo", task).await;
    output.expect("it returns").expect("echo succeeds")
}

/// What the host would say to the spawn.
fn receipt() -> subagent::Receipt {
    subagent::Receipt {
        run: "00000000000000000000000000".to_owned(),
        name: "echo-00000000".to_owned(),
        grants: subagent::Grants {
            spawn: None,
            channels: Vec::new(),
            tools: Vec::new(),
            kv: Vec::new(),
            http: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            models: Vec::new(),
            artifacts: false,
            artifact_bytes: 0,
            cpu: 1_000,
            host_calls: 1_000,
            requests: 0,
            bytes_out: 0,
            bytes_in: 0,
            tokens: 0,
            money_micros: 0,
            memory_bytes: 4 << 20,
            deadline: 1_800_000_000_000,
        },
        duplicate: false,
        position: 0,
    }
}
