//! What an agent does with its children: spawn, wait, look, speak, cancel; and
//! what else it may do on the way.

mod room;
mod waits;

use std::sync::Arc;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Outcome, Timestamp};
use sublane_tests::{Setup, TestHost, value};

async fn host() -> TestHost {
    Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await
}

/// What the steps came to, one after the other.
async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

/// A spawn of `act` with steps of its own.
fn actor(steps: Value) -> Value {
    json!({ "spawn": { "agent": "spawns/act", "task": steps, "scope": { "cpu-ms": 1000 } } })
}

fn echo(what: Value) -> Value {
    json!({ "spawn": { "agent": "spawns/echo", "task": what, "scope": { "cpu-ms": 1000 } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn all_children_are_waited_for_in_the_order_they_are_named() {
    let steps = json!([
        actor(json!([{ "sleep": 30 }])),
        echo(json!("quick")),
        { "wait": { "children": [1, 0] } },
        { "wait": {} },
    ]);
    let done = acted(&host().await, steps).await;
    assert_eq!(done[2], json!([{ "succeeded": "quick" }, { "succeeded": [null] }]));
    assert_eq!(done[3], json!([{ "succeeded": [null] }, { "succeeded": "quick" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_child_that_has_ended_ends_the_wait() {
    let steps = json!([
        actor(json!([{ "receive": {} }])),
        echo(json!("quick")),
        { "wait": { "any": true } },
        { "status": 0 },
        { "cancel": { "child": 0, "reason": "not needed" } },
        { "wait": { "children": [0] } },
    ]);
    let done = acted(&host().await, steps).await;
    assert_eq!(done[2], json!({ "child": 1, "outcome": { "succeeded": "quick" } }));
    assert!(
        ["queued", "running", "waiting"].contains(&done[3]["state"].as_str().expect("it lives")),
        "{done}"
    );
    assert_eq!(done[5], json!([{ "cancelled": "not needed (by spawns/act)" }]));
}

/// Complaint 126924 (R18): a wait that ran out was taken for the child's death.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_of_a_wait_is_not_a_state_of_the_run() {
    let steps = json!([
        actor(json!([{ "receive": {} }])),
        { "wait": { "within-ms": 20 } },
        { "wait": { "any": true, "within-ms": 0 } },
        { "status": 0 },
        { "send": { "child": 0, "message": "go" } },
        { "wait": {} },
    ]);
    let done = acted(&host().await, steps).await;
    assert_eq!((&done[1], &done[2]), (&json!("timed out"), &json!("timed out")));
    assert_eq!(done[3]["state"], json!("waiting"));
    assert_eq!(done[5], json!([{ "succeeded": ["go"] }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_the_order_in_which_they_were_sent() {
    let steps = json!([
        actor(json!([{ "receive": {} }, { "receive": {} }, { "receive": { "within-ms": 1 } }])),
        { "send": { "child": 0, "message": { "n": 1 } } },
        { "send": { "child": 0, "message": { "n": 2 } } },
        { "wait": {} },
        { "send": { "child": 0, "message": "too late" } },
    ]);
    let done = acted(&host().await, steps).await;
    assert_eq!(done[3], json!([{ "succeeded": [{ "n": 1 }, { "n": 2 }, null] }]));
    assert_eq!(done[4], json!({ "error": "there is no such thing" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_has_its_limit() {
    let mut steps = vec![actor(json!([{ "sleep": 60_000 }]))];
    steps.extend((0..65).map(|n| json!({ "send": { "child": 0, "message": n } })));
    steps.push(json!({ "cancel": { "child": 0, "reason": "full" } }));
    let done = acted(&host().await, json!(steps)).await;
    assert_eq!(done[64], json!(null));
    let error = done[65]["error"].as_str().expect("it is full");
    assert!(error.contains("subagent.mailbox of 64"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_children_say_where_each_stands() {
    let host = host().await;
    let waiting = json!({ "spawn": {
        "agent": "spawns/act", "name": "waiter",
        "task": [{ "progress": { "percent": 40, "note": "nearly" } }, { "receive": {} }],
    } });
    let steps = json!([
        waiting,
        echo(json!(7)),
        { "wait": { "children": [1] } },
        { "wait": { "children": [0], "within-ms": 50 } },
        "children",
        { "status": 1 },
        { "send": { "child": 0, "message": 1 } },
        { "wait": {} },
    ]);
    let done = acted(&host, steps).await;
    let children = done[4].as_array().expect("a list");
    assert_eq!(children.len(), 2);
    assert_eq!(children[0]["name"], json!("waiter"));
    assert_eq!(children[0]["agent"], json!("spawns/act"));
    assert_eq!(children[0]["state"], json!("waiting"));
    assert_eq!((&children[0]["percent"], &children[0]["note"]), (&json!(40), &json!("nearly")));
    assert_eq!(children[1]["state"], json!({ "succeeded": 7 }));
    assert_eq!(done[5]["state"], json!({ "succeeded": 7 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_own_children_may_be_spoken_to() {
    let host = host().await;
    let other = host.begin("spawns/act", json!([{ "sleep": 60_000 }])).await;
    let id = other.to_string();
    let steps = json!([
        { "wait-for": id },
        { "send-to": { "run": id, "message": 1 } },
        { "cancel-run": id },
        { "wait-for": "no id" },
    ]);
    let done = acted(&host, steps).await;
    for step in 0..3 {
        let error = done[step]["error"].as_str().expect("refused");
        assert!(error.starts_with("denied: subagent"), "{error}");
    }
    assert!(done[3]["error"].as_str().is_some_and(|error| error.starts_with("invalid: `no id`")), "{done}");
    let state = host.inner().store.run(other).await.expect("the store answers").expect("it is there").state;
    assert!(!matches!(state, sublane_core::RunState::Ended { .. }));
}

/// Complaint 50165 (R17): a child was told as done before what it had handed on was.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_end_before_what_is_attached_to_it() {
    let host = host().await;
    let run = host.begin("spawns/act", json!([actor(json!([{ "receive": {} }]))])).await;
    host.when(run, "closing", |run| run.state.kind() == "closing").await;
    let child = child_of(&host, run).await;
    host.inner().cancel(child, "by hand").await.expect("it is cancelled");
    assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_child_of_a_parent_with_little_time_still_has_some() {
    let hasty = r#"
        id = "spawns"
        version = "0.1.0"
        [asks]
        spawn = { agents = ["spawns"], depth = 1 }
        timeout = "1s"
    "#;
    let start = Timestamp(1_000_000);
    let setup = Setup::in_memory().clock(Arc::new(ManualClock::at(start)));
    let host = setup.plugin_with("spawns", hasty).start().await;
    let done = acted(&host, json!([echo(json!("in time")), { "wait": {} }])).await;
    assert_eq!(done[0]["grants"]["deadline"], json!(start.0 + 900), "a tenth less than its parent's");
    assert_eq!(done[1], json!([{ "succeeded": "in time" }]));
}

async fn child_of(host: &TestHost, run: sublane_core::RunId) -> sublane_core::RunId {
    let filter = sublane_store::RunFilter { parent: Some(run), limit: 10, ..Default::default() };
    let children = host.inner().store.runs(filter).await.expect("the store answers");
    children.first().expect("it has a child").spec.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_child_goes_on_without_its_parent() {
    let host = host().await;
    let steps = json!([{ "spawn": {
        "agent": "spawns/act", "task": [{ "receive": {} }], "detached": true, "deliver": ["origin"],
    } }]);
    let run = host.begin("spawns/act", steps).await;
    assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    let child = child_of(&host, run).await;
    host.when(child, "waiting", |run| run.state.kind() == "waiting").await;
    host.inner().cancel(child, "by hand").await.expect("it is cancelled");
    host.until("the cancellation is delivered", || {
        host.recorder.texts().iter().any(|text| text.contains("was cancelled: by hand."))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_the_trees() {
    let host = host().await;
    let leaf = json!([{ "receive": {} }]);
    let scope = json!({ "agents": ["spawns/*"], "depth": 1, "total": 2 });
    let middle = json!({ "spawn": { "agent": "spawns/act", "scope": scope, "task": [
        { "spawn": { "agent": "spawns/act", "task": leaf } }, { "wait": {} },
    ] } });
    let run = host.begin("spawns/act", json!([middle, { "wait": {} }])).await;
    let waiting = |run: &sublane_core::Run| run.state.kind() == "waiting";
    host.when(run, "waiting", waiting).await;
    let middle = child_of(&host, run).await;
    host.when(middle, "waiting", waiting).await;
    let leaf = child_of(&host, middle).await;
    host.when(leaf, "waiting", waiting).await;
    assert_eq!(host.inner().cancel(run, "enough").await.expect("it is cancelled"), 3);
    for run in [run, middle, leaf] {
        assert!(matches!(host.ended(run).await, Outcome::Cancelled { .. }));
    }
    assert_eq!(host.inner().engines.of(sublane::engine::Class::Small).pool.used(), 0);
}

/// A child with these steps whose ending is owed to the conversation, and what people read then.
async fn check_told(child: Value, expected: &str) {
    let host = host().await;
    acted(&host, json!([child, { "wait": {} }])).await;
    let told = |text: &String| text.contains(expected);
    host.until(expected, || host.recorder.texts().iter().any(told)).await;
}

/// Complaint 44925 (R2): nobody was told of a time-out.
#[tokio::test(flavor = "multi_thread")]
async fn every_ending_is_delivered() {
    let child = |more: Value| {
        let mut spawn = json!({ "agent": "spawns/act", "name": "film", "deliver": ["origin"] });
        spawn.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({ "spawn": spawn })
    };
    check_told(child(json!({ "agent": "spawns/echo", "task": "a film" })), "a film").await;
    check_told(child(json!({ "task": [{ "fail": "no ink" }] })), "film failed: no ink").await;
    check_told(child(json!({ "agent": "misbehaves/trap" })), "film failed: it crashed").await;
    let late = "film was stopped: its time was up";
    check_told(child(json!({ "task": [{ "receive": {} }], "timeout-ms": 30 })), late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_on_the_way_and_at_the_end() {
    let host = host().await;
    let steps = json!([
        { "write": { "name": "draft.txt", "text": "a lighthouse" } },
        { "deliver": { "to": "origin", "text": "here is a draft" } },
        { "deliver": { "to": "console:aside", "text": "by the way" } },
        { "deliver": { "to": "origin", "text": "" } },
    ]);
    let done = acted(&host, steps).await;
    assert!(done[3]["error"].as_str().is_some_and(|error| error.contains("1 to 16384 bytes")), "{done}");
    host.until("both are told", || host.recorder.texts().len() == 3).await;
    let deliveries = host.recorder.deliveries();
    let draft =
        deliveries.iter().find(|delivery| delivery.body.contains("here is a draft")).expect("it is told");
    assert_eq!(draft.destination.to_string(), "console:test");
    let body: Value = serde_json::from_str(&draft.body).expect("a body is JSON");
    let url = body["data"]["artifacts"][0]["url"].as_str().expect("a link").to_owned();
    let path = url.strip_prefix("file://").expect("a link to a file");
    assert_eq!(std::fs::read_to_string(path).expect("the file is there"), "a lighthouse");
    let aside = deliveries.iter().find(|delivery| delivery.body.contains("by the way")).expect("it is told");
    assert_eq!(aside.destination.to_string(), "console:aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_more_than_a_hundred_messages_by_one_run() {
    let steps: Vec<_> =
        (0..101).map(|n| json!({ "deliver": { "to": "origin", "text": format!("{n}") } })).collect();
    let done = acted(&host().await, json!(steps)).await;
    assert_eq!(done[99], json!(22));
    let error = done[100]["error"].as_str().expect("refused");
    assert!(error.contains("delivery.per-run of 100"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_kept_between_runs() {
    let host = host().await;
    let set = |key: &str, value: &str| json!({ "kv-set": { "bucket": "notes", "key": key, "value": value } });
    let get = |key: &str| json!({ "kv-get": { "bucket": "notes", "key": key } });
    acted(&host, json!([set("a/1", "x"), set("a/2", "y"), set("b", "z"), set("a/1", "w")])).await;
    let list = json!({ "kv-list": { "bucket": "notes", "prefix": "a/" } });
    let delete = json!({ "kv-delete": { "bucket": "notes", "key": "a/2" } });
    let done = acted(&host, json!([get("a/1"), get("none"), list, delete, delete, list])).await;
    assert_eq!(done, json!(["w", null, ["a/1", "a/2"], null, null, ["a/1"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_by_who_was_given_it_and_nobody_else() {
    let host = host().await;
    let written =
        acted(&host, json!([{ "write": { "name": "a.txt", "text": "mine" } }, { "read": {} }])).await;
    assert_eq!(written[1], json!("mine"));
    let id = written[0]["id"].clone();
    let writer = json!({ "spawn": {
        "agent": "spawns/write", "task": "from a child", "scope": { "artifact-bytes": 100 },
    } });
    let reader = json!({ "spawn": { "agent": "spawns/read", "with-files": true } });
    let steps = json!([
        { "read": { "id": id } },
        writer,
        { "wait": {} },
        { "read": { "child": 0 } },
        { "write": { "name": "b.txt", "text": "for a child" } },
        reader,
        { "wait": { "children": [1] } },
    ]);
    let done = acted(&host, steps).await;
    assert!(done[0]["error"].as_str().is_some_and(|error| error.starts_with("denied: artifact")), "{done}");
    assert_eq!(done[3], json!("from a child"));
    assert_eq!(done[6], json!([{ "succeeded": "for a child" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_and_called_as_far_as_they_are_granted() {
    let host = host().await;
    let call = |plugin: &str, tool: &str, arguments: Value| json!({ "call": { "plugin": plugin, "tool": tool, "arguments": arguments } });
    let steps = json!([
        "tools",
        call("spawns", "echo", json!({ "value": [1, 2] })),
        call("spawns", "echo", json!({ "wrong": 1 })),
        call("spawns", "no_such_tool", json!({})),
        call("elsewhere", "echo", json!({})),
        call("spawns", "call_back", json!({})),
    ]);
    let done = acted(&host, steps).await;
    let tools: Vec<_> = done[0].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(tools.contains(&"spawns.echo") && tools.contains(&"misbehaves.spin_here"), "{tools:?}");
    assert_eq!(done[1], json!([1, 2]));
    assert!(
        done[2]["error"].as_str().is_some_and(|error| error == "invalid: the arguments: `value` is missing"),
        "{done}"
    );
    assert_eq!(done[3], json!({ "error": "there is no such thing" }));
    assert!(done[4]["error"].as_str().is_some_and(|error| error.starts_with("denied: tools elsewhere.echo")));
    // A tool that calls itself comes four calls deep and is then refused by name.
    assert_eq!(done[5]["calls"], json!(3));
    assert!(
        done[5]["refused"].as_str().is_some_and(|error| error.contains("tools.call-depth of 4")),
        "{done}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_is_short() {
    let host = host().await;
    let act = |steps: Value| json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": steps } } });
    let attached = json!({ "spawn": { "agent": "spawns/echo", "attached": true } });
    let done = acted(&host, json!([act(json!([{ "sleep": 1 }, { "receive": {} }, attached]))])).await;
    for (step, words) in ["it cannot sleep", "it has no mailbox", "is detached"].iter().enumerate() {
        assert!(done[0][step]["error"].as_str().is_some_and(|error| error.contains(words)), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_starts_belongs_to_the_conversation() {
    let host = host().await;
    let start = json!({ "call": { "plugin": "spawns", "tool": "start", "arguments": { "value": "later" } } });
    let done = acted(&host, json!([start])).await;
    let run = done[0]["run"].as_str().expect("a receipt").parse().expect("an id");
    assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    let run = host.inner().store.run(run).await.expect("the store answers").expect("it is there");
    assert_eq!((run.spec.lane.as_str(), run.spec.lifetime), ("subagent", sublane_core::Lifetime::Detached));
    host.until("its result is delivered", || host.recorder.texts().contains(&"later".to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_its_own_time_and_chance() {
    let host = host().await;
    let steps = json!(["now", "now", { "sleep": 20 }, "now", "random", "random"]);
    let done = acted(&host, steps).await;
    assert_eq!(done[0], done[1], "time stands still between imports that are not local");
    assert!(done[3].as_u64() >= done[0].as_u64().map(|now| now + 20), "{done}");
    assert_ne!(done[4], done[5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sleeps_past_their_deadline() {
    let done = acted(&host().await, json!([{ "sleep": 86_400_000 }])).await;
    let error = done[0]["error"].as_str().expect("refused");
    assert!(error.contains("cap.deadline"), "{error}");
}
