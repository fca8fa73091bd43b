//! A disk that has no room: nothing new is begun, nothing that was accepted is lost, and it goes on
//! when there is room again.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};
use sublane::intake::{IntakeError, Task};
use sublane_core::Outcome;
use sublane_tests::command::binary;
use sublane_tests::serving::Serving;
use sublane_tests::{Setup, TestHost, component, temporary, value};
use tempfile::TempDir;

async fn refused(host: &TestHost) -> IntakeError {
    let task = Task {
        agent: "spawns/echo".to_owned(),
        input: "1".to_owned(),
        origin: "console:test".parse().expect("well formed"),
        lane: "main",
        deliver: Vec::new(),
        event: None,
    };
    host.inner().task(task).await.expect_err("there is no room for it")
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_floor_nothing_new_is_begun_and_what_lives_goes_on() {
    let free = Arc::new(AtomicU64::new(64 << 20));
    let host = Setup::in_memory().plugin("spawns").disk(free.clone(), 32 << 20).start().await;
    let waits = host.begin("spawns/act", json!([{ "receive": { "within-ms": 1 } }])).await;
    assert!(matches!(host.ended(waits).await, Outcome::Succeeded(_)));
    host.inner().lanes.pause("main");
    let steps = json!([
        { "spawn": { "agent": "spawns/echo", "task": 1 } },
        { "write": { "name": "a.txt", "text": "a" } },
    ]);
    let before = host.begin("spawns/act", steps).await;
    free.store(3 << 20, Ordering::SeqCst);
    let told = refused(&host).await.to_string();
    let words = "has 3 MiB left, and below 32 MiB (`limits.free-disk`) nothing new is begun: make room there";
    assert!(told.contains(words), "{told}");
    host.inner().lanes.resume_lane(host.inner(), "main");
    // Refused before there is room again.
    while host.inner().store.journal(before, 0).await.expect("readable").is_empty() {
        tokio::task::yield_now().await;
    }
    let run = host.inner().store.run(before).await.expect("readable").expect("there");
    assert!(!run.is_ended(), "its file waits for room");
    free.store(64 << 20, Ordering::SeqCst);
    host.inner().disk.look().expect("there is room");
    let found = value(&host.ended(before).await);
    assert!(found[0].to_string().contains("the limit host.free-disk-bytes of 33554432"), "{found}");
    assert_eq!(value(&host.run("spawns/echo", json!(2)).await), json!(2), "new runs are begun again");
}

/// A command in a mount namespace of its own, where `state` is a file system of so many bytes in
/// memory. `before` is done there by the shell first.
fn on_small_disk(state: &Path, size: &str, before: &str) -> Command {
    let script = format!(
        "mount -t tmpfs -o size={size},mode=0700 tmpfs \"$1\" && cd \"$1\" && {before} && shift && exec \"$@\""
    );
    let of = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).args(["sh", "-c", &script, "sh"]).arg(state);
        command
    };
    // As root, else as one who is root in a namespace of users.
    let ways: [&[&str]; 2] = [&["-m"], &["--map-root-user", "-m"]];
    let works = |way: &&[&str]| of(way).arg("true").output().is_ok_and(|output| output.status.success());
    let way = ways.into_iter().find(works);
    let mut command = of(way.expect("mounting needs root, or namespaces of users"));
    command.arg(binary());
    command
}

/// A configuration whose state directory is to be mounted.
fn configured(free_disk: &str, plugin: &str, agent: &str) -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("state");
    std::fs::create_dir(&state).expect("a directory");
    let text = format!(
        "state = \"state\"\ncache = \"cache\"\n[limits]\nfree-disk = \"{free_disk}\"\n\
         [plugins.{plugin}]\ncomponent = {:?}\nallow = \"asked\"\n\
         [channels.console]\nkind = \"console\"\nagent = \"{agent}\"\n",
        component(plugin)
    );
    let config = directory.path().join("sublane.toml");
    std::fs::write(&config, text).expect("the configuration is written");
    (directory, state, config)
}

/// A file as the process with this number sees it.
fn seen_by(pid: u32, path: &Path) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("root").join(path.strip_prefix("/").expect("absolute"))
}

/// Fills the disk until it takes nothing more, but for so many bytes.
fn fill(filler: &Path, leave: u64) {
    let mut file = OpenOptions::new().create(true).append(true).open(filler).expect("it can be made");
    for block in [64 << 10, 4 << 10] {
        while file.write_all(&vec![7; block]).is_ok() {}
    }
    let length = file.metadata().expect("there").len();
    file.set_len(length.saturating_sub(leave)).expect("shortened");
}

/// The texts of what was delivered.
fn texts(delivered: &[(String, String)]) -> Vec<String> {
    let text = |(_, body): &(String, String)| {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let found = body.to_string();
        found
            .split("said-")
            .nth(1)
            .map_or(found.clone(), |rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    delivered.iter().map(text).collect()
}

const REFUSED: &str = "a message was not accepted";
const LOW: &str = "the disk of the state directory is nearly full";
const ROOM: &str = "the disk of the state directory has room again";

/// Whatever was said is refused with words or answered once.
async fn check_none_is_lost(host: &mut Serving, said: usize) {
    // What is said is taken in order: when the last is answered, all before it was accepted or refused.
    host.say("said-999999");
    let is_last = |delivered: &[(String, String)]| texts(delivered).iter().any(|text| text == "999999");
    host.until("the last is answered", is_last).await;
    let refused = host.logged(REFUSED);
    assert!(refused > 0 && refused < said, "some of {said} were accepted: {refused}");
    host.until("all that was accepted is answered", |delivered| delivered.len() == said + 1 - refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_between_commits_loses_no_run() {
    const SAID: usize = 120;
    let (_directory, state, config) = configured("0KiB", "spawns", "spawns/echo");
    let mut host = Serving::start_by(on_small_disk(&state, "48m", "true"), &config).ready().await;
    let pid = u32::try_from(host.pid().as_raw_nonzero().get()).expect("a number");
    let filler = seen_by(pid, &state.join("filler"));
    for number in 0..SAID {
        host.say(&format!("said-{number}"));
        if number == 20 {
            // Commits are under way.
            fill(&filler, 0);
        }
    }
    host.logs(REFUSED).await;
    host.logs(LOW).await;
    std::fs::remove_file(&filler).expect("there is room again");
    host.logs(ROOM).await;
    check_none_is_lost(&mut host, SAID).await;
    let checked = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--mount"])
        .arg(binary())
        .arg("--config")
        .arg(&config)
        .args(["store", "check"])
        .output();
    // Who is root in a namespace of users only may not enter it from here.
    if rustix::process::geteuid().is_root() {
        let checked = checked.expect("nsenter of util-linux is here");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
    host.signal(Signal::TERM);
    let served = host.end().await;
    assert_eq!(served.exit, Some(0), "{}", served.log);
    let mut ids: Vec<_> = served.delivered.iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), served.delivered.len(), "each is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_below_its_floor_is_told_once_and_refuses_with_words() {
    let (_directory, state, config) = configured("4MiB", "spawns", "spawns/echo");
    let mut host = Serving::start_by(on_small_disk(&state, "16m", "true"), &config).ready().await;
    let pid = u32::try_from(host.pid().as_raw_nonzero().get()).expect("a number");
    host.say("said-1");
    host.until("it is answered", |delivered| delivered.len() == 1).await;
    let filler = seen_by(pid, &state.join("filler"));
    fill(&filler, 2 << 20);
    for number in 2..6 {
        host.say(&format!("said-{number}"));
    }
    host.logs(LOW).await;
    host.logs("below 4 MiB (`limits.free-disk`) nothing new is begun").await;
    std::fs::remove_file(&filler).expect("there is room again");
    host.logs(ROOM).await;
    check_none_is_lost(&mut host, 5).await;
    assert_eq!((host.logged(LOW), host.logged(ROOM)), (1, 1));
    host.signal(Signal::TERM);
    assert_eq!(host.end().await.exit, Some(0));
}

/// A thousand files on a disk that takes some hundred: the run waits in the middle, and all are there.
#[test]
fn a_run_whose_files_find_no_room_goes_on_when_there_is_some() {
    let (directory, state, config) = configured("0KiB", "spawns", "spawns/echo");
    let place = directory.path().join("litter");
    std::fs::create_dir(&place).expect("a directory");
    std::fs::copy(component("misbehaves"), place.join("misbehaves.wasm")).expect("copied");
    let manifest = "id = \"misbehaves\"\nversion = \"0.1.0\"\n[asks]\nartifacts = { bytes = \"8MiB\" }\n";
    std::fs::write(place.join("plugin.toml"), manifest).expect("written");
    let text = std::fs::read_to_string(&config).expect("there");
    let more = "[plugins.misbehaves]\ncomponent = \"litter/misbehaves.wasm\"\nallow = \"asked\"\n";
    std::fs::write(&config, text.replace("[channels", &format!("{more}[channels"))).expect("written");
    // Six of twenty-six MiB are left when it begins.
    let mut command = on_small_disk(&state, "26m", "head -c 20971520 /dev/zero > filler");
    command.arg("--config").arg(&config).args([
        "--json",
        "--log",
        "info",
        "run",
        "--agent",
        "misbehaves/litter",
    ]);
    command.args(["--task", "1000"]).env("USER", "ada").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut log = String::new();
    let mut is_waiting = true;
    for line in BufReader::new(child.stderr.take().expect("it is ours")).lines() {
        let line = line.expect("text");
        if is_waiting && line.contains(LOW) {
            std::fs::remove_file(seen_by(child.id(), &state.join("filler"))).expect("there is room again");
            is_waiting = false;
        }
        log.push_str(&line);
        log.push('\n');
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{log}{}", String::from_utf8_lossy(&output.stdout));
    assert!(!is_waiting && log.contains(ROOM), "it met the end of the disk: {log}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("\"value\": 1000"), "all files are there: {report}");
}

#[test]
fn what_a_machine_does_not_have_is_refused_with_what_to_set() {
    let directory = temporary();
    let config = directory.path().join("sublane.toml");
    std::fs::write(
        &config,
        "[limits]\ninstances-small = 10000\ninstances-large = 10000\nmemory = \"1GiB\"\n",
    )
    .expect("written");
    for command in [&["serve"][..], &["config", "check"]] {
        let mut ran = Command::new(binary());
        ran.arg("--config").arg(&config).args(command).env_remove("RUST_LOG").current_dir(directory.path());
        let output = ran.output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{command:?}: {told}");
        let is_told = ["`limits.instances-large`", "set "].iter().all(|words| told.contains(words));
        assert!(is_told, "{command:?}: {told}");
    }
}
