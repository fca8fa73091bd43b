//! A request that a crash interrupted is made again with the same key; one that was answered is not.

use serde_json::{Value, json};
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, temporary, value};

use super::{ANYTHING, manifest};

fn post(url: &str, body: &str) -> Value {
    json!({ "http": { "method": "POST", "url": url, "body": body } })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_key_is_the_same_and_what_was_answered_is_not_asked_again() {
    let silent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_silent = silent.clone();
    let web = Web::start(move |asked| {
        let is_silent = is_silent.load(std::sync::atomic::Ordering::SeqCst);
        if asked.text() == "second" && is_silent { Answer::Silence } else { Answer::ok(asked.text()) }
    })
    .await;
    let directory = temporary();
    let plugin = manifest(ANYTHING, &[&web]);
    let host = Setup::durable(&directory).plugin_with("spawns", &plugin).start().await;
    let steps = json!([post(&web.url(), "first"), post(&web.url(), "second"), post(&web.url(), "third")]);
    let run = host.begin("spawns/act", steps).await;
    host.until("it waits for the second", || web.asked().len() == 2).await;
    // Dropped without a stop, a host has crashed.
    drop(host);
    silent.store(false, std::sync::atomic::Ordering::SeqCst);
    std::fs::remove_dir_all(directory.path().join("plugin-0")).expect("the copy goes");
    let host = Setup::durable(&directory).plugin_with("spawns", &plugin).start().await;
    let done = value(&host.ended(run).await);
    for (step, body) in ["first", "second", "third"].iter().enumerate() {
        assert_eq!(done[step]["body"], json!(body), "{done}");
    }
    let asked = web.asked();
    let seen: Vec<String> = asked.iter().map(sublane_tests::web::Asked::text).collect();
    assert_eq!(seen, ["first", "second", "second", "third"]);
    let key = |n: usize| asked[n].header("idempotency-key").to_owned();
    assert_eq!(key(1), key(2), "the same request");
    assert!(key(0) != key(1) && key(2) != key(3), "other requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_run_hears_again_what_it_heard() {
    let web =
        Web::start(|asked| Answer::ok(format!("{} on {}", asked.text(), asked.header("idempotency-key"))))
            .await;
    let mut setup = Setup::in_memory().plugin_with("spawns", &manifest(ANYTHING, &[&web]));
    setup.settings.hot_window = std::time::Duration::ZERO;
    let host = setup.start().await;
    let url = web.url();
    let into = json!({ "http": { "url": url, "into-file": "a" } });
    let steps = json!([post(&url, "first"), into, { "sleep": 50 }, post(&url, "second"), { "read": {} }]);
    let done = value(&host.run("spawns/act", steps).await);
    assert!(done[0]["body"].as_str().is_some_and(|body| body.starts_with("first on ")), "{done}");
    assert_eq!(done[1]["file"]["name"], json!("a"), "{done}");
    assert!(done[4].as_str().is_some_and(|text| text.starts_with(" on ")), "{done}");
    assert_eq!(web.asked().len(), 3, "nothing was asked twice");
}
