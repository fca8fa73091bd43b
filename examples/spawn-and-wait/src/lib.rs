//! Counts the words of a text with a sub-agent for each part of it.
use sublane_sdk::{Failure, Spawn, agent, plugin, wait_all};

/// Counts the words of a text, in up to four parts at once.
#[agent]
fn count(text: String) -> Result<usize, Failure> {
    let lines: Vec<&str> = text.lines().collect();
    let parts = lines.chunks(lines.len().div_ceil(4).max(1));
    let children = parts
        .map(|part| Spawn::agent("spawn-and-wait/count-part").task(part.join("\n")).start())
        .collect::<Result<Vec<_>, _>>()?;
    let mut words = 0;
    for outcome in wait_all(&children)? {
        words += outcome.decode::<usize>()?;
    }
    Ok(words)
}

/// Counts the words of one part.
#[agent]
fn count_part(part: String) -> Result<usize, Failure> {
    Ok(part.split_whitespace().count())
}
plugin!(agents: [count, count_part]);
