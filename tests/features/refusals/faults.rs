//! A store that fails for a while: what was asked of the host is not lost, and nobody waits longer than
//! the store makes him.

use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane::intents::Intent;
use sublane_core::{Entry, Outcome, RunId, RunState, Timestamp};
use sublane_store::ops::{Accepted, Effects};
use sublane_store::{Backend, RunFilter, SqliteStore, Store as _, StoreError, Transaction};
use sublane_tests::holding::Holding;
use sublane_tests::{PATIENCE, Recorder, Setup, TestHost, temporary, value};
use tempfile::TempDir;

/// When hosts begin whose time stands still.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

/// Refuses the writes that are answered with one type, so often, as a medium does that fails.
struct Faulty {
    inner: SqliteStore,
    /// The type's name.
    answer: &'static str,
    error: StoreError,
    /// How often it does not yet.
    passes: AtomicU32,
    /// How often it still does.
    left: AtomicU32,
    refused: AtomicU32,
}

impl Faulty {
    /// In this directory, refusing what is answered with a `T`.
    fn new<T>(directory: &TempDir, error: StoreError, times: u32) -> Arc<Self> {
        let inner = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
        let left = AtomicU32::new(times);
        let (passes, refused) = Default::default();
        Arc::new(Self { inner, answer: type_name::<T>(), error, passes, left, refused })
    }
}

impl Backend for Faulty {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let is_left = |count: &AtomicU32| {
            count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if type_name::<T>() == self.answer && !is_left(&self.passes) && is_left(&self.left) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(self.error.clone());
        }
        self.inner.write(transaction).await
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.inner.read(transaction).await
    }
}

/// Whoever sent it was told its event id, and does not wait for an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_failing_store_could_not_take_is_taken_later() {
    let directory = temporary();
    let store = Faulty::new::<Accepted>(&directory, StoreError::Io("the medium failed".into()), 2);
    let channel = Arc::new(Recorder::default());
    let setup = Setup::on(store.clone(), directory.clone()).plugin("spawns");
    let host = setup.channel("console", channel.clone(), Some("spawns/echo")).start().await;
    let intent = Intent::Message {
        origin: "console:test".parse().expect("well formed"),
        from: "ada".to_owned(),
        text: "hello".to_owned(),
        event: "the-one".to_owned(),
    };
    let body = serde_json::to_string(&intent).expect("it has string keys");
    store.ask(body.into(), host.inner().clock.now()).await.expect("asked");
    host.until("it is answered", || !channel.deliveries().is_empty()).await;
    assert_eq!(store.refused.load(Ordering::SeqCst), 2, "it failed before");
    let runs = store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable");
    let [run] = &runs[..] else { panic!("one message, one run: {runs:?}") };
    assert_eq!(value(&host.ended(run.spec.id).await), json!({ "from": "ada", "text": "hello" }));
}

/// A run whose attempt waits, at its end, for a store that answers this type with an error; the store
/// then goes on, and time stands still.
async fn waits_for_its_store<T>(
    error: StoreError,
    agent: &str,
    input: Value,
) -> (TestHost, RunId, ManualClock) {
    let directory = temporary();
    let store = Faulty::new::<T>(&directory, error, u32::MAX);
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::on(store.clone(), directory).clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup.start().await;
    let run = host.begin(agent, input).await;
    host.until("the store has failed", || store.refused.load(Ordering::SeqCst) > 0).await;
    store.left.store(0, Ordering::SeqCst);
    (host, run, clock)
}

/// Whoever cancels waits for instances; those are gone, and the attempt only waits to write that.
async fn check_cancelled(host: TestHost, run: RunId) {
    let cancelled = tokio::time::timeout(PATIENCE, host.inner().cancel(run, "not wanted")).await;
    let ended = cancelled.expect("it does not wait for the store's rest").expect("the store goes on");
    assert_eq!(ended, 1);
    assert!(host.inner().attempts.lock().is_empty(), "its attempt is gone");
    assert!(matches!(host.ended(run).await, Outcome::Cancelled { .. }));
    host.until("it is told once", || host.recorder.texts().len() == 1).await;
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_does_not_wait_for_an_ending_that_waits_for_the_store() {
    let error = StoreError::Io("the medium failed".into());
    let (host, run, _) = waits_for_its_store::<Effects>(error, "spawns/echo", json!(1)).await;
    check_cancelled(host, run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_does_not_wait_for_an_attempt_that_waits_for_room() {
    let error = StoreError::Full("no room".into());
    let input = json!([{ "kv-set": { "bucket": "notes", "key": "mark", "value": "x" } }]);
    let (host, run, _) = waits_for_its_store::<(Entry, Effects)>(error, "spawns/act", input).await;
    check_cancelled(host, run).await;
}

/// What others did meanwhile came before it.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_that_waited_for_the_store_is_of_when_it_is_written() {
    let error = StoreError::Io("the medium failed".into());
    let (host, run, clock) = waits_for_its_store::<Effects>(error, "spawns/echo", json!(1)).await;
    // Its rest is a second, which may begin a moment after the store has failed.
    let mut rested = tokio::time::interval(Duration::from_millis(5));
    let ended = async {
        loop {
            clock.advance(Duration::from_secs(1));
            rested.tick().await;
            let is = host.inner().store.run(run).await.expect("readable").expect("there");
            if let RunState::Ended { at, .. } = is.state {
                return at;
            }
        }
    };
    let at = tokio::time::timeout(PATIENCE, ended).await.expect("it is written");
    assert!(at >= BEGIN.after(Duration::from_secs(1)), "{at:?}");
    host.host.stop().await;
}

/// The message is owed by then, and only the attempt knows that it is to be sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_while_its_message_is_written_still_sends_it() {
    let directory = temporary();
    let inner = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
    let slow = Holding::new(inner, |given| {
        given.downcast_ref::<(Entry, Effects)>().is_some_and(|(_, effects)| !effects.deliveries.is_empty())
    });
    let host = Setup::on(slow.clone(), directory).plugin("spawns").start().await;
    let steps = json!([{ "deliver": { "to": "origin", "text": "half of it is done" } }, { "sleep": 60_000 }]);
    let run = host.begin("spawns/act", steps).await;
    slow.has_written.notified().await;
    // Which waits until nobody executes it.
    let cancelled = host.inner().cancel(run, "not wanted");
    let answered = async {
        host.when(run, "ended", sublane_core::Run::is_ended).await;
        slow.answers.notify_one();
    };
    tokio::join!(cancelled, answered).0.expect("it lives");
    let told = || host.recorder.texts().iter().any(|text| text.contains("half of it is done"));
    host.until("the message is sent", told).await;
    assert!(matches!(host.ended(run).await, Outcome::Cancelled { .. }));
    host.until("nobody executes it", || host.inner().attempts.lock().is_empty()).await;
}

/// Runs of a plugin are cancelled a hundred at a time.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_before_the_store_failed_is_told() {
    const FIRST: usize = 100;
    let directory = temporary();
    let store = Faulty::new::<Effects>(&directory, StoreError::Full("the disk is full".into()), u32::MAX);
    store.passes.store(1, Ordering::SeqCst);
    let host = Setup::on(store, directory).plugin("spawns").start().await;
    host.inner().lanes.pause("main");
    for _ in 0..=FIRST {
        host.begin("spawns/echo", json!(1)).await;
    }
    let intent = Intent::CancelPlugin { plugin: "spawns".to_owned(), reason: "done".to_owned() };
    let answer = host.ask(&intent).await.to_string();
    assert!(answer.contains("the disk is full"), "{answer}");
    host.until("the endings are told", || host.recorder.texts().len() == FIRST).await;
    let runs = RunFilter { limit: 1_000, ..RunFilter::default() };
    let runs = host.inner().store.runs(runs).await.expect("readable");
    assert_eq!(runs.iter().filter(|run| run.is_ended()).count(), FIRST);
}
