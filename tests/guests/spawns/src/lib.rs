//! Does what a list of steps says, one import call for each, and gives back
//! what each came to. The tests write the steps; what is tested stands there.

mod act;
mod step;

use std::time::Duration;

use sublane_sdk::serde_json::{Value, json};
use sublane_sdk::{
    Failure, Output, Scope, Spawn, Task, agent, artifact, data, delivery, kv, plugin, tool, tools,
};

use crate::step::{ScopeAsk, Step};

/// How a relay goes on.
#[data]
struct Relay {
    /// Levels below this one.
    levels: u32,
}

/// Spawns itself one level deeper, waits, and gives back how many levels there
/// were; at the bottom 0.
#[agent]
fn relay(relay: Relay) -> Result<u32, Failure> {
    let Some(levels) = relay.levels.checked_sub(1) else { return Ok(0) };
    let mut scope = Scope::new();
    if levels > 0 {
        scope = scope.spawn(act::levels(levels));
    }
    let child = Spawn::agent("spawns/relay").task(Relay { levels }).scope(scope).start()?;
    Ok(child.wait()?.decode::<u32>()? + 1)
}

/// What a prober hands on.
#[data]
struct Probe {
    /// What each level below gets, the next one first.
    #[serde(default)]
    scopes: Vec<ScopeAsk>,
}

/// Tries every capability and gives back what was refused, in words; then has
/// a child with the next scope do the same. One list for each level.
#[agent]
fn probe(mut probe: Probe) -> Result<Vec<Value>, Failure> {
    let mut refused = Vec::new();
    let mut tried = |error: Option<String>| refused.extend(error);
    tried(kv::get("notes", "a/1").err().map(|e| e.to_string()));
    tried(kv::set("notes", "a/1", b"x").err().map(|e| e.to_string()));
    tried(kv::get("notes", "b/1").err().map(|e| e.to_string()));
    tried(delivery::send("origin", "probing").err().map(|e| e.to_string()));
    tried(delivery::send("console:aside", "probing").err().map(|e| e.to_string()));
    tried(tools::call::<Value>("spawns", "echo", &json!({ "value": 1 })).err().map(|e| e.to_string()));
    tried(artifact::write("a.txt", "text/plain", b"a").err().map(|e| e.to_string()));
    tried(Spawn::agent("spawns/echo").start().err().map(|e| e.to_string()));
    let mut levels = vec![json!(refused)];
    if !probe.scopes.is_empty() {
        let next = probe.scopes.remove(0);
        match Spawn::agent("spawns/probe").task(probe).scope(next.into_scope()).start() {
            Ok(child) => levels.extend(child.wait()?.decode::<Vec<Value>>()?),
            Err(error) => levels.push(json!(error.to_string())),
        }
    }
    Ok(levels)
}

/// Gives back what it got.
#[agent]
fn echo(value: Value) -> Result<Value, Failure> {
    Ok(value)
}

/// Writes a text into a file and gives the file back.
#[agent]
fn write(text: String) -> Result<Output, Failure> {
    let file = artifact::write("written.txt", "text/plain", text.as_bytes())?;
    Ok(Output::text(format!("{} bytes", file.size)).with_artifact(file))
}

/// Gives back the text in the first file that came with its task.
#[agent]
fn read(task: Task<Value>) -> Result<String, Failure> {
    let file = task.artifacts.first().ok_or("no file came with the task")?;
    Ok(String::from_utf8(artifact::read(&file.id)?)?)
}

/// Takes the steps and gives back what each came to.
#[agent(name = "act")]
fn act_agent(steps: Vec<Step>) -> Result<Vec<Value>, Failure> {
    act::act(steps)
}

/// Steps for a tool call.
#[data]
struct Script {
    /// Taken one after the other.
    steps: Vec<Step>,
}

/// Takes the steps and gives back what each came to.
#[tool(name = "act")]
fn act_tool(script: Script) -> Result<Vec<Value>, Failure> {
    act::act(script.steps)
}

/// Something.
#[data]
struct Anything {
    /// Any value.
    value: Value,
}

/// Gives back what it got.
#[tool(name = "echo")]
fn echo_tool(anything: Anything) -> Result<Value, Failure> {
    Ok(anything.value)
}

/// Calls itself until it is refused, and gives back how often it could.
#[tool]
fn call_back() -> Result<Value, Failure> {
    Ok(match tools::call::<Value>("spawns", "call_back", &json!({})) {
        Ok(below) => {
            json!({ "calls": below["calls"].as_u64().unwrap_or(0) + 1, "refused": below["refused"] })
        }
        Err(error) => json!({ "calls": 0, "refused": error.to_string() }),
    })
}

/// Starts a run of `echo` that nobody waits for, owed to the conversation, and
/// gives back its receipt.
#[tool]
fn start(anything: Anything) -> Result<Value, Failure> {
    let scope = Scope::new().cpu(Duration::from_secs(1));
    let child = Spawn::agent("spawns/echo").task(anything.value).scope(scope).deliver_to_origin().start()?;
    Ok(act::receipt(&child))
}

plugin!(agents: [relay, probe, echo, write, read, act_agent], tools: [act_tool, echo_tool, call_back, start]);
