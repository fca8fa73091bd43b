//! How many children a run may have at once: those that live count, and nobody else.

use serde_json::{Value, json};
use sublane_core::RunState;
use sublane_store::RunFilter;
use sublane_tests::{Setup, temporary, value};

use super::echo;

/// Two children at once.
const TWO: &str = r#"
    id = "spawns"
    version = "0.1.0"
    [asks]
    spawn = { agents = ["spawns", "misbehaves"], depth = 1, active-children = 2, total = 50 }
    cpu = "10m"
"#;

fn child(agent: &str, more: Value) -> Value {
    let mut spawn = json!({ "agent": agent, "scope": { "cpu-ms": 50_000 } });
    spawn.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({ "spawn": spawn })
}

/// Complaints 66187 and 71252 (R16): children that had ended went on counting, blocked the room of
/// others, and were told of as if they worked.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_has_ended_takes_no_room_however_it_ended() {
    let host = Setup::in_memory().plugin_with("spawns", TWO).plugin("misbehaves").start().await;
    let listens = child("spawns/act", json!({ "task": [{ "receive": {} }] }));
    let fails = child(
        "spawns/act",
        json!({ "task": [{ "progress": { "percent": 40, "note": "nearly" } }, { "fail": "no ink" }] }),
    );
    let late = child("spawns/act", json!({ "task": [{ "receive": {} }], "timeout-ms": 30 }));
    let wait = json!({ "wait": {} });
    let steps = json!([
        listens, listens, echo(json!("too many")),
        { "cancel": { "child": 0, "reason": "enough" } },
        { "cancel": { "child": 1, "reason": "enough" } },
        wait, fails, late,
        wait, child("misbehaves/trap", json!({})), echo(json!(1)),
        wait, echo(json!(2)), echo(json!(3)),
        wait, "children",
    ]);
    let done = value(&host.run("spawns/act", steps).await);
    let refused = done[2]["error"].as_str().expect("two live");
    assert!(refused.contains("spawn.active-children of 2"), "{refused}");
    let spawned: Vec<_> = [0, 1, 6, 7, 9, 10, 12, 13].map(|step| done[step]["run"].is_string()).into();
    assert_eq!(spawned, [true; 8], "{done}");
    let children = done[15].as_array().expect("a list");
    assert_eq!(children.len(), 8);
    for child in children {
        let lives = ["delayed", "queued", "running", "waiting", "closing"];
        let state = &child["state"];
        assert!(lives.iter().all(|lives| state != lives), "its state is how it ended: {child}");
    }
}

/// The same, where it was the host that ended: nothing of what it had under way is taken for alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_its_host_took_along_takes_no_room() {
    let directory = temporary();
    let start = async |number: u32| {
        let home = directory.path().join(format!("plugins-{number}"));
        std::fs::create_dir(&home).expect("a new directory");
        let mut setup = Setup::durable(&directory).component(spawns(&home)).plugin("misbehaves");
        setup.settings.max_crashes = 0;
        setup.start().await
    };
    let host = start(1).await;
    let spins = child("misbehaves/spin", json!({}));
    let wait = json!({ "wait": {} });
    let steps = json!([spins, spins, wait, echo(json!(1)), echo(json!(2)), wait]);
    let parent = host.begin("spawns/act", steps).await;
    host.when(parent, "waiting", |run| run.state.kind() == "waiting").await;
    let filter = RunFilter { parent: Some(parent), limit: 9, ..RunFilter::default() };
    for child in host.inner().store.runs(filter).await.expect("readable") {
        host.when(child.spec.id, "running", |run| matches!(run.state, RunState::Running { .. })).await;
    }
    drop(host);
    let host = start(2).await;
    let done = value(&host.ended(parent).await);
    let run = host.inner().store.run(parent).await.expect("readable").expect("there");
    assert_eq!((run.attempt, run.crashes), (2, 0), "the parent waited, and took nothing along");
    for child in done[2].as_array().expect("both have ended") {
        let failed = child["failed"].as_str();
        assert!(failed.is_some_and(|failed| failed.contains("CrashLooping")), "{done}");
    }
    assert!(done[3]["run"].is_string() && done[4]["run"].is_string(), "{done}");
    host.until("nobody has a slot", || host.inner().lanes.status().iter().all(|lane| lane.running == 0))
        .await;
}

/// The plugin with a manifest that allows two, in a directory of its own.
fn spawns(home: &std::path::Path) -> std::path::PathBuf {
    let copy = home.join("spawns.wasm");
    std::fs::copy(sublane_tests::component("spawns"), &copy).expect("the component is copied");
    std::fs::write(home.join("plugin.toml"), TWO).expect("the manifest is written");
    copy
}
