//! A small world: one conversation, runs by number, and what a host does with them.

use std::sync::Arc;

use sublane_core::journal::WaitAnswer;
use sublane_core::{
    Answer, ArtifactRef, ConversationId, Destination, Entry, Grants, Import, Lifetime, Outcome, Output, Path,
    Priority, Purse, PurseAsk, Run, RunId, RunSpec, Timestamp, Token,
};
use sublane_store::ops::NewConversation;
use sublane_store::{Accept, Accepted, By, Draw, Parked, Spawn, Spawned, Store, Wait, WaitFor};

/// When everything is accepted.
pub(crate) const START: Timestamp = Timestamp(1_000_000);
/// When runs must have ended.
pub(crate) const DEADLINE: Timestamp = Timestamp(9_000_000);
/// Runs with more crashes than this end.
pub(crate) const MAX_CRASHES: u32 = 3;

/// What a conversation's purse is filled up to.
pub(crate) const FULL: Purse = Purse {
    cpu_us: 1_000_000,
    spawns: 100,
    artifact_bytes: 10_000,
    host_calls: 2_000,
    requests: 200,
    bytes_out: 3_000,
    bytes_in: 4_000,
    tokens: 500,
    money_micros: 600,
};
/// What a root run takes of it.
pub(crate) const ROOT: Purse = Purse {
    cpu_us: 500_000,
    spawns: 40,
    artifact_bytes: 4_000,
    host_calls: 1_000,
    requests: 90,
    bytes_out: 1_000,
    bytes_in: 2_000,
    tokens: 200,
    money_micros: 0,
};
/// What a child takes of its parent's.
pub(crate) const CHILD: Purse = Purse {
    cpu_us: 1_000,
    spawns: 3,
    artifact_bytes: 100,
    host_calls: 30,
    requests: 9,
    bytes_out: 0,
    bytes_in: 7,
    tokens: 0,
    money_micros: 0,
};

/// So much guest CPU, and nothing else.
pub(crate) fn cpu(cpu_us: u64) -> Purse {
    Purse { cpu_us, ..Purse::default() }
}

pub(crate) fn link_base() -> Arc<str> {
    "file:///artifacts/".into()
}

/// `START` and so many milliseconds.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp(START.0 + millis)
}

pub(crate) fn destination(text: &str) -> Destination {
    text.parse().expect("channel:address")
}

pub(crate) fn grants(deadline: Timestamp) -> Grants {
    let json = format!(
        r#"{{"spawn":{{"agents":["video/*"],"depth":3,"active_children":5}},"channels":["origin"],"tools":[],
            "kv":[],"artifacts":true,"caps":{{"deadline":{},"memory_bytes":1000}}}}"#,
        deadline.0
    );
    serde_json::from_str(&json).expect("grants in their stored form")
}

/// The run number `n`, by default a root with one destination.
pub(crate) fn spec(n: u8) -> RunSpec {
    RunSpec {
        id: RunId::new(START, [n; 10]),
        parent: None,
        lifetime: Lifetime::Detached,
        conversation: ConversationId([n; 16]),
        origin: destination("console:me"),
        plugin: "video".into(),
        agent: "render".into(),
        plugin_digest: "ab".repeat(32),
        name: format!("run-{n}"),
        lane: "subagent".into(),
        priority: Priority::Normal,
        depth: 0,
        input: r#"{"prompt":"a fox"}"#.into(),
        artifacts: Vec::new(),
        grants: grants(DEADLINE),
        purse: Purse::default(),
        destinations: vec![destination("console:me")],
        created: START,
        dedupe_key: None,
        spawner: "video".into(),
        seed: [n; 32],
        retry: None,
    }
}

/// A message that makes the run number `n` in the conversation at `origin`.
pub(crate) fn message(n: u8, origin: &str) -> Accept {
    Accept {
        conversation: NewConversation {
            id: ConversationId([n; 16]),
            origin: destination(origin),
            purse: FULL,
        },
        event: Some((origin.to_owned(), format!("event-{n}"))),
        spec: Box::new(spec(n)),
        ask: PurseAsk::exactly(ROOT),
    }
}

pub(crate) async fn accept(store: &dyn Store, n: u8) -> Accepted {
    store.accept(message(n, "console:me")).await.expect("accepted")
}

pub(crate) fn token(n: u128) -> Token {
    Token(0xfeed_0000 + n)
}

pub(crate) fn by(run: RunId, token: Token) -> By {
    By { run, token, spent: Purse::default(), link_base: link_base(), now: START }
}

/// The same attempt, later.
pub(crate) fn later(by: &By, now: Timestamp) -> By {
    By { now, ..by.clone() }
}

/// Claims a run; the attempt writes with what comes back.
pub(crate) async fn claim(store: &dyn Store, id: RunId) -> By {
    let token = token(u128::from_be_bytes(id.0) >> 32);
    store.claim(id, token, START).await.expect("the store works").expect("it was queued");
    by(id, token)
}

/// Accepts the root run number `n` and claims it.
pub(crate) async fn root(store: &dyn Store, n: u8) -> By {
    let run = accept(store, n).await.run;
    claim(store, run).await
}

/// A spawn at place `seq` of `parent`: attached, without destinations, asking for little.
pub(crate) fn child(parent: &By, conversation: ConversationId, seq: u32) -> Spawn {
    let mut spec = spec(0);
    spec.conversation = conversation;
    spec.lifetime = Lifetime::Attached;
    spec.depth = 1;
    spec.name = format!("child-{seq}");
    spec.destinations.clear();
    Spawn {
        by: parent.clone(),
        path: Path::root().then(seq),
        import: Import::Spawn,
        args: u128::from(seq) << 64 | 7,
        spec: Box::new(spec),
        ask: PurseAsk::exactly(CHILD),
        draw: Draw::Spawner,
        active_children: 5,
        position: 2,
        start: None,
    }
}

pub(crate) async fn spawn_with(
    store: &dyn Store,
    parent: &By,
    seq: u32,
    edit: impl FnOnce(&mut Spawn),
) -> Spawned {
    let conversation = get(store, parent.run).await.spec.conversation;
    let mut spawn = child(parent, conversation, seq);
    edit(&mut spawn);
    store.spawn(spawn).await.expect("the parent has its claim")
}

/// Spawns an attached child at place `seq`.
pub(crate) async fn spawn(store: &dyn Store, parent: &By, seq: u32) -> RunId {
    spawn_with(store, parent, seq, |_| {}).await.answer.expect("room for a child").run
}

/// Spawns a detached child at place `seq`, as a tool call does.
pub(crate) async fn spawn_detached(store: &dyn Store, parent: &By, seq: u32) -> RunId {
    let detached = |spawn: &mut Spawn| {
        spawn.spec.lifetime = Lifetime::Detached;
        spawn.draw = Draw::Conversation { total: u64::MAX };
    };
    spawn_with(store, parent, seq, detached).await.answer.expect("room for a child").run
}

pub(crate) async fn get(store: &dyn Store, id: RunId) -> Run {
    store.run(id).await.expect("the store works").expect("the run is there")
}

pub(crate) async fn state(store: &dyn Store, id: RunId) -> &'static str {
    get(store, id).await.state.kind()
}

/// How a run ended: the outcome's kind, or the state of one that has not.
pub(crate) async fn ended_as(store: &dyn Store, id: RunId) -> &'static str {
    let run = get(store, id).await;
    run.outcome().map_or(run.state.kind(), Outcome::kind)
}

pub(crate) fn success() -> Outcome {
    Outcome::Succeeded(Output {
        value: r#""a film""#.into(),
        text: Some("Here it is.".into()),
        artifacts: vec![],
    })
}

pub(crate) fn artifact(n: u8) -> ArtifactRef {
    ArtifactRef {
        id: format!("{n:02x}").repeat(32),
        name: "film.mp4".into(),
        media_type: "video/mp4".into(),
        size: 1_000 + u64::from(n),
    }
}

/// A wait at place `seq` of the run of `by`.
pub(crate) fn wait(by: &By, seq: u32, what: WaitFor, due: Option<Timestamp>) -> Wait {
    let import = match what {
        WaitFor::Runs { .. } => Import::Wait,
        WaitFor::Message => Import::Receive,
        WaitFor::Sleep => Import::Sleep,
        WaitFor::Any { .. } => Import::WaitAny,
        WaitFor::Hook { .. } => Import::HookWait,
        WaitFor::Poll { .. } => Import::PollUntil,
    };
    Wait { run: by.run, path: Path::root().then(seq), import, args: u128::from(seq), what, due }
}

/// Parks an attempt that finds nothing decided yet.
pub(crate) async fn park(store: &dyn Store, by: &By, wait: Wait) {
    assert_eq!(store.park(by.clone(), wait).await.expect("it has its claim"), Parked::Waiting);
}

pub(crate) fn entry(seq: u32, import: Import, result: &str) -> Entry {
    Entry {
        path: Path::root().then(seq),
        import,
        args: u128::MAX - u128::from(seq),
        result: result.into(),
        at: START,
    }
}

/// What a wait for runs came to.
pub(crate) fn wait_answer(entry: &Entry) -> WaitAnswer {
    let answer: Answer<WaitAnswer> = sublane_core::journal::decode(entry).expect("an answer to a wait");
    answer.expect("a wait for runs does not fail")
}
