//! The time of the run: of the last thing that its journal holds.
//!
//! It stands still between two imports that are not local, so a replay sees
//! the same. `SystemTime::now()` and `Instant::now()` panic in a plugin.

use std::time::{Duration, SystemTime};

use crate::bindings::imports::sublane::plugin::clock as raw;
use crate::time::instant;

/// Now, as far as the run is concerned.
pub fn now() -> SystemTime {
    instant(raw::now())
}

/// When the run must have ended.
pub fn deadline() -> SystemTime {
    instant(raw::deadline())
}

/// How long the run may go on. Zero when its deadline has passed.
pub fn remaining() -> Duration {
    Duration::from_millis(raw::deadline().saturating_sub(raw::now()))
}
