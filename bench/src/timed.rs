//! A store that notes when it is written to.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sublane_store::{Backend, StoreError, Transaction};

/// A backend, noting the instant of each write.
pub(crate) struct Timed<B> {
    inner: Arc<B>,
    writes: Arc<Mutex<Vec<Instant>>>,
}

impl<B> Clone for Timed<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), writes: self.writes.clone() }
    }
}

impl<B> Timed<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner: Arc::new(inner), writes: Arc::default() }
    }

    /// The instants of the writes since the last call.
    pub(crate) fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.writes.lock())
    }
}

impl<B: Backend> Backend for Timed<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.writes.lock().push(crate::now());
        self.inner.write(transaction).await
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.inner.read(transaction).await
    }
}

/// Nanoseconds between each `step`-th instant and the next such one.
pub(crate) fn periods(instants: &[Instant], skip: usize, step: usize) -> Vec<f64> {
    let picked: Vec<_> = instants.iter().skip(skip).step_by(step).collect();
    picked.windows(2).map(|pair| pair[1].duration_since(*pair[0]).as_nanos() as f64).collect()
}
