//! A store that holds back one answer: what is written is there, and nobody is told yet.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sublane_store::{Backend, StoreError, Transaction};
use tokio::sync::Notify;

/// A backend that holds back the answer of the first write of a kind.
pub struct Holding<B> {
    inner: B,
    /// Whether this is what a write of that kind gives.
    is_it: fn(&dyn Any) -> bool,
    is_first: AtomicBool,
    /// It is written.
    pub has_written: Notify,
    /// Whoever wrote it is to be told.
    pub answers: Notify,
}

impl<B> Holding<B> {
    /// Holds back the answer of the first write to `inner` that gives what `is_it` says.
    #[must_use]
    pub fn new(inner: B, is_it: fn(&dyn Any) -> bool) -> Arc<Self> {
        let (is_first, has_written, answers) = (AtomicBool::new(true), Notify::new(), Notify::new());
        Arc::new(Self { inner, is_it, is_first, has_written, answers })
    }
}

impl<B: Backend> Backend for Holding<B> {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        let done = self.inner.write(transaction).await?;
        if (self.is_it)(&done) && self.is_first.swap(false, Ordering::SeqCst) {
            self.has_written.notify_one();
            self.answers.notified().await;
        }
        Ok(done)
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        self.inner.read(transaction).await
    }
}
