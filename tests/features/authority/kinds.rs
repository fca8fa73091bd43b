//! The kinds of authority that reach beyond the host: asked for in a manifest, handed on in a scope,
//! refused by name, and split where they are spent.

use serde_json::{Value, json};
use sublane_core::{Failure, Outcome};
use sublane_tests::{Setup, TestHost, value};

use super::{acted, actor, error, spawn};

pub(super) const MANIFEST: &str = r#"
id = "spawns"
version = "0.1.0"
[asks]
spawn = { agents = ["spawns"], depth = 5, active-children = 20, total = 1000 }
http = [
    { to = "https://queue.fal.run/fal-ai", methods = ["GET", "POST"] },
    { to = "https://*.example.com" },
]
files = [{ root = "media", path = "in", mode = "read" }, { root = "out", mode = "read-write" }]
secrets = [{ name = "fal", header = "Authorization", audience = "https://queue.fal.run" }]
models = ["anthropic/claude", "local/*"]
requests = 100
bytes-out = "1MiB"
bytes-in = "64MiB"
tokens = 1000
money-millionths = 2500000
host-calls = 1000
"#;

async fn host() -> TestHost {
    Setup::in_memory().plugin_with("spawns", MANIFEST).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_refused_by_name() {
    let host = host().await;
    for (scope, denied) in [
        (json!({ "http": ["GET https://queue.fal.run/other"] }), "http GET https://queue.fal.run/other"),
        (
            json!({ "http": ["DELETE https://queue.fal.run/fal-ai"] }),
            "http DELETE https://queue.fal.run/fal-ai",
        ),
        (json!({ "http": ["GET http://queue.fal.run/fal-ai"] }), "http GET http://queue.fal.run/fal-ai"),
        (json!({ "http": ["GET https://example.com"] }), "http GET https://example.com/"),
        (json!({ "files-read": ["media"] }), "files media (read)"),
        (json!({ "files-write": ["media/in"] }), "files media/in (read-write)"),
        (json!({ "files-read": ["private/in"] }), "files private/in (read)"),
        (
            json!({ "secrets": ["fal authorization https://evil.example"] }),
            "secrets fal in header authorization to https://evil.example/",
        ),
        (
            json!({ "secrets": ["fal x-key https://queue.fal.run"] }),
            "secrets fal in header x-key to https://queue.fal.run/",
        ),
        (json!({ "models": ["anthropic/*"] }), "models anthropic/*"),
    ] {
        let done = acted(&host, json!([spawn(json!({ "scope": scope }))])).await;
        assert!(error(&done, 0).starts_with(&format!("denied: {denied};")), "{done}");
    }
    for scope in [
        json!({ "http": ["GET https://a.b/../c"] }),
        json!({ "http": ["GET https://2130706433/"] }),
        json!({ "http": ["get https://queue.fal.run/fal-ai"] }),
        json!({ "files-read": ["media/in/.."] }),
        json!({ "secrets": ["fal authorization nowhere"] }),
        json!({ "models": ["claude"] }),
    ] {
        let done = acted(&host, json!([spawn(json!({ "scope": scope }))])).await;
        assert!(error(&done, 0).starts_with("invalid: "), "{scope}: {done}");
    }
    assert_eq!(acted(&host, json!(["children"])).await, json!([[]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_handed_on_and_gets_smaller() {
    let host = host().await;
    let scope = json!({
        "agents": ["spawns"],
        "http": ["POST https://queue.fal.run/fal-ai/fast"],
        "files-read": ["media/in/raw"],
        "secrets": ["fal Authorization https://queue.fal.run/fal-ai"],
        "models": ["local/tiny"],
        "requests": [10, 1000, 2000],
        "tokens": [50, 7],
        "host-calls": 20,
    });
    let wider = spawn(json!({ "scope": { "http": ["POST https://queue.fal.run/fal-ai"] } }));
    let same = spawn(json!({ "scope": {
        "http": ["POST https://queue.fal.run/fal-ai/fast"], "models": ["local/tiny"], "host-calls": 1,
    } }));
    let greedy = spawn(json!({ "scope": { "requests": [11, 0, 0], "host-calls": 1 } }));
    let done = acted(&host, json!([actor(scope, json!([wider, same, greedy])), { "wait": {} }])).await;
    let got = &done[0]["grants"];
    assert_eq!(got["http"], json!(["POST https://queue.fal.run/fal-ai/fast"]));
    assert_eq!(got["files"], json!(["read media/in/raw"]));
    assert_eq!(got["secrets"], json!(["fal https://queue.fal.run/fal-ai"]));
    assert_eq!(got["models"], json!(["local/tiny"]));
    assert_eq!((&got["requests"], &got["tokens"]), (&json!([10, 1000, 2000]), &json!([50, 7])));
    assert_eq!(got["host-calls"], json!(20));
    let child = &done[1][0]["succeeded"];
    assert!(error(child, 0).starts_with("denied: http POST https://queue.fal.run/fal-ai;"), "{child}");
    assert_eq!(child[1]["grants"]["requests"], json!([5, 500, 1000]), "half, where no number is named");
    assert_eq!(child[1]["grants"]["tokens"], json!([25, 3]));
    assert!(error(child, 2).starts_with("the limit purse.requests of 5"), "split, not copied: {child}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_asked_for_brings_nothing_to_spend() {
    let host = host().await;
    let done = acted(&host, json!([spawn(json!({}))])).await;
    let got = &done[0]["grants"];
    assert_eq!((&got["requests"], &got["tokens"]), (&json!(null), &json!(null)), "there is none: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_calls_the_host_too_often_ends_and_gives_nothing_back() {
    let host = host().await;
    let often = json!(vec!["children"; 30]);
    let few = json!({ "host-calls": 10 });
    let rest = spawn(json!({ "scope": { "host-calls": 989 } }));
    let done = acted(&host, json!([actor(few, often), { "wait": {} }, rest])).await;
    let failed = done[1][0]["failed"].as_str().expect("it failed");
    assert!(failed.contains("OutOfCalls: it was given 10 host calls"), "{failed}");
    // Of 1,000 the child spent its 10 and its parent some of its own.
    assert!(error(&done, 2).starts_with("the limit purse.host-calls of 98"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_calls_count_as_well() {
    let manifest = MANIFEST.replace("host-calls = 1000", "host-calls = 5");
    let host = Setup::in_memory().plugin_with("spawns", &manifest).start().await;
    let outcome = host.run("spawns/act", json!(vec![json!("random"); 50])).await;
    let Outcome::Failed { reason: Failure::OutOfCalls, .. } = outcome else { panic!("{outcome:?}") };
    let manifest = MANIFEST.replace("host-calls = 1000", "host-calls = 100");
    let host = Setup::in_memory().plugin_with("spawns", &manifest).start().await;
    let done: Value = value(&host.run("spawns/act", json!(vec![json!("random"); 50])).await);
    assert_eq!(done.as_array().map(Vec::len), Some(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_gave_back_meanwhile_is_not_missed() {
    // Each child takes half of what is there and has given it back before the next one is begun.
    let host = host().await;
    let steps: Vec<Value> =
        (0..20).flat_map(|_| [spawn(json!({})), json!({ "sleep": 1 }), json!("children")]).collect();
    let done = acted(&host, json!(steps)).await;
    assert!(
        done.as_array().is_some_and(|done| done.iter().all(|step| step.get("error").is_none())),
        "{done}"
    );
}
