//! What operators are told of a run's authority: what it may, and who says no to the rest.

use std::sync::Arc;

use serde_json::{Value, json};
use sublane_core::Purse;
use sublane_core::grants::{Authority, ChannelGrant};
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, component, temporary};
use tempfile::TempDir;

use super::kinds::MANIFEST;
use super::revoking::waits_at;
use super::{actor, spawn};

/// The configuration names this component, allowed this.
fn configure(directory: &Arc<TempDir>, component: &std::path::Path, allow: &str) {
    let state = directory.path();
    let text = format!(
        "state = {state:?}\n[channels.console]\nkind = \"console\"\n[files.media]\npath = {state:?}\n\
         [files.out]\npath = {state:?}\n[plugins.spawns]\ncomponent = {component:?}\nallow = {allow}\n"
    );
    std::fs::write(state.join("sublane.toml"), text).expect("written");
}

/// Who refuses this to a run, and why.
async fn ask(line: &CommandLine, run: &str, what: &str) -> (Value, String) {
    let answer = line.json(&["why", run, what]).await;
    assert_eq!(answer["allowed"], json!(answer["refused_by"].is_null()), "{answer}");
    (answer["refused_by"].clone(), answer["why"].as_str().expect("a sentence").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_no_to_a_run_is_named() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let allow = r#"{ spawn = { agents = ["spawns"], depth = 5, total = 1000 }, kv = [{ bucket = "notes", mode = "read-write" }], channels = ["origin"] }"#;
    configure(&directory, &component("spawns"), allow);
    let allows = || {
        let asks = sublane::plugin::Manifest::load(&component("spawns").with_file_name("plugin.toml"));
        let asks = asks.expect("it is right").asks;
        Authority { channels: vec![ChannelGrant::Origin], tools: Vec::new(), artifacts: false, ..asks }
    };
    let mut setup = Setup::durable(&directory).plugin_allowed("spawns", allows());
    setup.settings.purse = Purse { spawns: 20, ..setup.settings.purse };
    let host = setup.start().await;
    let scope = json!({ "agents": ["spawns/echo"], "total": 1, "kv-read": ["notes/a/"] });
    let child = actor(scope, json!([spawn(json!({})), { "wait": {} }, { "receive": {} }]));
    let root = host.begin("spawns/act", json!([child, { "wait": {} }])).await;
    let child = loop {
        let child = waits_at(&host, 1).await;
        // Its own child has ended, and it waits for a message.
        if child.active_children == 0 {
            break child;
        }
    };
    let (root, name) = (root.to_string(), host.when(root, "there", |_| true).await.spec.name.clone());
    let child = child.spec.id.to_string();

    let (side, why) = ask(&line, &child, "kv notes/a/1").await;
    assert_eq!(
        (side, why.contains(r#"it holds `kv notes prefix "a/" (read)`"#)),
        (json!(null), true),
        "{why}"
    );
    let (side, why) = ask(&line, &child, "denied: kv notes key \"b/1\" (read)").await;
    assert_eq!(
        (side, why.contains(&format!("{name} ({root}) may hand it on"))),
        (json!("parent"), true),
        "{why}"
    );
    assert_eq!(ask(&line, &root, "kv other/1").await.0, json!("manifest"));
    let (side, why) = ask(&line, &root, "channels console:aside").await;
    let never = "[plugins.spawns.allow] in the configuration does not allow it";
    assert_eq!((side, why.as_str()), (json!("operator"), never));
    assert_eq!(ask(&line, &child, "spawn spawns/echo").await.0, json!("purse"), "it has spawned its one");
    assert_eq!(ask(&line, &child, "purse.spawns 2").await.0, json!("parent"));
    assert_eq!(ask(&line, &root, "purse.spawns 15").await.0, json!("conversation"), "half of 20 is 10");
    assert_eq!(ask(&line, &root, "purse.spawns 2000").await.0, json!("manifest"));
    let words = line.run(&["why", &root, "kv", "other/1", "write"]).await;
    let told = format!(
        "{name} may not: kv other key \"1\" (read-write)\n  manifest: the manifest of spawns does not ask for it\n"
    );
    assert_eq!((words.exit, words.out), (0, told));

    let less = allow.replace("kv = [{ bucket = \"notes\", mode = \"read-write\" }], ", "");
    configure(&directory, &component("spawns"), &less);
    for run in [&root, &child] {
        let (side, why) = ask(&line, run, "kv notes/a/1").await;
        assert_eq!((side, why.contains("does not allow it any more")), (json!("operator"), true), "{why}");
    }
    let shown = line.run(&["runs", "show", &root]).await;
    let (may, gone) = shown.out.split_once("may no more\n").expect("something is taken away");
    let keys = "  read and write every key of bucket notes\n";
    assert!(gone.contains(keys) && !may.contains(keys), "{}", shown.out);
    let shown = line.json(&["runs", "show", &child]).await;
    assert_eq!(shown["revoked"], json!([r#"read keys of bucket notes that begin with "a/""#]));

    let wrong = line.run(&["why", &root, "fly"]).await;
    assert_eq!((wrong.exit, wrong.err.contains("`fly` is no capability")), (2, true), "{wrong:?}");
    let wrong = line.run(&["why", "nobody", "artifacts"]).await;
    assert_eq!((wrong.exit, wrong.err.contains("there is no run `nobody`")), (4, true), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_with_every_kind_that_it_holds() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin_with("spawns", MANIFEST).start().await;
    configure(&directory, &directory.path().join("plugin-0/spawns.wasm"), "\"asked\"");
    let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    waits_at(&host, 0).await;
    let shown = line.run(&["runs", "show", &run.to_string()]).await;
    let may = "may\n  spawn every agent of spawns, 5 levels deep, 20 at once\n  \
               request GET, POST of https://queue.fal.run/fal-ai\n  \
               request GET, HEAD of https://*.example.com/\n  \
               read files in in of media\n  read and write every file in out\n  \
               send the secret fal in the header authorization to https://queue.fal.run/\n  \
               ask the models anthropic/claude, local/*\n";
    assert!(shown.out.contains(may), "{}", shown.out);
    assert!(
        shown.out.contains("100 requests (1 MiB out, 64 MiB in), 1000 tokens, 2.5 of money"),
        "{}",
        shown.out
    );
    let shown = line.json(&["runs", "show", &run.to_string()]).await;
    assert_eq!((&shown["grants"]["root_of"], &shown["revoked"]), (&json!("spawns"), &json!([])));
}
