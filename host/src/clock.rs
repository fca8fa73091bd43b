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
    /// Ready when `until` has come; at once when it has passed. `now` is what this clock showed when
    /// that was decided: no sleep is longer than from there, also when the clock is set back before it
    /// or in it. Whoever is woken looks again.
    async fn sleep(&self, now: Timestamp, until: Timestamp);

    /// As [`Self::sleep`], and ready soon after `until` and not only some milliseconds later: for
    /// what others wait for. Costs some system calls more.
    async fn sleep_exactly(&self, now: Timestamp, until: Timestamp) {
        self.sleep(now, until).await;
    }

    /// As [`Self::sleep`], for so long from now on.
    async fn sleep_for(&self, time: Duration) {
        let now = self.now();
        self.sleep(now, now.after(time)).await;
    }
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

    async fn sleep(&self, now: Timestamp, until: Timestamp) {
        sleep_at_most(until.since(now), until, || self.now()).await;
    }

    #[cfg(target_os = "linux")]
    async fn sleep_exactly(&self, now: Timestamp, until: Timestamp) {
        self.sleep(now, Timestamp(until.0.saturating_sub(COARSE_MS))).await;
        // A clock that was set back meanwhile: whoever sleeps looks again.
        let now = self.now();
        let is_near = until.since(now).as_millis() <= u128::from(COARSE_MS);
        if is_near && now < until && exact::sleep_until(until).await.is_err() {
            self.sleep(now, until).await;
        }
    }
}

/// The runtime rounds up to whole milliseconds when it notes a timer, and again when it waits for it.
#[cfg(target_os = "linux")]
const COARSE_MS: u64 = 3;

/// Sleeps by a timer of the kernel's.
#[cfg(target_os = "linux")]
mod exact {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use sublane_core::Timestamp;
    use tokio::net::unix::pipe::Receiver;

    /// Ready at that instant of the machine's clock, or when that clock is set.
    pub(super) async fn sleep_until(at: Timestamp) -> std::io::Result<()> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let seconds = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
        let nanos = i64::try_from(at.0 % 1_000 * 1_000_000).expect("less than a second");
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: nanos },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &once)?;
        // It is no pipe, but is read as one; nothing else of the runtime's waits for a descriptor of
        // ours without `unsafe`.
        Receiver::from_owned_fd_unchecked(timer)?.readable().await
    }
}

/// The longest step of a sleep: so soon is a jump of the machine's clock noticed.
const STEP: Duration = Duration::from_secs(30);

/// Sleeps in steps, and for `longest` at most: loops that sleep for a second are not held up for an
/// hour by a clock that is set back.
async fn sleep_at_most(mut longest: Duration, until: Timestamp, now: impl Fn() -> Timestamp) {
    loop {
        let left = until.since(now()).min(longest);
        if left.is_zero() {
            return;
        }
        let step = left.min(STEP);
        #[expect(clippy::disallowed_methods, reason = "the one place that sleeps by the machine's clock")]
        tokio::time::sleep(step).await;
        longest -= step;
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

    /// Sets it back. Whoever sleeps is woken after the same time as without it.
    pub fn set_back(&self, by: Duration) {
        let mut clock = self.0.lock();
        let back = |at: Timestamp| Timestamp(at.0.saturating_sub(by.as_millis() as u64));
        clock.now = back(clock.now);
        let sleepers = std::mem::take(&mut clock.sleepers);
        clock.sleepers = sleepers.into_iter().map(|((at, n), sleeper)| ((back(at), n), sleeper)).collect();
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

    async fn sleep(&self, now: Timestamp, until: Timestamp) {
        let woken = {
            let mut clock = self.0.lock();
            let at = until.min(clock.now.after(until.since(now)));
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    /// How long a sleep of so many seconds takes on a clock that jumps by so many after the first look.
    async fn slept(seconds: u64, jump: i64) -> u64 {
        let begin = Instant::now();
        let looks = Cell::new(0);
        let now = || {
            looks.set(looks.get() + 1);
            let jumped = if looks.get() > 1 { jump } else { 0 };
            let millis = begin.elapsed().as_millis() as i64 + (1_000_000 + jumped) * 1_000;
            Timestamp(millis.unsigned_abs())
        };
        let asked = now();
        let until = asked.after(Duration::from_secs(seconds));
        sleep_at_most(until.since(asked), until, now).await;
        begin.elapsed().as_secs()
    }

    #[tokio::test]
    async fn an_exact_sleep_is_not_over_before_its_time() {
        let now = SystemClock.now();
        for millis in [0, 1, 2, 7] {
            let at = now.after(Duration::from_millis(millis));
            SystemClock.sleep_exactly(now, at).await;
            assert!(SystemClock.now() >= at, "{millis} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_before_a_sleep_makes_it_no_longer() {
        let second = Duration::from_secs(1);
        let clock = ManualClock::at(Timestamp(10_000_000));
        let now = clock.now();
        clock.set_back(900 * second);
        let mut sleep = std::pin::pin!(clock.sleep(now, now.after(second)));
        assert!(tokio::time::timeout(second, &mut sleep).await.is_err(), "it sleeps");
        clock.advance(second);
        sleep.await;

        let begin = Instant::now();
        let now = SystemClock.now();
        let ahead = now.after(900 * second);
        SystemClock.sleep(ahead, ahead.after(second)).await;
        assert_eq!(begin.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_makes_no_sleep_longer() {
        assert_eq!(slept(100, 0).await, 100);
        assert_eq!(slept(100, -3_600).await, 100, "it is set back");
        assert_eq!(slept(100, 60).await, 40, "it is set ahead");
        assert_eq!(slept(100, 3_600).await, 0);
    }
}
