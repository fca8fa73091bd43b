//! What the benchmarks run: an agent that does next to nothing, and one that
//! spawns it and waits, again and again.

use std::time::{Duration, SystemTime};

use sublane_sdk::poll::{self, Ending, answer};
use sublane_sdk::{Failure, Scope, Spawn, agent, data, http, plugin, timer, tools};

/// Gives back what it got.
#[agent]
fn echo(text: String) -> Result<String, Failure> {
    Ok(text)
}

/// Spawns `echo` and waits for it, so many times.
#[agent]
fn call(times: u32) -> Result<u32, Failure> {
    let text = "x".repeat(100);
    let small = Duration::from_secs(1);
    for _ in 0..times {
        let child = Spawn::agent("bench/echo").task(&text).scope(Scope::new().cpu(small)).start()?;
        child.wait()?;
    }
    Ok(times)
}

/// Spawns `echo` so many times, and does not wait.
#[agent]
fn start(times: u32) -> Result<u32, Failure> {
    let text = "x".repeat(100);
    let small = Duration::from_secs(1);
    for _ in 0..times {
        Spawn::agent("bench/echo").task(&text).scope(Scope::new().cpu(small)).detached().start()?;
    }
    Ok(times)
}

/// Makes a small request so many times, and wants each answered.
#[agent]
fn ask(errand: Errand) -> Result<u32, Failure> {
    for _ in 0..errand.times {
        http::post(&errand.url).body("x").send()?.ok()?;
    }
    Ok(errand.times)
}

/// What `ask` does.
#[data]
struct Errand {
    url: String,
    times: u32,
}

/// Asks so many times which tools there are: effects with next to nothing to do. Then it sleeps until
/// an instant, and once more: a call as soon as it goes on, which is over at once.
#[agent]
fn recall(memory: Memory) -> Result<u32, Failure> {
    for _ in 0..memory.effects {
        tools::list()?;
    }
    if let Some(until) = memory.until_ms {
        let until = SystemTime::UNIX_EPOCH + Duration::from_millis(until);
        timer::until(until)?;
        timer::until(until)?;
    }
    Ok(memory.effects)
}

/// What `recall` does.
#[data]
struct Memory {
    effects: u32,
    /// Milliseconds since 1970.
    until_ms: Option<u64>,
}

/// Has the host ask every second whether something is done, and gives back what is said then.
#[agent]
fn watch(url: String) -> Result<String, Failure> {
    let ending = poll::asking(http::get(&url))
        .every(Duration::from_secs(1))
        .give_or_take(0)
        .done_when(answer().with("$.status", "done"))
        .goes_on_when(answer().with("$.status", "queued"))
        .until_it_ends()?;
    match ending {
        Ending::Done(response) => Ok(response.text()),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

plugin!(agents: [echo, call, start, ask, recall, watch]);
