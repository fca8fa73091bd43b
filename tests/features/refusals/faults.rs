//! A store that fails once: what was asked of the host is not lost.

use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use sublane::intents::Intent;
use sublane_store::ops::Accepted;
use sublane_store::{Backend, RunFilter, SqliteStore, Store as _, StoreError, Transaction};
use sublane_tests::{Recorder, Setup, temporary, value};

/// Refuses what makes a run of a message, so often, as a medium does that fails.
struct Faulty {
    inner: SqliteStore,
    left: AtomicU32,
}

impl Backend for Faulty {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let fails = |left: u32| left.checked_sub(1);
        if type_name::<T>() == type_name::<Accepted>()
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok()
        {
            return Err(StoreError::Io("the medium failed".into()));
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
    let inner = SqliteStore::open(&directory.path().join("sublane.db")).expect("the store opens");
    let store = Arc::new(Faulty { inner, left: AtomicU32::new(2) });
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
    assert_eq!(store.left.load(Ordering::SeqCst), 0, "it failed before");
    let runs = store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable");
    let [run] = &runs[..] else { panic!("one message, one run: {runs:?}") };
    assert_eq!(value(&host.ended(run.spec.id).await), json!({ "from": "ada", "text": "hello" }));
}
