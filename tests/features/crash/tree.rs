//! A tree of thirty runs on lanes of three slots, killed at many points of its life: each run
//! tells the webhook how it ended, and those at the bottom leave marks while they hold a slot.

use std::path::Path;

use serde_json::{Value, json};
use sublane_core::{Outcome, Run};
use sublane_tests::crash::{Of, Side};
use sublane_tests::value;

use super::process::Orders;
use super::walk::{Kind, Scene, walk};

/// Runs below each of the root's children.
const LEAVES: [usize; 5] = [5, 5, 5, 5, 4];
const SLOTS: u32 = 3;
/// Rounds of the loop that the guest computes between its marks.
const WORK: u64 = 300_000;

/// Spawns these tasks of `act`, all told to the webhook, and waits for them.
fn parent(prefix: &str, tasks: Vec<Value>, scope: &Value) -> Value {
    let spawn = |(n, task)| {
        json!({ "spawn": {
            "agent": "spawns/act", "name": format!("{prefix}{n}"), "task": task, "deliver": ["origin"],
            "scope": scope,
        } })
    };
    let mut steps: Vec<Value> = tasks.into_iter().enumerate().map(spawn).collect();
    steps.push(json!({ "wait": {} }));
    json!(steps)
}

/// Two marks, and work between them.
fn leaf() -> Value {
    let mark = |value: &str| json!({ "kv-set": { "bucket": "notes", "key": "mark", "value": value } });
    json!([mark("begun"), { "work": WORK }, mark("done")])
}

fn orders(state: &Path, webhook: String) -> Orders {
    let below = json!({ "cpu-ms": 200, "kv-write": ["notes"] });
    let child = json!({
        "agents": ["spawns/act"], "depth": 1, "active-children": 5, "total": 5, "channels": ["origin"],
        "cpu-ms": 2_000, "kv-write": ["notes"],
    });
    let middle = LEAVES
        .iter()
        .enumerate()
        .map(|(n, leaves)| parent(&format!("leaf-{n}-"), vec![leaf(); *leaves], &below));
    let mut orders = Orders::new(state, &["spawns"]);
    orders.task = Some(("spawns/act", parent("middle-", middle.collect(), &child)));
    orders.origin = "webhook:films";
    orders.slots = Some(SLOTS);
    orders.webhook = Some(webhook);
    orders
}

/// Everything that must have come of it, once; the history's own rules hold already.
fn check(scene: &Scene) {
    let Scene { point, history, .. } = scene;
    assert_eq!(history.runs.len(), 30, "{point}: thirty runs");
    let root = &history.runs[0];
    let below =
        |parent: &Run| history.runs.iter().filter(|run| run.spec.parent == Some(parent.spec.id)).count();
    assert_eq!(below(root), LEAVES.len(), "{point}");
    for (n, leaves) in LEAVES.iter().enumerate() {
        let middle = history.runs.iter().find(|run| run.spec.name == format!("middle-{n}"));
        assert_eq!(below(middle.unwrap_or_else(|| panic!("{point}: no middle-{n}"))), *leaves, "{point}");
    }
    assert!(history.runs.iter().all(|run| matches!(run.outcome(), Some(Outcome::Succeeded(_)))), "{point}");
    assert_eq!(history.deliveries.len(), 30, "{point}: each tells its ending");
    // The root was given what each of its children was given.
    let given = value(root.outcome().expect("it has ended"));
    let results = given[LEAVES.len()].as_array().expect("what the wait gave").clone();
    assert_eq!(results.len(), LEAVES.len(), "{point}: {given}");
    let worked = (0..WORK).fold(0, |sum, round| sum ^ round);
    for (result, leaves) in results.iter().zip(LEAVES) {
        let given = &result["succeeded"][leaves];
        assert_eq!(
            *given,
            json!(vec![json!({ "succeeded": [null, worked, null] }); leaves]),
            "{point}: {result}"
        );
    }
}

async fn tree(kind: Kind, stride: usize) -> (usize, usize) {
    walk(kind, stride, orders, async |scene| check(scene)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_commits_a_tree_of_thirty_comes_to_its_end() {
    let (points, executing) = tree(Kind::At(Side::Before, Of::Write), 37).await;
    assert!(points > 3 && executing > points, "{points} points, and {executing} attempts executed at them");
}

/// Complaints 98112 (R1), 125797 and 120231 (R11): a restart lost a child's answer, or woke its
/// parent several times with one.
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_commits_a_tree_of_thirty_comes_to_its_end() {
    let (points, executing) = tree(Kind::At(Side::After, Of::Write), 31).await;
    assert!(points > 4 && executing > points, "{points} points, and {executing} attempts executed at them");
}

/// Complaint 18264 (R11): the same was announced a hundred times, until a restart.
#[tokio::test(flavor = "multi_thread")]
async fn killed_around_sends_a_tree_of_thirty_tells_each_ending_once() {
    assert!(tree(Kind::At(Side::Before, Of::Send), 13).await.0 >= 2);
    assert!(tree(Kind::At(Side::After, Of::Send), 11).await.0 >= 2);
    assert!(tree(Kind::WhileTheReceiverHasIt, 14).await.0 >= 2);
}
