//! Words for people: durations, sizes, grants, waits.
//!
//! Knows what things are called; reads no store and writes to no stream.

use std::time::Duration;

use sublane::channel::console::size;
use sublane_core::grants::{AgentPattern, Authority, ChannelGrant, KvGrant, KvMode, SpawnGrant, ToolGrant};
use sublane_core::{Delivery, DeliveryState, Grants, Purse, Run, Timestamp};
use sublane_store::WaitFor;

/// A duration in its largest unit: `850 ms`, `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// When, seen from now: `in 3 min` or `12 s ago`.
pub(super) fn when(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", duration(at.since(now)))
    } else {
        format!("{} ago", duration(now.since(at)))
    }
}

/// Bytes in the unit of the configuration when they are a whole number of it: `64 MiB`, else `1.2 kB`.
pub(super) fn bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    size(bytes)
}

/// What a purse holds.
pub(super) fn purse(purse: Purse) -> String {
    format!(
        "{} of computing, {}, {} of files",
        duration(Duration::from_micros(purse.cpu_us)),
        count(purse.spawns, "spawn"),
        bytes(purse.artifact_bytes)
    )
}

/// `1 spawn`, `2 spawns`, `2 entries`.
pub(super) fn count(number: impl Into<u64>, what: &str) -> String {
    match (number.into(), what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (number, Some(stem)) => format!("{number} {stem}ies"),
        (number, None) => format!("{number} {what}s"),
    }
}

/// What grants allow, one sentence each.
pub(super) fn grants(grants: &Grants) -> Vec<String> {
    let spawn = grants.spawn().into_iter();
    sentences(spawn, grants.channels(), grants.tools(), grants.kv(), grants.artifacts())
}

/// What one side of an agreement comes to, one sentence each.
pub(super) fn authority(side: &Authority) -> Vec<String> {
    let mut words = sentences(side.spawn.iter(), &side.channels, &side.tools, &side.kv, side.artifacts);
    words.push(format!("spend {} for each message, within {}", purse(side.purse), duration(side.timeout)));
    words
}

fn sentences<'a>(
    spawn: impl Iterator<Item = &'a SpawnGrant>,
    channels: &[ChannelGrant],
    tools: &[ToolGrant],
    kv: &[KvGrant],
    artifacts: bool,
) -> Vec<String> {
    let mut words: Vec<String> = spawn.map(spawning).collect();
    if !channels.is_empty() {
        words.push(format!("deliver to {}", list(channels)));
    }
    words.extend(tools.iter().map(|grant| match &grant.tools {
        Some(tools) => format!("call {} of {}", tools.join(", "), grant.plugin),
        None => format!("call every tool of {}", grant.plugin),
    }));
    words.extend(kv.iter().map(keys));
    if artifacts {
        words.push("write files".to_owned());
    }
    words
}

fn spawning(grant: &SpawnGrant) -> String {
    let agent = |agent: &AgentPattern| match &agent.agent {
        Some(_) => agent.to_string(),
        None => format!("every agent of {}", agent.plugin),
    };
    let agents: Vec<String> = grant.agents.iter().map(agent).collect();
    format!(
        "spawn {}, {} deep, {} at once",
        agents.join(", "),
        count(grant.depth, "level"),
        grant.active_children
    )
}

fn keys(grant: &KvGrant) -> String {
    let what = match grant.mode {
        KvMode::Read => "read",
        KvMode::ReadWrite => "read and write",
    };
    match grant.prefix.as_str() {
        "" => format!("{what} every key of bucket {}", grant.bucket),
        prefix => format!("{what} keys of bucket {} that begin with {prefix:?}", grant.bucket),
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Where a run stands, with its progress while it lives: `running 43 %`.
pub(super) fn state(run: &Run) -> String {
    match &run.progress {
        Some((percent, _)) if !run.is_ended() => format!("{} {percent} %", run.state.kind()),
        _ => run.state.kind().to_owned(),
    }
}

/// How a run ended, or `-`.
pub(super) fn outcome(run: &Run) -> &'static str {
    run.outcome().map_or("-", sublane_core::Outcome::kind)
}

/// How the deliveries of a run stand: `delivered`, `1 pending, 2 delivered`, or `-`.
pub(super) fn deliveries(deliveries: &[Delivery]) -> String {
    let count = |state: DeliveryState| deliveries.iter().filter(|delivery| delivery.state == state).count();
    let counts = DeliveryState::ALL.map(|state| (state, count(state)));
    let some: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    match some.as_slice() {
        [] => "-".to_owned(),
        [(state, 1)] => delivery_state(*state).to_owned(),
        some => {
            let words = some.iter().map(|(state, count)| format!("{count} {}", delivery_state(*state)));
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The word for a delivery's state.
pub(super) fn delivery_state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Sending => "sending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "dead",
        DeliveryState::Dismissed => "dismissed",
    }
}

/// What a parked run waits for.
pub(super) fn waits_for(what: &WaitFor) -> String {
    match what {
        WaitFor::Sleep => "its time".to_owned(),
        WaitFor::Message => "a message".to_owned(),
        WaitFor::Runs { runs, all: false } if runs.len() > 1 => format!("any of {}", list(runs)),
        WaitFor::Runs { runs, .. } => format!("the end of {}", list(runs)),
    }
}

/// Lines under a heading, each indented; nothing for no lines.
pub(super) fn section(heading: &str, lines: &[String]) -> String {
    let mut text = String::new();
    if !lines.is_empty() {
        text.push_str(&format!("{heading}\n"));
        lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        let told = [850, 12_000, 119_999, 200_000, 7_200_000, 172_800_000]
            .map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(told, ["850 ms", "12 s", "119 s", "3 min", "2 h", "2 d"]);
        assert_eq!([0_u64, 1].map(|number| count(number, "entry")), ["0 entries", "1 entry"]);
        assert_eq!([64 << 20, 1536, 3 << 30].map(bytes), ["64 MiB", "1.5 kB", "3 GiB"]);
        assert_eq!(when(Timestamp(61_000), Timestamp(1_000)), "in 60 s");
        assert_eq!(when(Timestamp(1_000), Timestamp(3_000)), "2 s ago");
    }

    #[test]
    fn authority_is_told_in_sentences() {
        let side = Authority {
            spawn: Some(SpawnGrant {
                agents: vec!["video/render".parse().expect("an agent"), "audio/*".parse().expect("agents")],
                depth: 1,
                active_children: 5,
            }),
            channels: vec!["origin".parse().expect("origin"), "webhook:films".parse().expect("an address")],
            tools: vec![
                ToolGrant { plugin: "video".into(), tools: Some(vec!["generate_video".into()]) },
                ToolGrant { plugin: "notes".into(), tools: None },
            ],
            kv: vec![
                KvGrant { bucket: "films".into(), prefix: String::new(), mode: KvMode::Read },
                KvGrant { bucket: "notes".into(), prefix: "a/".into(), mode: KvMode::ReadWrite },
            ],
            artifacts: true,
            ..Authority::default()
        };
        expect![[r#"
            spawn video/render, every agent of audio, 1 level deep, 5 at once
            deliver to origin, webhook:films
            call generate_video of video
            call every tool of notes
            read every key of bucket films
            read and write keys of bucket notes that begin with "a/"
            write files
            spend 10 s of computing, 0 spawns, 0 B of files for each message, within 60 min"#]]
        .assert_eq(&authority(&side).join("\n"));
    }
}
