//! What can go wrong at fal: borne where it passes, told where it stays, with what can be recovered.

use sublane_standins::fal::script::{Ending, Idempotency, Pace};

use super::*;

fn faults(faults: Vec<Fault>) -> Script {
    Script { faults, ..Script::default() }
}

fn status(status: u16) -> Act {
    Act::Status { status, retry_after: None }
}

/// There is a film in spite of it, and so many jobs were paid.
async fn check_borne(what: &str, script: Script, jobs: usize) {
    let scene = Scene::new(script).await;
    let host = scene.host().await;
    let outcome = scene.film(&host).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{what}: {outcome:?}");
    check_film(&outcome);
    assert_eq!(scene.fal.jobs().len(), jobs, "{what}");
    host.host.stop().await;
}

/// There is no film, and it is said why, with the job.
async fn check_told(word: &str, script: Script, says: &str) -> Scene {
    let scene = Scene::new(script).await;
    let host = scene.host().await;
    let outcome = scene.film(&host).await;
    let Outcome::Failed { message, .. } = &outcome else { panic!("{word}: {outcome:?}") };
    assert!(message.contains(&format!("[fal: {word}]")) && message.contains(says), "{word}: {message}");
    if let [job] = &scene.fal.jobs()[..] {
        assert!(message.contains(&job.id), "{word} does not name the job: {message}");
    }
    host.host.stop().await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_borne() {
    let busy = Act::Status { status: 429, retry_after: Some(7) };
    check_borne("a submit that is too much", faults(vec![Fault::once(Endpoint::Submit, busy)]), 1).await;
    check_borne("a submit that fails", faults(vec![Fault::once(Endpoint::Submit, status(502))]), 1).await;
    check_borne("a submit that drops", faults(vec![Fault::once(Endpoint::Submit, Act::DropBefore)]), 1).await;
    let looks = vec![
        Fault::once(Endpoint::Status, status(500)),
        Fault::once(Endpoint::Status, Act::DropAfter),
        Fault::once(Endpoint::Status, status(404)),
        Fault::once(Endpoint::Status, Act::State("WARMING_UP".to_owned())),
        Fault::once(Endpoint::Status, Act::Garbage),
        Fault::once(Endpoint::Result, status(502)),
    ];
    check_borne("looks that see nothing", faults(looks), 1).await;
    let media = vec![
        Fault { skip: 1, ..Fault::once(Endpoint::Media, Act::Cut(1_000)) },
        Fault::once(Endpoint::Media, status(503)),
    ];
    check_borne("a film that breaks off", faults(media), 1).await;
    check_borne("a link that was stale", faults(vec![Fault::once(Endpoint::Media, status(403))]), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_nobody_knows_of_is_paid_once_where_its_key_counts() {
    for (idempotency, jobs) in [(Idempotency::Honoured, 1), (Idempotency::Ignored, 2)] {
        let lost = vec![Fault::once(Endpoint::Submit, Act::DropAfter)];
        let script = Script { idempotency, ..faults(lost) };
        check_borne("an answer that is lost", script, jobs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_told() {
    let ending = |ending| Script { ending, ..Script::default() };
    check_told("refused", ending(Ending::Refused), "flagged by a content checker").await;
    let failed = Ending::Failed {
        status: 503,
        error_type: "runner_server_error".to_owned(),
        detail: "CUDA out of memory".to_owned(),
    };
    check_told("failed", ending(failed), "CUDA out of memory (runner_server_error, status 503)").await;
    check_told("failed", ending(Ending::ErrorInside), "the model gave up").await;
    let vanish = vec![Fault { skip: 1, ..Fault::once(Endpoint::Status, Act::Vanish) }];
    check_told("vanished", faults(vanish), "/requests/").await;
    let expired = vec![Fault::always(Endpoint::Media, status(403))];
    check_told("expired", faults(expired), "/film.mp4").await;
    let page = vec![Fault::always(Endpoint::Media, Act::Garbage)];
    check_told("unusable", faults(page), "no MP4").await;
    check_told("unusable", Script { film_bytes: 50 << 20, ..Script::default() }, "more than").await;
    let never = vec![Fault::always(Endpoint::Submit, status(500))];
    check_told("not-reached", faults(never), "status 500").await;
    let refused = vec![Fault::always(Endpoint::Submit, status(401))];
    check_told("not-taken", faults(refused), "the key is not accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_too_long_is_given_up_and_cancelled() {
    let scene = check_told("timed-out", Script { pace: Pace::Held, ..Script::default() }, "/status").await;
    let host = scene.host().await;
    scene.fal.until("the job is cancelled", |fal| fal.jobs()[0].at == At::Cancelled).await;
    host.host.stop().await;
}
