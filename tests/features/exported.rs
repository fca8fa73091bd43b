//! A run as one file: what is in it, and that another machine executes it again from it.

mod journals;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use sublane_core::RunId;
use sublane_tests::command::{CommandLine, Said};
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, component, temporary};
use tempfile::TempDir;

/// The command line on a directory in which no host has ever been.
fn elsewhere() -> (Arc<TempDir>, CommandLine) {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    (directory, line)
}

/// Exports a run into `run.json` of the directory.
async fn export(line: &CommandLine, directory: &TempDir, run: RunId) -> PathBuf {
    let file = directory.path().join("run.json");
    let said = line.run(&["runs", "export", &run.to_string(), "--out", text(&file)]).await;
    assert_eq!(said.exit, 0, "{said:?}");
    file
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// Runs an agent to its end, exports it, and replays it where neither store nor host is.
async fn replayed(agent: &str, input: Value, exit: i32) -> (Value, Said) {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").plugin("misbehaves").start().await;
    let run = host.begin(agent, input).await;
    host.ended(run).await;
    let file = export(&line, &directory, run).await;
    host.host.stop().await;
    let (there, other) = elsewhere();
    let moved = there.path().join("moved.json");
    std::fs::copy(&file, &moved).expect("it is copied");
    drop((line, directory));
    let shown = other.run(&["replay", text(&moved)]).await;
    let said = other.run(&["replay", text(&moved), "--json"]).await;
    assert_eq!((said.exit, shown.exit), (exit, exit), "{said:?} {shown:?}");
    (said.json(), shown)
}

/// A run that looks for a value once, to its end.
async fn one_look(host: &TestHost) -> RunId {
    let run = host.begin("spawns/act", json!([{ "kv-get": { "bucket": "notes", "key": "none" } }])).await;
    host.ended(run).await;
    run
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(file).expect("it is there")).expect("JSON");
    change(&mut value);
    std::fs::write(file, value.to_string()).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_called_much_is_executed_again_elsewhere() {
    let act = json!({ "steps": [{ "kv-set": { "bucket": "notes", "key": "a", "value": "1" } }] });
    let steps = json!([
        { "kv-get": { "bucket": "notes", "key": "none" } },
        { "call": { "plugin": "spawns", "tool": "act", "arguments": act } },
        { "kv-get": { "bucket": "private", "key": "a" } },
        { "spawn": { "agent": "spawns/echo", "task": { "film": "sea" } } },
        { "wait": {} },
        "now", "random",
        { "write": { "name": "a.txt", "text": "hello" } },
        { "sleep": 5 },
    ]);
    let (json, shown) = replayed("spawns/act", steps, 0).await;
    assert_eq!((&json["came_to"], &json["agrees"]), (&json!("ended"), &json!(true)), "{json}");
    let calls: Vec<&str> = json["calls"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|call| call["import"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        calls,
        [
            "kv.get",
            "tools.call-tool",
            "kv.get",
            "subagent.spawn-subagent",
            "subagent.wait",
            "artifact.writer.finish",
            "timer.sleep"
        ]
    );
    assert_eq!(json["calls"][0]["arguments"], "\"notes\", \"none\"");
    assert_eq!(json["calls"][6]["arguments"], "5");
    assert!(json["calls"][2]["result"].as_str().expect("a text").contains("denied"), "{json}");
    assert!(shown.out.contains("kv.get(\"notes\", \"none\")"), "{shown:?}");
    assert!(shown.out.contains("the replay ended: succeeded with"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_is_seen_to_fail_again() {
    let (json, shown) = replayed("spawns/act", json!([{ "fail": "no sea" }]), 0).await;
    assert_eq!(json["came_to"], "ended");
    assert!(shown.out.contains("failed, it could not do the task: no sea"), "{shown:?}");
    let (json, shown) = replayed("misbehaves/trap", json!(null), 0).await;
    assert!(json["backtrace"].as_str().expect("a text").contains("wasm backtrace"), "{json}");
    assert!(shown.out.contains("the run ended: failed, it crashed"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_is_replayed_up_to_where_it_waits() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let steps = json!([{ "kv-get": { "bucket": "notes", "key": "none" } }, { "receive": {} }]);
    let run = host.begin("spawns/act", steps).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    let file = directory.path().join("run.json");
    let said = line.run(&["runs", "export", &run.to_string(), "--out", text(&file)]).await;
    assert!(said.exit == 0 && said.err.contains("lives"), "{said:?}");
    let shown = line.run(&["replay", text(&file)]).await;
    assert_eq!(shown.exit, 0, "{shown:?}");
    let end = "stopped at the journal's end: entry 2 would be subagent.receive (the run was waiting in subagent.receive)";
    assert!(shown.out.contains(end), "{shown:?}");
    let until = line.run(&["replay", text(&file), "--until", "1"]).await;
    assert!(until.exit == 0 && until.out.contains("the replay was stopped here"), "{until:?}");
    let nowhere = line.run(&["replay", text(&file), "--until", "first"]).await;
    assert!(nowhere.exit == 2 && nowhere.err.contains("`first` is no path"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_private_whole_and_replaced_only_when_that_is_said() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let run = host.begin("spawns/echo", json!(1)).await;
    host.ended(run).await;
    let file = export(&line, &directory, run).await;
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let id = run.to_string();
    std::fs::write(&file, "mine").expect("written");
    let again = line.run(&["runs", "export", &id, "--out", text(&file)]).await;
    assert!(again.exit == 4 && again.err.contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read(&file).expect("it is there"), b"mine");
    let told = line.json(&["runs", "export", &id, "--out", text(&file), "--force"]).await;
    assert_eq!((&told["entries"], &told["plugins"]), (&json!(0), &json!(1)));
    let out = line.run(&["runs", "export", &id, "--out", "-", "--without-component"]).await;
    let bare: Value = serde_json::from_str(&out.out).expect("JSON");
    assert_eq!((&bare["format"], &bare["plugins"]), (&json!(1), &json!([])));
    // Without a component one is named.
    std::fs::write(&file, &out.out).expect("written");
    let without = line.run(&["replay", text(&file)]).await;
    assert!(without.exit == 2 && without.err.contains("name the component with --component"), "{without:?}");
    let named = component("spawns");
    let with = line.run(&["replay", text(&file), "--component", text(&named)]).await;
    assert_eq!(with.exit, 0, "{with:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_something_else_is_told_both_sides() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let run = one_look(&host).await;
    let file = export(&line, &directory, run).await;
    // As if it had been another's journal: what it was asked has changed.
    change(&file, |value| value["run"]["input"] = json!(r#"[{"kv-get":{"bucket":"notes","key":"other"}}]"#));
    let said = line.run(&["replay", text(&file)]).await;
    assert_eq!(said.exit, 6, "{said:?}");
    assert!(said.out.contains("kv.get(\"notes\", \"other\")"), "{said:?}");
    assert!(said.out.contains("but the journal holds kv.get"), "{said:?}");
    assert!(said.err.contains("does not agree"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_or_newer_says_where() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let run = one_look(&host).await;
    let file = export(&line, &directory, run).await;
    let whole = std::fs::read(&file).expect("it is there");
    let refused = async |changed: Vec<u8>| {
        std::fs::write(&file, changed).expect("written");
        let said = line.run(&["replay", text(&file)]).await;
        assert_eq!(said.exit, 2, "{said:?}");
        said.err
    };
    let with = |change: fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&whole).expect("JSON");
        change(&mut value);
        value.to_string().into_bytes()
    };
    assert!(
        refused(whole[..whole.len() / 2].to_vec()).await.contains("it is no exported run, or it is damaged")
    );
    assert!(refused(b"{}".to_vec()).await.contains("missing field `format`"));
    assert!(refused(with(|value| value["format"] = json!(7))).await.contains("it has format 7"));
    let import = refused(with(|value| value["entries"][0]["import"] = json!("moon.land"))).await;
    assert!(import.contains("journal entry 1 is an answer of `moon.land`"), "{import}");
    let manifest = refused(with(|value| value["plugins"][0]["manifest"] = json!("id = 1"))).await;
    assert!(manifest.contains("is not what its digest says"), "{manifest}");
    let gone = line.run(&["replay", "/nowhere/run.json"]).await;
    assert!(gone.exit == 2 && gone.err.contains("cannot be read"), "{gone:?}");
}

/// A host whose plugin may send a secret to `web`.
async fn with_secret(web: &Web, directory: &Arc<TempDir>) -> TestHost {
    let manifest = format!(
        "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\n\
         http = [{{ to = \"http://127.0.0.1:{port}\", methods = [\"GET\", \"POST\"] }}]\n\
         secrets = [{{ name = \"api\", header = \"Authorization\", audience = \"http://127.0.0.1:{port}/v1\" }}]\n\
         requests = 9\nbytes-out = \"1MiB\"\nbytes-in = \"1MiB\"\n",
        port = web.port
    );
    Setup::durable(directory).plugin_with("spawns", &manifest).secret("api", "tr0ub4dor-secret").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_secret_is_in_it_and_nobody_is_asked_again() {
    let web = Web::start(|_| Answer::ok("tr0ub4dor-secret")).await;
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = with_secret(&web, &directory).await;
    let url = format!("http://127.0.0.1:{}/v1", web.port);
    let ask = json!({ "http": { "url": url, "headers": [["authorization", "{api}"]], "secrets": ["api"] } });
    let run = host.begin("spawns/act", json!([ask])).await;
    host.ended(run).await;
    let file = export(&line, &directory, run).await;
    let said = std::fs::read_to_string(&file).expect("it is there");
    assert!(said.contains("http.send") && !said.contains("tr0ub4dor"), "a value is in the file");
    host.host.stop().await;
    // The server is gone as well.
    drop(web);
    let shown = line.run(&["replay", text(&file), "--full"]).await;
    assert_eq!(shown.exit, 0, "{shown:?}");
    assert!(shown.out.contains(&format!("http.send(\"GET\", \"{url}\"")), "{shown:?}");
}
