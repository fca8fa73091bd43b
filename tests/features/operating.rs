//! `docs/operating.md`: its commands do what they say, and its configuration is the example's.

use std::process::Command;

use serde_json::json;
use sublane_core::Outcome;
use sublane_store::DeliveryFilter;
use sublane_tests::command::{CommandLine, binary};
use sublane_tests::{Fussy, Setup, component, repository, temporary};

const DOCUMENT: &str = "docs/operating.md";

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands between the markers: every key of the example with its value and its comment.
fn reference(example: &str) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let (mut section, mut above, mut is_code) = (String::new(), String::new(), false);
    for line in example.lines() {
        let plain = line.strip_prefix("# ").unwrap_or(line);
        let key = plain.split_once(" = ").filter(|(key, _)| !key.contains(' '));
        if line.starts_with('[') {
            section = format!("{} ", line.trim_end());
            // What stands above a section is about all of it.
            above.clear();
        } else if let Some((key, rest)) = key {
            let (value, comment) = match rest.split_once(" # ") {
                Some((value, comment)) => (value.trim(), comment.trim()),
                None => (rest.trim(), above.trim()),
            };
            let unset = if line.starts_with('#') { ", not set by default" } else { "" };
            rows.push((format!("`{section}{key}` | `{value}`{unset}"), comment.to_owned()));
            is_code = true;
        } else if let (Some(more), Some((_, comment))) =
            (line.trim_start().strip_prefix("# "), rows.last_mut())
            && line.starts_with(' ')
        {
            comment.push_str(&format!(" {more}"));
        } else if let Some(prose) = line.strip_prefix('#') {
            if is_code {
                above.clear();
                is_code = false;
            }
            above.push_str(prose);
        } else {
            above.clear();
        }
    }
    let row = |(key, comment): &(String, String)| format!("| {key} | {comment} |\n");
    let rows: String = rows.iter().map(row).collect();
    format!("| key | value | means |\n|---|---|---|\n{rows}")
}

#[test]
fn the_configuration_reference_is_that_of_the_example() {
    let text = read(DOCUMENT);
    let begin = text.find("<!-- configuration:").expect("the marker");
    let begin = begin + text[begin..].find('\n').expect("a line") + 1;
    let end = text.find("<!-- end -->").expect("the other marker");
    let made = format!("\n{}\n", reference(&read("sublane.example.toml")));
    if text[begin..end] != made && std::env::var_os("UPDATE_EXPECT").is_some() {
        let new = format!("{}{made}{}", &text[..begin], &text[end..]);
        std::fs::write(repository().join(DOCUMENT), new).expect("written");
        return;
    }
    assert_eq!(&text[begin..end], made, "UPDATE_EXPECT=1 writes it");
}

/// The keys that the reader of the configuration knows, from its own lists.
fn known_keys() -> Vec<String> {
    let directory = repository().join("host/src/config");
    let files = std::fs::read_dir(directory).expect("a directory").map(|file| file.expect("an entry").path());
    let mut keys = Vec::new();
    for file in
        files.filter(|file| !file.ends_with("tests.rs")).chain([repository().join("host/src/config.rs")])
    {
        let text = std::fs::read_to_string(&file).expect("readable");
        for list in text.split(".table(&[").skip(1).chain(text.split("let known =\n            &[").skip(1)) {
            let list = list.split(']').next().expect("it is closed");
            keys.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    keys
}

#[test]
fn the_example_has_every_key_that_is_known() {
    let example = read("sublane.example.toml");
    let keys = known_keys();
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let is_there = example.contains(&format!("{key} = ")) || example.contains(&format!("[{key}"));
        assert!(is_there || example.contains(&format!(".{key}")), "the example does not show `{key}`");
    }
}

/// The commands of the document's consoles, each with whether a host runs.
fn commands(text: &str) -> Vec<(bool, String)> {
    let (mut host, mut is_console, mut commands) = (true, false, Vec::new());
    for line in text.lines() {
        match line {
            "<!-- no host -->" => host = false,
            "<!-- host -->" => host = true,
            "```console" => is_console = true,
            "```" => is_console = false,
            line if is_console => {
                commands.push((host, line.strip_prefix("$ ").expect("a command").to_owned()))
            }
            _ => {}
        }
    }
    commands
}

/// A host with a run that waits, one that failed and two dead letters; the commands are run in the
/// order of the document, beside it and, where it says so, after it has stopped.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_document_is_right() {
    let directory = temporary();
    let mut line = Some(CommandLine::beside(&directory));
    let start = async || {
        let fussy = std::sync::Arc::new(Fussy::default());
        Setup::durable(&directory).plugin("spawns").channel("console", fussy, None).start().await
    };
    let mut host = Some(start().await);
    let (run, failed, dead) = {
        let host = host.as_ref().expect("it runs");
        let failed = host.begin("spawns/act", json!([{ "fail": "no such film" }])).await;
        assert!(matches!(host.ended(failed).await, Outcome::Failed { .. }));
        host.run("spawns/echo", json!(1)).await;
        let run = host.begin("spawns/act", json!([{ "receive": {} }])).await;
        host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
        let dead = loop {
            let state = Some(sublane_core::DeliveryState::Dead);
            let filter = DeliveryFilter { state, limit: 9, ..DeliveryFilter::default() };
            let dead = host.inner().store.deliveries(filter).await.expect("readable");
            if dead.len() == 2 {
                break dead;
            }
        };
        (run, failed, dead)
    };
    let commands = commands(&read(DOCUMENT));
    assert!(commands.len() > 25, "{commands:?}");
    let hello = component("hello-agent");
    let backup = temporary();
    let path = std::env::join_paths(
        [binary().parent().expect("a directory").to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .expect("a path");
    for (with_host, text) in commands {
        if with_host && host.is_none() {
            line = Some(CommandLine::beside(&directory));
            host = Some(start().await);
        } else if !with_host && let Some(host) = host.take() {
            host.host.stop().await;
            line = None;
        }
        let mut command = Command::new("bash");
        command.args(["-c", &text]).current_dir(directory.path()).env("PATH", &path);
        command.env("SUBLANE_CONFIG", directory.path().join("sublane.toml"));
        command
            .env("STATE", directory.path())
            .env("BACKUP", backup.path())
            .env("RUN", run.to_string())
            .env("FAILED", failed.to_string());
        command.env("PLUGIN", hello.parent().expect("it has one"));
        command.env("DELIVERY", dead[0].id.to_string()).env("OTHER_DELIVERY", dead[1].id.to_string());
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
        let output = output.expect("bash is here");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}: {} {said}", String::from_utf8_lossy(&output.stdout));
    }
    assert!(line.is_some(), "the document ends with a host that runs");
}
