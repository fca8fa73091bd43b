//! The main job, killed at each point: a message asks the concierge for a film, its tool call
//! spawns the rendering, and the film is delivered to the console and to a webhook.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sublane_core::Outcome;
use sublane_store::Store as _;
use sublane_tests::crash::{Of, Side};

use super::process::Orders;
use super::walk::{Kind, Scene, walk};

/// The smallest film there is.
const MESSAGE: &str =
    "Make a 1 second film of a lighthouse in a storm, 64x64, 8 fps, and send it to webhook:films.";

fn orders(state: &Path, webhook: String) -> Orders {
    let mut orders = Orders::new(state, &["concierge", "video"]);
    orders.message = Some(("concierge", MESSAGE.to_owned()));
    orders.webhook = Some(webhook);
    orders
}

async fn film(kind: Kind) -> (usize, usize) {
    walk(kind, 1, orders, async |scene| check(scene).await).await
}

/// Everything that must have come of it, once.
async fn check(scene: &Scene) {
    let Scene { point, history, store, directory, .. } = scene;
    let agents: Vec<_> = history.runs.iter().map(|run| run.spec.agent_name()).collect();
    assert_eq!(agents, ["concierge/concierge", "video/render"], "{point}: one run each");
    let [concierge, render] = &history.runs[..] else { unreachable!("two agents, two runs") };
    assert_eq!((concierge.spec.lane.as_str(), render.spec.lane.as_str()), ("main", "subagent"), "{point}");
    assert_eq!(render.spec.parent, Some(concierge.spec.id), "{point}");
    assert!(matches!(concierge.outcome(), Some(Outcome::Succeeded(_))), "{point}: {:?}", concierge.state);
    let Some(Outcome::Succeeded(output)) = render.outcome() else { panic!("{point}: {:?}", render.state) };
    let [film] = &output.artifacts[..] else { panic!("{point}: one film, not {:?}", output.artifacts) };
    let artifacts = directory.path().join("artifacts");
    let file = artifacts.join(film.path());
    assert_eq!(files(&artifacts), std::slice::from_ref(&file), "{point}: one file, and nothing half written");
    assert_eq!(std::fs::metadata(&file).expect("it is there").len(), film.size, "{point}");

    let entries = store.journal(concierge.spec.id, 0).await.expect("the store answers");
    let paths: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.path, entry.import)).collect();
    let expected = ["1 tools.call-tool", "1.0 tools.call-tool", "1.1 kv.get", "1.2 subagent.spawn-subagent"];
    assert_eq!(paths, expected, "{point}: the tool looks who makes films, and begins one");

    let mut owed = BTreeMap::new();
    for delivery in &history.deliveries {
        owed.entry(delivery.run).or_insert_with(BTreeSet::new).insert(delivery.destination.to_string());
    }
    let to = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(owed[&concierge.spec.id], to(&["console:test"]), "{point}");
    assert_eq!(owed[&render.spec.id], to(&["console:test", "webhook:films"]), "{point}");
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// Complaint 98112 (R1): a restart in the middle of a run lost its answer.
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_each_commit_there_is_one_film() {
    let (points, executing) = film(Kind::At(Side::Before, Of::Write)).await;
    assert!(points > 12 && executing > 3, "{points} commits, and {executing} attempts executed at them");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_commit_there_is_one_film() {
    let (points, executing) = film(Kind::At(Side::After, Of::Write)).await;
    assert!(points > 12 && executing > 3, "{points} commits, and {executing} attempts executed at them");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_each_send_there_is_one_film() {
    assert_eq!(film(Kind::At(Side::Before, Of::Send)).await.0, 3, "three are owed");
    assert_eq!(film(Kind::At(Side::After, Of::Send)).await.0, 3, "three are owed");
    assert_eq!(film(Kind::WhileTheReceiverHasIt).await.0, 1, "one of them to the webhook");
}
