//! What bounds everybody: lanes, depth, crashes, memory that is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use sublane_core::lane::{LaneLimits, MAX_DEPTH, MAX_QUEUE_LENGTH, MAX_SLOTS};
use sublane_core::{Purse, journal};

use crate::bounded::MAX_COMPONENT_BYTES;
use crate::engine::compile::Bounds;
use crate::engine::{MAX_MEMORY_BYTES, SMALL_MEMORY_BYTES, pool};
use crate::machine::Asked;
use crate::plugin::manifest::TIMEOUT;
use crate::strict::Item;

/// Bytes of the state directory's disk that are left alone.
const FREE_DISK_BYTES: u64 = 256 << 20;

/// What bounds everybody.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Deepest run; a root is at 0. 1 to 5, default 5.
    pub depth: u32,
    /// Attempts of a run that may end with their process; one more and the run fails as
    /// `crash-looping`. 1 to 100, default 3.
    pub crashes: u32,
    /// Runs of a plugin that end in a row by a trap or a limit, with which it is paused.
    /// 1 to 1,000, default 5.
    pub breakdowns: u32,
    /// How long a waiting run's instance stays in memory. 0 s to 10 min, default 10 s.
    pub hot_window: Duration,
    /// Instances at once on each engine, 5 to 10,000, and of one plugin; linear memory that a plugin
    /// may ask for, 4 MiB to 1 GiB. Default what fits on the machine.
    pub instances: Asked,
    /// What compiling a component may take: 1 KiB to 256 MiB of it, 64 MiB to 64 GiB of memory, 1 s to
    /// 1 h of processor time, 1 s to 6 h on the clock. Default 64 MiB, 2 GiB, 2 min, 10 min.
    pub compile: Bounds,
    /// Bytes of the state directory's disk that are left alone: below it nothing new is begun. 0 to
    /// 1 TiB, default 256 MiB.
    pub free_disk_bytes: u64,
    /// What each message fills its conversation's purse up to, see [`crate::Settings::purse`].
    pub conversation: Purse,
    /// Journal of a run: 100 to 1,000,000 entries, 1 MiB to 1 GiB of answers. Default 50,000 and 64 MiB.
    pub journal: journal::Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: MAX_DEPTH,
            crashes: 3,
            breakdowns: 5,
            hot_window: Duration::from_secs(10),
            instances: Asked::default(),
            compile: Bounds::default(),
            free_disk_bytes: FREE_DISK_BYTES,
            conversation: conversation_purse(),
            journal: journal::Bounds::default(),
        }
    }
}

pub(super) fn read(item: &Item<'_>) -> Option<Limits> {
    let table = item.table(&[
        "depth",
        "crashes",
        "breakdowns",
        "hot-window",
        "instances-small",
        "instances-large",
        "instances-per-plugin",
        "memory",
        "component",
        "compile-memory",
        "compile-cpu",
        "compile-time",
        "free-disk",
        "journal-entries",
        "journal-bytes",
        "conversation",
    ])?;
    let defaults = Limits::default();
    let whole = |key, range, default| table.get(key).map_or(Some(default), |item| item.whole(range));
    let instances = pool::SMALLEST..=10_000;
    let depth = whole("depth", 1..=MAX_DEPTH, defaults.depth);
    let crashes = whole("crashes", 1..=100, defaults.crashes);
    let breakdowns = whole("breakdowns", 1..=1_000, defaults.breakdowns);
    let hot_window = table
        .get("hot-window")
        .map_or(Some(defaults.hot_window), |item| item.duration(Duration::ZERO..=Duration::from_secs(600)));
    let asked = |key| table.get(key).map_or(Some(None), |item| item.whole(instances.clone()).map(Some));
    let (small, large) = (asked("instances-small"), asked("instances-large"));
    let per_plugin = asked("instances-per-plugin");
    let memory = table
        .get("memory")
        .map_or(Some(None), |item| item.bytes(SMALL_MEMORY_BYTES..=MAX_MEMORY_BYTES).map(Some));
    let bytes = |key, range, default| table.get(key).map_or(Some(default), |item| item.bytes(range));
    let time = |key, most, default| {
        table.get(key).map_or(Some(default), |item| item.duration(Duration::from_secs(1)..=most))
    };
    let component = bytes("component", 1 << 10..=MAX_COMPONENT_BYTES, defaults.compile.component_bytes);
    let compile_memory = bytes("compile-memory", 64 << 20..=64 << 30, defaults.compile.memory_bytes);
    let compile_cpu = time("compile-cpu", Duration::from_secs(3_600), defaults.compile.cpu);
    let compile_time = time("compile-time", Duration::from_secs(6 * 3_600), defaults.compile.time);
    let free_disk = bytes("free-disk", 0..=1 << 40, defaults.free_disk_bytes);
    let conversation = table.get("conversation").map_or(Some(defaults.conversation), |item| purse(&item));
    let journal_entries = whole("journal-entries", 100..=1_000_000, defaults.journal.entries);
    let journal_bytes = bytes("journal-bytes", 1 << 20..=1 << 30, defaults.journal.bytes);
    Some(Limits {
        depth: depth?,
        crashes: crashes?,
        breakdowns: breakdowns?,
        hot_window: hot_window?,
        instances: Asked { small: small?, large: large?, per_plugin: per_plugin?, memory_bytes: memory? },
        compile: Bounds {
            component_bytes: component?,
            memory_bytes: compile_memory?,
            cpu: compile_cpu?,
            time: compile_time?,
        },
        free_disk_bytes: free_disk?,
        conversation: conversation?,
        journal: journal::Bounds { entries: journal_entries?, bytes: journal_bytes? },
    })
}

/// What a conversation's purse is filled up to by default.
#[must_use]
pub fn conversation_purse() -> Purse {
    Purse {
        cpu_us: 7_200_000_000,
        spawns: 100_000,
        artifact_bytes: 64 << 30,
        host_calls: 10_000_000_000_000,
        requests: 10_000_000,
        bytes_out: 64 << 30,
        bytes_in: 1 << 40,
        tokens: 10_000_000_000,
        money_micros: 1_000_000_000_000,
    }
}

fn purse(item: &Item<'_>) -> Option<Purse> {
    let table = item.table(&[
        "cpu",
        "spawns",
        "artifacts",
        "host-calls",
        "requests",
        "bytes-out",
        "bytes-in",
        "tokens",
        "money-millionths",
    ])?;
    let default = conversation_purse();
    let whole = |key, default: u64| {
        table.get(key).map_or(Some(default), |item| item.whole(1..=u32::MAX).map(u64::from))
    };
    let bytes = |key, default| table.get(key).map_or(Some(default), |item| item.bytes(1 << 10..=1 << 50));
    let cpu = table.get("cpu").map_or(Some(default.cpu_us), |item| {
        let cpu = item.duration(Duration::from_millis(10)..=Duration::from_secs(365 * 86_400))?;
        u64::try_from(cpu.as_micros()).ok()
    });
    let spawns = whole("spawns", default.spawns);
    let artifacts = bytes("artifacts", default.artifact_bytes);
    let host_calls = whole("host-calls", default.host_calls);
    let requests = whole("requests", default.requests);
    let bytes_out = bytes("bytes-out", default.bytes_out);
    let bytes_in = bytes("bytes-in", default.bytes_in);
    let tokens = whole("tokens", default.tokens);
    let money = whole("money-millionths", default.money_micros);
    Some(Purse {
        cpu_us: cpu?,
        spawns: spawns?,
        artifact_bytes: artifacts?,
        host_calls: host_calls?,
        requests: requests?,
        bytes_out: bytes_out?,
        bytes_in: bytes_in?,
        tokens: tokens?,
        money_micros: money?,
    })
}

/// The lanes that are configured, and the two that are always there.
pub(super) fn read_lanes(item: Option<Item<'_>>) -> Option<BTreeMap<String, LaneLimits>> {
    let cores =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let mut lanes = BTreeMap::from([
        ("main".to_owned(), LaneLimits::main(cores)),
        ("subagent".to_owned(), LaneLimits::default()),
    ]);
    let mut complete = true;
    for (name, item) in item.map_or_else(|| Some(Vec::new()), |item| item.named())? {
        let defaults = lanes.get(name).copied().unwrap_or_default();
        match read_lane(&item, defaults) {
            Some(lane) => drop(lanes.insert(name.to_owned(), lane)),
            None => complete = false,
        }
    }
    complete.then_some(lanes)
}

fn read_lane(item: &Item<'_>, defaults: LaneLimits) -> Option<LaneLimits> {
    let table = item.table(&["slots", "queue-length", "timeout"])?;
    let whole = |key, range, default| table.get(key).map_or(Some(default), |item| item.whole(range));
    let slots = whole("slots", 1..=MAX_SLOTS, defaults.slots);
    let queue_length = whole("queue-length", 1..=MAX_QUEUE_LENGTH, defaults.queue_length);
    let timeout =
        table.get("timeout").map_or(Some(defaults.timeout), |item| item.duration(TIMEOUT.0..=TIMEOUT.1));
    Some(LaneLimits { slots: slots?, queue_length: queue_length?, timeout: timeout? })
}
