//! Texts that go in parts: one after the other, within one attempt.
//!
//! Owns how far each has come: a hint, so that a receiver that takes one part and then wants
//! patience is not sent it again. Lost, the parts are sent from the first, with the ids that
//! they had.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use sublane_core::delivery::{AttemptResult, TextRule, parts};
use sublane_core::{Delivery, DeliveryId};

use crate::channel::Channel;

/// Deliveries whose parts are remembered; of more, the oldest begin anew.
const MAX_REMEMBERED: usize = 1_024;

/// The bytes of each text that its receiver has.
#[derive(Default)]
pub(super) struct Sent(Mutex<BTreeMap<DeliveryId, u32>>);

impl Sent {
    /// Makes an attempt: of the whole, or of each part that is left until one does not arrive.
    pub(super) async fn attempt(
        &self,
        channel: &dyn Channel,
        delivery: &Delivery,
        rule: TextRule,
    ) -> AttemptResult {
        let Some(parts) = parts(delivery, rule) else { return one(channel, delivery).await };
        let sent = self.0.lock().get(&delivery.id).copied().unwrap_or_default();
        let mut note = String::new();
        let count = parts.len();
        for (number, part) in (1..).zip(&parts).filter(|(_, part)| part.to > sent) {
            match one(channel, &part.delivery).await {
                AttemptResult::Delivered { note: said } => note = said,
                other => return of_part(other, number, count),
            }
            self.remember(delivery.id, part.to);
        }
        // Whoever has it sent once more means all of it.
        self.0.lock().remove(&delivery.id);
        of_part(AttemptResult::Delivered { note }, count, count)
    }

    fn remember(&self, delivery: DeliveryId, to: u32) {
        let mut sent = self.0.lock();
        sent.insert(delivery, to);
        if sent.len() > MAX_REMEMBERED {
            sent.pop_first();
        }
    }
}

/// One request, whatever the channel does inside.
async fn one(channel: &dyn Channel, delivery: &Delivery) -> AttemptResult {
    let caught = AssertUnwindSafe(channel.deliver(delivery)).catch_unwind().await;
    caught.unwrap_or_else(|_| AttemptResult::Retry {
        note: "the channel failed inside".to_owned(),
        retry_after: None,
        ambiguous: true,
    })
}

/// The result of a part, with its number for people.
fn of_part(mut result: AttemptResult, number: usize, count: usize) -> AttemptResult {
    let (AttemptResult::Delivered { note }
    | AttemptResult::Permanent { note }
    | AttemptResult::Gone { note }
    | AttemptResult::Retry { note, .. }) = &mut result;
    if count > 1 {
        *note = format!("part {number} of {count}: {note}");
    }
    result
}
