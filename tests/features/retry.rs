//! A run that did not succeed begins again when an operator says so.

use serde_json::{Value, json};
use sublane_core::{Outcome, Run, RunId};
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, TestHost, temporary, value};

/// An agent's task that fails until somebody has left it a note.
fn task() -> Value {
    let open = json!({ "fail-unless": { "bucket": "notes", "key": "open", "why": "the studio is closed" } });
    json!([open, { "kv-set": { "bucket": "notes", "key": "made", "value": "a film" } }])
}

async fn open_the_studio(host: &TestHost) {
    host.run("spawns/act", json!([{ "kv-set": { "bucket": "notes", "key": "open", "value": "yes" } }])).await;
}

/// A run that has failed, and what it owed.
async fn failed(host: &TestHost) -> RunId {
    let run = host.begin("spawns/act", task()).await;
    assert!(matches!(host.ended(run).await, Outcome::Failed { .. }));
    run
}

/// Complaint 55882: what was promised and failed can still be made good, and is told as its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_begins_again_and_its_new_ending_is_told() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let run = failed(&host).await;
    open_the_studio(&host).await;
    let retried = line.json(&["runs", "retry", &run.to_string()]).await;
    assert_eq!(retried, json!({ "retried": true, "run": run, "generation": 1 }));
    let ended = host.when(run, "ended again", |run| run.generation == 1 && run.is_ended()).await;
    assert_eq!(value(ended.outcome().expect("it has ended")).as_array().map(Vec::len), Some(2));
    let told = |host: &TestHost| -> Vec<_> {
        let all = host.recorder.deliveries();
        all.into_iter().filter(|owed| owed.run == run).map(|owed| owed.id).collect()
    };
    host.until("both endings are told", || told(&host).len() == 2).await;
    assert_ne!(told(&host)[0], told(&host)[1], "each ending has an id of its own");
    assert!(host.recorder.texts()[0].contains("the studio is closed"));

    let listed = line.json(&["runs", "list", "--agent", "spawns/act"]).await;
    let generations: Vec<_> =
        listed["runs"].as_array().expect("a list").iter().map(|run| &run["generation"]).collect();
    assert_eq!(generations, [&json!(0), &json!(1)]);
    let shown = line.run(&["runs", "show", &run.to_string()]).await;
    assert!(shown.out.contains("generation   1, begun"), "{}", shown.out);

    let again = line.run(&["runs", "retry", &run.to_string()]).await;
    assert_eq!(again.exit, 4);
    assert!(again.err.contains("succeeded: ask for it again instead"), "{}", again.err);
    let lives = host.begin("spawns/act", json!([{ "receive": {} }])).await;
    host.when(lives, "waiting", |run| run.state.kind() == "waiting").await;
    let refused = line.run(&["runs", "retry", &lives.to_string()]).await;
    assert_eq!((refused.exit, refused.err.contains("is waiting: only what has ended is retried")), (4, true));
}

/// Without a host the run is queued, and the next host executes it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_a_retry_waits_for_the_next() {
    let directory = temporary();
    let mut line = CommandLine::beside(&directory);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let run = failed(&host).await;
    open_the_studio(&host).await;
    host.host.stop().await;
    line.host_has_stopped();
    let said = line.run(&["runs", "retry", &run.to_string()]).await;
    assert!(said.exit == 0 && said.out.contains("begins again (generation 1)"), "{said:?}");
    assert!(said.err.contains("no host runs here"), "{}", said.err);
    let again = line.run(&["runs", "retry", &run.to_string()]).await;
    assert_eq!((again.exit, again.err.contains("is queued")), (4, true), "{again:?}");
    let whole = line.run(&["store", "check"]).await;
    assert_eq!((whole.exit, whole.out.starts_with("the store is whole")), (0, true), "{whole:?}");
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let ended = host.when(run, "ended again", |run: &Run| run.generation == 1 && run.is_ended()).await;
    assert!(matches!(ended.outcome(), Some(Outcome::Succeeded(_))), "{:?}", ended.outcome());
}
