//! Does what no plugin should, one way for each agent and tool.

use std::hint::black_box;

use sublane_sdk::__private::{Anything, RawFailure, RawOutput, RawTask, agent_schema};
use sublane_sdk::artifact::{self, Artifact};
use sublane_sdk::delivery::{self, Message};
use sublane_sdk::subagent::SpawnScope;
use sublane_sdk::{Agent, Failure, Scope, Spawn, agent, kv, log, plugin, progress, tool};

fn for_ever() -> ! {
    let mut count = 0u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Computes without end and never calls the host.
#[agent]
fn spin() -> Result<(), Failure> {
    for_ever()
}

/// Has a child of its own kind, so many levels deep, and computes without end.
#[agent]
fn spin_tree(levels: u32) -> Result<(), Failure> {
    if let Some(below) = levels.checked_sub(1) {
        let agents = vec!["misbehaves/spin-tree".to_owned()];
        let spawn = SpawnScope { agents, depth: below.max(1), active_children: 1, total: below };
        let scope = if below > 0 { Scope::new().spawn(spawn) } else { Scope::new() };
        Spawn::agent("misbehaves/spin-tree").task(below).scope(scope).start()?;
    }
    for_ever()
}

/// Takes memory without end.
#[agent]
fn allocate() -> Result<(), Failure> {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1u8; 64 << 10]));
    }
}

fn deeper(level: u64) -> u64 {
    // Nothing but locals, so that it is the stack and not the memory that is used up.
    if black_box(level) == u64::MAX { 0 } else { deeper(level + 1).wrapping_add(black_box(level)) }
}

/// Calls itself without end.
#[agent]
fn recurse() -> Result<u64, Failure> {
    Ok(deeper(1))
}

/// Panics with a message.
#[agent]
fn panic() -> Result<(), Failure> {
    panic!("the film is torn")
}

/// Traps without a word.
#[agent]
fn trap() -> Result<(), Failure> {
    std::process::abort()
}

/// Fails as an agent may.
#[agent]
fn give_up(why: String) -> Result<(), Failure> {
    Err(Failure::new(why))
}

/// Writes so many lines and reports as often how far it is.
#[agent]
fn flood(times: u32) -> Result<u32, Failure> {
    let line = "flood ".repeat(2_000);
    for time in 0..times {
        log::info!("{time} {line}");
        progress::report((time % 256) as u8, &line);
    }
    Ok(times)
}

/// Writes so many files of a thousand bytes, each another, whatever it is answered. Gives how many it got.
#[agent]
fn litter(times: u32) -> Result<usize, Failure> {
    let content = |time: u32| time.to_le_bytes().repeat(250);
    let file = |time| artifact::write("litter.bin", "application/octet-stream", &content(time));
    Ok((0..times).filter(|time| file(*time).is_ok()).count())
}

/// Begins so many files and finishes none. Gives how many it got, and what it was told then.
#[agent]
fn hoard(times: u32) -> Result<String, Failure> {
    let mut held = Vec::new();
    let mut told = "nothing".to_owned();
    for _ in 0..times {
        match artifact::create("held.bin", "application/octet-stream") {
            Ok(file) => held.push(file),
            Err(error) => told = error.to_string(),
        }
    }
    Ok(format!("{}, then {told}", held.len()))
}

/// Sends one message with so many files.
#[agent]
fn send_files(count: usize) -> Result<(), Failure> {
    let file = artifact::create("one.bin", "application/octet-stream")?.finish()?;
    let message = Message { text: "here".to_owned(), artifacts: vec![file; count] };
    delivery::send("origin", message)?;
    Ok(())
}

/// Reports without end how far it is.
#[agent]
fn boast() -> Result<(), Failure> {
    loop {
        progress::report(99, "almost done");
    }
}

/// Reads without end what it may not read, and never ends by itself.
#[agent]
fn nag() -> Result<(), Failure> {
    loop {
        let _ = kv::get("secrets", "x");
    }
}

/// Gives back what no host can take: which, its task says.
struct Lie;

impl Agent for Lie {
    const NAME: &'static str = "lie";
    const DESCRIPTION: &'static str = "Gives back what no host can take.";

    fn input_schema() -> String {
        agent_schema::<Anything>()
    }

    fn run(task: RawTask) -> Result<RawOutput, RawFailure> {
        let mut output = RawOutput { value: "null".to_owned(), text: None, artifacts: Vec::new() };
        let file = Artifact {
            id: "0".repeat(64),
            name: "secret.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size: 1,
        };
        match task.input.trim_matches('"') {
            "json" => output.value = "{\"half\":".to_owned(),
            "deep" => output.value = format!("{}{}", "[".repeat(200), "]".repeat(200)),
            "surrogate" => output.value = r#""\ud800""#.to_owned(),
            "number" => output.value = "1e99999".to_owned(),
            "artifact" => output.artifacts = vec![file],
            "artifacts" => output.artifacts = vec![file; 33],
            "text" => output.text = Some("x".repeat((16 << 10) + 1)),
            "value" => output.value = format!("\"{}\"", "x".repeat(256 << 10)),
            _ => {
                return Err(RawFailure { message: "e".repeat(1 << 20), retryable: false });
            }
        }
        Ok(output)
    }
}

/// Panics in a tool call.
#[tool]
fn panic_here() -> Result<(), Failure> {
    panic!("the tool is blunt")
}

/// Computes without end in a tool call.
#[tool]
fn spin_here() -> Result<(), Failure> {
    for_ever()
}

/// Takes memory without end in a tool call.
#[tool]
fn allocate_here() -> Result<(), Failure> {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1u8; 64 << 10]));
    }
}

plugin!(
    agents: [
        spin, spin_tree, allocate, recurse, panic, trap, give_up, flood, nag, litter, hoard, send_files, boast,
        Lie
    ],
    tools: [panic_here, spin_here, allocate_here]
);
