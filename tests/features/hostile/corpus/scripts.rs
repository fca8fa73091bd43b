//! Attacks as steps that a guest takes: a task for the guest `spawns` in each file.
//!
//! `about` says what it does, `asks` what its manifest has, `steps` what it tries. In them,
//! `{"times": N, "of": X}` stands for N elements X of a list, and `{"times": N, "text": T}` for a text.
//! `{victim}`, `{victims-child}` and `{victims-file}` are of another plugin's run in the same
//! conversation, which waits meanwhile and must not notice anything.

use serde_json::{Value, json};
use sublane_core::{Outcome, RunId};
use sublane_store::RunFilter;
use sublane_tests::{Setup, TestHost, temporary, value};

use super::{attacks, check, check_neighbour};

/// What the victim did before: it wrote a file, noted something and began a child by a key of its own.
fn victims_task() -> Value {
    json!([
        { "write": { "name": "diary.txt", "text": "what nobody else reads" } },
        { "spawn": { "agent": "spawns/act", "task": [{ "receive": {} }], "dedupe-key": "k", "scope": { "cpu-ms": 100 } } },
        { "receive": {} },
    ])
}

struct Victim {
    run: RunId,
    names: [(&'static str, String); 3],
}

impl Victim {
    async fn of(host: &TestHost) -> Self {
        let run = host.begin("spawns/act", victims_task()).await;
        host.when(run, "waiting", |run| run.state.kind() == "waiting").await;
        let filter = RunFilter { parent: Some(run), limit: 1, ..RunFilter::default() };
        let child = host.inner().store.runs(filter).await.expect("readable")[0].spec.id;
        host.when(child, "waiting", |run| run.state.kind() == "waiting").await;
        let file = only_file(host);
        let names =
            [("{victim}", run.to_string()), ("{victims-child}", child.to_string()), ("{victims-file}", file)];
        Self { run, names }
    }

    /// Everything that the store has of it, its child and its mailbox.
    async fn seen(&self, host: &TestHost) -> String {
        let store = &host.inner().store;
        let run = store.run(self.run).await.expect("readable");
        let children = RunFilter { parent: Some(self.run), limit: 10, ..RunFilter::default() };
        let children = store.runs(children).await.expect("readable");
        let wait = store.wait_of(self.run).await.expect("readable");
        let journal = store.journal(self.run, 0).await.expect("readable");
        let state = |run: &sublane_core::Run| format!("{:?} {:?}", run.state.kind(), run.spec.grants);
        format!(
            "{} {:?} {wait:?} {journal:?}",
            state(&run.expect("there")),
            children.iter().map(state).collect::<Vec<_>>()
        )
    }
}

/// The id of the only file that there is: where it lies is named by its content.
fn only_file(host: &TestHost) -> String {
    let mut below = vec![host.directory.path().join("artifacts")];
    let mut found = Vec::new();
    while let Some(directory) = below.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below.push(path);
            } else {
                found.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The steps with what the short forms stand for.
fn expanded(value: &Value, victim: &Victim) -> Value {
    let times =
        |value: &Value| usize::try_from(value["times"].as_u64().unwrap_or(1)).expect("a small number");
    match value {
        Value::String(text) => {
            json!(victim.names.iter().fold(text.clone(), |text, (name, is)| text.replace(name, is)))
        }
        Value::Array(list) => list
            .iter()
            .flat_map(|element| match element.get("of") {
                Some(of) => vec![expanded(of, victim); times(element)],
                None => vec![expanded(element, victim)],
            })
            .collect(),
        Value::Object(map) => match value["text"].as_str() {
            Some(text) if map.contains_key("times") => json!(text.repeat(times(value))),
            _ => map.iter().map(|(key, value)| (key.clone(), expanded(value, victim))).collect(),
        },
        other => other.clone(),
    }
}

/// Without what is another in each run.
fn steady(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(steady).collect(),
        Value::Object(map) => {
            let is_receipt = map.contains_key("grants");
            let kept =
                map.iter().filter(|(key, _)| if is_receipt { *key == "duplicate" } else { *key != "name" });
            kept.map(|(key, value)| (key.clone(), steady(value))).collect()
        }
        other => other.clone(),
    }
}

/// What came of each step, a line each; lines that follow each other and are the same are one.
fn told(done: &Value, victim: &Victim) -> String {
    let line = |step: &Value| {
        let text = match step.get("error").and_then(Value::as_str) {
            Some(error) => format!("refused: {error}"),
            None => format!("done: {}", steady(step)),
        };
        let text = victim.names.iter().fold(text, |text, (name, is)| text.replace(is, name));
        if text.chars().count() > 300 { text.chars().take(300).chain(['…']).collect() } else { text }
    };
    let mut lines: Vec<(String, usize)> = Vec::new();
    for step in done.as_array().expect("a list") {
        let line = line(step);
        match lines.last_mut() {
            Some((last, times)) if *last == line => *times += 1,
            _ => lines.push((line, 1)),
        }
    }
    let shown = |(line, times): &(String, usize)| {
        if *times > 1 { format!("{times} times {line}") } else { line.clone() }
    };
    lines.iter().map(shown).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_script_is_refused_by_name_and_harms_nobody() {
    let directory = temporary();
    let out = directory.path().join("out");
    std::fs::create_dir(&out).expect("a directory");
    std::fs::write(directory.path().join("key"), "of the operator").expect("a file");
    let mut setup = Setup::in_memory().plugin("spawns").files("out", out.clone());
    let mut scripts = Vec::new();
    for (name, text) in attacks("json") {
        let script: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(script["about"].is_string(), "{name} does not say what it does");
        let asks = script["asks"].as_str().unwrap_or_default();
        let manifest = format!("id = \"{name}\"\nversion = \"0.1.0\"\nmemory = \"64MiB\"\n[asks]\n{asks}\n");
        setup = setup.plugin_with("spawns", &manifest);
        scripts.push((name, script));
    }
    let host = setup.start().await;
    let victim = Victim::of(&host).await;
    let before = victim.seen(&host).await;
    for (name, script) in scripts {
        let run = host.begin(&format!("{name}/act"), expanded(&script["steps"], &victim)).await;
        let answer = match host.ended(run).await {
            done @ Outcome::Succeeded(_) => told(&value(&done), &victim),
            Outcome::Failed { reason, message, .. } => format!("{reason:?}: {message}"),
            other => panic!("{name}: {other:?}"),
        };
        check(&name, &answer);
        check_neighbour(&host, &name).await;
        assert_eq!(victim.seen(&host).await, before, "{name} touched what is not its own");
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 2, "nothing was made outside");
}
