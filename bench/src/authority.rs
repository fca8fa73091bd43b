//! What authority costs: the check of one import, a child's grants, and a neighbour that takes all it
//! may.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sublane::engine::threads::{LOW_PRIORITY_NICE, default_threads};
use sublane::host::Inner;
use sublane::intake::Task;
use sublane_core::grants::{
    AgentPattern, Authority, Ceiling, ChannelGrant, Denied, FileGrant, FileMode, FilePath, Grants, HttpGrant,
    KvGrant, KvMode, Place, SecretGrant, SpawnGrant, Target, Terms, ToolGrant,
};
use sublane_core::{Destination, Scope, Timestamp};
use sublane_store::Model;
use sublane_tests::{Setup, temporary};
use tokio::task::JoinSet;

use crate::bare;
use crate::report::{Goal, Report, median, quantile};
use crate::timed::{Timed, periods};

/// Rules that an instance holds.
const RULES: usize = 100;
/// Checks that are timed together: a look at the clock takes as long as some of them.
const TOGETHER: u32 = 64;

fn target(number: usize) -> Target {
    format!("https://api-{number}.example.com/v1/films").parse().expect("well formed")
}

/// So many rules of each kind, and only the last of them covers what is asked for below.
fn rules(of_each: usize) -> Authority {
    let each = 0..of_each;
    Authority {
        spawn: Some(SpawnGrant {
            agents: each
                .clone()
                .map(|n| AgentPattern { plugin: format!("video-{n}"), agent: Some("render".to_owned()) })
                .collect(),
            depth: 5,
            active_children: 5,
        }),
        channels: each
            .clone()
            .map(|n| {
                let address = format!("room-{n}");
                ChannelGrant::Address(Destination { channel: "console".to_owned(), address })
            })
            .collect(),
        tools: each
            .clone()
            .map(|n| ToolGrant { plugin: format!("tools-{n}"), tools: Some(vec!["look_up".to_owned()]) })
            .collect(),
        kv: each
            .clone()
            .map(|n| KvGrant {
                bucket: format!("bucket-{n}"),
                prefix: "films/".to_owned(),
                mode: KvMode::ReadWrite,
            })
            .collect(),
        http: each
            .clone()
            .map(|n| HttpGrant { to: target(n), methods: vec!["GET".to_owned(), "POST".to_owned()] })
            .collect(),
        files: each
            .clone()
            .map(|n| FileGrant {
                root: "films".to_owned(),
                path: FilePath::new(vec![format!("{n}")]).expect("a name"),
                mode: FileMode::ReadWrite,
            })
            .collect(),
        secrets: each
            .map(|n| SecretGrant {
                name: "key".to_owned(),
                place: Place::Header("authorization".to_owned()),
                audience: target(n),
            })
            .collect(),
        ..Authority::default()
    }
}

fn root(of_each: usize) -> Grants {
    let rules = rules(of_each);
    Grants::root(&rules, &rules, Timestamp(0), 64 << 20).0
}

/// One import's check in µs, the 95th percentile of the slowest kind, with a hundred rules of that kind
/// of which the last one covers it.
pub(crate) fn check(report: &mut Report, rounds: usize) {
    let grants = root(RULES);
    let last = RULES - 1;
    let plugin = format!("video-{last}");
    let tools = format!("tools-{last}");
    let bucket = format!("bucket-{last}");
    let to = target(last);
    let path = [format!("{last}"), "fox.mp4".to_owned()];
    let header = Place::Header("authorization".to_owned());
    let room =
        ChannelGrant::Address(Destination { channel: "console".to_owned(), address: format!("room-{last}") });
    let checks: [&dyn Fn() -> Result<(), Denied>; 7] = [
        &|| grants.may_spawn(&plugin, "render"),
        &|| grants.may_deliver(&room),
        &|| grants.may_call(&tools, "look_up"),
        &|| grants.may_kv(&bucket, "films/fox", KvMode::ReadWrite),
        &|| grants.may_request("POST", &to),
        &|| grants.may_use_files("films", &path, FileMode::Read),
        &|| grants.may_send_secret("key", &header, &to),
    ];
    let mut slowest: f64 = 0.0;
    for check in checks {
        let mut times = Vec::new();
        for _ in 0..rounds * 500 {
            let begin = crate::now();
            for _ in 0..TOGETHER {
                black_box(check()).expect("the last rule covers it");
            }
            times.push(begin.elapsed().as_nanos() as f64 / f64::from(TOGETHER) / 1e3);
        }
        slowest = slowest.max(quantile(&mut times, 0.95));
    }
    report.add("authority.check.p95", "us", slowest, 0.0, Goal::ValueAtMost(1.0));
}

/// A child's grants by a scope of five rules, from a parent with a hundred, against the bare spawn.
pub(crate) async fn attenuate(report: &mut Report, rounds: usize) {
    // Twenty of each of five kinds.
    const EACH: usize = RULES / 5;
    let held = rules(EACH);
    let held = Authority { files: Vec::new(), secrets: Vec::new(), ..held };
    let (parent, _) = Grants::root(&held, &held, Timestamp(0), 64 << 20);
    // One of each, from the middle.
    let middle = EACH / 2;
    let scope = Scope {
        spawn: held.spawn.as_ref().map(|spawn| SpawnGrant {
            agents: vec![spawn.agents[middle].clone()],
            depth: 1,
            active_children: 1,
        }),
        channels: vec![held.channels[middle].clone()],
        tools: vec![held.tools[middle].clone()],
        kv: vec![held.kv[middle].clone()],
        http: vec![held.http[middle].clone()],
        ..Scope::default()
    };
    let terms = Terms {
        now: Timestamp(0),
        ceiling: Ceiling::Parent,
        memory_bytes: 4 << 20,
        timeout: Duration::from_secs(60),
    };
    let host = Setup::on(Arc::new(Model::default()), temporary()).plugin("bench").start().await;
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        limits.push(median(&mut bare::on_guest_thread(host.inner(), 2_000).await));
        let mut times = Vec::new();
        for _ in 0..1_000 {
            let begin = crate::now();
            for _ in 0..TOGETHER {
                black_box(parent.attenuate(&scope, &terms)).expect("all of it is held");
            }
            times.push(begin.elapsed().as_nanos() as f64 / f64::from(TOGETHER));
        }
        ours.push(median(&mut times));
    }
    host.host.stop().await;
    let (ours, limit) = (median(&mut ours) / 1e3, median(&mut limits) / 1e3);
    report.add("authority.attenuate", "us", ours, limit, Goal::AtMost(0.1));
}

/// A plugin that computes, allocates and floods without end, as long as it may.
const NEIGHBOUR: &str = r#"
    id = "misbehaves"
    version = "0.1.0"
    memory = "4MiB"
    [asks]
    cpu = "1h"
    timeout = "1h"
"#;

/// Spawns of one plugin, p99, while another one spins, allocates and floods on half of the slots, against
/// the same alone. As a floor, bare spawns beside threads that only compute, as many as a host has and of
/// the same low priority: what the machine's scheduler alone makes of it.
pub(crate) async fn neighbour(report: &mut Report, rounds: usize) {
    /// Spawns of one caller in one round.
    const BATCH: u32 = 2_000;
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    let (mut floor_beside, mut floor_alone) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let host = Setup::on(Arc::new(Model::default()), temporary()).plugin("bench").start().await;
        floor_alone.push(quantile(&mut bare::on_guest_thread(host.inner(), BATCH).await, 0.99));
        let computing = Computing::begin(default_threads());
        floor_beside.push(quantile(&mut bare::on_guest_thread(host.inner(), BATCH).await, 0.99));
        drop(computing);
        host.host.stop().await;
        for is_beside in [false, true] {
            let timed = Timed::new(Model::default());
            let host = Setup::on(Arc::new(timed.clone()), temporary())
                .plugin("bench")
                .plugin_with("misbehaves", NEIGHBOUR)
                .start()
                .await;
            let mut neighbours = JoinSet::new();
            if is_beside {
                for agent in ["spin", "boast", "nag", "allocate"] {
                    neighbours.spawn(for_ever(host.inner().clone(), agent));
                }
                // As soon as the one that computes has done so for some ticks.
                let computes = || {
                    let attempts = host.inner().attempts.lock();
                    attempts.values().any(|attempt| attempt.meter.used() > Duration::from_millis(50))
                };
                host.until("a neighbour computes", computes).await;
            }
            timed.take_spawn_instants();
            let run = host.begin("bench/call", serde_json::json!(BATCH)).await;
            crate::ended(host.inner(), run).await;
            let mut times = periods(&timed.take_spawn_instants(), 1, 1);
            assert_eq!(times.len(), BATCH as usize - 2, "nobody else spawns");
            let into = if is_beside { &mut beside } else { &mut alone };
            into.push(quantile(&mut times, 0.99));
            neighbours.shutdown().await;
            host.host.stop().await;
        }
    }
    let (floor, limit) = (median(&mut floor_beside) / 1e3, median(&mut floor_alone) / 1e3);
    report.add("neighbour.floor.p99", "us", floor, limit, Goal::None);
    let (beside, alone) = (median(&mut beside) / 1e3, median(&mut alone) / 1e3);
    report.add("neighbour.p99", "us", beside, alone, Goal::AtMost(2.0));
}

/// Threads of low priority that compute until this is dropped.
struct Computing(Arc<AtomicBool>);

impl Computing {
    fn begin(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let stop = stop.clone();
            std::thread::spawn(move || {
                // Refused: they disturb more than a host's would.
                let _ = rustix::process::nice(LOW_PRIORITY_NICE);
                while !stop.load(Ordering::Relaxed) {
                    black_box(());
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has the neighbour's agent at work, again as soon as it has met one of its limits.
async fn for_ever(host: Arc<Inner>, agent: &'static str) {
    let mut changes = host.changes();
    loop {
        let task = Task {
            agent: format!("misbehaves/{agent}"),
            input: "null".to_owned(),
            origin: format!("console:{agent}").parse().expect("well formed"),
            lane: "main",
            deliver: Vec::new(),
            event: None,
        };
        let begun = host.task(task).await.expect("the host takes it");
        while !host.store.run(begun.run).await.is_ok_and(|run| run.is_some_and(|run| run.is_ended())) {
            let _ = changes.changed().await;
        }
    }
}
