//! Tools: what is checked before one starts, and who pays for what it does.

use serde_json::{Value, json};
use sublane::intake::IntakeError;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, value};

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

fn call(tool: &str, arguments: Value) -> Value {
    json!({ "call": { "plugin": "spawns", "tool": tool, "arguments": arguments } })
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_do_not_fit_are_refused_before_the_tool_starts() {
    let host = Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await;
    let steps = json!([
        call("echo", json!([])),
        call("echo", json!({})),
        call("act", json!({ "steps": [{ "sleep": 1 }, { "sleep": "long" }] })),
        call("act", json!({ "steps": [{ "http": { "url": 1 } }] })),
        call("echo", json!({ "value": [1, { "a": null }] })),
    ]);
    let done = acted(&host, steps).await;
    for (step, why) in [
        "invalid: the arguments: it is array and must be object",
        "invalid: the arguments: `value` is missing",
        "invalid: the arguments at /steps/1/sleep: it is string and must be integer",
        "invalid: the arguments at /steps/0/http/url: it is number and must be string",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(done[step]["error"], json!(why), "{done}");
    }
    assert_eq!(done[4], json!([1, { "a": null }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_does_not_fit_makes_no_run() {
    let host = Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await;
    let spawn = |task: Value| json!({ "spawn": { "agent": "spawns/relay", "task": task } });
    let done = acted(&host, json!([spawn(json!({ "levels": -1 })), spawn(json!({})), "children"])).await;
    let refused = |step: usize| done[step]["error"].as_str().unwrap_or_default();
    assert!(refused(0).starts_with("invalid: the task at /levels: `minimum` is 0"), "{done}");
    assert!(refused(1).starts_with("invalid: the task: `levels` is missing"), "{done}");
    assert_eq!(done[2], json!([]));
    let task = sublane::intake::Task {
        agent: "spawns/relay".to_owned(),
        input: r#"{"levels":"many"}"#.to_owned(),
        origin: "console:test".parse().expect("a destination"),
        lane: "main",
        deliver: Vec::new(),
        event: None,
    };
    let error = host.inner().task(task).await.expect_err("it does not fit");
    assert!(matches!(error, IntakeError::Unfit { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "spawns/relay does not take this: the task at /levels: it is string and must be integer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_looked_at_when_nothing_else_refuses_the_spawn() {
    let unfit = json!({ "levels": -1 });
    let spawn = |lane: &str| json!({ "spawn": { "agent": "spawns/relay", "task": unfit, "lane": lane } });
    let steps = json!([spawn("subagent"), spawn("nowhere")]);
    let refused = async |max_depth: u32| {
        let mut setup = Setup::in_memory().plugin("spawns");
        setup.settings.max_depth = max_depth;
        let done = acted(&setup.start().await, steps.clone()).await;
        [0_usize, 1].map(|step| done[step]["error"].as_str().unwrap_or_default().to_owned())
    };
    let [first, second] = refused(1).await;
    assert!(first.starts_with("invalid: the task at /levels"), "{first}");
    assert!(second.starts_with("invalid: there is no lane `nowhere`"), "{second}");
    for refusal in refused(0).await {
        assert!(refusal.contains("the limit spawn.depth of 0 is reached"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_plugins_that_call_each_other_come_four_calls_deep() {
    let manifest = |id: &str, other: &str| {
        let asks = format!("[asks]\ntools = [{{ plugin = \"{other}\" }}]\n");
        format!("id = \"{id}\"\nversion = \"0.1.0\"\n{asks}")
    };
    let setup = Setup::in_memory().plugin_with("spawns", &manifest("ping", "pong"));
    let host = setup.plugin_with("spawns", &manifest("pong", "ping")).start().await;
    let step = (0..5).fold(json!("now"), |inner, level| {
        let plugin = if level % 2 == 0 { "pong" } else { "ping" };
        json!({ "call": { "plugin": plugin, "tool": "act", "arguments": { "steps": [inner] } } })
    });
    let done = value(&host.run("ping/act", json!([step])).await);
    let refused = done[0][0][0][0][0]["error"].as_str().unwrap_or_default();
    assert!(refused.starts_with("the limit tools.call-depth of 4 is reached"), "{done}");
}

/// `spawns` may make requests to this server; `asker`, the same component, may only call its tools,
/// and has this much for requests.
async fn asking(web: &Web, amounts: &str) -> TestHost {
    let to = format!("http://127.0.0.1:{}", web.port);
    let asks = format!("[asks]\nhttp = [{{ to = \"{to}\" }}]\n");
    let tool = format!("id = \"spawns\"\nversion = \"0.1.0\"\n{asks}");
    let asks = format!("[asks]\ntools = [{{ plugin = \"spawns\" }}]\n{amounts}\n");
    let asker = format!("id = \"asker\"\nversion = \"0.1.0\"\n{asks}");
    Setup::in_memory().plugin_with("spawns", &tool).plugin_with("spawns", &asker).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_a_tool_pays_for_its_requests_and_needs_no_grant_for_them() {
    let web = Web::start(|_| Answer::ok("hello".to_owned())).await;
    let request = json!({ "http": { "url": web.url() } });
    let steps = json!([request, call("act", json!({ "steps": [request, request, request] }))]);
    let host = asking(&web, "requests = 2\nbytes-out = \"64KiB\"\nbytes-in = \"64KiB\"").await;
    let done = value(&host.run("asker/act", steps).await);
    assert!(done[0]["error"].as_str().is_some_and(|error| error.starts_with("denied: http GET")), "{done}");
    assert_eq!((&done[1][0]["body"], &done[1][1]["body"]), (&json!("hello"), &json!("hello")), "{done}");
    let error = done[1][2]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("the limit purse.requests of 0 is reached"), "{done}");
    assert_eq!(web.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_nothing_for_requests_has_no_tool_make_one() {
    let web = Web::start(|_| Answer::ok("hello".to_owned())).await;
    let host = asking(&web, "").await;
    let steps = json!([call("act", json!({ "steps": [{ "http": { "url": web.url() } }] }))]);
    let done = value(&host.run("asker/act", steps).await);
    let error = done[0][0]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("the limit purse.requests of 0 is reached"), "{done}");
    assert!(web.asked().is_empty());
}
