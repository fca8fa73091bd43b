//! What bounds everybody: lanes, depth, crashes, memory that is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use sublane_core::journal;
use sublane_core::lane::{LaneLimits, MAX_DEPTH, MAX_QUEUE_LENGTH, MAX_SLOTS};

use crate::engine::{PoolSizes, pool};
use crate::plugin::manifest::TIMEOUT;
use crate::strict::Item;

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
    /// Instances at once on each engine. 5 to 10,000, default 1,000 small and 16 large.
    pub instances: PoolSizes,
    /// Journal entries of a run. 100 to 1,000,000, default 50,000.
    pub journal_entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: MAX_DEPTH,
            crashes: 3,
            breakdowns: 5,
            hot_window: Duration::from_secs(10),
            instances: PoolSizes::default(),
            journal_entries: journal::MAX_ENTRIES,
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
        "journal-entries",
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
    let small = whole("instances-small", instances.clone(), defaults.instances.small);
    let large = whole("instances-large", instances, defaults.instances.large);
    let journal_entries = whole("journal-entries", 100..=1_000_000, defaults.journal_entries);
    Some(Limits {
        depth: depth?,
        crashes: crashes?,
        breakdowns: breakdowns?,
        hot_window: hot_window?,
        instances: PoolSizes { small: small?, large: large? },
        journal_entries: journal_entries?,
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
