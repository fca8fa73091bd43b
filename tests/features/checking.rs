//! What `sublane config check` says of channels before a host is started with them.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, component, temporary};

/// Test 1 of RFC 8032, section 7.1.
const PAIR: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

const CONFIGURATION: &str = r#"
[channels.hook]
kind = "webhook"
[channels.hook.addresses.films]
url = "https://example.org/films"
secret = { file = "pair" }
[channels.hook.addresses.news]
url = "https://example.org/news"
secret = { file = "broken" }

[channels.archive]
kind = "file"
[channels.archive.addresses.fresh]
directory = "fresh/films"
[channels.archive.addresses.late]
directory = "late"
create = false
[channels.archive.addresses.blocked]
directory = "pair"
"#;

/// A compile cache that others could have written, or that is another user's, as where root gives the
/// commands: whatever only looks does without it, and says so where a host would not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_not_safe_keeps_nobody_from_looking() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let host = Setup::durable(&directory).plugin("hello-agent").start().await;
    host.host.stop().await;
    let removed = line.json(&["store", "gc"]).await;
    assert_eq!(removed["code"], 0);
    let cache = directory.path().join("cache");
    assert!(!cache.exists(), "none is made, which could be of another user than the host's");
    let hello = component("hello-agent");
    line.json(&["plugin", "add", hello.to_str().expect("text")]).await;
    std::fs::create_dir(&cache).expect("made");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let listed = line.json(&["plugin", "list"]).await;
    assert_eq!(listed["plugins"][0]["found"]["agents"], json!(["hello"]));
    let report = line.json(&["config", "check"]).await;
    let warning = report["warnings"][0].as_str().expect("one");
    assert!(warning.contains("no host starts") && warning.contains("must be 700"), "{report}");
    let said = line.run(&["store", "gc"]).await;
    assert!(said.exit == 0 && said.err.contains("warning: the compile cache"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_are_shown_and_what_cannot_work_is_told_with_its_line() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("sublane.toml"), CONFIGURATION).expect("it can be written");
    std::fs::write(at("pair"), format!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n{PAIR}\n"))
        .expect("it can be written");
    std::fs::write(at("broken"), format!("{PAIR}\nwhpk_AAAA\n")).expect("it can be written");
    let said = line.run(&["config", "check", "--json"]).await;
    let report = said.json();
    assert_ne!(said.exit, 0);
    let problems: Vec<(u64, &str)> = report["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| {
            (problem["line"].as_u64().expect("a line"), problem["message"].as_str().expect("a text"))
        })
        .collect();
    let [(9, key), (16, late), (19, blocked)] = problems[..] else { panic!("{problems:?}") };
    assert!(key.contains("key 2 is a public one (`whpk_`)"), "{key}");
    assert!(late.contains("late` cannot be written to: No such file or directory"), "{late}");
    assert!(blocked.contains("pair` cannot be written to"), "{blocked}");
    assert!(!at("fresh").exists(), "a check makes nothing");
    let hook =
        report["channels"].as_array().expect("a list").iter().find(|channel| channel["name"] == "hook");
    assert_eq!(hook.expect("it is there")["public_keys"], json!({ "films": [PUBLIC] }));
    assert!(!said.out.contains("nWGxne") && !said.err.contains("nWGxne"), "no secret is shown");
    let text = line.run(&["config", "check"]).await.out;
    assert!(text.contains(&format!("films is signed for {PUBLIC}")), "{text}");
}
