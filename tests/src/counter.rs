//! A channel that counts.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sublane::channel::{Channel, Class};
use sublane_core::Delivery;
use sublane_core::delivery::AttemptResult;

/// Counts what it is given.
#[derive(Debug, Default)]
pub struct Counter(AtomicU32);

impl Counter {
    /// Deliveries so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Channel for Counter {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, _: &Delivery) -> AttemptResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        AttemptResult::Delivered { note: String::new() }
    }
}
