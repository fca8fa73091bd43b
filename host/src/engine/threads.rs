//! The threads that guests run on, apart from the host's own IO.
//!
//! Two sets. A *fast* thread runs its attempts by turns and keeps what they
//! spawn, so that a spawn and its result cross no thread. An attempt that has
//! computed for a whole tick moves, between two polls, to the *slow* threads,
//! which have low priority and share their work.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Niceness of the threads for guests that compute for long.
const LOW_PRIORITY_NICE: i32 = 10;

thread_local! {
    /// Which fast thread this is, and of which set.
    static FAST: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Both sets of threads.
pub struct GuestThreads {
    fast: Vec<Handle>,
    next: AtomicUsize,
    id: usize,
    slow: Option<Runtime>,
    slow_handle: Handle,
    stop: watch::Sender<bool>,
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
        let fast: Result<Vec<Handle>, _> =
            (0..threads.max(1)).map(|index| fast_thread(id, index, stopped.clone())).collect();
        let slow = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("guest-slow")
            .on_thread_start(|| {
                // On Linux the niceness is the thread's own. Refused: it runs at normal priority.
                let _ = rustix::process::nice(LOW_PRIORITY_NICE);
            })
            .build()?;
        let slow_handle = slow.handle().clone();
        Ok(Self { fast: fast?, next: AtomicUsize::new(0), id, slow: Some(slow), slow_handle, stop })
    }

    /// Where a new guest starts: on the thread that spawns it, or on the next in turn.
    #[must_use]
    pub fn fast(&self) -> &Handle {
        let here = FAST.get().filter(|(set, _)| *set == self.id).map(|(_, index)| index);
        let index = here.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed) % self.fast.len());
        &self.fast[index]
    }

    /// Runs an attempt to its end: on the fast threads, and on the slow ones as
    /// soon as `slow` says so.
    pub fn run(&self, attempt: impl Future<Output = ()> + Send + 'static, slow: Arc<AtomicBool>) {
        let slow_threads = self.slow_handle.clone();
        self.fast().spawn(OnFast { attempt: Some(Box::pin(attempt)), slow, slow_threads });
    }
}

/// Starts one fast thread; its runtime lives until the set is stopped.
fn fast_thread(set: usize, index: usize, mut stopped: watch::Receiver<bool>) -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("guest-{index}")).spawn(move || {
        FAST.set(Some((set, index)));
        // Stopped by a word, or by the set being dropped.
        let _ = runtime.block_on(stopped.wait_for(|stopped| *stopped));
        runtime.shutdown_background();
    })?;
    Ok(handle)
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

/// An attempt on a fast thread, until it is slow.
struct OnFast {
    attempt: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    slow: Arc<AtomicBool>,
    slow_threads: Handle,
}

impl Future for OnFast {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(attempt) = self.attempt.as_mut() else { return Poll::Ready(()) };
        if attempt.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.slow.load(Ordering::Relaxed)
            && let Some(attempt) = self.attempt.take()
        {
            self.slow_threads.spawn(attempt);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// How many threads each set has on this machine: one for each core.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
