//! A plugin that misbehaves: its run ends with the right reason, its user is
//! told, and nobody else notices.

mod bounds;
mod corpus;
mod growth;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::attempt::Attempt;
use sublane::clock::ManualClock;
use sublane::engine::Class;
use sublane_core::{Failure, Outcome, RunId, RunState, Timestamp};
use sublane_tests::{Setup, TestHost, value};

/// The plugin with so much CPU and time.
fn manifest(cpu: &str, timeout: &str) -> String {
    format!(
        r#"
        id = "misbehaves"
        version = "0.1.0"
        memory = "4MiB"
        [asks]
        spawn = {{ agents = ["misbehaves"], depth = 5, active-children = 5, total = 10 }}
        cpu = "{cpu}"
        timeout = "{timeout}"
        "#
    )
}

async fn host() -> TestHost {
    Setup::in_memory().plugin_with("misbehaves", &manifest("20s", "1m")).plugin("spawns").start().await
}

fn instances(host: &TestHost) -> u32 {
    let engines = &host.inner().engines;
    engines.of(Class::Small).pool.used() + engines.of(Class::Large).pool.used()
}

/// The agent fails for this reason and with these words, and people read the same.
async fn check_failure(host: &TestHost, agent: &str, input: Value, reason: Failure, words: &str) {
    let outcome = host.run(&format!("misbehaves/{agent}"), input).await;
    let Outcome::Failed { reason: found, message, .. } = &outcome else { panic!("{agent}: {outcome:?}") };
    assert_eq!(*found, reason, "{agent}: {message}");
    assert!(message.contains(words), "{agent}: {message}");
    let told = |text: &String| text.starts_with(agent) && text.contains(words) && text.contains("failed");
    host.until("the user is told", || host.recorder.texts().iter().any(told)).await;
    assert_eq!(instances(host), 0, "{agent} left an instance behind");
}

/// As soon as the run executes.
async fn executing(host: &TestHost, run: RunId) {
    host.when(run, "running", |run| matches!(run.state, RunState::Running { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_its_words_and_its_place() {
    let host = host().await;
    check_failure(&host, "panic", json!(null), Failure::Trapped, "the film is torn").await;
    check_failure(&host, "panic", json!(null), Failure::Trapped, "misbehaves/src/lib.rs:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_without_words_is_told_as_what_it_is() {
    check_failure(&host().await, "trap", json!(null), Failure::Trapped, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_allocates_without_end_runs_out_of_memory() {
    check_failure(&host().await, "allocate", json!(null), Failure::OutOfMemory, "may have 4194304").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_recurses_without_end_overflows_its_own_stack() {
    check_failure(&host().await, "recurse", json!(null), Failure::StackOverflow, "its stack overflowed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_own_failure_is_told_in_its_words() {
    let host = host().await;
    check_failure(&host, "give-up", json!("no ink left"), Failure::Failed, "no ink left").await;
    let outcome = host.run("misbehaves/lie", json!("at length")).await;
    let Outcome::Failed { reason: Failure::Failed, message, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.len(), 4 << 10, "a long message is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_refused() {
    let host = host().await;
    for (lie, words) in [
        ("json", "is not JSON"),
        ("deep", "recursion limit"),
        ("surrogate", "hex escape"),
        ("number", "out of range"),
        ("value", "at most 262144"),
        ("text", "more than 16384 bytes"),
        ("artifact", "denied: artifact 0000"),
        ("artifacts", "more than 32 artifacts"),
    ] {
        check_failure(&host, "lie", json!(lie), Failure::InvalidOutput, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_so_many_characters() {
    let outcome = host().await.run("misbehaves/lie", json!("a million characters")).await;
    let Outcome::Failed { reason: Failure::Failed, message, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(message.chars().count(), 4_096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lines_and_reports_harms_nobody() {
    let host = host().await;
    assert_eq!(value(&host.run("misbehaves/flood", json!(3_000)).await), json!(3_000));
    host.until("only its ending is delivered", || host.recorder.texts().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_end_fill_the_journal() {
    let mut setup = Setup::in_memory().plugin_with("misbehaves", &manifest("20s", "1m"));
    setup.settings.journal.entries = 200;
    let host = setup.start().await;
    check_failure(&host, "nag", json!(null), Failure::JournalFull, "200 calls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spin_uses_up_its_purse() {
    let host = Setup::in_memory().plugin_with("misbehaves", &manifest("50ms", "1m")).start().await;
    check_failure(&host, "spin", json!(null), Failure::OutOfCpu, "s in this attempt").await;
}

/// Complaints 87444 and 155707 (R14): a time-out was taken and not kept to.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_binds_a_guest_that_never_yields() {
    let host = Setup::in_memory().plugin_with("misbehaves", &manifest("1m", "1s")).start().await;
    assert_eq!(host.run("misbehaves/spin", json!(null)).await, Outcome::TimedOut);
    host.until("the user is told", || {
        host.recorder.texts().iter().any(|text| text.contains("its time was up"))
    })
    .await;
    host.until("its instance is gone", || instances(&host) == 0).await;
}

/// Complaints 12554 and 133062 (R20): children outlived a kill and a time-out.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_the_whole_trees() {
    let clock = ManualClock::at(Timestamp(1_000_000));
    let setup = Setup::in_memory().clock(Arc::new(clock.clone()));
    let host = setup.plugin_with("misbehaves", &manifest("1m", "1m")).start().await;
    let root = host.begin("misbehaves/spin-tree", json!(3)).await;
    host.until("four spin", || instances(&host) == 4).await;
    clock.advance(Duration::from_secs(60));
    assert_eq!(host.ended(root).await, Outcome::TimedOut);
    host.until("all instances are gone", || instances(&host) == 0).await;
    let runs = host.inner().store.runs(sublane_store::RunFilter { limit: 10, ..Default::default() }).await;
    let runs = runs.expect("the store answers");
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(sublane_core::Run::is_ended), "{runs:?}");
}

/// Complaints 82936, 75330, 76315, 64253, 84983 and 95784 (R28): under load everything stood still for
/// seconds.
#[tokio::test(flavor = "multi_thread")]
async fn spinning_runs_do_not_stall_another_plugins_spawns() {
    let mut setup = Setup::in_memory().plugin("misbehaves").plugin("spawns").slots(4);
    setup.settings.guest_threads = 1;
    let host = setup.start().await;
    let mut spinning = Vec::new();
    for _ in 0..3 {
        spinning.push(host.begin("misbehaves/spin", json!(null)).await);
    }
    for run in &spinning {
        executing(&host, *run).await;
    }
    assert_eq!(value(&host.run("spawns/relay", json!({ "levels": 3 })).await), json!(3));
    for run in spinning {
        let state = host.inner().store.run(run).await.expect("the store answers").expect("it is there").state;
        assert_eq!(state.kind(), "running", "it spins on");
        host.inner().cancel(run, "enough").await.expect("it is cancelled");
    }
    assert_eq!(instances(&host), 0, "a cancellation returns when the instances are gone");
    let told =
        |texts: &[String]| texts.iter().filter(|text| text.contains("was cancelled: enough.")).count() == 3;
    host.until("the users are told", || told(&host.recorder.texts())).await;
}

/// Complaint 104847 (R20): what was aborted went on, with all its rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_takes_a_spinning_tree_with_it() {
    let mut setup = Setup::in_memory().plugin("misbehaves");
    setup.settings.guest_threads = 1;
    let host = setup.start().await;
    let root = host.begin("misbehaves/spin-tree", json!(4)).await;
    host.until("five spin", || instances(&host) == 5).await;
    let ended = host.inner().cancel(root, "enough").await.expect("it is cancelled");
    assert_eq!((ended, instances(&host)), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_meets_a_run_however_early_it_comes() {
    let host = Setup::in_memory().plugin("misbehaves").start().await;
    for round in 0..200 {
        let run = host.begin("misbehaves/spin", json!(null)).await;
        if round % 2 == 0 {
            executing(&host, run).await;
        }
        host.inner().cancel(run, "at once").await.expect("it is cancelled");
        host.until("its instance is gone", || {
            instances(&host) == 0 && host.inner().attempts.lock().is_empty()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_learns_how_its_child_misbehaved() {
    let host = host().await;
    let steps = json!([{ "spawn": { "agent": "misbehaves/panic" } }, { "wait": {} }, "now"]);
    let done = value(&host.run("spawns/act", steps).await);
    let failed = done[1][0]["failed"].as_str().expect("it failed");
    assert!(
        failed.starts_with("FailureReason::Trapped: ") && failed.contains("the film is torn"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_breaks_down_does_not_break_its_caller() {
    let host = host().await;
    let call = |tool: &str| json!({ "call": { "plugin": "misbehaves", "tool": tool, "arguments": {} } });
    let done = value(&host.run("spawns/act", json!([call("panic_here"), call("allocate_here")])).await);
    let error = |step: usize| done[step]["error"].as_str().expect("it broke down").to_owned();
    assert!(error(0).contains("it crashed") && error(0).contains("the tool is blunt"), "{done}");
    assert!(error(1).contains("it needed more memory than it may have"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_spins_is_charged_to_its_caller() {
    let caller = r#"
        id = "spawns"
        version = "0.1.0"
        [asks]
        tools = [{ plugin = "misbehaves" }]
        cpu = "100ms"
    "#;
    let setup =
        Setup::in_memory().plugin_with("misbehaves", &manifest("1m", "1m")).plugin_with("spawns", caller);
    let host = setup.start().await;
    let steps = json!([{ "call": { "plugin": "misbehaves", "tool": "spin_here", "arguments": {} } }]);
    let outcome = host.run("spawns/act", steps).await;
    assert!(matches!(outcome, Outcome::Failed { reason: Failure::OutOfCpu, .. }), "{outcome:?}");
    assert_eq!(instances(&host), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_guest_that_spins() {
    let mut setup = Setup::in_memory().plugin("misbehaves");
    setup.settings.grace = Duration::from_secs(30);
    let TestHost { host, recorder, named, directory, door } = setup.start().await;
    let running = TestHost { host, recorder, named, directory, door };
    let run = running.begin("misbehaves/spin", json!(null)).await;
    executing(&running, run).await;
    let inner = running.inner().clone();
    running.host.stop().await;
    assert_eq!(inner.engines.of(Class::Small).pool.used(), 0);
    let run = inner.store.run(run).await.expect("the store answers").expect("it is there");
    assert_eq!((run.state.kind(), run.crashes), ("queued", 0), "it goes on with the next host");
}

/// What a run's attempt has computed, once it is a tick at least.
async fn computing(host: &TestHost, run: RunId) -> Arc<Attempt> {
    let attempt = || host.inner().attempts.lock().get(&run).cloned();
    host.until("it computes", || attempt().is_some_and(|attempt| attempt.meter.used() > Duration::ZERO))
        .await;
    attempt().expect("nobody stops it")
}

/// Complaint 104847 (R20): what was aborted went on, with all its rights.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_run_computed_is_not_given_back() {
    let host = Setup::in_memory().plugin_with("misbehaves", &manifest("1m", "1m")).start().await;
    let run = host.begin("misbehaves/spin", json!(null)).await;
    let attempt = computing(&host, run).await;
    host.inner().cancel(run, "enough").await.expect("it is cancelled");
    let conversation = host.inner().store.conversation(attempt.spec.conversation).await;
    let conversation = conversation.expect("the store answers").expect("it is there");
    let spent = Duration::from_micros(conversation.ceiling.cpu_us - conversation.purse.cpu_us);
    assert_eq!(spent, attempt.meter.used(), "all that it computed, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_computed_until_its_time_was_up_is_its_parents_loss() {
    let clock = ManualClock::at(Timestamp(1_000_000));
    let setup = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup.plugin_with("misbehaves", &manifest("1m", "1m")).start().await;
    let steps = json!([
        { "spawn": { "agent": "misbehaves/spin", "attached": true, "timeout-ms": 10_000 } },
        { "receive": {} },
    ]);
    let parent = host.begin("spawns/act", steps).await;
    host.when(parent, "waiting", |run| matches!(run.state, RunState::Waiting { .. })).await;
    let before = host.when(parent, "a parent", |run| run.attached_children == 1).await.purse.cpu_us;
    let children = sublane_store::RunFilter { parent: Some(parent), limit: 1, ..Default::default() };
    let child = host.inner().store.runs(children).await.expect("the store answers").remove(0);
    let attempt = computing(&host, child.spec.id).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(host.ended(child.spec.id).await, Outcome::TimedOut);
    host.until("its attempt is gone", || !host.inner().attempts.lock().contains_key(&child.spec.id)).await;
    let after = host.when(parent, "alone", |run| run.attached_children == 0).await.purse.cpu_us;
    let spent = Duration::from_micros(before + child.spec.purse.cpu_us - after);
    assert_eq!(spent, attempt.meter.used(), "all that it computed, and nothing else");
}

/// A root with ten seconds of guest CPU.
const TEN_SECONDS: &str = r#"
    id = "spawns"
    version = "0.1.0"
    [asks]
    spawn = { agents = ["spawns"], depth = 1 }
    tools = [{ plugin = "misbehaves" }]
    cpu = "10s"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_split_off_for_a_child_cannot_be_spent_by_its_parent() {
    let host = Setup::in_memory().plugin("misbehaves").plugin_with("spawns", TEN_SECONDS).start().await;
    let steps = json!([
        { "spawn": { "agent": "spawns/act", "task": [{ "receive": {} }], "scope": { "cpu-ms": 9_900 } } },
        { "call": { "plugin": "misbehaves", "tool": "spin_here", "arguments": {} } },
    ]);
    let outcome = host.run("spawns/act", steps).await;
    let Outcome::Failed { reason: Failure::OutOfCpu, message, .. } = outcome else { panic!("{outcome:?}") };
    let seconds: f64 =
        message.split(' ').next().and_then(|word| word.parse().ok()).expect("it says how much");
    assert!(seconds < 5.0, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_gives_back_can_be_spent_again() {
    let host = Setup::in_memory().plugin_with("spawns", TEN_SECONDS).start().await;
    let steps = json!([
        { "spawn": { "agent": "spawns/echo", "task": 1, "scope": { "cpu-ms": 9_990 } } },
        { "wait": {} },
        { "work": 100_000_000 },
    ]);
    let done = value(&host.run("spawns/act", steps).await);
    assert_eq!(done[1], json!([{ "succeeded": 1 }]));
}
