//! Counts primes with twenty sub-agents: all are begun before one is waited for, and joined in
//! whatever order they end.
use std::time::Duration;

use sublane_sdk::{Failure, Scope, Spawn, agent, data, plugin, progress, wait_any};

const CHILDREN: u32 = 20;

/// Numbers from `from` on, and below `to`.
#[data]
struct Part {
    from: u32,
    to: u32,
}

/// Counts the primes below a number, in twenty parts at once.
#[agent]
fn count(below: u32) -> Result<u32, Failure> {
    let mut children = Vec::new();
    let step = below.div_ceil(CHILDREN);
    for number in 0..CHILDREN {
        let part = Part { from: below.min(number * step), to: below.min((number + 1) * step) };
        // What a child does not need comes back; what it is not given it cannot take from the others.
        let scope = Scope::new().cpu(Duration::from_secs(1)).host_calls(1_000);
        children.push(Spawn::agent("fan-out/count-part").task(&part).scope(scope).start()?);
    }
    // Meanwhile this run is a row. A child that fails ends it here, and the others with it.
    let mut primes = 0;
    while !children.is_empty() {
        let (first, outcome) = wait_any(&children)?;
        primes += outcome.decode::<u32>()?;
        children.swap_remove(first);
        let done = CHILDREN as usize - children.len();
        progress::report((done * 5) as u8, &format!("{done} of {CHILDREN} parts"));
    }
    Ok(primes)
}

/// Counts the primes of one part.
#[agent]
fn count_part(part: Part) -> Result<u32, Failure> {
    let is_prime = |n: u32| {
        n > 1 && (2..).take_while(|divisor| divisor * divisor <= n).all(|divisor| !n.is_multiple_of(divisor))
    };
    Ok((part.from..part.to).filter(|n| is_prime(*n)).count() as u32)
}
plugin!(agents: [count, count_part]);
