//! A machine that does not go along: a disk that cannot be written to, a store that is
//! damaged, a clock that jumps.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use sublane::clock::ManualClock;
use sublane_core::{Outcome, RunState, Timestamp};
use sublane_tests::command::binary;
use sublane_tests::history::History;
use sublane_tests::serving::Serving;
use sublane_tests::{Setup, component};
use tempfile::TempDir;

/// Exit code of what cannot be done here and now.
const CANNOT: i32 = 4;
/// Exit code of a store that is not whole.
const DAMAGED: i32 = 5;

/// A configuration whose state directory is `state`, with a console that answers.
fn configured(directory: &Path) {
    let text = format!(
        "state = \"state\"\ncache = \"cache\"\n[plugins.spawns]\ncomponent = {:?}\nallow = \"asked\"\n\
         [channels.console]\nkind = \"console\"\nagent = \"spawns/echo\"\n",
        component("spawns")
    );
    std::fs::write(directory.join("sublane.toml"), text).expect("the configuration is written");
}

fn sublane(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(directory).args(words).env("USER", "ada").env_remove("RUST_LOG");
    command.stdin(std::process::Stdio::null());
    command
}

/// A state directory in which a host worked and stopped.
fn worked() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    configured(directory.path());
    for said in ["one", "two", "three", "four"] {
        let done = sublane(directory.path(), &["run", said]).output().expect("it starts");
        assert!(done.status.success(), "{done:?}");
    }
    directory
}

/// It says this and exits with this code, and nothing panicked.
fn check(words: &[&str], output: &Output, exit: i32, expected: &[&str]) {
    let told =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(exit), "{words:?}: {told}");
    assert!(!told.contains("panicked"), "{words:?}: {told}");
    for expected in expected {
        assert!(told.contains(expected), "{words:?}: {expected} is not in: {told}");
    }
}

/// What to do about a damaged store.
const ADVICE: &str = "stop the host, keep the file, and put a backup in its place";

const COMMANDS: [&[&str]; 4] = [&["serve"], &["run", "hello"], &["runs", "list"], &["deliveries", "list"]];

/// The store is changed like this; each command is refused with these words. Gives the directory.
fn check_damaged(damage: impl Fn(&mut Vec<u8>), commands: &[&[&str]], words: &[&str]) -> TempDir {
    let directory = worked();
    let file = directory.path().join("state/sublane.db");
    let mut bytes = std::fs::read(&file).expect("the store is there");
    damage(&mut bytes);
    std::fs::write(&file, &bytes).expect("it is damaged");
    for command in commands {
        let output = sublane(directory.path(), command).output().expect("it starts");
        check(command, &output, DAMAGED, words);
    }
    directory
}

/// As [`check_damaged`], by every command, and the file stays as it is.
fn check_unreadable(damage: impl Fn(&mut Vec<u8>)) {
    let words = ["sublane.db", "SQLite cannot read the file", ADVICE];
    let mut left = Vec::new();
    let keep = std::cell::RefCell::new(&mut left);
    let damage = |bytes: &mut Vec<u8>| {
        damage(bytes);
        keep.borrow_mut().clone_from(bytes);
    };
    let directory = check_damaged(damage, &COMMANDS, &words);
    let file = std::fs::read(directory.path().join("state/sublane.db")).expect("it is there");
    assert!(file == left, "what is left of it is left");
}

#[test]
fn a_store_that_is_damaged_is_told_and_kept() {
    check_unreadable(|bytes| bytes.truncate(50_000));
    check_unreadable(|bytes| bytes.truncate(100));
    check_unreadable(|bytes| noise(&mut bytes[..8_192]));
}

/// What is damaged inside is seen by a host before it is ready, and by commands that write; it is met
/// by whoever reads it, and told whole by `store check`.
#[test]
fn a_store_that_is_damaged_inside_is_not_worked_on() {
    let middle = |bytes: &mut Vec<u8>| {
        let half = bytes.len() / 2;
        noise(&mut bytes[8_192..half]);
    };
    let directory = check_damaged(middle, &COMMANDS, &[ADVICE]);
    for (words, told) in [
        (&["serve"][..], &["is damaged: ", "sublane store backup --help"][..]),
        (&["store", "gc"], &["is damaged: "]),
        (&["lanes", "pause", "main"], &[ADVICE]),
        (&["store", "check"], &["the file is damaged", "violation"]),
    ] {
        let output = sublane(directory.path(), words).output().expect("it starts");
        check(words, &output, DAMAGED, told);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("ready"), "{words:?}: {told}");
    }
}

/// A page that nobody reads at a start is looked at all the same, and none of it is copied.
#[test]
fn of_a_damaged_store_no_copy_is_made() {
    let one = |bytes: &mut Vec<u8>| {
        let journal =
            bytes.windows(4).rposition(|four| four == b"four").expect("it was said") / 8_192 * 8_192;
        noise(&mut bytes[journal..journal + 4_096]);
    };
    let directory = check_damaged(one, &[&["serve"]], &["is damaged: ", ADVICE]);
    let copy = directory.path().join("today.db");
    let words = ["store", "backup", "today.db"];
    let told = ["is damaged: ", "a copy would be damaged too, and none was made", "`sublane store check`"];
    check(&words, &sublane(directory.path(), &words).output().expect("it starts"), DAMAGED, &told);
    assert!(!copy.exists(), "nothing looks like a copy");
    std::fs::write(&copy, "yesterday's").expect("written");
    let forced = ["store", "backup", "today.db", "--force"];
    check(&forced, &sublane(directory.path(), &forced).output().expect("it starts"), DAMAGED, &told);
    assert_eq!(std::fs::read(&copy).expect("there"), b"yesterday's", "the last copy is as it was");
    let left = std::fs::read_dir(directory.path()).expect("there").count();
    assert_eq!(left, 4, "configuration, state, cache and the copy of yesterday");
}

/// Pages that are overwritten while a host serves: it says so with what to do, and so does whoever asks
/// it; nothing panics. It goes on as far as it can, and what it was is seen at its end as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_damaged_under_a_host_is_told_by_all() {
    let directory = worked();
    let file = directory.path().join("state/sublane.db");
    let mut host = Serving::start(&directory.path().join("sublane.toml")).ready().await;
    host.say("before");
    host.until("it is answered", |delivered| delivered.len() == 1).await;
    let beside = rusqlite::Connection::open(&file).expect("SQLite");
    let version: i64 = beside.query_row("PRAGMA user_version", (), |row| row.get(0)).expect("readable");
    beside.query_row("PRAGMA wal_checkpoint(FULL)", (), |_| Ok(())).expect("it is in the file");
    let mut bytes = std::fs::read(&file).expect("there");
    let half = bytes.len() / 2;
    noise(&mut bytes[8_192..half]);
    let pages = std::fs::OpenOptions::new().write(true).open(&file).expect("there");
    pages.write_all_at(&bytes, 0).expect("overwritten in place");
    // A commit of somebody else: what the host holds in memory is read again.
    beside.pragma_update(None, "user_version", version).expect("written");
    host.say("after");
    host.logs(ADVICE).await;
    for words in [&["runs", "list"][..], &["lanes", "list"], &["store", "backup", "today.db"]] {
        let output = sublane(directory.path(), words).output().expect("it starts");
        check(words, &output, DAMAGED, &["is damaged: "]);
    }
    host.signal(Signal::TERM);
    let served = host.end().await;
    assert_eq!(served.exit, Some(DAMAGED), "{}", served.log);
    let last = served.log.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: the store") && last.contains(ADVICE), "{}", served.log);
    assert!(!served.log.contains("panicked"), "{}", served.log);
}

/// Bytes that nobody wrote, the same each time.
fn noise(bytes: &mut [u8]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
}

/// What was not yet moved into the file is lost with the log; the file is whole all the same, and
/// the next host goes on from it.
#[test]
fn a_store_whose_log_is_gone_is_whole() {
    let directory = worked();
    let state = directory.path().join("state");
    for name in ["sublane.db-wal", "sublane.db-shm"] {
        std::fs::write(state.join(name), b"").expect("an empty one in its place");
        std::fs::remove_file(state.join(name)).expect("it is removed");
    }
    let checked = sublane(directory.path(), &["store", "check"]).output().expect("it starts");
    check(&["store", "check"], &checked, 0, &["4 runs"]);
    let more = sublane(directory.path(), &["run", "five"]).output().expect("it starts");
    check(&["run", "five"], &more, 0, &["is done"]);
}

/// A disk that is mounted read-only: as root in a mount namespace of the process. Where mounting
/// is refused, a directory without the right to write, which others than root cannot write to.
#[test]
fn a_state_directory_that_cannot_be_written_to_is_told() {
    let directory = worked();
    let place = directory.path();
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && cd \"$0\" && exec \"$@\"";
    let mounted =
        Command::new("unshare").args(["-m", "sh", "-c", script]).arg(place).arg(place).arg("true").output();
    let can_mount = mounted.is_ok_and(|output| output.status.success());
    let state = place.join("state");
    let mode = |mode| std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(mode));
    if !can_mount {
        assert!(!rustix::process::geteuid().is_root(), "root may write anywhere, and cannot mount here");
        mode(0o555).expect("it is ours");
    }
    let refused = if can_mount { "Read-only file system" } else { "Permission denied" };
    let host = ["cannot lock", "host.lock", "a host writes to its state directory", refused];
    let reader = ["sublane.db", "who reads the store must be able to write to its directory"];
    for (command, words) in
        [(&["serve"][..], &host[..]), (&["run", "hello"], &host), (&["runs", "list"], &reader)]
    {
        let mut inside = if can_mount {
            let mut inside = Command::new("unshare");
            inside.args(["-m", "sh", "-c", script]).arg(place).arg(place).arg(binary()).args(command);
            inside
        } else {
            sublane(place, command)
        };
        let output = inside.env_remove("RUST_LOG").output().expect("it starts");
        check(command, &output, CANNOT, words);
    }
    if !can_mount {
        mode(0o755).expect("it is ours");
    }
    let listed = sublane(place, &["runs", "list"]).output().expect("it starts");
    check(&["runs", "list"], &listed, 0, &["succeeded"]);
}

/// A clock that is set a day ahead, and back: what is due is decided, once, and all else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_a_day_loses_nothing() {
    const DAY: Duration = Duration::from_secs(86_400);
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    let begin = async |steps: serde_json::Value| {
        let run = host.begin("spawns/act", steps).await;
        host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
        run
    };
    let sleeps = begin(json!([{ "sleep": 60_000 }])).await;
    let waits = begin(json!([{ "receive": {} }])).await;
    clock.set_back(DAY);
    let between = begin(json!([{ "sleep": 60_000 }])).await;
    assert!(
        matches!(host.run("spawns/echo", json!(1)).await, Outcome::Succeeded(_)),
        "work goes on a day earlier"
    );
    clock.advance(Duration::from_secs(61));
    assert!(matches!(host.ended(between).await, Outcome::Succeeded(_)), "it sleeps as long as it asked for");
    clock.advance(DAY);
    assert!(matches!(host.ended(sleeps).await, Outcome::Succeeded(_)), "its time has come");
    clock.advance(DAY);
    assert_eq!(host.ended(waits).await, Outcome::TimedOut, "its deadline has passed, and it is told");
    assert!(
        matches!(host.run("spawns/echo", json!(2)).await, Outcome::Succeeded(_)),
        "work goes on a day later"
    );
    host.until("all is told", || host.recorder.texts().len() == 5).await;
    let (store, recorder) = (host.inner().store.clone(), host.recorder.clone());
    host.host.stop().await;
    let mut history = History::read(&*store).await;
    let got = recorder.deliveries();
    history.received = got.iter().map(|got| (got.id.to_string(), got.body.to_string())).collect();
    assert_eq!(history.faults(), Vec::<String>::new());
}
