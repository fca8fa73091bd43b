//! Commands: their rows and their entry in one commit.

use std::sync::Arc;

use sublane_core::delivery::DeliveryBody;
use sublane_core::{
    Answer, ArtifactRef, DeliveryId, DeliveryState, Import, ImportError, Outcome, Output, Path, RunId,
};
use sublane_store::{By, Command, DeliveryFilter, Effects, Store};

use crate::support::{
    ROOT, accept, artifact, at, claim, destination, entry, get, message, root, spawn, spawn_with, success,
};

/// Commands at place `seq`; the answer, as the guest gets it.
async fn command<T: serde::de::DeserializeOwned>(
    store: &dyn Store,
    by: &By,
    seq: u32,
    command: Command,
) -> (Answer<T>, Effects) {
    let blank = entry(seq, Import::KvSet, "");
    let (entry, effects) = store.command(by.clone(), blank, command).await.expect("it has its claim");
    let journal = store.journal(by.run, 0).await.expect("readable");
    assert!(journal.contains(&entry), "the entry is in the journal");
    (sublane_core::journal::decode(&entry).expect("an answer"), effects)
}

fn set(key: &str, value: &[u8]) -> Command {
    Command::KvSet { bucket: "notes".into(), key: key.into(), value: value.to_vec() }
}

pub(crate) async fn keys_are_set_read_listed_and_removed(store: &dyn Store) {
    let by = root(store, 1).await;
    let keys = ["a", "a/1", "a/2", "a/ü", "b", "a\u{0}"];
    for (seq, key) in (1..).zip(keys) {
        let (answer, _) = command::<()>(store, &by, seq, set(key, key.as_bytes())).await;
        assert_eq!(answer, Ok(()));
    }
    command::<()>(store, &by, 10, set("b", b"")).await.0.expect("set again");
    let value = async |key: &str| store.kv_get("notes".into(), key.into()).await.expect("readable");
    assert_eq!(value("b").await.as_deref(), Some(&b""[..]), "an empty value is a value");
    assert_eq!(value("a/1").await.as_deref(), Some(&b"a/1"[..]));
    assert_eq!(store.kv_get("other".into(), "a".into()).await.expect("readable"), None);
    let list = async |prefix: &str, after: Option<&str>, limit| {
        store.kv_keys("notes".into(), prefix.into(), after.map(Arc::from), limit).await.expect("readable")
    };
    assert_eq!(
        list("", None, 10).await,
        ["a", "a\u{0}", "a/1", "a/2", "a/ü", "b"],
        "in the order of their bytes"
    );
    assert_eq!(list("a/", None, 10).await, ["a/1", "a/2", "a/ü"]);
    assert_eq!(list("a/", None, 2).await, ["a/1", "a/2"]);
    assert_eq!(list("a/", Some("a/1"), 10).await, ["a/2", "a/ü"]);
    assert_eq!(list("a/", Some("a"), 10).await, ["a/1", "a/2", "a/ü"], "a position before the prefix");
    assert!(list("a/", Some("b"), 10).await.is_empty());
    let delete = Command::KvDelete { bucket: "notes".into(), key: "a/1".into() };
    command::<()>(store, &by, 11, delete.clone()).await.0.expect("removed");
    command::<()>(store, &by, 12, delete).await.0.expect("nothing there is no error");
    assert_eq!(value("a/1").await, None);
}

pub(crate) async fn a_key_is_set_if_what_is_there_is_what_must_be(store: &dyn Store) {
    let by = root(store, 1).await;
    let mut seq = 0;
    let mut set_if = async |held: Option<&[u8]>, value: &[u8]| {
        seq += 1;
        let held = held.map(<[u8]>::to_vec);
        let command_ =
            Command::KvSetIf { bucket: "notes".into(), key: "k".into(), held, value: value.to_vec() };
        command::<bool>(store, &by, seq, command_).await.0
    };
    let value = async || store.kv_get("notes".into(), "k".into()).await.expect("readable");
    assert_eq!(set_if(Some(b""), b"1").await, Ok(false), "nothing is not an empty value");
    assert_eq!(value().await, None);
    assert_eq!(set_if(None, b"").await, Ok(true));
    assert_eq!(set_if(None, b"2").await, Ok(false), "an empty value is a value");
    assert_eq!(set_if(Some(b""), b"2").await, Ok(true));
    assert_eq!(set_if(Some(b""), b"3").await, Ok(false));
    assert_eq!(set_if(Some(b"2"), b"3").await, Ok(true));
    assert_eq!(value().await.as_deref(), Some(&b"3"[..]));
    let large = vec![7; (64 << 20) + 1];
    let full = set_if(Some(b"3"), &large).await.expect_err("the bucket is full");
    assert!(matches!(&full, ImportError::Limit(hit) if hit.which == "kv.bucket-bytes"), "{full}");
    assert_eq!(set_if(Some(b"other"), &large).await, Ok(false), "what is not set hits no limit");
    assert_eq!(value().await.as_deref(), Some(&b"3"[..]));
}

pub(crate) async fn a_bucket_has_a_bound(store: &dyn Store) {
    let by = root(store, 1).await;
    let mut seq = 0;
    let mut answer = async |command_: Command| {
        seq += 1;
        command::<()>(store, &by, seq, command_).await.0
    };
    // With keys of four bytes, 64 values of this size fill a bucket.
    let large = vec![7; (1 << 20) - 4];
    let key = |n: u32| format!("k{n:03}");
    for n in 0..64 {
        answer(set(&key(n), &large)).await.expect("64 MiB fit");
    }
    let full = |answer: Answer<()>| {
        let error = answer.expect_err("the bucket is full");
        assert!(
            matches!(&error, ImportError::Limit(hit) if hit.which == "kv.bucket-bytes" && hit.value == 64 << 20),
            "{error}"
        );
    };
    full(answer(set("k", b"")).await);
    full(answer(set(&key(0), &vec![7; 1 << 20])).await);
    answer(set(&key(0), &large)).await.expect("it is no larger than before");
    let elsewhere = Command::KvSet { bucket: "other".into(), key: "k".into(), value: vec![1] };
    answer(elsewhere).await.expect("another bucket has its own");
    let delete = |key: String| Command::KvDelete { bucket: "notes".into(), key: key.into() };
    answer(delete("none".to_owned())).await.expect("nothing there is no error");
    full(answer(set("k", b"")).await);
    answer(delete(key(5))).await.expect("removed");
    answer(set("k", b"v")).await.expect("there is room again");
    full(answer(set(&key(5), &large)).await);
}

pub(crate) async fn a_message_goes_to_a_child_only(store: &dyn Store) {
    let parent = root(store, 1).await;
    let other = accept(store, 2).await.run;
    let child = spawn(store, &parent, 1).await;
    let send = |to: RunId| Command::Send { to, message: r#""hello""#.into() };
    assert_eq!(command::<()>(store, &parent, 2, send(child)).await.0, Ok(()));
    let denied = command::<()>(store, &parent, 3, send(other)).await.0.expect_err("not its child");
    assert!(matches!(&denied, ImportError::Denied(what) if what.contains(&other.to_string())), "{denied}");
    let nobody = command::<()>(store, &parent, 4, send(RunId([9; 16]))).await.0.expect_err("nobody");
    assert!(matches!(nobody, ImportError::Denied(_)), "whether it exists is not told");
    let claimed = claim(store, child).await;
    store.finish(claimed, success()).await.expect("it has its claim");
    assert_eq!(command::<()>(store, &parent, 5, send(child)).await.0, Err(ImportError::NotFound));
}

pub(crate) async fn a_full_mailbox_is_a_limit(store: &dyn Store) {
    let parent = root(store, 1).await;
    let child = spawn(store, &parent, 1).await;
    let send = || Command::Send { to: child, message: "1".into() };
    for seq in 2..66 {
        command::<()>(store, &parent, seq, send()).await.0.expect("64 messages fit");
    }
    let full = command::<()>(store, &parent, 66, send()).await.0.expect_err("the 65th does not");
    assert!(matches!(&full, ImportError::Limit(hit) if hit.which == "subagent.mailbox" && hit.value == 64));
}

pub(crate) async fn a_run_sends_to_people_with_one_id_per_place(store: &dyn Store) {
    let by = root(store, 1).await;
    let send = |text: &str| Command::Deliver {
        destination: destination("console:me"),
        text: text.into(),
        artifacts: vec![artifact(1)],
    };
    let (first, effects) = command::<DeliveryId>(store, &by, 1, send("half way")).await;
    let first = first.expect("owed");
    assert_eq!(first, DeliveryId::sent(by.run, 0, &Path::root().then(1)));
    let [delivery] = &effects.deliveries[..] else { panic!("one delivery: {effects:?}") };
    assert_eq!((delivery.id, delivery.state, delivery.attempts), (first, DeliveryState::Sending, 1));
    let body: DeliveryBody = serde_json::from_str(&delivery.body).expect("a body");
    assert_eq!((body.kind.as_str(), body.data.text.as_str()), ("run.message", "half way"));
    assert!(body.data.artifacts[0].url.starts_with("file:///artifacts/"), "linked, not inlined");
    let owed = store
        .deliveries(DeliveryFilter { run: Some(by.run), limit: 9, ..DeliveryFilter::default() })
        .await
        .expect("readable");
    assert_eq!(&owed[..], &effects.deliveries[..]);
    for seq in 2..=100 {
        command::<DeliveryId>(store, &by, seq, send("more")).await.0.expect("100 fit");
    }
    let (full, effects) = command::<DeliveryId>(store, &by, 101, send("too many")).await;
    assert!(matches!(full, Err(ImportError::Limit(hit)) if hit.which == "delivery.per-run"));
    assert!(effects.deliveries.is_empty());
}

pub(crate) async fn an_artifact_is_taken_from_the_purse(store: &dyn Store) {
    let by = root(store, 1).await;
    let film = artifact(1);
    let (answer, _) = command::<ArtifactRef>(store, &by, 1, Command::Artifact(film.clone())).await;
    assert_eq!(answer, Ok(film.clone()));
    let left = ROOT.artifact_bytes - film.size;
    assert_eq!(get(store, by.run).await.purse.artifact_bytes, left);
    let large = ArtifactRef { size: left + 1, ..artifact(2) };
    let refused =
        command::<ArtifactRef>(store, &by, 2, Command::Artifact(large)).await.0.expect_err("too large");
    assert!(
        matches!(&refused, ImportError::Limit(hit) if hit.which == "purse.artifact-bytes" && hit.value == left)
    );
    assert_eq!(get(store, by.run).await.purse.artifact_bytes, left);
}

pub(crate) async fn a_request_pays_with_its_answer_and_brings_its_file(store: &dyn Store) {
    let by = root(store, 1).await;
    let film = artifact(1);
    let spent = sublane_core::Purse { requests: 1, bytes_in: 7, ..Default::default() };
    let paying = By { spent, ..by.clone() };
    let requested = |file| Command::Requested { answer: r#"{"Ok":"answered"}"#.into(), file };
    let before = get(store, by.run).await.purse;
    let answer = command::<String>(store, &paying, 1, requested(Some(film.clone()))).await.0;
    assert_eq!(answer.as_deref(), Ok("answered"));
    let mut left = before;
    left.spend(sublane_core::Purse { artifact_bytes: film.size, ..spent });
    assert_eq!(get(store, by.run).await.purse, left);
    assert_eq!(store.readable_artifact(by.run, film.id.clone().into()).await.expect("readable"), Ok(film));
    let large = ArtifactRef { size: left.artifact_bytes + 1, ..artifact(2) };
    let refused = command::<String>(store, &by, 2, requested(Some(large))).await.0.expect_err("too large");
    assert!(matches!(&refused, ImportError::Limit(hit) if hit.which == "purse.artifact-bytes"));
    assert_eq!(command::<String>(store, &by, 3, requested(None)).await.0.as_deref(), Ok("answered"));
    assert_eq!(get(store, by.run).await.purse, left);
}

pub(crate) async fn a_run_reads_its_own_its_tasks_and_its_childrens_artifacts(store: &dyn Store) {
    let mut task = message(1, "console:me");
    task.spec.artifacts = vec![artifact(1)];
    let run = store.accept(task).await.expect("accepted").run;
    let by = claim(store, run).await;
    command::<ArtifactRef>(store, &by, 1, Command::Artifact(artifact(2))).await.0.expect("room");
    let given = spawn_with(store, &by, 2, |_| {}).await.answer.expect("room").run;
    let child = claim(store, given).await;
    let output = Output { value: "null".into(), text: None, artifacts: vec![artifact(3)] };
    let other = accept(store, 2).await.run;
    let read = async |run: RunId, n: u8| {
        store.readable_artifact(run, artifact(n).id.into()).await.expect("the run is there")
    };
    assert!(read(run, 3).await.is_err(), "not given back yet");
    store.finish(child, Outcome::Succeeded(output)).await.expect("it has its claim");
    for n in 1..=3 {
        assert_eq!(read(run, n).await, Ok(artifact(n)), "artifact {n}");
        assert!(read(other, n).await.is_err(), "artifact {n} is none of its business");
    }
    assert_eq!(read(given, 3).await, Ok(artifact(3)), "its own");
    assert!(matches!(read(run, 4).await, Err(ImportError::Denied(_))));
}

pub(crate) async fn a_refusal_before_the_store_is_an_entry_too(store: &dyn Store) {
    let by = root(store, 1).await;
    let refusal = ImportError::Denied("kv notes (write)".into());
    let (answer, effects) = command::<()>(store, &by, 1, Command::Refused(refusal.clone())).await;
    assert_eq!((answer, effects), (Err(refusal), Effects::default()));
}

pub(crate) async fn intents_are_applied_in_order_and_once(store: &dyn Store) {
    let first = store.ask(r#"{"send":"hi"}"#.into(), at(1)).await.expect("asked");
    let second = store.ask(r#"{"cancel":"x"}"#.into(), at(2)).await.expect("asked");
    assert!(first < second);
    let intents = store.intents(9).await.expect("readable");
    assert_eq!(intents.iter().map(|intent| intent.number).collect::<Vec<_>>(), [first, second]);
    assert_eq!((&*intents[0].body, intents[0].created), (r#"{"send":"hi"}"#, at(1)));
    assert_eq!(store.intents(1).await.expect("readable").len(), 1);
    for number in [first, second, second] {
        store.intent_done(number, "{}".into()).await.expect("done twice is done");
    }
    assert!(store.intents(9).await.expect("readable").is_empty());
    assert!(store.ask("{}".into(), at(3)).await.expect("asked") > second, "a number is never used again");
}

pub(crate) async fn progress_is_the_newest(store: &dyn Store) {
    let by = root(store, 1).await;
    let report = |percent, note: &str| {
        vec![(by.run, percent, Arc::from(note)), (RunId([9; 16]), 1, Arc::from("gone"))]
    };
    store.progress(report(10, "drawing")).await.expect("a run that is gone is no error");
    store.progress(report(60, "encoding")).await.expect("written");
    assert_eq!(get(store, by.run).await.progress, Some((60, "encoding".into())));
    store.finish(by.clone(), success()).await.expect("it has its claim");
    store.progress(report(99, "too late")).await.expect("no error");
    assert_eq!(get(store, by.run).await.progress, Some((60, "encoding".into())));
}
