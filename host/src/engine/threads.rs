//! The threads that guests run on, apart from the host's own IO.
//!
//! Each can wait for sockets and timers itself: a guest's own small request is made where the guest is.
//! Two sets. A *fast* thread runs its attempts by turns and keeps what they
//! spawn, so that a spawn and its result cross no thread; what comes from elsewhere
//! goes to the one with the fewest, and so does whoever would make one longer than another by
//! two: else four could share a thread while a fifth has one for itself. An attempt that has
//! computed for a whole tick moves, between two polls, to the *slow* threads,
//! which have low priority and share their work; when it parks it comes back.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Niceness of the threads for guests that compute for long.
pub const LOW_PRIORITY_NICE: i32 = 10;

thread_local! {
    /// Which fast thread this is, and of which set.
    static FAST: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Both sets of threads.
pub struct GuestThreads {
    fast: Arc<[FastThread]>,
    next: AtomicUsize,
    id: usize,
    slow: Option<Runtime>,
    slow_handle: Handle,
    stop: watch::Sender<bool>,
}

struct FastThread {
    handle: Handle,
    /// Whether it executes a guest now.
    is_busy: AtomicBool,
    /// Attempts on it that do not rest.
    load: AtomicUsize,
}

/// Where an attempt executes, for its future, which moves, and for whoever knows what it does.
/// The default is one without threads.
#[derive(Default)]
pub struct Seat {
    fast: Arc<[FastThread]>,
    /// Its fast thread.
    thread: AtomicUsize,
    is_slow: AtomicBool,
    /// Whether its thread counts it.
    is_counted: AtomicBool,
}

impl Seat {
    fn on(fast: Arc<[FastThread]>, thread: usize) -> Arc<Self> {
        let (is_slow, is_counted) = Default::default();
        let seat = Self { fast, thread: thread.into(), is_slow, is_counted };
        seat.count();
        Arc::new(seat)
    }

    fn count(&self) {
        if let Some(thread) = self.fast.get(self.thread.load(Relaxed)) {
            thread.load.fetch_add(1, Relaxed);
            self.is_counted.store(true, Relaxed);
        }
    }

    fn leave(&self) {
        if self.is_counted.swap(false, Relaxed) {
            self.fast[self.thread.load(Relaxed)].load.fetch_sub(1, Relaxed);
        }
    }

    /// The index of its fast thread; none while it should be on the slow ones.
    fn place(&self) -> Option<usize> {
        (!self.is_slow()).then(|| self.thread.load(Relaxed))
    }

    /// Whether it should be on the slow threads.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.is_slow.load(Relaxed)
    }

    /// It computes for long: to the slow threads.
    pub fn slow_down(&self) {
        if !self.is_slow.swap(true, Relaxed) {
            self.leave();
        }
    }

    /// It parks.
    pub fn rest(&self) {
        self.is_slow.store(false, Relaxed);
        self.leave();
    }

    /// It parks no more.
    pub fn go_on(&self) {
        if !self.is_counted.load(Relaxed) && !self.fast.is_empty() {
            let thread = keeps(&self.fast, self.thread.load(Relaxed), 0);
            self.thread.store(thread, Relaxed);
            self.count();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("place", &self.place()).finish_non_exhaustive()
    }
}

/// The thread with the fewest attempts, from `turn` on; of equals one that executes none now.
fn least(fast: &[FastThread], turn: usize) -> usize {
    let from_turn = (0..fast.len()).map(|index| (turn + index) % fast.len());
    let load = |index: &usize| (fast[*index].load.load(Relaxed), fast[*index].is_busy.load(Relaxed));
    from_turn.min_by_key(load).unwrap_or(0)
}

/// This thread, unless with one more it would have more than one that another has not.
fn keeps(fast: &[FastThread], own: usize, turn: usize) -> usize {
    let load = |index: usize| fast[index].load.load(Relaxed);
    // With one it cannot have two more than any: nearly every spawn and wake looks no further.
    if load(own) < 2 {
        return own;
    }
    let other = least(fast, turn);
    if load(own) > load(other) + 1 { other } else { own }
}

impl GuestThreads {
    /// Starts `threads` threads of each set.
    ///
    /// # Errors
    /// When the machine refuses the threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        static SETS: AtomicUsize = AtomicUsize::new(0);
        let id = SETS.fetch_add(1, Relaxed);
        let (stop, stopped) = watch::channel(false);
        let fast: Result<Vec<_>, _> =
            (0..threads.max(1)).map(|index| fast_thread(id, index, stopped.clone())).collect();
        let slow = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("guest-slow")
            .enable_all()
            .on_thread_start(|| {
                // On Linux the niceness is the thread's own. Refused: it runs at normal priority.
                let _ = rustix::process::nice(LOW_PRIORITY_NICE);
            })
            .build()?;
        let slow_handle = slow.handle().clone();
        Ok(Self { fast: fast?.into(), next: AtomicUsize::new(0), id, slow: Some(slow), slow_handle, stop })
    }

    /// Where a new guest starts: on the thread that spawns it, unless another has fewer by two; what
    /// comes from elsewhere on the one with the fewest.
    #[must_use]
    pub fn fast(&self) -> &Handle {
        &self.fast[self.place()].handle
    }

    fn place(&self) -> usize {
        match FAST.get() {
            Some((set, own)) if set == self.id => keeps(&self.fast, own, 0),
            _ => least(&self.fast, self.next.fetch_add(1, Relaxed)),
        }
    }

    /// A place for an attempt that begins.
    #[must_use]
    pub fn seat(&self) -> Arc<Seat> {
        Seat::on(self.fast.clone(), self.place())
    }

    /// Runs an attempt to its end where its seat is, wherever that moves.
    pub fn run(&self, attempt: impl Future<Output = ()> + Send + 'static, seat: Arc<Seat>) {
        let place = seat.thread.load(Relaxed);
        let Some(thread) = seat.fast.get(place) else { return };
        let handle = thread.handle.clone();
        handle.spawn(Guest {
            attempt: Some(Box::pin(attempt)),
            seat,
            place: Some(place),
            slow_threads: self.slow_handle.clone(),
        });
    }
}

/// Starts one fast thread; its runtime lives until the set is stopped.
fn fast_thread(set: usize, index: usize, mut stopped: watch::Receiver<bool>) -> std::io::Result<FastThread> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("guest-{index}")).spawn(move || {
        FAST.set(Some((set, index)));
        // Stopped by a word, or by the set being dropped.
        let _ = runtime.block_on(stopped.wait_for(|stopped| *stopped));
        runtime.shutdown_background();
    })?;
    Ok(FastThread { handle, is_busy: AtomicBool::new(false), load: AtomicUsize::new(0) })
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // Guests are traps away from ending at any await; nobody waits for them here.
        self.stop.send_replace(true);
        if let Some(slow) = self.slow.take() {
            slow.shutdown_background();
        }
    }
}

/// An attempt where it belongs: where its seat is.
struct Guest {
    attempt: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    seat: Arc<Seat>,
    /// The index of the fast thread that it is on; none on the slow ones.
    place: Option<usize>,
    slow_threads: Handle,
}

impl Future for Guest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { attempt: Some(attempt), seat, place, .. } = &mut *self else { return Poll::Ready(()) };
        let is_busy = place.map(|place| &seat.fast[place].is_busy);
        if let Some(is_busy) = is_busy {
            is_busy.store(true, Relaxed);
        }
        let polled = attempt.as_mut().poll(cx);
        if let Some(is_busy) = is_busy {
            is_busy.store(false, Relaxed);
        }
        if polled.is_ready() {
            return Poll::Ready(());
        }
        let place = self.seat.place();
        if place == self.place {
            return Poll::Pending;
        }
        let moved = Self {
            attempt: self.attempt.take(),
            seat: self.seat.clone(),
            place,
            slow_threads: self.slow_threads.clone(),
        };
        let there = place.map_or(&self.slow_threads, |place| &self.seat.fast[place].handle);
        there.spawn(moved);
        Poll::Ready(())
    }
}

/// How many threads each set has on this machine: one for each core.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_guest_moves_to_the_slow_threads_and_back() {
        let threads = GuestThreads::start(1).expect("the machine has threads");
        let seat = threads.seat();
        let (seen, been) = tokio::sync::oneshot::channel();
        let its = seat.clone();
        let attempt = async move {
            let mut names = Vec::new();
            let here = || {
                let nice = rustix::process::getpriority_process(None).expect("the thread's own");
                std::thread::current().name().map(|name| (name.to_owned(), nice))
            };
            for is_slow in [true, false, false] {
                names.push(here());
                if is_slow {
                    its.slow_down();
                } else {
                    its.rest();
                }
                tokio::task::yield_now().await;
            }
            names.push(here());
            // Who waits for it is there until it is told.
            let _ = seen.send(names);
        };
        threads.run(attempt, seat);
        let seen: Vec<_> = been.await.expect("it ends").into_iter().flatten().collect();
        let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["guest-0", "guest-slow", "guest-0", "guest-0"]);
        let normal = seen[0].1;
        let nice: Vec<i32> = seen.iter().map(|(_, nice)| *nice).collect();
        let low = (normal + LOW_PRIORITY_NICE).min(19);
        assert_eq!(nice, [normal, low, normal, normal], "what is slow has low priority");
    }

    #[tokio::test]
    async fn what_comes_from_elsewhere_goes_where_no_guest_executes() {
        let threads = GuestThreads::start(2).expect("the machine has threads");
        let name = || std::thread::current().name().map(str::to_owned);
        let (entered, is_in) = tokio::sync::oneshot::channel();
        let (leave, left) = std::sync::mpsc::channel::<()>();
        let computes = async move {
            let _ = entered.send(name());
            // Until the test is done with it, or gone.
            let _ = left.recv();
        };
        threads.run(computes, threads.seat());
        let busy = is_in.await.expect("it began");
        for _ in 0..4 {
            // The one before has said where it is, and is perhaps not yet gone from there.
            while threads.fast.iter().all(|thread| thread.is_busy.load(Relaxed)) {
                tokio::task::yield_now().await;
            }
            let (seen, been) = tokio::sync::oneshot::channel();
            threads.run(async move { drop(seen.send(name())) }, threads.seat());
            assert_ne!(been.await.expect("it does not wait for the one that computes"), busy);
        }
        drop(leave);
    }

    #[test]
    fn no_thread_has_two_more_than_another_for_long() {
        let threads = GuestThreads::start(2).expect("the machine has threads");
        let loads = || threads.fast.iter().map(|thread| thread.load.load(Relaxed)).collect::<Vec<_>>();
        FAST.set(Some((threads.id, 0)));
        let alone = threads.seat();
        let mut spawned = vec![threads.seat()];
        assert_eq!(loads(), [2, 0], "what is spawned stays on its thread");
        spawned.extend((0..4).map(|_| threads.seat()));
        FAST.set(None);
        assert_eq!(loads(), [4, 2]);
        spawned.truncate(1);
        alone.rest();
        assert_eq!(loads(), [1, 0]);
        alone.go_on();
        assert_eq!((alone.place(), loads()), (Some(0), vec![2, 0]), "one more is no reason to move");
        alone.rest();
        let third = Seat::on(threads.fast.clone(), 0);
        alone.go_on();
        assert_eq!((alone.place(), loads()), (Some(1), vec![2, 1]));
        alone.slow_down();
        assert_eq!((alone.place(), loads()), (None, vec![2, 0]), "the fast ones count it no more");
        drop((alone, spawned, third));
        assert_eq!(loads(), [0, 0]);
    }
}
