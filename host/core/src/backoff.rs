//! Delays that grow, up to a ceiling, with some chance in them.
//!
//! Owns the arithmetic. Pure: what stands for chance comes in as a value, so that a delay is the
//! same whenever it is asked for.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The shortest interval, and the longest of any duration.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// See [`MIN_INTERVAL`].
pub const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
/// The largest factor, in per cent.
pub const MAX_FACTOR: u32 = 1_000;
/// The largest jitter, in per cent.
pub const MAX_JITTER: u32 = 50;

/// Delays in milliseconds, shares in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first one.
    pub interval_ms: u64,
    /// What each is multiplied with for the next: 100 is always the same.
    pub factor: u32,
    /// The longest one, jitter aside.
    pub ceiling_ms: u64,
    /// How far one may be off.
    pub jitter: u32,
}

impl Backoff {
    /// Delay number `number`, from 1. `of`, whose delay it is, and the number decide about the jitter.
    #[must_use]
    pub fn delay(self, number: u32, of: &[u8]) -> Duration {
        let mut delay = self.interval_ms.min(self.ceiling_ms);
        for _ in 1..number {
            if self.factor <= 100 || delay >= self.ceiling_ms {
                break;
            }
            delay = (delay.saturating_mul(u64::from(self.factor)) / 100).min(self.ceiling_ms);
        }
        let span = delay.saturating_mul(u64::from(self.jitter)) / 100;
        let drawn = xxh3_64_with_seed(of, u64::from(number)) % (2 * span + 1);
        Duration::from_millis(delay - span + drawn)
    }
}
