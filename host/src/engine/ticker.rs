//! Ticks the engines' epochs, and only while a guest executes.
//!
//! Owns one thread. A guest that is entered wakes it if it sleeps; after some
//! ticks without any guest it sleeps again, so that an idle host costs nothing
//! and a busy one makes no system call for each spawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wasmtime::Engine;

use super::TICK_MS;

/// Ticks without a guest after which the thread sleeps.
const IDLE_TICKS: u32 = 20;

/// Counts the guests that execute and keeps the epochs ticking meanwhile.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Shared {
    executing: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// A guest executes as long as this lives.
pub struct Executing<'t>(&'t Shared);

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        self.0.executing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ticker {
    /// Starts the thread, asleep.
    pub(super) fn start(engines: Vec<Engine>) -> Arc<Self> {
        let shared = Arc::new(Shared {
            executing: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("epoch-ticker".to_owned())
            .spawn(move || for_thread.run(&engines))
            .expect("a process that cannot start one thread cannot be a host");
        Arc::new(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// A guest is entered; it has left when the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Executing<'_> {
        self.shared.executing.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            let _lock = self.shared.lock.lock();
            self.shared.wake.notify_one();
        }
        Executing(&self.shared)
    }
}

impl Shared {
    fn run(&self, engines: &[Engine]) {
        let mut idle = 0;
        while !self.stop.load(Ordering::Relaxed) {
            #[expect(clippy::disallowed_methods, reason = "this thread is what ticks")]
            std::thread::sleep(Duration::from_millis(TICK_MS));
            if self.executing.load(Ordering::Relaxed) > 0 {
                idle = 0;
                engines.iter().for_each(Engine::increment_epoch);
            } else {
                idle += 1;
            }
            if idle >= IDLE_TICKS {
                idle = 0;
                self.sleep();
            }
        }
    }

    /// Sleeps until a guest is entered. Whoever enters sees `asleep` or is seen by the check below.
    fn sleep(&self) {
        let mut lock = self.lock.lock();
        self.asleep.store(true, Ordering::SeqCst);
        while self.executing.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            self.wake.wait(&mut lock);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _lock = self.shared.lock.lock();
            self.shared.wake.notify_one();
        }
        if let Some(thread) = self.thread.lock().take() {
            // The thread does not panic; were it to, there is nothing left to tick for.
            let _ = thread.join();
        }
    }
}
