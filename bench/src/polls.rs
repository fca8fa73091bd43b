//! What polls cost: beside the same requests without a plan, and beside what they replace.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sublane::clock::{Clock as _, SystemClock};
use sublane::host::Inner;
use sublane::http::url::Url;
use sublane::http::{Hop, Payload, deadline};
use sublane::intake::Task;
use sublane::poll::Pace as Pacing;
use sublane_core::poll::{Condition, Pace, Plan, Poll, PollRequest, Rule, Test};
use sublane_core::{Destination, Import, Path as Place, PollId, Purse, Run, RunId, Timestamp};
use sublane_store::{Backend, Model, PollMove, Polled, Rows, Store, StoreError, Wait, WaitFor};
use sublane_tests::{Setup, TestHost, repository, temporary};
use tokio::task::JoinSet;

use crate::durable::{sqlite, template};
use crate::jobs::Jobs;
use crate::report::{Goal, Report, median};
use crate::serving;
use crate::waiting::{for_long, waiting};

/// Plans that are carried out; each polls every second, so that always some are due.
const PLANS: u32 = 20_000;
/// Requests under way at the server, with plans and without.
const AT_ONCE: u32 = 8;
/// What follows a start is over.
const WARM: Duration = Duration::from_secs(1);
/// How long is measured.
const WINDOW: Duration = Duration::from_secs(3);

/// What `bench` asks for, to poll this server.
fn manifest(url: &str) -> String {
    format!(
        "id = \"bench\"\nversion = \"0.1.0\"\n[asks]\nchannels = [\"origin\"]\n\
         http = [{{ to = \"{url}\", methods = [\"GET\"] }}]\nrequests = 4000000\ncpu = \"60s\"\ntimeout = \"1h\"\n"
    )
}

/// A host on this store that polls as fast as the server bears it.
async fn host<B: Backend>(store: Arc<B>, url: &str, per_server: u32) -> TestHost {
    let mut setup = Setup::on(store, temporary()).plugin_with("bench", &manifest(url));
    setup.settings.polls = Pacing { at_once: 1_000, per_server, rate: 100_000 };
    setup.start().await
}

/// Polls that one core sustains in a second, against requests of the host's client alone: each costs so
/// much of the processors, whatever threads it is on; the server's thread does not count. In memory, as
/// the other figures of requests are, and on SQLite, where each poll is two commits besides. As a floor,
/// requests of the client between the two writes that make each paid and durable, with nothing that
/// looks for what is due, reads an answer or decides.
pub(crate) async fn rate(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let jobs = Jobs::start(0)?;
    let template = {
        let host = host(Arc::new(Model::default()), &jobs.url, AT_ONCE).await;
        let template = for_long(&template(&host).await)?;
        host.host.stop().await;
        template
    };
    let (mut bare, mut floor, mut model, mut durable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        let host = host(Arc::new(Model::default()), &jobs.url, AT_ONCE).await;
        bare.push(alone(host.inner(), &jobs).await?);
        floor.push(written(host.inner(), &template, &jobs).await?);
        host.host.stop().await;
        model.push(polled(Model::default(), &template, &jobs).await?);
        let directory = temporary();
        durable.push(polled(sqlite(&directory, "polls.db"), &template, &jobs).await?);
    }
    let (bare, durable) = (median(&mut bare), median(&mut durable));
    report.add("poll.floor", "1/s", median(&mut floor), bare, Goal::None);
    report.add("poll.rate", "1/s", median(&mut model), bare, Goal::AtLeast(0.7));
    report.add("poll.rate.durable", "1/s", durable, bare, Goal::None);
    Ok(())
}

/// Requests in a second of a processor, of whoever makes some now.
async fn measured(jobs: &Jobs) -> anyhow::Result<f64> {
    let used = || Ok::<_, anyhow::Error>(serving::cpu(std::process::id())? - jobs.cpu()?);
    crate::rest(WARM).await;
    let (asked, before) = (jobs.asked(), used()?);
    crate::rest(WINDOW).await;
    let (asked, used) = (jobs.asked() - asked, used()? - before);
    anyhow::ensure!(asked > 1_000, "the server was asked {asked} times only");
    Ok(asked as f64 / used.as_secs_f64())
}

async fn polled<B: Backend>(store: B, template: &Run, jobs: &Jobs) -> anyhow::Result<f64> {
    let store = Arc::new(store);
    fill(&*store, template, &jobs.url).await?;
    let host = host(store, &jobs.url, AT_ONCE).await;
    let rate = measured(jobs).await;
    host.host.stop().await;
    rate
}

/// As many requests at once as there are polls, one after the other.
async fn alone(inner: &Arc<Inner>, jobs: &Jobs) -> anyhow::Result<f64> {
    let mut asking = JoinSet::<()>::new();
    for number in 0..AT_ONCE {
        let (inner, url) = (inner.clone(), format!("{}/jobs/{number}", jobs.url));
        asking.spawn(async move {
            let url = Url::parse(&url).expect("a URL");
            loop {
                let (reply, _) = inner.http.exchange(hop(&url), &inner.artifacts).await;
                assert!(reply.is_ok_and(|reply| reply.status == 200), "the server does not answer");
            }
        });
    }
    let rate = measured(jobs).await;
    // One that has ended has failed.
    anyhow::ensure!(asking.try_join_next().is_none(), "a request failed");
    rate
}

/// As many requests at once as there are polls, each between the two writes of one.
async fn written(inner: &Arc<Inner>, template: &Run, jobs: &Jobs) -> anyhow::Result<f64> {
    let store = Arc::new(Model::default());
    fill(&*store, template, &jobs.url).await?;
    let mut asking = JoinSet::<()>::new();
    for number in 0..AT_ONCE {
        let (inner, url) = (inner.clone(), format!("{}/jobs/{number}", jobs.url));
        let (store, template) = (store.clone(), template.clone());
        asking.spawn(async move {
            let url = Url::parse(&url).expect("a URL");
            for round in 0.. {
                for plan in (number..PLANS).step_by(AT_ONCE as usize) {
                    let id = poll(waiting(&template, plan).spec.id, "", Timestamp(0)).id;
                    let again = SystemClock.now().after(Duration::from_secs(35));
                    let paid = Purse { requests: 1, bytes_out: 40, ..Purse::default() };
                    write(&store, id, round, paid, PollMove::Begin { again }).await;
                    let (reply, came) = inner.http.exchange(hop(&url), &inner.artifacts).await;
                    assert!(reply.is_ok_and(|reply| reply.status == 200), "the server does not answer");
                    let due = SystemClock.now().after(Duration::from_secs(1));
                    let goes_on = PollMove::GoesOn { due, seen: "200".into(), streak: None };
                    let came = Purse { bytes_in: came, ..Purse::default() };
                    write(&store, id, round + 1, came, goes_on).await;
                }
            }
        });
    }
    let rate = measured(jobs).await;
    // One that has ended has failed.
    anyhow::ensure!(asking.try_join_next().is_none(), "a request failed");
    rate
}

async fn write(store: &Model, id: PollId, made: u32, spent: Purse, moved: PollMove) {
    let now = SystemClock.now();
    let (polled, _) = Store::poll(store, id, made, spent, moved, now).await.expect("it is written");
    assert_eq!(polled, Polled::On, "each is there, and nobody else polls");
}

/// The request of the plans.
fn hop(url: &Url) -> Hop {
    Hop {
        method: "GET".to_owned(),
        url: url.clone(),
        headers: Vec::new(),
        payload: Payload::None,
        deadline: deadline(Duration::from_secs(30)),
        max_body: 1 << 10,
        max_wire: 1 << 20,
        max_file: None,
        follows: true,
    }
}

/// Runs that wait for an answer, as rows and without their attempts.
async fn fill<B: Backend>(store: &B, template: &Run, url: &str) -> anyhow::Result<()> {
    const TOGETHER: u32 = 1_000;
    let now = SystemClock.now();
    for from in (0..PLANS).step_by(TOGETHER as usize) {
        let (template, url) = (template.clone(), url.to_owned());
        let some = from..from.saturating_add(TOGETHER).min(PLANS);
        let written = store.write(move |rows| {
            some.into_iter().try_for_each(|number| insert(rows, &template, &url, number, now))
        });
        written.await?;
    }
    Ok(())
}

fn insert(
    rows: &mut dyn Rows,
    template: &Run,
    url: &str,
    number: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    const ENOUGH: Purse = Purse {
        cpu_us: 1,
        spawns: 0,
        artifact_bytes: 0,
        host_calls: 1,
        requests: 1 << 40,
        bytes_out: 1 << 50,
        bytes_in: 1 << 50,
        tokens: 0,
        money_micros: 0,
    };
    let run = Run { purse: ENOUGH, ..waiting(template, number) };
    let (id, path) = (run.spec.id, Place::root().then(1));
    let plan = plan(url, number);
    let poll = poll(id, &plan.server, Timestamp(now.0 + u64::from(number % 1_000)));
    rows.insert_run(&run)?;
    let what = WaitFor::Poll { plan: Arc::new(plan) };
    rows.insert_wait(&Wait { run: id, path, import: Import::PollUntil, args: 1, what, due: None })?;
    rows.insert_poll(&poll)
}

/// A poll that was never made.
fn poll(run: RunId, server: &str, due: Timestamp) -> Poll {
    let id = PollId::opened(run, 0, &Place::root().then(1), 0);
    let server = server.into();
    Poll { id, run, place: 0, server, due, made: 0, hinted: false, seen: None, streak: None }
}

/// What the agent `watch` asks for.
fn plan(url: &str, number: u32) -> Plan {
    let is = |value: &str| Rule {
        status: (200, 299),
        values: vec![Condition { path: "$.status".into(), test: Test::OneOf(vec![value.into()]) }],
        times: 1,
    };
    Plan {
        server: url.to_owned(),
        request: PollRequest {
            method: "GET".into(),
            url: format!("{url}/jobs/{number}"),
            headers: Vec::new(),
            body: None,
            timeout_ms: 30_000,
            max_body: 1 << 10,
            redirects: 5,
        },
        pace: Pace { first_ms: 1_000, interval_ms: 1_000, factor: 100, ceiling_ms: 1_000, jitter: 0 },
        until: None,
        done: vec![is("done")],
        failed: Vec::new(),
        goes_on: vec![is("queued")],
        headers: Vec::new(),
        hint: None,
    }
}

/// Jobs that are waited for by what is compared.
const JOBS: u32 = 10_000;

/// Waits for [`JOBS`] jobs, each asked for every second: plans of a host on SQLite, which tells of each by
/// a signed webhook, against timers of a Node process, which tell by a POST. Nothing where there is no Node.
pub(crate) async fn replaced(report: &mut Report) -> anyhow::Result<()> {
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("there is no `node` here: poll.replaced is left out");
        return Ok(());
    }
    let (jobs, directory) = (Jobs::start(JOBS)?, tempfile::tempdir()?);
    let mut host = Command::new(std::env::current_exe()?);
    host.arg("--watch").arg(JOBS.to_string()).args(["--server", &jobs.url]);
    host.arg("--state").arg(directory.path());
    let ours = Waiting::measure(host, &jobs).await?;
    let jobs = Jobs::start(JOBS)?;
    let mut node = Command::new("node");
    node.arg(repository().join("bench/pollers.mjs")).args([&jobs.url, &JOBS.to_string()]);
    let node = Waiting::measure(node, &jobs).await?;
    report.add("poll.replaced.rate", "1/s", ours.rate, node.rate, Goal::None);
    report.add("poll.replaced.cpu", "%", ours.cpu, node.cpu, Goal::None);
    report.add("poll.replaced.memory", "MiB", ours.memory, node.memory, Goal::None);
    report.add("poll.replaced.delay", "ms", ours.delay, node.delay, Goal::None);
    Ok(())
}

/// What waiting took of the machine, and how soon whoever waited was told.
struct Waiting {
    /// Requests in a second.
    rate: f64,
    /// Share of one core, in percent.
    cpu: f64,
    /// MiB that are resident.
    memory: f64,
    /// Milliseconds from a job that is done to its being told, in the mean.
    delay: f64,
}

/// A process that waits; it is killed when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Waiting {
    /// Of a process that says a line when it waits for all jobs.
    async fn measure(mut command: Command, jobs: &Jobs) -> anyhow::Result<Self> {
        /// Instances of runs that only wait are gone, and connections are there.
        const SETTLE: Duration = Duration::from_secs(15);
        const WATCHED: Duration = Duration::from_secs(10);
        const WITHIN: Duration = Duration::from_secs(20);
        const PATIENCE: Duration = Duration::from_secs(120);
        let mut process = Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let id = process.0.id();
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().context("its output")?).read_line(&mut line)?;
        anyhow::ensure!(line.contains("ready"), "{command:?} does not wait: {line}");
        crate::rest(SETTLE).await;
        let (begin, asked, used) = (crate::now(), jobs.asked(), serving::cpu(id)?);
        crate::rest(WATCHED).await;
        let seconds = begin.elapsed().as_secs_f64();
        let (asked, used) = (jobs.asked() - asked, serving::cpu(id)? - used);
        let memory = serving::resident_bytes(id)? / f64::from(1 << 20);
        jobs.finish_within(WITHIN);
        let begin = crate::now();
        let delays = loop {
            crate::rest(Duration::from_millis(100)).await;
            if let Some(delays) = jobs.delays() {
                break delays;
            }
            anyhow::ensure!(begin.elapsed() < PATIENCE, "not all jobs are told of");
        };
        Ok(Self {
            rate: asked as f64 / seconds,
            cpu: used.as_secs_f64() / seconds * 100.0,
            memory,
            delay: delays.iter().sum::<f64>() / delays.len() as f64,
        })
    }
}

/// Begins a run for each of so many jobs of a server, says when all of them wait, and serves them until
/// the process is killed.
pub(crate) async fn watch(state: &Path, server: &str, jobs: u32) -> anyhow::Result<()> {
    /// Runs that are begun at once.
    const TOGETHER: u32 = 64;
    let directory = Arc::new(tempfile::tempdir_in(state)?);
    let store = Arc::new(sqlite(&directory, "sublane.db"));
    let told = crate::receiver::channel(&format!("{server}/told"), directory.path())?;
    let mut setup = Setup::on(store, directory).plugin_with("bench", &manifest(server));
    setup.settings.polls = Pacing { at_once: 1_000, per_server: 64, rate: 100_000 };
    let host = setup.channel("webhook", told, None).start().await;
    let origin: Destination = "webhook:bench".parse().context("a destination")?;
    for from in (0..jobs).step_by(TOGETHER as usize) {
        let mut begun = JoinSet::new();
        for job in from..from.saturating_add(TOGETHER).min(jobs) {
            let task = Task {
                agent: "bench/watch".to_owned(),
                input: serde_json::json!(format!("{server}/jobs/{job}")).to_string(),
                origin: origin.clone(),
                lane: "main",
                deliver: vec![origin.clone()],
                event: None,
            };
            let inner = host.inner().clone();
            begun.spawn(async move { inner.task(task).await });
        }
        while let Some(one) = begun.join_next().await {
            one??;
        }
    }
    let is_at_rest = || host.inner().lanes.status().iter().all(|lane| lane.running + lane.ready == 0);
    while !is_at_rest() {
        crate::rest(Duration::from_millis(20)).await;
    }
    println!("ready");
    std::future::pending().await
}
