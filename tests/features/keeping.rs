//! What is old goes, and what is needed stays: `sublane store gc`, alone and beside a host.

use std::fs::{File, FileTimes};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock, SystemClock};
use sublane::retention::Retention;
use sublane_core::{DeliveryState, RunId, Timestamp};
use sublane_store::DeliveryFilter;
use sublane_tests::command::CommandLine;
use sublane_tests::{Fussy, PATIENCE, Setup, TestHost, component, repository, temporary};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Below the compile cache and the artifacts files are named by a hash: this one, twice.
const HASH: [&str; 2] = ["ab", "cd"];

/// What a host of some days ago has left.
struct Left {
    directory: Arc<TempDir>,
    /// Ended three days ago and told.
    told: RunId,
    /// As old; what it owed is a dead letter.
    dead: RunId,
    /// Ended a day and a half ago.
    later: RunId,
    /// Waits since an hour, on a version of its plugin that was replaced.
    waits: RunId,
}

/// A run that logs a line, writes a file and calls a tool that does something.
async fn made(host: &TestHost, name: &str, to: &str) -> RunId {
    let note = json!({ "kv-set": { "bucket": "notes", "key": name, "value": "made" } });
    let steps = json!([
        { "log": { "level": "info", "text": format!("{name} is made") } },
        { "write": { "name": format!("{name}.txt"), "text": name } },
        { "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [note] } } },
    ]);
    let run = host.begin_for("spawns/act", steps, &[to]).await;
    host.ended(run).await;
    run
}

fn old(path: &Path, age: Duration) {
    let now = UNIX_EPOCH + Duration::from_millis(SystemClock.now().0);
    let times = FileTimes::new().set_modified(now - age);
    File::open(path).and_then(|file| file.set_times(times)).expect("it is ours");
}

/// Every file and directory below a directory is so old from now on.
fn all_old(below: &Path, age: Duration) {
    for entry in std::fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all_old(&path, age);
        }
        old(&path, age);
    }
}

/// Writes a file, with what it lies in.
fn put(path: PathBuf, text: &str, age: Duration) {
    let mut directories = std::fs::DirBuilder::new();
    directories.recursive(true).mode(0o700).create(path.parent().expect("it has one")).expect("made");
    std::fs::write(&path, text).expect("written");
    old(&path, age);
}

impl Left {
    async fn behind() -> Self {
        let directory = temporary();
        let now = SystemClock.now();
        let clock = ManualClock::at(Timestamp(now.0 - 3 * DAY.as_millis() as u64));
        let setup = Setup::durable(&directory).clock(Arc::new(clock.clone()));
        let fussy = Arc::new(Fussy::default());
        let setup = setup.plugin("spawns").plugin("remembers").channel("fussy", fussy, None);
        let host = setup.start().await;
        let told = made(&host, "told", "console:test").await;
        let dead = made(&host, "dead", "fussy:room").await;
        let settled = async |run: RunId, state: DeliveryState| {
            let filter = DeliveryFilter { run: Some(run), limit: 1, ..DeliveryFilter::default() };
            let store = &host.inner().store;
            while store.deliveries(filter.clone()).await.expect("readable")[0].state != state {}
        };
        let both = async {
            settled(told, DeliveryState::Delivered).await;
            settled(dead, DeliveryState::Dead).await;
        };
        tokio::time::timeout(PATIENCE, both).await.expect("they are settled");
        clock.advance(DAY + DAY / 2);
        let later = made(&host, "later", "console:test").await;
        clock.advance(DAY + DAY / 2 - HOUR);
        let waits = host.begin("remembers/child", json!("listener")).await;
        host.when(waits, "waiting", |run| run.state.kind() == "waiting").await;
        host.named.put("remembers", component("remembers-changed"));
        host.inner().reload(&["remembers".to_owned()]).await.expect("it is right");
        host.host.stop().await;
        let left = Self { directory, told, dead, later, waits };
        left.lies_about();
        left
    }

    /// Files that are older than they can be here, and those that belong to nobody.
    fn lies_about(&self) {
        all_old(&self.path("artifacts"), 3 * DAY);
        for (hash, age) in HASH.into_iter().zip([3 * DAY, Duration::ZERO]) {
            let name = hash.repeat(32);
            put(self.path(&format!("artifacts/{hash}/{name}.txt")), "nobody's", age);
            put(self.path(&format!("cache/{name}-0123456789abcdef.cwasm")), "code", age);
            put(self.path(&format!("components/{name}/component.wasm")), "a version", age);
        }
        all_old(&self.path("components"), 3 * DAY);
        old(&self.path(&format!("components/{}", HASH[1].repeat(32))), Duration::ZERO);
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Has the configuration keep things so long.
    fn keep(&self, retention: &str) -> CommandLine {
        let line = CommandLine::alone(&self.directory);
        let file = self.path("sublane.toml");
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::write(&file, format!("{text}[retention]\n{retention}\n")).expect("written");
        line
    }

    /// The names of a directory, without those of its shards.
    fn names(&self, below: &str) -> Vec<String> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(below)).expect("there") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("text");
            if name.len() == 2 {
                names.extend(self.names(&format!("{below}/{name}")));
            } else {
                names.push(name);
            }
        }
        names.sort();
        names
    }
}

/// What there is, in words that are the same each time.
async fn check(left: &Left, line: &CommandLine, expected: Expect) {
    let mut there = String::new();
    for (name, run) in
        [("told", left.told), ("dead", left.dead), ("later", left.later), ("waits", left.waits)]
    {
        let shown = line.run(&["runs", "show", &run.to_string(), "--json"]).await;
        there += &match shown.exit {
            0 => {
                let run_view = shown.json();
                let logs = line.json(&["runs", "logs", &run.to_string()]).await;
                let lines = logs["lines"].as_array().map_or(0, Vec::len);
                format!("{name}: {}, {lines} lines of its log\n", run_view["state"].as_str().unwrap_or("?"))
            }
            _ => format!("{name}: {}", shown.err.replace(&run.to_string(), "it")),
        };
    }
    let files = left.names("artifacts").iter().filter(|name| name.ends_with(".txt")).count();
    there += &format!(
        "{files} files, {} versions, {} files of the cache\n",
        left.names("components").len(),
        left.names("cache").len()
    );
    let whole = line.run(&["store", "check"]).await;
    assert_eq!(whole.exit, 0, "{whole:?}");
    expected.assert_eq(&there);
}

/// The rows that went: how many a run has is not this test's matter.
fn without_rows(mut removed: Value) -> Value {
    let rows = removed.as_object_mut().expect("a map").remove("rows").expect("they are counted");
    assert!(rows.as_u64() > Some(0), "{rows}");
    removed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_as_the_configuration_says_and_what_is_needed_stays() {
    let left = Left::behind().await;
    let line = left.keep("runs = \"30d\"\nlogs = \"30d\"\nfiles = \"30d\"\nversions = \"30d\"");
    let all = expect![[r#"
        told: ended, 1 lines of its log
        dead: ended, 1 lines of its log
        later: ended, 1 lines of its log
        waits: waiting, 0 lines of its log
        5 files, 5 versions, 2 files of the cache
    "#]];
    let said = line.run(&["store", "gc"]).await;
    let nothing =
        "removed 0 runs (0 rows), 0 files (0 B), 0 versions of plugins (0 B), 0 files of the cache\n";
    assert_eq!((said.exit, said.out.as_str()), (0, nothing), "{said:?}");
    check(&left, &line, all).await;

    // The dead letter keeps its run, not its log; the version that a run waits on stays, and those that
    // were the last host's.
    let line = left.keep(
        "runs = \"2d\"\nduplicates = \"1m\"\ndead-letters = \"7d\"\nlogs = \"1d\"\nfiles = \"1h\"\n\
         versions = \"1d\"\ncache = \"1d\"",
    );
    let removed = line.json(&["store", "gc"]).await;
    let expected = json!({
        "runs": 1, "files": 2, "bytes": "told".len() + "nobody's".len(),
        "versions": 1, "version_bytes": "a version".len(), "code": 1,
    });
    assert_eq!(without_rows(removed), expected);
    let some = expect![[r#"
        told: error: there is no run `it`
        dead: ended, 0 lines of its log
        later: ended, 0 lines of its log
        waits: waiting, 0 lines of its log
        3 files, 4 versions, 1 files of the cache
    "#]];
    check(&left, &line, some).await;
    let dead = line.json(&["deliveries", "list", "--state", "dead"]).await;
    assert_eq!(dead["deliveries"][0]["run"], json!(left.dead), "a dead letter stays as long as it is set");

    let line = left.keep("runs = \"1d\"\ndead-letters = \"2d\"\nduplicates = \"1m\"");
    let said = line.run(&["store", "gc"]).await;
    assert!(
        said.out.starts_with("removed 2 runs (") && said.out.contains(" rows), 2 files (9 B), "),
        "{said:?}"
    );
    assert!(said.out.ends_with(", 0 versions of plugins (0 B), 0 files of the cache\n"), "{said:?}");
    let few = expect![[r#"
        told: error: there is no run `it`
        dead: error: there is no run `it`
        later: error: there is no run `it`
        waits: waiting, 0 lines of its log
        1 files, 4 versions, 1 files of the cache
    "#]];
    check(&left, &line, few).await;
    let waits = line.json(&["runs", "show", &left.waits.to_string()]).await;
    let version = waits["plugin_digest"].as_str().expect("it is on one").to_owned();
    assert!(left.names("components").contains(&version), "the version that it was accepted on");
}

/// Beside a host the command asks, and the host removes; both say so.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_host_the_host_is_asked_and_does_it() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let mut setup = Setup::durable(&directory).plugin("spawns");
    (setup.settings.retention.runs, setup.settings.retention.files) = (Duration::ZERO, Duration::ZERO);
    setup.settings.retention.cache = Retention::default().cache;
    let host = setup.start().await;
    let run = made(&host, "told", "console:test").await;
    let code = format!("target/test-cache/{}-0123456789abcdef.cwasm", HASH[0].repeat(32));
    let code = repository().join(code);
    put(code.clone(), "code", 31 * DAY);
    let process = format!("process {}", std::process::id());
    let said = line.run(&["store", "gc"]).await;
    let asked = format!("the host ({process}) removes what is old now; its log says what\n");
    assert_eq!((said.exit, said.out), (0, asked));
    // What it owed may be settled a moment later: asked again, until it is.
    let gone = async {
        while host.inner().store.run(run).await.expect("readable").is_some() || code.exists() {
            assert_eq!(line.json(&["store", "gc"]).await, json!({ "asked": process }));
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes");
}
