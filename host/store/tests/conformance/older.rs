//! Stores that an earlier version wrote: `tests/fixtures/version-N.db` is a file of each.
//!
//! A new version adds its own: what [`fill`] makes, written by that version.

use std::path::{Path, PathBuf};

use sublane_core::delivery::{AttemptResult, SettleRule};
use sublane_core::{DeliveryState, Import, Outcome, Output};
use sublane_store::{
    Backend as _, Command, DeliveryFilter, RunFilter, SqliteStore, Store, StoreError, WaitFor,
};
use tempfile::TempDir;

use crate::random::seen;
use crate::support::{
    artifact, at, claim, destination, entry, link_base, message, park, root, spawn, spawn_detached, success,
    wait,
};

/// The versions that were given out, each with a file of it.
const GIVEN_OUT: &[u32] = &[1];
/// The newest version of the format.
const NEWEST: u32 = 16;

/// Something of everything that a store keeps.
pub(crate) async fn fill(store: &dyn Store) {
    let parent = root(store, 1).await;
    let commands = [
        Command::KvSet { bucket: "notes".into(), key: "k".into(), value: b"v".to_vec() },
        Command::Artifact(artifact(1)),
        Command::Deliver {
            destination: destination("console:me"),
            text: "half way".into(),
            artifacts: vec![artifact(9)],
        },
    ];
    for (seq, command) in (1..).zip(commands) {
        let blank = entry(seq, Import::KvSet, "");
        store.command(parent.clone(), blank, command).await.expect("it has its claim");
    }
    let (waits, ends) = (spawn(store, &parent, 4).await, spawn_detached(store, &parent, 5).await);
    let waits = claim(store, waits).await;
    park(store, &waits, wait(&waits, 1, WaitFor::Sleep, Some(at(500)))).await;
    let ends = claim(store, ends).await;
    store.finish(ends, success()).await.expect("it has its claim");
    let mut second = message(2, "console:you");
    second.spec.artifacts = vec![artifact(2)];
    second.spec.dedupe_key = Some("once".into());
    second.spec.destinations = vec![destination("console:me"), destination("webhook:films")];
    let second = store.accept(second).await.expect("accepted").run;
    let second = claim(store, second).await;
    let output = Output { value: "1".into(), text: None, artifacts: vec![artifact(3)] };
    let owed = store.finish(second, Outcome::Succeeded(output)).await.expect("it has its claim").deliveries;
    let delivered = AttemptResult::Delivered { note: "taken".into() };
    store.settle(owed[0].id, 1, delivered, SettleRule::default(), at(4)).await.expect("settled");
    let dead = AttemptResult::Permanent { note: "410".into() };
    store.settle(owed[1].id, 1, dead, SettleRule::default(), at(4)).await.expect("settled");
    let cancelled = store.accept(message(3, "console:me")).await.expect("accepted").run;
    store.cancel(cancelled, "not wanted".into(), link_base(), at(5)).await.expect("cancelled");
    store.ask("{}".into(), at(3)).await.expect("asked");
}

/// A copy of the file that this version wrote, in a directory of its own.
fn older(version: u32) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("store.db");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::copy(fixtures.join(format!("version-{version}.db")), &path).expect("there is one");
    (directory, path)
}

/// The version that stands in a file's header, where every SQLite finds it.
fn version_of(path: &Path) -> u32 {
    let header = std::fs::read(path).expect("a file");
    u32::from_be_bytes(header[60..64].try_into().expect("four bytes"))
}

/// What was seen without the amounts that version 9 brought: older stores held none.
fn until_version_8(seen: &str) -> String {
    let mut parts = seen.split(", host_calls: ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| text.push_str(&part[part.find(" }").expect("the end of a purse")..]));
    text
}

#[tokio::test]
async fn an_older_store_is_converted_and_holds_what_it_held() {
    let model = sublane_store::Model::default();
    fill(&model).await;
    for version in GIVEN_OUT.iter().copied() {
        let (_directory, path) = older(version);
        assert_eq!(version_of(&path), version);
        let store = SqliteStore::open(&path).expect("it is converted");
        // A body is composed once: the words of the version that owed it stay.
        let today = seen(&model).await.replace("not wanted. Ask again if it is still wanted.", "not wanted");
        let today = today.replace("is done: 1", "is done.");
        assert_eq!(until_version_8(&seen(&store).await), until_version_8(&today), "version {version}");
        let runs = store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable");
        let alive = runs.iter().filter(|run| !run.is_ended());
        assert!(alive.clone().count() > 0 && alive.clone().all(|run| run.purse.host_calls == 1_000_000_000));
        drop(store);
        assert_eq!(version_of(&path), NEWEST);
    }
}

#[tokio::test]
async fn an_older_store_is_copied_before_it_is_converted() {
    let (directory, path) = older(1);
    let before = std::fs::read(&path).expect("a file");
    drop(SqliteStore::open(&path).expect("it is converted"));
    let copy = directory.path().join("store.db.v1");
    assert_eq!(version_of(&copy), 1, "beside it, named by its version");
    let restored = directory.path().join("restored.db");
    std::fs::copy(&copy, &restored).expect("copied");
    let restored = SqliteStore::open(&restored).expect("the copy is a store");
    let converted = SqliteStore::open(&path).expect("a store");
    assert_eq!(seen(&restored).await, seen(&converted).await);
    assert_eq!(std::fs::read(&copy).expect("a file").len(), before.len(), "page by page");
    let left =
        std::fs::read_dir(directory.path()).expect("a directory").map(|entry| entry.expect("an entry"));
    let parts = left.filter(|entry| entry.file_name().to_string_lossy().contains("part")).count();
    assert_eq!(parts, 0, "nothing half made is left");
}

/// Version 3 keeps a file as long as a run refers to it: the old rows say which do.
#[tokio::test]
async fn version_3_links_the_files_of_tasks_and_messages() {
    let (_directory, path) = older(1);
    let store = SqliteStore::open(&path).expect("it is converted");
    let ids: Vec<_> = [1, 2, 3, 9, 7].map(|n| artifact(n).id).into();
    assert_eq!(store.unlinked(ids).await.expect("readable"), [artifact(7).id]);
    let runs = store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await.expect("readable");
    let second = runs.iter().find(|run| run.spec.dedupe_key.is_some()).expect("it is there").spec.id;
    let task =
        store.write(move |rows| rows.linked_artifact(second, &artifact(2).id)).await.expect("readable");
    assert_eq!(task, Some(artifact(2)), "with name, type and size");
}

#[tokio::test]
async fn a_converted_store_goes_on() {
    let (_directory, path) = older(1);
    let store = SqliteStore::open(&path).expect("it is converted");
    let recovered = store.recover(3, link_base(), at(10)).await.expect("taken over");
    assert_eq!((recovered.crashed, recovered.evicted, recovered.unsettled), (1, 1, 2));
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), limit: 9, ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(dead).await.expect("readable").len(), 1);
    assert!(store.accept(message(2, "console:you")).await.expect("accepted").duplicate);
}

#[test]
fn the_command_line_does_not_convert_a_store() {
    let (_directory, path) = older(1);
    let error = SqliteStore::open_read_only(&path).err().expect("too old").to_string();
    assert!(error.contains(&format!("version 1 and must be {NEWEST}: start the host once")), "{error}");
    assert_eq!(version_of(&path), 1);
}

#[test]
fn a_store_that_a_newer_version_converted_is_refused_and_its_copy_named() {
    let (directory, path) = older(1);
    drop(SqliteStore::open(&path).expect("it is converted"));
    let mut bytes = std::fs::read(&path).expect("a file");
    bytes[60..64].copy_from_slice(&(NEWEST + 1).to_be_bytes());
    std::fs::write(&path, bytes).expect("written");
    let Err(StoreError::Unusable { why, .. }) = SqliteStore::open(&path) else { panic!("it is too new") };
    assert!(
        why.contains(&format!("version {}", NEWEST + 1))
            && why.contains(&format!("up to {NEWEST}"))
            && why.contains("run that version"),
        "{why}"
    );
    let copy = directory.path().join("store.db.v1");
    assert!(why.contains(&copy.display().to_string()), "{why}");
    assert_eq!(version_of(&path), NEWEST + 1, "it is left as it is");
}
