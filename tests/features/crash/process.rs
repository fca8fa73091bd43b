//! The host as a process of its own, which may be killed: the test binary runs
//! itself with nothing but the test `crash::child`, and its orders in the environment.
//!
//! Owns the state directory's layout: `sublane.db`, `artifacts/`, `secret`,
//! `console.jsonl`, where the process notes what it delivered to the console, and
//! `hosts`, where each notes when it began.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::channel::{Channel, Class, SecretRef};
use sublane::clock::{Clock as _, SystemClock};
use sublane::intake::{Message, Task};
use sublane::intents::Intent;
use sublane::steer::steer_alone;
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, DeliveryState, Destination, Run, Timestamp};
use sublane_store::{DeliveryFilter, HostLock, RunFilter, SqliteStore, Store};
use sublane_tests::crash::{Blow, Crash, Crashing, Point, Sending};
use sublane_tests::{PATIENCE, Setup, temporary};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The orders' environment variable.
const ORDERS: &str = "SUBLANE_CRASH";
/// The event of the one message or task: it is accepted once, however often it is handed in.
const EVENT: &str = "the-one";

/// What the process is to do: work in a state directory until nothing is left to do.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// The state directory.
    pub(super) state: PathBuf,
    /// Plugins, allowed what they ask for.
    pub(super) plugins: Vec<&'static str>,
    /// A message to the agent that answers on the console.
    pub(super) message: Option<(&'static str, String)>,
    /// An agent and its input.
    pub(super) task: Option<(&'static str, Value)>,
    /// Instead of all that: an intent, done as a command does that finds no host.
    pub(super) alone: Option<Intent>,
    /// Where the task comes from, and where its ending goes.
    pub(super) origin: &'static str,
    /// Slots of `main` and of `subagent`, if not the usual ones.
    pub(super) slots: Option<u32>,
    /// Where `webhook:films` is.
    pub(super) webhook: Option<String>,
    /// How long a waiting run keeps its instance.
    pub(super) hot_window: Duration,
}

impl Orders {
    /// Orders for a state directory.
    pub(super) fn new(state: &Path, plugins: &[&'static str]) -> Self {
        Self {
            state: state.to_owned(),
            plugins: plugins.to_vec(),
            message: None,
            task: None,
            alone: None,
            origin: "console:test",
            slots: None,
            webhook: None,
            hot_window: Duration::from_secs(60),
        }
    }

    /// Starts the process; with a point, it kills itself there.
    pub(super) fn start(&self, point: Option<Point>) -> Process {
        let point = point.map(|point| point.to_string());
        let orders = json!({
            "state": self.state,
            "plugins": self.plugins,
            "message": self.message,
            "task": self.task,
            "alone": self.alone,
            "origin": self.origin,
            "slots": self.slots,
            "webhook": self.webhook,
            "hot_window_ms": u64::try_from(self.hot_window.as_millis()).expect("a test's window"),
            "point": point,
        });
        let mut command = Command::new(std::env::current_exe().expect("a test is a file"));
        command.args(["--exact", "crash::child", "--nocapture"]).env(ORDERS, orders.to_string());
        let log = OpenOptions::new().create(true).append(true).open(self.state.join("log")).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.expect("the process starts");
        let told = BufReader::new(child.stdout.take().expect("its output is ours"));
        let (writes, writes_of) = watch::channel(0);
        std::thread::spawn(move || told.lines().for_each(|_| writes.send_modify(|lines| *lines += 1)));
        Process { child, state: self.state.clone(), writes: writes_of }
    }
}

/// A process that works, or did. Dropped, it is killed.
pub(super) struct Process {
    child: Child,
    state: PathBuf,
    /// Moves with each line that it says, which it does after each write; closed at its end.
    writes: watch::Receiver<u64>,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing was left to do.
    Done,
    /// By SIGKILL.
    Killed,
}

impl Process {
    /// Kills it, or lets it be if it has ended.
    pub(super) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Waits until it has written since the last call. `false`: it has come to its end.
    pub(super) async fn has_written(&mut self) -> bool {
        self.writes.changed().await.is_ok()
    }

    /// Ready when it has ended.
    pub(super) async fn ended(&mut self) {
        while self.has_written().await {}
    }

    /// Waits for its end.
    pub(super) async fn end(mut self) -> End {
        let log = self.state.join("log");
        let log = || std::fs::read_to_string(&log).unwrap_or_default();
        if timeout(PATIENCE, self.ended()).await.is_err() {
            panic!("it does not come to an end: {}", log());
        }
        let status = self.child.wait().expect("it is ours");
        match std::os::unix::process::ExitStatusExt::signal(&status) {
            Some(9) => End::Killed,
            _ if status.success() => End::Done,
            _ => panic!("{status}: {}", log()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or nobody is interested in it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Notes what it is given in a state directory, one line for each attempt.
struct Noting(PathBuf);

#[async_trait]
impl Channel for Noting {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        note(&self.0, delivery);
        AttemptResult::Delivered { note: "noted".to_owned() }
    }
}

/// Notes in a state directory that a delivery was received.
pub(super) fn note(state: &Path, delivery: &Delivery) {
    let line = json!({ "id": delivery.id.to_string(), "body": &*delivery.body });
    append(&state.join("console.jsonl"), &line.to_string());
}

/// Adds a line to a file.
fn append(file: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("it can be written");
    file.write_all(format!("{line}\n").as_bytes()).expect("it can be written");
}

/// When each host of a state directory began, the oldest first.
pub(super) fn hosts(state: &Path) -> Vec<Timestamp> {
    let text = std::fs::read_to_string(state.join("hosts")).unwrap_or_default();
    text.lines().map(|line| Timestamp(line.parse().expect("an instant"))).collect()
}

/// What was noted in a state directory: ids and bodies, in order.
pub(super) fn noted(state: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(state.join("console.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        let part = |name: &str| line[name].as_str().expect("a text").to_owned();
        (part("id"), part("body"))
    };
    text.lines().map(line).collect()
}

/// The process's side: does what the environment orders; nothing without orders.
pub(super) async fn obey() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Value = serde_json::from_str(&orders).expect("orders are JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let state = PathBuf::from(text(&orders["state"]));
    let _lock = HostLock::acquire(&state).expect("the last process is gone, and its lock with it");
    let point = orders["point"].as_str().map(|point| point.parse().expect("a point"));
    append(&state.join("hosts"), &SystemClock.now().0.to_string());
    let store = SqliteStore::open(&state.join("sublane.db")).expect("the store opens");
    let crash = Crash::new(point, Blow::Kill);
    let store = Arc::new(Crashing::new(store, crash.clone()));
    if !orders["alone"].is_null() {
        let intent = serde_json::from_value(orders["alone"].clone()).expect("an intent");
        steer_alone(&*store, intent, 3, "".into(), SystemClock.now()).await.expect("it is done");
        return;
    }
    let mut done = crash.done();
    let telling = tell(crash.done());
    let mut setup = Setup::on(store.clone(), temporary()).artifacts(state.join("artifacts"));
    setup.settings.hot_window = Duration::from_millis(orders["hot_window_ms"].as_u64().expect("a number"));
    if let Some(slots) = orders["slots"].as_u64() {
        setup = setup.slots(u32::try_from(slots).expect("a test's slots"));
    }
    for plugin in orders["plugins"].as_array().expect("a list") {
        setup = setup.plugin(&text(plugin));
    }
    if let Some(url) = orders["webhook"].as_str() {
        let endpoint = Endpoint::new(url, SecretRef::File(state.join("secret")));
        let webhook = Webhook::new([("films".to_owned(), endpoint)].into(), Arc::new(SystemClock));
        let webhook = Sending::new(Arc::new(webhook.expect("the endpoint is right")), crash.clone());
        setup = setup.channel("webhook", Arc::new(webhook), None);
    }
    let answers = orders["message"][0].as_str();
    let console = Sending::new(Arc::new(Noting(state.clone())), crash.clone());
    let host = setup.channel("console", Arc::new(console), answers).start().await;
    let origin: Destination = text(&orders["origin"]).parse().expect("well formed");
    let event = Some(EVENT.to_owned());
    if orders["message"].is_null() && orders["task"].is_null() {
        // What is to be done stands in the store.
    } else if answers.is_some() {
        let message =
            Message { origin, from: "somebody".to_owned(), text: text(&orders["message"][1]), event };
        host.inner().message(message).await.expect("it is accepted");
    } else {
        let task = Task {
            agent: text(&orders["task"][0]),
            input: orders["task"][1].to_string(),
            deliver: vec![origin.clone()],
            origin,
            lane: "main",
            event,
        };
        host.inner().task(task).await.expect("it is accepted");
    }
    while !is_settled(&*store).await {
        done.changed().await.expect("the store is there");
    }
    host.host.stop().await;
    drop(telling);
}

/// Says a line after each write, as long as what comes back is held.
fn tell(mut done: watch::Receiver<u64>) -> JoinSet<()> {
    let mut telling = JoinSet::new();
    telling.spawn(async move {
        while done.changed().await.is_ok() {
            let mut out = std::io::stdout();
            // Nobody listens any more to a process that is about to be killed.
            let _ = writeln!(out, "written").and_then(|()| out.flush());
        }
    });
    telling
}

/// Whether nothing is asked any more, every run has ended and every delivery has come to its end.
async fn is_settled(store: &dyn Store) -> bool {
    if !store.intents(1).await.expect("the store answers").is_empty() {
        return false;
    }
    let runs = runs(store).await;
    let open =
        |delivery: &Delivery| matches!(delivery.state, DeliveryState::Pending | DeliveryState::Sending);
    runs.iter().all(Run::is_ended) && !deliveries(store).await.iter().any(open)
}

/// All runs, oldest first.
pub(super) async fn runs(store: &dyn Store) -> Vec<Run> {
    let mut runs =
        store.runs(RunFilter { limit: 100, ..RunFilter::default() }).await.expect("the store answers");
    runs.reverse();
    runs
}

/// All deliveries.
pub(super) async fn deliveries(store: &dyn Store) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    store.deliveries(filter).await.expect("the store answers")
}

/// What a state directory holds, read beside a host or after it. `None`: there is no store yet.
pub(super) fn look(state: &Path) -> Option<SqliteStore> {
    SqliteStore::open_read_only(&state.join("sublane.db")).ok()
}
