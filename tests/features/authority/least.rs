//! The plugins of this repository run with the least that they need: without any one of the things that
//! they ask for, somebody is told what is missing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sublane::clock::ManualClock;
use sublane_core::{Failure, Outcome, RunState, Timestamp};
use sublane_store::RunFilter;
use sublane_tests::{Setup, TestHost, repository, value};

const SMALL: &str = "Make a 1 second film of a lighthouse, 64x64";

/// The manifest of a plugin, without what begins so: its whole line.
fn without(plugin: &str, key: &str) -> String {
    let path = repository().join("plugins").join(plugin).join("plugin.toml");
    let manifest = std::fs::read_to_string(path).expect("the manifest");
    let kept: Vec<&str> = manifest.lines().filter(|line| key.is_empty() || !line.starts_with(key)).collect();
    assert_eq!(manifest.lines().count() - kept.len(), usize::from(!key.is_empty()), "{plugin}: {key}");
    kept.join("\n")
}

/// A host with both plugins, where `plugin` does not ask for `key`.
async fn host(plugin: &str, key: &str, clock: &ManualClock) -> TestHost {
    let manifest = |name: &str| without(name, if name == plugin { key } else { "" });
    let setup = Setup::in_memory().clock(Arc::new(clock.clone()));
    let setup = setup.plugin_with("concierge", &manifest("concierge"));
    setup.plugin_with("video", &manifest("video")).start().await
}

/// What the concierge answers to a request.
async fn answer(host: &TestHost, text: &str) -> String {
    let answer = value(&host.run("concierge/concierge", json!({ "text": text })).await);
    answer.as_str().expect("it is for people").to_owned()
}

/// How the film ends that was ordered. `meanwhile` is done once it is being made.
async fn film(host: &TestHost, meanwhile: impl FnOnce()) -> Outcome {
    let filter = RunFilter { agent: Some("render".into()), limit: 2, ..RunFilter::default() };
    let runs = host.inner().store.runs(filter).await.expect("readable");
    assert_eq!(runs.len(), 1);
    let begun = |run: &sublane_core::Run| run.is_ended() || matches!(run.state, RunState::Running { .. });
    host.when(runs[0].spec.id, "begun", begun).await;
    meanwhile();
    host.ended(runs[0].spec.id).await
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp(1_800_000_000_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_what_they_ask_for_there_is_a_film() {
    let host = host("", "", &clock()).await;
    assert!(answer(&host, SMALL).await.starts_with("Rendering “a lighthouse”"));
    let Outcome::Succeeded(output) = film(&host, || {}).await else { panic!("there is no film") };
    assert_eq!(output.artifacts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_grant_people_are_told_what_is_missing() {
    for (plugin, key, text, told) in [
        ("concierge", "tools", SMALL, "I am not allowed to make films here (tools video.generate_video"),
        ("video", "spawn", SMALL, "that is not allowed here (spawn video/render)"),
        ("video", "channels", SMALL, "that is not allowed here (channels origin)"),
        ("video", "artifacts", SMALL, "that is not allowed here (artifacts)"),
        (
            "video",
            "cpu",
            SMALL,
            "such a film may take up to 20 s of computing, which is more than is left here",
        ),
    ] {
        let host = host(plugin, key, &clock()).await;
        let answer = answer(&host, text).await;
        assert!(answer.contains(told), "without {key} of {plugin}: {answer}");
    }
}

/// The other place that the manifest names is needed by whoever asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_other_place_it_is_named() {
    let clock = clock();
    let all = without("video", "").replace(r#"["origin", "webhook:films"]"#, r#"["origin"]"#);
    let setup = Setup::in_memory().clock(Arc::new(clock)).plugin("concierge").plugin_with("video", &all);
    let host = setup.start().await;
    let answer = answer(&host, &format!("{SMALL}, and send it to webhook:films")).await;
    assert!(answer.contains("that is not allowed here (channels webhook:films)"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_memory_the_film_ends_with_that_reason() {
    let host = host("video", "memory", &clock()).await;
    assert!(answer(&host, "Make a 1 second film of a lighthouse, 1280x720").await.starts_with("Rendering"));
    let outcome = film(&host, || {}).await;
    let Outcome::Failed { reason: Failure::OutOfMemory, message, .. } = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(message.contains("may have 4194304"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_time_a_long_film_ends_with_that_reason() {
    let clock = clock();
    let host = host("video", "timeout", &clock).await;
    let large = "Make a 20 second film of a lighthouse, 1280x720";
    assert!(answer(&host, large).await.starts_with("Rendering"));
    let outcome = film(&host, || clock.advance(Duration::from_secs(3_600))).await;
    assert_eq!(outcome, Outcome::TimedOut);
    host.until("people are told", || host.recorder.texts().iter().any(|t| t.contains("its time was up")))
        .await;
}
