//! What receivers do to a host, and what comes of it: a real one on loopback,
//! behind a whole host, on a clock that is moved by hand.
//!
//! The answers one by one are checked beside the channel; here it is what
//! becomes of a result that is owed.

mod once;
mod texts;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::channel::{Channel, SecretRef};
use sublane::clock::{Clock as _, ManualClock};
use sublane::outbox::SWEEP;
use sublane_core::delivery::{AttemptResult, MAX_WISH, TextRule};
use sublane_core::{Delivery, DeliveryState, RunId, Timestamp};
use sublane_store::{DeliveryAttempt, DeliveryFilter, Model, Store};
use sublane_tests::receiver::{Act, Closed, Receiver, Request};
use sublane_tests::{PATIENCE, Setup, TestHost, temporary};
use tempfile::TempDir;

/// Tue, 14 Nov 2023 22:13:20 GMT.
const START: Timestamp = Timestamp(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const OK: Act = Act::Answer("200 OK", String::new());

/// A host, its clock, and where its store and its secret are.
struct Scene {
    host: TestHost,
    clock: ManualClock,
    store: Arc<dyn Store>,
    directory: Arc<TempDir>,
}

impl Scene {
    /// A host with the receivers `webhook:NAME`.
    async fn new(receivers: &[(&str, &str)]) -> Self {
        let store: Arc<dyn Store> = Arc::new(Model::default());
        Self::on(store, ManualClock::at(START), temporary(), receivers, TextRule::Whole).await
    }

    /// A host whose only receiver, `webhook:films`, takes texts by this rule.
    async fn with(text: TextRule, url: &str) -> Self {
        let store: Arc<dyn Store> = Arc::new(Model::default());
        Self::on(store, ManualClock::at(START), temporary(), &[("films", url)], text).await
    }

    async fn on(
        store: Arc<dyn Store>,
        clock: ManualClock,
        directory: Arc<TempDir>,
        receivers: &[(&str, &str)],
        text: TextRule,
    ) -> Self {
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("it can be written");
        let mut setup = Setup::on(store.clone(), directory.clone());
        setup = setup.clock(Arc::new(clock.clone())).plugin("spawns");
        if !receivers.is_empty() {
            let endpoint = |(name, url): &(&str, &str)| {
                let mut endpoint = Endpoint::new(*url, SecretRef::File(secret.clone()));
                // Long for a receiver on loopback that answers, and soon over for one that does not.
                endpoint.attempt_timeout = Duration::from_secs(2);
                endpoint.rule.text = text;
                ((*name).to_owned(), endpoint)
            };
            let webhook = Webhook::new(receivers.iter().map(endpoint).collect(), Arc::new(clock.clone()));
            let webhook: Arc<dyn Channel> = Arc::new(webhook.expect("the endpoints are right"));
            setup = setup.channel("webhook", webhook, None);
        }
        Self { host: setup.start().await, clock, store, directory }
    }

    /// Another host on the same store, with these receivers.
    async fn restart(self, receivers: &[(&str, &str)]) -> Self {
        self.host.host.stop().await;
        Self::on(self.store, self.clock, self.directory, receivers, TextRule::Whole).await
    }

    /// Another host on the same store, as of [`Self::with`].
    async fn restart_with(self, text: TextRule, url: &str) -> Self {
        self.host.host.stop().await;
        Self::on(self.store, self.clock, self.directory, &[("films", url)], text).await
    }

    /// A run that has ended and owes its result to `webhook:NAME`.
    async fn owe(&self, to: &str) -> RunId {
        let run = self.host.begin_for("spawns/echo", json!("done"), &[&format!("webhook:{to}")]).await;
        self.host.ended(run).await;
        run
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
        self.store.deliveries(filter).await.expect("the store answers")
    }

    async fn attempts(&self, delivery: &Delivery) -> Vec<DeliveryAttempt> {
        self.store.attempts(delivery.id).await.expect("the store answers")
    }

    /// All deliveries, once none is under way or due.
    async fn at_rest(&self) -> Vec<Delivery> {
        let mut changes = self.host.inner().changes();
        let resting = async {
            loop {
                let all = self.deliveries().await;
                let now = self.clock.now();
                let rests = |delivery: &Delivery| match delivery.state {
                    DeliveryState::Pending => delivery.next_at > now,
                    DeliveryState::Sending => false,
                    _ => true,
                };
                if all.iter().all(rests) {
                    return all;
                }
                let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, resting).await.expect("what is due is tried")
    }

    /// What became of what a run owes.
    async fn owed(&self, run: RunId) -> Delivery {
        let all = self.at_rest().await;
        all.into_iter().find(|delivery| delivery.run == run).expect("it owes something")
    }

    fn advance_to(&self, at: Timestamp) {
        self.clock.advance(at.since(self.clock.now()));
    }

    /// Lets time pass until nothing waits any more, or `until` has come. Gives what there is then.
    async fn pass(&self, until: Timestamp) -> Vec<Delivery> {
        loop {
            let all = self.at_rest().await;
            let waiting = all.iter().filter(|delivery| delivery.state == DeliveryState::Pending);
            match waiting.map(|delivery| delivery.next_at).min().filter(|next| *next < until) {
                // A host that did not set the time itself finds it at its next look.
                Some(next) => self.advance_to(next.after(SWEEP)),
                None if all.iter().all(|delivery| delivery.state.is_settled()) => return all,
                None => {
                    self.advance_to(until);
                    return self.at_rest().await;
                }
            }
        }
    }
}

/// The only attempt's result.
async fn only_attempt(scene: &Scene, delivery: &Delivery) -> AttemptResult {
    let mut attempts = scene.attempts(delivery).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts.remove(0).result
}

fn ids(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(Request::id).collect()
}

/// Complaints 93323 and 89545, R2: a receiver that is down for an hour costs no result; the
/// eleven that were lost there had three tries within seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_an_hour_gets_everything_once() {
    let closed = Closed::new();
    let scene = Scene::new(&[("films", &closed.url())]).await;
    for _ in 0..5 {
        scene.owe("films").await;
    }
    let owed = scene.pass(START.after(HOUR)).await;
    for delivery in &owed {
        assert_eq!(delivery.state, DeliveryState::Pending, "{delivery:?}");
        let attempts = scene.attempts(delivery).await;
        assert!(attempts.len() > 5, "{attempts:?}");
        let not_sent = |attempt: &DeliveryAttempt| {
            matches!(&attempt.result, AttemptResult::Retry { ambiguous: false, .. })
        };
        assert!(attempts.iter().all(not_sent), "nobody was there, so nothing can be doubled: {attempts:?}");
    }
    let receiver = closed.open(|_| OK);
    let delivered = scene.pass(START.after(3 * HOUR)).await;
    assert!(delivered.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{delivered:?}");
    let mut expected: Vec<String> = owed.iter().map(|delivery| delivery.id.to_string()).collect();
    let requests = receiver.requests();
    let mut seen = ids(&requests);
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

/// Complaints 33403 (R30) and 24353 (R31): what the receiver refuses is not sent again, not after a restart either;
/// and what comes after it is not held up.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_across_restarts_and_blocks_nobody() {
    let receiver = Receiver::script(vec![Act::status("400 Bad Request"), OK]);
    let urls = [("films", receiver.url.as_str())];
    let mut scene = Scene::new(&urls).await;
    let refused = scene.owe("films").await;
    let dead = scene.owed(refused).await;
    assert_eq!((dead.state, dead.note.as_str()), (DeliveryState::Dead, "400 Bad Request"));
    for _ in 0..3 {
        scene = scene.restart(&urls).await;
        scene.clock.advance(24 * HOUR);
    }
    let next = scene.owe("films").await;
    assert_eq!(scene.owed(next).await.state, DeliveryState::Delivered);
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_gone_is_left_alone_until_an_operator_says_otherwise() {
    let receiver = Receiver::script(vec![Act::status("410 Gone"), OK]);
    let urls = [("films", receiver.url.as_str())];
    let mut scene = Scene::new(&urls).await;
    let first = scene.owe("films").await;
    let dead = scene.owed(first).await;
    assert_eq!(dead.state, DeliveryState::Dead);
    let second = scene.owe("films").await;
    for _ in 0..3 {
        scene = scene.restart(&urls).await;
        scene.pass(scene.clock.now().after(24 * HOUR)).await;
    }
    let waits = scene.owed(second).await;
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Pending, 0));
    assert!(waits.note.contains("webhook:films is disabled"), "{}", waits.note);
    assert_eq!(receiver.requests().len(), 1);
    scene.store.retry_delivery(dead.id, scene.clock.now()).await.expect("it may be");
    scene.host.inner().outbox.wake();
    let all = scene.pass(scene.clock.now().after(HOUR)).await;
    assert!(all.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{all:?}");
    assert_eq!(receiver.requests().len(), 3);
}

/// Complaint 17000, R3: a busy receiver says when it has time, uses nothing up, and is sent
/// nothing before then: not what it refused, not what came later, not after a restart.
async fn check_patience(status: &'static str, wish: &'static str) {
    let clock = ManualClock::at(START);
    let times = Arc::new(Mutex::new(Vec::new()));
    let receiver = Receiver::start({
        let (clock, times) = (clock.clone(), times.clone());
        move |_| {
            let mut times = times.lock();
            times.push(clock.now());
            match times.len() {
                1 => Act::Answer(status, format!("retry-after: {wish}\r\n")),
                _ => OK,
            }
        }
    });
    let other = Receiver::start(|_| OK);
    let urls = [("films", receiver.url.as_str()), ("other", &other.url)];
    let scene = Scene::on(Arc::new(Model::default()), clock, temporary(), &urls, TextRule::Whole).await;
    let first = scene.owe("films").await;
    assert_eq!(scene.owed(first).await.next_at, START.after(HOUR));
    scene.owe("films").await;
    let scene = scene.restart(&urls).await;
    scene.advance_to(START.after(HOUR - Duration::from_secs(1)));
    // What goes elsewhere is not held up, and shows that this host looks at what is due.
    let elsewhere = scene.owe("other").await;
    assert_eq!(scene.owed(elsewhere).await.state, DeliveryState::Delivered);
    let all = scene.pass(START.after(2 * HOUR)).await;
    assert!(all.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{all:?}");
    let times = times.lock().clone();
    assert_eq!((times.len(), times[0]), (3, START));
    assert!(times[1..].iter().all(|at| *at >= START.after(HOUR)), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_receiver_that_says_for_how_long_is_left_alone() {
    check_patience("429 Too Many Requests", "3600").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_receiver_that_says_until_when_is_left_alone() {
    check_patience("429 Too Many Requests", "Tue, 14 Nov 2023 23:13:20 GMT").await;
    check_patience("503 Service Unavailable", "Tue, 14 Nov 2023 23:13:20 GMT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_cannot_ask_for_patience_without_end() {
    let wish = "retry-after: 999999999\r\n".to_owned();
    let receiver = Receiver::script(vec![Act::Answer("429 Too Many Requests", wish), OK]);
    let scene = Scene::new(&[("films", &receiver.url)]).await;
    let run = scene.owe("films").await;
    assert_eq!(scene.owed(run).await.next_at, START.after(MAX_WISH));
    scene.pass(START.after(2 * MAX_WISH)).await;
    assert_eq!(scene.owed(run).await.state, DeliveryState::Delivered);
}

/// What a receiver does with the first two requests; then it takes the third.
async fn check_passing(trouble: Act, is_ambiguous: bool) {
    let receiver = Receiver::script(vec![trouble.clone(), trouble, OK]);
    let scene = Scene::new(&[("films", &receiver.url)]).await;
    let run = scene.owe("films").await;
    scene.pass(START.after(HOUR)).await;
    let delivered = scene.owed(run).await;
    assert_eq!((delivered.state, delivered.attempts), (DeliveryState::Delivered, 3), "{delivered:?}");
    for attempt in &scene.attempts(&delivered).await[..2] {
        let AttemptResult::Retry { ambiguous, .. } = attempt.result else { panic!("{attempt:?}") };
        assert_eq!(ambiguous, is_ambiguous, "{attempt:?}");
    }
    let requests = receiver.requests();
    assert_eq!(ids(&requests), [delivered.id.to_string().as_str(); 3], "one id for all of them");
    assert!(requests.iter().all(|request| request.body == *delivered.body), "and one body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_tried_again() {
    check_passing(Act::status("500 Internal Server Error"), false).await;
}

/// Complaint 41235, R10: an answer that comes too late is no refusal; the id is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_answer_in_time_is_tried_again_under_the_same_id() {
    check_passing(Act::Silence, true).await;
}

/// Complaint 89626, R10: nobody knows whether it arrived; the id is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_closes_after_it_has_read_is_tried_again_under_the_same_id() {
    check_passing(Act::Close, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_megabytes_is_not_read_to_its_end() {
    let receiver = Receiver::start(|_| Act::Flood(64 << 20));
    let scene = Scene::new(&[("films", &receiver.url)]).await;
    for _ in 0..3 {
        let run = scene.owe("films").await;
        let delivered = scene.owed(run).await;
        assert_eq!((delivered.state, delivered.attempts), (DeliveryState::Delivered, 1), "{delivered:?}");
    }
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(|_| OK);
    let location = format!("location: {}\r\n", elsewhere.url);
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let receiver = Receiver::script(vec![Act::Answer(status, location.clone())]);
        let scene = Scene::new(&[("films", &receiver.url)]).await;
        let run = scene.owe("films").await;
        let dead = scene.owed(run).await;
        assert_eq!(dead.state, DeliveryState::Dead);
        let AttemptResult::Permanent { note } = only_attempt(&scene, &dead).await else { panic!("{dead:?}") };
        assert_eq!(note, format!("{status}: redirects are not followed"));
    }
    assert!(elsewhere.requests().is_empty());
}

/// Complaint 126800, R32: a channel that is not there yet loses nothing, however long it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_comes_weeks_later_gets_what_was_owed() {
    let receiver = Receiver::start(|_| OK);
    let scene = Scene::new(&[]).await;
    let run = scene.owe("films").await;
    let begun = scene.clock.now();
    scene.clock.advance(5 * 24 * HOUR);
    let waits = scene.owed(run).await;
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Pending, 0));
    assert_eq!(waits.note, "waits: there is no channel `webhook`");
    let scene = scene.restart(&[("films", &receiver.url)]).await;
    scene.pass(begun.after(6 * 24 * HOUR)).await;
    assert_eq!(scene.owed(run).await.state, DeliveryState::Delivered);
    assert_eq!(receiver.requests().len(), 1);
}
