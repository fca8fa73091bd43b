//! Words for people: durations, sizes, grants, waits.
//!
//! Knows what things are called; reads no store and writes to no stream.

use std::time::Duration;

use sublane::channel::console::size;
use sublane::channel::scrub_line;
use sublane_core::grants::{
    AgentPattern, Authority, ChannelGrant, FileGrant, FileMode, HttpGrant, KvGrant, KvMode, ModelPattern,
    Place, SecretGrant, SpawnGrant, ToolGrant,
};
use sublane_core::poll::{Plan, Poll};
use sublane_core::{Delivery, DeliveryState, Grants, Purse, Run, Timestamp};
use sublane_store::{Source, WaitFor};

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

/// What a purse holds. What few have is named only where it is there.
pub(super) fn purse(purse: Purse) -> String {
    let mut words = vec![
        format!("{} of computing", duration(Duration::from_micros(purse.cpu_us))),
        count(purse.spawns, "spawn"),
        format!("{} of files", bytes(purse.artifact_bytes)),
        count(purse.host_calls, "host call"),
    ];
    if purse.requests > 0 {
        let (sent, got) = (bytes(purse.bytes_out), bytes(purse.bytes_in));
        words.push(format!("{} ({sent} out, {got} in)", count(purse.requests, "request")));
    }
    if purse.tokens > 0 {
        words.push(count(purse.tokens, "token"));
    }
    if purse.money_micros > 0 {
        words.push(format!("{} of money", money(purse.money_micros)));
    }
    words.join(", ")
}

/// Millionths of the operator's currency as a number of it: `2.5`.
fn money(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    let mut words = sentences(spawn, grants.channels(), grants.tools(), grants.kv(), grants.artifacts());
    words.extend(outside(grants.http(), grants.files(), grants.secrets(), grants.models()));
    words
}

/// What one side of an agreement comes to, one sentence each.
pub(super) fn authority(side: &Authority) -> Vec<String> {
    let mut words = sentences(side.spawn.iter(), &side.channels, &side.tools, &side.kv, side.artifacts);
    words.extend(outside(&side.http, &side.files, &side.secrets, &side.models));
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

/// What reaches beyond the host.
fn outside(
    http: &[HttpGrant],
    files: &[FileGrant],
    secrets: &[SecretGrant],
    models: &[ModelPattern],
) -> Vec<String> {
    let request = |grant: &HttpGrant| format!("request {} of {}", grant.methods.join(", "), grant.to);
    let mut words: Vec<String> = http.iter().map(request).collect();
    words.extend(files.iter().map(|grant| {
        let what = match grant.mode {
            FileMode::Read => "read",
            FileMode::ReadWrite => "read and write",
        };
        match grant.path.names() {
            [] => format!("{what} every file in {}", grant.root),
            _ => format!("{what} files in {} of {}", scrub_line(&grant.path.to_string()), grant.root),
        }
    }));
    words.extend(secrets.iter().map(|grant| {
        let place = match &grant.place {
            Place::Header(name) => format!("the header {name}"),
            Place::Query(name) => format!("the parameter {name}"),
            Place::Body(name) => format!("the member {name} of the body"),
        };
        format!("send the secret {} in {place} to {}", grant.name, grant.audience)
    }));
    if !models.is_empty() {
        words.push(format!("ask the models {}", list(models)));
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
    let mut text = run.state.kind().to_owned();
    if run.is_ended() {
        return text;
    }
    if let Some(retry) = retry(run).filter(|_| run.retried > 0) {
        text.push_str(&format!(" (retry {retry})"));
    }
    if let Some((percent, _)) = &run.progress {
        text.push_str(&format!(" {percent} %"));
    }
    text
}

/// How often a run began again by its policy, of how many times: `2 of 5`.
pub(super) fn retry(run: &Run) -> Option<String> {
    Some(format!("{} of {}", run.retried, run.spec.retry?.times))
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

/// Who is asked next for an answer that a run waits for, and when: `queue.fal.run in 10 s`.
pub(super) fn next_poll(polls: &[Poll], now: Timestamp) -> Option<String> {
    let next = polls.iter().min_by_key(|poll| poll.due)?;
    let host = next.server.split_once("://").map_or(&*next.server, |(_, host)| host);
    let more = match polls.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("{} {}{more}", scrub_line(host), due(next.due, now)))
}

/// When something is done that is due then: what is overdue waits for its turn.
pub(super) fn due(at: Timestamp, now: Timestamp) -> String {
    if at > now { when(at, now) } else { "now".to_owned() }
}

/// What a poll plan asks, without a query.
fn polled(plan: &Plan) -> String {
    format!("an answer to {} {}", plan.request.method, plan.request.place())
}

/// What a parked run waits for.
pub(super) fn waits_for(what: &WaitFor) -> String {
    match what {
        WaitFor::Sleep => "its time".to_owned(),
        WaitFor::Message => "a message".to_owned(),
        WaitFor::Poll { plan } => polled(plan),
        WaitFor::Hook { hook } => format!("a call of hook {hook}"),
        WaitFor::Runs { runs, all: false } if runs.len() > 1 => format!("any of {}", list(runs)),
        WaitFor::Runs { runs, .. } => format!("the end of {}", list(runs)),
        WaitFor::Any { sources } => {
            let first = |source: &Source| match source {
                // Which of them comes first is the wait's own end.
                Source::Until(_) => "its time".to_owned(),
                Source::Message => "a message".to_owned(),
                Source::Poll(plan) => polled(plan),
                Source::Hook(hook) => format!("a call of hook {hook}"),
                Source::Runs { runs, all: false } if runs.len() > 1 => format!("any of {}", list(runs)),
                Source::Runs { runs, .. } => format!("the end of {}", list(runs)),
            };
            sources.iter().map(first).collect::<Vec<_>>().join(" or ")
        }
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
            http: vec![HttpGrant {
                to: "https://queue.fal.run/fal-ai".parse().expect("a target"),
                methods: vec!["GET".into(), "POST".into()],
            }],
            files: vec![
                FileGrant {
                    root: "media".into(),
                    path: "in/raw".parse().expect("a path"),
                    mode: FileMode::Read,
                },
                FileGrant {
                    root: "out".into(),
                    path: "".parse().expect("a path"),
                    mode: FileMode::ReadWrite,
                },
            ],
            secrets: vec![SecretGrant {
                name: "fal".into(),
                place: Place::Header("authorization".into()),
                audience: "https://queue.fal.run".parse().expect("a target"),
            }],
            models: vec!["anthropic/*".parse().expect("models")],
            artifacts: true,
            purse: Purse {
                requests: 10,
                bytes_out: 1 << 20,
                bytes_in: 64 << 20,
                tokens: 1_000,
                money_micros: 2_500_000,
                ..Authority::default().purse
            },
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
            request GET, POST of https://queue.fal.run/fal-ai
            read files in in/raw of media
            read and write every file in out
            send the secret fal in the header authorization to https://queue.fal.run/
            ask the models anthropic/*
            spend 10 s of computing, 0 spawns, 0 B of files, 1000000000 host calls, 10 requests (1 MiB out, 64 MiB in), 1000 tokens, 2.5 of money for each message, within 60 min"#]]
        .assert_eq(&authority(&side).join("\n"));
    }
}
