//! The main job, killed at each commit: a message asks the concierge for a film, its tool call
//! spawns the rendering, and the film is delivered to the console and to a webhook.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sublane_core::{DeliveryState, Outcome, Run, RunState};
use sublane_store::Store as _;
use sublane_tests::crash::{Point, Side};
use sublane_tests::temporary;

use super::process::{self, End, Orders};
use super::receiver::Receiver;

/// The smallest film there is.
const MESSAGE: &str =
    "Make a 1 second film of a lighthouse in a storm, 64x64, 8 fps, and send it to webhook:films.";

/// A secret in the form of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

async fn walk(side: Side) {
    let mut counted = 0;
    for write in 1.. {
        let point = Point { side, write }.to_string();
        let receiver = Receiver::start().await;
        let directory = temporary();
        std::fs::write(directory.path().join("secret"), SECRET).expect("it can be written");
        let mut orders = Orders::new(directory.path(), &["concierge", "video"]);
        orders.message = Some(("concierge", MESSAGE.to_owned()));
        orders.webhook = Some(receiver.url.clone());
        let end = orders.start(Some(&point)).end().await;
        let executing = executing(directory.path()).await;
        if end == End::Killed {
            assert_eq!(orders.start(None).end().await, End::Done, "{point}: the next host finishes");
        } else {
            assert!(executing.is_empty(), "nothing is left to do");
        }
        counted += executing.len();
        check(&point, directory.path(), &receiver, &executing).await;
        if end == End::Done {
            assert!(write > 12, "a film takes more commits than {write}");
            break;
        }
    }
    assert!(counted > 3, "an attempt was executing at only {counted} of the points");
}

/// The runs, by agent, that have an attempt that executes.
async fn executing(state: &Path) -> BTreeSet<String> {
    let Some(store) = process::look(state) else { return BTreeSet::new() };
    let executes = |run: &Run| matches!(run.state, RunState::Running { .. });
    process::runs(&store).await.iter().filter(|run| executes(run)).map(|run| run.spec.agent_name()).collect()
}

/// Everything that must have come of it, once.
async fn check(point: &str, state: &Path, receiver: &Receiver, executing: &BTreeSet<String>) {
    let store = process::look(state).expect("there is a store");
    let runs = process::runs(&store).await;
    let agents: Vec<_> = runs.iter().map(|run| run.spec.agent_name()).collect();
    assert_eq!(agents, ["concierge/concierge", "video/render"], "{point}: one run each");
    for run in &runs {
        let crashes = u32::from(executing.contains(&run.spec.agent_name()));
        assert_eq!(run.crashes, crashes, "{point}: crashes of {}", run.spec.name);
    }
    let [concierge, render] = &runs[..] else { unreachable!("two agents, two runs") };
    assert_eq!((concierge.spec.lane.as_str(), render.spec.lane.as_str()), ("main", "subagent"), "{point}");
    assert_eq!(render.spec.parent, Some(concierge.spec.id), "{point}");
    assert!(matches!(concierge.outcome(), Some(Outcome::Succeeded(_))), "{point}: {:?}", concierge.state);
    let Some(Outcome::Succeeded(output)) = render.outcome() else { panic!("{point}: {:?}", render.state) };
    let [film] = &output.artifacts[..] else { panic!("{point}: one film, not {:?}", output.artifacts) };
    let file = state.join("artifacts").join(film.path());
    assert_eq!(
        files(&state.join("artifacts")),
        std::slice::from_ref(&file),
        "{point}: one file, and nothing half written"
    );
    assert_eq!(std::fs::metadata(&file).expect("it is there").len(), film.size, "{point}");

    let entries = store.journal(concierge.spec.id, 0).await.expect("the store answers");
    let paths: Vec<_> = entries.iter().map(|entry| format!("{} {}", entry.path, entry.import)).collect();
    assert_eq!(paths, ["1 tools.call-tool", "1.1 subagent.spawn-subagent"], "{point}");

    let mut bodies = BTreeMap::<String, Vec<String>>::new();
    for (id, body) in process::noted(state).into_iter().chain(receiver.received()) {
        bodies.entry(id).or_default().push(body);
    }
    let mut owed = BTreeMap::new();
    for delivery in process::deliveries(&store).await {
        let id = delivery.id.to_string();
        assert_eq!(delivery.state, DeliveryState::Delivered, "{point}: {id}");
        let sent = bodies.remove(&id).unwrap_or_default();
        assert!(
            (1..=delivery.attempts as usize).contains(&sent.len()),
            "{point}: {id} went out {} times",
            sent.len()
        );
        assert!(sent.iter().all(|body| **body == *delivery.body), "{point}: {id} has one body: {sent:?}");
        owed.entry(delivery.run).or_insert_with(BTreeSet::new).insert(delivery.destination.to_string());
    }
    assert_eq!(bodies, BTreeMap::new(), "{point}: nothing went out that is not owed");
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_each_commit_there_is_one_film() {
    walk(Side::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_commit_there_is_one_film() {
    walk(Side::After).await;
}
