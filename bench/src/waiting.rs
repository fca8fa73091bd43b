//! What runs cost that wait: memory, a processor's time, a start, and how soon one goes on.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::{Import, Path as Place, Run, RunId, RunState, Timestamp};
use sublane_store::sqlite::{Bare, BareSession};
use sublane_store::{Rows, RunFilter, StoreError, Wait, WaitFor, ops};
use sublane_tests::{Setup, TestHost, temporary};
use tempfile::TempDir;

use crate::bare;
use crate::durable::{Script, commits, sqlite, template_in, warm, warm_session};
use crate::report::{Goal, Report, median, quantile};
use crate::serving::{self, Serving};
use crate::timed::Timed;

/// Beside so many a run is woken, and a host does nothing.
const MANY: u32 = 100_000;
/// So many are held, and found by a start.
const MOST: u32 = 1_000_000;
/// The store of a state directory.
const FILE: &str = "sublane.db";
/// When these runs were accepted: in 2026.
const ACCEPTED: Timestamp = Timestamp(1_780_000_000_000);
/// When the first of their waits is over, and until when they may live: in the 22nd century.
const DUE: Timestamp = Timestamp(4_200_000_000_000);
const DEADLINE: Timestamp = Timestamp(4_250_000_000_000);

fn id(number: u32) -> RunId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    RunId::new(ACCEPTED, random)
}

/// A run like this one that waits, without an instance.
pub(crate) fn waiting(template: &Run, number: u32) -> Run {
    let mut spec = (*template.spec).clone();
    spec.id = id(number);
    spec.created = ACCEPTED;
    let state = RunState::Waiting { token: None };
    Run { state, attempt: 1, begun: ACCEPTED, since: ACCEPTED, ..Run::queued(spec) }
}

/// A run as a template that may live for a century.
pub(crate) fn for_long(template: &Run) -> anyhow::Result<Run> {
    let mut spec = (*template.spec).clone();
    let mut grants = serde_json::to_value(&spec.grants)?;
    grants["caps"]["deadline"] = serde_json::to_value(DEADLINE)?;
    spec.grants = serde_json::from_value(grants)?;
    Ok(Run { spec: Arc::new(spec), ..template.clone() })
}

/// Runs that sleep, as rows and without their attempts: a million of those would take minutes.
pub(crate) fn fill(session: &mut BareSession<'_>, template: &Run, numbers: Range<u32>) -> anyhow::Result<()> {
    const TOGETHER: u32 = 2_000;
    let template = for_long(template)?;
    for from in numbers.clone().step_by(TOGETHER as usize) {
        let until = from.saturating_add(TOGETHER).min(numbers.end);
        let written: Result<(), StoreError> =
            session.transaction(|rows| (from..until).try_for_each(|number| insert(rows, &template, number)));
        written.map_err(anyhow::Error::from)?;
        session.checkpoint();
    }
    Ok(())
}

fn insert(rows: &mut dyn Rows, template: &Run, number: u32) -> Result<(), StoreError> {
    let run = waiting(template, number);
    rows.insert_run(&run)?;
    rows.insert_wait(&Wait {
        run: run.spec.id,
        path: Place::root().then(1),
        import: Import::Until,
        args: 1,
        what: WaitFor::Sleep,
        due: Some(Timestamp(DUE.0 + u64::from(number))),
    })
}

/// All figures of this module that are wanted, on one state directory that fills up.
pub(crate) async fn measure(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let directory = temporary();
    let template = template_in(&directory).await;
    let mut script = Script::new(template.clone(), SystemClock.now());
    let add = |numbers: Range<u32>| {
        let bare = Bare::open(&directory.path().join(FILE))?;
        let mut session = bare.session();
        fill(&mut session, &template, numbers)
    };
    add(0..MANY)?;
    if report.wants("waiting.idle_cpu") {
        idle(report, rounds, directory.path()).await?;
    }
    if report.wants("wake.p99") {
        wake(report, rounds, &directory).await?;
    }
    if report.wants("waiting.bytes") || report.wants("restart.first_claim") {
        add(MANY..MOST)?;
    }
    if report.wants("waiting.bytes") {
        memory(report, rounds, directory.path())?;
    }
    if report.wants("restart.first_claim") {
        restart(report, rounds, &directory, &mut script).await?;
    }
    Ok(())
}

/// What a host takes of one core that serves [`MANY`] runs of which none is due, in percent.
async fn idle(report: &mut Report, rounds: usize, state: &Path) -> anyhow::Result<()> {
    /// What follows a start is over, and what old files there are is looked at only after a minute.
    const SETTLE: Duration = Duration::from_secs(5);
    const WATCHED: Duration = Duration::from_secs(20);
    let config = state.join("sublane.toml");
    std::fs::write(&config, format!("state = {state:?}\n[channels.console]\nkind = \"console\"\n"))?;
    let mut shares = Vec::new();
    for _ in 0..rounds.min(3) {
        let host = Serving::start(&config)?;
        crate::rest(SETTLE).await;
        let (begin, before) = (crate::now(), host.cpu()?);
        crate::rest(WATCHED).await;
        shares.push((host.cpu()? - before).as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0);
    }
    report.add("waiting.idle_cpu", "%", median(&mut shares), 0.0, Goal::ValueAtMost(0.1));
    Ok(())
}

/// From one wake to the next.
const APART: Duration = Duration::from_millis(20);

/// From the instant until which a run sleeps to the guest's next call, p99: the run is a row, so it is
/// woken, claimed, made anew and replayed. Against the p99 of the one commit that decides its wait, and a
/// bare spawn.
async fn wake(report: &mut Report, rounds: usize, directory: &Arc<TempDir>) -> anyhow::Result<()> {
    /// Runs that are woken in one round, one after the other.
    const RUNS: u32 = 200;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        let timed = Timed::new(sqlite(directory, FILE));
        let mut setup = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench");
        // Parked attempts let go of their instances at the next look.
        setup.settings.hot_window = Duration::ZERO;
        let host = setup.start().await;
        warm(&host, &directory.path().join(FILE)).await;
        ours.push(quantile(&mut woken(&host, &timed, RUNS).await?, 0.99));
        let spawn = median(&mut bare::on_guest_thread(host.inner(), 500).await) / 1e6;
        host.host.stop().await;
        // The same decision beside as many others, of a copy: what it wakes there never executes.
        let alone = temporary();
        let copy = alone.path().join("bare.db");
        std::fs::copy(directory.path().join(FILE), &copy)?;
        let bare = Bare::open(&copy)?;
        let mut session = warm_session(&bare);
        let mut times = Vec::new();
        for number in 0..RUNS {
            // From an idle machine, as the host's.
            crate::rest(APART).await;
            times.extend(commits(&mut session, 1, |rows, _| {
                let now = Timestamp(DUE.0 + u64::from(number));
                let woken: usize = ops::fire_due(rows, 1, 1, "file:///", now)?.ready.len();
                assert_eq!(woken, 1, "one is due at each instant");
                Ok(())
            }));
        }
        limits.push(quantile(&mut times, 0.99) + spawn);
    }
    report.add("wake.p99", "ms", median(&mut ours), median(&mut limits), Goal::AtMost(3.0));
    Ok(())
}

/// Milliseconds from each of so many instants to the next call of the run that slept until then.
async fn woken<B: sublane_store::Backend>(
    host: &TestHost,
    timed: &Timed<B>,
    runs: u32,
) -> anyhow::Result<Vec<f64>> {
    /// Time to begin all of them and to let go of their instances.
    const BEGIN: Duration = Duration::from_secs(5);
    let (now, clock) = both_clocks();
    let first = clock + BEGIN;
    let until = |number: u32| (first + APART * number).duration_since(SystemTime::UNIX_EPOCH);
    let mut begun = Vec::new();
    let mut due = Vec::new();
    for number in 0..runs {
        let until_ms = u64::try_from(until(number)?.as_millis())?;
        let errand = serde_json::json!({ "effects": 0, "until_ms": until_ms });
        begun.push(host.begin("bench/recall", errand).await);
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(until_ms);
        due.push(now + since.duration_since(clock)?);
    }
    let patience = now + BEGIN - Duration::from_millis(100);
    while !host.inner().attempts.lock().is_empty() {
        anyhow::ensure!(crate::now() < patience, "the runs still have instances when the first is due");
        crate::rest(Duration::from_millis(1)).await;
    }
    timed.take_waits();
    for run in begun {
        crate::ended(host.inner(), run).await;
    }
    // The second wait of each is its next call.
    let mut next = timed.take_waits();
    next.sort();
    anyhow::ensure!(next.len() == due.len(), "{} of {} runs went on", next.len(), due.len());
    let late = |(next, due): (&Instant, &Instant)| next.saturating_duration_since(*due).as_secs_f64() * 1e3;
    Ok(next.iter().zip(&due).map(late).collect())
}

/// The same instant on the clock that measures and on the one that says when something is due.
fn both_clocks() -> (Instant, SystemTime) {
    #[expect(clippy::disallowed_methods, reason = "what is due is due by this clock")]
    (crate::now(), SystemTime::now())
}

/// What a host has in memory for each run that waits: of [`MOST`] that it has begun, against a host
/// that has none.
fn memory(report: &mut Report, rounds: usize, state: &Path) -> anyhow::Result<()> {
    let empty = tempfile::tempdir()?;
    let (mut ours, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(3) {
        ours.push(held(state, MOST)?);
        without.push(held(empty.path(), 0)?);
    }
    let each = (median(&mut ours) - median(&mut without)) / f64::from(MOST);
    report.add("waiting.bytes", "B", each, 0.0, Goal::ValueAtMost(128.0));
    Ok(())
}

/// Resident bytes of a process of this program that does [`hold`].
fn held(state: &Path, runs: u32) -> anyhow::Result<f64> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let said = command.arg("--hold").arg(runs.to_string()).arg("--state").arg(state).output()?;
    anyhow::ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout)?.trim().parse().context("a number of bytes")
}

/// Serves the store in this directory, in which so many runs wait, as the host that has begun all of
/// them: what it noted of each is noted here. Prints how many bytes that takes.
pub(crate) async fn hold(state: &Path, runs: u32) -> anyhow::Result<()> {
    let store = sublane_store::SqliteStore::open(&state.join(FILE))?;
    let host = Setup::on(Arc::new(store), temporary()).plugin("bench").start().await;
    let filter = RunFilter { state: Some("waiting".to_owned()), limit: 1, ..RunFilter::default() };
    let template = host.inner().store.runs(filter).await?.pop();
    anyhow::ensure!(template.is_some() == (runs > 0), "nothing waits there");
    if let Some(template) = template {
        (0..runs).for_each(|number| host.inner().late.watch(&waiting(&template, number)));
    }
    // Some sweeps.
    crate::rest(Duration::from_secs(4)).await;
    println!("{}", serving::resident_bytes(std::process::id())?);
    host.host.stop().await;
    Ok(())
}

/// From the opening of a store with [`MOST`] runs that wait and one that is ready to the claim of that one.
async fn restart(
    report: &mut Report,
    rounds: usize,
    directory: &Arc<TempDir>,
    script: &mut Script,
) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let accept = script.accept();
        {
            let bare = Bare::open(&directory.path().join(FILE))?;
            bare.session().transaction(|rows| ops::accept(rows, accept)).map_err(anyhow::Error::from)?;
        }
        let begin = crate::now();
        let timed = Timed::new(sqlite(directory, FILE));
        let host = Setup::on(Arc::new(timed.clone()), directory.clone()).plugin("bench").start().await;
        let first = loop {
            if let Some(first) = timed.take_claims().first() {
                break *first;
            }
            anyhow::ensure!(begin.elapsed() < Duration::from_secs(60), "nothing is claimed");
            crate::rest(Duration::from_millis(1)).await;
        };
        times.push(first.duration_since(begin).as_secs_f64() * 1e3);
        host.host.stop().await;
    }
    report.add("restart.first_claim", "ms", median(&mut times), 0.0, Goal::ValueAtMost(2_000.0));
    Ok(())
}
