//! Films that are made by fal: paid once, kept, and when there is none, it is said why.

mod called;
mod crashes;
mod failures;
mod points;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::{Clock as _, ManualClock};
use sublane_core::{Outcome, RunId, Timestamp};
use sublane_standins::fal::script::{Act, Endpoint, Fault, Script};
use sublane_standins::fal::{At, Fal};
use sublane_tests::{Setup, TestHost, repository, temporary, value};
use tempfile::TempDir;

/// The key that only the host and fal know.
const KEY: &str = "id:secret-of-fal";
/// Bytes of the stand-in's film.
const FILM_BYTES: u64 = 2_517;

/// fal, a clock that is moved by hand, and where hosts live.
struct Scene {
    fal: Fal,
    clock: ManualClock,
    directory: Arc<TempDir>,
}

impl Scene {
    async fn new(script: Script) -> Self {
        let clock = ManualClock::at(Timestamp(1_800_000_000_000));
        let of_fal = clock.clone();
        let seconds = move || i64::try_from(of_fal.now().0 / 1_000).expect("it is in this age");
        let fal = Fal::start(KEY, Box::new(seconds)).await.expect("loopback is there");
        fal.script(script);
        Self { fal, clock, directory: temporary() }
    }

    /// What the plugin asks for, with the stand-in in fal's place.
    fn manifest(&self) -> String {
        let file = repository().join("plugins/video/plugin.toml");
        let text = std::fs::read_to_string(file).expect("it is there");
        let places = ["https://queue.fal.run", "https://*.fal.media", "https://rest.alpha.fal.ai"];
        places.iter().fold(text, |text, place| text.replace(place, &self.fal.url()))
    }

    /// A host on the store of the one before, if there was one. Nobody can call it.
    async fn host(&self) -> TestHost {
        self.started(|setup| setup).await
    }

    async fn started(&self, with: impl FnOnce(Setup) -> Setup) -> TestHost {
        self.on(with(Setup::durable(&self.directory))).await
    }

    /// A host with the plugins and the secret.
    async fn on(&self, setup: Setup) -> TestHost {
        let _ = std::fs::remove_dir_all(self.directory.path().join("plugin-0"));
        let setup = setup.clock(Arc::new(self.clock.clone()));
        setup.plugin_with("video", &self.manifest()).plugin("concierge").secret("fal", KEY).start().await
    }

    fn provider(&self) -> Value {
        let url = self.fal.url();
        json!({ "fal": { "model": "fal-ai/veo3/fast", "queue": url, "media": url, "keys": format!("{url}/.well-known/jwks.json"), "input": { "duration": "8s" } } })
    }

    /// A film that fal is to make.
    fn order(&self) -> Value {
        json!({
            "prompt": "a paper boat", "seconds": 4, "width": 64, "height": 64, "fps": 12,
            "provider": self.provider(),
        })
    }

    /// How a run ends, while time passes.
    async fn ended(&self, host: &TestHost, run: RunId) -> Outcome {
        let mut changes = host.inner().changes();
        let passing = async {
            loop {
                let is = host.inner().store.run(run).await.expect("readable").expect("it is there");
                if let Some(outcome) = is.outcome() {
                    return outcome.clone();
                }
                self.clock.advance(Duration::from_secs(1));
                // What waits for the time that has come begins in between.
                let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
            }
        };
        tokio::time::timeout(2 * sublane_tests::PATIENCE, passing).await.expect("it ends in time")
    }

    async fn film(&self, host: &TestHost) -> Outcome {
        let run = host.begin("video/render", self.order()).await;
        self.ended(host, run).await
    }
}

/// What a film that was made comes to.
fn check_film(outcome: &Outcome) {
    let Outcome::Succeeded(output) = outcome else { panic!("there is no film: {outcome:?}") };
    let [film] = &output.artifacts[..] else { panic!("one film: {output:?}") };
    assert_eq!((film.name.as_str(), film.media_type.as_str()), ("a-paper-boat.mp4", "video/mp4"));
    assert_eq!(film.size, FILM_BYTES);
    assert_eq!(value(outcome)["provider"], "fal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_submitted_waited_for_and_fetched() {
    let scene = Scene::new(Script::default()).await;
    let host = scene.host().await;
    let outcome = scene.film(&host).await;
    check_film(&outcome);
    let [job] = &scene.fal.jobs()[..] else { panic!("one job is paid") };
    assert_eq!((job.app.as_str(), job.path.as_str(), job.at), ("fal-ai/veo3", "fast", At::Done));
    assert_eq!(job.input, json!({ "prompt": "a paper boat", "duration": "8s" }));
    assert_eq!(value(&outcome)["job"], json!(job.id));
    assert!(job.idempotency_key.is_some());
    assert!(scene.fal.calls(Endpoint::Cancel).is_empty(), "what was made is not undone");
    assert_eq!(scene.fal.calls(Endpoint::Status).len(), 3, "in the queue, at work, done");
    for call in scene.fal.calls(Endpoint::Media) {
        assert_eq!(call.header("authorization"), "", "the key goes to the queue only");
    }
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_orders_from_whom_the_operator_has_chosen() {
    let scene = Scene::new(Script::default()).await;
    let host = scene.host().await;
    let chosen = host.run("video/configure", scene.provider()).await;
    assert!(matches!(chosen, Outcome::Succeeded(_)), "{chosen:?}");
    let text = json!({ "text": "Make a 4 second film of a paper boat" });
    let answered = host.begin("concierge/concierge", text).await;
    assert!(matches!(scene.ended(&host, answered).await, Outcome::Succeeded(_)));
    let filter = sublane_store::RunFilter { agent: Some("render".into()), limit: 2, ..Default::default() };
    let runs = host.inner().store.runs(filter).await.expect("readable");
    let outcome = scene.ended(&host, runs[0].spec.id).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(scene.fal.jobs().len(), 1);
    host.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_cancelled_is_cancelled_at_fal() {
    let scene =
        Scene::new(Script { pace: sublane_standins::fal::script::Pace::Held, ..Script::default() }).await;
    let host = scene.host().await;
    let run = host.begin("video/render", scene.order()).await;
    let working = |run: &sublane_core::Run| matches!(run.state, sublane_core::RunState::Waiting { .. });
    host.when(run, "waiting for fal", working).await;
    host.inner().cancel(run, "another film").await.expect("the store answers");
    scene.fal.until("the job is cancelled", |fal| fal.jobs()[0].at == At::Cancelled).await;
    assert_eq!(scene.fal.jobs().len(), 1);
    host.host.stop().await;
}
