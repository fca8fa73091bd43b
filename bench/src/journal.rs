//! What the journal costs: an effect of one run, those of many, and a replay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sublane::bindings::agent::AgentPre;
use sublane::bindings::sublane::plugin::{tools, types};
use sublane::clock::{Clock as _, SystemClock};
use sublane::engine::limiter::Limiter;
use sublane::imports::{Ctx, Instance};
use sublane_core::journal::decode;
use sublane_core::{Answer, Entry, Run, Token};
use sublane_store::sqlite::Bare;
use sublane_store::{By, Model, ops};
use sublane_tests::{Setup, TestHost, temporary};
use wasmtime::component::Linker;

use crate::durable::{LATER, Script, by, commits, sqlite, template, warm, warm_session};
use crate::report::{Goal, Report, median};
use crate::timed::{Timed, periods};

/// The errand of `recall`: so many effects, and nothing else.
pub(crate) fn effects(count: u32) -> serde_json::Value {
    serde_json::json!({ "effects": count, "until_ms": null })
}

/// An attempt that writes an entry and owes nothing for it.
fn writer(script: &mut Script, session: &mut sublane_store::sqlite::BareSession<'_>) -> By {
    By { spent: Default::default(), ..by(script.claimed(session), Token(1), LATER) }
}

/// From one effect of a guest to its next, against one bare commit of its entry.
pub(crate) async fn effect(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    const EFFECTS: u32 = 300;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = temporary();
        let timed = Timed::new(sqlite(&directory, "ours.db"));
        let host = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench").start().await;
        let template = template(&host).await;
        warm(&host, &directory.path().join("ours.db")).await;
        timed.take_appends();
        let run = host.begin("bench/recall", effects(EFFECTS)).await;
        crate::ended(host.inner(), run).await;
        ours.push(median(&mut periods(&timed.take_appends(), 0, 1)) / 1e6);
        let entries = host.inner().store.journal(run, 0).await?;
        anyhow::ensure!(entries.len() == EFFECTS as usize, "{} entries", entries.len());
        host.host.stop().await;
        let bare = Bare::open(&directory.path().join("bare.db"))?;
        let mut session = warm_session(&bare);
        let by = writer(&mut Script::new(template, LATER), &mut session);
        let mut times = commits(&mut session, EFFECTS, |rows, seq| {
            ops::append(rows, &by, &entries[seq as usize - 1..seq as usize])
        });
        limits.push(median(&mut times));
    }
    report.add("journal.effect", "ms", median(&mut ours), median(&mut limits), Goal::AtMost(1.3));
    Ok(())
}

/// Entries of effects per second from 256 runs that execute at once, against the same entries in bare
/// commits of 256.
pub(crate) async fn effects256(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    const RUNS: u32 = 256;
    const EACH: u32 = 200;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let directory = temporary();
        let timed = Timed::new(sqlite(&directory, "ours.db"));
        let mut setup = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench").slots(RUNS);
        setup = setup.pools(2 * RUNS, 5);
        let host = setup.start().await;
        let template = template(&host).await;
        timed.take_appends();
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(host.begin("bench/recall", effects(EACH)).await);
        }
        for run in &runs {
            crate::ended(host.inner(), *run).await;
        }
        ours.push(middle_rate(&timed.take_appends()));
        let entries = host.inner().store.journal(runs[0], 0).await?;
        host.host.stop().await;
        limits.push(grouped(&directory, template, &entries, RUNS)?);
    }
    let (ours, limit) = (median(&mut ours), median(&mut limits));
    report.add("journal.effects256", "1/s", ours, limit, Goal::AtLeast(0.7));
    Ok(())
}

/// How many per second, of the middle four fifths: neither all begin nor all end at once.
fn middle_rate(instants: &[Instant]) -> f64 {
    let (from, until) = (instants.len() / 10, instants.len() * 9 / 10);
    (until - from) as f64 / instants[until].duration_since(instants[from]).as_secs_f64()
}

/// Entries per second, each of them written for so many runs in one commit.
fn grouped(
    directory: &tempfile::TempDir,
    template: Run,
    entries: &[Entry],
    runs: u32,
) -> anyhow::Result<f64> {
    let bare = Bare::open(&directory.path().join("bare.db"))?;
    let mut session = bare.session();
    let mut script = Script::new(template, LATER);
    let writers: Vec<By> = (0..runs).map(|_| writer(&mut script, &mut session)).collect();
    let begin = crate::now();
    for entry in entries {
        let entry = std::slice::from_ref(entry);
        session
            .transaction(|rows| writers.iter().try_for_each(|by| ops::append(rows, by, entry)))
            .map_err(anyhow::Error::from)?;
        session.checkpoint();
    }
    Ok(entries.len() as f64 * f64::from(runs) / begin.elapsed().as_secs_f64())
}

/// Entries per second that a run comes past whose instance is made anew, against decoding them and as
/// many calls of an import behind which is nothing.
pub(crate) async fn replay(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    const EFFECTS: u32 = 10_000;
    /// Time for the effects, and to let go of the instance.
    const BEFORE: Duration = Duration::from_secs(4);
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let timed = Timed::new(Model::default());
        let mut setup = Setup::on(Arc::new(timed.clone()), temporary()).plugin("bench");
        setup.settings.hot_window = Duration::ZERO;
        let host = setup.start().await;
        let until = SystemClock.now().after(BEFORE);
        let errand = serde_json::json!({ "effects": EFFECTS, "until_ms": until.0 });
        let run = host.begin("bench/recall", errand).await;
        crate::ended(host.inner(), run).await;
        let (claims, waits) = (timed.take_claims(), timed.take_waits());
        anyhow::ensure!(
            (claims.len(), waits.len()) == (2, 2),
            "{} claims and {} waits: it was not made anew",
            claims.len(),
            waits.len()
        );
        ours.push(f64::from(EFFECTS) / waits[1].duration_since(claims[1]).as_secs_f64());
        let entries = host.inner().store.journal(run, 0).await?;
        let seconds = bare_calls(&host, EFFECTS).await? + decoded(&entries[..EFFECTS as usize])?;
        limits.push(f64::from(EFFECTS) / seconds);
        host.host.stop().await;
    }
    let (ours, limit) = (median(&mut ours) / 1e3, median(&mut limits) / 1e3);
    report.add("replay.rate", "1/ms", ours, limit, Goal::AtLeast(0.5));
    Ok(())
}

/// Seconds to decode these entries.
fn decoded(entries: &[Entry]) -> anyhow::Result<f64> {
    let begin = crate::now();
    for entry in entries {
        let answer: Answer<Vec<serde_json::Value>> = decode(entry)?;
        anyhow::ensure!(std::hint::black_box(answer).is_ok(), "it was answered");
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// Seconds in which a fresh instance makes so many calls of an import behind which is nothing.
async fn bare_calls(host: &TestHost, count: u32) -> anyhow::Result<f64> {
    let inner = host.inner().clone();
    let plugin = inner.plugins().get("bench").expect("it is there").clone();
    let engine = inner.engines.of(plugin.class).engine.clone();
    let done = inner.threads.fast().spawn(async move {
        let pre = plugin.agent_pre.as_ref().expect("the bench plugin has agents");
        let caller = behind_which_is_nothing(&engine, pre)?;
        let begin = crate::now();
        let ctx = Ctx::new(Limiter::new(plugin.manifest.memory_bytes), Instance::Unprivileged);
        let mut store = wasmtime::Store::new(&engine, ctx);
        store.limiter(|ctx| &mut ctx.limiter);
        store.set_epoch_deadline(100_000);
        let agent = caller.instantiate_async(&mut store).await?;
        let task = types::Task { input: effects(count).to_string(), artifacts: Vec::new() };
        let returned = agent.sublane_plugin_agent_entry().call_run(&mut store, "recall", &task).await?;
        assert!(returned.is_ok(), "the caller failed: {returned:?}");
        Ok::<_, wasmtime::Error>(begin.elapsed().as_secs_f64())
    });
    done.await?.map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// The component, with an empty answer for `list-tools`.
fn behind_which_is_nothing(
    engine: &wasmtime::Engine,
    pre: &AgentPre<Ctx>,
) -> wasmtime::Result<AgentPre<Ctx>> {
    let component = pre.instance_pre().component();
    let mut linker = Linker::new(engine);
    sublane::imports::link(&mut linker, component)?;
    linker.allow_shadowing(true);
    linker.instance("sublane:plugin/tools@0.1.0")?.func_wrap_async("list-tools", |_, (): ()| {
        Box::new(async { Ok((Ok::<Vec<tools::Tool>, types::Error>(Vec::new()),)) })
    })?;
    AgentPre::new(linker.instantiate_pre(component)?)
}
