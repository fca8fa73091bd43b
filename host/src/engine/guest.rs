//! One attempt's guest code, as a future that can be stopped and is timed.
//!
//! [`Meter`] is what the epoch callback, the imports and whoever kills the
//! attempt share. [`Metered`] charges each poll of guest code to it, and
//! [`Meter::or_stop`] ends a wait as soon as somebody has stopped the attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use sublane_core::Purse;

use super::{TICK_MS, cpu};

use super::threads::Seat;
use super::ticker::Ticker;

/// Why an attempt was stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stop {
    /// Its claim is gone: the run was ended by somebody else.
    Killed = 1,
    /// Its purse has no guest CPU left.
    OutOfCpu = 2,
    /// Its purse has no host calls left.
    OutOfCalls = 4,
    /// Its wait is decided, and its instance is to go: whoever has a slot needs the room, or nobody told
    /// it. The run goes on in another attempt.
    MakesRoom = 5,
    /// The host is stopping: the run goes on with the next one.
    Shutdown = 3,
}

/// Counts an attempt's guest CPU and host calls, and carries the word to stop.
#[derive(Debug)]
pub struct Meter {
    stop: AtomicU8,
    waker: AtomicWaker,
    /// A write is under way whose effects only the attempt can pass on: it is not stopped before.
    is_writing: AtomicBool,
    used_us: AtomicU64,
    reported_us: AtomicU64,
    /// Guest CPU that it may use in all; less when some of the purse was split off.
    limit_us: AtomicU64,
    /// Host calls so far, and those that a write has charged.
    calls: AtomicU64,
    reported_calls: AtomicU64,
    /// Host calls that it may make in all.
    limit_calls: AtomicU64,
    /// What the limits began with.
    full: Purse,
    /// Microseconds since `origin` at which the current poll began; 0 = not being polled.
    entered_us: AtomicU64,
    /// Guest CPU of the current poll.
    polled_us: AtomicU64,
    seat: Arc<Seat>,
    free: AtomicBool,
    origin: Instant,
}

impl Meter {
    /// A meter for an attempt of a run with this purse, of which it counts guest CPU and host calls.
    /// Its seat is told when it has computed for a whole tick, when it parks and when it goes on.
    #[must_use]
    pub fn new(purse: &Purse, seat: Arc<Seat>) -> Arc<Self> {
        Arc::new(Self {
            stop: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            is_writing: AtomicBool::new(false),
            used_us: AtomicU64::new(0),
            reported_us: AtomicU64::new(0),
            limit_us: AtomicU64::new(purse.cpu_us),
            calls: AtomicU64::new(0),
            reported_calls: AtomicU64::new(0),
            limit_calls: AtomicU64::new(purse.host_calls),
            full: *purse,
            entered_us: AtomicU64::new(0),
            polled_us: AtomicU64::new(0),
            seat,
            free: AtomicBool::new(false),
            origin: now(),
        })
    }

    /// Stops the attempt. The first word stands, unless it is that the claim is gone: then nothing
    /// else that was said of the attempt matters.
    pub fn stop(&self, why: Stop) {
        if why == Stop::Killed {
            self.stop.store(why as u8, Ordering::SeqCst);
        } else {
            let _ = self.stop.compare_exchange(0, why as u8, Ordering::SeqCst, Ordering::SeqCst);
        }
        self.waker.wake();
    }

    /// Why it was stopped, if it was.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            1 => Some(Stop::Killed),
            2 => Some(Stop::OutOfCpu),
            3 => Some(Stop::Shutdown),
            4 => Some(Stop::OutOfCalls),
            5 => Some(Stop::MakesRoom),
            _ => None,
        }
    }

    /// While a journal is replayed nothing is charged to the purse.
    pub fn set_free(&self, free: bool) {
        self.settle();
        self.free.store(free, Ordering::Relaxed);
    }

    /// The epoch's tick: whether the guest must stop. One that has computed for a
    /// whole tick without asking the host for anything that takes time is slow.
    pub fn tick(&self) -> Option<Stop> {
        self.settle();
        if self.polled_us.load(Ordering::Relaxed) >= TICK_MS * 1_000 {
            self.seat.slow_down();
        }
        if self.used_us.load(Ordering::Relaxed) >= self.limit_us.load(Ordering::Relaxed) {
            self.stop(Stop::OutOfCpu);
        }
        self.stopped()
    }

    /// The guest calls a host function. One too many stops the attempt.
    pub fn call(&self) {
        if self.free.load(Ordering::Relaxed) {
            return;
        }
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        if before >= self.limit_calls.load(Ordering::Relaxed) {
            self.stop(Stop::OutOfCalls);
        }
    }

    /// It parks: whatever it computed for, when it goes on it is as fast as the others.
    pub fn rest(&self) {
        self.seat.rest();
    }

    /// What it parked for is there.
    pub fn go_on(&self) {
        self.seat.go_on();
    }

    /// Whether less than half of what it began with is left: children may have given back some.
    #[must_use]
    pub fn is_low(&self) -> bool {
        let is_low = |limit: &AtomicU64, used: &AtomicU64, full: u64| {
            limit.load(Ordering::Relaxed).saturating_sub(used.load(Ordering::Relaxed)) < full / 2
        };
        is_low(&self.limit_us, &self.used_us, self.full.cpu_us)
            || is_low(&self.limit_calls, &self.calls, self.full.host_calls)
    }

    /// What the purse holds now, after all that was taken to be charged and what children got and
    /// gave back.
    pub fn refill(&self, purse: &Purse) {
        let refill = |limit: &AtomicU64, reported: &AtomicU64, amount: u64| {
            limit.store(reported.load(Ordering::Relaxed).saturating_add(amount), Ordering::Relaxed);
        };
        refill(&self.limit_us, &self.reported_us, purse.cpu_us);
        refill(&self.limit_calls, &self.reported_calls, purse.host_calls);
    }

    /// Guest CPU and host calls since the last such call, for the next write to charge.
    pub fn take_spent(&self) -> Purse {
        self.settle();
        let take = |used: &AtomicU64, reported: &AtomicU64| {
            let used = used.load(Ordering::Relaxed);
            used - reported.swap(used, Ordering::Relaxed).min(used)
        };
        Purse {
            cpu_us: take(&self.used_us, &self.reported_us),
            host_calls: take(&self.calls, &self.reported_calls),
            ..Purse::default()
        }
    }

    /// The write that was to charge this did not happen: the next one charges it.
    pub fn put_back(&self, spent: &Purse) {
        self.reported_us.fetch_sub(spent.cpu_us, Ordering::Relaxed);
        self.reported_calls.fetch_sub(spent.host_calls, Ordering::Relaxed);
    }

    /// Guest CPU of the attempt so far.
    #[must_use]
    pub fn used(&self) -> Duration {
        Duration::from_micros(self.used_us.load(Ordering::Relaxed))
    }

    fn since_origin_us(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    /// Charges what the current poll has used until now.
    fn settle(&self) {
        let entered = self.entered_us.load(Ordering::Relaxed);
        if entered != 0 {
            let now = now();
            let now_us = self.since_origin_us(now);
            self.entered_us.store(now_us, Ordering::Relaxed);
            let used = cpu::used_us(now_us.saturating_sub(entered), now);
            self.polled_us.fetch_add(used, Ordering::Relaxed);
            if !self.free.load(Ordering::Relaxed) {
                self.used_us.fetch_add(used, Ordering::Relaxed);
            }
        }
    }

    fn enter(&self) {
        let now = now();
        cpu::begin(now);
        self.entered_us.store(self.since_origin_us(now), Ordering::Relaxed);
        self.polled_us.store(0, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.settle();
        self.entered_us.store(0, Ordering::Relaxed);
    }
}

/// Measures guest CPU; no decision that a replay repeats depends on it.
#[expect(clippy::disallowed_methods, reason = "what is computed is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

/// A future that executes guest code: each poll is charged to the meter and
/// keeps the epochs ticking.
pub struct Metered<'m, F> {
    work: Pin<&'m mut F>,
    meter: &'m Meter,
    ticker: &'m Ticker,
}

impl<'m, F: Future> Metered<'m, F> {
    /// Charges the polls of `work` to `meter`.
    pub fn new(work: Pin<&'m mut F>, meter: &'m Meter, ticker: &'m Ticker) -> Self {
        Self { work, meter, ticker }
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _executing = self.ticker.enter();
        self.meter.enter();
        let polled = self.work.as_mut().poll(cx);
        self.meter.leave();
        polled
    }
}

/// Waits for `future`, unless the attempt is stopped first.
pub struct Stoppable<'m, F> {
    future: F,
    meter: &'m Meter,
    ends: fn(Stop) -> bool,
}

impl Meter {
    /// Waits for `future`, unless the attempt is stopped first.
    pub fn or_stop<F: Future + Unpin>(&self, future: F) -> Stoppable<'_, F> {
        Stoppable { future, meter: self, ends: |_| true }
    }

    /// Waits for `future`, unless the attempt's claim is gone first: for what comes after the guest.
    pub fn or_killed<F: Future + Unpin>(&self, future: F) -> Stoppable<'_, F> {
        Stoppable { future, meter: self, ends: |stop| stop == Stop::Killed }
    }
}

/// Until this is dropped, whoever is stopped goes on: what was written happens, whether or not
/// anybody waits for the answer, and the answer says what else has to be done.
pub struct Writing<'m>(&'m Meter);

impl Meter {
    /// The attempt writes something that has effects, and passes them on before this is dropped.
    #[must_use]
    pub fn writing(&self) -> Writing<'_> {
        self.is_writing.store(true, Ordering::Relaxed);
        Writing(self)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.is_writing.store(false, Ordering::Relaxed);
    }
}

impl<F> Stoppable<'_, F> {
    fn stopped(&self) -> Option<Stop> {
        let is_writing = self.meter.is_writing.load(Ordering::Relaxed);
        self.meter.stopped().filter(|stop| !is_writing && (self.ends)(*stop))
    }
}

impl<F: Future + Unpin> Future for Stoppable<'_, F> {
    type Output = Result<F::Output, Stop>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.meter.waker.register(cx.waker());
        if let Some(stop) = self.stopped() {
            return Poll::Ready(Err(stop));
        }
        match Pin::new(&mut self.future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            // It may have been stopped while it wrote, and now writes no more.
            Poll::Pending => self.stopped().map_or(Poll::Pending, |stop| Poll::Ready(Err(stop))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Purse = Purse {
        cpu_us: u64::MAX,
        spawns: 0,
        artifact_bytes: 0,
        host_calls: u64::MAX,
        requests: 0,
        bytes_out: 0,
        bytes_in: 0,
        tokens: 0,
        money_micros: 0,
    };

    /// Is polled until the clock has moved.
    fn poll(meter: &Meter) {
        meter.enter();
        let begin = meter.since_origin_us(now());
        while meter.since_origin_us(now()) == begin {
            std::hint::spin_loop();
        }
        meter.leave();
    }

    #[test]
    fn what_is_replayed_is_free() {
        let meter = Meter::new(&FULL, Arc::default());
        meter.set_free(true);
        poll(&meter);
        meter.call();
        assert_eq!((meter.used(), meter.take_spent()), (Duration::ZERO, Purse::default()));
        meter.set_free(false);
        poll(&meter);
        meter.call();
        let used = meter.used();
        assert!(!used.is_zero());
        let spent = meter.take_spent();
        assert_eq!((Duration::from_micros(spent.cpu_us), spent.host_calls), (used, 1));
        assert_eq!(meter.take_spent(), Purse::default(), "charged once");
        meter.put_back(&Purse { cpu_us: 1, host_calls: 1, ..Purse::default() });
        let spent = meter.take_spent();
        assert_eq!(
            (spent.cpu_us, spent.host_calls),
            (1, 1),
            "what was not written is charged by the next write"
        );
    }

    #[test]
    fn whoever_computes_for_a_whole_tick_is_slow_until_it_rests() {
        let seat = Arc::<Seat>::default();
        let meter = Meter::new(&FULL, seat.clone());
        meter.enter();
        meter.tick();
        assert!(!seat.is_slow(), "it has only begun");
        let mut count = 0_u64;
        while !seat.is_slow() {
            count = std::hint::black_box(count.wrapping_add(1));
            if count.is_multiple_of(1_000) {
                meter.tick();
            }
        }
        assert!(meter.used() >= Duration::from_millis(TICK_MS));
        meter.leave();
        meter.rest();
        assert!(!seat.is_slow());
    }

    #[test]
    fn one_host_call_too_many_stops_the_attempt() {
        let meter = Meter::new(&Purse { host_calls: 3, ..FULL }, Arc::default());
        // A child got one.
        meter.refill(&Purse { host_calls: 2, ..FULL });
        meter.call();
        assert!(!meter.is_low());
        meter.call();
        assert_eq!((meter.is_low(), meter.stopped()), (true, None));
        meter.take_spent();
        meter.refill(&Purse { host_calls: 1, ..FULL });
        meter.call();
        assert_eq!(meter.stopped(), None, "a child gave one back");
        meter.call();
        assert_eq!(meter.stopped(), Some(Stop::OutOfCalls));
    }

    #[test]
    fn that_the_claim_is_gone_stands_above_any_other_word() {
        use futures_util::FutureExt as _;
        let meter = Meter::new(&FULL, Arc::default());
        let ends = |killed: bool| {
            let never = std::future::pending::<()>();
            let ended = if killed { meter.or_killed(never) } else { meter.or_stop(never) };
            ended.now_or_never().map(|ended| ended.expect_err("it never comes"))
        };
        assert_eq!((ends(false), ends(true)), (None, None));
        meter.stop(Stop::OutOfCpu);
        meter.stop(Stop::Shutdown);
        assert_eq!((ends(false), ends(true)), (Some(Stop::OutOfCpu), None), "the first word stands");
        meter.stop(Stop::Killed);
        meter.stop(Stop::Shutdown);
        assert_eq!((ends(false), ends(true)), (Some(Stop::Killed), Some(Stop::Killed)));
    }

    #[test]
    fn a_guest_is_not_charged_while_its_thread_is_set_aside() {
        let meter = Meter::new(&FULL, Arc::default());
        let begin = now();
        meter.enter();
        // Another thread has the processor meanwhile.
        let busy = || while begin.elapsed() < Duration::from_millis(50) {};
        std::thread::scope(|scope| {
            scope.spawn(busy);
        });
        meter.leave();
        assert!(meter.used() < Duration::from_millis(25), "{:?} of at least 50 ms", meter.used());
    }
}
