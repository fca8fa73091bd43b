//! What happens in a seed: the runs that are asked for, and what disturbs them.
//!
//! Owns the chance: the same seed gives the same plan, to the last number. Knows no host; picks
//! among what there will be are numbers, taken modulo.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::Side;
use crate::fuzz::Random;

/// Stands for the provider's URL in a task, since its port is not known before.
pub const PROVIDER: &str = "PROVIDER";
/// Levels of runs below a root.
const LEVELS: usize = 2;

/// All of a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Root runs, each in a conversation of its own: `console:0` and so on.
    pub roots: Vec<Root>,
    /// What happens, in order.
    pub moves: Vec<Move>,
    /// Slots of each lane.
    pub slots: u32,
    /// How long a parked attempt keeps its instance.
    pub hot_window: Duration,
}

/// A root run.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    /// `plugin/agent`.
    pub agent: &'static str,
    /// Its task.
    pub input: Value,
    /// Where its ending is told.
    pub deliver: Vec<String>,
}

/// How those outside behave, in thousandths of what they are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    /// Nothing is taken, and that is said.
    pub fails: usize,
    /// It is taken, and nothing or something wrong is said.
    pub ambiguous: usize,
    /// No answer comes in time; half of it is taken.
    pub silent: usize,
    /// It is refused for good.
    pub refuses: usize,
}

/// One disturbance, or none. Time passes in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// This root is asked for.
    Begin(usize),
    /// Time.
    Pass(Duration),
    /// The host dies at one of its next writes, and another one begins after a while.
    Kill {
        /// At which.
        write: u64,
        /// On which side of it.
        side: Side,
        /// How long there is none.
        down: Duration,
    },
    /// The host is stopped as an operator does it, and another one begins.
    Restart,
    /// The host stands still for so long, and goes on.
    StandStill(Duration),
    /// The host stands still for so long, another one takes over, and the first goes on; then
    /// the second dies.
    TakeOver(Duration),
    /// The clock is put forward.
    Forward(Duration),
    /// The clock is put back.
    Back(Duration),
    /// So many thousandths of what the store is asked fail, for so long.
    StoreFails(usize, Duration),
    /// From now on the receivers and the provider are like this.
    Outside(Mood),
    /// The plugin is replaced by its other version.
    Replace,
    /// The plugin is allowed less: no requests, or no values.
    Revoke {
        /// Requests, else values.
        requests: bool,
    },
    /// The plugin is allowed what it asks for.
    Allow,
    /// A run is cancelled by its operator.
    Cancel(usize),
    /// A run is told something from outside.
    Say(usize),
    /// A hook is called, twice, and one that there is not.
    Call(usize),
}

fn chance(random: &mut Random, of_hundred: usize) -> bool {
    random.below(100) < of_hundred
}

fn between(random: &mut Random, least: usize, most: usize) -> usize {
    least + random.below(most - least + 1)
}

fn seconds(random: &mut Random, least: usize, most: usize) -> Duration {
    Duration::from_secs(between(random, least, most) as u64)
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed.wrapping_add(1));
        // The first numbers of neighbouring seeds are alike.
        (0..16).for_each(|_| _ = random.below(2));
        let count = between(&mut random, 9, 13);
        let roots: Vec<Root> = (0..count).map(|n| root(&mut random, n)).collect();
        let mut moves = Vec::new();
        for n in 0..count {
            moves.push(Move::Begin(n));
            for _ in 0..random.below(4) {
                moves.push(disturbance(&mut random));
            }
        }
        for _ in 0..4 {
            moves.push(disturbance(&mut random));
        }
        let slots = between(&mut random, 1, 4) as u32;
        let hot_window = [0, 1, 10][random.below(3)];
        Self { seed, roots, moves, slots, hot_window: Duration::from_secs(hot_window) }
    }
}

fn disturbance(random: &mut Random) -> Move {
    match random.below(36) {
        0..=5 => Move::Pass(seconds(random, 1, 8)),
        6..=10 => Move::Kill {
            write: between(random, 1, 14) as u64,
            side: if chance(random, 50) { Side::Before } else { Side::After },
            down: seconds(random, 0, 40),
        },
        11 => Move::Restart,
        12..=13 => Move::StandStill(seconds(random, 1, 120)),
        14 => Move::TakeOver(seconds(random, 1, 120)),
        15..=16 => Move::Forward(seconds(random, 10, 600)),
        17 if chance(random, 40) => Move::Forward(seconds(random, 3_600, 10_800)),
        17 => Move::Back(seconds(random, 1, 900)),
        18..=21 => Move::StoreFails(between(random, 20, 300), seconds(random, 1, 6)),
        22..=25 => Move::Outside(Mood {
            fails: random.below(400),
            ambiguous: random.below(300),
            silent: random.below(120),
            refuses: random.below(60),
        }),
        26 => Move::Outside(Mood::default()),
        27 => Move::Replace,
        28 => Move::Revoke { requests: chance(random, 50) },
        29 => Move::Allow,
        30..=31 => Move::Cancel(random.below(1_000)),
        32..=33 => Move::Say(random.below(1_000)),
        _ => Move::Call(random.below(1_000)),
    }
}

fn root(random: &mut Random, n: usize) -> Root {
    let own = format!("console:{n}");
    let deliver = match random.below(5) {
        0 => Vec::new(),
        1 => vec!["webhook:films".to_owned()],
        2 => vec![own, "webhook:films".to_owned()],
        _ => vec![own],
    };
    if chance(random, 8) {
        return Root { agent: "spawns/echo", input: json!(n), deliver };
    }
    Root { agent: "spawns/act", input: steps(random, &format!("{n}"), LEVELS), deliver }
}

/// What a run does. `name` is its own in the seed, `levels` may be below it.
fn steps(random: &mut Random, name: &str, levels: usize) -> Value {
    let mut steps = Vec::new();
    let (mut children, mut hooks) = (0, 0);
    if chance(random, 12) {
        steps.push(request(name, "undo", true));
    }
    for step in 0..between(random, 2, 6) {
        let within = between(random, 100, 20_000);
        match random.below(20) {
            0..=1 => steps.push(json!({ "sleep": within })),
            2 if chance(random, 30) => steps.push(json!({ "sleep": 60_000 + 40 * within })),
            2 => steps.push(json!({ "progress": { "percent": 50, "note": name } })),
            3 => steps.push(json!({ "kv-set": { "bucket": "notes", "key": name, "value": "x" } })),
            4 => steps.push(json!({ "kv-get": { "bucket": "notes", "key": name } })),
            5 => steps.push(json!({ "work": between(random, 100, 20_000) })),
            6..=8 => steps.push(request(name, &step.to_string(), false)),
            9..=10 => {
                steps.push(json!({ "hook": { "secret": null, "keys": null } }));
                steps.push(json!({ "hook-wait": { "hook": hooks, "within-ms": within } }));
                hooks += 1;
            }
            11 => steps.push(json!({ "receive": { "within-ms": within } })),
            12 => steps.push(json!({ "deliver": { "to": "origin", "text": format!("{name} says {step}") } })),
            13 => steps.push(json!({ "write": { "name": "a.txt", "text": format!("{name} wrote {step}") } })),
            14 => steps.push(json!({ "log": { "level": "info", "text": name } })),
            _ if levels > 0 && children < 3 => {
                steps.push(spawn(random, &format!("{name}.{children}"), levels - 1));
                after_spawn(random, children, within, &mut steps);
                children += 1;
            }
            _ => steps.push(json!({ "work": 100 })),
        }
    }
    if chance(random, 15) {
        steps.push(json!({ "fail": "it has had enough" }));
    }
    Value::Array(steps)
}

/// What is asked of the provider: its body says by which run, and in which of its steps.
fn request(name: &str, step: &str, undo: bool) -> Value {
    json!({ "http": {
        "method": "POST", "url": format!("{PROVIDER}/jobs"), "body": format!("{name}/{step}"),
        "timeout-ms": 200, "max-body": 1_000, "undo": undo,
    } })
}

fn spawn(random: &mut Random, name: &str, levels: usize) -> Value {
    let mut scope = json!({
        "channels": ["origin"], "kv-write": ["notes"], "http": [format!("GET,POST {PROVIDER}")],
        "requests": [random.below(4), 65_536, 65_536], "artifact-bytes": 4_096, "cpu-ms": 2_000,
    });
    if levels > 0 {
        scope["agents"] = json!(["spawns/act"]);
        scope["depth"] = json!(levels);
        scope["active-children"] = json!(3);
        scope["total"] = json!(4);
    }
    let mut ask =
        json!({ "agent": "spawns/act", "name": name, "task": steps(random, name, levels), "scope": scope });
    match random.below(8) {
        0 => ask["detached"] = json!(true),
        1 => ask["begin-after-ms"] = json!(between(random, 100, 30_000)),
        2 => ask["timeout-ms"] = json!(between(random, 1_000, 30_000)),
        3 => ask["dedupe-key"] = json!(name),
        _ => {}
    }
    if chance(random, 30) {
        ask["deliver"] = json!(["origin"]);
    }
    if chance(random, 25) {
        ask["retry"] = json!({
            "times": between(random, 1, 3), "after-ms": between(random, 0, 20_000), "jitter": 20,
            "only-failures": chance(random, 50),
        });
    }
    json!({ "spawn": ask })
}

fn after_spawn(random: &mut Random, child: usize, within: usize, steps: &mut Vec<Value>) {
    match random.below(7) {
        0..=1 => steps.push(json!({ "wait": {} })),
        2 => steps.push(json!({ "wait": { "any": true, "within-ms": within } })),
        3 => steps.push(json!({ "send": { "child": child, "message": "go on" } })),
        4 => steps.push(json!({ "cancel": { "child": child, "reason": "enough" } })),
        5 => steps.push(json!({ "first": [{ "any-of": [] }, "message", { "within-ms": within }] })),
        _ => {}
    }
}
