//! The promises of the outbox.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use sublane_core::delivery::DEFAULT_WINDOW;

use super::queues::{MAX_ATTEMPTS, MAX_ATTEMPTS_PER_DESTINATION};
use super::scene::{START, Scene, within};
use super::*;
use crate::clock::ManualClock;

fn delivered() -> AttemptResult {
    AttemptResult::Delivered { note: "thanks".to_owned() }
}

fn retry() -> AttemptResult {
    AttemptResult::Retry { note: "busy".to_owned(), retry_after: None, ambiguous: false }
}

#[tokio::test]
async fn what_is_owed_is_sent_at_once_to_everybody_it_is_owed_to() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a", "probe:b"]).await;
    for _ in 0..2 {
        let call = scene.call().await;
        assert!(owed.contains(&call.delivery));
        call.end(delivered());
    }
    for delivery in owed {
        let settled = scene.settled(delivery.id, DeliveryState::Delivered, 1).await;
        assert_eq!((settled.note.as_str(), &settled.body), ("thanks", &delivery.body));
    }
}

#[tokio::test]
async fn attempts_follow_each_other_for_three_days_with_one_id_and_one_body() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    let mut attempt = 1;
    loop {
        let call = scene.call().await;
        let delivery = &call.delivery;
        assert_eq!((delivery.id, delivery.attempts, &delivery.body), (owed.id, attempt, &owed.body));
        let passed = scene.clock.now().since(START);
        call.end(retry());
        if passed >= DEFAULT_WINDOW {
            break;
        }
        let settled = scene.settled(owed.id, DeliveryState::Pending, attempt).await;
        assert!(settled.next_at > scene.clock.now(), "attempt {attempt}");
        scene.advance_to(settled.next_at.before(Duration::from_millis(1)));
        scene.check_quiet().await;
        scene.advance_to(settled.next_at);
        attempt += 1;
    }
    let dead = scene.settled(owed.id, DeliveryState::Dead, attempt).await;
    assert_eq!(dead.note, format!("given up after {attempt} attempts and 72 hours: busy"));
    let attempts = scene.store.attempts(owed.id).await.expect("reads");
    assert!(attempts.iter().map(|attempt| attempt.number).eq(1..=attempt));
}

/// Complaint 17000: a busy receiver uses nothing up, and is left alone while it asks for it.
#[tokio::test]
async fn a_receiver_that_asks_for_patience_is_sent_nothing_before_then() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"; 6]).await;
    let mut under_way = Vec::new();
    for _ in 0..MAX_ATTEMPTS_PER_DESTINATION {
        under_way.push(scene.call().await);
    }
    let retry_after = Some(Duration::from_secs(3_600));
    let first = under_way.remove(0);
    let id = first.delivery.id;
    first.end(AttemptResult::Retry { note: "429".to_owned(), retry_after, ambiguous: false });
    let until = scene.settled(id, DeliveryState::Pending, 1).await.next_at;
    under_way.into_iter().for_each(|call| call.end(delivered()));
    for waits in &owed[MAX_ATTEMPTS_PER_DESTINATION..] {
        let waits = scene.settled(waits.id, DeliveryState::Pending, 0).await;
        assert_eq!(waits.next_at, until);
    }
    let late = scene.send(&["probe:a", "probe:b"]).await;
    assert_eq!(late.len(), 1, "the commit that owes it knows");
    scene.call().await.end(delivered());
    // A restart does not forget it.
    scene.outbox.stop().await;
    let mut scene = Scene::on(scene.store.clone(), scene.clock.clone(), &["probe"]);
    scene.advance_to(until.before(Duration::from_millis(1)));
    scene.check_quiet().await;
    scene.clock.advance(SWEEP);
    for _ in 0..4 {
        scene.call().await.end(delivered());
    }
    scene.settled(id, DeliveryState::Delivered, 2).await;
}

#[tokio::test]
async fn an_address_that_is_gone_is_sent_nothing_until_an_operator_retries() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    scene.call().await.end(AttemptResult::Gone { note: "410 Gone".to_owned() });
    scene.settled(owed.id, DeliveryState::Dead, 1).await;
    assert!(scene.send(&["probe:a"]).await.is_empty());
    for _ in 0..10 {
        scene.clock.advance(Duration::from_secs(86_400));
        scene.check_quiet().await;
    }
    scene.store.retry_delivery(owed.id, scene.clock.now()).await.expect("it may be");
    scene.outbox.wake();
    for _ in 0..2 {
        scene.call().await.end(delivered());
    }
    scene.settled(owed.id, DeliveryState::Delivered, 2).await;
}

#[tokio::test]
async fn where_the_order_is_strict_none_overtakes_and_a_dead_letter_blocks_none() {
    let mut scene = Scene::new();
    let mut owed = Vec::new();
    for _ in 0..5 {
        owed.extend(scene.send(&["probe:strict"]).await);
    }
    let mut seen = Vec::new();
    let first = scene.call().await;
    scene.check_quiet().await;
    seen.push(first.delivery.id);
    first.end(retry());
    let again = scene.settled(owed[0].id, DeliveryState::Pending, 1).await.next_at;
    for later in &owed[1..] {
        scene.settled(later.id, DeliveryState::Pending, 0).await;
    }
    scene.check_quiet().await;
    scene.advance_to(again);
    let first = scene.call().await;
    scene.check_quiet().await;
    assert_eq!(first.delivery.id, owed[0].id);
    first.end(AttemptResult::Permanent { note: "400".to_owned() });
    for _ in 1..owed.len() {
        let call = scene.call().await;
        scene.check_quiet().await;
        seen.push(call.delivery.id);
        call.end(delivered());
    }
    assert!(seen.iter().eq(owed.iter().map(|delivery| &delivery.id)));
}

#[tokio::test]
async fn a_receivers_wish_is_kept() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    let retry_after = Some(Duration::from_secs(3_600));
    scene.call().await.end(AttemptResult::Retry { note: String::new(), retry_after, ambiguous: false });
    let settled = scene.settled(owed.id, DeliveryState::Pending, 1).await;
    assert_eq!(settled.next_at, START.after(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn a_permanent_refusal_is_dead_at_once() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    scene.call().await.end(AttemptResult::Permanent { note: "410 Gone".to_owned() });
    assert_eq!(scene.settled(owed.id, DeliveryState::Dead, 1).await.note, "410 Gone");
}

#[tokio::test]
async fn a_missing_channel_is_waited_for_and_costs_no_attempt() {
    let mut scene = Scene::on(Arc::default(), ManualClock::at(START), &["other"]);
    let owed = scene.send(&["probe:a"]).await.remove(0);
    let waits = scene.settled(owed.id, DeliveryState::Pending, 0).await;
    assert_eq!(waits.note, "waits: there is no channel `probe`");
    for _ in 0..20 {
        let seen = *scene.settled.borrow_and_update();
        scene.clock.advance(MISSING_CHANNEL_WAIT);
        within(scene.settled.wait_for(|count| *count > seen)).await.expect("the outbox lives");
    }
    assert_eq!(scene.now(owed.id).await.attempts, 0);
    assert!(scene.store.attempts(owed.id).await.expect("reads").is_empty());
    let (store, clock) = (scene.store.clone(), scene.clock.clone());
    scene.outbox.stop().await;
    clock.advance(MISSING_CHANNEL_WAIT);
    let mut scene = Scene::on(store, clock, &["probe"]);
    let call = scene.call().await;
    assert_eq!((call.delivery.attempts, &call.delivery.body), (1, &owed.body));
    call.end(delivered());
    scene.settled(owed.id, DeliveryState::Delivered, 1).await;
}

#[tokio::test]
async fn an_address_that_is_not_configured_is_waited_for() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:unknown", "probe:a"]).await;
    let call = scene.call().await;
    assert_eq!(call.delivery.id, owed[1].id);
    let waits = scene.settled(owed[0].id, DeliveryState::Pending, 0).await;
    assert_eq!(waits.note, "waits: channel `probe` has no address `unknown`");
    call.end(delivered());
}

#[tokio::test]
async fn a_slow_destination_blocks_nobody_else() {
    let mut scene = Scene::new();
    scene.send(&["probe:slow"; 20]).await;
    let mut slow = Vec::new();
    for _ in 0..MAX_ATTEMPTS_PER_DESTINATION {
        slow.push(scene.call().await);
    }
    scene.check_quiet().await;
    let fast = scene.send(&["probe:fast"]).await.remove(0);
    let call = scene.call().await;
    assert_eq!(call.delivery.id, fast.id);
    call.end(delivered());
    scene.settled(fast.id, DeliveryState::Delivered, 1).await;
    slow.remove(0).end(delivered());
    assert_eq!(scene.call().await.delivery.destination.address, "slow");
}

#[tokio::test]
async fn attempts_under_way_are_bounded() {
    let mut scene = Scene::new();
    let destinations: Vec<_> = (0..100).map(|n| format!("probe:{n}")).collect();
    scene.send(&destinations).await;
    let mut held = Vec::new();
    for _ in 0..MAX_ATTEMPTS {
        held.push(scene.call().await);
    }
    scene.check_quiet().await;
    held.remove(0).end(delivered());
    scene.call().await;
}

#[tokio::test]
async fn each_is_sent_once_however_often_the_sweep_looks() {
    let mut scene = Scene::new();
    let mut owed = BTreeMap::new();
    for _ in 0..30 {
        let destinations: Vec<_> = (0..10).map(|n| format!("probe:{n}")).collect();
        owed.extend(scene.send(&destinations).await.into_iter().map(|delivery| (delivery.id, delivery)));
        scene.outbox.wake();
        scene.clock.advance(SWEEP);
    }
    for _ in 0..300 {
        let call = scene.call().await;
        let delivery = owed.remove(&call.delivery.id).expect("was not sent before");
        assert_eq!(delivery, call.delivery);
        call.end(delivered());
    }
    scene.clock.advance(SWEEP);
    scene.check_quiet().await;
}

#[tokio::test]
async fn what_an_earlier_host_did_not_settle_is_sent_again() {
    let scene = Scene::new();
    let owed = scene.owe(&["probe:a"]).await.remove(0);
    scene.outbox.stop().await;
    let recovered = scene.store.recover(3, "file:///".into(), START).await.expect("recovers");
    assert_eq!(recovered.unsettled, 1);
    let mut scene = Scene::on(scene.store.clone(), scene.clock.clone(), &["probe"]);
    let call = scene.call().await;
    assert_eq!((call.delivery.id, call.delivery.attempts, &call.delivery.body), (owed.id, 2, &owed.body));
    call.end(delivered());
    scene.settled(owed.id, DeliveryState::Delivered, 2).await;
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    let call = scene.call().await;
    scene.store.is_failing.store(true, Ordering::SeqCst);
    call.end(delivered());
    for _ in 0..10 {
        scene.check_quiet().await;
        scene.clock.advance(BACKOFF.1);
    }
    assert_eq!(scene.now(owed.id).await.state, DeliveryState::Sending);
    scene.store.is_failing.store(false, Ordering::SeqCst);
    scene.clock.advance(BACKOFF.1);
    scene.settled(owed.id, DeliveryState::Delivered, 1).await;
    // The sweep has gone on, too.
    let next = scene.send(&["probe:a"]).await.remove(0);
    scene.call().await.end(retry());
    let settled = scene.settled(next.id, DeliveryState::Pending, 1).await;
    scene.advance_to(settled.next_at);
    scene.call().await.end(delivered());
    scene.settled(next.id, DeliveryState::Delivered, 2).await;
}

#[tokio::test]
async fn a_channel_that_panics_is_an_ambiguous_attempt() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    drop(scene.call().await.answer);
    scene.settled(owed.id, DeliveryState::Pending, 1).await;
    let attempts = scene.store.attempts(owed.id).await.expect("reads");
    assert!(matches!(attempts[0].result, AttemptResult::Retry { ambiguous: true, .. }));
}

#[tokio::test]
async fn a_stop_settles_what_is_under_way_and_gives_back_what_waits() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"; 6]).await;
    let mut under_way = Vec::new();
    for _ in 0..4 {
        under_way.push(scene.call().await);
    }
    let Scene { calls, outbox, .. } = &mut scene;
    let answer = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(calls.try_recv().is_err());
        under_way.into_iter().for_each(|call| call.end(delivered()));
        std::future::pending::<()>().await;
    };
    tokio::select! { () = outbox.stop() => {}, () = answer => {} }
    let mut states = Vec::new();
    for delivery in &owed {
        let delivery = scene.now(delivery.id).await;
        states.push((delivery.state, delivery.attempts));
    }
    states.sort_by_key(|(_, attempts)| *attempts);
    assert_eq!(states[..2], [(DeliveryState::Pending, 0); 2]);
    assert_eq!(states[2..], [(DeliveryState::Delivered, 1); 4]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever_and_loses_nothing() {
    let mut scene = Scene::new();
    let owed = scene.send(&["probe:a"]).await.remove(0);
    let held = scene.call().await;
    tokio::time::pause();
    scene.outbox.stop().await;
    drop(held);
    assert_eq!(scene.now(owed.id).await.state, DeliveryState::Sending);
    // Nothing begins after it.
    scene.outbox.send_now(vec![owed.clone()]);
    scene.check_quiet().await;
    assert_eq!(scene.store.recover(3, "".into(), START).await.expect("recovers").unsettled, 1);
    assert_eq!(scene.now(owed.id).await.state, DeliveryState::Pending);
}
