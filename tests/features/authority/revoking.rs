//! What an operator takes away reaches the runs that live: their next call is denied, and what they
//! were answered before stays so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane::intents::Intent;
use sublane_core::grants::Authority;
use sublane_core::{Run, RunId, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::crash::standing_still;
use sublane_tests::{PATIENCE, Setup, TestHost, denials, temporary, value};

use super::{error, spawn};

/// The levels below the root.
const LEVELS: u32 = 5;

fn set(key: &str) -> Value {
    json!({ "kv-set": { "bucket": "notes", "key": key, "value": "x" } })
}

fn get(key: &str) -> Value {
    json!({ "kv-get": { "bucket": "notes", "key": key } })
}

/// Steps that set a key, have so many levels below do the same, wait for them and set another one.
/// The deepest waits for a message between the two.
fn steps(levels: u32) -> Value {
    if levels == 0 {
        return json!([set("leaf"), get("leaf"), { "receive": {} }, get("leaf"), set("after")]);
    }
    let mut scope = json!({ "kv-write": ["notes/"] });
    if levels > 1 {
        scope["agents"] = json!(["spawns/*"]);
        scope["depth"] = json!(levels - 1);
        scope["total"] = json!(2 * levels);
    }
    let below = spawn(json!({ "agent": "spawns/act", "task": steps(levels - 1), "scope": scope }));
    json!([set("before"), below, { "wait": {} }, set("after")])
}

/// Everything that a plugin asks for but keys.
fn without_keys(host: &TestHost, plugin: &str) -> Authority {
    let asks = host.inner().plugins().get(plugin).expect("it is loaded").manifest.asks.clone();
    Authority { kv: Vec::new(), ..asks }
}

/// The run at this depth, once it waits, and all above it.
pub(super) async fn waits_at(host: &TestHost, depth: u32) -> Run {
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        let filter = RunFilter { limit: 100, ..RunFilter::default() };
        let runs = host.inner().store.runs(filter).await.expect("readable");
        let wait = |run: &&Run| run.state.kind() == "waiting";
        if runs.iter().filter(wait).count() > depth as usize
            && let Some(run) = runs.iter().filter(wait).find(|run| run.spec.depth == depth)
        {
            return run.clone();
        }
        let seen = || runs.iter().map(|run| (run.spec.depth, &run.state)).collect::<Vec<_>>();
        assert!(tokio::time::Instant::now() < patience, "none waits at depth {depth}: {:?}", seen());
        // Nobody is told when a run begins to wait.
        tokio::task::yield_now().await;
    }
}

async fn tell(host: &TestHost, run: RunId) {
    let inner = host.inner();
    let effects = inner.store.send(run, "\"go on\"".into(), None, inner.clock.now()).await;
    inner.dispatch(effects.expect("it listens"));
}

async fn evict(host: &TestHost) {
    host.inner().lanes.cool_down(Duration::ZERO, host.inner().clock.now());
    host.until("nothing is parked", || host.inner().lanes.parked() == 0).await;
}

async fn reload(host: &TestHost, plugin: &str) {
    host.inner().reload(&[plugin.to_owned()]).await.expect("it is right");
}

/// Every level was denied what it did afterwards, and has what it did before.
async fn check_denied(host: &TestHost, root: RunId, leaf: RunId) {
    let mut done = value(&host.ended(root).await);
    let denied = r#"denied: kv notes key "after" (read-write);"#;
    for level in 0..LEVELS {
        assert_eq!(done[0], Value::Null, "level {level}: {done}");
        assert!(error(&done, 3).starts_with(denied), "level {level}: {done}");
        done = done[2][0]["succeeded"].clone();
    }
    assert_eq!(done[1], json!("x"), "it was answered before: {done}");
    assert!(error(&done, 3).starts_with(r#"denied: kv notes key "leaf" (read);"#), "{done}");
    assert!(error(&done, 4).starts_with(denied), "{done}");
    for run in [root, leaf] {
        let told = denials(run);
        assert!(!told.is_empty() && told.iter().all(|told| told.refused_by == "operator"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_second_it_reaches_those_that_wait_five_levels_below() {
    let now = Timestamp(1_700_000_000_000);
    let clock = ManualClock::at(now);
    let host = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    let root = host.begin("spawns/act", steps(LEVELS)).await;
    let leaf = waits_at(&host, LEVELS).await.spec.id;
    host.named.allow("spawns", without_keys(&host, "spawns"));
    // The sweep of intents sleeps: what it is asked now it sees when it wakes.
    host.until("it sleeps", || clock.next_wake() == Some(now.after(Duration::from_millis(250)))).await;
    let intent = serde_json::to_string(&Intent::Reload { plugins: vec!["spawns".to_owned()] });
    let store = &host.inner().store;
    store.ask(intent.expect("it has string keys").into(), now).await.expect("asked");
    clock.advance(Duration::from_secs(1));
    host.until("it is known", || host.inner().allowed.changes() == 1).await;
    tell(&host, leaf).await;
    check_denied(&host, root, leaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_replayed_keep_their_answers_and_get_no_new_ones() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let root = host.begin("spawns/act", steps(LEVELS)).await;
    let leaf = waits_at(&host, LEVELS).await.spec.id;
    evict(&host).await;
    host.named.allow("spawns", without_keys(&host, "spawns"));
    reload(&host, "spawns").await;
    tell(&host, leaf).await;
    check_denied(&host, root, leaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_runs_that_the_next_host_takes_over() {
    let directory = temporary();
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let root = host.begin("spawns/act", steps(LEVELS)).await;
    let leaf = waits_at(&host, LEVELS).await.spec.id;
    let less = without_keys(&host, "spawns");
    host.host.stop().await;
    let host = Setup::durable(&directory).plugin_allowed("spawns", less).start().await;
    tell(&host, leaf).await;
    check_denied(&host, root, leaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_executes_is_denied_its_next_call() {
    let steps = json!([set("one"), set("two"), set("three"), "now"]);
    let (host, crash, run) = standing_still(&steps).await;
    host.named.allow("spawns", without_keys(&host, "spawns"));
    let inner = host.inner().clone();
    let named = ["spawns".to_owned()];
    let (reloaded, done) = tokio::join!(inner.reload(&named), async {
        host.until("it is known", || host.inner().allowed.changes() == 1).await;
        crash.release();
        value(&host.ended(run.spec.id).await)
    });
    assert_eq!((&done[0], &done[1]), (&Value::Null, &Value::Null), "that call was under way: {done}");
    assert!(error(&done, 2).starts_with(r#"denied: kv notes key "three" (read-write);"#), "{done}");
    reloaded.expect("it is right");
}

/// A plugin with the agents and tools of `spawns` and another name.
const OTHER: &str = r#"
id = "other"
version = "0.1.0"
[asks]
kv = [{ bucket = "notes", mode = "read-write" }]
"#;

const SPAWNS: &str = r#"
id = "spawns"
version = "0.1.0"
[asks]
spawn = { agents = ["other", "spawns"], depth = 2 }
tools = [{ plugin = "other" }, { plugin = "spawns" }]
kv = [{ bucket = "notes", mode = "read-write" }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_answers_to_the_plugin_that_its_authority_comes_from() {
    let host = Setup::in_memory().plugin_with("spawns", SPAWNS).plugin_with("spawns", OTHER).start().await;
    let child = json!([{ "receive": {} }, set("one"), { "receive": {} }, set("two")]);
    let scope = json!({ "kv-write": ["notes/"] });
    let child = spawn(json!({ "agent": "other/act", "task": child, "scope": scope }));
    let tool =
        json!({ "call": { "plugin": "other", "tool": "act", "arguments": { "steps": [set("tool")] } } });
    let root = host
        .begin("spawns/act", json!([child, tool, { "receive": {} }, tool, set("own"), { "wait": {} }]))
        .await;
    let leaf = waits_at(&host, 1).await.spec.id;
    host.named.allow("other", Authority::default());
    reload(&host, "other").await;
    tell(&host, leaf).await;
    tell(&host, root).await;
    host.until("both go on", || denials(root).len() == 1).await;
    let told = denials(root).remove(0);
    assert_eq!((told.plugin.as_str(), told.refused_by.as_str()), ("other", "operator"));
    // What the child does it was given by `spawns`, which is not touched.
    let has = |key: &'static str| {
        let store = host.inner().store.clone();
        async move { store.kv_get("notes".into(), key.into()).await.expect("readable").is_some() }
    };
    let patience = tokio::time::Instant::now() + PATIENCE;
    while !has("one").await || !has("own").await {
        assert!(tokio::time::Instant::now() < patience, "one of the two did not write");
        tokio::task::yield_now().await;
    }
    host.named.allow("spawns", without_keys(&host, "spawns"));
    reload(&host, "spawns").await;
    tell(&host, leaf).await;
    let done = value(&host.ended(root).await);
    assert_eq!(done[1], json!([null]), "{done}");
    assert!(error(&done[3], 0).starts_with(r#"denied: kv notes key "tool" (read-write);"#), "{done}");
    assert_eq!(done[4], Value::Null, "its own is its own: {done}");
    let child = &done[5][0]["succeeded"];
    assert!(error(child, 3).starts_with(r#"denied: kv notes key "two" (read-write);"#), "{done}");
    assert_eq!(denials(leaf)[0].refused_by, "operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_that_was_interrupted_goes_on_and_a_new_one_is_denied() {
    let host = Setup::in_memory().plugin_with("spawns", SPAWNS).start().await;
    let child = spawn(json!({ "agent": "spawns/act", "task": [{ "receive": {} }] }));
    let call = |steps: Value| json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": steps } } });
    let steps = json!([call(json!([child, { "wait": {} }])), call(json!(["now"]))]);
    let root = host.begin("spawns/act", steps).await;
    let leaf = waits_at(&host, 1).await.spec.id;
    evict(&host).await;
    let asks = host.inner().plugins().get("spawns").expect("it is loaded").manifest.asks.clone();
    host.named.allow("spawns", Authority { tools: Vec::new(), ..asks });
    reload(&host, "spawns").await;
    tell(&host, leaf).await;
    let done = value(&host.ended(root).await);
    assert_eq!(done[0][1][0]["succeeded"], json!(["go on"]), "{done}");
    assert!(error(&done, 1).starts_with("denied: tools spawns.act;"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_again_reaches_a_run_as_far_as_its_own_grants_go() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let steps = json!([{ "receive": {} }, set("one"), { "receive": {} }, set("two")]);
    let root = host.begin("spawns/act", steps).await;
    waits_at(&host, 0).await;
    let less = without_keys(&host, "spawns");
    let all = Authority {
        kv: host.inner().plugins().get("spawns").expect("loaded").manifest.asks.kv.clone(),
        ..less.clone()
    };
    host.named.allow("spawns", less);
    reload(&host, "spawns").await;
    tell(&host, root).await;
    host.until("it is denied", || denials(root).len() == 1).await;
    host.named.allow("spawns", all);
    reload(&host, "spawns").await;
    tell(&host, root).await;
    let done = value(&host.ended(root).await);
    assert!(error(&done, 1).starts_with("denied: kv notes"), "{done}");
    assert_eq!(done[3], Value::Null, "{done}");
}
