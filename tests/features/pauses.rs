//! A plugin that breaks down again and again has to wait, and nobody else does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::clock::ManualClock;
use sublane_core::{Failure, Outcome, RunId, RunState, Timestamp};
use sublane_tests::{Setup, TestHost, temporary, value};

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

struct Scene {
    host: TestHost,
    clock: ManualClock,
}

async fn scene(setup: Setup) -> Scene {
    let clock = ManualClock::at(BEGIN);
    let mut setup = setup.clock(Arc::new(clock.clone())).plugin("misbehaves").plugin("spawns");
    setup.settings.max_breakdowns = 2;
    Scene { host: setup.start().await, clock }
}

impl Scene {
    async fn breaks_down(&self) {
        let outcome = self.host.run("misbehaves/trap", json!(null)).await;
        assert!(matches!(outcome, Outcome::Failed { reason: Failure::Trapped, .. }), "{outcome:?}");
    }

    /// A run that waits for the end of the pause.
    async fn held(&self, agent: &str, input: Value) -> RunId {
        let run = self.host.begin(agent, input).await;
        self.host
            .when(run, "back in its queue", |run| run.attempt > 0 && matches!(run.state, RunState::Queued))
            .await;
        run
    }

    fn paused_for(&self) -> Option<Duration> {
        let pauses = &self.host.inner().pauses;
        let now = self.host.inner().clock.now();
        pauses.until("misbehaves", now).map(|until| until.since(now))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_breaks_down_again_and_again_is_paused_for_longer_and_longer() {
    let scene = scene(Setup::in_memory()).await;
    scene.breaks_down().await;
    assert_eq!(scene.paused_for(), None, "once is no pattern");
    scene.breaks_down().await;
    assert_eq!(scene.paused_for(), Some(Duration::from_secs(60)));
    let waits = scene.held("misbehaves/trap", json!(null)).await;
    let steps = json!([{ "call": { "plugin": "misbehaves", "tool": "panic_here", "arguments": {} } }]);
    let done = value(&scene.host.run("spawns/act", steps).await);
    assert_eq!(done[0]["error"], json!("not to be had now; try again in 60s"), "and others go on: {done}");
    scene.clock.advance(Duration::from_secs(60));
    assert!(matches!(scene.host.ended(waits).await, Outcome::Failed { reason: Failure::Trapped, .. }));
    assert_eq!(scene.paused_for(), Some(Duration::from_secs(120)), "it has learnt nothing");
    scene.clock.advance(Duration::from_secs(120));
    assert_eq!(value(&scene.host.run("misbehaves/flood", json!(1)).await), json!(1));
    scene.breaks_down().await;
    assert_eq!(scene.paused_for(), None, "a success ends the count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_lifts_the_pause_and_a_restart_does_not() {
    let directory = temporary();
    let scene = scene(Setup::durable(&directory)).await;
    scene.breaks_down().await;
    scene.breaks_down().await;
    let waits = scene.held("misbehaves/flood", json!(1)).await;
    let Scene { host, clock } = scene;
    host.host.stop().await;
    let mut setup =
        Setup::durable(&directory).clock(Arc::new(clock.clone())).plugin("misbehaves").plugin("spawns");
    setup.settings.max_breakdowns = 2;
    let scene = Scene { host: setup.start().await, clock };
    assert_eq!(scene.paused_for(), Some(Duration::from_secs(60)));
    let late = scene.held("misbehaves/flood", json!(1)).await;
    let rows = scene.host.inner().store.pauses().await.expect("readable");
    assert_eq!((rows[0].failures, rows[0].why.as_str()), (2, "it crashed"));
    scene.host.inner().reload(&["misbehaves".to_owned()]).await.expect("it is read anew");
    assert_eq!(scene.paused_for(), None);
    scene.clock.advance(Duration::from_secs(1));
    for run in [waits, late] {
        assert_eq!(value(&scene.host.ended(run).await), json!(1));
    }
    assert!(scene.host.inner().store.pauses().await.expect("readable").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plugin_has_another_one_paused() {
    let scene = scene(Setup::in_memory()).await;
    let spawn = json!({ "spawn": { "agent": "misbehaves/trap", "task": null } });
    let done = value(&scene.host.run("spawns/act", json!([spawn, spawn, spawn, { "wait": {} }])).await);
    assert!(done[3][2]["failed"].as_str().is_some_and(|failed| failed.contains("Trapped")), "{done}");
    assert_eq!(scene.paused_for(), None);
}
