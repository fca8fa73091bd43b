//! What a run had others do is undone when the run does not succeed, once, whatever is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use sublane_core::grants::Authority;
use sublane_core::{Delivery, DeliveryState, Outcome, RunId, RunState};
use sublane_store::DeliveryFilter;
use sublane_tests::web::{Answer, Asked, Web};
use sublane_tests::{Setup, TestHost, temporary};

use super::{ANYTHING, acted, error, manifest};

/// Everything at the server, with a key that it may carry.
fn asks(web: &Web) -> String {
    let secret =
        r#"secrets = [{ name = "fal", header = "Authorization", audience = "http://127.0.0.1:{0}" }]"#;
    manifest(&format!("{ANYTHING}\n{secret}"), &[web])
}

fn undo(web: &Web, path: &str) -> Value {
    json!({ "http": {
        "method": "PUT", "url": format!("{}{path}", web.url()), "undo": true, "body": "{}",
        "headers": [["authorization", "Key {fal}"]], "secrets": ["fal"],
    } })
}

async fn started(setup: Setup, web: &Web) -> TestHost {
    setup.plugin_with("spawns", &asks(web)).secret("fal", "id:secret").start().await
}

/// A run that has registered and now waits for a word.
async fn waiting(host: &TestHost, steps: Value) -> RunId {
    let run = host.begin("spawns/act", steps).await;
    host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    run
}

/// What is owed to `undo`.
async fn owed(host: &TestHost) -> Vec<Delivery> {
    let filter = DeliveryFilter { channel: Some("undo".to_owned()), limit: 100, ..DeliveryFilter::default() };
    host.inner().store.deliveries(filter).await.expect("the store answers")
}

/// What was owed to `undo`, when all of it is settled.
async fn settled(host: &TestHost, count: usize) -> Vec<Delivery> {
    let mut changes = host.inner().changes();
    let all = async {
        loop {
            let owed = owed(host).await;
            if owed.len() == count && owed.iter().all(|delivery| delivery.state.is_settled()) {
                return owed;
            }
            changes.changed().await.expect("the host lives");
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, all).await.expect("it is settled in time")
}

fn accepts(_: &Asked) -> Answer {
    Answer::With("202 Accepted", Vec::new(), br#"{"status":"CANCELLATION_REQUESTED"}"#.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_registered_is_made_when_it_is_cancelled_and_not_before() {
    let web = Web::start(accepts).await;
    let host = started(Setup::in_memory(), &web).await;
    let run = waiting(&host, json!([undo(&web, "/jobs/1/cancel"), { "receive": {} }])).await;
    assert!(web.asked().is_empty(), "nobody has ended");
    host.inner().cancel(run, "enough").await.expect("the store answers");
    let [owed] = &settled(&host, 1).await[..] else { panic!("one request is owed") };
    assert_eq!(owed.destination.to_string(), format!("undo:127.0.0.1:{}", web.port));
    assert_eq!(owed.state, DeliveryState::Delivered, "{}", owed.note);
    assert!(!owed.body.contains("id:secret"), "the key is put in when it is sent");
    let [asked] = &web.asked()[..] else { panic!("one request is made") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PUT", "/jobs/1/cancel"));
    assert_eq!((asked.header("authorization"), asked.text().as_str()), ("Key id:secret", "{}"));
    assert_eq!(asked.header("idempotency-key"), owed.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_succeeds_undoes_nothing_and_one_that_fails_undoes_all() {
    let web = Web::start(accepts).await;
    let host = started(Setup::in_memory(), &web).await;
    acted(&host, json!([undo(&web, "/good")])).await;
    let failed = host.run("spawns/act", json!([undo(&web, "/a"), undo(&web, "/b"), { "fail": "no" }])).await;
    assert!(matches!(failed, Outcome::Failed { .. }), "{failed:?}");
    settled(&host, 2).await;
    let mut targets: Vec<String> = web.asked().into_iter().map(|asked| asked.target).collect();
    targets.sort();
    assert_eq!(targets, ["/a", "/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_request_outlives_hosts_that_crash_before_and_while_it_is_sent() {
    let (silent, directory) = (Arc::new(AtomicBool::new(true)), temporary());
    let is_silent = silent.clone();
    let web = Web::start(move |asked| match is_silent.load(Ordering::SeqCst) {
        true => Answer::Silence,
        false => accepts(asked),
    })
    .await;
    let restarted = async || {
        // The copy of the plugin is made anew.
        let _ = std::fs::remove_dir_all(directory.path().join("plugin-0"));
        started(Setup::durable(&directory), &web).await
    };
    let host = restarted().await;
    let run = waiting(&host, json!([undo(&web, "/jobs/1/cancel"), { "receive": {} }])).await;
    drop(host);
    let host = restarted().await;
    host.inner().cancel(run, "enough").await.expect("the store answers");
    host.until("it is sent", || web.asked().len() == 1).await;
    drop(host);
    silent.store(false, Ordering::SeqCst);
    let host = restarted().await;
    assert_eq!(settled(&host, 1).await[0].state, DeliveryState::Delivered);
    let keys: Vec<String> =
        web.asked().iter().map(|asked| asked.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys.len(), 2, "once more, since nobody knows whether the first arrived");
    assert_eq!(keys[0], keys[1]);
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_whether_it_is_undone_dead_or_tried_again() {
    let web = Web::start(|asked| {
        let status = match asked.target.as_str() {
            "/done-already" => "400 Bad Request",
            "/gone" => "404 Not Found",
            "/wrong-key" => "401 Unauthorized",
            "/moved" => "307 Temporary Redirect",
            _ => "503 Service Unavailable",
        };
        Answer::With(status, vec!["location: /elsewhere".to_owned()], b"said id:secret".to_vec())
    })
    .await;
    let host = started(Setup::in_memory(), &web).await;
    let mut steps: Vec<Value> = ["/done-already", "/gone", "/wrong-key", "/moved", "/busy"]
        .iter()
        .map(|path| undo(&web, path))
        .collect();
    steps.push(json!({ "fail": "no" }));
    host.run("spawns/act", json!(steps)).await;
    host.until("each is sent", || web.asked().len() >= 5).await;
    let mut seen = Vec::new();
    let mut changes = host.inner().changes();
    while seen.len() < 5 {
        seen = owed(&host).await;
        seen.retain(|delivery| !delivery.note.is_empty());
        let _ = tokio::time::timeout(std::time::Duration::from_millis(5), changes.changed()).await;
    }
    let mut seen: Vec<String> = seen.iter().map(|owed| format!("{:?} {}", owed.state, owed.note)).collect();
    seen.sort();
    let told = [
        "Dead 307 said [secret fal]",
        "Dead 401 said [secret fal]",
        "Delivered 400 said [secret fal]",
        "Delivered 404 said [secret fal]",
        "Pending 503 said [secret fal]",
    ];
    assert_eq!(seen, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_refused_when_it_is_registered() {
    let web = Web::start(accepts).await;
    let host = started(Setup::in_memory(), &web).await;
    let with = |more: Value| {
        let mut ask = json!({ "method": "PUT", "url": web.url(), "undo": true });
        ask.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "http": ask })
    };
    let elsewhere = json!({ "http": { "method": "PUT", "url": "http://127.0.0.1:9/", "undo": true } });
    let mut steps = vec![
        with(json!({ "into-file": "a.mp4" })),
        with(json!({ "timeout-ms": 5 })),
        with(json!({ "body": "x".repeat(65_537) })),
        with(json!({ "method": "DELETE" })),
        with(json!({ "headers": [["x-key", "{fal}"]], "secrets": ["fal"] })),
        elsewhere,
    ];
    steps.extend((0..17).map(|_| with(json!({}))));
    let done = acted(&host, json!(steps)).await;
    for (step, why) in [
        (0, "invalid: nobody reads what an undo request brings"),
        (1, "invalid: the host says how an undo request is made"),
        (2, "limit http.undo-bytes"),
        (3, "denied: http DELETE"),
        (4, "denied: secrets fal in header x-key"),
        (5, "denied: http PUT"),
    ] {
        assert!(error(&done, step).contains(why), "{step}: {}", error(&done, step));
    }
    assert!(
        done[21]["error"].is_null(),
        "sixteen are taken, as those that were refused do not count: {done}"
    );
    assert!(error(&done, 22).contains("http.undos"), "{done}");
    assert!(web.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_meanwhile_is_not_sent() {
    let web = Web::start(accepts).await;
    let host = started(Setup::in_memory(), &web).await;
    let run = waiting(&host, json!([undo(&web, "/jobs/1/cancel"), { "receive": {} }])).await;
    host.named.allow("spawns", Authority::default());
    host.inner().reload(&["spawns".to_owned()]).await.expect("it is right");
    host.inner().cancel(run, "enough").await.expect("the store answers");
    let owed = settled(&host, 1).await;
    assert_eq!(owed[0].state, DeliveryState::Dead);
    assert!(owed[0].note.contains("not allowed any more"), "{}", owed[0].note);
    assert!(web.asked().is_empty());
}
