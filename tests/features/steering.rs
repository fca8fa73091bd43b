//! What operators see and do from the command line, in a process of its own:
//! beside a running host, and on the store of one that has stopped.

use std::sync::Arc;

use serde_json::{Value, json};
use sublane_core::{Outcome, RunId};
use sublane_tests::command::CommandLine;
use sublane_tests::{Fussy, PATIENCE, Setup, TestHost, component, temporary, value};

/// A durable host and the command line beside it.
async fn beside() -> (TestHost, CommandLine) {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    (Setup::durable(&directory).plugin("spawns").start().await, line)
}

/// A parent that waits for a child that waits for a message. Gives both, parked.
async fn family(host: &TestHost) -> (RunId, RunId) {
    let child = json!({ "spawn": {
        "agent": "spawns/act", "name": "listener", "task": [{ "receive": {} }], "scope": { "cpu-ms": 1000 },
    } });
    let parent = host.begin("spawns/act", json!([child, { "wait": {} }])).await;
    host.when(parent, "waiting", |run| run.state.kind() == "waiting").await;
    let filter = sublane_store::RunFilter { parent: Some(parent), limit: 1, ..Default::default() };
    let child = host.inner().store.runs(filter).await.expect("the store answers")[0].spec.id;
    host.when(child, "waiting", |run| run.state.kind() == "waiting").await;
    (parent, child)
}

fn names(listed: &Value) -> Vec<&str> {
    let runs = listed["runs"].as_array().expect("a list");
    runs.iter().map(|run| run["name"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_says_what_each_run_waits_for_may_and_has_left() {
    let (host, line) = beside().await;
    let (parent, child) = family(&host).await;
    let trees = line.json(&["runs", "tree"]).await;
    let top = &trees["trees"][0];
    assert_eq!((&top["id"], &top["depth"], &top["state"]), (&json!(parent), &json!(0), &json!("waiting")));
    assert_eq!(top["waits_for"]["runs"], json!([child]));
    assert!(top["purse_left"]["cpu_us"].as_u64().expect("a purse") > 0 && top["grants"].is_object());
    let below = &top["children"][0];
    assert_eq!((&below["name"], &below["depth"]), (&json!("listener"), &json!(1)));
    assert_eq!(below["waits_for"]["kind"], "message");
    assert_eq!(below["purse"]["cpu_us"], 1_000_000);
    let said = line.run(&["runs", "tree", &parent.to_string()]).await;
    assert!(said.out.contains("└── listener  spawns/act  waiting, depth 1"), "{}", said.out);
    assert!(said.out.contains("waits for the end of listener"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_filtered_by_what_they_are_and_how_old() {
    let (host, line) = beside().await;
    let (parent, _) = family(&host).await;
    host.run("spawns/echo", json!(1)).await;
    let echo = &line.json(&["runs", "list", "--agent", "spawns/echo"]).await;
    assert_eq!(names(echo).len(), 1, "{echo}");
    assert_eq!(names(&line.json(&["runs", "list", "--plugin", "spawns", "--since", "1h"]).await).len(), 3);
    assert!(names(&line.json(&["runs", "list", "--older", "1h"]).await).is_empty());
    let waiting = ["runs", "list", "--state", "waiting", "--agent", "spawns/act"];
    assert_eq!(names(&line.json(&waiting).await)[0], "listener");
    let here = line.json(&["runs", "list", "--conversation", "console:test"]).await;
    assert_eq!(names(&here).len(), 3);
    let nowhere = line.run(&["runs", "list", "--conversation", "console:nobody"]).await;
    assert_eq!(nowhere.exit, 4);
    assert!(nowhere.err.contains("there is no conversation `console:nobody`"), "{}", nowhere.err);
    assert!(line.json(&["runs", "show", &parent.to_string()[..18]]).await["id"] == json!(parent));
}

/// Complaint 112313, for runs: what waits can be taken away by hand; 77720: its children go with it.
/// Complaints 24219 and 6625 (R19): it returns when the instances are gone, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_takes_its_children_with_it_and_says_how_many() {
    let (host, line) = beside().await;
    let (parent, child) = family(&host).await;
    let cancel = ["runs", "cancel", &parent.to_string(), "--reason", "wrong film"];
    assert_eq!(line.json(&cancel).await, json!({ "cancelled": 2 }));
    // Not waited for: the command returned when it was done.
    for id in [parent, child] {
        let ended = host.inner().store.run(id).await.expect("readable").expect("there");
        assert_eq!(ended.outcome().map(Outcome::kind), Some("cancelled"));
        assert!(!host.inner().attempts.lock().contains_key(&id), "its instance is gone");
    }
    host.until("people are told", || host.recorder.texts().iter().any(|text| text.contains("wrong film")))
        .await;
    let again = line.run(&["runs", "cancel", &parent.to_string()]).await;
    assert_eq!((again.exit, again.out.contains("0 runs cancelled")), (0, true), "{again:?}");
    let nobody = line.run(&["runs", "cancel", "nobody"]).await;
    assert_eq!((nobody.exit, nobody.err.as_str()), (4, "error: there is no run `nobody`\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_cancelled_with_all_its_runs() {
    let (host, line) = beside().await;
    let (first, second) = (family(&host).await, family(&host).await);
    let said = line.run(&["runs", "cancel", "--conversation", "console:test"]).await;
    assert_eq!((said.exit, said.out.as_str()), (0, "4 runs cancelled\n"), "{said:?}");
    for (parent, child) in [first, second] {
        assert!(matches!(host.ended(child).await, Outcome::Cancelled { .. }));
        let id = parent;
        assert!(
            matches!(host.ended(id).await, Outcome::Cancelled { reason } if &*reason == "ada cancelled it")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_from_the_command_line_wakes_a_run_that_waits_for_one() {
    let (host, line) = beside().await;
    let (parent, _) = family(&host).await;
    let wrong = line.run(&["runs", "send", "listener", "go on"]).await;
    assert_eq!(wrong.exit, 2);
    assert!(wrong.err.contains("not JSON") && wrong.err.contains("in quotes"), "{}", wrong.err);
    let said = line.run(&["runs", "send", "listener", r#"{"go": "on"}"#]).await;
    assert_eq!((said.exit, said.out.as_str()), (0, "sent to listener\n"), "{said:?}");
    let ended = value(&host.ended(parent).await);
    assert_eq!(ended[1], json!([{ "succeeded": [{ "go": "on" }] }]));
    let late = line.run(&["runs", "send", "listener", "1"]).await;
    assert_eq!(late.exit, 4);
    assert!(late.err.contains("listener has ended (succeeded)"), "{}", late.err);
}

/// Without a host the command takes the lock and acts; the next host goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_a_command_acts_on_the_store() {
    let (host, mut line) = beside().await;
    let (parent, child) = family(&host).await;
    let (other, _) = family(&host).await;
    let directory = host.directory.clone();
    host.host.stop().await;
    line.host_has_stopped();
    let said = line.run(&["runs", "cancel", &other.to_string()]).await;
    assert_eq!((said.exit, said.out.as_str()), (0, "2 runs cancelled\n"), "{said:?}");
    assert!(said.err.contains("no host runs here"), "{}", said.err);
    assert_eq!(line.run(&["runs", "send", &child.to_string(), "\"go\""]).await.exit, 0);
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    assert_eq!(value(&host.ended(parent).await)[1], json!([{ "succeeded": ["go"] }]));
    host.until("both are told of", || host.recorder.deliveries().len() == 2).await;
    let owed = host.recorder.deliveries().into_iter().find(|owed| owed.run == other).expect("it is owed");
    assert_eq!(owed.attempts, 1, "no attempt was made or counted before");
}

/// Complaint 112313: dead letters are listed, seen with each attempt, retried and dismissed. Complaint
/// 86034 (R7): a result that could not be delivered was told as a run that failed; here the one stands
/// beside the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_delivery_is_seen_retried_and_dismissed() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let fussy = Arc::new(Fussy::default());
    let host =
        Setup::durable(&directory).plugin("spawns").channel("console", fussy.clone(), None).start().await;
    host.run("spawns/echo", json!(1)).await;
    host.run("spawns/echo", json!(2)).await;
    host.until("both are refused", || fussy.seen().len() == 2).await;
    let dead = ["deliveries", "list", "--state", "dead", "--to", "console:test", "--since", "1h"];
    let mut listed = line.json(&dead).await;
    while listed["deliveries"].as_array().map(Vec::len) != Some(2) {
        listed = line.json(&dead).await;
    }
    for dead in listed["deliveries"].as_array().expect("a list") {
        assert_eq!((&dead["state"], &dead["run_outcome"]), (&json!("dead"), &json!("succeeded")));
        assert_eq!(dead["body"]["type"], "run.succeeded", "and whoever gets it later reads that");
    }
    let runs = line.json(&["runs", "list"]).await;
    for run in runs["runs"].as_array().expect("a list") {
        let both = (&run["state"], &run["outcome"], &run["deliveries"][0]["state"]);
        assert_eq!(both, (&json!("ended"), &json!("succeeded"), &json!("dead")));
    }
    let id = |at: usize| listed["deliveries"][at]["id"].as_str().expect("an id").to_owned();
    let (dismissed, retried) = (id(0), id(1));
    let said = line.run(&["deliveries", "show", &retried[..20]]).await;
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(
        said.out.contains("1. ") && said.out.contains("refused") && said.out.contains("no such room"),
        "{}",
        said.out
    );

    let gone = line.json(&["deliveries", "dismiss", &dismissed, "--reason", "an old room"]).await;
    assert_eq!(gone, json!({ "delivery": dismissed, "state": "dismissed" }));
    let elsewhere = ["deliveries", "list", "--to", "webhook"];
    assert!(line.json(&elsewhere).await["deliveries"].as_array().is_some_and(Vec::is_empty));

    fussy.accept();
    assert_eq!(line.json(&["deliveries", "retry", &retried]).await["state"], "pending");
    host.until("it is sent again", || fussy.seen().len() == 3).await;
    assert_eq!(fussy.seen()[2].to_string(), retried, "with the id that it always had");
    let shown = line.json(&["deliveries", "show", &retried, "--watch"]).await;
    assert_eq!((&shown["state"], shown["log"].as_array().map(Vec::len)), (&json!("delivered"), Some(2)));
    let again = line.run(&["deliveries", "dismiss", &retried]).await;
    assert_eq!(again.exit, 4);
    assert!(again.err.contains("was delivered: nothing is owed"), "{}", again.err);
}

/// Complaint 38300 (R8): a result that was for a parent became a post in a channel, and the parent never
/// went on. What goes to the parent and what goes to people are two things: neither waits for the
/// other, and neither stands in for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_goes_on_with_what_people_could_not_be_told() {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let fussy = Arc::new(Fussy::default());
    let host =
        Setup::durable(&directory).plugin("spawns").channel("console", fussy.clone(), None).start().await;
    let child = json!({ "spawn": {
        "agent": "spawns/echo", "name": "film", "task": "a film", "deliver": ["origin"],
        "scope": { "cpu-ms": 1000 },
    } });
    let parent = host.begin_for("spawns/act", json!([child, { "wait": {} }]), &[]).await;
    assert_eq!(value(&host.ended(parent).await)[1], json!([{ "succeeded": "a film" }]));
    let dead = ["deliveries", "list", "--state", "dead"];
    let mut listed = line.json(&dead).await;
    while listed["deliveries"].as_array().is_none_or(Vec::is_empty) {
        listed = line.json(&dead).await;
    }
    let [owed] = listed["deliveries"].as_array().expect("a list").as_slice() else { panic!("{listed}") };
    assert_eq!((&owed["run_name"], &owed["run_outcome"]), (&json!("film"), &json!("succeeded")));
    let before = host.inner().store.run(parent).await.expect("readable").expect("there");
    fussy.accept();
    let retried = ["deliveries", "retry", owed["id"].as_str().expect("an id")];
    assert_eq!(line.json(&retried).await["state"], "pending");
    host.until("people are told as well", || fussy.seen().len() == 2).await;
    let after = host.inner().store.run(parent).await.expect("readable").expect("there");
    assert_eq!(before, after, "who has it already is not told again");
}

/// What is set holds within a second and after a restart; people see who holds what and who waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_paused_and_narrowed_now_and_after_a_restart() {
    let (host, line) = beside().await;
    let paused = line.json(&["lanes", "pause", "main"]).await;
    assert_eq!((&paused["lane"], &paused["paused"]), (&json!("main"), &json!(true)));
    assert_eq!(line.json(&["lanes", "limits", "main", "--slots", "1"]).await["slots"], 1);
    let (first, second) =
        (host.begin("spawns/echo", json!(1)).await, host.begin("spawns/echo", json!(2)).await);
    let lanes = line.json(&["lanes", "list"]).await;
    let main = &lanes["lanes"][0];
    assert_eq!((&main["lane"], &main["paused"], &main["slots"]), (&json!("main"), &json!(true), &json!(1)));
    assert_eq!((&main["running"], &main["ready"]), (&json!(0), &json!(2)));
    let turn = json!({ "plugin": "spawns", "parent": null, "running": 0, "ready": 2 });
    assert_eq!(main["keys"], json!([turn]));
    assert!(main["oldest_wait_ms"].is_u64());
    let said = line.run(&["lanes", "list"]).await;
    assert!(
        said.out.contains("paused") && said.out.contains("spawns, roots: 0 running, 2 ready"),
        "{}",
        said.out
    );

    let directory = host.directory.clone();
    host.host.stop().await;
    let host = Setup::durable(&directory).plugin("spawns").start().await;
    let lane = host.inner().lanes.status().into_iter().find(|lane| lane.name == "main").expect("it is there");
    assert_eq!((lane.limits.slots, lane.running, lane.ready <= 2), (1, 0, true));
    assert_eq!(line.run(&["lanes", "resume", "main"]).await.exit, 0);
    for run in [first, second] {
        assert!(matches!(host.ended(run).await, Outcome::Succeeded(_)));
    }
    let back = line.json(&["lanes", "limits", "main", "--as-configured"]).await;
    assert!(back["slots"].as_u64() > Some(1), "{back}");
    let nobody = line.run(&["lanes", "pause", "nobody"]).await;
    assert_eq!(
        (nobody.exit, nobody.err.contains("there is no lane `nobody`; there are main, subagent")),
        (4, true)
    );
}

/// Nobody who begins a run is left waiting in silence, or told of a result only that it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_waits_for_on_a_paused_lane_and_then_what_it_gave_back() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    let file = directory.path().join("sublane.toml");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let plugin = format!("[plugins.spawns]\ncomponent = {:?}\nallow = \"asked\"\n", component("spawns"));
    std::fs::write(&file, text + &plugin).expect("it is written");
    let run = ["run", "--agent", "spawns/echo", "--task", "[2]"];
    let first = line.run(&run).await;
    assert_eq!((first.exit, first.err.contains("is paused")), (0, false), "{first:?}");
    assert!(first.out.contains("is done: [2]"), "{first:?}");
    assert_eq!(line.run(&["lanes", "pause", "main"]).await.exit, 0);
    let resumed = async {
        let patience = tokio::time::Instant::now() + PATIENCE;
        while line.json(&["runs", "list", "--state", "queued"]).await["runs"] == json!([]) {
            assert!(tokio::time::Instant::now() < patience, "no run stands in line");
        }
        assert_eq!(line.run(&["lanes", "resume", "main"]).await.exit, 0);
    };
    let (second, ()) = tokio::join!(line.run(&run), resumed);
    let told = second.err.contains("lane main is paused: `sublane lanes resume main` lets its runs begin");
    assert_eq!((second.exit, told), (0, true), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_shown_with_its_purse_its_runs_and_what_they_owe() {
    let (host, line) = beside().await;
    host.run("spawns/echo", json!(1)).await;
    let listed = line.json(&["conversations", "list"]).await;
    let [one] = listed["conversations"].as_array().expect("a list").as_slice() else { panic!("{listed}") };
    assert_eq!(one["origin"], "console:test");
    let shown = line.json(&["conversations", "show", "console:test"]).await;
    assert_eq!((&shown["id"], &shown["runs"][0]["agent"]), (&one["id"], &json!("spawns/echo")));
    assert!(shown["purse"]["cpu_us"].as_u64() <= shown["ceiling"]["cpu_us"].as_u64());
    assert_eq!(shown["runs"][0]["deliveries"][0]["destination"], "console:test");
    let said = line.run(&["conversations", "show", "console:t"]).await;
    assert!(said.out.contains("left") && said.out.contains("spawns/echo"), "{}", said.out);
}
