//! What a spawn costs before the host does anything for it.
//!
//! The same caller, the same two calls and the same child as `spawn.volatile`,
//! but behind the calls stands no host: no grants, no lane, no rows, no other
//! task. A spawn runs its child on the spot, and a wait gives its result. What
//! is left is instances, the WIT's values on their way, and the caller's own code.
//! `spawn.floor.rows` adds the rows that a spawn is made of, written to the same
//! store, one operation after the other: what a host that decides nothing, queues
//! nothing and moves to no other task would still have to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use sublane::bindings::agent::AgentPre;
use sublane::bindings::sublane::plugin::{subagent, types};
use sublane::engine::limiter::Limiter;
use sublane::host::Inner;
use sublane::imports::{Ctx, Instance};
use sublane::plugin::Plugin;
use sublane_core::{Import, Outcome, Output, Path, Run, RunId, Timestamp, Token};
use sublane_store::{Model, Parked, Store as _, Wait, WaitFor};
use wasmtime::component::Linker;

use crate::durable::{Script, by};

/// What stands behind the calls.
struct Stub {
    host: Arc<Inner>,
    plugin: Arc<Plugin>,
    child: AgentPre<Ctx>,
    /// When each spawn was called.
    begun: Mutex<Vec<std::time::Instant>>,
    rows: Option<Rows>,
}

/// The rows of one caller and its children.
struct Rows {
    store: Model,
    script: Mutex<Script>,
    caller: RunId,
    /// The caller's calls so far.
    calls: AtomicU32,
}

/// When all of it happens.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

impl Rows {
    async fn begin(template: Run) -> anyhow::Result<Self> {
        let store = Model::default();
        let mut script = Script::new(template, NOW);
        let accept = script.accept();
        let caller = accept.spec.id;
        store.accept(accept).await?;
        anyhow::ensure!(store.claim(caller, Token(1), NOW).await?.is_some(), "the caller is claimed");
        Ok(Self { store, script: Mutex::new(script), caller, calls: AtomicU32::new(0) })
    }

    fn next_call(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The rows of a spawn and of the claim that follows it.
    async fn spawn(&self) -> RunId {
        let spawn = self.script.lock().spawn(self.caller, self.next_call());
        let spawned = self.store.spawn(spawn).await.expect("it is written");
        let child = spawned.child.expect("nothing refuses it").spec.id;
        let claimed = self.store.claim(child, Token(1), NOW).await.expect("it is written");
        assert!(claimed.is_some(), "the child is claimed");
        child
    }

    /// The rows of its ending.
    async fn finish(&self, child: RunId, output: &types::Output) {
        let output = Output { value: output.value.as_str().into(), text: None, artifacts: Vec::new() };
        let by = by(child, Token(1), NOW);
        self.store.finish(by, Outcome::Succeeded(output)).await.expect("it is written");
    }

    /// The rows of a wait, and the reading of what it gives.
    async fn wait(&self, child: RunId) {
        let wait = Wait {
            run: self.caller,
            path: Path::root().then(self.next_call()),
            import: Import::Wait,
            args: 1,
            what: WaitFor::Runs { runs: vec![child], all: true },
            due: None,
        };
        let parked = self.store.park(by(self.caller, Token(1), NOW), wait).await;
        assert!(matches!(parked, Ok(Parked::Decided(_))), "{parked:?}");
        let ended = self.store.run(child).await.expect("it is read");
        assert!(ended.is_some_and(|run| run.is_ended()), "the child has ended");
    }
}

/// Nanoseconds from each spawn of a caller to its next, of so many; with the rows of runs like this one.
pub(crate) async fn spawns(
    inner: &Arc<Inner>,
    count: u32,
    template: Option<Run>,
) -> anyhow::Result<Vec<f64>> {
    let plugin = inner.plugins().get("bench").expect("it is there").clone();
    let child = plugin.agent_pre.clone().expect("the bench plugin has agents");
    let rows = match template {
        Some(template) => Some(Rows::begin(template).await?),
        None => None,
    };
    let stub = Arc::new(Stub { host: inner.clone(), plugin, child, begun: Mutex::default(), rows });
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
    let ctx = Ctx::new(limiter, Instance::Unprivileged);
    let mut store = wasmtime::Store::new(&stub.host.engines.of(stub.plugin.class).engine, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_epoch_deadline(100_000);
    store
}

/// A child's run, where rows are written, and what it gave back.
type Spawned = (Option<RunId>, types::Output);

/// The caller's component, with the stub behind `spawn-subagent` and `wait`.
fn caller(stub: &Arc<Stub>) -> wasmtime::Result<AgentPre<Ctx>> {
    let mut linker = Linker::new(&stub.host.engines.of(stub.plugin.class).engine);
    sublane::imports::link(&mut linker, stub.child.instance_pre().component())?;
    linker.allow_shadowing(true);
    let mut interface = linker.instance("sublane:plugin/subagent@0.1.0")?;
    let behind = stub.clone();
    let result: Arc<Mutex<Option<Spawned>>> = Arc::default();
    let kept = result.clone();
    let waited = stub.clone();
    interface.func_wrap_async("spawn-subagent", move |_, (request,): (subagent::SpawnRequest,)| {
        let (stub, kept) = (behind.clone(), kept.clone());
        Box::new(async move {
            stub.begun.lock().push(crate::now());
            let run = match &stub.rows {
                Some(rows) => Some(rows.spawn().await),
                None => None,
            };
            let output = child(&stub, &request.task).await;
            if let (Some(rows), Some(run)) = (&stub.rows, run) {
                rows.finish(run, &output).await;
            }
            *kept.lock() = Some((run, output));
            Ok((Ok::<_, types::Error>(receipt()),))
        })
    })?;
    type WaitArgs = (Vec<String>, subagent::AnyOrAll, Option<u64>);
    interface.func_wrap_async("wait", move |_, (runs, _, _): WaitArgs| {
        let (child, output) = result.lock().take().expect("it was spawned before");
        let run = runs.into_iter().next().unwrap_or_default();
        let ended = vec![types::Ended { run, outcome: types::Outcome::Succeeded(output) }];
        let stub = waited.clone();
        Box::new(async move {
            if let (Some(rows), Some(child)) = (&stub.rows, child) {
                rows.wait(child).await;
            }
            Ok((Ok::<_, types::Error>(subagent::WaitResult { ended, timed_out: false }),))
        })
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
