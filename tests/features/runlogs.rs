//! What plugins log: kept for whoever asks, bounded, repeated by no replay.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Outcome, Run, RunId, Timestamp};
use sublane_store::LogLevel;
use sublane_store::ops::{MAX_LOG_BYTES, log_bytes};
use sublane_tests::command::CommandLine;
use sublane_tests::{PATIENCE, Setup, TestHost, temporary};

fn log(level: &str, text: &str) -> Value {
    json!({ "log": { "level": level, "text": text } })
}

/// The lines of a run, each with its level.
async fn lines(host: &TestHost, run: RunId) -> Vec<(LogLevel, String)> {
    let log = host.inner().store.logs(run, 0).await.expect("readable");
    log.into_iter().map(|line| (line.level, line.line.to_string())).collect()
}

/// A durable host and the command line beside it.
async fn beside() -> (TestHost, CommandLine) {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    (Setup::durable(&directory).plugin("spawns").plugin("misbehaves").start().await, line)
}

fn said(shown: &Value) -> Vec<&str> {
    let lines = shown["lines"].as_array().expect("a list");
    lines.iter().map(|line| line["line"].as_str().expect("a text")).collect()
}

/// Complaint 46768: whoever waits for a run sees what it says of itself, also while it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_while_it_logs() {
    let (host, line) = beside().await;
    let steps = json!([log("info", "begun\nin two lines"), { "receive": {} }, log("error", "went on")]);
    let run = host.begin("spawns/act", steps).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    let id = run.to_string();
    let stored = async { while said(&line.json(&["runs", "logs", &id]).await) != ["begun\nin two lines"] {} };
    tokio::time::timeout(PATIENCE, stored).await.expect("it is stored soon, while the run waits");
    let mut followed = line.begin(&["runs", "logs", &id, "--follow", "--json"]);
    let first: Value = serde_json::from_str(&followed.line().await).expect("a line of JSON");
    assert_eq!((&first["level"], &first["number"]), (&json!("info"), &json!(1)));
    assert_eq!(line.run(&["runs", "send", &id, "1"]).await.exit, 0);
    let second: Value = serde_json::from_str(&followed.line().await).expect("a line of JSON");
    assert_eq!((&second["level"], &second["line"]), (&json!("error"), &json!("went on")));
    assert_eq!(followed.end().await, 0, "it ends with the run");

    let shown = line.run(&["runs", "logs", &id]).await;
    assert!(shown.out.contains("INFO   begun\n    in two lines\n"), "{}", shown.out);
    assert_eq!(said(&line.json(&["runs", "logs", &id, "--level", "warn"]).await), ["went on"]);
    assert_eq!(said(&line.json(&["runs", "logs", &id, "--lines", "1"]).await), ["went on"]);
    let nobody = line.run(&["runs", "logs", "nobody"]).await;
    assert_eq!((nobody.exit, nobody.err.contains("there is no run `nobody`")), (4, true));
}

/// A panic is a line at level error; lines of a whole tree are shown in the order of time.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_read_as_one_log() {
    let (host, line) = beside().await;
    let child = json!({ "spawn": { "agent": "misbehaves/panic", "name": "blunt", "attached": true } });
    // What two runs say in one millisecond has no order of time.
    let after = [json!({ "wait": {} }), json!({ "sleep": 2 }), log("debug", "after")];
    let before = [log("debug", "before"), json!({ "sleep": 2 }), child];
    let run = host.begin("spawns/act", json!([before.as_slice(), after.as_slice()].concat())).await;
    host.ended(run).await;
    let shown = line.json(&["runs", "logs", &run.to_string(), "--tree"]).await;
    let told = said(&shown);
    assert_eq!((told[0], told[2]), ("before", "after"));
    assert!(told[1].contains("the film is torn"), "{told:?}");
    assert_eq!((&shown["lines"][1]["level"], &shown["lines"][1]["name"]), (&json!("error"), &json!("blunt")));
    assert_eq!(said(&line.json(&["runs", "logs", &run.to_string()]).await), ["before", "after"]);
}

/// What a tool logs stands in the log of the run that called it, with the name of its plugin.
#[tokio::test(flavor = "multi_thread")]
async fn a_tools_lines_name_its_plugin() {
    let host = Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await;
    let call = json!({ "call": { "plugin": "misbehaves", "tool": "panic_here", "arguments": {} } });
    let run = host.begin("spawns/act", json!([log("info", "mine"), call])).await;
    host.ended(run).await;
    let log = host.inner().store.logs(run, 0).await.expect("readable");
    let plugins: Vec<_> = log.iter().map(|line| line.plugin.as_deref()).collect();
    assert_eq!(plugins, [None, Some("misbehaves")], "{log:?}");
}

/// A run that was dropped from memory and replayed says nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_repeats_no_line() {
    let mut setup = Setup::in_memory().plugin("spawns");
    setup.settings.hot_window = Duration::ZERO;
    let host = setup.start().await;
    let steps = json!([log("info", "one"), { "receive": {} }, log("info", "two"), { "receive": {} }, log("info", "three")]);
    let run = host.begin("spawns/act", steps).await;
    for _ in 0..2 {
        let evicted = |run: &Run| run.state == sublane_core::RunState::Waiting { token: None };
        host.when(run, "dropped from memory", evicted).await;
        let now = host.inner().clock.now();
        let woken = host.inner().store.send(run, "1".into(), None, now).await.expect("sent");
        host.inner().dispatch(woken);
    }
    let ended = host.when(run, "ended", Run::is_ended).await;
    assert!(ended.attempt >= 3, "it took {} attempts", ended.attempt);
    let info = |text: &str| (LogLevel::Info, text.to_owned());
    assert_eq!(lines(&host, run).await, [info("one"), info("two"), info("three")]);
}

/// A plugin that floods fills neither the disk nor the log of another; its newest lines are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lines_is_bounded_and_the_gap_is_told() {
    let host = Setup::in_memory().plugin("misbehaves").plugin("spawns").start().await;
    let quiet = host.begin("spawns/act", json!([log("info", "quiet")])).await;
    let flood = host.begin("misbehaves/flood", json!(2_000)).await;
    for run in [quiet, flood] {
        assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    }
    assert_eq!(lines(&host, quiet).await, [(LogLevel::Info, "quiet".to_owned())]);
    let log = host.inner().store.logs(flood, 0).await.expect("readable");
    let bytes: u64 = log.iter().map(|line| log_bytes(&line.line)).sum();
    assert!(bytes <= MAX_LOG_BYTES + (9 << 10), "{bytes} bytes are kept");
    assert!(log.last().is_some_and(|last| last.line.starts_with("1999 ")), "the newest is there");
    let numbered = log.last().expect("a line").number;
    let dropped: u64 = log.iter().map(|line| u64::from(line.dropped)).sum();
    assert!(numbered + dropped <= 2_000 && (numbered == 2_000 || dropped > 0), "{numbered}, {dropped}");
}

/// A host that stops keeps what was logged a moment before: its clock stands still, so that no
/// sweep has come by.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_keeps_what_was_logged() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
    let host = Setup::durable(&directory).clock(clock).plugin("spawns").start().await;
    let run = host.begin("spawns/act", json!([log("warn", "last words"), { "receive": {} }])).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    assert_eq!(lines(&host, run).await, []);
    host.host.stop().await;
    assert_eq!(said(&line.json(&["runs", "logs", &run.to_string()]).await), ["last words"]);
}
