//! Each line of a manifest and of a configuration, made wrong in each way that it can be.

use std::path::Path;

use sublane::config::Config;
use sublane::plugin::Manifest;
use sublane_tests::repository;

/// A manifest with everything that can be in one, a key on each line.
const MANIFEST: &str = r#"
id = "video"
version = "0.1.0"
description = "Makes short films"
memory = "64MiB"
[asks]
channels = ["origin"]
models = ["anthropic/*"]
cpu = "120s"
host-calls = 1000
requests = 10
bytes-out = "1MiB"
bytes-in = "1MiB"
tokens = 1000
money-millionths = 5
timeout = "10m"
[asks.spawn]
agents = ["video/render"]
depth = 1
active-children = 4
total = 50
[asks.artifacts]
bytes = "64MiB"
[[asks.tools]]
plugin = "video"
tools = ["generate_video"]
[[asks.kv]]
bucket = "notes"
prefix = "a/"
mode = "read-write"
[[asks.http]]
to = "https://api.example.com/v1"
methods = ["GET"]
[[asks.files]]
root = "media"
path = "in/raw"
mode = "read"
[[asks.secrets]]
name = "fal"
header = "Authorization"
audience = "https://queue.fal.run"
"#;

/// What a configuration may allow a plugin, a key on each line, where the example has it in one: the
/// same as a manifest may ask for.
fn allowed() -> String {
    let asks = &MANIFEST[MANIFEST.find("[asks]").expect("it asks for something")..];
    format!(
        "\n[plugins.notes]\ncomponent = \"notes.wasm\"\n{}",
        asks.replace("[asks", "[plugins.notes.allow")
    )
}

fn manifest(text: &str) -> Result<(), String> {
    Manifest::parse("plugin.toml", text).map(drop).map_err(|problems| problems.to_string())
}

fn config(text: &str) -> Result<(), String> {
    Config::parse(Path::new("sublane.toml"), text).map(drop).map_err(|problems| problems.to_string())
}

/// The example, with every line of it that is commented out.
fn example() -> String {
    let text = std::fs::read_to_string(repository().join("sublane.example.toml")).expect("the example");
    let is_key = |rest: &&str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n").replace("token = \"\"", "token = \"secret\"")
}

/// Values of other types than this one, and of its type with a wrong unit.
fn wrong(value: &str) -> Vec<&'static str> {
    let first = value.chars().next().expect("a value");
    let mut wrong = vec!["1979-05-27"];
    if !["true", "false"].contains(&value) {
        wrong.push("true");
    }
    if first != '"' {
        wrong.push("\"nonsense\"");
    }
    if !first.is_ascii_digit() {
        wrong.push("5");
    }
    if first.is_ascii_digit() {
        wrong.extend(["-1", "1.5", "99999999999"]);
    }
    if first != '[' {
        wrong.push("[]");
    }
    if first == '[' {
        wrong.extend(["[5]", "[[]]"]);
    }
    if first != '{' {
        wrong.push("{ nonsense = 1 }");
    }
    let inner = value.trim_matches('"');
    let unit = inner.trim_start_matches(|c: char| c.is_ascii_digit());
    if inner.len() > unit.len() && ["ms", "s", "m", "h", "d", "KiB", "MiB", "GiB"].contains(&unit) {
        wrong.extend(["\"5 parsecs\"", "\"12\"", "\"-5s\"", "\"99999999999999999999d\"", "\"\""]);
    }
    wrong
}

/// Each key of a file is made unknown, and is given each wrong value: that is refused with file, line and key.
fn check(file: &str, text: &str, parse: impl Fn(&str) -> Result<(), String>) -> usize {
    parse(text).unwrap_or_else(|problems| panic!("it is right as it stands: {problems}"));
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (n, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| !key.contains(['#', ' '])) else {
            continue;
        };
        let value = value.split(" #").next().unwrap_or(value).trim();
        let mut check = |changed: &str, named: &str| {
            let mut lines = lines.clone();
            lines[n] = changed;
            let Err(problems) = parse(&lines.join("\n")) else { panic!("{changed} (was {line}) is taken") };
            let place = format!("{file}:{}: ", n + 1);
            let told = problems.lines().find(|told| told.starts_with(&place));
            let told =
                told.unwrap_or_else(|| panic!("{changed}: nothing is said of line {}: {problems}", n + 1));
            assert!(told.contains(named), "{changed}: {named} is not in: {told}");
            tried += 1;
        };
        check(&format!("{key}x = {value}"), &format!("unknown key `{key}x`"));
        for wrong in wrong(value) {
            check(&format!("{key} = {wrong}"), key);
        }
        check(&format!("{key} = "), "");
    }
    tried
}

#[test]
fn each_line_of_a_manifest_that_is_wrong_is_told_with_its_key() {
    assert!(check("plugin.toml", MANIFEST, manifest) > 100);
}

#[test]
fn each_line_of_a_configuration_that_is_wrong_is_told_with_its_key() {
    assert!(check("sublane.toml", &(example() + &allowed()), config) > 250);
}

#[test]
fn a_file_that_is_cut_anywhere_is_read_or_refused_with_its_line() {
    let example = example();
    for (text, file) in [(MANIFEST, "plugin.toml"), (&example, "sublane.toml")] {
        for (at, _) in text.char_indices().step_by(7) {
            let read = if file == "plugin.toml" { manifest(&text[..at]) } else { config(&text[..at]) };
            let told = read.err().unwrap_or_default();
            assert!(told.lines().all(|line| line.starts_with(&format!("{file}:"))), "{told}");
        }
    }
}
