//! What a plugin may do: what its manifest asks for and its operator allows,
//! less for every child, and every refusal by its name.

mod asking;
mod kinds;
mod least;
mod revoking;

use serde_json::{Value, json};
use sublane_core::grants::{Authority, ChannelGrant, KvGrant, KvMode, SpawnGrant};
use sublane_tests::{Setup, TestHost, denials, value};

async fn host() -> TestHost {
    Setup::in_memory().plugin("spawns").plugin("misbehaves").start().await
}

fn spawn(more: Value) -> Value {
    let mut spawn = json!({ "agent": "spawns/echo" });
    spawn.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({ "spawn": spawn })
}

/// A child that acts, with this scope and these steps.
fn actor(scope: Value, steps: Value) -> Value {
    spawn(json!({ "agent": "spawns/act", "scope": scope, "task": steps }))
}

async fn acted(host: &TestHost, steps: Value) -> Value {
    value(&host.run("spawns/act", steps).await)
}

/// The error that a step came to.
fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} was not refused: {done}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_the_grants_is_denied_by_name() {
    let host = host().await;
    for (scope, denied) in [
        (json!({ "agents": ["video/render"] }), "spawn video/render"),
        (json!({ "agents": ["spawns/*"], "depth": 5 }), "spawn depth 5"),
        (json!({ "channels": ["webhook:films"] }), "channels webhook:films"),
        (json!({ "tools": ["video.generate_video"] }), "tools video.generate_video"),
        (json!({ "kv-read": ["secrets/"] }), r#"kv secrets prefix "" (read)"#),
    ] {
        let done = acted(&host, json!([spawn(json!({ "scope": scope }))])).await;
        assert!(error(&done, 0).starts_with(&format!("denied: {denied};")), "{done}");
    }
    for (request, denied) in [
        (json!({ "agent": "video/render" }), "spawn video/render"),
        (json!({ "agent": "no-such/agent" }), "spawn no-such/agent"),
        (json!({ "deliver": ["origin", "webhook:films"] }), "channels webhook:films"),
    ] {
        let done = acted(&host, json!([spawn(request)])).await;
        assert!(error(&done, 0).starts_with(&format!("denied: {denied};")), "{done}");
    }
    assert_eq!(acted(&host, json!(["children"])).await, json!([[]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_granted_and_not_installed_is_not_found() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let steps =
        json!([spawn(json!({ "agent": "misbehaves/spin" })), spawn(json!({ "agent": "spawns/nobody" }))]);
    let done = acted(&host, steps).await;
    assert_eq!((error(&done, 0), error(&done, 1)), ("there is no such thing", "there is no such thing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grant_there_is_no_spawn() {
    let host = host().await;
    let child = actor(json!({}), json!([spawn(json!({}))]));
    let done = acted(&host, json!([child, { "wait": {} }])).await;
    let refused = &done[1][0]["succeeded"];
    assert!(error(refused, 0).starts_with("denied: spawn spawns/echo;"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_carries_the_effective_grants() {
    let scope = json!({
        "agents": ["spawns/echo"], "depth": 1, "active-children": 2, "total": 3,
        "channels": ["origin"], "tools": ["spawns.echo"],
        "kv-read": ["notes/a/"], "kv-write": ["notes/b/"],
        "artifact-bytes": 1000, "cpu-ms": 500, "memory-bytes": 3_000_000,
    });
    let done =
        acted(&host().await, json!([spawn(json!({ "scope": scope, "timeout-ms": 5000 })), "now"])).await;
    let mut grants = done[0]["grants"].clone();
    let deadline = grants["deadline"].take().as_u64().expect("an instant");
    assert!(deadline <= done[1].as_u64().expect("an instant") + 5000, "{done}");
    let expected = json!({
        "spawn": { "agents": ["spawns/echo"], "depth": 1, "active-children": 2, "total": 3 },
        "channels": ["origin"],
        "tools": ["spawns.echo"],
        "kv": ["read notes/a/", "write notes/b/"],
        "artifacts": true, "artifact-bytes": 1000, "cpu-ms": 500, "memory-bytes": 3_000_000,
        "deadline": null,
    });
    assert_eq!(grants, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_take_the_minimum() {
    let host = host().await;
    let inner = actor(
        json!({ "agents": ["spawns/*"], "memory-bytes": 2_500_000 }),
        json!([spawn(json!({
            "scope": { "memory-bytes": 1 << 30 }, "timeout-ms": 86_400_000,
        }))]),
    );
    let done = acted(&host, json!([inner, { "wait": {} }])).await;
    let outer = &done[0]["grants"];
    let inner = &done[1][0]["succeeded"][0]["grants"];
    assert_eq!((&outer["memory-bytes"], &inner["memory-bytes"]), (&json!(2_500_000), &json!(2_500_000)));
    assert!(inner["deadline"].as_u64() < outer["deadline"].as_u64(), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_never_sees_more_than_its_parent_had() {
    let host = host().await;
    let full = |levels: u32| {
        json!({
            "agents": ["spawns/*"], "depth": levels, "total": 10 * levels,
            "channels": ["origin", "console:aside"], "tools": ["spawns"], "kv-write": ["notes/"],
            "artifact-bytes": 1000 * levels,
        })
    };
    let mut narrower = full(3);
    narrower["channels"] = json!(["origin"]);
    narrower["kv-write"] = json!(["notes/a/"]);
    let mut reading = full(2);
    reading["channels"] = json!([]);
    reading["tools"] = json!(["spawns.echo"]);
    reading.as_object_mut().expect("a map").remove("kv-write");
    reading["kv-read"] = json!(["notes/a/"]);
    let speechless = json!({ "agents": ["spawns/*"], "depth": 1, "total": 3 });
    let task = json!({ "scopes": [full(4), narrower, reading, speechless, {}] });
    let levels = value(&host.run("spawns/probe", task).await);
    let refused: Vec<Vec<String>> = serde_json::from_value(levels).expect("a list for each level");
    let names = |level: &Vec<String>| -> Vec<String> {
        let name = |text: &String| text.split(';').next().unwrap_or_default().replace("denied: ", "");
        level.iter().map(name).collect()
    };
    let (b, aside) = (r#"kv notes key "b/1" (read)"#, "channels console:aside");
    let (write, read) = (r#"kv notes key "a/1" (read-write)"#, r#"kv notes key "a/1" (read)"#);
    let (origin, tool, files) = ("channels origin", "tools spawns.echo", "artifacts");
    assert_eq!(names(&refused[0]), Vec::<&str>::new());
    assert_eq!(names(&refused[1]), Vec::<&str>::new());
    assert_eq!(names(&refused[2]), [b, aside]);
    assert_eq!(names(&refused[3]), [write, b, origin, aside]);
    assert_eq!(names(&refused[4]), [read, write, b, origin, aside, tool, files]);
    assert_eq!(names(&refused[5]), [read, write, b, origin, aside, tool, files, "spawn spawns/echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_can_ask_for_more_than_the_one_above_gave_it() {
    let host = host().await;
    let wide = json!({ "agents": ["spawns/*"], "depth": 1, "kv-write": ["notes/"] });
    let narrow = json!({ "agents": ["spawns/*"], "depth": 2, "kv-read": ["notes/a/"] });
    let task = json!({ "scopes": [narrow, wide] });
    let levels = value(&host.run("spawns/probe", task).await);
    let refused = levels[2].as_str().expect("the second child is refused");
    assert!(refused.starts_with(r#"denied: kv notes prefix "" (read-write);"#), "{refused}");
}

/// What the steps come to when the operator allows this only.
async fn allowed(allows: Authority, steps: Value) -> (TestHost, Value, sublane_core::RunId) {
    let host = Setup::in_memory().plugin_allowed("spawns", allows).start().await;
    let run = host.begin("spawns/act", steps).await;
    let done = value(&host.ended(run).await);
    (host, done, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_can_allow_less_than_the_manifest_asks_for() {
    let origin = Authority { channels: vec![ChannelGrant::Origin], ..Authority::default() };
    let steps = json!([
        { "deliver": { "to": "origin", "text": "hello" } },
        { "deliver": { "to": "console:aside", "text": "hello" } },
        { "kv-get": { "bucket": "notes", "key": "x" } },
        spawn(json!({})),
    ]);
    let (_host, done, run) = allowed(origin, steps).await;
    assert_eq!(done[0], json!(22));
    assert!(error(&done, 1).starts_with("denied: channels console:aside;"), "{done}");
    assert!(error(&done, 2).starts_with("denied: kv notes key"), "{done}");
    assert!(error(&done, 3).starts_with("denied: spawn spawns/echo;"), "{done}");
    let told = denials(run);
    let refused: Vec<_> = told.iter().map(|told| (told.plugin.as_str(), told.refused_by.as_str())).collect();
    assert_eq!(refused, [("spawns", "operator"); 3], "{told:?}");
    assert_eq!(told[0].capability, "channels console:aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_cannot_give_more_than_the_manifest_asks_for() {
    let everything = Authority {
        kv: vec![
            KvGrant { bucket: "notes".to_owned(), prefix: String::new(), mode: KvMode::ReadWrite },
            KvGrant { bucket: "secrets".to_owned(), prefix: String::new(), mode: KvMode::ReadWrite },
        ],
        spawn: Some(SpawnGrant {
            agents: vec!["video/render".parse().expect("well formed")],
            depth: 5,
            active_children: 20,
        }),
        ..Authority::default()
    };
    let steps = json!([
        { "kv-get": { "bucket": "notes", "key": "x" } },
        { "kv-get": { "bucket": "secrets", "key": "x" } },
        spawn(json!({ "agent": "video/render" })),
    ]);
    let (_host, done, run) = allowed(everything, steps).await;
    assert_eq!(done[0], json!(null));
    assert!(error(&done, 1).starts_with("denied: kv secrets"), "{done}");
    assert!(error(&done, 2).starts_with("denied: spawn video/render;"), "{done}");
    let told = denials(run);
    assert!(told.len() == 2 && told.iter().all(|told| told.refused_by == "manifest"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_when_it_was_the_parent_that_did_not_hand_it_on() {
    let host = host().await;
    let child = actor(json!({}), json!([{ "kv-get": { "bucket": "notes", "key": "x" } }]));
    let done = acted(&host, json!([child, { "wait": {} }])).await;
    let run = done[0]["run"].as_str().expect("a receipt").parse().expect("an id");
    let told = denials(run);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].refused_by.as_str(), told[0].capability.as_str()),
        ("parent", r#"kv notes key "x" (read)"#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_refused_with_their_name_and_value() {
    let host = host().await;
    let refused = |done: &Value, step: usize, limit: &str| {
        let text = error(done, step).to_owned();
        assert!(text.starts_with(&format!("the limit {limit} is reached")), "{text}");
    };
    let few = json!({ "agents": ["spawns/*"], "active-children": 1, "total": 5, "cpu-ms": 1000 });
    let waits =
        spawn(json!({ "agent": "spawns/act", "task": [{ "receive": {} }], "scope": { "cpu-ms": 1 } }));
    let steps = json!([actor(few, json!([waits, spawn(json!({})), { "cancel": { "child": 0, "reason": "" } }])), { "wait": {} }]);
    let done = acted(&host, steps).await;
    refused(&done[1][0]["succeeded"], 1, "spawn.active-children of 1");

    let two = json!({ "agents": ["spawns/*"], "total": 2 });
    let steps =
        json!([actor(two, json!([spawn(json!({})), spawn(json!({})), spawn(json!({}))])), { "wait": {} }]);
    let done = acted(&host, steps).await;
    refused(&done[1][0]["succeeded"], 2, "purse.spawns of 0");

    // What is detached is paid for as what is attached.
    let one = json!({ "agents": ["spawns/*"], "total": 1, "cpu-ms": 1000 });
    let greedy = spawn(json!({ "detached": true, "scope": { "cpu-ms": 2000 } }));
    let modest = spawn(json!({ "detached": true, "scope": { "cpu-ms": 10 } }));
    let steps = json!([actor(one, json!([greedy, modest, modest])), { "wait": {} }]);
    let done = acted(&host, steps).await;
    let child = &done[1][0]["succeeded"];
    assert!(error(child, 0).starts_with("the limit purse.cpu-us of "), "{child}");
    assert!(child[1]["run"].is_string(), "{child}");
    refused(child, 2, "purse.spawns of 0");

    let done = acted(
        &host,
        json!([
            spawn(json!({ "scope": { "cpu-ms": 86_400_000 } })),
            spawn(json!({ "scope": { "artifact-bytes": 2 << 20 } })),
            spawn(json!({ "deliver": (0..9).map(|n| format!("console:{n}")).collect::<Vec<_>>() })),
            spawn(json!({ "lane": "fast" })),
        ]),
    )
    .await;
    assert!(error(&done, 0).starts_with("the limit purse.cpu-us of "), "{done}");
    refused(&done, 1, "purse.artifact-bytes of 1048576");
    refused(&done, 2, "delivery.destinations of 8");
    assert!(
        error(&done, 3).starts_with("invalid: there is no lane `fast`; there are main, subagent"),
        "{done}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_spawns_has_a_deepest_link() {
    let mut setup = Setup::in_memory().plugin("spawns");
    setup.settings.max_depth = 2;
    let host = setup.start().await;
    assert_eq!(value(&host.run("spawns/relay", json!({ "levels": 2 })).await), json!(2));
    let outcome = host.run("spawns/relay", json!({ "levels": 3 })).await;
    let sublane_core::Outcome::Failed { message, .. } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("the limit spawn.depth of 2 is reached"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purse_is_split_spent_and_given_back() {
    let host = host().await;
    let writer = |bytes: u64, text: &str| {
        spawn(json!({ "agent": "spawns/write", "task": text, "scope": { "artifact-bytes": bytes } }))
    };
    let all = 1 << 20;
    let steps = json!([
        writer(all, "four"),
        writer(1, ""),
        { "wait": { "children": [0] } },
        writer(all, ""),
        writer(all - 4, "the rest is given back"),
        { "wait": {} },
        { "write": { "name": "a.txt", "text": "more" } },
    ]);
    let done = acted(&host, steps).await;
    assert_eq!(done[0]["grants"]["artifact-bytes"], json!(all));
    assert!(error(&done, 1).starts_with("the limit purse.artifact-bytes of 0"), "split, not copied: {done}");
    assert!(error(&done, 3).starts_with(&format!("the limit purse.artifact-bytes of {}", all - 4)), "{done}");
    assert_eq!(done[5][1], json!({ "succeeded": "22 bytes" }));
    assert_eq!(done[6]["size"], json!(4));
    let beyond = spawn(json!({ "agent": "spawns/write", "task": "12345", "scope": { "artifact-bytes": 4 } }));
    let done = acted(&host, json!([beyond, { "wait": {} }])).await;
    let failed = done[1][0]["failed"].as_str().expect("it failed");
    assert!(failed.contains("purse.artifact-bytes of 4"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_dedupe_key_is_the_same_run() {
    let host = host().await;
    let keyed = |key: &str| spawn(json!({ "task": "once", "dedupe-key": key, "scope": { "cpu-ms": 10 } }));
    let steps = json!([keyed("k"), keyed("k"), keyed("other"), { "wait": {} }, keyed("k")]);
    let first = acted(&host, steps).await;
    assert_eq!((&first[0]["duplicate"], &first[1]["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first[0]["run"], first[1]["run"]);
    assert_ne!(first[0]["run"], first[2]["run"]);
    assert_eq!(first[3][1], json!({ "succeeded": "once" }));
    assert_eq!((&first[4]["run"], &first[4]["duplicate"]), (&first[0]["run"], &json!(true)));
    let second = acted(&host, json!([keyed("k")])).await;
    assert_eq!(second[0]["run"], first[0]["run"], "it holds in the whole conversation");
}
