//! Whatever a plugin says, what commands show of it steers no terminal.

use serde_json::{Value, json};
use sublane::scrub::is_treacherous;
use sublane_core::{Outcome, RunState};
use sublane_tests::command::{CommandLine, Said};
use sublane_tests::{Setup, component, temporary};

/// Clears a screen, sets a title, turns the direction of writing, goes back on the line: by escape
/// sequences, and by the single characters that mean the same.
const EVIL: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}gpj.exe\u{2066}\u{8}\u{7f}\r\u{85}\u{2028}end";

/// Nothing in it steers a terminal; `words` are in it somewhere.
fn check(what: &[&str], said: &Said) {
    for text in [&said.out, &said.err] {
        let steers = text.char_indices().find(|(_, c)| is_treacherous(*c) && !matches!(c, '\n' | '\t'));
        if let Some((at, c)) = steers {
            let around: String =
                text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{what:?} writes {c:?} after {around:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_lets_a_plugin_steer_a_terminal() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let place = directory.path().join("evil");
    std::fs::create_dir(&place).expect("a directory");
    std::fs::copy(component("spawns"), place.join("spawns.wasm")).expect("copied");
    let written = json!(EVIL).to_string().replace('\u{7f}', "\\u007f");
    let manifest = format!(
        "id = \"spawns\"\nversion = \"0.1.0\"\n[asks]\nchannels = [\"origin\"]\nartifacts = {{ bytes = \"1MiB\" }}\n\
         spawn = {{ agents = [\"spawns\"], depth = 2, active-children = 9, total = 50 }}\n\
         kv = [{{ bucket = \"notes\", prefix = {written}, mode = \"read-write\" }}, \
         {{ bucket = \"notes\", mode = \"read-write\" }}]\n\
         tools = [{{ plugin = \"spawns\", tools = [{written}, \"act\"] }}]\n"
    );
    std::fs::write(place.join("plugin.toml"), &manifest).expect("written");
    let config = directory.path().join("sublane.toml");
    let text = std::fs::read_to_string(&config).expect("there");
    let more = "[plugins.spawns]\ncomponent = \"evil/spawns.wasm\"\nallow = \"asked\"\n";
    std::fs::write(&config, format!("{text}{more}")).expect("written");
    let host = Setup::durable(&directory).component(place.join("spawns.wasm")).start().await;

    let child = json!({ "agent": "spawns/act", "task": [{ "progress": { "percent": 5, "note": EVIL } }, { "receive": {} }],
        "name": EVIL, "dedupe-key": EVIL, "scope": { "cpu-ms": 10 } });
    let quiet = json!({ "agent": "spawns/act", "task": [{ "log": { "level": "warn", "text": EVIL } }, { "receive": {} }],
        "scope": { "cpu-ms": 10 } });
    let steps = json!([
        { "log": { "level": "error", "text": EVIL } },
        { "progress": { "percent": 5, "note": EVIL } },
        { "deliver": { "to": "origin", "text": EVIL } },
        { "kv-set": { "bucket": "notes", "key": EVIL, "value": EVIL } },
        { "write": { "name": EVIL, "text": EVIL } },
        { "spawn": child },
        { "spawn": quiet },
        { "send": { "child": 0, "message": EVIL } },
        { "call": { "plugin": "spawns", "tool": EVIL, "arguments": { "steps": EVIL } } },
        { "receive": {} },
    ]);
    let waits = host.begin("spawns/act", steps).await;
    host.when(waits, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    let fails = host.begin("spawns/act", json!([{ "fail": EVIL }])).await;
    let gives = host.begin("spawns/echo", json!({ EVIL: EVIL })).await;
    assert!(matches!(host.ended(fails).await, Outcome::Failed { .. }));
    assert!(matches!(host.ended(gives).await, Outcome::Succeeded(_)));
    host.inner().logs.flush(&*host.inner().store).await;
    let deliveries: Value = line.json(&["deliveries", "list"]).await;
    let owed: Vec<String> = deliveries["deliveries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|owed| owed["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(owed.len() >= 3, "{deliveries}");

    let [waits, fails, gives] = [waits, fails, gives].map(|run| run.to_string());
    let runs = [&waits, &fails, &gives];
    let file = place.join("spawns.wasm").display().to_string();
    let backup = directory.path().join("copy.db").display().to_string();
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["runs", "list"],
        vec!["runs", "tree"],
        vec!["runs", "tree", &waits],
        vec!["runs", "logs", &waits, "--tree"],
        vec!["deliveries", "list"],
        vec!["lanes", "list"],
        vec!["conversations", "list"],
        vec!["conversations", "show", "console:test"],
        vec!["plugin", "list"],
        vec!["plugin", "grants"],
        vec!["plugin", "check", &file],
        vec!["plugin", "add", &file, "--allow", "same"],
        vec!["plugin", "reload"],
        vec!["config", "check"],
        vec!["store", "check"],
        vec!["store", "backup", &backup, "--force"],
        vec!["why", &waits, "kv", "notes/a", "write"],
        vec!["why", &waits, "tools", EVIL],
        // What people type may be what a plugin told them.
        vec!["runs", "show", EVIL],
        vec!["deliveries", "show", EVIL],
        vec!["conversations", "show", EVIL],
        vec!["runs", "list", "--agent", EVIL],
        vec!["plugin", "grants", EVIL],
        vec!["lanes", "pause", EVIL],
        vec!["runs", "send", &waits, EVIL],
    ];
    for run in runs {
        commands.push(vec!["runs", "show", run]);
        commands.push(vec!["runs", "logs", run]);
    }
    for delivery in &owed {
        commands.push(vec!["deliveries", "show", delivery]);
    }
    commands.push(vec!["runs", "cancel", &waits, "--reason", EVIL]);
    let mut seen = String::new();
    for words in &commands {
        for json in [false, true] {
            let words: Vec<&str> = words.iter().copied().chain(json.then_some("--json")).collect();
            let said = line.run(&words).await;
            check(&words, &said);
            seen.push_str(&said.out);
        }
    }
    // It was all there to be shown.
    for words in ["gpj.exe", "]0;owned", "failed"] {
        assert!(seen.matches(words).count() > 5, "{words} is hardly ever shown");
    }
    let values: Value = line.json(&["runs", "show", &gives]).await;
    assert!(values.to_string().contains(&json!(EVIL).to_string()), "as JSON it says what it was: {values}");
}
