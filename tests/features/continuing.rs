//! A run goes on as new: an empty journal, and the same run to everybody else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::journal::Bounds;
use sublane_core::{Import, Outcome, Run, RunState, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::command::CommandLine;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, temporary, value};

/// 2027-01-15T08:00:00Z.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

fn set(key: &str, text: &str) -> Value {
    json!({ "kv-set": { "bucket": "notes", "key": key, "value": text } })
}

fn get(key: &str) -> Value {
    json!({ "kv-get": { "bucket": "notes", "key": key } })
}

fn goes_on(with: Value) -> Value {
    json!({ "continue": with })
}

async fn host(setup: Setup) -> (TestHost, ManualClock) {
    let clock = ManualClock::at(BEGIN);
    (setup.clock(Arc::new(clock.clone())).plugin("spawns").start().await, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_run_with_another_task_and_its_end_is_told_once() {
    let (host, clock) = host(Setup::in_memory()).await;
    let second = json!([get("a"), "now", { "sleep": 1_000 }, get("a")]);
    let first = json!([set("a", "1"), { "sleep": 60_000 }, goes_on(second)]);
    let child = json!({ "spawn": { "agent": "spawns/act", "task": first, "name": "film",
        "deliver": ["console:aside"], "scope": { "cpu-ms": 1_000, "kv-write": ["notes/"] } } });
    let parent = host.begin("spawns/act", json!([child, { "wait": {} }])).await;
    host.when(parent, "waiting", |run| run.state.kind() == "waiting").await;
    let store = host.inner().store.clone();
    let of_parent = RunFilter { parent: Some(parent), limit: 1, ..RunFilter::default() };
    let before = store.runs(of_parent).await.expect("the store answers").remove(0);
    let id = before.spec.id;
    host.when(id, "waiting", |run| run.state.kind() == "waiting").await;
    clock.advance(Duration::from_secs(60));
    let now =
        host.when(id, "in its second", |run| run.generation == 1 && run.state.kind() == "waiting").await;
    assert_eq!((now.spec.deadline(), &now.spec.grants), (before.spec.deadline(), &before.spec.grants));
    assert!(now.purse.cpu_us < before.purse.cpu_us && now.purse.host_calls < before.purse.host_calls);
    assert_eq!((now.spec.purse, now.begun), (before.spec.purse, BEGIN.after(Duration::from_secs(60))));
    let old = store.journal(id, 0).await.expect("readable");
    assert_eq!(
        old.last().map(|entry| (entry.import, &*entry.result)),
        Some((Import::ContinueAsNew, r#"{"Ok":null}"#))
    );
    clock.advance(Duration::from_secs(1));
    let told = value(&host.ended(parent).await)[1][0]["succeeded"].clone();
    assert_eq!(told, json!(["1", now.begun.0, null, "1"]));
    let aside = || {
        let all = host.recorder.deliveries();
        all.into_iter().filter(|owed| owed.destination.address == "aside").count()
    };
    host.until("it is told", || aside() > 0).await;
    assert_eq!((aside(), host.when(id, "ended", Run::is_ended).await.crashes), (1, 0));
}

/// So long a loop has more calls than a journal holds, and what is kept does not grow.
#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_goes_on_as_new_fills_no_journal() {
    let mut setup = Setup::in_memory();
    setup.settings.journal = Bounds { entries: 6, bytes: 1 << 20 };
    let (host, _) = host(setup).await;
    let leg = |then: Value| json!([set("a", "1"), get("a"), get("a"), "journal-used", then]);
    let steps = (0..10).fold(leg(json!("now")), |next, _| leg(goes_on(next)));
    let run = host.begin("spawns/act", steps).await;
    let done = value(&host.ended(run).await);
    assert_eq!((&done[3][0], &done[3][1]), (&json!(3), &json!(6)), "each journal begins empty: {done}");
    let store = &host.inner().store;
    let mut kept = Vec::new();
    for generation in 0..=10 {
        kept.push(store.journal(run, generation).await.expect("readable").len());
    }
    assert_eq!(kept, [0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 4]);
    let row = host.when(run, "ended", Run::is_ended).await;
    assert_eq!((row.generation, row.continued, row.attempt), (10, 10, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_goes_on_and_so_do_messages_and_files() {
    let (host, clock) = host(Setup::in_memory()).await;
    let echo = json!({ "spawn": { "agent": "spawns/echo", "task": 7, "name": "echo",
        "scope": { "cpu-ms": 10 }, "begin-after-ms": 300_000 } });
    let second = json!(["children", { "receive": {} }, { "read": {} }]);
    let file = json!({ "write": { "name": "a.txt", "text": "hello" } });
    let run = host.begin("spawns/act", json!([echo, file, { "sleep": 1_000 }, goes_on(second)])).await;
    host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
    host.inner().store.send(run, "\"go on\"".into(), None, BEGIN).await.expect("it takes a message");
    clock.advance(Duration::from_secs(1));
    // Its work is done, and it ends when its child has.
    let closing = host.when(run, "closing", |run| run.state.kind() == "closing").await;
    assert_eq!((closing.generation, closing.attached_children), (1, 1));
    clock.advance(Duration::from_secs(300));
    let done = value(&host.ended(run).await);
    assert_eq!((&done[0][0]["name"], &done[0][0]["state"]), (&json!("echo"), &json!("queued")), "{done}");
    assert_eq!(done[1], "go on");
    let error = done[2]["error"].as_str().unwrap_or_default();
    assert_eq!(error, "there is no file", "the instance is a new one: {done}");
    let filter = RunFilter { parent: Some(run), limit: 9, ..RunFilter::default() };
    let children = host.inner().store.runs(filter).await.expect("the store answers");
    assert!(matches!(children[0].outcome(), Some(Outcome::Succeeded(_))), "{:?}", children[0].state);
    let linked = host.inner().store.run(run).await.expect("readable").expect("there").spec.artifacts.len();
    assert_eq!(linked, 1, "the file went with the task");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_gone_on_with_is_refused_and_the_run_goes_on() {
    let (host, _) = host(Setup::in_memory()).await;
    let in_a_call = json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [
        goes_on(json!([])),
    ] } } });
    let steps = json!([goes_on(json!("no steps")), goes_on(json!(["no step"])), in_a_call, "now"]);
    let run = host.begin("spawns/act", steps).await;
    let done = value(&host.ended(run).await);
    let error = |done: &Value| done["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(&done[0]).starts_with("invalid: the task"), "{done}");
    assert!(error(&done[1]).starts_with("invalid: the task"), "{done}");
    assert_eq!(error(&done[2][0]), "invalid: a tool call is short: only an agent goes on as new");
    assert_eq!(done[3], json!(BEGIN.0));
    assert_eq!(host.when(run, "ended", Run::is_ended).await.generation, 0);
}

/// What a run registered is undone when it does not succeed, in whatever generation it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_undone_is_handed_on_with_its_secret() {
    let web = Web::start(|_| Answer::ok("gone")).await;
    let manifest = format!(
        "id = 'spawns'\nversion = '0.1.0'\n[asks]\n\
         http = [{{ to = '{url}', methods = ['PUT'] }}]\nrequests = 9\nbytes-out = '1MiB'\nbytes-in = '1MiB'\n\
         secrets = [{{ name = 'fal', header = 'Authorization', audience = '{url}' }}]\n",
        url = web.url()
    );
    let setup = Setup::in_memory().plugin_with("spawns", &manifest).secret("fal", "id:secret-of-fal");
    let host = setup.clock(Arc::new(ManualClock::at(BEGIN))).start().await;
    let undo = |path: &str| {
        json!({ "http": {
            "method": "PUT", "url": format!("{}{path}", web.url()), "undo": true, "body": "{}",
            "headers": [["authorization", "Key {fal}"]], "secrets": ["fal"],
        } })
    };
    let last =
        |end: Value| json!([undo("/a"), goes_on(json!([undo("/b"), goes_on(json!([undo("/c"), end]))]))]);
    host.run("spawns/act", last(json!("now"))).await;
    assert!(web.asked().is_empty(), "it succeeded");
    host.run("spawns/act", last(json!({ "fail": "no" }))).await;
    host.until("all is undone", || web.asked().len() == 3).await;
    let mut asked: Vec<_> = web
        .asked()
        .iter()
        .map(|asked| (asked.target.clone(), asked.header("authorization").to_owned()))
        .collect();
    asked.sort();
    assert_eq!(asked, ["/a", "/b", "/c"].map(|path| (path.to_owned(), "Key id:secret-of-fal".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_generation_that_is_over_is_shown_exported_and_replayed() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let (host, _) = host(Setup::durable(&directory)).await;
    let second = json!(["random", set("a", "2")]);
    let run = host.begin("spawns/act", json!(["random", set("a", "1"), goes_on(second)])).await;
    host.ended(run).await;
    let run = run.to_string();
    let shown = line.run(&["runs", "show", &run]).await.out;
    assert!(shown.contains("generation   1, ") && shown.contains("went on as new"), "{shown}");
    let shown = line.json(&["runs", "show", &run]).await;
    let earlier = &shown["earlier_generations"][0];
    assert_eq!((&earlier["next_by"], &earlier["outcome"]), (&json!("itself"), &Value::Null));
    assert_eq!(shown["input"], json!(["random", set("a", "2")]));
    for (generation, came_to) in [("0", "continued"), ("1", "ended")] {
        let file = directory.path().join(format!("{generation}.json"));
        let file = file.to_str().expect("text");
        let said = line.run(&["runs", "export", &run, "--out", file, "--generation", generation]).await;
        assert_eq!((said.exit, said.err.contains("lives")), (0, false), "{said:?}");
        let replayed = line.run(&["replay", file, "--json"]).await;
        let told = replayed.json();
        assert_eq!((&told["came_to"], &told["agrees"]), (&json!(came_to), &json!(true)), "{replayed:?}");
    }
    let whole = line.run(&["store", "check"]).await;
    assert_eq!((whole.exit, whole.out.starts_with("the store is whole")), (0, true), "{whole:?}");
}

/// It is a row between two generations, and another host executes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_as_new_outlives_its_host() {
    let directory = temporary();
    let (first, clock) = host(Setup::durable(&directory)).await;
    let run = first
        .begin("spawns/act", json!([set("a", "1"), goes_on(json!([{ "receive": {} }, get("a")]))]))
        .await;
    let waits = |run: &Run| run.generation == 1 && matches!(run.state, RunState::Waiting { .. });
    first.when(run, "waiting in its second", waits).await;
    first.host.stop().await;
    let second = Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("spawns").start().await;
    second
        .inner()
        .store
        .send(run, "1".into(), None, BEGIN)
        .await
        .map(|effects| second.inner().dispatch(effects))
        .expect("it takes a message");
    assert_eq!(value(&second.ended(run).await), json!([1, "1"]));
    assert_eq!(second.when(run, "ended", Run::is_ended).await.crashes, 0);
}
