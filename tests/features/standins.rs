//! Whether the stand-ins for services that tests cannot reach are those services, in the eyes of
//! those services' own clients.

use std::process::Stdio;

use sublane_standins::fal::{Fal, system_clock};
use sublane_tests::packages::Packages;

/// fal's own client, and what verifies signatures as fal's documents say it.
const FAL: Packages = Packages::python(&["fal-client==1.0.3", "cryptography==50.0.2"]);

/// What must hold, in the order of `fal.py`.
const SCENARIOS: [&str; 20] = [
    "a_job_goes_from_the_queue_to_its_film",
    "a_subscription_sees_every_state",
    "the_client_that_is_asynchronous_gets_the_same",
    "a_status_and_a_result_are_found_by_the_id",
    "a_job_is_cancelled_and_says_so",
    "nobody_comes_in_with_another_key",
    "too_many_requests_and_lost_connections_are_tried_again",
    "errors_of_the_service_are_errors_of_the_client",
    "an_answer_that_is_lost_is_paid_twice_unless_the_key_counts",
    "a_prompt_is_refused_by_a_checker",
    "a_model_fails_with_its_reason",
    "an_error_can_hide_in_a_success",
    "a_state_that_nobody_knows_is_told",
    "a_job_vanishes",
    "a_film_comes_in_ranges_and_breaks_off",
    "a_webhook_is_signed_and_says_what_the_result_says",
    "a_webhook_comes_twice_late_never_or_again",
    "a_webhook_overtakes_the_answer_and_the_job",
    "signatures_are_wrong_in_every_way",
    "keys_are_rotated",
];

#[tokio::test(flavor = "multi_thread")]
async fn fals_own_client_takes_the_stand_in_for_fal() {
    let fal = Fal::start("id:secret", system_clock()).await.expect("loopback is there");
    let authority = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(authority.path(), fal.authority()).expect("it can be written");
    let ran = tokio::task::block_in_place(|| {
        let mut client = FAL.command("standins/fal.py");
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            client.env_remove(proxy);
        }
        client
            .env("STANDIN_URL", fal.url())
            .env("FAL_RUN_HOST", fal.tls_host())
            .env("FAL_QUEUE_RUN_HOST", fal.tls_host())
            .env("FAL_KEY", "id:secret")
            .env("SSL_CERT_FILE", authority.path())
            .stdin(Stdio::null())
            .output()
            .expect("python3 starts")
    });
    let (held, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(held.lines().collect::<Vec<_>>(), SCENARIOS, "{said}");
    assert!(ran.status.success(), "{said}");
}
