//! Hosts that are killed while fal works: the film is made once, and arrives.

use sublane_core::RunState;
use sublane_standins::fal::script::Idempotency;

use super::*;

/// Kills a host when it is as far, and has another one go on. So many jobs are paid.
async fn check(script: Script, moment: &str, is_there: impl Fn(&Fal) -> bool, jobs: usize) {
    let scene = Scene::new(script).await;
    let host = scene.host().await;
    let run = host.begin("video/render", scene.order()).await;
    let mut patience = tokio::time::interval(Duration::from_millis(5));
    let there = async {
        while !is_there(&scene.fal) {
            scene.clock.advance(Duration::from_secs(1));
            patience.tick().await;
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, there).await.unwrap_or_else(|_| panic!("never {moment}"));
    // Dropped without a stop, a host has crashed.
    drop(host);
    scene.fal.script(Script::default());
    let host = scene.host().await;
    check_film(&scene.ended(&host, run).await);
    assert_eq!(scene.fal.jobs().len(), jobs, "{moment}");
    host.host.stop().await;
}

fn seen(fal: &Fal, endpoint: Endpoint) -> usize {
    fal.calls(endpoint).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn between_submit_and_status_nothing_is_paid_again() {
    let scene = Scene::new(Script::default()).await;
    let host = scene.host().await;
    let run = host.begin("video/render", scene.order()).await;
    host.when(run, "waiting for fal", |run| matches!(run.state, RunState::Waiting { .. })).await;
    drop(host);
    assert!(scene.fal.calls(Endpoint::Status).is_empty(), "it was not looked at");
    let host = scene.host().await;
    check_film(&scene.ended(&host, run).await);
    assert_eq!(scene.fal.jobs().len(), 1);
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_while_fal_takes_the_job_pays_once_where_the_key_counts() {
    for (idempotency, jobs) in [(Idempotency::Honoured, 1), (Idempotency::Ignored, 2)] {
        let scene = Scene::new(Script {
            idempotency,
            faults: vec![Fault::once(Endpoint::Submit, Act::Slow(3_600_000))],
            ..Script::default()
        });
        let scene = scene.await;
        let host = scene.host().await;
        let run = host.begin("video/render", scene.order()).await;
        scene.fal.until("the job is there", |fal| fal.jobs().len() == 1).await;
        drop(host);
        scene.fal.script(Script { idempotency, ..Script::default() });
        let host = scene.host().await;
        check_film(&scene.ended(&host, run).await);
        assert_eq!(scene.fal.jobs().len(), jobs);
        host.host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_fal_works_and_while_the_film_comes() {
    let looked = |fal: &Fal| seen(fal, Endpoint::Status) == 2;
    check(Script::default(), "looked at twice", looked, 1).await;
    let slow = vec![Fault { skip: 1, ..Fault::once(Endpoint::Media, Act::Slow(3_600_000)) }];
    let script = Script { faults: slow, ..Script::default() };
    check(script, "fetching", |fal| seen(fal, Endpoint::Media) == 2, 1).await;
}
