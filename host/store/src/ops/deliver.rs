//! Deliveries: taken when due, settled after each attempt.

use sublane_core::delivery::{AttemptResult, next_attempt};
use sublane_core::{Delivery, DeliveryId, DeliveryState, Timestamp};

use super::Result;
use crate::StoreError;
use crate::rows::{DeliveryAttempt, Rows};

/// What became of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its state now.
    pub state: DeliveryState,
    /// When it is tried again, if it is.
    pub next_at: Option<Timestamp>,
}

/// Begins an attempt on deliveries whose time has come.
pub fn take_deliveries(rows: &mut dyn Rows, limit: u32, now: Timestamp) -> Result<Vec<Delivery>> {
    let mut due = rows.due_deliveries(now, limit)?;
    for delivery in &mut due {
        delivery.state = DeliveryState::Sending;
        delivery.attempts += 1;
        rows.update_delivery(delivery)?;
    }
    Ok(due)
}

/// Gives begun attempts back as if they had not been begun: nothing was sent, nothing is counted.
/// An attempt that is not the newest, or is settled, changes nothing.
pub fn postpone(
    rows: &mut dyn Rows,
    begun: &[(DeliveryId, u32)],
    until: Timestamp,
    note: &str,
) -> Result<()> {
    for (id, number) in begun {
        let Some(mut delivery) = rows.delivery(*id)? else { continue };
        if delivery.state != DeliveryState::Sending || delivery.attempts != *number {
            continue;
        }
        delivery.state = DeliveryState::Pending;
        delivery.attempts -= 1;
        delivery.next_at = until;
        note.clone_into(&mut delivery.note);
        rows.update_delivery(&delivery)?;
    }
    Ok(())
}

/// An operator wants it tried again, whatever became of it: due at once, with the id and the
/// body that it always had. One that was delivered is sent once more.
pub fn retry_delivery(rows: &mut dyn Rows, id: DeliveryId, now: Timestamp) -> Result<Delivery> {
    let mut delivery = settled_or_waiting(rows, id)?;
    delivery.state = DeliveryState::Pending;
    delivery.next_at = now;
    rows.update_delivery(&delivery)?;
    Ok(delivery)
}

/// An operator decides that it is not owed any more. Repeated, it changes nothing.
pub fn dismiss_delivery(rows: &mut dyn Rows, id: DeliveryId, note: &str) -> Result<Delivery> {
    let mut delivery = settled_or_waiting(rows, id)?;
    match delivery.state {
        DeliveryState::Delivered => {
            return Err(StoreError::Refused(format!("delivery {id} was delivered: nothing is owed")));
        }
        DeliveryState::Dismissed => return Ok(delivery),
        DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Dead => {}
    }
    delivery.state = DeliveryState::Dismissed;
    note.clone_into(&mut delivery.note);
    rows.update_delivery(&delivery)?;
    Ok(delivery)
}

/// A delivery without an attempt under way: an operator changes no other.
fn settled_or_waiting(rows: &mut dyn Rows, id: DeliveryId) -> Result<Delivery> {
    let delivery = rows.delivery(id)?.ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
    if delivery.state == DeliveryState::Sending {
        return Err(StoreError::Refused(format!(
            "an attempt of delivery {id} is under way: ask again when it has ended"
        )));
    }
    Ok(delivery)
}

/// What an attempt came to. An attempt that is not the newest changes nothing.
pub fn settle(
    rows: &mut dyn Rows,
    id: DeliveryId,
    number: u32,
    result: AttemptResult,
    jitter: f64,
    now: Timestamp,
) -> Result<Settled> {
    let mut delivery = rows.delivery(id)?.ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
    if delivery.state != DeliveryState::Sending || delivery.attempts != number {
        return Ok(Settled { state: delivery.state, next_at: None });
    }
    (delivery.state, delivery.note) = match &result {
        AttemptResult::Delivered { note } => (DeliveryState::Delivered, note.clone()),
        AttemptResult::Permanent { note } => (DeliveryState::Dead, note.clone()),
        AttemptResult::Retry { note, retry_after, .. } => {
            match next_attempt(number, now, *retry_after, jitter) {
                Some(at) => {
                    delivery.next_at = at;
                    (DeliveryState::Pending, note.clone())
                }
                None => (DeliveryState::Dead, format!("given up after {number} attempts: {note}")),
            }
        }
    };
    rows.update_delivery(&delivery)?;
    rows.insert_attempt(&DeliveryAttempt { delivery: id, number, at: now, result })?;
    let next_at = (delivery.state == DeliveryState::Pending).then_some(delivery.next_at);
    Ok(Settled { state: delivery.state, next_at })
}

/// Attempts that their host did not live to settle: due again at once, noted as ambiguous.
pub(super) fn release_unsettled(rows: &mut dyn Rows, now: Timestamp) -> Result<u32> {
    let mut released = 0;
    loop {
        let page = rows.sending_deliveries(super::RECOVERY_PAGE)?;
        if page.is_empty() {
            return Ok(released);
        }
        for mut delivery in page {
            let note = "the host stopped during this attempt".to_owned();
            delivery.state = DeliveryState::Pending;
            delivery.next_at = now;
            delivery.note.clone_from(&note);
            rows.update_delivery(&delivery)?;
            let result = AttemptResult::Retry { note, retry_after: None, ambiguous: true };
            rows.insert_attempt(&DeliveryAttempt {
                delivery: delivery.id,
                number: delivery.attempts,
                at: now,
                result,
            })?;
            released += 1;
        }
    }
}
