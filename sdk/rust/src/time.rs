//! Between the contract's milliseconds and the standard library's times.
//!
//! Owns the rounding: a duration is never made shorter.

use std::time::{Duration, SystemTime};

/// Whole milliseconds, rounded up; the longest there is where they do not fit.
pub(crate) fn millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// Whole milliseconds since 1970-01-01T00:00:00Z; none before that.
pub(crate) fn since_epoch(instant: SystemTime) -> u64 {
    millis(instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The instant so many milliseconds after 1970-01-01T00:00:00Z.
pub(crate) fn instant(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

/// Milliseconds since 1970-01-01T00:00:00Z, rounded up; 0 for what was before.
pub(crate) fn instant_ms(instant: SystemTime) -> u64 {
    instant.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_never_made_shorter() {
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
