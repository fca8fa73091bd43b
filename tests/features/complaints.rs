//! What users of another host complained of, by the numbers of their issues: `docs/complaints.md`
//! names what answers each. What nothing else shows is here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sublane_core::lane::LaneLimits;
use sublane_core::{Outcome, Run, RunState};
use sublane_store::{DeliveryFilter, RunFilter};
use sublane_tests::{PATIENCE, Setup, TestHost, repository, rust_files, temporary};

/// The rows of the table in `docs/complaints.md`, by their cells.
fn rows() -> Vec<[String; 3]> {
    let document = std::fs::read_to_string(repository().join("docs/complaints.md")).expect("it is there");
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| complaint "));
    let cells = |row: &str| {
        let cells: Vec<String> =
            row.trim_matches(['|', ' ']).split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|_| panic!("three cells: {row}"))
    };
    rows.map(cells).collect()
}

fn numbers(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Each function below these directories, and what its documentation says.
fn documented() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in ["tests/features", "host"].into_iter().flat_map(rust_files) {
        functions(&std::fs::read_to_string(&path).expect("text"), &mut found);
    }
    found
}

fn functions(text: &str, found: &mut BTreeMap<String, String>) {
    let mut doc = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            doc.push_str(said);
        } else if !line.starts_with("#[") {
            if let Some((before, rest)) = line.split_once("fn ")
                && before
                    .split(' ')
                    .all(|word| matches!(word, "" | "pub" | "pub(crate)" | "pub(super)" | "async"))
            {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                found.entry(name.to_owned()).or_default().push_str(&doc);
            }
            doc.clear();
        }
    }
}

#[test]
fn every_complaint_is_answered_by_tests_that_name_it() {
    let documented = documented();
    let mut answered = BTreeSet::new();
    let mut tests = 0;
    for [complaint, _, shown_by] in rows() {
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        let numbers = numbers(&complaint);
        assert!(!numbers.is_empty(), "{complaint} is no number");
        if !shown_by.starts_with('`') {
            continue;
        }
        for name in named {
            let said =
                documented.get(name).unwrap_or_else(|| panic!("there is no test `{name}` for {complaint}"));
            for number in &numbers {
                assert!(said.contains(number.as_str()), "`{name}` does not name {number}");
            }
            tests += 1;
        }
        answered.extend(numbers);
    }
    assert!(tests > 60, "{tests} tests are named");
    let claimed = documented.values().filter_map(|doc| Some(doc[doc.find("Complaint")?..].to_owned()));
    let unknown: Vec<String> =
        claimed.flat_map(|doc| numbers(&doc)).filter(|n| !answered.contains(n)).collect();
    assert_eq!(unknown, Vec::<String>::new(), "tests name them, and the table does not");
}

/// Complaint 115360 (R9): what an agent said itself was said once more at its end.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_tells_people_itself_and_owes_nothing_tells_them_once() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let steps = json!([{ "deliver": { "to": "origin", "text": "the film is there" } }]);
    let run = host.begin_for("spawns/act", steps, &[]).await;
    assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    host.until("it is told", || !host.recorder.texts().is_empty()).await;
    let owed = host.inner().store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await;
    assert_eq!(owed.expect("readable").len(), 1, "nothing more is owed");
    assert_eq!(host.recorder.texts(), ["the film is there"]);
}

async fn runs(host: &TestHost) -> Vec<Run> {
    let filter = RunFilter { limit: 100, ..RunFilter::default() };
    host.inner().store.runs(filter).await.expect("readable")
}

/// Complaint 91940 (R26): twelve slots, and one after the other all the same.
#[tokio::test(flavor = "multi_thread")]
async fn children_of_one_parent_take_as_many_slots_as_there_are() {
    const SLOTS: usize = 4;
    let mut setup = Setup::in_memory().plugin("spawns").plugin("misbehaves");
    let limits = LaneLimits { slots: SLOTS as u32, ..LaneLimits::default() };
    setup.lanes.push(("subagent".to_owned(), limits));
    let host = setup.start().await;
    let spin =
        json!({ "spawn": { "agent": "misbehaves/spin", "attached": true, "scope": { "cpu-ms": 9_000 } } });
    let mut steps = vec![spin; SLOTS + 2];
    steps.push(json!({ "wait": {} }));
    let root = host.begin("spawns/act", json!(steps)).await;
    let patience = tokio::time::Instant::now() + PATIENCE;
    let children = loop {
        let mut runs = runs(&host).await;
        runs.retain(|run| run.spec.parent == Some(root));
        let executing = runs.iter().filter(|run| matches!(run.state, RunState::Running { .. })).count();
        if runs.len() == SLOTS + 2 && executing >= SLOTS {
            break (executing, runs.iter().filter(|run| run.state == RunState::Queued).count());
        }
        assert!(tokio::time::Instant::now() < patience, "{executing} of {} execute", runs.len());
        // Nobody is told when a run begins to execute.
        tokio::task::yield_now().await;
    };
    assert_eq!(children, (SLOTS, 2), "as many as there are slots, and no more");
    host.inner().cancel(root, "seen").await.expect("it is cancelled");
}

/// Complaints 54780 and 64454 (R29): the answer left its thread. Complaint 54479: an answer for one
/// came to a channel for all. Complaint 91356: after a wait it had lost its channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_goes_where_it_was_asked_for_whatever_is_said_elsewhere_meanwhile() {
    let directory = temporary();
    let start = async || {
        let mut setup = Setup::durable(&directory).plugin("spawns");
        setup.settings.hot_window = Duration::ZERO;
        setup.start().await
    };
    let ask = async |host: &TestHost, origin: &str, input: Value| {
        let destination: sublane_core::Destination = origin.parse().expect("well formed");
        let task = sublane::intake::Task {
            agent: "spawns/act".to_owned(),
            input: input.to_string(),
            origin: destination.clone(),
            lane: "main",
            deliver: vec![destination],
            event: None,
        };
        host.inner().task(task).await.expect("it is accepted").run
    };
    let host = start().await;
    let child = json!({ "spawn": {
        "agent": "spawns/act", "name": "child", "deliver": ["origin"], "task": [{ "receive": {} }],
    } });
    let asked = ask(&host, "console:thread", json!([child, { "wait": {} }])).await;
    let waits = |run: &Run| matches!(run.state, RunState::Waiting { token: None });
    host.when(asked, "waiting", waits).await;
    let elsewhere = ask(&host, "console:all", json!([])).await;
    host.ended(elsewhere).await;
    host.until("it is told", || host.recorder.texts().len() == 1).await;
    let child = runs(&host).await.into_iter().find(|run| run.spec.name == "child").expect("it is there");
    host.when(child.spec.id, "waiting", waits).await;
    host.host.stop().await;
    let host = start().await;
    ask(&host, "console:all", json!([])).await;
    let inner = host.inner();
    let told = inner.store.send(child.spec.id, "\"go on\"".into(), None, inner.clock.now()).await;
    inner.dispatch(told.expect("it listens"));
    host.ended(asked).await;
    host.until("all are told", || host.recorder.texts().len() == 3).await;
    for told in host.recorder.deliveries() {
        let is_elsewhere = told.run != asked && told.run != child.spec.id;
        let expected = if is_elsewhere { "console:all" } else { "console:thread" };
        assert_eq!(told.destination.to_string(), expected);
    }
}
