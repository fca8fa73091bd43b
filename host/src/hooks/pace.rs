//! How many calls are looked at: of all hooks, and of each.
//!
//! Time comes in as a value. What is remembered of a hook is bounded, and losing it costs nothing.

use std::collections::HashMap;

use parking_lot::Mutex;
use sublane_core::{HookId, Timestamp};

/// Calls at once, and in a second, of all together.
const ALL: (u32, u32) = (400, 200);
/// Calls at once, and in a second, of one hook.
const EACH: (u32, u32) = (20, 1);
/// Hooks of which it is remembered how often they were called.
const MAX_REMEMBERED: usize = 4_096;

/// What is left of a rate.
struct Bucket {
    /// Thousandths of a call.
    left: u64,
    at: Timestamp,
}

impl Bucket {
    fn full(rate: (u32, u32), at: Timestamp) -> Self {
        Self { left: u64::from(rate.0) * 1_000, at }
    }

    fn take(&mut self, rate: (u32, u32), now: Timestamp) -> bool {
        // A clock that was set back gives nothing, and goes on from there.
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let most = u64::from(rate.0) * 1_000;
        self.left = self.left.saturating_add(passed.saturating_mul(u64::from(rate.1))).min(most);
        self.at = now;
        let is_there = self.left >= 1_000;
        self.left -= if is_there { 1_000 } else { 0 };
        is_there
    }
}

/// The rates of a door.
#[derive(Default)]
pub(super) struct Pace {
    all: Mutex<Option<Bucket>>,
    each: Mutex<HashMap<HookId, Bucket>>,
}

impl Pace {
    /// Whether one more call may be looked at.
    pub(super) fn any(&self, now: Timestamp) -> bool {
        self.all.lock().get_or_insert_with(|| Bucket::full(ALL, now)).take(ALL, now)
    }

    /// Whether one more call of this hook may be looked at.
    pub(super) fn of(&self, hook: HookId, now: Timestamp) -> bool {
        let mut each = self.each.lock();
        if each.len() >= MAX_REMEMBERED && !each.contains_key(&hook) {
            each.clear();
        }
        each.entry(hook).or_insert_with(|| Bucket::full(EACH, now)).take(EACH, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_at_the_rate_and_one_hook_takes_nothing_from_another() {
        let (pace, now) = (Pace::default(), Timestamp(1_000_000));
        let taken = |hook: u8, now| (0..100).filter(|_| pace.of(HookId([hook; 16]), now)).count();
        assert_eq!((taken(1, now), taken(1, now), taken(2, now)), (20, 0, 20));
        assert_eq!(taken(1, Timestamp(now.0 + 3_500)), 3);
        assert_eq!(taken(1, Timestamp(now.0 + 4_000)), 1, "half a call was left");
        assert_eq!(taken(1, Timestamp(5)), 0, "a clock that is set back gives nothing");
        assert_eq!(taken(1, Timestamp(1_005)), 1);
        assert_eq!((0..1_000).filter(|_| pace.any(now)).count(), 400);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let pace = Pace::default();
        for n in 0..10_000_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            assert!(pace.of(HookId(id), Timestamp(0)));
        }
        assert!(pace.each.lock().len() <= MAX_REMEMBERED);
    }
}
