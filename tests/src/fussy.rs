//! A channel that refuses everything for good, until it is told to accept.
//!
//! Owns what came to it, in order. Never forgets.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use sublane::channel::{Channel, Class};
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, DeliveryId};

/// Refuses everything, until it accepts everything.
#[derive(Default)]
pub struct Fussy {
    accepts: AtomicBool,
    seen: Mutex<Vec<DeliveryId>>,
}

impl Fussy {
    /// From now on it takes everything.
    pub fn accept(&self) {
        self.accepts.store(true, Ordering::SeqCst);
    }

    /// What came to it so far, refused or not.
    #[must_use]
    pub fn seen(&self) -> Vec<DeliveryId> {
        self.seen.lock().clone()
    }
}

#[async_trait]
impl Channel for Fussy {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        self.seen.lock().push(delivery.id);
        if self.accepts.load(Ordering::SeqCst) {
            AttemptResult::Delivered { note: "read".to_owned() }
        } else {
            AttemptResult::Permanent { note: "no such room".to_owned() }
        }
    }
}
