//! What only this store can get wrong: its groups, its file; and its plans, in a module of their own.

mod damage;
mod plans;

use std::path::PathBuf;

use rusqlite::Connection;
use sublane_core::Timestamp;
use tempfile::TempDir;

use super::statements::Sql;
use super::{SqliteStore, ask};
use crate::{Backend as _, Store as _, StoreError};

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    (directory, path)
}

#[tokio::test]
async fn an_operation_that_wrote_and_failed_leaves_nothing() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    let failed: Result<(), _> = store
        .write(|rows| {
            rows.kv_set("b", "k", b"half done")?;
            Err(StoreError::NotFound("what it wanted".into()))
        })
        .await;
    assert!(matches!(failed, Err(StoreError::NotFound(_))), "{failed:?}");
    assert_eq!(store.kv_get("b".into(), "k".into()).await.expect("readable"), None);
}

#[test]
fn a_checkpoint_beside_the_writer_empties_the_log_which_then_begins_anew() {
    use super::checkpoint::Checkpointer;
    use super::connection;
    use super::session::{LogLength, Session};
    let (_directory, path) = file();
    let writing = connection::open_writing(&path).expect("a new store");
    let mut session = Session::writing(&writing);
    let write = |session: &mut Session<'_>, round: u8| {
        let text = [round; 64 << 10];
        for number in 0..60 {
            let set = session.transaction(Sql::Begin, |rows| rows.kv_set("b", &number.to_string(), &text));
            set.expect("it commits");
        }
    };
    let log = path.with_extension("db-wal");
    let size = || std::fs::metadata(&log).expect("there is a log").len();
    write(&mut session, 0);
    assert_eq!(session.log_length(), LogLength::Long);
    let long = size();
    for round in 1..4 {
        let beside = connection::open_beside(&path).expect("a second connection");
        let checkpointer = Checkpointer::start(beside).expect("a thread");
        checkpointer.wake();
        // Ends what it is at.
        drop(checkpointer);
        assert_eq!(session.log_length(), LogLength::Short);
        write(&mut session, round);
        assert_eq!(session.log_length(), LogLength::Long);
        assert!(size() < long + long / 2, "it begins anew: {} after {long} bytes", size());
    }
}

#[tokio::test]
async fn a_panic_takes_its_group_back_and_the_writer_goes_on() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    // The first operation holds the writer until the others are queued behind it.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let first = store.write(move |rows| {
        wait.recv().expect("the test lets it go");
        rows.kv_set("b", "first", b"1")
    });
    let second = store.write(|rows| rows.kv_set("b", "second", b"2"));
    let panics = store.write::<()>(|rows| {
        rows.kv_set("b", "third", b"3")?;
        panic!("a fault of the host");
    });
    let fourth = store.write(|rows| rows.kv_set("b", "fourth", b"4"));
    let release = async {
        // Runs after the others were polled once, which queued them.
        go.send(()).expect("the writer waits");
    };
    let (first, second, panicked, fourth, ()) = tokio::join!(first, second, panics, fourth, release);
    assert!(panicked.expect_err("it panicked").to_string().contains("a fault of the host"));
    for together in [first, second] {
        assert!(together.expect_err("of the same group").to_string().contains("taken back together"));
    }
    fourth.expect("it came after the group");
    store.write(|rows| rows.kv_set("b", "fifth", b"5")).await.expect("the writer goes on");
    let keys = store.kv_keys("b".into(), "".into(), None, 10).await.expect("readable");
    assert_eq!(keys, ["fifth", "fourth"]);
}

#[tokio::test]
async fn an_operation_that_was_refused_harms_no_other_of_its_group() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    let refused = store.write::<()>(|_| Err(StoreError::NotFound("x".into())));
    let (refused, done) = tokio::join!(refused, store.write(|rows| rows.kv_set("b", "k", b"v")));
    assert!(refused.is_err() && done.is_ok());
}

#[tokio::test]
async fn a_read_cannot_write() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    assert!(store.read(|rows| rows.kv_set("b", "k", b"v")).await.is_err());
    let beside = SqliteStore::open_read_only(&path).expect("beside the host");
    let error = beside.write(|rows| rows.kv_set("b", "k", b"v")).await.expect_err("refused");
    assert!(error.to_string().contains("reading only"), "{error}");
}

#[tokio::test]
async fn the_command_line_asks_beside_a_running_host() {
    let (_directory, path) = file();
    let missing = ask(&path, "{}", Timestamp(1)).expect_err("nothing there").to_string();
    assert!(missing.contains("start a host"), "{missing}");
    let store = SqliteStore::open(&path).expect("a new store");
    let number = ask(&path, r#"{"message":"hi"}"#, Timestamp(7)).expect("beside the host");
    let found = store.intents(10).await.expect("readable");
    assert_eq!(
        (found[0].number, &*found[0].body, found[0].created),
        (number, r#"{"message":"hi"}"#, Timestamp(7))
    );
    store.intent_done(number, "{}".into()).await.expect("there");
    assert!(ask(&path, "{}", Timestamp(8)).expect("again") > number, "numbers are never used again");
}

#[tokio::test]
async fn a_closed_store_can_be_read_and_leaves_no_log() {
    let (directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    store.write(|rows| rows.kv_set("b", "k", b"v")).await.expect("written");
    drop(store);
    assert!(!directory.path().join("store.db-wal").exists(), "the log went into the file");
    let reader = SqliteStore::open_read_only(&path).expect("without a host");
    assert_eq!(reader.kv_get("b".into(), "k".into()).await.expect("readable").as_deref(), Some(&b"v"[..]));
}

#[test]
fn what_is_queued_is_done_before_the_store_closes() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut held = Box::pin(store.write(move |_| wait.recv().map_err(|_| StoreError::Closed)));
        let mut queued = Box::pin(store.write(|rows| rows.kv_set("b", "k", b"v")));
        std::future::poll_fn(|context| {
            // Polled once, both are queued; then nobody waits for them any more.
            assert!(held.as_mut().poll(context).is_pending() && queued.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        go.send(()).expect("the writer waits");
    });
    drop(store);
    let reader = SqliteStore::open_read_only(&path).expect("closed");
    let value = runtime.block_on(reader.kv_get("b".into(), "k".into())).expect("readable");
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_name_and_version() {
    let (_directory, path) = file();
    drop(SqliteStore::open(&path).expect("a new store"));
    let connection = Connection::open(&path).expect("SQLite");
    connection.pragma_update(None, "user_version", 99).expect("set");
    drop(connection);
    for refused in [SqliteStore::open(&path), SqliteStore::open_read_only(&path)] {
        let error = refused.err().expect("too new").to_string();
        assert!(
            error.contains("store.db") && error.contains("version 99") && error.contains("up to"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_older_store_knows_how_much_its_buckets_hold() {
    let (_directory, path) = file();
    let older = Connection::open(&path).expect("SQLite");
    older.execute_batch(include_str!("../../migrations/0001_initial.sql")).expect("version 1");
    older
        .execute_batch("INSERT INTO kv VALUES ('b', 'k', x'0102'), ('b', 'ü', x''), ('c', 'k', x'01')")
        .expect("rows");
    older.pragma_update(None, "application_id", 0x5342_4c4e).expect("set");
    older.pragma_update(None, "user_version", 1).expect("set");
    drop(older);
    let store = SqliteStore::open(&path).expect("it is converted");
    let bytes = store.read(|rows| Ok((rows.kv_bytes("b")?, rows.kv_bytes("c")?, rows.kv_bytes("d")?)));
    assert_eq!(bytes.await.expect("readable"), (5, 2, 0));
}

#[test]
fn an_sqlite_file_of_something_else_is_left_alone() {
    let (_directory, path) = file();
    let connection = Connection::open(&path).expect("SQLite");
    connection.execute_batch("CREATE TABLE theirs (a)").expect("made");
    drop(connection);
    let error = SqliteStore::open(&path).err().expect("not ours").to_string();
    assert!(error.contains("something else"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_damaged() {
    let (_directory, path) = file();
    std::fs::write(
        &path,
        "a letter to the editor, long enough to fill a header of one hundred bytes. ".repeat(200),
    )
    .expect("written");
    let error = SqliteStore::open(&path).err().expect("damaged").to_string();
    assert!(error.contains("damaged") && error.contains("store.db"), "{error}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    let beside = Connection::open(&path).expect("SQLite");
    beside
        .execute(
            "INSERT INTO conversation VALUES (zeroblob(16), 'console', 'a', 'much', 0, 0, 0, 0, 0, 0, NULL, NULL)",
            (),
        )
        .expect("SQLite takes any type");
    let error =
        store.conversation(sublane_core::ConversationId([0; 16])).await.expect_err("damaged").to_string();
    assert!(error.contains("table conversation, row AAAAAAAAAAAAAAAAAAAAAA, column cpu_us"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, path) = file();
    let _store = SqliteStore::open(&path).expect("a new store");
    for name in ["store.db", "store.db-wal"] {
        let mode = std::fs::metadata(path.with_file_name(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).expect("a new store");
    let value = vec![7; 1 << 20];
    // Each writes 128 pages; without checkpoints that would be over 12,000.
    for number in 0..100 {
        let (key, value) = (format!("k{number}"), value.clone());
        store.write(move |rows| rows.kv_set("b", &key, &value)).await.expect("written");
    }
    let length = std::fs::metadata(path.with_file_name("store.db-wal")).expect("there").len();
    let pages = length / 8_192;
    assert!(pages < 9_000, "{pages} pages are in the log");
}
