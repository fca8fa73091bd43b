//! How fast polls come: at one server, of one plugin, after a long stop, and at a server that does not answer.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use sublane::channel::ConsoleStyle;
use sublane::clock::ManualClock;
use sublane::config::Config;
use sublane::open::{ConsoleOutput, open};
use sublane::secrets::Secrets;
use sublane_core::{Outcome, RunState};
use sublane_tests::web::{Answer, Web};
use sublane_tests::{Setup, TestHost, component, temporary};

use super::{BEGIN, manifest, poll, says, scene, seconds};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_left_alone_and_holds_up_no_other() {
    let down = Web::start(|_| Answer::With("503 Service Unavailable", Vec::new(), Vec::new())).await;
    let slow = Web::start(|_| Answer::Silence).await;
    let up = says(&["done"]).await;
    let scene = scene(Setup::in_memory(), &ManualClock::at(BEGIN), &[&up, &down, &slow]).await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(scene.begin(json!([poll(&slow.url(), json!({}))])).await);
    }
    scene.host.until("it is asked as often as may be at once", || slow.asked().len() == 8).await;
    let run = scene.begin(json!([poll(&down.url(), json!({ "every-ms": 1_000 }))])).await;
    let mut last = scene.polled(run, 1).await;
    for _ in 0..4 {
        last = scene.next(run, &last).await;
    }
    assert_eq!(down.asked().len(), 5);
    let healthy = scene.begin(json!([poll(&up.url(), json!({}))])).await;
    assert_eq!(scene.done(healthy).await[0]["done"]["status"], json!(200));
    // It is due, and not asked before its rest is over.
    scene.clock.advance(seconds(29));
    let healthy = scene.begin(json!([poll(&up.url(), json!({}))])).await;
    scene.done(healthy).await;
    assert_eq!(down.asked().len(), 5);
    scene.clock.advance(seconds(1));
    scene.host.until("one poll, to see", || down.asked().len() == 6).await;
    assert_eq!(slow.asked().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_after_a_long_stop_is_spread() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let web = says(&["done"]).await;
    let first = scene(Setup::durable(&directory), &clock, &[&web]).await;
    let mut runs = Vec::new();
    for _ in 0..30 {
        let run = first.begin(json!([poll(&web.url(), json!({ "first-ms": 60_000 }))])).await;
        first.stands(run, "there", |_| true).await;
        runs.push(run);
    }
    drop(first);
    std::fs::remove_dir_all(directory.path().join("plugin-0")).expect("the copy goes");
    clock.advance(seconds(1_200));
    let second = scene(Setup::durable(&directory), &clock, &[&web]).await;
    second.host.until("as many as come at once", || web.asked().len() == 20).await;
    let mut in_line = 0;
    for run in &runs {
        let polls = second.host.inner().store.polls_of(*run).await.expect("readable");
        in_line += polls.iter().filter(|poll| poll.made == 0).count();
    }
    assert_eq!(in_line, 10, "the others are in line");
    clock.advance(seconds(1));
    for run in runs {
        assert!(matches!(second.host.ended(run).await, Outcome::Succeeded(_)));
    }
    assert_eq!(web.asked().len(), 30);
}

/// Of two servers that do not answer, each has as many polls as one may have, and both as many as one
/// plugin may; another plugin has the rest.
#[tokio::test(flavor = "multi_thread")]
async fn polls_come_as_the_operator_says() {
    let (directory, clock) = (temporary(), ManualClock::at(BEGIN));
    let silent = async || Web::start(|_| Answer::Silence).await;
    let (webs, elsewhere) = ([silent().await, silent().await], silent().await);
    let installed = |id: &str, manifest: String| {
        let plugin = directory.path().join(id);
        std::fs::create_dir(&plugin).expect("a new directory");
        std::fs::copy(component("spawns"), plugin.join("spawns.wasm")).expect("the component is copied");
        std::fs::write(plugin.join("plugin.toml"), manifest).expect("it is written");
    };
    installed("spawns", manifest(&[&webs[0], &webs[1], &elsewhere], 500));
    installed("other", manifest(&[&elsewhere], 500).replace("'spawns'", "'other'"));
    let text = "[polls]\nat-once = 7\nper-server = 3\nrate = 2\n\
                [http]\nallow-private = ['127.0.0.1/32']\n\
                [plugins.spawns]\ncomponent = 'spawns/spawns.wasm'\nallow = 'asked'\n\
                [plugins.other]\ncomponent = 'other/spawns.wasm'\nallow = 'asked'\n";
    let file = directory.path().join("sublane.toml");
    let config = Config::parse(&file, text).unwrap_or_else(|problems| panic!("{problems}"));
    let console = ConsoleOutput { sink: Arc::new(Mutex::new(Vec::new())), style: ConsoleStyle::Plain };
    let (clock_of_host, io) = (Arc::new(clock.clone()), tokio::runtime::Handle::current());
    let opened = open(&config, Secrets::default(), console, clock_of_host, None, &io).await;
    let host = TestHost {
        host: opened.expect("the host starts").host,
        recorder: Arc::default(),
        named: Arc::default(),
        door: None,
        directory,
    };
    for web in webs.iter().cycle().take(10) {
        host.begin_for("spawns/act", json!([poll(&web.url(), json!({}))]), &[]).await;
    }
    let asked = || webs.each_ref().map(|web| web.asked().len());
    host.until("two polls of each server come at once", || asked() == [2, 2]).await;
    clock.advance(seconds(1));
    host.until("they have as many as one plugin may have", || asked().iter().sum::<usize>() == 5).await;
    // Another second brings no more: what has come by the end of a run that sleeps for it is all.
    let sleeps = host.begin_for("spawns/act", json!([{ "sleep": 1_000 }]), &[]).await;
    host.when(sleeps, "asleep", |run| matches!(run.state, RunState::Waiting { .. })).await;
    clock.advance(seconds(1));
    host.ended(sleeps).await;
    let mut asked = asked();
    asked.sort_unstable();
    assert_eq!(asked, [2, 3], "as many as one plugin may have");
    let waits = host.begin_for("spawns/act", json!([poll(&elsewhere.url(), json!({}))]), &[]).await;
    host.when(waits, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    let others = format!("{}/others", elsewhere.url());
    for asked in [1, 2] {
        let other = host.begin_for("other/act", json!([poll(&others, json!({}))]), &[]).await;
        host.when(other, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
        // Within a second it is seen behind the one that has to wait.
        clock.advance(seconds(1));
        host.until("another has what is left", || elsewhere.asked().len() == asked).await;
    }
    assert!(elsewhere.asked().iter().all(|asked| asked.target == "/others"), "one has its share already");
    host.host.stop().await;
}
