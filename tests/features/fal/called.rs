//! What calls of fal's do: the run looks at once, and no more than that.

use sublane_core::RunState;
use sublane_standins::fal::script::{Pace, Signature, Webhook, When};

use super::*;

/// How a run ends while no time passes.
async fn ended_at_once(host: &TestHost, run: RunId) -> Outcome {
    host.when(run, "ended", sublane_core::Run::is_ended).await.outcome().cloned().expect("it has ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_makes_it_look_at_once() {
    let scene = Scene::new(Script { pace: Pace::Held, ..Script::default() }).await;
    let host = scene.started(Setup::hooks).await;
    let run = host.begin("video/render", scene.order()).await;
    host.when(run, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    let [job] = &scene.fal.jobs()[..] else { panic!("one job is paid") };
    assert!(job.hook.is_some() && scene.fal.calls(Endpoint::Status).is_empty());
    assert!(scene.fal.finish(&job.id));
    check_film(&ended_at_once(&host, run).await);
    assert_eq!(scene.fal.calls(Endpoint::Status).len(), 1, "the call is a hint, the status the truth");
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_id_was_never_learnt_finds_its_run() {
    let webhook = Webhook { when: When::BeforeAnswer, ..Webhook::default() };
    let faults = vec![Fault::once(Endpoint::Submit, Act::DropAfter)];
    let scene = Scene::new(Script { webhook, faults, ..Script::default() }).await;
    let host = scene.started(Setup::hooks).await;
    let run = host.begin("video/render", scene.order()).await;
    check_film(&scene.ended(&host, run).await);
    assert_eq!(scene.fal.jobs().len(), 1, "it is not paid again");
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_lost_forged_or_early_change_nothing() {
    let forged = |signature| Webhook { signature, ..Webhook::default() };
    let when = |when| Webhook { when, ..Webhook::default() };
    for webhook in [
        when(When::Never),
        when(When::BeforeDone),
        Webhook { copies: 2, ..Webhook::default() },
        Webhook { age_s: 400, tries: 1, ..Webhook::default() },
        Webhook { tries: 1, ..forged(Signature::Bad) },
        Webhook { tries: 1, ..forged(Signature::UnknownKey) },
        Webhook { tries: 1, ..forged(Signature::Absent) },
    ] {
        let scene = Scene::new(Script { webhook: webhook.clone(), ..Script::default() }).await;
        let host = scene.started(Setup::hooks).await;
        let outcome = scene.film(&host).await;
        assert!(matches!(outcome, Outcome::Succeeded(_)), "{webhook:?}: {outcome:?}");
        assert_eq!(scene.fal.jobs().len(), 1, "{webhook:?}");
        host.host.stop().await;
    }
}
