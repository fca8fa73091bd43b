//! Journals that were written once, each with the component that wrote it, and replay for ever.
//!
//! `UPDATE_JOURNALS=1` writes those of today's format anew. A file of an older format is never
//! written again: what reads it may change, and what it says may not.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sublane::exported::Exported;
use sublane::plugin::kept::Kept;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, repository, temporary};
use tempfile::TempDir;

use super::{elsewhere, text};

fn fixtures() -> PathBuf {
    repository().join("tests/fixtures/journals")
}

fn manifest(web: &Web) -> String {
    format!(
        r#"
id = "spawns"
version = "0.1.0"
[asks]
spawn = {{ agents = ["spawns"], depth = 2 }}
channels = ["origin"]
tools = [{{ plugin = "spawns" }}]
kv = [{{ bucket = "notes", mode = "read-write" }}]
files = [{{ root = "out", mode = "read-write" }}]
http = [{{ to = "http://127.0.0.1:{port}", methods = ["GET", "POST"] }}]
secrets = [{{ name = "api", header = "Authorization", audience = "http://127.0.0.1:{port}/v1" }}]
artifacts = {{ bytes = "1MiB" }}
requests = 9
bytes-out = "1MiB"
bytes-in = "1MiB"
"#,
        port = web.port
    )
}

/// One call of each kind, and one error of each kind.
fn steps(web: &Web) -> Value {
    let url = format!("http://127.0.0.1:{}/v1", web.port);
    let inner = json!({ "steps": [
        { "kv-set": { "bucket": "notes", "key": "in", "value": "a tool" } },
        { "sleep": 5 },
        { "call": { "plugin": "spawns", "tool": "echo", "arguments": { "value": [1, null] } } },
    ] });
    json!([
        "now", "random",
        { "log": { "level": "info", "text": "begun" } },
        { "progress": { "percent": 5, "note": "begun" } },
        { "kv-set": { "bucket": "notes", "key": "a", "value": "1" } },
        { "kv-get": { "bucket": "notes", "key": "a" } },
        { "kv-set-if": { "bucket": "notes", "key": "a", "held": "2", "value": "3" } },
        { "kv-list": { "bucket": "notes", "prefix": "" } },
        { "kv-delete": { "bucket": "notes", "key": "a" } },
        { "kv-get": { "bucket": "private", "key": "a" } },
        { "kv-set": { "bucket": "notes", "key": "x".repeat(5_000), "value": "1" } },
        "tools",
        { "call": { "plugin": "spawns", "tool": "act", "arguments": inner } },
        { "call": { "plugin": "spawns", "tool": "echo", "arguments": [] } },
        { "spawn": { "agent": "spawns/echo", "task": { "film": "sea" }, "name": "echo" } },
        { "spawn": { "agent": "others/echo" } },
        { "wait": {} },
        { "status": 0 },
        "children",
        { "send": { "child": 0, "message": 1 } },
        { "receive": { "within-ms": 1 } },
        { "first": [{ "within-ms": 1 }, "message"] },
        { "cancel": { "child": 0, "reason": "enough" } },
        { "deliver": { "to": "origin", "text": "half of it" } },
        { "write": { "name": "a.txt", "text": "hello" } },
        { "file-write": { "path": "out/a.txt", "text": "hello" } },
        { "file-read": "out/a.txt" },
        { "file-read": "out/none.txt" },
        { "file-list": "out" },
        { "file-size": "out/a.txt" },
        { "file-dir": "out/b" },
        { "file-move": { "path": "out/a.txt", "to": "b/a.txt" } },
        { "file-remove": "out/b/a.txt" },
        { "placeholder": "api" },
        { "http": { "url": url, "headers": [["authorization", "{api}"]], "secrets": ["api"] } },
        { "http": { "url": "http://127.0.0.1:1/" } },
        { "http": { "method": "POST", "url": url, "body": "stop", "undo": true } },
        { "hook": {} },
        { "hook-wait": { "hook": 0, "within-ms": 1 } },
        { "hook-close": 0 },
        { "spawn": { "agent": "spawns/echo", "name": "again", "retry": { "times": 1, "after-ms": 1_000 } } },
        { "wait": { "children": [1] } },
        "journal-used",
        { "continue": "no steps" },
        { "sleep": 1 },
    ])
}

async fn host(web: &Web, directory: &Arc<TempDir>) -> TestHost {
    let out = directory.path().join("out");
    std::fs::create_dir(&out).expect("a directory");
    let setup = Setup::durable(directory).plugin_with("spawns", &manifest(web));
    setup.files("out", out).secret("api", "tr0ub4dor-secret").hooks().start().await
}

/// Runs the steps, and gives the run as a file has it.
async fn recorded(then: Value) -> String {
    let web = Web::start(|_| Answer::ok("ok")).await;
    let directory = temporary();
    let host = host(&web, &directory).await;
    let mut steps = steps(&web);
    steps.as_array_mut().expect("a list").push(then);
    let run = host.begin("spawns/act", steps).await;
    host.ended(run).await;
    let store = &host.inner().store;
    let row = store.run(run).await.expect("the store answers").expect("it is there");
    let kept = Kept::read_only(&directory.path().join("components"));
    let exported = Exported::of(&**store, &row, Some(&kept)).await.expect("the store answers");
    assert!(exported.entries.len() >= 35, "only {} calls were made", exported.entries.len());
    exported.to_json()
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_that_were_written_before_replay() {
    if std::env::var_os("UPDATE_JOURNALS").is_some() {
        std::fs::create_dir_all(fixtures()).expect("a directory");
        let written = recorded(json!({ "fail": "enough of it" })).await;
        // `format-1-each-import.json` was written before there were policies and generations.
        std::fs::write(fixtures().join("format-1-with-generations.json"), written).expect("written");
    }
    let (_directory, line) = elsewhere();
    let mut files: Vec<_> = std::fs::read_dir(fixtures())
        .expect("there are journals")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no journals in {}", fixtures().display());
    for file in files {
        let said = line.run(&["replay", text(&file), "--json"]).await;
        assert_eq!(said.exit, 0, "{}: {said:?}", file.display());
        let entries =
            Exported::parse(&std::fs::read(&file).expect("it is there")).expect("it is read").entries;
        let told = said.json();
        assert_eq!(
            (&told["came_to"], &told["agrees"]),
            (&json!("ended"), &json!(true)),
            "{}",
            file.display()
        );
        let calls = told["calls"].as_array().expect("a list").len();
        assert!(calls > 30 && calls <= entries.len(), "{}: {calls} calls", file.display());
    }
}

/// The same run, made today, agrees with itself: what is written now is what fixtures are of.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_each_import_replays_on_the_day_it_is_written() {
    let (directory, line) = elsewhere();
    let file = directory.path().join("run.json");
    std::fs::write(&file, recorded(json!("now")).await).expect("written");
    let said = line.run(&["replay", text(&file), "--json"]).await;
    assert_eq!(said.exit, 0, "{said:?}");
}
