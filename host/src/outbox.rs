//! Delivers what is owed, at least once.
//!
//! Owns the attempts of every delivery: begins them, bounds them in total and
//! for each destination, and settles them in the store. A first attempt comes
//! marked from the commit that owes it and is sent at once; everything else is
//! found by a sweep, so that a restart is no special case. Never decides an
//! outcome, never changes a body or a destination, never talks to a plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sublane_core::delivery::{AttemptResult, Order, SettleRule};
use sublane_core::{Delivery, DeliveryId, DeliveryState, Timestamp};
use sublane_store::{Settled, Store, StoreError, WaitsFor};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::channel::{Channel, Channels, Class, Rule};
use crate::clock::Clock;

mod parts;
mod queues;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;

use parts::Sent;
use queues::{Queues, Refused, Ticket};

/// How often the sweep looks for deliveries that are due, hints or not.
pub const SWEEP: Duration = Duration::from_secs(5);
/// How long a delivery waits before it is seen whether its channel is there.
pub const MISSING_CHANNEL_WAIT: Duration = Duration::from_secs(60);
/// How long [`Outbox::stop`] lets attempts under way finish.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Deliveries that one look at the store takes.
const PAGE: u32 = 256;
/// Retries whose time the sweep knows beforehand; it finds others up to [`SWEEP`] late.
const MAX_HINTS: usize = 1_024;
/// The first and the longest wait after the store failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The outbox of a host. Dropped, it ends every attempt where it stands; [`Self::stop`]
/// ends them well.
pub struct Outbox {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

/// What attempts and the sweep share.
struct Shared {
    store: Arc<dyn Store>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    queues: Queues,
    /// How far texts in parts have come.
    sent: Sent,
    on_settled: Box<dyn Fn() + Send + Sync>,
    /// The sweep has something to look for.
    wake: Notify,
    /// When the next retries are due, at most [`MAX_HINTS`].
    hints: Mutex<BTreeSet<Timestamp>>,
    stopping: watch::Sender<bool>,
}

/// Every task of the outbox.
struct Tasks {
    io: Handle,
    /// `None` once it stops: nothing begins any more.
    set: Mutex<Option<JoinSet<()>>>,
}

/// Why an attempt is given back: until when, what it waits for, and a note for people.
type Why = (Timestamp, WaitsFor, String);
/// Attempts that are given back.
type Postponed = BTreeMap<Why, Vec<(DeliveryId, u32)>>;

impl Outbox {
    /// An outbox whose tasks run on `io`, with its sweep begun. For a store that has
    /// recovered: the sweep takes what is due at once. `on_settled` is called after
    /// each attempt is in the store; it must not block.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        io: Handle,
        on_settled: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            store,
            channels,
            clock,
            queues: Queues::default(),
            sent: Sent::default(),
            on_settled: Box::new(on_settled),
            wake: Notify::new(),
            hints: Mutex::default(),
            stopping: watch::channel(false).0,
        });
        let tasks = Arc::new(Tasks { io, set: Mutex::new(Some(JoinSet::new())) });
        tasks.spawn(sweep(shared.clone(), Arc::downgrade(&tasks)));
        Self { shared, tasks }
    }

    /// Sends deliveries whose attempt is marked in the store already, at once and from
    /// any thread. What has no channel, or too many before it, is given back to the store.
    pub fn send_now(&self, deliveries: Vec<Delivery>) {
        self.tasks.begin(&self.shared, deliveries);
    }

    /// A hint that something may be due.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Begins nothing more, lets attempts under way finish within [`STOP_TIMEOUT`] and
    /// closes the channels. What waited its turn is given back to the store. What is not
    /// settled by then stays as begun, and the next host's recovery releases it.
    pub async fn stop(&self) {
        self.shared.stopping.send_replace(true);
        self.shared.queues.close();
        let Some(mut tasks) = self.tasks.set.lock().take() else { return };
        let done = async {
            while let Some(ended) = tasks.join_next().await {
                report(ended);
            }
            for (_, channel) in self.shared.channels.iter() {
                channel.close().await;
            }
        };
        if timeout(STOP_TIMEOUT, done).await.is_err() {
            tracing::warn!(target: "sublane::delivery", "some attempts did not end in time; the next host releases them");
        }
    }
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(set) = &mut *self.set.lock() {
            while let Some(ended) = set.try_join_next() {
                report(ended);
            }
            set.spawn_on(task, &self.io);
        }
    }

    /// Begins attempts that are marked in the store.
    fn begin(&self, shared: &Arc<Shared>, deliveries: Vec<Delivery>) {
        let mut postponed = Postponed::new();
        for delivery in deliveries {
            match shared.admit(&delivery) {
                Ok((channel, ticket)) => {
                    let shared = shared.clone();
                    self.spawn(async move { shared.attempt(&delivery, channel, ticket).await });
                }
                Err(why) => postponed.entry(why).or_default().push((delivery.id, delivery.attempts)),
            }
        }
        for (why, begun) in postponed {
            let shared = shared.clone();
            self.spawn(async move { shared.postpone(begun, why).await });
        }
    }
}

/// A task of ours does not panic: what it calls is caught.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(target: "sublane::delivery", %error, "a task of the outbox failed");
    }
}

/// Takes what is due and begins it, woken and on a timer, until the outbox stops.
async fn sweep(shared: Arc<Shared>, tasks: Weak<Tasks>) {
    let mut stopping = shared.stopping.subscribe();
    let mut backoff = BACKOFF.0;
    loop {
        let now = shared.clock.now();
        shared.forget_hints(now);
        let wait = match shared.store.take_deliveries(PAGE, now).await {
            Ok(due) => {
                let is_page_full = due.len() >= PAGE as usize;
                let Some(tasks) = tasks.upgrade() else { return };
                tasks.begin(&shared, due);
                backoff = BACKOFF.0;
                if is_page_full { Duration::ZERO } else { SWEEP }
            }
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(target: "sublane::delivery", %error, "cannot see what is due");
                let wait = backoff;
                backoff = (2 * backoff).min(BACKOFF.1);
                wait
            }
        };
        let by = now.after(wait);
        let by = shared.hints.lock().first().map_or(by, |hint| by.min(*hint));
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = shared.wake.notified() => {}
            () = shared.clock.sleep(now, by) => {}
        }
    }
}

impl Shared {
    /// The channel and a place in the destination's queue, or why and until when there is none.
    fn admit(&self, delivery: &Delivery) -> Result<(Arc<dyn Channel>, Ticket), Why> {
        let (name, address) = (&delivery.destination.channel, &delivery.destination.address);
        let missing = |note: String| (self.clock.now().after(MISSING_CHANNEL_WAIT), WaitsFor::Channel, note);
        let Some(channel) = self.channels.get(name) else {
            return Err(missing(format!("waits: there is no channel `{name}`")));
        };
        if !channel.serves(address) {
            return Err(missing(format!("waits: channel `{name}` has no address `{address}`")));
        }
        match self.queues.enter(&delivery.destination, channel.rule(address).order) {
            Ok(ticket) => Ok((channel.clone(), ticket)),
            Err(Refused { wait }) => {
                let note = "waits: many deliveries are before it".to_owned();
                Err((self.clock.now().after(wait), WaitsFor::Turn, note))
            }
        }
    }

    /// One attempt: waits its turn, sends, settles.
    async fn attempt(&self, delivery: &Delivery, channel: Arc<dyn Channel>, ticket: Ticket) {
        let rule = channel.rule(&delivery.destination.address);
        let (result, turn) = {
            let Some(turn) = ticket.turn(&self.queues).await else {
                let note = "waits: the host stopped before it was sent".to_owned();
                return self.give_back(delivery, self.clock.now(), note).await;
            };
            if let Some(until) = ticket.held_until().filter(|until| *until > self.clock.now()) {
                let note = format!("waits: {} takes nothing now", delivery.destination);
                return self.give_back(delivery, until, note).await;
            }
            if rule.order == Order::Strict && self.waits_for_earlier(delivery).await {
                return (self.on_settled)();
            }
            (self.sent.attempt(&*channel, delivery, rule.text).await, turn)
        };
        // The next one goes out while this one is being settled, unless this one decides about it.
        let is_decisive = rule.order == Order::Strict || !matches!(result, AttemptResult::Delivered { .. });
        let turn = is_decisive.then_some(turn).map(|(here, _)| here);
        if let Some(settled) = self.settle(delivery, result.clone(), rule).await {
            if let Some(until) = settled.held_until {
                ticket.hold(until);
                self.note_due(until);
            }
            tell(delivery, channel.class(), &result, settled.state);
            if let Some(at) = settled.next_at {
                self.note_due(at);
            } else if rule.order == Order::Strict {
                self.wake.notify_one();
            }
            (self.on_settled)();
        }
        drop(turn);
    }

    /// `None`: the store has no place for it any more.
    async fn settle(&self, delivery: &Delivery, result: AttemptResult, rule: Rule) -> Option<Settled> {
        let rule = SettleRule { window: rule.window, order: rule.order, jitter: jitter() };
        self.insist("settle an attempt", || {
            self.store.settle(delivery.id, delivery.attempts, result.clone(), rule, self.clock.now())
        })
        .await
    }

    /// Whether an earlier delivery to its destination is not settled; then it was given back.
    async fn waits_for_earlier(&self, delivery: &Delivery) -> bool {
        let asked = self
            .insist("see whose turn it is", || self.store.wait_for_earlier(delivery.id, delivery.attempts));
        // Without an answer it stays as begun, and the next host's recovery releases it.
        asked.await.unwrap_or(true)
    }

    /// Gives one attempt back whose turn has not come.
    async fn give_back(&self, delivery: &Delivery, until: Timestamp, note: String) {
        self.postpone(vec![(delivery.id, delivery.attempts)], (until, WaitsFor::Turn, note)).await;
    }

    /// Gives attempts back that were marked and cannot be made now.
    async fn postpone(&self, begun: Vec<(DeliveryId, u32)>, (until, waits, note): Why) {
        tracing::warn!(target: "sublane::delivery", deliveries = begun.len(), note, "postponed");
        let note: Arc<str> = note.into();
        let given_back =
            self.insist("postpone", || self.store.postpone(begun.clone(), until, waits, note.clone())).await;
        if given_back.is_some() {
            self.note_due(until);
            (self.on_settled)();
        }
    }

    /// Does an operation of the store again and again while its medium fails; when the
    /// outbox stops, once more only.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        doing: &'static str,
        operation: impl Fn() -> F,
    ) -> Option<T> {
        let mut backoff = BACKOFF.0;
        let mut stopping = self.stopping.subscribe();
        loop {
            let is_last = *stopping.borrow_and_update();
            match operation().await {
                Ok(done) => return Some(done),
                Err(error @ (StoreError::Io(_) | StoreError::Full(_))) if !is_last => {
                    tracing::warn!(target: "sublane::delivery", %error, "cannot {doing}, tries again");
                }
                Err(error) => {
                    tracing::error!(target: "sublane::delivery", %error, "cannot {doing}");
                    return None;
                }
            }
            tokio::select! {
                () = self.clock.sleep_for(backoff) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            backoff = (2 * backoff).min(BACKOFF.1);
        }
    }

    /// Something will be due then: the sweep should not sleep longer.
    fn note_due(&self, at: Timestamp) {
        let mut hints = self.hints.lock();
        hints.insert(at);
        if hints.len() > MAX_HINTS {
            hints.pop_last();
        }
        let is_next = hints.first() == Some(&at);
        drop(hints);
        if is_next {
            self.wake.notify_one();
        }
    }

    /// The look at the store that comes now finds what these told of.
    fn forget_hints(&self, now: Timestamp) {
        let mut hints = self.hints.lock();
        *hints = hints.split_off(&now.after(Duration::from_millis(1)));
    }
}

/// The event of one attempt.
fn tell(delivery: &Delivery, class: Class, result: &AttemptResult, state: DeliveryState) {
    let (delivery_id, run, destination, attempt) =
        (delivery.id, delivery.run, &delivery.destination, delivery.attempts);
    macro_rules! event {
        ($level:ident, $result:literal, $note:expr) => {
            tracing::$level!(
                target: "sublane::delivery",
                delivery = %delivery_id, %run, %destination, attempt, result = $result, note = %$note, "attempt"
            )
        };
    }
    match (result, state) {
        (AttemptResult::Delivered { note }, _) => event!(info, "delivered", note),
        (AttemptResult::Permanent { note }, _) => event!(error, "dead", note),
        (AttemptResult::Gone { note }, _) => event!(error, "dead-and-address-disabled", note),
        (AttemptResult::Retry { note, .. }, DeliveryState::Dead) => event!(error, "dead", note),
        (AttemptResult::Retry { note, ambiguous: true, .. }, _) if class == Class::Blind => {
            event!(warn, "ambiguous-may-be-doubled", note);
        }
        (AttemptResult::Retry { note, ambiguous: true, .. }, _) => event!(warn, "ambiguous", note),
        (AttemptResult::Retry { note, .. }, _) => event!(warn, "not-sent", note),
    }
}

/// Chance in 0..=1.
fn jitter() -> f64 {
    let random = getrandom::u32().expect("a machine without randomness cannot be a host");
    f64::from(random) / f64::from(u32::MAX)
}
