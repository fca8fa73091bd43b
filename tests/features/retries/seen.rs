//! What operators see of a run that begins again by itself, what they do to it, and what is undone at
//! other machines.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Outcome, Run, RunState};
use sublane_store::{LogLevel, RunFilter};
use sublane_tests::command::CommandLine;
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, temporary, value};

use super::{BEGIN, MINUTE, Scene, open_studio, spawn, thrice};

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_run_is_shown_with_its_failures_and_begun_by_hand() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let scene = Scene::new(Setup::durable(&directory)).await;
    let (parent, child) = scene.begin(spawn(&json!(["now", open_studio()]), &thrice(), json!({}))).await;
    scene.rests(child, 1).await;

    let listed = line.json(&["runs", "list", "--state", "delayed"]).await;
    let retry = &listed["runs"][0]["retry"];
    assert_eq!((&retry["times"], &retry["retried"], &retry["left"]), (&json!(3), &json!(1), &json!(2)));
    assert_eq!(retry["next_at"], "2027-01-15T08:01:00.000Z");
    let table = line.run(&["runs", "list"]).await.out;
    assert!(table.contains("delayed (retry 1 of 3)"), "{table}");
    let tree = line.run(&["runs", "tree"]).await.out;
    assert!(tree.contains("tries again in "), "{tree}");
    let shown = line.run(&["runs", "show", "film"]).await.out;
    assert!(shown.contains("tries again") && shown.contains("retries      1 of 3"), "{shown}");
    assert!(shown.contains("generation   1, begins in "), "{shown}");
    let why = "film failed: the studio is closed. Ask again, perhaps for something else.";
    assert!(shown.contains("earlier generations\n  0  over ") && shown.contains(why), "{shown}");
    let shown = line.json(&["runs", "show", "film"]).await;
    let [earlier] = &shown["earlier_generations"].as_array().expect("a list")[..] else { panic!("{shown}") };
    assert_eq!((&earlier["generation"], &earlier["next_by"]), (&json!(0), &json!("policy")));
    assert_eq!((&earlier["reason"], &earlier["outcome"]), (&json!(why), &json!("failed")));

    let logged = async || scene.host.inner().store.logs(child, 0).await.expect("the store answers");
    let mut changes = scene.host.inner().changes();
    let told = loop {
        if let Some(first) = logged().await.into_iter().next() {
            break first;
        }
        // Lines are stored a while after they are written.
        scene.clock.advance(Duration::from_millis(10));
        let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
    };
    assert_eq!((told.level, told.generation), (LogLevel::Warn, 0));
    assert!(told.line.contains(why) && told.line.ends_with("Generation 1 begins in 60 s."), "{}", told.line);

    scene.open_the_studio().await;
    let mut asked = std::pin::pin!(line.json(&["runs", "retry", "film"]));
    let retried = loop {
        // The host looks now and then what is asked of it.
        match tokio::time::timeout(Duration::from_millis(5), &mut asked).await {
            Ok(answer) => break answer,
            Err(_) => scene.clock.advance(Duration::from_millis(10)),
        }
    };
    assert_eq!(retried, json!({ "retried": true, "run": child, "generation": 1 }));
    assert!(scene.told(parent).await["succeeded"].is_array());
    let ended = scene.host.when(child, "ended", Run::is_ended).await;
    assert!(ended.begun < BEGIN.after(MINUTE), "it did not wait for its time");
    assert_eq!(ended.generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_generation_is_exported_and_replayed_by_itself() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let scene = Scene::new(Setup::durable(&directory)).await;
    let steps =
        json!([{ "kv-set": { "bucket": "notes", "key": "a", "value": "1" } }, "random", open_studio()]);
    let (parent, child) = scene.begin(spawn(&steps, &thrice(), json!({}))).await;
    scene.rests(child, 1).await;
    scene.open_the_studio().await;
    scene.clock.advance(MINUTE);
    let drawn =
        value(&scene.host.when(child, "ended", Run::is_ended).await.outcome().expect("ended").clone());
    scene.host.ended(parent).await;
    for (generation, came_to) in [("0", "failed"), ("1", "succeeded")] {
        let file = directory.path().join(format!("{generation}.json"));
        let file = file.to_str().expect("text");
        let said = line.run(&["runs", "export", "film", "--out", file, "--generation", generation]).await;
        assert_eq!(said.exit, 0, "{said:?}");
        let document: Value = serde_json::from_slice(&std::fs::read(file).expect("written")).expect("JSON");
        assert_eq!(document["run"]["outcome"]["kind"], came_to);
        assert_eq!(document["run"]["generation"].to_string(), generation);
        let replayed = line.run(&["replay", file, "--json"]).await;
        assert_eq!((replayed.exit, &replayed.json()["agrees"]), (0, &json!(true)), "{replayed:?}");
    }
    let nowhere = line.run(&["runs", "export", "film", "--out", "-", "--generation", "7"]).await;
    assert!(
        nowhere.exit != 0 && nowhere.err.contains("film has no generation 7 that is kept"),
        "{nowhere:?}"
    );
    assert!(drawn[1].is_number(), "{drawn}");
}

/// A run that rests outlives its host, and so does when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_resting_run_outlives_its_host() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let host = async || {
        let setup = Setup::durable(&directory).clock(Arc::new(clock.clone()));
        Scene { host: setup.plugin("spawns").start().await, clock: clock.clone() }
    };
    let first = host().await;
    let (parent, child) = first.begin(spawn(&json!([open_studio()]), &thrice(), json!({}))).await;
    let rests = first.rests(child, 1).await;
    first.open_the_studio().await;
    first.host.host.stop().await;
    clock.advance(MINUTE / 2);
    let second = host().await;
    assert_eq!(second.rests(child, 1).await.state, rests.state);
    clock.advance(MINUTE / 2);
    assert_eq!(second.told(parent).await, json!({ "succeeded": [null] }));
    assert_eq!(second.host.when(child, "ended", Run::is_ended).await.crashes, 0);
}

/// What a generation registered is sent when it fails, with the secret that it had put in; the next
/// generation owes its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_generation_registered_is_undone_at_once() {
    let web = Web::start(|_| Answer::ok("gone")).await;
    let manifest = format!(
        "id = 'spawns'\nversion = '0.1.0'\n[asks]\nspawn = {{ agents = ['spawns'], depth = 2 }}\n\
         http = [{{ to = '{url}', methods = ['PUT'] }}]\nrequests = 9\nbytes-out = '1MiB'\nbytes-in = '1MiB'\n\
         secrets = [{{ name = 'fal', header = 'Authorization', audience = '{url}' }}]\n",
        url = web.url()
    );
    let clock = ManualClock::at(BEGIN);
    let setup = Setup::in_memory().plugin_with("spawns", &manifest).secret("fal", "id:secret-of-fal");
    let scene = Scene { host: setup.clock(Arc::new(clock.clone())).start().await, clock };
    let undo = json!({ "http": {
        "method": "PUT", "url": format!("{}/stop", web.url()), "undo": true, "body": "{}",
        "headers": [["authorization", "Key {fal}"]], "secrets": ["fal"],
    } });
    let scope = json!({ "scope": {
        "http": [format!("PUT {}", web.url())], "requests": [4, 4096, 4096],
        "secrets": [format!("fal Authorization {}", web.url())],
    } });
    let once = json!({ "times": 1, "after-ms": 60_000 });
    let (parent, child) = scene.begin(spawn(&json!([undo, { "fail": "no" }]), &once, scope)).await;
    scene.rests(child, 1).await;
    scene.host.until("it is undone", || web.asked().len() == 1).await;
    scene.clock.advance(MINUTE);
    let ended = scene.host.when(child, "ended", Run::is_ended).await;
    assert!(matches!(ended.state, RunState::Ended { outcome: Outcome::Failed { .. }, .. }));
    scene.host.until("the other is undone too", || web.asked().len() == 2).await;
    let asked = web.asked();
    let keys: Vec<_> = asked.iter().map(|asked| asked.header("authorization")).collect();
    assert_eq!(keys, ["Key id:secret-of-fal", "Key id:secret-of-fal"]);
    assert_ne!(asked[0].header("idempotency-key"), asked[1].header("idempotency-key"));
    scene.host.ended(parent).await;
    let runs = scene.host.inner().store.runs(RunFilter { limit: 9, ..RunFilter::default() }).await;
    assert_eq!(runs.expect("the store answers").len(), 2);
}
