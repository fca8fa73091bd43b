//! A channel that remembers, instead of one that tells.

use async_trait::async_trait;
use parking_lot::Mutex;
use sublane::channel::{Channel, Class};
use sublane_core::Delivery;
use sublane_core::delivery::AttemptResult;

/// A channel that remembers what was delivered.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Delivery>>);

impl Recorder {
    /// What was delivered so far.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.lock().clone()
    }

    /// The texts that people would have read.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let text = |delivery: &Delivery| {
            let body: serde_json::Value = serde_json::from_str(&delivery.body).expect("a body is JSON");
            body["data"]["text"].as_str().unwrap_or_default().to_owned()
        };
        self.0.lock().iter().map(text).collect()
    }
}

#[async_trait]
impl Channel for Recorder {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        self.0.lock().push(delivery.clone());
        AttemptResult::Delivered { note: "recorded".to_owned() }
    }
}
