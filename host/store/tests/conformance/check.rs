//! A store that is whole is found whole; each thing that can be wrong with it gives a line.

use std::path::PathBuf;

use sublane_core::{Entry, Import, Path};
use sublane_store::sqlite::{Checked, backup, check};
use sublane_store::{SqliteStore, Store as _};
use tempfile::TempDir;

use crate::older::fill;
use crate::poll::{for_poll, plan};
use crate::support::{artifact, entry, park, root, wait};

/// A store with something of everything, and the files that it speaks of.
async fn whole() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    fill(&SqliteStore::open(&path).expect("a new store")).await;
    for n in [1, 2, 3, 9] {
        let artifact = artifact(n);
        let file = directory.path().join(artifact.path());
        std::fs::create_dir_all(file.parent().expect("below the directory")).expect("made");
        std::fs::write(&file, vec![0; usize::try_from(artifact.size).expect("small")]).expect("written");
    }
    (directory, path)
}

fn look(path: &std::path::Path) -> Checked {
    check(path, path.parent().expect("a directory")).expect("it can be opened")
}

#[tokio::test]
async fn a_store_that_is_whole_has_no_violations() {
    let (_directory, path) = whole().await;
    let checked = look(&path);
    assert_eq!(checked.violations, Vec::<String>::new());
    assert_eq!((checked.runs, checked.deliveries, checked.artifacts), (5, 4, 4));
    assert!(checked.entries > 4);
}

/// What a tool call did stands below it, behind the entry that says which version it was begun on; the
/// call's own comes when it has answered.
#[tokio::test]
async fn the_entries_of_a_tool_call_are_whole() {
    let (_directory, path) = whole().await;
    let store = SqliteStore::open(&path).expect("there");
    let by = root(&store, 77).await;
    let at = |numbers: &[u32]| {
        let place = numbers.iter().fold(Path::root(), |place, number| place.then(*number));
        Entry { path: place, ..entry(1, Import::KvGet, "{}") }
    };
    let violations = async |added: &[&[u32]]| {
        let entries = added.iter().map(|numbers| at(numbers)).collect();
        store.append(by.clone(), entries).await.expect("it has its claim");
        look(&path).violations
    };
    let none = Vec::<String>::new();
    assert_eq!(violations(&[&[1], &[2, 0]]).await, none, "begun");
    assert_eq!(violations(&[&[2, 1], &[2, 2], &[2, 2, 0], &[2, 2, 1], &[2, 3]]).await, none, "under way");
    assert_eq!(violations(&[&[2], &[3], &[4, 0], &[4, 1], &[4], &[5]]).await, none, "answered");
    let gaps = violations(&[&[6, 0], &[6, 2], &[0]]).await;
    assert_eq!(gaps.len(), 2, "{gaps:?}");
}

#[tokio::test]
async fn each_violation_is_a_line_that_names_its_run() {
    for (harm, line) in [
        ("UPDATE run SET cpu_us = 1 WHERE state = 5 AND n = 3", "has ended and still holds a purse"),
        ("UPDATE run SET deadline = 5 WHERE n = 3", "has ended and still has a deadline"),
        ("UPDATE run SET deadline = NULL WHERE n = 1", "lives and has no deadline"),
        ("DELETE FROM wait", "waits, but nothing says for what"),
        ("UPDATE wait SET run = 1", "does not wait, but a wait of it is there"),
        ("INSERT INTO wait_target VALUES (1, 3)", "is noted as waiting for another run"),
        (
            "UPDATE run SET attached_to = (SELECT id FROM run WHERE n = 3) WHERE n = 2",
            "is attached to a run that has",
        ),
        ("UPDATE run_spec SET parent = zeroblob(16) WHERE n = 3", "was spawned by a run that is not there"),
        ("UPDATE run SET active_children = 7 WHERE n = 1", "counts 7 children that live"),
        ("UPDATE run SET attached_children = 7 WHERE n = 1", "counts 7 attached children"),
        ("DELETE FROM run_spec WHERE n = 3", "has no specification"),
        ("DELETE FROM conversation WHERE address = 'you'", "belongs to a conversation that is not there"),
        ("UPDATE delivery SET attempts = 0 WHERE state = 2", "has more attempts on record"),
        (
            "DELETE FROM artifact WHERE name = 'film.mp4' AND run = 4",
            "has no link to a file of its task: film.mp4",
        ),
        ("DELETE FROM artifact WHERE run = 1", "has no link to a file that it told people about: film.mp4"),
        ("DELETE FROM delivery WHERE run = 5", "has ended and owes nothing to console:me"),
        ("DELETE FROM journal WHERE path = x'00000002'", "the journal has entry 3 and not the one before it"),
        ("UPDATE run SET outcome = '{}' WHERE n = 3", "table run, row"),
        ("UPDATE journal SET import = 'a.b' WHERE path = x'00000002'", "no import that this version knows"),
        ("UPDATE delivery SET state = 9 WHERE state = 3", "table delivery, row"),
        ("DELETE FROM run WHERE n = 5", "a row 5 of run_spec refers to a row of run that is not there"),
    ] {
        let (_directory, path) = whole().await;
        let beside = rusqlite::Connection::open(&path).expect("SQLite");
        beside.pragma_update(None, "foreign_keys", false).expect("off");
        assert!(beside.execute(harm, ()).expect(harm) > 0, "{harm}");
        drop(beside);
        let violations = look(&path).violations;
        assert!(violations.iter().any(|found| found.contains(line)), "{harm}: {violations:#?}");
    }
}

/// A run that is not polled for waits for ever, and one that does not wait is polled for nothing.
#[tokio::test]
async fn polls_and_the_waits_that_they_are_for_go_together() {
    let orphan = "does not wait for https://a.example, but a poll of it is there";
    let unasked = "waits for an answer that nobody asks for";
    for (harm, lines) in [
        ("DELETE FROM wait WHERE import = 'poll.until'", vec![orphan]),
        ("DELETE FROM poll WHERE server = 'https://a.example'", vec![unasked]),
        ("UPDATE poll SET id = zeroblob(16) WHERE server = 'https://a.example'", vec![orphan, unasked]),
        ("UPDATE run SET generation = 1 WHERE n IN (SELECT run FROM poll)", vec![orphan, unasked]),
        ("UPDATE wait SET what = '{}' WHERE import = 'poll.until'", vec!["table wait, row", orphan]),
        ("UPDATE poll SET due = 'soon'", vec!["table poll, row", unasked]),
        ("SELECT 1", Vec::new()),
    ] {
        let (_directory, path) = whole().await;
        let store = SqliteStore::open(&path).expect("there");
        let by = root(&store, 88).await;
        park(&store, &by, wait(&by, 1, for_poll(plan("https://a.example", 500)), None)).await;
        drop(store);
        let beside = rusqlite::Connection::open(&path).expect("SQLite");
        beside.execute_batch(harm).expect(harm);
        drop(beside);
        let mut violations = look(&path).violations;
        // What the wait's absence breaks beside it has its own test.
        violations.retain(|found| !found.contains("nothing says for what"));
        assert_eq!(violations.len(), lines.len(), "{harm}: {violations:#?}");
        for line in lines {
            assert!(violations.iter().any(|found| found.contains(line)), "{harm}: {violations:#?}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_short_is_named() {
    let (directory, path) = whole().await;
    let (gone, short) =
        (directory.path().join(artifact(2).path()), directory.path().join(artifact(3).path()));
    std::fs::remove_file(&gone).expect("it was there");
    std::fs::write(&short, "half").expect("written");
    let violations = look(&path).violations;
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(violations[0].contains(&gone.display().to_string()), "{violations:?}");
    assert!(violations[1].contains("has 4 bytes and must have 1003"), "{violations:?}");
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let (_directory, path) = whole().await;
    let mut bytes = std::fs::read(&path).expect("a file");
    let page = bytes.len() / 8_192 / 2 * 8_192;
    bytes[page..page + 4_096].fill(0xa5);
    std::fs::write(&path, bytes).expect("written");
    let violations = look(&path).violations;
    assert!(!violations.is_empty());
    assert!(
        violations.iter().all(|line| line.contains("damaged") || line.contains("cannot be read")),
        "{violations:?}"
    );
}

#[tokio::test]
async fn a_backup_beside_the_host_is_the_store_of_one_instant() {
    let (directory, path) = whole().await;
    let store = SqliteStore::open(&path).expect("a store");
    let to = directory.path().join("copy.db");
    let mut pages = Vec::new();
    let bytes = backup(&path, &to, &mut |done, all| pages.push((done, all))).expect("copied");
    assert_eq!(bytes, std::fs::metadata(&to).expect("there").len());
    let (done, all) = pages.last().copied().expect("it was told");
    assert!(done == all && all > 0, "{pages:?}");
    crate::support::accept(&store, 7).await;
    assert_eq!(look(&to).violations, Vec::<String>::new());
    assert_eq!((look(&path).runs, look(&to).runs), (6, 5), "what came later is not in it");
    let left =
        std::fs::read_dir(directory.path()).expect("a directory").map(|entry| entry.expect("an entry"));
    let parts = left.filter(|entry| entry.file_name().to_string_lossy().contains("part")).count();
    assert_eq!(parts, 0, "nothing half made is left");
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    let (directory, path) = whole().await;
    let to = directory.path().join("no such directory").join("copy.db");
    let error = backup(&path, &to, &mut |_, _| {}).expect_err("it cannot be written").to_string();
    assert!(error.contains("no such directory"), "{error}");
    let missing = directory.path().join("missing.db");
    let error =
        backup(&missing, &directory.path().join("copy.db"), &mut |_, _| {}).expect_err("nothing there");
    assert!(error.to_string().contains("there is no store"), "{error}");
    assert!(!directory.path().join("copy.db").exists());
}
