//! Every example plugin, run as its author would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::journal::Import;
use sublane_core::lane::LaneLimits;
use sublane_core::{Outcome, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::caller::{path, post, send};
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, value};

#[tokio::test(flavor = "multi_thread")]
async fn hello_agent_greets() {
    let host = Setup::in_memory().plugin("hello-agent").start().await;
    let outcome = host.run("hello-agent/hello", json!({ "name": "Ada" })).await;
    assert_eq!(value(&outcome), json!("Hello, Ada!"));
    host.until("the greeting is delivered", || host.recorder.texts() == ["Hello, Ada!"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spawn_and_wait_counts_words_in_parts() {
    let host = Setup::in_memory().plugin("spawn-and-wait").start().await;
    let text = "one two\nthree\nfour five six\nseven\neight nine";
    assert_eq!(value(&host.run("spawn-and-wait/count", json!(text)).await), json!(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_has_twenty_children_at_once_and_joins_them() {
    let host = Setup::in_memory().plugin("fan-out").slots(2).start().await;
    let run = host.begin("fan-out/count", json!(100_000)).await;
    assert_eq!(value(&host.ended(run).await), json!(9_592));
    let store = &host.inner().store;
    let runs = store.runs(RunFilter { limit: 100, ..RunFilter::default() }).await.expect("the store answers");
    let children = runs.iter().filter(|child| child.spec.parent == Some(run));
    let ended = children.map(|child| child.outcome().map(Outcome::kind)).collect::<Vec<_>>();
    assert_eq!(ended, [Some("succeeded"); 20]);
    let journal = store.journal(run, 0).await.expect("the store answers");
    let spawns = journal.iter().map(|entry| entry.import).take_while(|call| *call == Import::Spawn).count();
    assert_eq!(spawns, 20, "all are begun before it waits for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_directory_counts_words_shelf_by_shelf() {
    let directory = sublane_tests::temporary();
    let library = directory.path().join("library");
    for (book, text) in
        [("a/one", "one two"), ("a/two", "three"), ("b/three", "four five six"), ("loose", "seven")]
    {
        let file = library.join(book);
        std::fs::create_dir_all(file.parent().expect("a shelf")).expect("a directory");
        std::fs::write(file, text).expect("a file");
    }
    let host = Setup::durable(&directory).plugin("shared-directory").files("library", library).start().await;
    assert_eq!(value(&host.run("shared-directory/count", json!(null)).await), json!(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_secret_asks_an_api_with_a_key_that_it_does_not_see() {
    let api = Web::start(|asked| {
        let is_known =
            asked.header("authorization") == "Bearer key-of-the-operator" && asked.target == "/v1/answers";
        // It tells the key, as some do that are asked for debugging.
        let told = format!(
            r#"{{ "answer": "to {}: 42, says {}" }}"#,
            asked.text().replace('"', "'"),
            asked.header("authorization")
        );
        if is_known { Answer::ok(told) } else { Answer::With("401 Unauthorized", Vec::new(), Vec::new()) }
    })
    .await;
    let manifest =
        std::fs::read_to_string(sublane_tests::repository().join("examples/with-a-secret/plugin.toml"));
    let manifest = manifest.expect("it is there").replace("https://api.example.com", &api.url());
    let host =
        Setup::in_memory().plugin_with("with-a-secret", &manifest).secret("example", "key-of-the-operator");
    let host = host.start().await;
    let task = json!({ "prompt": "everything", "api": format!("{}/v1", api.url()) });
    let answer = value(&host.run("with-a-secret/ask", task).await);
    assert_eq!(answer, json!("to 'everything': 42, says Bearer [secret example]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_a_person_waits_for_the_answer() {
    let host = Setup::in_memory().plugin("asks-a-person").hooks().start().await;
    let run = host.begin("asks-a-person/ask", json!({ "question": "Red or blue?" })).await;
    host.until("somebody is asked", || !host.recorder.texts().is_empty()).await;
    let asked = host.recorder.texts().remove(0);
    let url = asked.rsplit(' ').next().expect("a URL").to_owned();
    assert!(asked.starts_with("Red or blue?\nAnswer with: curl --data"), "{asked}");
    let answer = post(&path(&url), &[], b"blue");
    assert_eq!(send(host.door.expect("there is a door"), &answer).await.status, 200);
    let answer = value(&host.ended(run).await);
    assert_eq!(answer, json!("The answer is: blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_for_a_day_bears_an_api_that_is_not_always_there() {
    let asked = AtomicU32::new(0);
    let web = Web::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 | 30 => Answer::Close,
        1..5 => Answer::With("503 Service Unavailable", vec!["retry-after: 600".to_owned()], Vec::new()),
        5 => Answer::With("404 Not Found", Vec::new(), Vec::new()),
        6..40 => Answer::ok(r#"{"state": "pending"}"#),
        _ => Answer::ok(r#"{"state": "ready", "pages": 3}"#),
    })
    .await;
    let file = sublane_tests::repository().join("examples/asks-for-a-day/plugin.toml");
    let manifest = std::fs::read_to_string(file).expect("it is there");
    let manifest = manifest.replace("https://api.example.com", &web.url());
    let clock = ManualClock::at(Timestamp(1_800_000_000_000));
    let mut setup = Setup::in_memory().plugin_with("asks-for-a-day", &manifest);
    let limits = LaneLimits { timeout: Duration::from_secs(26 * 3_600), ..LaneLimits::default() };
    setup.lanes = vec![("main".to_owned(), limits)];
    let host = setup.clock(Arc::new(clock.clone())).start().await;
    let run = host.begin("asks-for-a-day/fetch", json!({ "url": format!("{}/report", web.url()) })).await;
    let store = &host.inner().store;
    let begun = clock.now();
    let mut changes = host.inner().changes();
    let passing = async {
        loop {
            if store.run(run).await.expect("readable").expect("it is there").is_ended() {
                return;
            }
            let polls = store.polls_of(run).await.expect("readable");
            let wait = polls.first().map_or(Duration::ZERO, |poll| poll.due.since(clock.now()));
            clock.advance(wait.max(Duration::from_millis(1)));
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, passing).await.expect("it ends in time");
    assert_eq!(value(&host.ended(run).await), json!(r#"{"state": "ready", "pages": 3}"#));
    let hours = clock.now().since(begun).as_secs() / 3_600;
    assert!((5..24).contains(&hours), "{hours}");
    let entries = store.journal(run, 0).await.expect("readable").len();
    assert_eq!(entries, 1, "the answer that decided, and nothing else");
}
