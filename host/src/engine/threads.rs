//! The threads that guests run on, apart from the host's own IO.
//!
//! Two sets: one for guests that come and go, and one of low priority for those
//! that used up their first tick. A future that asks for it is moved from the
//! first set to the second between two polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};

/// Niceness of the threads for guests that compute for long.
const LOW_PRIORITY_NICE: i32 = 10;

/// Both sets of threads.
pub struct GuestThreads {
    fast: Option<Runtime>,
    slow: Option<Runtime>,
    slow_handle: Handle,
}

impl GuestThreads {
    /// Starts `threads` threads of each set.
    ///
    /// # Errors
    /// When the machine refuses the threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let build = |name: &str, slow: bool| {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(name)
                .event_interval(127)
                .on_thread_start(move || {
                    if slow {
                        // On Linux the niceness is the thread's own. Refused: it runs at normal priority.
                        let _ = rustix::process::nice(LOW_PRIORITY_NICE);
                    }
                })
                .build()
        };
        let slow = build("guest-slow", true)?;
        Ok(Self { fast: Some(build("guest", false)?), slow_handle: slow.handle().clone(), slow: Some(slow) })
    }

    /// Where new guests start.
    #[must_use]
    pub fn fast(&self) -> &Handle {
        self.fast.as_ref().expect("only `drop` takes it").handle()
    }

    /// Runs an attempt to its end: on the fast threads, and on the slow ones as
    /// soon as `slow` says so.
    pub fn run(&self, attempt: impl Future<Output = ()> + Send + 'static, slow: Arc<AtomicBool>) {
        let slow_threads = self.slow_handle.clone();
        self.fast().spawn(OnFast { attempt: Some(Box::pin(attempt)), slow, slow_threads });
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // Guests are traps away from ending at any await; nobody waits for them here.
        for runtime in [self.fast.take(), self.slow.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// An attempt on the fast threads, until it is slow.
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
