//! Walks through the points of a host's life: kills it at the first, at the second,
//! and so on, lets another host finish, and has everything that came of it judged.
//!
//! A short walk takes every so-manieth point, always the same ones; `cargo xtask
//! crash` takes them all ([`EVERY`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sublane_core::{Run, RunState};
use sublane_store::SqliteStore;
use sublane_tests::crash::{Of, Point, Side};
use sublane_tests::history::History;
use sublane_tests::temporary;
use tempfile::TempDir;

use super::process::{self, End, Orders};
use super::receiver::Receiver;

/// Where this variable is set, each so-manieth point is walked to, and each is told.
const EVERY: &str = "SUBLANE_CRASH_EVERY";

/// A secret in the form of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// What kind of points a walk goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The host kills itself.
    At(Side, Of),
    /// The receiver has read a request whole and does not answer; the host is killed from outside.
    WhileTheReceiverHasIt,
}

/// What one killed host, and the one after it, left.
pub(super) struct Scene {
    /// Where it was killed.
    pub(super) point: String,
    /// Whether it was. `false`: it came to its end before the point.
    pub(super) was_killed: bool,
    /// Agents of runs that had an attempt that executed when it was killed.
    pub(super) executing: Vec<String>,
    /// The state directory.
    pub(super) directory: Arc<TempDir>,
    /// Its store.
    pub(super) store: SqliteStore,
    /// All that became of it.
    pub(super) history: History,
}

/// Walks to each `stride`-th point of a kind. `orders` is told the directory and where `webhook:films` is.
/// Gives how many points there were and how many attempts were executing at them.
pub(super) async fn walk(
    kind: Kind,
    stride: usize,
    orders: impl Fn(&Path, String) -> Orders,
    check: impl AsyncFn(&Scene),
) -> (usize, usize) {
    let told = std::env::var(EVERY).ok().map(|every| every.parse().expect("SUBLANE_CRASH_EVERY is a number"));
    let stride: usize = told.unwrap_or(stride);
    let (mut points, mut executing) = (0, 0);
    for number in (stride..).step_by(stride) {
        let scene = live(kind, number, &orders).await;
        if told.is_some() {
            eprintln!("{}: {} were executing", scene.point, scene.executing.len());
        }
        assert_eq!(scene.history.faults(), Vec::<String>::new(), "{}", scene.point);
        let crashes: u32 = scene.history.runs.iter().map(|run| run.crashes).sum();
        assert_eq!(crashes as usize, scene.executing.len(), "{}: each crash is counted, once", scene.point);
        check(&scene).await;
        executing += scene.executing.len();
        if !scene.was_killed {
            break;
        }
        points += 1;
    }
    (points, executing)
}

/// One life up to a point, and the next to its end.
async fn live(kind: Kind, number: usize, orders: &impl Fn(&Path, String) -> Orders) -> Scene {
    let directory = temporary();
    let state = directory.path();
    std::fs::write(state.join("secret"), SECRET).expect("it can be written");
    let receiver = Receiver::start((kind == Kind::WhileTheReceiverHasIt).then_some(number)).await;
    let orders = orders(state, receiver.url.clone());
    let (point, was_killed) = match kind {
        Kind::At(side, of) => {
            let point = Point { side, of, number: number as u64 };
            (point.to_string(), orders.start(Some(point)).end().await == End::Killed)
        }
        Kind::WhileTheReceiverHasIt => {
            let mut host = orders.start(None);
            let was_killed = tokio::select! {
                () = receiver.withholds() => true,
                () = host.ended() => false,
            };
            if was_killed {
                host.kill()
            } else {
                assert_eq!(host.end().await, End::Done)
            }
            (format!("while the receiver has request {number}"), was_killed)
        }
    };
    let executing = executing(state).await;
    if was_killed {
        assert_eq!(orders.start(None).end().await, End::Done, "{point}: the next host finishes");
    } else {
        assert!(executing.is_empty(), "nothing is left to do");
    }
    let store = process::look(state).expect("there is a store");
    let mut history = History::read(&store).await;
    history.received = process::noted(state).into_iter().chain(receiver.received()).collect();
    history.hosts = process::hosts(state);
    history.slots = orders.slots.into_iter().flat_map(both_lanes).collect::<BTreeMap<_, _>>();
    Scene { point, was_killed, executing, directory: directory.clone(), store, history }
}

fn both_lanes(slots: u32) -> [(String, u32); 2] {
    ["main", "subagent"].map(|lane| (lane.to_owned(), slots))
}

/// The agents of runs that have an attempt that executes.
async fn executing(state: &Path) -> Vec<String> {
    let Some(store) = process::look(state) else { return Vec::new() };
    let executes = |run: &Run| matches!(run.state, RunState::Running { .. });
    process::runs(&store).await.iter().filter(|run| executes(run)).map(|run| run.spec.agent_name()).collect()
}
