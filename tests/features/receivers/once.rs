//! A receiver that keeps its side of the bargain: it drops what it has by id.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sublane_core::DeliveryState;
use sublane_tests::receiver::{Act, Receiver};

use super::{HOUR, OK, START, Scene};

/// Most of what it is sent goes wrong in some way, before it was done or after.
fn troubled() -> Receiver {
    let count = Mutex::new(0);
    Receiver::start(move |_| {
        let mut count = count.lock();
        *count += 1;
        match *count % 7 {
            0 | 1 => Act::status("503 Service Unavailable"),
            2 | 3 => Act::Close,
            4 => Act::status("502 Bad Gateway"),
            _ => OK,
        }
    })
}

/// What a receiver does that drops what it has by id: bodies by id, the first of each. Says how
/// many it dropped.
fn done(receiver: &Receiver) -> (BTreeMap<String, String>, usize) {
    let requests = receiver.requests();
    let mut done = BTreeMap::new();
    for request in &requests {
        let first = done.entry(request.id().to_owned()).or_insert_with(|| request.body.clone());
        assert_eq!(*first, request.body, "one id has one body");
    }
    let dropped = requests.len() - done.len();
    (done, dropped)
}

/// Complaints 17122, 89626 and 41235, R9 and R10: a receiver that drops what it has by id does
/// each thing once, whatever goes wrong on the way. Complaint 34993, R29: and only what is its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_drops_repetitions_has_everything_exactly_once() {
    let (films, news) = (troubled(), troubled());
    let scene = Scene::new(&[("films", &films.url), ("news", &news.url)]).await;
    for _ in 0..12 {
        scene.owe("films").await;
        scene.owe("news").await;
    }
    let all = scene.pass(START.after(48 * HOUR)).await;
    assert!(all.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{all:?}");
    for (name, receiver) in [("films", films), ("news", news)] {
        let owed = all.iter().filter(|delivery| delivery.destination.address == name);
        let expected: BTreeMap<String, String> =
            owed.map(|delivery| (delivery.id.to_string(), delivery.body.to_string())).collect();
        let (done, dropped) = done(&receiver);
        assert_eq!((expected.len(), dropped > 0), (12, true));
        assert_eq!(done, expected);
    }
}
