//! Processor time of a piece of guest code, without a system call for each.
//!
//! A piece that took no time to speak of is charged by the clock. A long one is
//! charged by what its thread has really computed: on a busy machine it may have
//! been set aside for most of that time. The thread's time is read at most every
//! few milliseconds, so a long piece may be charged that much of its
//! predecessors' as well, and never more than its own duration.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What takes at least so long is charged by the thread's time.
const LONG_US: u64 = 1_000;
/// How old a reading of the thread's time may be when a piece begins.
const FRESH: Duration = Duration::from_millis(5);

thread_local! {
    /// When the thread's processor time was read last, and what it was in microseconds.
    static READ: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// Processor time of this thread in microseconds.
fn thread_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000 + nanos.unwrap_or_default() / 1_000
}

/// A piece of guest code begins on this thread.
pub(super) fn begin(now: Instant) {
    if READ.get().is_none_or(|(at, _)| now.saturating_duration_since(at) >= FRESH) {
        READ.set(Some((now, thread_us())));
    }
}

/// What a piece that has taken `wall_us` until now has used of the processor, in microseconds.
pub(super) fn used_us(wall_us: u64, now: Instant) -> u64 {
    if wall_us < LONG_US {
        return wall_us;
    }
    let cpu = thread_us();
    match READ.replace(Some((now, cpu))) {
        Some((_, before)) => wall_us.min(cpu.saturating_sub(before)),
        None => wall_us,
    }
}
