//! Plugins in JavaScript and Python, on what a host serves of WASI: built by the two commands that
//! their READMEs name, they spawn, log, sleep and replay, and reach nothing of the machine.

mod languages;

use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Failure, Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::LogLevel;
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, TestHost, temporary, value};

use crate::handmade;
use languages::{JAVASCRIPT, Language, PYTHON};

const START: Timestamp = Timestamp(1_800_000_000_000);

/// The lines of a run's log.
async fn lines(host: &TestHost, run: RunId) -> Vec<(LogLevel, String)> {
    let log = host.inner().store.logs(run, 0).await.expect("readable");
    log.into_iter().map(|line| (line.level, line.line.to_string())).collect()
}

/// It spawns and waits, its console is the run's log, and others call its tool.
async fn works(language: &Language) {
    const ASKS: &str = "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\ntools = [{ plugin = \"PLUGIN\" }]\n";
    let id = language.id();
    let clock = Arc::new(ManualClock::at(START));
    let host = Setup::in_memory().component(language.component()).clock(clock);
    let host = host.plugin_with("spawns", &ASKS.replace("PLUGIN", id)).start().await;
    let run =
        host.begin(&format!("{id}/count-lines"), json!({ "text": "one two\nthree\nfour five six" })).await;
    assert_eq!(value(&host.ended(run).await), json!([2, 1, 3]));
    let said = lines(&host, run).await;
    let begun = &said[0].1;
    assert!(begun.starts_with("3 lines, begun at 2027-01-15T08:00:00"), "{said:?}");
    assert_eq!(said[1], (LogLevel::Info, "the last of 3 has ended".to_owned()), "{said:?}");

    let call = |dice: Value| json!([{ "call": { "plugin": id, "tool": "roll_dice", "arguments": { "dice": dice } } }]);
    let run = host.begin("spawns/act", call(json!(20))).await;
    let rolled = value(&host.ended(run).await)[0].clone();
    let rolled: Vec<u64> = serde_json::from_value(rolled).expect("numbers");
    assert!(rolled.len() == 20 && rolled.iter().all(|die| (1..=6).contains(die)), "{rolled:?}");
    let log = host.inner().store.logs(run, 0).await.expect("readable");
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].plugin.as_deref() == Some(id) && log[0].line.starts_with("roll_dice: "), "{log:?}");
    let refused = value(&host.run("spawns/act", call(json!(0))).await).to_string();
    assert!(refused.contains("dice"), "its schema is read: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_javascript_spawns_logs_and_offers_a_tool() {
    works(&JAVASCRIPT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_python_spawns_logs_and_offers_a_tool() {
    works(&PYTHON).await;
}

/// A run waits, and its instance is dropped.
async fn dropped(host: &TestHost, run: RunId) {
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    let lanes = &host.inner().lanes;
    host.until("it is parked", || lanes.parked() == 1).await;
    lanes.cool_down(Duration::ZERO, host.inner().clock.now());
    host.when(run, "dropped from memory", |run| run.state == RunState::Waiting { token: None }).await;
}

/// What the agent `look-around` sees before and after it has slept for a minute, in which its instance
/// was dropped; and what it said.
async fn looks_around(language: &Language, task: Value) -> (Value, Vec<(LogLevel, String)>) {
    let clock = Arc::new(ManualClock::at(START));
    let host = Setup::in_memory().component(language.component()).clock(clock.clone()).start().await;
    let agent = format!("{}/look-around", language.id());
    let run = host.begin(&agent, task.clone()).await;
    dropped(&host, run).await;
    clock.advance(Duration::from_secs(90));
    let seen = value(&host.ended(run).await);
    let ended = host.when(run, "ended", Run::is_ended).await;
    assert!(ended.attempt >= 2, "its instance was dropped while it slept");
    let said = lines(&host, run).await;

    let other = host.begin(&agent, task).await;
    dropped(&host, other).await;
    clock.advance(Duration::from_secs(90));
    let others = value(&host.ended(other).await);
    assert_ne!(others["bytes"], seen["bytes"], "another run has another seed");
    assert_ne!(others["random"], seen["random"], "another run has another seed");
    (seen, said)
}

/// What it said before it slept was said once, and is what a replay drew again.
fn check_said(seen: &Value, said: &[(LogLevel, String)]) {
    let warn = |text: &str| (LogLevel::Warn, text.to_owned());
    let before = (LogLevel::Info, format!("before {}", seen["random"]));
    assert_eq!(said, [before, warn("one line"), warn("and another")]);
    assert_ne!(seen["random"], seen["again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_sees_the_same_after_a_sleep_in_which_its_instance_was_dropped() {
    let (seen, said) =
        looks_around(&JAVASCRIPT, json!({ "sleepMs": 60_000, "url": "http://127.0.0.1:9/" })).await;
    check_said(&seen, &said);
    assert_eq!(seen["before"], json!(START.0));
    assert_eq!(seen["after"], json!(START.0 + 90_000));
    check(
        &seen["fetched"],
        expect![[r#""refused: Error: fetch_https: An error occurred while using the host API.\n""#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn python_sees_the_same_after_a_sleep_and_nothing_of_the_machine() {
    let (mut seen, said) = looks_around(&PYTHON, json!({ "sleep_seconds": 60 })).await;
    check_said(&seen, &said);
    assert_eq!(seen["before"], json!(START.0 as f64 / 1e3));
    assert_eq!(seen["after"], json!((START.0 + 90_000) as f64 / 1e3));
    for is_drawn in ["before", "after", "random", "again", "bytes"] {
        seen.as_object_mut().expect("an object").remove(is_drawn);
    }
    check(
        &seen,
        expect![[r#"
        {
          "arguments": [],
          "directory": "FileNotFoundError: [Errno 44] No such file or directory: '/'",
          "environment": [],
          "file": "FileNotFoundError: [Errno 44] No such file or directory: '/etc/passwd'",
          "listen": "PermissionError: [Errno 2] Permission denied",
          "name": "PermissionError: [Errno 2] Permission denied",
          "socket": "PermissionError: [Errno 2] Permission denied",
          "stdin": "got ''",
          "write": "FileNotFoundError: [Errno 44] No such file or directory: 'escaped'"
        }"#]],
    );
}

fn check(seen: &Value, expected: Expect) {
    expected.assert_eq(&serde_json::to_string_pretty(seen).expect("JSON"));
}

/// It computes without end, in the interpreter: its purse ends it.
async fn spins(language: &Language) {
    let (_place, component) = language.component_with("cpu = \"300ms\"\n");
    let host = Setup::in_memory().component(component).start().await;
    let outcome = host.run(&format!("{}/spin", language.id()), json!({})).await;
    assert!(matches!(outcome, Outcome::Failed { reason: Failure::OutOfCpu, .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_in_javascript_uses_up_its_purse() {
    spins(&JAVASCRIPT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_in_python_uses_up_its_purse() {
    spins(&PYTHON).await;
}

/// What a traceback ends with is why the run failed; all of it is in the log.
#[tokio::test(flavor = "multi_thread")]
async fn an_exception_in_python_says_why_the_run_failed() {
    let host = Setup::in_memory().component(PYTHON.component()).start().await;
    let run = host.begin("python/fail", json!({})).await;
    let Outcome::Failed { reason, message, .. } = host.ended(run).await else { panic!("it succeeded") };
    let said = lines(&host, run).await;
    assert_eq!(reason, Failure::Trapped);
    assert!(message.contains("\nValueError: the film is torn\n"), "{message}");
    assert_eq!(said[0].1, "it fails now");
    assert!(said.iter().any(|(_, line)| line.contains("app.py")), "{said:?}");
}

/// A memory in which a list lies at 16: of one definition, of that name, with a schema that all fits.
const DATA: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 16) "\20\00\00\00\01\00\00\00")
    (data (i32.const 32) "\40\00\00\00\05\00\00\00\40\00\00\00\05\00\00\00\48\00\00\00\02\00\00\00")
    (data (i32.const 64) "guest")
    (data (i32.const 72) "{}")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)"#;

/// A component by hand: imports of WASI, and what an agent's run does.
fn by_hand(imports: &str, run: &str) -> Vec<u8> {
    handmade::agent(str::to_owned, |entry| {
        format!(
            r#"(module
                {imports}
                {DATA}
                (func (export "{entry}#list-agents") (result i32) i32.const 16)
                (func (export "{entry}#run") (param i32 i32 i32 i32 i32 i32) (result i32) {run}))"#
        )
    })
}

/// The directory of a plugin with this component.
fn placed(component: &[u8]) -> (Arc<tempfile::TempDir>, std::path::PathBuf) {
    let directory = temporary();
    let path = directory.path().join("guest.wasm");
    std::fs::write(&path, component).expect("written");
    let manifest = "id = \"guest\"\nversion = \"0.1.0\"\n[asks]\ntimeout = \"10m\"\n";
    std::fs::write(directory.path().join("plugin.toml"), manifest).expect("written");
    (directory, path)
}

const SLEEPS: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $in (param i64) (result i32)))
    (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))"#;

/// A sleep that ends after the deadline ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_beyond_the_deadline_times_out() {
    let (_directory, path) = placed(&by_hand(SLEEPS, "(call $block (call $in (i64.const -1))) unreachable"));
    let clock = Arc::new(ManualClock::at(START));
    let host = Setup::in_memory().component(path).clock(clock.clone()).start().await;
    let run = host.begin("guest/guest", json!(null)).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    clock.advance(Duration::from_secs(601));
    assert_eq!(host.ended(run).await, Outcome::TimedOut);
    assert_eq!(host.inner().clock.now(), START.after(Duration::from_secs(601)));
}

/// A line that did not end is logged at the end, and why it broke down is what it said on stderr.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_began_to_write_is_logged_when_it_ends() {
    let imports = r#"
        (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $out (result i32)))
        (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $err (result i32)))
        (import "wasi:io/streams@0.2.12" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))"#;
    let text = r#"(data (i32.const 512) "one\r\ntwo\nthree\1b[2J")"#;
    let run = r#"
        (call $write (call $out) (i32.const 512) (i32.const 2) (i32.const 256))
        (call $write (call $out) (i32.const 514) (i32.const 16) (i32.const 256))
        (call $write (call $err) (i32.const 512) (i32.const 8) (i32.const 256))
        unreachable"#;
    let (_directory, path) = placed(&by_hand(&format!("{imports}{text}"), run));
    let host = Setup::in_memory().component(path).start().await;
    let guest = host.begin("guest/guest", json!(null)).await;
    let Outcome::Failed { reason, message, .. } = host.ended(guest).await else { panic!("it succeeded") };
    assert_eq!((reason, &*message), (Failure::Trapped, "one\ntwo"));
    let said = lines(&host, guest).await;
    let said: Vec<_> = said.iter().map(|(level, line)| (*level, line.as_str())).collect();
    let (info, warn) = (LogLevel::Info, LogLevel::Warn);
    assert_eq!(said, [(info, "one"), (info, "two"), (warn, "one"), (info, "three\u{1b}[2J"), (warn, "two")]);
}

/// Whatever patch version a toolchain knows of, older than ours or newer, served or denied.
#[tokio::test(flavor = "multi_thread")]
async fn any_patch_version_of_wasi_0_2_is_linked() {
    let imports = r#"
        (import "wasi:random/random@0.2.12" "get-random-u64" (func (result i64)))
        (import "wasi:cli/environment@0.2.12" "get-environment" (func (param i32)))"#;
    let ours = by_hand(imports, "unreachable");
    for version in [*b"@0.2.10", *b"@0.2.99"] {
        let mut component = ours.clone();
        let places = (0..ours.len()).filter(|at| ours[*at..].starts_with(b"@0.2.12"));
        places.for_each(|at| component[at..at + version.len()].copy_from_slice(&version));
        assert_ne!(component, ours);
        let (_directory, path) = placed(&component);
        let host = Setup::in_memory().component(path).start().await;
        let outcome = host.run("guest/guest", json!(null)).await;
        assert!(matches!(outcome, Outcome::Failed { reason: Failure::Trapped, .. }), "{outcome:?}");
    }
}

/// A tool call is short: there it is told so, as by `timer.sleep`, and its caller goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_sleeps_by_wasi_traps() {
    let tool = handmade::toolbox(|entry| {
        format!(
            r#"(module
                {SLEEPS}
                {DATA}
                (func (export "{entry}#list-tools") (result i32) i32.const 16)
                (func (export "{entry}#call-tool") (param i32 i32 i32 i32) (result i32)
                    (call $block (call $in (i64.const 1))) unreachable))"#
        )
    });
    let (_directory, path) = placed(&tool);
    const ASKS: &str = "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\ntools = [{ plugin = \"guest\" }]\n";
    let host = Setup::in_memory().component(path).plugin_with("spawns", ASKS).start().await;
    let call = json!([{ "call": { "plugin": "guest", "tool": "guest", "arguments": {} } }]);
    let said = value(&host.run("spawns/act", call).await).to_string();
    assert!(said.contains("a tool call is short: it cannot sleep"), "{said}");
}

/// What a component uses of WASI is said in plain words before somebody allows it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_uses_of_wasi_is_told() {
    let imports = r#"
        (import "wasi:cli/stderr@0.2.12" "get-stderr" (func (result i32)))
        (import "wasi:cli/environment@0.2.12" "get-environment" (func (param i32)))
        (import "wasi:random/random@0.2.12" "get-random-u64" (func (result i64)))
        (import "wasi:filesystem/preopens@0.2.12" "get-directories" (func (param i32)))
        (import "wasi:sockets/tcp-create-socket@0.2.12" "create-tcp-socket" (func (param i32 i32)))
        (import "wasi:http/types@0.2.12" "[constructor]fields" (func (result i32)))"#;
    let (directory, path) = placed(&by_hand(&format!("{SLEEPS}{imports}"), "unreachable"));
    let line = CommandLine::alone(&directory);
    let said = line.run(&["plugin", "check", path.to_str().expect("text")]).await;
    let (_, told) = said.out.split_once("uses WASI\n").unwrap_or_else(|| panic!("{said:?}"));
    let (told, _) = told.split_once("asks to").expect("the next part");
    let told: Vec<&str> = told.lines().map(str::trim).collect();
    expect![[r#"
        clocks: the time of the run; sleeping is a wait
        random: from the seed of the run
        stdout, stderr: lines of the log of the run
        environment, arguments: empty
        denied: files; those of the operator are in the import `files`
        denied: sockets and names of machines
        denied: HTTP; requests are made by the import `http`"#]]
    .assert_eq(&told.join("\n"));
    let told = line.json(&["plugin", "check", path.to_str().expect("text")]).await;
    assert!(
        told["wasi"].as_array().is_some_and(|wasi| wasi.contains(&json!("wasi:sockets/tcp-create-socket")))
    );
}
