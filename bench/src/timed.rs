//! A store that notes when it is written to, and how long a spawn took.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sublane_store::{Backend, Claimed, Parked, Spawned, StoreError, Transaction};

/// A backend, noting the instant of each write.
pub(crate) struct Timed<B> {
    inner: Arc<B>,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    writes: Vec<Instant>,
    /// When each spawn was written, and in how many milliseconds.
    spawns: Vec<(Instant, f64)>,
    /// When each wait was asked for.
    waits: Vec<Instant>,
    /// When each claim was durable.
    claims: Vec<Instant>,
    /// When each write that answers nothing was durable: nearly all of them are entries of effects.
    appends: Vec<Instant>,
}

impl<B> Clone for Timed<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), noted: self.noted.clone() }
    }
}

impl<B> Timed<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner: Arc::new(inner), noted: Arc::default() }
    }

    /// The instants of the writes since the last call.
    pub(crate) fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut self.noted.lock().writes)
    }

    /// Milliseconds from asking to the commit of each spawn since the last call.
    pub(crate) fn take_spawns(&self) -> Vec<f64> {
        std::mem::take(&mut self.noted.lock().spawns).into_iter().map(|(_, took)| took).collect()
    }

    /// The instant of each spawn since the last call, whatever else was written.
    pub(crate) fn take_spawn_instants(&self) -> Vec<Instant> {
        std::mem::take(&mut self.noted.lock().spawns).into_iter().map(|(at, _)| at).collect()
    }

    /// When each wait was asked for since the last call.
    pub(crate) fn take_waits(&self) -> Vec<Instant> {
        std::mem::take(&mut self.noted.lock().waits)
    }

    /// When each claim was durable since the last call.
    pub(crate) fn take_claims(&self) -> Vec<Instant> {
        std::mem::take(&mut self.noted.lock().claims)
    }

    /// When each entry of an effect was durable since the last call.
    pub(crate) fn take_appends(&self) -> Vec<Instant> {
        std::mem::take(&mut self.noted.lock().appends)
    }
}

impl<B: Backend> Backend for Timed<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let begin = crate::now();
        self.noted.lock().writes.push(begin);
        let result = self.inner.write(transaction).await?;
        let answer = &result as &dyn Any;
        let mut noted = self.noted.lock();
        if answer.is::<Spawned>() {
            noted.spawns.push((begin, begin.elapsed().as_nanos() as f64 / 1e6));
        } else if answer.is::<Parked>() {
            noted.waits.push(begin);
        } else if answer.downcast_ref::<Option<Claimed>>().is_some_and(Option::is_some) {
            noted.claims.push(crate::now());
        } else if answer.is::<()>() {
            noted.appends.push(crate::now());
        }
        drop(noted);
        Ok(result)
    }

    async fn write_beside<T: Send + 'static>(
        &self,
        transaction: impl Transaction<T>,
    ) -> Result<T, StoreError> {
        self.inner.write_beside(transaction).await
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
