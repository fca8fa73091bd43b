//! Rules of authority by example: what a denial says, who refused, what caps do.

mod properties;

use expect_test::{Expect, expect};

use super::capability::Holding;
use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn terms(ceiling: Ceiling) -> Terms {
    Terms { now: NOW, ceiling, memory_bytes: 4 << 20, timeout: Duration::from_secs(600) }
}

fn agents(patterns: &[&str]) -> Vec<AgentPattern> {
    patterns.iter().map(|text| text.parse().expect("a pattern")).collect()
}

fn spawn(patterns: &[&str], depth: u32, active_children: u32) -> Option<SpawnGrant> {
    Some(SpawnGrant { agents: agents(patterns), depth, active_children })
}

fn kv(bucket: &str, prefix: &str, mode: KvMode) -> KvGrant {
    KvGrant { bucket: bucket.to_owned(), prefix: prefix.to_owned(), mode }
}

fn tools(plugin: &str, names: Option<&[&str]>) -> ToolGrant {
    let names = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    ToolGrant { plugin: plugin.to_owned(), tools: names }
}

/// What a video plugin holds that may do a little of everything.
fn video() -> Authority {
    Authority {
        spawn: spawn(&["video/render"], 2, 5),
        channels: vec![ChannelGrant::Origin, "webhook:films".parse().expect("a destination")],
        tools: vec![tools("video", Some(&["generate_video"]))],
        kv: vec![kv("notes", "a/", KvMode::ReadWrite), kv("notes", "", KvMode::Read)],
        artifacts: true,
        purse: Purse { cpu_us: 120_000_000, spawns: 100, artifact_bytes: 64 << 20 },
        timeout: Duration::from_secs(600),
    }
}

fn grants() -> Grants {
    Grants::root(&video(), &video(), NOW, 64 << 20).0
}

fn check_denied(scope: &Scope, expected: &Expect) {
    let answer = match grants().attenuate(scope, &terms(Ceiling::Parent)) {
        Ok(_) => "granted".to_owned(),
        Err(denied) => denied.to_string(),
    };
    expected.assert_eq(&answer);
}

#[test]
fn a_denial_names_what_was_asked() {
    let none = Scope::default;
    check_denied(&none(), &expect!["granted"]);
    let scope = Scope { spawn: spawn(&["video/render", "video/*"], 1, 1), ..none() };
    check_denied(&scope, &expect!["denied: spawn video/*"]);
    let scope = Scope { spawn: spawn(&["video/render"], 2, 1), ..none() };
    check_denied(&scope, &expect!["denied: spawn depth 2"]);
    let scope = Scope { spawn: spawn(&["video/render"], 1, 6), ..none() };
    check_denied(&scope, &expect!["denied: spawn active-children 6"]);
    let scope = Scope { channels: vec!["webhook:other".parse().expect("a destination")], ..none() };
    check_denied(&scope, &expect!["denied: channels webhook:other"]);
    let scope = Scope { tools: vec![tools("video", Some(&["generate_video", "erase"]))], ..none() };
    check_denied(&scope, &expect!["denied: tools video.erase"]);
    let scope = Scope { tools: vec![tools("video", None)], ..none() };
    check_denied(&scope, &expect!["denied: tools video.*"]);
    let scope = Scope { kv: vec![kv("notes", "b/", KvMode::ReadWrite)], ..none() };
    check_denied(&scope, &expect![[r#"denied: kv notes prefix "b/" (read-write)"#]]);
    let scope = Scope { kv: vec![kv("notes", "b/", KvMode::Read)], ..none() };
    check_denied(&scope, &expect!["granted"]);
}

#[test]
fn a_child_without_the_right_is_told_so_on_use() {
    let child = grants().attenuate(&Scope::default(), &terms(Ceiling::Parent)).expect("empty scope");
    let text = |answer: Result<(), Denied>| answer.expect_err("not given").capability.to_string();
    expect!["spawn video/render"].assert_eq(&text(child.may_spawn("video", "render")));
    expect!["channels origin"].assert_eq(&text(child.may_deliver(&ChannelGrant::Origin)));
    expect!["tools video.generate_video"].assert_eq(&text(child.may_call("video", "generate_video")));
    expect![[r#"kv notes key "a/1" (read)"#]].assert_eq(&text(child.may_kv("notes", "a/1", KvMode::Read)));
    expect![[r#"kv notes prefix "" (read)"#]].assert_eq(&text(child.may_kv_prefix(
        "notes",
        "",
        KvMode::Read,
    )));
    expect!["artifacts"].assert_eq(&text(child.may_write_artifacts()));
}

#[test]
fn what_is_held_may_be_used() {
    let held = grants();
    held.may_spawn("video", "render").expect("granted");
    held.may_deliver(&ChannelGrant::Origin).expect("granted");
    held.may_call("video", "generate_video").expect("granted");
    held.may_kv("notes", "a/1", KvMode::ReadWrite).expect("granted");
    held.may_kv("notes", "b/1", KvMode::ReadWrite).expect_err("reading only");
    held.may_kv_prefix("notes", "", KvMode::Read).expect("granted");
    held.may_write_artifacts().expect("granted");
}

#[test]
fn the_last_level_holds_agents_but_may_not_spawn_them() {
    let mut held = grants();
    for depth in [1, 0] {
        let scope = Scope { spawn: spawn(&["video/render"], depth, 5), ..Scope::default() };
        held = held.attenuate(&scope, &terms(Ceiling::Parent)).expect("a level less");
    }
    let denied = held.may_spawn("video", "render").expect_err("no level below");
    assert_eq!(denied.capability, Capability::SpawnDepth(1));
    let scope = Scope { spawn: spawn(&["video/render"], 0, 5), ..Scope::default() };
    held.attenuate(&scope, &terms(Ceiling::Parent)).expect_err("nothing to hand on");
}

#[test]
fn caps_take_the_minimum() {
    let ask = |timeout, memory_bytes| {
        let scope = Scope { timeout: Some(Duration::from_secs(timeout)), memory_bytes, ..Scope::default() };
        let conversation = Ceiling::Conversation(NOW.after(Duration::from_secs(900)));
        [Ceiling::Parent, conversation].map(|ceiling| {
            let child = grants().attenuate(&scope, &terms(ceiling)).expect("caps are no denial");
            (child.caps().deadline.since(NOW).as_secs(), child.caps().memory_bytes >> 20)
        })
    };
    assert_eq!(ask(60, None), [(60, 4), (60, 4)]);
    assert_eq!(ask(3600, Some(1 << 30)), [(599, 64), (900, 64)]);
}

#[test]
fn an_attached_child_ends_before_its_parent_and_is_not_born_too_late() {
    let within = |left: u64| {
        let asks = Authority { timeout: Duration::from_millis(left), ..video() };
        let (held, _) = Grants::root(&asks, &asks, NOW, 64 << 20);
        let child = held.attenuate(&Scope::default(), &terms(Ceiling::Parent)).expect("empty scope");
        child.caps().deadline.since(NOW).as_millis()
    };
    assert_eq!([60_000, 10_000, 1_000, 100, 1].map(within), [59_000, 9_000, 900, 90, 1]);
}

#[test]
fn neither_side_widens_the_other() {
    let nothing = Authority::default();
    for (asks, allows) in [(video(), nothing.clone()), (nothing, video())] {
        let (held, purse) = Grants::root(&asks, &allows, NOW, 1);
        assert_eq!(Holding::from(&held).each().count(), 0);
        assert_eq!(purse, Purse { cpu_us: 10_000_000, spawns: 0, artifact_bytes: 0 });
    }
}

#[test]
fn a_denial_says_which_side_refused() {
    let asked = Capability::Artifacts;
    let without = Authority { artifacts: false, ..video() };
    assert_eq!(who_refuses(&without, &video(), &asked), Side::Manifest);
    assert_eq!(who_refuses(&video(), &without, &asked), Side::Operator);
    assert_eq!(who_refuses(&video(), &video(), &asked), Side::Parent);
}

#[test]
fn the_operator_reads_what_is_lacking() {
    assert_eq!(video().not_allowed(&video()), Vec::<String>::new());
    let allows = Authority { channels: vec![ChannelGrant::Origin], artifacts: false, ..Authority::default() };
    expect![[r#"
        spawn video/render
        spawn depth 2
        spawn active-children 5
        channels webhook:films
        tools video.generate_video
        kv notes prefix "a/" (read-write)
        kv notes prefix "" (read)
        artifacts
        cpu 2m (allowed: 10s)
        spawn total 100 (allowed: 0)
        artifacts bytes 64MiB (allowed: 0)"#]]
    .assert_eq(&video().not_allowed(&allows).join("\n"));
}
