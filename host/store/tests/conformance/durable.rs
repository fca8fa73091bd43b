//! What was answered is there after the process, whatever it did last.

use std::path::Path;

use sublane_core::Import;
use sublane_store::{Backend as _, Command, SqliteStore, Store, StoreError, WaitFor};

use crate::random::seen;
use crate::support::{
    artifact, at, claim, destination, entry, park, root, spawn, spawn_detached, success, wait,
};

/// Something of everything that a store keeps.
async fn fill(store: &dyn Store) {
    let parent = root(store, 1).await;
    let commands = [
        Command::KvSet { bucket: "notes".into(), key: "k".into(), value: b"v".to_vec() },
        Command::Artifact(artifact(1)),
        Command::Deliver {
            destination: destination("console:me"),
            text: "half way".into(),
            artifacts: vec![],
        },
    ];
    for (seq, command) in (1..).zip(commands) {
        store
            .command(parent.clone(), entry(seq, Import::KvSet, ""), command)
            .await
            .expect("it has its claim");
    }
    let (waits, ends) = (spawn(store, &parent, 10).await, spawn_detached(store, &parent, 11).await);
    let waits = claim(store, waits).await;
    park(store, &waits, wait(&waits, 1, WaitFor::Sleep, Some(at(500)))).await;
    let ends = claim(store, ends).await;
    store.finish(ends, success()).await.expect("it has its claim");
    store.ask("{}".into(), at(3)).await.expect("asked");
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).expect("a store")
}

#[tokio::test]
async fn a_store_that_was_closed_is_the_same_when_it_is_opened() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    let store = open(&path);
    fill(&store).await;
    let before = seen(&store).await;
    drop(store);
    assert_eq!(seen(&open(&path)).await, before);
}

/// A copy of the files beside a store that is open is what a crash would leave of it.
#[tokio::test]
async fn a_store_that_was_never_closed_is_the_same_when_it_is_opened() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    let store = open(&path);
    fill(&store).await;
    let crashed = tempfile::tempdir().expect("a directory for the test");
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(directory.path().join(name), crashed.path().join(name)).expect("copied");
    }
    assert_eq!(seen(&open(&crashed.path().join("store.db"))).await, seen(&store).await);
}

#[tokio::test]
async fn a_reader_beside_the_host_sees_what_was_answered() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    let store = open(&path);
    let beside = SqliteStore::open_read_only(&path).expect("beside the host");
    fill(&store).await;
    assert_eq!(seen(&beside).await, seen(&store).await);
}

#[tokio::test]
async fn what_was_taken_back_is_not_remembered() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let store = open(&directory.path().join("store.db"));
    let id = root(&store, 1).await.run;
    let before = store.run(id).await.expect("readable").expect("there");
    let failed: Result<(), _> = store
        .write(move |rows| {
            let mut run = rows.run(id)?.expect("there");
            run.crashes = 99;
            rows.update_run(&run)?;
            Err(StoreError::NotFound("what it wanted".into()))
        })
        .await;
    failed.expect_err("it failed after it wrote");
    let seen = store.write(move |rows| rows.run(id)).await.expect("readable");
    assert_eq!(seen, Some(before));
}

#[tokio::test]
async fn what_another_process_wrote_is_seen() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    let store = open(&path);
    let id = root(&store, 1).await.run;
    let beside = rusqlite::Connection::open(&path).expect("SQLite");
    beside.execute("UPDATE run SET crashes = 2", ()).expect("written");
    let seen = store.write(move |rows| rows.run(id)).await.expect("readable");
    assert_eq!(seen.map(|run| run.crashes), Some(2));
}
