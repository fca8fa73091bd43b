//! Time and chance, as the host sees them.
//!
//! The one place that reads the system's clock. Everything else is handed a
//! [`Clock`], so that tests can move time by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sublane_core::Timestamp;
use tokio::sync::oneshot;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Ready when `at` has come; at once when it has passed.
    async fn sleep_until(&self, at: Timestamp);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep_until(&self, at: Timestamp) {
        // In steps, so that a jump of the machine's clock is noticed.
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that sleeps by the machine's clock"
            )]
            tokio::time::sleep(left.min(Duration::from_secs(30))).await;
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

struct Manual {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    count: u64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual { now, sleepers: BTreeMap::new(), count: 0 })))
    }

    /// Moves it on and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        let mut clock = self.0.lock();
        clock.now = clock.now.after(by);
        let later = (Timestamp(clock.now.0.saturating_add(1)), 0);
        let rest = clock.sleepers.split_off(&later);
        for (_, sleeper) in std::mem::replace(&mut clock.sleepers, rest) {
            // Whoever does not sleep any more has dropped its end.
            let _ = sleeper.send(());
        }
    }

    /// The earliest instant that somebody sleeps until.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut clock = self.0.lock();
        clock.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        clock.sleepers.keys().next().map(|(at, _)| *at)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    async fn sleep_until(&self, at: Timestamp) {
        let woken = {
            let mut clock = self.0.lock();
            if at <= clock.now {
                return;
            }
            let (wake, woken) = oneshot::channel();
            clock.count += 1;
            let key = (at, clock.count);
            clock.sleepers.insert(key, wake);
            woken
        };
        // The sender lives in the clock, which `self` keeps alive.
        let _ = woken.await;
    }
}
