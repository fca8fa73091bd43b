//! The threads that guests run on, apart from the host's own IO.
//!
//! Each can wait for sockets and timers itself: a guest's own small request is made where the guest is.
//! Two sets. A *fast* thread runs its attempts by turns and keeps what they
//! spawn, so that a spawn and its result cross no thread; what comes from elsewhere
//! goes to one that executes no guest just then. An attempt that has
//! computed for a whole tick moves, between two polls, to the *slow* threads,
//! which have low priority and share their work; when it parks it comes back.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    fast: Vec<Arc<FastThread>>,
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
}

impl GuestThreads {
    /// Starts `threads` threads of each set.
    ///
    /// # Errors
    /// When the machine refuses the threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        static SETS: AtomicUsize = AtomicUsize::new(0);
        let id = SETS.fetch_add(1, Ordering::Relaxed);
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
        Ok(Self { fast: fast?, next: AtomicUsize::new(0), id, slow: Some(slow), slow_handle, stop })
    }

    /// Where a new guest starts: on the thread that spawns it, or on the next in turn that is not busy.
    /// When all are, on the next in turn.
    #[must_use]
    pub fn fast(&self) -> &Handle {
        &self.fast_thread().handle
    }

    fn fast_thread(&self) -> &Arc<FastThread> {
        if let Some((_, index)) = FAST.get().filter(|(set, _)| *set == self.id) {
            return &self.fast[index];
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.fast.len();
        let (before, after) = self.fast.split_at(turn);
        let is_free = |thread: &&Arc<FastThread>| !thread.is_busy.load(Ordering::Relaxed);
        after.iter().chain(before).find(is_free).unwrap_or(&self.fast[turn])
    }

    /// Runs an attempt to its end: on a fast thread, and on the slow ones while `slow` says so.
    pub fn run(&self, attempt: impl Future<Output = ()> + Send + 'static, slow: Arc<AtomicBool>) {
        let fast_thread = self.fast_thread();
        fast_thread.handle.spawn(Guest {
            attempt: Some(Box::pin(attempt)),
            slow,
            is_on_slow: false,
            fast_thread: fast_thread.clone(),
            slow_threads: self.slow_handle.clone(),
        });
    }
}

/// Starts one fast thread; its runtime lives until the set is stopped.
fn fast_thread(
    set: usize,
    index: usize,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<Arc<FastThread>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("guest-{index}")).spawn(move || {
        FAST.set(Some((set, index)));
        // Stopped by a word, or by the set being dropped.
        let _ = runtime.block_on(stopped.wait_for(|stopped| *stopped));
        runtime.shutdown_background();
    })?;
    Ok(Arc::new(FastThread { handle, is_busy: AtomicBool::new(false) }))
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

/// An attempt where it belongs: on its fast thread, and on the slow ones while `slow` says so.
struct Guest {
    attempt: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    slow: Arc<AtomicBool>,
    is_on_slow: bool,
    fast_thread: Arc<FastThread>,
    slow_threads: Handle,
}

impl Future for Guest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_on_slow = self.is_on_slow;
        let Self { attempt: Some(attempt), fast_thread, .. } = &mut *self else { return Poll::Ready(()) };
        let polled = if is_on_slow {
            attempt.as_mut().poll(cx)
        } else {
            fast_thread.is_busy.store(true, Ordering::Relaxed);
            let polled = attempt.as_mut().poll(cx);
            fast_thread.is_busy.store(false, Ordering::Relaxed);
            polled
        };
        if polled.is_ready() {
            return Poll::Ready(());
        }
        let is_slow = self.slow.load(Ordering::Relaxed);
        if is_slow == self.is_on_slow {
            return Poll::Pending;
        }
        let moved = Self {
            attempt: self.attempt.take(),
            slow: self.slow.clone(),
            is_on_slow: is_slow,
            fast_thread: self.fast_thread.clone(),
            slow_threads: self.slow_threads.clone(),
        };
        let there = if is_slow { &self.slow_threads } else { &self.fast_thread.handle };
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
        let slow = Arc::new(AtomicBool::new(false));
        let (seen, been) = tokio::sync::oneshot::channel();
        let switch = slow.clone();
        let attempt = async move {
            let mut names = Vec::new();
            let here = || {
                let nice = rustix::process::getpriority_process(None).expect("the thread's own");
                std::thread::current().name().map(|name| (name.to_owned(), nice))
            };
            for is_slow in [true, false, false] {
                names.push(here());
                switch.store(is_slow, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            names.push(here());
            // Who waits for it is there until it is told.
            let _ = seen.send(names);
        };
        threads.run(attempt, slow);
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
        threads.run(computes, Arc::default());
        let busy = is_in.await.expect("it began");
        for _ in 0..4 {
            // The one before has said where it is, and is perhaps not yet gone from there.
            while threads.fast.iter().all(|thread| thread.is_busy.load(Ordering::Relaxed)) {
                tokio::task::yield_now().await;
            }
            let (seen, been) = tokio::sync::oneshot::channel();
            threads.run(async move { drop(seen.send(name())) }, Arc::default());
            assert_ne!(been.await.expect("it does not wait for the one that computes"), busy);
        }
        drop(leave);
    }
}
