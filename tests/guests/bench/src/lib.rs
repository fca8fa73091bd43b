//! What the benchmarks run: an agent that does next to nothing, and one that
//! spawns it and waits, again and again.

use std::time::Duration;

use sublane_sdk::{Failure, Scope, Spawn, agent, data, http, plugin};

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

plugin!(agents: [echo, call, start, ask]);
