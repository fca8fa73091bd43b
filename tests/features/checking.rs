//! What `sublane config check` says of channels before a host is started with them.

use serde_json::json;
use sublane_tests::command::CommandLine;
use sublane_tests::temporary;

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
