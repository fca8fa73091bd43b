//! A store that comes to its end at a chosen write.
//!
//! [`Crashing`] wraps a backend and counts its writes, each of which is one
//! commit. At the chosen one, before it or right after it, the host is gone:
//! either the process kills itself, or the store refuses everything from then
//! on, which leaves the same on the disk and costs no process. Between two
//! commits nothing durable changes but artifact files, so these points are all
//! there are as far as the store is concerned.
//!
//! Never changes what an operation does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sublane_store::{Backend, StoreError, Transaction};
use tokio::sync::watch;

/// On which side of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It does not happen.
    Before,
    /// It is durable, and nobody is told.
    After,
}

/// A point of a host's life: `before:3`, `after:12`. Writes are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// On which side.
    pub side: Side,
    /// Of which write.
    pub write: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side}:{}", self.write)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no point: it is before:N or after:N");
        let (side, write) = text.split_once(':').ok_or_else(wrong)?;
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            _ => return Err(wrong()),
        };
        Ok(Self { side, write: write.parse().map_err(|_| wrong())? })
    }
}

/// What happens at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL to this process.
    Kill,
    /// The store answers nothing any more; see `Crash::happened`.
    Refuse,
}

/// A crash that is to come: shared by the store and whoever waits for it.
#[derive(Debug)]
pub struct Crash {
    at: Option<Point>,
    blow: Blow,
    writes: AtomicU64,
    done: watch::Sender<u64>,
    happened: watch::Sender<bool>,
}

impl Crash {
    /// A crash at this point; without one, none.
    #[must_use]
    pub fn new(at: Option<Point>, blow: Blow) -> Arc<Self> {
        let (done, happened) = (watch::channel(0).0, watch::channel(false).0);
        Arc::new(Self { at, blow, writes: AtomicU64::new(0), done, happened })
    }

    /// Whether it has happened.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        *self.happened.borrow()
    }

    /// Writes so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Says when writes have been done: how many so far.
    #[must_use]
    pub fn done(&self) -> watch::Receiver<u64> {
        self.done.subscribe()
    }

    fn reached(&self, side: Side, write: u64) {
        if self.at != Some(Point { side, write }) {
            return;
        }
        if self.blow == Blow::Kill {
            kill_ourselves();
        }
        self.happened.send_replace(true);
    }

    fn refuse(&self) -> Result<(), StoreError> {
        if self.has_happened() { Err(StoreError::Closed) } else { Ok(()) }
    }
}

/// Ends this process as the kernel would when memory is short: nothing is said and nothing is done.
fn kill_ourselves() -> ! {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("a process may kill itself: {killed:?}")
}

/// A backend with a crash in it.
#[derive(Debug)]
pub struct Crashing<B> {
    inner: B,
    crash: Arc<Crash>,
}

impl<B: Backend> Crashing<B> {
    /// `inner`, until the crash comes.
    #[must_use]
    pub fn new(inner: B, crash: Arc<Crash>) -> Self {
        Self { inner, crash }
    }
}

impl<B: Backend> Backend for Crashing<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.crash.refuse()?;
        let write = self.crash.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.crash.reached(Side::Before, write);
        self.crash.refuse()?;
        let result = self.inner.write(transaction).await;
        self.crash.reached(Side::After, write);
        // Whoever was on the way is not told either.
        self.crash.refuse()?;
        self.crash.done.send_modify(|done| *done += 1);
        result
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.crash.refuse()?;
        let result = self.inner.read(transaction).await;
        self.crash.refuse()?;
        result
    }
}
