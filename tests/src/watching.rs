//! A store that says what its writes came to: who was claimed, who ended, in the
//! order of the commits.
//!
//! Never changes what an operation does.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;
use sublane_core::{Run, RunId};
use sublane_store::{Backend, Claimed, Effects, StoreError, Transaction};

/// What was written so far.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Runs that were taken for an attempt.
    pub claims: Vec<Run>,
    /// Runs that ended by what attempts and people did, a list for each commit that ended some.
    pub ended: Vec<Vec<RunId>>,
    /// Transactions that may write.
    pub writes: u32,
    /// Transactions that only read.
    pub reads: u32,
}

impl Written {
    /// Runs in the order of their endings.
    pub fn endings(&self) -> impl Iterator<Item = RunId> {
        self.ended.iter().flatten().copied()
    }
}

/// A backend, watched. A clone watches the same.
pub struct Watching<B> {
    inner: Arc<B>,
    written: Arc<Mutex<Written>>,
}

impl<B> Clone for Watching<B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), written: self.written.clone() }
    }
}

impl<B> Watching<B> {
    /// Watches `inner`.
    #[must_use]
    pub fn new(inner: B) -> Self {
        Self { inner: Arc::new(inner), written: Arc::default() }
    }

    /// What was written since the last call.
    #[expect(clippy::must_use_candidate, reason = "it is also called to begin anew")]
    pub fn take(&self) -> Written {
        std::mem::take(&mut *self.written.lock())
    }

    /// Looks at what was written so far.
    pub fn look<T>(&self, look: impl FnOnce(&Written) -> T) -> T {
        look(&self.written.lock())
    }
}

impl<B: Backend> Backend for Watching<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let result = self.inner.write(transaction).await?;
        let mut written = self.written.lock();
        written.writes += 1;
        // An operation is known by what it gives: a claim a run, a finish or a cancellation its effects.
        let given: &dyn Any = &result;
        if let Some(Some(claimed)) = given.downcast_ref::<Option<Claimed>>() {
            written.claims.push(claimed.run.clone());
        }
        if let Some(effects) = given.downcast_ref::<Effects>().filter(|effects| !effects.ended.is_empty()) {
            written.ended.push(effects.ended.clone());
        }
        Ok(result)
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.written.lock().reads += 1;
        self.inner.read(transaction).await
    }
}
