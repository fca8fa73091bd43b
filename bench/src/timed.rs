//! A store that notes when it is written to, and how long a spawn took.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sublane_store::{Backend, Spawned, StoreError, Transaction};

/// A backend, noting the instant of each write.
pub(crate) struct Timed<B> {
    inner: Arc<B>,
    writes: Arc<Mutex<Vec<Instant>>>,
    /// When each spawn was written, and in how many milliseconds.
    spawns: Arc<Mutex<Vec<(Instant, f64)>>>,
}

impl<B> Clone for Timed<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), writes: self.writes.clone(), spawns: self.spawns.clone() }
    }
}

impl<B> Timed<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner: Arc::new(inner), writes: Arc::default(), spawns: Arc::default() }
    }

    /// The instants of the writes since the last call.
    pub(crate) fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.writes.lock())
    }

    /// Milliseconds from asking to the commit of each spawn since the last call.
    pub(crate) fn take_spawns(&self) -> Vec<f64> {
        std::mem::take(&mut *self.spawns.lock()).into_iter().map(|(_, took)| took).collect()
    }

    /// The instant of each spawn since the last call, whatever else was written.
    pub(crate) fn take_spawn_instants(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.spawns.lock()).into_iter().map(|(at, _)| at).collect()
    }
}

impl<B: Backend> Backend for Timed<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let begin = crate::now();
        self.writes.lock().push(begin);
        let result = self.inner.write(transaction).await?;
        if (&result as &dyn Any).is::<Spawned>() {
            self.spawns.lock().push((begin, begin.elapsed().as_nanos() as f64 / 1e6));
        }
        Ok(result)
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
