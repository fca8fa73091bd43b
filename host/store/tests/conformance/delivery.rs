//! What is owed, until it is settled.

use std::time::Duration;

use sublane_core::delivery::{AttemptResult, DEFAULT_WINDOW, DeliveryBody, SettleRule};
use sublane_core::{
    Delivery, DeliveryId, DeliveryState, Entry, Failure, Import, Outcome, Path, RunId, Timestamp,
};
use sublane_store::{Command, DeliveryFilter, Settled, Store, StoreError};

use crate::support::{START, accept, artifact, at, claim, destination, link_base, message, root, success};

/// Ends the root run number `n`; the delivery that it owes.
async fn owed(store: &dyn Store, n: u8) -> Delivery {
    let by = root(store, n).await;
    let effects = store.finish(by, success()).await.expect("it has its claim");
    effects.deliveries.into_iter().next().expect("one destination")
}

async fn get(store: &dyn Store, run: RunId) -> Delivery {
    let filter = DeliveryFilter { run: Some(run), limit: 9, ..DeliveryFilter::default() };
    store.deliveries(filter).await.expect("readable").remove(0)
}

async fn settle(
    store: &dyn Store,
    id: DeliveryId,
    attempt: u32,
    result: AttemptResult,
    now: Timestamp,
) -> Settled {
    store.settle(id, attempt, result, SettleRule::default(), now).await.expect("it is there")
}

fn retry(after: Option<u64>) -> AttemptResult {
    AttemptResult::Retry {
        note: "503".into(),
        retry_after: after.map(Duration::from_millis),
        ambiguous: true,
    }
}

pub(crate) async fn an_ending_owes_each_destination_once_with_its_first_attempt_begun(store: &dyn Store) {
    let mut two = message(1, "console:me");
    two.spec.destinations = vec![destination("console:me"), destination("webhook:films")];
    let run = store.accept(two).await.expect("accepted").run;
    let by = claim(store, run).await;
    let effects = store.finish(by, success()).await.expect("it has its claim");
    assert_eq!(effects.deliveries.len(), 2);
    for (index, delivery) in (0..).zip(&effects.deliveries) {
        assert_eq!(delivery.id, DeliveryId::ending(run, 0, index));
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Sending, 1));
        let body: DeliveryBody = serde_json::from_str(&delivery.body).expect("a body");
        assert_eq!((body.kind.as_str(), body.data.text.as_str()), ("run.succeeded", "Here it is."));
    }
    assert_eq!(effects.deliveries[1].destination, destination("webhook:films"));
    let mut stored =
        store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.expect("readable");
    stored.reverse();
    assert_eq!(stored, effects.deliveries);
    let due = store.take_deliveries(9, Timestamp(u64::MAX)).await.expect("swept");
    assert!(due.is_empty(), "an attempt is under way");
}

pub(crate) async fn a_result_that_cannot_be_read_is_passed_on_as_text(store: &dyn Store) {
    let by = root(store, 1).await;
    let value: std::sync::Arc<str> = r#""\ud800""#.into();
    let output = sublane_core::Output { value: value.clone(), text: None, artifacts: vec![] };
    let effects = store.finish(by, Outcome::Succeeded(output)).await.expect("it has its claim");
    let body: DeliveryBody = serde_json::from_str(&effects.deliveries[0].body).expect("a body");
    assert_eq!(body.data.value, serde_json::json!(&*value));
    assert!(body.data.text.contains("is done. Its result cannot be read: "), "{}", body.data.text);
}

pub(crate) async fn every_ending_owes(store: &dyn Store) {
    let failed = root(store, 1).await;
    store.finish(failed.clone(), Outcome::failed(Failure::Trapped, "")).await.expect("it has its claim");
    let cancelled = accept(store, 2).await.run;
    store.cancel(cancelled, "not wanted".into(), link_base(), START).await.expect("it is there");
    for (run, kind) in [(failed.run, "run.failed"), (cancelled, "run.cancelled")] {
        let body: DeliveryBody = serde_json::from_str(&get(store, run).await.body).expect("a body");
        assert_eq!(body.kind, kind);
    }
}

/// Complaint 115895: what was paid for is delivered, also when the run then fails.
pub(crate) async fn a_file_that_was_finished_goes_with_a_failure(store: &dyn Store) {
    let mut accept = message(1, "console:me");
    accept.spec.artifacts = vec![artifact(1)];
    let run = store.accept(accept).await.expect("accepted").run;
    let by = claim(store, run).await;
    let path = Path::root().then(1);
    let entry = Entry { path, import: Import::ArtifactFinish, args: 1, result: "".into(), at: START };
    store.command(by.clone(), entry, Command::Artifact(artifact(2))).await.expect("it has its claim");
    let failed = Outcome::failed(Failure::Failed, "the upload broke off");
    store.finish(by, failed).await.expect("it has its claim");
    let body: DeliveryBody = serde_json::from_str(&get(store, run).await.body).expect("a body");
    let files: Vec<_> = body.data.artifacts.iter().map(|link| link.id.as_str()).collect();
    assert_eq!(files, [artifact(2).id], "what it made, and not what it was given");
    assert!(body.data.text.ends_with("is kept, and comes with this."), "{}", body.data.text);
}

pub(crate) async fn a_delivered_delivery_is_settled(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let delivered = AttemptResult::Delivered { note: "200".into() };
    let settled = settle(store, delivery.id, 1, delivered.clone(), at(5)).await;
    assert_eq!(settled, Settled { state: DeliveryState::Delivered, next_at: None, held_until: None });
    let now = get(store, delivery.run).await;
    assert_eq!((now.state, now.note.as_str(), now.attempts), (DeliveryState::Delivered, "200", 1));
    assert_eq!(now.body, delivery.body);
    let attempts = store.attempts(delivery.id).await.expect("readable");
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].number, attempts[0].at, &attempts[0].result), (1, at(5), &delivered));
}

pub(crate) async fn a_refused_delivery_is_dead(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let refused = AttemptResult::Permanent { note: "410 Gone".into() };
    assert_eq!(settle(store, delivery.id, 1, refused, at(5)).await.state, DeliveryState::Dead);
    assert!(store.take_deliveries(9, Timestamp(u64::MAX)).await.expect("swept").is_empty());
}

pub(crate) async fn a_failed_attempt_is_tried_again_when_it_is_due(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let settled = settle(store, delivery.id, 1, retry(None), at(0)).await;
    assert_eq!(
        settled,
        Settled { state: DeliveryState::Pending, next_at: Some(at(5_000)), held_until: None }
    );
    assert!(store.take_deliveries(9, at(4_999)).await.expect("swept").is_empty());
    let taken = store.take_deliveries(9, at(5_000)).await.expect("swept");
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].id, taken[0].attempts, taken[0].state), (delivery.id, 2, DeliveryState::Sending));
    assert_eq!(taken[0].body, delivery.body, "one id, one body");
    assert!(store.take_deliveries(9, at(5_000)).await.expect("swept").is_empty(), "taken once");
    let delivered = AttemptResult::Delivered { note: String::new() };
    assert_eq!(settle(store, delivery.id, 2, delivered, at(5_001)).await.state, DeliveryState::Delivered);
    assert_eq!(store.attempts(delivery.id).await.expect("readable").len(), 2);
}

pub(crate) async fn the_receivers_wish_is_kept(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let settled = settle(store, delivery.id, 1, retry(Some(60_000)), at(0)).await;
    assert_eq!(settled.next_at, Some(at(60_000)));
    assert_eq!(store.attempts(delivery.id).await.expect("readable")[0].result, retry(Some(60_000)));
}

pub(crate) async fn an_old_attempt_settles_nothing(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    settle(store, delivery.id, 1, retry(None), at(0)).await;
    let late = settle(store, delivery.id, 1, AttemptResult::Delivered { note: "late".into() }, at(1)).await;
    assert_eq!(late, Settled { state: DeliveryState::Pending, next_at: None, held_until: None });
    store.take_deliveries(9, at(5_000)).await.expect("swept");
    let older =
        settle(store, delivery.id, 1, AttemptResult::Delivered { note: "late".into() }, at(5_001)).await;
    assert_eq!(older.state, DeliveryState::Sending);
    assert_eq!(store.attempts(delivery.id).await.expect("readable").len(), 1);
}

/// Complaint 93323: what is tried is given up by time, not by count.
pub(crate) async fn a_delivery_that_is_never_taken_is_given_up(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let (mut now, mut attempt) = (START, 1);
    while let Some(next) = settle(store, delivery.id, attempt, retry(None), now).await.next_at {
        (now, attempt) = (next, attempt + 1);
        assert_eq!(store.take_deliveries(9, now).await.expect("swept").len(), 1);
    }
    let dead = get(store, delivery.run).await;
    assert_eq!((dead.state, now.since(START)), (DeliveryState::Dead, DEFAULT_WINDOW));
    assert!(dead.note.starts_with("given up after 26 attempts and 72 hours: 503"), "{}", dead.note);
    store.retry_delivery(delivery.id, now).await.expect("it may be");
    let again = store.take_deliveries(9, now).await.expect("swept").remove(0);
    let settled = settle(store, delivery.id, again.attempts, retry(None), now).await;
    assert_eq!(settled.state, DeliveryState::Pending, "an operator gives it a whole window");
}

/// Complaint 112313: a dead letter can be retried. With the id and the body that it had.
pub(crate) async fn an_operator_has_anything_sent_again(store: &dyn Store) {
    let delivered = || AttemptResult::Delivered { note: String::new() };
    let refused = AttemptResult::Permanent { note: "400".into() };
    for (n, result) in [(1, delivered()), (2, refused), (3, retry(None))] {
        let delivery = owed(store, n).await;
        settle(store, delivery.id, 1, result, at(5)).await;
        let again = store.retry_delivery(delivery.id, at(9)).await.expect("it may be");
        assert_eq!((again.state, again.next_at, again.attempts), (DeliveryState::Pending, at(9), 1));
        let taken = store.take_deliveries(9, at(9)).await.expect("swept").remove(0);
        assert_eq!((taken.id, taken.attempts, &taken.body), (delivery.id, 2, &delivery.body));
        assert_eq!(settle(store, delivery.id, 2, delivered(), at(10)).await.state, DeliveryState::Delivered);
        assert_eq!(store.attempts(delivery.id).await.expect("readable").len(), 2);
    }
    let unknown = store.retry_delivery(DeliveryId([9; 16]), at(9)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
}

/// Complaint 112313: a dead letter can be removed.
pub(crate) async fn an_operator_dismisses_what_is_not_wanted(store: &dyn Store) {
    for (n, result) in [(1, AttemptResult::Permanent { note: "400".into() }), (2, retry(None))] {
        let delivery = owed(store, n).await;
        settle(store, delivery.id, 1, result, at(5)).await;
        for _ in 0..2 {
            let gone =
                store.dismiss_delivery(delivery.id, "not wanted".into(), at(6)).await.expect("it may be");
            assert_eq!((gone.state, gone.note.as_str()), (DeliveryState::Dismissed, "not wanted"));
        }
        assert_eq!(get(store, delivery.run).await.state, DeliveryState::Dismissed);
        assert!(store.take_deliveries(9, Timestamp(u64::MAX)).await.expect("swept").is_empty());
        let again = store.retry_delivery(delivery.id, at(9)).await.expect("a mistake can be mended");
        assert_eq!(again.state, DeliveryState::Pending);
        store.dismiss_delivery(delivery.id, "after all".into(), at(6)).await.expect("it may be");
    }
    let delivery = owed(store, 3).await;
    settle(store, delivery.id, 1, AttemptResult::Delivered { note: String::new() }, at(5)).await;
    let late = store.dismiss_delivery(delivery.id, "too late".into(), at(6)).await;
    assert!(matches!(late, Err(StoreError::Refused(_))), "{late:?}");
    assert_eq!(get(store, delivery.run).await.state, DeliveryState::Delivered);
}

pub(crate) async fn nothing_is_steered_while_an_attempt_is_under_way(store: &dyn Store) {
    let delivery = owed(store, 1).await;
    let retried = store.retry_delivery(delivery.id, at(1)).await;
    assert!(matches!(retried, Err(StoreError::Refused(_))), "{retried:?}");
    let dismissed = store.dismiss_delivery(delivery.id, "no".into(), at(6)).await;
    assert!(matches!(dismissed, Err(StoreError::Refused(_))), "{dismissed:?}");
    assert_eq!(get(store, delivery.run).await, delivery);
}

pub(crate) async fn deliveries_are_listed_by_state_and_run(store: &dyn Store) {
    let [delivered, dead, pending, sending] =
        [owed(store, 1).await, owed(store, 2).await, owed(store, 3).await, owed(store, 4).await];
    settle(store, delivered.id, 1, AttemptResult::Delivered { note: String::new() }, at(1)).await;
    settle(store, dead.id, 1, AttemptResult::Permanent { note: String::new() }, at(1)).await;
    settle(store, pending.id, 1, retry(None), at(1)).await;
    let list = async |state, run, limit| -> Vec<_> {
        let filter = DeliveryFilter { state, run, limit, ..DeliveryFilter::default() };
        let found = store.deliveries(filter).await.expect("readable");
        found.iter().map(|delivery| delivery.id).collect()
    };
    assert_eq!(list(None, None, 9).await, [sending.id, pending.id, dead.id, delivered.id], "newest first");
    assert_eq!(list(None, None, 1).await, [sending.id]);
    assert_eq!(list(Some(DeliveryState::Delivered), None, 9).await, [delivered.id]);
    assert_eq!(list(Some(DeliveryState::Dead), None, 9).await, [dead.id]);
    assert_eq!(list(Some(DeliveryState::Pending), None, 9).await, [pending.id]);
    assert_eq!(list(Some(DeliveryState::Sending), None, 9).await, [sending.id]);
    assert!(list(Some(DeliveryState::Dismissed), None, 9).await.is_empty());
    assert_eq!(list(Some(DeliveryState::Dead), Some(dead.run), 9).await, [dead.id]);
    assert!(list(Some(DeliveryState::Dead), Some(sending.run), 9).await.is_empty());
    let to = async |channel: &str, address: &str| {
        let (channel, address) = (Some(channel.to_owned()), Some(address.to_owned()));
        let filter = DeliveryFilter { channel, address, limit: 9, ..DeliveryFilter::default() };
        store.deliveries(filter).await.expect("readable").len()
    };
    assert_eq!((to("console", "me").await, to("console", "you").await, to("webhook", "me").await), (4, 0, 0));
}
