//! What stands between a host and its store: here it dies, stands still and meets a store that fails.
//!
//! Owns the life of one host. What it lets through it does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use sublane_store::{Backend, SqliteStore, StoreError, Transaction};
use tokio::sync::watch;

use crate::crash::Side;
use crate::fuzz::Random;

/// Whether a host lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It does.
    Lives,
    /// It stands still: what it asks of its store comes to nothing yet.
    Stands,
    /// It has stood still for too long: what was on the way goes through, and then nothing.
    Lost,
    /// It is dead: nothing goes through.
    Dead,
}

/// The life of one host.
pub(super) struct Life {
    state: watch::Sender<State>,
    asked: watch::Sender<u64>,
    writes: AtomicU64,
    dies: Mutex<Option<(u64, Side)>>,
    /// Thousandths of what is asked that fail.
    fails: AtomicUsize,
    failed: AtomicU64,
    random: Mutex<Random>,
}

impl Life {
    /// A life that goes on; `seed` decides which of its requests fail when some do.
    #[must_use]
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            state: watch::channel(State::Lives).0,
            asked: watch::channel(0).0,
            writes: AtomicU64::new(0),
            dies: Mutex::new(None),
            fails: AtomicUsize::new(0),
            failed: AtomicU64::new(0),
            random: Mutex::new(Random::new(seed)),
        })
    }

    /// It ends at its `write`-th next write.
    pub(super) fn dies_at(&self, write: u64, side: Side) {
        *self.dies.lock() = Some((self.writes.load(Ordering::SeqCst) + write, side));
    }

    /// It ends now.
    pub(super) fn end(&self) {
        self.state.send_replace(State::Dead);
    }

    /// Whether it has ended.
    #[must_use]
    pub(super) fn has_ended(&self) -> bool {
        *self.state.borrow() == State::Dead
    }

    /// It stands still.
    pub(super) fn stand(&self) {
        self.state.send_replace(State::Stands);
    }

    /// It goes on.
    pub(super) fn go_on(&self) {
        self.state.send_replace(State::Lives);
    }

    /// It goes on with what it was about to write, and learns that it is too late.
    pub(super) fn lose(&self) {
        self.state.send_replace(State::Lost);
    }

    /// From now on so many thousandths of what the store is asked fail.
    pub(super) fn store_fails(&self, thousandths: usize) {
        self.fails.store(thousandths, Ordering::SeqCst);
    }

    /// How many of its requests have failed.
    #[must_use]
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Says when something is asked of the store, or was answered.
    #[must_use]
    pub(super) fn asked(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    async fn pass(&self) -> Result<(), StoreError> {
        self.asked.send_modify(|count| *count += 1);
        let now = *self.state.borrow();
        let then = match now {
            State::Stands => {
                let mut state = self.state.subscribe();
                // We hold the sender, so it is there.
                let moved =
                    state.wait_for(|state| *state != State::Stands).await.map_or(State::Dead, |now| *now);
                // What was on the way goes through.
                if moved == State::Lost { State::Lives } else { moved }
            }
            now => now,
        };
        if then == State::Lives { Ok(()) } else { Err(StoreError::Closed) }
    }

    /// Whether the medium fails this time.
    fn weather(&self) -> Result<(), StoreError> {
        let thousandths = self.fails.load(Ordering::SeqCst);
        if thousandths == 0 {
            return Ok(());
        }
        let mut random = self.random.lock();
        if random.below(1_000) >= thousandths {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        let why: Arc<str> = "the simulation says so".into();
        Err(if random.below(3) == 0 { StoreError::Full(why) } else { StoreError::Io(why) })
    }

    fn reached(&self, write: u64, side: Side) {
        if *self.dies.lock() == Some((write, side)) {
            self.end();
        }
    }
}

/// A store, as the host of one life sees it.
pub(super) struct Gate {
    inner: Arc<SqliteStore>,
    life: Arc<Life>,
}

impl Gate {
    /// `inner`, for this life.
    #[must_use]
    pub(super) fn new(inner: Arc<SqliteStore>, life: Arc<Life>) -> Self {
        Self { inner, life }
    }
}

impl Backend for Gate {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.life.pass().await?;
        self.life.weather()?;
        let write = self.life.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.life.reached(write, Side::Before);
        if self.life.has_ended() {
            return Err(StoreError::Closed);
        }
        let result = Backend::write(&*self.inner, transaction).await;
        self.life.reached(write, Side::After);
        // Whoever is dead is not told.
        self.life.pass().await?;
        result
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.life.pass().await?;
        self.life.weather()?;
        let result = Backend::read(&*self.inner, transaction).await;
        self.life.pass().await?;
        result
    }
}
