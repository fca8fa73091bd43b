//! Slots, queues and pools: whoever waits holds none of them, down to the
//! smallest that the host accepts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sublane::engine::guest::Stop;
use sublane::engine::pool::SMALLEST;
use sublane::engine::{Class, Engines, PoolSizes};
use sublane::intake::{Message, Task};
use sublane::intents::{Intent, LaneChange};
use sublane::lanes::setting_of;
use sublane_core::lane::LaneLimits;
use sublane_core::{Destination, RunId, RunState};
use sublane_store::LaneSetting;
use sublane_tests::{Recorder, Setup, TestHost, value};

/// The plugin on the engine for guests with much memory.
const LARGE: &str = r#"
    id = "spawns"
    version = "0.1.0"
    memory = "8MiB"
    [asks]
    spawn = { agents = ["spawns"], depth = 5, active-children = 20, total = 1000 }
    tools = [{ plugin = "spawns" }]
    cpu = "60s"
"#;

/// Instances stay as long as nobody asks for their room.
fn kept(mut setup: Setup) -> Setup {
    setup.settings.hot_window = Duration::from_secs(3_600);
    setup
}

async fn check_relay(setup: Setup) {
    let host = setup.start().await;
    assert_eq!(value(&host.run("spawns/relay", json!({ "levels": 5 })).await), json!(5));
    // Nobody is left in a slot, and what is still in memory is nobody's.
    host.until("all slots are free", || host.inner().lanes.status().iter().all(|lane| lane.running == 0))
        .await;
    let used = |class| host.inner().engines.of(class).pool.used();
    host.until("all instances are gone", || used(Class::Small) + used(Class::Large) == 0).await;
}

/// Complaint 147264 (R24): a parent held the only slot and waited for a child that needed it.
#[tokio::test(flavor = "multi_thread")]
async fn five_levels_finish_on_one_slot() {
    check_relay(kept(Setup::in_memory().plugin("spawns").slots(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_levels_finish_in_the_smallest_pool() {
    check_relay(kept(Setup::in_memory().plugin("spawns").pools(SMALLEST, SMALLEST))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_levels_finish_in_the_smallest_pool_of_large_guests() {
    check_relay(kept(Setup::in_memory().plugin_with("spawns", LARGE).pools(SMALLEST, SMALLEST))).await;
}

/// What a command asks for is a change, and not all that it read before.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_change_a_lane_at_once_undo_nothing_of_each_other() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let store = host.inner().store.clone();
    let changes = [
        LaneChange { paused: Some(true), ..LaneChange::default() },
        LaneChange { slots: Some(3), ..LaneChange::default() },
        LaneChange { as_configured: true, queue_length: Some(7), ..LaneChange::default() },
    ];
    let mut expected = LaneSetting::default();
    for (change, slots) in changes.into_iter().zip([None, Some(3), None]) {
        let intent = Intent::Lane { lane: "subagent".to_owned(), change };
        host.ask(&intent).await;
        expected.paused = true;
        (expected.slots, expected.queue_length) = (slots, change.queue_length);
        assert_eq!(setting_of(&*store, "subagent").await.expect("readable"), expected);
    }
}

/// One has its instance and wants the slot, the other has the slot and wants the instance's room.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_slot_makes_room_for_whoever_has_it() {
    let host = kept(Setup::in_memory().plugin("spawns").pools(SMALLEST, SMALLEST).slots(1)).start().await;
    let inner = host.inner();
    let first = host.begin("spawns/act", json!([{ "receive": {} }, { "work": 1 }])).await;
    host.when(first, "parked", |run| matches!(run.state, RunState::Waiting { token: Some(_) })).await;
    host.until("its slot is free", || inner.lanes.parked() == 1).await;
    inner.lanes.pause("main");
    let second = host.begin("spawns/echo", json!(2)).await;
    let told = inner.store.send(first, "\"go on\"".into(), None, inner.clock.now()).await;
    inner.dispatch(told.expect("it waits for a message"));
    host.when(first, "in line", |run| matches!(run.state, RunState::Running { .. })).await;
    // The one that came first is first, and it is not the one with the instance.
    inner.lanes.resume_lane(inner, "main");
    assert_eq!(value(&host.ended(second).await), json!(2));
    assert_eq!(value(&host.ended(first).await)[0], json!("go on"));
    let first = inner.store.run(first).await.expect("readable").expect("there");
    assert_eq!(first.crashes, 0, "to make room is no crash");
}

/// Whoever decided the wait found the attempt, and it is stopped before it is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_has_left_is_woken_in_vain_and_takes_no_slot() {
    let host = kept(Setup::in_memory().plugin("spawns").slots(1)).start().await;
    let inner = host.inner();
    let run = host.begin("spawns/act", json!([{ "receive": {} }, { "work": 1 }])).await;
    host.until("its slot is free", || inner.lanes.parked() == 1).await;
    let attempt = inner.attempts.lock().get(&run).cloned().expect("it is parked");
    let told = inner.store.send(run, "\"go on\"".into(), None, inner.clock.now()).await;
    let (_, _, entry) = told.expect("it waits for a message").resumed.remove(0);
    attempt.meter.stop(Stop::Shutdown);
    assert_eq!(value(&host.ended(run).await)[0], json!("go on"));
    inner.lanes.resume(inner, attempt, entry);
    host.until("all slots are free", || inner.lanes.status().iter().all(|lane| lane.running == 0)).await;
    assert_eq!(value(&host.run("spawns/echo", json!(2)).await), json!(2), "the slot is there for others");
}

/// The one that is asked for room first holds none any more of what is lacking.
#[tokio::test(flavor = "multi_thread")]
async fn room_is_asked_for_until_there_is_some() {
    let large = LARGE.replace("id = \"spawns\"", "id = \"large\"");
    let setup = Setup::in_memory().plugin("spawns").plugin_with("spawns", &large);
    let host = kept(setup.pools(SMALLEST, SMALLEST).slots(1)).start().await;
    let inner = host.inner();
    let call = json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": [] } } });
    host.begin("large/act", json!([call, { "receive": {} }])).await;
    host.until("it is parked", || inner.lanes.parked() == 1).await;
    let in_line = host.begin("spawns/act", json!([{ "receive": {} }, { "work": 1 }])).await;
    host.until("both are parked", || inner.lanes.parked() == 2).await;
    inner.lanes.pause("main");
    let first = host.begin("spawns/echo", json!(2)).await;
    let told = inner.store.send(in_line, "\"go on\"".into(), None, inner.clock.now()).await;
    inner.dispatch(told.expect("it waits for a message"));
    host.until("one is in line with its instance", || inner.lanes.parked() == 1).await;
    inner.lanes.resume_lane(inner, "main");
    assert_eq!(value(&host.ended(first).await), json!(2));
    assert_eq!(value(&host.ended(in_line).await)[0], json!("go on"));
}

/// Complaint 93004 (R24): two waited for each other, without end.
#[tokio::test(flavor = "multi_thread")]
async fn five_levels_finish_on_one_slot_in_the_smallest_pool() {
    check_relay(kept(Setup::in_memory().plugin("spawns").pools(SMALLEST, SMALLEST).slots(1))).await;
    check_relay(kept(Setup::in_memory().plugin_with("spawns", LARGE).pools(SMALLEST, SMALLEST).slots(1)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_levels_finish_on_one_slot_and_one_thread_in_a_durable_store() {
    let directory = sublane_tests::temporary();
    let mut setup = kept(Setup::durable(&directory).plugin("spawns").pools(SMALLEST, SMALLEST).slots(1));
    setup.settings.guest_threads = 1;
    check_relay(setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_calls_as_deep_as_they_may_be_finish_in_the_smallest_pool() {
    let host = Setup::in_memory().plugin("spawns").pools(SMALLEST, SMALLEST).start().await;
    let call = json!({ "call": { "plugin": "spawns", "tool": "call_back", "arguments": {} } });
    let runs = [
        host.begin("spawns/act", json!([call])).await,
        host.begin("spawns/act", json!([call])).await,
        host.begin("spawns/act", json!([call])).await,
    ];
    for run in runs {
        assert_eq!(value(&host.ended(run).await)[0]["calls"], json!(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_wait_in_a_tool_call_do_not_fill_the_smallest_pool() {
    let host = kept(Setup::in_memory().plugin("spawns").pools(SMALLEST, SMALLEST)).start().await;
    let steps = json!([{ "spawn": { "agent": "spawns/relay", "task": { "levels": 0 } } }, { "wait": {} }]);
    let call = json!({ "call": { "plugin": "spawns", "tool": "act", "arguments": { "steps": steps } } });
    let first = host.begin("spawns/act", json!([call])).await;
    let second = host.begin("spawns/act", json!([call])).await;
    for run in [first, second] {
        assert_eq!(value(&host.ended(run).await)[0][1], json!([{ "succeeded": 0 }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_on_the_other_engine_does_not_keep_its_place_while_it_waits() {
    let caller = r#"
        id = "spawns"
        version = "0.1.0"
        [asks]
        tools = [{ plugin = "large" }]
    "#;
    let large = LARGE.replace("\"spawns\"", "\"large\"");
    let setup = Setup::in_memory().plugin_with("spawns", caller).plugin_with("spawns", &large);
    let host = kept(setup.pools(SMALLEST + 1, SMALLEST)).start().await;
    let steps = json!([{ "spawn": { "agent": "large/relay", "task": { "levels": 0 } } }, { "wait": {} }]);
    let call = json!({ "call": { "plugin": "large", "tool": "act", "arguments": { "steps": steps } } });
    let first = host.begin("spawns/act", json!([call])).await;
    let second = host.begin("spawns/act", json!([call])).await;
    for run in [first, second] {
        assert_eq!(value(&host.ended(run).await)[0][1], json!([{ "succeeded": 0 }]));
    }
}

#[test]
fn a_pool_that_is_too_small_is_refused() {
    for sizes in [
        PoolSizes { small: SMALLEST - 1, large: SMALLEST, ..PoolSizes::default() },
        PoolSizes { small: SMALLEST, large: 0, ..PoolSizes::default() },
    ] {
        let Err(error) = Engines::new(sizes) else { panic!("{sizes:?} was accepted") };
        assert!(error.to_string().contains("is too small: 5 is the smallest"), "{error}");
    }
}

/// A spawn that nobody waits for.
fn detached(name: &str, priority: &str) -> Value {
    json!({ "spawn": {
        "agent": "spawns/echo", "task": name, "name": name, "priority": priority,
        "detached": true, "deliver": ["origin"], "lane": "narrow", "scope": { "cpu-ms": 10 },
    } })
}

/// A host whose lane `narrow` has one slot, in which a run computes without end.
async fn narrow(queue_length: u32) -> (TestHost, RunId) {
    let narrow = LaneLimits { slots: 1, queue_length, ..LaneLimits::default() };
    let mut setup = Setup::in_memory().plugin("spawns").plugin("misbehaves");
    setup.lanes.push(("narrow".to_owned(), narrow));
    let host = setup.start().await;
    let spin = json!({ "spawn": {
        "agent": "misbehaves/spin", "detached": true, "lane": "narrow", "scope": { "cpu-ms": 50_000 },
    } });
    let done = value(&host.run("spawns/act", json!([spin])).await);
    let spinning = done[0]["run"].as_str().expect("a receipt").parse().expect("an id");
    host.when(spinning, "running", |run| matches!(run.state, RunState::Running { .. })).await;
    (host, spinning)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_serves_the_urgent_first() {
    let (host, spinning) = narrow(10).await;
    let steps = json!([
        detached("c", "low"),
        detached("b", "normal"),
        detached("a", "high"),
        detached("b2", "normal")
    ]);
    let done = value(&host.run("spawns/act", steps).await);
    let positions: Vec<_> = (0..4).map(|step| done[step]["position"].clone()).collect();
    assert_eq!(positions, [json!(0), json!(1), json!(2), json!(3)]);
    host.inner().cancel(spinning, "enough").await.expect("it is cancelled");
    let order = ["a", "b", "b2", "c"];
    let delivered = || {
        let texts = host.recorder.texts();
        texts.into_iter().filter(|text| order.contains(&text.as_str())).collect::<Vec<_>>()
    };
    host.until("all are delivered", || delivered().len() == 4).await;
    let mut ended = Vec::new();
    for step in 0..4 {
        let id = done[step]["run"].as_str().expect("a receipt").parse().expect("an id");
        let run = host.inner().store.run(id).await.expect("the store answers").expect("it is there");
        ended.push((run.since, run.spec.name.clone()));
    }
    ended.sort();
    let since: Vec<_> = ended.iter().map(|(since, _)| *since).collect();
    let position = |name: &str| ended.iter().find(|(_, ended)| ended == name).map(|(since, _)| *since);
    assert!(
        position("a") <= position("b") && position("b") <= position("b2") && position("b2") <= position("c"),
        "{since:?} {ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_refuses_with_its_length() {
    let (host, spinning) = narrow(2).await;
    let steps = json!([detached("a", "normal"), detached("b", "normal"), detached("c", "normal")]);
    let done = value(&host.run("spawns/act", steps).await);
    assert!(done[1].get("run").is_some(), "{done}");
    let error = done[2]["error"].as_str().expect("the third is refused");
    assert!(error.starts_with("the limit lane.queue-length of 2 is reached"), "{error}");
    host.inner().cancel(spinning, "enough").await.expect("it is cancelled");
    host.until("those that were accepted end", || host.recorder.texts().iter().any(|text| text == "b")).await;
}

/// Complaints 143334 and 17569 (R5): a parent that waited for a child left what its user said next
/// waiting behind it. Here it is another run, and on a lane with one slot it has that.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_holds_up_nothing_that_is_said_meanwhile() {
    let (chat, origin) = (Arc::new(Recorder::default()), "chat:room".parse().expect("well formed"));
    let setup = kept(Setup::in_memory().plugin("spawns").slots(1));
    let host = setup.channel("chat", chat.clone(), Some("spawns/echo")).start().await;
    let lost = json!({ "spawn": {
        "agent": "spawns/act", "task": [{ "receive": {} }], "scope": { "cpu-ms": 1000 },
    } });
    let task = Task {
        agent: "spawns/act".to_owned(),
        input: json!([lost, { "wait": {} }]).to_string(),
        origin: Destination::clone(&origin),
        lane: "main",
        deliver: vec![origin.clone()],
        event: None,
    };
    let parent = host.inner().task(task).await.expect("accepted");
    host.when(parent.run, "waiting", |run| run.state.kind() == "waiting").await;
    for said in ["are you there?", "still there?"] {
        let message = Message { origin: origin.clone(), from: "ada".into(), text: said.into(), event: None };
        let accepted = host.inner().message(message).await.expect("accepted");
        assert_eq!(accepted.conversation, parent.conversation, "it is the same conversation");
        assert_eq!(value(&host.ended(accepted.run).await)["text"], said);
    }
    host.until("both are answered", || chat.deliveries().len() == 2).await;
    host.when(parent.run, "still waiting", |run| run.state.kind() == "waiting").await;
}

/// Complaint 54936 (R15): a time-out that nobody named was none.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_bounds_runs_that_name_no_time() {
    let quick = LaneLimits { timeout: Duration::from_secs(7), ..LaneLimits::default() };
    let mut setup = Setup::in_memory().plugin("spawns");
    setup.lanes = vec![("quick".to_owned(), quick), ("main".to_owned(), LaneLimits::main(1))];
    let host = setup.start().await;
    let on = |more: Value| {
        let mut spawn = json!({ "agent": "spawns/echo", "lane": "quick" });
        spawn.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({ "spawn": spawn })
    };
    let run =
        host.begin("spawns/act", json!(["now", on(json!({})), on(json!({ "timeout-ms": 20_000 }))])).await;
    let done = value(&host.ended(run).await);
    let within = |step: usize| {
        let deadline = done[step]["grants"]["deadline"].as_u64().expect("an instant");
        Duration::from_millis(deadline - done[0].as_u64().expect("an instant"))
    };
    assert!(within(1) <= Duration::from_secs(8), "{done}");
    assert!(within(2) > Duration::from_secs(15), "{done}");
    let run = host.inner().store.run(run).await.expect("the store answers").expect("it is there");
    let root = run.spec.deadline().since(run.spec.created);
    assert_eq!(root, sublane_core::lane::MAIN_TIMEOUT, "the root of a message names none either");
}

/// A spawn on the lane `narrow` that gives back who was there before it, and leaves its own name.
fn signs(agent: &str, name: &str, priority: &str) -> Value {
    let steps = json!([
        { "kv-list": { "bucket": "order", "prefix": "" } },
        { "kv-set": { "bucket": "order", "key": name, "value": "" } },
    ]);
    json!({ "spawn": {
        "agent": agent, "task": steps, "name": name, "priority": priority, "detached": true,
        "lane": "narrow", "scope": { "cpu-ms": 1_000, "kv-write": ["order"] },
    } })
}

/// Complaint 10467 (R25): one burst filled the lane, and others starved.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_everything_urgent_takes_nobodys_turn() {
    let plugin = |id: &str| {
        format!(
            r#"
            id = "{id}"
            version = "0.1.0"
            [asks]
            spawn = {{ agents = ["{id}", "misbehaves"], depth = 2, active-children = 20, total = 1000 }}
            kv = [{{ bucket = "order", mode = "read-write" }}]
            cpu = "60s"
            "#
        )
    };
    let mut setup = Setup::in_memory().plugin("misbehaves");
    setup = setup.plugin_with("spawns", &plugin("pushy")).plugin_with("spawns", &plugin("modest"));
    setup.lanes.push(("narrow".to_owned(), LaneLimits { slots: 1, ..LaneLimits::default() }));
    let host = setup.start().await;
    let spin = json!({ "spawn": {
        "agent": "misbehaves/spin", "detached": true, "lane": "narrow", "scope": { "cpu-ms": 20_000 },
    } });
    let id = |receipt: &Value| -> RunId {
        receipt["run"].as_str().unwrap_or_else(|| panic!("no receipt: {receipt}")).parse().expect("an id")
    };
    let spinning = id(&value(&host.run("pushy/act", json!([spin])).await)[0]);
    host.when(spinning, "running", |run| matches!(run.state, RunState::Running { .. })).await;
    // Ten urgent ones are queued before the two that are not.
    let urgent: Vec<_> = (0..10).map(|n| signs("pushy/act", &format!("pushy-{n}"), "high")).collect();
    let queued = value(&host.run("pushy/act", json!(urgent)).await);
    assert_eq!(queued[9]["position"], json!(9), "{queued}");
    let normal = json!([signs("modest/act", "modest-0", "normal"), signs("modest/act", "modest-1", "low")]);
    let modest = value(&host.run("modest/act", normal).await);
    host.inner().cancel(spinning, "enough").await.expect("it is cancelled");
    for (n, most) in [(0, 1), (1, 3)] {
        let before = value(&host.ended(id(&modest[n])).await)[0].as_array().expect("a list").clone();
        assert!(before.len() <= most, "modest-{n} came after {before:?}");
    }
}
