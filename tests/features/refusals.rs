//! What is wrong with files and with the machine is told so that a stranger can act on it:
//! which file, which line and key, what to do. Nothing panics and nothing is lost.

mod faults;
mod lines;
mod machine;

use serde_json::{Value, json};
use sublane_tests::{Setup, value};

/// What a step came to that was refused.
fn error(done: &Value, step: usize) -> &str {
    done[step]["error"].as_str().unwrap_or_else(|| panic!("step {step} was not refused: {done}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_called_wrongly_says_what_it_takes() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let call = |tool: &str, arguments: Value| json!({ "call": { "plugin": "spawns", "tool": tool, "arguments": arguments } });
    let steps = json!([
        call("act", json!({ "steps": 5 })),
        call("act", json!({})),
        call("act", json!([1, 2])),
        call("act", json!({ "steps": [{ "fly": 1 }] })),
        call("axt", json!({})),
        call("act", json!({ "steps": ["now"] })),
    ]);
    let done = value(&host.run("spawns/act", steps).await);
    for (step, words) in [
        (0, "invalid: the arguments at /steps: it is number and must be array"),
        (1, "invalid: the arguments: `steps` is missing"),
        (2, "invalid: the arguments: it is array and must be object"),
        (3, "invalid: the arguments at /steps/0"),
        (4, "there is no such thing"),
    ] {
        assert!(error(&done, step).contains(words), "{step}: {words}: {done}");
    }
    assert!(done[5][0].is_number(), "the next one is as if nothing had been: {done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_there_is_told_with_those_that_are() {
    let host = Setup::in_memory().plugin("spawns").start().await;
    let origin: sublane_core::Destination = "console:test".parse().expect("well formed");
    let task = |agent: &str, input: &str| sublane::intake::Task {
        agent: agent.to_owned(),
        input: input.to_owned(),
        origin: origin.clone(),
        lane: "main",
        deliver: vec![origin.clone()],
        event: None,
    };
    for (agent, input, words) in [
        ("spawns/echoo", "1", &["spawns/echoo", "spawns/echo"][..]),
        ("nobody/echo", "1", &["nobody/echo", "spawns/echo"]),
        ("spawns/echo", "{\"half\":", &["JSON"]),
    ] {
        let refused = host.inner().task(task(agent, input)).await.expect_err("it is refused");
        let told = sublane::error::chain(&refused);
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    }
    let spawn =
        json!([{ "spawn": { "agent": "spawns/nobody" } }, { "spawn": { "agent": "concierge/concierge" } }]);
    let done = value(&host.run("spawns/act", spawn).await);
    assert!(error(&done, 0).contains("there is no such thing"), "{done}");
    assert!(error(&done, 1).contains("denied: spawn concierge/concierge"), "{done}");
    let runs = sublane_store::RunFilter { limit: 10, ..Default::default() };
    assert_eq!(host.inner().store.runs(runs).await.expect("the store answers").len(), 1, "none was made");
}
