//! Small values: who may change one first, and how large they are.

use serde_json::{Value, json};
use sublane_tests::{Setup, TestHost, value};

async fn host() -> TestHost {
    Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await
}

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

fn get() -> Value {
    json!({ "kv-get": { "bucket": "notes", "key": "turn" } })
}

fn set_if(held: Option<&str>, value: &str) -> Value {
    json!({ "kv-set-if": { "bucket": "notes", "key": "turn", "held": held, "value": value } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_set_if_what_is_there_is_what_must_be() {
    let host = host().await;
    let steps = json!([
        set_if(Some("1"), "2"),
        set_if(None, "1"),
        set_if(None, "2"),
        set_if(Some("2"), "3"),
        set_if(Some("1"), "2"),
        get(),
    ]);
    assert_eq!(acted(&host, steps).await, json!([false, true, false, false, true, "2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_runs_that_take_a_turn_at_once_one_gets_it() {
    let host = host().await;
    let mut runs = Vec::new();
    for n in 0..12 {
        runs.push(host.begin("spawns/act", json!([set_if(None, &n.to_string())])).await);
    }
    let mut first = Vec::new();
    for (n, run) in runs.into_iter().enumerate() {
        if value(&host.ended(run).await) == json!([true]) {
            first.push(n.to_string());
        }
    }
    assert_eq!(json!(first), acted(&host, json!([get()])).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_change_needs_the_grant_to_write() {
    let host = host().await;
    let child = json!({ "spawn": {
        "agent": "spawns/act", "scope": { "kv-read": ["notes/"] }, "task": [get(), set_if(None, "1")],
    } });
    let done = acted(&host, json!([child, { "wait": {} }])).await;
    let refused = done[1][0]["succeeded"][1]["error"].as_str().expect("a refusal");
    assert!(refused.starts_with(r#"denied: kv notes key "turn" (read-write);"#), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_have_bounds_that_are_told() {
    let host = host().await;
    let (key, large) = ("k".repeat(257), "v".repeat((64 << 10) + 1));
    let steps = json!([
        { "kv-set": { "bucket": "notes", "key": &key[1..], "value": &large[1..] } },
        { "kv-set": { "bucket": "notes", "key": key, "value": "" } },
        { "kv-get": { "bucket": "notes", "key": key } },
        { "kv-delete": { "bucket": "notes", "key": key } },
        { "kv-list": { "bucket": "notes", "prefix": key } },
        { "kv-set-if": { "bucket": "notes", "key": key, "value": "" } },
    ]);
    let done = acted(&host, steps).await;
    assert_eq!(done[0], json!(null), "{done}");
    for step in 1..6 {
        let error = done[step]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("the limit kv.key-bytes of 256 is reached"), "{step}: {done}");
    }
    for large in [
        json!({ "kv-set": { "bucket": "notes", "key": "k", "value": large } }),
        set_if(None, &large),
        set_if(Some(&large), ""),
    ] {
        let done = acted(&host, json!([large])).await;
        let error = done[0]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("the limit kv.value-bytes of 65536 is reached"), "{error}");
    }
    let empty = acted(&host, json!([{ "kv-get": { "bucket": "notes", "key": "" } }])).await;
    assert!(empty[0]["error"].as_str().is_some_and(|error| error.starts_with("invalid: a key has 1 to 256")));
}
