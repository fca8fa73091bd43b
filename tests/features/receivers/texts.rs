//! Receivers that take only so much text at once.

use serde_json::{Value, json};
use sublane_core::delivery::TextRule;
use sublane_core::{Delivery, DeliveryState};
use sublane_tests::receiver::{Act, Receiver, Request};

use super::{HOUR, OK, START, Scene, ids};

/// 1,200 characters in words.
fn long() -> String {
    (0..200).map(|number| format!("{number:05} ")).collect()
}

/// A run that has ended with a long text.
async fn owe(scene: &Scene, text: &str) -> Delivery {
    let run = scene.host.begin_for("spawns/echo", json!(text), &["webhook:films"]).await;
    scene.host.ended(run).await;
    scene.owed(run).await
}

fn texts(requests: &[Request]) -> Vec<String> {
    let text = |request: &Request| {
        let body: Value = serde_json::from_str(&request.body).expect("a body is JSON");
        body["data"]["text"].as_str().expect("a text").to_owned()
    };
    requests.iter().map(text).collect()
}

/// A receiver that does this with its second request.
fn troubled(trouble: Act) -> Receiver {
    Receiver::script(vec![OK, trouble, OK])
}

/// Complaint 33403, R30: what is too long is cut before it is sent, instead of refused for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_goes_in_parts_that_fit() {
    let most = 500;
    // Refuses what is too long, as the receiver of that complaint did.
    let receiver = Receiver::start(move |request| {
        let text = texts(std::slice::from_ref(request)).remove(0);
        if text.chars().count() > most { Act::status("400 Bad Request") } else { OK }
    });
    let scene = Scene::new(&[("films", &receiver.url)]).await;
    let refused = owe(&scene, &long()).await;
    assert_eq!(refused.state, DeliveryState::Dead, "as long as the receiver's limit is not configured");
    let most = u32::try_from(most).expect("a small number");
    let scene = scene.restart_with(TextRule::Split(most), &receiver.url).await;
    let delivered = owe(&scene, &long()).await;
    assert_eq!((delivered.state, delivered.attempts), (DeliveryState::Delivered, 1));
    assert_eq!(delivered.note, "part 3 of 3: 200 OK");
    let requests = &receiver.requests()[1..];
    assert_eq!(texts(requests).concat(), long());
    assert_eq!(requests.len(), 3);
    let short = owe(&scene, "done").await;
    assert_eq!(receiver.requests()[4].id(), short.id.to_string(), "what fits goes as it is");
}

/// Complaint 17000, R3: a receiver that takes one part and then asks for patience gets on.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_has_arrived_is_not_sent_again() {
    let wish = "retry-after: 60\r\n".to_owned();
    let receiver = troubled(Act::Answer("429 Too Many Requests", wish));
    let scene = Scene::with(TextRule::Split(500), &receiver.url).await;
    let waits = owe(&scene, &long()).await;
    assert_eq!(waits.note, "part 2 of 3: 429 Too Many Requests");
    scene.pass(START.after(HOUR)).await;
    let requests = receiver.requests();
    let texts = texts(&requests);
    assert_eq!(texts.len(), 4);
    assert_eq!((requests[1].id(), &texts[1]), (requests[2].id(), &texts[2]), "the part that was refused");
    assert_eq!([&texts[0], &texts[2], &texts[3]].map(String::as_str).concat(), long());
}

/// Complaint 89626, R10: the host ends between two parts; each part has the id that it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_between_parts_doubles_nothing_at_a_receiver_that_drops_repetitions() {
    let receiver = troubled(Act::Close);
    let scene = Scene::with(TextRule::Split(500), &receiver.url).await;
    owe(&scene, &long()).await;
    // Restarted, nobody remembers how far it had come.
    let scene = scene.restart_with(TextRule::Split(500), &receiver.url).await;
    let all = scene.pass(START.after(HOUR)).await;
    assert_eq!(all[0].state, DeliveryState::Delivered, "{all:?}");
    let requests = receiver.requests();
    let all = ids(&requests);
    assert_eq!(all.len(), 5);
    assert_eq!(all[..2], all[2..4], "the first and the second once more");
    let mut seen = Vec::new();
    let fresh = requests.iter().filter(|request| {
        let is_fresh = !seen.contains(&request.id());
        seen.push(request.id());
        is_fresh
    });
    let fresh: Vec<Request> = fresh.cloned().collect();
    assert_eq!(texts(&fresh).concat(), long());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_can_be_shortened_instead_and_says_where_the_whole_is() {
    let receiver = Receiver::start(|_| OK);
    let scene = Scene::with(TextRule::Shorten(300), &receiver.url).await;
    let delivered = owe(&scene, &long()).await;
    let [text] = &texts(&receiver.requests())[..] else { panic!("one") };
    assert!(text.len() < 310 && text.starts_with("00000 00001 "), "{text}");
    assert!(
        text.contains(&format!("of 1200 characters. All of it: `sublane deliveries show {}`", delivered.id))
    );
    assert!(delivered.body.contains(&long()), "and there it is");
}
