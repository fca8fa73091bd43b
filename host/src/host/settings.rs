//! The numbers of a host: what the configuration says, and what it cannot say yet.

use std::time::Duration;

use sublane_core::Purse;
use sublane_core::journal::Bounds;

use crate::engine::PoolSizes;
use crate::poll::Pace;
use crate::retention::Retention;

/// How the host behaves; the configuration's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Deepest run: a root is 0. Default 5.
    pub max_depth: u32,
    /// Attempts of a run that may end with their host before it fails as crash-looping. Default 3.
    pub max_crashes: u32,
    /// Breakdowns of a plugin in a row, by a trap or a limit, with which it is paused. Default 5.
    pub max_breakdowns: u32,
    /// How long a parked attempt keeps its instance. Default 10 s.
    pub hot_window: Duration,
    /// What one journal may hold. See [`Bounds::default`].
    pub journal: Bounds,
    /// How often the sweeps look by themselves. Default 1 s.
    pub sweep: Duration,
    /// How fast polls come.
    pub polls: Pace,
    /// Ready runs on all lanes from which on few of those that are due are woken at once. Default 1,024.
    pub line: u32,
    /// How long a stop waits for attempts and deliveries under way. Default 5 s.
    pub grace: Duration,
    /// What each message from outside fills its conversation's purse up to.
    /// Default two hours of guest CPU, 100,000 spawns, 64 GiB of artifacts; a root run draws at most half.
    pub purse: Purse,
    /// How long things are kept.
    pub retention: Retention,
    /// Instances of each engine.
    pub pools: PoolSizes,
    /// Guest threads of each set. Default one for each core.
    pub guest_threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_depth: sublane_core::lane::MAX_DEPTH,
            max_crashes: 3,
            max_breakdowns: 5,
            hot_window: Duration::from_secs(10),
            journal: Bounds::default(),
            sweep: Duration::from_secs(1),
            polls: Pace::default(),
            line: 1_024,
            grace: Duration::from_secs(5),
            purse: crate::config::conversation_purse(),
            retention: Retention::default(),
            pools: PoolSizes::default(),
            guest_threads: crate::engine::threads::default_threads(),
        }
    }
}
