//! Who is sent to now, and who waits: a queue for each destination.
//!
//! A destination that is slow fills its own queue and a small part of what may
//! be under way in total; others go past it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::delivery::Order;
use sublane_core::{Destination, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Attempts under way at once.
pub(super) const MAX_ATTEMPTS: usize = 64;
/// Attempts under way at once to one destination.
pub(super) const MAX_ATTEMPTS_PER_DESTINATION: usize = 4;
/// Deliveries in memory for one destination, under way or waiting.
pub(super) const MAX_QUEUED_PER_DESTINATION: usize = 1_024;
/// Deliveries in memory in total.
pub(super) const MAX_QUEUED: usize = 8_192;

/// How long those wait outside that do not fit: so much for each queue's length before them.
const FULL_WAIT: Duration = Duration::from_secs(5);
/// The longest such wait.
const MAX_FULL_WAIT: Duration = Duration::from_secs(60);

/// The queues, and the bound on all of them.
pub(super) struct Queues {
    attempts: Semaphore,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    by_destination: HashMap<Destination, Queue>,
    queued: usize,
}

struct Queue {
    attempts: Arc<Semaphore>,
    queued: usize,
    /// Sent away since it was last empty.
    refused: u32,
    /// Those that are in the queue wait until then; who comes later is told by the store.
    held_until: Option<Timestamp>,
}

/// A place in a queue; dropped, it is free again.
pub(super) struct Ticket {
    destination: Destination,
    attempts: Arc<Semaphore>,
    queues: Arc<Mutex<Inner>>,
}

/// There is no room in memory: ask again after this.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) wait: Duration,
}

impl Default for Queues {
    fn default() -> Self {
        Self { attempts: Semaphore::new(MAX_ATTEMPTS), inner: Arc::default() }
    }
}

impl Queues {
    /// A place in the destination's queue.
    pub(super) fn enter(&self, destination: &Destination, order: Order) -> Result<Ticket, Refused> {
        let mut inner = self.inner.lock();
        let Inner { by_destination, queued } = &mut *inner;
        let is_full = *queued >= MAX_QUEUED;
        let queue = match by_destination.get_mut(destination) {
            Some(queue) => queue,
            None if is_full => return Err(Refused { wait: FULL_WAIT }),
            None => by_destination.entry(destination.clone()).or_insert_with(|| Queue::new(order)),
        };
        if is_full || queue.queued >= MAX_QUEUED_PER_DESTINATION {
            let rounds = 1 + queue.refused / u32::try_from(MAX_QUEUED_PER_DESTINATION).unwrap_or(u32::MAX);
            queue.refused = queue.refused.saturating_add(1);
            return Err(Refused { wait: FULL_WAIT.saturating_mul(rounds).min(MAX_FULL_WAIT) });
        }
        queue.queued += 1;
        *queued += 1;
        let attempts = queue.attempts.clone();
        Ok(Ticket { destination: destination.clone(), attempts, queues: self.inner.clone() })
    }

    /// Nobody's turn comes any more.
    pub(super) fn close(&self) {
        self.attempts.close();
        for queue in self.inner.lock().by_destination.values() {
            queue.attempts.close();
        }
    }
}

impl Queue {
    fn new(order: Order) -> Self {
        let at_once = match order {
            Order::Any => MAX_ATTEMPTS_PER_DESTINATION,
            Order::Strict => 1,
        };
        Self { attempts: Arc::new(Semaphore::new(at_once)), queued: 0, refused: 0, held_until: None }
    }
}

impl Ticket {
    /// Waits until an attempt may be made; `None` when the queues are closed.
    pub(super) async fn turn<'a>(
        &'a self,
        queues: &'a Queues,
    ) -> Option<(SemaphorePermit<'a>, SemaphorePermit<'a>)> {
        // The destination first: who waits for it holds nothing that others need.
        let here = self.attempts.acquire().await.ok()?;
        let anywhere = queues.attempts.acquire().await.ok()?;
        Some((here, anywhere))
    }

    /// Nothing of this queue is sent before then.
    pub(super) fn hold(&self, until: Timestamp) {
        if let Some(queue) = self.queues.lock().by_destination.get_mut(&self.destination) {
            queue.held_until = queue.held_until.max(Some(until));
        }
    }

    /// Until when nothing of this queue is sent.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        self.queues.lock().by_destination.get(&self.destination)?.held_until
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.queues.lock();
        inner.queued -= 1;
        if let Some(queue) = inner.by_destination.get_mut(&self.destination) {
            queue.queued -= 1;
            if queue.queued == 0 {
                inner.by_destination.remove(&self.destination);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(address: &str) -> Destination {
        Destination { channel: "webhook".to_owned(), address: address.to_owned() }
    }

    fn fill(queues: &Queues, address: &str, count: usize) -> Vec<Ticket> {
        (0..count).map(|_| queues.enter(&to(address), Order::Any).expect("there is room")).collect()
    }

    #[test]
    fn a_full_queue_sends_away_further_and_further_and_others_still_enter() {
        let queues = Queues::default();
        let held = fill(&queues, "slow", MAX_QUEUED_PER_DESTINATION);
        let mut waits = (0..20 * MAX_QUEUED_PER_DESTINATION)
            .map(|_| queues.enter(&to("slow"), Order::Any).err().expect("it is full").wait.as_secs())
            .collect::<Vec<_>>();
        assert!(waits.is_sorted());
        waits.dedup();
        assert_eq!(waits, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]);
        assert_eq!(fill(&queues, "other", 10).len(), 10);
        drop(held);
        assert_eq!(fill(&queues, "slow", 1).len(), 1);
    }

    #[test]
    fn all_queues_together_are_bounded_and_leave_nothing() {
        let queues = Queues::default();
        let mut held = Vec::new();
        for queue in 0..MAX_QUEUED / MAX_QUEUED_PER_DESTINATION {
            held.extend(fill(&queues, &queue.to_string(), MAX_QUEUED_PER_DESTINATION));
        }
        assert_eq!(queues.enter(&to("new"), Order::Any).err(), Some(Refused { wait: FULL_WAIT }));
        drop(held);
        assert!(queues.inner.lock().by_destination.is_empty() && queues.inner.lock().queued == 0);
        assert!(queues.enter(&to("new"), Order::Any).is_ok());
    }
}
