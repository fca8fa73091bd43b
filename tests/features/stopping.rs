//! Stop and go: a host that is asked to stop, one that stands still for as long as it likes, and
//! what an attempt may do that has lost its claim.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::{DeliveryState, Outcome, Run, RunState, Timestamp};
use sublane_store::SqliteStore;
use sublane_tests::crash::standing_still;
use sublane_tests::history::History;
use sublane_tests::serving::Serving;
use sublane_tests::{PATIENCE, Setup, component, temporary};
use tempfile::TempDir;

/// A configuration with the plugins of the main job.
fn config(directory: &TempDir) -> PathBuf {
    let (concierge, video) = (component("concierge"), component("video"));
    let text = format!(
        r#"
        state = "state"
        [plugins.concierge]
        component = {concierge:?}
        allow = "asked"
        [plugins.video]
        component = {video:?}
        allow = "asked"
        [channels.console]
        kind = "console"
        agent = "concierge"
        "#
    );
    let file = directory.path().join("sublane.toml");
    std::fs::write(&file, text).expect("the configuration is written");
    file
}

/// A message for a film, and what it makes: two runs, each told once.
const FILM: &str = "Make a 1 second film of a red balloon, 64x64, 8 fps";

fn store(directory: &TempDir) -> SqliteStore {
    SqliteStore::open_read_only(&directory.path().join("state/sublane.db")).expect("the store is there")
}

fn is_film((_, body): &&(String, String)) -> bool {
    body.contains(".mp4")
}

/// Under load: some films are made, some wait for a slot, some messages are not even accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_terminated_under_load_loses_nothing() {
    const FILMS: usize = 12;
    let directory = temporary();
    let config = config(&directory);
    let mut host = Serving::start(&config).ready().await;
    (0..FILMS).for_each(|_| host.say(FILM));
    host.until("a film is there", |delivered| delivered.iter().any(|one| is_film(&one))).await;
    host.signal(Signal::TERM);
    let first = host.end().await;
    assert_eq!(first.exit, Some(0), "{}", first.log);
    assert!(first.log.contains("stopped") && !first.log.contains("did not end in time"), "{}", first.log);
    let left = History::read(&store(&directory)).await;
    assert!(left.runs.iter().any(|run| !run.is_ended()), "it was under load");
    let holds =
        |run: &&Run| matches!(run.state, RunState::Running { .. } | RunState::Waiting { token: Some(_) });
    assert_eq!(left.runs.iter().find(holds), None, "nobody has a claim");
    let sent = left.deliveries.iter().filter(|owed| owed.state.is_settled()).count();
    assert_eq!(sent, first.delivered.len(), "what was delivered is settled, and nothing else");

    let mut host = Serving::start(&config).ready().await;
    let accepted = left.runs.iter().filter(|run| run.spec.depth == 0).count();
    let all = 2 * accepted - first.delivered.len();
    host.until("all is delivered", |delivered| delivered.len() == all).await;
    host.signal(Signal::TERM);
    let second = host.end().await;
    assert_eq!(second.exit, Some(0), "{}", second.log);
    let mut history = History::read(&store(&directory)).await;
    assert_eq!(history.runs.len(), 2 * accepted, "each message one film");
    history.received = first.delivered.into_iter().chain(second.delivered).collect();
    assert_eq!(history.received.len(), history.deliveries.len(), "each once, on one console or the other");
    assert_eq!(history.faults(), Vec::<String>::new());
    assert!(history.runs.iter().all(|run| run.crashes == 0), "a stop is no crash");
    assert!(history.runs.iter().all(|run| matches!(run.outcome(), Some(Outcome::Succeeded(_)))));
}

/// A claim has no lease: as long as the process is there, so is its lock, and nobody takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stands_still_keeps_what_it_has_and_goes_on() {
    let directory = temporary();
    let config = config(&directory);
    let mut host = Serving::start(&config).ready().await;
    (0..6).for_each(|_| host.say(FILM));
    host.until("a film is there", |delivered| delivered.iter().any(|one| is_film(&one))).await;
    host.signal(Signal::STOP);
    let pid = host.pid().as_raw_nonzero();
    let second = Serving::start(&config).end().await;
    assert_eq!(second.exit, Some(4), "{}", second.log);
    assert!(second.log.contains(&format!("is in use by process {pid}")), "{}", second.log);
    assert!(second.log.contains("stop that host, or choose another state directory"), "{}", second.log);
    host.signal(Signal::CONT);
    host.until("all is delivered", |delivered| delivered.len() == 12).await;
    host.signal(Signal::TERM);
    let served = host.end().await;
    assert_eq!(served.exit, Some(0), "{}", served.log);
    let mut history = History::read(&store(&directory)).await;
    history.received = served.delivered;
    assert_eq!(history.faults(), Vec::<String>::new());
    assert!(history.runs.iter().all(|run| (run.attempt, run.crashes) == (1, 0)), "nobody else took a run");
}

/// Complaint 155707 (R14): a time-out never came, and after a restart not either.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_while_no_host_runs_is_kept() {
    let directory = temporary();
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let setup = || Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup().start().await;
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    let waits = host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    host.host.stop().await;
    clock.advance(waits.spec.deadline().since(clock.now()) + Duration::from_secs(1));
    let host = setup().start().await;
    assert_eq!(host.ended(run).await, Outcome::TimedOut);
    host.until("it is told", || host.recorder.texts().len() == 1).await;
}

/// Complaints 103724 and 90766 (R12): two recoveries went on with one run, and did all of it twice.
///
/// What the next host makes of a run is not touched by the attempt that lost its claim: its write
/// is refused, its guest is gone, and nobody hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_has_lost_its_claim_writes_nothing_and_is_gone() {
    let mark = |value: &str| json!({ "kv-set": { "bucket": "notes", "key": "mark", "value": value } });
    let (stale, crash, run) = standing_still(&json!([mark("one"), mark("two")])).await;
    let id = run.spec.id;
    assert_eq!(stale.inner().attempts.lock().len(), 1, "its guest waits for its mark");
    let next = Setup::durable(&stale.directory).plugin("spawns").start().await;
    assert!(matches!(next.ended(id).await, Outcome::Succeeded(_)));
    next.until("it is told", || next.recorder.texts().len() == 1).await;
    let history = async || {
        let mut history = History::read(&*next.inner().store).await;
        history.received = next
            .recorder
            .deliveries()
            .iter()
            .chain(&stale.recorder.deliveries())
            .map(|got| (got.id.to_string(), got.body.to_string()))
            .collect();
        history
    };
    // The receiver has the text before the store knows of it.
    let settled = async {
        loop {
            let now = history().await;
            if now.deliveries.iter().all(|owed| owed.state == DeliveryState::Delivered) {
                return now;
            }
        }
    };
    let before = tokio::time::timeout(PATIENCE, settled).await.expect("its delivery is settled");
    crash.release();
    stale.until("the stale attempt is gone", || stale.inner().attempts.lock().is_empty()).await;
    assert_eq!(stale.inner().engines.of(sublane::engine::Class::Small).pool.used(), 0, "and its guest");
    stale.host.stop().await;
    let after = history().await;
    assert_eq!(
        (after.runs, after.journals, after.deliveries),
        (before.runs, before.journals, before.deliveries)
    );
    let after = history().await;
    assert_eq!(after.faults(), Vec::<String>::new());
    assert_eq!((after.runs[0].attempt, after.runs[0].crashes), (2, 1), "one attempt was lost, one went on");
    next.host.stop().await;
}
