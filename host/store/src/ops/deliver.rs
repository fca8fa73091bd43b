//! Deliveries: taken when due, settled after each attempt, held with their destination.

use std::sync::Arc;
use std::time::Duration;

use sublane_core::delivery::{AttemptResult, Hold, MAX_WISH, Order, SettleRule, next_attempt};
use sublane_core::{Delivery, DeliveryId, DeliveryState, Destination, Run, Timestamp};

use super::{Effects, Result};
use crate::StoreError;
use crate::rows::{DeliveryAttempt, Rows};

/// How often a delivery to an address that is disabled is looked at again.
const DISABLED_LOOK: Duration = Duration::from_secs(600);
/// Looks at what is due in one [`take_deliveries`].
const MAX_PAGES: u32 = 8;
/// Deliveries that are due at once when their destination is free again; the others are by their own time.
const FREED: u32 = 256;

/// What became of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its state now.
    pub state: DeliveryState,
    /// When it is tried again, if it is.
    pub next_at: Option<Timestamp>,
    /// Until then nothing is sent to its destination; looked at again at that time.
    pub held_until: Option<Timestamp>,
}

/// Why an attempt that was begun is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    /// Its turn: the time in which it is tried goes on.
    Turn,
    /// Its channel or its address: what cannot be tried is not given up either.
    Channel,
}

/// Adds a delivery of `run` with its first attempt begun, unless its destination is held.
pub(super) fn owe(
    rows: &mut dyn Rows,
    run: &Run,
    id: DeliveryId,
    destination: &Destination,
    body: Arc<str>,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<()> {
    let mut delivery = Delivery {
        id,
        run: run.spec.id,
        conversation: run.spec.conversation,
        destination: destination.clone(),
        body,
        state: DeliveryState::Sending,
        attempts: 1,
        next_at: now,
        created: now,
        since: now,
        note: String::new(),
    };
    if let Some(hold) = hold(rows, destination, now)? {
        delivery.attempts = 0;
        wait_for(&mut delivery, &hold, now);
        return rows.insert_delivery(&delivery);
    }
    rows.insert_delivery(&delivery)?;
    effects.deliveries.push(delivery);
    Ok(())
}

/// Begins an attempt on deliveries whose time has come. Those whose destination is held go on waiting.
pub fn take_deliveries(rows: &mut dyn Rows, limit: u32, now: Timestamp) -> Result<Vec<Delivery>> {
    let mut begun = Vec::new();
    for _ in 0..MAX_PAGES {
        let due = rows.due_deliveries(now, limit)?;
        if due.is_empty() {
            break;
        }
        for mut delivery in due {
            if let Some(hold) = hold(rows, &delivery.destination, now)? {
                wait_for(&mut delivery, &hold, now);
                rows.update_delivery(&delivery)?;
                continue;
            }
            delivery.state = DeliveryState::Sending;
            delivery.attempts += 1;
            rows.update_delivery(&delivery)?;
            begun.push(delivery);
        }
        if !begun.is_empty() {
            break;
        }
    }
    Ok(begun)
}

/// What holds a destination now.
fn hold(rows: &mut dyn Rows, on: &Destination, now: Timestamp) -> Result<Option<Hold>> {
    Ok(rows.hold(on)?.filter(|hold| hold.until.is_none_or(|until| until > now)))
}

/// Lets a delivery wait for what holds its destination. While the address is disabled,
/// the time in which it is tried stands still.
fn wait_for(delivery: &mut Delivery, hold: &Hold, now: Timestamp) {
    delivery.state = DeliveryState::Pending;
    delivery.next_at = hold.until.unwrap_or(now.after(DISABLED_LOOK));
    if hold.until.is_none() {
        delivery.since = delivery.next_at;
    }
    delivery.note.clone_from(&hold.note);
}

/// Gives begun attempts back as if they had not been begun: nothing was sent, nothing is counted.
/// An attempt that is not the newest, or is settled, changes nothing.
pub fn postpone(
    rows: &mut dyn Rows,
    begun: &[(DeliveryId, u32)],
    until: Timestamp,
    waits: WaitsFor,
    note: &str,
) -> Result<()> {
    for (id, number) in begun {
        let Some(mut delivery) = under_way(rows, *id, *number)? else { continue };
        give_back(rows, &mut delivery, until, note)?;
        if waits == WaitsFor::Channel {
            delivery.since = until;
            rows.update_delivery(&delivery)?;
        }
    }
    Ok(())
}

/// Gives a begun attempt back when an earlier delivery to its destination is not settled;
/// whether there is one. It is due with that one, and at once when that one is settled.
pub fn wait_for_earlier(rows: &mut dyn Rows, id: DeliveryId, number: u32) -> Result<bool> {
    let Some(mut delivery) = under_way(rows, id, number)? else { return Ok(true) };
    let first = rows.open_deliveries(&delivery.destination, 1)?.into_iter().next();
    let Some(first) = first.filter(|first| first.id != id) else { return Ok(false) };
    // Whatever becomes of the earlier one takes nothing of this one's time.
    delivery.since = first.next_at;
    give_back(rows, &mut delivery, first.next_at, &format!("waits: {} is before it", first.id))?;
    Ok(true)
}

/// The delivery, if this attempt of it is under way.
fn under_way(rows: &mut dyn Rows, id: DeliveryId, number: u32) -> Result<Option<Delivery>> {
    let is_it = |delivery: &Delivery| delivery.state == DeliveryState::Sending && delivery.attempts == number;
    Ok(rows.delivery(id)?.filter(is_it))
}

fn give_back(rows: &mut dyn Rows, delivery: &mut Delivery, until: Timestamp, note: &str) -> Result<()> {
    delivery.state = DeliveryState::Pending;
    delivery.attempts -= 1;
    delivery.next_at = until;
    note.clone_into(&mut delivery.note);
    rows.update_delivery(delivery)
}

/// What waits for its turn at this destination and was never tried is due.
fn free(rows: &mut dyn Rows, to: &Destination, limit: u32, now: Timestamp) -> Result<()> {
    for mut delivery in rows.open_deliveries(to, limit)? {
        if delivery.state == DeliveryState::Pending && delivery.attempts == 0 && delivery.next_at > now {
            (delivery.next_at, delivery.since) = (now, now);
            rows.update_delivery(&delivery)?;
        }
    }
    Ok(())
}

/// An operator wants it tried again, whatever became of it: due at once, with the id and the
/// body that it always had, and for a whole window. One that was delivered is sent once more.
/// Whatever holds its destination is lifted, for the others too.
pub fn retry_delivery(rows: &mut dyn Rows, id: DeliveryId, now: Timestamp) -> Result<Delivery> {
    let mut delivery = settled_or_waiting(rows, id)?;
    delivery.state = DeliveryState::Pending;
    (delivery.next_at, delivery.since) = (now, now);
    rows.update_delivery(&delivery)?;
    if rows.hold(&delivery.destination)?.is_some() {
        rows.set_hold(&delivery.destination, None)?;
        free(rows, &delivery.destination, FREED, now)?;
    }
    Ok(delivery)
}

/// An operator decides that it is not owed any more. Repeated, it changes nothing.
pub fn dismiss_delivery(rows: &mut dyn Rows, id: DeliveryId, note: &str, now: Timestamp) -> Result<Delivery> {
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
    free(rows, &delivery.destination, 1, now)?;
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
    rule: &SettleRule,
    now: Timestamp,
) -> Result<Settled> {
    let Some(mut delivery) = under_way(rows, id, number)? else {
        let there = rows.delivery(id)?.ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
        return Ok(Settled { state: there.state, next_at: None, held_until: None });
    };
    let held = holds(&delivery.destination, &result, now);
    (delivery.state, delivery.note) = match &result {
        AttemptResult::Delivered { note } => (DeliveryState::Delivered, note.clone()),
        AttemptResult::Permanent { note } | AttemptResult::Gone { note } => {
            (DeliveryState::Dead, note.clone())
        }
        AttemptResult::Retry { note, retry_after, .. } => {
            match next_attempt(delivery.since, now, *retry_after, rule) {
                Some(at) => {
                    delivery.next_at = at;
                    (DeliveryState::Pending, note.clone())
                }
                None => (DeliveryState::Dead, given_up(&delivery, note, now)),
            }
        }
    };
    rows.update_delivery(&delivery)?;
    rows.insert_attempt(&DeliveryAttempt { delivery: id, number, at: now, result })?;
    if let Some(hold) = &held {
        rows.set_hold(&delivery.destination, Some(hold))?;
    }
    if delivery.state.is_settled() && rule.order == Order::Strict {
        free(rows, &delivery.destination, 1, now)?;
    }
    Ok(Settled {
        state: delivery.state,
        next_at: (delivery.state == DeliveryState::Pending).then_some(delivery.next_at),
        held_until: held.map(|hold| hold.until.unwrap_or(now.after(DISABLED_LOOK))),
    })
}

/// What a receiver's answer says for everything that goes to the same destination.
fn holds(on: &Destination, result: &AttemptResult, now: Timestamp) -> Option<Hold> {
    match result {
        AttemptResult::Retry { note, retry_after: Some(wish), .. } if !wish.is_zero() => {
            let note = format!("waits: {on} asked for patience: {note}");
            Some(Hold { until: Some(now.after(*wish.min(&MAX_WISH))), note })
        }
        AttemptResult::Gone { note } => {
            let note = format!("waits: {on} is disabled ({note}); retry one of its deliveries to enable it");
            Some(Hold { until: None, note })
        }
        _ => None,
    }
}

/// Why a delivery is dead whose time is over.
fn given_up(delivery: &Delivery, note: &str, now: Timestamp) -> String {
    let hours = now.since(delivery.since).as_secs() / 3_600;
    let attempts = delivery.attempts;
    format!("given up after {attempts} attempts and {hours} hours: {note}")
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
