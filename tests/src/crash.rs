//! A host that comes to its end at a chosen write or send.
//!
//! [`Crashing`] wraps a backend and counts its writes, each of which is one
//! commit; [`Sending`] wraps a channel and counts its attempts. At the chosen
//! one, before it or right after it, the host is gone: either the process kills
//! itself, or the store refuses everything from then on, which leaves the same
//! on the disk and costs no process; or the host stands still. Between two commits nothing durable
//! changes but artifact files and what receivers know, so these points are all
//! there are.
//!
//! Never changes what an operation or an attempt does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sublane::channel::{Channel, Class, Rule, RunLabel};
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, Run, RunState};
use sublane_store::{Backend, SqliteStore, StoreError, Transaction};
use tokio::sync::watch;

use crate::history::History;
use crate::{Setup, TestHost, temporary};

/// On which side of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It does not happen.
    Before,
    /// It has happened, and nobody is told.
    After,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Writes to the store.
    Write,
    /// Attempts of deliveries.
    Send,
}

/// A point of a host's life: `before:3`, `after:12`, `before-send:1`. Each kind is counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// On which side.
    pub side: Side,
    /// Of what.
    pub of: Of,
    /// Which one.
    pub number: u64,
}

impl Point {
    /// A point at a write.
    #[must_use]
    pub fn write(side: Side, number: u64) -> Self {
        Self { side, of: Of::Write, number }
    }

    /// A point at a send.
    #[must_use]
    pub fn send(side: Side, number: u64) -> Self {
        Self { side, of: Of::Send, number }
    }
}

/// The kinds of points and their names.
const KINDS: [(&str, Side, Of); 4] = [
    ("before", Side::Before, Of::Write),
    ("after", Side::After, Of::Write),
    ("before-send", Side::Before, Of::Send),
    ("after-send", Side::After, Of::Send),
];

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(_, side, of)| (*side, *of) == (self.side, self.of));
        write!(f, "{}:{}", kind.expect("all kinds are listed").0, self.number)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no point: it is before:N, after:N, before-send:N or after-send:N");
        let (name, number) = text.split_once(':').ok_or_else(wrong)?;
        let (_, side, of) = *KINDS.iter().find(|(kind, ..)| *kind == name).ok_or_else(wrong)?;
        Ok(Self { side, of, number: number.parse().map_err(|_| wrong())? })
    }
}

/// What happens at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL to this process.
    Kill,
    /// The store answers nothing any more; see `Crash::happened`.
    Refuse,
    /// The store answers nothing until `Crash::release`: as a process that is stopped.
    Pause,
}

/// A crash that is to come: shared by the store and whoever waits for it.
#[derive(Debug)]
pub struct Crash {
    at: Option<Point>,
    blow: Blow,
    writes: AtomicU64,
    sends: AtomicU64,
    done: watch::Sender<u64>,
    happened: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Crash {
    /// A crash at this point; without one, none.
    #[must_use]
    pub fn new(at: Option<Point>, blow: Blow) -> Arc<Self> {
        let (done, happened) = (watch::channel(0).0, watch::channel(false).0);
        let released = watch::channel(false).0;
        Arc::new(Self {
            at,
            blow,
            writes: AtomicU64::new(0),
            sends: AtomicU64::new(0),
            done,
            happened,
            released,
        })
    }

    /// Whether it has happened.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        *self.happened.borrow()
    }

    /// Ready when it has happened.
    pub async fn comes(&self) {
        // We hold the sender, so it is there.
        let _ = self.happened.subscribe().wait_for(|happened| *happened).await;
    }

    /// What stood still goes on.
    pub fn release(&self) {
        self.released.send_replace(true);
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

    fn reached(&self, point: Point) {
        if self.at != Some(point) {
            return;
        }
        if self.blow == Blow::Kill {
            kill_ourselves();
        }
        self.happened.send_replace(true);
    }

    /// Nothing passes here any more, or not yet.
    async fn pass(&self) -> Result<(), StoreError> {
        match self.blow {
            _ if !self.has_happened() => Ok(()),
            Blow::Pause => {
                // We hold the sender, so it is there.
                let _ = self.released.subscribe().wait_for(|released| *released).await;
                Ok(())
            }
            Blow::Kill | Blow::Refuse => Err(StoreError::Closed),
        }
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
        self.crash.pass().await?;
        let write = self.crash.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.crash.reached(Point::write(Side::Before, write));
        self.crash.pass().await?;
        let result = self.inner.write(transaction).await;
        self.crash.reached(Point::write(Side::After, write));
        // Whoever was on the way is not told either.
        self.crash.pass().await?;
        self.crash.done.send_modify(|done| *done += 1);
        result
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.crash.pass().await?;
        let result = self.inner.read(transaction).await;
        self.crash.pass().await?;
        result
    }
}

/// A channel with a crash in it: right before an attempt, or when the receiver has answered.
pub struct Sending {
    inner: Arc<dyn Channel>,
    crash: Arc<Crash>,
}

impl Sending {
    /// `inner`, until the crash comes.
    #[must_use]
    pub fn new(inner: Arc<dyn Channel>, crash: Arc<Crash>) -> Self {
        Self { inner, crash }
    }
}

#[async_trait]
impl Channel for Sending {
    fn class(&self) -> Class {
        self.inner.class()
    }

    fn serves(&self, address: &str) -> bool {
        self.inner.serves(address)
    }

    fn rule(&self, address: &str) -> Rule {
        self.inner.rule(address)
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let send = self.crash.sends.fetch_add(1, Ordering::SeqCst) + 1;
        self.crash.reached(Point::send(Side::Before, send));
        if self.crash.blow != Blow::Pause && self.crash.has_happened() {
            // Nothing of this is stored any more.
            return AttemptResult::Retry {
                note: "the host is gone".to_owned(),
                retry_after: None,
                ambiguous: false,
            };
        }
        let result = self.inner.deliver(delivery).await;
        self.crash.reached(Point::send(Side::After, send));
        result
    }

    fn progress(&self, address: &str, run: &RunLabel, percent: u8, note: &str) {
        self.inner.progress(address, run, percent, note);
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// A host of the plugin `spawns` on SQLite whose one run takes these steps and stands still between the
/// entry of the first and that of the second, and with it whoever writes to the host's store.
///
/// # Panics
/// When no write of the run stands alone.
pub async fn standing_still(steps: &serde_json::Value) -> (TestHost, Arc<Crash>, Run) {
    for write in (2..24).cycle().take(200) {
        let directory = temporary();
        let crash = Crash::new(Some(Point::write(Side::Before, write)), Blow::Pause);
        let file = directory.path().join("sublane.db");
        let inner = SqliteStore::open(&file).expect("the store opens");
        let store = Arc::new(Crashing::new(inner, crash.clone()));
        let host = tokio::select! {
            host = Setup::on(store, directory.clone()).plugin("spawns").start() => host,
            () = crash.comes() => {
                // A write of the start itself.
                crash.release();
                continue;
            }
        };
        tokio::select! {
            // Two writes became one commit this time.
            _ = host.run("spawns/act", steps.clone()) => continue,
            () = crash.comes() => {}
        }
        let look = SqliteStore::open_read_only(&file).expect("it is there");
        let History { runs, journals, .. } = History::read(&look).await;
        if let [run] = &runs[..]
            && matches!(run.state, RunState::Running { .. })
            && journals[&run.spec.id].len() == 1
        {
            return (host, crash, run.clone());
        }
        crash.release();
    }
    panic!("no write of the run stands alone")
}
