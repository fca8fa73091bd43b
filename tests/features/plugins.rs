//! Plugins are replaced and removed while their runs go on: each run ends on the version it was
//! accepted on, and nothing of a version is left when nobody needs it.

mod command;
mod granting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::{Clock, ManualClock};
use sublane::engine::Class;
use sublane::host::plugins::Change;
use sublane::intake::{IntakeError, Task};
use sublane::intents::Intent;
use sublane::plugin::Files;
use sublane::retention::{self, Retention};
use sublane_core::{Failure, Outcome, Run, RunId, Timestamp};
use sublane_tests::{Setup, TestHost, component, temporary, value};

/// The plugin, and a version of it that answers otherwise where its task says so.
const VERSIONS: [&str; 2] = ["remembers", "remembers-changed"];

/// A task that the first version does to its end, and the second does not.
fn differs() -> Value {
    json!({ "change": "returns" })
}

fn digest(version: &str) -> String {
    Files::read(&component(version)).expect("it is built").digest()
}

/// Which version gave this answer to [`differs`].
fn answered_by(outcome: &Outcome) -> &'static str {
    let seen = value(outcome).to_string();
    if seen.contains("mailbox: ") { VERSIONS[0] } else { VERSIONS[1] }
}

/// Which version a run is on.
fn is_on(run: &Run) -> &'static str {
    let named = VERSIONS.into_iter().find(|version| digest(version) == run.spec.plugin_digest);
    named.expect("it is on one of the two")
}

/// Has the host read the plugin anew, which lies there from now on.
async fn reload(host: &TestHost, version: &str) -> Change {
    host.named.put("remembers", component(version));
    let reloaded = host.inner().reload(&["remembers".to_owned()]).await.expect("it is right");
    reloaded[0].change
}

/// The versions of the plugin that are in memory.
fn in_memory(host: &TestHost) -> Vec<&'static str> {
    let all = host.inner().versions.all_in_memory();
    let of = all.iter().filter(|plugin| plugin.manifest.id == "remembers");
    of.map(|plugin| VERSIONS.into_iter().find(|version| digest(version) == plugin.digest).expect("known"))
        .collect()
}

/// A run that waits for a message.
async fn listener(host: &TestHost) -> RunId {
    let run = host.begin("remembers/child", json!("listener")).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    host.until("it is parked", || host.inner().lanes.parked() > 0).await;
    run
}

async fn tell(host: &TestHost, run: RunId) {
    let inner = host.inner();
    let now = inner.clock.now();
    let effects = inner.store.send(run, "\"go on\"".into(), None, now).await.expect("it listens");
    inner.dispatch(effects);
}

/// Drops the instances of all that wait.
async fn evict(host: &TestHost) {
    host.inner().lanes.cool_down(Duration::ZERO, host.inner().clock.now());
    host.until("nothing is parked", || host.inner().lanes.parked() == 0).await;
}

/// Promise 9, complaints 128948 and 152965 (R45): a plugin is replaced a hundred times under load.
/// No run is lost, each ends on the version it was accepted on, and nothing of the old one is left.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_a_hundred_times_under_load_no_run_is_lost() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let mut begun = Vec::new();
    for round in 0..100 {
        if round % 3 != 2 {
            begun.push(host.begin("remembers/remember", differs()).await);
        }
        let change = reload(&host, VERSIONS[(round + 1) % 2]).await;
        assert_eq!(change, Change::Replaced);
    }
    let mut seen = [0, 0];
    for run in begun {
        let outcome = host.ended(run).await;
        let run = host.when(run, "there", |_| true).await;
        assert_eq!(answered_by(&outcome), is_on(&run), "{}", run.spec.name);
        seen[usize::from(is_on(&run) == VERSIONS[1])] += 1;
    }
    assert!(seen[0] > 20 && seen[1] > 20, "runs of both versions: {seen:?}");
    // What a tool call began outlives the run, and waits for a message; nobody needs it here.
    let intent = Intent::CancelPlugin { plugin: "remembers".to_owned(), reason: "done".to_owned() };
    host.ask(&intent).await;
    host.until("one version is left", || in_memory(&host) == [VERSIONS[0]]).await;
    let used = || [Class::Small, Class::Large].map(|class| host.inner().engines.of(class).pool.used());
    host.until("no instance is left", || used() == [0, 0]).await;
    assert_eq!(host.inner().store.live_versions().await.expect("readable"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_is_in_memory_only_while_an_instance_of_it_is() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let run = listener(&host).await;
    reload(&host, VERSIONS[1]).await;
    assert_eq!(in_memory(&host), VERSIONS, "the parked instance holds the old one");
    evict(&host).await;
    host.until("its code is dropped", || in_memory(&host) == [VERSIONS[1]]).await;
    tell(&host, run).await;
    assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    let run = host.when(run, "there", |_| true).await;
    assert_eq!((is_on(&run), run.attempt), (VERSIONS[0], 2), "loaded again for its second attempt");
    host.until("it is dropped again", || in_memory(&host) == [VERSIONS[1]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_with_another_version_a_run_ends_on_its_own() {
    let directory = temporary();
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let setup = || Setup::durable(&directory).clock(Arc::new(clock.clone()));
    let host = setup().plugin("remembers").start().await;
    let old = host.begin("remembers/remember", differs()).await;
    host.when(old, "waiting", |run| run.state.kind() == "waiting").await;
    host.host.stop().await;

    let host = setup().plugin("remembers-changed").start().await;
    let new = host.begin("remembers/remember", differs()).await;
    for (run, version) in [(old, VERSIONS[0]), (new, VERSIONS[1])] {
        let outcome = ended_as_time_goes_on(&host, &clock, run).await;
        assert_eq!(answered_by(&outcome), version);
    }
}

async fn ended_as_time_goes_on(host: &TestHost, clock: &ManualClock, run: RunId) -> Outcome {
    let patience = tokio::time::Instant::now() + sublane_tests::PATIENCE;
    loop {
        let run = host.when(run, "there", |_| true).await;
        if let Some(outcome) = run.outcome() {
            return outcome.clone();
        }
        assert!(tokio::time::Instant::now() < patience, "it does not end: {:?}", run.state);
        if run.state.kind() == "waiting" {
            clock.advance(Duration::from_millis(1));
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_version_is_gone_says_so() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("remembers").start().await;
    let run = listener(&host).await;
    reload(&host, VERSIONS[1]).await;
    evict(&host).await;
    let kept = directory.path().join("components").join(digest(VERSIONS[0]));
    std::fs::remove_dir_all(kept).expect("it was kept");
    tell(&host, run).await;
    let Outcome::Failed { reason: Failure::PluginUnavailable, message, .. } = host.ended(run).await else {
        panic!("it went on without its version");
    };
    let short = &digest(VERSIONS[0])[..12];
    assert_eq!(*message, *format!("version {short} of it, which the run began on: it is not kept any more"));
    let texts = || host.recorder.texts();
    host.until("people are told", || !texts().is_empty()).await;
    assert!(texts()[0].contains("its plugin cannot be loaded (version "), "{:?}", texts());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_leaves_everything_as_it_was() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("remembers").plugin("spawns").start().await;
    let at = |name: &str, wasm: &[u8], manifest: &str| -> PathBuf {
        let place = directory.path().join(name);
        std::fs::create_dir(&place).expect("new");
        std::fs::write(place.join("plugin.wasm"), wasm).expect("written");
        std::fs::write(place.join("plugin.toml"), manifest).expect("written");
        place.join("plugin.wasm")
    };
    let right = std::fs::read(component("remembers-changed")).expect("built");
    let manifest = "id = \"remembers\"\nversion = \"0.3.0\"\n";
    let wrong = [
        (at("torn", &right[..right.len() / 2], manifest), "plugin.wasm: the component cannot be compiled"),
        (at("empty", b"", manifest), "plugin.wasm: the file is empty"),
        (at("other", &right, "id = \"other\"\nversion = \"0.3.0\"\n"), "the manifest says `id = \"other\"`"),
        (at("unclear", &right, "id = \"remembers\"\n"), "version"),
        (directory.path().join("absent.wasm"), "absent.wasm cannot be read"),
    ];
    for (path, why) in wrong {
        host.named.put("remembers", path);
        // The other one is right, and stays as it is too.
        let error = host.inner().reload(&[]).await.expect_err("it is wrong").to_string();
        assert!(error.starts_with("plugin `remembers`: ") && error.contains(why), "{error}");
        assert_eq!(in_memory(&host), [VERSIONS[0]]);
        assert!(matches!(host.run("remembers/remember", differs()).await, Outcome::Succeeded(_)));
    }
    let error = host.inner().reload(&["remember".to_owned()]).await.expect_err("unknown").to_string();
    assert_eq!(error, "there is no plugin `remember`; did you mean `remembers`?");
}

/// Complaints 128948 and 152965 (R45): what is removed starts nothing any more, what it had begun
/// ends on the version that was kept, and nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_removed_is_gone_and_its_runs_end() {
    let directory = temporary();
    let host =
        Setup::durable(&directory).plugin("remembers").plugin("spawns").plugin("misbehaves").start().await;
    let run = listener(&host).await;
    let other = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    host.when(other, "waiting", |run| run.state.kind() == "waiting").await;
    host.named.remove("remembers");
    host.named.remove("misbehaves");
    let reloaded = host.inner().reload(&[]).await.expect("it is right");
    let changes: Vec<_> = reloaded.iter().map(|one| (one.plugin.as_str(), one.change)).collect();
    assert_eq!(
        changes,
        [("misbehaves", Change::Removed), ("remembers", Change::Removed), ("spawns", Change::Unchanged)]
    );
    let task = Task {
        agent: "remembers/child".to_owned(),
        input: "\"late\"".to_owned(),
        origin: "console:test".parse().expect("well formed"),
        lane: "main",
        deliver: Vec::new(),
        event: None,
    };
    let refused = host.inner().task(task).await.expect_err("it is gone");
    assert!(matches!(refused, IntakeError::NoSuchAgent { .. }), "{refused}");
    let late = json!([{ "spawn": { "agent": "misbehaves/spin" } }]);
    let done = value(&host.run("spawns/act", late).await);
    assert_eq!(done[0]["error"], "there is no such thing", "granted, and not there: {done}");
    evict(&host).await;
    host.until("its code is dropped", || in_memory(&host).is_empty()).await;
    for run in [run, other] {
        tell(&host, run).await;
        assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)), "it ends as if nothing had been");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_kept_until_nobody_needs_it() {
    let directory = temporary();
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let mut setup = Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("remembers");
    let retention = Retention { versions: Duration::from_secs(60), ..setup.settings.retention };
    setup.settings.retention = retention;
    let host = setup.start().await;
    let kept = || -> Vec<&'static str> {
        let is_there = |version: &&str| directory.path().join("components").join(digest(version)).is_dir();
        VERSIONS.into_iter().filter(is_there).collect()
    };
    let remove_old = async |current: &str| {
        let (store, kept) = (&*host.inner().store, host.inner().versions.kept());
        let removed = retention::versions(store, kept, &[digest(current)], &retention, clock.now()).await;
        removed.expect("it can be removed").versions
    };
    assert_eq!(kept(), [VERSIONS[0]]);
    let run = listener(&host).await;
    reload(&host, VERSIONS[1]).await;
    evict(&host).await;
    clock.advance(Duration::from_secs(300));
    assert_eq!(remove_old(VERSIONS[1]).await, 0, "a run lives on the old one");
    tell(&host, run).await;
    assert!(matches!(ended_as_time_goes_on(&host, &clock, run).await, Outcome::Succeeded(_)));
    assert_eq!((remove_old(VERSIONS[1]).await, kept()), (1, vec![VERSIONS[1]]));
    reload(&host, VERSIONS[0]).await;
    assert_eq!(remove_old(VERSIONS[0]).await, 0, "it was the current one a moment ago");
    // The host does the same by itself, every hour.
    clock.advance(Duration::from_secs(3_700));
    host.until("the other one goes", || kept() == [VERSIONS[0]]).await;
}
