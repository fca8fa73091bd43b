//! Executes attempts: claim, instance, guest, conclusion.
//!
//! Owns what an attempt's end means: which trap is which failure, and which is
//! the host's own fault and therefore no outcome at all.

use std::sync::Arc;

use sublane_core::journal::Bounds;
use sublane_core::{Failure, Import, Outcome, Output, Path, Purse, Run, RunId};
use sublane_store::{By, Claimed, Effects, StoreError};
use tracing::Instrument as _;
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

use crate::attempt::{Attempt, Exit, Witness};
use crate::bindings::sublane::plugin::types;
use crate::engine::Class;
use crate::engine::guest::{Meter, Metered, Stop};
use crate::engine::limiter::{Limiter, MachineOutOfMemory, OutOfMemory};
use crate::engine::threads::Seat;
use crate::host::Inner;
use crate::imports::{Ctx, HOSTCALL_BYTES, Instance, Live, MAX_JSON_BYTES, output_from_guest, task_to_guest};
use crate::journal::{Frame, Journal, JournalError, became_nearly_full};
use crate::scrub::{scrub_line, scrub_text};
use crate::versions::Unavailable;

/// Bytes of a text for people in an output.
const MAX_TEXT_BYTES: usize = 16 << 10;
/// Artifacts in an output.
const MAX_ARTIFACTS: usize = 32;
/// Guest CPU that a replay spends beyond its journal at most: ten minutes.
const MAX_REPLAY_CPU_US: u64 = 600_000_000;
/// Characters of a failure's message; the rest is cut.
const MAX_MESSAGE_CHARS: usize = 4 << 10;

/// Characters of it where it is quoted.
const MAX_SAID_CHARS: usize = 200;

/// A run has a slot: begins an attempt on it. A host that stops begins none; the next one will.
pub fn start(host: &Arc<Inner>, run: RunId) {
    let Some(executing) = host.begin_attempt() else { return };
    let seat = host.threads.seat();
    let attempt = attempt(host.clone(), run, seat.clone());
    host.threads.run(
        async move {
            attempt.await;
            drop(executing);
        },
        seat,
    );
}

/// A store for one instance. There is no other way to make one.
pub fn store(engine: &Engine, ctx: Ctx) -> Store<Ctx> {
    let mut store = Store::new(engine, ctx);
    store.limiter(|ctx| &mut ctx.limiter);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match &store.data().instance {
        Instance::Live(live) => match live.attempt.meter.tick() {
            Some(stop) => Err(Exit::Stopped(stop).into()),
            None => Ok(UpdateDeadline::Yield(1)),
        },
        Instance::Unprivileged => Ok(UpdateDeadline::Interrupt),
    });
    store
}

/// One attempt, from claim to conclusion.
async fn attempt(host: Arc<Inner>, id: RunId, seat: Arc<Seat>) {
    let token = host.begin_claim();
    let claimed = match host.store.claim(id, token, host.clock.now()).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            host.end_claim(token);
            return host.lanes.release_unclaimed(&host, id);
        }
        Err(error) => {
            host.note_fault(&error);
            if matches!(error, StoreError::Full(_)) {
                tracing::debug!(run = %id, %error, "a run waits for room on the disk");
            } else {
                tracing::error!(run = %id, %error, "a run could not be claimed; the sweep tries again");
            }
            host.end_claim(token);
            return host.lanes.release_unclaimed(&host, id);
        }
    };
    let Claimed { run, entries } = claimed;
    let is_new = entries.iter().all(|entry| entry.path.is_left());
    host.late.watch(&run);
    let plugin = host.version(&run.spec.plugin, &run.spec.plugin_digest).await;
    let class = plugin.as_ref().map_or(Class::Small, |plugin| plugin.class);
    let meter = Meter::new(&run.purse, seat);
    let became_nearly_full = became_nearly_full(&entries, host.settings.journal);
    let journal = Journal::new(entries, run.begun, host.settings.journal);
    let attempt = Attempt::new(host.clone(), &run, token, class, journal, meter, None);
    if became_nearly_full {
        attempt.tell_nearly_full();
    }
    host.attempts.lock().insert(id, attempt.clone());
    if let Some(stop) = host.end_claim(token) {
        attempt.meter.stop(stop);
    }
    // A stop that began since then may not have seen it.
    if host.is_stopping() {
        attempt.meter.stop(Stop::Shutdown);
    }
    // At the level of errors, so that whatever is logged says which run it is about.
    let span =
        tracing::error_span!("run", run = %id, run_name = %run.spec.name, agent = %run.spec.agent_name());
    tracing::debug!(parent: &span, attempt = run.attempt, "attempt begins");
    let unavailable = |why| Ok(Ended::Outcome(Outcome::failed(Failure::PluginUnavailable, why)));
    let ended = match plugin {
        Ok(_) if is_new && host.pauses.hold(&run.spec.plugin, id, host.clock.now()) => {
            Ok(Ended::Left(Exit::Paused))
        }
        Ok(plugin) if plugin.agent(Some(&run.spec.agent)).is_some() => {
            execute(&attempt, &plugin).instrument(span.clone()).await
        }
        Ok(_) => unavailable(format!("there is no agent {}", run.spec.agent_name())),
        Err(Unavailable::Gone(why)) => unavailable(why),
        Err(Unavailable::Fault(why)) => Err(why),
    };
    host.lanes.leave(&attempt);
    conclude(&attempt, &run, ended).instrument(span).await;
    let mut attempts = host.attempts.lock();
    if attempts.get(&id).is_some_and(|newest| newest.token == token) {
        attempts.remove(&id);
    }
    drop(attempts);
    attempt.is_gone();
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameTo {
    /// The guest came to this end.
    Ended(Outcome),
    /// It went on to a call that the journal does not hold.
    JournalEnd(Path, Import),
    /// It went on as new.
    Continued,
    /// The witness had seen enough.
    Stopped,
    /// The host could not go on, for example without a file.
    Fault(String),
}

/// Executes a run from its journal alone: nothing is asked of anybody and nothing is written.
pub async fn replay(
    host: &Arc<Inner>,
    run: &Run,
    plugin: &Arc<crate::plugin::Plugin>,
    entries: Vec<sublane_core::Entry>,
    witness: Arc<dyn Witness>,
) -> CameTo {
    // The file says what the run had; nobody has to wait for longer than this.
    let purse = Purse { cpu_us: run.purse.cpu_us.min(MAX_REPLAY_CPU_US), ..run.purse };
    let meter = Meter::new(&purse, Arc::default());
    let journal = Journal::new(entries, run.begun, Bounds { entries: u32::MAX, bytes: u64::MAX });
    let attempt = Attempt::new(host.clone(), run, host.token(), plugin.class, journal, meter, Some(witness));
    match execute(&attempt, plugin).await {
        Ok(Ended::Outcome(outcome)) => CameTo::Ended(outcome),
        Ok(Ended::Left(Exit::JournalEnd(path, import))) => CameTo::JournalEnd(path, import),
        Ok(Ended::Left(Exit::Continued)) => CameTo::Continued,
        Ok(Ended::Left(Exit::Stopped(Stop::Shutdown))) => CameTo::Stopped,
        Ok(Ended::Left(exit)) => CameTo::Fault(exit.to_string()),
        Err(why) => CameTo::Fault(why),
    }
}

/// How an attempt's guest came to its end.
enum Ended {
    /// It decided the run.
    Outcome(Outcome),
    /// It left the run to a later attempt, or to whoever ended it.
    Left(Exit),
}

/// Runs the agent in a fresh instance; the instance is gone when this returns.
async fn execute(attempt: &Arc<Attempt>, plugin: &Arc<crate::plugin::Plugin>) -> Result<Ended, String> {
    let host = &attempt.host;
    let class = host.engines.of(attempt.class);
    let Some(pre) = &plugin.agent_pre else { return Err("an agent without an entry".to_owned()) };
    let admitted = std::pin::pin!(class.pool.admit(0, plugin.id(), |lack| host.lanes.make_room(
        attempt.class,
        lack,
        plugin.id()
    )));
    let place = match attempt.meter.or_stop(admitted).await {
        Ok(place) => place,
        Err(stop) => return Ok(left(attempt, Exit::Stopped(stop))),
    };
    let spec = &attempt.spec;
    let given = Arc::new(spec.grants.clone());
    let live = Live {
        attempt: attempt.clone(),
        frame: Frame::new(Path::root(), attempt.seed),
        plugin: plugin.clone(),
        grants: given.clone(),
        given,
        allowed_at: 0,
        is_tool: false,
        unnoted: None,
        lines: Default::default(),
    };
    let mut store = store(
        &class.engine,
        Ctx::new(Limiter::new(spec.grants.caps().memory_bytes), Instance::Live(Box::new(live))),
    );
    let returned = {
        let task = task_to_guest(spec);
        let called = std::pin::pin!(async {
            let agent = pre.instantiate_async(&mut store).await?;
            agent.sublane_plugin_agent_entry().call_run(&mut store, &spec.agent, &task).await
        });
        let metered = Metered::new(called, &attempt.meter, &host.engines.ticker);
        attempt.meter.or_stop(metered).await
    };
    // One that goes on in another attempt writes the whole line there.
    let goes_on = |error: &wasmtime::Error| {
        error.downcast_ref::<Exit>().is_some_and(|exit| !matches!(exit, Exit::Continued))
    };
    if returned.as_ref().is_ok_and(|ended| !ended.as_ref().err().is_some_and(goes_on)) {
        store.data_mut().end_lines();
    }
    drop(store);
    drop(place);
    Ok(match returned {
        Err(stop) => left(attempt, Exit::Stopped(stop)),
        Ok(Ok(returned)) => {
            let how = || match &returned {
                Ok(_) => "the guest returned".to_owned(),
                Err(failure) => {
                    let said = attempt.host.secrets.redactor().text(&failure.message);
                    let said: String = said.chars().take(MAX_SAID_CHARS).collect();
                    format!("the guest failed ({})", scrub_line(&said))
                }
            };
            Ended::Outcome(match attempt.journal.check_end(&Path::root(), how) {
                Err(error) => diverged(&error.to_string()),
                Ok(()) => decided(attempt, returned).await?,
            })
        }
        Ok(Err(error)) => trapped(attempt, &error)?,
    })
}

fn diverged(what: &str) -> Outcome {
    Outcome::failed(Failure::Nondeterministic, what)
}

/// What a guest gave back, without the values of secrets.
fn without_secrets(output: Output, attempt: &Attempt) -> Output {
    let redactor = attempt.host.secrets.redactor();
    if !redactor.finds(&output.value) && !output.text.as_ref().is_some_and(|text| redactor.finds(text)) {
        return output;
    }
    let value = redactor.text(&output.value);
    // A secret of digits can have been a number, and what stands in its place is none.
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&value).is_ok();
    let value = if is_json { value.into() } else { serde_json::json!(value).to_string().into() };
    Output { value, text: output.text.map(|text| redactor.text(&text).into()), ..output }
}

/// What the guest returned, checked.
async fn decided(
    attempt: &Arc<Attempt>,
    returned: Result<types::Output, types::Failure>,
) -> Result<Outcome, String> {
    let output = match returned {
        Ok(output) => without_secrets(output_from_guest(output), attempt),
        Err(failure) => {
            let said = attempt.host.secrets.redactor().text(&failure.message);
            let message: String = said.chars().take(MAX_MESSAGE_CHARS).collect();
            let failed = Outcome::failed(Failure::Failed, scrub_text(&message));
            return Ok(if failure.retryable { failed } else { failed.permanent() });
        }
    };
    let invalid = |why: String| Ok(Outcome::failed(Failure::InvalidOutput, why));
    if output.value.len() > MAX_JSON_BYTES {
        return invalid(format!(
            "its result has {} bytes, at most {MAX_JSON_BYTES} may be given back",
            output.value.len()
        ));
    }
    // As a delivery's body reads it: nesting, numbers and surrogates have to fit as well.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&output.value) {
        return invalid(format!("its result is not JSON: {error}"));
    }
    if output.text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
        return invalid(format!("its text has more than {MAX_TEXT_BYTES} bytes"));
    }
    if output.artifacts.len() > MAX_ARTIFACTS {
        return invalid(format!("it gives back more than {MAX_ARTIFACTS} artifacts"));
    }
    let mut artifacts = Vec::with_capacity(output.artifacts.len());
    for file in output.artifacts {
        let known = attempt.host.store.readable_artifact(attempt.spec.id, file.id.as_str().into());
        match known.await.map_err(|error| error.to_string())? {
            Ok(known) => artifacts.push(known),
            Err(error) => return invalid(format!("it gives back a file that it may not read: {error}")),
        }
    }
    Ok(Outcome::Succeeded(Output { artifacts, ..output }))
}

/// What a trap means for the run. `Err` is the host's own fault.
fn trapped(attempt: &Arc<Attempt>, error: &wasmtime::Error) -> Result<Ended, String> {
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return Ok(left(attempt, exit.clone()));
    }
    if let Some(witness) = &attempt.witness {
        witness.trapped(&format!("{error:?}"));
    }
    let (reason, why) = failure(attempt, error).ok_or_else(|| format!("{error:#}"))?;
    Ok(Ended::Outcome(
        match attempt.journal.check_end(&Path::root(), || format!("the guest ended ({why})")) {
            Err(error) => diverged(&error.to_string()),
            Ok(()) => Outcome::failed(reason, why),
        },
    ))
}

/// Which failure of the guest's an error is; `None` when it is the host's.
pub fn failure(attempt: &Attempt, error: &wasmtime::Error) -> Option<(Failure, String)> {
    if let Some(over) = error.downcast_ref::<OutOfMemory>() {
        return Some((Failure::OutOfMemory, over.to_string()));
    }
    if error.is::<MachineOutOfMemory>() {
        return None;
    }
    let said = attempt.take_last_error();
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Some((Failure::StackOverflow, "its stack overflowed".to_owned())),
        Some(trap) if said.is_empty() => Some((Failure::Trapped, trap.to_string())),
        Some(_) => Some((Failure::Trapped, said)),
        None => Some((Failure::Trapped, error.root_cause().to_string())),
    }
}

/// An exit that is an outcome after all, or one that leaves the run to others.
fn left(attempt: &Attempt, exit: Exit) -> Ended {
    match exit {
        Exit::Stopped(Stop::OutOfCpu) => {
            let used = attempt.meter.used().as_secs_f64();
            Ended::Outcome(Outcome::failed(Failure::OutOfCpu, format!("{used:.1} s in this attempt")))
        }
        Exit::Stopped(Stop::OutOfCalls) => {
            let had = attempt.spec.purse.host_calls;
            Ended::Outcome(Outcome::failed(Failure::OutOfCalls, format!("it was given {had} host calls")))
        }
        Exit::Journal(JournalError::Full(_)) => {
            Ended::Outcome(Outcome::failed(Failure::JournalFull, exit.to_string()))
        }
        Exit::Journal(error) => Ended::Outcome(diverged(&error.to_string())),
        Exit::Unavailable(why) => Ended::Outcome(Outcome::failed(Failure::PluginUnavailable, why)),
        exit => Ended::Left(exit),
    }
}

/// Writes what the attempt came to.
async fn conclude(attempt: &Arc<Attempt>, run: &Run, ended: Result<Ended, String>) {
    let host = &attempt.host;
    let id = run.spec.id;
    let by = attempt.by(true);
    let spent = by.spent;
    if matches!(ended, Ok(Ended::Left(Exit::Evicted))) {
        return;
    }
    if matches!(ended, Ok(Ended::Left(Exit::Continued))) {
        tracing::info!(generation = attempt.generation, "a run goes on as new");
        return host.dispatch(attempt.take_continued());
    }
    match &ended {
        Ok(Ended::Outcome(outcome)) => {
            // Before the ending can be seen: whoever begins the next run meets the pause.
            host.count_breakdown(run, outcome).await;
        }
        Ok(Ended::Left(Exit::NoRoom(why))) => {
            tracing::debug!(why, "an attempt found no room on the disk; the run goes on when there is some");
            host.disk.found_full();
            // Whatever ends the rest, the write says what becomes of it.
            let _ = rest(attempt).await;
        }
        Ok(Ended::Left(Exit::Stale | Exit::Stopped(_) | Exit::Paused)) => {}
        Ok(Ended::Left(exit)) => tell_fault(id, &exit.to_string()),
        Err(fault) => tell_fault(id, fault),
    }
    let write = async || {
        // It has ended when that is written, and not when that was tried first.
        let (by, max_crashes) = (By { now: attempt.now(), ..by.clone() }, host.settings.max_crashes);
        match &ended {
            Ok(Ended::Outcome(outcome)) => host.store.finish(by, outcome.clone()).await,
            Ok(Ended::Left(Exit::Stale | Exit::Stopped(Stop::Killed))) => Err(StoreError::Stale(id)),
            Ok(Ended::Left(Exit::Stopped(_) | Exit::Paused | Exit::NoRoom(_))) => {
                host.store.interrupt(by, false, max_crashes).await
            }
            // The host failed the attempt: the run goes on in another one, and it counts.
            Ok(Ended::Left(_)) | Err(_) => host.store.interrupt(by, true, max_crashes).await,
        }
    };
    let written = async {
        loop {
            match write().await {
                // What it came to is not lost over a medium that fails for a while.
                Err(error) if error.is_of_medium() && !host.is_stopping() => {
                    tracing::debug!(%error, "an attempt's end waits for the store");
                    host.note_fault(&error);
                    match rest(attempt).await {
                        Ok(true) => {}
                        Ok(false) => return write().await,
                        Err(stale) => return Err(stale),
                    }
                }
                written => return written,
            }
        }
    };
    // Its last words stand before its end, in the same commit where that can be.
    let logged = crate::runlog::write(&*host.store, host.logs.take(id));
    let ((), written) = tokio::join!(logged, written);
    let written = match written {
        Ok(effects) => {
            if let Ok(Ended::Outcome(outcome)) = &ended {
                tell_ending(attempt, outcome, &effects);
            }
            host.dispatch(effects);
            Ok(())
        }
        Err(StoreError::Stale(_)) => {
            tracing::debug!("a stale attempt ended");
            host.store.charge(id, spent).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(run = %id, %error, "an attempt's end could not be written");
    }
}

/// Waits until a store whose medium failed may be asked again; false: the host stops. One whose claim
/// goes meanwhile waits no longer: somebody may wait for its end.
async fn rest(attempt: &Attempt) -> Result<bool, StoreError> {
    let again = std::pin::pin!(attempt.host.may_ask_again());
    attempt.meter.or_killed(again).await.map_err(|_| StoreError::Stale(attempt.spec.id))
}

/// Says what an outcome came to: the run's ending, or another generation of it.
fn tell_ending(attempt: &Attempt, outcome: &Outcome, effects: &Effects) {
    let Some(again) = effects.again.iter().find(|again| again.run == attempt.spec.id) else {
        tracing::info!(outcome = outcome.kind(), "run ended");
        return;
    };
    let (generation, now) = (attempt.generation, attempt.host.clock.now());
    let (next, left_s) = (again.generation, again.until.since(now).as_secs());
    let why = outcome.sentence(&attempt.spec.name);
    tracing::warn!(generation, why, next, left_s, "a run failed and begins again by its policy");
    let what = format!("{} Generation {next} begins in {left_s} s.", scrub_line(&why));
    attempt.host.logs.tell(attempt.spec.id, generation, attempt.number, now, &what);
}

fn tell_fault(run: RunId, fault: &str) {
    tracing::error!(%run, fault, "an attempt failed by the host's fault; the run goes on in another");
}
