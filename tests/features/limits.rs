//! What one plugin may have of what there is, what an operator bounds, and a disk without room.

mod disk;
mod table;

use serde_json::json;
use sublane::engine::cache::Cache;
use sublane::engine::pool::SMALLEST;
use sublane::engine::{Class, Engines, PoolSizes};
use sublane::error::chain;
use sublane::plugin::{Allow, Plugin};
use sublane_core::{Outcome, RunId, RunState};
use sublane_tests::{Setup, TestHost, component, temporary, value};

/// A plugin of this name that does what `spawns` does.
fn named(id: &str) -> String {
    format!(
        "id = \"{id}\"\nversion = \"0.1.0\"\n[asks]\ncpu = \"20s\"\nartifacts = {{ bytes = \"1MiB\" }}\n\
         spawn = {{ agents = [\"{id}\"], depth = 1, active-children = 5, total = 20 }}\n"
    )
}

/// A host whose pool has room for more than one plugin may have.
async fn host() -> TestHost {
    let mut setup = Setup::in_memory().plugin("misbehaves").plugin_with("spawns", &named("other"));
    setup.settings.pools =
        PoolSizes { small: 12, large: SMALLEST, per_plugin: Some(SMALLEST), ..PoolSizes::default() };
    setup.start().await
}

async fn executing(host: &TestHost, run: RunId) {
    host.when(run, "running", |run| matches!(run.state, RunState::Running { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_has_all_that_one_may_have_waits_and_nobody_else_does() {
    let host = host().await;
    let pool = &host.inner().engines.of(Class::Small).pool;
    let spins = host.begin("misbehaves/spin", json!(null)).await;
    host.until("it has its instance", || pool.used_by("misbehaves") == 1).await;
    let waits = host.begin("misbehaves/give-up", json!("enough")).await;
    executing(&host, waits).await;
    for number in 0..3 {
        assert_eq!(value(&host.run("other/echo", json!(number)).await), json!(number));
    }
    assert_eq!((pool.used_by("misbehaves"), pool.is_wanted(|plugin| plugin == "misbehaves")), (1, true));
    let run = host.inner().store.run(waits).await.expect("readable").expect("there");
    assert!(!run.is_ended(), "it waits for its plugin's other run");
    host.inner().cancel(spins, "enough").await.expect("it is cancelled");
    assert!(matches!(host.ended(waits).await, Outcome::Failed { .. }), "then it is its turn");
    host.until("nothing is left", || pool.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_run_that_waits_makes_room_for_its_next_one() {
    let host = host().await;
    let pool = &host.inner().engines.of(Class::Small).pool;
    let parked = host.begin("other/act", json!([{ "receive": {} }])).await;
    host.until("it is parked", || host.inner().lanes.parked() == 1).await;
    assert_eq!(value(&host.run("other/echo", json!(1)).await), json!(1));
    let waits = host.when(parked, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    assert_eq!(pool.used_by("other"), 0, "its instance made room: {waits:?}");
}

/// What the operator says bounds what a manifest asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_asks_for_more_memory_than_the_operator_gives_is_refused() {
    let directory = temporary();
    let copy = directory.path().join("spawns.wasm");
    std::fs::copy(component("spawns"), &copy).expect("copied");
    let manifest = named("spawns").replace("[asks]", "memory = \"64MiB\"\n[asks]");
    std::fs::write(directory.path().join("plugin.toml"), manifest).expect("written");
    let load = async |memory_bytes| {
        let sizes = PoolSizes { small: 5, large: 5, memory_bytes, ..PoolSizes::default() };
        let engines = Engines::new(sizes).expect("the engines start");
        let cache = Cache::open(&directory.path().join("cache")).expect("the cache opens");
        Plugin::load(&engines, &cache, &copy, &Allow::Asked).await.map_err(|error| chain(&error))
    };
    load(64 << 20).await.expect("it may have that");
    let Err(told) = load(32 << 20).await else { panic!("it is loaded") };
    let words = "plugin.toml: it asks for 65536 KiB of memory, and this host lets an instance have 32768 KiB: \
                 `limits.memory`";
    assert!(told.contains(words), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_cause_no_more_than_its_conversation_may_spend() {
    let mut setup = Setup::in_memory().plugin_with("spawns", &named("spawns"));
    setup.settings.purse.spawns = 4;
    let host = setup.start().await;
    let spawn = json!({ "spawn": { "agent": "spawns/echo", "task": 1, "scope": { "cpu-ms": 10 } } });
    let done = value(&host.run("spawns/act", json!([spawn, spawn, spawn])).await);
    assert!(done[1].get("error").is_none(), "half of four: {done}");
    assert!(done[2].to_string().contains("the limit purse.spawns of"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_no_more_files_open_than_it_may() {
    let manifest = "id = \"misbehaves\"\nversion = \"0.1.0\"\n[asks]\nartifacts = { bytes = \"1MiB\" }\n";
    let host = Setup::in_memory().plugin_with("misbehaves", manifest).start().await;
    assert_eq!(value(&host.run("misbehaves/hoard", json!(8)).await), json!("8, then nothing"));
    let found = value(&host.run("misbehaves/hoard", json!(20)).await);
    let told = found.as_str().expect("a text");
    assert!(told.starts_with("8, then the limit artifact.open of 8 is reached"), "{told}");
}
