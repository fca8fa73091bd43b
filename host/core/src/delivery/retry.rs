//! When a delivery is tried again, when it is given up, and what else waits with it.
//!
//! By time and never by count: a receiver that is slow or asks for patience
//! uses nothing up. Pure; chance and the clock come in as values.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a delivery is tried, unless its channel says otherwise.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(3 * 86_400);
/// The longest time that a receiver may ask for.
pub const MAX_WISH: Duration = Duration::from_secs(86_400);
/// The shortest and the longest wait between two attempts, before chance.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(6 * 3_600));

/// Whether deliveries to a destination may overtake each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// They may: one that is refused for a time holds up no other.
    #[default]
    Any,
    /// None is tried before every earlier one is settled, be it as dead.
    Strict,
}

/// How an attempt is settled: what its destination asks for, and chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SettleRule {
    /// How long a delivery is tried.
    pub window: Duration,
    /// Whether others wait for it.
    pub order: Order,
    /// In 0..=1: spreads the wait by a fifth.
    pub jitter: f64,
}

impl Default for SettleRule {
    /// The default window, any order, no chance.
    fn default() -> Self {
        Self { window: DEFAULT_WINDOW, order: Order::Any, jitter: 0.5 }
    }
}

/// Nothing is sent to a destination: it asked for patience, or for no more at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until then; `None`: until an operator has something sent there again.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub note: String,
}

/// When to try again what is tried `since` then, or `None` to give up.
///
/// The wait is as long as the time that has passed (so that it doubles), from 5 s
/// to 6 h; the last attempt is made when the window ends. What the receiver asks
/// for, up to [`MAX_WISH`], is kept even beyond that.
#[must_use]
pub fn next_attempt(
    since: Timestamp,
    now: Timestamp,
    retry_after: Option<Duration>,
    rule: &SettleRule,
) -> Option<Timestamp> {
    let passed = now.since(since);
    let left = rule.window.checked_sub(passed).filter(|left| !left.is_zero())?;
    let wait = passed.clamp(WAIT.0, WAIT.1).mul_f64(0.9 + 0.2 * rule.jitter.clamp(0.0, 1.0)).min(left);
    Some(now.after(wait.max(retry_after.unwrap_or_default().min(MAX_WISH))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SettleRule = SettleRule { window: DEFAULT_WINDOW, order: Order::Any, jitter: 0.5 };

    fn seconds(since: u64, now: u64, wish: Option<u64>) -> Option<u64> {
        let at = |seconds| Timestamp(1_000 * seconds);
        let next = next_attempt(at(since), at(now), wish.map(Duration::from_secs), &RULE)?;
        Some(next.since(at(now)).as_secs())
    }

    #[test]
    fn the_wait_doubles_the_time_that_has_passed() {
        assert_eq!(seconds(100, 100, None), Some(5));
        assert_eq!(seconds(100, 105, None), Some(5));
        assert_eq!(seconds(100, 110, None), Some(10));
        assert_eq!(seconds(100, 3_700, None), Some(3_600));
        assert_eq!(seconds(0, 100_000, None), Some(21_600));
        assert_eq!(seconds(100, 40, None), Some(5), "a clock that was set back");
    }

    #[test]
    fn the_last_attempt_is_made_when_the_window_ends() {
        let window = RULE.window.as_secs();
        assert_eq!(seconds(0, window - 60, None), Some(60));
        assert_eq!(seconds(0, window, None), None);
        assert_eq!(seconds(0, 10 * window, Some(60)), None);
    }

    #[test]
    fn an_outage_of_any_length_is_looked_at_some_dozen_times() {
        let mut now = Timestamp(0);
        let mut attempts = 1;
        while let Some(next) = next_attempt(Timestamp(0), now, None, &RULE) {
            assert!(next > now);
            (now, attempts) = (next, attempts + 1);
        }
        assert_eq!((now.since(Timestamp(0)), attempts), (RULE.window, 26));
    }

    #[test]
    fn the_receivers_wish_is_a_lower_bound_of_at_most_a_day() {
        assert_eq!(seconds(0, 0, Some(60)), Some(60));
        assert_eq!(seconds(0, 0, Some(1)), Some(5));
        assert_eq!(seconds(0, 0, Some(1_000_000)), Some(86_400));
        let end = RULE.window.as_secs() - 10;
        assert_eq!(seconds(0, end, Some(60)), Some(60), "it asked, so it is asked once more");
    }

    #[test]
    fn chance_spreads_the_wait_by_a_fifth() {
        let wait =
            |jitter| next_attempt(Timestamp(0), Timestamp(100_000), None, &SettleRule { jitter, ..RULE });
        assert_eq!((wait(0.0), wait(1.0)), (Some(Timestamp(190_000)), Some(Timestamp(210_000))));
    }
}
