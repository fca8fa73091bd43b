//! What holds a destination, and what waits for its turn there.

use std::time::Duration;

use sublane_core::delivery::{AttemptResult, DEFAULT_WINDOW, Order, SettleRule};
use sublane_core::{Delivery, DeliveryId, DeliveryState, Timestamp};
use sublane_store::{DeliveryFilter, Settled, Store, WaitsFor};

use crate::support::{START, at, claim, destination, message, success};

/// A run ends and owes one delivery; its first attempt is begun unless the destination is held.
async fn owed(store: &dyn Store, n: u8, to: &str) -> Delivery {
    let mut accept = message(n, "console:me");
    accept.spec.destinations = vec![destination(to)];
    let run = store.accept(accept).await.expect("accepted").run;
    store.finish(claim(store, run).await, success()).await.expect("it has its claim");
    let filter = DeliveryFilter { run: Some(run), limit: 1, ..DeliveryFilter::default() };
    store.deliveries(filter).await.expect("readable").remove(0)
}

async fn now(store: &dyn Store, id: DeliveryId) -> Delivery {
    let all = store.deliveries(DeliveryFilter { limit: 99, ..DeliveryFilter::default() }).await;
    all.expect("readable").into_iter().find(|delivery| delivery.id == id).expect("there")
}

async fn settle(store: &dyn Store, owed: &Delivery, result: AttemptResult, at: Timestamp) -> Settled {
    let rule = SettleRule { order: Order::Strict, ..SettleRule::default() };
    let attempts = now(store, owed.id).await.attempts;
    store.settle(owed.id, attempts, result, rule, at).await.expect("there")
}

async fn taken(store: &dyn Store, at: Timestamp) -> Vec<DeliveryId> {
    store.take_deliveries(9, at).await.expect("swept").iter().map(|delivery| delivery.id).collect()
}

fn busy(seconds: u64) -> AttemptResult {
    let retry_after = Some(Duration::from_secs(seconds));
    AttemptResult::Retry { note: "429".into(), retry_after, ambiguous: false }
}

fn delivered() -> AttemptResult {
    AttemptResult::Delivered { note: String::new() }
}

pub(crate) async fn a_receivers_wish_holds_everything_that_goes_there(store: &dyn Store) {
    let first = owed(store, 1, "webhook:films").await;
    let settled = settle(store, &first, busy(60), at(0)).await;
    assert_eq!((settled.next_at, settled.held_until), (Some(at(60_000)), Some(at(60_000))));
    let second = owed(store, 2, "webhook:films").await;
    assert_eq!((second.state, second.attempts, second.next_at), (DeliveryState::Pending, 0, at(60_000)));
    assert!(second.note.contains("asked for patience"), "{}", second.note);
    let other = owed(store, 3, "webhook:other").await;
    assert_eq!((other.state, other.attempts), (DeliveryState::Sending, 1), "others go on");
    assert!(taken(store, at(59_999)).await.is_empty());
    assert_eq!(taken(store, at(60_000)).await, [first.id, second.id]);
}

pub(crate) async fn a_wish_reaches_what_was_due_before_it(store: &dyn Store) {
    let [first, second] = [owed(store, 1, "webhook:films").await, owed(store, 2, "webhook:films").await];
    let retry = AttemptResult::Retry { note: "503".into(), retry_after: None, ambiguous: false };
    settle(store, &first, retry, at(0)).await;
    settle(store, &second, busy(3_600), at(1)).await;
    assert!(taken(store, at(5_000)).await.is_empty(), "it was due, and its destination is held");
    let held = now(store, first.id).await;
    assert_eq!((held.attempts, held.next_at, held.since), (1, at(3_600_001), START));
    assert_eq!(taken(store, at(3_600_001)).await, [first.id, second.id]);
}

pub(crate) async fn an_address_that_wants_no_more_is_disabled_until_an_operator_retries(store: &dyn Store) {
    let [first, second] = [owed(store, 1, "webhook:films").await, owed(store, 2, "webhook:films").await];
    let gone = settle(store, &first, AttemptResult::Gone { note: "410 Gone".into() }, at(0)).await;
    assert_eq!((gone.state, gone.next_at), (DeliveryState::Dead, None));
    assert!(gone.held_until.is_some_and(|until| until > at(0)));
    let retry = AttemptResult::Retry { note: "503".into(), retry_after: None, ambiguous: false };
    settle(store, &second, retry, at(1)).await;
    let third = owed(store, 3, "webhook:films").await;
    assert!(third.note.contains("is disabled (410 Gone)"), "{}", third.note);
    // For a month nothing is tried, and nothing is given up.
    let month = at(30 * 86_400_000);
    let mut look = at(10_000);
    while look < month {
        assert!(taken(store, look).await.is_empty());
        look = Timestamp(look.0 + 3_600_000);
    }
    store.retry_delivery(first.id, month).await.expect("it may be");
    let due = taken(store, month).await;
    assert!([first.id, second.id, third.id].iter().all(|id| due.contains(id)), "{due:?}");
    let settled = settle(store, &second, busy(60), month).await;
    assert_eq!(settled.state, DeliveryState::Pending, "its window stood still");
}

pub(crate) async fn none_overtakes_where_the_order_is_strict(store: &dyn Store) {
    let to = "webhook:films";
    let [a, b, c] = [owed(store, 1, to).await, owed(store, 2, to).await, owed(store, 3, to).await];
    assert!(!store.wait_for_earlier(a.id, 1).await.expect("there"), "it is the first");
    let retry = AttemptResult::Retry { note: "503".into(), retry_after: None, ambiguous: true };
    settle(store, &a, retry, at(0)).await;
    for later in [&b, &c] {
        assert!(store.wait_for_earlier(later.id, 1).await.expect("there"));
        let waits = now(store, later.id).await;
        assert_eq!((waits.state, waits.attempts, waits.next_at), (DeliveryState::Pending, 0, at(5_000)));
    }
    assert_eq!(taken(store, at(5_000)).await, [a.id, b.id, c.id], "in the order in which they were owed");
    for later in [&b, &c] {
        assert!(store.wait_for_earlier(later.id, 1).await.expect("there"));
    }
    settle(store, &a, delivered(), at(5_001)).await;
    assert_eq!(taken(store, at(5_001)).await[0], b.id);
    assert!(!store.wait_for_earlier(b.id, 1).await.expect("there"));
}

pub(crate) async fn a_dead_letter_holds_up_nobody(store: &dyn Store) {
    let to = "webhook:films";
    let [a, b, c] = [owed(store, 1, to).await, owed(store, 2, to).await, owed(store, 3, to).await];
    settle(store, &a, busy(1), at(0)).await;
    let late = Timestamp(START.0 + u64::try_from(DEFAULT_WINDOW.as_millis()).expect("some days"));
    for later in [&b, &c] {
        assert!(store.wait_for_earlier(later.id, 1).await.expect("there"));
    }
    assert!(taken(store, at(1_000)).await.is_empty(), "five seconds at least");
    assert_eq!(taken(store, late).await.len(), 3);
    for later in [&b, &c] {
        assert!(store.wait_for_earlier(later.id, 1).await.expect("there"));
    }
    assert_eq!(settle(store, &a, busy(1), late).await.state, DeliveryState::Dead);
    let free = Timestamp(late.0 + 1_000);
    assert_eq!(taken(store, free).await[0], b.id);
    assert!(!store.wait_for_earlier(b.id, 1).await.expect("there"));
    let retry = AttemptResult::Retry { note: "503".into(), retry_after: None, ambiguous: true };
    settle(store, &b, retry, free).await;
    store.wait_for_earlier(c.id, 1).await.expect("there");
    store.dismiss_delivery(b.id, "not wanted".into(), free).await.expect("it may be");
    assert_eq!(taken(store, free).await, [c.id], "nor does one that was dismissed");
}

pub(crate) async fn what_has_no_channel_is_not_given_up(store: &dyn Store) {
    let waits = owed(store, 1, "webhook:films").await;
    let mut day = START;
    for _ in 0..30 {
        let tomorrow = Timestamp(day.0 + 86_400_000);
        let begun = vec![(waits.id, 1)];
        store.postpone(begun, tomorrow, WaitsFor::Channel, "no channel".into()).await.expect("there");
        assert_eq!(taken(store, tomorrow).await, [waits.id]);
        day = tomorrow;
    }
    assert_eq!(settle(store, &waits, busy(1), day).await.state, DeliveryState::Pending);
}
